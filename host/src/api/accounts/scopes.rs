//! The scopes that a token can have.

use crate::api::asked::Asked;
use crate::http::respond::{self, Reply};
use wasmill_core::{Problem, wire};

/// A scope: as it is written, what it allows, and whether it can be narrowed to a path.
type Choice = (&'static str, &'static str, bool);

/// The scopes of each domain.
const DOMAINS: [(&str, &[Choice]); 6] = [
    (
        "jobs",
        &[
            ("jobs:read", "Look at jobs, their results and logs", true),
            ("jobs:write", "Cancel jobs, and look at them", true),
            ("jobs:run:scripts", "Run scripts", true),
        ],
    ),
    (
        "scripts",
        &[
            ("scripts:read", "Look at scripts", true),
            ("scripts:write", "Deploy and archive scripts, and look at them", true),
        ],
    ),
    (
        "variables",
        &[
            ("variables:read", "Read variables", true),
            ("variables:write", "Change variables, and read them", true),
        ],
    ),
    (
        "resources",
        &[
            ("resources:read", "Read resources", true),
            ("resources:write", "Change resources, and read them", true),
        ],
    ),
    (
        "users",
        &[
            ("users:read", "See who the caller and the members are, and list tokens", false),
            ("users:write", "Make and revoke tokens, change members, and see them", false),
        ],
    ),
    (
        "workspaces",
        &[
            ("workspaces:read", "See workspaces and their settings", false),
            ("workspaces:write", "Make workspaces, change their settings, and see them", false),
        ],
    ),
];

/// The scopes by domain.
pub(super) async fn list(_: Asked<'_>) -> Result<Reply, Problem> {
    let choice = |&(value, label, requires_resource_path): &Choice| wire::ScopeChoice {
        value,
        label,
        requires_resource_path,
    };
    let domains = DOMAINS.map(|(name, scopes)| wire::ScopeDomain {
        name,
        scopes: scopes.iter().map(choice).collect(),
    });
    Ok(respond::json(200, &domains))
}
