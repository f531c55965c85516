//! The operations on workspaces, their settings, webhooks and members.

use super::parameters::DELIVERIES;
use super::{document, members, registry, retention, settings, webhook, weight};
use crate::api::description::Gives::{Json, Text};
use crate::api::description::of;
use crate::api::row::{Right, Row, handler};
use serde_json::Value;
use wasmill_core::scope::Action::{Read, Write};
use wasmill_core::{WorkspaceId, wire};

/// In the order in which the API's description has them.
pub(in crate::api) const ROWS: &[Row] = &[
    // Workspaces
    Row {
        name: "ListWorkspaces",
        summary: "The caller's workspaces",
        method: "GET",
        addresses: &["workspaces/list"],
        right: Right::All("workspaces", Read),
        query: &[],
        gives: &[(200, Json(of::<Vec<wire::Workspace>>))],
        handler: handler!(|asked| registry::list(asked)),
    },
    Row {
        name: "MyWorkspaces",
        summary: "The caller's address and workspaces",
        method: "GET",
        addresses: &["workspaces/users"],
        right: Right::All("workspaces", Read),
        query: &[],
        gives: &[(200, Json(of::<wire::UserWorkspaces>))],
        handler: handler!(|asked| registry::mine(asked)),
    },
    Row {
        name: "CreateWorkspace",
        summary: "Makes a workspace, whose administrator the caller becomes",
        method: "POST",
        addresses: &["workspaces/create"],
        right: Right::Super("workspaces", Write),
        query: &[],
        gives: &[(201, Text)],
        handler: handler!(body = json::<wire::NewWorkspace>(), |asked| {
            registry::create(asked, &body)
        }),
    },
    Row {
        name: "WorkspaceExists",
        summary: "Whether a workspace's name is taken",
        method: "POST",
        addresses: &["workspaces/exists"],
        right: Right::All("workspaces", Read),
        query: &[],
        gives: &[(200, Json(of::<bool>))],
        handler: handler!(body = json::<wire::WorkspaceName>(), |asked| {
            registry::exists(asked, &body)
        }),
    },
    Row {
        name: "UsernameExists",
        summary: "Whether a user's name is taken in a workspace",
        method: "POST",
        addresses: &["workspaces/exists_username"],
        right: Right::All("workspaces", Read),
        query: &[],
        gives: &[(200, Json(of::<bool>))],
        handler: handler!(body = json::<wire::NameInWorkspace>(), |asked| {
            registry::username_exists(asked, &body)
        }),
    },
    Row {
        name: "AddMember",
        summary: "Makes a user a member of the workspace",
        method: "POST",
        addresses: &["w/{workspace}/workspaces/add_user"],
        right: Right::Admin("workspaces", Write),
        query: &[],
        gives: &[(201, Text)],
        handler: handler!(body = json::<wire::NewMember>(), |asked, workspace: WorkspaceId| {
            members::add(asked, &workspace, &body)
        }),
    },
    Row {
        name: "WorkspaceDocument",
        summary: "The description of the workspace's webhooks: an operation for each script that \
                  the caller may run",
        method: "GET",
        addresses: &["w/{workspace}/openapi.json"],
        right: Right::Member,
        query: &[],
        gives: &[(200, Json(of::<Value>))],
        handler: handler!(|asked, workspace: WorkspaceId| document::get(asked, &workspace)),
    },
    // A workspace's webhook
    Row {
        name: "GetSettings",
        summary: "The workspace's settings; its administrators see the webhook and its signing \
                  secret",
        method: "GET",
        addresses: &["w/{workspace}/workspaces/get_settings"],
        right: Right::All("workspaces", Read),
        query: &[],
        gives: &[(200, Json(of::<wire::WorkspaceSettings>))],
        handler: handler!(|asked, workspace: WorkspaceId| settings::get(asked, &workspace)),
    },
    Row {
        name: "EditWebhook",
        summary: "Sets the URL that is told of every change in the workspace, or clears it",
        method: "POST",
        addresses: &["w/{workspace}/workspaces/edit_webhook"],
        right: Right::Admin("workspaces", Write),
        query: &[],
        gives: &[(200, Text)],
        handler: handler!(
            body = optional_json::<wire::EditWebhook>(),
            |asked, workspace: WorkspaceId| webhook::edit(asked, &workspace, body)
        ),
    },
    Row {
        name: "RotateWebhookSecret",
        summary: "Makes a new signing secret; the old one is used beside it for a while",
        method: "POST",
        addresses: &["w/{workspace}/workspaces/rotate_webhook_secret"],
        right: Right::Admin("workspaces", Write),
        query: &[],
        gives: &[(200, Json(of::<wire::RotatedSecret>))],
        handler: handler!(
            body = optional_json::<wire::RotateSecret>(),
            |asked, workspace: WorkspaceId| webhook::rotate(asked, &workspace, body)
        ),
    },
    Row {
        name: "TestWebhook",
        summary: "Sends a test event now and tells how that went",
        method: "POST",
        addresses: &["w/{workspace}/workspaces/test_webhook"],
        right: Right::Admin("workspaces", Write),
        query: &[],
        gives: &[(200, Json(of::<wire::TestedWebhook>))],
        handler: handler!(|asked, workspace: WorkspaceId| webhook::test(asked, &workspace)),
    },
    Row {
        name: "WebhookDeliveries",
        summary: "What the webhook was told or is to be told, newest first",
        method: "GET",
        addresses: &["w/{workspace}/workspaces/webhook_deliveries"],
        right: Right::Admin("workspaces", Read),
        query: DELIVERIES,
        gives: &[(200, Json(of::<Vec<wire::WebhookDelivery>>))],
        handler: handler!(|asked, workspace: WorkspaceId| webhook::deliveries(asked, &workspace)),
    },
    Row {
        name: "RedeliverWebhook",
        summary: "Tells an event again",
        method: "POST",
        addresses: &["w/{workspace}/workspaces/redeliver_webhook/{delivery}"],
        right: Right::Admin("workspaces", Write),
        query: &[],
        gives: &[(200, Text)],
        handler: handler!(|asked, workspace: WorkspaceId, delivery: i64| {
            webhook::redeliver(asked, &workspace, delivery)
        }),
    },
    // How a workspace's jobs are run and kept
    Row {
        name: "EditRetention",
        summary: "Sets how long finished jobs of the workspace are kept, where that is shorter \
                  than for the host",
        method: "POST",
        addresses: &["w/{workspace}/workspaces/edit_retention"],
        right: Right::Admin("workspaces", Write),
        query: &[],
        gives: &[(200, Text)],
        handler: handler!(body = json::<wire::Retention>(), |asked, workspace: WorkspaceId| {
            retention::edit(asked, &workspace, body)
        }),
    },
    Row {
        name: "EditWeight",
        summary: "Sets the workspace's share of the workers beside those of others",
        method: "POST",
        addresses: &["w/{workspace}/workspaces/edit_weight"],
        right: Right::Super("workspaces", Write),
        query: &[],
        gives: &[(200, Text)],
        handler: handler!(body = json::<wire::EditWeight>(), |asked, workspace: WorkspaceId| {
            weight::edit(asked, &workspace, &body)
        }),
    },
    // Members of a workspace
    Row {
        name: "WhoAmI",
        summary: "Who the caller is in the workspace",
        method: "GET",
        addresses: &["w/{workspace}/users/whoami"],
        right: Right::All("users", Read),
        query: &[],
        gives: &[(200, Json(of::<wire::Member>))],
        handler: handler!(|asked, workspace: WorkspaceId| members::whoami(asked, &workspace)),
    },
    Row {
        name: "ListMembers",
        summary: "The workspace's members",
        method: "GET",
        addresses: &["w/{workspace}/users/list"],
        right: Right::All("users", Read),
        query: &[],
        gives: &[(200, Json(of::<Vec<wire::Member>>))],
        handler: handler!(|asked, workspace: WorkspaceId| members::list(asked, &workspace)),
    },
    Row {
        name: "GetMember",
        summary: "One member",
        method: "GET",
        addresses: &["w/{workspace}/users/get/{username}"],
        right: Right::All("users", Read),
        query: &[],
        gives: &[(200, Json(of::<wire::Member>))],
        handler: handler!(|asked, workspace: WorkspaceId, username: String| {
            members::get(asked, &workspace, &username)
        }),
    },
    Row {
        name: "MemberEmail",
        summary: "A member's address, as text",
        method: "GET",
        addresses: &["w/{workspace}/users/username_to_email/{username}"],
        right: Right::All("users", Read),
        query: &[],
        gives: &[(200, Text)],
        handler: handler!(|asked, workspace: WorkspaceId, username: String| {
            members::email(asked, &workspace, &username)
        }),
    },
    Row {
        name: "UpdateMember",
        summary: "Changes a member's role",
        method: "POST",
        addresses: &["w/{workspace}/users/update/{username}"],
        right: Right::Admin("users", Write),
        query: &[],
        gives: &[(200, Text)],
        handler: handler!(
            body = json::<wire::MemberChange>(),
            |asked, workspace: WorkspaceId, username: String| members::update(
                asked, &workspace, &username, &body
            )
        ),
    },
    Row {
        name: "RemoveMember",
        summary: "Ends a membership",
        method: "DELETE",
        addresses: &["w/{workspace}/users/delete/{username}"],
        right: Right::Admin("users", Write),
        query: &[],
        gives: &[(200, Text)],
        handler: handler!(|asked, workspace: WorkspaceId, username: String| {
            members::remove(asked, &workspace, &username)
        }),
    },
];
