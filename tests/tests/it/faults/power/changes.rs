//! Scripts and variables that are changed while a host is about to be killed.

use serde_json::{Value, json};
use std::net::SocketAddr;
use std::thread::JoinHandle;
use wasmill_tests::{Host, Wire, entry_answering};

/// A script that answers with its own path, and a variable beside it; both may be there or not when
/// `acknowledged` is false.
#[derive(Debug, Clone)]
pub(super) struct Change {
    /// The path of both.
    path: String,
    /// The version's hash.
    hash: Option<String>,
    /// The variable's value is at least this.
    value: Option<u64>,
}

/// Somebody who pushes a script and sets a variable, and sets it again, and so on.
pub(super) struct Changing(JoinHandle<Vec<Change>>);

/// One request by hand; `None` when it is not answered.
fn asked(
    wire: &mut Wire,
    token: &str,
    address: &str,
    kind: &str,
    body: &[u8],
) -> Option<(u16, Vec<u8>)> {
    let head = format!(
        "POST /api/w/main/{address} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    if !wire.send([head.as_bytes(), body].concat()) {
        return None;
    }
    let answer = wire.answer(60)?;
    Some((answer.status, answer.body))
}

fn module(path: &str) -> Vec<u8> {
    entry_answering(&json!(path).to_string())
}

/// Pushes a script; what was acknowledged, and whether the host still answers.
fn push(wire: &mut Wire, token: &str, change: &mut Change) -> bool {
    let address = format!("scripts/upload/p/{}", change.path);
    match asked(wire, token, &address, "application/wasm", &module(&change.path)) {
        Some((200 | 201, body)) => {
            let uploaded: Value = serde_json::from_slice(&body).expect("JSON");
            change.hash = Some(uploaded["hash"].as_str().expect("a hash").to_owned());
            true
        }
        Some((status, body)) => panic!("{status}: {}", String::from_utf8_lossy(&body)),
        None => false,
    }
}

fn set(wire: &mut Wire, token: &str, change: &mut Change, value: u64) -> bool {
    let variable = json!({"path": change.path, "value": value.to_string(), "is_secret": value.is_multiple_of(2), "description": ""});
    let address = match change.value {
        None => "variables/create".to_owned(),
        Some(_) => format!("variables/update/{}", change.path),
    };
    match asked(wire, token, &address, "application/json", variable.to_string().as_bytes()) {
        Some((200 | 201, _)) => {
            change.value = Some(value);
            true
        }
        Some((status, body)) => panic!("{status}: {}", String::from_utf8_lossy(&body)),
        None => false,
    }
}

impl Changing {
    /// Starts. The scripts in `again` may not have been acknowledged, and are pushed once more
    /// before others.
    pub(super) fn start(host: &Host, begin: usize, again: Vec<Change>) -> Self {
        let (address, token) = (host.address, host.token.clone());
        Self(std::thread::spawn(move || change(address, &token, begin, again)))
    }

    /// What was changed. The host must have ended.
    pub(super) fn end(self) -> Vec<Change> {
        self.0.join().expect("somebody who changes")
    }
}

/// Until the host is gone.
fn change(address: SocketAddr, token: &str, begin: usize, again: Vec<Change>) -> Vec<Change> {
    let mut done = Vec::new();
    let Some(mut wire) = Wire::try_open(address) else { return again };
    let mut waiting = again.into_iter();
    for number in begin.. {
        let new = || Change { path: format!("u/power/s{number}"), hash: None, value: None };
        let mut change = waiting.next().unwrap_or_else(new);
        let is_old = change.value.is_some();
        let answered = push(&mut wire, token, &mut change)
            && (is_old || (1..4).all(|value| set(&mut wire, token, &mut change, value)));
        done.push(change);
        if !answered {
            break;
        }
    }
    done.extend(waiting);
    done
}

impl Change {
    /// Whether the host never said that it has the script.
    pub(super) fn is_open(&self) -> bool {
        self.hash.is_none()
    }

    /// What is missing of what was acknowledged.
    pub(super) fn missing(&self, host: &Host) -> Vec<String> {
        let mut missing = Vec::new();
        if let Some(hash) = &self.hash {
            for target in [format!("h/{hash}"), format!("p/{}", self.path)] {
                let answer = host.calling(&target).json(&json!({})).send();
                if answer.status != 200 || answer.json() != json!(self.path) {
                    missing.push(format!("{target}: {answer:?}"));
                }
            }
        }
        if let Some(value) = self.value {
            let answer = host.get(&format!("/api/w/main/variables/get_value/{}", self.path));
            let found = (answer.status == 200)
                .then(|| answer.json().as_str().and_then(|text| text.parse::<u64>().ok()))
                .flatten();
            // One more may have been under way.
            if found.is_none_or(|found| found < value) {
                missing.push(format!("the variable {} is not {value}: {answer:?}", self.path));
            }
        }
        missing
    }
}
