//! The run records in memory, and jobs read back: the verbs.

use super::fits::fits;
use super::jobs::without_payload;
use super::state::Entry;
use super::store::MemoryStore;
use crate::{
    Counts, Job, JobAttempt, JobFilter, JobState, MAX_LIST, Micros, Result, RunRecord, Runs,
};
use async_trait::async_trait;
use wasmill_core::{JobId, ScriptPath, WorkspaceId};

#[async_trait]
impl Runs for MemoryStore {
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

    async fn attempts(&self, workspace: &WorkspaceId, id: JobId) -> Result<Vec<JobAttempt>> {
        Ok(self
            .state()
            .entry(workspace, &id)
            .map(|entry| entry.attempts.clone())
            .unwrap_or_default())
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
}
