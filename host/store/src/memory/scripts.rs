//! Scripts and their versions in memory.

use super::state::State;
use super::store::MemoryStore;
use crate::common::{changes, refusals};
use crate::{Deployed, Micros, NewVersion, Result, Scripts, StoreError, Version};
use async_trait::async_trait;
use std::time::Duration;
use wasmill_core::{Digest, Runnable, ScriptPath, VersionHash, WorkspaceId};

#[async_trait]
impl Scripts for MemoryStore {
    async fn deploy(&self, workspace: &WorkspaceId, version: &NewVersion) -> Result<Deployed> {
        let mut state = self.state();
        state.workspace(workspace)?;
        let key = (workspace.clone(), version.hash);
        let revived = state.deleted.contains(&key);
        let before = state.newest(workspace, &version.path).map(|newest| newest.version.hash);
        let created = match state.versions.get(&key) {
            Some(known) if known.path != version.path => {
                return Err(refusals::version_elsewhere(&version.hash, &known.path));
            }
            Some(_) if !revived => false,
            _ => {
                state.deleted.remove(&key);
                state.versions.insert(key, version.clone());
                true
            }
        };
        state.generation += 1;
        let script = state.scripts.entry((workspace.clone(), version.path.clone())).or_default();
        let is_first = script.versions.is_empty();
        script.archived = false;
        if script.versions.last() != Some(&version.hash) {
            script.versions.retain(|hash| *hash != version.hash);
            script.versions.push(version.hash);
        }
        let change = changes::of_deployment(version, is_first, before);
        self.tell_all(&mut state, workspace, version.created, change);
        match state.version(workspace, &version.hash) {
            Some(version) => Ok(Deployed { version, created }),
            None => Err(StoreError::Corrupt(format!("version {} is gone", version.hash))),
        }
    }

    async fn newest(&self, workspace: &WorkspaceId, path: &ScriptPath) -> Result<Option<Version>> {
        let state = self.state();
        Ok(state.newest(workspace, path))
    }

    async fn version(
        &self,
        workspace: &WorkspaceId,
        hash: &VersionHash,
    ) -> Result<Option<Version>> {
        Ok(self.state().version(workspace, hash))
    }

    async fn list_scripts(
        &self,
        workspace: &WorkspaceId,
        after: Option<&ScriptPath>,
        limit: u32,
    ) -> Result<Vec<Version>> {
        let state = self.state();
        let paths = state
            .scripts
            .keys()
            .filter(|(of, path)| of == workspace && after.is_none_or(|after| path > after));
        let versions = paths.filter_map(|(_, path)| state.newest(workspace, path));
        Ok(versions.take(limit as usize).collect())
    }

    async fn history(
        &self,
        workspace: &WorkspaceId,
        path: &ScriptPath,
        limit: u32,
    ) -> Result<Vec<Version>> {
        let state = self.state();
        let script = state.scripts.get(&(workspace.clone(), path.clone()));
        let hashes = script.into_iter().flat_map(|script| script.versions.iter().rev());
        let versions = hashes.filter_map(|hash| state.version(workspace, hash));
        Ok(versions.take(limit as usize).collect())
    }

    async fn archive(
        &self,
        workspace: &WorkspaceId,
        path: &ScriptPath,
        at: Micros,
    ) -> Result<bool> {
        let mut state = self.state();
        let newest = state.newest(workspace, path);
        let Some(script) = state.scripts.get_mut(&(workspace.clone(), path.clone())) else {
            return Ok(false);
        };
        script.archived = true;
        state.generation += 1;
        let newest = newest.map(|version| version.version.hash);
        self.tell_all(&mut state, workspace, at, changes::of_archival(path, newest));
        Ok(true)
    }

    async fn delete_version(
        &self,
        workspace: &WorkspaceId,
        hash: &VersionHash,
        at: Micros,
    ) -> Result<bool> {
        let mut state = self.state();
        let key = (workspace.clone(), *hash);
        let Some(version) = state.versions.get_mut(&key) else {
            return Ok(false);
        };
        version.manifest.clear();
        version.summary.clear();
        version.schema = None;
        let path = version.path.clone();
        if !state.deleted.insert(key) {
            return Ok(false);
        }
        state.generation += 1;
        let script = state.scripts.get(&(workspace.clone(), path.clone()));
        let mut versions = script.into_iter().flat_map(|script| &script.versions);
        let is_last = versions.all(|hash| state.deleted.contains(&(workspace.clone(), *hash)));
        self.tell_all(&mut state, workspace, at, changes::of_deletion(path, *hash, is_last));
        Ok(true)
    }

    async fn module_in_use(&self, module: &Digest) -> Result<bool> {
        Ok(self.state().in_use(module))
    }

    async fn reserve_module(&self, module: &Digest, now: Micros, until: Micros) -> Result<()> {
        let mut state = self.state();
        if state.collecting.get(module).is_some_and(|until| *until >= now) {
            return Err(refusals::module_collecting(module));
        }
        let reserved = state.reserved.entry(*module).or_insert(until);
        *reserved = until.max(*reserved);
        Ok(())
    }

    async fn collect_module(&self, module: &Digest, now: Micros, until: Micros) -> Result<bool> {
        let mut state = self.state();
        let reserved = state.reserved.get(module).is_some_and(|until| *until >= now);
        let collecting = state.collecting.get(module).is_some_and(|until| *until >= now);
        if reserved || collecting || state.in_use(module) {
            return Ok(false);
        }
        state.reserved.remove(module);
        state.collecting.insert(*module, until);
        Ok(true)
    }

    async fn module_collected(&self, module: &Digest) -> Result<()> {
        self.state().collecting.remove(module);
        Ok(())
    }

    async fn set_retention(
        &self,
        workspace: &WorkspaceId,
        path: &ScriptPath,
        keep: Option<Duration>,
    ) -> Result<bool> {
        let mut state = self.state();
        let script = state.scripts.get_mut(&(workspace.clone(), path.clone()));
        Ok(script.map(|script| script.keep = keep).is_some())
    }

    async fn retentions(&self, workspace: &WorkspaceId) -> Result<Vec<(ScriptPath, Duration)>> {
        let state = self.state();
        let scripts = state.scripts.iter().filter(|((of, _), _)| of == workspace);
        Ok(scripts.filter_map(|((_, path), script)| Some((path.clone(), script.keep?))).collect())
    }
}

impl State {
    fn in_use(&self, module: &Digest) -> bool {
        let needs = |runnable: &Runnable| match runnable {
            Runnable::Module { module: needed, .. } => needed == module,
        };
        let mut users = self.versions.iter().filter(|(_, version)| needs(&version.runnable));
        users.any(|(key, _)| !self.deleted.contains(key))
    }

    fn newest(&self, workspace: &WorkspaceId, path: &ScriptPath) -> Option<Version> {
        let script = self
            .scripts
            .get(&(workspace.clone(), path.clone()))
            .filter(|script| !script.archived)?;
        let versions =
            script.versions.iter().rev().filter_map(|hash| self.version(workspace, hash));
        versions.into_iter().find(|version| !version.deleted)
    }

    fn version(&self, workspace: &WorkspaceId, hash: &VersionHash) -> Option<Version> {
        let version = self.versions.get(&(workspace.clone(), *hash))?;
        let script = self.scripts.get(&(workspace.clone(), version.path.clone()))?;
        let older = script.versions.iter().take_while(|other| *other != hash);
        let deleted = self.deleted.contains(&(workspace.clone(), *hash));
        Some(Version {
            version: version.clone(),
            deleted,
            archived: script.archived,
            parent: older.last().copied(),
        })
    }
}
