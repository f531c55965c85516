//! Tokens.

use super::patterns;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a token is made from.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct NewToken {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// RFC 3339; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "patterns::optional_time")]
    pub expiration: Option<String>,
    /// Absent: all rights of its user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "patterns::optional_scopes")]
    pub scopes: Option<Vec<String>>,
    /// The one workspace it works in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "patterns::optional_workspace")]
    pub workspace_id: Option<String>,
}

/// What a token for another user is made from.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Impersonation {
    /// The address of that user.
    pub impersonate_email: String,
    /// As for one's own tokens.
    #[serde(flatten)]
    pub token: NewToken,
}

/// A token's new label.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct TokenLabel {
    /// For people.
    #[serde(default)]
    pub label: String,
}

/// A token's new scopes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct TokenScopes {
    /// Absent or empty: all rights of its user.
    #[serde(default)]
    #[schemars(schema_with = "patterns::optional_scopes")]
    pub scopes: Option<Vec<String>>,
}

/// Scopes of one domain, for people who choose.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ScopeDomain {
    /// What it is about.
    pub name: &'static str,
    /// Its scopes.
    pub scopes: Vec<ScopeChoice>,
}

/// A scope that a token can have.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ScopeChoice {
    /// As it is written, without resources.
    pub value: &'static str,
    /// What it allows.
    pub label: &'static str,
    /// Whether `:<path>,<path>/*` may follow it.
    pub requires_resource_path: bool,
}

/// A token in a list. The secret is not in it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
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
    /// The address of its user.
    #[serde(default)]
    pub email: Option<String>,
}
