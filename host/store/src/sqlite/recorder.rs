//! The statements that write records, looked up once for a batch.

use rusqlite::{CachedStatement, Connection};

/// The statements that write records, looked up once for a batch.
pub(super) struct Recorder<'c> {
    pub(super) run: CachedStatement<'c>,
    pub(super) body: CachedStatement<'c>,
}

impl<'c> Recorder<'c> {
    pub(super) fn new(conn: &'c Connection) -> rusqlite::Result<Self> {
        let run = "INSERT INTO run (id, tail, workspace, script, version, caller, trigger, created, run_at, timeout, \
            max_attempts, tag, priority, label, parent, root, attempt, started, status, duration, memory, deleted, \
            retry, concurrency_key, concurrency_limit, awaited, args, result, log) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, \
            ?10, ?11, ?12, ?13, ?14, ?15, ?16, 1, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28)";
        Ok(Self { run: conn.prepare_cached(run)?, body: conn.prepare_cached(BODY)? })
    }
}

/// Writes a payload that is too large for its run's own row.
pub(super) const BODY: &str =
    "INSERT INTO run_body (id, args, result, log) VALUES (?1, ?2, ?3, ?4)";
