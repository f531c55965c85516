//! Workspaces, users and tokens.

use super::time::Micros;
use std::time::Duration;
use wasmill_core::{UserName, WorkspaceId};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Its name in addresses.
    pub id: WorkspaceId,
    /// Its name for people.
    pub name: String,
    /// When it was made.
    pub created: Micros,
}

/// What an administrator decided about a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkspaceSettings {
    /// Its share of the workers beside those of other workspaces that have something to do; 1 to
    /// [`wasmill_core::queue::fair::MAX_WEIGHT`].
    pub weight: u32,
    /// How long finished jobs are kept, when shorter than what the host says.
    pub keep_runs: Option<Duration>,
}

impl Default for WorkspaceSettings {
    fn default() -> Self {
        Self { weight: wasmill_core::queue::fair::WEIGHT, keep_runs: None }
    }
}

/// A person or a machine account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Unique name, also the `<user>` of `u/<user>/...` paths.
    pub name: UserName,
    /// Address shown in job records.
    pub email: String,
    /// May administer every workspace.
    pub super_admin: bool,
    /// When it was made.
    pub created: Micros,
}

/// What a user may do in one workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything in the workspace.
    Admin,
    /// Deploys and runs scripts.
    Developer,
    /// Runs scripts, deploys nothing.
    Operator,
}

impl Role {
    /// The word that back ends keep.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Developer => "developer",
            Role::Operator => "operator",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "admin" => Ok(Role::Admin),
            "developer" => Ok(Role::Developer),
            "operator" => Ok(Role::Operator),
            other => Err(format!("{other:?} is no role")),
        }
    }
}

/// A token to keep. The secret itself is never stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// SHA-256 of the whole token text.
    pub digest: [u8; 32],
    /// The first characters of the token, for lists and revocation.
    pub prefix: String,
    /// Whose it is.
    pub user: UserName,
    /// The one workspace it works in; `None` for all of the user's.
    pub workspace: Option<WorkspaceId>,
    /// For people.
    pub label: String,
    /// `None`: all of the user's rights.
    pub scopes: Option<Vec<String>>,
    /// When it was made.
    pub created: Micros,
    /// When it stops working.
    pub expires: Option<Micros>,
}

/// What is changed of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenChange {
    /// What it is called.
    Label(String),
    /// What it may do; `None`: all of the user's rights.
    Scopes(Option<Vec<String>>),
}

/// A token as its owner sees it in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInfo {
    /// What was stored.
    pub token: NewToken,
    /// Last use, to about a minute.
    pub last_used: Option<Micros>,
}

/// A token with everything that decides what its bearer may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenOwner {
    /// The token.
    pub token: NewToken,
    /// Its user.
    pub user: User,
    /// The user's roles.
    pub roles: Vec<(WorkspaceId, Role)>,
}
