//! The sandbox from outside, with scripts written in the text format and the built example guests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly; the lints' own exemption reaches only functions that are marked as tests"
)]

mod artefacts;
mod guests;
mod hostile;
mod kinds;
mod refusals;
mod shared_artefacts;
mod support;
