//! Backups: made beside a host that works, whole or refused, and good for a new start.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use wasmill_test_servers::S3s;
use wasmill_tests::{Home, Host, Printed, eventually, found_below, guest};

fn backup(home: &Home, to: &Path, more: &[&str]) -> Printed {
    let mut cli = home.cli(&["backup"]).arg(to).arg("--data").arg(home.data());
    for arg in more {
        cli = cli.arg(arg);
    }
    cli.run()
}

fn backed_up(home: &Home, to: &Path, more: &[&str]) -> Value {
    let printed = backup(home, to, &[more, &["--json"]].concat());
    assert_eq!(printed.code, 0, "{printed:?}");
    serde_json::from_str(&printed.out).unwrap_or_else(|error| panic!("{error}: {printed:?}"))
}

/// Restores into a home of its own.
fn restore(from: &Path) -> (Home, Printed) {
    let home = Home::new();
    let printed = home.cli(&["restore"]).arg(from).arg("--data").arg(home.data()).run();
    (home, printed)
}

fn restored(from: &Path) -> Home {
    let (home, printed) = restore(from);
    assert_eq!(printed.code, 0, "{printed:?}");
    home
}

fn serves(host: &Host) {
    let answer = host.call("u/tests/hello", &json!({"name": "Ann"}));
    assert_eq!(
        (answer.status, answer.json()["greeting"].as_str()),
        (200, Some("Hello Ann!")),
        "{answer:?}\n{}",
        host.log()
    );
}

/// A small module that nothing else is like.
fn module(number: usize) -> Vec<u8> {
    wasmill_tests::command(&format!(
        r#"(memory (export "memory") 1) (data (i32.const 64) "module {number}") (func (export "_start"))"#
    ))
}

/// While scripts are deployed and deleted and jobs are queued and run, three backups are made, one
/// after the other. Each is whole, has all that was acknowledged before it was begun, and every
/// version in it can be called.
#[test]
fn under_load() {
    let home = Home::new();
    let host = home.start(&["--workers", "2"]);
    host.push("u/tests/hello", &guest("hello"));
    host.push("u/tests/slow", &guest("slow"));
    let stop = AtomicBool::new(false);
    let backups = thread::scope(|threads| {
        for writer in 0..2 {
            let (host, stop) = (&host, &stop);
            threads.spawn(move || {
                for number in (0..).take_while(|_| !stop.load(Ordering::Relaxed)) {
                    let deployed = host.push(
                        &format!("u/load/s{writer}-{}", number % 7),
                        &module(writer * 100_000 + number),
                    );
                    if number % 3 > 0 {
                        let deleted = host
                            .request(
                                "POST",
                                &format!("/api/w/main/scripts/delete/h/{}", deployed.hash),
                            )
                            .send();
                        assert_eq!(deleted.status, 200, "{deleted:?}");
                    }
                }
            });
            threads.spawn(move || {
                for number in (0..).take_while(|_| !stop.load(Ordering::Relaxed)) {
                    host.queue("u/tests/hello", &json!({"name": format!("{writer}-{number}")}));
                }
            });
        }
        let ending = Ending(&stop);
        let backups: Vec<(PathBuf, Vec<String>)> = (0..3)
            .map(|number| {
                let hello = (0..20).map(|n| {
                    host.queue("u/tests/hello", &json!({"name": format!("before {number}, {n}")}))
                });
                let slow = (0..4).map(|_| host.queue("u/tests/slow", &json!({"seconds": 1})));
                let before: Vec<String> = hello.chain(slow).collect();
                let to = home.path(&format!("backup-{number}"));
                let made = backed_up(&home, &to, &[]);
                assert!(made["modules"].as_u64() > Some(1) && made["keys"] == json!([]), "{made}");
                (to, before)
            })
            .collect();
        drop(ending);
        backups
    });
    serves(&host);
    for (from, before) in backups {
        let home = restored(&from);
        let host = home.start(&[]);
        serves(&host);
        for id in &before {
            let ended = host.wait(id, 60);
            assert_eq!(ended["success"], json!(true), "{id}: {ended}");
        }
        let scripts = host.get("/api/w/main/scripts/list?per_page=100").json();
        let scripts = scripts.as_array().expect("a list");
        assert!(scripts.len() > 2, "{scripts:?}");
        for script in scripts {
            let versions = host
                .get(&format!(
                    "/api/w/main/scripts/history/p/{}",
                    script["path"].as_str().expect("a path")
                ))
                .json();
            for version in versions.as_array().expect("a list") {
                let hash = version["script_hash"].as_str().expect("a hash");
                let answer = host.call_hash(hash, &json!({"name": "Ann", "seconds": 0}));
                assert!(
                    matches!(answer.status, 200 | 204 | 410),
                    "{version}: {answer:?}\n{}",
                    host.log()
                );
            }
        }
        host.still_serves();
    }
}

/// Lets the load end, also when a test fails.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn set_variable(host: &Host, value: &str) {
    let variable =
        json!({"path": "u/tests/key", "value": value, "is_secret": true, "description": ""});
    let answer = host.request("POST", "/api/w/main/variables/create").json(&variable).send();
    assert_eq!(answer.status, 201, "{answer:?}");
}

#[test]
fn keys_come_along_only_when_asked_for() {
    let home = Home::new();
    let host = home.start(&[]);
    host.push("u/tests/hello", &guest("hello"));
    set_variable(&host, "hidden text");
    let without = home.path("without");
    let printed = backup(&home, &without, &[]);
    assert_eq!(printed.code, 0, "{printed:?}");
    assert!(
        printed.out.contains("It has no keys") && printed.out.contains("value-key"),
        "{printed:?}"
    );
    let key = std::fs::read_to_string(home.data().join("value-key")).expect("the key");
    for secret in [key.trim(), &host.token] {
        assert_eq!(found_below(&without, secret), [""; 0], "a secret is in the backup");
    }
    let with = home.path("with");
    assert_eq!(
        backed_up(&home, &with, &["--with-keys"])["keys"],
        json!(["admin-token", "value-key"])
    );
    assert!(!found_below(&with, key.trim()).is_empty());
    assert_eq!(found_below(&with, "hidden text"), [""; 0]);
    drop(host);

    let restored_home = restored(&with);
    let host = restored_home.start(&[]);
    serves(&host);
    assert_eq!(
        host.get("/api/w/main/variables/get_value/u/tests/key").json(),
        json!("hidden text")
    );
    drop(host);

    let (bare, printed) = restore(&without);
    assert!(
        printed.out.contains("The backup has no keys") && printed.out.contains("value-key"),
        "{printed:?}"
    );
    let refused = bare.cli(&["serve", "--listen", "127.0.0.1:0", "--data"]).arg(bare.data()).run();
    assert!(
        refused.code == 1 && refused.err.contains("value key") && refused.err.contains("missing"),
        "{refused:?}"
    );
    std::fs::write(bare.data().join("value-key"), key).expect("the key is put there");
    let host = bare.start(&[]);
    assert_eq!(
        host.get("/api/w/main/variables/get_value/u/tests/key").json(),
        json!("hidden text")
    );
    // There was no first token either; the start has made another.
    assert_eq!(host.get("/api/w/main/users/whoami").status, 200);
}

#[test]
fn altered_backups_are_refused_and_name_the_file() {
    let home = Home::new();
    let mut host = home.start(&[]);
    host.push("u/tests/hello", &guest("hello"));
    host.terminate();
    assert!(host.ended(20).success());
    // Of a host that is stopped, too.
    let whole = home.path("whole");
    backed_up(&home, &whole, &["--with-keys"]);
    let copy = |name: &str| {
        let to = home.path(name);
        let copied = Command::new("cp").arg("-a").arg(&whole).arg(&to).status().expect("cp");
        assert!(copied.success());
        to
    };
    let files = files(&whole);
    assert_eq!(files.len(), 6, "{files:?}");
    for (number, file) in files.iter().enumerate() {
        let name = file.display().to_string();
        // Each file altered, at its beginning and at its end, cut, and missing.
        let length = std::fs::metadata(whole.join(file)).expect("a file").len() as usize;
        for kind in 0..3 {
            let from = copy(&format!("altered-{number}-{kind}"));
            let mut bytes = std::fs::read(from.join(file)).expect("a file");
            match kind {
                0 => bytes[0] ^= 1,
                1 => bytes[length / 2] ^= 1,
                _ => bytes.truncate(length - 1),
            }
            std::fs::write(from.join(file), &bytes).expect("it is altered");
            refuses(&from, &name);
        }
        let from = copy(&format!("without-{number}"));
        std::fs::remove_file(from.join(file)).expect("it is removed");
        refuses(&from, &name);
    }
    let from = copy("with-more");
    std::fs::write(from.join("modules/another"), "x").expect("a file");
    refuses(&from, "modules/another");
    serves(&restored(&whole).start(&[]));
}

fn refuses(from: &Path, name: &str) {
    let (home, printed) = restore(from);
    assert!(printed.code == 1 && printed.err.contains(name), "{name}: {printed:?}");
    assert!(!home.data().exists(), "{name}: something was written");
}

/// The paths of all files below a folder, relative to it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(inner) = open.pop() {
        for entry in folder.join(&inner).read_dir().expect("a folder").flatten() {
            let path = inner.join(entry.file_name());
            if entry.path().is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

#[test]
fn nothing_is_written_over() {
    let home = Home::new();
    let host = home.start(&[]);
    host.push("u/tests/hello", &guest("hello"));
    let to = home.path("backup");
    std::fs::create_dir(&to).expect("an empty folder is as good as none");
    backed_up(&home, &to, &[]);
    let again = backup(&home, &to, &[]);
    assert!(again.code == 1 && again.err.contains("not empty"), "{again:?}");
    let over = home.cli(&["restore"]).arg(&to).arg("--data").arg(home.data()).run();
    assert!(over.code == 1 && over.err.contains("not empty"), "{over:?}");
    let nothing = backup(&Home::new(), &home.path("other"), &[]);
    assert!(nothing.code == 1 && nothing.err.contains("there is no database"), "{nothing:?}");
    assert!(!home.path("other").exists());
    let no_backup = restore(&home.data()).1;
    assert!(no_backup.code == 1 && no_backup.err.contains("it is no backup"), "{no_backup:?}");
    serves(&host);
}

#[test]
fn a_module_that_is_lost_is_named() {
    let home = Home::new();
    let host = home.start(&[]);
    host.push("u/tests/hello", &guest("hello"));
    let file = files(&home.data().join("modules")).pop().expect("the module");
    let digest = file.file_name().expect("a name").to_str().expect("text").to_owned();
    std::fs::remove_file(home.data().join("modules").join(file)).expect("it is removed");
    let refused = backup(&home, &home.path("backup"), &[]);
    assert!(
        refused.code == 1
            && refused.err.contains(&digest)
            && refused.err.contains("deploy it again"),
        "{refused:?}"
    );
    let (_, unusable) = restore(&home.path("backup"));
    assert!(unusable.code == 1 && unusable.err.contains("broken off"), "{unusable:?}");
    // Which is what it takes.
    host.push("u/tests/hello", &guest("hello"));
    backed_up(&home, &home.path("another"), &[]);
}

#[test]
fn out_of_a_bucket_and_into_one() {
    let (server, home) = (S3s::start(), Home::new());
    let place = |bucket: &str| format!("s3://{bucket}?endpoint={}", server.endpoint());
    let credentials =
        [("AWS_ACCESS_KEY_ID", S3s::ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", S3s::SECRET_KEY)];
    let (first, second) = (server.create_bucket(), server.create_bucket());
    let host = home.start_with(&["--blobs", &place(&first)], &credentials);
    host.push("u/tests/hello", &guest("hello"));
    let id = host.queue("u/tests/hello", &json!({"name": "Bo"}));
    eventually("it ran", 20, || (host.wait(&id, 20)["success"] == true).then_some(()));
    let to = home.path("backup");
    let with = |mut cli: wasmill_tests::Cli| {
        for (name, value) in credentials {
            cli = cli.env(name, value);
        }
        cli.ok()
    };
    with(home.cli(&["backup", "--blobs", &place(&first)]).arg(&to).arg("--data").arg(home.data()));
    let other = Home::new();
    let said = with(
        other
            .cli(&["restore", "--blobs", &place(&second)])
            .arg(&to)
            .arg("--data")
            .arg(other.data()),
    );
    assert!(said.contains(&format!("--blobs '{}'", place(&second))), "{said}");
    assert!(!other.data().join("modules").exists());
    let host = other.start_with(&["--blobs", &place(&second)], &credentials);
    serves(&host);
    assert_eq!(host.wait(&id, 20)["result"]["greeting"], json!("Hello Bo!"));
}
