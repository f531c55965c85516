//! The front end: connections in, answers out.

pub(crate) mod accept;
mod greeting;
mod pipeline;
mod route;
