//! Writes a component with one instance in place of a group. Only core instances and their exports
//! get new numbers.

use super::group::{Group, ItemSet, WholeInstance};
use super::items::{CoreInstance, Definition, Item, Items, Origin};
use super::module::{self, Entity, Kind, OUTSIDE, PerKind};
use super::unmerged::{UNKNOWN, Unmerged};
use std::collections::HashMap;
use wasm_encoder::reencode::{self, Reencode, ReencodeComponent as _};
use wasm_encoder::{
    Alias, CanonicalFunctionSection, Component, ComponentAliasSection, ComponentSectionId,
    ExportKind, InstanceSection, Module, ModuleArg, RawSection,
};
use wasmparser::CanonicalFunction;

const MODULE_SECTION: u8 = ComponentSectionId::CoreModule as u8;
const COMPONENT_SECTION: u8 = ComponentSectionId::Component as u8;

impl<'a> Items<'a> {
    pub(super) fn write(&self, group: Option<&Group<'_, 'a>>) -> Result<Vec<u8>, Unmerged> {
        let mut writer = Writer {
            items: self,
            group,
            used: self.used(group)?,
            out: Component::new(),
            instances: HashMap::new(),
            entities: HashMap::new(),
            counts: PerKind::default(),
            instance_count: 0,
            merged: 0,
        };
        writer.all()?;
        Ok(writer.out.finish())
    }
}

/// Writes a component.
struct Writer<'w, 'i, 'a> {
    items: &'w Items<'a>,
    group: Option<&'w Group<'i, 'a>>,
    used: ItemSet,
    out: Component,
    /// The new numbers by the old ones.
    instances: HashMap<usize, u32>,
    entities: HashMap<Entity, u32>,
    counts: PerKind<u32>,
    instance_count: u32,
    /// The number of the merged instance, once it is written.
    merged: u32,
}

impl<'a> Writer<'_, '_, 'a> {
    fn all(&mut self) -> Result<(), Unmerged> {
        let items = self.items;
        let Some(group) = self.group else {
            return items.items.iter().try_for_each(|item| self.item(item));
        };
        let mut deferred = Vec::new();
        let mut before = true;
        for item in &items.items {
            match item {
                Item::Instance(instance) if group.instances.last() == Some(instance) => {
                    self.merged_instance(group)?;
                    std::mem::take(&mut deferred)
                        .into_iter()
                        .try_for_each(|item| self.item(item))?;
                    before = false;
                }
                Item::Instance(instance) if group.instances.contains(instance) => {}
                Item::Instance(instance) if before && group.bound.instances.contains(instance) => {
                    deferred.push(item)
                }
                Item::Alias(entity) | Item::Lower(_, entity)
                    if before && group.bound.entities.contains(entity) =>
                {
                    deferred.push(item)
                }
                item => self.item(item)?,
            }
        }
        Ok(())
    }

    fn item(&mut self, item: &Item<'a>) -> Result<(), Unmerged> {
        match item {
            Item::Module(number) => {
                let module = self.items.modules.get(*number).ok_or(UNKNOWN)?;
                let member = self.group.and_then(|group| {
                    group.instances.iter().position(|instance| self.is_of(*instance, *number))
                });
                match (self.group, member) {
                    // The merged module takes the place of the module of the last member, so that
                    // no module gets another number.
                    (Some(group), Some(member)) if member + 1 == group.members.len() => {
                        let mut exported: Vec<_> = group.exports.iter().collect();
                        exported.sort_by_key(|(_, number)| **number);
                        let exported: Vec<_> = exported.into_iter().map(|(key, _)| *key).collect();
                        let merged = module::merge(&group.members, &exported)?;
                        self.out.section(&RawSection { id: MODULE_SECTION, data: &merged });
                    }
                    (_, Some(_)) => drop(
                        self.out.section(&RawSection { id: MODULE_SECTION, data: &Module::HEADER }),
                    ),
                    (_, None) => drop(
                        self.out.section(&RawSection { id: MODULE_SECTION, data: module.bytes }),
                    ),
                }
            }
            Item::Component(bytes, replaced) => {
                self.out.section(&RawSection {
                    id: COMPONENT_SECTION,
                    data: replaced.as_deref().unwrap_or(bytes),
                });
            }
            Item::Other(id, data) => drop(self.out.section(&RawSection { id: *id, data })),
            Item::ComponentAlias(alias) => {
                let mut section = ComponentAliasSection::new();
                section.alias(Numbers(self).component_alias(alias.clone())?);
                self.out.section(&section);
            }
            Item::Alias(entity) => {
                if self.used.entities.contains(entity) {
                    let Definition::Alias { instance, name } = self.items.definition(*entity)?
                    else {
                        return Err(UNKNOWN);
                    };
                    let index = self.alias(entity.kind, *instance, name)?;
                    self.entities.insert(*entity, index);
                }
            }
            Item::Lower(function, entity) => {
                self.function(function)?;
                let index = self.next(Kind::Function);
                self.entities.insert(*entity, index);
            }
            Item::Lift(function, _) => self.function(function)?,
            Item::Instance(number) => self.instance(*number)?,
        }
        Ok(())
    }

    fn is_of(&self, instance: usize, number: usize) -> bool {
        matches!(self.items.instances.get(instance), Some(CoreInstance::Instantiated { module, .. }) if *module == number)
    }

    fn next(&mut self, kind: Kind) -> u32 {
        let counter = self.counts.of_mut(kind);
        *counter += 1;
        *counter - 1
    }

    fn next_instance(&mut self) -> u32 {
        self.instance_count += 1;
        self.instance_count - 1
    }

    /// Writes an alias of an export of a core instance. When the instance is of the group, it is an
    /// alias of an export of the merged instance.
    fn alias(&mut self, kind: Kind, instance: usize, name: &str) -> Result<u32, Unmerged> {
        let key = self.group.map_or(Ok(None), |group| group.key(instance, name))?;
        let number = key.and_then(|key| self.group?.exports.get(&key)).map(usize::to_string);
        let (instance, name) = match &number {
            Some(number) => (self.merged, number.as_str()),
            None => (*self.instances.get(&instance).ok_or(UNKNOWN)?, name),
        };
        let mut section = ComponentAliasSection::new();
        section.alias(Alias::CoreInstanceExport { instance, kind: kind.export(), name });
        self.out.section(&section);
        Ok(self.next(kind))
    }

    fn function(&mut self, function: &CanonicalFunction) -> Result<(), Unmerged> {
        let mut section = CanonicalFunctionSection::new();
        Numbers(self).parse_component_canonical(&mut section, function.clone())?;
        self.out.section(&section);
        Ok(())
    }

    fn instance(&mut self, number: usize) -> Result<(), Unmerged> {
        let mut section = InstanceSection::new();
        match self.items.instances.get(number).ok_or(UNKNOWN)? {
            CoreInstance::Instantiated { module, arguments } => {
                let mut replaced = HashMap::new();
                let whole = self
                    .group
                    .map(|group| group.whole(self.items, number))
                    .transpose()?
                    .unwrap_or_default();
                for WholeInstance { name, member, fields } in whole {
                    let mut exports = Vec::with_capacity(fields.len());
                    for field in fields {
                        let kind = self
                            .items
                            .module(member)
                            .and_then(|module| module.exports.get(field))
                            .ok_or(UNKNOWN)?
                            .kind;
                        exports.push((field, kind.export(), self.alias(kind, member, field)?));
                    }
                    replaced.insert(name, self.exports(exports));
                }
                let argument = |(name, instance): &(&'a str, usize)| {
                    let new = replaced
                        .get(name)
                        .or_else(|| self.instances.get(instance))
                        .ok_or(UNKNOWN)?;
                    Ok((*name, ModuleArg::Instance(*new)))
                };
                let arguments =
                    arguments.iter().map(argument).collect::<Result<Vec<_>, Unmerged>>()?;
                section.instantiate(u32::try_from(*module).map_err(|_| UNKNOWN)?, arguments);
            }
            CoreInstance::Exports(_) if !self.used.instances.contains(&number) => return Ok(()),
            CoreInstance::Exports(exports) => {
                let export = |(name, entity): &(&'a str, Entity)| {
                    Ok((*name, entity.kind.export(), *self.entities.get(entity).ok_or(UNKNOWN)?))
                };
                section.export_items(
                    exports.iter().map(export).collect::<Result<Vec<_>, Unmerged>>()?,
                );
            }
        }
        self.out.section(&section);
        let new = self.next_instance();
        self.instances.insert(number, new);
        Ok(())
    }

    /// Writes an instance that is made of exports.
    fn exports<S: AsRef<str>>(&mut self, exports: Vec<(S, ExportKind, u32)>) -> u32 {
        let mut section = InstanceSection::new();
        section.export_items(exports);
        self.out.section(&section);
        self.next_instance()
    }

    fn merged_instance(&mut self, group: &Group<'_, 'a>) -> Result<(), Unmerged> {
        let mut exports = Vec::with_capacity(group.outside.len());
        for (number, (kind, origin)) in group.outside.iter().enumerate() {
            let index = match origin {
                Origin::Export { instance, name } => self.alias(*kind, *instance, name)?,
                Origin::Lowered(entity) => *self.entities.get(entity).ok_or(UNKNOWN)?,
            };
            exports.push((number.to_string(), kind.export(), index));
        }
        let module =
            match group.instances.last().and_then(|instance| self.items.instances.get(*instance)) {
                Some(CoreInstance::Instantiated { module, .. }) => {
                    u32::try_from(*module).map_err(|_| UNKNOWN)?
                }
                _ => return Err(UNKNOWN),
            };
        let arguments = if exports.is_empty() {
            Vec::new()
        } else {
            vec![(OUTSIDE, ModuleArg::Instance(self.exports(exports)))]
        };
        let mut section = InstanceSection::new();
        section.instantiate(module, arguments);
        self.out.section(&section);
        self.merged = self.next_instance();
        Ok(())
    }
}

/// Replaces the numbers of core functions, tables and memories by the new ones.
struct Numbers<'n, 'w, 'i, 'a>(&'n Writer<'w, 'i, 'a>);

impl Numbers<'_, '_, '_, '_> {
    fn new_index(&self, kind: Kind, index: u32) -> Result<u32, reencode::Error<Unmerged>> {
        self.0
            .entities
            .get(&Entity { kind, index })
            .copied()
            .ok_or(reencode::Error::UserError(UNKNOWN))
    }
}

impl Reencode for Numbers<'_, '_, '_, '_> {
    type Error = Unmerged;

    fn function_index(&mut self, index: u32) -> Result<u32, reencode::Error<Unmerged>> {
        self.new_index(Kind::Function, index)
    }

    fn table_index(&mut self, index: u32) -> Result<u32, reencode::Error<Unmerged>> {
        self.new_index(Kind::Table, index)
    }

    fn memory_index(&mut self, index: u32) -> Result<u32, reencode::Error<Unmerged>> {
        self.new_index(Kind::Memory, index)
    }
}

impl reencode::ReencodeComponent for Numbers<'_, '_, '_, '_> {}
