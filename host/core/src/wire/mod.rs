//! The JSON types of the HTTP API: what requests carry and answers show. Times are RFC 3339 in UTC
//! with microseconds.

mod accounts;
mod jobs;
mod scripts;
mod tokens;
mod values;
mod webhooks;

pub use accounts::*;
pub use jobs::*;
pub use scripts::*;
pub use tokens::*;
pub use values::*;
pub use webhooks::*;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A time in microseconds since 1970 as RFC 3339 in UTC with microseconds:
/// `2026-01-31T09:00:00.000001Z`.
pub fn timestamp(micros: i64) -> String {
    let fallback = time::OffsetDateTime::UNIX_EPOCH;
    let at = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .unwrap_or(fallback);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.microsecond()
    )
}

/// Reads an RFC 3339 time into microseconds since 1970. `None` when it is not one.
pub fn parse_timestamp(text: &str) -> Option<i64> {
    let at =
        time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000).ok()
}

/// How names are written, for schemas. What decides is the types in `id`.
pub mod patterns {
    use super::*;

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
}

/// How the host is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Health {
    /// `healthy` or `unhealthy`.
    pub status: &'static str,
    /// When it was looked.
    pub checked_at: String,
    /// Whether the storage answers.
    pub database_healthy: bool,
    /// Workers of this process: 1, or 0 when it leaves queued jobs to others.
    pub workers_alive: u32,
}

/// A refusal or a fault (RFC 9457), `application/problem+json`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProblemBody<'a> {
    /// Which kind, with a page about it.
    pub r#type: String,
    /// The same for every problem of this kind.
    pub title: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong with this request, and what to do.
    pub detail: &'a str,
}

/// JSON text that is passed through unread.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RawJson(pub Box<RawValue>);

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Eq for RawJson {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(timestamp(1_767_225_600_000_001), "2026-01-01T00:00:00.000001Z");
        assert_eq!(parse_timestamp("2026-01-01T00:00:00.000001Z"), Some(1_767_225_600_000_001));
        assert_eq!(parse_timestamp("2026-01-01T01:00:00+01:00"), Some(1_767_225_600_000_000));
        assert_eq!(parse_timestamp("yesterday"), None);
    }
}
