//! Variables and resources in memory.

use super::MemoryStore;
use crate::{PutMode, Resource, Result, StoreError, Values, Variable};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use wasmill_core::WorkspaceId;

/// Values of one sort by workspace and path.
type Map<T> = BTreeMap<(WorkspaceId, String), T>;

#[async_trait]
impl Values for MemoryStore {
    async fn put_variable(&self, workspace: &WorkspaceId, variable: &Variable, mode: &PutMode) -> Result<()> {
        let mut state = self.state();
        state.workspace(workspace)?;
        put(&mut state.variables, workspace, &variable.path, variable, mode, "variable")
    }

    async fn variable(&self, workspace: &WorkspaceId, path: &str) -> Result<Option<Variable>> {
        Ok(self.state().variables.get(&(workspace.clone(), path.to_owned())).cloned())
    }

    async fn list_variables(&self, workspace: &WorkspaceId, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<Variable>> {
        let found = list(&self.state().variables, workspace, prefix, after).take(limit as usize).collect::<Vec<_>>();
        let shown = |variable: Variable| if variable.is_secret { Variable { value: Vec::new(), ..variable } } else { variable };
        Ok(found.into_iter().map(shown).collect())
    }

    async fn delete_variable(&self, workspace: &WorkspaceId, path: &str) -> Result<()> {
        delete(&mut self.state().variables, workspace, path, "variable")
    }

    async fn put_resource(&self, workspace: &WorkspaceId, resource: &Resource, mode: &PutMode) -> Result<()> {
        let mut state = self.state();
        state.workspace(workspace)?;
        put(&mut state.resources, workspace, &resource.path, resource, mode, "resource")
    }

    async fn resource(&self, workspace: &WorkspaceId, path: &str) -> Result<Option<Resource>> {
        Ok(self.state().resources.get(&(workspace.clone(), path.to_owned())).cloned())
    }

    async fn list_resources(
        &self,
        workspace: &WorkspaceId,
        types: &[String],
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Resource>> {
        let state = self.state();
        let resources = list(&state.resources, workspace, prefix, after);
        let wanted = resources.filter(|resource| types.is_empty() || types.contains(&resource.resource_type));
        Ok(wanted.take(limit as usize).map(|resource| Resource { value: Vec::new(), ..resource }).collect())
    }

    async fn resource_types(&self, workspace: &WorkspaceId) -> Result<Vec<String>> {
        let state = self.state();
        let types: BTreeSet<String> = list(&state.resources, workspace, "", None).map(|resource| resource.resource_type).collect();
        Ok(types.into_iter().collect())
    }

    async fn delete_resource(&self, workspace: &WorkspaceId, path: &str) -> Result<()> {
        delete(&mut self.state().resources, workspace, path, "resource")
    }
}

fn put<T: Clone>(map: &mut Map<T>, workspace: &WorkspaceId, path: &str, value: &T, mode: &PutMode, what: &str) -> Result<()> {
    let key = |path: &str| (workspace.clone(), path.to_owned());
    let is_there = map.contains_key(&key(path));
    let taken = || Err(StoreError::Conflict(format!("{what} {path} exists already")));
    let missing = |path: &str| Err(StoreError::NotFound(format!("{what} {path}")));
    match mode {
        PutMode::Create if is_there => return taken(),
        PutMode::Update if !is_there => return missing(path),
        PutMode::Rename(old) if !map.contains_key(&key(old)) => return missing(old),
        PutMode::Rename(old) if old != path && is_there => return taken(),
        PutMode::Rename(old) => drop(map.remove(&key(old))),
        PutMode::Create | PutMode::Update | PutMode::Upsert => {}
    }
    map.insert(key(path), value.clone());
    Ok(())
}

fn list<T: Clone>(map: &Map<T>, workspace: &WorkspaceId, prefix: &str, after: Option<&str>) -> impl Iterator<Item = T> {
    let is_wanted =
        move |of: &WorkspaceId, path: &str| of == workspace && path.starts_with(prefix) && after.is_none_or(|after| path > after);
    map.iter().filter(move |((of, path), _)| is_wanted(of, path)).map(|(_, value)| value.clone())
}

fn delete<T>(map: &mut Map<T>, workspace: &WorkspaceId, path: &str, what: &str) -> Result<()> {
    match map.remove(&(workspace.clone(), path.to_owned())) {
        Some(_) => Ok(()),
        None => Err(StoreError::NotFound(format!("{what} {path}"))),
    }
}
