//! Why a verb could not be done.

/// Why a verb could not be done, as the decisions a caller can take.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The workspace (or another parent row) that the verb names is not there.
    #[error("{0} does not exist")]
    NotFound(String),
    /// What the verb makes is there already, or was changed meanwhile.
    #[error("{0}")]
    Conflict(String),
    /// The disk or the file is full; reading goes on.
    #[error("the storage is full: {0}")]
    Full(String),
    /// The store is not reachable or has stopped after a failed commit. Nothing was acknowledged.
    #[error("the storage is not available: {0}")]
    Unavailable(String),
    /// What is stored cannot be read back.
    #[error("the stored data is damaged: {0}")]
    Corrupt(String),
}

/// Shorthand of this crate.
pub type Result<T> = std::result::Result<T, StoreError>;
