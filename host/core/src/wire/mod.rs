//! The JSON types of the HTTP API: what requests carry and answers show. Times are RFC 3339 in UTC
//! with microseconds.

mod accounts;
mod jobs;
pub mod patterns;
mod raw_json;
mod scripts;
mod tokens;
mod values;
mod webhooks;

pub use accounts::*;
pub use jobs::*;
pub use raw_json::RawJson;
pub use scripts::*;
pub use tokens::*;
pub use values::*;
pub use webhooks::*;

use schemars::JsonSchema;
use serde::Serialize;

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
