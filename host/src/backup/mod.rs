//! Backups of a host with an embedded database: a directory with the database, all modules that it
//! names, and a manifest.
//!
//! A backup is made by reading beside the host, not through it, so that it can be made of one that
//! is stopped too and no route has to hand out everything. The modules are copied before the
//! database, and once more those that came between the two: what the copied database names is
//! always there.

mod files;
pub(crate) mod manifest;
pub(crate) mod restore;
pub(crate) mod take;

/// Tells how far long work has come: what is done, how much of it, and of how much.
pub(crate) type Tell<'a> = &'a (dyn Fn(&str, u64, u64) + Sync);
