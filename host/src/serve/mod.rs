//! The front end: connections in, answers out.

pub(crate) mod accept;
pub(crate) mod admit;
pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod events;
mod greeting;
pub(crate) mod pipeline;
pub(crate) mod respond;
pub(crate) mod route;
