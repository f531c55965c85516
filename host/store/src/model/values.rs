//! Variables and resources: named values of a workspace, sealed by the host before they come here.

use super::time::Micros;
use wasmill_core::ValuePath;

/// A named text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name, unique among the workspace's variables.
    pub path: ValuePath,
    /// The value as the host sealed it: opaque bytes.
    pub value: Vec<u8>,
    /// True when it is shown to nobody unasked.
    pub is_secret: bool,
    /// For people.
    pub description: String,
    /// Who changed it last.
    pub changed_by: String,
    /// When.
    pub changed: Micros,
}

/// A named JSON value of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its name, unique among the workspace's resources.
    pub path: ValuePath,
    /// The value as the host sealed it: opaque bytes.
    pub value: Vec<u8>,
    /// What sort of value it is.
    pub resource_type: String,
    /// For people.
    pub description: String,
    /// Who changed it last.
    pub changed_by: String,
    /// When.
    pub changed: Micros,
}

/// What may be there before a value is put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutMode {
    /// Nothing: `Conflict` when the path is taken.
    Create,
    /// The value that is replaced: `NotFound` when there is none.
    Update,
    /// Either.
    Upsert,
    /// A value at this other path, which is replaced and moved: `NotFound` when there is none,
    /// `Conflict` when the new path is taken by another one.
    Rename(ValuePath),
}
