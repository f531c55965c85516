//! CloudEvents, forms with files, streams of updates, and runs that declare themselves failed: as
//! their senders make them.

use serde_json::{Value, json};
use wasmill_tests::{Answer, Host, guest, shared};

fn echoed(content_type: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
    let host = shared();
    let mut request = host
        .calling("p/u/tests/misbehave?include_query=op&op=echo")
        .body(content_type, body.as_bytes());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.send()
}

#[test]
fn a_structured_event() {
    let event =
        r#"{"specversion":"1.0","id":"7","source":"/s","type":"t","seq":1.10,"data":{"a":1}}"#;
    let answer = echoed("application/cloudevents+json; charset=utf-8", event, &[]);
    assert_eq!(answer.status, 200, "{answer:?}");
    let metadata = r#""WEBHOOK__METADATA__":{"specversion":"1.0","id":"7","source":"/s","type":"t","seq":1.10}"#;
    assert!(answer.text().contains(metadata), "{}", answer.text());
    assert_eq!(answer.json()["a"], 1);
}

#[test]
fn a_binary_event() {
    let headers =
        [("ce-specversion", "1.0"), ("ce-id", "a%20b"), ("ce-source", "/s"), ("ce-type", "t")];
    let answer = echoed("application/json", r#"{"a":1}"#, &headers);
    let metadata = json!({"specversion": "1.0", "id": "a b", "source": "/s", "type": "t", "datacontenttype": "application/json"});
    assert_eq!(answer.json(), json!({"a": 1, "op": "echo", "WEBHOOK__METADATA__": metadata}));
}

#[test]
fn events_that_are_none() {
    let structured = "application/cloudevents+json";
    for (content_type, body, headers, word) in [
        (structured, r#"{"specversion":"1.0","id":"7","source":"/s"}"#, &[][..], "type"),
        (structured, r#"{"specversion":"0.3","id":"7","source":"/s","type":"t"}"#, &[], "1.0"),
        (structured, "[]", &[], "object"),
        (
            "application/json",
            "{}",
            &[("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-type", "t")],
            "source",
        ),
        ("application/cloudevents-batch+json", "[]", &[], "not supported"),
    ] {
        let detail = echoed(content_type, body, headers).problem(400);
        assert!(detail.contains(word), "{body}: {detail}");
    }
}

#[test]
fn a_form_with_a_file() {
    let body = "--x\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhi\r\n--x\r\n\
                Content-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\nContent-Type: image/png\r\n\r\n\u{1}hi\r\n--x--\r\n";
    let answer = echoed("multipart/form-data; boundary=x", body, &[]);
    let file =
        json!({"filename": "a.bin", "content_type": "image/png", "size": 3, "base64": "AWhp"});
    assert_eq!(answer.json(), json!({"op": "echo", "note": "hi", "file": [file]}));
    let endless = body.trim_end_matches("--\r\n");
    assert!(!echoed("multipart/form-data; boundary=x", endless, &[]).problem(400).is_empty());
}

#[test]
fn a_run_that_declares_itself_failed() {
    let host = Host::start(&["--sync-failure-status", "422"]);
    host.push("u/tests/misbehave", &guest("misbehave"));
    let answer = host
        .call("u/tests/misbehave", &json!({"op": "echo", "wm_failure": "out of tea", "left": 0}));
    assert_eq!((answer.status, answer.header("x-wasmill-job-status")), (422, "failure"));
    assert_eq!(
        answer.json(),
        json!({"op": "echo", "left": 0, "error": {"name": "ManualFailure", "message": "out of tea"}})
    );
    let chosen = host.call(
        "u/tests/misbehave",
        &json!({"op": "echo", "wm_failure": "out of tea", "windmill_status_code": 418}),
    );
    assert_eq!((chosen.status, chosen.header("x-wasmill-job-status")), (418, "failure"));
}

/// The messages of a stream that has ended.
fn messages(text: &str) -> Vec<Value> {
    text.split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "))
        .map(|json| serde_json::from_str(json).expect("JSON"))
        .collect()
}

#[test]
fn a_run_and_its_log_as_a_stream() {
    let host = shared();
    host.push("u/tests/slow-stream", &guest("slow"));
    let path = "/api/w/main/jobs/run_and_stream/p/u/tests/slow-stream";
    let answer = host.request("POST", path).json(&json!({"seconds": 1})).send();
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/event-stream"));
    let told = messages(&answer.text());
    let last = told.last().expect("a message");
    assert_eq!((&last["completed"], &last["only_result"]), (&json!(true), &json!({"slept": 1})));
    let log: String = told.iter().filter_map(|message| message["new_logs"].as_str()).collect();
    assert_eq!(log, "1 of 1 seconds\n");
    assert_eq!(host.job(answer.header("x-wasmill-job-id"))["success"], true);
}

#[test]
fn a_job_followed() {
    let host = shared();
    host.push("u/tests/slow-follow", &guest("slow"));
    let id = host.queue("u/tests/slow-follow", &json!({"seconds": 1}));
    let told = messages(
        &host.get(&format!("/api/w/main/jobs_u/getupdate_sse/{id}?only_result=true")).text(),
    );
    let last = told.last().expect("a message");
    assert_eq!(
        (&last["completed"], &last["only_result"], &last["job"]["type"]),
        (&json!(true), &json!({"slept": 1}), &json!("CompletedJob"))
    );
    let once = host.get(&format!("/api/w/main/jobs_u/getupdate/{id}?log_offset=2")).json();
    assert_eq!(
        (&once["completed"], &once["new_logs"], &once["log_offset"]),
        (&json!(true), &json!("of 1 seconds\n"), &json!(15))
    );
}
