//! Compiled scripts as they are kept and passed on, and the only place where machine code is
//! loaded.
//!
//! The engine runs what it is given: compiled code has no checksum and is not validated. So nothing
//! is loaded here that is not authenticated by a key that only this host and those it shares its
//! scripts with have, under a name that says what it was made of and made for. Wherever the bytes
//! come from, what does not fit counts as missing, and the script is compiled again.
//!
//! What is on the disk is mapped, not copied: versions that nobody calls take next to no memory of
//! their own, the images of their memories are pages of the file, and loading one is fast however
//! large it is. The file must stay as it was authenticated, then. Its folder and itself are the
//! host user's alone and it is never written to again, only replaced; who can change it all the
//! same can change the host's own program as well.

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

/// Ends each of them; the digit counts versions of this layout.
const MAGIC: &[u8; 8] = b"wmart-3\n";
const MAC_BYTES: usize = 32;
/// What stands behind the label: its length, the MAC, the magic.
const TAIL: usize = 4 + MAC_BYTES + MAGIC.len();
/// Bytes of a file that are read at once.
const PIECE: usize = 128 << 10;
/// Bytes of a label, whose largest part is a schema out of a section of the script.
const LONGEST_LABEL: usize = 16 << 20;

/// What a compiled script is, kept beside its code: its wasm bytes are not at hand when it is
/// loaded.
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

/// Machine code of known origin: out of our own compile child, or with an authentication code under
/// our own key.
pub(crate) struct Trusted {
    pub(crate) label: Label,
    /// Bytes of the code.
    length: usize,
    place: Place,
}

/// Where the code is. In a file it is followed by what a [`Seal`] adds, which the engine does not
/// look at.
enum Place {
    Memory(Bytes),
    File(File),
}

/// What the engine makes of it.
pub(crate) enum Code {
    Component(Component),
    Core(Module),
}

/// Code that is loaded.
pub(crate) struct Loaded {
    pub(crate) code: Code,
    pub(crate) pages: Pages,
}

/// Where loaded code is in memory.
#[derive(Debug)]
pub(crate) enum Pages {
    /// In memory of the process's own.
    Own,
    /// Mapped from a file, and never written to: from this address on, so many bytes.
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

    /// Lets go of them: they take none of the process's memory until they are needed again, when
    /// the system puts them back from its own. False when they cannot be put back, or the system
    /// refuses.
    ///
    /// Only for code that is still loaded.
    pub(crate) fn let_go(&self) -> bool {
        let Self::Mapped(start, length) = *self else { return false };
        // SAFETY: the pages are a private mapping of a file, of which nobody has written to any:
        // the engine has nothing to relocate in compiled code and makes it read-only when it loads
        // it. So what this drops is in the file, from where the system reads it at the next access,
        // by whichever thread. Who calls has the code, and so its mapping is there.
        #[expect(
            unsafe_code,
            reason = "giving the pages of mapped code back; see the comment above"
        )]
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

impl Trusted {
    /// For the output of the compile child, which is this very program.
    pub(crate) fn from_compiler(label: Label, code: Vec<u8>) -> Self {
        Self { label, length: code.len(), place: Place::Memory(code.into()) }
    }

    /// The same code in a file that this process has just written, sealed, and that nobody else can
    /// write to.
    pub(crate) fn written_to(self, file: File) -> Self {
        Self { place: Place::File(file), ..self }
    }

    /// Bytes of the code.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Loads the code: a file is mapped, bytes are copied.
    ///
    /// # Errors
    /// When the engine finds that it was made for other settings, or needs more of an instance than
    /// the pool has, or when the file cannot be mapped.
    pub(crate) fn load(&self, engine: &Engine) -> wasmtime::Result<Loaded> {
        let file = match &self.place {
            Place::Memory(code) => return self.load_from(engine, &Source::Bytes(code)),
            Place::File(file) => file,
        };
        if let Some(path) = mappable(file) {
            return self.load_from(engine, &Source::File(path));
        }
        let mut code = vec![0; self.length];
        file.read_exact_at(&mut code, 0)?;
        self.load_from(engine, &Source::Bytes(&code))
    }

    fn load_from(&self, engine: &Engine, source: &Source<'_>) -> wasmtime::Result<Loaded> {
        // SAFETY: what is loaded must be what the engine itself has produced, unchanged. A
        // `Trusted` is only made from the output of our compile child and from bytes whose
        // authentication code under the secret key has been checked. Bytes are copied. A file must
        // not change while it is mapped either. The path leads to the very file that was
        // authenticated, or written by this process, whatever its name leads to by now. It and its
        // folder are open to this user alone, and no program of ours writes to a file in there once
        // it has its name.
        #[expect(unsafe_code, reason = "loading compiled code; see the comment above")]
        let code = unsafe {
            match (self.label.form(), source) {
                (Form::Component, Source::Bytes(code)) => {
                    Component::deserialize(engine, code).map(Code::Component)
                }
                (Form::Core, Source::Bytes(code)) => {
                    Module::deserialize(engine, code).map(Code::Core)
                }
                (Form::Component, Source::File(path)) => {
                    Component::deserialize_file(engine, path).map(Code::Component)
                }
                (Form::Core, Source::File(path)) => {
                    Module::deserialize_file(engine, path).map(Code::Core)
                }
            }
        }?;
        let pages = match source {
            Source::Bytes(_) => Pages::Own,
            Source::File(_) => Pages::of(&code),
        };
        Ok(Loaded { code, pages })
    }
}

/// What the engine is given.
enum Source<'a> {
    Bytes(&'a [u8]),
    /// To be mapped.
    File(PathBuf),
}

/// A path to this very file, also once its name is another's. `None` where the system has no
/// `/proc`.
fn mappable(file: &File) -> Option<PathBuf> {
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    path.exists().then_some(path)
}

/// Makes and checks the form in which compiled scripts are kept and passed on: code, label, length
/// of the label, MAC, magic. The code comes first because the engine maps files from their
/// beginning.
pub(crate) struct Seal {
    /// BLAKE3 in its keyed mode: an authentication code that is made several times as fast as one
    /// of SHA-256, which would be most of what loading a large script takes.
    keyed: blake3::Hasher,
    made_for: String,
}

impl Seal {
    /// A seal by this key, for code of this engine.
    pub(crate) fn new(key: [u8; 32], engine: &Engine) -> Self {
        let fingerprint: String =
            engine::fingerprint(engine).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self {
            keyed: blake3::Hasher::new_keyed(&key),
            made_for: format!("{}-{fingerprint}", engine::CODE_VERSION),
        }
    }

    /// The engine's full version, and a hash of all else that decides whether it can run the code:
    /// target, settings, features.
    pub(crate) fn made_for(&self) -> &str {
        &self.made_for
    }

    /// What it is the code of: these wasm bytes, for this engine. Under the code's authentication
    /// too, so that code under another's name is refused.
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
    /// When the label cannot be written, or the code not be read.
    pub(crate) fn close(&self, digest: &Digest, trusted: &Trusted) -> io::Result<Bytes> {
        let label = serde_json::to_vec(&trusted.label)?;
        let length = u32::try_from(label.len()).map_err(io::Error::other)?.to_le_bytes();
        let mut sealed = vec![0; trusted.length];
        match &trusted.place {
            Place::Memory(code) => sealed.copy_from_slice(code),
            Place::File(file) => file.read_exact_at(&mut sealed, 0)?,
        }
        sealed.reserve_exact(label.len() + TAIL);
        sealed.extend_from_slice(&label);
        sealed.extend_from_slice(&length);
        let tag = self.mac(digest).update(&sealed).finalize();
        sealed.extend_from_slice(tag.as_bytes());
        sealed.extend_from_slice(MAGIC);
        Ok(sealed.into())
    }

    /// The compiled script of that digest, if that is what the bytes are. Reads all of them.
    ///
    /// # Errors
    /// `InvalidData` for everything else.
    pub(crate) fn open(&self, digest: &Digest, bytes: &Bytes) -> io::Result<Trusted> {
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
        let (label, length) = self.check(digest, bytes.len(), read)?;
        Ok(Trusted { label, length, place: Place::Memory(bytes.slice(..length)) })
    }

    /// The compiled script of that digest, if that is what is in the file. Reads all of it.
    ///
    /// # Errors
    /// `InvalidData` for everything else, and what the disk says.
    pub(crate) fn open_file(&self, digest: &Digest, file: File) -> io::Result<Trusted> {
        let whole = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let (label, length) =
            self.check(digest, whole, |buffer, at| file.read_exact_at(buffer, at as u64))?;
        Ok(Trusted { label, length, place: Place::File(file) })
    }

    /// Label and bytes of code of what `read` reads, `whole` bytes. The authentication code is
    /// checked before anything is made of them but the length of the label, which is under it too.
    fn check(
        &self,
        digest: &Digest,
        whole: usize,
        read: impl Fn(&mut [u8], usize) -> io::Result<()>,
    ) -> io::Result<(Label, usize)> {
        let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let short = || damaged("it is too short");
        let mut tail = [0; TAIL];
        let label_end = whole.checked_sub(TAIL).ok_or_else(short)?;
        read(&mut tail, label_end)?;
        let (length, rest) = tail.split_first_chunk::<4>().ok_or_else(short)?;
        let (tag, magic) = rest.split_first_chunk::<MAC_BYTES>().ok_or_else(short)?;
        if magic != MAGIC {
            return Err(damaged("it is of another format"));
        }
        let label_length = u32::from_le_bytes(*length) as usize;
        let code_length = label_end
            .checked_sub(label_length)
            .filter(|_| label_length <= LONGEST_LABEL)
            .ok_or_else(short)?;
        let mut mac = self.mac(digest);
        let mut piece = vec![0; PIECE.min(code_length)];
        let mut at = 0;
        while at < code_length {
            let size = PIECE.min(code_length - at);
            let piece = piece.get_mut(..size).ok_or_else(short)?;
            read(piece, at)?;
            mac.update(piece);
            at += size;
        }
        let mut label = vec![0; label_length];
        read(&mut label, code_length)?;
        mac.update(&label).update(length);
        // Compares in constant time.
        if mac.finalize() != *tag {
            return Err(damaged("it is not authentic"));
        }
        Ok((serde_json::from_slice(&label)?, code_length))
    }
}
