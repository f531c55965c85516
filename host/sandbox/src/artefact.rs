//! The format of a compiled script on disk and among the shared artefacts, and the only code that
//! loads machine code.
//!
//! The engine does not check the machine code that it loads. So this module loads only code that is
//! authenticated: by a secret key that this host has, and the hosts that share artefacts with it.
//! The authentication code also covers the digest of the wasm bytes and the id of the engine. An
//! entry that is not authentic counts as missing, and the script is compiled again.
//!
//! A file is mapped, not copied. So a version that nobody calls needs almost no memory of its own,
//! and a large version loads as fast as a small one. A mapped file must not change after it was
//! authenticated. The file and its directory are accessible to the user of the host alone, and a
//! file is never written again, only replaced. Somebody who can change the file in spite of that can
//! also change the program of the host.

use crate::engine;
use crate::inspect::Form;
use bytes::Bytes;
use rustix::mm::Advice;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use wasmill_core::{Digest, Kind};
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

/// The last bytes of a sealed script. The digit is the version of this layout.
const MAGIC: &[u8; 8] = b"wmart-3\n";
const MAC_BYTES: usize = 32;
/// Bytes behind the metadata: the length of the metadata, the MAC, [`MAGIC`].
const TRAILER_BYTES: usize = 4 + MAC_BYTES + MAGIC.len();
/// Bytes of a file that are read in one step.
const CHUNK_BYTES: usize = 128 << 10;
/// Bytes of the largest metadata that is read. The largest part is the schema of the script.
const METADATA_MAX_BYTES: usize = 16 << 20;

/// What the sandbox knows of a script beside its machine code. It is stored with the code, because
/// the wasm bytes are not read when the code is loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ArtefactMetadata {
    pub(crate) core: bool,
    pub(crate) kind: Kind,
    pub(crate) entry: String,
    pub(crate) schema: Option<serde_json::Value>,
}

impl ArtefactMetadata {
    pub(crate) fn form(&self) -> Form {
        if self.core { Form::Core } else { Form::Component }
    }
}

/// Machine code that may be loaded: it comes from the compile child of this host, or its
/// authentication code was checked.
pub(crate) struct TrustedCode {
    pub(crate) metadata: ArtefactMetadata,
    /// Bytes of the code.
    length: usize,
    location: CodeLocation,
}

/// Where the machine code is. In a file the code is followed by the bytes that a [`Seal`] adds; the
/// engine does not read those.
enum CodeLocation {
    Memory(Bytes),
    File(File),
}

/// Machine code that the engine has loaded.
pub(crate) enum Code {
    Component(Component),
    Core(Module),
}

/// Loaded code, and its memory pages.
pub(crate) struct Loaded {
    pub(crate) code: Code,
    pub(crate) pages: Pages,
}

/// The memory pages of loaded code.
#[derive(Debug)]
pub(crate) enum Pages {
    /// Anonymous memory of the process.
    Own,
    /// A file mapping that is never written to: its first address, and its length in bytes.
    Mapped(usize, usize),
}

impl Pages {
    fn of(code: &Code) -> Self {
        let range = match code {
            Code::Component(component) => component.image_range(),
            Code::Core(module) => module.image_range(),
        };
        let start = range.start.expose_provenance();
        Self::Mapped(start, range.end.addr().saturating_sub(start))
    }

    /// Releases the pages: they take no memory of the process until they are accessed again; the
    /// system then reads them from the file. False when the pages are not mapped from a file, or
    /// when the system refuses.
    ///
    /// The code must still be loaded.
    pub(crate) fn release(&self) -> bool {
        let Self::Mapped(start, length) = *self else { return false };
        // SAFETY: the pages are a private mapping of a file, and no page of it was written to: the
        // engine relocates nothing in compiled code, and makes the mapping read-only when it loads
        // the code. So the dropped pages are equal to the file, and the system reads them from the
        // file at the next access, by whichever thread. The mapping exists, because the caller has
        // the loaded code.
        #[expect(unsafe_code, reason = "releasing the pages of mapped code; see the comment above")]
        let done = unsafe {
            rustix::mm::madvise(
                std::ptr::with_exposed_provenance_mut(start),
                length,
                Advice::LinuxDontNeed,
            )
        };
        done.inspect_err(
            |error| tracing::debug!(%error, "pages of compiled code cannot be given back"),
        )
        .is_ok()
    }
}

impl TrustedCode {
    /// Code that the compile child has written. The compile child is this same program.
    pub(crate) fn from_compiler(metadata: ArtefactMetadata, code: Vec<u8>) -> Self {
        Self { metadata, length: code.len(), location: CodeLocation::Memory(code.into()) }
    }

    /// The same code in `file`, a sealed file that this process has just written and that no other
    /// user can write to.
    pub(crate) fn written_to(self, file: File) -> Self {
        Self { location: CodeLocation::File(file), ..self }
    }

    /// The length of the machine code in bytes.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Loads the code: maps a file, copies bytes.
    ///
    /// # Errors
    /// When the code was made for other settings of the engine, when an instance would need more
    /// than the pool of the engine has, or when the file cannot be mapped.
    pub(crate) fn load(&self, engine: &Engine) -> wasmtime::Result<Loaded> {
        let file = match &self.location {
            CodeLocation::Memory(code) => return self.load_from(engine, &LoadSource::Bytes(code)),
            CodeLocation::File(file) => file,
        };
        if let Some(path) = mappable(file) {
            return self.load_from(engine, &LoadSource::File(path));
        }
        let mut code = vec![0; self.length];
        file.read_exact_at(&mut code, 0)?;
        self.load_from(engine, &LoadSource::Bytes(&code))
    }

    fn load_from(&self, engine: &Engine, source: &LoadSource<'_>) -> wasmtime::Result<Loaded> {
        // SAFETY: the engine may only load what the engine itself has produced, unchanged. A
        // `TrustedCode` is only made from the output of the compile child and from bytes whose
        // authentication code under the secret key was checked. Bytes are copied. A file must also
        // not change while it is mapped. The path leads to the file descriptor that was
        // authenticated, or that this process has written, even when the name of the file belongs
        // to another file by now. The file and its directory are accessible to this user alone, and
        // no program of this project writes to a file in that directory once the file has its name.
        #[expect(unsafe_code, reason = "loading compiled code; see the comment above")]
        let code = unsafe {
            match (self.metadata.form(), source) {
                (Form::Component, LoadSource::Bytes(code)) => {
                    Component::deserialize(engine, code).map(Code::Component)
                }
                (Form::Core, LoadSource::Bytes(code)) => {
                    Module::deserialize(engine, code).map(Code::Core)
                }
                (Form::Component, LoadSource::File(path)) => {
                    Component::deserialize_file(engine, path).map(Code::Component)
                }
                (Form::Core, LoadSource::File(path)) => {
                    Module::deserialize_file(engine, path).map(Code::Core)
                }
            }
        }?;
        let pages = match source {
            LoadSource::Bytes(_) => Pages::Own,
            LoadSource::File(_) => Pages::of(&code),
        };
        Ok(Loaded { code, pages })
    }
}

/// What the engine loads the code from.
enum LoadSource<'a> {
    Bytes(&'a [u8]),
    /// A file to map.
    File(PathBuf),
}

/// A path to the open file `file`, valid also when the name of the file belongs to another file by
/// now. `None` where the system has no `/proc`.
fn mappable(file: &File) -> Option<PathBuf> {
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    path.exists().then_some(path)
}

/// Makes and checks sealed scripts. A sealed script has these parts: code, metadata, length of the
/// metadata, MAC, [`MAGIC`]. The code comes first because the engine maps a file from its first
/// byte.
pub(crate) struct Seal {
    /// BLAKE3 in keyed mode. It is several times as fast as HMAC with SHA-256, which would take most
    /// of the time of loading a large script.
    keyed: blake3::Hasher,
    engine_id: String,
}

impl Seal {
    /// A seal with the key `key`, for code of `engine`.
    pub(crate) fn new(key: [u8; 32], engine: &Engine) -> Self {
        let fingerprint: String =
            engine::fingerprint(engine).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self {
            keyed: blake3::Hasher::new_keyed(&key),
            engine_id: format!("{}-{fingerprint}", engine::CODE_VERSION),
        }
    }

    /// The id of the engine: its full version, and a hash of everything else that decides whether it
    /// can run the code (target, settings, features).
    pub(crate) fn engine_id(&self) -> &str {
        &self.engine_id
    }

    /// The name of the artefact: the digest of the wasm bytes and the id of the engine. The MAC
    /// covers the name, so that code under the name of another artefact is refused.
    pub(crate) fn name(&self, digest: &Digest) -> String {
        format!("{}-{}", digest.to_hex(), self.engine_id)
    }

    fn mac(&self, digest: &Digest) -> blake3::Hasher {
        let mut mac = self.keyed.clone();
        mac.update(self.name(digest).as_bytes());
        mac.update(b"\n");
        mac
    }

    /// The sealed script. Reads all of the code.
    ///
    /// # Errors
    /// When the metadata cannot be written as JSON, or the code cannot be read.
    pub(crate) fn seal(&self, digest: &Digest, trusted: &TrustedCode) -> io::Result<Bytes> {
        let metadata = serde_json::to_vec(&trusted.metadata)?;
        let length = u32::try_from(metadata.len()).map_err(io::Error::other)?.to_le_bytes();
        let mut sealed = vec![0; trusted.length];
        match &trusted.location {
            CodeLocation::Memory(code) => sealed.copy_from_slice(code),
            CodeLocation::File(file) => file.read_exact_at(&mut sealed, 0)?,
        }
        sealed.reserve_exact(metadata.len() + TRAILER_BYTES);
        sealed.extend_from_slice(&metadata);
        sealed.extend_from_slice(&length);
        let tag = self.mac(digest).update(&sealed).finalize();
        sealed.extend_from_slice(tag.as_bytes());
        sealed.extend_from_slice(MAGIC);
        Ok(sealed.into())
    }

    /// Opens the sealed script of the module `digest` from `bytes`. Reads all of the bytes.
    ///
    /// # Errors
    /// `InvalidData` when the bytes are not an authentic script of that module.
    pub(crate) fn open(&self, digest: &Digest, bytes: &Bytes) -> io::Result<TrustedCode> {
        let read = |buffer: &mut [u8], at: usize| match bytes
            .get(at..)
            .and_then(|rest| rest.get(..buffer.len()))
        {
            Some(found) => {
                buffer.copy_from_slice(found);
                Ok(())
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        let (metadata, length) = self.check(digest, bytes.len(), read)?;
        Ok(TrustedCode { metadata, length, location: CodeLocation::Memory(bytes.slice(..length)) })
    }

    /// Opens the sealed script of the module `digest` from `file`. Reads all of the file.
    ///
    /// # Errors
    /// `InvalidData` when the file is not an authentic script of that module, and errors of the
    /// disk.
    pub(crate) fn open_file(&self, digest: &Digest, file: File) -> io::Result<TrustedCode> {
        let whole = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let (metadata, length) =
            self.check(digest, whole, |buffer, at| file.read_exact_at(buffer, at as u64))?;
        Ok(TrustedCode { metadata, length, location: CodeLocation::File(file) })
    }

    /// Checks a sealed script of `whole` bytes, which `read` reads into a buffer from an offset.
    /// Returns the metadata and the length of the code. The MAC is checked before any other part is
    /// used, except for the length of the metadata, which the MAC covers too.
    fn check(
        &self,
        digest: &Digest,
        whole: usize,
        read: impl Fn(&mut [u8], usize) -> io::Result<()>,
    ) -> io::Result<(ArtefactMetadata, usize)> {
        let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let short = || damaged("it is too short");
        let mut trailer = [0; TRAILER_BYTES];
        let metadata_end = whole.checked_sub(TRAILER_BYTES).ok_or_else(short)?;
        read(&mut trailer, metadata_end)?;
        let (length, rest) = trailer.split_first_chunk::<4>().ok_or_else(short)?;
        let (tag, magic) = rest.split_first_chunk::<MAC_BYTES>().ok_or_else(short)?;
        if magic != MAGIC {
            return Err(damaged("it is of another format"));
        }
        let metadata_length = u32::from_le_bytes(*length) as usize;
        let code_length = metadata_end
            .checked_sub(metadata_length)
            .filter(|_| metadata_length <= METADATA_MAX_BYTES)
            .ok_or_else(short)?;
        let mut mac = self.mac(digest);
        let mut chunk = vec![0; CHUNK_BYTES.min(code_length)];
        let mut at = 0;
        while at < code_length {
            let size = CHUNK_BYTES.min(code_length - at);
            let chunk = chunk.get_mut(..size).ok_or_else(short)?;
            read(chunk, at)?;
            mac.update(chunk);
            at += size;
        }
        let mut metadata = vec![0; metadata_length];
        read(&mut metadata, code_length)?;
        mac.update(&metadata).update(length);
        // This comparison takes constant time.
        if mac.finalize() != *tag {
            return Err(damaged("it is not authentic"));
        }
        Ok((serde_json::from_slice(&metadata)?, code_length))
    }
}
