//! One running host: a process, its address and token, and the calls that most tests make.

use crate::cli::Cli;
use crate::eventually;
use crate::home::Home;
use crate::http::{Answer, Request};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A host process; it ends when this value is dropped.
pub struct Host {
    home: Home,
    child: Child,
    log: PathBuf,
    /// Kept open: a host whose standard output is closed is another case than most.
    output: BufReader<ChildStdout>,
    agent: ureq::Agent,
    /// Where it listens.
    pub address: SocketAddr,
    /// The admin's token.
    pub token: String,
}

/// What an upload was answered with.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// Where to.
    pub path: String,
    /// Names the version.
    pub hash: String,
    /// Whether it is a new version.
    pub created: bool,
}

impl Host {
    /// A host on a home of its own.
    pub fn start(args: &[&str]) -> Self {
        Home::new().start(args)
    }

    pub(crate) fn spawn(
        home: Home,
        mut command: Command,
        log: PathBuf,
        token: Option<&str>,
    ) -> Self {
        let errors = File::create(&log).expect("a log file");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .expect("the host can be started");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut first = String::new();
        output.read_line(&mut first).expect("the host's first line");
        let address = first
            .strip_prefix("listening on http://")
            .and_then(|address| address.trim_end().parse().ok());
        let Some(address) = address else {
            let _ = child.kill();
            let _ = child.wait();
            panic!(
                "the host's first line is {first:?}; its log: {}",
                std::fs::read_to_string(&log).unwrap_or_default()
            );
        };
        let written = || {
            std::fs::read_to_string(home.data().join("admin-token"))
                .expect("the admin's token")
                .trim()
                .to_owned()
        };
        let token = token.map_or_else(written, str::to_owned);
        // No pool of connections: a request must not meet a connection that a host before it left
        // behind.
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .max_idle_connections(0)
            .timeout_global(Some(Duration::from_secs(120)));
        Self { home, child, log, output, agent: config.build().into(), address, token }
    }

    /// The folder that it runs on.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A request with the admin's token.
    pub fn request(&self, method: &str, path: &str) -> Request {
        Request::new(self.agent.clone(), method, format!("{}{path}", self.url())).token(&self.token)
    }

    /// GET.
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send()
    }

    /// The command line with the configuration that this host wrote.
    pub fn cli(&self, args: &[&str]) -> Cli {
        self.home.cli(args)
    }

    /// Another program as a user's shell would start it: with `wasmill` in its path, and configured
    /// for this host.
    pub fn shell(&self, program: &str) -> Command {
        self.home.shell(program)
    }

    /// An upload as it is answered. `path` may bring a query along.
    pub fn upload(&self, path: &str, wasm: &[u8]) -> Answer {
        self.request("POST", &format!("/api/w/main/scripts/upload/p/{path}"))
            .body("application/wasm", wasm)
            .send()
    }

    /// An upload that must be taken.
    pub fn push(&self, path: &str, wasm: &[u8]) -> Deployed {
        let answer = self.upload(path, wasm);
        assert!(matches!(answer.status, 200 | 201), "{path} is not taken: {answer:?}");
        let uploaded = answer.json();
        Deployed {
            path: uploaded["path"].as_str().expect("a path").to_owned(),
            hash: uploaded["hash"].as_str().expect("a hash").to_owned(),
            created: uploaded["created"].as_bool().expect("created"),
        }
    }

    /// A request that waits for the result: to `p/<path>` or `h/<hash>`, perhaps with a query.
    pub fn calling(&self, target: &str) -> Request {
        self.request("POST", &format!("/api/w/main/jobs/run_wait_result/{target}"))
    }

    /// Calls and waits for the result.
    pub fn call(&self, path: &str, args: &Value) -> Answer {
        self.calling(&format!("p/{path}")).json(args).send()
    }

    /// Calls a version and waits for the result.
    pub fn call_hash(&self, hash: &str, args: &Value) -> Answer {
        self.calling(&format!("h/{hash}")).json(args).send()
    }

    /// Queues a job and returns its id.
    pub fn queue(&self, path: &str, args: &Value) -> String {
        let answer =
            self.request("POST", &format!("/api/w/main/jobs/run/p/{path}")).json(args).send();
        assert_eq!(answer.status, 201, "{path} is not queued: {answer:?}");
        answer.text()
    }

    /// A job as `get` shows it.
    pub fn job(&self, id: &str) -> Value {
        let answer = self.get(&format!("/api/w/main/jobs_u/get/{id}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// A job's log.
    pub fn job_log(&self, id: &str) -> String {
        self.get(&format!("/api/w/main/jobs_u/get_logs/{id}")).text()
    }

    /// Waits until a job is over and returns what `get_result_maybe` then says.
    pub fn wait(&self, id: &str, within: u64) -> Value {
        eventually(&format!("job {id} is over"), within, || {
            let answer = self.get(&format!("/api/w/main/jobs_u/completed/get_result_maybe/{id}"));
            assert_eq!(answer.status, 200, "{answer:?}");
            Some(answer.json()).filter(|maybe| maybe["completed"] == true)
        })
    }

    /// What the host has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("the host's log")
    }

    /// Memory that the process has in use, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .expect("the process is there");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches("kB").trim().parse().expect("a number")
    }

    /// Processor time that the process has used, in hundredths of a second.
    pub fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))
            .expect("the process is there");
        // The name in parentheses may hold anything; what follows it are numbers.
        let (_, numbers) = stat.rsplit_once(')').expect("the name's end");
        let mut fields = numbers
            .split_whitespace()
            .skip(11)
            .map(|field| field.parse::<u64>().expect("a number"));
        fields.next().expect("utime") + fields.next().expect("stime")
    }

    /// Asks it to stop and returns at once.
    pub fn terminate(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("the process is there");
    }

    /// Takes the processor away from it, or gives it back.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        kill_process(Pid::from_child(&self.child), signal).expect("the process is there");
    }

    /// Ends it as a crash would.
    pub fn kill(mut self) -> Home {
        self.child.kill().expect("the process is there");
        self.child.wait().expect("the process ends");
        self.home.clone()
    }

    /// Waits for its end.
    pub fn ended(&mut self, within: u64) -> ExitStatus {
        eventually("the host ends", within, || {
            self.child.try_wait().expect("a process to wait for")
        })
    }

    /// The rest of what it printed, once it has ended.
    pub fn rest_of_output(&mut self) -> String {
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.output, &mut rest).expect("text");
        rest
    }

    /// Calls `hello` once more: whatever a test did, others must not feel it. It must have been
    /// pushed by `shared`.
    pub fn still_serves(&self) {
        self.still_serves_at("u/tests/hello");
    }

    /// The same where `hello` was pushed elsewhere.
    pub fn still_serves_at(&self, path: &str) {
        let answer = self.call(path, &serde_json::json!({"name": "Bo"}));
        assert_eq!(
            (answer.status, answer.json()["greeting"].as_str()),
            (200, Some("Hello Bo!")),
            "{answer:?}"
        );
        let log = self.log();
        assert!(!log.contains("panicked"), "{log}");
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let end = Instant::now() + Duration::from_secs(2);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > end {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
