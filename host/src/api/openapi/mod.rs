//! The API's description (OpenAPI 3.1), written from the table of operations: one document for the
//! host, and one for each workspace with an operation for each of its scripts.

mod describe;

use super::operations::{Right, Row, TABLE};
use super::scripts;
use crate::auth::Caller;
use crate::calls::mode::{MODES, Mode};
use crate::host::Host;
use crate::http::respond::{self, Reply};
use describe::{
    CALL, Description, Gives, PAYLOAD, Parameter, ParameterKind, QUEUED, SchemaOf, Takes, WAITED,
    describe,
};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;
use wasmill_core::problem::Code;
use wasmill_core::scope::Need;
use wasmill_core::wire::{ProblemBody, patterns};
use wasmill_core::{Problem, WorkspaceId};
use wasmill_store::Version;

/// Where the document's addresses begin.
const SERVER: &str = "/api";

static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// The host's document.
pub(crate) fn answer() -> Reply {
    respond::json(200, &*DOCUMENT)
}

/// The document of a workspace: the scripts in it that the caller may run.
pub(crate) async fn of_workspace(
    host: &Host,
    caller: &Caller,
    workspace: &WorkspaceId,
) -> Result<Reply, Problem> {
    let mut scripts = scripts::all(host, workspace).await?;
    scripts
        .retain(|version| caller.scopes.allows(&Need::run_script(version.version.path.as_str())));
    Ok(respond::json(200, &workspace_document(workspace, &scripts)))
}

/// Both directions of a type may differ: what may be left out of a request is always in an answer.
struct Schemas {
    requests: SchemaGenerator,
    answers: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Self {
            requests: settings().for_deserialize().into_generator(),
            answers: settings().for_serialize().into_generator(),
        }
    }

    fn components(mut self) -> Map<String, Value> {
        let mut all = self.requests.take_definitions(true);
        all.extend(self.answers.take_definitions(true));
        all
    }
}

fn head(title: &str, about: &str) -> Value {
    json!({"title": title, "version": env!("CARGO_PKG_VERSION"), "description": about})
}

fn security_schemes() -> Value {
    json!({
        "bearer": {"type": "http", "scheme": "bearer", "description": "A token, as Authorization: Bearer <token>"},
        "query": {"type": "apiKey", "in": "query", "name": "token", "description": "A token, where no header can be sent"},
    })
}

fn problem_content(schemas: &mut Schemas) -> Value {
    let schema = schemas.answers.subschema_for::<ProblemBody>();
    json!({"application/problem+json": {"schema": schema}})
}

fn document() -> Value {
    let mut schemas = Schemas::new();
    let mut paths: Map<String, Value> = Map::new();
    for row in TABLE {
        for (index, address) in row.addresses.iter().enumerate() {
            let operation = operation(row, address, index, &mut schemas);
            insert(&mut paths, format!("/{address}"), row.method, operation);
        }
    }
    for (words, mode) in MODES {
        for (how, name) in [("p/{path}", "path"), ("h/{hash}", "hash")] {
            let address = format!("w/{{workspace}}/{words}{how}");
            for method in methods(mode) {
                let operation = call(mode, method, &address, name, &mut schemas);
                insert(&mut paths, format!("/{address}"), method, operation);
            }
        }
    }
    let about = "Uploaded scripts run behind webhooks: now, with the result as the answer, or as durable jobs.";
    json!({
        "openapi": "3.1.0",
        "info": head("wasmill", about),
        "servers": [{"url": SERVER}],
        "security": [{"bearer": []}, {"query": []}],
        "paths": paths,
        "components": {"schemas": schemas.components(), "securitySchemes": security_schemes()},
    })
}

fn insert(paths: &mut Map<String, Value>, address: String, method: &str, operation: Value) {
    let entry = paths.entry(address).or_insert_with(|| json!({}));
    if let Value::Object(entry) = entry {
        entry.insert(method.to_lowercase(), operation);
    }
}

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

fn operation(row: &Row, address: &str, index: usize, schemas: &mut Schemas) -> Value {
    let Description { query, takes, gives } = describe(row.name);
    let (word, sentence) = rights(row.right);
    let mut parameters = address_parameters(address, schemas);
    parameters.extend(query.iter().map(|parameter| query_parameter(parameter, schemas)));
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
    // The first address has the name; the others, which mean the same, are told apart by a number.
    let id = format!("{:?}", row.name)
        + &index.checked_add(1).filter(|_| index > 0).map(|n| n.to_string()).unwrap_or_default();
    let mut operation = json!({
        "operationId": id,
        "summary": row.summary.trim(),
        "description": sentence,
        "tags": [tag(address)],
        "parameters": parameters,
        "responses": responses,
        "x-wasmill-right": word,
    });
    let body = match takes {
        Takes::Nothing => None,
        Takes::Json(schema) => Some((true, "application/json", request_schema(schema, schemas))),
        Takes::OptionalJson(schema) => {
            Some((false, "application/json", request_schema(schema, schemas)))
        }
        Takes::Wasm => {
            Some((true, "application/wasm", json!({"type": "string", "format": "binary"})))
        }
    };
    if let Value::Object(operation) = &mut operation {
        if let Some((required, kind, schema)) = body {
            operation.insert(
                "requestBody".into(),
                json!({"required": required, "content": {kind: {"schema": schema}}}),
            );
        }
        if row.right == Right::Open {
            operation.insert("security".into(), json!([]));
        }
    }
    operation
}

fn request_schema(schema: SchemaOf, schemas: &mut Schemas) -> Value {
    schema(&mut schemas.requests).to_value()
}

fn content(gives: Gives, schemas: &mut Schemas) -> Value {
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

/// The word by which operations are grouped.
fn tag(address: &str) -> &str {
    let mut words = address.split('/');
    match words.next() {
        Some("w") => words.nth(1).map_or("", |room| if room == "jobs_u" { "jobs" } else { room }),
        first => first.unwrap_or_default(),
    }
}

/// The parameters in an address.
fn address_parameters(address: &str, schemas: &mut Schemas) -> Vec<Value> {
    let names = address
        .split('/')
        .filter_map(|word| word.strip_prefix('{').and_then(|word| word.strip_suffix('}')));
    let mut about = |name: &str| match name {
        "workspace" => (request_schema(patterns::workspace, schemas), "The workspace"),
        "path" if matches!(tag(address), "variables" | "resources") => {
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
            json!({"name": name, "in": "path", "required": true, "schema": schema, "description": what})
        })
        .collect()
}

fn query_parameter(parameter: &Parameter, schemas: &mut Schemas) -> Value {
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
    json!({"name": parameter.name, "in": "query", "required": false, "schema": schema, "description": parameter.what})
}

/// The methods that call a script, the probe included.
fn methods(mode: Mode) -> &'static [&'static str] {
    match mode {
        Mode::Queued | Mode::Probe => &["POST", "HEAD"],
        Mode::Sync | Mode::Stream => &["POST", "GET", "HEAD"],
    }
}

fn call(mode: Mode, method: &str, address: &str, by: &str, schemas: &mut Schemas) -> Value {
    let (id, summary) = match mode {
        Mode::Queued => ("RunScript", "Queues a call of a script and answers with the job's id"),
        Mode::Sync | Mode::Probe => {
            ("RunScriptAndWait", "Calls a script and answers with its result")
        }
        Mode::Stream => (
            "RunScriptAndStream",
            "Calls a script and answers with its log as it comes, then its result",
        ),
    };
    let id = format!("{id}By{}", if by == "path" { "Path" } else { "Hash" });
    let mut parameters = address_parameters(address, schemas);
    parameters.extend(CALL.iter().map(|parameter| query_parameter(parameter, schemas)));
    match mode {
        Mode::Queued => {
            parameters.extend(QUEUED.iter().map(|parameter| query_parameter(parameter, schemas)))
        }
        Mode::Sync | Mode::Stream => parameters.push(query_parameter(&WAITED, schemas)),
        Mode::Probe => {}
    }
    let head = method == "HEAD";
    if method == "GET" {
        parameters.push(query_parameter(&PAYLOAD, schemas));
    }
    let done = match (head, mode) {
        (true, _) => {
            json!({"200": {"description": "The script is there, and the token may run it"}})
        }
        (_, Mode::Queued) => {
            json!({"201": {"description": "The job's id", "content": {"text/plain": {"schema": {"type": "string"}}}}})
        }
        (_, Mode::Stream) => {
            json!({"200": {"description": "The run's events", "content": {"text/event-stream": {}}}})
        }
        // A script may choose every status and content type.
        _ => {
            json!({"200": {"description": "The result, or the error of a run that failed", "content": {"application/json": {}, "*/*": {}}}})
        }
    };
    let mut responses = match done {
        Value::Object(responses) => responses,
        _ => Map::new(),
    };
    let mut refused = problem_content(schemas);
    if let (Value::Object(refused), Mode::Sync, false) = (&mut refused, mode, head) {
        refused.insert("*/*".into(), json!({}));
    }
    // A refusal of HEAD has no body to describe.
    responses.insert(
        "default".into(),
        if head {
            json!({"description": "Refused"})
        } else {
            json!({"description": "Refused", "content": refused})
        },
    );
    let mut operation = json!({
        "operationId": format!("{}{id}", match method { "HEAD" => "Probe", "GET" => "Get", _ => "" }),
        "summary": if head { "Asks whether a script is there and may be run" } else { summary },
        "description": "Needs `jobs:run:scripts`, for the path at least.",
        "tags": ["calls"],
        "parameters": parameters,
        "responses": responses,
        "x-wasmill-right": "jobs:run:scripts:{found}",
    });
    if let (Value::Object(operation), "POST") = (&mut operation, method) {
        operation.insert(
            "requestBody".into(),
            json!({"required": false, "description": "The arguments", "content": {"application/json": {"schema": {"type": "object"}}}}),
        );
    }
    operation
}

/// The name of a script's operation: its path with what names may not have replaced.
fn operation_name(mode: &str, path: &str) -> String {
    let plain = path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    format!("{mode}_{}", plain.collect::<String>())
}

fn workspace_document(workspace: &WorkspaceId, scripts: &[Version]) -> Value {
    let mut schemas = Schemas::new();
    let problem = problem_content(&mut schemas);
    let mut paths = Map::new();
    for version in scripts {
        let script = &version.version;
        let schema: Value = match script.schema.as_deref().map(serde_json::from_str) {
            Some(Ok(schema)) => schema,
            _ => json!({"type": "object"}),
        };
        let summary = if script.summary.is_empty() {
            script.path.to_string()
        } else {
            script.summary.clone()
        };
        let calls = [
            (
                "run_wait_result",
                "200",
                json!({"description": "The result", "content": {"application/json": {}, "*/*": {}}}),
            ),
            (
                "run",
                "201",
                json!({"description": "The job's id", "content": {"text/plain": {"schema": {"type": "string"}}}}),
            ),
        ];
        for (mode, status, done) in calls {
            let operation = json!({
                "operationId": operation_name(mode, script.path.as_str()),
                "summary": summary,
                "tags": [script.path.as_str().split('/').take(2).collect::<Vec<_>>().join("/")],
                "requestBody": {"required": false, "content": {"application/json": {"schema": schema}}},
                "responses": {status: done, "default": {"description": "Refused", "content": problem}},
                "x-wasmill-version": script.hash.to_hex(),
            });
            insert(
                &mut paths,
                format!("/w/{workspace}/jobs/{mode}/p/{}", script.path),
                "POST",
                operation,
            );
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": head(&format!("Scripts of {workspace}"), "The webhooks of this workspace, with the newest version's arguments."),
        "servers": [{"url": SERVER}],
        "security": [{"bearer": []}, {"query": []}],
        "paths": paths,
        "components": {"schemas": schemas.components(), "securitySchemes": security_schemes()},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// The document in `docs/` is the one that is served. After a change that is meant, write it
    /// anew with
    /// `UPDATE_GOLDEN=1 cargo test`, and look at the difference.
    #[test]
    fn golden() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
        let text = format!("{:#}\n", *DOCUMENT);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(file, &text).unwrap();
        }
        let golden = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            golden == text,
            "docs/openapi.json is not what the host serves; write it anew with UPDATE_GOLDEN=1 if the change is meant"
        );
    }

    #[test]
    fn operations_have_names_of_their_own_and_what_they_refer_to_is_there() {
        let mut names = HashSet::new();
        for (address, methods) in DOCUMENT["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                assert!(
                    names.insert(operation["operationId"].as_str().unwrap()),
                    "{method} {address}"
                );
                assert!(
                    operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()),
                    "{method} {address}"
                );
            }
        }
        let text = DOCUMENT.to_string();
        for reference in
            text.split("\"$ref\":\"").skip(1).map(|rest| rest.split('"').next().unwrap())
        {
            let name = reference.strip_prefix("#/components/schemas/").unwrap();
            assert!(DOCUMENT["components"]["schemas"].get(name).is_some(), "{reference}");
        }
    }

    #[test]
    fn names_of_scripts() {
        assert_eq!(operation_name("run", "u/ann/some-script.v2"), "run_u_ann_some_script_v2");
    }
}
