//! Telling of a full disk: a batch is refused again and again then, and what is logged may end up
//! on that very disk.

use crate::sqlite::fault::Failure;
use std::time::{Duration, Instant};

/// Least time between two remarks.
const PERIOD: Duration = Duration::from_secs(10);

/// Whether there is room on the disk, as far as it was said.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// When it was last said that there is none.
    said: Option<Instant>,
}

impl Room {
    /// A batch was rolled back.
    pub(super) fn refused(&mut self, failure: &Failure) {
        match failure {
            Failure::Full(_) if self.said.is_some_and(|said| said.elapsed() < PERIOD) => {}
            Failure::Full(reason) => {
                tracing::warn!(%reason, "the disk is full: changes are refused until there is room; reading goes on");
                self.said = Some(Instant::now());
            }
            _ => tracing::warn!(reason = failure.text(), "a batch of changes was rolled back"),
        }
    }

    /// A batch was stored.
    pub(super) fn granted(&mut self) {
        // Not at once: small batches may find room where others do not.
        if self.said.is_some_and(|said| said.elapsed() >= PERIOD) {
            tracing::info!("there is room on the disk again");
            self.said = None;
        }
    }
}
