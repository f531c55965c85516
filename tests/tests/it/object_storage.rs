//! Hosts whose modules are in a bucket, and what they share beside them.

use serde_json::json;
use std::path::{Path, PathBuf};
use wasmill_test_servers::{Moto, S3s};
use wasmill_tests::{Home, Host, eventually, guest};

/// Arguments and variables of a host that keeps its modules in a bucket of this server.
struct Setup {
    place: String,
    key: PathBuf,
}

impl Setup {
    fn new(server: &S3s, bucket: &str, home: &Home) -> Self {
        let key = home.path("artefact-key");
        std::fs::write(&key, "ab".repeat(32)).expect("a key");
        Self { place: format!("s3://{bucket}/hooks?endpoint={}", server.endpoint()), key }
    }

    fn start(&self, home: &Home) -> Host {
        let key = self.key.to_str().expect("text");
        home.start_with(&["--blobs", &self.place, "--artefact-key-file", key], &CREDENTIALS)
    }
}

const CREDENTIALS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", S3s::ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", S3s::SECRET_KEY)];

/// The files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => found.push(path),
        }
    }
    found.sort();
    found
}

fn greets(host: &Host) {
    let answer = host.call("u/tests/hello", &json!({"name": "Ann"}));
    assert_eq!(
        (answer.status, answer.json()["greeting"].as_str()),
        (200, Some("Hello Ann!")),
        "{answer:?}\n{}",
        host.log()
    );
}

fn remove(folder: PathBuf) {
    std::fs::remove_dir_all(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
}

#[test]
fn modules_are_in_the_bucket() {
    let (server, home) = (S3s::start(), Home::new());
    let bucket = server.create_bucket();
    let setup = Setup::new(&server, &bucket, &home);
    let host = setup.start(&home);
    let deployed = host.push("u/tests/hello", &guest("hello"));
    let modules = server.bucket(&bucket).join("hooks/sha256");
    assert_eq!(files(&modules).len(), 1, "{:?}", files(&modules));
    assert!(!home.data().join("modules").exists());
    greets(&host);
    // The last version that has it takes the module along, as soon as the upload is not a matter of
    // this moment any more.
    let deleted =
        host.request("POST", &format!("/api/w/main/scripts/delete/h/{}", deployed.hash)).send();
    assert_eq!(deleted.status, 200, "{deleted:?}");
    eventually("the module is deleted", 20, || files(&modules).is_empty().then_some(()));
    let shared = server.bucket(&bucket).join("hooks/artefact");
    assert!(files(&shared).is_empty(), "{:?}", files(&shared));
}

#[test]
fn what_was_compiled_is_shared_and_never_trusted() {
    let (server, home) = (S3s::start(), Home::new());
    let bucket = server.create_bucket();
    let (setup, folder) =
        (Setup::new(&server, &bucket, &home), server.bucket(&bucket).join("hooks"));
    let host = setup.start(&home);
    host.push("u/tests/hello", &guest("hello"));
    let artefact =
        eventually("the compiled script is shared", 20, || files(&folder.join("artefact")).pop());
    let name = artefact.file_name().expect("a name");
    let module = files(&folder.join("sha256")).pop().expect("the module");
    assert_eq!(Some(name), module.file_name(), "both are named by the module's digest");
    let away = folder.join("away");

    // Without its own disk and without the module, only the shared one is left. It is used.
    let home = host.kill();
    remove(home.data().join("artefacts"));
    std::fs::rename(&module, &away).expect("the module is moved away");
    let host = setup.start(&home);
    greets(&host);
    assert_eq!(files(&home.data().join("artefacts")).len(), 1, "it is on the disk now");

    // One byte of it changed: it is not, though nothing else is there.
    let home = host.kill();
    remove(home.data().join("artefacts"));
    let whole = std::fs::read(&artefact).expect("the shared one");
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 1;
    std::fs::write(&artefact, &altered).expect("it is altered");
    let host = setup.start(&home);
    let answer = host.call("u/tests/hello", &json!({"name": "Ann"}));
    assert_eq!(answer.status, 500, "{answer:?}");
    assert!(host.log().contains("a shared compiled script is not usable"), "{}", host.log());
    // With the module it is made anew, and shared again.
    std::fs::rename(&away, &module).expect("the module is back");
    greets(&host);
    eventually("the altered one is replaced", 20, || {
        (std::fs::read(&artefact).ok()? != altered).then_some(())
    });

    // Nor is that of hosts with another key.
    let home = host.kill();
    remove(home.data().join("artefacts"));
    std::fs::rename(&module, &away).expect("the module is moved away");
    std::fs::write(&setup.key, "cd".repeat(32)).expect("another key");
    let host = setup.start(&home);
    assert_eq!(host.call("u/tests/hello", &json!({"name": "Ann"})).status, 500);
}

#[test]
fn a_service_that_is_away_takes_nothing_down() {
    let (server, home) = (S3s::start(), Home::new());
    let bucket = server.create_bucket();
    let setup = Setup::new(&server, &bucket, &home);
    let host = setup.start(&home);
    host.push("u/tests/hello", &guest("hello"));
    eventually("the compiled script is shared", 20, || {
        files(&server.bucket(&bucket).join("hooks/artefact")).pop()
    });
    server.stop();
    // What is on the host's own disk runs, also after a start of its own.
    greets(&host);
    let refused = host.upload("u/tests/loud", &guest("hello-loud"));
    assert_eq!((refused.status, refused.header("retry-after")), (503, "5"), "{refused:?}");
    server.restart();
    host.push("u/tests/loud", &guest("hello-loud"));
    host.still_serves();
}

/// What a start that fails says.
fn refused(home: &Home, args: &[&str], variables: &[(&str, &str)]) -> String {
    let data = home.data();
    let mut cli = home.cli(&["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data);
    for arg in args {
        cli = cli.arg(arg);
    }
    for (name, value) in variables {
        cli = cli.env(name, value);
    }
    let printed = cli.run();
    assert_eq!((printed.code, printed.out.as_str()), (1, ""), "{printed:?}");
    printed.err
}

#[test]
fn a_start_says_what_is_wrong_with_the_place() {
    let (server, home) = (S3s::start(), Home::new());
    let bucket = server.create_bucket();
    let (moto, endpoint) = (Moto::shared(), server.endpoint());
    let place = |bucket: &str, endpoint: &str| format!("s3://{bucket}?endpoint={endpoint}");
    let wrong = [("AWS_ACCESS_KEY_ID", "someone-else"), ("AWS_SECRET_ACCESS_KEY", "x")];
    for (place, variables, said) in [
        (
            place("there-is-none", &moto.endpoint()),
            &CREDENTIALS,
            "there is no bucket there-is-none",
        ),
        (place(&bucket, &endpoint), &wrong, "the credentials are refused"),
        (
            place(&bucket, "http://127.0.0.1:1"),
            &CREDENTIALS,
            "http://127.0.0.1:1/ cannot be reached",
        ),
        ("gs://bucket".to_owned(), &CREDENTIALS, "gs:// is not supported"),
    ] {
        let error = refused(&home, &["--blobs", &place], variables);
        assert!(error.contains(said), "{said}: {error}");
    }
    let missing = refused(&home, &["--artefact-key-file", "/nowhere/key"], &CREDENTIALS);
    assert!(
        missing.contains("/nowhere/key") && missing.contains("openssl rand -hex 32"),
        "{missing}"
    );
    // And with all of it right it starts, here at a service that takes any credentials.
    let place = place(&moto.create_bucket(), &moto.endpoint());
    let host = home.start_with(&["--blobs", &place], &CREDENTIALS);
    host.push("u/tests/hello", &guest("hello"));
    greets(&host);
}

#[test]
fn another_directory() {
    let home = Home::new();
    let place =
        format!("file://{}", home.path("modules of all").display().to_string().replace(' ', "%20"));
    let host = home.start(&["--blobs", &place]);
    host.push("u/tests/hello", &guest("hello"));
    greets(&host);
    assert_eq!(files(&home.path("modules of all")).len(), 1);
}
