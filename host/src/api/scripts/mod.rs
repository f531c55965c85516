//! Scripts: deployed, looked at, downloaded, archived, deleted.

mod deploy;
mod parameters;
mod retention;
mod rows;
mod settings;
mod tokens;
pub(super) mod versions;

pub(super) use rows::ROWS;
