//! A workspace's webhook, and the log of what it was told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a workspace's changes are told.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct EditWebhook {
    /// The URL; absent, `null` or empty: nowhere.
    #[serde(default)]
    #[schemars(schema_with = "super::patterns::optional_webhook")]
    pub webhook: Option<String>,
}

/// The settings of a workspace. What is about the webhook is for its administrators only.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WorkspaceSettings {
    /// Its name in addresses.
    pub workspace_id: String,
    /// Its name for people.
    pub name: String,
    /// Its share of the workers beside those of other workspaces.
    pub weight: u32,
    /// Seconds for which its finished jobs are kept, where that is shorter than for the host.
    /// Absent: as there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_runs_secs: Option<u64>,
    /// Where its changes are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// What deliveries are signed with: `whsec_` and base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<String>,
    /// What they are signed with besides, until the old secret's time is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_webhook_secret: Option<OldSecret>,
}

/// A signing secret that was rotated away and is still used.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OldSecret {
    /// `whsec_` and base64.
    pub secret: String,
    /// Until when.
    pub until: String,
}

/// How to rotate the signing secret.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct RotateSecret {
    /// Seconds for which deliveries are signed with the old secret too; absent: a day. 0: not at
    /// all, for a secret that has become known.
    #[serde(default)]
    pub keep_old_for_secs: Option<u32>,
}

/// The new signing secret.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RotatedSecret {
    /// `whsec_` and base64.
    pub webhook_secret: String,
    /// Until when the one before it is used too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_until: Option<String>,
}

/// How a test call went.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TestedWebhook {
    /// Whether the receiver took it: it answered 2xx.
    pub delivered: bool,
    /// Its status, when it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it was not delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long it took.
    pub duration_ms: u64,
    /// The beginning of the receiver's answer.
    pub answer: String,
    /// Its number in the delivery log.
    pub id: i64,
}

/// An event in the delivery log.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WebhookDelivery {
    /// Its number; larger ones are younger.
    pub id: i64,
    /// The message's id, as in the header `webhook-id`.
    pub webhook_id: String,
    /// The `type` of the body.
    pub r#type: &'static str,
    /// The body as it is sent.
    pub body: String,
    /// When it happened.
    pub created_at: String,
    /// `waiting`, `delivered` or `given_up`.
    pub status: &'static str,
    /// When it was delivered or given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<String>,
    /// When it is told next; absent too while it waits for earlier events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<String>,
    /// How often that was tried.
    pub attempts: u32,
    /// The last attempts, the oldest first.
    pub log: Vec<WebhookAttempt>,
}

/// One attempt to tell an event.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WebhookAttempt {
    /// When it began.
    pub at: String,
    /// How long it took.
    pub duration_ms: u64,
    /// The receiver's status, when it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The beginning of the receiver's answer.
    pub answer: String,
}
