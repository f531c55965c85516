//! The host's side of compiling: starts the child, feeds it, reads the code, and reads any abnormal
//! end as a refusal.

use crate::compile_child::{Order, REFUSED, UNABLE};
use crate::inspect::Form;
use crate::limiter::mib;
use crate::refusal::{Refusal, RefusalCode};
use crate::text;
use bytes::Bytes;
use rustix::process::Signal;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::sync::Semaphore;
use wasmill_core::limits::CompileLimits;

/// Bytes read of the child's standard error: it holds one message.
const ERROR_BYTES: u64 = 16 << 10;
/// Bytes shown of it.
const MESSAGE_BYTES: usize = 600;

/// Compiles scripts in child processes, a few at a time.
pub(crate) struct Compiler {
    program: PathBuf,
    limits: CompileLimits,
    places: Semaphore,
}

/// How a child ended.
struct End {
    code: Option<i32>,
    signal: Option<i32>,
    output: Vec<u8>,
    errors: Vec<u8>,
}

impl Compiler {
    pub(crate) fn new(program: PathBuf, limits: CompileLimits) -> Self {
        let places = Semaphore::new(limits.children.max(1) as usize);
        Self { program, limits, places }
    }

    /// The machine code of a script. Waits for a place first.
    ///
    /// # Errors
    /// `Malformed` with the compiler's message, `TooCostlyToCompile`, or `Internal`.
    pub(crate) async fn compile(&self, form: Form, wasm: &Bytes) -> Result<Vec<u8>, Refusal> {
        let _place = self
            .places
            .acquire()
            .await
            .map_err(|error| Refusal::internal("waiting for a compile child", error))?;
        let limits = &self.limits;
        let end = match tokio::time::timeout(limits.wall, self.run(form, wasm)).await {
            Ok(end) => {
                end.map_err(|error| Refusal::internal("running the compile child", error))?
            }
            // The child was dropped with the future, which kills it.
            Err(_) => {
                return Err(too_costly(format!(
                    "it was not done after {} s",
                    limits.wall.as_secs()
                )));
            }
        };
        let message = text::tamed(text::lossy(&end.errors).trim(), MESSAGE_BYTES);
        match (end.code, end.signal) {
            (Some(0), _) if end.output.starts_with(b"\x7fELF") => Ok(end.output),
            (Some(0), _) => {
                Err(Refusal::internal("reading the compiled code", "it is not machine code"))
            }
            (Some(code), _) if code == i32::from(REFUSED) => Err(Refusal::new(
                RefusalCode::Malformed,
                format!("the script does not compile: {message}"),
            )),
            (Some(code), _) if code == i32::from(UNABLE) => {
                Err(Refusal::internal("the compile child", message))
            }
            (_, Some(signal)) if signal == Signal::XCPU.as_raw() => Err(too_costly(format!(
                "it took more than {} s of processor time",
                limits.cpu.as_secs()
            ))),
            (code, signal) => {
                tracing::info!(code, signal, message, "the compile child ended abnormally");
                Err(too_costly(format!(
                    "the compiler ran out of memory or stack (it may have {}), or failed on it",
                    mib(limits.address_space_bytes)
                )))
            }
        }
    }

    async fn run(&self, form: Form, wasm: &Bytes) -> io::Result<End> {
        let mut child = Command::new(&self.program)
            .arg("compile")
            // Nothing of the host's environment is its business: variables change how compilers
            // work, and may be secret.
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let missing = || io::Error::other("the child has no pipes");
        let (Some(mut input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(missing());
        };
        let order = Order::new(form, &self.limits, wasm.len()).to_bytes();
        let feed = async move {
            // A child that ended early does not read on; its end says why.
            if input.write_all(&order).await.is_ok() {
                let _ = input.write_all(wasm).await;
            }
        };
        // No more code can come out than fits in the child, nor is more read.
        let ((), output, errors) = tokio::join!(
            feed,
            drain(output, self.limits.address_space_bytes),
            drain(errors, ERROR_BYTES)
        );
        let end = child.wait().await?;
        Ok(End { code: end.code(), signal: end.signal(), output: output?, errors: errors? })
    }
}

async fn drain(pipe: impl AsyncRead + Unpin, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pipe.take(limit).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

fn too_costly(why: String) -> Refusal {
    Refusal::new(
        RefusalCode::TooCostlyToCompile,
        format!(
            "the script is too costly to compile: {why}. Very large functions are the usual reason; a smaller or optimised build helps"
        ),
    )
}
