//! The borders between the crates, held against what cargo and the sources say.

mod circles;
mod code;
mod named_files;
mod sandbox;

use cargo_metadata::{Metadata, MetadataCommand};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use wasmill_tests::root;

/// Who may use whom, of our own crates. Everything else here follows from this table.
const EDGES: [(&str, &[&str]); 10] = [
    ("wasmill", &["wasmill-core", "wasmill-sandbox", "wasmill-store"]),
    ("wasmill-sandbox", &["wasmill-core"]),
    ("wasmill-store", &["wasmill-core", "wasmill-test-servers"]),
    ("wasmill-core", &[]),
    ("wasmill-guest", &["wasmill-guest-macro"]),
    ("wasmill-guest-macro", &[]),
    // Tools: they may use the product, never the other way round.
    (
        "wasmill-bench",
        &["wasmill-core", "wasmill-sandbox", "wasmill-store", "wasmill-test-servers"],
    ),
    ("wasmill-tests", &["wasmill-test-servers"]),
    // Servers for the tests of the others, and nothing of ours.
    ("wasmill-test-servers", &[]),
    ("xtask", &[]),
];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo knows the workspace")
}

/// What is wrong with the edges between the workspace's own crates, whatever kind they are: also a
/// test of a lower crate must not reach up.
fn wrong_edges(metadata: &Metadata) -> Vec<String> {
    let packages = metadata.workspace_packages();
    let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let allowed: BTreeMap<&str, &[&str]> = EDGES.into_iter().collect();
    let mut wrong = Vec::new();
    for package in &packages {
        let name = package.name.as_str();
        let Some(allowed) = allowed.get(name) else {
            wrong.push(format!("{name} is a new crate; decide what it may use"));
            continue;
        };
        let used: BTreeSet<&str> = package
            .dependencies
            .iter()
            .map(|dependency| dependency.name.as_str())
            .filter(|name| ours.contains(name))
            .collect();
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        wrong.extend(used.difference(&allowed).map(|other| format!("{name} uses {other}")));
        wrong.extend(
            allowed.difference(&used).map(|other| format!("{name} does not use {other} any more")),
        );
    }
    wrong.extend(
        allowed
            .keys()
            .filter(|name| !ours.contains(*name))
            .map(|name| format!("there is no crate {name}")),
    );
    wrong
}

#[test]
fn edges() {
    assert_eq!(wrong_edges(&metadata()), [""; 0]);
}

#[test]
fn a_forbidden_edge_is_seen() {
    for (from, to) in [
        ("wasmill-sandbox", "wasmill-store"),
        ("wasmill-core", "wasmill-sandbox"),
        ("wasmill-store", "wasmill-sandbox"),
    ] {
        let mut text = serde_json::to_value(metadata()).expect("JSON");
        let packages = text["packages"].as_array_mut().expect("packages");
        let edge = packages
            .iter()
            .filter(|package| package["name"] == "wasmill")
            .flat_map(|package| package["dependencies"].as_array().expect("a list").clone())
            .find(|dependency| dependency["name"] == to);
        let package =
            packages.iter_mut().find(|package| package["name"] == from).expect("the crate");
        package["dependencies"]
            .as_array_mut()
            .expect("a list")
            .push(edge.expect("the host uses it"));
        let altered: Metadata = serde_json::from_value(text).expect("metadata");
        assert_eq!(wrong_edges(&altered), [format!("{from} uses {to}")]);
    }
}

#[test]
fn a_missing_edge_and_a_new_crate_are_seen() {
    let mut text = serde_json::to_value(metadata()).expect("JSON");
    for package in text["packages"].as_array_mut().expect("packages") {
        if package["name"] == "wasmill-store" {
            package["dependencies"] = serde_json::json!([]);
        }
        if package["name"] == "xtask" {
            package["name"] = "newcomer".into();
        }
    }
    let altered: Metadata = serde_json::from_value(text).expect("metadata");
    let wrong = wrong_edges(&altered);
    for expected in [
        "wasmill-store does not use wasmill-core any more",
        "newcomer is a new crate; decide what it may use",
        "there is no crate xtask",
    ] {
        assert!(wrong.iter().any(|found| found == expected), "{expected:?} is not in {wrong:?}");
    }
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The sources of Rust in a folder and the folders in it.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in
        std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
    {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn unsafe_code_is_in_one_place() {
    let workspace = text("Cargo.toml");
    let lints = workspace
        .split("[workspace.lints.rust]")
        .nth(1)
        .and_then(|rest| rest.split("\n[").next())
        .expect("the lint table");
    assert!(lints.lines().any(|line| line.trim() == "unsafe_code = \"forbid\""), "{lints}");
    for (manifest, main) in [("host/core", "lib.rs"), ("host/store", "lib.rs"), ("host", "main.rs")]
    {
        assert!(
            text(&format!("{manifest}/Cargo.toml")).contains("[lints]\nworkspace = true"),
            "{manifest} does not take the workspace's lints"
        );
        assert!(
            text(&format!("{manifest}/src/{main}"))
                .lines()
                .any(|line| line == "#![forbid(unsafe_code)]"),
            "{manifest}/src/{main}"
        );
    }
    assert!(text("host/sandbox/Cargo.toml").contains("unsafe_code = \"deny\""));
    let mut lifted = Vec::new();
    let files = sources(&root().join("host/sandbox/src"));
    assert!(!files.is_empty(), "the sandbox has no sources");
    for file in files {
        let code = std::fs::read_to_string(&file).expect("a source");
        let attributes = code
            .lines()
            .filter(|line| line.contains("unsafe_code") && line.trim_start().starts_with("#"))
            .count();
        lifted
            .extend(std::iter::repeat_n(file.file_name().expect("a name").to_owned(), attributes));
    }
    // To load compiled code, and to give the pages of it back.
    assert_eq!(lifted, ["artefact.rs", "artefact.rs"], "where the sandbox lifts the lint");
    assert!(text("host/sandbox/src/artefact.rs").contains("#[expect(unsafe_code"));
}

/// The documentation of the world tells scripts' authors what they may import; the sandbox decides
/// it.
#[test]
fn documented_imports_are_the_offered_ones() {
    let documented: BTreeSet<String> = text("wit/script.wit")
        .lines()
        .filter_map(|line| {
            line.strip_prefix("/// - `wasi:")?.split_once('`').map(|(name, _)| name.to_owned())
        })
        .collect();
    let inspect = text("host/sandbox/src/inspect/mod.rs");
    let list = inspect
        .split("const OFFERED")
        .nth(1)
        .and_then(|rest| rest.split_once('='))
        .and_then(|(_, rest)| rest.split_once(';'))
        .expect("the list")
        .0;
    let offered: BTreeSet<String> = list
        .split('"')
        .filter_map(|piece| piece.strip_prefix("wasi:")?.strip_suffix('/').map(str::to_owned))
        .collect();
    assert!(offered.len() > 3, "the list was not read: {list}");
    assert_eq!(documented, offered);
}

/// `docs/dependencies.md` names each crate that one of ours depends on, and no other.
#[test]
fn dependencies_are_explained() {
    let metadata = metadata();
    let packages = metadata.workspace_packages();
    let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let used: BTreeSet<&str> = packages
        .iter()
        .flat_map(|package| &package.dependencies)
        .map(|dependency| dependency.name.as_str())
        .filter(|name| !ours.contains(name))
        .collect();
    let page = text("docs/dependencies.md");
    let named: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .flat_map(|crates| crates.split(", "))
        .filter(|name| !matches!(*name, "Crate"))
        .collect();
    assert_eq!(
        used.difference(&named).copied().collect::<Vec<_>>(),
        [""; 0],
        "used, but not on the page"
    );
    assert_eq!(
        named.difference(&used).copied().collect::<Vec<_>>(),
        [""; 0],
        "on the page, but not used"
    );
}
