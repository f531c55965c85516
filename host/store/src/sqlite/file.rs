//! A database file for reading only, whether a host is using it or not: what backups are made with,
//! and looked at.
//!
//! SQLite lets other processes read while the one that writes goes on, and what they read is the
//! database at one moment. Nothing here writes to the file or copies its log, so that the host's
//! rules of who does that hold. While a copy is made the log grows, for the host cannot begin it
//! anew under a reader; it is ready for that.

use super::connection::{make_private, opening};
use super::migrate::known_version;
use super::options::FILE;
use crate::{Result, StoreError};
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wasmill_core::Digest;

/// How long a read waits while the file is being recovered after a crash, the one thing that keeps
/// readers out.
const BUSY_WAIT: Duration = Duration::from_secs(10);

/// The file.
#[derive(Debug)]
pub struct DatabaseFile {
    conn: Connection,
    file: PathBuf,
    schema: u32,
}

impl DatabaseFile {
    /// Opens the database of a data directory, or of a backup.
    ///
    /// # Errors
    /// `Unavailable` with a sentence when there is none, when it is not wasmill's, or of a newer
    /// program.
    pub fn open(dir: &Path) -> Result<Self> {
        let file = dir.join(FILE);
        if !file.is_file() {
            return Err(StoreError::Unavailable(format!(
                "there is no database {}",
                file.display()
            )));
        }
        let open = || -> rusqlite::Result<Connection> {
            let conn = Connection::open_with_flags(
                &file,
                OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )?;
            conn.busy_timeout(BUSY_WAIT)?;
            Ok(conn)
        };
        let conn = open().map_err(|error| opening(&file, &error))?;
        let schema = known_version(&conn)
            .map_err(|error| StoreError::Unavailable(format!("{}: {error}", file.display())))?;
        Ok(Self { conn, file, schema })
    }

    /// The version of its schema.
    pub fn schema(&self) -> u32 {
        self.schema
    }

    /// Bytes of what is in it: about as many as a copy takes.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be read.
    pub fn bytes(&self) -> Result<u64> {
        let number = |name: &str| -> Result<u64> {
            let number: i64 = self
                .conn
                .pragma_query_value(None, name, |row| row.get(0))
                .map_err(|error| self.failed(&error))?;
            Ok(number.unsigned_abs())
        };
        Ok(number("page_count")?
            .saturating_sub(number("freelist_count")?)
            .saturating_mul(number("page_size")?))
    }

    /// The modules that versions name which can still be called.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be read.
    pub fn modules(&self) -> Result<BTreeSet<Digest>> {
        let read = || -> rusqlite::Result<BTreeSet<Digest>> {
            let mut statement =
                self.conn.prepare("SELECT DISTINCT module FROM version WHERE deleted = 0")?;
            statement.query_map([], |row| row.get(0).map(Digest))?.collect()
        };
        read().map_err(|error| self.failed(&error))
    }

    /// True when a version that can be called names the module.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be read.
    pub fn needs(&self, module: &Digest) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM version WHERE module = ?1 AND deleted = 0)";
        self.conn.query_row(sql, [module.0], |row| row.get(0)).map_err(|error| self.failed(&error))
    }

    /// True when it holds anything that was sealed by the host: variables, resources, secrets of
    /// webhooks.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be read.
    pub fn has_sealed(&self) -> Result<bool> {
        let is_there = |table: &str| -> Result<bool> {
            let sql =
                "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)";
            self.conn.query_row(sql, [table], |row| row.get(0)).map_err(|error| self.failed(&error))
        };
        for (table, sql) in [
            ("variable", "SELECT EXISTS (SELECT 1 FROM variable)"),
            ("resource", "SELECT EXISTS (SELECT 1 FROM resource)"),
            ("webhook", "SELECT EXISTS (SELECT 1 FROM webhook)"),
        ] {
            // Older schemas lack some.
            if is_there(table)?
                && self
                    .conn
                    .query_row(sql, [], |row| row.get(0))
                    .map_err(|error| self.failed(&error))?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Copies the database as it is at one moment, at or after the call, into a new file that only
    /// its owner may read; durable on return. What was deleted is not in the copy, not even in its
    /// unused pages.
    ///
    /// # Errors
    /// `Full` or `Unavailable`; there is no file then.
    pub fn copy_to(&self, to: &Path) -> Result<()> {
        make_private(to)?;
        let copy = || -> Result<()> {
            let path = to.to_str().ok_or_else(|| {
                StoreError::Unavailable(format!("{}: the name is no text", to.display()))
            })?;
            self.conn.execute("VACUUM INTO ?1", [path]).map_err(|error| opening(to, &error))?;
            let synced = File::open(to).and_then(|file| file.sync_all());
            synced.map_err(|error| StoreError::Unavailable(format!("{}: {error}", to.display())))
        };
        copy().inspect_err(|_| drop(std::fs::remove_file(to)))
    }

    /// Reads all of it to find damage.
    ///
    /// # Errors
    /// `Corrupt` with what was found first.
    pub fn check(&self) -> Result<()> {
        let first: String = self
            .conn
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(|error| self.failed(&error))?;
        if first == "ok" {
            Ok(())
        } else {
            Err(StoreError::Corrupt(format!("{}: {first}", self.file.display())))
        }
    }

    fn failed(&self, error: &rusqlite::Error) -> StoreError {
        opening(&self.file, error)
    }
}
