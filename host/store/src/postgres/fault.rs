//! What an error of PostgreSQL means: for the verb that met it, and whether to do that verb again.
//!
//! Nothing here ends the store: whatever happened to the server, a later verb finds out by itself
//! that it is back. What was sent and not confirmed counts as not done, also a commit whose answer
//! was lost.

use super::options::Causes;
use crate::StoreError;
use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

/// What the steps of a verb give.
pub(super) type TxResult<T> = Result<T, Fault>;

/// How tokio-postgres says that it can't have what `sslmode=require` asks for.
const NO_TLS: &str = "server does not support TLS";

/// Why a verb could not be done.
#[derive(Debug)]
pub(super) enum Fault {
    /// It was refused by the rules of the store.
    Refused(StoreError),
    /// PostgreSQL refused it, or could not be asked.
    Sql(tokio_postgres::Error),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Fault::Refused(error)
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Fault::Sql(error)
    }
}

impl Fault {
    /// True when nothing was done because of others who did something at the same moment.
    pub(super) fn is_collision(&self) -> bool {
        match self {
            Fault::Refused(_) => false,
            Fault::Sql(error) => error.code().is_some_and(|code| {
                *code == SqlState::T_R_SERIALIZATION_FAILURE
                    || *code == SqlState::T_R_DEADLOCK_DETECTED
            }),
        }
    }

    /// What is told to the caller of the verb.
    pub(super) fn into_error(self) -> StoreError {
        match self {
            Fault::Refused(error) => error,
            Fault::Sql(error) => of_sql(&error),
        }
    }
}

/// What `column` holds is not what this program writes there.
pub(super) fn corrupt(column: &str, detail: impl std::fmt::Display) -> Fault {
    Fault::Refused(StoreError::Corrupt(format!("{column}: {detail}")))
}

/// What an error of the server or of the connection means.
pub(super) fn of_sql(error: &tokio_postgres::Error) -> StoreError {
    let Some(found) = error.as_db_error() else {
        let text = Causes(error).to_string();
        let hint = if text.ends_with(NO_TLS) {
            "; sslmode=disable in its address allows a connection in the clear"
        } else {
            ""
        };
        return StoreError::Unavailable(format!("PostgreSQL: {text}{hint}"));
    };
    let text = format!("PostgreSQL: {} ({})", found.message(), found.code().code());
    match found.code().code() {
        "53100" => StoreError::Full(text),
        // The data don't fit the schema, or the server found its files damaged.
        code if ["22", "23", "XX"].iter().any(|class| code.starts_with(class)) => {
            StoreError::Corrupt(text)
        }
        _ => StoreError::Unavailable(text),
    }
}

/// Why there is no connection.
pub(super) fn of_pool(error: &PoolError) -> StoreError {
    match error {
        PoolError::Backend(error) => of_sql(error),
        other => StoreError::Unavailable(format!("PostgreSQL: {}", Causes(other))),
    }
}
