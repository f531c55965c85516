//! Filling the next batch: what has arrived, and for finished runs what arrives within a short
//! while.
//!
//! Finished runs don't wake a thread that naps here, for that would cost more than writing them;
//! whoever waits for an answer does.

use crate::sqlite::counters::Counters;
use crate::sqlite::message::Message;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Shortest time between two looks for records, however short they may linger.
const MIN_NAP: Duration = Duration::from_millis(1);

/// Where messages arrive, and how many of them make a batch.
pub(super) struct Inbox {
    pub(super) messages: mpsc::Receiver<Message>,
    pub(super) counters: Arc<Counters>,
    /// Messages in a batch at most.
    pub(super) batch: usize,
    /// How long records alone wait for company.
    pub(super) linger: Duration,
}

impl Inbox {
    /// Fills the batch; it stays empty when something is due at `deadline` before anything arrives.
    /// False: nobody can send any more.
    pub(super) fn fill(&mut self, batch: &mut Vec<Message>, deadline: Option<Instant>) -> bool {
        loop {
            // Whoever sends something urgent from here on sets it again.
            self.counters.urgent.store(false, Ordering::Release);
            let open = self.take(batch);
            if !batch.is_empty() {
                break;
            }
            if !open {
                return false;
            }
            match deadline {
                None => {
                    if self.messages.blocking_recv_many(batch, self.batch) == 0 {
                        return false;
                    }
                    break;
                }
                // The turn that follows has no messages and does what is due.
                Some(due) if due <= Instant::now() => return true,
                // Records don't wake a thread that waits here, so it looks now and then.
                Some(due) => park(due.min(Instant::now() + self.linger.max(MIN_NAP))),
            }
        }
        let until = Instant::now() + self.linger;
        while batch.len() < self.batch
            && batch.iter().all(Message::is_record)
            && !self.counters.urgent.load(Ordering::Acquire)
            && Instant::now() < until
        {
            park(until);
            self.take(batch);
        }
        self.take(batch);
        true
    }

    /// Takes what has arrived. False: nobody can send any more, and nothing is left.
    fn take(&mut self, batch: &mut Vec<Message>) -> bool {
        while batch.len() < self.batch {
            match self.messages.try_recv() {
                Ok(message) => batch.push(message),
                Err(mpsc::error::TryRecvError::Empty) => return true,
                Err(mpsc::error::TryRecvError::Disconnected) => return false,
            }
        }
        true
    }
}

fn park(until: Instant) {
    std::thread::park_timeout(until.saturating_duration_since(Instant::now()));
}
