//! Why an upload is refused, and why a version cannot be made ready. Both are closed lists; each
//! entry has a sentence for the author of the script.

use std::fmt;

/// The rule that an upload broke. Programs read the code; people read [`Refusal::message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalCode {
    /// The upload is not WebAssembly: it is text, an archive or machine code.
    NotWasm,
    /// The upload breaks the rules of the format, or uses a proposal that is switched off.
    Malformed,
    /// The upload has more bytes than a module may have.
    TooLarge,
    /// The upload has too many functions, modules or types, or too many levels of components.
    TooComplex,
    /// The upload exports nothing that a script can be called by.
    NothingToCall,
    /// The upload imports something that is not offered.
    ForbiddenImport,
    /// The signature has a type without a JSON form.
    Unsupported,
    /// Compiling took more time or memory than it may.
    TooCostlyToCompile,
    /// An error of the host. The same upload may be accepted later.
    Internal,
}

impl RefusalCode {
    /// The code as answers show it.
    pub fn as_str(self) -> &'static str {
        match self {
            RefusalCode::NotWasm => "not_wasm",
            RefusalCode::Malformed => "malformed",
            RefusalCode::TooLarge => "too_large",
            RefusalCode::TooComplex => "too_complex",
            RefusalCode::NothingToCall => "nothing_to_call",
            RefusalCode::ForbiddenImport => "forbidden_import",
            RefusalCode::Unsupported => "unsupported",
            RefusalCode::TooCostlyToCompile => "too_costly_to_compile",
            RefusalCode::Internal => "internal",
        }
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an upload is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The rule that the upload broke.
    pub code: RefusalCode,
    /// What is wrong, and what would be accepted. Names from the upload are shortened and escaped.
    pub message: String,
}

impl Refusal {
    pub(crate) fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A refusal because of an error of the host. `detail` goes to the log; the author gets a fixed
    /// sentence.
    pub(crate) fn internal(what: &'static str, detail: impl fmt::Display) -> Self {
        tracing::error!(what, %detail, "admitting a script failed");
        Self::new(
            RefusalCode::Internal,
            "the host could not compile the script; this is not the script's fault",
        )
    }
}

/// Why a stored version cannot be made ready to run.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PrepareError {
    /// The wasm bytes could not be fetched, or do not have the digest.
    #[error("the script's bytes are not available: {0}")]
    Fetch(String),
    /// The version would not be admitted now.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Why the sandbox cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine refuses its settings, or the system cannot map the memory that they need.
    #[error("the WebAssembly engine cannot be started: {0}")]
    Engine(String),
    /// The directory of compiled scripts cannot be used.
    #[error("the directory for compiled scripts, {path}, cannot be used: {source}")]
    CacheDirectory {
        /// The path of the directory.
        path: String,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The thread of the epoch clock or the background pool cannot be started.
    #[error("threads of the sandbox cannot be started: {0}")]
    Threads(std::io::Error),
}
