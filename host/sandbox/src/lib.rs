//! Runs scripts: tells what an upload is, compiles it in a child process, calls it within limits.
//!
//! Bytes and JSON come in, bytes and JSON go out. The crate serves no network protocol and knows no
//! database and no workspace. Of the project's crates it uses `wasmill-core` alone.
//!
//! The steps of a script, with the module of each:
//!
//! 1. [`inspect()`] reads the outline of the upload.
//! 2. `compile` starts a child process, which turns the upload into machine code. Before that the
//!    child makes one core module of the modules that a component links (`merge`).
//! 3. `artefact` adds an authentication code to the machine code; `artefact_store` keeps it on disk
//!    (`disk_cache`) and where several hosts share it ([`SharedArtefacts`]).
//! 4. `prepared` links the machine code once.
//! 5. `invoke` runs it in a fresh instance for each call.

mod artefact;
mod artefact_store;
mod background_pool;
mod compile;
mod compile_child;
mod disk_cache;
mod engine;
mod entry;
mod inspect;
mod invoke;
mod json;
mod limiter;
mod log;
mod merge;
mod prepared;
mod refusal;
mod run_state;
mod sandbox;
mod sanitize;
mod schema;
mod shared_artefacts;
mod value;
mod value_type;
mod wasi;

pub use artefact_store::ArtefactCounts;
pub use compile_child::compile_child;
pub use inspect::{Form, Inspected, inspect};
pub use invoke::{Call, Run};
pub use log::LogBuffer;
pub use merge::{Unmerged, merged};
pub use prepared::Prepared;
pub use refusal::{PrepareError, Refusal, RefusalCode, SandboxError};
pub use sandbox::{Admitted, Sandbox, SandboxConfig};
pub use shared_artefacts::SharedArtefacts;
pub use wasi::Environment;
