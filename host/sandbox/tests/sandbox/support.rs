//! Sets sandboxes up, wraps snippets of wasm text into scripts, and runs them.

use bytes::Bytes;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use wasmill_core::{Digest, Failure, HostLimits, Outcome, RunLimits};
use wasmill_sandbox::{
    Admitted, Call, Environment, LogBuffer, Prepared, Refusal, Run, Sandbox, SandboxConfig,
};

/// The key of every sandbox here, unless a test is about keys.
pub(crate) const KEY: [u8; 32] = [7; 32];

pub(crate) fn compiler() -> PathBuf {
    env!("CARGO_BIN_EXE_wasmill-compile").into()
}

pub(crate) fn config(cache_dir: PathBuf) -> SandboxConfig {
    let limits = HostLimits { concurrent_runs: 16, ..HostLimits::default() };
    SandboxConfig {
        limits,
        cache_dir,
        artefact_key: KEY,
        shared_artefacts: None,
        compiler: compiler(),
        environment: vec![("WM_TEST".into(), "common".into())],
    }
}

/// A sandbox with a directory of its own.
pub(crate) fn sandbox_with(change: impl FnOnce(&mut SandboxConfig)) -> (Arc<Sandbox>, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path().join("cache"));
    change(&mut config);
    (Sandbox::new(config).unwrap(), directory)
}

/// The sandbox that most tests share: engines are dear, and sharing one is what the product does.
pub(crate) fn shared() -> &'static Arc<Sandbox> {
    static SHARED: OnceLock<(Arc<Sandbox>, TempDir)> = OnceLock::new();
    &SHARED.get_or_init(|| sandbox_with(|_| {})).0
}

/// Limits small enough for tests.
pub(crate) fn limits() -> RunLimits {
    RunLimits {
        wall: Duration::from_secs(10),
        memory_bytes: 32 << 20,
        log_bytes: 64 << 10,
        result_bytes: 1 << 20,
        ..RunLimits::default()
    }
}

pub(crate) fn call(args: &str, limits: RunLimits) -> Call {
    Call {
        confidential: false,
        args: args.into(),
        environment: Environment::new(|| vec![("WM_JOB".into(), "one".into())]),
        limits,
        log: Arc::new(LogBuffer::new(limits.log_bytes)),
        cancel: CancellationToken::new(),
    }
}

pub(crate) fn wasm(wat: &str) -> Bytes {
    wat::parse_str(wat).unwrap_or_else(|error| panic!("{error}")).into()
}

pub(crate) async fn admit(wat: &str) -> Result<Admitted, Refusal> {
    shared().admit(wasm(wat)).await
}

pub(crate) async fn prepared(sandbox: &Sandbox, wasm: Bytes) -> Arc<Prepared> {
    let admitted = sandbox.admit(wasm).await.unwrap_or_else(|refusal| panic!("{refusal}"));
    sandbox.prepared(&admitted.digest).unwrap()
}

/// What came of a run: its outcome, and its log.
pub(crate) struct Ran {
    pub(crate) run: Run,
    pub(crate) log: String,
}

impl Ran {
    /// The result's text; fails for a failure.
    pub(crate) fn result(&self) -> &str {
        match &self.run.outcome {
            Outcome::Success(json) => json.get(),
            Outcome::Failure(failure) => panic!("{failure:?}; log: {}", self.log),
        }
    }

    /// The failure; fails for a result.
    pub(crate) fn failure(&self) -> &Failure {
        match &self.run.outcome {
            Outcome::Failure(failure) => failure,
            Outcome::Success(json) => panic!("a success: {json}"),
        }
    }

    /// The failure's name.
    pub(crate) fn name(&self) -> &str {
        self.failure().name.as_str()
    }
}

pub(crate) async fn run_prepared(
    sandbox: &Sandbox,
    script: &Arc<Prepared>,
    args: &str,
    limits: RunLimits,
) -> Ran {
    let call = call(args, limits);
    let log = call.log.clone();
    let run = sandbox.invoke(script, call).await;
    Ran { run, log: String::from_utf8(log.finish().to_vec()).unwrap() }
}

pub(crate) async fn run_bytes(wasm: Bytes, args: &str, limits: RunLimits) -> Ran {
    let script = prepared(shared(), wasm).await;
    run_prepared(shared(), &script, args, limits).await
}

pub(crate) async fn run(wat: &str, args: &str) -> Ran {
    run_bytes(wasm(wat), args, limits()).await
}

/// A core command whose `_start` has this body. It may use `$write` to print from memory, and has
/// whatever `extra` declares.
pub(crate) fn command(extra: &str, body: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
            (memory (export "memory") 2)
            (func $write (param $fd i32) (param $at i32) (param $length i32)
                (i32.store (i32.const 0) (local.get $at))
                (i32.store (i32.const 4) (local.get $length))
                (drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
            {extra}
            (func (export "_start") {body}))"#
    )
}

/// A command that prints this to standard output, and then does what `then` says.
pub(crate) fn printing(text: &str, then: &str) -> String {
    let length = text.len();
    let escaped: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    command(
        &format!(r#"(data (i32.const 1024) "{escaped}")"#),
        &format!("(call $write (i32.const 1) (i32.const 1024) (i32.const {length})) {then}"),
    )
}

/// A typed component: `signature` is what follows `func` in its lifted type, `core` what `main` is
/// in its core module, which has a memory and `$realloc`.
pub(crate) fn typed(signature: &str, core: &str) -> String {
    format!(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (global $next (mut i32) (i32.const 4096))
                (func $realloc (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (local $at i32)
                    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
                    (global.set $next (i32.add (local.get $at) (local.get 3)))
                    (block $enough
                        (br_if $enough (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
                        (drop (memory.grow (i32.add (i32.div_u (local.get 3) (i32.const 65536)) (i32.const 1)))))
                    (local.get $at))
                {core})
            (core instance $i (instantiate $m))
            (func (export "main") {signature}
                (canon lift (core func $i "main") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#
    )
}

/// A dynamic component; `core` as for [`typed`], with two parameters for the text and a pointer as
/// its result.
pub(crate) fn dynamic(core: &str) -> String {
    let inner = typed("XXX", core);
    let module = &inner
        [inner.find("(core module").unwrap()..inner.find("(func (export \"main\") XXX").unwrap()];
    format!(
        r#"(component
            {module}
            (type $raw (record (field "name" string) (field "message" string) (field "stack" (option string))))
            (func $main (param "args" string) (result (result string (error $raw)))
                (canon lift (core func $i "main") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
            (component $shim
                (type $same (record (field "name" string) (field "message" string) (field "stack" (option string))))
                (import "script-error" (type $given (eq $same)))
                (import "main" (func $given-main (param "args" string) (result (result string (error $given)))))
                (export $named "script-error" (type $given))
                (export "main" (func $given-main) (func (param "args" string) (result (result string (error $named)))))
            )
            (instance $entry (instantiate $shim (with "script-error" (type $raw)) (with "main" (func $main))))
            (export "wasmill:script/entry@0.1.0" (instance $entry)))"#
    )
}

/// A dynamic `main` that gives back its arguments.
pub(crate) const ECHO: &str = r#"(func (export "main") (param i32 i32) (result i32)
    (i32.store8 (i32.const 16) (i32.const 0))
    (i32.store (i32.const 20) (local.get 0))
    (i32.store (i32.const 24) (local.get 1))
    (i32.const 16))"#;

/// A dynamic `main` that returns this text.
pub(crate) fn returning(text: &str) -> String {
    let length = text.len();
    let escaped: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    format!(
        r#"(data (i32.const 1024) "{escaped}")
        (func (export "main") (param i32 i32) (result i32)
            (i32.store8 (i32.const 16) (i32.const 0))
            (i32.store (i32.const 20) (i32.const 1024))
            (i32.store (i32.const 24) (i32.const {length}))
            (i32.const 16))"#
    )
}

/// A guest that another tool has built.
pub(crate) fn guest(name: &str) -> Bytes {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/guests").join(name);
    std::fs::read(&path)
        .unwrap_or_else(|error| {
            panic!("{}: {error}; build the guests with `cargo xtask guests`", path.display())
        })
        .into()
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Digest::of(bytes)
}

pub(crate) async fn never() -> Result<Bytes, String> {
    panic!("the bytes were asked for");
}
