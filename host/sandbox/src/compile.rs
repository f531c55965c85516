//! The host's side of compiling: starts the compile child, writes the script to it, reads the
//! machine code, and turns an abnormal end of the child into a refusal.

use crate::compile_child::{CompileRequest, REFUSED, UNABLE};
use crate::inspect::Form;
use crate::limiter::mib;
use crate::refusal::{Refusal, RefusalCode};
use crate::sanitize;
use bytes::Bytes;
use rustix::process::Signal;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::sync::Semaphore;
use wasmill_core::limits::{COMPILER_MESSAGE_BYTES, CompileLimits};

/// Bytes that are read of the standard error of the child, which holds one message.
const ERROR_BYTES: u64 = 16 << 10;

/// Compiles scripts in child processes. Limits how many children there are at the same time.
pub(crate) struct Compiler {
    program: PathBuf,
    limits: CompileLimits,
    slots: Semaphore,
}

/// The exit of a child and its output.
struct ChildExit {
    code: Option<i32>,
    signal: Option<i32>,
    output: Vec<u8>,
    errors: Vec<u8>,
}

impl Compiler {
    pub(crate) fn new(program: PathBuf, limits: CompileLimits) -> Self {
        let slots = Semaphore::new(limits.children.max(1) as usize);
        Self { program, limits, slots }
    }

    /// The machine code of a script. Waits first while the maximum number of children runs.
    ///
    /// # Errors
    /// `Malformed` with the message of the compiler, `TooCostlyToCompile`, or `Internal`.
    pub(crate) async fn compile(&self, form: Form, wasm: &Bytes) -> Result<Vec<u8>, Refusal> {
        let _slot = self
            .slots
            .acquire()
            .await
            .map_err(|error| Refusal::internal("waiting for a compile child", error))?;
        let limits = &self.limits;
        let end = match tokio::time::timeout(limits.wall, self.run(form, wasm)).await {
            Ok(end) => {
                end.map_err(|error| Refusal::internal("running the compile child", error))?
            }
            // The timeout has dropped the child, which kills it.
            Err(_) => {
                return Err(too_costly(format!(
                    "it was not done after {} s",
                    limits.wall.as_secs()
                )));
            }
        };
        let message =
            sanitize::escaped(sanitize::lossy(&end.errors).trim(), COMPILER_MESSAGE_BYTES);
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

    async fn run(&self, form: Form, wasm: &Bytes) -> io::Result<ChildExit> {
        let mut child = Command::new(&self.program)
            .arg("compile")
            // The child does not need the environment of the host. Variables may be secret, and
            // some change how a compiler works.
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
        let request = CompileRequest::new(form, &self.limits, wasm.len()).to_bytes();
        let feed = async move {
            // A child that has ended does not read the rest. Its exit tells why it ended.
            if input.write_all(&request).await.is_ok() {
                let _ = input.write_all(wasm).await;
            }
        };
        // The child cannot produce more code than its address space holds, so no more is read.
        let ((), output, errors) = tokio::join!(
            feed,
            drain(output, self.limits.address_space_bytes),
            drain(errors, ERROR_BYTES)
        );
        let end = child.wait().await?;
        Ok(ChildExit { code: end.code(), signal: end.signal(), output: output?, errors: errors? })
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
