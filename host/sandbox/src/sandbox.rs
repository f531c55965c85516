//! The sandbox as a whole: admits uploads, keeps versions ready, and owns what all runs share.
//!
//! A version is looked for in memory, then as compiled code on disk, then on the shelf that hosts
//! share, then compiled from its wasm bytes. Whoever comes second for the same digest waits for the
//! first, so that a popular version after a start, or an upload repeated fifty times, is compiled
//! once.

use crate::artefact::{Label, Loaded, Trusted};
use crate::compile::Compiler;
use crate::engine;
use crate::inspect::{self, Form, Inspected};
use crate::lanes::Lanes;
use crate::limiter::mib;
use crate::prepared::{Linkers, Prepared};
use crate::refusal::{PrepareError, Refusal, RefusalCode, SandboxError};
use crate::shelf::ArtefactShelf;
use crate::stock::{ArtefactCounts, Stock};
use bytes::Bytes;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::task::spawn_blocking;
use wasmill_core::{Digest, HostLimits, Kind};
use wasmtime::Engine;

/// How long a refusal by the compiler is remembered: long enough to stop a flood of the same
/// upload, short enough that a refusal by a busy moment passes.
const REFUSALS_KEPT: Duration = Duration::from_secs(60);
/// Time between two looks for versions that nobody calls.
const REST_PERIOD: Duration = Duration::from_secs(10);
/// Refusals remembered at once.
const REFUSAL_COUNT: u64 = 1_000;
/// Bytes that a version takes beside its code: tables of the linker, its types, its schema.
const VERSION_OVERHEAD: usize = 32 << 10;

/// What a sandbox is set up with.
#[derive(Clone)]
pub struct SandboxConfig {
    /// `concurrent_runs`, `warm_bytes`, `artefact_bytes`, `module_bytes` and `compile` are used.
    pub limits: HostLimits,
    /// Directory of compiled scripts, for this host's user alone.
    pub cache_dir: PathBuf,
    /// Secret by which this host knows its own compiled scripts again, and those of the hosts that
    /// have the same one.
    pub artefact_key: [u8; 32],
    /// Where hosts with the same key find each other's compiled scripts, if they share them.
    pub shelf: Option<Arc<dyn ArtefactShelf>>,
    /// The program to run as `<compiler> compile`: one that calls
    /// [`compile_child`](crate::compile_child).
    pub compiler: PathBuf,
    /// Variables that every run sees, before its own.
    pub environment: Vec<(String, String)>,
}

/// What is known of an admitted upload.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// How it is called.
    pub kind: Kind,
    /// The JSON Schema of its argument object.
    pub schema: Option<serde_json::Value>,
    /// The JSON Schema of its result, if typed.
    pub result_schema: Option<serde_json::Value>,
    /// Names of what it exports.
    pub exports: Vec<String>,
    /// Names of what it imports.
    pub imports: Vec<String>,
}

/// Runs scripts. One for a process: all of it hangs on one engine.
pub struct Sandbox {
    pub(crate) environment: Arc<[(String, String)]>,
    limits: HostLimits,
    engine: Engine,
    pub(crate) lanes: Lanes,
    linkers: Linkers,
    stock: Stock,
    compiler: Compiler,
    warm: moka::sync::Cache<Digest, Arc<Prepared>>,
    refused: moka::sync::Cache<Digest, Refusal>,
    flights: Flights,
}

impl Sandbox {
    /// Sets up the engine and the directory, and starts the clock thread, which ends with the
    /// sandbox.
    ///
    /// # Errors
    /// When one of the three can't be had.
    pub fn new(config: SandboxConfig) -> Result<Arc<Self>, SandboxError> {
        let SandboxConfig { limits, cache_dir, artefact_key, shelf, compiler, environment } =
            config;
        let engine_error = |error: wasmtime::Error| SandboxError::Engine(format!("{error:#}"));
        let engine = engine::host(limits.concurrent_runs.max(1)).map_err(engine_error)?;
        let linkers = Linkers::new(&engine).map_err(engine_error)?;
        let stock =
            Stock::open(&cache_dir, artefact_key, &engine, &limits, shelf).map_err(|source| {
                SandboxError::CacheDirectory { path: cache_dir.display().to_string(), source }
            })?;
        engine::start_ticker(&engine).map_err(SandboxError::Threads)?;
        let lanes = Lanes::new().map_err(SandboxError::Threads)?;
        let left = stock.clone();
        let warm = moka::sync::Cache::builder()
            .max_capacity(limits.warm_bytes)
            .weigher(|_, script: &Arc<Prepared>| {
                u32::try_from(script.bytes() + VERSION_OVERHEAD).unwrap_or(u32::MAX)
            })
            .eviction_listener(move |digest, _, _| left.used(&digest))
            .build();
        let refused = moka::sync::Cache::builder()
            .max_capacity(REFUSAL_COUNT)
            .time_to_live(REFUSALS_KEPT)
            .build();
        let sandbox = Arc::new(Self {
            environment: environment.into(),
            engine,
            lanes,
            linkers,
            stock,
            compiler: Compiler::new(compiler, limits.compile),
            limits,
            warm,
            refused,
            flights: Mutex::default(),
        });
        sandbox.lanes.spawn(let_rest(Arc::downgrade(&sandbox)));
        Ok(sandbox)
    }

    /// Gives back the pages of ready versions that were not called since the last time, to be read
    /// again from their files when they are. Returns how many versions that were. Called by the
    /// sandbox itself every ten seconds.
    pub fn rest(&self) -> usize {
        self.warm.iter().filter(|(_, script)| script.rest()).count()
    }

    /// Takes an upload: finds out what it is, compiles it in a child process, links it, and keeps
    /// it ready.
    ///
    /// # Errors
    /// A refusal with its reason.
    pub async fn admit(&self, wasm: Bytes) -> Result<Admitted, Refusal> {
        let (digest, found) = self.look(&wasm).await?;
        let turn = self.turn(digest);
        let _mine = turn.lock.lock().await;
        let script = match self.find(digest).await? {
            Some(script) => script,
            None => self.build(digest, &wasm, &found).await?,
        };
        Ok(Admitted {
            digest,
            kind: found.kind,
            schema: script.schema().cloned(),
            result_schema: script.result_schema().cloned(),
            exports: found.exports,
            imports: found.imports,
        })
    }

    /// A version ready to run, made ready if need be. `fetch` is asked for the wasm bytes only when
    /// neither memory nor disk nor shelf has the compiled code.
    ///
    /// # Errors
    /// When the bytes can't be had, are not those of the digest, or would not be admitted (any
    /// more), also as another kind.
    pub async fn prepare<F, Fut>(
        &self,
        digest: Digest,
        kind: Kind,
        fetch: F,
    ) -> Result<Arc<Prepared>, PrepareError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Bytes, String>>,
    {
        if let Some(script) = self.prepared(&digest) {
            return of_kind(script, kind);
        }
        let turn = self.turn(digest);
        let _mine = turn.lock.lock().await;
        of_kind(self.load(digest, fetch).await?, kind)
    }

    /// The version, if it is ready in memory. Cheap; the way of nearly every call.
    pub fn prepared(&self, digest: &Digest) -> Option<Arc<Prepared>> {
        self.warm.get(digest)
    }

    /// Forgets the compiled code of a deleted version, in memory, on disk and on the shelf. Runs
    /// that have it go on.
    pub async fn forget(&self, digest: Digest) {
        self.warm.invalidate(&digest);
        self.stock.remove(digest).await;
    }

    /// Where compiled code came from so far, and went.
    pub fn artefact_counts(&self) -> ArtefactCounts {
        self.stock.counts()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    async fn load<F, Fut>(&self, digest: Digest, fetch: F) -> Result<Arc<Prepared>, PrepareError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Bytes, String>>,
    {
        if let Some(script) = self.find(digest).await? {
            return Ok(script);
        }
        let wasm = fetch().await.map_err(PrepareError::Fetch)?;
        let (found_digest, found) = self.look(&wasm).await?;
        if found_digest != digest {
            return Err(PrepareError::Fetch(format!(
                "they have the digest {found_digest} instead of {digest}"
            )));
        }
        Ok(self.build(digest, &wasm, &found).await?)
    }

    /// Digest and outline. Both read all of the bytes, so it is not done on an executor thread.
    async fn look(&self, wasm: &Bytes) -> Result<(Digest, Inspected), Refusal> {
        if wasm.len() as u64 > self.limits.module_bytes {
            let (has, may) = (mib(wasm.len() as u64), mib(self.limits.module_bytes));
            return Err(Refusal::new(
                RefusalCode::TooLarge,
                format!("the script has {has}; at most {may} are accepted"),
            ));
        }
        let (wasm, limits) = (wasm.clone(), self.limits.compile);
        spawn_blocking(move || Ok((Digest::of(&wasm), inspect::inspect(&wasm, &limits)?)))
            .await
            .map_err(|error| Refusal::internal("inspecting a script", error))?
    }

    /// The version from compiled code that is there already. Nothing usable is no error.
    async fn find(&self, digest: Digest) -> Result<Option<Arc<Prepared>>, Refusal> {
        if let Some(script) = self.prepared(&digest) {
            return Ok(Some(script));
        }
        if let Some(trusted) = self.stock.on_disk(digest).await
            && let Some(script) = self.link(digest, trusted).await?
        {
            return Ok(Some(script));
        }
        let Some((trusted, sealed)) = self.stock.on_shelf(digest).await else { return Ok(None) };
        let lost = || Refusal::internal("writing compiled code", "its thread has ended");
        let trusted =
            self.stock.write(digest, trusted, sealed, self.in_use()).await.ok_or_else(lost)?;
        let script = self.link(digest, trusted).await;
        if !matches!(script, Ok(Some(_))) {
            self.stock.discard(digest).await;
        }
        script
    }

    /// From wasm bytes to a linked version.
    async fn build(
        &self,
        digest: Digest,
        wasm: &Bytes,
        found: &Inspected,
    ) -> Result<Arc<Prepared>, Refusal> {
        if let Some(refusal) = self.refused.get(&digest) {
            return Err(refusal);
        }
        let result = self.build_anew(digest, wasm, found).await;
        if let Err(refusal) = &result
            && refusal.code != RefusalCode::Internal
        {
            self.refused.insert(digest, refusal.clone());
        }
        result
    }

    async fn build_anew(
        &self,
        digest: Digest,
        wasm: &Bytes,
        found: &Inspected,
    ) -> Result<Arc<Prepared>, Refusal> {
        let code = self.compiler.compile(found.form, wasm).await?;
        let label = Label {
            core: found.form == Form::Core,
            kind: found.kind,
            entry: found.entry.clone(),
            schema: found.schema.clone(),
        };
        let trusted = Trusted::from_compiler(label, code);
        let (stock, in_use) = (self.stock.clone(), self.in_use());
        // Kept even if the upload is abandoned now; it took long enough.
        let keeping = tokio::spawn(async move { stock.keep(digest, trusted, in_use).await });
        let lost = || Refusal::internal("keeping compiled code", "its thread has ended");
        let (trusted, sealed) = keeping.await.ok().flatten().ok_or_else(lost)?;
        let script = self.first_link(digest, trusted).await;
        match (&script, sealed) {
            (Ok(_), Some(sealed)) => self.stock.put_on_shelf(digest, sealed),
            (Ok(_), None) => {}
            (Err(_), _) => self.stock.discard(digest).await,
        }
        script
    }

    /// The version that this is the code of, which this engine has just made.
    async fn first_link(&self, digest: Digest, trusted: Trusted) -> Result<Arc<Prepared>, Refusal> {
        let (trusted, loaded) = self.revive(trusted).await?;
        // The compiler has agreed; what can fail now is that a run may not have so many memories or
        // tables.
        let loaded = loaded.map_err(|error| {
            let detail = crate::text::tamed(&format!("{error:#}"), 300);
            Refusal::new(
                RefusalCode::TooComplex,
                format!("the script needs more than a run may have: {detail}"),
            )
        })?;
        let script = Arc::new(Prepared::link(
            digest,
            &trusted,
            loaded,
            &self.linkers,
            &self.limits.compile,
        )?);
        self.warm.insert(digest, script.clone());
        Ok(script)
    }

    /// Tells what is ready in memory: nothing of that is removed from the disk.
    fn in_use(&self) -> impl Fn(&Digest) -> bool + Send + 'static {
        // What must go goes by and by; here it matters.
        self.warm.run_pending_tasks();
        let warm = self.warm.clone();
        move |digest| warm.contains_key(digest)
    }

    /// The version that this is the code of; `None` when it does not fit this engine.
    async fn link(
        &self,
        digest: Digest,
        trusted: Trusted,
    ) -> Result<Option<Arc<Prepared>>, Refusal> {
        let (trusted, loaded) = self.revive(trusted).await?;
        match loaded {
            Ok(loaded) => {
                let script = Arc::new(Prepared::link(
                    digest,
                    &trusted,
                    loaded,
                    &self.linkers,
                    &self.limits.compile,
                )?);
                self.warm.insert(digest, script.clone());
                Ok(Some(script))
            }
            Err(error) => {
                tracing::warn!(%digest, error = %format_args!("{error:#}"), "compiled code that was kept does not fit this engine; it is compiled again");
                Ok(None)
            }
        }
    }

    /// Loads code off the executor threads: it may have tens of megabytes, on a disk.
    async fn revive(
        &self,
        trusted: Trusted,
    ) -> Result<(Trusted, wasmtime::Result<Loaded>), Refusal> {
        let engine = self.engine.clone();
        spawn_blocking(move || {
            let code = trusted.load(&engine);
            (trusted, code)
        })
        .await
        .map_err(|error| Refusal::internal("loading compiled code", error))
    }

    /// The turn to work on one digest: whoever else wants it waits on the same lock.
    fn turn(&self, digest: Digest) -> Turn<'_> {
        let lock = lock(&self.flights).entry(digest).or_default().clone();
        Turn { flights: &self.flights, digest, lock }
    }
}

/// Lets versions rest that nobody calls, as long as there is a sandbox.
async fn let_rest(sandbox: Weak<Sandbox>) {
    loop {
        tokio::time::sleep(REST_PERIOD).await;
        let Some(sandbox) = sandbox.upgrade() else { return };
        sandbox.rest();
    }
}

type Flights = Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>;

fn lock(flights: &Flights) -> MutexGuard<'_, HashMap<Digest, Arc<tokio::sync::Mutex<()>>>> {
    // A map of locks has no state that a panic could leave half done.
    flights.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place in the queue for one digest. The last one to leave it, also by being cancelled, removes
/// the queue.
struct Turn<'a> {
    flights: &'a Flights,
    digest: Digest,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut flights = lock(self.flights);
        // One is held by the map and one here; new ones are only made under the map's lock.
        if Arc::strong_count(&self.lock) <= 2 {
            flights.remove(&self.digest);
        }
    }
}

/// A version is run as the kind that it was deployed as; the same bytes are always of one kind.
fn of_kind(script: Arc<Prepared>, kind: Kind) -> Result<Arc<Prepared>, PrepareError> {
    if script.kind() == kind {
        return Ok(script);
    }
    let message = format!("the script is recorded as {kind}, but it is {}", script.kind());
    Err(PrepareError::Refused(Refusal::new(RefusalCode::NothingToCall, message)))
}
