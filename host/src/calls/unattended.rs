//! Runs that may go on without their caller: each in a task of its own, which its caller watches.
//!
//! When the caller hangs up or its longest wait is over, the run becomes a job of this host's
//! worker while it is running: from then on it is found, followed, cancelled, fenced and rescued
//! like any other. Until then nothing of it is stored.

use super::execute::{Admitted, Begun, Execution, Wait, late};
use crate::host::Host;
use crate::jobs::worker::{self, Held};
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::oneshot;
use wasmill_core::{JobId, Problem, Unattended};
use wasmill_sandbox::Run;
use wasmill_store::StoreError;

/// Tells the caller, who may be gone.
type Caller = oneshot::Sender<Result<Execution, Problem>>;

/// Runs it. Dropping this future tells the run that its caller hung up.
///
/// # Errors
/// 503 when the engine has no room for another instance; nothing was started then.
pub(super) async fn execute(admitted: Admitted, host: &Arc<Host>) -> Result<Execution, Problem> {
    let (caller, answer) = oneshot::channel();
    host.unattended.spawn(attend(host.clone(), admitted, caller));
    answer.await.unwrap_or_else(|_| Err(Problem::internal()))
}

/// Takes the note of a running job back, whatever happens.
struct Noted<'h>(&'h Host, JobId);

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.0.running.end(self.1);
    }
}

async fn attend(host: Arc<Host>, admitted: Admitted, mut caller: Caller) {
    let (on_sync_timeout, on_hang_up) =
        (admitted.version().settings.on_sync_timeout, admitted.version().settings.on_hang_up);
    let cancel = host.running.begin(admitted.id(), admitted.log().clone(), &host.stop.ending);
    let _noted = Noted(&host, admitted.id());
    let mut begun = admitted.begin(&host, cancel).await;
    let mut run = pin!(begun.run(&host));
    let wait = host.settings.limits.sync_wait;
    let is_late = tokio::select! {
        biased;
        done = &mut run => return tell(caller, begun.over(done)).await,
        () = caller.closed() => false,
        () = tokio::time::sleep(wait) => true,
    };
    let goes_on = if is_late { on_sync_timeout } else { on_hang_up } == Unattended::Continue;
    if !goes_on {
        // Without a caller the record, dropped with its job in it, notes that.
        return if is_late {
            tell(caller, Ok(begun.late(Wait::Late, wait))).await
        };
    }
    let mut done = None;
    let adopted = {
        let mut adopting = pin!(adopt(&host, &mut begun));
        loop {
            tokio::select! {
                biased;
                adopted = &mut adopting => break adopted,
                run = &mut run, if done.is_none() => done = Some(run),
            }
        }
    };
    let held = match adopted {
        Ok(adopted) => adopted,
        Err(error) => {
            tracing::error!(%error, "a run could not go on as a job and is cancelled");
            return if is_late {
                tell(caller, Ok(begun.late(Wait::Late, wait))).await
            };
        }
    };
    let log = begun.record.log().clone();
    if is_late {
        let Begun { record, waited, .. } = begun;
        let _ = caller.send(Ok(late(record, Wait::GoesOn, waited, wait)));
    }
    let done: Run = match done {
        Some(done) => done,
        None => run.await,
    };
    worker::finish(&host, held, done, &log).await;
}

/// Makes the run a job. What could not be is still the record's to note.
async fn adopt(host: &Host, begun: &mut Begun) -> Result<Held, StoreError> {
    let Some(job) = begun.record.job.clone() else {
        return Err(StoreError::Unavailable("the run was recorded already".into()));
    };
    let started = job.created;
    let claim = host.store.adopt((*job).clone(), host.worker, started).await?;
    host.running.hold(job.id, &job.workspace);
    begun.record.job = None;
    Ok(Held { claim, job: *job, failures: 0, started })
}

/// Gives the caller the run; when the caller is gone, the run is recorded as it ended.
async fn tell(caller: Caller, execution: Result<Execution, Problem>) {
    if let Err(Ok(execution)) = caller.send(execution) {
        execution.record().await;
    }
}
