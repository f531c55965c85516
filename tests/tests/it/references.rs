//! Arguments that refer to variables and resources: who may, what the script gets, and what is
//! stored.

use serde_json::{Value, json};
use wasmill_tests::{Answer, Host, shared};

const ECHO: &str = "u/tests/misbehave";

fn put(host: &Host, route: &str, body: &Value) {
    let answer = host.request("POST", &format!("/api/w/main/{route}/create")).json(body).send();
    assert!(matches!(answer.status, 201 | 409), "{answer:?}");
}

/// The shared host with a secret, a resource that refers to it, and one that refers to that.
fn furnished() -> std::sync::Arc<Host> {
    let host = shared();
    put(
        &host,
        "variables",
        &json!({"path": "f/refs/key", "value": "the \"secret\"", "is_secret": true}),
    );
    put(
        &host,
        "resources",
        &json!({"path": "f/refs/db", "value": {"port": 5432, "key": "$var:f/refs/key"}, "resource_type": "any"}),
    );
    put(
        &host,
        "resources",
        &json!({"path": "f/refs/all", "value": ["$res:f/refs/db", 1], "resource_type": "any"}),
    );
    host
}

fn token(host: &Host, scopes: &[&str]) -> String {
    host.request("POST", "/api/users/tokens/create").json(&json!({"scopes": scopes})).send().text()
}

fn sync(host: &Host, args: &str) -> Answer {
    host.calling(&format!("p/{ECHO}")).body("application/json", args.as_bytes()).send()
}

#[test]
fn the_script_gets_the_values_and_the_job_keeps_the_references() {
    let host = furnished();
    let args = r#"{"op":"echo","n":1.10,"k":"$var:f/refs/key","deep":[{"r":"$res:f/refs/all"}],"text":"\u0024var:f/refs/key"}"#;
    let expected = r#"{"op":"echo","n":1.10,"k":"the \"secret\"","deep":[{"r":[{"port":5432,"key":"the \"secret\""},1]}],"text":"\u0024var:f/refs/key"}"#;
    let answer = sync(&host, args);
    assert_eq!(answer.text(), expected);
    let streamed = host
        .request("POST", &format!("/api/w/main/jobs/run_and_stream/p/{ECHO}"))
        .body("application/json", args.as_bytes());
    let streamed = streamed.send().text();
    assert!(streamed.contains(r#""k":"the \"secret\"""#), "{streamed}");
    let queued = host
        .request("POST", &format!("/api/w/main/jobs/run/p/{ECHO}"))
        .body("application/json", args.as_bytes())
        .send()
        .text();
    assert_eq!(
        host.wait(&queued, 20)["result"],
        serde_json::from_str::<Value>(expected).expect("JSON")
    );
    for id in [&queued, answer.header("x-wasmill-job-id")] {
        assert_eq!(host.get(&format!("/api/w/main/jobs_u/get_args/{id}")).text(), args);
        assert_eq!(host.job(id)["args"]["k"], "$var:f/refs/key");
    }
}

#[test]
fn typed_scripts_are_checked_with_the_values() {
    let host = furnished();
    put(&host, "variables", &json!({"path": "f/refs/name", "value": "Ann"}));
    put(&host, "resources", &json!({"path": "f/refs/times", "value": 2, "resource_type": "any"}));
    host.push("u/refs/greet", &wasmill_tests::guest("greet"));
    let answer = host
        .call("u/refs/greet", &json!({"name": "$var:f/refs/name", "times": "$res:f/refs/times"}));
    assert_eq!(answer.json(), json!("Hello Ann! Hello Ann!"));
    // What does not fit is not told: it may be a secret.
    let (name, message) = host.call("u/tests/hello", &json!({"name": "$res:f/refs/db"})).failure();
    assert_eq!(
        (name.as_str(), message.as_str()),
        ("InvalidArguments", "argument \"name\": expected a string")
    );
    let (_, message) = host.call("u/tests/hello", &json!({"name": 5432})).failure();
    assert!(
        message.ends_with("expected a string, got 5432"),
        "without references it is: {message}"
    );
}

#[test]
fn what_is_missing_is_named() {
    let host = furnished();
    put(
        &host,
        "resources",
        &json!({"path": "f/refs/broken", "value": ["$res:f/refs/none"], "resource_type": "any"}),
    );
    put(
        &host,
        "resources",
        &json!({"path": "f/refs/circle", "value": ["$res:f/refs/circle"], "resource_type": "any"}),
    );
    for (reference, word) in [
        ("$var:f/refs/none", "no variable f/refs/none"),
        ("$res:f/refs/none", "no resource f/refs/none"),
        ("$res:f/refs/broken", "no resource f/refs/none"),
        ("$res:f/refs/circle", "refers to itself"),
    ] {
        let args = json!({"op": "echo", "a": reference});
        let (name, message) = sync(&host, &args.to_string()).failure();
        assert!(name == "InvalidArguments" && message.contains(word), "{name}: {message}");
        let id = host.queue(ECHO, &args);
        let error = host.wait(&id, 20)["result"]["error"].clone();
        assert_eq!(error["name"], "InvalidArguments");
        assert!(error["message"].as_str().expect("a text").contains(word), "{error}");
    }
    let detail = sync(&host, r#"{"op":"echo","a":"$var:no path"}"#).problem(400);
    assert!(detail.contains("$var:no path") && detail.contains("\\u0024"), "{detail}");
}

#[test]
fn the_right_to_refer() {
    let host = furnished();
    let runs = "jobs:run:scripts:u/tests/misbehave";
    let args = json!({"op": "echo", "a": ["$res:f/refs/all"], "b": "$var:f/refs/key"});
    let before = host.get("/api/w/main/jobs/list?per_page=1").json()[0]["id"].clone();
    for (scopes, missing) in [
        (&[runs][..], "resources:read:f/refs/all"),
        (&[runs, "resources:read:f/refs/all"], "variables:read:f/refs/key"),
        (&[runs, "variables:read"], "resources:read:f/refs/all"),
        (&[runs, "resources:read", "variables:read:f/refs/k/*"], "variables:read:f/refs/key"),
    ] {
        let narrow = token(&host, scopes);
        for verb in ["run_wait_result", "run", "run_and_stream"] {
            let request = host
                .request("POST", &format!("/api/w/main/jobs/{verb}/p/{ECHO}"))
                .token(&narrow)
                .json(&args);
            let detail = request.send().problem(403);
            assert!(detail.contains(missing), "{scopes:?}: {detail}");
        }
    }
    let narrow_jobs = host
        .get(&format!(
            "/api/w/main/jobs/list?script_path_exact={ECHO}&per_page=100&include_args=true"
        ))
        .text();
    assert!(
        !narrow_jobs.contains("\"a\":[\"$res:f/refs/all\"],\"b\""),
        "nothing was started, also not after {before}: {narrow_jobs}"
    );
    // Who may read a resource may read what it refers to.
    let enough = token(&host, &[runs, "resources:read:f/refs/*"]);
    let answer = host
        .calling(&format!("p/{ECHO}"))
        .token(&enough)
        .json(&json!({"op": "echo", "a": "$res:f/refs/db"}))
        .send();
    assert_eq!(answer.json()["a"]["key"], "the \"secret\"");
    // And so who writes one must be allowed to read it.
    let writer = token(&host, &["resources:write"]);
    let body =
        json!({"path": "f/refs/stolen", "value": {"k": "$var:f/refs/key"}, "resource_type": "any"});
    let create = |route: &str, body: &Value| {
        host.request("POST", &format!("/api/w/main/resources/{route}"))
            .token(&writer)
            .json(body)
            .send()
    };
    assert!(create("create", &body).problem(403).contains("variables:read:f/refs/key"));
    assert!(
        create("update/f/refs/db", &json!({"value": "$var:f/refs/key"}))
            .problem(403)
            .contains("variables:read:f/refs/key")
    );
    assert!(
        create("update_value/f/refs/db", &json!({"value": "$var:f/refs/key"}))
            .problem(403)
            .contains("variables:read:f/refs/key")
    );
    assert_eq!(
        create(
            "create",
            &json!({"path": "f/refs/copy", "value": "$res:f/refs/db", "resource_type": "any"})
        )
        .status,
        201
    );
    let reader = token(&host, &["variables:read:f/refs/key"]);
    let value = |token: &str, verb: &str| {
        host.request("GET", &format!("/api/w/main/variables/{verb}/f/refs/key")).token(token).send()
    };
    assert_eq!(value(&reader, "get_value").json(), json!("the \"secret\""));
    assert!(value(&writer, "get_value").problem(403).contains("variables:read:f/refs/key"));
    assert!(
        host.request("DELETE", "/api/w/main/variables/delete/f/refs/key")
            .token(&reader)
            .send()
            .problem(403)
            .contains("variables:write")
    );
}

#[test]
fn operators_use_values_and_do_not_change_them() {
    let host = furnished();
    let made = host
        .request("POST", "/api/users/create")
        .json(&json!({"email": "opal@localhost", "username": "opal", "password": "x"}))
        .send();
    assert!(matches!(made.status, 201 | 409), "{made:?}");
    let member =
        json!({"email": "opal@localhost", "username": "opal", "is_admin": false, "operator": true});
    assert!(
        host.request("POST", "/api/w/main/workspaces/add_user").json(&member).send().status < 300
    );
    let label = json!({"impersonate_email": "opal@localhost"});
    let opal = host.request("POST", "/api/users/tokens/impersonate").json(&label).send();
    assert_eq!(opal.status, 201, "{opal:?}");
    let opal = opal.text();
    let answer = host
        .calling(&format!("p/{ECHO}"))
        .token(&opal)
        .json(&json!({"op": "echo", "a": "$var:f/refs/key"}))
        .send();
    assert_eq!(answer.json()["a"], "the \"secret\"");
    for (route, body) in [
        ("variables/create", json!({"path": "u/opal/x", "value": "1"})),
        ("variables/update/f/refs/key", json!({"value": "1"})),
        ("resources/create", json!({"path": "u/opal/x", "value": 1, "resource_type": "any"})),
    ] {
        let answer =
            host.request("POST", &format!("/api/w/main/{route}")).token(&opal).json(&body).send();
        assert!(answer.problem(403).contains("operator"), "{route}");
    }
}

/// Text that did not come as JSON is text: above all the raw body, whose signature is checked byte
/// for byte.
#[test]
fn texts_are_no_references() {
    let host = furnished();
    let text = "$var:f/refs/key";
    let target = format!("p/{ECHO}?include_query=op,q&op=echo&q={text}&include_header=x-h");
    let raw =
        host.calling(&target).header("x-h", text).body("text/plain", text.as_bytes()).send().json();
    assert_eq!(
        (&raw["raw_string"], &raw["q"], &raw["x_h"]),
        (&json!(text), &json!(text), &json!(text))
    );
    let form = format!("a={text}&b=%24res:f/refs/db");
    let form = host
        .calling(&target)
        .body("application/x-www-form-urlencoded", form.as_bytes())
        .send()
        .json();
    assert_eq!((&form["a"], &form["b"]), (&json!(text), &json!("$res:f/refs/db")));
}
