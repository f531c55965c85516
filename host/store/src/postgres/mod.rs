//! The scaled-out back end: PostgreSQL 15 or later, shared by any number of processes.
//!
//! Every verb is one transaction at the level "read committed", many of them one statement. What
//! several processes may do at once is decided by locks on rows, taken in this order: workspace,
//! script or value, webhook, event. A server that is gone makes verbs `Unavailable` within seconds;
//! when it is back, so are they.

mod accounts;
mod back;
mod cancel;
mod claim;
mod connect;
mod counts;
mod db;
mod depths;
mod ends;
mod erase;
mod fault;
mod finish;
mod gather;
mod heads;
mod jobs;
mod list;
mod lookup;
mod migrate;
mod names;
mod nodes;
mod options;
mod outbox;
mod partitions;
mod put;
mod queue;
mod record;
mod rescue;
mod rows;
mod scripts;
mod signals;
mod slots;
#[cfg(test)]
pub(crate) mod tests;
mod uuid;
mod values;

pub use options::Options;

use crate::{Completion, NewJob, Result, Retry, RunEnd, RunRecord};
use deadpool_postgres::Pool;
use futures_util::FutureExt;
use gather::{Bounds, Gather};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// A store in a PostgreSQL database.
pub struct PostgresStore {
    shared: Arc<Shared>,
    enqueues: Gather<Arc<NewJob>, ()>,
    completions: Gather<Arc<Vec<Completion>>, Vec<bool>>,
    retries: Gather<Arc<Vec<Retry>>, Vec<bool>>,
    /// Records whose callers wait.
    records: Gather<Arc<RunRecord>, ()>,
    /// Records whose callers don't.
    recorder: record::Recorder,
    depth_looks: Gather<i64, u64>,
}

/// What the verbs and the tasks beside them have in common.
struct Shared {
    pool: Pool,
    verb_timeout: Duration,
    /// Changes whenever something may be due in the outbox by what some process did.
    outbox: watch::Sender<u64>,
    wire: signals::Wire,
    names: names::Names,
    depths: depths::Depths,
    heads: heads::Heads,
    claims: claim::Claims,
    aliases: ends::Aliases,
    /// The number given out last, see [`Shared::number`].
    last: AtomicI64,
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
        let wire =
            signals::Wire::open(connect::Connector::new(options)?, node, outbox.clone()).await;
        let shared = Arc::new(Shared {
            pool,
            verb_timeout: options.verb_timeout,
            outbox,
            wire,
            names: names::Names::default(),
            depths: depths::Depths::default(),
            heads: heads::Heads::default(),
            claims: claim::Claims::default(),
            aliases: ends::Aliases::default(),
            // Any number will do that no other process begins with too.
            last: AtomicI64::new(node as i64),
        });
        let lanes =
            |lanes: usize, weight: usize| Bounds { lanes, weight, patience: options.verb_timeout };
        let bounds = record::Bounds {
            channel: options.channel,
            bytes: options.record_bytes,
            batch: options.batch,
            linger: options.linger,
            patience: options.verb_timeout,
        };
        Ok(Self {
            enqueues: Self::gather(
                &shared,
                lanes(options.lanes, options.batch_bytes),
                weight_of_job,
                |shared, jobs| async move { shared.enqueue_each(&jobs).await }.boxed(),
            ),
            completions: Self::gather(
                &shared,
                lanes(options.lanes, options.batch_bytes),
                weight_of_completions,
                |shared, calls| {
                    async move { shared.complete_all(&calls).await.map(counts::each) }.boxed()
                },
            ),
            retries: Self::gather(
                &shared,
                lanes(1, options.batch_bytes),
                weight_of_retries,
                |shared, calls| {
                    async move { shared.retry_all(&calls).await.map(counts::each) }.boxed()
                },
            ),
            records: Self::gather(
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
            depth_looks: Self::gather(
                &shared,
                lanes(1, options.batch),
                |_| 1,
                |shared, workspaces| {
                    async move { shared.look_up_depths(&workspaces).await.map(counts::each) }
                        .boxed()
                },
            ),
            recorder: record::Recorder::new(Arc::clone(&shared), bounds),
            shared,
        })
    }

    /// Gathers calls of one sort.
    fn gather<I, O, W>(
        shared: &Arc<Shared>,
        bounds: Bounds,
        weigh: fn(&I) -> usize,
        work: W,
    ) -> Gather<I, O>
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
        Gather::new(bounds, weigh, move |items| work(Arc::clone(&shared), items))
    }

    /// Closes every connection. Every verb after it is `Unavailable`.
    pub fn close(&self) {
        self.shared.pool.close();
    }

    /// How many records were kept without arguments, result and log because records came too fast.
    pub fn dropped_payloads(&self) -> u64 {
        self.recorder.dropped_payloads()
    }

    /// Forgets how far each workspace has come and how many jobs it has, as a process that ends
    /// does.
    #[cfg(test)]
    pub(crate) fn forget(&self) {
        self.shared.claims.forget_shares();
        self.shared.depths.forget();
    }
}

impl Shared {
    /// A number that no other call of any process has.
    fn number(&self) -> i64 {
        self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// True when the store was closed.
    fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore")
            .field("connections", &self.shared.pool.status())
            .finish_non_exhaustive()
    }
}

/// True of text that no column of type text can hold, so that no row has it.
fn unstorable(text: &str) -> bool {
    text.contains('\0')
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

/// The bit pattern of an unsigned number that the schema keeps as a signed one; what doesn't fit is
/// cut to the largest.
fn signed(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// How long a run took, such that its end is a moment too.
fn clamped(end: &RunEnd) -> i64 {
    let longest = i64::MAX.saturating_sub(end.started.max(0));
    crate::model::micros(end.duration).min(longest)
}
