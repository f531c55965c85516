//! The verbs of scripts and their versions.

use crate::{Deployed, Micros, NewVersion, Result, Version};
use async_trait::async_trait;
use std::time::Duration;
use wasmill_core::{Digest, ScriptPath, VersionHash, WorkspaceId};

/// Scripts and their versions.
#[async_trait]
pub trait Scripts: Send + Sync {
    /// Deploys a version. The same hash as the path's newest one changes nothing (`created:
    /// false`); the hash of an older version of that path deploys that one again as the newest,
    /// without a second row in the history of hashes. A deleted version comes back by it, as new.
    /// `NotFound` when the workspace is missing.
    async fn deploy(&self, workspace: &WorkspaceId, version: &NewVersion) -> Result<Deployed>;
    /// The newest deployed version of a path that is not deleted; `None` when there is none or the
    /// path is archived.
    async fn newest(&self, workspace: &WorkspaceId, path: &ScriptPath) -> Result<Option<Version>>;
    /// The version of this hash in this workspace, also a deleted one or one of an archived path. A
    /// hash of another workspace is `None`.
    async fn version(&self, workspace: &WorkspaceId, hash: &VersionHash)
    -> Result<Option<Version>>;
    /// What `newest` finds for each path, by path, after `after`, at most `limit`.
    async fn list_scripts(
        &self,
        workspace: &WorkspaceId,
        after: Option<&ScriptPath>,
        limit: u32,
    ) -> Result<Vec<Version>>;
    /// A path's versions, deleted ones included, newest deployment first.
    async fn history(
        &self,
        workspace: &WorkspaceId,
        path: &ScriptPath,
        limit: u32,
    ) -> Result<Vec<Version>>;
    /// Archives a path: `newest` no longer finds it, `version` still does. False when there is no
    /// such path. Deploying to it again brings it back.
    async fn archive(&self, workspace: &WorkspaceId, path: &ScriptPath, at: Micros)
    -> Result<bool>;
    /// Deletes a version: nothing new can be queued for it, and what is left of it tells that it
    /// was there. False when there is no such version or it is deleted already.
    async fn delete_version(
        &self,
        workspace: &WorkspaceId,
        hash: &VersionHash,
        at: Micros,
    ) -> Result<bool>;
    /// True when a version of any workspace that is not deleted needs this module.
    async fn module_in_use(&self, module: &Digest) -> Result<bool>;
    /// Keeps a module from being collected until `until`, for it is about to be put and deployed.
    /// `Conflict` while it is being collected at `now`: the caller tries again a moment later.
    async fn reserve_module(&self, module: &Digest, now: Micros, until: Micros) -> Result<()>;
    /// Begins to collect a module: true when no version that is not deleted needs it, nobody has it
    /// reserved at `now`, and nobody else is collecting it. Until `module_collected`, or `until`
    /// should that never come, it cannot be reserved.
    async fn collect_module(&self, module: &Digest, now: Micros, until: Micros) -> Result<bool>;
    /// Ends the collecting of a module: its bytes are gone, or were left.
    async fn module_collected(&self, module: &Digest) -> Result<()>;
    /// Sets how long finished jobs of a script are kept; `None`: as the workspace says. False when
    /// there is no such path.
    async fn set_retention(
        &self,
        workspace: &WorkspaceId,
        path: &ScriptPath,
        keep: Option<Duration>,
    ) -> Result<bool>;
    /// The scripts for which a retention is set by `set_retention`, by path.
    async fn retentions(&self, workspace: &WorkspaceId) -> Result<Vec<(ScriptPath, Duration)>>;
}
