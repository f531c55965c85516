//! Scripts and their versions.

use super::patterns;
use super::raw_json::RawJson;
use crate::limits::DeclaredLimits;
use crate::manifest::{ScriptSettings, WithoutCaller};
use crate::queue::RetryPolicy;
use crate::runnable::Kind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A script version, as the script routes show it. Keys and meaning are Windmill's where both have
/// them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// More about it.
    #[serde(default)]
    pub description: String,
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
    /// Seconds after which arguments, results and logs are erased; 0: after use. Absent: they are
    /// kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_after_secs: Option<u32>,
    /// Runs at the same time at most. Absent: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent_limit: Option<u32>,
    /// What the limit counts together. Absent: all runs of the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_key: Option<String>,
    /// Seconds for which finished jobs of the path are kept, where that is shorter than for the
    /// workspace. Absent: as there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_runs_secs: Option<u64>,
    /// JSON Schema of the arguments; `null` when unknown.
    pub schema: Option<Box<RawJson>>,
    /// Who deployed it.
    pub created_by: String,
    /// When.
    pub created_at: String,
    /// True when its path no longer runs.
    pub archived: bool,
    /// True when it was deleted: of such a version little more is left than that it was there.
    pub deleted: bool,
    /// Always false.
    #[serde(default)]
    pub is_template: bool,
    /// Always false.
    #[serde(default)]
    pub has_preprocessor: bool,
    /// Always false.
    #[serde(default)]
    pub starred: bool,
    /// Always empty: rights come from roles and scopes.
    #[serde(default)]
    pub extra_perms: BTreeMap<String, bool>,
}

/// A script to deploy, described in JSON.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct NewScript {
    /// `u/...` or `f/...`.
    #[schemars(schema_with = "patterns::path")]
    pub path: String,
    /// The wasm, in standard base64.
    pub content: String,
    /// Must be `wasm`.
    #[schemars(extend("const" = "wasm"))]
    pub language: String,
    /// One line about it.
    #[serde(default)]
    pub summary: String,
    /// The version that this one follows. Given and no longer the newest: 400, so that nobody's
    /// work is overwritten unseen.
    #[serde(default)]
    #[schemars(schema_with = "patterns::optional_hash")]
    pub parent_hash: Option<String>,
    /// Longest run, seconds; never above the host's.
    #[serde(default)]
    pub timeout: Option<u64>,
    /// Memory of a run, MiB; never above the host's.
    #[serde(default)]
    pub memory_mib: Option<u64>,
    /// Arguments, result and log are never written for synchronous runs, and of queued ones erased
    /// once the result was read.
    #[serde(default)]
    pub delete_after_use: Option<bool>,
    /// Seconds after a run's end at which its arguments, result and log are erased; 0: after use.
    #[serde(default)]
    pub delete_after_secs: Option<u32>,
    /// What becomes of a synchronous run whose caller hangs up.
    #[serde(default)]
    pub on_hang_up: WithoutCaller,
    /// What becomes of one that takes longer than its caller may wait.
    #[serde(default)]
    pub on_sync_timeout: WithoutCaller,
    /// When a queued run that failed is started again.
    #[serde(default)]
    pub retry: Option<RetryPolicy>,
    /// Runs at the same time at most; 0: any number.
    #[serde(default)]
    pub concurrent_limit: Option<u32>,
    /// What the limit counts together, for instance `$args[customer]`.
    #[serde(default)]
    #[schemars(length(max = 500))]
    pub concurrency_key: Option<String>,
    /// Must be absent, `null` or 0: how many start in a time is not limited here.
    #[serde(default)]
    #[schemars(range(max = 0))]
    pub concurrency_time_window_s: Option<u32>,
}

/// How long finished jobs are kept.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Retention {
    /// Seconds, at least 1; `null`: as long as it is said one level above. Left out, nothing is
    /// said.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schemars(schema_with = "patterns::optional_seconds")]
    pub keep_runs_secs: Option<u32>,
}

/// One entry of a script's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryEntry {
    /// 64 hex digits.
    pub script_hash: String,
    /// When it was first deployed.
    pub created_at: String,
    /// By whom.
    pub created_by: String,
}

/// How the deployment of a version went.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DeploymentStatus {
    /// Always empty: a component has its dependencies inside. That it is not `null` tells clients
    /// that the version runs.
    pub lock: &'static str,
    /// Always `null`: what cannot be deployed is refused.
    pub lock_error_logs: Option<String>,
    /// Always `null`: deploying takes no job.
    pub job_id: Option<String>,
}

/// The addresses of a deployed version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
