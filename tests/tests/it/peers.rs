//! The host as others know it: the official clients of Windmill's API and the SDKs of CloudEvents
//! and Standard Webhooks, unmodified. What each of them does with the host is in the program of its
//! name in `tests/peers`.

use serde_json::{Value, json};
use wasmill_tests::{Host, Receiver, Told, guest, peer, shared};

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

/// On a host of its own: it makes users, tokens and workspaces as the description allows.
#[test]
fn schemathesis_finds_the_api_as_described() {
    let host = Host::start(&[]);
    host.push("u/peers/described", &guest("hello"));
    let told = peer(&host, "api_description.py").ok();
    assert!(told.contains("Tested:"), "it tried nothing: {told}");
    let log = host.log();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn standardwebhooks_verifies_what_a_workspace_webhook_is_told() {
    let host = Host::start(&["--allow-private-webhooks"]);
    let receiver = Receiver::agreeing();
    let set = host
        .request("POST", "/api/w/main/workspaces/edit_webhook")
        .json(&json!({"webhook": receiver.url()}))
        .send();
    assert_eq!(set.status, 200, "{set:?}");
    let verified = |count: usize| {
        let told = receiver.wait(count, 20);
        let Told { headers, body, .. } = told.last().expect("a delivery");
        let secret = &host.get("/api/w/main/workspaces/get_settings").json()["webhook_secret"];
        let delivery = json!({"secret": secret, "headers": headers, "body": body});
        serde_json::from_str::<Value>(
            &peer(&host, "standard_webhooks.py").input(&delivery.to_string()).ok(),
        )
        .expect("JSON")
    };
    host.push("u/peers/told", &guest("hello"));
    let told = verified(1);
    assert_eq!(
        (&told["type"], &told["path"]),
        (&json!("CreateScript"), &json!("u/peers/told")),
        "{told}"
    );
    // A new secret signs what is told from then on.
    let rotated = host
        .request("POST", "/api/w/main/workspaces/rotate_webhook_secret")
        .json(&json!({}))
        .send();
    assert_eq!(rotated.status, 200, "{rotated:?}");
    let archived = host.request("POST", "/api/w/main/scripts/archive/p/u/peers/told").send();
    assert_eq!(archived.status, 200, "{archived:?}");
    assert_eq!(verified(2)["type"], "DeleteScript");
}
