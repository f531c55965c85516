//! Variables and resources as they are used: sealed on their way into the store, opened on their way
//! out.

mod references;
mod sealed;

pub(crate) use references::{Unfilled, require};
pub(crate) use sealed::{Values, resource_at, variable_at};
