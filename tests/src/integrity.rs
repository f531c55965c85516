//! What SQLite itself says about a database.

use crate::peers::installed;
use std::path::Path;
use std::process::Command;

/// Opens a copy of a database with its log, by another build of SQLite than the host's, and has it
/// check every page.
/// `None` when there is no database.
pub fn integrity(data: &Path) -> Option<String> {
    let copy = tempfile::tempdir().expect("a temporary folder");
    for name in ["wasmill.db", "wasmill.db-wal"] {
        if data.join(name).exists() {
            std::fs::copy(data.join(name), copy.path().join(name)).expect("it can be copied");
        }
    }
    let database = copy.path().join("wasmill.db");
    if !database.exists() {
        return None;
    }
    const PROGRAM: &str = "import sqlite3, sys\n\
        db = sqlite3.connect(sys.argv[1])\n\
        print('; '.join(row[0] for row in db.execute('PRAGMA integrity_check')))\n\
        print('; '.join(str(row) for row in db.execute('PRAGMA foreign_key_check')))";
    let output = Command::new(installed("python/bin/python"))
        .args(["-c", PROGRAM])
        .arg(&database)
        .output()
        .expect("Python can be started");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned();
    Some(said)
}
