//! PostgreSQL as Debian installs it: a cluster of its own, reached as its superuser without a
//! password.

use crate::folder::Folder;
use crate::process::Process;
use crate::{eventually, free_port};
use rustix::process::{Signal, geteuid};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The user that the server runs as where the tests are run by root, whom it refuses.
const USER: &str = "postgres";

/// Files of a server with TLS.
const CERTIFICATE: &str = "server.crt";
const KEY: &str = "server.key";

/// How often another port is tried when somebody else took the one that was free.
const TRIES: usize = 5;

/// How a server is set up.
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    /// Whether commits are synced to the disk. Without it the server is faster, and a power cut
    /// destroys it.
    pub fsync: bool,
    /// Whether connections can be encrypted, under a certificate of the server's own.
    pub tls: bool,
    /// Further settings of `postgresql.conf`, as names and values.
    pub settings: Vec<(String, String)>,
}

/// A PostgreSQL server.
#[derive(Debug)]
pub struct Postgres {
    /// `None` while it is stopped.
    process: Mutex<Option<Process>>,
    programs: PathBuf,
    port: u16,
    options: PostgresOptions,
    databases: AtomicU32,
    // Last, for it goes when the process has ended.
    folder: Folder,
}

impl Postgres {
    /// Starts a server with an empty cluster.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start; its log is in the message.
    pub fn start(options: PostgresOptions) -> Self {
        let (folder, programs) = (Folder::new(), programs());
        if geteuid().is_root() {
            let (user, group) = (id("-u"), id("-g"));
            std::os::unix::fs::chown(folder.path(), Some(user), Some(group))
                .expect("the server's folder given to its user");
        }
        initialise(&programs, &folder.path().join("data"));
        if options.tls {
            certify(folder.path());
        }
        let mut server = Self {
            process: Mutex::default(),
            programs,
            port: 0,
            options,
            databases: AtomicU32::new(0),
            folder,
        };
        for _ in 0..TRIES {
            server.port = free_port();
            if server.run() {
                return server;
            }
        }
        panic!("PostgreSQL does not start:\n{}", server.log());
    }

    /// The address of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// The address of one of its databases by the server's socket.
    pub fn socket_url(&self, database: &str) -> String {
        format!(
            "postgres://{USER}@/{database}?host={}&port={}",
            self.folder.path().display(),
            self.port
        )
    }

    /// The certificate of a server with TLS: a file in PEM form, which is to be trusted as an
    /// authority.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join(CERTIFICATE)
    }

    /// The port on the loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes an empty database and returns its name.
    pub fn create_database(&self) -> String {
        self.copy_database("template0")
    }

    /// Makes a database that begins as another one is, which nobody may be connected to, and
    /// returns its name.
    pub fn copy_database(&self, original: &str) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {original}"));
        name
    }

    /// Removes a database, whoever is connected to it.
    pub fn drop_database(&self, name: &str) {
        self.sql("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"));
    }

    /// Runs a statement as the superuser and returns what it prints: a line a row, columns between
    /// bars.
    ///
    /// # Panics
    /// When it fails.
    pub fn sql(&self, database: &str, statement: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
            "--command",
            statement,
        ]);
        let output = psql.arg(self.url(database)).output().expect("psql");
        assert!(
            output.status.success(),
            "{statement}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Stops the server as a crash does: connections are cut, nothing is written any more.
    pub fn stop_immediately(&self) {
        self.end(Signal::QUIT);
    }

    /// Kills the server's first process. Returns when the others have found out and ended
    /// themselves.
    pub fn kill(&self) {
        self.end(Signal::KILL);
        let data = self.folder.path().join("data");
        eventually("PostgreSQL's other processes end", 30, || (!works_in(&data)).then_some(()));
    }

    /// Starts the server again on its port, after cutting its connections where it runs.
    ///
    /// # Panics
    /// When it does not start; its log is in the message.
    pub fn restart(&self) {
        self.end(Signal::INT);
        eventually("PostgreSQL starts again", 30, || self.run().then_some(()));
    }

    /// What the server logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn end(&self, signal: Signal) {
        if let Some(mut process) =
            self.process.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            process.end(signal);
        }
    }

    /// Starts the process and waits until it answers; false when it ended instead.
    fn run(&self) -> bool {
        let data = self.folder.path().join("data");
        let mut command = as_user(&self.programs.join("postgres"), Some("INT"));
        command.arg("-D").arg(&data).arg("-p").arg(self.port.to_string());
        let folder = self.folder.path().to_string_lossy();
        let (certificate, key) = (format!("{folder}/{CERTIFICATE}"), format!("{folder}/{KEY}"));
        let on_off = |on: bool| if on { "on" } else { "off" };
        let sync = on_off(self.options.fsync);
        let fixed = [
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", &folder),
            ("ssl", on_off(self.options.tls)),
            ("ssl_cert_file", &certificate),
            ("ssl_key_file", &key),
            ("fsync", sync),
            ("full_page_writes", sync),
            ("max_connections", "300"),
            ("shared_buffers", "64MB"),
        ];
        let chosen =
            self.options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in fixed.into_iter().chain(chosen) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let mut process = Process::start(command, &self.folder.path().join("log"), Signal::QUIT);
        let runs = eventually("PostgreSQL answers or ends", 60, || match process.is_running() {
            false => Some(false),
            true => self.is_ready().then_some(true),
        });
        if runs {
            *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
        }
        runs
    }

    fn is_ready(&self) -> bool {
        let mut command = Command::new(self.programs.join("pg_isready"));
        command.args(["--quiet", "--host=127.0.0.1", "--port"]).arg(self.port.to_string());
        command.status().is_ok_and(|status| status.success())
    }
}

/// One server without syncs for all tests of this process that only need databases of their own. It
/// ends with the process.
pub fn shared() -> &'static Postgres {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    SHARED.get_or_init(|| Postgres::start(PostgresOptions::default()))
}

/// True while a process has this as its working folder.
fn works_in(folder: &Path) -> bool {
    let processes = Path::new("/proc").read_dir().into_iter().flatten().flatten();
    let mut working =
        processes.filter_map(|process| std::fs::read_link(process.path().join("cwd")).ok());
    working.any(|cwd| cwd == folder)
}

/// The folder with the server's programs: the newest that Debian installed, or what the search path
/// has.
fn programs() -> PathBuf {
    let installed = Path::new("/usr/lib/postgresql").read_dir().into_iter().flatten().flatten();
    let mut folders: Vec<(u32, PathBuf)> = installed
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    folders.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let all = folders.into_iter().rev().map(|(_, folder)| folder).chain(in_path);
    let mut found = all.filter(|folder| folder.join("initdb").is_file());
    found
        .next()
        .expect("PostgreSQL is not installed: neither /usr/lib/postgresql/*/bin nor PATH has initdb; install Debian's postgresql-15")
}

/// Makes a cluster. Its own order of text is that of a language, so that statements that need
/// another one must say so.
fn initialise(programs: &Path, data: &Path) {
    let mut command = as_user(&programs.join("initdb"), None);
    command.arg("--pgdata").arg(data).args([
        "--username",
        USER,
        "--auth=trust",
        "--encoding=UTF8",
        "--no-sync",
        "--no-instructions",
    ]);
    command.args(["--locale=C", "--locale-provider=icu", "--icu-locale=en-US"]);
    let output = command.output().expect("initdb");
    assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes a key, and a certificate for it that is its own authority.
fn certify(folder: &Path) {
    let mut command = as_user(Path::new("openssl"), None);
    command.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]);
    command.args(["-subj", "/CN=wasmill tests", "-addext", "subjectAltName=IP:127.0.0.1"]);
    command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    command.arg("-keyout").arg(folder.join(KEY)).arg("-out").arg(folder.join(CERTIFICATE));
    let output = command.output().expect("openssl");
    assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
}

/// A program run as a user whom the server accepts, which gets `signal` when the thread that
/// started it ends.
fn as_user(program: &Path, signal: Option<&str>) -> Command {
    let mut command = Command::new("setpriv");
    if geteuid().is_root() {
        command.args(["--reuid", USER, "--regid", USER, "--clear-groups"]);
    }
    if let Some(signal) = signal {
        command.args(["--pdeathsig", signal]);
    }
    command.arg(program).current_dir("/");
    command
}

/// A number of the server's user.
fn id(which: &str) -> u32 {
    let output = Command::new("id").args([which, USER]).output().expect("id");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .unwrap_or_else(|_| panic!("there is no user {USER}; install Debian's postgresql-15"))
}

#[cfg(test)]
mod tests;
