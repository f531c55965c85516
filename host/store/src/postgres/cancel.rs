//! Cancelling jobs that wait, and marking those that run.
//!
//! A job may be on its way from one table to another at that moment. Nobody is waited for then, for
//! claims wait for nobody either: jobs that are in none of the tables are looked for again.

use super::db::{Db, get};
use super::fault::TxResult;
use super::finish::{Held, finish, note_cancellation};
use super::lookup::locate;
use super::rows::id;
use super::shared::Shared;
use super::uuid::Uuid;
use crate::common::codec;
use crate::common::system_ends;
use crate::{CancelOutcome, Cancellation, Claim, Result, RunEnd, StoreError, WorkerId};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use wasmill_core::{JobId, WorkspaceId};

/// How often jobs on their way are looked for, and the time between.
const TRIES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(10);

impl Shared {
    /// See [`crate::Queue::cancel`].
    pub(super) async fn cancel_jobs(
        &self,
        workspace: &WorkspaceId,
        ids: &[JobId],
        why: &Cancellation,
    ) -> Result<Vec<CancelOutcome>> {
        let Some(workspace) = self.workspace_row(workspace).await? else {
            return Ok(vec![CancelOutcome::NotFound; ids.len()]);
        };
        let mut known: HashMap<JobId, CancelOutcome> = HashMap::new();
        let mut left: Vec<JobId> =
            ids.iter().copied().collect::<HashSet<JobId>>().into_iter().collect();
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let writing = self.depths.begin();
            let asked = &left;
            let found = self
                .transaction(move |db| async move {
                    self.cancel_found(&db, workspace, asked, why).await
                })
                .await?;
            let canceled =
                found.iter().filter(|(_, outcome)| *outcome == CancelOutcome::Canceled).count();
            writing.confirm([(workspace, -i64::try_from(canceled).unwrap_or(0))]);
            known.extend(found);
            left.retain(|id| !known.contains_key(id));
            if left.is_empty() {
                // Of one that is named twice, the second look finds it over.
                let mut seen = HashSet::new();
                let outcome =
                    |id: &JobId| match known.get(id).copied().unwrap_or(CancelOutcome::NotFound) {
                        CancelOutcome::Canceled if !seen.insert(*id) => {
                            CancelOutcome::AlreadyCompleted
                        }
                        outcome => outcome,
                    };
                return Ok(ids.iter().map(outcome).collect());
            }
        }
        Err(StoreError::Unavailable(format!(
            "{} jobs that are to be cancelled were held by something else for too long",
            left.len()
        )))
    }

    /// What became of those jobs that are not on their way.
    async fn cancel_found(
        &self,
        db: &Db,
        workspace: i64,
        ids: &[JobId],
        why: &Cancellation,
    ) -> TxResult<Vec<(JobId, CancelOutcome)>> {
        let keys = locate(db, workspace, ids).await?;
        let all: Vec<i64> = keys.iter().flatten().copied().collect();
        let sql = "WITH free AS (SELECT w.workspace, w.id FROM waiting w WHERE w.workspace = $1 AND w.id = ANY ($2) \
            ORDER BY w.id FOR UPDATE SKIP LOCKED) DELETE FROM waiting w USING free f WHERE w.workspace = f.workspace AND w.id = f.id \
            RETURNING w.id, w.workspace, w.script, 0::bigint, w.max_attempts, w.concurrency_key, w.erase_after, w.attempt, w.failures, false";
        let waited = db
            .rows(sql, &[&workspace, &all])
            .await?
            .iter()
            .map(Held::of)
            .collect::<TxResult<Vec<Held>>>()?;
        let end = system_ends::canceled(why, None, why.at);
        let over: Vec<(&Held, &RunEnd)> = waited.iter().map(|held| (held, &end)).collect();
        finish(db, &over).await?;
        self.free(db, waited.iter()).await?;
        let sql = "WITH free AS (SELECT r.id FROM running r WHERE r.workspace = $1 AND r.id = ANY ($2) ORDER BY r.id FOR UPDATE SKIP LOCKED) \
            UPDATE running r SET marked = true FROM free f WHERE r.id = f.id RETURNING r.id";
        let mut outcomes: HashMap<i64, CancelOutcome> = HashMap::new();
        for row in db.rows(sql, &[&workspace, &all]).await? {
            outcomes.insert(get(&row, 0)?, CancelOutcome::Running);
        }
        outcomes.extend(waited.iter().map(|held| (held.key, CancelOutcome::Canceled)));
        let noted: Vec<i64> = outcomes.keys().copied().collect();
        note_cancellation(db, &noted, why).await?;
        for row in db.rows("SELECT id FROM finished WHERE id = ANY ($1)", &[&all]).await? {
            outcomes.entry(get(&row, 0)?).or_insert(CancelOutcome::AlreadyCompleted);
        }
        let found = ids.iter().zip(keys).filter_map(|(id, key)| match key {
            None => Some((*id, CancelOutcome::NotFound)),
            Some(key) => Some((*id, *outcomes.get(&key)?)),
        });
        Ok(found.collect())
    }

    /// A worker's marked jobs.
    pub(super) async fn marked(&self, worker: WorkerId) -> Result<Vec<Claim>> {
        let sql = "SELECT r.id, r.tail, a.uuid, r.attempt FROM running r LEFT JOIN alias a ON a.key = r.id \
            WHERE r.worker = $1 AND r.marked ORDER BY r.id";
        self.statement(move |db| async move {
            let claim = |row: &tokio_postgres::Row| {
                let id = id(get(row, 0)?, get(row, 1)?, get::<Option<Uuid>>(row, 2)?)?;
                Ok(Claim { id, attempt: codec::count(get::<i32>(row, 3)?) })
            };
            db.rows(sql, &[&worker]).await?.iter().map(claim).collect()
        })
        .await
    }
}
