//! The queue and the run records in memory: what the verbs are made of.

use super::state::{Entry, State};
use crate::common::keys::{first_key, own_key};
use crate::common::refusals;
use crate::{
    Claim, Job, JobAttempt, JobFilter, JobState, Micros, NewJob, Result, RunEnd, RunRecord,
    RunStatus,
};
use bytes::Bytes;
use std::cmp::Reverse;
use wasmill_core::queue::state::{Event, leads};
use wasmill_core::{JobId, Runnable, WorkspaceId};

impl Entry {
    /// Moves the job into another state, which must be a transition that there is.
    pub(super) fn go(&mut self, event: Event, to: JobState) {
        let (from, to_state) = (state_of(&self.job.state), state_of(&to));
        debug_assert!(leads(Some(from), event, to_state), "{from:?} {event:?} {to_state:?}");
        self.job.state = to;
    }

    /// Ends a run that a worker reports, or that is over without its worker.
    pub(super) fn finish_as(&mut self, end: RunEnd) {
        let event = match end.status {
            RunStatus::Success => Event::Succeed,
            RunStatus::Failure => Event::Fail,
            RunStatus::Canceled => Event::Stop,
        };
        self.finish(event, end);
    }

    /// Gives the job back to the queue after an attempt that ended so.
    pub(super) fn try_again(&mut self, event: Event, end: RunEnd, lost: bool) {
        let deleted = end.deleted;
        let end = if deleted { end.emptied(true) } else { end };
        self.attempts.push(JobAttempt { attempt: self.job.attempt, end, lost });
        self.worker = None;
        self.go(event, JobState::Waiting);
    }

    /// How many attempts ended with an error.
    pub(super) fn failures(&self) -> u32 {
        self.attempts.iter().filter(|attempt| !attempt.lost).count() as u32
    }

    /// Moves the job to the run records.
    pub(super) fn finish(&mut self, event: Event, end: RunEnd) {
        self.worker = None;
        let deleted = end.deleted;
        self.due = self.job.job.erasure.due(&end);
        self.go(event, JobState::Finished(end));
        if deleted {
            self.empty();
        }
    }

    /// Empties a finished job. False when it is not over, or was emptied before.
    pub(super) fn erase(&mut self) -> bool {
        let has_payload = matches!(&self.job.state, JobState::Finished(end) if !end.deleted);
        if has_payload {
            self.empty();
        }
        has_payload
    }

    fn empty(&mut self) {
        self.due = None;
        self.job.job.args = Bytes::new();
        for attempt in &mut self.attempts {
            attempt.end = attempt.end.clone().emptied(true);
        }
        if let JobState::Finished(end) = &self.job.state {
            self.job.state = JobState::Finished(end.clone().emptied(true));
        }
    }
}

impl State {
    /// Refuses what cannot be queued.
    pub(super) fn check_new(&self, job: &NewJob) -> Result<()> {
        match self.deleted.contains(&(job.workspace.clone(), job.version)) {
            true => Err(refusals::no_version_of(job)),
            false => self.check(job),
        }
    }

    pub(super) fn check(&self, job: &NewJob) -> Result<()> {
        self.workspace(&job.workspace)?;
        if !self.versions.contains_key(&(job.workspace.clone(), job.version)) {
            return Err(refusals::no_version_of(job));
        }
        match self.keys.contains_key(&job.id) {
            true => Err(refusals::job_taken(&job.id)),
            false => Ok(()),
        }
    }

    pub(super) fn insert(&mut self, mut job: NewJob, attempt: u32, state: JobState) -> Result<()> {
        let Some(version) = self.versions.get(&(job.workspace.clone(), job.version)) else {
            return Err(refusals::no_version_of(&job));
        };
        let key = match own_key(&job.id, job.created).filter(|key| !self.jobs.contains_key(key)) {
            Some(key) => key,
            None => {
                let mut free = first_key(job.created);
                while self.jobs.contains_key(&free) {
                    free += 1;
                }
                free
            }
        };
        job.max_attempts = job.max_attempts.max(1);
        let Runnable::Module { kind, .. } = version.runnable;
        let path = version.path.clone();
        self.keys.insert(job.id, key);
        let due = match &state {
            JobState::Finished(end) => job.erasure.due(end),
            _ => None,
        };
        let job = Job { job, path, kind, attempt, canceled: None, state };
        self.jobs.insert(key, Entry { job, worker: None, attempts: Vec::new(), due });
        Ok(())
    }

    pub(super) fn record(&mut self, run: RunRecord) -> Result<()> {
        self.check(&run.job)?;
        let RunRecord { mut job, mut end } = run;
        if end.deleted {
            job.args = Bytes::new();
            end = end.emptied(true);
        }
        self.insert(job, 1, JobState::Finished(end))
    }

    /// How many jobs of a key run.
    fn running(&self, key: i64) -> u32 {
        let jobs = self.jobs.values().map(|entry| &entry.job);
        let running = jobs.filter(|job| matches!(job.state, JobState::Running(_)));
        running.filter(|job| job.job.concurrency.is_some_and(|limit| limit.key == key)).count()
            as u32
    }

    /// False when as many jobs of its key run as may run beside it.
    pub(super) fn has_room(&self, job: &NewJob) -> bool {
        job.concurrency.is_none_or(|limit| self.running(limit.key) < limit.limit)
    }

    /// Which of a workspace's jobs is next, passing over those whose concurrency limit is reached.
    pub(super) fn next_of(
        &self,
        workspace: &WorkspaceId,
        now: Micros,
        tags: &[String],
    ) -> Option<i64> {
        let due = |entry: &Entry| {
            let Job { job, state, .. } = &entry.job;
            job.workspace == *workspace
                && matches!(state, JobState::Waiting)
                && job.run_at <= now
                && (tags.is_empty() || tags.contains(&job.tag))
                && self.has_room(job)
        };
        let due = self.jobs.iter().filter(|(_, entry)| due(entry));
        due.min_by_key(|(key, entry)| {
            (Reverse(entry.job.job.priority), entry.job.job.run_at, **key)
        })
        .map(|(key, _)| *key)
    }

    /// A job of this workspace.
    pub(super) fn entry(&mut self, workspace: &WorkspaceId, id: &JobId) -> Option<&mut Entry> {
        let entry = self.jobs.get_mut(self.keys.get(id)?)?;
        (entry.job.job.workspace == *workspace).then_some(entry)
    }

    /// The running job of this claim, when it still is held under it.
    pub(super) fn held(&mut self, claim: &Claim) -> Option<&mut Entry> {
        let entry = self.jobs.get_mut(self.keys.get(&claim.id)?)?;
        let held = entry.worker.is_some() && entry.job.attempt == claim.attempt;
        held.then_some(entry)
    }

    /// The keys that a filter's cursors stand for. `None`: one was never seen and carries no time,
    /// so that nothing is known to lie beyond it.
    pub(super) fn cursors(&self, filter: &JobFilter) -> Option<(Option<i64>, Option<i64>)> {
        let key =
            |id: &JobId| self.keys.get(id).copied().or_else(|| id.is_native().then(|| id.key()));
        let after = match &filter.after {
            Some(id) => Some(key(id)?),
            None => None,
        };
        let before = match &filter.before {
            Some(id) => Some(key(id)?),
            None => None,
        };
        Some((after, before))
    }
}

fn state_of(state: &JobState) -> wasmill_core::queue::state::State {
    use wasmill_core::queue::state::State as QueueState;
    match state {
        JobState::Waiting => QueueState::Waiting,
        JobState::Running(_) => QueueState::Running,
        JobState::Finished(end) => match end.status {
            RunStatus::Success => QueueState::Success,
            RunStatus::Failure => QueueState::Failure,
            RunStatus::Canceled => QueueState::Canceled,
        },
    }
}

/// A job as lists show it.
pub(super) fn without_payload(job: &Job, with_args: bool) -> Job {
    let mut job = job.clone();
    if !with_args {
        job.job.args = Bytes::new();
    }
    if let JobState::Finished(end) = job.state {
        let deleted = end.deleted;
        job.state = JobState::Finished(end.emptied(deleted));
    }
    job
}
