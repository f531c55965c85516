//! The engine: every setting of wasmtime that differs from its default, with the reason.
//!
//! Host and compile child must use the same settings where these decide the machine code
//! ([`code_settings`]). They differ only in how instances get their memory; the child makes no
//! instances.

use std::hash::{Hash as _, Hasher};
use std::num::NonZeroUsize;
use std::time::Duration;
use wasmill_core::limits::{
    BACKTRACE_FRAMES, CORE_INSTANCES_PER_RUN, MEMORIES_PER_RUN, TABLES_PER_MODULE, TABLES_PER_RUN,
    WASM_STACK_BYTES,
};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, ModuleVersionStrategy, OptLevel,
    PoolingAllocationConfig, WasmBacktraceDetails,
};

/// The full version of the engine, and the version of the project's own format. A compiled file
/// itself names only the major version of the engine. But code of one patch release must not run on
/// the next, because that release may fix a miscompilation. A test compares this constant with the
/// lock file.
pub(crate) const CODE_VERSION: &str = "48.0.8-wasmill.5";

/// Time between two ticks of the epoch clock. A computing script keeps the thread of its caller for
/// one to two ticks.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// Bytes of stack for a call: the wasm part, and the host functions that it calls.
const CALL_STACK: usize = 2 << 20;

/// The settings that decide the machine code. Host and compile child use the same ones.
fn code_settings() -> Result<Config, wasmtime::Error> {
    let mut config = Config::new();
    config.module_version(ModuleVersionStrategy::Custom(CODE_VERSION.into()))?;
    config.wasm_component_model(true);
    // No guest needs async exports yet. Without them a call takes half the time, and the engine
    // offers less to attack.
    config.concurrency_support(false);
    // No guest language here needs these proposals. Each one would offer more to attack.
    config.wasm_threads(false);
    config.shared_memory(false);
    config.wasm_gc(false);
    config.wasm_function_references(false);
    config.wasm_exceptions(false);
    config.gc_support(false);
    config.wasm_memory64(false);
    config.wasm_relaxed_simd(false);
    config.wasm_custom_page_sizes(false);
    config.wasm_wide_arithmetic(false);
    // This proposal is needed although a module with two memories of its own is refused: the pool
    // gives each module one memory. Where parts of a component call each other, the adapter between
    // them works on the memories of both, for example in JavaScript made with componentize-qjs.
    config.wasm_multi_memory(true);
    // Left on because current compilers use them: bulk memory, multi-value, reference types, SIMD,
    // tail calls, extended constants.
    //
    // The epoch clock ends endless loops. Fuel would end them at the same instruction each time,
    // which nobody needs, and would cost more time.
    config.epoch_interruption(true);
    config.cranelift_opt_level(OptLevel::Speed);
    // A backtrace shows the names of functions. Line tables would make every compiled file larger.
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config.generate_address_map(false);
    // Unwind information is for native debuggers and profilers, which do not look into scripts.
    config.native_unwind_info(false);
    // A new memory is mapped from its image and not copied, so an instance starts in microseconds.
    config.memory_init_cow(true);
    Ok(config)
}

/// The settings of the host, which also runs code.
fn run_settings() -> Result<Config, wasmtime::Error> {
    let mut config = code_settings()?;
    config.max_wasm_stack(WASM_STACK_BYTES);
    config.async_stack_size(CALL_STACK);
    // The length of a backtrace is limited because an endless recursion has an endless one.
    config.wasm_backtrace_max_frames(NonZeroUsize::new(BACKTRACE_FRAMES));
    Ok(config)
}

/// The pool of instances for `runs` runs at the same time. The totals come from measurements of
/// guests: with any mix of ordinary guests, the number of runs is the limit that is reached first.
fn pool(runs: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(runs);
    pool.total_stacks(runs);
    // Before merging, Python has 14 core instances in a run, QuickJS 9, others up to 4. Merging
    // leaves fewer, but not every component can be merged.
    pool.total_core_instances(runs.saturating_mul(16));
    // QuickJS has 2 memories in a run. Each reserves 4 GiB of address space, but no memory.
    pool.total_memories(runs.saturating_mul(2));
    pool.total_tables(runs.saturating_mul(4));
    pool.max_core_instances_per_component(CORE_INSTANCES_PER_RUN);
    pool.max_memories_per_component(MEMORIES_PER_RUN);
    pool.max_tables_per_component(TABLES_PER_RUN);
    pool.max_tables_per_module(TABLES_PER_MODULE);
    // Elements of one table. All tables of a run together have at most `RunLimits::table_elements`.
    pool.table_elements(wasmill_core::RunLimits::default().table_elements as usize);
    // Returning the pages of a used memory one by one takes long. One system call (Linux 6.7 and
    // newer) finds the resident pages, and up to these sizes they are zeroed in place. This halves
    // the time of a small call. The contents are zeroed in any case.
    pool.pagemap_scan(Enabled::Auto);
    pool.linear_memory_keep_resident(1 << 20);
    pool.table_keep_resident(128 << 10);
    pool
}

/// The engine of the host. Its instances come from a pool, or are allocated on demand when the
/// address space is limited.
///
/// # Errors
/// When the engine refuses its settings, or when the system refuses even small mappings.
pub(crate) fn host(runs: u32) -> Result<Engine, wasmtime::Error> {
    let mut config = run_settings()?;
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(runs)));
    match Engine::new(&config) {
        Ok(engine) => Ok(engine),
        Err(error) => {
            tracing::warn!(error = %format_args!("{error:#}"), runs, "no address space for a pool of instances (ulimit -v?); memory is mapped for each run instead, which is slower");
            let mut config = run_settings()?;
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
            Engine::new(&config)
        }
    }
}

/// The engine of the compile child: makes code for [`host`] and runs nothing.
pub(crate) fn compiler() -> Result<Engine, wasmtime::Error> {
    let mut config = code_settings()?;
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config)
}

/// A hash of everything that decides whether this engine can run a piece of code: target, settings,
/// features and version.
pub(crate) fn fingerprint(engine: &Engine) -> [u8; 32] {
    struct Sha(sha2::Sha256);
    impl Hasher for Sha {
        fn write(&mut self, bytes: &[u8]) {
            use sha2::Digest as _;
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0 // not used: the whole digest is taken below
        }
    }
    use sha2::Digest as _;
    let mut sha = Sha(sha2::Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut sha);
    CODE_VERSION.hash(&mut sha);
    sha.0.finalize().into()
}

/// Starts the epoch clock, which interrupts computing scripts. It is a thread of the system,
/// because a runtime whose workers are all busy would stop it. The thread ends when the engine is
/// dropped.
pub(crate) fn start_ticker(engine: &Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new().name("wasmill-ticker".into()).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_version_is_the_locked_one() {
        let lock = include_str!("../../../Cargo.lock");
        let version = lock
            .split("name = \"wasmtime\"\nversion = \"")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .unwrap();
        assert!(
            CODE_VERSION.starts_with(&format!("{version}-")),
            "the lock file has wasmtime {version}"
        );
    }

    #[test]
    fn pools_of_all_sizes_can_be_mapped() {
        for runs in [1, 16, 256] {
            let mut config = run_settings().unwrap();
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(runs)));
            Engine::new(&config).unwrap_or_else(|error| panic!("{runs}: {error:#}"));
        }
    }

    #[test]
    fn host_and_compiler_agree() {
        assert_eq!(fingerprint(&host(4).unwrap()), fingerprint(&compiler().unwrap()));
    }
}
