//! How names are written, for JSON Schemas. The types in [`crate::id`] decide what is accepted.

use schemars::{Schema, SchemaGenerator, json_schema};

/// Of workspaces and of users.
const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_-]{0,49}$";
const VALUE_PATH: &str = r"^[ufg](/(?!\.{1,2}(/|$))[A-Za-z0-9_.@-]{1,100}){2,}$";

fn pattern(pattern: &str) -> Schema {
    json_schema!({"type": "string", "pattern": pattern})
}

/// A workspace's name.
pub fn workspace(_: &mut SchemaGenerator) -> Schema {
    pattern(NAME)
}

/// A user's name.
pub fn user(_: &mut SchemaGenerator) -> Schema {
    pattern(NAME)
}

/// A user's name, or none.
pub fn optional_user(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": ["string", "null"], "pattern": NAME})
}

/// A workspace's name, or none.
pub fn optional_workspace(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": ["string", "null"], "pattern": NAME})
}

/// An address of mail.
pub fn email(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "pattern": "^[!-?A-~]+@[!-~]+$", "maxLength": 254})
}

/// A webhook's URL, or none.
pub fn optional_webhook(_: &mut SchemaGenerator) -> Schema {
    let pattern = "^(https?://[A-Za-z0-9._-]+(:[1-9][0-9]{0,3})?(/[A-Za-z0-9/._~%?&=+-]*)?)?$";
    json_schema!({"type": ["string", "null"], "pattern": pattern, "maxLength": 2048})
}

/// A script's path.
pub fn path(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "pattern": r"^[uf](/(?!\.{1,2}(/|$))[A-Za-z0-9_.@-]{1,100}){2,}$", "maxLength": 255})
}

/// A variable's or a resource's path.
pub fn value_path(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "pattern": VALUE_PATH, "maxLength": 255})
}

/// A variable's or a resource's path, or none.
pub fn optional_value_path(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": ["string", "null"], "pattern": VALUE_PATH, "maxLength": 255})
}

/// A type of resources.
pub fn resource_type(_: &mut SchemaGenerator) -> Schema {
    pattern("^[A-Za-z0-9_.-]{1,100}$")
}

/// A type of resources, or none.
pub fn optional_resource_type(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": ["string", "null"], "pattern": "^[A-Za-z0-9_.-]{1,100}$"})
}

/// A version's hash.
pub fn hash(_: &mut SchemaGenerator) -> Schema {
    pattern("^[0-9a-f]{64}$")
}

/// A version's hash, or none.
pub fn optional_hash(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": ["string", "null"], "pattern": "^([0-9a-f]{64})?$"})
}

/// The first characters of a token.
pub fn token_prefix(_: &mut SchemaGenerator) -> Schema {
    pattern("^[A-Za-z0-9_-]{10,}$")
}

/// A list of scopes, or none.
pub fn optional_scopes(_: &mut SchemaGenerator) -> Schema {
    let item = "^([a-z_]+:(read|write|run)|jobs:run:(scripts|flows))(:(\\*|[A-Za-z0-9/_.@-]+(/\\*)?)(,(\\*|[A-Za-z0-9/_.@-]+(/\\*)?))*)?$";
    json_schema!({"type": ["array", "null"], "items": {"type": "string", "pattern": item}})
}

/// A time, or none.
pub fn optional_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": ["string", "null"], "format": "date-time"})
}

/// A number of seconds, or none.
pub fn optional_seconds(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": ["integer", "null"], "minimum": 1, "maximum": u32::MAX})
}

/// A list of jobs' ids.
pub fn job_ids(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "items": {"type": "string", "format": "uuid"}, "maxItems": 100})
}
