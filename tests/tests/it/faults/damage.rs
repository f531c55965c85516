//! Modules and compiled scripts whose files are not what the host wrote: none of them is ever run.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use wasmill_tests::{Home, Host, entry_answering};

type Damage = (&'static str, fn(&mut Vec<u8>));

/// Layout of a compiled script: code, the label, 4 bytes of its length, 32 of authentication, 8
/// that say what it is.
const ARTEFACTS: [Damage; 15] = [
    ("magic-first", |bytes| *from_end(bytes, 8) ^= 1),
    ("magic-last", |bytes| *from_end(bytes, 1) ^= 0x80),
    ("mac-first", |bytes| *from_end(bytes, 40) ^= 1),
    ("mac-last", |bytes| *from_end(bytes, 9) ^= 0x80),
    ("label-length", |bytes| *from_end(bytes, 44) ^= 1),
    ("label", |bytes| *from_end(bytes, 47) ^= 1),
    ("code-first", |bytes| *at(bytes, "\x7fELF") ^= 1),
    ("quarter", |bytes| flip(bytes, 1, 4)),
    ("middle", |bytes| flip(bytes, 1, 2)),
    ("last", |bytes| flip(bytes, 1, 1)),
    ("shorter", |bytes| bytes.truncate(bytes.len() - 1)),
    ("half", |bytes| bytes.truncate(bytes.len() / 2)),
    ("head-only", |bytes| bytes.truncate(20)),
    ("empty", Vec::clear),
    ("longer", |bytes| bytes.push(0)),
];

const MODULES: [Damage; 9] = [
    ("magic", |bytes| bytes[0] ^= 1),
    ("version", |bytes| bytes[4] ^= 1),
    ("quarter", |bytes| flip(bytes, 1, 4)),
    // Still a script, with another answer.
    ("answer", |bytes| *at(bytes, "module-answer") ^= 1),
    ("last", |bytes| flip(bytes, 1, 1)),
    ("shorter", |bytes| bytes.truncate(bytes.len() - 1)),
    ("half", |bytes| bytes.truncate(bytes.len() / 2)),
    ("empty", Vec::clear),
    ("longer", |bytes| bytes.push(0)),
];

fn flip(bytes: &mut [u8], part: usize, of: usize) {
    let at = bytes.len() * part / of - 1;
    bytes[at] ^= 1;
}

/// The byte so far before the end.
fn from_end(bytes: &mut [u8], back: usize) -> &mut u8 {
    let at = bytes.len() - back;
    &mut bytes[at]
}

/// The first byte of a text.
fn at<'b>(bytes: &'b mut [u8], text: &str) -> &'b mut u8 {
    let found = bytes.windows(text.len()).position(|window| window == text.as_bytes());
    &mut bytes[found.unwrap_or_else(|| panic!("there is no {text:?}"))]
}

/// A script of its own for each damage.
struct Script {
    path: String,
    wasm: Vec<u8>,
    answer: Value,
    /// Of the module.
    digest: String,
    hash: String,
}

fn pushed(host: &Host, kind: &str, damage: &str) -> Script {
    let answer = format!("{kind}-{damage}");
    let wasm = entry_answering(&json!(answer).to_string());
    let path = format!("u/damaged/{answer}");
    let hash = host.push(&path, &wasm).hash;
    let digest = Sha256::digest(&wasm).iter().map(|byte| format!("{byte:02x}")).collect();
    Script { path, wasm, answer: json!(answer), digest, hash }
}

impl Script {
    fn module(&self, home: &Home) -> PathBuf {
        home.data().join("modules/sha256").join(&self.digest[..2]).join(&self.digest)
    }

    fn artefact(&self, home: &Home) -> PathBuf {
        let folder = std::fs::read_dir(home.data().join("artefacts")).expect("the folder");
        let mut files = folder.map(|entry| entry.expect("an entry").path());
        let is_mine = |file: &PathBuf| {
            file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&self.digest))
        };
        files.find(is_mine).unwrap_or_else(|| panic!("no compiled code of {}", self.path))
    }
}

fn damage(file: &Path, how: fn(&mut Vec<u8>)) {
    let whole = std::fs::read(file).expect("the file");
    let mut bytes = whole.clone();
    how(&mut bytes);
    assert_ne!(bytes, whole, "{} is not damaged", file.display());
    replace(file, &bytes);
}

/// Compiled scripts may not be written to, only replaced.
fn replace(file: &Path, bytes: &[u8]) {
    std::fs::remove_file(file).expect("it can be removed");
    std::fs::write(file, bytes).expect("it can be written");
}

#[test]
fn damaged_compiled_code_is_compiled_again() {
    let home = Home::new();
    let host = home.start(&[]);
    let scripts: Vec<Script> =
        ARTEFACTS.iter().map(|(name, _)| pushed(&host, "artefact", name)).collect();
    let swapped = [pushed(&host, "artefact", "swapped"), pushed(&host, "artefact", "with-this")];
    let home = host.kill();
    for (script, (_, how)) in scripts.iter().zip(ARTEFACTS) {
        damage(&script.artefact(&home), how);
    }
    // Authentic, but another script's.
    replace(
        &swapped[0].artefact(&home),
        &std::fs::read(swapped[1].artefact(&home)).expect("it can be read"),
    );

    let host = home.start(&[]);
    let all = || scripts.iter().chain(&swapped);
    for script in all() {
        assert_eq!(host.call(&script.path, &json!({})).json(), script.answer, "{}", script.path);
    }
    let said = |host: &Host, script: &Script| {
        host.log().lines().any(|line| {
            line.contains("is not usable; it is made again") && line.contains(&script.digest)
        })
    };
    for script in all() {
        assert_eq!(
            said(&host, script),
            script.digest != swapped[1].digest,
            "{}: {}",
            script.path,
            host.log()
        );
    }
    // What was compiled again is on the disk again.
    let host = host.kill().start(&[]);
    for script in all() {
        let id = host.queue(&script.path, &json!({}));
        assert_eq!(host.wait(&id, 20)["result"], script.answer, "{}", script.path);
        assert!(!said(&host, script), "{}: {}", script.path, host.log());
    }
}

#[test]
fn damaged_modules_are_refused() {
    let home = Home::new();
    let host = home.start(&[]);
    let scripts: Vec<Script> =
        MODULES.iter().map(|(name, _)| pushed(&host, "module-answer", name)).collect();
    let (swapped, missing) =
        (pushed(&host, "module-answer", "swapped"), pushed(&host, "module-answer", "missing"));
    let compiled = pushed(&host, "module-answer", "compiled");
    let home = host.kill();
    for (script, (_, how)) in scripts.iter().zip(MODULES) {
        damage(&script.module(&home), how);
    }
    std::fs::copy(scripts[0].module(&home), swapped.module(&home)).expect("it can be copied");
    std::fs::remove_file(missing.module(&home)).expect("it can be removed");
    damage(&compiled.module(&home), |bytes| bytes[0] ^= 1);
    let damaged: Vec<&Script> = scripts.iter().chain([&swapped, &missing]).collect();
    for script in &damaged {
        std::fs::remove_file(script.artefact(&home)).expect("it can be removed");
    }

    let host = home.start(&[]);
    for script in &damaged {
        for answer in
            [host.call(&script.path, &json!({})), host.call_hash(&script.hash, &json!({}))]
        {
            assert!(answer.problem(500).contains("its log tells"), "{}: {answer:?}", script.path);
        }
        let id = host.queue(&script.path, &json!({}));
        let over = host.wait(&id, 20);
        assert_eq!(
            (&over["success"], &over["result"]["error"]["name"]),
            (&json!(false), &json!("Internal")),
            "{}: {over}",
            script.path
        );
        let log = host.log();
        let line = log.lines().find(|line| {
            line.contains("script cannot be made ready") && line.contains(&script.hash)
        });
        assert!(line.is_some_and(|line| line.contains(&script.digest)), "{}: {log}", script.path);
    }
    // Its compiled code is authentic and at hand, so nobody reads the module, except to give it
    // away.
    assert_eq!(host.call(&compiled.path, &json!({})).json(), compiled.answer);
    host.get(&format!("/api/w/main/scripts/raw/h/{}", compiled.hash)).problem(500);
    // Deploying the same again mends it.
    for script in damaged {
        assert_eq!(host.push(&script.path, &script.wasm).hash, script.hash);
        assert_eq!(host.call(&script.path, &json!({})).json(), script.answer, "{}", script.path);
    }
    let host = host.kill().start(&[]);
    for script in &scripts {
        assert_eq!(host.call(&script.path, &json!({})).json(), script.answer, "{}", script.path);
    }
}
