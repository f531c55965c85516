//! What belongs to one run inside the engine: its world, its counters, its deadline.
//!
//! Components and core modules share this one type, so that there is one way to set a run up.

use crate::lanes;
use crate::limiter::{Exceeded, Limiter};
use crate::wasi::Wasi;
use std::time::Instant;
use wasmill_core::RunLimits;
use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtxView, WasiView};

/// The data of a store.
pub(crate) struct State {
    pub(crate) wasi: Wasi,
    pub(crate) limiter: Limiter,
    pub(crate) busy_ticks: u64,
    /// The instance is there and its function is called: what goes wrong from here on is the
    /// guest's doing.
    pub(crate) entered: bool,
    deadline: Instant,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.context().ctx()
    }
}

/// A fresh store for one run, with every limit armed before anything of the guest is touched.
pub(crate) fn store(
    engine: &Engine,
    wasi: Wasi,
    limits: &RunLimits,
    deadline: Instant,
) -> Store<State> {
    let state =
        State { wasi, limiter: Limiter::new(limits), busy_ticks: 0, entered: false, deadline };
    let mut store = Store::new(engine, state);
    store.set_hostcall_fuel(usize::try_from(limits.hostcall_bytes).unwrap_or(usize::MAX));
    store.set_max_component_handles(limits.handles as usize);
    store.limiter(|state| &mut state.limiter);
    store.set_epoch_deadline(1);
    // At each tick a busy guest gives its thread back for a moment: others get their turn, and the
    // timers that end it by the wall clock or because it was cancelled can fire.
    store.epoch_deadline_callback(|mut context| {
        let state = context.data_mut();
        state.busy_ticks += 1;
        if Instant::now() >= state.deadline {
            return Err(Exceeded::Deadline.into());
        }
        if state.busy_ticks == 1 {
            // It may have begun right before the tick, and be over in a moment.
            return Ok(UpdateDeadline::Continue(1));
        }
        lanes::note_busy();
        // Not the engine's own way of yielding, which wakes the task at once: with all workers busy
        // like that, tokio would look at its timers and sockets only every 61st turn, which is more
        // than half a second. This one lets it look each time.
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
    store
}
