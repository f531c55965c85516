//! What is on the disk of one file or folder, what was done to it since, and what a power cut
//! leaves of that.

use crate::Random;
use std::collections::BTreeMap;

/// Bytes that a disk writes whole or not at all.
const SECTOR: usize = 512;

/// What becomes of that which was not synced when the power is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing of it is on the disk.
    Nothing,
    /// Of each file and folder the first so many changes are.
    Prefix(u64),
    /// Any of them are, and some writes only in part. The number seeds which.
    Subset(u64),
    /// All of it is.
    Everything,
}

/// A folder's names, and the objects that they mean.
pub(super) type Names = BTreeMap<String, usize>;

/// Something on the disk, and what was done to it since.
#[derive(Debug)]
pub(super) struct Durable<T, C> {
    synced: T,
    /// How many changes are in that.
    count: u64,
    pub(super) pending: Vec<C>,
}

/// A change to a file's bytes.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Resize(usize),
}

/// A change to a folder, which happens as a whole: names with what they mean from then on.
pub(super) type Renaming = Vec<(String, Option<usize>)>;

pub(super) trait Apply<C> {
    fn apply(&mut self, change: &C);
}

impl Apply<Change> for Vec<u8> {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Resize(length) => self.resize(*length, 0),
            Change::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if self.len() < end {
                    self.resize(end, 0);
                }
                self[*offset..end].copy_from_slice(bytes);
            }
        }
    }
}

impl Apply<Renaming> for Names {
    fn apply(&mut self, change: &Renaming) {
        for (name, object) in change {
            match object {
                Some(object) => self.insert(name.clone(), *object),
                None => self.remove(name),
            };
        }
    }
}

impl<T: Apply<C> + Clone + Default, C: Clone> Durable<T, C> {
    pub(super) fn new() -> Self {
        Self { synced: T::default(), count: 0, pending: Vec::new() }
    }

    /// How many changes there were.
    pub(super) fn total(&self) -> u64 {
        self.count + self.pending.len() as u64
    }

    /// Takes the first changes, up to that number, onto the disk.
    pub(super) fn sync(&mut self, until: u64) {
        let new = until.saturating_sub(self.count);
        for change in self.pending.drain(..new as usize) {
            self.synced.apply(&change);
        }
        self.count += new;
    }

    /// What a cut leaves. `torn` says what is left of a change that reaches the disk, perhaps in
    /// parts.
    pub(super) fn after(
        &self,
        cut: Cut,
        random: &mut Random,
        torn: impl Fn(&C, &mut Random) -> Vec<C>,
    ) -> T {
        let mut left = self.synced.clone();
        let mut kept = Vec::new();
        match cut {
            Cut::Nothing => {}
            Cut::Everything => kept.clone_from(&self.pending),
            Cut::Prefix(_) => kept.extend_from_slice(
                &self.pending[..random.below(self.pending.len() as u64 + 1) as usize],
            ),
            Cut::Subset(_) => {
                for change in &self.pending {
                    if random.once_in(2) {
                        kept.extend(torn(change, random));
                    }
                }
            }
        }
        for change in &kept {
            left.apply(change);
        }
        left
    }
}

/// One write in four reaches the disk as some of its sectors.
pub(super) fn sectors(change: &Change, random: &mut Random) -> Vec<Change> {
    match change {
        Change::Write { offset, bytes } if random.once_in(4) => {
            let mut kept = Vec::new();
            let mut at = 0;
            while at < bytes.len() {
                let end = bytes.len().min(at + SECTOR - (offset + at) % SECTOR);
                if random.once_in(2) {
                    kept.push(Change::Write {
                        offset: offset + at,
                        bytes: bytes[at..end].to_vec(),
                    });
                }
                at = end;
            }
            kept
        }
        whole => vec![whole.clone()],
    }
}

/// What cannot be in parts.
pub(super) fn whole<C: Clone>(change: &C, _: &mut Random) -> Vec<C> {
    vec![change.clone()]
}
