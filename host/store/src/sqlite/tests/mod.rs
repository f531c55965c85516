//! What only this back end promises: the file, the thread and its limits.

mod files;
mod writer;
