//! From a path or a hash to the version that runs, without a database read once it is known.
//!
//! A deployment is written into the map by the process that made it, so `/p/` is right at once. A
//! look-up that races a deployment may answer with the older version, but never leaves it in the
//! map: see `fill`.

use crate::store_errors::unavailable;
use dashmap::DashMap;
use http::HeaderValue;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use wasmill_core::queue::Concurrency;
use wasmill_core::{
    Manifest, Problem, RunLimits, Runnable, ScriptPath, ScriptSettings, VersionHash, WorkspaceId,
};
use wasmill_store::{Erasure, Store, Version};

/// Versions kept in each map; when one is full it starts anew.
const KEPT: usize = 50_000;

/// What is to be run: the newest of a path, or exactly one version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// `/p/<path>`
    Path(ScriptPath),
    /// `/h/<hash>`
    Hash(VersionHash),
}

impl From<ScriptPath> for Target {
    fn from(path: ScriptPath) -> Self {
        Target::Path(path)
    }
}

impl From<VersionHash> for Target {
    fn from(hash: VersionHash) -> Self {
        Target::Hash(hash)
    }
}

/// A version, as the hot path needs it.
#[derive(Debug)]
pub(crate) struct Deployment {
    /// Names the version.
    pub(crate) hash: VersionHash,
    /// The same as text.
    pub(crate) hash_text: Arc<str>,
    /// The same as a header's value.
    pub(crate) hash_header: HeaderValue,
    /// Where it is deployed; rights go by it, also when it was called by hash.
    pub(crate) path: ScriptPath,
    /// What it runs.
    pub(crate) runnable: Runnable,
    /// The host's limits narrowed by the script's.
    pub(crate) limits: RunLimits,
    /// What else its author decided.
    pub(crate) settings: ScriptSettings,
}

impl Deployment {
    /// What becomes of the payload of its jobs.
    pub(crate) fn erasure(&self) -> Erasure {
        let after = self.settings.delete_after_secs;
        let after = after.map(|seconds| Duration::from_secs(seconds.into()));
        Erasure { when_read: self.settings.delete_after_use, after }
    }

    /// Of how many others its jobs with these arguments may run beside.
    pub(crate) fn concurrency(&self, workspace: &WorkspaceId, args: &[u8]) -> Option<Concurrency> {
        let limit = self.settings.concurrent_limit?;
        let key = self.settings.concurrency_key.as_deref();
        let args = std::str::from_utf8(args).unwrap_or_default();
        Some(Concurrency::new(workspace, &self.path, key, limit, args))
    }

    /// True when its calls have to wait for their turn in the queue, also those whose callers wait:
    /// what runs beside what is decided where jobs are claimed, in one transaction for all nodes.
    pub(crate) fn takes_turns(&self) -> bool {
        self.settings.concurrent_limit.is_some()
    }
}

/// The two maps.
pub(crate) struct Resolver {
    store: Arc<dyn Store>,
    by_path: DashMap<(WorkspaceId, ScriptPath), Arc<Deployment>>,
    by_hash: DashMap<(WorkspaceId, VersionHash), Arc<Deployment>>,
    /// Counts changes, so that a look-up can tell whether one happened while it was reading.
    changes: AtomicU64,
    limits: RunLimits,
}

impl Resolver {
    /// Empty maps. `limits` are the host's, to be narrowed by each script's own.
    pub(crate) fn new(store: Arc<dyn Store>, limits: RunLimits) -> Self {
        Self {
            store,
            by_path: DashMap::new(),
            by_hash: DashMap::new(),
            changes: AtomicU64::new(0),
            limits,
        }
    }

    /// The version that the target means now.
    ///
    /// # Errors
    /// 404 with one text for what does not exist and what is another workspace's.
    pub(crate) async fn resolve(
        &self,
        workspace: &WorkspaceId,
        target: &Target,
    ) -> Result<Arc<Deployment>, Problem> {
        match target {
            Target::Path(path) => {
                let key = (workspace.clone(), path.clone());
                if let Some(known) = self.by_path.get(&key) {
                    return Ok(known.clone());
                }
                let seen = self.changes.load(Ordering::Acquire);
                let found = self.store.newest(workspace, path).await.map_err(unavailable)?;
                let version = found.ok_or_else(|| {
                    Problem::not_found(format!(
                        "There is no script at {path} in the workspace {workspace}"
                    ))
                })?;
                Ok(self.fill(&self.by_path, key, seen, self.deployment(&version)?))
            }
            Target::Hash(hash) => {
                let key = (workspace.clone(), *hash);
                if let Some(known) = self.by_hash.get(&key) {
                    return Ok(known.clone());
                }
                let seen = self.changes.load(Ordering::Acquire);
                let found = self.store.version(workspace, hash).await.map_err(unavailable)?;
                let version = found.ok_or_else(|| {
                    Problem::not_found(format!(
                        "There is no version {hash} in the workspace {workspace}"
                    ))
                })?;
                if version.deleted {
                    return Err(Problem::new(
                        wasmill_core::problem::Code::Gone,
                        format!("The version {hash} was deleted"),
                    ));
                }
                Ok(self.fill(&self.by_hash, key, seen, self.deployment(&version)?))
            }
        }
    }

    /// # Errors
    /// 500 for a version whose settings this program does not know: what they ask for would not be
    /// done.
    fn deployment(&self, stored: &Version) -> Result<Arc<Deployment>, Problem> {
        let version = &stored.version;
        let settings = Manifest::settings_of(&version.manifest).map_err(|error| {
            tracing::error!(path = %version.path, hash = %version.hash, %error, "the settings of a version cannot be read");
            Problem::internal()
        })?;
        let hash_text = version.hash.to_hex();
        Ok(Arc::new(Deployment {
            hash: version.hash,
            hash_header: HeaderValue::from_str(&hash_text).map_err(|_| Problem::internal())?,
            hash_text: hash_text.into(),
            path: version.path.clone(),
            runnable: version.runnable.clone(),
            limits: self.limits.narrowed_by(&version.limits),
            settings,
        }))
    }

    /// Keeps what was read, unless something changed since `seen`. The check happens under the
    /// entry's lock and changes are counted before they are written, so that an older version can
    /// never overwrite a newer one.
    fn fill<K: Eq + Hash>(
        &self,
        map: &DashMap<K, Arc<Deployment>>,
        key: K,
        seen: u64,
        found: Arc<Deployment>,
    ) -> Arc<Deployment> {
        if map.len() >= KEPT {
            map.clear();
        }
        let entry = map.entry(key);
        if self.changes.load(Ordering::Acquire) == seen {
            entry.or_insert_with(|| found.clone());
        }
        found
    }

    /// Notes a deployment. To be called after its commit and before it is answered.
    pub(crate) fn deployed(&self, workspace: &WorkspaceId, version: &Version) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        let key = (workspace.clone(), version.version.path.clone());
        match self.deployment(version) {
            Ok(deployment) => drop(self.by_path.insert(key, deployment)),
            Err(_) => drop(self.by_path.remove(&key)),
        }
    }

    /// Notes that a version is no more: its path may mean another one now, or none. To be called
    /// after its commit and before it is answered.
    pub(crate) fn deleted(&self, workspace: &WorkspaceId, path: &ScriptPath, hash: VersionHash) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.by_path.remove(&(workspace.clone(), path.clone()));
        self.by_hash.remove(&(workspace.clone(), hash));
    }

    /// Forgets everything, for somebody else changed something.
    pub(crate) fn forget(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.by_path.clear();
        self.by_hash.clear();
    }

    /// Notes that a path no longer runs. To be called after its commit and before it is answered.
    pub(crate) fn archived(&self, workspace: &WorkspaceId, path: &ScriptPath) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.by_path.remove(&(workspace.clone(), path.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill_core::limits::DeclaredLimits;
    use wasmill_core::{Digest, Kind};
    use wasmill_store::memory::MemoryStore;
    use wasmill_store::{Accounts as _, NewVersion, Scripts as _};

    fn version(path: &str, module: &[u8]) -> NewVersion {
        NewVersion {
            hash: Digest::of(module),
            manifest: "{}".into(),
            path: path.parse().unwrap(),
            runnable: Runnable::Module { module: Digest::of(module), kind: Kind::Typed },
            module_bytes: module.len() as u64,
            limits: DeclaredLimits { timeout_s: Some(1), memory_mib: None },
            schema: None,
            summary: String::new(),
            created_by: "admin".into(),
            created: 1,
        }
    }

    async fn store_with(version: &NewVersion) -> (Arc<MemoryStore>, WorkspaceId) {
        let (store, main) = (Arc::new(MemoryStore::new()), "main".parse::<WorkspaceId>().unwrap());
        store.create_workspace(&main, "Main", 0).await.unwrap();
        store.deploy(&main, version).await.unwrap();
        (store, main)
    }

    #[tokio::test]
    async fn a_known_path_is_not_looked_up_again() {
        let first = version("u/a/x", b"1");
        let (store, main) = store_with(&first).await;
        let resolver = Resolver::new(store.clone(), RunLimits::default());
        let target = Target::Path(first.path.clone());
        let found = resolver.resolve(&main, &target).await.unwrap();
        assert_eq!((found.hash, found.limits.wall.as_secs()), (first.hash, 1));
        // Behind the resolver's back: what it still answers can only come from memory.
        store.archive(&main, &first.path, 9).await.unwrap();
        assert!(resolver.resolve(&main, &target).await.is_ok());
        resolver.archived(&main, &first.path);
        assert!(resolver.resolve(&main, &target).await.is_err());
        assert!(
            resolver.resolve(&main, &Target::Hash(first.hash)).await.is_ok(),
            "its hash still resolves"
        );
    }

    #[tokio::test]
    async fn a_deployment_is_right_at_once() {
        let (first, second) = (version("u/a/x", b"1"), version("u/a/x", b"2"));
        let (store, main) = store_with(&first).await;
        let resolver = Resolver::new(store.clone(), RunLimits::default());
        let target = Target::Path(first.path.clone());
        resolver.resolve(&main, &target).await.unwrap();
        let deployed = store.deploy(&main, &second).await.unwrap();
        resolver.deployed(&main, &deployed.version);
        assert_eq!(resolver.resolve(&main, &target).await.unwrap().hash, second.hash);
    }

    #[tokio::test]
    async fn what_was_read_before_a_change_is_not_kept() {
        let (first, second) = (version("u/a/x", b"1"), version("u/a/x", b"2"));
        let (store, main) = store_with(&first).await;
        let resolver = Resolver::new(store.clone(), RunLimits::default());
        let key = (main.clone(), first.path.clone());
        // A look-up that read the older version, then lost the race against a deployment.
        let seen = resolver.changes.load(Ordering::Acquire);
        let old =
            resolver.deployment(&store.newest(&main, &first.path).await.unwrap().unwrap()).unwrap();
        let deployed = store.deploy(&main, &second).await.unwrap();
        resolver.deployed(&main, &deployed.version);
        resolver.fill(&resolver.by_path, key.clone(), seen, old.clone());
        assert_eq!(resolver.by_path.get(&key).unwrap().hash, second.hash);
        resolver.by_path.remove(&key);
        resolver.fill(&resolver.by_path, key.clone(), seen, old);
        assert!(resolver.by_path.get(&key).is_none());
    }

    #[tokio::test]
    async fn another_workspace_finds_nothing() {
        let first = version("u/a/x", b"1");
        let (store, main) = store_with(&first).await;
        let other: WorkspaceId = "other".parse().unwrap();
        store.create_workspace(&other, "Other", 0).await.unwrap();
        let resolver = Resolver::new(store.clone(), RunLimits::default());
        resolver.resolve(&main, &Target::Hash(first.hash)).await.unwrap();
        for target in [Target::Hash(first.hash), Target::Path(first.path)] {
            assert_eq!(
                resolver.resolve(&other, &target).await.unwrap_err().code,
                wasmill_core::problem::Code::NotFound
            );
        }
    }
}
