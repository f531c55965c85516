//! The sandbox from outside, with scripts written in the text format and the built example guests.

mod artefacts;
mod guests;
mod hostile;
mod kinds;
mod refusals;
mod support;
