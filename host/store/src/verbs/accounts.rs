//! The verbs of workspaces, users and tokens.

use crate::{
    Micros, NewToken, Result, Role, TokenChange, TokenInfo, TokenOwner, User, Workspace,
    WorkspaceSettings,
};
use async_trait::async_trait;
use wasmill_core::{UserName, WorkspaceId};

/// Workspaces, users and tokens.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Makes a workspace; `Conflict` when the name is taken.
    async fn create_workspace(&self, id: &WorkspaceId, name: &str, at: Micros) -> Result<()>;
    /// All workspaces by name.
    async fn list_workspaces(&self) -> Result<Vec<Workspace>>;
    /// What was decided about a workspace: the default until somebody did. `NotFound` when it is
    /// missing.
    async fn workspace_settings(&self, workspace: &WorkspaceId) -> Result<WorkspaceSettings>;
    /// Changes what was decided about a workspace. `NotFound` when it is missing.
    async fn put_workspace_settings(
        &self,
        workspace: &WorkspaceId,
        settings: &WorkspaceSettings,
    ) -> Result<()>;
    /// Makes a user or changes the existing one of that name, which keeps its `created`.
    async fn put_user(&self, user: &User) -> Result<()>;
    /// The user of this name.
    async fn user(&self, name: &UserName) -> Result<Option<User>>;
    /// All users by name.
    async fn list_users(&self) -> Result<Vec<User>>;
    /// Makes a user a member of a workspace, or changes the role. `NotFound` when either is
    /// missing.
    async fn put_member(&self, workspace: &WorkspaceId, user: &UserName, role: Role) -> Result<()>;
    /// A workspace's members and what they may do there, by name.
    async fn list_members(&self, workspace: &WorkspaceId) -> Result<Vec<(User, Role)>>;
    /// Ends a membership; false when there is none.
    async fn remove_member(&self, workspace: &WorkspaceId, user: &UserName) -> Result<bool>;
    /// Keeps a new token; `Conflict` when its digest is there already, `NotFound` when user or
    /// workspace is missing.
    async fn put_token(&self, token: &NewToken) -> Result<()>;
    /// The token of this digest with its user and the roles that user has, expired ones included;
    /// `None` when unknown or revoked.
    async fn find_token(&self, digest: &[u8; 32]) -> Result<Option<TokenOwner>>;
    /// A user's tokens, newest first, then by digest.
    async fn list_tokens(&self, user: &UserName) -> Result<Vec<TokenInfo>>;
    /// The tokens of this one workspace that have this very scope, newest first, then by digest:
    /// those of a webhook.
    async fn tokens_for_scope(
        &self,
        workspace: &WorkspaceId,
        scope: &str,
    ) -> Result<Vec<TokenInfo>>;
    /// Deletes the user's tokens with this prefix and returns their digests, so that caches can
    /// forget them.
    async fn revoke_tokens(&self, user: &UserName, prefix: &str) -> Result<Vec<[u8; 32]>>;
    /// Changes the user's tokens with this prefix and returns their digests, so that caches can
    /// forget them.
    async fn change_tokens(
        &self,
        user: &UserName,
        prefix: &str,
        change: &TokenChange,
    ) -> Result<Vec<[u8; 32]>>;
    /// Notes last uses; unknown digests are skipped, and so is a use older than the one noted.
    async fn touch_tokens(&self, uses: &[([u8; 32], Micros)]) -> Result<()>;
}
