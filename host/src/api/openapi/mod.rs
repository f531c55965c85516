//! The API's description (OpenAPI 3.1): one document for the host, written from the rows of the
//! table of operations, and one for each workspace with operations for each of its scripts.

mod calls;
mod document;
mod operation;
mod schemas;
mod workspace;

pub(super) use document::document;
pub(super) use workspace::workspace_document;
