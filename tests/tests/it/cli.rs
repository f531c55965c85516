//! The command line, from the first start on.

use serde_json::{Value, json};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use wasmill_tests::{Home, eventually, guest, root, shared};

fn file(name: &str) -> PathBuf {
    // Reading it tells what is missing when it is not built.
    guest(name);
    root().join("target/guests").join(format!("{name}.wasm"))
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("not JSON ({error}): {text}"))
}

/// A file of this text.
fn scratch(home: &Home, name: &str, text: &str) -> PathBuf {
    let path = home.path(name);
    std::fs::write(&path, text).expect("a file");
    path
}

#[test]
fn the_first_start() {
    let home = Home::new();
    // The harness has read `listening on http://...` from the first line, or it would not have come
    // this far.
    let mut host = home.start(&[]);
    let mode = |path: PathBuf| {
        std::fs::metadata(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(home.data().join("admin-token")), 0o600);
    assert_eq!(mode(home.data().join("host-secret")), 0o600);
    assert_eq!(mode(home.data()), 0o700);
    let token = host.token.clone();
    let whoami = host.get("/api/w/main/users/whoami").json();
    assert_eq!((&whoami["username"], &whoami["is_super_admin"]), (&json!("admin"), &json!(true)));
    host.terminate();
    assert!(host.ended(20).success());
    let greeting = host.rest_of_output();
    assert!(greeting.contains("first start") && greeting.contains("admin-token"), "{greeting:?}");
    assert!(!greeting.contains(&token), "the token was printed");
    // Another start is no first one: same token, nothing to tell.
    let mut again = home.start(&[]);
    assert_eq!(again.token, token);
    assert_eq!(again.get("/api/w/main/users/whoami").status, 200);
    again.terminate();
    assert!(again.ended(20).success());
    assert_eq!(again.rest_of_output(), "");
}

#[test]
fn push_and_run() {
    let host = shared();
    let text = host.cli(&["push", "--path", "u/cli/hello"]).arg(file("hello")).ok();
    let hash = text
        .lines()
        .find_map(|line| line.strip_prefix("hash"))
        .expect("the hash")
        .trim()
        .to_owned();
    assert_eq!(hash.len(), 64, "{text}");
    for address in [
        "jobs/run_wait_result/p/u/cli/hello".to_owned(),
        "jobs/run/p/u/cli/hello".to_owned(),
        format!("jobs/run_wait_result/h/{hash}"),
        format!("jobs/run/h/{hash}"),
    ] {
        assert!(
            text.contains(&format!("{}/api/w/main/{address}", host.url())),
            "{address} is missing: {text}"
        );
    }
    assert!(
        text.lines().any(|line| line.starts_with("curl ")) && !text.contains(&host.token),
        "{text}"
    );

    let again =
        json_of(&host.cli(&["push", "--json", "--path", "u/cli/hello"]).arg(file("hello")).ok());
    assert_eq!(
        (&again["hash"], &again["kind"], &again["path"], &again["created"]),
        (&json!(hash), &json!("typed"), &json!("u/cli/hello"), &json!(false))
    );
    assert_eq!(
        again["urls"]["sync_path"],
        format!("{}/api/w/main/jobs/run_wait_result/p/u/cli/hello", host.url())
    );
    for name in ["async_path", "sync_hash", "async_hash"] {
        assert!(again["urls"][name].is_string(), "{again}");
    }

    let expected = json!({"greeting": "Hello Ann!", "times": 1});
    assert_eq!(
        json_of(&host.cli(&["run", "u/cli/hello", "--data", r#"{"name":"Ann"}"#]).ok()),
        expected
    );
    assert_eq!(json_of(&host.cli(&["run", &hash, "-d", r#"{"name":"Ann"}"#]).ok()), expected);
    let args = scratch(host.home(), "args.json", r#"{"name":"Ann"}"#);
    assert_eq!(
        json_of(&host.cli(&["run", "u/cli/hello", "-d", &format!("@{}", args.display())]).ok()),
        expected
    );
    let id = host.cli(&["run", "--async", "u/cli/hello", "-d", r#"{"name":"Ann"}"#]).ok();
    assert_eq!(host.wait(id.trim(), 20)["result"], expected);
}

#[test]
fn a_failing_script_fails_the_command() {
    let host = shared();
    let printed = host.cli(&["run", "u/tests/hello", "-d", r#"{"name":"Ann","times":101}"#]).run();
    assert_eq!(printed.code, 1, "{printed:?}");
    assert!(
        printed.out.contains("ScriptError") && printed.out.contains("101 times"),
        "{printed:?}"
    );
    let missing = host.cli(&["run", "u/cli/none"]).run();
    assert_eq!(missing.code, 1, "{missing:?}");
    assert!(
        missing.out.contains("u/cli/none") || missing.err.contains("u/cli/none"),
        "{missing:?}"
    );
}

#[test]
fn a_refused_push_says_why() {
    let host = shared();
    let printed = host
        .cli(&["push", "--path", "u/cli/bad"])
        .arg(scratch(host.home(), "no.wasm", "no wasm at all"))
        .run();
    assert_eq!(printed.code, 1, "{printed:?}");
    assert!(printed.err.contains("not a WebAssembly file"), "{printed:?}");
    let path = host.cli(&["push", "--path", "nowhere"]).arg(file("hello")).run();
    assert_eq!(path.code, 1, "{path:?}");
    assert!(path.err.contains("u/<user>/"), "{path:?}");
    let none = host.cli(&["push", "--path", "u/cli/bad", "/none.wasm"]).run();
    assert_eq!(none.code, 1, "{none:?}");
    assert!(none.err.contains("/none.wasm"), "{none:?}");
    assert_eq!(host.cli(&["push"]).run().code, 2, "wrong usage has a code of its own");
}

#[test]
fn jobs_scripts_and_logs() {
    let host = shared();
    host.push("u/cli/listed", &guest("hello"));
    let id = host.queue("u/cli/listed", &json!({"name": "Ann"}));
    host.wait(&id, 20);
    let jobs = host.cli(&["jobs", "--path", "u/cli/listed"]).ok();
    let line = jobs
        .lines()
        .find(|line| line.starts_with(&id))
        .unwrap_or_else(|| panic!("{id} is missing: {jobs}"));
    assert!(line.contains("success") && line.contains("u/cli/listed"), "{line}");
    assert_eq!(
        json_of(&host.cli(&["jobs", "--json", "--path", "u/cli/listed"]).ok())[0]["id"],
        json!(id)
    );
    assert_eq!(
        host.cli(&["jobs", "--failed", "--json", "--path", "u/cli/listed"]).ok().trim(),
        "[]"
    );
    let scripts = host.cli(&["scripts"]).ok();
    assert!(
        scripts.lines().any(|line| line.contains("u/cli/listed") && line.contains("typed")),
        "{scripts}"
    );
    assert!(
        json_of(&host.cli(&["scripts", "--json"]).ok())
            .as_array()
            .expect("a list")
            .iter()
            .any(|script| script["path"] == "u/cli/listed")
    );
    assert_eq!(host.cli(&["logs", &id]).ok(), "greeting Ann, 1 times\n");
}

#[test]
fn logs_are_followed_to_the_end() {
    let host = shared();
    host.push("u/cli/slow", &guest("slow"));
    let id = host.queue("u/cli/slow", &json!({"seconds": 3}));
    let mut child = host.cli(&["logs", "-f", &id]).start();
    let mut out = child.stdout.take().expect("a pipe");
    let mut first = vec![0; "1 of 3 seconds\n".len()];
    out.read_exact(&mut first).expect("the first line");
    // Printed while the job still runs, and not all at its end.
    assert_eq!(
        host.job(&id)["type"],
        "QueuedJob",
        "the first line came only when the job was over"
    );
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("text");
    assert_eq!(
        String::from_utf8(first).expect("text") + &rest,
        "1 of 3 seconds\n2 of 3 seconds\n3 of 3 seconds\n"
    );
    assert!(child.wait().expect("an end").success());
    assert_eq!(host.job(&id)["success"], true);
}

#[test]
fn tokens_by_command() {
    let host = shared();
    let token = host
        .cli(&[
            "token",
            "create",
            "--label",
            "by command",
            "--scope",
            "jobs:run:scripts:u/tests/hello",
        ])
        .ok()
        .trim()
        .to_owned();
    let prefix = &token[..10];
    let list = host.cli(&["token", "list"]).ok();
    let line = list
        .lines()
        .find(|line| line.starts_with(prefix))
        .unwrap_or_else(|| panic!("{prefix} is missing: {list}"));
    assert!(
        line.contains("by command") && line.contains("jobs:run:scripts:u/tests/hello"),
        "{line}"
    );
    assert!(!list.contains(&token), "the list shows the secret");
    assert!(
        json_of(&host.cli(&["token", "list", "--json"]).ok())
            .as_array()
            .expect("a list")
            .iter()
            .any(|entry| entry["token_prefix"] == prefix)
    );
    let run = |args: &str| {
        host.cli(&["run", "u/tests/hello", "-d", args]).env("WASMILL_TOKEN", &token).run()
    };
    assert_eq!(run(r#"{"name":"Ann"}"#).code, 0);
    host.cli(&["token", "revoke", prefix]).ok();
    let refused = run(r#"{"name":"Ann"}"#);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(!host.cli(&["token", "list"]).ok().contains(prefix));
}

#[test]
fn inspect_needs_no_host() {
    let home = Home::new();
    let accepted = home.cli(&["inspect"]).arg(file("hello")).run();
    assert_eq!(accepted.code, 0, "{accepted:?}");
    assert!(
        accepted.out.contains("accepted")
            && accepted.out.contains("typed")
            && accepted.out.contains("\"name\""),
        "{accepted:?}"
    );
    let shown = json_of(&home.cli(&["inspect", "--json"]).arg(file("word-count")).ok());
    assert_eq!((&shown["accepted"], &shown["kind"]), (&json!(true), &json!("command")));
    let refused = home.cli(&["inspect"]).arg(scratch(&home, "inspect.wasm", "no wasm")).run();
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.out.contains("refused") && refused.out.contains("not_wasm"), "{refused:?}");
    let json =
        home.cli(&["inspect", "--json"]).arg(scratch(&home, "inspect.wasm", "no wasm")).run();
    assert_eq!(
        (json.code, &json_of(&json.out)["accepted"], &json_of(&json.out)["code"]),
        (1, &json!(false), &json!("not_wasm"))
    );
}

#[test]
fn flags_over_environment_over_file() {
    let host = shared();
    let listing = || host.cli(&["scripts"]);
    // The file that `serve` wrote, alone.
    listing().ok();
    let from_environment = listing().env("WASMILL_URL", "http://127.0.0.1:1").run();
    assert_eq!(from_environment.code, 1, "the variable is over the file: {from_environment:?}");
    assert!(from_environment.err.contains("http://127.0.0.1:1"), "{from_environment:?}");
    host.cli(&["scripts", "--url", &host.url()]).env("WASMILL_URL", "http://127.0.0.1:1").ok();
    let token = host.cli(&["scripts"]).env("WASMILL_TOKEN", "nonsense").run();
    assert!(token.code == 1 && token.err.contains("401"), "{token:?}");
    host.cli(&["scripts", "--token", &host.token]).env("WASMILL_TOKEN", "nonsense").ok();
    assert_eq!(
        json_of(&host.cli(&["scripts", "--json", "--workspace", "elsewhere"]).ok()),
        json!([]),
        "the flag chooses the workspace"
    );

    let unknown = Home::new().cli(&["scripts"]).run();
    assert_eq!(unknown.code, 1, "{unknown:?}");
    assert!(unknown.err.contains("--url"), "{unknown:?}");
}

#[test]
fn a_host_that_is_gone() {
    let host = Home::new().start(&[]);
    let home = host.kill();
    let printed = home.cli(&["scripts"]).run();
    assert_eq!(printed.code, 1, "{printed:?}");
    assert!(printed.err.contains("cannot be reached"), "{printed:?}");
    // The configuration is rewritten by the next start, on whichever port.
    let host = home.start(&[]);
    eventually("the command finds the new host", 5, || {
        (host.cli(&["scripts"]).run().code == 0).then_some(())
    });
}
