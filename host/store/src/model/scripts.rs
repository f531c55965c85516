//! Scripts and their versions.

use super::time::Micros;
use wasmill_core::limits::DeclaredLimits;
use wasmill_core::{Runnable, ScriptPath, VersionHash};

/// A version to deploy.
#[derive(Debug, Clone, PartialEq)]
pub struct NewVersion {
    /// SHA-256 of the canonical manifest.
    pub hash: VersionHash,
    /// The canonical manifest.
    pub manifest: String,
    /// Where it is deployed.
    pub path: ScriptPath,
    /// What it runs.
    pub runnable: Runnable,
    /// Size of its module in bytes.
    pub module_bytes: u64,
    /// The author's own narrower limits.
    pub limits: DeclaredLimits,
    /// JSON Schema of the arguments, when known.
    pub schema: Option<String>,
    /// One line for lists.
    pub summary: String,
    /// Who deployed it.
    pub created_by: String,
    /// When.
    pub created: Micros,
}

/// A stored version.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// What was deployed. `created` and `created_by` are of the first deployment of this hash.
    pub version: NewVersion,
    /// True when it was deleted: it runs no more, and its manifest and summary are empty and its
    /// schema is gone.
    pub deleted: bool,
    /// True when its path is archived.
    pub archived: bool,
    /// The one before it in the path's order of deployment, where a version that was deployed again
    /// counts once, as the newest.
    pub parent: Option<VersionHash>,
}

/// What `deploy` did.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployed {
    /// The version, as `newest` now finds it.
    pub version: Version,
    /// True when this hash was not known in the workspace before, or had been deleted.
    pub created: bool,
}
