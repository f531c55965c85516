//! The pages about errors, to which the `type` of each problem leads. They are part of the program,
//! so that a host explains what it answers itself, and what this version of it answers.

use crate::api::asked::Anonymous;
use crate::http::respond::{self, Reply};
use wasmill_core::Problem;
use wasmill_core::problem::Code;

/// The page about a code, in Markdown. A code without a page does not compile.
fn page(code: Code) -> &'static str {
    match code {
        Code::BadRequest => include_str!("../../../../docs/problems/bad-request.md"),
        Code::InvalidScript => include_str!("../../../../docs/problems/invalid-script.md"),
        Code::Unauthorized => include_str!("../../../../docs/problems/unauthorized.md"),
        Code::Forbidden => include_str!("../../../../docs/problems/forbidden.md"),
        Code::NotFound => include_str!("../../../../docs/problems/not-found.md"),
        Code::MethodNotAllowed => include_str!("../../../../docs/problems/method-not-allowed.md"),
        Code::RequestTimeout => include_str!("../../../../docs/problems/request-timeout.md"),
        Code::Conflict => include_str!("../../../../docs/problems/conflict.md"),
        Code::Gone => include_str!("../../../../docs/problems/gone.md"),
        Code::TooLarge => include_str!("../../../../docs/problems/too-large.md"),
        Code::UnsupportedMedia => {
            include_str!("../../../../docs/problems/unsupported-media-type.md")
        }
        Code::KeyReused => include_str!("../../../../docs/problems/idempotency-key-reused.md"),
        Code::TooCostly => include_str!("../../../../docs/problems/too-costly.md"),
        Code::TooMany => include_str!("../../../../docs/problems/too-many-requests.md"),
        Code::Internal => include_str!("../../../../docs/problems/internal.md"),
        Code::InvalidAnswer => include_str!("../../../../docs/problems/invalid-answer.md"),
        Code::Unavailable => include_str!("../../../../docs/problems/unavailable.md"),
        Code::GatewayTimeout => include_str!("../../../../docs/problems/timeout.md"),
        Code::StorageFull => include_str!("../../../../docs/problems/storage-full.md"),
    }
}

/// Answers with the page about the code of this slug.
///
/// # Errors
/// 404 when there is no such code.
pub(super) async fn explain(_: Anonymous<'_>, slug: &str) -> Result<Reply, Problem> {
    match Code::of_slug(slug) {
        Some(code) => Ok(respond::bytes(200, "text/markdown; charset=utf-8", page(code))),
        None => {
            let known: Vec<&str> = Code::ALL.iter().map(|code| code.slug()).collect();
            Err(Problem::not_found(format!(
                "There is no error {slug:?}; there are {}",
                known.join(", ")
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// The fenced block of this kind, which a page must have once.
    fn fenced<'a>(page: &'a str, kind: &str) -> &'a str {
        let (before, rest) = page.split_once(&format!("\n```{kind}\n")).expect("a block");
        let (block, after) = rest.split_once("\n```\n").expect("the block's end");
        assert!(!before.contains("```") && !after.contains("```"), "one block: {page}");
        block
    }

    #[test]
    fn each_page_is_about_its_code() {
        for code in Code::ALL {
            let page = page(*code);
            let begin = format!("# {}\n\nStatus {}.\n\n", code.title(), code.status());
            assert!(page.starts_with(&begin), "{code:?}: {page}");
            assert!(
                (10..=30).contains(&page.lines().count()),
                "{code:?}: {} lines",
                page.lines().count()
            );
            let example: Value = serde_json::from_str(fenced(page, "json")).expect("JSON");
            let detail = example["detail"].as_str().expect("a detail");
            let answered: Value =
                serde_json::from_str(&Problem::new(*code, detail).to_json()).expect("JSON");
            assert_eq!(example, answered, "{code:?}");
        }
    }

    #[test]
    fn there_are_no_pages_about_nothing() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/problems");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        files.sort();
        let mut pages: Vec<String> =
            Code::ALL.iter().map(|code| format!("{}.md", code.slug())).collect();
        pages.sort();
        assert_eq!(files, pages);
    }
}
