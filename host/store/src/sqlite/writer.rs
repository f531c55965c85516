//! The one thread that writes: gathers what arrived during the last commit and commits it as one
//! transaction.
//!
//! Group commit needs no timer: while a batch is being synced the next one gathers by itself. Only
//! a batch of nothing but finished runs, for which nobody waits, lingers a little to become larger.
//! Such batches are not synced either; a barrier follows within a second. Callers are answered
//! after the commit and never before.

mod checkpoint;
mod inbox;
mod room;

use super::counters::{Counters, State};
use super::fault::Failure;
use super::job_counts::{self, JobCounts};
use super::lock::DirLock;
use super::message::{Message, Verdict};
use super::names::Names;
use super::options::Options;
use super::record;
use super::tx::Tx;
use crate::Result;
use checkpoint::{Checkpoints, checkpoint};
use inbox::Inbox;
use room::Room;
use rusqlite::Connection;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use wasmill_core::WorkspaceId;
use wasmill_core::queue::Shares;

/// Records that are written before whoever else wants this processor gets a turn. Without turns a
/// writer that woke up keeps a processor until the system's next tick, some milliseconds; with one
/// for each record, changing over costs too much.
const RECORDS_IN_A_TURN: usize = 64;

pub(super) struct Writer {
    conn: Connection,
    names: Names,
    /// The workspaces' passes by what was committed.
    shares: Shares<WorkspaceId>,
    inbox: Inbox,
    counters: Arc<Counters>,
    /// How long commits that were not synced stay so.
    barrier_after: Duration,
    batch: Vec<Message>,
    /// True while `PRAGMA synchronous` is FULL.
    syncing: bool,
    /// When a barrier is due, because commits that were not synced are outstanding.
    barrier: Option<Instant>,
    checkpoints: Checkpoints,
    /// Room on the disk.
    room: Room,
    closing: Option<oneshot::Sender<Result<()>>>,
    /// Given up last.
    _lock: DirLock,
}

/// What a batch did besides what is in the file.
struct Applied {
    /// Changes to the numbers of jobs, by workspace row.
    counts: HashMap<i64, JobCounts>,
    /// Records that were refused.
    refused: u64,
    /// Something was erased.
    erased: bool,
    /// Something may be due in the outbox.
    told: bool,
    /// Something changed that nodes remember.
    changed: bool,
    /// The workspaces' passes, if they changed.
    charged: Option<Shares<WorkspaceId>>,
}

impl Writer {
    pub(super) fn new(
        conn: Connection,
        names: Names,
        messages: mpsc::Receiver<Message>,
        counters: Arc<Counters>,
        options: &Options,
        lock: DirLock,
    ) -> Self {
        let inbox = Inbox {
            messages,
            counters: Arc::clone(&counters),
            batch: options.batch.max(1),
            linger: options.linger,
        };
        Self {
            conn,
            names,
            shares: Shares::default(),
            inbox,
            counters,
            barrier_after: options.barrier,
            batch: Vec::with_capacity(options.batch),
            syncing: true,
            // What a killed process left in the log is recovered, but need not be on the disk:
            // synced before anything else.
            barrier: Some(Instant::now()),
            checkpoints: Checkpoints::new(options),
            room: Room::default(),
            closing: None,
            _lock: lock,
        }
    }

    /// Works until the store is closed or dead. What is returned is to be answered once this value
    /// is gone.
    pub(super) fn run(&mut self) -> Option<oneshot::Sender<Result<()>>> {
        let ended = loop {
            let deadline = self.barrier.into_iter().chain(self.checkpoints.scrub()).min();
            if !self.inbox.fill(&mut self.batch, deadline) {
                break self.finish();
            }
            if let Err(failure) = self.turn() {
                break Err(failure);
            }
            if self.closing.is_some() {
                break self.finish();
            }
        };
        match &ended {
            Ok(()) => {
                self.counters.state.send_replace(State::Closed);
            }
            Err(failure) => {
                let reason = format!("writing to the database failed: {}", failure.text());
                tracing::error!(reason, "the store has stopped");
                self.counters.fail(&reason);
            }
        }
        self.inbox.messages.close();
        let refusal = Failure::Fatal(self.counters.gone().to_string().into());
        while let Ok(message) = self.inbox.messages.try_recv() {
            refuse(&self.counters, message, &refusal);
        }
        self.counters.backlog.warn(true);
        let closing = self.closing.take();
        match (ended, closing) {
            (Err(failure), Some(reply)) => {
                let _ = reply.send(Err(failure.to_error()));
                None
            }
            (_, closing) => closing,
        }
    }

    /// Commits the batch and answers its callers. An error is the end of the store.
    fn turn(&mut self) -> std::result::Result<(), Failure> {
        let is_due = self.barrier.is_some_and(|due| due <= Instant::now());
        let durable = is_due || self.batch.iter().any(Message::is_durable);
        let has_work = self
            .batch
            .iter()
            .any(|message| matches!(message, Message::Write(_) | Message::Record(_)));
        let outcome = match has_work || (durable && self.barrier.is_some()) {
            true => self.transact(durable),
            false => Ok(()),
        };
        let failure = outcome.err();
        if let Some(reason) = failure.as_ref().and_then(Failure::fatal) {
            // Before anybody is told, so that nobody who was told finds the store alive.
            self.counters.fail(&format!("writing to the database failed: {reason}"));
        }
        self.settle(failure.as_ref());
        match failure {
            Some(failure) if failure.fatal().is_some() => Err(failure),
            Some(failure) => {
                // A barrier that could not be made is due again, but not at once.
                self.barrier = self.barrier.map(|due| due.max(Instant::now() + self.barrier_after));
                self.room.refused(&failure);
                Ok(())
            }
            None => {
                if has_work {
                    self.room.granted();
                }
                self.checkpoints.keep_up(&self.conn)
            }
        }
    }

    fn transact(&mut self, durable: bool) -> std::result::Result<(), Failure> {
        let sql = |error: rusqlite::Error| Failure::of(&error);
        if self.syncing != durable {
            let level = if durable { "FULL" } else { "NORMAL" };
            self.conn.pragma_update(None, "synchronous", level).map_err(sql)?;
            self.syncing = durable;
        }
        self.begin()?;
        let outcome = self.apply(durable).and_then(|applied| {
            execute(&self.conn, "COMMIT").map_err(sql)?;
            Ok(applied)
        });
        let applied = match outcome {
            Ok(applied) => applied,
            Err(failure) => {
                self.roll_back()?;
                return Err(failure);
            }
        };
        self.counters.add_up(applied.counts);
        if applied.erased {
            self.checkpoints.erased();
        }
        if let Some(shares) = applied.charged {
            self.shares = shares;
        }
        if applied.changed {
            self.counters.generation.fetch_add(1, Ordering::AcqRel);
        }
        if applied.told {
            self.counters.outbox.send_modify(|changes| *changes = changes.wrapping_add(1));
        }
        self.counters.backlog.refuse_records(applied.refused);
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        self.counters.operations.fetch_add(self.batch.len() as u64, Ordering::Relaxed);
        if durable {
            // A synced commit takes every earlier one with it: they are in the same log.
            self.barrier = None;
            self.counters.synced_commits.fetch_add(1, Ordering::Relaxed);
        } else if self.barrier.is_none() {
            self.barrier = Some(Instant::now() + self.barrier_after);
        }
        Ok(())
    }

    fn begin(&self) -> std::result::Result<(), Failure> {
        execute(&self.conn, "BEGIN IMMEDIATE").map_err(|error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy) => Failure::Busy(
                "another program is writing to the database; nothing was changed".into(),
            ),
            _ => Failure::of(&error),
        })
    }

    /// Undoes everything since the transaction began.
    fn roll_back(&mut self) -> std::result::Result<(), Failure> {
        self.names.forget();
        // SQLite may have rolled back by itself.
        match self.conn.is_autocommit() {
            true => Ok(()),
            false => {
                execute(&self.conn, "ROLLBACK").map_err(|e| Failure::Fatal(e.to_string().into()))
            }
        }
    }

    /// Runs the batch's operations.
    ///
    /// An operation that is refused leaves nothing behind. Nearly all of them are refused before
    /// they have written anything, so the batch is first run without savepoints, which cost a copy
    /// of each page that an operation touches. Should one be refused later than that, everything is
    /// undone and run once more, with savepoints.
    fn apply(&mut self, durable: bool) -> std::result::Result<Applied, Failure> {
        if let Some(applied) = self.run_all(durable, false)? {
            return Ok(applied);
        }
        self.roll_back()?;
        self.begin()?;
        let applied = self.run_all(durable, true)?;
        applied.ok_or_else(|| {
            Failure::Fatal("an operation that was refused could not be undone".into())
        })
    }

    /// `None`: an operation that was refused has written something, and without savepoints it could
    /// not be undone alone.
    fn run_all(
        &mut self,
        durable: bool,
        savepoints: bool,
    ) -> std::result::Result<Option<Applied>, Failure> {
        let sql = |error: rusqlite::Error| Failure::of(&error);
        let mut tx = Tx::new(&self.conn, &mut self.names, &self.shares);
        let mut refused = 0;
        for (number, message) in self.batch.iter_mut().enumerate() {
            // Nobody waits for this batch, but callers may wait for this processor.
            if !durable && number % RECORDS_IN_A_TURN == RECORDS_IN_A_TURN - 1 {
                std::thread::yield_now();
            }
            match message {
                Message::Write(operation) => {
                    let savepoint = tx.savepoint(savepoints).map_err(sql)?;
                    match operation.run(&mut tx)? {
                        Verdict::Keep => tx.keep(savepoint).map_err(sql)?,
                        Verdict::Undo => {
                            if !tx.undo(savepoint).map_err(sql)? {
                                return Ok(None);
                            }
                        }
                    }
                }
                // No savepoint: whatever can be refused is refused before anything is written.
                Message::Record(sent) => {
                    match record::insert(&mut tx, &sent.run, sent.with_payload) {
                        Ok(()) => {}
                        Err(fault) => {
                            let reason = fault.weigh()?;
                            tracing::warn!(job = %sent.run.job.id, %reason, "a run was not recorded");
                            refused += 1;
                        }
                    }
                }
                Message::Sync { .. } | Message::Close(_) => {}
            }
        }
        if durable && self.barrier.is_some() {
            // A transaction that writes nothing syncs nothing, and what an operation found may
            // itself not be synced yet.
            execute(&self.conn, "UPDATE barrier SET n = n + 1").map_err(sql)?;
        }
        let Tx { counts, erased, told, changed, charged, .. } = tx;
        let counts = job_counts::sum(&self.conn, counts).map_err(sql)?;
        Ok(Some(Applied { counts, refused, erased, told, changed, charged }))
    }

    fn settle(&mut self, failure: Option<&Failure>) {
        for message in self.batch.drain(..) {
            match (message, failure) {
                (Message::Close(reply), _) => self.closing = Some(reply),
                (message, Some(failure)) => refuse(&self.counters, message, failure),
                (Message::Write(operation), None) => operation.settle(None),
                (Message::Sync { reply, .. }, None) => {
                    let _ = reply.send(Ok(()));
                }
                (Message::Record(record), None) => self.counters.backlog.arrived(record.bytes),
            }
        }
    }

    /// Leaves a database without a log behind, when no reader is in the way.
    fn finish(&mut self) -> std::result::Result<(), Failure> {
        if self.barrier.is_some() {
            match self.transact(true) {
                // Nobody was promised that what a power cut could still undo is on the disk.
                Err(failure @ Failure::Full(_)) => self.room.refused(&failure),
                done => done?,
            }
        }
        checkpoint(&self.conn, "TRUNCATE").map(drop)
    }
}

fn execute(conn: &Connection, sql: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(sql)?.execute([]).map(drop)
}

fn refuse(counters: &Counters, message: Message, failure: &Failure) {
    if let Message::Record(record) = &message {
        counters.backlog.arrived(record.bytes);
        counters.backlog.drop_records(1);
    }
    message.refuse(failure);
}
