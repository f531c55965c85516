//! What needs no token: version, health, the API's description, and what errors mean.

mod problems;
mod rows;
mod status;

pub(super) use rows::ROWS;
