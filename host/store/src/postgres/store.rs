//! The store: which calls are committed together, and what it opens.

use super::assigned_keys::AssignedKeys;
use super::claims::Claims;
use super::connect::{self, Connector};
use super::counts;
use super::db::Db;
use super::depths::Depths;
use super::fault::TxResult;
use super::group_commit::{Bounds, GroupCommit};
use super::migrate;
use super::names::Names;
use super::options::Options;
use super::ready::ReadyGroups;
use super::recorder::{self, Recorder};
use super::shared::Shared;
use super::signals::Wire;
use crate::{Completion, NewJob, Result, Retry, RunEnd, RunRecord};
use futures_util::FutureExt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use tokio::sync::watch;

/// A store in a PostgreSQL database.
pub struct PostgresStore {
    pub(super) shared: Arc<Shared>,
    pub(super) enqueues: GroupCommit<Arc<NewJob>, ()>,
    pub(super) completions: GroupCommit<Arc<Vec<Completion>>, Vec<bool>>,
    pub(super) retries: GroupCommit<Arc<Vec<Retry>>, Vec<bool>>,
    /// Records whose callers wait.
    pub(super) records: GroupCommit<Arc<RunRecord>, ()>,
    /// Records whose callers don't.
    pub(super) recorder: Recorder,
    pub(super) depth_looks: GroupCommit<i64, u64>,
}

impl PostgresStore {
    /// Opens the store in a database, which is brought to this program's schema. To be called
    /// within a tokio runtime, on which the store's own tasks run.
    ///
    /// # Errors
    /// `Unavailable` when the database can't be reached, is not wasmill's, or belongs to a program
    /// that is too new.
    pub async fn open(options: &Options) -> Result<Self> {
        let pool = connect::pool(options)?;
        migrate::migrate(&pool).await?;
        let outbox = watch::Sender::new(0);
        let node = RandomState::new().build_hasher().finish();
        let wire = Wire::open(Connector::new(options)?, node, outbox.clone()).await;
        let shared = Arc::new(Shared {
            pool,
            verb_timeout: options.verb_timeout,
            outbox,
            wire,
            names: Names::default(),
            depths: Depths::default(),
            ready_groups: ReadyGroups::default(),
            claims: Claims::default(),
            assigned_keys: AssignedKeys::default(),
            // Any number will do that no other process begins with too.
            last: AtomicI64::new(node as i64),
        });
        let lanes =
            |lanes: usize, weight: usize| Bounds { lanes, weight, patience: options.verb_timeout };
        let bounds = recorder::Bounds {
            channel: options.channel,
            bytes: options.record_bytes,
            batch: options.batch,
            linger: options.linger,
            patience: options.verb_timeout,
        };
        Ok(Self {
            enqueues: Self::group_commit(
                &shared,
                lanes(options.lanes, options.batch_bytes),
                weight_of_job,
                |shared, jobs| async move { shared.enqueue_each(&jobs).await }.boxed(),
            ),
            completions: Self::group_commit(
                &shared,
                lanes(options.lanes, options.batch_bytes),
                weight_of_completions,
                |shared, calls| {
                    async move { shared.complete_all(&calls).await.map(counts::each) }.boxed()
                },
            ),
            retries: Self::group_commit(
                &shared,
                lanes(1, options.batch_bytes),
                weight_of_retries,
                |shared, calls| {
                    async move { shared.retry_all(&calls).await.map(counts::each) }.boxed()
                },
            ),
            records: Self::group_commit(
                &shared,
                lanes(options.lanes, options.batch_bytes),
                weight_of_record,
                |shared, runs| {
                    async move {
                        let runs: Vec<(&RunRecord, bool)> =
                            runs.iter().map(|run| (run.as_ref(), !run.end.deleted)).collect();
                        shared.record_all(&runs, true).await
                    }
                    .boxed()
                },
            ),
            depth_looks: Self::group_commit(
                &shared,
                lanes(1, options.batch),
                |_| 1,
                |shared, workspaces| {
                    async move { shared.look_up_depths(&workspaces).await.map(counts::each) }
                        .boxed()
                },
            ),
            recorder: Recorder::new(Arc::clone(&shared), bounds),
            shared,
        })
    }

    /// Commits calls of one sort together.
    fn group_commit<I, O, W>(
        shared: &Arc<Shared>,
        bounds: Bounds,
        weigh: fn(&I) -> usize,
        work: W,
    ) -> GroupCommit<I, O>
    where
        I: Clone + Send + 'static,
        O: Send + 'static,
        W: Fn(
                Arc<Shared>,
                Vec<I>,
            ) -> futures_util::future::BoxFuture<'static, Result<Vec<Result<O>>>>
            + Send
            + Sync
            + 'static,
    {
        let shared = Arc::clone(shared);
        GroupCommit::new(bounds, weigh, move |items| work(Arc::clone(&shared), items))
    }

    /// Waits until what was recorded before is written.
    pub(super) async fn recorded(&self) -> Result<()> {
        match self.recorder.has_pending() {
            true => self.recorder.settle(false).await,
            false => Ok(()),
        }
    }

    /// Closes every connection. Every verb after it is `Unavailable`.
    pub fn close(&self) {
        self.shared.pool.close();
    }

    /// How many records were kept without arguments, result and log because records came too fast.
    pub fn dropped_payloads(&self) -> u64 {
        self.recorder.dropped_payloads()
    }

    /// Forgets the workspaces' passes and how many jobs they have, as a process that ends does.
    #[cfg(test)]
    pub(crate) fn forget(&self) {
        self.shared.claims.forget_shares();
        self.shared.depths.forget();
    }
}

impl PostgresStore {
    /// See [`Shared::statement`].
    pub(super) async fn statement<T, F, W>(&self, work: F) -> Result<T>
    where
        F: Fn(Arc<Db>) -> W,
        W: Future<Output = TxResult<T>>,
    {
        self.shared.statement(work).await
    }

    /// See [`Shared::transaction`].
    pub(super) async fn transaction<T, F, W>(&self, work: F) -> Result<T>
    where
        F: Fn(Arc<Db>) -> W,
        W: Future<Output = TxResult<T>>,
    {
        self.shared.transaction(work).await
    }
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore")
            .field("connections", &self.shared.pool.status())
            .finish_non_exhaustive()
    }
}

/// What a row costs beside its payload, bytes.
const ROW: usize = 256;

fn weight_of_job(job: &Arc<NewJob>) -> usize {
    ROW + job.args.len()
}

fn weight_of_end(end: &RunEnd) -> usize {
    ROW + end.result.get().len() + end.log.len()
}

fn weight_of_completions(runs: &Arc<Vec<Completion>>) -> usize {
    runs.iter().map(|run| weight_of_end(&run.end)).sum()
}

fn weight_of_retries(runs: &Arc<Vec<Retry>>) -> usize {
    runs.iter().map(|run| weight_of_end(&run.end)).sum()
}

fn weight_of_record(run: &Arc<RunRecord>) -> usize {
    weight_of_end(&run.end) + run.job.args.len()
}
