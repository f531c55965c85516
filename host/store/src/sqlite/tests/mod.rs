//! What only this back end promises: the file, the thread and its limits.

mod copies;
mod erasure;
mod files;
mod plans;
mod queue;
mod records;
mod writer;
