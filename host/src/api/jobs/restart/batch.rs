//! Many jobs restarted, some at a time: what is queued together takes one commit.

use super::super::job::find;
use super::again::{By, again};
use crate::auth::Caller;
use crate::host::Host;
use crate::store_errors::unavailable;
use wasmill_core::problem::Code;
use wasmill_core::{JobId, Problem, WorkspaceId};
use wasmill_store::{NewJob, StoreError};

/// Jobs queued together.
const TOGETHER: usize = 100;
/// Bytes of their arguments, from which on no more are gathered.
const BYTES: usize = 8 << 20;

/// Jobs to be restarted, in the order in which they are given.
pub(super) struct Batch<'a> {
    pub(super) host: &'a Host,
    pub(super) workspace: &'a WorkspaceId,
    caller: &'a Caller,
    gathered: Vec<(JobId, Result<NewJob, Problem>)>,
    bytes: usize,
    /// What became of the jobs: the id of the new job, or why there is no new job.
    pub(super) settled: Vec<(JobId, Result<JobId, Problem>)>,
}

impl<'a> Batch<'a> {
    /// An empty batch.
    pub(super) fn new(host: &'a Host, caller: &'a Caller, workspace: &'a WorkspaceId) -> Self {
        Self { host, workspace, caller, gathered: Vec::new(), bytes: 0, settled: Vec::new() }
    }

    /// Adds a job.
    ///
    /// # Errors
    /// When nothing can be queued now. What was not settled is given up.
    pub(super) async fn add(&mut self, id: JobId, by: By<'_>) -> Result<(), Problem> {
        let fresh = async {
            let job = find(self.host, self.caller, self.workspace, id).await?;
            again(self.host, self.caller, job, by).await.map(|(fresh, _)| fresh)
        };
        let fresh = fresh.await;
        match fresh {
            Err(problem) if is_about_the_host(&problem) => return Err(problem),
            Ok(fresh) => {
                self.bytes += fresh.args.len();
                self.gathered.push((id, Ok(fresh)));
            }
            Err(problem) => self.gathered.push((id, Err(problem))),
        }
        if self.gathered.len() >= TOGETHER || self.bytes >= BYTES {
            self.flush().await
        } else {
            Ok(())
        }
    }

    /// Queues what was gathered.
    ///
    /// # Errors
    /// As of `add`.
    pub(super) async fn flush(&mut self) -> Result<(), Problem> {
        let jobs: Vec<NewJob> =
            self.gathered.iter().filter_map(|(_, fresh)| fresh.clone().ok()).collect();
        let mut together = true;
        if !jobs.is_empty() {
            self.host.queue_bounds.room(self.workspace, true, None).await?;
            match self.host.store.enqueue(jobs).await {
                Ok(()) => self.host.notifier.job_queued(),
                // The version of one of them was deleted meanwhile.
                Err(StoreError::NotFound(_)) => together = false,
                Err(error) => return Err(unavailable(error)),
            }
        }
        self.bytes = 0;
        for (id, fresh) in std::mem::take(&mut self.gathered) {
            let settled = match fresh {
                Ok(fresh) if together => Ok(fresh.id),
                Ok(fresh) => {
                    let new = fresh.id;
                    self.host.store.enqueue(vec![fresh]).await.map(|()| new).map_err(unavailable)
                }
                Err(problem) => Err(problem),
            };
            self.settled.push((id, settled));
        }
        Ok(())
    }
}

/// Whether something is wrong with the host and not with the one job.
fn is_about_the_host(problem: &Problem) -> bool {
    matches!(problem.code, Code::Unavailable | Code::StorageFull)
}
