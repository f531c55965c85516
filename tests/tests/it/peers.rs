//! The host as others know it: the official clients of Windmill's API and the SDKs of CloudEvents and Standard Webhooks,
//! unmodified. What each of them does with the host is in the program of its name in `tests/peers`.

use serde_json::{Map, Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;
use wasmill_tests::{Host, guest, peer, shared};

/// Runs a program, which has scripts of its own under `u/peers/`.
fn passes(program: &str) {
    let host = shared();
    let folder = format!("u/peers/{}", program.replace('.', "-"));
    let hello = host.push(&format!("{folder}/hello"), &guest("hello"));
    for name in ["sleepy", "echo"] {
        host.push(&format!("{folder}/{name}"), &guest("misbehave"));
    }
    peer(&host, program)
        .env("SCRIPTS", &folder)
        .env("HELLO_HASH", hello.hash)
        // What a worker tells its scripts: which one it runs, and where that one keeps its state.
        .env("WM_JOB_PATH", format!("{folder}/sleepy"))
        .env("WM_STATE_PATH_NEW", format!("{folder}/state"))
        .ok();
}

#[test]
fn wmill_runs_scripts() {
    passes("wmill_runs.py");
}

#[test]
fn wmill_keeps_values() {
    passes("wmill_values.py");
}

#[test]
fn wmill_knows_its_account() {
    passes("wmill_account.py");
}

#[test]
fn windmill_client_runs_scripts() {
    passes("windmill_client_runs.mjs");
}

#[test]
fn windmill_client_keeps_values() {
    passes("windmill_client_values.mjs");
}

#[test]
fn windmill_client_services_of_jobs() {
    passes("windmill_services_jobs.mjs");
}

#[test]
fn windmill_client_services_of_scripts() {
    passes("windmill_services_scripts.mjs");
}

#[test]
fn windmill_client_services_of_accounts() {
    passes("windmill_services_accounts.mjs");
}

#[test]
fn cloudevents_of_python() {
    passes("cloudevents_sdk.py");
}

#[test]
fn cloudevents_of_javascript() {
    passes("cloudevents_sdk.mjs");
}

/// The receiver of a workspace's webhook: one request, which it answers with 200.
fn received(listener: &TcpListener) -> (Vec<(String, String)>, String) {
    let (stream, _) = listener.accept().expect("a delivery");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    };
    assert!(line().starts_with("POST /hook "), "a POST to the webhook's address");
    let mut headers = Vec::new();
    loop {
        let line = line();
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").expect("a length").1.parse().expect("a number");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the body");
    reader.into_inner().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").expect("it is answered");
    (headers, String::from_utf8(body).expect("text"))
}

#[test]
fn standardwebhooks_verifies_what_a_workspace_webhook_is_told() {
    let host = Host::start(&["--allow-private-webhooks"]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let set = host.request("POST", "/api/w/main/workspaces/edit_webhook").json(&json!({"webhook": url})).send();
    assert_eq!(set.status, 200, "{set:?}");
    let verify = || {
        let (headers, body) = received(&listener);
        let headers: Value = headers.into_iter().map(|(name, value)| (name, Value::String(value))).collect::<Map<_, _>>().into();
        let secret = &host.get("/api/w/main/workspaces/get_settings").json()["webhook_secret"];
        let told = peer(&host, "standard_webhooks.py").input(&json!({"secret": secret, "headers": headers, "body": body}).to_string()).ok();
        serde_json::from_str::<Value>(&told).expect("JSON")
    };
    host.push("u/peers/told", &guest("hello"));
    let told = verify();
    assert_eq!((&told["type"], &told["path"]), (&json!("CreateScript"), &json!("u/peers/told")), "{told}");
    // A new secret signs what is told from then on.
    let rotated = host.request("POST", "/api/w/main/workspaces/rotate_webhook_secret").json(&json!({})).send();
    assert_eq!(rotated.status, 200, "{rotated:?}");
    let archived = host.request("POST", "/api/w/main/scripts/archive/p/u/peers/told").send();
    assert_eq!(archived.status, 200, "{archived:?}");
    assert_eq!(verify()["type"], "DeleteScript");
}
