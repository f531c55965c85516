//! What a synchronous call is answered with: headers, control keys, probes.

use serde_json::{Value, json};
use wasmill_tests::{Answer, Home, Host, guest, shared};

/// The answer to a run whose result is this object.
fn steered(mut result: Value) -> Answer {
    result["op"] = "echo".into();
    shared().call("u/tests/misbehave", &result)
}

#[test]
fn headers_of_every_run() {
    let host = shared();
    let deployed = host.push("u/answers/hello", &guest("hello"));
    for answer in [
        host.call("u/answers/hello", &json!({"name": "Ann"})),
        host.call_hash(&deployed.hash, &json!({"name": "Ann"})),
    ] {
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json(), json!({"greeting": "Hello Ann!", "times": 1}));
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("x-wasmill-version"), deployed.hash);
        assert_eq!(answer.header("x-wasmill-job-status"), "success");
        assert_eq!(answer.header("x-wasmill-job-id").len(), 36, "{answer:?}");
        assert!(answer.header("server-timing").contains("run;dur="), "{answer:?}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("content-security-policy"), "sandbox");
    }
}

#[test]
fn a_sync_run_is_a_job_too() {
    let host = shared();
    let answer = host.call("u/tests/hello", &json!({"name": "Ann"}));
    let id = answer.header("x-wasmill-job-id").to_owned();
    let maybe = wasmill_tests::eventually("the run is recorded", 10, || {
        let answer = host.get(&format!("/api/w/main/jobs_u/completed/get_result_maybe/{id}"));
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!(maybe["result"], answer.json());
    let job = host.job(&id);
    assert_eq!(
        (&job["type"], &job["script_path"], &job["success"]),
        (&json!("CompletedJob"), &json!("u/tests/hello"), &json!(true))
    );
    assert!(host.job_log(&id).contains("greeting Ann, 1 times"));
}

#[test]
fn status_and_content_type() {
    let created = steered(json!({"windmill_status_code": 201, "result": {"id": 7}}));
    assert_eq!((created.status, created.json()), (201, json!({"id": 7})));
    assert_eq!(created.header("content-type"), "application/json");
    let text = steered(json!({"wm_content_type": "text/plain", "result": "as it is"}));
    assert_eq!(
        (text.status, text.text().as_str(), text.header("content-type")),
        (200, "as it is", "text/plain")
    );
    let bytes = steered(
        json!({"windmill_content_type": "image/x", "windmill_content_transfer_encoding": "base64", "result": "AAH/"}),
    );
    assert_eq!(bytes.body, [0, 1, 255]);
    let header = steered(
        json!({"windmill_headers": {"X-Own": "yes", "Cache-Control": "max-age=5"}, "result": 1}),
    );
    assert_eq!(
        (header.header("x-own"), header.header("cache-control"), header.text().as_str()),
        ("yes", "max-age=5", "1")
    );
}

#[test]
fn answers_without_a_body() {
    let empty = steered(json!({"windmill_headers": {}}));
    assert_eq!((empty.status, empty.body.len()), (204, 0), "{empty:?}");
    let unchanged = steered(json!({"windmill_status_code": 304, "result": "ignored"}));
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0), "{unchanged:?}");
}

#[test]
fn answers_that_cannot_be_sent() {
    for (result, names) in [
        (json!({"windmill_status_code": 99, "result": 1}), "windmill_status_code"),
        (json!({"windmill_status_code": 600, "result": 1}), "windmill_status_code"),
        (json!({"windmill_status_code": "201", "result": 1}), "windmill_status_code"),
        (json!({"windmill_headers": {"a": "x\r\nset-cookie: y"}, "result": 1}), "line breaks"),
        (json!({"windmill_headers": {"a b": "x"}, "result": 1}), "header name"),
        (json!({"windmill_headers": {"Set-Cookie": "a=b"}, "result": 1}), "set-cookie"),
        (
            json!({"windmill_headers": {"Strict-Transport-Security": "max-age=1"}, "result": 1}),
            "strict-transport-security",
        ),
        (
            json!({"windmill_headers": {"Transfer-Encoding": "chunked"}, "result": 1}),
            "transfer-encoding",
        ),
        (json!({"windmill_headers": {"Content-Length": "1"}, "result": 1}), "content-length"),
        (
            json!({"windmill_headers": {"X-Content-Type-Options": "x"}, "result": 1}),
            "x-content-type-options",
        ),
        (json!({"windmill_content_type": "a\nb", "result": 1}), "windmill_content_type"),
    ] {
        let detail = steered(result.clone()).problem(500);
        assert!(detail.contains(names), "{result}: {detail}");
    }
    shared().still_serves();
}

#[test]
fn failures_are_200_unless_the_operator_says_so() {
    let answer = shared().call("u/tests/hello", &json!({"name": "Ann", "times": 101}));
    assert_eq!(answer.status, 200);
    let (name, message) = answer.failure();
    assert_eq!(
        (name.as_str(), message.as_str()),
        ("ScriptError", "101 times is too often; 100 is the most")
    );

    let host = Host::start(&["--sync-failure-status", "422"]);
    host.push("u/tests/hello", &guest("hello"));
    let answer = host.call("u/tests/hello", &json!({"name": "Ann", "times": 101}));
    assert_eq!((answer.status, answer.failure().0.as_str()), (422, "ScriptError"));
    assert_eq!(host.call("u/tests/hello", &json!({"name": "Ann"})).status, 200);
}

#[test]
fn errors_with_a_name_of_their_own() {
    let answer = shared().call("u/tests/misbehave", &json!({"op": "error"}));
    assert_eq!(
        answer.json(),
        json!({"error": {"name": "TeapotError", "message": "short and stout", "stack": "kettle.rs:418"}})
    );
}

#[test]
fn head_probes() {
    let host = shared();
    let deployed = host.push("u/answers/probed", &guest("hello"));
    for target in
        [format!("run/p/{}", deployed.path), format!("run_wait_result/h/{}", deployed.hash)]
    {
        let answer = host.request("HEAD", &format!("/api/w/main/jobs/{target}")).send();
        assert_eq!(
            (answer.status, answer.header("x-wasmill-version")),
            (200, deployed.hash.as_str()),
            "{answer:?}"
        );
    }
    assert_eq!(host.request("HEAD", "/api/w/main/jobs/run/p/u/answers/none").send().status, 404);
    assert_eq!(
        host.request("HEAD", "/api/w/main/jobs/run/p/u/answers/probed").anonymous().send().status,
        401
    );
}

#[test]
fn options_and_the_handshake_of_cloudevents() {
    let host = shared();
    let preflight = host
        .request("OPTIONS", "/api/w/main/jobs/run/p/u/tests/hello")
        .anonymous()
        .header("origin", "https://example.com")
        .send();
    assert_eq!(
        (preflight.status, preflight.header("access-control-allow-origin")),
        (200, "*"),
        "{preflight:?}"
    );
    assert!(preflight.header("access-control-allow-methods").contains("POST"));
    assert!(preflight.header("access-control-allow-headers").contains("Authorization"));
    assert_eq!(preflight.header("webhook-allowed-origin"), "");
    let handshake = host
        .request("OPTIONS", "/api/w/main/jobs/run/p/u/tests/hello")
        .anonymous()
        .header("webhook-request-origin", "sender.example")
        .send();
    assert_eq!(
        (handshake.header("webhook-allowed-origin"), handshake.header("webhook-allowed-rate")),
        ("sender.example", "*"),
        "{handshake:?}"
    );
}

#[test]
fn version_and_health_need_no_token() {
    let host = shared();
    let version = host.request("GET", "/api/version").anonymous().send();
    assert_eq!(version.status, 200);
    assert!(version.text().starts_with("wasmill v"), "{version:?}");
    let health = host.request("GET", "/api/health/status").anonymous().send();
    assert_eq!((health.status, &health.json()["status"]), (200, &json!("healthy")));
}

#[test]
fn unknown_addresses_and_methods() {
    let host = shared();
    for path in [
        "/",
        "/api",
        "/api/w/main/jobs/run/p/u/a/..%2f..%2fb",
        "/api/w/main/jobs/run/f/f/flows/none",
        "/api/nothing",
    ] {
        host.get(path).problem(404);
    }
    let wrong = host.request("DELETE", "/api/w/main/jobs/run_wait_result/p/u/tests/hello").send();
    assert_eq!(wrong.header("allow"), "GET, POST, HEAD, OPTIONS");
    wrong.problem(405);
}

#[test]
fn the_longest_wait_is_the_operators() {
    let host = Home::new().start_with(&[], &[("TIMEOUT_WAIT_RESULT", "1")]);
    host.push("u/tests/misbehave", &guest("misbehave"));
    let answer = host.call("u/tests/misbehave", &json!({"op": "sleep"}));
    let detail = answer.problem(504);
    assert!(detail.contains("1 s"), "{detail}");
    let maybe = host.wait(answer.header("x-wasmill-job-id"), 10);
    assert_eq!((&maybe["completed"], &maybe["success"]), (&json!(true), &json!(false)), "{maybe}");
}
