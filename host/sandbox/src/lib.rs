//! Runs scripts: finds out what an upload is, compiles it outside this process, calls it within
//! limits.
//!
//! Bytes and JSON come in, bytes and JSON go out. The crate knows no network protocol, no database
//! and no tenant; it may use `wasmill-core` and the engine, and nothing else of the house.
//!
//! The way of a script: [`inspect()`] reads its outline, `compile` turns it into machine code in a
//! child process, which first makes one module of those that a component links (`merge`),
//! `artefact` seals that code, `cache` and `shelf` keep it,
//! `prepared` links it once, `invoke` runs it in a fresh instance.

mod artefact;
mod cache;
mod compile;
mod compile_child;
mod engine;
mod inspect;
mod invoke;
mod json;
mod lanes;
mod limiter;
mod log;
mod merge;
mod prepared;
mod refusal;
mod sandbox;
mod schema;
mod shape;
mod shelf;
mod state;
mod stock;
mod text;
mod value;
mod wasi;

pub use compile_child::compile_child;
pub use inspect::{Form, Inspected, inspect};
pub use invoke::{Call, Environment, Run};
pub use log::LogBuffer;
pub use merge::{Unmerged, merged};
pub use prepared::Prepared;
pub use refusal::{PrepareError, Refusal, RefusalCode, SandboxError};
pub use sandbox::{Admitted, Sandbox, SandboxConfig};
pub use shelf::ArtefactShelf;
pub use stock::ArtefactCounts;
