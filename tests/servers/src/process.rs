//! Processes that end with this one, whatever ends it.
//!
//! The kernel signals a child when the *thread* that started it ends, so all of them are started by
//! one thread that lives as long as the process.

use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};

type Request = (Command, mpsc::Sender<std::io::Result<Child>>);

/// How long a process may take to end before it is killed.
const END_WAIT: Duration = Duration::from_secs(10);

/// A running process. Dropping it stops it with its own signal for that, and for good.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stop: Signal,
}

impl Process {
    /// Starts a command with its output appended to a file. `stop` is what ends it, also at the end
    /// of this process.
    pub(crate) fn start(mut command: Command, log: &Path, stop: Signal) -> Self {
        let open = || {
            File::options()
                .create(true)
                .append(true)
                .open(log)
                .unwrap_or_else(|error| panic!("{}: {error}", log.display()))
        };
        command.stdin(Stdio::null()).stdout(open()).stderr(open());
        let program = command.get_program().to_owned();
        let child = spawn(command).unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        Self { child, stop }
    }

    /// True until the process has ended.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Signals the process and waits for its end.
    pub(crate) fn end(&mut self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
            && self.is_running()
        {
            let _ = kill_process(pid, signal);
        }
        let deadline = Instant::now() + END_WAIT;
        while self.is_running() {
            if Instant::now() > deadline {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(self.stop);
    }
}

/// Starts a command from the thread that outlives all others.
fn spawn(command: Command) -> std::io::Result<Child> {
    static KEEPER: OnceLock<Mutex<mpsc::Sender<Request>>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (sender, requests) = mpsc::channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, reply) in requests {
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (reply, answer) = mpsc::channel();
    keeper
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send((command, reply))
        .expect("the thread that starts servers");
    answer.recv().expect("the thread that starts servers")
}
