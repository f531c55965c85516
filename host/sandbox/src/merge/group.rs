//! Finds the core instances of a component that become one instance: the *group*.
//!
//! An item is *bound* to the group when it refers to the group, directly or through other items.
//! Bound items between the first and the last instance of the group move behind the last one; all
//! other items keep their order. So an instance that was made between two instances of the group
//! may be made before or after the merged one.

use super::items::{CoreInstance, Definition, Item, Items, Origin};
use super::module::{Entity, Kind, Member, Source, fit_in_one};
use super::unmerged::{UNKNOWN, Unmerged};
use std::collections::{HashMap, HashSet};
use wasmill_core::limits::CORE_INSTANCES_PER_RUN;

/// Maximum number of core instances that are examined. A run cannot have more.
const INSTANCES: usize = CORE_INSTANCES_PER_RUN as usize;

/// A set of instances and entities.
#[derive(Default)]
pub(super) struct ItemSet {
    pub(super) instances: HashSet<usize>,
    pub(super) entities: HashSet<Entity>,
}

impl ItemSet {
    fn origin(&self, origin: Origin<'_>) -> bool {
        match origin {
            Origin::Export { instance, .. } => self.instances.contains(&instance),
            Origin::Lowered(entity) => self.entities.contains(&entity),
        }
    }
}

/// An argument of an instance that is a whole instance of the group.
pub(super) struct WholeInstance<'a> {
    pub(super) name: &'a str,
    pub(super) member: usize,
    /// The names that are imported from the argument.
    pub(super) fields: Vec<&'a str>,
}

/// The instances that become one.
pub(super) struct Group<'i, 'a> {
    /// The instances, in the order of the component.
    pub(super) instances: Vec<usize>,
    pub(super) bound: ItemSet,
    pub(super) members: Vec<Member<'i, 'a>>,
    /// What the members import from outside of the group, in the order of the imports of the merged
    /// module.
    pub(super) outside: Vec<(Kind, Origin<'a>)>,
    /// The number of each export of the merged module, by member and entity.
    pub(super) exports: HashMap<(usize, Entity), usize>,
}

impl<'i, 'a> Group<'i, 'a> {
    pub(super) fn new(
        items: &'i Items<'a>,
        instances: Vec<usize>,
        bound: ItemSet,
    ) -> Result<Self, Unmerged> {
        let mut members = Vec::with_capacity(instances.len());
        let mut outside = Vec::new();
        for instance in &instances {
            let module = items.sole_module(*instance).ok_or(UNKNOWN)?;
            let mut sources = Vec::with_capacity(module.imports.len());
            for (import, origin) in
                module.imports.iter().zip(items.origins(*instance)?.iter().copied())
            {
                let member = |of: usize| instances.iter().position(|instance| *instance == of);
                sources.push(match origin {
                    Origin::Export { instance, name } if bound.instances.contains(&instance) => {
                        let entity = items
                            .module(instance)
                            .and_then(|module| module.exports.get(name))
                            .ok_or(UNKNOWN)?;
                        Source::Member { member: member(instance).ok_or(UNKNOWN)?, entity: *entity }
                    }
                    origin => {
                        outside.push((Kind::of_import(import.ty)?, origin));
                        Source::Outside
                    }
                });
            }
            members.push(Member { module, sources });
        }
        let mut group = Self { instances, bound, members, outside, exports: HashMap::new() };
        group.find_exports(items)?;
        Ok(group)
    }

    /// Finds what the rest of the component uses of the group. These become exports of the merged
    /// module.
    fn find_exports(&mut self, items: &Items<'a>) -> Result<(), Unmerged> {
        let used = items.used(Some(self))?;
        let mut found = Vec::new();
        for item in &items.items {
            match item {
                Item::Alias(entity) if used.entities.contains(entity) => {
                    if let Definition::Alias { instance, name } = items.definition(*entity)? {
                        found.push((*instance, *name));
                    }
                }
                Item::Instance(instance) if !self.instances.contains(instance) => {
                    for whole in self.whole(items, *instance)? {
                        found.extend(whole.fields.into_iter().map(|field| (whole.member, field)));
                    }
                }
                _ => {}
            }
        }
        for (instance, name) in found {
            if let Some(key) = self.key(instance, name)? {
                let number = self.exports.len();
                self.exports.entry(key).or_insert(number);
            }
        }
        Ok(())
    }

    /// The member and the entity that an export of an instance stands for. `None` when the instance
    /// is not of the group.
    pub(super) fn key(
        &self,
        instance: usize,
        name: &str,
    ) -> Result<Option<(usize, Entity)>, Unmerged> {
        let Some(member) = self.instances.iter().position(|of| *of == instance) else {
            return Ok(None);
        };
        let entity = self
            .members
            .get(member)
            .and_then(|member| member.module.exports.get(name))
            .ok_or(UNKNOWN)?;
        Ok(Some((member, *entity)))
    }

    /// The arguments of an instance that are whole instances of the group.
    pub(super) fn whole(
        &self,
        items: &Items<'a>,
        instance: usize,
    ) -> Result<Vec<WholeInstance<'a>>, Unmerged> {
        let Some(CoreInstance::Instantiated { arguments, .. }) = items.instances.get(instance)
        else {
            return Ok(Vec::new());
        };
        let mut whole = Vec::new();
        for (name, argument) in
            arguments.iter().filter(|(_, argument)| self.instances.contains(argument))
        {
            let module = items
                .module(instance)
                .ok_or(Unmerged("it passes instances to a module that is not read"))?;
            let mut fields: Vec<&str> = module
                .imports
                .iter()
                .filter(|import| import.module == *name)
                .map(|import| import.name)
                .collect();
            fields.sort_unstable();
            fields.dedup();
            whole.push(WholeInstance { name, member: *argument, fields });
        }
        Ok(whole)
    }
}

impl<'a> Items<'a> {
    /// The instances that become one, in their order. The first one is an instance that others
    /// import from. The others come after it and import only from these instances and from what
    /// does not depend on them.
    pub(super) fn group(&self) -> Result<Vec<usize>, Unmerged> {
        let instantiated =
            |instance: &CoreInstance<'_>| matches!(instance, CoreInstance::Instantiated { .. });
        if self.instances.iter().filter(|instance| instantiated(instance)).count() > INSTANCES {
            return Err(Unmerged("it has too many instances"));
        }
        for first in 0..self.instances.len() {
            let Some(module) = self.sole_module(first).filter(|module| module.start.is_none())
            else {
                continue;
            };
            let mut group = vec![first];
            let mut modules = vec![module];
            for later in first + 1..self.instances.len() {
                let Some(module) = self.sole_module(later) else { continue };
                let origins = self.origins(later)?;
                let within = |origin: &Origin<'_>| matches!(origin, Origin::Export { instance, .. } if group.contains(instance));
                let bound = self.bound(&group)?;
                let needs = origins.iter().any(within)
                    && origins.iter().all(|origin| within(origin) || !bound.origin(*origin));
                let between: Vec<usize> =
                    (first + 1..later).filter(|instance| !group.contains(instance)).collect();
                modules.push(module);
                group.push(later);
                if !needs
                    || !fit_in_one(&modules)
                    || !between.into_iter().all(|instance| self.may_pass(&group, instance))
                {
                    modules.pop();
                    group.pop();
                    continue;
                }
                // In a merged module this start function would run before the modules that are
                // merged after it.
                if module.start.is_some() {
                    break;
                }
            }
            if group.len() > 1 {
                return Ok(group);
            }
        }
        Err(Unmerged("no instances can be one"))
    }

    /// Whether the group can be made before or after `instance`, which is made between two
    /// instances of the group. It can when neither runs code at instantiation and they do not write
    /// to the same tables or memories.
    fn may_pass(&self, group: &[usize], instance: usize) -> bool {
        if matches!(self.instances.get(instance), Some(CoreInstance::Exports(_))) {
            return true;
        }
        let runs =
            |instance: usize| self.module(instance).is_none_or(|module| module.start.is_some());
        let Some(passed) = self.written(instance) else { return false };
        !runs(instance)
            && group.iter().all(|member| {
                !runs(*member)
                    && self.written(*member).is_some_and(|written| {
                        !written.iter().any(|entity| passed.contains(entity))
                    })
            })
    }

    /// The tables and memories that are written when an instance is made, each with the instance
    /// that owns it. `None` when that is not known.
    fn written(&self, instance: usize) -> Option<Vec<(usize, Entity)>> {
        self.module(instance)?
            .written()
            .into_iter()
            .map(|entity| self.owner(instance, entity))
            .collect()
    }

    /// The instance that defines an entity of the module of `instance`, and the index of the entity
    /// there.
    fn owner(&self, mut instance: usize, mut entity: Entity) -> Option<(usize, Entity)> {
        loop {
            let Some(import) = self.module(instance)?.import_of(entity) else {
                return Some((instance, entity));
            };
            match self.origins(instance).ok()?.get(import)? {
                Origin::Export { instance: of, name } if *of < instance => {
                    (instance, entity) = (*of, *self.module(*of)?.exports.get(name)?)
                }
                Origin::Export { .. } | Origin::Lowered(_) => return None,
            }
        }
    }

    /// The items that are bound to the group.
    pub(super) fn bound(&self, group: &[usize]) -> Result<ItemSet, Unmerged> {
        let mut bound = ItemSet::default();
        for item in &self.items {
            match item {
                Item::Instance(instance) => {
                    let is = group.contains(instance)
                        || match self.instances.get(*instance).ok_or(UNKNOWN)? {
                            CoreInstance::Instantiated { arguments, .. } => arguments
                                .iter()
                                .any(|(_, argument)| bound.instances.contains(argument)),
                            CoreInstance::Exports(exports) => {
                                exports.iter().any(|(_, entity)| bound.entities.contains(entity))
                            }
                        };
                    if is {
                        bound.instances.insert(*instance);
                    }
                }
                Item::Alias(entity) | Item::Lower(_, entity) => {
                    let is = match self.definition(*entity)? {
                        Definition::Alias { instance, .. } => bound.instances.contains(instance),
                        Definition::Lowered { refers } => {
                            refers.iter().any(|entity| bound.entities.contains(entity))
                        }
                    };
                    if is {
                        bound.entities.insert(*entity);
                    }
                }
                Item::Module(_)
                | Item::Component(..)
                | Item::Lift(..)
                | Item::ComponentAlias(_)
                | Item::Other(..) => {}
            }
        }
        Ok(bound)
    }

    /// The instances and entities that the items outside of the group use.
    pub(super) fn used(&self, group: Option<&Group<'_, 'a>>) -> Result<ItemSet, Unmerged> {
        let mut used = ItemSet::default();
        let members = group.map(|group| group.instances.as_slice()).unwrap_or_default();
        for (_, origin) in group.iter().flat_map(|group| &group.outside) {
            if let Origin::Lowered(entity) = origin {
                used.entities.insert(*entity);
            }
        }
        for item in self.items.iter().rev() {
            match item {
                Item::Instance(instance) if members.contains(instance) => {}
                Item::Instance(instance) => match self.instances.get(*instance).ok_or(UNKNOWN)? {
                    CoreInstance::Instantiated { arguments, .. } => {
                        used.instances.insert(*instance);
                        used.instances.extend(arguments.iter().map(|(_, argument)| *argument));
                    }
                    CoreInstance::Exports(exports) if used.instances.contains(instance) => {
                        used.entities.extend(exports.iter().map(|(_, entity)| *entity));
                    }
                    CoreInstance::Exports(_) => {}
                },
                Item::Alias(entity) if used.entities.contains(entity) => {
                    if let Definition::Alias { instance, .. } = self.definition(*entity)? {
                        used.instances.insert(*instance);
                    }
                }
                // Lowered functions are kept also when nothing uses them. There are few of them,
                // and the component may depend on what they lower.
                Item::Lower(_, entity) => {
                    used.entities.insert(*entity);
                    if let Definition::Lowered { refers } = self.definition(*entity)? {
                        used.entities.extend(refers);
                    }
                }
                Item::Lift(_, refers) => used.entities.extend(refers),
                Item::Alias(_)
                | Item::Module(_)
                | Item::Component(..)
                | Item::ComponentAlias(_)
                | Item::Other(..) => {}
            }
        }
        Ok(used)
    }
}
