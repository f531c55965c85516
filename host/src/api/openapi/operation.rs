//! An operation of the table as the description has it.

use super::schemas::{Schemas, problem_content, request_schema};
use crate::api::description::{Gives, Parameter, ParameterKind, Takes};
use crate::api::row::{Right, Row, room};
use serde_json::{Map, Value, json};
use wasmill_core::problem::Code;
use wasmill_core::scope::Need;
use wasmill_core::wire::patterns;

/// What a caller must have, as a word for programs and a sentence for people.
fn rights(right: Right) -> (String, String) {
    let scope = |domain: &str, action| Need::all(domain, action).to_string();
    match right {
        Right::Open => ("none".into(), "Needs no token.".into()),
        Right::Known => ("token".into(), "Needs a token, whatever its scopes.".into()),
        Right::Member => ("member".into(), "Needs a token of a member of the workspace.".into()),
        Right::All(domain, action) => {
            (scope(domain, action), format!("Needs `{}`.", scope(domain, action)))
        }
        Right::Path(domain, action) => (
            format!("{}:{{path}}", scope(domain, action)),
            format!("Needs `{}`, for the path at least.", scope(domain, action)),
        ),
        Right::Found(domain, action) => (
            format!("{}:{{found}}", scope(domain, action)),
            format!("Needs `{}`, for what it is done to at least.", scope(domain, action)),
        ),
        Right::Admin(domain, action) => (
            format!("admin {}", scope(domain, action)),
            format!("Needs an administrator of the workspace, and `{}`.", scope(domain, action)),
        ),
        Right::Super(domain, action) => (
            format!("super {}", scope(domain, action)),
            format!("Needs an administrator of the host, and `{}`.", scope(domain, action)),
        ),
    }
}

/// An operation at the address with this index among the row's addresses.
pub(super) fn operation(row: &Row, address: &str, index: usize, schemas: &mut Schemas) -> Value {
    let (word, sentence) = rights(row.right);
    let mut parameters = address_parameters(address, schemas);
    parameters.extend(row.query.iter().map(|parameter| query_parameter(parameter, schemas)));
    // The first address has the name; the others, which mean the same, are told apart by a number.
    let number = index.checked_add(1).filter(|_| index > 0).map(|n| n.to_string());
    let id = format!("{}{}", row.name, number.unwrap_or_default());
    let mut operation = json!({
        "operationId": id,
        "summary": row.summary,
        "description": sentence,
        "tags": [room(address)],
        "parameters": parameters,
        "responses": responses(row.gives, schemas),
        "x-wasmill-right": word,
    });
    if let Value::Object(operation) = &mut operation {
        if let Some(body) = request_body(&row.handler.takes, schemas) {
            operation.insert("requestBody".into(), body);
        }
        if row.right == Right::Open {
            operation.insert("security".into(), json!([]));
        }
    }
    operation
}

/// What the answers carry, by status, and what a refusal does.
fn responses(gives: &[(u16, Gives)], schemas: &mut Schemas) -> Map<String, Value> {
    let mut responses = Map::new();
    for (status, gives) in gives {
        responses.insert(
            status.to_string(),
            json!({"description": "Done", "content": content(gives, schemas)}),
        );
    }
    responses.insert(
        "default".into(),
        json!({"description": "Refused", "content": problem_content(schemas)}),
    );
    responses
}

/// What a request carries; `None`: nothing.
fn request_body(takes: &Takes, schemas: &mut Schemas) -> Option<Value> {
    let (required, kind, schema) = match *takes {
        Takes::Nothing => return None,
        Takes::Json(schema) => (true, "application/json", request_schema(schema, schemas)),
        Takes::OptionalJson(schema) => (false, "application/json", request_schema(schema, schemas)),
        Takes::Wasm => (true, "application/wasm", json!({"type": "string", "format": "binary"})),
    };
    Some(json!({"required": required, "content": {kind: {"schema": schema}}}))
}

fn content(gives: &Gives, schemas: &mut Schemas) -> Value {
    let text = json!({"schema": {"type": "string"}});
    match gives {
        Gives::Text => json!({"text/plain": text}),
        Gives::Markdown => json!({"text/markdown": text}),
        // What one event holds cannot be said in this version of OpenAPI.
        Gives::Events => json!({"text/event-stream": {}}),
        Gives::Wasm => {
            json!({"application/wasm": {"schema": {"type": "string", "format": "binary"}}})
        }
        Gives::Json(schema) => {
            json!({"application/json": {"schema": schema(&mut schemas.answers)}})
        }
    }
}

/// The parameters in an address.
pub(super) fn address_parameters(address: &str, schemas: &mut Schemas) -> Vec<Value> {
    let names = address
        .split('/')
        .filter_map(|word| word.strip_prefix('{').and_then(|word| word.strip_suffix('}')));
    let mut about = |name: &str| match name {
        "workspace" => (request_schema(patterns::workspace, schemas), "The workspace"),
        "path" if matches!(room(address), "variables" | "resources") => {
            (request_schema(patterns::value_path, schemas), "The path, with its slashes")
        }
        "path" => (request_schema(patterns::path, schemas), "The path, with its slashes"),
        "hash" => (request_schema(patterns::hash, schemas), "The version"),
        "id" => (json!({"type": "string", "format": "uuid"}), "The job"),
        "at" => (json!({"type": "integer"}), "Milliseconds since 1970"),
        "delivery" => (json!({"type": "integer"}), "The id in the delivery log"),
        "prefix" => (
            request_schema(patterns::token_prefix, schemas),
            "The first characters of the token, as they are listed",
        ),
        "slug" => {
            let slugs: Vec<&str> = Code::ALL.iter().map(|code| code.slug()).collect();
            (json!({"type": "string", "enum": slugs}), "The last part of the problem's type")
        }
        _ => (json!({"type": "string"}), "The name"),
    };
    names
        .map(|name| {
            let (schema, what) = about(name);
            json!({
                "name": name,
                "in": "path",
                "required": true,
                "schema": schema,
                "description": what,
            })
        })
        .collect()
}

/// A parameter in a query.
pub(super) fn query_parameter(parameter: &Parameter, schemas: &mut Schemas) -> Value {
    let schema = match parameter.kind {
        ParameterKind::Text => json!({"type": "string"}),
        ParameterKind::Number(least) => {
            json!({"type": "integer", "minimum": least, "maximum": u32::MAX})
        }
        ParameterKind::Switch => json!({"type": "boolean"}),
        ParameterKind::Time => json!({"type": "string", "format": "date-time"}),
        ParameterKind::Id => json!({"type": "string", "format": "uuid"}),
        ParameterKind::Hash => request_schema(patterns::hash, schemas),
        ParameterKind::Path => request_schema(patterns::path, schemas),
    };
    json!({
        "name": parameter.name,
        "in": "query",
        "required": false,
        "schema": schema,
        "description": parameter.what,
    })
}
