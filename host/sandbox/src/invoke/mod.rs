//! Runs a script once: a fresh instance, every limit armed first, and exactly one outcome at the
//! end.
//!
//! Three things end a run that does not end itself: the epoch clock, which a busy guest can't
//! escape; the wall clock, for one that sleeps in a host call; and the caller's cancelling. All of
//! it, instantiation included, is under all three, because a module's start function is guest code
//! too.

mod classify;
mod command;
pub(crate) mod dynamic;
mod guard;
mod typed;

use crate::log::LogBuffer;
use crate::prepared::{Entry, Prepared};
use crate::sandbox::Sandbox;
use crate::state::{self, State};
use crate::wasi::{Capture, Sink, Wasi, World};
use classify::Ended;
use guard::End;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use wasmill_core::{Failure, FailureName, Outcome, RunLimits, Usage};
use wasmtime::Store;
use wasmtime::component::Val;

/// One call of a script.
#[derive(Debug, Clone)]
pub struct Call {
    /// The arguments: the text of one JSON object.
    pub args: Arc<str>,
    /// The arguments hold what is nobody's to read but the script's: what is said of them names no
    /// values.
    pub confidential: bool,
    /// Variables of this run, after those of all runs.
    pub environment: Environment,
    /// What it may use.
    pub limits: RunLimits,
    /// Where its log goes. The caller finishes it.
    pub log: Arc<LogBuffer>,
    /// Ends the run when cancelled.
    pub cancel: CancellationToken,
}

/// Environment variables, put together when a script first asks for anything of the system: many
/// never do.
#[derive(Clone)]
pub struct Environment(Arc<dyn Fn() -> Vec<(String, String)> + Send + Sync>);

impl Environment {
    /// What `variables` returns, which is called once in a run at most.
    pub fn new(variables: impl Fn() -> Vec<(String, String)> + Send + Sync + 'static) -> Self {
        Self(Arc::new(variables))
    }

    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        (self.0)()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

/// How it went.
#[derive(Debug, Clone)]
pub struct Run {
    /// The result or the failure.
    pub outcome: Outcome,
    /// What it used.
    pub usage: Usage,
    /// True when nothing was started because every place for an instance was taken. The outcome is
    /// then `Internal`; the same call may succeed a moment later.
    pub saturated: bool,
}

/// A deadline for limits so large that they leave the clock's range: ten years.
const FAR: Duration = Duration::from_secs(10 * 365 * 86_400);

impl Sandbox {
    /// Runs a script once. Never fails as a function: whatever happens is an outcome.
    ///
    /// Must be called within a tokio runtime with time enabled. Dropping the future ends the run at
    /// its next host call or tick; `cancel` does the same and still tells what was used. A run that
    /// computes for longer than a tick goes on aside, on threads of low priority.
    pub async fn invoke(&self, script: &Arc<Prepared>, call: Call) -> Run {
        let start = Instant::now();
        script.wake();
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
                            let names =
                                crate::text::listed(read.ignored.iter().map(String::as_str));
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
        let begun = Begun {
            script: script.clone(),
            call,
            typed: typed.unwrap_or_default(),
            streams,
            store,
            start,
            deadline,
        };
        match self.lanes.run(Box::pin(begun.finish())).await {
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
    ) -> Store<State> {
        let world = World {
            common: self.environment.clone(),
            environment: call.environment.clone(),
            arguments: streams.captured.is_some().then(|| call.args.clone()),
            stdout: streams.stdout.clone(),
            stderr: streams.stderr.clone(),
            limits: call.limits,
            start,
        };
        state::store(self.engine(), Wasi::of(world), &call.limits, deadline)
    }
}

/// A run with everything it needs, so that it can go on without who called.
struct Begun {
    script: Arc<Prepared>,
    call: Call,
    /// The arguments of a typed script.
    typed: Vec<Val>,
    streams: Streams,
    store: Store<State>,
    start: Instant,
    deadline: Instant,
}

impl Begun {
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
            guard::guarded(work, deadline, &call.cancel).await
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
            End::Done(Ok(ended)) => ended,
            End::Done(Err(error)) => classify::error(&error, entered, &errors, &call.limits),
            End::Deadline => classify::timeout(&call.limits),
            End::Canceled => Ended::failure(FailureName::Canceled, "the run was cancelled"),
            End::Panicked(message) => {
                tracing::error!(digest = %script.digest, message, "the host panicked during a call");
                Ended::failure(
                    FailureName::Internal,
                    "the host failed during the call; this is not the script's fault",
                )
            }
        };
        // An instance is torn down with its store; memory of it is zeroed before another run can
        // have it.
        drop(store);
        let saturated = matches!(ended, Ended::Saturated);
        let outcome = match (ended, &streams.captured) {
            (Ended::Success(json), _) => Outcome::Success(json),
            (Ended::Failure(failure), _) => Outcome::Failure(failure),
            (Ended::Saturated, _) => {
                failed(FailureName::Internal, "all places for running scripts are taken")
            }
            (Ended::Exit(code), Some(captured)) => {
                command::outcome(code, captured, &errors, limit, &call.log)
            }
            (Ended::Exit(code), None) => command::exited(code, &errors),
        };
        usage.log_dropped_bytes = call.log.dropped();
        // A script may return an ordinary result and declare in it that the run has failed.
        Run { outcome: outcome.or_declared_failure(), usage, saturated }
    }
}

fn failed(name: FailureName, message: impl Into<String>) -> Outcome {
    Outcome::Failure(Failure::new(name, message))
}

/// The output of one run.
struct Streams {
    stdout: Sink,
    stderr: Sink,
    /// Standard output of a command, which is its result.
    captured: Option<Arc<Capture>>,
}

impl Streams {
    fn new(call: &Call, is_command: bool) -> Self {
        let captured = is_command.then(|| Capture::new(call.limits.result_bytes));
        let stdout = captured.clone().map_or_else(|| Sink::log(&call.log), Sink::Capture);
        Self { stdout, stderr: Sink::log(&call.log), captured }
    }

    /// Sends unfinished lines to the log; returns the end of standard error.
    fn close(&self) -> String {
        self.stdout.close();
        self.stderr.close()
    }
}
