//! Workspaces, users and tokens in memory.

use super::store::MemoryStore;
use crate::common::refusals;
use crate::{
    Accounts, Micros, NewToken, Result, Role, TokenChange, TokenInfo, TokenOwner, User, Workspace,
    WorkspaceSettings,
};
use async_trait::async_trait;
use std::cmp::Reverse;
use wasmill_core::{UserName, WorkspaceId};

#[async_trait]
impl Accounts for MemoryStore {
    async fn create_workspace(&self, id: &WorkspaceId, name: &str, at: Micros) -> Result<()> {
        let mut state = self.state();
        if state.workspaces.contains_key(id) {
            return Err(refusals::workspace_taken(id));
        }
        let workspace = Workspace { id: id.clone(), name: name.to_owned(), created: at };
        state.workspaces.insert(id.clone(), workspace);
        state.generation += 1;
        Ok(())
    }

    async fn list_workspaces(&self) -> Result<Vec<Workspace>> {
        Ok(self.state().workspaces.values().cloned().collect())
    }

    async fn workspace_settings(&self, workspace: &WorkspaceId) -> Result<WorkspaceSettings> {
        let state = self.state();
        state.workspace(workspace)?;
        Ok(state.settings_of(workspace))
    }

    async fn put_workspace_settings(
        &self,
        workspace: &WorkspaceId,
        settings: &WorkspaceSettings,
    ) -> Result<()> {
        let mut state = self.state();
        state.workspace(workspace)?;
        state.settings.insert(workspace.clone(), *settings);
        Ok(())
    }

    async fn put_user(&self, user: &User) -> Result<()> {
        let mut state = self.state();
        let created = state.users.get(&user.name).map_or(user.created, |known| known.created);
        state.users.insert(user.name.clone(), User { created, ..user.clone() });
        state.generation += 1;
        Ok(())
    }

    async fn user(&self, name: &UserName) -> Result<Option<User>> {
        Ok(self.state().users.get(name).cloned())
    }

    async fn list_users(&self) -> Result<Vec<User>> {
        Ok(self.state().users.values().cloned().collect())
    }

    async fn put_member(&self, workspace: &WorkspaceId, user: &UserName, role: Role) -> Result<()> {
        let mut state = self.state();
        state.workspace(workspace)?;
        state.user(user)?;
        state.members.insert((user.clone(), workspace.clone()), role);
        state.generation += 1;
        Ok(())
    }

    async fn list_members(&self, workspace: &WorkspaceId) -> Result<Vec<(User, Role)>> {
        let state = self.state();
        let of_workspace = state.members.iter().filter(|((_, id), _)| id == workspace);
        Ok(of_workspace
            .filter_map(|((name, _), role)| Some((state.users.get(name)?.clone(), *role)))
            .collect())
    }

    async fn remove_member(&self, workspace: &WorkspaceId, user: &UserName) -> Result<bool> {
        let mut state = self.state();
        state.generation += 1;
        Ok(state.members.remove(&(user.clone(), workspace.clone())).is_some())
    }

    async fn put_token(&self, token: &NewToken) -> Result<()> {
        let mut state = self.state();
        state.user(&token.user)?;
        if let Some(workspace) = &token.workspace {
            state.workspace(workspace)?;
        }
        if state.tokens.contains_key(&token.digest) {
            return Err(refusals::token_taken());
        }
        state.tokens.insert(token.digest, (token.clone(), None));
        state.generation += 1;
        Ok(())
    }

    async fn find_token(&self, digest: &[u8; 32]) -> Result<Option<TokenOwner>> {
        let state = self.state();
        let Some((token, _)) = state.tokens.get(digest) else {
            return Ok(None);
        };
        let user = state.user(&token.user)?.clone();
        let of_user = |((name, workspace), role): (&(UserName, WorkspaceId), &Role)| {
            (*name == user.name).then(|| (workspace.clone(), *role))
        };
        let roles = state.members.iter().filter_map(of_user).collect();
        Ok(Some(TokenOwner { token: token.clone(), user, roles }))
    }

    async fn list_tokens(&self, user: &UserName) -> Result<Vec<TokenInfo>> {
        let state = self.state();
        let mut tokens: Vec<TokenInfo> = state
            .tokens
            .values()
            .filter(|(token, _)| token.user == *user)
            .map(|(token, last_used)| TokenInfo { token: token.clone(), last_used: *last_used })
            .collect();
        tokens.sort_by_key(|info| (Reverse(info.token.created), info.token.digest));
        Ok(tokens)
    }

    async fn tokens_for_scope(
        &self,
        workspace: &WorkspaceId,
        scope: &str,
    ) -> Result<Vec<TokenInfo>> {
        let state = self.state();
        let has = |token: &NewToken| {
            token.scopes.as_ref().is_some_and(|scopes| scopes.iter().any(|one| one == scope))
        };
        let mut tokens: Vec<TokenInfo> = state
            .tokens
            .values()
            .filter(|(token, _)| token.workspace.as_ref() == Some(workspace) && has(token))
            .map(|(token, last_used)| TokenInfo { token: token.clone(), last_used: *last_used })
            .collect();
        tokens.sort_by_key(|info| (Reverse(info.token.created), info.token.digest));
        Ok(tokens)
    }

    async fn revoke_tokens(&self, user: &UserName, prefix: &str) -> Result<Vec<[u8; 32]>> {
        let is_meant = |token: &NewToken| token.user == *user && token.prefix == prefix;
        let mut state = self.state();
        let revoked = state
            .tokens
            .iter()
            .filter(|(_, (token, _))| is_meant(token))
            .map(|(digest, _)| *digest);
        let revoked: Vec<[u8; 32]> = revoked.collect();
        state.tokens.retain(|_, (token, _)| !is_meant(token));
        state.generation += 1;
        Ok(revoked)
    }

    async fn change_tokens(
        &self,
        user: &UserName,
        prefix: &str,
        change: &TokenChange,
    ) -> Result<Vec<[u8; 32]>> {
        let mut state = self.state();
        let mut changed = Vec::new();
        for (digest, (token, _)) in &mut state.tokens {
            if token.user == *user && token.prefix == prefix {
                match change {
                    TokenChange::Label(label) => token.label.clone_from(label),
                    TokenChange::Scopes(scopes) => token.scopes.clone_from(scopes),
                }
                changed.push(*digest);
            }
        }
        changed.sort_unstable();
        state.generation += 1;
        Ok(changed)
    }

    async fn touch_tokens(&self, uses: &[([u8; 32], Micros)]) -> Result<()> {
        let mut state = self.state();
        for (digest, at) in uses {
            if let Some((_, last_used)) = state.tokens.get_mut(digest) {
                *last_used = (*last_used).max(Some(*at));
            }
        }
        Ok(())
    }
}
