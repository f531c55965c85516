//! Jobs.

use super::patterns;
use crate::queue::RetryPolicy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A job as the job routes show it: `type` is `QueuedJob` or `CompletedJob`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
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
    /// When it is started again after a run that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// How many jobs of its key may run at once; queued jobs only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_limit: Option<u32>,
    /// Its longest run, seconds, when shorter than the script's; queued jobs only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
}

/// One attempt of a job.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Attempt<'a> {
    /// Which, counted from 1.
    pub attempt: u32,
    /// When it was started.
    pub started_at: String,
    /// How long it took, milliseconds. Absent while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// `success`, `failure`, `canceled`, `lost` (its process went away) or `running`.
    pub status: &'static str,
    /// The result, or the error. Absent while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<&'a RawValue>,
    /// The log; of one that runs, what there is so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<String>,
}

/// What became of jobs that were to be restarted.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Restarted {
    /// Those that were, oldest first.
    pub restarted: Vec<RestartedJob>,
    /// Those that could not be.
    pub skipped: Vec<SkippedJob>,
    /// Where to go on, as the query parameter `next` beside the same filters; `null` when there are
    /// no more.
    pub next: Option<String>,
}

/// A job that was restarted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestartedJob {
    /// The finished one.
    pub id: String,
    /// The one that was queued in its place.
    pub new_id: String,
}

/// A job that could not be restarted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkippedJob {
    /// Which.
    pub id: String,
    /// Why, a sentence.
    pub reason: String,
}

/// Jobs to run again.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct BatchRerun {
    /// Which.
    #[schemars(schema_with = "patterns::job_ids")]
    pub job_ids: Vec<String>,
    /// How, by the paths of their scripts.
    #[serde(default)]
    pub script_options_by_path: BTreeMap<String, RerunOptions>,
}

/// How the jobs of a script are run again.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct RerunOptions {
    /// By the newest version, not by the one that they ran.
    #[serde(default)]
    pub use_latest_version: bool,
    /// Must be empty: they are run with the arguments that they had.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 0))]
    pub input_transforms: BTreeMap<String, serde_json::Value>,
}

/// The answer of `get_result_maybe`: always all four keys.
#[derive(Debug, Clone, Serialize, JsonSchema)]
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

/// When a completed job ran.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Timing {
    /// When it was asked for.
    pub created_at: String,
    /// When it was started.
    pub started_at: String,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
}

/// Why a job is cancelled.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct CancelRequest {
    /// For people.
    #[serde(default)]
    pub reason: Option<String>,
}

/// How many jobs there are.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct JobCount {
    /// As many.
    pub database_length: u64,
    /// Of queued ones: those that wait for somebody's approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended: Option<u64>,
}

/// Where a moment lies in the queue.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct QueuePosition {
    /// Jobs that are to start before it.
    pub position: u64,
}
