//! What the library between a host and its disk has noted.

use std::path::{Path, PathBuf};

/// One call that has succeeded, in the order of the calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A file was made.
    Created {
        /// Its inode number.
        inode: u64,
        /// Its name.
        path: PathBuf,
    },
    /// A folder was made.
    Folder {
        /// Its inode number.
        inode: u64,
        /// Its name.
        path: PathBuf,
    },
    /// Bytes were written.
    Written {
        /// The file.
        inode: u64,
        /// Where in the file.
        offset: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// A file was given this length.
    Resized {
        /// The file.
        inode: u64,
        /// Bytes.
        length: u64,
    },
    /// A sync of a file or folder began.
    SyncBegun {
        /// What is synced.
        inode: u64,
        /// Which sync, within the life of one process.
        number: u64,
    },
    /// The sync of that number has succeeded.
    Synced {
        /// What is synced.
        inode: u64,
        /// Which sync.
        number: u64,
    },
    /// A file was given a further name.
    Linked {
        /// A name that it had.
        from: PathBuf,
        /// The name that it has, too.
        to: PathBuf,
    },
    /// A file was given another name.
    Renamed {
        /// The name that it had.
        from: PathBuf,
        /// The name that it has.
        to: PathBuf,
    },
    /// A name is no more.
    Removed {
        /// The name.
        path: PathBuf,
    },
}

/// The bytes of a note before its paths and data.
const HEAD: usize = 1 + 8 + 8 + 8 + 2 + 2;

/// Reads the log of one life of a process. Its last note may have been cut off by the process's
/// end.
pub fn read_notes(log: &Path) -> Vec<Note> {
    let bytes = std::fs::read(log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
    let mut notes = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((note, behind)) = first_note(rest) {
        notes.push(note);
        rest = behind;
    }
    notes
}

fn first_note(bytes: &[u8]) -> Option<(Note, &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
    let short = |at: usize| usize::from(u16::from_le_bytes([head[at], head[at + 1]]));
    let (inode, value, length) = (number(1), number(9), number(17) as usize);
    let (first, rest) = rest.split_at_checked(short(25))?;
    let (second, rest) = rest.split_at_checked(short(27))?;
    let (data, rest) = rest.split_at_checked(length)?;
    let path = |bytes: &[u8]| PathBuf::from(std::str::from_utf8(bytes).expect("a path in UTF-8"));
    let note = match head[0] {
        b'C' => Note::Created { inode, path: path(first) },
        b'D' => Note::Folder { inode, path: path(first) },
        b'W' => Note::Written { inode, offset: value, bytes: data.to_vec() },
        b'T' => Note::Resized { inode, length: value },
        b'B' => Note::SyncBegun { inode, number: value },
        b'S' => Note::Synced { inode, number: value },
        b'L' => Note::Linked { from: path(first), to: path(second) },
        b'R' => Note::Renamed { from: path(first), to: path(second) },
        b'U' => Note::Removed { path: path(first) },
        other => panic!("a note of an unknown kind: {other}"),
    };
    Some((note, rest))
}
