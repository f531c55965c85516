//! Every operation of the API with every kind of caller, against a table. The operations are those
//! that the host describes: one without a row here fails the test, and so does a row without an
//! operation.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use wasmill_tests::{Host, Request, guest};

/// The kinds of callers, in the order of the table's columns.
const CALLERS: [&str; 9] =
    ["none", "unknown", "expired", "other", "operator", "narrow", "scoped", "developer", "admin"];

const TABLE: &str = include_str!("rights.txt");

/// What a caller gets: `401`, `403` and `404` as they are, `ok` for everything that lies behind the
/// guard.
fn verdict(status: u16) -> String {
    match status {
        401 | 403 | 404 => status.to_string(),
        500.. => format!("{status}!"),
        _ => "ok".to_owned(),
    }
}

fn make(host: &Host, address: &str, body: &Value) -> String {
    let answer = host.request("POST", address).json(body).send();
    assert_eq!(answer.status, 201, "{address}: {answer:?}");
    answer.text()
}

/// The tokens of the callers.
fn callers(host: &Host) -> Vec<Option<String>> {
    make(host, "/api/workspaces/create", &json!({"id": "elsewhere"}));
    make(
        host,
        "/api/w/elsewhere/workspaces/add_user",
        &json!({"email": "other@example.com", "is_admin": true}),
    );
    make(
        host,
        "/api/w/main/workspaces/add_user",
        &json!({"email": "operator@example.com", "operator": true}),
    );
    make(host, "/api/w/main/workspaces/add_user", &json!({"email": "developer@example.com"}));
    let of = |email: &str, scopes: Value| {
        make(
            host,
            "/api/users/tokens/impersonate",
            &json!({"impersonate_email": email, "scopes": scopes}),
        )
    };
    let mut unknown = host.token.clone();
    unknown.replace_range(20..21, if &unknown[20..21] == "A" { "B" } else { "A" });
    let expired =
        make(host, "/api/users/tokens/create", &json!({"expiration": "2020-01-01T00:00:00Z"}));
    let narrow = make(
        host,
        "/api/users/tokens/create",
        &json!({"scopes": ["jobs:run:scripts:u/rights/x"], "workspace_id": "main"}),
    );
    let scoped = of(
        "developer@example.com",
        json!(["jobs:read", "scripts:read:u/rights/*", "variables:read", "resources:read"]),
    );
    vec![
        None,
        Some(unknown),
        Some(expired),
        Some(of("other@example.com", Value::Null)),
        Some(of("operator@example.com", Value::Null)),
        Some(narrow),
        Some(scoped),
        Some(of("developer@example.com", Value::Null)),
        Some(host.token.clone()),
    ]
}

/// What stands in an address in place of its names. All of it is there before each request,
/// whatever the one before it did away with.
struct Furniture<'a> {
    host: &'a Host,
    wasm: Vec<u8>,
    /// One that is over.
    job: String,
    /// One that waits for another day.
    waiting: String,
}

impl Furniture<'_> {
    fn request(&self, operation: &str, method: &str, address: &str) -> Request {
        let deployed = self.host.push("u/rights/x", &self.wasm);
        for (room, value) in [("variables", json!("v")), ("resources", json!({"a": 1}))] {
            let body = json!({"path": "u/rights/x", "value": value, "is_secret": false, "description": "", "resource_type": "any"});
            // Already there, as a rule.
            self.host.request("POST", &format!("/api/w/main/{room}/create")).json(&body).send();
        }
        self.host
            .request("POST", "/api/w/main/workspaces/add_user")
            .json(&json!({"email": "member@example.com"}))
            .send();
        let filled = address
            .replace("{workspace}", "main")
            .replace("{path}", "u/rights/x")
            .replace("{hash}", &deployed.hash)
            .replace("{id}", if operation == "ScheduledFor" { &self.waiting } else { &self.job })
            .replace("{at}", "1767225600000")
            .replace("{delivery}", "1")
            .replace("{prefix}", "wml_nobody")
            .replace("{slug}", "bad-request")
            .replace("{username}", "member");
        assert!(!filled.contains('{'), "{address}: what stands for the name in it?");
        let request = self.host.request(method, &format!("/api{filled}")).anonymous();
        match (method, operation) {
            ("POST", "UploadScript") => request.body("application/wasm", &self.wasm),
            ("POST", "CreateScript") => request.json(&json!({"path": "u/rights/x", "content": "", "language": "wasm"})),
            ("POST", "CreateVariable" | "CreateResource") => {
                request.json(&json!({"path": "u/rights/x", "value": "v", "is_secret": false, "resource_type": "any"}))
            }
            // A call that a narrow caller may make needs its argument.
            ("POST", _) => request.json(&json!({"name": "Ann"})),
            _ => request,
        }
    }
}

#[test]
fn every_operation_with_every_caller() {
    let host = Host::start(&[]);
    let tokens = callers(&host);
    let wasm = guest("hello");
    host.push("u/rights/x", &wasm);
    let job = host.queue("u/rights/x", &json!({"name": "Ann"}));
    host.wait(&job, 20);
    let later = "/api/w/main/jobs/run/p/u/rights/x?scheduled_in_secs=86400";
    let waiting = make(&host, later, &json!({"name": "Ann"}));
    let furniture = Furniture { host: &host, wasm, job, waiting };

    let mut found = BTreeMap::new();
    let document = host.request("GET", "/api/openapi.json").anonymous().send().json();
    for (address, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let id = operation["operationId"].as_str().expect("a name");
            let ask = |token: &Option<String>| {
                let request = furniture.request(id, &method.to_uppercase(), address);
                let request = match token {
                    Some(token) => request.token(token),
                    None => request,
                };
                verdict(request.send().status)
            };
            found.insert(id.to_owned(), tokens.iter().map(ask).collect::<Vec<_>>().join(" "));
        }
    }

    let mut expected = BTreeMap::new();
    for line in TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (id, row) = line.split_once(' ').expect("an operation and its row");
        let row: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(row.len(), CALLERS.len(), "{line}");
        assert!(expected.insert(id.to_owned(), row.join(" ")).is_none(), "{id} has two rows");
    }
    let differences: Vec<String> = expected
        .keys()
        .chain(found.keys().filter(|id| !expected.contains_key(*id)))
        .filter(|id| expected.get(*id) != found.get(*id))
        .map(|id| {
            let row = found.get(id).map_or("is not there".to_owned(), |row| {
                row.split(' ').map(|v| format!("{v:<9}")).collect()
            });
            format!("{id:<32} {row}")
        })
        .collect();
    assert!(
        differences.is_empty(),
        "these are not as the table has them ({CALLERS:?}):\n{}",
        differences.join("\n")
    );
    host.still_serves_at("u/rights/x");
}
