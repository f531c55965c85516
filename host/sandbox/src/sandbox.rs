//! The sandbox: admits uploads, keeps versions ready to run, and owns what all runs share.
//!
//! A version is looked for in memory, then on the disk, then among the shared artefacts. When none
//! of them has it, it is compiled from its wasm bytes. Calls that need the same version at the same
//! time wait for the first of them. So a popular version is compiled once after a start, and so is
//! an upload that is repeated fifty times.

use crate::artefact::{ArtefactMetadata, Loaded, TrustedCode};
use crate::artefact_store::{ArtefactCounts, ArtefactStore};
use crate::background_pool::BackgroundPool;
use crate::compile::Compiler;
use crate::engine;
use crate::inspect::{self, Form, Inspected};
use crate::limiter::mib;
use crate::prepared::{Linkers, Prepared};
use crate::refusal::{PrepareError, Refusal, RefusalCode, SandboxError};
use crate::shared_artefacts::SharedArtefacts;
use bytes::Bytes;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::task::spawn_blocking;
use wasmill_core::limits::{REFUSAL_DETAIL_BYTES, REFUSAL_KEPT};
use wasmill_core::{Digest, HostLimits, Kind};
use wasmtime::Engine;

/// Time between two searches for versions that nobody calls.
const IDLE_CHECK_PERIOD: Duration = Duration::from_secs(10);
/// Maximum number of refusals that are kept.
const REFUSAL_COUNT: u64 = 1_000;
/// Bytes of memory that a version needs beside its code: tables of the linker, types, schema.
const VERSION_OVERHEAD: usize = 32 << 10;

/// The configuration of a sandbox.
#[derive(Clone)]
pub struct SandboxConfig {
    /// The sandbox uses `concurrent_runs`, `warm_bytes`, `artefact_bytes`, `module_bytes` and
    /// `compile`.
    pub limits: HostLimits,
    /// The directory of compiled scripts, accessible to the user of the host alone.
    pub cache_dir: PathBuf,
    /// The secret key that authenticates compiled scripts. Hosts that share artefacts have the same
    /// key.
    pub artefact_key: [u8; 32],
    /// The store of compiled scripts that hosts with the same key share, if they share one.
    pub shared_artefacts: Option<Arc<dyn SharedArtefacts>>,
    /// The program that compiles, called as `<compiler> compile`. It must call
    /// [`compile_child`](crate::compile_child).
    pub compiler: PathBuf,
    /// Environment variables of every run. The variables of a call come after them.
    pub environment: Vec<(String, String)>,
}

/// What the sandbox knows of an admitted upload.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// SHA-256 of the wasm bytes.
    pub digest: Digest,
    /// How the script is called.
    pub kind: Kind,
    /// The JSON Schema of the argument object.
    pub schema: Option<serde_json::Value>,
    /// The JSON Schema of the result, of a typed script.
    pub result_schema: Option<serde_json::Value>,
    /// The names of the exports.
    pub exports: Vec<String>,
    /// The names of the imports.
    pub imports: Vec<String>,
}

/// Runs scripts. A process has one sandbox, because the engine is made once.
pub struct Sandbox {
    pub(crate) environment: Arc<[(String, String)]>,
    limits: HostLimits,
    engine: Engine,
    pub(crate) background: BackgroundPool,
    linkers: Linkers,
    artefacts: ArtefactStore,
    compiler: Compiler,
    warm: moka::sync::Cache<Digest, Arc<Prepared>>,
    refused: moka::sync::Cache<Digest, Refusal>,
    locks: DigestLocks,
}

impl Sandbox {
    /// Makes the engine, opens the directory, and starts the threads of the sandbox: the epoch
    /// clock and the background pool. They end when the sandbox is dropped.
    ///
    /// # Errors
    /// When the engine, the directory or the threads are not available.
    pub fn new(config: SandboxConfig) -> Result<Arc<Self>, SandboxError> {
        let SandboxConfig {
            limits,
            cache_dir,
            artefact_key,
            shared_artefacts,
            compiler,
            environment,
        } = config;
        let engine_error = |error: wasmtime::Error| SandboxError::Engine(format!("{error:#}"));
        let engine = engine::host(limits.concurrent_runs.max(1)).map_err(engine_error)?;
        let linkers = Linkers::new(&engine).map_err(engine_error)?;
        let artefacts =
            ArtefactStore::open(&cache_dir, artefact_key, &engine, &limits, shared_artefacts)
                .map_err(|source| SandboxError::CacheDirectory {
                    path: cache_dir.display().to_string(),
                    source,
                })?;
        engine::start_ticker(&engine).map_err(SandboxError::Threads)?;
        let background = BackgroundPool::new().map_err(SandboxError::Threads)?;
        let artefacts_of_evicted = artefacts.clone();
        let warm = moka::sync::Cache::builder()
            .max_capacity(limits.warm_bytes)
            .weigher(|_, script: &Arc<Prepared>| {
                u32::try_from(script.bytes() + VERSION_OVERHEAD).unwrap_or(u32::MAX)
            })
            .eviction_listener(move |digest, _, _| artefacts_of_evicted.mark_used(&digest))
            .build();
        let refused = moka::sync::Cache::builder()
            .max_capacity(REFUSAL_COUNT)
            .time_to_live(REFUSAL_KEPT)
            .build();
        let sandbox = Arc::new(Self {
            environment: environment.into(),
            engine,
            background,
            linkers,
            artefacts,
            compiler: Compiler::new(compiler, limits.compile),
            limits,
            warm,
            refused,
            locks: Mutex::default(),
        });
        sandbox.background.spawn(release_idle_code_periodically(Arc::downgrade(&sandbox)));
        Ok(sandbox)
    }

    /// Releases the memory pages of ready versions that were not called since the last call of this
    /// method. The system reads the pages from the files again when the version is called. Returns
    /// the number of versions whose pages were released. The sandbox itself calls this method every
    /// ten seconds.
    pub fn release_idle_code(&self) -> usize {
        self.warm.iter().filter(|(_, script)| script.release_if_idle()).count()
    }

    /// Admits an upload: inspects it, compiles it in a child process, links it, and keeps it ready.
    ///
    /// # Errors
    /// Why the upload is refused.
    pub async fn admit(&self, wasm: Bytes) -> Result<Admitted, Refusal> {
        let (digest, found) = self.inspect_upload(&wasm).await?;
        let digest_lock = self.lock_digest(digest);
        let _mine = digest_lock.lock.lock().await;
        let script = match self.find_compiled(digest).await? {
            Some(script) => script,
            None => self.compile_unless_refused(digest, &wasm, &found).await?,
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

    /// A version that is ready to run. Makes it ready when it is not. `fetch` returns the wasm
    /// bytes; it is called only when neither memory nor disk nor the shared artefacts have the
    /// compiled code.
    ///
    /// # Errors
    /// When `fetch` fails, when its bytes do not have the digest, when they would not be admitted
    /// now, or when the script is not of the kind `kind`.
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
        let digest_lock = self.lock_digest(digest);
        let _mine = digest_lock.lock.lock().await;
        of_kind(self.load(digest, fetch).await?, kind)
    }

    /// The version, when it is ready in memory. Cheap: nearly every call takes this way.
    pub fn prepared(&self, digest: &Digest) -> Option<Arc<Prepared>> {
        self.warm.get(digest)
    }

    /// Removes the compiled code of a deleted version from memory, from the disk and from the
    /// shared artefacts. Runs that use the code go on.
    pub async fn forget(&self, digest: Digest) {
        self.warm.invalidate(&digest);
        self.artefacts.remove(digest).await;
    }

    /// Counts of compiled scripts since the sandbox was made.
    pub fn artefact_counts(&self) -> ArtefactCounts {
        self.artefacts.counts()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    async fn load<F, Fut>(&self, digest: Digest, fetch: F) -> Result<Arc<Prepared>, PrepareError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Bytes, String>>,
    {
        if let Some(script) = self.find_compiled(digest).await? {
            return Ok(script);
        }
        let wasm = fetch().await.map_err(PrepareError::Fetch)?;
        let (found_digest, found) = self.inspect_upload(&wasm).await?;
        if found_digest != digest {
            return Err(PrepareError::Fetch(format!(
                "they have the digest {found_digest} instead of {digest}"
            )));
        }
        Ok(self.compile_unless_refused(digest, &wasm, &found).await?)
    }

    /// The digest and the outline of an upload. Reads all of the bytes, so it runs on a thread for
    /// blocking work.
    async fn inspect_upload(&self, wasm: &Bytes) -> Result<(Digest, Inspected), Refusal> {
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

    /// The version, when its compiled code is in memory, on the disk or among the shared artefacts.
    /// `None` when no usable code is found.
    async fn find_compiled(&self, digest: Digest) -> Result<Option<Arc<Prepared>>, Refusal> {
        if let Some(script) = self.prepared(&digest) {
            return Ok(Some(script));
        }
        if let Some(trusted) = self.artefacts.read_from_disk(digest).await
            && let Some(script) = self.link(digest, trusted).await?
        {
            return Ok(Some(script));
        }
        let Some((trusted, sealed)) = self.artefacts.read_from_shared(digest).await else {
            return Ok(None);
        };
        let lost = || Refusal::internal("writing compiled code", "its thread has ended");
        let trusted =
            self.artefacts.write(digest, trusted, sealed, self.in_use()).await.ok_or_else(lost)?;
        let script = self.link(digest, trusted).await;
        if !matches!(script, Ok(Some(_))) {
            self.artefacts.discard(digest).await;
        }
        script
    }

    /// Compiles and links a version, except when the compiler has refused it a moment ago.
    async fn compile_unless_refused(
        &self,
        digest: Digest,
        wasm: &Bytes,
        found: &Inspected,
    ) -> Result<Arc<Prepared>, Refusal> {
        if let Some(refusal) = self.refused.get(&digest) {
            return Err(refusal);
        }
        let result = self.compile_and_link(digest, wasm, found).await;
        if let Err(refusal) = &result
            && refusal.code != RefusalCode::Internal
        {
            self.refused.insert(digest, refusal.clone());
        }
        result
    }

    async fn compile_and_link(
        &self,
        digest: Digest,
        wasm: &Bytes,
        found: &Inspected,
    ) -> Result<Arc<Prepared>, Refusal> {
        let code = self.compiler.compile(found.form, wasm).await?;
        let metadata = ArtefactMetadata {
            core: found.form == Form::Core,
            kind: found.kind,
            entry: found.entry.clone(),
            schema: found.schema.clone(),
        };
        let trusted = TrustedCode::from_compiler(metadata, code);
        let (artefacts, in_use) = (self.artefacts.clone(), self.in_use());
        // The code is kept also when the upload is abandoned now, because compiling takes long.
        let keeping = tokio::spawn(async move { artefacts.keep(digest, trusted, in_use).await });
        let lost = || Refusal::internal("keeping compiled code", "its thread has ended");
        let (trusted, sealed) = keeping.await.ok().flatten().ok_or_else(lost)?;
        let script = self.first_link(digest, trusted).await;
        match (&script, sealed) {
            (Ok(_), Some(sealed)) => self.artefacts.publish(digest, sealed),
            (Ok(_), None) => {}
            (Err(_), _) => self.artefacts.discard(digest).await,
        }
        script
    }

    /// Links code that the compile child has just made.
    async fn first_link(
        &self,
        digest: Digest,
        trusted: TrustedCode,
    ) -> Result<Arc<Prepared>, Refusal> {
        let (trusted, loaded) = self.load_code(trusted).await?;
        // The compiler has accepted the script. Loading fails when a run may not have as many
        // memories or tables as the script has.
        let loaded = loaded.map_err(|error| {
            let detail = crate::sanitize::escaped(&format!("{error:#}"), REFUSAL_DETAIL_BYTES);
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

    /// A function that tells which versions are ready in memory. Their files are not removed.
    fn in_use(&self) -> impl Fn(&Digest) -> bool + Send + 'static {
        // moka evicts entries later, in batches. The function must not see entries that are to be
        // evicted.
        self.warm.run_pending_tasks();
        let warm = self.warm.clone();
        move |digest| warm.contains_key(digest)
    }

    /// Links stored code; `None` when the code does not fit this engine.
    async fn link(
        &self,
        digest: Digest,
        trusted: TrustedCode,
    ) -> Result<Option<Arc<Prepared>>, Refusal> {
        let (trusted, loaded) = self.load_code(trusted).await?;
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

    /// Loads code on a thread for blocking work: the code may have tens of megabytes on a disk.
    async fn load_code(
        &self,
        trusted: TrustedCode,
    ) -> Result<(TrustedCode, wasmtime::Result<Loaded>), Refusal> {
        let engine = self.engine.clone();
        spawn_blocking(move || {
            let code = trusted.load(&engine);
            (trusted, code)
        })
        .await
        .map_err(|error| Refusal::internal("loading compiled code", error))
    }

    /// The lock of one digest. Calls that need the same version wait for each other on it.
    fn lock_digest(&self, digest: Digest) -> DigestLock<'_> {
        let lock = lock(&self.locks).entry(digest).or_default().clone();
        DigestLock { locks: &self.locks, digest, lock }
    }
}

/// Calls [`Sandbox::release_idle_code`] periodically until the sandbox is dropped.
async fn release_idle_code_periodically(sandbox: Weak<Sandbox>) {
    loop {
        tokio::time::sleep(IDLE_CHECK_PERIOD).await;
        let Some(sandbox) = sandbox.upgrade() else { return };
        sandbox.release_idle_code();
    }
}

type DigestLocks = Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>;

fn lock(locks: &DigestLocks) -> MutexGuard<'_, HashMap<Digest, Arc<tokio::sync::Mutex<()>>>> {
    // A panic cannot leave a map of locks half changed.
    locks.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A reference to the lock of one digest. The last reference removes the lock from the map when it
/// is dropped, also when its future was cancelled.
struct DigestLock<'a> {
    locks: &'a DigestLocks,
    digest: Digest,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl Drop for DigestLock<'_> {
    fn drop(&mut self) {
        let mut locks = lock(self.locks);
        // The map holds one reference and `self` holds one. New references are made only while the
        // map is locked.
        if Arc::strong_count(&self.lock) <= 2 {
            locks.remove(&self.digest);
        }
    }
}

/// A version runs as the kind that it was deployed as. The same bytes are always of the same kind.
fn of_kind(script: Arc<Prepared>, kind: Kind) -> Result<Arc<Prepared>, PrepareError> {
    if script.kind() == kind {
        return Ok(script);
    }
    let message = format!("the script is recorded as {kind}, but it is {}", script.kind());
    Err(PrepareError::Refused(Refusal::new(RefusalCode::NothingToCall, message)))
}
