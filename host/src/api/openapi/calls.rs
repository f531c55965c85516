//! The calls of scripts as the description has them.

use super::operation::{address_parameters, query_parameter};
use super::schemas::{Schemas, insert, problem_content};
use crate::api::description::ParameterKind::{Id, Number, Switch, Text, Time};
use crate::api::description::{Parameter, parameter};
use crate::calls::mode::{MODES, Mode};
use serde_json::{Map, Value, json};

/// The query parameters of a call.
const CALL: &[Parameter] = &[
    parameter("raw", Switch, "Adds raw_string: the body's exact text"),
    parameter("wrap_body", Switch, "Makes a JSON object {\"body\": object}"),
    parameter("include_header", Text, "Headers that become arguments, with commas between"),
    parameter("include_query", Text, "Query parameters that become arguments, with commas between"),
    parameter("tag", Text, "A word to find it by; the host runs jobs of every tag"),
    parameter("timeout", Number(1), "The longest run, seconds; never above the script's own"),
    parameter("parent_job", Id, "The job that this one is part of"),
    parameter("root_job", Id, "The job at the top of the tree"),
];

/// The query parameters of a call with GET, beside `CALL`.
const PAYLOAD: Parameter = parameter(
    "payload",
    Text,
    "The arguments: JSON in base64, in the standard or the URL-safe alphabet",
);

/// The query parameter of a call that is waited for, beside `CALL`.
const WAITED: Parameter = parameter(
    "queue_limit",
    Number(0),
    "Refuses the call when more jobs than this are due and wait in the workspace",
);

/// The query parameters of a call that is queued, beside `CALL`.
const QUEUED: &[Parameter] = &[
    parameter("scheduled_for", Time, "When it starts"),
    parameter("scheduled_in_secs", Number(0), "Seconds after which it starts"),
    parameter("job_id", Id, "Its id"),
    parameter(
        "retry",
        Text,
        "When it is started again after a run that failed, whatever the script says: a policy as \
         JSON",
    ),
];

/// Adds every way to call a script to the paths.
pub(super) fn insert_all(paths: &mut Map<String, Value>, schemas: &mut Schemas) {
    for (words, mode) in MODES {
        for (how, name) in [("p/{path}", "path"), ("h/{hash}", "hash")] {
            let address = format!("w/{{workspace}}/{words}{how}");
            for method in methods(mode) {
                let operation = call(mode, method, &address, name, schemas);
                insert(paths, format!("/{address}"), method, operation);
            }
        }
    }
}

/// The methods that call a script, the probe included.
fn methods(mode: Mode) -> &'static [&'static str] {
    match mode {
        Mode::Queued | Mode::Probe => &["POST", "HEAD"],
        Mode::Sync | Mode::Stream => &["POST", "GET", "HEAD"],
    }
}

/// A call of a script that is named `by` its path or its hash.
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
    let prefix = match method {
        "HEAD" => "Probe",
        "GET" => "Get",
        _ => "",
    };
    let id = format!("{id}By{}", if by == "path" { "Path" } else { "Hash" });
    let head = method == "HEAD";
    let mut operation = json!({
        "operationId": format!("{prefix}{id}"),
        "summary": if head { "Asks whether a script is there and may be run" } else { summary },
        "description": "Needs `jobs:run:scripts`, for the path at least.",
        "tags": ["calls"],
        "parameters": parameters(mode, method, address, schemas),
        "responses": responses(mode, head, schemas),
        "x-wasmill-right": "jobs:run:scripts:{found}",
    });
    if let (Value::Object(operation), "POST") = (&mut operation, method) {
        operation.insert(
            "requestBody".into(),
            json!({
                "required": false,
                "description": "The arguments",
                "content": {"application/json": {"schema": {"type": "object"}}},
            }),
        );
    }
    operation
}

/// The parameters of a call, in its address and in its query.
fn parameters(mode: Mode, method: &str, address: &str, schemas: &mut Schemas) -> Vec<Value> {
    let mut parameters = address_parameters(address, schemas);
    parameters.extend(CALL.iter().map(|parameter| query_parameter(parameter, schemas)));
    match mode {
        Mode::Queued => {
            parameters.extend(QUEUED.iter().map(|parameter| query_parameter(parameter, schemas)))
        }
        Mode::Sync | Mode::Stream => parameters.push(query_parameter(&WAITED, schemas)),
        Mode::Probe => {}
    }
    if method == "GET" {
        parameters.push(query_parameter(&PAYLOAD, schemas));
    }
    parameters
}

/// The answers of a call by status; with `head`, of its probe.
fn responses(mode: Mode, head: bool, schemas: &mut Schemas) -> Value {
    let (status, done) = match (head, mode) {
        (true, _) => {
            ("200", json!({"description": "The script is there, and the token may run it"}))
        }
        (_, Mode::Queued) => (
            "201",
            json!({
                "description": "The job's id",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            }),
        ),
        (_, Mode::Stream) => (
            "200",
            json!({"description": "The run's events", "content": {"text/event-stream": {}}}),
        ),
        // A script may choose every status and content type.
        _ => (
            "200",
            json!({
                "description": "The result, or the error of a run that failed",
                "content": {"application/json": {}, "*/*": {}},
            }),
        ),
    };
    let mut content = problem_content(schemas);
    if let (Value::Object(content), Mode::Sync, false) = (&mut content, mode, head) {
        content.insert("*/*".into(), json!({}));
    }
    // A refusal of HEAD has no body to describe.
    let refused = if head {
        json!({"description": "Refused"})
    } else {
        json!({"description": "Refused", "content": content})
    };
    json!({status: done, "default": refused})
}
