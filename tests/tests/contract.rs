//! The contract with callers, row by row: each row names the tests that hold it, and these exist.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use wasmill_tests::root;

const ROWS: &str = include_str!("contract.txt");

/// The Rust files of a part of the black-box tests: a file, or a folder with several.
fn files(part: &str) -> Vec<PathBuf> {
    let here = root().join("tests/tests/it");
    let core = root().join("host/core/src");
    let mut files = match part {
        "core" => vec![core.join("args/tests.rs"), core.join("answer/tests.rs")],
        _ => vec![here.join(format!("{part}.rs"))],
    };
    let inner = std::fs::read_dir(here.join(part)).into_iter().flatten().flatten();
    files.extend(
        inner
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "rs")),
    );
    files.retain(|file| Path::is_file(file));
    files
}

/// The tests in a part.
fn tests(part: &str) -> HashSet<String> {
    let text: String =
        files(part).iter().map(|file| std::fs::read_to_string(file).expect("a file")).collect();
    let functions = text
        .split("#[test]")
        .skip(1)
        .filter_map(|behind| behind.split("fn ").nth(1)?.split('(').next());
    functions.map(str::to_owned).collect()
}

#[test]
fn every_row_is_held_by_tests_that_exist() {
    let mut missing = Vec::new();
    let mut rows = 0;
    for line in ROWS.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '['])) {
        let (row, held) =
            line.split_once(" = ").unwrap_or_else(|| panic!("a row without tests: {line}"));
        rows += 1;
        for name in held.split(", ") {
            let (part, test) = name.split_once("::").unwrap_or_else(|| panic!("{row}: {name}"));
            if !tests(part).contains(test) {
                missing.push(format!("{row}: {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "there are no such tests:\n{}", missing.join("\n"));
    assert!(rows > 50, "{rows} rows are not the contract");
}
