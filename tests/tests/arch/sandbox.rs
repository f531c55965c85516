//! The sandbox runs scripts. It serves no HTTP, and it calls others only by the interface that
//! `wasmtime-wasi-http` gives to scripts.

use crate::code::{is_identifier, tokens};
use crate::{metadata, sources};
use cargo_metadata::{DependencyKind, Metadata};
use std::collections::BTreeSet;
use wasmill_tests::root;

/// All crates that the sandbox may depend on, besides those for its tests.
const DEPENDENCIES: [&str; 26] = [
    "async-trait",
    "base64",
    "blake3",
    "bytes",
    // The types of requests and answers, of which those of wasmtime-wasi-http are made.
    "http",
    "http-body",
    "http-body-util",
    "moka",
    "rustc-demangle",
    "rustix",
    "serde",
    "serde_json",
    "sha2",
    "thiserror",
    "tokio",
    "tokio-util",
    "tracing",
    "wasm-encoder",
    "wasmill-core",
    "wasmparser",
    "wasmtime",
    "wasmtime-wasi",
    "wasmtime-wasi-http",
    "wasmtime-wasi-io",
    "wasmtime-wasi-tls",
    "wat",
];

/// Paths that only a server or a client of its own needs. Each is looked for as a sequence of
/// tokens.
const FORBIDDEN: [&str; 16] = [
    // Servers.
    "TcpListener",
    "UnixListener",
    "hyper::server",
    "hyper_util::server",
    "axum",
    "warp",
    "tonic",
    // What scripts would answer requests with.
    "incoming_handler",
    "IncomingHandler",
    "new_incoming_request",
    "ProxyPre",
    // Clients.
    "hyper::client",
    "hyper_util::client",
    "reqwest",
    "ureq",
    "isahc",
];

/// The dependencies of the sandbox that are not on the list.
fn unexpected_dependencies(metadata: &Metadata) -> Vec<String> {
    let packages = metadata.workspace_packages();
    let sandbox = packages.iter().find(|package| package.name.as_str() == "wasmill-sandbox");
    let mut found: Vec<String> = sandbox
        .expect("the crate")
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development)
        .map(|dependency| dependency.name.clone())
        .filter(|name| !DEPENDENCIES.contains(&name.as_str()))
        .collect();
    found.sort();
    found
}

/// The forbidden paths in a source, also where `use` gives them in a tree.
fn forbidden_paths(code: &str) -> BTreeSet<&'static str> {
    let tokens = tokens(code);
    let names: BTreeSet<&str> =
        tokens.iter().copied().filter(|token| is_identifier(token)).collect();
    FORBIDDEN
        .into_iter()
        .filter(|path| match path.split_once("::") {
            None => names.contains(path),
            Some((first, second)) => {
                tokens.windows(3).any(|three| three == [first, "::", second])
                    || (names.contains(second)
                        && tokens.windows(3).any(|three| three == [first, "::", "{"]))
            }
        })
        .collect()
}

#[test]
fn the_sandbox_serves_no_http() {
    assert_eq!(unexpected_dependencies(&metadata()), [""; 0]);
    let files = sources(&root().join("host/sandbox/src"));
    assert!(!files.is_empty(), "the sandbox has no sources");
    for file in files {
        let code = std::fs::read_to_string(&file).expect("a source");
        let found = forbidden_paths(&code);
        assert!(found.is_empty(), "{} has {found:?}", file.display());
    }
}

#[test]
fn a_forbidden_dependency_of_the_sandbox_is_seen() {
    let mut text = serde_json::to_value(metadata()).expect("JSON");
    let packages = text["packages"].as_array_mut().expect("packages");
    let sandbox = packages
        .iter_mut()
        .find(|package| package["name"] == "wasmill-sandbox")
        .expect("the crate");
    let dependencies = sandbox["dependencies"].as_array_mut().expect("a list");
    let pattern = dependencies
        .iter()
        .find(|dependency| dependency["name"] == "bytes")
        .expect("the sandbox uses it")
        .clone();
    for (name, kind) in [
        ("axum", serde_json::Value::Null),
        ("hyper", "build".into()),
        ("wasmtime-wasi-http", serde_json::Value::Null),
        // Tests may start what they like.
        ("ureq", "dev".into()),
    ] {
        let mut dependency = pattern.clone();
        (dependency["name"], dependency["kind"]) = (name.into(), kind);
        dependencies.push(dependency);
    }
    let altered: Metadata = serde_json::from_value(text).expect("metadata");
    assert_eq!(unexpected_dependencies(&altered), ["axum", "hyper"]);
}

#[test]
fn forbidden_paths_are_seen() {
    for (code, expected) in [
        ("use tokio::net::TcpListener;", &["TcpListener"][..]),
        ("use hyper::server::conn::http1;", &["hyper::server"]),
        ("use hyper::{body::Body, server::conn};", &["hyper::server"]),
        ("bindings::exports::wasi::http::incoming_handler::Guest", &["incoming_handler"]),
        ("let answer = ureq::get(url);", &["ureq"]),
        // Outbound HTTP is allowed, and so are words in comments and texts.
        ("use wasmtime_wasi_http::WasiHttpView; fn header(request: http::Request<()>) {}", &[]),
        ("/// Not a TcpListener.\nlet text = \"hyper::server\";", &[]),
        ("use hyper::body::Body; let server = 1;", &[]),
    ] {
        let found: Vec<&str> = forbidden_paths(code).into_iter().collect();
        assert_eq!(found, expected, "{code}");
    }
}
