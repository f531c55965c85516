//! The items of a component, with its core instances and their modules.

use super::module::{Entity, Kind, Module, PerKind};
use super::unmerged::{MODULES_PASSED, UNKNOWN, Unmerged};
use wasm_encoder::CanonicalFunctionSection;
use wasm_encoder::reencode::{self, Reencode, ReencodeComponent as _};
use wasmparser::{
    CanonicalFunction, Chunk, ComponentAlias, ComponentExternalKind, ComponentInstance, Encoding,
    Instance, Parser, Payload,
};

/// One item of a component, in the order of the file.
pub(super) enum Item<'a> {
    /// A core module, by number.
    Module(usize),
    /// A component within this component, and its bytes after merging.
    Component(&'a [u8], Option<Vec<u8>>),
    /// A core instance, by number.
    Instance(usize),
    /// An alias of an export of a core instance.
    Alias(Entity),
    /// A canonical function that lowers a function, and so defines a core function.
    Lower(Box<CanonicalFunction>, Entity),
    /// A canonical function that lifts a core function, and the entities that it refers to.
    Lift(Box<CanonicalFunction>, Vec<Entity>),
    /// An alias of an item that is not core.
    ComponentAlias(ComponentAlias<'a>),
    /// A section whose references do not change.
    Other(u8, &'a [u8]),
}

/// What an index of a core index space stands for.
pub(super) enum Definition<'a> {
    Alias { instance: usize, name: &'a str },
    Lowered { refers: Vec<Entity> },
}

pub(super) enum CoreInstance<'a> {
    Instantiated { module: usize, arguments: Vec<(&'a str, usize)> },
    Exports(Vec<(&'a str, Entity)>),
}

/// Where an import of a module is defined.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    Export { instance: usize, name: &'a str },
    Lowered(Entity),
}

pub(super) struct CoreModule<'a> {
    pub(super) bytes: &'a [u8],
    /// `None` when the module cannot be merged.
    pub(super) read: Option<Module<'a>>,
    pub(super) instances: usize,
}

/// A component as a list of items, with its core instances and their modules.
pub(super) struct Items<'a> {
    pub(super) items: Vec<Item<'a>>,
    pub(super) modules: Vec<CoreModule<'a>>,
    pub(super) instances: Vec<CoreInstance<'a>>,
    pub(super) definitions: PerKind<Vec<Definition<'a>>>,
    /// For each instance, where its imports are defined; `None` when that is not known.
    origins: Vec<Option<Vec<Origin<'a>>>>,
}

impl<'a> Items<'a> {
    pub(super) fn read(wasm: &'a [u8]) -> Result<Self, Unmerged> {
        let mut items = Self {
            items: Vec::new(),
            modules: Vec::new(),
            instances: Vec::new(),
            definitions: PerKind::default(),
            origins: Vec::new(),
        };
        let mut parser = Parser::new(0);
        let mut rest = wasm;
        while !rest.is_empty() {
            let Chunk::Parsed { consumed, payload } = parser.parse(rest, true)? else {
                return Err(UNKNOWN);
            };
            rest = rest.get(consumed..).ok_or(UNKNOWN)?;
            if let Payload::ModuleSection { unchecked_range, .. }
            | Payload::ComponentSection { unchecked_range, .. } = &payload
            {
                rest = rest.get(unchecked_range.len()..).ok_or(UNKNOWN)?;
            }
            items.take(wasm, payload)?;
        }
        items.origins =
            (0..items.instances.len()).map(|instance| items.trace(instance).ok()).collect();
        Ok(items)
    }

    fn take(&mut self, wasm: &'a [u8], payload: Payload<'a>) -> Result<(), Unmerged> {
        let section = payload.as_section();
        match payload {
            Payload::Version { encoding: Encoding::Component, .. } | Payload::End(_) => {
                return Ok(());
            }
            Payload::ModuleSection { unchecked_range, .. } => {
                let bytes = wasm.get(unchecked_range).ok_or(UNKNOWN)?;
                self.items.push(Item::Module(self.modules.len()));
                self.modules.push(CoreModule {
                    bytes,
                    read: Module::read(bytes).ok(),
                    instances: 0,
                });
                return Ok(());
            }
            Payload::ComponentSection { unchecked_range, .. } => {
                self.items.push(Item::Component(wasm.get(unchecked_range).ok_or(UNKNOWN)?, None));
                return Ok(());
            }
            Payload::InstanceSection(section) => {
                return section.into_iter().try_for_each(|instance| self.instance(instance?));
            }
            Payload::ComponentCanonicalSection(section) => {
                return section.into_iter().try_for_each(|function| self.canonical(function?));
            }
            Payload::ComponentAliasSection(section) => {
                return section.into_iter().try_for_each(|alias| self.alias(&alias?));
            }
            // These names refer to numbers that change.
            Payload::CustomSection(section) if section.name() == "component-name" => return Ok(()),
            Payload::ComponentImportSection(section) => {
                for import in section {
                    no_module(import?.ty.kind())?;
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    no_module(export?.kind)?;
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    match instance? {
                        ComponentInstance::Instantiate { args, .. } => {
                            args.iter().try_for_each(|argument| no_module(argument.kind))?
                        }
                        ComponentInstance::FromExports(exports) => {
                            exports.iter().try_for_each(|export| no_module(export.kind))?
                        }
                    }
                }
            }
            Payload::CustomSection(_)
            | Payload::ComponentTypeSection(_)
            | Payload::CoreTypeSection(_)
            | Payload::ComponentStartSection { .. } => {}
            _ => return Err(Unmerged("it has a section that is not merged")),
        }
        let (id, range) = section.ok_or(UNKNOWN)?;
        self.items.push(Item::Other(id, wasm.get(range).ok_or(UNKNOWN)?));
        Ok(())
    }

    fn instance(&mut self, instance: Instance<'a>) -> Result<(), Unmerged> {
        let instance = match instance {
            Instance::Instantiate { module_index, args } => {
                let module = module_index as usize;
                self.modules.get_mut(module).ok_or(UNKNOWN)?.instances += 1;
                let arguments =
                    args.iter().map(|argument| (argument.name, argument.index as usize)).collect();
                CoreInstance::Instantiated { module, arguments }
            }
            Instance::FromExports(exports) => {
                let entity = |export: &wasmparser::Export<'a>| {
                    Ok((export.name, Entity { kind: Kind::of(export.kind)?, index: export.index }))
                };
                CoreInstance::Exports(exports.iter().map(entity).collect::<Result<_, Unmerged>>()?)
            }
        };
        self.items.push(Item::Instance(self.instances.len()));
        self.instances.push(instance);
        Ok(())
    }

    fn alias(&mut self, alias: &ComponentAlias<'a>) -> Result<(), Unmerged> {
        match *alias {
            ComponentAlias::CoreInstanceExport { kind, instance_index, name } => {
                let kind = Kind::of(kind)?;
                let entity = self
                    .define(kind, Definition::Alias { instance: instance_index as usize, name });
                self.items.push(Item::Alias(entity));
            }
            ComponentAlias::InstanceExport { kind, .. } => {
                no_module(kind)?;
                self.items.push(Item::ComponentAlias(alias.clone()));
            }
            ComponentAlias::Outer { .. } => self.items.push(Item::ComponentAlias(alias.clone())),
        }
        Ok(())
    }

    fn canonical(&mut self, function: CanonicalFunction) -> Result<(), Unmerged> {
        let refers = refers(&function)?;
        if matches!(function, CanonicalFunction::Lift { .. }) {
            self.items.push(Item::Lift(Box::new(function), refers));
            return Ok(());
        }
        let entity = self.define(Kind::Function, Definition::Lowered { refers });
        self.items.push(Item::Lower(Box::new(function), entity));
        Ok(())
    }

    fn define(&mut self, kind: Kind, definition: Definition<'a>) -> Entity {
        let space = self.definitions.of_mut(kind);
        space.push(definition);
        Entity { kind, index: u32::try_from(space.len() - 1).unwrap_or(u32::MAX) }
    }

    pub(super) fn definition(&self, entity: Entity) -> Result<&Definition<'a>, Unmerged> {
        self.definitions.of(entity.kind).get(entity.index as usize).ok_or(UNKNOWN)
    }

    /// Where an export of a core instance is defined.
    fn origin(&self, mut instance: usize, mut name: &'a str) -> Result<Origin<'a>, Unmerged> {
        loop {
            let entity = match self.instances.get(instance).ok_or(UNKNOWN)? {
                CoreInstance::Instantiated { .. } => return Ok(Origin::Export { instance, name }),
                CoreInstance::Exports(exports) => {
                    exports.iter().find(|(export, _)| *export == name).ok_or(UNKNOWN)?.1
                }
            };
            match self.definition(entity)? {
                // In a valid component an alias refers to an earlier instance. The check ends the
                // loop for all others.
                Definition::Alias { instance: of, name: as_ } if *of < instance => {
                    (instance, name) = (*of, as_)
                }
                Definition::Alias { .. } => return Err(UNKNOWN),
                Definition::Lowered { .. } => return Ok(Origin::Lowered(entity)),
            }
        }
    }

    /// The module of an instance, when the module could be read.
    pub(super) fn module(&self, instance: usize) -> Option<&Module<'a>> {
        match self.instances.get(instance)? {
            CoreInstance::Instantiated { module, .. } => self.modules.get(*module)?.read.as_ref(),
            CoreInstance::Exports(_) => None,
        }
    }

    /// The module of an instance, when it is the only instance of that module.
    pub(super) fn sole_module(&self, instance: usize) -> Option<&Module<'a>> {
        match self.instances.get(instance)? {
            CoreInstance::Instantiated { module, .. } => {
                self.modules.get(*module).filter(|module| module.instances == 1)?.read.as_ref()
            }
            CoreInstance::Exports(_) => None,
        }
    }

    /// Where each import of an instance is defined.
    pub(super) fn origins(&self, instance: usize) -> Result<&[Origin<'a>], Unmerged> {
        self.origins.get(instance).and_then(Option::as_deref).ok_or(UNKNOWN)
    }

    fn trace(&self, instance: usize) -> Result<Vec<Origin<'a>>, Unmerged> {
        let (Some(module), Some(CoreInstance::Instantiated { arguments, .. })) =
            (self.module(instance), self.instances.get(instance))
        else {
            return Err(UNKNOWN);
        };
        let origin = |import: &wasmparser::Import<'a>| {
            let (_, instance) =
                arguments.iter().find(|(name, _)| *name == import.module).ok_or(UNKNOWN)?;
            self.origin(*instance, import.name)
        };
        module.imports.iter().map(origin).collect()
    }
}

fn no_module(kind: ComponentExternalKind) -> Result<(), Unmerged> {
    if kind == ComponentExternalKind::Module { Err(MODULES_PASSED) } else { Ok(()) }
}

/// The core functions, tables and memories that a canonical function refers to.
fn refers(function: &CanonicalFunction) -> Result<Vec<Entity>, Unmerged> {
    let mut references = References(Vec::new());
    references.parse_component_canonical(&mut CanonicalFunctionSection::new(), function.clone())?;
    Ok(references.0)
}

/// Records references and does not change them.
struct References(Vec<Entity>);

impl References {
    fn note(&mut self, kind: Kind, index: u32) -> Result<u32, reencode::Error<Unmerged>> {
        self.0.push(Entity { kind, index });
        Ok(index)
    }
}

impl Reencode for References {
    type Error = Unmerged;

    fn function_index(&mut self, index: u32) -> Result<u32, reencode::Error<Unmerged>> {
        self.note(Kind::Function, index)
    }

    fn table_index(&mut self, index: u32) -> Result<u32, reencode::Error<Unmerged>> {
        self.note(Kind::Table, index)
    }

    fn memory_index(&mut self, index: u32) -> Result<u32, reencode::Error<Unmerged>> {
        self.note(Kind::Memory, index)
    }
}

impl reencode::ReencodeComponent for References {}
