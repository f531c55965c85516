//! The queue and the run records in memory.

use super::{Entry, MemoryStore, State};
use crate::keys::first_key;
use crate::{
    Claim, ClaimedJob, Completion, Job, JobFilter, JobState, Jobs, MAX_LIST, Micros, NewJob, Result, RunRecord, RunStatus, StoreError,
    WorkerId, exhausted,
};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::value::RawValue;
use std::collections::HashSet;
use wasmill_core::{JobId, WorkspaceId};

#[async_trait]
impl Jobs for MemoryStore {
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<()> {
        let mut state = self.state();
        let mut ids = HashSet::new();
        for job in &jobs {
            state.check(job)?;
            if !ids.insert(job.id) {
                return Err(taken(&job.id));
            }
        }
        for job in jobs {
            state.insert(job, 0, JobState::Waiting)?;
        }
        Ok(())
    }

    async fn claim(&self, worker: WorkerId, now: Micros, limit: u32) -> Result<Vec<ClaimedJob>> {
        let mut state = self.state();
        let due = |entry: &Entry| matches!(entry.job.state, JobState::Waiting) && entry.job.job.run_at <= now;
        let mut waiting: Vec<(Micros, i64, &mut Entry)> =
            state.jobs.iter_mut().filter(|(_, entry)| due(entry)).map(|(key, entry)| (entry.job.job.run_at, *key, entry)).collect();
        waiting.sort_by_key(|(run_at, key, _)| (*run_at, *key));
        let taken = waiting.into_iter().take(limit as usize);
        let claimed = taken.map(|(_, _, entry)| {
            entry.worker = Some(worker);
            entry.job.attempt += 1;
            entry.job.state = JobState::Running(now);
            let Job { job, path, attempt, .. } = entry.job.clone();
            ClaimedJob { job, attempt, path }
        });
        Ok(claimed.collect())
    }

    async fn extend_lease(&self, worker: WorkerId, until: Micros) -> Result<()> {
        self.state().leases.insert(worker, until);
        Ok(())
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
            entry.worker = None;
            if entry.job.attempt >= entry.job.job.max_attempts {
                let end = exhausted(entry.job.attempt, started, now);
                entry.job.state = JobState::Finished(end);
            } else {
                entry.job.state = JobState::Waiting;
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
            if let Some(entry) = state.held(claim)
                && entry.worker == Some(worker)
            {
                entry.worker = None;
                entry.job.attempt -= 1;
                entry.job.state = JobState::Waiting;
                released += 1;
            }
        }
        Ok(released)
    }

    async fn complete(&self, runs: Vec<Completion>) -> Result<Vec<bool>> {
        let mut state = self.state();
        let finish = |run: Completion| match state.held(&run.claim) {
            Some(entry) => {
                entry.worker = None;
                entry.job.state = JobState::Finished(run.end);
                true
            }
            None => false,
        };
        Ok(runs.into_iter().map(finish).collect())
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

    async fn flush(&self) -> Result<()> {
        Ok(())
    }

    async fn job(&self, workspace: &WorkspaceId, id: JobId) -> Result<Option<Job>> {
        let state = self.state();
        let entry = state.keys.get(&id).and_then(|key| state.jobs.get(key));
        let job = entry.map(|entry| &entry.job).filter(|job| job.job.workspace == *workspace);
        Ok(job.cloned())
    }

    async fn list_jobs(&self, workspace: &WorkspaceId, filter: &JobFilter) -> Result<Vec<Job>> {
        let state = self.state();
        let before = match &filter.before {
            Some(id) => match state.keys.get(id) {
                Some(key) => *key,
                None if id.is_native() => id.key(),
                // An id that was never seen and carries no time: nothing is known to be older.
                None => return Ok(Vec::new()),
            },
            None => i64::MAX,
        };
        let newest_first = state.jobs.range(..before).rev().map(|(_, entry)| &entry.job);
        let wanted = newest_first.filter(|job| job.job.workspace == *workspace && fits(job, filter));
        Ok(wanted.take(filter.limit.min(MAX_LIST) as usize).map(without_payload).collect())
    }

    async fn queue_depth(&self, workspace: &WorkspaceId) -> Result<u64> {
        let state = self.state();
        let jobs = state.jobs.values().map(|entry| &entry.job);
        let queued = jobs.filter(|job| is_queued(job) && job.job.workspace == *workspace);
        Ok(queued.count() as u64)
    }

    async fn next_due(&self) -> Result<Option<Micros>> {
        let state = self.state();
        let jobs = state.jobs.values().map(|entry| &entry.job);
        let waiting = jobs.filter(|job| matches!(job.state, JobState::Waiting));
        Ok(waiting.map(|job| job.job.run_at).min())
    }
}

impl State {
    fn check(&self, job: &NewJob) -> Result<()> {
        self.workspace(&job.workspace)?;
        if !self.versions.contains_key(&(job.workspace.clone(), job.version)) {
            return Err(StoreError::NotFound(format!("version {}", job.version)));
        }
        match self.keys.contains_key(&job.id) {
            true => Err(taken(&job.id)),
            false => Ok(()),
        }
    }

    fn insert(&mut self, mut job: NewJob, attempt: u32, state: JobState) -> Result<()> {
        let Some(version) = self.versions.get(&(job.workspace.clone(), job.version)) else {
            return Err(StoreError::NotFound(format!("version {}", job.version)));
        };
        let key = match job.id.is_native() && !self.jobs.contains_key(&job.id.key()) {
            true => job.id.key(),
            false => {
                let mut free = first_key(job.created);
                while self.jobs.contains_key(&free) {
                    free += 1;
                }
                free
            }
        };
        job.max_attempts = job.max_attempts.max(1);
        let (path, kind) = (version.path.clone(), version.kind);
        self.keys.insert(job.id, key);
        let job = Job { job, path, kind, attempt, state };
        self.jobs.insert(key, Entry { job, worker: None });
        Ok(())
    }

    fn record(&mut self, run: RunRecord) -> Result<()> {
        self.check(&run.job)?;
        self.insert(run.job, 1, JobState::Finished(run.end))
    }

    /// The running job of this claim, when it still is held under it.
    fn held(&mut self, claim: &Claim) -> Option<&mut Entry> {
        let entry = self.jobs.get_mut(self.keys.get(&claim.id)?)?;
        let held = entry.worker.is_some() && entry.job.attempt == claim.attempt;
        held.then_some(entry)
    }
}

fn taken(id: &JobId) -> StoreError {
    StoreError::Conflict(format!("job {id} exists already"))
}

fn is_queued(job: &Job) -> bool {
    !matches!(job.state, JobState::Finished(_))
}

fn fits(job: &Job, filter: &JobFilter) -> bool {
    let success = match &job.state {
        JobState::Finished(end) => Some(end.status == RunStatus::Success),
        _ => None,
    };
    filter.path.as_ref().is_none_or(|path| job.path == *path)
        && (filter.success.is_none() || filter.success == success)
        && filter.queued.is_none_or(|queued| queued == is_queued(job))
}

fn without_payload(job: &Job) -> Job {
    let mut job = job.clone();
    job.job.args = Bytes::new();
    if let JobState::Finished(end) = &mut job.state {
        end.result = RawValue::NULL.to_owned();
        end.log = Bytes::new();
    }
    job
}
