//! Variables and resources as the one form that their two tables have.

use crate::{Resource, Variable};
use wasmill_core::ValuePath;

/// A row of either; `kind` is the column that only one of them has.
pub(crate) struct Item<K> {
    pub(crate) path: ValuePath,
    pub(crate) value: Vec<u8>,
    pub(crate) kind: K,
    pub(crate) description: String,
    pub(crate) changed_by: String,
    pub(crate) changed: i64,
}

impl From<Variable> for Item<bool> {
    fn from(variable: Variable) -> Self {
        let Variable { path, value, is_secret: kind, description, changed_by, changed } = variable;
        Self { path, value, kind, description, changed_by, changed }
    }
}

impl From<Item<bool>> for Variable {
    fn from(item: Item<bool>) -> Self {
        let Item { path, value, kind: is_secret, description, changed_by, changed } = item;
        Self { path, value, is_secret, description, changed_by, changed }
    }
}

impl From<Resource> for Item<String> {
    fn from(resource: Resource) -> Self {
        let Resource { path, value, resource_type: kind, description, changed_by, changed } =
            resource;
        Self { path, value, kind, description, changed_by, changed }
    }
}

impl From<Item<String>> for Resource {
    fn from(item: Item<String>) -> Self {
        let Item { path, value, kind: resource_type, description, changed_by, changed } = item;
        Self { path, value, resource_type, description, changed_by, changed }
    }
}
