//! The operations on variables and resources.

use super::parameters::{ENCRYPTED, REPLACE, RESOURCES, VALUES, VARIABLE};
use super::{resources, variables};
use crate::api::description::Gives::{Json, Text};
use crate::api::description::of;
use crate::api::row::{Right, Row, handler};
use serde_json::Value;
use wasmill_core::scope::Action::{Read, Write};
use wasmill_core::{ValuePath, WorkspaceId, wire};

/// In the order in which the API's description has them.
pub(in crate::api) const ROWS: &[Row] = &[
    // Variables
    Row {
        name: "GetVariableValue",
        summary: "A variable's text, as a JSON string",
        method: "GET",
        addresses: &["w/{workspace}/variables/get_value/{path}"],
        right: Right::Path("variables", Read),
        query: &[],
        gives: &[(200, Json(of::<String>))],
        handler: handler!(|asked, workspace: WorkspaceId, path: ValuePath| {
            variables::get_value(asked, &workspace, &path)
        }),
    },
    Row {
        name: "GetVariable",
        summary: "A variable; the text of a secret one unless `decrypt_secret=false`",
        method: "GET",
        addresses: &["w/{workspace}/variables/get/{path}"],
        right: Right::Path("variables", Read),
        query: VARIABLE,
        gives: &[(200, Json(of::<wire::Variable>))],
        handler: handler!(|asked, workspace: WorkspaceId, path: ValuePath| {
            variables::get(asked, &workspace, &path)
        }),
    },
    Row {
        name: "VariableExists",
        summary: "Whether there is a variable at a path",
        method: "GET",
        addresses: &["w/{workspace}/variables/exists/{path}"],
        right: Right::Path("variables", Read),
        query: &[],
        gives: &[(200, Json(of::<bool>))],
        handler: handler!(|asked, workspace: WorkspaceId, path: ValuePath| {
            variables::exists(asked, &workspace, &path)
        }),
    },
    Row {
        name: "ListVariables",
        summary: "Variables by path, secret ones without their text",
        method: "GET",
        addresses: &["w/{workspace}/variables/list"],
        right: Right::All("variables", Read),
        query: VALUES,
        gives: &[(200, Json(of::<Vec<wire::Variable>>))],
        handler: handler!(|asked, workspace: WorkspaceId| variables::list(asked, &workspace)),
    },
    Row {
        name: "CreateVariable",
        summary: "Makes a variable",
        method: "POST",
        addresses: &["w/{workspace}/variables/create"],
        right: Right::Found("variables", Write),
        query: ENCRYPTED,
        gives: &[(201, Text)],
        handler: handler!(body = json::<wire::NewVariable>(), |asked, workspace: WorkspaceId| {
            variables::create(asked, &workspace, body)
        }),
    },
    Row {
        name: "UpdateVariable",
        summary: "Changes a variable; a new path moves it",
        method: "POST",
        addresses: &["w/{workspace}/variables/update/{path}"],
        right: Right::Path("variables", Write),
        query: ENCRYPTED,
        gives: &[(200, Text)],
        handler: handler!(
            body = json::<wire::EditVariable>(),
            |asked, workspace: WorkspaceId, path: ValuePath| variables::update(
                asked, &workspace, &path, body
            )
        ),
    },
    Row {
        name: "DeleteVariable",
        summary: "Deletes a variable",
        method: "DELETE",
        addresses: &["w/{workspace}/variables/delete/{path}"],
        right: Right::Path("variables", Write),
        query: &[],
        gives: &[(200, Text)],
        handler: handler!(|asked, workspace: WorkspaceId, path: ValuePath| {
            variables::delete(asked, &workspace, &path)
        }),
    },
    // Resources
    Row {
        name: "GetResourceValueInterpolated",
        summary: "A resource's value with everything that it refers to in its place",
        method: "GET",
        addresses: &["w/{workspace}/resources/get_value_interpolated/{path}"],
        right: Right::Path("resources", Read),
        query: &[],
        gives: &[(200, Json(of::<Value>))],
        handler: handler!(|asked, workspace: WorkspaceId, path: ValuePath| {
            resources::get_value_interpolated(asked, &workspace, &path)
        }),
    },
    Row {
        name: "GetResourceValue",
        summary: "A resource's value as it was written",
        method: "GET",
        addresses: &["w/{workspace}/resources/get_value/{path}"],
        right: Right::Path("resources", Read),
        query: &[],
        gives: &[(200, Json(of::<Value>))],
        handler: handler!(|asked, workspace: WorkspaceId, path: ValuePath| {
            resources::get_value(asked, &workspace, &path)
        }),
    },
    Row {
        name: "GetResource",
        summary: "A resource",
        method: "GET",
        addresses: &["w/{workspace}/resources/get/{path}"],
        right: Right::Path("resources", Read),
        query: &[],
        gives: &[(200, Json(of::<wire::Resource>))],
        handler: handler!(|asked, workspace: WorkspaceId, path: ValuePath| {
            resources::get(asked, &workspace, &path)
        }),
    },
    Row {
        name: "ResourceExists",
        summary: "Whether there is a resource at a path",
        method: "GET",
        addresses: &["w/{workspace}/resources/exists/{path}"],
        right: Right::Path("resources", Read),
        query: &[],
        gives: &[(200, Json(of::<bool>))],
        handler: handler!(|asked, workspace: WorkspaceId, path: ValuePath| {
            resources::exists(asked, &workspace, &path)
        }),
    },
    Row {
        name: "ListResources",
        summary: "Resources by path, without their values",
        method: "GET",
        addresses: &["w/{workspace}/resources/list"],
        right: Right::All("resources", Read),
        query: RESOURCES,
        gives: &[(200, Json(of::<Vec<wire::Resource>>))],
        handler: handler!(|asked, workspace: WorkspaceId| resources::list(asked, &workspace)),
    },
    Row {
        name: "ListResourceTypes",
        summary: "The types that the workspace's resources have",
        method: "GET",
        addresses: &["w/{workspace}/resources/type/list"],
        right: Right::All("resources", Read),
        query: &[],
        gives: &[(200, Json(of::<Vec<wire::ResourceType>>))],
        handler: handler!(|asked, workspace: WorkspaceId| resources::types(asked, &workspace)),
    },
    Row {
        name: "ListResourceTypeNames",
        summary: "The names of these types",
        method: "GET",
        addresses: &["w/{workspace}/resources/type/listnames"],
        right: Right::All("resources", Read),
        query: &[],
        gives: &[(200, Json(of::<Vec<String>>))],
        handler: handler!(|asked, workspace: WorkspaceId| resources::type_names(asked, &workspace)),
    },
    Row {
        name: "CreateResource",
        summary: "Makes a resource; replaces one with `update_if_exists=true`",
        method: "POST",
        addresses: &["w/{workspace}/resources/create"],
        right: Right::Found("resources", Write),
        query: REPLACE,
        gives: &[(201, Text)],
        handler: handler!(body = json::<wire::NewResource>(), |asked, workspace: WorkspaceId| {
            resources::create(asked, &workspace, body)
        }),
    },
    Row {
        name: "UpdateResource",
        summary: "Changes a resource; a new path moves it",
        method: "POST",
        addresses: &["w/{workspace}/resources/update/{path}"],
        right: Right::Path("resources", Write),
        query: &[],
        gives: &[(200, Text)],
        handler: handler!(
            body = json::<wire::EditResource>(),
            |asked, workspace: WorkspaceId, path: ValuePath| resources::update(
                asked, &workspace, &path, body
            )
        ),
    },
    Row {
        name: "UpdateResourceValue",
        summary: "Changes a resource's value",
        method: "POST",
        addresses: &["w/{workspace}/resources/update_value/{path}"],
        right: Right::Path("resources", Write),
        query: &[],
        gives: &[(200, Text)],
        handler: handler!(
            body = json::<wire::ResourceValue>(),
            |asked, workspace: WorkspaceId, path: ValuePath| resources::update_value(
                asked, &workspace, &path, body
            )
        ),
    },
    Row {
        name: "DeleteResource",
        summary: "Deletes a resource",
        method: "DELETE",
        addresses: &["w/{workspace}/resources/delete/{path}"],
        right: Right::Path("resources", Write),
        query: &[],
        gives: &[(200, Text)],
        handler: handler!(|asked, workspace: WorkspaceId, path: ValuePath| {
            resources::delete(asked, &workspace, &path)
        }),
    },
];
