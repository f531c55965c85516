//! The documentation as its reader uses it: the lines of each page are run against a host, in the
//! order of the page, and what they print is held against what the page shows.
//!
//! - A fenced `sh` block is run by bash, all blocks of a page in one shell, and has to end with 0.
//! - A `json`, `text` or `http` block that follows it is what it prints; without one it prints
//!   nothing. How the two are compared is in `matching`.
//! - A block with `no-run` behind its language is left alone. Each page's are counted here.
//! - The scripts that a page names as `f/examples/<name>` are deployed before.

mod matching;
mod page;

use page::{Block, blocks};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use wasmill_tests::{Home, Host, guest, root};

/// Runs a page on a host of its own, and fails with all that is not as the page has it.
fn as_written(file: &str, not_run: usize) {
    let text = std::fs::read_to_string(root().join(file))
        .unwrap_or_else(|error| panic!("{file}: {error}"));
    let blocks = blocks(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    let run: Vec<&Block> = blocks.iter().filter(|block| block.runs).collect();
    assert!(!run.is_empty(), "{file} has nothing to run");
    assert_eq!(blocks.len() - run.len(), not_run, "{file}: blocks that are not run");

    let home = Home::new();
    // As docs/webhooks.md has its reader start it.
    let host =
        home.start_with(&[], &[("INCLUDE_HEADERS", "X-Tenant"), ("TIMEOUT_WAIT_RESULT", "5")]);
    for script in examples(&text) {
        host.push(&format!("f/examples/{script}"), &guest(script));
    }
    let folder = home.path("page");
    std::fs::create_dir(&folder).expect("a folder");
    // A reader is in the clone; what the lines write is written here.
    for name in ["scripts", "target"] {
        std::os::unix::fs::symlink(root().join(name), folder.join(name)).expect("a link");
    }
    let wrong = printed(&host, &folder, &run);
    assert!(
        wrong.is_empty(),
        "\n{file} is not as it is:\n{wrong}\nThe host's log:\n{}",
        host.log()
    );
}

/// The examples that a page names; what is no example is there to be not found.
fn examples(text: &str) -> BTreeSet<&str> {
    let name = |rest: &'_ str| {
        rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len())
    };
    let names = text.split("f/examples/").skip(1).map(|rest| &rest[..name(rest)]);
    names.filter(|name| !name.is_empty() && root().join("scripts").join(name).is_dir()).collect()
}

/// Runs the blocks in one shell, and tells what is not as it should be.
fn printed(host: &Host, folder: &Path, blocks: &[&Block]) -> String {
    let runs = host.home().path("runs");
    std::fs::create_dir(&runs).expect("a folder");
    let mut script = String::new();
    for (number, block) in blocks.iter().enumerate() {
        let stem = runs.join(number.to_string());
        let stem = stem.display();
        std::fs::write(format!("{stem}.sh"), &block.lines).expect("it is written");
        let _ =
            writeln!(script, "source {stem}.sh > {stem}.out 2> {stem}.err; echo $? > {stem}.code");
    }
    let status = host
        .shell("timeout")
        .args(["180", "bash", "-u", "-c", &script])
        .current_dir(folder)
        .env("WM", format!("{}/api/w/main", host.url()))
        .env("TOKEN", &host.token)
        .stdin(Stdio::null())
        .status()
        .expect("bash can be started");
    let mut wrong = String::new();
    for (number, block) in blocks.iter().enumerate() {
        let read =
            |kind: &str| std::fs::read(runs.join(format!("{number}.{kind}"))).unwrap_or_default();
        let text = |kind: &str| String::from_utf8_lossy(&read(kind)).into_owned();
        let (code, out) = (text("code"), text("out"));
        let judged = match code.trim() {
            "0" => match &block.shown {
                Some(shown) => matching::fits(shown, &out),
                None if out.is_empty() => Ok(()),
                None => Err("it prints something, and the page shows nothing".to_owned()),
            },
            "" => Err(format!("it did not come to its end ({status})")),
            code => Err(format!("it ended with {code}")),
        };
        if let Err(reason) = judged {
            let _ = writeln!(
                wrong,
                "line {}: {reason}\n{}--- printed\n{out}\n--- complained\n{}",
                block.line,
                block.lines,
                text("err")
            );
        }
    }
    wrong
}

#[test]
fn webhooks() {
    as_written("docs/webhooks.md", 3);
}

#[test]
fn answers() {
    as_written("docs/answers.md", 0);
}

#[test]
fn jobs() {
    as_written("docs/jobs.md", 0);
}

#[test]
fn tokens() {
    as_written("docs/tokens.md", 0);
}

#[test]
fn values() {
    as_written("docs/values.md", 0);
}

#[test]
fn workspace_webhook() {
    as_written("docs/workspace-webhook.md", 0);
}

#[test]
fn scripts() {
    as_written("docs/scripts.md", 1);
}

#[test]
fn readme() {
    as_written("README.md", 3);
}
