//! Compiled scripts as they are kept and passed on, and the only place where machine code is loaded.
//!
//! The engine runs what it is given: compiled code has no checksum and is not validated. So nothing is loaded here that
//! is not authenticated by a key that only this host and those it shares its scripts with have, under a name that says what
//! it was made of and made for. Wherever the bytes come from, what does not fit counts as missing, and the script is
//! compiled again.

use crate::engine;
use crate::inspect::Form;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::io;
use wasmill_core::{Digest, Kind};
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

/// Begins each of them; the digit counts versions of this layout.
const MAGIC: &[u8; 8] = b"wmart-2\n";
const MAC_BYTES: usize = 32;

/// What a compiled script is, kept beside its code: its wasm bytes are not at hand when it is loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Label {
    pub(crate) core: bool,
    pub(crate) kind: Kind,
    pub(crate) entry: String,
    pub(crate) schema: Option<serde_json::Value>,
}

impl Label {
    pub(crate) fn form(&self) -> Form {
        if self.core { Form::Core } else { Form::Component }
    }
}

/// Machine code of known origin: out of our own compile child, or with an authentication code under our own key.
pub(crate) struct Trusted {
    pub(crate) label: Label,
    code: Bytes,
}

/// What the engine makes of it.
pub(crate) enum Code {
    Component(Component),
    Core(Module),
}

impl Trusted {
    /// For the output of the compile child, which is this very program.
    pub(crate) fn from_compiler(label: Label, code: Vec<u8>) -> Self {
        Self { label, code: code.into() }
    }

    /// Bytes of the code.
    pub(crate) fn len(&self) -> usize {
        self.code.len()
    }

    /// Loads the code.
    ///
    /// # Errors
    /// When the engine finds that it was made for other settings, or needs more of an instance than the pool has.
    pub(crate) fn load(&self, engine: &Engine) -> wasmtime::Result<Code> {
        // SAFETY: `deserialize` demands bytes that the engine itself has produced, unchanged. A `Trusted` is only made from
        // the output of our compile child and from bytes whose authentication code under the secret key has been checked, and they are in
        // this process's own memory (read, not mapped), so that nobody can change them in between.
        #[expect(unsafe_code, reason = "loading compiled code; see the comment above")]
        unsafe {
            match self.label.form() {
                Form::Component => Component::deserialize(engine, &self.code).map(Code::Component),
                Form::Core => Module::deserialize(engine, &self.code).map(Code::Core),
            }
        }
    }
}

/// Makes and checks the form in which compiled scripts are kept and passed on: magic, MAC, length of the label, label, code.
pub(crate) struct Seal {
    /// BLAKE3 in its keyed mode: an authentication code that is made several times as fast as one of SHA-256, which would be
    /// most of what loading a large script takes.
    keyed: blake3::Hasher,
    made_for: String,
}

impl Seal {
    /// A seal by this key, for code of this engine.
    pub(crate) fn new(key: [u8; 32], engine: &Engine) -> Self {
        let fingerprint: String = engine::fingerprint(engine).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { keyed: blake3::Hasher::new_keyed(&key), made_for: format!("{}-{fingerprint}", engine::CODE_VERSION) }
    }

    /// The engine's full version, and a hash of all else that decides whether it can run the code: target, settings, features.
    pub(crate) fn made_for(&self) -> &str {
        &self.made_for
    }

    /// What it is the code of: these wasm bytes, for this engine. Under the code's authentication too, so that code under
    /// another's name is refused.
    pub(crate) fn identity(&self, digest: &Digest) -> String {
        format!("{}-{}", digest.to_hex(), self.made_for)
    }

    fn mac(&self, digest: &Digest) -> blake3::Hasher {
        let mut mac = self.keyed.clone();
        mac.update(self.identity(digest).as_bytes());
        mac.update(b"\n");
        mac
    }

    /// The form in which it is kept. Reads all of the code.
    ///
    /// # Errors
    /// When the label cannot be written.
    pub(crate) fn close(&self, digest: &Digest, trusted: &Trusted) -> io::Result<Bytes> {
        let label = serde_json::to_vec(&trusted.label)?;
        let length = u32::try_from(label.len()).map_err(io::Error::other)?.to_le_bytes();
        let mut mac = self.mac(digest);
        let content = [&length[..], &label, &trusted.code];
        for part in content {
            mac.update(part);
        }
        let tag = mac.finalize();
        let [length, label, code] = content;
        Ok([&MAGIC[..], tag.as_bytes(), length, label, code].concat().into())
    }

    /// The compiled script of that digest, if that is what the bytes are. The authentication code is checked before anything
    /// else is made of them. Reads all of them.
    ///
    /// # Errors
    /// `InvalidData` for everything else.
    pub(crate) fn open(&self, digest: &Digest, bytes: &Bytes) -> io::Result<Trusted> {
        let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let (magic, rest) = bytes.split_at_checked(MAGIC.len()).ok_or_else(|| damaged("it is too short"))?;
        let (tag, content) = rest.split_first_chunk::<MAC_BYTES>().ok_or_else(|| damaged("it is too short"))?;
        if magic != MAGIC {
            return Err(damaged("it is of another format"));
        }
        let mut mac = self.mac(digest);
        mac.update(content);
        // Compares in constant time.
        if mac.finalize() != *tag {
            return Err(damaged("it is not authentic"));
        }
        let (length, content) = content.split_first_chunk::<4>().ok_or_else(|| damaged("it is too short"))?;
        let (label, code) = content.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(|| damaged("it is too short"))?;
        Ok(Trusted { label: serde_json::from_slice(label)?, code: bytes.slice_ref(code) })
    }
}
