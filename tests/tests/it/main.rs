//! Tests of the built host from outside. One binary, because linking is the dear part.

mod answers;
mod bodies;
mod capabilities;
mod cli;
mod connections;
mod docs;
mod durability;
mod events;
mod jobs;
mod load;
mod problems;
mod queue;
mod requests;
mod rights;
mod runs;
mod scripts;
mod tokens;
mod uploads;
mod versions;
