//! The host as others know it: the official clients of Windmill's API and the SDKs of CloudEvents and Standard Webhooks,
//! unmodified. What each of them does with the host is in the program of its name in `tests/peers`.

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
fn wmill_knows_its_account() {
    passes("wmill_account.py");
}

#[test]
fn windmill_client_runs_scripts() {
    passes("windmill_client_runs.mjs");
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
    let told = peer(&host, "api_description.py").ok();
    assert!(told.contains("Tested:"), "it tried nothing: {told}");
    let log = host.log();
    assert!(!log.contains("panicked"), "{log}");
}
