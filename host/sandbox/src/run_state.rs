//! The data of one run inside the engine: its WASI, its counters, its deadline.
//!
//! Components and core modules use the same type, so that a run is set up in one place.

use crate::background_pool;
use crate::limiter::{LimitExceeded, Limiter};
use crate::wasi::LazyWasi;
use std::time::Instant;
use wasmill_core::RunLimits;
use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtxView, WasiView};

/// The data of a [`Store`]; there is one store for each run.
pub(crate) struct RunState {
    pub(crate) wasi: LazyWasi,
    pub(crate) limiter: Limiter,
    /// Ticks of the epoch clock at which the guest was computing.
    pub(crate) busy_ticks: u64,
    /// True once the instance is made and its function is called. An error after that is the
    /// guest's fault, not the host's.
    pub(crate) entered: bool,
    deadline: Instant,
}

impl WasiView for RunState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.context().ctx()
    }
}

/// A new store for one run. All limits are set before any code of the guest runs.
pub(crate) fn new_store(
    engine: &Engine,
    wasi: LazyWasi,
    limits: &RunLimits,
    deadline: Instant,
) -> Store<RunState> {
    let state =
        RunState { wasi, limiter: Limiter::new(limits), busy_ticks: 0, entered: false, deadline };
    let mut store = Store::new(engine, state);
    store.set_hostcall_fuel(usize::try_from(limits.hostcall_bytes).unwrap_or(usize::MAX));
    store.set_max_component_handles(limits.handles as usize);
    store.limiter(|state| &mut state.limiter);
    store.set_epoch_deadline(1);
    // At each tick a computing guest yields its thread. Other tasks of the thread run then, and so
    // do the timer of the deadline and the cancellation of this run.
    store.epoch_deadline_callback(|mut context| {
        let state = context.data_mut();
        state.busy_ticks += 1;
        if Instant::now() >= state.deadline {
            return Err(LimitExceeded::Deadline.into());
        }
        if state.busy_ticks == 1 {
            // The run may have started right before this tick, and may end before the next.
            return Ok(UpdateDeadline::Continue(1));
        }
        background_pool::note_busy();
        // `UpdateDeadline::Yield` of the engine is not used. It wakes the task at once, and when
        // all workers have such tasks, tokio looks at its timers and sockets only at every 61st
        // poll: after more than half a second. After tokio's own `yield_now` it looks each time.
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
    store
}
