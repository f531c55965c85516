//! How a caller's wait for a run ended.

use super::execution::Execution;
use std::time::Duration;
use wasmill_sandbox::Run;

/// How a caller's wait for a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// With the run.
    Ended,
    /// Before the run, which took too long and was cut off.
    Late,
    /// Before the run, which took too long and goes on as a job.
    GoesOn,
}

/// A run whose caller need not wait any longer, and that is not yet recorded.
pub(crate) struct Finished {
    /// How the run went. Of a run that goes on: that it is late.
    pub(crate) run: Run,
    /// How the wait ended.
    pub(crate) wait: Wait,
    /// Time between the call's arrival and the run's start.
    pub(crate) waited: Duration,
    /// What is recorded; `None` of a run that goes on, which somebody else records.
    execution: Option<Execution>,
}

impl Finished {
    /// The run ended while its caller waited.
    pub(super) fn ended(execution: Execution, run: Run) -> Self {
        let waited = execution.waited();
        Self { run, wait: Wait::Ended, waited, execution: Some(execution) }
    }

    /// The caller's longest wait was over before the run, which is cut off.
    pub(super) fn late(execution: Execution) -> Self {
        let (run, waited) = (execution.late(), execution.waited());
        Self { run, wait: Wait::Late, waited, execution: Some(execution) }
    }

    /// The caller's longest wait was over before the run, which goes on: what the caller is told.
    pub(super) fn goes_on(execution: &Execution) -> Self {
        let (run, waited) = (execution.late(), execution.waited());
        Self { run, wait: Wait::GoesOn, waited, execution: None }
    }

    /// Records the run, unless it goes on. Its caller waits for the disk only where the operator
    /// wants it so.
    pub(crate) async fn record(self) {
        if let Some(execution) = self.execution {
            execution.end(self.run).await;
        }
    }
}
