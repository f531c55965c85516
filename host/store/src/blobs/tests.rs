//! The same suite on every kind of place, and what only a service can do to its clients.

use super::s3::RETRY_FOR;
use super::*;
use futures_util::TryStreamExt as _;
use std::collections::BTreeSet;
use tempfile::TempDir;
use wasmill_test_servers::{Moto, S3s};

/// A client with these credentials, which does not look at the variables of the process.
fn client(url: &str, access_key: &str, secret_key: &str) -> Result<Blobs> {
    let variables =
        [("AWS_ACCESS_KEY_ID", access_key), ("AWS_SECRET_ACCESS_KEY", secret_key), ("HOME", "/")];
    Blobs::open_with(
        url,
        variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())),
    )
}

fn on_s3s(server: &S3s, bucket: &str) -> Blobs {
    let url = format!("s3://{bucket}/some/prefix?endpoint={}&region=eu-north-1", server.endpoint());
    client(&url, S3s::ACCESS_KEY, S3s::SECRET_KEY).unwrap()
}

fn on_moto(server: &Moto, bucket: &str) -> Blobs {
    client(
        &format!("s3://{bucket}?endpoint={}&path_style=true", server.endpoint()),
        "anything",
        "anything",
    )
    .unwrap()
}

fn bytes(length: usize, seed: u8) -> Bytes {
    // Not compressible by accident, and different for each seed.
    let mut state = u64::from(seed) + 1;
    let next = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect::<Vec<u8>>().into()
}

async fn names(blobs: &Blobs) -> BTreeSet<Digest> {
    blobs.list().map_ok(|listed| listed.digest).try_collect().await.unwrap()
}

async fn damage(blobs: &Blobs, digest: Digest, bytes: &'static [u8]) {
    blobs.objects.put(&key(&digest), Bytes::from_static(bytes).into()).await.unwrap();
}

/// What holds at every place. It begins and ends without blobs.
async fn suite(blobs: Blobs) {
    blobs.check().await.unwrap();
    assert!(names(&blobs).await.is_empty());
    let small = bytes(10, 0);
    let digest = Digest::of(&small);
    assert!(blobs.get(digest).await.unwrap().is_none());
    assert!(!blobs.exists(digest).await.unwrap());
    blobs.delete(digest).await.unwrap();

    blobs.put(digest, small.clone()).await.unwrap();
    blobs.put(digest, small.clone()).await.unwrap();
    assert!(blobs.exists(digest).await.unwrap());
    assert_eq!(blobs.get(digest).await.unwrap().unwrap(), small);
    let listed: Vec<Listed> = blobs.list().try_collect().await.unwrap();
    assert_eq!(
        listed.iter().map(|one| (one.digest, one.bytes)).collect::<Vec<_>>(),
        [(digest, 10)]
    );
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
    let age = i64::try_from(now).unwrap() - listed[0].put;
    // Some services count whole seconds only.
    assert!((-1_000_000..60_000_000).contains(&age), "{listed:?}");
    assert_eq!(blobs.put_before(listed[0].put).await.unwrap(), []);
    assert_eq!(blobs.put_before(listed[0].put + 1).await.unwrap(), [digest]);

    for damaged in [&b"\0asm and less"[..], b""] {
        damage(&blobs, digest, damaged).await;
        let error = blobs.get(digest).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::Corrupt(text) if text.contains(&digest.to_hex())),
            "{error}"
        );
        blobs.put(digest, small.clone()).await.unwrap();
        assert_eq!(blobs.get(digest).await.unwrap().unwrap(), small);
    }

    let large = bytes(20 << 20, 1);
    let name = Digest::of(&large);
    blobs.put(name, large.clone()).await.unwrap();
    blobs.put(name, large.clone()).await.unwrap();
    assert!(blobs.get(name).await.unwrap().unwrap() == large);
    blobs.objects.put(&Key::from("sha256/ab/no-blob"), "x".into()).await.unwrap();
    assert_eq!(names(&blobs).await, BTreeSet::from([digest, name]));

    blobs.delete(digest).await.unwrap();
    blobs.delete(digest).await.unwrap();
    assert_eq!(names(&blobs).await, BTreeSet::from([name]));
    blobs.delete(name).await.unwrap();
    assert!(blobs.get(name).await.unwrap().is_none());

    at_the_same_time(&blobs).await;
    artefacts(&blobs).await;
}

/// Several hosts deploy the same modules.
async fn at_the_same_time(blobs: &Blobs) {
    let modules: Vec<Bytes> = (10..14).map(|seed| bytes(9 << 20, seed)).collect();
    let puts =
        modules.iter().flat_map(|module| std::iter::repeat_n(module.clone(), 4)).map(|module| {
            let blobs = blobs.clone();
            tokio::spawn(async move { blobs.put(Digest::of(&module), module).await })
        });
    for put in puts.collect::<Vec<_>>() {
        put.await.unwrap().unwrap();
    }
    let digests: BTreeSet<Digest> = modules.iter().map(|module| Digest::of(module)).collect();
    assert_eq!(names(blobs).await, digests);
    for module in &modules {
        let digest = Digest::of(module);
        assert!(blobs.get(digest).await.unwrap().unwrap() == *module);
        blobs.delete(digest).await.unwrap();
    }
}

async fn artefacts(blobs: &Blobs) {
    let module = Digest::of(b"module");
    assert!(blobs.artefact("engine-1", module, 100).await.unwrap().is_none());
    blobs.delete_artefacts(module).await.unwrap();
    blobs.put_artefact("engine-1", module, Bytes::from_static(b"one")).await.unwrap();
    blobs.put_artefact("engine-1", module, Bytes::from_static(b"two")).await.unwrap();
    blobs.put_artefact("engine-2", module, Bytes::from_static(b"three")).await.unwrap();
    assert_eq!(blobs.artefact("engine-1", module, 3).await.unwrap().unwrap(), "two");
    assert!(matches!(
        blobs.artefact("engine-2", module, 4).await.unwrap_err(),
        StoreError::Corrupt(_)
    ));
    assert!(blobs.artefact("engine-2", Digest::of(b"other"), 100).await.unwrap().is_none());
    assert!(names(blobs).await.is_empty(), "artefacts are no blobs");
    blobs.delete_artefacts(module).await.unwrap();
    for engine in ["engine-1", "engine-2"] {
        assert!(blobs.artefact(engine, module, 100).await.unwrap().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory() {
    let dir = tempfile::tempdir().unwrap();
    suite(Blobs::local(&dir.path().join("modules")).unwrap()).await;
    suite(Blobs::open(&format!("file://{}/others", dir.path().display())).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_as_aws_has_it() {
    let server = Moto::shared();
    suite(on_moto(&server, &server.create_bucket())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_of_another_service() {
    let server = S3s::start();
    suite(on_s3s(&server, &server.create_bucket())).await;
}

#[tokio::test]
async fn bytes_must_have_their_digest() {
    let (_dir, blobs) = local();
    let error = blobs.put(Digest::of(b"a"), Bytes::from_static(b"b")).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)));
    assert!(!blobs.exists(Digest::of(b"a")).await.unwrap());
}

fn local() -> (TempDir, Blobs) {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::local(dir.path()).unwrap();
    (dir, blobs)
}

#[tokio::test]
async fn a_list_has_more_than_one_page() {
    let server = S3s::start();
    let blobs = on_s3s(&server, &server.create_bucket());
    blobs.check().await.unwrap();
    let folder = server.bucket("bucket-0").join("some/prefix/sha256");
    // Put as files, for speed; a page of the service has at most 1,000.
    let digests: BTreeSet<Digest> = (0..1_500_u32).map(|n| Digest::of(&n.to_be_bytes())).collect();
    for digest in &digests {
        let hex = digest.to_hex();
        std::fs::create_dir_all(folder.join(shelf(&hex))).unwrap();
        std::fs::write(folder.join(shelf(&hex)).join(&hex), "x").unwrap();
    }
    assert_eq!(names(&blobs).await, digests);
}

/// What is said of each of these, one a line.
async fn refusals(blobs: &Blobs) -> String {
    let module = bytes(10, 4);
    let digest = Digest::of(&module);
    let results = [
        ("check", blobs.check().await),
        ("put", blobs.put(digest, module.clone()).await),
        ("get", blobs.get(digest).await.map(drop)),
        ("list", blobs.list().try_collect::<Vec<_>>().await.map(drop)),
    ];
    let mut said = String::new();
    for (verb, result) in results {
        match result.expect_err(verb) {
            StoreError::Unavailable(text) => {
                assert!(
                    text.len() < 1_200 && !text.contains('\n') && !text.contains("SECRET-"),
                    "{verb}: {text}"
                );
                said.push_str(&format!("{verb}: {text}\n"));
            }
            error => panic!("{verb}: {error}"),
        }
    }
    said
}

fn each_line_has(said: &str, words: &str) {
    assert!(said.lines().all(|line| line.contains(words)), "{words:?}:\n{said}");
}

#[tokio::test]
async fn a_missing_bucket_is_not_an_empty_one() {
    let words = "there is no bucket there-is-none at the endpoint http://127.0.0.1:";
    each_line_has(&refusals(&on_moto(&Moto::shared(), "there-is-none")).await, words);
    // Which makes buckets as they are written to; the first look finds it out all the same.
    let error = on_s3s(&S3s::start(), "there-is-none").check().await.unwrap_err().to_string();
    each_line_has(&error, words);
}

#[tokio::test]
async fn wrong_credentials_are_refused() {
    let server = S3s::start();
    let url = format!("s3://{}?endpoint={}", server.create_bucket(), server.endpoint());
    for (access_key, secret_key) in
        [("someone-else", S3s::SECRET_KEY), (S3s::ACCESS_KEY, "SECRET-that-is-wrong")]
    {
        each_line_has(
            &refusals(&client(&url, access_key, secret_key).unwrap()).await,
            "the credentials are refused",
        );
    }
}

#[tokio::test]
async fn a_service_that_is_away_and_comes_back() {
    let server = S3s::start();
    let blobs = on_s3s(&server, &server.create_bucket());
    let (module, other) = (bytes(1 << 20, 5), bytes(1 << 20, 6));
    let digest = Digest::of(&module);
    blobs.put(digest, module.clone()).await.unwrap();
    server.stop();
    let begun = std::time::Instant::now();
    for error in [
        blobs.get(digest).await.map(drop).unwrap_err(),
        blobs.put(Digest::of(&other), other.clone()).await.unwrap_err(),
    ] {
        assert!(
            matches!(&error, StoreError::Unavailable(text) if text.contains("cannot be reached; look at the address")),
            "{error}"
        );
    }
    assert!(begun.elapsed() < 3 * RETRY_FOR, "{:?}", begun.elapsed());
    server.restart();
    assert!(blobs.get(digest).await.unwrap().unwrap() == module);
    blobs.put(Digest::of(&other), other).await.unwrap();
}

/// A line that is cut: the first connections are closed at once, or in the midst of what the client
/// sends.
fn cut_line(server: &S3s, cuts: &'static [usize]) -> String {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    fn pass(mut from: TcpStream, mut to: TcpStream, mut left: usize) {
        let mut part = [0; 8 << 10];
        while let Ok(read @ 1..) = from.read(&mut part) {
            if left <= read || to.write_all(&part[..read]).is_err() {
                break;
            }
            left -= read;
        }
        for stream in [from, to] {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let endpoint = server.endpoint().replace("http://", "");
    std::thread::spawn(move || {
        let mut cuts = cuts.iter();
        for client in listener.incoming().flatten() {
            let after = cuts.next().copied().unwrap_or(usize::MAX);
            let Ok(server) = TcpStream::connect(&endpoint) else { return };
            let (reading, writing) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || pass(server, client, usize::MAX));
            std::thread::spawn(move || pass(reading, writing, after));
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn what_fails_for_a_moment_is_tried_again() {
    let server = S3s::start();
    for cuts in [&[0][..], &[0, 0], &[100_000], &[1_000, 0, 500_000]] {
        let bucket = server.create_bucket();
        let url = format!("s3://{bucket}?endpoint={}", cut_line(&server, cuts));
        let blobs = client(&url, S3s::ACCESS_KEY, S3s::SECRET_KEY).unwrap();
        let module = bytes(1 << 20, 7);
        let digest = Digest::of(&module);
        blobs.put(digest, module.clone()).await.unwrap_or_else(|error| panic!("{cuts:?}: {error}"));
        assert!(blobs.get(digest).await.unwrap().unwrap() == module, "{cuts:?}");
    }
}

#[tokio::test]
async fn nobody_at_the_address() {
    // A port that was free a moment ago, and one of the reserved addresses that nobody can have.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let blobs = client(&format!("s3://abc?endpoint=http://127.0.0.1:{port}"), "a", "b").unwrap();
    let error = blobs.check().await.unwrap_err().to_string();
    assert!(
        error.contains(&format!("the endpoint http://127.0.0.1:{port}/ cannot be reached")),
        "{error}"
    );
    let blobs = client("s3://abc?endpoint=http://nowhere.invalid", "a", "b").unwrap();
    let error = blobs.check().await.unwrap_err().to_string();
    assert!(error.contains("cannot be reached"), "{error}");
}
