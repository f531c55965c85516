//! The operations that need no token.

use super::{problems, status};
use crate::api::description::Gives::{Json, Markdown, Text};
use crate::api::description::of;
use crate::api::row::{Right, Row, anonymous};
use serde_json::Value;
use wasmill_core::wire;

/// In the order in which the API's description has them.
pub(in crate::api) const ROWS: &[Row] = &[
    // Without a token
    Row {
        name: "Version",
        summary: "The host's version, as text",
        method: "GET",
        addresses: &["version"],
        right: Right::Open,
        query: &[],
        gives: &[(200, Text)],
        handler: anonymous!(|asked| status::version(asked)),
    },
    Row {
        name: "UpToDate",
        summary: "Whether a newer version is known: always `yes`, for the host asks nobody",
        method: "GET",
        addresses: &["uptodate"],
        right: Right::Open,
        query: &[],
        gives: &[(200, Text)],
        handler: anonymous!(|asked| status::up_to_date(asked)),
    },
    Row {
        name: "Health",
        summary: "Whether the host and its storage work",
        method: "GET",
        addresses: &["health/status"],
        right: Right::Open,
        query: &[],
        gives: &[(200, Json(of::<wire::Health>)), (503, Json(of::<wire::Health>))],
        handler: anonymous!(|asked| status::health(asked)),
    },
    Row {
        name: "Document",
        summary: "This description of the API",
        method: "GET",
        addresses: &["openapi.json"],
        right: Right::Open,
        query: &[],
        gives: &[(200, Json(of::<Value>))],
        handler: anonymous!(|asked| status::document(asked)),
    },
    Row {
        name: "ExplainProblem",
        summary: "What an error means and what to do about it, as Markdown: where the `type` of a \
                  problem leads",
        method: "GET",
        addresses: &["problems/{slug}"],
        right: Right::Open,
        query: &[],
        gives: &[(200, Markdown)],
        handler: anonymous!(|asked, slug: String| problems::explain(asked, &slug)),
    },
];
