//! Compiled scripts on disk: used when they are ours and whole, and never otherwise.

use crate::support::*;
use bytes::Bytes;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use wasmill_core::Kind;
use wasmill_sandbox::{PrepareError, RefusalCode, Sandbox};

fn one() -> Bytes {
    wasm(&printing("1", ""))
}

fn two() -> Bytes {
    wasm(&printing("2", ""))
}

fn start(directory: &Path) -> Arc<Sandbox> {
    Sandbox::new(config(directory.join("cache"))).unwrap()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(directory.join("cache")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Compiled scripts may not be written to, only replaced.
fn replace(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Prepares a version in a sandbox that has just been started; true if its bytes were asked for.
async fn restarted(directory: &Path, bytes: Bytes) -> bool {
    let sandbox = start(directory);
    let asked = AtomicU32::new(0);
    let expected = digest(&bytes);
    let script = sandbox
        .prepare(expected, Kind::Command, || async {
            asked.fetch_add(1, Ordering::Relaxed);
            Ok(bytes.clone())
        })
        .await
        .unwrap();
    let result = run_prepared(&sandbox, &script, "{}", limits()).await.result().to_owned();
    assert_eq!(result, if expected == digest(&one()) { "1" } else { "2" });
    asked.load(Ordering::Relaxed) > 0
}

#[tokio::test]
async fn survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    start(directory.path()).admit(one()).await.unwrap();
    assert!(!restarted(directory.path(), one()).await);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory.path().join("cache")), 0o700);
    assert_eq!(files(directory.path()).iter().map(|path| mode(path)).collect::<Vec<_>>(), [0o400]);
}

#[tokio::test]
async fn kinds_and_schemas_survive_too() {
    let directory = tempfile::tempdir().unwrap();
    let wat = dynamic(ECHO).replacen(
        "(component",
        r#"(component (@custom "wasmill:schema" "{\"required\":[\"a\"]}")"#,
        1,
    );
    let bytes = wasm(&wat);
    let admitted = start(directory.path()).admit(bytes.clone()).await.unwrap();
    assert!(admitted.schema.is_some());
    let script =
        start(directory.path()).prepare(digest(&bytes), Kind::Dynamic, never).await.unwrap();
    assert_eq!(script.schema(), admitted.schema.as_ref());
    assert!(script.check("{}").is_err() && script.check("{\"a\":1}").is_ok());
}

#[tokio::test]
async fn tampering_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    start(directory.path()).admit(one()).await.unwrap();
    let path = files(directory.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    let length = whole.len();
    // The end, each part of what stands behind the code, the label, and places all over the code.
    for at in (0..120)
        .step_by(7)
        .map(|back| length - 1 - back)
        .chain((0..length - 120).step_by(length / 10))
    {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        replace(&path, &bytes);
        assert!(restarted(directory.path(), one()).await, "the byte at {at} was changed");
        assert!(!restarted(directory.path(), one()).await, "it was not written anew");
    }
    for cut in [0, 5, 43, 44, 60, length / 2, length - 44, length - 8, length - 1] {
        replace(&path, &whole[..cut]);
        assert!(restarted(directory.path(), one()).await, "cut after {cut}");
    }
    replace(&path, &[&whole[..], b"x"].concat());
    assert!(restarted(directory.path(), one()).await, "lengthened");
}

#[tokio::test]
async fn what_is_ready_runs_on_whatever_becomes_of_the_files() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = start(directory.path());
    sandbox.admit(one()).await.unwrap();
    let script = sandbox.prepared(&digest(&one())).unwrap();
    let path = files(directory.path()).remove(0);
    // Other code under its name, and then none: neither is this version's.
    sandbox.admit(two()).await.unwrap();
    let second = files(directory.path()).into_iter().find(|other| *other != path).unwrap();
    fs::rename(&second, &path).unwrap();
    assert_eq!(run_prepared(&sandbox, &script, "{}", limits()).await.result(), "1");
    fs::remove_file(&path).unwrap();
    assert_eq!(run_prepared(&sandbox, &script, "{}", limits()).await.result(), "1");
}

#[tokio::test]
async fn versions_that_nobody_calls_release_their_code_and_load_it_again() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = start(directory.path());
    sandbox.admit(one()).await.unwrap();
    sandbox.admit(two()).await.unwrap();
    let script = sandbox.prepared(&digest(&one())).unwrap();
    for resting in [2, 1, 1] {
        assert_eq!(sandbox.release_idle_code(), 0, "they may have been called a moment ago");
        assert_eq!(sandbox.release_idle_code(), resting);
        assert_eq!(sandbox.release_idle_code(), 0, "once is enough");
        assert_eq!(run_prepared(&sandbox, &script, "{}", limits()).await.result(), "1");
    }
    let (again, two) = (start(directory.path()), two());
    let script = again.prepare(digest(&two), Kind::Command, never).await.unwrap();
    assert_eq!(
        (again.release_idle_code(), again.release_idle_code()),
        (0, 1),
        "also one that was found on the disk"
    );
    assert_eq!(run_prepared(&again, &script, "{}", limits()).await.result(), "2");
}

#[tokio::test]
async fn what_others_may_write_to_is_not_mapped() {
    let directory = tempfile::tempdir().unwrap();
    start(directory.path()).admit(one()).await.unwrap();
    let path = files(directory.path()).remove(0);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(restarted(directory.path(), one()).await);
    assert!(!restarted(directory.path(), one()).await, "it was not written anew");
}

#[tokio::test]
async fn swapping_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = start(directory.path());
    sandbox.admit(one()).await.unwrap();
    let first = files(directory.path()).remove(0);
    sandbox.admit(two()).await.unwrap();
    let second = files(directory.path()).into_iter().find(|path| *path != first).unwrap();
    replace(&first, &fs::read(&second).unwrap());
    assert!(restarted(directory.path(), one()).await);
    assert!(!restarted(directory.path(), two()).await);
}

#[tokio::test]
async fn links_and_other_things_are_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    start(directory.path()).admit(one()).await.unwrap();
    let path = files(directory.path()).remove(0);
    let elsewhere = directory.path().join("elsewhere");
    fs::rename(&path, &elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    assert!(restarted(directory.path(), one()).await, "a link to the right file");
    assert!(fs::symlink_metadata(&path).unwrap().is_file(), "the link was replaced");
    let link = directory.path().join("link");
    symlink(directory.path().join("cache"), &link).unwrap();
    assert!(Sandbox::new(config(link)).is_err(), "a link in the place of the directory");
}

#[tokio::test]
async fn other_keys_do_not_open_them() {
    let directory = tempfile::tempdir().unwrap();
    start(directory.path()).admit(one()).await.unwrap();
    let mut other = config(directory.path().join("cache"));
    other.artefact_key = [8; 32];
    let sandbox = Sandbox::new(other).unwrap();
    let result = sandbox
        .prepare(digest(&one()), Kind::Command, || async { Err("not there".to_owned()) })
        .await;
    assert!(matches!(result, Err(PrepareError::Fetch(message)) if message == "not there"));
}

#[tokio::test]
async fn uploads_of_compiled_code_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = start(directory.path());
    sandbox.admit(one()).await.unwrap();
    let file = fs::read(files(directory.path()).remove(0)).unwrap();
    let code = file.windows(4).position(|bytes| bytes == b"\x7fELF").unwrap();
    for bytes in [file[code..file.len() - 44].to_vec(), file] {
        assert_eq!(sandbox.admit(bytes.into()).await.unwrap_err().code, RefusalCode::NotWasm);
    }
}

#[tokio::test]
async fn wrong_bytes_and_kinds() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = start(directory.path());
    let result = sandbox.prepare(digest(&one()), Kind::Command, || async { Ok(two()) }).await;
    assert!(matches!(result, Err(PrepareError::Fetch(message)) if message.contains("instead of")));
    sandbox.admit(one()).await.unwrap();
    let result = sandbox.prepare(digest(&one()), Kind::Typed, never).await;
    assert!(
        matches!(result, Err(PrepareError::Refused(refusal)) if refusal.message.contains("recorded as typed, but it is command"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_compile_once() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = start(directory.path());
    let asked = Arc::new(AtomicU32::new(0));
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let (sandbox, asked) = (sandbox.clone(), asked.clone());
            tokio::spawn(async move {
                let fetch = || async {
                    asked.fetch_add(1, Ordering::Relaxed);
                    Ok(one())
                };
                sandbox.prepare(digest(&one()), Kind::Command, fetch).await.unwrap()
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert!(sandbox.prepared(&digest(&one())).is_some());
    sandbox.forget(digest(&one())).await;
    assert!(sandbox.prepared(&digest(&one())).is_none());
    assert!(files(directory.path()).is_empty());
}
