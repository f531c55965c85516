//! The least that a fresh-instance call can cost: wasmtime with nothing around it but what the script cannot do without.
//!
//! The engine has the host's settings (`host/sandbox/src/engine.rs`), so that what remains is what the host adds. Arguments
//! come as JSON text and the result is JSON text, converted by types known when this was compiled.
//!
//! [`Rung`]s lead from there to what the sandbox does, one thing at a time, which tells what each of them costs. They are
//! written anew here and shorter, so they are an estimate; the two ends of the ladder are not.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasmtime::component::{self, Component, ComponentExportIndex, ComponentType, Lift, ResourceTable, Val};
use wasmtime::error::Context as _;
use wasmtime::{
    Config, Enabled, Engine, Error, InstanceAllocationStrategy, Module, ModuleExport, OptLevel, PoolingAllocationConfig, ResourceLimiter,
    Result, Store, UpdateDeadline,
};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView};

/// Bytes of output kept of a run.
const OUTPUT: usize = 1 << 20;
/// Memory of a run.
const MEMORY: usize = 256 << 20;

/// How much is around the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(crate) enum Rung {
    /// Nothing.
    Floor,
    /// Arguments and result go through values of types that are known only when it runs. Typed scripts only.
    Values,
    /// And memory, handles and time are limited.
    Limits,
    /// And output is kept, and there are environment variables.
    World,
}

struct State {
    wasi: WasiP1Ctx,
    memory: usize,
    ticks: u64,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.ctx()
    }
}

impl ResourceLimiter for State {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        self.memory += desired - current;
        Ok(self.memory <= MEMORY)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        self.memory += (desired - current) * 8;
        Ok(self.memory <= MEMORY)
    }
}

#[derive(Deserialize)]
struct Arguments {
    name: String,
    times: Option<u32>,
}

#[derive(ComponentType, Lift, Serialize)]
#[component(record)]
struct Greeting {
    greeting: String,
    times: u32,
}

#[derive(ComponentType, Lift)]
#[component(record)]
#[allow(dead_code, reason = "the fields are there for the type")]
struct ScriptError {
    name: String,
    message: String,
    stack: Option<String>,
}

enum Entry {
    Hello { pre: component::InstancePre<State>, main: ComponentExportIndex },
    Greet { pre: component::InstancePre<State>, main: ComponentExportIndex },
    WordCount { pre: wasmtime::InstancePre<State>, start: ModuleExport },
}

/// One script with a bare engine.
pub(crate) struct Bare {
    engine: Engine,
    entry: Entry,
    rung: Rung,
}

/// An engine like the host's.
pub(crate) fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config.wasm_component_model(true).concurrency_support(false);
    config.wasm_threads(false).shared_memory(false).wasm_gc(false).wasm_function_references(false).wasm_exceptions(false).gc_support(false);
    config.epoch_interruption(true).cranelift_opt_level(OptLevel::Speed);
    config.generate_address_map(false).native_unwind_info(false).memory_init_cow(true);
    config.max_wasm_stack(512 << 10).async_stack_size(2 << 20);
    let runs = wasmill_core::HostLimits::default().concurrent_runs;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(runs).total_stacks(runs).total_core_instances(runs * 16).total_memories(runs * 2).total_tables(runs * 4);
    pool.table_elements(100_000).max_tables_per_module(4);
    pool.pagemap_scan(Enabled::Auto).linear_memory_keep_resident(1 << 20).table_keep_resident(128 << 10);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

impl Bare {
    /// Compiles and links one of the three scripts.
    pub(crate) fn new(engine: &Engine, script: &str, wasm: &[u8], rung: Rung) -> Result<Self> {
        let entry = if script == "word-count" {
            let module = Module::new(engine, wasm)?;
            let mut linker = wasmtime::Linker::new(engine);
            wasmtime_wasi::p1::add_to_linker_async(&mut linker, |state: &mut State| &mut state.wasi)?;
            Entry::WordCount { pre: linker.instantiate_pre(&module)?, start: module.get_export_index("_start").context("no _start")? }
        } else {
            let component = Component::new(engine, wasm)?;
            let mut linker = component::Linker::new(engine);
            wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
            let pre = linker.instantiate_pre(&component)?;
            if script == "hello" {
                Entry::Hello { pre, main: component.get_export_index(None, "main").context("no main")? }
            } else {
                let interface = component.get_export_index(None, "wasmill:script/entry@0.1.0").context("no entry")?;
                Entry::Greet { pre, main: component.get_export_index(Some(&interface), "main").context("no main")? }
            }
        };
        Ok(Self { engine: engine.clone(), entry, rung })
    }

    /// One call in a fresh store, from JSON to JSON.
    pub(crate) async fn call(&self, args: &str) -> Result<String> {
        match &self.entry {
            Entry::Hello { pre, main } if self.rung == Rung::Floor => {
                let args: Arguments = serde_json::from_str(args)?;
                let mut store = self.store(&mut WasiCtx::builder());
                let instance = pre.instantiate_async(&mut store).await?;
                let main = instance.get_typed_func::<(&str, Option<u32>), (Result<Greeting, String>,)>(&mut store, main)?;
                let (result,) = main.call_async(&mut store, (&args.name, args.times)).await?;
                Ok(serde_json::to_string(&result.map_err(Error::msg)?)?)
            }
            Entry::Hello { pre, main } => {
                let args = values(serde_json::from_str(args)?)?;
                let output = MemoryOutputPipe::new(OUTPUT);
                let mut store = self.store(&mut self.world(&output, ""));
                let instance = pre.instantiate_async(&mut store).await?;
                let main = instance.get_func(&mut store, main).context("no main")?;
                let mut results = [Val::Bool(false)];
                main.call_async(&mut store, &args, &mut results).await?;
                let [result] = results;
                text(&result)
            }
            Entry::Greet { pre, main } => {
                let output = MemoryOutputPipe::new(OUTPUT);
                let mut store = self.store(&mut self.world(&output, ""));
                let instance = pre.instantiate_async(&mut store).await?;
                let main = instance.get_typed_func::<(&str,), (Result<String, ScriptError>,)>(&mut store, main)?;
                let (result,) = main.call_async(&mut store, (args,)).await?;
                result.map_err(|error| Error::msg(error.message))
            }
            Entry::WordCount { pre, start } => {
                let output = MemoryOutputPipe::new(OUTPUT);
                let mut wasi = self.world(&MemoryOutputPipe::new(OUTPUT), args);
                wasi.stdin(MemoryInputPipe::new(args.to_owned())).stdout(output.clone()).arg("script");
                let mut store = self.store(&mut wasi);
                let instance = pre.instantiate_async(&mut store).await?;
                let start = instance.get_module_export(&mut store, start).and_then(wasmtime::Extern::into_func).context("no _start")?;
                match start.typed::<(), ()>(&store)?.call_async(&mut store, ()).await {
                    Err(error) if error.downcast_ref::<I32Exit>().is_none_or(|exit| exit.0 != 0) => Err(error),
                    _ => Ok(String::from_utf8(output.contents().to_vec())?),
                }
            }
        }
    }

    fn world(&self, output: &MemoryOutputPipe, args: &str) -> wasmtime_wasi::WasiCtxBuilder {
        let mut wasi = WasiCtx::builder();
        if self.rung >= Rung::World {
            wasi.stdout(output.clone()).stderr(output.clone());
            wasi.envs(&super::ours::environment());
            if !args.is_empty() {
                wasi.env("WM_ARGS", args);
            }
        }
        wasi
    }

    fn store(&self, wasi: &mut wasmtime_wasi::WasiCtxBuilder) -> Store<State> {
        let mut store = Store::new(&self.engine, State { wasi: wasi.build_p1(), memory: 0, ticks: 0 });
        if self.rung >= Rung::Limits {
            let table: &mut ResourceTable = store.data_mut().wasi.ctx().table;
            table.set_max_capacity(4096);
            store.set_hostcall_fuel(128 << 20);
            store.set_max_component_handles(4096);
            store.limiter(|state| state);
            store.set_epoch_deadline(1);
            store.epoch_deadline_callback(|mut context| {
                context.data_mut().ticks += 1;
                Ok(UpdateDeadline::Yield(1))
            });
        } else {
            // Code compiled for ticks asks for the time even where nobody counts it.
            store.set_epoch_deadline(u64::MAX / 2);
        }
        store
    }
}

/// The two arguments of `hello` as values.
fn values(args: Value) -> Result<[Val; 2]> {
    let name = args.get("name").and_then(Value::as_str).context("no name")?;
    let times = args.get("times").and_then(Value::as_u64).map(u32::try_from).transpose()?;
    Ok([Val::String(name.to_owned()), Val::Option(times.map(|times| Box::new(Val::U32(times))))])
}

/// The result of `hello` as JSON.
fn text(result: &Val) -> Result<String> {
    let Val::Result(Ok(Some(value))) = result else { wasmtime::bail!("no success: {result:?}") };
    let Val::Record(fields) = &**value else { wasmtime::bail!("no record") };
    let mut object = serde_json::Map::new();
    for (name, value) in fields {
        let value = match value {
            Val::String(text) => text.as_str().into(),
            Val::U32(number) => (*number).into(),
            other => wasmtime::bail!("an unexpected value {other:?}"),
        };
        object.insert(name.clone(), value);
    }
    Ok(serde_json::to_string(&object)?)
}
