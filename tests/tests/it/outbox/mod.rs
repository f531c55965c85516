//! The workspace's webhook. What it is told, which receivers there are, and how it is managed.

mod managing;
mod receivers;
mod told;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use wasmill_tests::{Answer, Host, Told, eventually, guest};

/// Receivers of tests are on the loopback, and nobody wants to wait for the usual times.
const ARGS: [&str; 3] = ["--allow-private-webhooks", "--webhook-retry-base", "50"];

fn at(host: &Host, method: &str, workspace: &str, action: &str) -> Answer {
    host.request(method, &format!("/api/w/{workspace}/workspaces/{action}")).send()
}

fn set(host: &Host, workspace: &str, url: &str) -> Answer {
    host.request("POST", &format!("/api/w/{workspace}/workspaces/edit_webhook"))
        .json(&json!({"webhook": url}))
        .send()
}

fn must_set(host: &Host, workspace: &str, url: &str) {
    let answer = set(host, workspace, url);
    assert_eq!(
        (answer.status, answer.text()),
        (200, format!("Edit webhook for workspace {workspace}")),
        "{answer:?}"
    );
}

fn secret(host: &Host) -> String {
    at(host, "GET", "main", "get_settings").json()["webhook_secret"]
        .as_str()
        .expect("a secret")
        .to_owned()
}

fn log(host: &Host, workspace: &str) -> Vec<Value> {
    let answer = at(host, "GET", workspace, "webhook_deliveries");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json().as_array().expect("a list").clone()
}

/// Waits until the newest entry of the log has a status, and returns it.
fn settled(host: &Host, status: &str) -> Value {
    eventually(&format!("the delivery is {status}"), 20, || {
        log(host, "main").first().filter(|newest| newest["status"] == status).cloned()
    })
}

/// Makes a change that is told: a new script, which costs no compiling after the first.
fn change(host: &Host, workspace: &str, name: &str) {
    let upload =
        host.request("POST", &format!("/api/w/{workspace}/scripts/upload/p/u/outbox/{name}"));
    let answer = upload.body("application/wasm", &guest("hello")).send();
    assert_eq!(answer.status, 201, "{answer:?}");
}

/// The signatures that `webhook-signature` must have, by the scheme's own text:
/// `base64(hmac-sha256(secret, "id.timestamp.body"))`.
fn signature(told: &Told, secret: &str) -> String {
    let key = STANDARD
        .decode(secret.strip_prefix("whsec_").expect("the form of secrets"))
        .expect("base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
    mac.update(
        format!("{}.{}.{}", told.header("webhook-id"), told.header("webhook-timestamp"), told.body)
            .as_bytes(),
    );
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

fn names(told: &[Told]) -> Vec<String> {
    told.iter()
        .map(|told| told.json()["path"].as_str().expect("a path").replace("u/outbox/", ""))
        .collect()
}
