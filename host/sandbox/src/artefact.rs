//! Compiled scripts on disk, and the only place where machine code is loaded.
//!
//! The engine runs what it is given: a compiled file has no checksum and is not validated. So nothing is loaded here that
//! is not authenticated by a key that only this host has, under a name that says what it was made of and made for. The
//! directory is the owner's alone; links are not followed; files appear by renaming, whole. A file that does not fit in any
//! of these ways counts as missing, and the script is compiled again.

use crate::engine;
use crate::inspect::Form;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use wasmill_core::{Digest, Kind};
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

/// Begins each file; the digit counts versions of this layout.
const MAGIC: &[u8; 8] = b"wmart-1\n";
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

/// Machine code of known origin: out of our own compile child, or a file with our own authentication code.
pub(crate) struct Trusted {
    pub(crate) label: Label,
    code: Vec<u8>,
}

/// What the engine makes of it.
pub(crate) enum Code {
    Component(Component),
    Core(Module),
}

impl Trusted {
    /// For the output of the compile child, which is this very program.
    pub(crate) fn from_compiler(label: Label, code: Vec<u8>) -> Self {
        Self { label, code }
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
        // the output of our compile child and from files whose HMAC under this host's secret key has been checked, and its
        // bytes are owned, so that nobody can change them in between.
        #[expect(unsafe_code, reason = "loading compiled code; see the comment above")]
        unsafe {
            match self.label.form() {
                Form::Component => Component::deserialize(engine, &self.code).map(Code::Component),
                Form::Core => Module::deserialize(engine, &self.code).map(Code::Core),
            }
        }
    }
}

/// The directory of compiled scripts.
pub(crate) struct Artefacts {
    directory: PathBuf,
    keyed: Hmac<Sha256>,
    fingerprint: [u8; 32],
    /// Bytes of the largest file worth reading: no larger one can come out of the compile child.
    largest: u64,
    temporary: AtomicU64,
}

impl Artefacts {
    /// Opens the directory, making it if need be, for its owner alone.
    ///
    /// # Errors
    /// When it can't be made, is a link or no directory, or can't be closed to others.
    pub(crate) fn open(directory: &Path, key: [u8; 32], engine: &Engine, largest: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let found = fs::symlink_metadata(directory)?;
        if !found.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is a link or no directory"));
        }
        if found.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(directory, Permissions::from_mode(0o700))?;
        }
        // HMAC fills a short key up with zeros to its block's 64 bytes; done here, the key has its full length by type.
        let mut block = [0; 64];
        block.iter_mut().zip(key).for_each(|(to, from)| *to = from);
        let keyed = Hmac::<Sha256>::new(&block.into());
        Ok(Self { directory: directory.to_owned(), keyed, fingerprint: engine::fingerprint(engine), largest, temporary: AtomicU64::new(0) })
    }

    /// What the file is the code of: these wasm bytes, for this engine, its version and settings. Under the code's
    /// authentication too, so that a file under another's name is refused.
    fn identity(&self, digest: &Digest) -> String {
        let made_for: String = self.fingerprint.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{}-{made_for}", digest.to_hex(), engine::CODE_VERSION)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(self.identity(digest))
    }

    fn mac(&self, digest: &Digest) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
        mac.update(self.identity(digest).as_bytes());
        mac.update(b"\n");
        mac
    }

    /// The compiled script of that digest, if a file of it is there, whole and ours. Blocks on the disk.
    pub(crate) fn read(&self, digest: &Digest) -> Option<Trusted> {
        match self.try_read(digest) {
            Ok(trusted) => Some(trusted),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(%digest, %error, "a compiled script on disk is not usable; it is compiled again");
                None
            }
        }
    }

    fn try_read(&self, digest: &Digest) -> io::Result<Trusted> {
        let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let flags = rustix::fs::OFlags::NOFOLLOW.union(rustix::fs::OFlags::NONBLOCK).bits() as i32;
        let mut file = OpenOptions::new().read(true).custom_flags(flags).open(self.path(digest))?;
        let found = file.metadata()?;
        if !found.is_file() || found.len() > self.largest {
            return Err(damaged("it is no plain file of a sensible size"));
        }
        let mut bytes = Vec::with_capacity(found.len() as usize);
        (&mut file).take(self.largest).read_to_end(&mut bytes)?;
        let (magic, rest) = bytes.split_at_checked(MAGIC.len()).ok_or_else(|| damaged("it is too short"))?;
        let (tag, content) = rest.split_at_checked(MAC_BYTES).ok_or_else(|| damaged("it is too short"))?;
        if magic != MAGIC {
            return Err(damaged("it is of another format"));
        }
        let mut mac = self.mac(digest);
        mac.update(content);
        // Compares in constant time.
        mac.verify_slice(tag).map_err(|_| damaged("it is not authentic"))?;
        let (length, content) = content.split_first_chunk::<4>().ok_or_else(|| damaged("it is too short"))?;
        let (label, code) = content.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(|| damaged("it is too short"))?;
        Ok(Trusted { label: serde_json::from_slice(label)?, code: code.to_vec() })
    }

    /// Writes a compiled script. A failure costs a later recompilation and nothing else, so it is only logged.
    /// Blocks on the disk.
    pub(crate) fn write(&self, digest: &Digest, trusted: &Trusted) {
        let temporary = self.directory.join(format!(".new-{}-{}", std::process::id(), self.temporary.fetch_add(1, Ordering::Relaxed)));
        if let Err(error) = self.try_write(digest, trusted, &temporary) {
            tracing::warn!(%digest, %error, "a compiled script could not be written to disk");
            let _ = fs::remove_file(&temporary);
        }
    }

    fn try_write(&self, digest: &Digest, trusted: &Trusted, temporary: &Path) -> io::Result<()> {
        let label = serde_json::to_vec(&trusted.label)?;
        let length = u32::try_from(label.len()).map_err(io::Error::other)?.to_le_bytes();
        let mut mac = self.mac(digest);
        mac.update(&length);
        mac.update(&label);
        mac.update(&trusted.code);
        // A left-over of a killed process with the same id would be in the way.
        let _ = fs::remove_file(temporary);
        let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
        for part in [&MAGIC[..], &mac.finalize().into_bytes(), &length, &label, &trusted.code] {
            file.write_all(part)?;
        }
        // Not synced: a file torn by a power cut is not authentic, and compiled again.
        fs::rename(temporary, self.path(digest))
    }

    /// Removes the compiled script of that digest, if there is one. Blocks on the disk.
    pub(crate) fn remove(&self, digest: &Digest) {
        if let Err(error) = fs::remove_file(self.path(digest))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%digest, %error, "a compiled script could not be removed");
        }
    }
}
