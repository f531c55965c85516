//! The embedded back end: SQLite, one file, one writing thread, a few readers.
//!
//! One file, so that moving a job from the queue to the run records is one atomic commit. One
//! writing thread, so that nobody ever waits for a lock and every commit carries what gathered
//! meanwhile. The directory belongs to one process.

mod accounts;
mod attempts;
mod cancel;
mod claim;
mod counters;
mod erase;
mod fault;
mod file;
mod held;
mod idempotency;
mod jobs;
mod leases;
mod line;
mod list;
mod lock;
mod lookup;
mod message;
mod migrate;
mod modules;
mod nodes;
mod open;
mod outbox;
mod pool;
mod purge;
mod queue;
mod rows;
mod runs;
mod scripts;
mod slots;
mod tally;
#[cfg(test)]
mod tests;
mod tx;
mod values;
mod writer;

pub use counters::Stats;
pub use file::DatabaseFile;
pub use open::{FILE, Options};

use crate::{Result, RunRecord, Signal, StoreError};
use counters::{Counters, State};
use fault::Fault;
use message::{Message, Record, Write};
use pool::Readers;
use rusqlite::Connection;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot};
use tx::Tx;

/// How long dropping a store waits for its thread to write out what it was given.
const DROP_WAIT: Duration = Duration::from_secs(5);

/// When an operation may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Once it is on the disk.
    Synced,
    /// Once it is committed: the end of the process doesn't undo it, but a power cut within the
    /// next second may.
    Committed,
}

/// A store in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    /// `None` only while it is being dropped.
    inbox: Option<mpsc::Sender<Message>>,
    counters: Arc<Counters>,
    readers: Readers,
    /// The writer, to be woken from its naps.
    writer: Thread,
    signals: broadcast::Sender<Signal>,
    /// Disconnected when the writer has ended and given up the lock.
    ended: Mutex<std::sync::mpsc::Receiver<()>>,
    record_bytes: usize,
}

impl SqliteStore {
    /// What the store has done so far.
    pub fn stats(&self) -> Stats {
        self.counters.stats()
    }

    /// How many records were kept without arguments, result and log because records came too fast.
    pub fn dropped_payloads(&self) -> u64 {
        self.counters.stats().dropped_payloads
    }

    /// Waits until the store is dead, and says why. A host that hears of it should stop: nothing
    /// can be written any more, and a new start recovers what was acknowledged. Never resolves for
    /// a store that works or was closed.
    pub async fn failed(&self) -> String {
        let mut state = self.counters.state.subscribe();
        loop {
            if let State::Failed(reason) = &*state.borrow_and_update() {
                return reason.to_string();
            }
            if state.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Writes out everything, ends the writing thread and gives up the directory. Every verb after
    /// it is `Unavailable`.
    ///
    /// # Errors
    /// `Unavailable` when the last of it could not be written.
    pub async fn close(&self) -> Result<()> {
        self.readers.close();
        let (reply, answer) = oneshot::channel();
        self.send(Message::Close(reply)).await?;
        answer.await.map_err(|_| self.counters.gone())?
    }

    /// Runs an operation on the writing thread.
    async fn write<T, F>(&self, need: Need, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> std::result::Result<T, Fault> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let write = Write::new(need == Need::Synced, work, reply);
        self.send(Message::Write(Box::new(write))).await?;
        // A dropped channel means that nobody confirmed anything.
        answer.await.map_err(|_| self.counters.gone())?
    }

    /// Waits until everything sent before is committed.
    async fn settle(&self, need: Need) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Sync { durable: need == Need::Synced, reply }).await?;
        answer.await.map_err(|_| self.counters.gone())?
    }

    /// Waits until the runs that were recorded so far can be read. On a full disk they are dropped,
    /// and reading goes on.
    async fn catch_up(&self) -> Result<()> {
        match self.settle(Need::Committed).await {
            Err(StoreError::Full(_)) => Ok(()),
            settled => settled,
        }
    }

    async fn send(&self, message: Message) -> Result<()> {
        let inbox = self.inbox.as_ref().ok_or_else(|| self.counters.gone())?;
        inbox.send(message).await.map_err(|_| self.counters.gone())?;
        self.counters.urgent.store(true, Ordering::Release);
        self.writer.unpark();
        Ok(())
    }

    /// Runs a query on a blocking thread. It sees everything that was acknowledged before.
    async fn read<T, F>(&self, query: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> std::result::Result<T, Fault> + Send + 'static,
    {
        match self.counters.stopped() {
            None => self.readers.read(query).await,
            Some(error) => Err(error),
        }
    }

    /// True when finished runs are on their way to the file.
    fn has_pending_records(&self) -> bool {
        self.counters.pending.load(Ordering::Acquire) > 0
    }

    /// Sends a finished run to the writer without waiting: with its payload while there is room,
    /// without it when room is short, and not at all when there is none.
    fn try_record(&self, mut run: RunRecord) -> bool {
        let Some(inbox) = &self.inbox else {
            return false;
        };
        if run.end.deleted {
            // Gone before it can get anywhere.
            run.job.args = bytes::Bytes::new();
            run.end = run.end.emptied(true);
        }
        let payload = run.job.args.len() + run.end.result.get().len() + run.end.log.len();
        let held = self.counters.pending_bytes.load(Ordering::Acquire);
        let is_short = inbox.capacity() < inbox.max_capacity().div_ceil(4)
            || held.saturating_add(payload) > self.record_bytes;
        let bytes = if is_short { 0 } else { payload };
        if is_short {
            run.job.args = bytes::Bytes::new();
            let deleted = run.end.deleted;
            run.end = run.end.emptied(deleted);
        }
        let is_thinned = is_short && !run.end.deleted;
        let record = Record { run: Box::new(run), with_body: !is_short, bytes };
        // Counted before it is sent, so that whoever saw this return finds the record pending or
        // written.
        self.counters.pending_bytes.fetch_add(bytes, Ordering::AcqRel);
        self.counters.pending.fetch_add(1, Ordering::AcqRel);
        let sent = inbox.try_send(Message::Record(record)).is_ok();
        if !sent {
            self.counters.arrived(bytes);
            self.counters.dropped_record();
        } else if is_thinned {
            self.counters.dropped_payload();
        }
        sent
    }
}

impl Drop for SqliteStore {
    /// Waits for the writer to end, so that the directory can be opened again at once, but not for
    /// ever.
    fn drop(&mut self) {
        self.readers.close();
        drop(self.inbox.take());
        self.writer.unpark();
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(DROP_WAIT) {
            tracing::warn!("the storage thread is still writing; it is left to itself");
        }
    }
}

/// The bit pattern of an unsigned number that the schema keeps as a signed one; what doesn't fit is
/// cut to the largest.
fn signed(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// What `column` holds is not what this program writes there.
fn corrupt(column: &str, detail: impl std::fmt::Display) -> Fault {
    Fault::Refused(StoreError::Corrupt(format!("{column}: {detail}")))
}
