//! The queue and the run records in memory: the verbs.

use super::fits::fits;
use super::keeping::{taken, without_payload};
use super::{Entry, MemoryStore};
use crate::{
    CancelOutcome, Cancellation, Claim, ClaimedJob, Completion, Counts, Enqueued, IdempotencyKey,
    Job, JobAttempt, JobFilter, JobState, Jobs, MAX_LIST, Micros, NewJob, Result, Retry, RunRecord,
    WorkerId, ends,
};
use async_trait::async_trait;
use std::collections::HashSet;
use wasmill_core::queue::state::Event;
use wasmill_core::{JobId, ScriptPath, WorkspaceId};

#[async_trait]
impl Jobs for MemoryStore {
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<()> {
        let mut state = self.state();
        let mut ids = HashSet::new();
        for job in &jobs {
            state.check_new(job)?;
            if !ids.insert(job.id) {
                return Err(taken(&job.id));
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
            .map(|workspace| (workspace.clone(), state.weighed(workspace).weight))
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
                let weight = state.weighed(&workspace).weight;
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

    async fn cancel(
        &self,
        workspace: &WorkspaceId,
        ids: &[JobId],
        by: &str,
        reason: Option<&str>,
        at: Micros,
    ) -> Result<Vec<CancelOutcome>> {
        let mut state = self.state();
        let cancellation =
            Cancellation { by: by.to_owned(), reason: reason.map(str::to_owned), at };
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
                    entry.finish(Event::Cancel, ends::canceled(&cancellation, None, at));
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

    async fn extend_lease(&self, worker: WorkerId, until: Micros) -> Result<bool> {
        Ok(self.state().leases.insert(worker, until).is_some())
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
                entry.finish(Event::Stop, ends::canceled(cancellation, Some(started), now));
            } else if entry.job.attempt - entry.failures() >= entry.job.job.max_attempts {
                let lost = entry.job.attempt - entry.failures();
                entry.finish(Event::Exhaust, ends::exhausted(lost, started, now));
            } else {
                entry.try_again(Event::Lose, ends::lost(started, now), true);
                rescued += 1;
            }
        }
        state.leases.retain(|_, until| *until >= now && !everything);
        Ok(rescued)
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
                    ends::canceled(cancellation, Some(*started), cancellation.at),
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

    async fn attempts(&self, workspace: &WorkspaceId, id: JobId) -> Result<Vec<JobAttempt>> {
        Ok(self
            .state()
            .entry(workspace, &id)
            .map(|entry| entry.attempts.clone())
            .unwrap_or_default())
    }

    async fn purge_runs(
        &self,
        workspace: &WorkspaceId,
        path: Option<&ScriptPath>,
        completed_before: Micros,
        limit: u32,
    ) -> Result<u64> {
        let mut state = self.state();
        let old = |entry: &Entry| {
            let Job { job, path: of, state, .. } = &entry.job;
            job.workspace == *workspace
                && path.is_none_or(|path| path == of)
                && job.created < completed_before
                && matches!(state, JobState::Finished(end) if end.completed() < completed_before)
        };
        let old: Vec<i64> = state
            .jobs
            .iter()
            .filter(|(_, entry)| old(entry))
            .map(|(key, _)| *key)
            .take(limit as usize)
            .collect();
        for key in &old {
            if let Some(entry) = state.jobs.remove(key) {
                state.keys.remove(&entry.job.job.id);
            }
        }
        Ok(old.len() as u64)
    }

    async fn ended(&self, jobs: &[(WorkspaceId, JobId)]) -> Result<Vec<JobId>> {
        let mut state = self.state();
        let mut is_over = |workspace: &WorkspaceId, id: &JobId| {
            state
                .entry(workspace, id)
                .is_none_or(|entry| matches!(entry.job.state, JobState::Finished(_)))
        };
        Ok(jobs
            .iter()
            .filter(|(workspace, id)| is_over(workspace, id))
            .map(|(_, id)| *id)
            .collect())
    }

    fn record(&self, run: RunRecord) -> bool {
        let mut state = self.state();
        if state.record(run).is_err() {
            state.dropped += 1;
        }
        true
    }

    async fn record_durably(&self, run: RunRecord) -> Result<()> {
        self.state().record(run)
    }

    fn dropped_records(&self) -> u64 {
        self.state().dropped
    }

    async fn erase(&self, workspace: &WorkspaceId, ids: &[JobId]) -> Result<u64> {
        let mut state = self.state();
        let erased = ids.iter().filter(|id| state.entry(workspace, id).is_some_and(Entry::erase));
        Ok(erased.count() as u64)
    }

    async fn erase_due(&self, now: Micros, limit: u32) -> Result<u64> {
        let mut state = self.state();
        let due = state
            .jobs
            .iter_mut()
            .filter_map(|(key, entry)| Some((entry.due.filter(|due| *due <= now)?, *key, entry)));
        let mut due: Vec<(Micros, i64, &mut Entry)> = due.collect();
        due.sort_by_key(|(due, key, _)| (*due, *key));
        let erased = due
            .into_iter()
            .take(limit as usize)
            .filter_map(|(_, _, entry)| entry.erase().then_some(()));
        Ok(erased.count() as u64)
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }

    async fn job(&self, workspace: &WorkspaceId, id: JobId) -> Result<Option<Job>> {
        Ok(self.state().entry(workspace, &id).map(|entry| entry.job.clone()))
    }

    async fn list_jobs(&self, workspace: &WorkspaceId, filter: &JobFilter) -> Result<Vec<Job>> {
        let state = self.state();
        let Some((low, high)) = state.cursors(filter) else {
            return Ok(Vec::new());
        };
        let within =
            |key: i64| low.is_none_or(|low| key > low) && high.is_none_or(|high| key < high);
        let jobs = state.jobs.iter().filter(|(key, _)| within(**key)).map(|(_, entry)| &entry.job);
        let mut wanted: Vec<&Job> =
            jobs.filter(|job| job.job.workspace == *workspace && fits(job, filter)).collect();
        if !filter.ascending {
            wanted.reverse();
        }
        wanted.truncate(filter.limit.min(MAX_LIST) as usize);
        Ok(wanted.into_iter().map(|job| without_payload(job, filter.with_args)).collect())
    }

    async fn queue_depth(&self, workspace: &WorkspaceId) -> Result<u64> {
        let counts = self.counts(workspace).await?;
        Ok(counts.queued + counts.running)
    }

    async fn counts(&self, workspace: &WorkspaceId) -> Result<Counts> {
        let state = self.state();
        let mut counts = Counts::default();
        for entry in state.jobs.values().filter(|entry| entry.job.job.workspace == *workspace) {
            match entry.job.state {
                JobState::Waiting => counts.queued += 1,
                JobState::Running(_) => counts.running += 1,
                JobState::Finished(_) => counts.completed += 1,
            }
        }
        Ok(counts)
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
