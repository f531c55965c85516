//! What no sender should send: each is refused in words or taken in a defined way, and the next
//! caller feels nothing.

mod addresses;
mod bodies;
mod depth;
mod http;

use serde_json::{Value, json};
use wasmill_tests::{Answer, Host, RawAnswer, Wire, shared};

/// Bytes of a body that the host takes unless it is told otherwise.
const BODY_LIMIT: usize = 16 << 20;

/// Levels of JSON within JSON that the host takes.
const DEPTH: usize = 128;

const HELLO: &str = "/api/w/main/jobs/run_wait_result/p/u/tests/hello";

const ECHO: &str = "/api/w/main/jobs/run_wait_result/p/u/tests/misbehave";

/// A script that returns its arguments, called with a query.
fn echoed(query: &str, content_type: &str, body: &[u8]) -> Answer {
    let host = shared();
    let answer = host
        .calling(&format!("p/u/tests/misbehave?include_query=op&op=echo{query}"))
        .body(content_type, body)
        .send();
    host.still_serves();
    answer
}

/// Request line, what all requests have, and some headers.
fn head(host: &Host, line: &str, headers: &str) -> String {
    format!("{line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n{headers}\r\n", host.token)
}

/// What is sent by hand, and the answer.
fn sent(line: &str, headers: &str, body: &[u8]) -> RawAnswer {
    let host = shared();
    let mut wire = Wire::open(host.address);
    wire.send(head(&host, line, headers));
    wire.send(body);
    let answer = wire.answer(30).unwrap_or_else(|| panic!("{line} {headers:?} is not answered"));
    host.still_serves();
    answer
}

/// The detail of a problem that was read by hand.
fn problem(answer: &RawAnswer, status: u16) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.head.contains("content-type: application/problem+json"), "{answer:?}");
    let problem: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(problem["status"], status);
    problem["detail"].as_str().expect("a detail").to_owned()
}

/// A value within so many arrays.
fn nested(levels: usize) -> String {
    format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
}

fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let sextets = text.as_bytes().chunks(3).flat_map(|three| {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        (0..=three.len())
            .map(move |index| ALPHABET[(bits >> (18 - 6 * index) & 63) as usize] as char)
    });
    sextets.collect()
}

/// The refusals that other tests do not come by. All of them are problems that say what is wrong.
#[test]
fn refusals_are_problems() {
    let host = shared();
    let none = "0".repeat(64);
    let run = |method: &str, path: &str| {
        host.request(method, &format!("/api/w/main/jobs/{path}")).json(&json!({})).send()
    };
    for (answer, status, word) in [
        (run("POST", "run_wait_result/p/u/tests/none"), 404, "u/tests/none"),
        (run("POST", &format!("run_wait_result/h/{none}")), 404, "000"),
        (run("POST", "run_wait_result/h/abc"), 404, "64"),
        (run("POST", "run_wait_result/p/x/y/z"), 404, "u/"),
        (run("POST", "run_wait_result/x/u/tests/hello"), 404, "no such address"),
        (run("PUT", "run_wait_result/p/u/tests/hello"), 405, "POST"),
        (run("DELETE", "run/p/u/tests/hello"), 405, "POST"),
        (run("POST", "list"), 405, "GET"),
        (host.get("/"), 404, "no such address"),
        (host.get("/api"), 404, "no such address"),
        (host.get("/api/w/main"), 404, "no such address"),
        (host.get("/api/w/Main!/scripts/list"), 404, "workspace"),
    ] {
        let detail = answer.problem(status);
        assert!(detail.contains(word), "{word:?} is not in: {detail}");
    }
    let first = host
        .request("POST", "/api/w/main/jobs/run/p/u/tests/hello")
        .header("idempotency-key", "bad-input");
    assert_eq!(first.json(&json!({"name": "Ann"})).send().status, 201);
    let other = host
        .request("POST", "/api/w/main/jobs/run/p/u/tests/hello")
        .header("idempotency-key", "bad-input");
    assert!(other.json(&json!({"name": "Bo"})).send().problem(422).contains("Idempotency-Key"));
    host.still_serves();
}
