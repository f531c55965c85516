//! The example scripts, called as their readers are told to.

use serde_json::Value;
use wasmill_tests::{Answer, guest, sample_file, shared};

/// Deploys an example under its own path and calls it with its sample.
fn sample(script: &str) -> Answer {
    let host = shared();
    let path = format!("u/examples/{script}");
    host.push(&path, &guest(script));
    host.calling(&format!("p/{path}"))
        .body("application/json", &sample_file(script, "sample.json"))
        .send()
}

fn answers_json(script: &str) {
    let answer = sample(script);
    let expected: Value =
        serde_json::from_slice(&sample_file(script, "expected.json")).expect("JSON");
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "application/json"),
        "{answer:?}"
    );
    assert_eq!(answer.json(), expected);
    assert_eq!(answer.header("x-wasmill-job-status"), "success");
}

fn answers_text(script: &str, content_type: &str) -> Answer {
    let answer = sample(script);
    assert_eq!((answer.status, answer.header("content-type")), (200, content_type), "{answer:?}");
    assert_eq!(
        answer.text(),
        String::from_utf8(sample_file(script, "expected.txt")).expect("text")
    );
    answer
}

#[test]
fn greet() {
    answers_json("greet");
}

#[test]
fn hello() {
    answers_json("hello");
}

/// Not a digit is changed on the way to a script and back.
#[test]
fn echo() {
    let host = shared();
    answers_json("echo");
    let sent = r#"{"z":1.10,"a":123456789012345678901234567890,"b":1e2}"#;
    assert_eq!(
        host.calling("p/u/examples/echo").body("application/json", sent.as_bytes()).send().text(),
        sent
    );
}

#[test]
fn image_size() {
    answers_json("image-size");
}

#[test]
fn slow() {
    answers_json("slow");
}

#[test]
fn word_count() {
    answers_json("word-count");
}

#[test]
fn csv_report() {
    let answer = answers_text("csv-report", "text/csv; charset=utf-8");
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"teas.csv\"");
}

#[test]
fn github_push() {
    answers_text("github-push", "text/plain; charset=utf-8");
}

/// As GitHub sends it: the body as it is, the signature in a header, what the script needs named in
/// the URL.
#[test]
fn github_push_as_a_webhook() {
    let host = shared();
    host.push("u/examples/github-webhook", &guest("github-push"));
    let body = sample_file("github-push", "body.json");
    let sample: Value =
        serde_json::from_slice(&sample_file("github-push", "sample.json")).expect("JSON");
    let signature = sample["x_hub_signature_256"].as_str().expect("a signature");
    let send = |body: &[u8], signature: &str| {
        let target = "p/u/examples/github-webhook?raw=true&include_header=X-Hub-Signature-256";
        host.calling(target)
            .body("application/json", body)
            .header("X-Hub-Signature-256", signature)
            .send()
    };

    let good = send(&body, signature);
    assert_eq!(
        (good.status, good.text()),
        (200, String::from_utf8(sample_file("github-push", "expected.txt")).expect("text"))
    );
    let forged = send(&body, &signature.replace('a', "b"));
    assert_eq!(forged.status, 401, "{forged:?}");
    // A space more is another body: the script must be given the very bytes that were sent.
    let reformatted = send(&[&body[..], b" "].concat(), signature);
    assert_eq!(reformatted.status, 401, "{reformatted:?}");
    let unsigned =
        host.calling("p/u/examples/github-webhook").body("application/json", &body).send();
    assert_eq!(unsigned.status, 401, "{unsigned:?}");
}
