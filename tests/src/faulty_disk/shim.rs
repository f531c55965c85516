//! Puts the library between a host and its disk, and gives it orders.

use crate::{Home, Host, root};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// How the disk misbehaves. Nothing of it unless set.
#[derive(Debug, Clone, Copy, Default)]
pub struct Orders {
    /// A sync does nothing and says that it did.
    pub lie: bool,
    /// Every so-manieth sync fails with an input/output error; 0 for none.
    pub fail_every: u32,
    /// Each sync takes so many milliseconds longer.
    pub delay_ms: u32,
    /// There is no space left: what would make a file longer fails.
    pub full: bool,
}

/// What stands between hosts and one folder. Its orders can be changed while a host runs.
pub struct FaultyDisk {
    library: PathBuf,
    /// The orders and the logs, which must not be on the disk that is watched.
    folder: TempDir,
    watched: PathBuf,
    lives: u32,
    orders: File,
}

impl FaultyDisk {
    /// For this folder, which must be there.
    pub fn new(watched: &Path) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("wasmill-faulty-")
            .tempdir()
            .expect("a temporary folder");
        let orders = File::create_new(folder.path().join("orders")).expect("a file for the orders");
        let watched = watched.canonicalize().expect("the folder is there");
        let disk = Self { library: library(), folder, watched, lives: 0, orders };
        disk.order(Orders::default());
        disk
    }

    /// Changes how it misbehaves, from now on.
    pub fn order(&self, orders: Orders) {
        let words =
            [u32::from(orders.lie), orders.fail_every, orders.delay_ms, u32::from(orders.full)];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.orders.write_all_at(&bytes, 0).expect("the orders can be given");
    }

    /// Starts a host on a home whose disk this is. `noted`: what it does is noted in a log of its
    /// own.
    pub fn start(&mut self, home: &Home, args: &[&str], noted: bool) -> Host {
        let text = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
        let mut variables = vec![
            ("LD_PRELOAD", text(&self.library)),
            ("FAULTY_ROOT", text(&self.watched)),
            ("FAULTY_CONTROL", text(&self.folder.path().join("orders"))),
        ];
        if noted {
            self.lives += 1;
            variables.push(("FAULTY_LOG", text(&self.last_log())));
        }
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        home.start_with(args, &variables)
    }

    /// The log of the last process that was noted.
    pub fn last_log(&self) -> PathBuf {
        self.folder.path().join(format!("life-{}", self.lives))
    }
}

/// The library, compiled once for each process of tests.
fn library() -> PathBuf {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    let compiled = || {
        let folder = root().join("target/faulty-disk");
        std::fs::create_dir_all(&folder).expect("a folder for it");
        let (file, scratch) =
            (folder.join("shim.so"), folder.join(format!("shim.so.{}", std::process::id())));
        let mut compiler = Command::new("cc");
        compiler.args([
            "-std=gnu11",
            "-O2",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-shared",
            "-fPIC",
            "-pthread",
            "-o",
        ]);
        let output = compiler
            .arg(&scratch)
            .arg(root().join("tests/faulty-disk/shim.c"))
            .arg("-ldl")
            .output();
        let output = output.expect("cc can be started: Rust links with it, too");
        assert!(
            output.status.success(),
            "the library does not compile: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        // Renamed into its place, so that another process which uses the old one keeps it whole.
        std::fs::rename(&scratch, &file).expect("it has a place");
        file
    };
    LIBRARY.get_or_init(compiled).clone()
}
