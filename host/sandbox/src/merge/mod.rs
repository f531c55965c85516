//! Makes one core module of those of a component that import from each other.
//!
//! Toolchains that link libraries at run time (JavaScript made with componentize-qjs, Python made
//! with componentize-py) give a component one module for each library, all with the table and the
//! memory of another. The engine prepares a table only for the module that owns it, so each
//! instance of such a component looks its functions up one by one, which was most of a small call.
//! As one module, the table is prepared when the script is compiled, there are fewer instances to
//! make, and functions of one library call those of another directly: a call takes a third of the
//! time, in JavaScript and in Python. In Rust it saves one instance of three, a tenth of the
//! sandbox's time.
//!
//! What a caller can see stays the same. Where that can't be shown from the outline of a component,
//! it is left as it is. What is merged is validated by the engine, and so must the upload be: see
//! [`merged`].

mod group;
mod items;
mod module;
mod write;

use group::Group;
use items::{Item, Items};
use wasm_encoder::{ComponentSectionId, reencode};
use wasmparser::{BinaryReaderError, ComponentAlias, ComponentOuterAliasKind, Parser, Payload};

/// Why a component is left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not merged: {0}")]
pub struct Unmerged(&'static str);

impl From<BinaryReaderError> for Unmerged {
    fn from(_: BinaryReaderError) -> Self {
        Self("it can't be read")
    }
}

impl From<reencode::Error<Unmerged>> for Unmerged {
    fn from(error: reencode::Error<Unmerged>) -> Self {
        match error {
            reencode::Error::UserError(error) => error,
            _ => Self("it can't be written"),
        }
    }
}

const INSTANCE_SECTION: u8 = ComponentSectionId::Instance as u8;
const START_SECTION: u8 = ComponentSectionId::Start as u8;

const MODULES_PASSED: Unmerged = Unmerged("it passes modules on");
const UNKNOWN: Unmerged = Unmerged("it refers to something that does not exist");

/// The same component with fewer modules, and so for those within it. It is what the sandbox
/// compiles in its place, and says nothing about whether the component is valid.
///
/// # Errors
/// When there is nothing to merge, or it is not certain that nobody could tell the difference.
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
    rewritten(wasm)
}

fn rewritten(wasm: &[u8]) -> Result<Vec<u8>, Unmerged> {
    let mut items = Items::read(wasm)?;
    let mut inner = false;
    for item in &mut items.items {
        if let Item::Component(bytes, replaced) = item {
            *replaced = rewritten(bytes).ok();
            inner |= replaced.is_some();
        }
    }
    match one(&items) {
        Err(_) if inner => items.write(None),
        outcome => outcome,
    }
}

/// The group's instances as one.
fn one(items: &Items<'_>) -> Result<Vec<u8>, Unmerged> {
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
            // What is made of a lifted function could not move with it.
            Item::Lift(_, refers)
                if refers.iter().any(|entity| bound.entities.contains(entity)) =>
            {
                return Err(Unmerged("a function is lifted between its instances"));
            }
            // Whatever runs in there might see what is not made yet.
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
