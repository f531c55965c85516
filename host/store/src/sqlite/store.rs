//! The store: its writing thread, its readers, and what they know of each other.

use super::counters::{Counters, State, Stats};
use super::fault::TxResult;
use super::message::{Message, Write};
use super::pool::Readers;
use super::tx::Tx;
use crate::{Result, RunRecord, Signal, StoreError};
use rusqlite::Connection;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot};

/// How long dropping a store waits for its thread to write out what it was given.
const DROP_WAIT: Duration = Duration::from_secs(5);

/// When an operation may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
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
    pub(super) inbox: Option<mpsc::Sender<Message>>,
    pub(super) counters: Arc<Counters>,
    pub(super) readers: Readers,
    /// The writer, to be woken from its naps.
    pub(super) writer: Thread,
    pub(super) signals: broadcast::Sender<Signal>,
    /// Disconnected when the writer has ended and given up the lock.
    pub(super) ended: Mutex<std::sync::mpsc::Receiver<()>>,
    pub(super) record_bytes: usize,
}

impl SqliteStore {
    /// What the store has done so far.
    pub fn stats(&self) -> Stats {
        self.counters.stats()
    }

    /// How many records were kept without arguments, result and log because records came too fast.
    pub fn dropped_payloads(&self) -> u64 {
        self.counters.backlog.dropped_payloads()
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
    pub(super) async fn write<T, F>(&self, need: Need, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> TxResult<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let write = Write::new(need == Need::Synced, work, reply);
        self.send(Message::Write(Box::new(write))).await?;
        // A dropped channel means that nobody confirmed anything.
        answer.await.map_err(|_| self.counters.gone())?
    }

    /// Waits until everything sent before is committed.
    pub(super) async fn settle(&self, need: Need) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Sync { durable: need == Need::Synced, reply }).await?;
        answer.await.map_err(|_| self.counters.gone())?
    }

    /// Waits until the runs that were recorded so far can be read. On a full disk they are dropped,
    /// and reading goes on.
    pub(super) async fn catch_up(&self) -> Result<()> {
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
    pub(super) async fn read<T, F>(&self, query: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> TxResult<T> + Send + 'static,
    {
        match self.counters.stopped() {
            None => self.readers.read(query).await,
            Some(error) => Err(error),
        }
    }

    /// True when finished runs are on their way to the file.
    pub(super) fn has_pending_records(&self) -> bool {
        self.counters.backlog.has_pending()
    }

    /// Sends a finished run to the writer without waiting. False: the record was dropped.
    pub(super) fn try_record(&self, run: RunRecord) -> bool {
        let Some(inbox) = &self.inbox else {
            return false;
        };
        self.counters.backlog.send(inbox, run, self.record_bytes, Message::Record)
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
