//! Users of the host, and their tokens.

mod rows;
mod scopes;
pub(super) mod tokens;
pub(super) mod users;

pub(super) use rows::ROWS;
