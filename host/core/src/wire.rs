//! The JSON types of the HTTP API: what requests carry and answers show. Times are RFC 3339 in UTC with microseconds.

mod values;

pub use values::*;

use crate::limits::DeclaredLimits;
use crate::manifest::{Kind, ScriptSettings};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A time in microseconds since 1970 as RFC 3339 in UTC with microseconds: `2026-01-31T09:00:00.000001Z`.
pub fn timestamp(micros: i64) -> String {
    let fallback = time::OffsetDateTime::UNIX_EPOCH;
    let at = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).unwrap_or(fallback);
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
    let at = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000).ok()
}

/// A script version, as the script routes show it. Keys and meaning are Windmill's where both have them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// Tenant.
    pub workspace_id: String,
    /// 64 hex digits.
    pub hash: String,
    /// `u/...` or `f/...`.
    pub path: String,
    /// Hashes of earlier versions, newest first.
    #[serde(default)]
    pub parent_hashes: Vec<String>,
    /// One line about it.
    pub summary: String,
    /// How it is called.
    pub kind_of_module: Kind,
    /// Always `script`: a runnable of the ordinary kind.
    pub kind: String,
    /// Always `wasm`.
    pub language: String,
    /// SHA-256 of the module's bytes.
    pub module: String,
    /// Bytes of the module.
    pub module_bytes: u64,
    /// What the author declared to narrow the host's limits.
    #[serde(default)]
    pub limits: DeclaredLimits,
    /// What else the author decided.
    #[serde(default)]
    pub settings: ScriptSettings,
    /// Seconds after which arguments, results and logs are erased; 0: after use. Absent: they are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_after_secs: Option<u32>,
    /// JSON Schema of the arguments; `null` when unknown.
    pub schema: Option<Box<RawJson>>,
    /// Who deployed it.
    pub created_by: String,
    /// When.
    pub created_at: String,
    /// True when its path no longer runs.
    pub archived: bool,
    /// Always false: a deleted version is not shown.
    pub deleted: bool,
}

/// JSON text that is passed through unread.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawJson(pub Box<RawValue>);

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Eq for RawJson {}

/// The addresses of a deployed version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Urls {
    /// Newest version, answering with the result.
    pub sync_path: String,
    /// Newest version, answering with a job's id.
    pub async_path: String,
    /// Exactly this version, answering with the result.
    pub sync_hash: String,
    /// Exactly this version, answering with a job's id.
    pub async_hash: String,
}

impl Urls {
    /// The addresses under a base such as `http://127.0.0.1:8000`.
    pub fn new(base: &str, workspace: &str, path: &str, hash: &str) -> Self {
        let of = |mode: &str, what: &str| format!("{base}/api/w/{workspace}/jobs/{mode}/{what}");
        let (by_path, by_hash) = (format!("p/{path}"), format!("h/{hash}"));
        Self {
            sync_path: of("run_wait_result", &by_path),
            async_path: of("run", &by_path),
            sync_hash: of("run_wait_result", &by_hash),
            async_hash: of("run", &by_hash),
        }
    }
}

/// The answer to an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uploaded {
    /// 64 hex digits.
    pub hash: String,
    /// How it is called.
    pub kind: Kind,
    /// Where it was deployed.
    pub path: String,
    /// False when this very version was deployed before.
    pub created: bool,
    /// What it exports, for people.
    pub exports: Vec<String>,
    /// JSON Schema of the arguments; `null` when unknown.
    pub schema: Option<Box<RawJson>>,
}

/// A job as the job routes show it: `type` is `QueuedJob` or `CompletedJob`.
#[derive(Debug, Clone, Serialize)]
pub struct Job<'a> {
    /// `QueuedJob` or `CompletedJob`.
    pub r#type: &'static str,
    /// Tenant.
    pub workspace_id: &'a str,
    /// UUID.
    pub id: String,
    /// Who started it.
    pub created_by: &'a str,
    /// When it was asked for.
    pub created_at: String,
    /// When it was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<String>,
    /// When it may start; queued jobs only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_for: Option<String>,
    /// Queued jobs only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<bool>,
    /// Completed jobs only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success: Option<bool>,
    /// Completed jobs only, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Hash of the version.
    pub script_hash: String,
    /// Path of the version.
    pub script_path: &'a str,
    /// Arguments; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<&'a RawValue>,
    /// Result; completed jobs only, absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<&'a RawValue>,
    /// Log; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<String>,
    /// Always `script`.
    pub job_kind: &'static str,
    /// Always `wasm`.
    pub language: &'static str,
    /// Whether it was cancelled.
    pub canceled: bool,
    /// Who cancelled it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canceled_by: Option<&'a str>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canceled_reason: Option<&'a str>,
    /// The job that this one is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_job: Option<String>,
    /// The job at the top of the tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_job: Option<String>,
    /// Jobs of a higher one start first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i16>,
    /// Completed jobs only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<bool>,
    /// Completed jobs only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_skipped: Option<bool>,
    /// `u/<user>`.
    pub permissioned_as: String,
    /// Address of the user.
    pub email: &'a str,
    /// Always false.
    pub is_flow_step: bool,
    /// Always true.
    pub visible_to_owner: bool,
    /// Always false; queued jobs only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_worker: Option<bool>,
    /// KiB at the peak; completed jobs only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_peak: Option<u64>,
    /// Group of workers.
    pub tag: &'a str,
    /// `webhook` or `manual`.
    pub trigger_kind: &'static str,
    /// Starts so far.
    pub attempt: u32,
}

/// The answer of `get_result_maybe`: always all four keys.
#[derive(Debug, Clone, Serialize)]
pub struct ResultMaybe<'a> {
    /// Whether it is over.
    pub completed: bool,
    /// The result, else `null`.
    pub result: Option<&'a RawValue>,
    /// How it ended, else `null`.
    pub success: Option<bool>,
    /// True once completed; for a queued job `null` unless asked for.
    pub started: Option<bool>,
}

/// What a token is made from.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct NewToken {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// RFC 3339; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration: Option<String>,
    /// Absent: all rights of its user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// The one workspace it works in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<String>,
}

/// A token in a list. The secret is not in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Token {
    /// For people.
    pub label: Option<String>,
    /// The first characters.
    pub token_prefix: String,
    /// When it was made.
    pub created_at: String,
    /// When it stops working.
    pub expiration: Option<String>,
    /// Last use, to about a minute.
    pub last_used_at: Option<String>,
    /// `null`: all rights of its user.
    pub scopes: Option<Vec<String>>,
    /// The one workspace it works in.
    pub workspace_id: Option<String>,
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
