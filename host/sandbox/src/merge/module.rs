//! Core modules: reading one, and merging several into one.

use super::unmerged::{UNKNOWN, Unmerged};
use std::collections::{HashMap, HashSet};
use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    CodeSection, CustomSection, DataCountSection, DataSection, ElementSection, EntityType,
    ExportKind, ExportSection, FunctionSection, GlobalSection, ImportSection, Instruction,
    MemorySection, NameMap, NameSection, StartSection, TableSection, TypeSection,
};
use wasmill_core::limits::TABLES_PER_MODULE;
use wasmparser::{
    CompositeInnerType, ConstExpr, Data, DataKind, Element, ElementItems, ElementKind,
    ExternalKind, FunctionBody, Global, Import, KnownCustom, MemoryType, Name, Operator,
    OperatorsReader, Parser, Payload, RecGroup, Table, TypeRef,
};

/// The four index spaces that modules import and export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Function,
    Table,
    Memory,
    Global,
}

impl Kind {
    pub(super) fn of(kind: ExternalKind) -> Result<Self, Unmerged> {
        match kind {
            ExternalKind::Func => Ok(Self::Function),
            ExternalKind::Table => Ok(Self::Table),
            ExternalKind::Memory => Ok(Self::Memory),
            ExternalKind::Global => Ok(Self::Global),
            ExternalKind::Tag | ExternalKind::FuncExact => {
                Err(Unmerged("it exports or imports something that is not merged"))
            }
        }
    }

    pub(super) fn of_import(ty: TypeRef) -> Result<Self, Unmerged> {
        match ty {
            TypeRef::Func(_) => Ok(Self::Function),
            TypeRef::Table(_) => Ok(Self::Table),
            TypeRef::Memory(_) => Ok(Self::Memory),
            TypeRef::Global(_) => Ok(Self::Global),
            TypeRef::Tag(_) | TypeRef::FuncExact(_) => {
                Err(Unmerged("it exports or imports something that is not merged"))
            }
        }
    }

    pub(super) fn export(self) -> ExportKind {
        match self {
            Self::Function => ExportKind::Func,
            Self::Table => ExportKind::Table,
            Self::Memory => ExportKind::Memory,
            Self::Global => ExportKind::Global,
        }
    }
}

/// An index in one of the index spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Entity {
    pub(super) kind: Kind,
    pub(super) index: u32,
}

/// One value for each index space.
#[derive(Debug, Clone, Default)]
pub(super) struct PerKind<T> {
    functions: T,
    tables: T,
    memories: T,
    globals: T,
}

impl<T> PerKind<T> {
    pub(super) fn of(&self, kind: Kind) -> &T {
        match kind {
            Kind::Function => &self.functions,
            Kind::Table => &self.tables,
            Kind::Memory => &self.memories,
            Kind::Global => &self.globals,
        }
    }

    pub(super) fn of_mut(&mut self, kind: Kind) -> &mut T {
        match kind {
            Kind::Function => &mut self.functions,
            Kind::Table => &mut self.tables,
            Kind::Memory => &mut self.memories,
            Kind::Global => &mut self.globals,
        }
    }
}

/// The parts of a core module. They are not validated.
pub(super) struct Module<'a> {
    pub(super) imports: Vec<Import<'a>>,
    pub(super) exports: HashMap<&'a str, Entity>,
    pub(super) start: Option<u32>,
    types: Vec<RecGroup>,
    functions: Vec<u32>,
    tables: Vec<Table<'a>>,
    memories: Vec<MemoryType>,
    globals: Vec<Global<'a>>,
    elements: Vec<Element<'a>>,
    code: Vec<FunctionBody<'a>>,
    data: Vec<Data<'a>>,
    names: Vec<(u32, &'a str)>,
}

impl<'a> Module<'a> {
    /// Reads the sections of a module, but not the bodies of its functions.
    pub(super) fn read(wasm: &'a [u8]) -> Result<Self, Unmerged> {
        let mut module = Module {
            imports: Vec::new(),
            exports: HashMap::new(),
            start: None,
            types: Vec::new(),
            functions: Vec::new(),
            tables: Vec::new(),
            memories: Vec::new(),
            globals: Vec::new(),
            elements: Vec::new(),
            code: Vec::new(),
            data: Vec::new(),
            names: Vec::new(),
        };
        for payload in Parser::new(0).parse_all(wasm) {
            module.take(payload?)?;
        }
        Ok(module)
    }

    fn take(&mut self, payload: Payload<'a>) -> Result<(), Unmerged> {
        match payload {
            Payload::Version { .. }
            | Payload::DataCountSection { .. }
            | Payload::CodeSectionStart { .. }
            | Payload::End(_) => {}
            Payload::TypeSection(section) => {
                for group in section {
                    let group = group?;
                    // A function type means the same in every module. Other types belong to a group
                    // of types that would have to stay together.
                    let plain = group.types().len() == 1
                        && group.types().all(|ty| {
                            ty.is_final
                                && ty.supertype_idx.is_none()
                                && matches!(ty.composite_type.inner, CompositeInnerType::Func(_))
                        });
                    if !plain {
                        return Err(Unmerged("it has types other than those of functions"));
                    }
                    self.types.push(group);
                }
            }
            Payload::ImportSection(section) => {
                self.imports = section.into_imports().collect::<Result<_, _>>()?
            }
            Payload::FunctionSection(section) => {
                self.functions = section.into_iter().collect::<Result<_, _>>()?
            }
            Payload::TableSection(section) => {
                self.tables = section.into_iter().collect::<Result<_, _>>()?
            }
            Payload::MemorySection(section) => {
                self.memories = section.into_iter().collect::<Result<_, _>>()?
            }
            Payload::GlobalSection(section) => {
                self.globals = section.into_iter().collect::<Result<_, _>>()?
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    self.exports.insert(
                        export.name,
                        Entity { kind: Kind::of(export.kind)?, index: export.index },
                    );
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(section) => {
                self.elements = section.into_iter().collect::<Result<_, _>>()?
            }
            Payload::CodeSectionEntry(body) => self.code.push(body),
            Payload::DataSection(section) => {
                self.data = section.into_iter().collect::<Result<_, _>>()?
            }
            Payload::CustomSection(section) => {
                // Names are only used for backtraces. Names that cannot be read are left out.
                if let KnownCustom::Name(names) = section.as_known() {
                    for name in names {
                        if let Ok(Name::Function(functions)) = name {
                            self.names.extend(
                                functions
                                    .into_iter()
                                    .flatten()
                                    .map(|naming| (naming.index, naming.name)),
                            );
                        }
                    }
                }
            }
            _ => return Err(Unmerged("it has a section that is not merged")),
        }
        Ok(())
    }

    /// The tables and memories that the segments of the module write to at instantiation.
    pub(super) fn written(&self) -> HashSet<Entity> {
        let tables = self.elements.iter().filter_map(|element| match element.kind {
            ElementKind::Active { table_index, .. } => {
                Some(Entity { kind: Kind::Table, index: table_index.unwrap_or(0) })
            }
            ElementKind::Passive | ElementKind::Declared => None,
        });
        let memories = self.data.iter().filter_map(|data| match data.kind {
            DataKind::Active { memory_index, .. } => {
                Some(Entity { kind: Kind::Memory, index: memory_index })
            }
            DataKind::Passive => None,
        });
        tables.chain(memories).collect()
    }

    /// The position of the import that an entity stands for; `None` when the module defines the
    /// entity.
    pub(super) fn import_of(&self, entity: Entity) -> Option<usize> {
        let of_kind = self
            .imports
            .iter()
            .enumerate()
            .filter(|(_, import)| Kind::of_import(import.ty) == Ok(entity.kind));
        of_kind.map(|(position, _)| position).nth(entity.index as usize)
    }

    /// An upper bound of the bytes that the engine allocates for the functions, imports and globals
    /// of an instance. The engine limits this size.
    fn instance_bytes(&self) -> usize {
        const REFERENCE: usize = 32;
        const IMPORT: usize = 32;
        const GLOBAL: usize = 16;
        let referred: usize = self
            .elements
            .iter()
            .map(|element| match &element.items {
                ElementItems::Functions(items) => items.count() as usize,
                ElementItems::Expressions(_, items) => items.count() as usize,
            })
            .sum();
        (referred + self.exports.len()) * REFERENCE
            + self.imports.len() * IMPORT
            + self.globals.len() * GLOBAL
    }
}

/// Where an import of a member is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Another member, an earlier one, defines or imports it.
    Member { member: usize, entity: Entity },
    /// It is defined outside of the group, and stays an import.
    Outside,
}

/// A module that is merged with others.
pub(super) struct Member<'m, 'a> {
    pub(super) module: &'m Module<'a>,
    /// One source for each import.
    pub(super) sources: Vec<Source>,
}

/// The module name of all imports of a merged module. The name of an import is its position: first
/// the outside imports of the first member, then those of the second, and so on.
pub(super) const OUTSIDE: &str = "";

/// Bytes that the engine allocates for the functions, imports and globals of one instance. The
/// engine allows a little more.
const INSTANCE_BYTES: usize = 900 << 10;

/// Whether the engine would accept the content of the modules as one module.
pub(super) fn fit_in_one(modules: &[&Module<'_>]) -> bool {
    let sum = |of: fn(&Module<'_>) -> usize| modules.iter().map(|module| of(module)).sum::<usize>();
    sum(|module| module.memories.len()) <= 1
        && sum(|module| module.tables.len()) <= TABLES_PER_MODULE as usize
        && sum(|module| module.instance_bytes()) <= INSTANCE_BYTES
}

/// Merges the members into one module that behaves like them. Imports of one member from another
/// are resolved; everything else is kept, in the order of the members. `exported` lists the exports
/// of the merged module, which are named "0", "1" and so on.
///
/// The merged module defines the tables and memories that it fills, so the engine can prepare them
/// at compile time, and not for each instance.
///
/// # Errors
/// When the content of the members cannot be expressed in one module. Only the last member may have
/// a start function, because the start function of a module runs after everything else.
pub(super) fn merge(
    members: &[Member<'_, '_>],
    exported: &[(usize, Entity)],
) -> Result<Vec<u8>, Unmerged> {
    if members.iter().rev().skip(1).any(|member| member.module.start.is_some()) {
        return Err(Unmerged("a module that is not the last has a start function"));
    }
    let mut merging = Merging::new(members)?;
    let mut spaces = Vec::with_capacity(members.len());
    for member in members {
        let renumbered = merging.add(member, &spaces)?;
        spaces.push(renumbered);
    }
    let mut exports = ExportSection::new();
    for (number, (member, entity)) in exported.iter().enumerate() {
        let index =
            spaces.get(*member).and_then(|space| renumbered(space, *entity)).ok_or(UNKNOWN)?;
        exports.export(&number.to_string(), entity.kind.export(), index);
    }
    Ok(merging.finish(&exports))
}

/// The new indices by the old ones.
type Space = PerKind<Vec<u32>>;

fn renumbered(space: &Space, entity: Entity) -> Option<u32> {
    space.of(entity.kind).get(entity.index as usize).copied()
}

/// A value that is known at compile time.
#[derive(Debug, Clone, Copy)]
enum Constant {
    I32(i32),
    I64(i64),
}

impl Constant {
    fn instruction(self) -> Instruction<'static> {
        match self {
            Self::I32(value) => Instruction::I32Const(value),
            Self::I64(value) => Instruction::I64Const(value),
        }
    }
}

/// The sections of the merged module while they are written.
#[derive(Default)]
struct Merging {
    types: TypeSection,
    imports: ImportSection,
    functions: FunctionSection,
    tables: TableSection,
    memories: MemorySection,
    globals: GlobalSection,
    start: Option<u32>,
    elements: ElementSection,
    code: CodeSection,
    data: DataSection,
    names: Vec<(u32, String)>,
    /// The next index of an import, and of a definition. Imports come before definitions.
    imported: PerKind<u32>,
    defined: PerKind<u32>,
    /// The globals that never change and have a known value, by their new index.
    constants: HashMap<u32, Constant>,
}

impl Merging {
    fn new(members: &[Member<'_, '_>]) -> Result<Self, Unmerged> {
        let mut merging = Self::default();
        for member in members {
            for (import, source) in member.module.imports.iter().zip(&member.sources) {
                if *source == Source::Outside {
                    *merging.defined.of_mut(Kind::of_import(import.ty)?) += 1;
                }
            }
        }
        Ok(merging)
    }

    /// Adds all parts of a member. Returns its new indices.
    fn add(&mut self, member: &Member<'_, '_>, earlier: &[Space]) -> Result<Space, Unmerged> {
        let module = member.module;
        let space = self.space(member, earlier)?;
        let names = module.names.iter();
        self.names.extend(names.filter_map(|(index, name)| {
            Some((*space.functions.get(*index as usize)?, (*name).to_owned()))
        }));
        let mut renumber = Renumber {
            space: &space,
            constants: &mut self.constants,
            types: self.types.len(),
            elements: self.elements.len(),
            data: self.data.len(),
        };
        for group in &module.types {
            renumber.parse_recursive_type_group(self.types.ty(), group.clone())?;
        }
        for (import, source) in module.imports.iter().zip(&member.sources) {
            if *source == Source::Outside {
                let ty: EntityType = renumber.entity_type(import.ty)?;
                self.imports.import(OUTSIDE, &self.imports.len().to_string(), ty);
            }
        }
        for ty in &module.functions {
            self.functions.function(renumber.type_index(*ty)?);
        }
        for table in &module.tables {
            renumber.parse_table(&mut self.tables, table.clone())?;
        }
        for memory in &module.memories {
            self.memories.memory(renumber.memory_type(*memory)?);
        }
        let imported = space.globals.len() - module.globals.len();
        for (global, index) in module.globals.iter().zip(space.globals.iter().skip(imported)) {
            let value = renumber.constant(&global.init_expr);
            renumber.parse_global(&mut self.globals, global.clone())?;
            if let Some(value) = value.filter(|_| !global.ty.mutable) {
                renumber.constants.insert(*index, value);
            }
        }
        if let Some(start) = module.start {
            self.start = Some(renumber.function_index(start)?);
        }
        for element in &module.elements {
            renumber.parse_element(&mut self.elements, element.clone())?;
        }
        for body in &module.code {
            renumber.parse_function_body(&mut self.code, body.clone())?;
        }
        for data in &module.data {
            renumber.parse_data(&mut self.data, data.clone())?;
        }
        Ok(space)
    }

    fn space(&mut self, member: &Member<'_, '_>, earlier: &[Space]) -> Result<Space, Unmerged> {
        let module = member.module;
        if member.sources.len() != module.imports.len() {
            return Err(UNKNOWN);
        }
        let mut space = Space::default();
        for (import, source) in module.imports.iter().zip(&member.sources) {
            let kind = Kind::of_import(import.ty)?;
            let index = match source {
                Source::Outside => next(self.imported.of_mut(kind)),
                Source::Member { member, entity } if entity.kind == kind => earlier
                    .get(*member)
                    .and_then(|space| renumbered(space, *entity))
                    .ok_or(UNKNOWN)?,
                Source::Member { .. } => return Err(UNKNOWN),
            };
            space.of_mut(kind).push(index);
        }
        let defined = [
            (Kind::Function, module.functions.len()),
            (Kind::Table, module.tables.len()),
            (Kind::Memory, module.memories.len()),
            (Kind::Global, module.globals.len()),
        ];
        for (kind, count) in defined {
            for _ in 0..count {
                space.of_mut(kind).push(next(self.defined.of_mut(kind)));
            }
        }
        Ok(space)
    }

    fn finish(mut self, exports: &ExportSection) -> Vec<u8> {
        let mut wasm = wasm_encoder::Module::new();
        wasm.section(&self.types)
            .section(&self.imports)
            .section(&self.functions)
            .section(&self.tables)
            .section(&self.memories);
        wasm.section(&self.globals).section(exports);
        if let Some(function_index) = self.start {
            wasm.section(&StartSection { function_index });
        }
        wasm.section(&self.elements);
        // Functions that copy from data segments need the number of segments before the data
        // section.
        if !self.data.is_empty() {
            wasm.section(&DataCountSection { count: self.data.len() });
        }
        wasm.section(&self.code).section(&self.data);
        self.names.sort_by_key(|(index, _)| *index);
        self.names.dedup_by_key(|(index, _)| *index);
        let mut functions = NameMap::new();
        for (index, name) in &self.names {
            functions.append(*index, name);
        }
        let mut names = NameSection::new();
        names.functions(&functions);
        let names: CustomSection<'_> = names.as_custom();
        wasm.section(&names);
        wasm.finish()
    }
}

fn next(counter: &mut u32) -> u32 {
    let index = *counter;
    *counter += 1;
    index
}

/// Writes the parts of a member with their new indices. Globals with a known value become
/// constants.
struct Renumber<'s> {
    space: &'s Space,
    constants: &'s mut HashMap<u32, Constant>,
    /// How many types, element segments and data segments come before those of the member.
    types: u32,
    elements: u32,
    data: u32,
}

impl Renumber<'_> {
    fn known(&self, global: u32) -> Option<Constant> {
        self.constants.get(self.space.globals.get(global as usize)?).copied()
    }

    /// The value of an initializer, when it is known at compile time.
    fn constant(&self, expression: &ConstExpr<'_>) -> Option<Constant> {
        let mut stack = Vec::new();
        let mut reader = expression.get_operators_reader();
        loop {
            let value = match reader.read().ok()? {
                Operator::I32Const { value } => Constant::I32(value),
                Operator::I64Const { value } => Constant::I64(value),
                Operator::GlobalGet { global_index } => self.known(global_index)?,
                Operator::I32Add => on_two(&mut stack, i32::wrapping_add)?,
                Operator::I32Sub => on_two(&mut stack, i32::wrapping_sub)?,
                Operator::I32Mul => on_two(&mut stack, i32::wrapping_mul)?,
                Operator::End => break,
                _ => return None,
            };
            stack.push(value);
        }
        match stack.as_slice() {
            [value] => Some(*value),
            _ => None,
        }
    }
}

fn on_two(stack: &mut Vec<Constant>, operation: impl Fn(i32, i32) -> i32) -> Option<Constant> {
    match (stack.pop()?, stack.pop()?) {
        (Constant::I32(right), Constant::I32(left)) => Some(Constant::I32(operation(left, right))),
        _ => None,
    }
}

impl Reencode for Renumber<'_> {
    type Error = Unmerged;

    fn function_index(&mut self, index: u32) -> Result<u32, reencode::Error<Unmerged>> {
        known(renumbered(self.space, Entity { kind: Kind::Function, index }))
    }

    fn table_index(&mut self, index: u32) -> Result<u32, reencode::Error<Unmerged>> {
        known(renumbered(self.space, Entity { kind: Kind::Table, index }))
    }

    fn memory_index(&mut self, index: u32) -> Result<u32, reencode::Error<Unmerged>> {
        known(renumbered(self.space, Entity { kind: Kind::Memory, index }))
    }

    fn global_index(&mut self, index: u32) -> Result<u32, reencode::Error<Unmerged>> {
        known(renumbered(self.space, Entity { kind: Kind::Global, index }))
    }

    fn tag_index(&mut self, _: u32) -> Result<u32, reencode::Error<Unmerged>> {
        known(None)
    }

    fn type_index(&mut self, index: u32) -> Result<u32, reencode::Error<Unmerged>> {
        known(index.checked_add(self.types))
    }

    fn element_index(&mut self, index: u32) -> Result<u32, reencode::Error<Unmerged>> {
        known(index.checked_add(self.elements))
    }

    fn data_index(&mut self, index: u32) -> Result<u32, reencode::Error<Unmerged>> {
        known(index.checked_add(self.data))
    }

    fn parse_instruction<'i>(
        &mut self,
        reader: &mut OperatorsReader<'i>,
    ) -> Result<Instruction<'i>, reencode::Error<Unmerged>> {
        match reader.read()? {
            Operator::GlobalGet { global_index } => match self.known(global_index) {
                Some(value) => Ok(value.instruction()),
                None => Ok(Instruction::GlobalGet(self.global_index(global_index)?)),
            },
            operator => self.instruction(operator),
        }
    }

    fn const_expr(
        &mut self,
        expression: ConstExpr<'_>,
    ) -> Result<wasm_encoder::ConstExpr, reencode::Error<Unmerged>> {
        match self.constant(&expression) {
            Some(Constant::I32(value)) => Ok(wasm_encoder::ConstExpr::i32_const(value)),
            Some(Constant::I64(value)) => Ok(wasm_encoder::ConstExpr::i64_const(value)),
            None => utils::const_expr(self, expression),
        }
    }
}

fn known(index: Option<u32>) -> Result<u32, reencode::Error<Unmerged>> {
    index.ok_or(reencode::Error::UserError(UNKNOWN))
}
