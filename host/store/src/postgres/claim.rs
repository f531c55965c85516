//! Taking the next jobs: which workspaces' by their shares, and which of theirs by priority and
//! time.
//!
//! A claim looks where jobs wait, plans how many each workspace is due, and takes them in one
//! transaction that is sent at once, under a lock that all claims have in common: so they find
//! exactly what they should, and never keep each other waiting for longer than the server needs.
//! Only when there are jobs with a concurrency limit among them more has to be asked under that
//! lock. What was taken is read when it is given back.
//!
//! A power cut may undo a claim, which is then made again. And should nobody know what became of
//! one, because the connection broke or the caller went away, the jobs that it took are given back
//! before the next: its number is in their rows.

use super::claims::Claims;
use super::db::get;
use super::fault::{Fault, corrupt};
use super::names::Rows;
use super::ready::ReadyGroup;
use super::rows::{job_columns, names, new_job};
use super::shared::Shared;
use super::take::{Claiming, Due, Found, Taken};
use crate::common::codec;
use crate::{ClaimedJob, Micros, Result, WorkerId};
use std::collections::{BTreeMap, HashMap};
use tokio_postgres::Row;
use wasmill_core::WorkspaceId;
use wasmill_core::queue::fair::WEIGHT;

/// A claim under way. Unless it is known what became of it, what it took is to be given back.
struct Call<'a> {
    claims: &'a Claims,
    claiming: Claiming,
    known: bool,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if !self.known {
            self.claims.lost().push((self.claiming.worker, self.claiming.number));
        }
    }
}

impl Shared {
    /// See [`crate::Queue::claim`].
    pub(super) async fn claim_jobs(
        &self,
        worker: WorkerId,
        now: Micros,
        limit: u32,
        tags: &[String],
    ) -> Result<Vec<ClaimedJob>> {
        let tags = match tags {
            [] => None,
            tags => Some(self.tag_rows(tags).await?),
        };
        self.requeue_lost_claims().await?;
        let claiming = Claiming { worker, number: self.number() };
        let mut call = Call { claims: &self.claims, claiming, known: false };
        let mut taken: Vec<Taken> = Vec::new();
        while taken.len() < limit as usize {
            let limited = self.claims.expects_limited();
            let mut ready_groups = self.ready_groups(limited).await?;
            ready_groups.retain(|ready_group| {
                ready_group.run_at <= now
                    && tags.as_ref().is_none_or(|tags| tags.contains(&ready_group.group.tag))
            });
            if ready_groups.is_empty() {
                break;
            }
            let room = limit.saturating_sub(u32::try_from(taken.len()).unwrap_or(u32::MAX));
            let ready = self.ready(&ready_groups, now).await?;
            let shares = self.claims.shares().clone();
            let due = self.due(&ready, room);
            let found = match limited {
                true => self.take_limited(claiming, now, &due, &ready_groups).await?,
                false => self.take_plain(claiming, now, &due, &ready_groups).await?,
            };
            if found.limited {
                // Not all that seemed to be ready are: it is to be looked at more closely.
                *self.claims.shares() = shares;
                self.claims.saw_limited();
                continue;
            }
            let is_over = self.charge(&due, &found) && due.len() == ready.len();
            let took = !found.taken.is_empty();
            taken.extend(found.taken);
            if (is_over || !took) && !found.again {
                break;
            }
        }
        let claimed = self.claimed(&taken).await?;
        call.known = true;
        Ok(claimed)
    }

    /// The workspaces with jobs that may start, and their weights.
    async fn ready(
        &self,
        ready_groups: &[ReadyGroup],
        now: Micros,
    ) -> Result<Vec<(WorkspaceId, i64, u32)>> {
        let free = ready_groups
            .iter()
            .filter(|ready_group| ready_group.free_at.is_some_and(|at| at <= now));
        let weights: BTreeMap<i64, i64> =
            free.map(|ready_group| (ready_group.group.workspace, ready_group.weight)).collect();
        let names = Rows { workspaces: weights.keys().copied().collect(), ..Rows::default() };
        self.shown(&names, |shown| {
            let named = weights
                .iter()
                .filter_map(|(row, weight)| Some((shown.workspaces.get(row)?, *row, *weight)));
            Ok(named
                .map(|(name, row, weight)| {
                    (name.clone(), row, u32::try_from(weight).unwrap_or(WEIGHT))
                })
                .collect())
        })
        .await
    }

    /// How many jobs each workspace is due.
    fn due(&self, ready: &[(WorkspaceId, i64, u32)], room: u32) -> Vec<Due> {
        if ready.is_empty() {
            return Vec::new();
        }
        let rows: HashMap<&WorkspaceId, (i64, u32)> =
            ready.iter().map(|(name, row, weight)| (name, (*row, *weight))).collect();
        let weights: Vec<(WorkspaceId, u32)> =
            ready.iter().map(|(name, _, weight)| (name.clone(), *weight)).collect();
        let plan = self.claims.shares().plan(&weights, room);
        let due = plan.into_iter().filter_map(|(name, count)| {
            let (workspace, weight) = *rows.get(&name)?;
            Some(Due { workspace, name, weight, count })
        });
        due.collect()
    }

    /// Charges workspaces for what they were given. True when each of them was due more.
    fn charge(&self, due: &[Due], found: &Found) -> bool {
        let mut counts: HashMap<i64, u32> = HashMap::new();
        for job in &found.taken {
            *counts.entry(job.workspace).or_default() += 1;
        }
        let mut shares = self.claims.shares();
        let mut all_over = true;
        for due in due {
            let count = counts.get(&due.workspace).copied().unwrap_or(0);
            shares.charge(&due.name, due.weight, count);
            all_over &= count < due.count;
        }
        all_over
    }

    /// Reads what was taken, in the order in which it was.
    async fn claimed(&self, taken: &[Taken]) -> Result<Vec<ClaimedJob>> {
        if taken.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<i64> = taken.iter().map(|job| job.key).collect();
        let sql = format!("SELECT {} FROM job j WHERE j.id = ANY ($1)", job_columns(true));
        let (keys, sql) = (&keys, &sql);
        let rows = self.statement(move |db| async move { db.rows(sql, &[&keys]).await }).await?;
        let names = names(&rows).map_err(Fault::into_error)?;
        self.shown(&names, |shown| {
            let mut by_key: HashMap<i64, &Row> = HashMap::with_capacity(rows.len());
            for row in &rows {
                by_key.insert(get(row, 0)?, row);
            }
            let mut claimed = Vec::with_capacity(taken.len());
            for job in taken {
                let row = by_key
                    .get(&job.key)
                    .ok_or_else(|| corrupt("job", "one that waits is not there"))?;
                let version = shown
                    .versions
                    .get(&get(row, 4)?)
                    .ok_or_else(|| corrupt("job.version", "there is no such row"))?;
                claimed.push(ClaimedJob {
                    job: new_job(row, shown)?,
                    attempt: codec::count(job.attempt),
                    failures: codec::count(job.failures),
                    path: version.path.clone(),
                });
            }
            Ok(claimed)
        })
        .await
        .inspect(|claimed| {
            self.assigned_keys.learn(
                taken.iter().map(|job| job.key).zip(claimed.iter().map(|claimed| &claimed.job.id)),
            )
        })
    }

    /// Gives back what calls took of which nobody knows what became of them.
    async fn requeue_lost_claims(&self) -> Result<()> {
        let lost = self.claims.lost().clone();
        if !lost.is_empty() {
            self.requeue_claims(&lost).await?;
            self.claims.lost().retain(|call| !lost.contains(call));
        }
        Ok(())
    }

    /// The rows of those of these tags that any job had.
    pub(super) async fn tag_rows(&self, tags: &[String]) -> Result<Vec<i64>> {
        let mut rows = Vec::with_capacity(tags.len());
        for tag in tags {
            rows.extend(self.word_row(tag).await?);
        }
        Ok(rows)
    }
}
