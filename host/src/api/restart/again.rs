//! From a finished job to the job that runs it again.

use crate::clock;
use crate::host::Host;
use crate::resolve::{Deployment, Target};
use crate::serve::auth::Caller;
use crate::values;
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmill_core::Problem;
use wasmill_core::problem::Code;
use wasmill_core::scope::Need;
use wasmill_core::wire::RerunOptions;
use wasmill_store::{Job, JobState, NewJob, Trigger};

/// Which version runs it.
#[derive(Clone, Copy)]
pub(super) enum By<'a> {
    /// The one that ran it before.
    SameVersion,
    /// As it is said for its path, else the same.
    Options(&'a BTreeMap<String, RerunOptions>),
}

impl By<'_> {
    fn newest(self, path: &str) -> bool {
        match self {
            By::SameVersion => false,
            By::Options(options) => {
                options.get(path).is_some_and(|options| options.use_latest_version)
            }
        }
    }
}

/// The job that runs this one again, and its version. It belongs to who asks for it, and what the
/// job was told about how to be run, it is told as well.
///
/// # Errors
/// 403 without the right to run the script or to what the arguments refer to, 409 when the job is
/// not over, 410 when its arguments were erased or its version was deleted.
pub(super) async fn again(
    host: &Host,
    caller: &Caller,
    job: Job,
    by: By<'_>,
) -> Result<(NewJob, Arc<Deployment>), Problem> {
    let Job { job, path, state, .. } = job;
    let (id, workspace) = (job.id, job.workspace.clone());
    caller.require(&workspace, &Need::run_script(path.as_str()))?;
    let JobState::Finished(end) = state else {
        return Err(Problem::new(
            Code::Conflict,
            format!("The job {id} is not over yet; what waits or runs cannot be restarted"),
        ));
    };
    // Of a run that was recorded while there was no room they are missing as well.
    let args = if end.deleted { "" } else { std::str::from_utf8(&job.args).unwrap_or_default() };
    if args.is_empty() {
        return Err(Problem::new(
            Code::Gone,
            format!("The arguments of the job {id} were erased, so that it cannot be run again"),
        ));
    }
    values::require(caller, &workspace, args)?;
    let newest = by.newest(path.as_str());
    let target = if newest { Target::Path(path) } else { Target::Hash(job.version) };
    let version = host.resolver.resolve(&*host.store, &workspace, &target).await?;
    let new = host.ids.next().map_err(|error| {
        tracing::error!(%error, "no randomness for a job id");
        Problem::internal()
    })?;
    let now = clock::now();
    let fresh = NewJob {
        id: new,
        version: version.hash,
        created_by: caller.user.to_string(),
        token: Some(caller.digest),
        trigger: Trigger::Manual,
        created: now,
        run_at: now,
        retry: if newest { version.settings.retry } else { job.retry },
        concurrency: version.concurrency(&workspace, args),
        erasure: version.erasure(),
        awaited: false,
        ..job
    };
    Ok((fresh, version))
}
