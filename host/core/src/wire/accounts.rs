//! Users, workspaces and memberships.

use super::patterns;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A user to make.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct NewUser {
    /// The address.
    #[schemars(schema_with = "patterns::email")]
    pub email: String,
    /// Unique, also the `<user>` of `u/<user>/...`; else what stands before the `@`.
    #[serde(default)]
    #[schemars(schema_with = "patterns::optional_user")]
    pub username: Option<String>,
    /// May administer every workspace.
    #[serde(default)]
    pub super_admin: bool,
}

/// A user of the host, and who the caller is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GlobalUser {
    /// The address.
    pub email: String,
    /// The name.
    pub username: String,
    /// Always `token`: there are no passwords here.
    pub login_type: &'static str,
    /// May administer every workspace.
    pub super_admin: bool,
    /// Always false.
    pub devops: bool,
    /// Always true.
    pub verified: bool,
    /// Always false.
    pub disabled: bool,
    /// Always false.
    pub first_time_user: bool,
    /// Always `manual`.
    pub role_source: &'static str,
    /// The one workspace that the token works in.
    pub workspace_id: Option<String>,
}

/// A member of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Member {
    /// The workspace.
    pub workspace_id: String,
    /// The address.
    pub email: String,
    /// The name.
    pub username: String,
    /// Everything in the workspace.
    pub is_admin: bool,
    /// May administer every workspace.
    pub is_super_admin: bool,
    /// Runs scripts and deploys nothing. Neither this nor `is_admin`: deploys and runs.
    pub operator: bool,
    /// Always false.
    pub disabled: bool,
    /// When the user was made.
    pub created_at: String,
    /// Always empty.
    pub groups: Vec<String>,
    /// Always empty.
    pub folders: Vec<String>,
    /// Always empty.
    pub folders_read: Vec<String>,
    /// Always empty.
    pub folders_owners: Vec<String>,
}

/// A member to add: an existing user, else one that is made.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct NewMember {
    /// The address.
    #[schemars(schema_with = "patterns::email")]
    pub email: String,
    /// The name of a user to make; else what stands before the `@`.
    #[serde(default)]
    #[schemars(schema_with = "patterns::optional_user")]
    pub username: Option<String>,
    /// Everything in the workspace.
    #[serde(default)]
    pub is_admin: bool,
    /// Runs scripts and deploys nothing.
    #[serde(default)]
    pub operator: bool,
}

/// A member's new role. What is absent stays.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct MemberChange {
    /// Everything in the workspace.
    #[serde(default)]
    pub is_admin: Option<bool>,
    /// Runs scripts and deploys nothing.
    #[serde(default)]
    pub operator: Option<bool>,
}

/// A workspace to make.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct NewWorkspace {
    /// Its name in addresses.
    #[schemars(schema_with = "patterns::workspace")]
    pub id: String,
    /// Its name for people; else the same.
    #[serde(default)]
    pub name: Option<String>,
}

/// A workspace's share of the workers.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct EditWeight {
    /// 1 to 1000. A workspace of twice the weight of another one gets twice as many places while
    /// both have jobs due.
    #[schemars(range(min = 1, max = 1000))]
    pub weight: u32,
}

/// A workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Workspace {
    /// Its name in addresses.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// When it was made.
    pub created_at: String,
    /// Always false.
    pub deleted: bool,
    /// Always empty: workspaces belong to nobody.
    pub owner: &'static str,
}

/// The caller's workspaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UserWorkspaces {
    /// The caller's address.
    pub email: String,
    /// By name.
    pub workspaces: Vec<UserWorkspace>,
}

/// One of the caller's workspaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UserWorkspace {
    /// Its name in addresses.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The caller's name in it.
    pub username: String,
    /// Always empty.
    pub color: &'static str,
    /// Always false.
    pub disabled: bool,
}

/// A workspace's name that may be taken.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct WorkspaceName {
    /// In addresses.
    pub id: String,
}

/// A user's name that may be taken in a workspace.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct NameInWorkspace {
    /// The workspace.
    #[schemars(schema_with = "patterns::workspace")]
    pub id: String,
    /// The user.
    pub username: String,
}
