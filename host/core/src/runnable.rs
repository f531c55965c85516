//! What a version runs, and how it is called.

use crate::id::Digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a version runs. Another sort of thing that can be run is another variant: whoever has to
/// know of it matches on this type without a wildcard, so that the compiler names each such place.
///
/// In a manifest the fields of a variant stand without the variant's name, so no two variants may
/// have the same required fields.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Runnable {
    /// A WebAssembly module or component, as it was uploaded.
    Module {
        /// SHA-256 of the wasm bytes.
        module: Digest,
        /// How it is called.
        kind: Kind,
    },
}

/// What an upload turned out to be, which decides how it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A component that exports a function `main` of any WIT signature.
    Typed,
    /// A component of world `wasmill:script/dynamic`: JSON text in, JSON text out.
    Dynamic,
    /// A WASI program: a component that exports `wasi:cli/run`, or a preview-1 core module with
    /// `_start`.
    Command,
}

impl Kind {
    /// The word used in listings and manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Typed => "typed",
            Kind::Dynamic => "dynamic",
            Kind::Command => "command",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Kind {
    type Err = crate::InvalidName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "typed" => Ok(Kind::Typed),
            "dynamic" => Ok(Kind::Dynamic),
            "command" => Ok(Kind::Command),
            other => Err(crate::InvalidName {
                what: "kind",
                reason: format!("{other:?} is none of typed, dynamic, command"),
            }),
        }
    }
}
