//! The words in which a row describes its operation: query parameters, what a request carries, and
//! what an answer carries.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use wasmill_core::wire::patterns;

/// Writes down a type's schema.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// The schema of a type.
pub(super) fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A query parameter.
pub(super) struct Parameter {
    /// Its name.
    pub(super) name: &'static str,
    /// Its values.
    pub(super) kind: ParameterKind,
    /// What it does, one line.
    pub(super) what: &'static str,
}

/// A query parameter, by position: name, values, what it does.
pub(super) const fn parameter(
    name: &'static str,
    kind: ParameterKind,
    what: &'static str,
) -> Parameter {
    Parameter { name, kind, what }
}

/// The values of a query parameter.
#[derive(Clone, Copy)]
pub(super) enum ParameterKind {
    /// Any text.
    Text,
    /// A whole number from this one on.
    Number(u32),
    /// `true` or `false`.
    Switch,
    /// A time in RFC 3339.
    Time,
    /// A job's id.
    Id,
    /// A version's hash.
    Hash,
    /// A script's path.
    Path,
}

/// What a request carries in its body.
pub(super) enum Takes {
    /// Nothing that is read.
    Nothing,
    /// JSON of this schema.
    Json(SchemaOf),
    /// JSON of this schema, or nothing.
    OptionalJson(SchemaOf),
    /// A module.
    Wasm,
}

/// A constructor for each reader of `Asked`, of the same name and type: `handler!` calls both, so
/// that a body is described as it is read.
impl Takes {
    /// As `Asked::json` reads it.
    pub(super) const fn json<T: JsonSchema>() -> Self {
        Self::Json(of::<T>)
    }

    /// As `Asked::optional_json` reads it.
    pub(super) const fn optional_json<T: JsonSchema>() -> Self {
        Self::OptionalJson(of::<T>)
    }

    /// As `Asked::json_with_module` reads it.
    pub(super) const fn json_with_module<T: JsonSchema>() -> Self {
        Self::Json(of::<T>)
    }

    /// As `Asked::job_ids` reads it.
    pub(super) const fn job_ids() -> Self {
        Self::Json(patterns::job_ids)
    }

    /// As `Asked::module` reads it in the end.
    pub(super) const fn unread_module() -> Self {
        Self::Wasm
    }
}

/// What an answer carries.
pub(super) enum Gives {
    /// Plain text.
    Text,
    /// Markdown.
    Markdown,
    /// A module.
    Wasm,
    /// Server-sent events.
    Events,
    /// JSON of this schema.
    Json(SchemaOf),
}
