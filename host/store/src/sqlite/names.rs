//! The dictionary from names to row ids, as far as it is known, and the look-ups of single names.
//!
//! The dictionary's rows seldom change, so what was looked up once is kept in memory.

use rusqlite::{Connection, OptionalExtension};
use std::collections::HashMap;
use wasmill_core::{JobId, UserName, VersionHash, WorkspaceId};

/// Entries that each map of [`Names`] may hold before it is emptied.
pub(super) const MAX_NAMES: usize = 65_536;

/// Names whose row ids are known.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) workspaces: HashMap<WorkspaceId, i64>,
    pub(super) versions: HashMap<(i64, VersionHash), VersionRow>,
    pub(super) callers: HashMap<String, HashMap<Option<[u8; 32]>, i64>>,
    pub(super) caller_count: usize,
    pub(super) words: HashMap<String, i64>,
    /// Names and weights of workspaces.
    pub(super) tenants: HashMap<i64, (WorkspaceId, u32)>,
    /// True when something was added since the last savepoint.
    pub(super) fresh: bool,
    /// False while no job has an assigned key at all, so that nobody looks for one.
    pub(super) has_assigned_keys: bool,
}

/// Row ids of a version and its script.
#[derive(Debug, Clone, Copy)]
pub(super) struct VersionRow {
    pub(super) id: i64,
    pub(super) script: i64,
    /// Nothing new may be queued for it.
    pub(super) deleted: bool,
}

impl Names {
    /// Knows nothing yet but whether any job has an assigned key.
    pub(super) fn new(has_assigned_keys: bool) -> Self {
        Self { has_assigned_keys, ..Self::default() }
    }

    /// Forgets every row id. Whether there are assigned keys is kept: at worst somebody looks in
    /// vain.
    pub(super) fn forget(&mut self) {
        *self = Self::new(self.has_assigned_keys);
    }
}

/// Empties a map that is full.
pub(super) fn make_room<K, V>(map: &mut HashMap<K, V>) {
    if map.len() >= MAX_NAMES {
        map.clear();
    }
}

/// The row of a workspace.
pub(super) fn workspace_row(conn: &Connection, id: &WorkspaceId) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT id FROM workspace WHERE name = ?1";
    conn.prepare_cached(sql)?.query_row([id.as_str()], |row| row.get(0)).optional()
}

/// The row of a tag or a label.
pub(super) fn word_row(conn: &Connection, text: &str) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT id FROM word WHERE text = ?1";
    conn.prepare_cached(sql)?.query_row([text], |row| row.get(0)).optional()
}

/// The row of a user.
pub(super) fn user_row(conn: &Connection, name: &UserName) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT id FROM user WHERE name = ?1";
    conn.prepare_cached(sql)?.query_row([name.as_str()], |row| row.get(0)).optional()
}

/// The key that was assigned to the job of an id which gives none: the table `alias`.
pub(super) fn assigned_key(conn: &Connection, id: &JobId) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT key FROM alias WHERE uuid = ?1";
    conn.prepare_cached(sql)?.query_row([id.to_string()], |row| row.get(0)).optional()
}
