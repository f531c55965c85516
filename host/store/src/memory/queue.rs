//! The queue in memory: the verbs.

use super::store::MemoryStore;
use crate::common::refusals;
use crate::common::system_ends;
use crate::{
    CancelOutcome, Cancellation, Claim, ClaimedJob, Completion, Enqueued, IdempotencyKey, Job,
    JobState, Micros, NewJob, Queue, Result, Retry, Runs, WorkerId,
};
use async_trait::async_trait;
use std::collections::HashSet;
use wasmill_core::queue::state::Event;
use wasmill_core::{JobId, WorkspaceId};

#[async_trait]
impl Queue for MemoryStore {
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<()> {
        let mut state = self.state();
        let mut ids = HashSet::new();
        for job in &jobs {
            state.check_new(job)?;
            if !ids.insert(job.id) {
                return Err(refusals::job_taken(&job.id));
            }
        }
        for job in jobs {
            state.insert(job, 0, JobState::Waiting)?;
        }
        Ok(())
    }

    async fn enqueue_once(&self, key: &IdempotencyKey, job: NewJob) -> Result<Enqueued> {
        let mut state = self.state();
        state.workspace(&job.workspace)?;
        let place = (job.workspace.clone(), key.digest);
        match state.used.get(&place) {
            Some((used, first)) if used.expires > job.created => {
                return Ok(if used.body == key.body {
                    Enqueued::Existing(*first)
                } else {
                    Enqueued::Mismatch
                });
            }
            _ => {}
        }
        state.check_new(&job)?;
        state.used.insert(place, (*key, job.id));
        state.insert(job, 0, JobState::Waiting)?;
        Ok(Enqueued::New)
    }

    async fn purge_idempotency(&self, now: Micros, limit: u32) -> Result<u64> {
        let mut state = self.state();
        let expired = state.used.iter().filter(|(_, (used, _))| used.expires <= now);
        let mut expired: Vec<_> =
            expired.map(|(place, (used, _))| (used.expires, place.1, place.0.clone())).collect();
        expired.sort();
        expired.truncate(limit as usize);
        for (_, digest, workspace) in &expired {
            state.used.remove(&(workspace.clone(), *digest));
        }
        Ok(expired.len() as u64)
    }

    async fn claim(
        &self,
        worker: WorkerId,
        now: Micros,
        limit: u32,
        tags: &[String],
    ) -> Result<Vec<ClaimedJob>> {
        let mut guard = self.state();
        let state = &mut *guard;
        let mut ready: Vec<(WorkspaceId, u32)> = state
            .workspaces
            .keys()
            .map(|workspace| (workspace.clone(), state.settings_of(workspace).weight))
            .collect();
        let mut claimed = Vec::new();
        loop {
            ready.retain(|(workspace, _)| state.next_of(workspace, now, tags).is_some());
            let room = limit.saturating_sub(claimed.len() as u32);
            if room == 0 || ready.is_empty() {
                return Ok(claimed);
            }
            for (workspace, count) in state.shares.plan(&ready, room) {
                let before = claimed.len();
                for _ in 0..count {
                    let next = state.next_of(&workspace, now, tags);
                    let Some(entry) = next.and_then(|key| state.jobs.get_mut(&key)) else { break };
                    entry.worker = Some(worker);
                    entry.job.attempt += 1;
                    entry.go(Event::Claim, JobState::Running(now));
                    let (Job { job, path, attempt, .. }, failures) =
                        (entry.job.clone(), entry.failures());
                    claimed.push(ClaimedJob { job, attempt, failures, path });
                }
                let weight = state.settings_of(&workspace).weight;
                state.shares.charge(&workspace, weight, (claimed.len() - before) as u32);
            }
        }
    }

    async fn adopt(&self, job: NewJob, worker: WorkerId, started: Micros) -> Result<Claim> {
        let mut state = self.state();
        state.check(&job)?;
        let (id, workspace) = (job.id, job.workspace.clone());
        state.insert(job, 1, JobState::Running(started))?;
        if let Some(entry) = state.entry(&workspace, &id) {
            entry.worker = Some(worker);
        }
        Ok(Claim { id, attempt: 1 })
    }

    async fn extend_lease(&self, worker: WorkerId, until: Micros) -> Result<bool> {
        Ok(self.state().leases.insert(worker, until).is_some())
    }

    async fn complete(&self, runs: Vec<Completion>) -> Result<Vec<bool>> {
        let mut state = self.state();
        let finish = |run: Completion| {
            state.held(&run.claim).map(|entry| entry.finish_as(run.end)).is_some()
        };
        Ok(runs.into_iter().map(finish).collect())
    }

    async fn retry(&self, runs: Vec<Retry>) -> Result<Vec<bool>> {
        let mut state = self.state();
        let retry = |run: Retry| {
            let Some(entry) = state.held(&run.claim) else { return false };
            if entry.job.canceled.is_some() {
                entry.finish_as(run.end);
            } else {
                entry.try_again(Event::Retry, run.end, false);
                entry.job.job.run_at = run.run_at;
            }
            true
        };
        Ok(runs.into_iter().map(retry).collect())
    }

    async fn release(&self, worker: WorkerId, jobs: &[Claim]) -> Result<u64> {
        let mut state = self.state();
        let mut released = 0;
        for claim in jobs {
            let Some(entry) = state.held(claim).filter(|entry| entry.worker == Some(worker)) else {
                continue;
            };
            if let (Some(cancellation), JobState::Running(started)) =
                (&entry.job.canceled, &entry.job.state)
            {
                entry.finish(
                    Event::Stop,
                    system_ends::canceled(cancellation, Some(*started), cancellation.at),
                );
                continue;
            }
            entry.worker = None;
            entry.job.attempt -= 1;
            entry.go(Event::Release, JobState::Waiting);
            released += 1;
        }
        Ok(released)
    }

    async fn rescue(&self, now: Micros, everything: bool) -> Result<u64> {
        let mut guard = self.state();
        let state = &mut *guard;
        let mut rescued = 0;
        for entry in state.jobs.values_mut() {
            let Some(worker) = entry.worker else { continue };
            let alive = state.leases.get(&worker).is_some_and(|until| *until >= now);
            let JobState::Running(started) = entry.job.state else {
                continue;
            };
            if alive && !everything {
                continue;
            }
            if let Some(cancellation) = &entry.job.canceled {
                entry.finish(Event::Stop, system_ends::canceled(cancellation, Some(started), now));
            } else if entry.job.attempt - entry.failures() >= entry.job.job.max_attempts {
                let lost = entry.job.attempt - entry.failures();
                entry.finish(Event::Exhaust, system_ends::exhausted(lost, started, now));
            } else {
                entry.try_again(Event::Lose, system_ends::lost(started, now), true);
                rescued += 1;
            }
        }
        state.leases.retain(|_, until| *until >= now && !everything);
        Ok(rescued)
    }

    async fn cancel(
        &self,
        workspace: &WorkspaceId,
        ids: &[JobId],
        cancellation: &Cancellation,
    ) -> Result<Vec<CancelOutcome>> {
        let mut state = self.state();
        let cancel = |id: &JobId| {
            let Some(entry) = state.entry(workspace, id) else {
                return CancelOutcome::NotFound;
            };
            match entry.job.state {
                JobState::Finished(_) => CancelOutcome::AlreadyCompleted,
                JobState::Running(_) => {
                    entry.job.canceled.get_or_insert_with(|| cancellation.clone());
                    CancelOutcome::Running
                }
                JobState::Waiting => {
                    entry.job.canceled = Some(cancellation.clone());
                    entry.finish(
                        Event::Cancel,
                        system_ends::canceled(cancellation, None, cancellation.at),
                    );
                    CancelOutcome::Canceled
                }
            }
        };
        Ok(ids.iter().map(cancel).collect())
    }

    async fn canceled(&self, worker: WorkerId) -> Result<Vec<Claim>> {
        let state = self.state();
        let marked = state
            .jobs
            .values()
            .filter(|entry| entry.worker == Some(worker) && entry.job.canceled.is_some());
        Ok(marked.map(|entry| Claim { id: entry.job.job.id, attempt: entry.job.attempt }).collect())
    }

    async fn queue_depth(&self, workspace: &WorkspaceId) -> Result<u64> {
        let counts = self.counts(workspace).await?;
        Ok(counts.queued + counts.running)
    }

    async fn queue_position(&self, workspace: &WorkspaceId, at: Micros) -> Result<u64> {
        let state = self.state();
        let jobs = state.jobs.values().map(|entry| &entry.job);
        let waiting = jobs.filter(|job| {
            matches!(job.state, JobState::Waiting) && job.job.workspace == *workspace
        });
        Ok(waiting.filter(|job| job.job.run_at < at).count() as u64)
    }

    async fn next_due(&self, tags: &[String]) -> Result<Option<Micros>> {
        let state = self.state();
        let jobs = state.jobs.values().map(|entry| &entry.job);
        let waiting = jobs.filter(|job| matches!(job.state, JobState::Waiting));
        let fitting = waiting
            .filter(|job| tags.is_empty() || tags.contains(&job.job.tag))
            .filter(|job| state.has_room(&job.job));
        Ok(fitting.map(|job| job.job.run_at).min())
    }
}
