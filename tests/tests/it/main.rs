//! Tests of the built host from outside. One binary, because linking is the dear part.

mod answers;
mod bad_input;
mod bodies;
mod capabilities;
mod cli;
mod connections;
mod deletion;
mod durability;
mod events;
mod jobs;
mod load;
mod outbox;
mod peers;
mod proxy;
mod queue;
mod references;
mod requests;
mod rights;
mod runs;
mod scripts;
mod tokens;
mod unattended;
mod uploads;
mod values;
mod versions;
