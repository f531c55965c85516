//! What the routes of variables and of resources have in common.

use crate::api::parse::{name, per_page, typed_parameter};
use wasmill_core::limits::{DESCRIPTION_BYTES, VALUES_PAGE_ENTRIES};
use wasmill_core::problem::Code;
use wasmill_core::{Problem, ValuePath};
use wasmill_store::PutMode;

pub(super) fn check_description(text: &str) -> Result<(), Problem> {
    match text.len() {
        ..=DESCRIPTION_BYTES => Ok(()),
        more => Err(Problem::new(
            Code::TooLarge,
            format!("A description has at most {DESCRIPTION_BYTES} bytes; this one has {more}"),
        )),
    }
}

/// Where a value is after a change, and how it is put there.
pub(super) struct Changes {
    pub(super) new_path: ValuePath,
    pub(super) mode: PutMode,
}

/// Reads the path of a change, which may be absent or the old one.
pub(super) fn same_path(asked: Option<&str>, path: &ValuePath) -> Result<Changes, Problem> {
    let new_path = match asked {
        None => path.clone(),
        Some(text) => name(text)?,
    };
    let mode = if new_path == *path { PutMode::Update } else { PutMode::Rename(path.clone()) };
    Ok(Changes { new_path, mode })
}

/// Which page of a list is asked for.
pub(super) struct Page {
    /// Counted from 1.
    pub(super) number: u32,
    /// Entries of a page.
    pub(super) limit: u32,
}

/// `page` and `per_page`, of which the latter is at most `VALUES_PAGE_ENTRIES`.
pub(super) fn page(query: &str) -> Result<Page, Problem> {
    let number = typed_parameter::<u32>(query, "page", "a number from 1 on")?.unwrap_or(1).max(1);
    Ok(Page { number, limit: per_page(query)?.min(VALUES_PAGE_ENTRIES) })
}
