//! Variables and resources.

mod common;
mod parameters;
mod resources;
mod rows;
mod variables;

pub(super) use rows::ROWS;
