//! What is to be run, and the job that records it. Every job of this host is made here.

use super::origin::Origin;
use crate::clock::Arrival;
use crate::resolve::Deployment;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use wasmill_core::limits::JOB_STARTS;
use wasmill_core::options::RunOptions;
use wasmill_core::queue::RetryPolicy;
use wasmill_core::{JobId, WorkspaceId};
use wasmill_store::{DEFAULT_TAG, Micros, NewJob};

/// Priority of a job that somebody waits for: its caller, or the job that it is part of.
pub(crate) const WAITED_PRIORITY: i16 = 2;

/// A version plus arguments plus where they came from: what is to be run.
pub(crate) struct Invocation {
    /// The id of the run, and of its job.
    pub(crate) id: JobId,
    /// Whose script.
    pub(crate) workspace: WorkspaceId,
    /// Which version.
    pub(crate) version: Arc<Deployment>,
    /// With what: the text of one JSON object.
    pub(crate) args: Bytes,
    /// What started it, and with whose rights.
    pub(crate) origin: Origin,
    /// When, by whom and how often it is run.
    pub(crate) options: QueueOptions,
    /// When it arrived.
    pub(crate) arrival: Arrival,
}

/// How a job is run: what its caller may ask for.
#[derive(Debug, Clone)]
pub(crate) struct QueueOptions {
    /// When it may start.
    pub(crate) run_at: Micros,
    /// Wall-clock limit of one run, when narrower than the version's.
    pub(crate) timeout: Option<Duration>,
    /// Which workers may take it.
    pub(crate) tag: String,
    /// Larger ones are taken first.
    pub(crate) priority: i16,
    /// When it is started again after a run that failed.
    pub(crate) retry: Option<RetryPolicy>,
    /// How often it may be started without that run coming to an end.
    pub(crate) max_attempts: u32,
}

impl QueueOptions {
    /// As a call over HTTP says it, and where that says nothing, its version.
    pub(crate) fn of_call(options: RunOptions, version: &Deployment, created: Micros) -> Self {
        let part = options.parent.is_some() || options.root.is_some();
        Self {
            run_at: options.run_at.unwrap_or(created).max(created),
            timeout: options.timeout,
            tag: options.tag.unwrap_or_else(|| DEFAULT_TAG.into()),
            priority: if part { WAITED_PRIORITY } else { 0 },
            retry: options.retry.or(version.settings.retry).filter(|retry| retry.retries() > 0),
            max_attempts: JOB_STARTS,
        }
    }

    /// As a finished job was told it, at once. Its retries are those of `newest` where another
    /// version runs it.
    pub(crate) fn again(job: &NewJob, newest: Option<&Deployment>, now: Micros) -> Self {
        Self {
            run_at: now,
            timeout: job.timeout,
            tag: job.tag.clone(),
            priority: job.priority,
            retry: newest.map_or(job.retry, |version| version.settings.retry),
            max_attempts: job.max_attempts,
        }
    }
}

impl Invocation {
    /// The job that records this invocation.
    pub(crate) fn into_job(self) -> NewJob {
        let Self { id, workspace, version, args, origin, options, arrival } = self;
        let concurrency = version.concurrency(&workspace, &args);
        let Origin { trigger, user, token, parent, root } = origin;
        NewJob {
            token,
            parent,
            root,
            run_at: options.run_at,
            timeout: options.timeout,
            tag: options.tag,
            priority: options.priority,
            retry: options.retry,
            max_attempts: options.max_attempts,
            concurrency,
            erasure: version.erasure(),
            ..NewJob::new(id, workspace, version.hash, user, trigger, arrival.at, args)
        }
    }
}
