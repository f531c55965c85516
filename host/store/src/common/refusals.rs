//! What the verbs answer when they refuse, in the same words for every back end.

use crate::{EventId, NewJob, StoreError};
use wasmill_core::{Digest, JobId, ScriptPath, UserName, VersionHash, WorkspaceId};

pub(crate) fn no_workspace(id: &WorkspaceId) -> StoreError {
    StoreError::NotFound(format!("workspace {id}"))
}

pub(crate) fn workspace_taken(id: &WorkspaceId) -> StoreError {
    StoreError::Conflict(format!("workspace {id} exists already"))
}

pub(crate) fn no_user(name: &UserName) -> StoreError {
    StoreError::NotFound(format!("user {name}"))
}

pub(crate) fn token_taken() -> StoreError {
    StoreError::Conflict("a token of this digest exists already".into())
}

/// The job's version is not there, or deleted.
pub(crate) fn no_version_of(job: &NewJob) -> StoreError {
    no_version(&job.version)
}

pub(crate) fn no_version(hash: &VersionHash) -> StoreError {
    StoreError::NotFound(format!("version {hash}"))
}

/// The version to deploy is there at another path.
pub(crate) fn version_elsewhere(hash: &VersionHash, path: &ScriptPath) -> StoreError {
    StoreError::Conflict(format!("version {hash} exists already at the path {path}"))
}

pub(crate) fn module_collecting(module: &Digest) -> StoreError {
    StoreError::Conflict(format!("module {module} is being collected"))
}

pub(crate) fn job_taken(id: &JobId) -> StoreError {
    StoreError::Conflict(format!("job {id} exists already"))
}

pub(crate) fn no_webhook(workspace: &WorkspaceId) -> StoreError {
    StoreError::NotFound(format!("webhook of the workspace {workspace}"))
}

pub(crate) fn no_delivery(event: EventId) -> StoreError {
    StoreError::NotFound(format!("delivery {event}"))
}
