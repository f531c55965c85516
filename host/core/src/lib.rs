//! The rules of the host that need no input or output: names, limits, arguments, answers, scopes,
//! job states and the JSON types of the API.
//!
//! Nothing here reads a clock, a file, the network or random numbers, and nothing is async. Times,
//! ids and random bytes come in as arguments. So every rule of the webhook contract can be tested
//! with tables and properties.

#![forbid(unsafe_code)]

pub mod answer;
pub mod args;
mod header;
pub mod id;
pub mod json;
pub mod limits;
pub mod manifest;
pub mod options;
pub mod outbox;
pub mod outcome;
pub mod problem;
pub mod queue;
pub mod runnable;
pub mod scope;
pub mod seal;
pub mod token;
pub mod wire;

pub use id::{
    Digest, InvalidName, JobId, ScriptPath, UserName, ValuePath, VersionHash, WorkspaceId,
};
pub use limits::{HostLimits, RunLimits};
pub use manifest::{Manifest, ScriptSettings, WithoutCaller};
pub use outcome::{Failure, FailureName, Outcome, Usage};
pub use problem::Problem;
pub use runnable::{Kind, Runnable};
