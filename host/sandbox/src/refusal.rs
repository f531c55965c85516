//! Why an upload is not taken, and why a version can't be made ready: closed lists, each with a
//! sentence for its author.

use std::fmt;

/// Which rule an upload broke. Programs test for this; people read [`Refusal::message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalCode {
    /// Not WebAssembly at all: text, an archive, machine code.
    NotWasm,
    /// WebAssembly that breaks the format's rules, or uses a proposal that is switched off here.
    Malformed,
    /// More bytes than a module may have.
    TooLarge,
    /// More functions, modules, types or nesting than allowed.
    TooComplex,
    /// It exports nothing that a script can be called by.
    NothingToCall,
    /// It imports something that is not offered.
    ForbiddenImport,
    /// Its signature has a type without a JSON form.
    Unsupported,
    /// Compiling it took more time or memory than it may.
    TooCostlyToCompile,
    /// The host's own trouble; the same upload may be taken later.
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

/// An upload that is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Which rule.
    pub code: RefusalCode,
    /// What is wrong and what would be accepted. Holds names out of the upload, shortened and
    /// without control characters.
    pub message: String,
}

impl Refusal {
    pub(crate) fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The host's own trouble: the detail goes to the log, the author gets a constant sentence.
    pub(crate) fn internal(what: &'static str, detail: impl fmt::Display) -> Self {
        tracing::error!(what, %detail, "admitting a script failed");
        Self::new(
            RefusalCode::Internal,
            "the host could not compile the script; this is not the script's fault",
        )
    }
}

/// Why a stored version can't be made ready to run.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PrepareError {
    /// Its bytes could not be had, or are not the ones that the digest names.
    #[error("the script's bytes are not available: {0}")]
    Fetch(String),
    /// It would not be admitted today.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Why the sandbox can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine refuses its settings, or the machine can't map what they ask for.
    #[error("the WebAssembly engine cannot be started: {0}")]
    Engine(String),
    /// The directory of compiled scripts can't be used.
    #[error("the directory for compiled scripts, {path}, cannot be used: {source}")]
    CacheDirectory {
        /// Which directory.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The thread that ends endless scripts can't be started, or those that long runs go on.
    #[error("threads of the sandbox cannot be started: {0}")]
    Threads(std::io::Error),
}
