//! Runs a script once: in a fresh instance, with all limits set before it starts. Every run has
//! exactly one outcome.
//!
//! Three things end a run that does not end itself. The epoch clock ends a guest that computes. The
//! deadline ends a guest that waits in a host call. Cancellation ends a run that its caller does
//! not need any more. All three apply to instantiation too, because the start function of a module
//! is code of the guest.

mod classify;
mod command;
mod dynamic;
mod supervise;
mod typed;

use crate::entry::Entry;
use crate::log::LogBuffer;
use crate::prepared::Prepared;
use crate::run_state::{self, RunState};
use crate::sandbox::Sandbox;
use crate::wasi::{Capture, Environment, LazyWasi, Sink, WasiConfig};
use classify::GuestEnd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use supervise::Supervised;
use tokio_util::sync::CancellationToken;
use wasmill_core::{Failure, FailureName, Outcome, RunLimits, Usage};
use wasmtime::Store;
use wasmtime::component::Val;

/// One call of a script.
#[derive(Debug, Clone)]
pub struct Call {
    /// The arguments: the text of one JSON object.
    pub args: Arc<str>,
    /// True when the arguments hold secrets. Messages about the arguments then contain no values.
    pub confidential: bool,
    /// Environment variables of this run. They come after the variables of all runs.
    pub environment: Environment,
    /// The limits of the run.
    pub limits: RunLimits,
    /// The log of the run. The caller finishes it.
    pub log: Arc<LogBuffer>,
    /// Cancelling this token ends the run.
    pub cancel: CancellationToken,
}

/// The end of a run.
#[derive(Debug, Clone)]
pub struct Run {
    /// The result or the failure.
    pub outcome: Outcome,
    /// What the run used.
    pub usage: Usage,
    /// True when nothing was started because all instances of the pool were in use. The outcome is
    /// `Internal` then; the same call may succeed a moment later.
    pub saturated: bool,
}

/// The deadline of a run whose limit is outside of the range of the clock: ten years.
const FAR: Duration = Duration::from_secs(10 * 365 * 86_400);

impl Sandbox {
    /// Runs a script once. Whatever happens becomes an outcome, so there is no error.
    ///
    /// Must be called in a tokio runtime with time enabled. Dropping the future ends the run at its
    /// next host call or tick. `cancel` does the same, and the returned [`Run`] tells what was
    /// used. A run that computes for longer than a tick moves to the background pool.
    pub async fn invoke(&self, script: &Arc<Prepared>, call: Call) -> Run {
        let start = Instant::now();
        script.mark_used();
        let usage = Usage::default();
        let done = |outcome, usage, saturated| Run { outcome, usage, saturated };
        if call.args.len() as u64 > call.limits.args_bytes {
            let message = format!(
                "the arguments have {} bytes, the limit is {}",
                call.args.len(),
                call.limits.args_bytes
            );
            return done(failed(FailureName::InvalidArguments, message), usage, false);
        }
        // Typed arguments are checked and converted before anything is started.
        let typed = match &script.entry {
            Entry::Typed { signature, .. } => {
                match crate::value::arguments(signature, &call.args) {
                    Ok(read) => {
                        if !read.ignored.is_empty() {
                            let names = crate::sanitize::quoted_list(
                                read.ignored.iter().map(String::as_str),
                            );
                            call.log.append(&format!(
                                "[wasmill] main does not take {names}: ignored\n"
                            ));
                        }
                        Some(read.values)
                    }
                    Err(message) if call.confidential => {
                        let message = crate::value::without_values(&message);
                        return done(failed(FailureName::InvalidArguments, message), usage, false);
                    }
                    Err(message) => {
                        return done(failed(FailureName::InvalidArguments, message), usage, false);
                    }
                }
            }
            _ => None,
        };
        let deadline = start.checked_add(call.limits.wall.min(FAR)).unwrap_or(start);
        let streams =
            Streams::new(&call, matches!(script.entry, Entry::Command { .. } | Entry::Core { .. }));
        let store = self.store(&call, &streams, start, deadline);
        let task = RunTask {
            script: script.clone(),
            call,
            typed: typed.unwrap_or_default(),
            streams,
            store,
            start,
            deadline,
        };
        match self.background.run(Box::pin(task.finish())).await {
            Ok(run) => run,
            Err(_) => {
                done(failed(FailureName::Internal, "the host ended during the call"), usage, false)
            }
        }
    }

    fn store(
        &self,
        call: &Call,
        streams: &Streams,
        start: Instant,
        deadline: Instant,
    ) -> Store<RunState> {
        let config = WasiConfig {
            common: self.environment.clone(),
            environment: call.environment.clone(),
            arguments: streams.captured.is_some().then(|| call.args.clone()),
            stdout: streams.stdout.clone(),
            stderr: streams.stderr.clone(),
            limits: call.limits,
            start,
        };
        run_state::new_store(self.engine(), LazyWasi::of(config), &call.limits, deadline)
    }
}

/// A run that has started. It owns everything it needs, so it can move to the background pool.
struct RunTask {
    script: Arc<Prepared>,
    call: Call,
    /// The parameters of a typed script.
    typed: Vec<Val>,
    streams: Streams,
    store: Store<RunState>,
    start: Instant,
    deadline: Instant,
}

impl RunTask {
    async fn finish(self) -> Run {
        let Self { script, call, typed, streams, mut store, start, deadline } = self;
        let limit = call.limits.result_bytes;
        let end = {
            let store = &mut store;
            let (entry, args) = (&script.entry, &call.args);
            let work = async move {
                match entry {
                    Entry::Typed { pre, main, signature } => {
                        typed::call(store, pre, main, signature, typed, limit).await
                    }
                    Entry::Dynamic { pre, main } => {
                        dynamic::call(store, pre, main, args, limit).await
                    }
                    Entry::Command { pre, run } => command::call(store, pre, run).await,
                    Entry::Core { pre, start } => command::call_core(store, pre, start).await,
                }
            };
            supervise::supervise(work, deadline, &call.cancel).await
        };
        let state = store.data();
        let entered = state.entered;
        let mut usage = Usage {
            wall: start.elapsed(),
            busy_ticks: state.busy_ticks,
            memory_peak_bytes: state.limiter.peak(),
            ..Usage::default()
        };
        let errors = streams.close();
        let ended = match end {
            Supervised::Finished(Ok(ended)) => ended,
            Supervised::Finished(Err(error)) => {
                classify::error(&error, entered, &errors, &call.limits)
            }
            Supervised::DeadlinePassed => classify::timeout(&call.limits),
            Supervised::Canceled => {
                GuestEnd::failure(FailureName::Canceled, "the run was cancelled")
            }
            Supervised::Panicked(message) => {
                tracing::error!(digest = %script.digest, message, "the host panicked during a call");
                GuestEnd::failure(
                    FailureName::Internal,
                    "the host failed during the call; this is not the script's fault",
                )
            }
        };
        // Dropping the store destroys the instance. Its memory is zeroed before another run gets
        // it.
        drop(store);
        let saturated = matches!(ended, GuestEnd::Saturated);
        let outcome = match (ended, &streams.captured) {
            (GuestEnd::Success(json), _) => Outcome::Success(json),
            (GuestEnd::Failure(failure), _) => Outcome::Failure(failure),
            (GuestEnd::Saturated, _) => {
                failed(FailureName::Internal, "all places for running scripts are taken")
            }
            (GuestEnd::Exit(code), Some(captured)) => {
                command::outcome(code, captured, &errors, limit, &call.log)
            }
            (GuestEnd::Exit(code), None) => command::exited(code, &errors),
        };
        usage.log_dropped_bytes = call.log.dropped();
        // A script can return an ordinary result that declares the run as failed.
        Run { outcome: outcome.or_declared_failure(), usage, saturated }
    }
}

fn failed(name: FailureName, message: impl Into<String>) -> Outcome {
    Outcome::Failure(Failure::new(name, message))
}

/// The output streams of one run.
struct Streams {
    stdout: Sink,
    stderr: Sink,
    /// The standard output of a command, which holds the result.
    captured: Option<Arc<Capture>>,
}

impl Streams {
    fn new(call: &Call, is_command: bool) -> Self {
        let captured = is_command.then(|| Capture::new(call.limits.result_bytes));
        let stdout = captured.clone().map_or_else(|| Sink::log(&call.log), Sink::Capture);
        Self { stdout, stderr: Sink::log(&call.log), captured }
    }

    /// Appends incomplete lines to the log. Returns the end of standard error.
    fn close(&self) -> String {
        self.stdout.close();
        self.stderr.close()
    }
}
