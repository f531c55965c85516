//! The verbs of variables and resources.

use crate::{Micros, PutMode, Resource, Result, Variable};
use async_trait::async_trait;
use wasmill_core::{ValuePath, WorkspaceId};

/// Variables and resources. Their values are bytes that only the host can open.
#[async_trait]
pub trait Values: Send + Sync {
    /// Puts a variable. `NotFound` when the workspace is missing, and both errors as the mode has
    /// it.
    async fn put_variable(
        &self,
        workspace: &WorkspaceId,
        variable: &Variable,
        mode: &PutMode,
    ) -> Result<()>;
    /// The variable at a path.
    async fn variable(&self, workspace: &WorkspaceId, path: &ValuePath)
    -> Result<Option<Variable>>;
    /// The variables whose paths begin with `prefix`, by path, after `after`, at most `limit`. The
    /// values of secret ones are empty.
    async fn list_variables(
        &self,
        workspace: &WorkspaceId,
        prefix: &str,
        after: Option<&ValuePath>,
        limit: u32,
    ) -> Result<Vec<Variable>>;
    /// Deletes a variable; `NotFound` when there is none.
    async fn delete_variable(
        &self,
        workspace: &WorkspaceId,
        path: &ValuePath,
        at: Micros,
    ) -> Result<()>;
    /// Puts a resource. `NotFound` when the workspace is missing, and both errors as the mode has
    /// it.
    async fn put_resource(
        &self,
        workspace: &WorkspaceId,
        resource: &Resource,
        mode: &PutMode,
    ) -> Result<()>;
    /// The resource at a path.
    async fn resource(&self, workspace: &WorkspaceId, path: &ValuePath)
    -> Result<Option<Resource>>;
    /// The resources, of one of `types` (none: any), whose paths begin with `prefix`, by path,
    /// after `after`, at most
    /// `limit`. Their values are empty, for they may be large.
    async fn list_resources(
        &self,
        workspace: &WorkspaceId,
        types: &[String],
        prefix: &str,
        after: Option<&ValuePath>,
        limit: u32,
    ) -> Result<Vec<Resource>>;
    /// The types that a workspace's resources have, each once, in order.
    async fn resource_types(&self, workspace: &WorkspaceId) -> Result<Vec<String>>;
    /// Deletes a resource; `NotFound` when there is none.
    async fn delete_resource(
        &self,
        workspace: &WorkspaceId,
        path: &ValuePath,
        at: Micros,
    ) -> Result<()>;
}
