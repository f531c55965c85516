//! The operations on users of the host and on tokens.

use super::{scopes, tokens, users};
use crate::api::description::Gives::{Json, Text};
use crate::api::description::of;
use crate::api::row::{Right, Row, handler};
use wasmill_core::scope::Action::{Read, Write};
use wasmill_core::wire;

/// In the order in which the API's description has them.
pub(in crate::api) const ROWS: &[Row] = &[
    // Tokens and their owners
    Row {
        name: "WhoAmIAnywhere",
        summary: "Who the caller is",
        method: "GET",
        addresses: &["users/whoami"],
        right: Right::All("users", Read),
        query: &[],
        gives: &[(200, Json(of::<wire::GlobalUser>))],
        handler: handler!(|asked| users::whoami(asked)),
    },
    Row {
        name: "MyEmail",
        summary: "The caller's address, as text",
        method: "GET",
        addresses: &["users/email"],
        right: Right::All("users", Read),
        query: &[],
        gives: &[(200, Text)],
        handler: handler!(|asked| users::email(asked)),
    },
    Row {
        name: "CreateToken",
        summary: "Makes a token, shown this once",
        method: "POST",
        addresses: &["users/tokens/create"],
        right: Right::All("users", Write),
        query: &[],
        gives: &[(201, Text)],
        handler: handler!(body = optional_json::<wire::NewToken>(), |asked| {
            tokens::create(asked, body)
        }),
    },
    Row {
        name: "Impersonate",
        summary: "Makes a token for another user, shown this once",
        method: "POST",
        addresses: &["users/tokens/impersonate"],
        right: Right::Super("users", Write),
        query: &[],
        gives: &[(201, Text)],
        handler: handler!(body = json::<wire::Impersonation>(), |asked| {
            tokens::impersonate(asked, body)
        }),
    },
    Row {
        name: "ListTokens",
        summary: "The caller's tokens, newest first, without their secrets",
        method: "GET",
        addresses: &["users/tokens/list"],
        right: Right::All("users", Read),
        query: &[],
        gives: &[(200, Json(of::<Vec<wire::Token>>))],
        handler: handler!(|asked| tokens::list(asked)),
    },
    Row {
        name: "DeleteToken",
        summary: "Revokes the caller's tokens with this prefix, at once",
        method: "DELETE",
        addresses: &["users/tokens/delete/{prefix}"],
        right: Right::All("users", Write),
        query: &[],
        gives: &[(200, Text)],
        handler: handler!(|asked, prefix: String| tokens::delete(asked, &prefix)),
    },
    Row {
        name: "UpdateTokenLabel",
        summary: "Changes the label of the caller's tokens with this prefix",
        method: "POST",
        addresses: &["users/tokens/update_label/{prefix}"],
        right: Right::All("users", Write),
        query: &[],
        gives: &[(200, Text)],
        handler: handler!(body = json::<wire::TokenLabel>(), |asked, prefix: String| {
            tokens::update_label(asked, &prefix, body)
        }),
    },
    Row {
        name: "UpdateTokenScopes",
        summary: "Changes the scopes of the caller's tokens with this prefix, never to broader \
                  ones than the caller has",
        method: "POST",
        addresses: &["users/tokens/update_scopes/{prefix}"],
        right: Right::All("users", Write),
        query: &[],
        gives: &[(200, Text)],
        handler: handler!(body = json::<wire::TokenScopes>(), |asked, prefix: String| {
            tokens::update_scopes(asked, &prefix, body)
        }),
    },
    Row {
        name: "ListScopes",
        summary: "The scopes that a token can have",
        method: "GET",
        addresses: &["tokens/list/scopes"],
        right: Right::Known,
        query: &[],
        gives: &[(200, Json(of::<Vec<wire::ScopeDomain>>))],
        handler: handler!(|asked| scopes::list(asked)),
    },
    // Users of the host
    Row {
        name: "CreateUser",
        summary: "Makes a user of the host",
        method: "POST",
        addresses: &["users/create"],
        right: Right::Super("users", Write),
        query: &[],
        gives: &[(201, Text)],
        handler: handler!(body = json::<wire::NewUser>(), |asked| users::create(asked, &body)),
    },
    Row {
        name: "ListUsers",
        summary: "The users of the host",
        method: "GET",
        addresses: &["users/list_as_super_admin"],
        right: Right::Super("users", Read),
        query: &[],
        gives: &[(200, Json(of::<Vec<wire::GlobalUser>>))],
        handler: handler!(|asked| users::list(asked)),
    },
];
