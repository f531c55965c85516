//! Variables and resources in memory.

use super::store::MemoryStore;
use crate::common::changes::ValueSort;
use crate::{Micros, PutMode, Resource, Result, Values, Variable};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use wasmill_core::{ValuePath, WorkspaceId};

/// Values of one sort by workspace and path.
type Map<T> = BTreeMap<(WorkspaceId, ValuePath), T>;

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
        let sort = ValueSort::Variable;
        let old_path = put(&mut state.variables, workspace, &variable.path, variable, mode, sort)?;
        self.tell(&mut state, workspace, variable.changed, sort.put(old_path, &variable.path));
        Ok(())
    }

    async fn variable(
        &self,
        workspace: &WorkspaceId,
        path: &ValuePath,
    ) -> Result<Option<Variable>> {
        Ok(self.state().variables.get(&(workspace.clone(), path.clone())).cloned())
    }

    async fn list_variables(
        &self,
        workspace: &WorkspaceId,
        prefix: &str,
        after: Option<&ValuePath>,
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

    async fn delete_variable(
        &self,
        workspace: &WorkspaceId,
        path: &ValuePath,
        at: Micros,
    ) -> Result<()> {
        let mut state = self.state();
        delete(&mut state.variables, workspace, path, ValueSort::Variable)?;
        self.tell(&mut state, workspace, at, ValueSort::Variable.deleted(path));
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
        let sort = ValueSort::Resource;
        let old_path = put(&mut state.resources, workspace, &resource.path, resource, mode, sort)?;
        self.tell(&mut state, workspace, resource.changed, sort.put(old_path, &resource.path));
        Ok(())
    }

    async fn resource(
        &self,
        workspace: &WorkspaceId,
        path: &ValuePath,
    ) -> Result<Option<Resource>> {
        Ok(self.state().resources.get(&(workspace.clone(), path.clone())).cloned())
    }

    async fn list_resources(
        &self,
        workspace: &WorkspaceId,
        types: &[String],
        prefix: &str,
        after: Option<&ValuePath>,
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

    async fn delete_resource(
        &self,
        workspace: &WorkspaceId,
        path: &ValuePath,
        at: Micros,
    ) -> Result<()> {
        let mut state = self.state();
        delete(&mut state.resources, workspace, path, ValueSort::Resource)?;
        self.tell(&mut state, workspace, at, ValueSort::Resource.deleted(path));
        Ok(())
    }
}

/// Puts a value and returns the path that it was at before, if it was.
fn put<T: Clone>(
    map: &mut Map<T>,
    workspace: &WorkspaceId,
    path: &ValuePath,
    value: &T,
    mode: &PutMode,
    sort: ValueSort,
) -> Result<Option<ValuePath>> {
    let key = |path: &ValuePath| (workspace.clone(), path.clone());
    let is_there = map.contains_key(&key(path));
    match mode {
        PutMode::Create if is_there => return Err(sort.taken(path)),
        PutMode::Update if !is_there => return Err(sort.missing(path)),
        PutMode::Rename(old) if !map.contains_key(&key(old)) => return Err(sort.missing(old)),
        PutMode::Rename(old) if old != path && is_there => return Err(sort.taken(path)),
        PutMode::Rename(old) => drop(map.remove(&key(old))),
        PutMode::Create | PutMode::Update | PutMode::Upsert => {}
    }
    map.insert(key(path), value.clone());
    Ok(match mode {
        PutMode::Rename(old) => Some(old.clone()),
        _ => is_there.then(|| path.clone()),
    })
}

fn list<T: Clone>(
    map: &Map<T>,
    workspace: &WorkspaceId,
    prefix: &str,
    after: Option<&ValuePath>,
) -> impl Iterator<Item = T> {
    let is_wanted = move |of: &WorkspaceId, path: &ValuePath| {
        of == workspace
            && path.as_str().starts_with(prefix)
            && after.is_none_or(|after| path > after)
    };
    map.iter().filter(move |((of, path), _)| is_wanted(of, path)).map(|(_, value)| value.clone())
}

fn delete<T>(
    map: &mut Map<T>,
    workspace: &WorkspaceId,
    path: &ValuePath,
    sort: ValueSort,
) -> Result<()> {
    match map.remove(&(workspace.clone(), path.clone())) {
        Some(_) => Ok(()),
        None => Err(sort.missing(path)),
    }
}
