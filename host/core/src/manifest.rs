//! What a version is made of: a small canonical document whose SHA-256 is the `<hash>` of `/h/<hash>`.

use crate::id::{Digest, ScriptPath, VersionHash};
use crate::limits::DeclaredLimits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What an upload turned out to be, which decides how it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A component that exports a function `main` of any WIT signature.
    Typed,
    /// A component of world `wasmill:script/dynamic`: JSON text in, JSON text out.
    Dynamic,
    /// A WASI program: a component that exports `wasi:cli/run`, or a preview-1 core module with `_start`.
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
            other => Err(crate::InvalidName { what: "kind", reason: format!("{other:?} is none of typed, dynamic, command") }),
        }
    }
}

/// Everything that decides how a version runs. Two uploads with equal manifests are the same version.
///
/// The canonical text is this struct as JSON with its fields in this order, absent ones left out and no white space:
/// adding an optional field later does not change the hash of what has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format of the manifest itself.
    pub manifest: u32,
    /// The script's path: the same module at two paths makes two versions, for rights go by path.
    pub path: ScriptPath,
    /// SHA-256 of the wasm bytes.
    pub module: Digest,
    /// How it is called.
    pub kind: Kind,
    /// What the author declared to narrow the host's limits.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: DeclaredLimits,
}

fn is_default(limits: &DeclaredLimits) -> bool {
    *limits == DeclaredLimits::default()
}

impl Manifest {
    /// The manifest of a module at a path.
    pub fn new(path: ScriptPath, module: Digest, kind: Kind, limits: DeclaredLimits) -> Self {
        Self { manifest: 1, path, module, kind, limits }
    }

    /// The canonical text, and the version's hash: SHA-256 of it.
    ///
    /// # Errors
    /// Never for a manifest built here; the signature leaves it to the caller because serialisation is fallible by type.
    pub fn canonical(&self) -> Result<(String, VersionHash), serde_json::Error> {
        let text = serde_json::to_string(self)?;
        let hash = Digest::of(text.as_bytes());
        Ok((text, hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_stable_and_covers_everything() {
        let manifest = |path: &str, module: &[u8], kind, limits| {
            Manifest::new(path.parse().unwrap(), Digest::of(module), kind, limits).canonical().unwrap()
        };
        let none = DeclaredLimits::default();
        let (text, hash) = manifest("u/admin/hello", b"abc", Kind::Typed, none);
        assert_eq!(
            text,
            r#"{"manifest":1,"path":"u/admin/hello","module":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","kind":"typed"}"#
        );
        assert_eq!(manifest("u/admin/hello", b"abc", Kind::Typed, none).1, hash);
        assert_ne!(manifest("u/admin/hello2", b"abc", Kind::Typed, none).1, hash);
        assert_ne!(manifest("u/admin/hello", b"abd", Kind::Typed, none).1, hash);
        assert_ne!(manifest("u/admin/hello", b"abc", Kind::Dynamic, none).1, hash);
        let limited = DeclaredLimits { timeout_s: Some(3), memory_mib: None };
        assert_ne!(manifest("u/admin/hello", b"abc", Kind::Typed, limited).1, hash);
        let read: Manifest = serde_json::from_str(&manifest("u/admin/hello", b"abc", Kind::Typed, limited).0).unwrap();
        assert_eq!(read.limits, limited);
    }
}
