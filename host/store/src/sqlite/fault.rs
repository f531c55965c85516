//! What an SQLite error means: for one operation, for its batch, or for the store as a whole.
//!
//! The rule that matters: after a failed commit or sync nobody knows what is on the disk, and a
//! second attempt may seem to succeed while pages are lost. So such a failure is final, and only
//! opening the file again, which recovers from its log, ends it. A full disk is different: it fails
//! before anything is promised.

use crate::StoreError;
use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
use std::sync::Arc;

/// Why an operation could not be done.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It was refused by the rules of the store; nobody else is concerned.
    Refused(StoreError),
    /// SQLite failed.
    Sql(rusqlite::Error),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Fault::Refused(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Fault::Sql(error)
    }
}

/// What `column` holds is not what this program writes there.
pub(super) fn corrupt(column: &str, detail: impl std::fmt::Display) -> Fault {
    Fault::Refused(StoreError::Corrupt(format!("{column}: {detail}")))
}

/// What the steps of an operation give.
pub(super) type TxResult<T> = std::result::Result<T, Fault>;

/// Why a whole batch failed. Cloned for each of its waiters.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// No room; the store goes on.
    Full(Arc<str>),
    /// Another program held the file's write lock for too long; the store goes on.
    Busy(Arc<str>),
    /// The store is dead.
    Fatal(Arc<str>),
}

impl Failure {
    /// What happened, in SQLite's words.
    pub(super) fn text(&self) -> &str {
        match self {
            Failure::Full(text) | Failure::Busy(text) | Failure::Fatal(text) => text,
        }
    }

    /// The reason for the store's end, if this is it.
    pub(super) fn fatal(&self) -> Option<&str> {
        match self {
            Failure::Fatal(text) => Some(text),
            Failure::Full(_) | Failure::Busy(_) => None,
        }
    }

    /// What is told to a waiter.
    pub(super) fn to_error(&self) -> StoreError {
        match self {
            Failure::Full(text) => StoreError::Full(text.to_string()),
            Failure::Busy(text) | Failure::Fatal(text) => StoreError::Unavailable(text.to_string()),
        }
    }

    /// What an SQLite error outside of any single operation means: of `BEGIN`, `COMMIT`, a
    /// checkpoint.
    pub(super) fn of(error: &rusqlite::Error) -> Self {
        let text: Arc<str> = error.to_string().into();
        let extended = error.sqlite_error().map(|error| error.extended_code);
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Failure::Full(text),
            // The index of the log, which lies beside it and is rebuilt from it, cannot grow. The
            // commit was not yet done.
            _ if extended == Some(SQLITE_IOERR_SHMSIZE) => Failure::Full(text),
            _ => Failure::Fatal(text),
        }
    }
}

impl Fault {
    /// Tells the failure of one operation from that of everything around it.
    pub(super) fn weigh(self) -> Result<StoreError, Failure> {
        let error = match self {
            Fault::Refused(error) => return Ok(error),
            Fault::Sql(error) => error,
        };
        match error.sqlite_error_code() {
            // The data don't fit the schema: a mistake in this program or in its input, not in the
            // file.
            Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch) => {
                Ok(StoreError::Corrupt(error.to_string()))
            }
            Some(_) => Err(Failure::of(&error)),
            // What was read does not have the type that was expected.
            None => Ok(StoreError::Corrupt(error.to_string())),
        }
    }

    /// What a failed read means to its caller.
    pub(super) fn of_read(self) -> StoreError {
        let error = match self {
            Fault::Refused(error) => return error,
            Fault::Sql(error) => error,
        };
        match error.sqlite_error_code() {
            None | Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Corrupt(error.to_string())
            }
            Some(_) => StoreError::Unavailable(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    #[test]
    fn what_ends_the_store() {
        let table = [
            (ffi::SQLITE_FULL, false),
            (ffi::SQLITE_IOERR_SHMSIZE, false),
            (ffi::SQLITE_IOERR_FSYNC, true),
            (ffi::SQLITE_IOERR_DIR_FSYNC, true),
            (ffi::SQLITE_IOERR_WRITE, true),
            (ffi::SQLITE_IOERR_TRUNCATE, true),
            (ffi::SQLITE_CORRUPT, true),
            (ffi::SQLITE_READONLY, true),
        ];
        for (code, fatal) in table {
            let failure = Failure::of(&rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
            assert_eq!(failure.fatal().is_some(), fatal, "{code}: {failure:?}");
            assert_eq!(matches!(failure.to_error(), StoreError::Full(_)), !fatal, "{code}");
        }
    }
}
