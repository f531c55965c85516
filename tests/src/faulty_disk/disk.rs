//! What a power cut leaves of what was done to files.
//!
//! A file's bytes and a folder's names are kept apart, and each is on the disk only up to what a
//! sync of it found there: a file that was synced is gone all the same when the folder with its
//! name was not. That is less than what file systems promise each by itself, and what all of them
//! promise together.

use super::Note;
use super::durable::{Apply as _, Change, Cut, Durable, Names, Renaming, sectors, whole};
use crate::Random;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A folder with all that is below it, and what of that is on the disk.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    objects: Vec<Object>,
    /// Which object an inode number means; the numbers of files that are gone are used again.
    inodes: HashMap<u64, usize>,
    /// Syncs under way: of which object, and how many of its changes they take.
    syncs: HashMap<u64, (usize, u64)>,
}

/// A file or a folder. The root is the first.
#[derive(Debug)]
enum Object {
    File(Durable<Vec<u8>, Change>),
    Folder { names: Names, durable: Durable<Names, Renaming> },
}

impl Disk {
    /// An empty folder that is itself on the disk.
    pub fn new(path: &Path, inode: u64) -> Self {
        let root = Object::Folder { names: Names::new(), durable: Durable::new() };
        Self {
            path: path.to_owned(),
            objects: vec![root],
            inodes: HashMap::from([(inode, 0)]),
            syncs: HashMap::new(),
        }
    }

    /// The empty folder that is there.
    pub fn of(folder: &Path) -> Self {
        let folder = folder.canonicalize().expect("the folder is there");
        let inode = folder.metadata().expect("the folder is there").ino();
        Self::new(&folder, inode)
    }

    /// Does what was noted.
    pub fn apply(&mut self, note: Note) {
        match note {
            Note::Created { inode, path } => self.make(inode, &path, Object::File(Durable::new())),
            Note::Folder { inode, path } => {
                self.make(
                    inode,
                    &path,
                    Object::Folder { names: Names::new(), durable: Durable::new() },
                );
            }
            Note::Written { inode, offset, bytes } => {
                self.change(inode, Change::Write { offset: offset as usize, bytes })
            }
            Note::Resized { inode, length } => self.change(inode, Change::Resize(length as usize)),
            Note::SyncBegun { inode, number } => {
                let object = self.inodes[&inode];
                let total = match &self.objects[object] {
                    Object::File(file) => file.total(),
                    Object::Folder { durable, .. } => durable.total(),
                };
                self.syncs.insert(number, (object, total));
            }
            Note::Synced { number, .. } => {
                let (object, total) =
                    self.syncs.remove(&number).expect("a sync ends that has begun");
                match &mut self.objects[object] {
                    Object::File(file) => file.sync(total),
                    Object::Folder { durable, .. } => durable.sync(total),
                }
            }
            Note::Linked { from, to } => {
                let object = self.found(&from);
                self.rename(&to, vec![(name_of(&to), Some(object))]);
            }
            Note::Renamed { from, to } if from.parent() == to.parent() => {
                let object = self.found(&from);
                self.rename(&to, vec![(name_of(&from), None), (name_of(&to), Some(object))]);
            }
            Note::Renamed { from, to } => {
                let object = self.found(&from);
                self.rename(&to, vec![(name_of(&to), Some(object))]);
                self.rename(&from, vec![(name_of(&from), None)]);
            }
            Note::Removed { path } => self.rename(&path, vec![(name_of(&path), None)]),
        }
    }

    /// A process has ended, perhaps in the middle of a call: what it did and did not come to note
    /// is taken from the folder. Names at the top for which `ignored` holds are left out. Returns
    /// how much was missing.
    pub fn catch_up(&mut self, ignored: impl Fn(&str) -> bool) -> usize {
        self.syncs.clear();
        let root = self.path.clone();
        let mut count = 0;
        loop {
            let mut missing = Vec::new();
            self.compare(0, &root, &ignored, &mut missing);
            if missing.is_empty() {
                return count;
            }
            // What is in a folder that was missing itself is found the next time.
            count += missing.len();
            for note in missing {
                self.apply(note);
            }
        }
    }

    fn compare(
        &self,
        folder: usize,
        path: &Path,
        ignored: &dyn Fn(&str) -> bool,
        missing: &mut Vec<Note>,
    ) {
        let Object::Folder { names, .. } = &self.objects[folder] else { return };
        let mut there = Vec::new();
        for entry in std::fs::read_dir(path).expect("a folder") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("a name in UTF-8");
            if name.ends_with("-shm") || (folder == 0 && ignored(&name)) {
                continue;
            }
            let (path, inode) = (entry.path(), entry.metadata().expect("a file").ino());
            there.push(name.clone());
            // A name that means something else now has been given anew.
            let known =
                names.get(&name).filter(|object| self.inodes.get(&inode) == Some(*object)).copied();
            if path.is_dir() {
                match known {
                    Some(object) => self.compare(object, &path, ignored, missing),
                    None => missing.push(Note::Folder { inode, path }),
                }
                continue;
            }
            let bytes = std::fs::read(&path).expect("a file");
            let noted = match known.map(|object| &self.objects[object]) {
                Some(Object::File(file)) => file.after(Cut::Everything, &mut Random::new(0), whole),
                _ => {
                    missing.push(Note::Created { inode, path });
                    Vec::new()
                }
            };
            if noted != bytes {
                missing.push(Note::Resized { inode, length: bytes.len() as u64 });
                missing.push(Note::Written { inode, offset: 0, bytes });
            }
        }
        let gone = names.keys().filter(|name| !there.contains(name));
        missing.extend(gone.map(|name| Note::Removed { path: path.join(name) }));
    }

    /// Writes what a cut leaves into an empty folder.
    pub fn rebuild(&self, cut: Cut, target: &Path) {
        let seed = match cut {
            Cut::Prefix(seed) | Cut::Subset(seed) => seed,
            Cut::Nothing | Cut::Everything => 0,
        };
        self.write(0, cut, &mut Random::new(seed), target);
    }

    fn write(&self, object: usize, cut: Cut, random: &mut Random, target: &Path) {
        match &self.objects[object] {
            Object::File(file) => std::fs::write(target, file.after(cut, random, sectors))
                .expect("the file can be written"),
            Object::Folder { durable, .. } => {
                if !target.is_dir() {
                    std::fs::create_dir(target).expect("the folder can be made");
                }
                for (name, object) in durable.after(cut, random, whole) {
                    self.write(object, cut, random, &target.join(name));
                }
            }
        }
    }

    fn make(&mut self, inode: u64, path: &Path, object: Object) {
        let new = self.objects.len();
        self.objects.push(object);
        self.inodes.insert(inode, new);
        self.rename(path, vec![(name_of(path), Some(new))]);
    }

    fn change(&mut self, inode: u64, change: Change) {
        let object =
            self.inodes.get(&inode).unwrap_or_else(|| panic!("the file {inode} was never made"));
        match &mut self.objects[*object] {
            Object::File(file) => file.pending.push(change),
            Object::Folder { .. } => panic!("bytes are written into a folder"),
        }
    }

    /// Changes the folder that a path is in.
    fn rename(&mut self, path: &Path, change: Renaming) {
        let folder = self.found(path.parent().expect("a folder"));
        let Object::Folder { names, durable } = &mut self.objects[folder] else {
            panic!("{} is in no folder", path.display())
        };
        names.apply(&change);
        durable.pending.push(change);
    }

    /// What a path means now.
    fn found(&self, path: &Path) -> usize {
        let below = path
            .strip_prefix(&self.path)
            .unwrap_or_else(|_| panic!("{} is elsewhere", path.display()));
        below.components().fold(0, |folder, name| match &self.objects[folder] {
            Object::Folder { names, .. } => *names
                .get(&*name.as_os_str().to_string_lossy())
                .unwrap_or_else(|| panic!("{} was never made", path.display())),
            Object::File(_) => panic!("{} is below a file", path.display()),
        })
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}
