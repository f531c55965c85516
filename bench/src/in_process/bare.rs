//! The least that a fresh-instance call can cost: wasmtime with nothing around it but what the
//! script cannot do without.
//!
//! The engine has the host's settings (`host/sandbox/src/engine.rs`), so that what remains is what
//! the host adds. Arguments come as JSON text and the result is JSON text.
//!
//! [`Settings`] lead from there to what the sandbox does, one thing at a time, and from what the
//! sandbox does to what it could do otherwise, which tells what each of them costs. What is around
//! the engine is written anew here and shorter, so this is an estimate.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cell::LazyCell;
use wasmtime::component::{
    self, Component, ComponentExportIndex, ComponentNamedList, ComponentType, Lift, Lower,
    ResourceTable, Val,
};
use wasmtime::error::Context as _;
use wasmtime::{
    Config, Enabled, Engine, Error, InstanceAllocationStrategy, Module, ModuleExport, OptLevel,
    PoolingAllocationConfig, ResourceLimiter, Result, Store, UpdateDeadline,
};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// Bytes of output kept of a run.
const OUTPUT: usize = 1 << 20;
/// Memory of a run.
const MEMORY: usize = 256 << 20;

/// What stops a script that does not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// Nothing.
    None,
    /// A clock beside it.
    Ticks,
    /// Its instructions are counted.
    Fuel,
}

/// How a script is run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Memory is kept for a number of instances, rather than mapped for each.
    pub(crate) pool: bool,
    /// A fresh memory is a mapped image, rather than a copy.
    pub(crate) image: bool,
    /// Pages that an instance has used are wiped and kept, rather than given back.
    pub(crate) resident: bool,
    /// The kernel is asked which pages an instance has used.
    pub(crate) scan: bool,
    /// What stops it.
    pub(crate) interruption: Interruption,
    /// It runs on a stack of its own, from which it can wait, rather than on the caller's.
    pub(crate) own_stack: bool,
    /// Memory, handles and time are limited.
    pub(crate) limits: bool,
    /// Output is kept, and there are environment variables.
    pub(crate) world: bool,
    /// WASI is made when it is first used.
    pub(crate) lazy: bool,
    /// What a component links is one module, rather than one for each library.
    pub(crate) merged: bool,
    /// Arguments and result go through values of types that are known only when it runs. `hello`
    /// alone knows otherwise.
    pub(crate) values: bool,
}

impl Settings {
    /// As the sandbox does it.
    pub(crate) const HOST: Self = Self {
        pool: true,
        image: true,
        resident: true,
        scan: true,
        interruption: Interruption::Ticks,
        own_stack: true,
        limits: true,
        world: true,
        lazy: true,
        merged: true,
        values: true,
    };
    /// With nothing around the engine.
    pub(crate) const FLOOR: Self =
        Self { limits: false, world: false, values: false, ..Self::HOST };

    /// An engine like the host's, but for what is set otherwise.
    pub(crate) fn engine(&self) -> Result<Engine> {
        let mut config = Config::new();
        config.wasm_component_model(true).concurrency_support(false);
        config
            .wasm_threads(false)
            .shared_memory(false)
            .wasm_gc(false)
            .wasm_function_references(false)
            .wasm_exceptions(false);
        config.gc_support(false).cranelift_opt_level(OptLevel::Speed);
        config
            .epoch_interruption(self.interruption == Interruption::Ticks)
            .consume_fuel(self.interruption == Interruption::Fuel);
        config.generate_address_map(false).native_unwind_info(false).memory_init_cow(self.image);
        config.max_wasm_stack(512 << 10).async_stack_size(2 << 20);
        config.allocation_strategy(if self.pool {
            self.pool()
        } else {
            InstanceAllocationStrategy::OnDemand
        });
        Engine::new(&config)
    }

    fn pool(&self) -> InstanceAllocationStrategy {
        let runs = wasmill_core::HostLimits::default().concurrent_runs;
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(runs).total_stacks(runs).total_core_instances(runs * 16);
        pool.total_memories(runs * 2)
            .total_tables(runs * 4)
            .table_elements(100_000)
            .max_tables_per_module(4);
        pool.pagemap_scan(if self.scan { Enabled::Auto } else { Enabled::No });
        if self.resident {
            pool.linear_memory_keep_resident(1 << 20).table_keep_resident(128 << 10);
        }
        InstanceAllocationStrategy::Pooling(pool)
    }
}

struct State {
    wasi: LazyCell<WasiP1Ctx, Box<dyn FnOnce() -> WasiP1Ctx + Send>>,
    memory: usize,
    ticks: u64,
}

impl State {
    fn wasi(&mut self) -> &mut WasiP1Ctx {
        LazyCell::force_mut(&mut self.wasi)
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi().ctx()
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
    settings: Settings,
}

impl Bare {
    /// Compiles and links a script. `engine` is one of these settings.
    pub(crate) fn new(
        engine: &Engine,
        script: &str,
        wasm: &[u8],
        settings: Settings,
    ) -> Result<Self> {
        let entry = if script == "word-count" {
            let module = Module::new(engine, wasm)?;
            let mut linker = wasmtime::Linker::new(engine);
            if settings.own_stack {
                wasmtime_wasi::p1::add_to_linker_async(&mut linker, |state: &mut State| {
                    state.wasi()
                })?;
            } else {
                wasmtime_wasi::p1::add_to_linker_sync(&mut linker, |state: &mut State| {
                    state.wasi()
                })?;
            }
            Entry::WordCount {
                pre: linker.instantiate_pre(&module)?,
                start: module.get_export_index("_start").context("no _start")?,
            }
        } else {
            let merged = if settings.merged { wasmill_sandbox::merged(wasm).ok() } else { None };
            let component = Component::new(engine, merged.as_deref().unwrap_or(wasm))?;
            let mut linker = component::Linker::new(engine);
            if settings.own_stack {
                wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
            } else {
                wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
            }
            let pre = linker.instantiate_pre(&component)?;
            if script == "greet" {
                let interface = component
                    .get_export_index(None, "wasmill:script/entry@0.1.0")
                    .context("no entry")?;
                Entry::Greet {
                    pre,
                    main: component
                        .get_export_index(Some(&interface), "main")
                        .context("no main")?,
                }
            } else {
                Entry::Hello {
                    pre,
                    main: component.get_export_index(None, "main").context("no main")?,
                }
            }
        };
        Ok(Self { engine: engine.clone(), entry, settings })
    }

    /// One call in a fresh store, from JSON to JSON.
    pub(crate) async fn call(&self, args: &str) -> Result<String> {
        match &self.entry {
            Entry::Hello { pre, main } if !self.settings.values => {
                let args: Arguments = serde_json::from_str(args)?;
                let mut store = self.store(WasiCtx::builder);
                let instance = self.instantiate(pre, &mut store).await?;
                let main = instance
                    .get_typed_func::<(&str, Option<u32>), (Result<Greeting, String>,)>(
                        &mut store, main,
                    )?;
                let (result,) = self.enter(&main, &mut store, (&args.name, args.times)).await?;
                Ok(serde_json::to_string(&result.map_err(Error::msg)?)?)
            }
            Entry::Hello { pre, main } => {
                let args = values(serde_json::from_str(args)?)?;
                let mut store = self.store(self.world(MemoryOutputPipe::new(OUTPUT), None));
                let instance = self.instantiate(pre, &mut store).await?;
                let main = instance.get_func(&mut store, main).context("no main")?;
                let mut results = [Val::Bool(false)];
                if self.settings.own_stack {
                    main.call_async(&mut store, &args, &mut results).await?;
                } else {
                    main.call(&mut store, &args, &mut results)?;
                }
                let [result] = results;
                text(&result)
            }
            Entry::Greet { pre, main } => {
                let mut store = self.store(self.world(MemoryOutputPipe::new(OUTPUT), None));
                let instance = self.instantiate(pre, &mut store).await?;
                let main = instance
                    .get_typed_func::<(&str,), (Result<String, ScriptError>,)>(&mut store, main)?;
                let (result,) = self.enter(&main, &mut store, (args,)).await?;
                result.map_err(|error| Error::msg(error.message))
            }
            Entry::WordCount { pre, start } => {
                let output = MemoryOutputPipe::new(OUTPUT);
                let (world, stdout) =
                    (self.world(MemoryOutputPipe::new(OUTPUT), Some(args)), output.clone());
                let input = args.to_owned();
                let mut store = self.store(move || {
                    let mut wasi = world();
                    wasi.stdin(MemoryInputPipe::new(input)).stdout(stdout).arg("script");
                    wasi
                });
                let instance = if self.settings.own_stack {
                    pre.instantiate_async(&mut store).await?
                } else {
                    pre.instantiate(&mut store)?
                };
                let start = instance
                    .get_module_export(&mut store, start)
                    .and_then(wasmtime::Extern::into_func)
                    .context("no _start")?;
                let start = start.typed::<(), ()>(&store)?;
                let ended = if self.settings.own_stack {
                    start.call_async(&mut store, ()).await
                } else {
                    start.call(&mut store, ())
                };
                match ended {
                    Err(error)
                        if error.downcast_ref::<I32Exit>().is_none_or(|exit| exit.0 != 0) =>
                    {
                        Err(error)
                    }
                    _ => Ok(String::from_utf8(output.contents().to_vec())?),
                }
            }
        }
    }

    async fn instantiate(
        &self,
        pre: &component::InstancePre<State>,
        store: &mut Store<State>,
    ) -> Result<component::Instance> {
        if self.settings.own_stack {
            pre.instantiate_async(store).await
        } else {
            pre.instantiate(store)
        }
    }

    async fn enter<A, R>(
        &self,
        main: &component::TypedFunc<A, R>,
        store: &mut Store<State>,
        args: A,
    ) -> Result<R>
    where
        A: ComponentNamedList + Lower + Send + Sync,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        if self.settings.own_stack {
            main.call_async(store, args).await
        } else {
            main.call(store, args)
        }
    }

    fn world(
        &self,
        output: MemoryOutputPipe,
        args: Option<&str>,
    ) -> impl FnOnce() -> WasiCtxBuilder + Send + 'static {
        let (wanted, args) = (self.settings.world, args.map(str::to_owned));
        move || {
            let mut wasi = WasiCtx::builder();
            if wanted {
                wasi.stdout(output.clone()).stderr(output);
                wasi.envs(&super::ours::environment());
                if let Some(args) = args {
                    wasi.env("WM_ARGS", args);
                }
            }
            wasi
        }
    }

    fn store(&self, wasi: impl FnOnce() -> WasiCtxBuilder + Send + 'static) -> Store<State> {
        let limits = self.settings.limits;
        let build = move || {
            let mut wasi = wasi().build_p1();
            if limits {
                let table: &mut ResourceTable = wasi.ctx().table;
                table.set_max_capacity(4096);
            }
            wasi
        };
        let mut store = Store::new(
            &self.engine,
            State { wasi: LazyCell::new(Box::new(build)), memory: 0, ticks: 0 },
        );
        if !self.settings.lazy {
            store.data_mut().wasi();
        }
        if limits {
            store.set_hostcall_fuel(128 << 20);
            store.set_max_component_handles(4096);
            store.limiter(|state| state);
        }
        match self.settings.interruption {
            Interruption::None => {}
            Interruption::Ticks if limits => {
                store.set_epoch_deadline(1);
                store.epoch_deadline_callback(|mut context| {
                    context.data_mut().ticks += 1;
                    Ok(UpdateDeadline::Continue(1))
                });
            }
            // Code compiled for ticks asks for the time even where nobody counts it.
            Interruption::Ticks => store.set_epoch_deadline(u64::MAX / 2),
            // Cannot fail: the engine counts.
            Interruption::Fuel => drop(store.set_fuel(u64::MAX)),
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
