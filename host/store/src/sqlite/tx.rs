//! One batch's transaction as operations see it: the connection, and the dictionary from names to
//! row ids.
//!
//! The dictionary's rows seldom change, so what was looked up once is kept in memory. A name that
//! was added within an operation which is undone must be forgotten again; that is rare, and then
//! everything is.

use super::fault::{TxResult, corrupt};
use super::job_counts::JobCounts;
use super::names::{
    MAX_NAMES, Names, VersionRow, assigned_key, make_room, user_row, word_row, workspace_row,
};
use super::recorder::Recorder;
use crate::Micros;
use crate::common::keys::{first_key, own_key};
use crate::common::refusals;
use rusqlite::{Connection, OptionalExtension};
use wasmill_core::queue::Shares;
use wasmill_core::{JobId, UserName, VersionHash, WorkspaceId};

/// The key of a new job, which orders it among all jobs.
#[derive(Debug, Clone, Copy)]
pub(super) struct JobKey {
    pub(super) key: i64,
    /// `None`: the key was assigned, and the table `alias` has the id.
    pub(super) tail: Option<i64>,
}

/// What an operation works with.
pub(crate) struct Tx<'a> {
    pub(super) conn: &'a Connection,
    pub(super) names: &'a mut Names,
    /// Changes to the numbers of jobs, by workspace row.
    pub(super) counts: Vec<(i64, JobCounts)>,
    /// Set when something was erased that the log's file still has.
    pub(super) erased: bool,
    /// Set when something may be due in the outbox.
    pub(super) told: bool,
    /// Set when something changed that nodes remember.
    pub(super) changed: bool,
    /// The workspaces' passes before the batch.
    pub(super) before: &'a Shares<WorkspaceId>,
    /// The passes with what the batch has taken so far, if it has taken anything.
    pub(super) charged: Option<Shares<WorkspaceId>>,
    recorder: Option<Recorder<'a>>,
    /// The largest key in the queue, while nothing but records is written.
    newest_queued: Option<i64>,
}

/// Where an operation began, to come back to.
pub(super) struct Savepoint {
    counts: usize,
    /// Rows that the connection had changed before it. `None`: SQLite knows of the point, and can
    /// undo what was written since.
    changes: Option<u64>,
}

impl<'a> Tx<'a> {
    pub(super) fn new(
        conn: &'a Connection,
        names: &'a mut Names,
        before: &'a Shares<WorkspaceId>,
    ) -> Self {
        Self {
            conn,
            names,
            counts: Vec::new(),
            erased: false,
            told: false,
            changed: false,
            before,
            charged: None,
            recorder: None,
            newest_queued: None,
        }
    }

    /// The statements that write records.
    pub(super) fn recorder(&mut self) -> rusqlite::Result<&mut Recorder<'a>> {
        match &mut self.recorder {
            Some(recorder) => Ok(recorder),
            none => Ok(none.insert(Recorder::new(self.conn)?)),
        }
    }

    /// The key of a new job when its id gives it one that is larger than any in the queue. Whether
    /// a run has that key is for its insertion to find out. `None`: see [`Tx::new_key`].
    pub(super) fn fresh_key(&mut self, id: &JobId, created: Micros) -> TxResult<Option<JobKey>> {
        let Some(key) = own_key(id, created).filter(|_| !self.names.has_assigned_keys) else {
            return Ok(None);
        };
        let newest = match self.newest_queued {
            Some(newest) => newest,
            None => {
                let sql = "SELECT coalesce(max(id), 0) FROM queue";
                let newest = self.conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
                self.newest_queued = Some(newest);
                newest
            }
        };
        Ok((key > newest).then(|| JobKey { key, tail: Some(id.tail()) }))
    }

    /// Begins an operation. `real`: what the operation writes can be undone alone.
    pub(super) fn savepoint(&mut self, real: bool) -> rusqlite::Result<Savepoint> {
        if real {
            self.conn.prepare_cached("SAVEPOINT operation")?.execute([])?;
        }
        self.names.fresh = false;
        // What is about to be done may queue jobs.
        self.newest_queued = None;
        Ok(Savepoint {
            counts: self.counts.len(),
            changes: (!real).then(|| self.conn.total_changes()),
        })
    }

    pub(super) fn keep(&mut self, savepoint: Savepoint) -> rusqlite::Result<()> {
        self.newest_queued = None;
        match savepoint.changes {
            Some(_) => Ok(()),
            None => self.conn.prepare_cached("RELEASE operation")?.execute([]).map(drop),
        }
    }

    /// Undoes what was written since the savepoint. False when something was, and the savepoint was
    /// not a real one.
    pub(super) fn undo(&mut self, savepoint: Savepoint) -> rusqlite::Result<bool> {
        self.counts.truncate(savepoint.counts);
        if let Some(changes) = savepoint.changes {
            return Ok(self.conn.total_changes() == changes);
        }
        self.conn.prepare_cached("ROLLBACK TO operation")?.execute([])?;
        self.conn.prepare_cached("RELEASE operation")?.execute([])?;
        if self.names.fresh {
            self.names.forget();
        }
        Ok(true)
    }

    /// The row of a workspace, or `NotFound`.
    pub(super) fn workspace(&mut self, id: &WorkspaceId) -> TxResult<i64> {
        if let Some(row) = self.names.workspaces.get(id) {
            return Ok(*row);
        }
        match workspace_row(self.conn, id)? {
            Some(row) => {
                self.names.fresh = true;
                make_room(&mut self.names.workspaces);
                self.names.workspaces.insert(id.clone(), row);
                Ok(row)
            }
            None => Err(refusals::no_workspace(id).into()),
        }
    }

    /// The name and the weight of a workspace.
    pub(super) fn tenant(&mut self, row: i64) -> TxResult<(WorkspaceId, u32)> {
        if let Some(tenant) = self.names.tenants.get(&row) {
            return Ok(tenant.clone());
        }
        let sql = "SELECT name, weight FROM workspace WHERE id = ?1";
        let (name, weight): (String, u32) = self
            .conn
            .prepare_cached(sql)?
            .query_row([row], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let id: WorkspaceId = name.parse().map_err(|error| corrupt("workspace.name", error))?;
        self.names.fresh = true;
        make_room(&mut self.names.tenants);
        self.names.tenants.insert(row, (id.clone(), weight));
        Ok((id, weight))
    }

    /// Forgets the weight of a workspace, which is about to change.
    pub(super) fn forget_weight(&mut self, workspace: i64) {
        self.names.tenants.remove(&workspace);
    }

    /// The workspaces' passes now.
    pub(super) fn shares(&self) -> &Shares<WorkspaceId> {
        self.charged.as_ref().unwrap_or(self.before)
    }

    /// The row of a user, or `NotFound`.
    pub(super) fn user(&self, name: &UserName) -> TxResult<i64> {
        user_row(self.conn, name)?.ok_or_else(|| refusals::no_user(name).into())
    }

    /// The rows of a version of this workspace and its script, or `NotFound`.
    pub(super) fn version(&mut self, workspace: i64, hash: &VersionHash) -> TxResult<VersionRow> {
        if let Some(version) = self.names.versions.get(&(workspace, *hash)) {
            return Ok(*version);
        }
        let sql = "SELECT id, script, deleted FROM version WHERE workspace = ?1 AND hash = ?2";
        let found = self
            .conn
            .prepare_cached(sql)?
            .query_row((workspace, hash.0), |row| {
                Ok(VersionRow { id: row.get(0)?, script: row.get(1)?, deleted: row.get(2)? })
            })
            .optional()?;
        match found {
            Some(version) => {
                self.names.fresh = true;
                make_room(&mut self.names.versions);
                self.names.versions.insert((workspace, *hash), version);
                Ok(version)
            }
            None => Err(refusals::no_version(hash).into()),
        }
    }

    /// Forgets a version that is about to change.
    pub(super) fn forget_version(&mut self, workspace: i64, hash: VersionHash) {
        self.names.versions.remove(&(workspace, hash));
    }

    /// The row of a tag or a label, made when it is new.
    pub(super) fn word(&mut self, text: &str) -> TxResult<i64> {
        if let Some(row) = self.names.words.get(text) {
            return Ok(*row);
        }
        let row = match word_row(self.conn, text)? {
            Some(row) => row,
            None => {
                let sql = "INSERT INTO word (text) VALUES (?1) RETURNING id";
                self.conn.prepare_cached(sql)?.query_row([text], |row| row.get(0))?
            }
        };
        self.names.fresh = true;
        make_room(&mut self.names.words);
        self.names.words.insert(text.to_owned(), row);
        Ok(row)
    }

    /// The row of a caller, made when it is new.
    pub(super) fn caller(&mut self, name: &str, token: Option<[u8; 32]>) -> TxResult<i64> {
        let known = self.names.callers.get(name).and_then(|tokens| tokens.get(&token));
        if let Some(row) = known {
            return Ok(*row);
        }
        let digest: &[u8] = token.as_ref().map_or(&[], |token| token);
        let sql = "SELECT id FROM caller WHERE name = ?1 AND token = ?2";
        let found = self.conn.prepare_cached(sql)?.query_row((name, digest), |row| row.get(0));
        let row = match found.optional()? {
            Some(row) => row,
            None => {
                let sql = "INSERT INTO caller (name, token) VALUES (?1, ?2) RETURNING id";
                self.conn.prepare_cached(sql)?.query_row((name, digest), |row| row.get(0))?
            }
        };
        if self.names.caller_count >= MAX_NAMES {
            self.names.callers.clear();
            self.names.caller_count = 0;
        }
        self.names.fresh = true;
        self.names.caller_count += 1;
        self.names.callers.entry(name.to_owned()).or_default().insert(token, row);
        Ok(row)
    }

    /// Finds the key of a new job, or `Conflict` when its id is taken.
    ///
    /// That an id has this host's form proves nothing, for callers may choose theirs: when its time
    /// is not about that of the creation, or another job has the key, this one gets an assigned key
    /// too.
    pub(super) fn new_key(&mut self, id: &JobId, created: Micros) -> TxResult<JobKey> {
        if self.names.has_assigned_keys && assigned_key(self.conn, id)?.is_some() {
            return Err(refusals::job_taken(id).into());
        }
        if id.is_native() {
            match (self.occupant(id.key())?, own_key(id, created)) {
                (None, Some(key)) => return Ok(JobKey { key, tail: Some(id.tail()) }),
                (Some(Some(tail)), _) if tail == id.tail() => {
                    return Err(refusals::job_taken(id).into());
                }
                _ => {}
            }
        }
        let mut key = first_key(created);
        while self.occupant(key)?.is_some() {
            key += 1;
        }
        let sql = "INSERT INTO alias (uuid, key) VALUES (?1, ?2)";
        self.conn.prepare_cached(sql)?.execute((id.to_string(), key))?;
        self.names.has_assigned_keys = true;
        Ok(JobKey { key, tail: None })
    }

    /// The tail of the job that has a key; `Some(None)` when the key was assigned.
    fn occupant(&self, key: i64) -> rusqlite::Result<Option<Option<i64>>> {
        let sql =
            "SELECT tail FROM queue WHERE id = ?1 UNION ALL SELECT tail FROM run WHERE id = ?1";
        self.conn.prepare_cached(sql)?.query_row([key], |row| row.get(0)).optional()
    }
}
