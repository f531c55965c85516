//! The page about the architecture must name files and folders that exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use wasmill_tests::root;

/// The folders that names on the page are relative to.
const FOLDERS: [&str; 6] =
    ["host/src", "host/core/src", "host/sandbox/src", "host/store/src", "", "host"];

/// The crates whose names stand for their sources: `core/args` is `host/core/src/args`.
const CRATES: [&str; 3] = ["core", "sandbox", "store"];

/// The names of files and folders in a paragraph: what stands in backticks and has a slash or the
/// ending of a file. Addresses and other code are left out.
fn names(paragraph: &str) -> Vec<&str> {
    let quoted = paragraph.split('`').skip(1).step_by(2);
    quoted
        .filter(|text| {
            let is_path = text.chars().all(|letter| {
                letter.is_ascii_alphanumeric() || matches!(letter, '/' | '.' | '_' | '-')
            });
            let has_ending = [".rs", ".md", ".toml", ".json", ".c", ".wit", ".sql", ".txt"]
                .iter()
                .any(|ending| text.ends_with(ending));
            is_path && !text.starts_with('/') && (text.contains('/') || has_ending)
        })
        .collect()
}

/// Where a name leads to: from the folders of the project, or from those that the paragraph names.
fn find(base: &Path, name: &str, near: &BTreeSet<PathBuf>) -> Option<PathBuf> {
    let mut candidates: Vec<PathBuf> =
        FOLDERS.iter().map(|folder| base.join(folder).join(name)).collect();
    if let Some((first, rest)) = name.split_once('/')
        && CRATES.contains(&first)
    {
        candidates.push(base.join("host").join(first).join("src").join(rest));
    }
    candidates.extend(near.iter().map(|folder| folder.join(name)));
    candidates.into_iter().find(|path| path.exists())
}

/// The folders that a name on the page leads readers to: a folder itself, the folder of a file, and
/// the folder that belongs to a file of Rust.
fn folders_of(path: &Path) -> Vec<PathBuf> {
    if path.is_dir() {
        return vec![path.to_owned()];
    }
    path.parent().map(Path::to_owned).into_iter().chain([path.with_extension("")]).collect()
}

/// The names on a page that lead nowhere. A name may be relative to a folder that an earlier name of
/// the same paragraph or section leads to.
fn missing(base: &Path, page: &str) -> Vec<String> {
    let mut missing = Vec::new();
    for section in page.split("\n## ") {
        let mut near: BTreeSet<PathBuf> = BTreeSet::new();
        let mut open = names(section);
        // Until no name leads to another one: the order within a section does not matter.
        loop {
            let before = open.len();
            open.retain(|name| match find(base, name, &near) {
                Some(path) => {
                    near.extend(folders_of(&path));
                    false
                }
                None => true,
            });
            if open.len() == before {
                break;
            }
        }
        missing.extend(open.into_iter().map(str::to_owned));
    }
    missing
}

#[test]
fn the_architecture_names_what_exists() {
    let page =
        std::fs::read_to_string(root().join("docs/architecture.md")).expect("the page is there");
    assert!(names(&page).len() > 30, "the names were not read: {:?}", names(&page));
    assert_eq!(missing(&root(), &page), [""; 0], "on the page, but not there");
}

#[test]
fn a_missing_file_is_seen() {
    let base = tempfile::tempdir().expect("a folder");
    for file in [
        "host/src/serve/pipeline.rs",
        "host/src/jobs/lead.rs",
        "host/core/src/queue/state.rs",
        "host/store/src/postgres/mod.rs",
        "tests/tests/it/docs.rs",
        "tests/tests/it/docs/matching.rs",
        "docs/jobs.md",
    ] {
        let path = base.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, "").expect("a file");
    }
    let page = "# Page\n\
        `serve/pipeline.rs`, `serve/gone.rs`, `docs/jobs.md`, `host/core`, `cargo test`, `/p/`\n\
        ## One\n\
        `state.rs` is in `core/queue/`, and `fair.rs` is not. `store/postgres/`, `store/sqlite/`\n\
        ## Two\n\
        `state.rs`, `tests/tests/it/docs.rs` and `docs/matching.rs` beside it, `crate::Thing`, `merge`\n";
    assert_eq!(
        missing(base.path(), page),
        ["serve/gone.rs", "fair.rs", "store/sqlite/", "state.rs"]
    );
}
