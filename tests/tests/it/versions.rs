//! Deploying: paths that move on, hashes that stay.

use serde_json::{Value, json};
use wasmill_tests::{guest, shared};

fn greeting(answer: &wasmill_tests::Answer) -> String {
    answer.json()["greeting"]
        .as_str()
        .unwrap_or_else(|| panic!("no greeting: {answer:?}"))
        .to_owned()
}

fn hashes(history: &Value) -> Vec<String> {
    history
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| entry["script_hash"].as_str().expect("a hash").to_owned())
        .collect()
}

#[test]
fn an_overwrite_moves_the_path_and_not_the_hash() {
    let host = shared();
    let ann = json!({"name": "Ann"});
    let old = host.push("u/versions/moved", &guest("hello"));
    assert!(old.created);
    assert_eq!(greeting(&host.call(&old.path, &ann)), "Hello Ann!");
    let new = host.push("u/versions/moved", &guest("hello-loud"));
    assert!(new.created && new.hash != old.hash);
    assert_eq!(greeting(&host.call(&new.path, &ann)), "HELLO ANN!");
    assert_eq!(greeting(&host.call_hash(&old.hash, &ann)), "Hello Ann!");
    assert_eq!(greeting(&host.call_hash(&new.hash, &ann)), "HELLO ANN!");
    assert_eq!(
        hashes(&host.get("/api/w/main/scripts/history/p/u/versions/moved").json()),
        [new.hash, old.hash]
    );
}

#[test]
fn the_same_bytes_again_are_the_same_version() {
    let host = shared();
    let first = host.push("u/versions/again", &guest("hello"));
    let answer = host.upload("u/versions/again", &guest("hello"));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        (&answer.json()["hash"], &answer.json()["created"]),
        (&json!(first.hash), &json!(false))
    );
    assert_eq!(
        hashes(&host.get("/api/w/main/scripts/history/p/u/versions/again").json()),
        [first.hash]
    );
}

#[test]
fn other_limits_make_another_version() {
    let host = shared();
    let plain = host.push("u/versions/limits", &guest("hello"));
    let limited = host.push("u/versions/limits?timeout_s=2&memory_mib=32", &guest("hello"));
    assert_ne!(plain.hash, limited.hash);
    let shown = host.get(&format!("/api/w/main/scripts/get/h/{}", limited.hash)).json();
    assert_eq!(shown["limits"], json!({"timeout_s": 2, "memory_mib": 32}));
}

#[test]
fn an_archived_path_answers_by_hash_only() {
    let host = shared();
    let deployed = host.push("u/versions/archived", &guest("hello"));
    assert_eq!(
        host.request("POST", "/api/w/main/scripts/archive/p/u/versions/archived").send().status,
        200
    );
    let detail = host.call("u/versions/archived", &json!({"name": "Ann"})).problem(404);
    assert!(detail.contains("u/versions/archived"), "{detail}");
    // It can still be looked at.
    assert_eq!(host.get("/api/w/main/scripts/exists/p/u/versions/archived").json(), json!(true));
    assert_eq!(
        host.get("/api/w/main/scripts/get/p/u/versions/archived").json()["archived"],
        json!(true)
    );
    assert_eq!(greeting(&host.call_hash(&deployed.hash, &json!({"name": "Ann"}))), "Hello Ann!");
    // Deployed again, it is back.
    host.push("u/versions/archived", &guest("hello"));
    assert_eq!(greeting(&host.call("u/versions/archived", &json!({"name": "Ann"}))), "Hello Ann!");
}

#[test]
fn a_deleted_version_is_gone() {
    let host = shared();
    let first = host.push("u/versions/deleted", &guest("hello"));
    let second = host.push("u/versions/deleted", &guest("greet"));
    let delete =
        |what: &str| host.request("POST", &format!("/api/w/main/scripts/delete/{what}")).send();
    let left = delete(&format!("h/{}", second.hash)).json();
    assert_eq!((&left["deleted"], &left["hash"]), (&json!(true), &json!(second.hash)));
    // The one before it is the newest again.
    assert_eq!(greeting(&host.call("u/versions/deleted", &json!({"name": "Ann"}))), "Hello Ann!");
    let detail = host.call_hash(&second.hash, &json!({"name": "Ann"})).problem(410);
    assert!(detail.contains(&second.hash), "{detail}");
    // Its module went with it; nobody else needed that one under this path, and others have their
    // own.
    host.get(&format!("/api/w/main/scripts/raw/h/{}", second.hash)).problem(410);
    assert_eq!(delete("p/u/versions/deleted").json(), json!("u/versions/deleted"));
    host.call("u/versions/deleted", &json!({"name": "Ann"})).problem(404);
    host.call_hash(&first.hash, &json!({"name": "Ann"})).problem(410);
    delete("p/u/versions/deleted").problem(404);
    // The same module at another path is another version, and still runs.
    host.still_serves();
    // Pushed once more, it is back under its old name.
    assert_eq!(host.push("u/versions/deleted", &guest("hello")).hash, first.hash);
    assert_eq!(greeting(&host.call_hash(&first.hash, &json!({"name": "Ann"}))), "Hello Ann!");
}

#[test]
fn a_module_comes_back_byte_by_byte() {
    let host = shared();
    let wasm = guest("word-count");
    let deployed = host.push("u/versions/bytes", &wasm);
    for address in [
        format!("h/{}.wasm", deployed.hash),
        format!("h/{}", deployed.hash),
        "p/u/versions/bytes".to_owned(),
    ] {
        let answer = host.get(&format!("/api/w/main/scripts/raw/{address}"));
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "application/wasm"),
            "{address}"
        );
        assert!(answer.body == wasm, "{address}: other bytes came back");
    }
}

#[test]
fn what_is_not_there_is_404() {
    let host = shared();
    let args = json!({"name": "Ann"});
    let unknown = "ab".repeat(32);
    let path = host.call("u/versions/none", &args).problem(404);
    assert!(path.contains("u/versions/none"), "{path}");
    let hash = host.call_hash(&unknown, &args).problem(404);
    assert!(hash.contains(&unknown), "{hash}");
    let malformed = host.call_hash("abc", &args).problem(404);
    assert!(malformed.contains("64 hex digits"), "{malformed}");
    host.get(&format!("/api/w/main/scripts/raw/h/{unknown}")).problem(404);
    host.get("/api/w/main/scripts/history/p/u/versions/none").problem(404);
    host.request("POST", "/api/w/main/scripts/archive/p/u/versions/none").send().problem(404);
    host.still_serves();
}

#[test]
fn an_unknown_workspace_has_nothing() {
    let host = shared();
    let deployed = host.push("u/versions/here", &guest("hello"));
    for target in [format!("h/{}", deployed.hash), "p/u/versions/here".to_owned()] {
        let answer = host
            .request("POST", &format!("/api/w/elsewhere/jobs/run_wait_result/{target}"))
            .json(&json!({"name": "Ann"}))
            .send();
        let detail = answer.problem(404);
        assert!(detail.contains("elsewhere"), "{detail}");
    }
    host.still_serves();
}

#[test]
fn scripts_are_listed_and_shown() {
    let host = shared();
    let deployed = host.push("u/versions/listed?summary=says%20hello", &guest("hello"));
    let list = host.get("/api/w/main/scripts/list").json();
    let entry = list
        .as_array()
        .expect("a list")
        .iter()
        .find(|entry| entry["path"] == "u/versions/listed")
        .expect("it is listed")
        .clone();
    assert_eq!(
        (&entry["hash"], &entry["summary"], &entry["kind_of_module"]),
        (&json!(deployed.hash), &json!("says hello"), &json!("typed"))
    );
    let shown = host.get(&format!("/api/w/main/scripts/get/h/{}", deployed.hash)).json();
    assert_eq!(shown["schema"]["required"], json!(["name"]), "{shown}");
}
