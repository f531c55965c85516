//! Tests of the built host from outside. One binary, because linking is the dear part.

mod answers;
mod bad_input;
mod bodies;
mod capabilities;
mod cli;
mod connections;
mod durability;
mod events;
mod jobs;
mod load;
mod peers;
mod proxy;
mod queue;
mod requests;
mod rights;
mod runs;
mod scripts;
mod tokens;
mod uploads;
mod versions;
