//! Variables and resources in memory.

use super::MemoryStore;
use crate::{Micros, PutMode, Resource, Result, StoreError, Values, Variable};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use wasmill_core::WorkspaceId;
use wasmill_core::outbox::Change;

/// Values of one sort by workspace and path.
type Map<T> = BTreeMap<(WorkspaceId, String), T>;

#[async_trait]
impl Values for MemoryStore {
    async fn put_variable(
        &self,
        workspace: &WorkspaceId,
        variable: &Variable,
        mode: &PutMode,
    ) -> Result<()> {
        let mut state = self.state();
        state.workspace(workspace)?;
        let old = put(&mut state.variables, workspace, &variable.path, variable, mode, "variable")?;
        let new_path = variable.path.clone();
        let change = match old {
            Some(old_path) => Change::VariableUpdated { old_path, new_path },
            None => Change::VariableCreated { path: new_path },
        };
        self.tell(&mut state, workspace, variable.changed, change);
        Ok(())
    }

    async fn variable(&self, workspace: &WorkspaceId, path: &str) -> Result<Option<Variable>> {
        Ok(self.state().variables.get(&(workspace.clone(), path.to_owned())).cloned())
    }

    async fn list_variables(
        &self,
        workspace: &WorkspaceId,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Variable>> {
        let found = list(&self.state().variables, workspace, prefix, after)
            .take(limit as usize)
            .collect::<Vec<_>>();
        let shown = |variable: Variable| {
            if variable.is_secret { Variable { value: Vec::new(), ..variable } } else { variable }
        };
        Ok(found.into_iter().map(shown).collect())
    }

    async fn delete_variable(&self, workspace: &WorkspaceId, path: &str, at: Micros) -> Result<()> {
        let mut state = self.state();
        delete(&mut state.variables, workspace, path, "variable")?;
        self.tell(&mut state, workspace, at, Change::VariableDeleted { path: path.to_owned() });
        Ok(())
    }

    async fn put_resource(
        &self,
        workspace: &WorkspaceId,
        resource: &Resource,
        mode: &PutMode,
    ) -> Result<()> {
        let mut state = self.state();
        state.workspace(workspace)?;
        let old = put(&mut state.resources, workspace, &resource.path, resource, mode, "resource")?;
        let new_path = resource.path.clone();
        let change = match old {
            Some(old_path) => Change::ResourceUpdated { old_path, new_path },
            None => Change::ResourceCreated { path: new_path },
        };
        self.tell(&mut state, workspace, resource.changed, change);
        Ok(())
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
        let wanted = resources
            .filter(|resource| types.is_empty() || types.contains(&resource.resource_type));
        Ok(wanted
            .take(limit as usize)
            .map(|resource| Resource { value: Vec::new(), ..resource })
            .collect())
    }

    async fn resource_types(&self, workspace: &WorkspaceId) -> Result<Vec<String>> {
        let state = self.state();
        let types: BTreeSet<String> = list(&state.resources, workspace, "", None)
            .map(|resource| resource.resource_type)
            .collect();
        Ok(types.into_iter().collect())
    }

    async fn delete_resource(&self, workspace: &WorkspaceId, path: &str, at: Micros) -> Result<()> {
        let mut state = self.state();
        delete(&mut state.resources, workspace, path, "resource")?;
        self.tell(&mut state, workspace, at, Change::ResourceDeleted { path: path.to_owned() });
        Ok(())
    }
}

/// Puts a value and returns the path that it was at before, if it was.
fn put<T: Clone>(
    map: &mut Map<T>,
    workspace: &WorkspaceId,
    path: &str,
    value: &T,
    mode: &PutMode,
    what: &str,
) -> Result<Option<String>> {
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
    Ok(match mode {
        PutMode::Rename(old) => Some(old.clone()),
        _ => is_there.then(|| path.to_owned()),
    })
}

fn list<T: Clone>(
    map: &Map<T>,
    workspace: &WorkspaceId,
    prefix: &str,
    after: Option<&str>,
) -> impl Iterator<Item = T> {
    let is_wanted = move |of: &WorkspaceId, path: &str| {
        of == workspace && path.starts_with(prefix) && after.is_none_or(|after| path > after)
    };
    map.iter().filter(move |((of, path), _)| is_wanted(of, path)).map(|(_, value)| value.clone())
}

fn delete<T>(map: &mut Map<T>, workspace: &WorkspaceId, path: &str, what: &str) -> Result<()> {
    match map.remove(&(workspace.clone(), path.to_owned())) {
        Some(_) => Ok(()),
        None => Err(StoreError::NotFound(format!("{what} {path}"))),
    }
}
