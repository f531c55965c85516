//! What a power cut leaves, by a table: the disk that other tests rely on is itself tested here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use wasmill_tests::{Cut, Disk, FaultyDisk, Home, Note, guest, read_notes};

const ROOT: &str = "/disk";

fn path(name: &str) -> PathBuf {
    Path::new(ROOT).join(name)
}

fn created(inode: u64, name: &str) -> Note {
    Note::Created { inode, path: path(name) }
}

fn folder(inode: u64, name: &str) -> Note {
    Note::Folder { inode, path: path(name) }
}

fn written(inode: u64, offset: u64, text: &str) -> Note {
    Note::Written { inode, offset, bytes: text.as_bytes().to_vec() }
}

fn renamed(from: &str, to: &str) -> Note {
    Note::Renamed { from: path(from), to: path(to) }
}

fn linked(from: &str, to: &str) -> Note {
    Note::Linked { from: path(from), to: path(to) }
}

fn removed(name: &str) -> Note {
    Note::Removed { path: path(name) }
}

/// A whole sync; each has a number of its own.
fn synced(inode: u64) -> [Note; 2] {
    let number = 1_000 + inode;
    [Note::SyncBegun { inode, number }, Note::Synced { inode, number }]
}

/// The root has inode 1.
fn disk(notes: impl IntoIterator<Item = Note>) -> Disk {
    let mut disk = Disk::new(Path::new(ROOT), 1);
    notes.into_iter().for_each(|note| disk.apply(note));
    disk
}

/// All files below a folder with their contents.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(
                files(&path).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)),
            );
        } else {
            found.insert(name, std::fs::read(&path).expect("a file"));
        }
    }
    found
}

fn rebuilt(disk: &Disk, cut: Cut) -> BTreeMap<String, Vec<u8>> {
    let target = tempfile::tempdir().expect("a temporary folder");
    disk.rebuild(cut, target.path());
    files(target.path())
}

fn texts(disk: &Disk, cut: Cut) -> Vec<(String, String)> {
    rebuilt(disk, cut)
        .into_iter()
        .map(|(name, bytes)| (name, String::from_utf8(bytes).expect("text")))
        .collect()
}

/// What was done, in words and in notes, and the files that are left.
type Case<'c> = (&'c str, Vec<Note>, &'c [(&'c str, &'c str)]);

#[test]
fn what_is_left_without_anything_that_was_not_synced() {
    let [begun, ended] = synced(2);
    let file = || vec![created(2, "a"), written(2, 0, "abc")];
    let whole = |more: Vec<Note>| {
        file().into_iter().chain(synced(2)).chain(synced(1)).chain(more).collect::<Vec<_>>()
    };
    let table: [Case; 13] = [
        ("nothing was synced", file(), &[]),
        ("a file without its folder", file().into_iter().chain(synced(2)).collect(), &[]),
        ("a folder without its file", file().into_iter().chain(synced(1)).collect(), &[("a", "")]),
        ("both", whole(vec![]), &[("a", "abc")]),
        ("written later", whole(vec![written(2, 1, "XY")]), &[("a", "abc")]),
        ("shortened later", whole(vec![Note::Resized { inode: 2, length: 0 }]), &[("a", "abc")]),
        ("renamed later", whole(vec![renamed("a", "b")]), &[("a", "abc")]),
        (
            "renamed, and the folder synced",
            whole([vec![renamed("a", "b")], synced(1).to_vec()].concat()),
            &[("b", "abc")],
        ),
        (
            "linked, the old name removed, and the folder synced",
            whole([vec![linked("a", "b"), removed("a")], synced(1).to_vec()].concat()),
            &[("b", "abc")],
        ),
        ("removed later", whole(vec![removed("a")]), &[("a", "abc")]),
        (
            "written between a sync's begin and its end",
            [file(), synced(1).to_vec(), vec![begun.clone(), written(2, 3, "def"), ended.clone()]]
                .concat(),
            &[("a", "abc")],
        ),
        (
            "a sync that never ended",
            [file(), synced(1).to_vec(), vec![begun]].concat(),
            &[("a", "")],
        ),
        (
            "a folder in a folder that was not synced",
            [
                vec![folder(3, "f"), created(2, "f/a"), written(2, 0, "abc")],
                synced(2).to_vec(),
                synced(3).to_vec(),
            ]
            .concat(),
            &[],
        ),
    ];
    for (what, notes, left) in table {
        let left: Vec<(String, String)> =
            left.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        assert_eq!(texts(&disk(notes), Cut::Nothing), left, "{what}");
    }
}

#[test]
fn a_number_that_is_used_again_is_another_file() {
    let first =
        [vec![created(2, "a"), written(2, 0, "abc")], synced(2).to_vec(), synced(1).to_vec()]
            .concat();
    let disk = disk(
        [first, vec![removed("a"), created(2, "b"), written(2, 0, "x")], synced(2).to_vec()]
            .concat(),
    );
    assert_eq!(texts(&disk, Cut::Nothing), [("a".to_owned(), "abc".to_owned())]);
    assert_eq!(texts(&disk, Cut::Everything), [("b".to_owned(), "x".to_owned())]);
}

#[test]
fn a_prefix_has_no_gaps_and_a_subset_may() {
    let begin = [
        vec![created(2, "a"), Note::Resized { inode: 2, length: 4 }],
        synced(2).to_vec(),
        synced(1).to_vec(),
    ]
    .concat();
    let disk = disk(begin.into_iter().chain((0..4).map(|at| written(2, at, "x"))));
    let seen = |cut: fn(u64) -> Cut| -> BTreeMap<Vec<u8>, u64> {
        let mut seen = BTreeMap::new();
        for seed in 0..200 {
            *seen.entry(rebuilt(&disk, cut(seed))["a"].clone()).or_default() += 1;
        }
        seen
    };
    let prefixes = seen(Cut::Prefix);
    let expected: Vec<Vec<u8>> =
        (0..=4).map(|kept| (0..4).map(|at| if at < kept { b'x' } else { 0 }).collect()).collect();
    assert_eq!(prefixes.keys().cloned().collect::<Vec<_>>(), expected, "{prefixes:?}");
    assert_eq!(seen(Cut::Subset).len(), 16, "every choice of four writes");
}

#[test]
fn writes_are_torn_at_sectors() {
    let begin = [
        vec![created(2, "a"), Note::Resized { inode: 2, length: 4_096 }],
        synced(2).to_vec(),
        synced(1).to_vec(),
    ]
    .concat();
    let page = Note::Written { inode: 2, offset: 256, bytes: vec![b'x'; 2_048] };
    let disk = disk(begin.into_iter().chain([page]));
    let mut torn = 0;
    for seed in 0..200 {
        let left = &rebuilt(&disk, Cut::Subset(seed))["a"];
        let kept = left.iter().filter(|byte| **byte == b'x').count();
        torn += usize::from(kept != 0 && kept != 2_048);
        for sector in left.chunks(512) {
            let kept = sector.iter().filter(|byte| **byte == b'x').count();
            assert!([0, 256, 512].contains(&kept), "a sector in parts: {kept}");
        }
    }
    assert!((5..60).contains(&torn), "{torn} of 200 were torn");
}

/// Without this, a call that nobody notes would make every disk look better than it is.
#[test]
fn everything_that_a_host_does_to_its_files_is_noted() {
    let home = Home::new();
    let mut faulty = FaultyDisk::new(home.folder());
    let mut disk = Disk::of(home.folder());
    for _ in 0..2 {
        let mut host = faulty.start(&home, &[], true);
        let deployed = host.push("u/tests/hello", &guest("hello"));
        let id = host.queue("u/tests/hello", &serde_json::json!({"name": "Ann"}));
        host.wait(&id, 20);
        host.still_serves();
        let erased =
            host.request("POST", &format!("/api/w/main/jobs/completed/delete/{id}")).send();
        assert_eq!((erased.status, deployed.path.as_str()), (200, "u/tests/hello"));
        host.terminate();
        assert!(host.ended(20).success());
        read_notes(&faulty.last_log()).into_iter().for_each(|note| disk.apply(note));
        assert_eq!(
            disk.catch_up(|name| name.starts_with("log-")),
            0,
            "something was done that was not noted"
        );
    }
    let rebuilt = rebuilt(&disk, Cut::Everything);
    let mut real = files(home.folder());
    real.retain(|name, _| !name.starts_with("log-"));
    assert_eq!(rebuilt.keys().collect::<Vec<_>>(), real.keys().collect::<Vec<_>>());
    assert!(rebuilt == real, "the contents differ");
    assert!(rebuilt["data/wasmill.db"].len() > 10_000);
}
