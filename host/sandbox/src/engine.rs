//! The engine: every knob of wasmtime that differs from its default, with the reason beside it.
//!
//! Host and compile child must agree on everything that decides the machine code
//! ([`code_settings`]) and differ only in how instances get their memory, which the child has none
//! of.

use std::hash::{Hash as _, Hasher};
use std::num::NonZeroUsize;
use std::time::Duration;
use wasmill_core::limits::BACKTRACE_FRAMES;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, ModuleVersionStrategy, OptLevel,
    PoolingAllocationConfig, WasmBacktraceDetails,
};

/// The full version of the engine, and our own format's. A compiled file names only the major
/// version by itself, but code of one patch release must not run on the next: that release may be
/// the fix of a miscompilation. A test holds it against the lock file.
pub(crate) const CODE_VERSION: &str = "48.0.8-wasmill.5";

/// Time between two ticks of the epoch clock. A busy script holds the thread of who called it for
/// one to two of them.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// Core instances of one run. The most seen is 14 (Python), before modules are merged.
pub(crate) const CORE_INSTANCES_PER_RUN: u32 = 32;
/// Memories of one run. The most seen is 2 (QuickJS).
pub(crate) const MEMORIES_PER_RUN: u32 = 8;
/// Tables of one run. The most seen is 2.
pub(crate) const TABLES_PER_RUN: u32 = 16;

/// Bytes of stack for the wasm side of a call: deep recursion ends in a trap well before the stack
/// does.
const WASM_STACK: usize = 512 << 10;
/// Bytes of stack for a call as a whole: the wasm side and what the host puts on top of it.
const CALL_STACK: usize = 2 << 20;

/// Everything that decides what code comes out, and is therefore the same in host and compile
/// child.
fn code_settings() -> Result<Config, wasmtime::Error> {
    let mut config = Config::new();
    config.module_version(ModuleVersionStrategy::Custom(CODE_VERSION.into()))?;
    config.wasm_component_model(true);
    // No guest needs async exports yet; without them a call costs half as much and the surface is
    // smaller.
    config.concurrency_support(false);
    // Proposals that no guest language here needs. Each would widen what an attacker can reach.
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
    // Kept although a module with two memories of its own is refused (the pool gives each module
    // one): where parts of a component call each other, the code between them works on the memories
    // of both. JavaScript made with componentize-qjs is such one.
    config.wasm_multi_memory(true);
    // Kept: bulk memory, multi-value, reference types, SIMD, tail calls, extended constants.
    // Current compilers emit them.
    //
    // Ticks from outside stop endless loops. Counting fuel would do it at the same instruction each
    // time, which nobody needs, and costs more.
    config.epoch_interruption(true);
    config.cranelift_opt_level(OptLevel::Speed);
    // Function names are enough for a script's author; line tables cost space in every compiled
    // file.
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config.generate_address_map(false);
    // For debuggers and profilers of the host, which don't look into scripts.
    config.native_unwind_info(false);
    // The image of a fresh memory is mapped, not copied: what makes an instance start in
    // microseconds.
    config.memory_init_cow(true);
    Ok(config)
}

/// What only the running side needs.
fn run_settings() -> Result<Config, wasmtime::Error> {
    let mut config = code_settings()?;
    config.max_wasm_stack(WASM_STACK);
    config.async_stack_size(CALL_STACK);
    // A bounded backtrace: endless recursion must not make an endless list.
    config.wasm_backtrace_max_frames(NonZeroUsize::new(BACKTRACE_FRAMES));
    Ok(config)
}

/// Room for `runs` runs at once. The totals are what was measured per guest, so that no mix of
/// ordinary guests runs out of one kind of place before it runs out of runs.
fn pool(runs: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(runs);
    pool.total_stacks(runs);
    // As they are made, Python takes 14 core instances a run, QuickJS 9, others up to 4; merging
    // leaves fewer, but not of all.
    pool.total_core_instances(runs.saturating_mul(16));
    // QuickJS takes 2 memories a run. Each reserves 4 GiB of address space, and none of memory.
    pool.total_memories(runs.saturating_mul(2));
    pool.total_tables(runs.saturating_mul(4));
    pool.max_core_instances_per_component(CORE_INSTANCES_PER_RUN);
    pool.max_memories_per_component(MEMORIES_PER_RUN);
    pool.max_tables_per_component(TABLES_PER_RUN);
    // A core module run as it is has one memory; a few have a second table.
    pool.max_tables_per_module(4);
    // Elements of one table: no run gets more over all of its tables, see
    // `RunLimits::table_elements`.
    pool.table_elements(wasmill_core::RunLimits::default().table_elements as usize);
    // Emptying a used memory page by page is dear. Resident pages are found by one system call
    // (Linux 6.7 and newer) and wiped in place up to these sizes; measured, that halves a small
    // call. The contents are zeroed either way.
    pool.pagemap_scan(Enabled::Auto);
    pool.linear_memory_keep_resident(1 << 20);
    pool.table_keep_resident(128 << 10);
    pool
}

/// The one engine of the host: pooled, or with memory on demand where the address space is limited.
///
/// # Errors
/// When the engine refuses its settings, which a test would have shown, or the system refuses even
/// small mappings.
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

/// What code must have been made for to be loaded here: target, settings, features and version, as
/// a hash.
pub(crate) fn fingerprint(engine: &Engine) -> [u8; 32] {
    struct Sha(sha2::Sha256);
    impl Hasher for Sha {
        fn write(&mut self, bytes: &[u8]) {
            use sha2::Digest as _;
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0 // never asked for: the whole digest is taken below
        }
    }
    use sha2::Digest as _;
    let mut sha = Sha(sha2::Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut sha);
    CODE_VERSION.hash(&mut sha);
    sha.0.finalize().into()
}

/// Starts the clock that interrupts busy scripts: a thread of the system, so that a runtime whose
/// workers are all busy can't stop it. It ends with the engine.
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
