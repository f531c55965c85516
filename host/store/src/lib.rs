//! The one storage seam: what the host keeps, as domain verbs.
//!
//! Every verb is one transaction, takes the workspace where there is one, and is batch-shaped where
//! the hot path needs it. No transaction type and no SQL leak out. Times and ids come in as
//! arguments. SQLite is the embedded back end and PostgreSQL the one that many processes share; the
//! in-memory model is the specification in its simplest form. One conformance suite runs against
//! every one.

#![forbid(unsafe_code)]

pub mod blobs;
mod common;
mod error;
pub mod memory;
pub mod model;
pub mod postgres;
pub mod sqlite;
mod tls;
mod verbs;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod fixtures;

pub use common::system_ends::canceled_result;
pub use error::{Result, StoreError};
pub use model::*;
pub use verbs::*;
