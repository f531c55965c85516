//! Modules that no version needs any more are deleted, and never one that another deployment is
//! about to need.

use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use wasmill_tests::{Home, Host, command, eventually};

/// A module that nobody else has: one that answers with this number.
fn module(number: u32) -> Vec<u8> {
    command(&format!(
        r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
           (memory (export "memory") 1)
           (data (i32.const 0) "\10\00\00\00\08\00\00\00\00\00\00\00\00\00\00\00{number:08}")
           (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))"#
    ))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn modules(host: &Host) -> usize {
    files(&host.home().data().join("modules")).len()
}

#[test]
fn the_last_version_takes_its_module_along() {
    let host = Host::start(&[]);
    let (first, second) = (
        host.push("u/collection/a", &module(10_000_001)),
        host.push("u/collection/b", &module(10_000_001)),
    );
    assert_eq!(modules(&host), 1);
    let delete =
        |hash: &str| host.request("POST", &format!("/api/w/main/scripts/delete/h/{hash}")).send();
    assert_eq!(delete(&first.hash).status, 200);
    assert_eq!(host.call("u/collection/b", &json!({})).json(), json!(10_000_001));
    assert_eq!(delete(&second.hash).status, 200);
    eventually("its bytes are deleted", 30, || (modules(&host) == 0).then_some(()));
    // And come back with the next upload.
    host.push("u/collection/a", &module(10_000_001));
    assert_eq!(host.call("u/collection/a", &json!({})).json(), json!(10_000_001));
}

/// What was uploaded and never became a version, for instance because the host was killed in
/// between.
#[test]
fn what_nothing_needs_is_looked_for() {
    let home = Home::new();
    let host = home.start(&[]);
    let used = host.push("u/collection/used", &module(10_000_002));
    drop(host);
    let old = SystemTime::now() - Duration::from_secs(2 * 3_600);
    let stray = |seed: &str, age: SystemTime| {
        let digest: String =
            Sha256::digest(seed.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        let shelf = home.data().join("modules/sha256").join(&digest[..2]);
        std::fs::create_dir_all(&shelf).expect("a folder");
        let file = shelf.join(digest);
        std::fs::write(&file, seed).expect("it is written");
        File::options()
            .append(true)
            .open(&file)
            .and_then(|file| file.set_modified(age))
            .expect("an age");
        file
    };
    let (forgotten, fresh) = (stray("forgotten", old), stray("fresh", SystemTime::now()));
    for file in files(&home.data().join("modules")).iter().filter(|file| **file != fresh) {
        File::options()
            .append(true)
            .open(file)
            .and_then(|file| file.set_modified(old))
            .expect("an age");
    }
    let host = home.start(&[]);
    eventually("what nothing needs is deleted", 40, || (!forgotten.exists()).then_some(()));
    // Not what may be on its way to a version, and not what is one.
    assert!(fresh.exists());
    let bytes = host.get(&format!("/api/w/main/scripts/raw/h/{}", used.hash));
    assert_eq!((bytes.status, bytes.body == module(10_000_002)), (200, true), "{bytes:?}");
}

/// A module is kept from being collected for ten seconds after it was uploaded, and looked at once
/// more ten seconds after its last version was deleted: it is uploaded again at about that moment,
/// some a little before and some a little after.
#[test]
fn a_deployment_beside_a_collection() {
    const MODULES: u32 = 40;
    let host = Host::start(&[]);
    std::thread::scope(|scope| {
        for n in 0..MODULES {
            let host = &host;
            scope.spawn(move || {
                let wasm = module(10_000_010 + n);
                let first = host.push(&format!("u/collection/first{n}"), &wasm);
                let deleted = host
                    .request("POST", &format!("/api/w/main/scripts/delete/h/{}", first.hash))
                    .send();
                assert_eq!(deleted.status, 200, "{deleted:?}");
                std::thread::sleep(Duration::from_millis(9_700 + 15 * u64::from(n)));
                let second = host.push(&format!("u/collection/second{n}"), &wasm);
                for _ in 0..4 {
                    let bytes = host.get(&format!("/api/w/main/scripts/raw/h/{}", second.hash));
                    assert_eq!(
                        (bytes.status, bytes.body == wasm),
                        (200, true),
                        "module {n}: {bytes:?}"
                    );
                    std::thread::sleep(Duration::from_millis(500));
                }
            });
        }
    });
    assert_eq!(modules(&host), MODULES as usize);
    assert_eq!(host.call("u/collection/second0", &json!({})).json(), json!(10_000_010));
}
