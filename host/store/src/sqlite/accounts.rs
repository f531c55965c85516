//! Workspaces, users and tokens in SQLite.

use super::fault::{TxResult, corrupt};
use super::names::{user_row, workspace_row};
use super::store::{Need, SqliteStore};
use crate::common::refusals;
use crate::model::{duration, micros};
use crate::{
    Accounts, Micros, NewToken, Result, Role, TokenChange, TokenInfo, TokenOwner, User, Workspace,
    WorkspaceSettings,
};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row};
use wasmill_core::{UserName, WorkspaceId};

/// The columns of a token that [`token`] reads.
const TOKEN: &str = "SELECT t.digest, t.prefix, u.name, w.name, t.label, t.scopes, t.created, t.expires, t.last_used \
    FROM token t JOIN user u ON u.id = t.user LEFT JOIN workspace w ON w.id = t.workspace";

/// The columns of a user that [`user`] reads.
const USER: &str = "SELECT name, email, super_admin, created FROM user";

#[async_trait]
impl Accounts for SqliteStore {
    async fn create_workspace(&self, id: &WorkspaceId, name: &str, at: Micros) -> Result<()> {
        let (workspace, title) = (id.clone(), name.to_owned());
        let row = self.write(Need::Synced, move |tx| {
            let sql = "INSERT INTO workspace (name, title, created) VALUES (?1, ?2, ?3) \
                ON CONFLICT DO NOTHING RETURNING id";
            let row: Option<i64> = tx
                .conn
                .prepare_cached(sql)?
                .query_row((workspace.as_str(), &title, at), |row| row.get(0))
                .optional()?;
            tx.changed = true;
            Ok(row.ok_or_else(|| refusals::workspace_taken(&workspace))?)
        });
        let row = row.await?;
        self.counters.add_workspace(id.clone(), row);
        Ok(())
    }

    async fn list_workspaces(&self) -> Result<Vec<Workspace>> {
        self.read(|conn| {
            let mut statement =
                conn.prepare_cached("SELECT name, title, created FROM workspace ORDER BY name")?;
            let mut rows = statement.query([])?;
            let mut workspaces = Vec::new();
            while let Some(row) = rows.next()? {
                let id = workspace_id(row.get(0)?)?;
                workspaces.push(Workspace { id, name: row.get(1)?, created: row.get(2)? });
            }
            Ok(workspaces)
        })
        .await
    }

    async fn workspace_settings(&self, workspace: &WorkspaceId) -> Result<WorkspaceSettings> {
        let id = workspace.clone();
        let found = self.read(move |conn| {
            let sql = "SELECT weight, keep_runs FROM workspace WHERE name = ?1";
            Ok(conn.prepare_cached(sql)?.query_row([id.as_str()], settings).optional()?)
        });
        found.await?.ok_or_else(|| refusals::no_workspace(workspace))
    }

    async fn put_workspace_settings(
        &self,
        workspace: &WorkspaceId,
        settings: &WorkspaceSettings,
    ) -> Result<()> {
        let (workspace, WorkspaceSettings { weight, keep_runs }) = (workspace.clone(), *settings);
        self.write(Need::Synced, move |tx| {
            let workspace = tx.workspace(&workspace)?;
            tx.forget_weight(workspace);
            let sql = "UPDATE workspace SET weight = ?2, keep_runs = ?3 WHERE id = ?1";
            tx.conn.prepare_cached(sql)?.execute((workspace, weight, keep_runs.map(micros)))?;
            Ok(())
        })
        .await
    }

    async fn put_user(&self, user: &User) -> Result<()> {
        let user = user.clone();
        self.write(Need::Synced, move |tx| {
            let sql = "INSERT INTO user (name, email, super_admin, created) VALUES (?1, ?2, ?3, ?4) \
                ON CONFLICT (name) DO UPDATE SET email = excluded.email, super_admin = excluded.super_admin";
            let values = (user.name.as_str(), &user.email, user.super_admin, user.created);
            tx.conn.prepare_cached(sql)?.execute(values)?;
            tx.changed = true;
            Ok(())
        })
        .await
    }

    async fn user(&self, name: &UserName) -> Result<Option<User>> {
        let name = name.clone();
        self.read(move |conn| {
            Ok(users(conn, "WHERE name = ?1", [name.as_str()])?.into_iter().next())
        })
        .await
    }

    async fn list_users(&self) -> Result<Vec<User>> {
        self.read(|conn| users(conn, "ORDER BY name", [])).await
    }

    async fn put_member(&self, workspace: &WorkspaceId, user: &UserName, role: Role) -> Result<()> {
        let (workspace, user) = (workspace.clone(), user.clone());
        self.write(Need::Synced, move |tx| {
            let workspace = tx.workspace(&workspace)?;
            let user = tx.user(&user)?;
            let sql = "INSERT INTO member (user, workspace, role) VALUES (?1, ?2, ?3) \
                ON CONFLICT (user, workspace) DO UPDATE SET role = excluded.role";
            tx.conn.prepare_cached(sql)?.execute((user, workspace, role.as_str()))?;
            tx.changed = true;
            Ok(())
        })
        .await
    }

    async fn list_members(&self, workspace: &WorkspaceId) -> Result<Vec<(User, Role)>> {
        let workspace = workspace.clone();
        self.read(move |conn| {
            let sql = "SELECT u.name, u.email, u.super_admin, u.created, m.role FROM member m JOIN user u ON u.id = m.user \
                WHERE m.workspace = (SELECT id FROM workspace WHERE name = ?1) ORDER BY u.name";
            let mut statement = conn.prepare_cached(sql)?;
            let mut rows = statement.query([workspace.as_str()])?;
            let mut members = Vec::new();
            while let Some(row) = rows.next()? {
                members.push((user(row)?, role(&row.get::<_, String>(4)?)?));
            }
            Ok(members)
        })
        .await
    }

    async fn remove_member(&self, workspace: &WorkspaceId, user: &UserName) -> Result<bool> {
        let (workspace, user) = (workspace.clone(), user.clone());
        self.write(Need::Synced, move |tx| {
            let sql = "DELETE FROM member WHERE workspace = (SELECT id FROM workspace WHERE name = ?1) \
                AND user = (SELECT id FROM user WHERE name = ?2)";
            tx.changed = true;
            Ok(tx.conn.prepare_cached(sql)?.execute((workspace.as_str(), user.as_str()))? > 0)
        })
        .await
    }

    async fn put_token(&self, token: &NewToken) -> Result<()> {
        let token = token.clone();
        self.write(Need::Synced, move |tx| {
            let user = tx.user(&token.user)?;
            let workspace = token.workspace.as_ref().map(|id| tx.workspace(id)).transpose()?;
            let scopes = token.scopes.as_ref().map(serde_json::to_string).transpose();
            let scopes = scopes.map_err(|error| corrupt("token.scopes", error))?;
            let sql = "INSERT INTO token (digest, prefix, user, workspace, label, scopes, created, expires) \
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING";
            let NewToken { digest, prefix, label, created, expires, .. } = &token;
            let values = (digest, prefix, user, workspace, label, scopes, created, expires);
            tx.changed = true;
            match tx.conn.prepare_cached(sql)?.execute(values)? {
                0 => Err(refusals::token_taken().into()),
                _ => Ok(()),
            }
        })
        .await
    }

    async fn find_token(&self, digest: &[u8; 32]) -> Result<Option<TokenOwner>> {
        let digest = *digest;
        self.read(move |conn| {
            let snapshot = conn.unchecked_transaction()?;
            let found = tokens(&snapshot, "WHERE t.digest = ?1", [digest])?;
            let Some(TokenInfo { token, .. }) = found.into_iter().next() else {
                return Ok(None);
            };
            let owner = users(&snapshot, "WHERE name = ?1", [token.user.as_str()])?;
            let owner = owner.into_iter().next();
            let user = owner.ok_or_else(|| refusals::no_user(&token.user))?;
            let sql = "SELECT w.name, m.role FROM member m JOIN workspace w ON w.id = m.workspace \
                WHERE m.user = (SELECT id FROM user WHERE name = ?1) ORDER BY w.name";
            let mut statement = snapshot.prepare_cached(sql)?;
            let mut rows = statement.query([token.user.as_str()])?;
            let mut roles = Vec::new();
            while let Some(row) = rows.next()? {
                roles.push((workspace_id(row.get(0)?)?, role(&row.get::<_, String>(1)?)?));
            }
            Ok(Some(TokenOwner { token, user, roles }))
        })
        .await
    }

    async fn list_tokens(&self, user: &UserName) -> Result<Vec<TokenInfo>> {
        let user = user.clone();
        self.read(move |conn| match user_row(conn, &user)? {
            Some(user) => {
                tokens(conn, "WHERE t.user = ?1 ORDER BY t.created DESC, t.digest", [user])
            }
            None => Ok(Vec::new()),
        })
        .await
    }

    async fn tokens_for_scope(
        &self,
        workspace: &WorkspaceId,
        scope: &str,
    ) -> Result<Vec<TokenInfo>> {
        let (workspace, scope) = (workspace.clone(), scope.to_owned());
        self.read(move |conn| match workspace_row(conn, &workspace)? {
            Some(workspace) => {
                let which = "WHERE t.workspace = ?1 AND EXISTS (SELECT 1 FROM json_each(t.scopes) WHERE value = ?2) \
                    ORDER BY t.created DESC, t.digest";
                tokens(conn, which, (workspace, scope))
            }
            None => Ok(Vec::new()),
        })
        .await
    }

    async fn revoke_tokens(&self, user: &UserName, prefix: &str) -> Result<Vec<[u8; 32]>> {
        let (user, prefix) = (user.clone(), prefix.to_owned());
        self.write(Need::Synced, move |tx| {
            let Some(user) = user_row(tx.conn, &user)? else {
                return Ok(Vec::new());
            };
            tx.changed = true;
            let sql = "DELETE FROM token WHERE user = ?1 AND prefix = ?2 RETURNING digest";
            let mut statement = tx.conn.prepare_cached(sql)?;
            let digests = statement.query_map((user, &prefix), |row| row.get(0))?;
            let mut digests: Vec<[u8; 32]> = digests.collect::<rusqlite::Result<_>>()?;
            digests.sort_unstable();
            Ok(digests)
        })
        .await
    }

    async fn change_tokens(
        &self,
        user: &UserName,
        prefix: &str,
        change: &TokenChange,
    ) -> Result<Vec<[u8; 32]>> {
        let (user, prefix, change) = (user.clone(), prefix.to_owned(), change.clone());
        self.write(Need::Synced, move |tx| {
            let Some(user) = user_row(tx.conn, &user)? else {
                return Ok(Vec::new());
            };
            let (column, value) = match &change {
                TokenChange::Label(label) => ("label", Some(label.clone())),
                TokenChange::Scopes(scopes) => {
                    let text = scopes.as_ref().map(serde_json::to_string).transpose();
                    ("scopes", text.map_err(|error| corrupt("token.scopes", error))?)
                }
            };
            tx.changed = true;
            let sql = format!(
                "UPDATE token SET {column} = ?3 WHERE user = ?1 AND prefix = ?2 RETURNING digest"
            );
            let mut statement = tx.conn.prepare_cached(&sql)?;
            let digests = statement.query_map((user, &prefix, value), |row| row.get(0))?;
            let mut digests: Vec<[u8; 32]> = digests.collect::<rusqlite::Result<_>>()?;
            digests.sort_unstable();
            Ok(digests)
        })
        .await
    }

    async fn touch_tokens(&self, uses: &[([u8; 32], Micros)]) -> Result<()> {
        let uses = uses.to_vec();
        self.write(Need::Committed, move |tx| {
            let sql =
                "UPDATE token SET last_used = max(coalesce(last_used, ?2), ?2) WHERE digest = ?1";
            let mut statement = tx.conn.prepare_cached(sql)?;
            for (digest, at) in &uses {
                statement.execute((digest, at))?;
            }
            Ok(())
        })
        .await
    }
}

fn users(conn: &Connection, which: &str, values: impl rusqlite::Params) -> TxResult<Vec<User>> {
    let mut statement = conn.prepare_cached(&format!("{USER} {which}"))?;
    statement.query_and_then(values, user)?.collect()
}

fn tokens(
    conn: &Connection,
    which: &str,
    values: impl rusqlite::Params,
) -> TxResult<Vec<TokenInfo>> {
    let mut statement = conn.prepare_cached(&format!("{TOKEN} {which}"))?;
    statement.query_and_then(values, token)?.collect()
}

fn token(row: &Row<'_>) -> TxResult<TokenInfo> {
    let scopes: Option<String> = row.get(5)?;
    let scopes = scopes.map(|text| serde_json::from_str(&text)).transpose();
    let token = NewToken {
        digest: row.get(0)?,
        prefix: row.get(1)?,
        user: user_name(row.get(2)?)?,
        workspace: row.get::<_, Option<String>>(3)?.map(workspace_id).transpose()?,
        label: row.get(4)?,
        scopes: scopes.map_err(|error| corrupt("token.scopes", error))?,
        created: row.get(6)?,
        expires: row.get(7)?,
    };
    Ok(TokenInfo { token, last_used: row.get(8)? })
}

fn settings(row: &Row<'_>) -> rusqlite::Result<WorkspaceSettings> {
    Ok(WorkspaceSettings {
        weight: row.get(0)?,
        keep_runs: row.get::<_, Option<i64>>(1)?.map(duration),
    })
}

fn user(row: &Row<'_>) -> TxResult<User> {
    Ok(User {
        name: user_name(row.get(0)?)?,
        email: row.get(1)?,
        super_admin: row.get(2)?,
        created: row.get(3)?,
    })
}

fn user_name(text: String) -> TxResult<UserName> {
    text.parse().map_err(|error| corrupt("user.name", error))
}

fn workspace_id(text: String) -> TxResult<WorkspaceId> {
    text.parse().map_err(|error| corrupt("workspace.name", error))
}

fn role(text: &str) -> TxResult<Role> {
    text.parse().map_err(|error| corrupt("member.role", error))
}
