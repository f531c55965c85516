//! Recording finished runs without making anybody wait: they go through a bounded channel to a task
//! that writes them in batches, which linger a little to become larger and are not synced.
//!
//! When room is short in the channel, payloads are dropped first, then records; both are counted.
//! While the database is away the task tries its batch again and again, and the channel keeps what
//! fits.

use super::shared::Shared;
use crate::common::backlog::{Backlog, Record};
use crate::{Result, RunRecord, StoreError};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};

/// Time between two attempts to write a batch that could not be written: first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How long somebody waits until runs are written while they can't be.
const SHORT_PATIENCE: Duration = Duration::from_secs(1);

/// What goes to the task.
enum Message {
    Record(Record),
    /// Answered when everything before it is written, and synced if so.
    Sync(bool, oneshot::Sender<Result<()>>),
}

/// What the task and its callers know of each other without a message.
#[derive(Debug, Default)]
struct Counters {
    /// Set when somebody waits for the task, which then lingers no longer.
    urgent: AtomicBool,
    hurry: Notify,
    /// Set while the last attempt to write failed.
    failing: AtomicBool,
    /// Records on their way.
    backlog: Backlog,
}

/// Bounds of recording.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Records on their way.
    pub(super) channel: usize,
    /// Bytes of their payloads.
    pub(super) bytes: usize,
    /// Records in one batch.
    pub(super) batch: usize,
    /// How long they wait for company.
    pub(super) linger: Duration,
    /// How long somebody waits until they are written.
    pub(super) patience: Duration,
}

/// Where finished runs are given.
#[derive(Debug)]
pub(super) struct Recorder {
    inbox: mpsc::Sender<Message>,
    counters: Arc<Counters>,
    bounds: Bounds,
}

impl Recorder {
    /// Begins to record. Ends when this value is dropped and what was given to it is written.
    pub(super) fn new(store: Arc<Shared>, bounds: Bounds) -> Self {
        let (inbox, messages) = mpsc::channel(bounds.channel.max(1));
        let counters = Arc::new(Counters::default());
        tokio::spawn(
            Task { store, inbox: messages, counters: Arc::clone(&counters), bounds }.run(),
        );
        Self { inbox, counters, bounds }
    }

    /// Sends a finished run without waiting. False: the record was dropped.
    pub(super) fn record(&self, run: RunRecord) -> bool {
        self.counters.backlog.send(&self.inbox, run, self.bounds.bytes, Message::Record)
    }

    /// True when records are on their way.
    pub(super) fn has_pending(&self) -> bool {
        self.counters.backlog.has_pending()
    }

    /// How many records were dropped.
    pub(super) fn dropped_records(&self) -> u64 {
        self.counters.backlog.dropped_records()
    }

    /// How many were kept without payload.
    pub(super) fn dropped_payloads(&self) -> u64 {
        self.counters.backlog.dropped_payloads()
    }

    /// Waits until everything given before is written, and synced if so.
    pub(super) async fn settle(&self, synced: bool) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        let settled = async {
            self.inbox.send(Message::Sync(synced, reply)).await.map_err(|_| closed())?;
            self.counters.urgent.store(true, Ordering::Release);
            self.counters.hurry.notify_one();
            answer.await.map_err(|_| closed())?
        };
        // In case the task pauses, and the channel has no room for the question.
        self.counters.hurry.notify_one();
        tokio::pin!(settled);
        let mut waited = Duration::ZERO;
        while waited < self.bounds.patience {
            if let Ok(answer) = tokio::time::timeout(SHORT_PATIENCE, &mut settled).await {
                return answer;
            }
            waited += SHORT_PATIENCE;
            if self.counters.failing.load(Ordering::Acquire) {
                break;
            }
        }
        Err(StoreError::Unavailable(format!(
            "finished runs could not be written within {waited:?}"
        )))
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}

/// The task.
struct Task {
    store: Arc<Shared>,
    inbox: mpsc::Receiver<Message>,
    counters: Arc<Counters>,
    bounds: Bounds,
}

impl Task {
    async fn run(mut self) {
        let mut messages = VecDeque::new();
        loop {
            let mut found = Vec::new();
            if messages.is_empty() {
                if self.inbox.recv_many(&mut found, self.bounds.batch).await == 0 {
                    return;
                }
                messages.extend(found.drain(..));
            }
            self.linger(&mut messages).await;
            // What is before the first who waits is written, then he is told, and so on.
            let mut batch = Vec::new();
            while batch.len() < self.bounds.batch
                && let Some(Message::Record(_)) = messages.front()
                && let Some(Message::Record(record)) = messages.pop_front()
            {
                batch.push(record);
            }
            if !batch.is_empty() {
                self.write(batch, &mut messages).await;
            }
            let mut waiting: Vec<(bool, oneshot::Sender<Result<()>>)> = Vec::new();
            while let Some(Message::Sync(..)) = messages.front()
                && let Some(Message::Sync(synced, reply)) = messages.pop_front()
            {
                waiting.push((synced, reply));
            }
            if !waiting.is_empty() {
                self.counters.urgent.store(false, Ordering::Release);
                let synced = if waiting.iter().any(|(synced, _)| *synced) {
                    self.store.sync().await
                } else {
                    Ok(())
                };
                for (needs, reply) in waiting {
                    let answer = if needs {
                        synced.as_ref().map(drop).map_err(Clone::clone)
                    } else {
                        Ok(())
                    };
                    // Whoever asked may have gone meanwhile.
                    let _ = reply.send(answer);
                }
            }
        }
    }

    /// Waits a short while for more records, unless somebody waits for these.
    async fn linger(&mut self, messages: &mut VecDeque<Message>) {
        let until = tokio::time::Instant::now() + self.bounds.linger;
        while messages.len() < self.bounds.batch
            && messages.iter().all(|message| matches!(message, Message::Record(_)))
            && !self.counters.urgent.load(Ordering::Acquire)
        {
            tokio::select! {
                () = tokio::time::sleep_until(until) => break,
                () = self.counters.hurry.notified() => {}
            }
        }
        while messages.len() < self.bounds.batch {
            match self.inbox.try_recv() {
                Ok(message) => messages.push_back(message),
                Err(_) => break,
            }
        }
    }

    /// Writes a batch, however long that takes. Those who wait meanwhile are told when it fails.
    async fn write(&mut self, batch: Vec<Record>, messages: &mut VecDeque<Message>) {
        let mut batch = vec![batch];
        let mut pause = PAUSES.0;
        // After a failure nobody knows whether some of them are written: then it is no wonder that
        // ids are taken.
        let mut doubtful = false;
        while let Some(records) = batch.last() {
            let runs: Vec<(&RunRecord, bool)> =
                records.iter().map(|record| (record.run.as_ref(), record.with_payload)).collect();
            match self.store.record_all(&runs, false).await {
                Ok(answers) => {
                    self.counters.failing.store(false, Ordering::Release);
                    let mut refused = 0;
                    for ((run, _), answer) in runs.iter().zip(&answers) {
                        match answer {
                            Err(StoreError::Conflict(_)) if doubtful => {}
                            Err(error) => {
                                tracing::warn!(job = %run.job.id, %error, "a run was not recorded");
                                refused += 1;
                            }
                            Ok(()) => {}
                        }
                    }
                    self.done(batch.pop().unwrap_or_default(), refused);
                }
                // Something in it can't be stored: the others can.
                Err(StoreError::Corrupt(_)) if records.len() > 1 => {
                    let records = batch.pop().unwrap_or_default();
                    batch.extend(records.into_iter().map(|record| vec![record]));
                }
                Err(StoreError::Corrupt(reason)) => {
                    tracing::warn!(reason, "a run was not recorded");
                    self.done(batch.pop().unwrap_or_default(), 1);
                }
                Err(error) => {
                    tracing::warn!(%error, "finished runs can't be written; it is tried again");
                    doubtful = true;
                    self.counters.failing.store(true, Ordering::Release);
                    self.refuse(messages, &error);
                    if self.store.is_closed() {
                        return batch.into_iter().for_each(|records| self.done(records, 0));
                    }
                    tokio::time::sleep(PAUSES.0).await;
                    // Shorter when somebody asks: the database may be back.
                    let _ = tokio::time::timeout(
                        pause.saturating_sub(PAUSES.0),
                        self.counters.hurry.notified(),
                    )
                    .await;
                    pause = (pause * 2).min(PAUSES.1);
                    self.refuse(messages, &error);
                }
            }
        }
    }

    fn done(&self, records: Vec<Record>, refused: u64) {
        for record in &records {
            self.counters.backlog.arrived(record.bytes);
        }
        if refused > 0 {
            self.counters.backlog.drop_records(refused);
        }
    }

    /// Tells those who wait that it failed. Those whose messages are still in the channel are told
    /// later, or lose patience.
    fn refuse(&mut self, messages: &mut VecDeque<Message>, error: &StoreError) {
        for message in std::mem::take(messages) {
            match message {
                Message::Sync(_, reply) => {
                    let _ = reply.send(Err(error.clone()));
                }
                record => messages.push_back(record),
            }
        }
    }
}
