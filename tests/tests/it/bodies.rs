//! Bodies that no script gets to see.

use serde_json::json;
use wasmill_tests::{Host, guest, shared};

fn posted(body: &str) -> String {
    let host = shared();
    let detail = host
        .calling("p/u/tests/hello")
        .body("application/json", body.as_bytes())
        .send()
        .problem(400);
    let queued = host
        .request("POST", "/api/w/main/jobs/run/p/u/tests/hello")
        .body("application/json", body.as_bytes())
        .send();
    assert_eq!(queued.problem(400), detail, "both kinds of calls refuse it in the same words");
    host.still_serves();
    detail
}

#[test]
fn not_json() {
    let detail = posted("{\"name\": \"Ann\",\n  \"times\": oops}");
    assert!(detail.contains("line 2") && detail.contains("column 12"), "{detail}");
    let cut = posted("{\"name\": ");
    assert!(cut.contains("line 1") && cut.contains("EOF"), "{cut}");
    assert!(posted("{\"a\":1} {").contains("trailing"), "more than one value");
}

#[test]
fn too_deep() {
    let depth = 100_000;
    let detail = posted(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    assert!(detail.contains("deep"), "{detail}");
}

#[test]
fn not_utf8() {
    let host = shared();
    let detail = host
        .calling("p/u/tests/hello")
        .body("application/json", b"{\"name\":\"\xff\"}")
        .send()
        .problem(400);
    assert!(detail.contains("UTF-8") && detail.contains("byte 9"), "{detail}");
    host.still_serves();
}

#[test]
fn too_large() {
    let host = Host::start(&["--body-limit", "1"]);
    host.push("u/tests/hello", &guest("hello"));
    let body = format!("{{\"name\":\"{}\"}}", "x".repeat(1 << 20));
    let detail = host
        .calling("p/u/tests/hello")
        .body("application/json", body.as_bytes())
        .send()
        .problem(413);
    assert!(detail.contains("1048576"), "{detail}");
    let fits = format!("{{\"name\":\"{}\"}}", "x".repeat((1 << 20) - 11));
    assert_eq!(
        host.calling("p/u/tests/hello").body("application/json", fits.as_bytes()).send().status,
        200,
        "a body of exactly the limit"
    );
    host.still_serves();
}

#[test]
fn compressed() {
    let host = shared();
    for encoding in ["gzip", "br", "deflate, gzip", "zstd"] {
        let detail = host
            .calling("p/u/tests/hello")
            .body("application/json", b"\x1f\x8b\x08")
            .header("content-encoding", encoding)
            .send()
            .problem(415);
        assert!(detail.contains("Content-Encoding"), "{encoding}: {detail}");
    }
    let upload = host
        .request("POST", "/api/w/main/scripts/upload/p/u/bodies/zip")
        .body("application/wasm", &guest("hello"))
        .header("content-encoding", "gzip")
        .send();
    upload.problem(415);
    let plain = host
        .calling("p/u/tests/hello")
        .json(&json!({"name": "Ann"}))
        .header("content-encoding", "identity")
        .send();
    assert_eq!(plain.status, 200);
    host.still_serves();
}

#[test]
fn arguments_of_the_wrong_type() {
    let host = shared();
    for (args, words) in [
        (json!({"name": "Ann", "times": "two"}), ["\"times\"", "integer", "two"]),
        (json!({"name": 7}), ["\"name\"", "string", "7"]),
        (json!({"name": "Ann", "times": -1}), ["\"times\"", "0 to 4294967295", "-1"]),
        (json!({"times": 1}), ["\"name\"", "missing", ""]),
    ] {
        let (name, message) = host.call("u/tests/hello", &args).failure();
        assert_eq!(name, "InvalidArguments", "{args}: {message}");
        for word in words {
            assert!(message.contains(word), "{args}: {word:?} is not in: {message}");
        }
    }
    host.still_serves();
}

/// Senders of webhooks add keys when they like. So an argument that `main` does not take is no
/// error, but the run's log says so; and where one is missing, the message names what was given
/// instead.
#[test]
fn unknown_arguments() {
    let host = shared();
    let answer = host.call("u/tests/hello", &json!({"name": "Ann", "tims": 2}));
    assert_eq!(answer.json()["greeting"], "Hello Ann!");
    let log = host.job_log(answer.header("x-wasmill-job-id"));
    assert!(log.contains("\"tims\": ignored"), "{log}");
    let (name, message) = host.call("u/tests/hello", &json!({"nam": "Ann"})).failure();
    assert_eq!(name, "InvalidArguments");
    assert!(message.contains("\"name\" is missing") && message.contains("\"nam\""), "{message}");
    host.still_serves();
}
