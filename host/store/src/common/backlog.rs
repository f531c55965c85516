//! Finished runs on their way to a store that nobody waits for: how much of them is kept when
//! they come faster than they can be written, and how many were dropped.
//!
//! When room is short, payloads (arguments, result and log) are dropped first, then whole records.

use crate::RunRecord;
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Time between two warnings about dropped records.
const WARN_PERIOD: Duration = Duration::from_secs(10);

/// A finished run on its way.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) run: Box<RunRecord>,
    /// False: only the fact of the run is kept.
    pub(crate) with_payload: bool,
    /// Bytes of the payload, as they were counted when the record was sent.
    pub(crate) bytes: usize,
}

/// The records that are sent and not yet written, and those that were dropped.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    pending: AtomicUsize,
    /// Payload bytes of the pending records.
    pending_bytes: AtomicUsize,
    dropped_records: AtomicU64,
    dropped_payloads: AtomicU64,
    warned: Mutex<Warned>,
}

/// The last warning, and the numbers that it told.
#[derive(Debug, Default)]
struct Warned {
    at: Option<Instant>,
    records: u64,
    payloads: u64,
}

impl Backlog {
    /// Sends a finished run without waiting: with its payload while there is room, without it when
    /// less than a quarter of the channel is free or more than `most_bytes` of payloads are
    /// pending, and not at all when the channel is full. False: the record was dropped.
    pub(crate) fn send<M>(
        &self,
        inbox: &mpsc::Sender<M>,
        mut run: RunRecord,
        most_bytes: usize,
        message: impl FnOnce(Record) -> M,
    ) -> bool {
        if run.end.deleted {
            // Gone before it can get anywhere.
            run = without_payload(run);
        }
        let payload = run.job.args.len() + run.end.result.get().len() + run.end.log.len();
        let pending = self.pending_bytes.load(Ordering::Acquire);
        let is_short = inbox.capacity() < inbox.max_capacity().div_ceil(4)
            || pending.saturating_add(payload) > most_bytes;
        let bytes = if is_short { 0 } else { payload };
        if is_short {
            run = without_payload(run);
        }
        let loses_payload = is_short && !run.end.deleted;
        let with_payload = !is_short && !run.end.deleted;
        let record = Record { run: Box::new(run), with_payload, bytes };
        // Counted before it is sent, so that whoever saw this return finds the record pending or
        // written.
        self.pending_bytes.fetch_add(bytes, Ordering::AcqRel);
        self.pending.fetch_add(1, Ordering::AcqRel);
        let sent = inbox.try_send(message(record)).is_ok();
        if !sent {
            self.arrived(bytes);
            self.drop_records(1);
        } else if loses_payload {
            self.dropped_payloads.fetch_add(1, Ordering::Relaxed);
            self.warn(false);
        }
        sent
    }

    /// True when records are on their way.
    pub(crate) fn has_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire) > 0
    }

    /// Takes a record out of those that are on their way: it is written, or was dropped.
    pub(crate) fn arrived(&self, bytes: usize) {
        self.pending_bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.pending.fetch_sub(1, Ordering::AcqRel);
    }

    /// Counts records that were dropped, and warns of them.
    pub(crate) fn drop_records(&self, records: u64) {
        self.refuse_records(records);
        self.warn(false);
    }

    /// Counts records that were refused, of which somebody else tells.
    pub(crate) fn refuse_records(&self, records: u64) {
        self.dropped_records.fetch_add(records, Ordering::Relaxed);
    }

    /// How many records were dropped or refused.
    pub(crate) fn dropped_records(&self) -> u64 {
        self.dropped_records.load(Ordering::Relaxed)
    }

    /// How many records were kept without their payload because room was short.
    pub(crate) fn dropped_payloads(&self) -> u64 {
        self.dropped_payloads.load(Ordering::Relaxed)
    }

    /// Warns of drops that no warning has told of: the first at once, later ones once in a period
    /// unless `at_once` is set.
    pub(crate) fn warn(&self, at_once: bool) {
        let (records, payloads) = (self.dropped_records(), self.dropped_payloads());
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = at_once || warned.at.is_none_or(|at| at.elapsed() >= WARN_PERIOD);
        if !is_due || (records, payloads) == (warned.records, warned.payloads) {
            return;
        }
        tracing::warn!(
            records = records.saturating_sub(warned.records),
            payloads = payloads.saturating_sub(warned.payloads),
            "so many runs were not recorded, or without arguments, result and log: they finish faster than they can be, or the disk is full"
        );
        *warned = Warned { at: Some(Instant::now()), records, payloads };
    }
}

/// The record without arguments, result and log.
fn without_payload(run: RunRecord) -> RunRecord {
    let RunRecord { mut job, end } = run;
    job.args = Bytes::new();
    let deleted = end.deleted;
    RunRecord { job, end: end.emptied(deleted) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{end, id, job, module_of, workspace};
    use crate::{RunEnd, RunStatus};

    fn run(n: u16) -> RunRecord {
        let job = job(id(n), &workspace("one"), module_of("x"));
        RunRecord { job, end: end(RunStatus::Success, "1") }
    }

    #[tokio::test]
    async fn payloads_are_dropped_before_records() {
        let (backlog, (inbox, mut sent)) = (Backlog::default(), mpsc::channel(4));
        let send = |run: RunRecord| backlog.send(&inbox, run, usize::MAX, |record| record);
        assert!((0..4).all(|n| send(run(n))));
        assert!(!send(run(4)));
        assert!(backlog.has_pending());
        assert_eq!((backlog.dropped_records(), backlog.dropped_payloads()), (1, 0));
        for _ in 0..4 {
            let record = sent.recv().await.unwrap();
            assert!(record.with_payload && record.bytes > 0);
            backlog.arrived(record.bytes);
        }
        assert!(!backlog.has_pending());
    }

    #[tokio::test]
    async fn too_many_bytes_cost_the_payload() {
        let (backlog, (inbox, mut sent)) = (Backlog::default(), mpsc::channel(64));
        let secret = RunRecord { end: RunEnd { deleted: true, ..run(2).end }, ..run(2) };
        for run in [run(1), secret] {
            assert!(backlog.send(&inbox, run, 3, |record| record));
            let Record { run, with_payload, bytes } = sent.recv().await.unwrap();
            assert!(!with_payload && bytes == 0);
            assert!(run.job.args.is_empty() && run.end.log.is_empty());
        }
        // What was to be deleted anyway is no loss.
        assert_eq!((backlog.dropped_records(), backlog.dropped_payloads()), (0, 1));
    }
}
