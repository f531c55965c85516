//! Filling the next batch: what has arrived, and for finished runs what arrives within a short
//! while.
//!
//! Finished runs don't wake a thread that naps here, for that would cost more than writing them;
//! whoever waits for an answer does.

use super::Writer;
use crate::sqlite::message::Message;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Shortest time between two looks for records, however short they may linger.
const MIN_NAP: Duration = Duration::from_millis(1);

impl Writer {
    /// Fills the batch. False: nobody can send any more.
    pub(super) fn gather(&mut self) -> bool {
        loop {
            // Whoever sends something urgent from here on sets it again.
            self.counters.urgent.store(false, Ordering::Release);
            let open = self.fill();
            if !self.batch.is_empty() {
                break;
            }
            if !open {
                return false;
            }
            match self.deadline() {
                None => {
                    if self.inbox.blocking_recv_many(&mut self.batch, self.options.batch) == 0 {
                        return false;
                    }
                    break;
                }
                // The turn that follows has no messages and does what is due.
                Some(due) if due <= Instant::now() => return true,
                // Records don't wake a thread that waits here, so it looks now and then.
                Some(due) => self.park(due.min(Instant::now() + self.options.linger.max(MIN_NAP))),
            }
        }
        let until = Instant::now() + self.options.linger;
        while self.batch.len() < self.options.batch
            && self.batch.iter().all(Message::is_record)
            && !self.counters.urgent.load(Ordering::Acquire)
            && Instant::now() < until
        {
            self.park(until);
            self.fill();
        }
        self.fill();
        true
    }

    /// When something is to be done although nobody asks for it.
    fn deadline(&self) -> Option<Instant> {
        self.barrier.into_iter().chain(self.scrub).min()
    }

    /// Takes what has arrived. False: nobody can send any more, and nothing is left.
    fn fill(&mut self) -> bool {
        while self.batch.len() < self.options.batch {
            match self.inbox.try_recv() {
                Ok(message) => self.batch.push(message),
                Err(mpsc::error::TryRecvError::Empty) => return true,
                Err(mpsc::error::TryRecvError::Disconnected) => return false,
            }
        }
        true
    }

    fn park(&self, until: Instant) {
        std::thread::park_timeout(until.saturating_duration_since(Instant::now()));
    }
}
