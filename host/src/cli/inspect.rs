//! `wasmill inspect`: what a wasm file is, found out on this machine without a host.

use super::result::CliResult;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use wasmill_core::HostLimits;
use wasmill_sandbox::{Admitted, Refusal, Sandbox, SandboxConfig, inspect};

/// Arguments of `inspect`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The wasm file
    file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Looks at the file without compiling it, then does what an upload would do. Fails when a host
/// would refuse it.
pub(crate) fn run(args: &Args) -> CliResult {
    let wasm = std::fs::read(&args.file)
        .map_err(|error| format!("{} cannot be read: {error}", args.file.display()))?;
    let bytes = wasm.len();
    let outline = inspect(&wasm, &HostLimits::default().compile);
    let admitted = match &outline {
        Ok(_) => admit(wasm)?,
        Err(refusal) => Err(refusal.clone()),
    };
    let accepted = admitted.is_ok();
    if args.json {
        print_json(&admitted, bytes)
    } else {
        print(&args.file, &admitted, bytes)
    }
    Ok(if accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn admit(wasm: Vec<u8>) -> Result<Result<Admitted, Refusal>, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let scratch = Scratch::new()?;
    let limits = HostLimits { concurrent_runs: 1, ..HostLimits::default() };
    let compiler = std::env::current_exe()
        .map_err(|error| format!("this program's own file is not known: {error}"))?;
    let config = SandboxConfig {
        limits,
        cache_dir: scratch.0.clone(),
        artefact_key: [0; 32],
        shared_artefacts: None,
        compiler,
        environment: Vec::new(),
    };
    runtime.block_on(async {
        let sandbox = Sandbox::new(config).map_err(|error| error.to_string())?;
        Ok(sandbox.admit(wasm.into()).await)
    })
}

/// A folder that goes away with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, String> {
        let random = getrandom::u64().map_err(|error| error.to_string())?;
        let path = std::env::temp_dir().join(format!("wasmill-inspect-{random:016x}"));
        std::fs::create_dir(&path)
            .map_err(|error| format!("{} cannot be made: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is an empty cache in the system's own folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn print_json(admitted: &Result<Admitted, Refusal>, bytes: usize) {
    let object = match admitted {
        Ok(found) => serde_json::json!({
            "accepted": true,
            "kind": found.kind,
            "bytes": bytes,
            "module": found.digest.to_hex(),
            "exports": found.exports,
            "imports": found.imports,
            "schema": found.schema,
            "result_schema": found.result_schema,
        }),
        Err(refusal) => {
            serde_json::json!({"accepted": false, "bytes": bytes, "code": refusal.code.as_str(), "reason": refusal.message})
        }
    };
    println!("{object:#}");
}

fn print(file: &Path, admitted: &Result<Admitted, Refusal>, bytes: usize) {
    println!("{}  {bytes} bytes", file.display());
    match admitted {
        Ok(found) => {
            println!("accepted  {}", found.kind);
            println!("module    sha256:{}", found.digest);
            println!("exports   {}", found.exports.join(", "));
            println!(
                "imports   {}",
                if found.imports.is_empty() { "nothing".into() } else { found.imports.join(", ") }
            );
            println!(
                "arguments {}",
                found.schema.as_ref().map_or_else(
                    || "not described: any JSON object".into(),
                    |schema| format!("{schema:#}")
                )
            );
        }
        Err(refusal) => println!("refused   {} ({})", refusal.message, refusal.code),
    }
}
