//! Why a component is not merged.

use wasm_encoder::reencode;
use wasmparser::BinaryReaderError;

/// Why a component is not merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not merged: {0}")]
pub struct Unmerged(pub(super) &'static str);

impl From<BinaryReaderError> for Unmerged {
    fn from(_: BinaryReaderError) -> Self {
        Self("it can't be read")
    }
}

impl From<reencode::Error<Unmerged>> for Unmerged {
    fn from(error: reencode::Error<Unmerged>) -> Self {
        match error {
            reencode::Error::UserError(error) => error,
            _ => Self("it can't be written"),
        }
    }
}

pub(super) const MODULES_PASSED: Unmerged = Unmerged("it passes modules on");
pub(super) const UNKNOWN: Unmerged = Unmerged("it refers to something that does not exist");
