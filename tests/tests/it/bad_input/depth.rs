//! JSON that is too deep for its readers, wherever it stands, and JSON that is none.

use super::{DEPTH, base64, echoed, nested};
use serde_json::json;
use wasmill_tests::{Operation, entry_answering, eventually, operations, shared};

#[test]
fn deep_json_wherever_it_stands() {
    let _host = shared();
    let deep = nested(DEPTH);
    let event =
        |data: &str| format!(r#"{{"specversion":"1.0","id":"7","source":"/s","type":"t",{data}}}"#);
    let structured = "application/cloudevents+json";
    for deep in [&deep, &nested(100_000)] {
        for (content_type, body) in [
            ("application/json", deep.clone()),
            ("application/json", format!(r#"{{"a":{deep}}}"#)),
            ("application/json", deep.replace('[', r#"{"a":"#).replace(']', "}")),
            (structured, event(&format!(r#""data":{deep}"#))),
            (structured, event(&format!(r#""extension":{deep},"data":1"#))),
            (structured, event(&format!(r#""data_base64":"{}""#, base64(deep)))),
        ] {
            let detail = echoed("", content_type, body.as_bytes()).problem(400);
            assert!(detail.contains("deep"), "{body:.80}: {detail}");
        }
    }
    // Only as a text does it say nothing about its depth.
    let form = format!(
        "--x\r\ncontent-disposition: form-data; name=\"a\"\r\ncontent-type: application/json\r\n\r\n{}\r\n--x--\r\n",
        nested(100_000)
    );
    let answer = echoed("", "multipart/form-data; boundary=x", form.as_bytes());
    assert_eq!((answer.status, answer.json()["a"].as_str().map(str::len)), (200, Some(200_001)));
    // The deepest that is taken; the arguments themselves are one level.
    let most = nested(DEPTH - 2);
    let answer = echoed("", "application/json", format!(r#"{{"a":{most}}}"#).as_bytes());
    assert_eq!((answer.status, answer.text()), (200, format!(r#"{{"a":{most},"op":"echo"}}"#)));
}

/// Every operation that takes JSON is given some that is none, too deep, or something else.
#[test]
fn management_requests_that_are_none() {
    let host = shared();
    let deep = nested(100_000);
    for Operation { method, address, takes } in operations(&host) {
        if takes.as_deref() != Some("application/json") || address.contains("/jobs/run") {
            continue;
        }
        let send =
            |body: &[u8]| host.request(&method, &address).body("application/json", body).send();
        let other =
            br#"{"path":1,"id":{},"email":[],"scopes":"x","reason":7,"label":[],"webhook":{}}"#;
        for body in [deep.as_bytes(), other, b"\xff", b"7", b"\"", b"{", b"[1"] {
            let answer = send(body);
            // Where what it is about is not there, that may be found out first.
            assert!(matches!(answer.status, 400 | 404), "{method} {address}: {answer:?}");
            assert!(!answer.problem(answer.status).is_empty(), "{method} {address}");
        }
        // What need not be sent may be left out; and whatever text there is, nothing breaks.
        for body in ["", "{}", "null", "[]", r#"{"label":"\u0000 🦀","reason":"\u0000"}"#] {
            let answer = send(body.as_bytes());
            assert!(answer.status < 500, "{method} {address} {body}: {answer:?}");
        }
    }
    host.still_serves();
}

#[test]
fn deep_json_in_results() {
    let host = shared();
    for (name, text) in [
        ("arrays", nested(10_000)),
        ("steered", format!(r#"{{"windmill_status_code":201,"result":{}}}"#, nested(10_000))),
        ("declared", format!(r#"{{"wm_failure":"no","windmill_headers":{}}}"#, nested(10_000))),
        ("just-too-deep", nested(DEPTH + 1)),
    ] {
        let path = format!("u/badinput/{name}");
        host.push(&path, &entry_answering(&text));
        let (failure, message) = host.call(&path, &json!({})).failure();
        assert_eq!(failure, "InvalidResult", "{name}: {message}");
        let id = host.queue(&path, &json!({}));
        assert_eq!(host.wait(&id, 20)["result"]["error"]["name"], "InvalidResult");
        assert_eq!(host.job(&id)["result"]["error"]["name"], "InvalidResult");
    }
    let most = nested(DEPTH);
    host.push("u/badinput/deep-enough", &entry_answering(&most));
    let answer = host.call("u/badinput/deep-enough", &json!({}));
    assert_eq!((answer.status, answer.text()), (200, most.clone()));
    let id = host.queue("u/badinput/deep-enough", &json!({}));
    // Read as text: as a part of the job's JSON it is deeper than a reader has to follow.
    eventually("the deepest result is there", 20, || {
        let result = host.get(&format!("/api/w/main/jobs_u/completed/get_result/{id}"));
        (result.status == 200).then(|| assert_eq!(result.text(), most))
    });
    host.still_serves();
}
