//! Merges core modules of a component that import from each other into one core module.
//!
//! Some toolchains link libraries at run time (JavaScript made with componentize-qjs, Python made
//! with componentize-py). Their components have one module for each library, and these modules use
//! the table and the memory of another module. The engine prepares a table at compile time only for
//! the module that owns it. So each instance of such a component would look up its functions one by
//! one, which took most of the time of a small call.
//!
//! In one merged module the table is prepared at compile time, there are fewer instances to make,
//! and functions of one library call those of another directly. A call then takes a third of the
//! time, in JavaScript and in Python. In Rust merging saves one of three instances, and a tenth of
//! the time in the sandbox.
//!
//! A caller cannot see the difference. A component is left as it is when its outline does not prove
//! that. The engine validates the merged component. The upload must be validated too: see
//! [`merged`].

mod group;
mod items;
mod module;
mod unmerged;
mod write;

pub use unmerged::Unmerged;

use group::Group;
use items::{Item, Items};
use unmerged::{MODULES_PASSED, UNKNOWN};
use wasm_encoder::ComponentSectionId;
use wasmparser::{ComponentAlias, ComponentOuterAliasKind, Parser, Payload};

const INSTANCE_SECTION: u8 = ComponentSectionId::Instance as u8;
const START_SECTION: u8 = ComponentSectionId::Start as u8;

/// The component with fewer core modules; components within it are merged too. The sandbox compiles
/// the merged component in place of the upload. A merged component does not prove that the upload
/// is valid.
///
/// # Errors
/// When there is nothing to merge, or when a caller might see the difference.
pub fn merged(wasm: &[u8]) -> Result<Vec<u8>, Unmerged> {
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::ComponentAliasSection(section) = payload? {
            for alias in section {
                if matches!(
                    alias?,
                    ComponentAlias::Outer { kind: ComponentOuterAliasKind::CoreModule, .. }
                ) {
                    return Err(MODULES_PASSED);
                }
            }
        }
    }
    rewrite(wasm)
}

fn rewrite(wasm: &[u8]) -> Result<Vec<u8>, Unmerged> {
    let mut items = Items::read(wasm)?;
    let mut inner = false;
    for item in &mut items.items {
        if let Item::Component(bytes, replaced) = item {
            *replaced = rewrite(bytes).ok();
            inner |= replaced.is_some();
        }
    }
    match merge_group(&items) {
        Err(_) if inner => items.write(None),
        outcome => outcome,
    }
}

/// The component with the instances of a group merged into one.
fn merge_group(items: &Items<'_>) -> Result<Vec<u8>, Unmerged> {
    let group = items.group()?;
    let bound = items.bound(&group)?;
    let (Some(&first), Some(&last)) = (group.first(), group.last()) else { return Err(UNKNOWN) };
    let position = |of: usize| {
        items
            .items
            .iter()
            .position(|item| matches!(item, Item::Instance(instance) if *instance == of))
            .ok_or(UNKNOWN)
    };
    for item in items.items.get(position(first)?..position(last)?).unwrap_or_default() {
        match item {
            // What is made of a lifted function could not be moved together with it.
            Item::Lift(_, refers)
                if refers.iter().any(|entity| bound.entities.contains(entity)) =>
            {
                return Err(Unmerged("a function is lifted between its instances"));
            }
            // Code that runs between the instances might use what is not made yet.
            Item::Other(INSTANCE_SECTION | START_SECTION, _) => {
                return Err(Unmerged("a component is instantiated between its instances"));
            }
            _ => {}
        }
    }
    items.write(Some(&Group::new(items, group, bound)?))
}

#[cfg(test)]
mod tests;
