//! Compiled scripts that hosts share: used when they are authentic, and never otherwise.

use crate::support::*;
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use wasmill_core::{Digest, Kind};
use wasmill_sandbox::{ArtefactCounts, Sandbox, SharedArtefacts};

/// Shared artefacts in memory.
#[derive(Default)]
struct Memory {
    kept: Mutex<BTreeMap<(String, Digest), Bytes>>,
    /// When true, every operation fails.
    broken: AtomicBool,
}

impl Memory {
    fn the_one(&self) -> ((String, Digest), Bytes) {
        let kept = self.kept.lock().unwrap();
        assert_eq!(kept.len(), 1);
        kept.first_key_value().map(|(key, bytes)| (key.clone(), bytes.clone())).unwrap()
    }

    fn put_there(&self, key: &(String, Digest), bytes: impl Into<Bytes>) {
        self.kept.lock().unwrap().insert(key.clone(), bytes.into());
    }

    fn works(&self) -> Result<(), String> {
        if self.broken.load(Ordering::Relaxed) { Err("the store is broken".into()) } else { Ok(()) }
    }
}

#[async_trait]
impl SharedArtefacts for Memory {
    async fn get(
        &self,
        engine_id: &str,
        module: Digest,
        max_bytes: u64,
    ) -> Result<Option<Bytes>, String> {
        self.works()?;
        let found = self.kept.lock().unwrap().get(&(engine_id.to_owned(), module)).cloned();
        assert!(found.as_ref().is_none_or(|found| found.len() as u64 <= max_bytes));
        Ok(found)
    }

    async fn put(&self, engine_id: &str, module: Digest, code: Bytes) -> Result<(), String> {
        self.works()?;
        self.put_there(&(engine_id.to_owned(), module), code);
        Ok(())
    }

    async fn remove(&self, module: Digest) -> Result<(), String> {
        self.works()?;
        self.kept.lock().unwrap().retain(|(_, kept), _| *kept != module);
        Ok(())
    }
}

fn one() -> Bytes {
    wasm(&printing("1", ""))
}

fn two() -> Bytes {
    wasm(&printing("2", ""))
}

/// A host with these shared artefacts.
fn host(directory: &Path, shared: &Arc<Memory>, key: [u8; 32]) -> Arc<Sandbox> {
    let mut config = config(directory.join("cache"));
    config.shared_artefacts = Some(shared.clone());
    config.artefact_key = key;
    Sandbox::new(config).unwrap()
}

/// Prepares and runs module one on a host that has nothing on its disk, and tells what happened,
/// once that is all over.
async fn fresh_host(shared: &Arc<Memory>) -> (bool, ArtefactCounts) {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = host(directory.path(), shared, KEY);
    let asked = AtomicU32::new(0);
    let fetch = || async {
        asked.fetch_add(1, Ordering::Relaxed);
        Ok(one())
    };
    let script = sandbox.prepare(digest(&one()), Kind::Command, fetch).await.unwrap();
    assert_eq!(run_prepared(&sandbox, &script, "{}", limits()).await.result(), "1");
    let counts = over(&sandbox).await;
    let asked = asked.load(Ordering::Relaxed) > 0;
    drop(sandbox);
    // It is on the disk now, wherever it came from.
    let again = host(directory.path(), &Arc::default(), KEY);
    again.prepare(digest(&one()), Kind::Command, never).await.unwrap();
    assert_eq!(again.artefact_counts().from_disk, 1);
    (asked, counts)
}

/// The counts once everything that was compiled is published, or publishing it has failed.
async fn over(sandbox: &Sandbox) -> ArtefactCounts {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let counts = sandbox.artefact_counts();
        if counts.published + counts.shared_failures >= counts.compiled {
            return counts;
        }
        assert!(Instant::now() < end, "{counts:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Shared artefacts with module one, which a first host has published after an upload.
async fn filled() -> Arc<Memory> {
    let (directory, shared) = (tempfile::tempdir().unwrap(), Arc::new(Memory::default()));
    let sandbox = host(directory.path(), &shared, KEY);
    sandbox.admit(one()).await.unwrap();
    let expected = ArtefactCounts { compiled: 1, published: 1, ..ArtefactCounts::default() };
    assert_eq!(over(&sandbox).await, expected);
    shared
}

#[tokio::test]
async fn what_one_has_compiled_the_others_use() {
    let shared = filled().await;
    let taken = ArtefactCounts { from_shared: 1, ..ArtefactCounts::default() };
    assert_eq!(fresh_host(&shared).await, (false, taken));
    // Also for an upload, whose bytes are at hand.
    let directory = tempfile::tempdir().unwrap();
    let sandbox = host(directory.path(), &shared, KEY);
    sandbox.admit(one()).await.unwrap();
    assert_eq!(sandbox.artefact_counts(), taken);
}

#[tokio::test]
async fn what_is_not_authentic_is_never_used() {
    let shared = filled().await;
    let (key, whole) = shared.the_one();
    let length = whole.len();
    let rejected =
        ArtefactCounts { rejected: 1, compiled: 1, published: 1, ..ArtefactCounts::default() };
    // The beginning, middle and end of the code, the metadata, its length, the MAC, the magic.
    let metadata_bytes =
        u32::from_le_bytes(whole[length - 44..length - 40].try_into().unwrap()) as usize;
    let metadata = length - 44 - metadata_bytes;
    assert_eq!((&whole[..4], whole[metadata]), (&b"\x7fELF"[..], b'{'));
    let back = [1, 8, 9, 40, 41, 44, 45].map(|back| length - back);
    let places = [0, 4, 4_097, length / 2, metadata - 1, metadata].into_iter().chain(back);
    for at in places {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 1;
        shared.put_there(&key, bytes);
        assert_eq!(fresh_host(&shared).await, (true, rejected), "the byte at {at} was changed");
        let (_, healed) = shared.the_one();
        assert_ne!(healed[at], whole[at] ^ 1, "it was not put there anew");
    }
    for cut in
        [0, 1, 43, 44, 45, metadata, length / 2, length - 44, length - 40, length - 8, length - 1]
    {
        shared.put_there(&key, whole.slice(..cut));
        assert_eq!(fresh_host(&shared).await, (true, rejected), "cut after {cut}");
    }
    shared.put_there(&key, [&whole[..], b"x"].concat());
    assert_eq!(fresh_host(&shared).await, (true, rejected), "lengthened");
}

#[tokio::test]
async fn other_keys_and_names_do_not_fit() {
    let rejected =
        ArtefactCounts { rejected: 1, compiled: 1, published: 1, ..ArtefactCounts::default() };
    // Of a host with another key, in every way as it should be.
    let (directory, shared) = (tempfile::tempdir().unwrap(), Arc::new(Memory::default()));
    let sandbox = host(directory.path(), &shared, [8; 32]);
    sandbox.admit(one()).await.unwrap();
    over(&sandbox).await;
    assert_eq!(fresh_host(&shared).await, (true, rejected));
    // Authentic, but of another module.
    let directory = tempfile::tempdir().unwrap();
    let other = Arc::new(Memory::default());
    let sandbox = host(directory.path(), &other, KEY);
    sandbox.admit(two()).await.unwrap();
    over(&sandbox).await;
    let (key, bytes) = other.the_one();
    let shared = Arc::new(Memory::default());
    shared.put_there(&(key.0.clone(), digest(&one())), bytes);
    assert_eq!(fresh_host(&shared).await, (true, rejected));
    // Made for another engine: not even looked at.
    let shared = filled().await;
    let (key, bytes) = shared.the_one();
    let shared = Arc::new(Memory::default());
    shared.put_there(&(format!("{}x", key.0), key.1), bytes);
    let compiled = ArtefactCounts { compiled: 1, published: 1, ..ArtefactCounts::default() };
    assert_eq!(fresh_host(&shared).await, (true, compiled));
}

#[tokio::test]
async fn a_broken_store_is_passed_over() {
    let shared = filled().await;
    shared.broken.store(true, Ordering::Relaxed);
    let (asked, counts) = fresh_host(&shared).await;
    assert!(asked);
    assert_eq!((counts.compiled, counts.from_shared, counts.published), (1, 0, 0));
    assert!(counts.shared_failures > 0);
}

#[tokio::test]
async fn deleted_versions_leave_the_shared_artefacts() {
    let (directory, shared) = (tempfile::tempdir().unwrap(), filled().await);
    let sandbox = host(directory.path(), &shared, KEY);
    sandbox.admit(one()).await.unwrap();
    sandbox.forget(digest(&one())).await;
    assert!(shared.kept.lock().unwrap().is_empty());
    assert_eq!(std::fs::read_dir(directory.path().join("cache")).unwrap().count(), 0);
}

/// The disk's bound, as the sandbox keeps it: the oldest goes, but not what is ready in memory.
#[tokio::test]
async fn the_disk_has_a_bound() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    let scripts: Vec<Bytes> = (0..6).map(|n| wasm(&printing(&n.to_string(), ""))).collect();
    let sizes = || -> Vec<u64> {
        std::fs::read_dir(&cache)
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .collect()
    };
    Sandbox::new(config(cache.clone())).unwrap().admit(scripts[0].clone()).await.unwrap();
    let bound = sizes()[0] * 5 / 2;
    let bounded = |warm_bytes| {
        let mut config = config(cache.clone());
        (config.limits.artefact_bytes, config.limits.warm_bytes) = (bound, warm_bytes);
        Sandbox::new(config).unwrap()
    };
    // Nothing stays in memory: two of them fit.
    let sandbox = bounded(0);
    for script in &scripts {
        sandbox.admit(script.clone()).await.unwrap();
        assert!(sizes().iter().sum::<u64>() <= bound);
    }
    assert_eq!(sizes().len(), 2);
    drop(sandbox);
    // All stay in memory: none is removed.
    let sandbox = bounded(1 << 30);
    for script in &scripts {
        sandbox.admit(script.clone()).await.unwrap();
    }
    assert_eq!(sizes().len(), 6);
    drop(sandbox);
    bounded(0);
    assert_eq!(sizes().len(), 2, "at the next start they are not in use");
}
