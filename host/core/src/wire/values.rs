//! Variables and resources as the API shows and takes them.

use super::patterns;
use super::raw_json::RawJson;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Variable {
    /// Tenant.
    pub workspace_id: String,
    /// `u/...`, `f/...` or `g/...`.
    pub path: String,
    /// The text; `null` for a secret one unless it was asked for.
    pub value: Option<String>,
    /// Whether it is left out of lists.
    pub is_secret: bool,
    /// For people.
    pub description: String,
    /// Always empty: rights are the tokens' and roles'.
    pub extra_perms: BTreeMap<String, bool>,
    /// Always false.
    pub is_oauth: bool,
    /// Who changed it last.
    pub edited_by: String,
    /// When.
    pub edited_at: String,
}

/// A variable to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewVariable {
    /// `u/...`, `f/...` or `g/...`.
    #[schemars(schema_with = "patterns::value_path")]
    pub path: String,
    /// The text.
    pub value: String,
    /// Whether lists leave the text out.
    #[serde(default)]
    pub is_secret: bool,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// What to change of a variable. What is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EditVariable {
    /// Its new path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "patterns::optional_value_path")]
    pub path: Option<String>,
    /// Its new text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Needs a new text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_secret: Option<bool>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resource {
    /// Tenant.
    pub workspace_id: String,
    /// `u/...`, `f/...` or `g/...`.
    pub path: String,
    /// The JSON value, references in it as they were written; `null` in lists.
    pub value: Option<Box<RawJson>>,
    /// What sort of value it is.
    pub resource_type: String,
    /// For people.
    pub description: String,
    /// Always empty: rights are the tokens' and roles'.
    pub extra_perms: BTreeMap<String, bool>,
    /// Always false.
    pub is_oauth: bool,
    /// Always false.
    pub is_linked: bool,
    /// Always false.
    pub is_refreshed: bool,
    /// Who changed it last.
    pub created_by: String,
    /// When.
    pub edited_at: String,
}

/// A resource to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewResource {
    /// `u/...`, `f/...` or `g/...`.
    #[schemars(schema_with = "patterns::value_path")]
    pub path: String,
    /// Any JSON value; absent: `null`.
    #[serde(default)]
    pub value: Option<Box<RawJson>>,
    /// What sort of value it is.
    #[schemars(schema_with = "patterns::resource_type")]
    pub resource_type: String,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
}

/// What to change of a resource. What is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EditResource {
    /// Its new path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "patterns::optional_value_path")]
    pub path: Option<String>,
    /// Its new value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Box<RawJson>>,
    /// Its new type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "patterns::optional_resource_type")]
    pub resource_type: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A resource's new value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceValue {
    /// Any JSON value; absent: `null`.
    #[serde(default)]
    pub value: Option<Box<RawJson>>,
}

/// A type of resources: a word that some of them have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceType {
    /// Tenant.
    pub workspace_id: String,
    /// The word.
    pub name: String,
}
