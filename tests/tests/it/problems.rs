//! Errors lead to the pages that explain them.

use serde_json::json;
use std::collections::BTreeMap;
use wasmill_tests::{Answer, root, shared};

/// The pages in the repository by their slugs.
fn pages() -> BTreeMap<String, String> {
    let folder = root().join("docs/problems");
    let files = folder.read_dir().expect("the folder").map(|entry| entry.expect("an entry").path());
    files
        .map(|file| {
            let slug = file.file_stem().and_then(|stem| stem.to_str()).expect("a slug").to_owned();
            (slug, std::fs::read_to_string(file).expect("a text"))
        })
        .collect()
}

/// What the `type` of a problem leads to, for somebody without a token.
fn explained(problem: &Answer) -> String {
    let host = shared();
    let json = problem.json();
    let answer = host.request("GET", json["type"].as_str().expect("a type")).anonymous().send();
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "text/markdown; charset=utf-8"),
        "{answer:?}"
    );
    let page = answer.text();
    let begin =
        format!("# {}\n\nStatus {}.\n", json["title"].as_str().expect("a title"), problem.status);
    assert!(page.starts_with(&begin), "{problem:?} leads to {page}");
    page
}

#[test]
fn every_page_is_served() {
    let host = shared();
    let pages = pages();
    assert!(pages.len() >= 19, "{}", pages.len());
    for (slug, page) in pages {
        let address = format!("/api/problems/{slug}");
        let answer = host.request("GET", &address).anonymous().send();
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "text/markdown; charset=utf-8"),
            "{slug}"
        );
        assert_eq!(answer.text(), page, "{slug}");
        let head = host.request("HEAD", &address).anonymous().send();
        assert_eq!((head.status, head.body.len()), (200, 0), "{slug}");
    }
}

#[test]
fn what_is_answered_leads_to_its_page() {
    let host = shared();
    let narrow = host
        .request("POST", "/api/users/tokens/create")
        .json(&json!({"scopes": ["jobs:read"]}))
        .send()
        .text();
    let run = "/api/w/main/jobs/run_wait_result/p/u/tests/hello";
    let answers = [
        (400, "bad-request", host.request("POST", run).body("application/json", b"{oops").send()),
        (400, "invalid-script", host.upload("u/problems/text", b"#!/bin/sh")),
        (401, "unauthorized", host.request("POST", run).anonymous().send()),
        (403, "forbidden", host.request("GET", "/api/w/main/scripts/list").token(&narrow).send()),
        (404, "not-found", host.get("/api/problems/none")),
        (405, "method-not-allowed", host.request("PUT", run).send()),
        (
            415,
            "unsupported-media-type",
            host.request("POST", run)
                .header("content-encoding", "gzip")
                .body("text/plain", b"x")
                .send(),
        ),
    ];
    for (status, slug, answer) in answers {
        answer.problem(status);
        assert_eq!(explained(&answer), pages()[slug], "{slug}");
    }
}

#[test]
fn an_unknown_page_names_those_that_are_there() {
    let detail = shared().request("GET", "/api/problems/teapot").anonymous().send().problem(404);
    assert!(detail.contains("teapot") && detail.contains("idempotency-key-reused"), "{detail}");
}
