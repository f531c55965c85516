//! Writing the records of what ran, synced or not.

use super::insert::{New, Target};
use super::new_jobs::{Placed, put_native, put_rest};
use super::shared::Shared;
use crate::{NewJob, Result, RunRecord, StoreError};

impl Shared {
    /// Writes records of runs that are independent of each other, synced or not.
    pub(super) async fn record_all(
        &self,
        runs: &[(&RunRecord, bool)],
        synced: bool,
    ) -> Result<Vec<Result<()>>> {
        let jobs: Vec<&NewJob> = runs.iter().map(|(run, _)| &run.job).collect();
        let refs = self.refs(&jobs).await?;
        let (mut answers, mut new) =
            (Vec::with_capacity(runs.len()), Vec::with_capacity(runs.len()));
        for ((run, with_payload), refs) in runs.iter().zip(refs) {
            match refs {
                Ok(refs) => {
                    new.push(New {
                        job: &run.job,
                        refs,
                        end: Some(&run.end),
                        with_payload: *with_payload,
                    });
                    answers.push(None);
                }
                Err(error) => answers.push(Some(Err(error))),
            }
        }
        let placed = match synced {
            true => self.put_each(Target::Finished, &new).await?,
            false => self.put_unsynced(&new).await?,
        };
        let mut placed =
            placed.into_iter().zip(&new).map(|(place, new)| place.check(new.job).map(drop));
        Ok(answers
            .into_iter()
            .map(|answer| answer.or_else(|| placed.next()).unwrap_or_else(|| Err(unplaced())))
            .collect())
    }

    async fn put_unsynced(&self, new: &[New<'_>]) -> Result<Vec<Placed>> {
        if new.is_empty() {
            return Ok(Vec::new());
        }
        self.transaction(move |db| async move {
            db.execute("SET LOCAL synchronous_commit = off", &[]).await?;
            let native = put_native(&db, Target::Finished, new).await?;
            put_rest(&db, Target::Finished, new, native).await
        })
        .await
    }

    /// Makes sure that what was committed without being synced is on the disk.
    pub(super) async fn sync(&self) -> Result<()> {
        // A commit that has something to sync takes every earlier one with it: they are in the same
        // log.
        self.statement(move |db| async move {
            db.rows("SELECT pg_logical_emit_message(true, 'wasmill', '')::text", &[]).await
        })
        .await
        .map(drop)
    }
}

/// No answer was found for a record.
fn unplaced() -> StoreError {
    StoreError::Unavailable("a record was not judged".into())
}
