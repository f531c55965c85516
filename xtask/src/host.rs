//! The host binary, built and run for the demo: started on a free port, and stopped by its id
//! however the demo ends.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::process::{cargo, run};
use crate::steps::step;

/// Builds the host and returns its binary.
pub(crate) fn build(root: &Path) -> Result<PathBuf> {
    step(
        "building the host (the first time takes some minutes: there is a compiler in it)",
        || {
            // The programs of the whole workspace, not the one package alone: the engine is then
            // compiled with the features that the tests need too, and not once for each.
            run(cargo(root).args([
                "build",
                "--quiet",
                "--locked",
                "--release",
                "--workspace",
                "--bins",
            ]))
        },
    )?;
    Ok(root.join("target/release/wasmill"))
}

/// A running host.
pub(crate) struct Host {
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub(crate) url: String,
    /// The admin's token.
    pub(crate) token: String,
    /// Where its data is.
    pub(crate) data: PathBuf,
}

impl Host {
    /// Starts a host on an empty data folder. `listen` may have port 0.
    pub(crate) fn start(binary: &Path, folder: &Path, listen: &str) -> Result<Self> {
        if folder.exists() {
            std::fs::remove_dir_all(folder)
                .with_context(|| format!("could not empty {}", folder.display()))?;
        }
        let data = folder.join("data");
        std::fs::create_dir_all(&data)
            .with_context(|| format!("could not make {}", data.display()))?;
        let log_file = folder.join("host.log");
        let log = std::fs::File::create(&log_file)
            .with_context(|| format!("could not make {}", log_file.display()))?;
        let mut child = Command::new(binary)
            .args(["serve", "--listen", listen, "--data"])
            .arg(&data)
            .env("WASMILL_CONFIG", folder.join("config.json"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("could not start {}", binary.display()))?;
        let stdout = child.stdout.take().context("the host has no stdout")?;
        // From here on, dropping stops the process.
        let mut host = Self { child, url: String::new(), token: String::new(), data };
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .context("could not read the host's first line")?;
        let Some(url) = line.trim().strip_prefix("listening on ") else {
            bail!("the host did not start; its log is in {}", log_file.display());
        };
        host.url = url.to_owned();
        let token_file = host.data.join("admin-token");
        host.token = std::fs::read_to_string(&token_file)
            .with_context(|| format!("could not read {}", token_file.display()))?
            .trim()
            .to_owned();
        Ok(host)
    }

    /// Waits until the host ends by itself.
    pub(crate) fn wait(&mut self) -> Result<()> {
        self.child.wait().context("could not wait for the host").map(drop)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Asked to stop first, so that the demo also shows a clean stop; killed if it does not.
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).stderr(Stdio::null()).status();
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(15) {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
