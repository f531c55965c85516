//! Workspaces, users and tokens in PostgreSQL.

use super::columns::unstorable;
use super::db::{Db, Values, digest, get, parsed, text};
use super::fault::TxResult;
use super::store::PostgresStore;
use crate::common::refusals;
use crate::model::{duration, micros};
use crate::{
    Accounts, Micros, NewToken, Result, Role, StoreError, TokenChange, TokenInfo, TokenOwner, User,
    Workspace, WorkspaceSettings,
};
use async_trait::async_trait;
use tokio_postgres::Row;
use wasmill_core::{UserName, WorkspaceId};

/// The columns of a token that [`token`] reads.
const TOKEN: &str = "SELECT t.digest, t.prefix, u.name, w.name, t.label, t.scopes, t.created, t.expires, t.last_used";

/// Where they are from.
const FROM_TOKEN: &str =
    "FROM token t JOIN \"user\" u ON u.id = t.\"user\" LEFT JOIN workspace w ON w.id = t.workspace";

#[async_trait]
impl Accounts for PostgresStore {
    async fn create_workspace(&self, id: &WorkspaceId, name: &str, at: Micros) -> Result<()> {
        let sql = "INSERT INTO workspace (name, title, created) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        let made = self
            .statement(move |db| async move {
                db.execute(sql, &[&id.as_str(), &name.as_bytes(), &at]).await
            })
            .await?;
        match made {
            0 => Err(refusals::workspace_taken(id)),
            _ => Ok(()),
        }
    }

    async fn list_workspaces(&self) -> Result<Vec<Workspace>> {
        let sql = "SELECT name, title, created FROM workspace ORDER BY name";
        let workspace = |row: &Row| {
            Ok(Workspace { id: parsed(row, 0)?, name: text(row, 1)?, created: get(row, 2)? })
        };
        self.statement(
            move |db| async move { db.rows(sql, &[]).await?.iter().map(workspace).collect() },
        )
        .await
    }

    async fn workspace_settings(&self, workspace: &WorkspaceId) -> Result<WorkspaceSettings> {
        let sql = "SELECT weight, keep_runs FROM workspace WHERE name = $1";
        self.statement(move |db| async move {
            let row = db.row(sql, &[&workspace.as_str()]).await?;
            let row = row.ok_or_else(|| refusals::no_workspace(workspace))?;
            let weight = u32::try_from(get::<i32>(&row, 0)?).unwrap_or(1);
            Ok(WorkspaceSettings {
                weight,
                keep_runs: get::<Option<Micros>>(&row, 1)?.map(duration),
            })
        })
        .await
    }

    async fn put_workspace_settings(
        &self,
        workspace: &WorkspaceId,
        settings: &WorkspaceSettings,
    ) -> Result<()> {
        let sql = "UPDATE workspace SET weight = $2, keep_runs = $3 WHERE name = $1";
        let (weight, keep) =
            (i32::try_from(settings.weight).unwrap_or(i32::MAX), settings.keep_runs.map(micros));
        let changed = self
            .statement(move |db| async move {
                db.execute(sql, &[&workspace.as_str(), &weight, &keep]).await
            })
            .await?;
        match changed {
            0 => Err(refusals::no_workspace(workspace)),
            _ => Ok(()),
        }
    }

    async fn put_user(&self, user: &User) -> Result<()> {
        let sql = "INSERT INTO \"user\" (name, email, super_admin, created) VALUES ($1, $2, $3, $4) \
            ON CONFLICT (name) DO UPDATE SET email = excluded.email, super_admin = excluded.super_admin";
        let User { name, email, super_admin, created } = user;
        self.statement(move |db| async move {
            db.execute(sql, &[&name.as_str(), email, super_admin, created]).await
        })
        .await
        .map(drop)
    }

    async fn user(&self, name: &UserName) -> Result<Option<User>> {
        let sql = "SELECT name, email, super_admin, created FROM \"user\" WHERE name = $1";
        self.statement(move |db| async move {
            db.row(sql, &[&name.as_str()]).await?.map(|row| user(&row, 0)).transpose()
        })
        .await
    }

    async fn list_users(&self) -> Result<Vec<User>> {
        let sql = "SELECT name, email, super_admin, created FROM \"user\" ORDER BY name";
        self.statement(move |db| async move {
            db.rows(sql, &[]).await?.iter().map(|row| user(row, 0)).collect()
        })
        .await
    }

    async fn put_member(&self, workspace: &WorkspaceId, user: &UserName, role: Role) -> Result<()> {
        let sql = "WITH w AS (SELECT id FROM workspace WHERE name = $1), u AS (SELECT id FROM \"user\" WHERE name = $2), \
            put AS (INSERT INTO member (\"user\", workspace, role) SELECT u.id, w.id, $3 FROM u, w \
            ON CONFLICT (\"user\", workspace) DO UPDATE SET role = excluded.role) \
            SELECT EXISTS (SELECT FROM w), EXISTS (SELECT FROM u)";
        self.statement(move |db| async move {
            let row = db.one(sql, &[&workspace.as_str(), &user.as_str(), &role.as_str()]).await?;
            found(get(&row, 0)?, || refusals::no_workspace(workspace))?;
            found(get(&row, 1)?, || refusals::no_user(user))
        })
        .await
    }

    async fn list_members(&self, workspace: &WorkspaceId) -> Result<Vec<(User, Role)>> {
        let sql = "SELECT u.name, u.email, u.super_admin, u.created, m.role FROM member m JOIN \"user\" u ON u.id = m.\"user\" \
            WHERE m.workspace = (SELECT id FROM workspace WHERE name = $1) ORDER BY u.name";
        let member = |row: &Row| Ok((user(row, 0)?, parsed(row, 4)?));
        self.statement(move |db| async move {
            db.rows(sql, &[&workspace.as_str()]).await?.iter().map(member).collect()
        })
        .await
    }

    async fn remove_member(&self, workspace: &WorkspaceId, user: &UserName) -> Result<bool> {
        let sql = "DELETE FROM member WHERE workspace = (SELECT id FROM workspace WHERE name = $1) \
            AND \"user\" = (SELECT id FROM \"user\" WHERE name = $2)";
        Ok(self
            .statement(move |db| async move {
                db.execute(sql, &[&workspace.as_str(), &user.as_str()]).await
            })
            .await?
            > 0)
    }

    async fn put_token(&self, token: &NewToken) -> Result<()> {
        // With a workspace that is missing nothing is put, without one the column stays empty.
        let sql = "WITH u AS (SELECT id FROM \"user\" WHERE name = $3), w AS (SELECT id FROM workspace WHERE name = $4), \
            put AS (INSERT INTO token (digest, prefix, \"user\", workspace, label, scopes, created, expires) \
            SELECT $1, $2, u.id, (SELECT id FROM w), $5, $6, $7, $8 FROM u WHERE $4 IS NULL OR EXISTS (SELECT FROM w) \
            ON CONFLICT DO NOTHING RETURNING digest) \
            SELECT EXISTS (SELECT FROM u), $4 IS NULL OR EXISTS (SELECT FROM w), EXISTS (SELECT FROM put)";
        let NewToken { digest, prefix, user, workspace, label, scopes, created, expires } = token;
        let at = workspace.as_ref().map(WorkspaceId::as_str);
        self.statement(move |db| async move {
            let values: Values<'_> = &[
                &digest.as_slice(),
                prefix,
                &user.as_str(),
                &at,
                &label.as_bytes(),
                scopes,
                created,
                expires,
            ];
            let row = db.one(sql, values).await?;
            found(get(&row, 0)?, || refusals::no_user(user))?;
            if let Some(workspace) = workspace {
                found(get(&row, 1)?, || refusals::no_workspace(workspace))?;
            }
            found(get(&row, 2)?, refusals::token_taken)
        })
        .await
    }

    async fn find_token(&self, digest: &[u8; 32]) -> Result<Option<TokenOwner>> {
        let sql = &format!(
            "{TOKEN}, u.name, u.email, u.super_admin, u.created, mw.name, m.role {FROM_TOKEN} \
             LEFT JOIN member m ON m.\"user\" = u.id LEFT JOIN workspace mw ON mw.id = m.workspace WHERE t.digest = $1 ORDER BY mw.name"
        );
        self.statement(move |db| async move {
            let rows = db.rows(sql, &[&digest.as_slice()]).await?;
            let Some(first) = rows.first() else {
                return Ok(None);
            };
            let mut roles = Vec::new();
            for row in &rows {
                if get::<Option<&str>>(row, 13)?.is_some() {
                    roles.push((parsed(row, 13)?, parsed(row, 14)?));
                }
            }
            Ok(Some(TokenOwner { token: token_info(first)?.token, user: user(first, 9)?, roles }))
        })
        .await
    }

    async fn list_tokens(&self, user: &UserName) -> Result<Vec<TokenInfo>> {
        self.statement(move |db| async move { tokens(&db, "u.name = $1", &[&user.as_str()]).await })
            .await
    }

    async fn tokens_for_scope(
        &self,
        workspace: &WorkspaceId,
        scope: &str,
    ) -> Result<Vec<TokenInfo>> {
        if unstorable(scope) {
            return Ok(Vec::new());
        }
        self.statement(move |db| async move {
            tokens(&db, "w.name = $1 AND $2 = ANY (t.scopes)", &[&workspace.as_str(), &scope]).await
        })
        .await
    }

    async fn revoke_tokens(&self, user: &UserName, prefix: &str) -> Result<Vec<[u8; 32]>> {
        let sql = "DELETE FROM token WHERE \"user\" = (SELECT id FROM \"user\" WHERE name = $1) AND prefix = $2 RETURNING digest";
        self.of_prefix(prefix, sql, &[&user.as_str(), &prefix]).await
    }

    async fn change_tokens(
        &self,
        user: &UserName,
        prefix: &str,
        change: &TokenChange,
    ) -> Result<Vec<[u8; 32]>> {
        match change {
            TokenChange::Label(label) => {
                let sql = "UPDATE token SET label = $3 WHERE \"user\" = (SELECT id FROM \"user\" WHERE name = $1) AND prefix = $2 RETURNING digest";
                self.of_prefix(prefix, sql, &[&user.as_str(), &prefix, &label.as_bytes()]).await
            }
            TokenChange::Scopes(scopes) => {
                let sql = "UPDATE token SET scopes = $3 WHERE \"user\" = (SELECT id FROM \"user\" WHERE name = $1) AND prefix = $2 RETURNING digest";
                self.of_prefix(prefix, sql, &[&user.as_str(), &prefix, scopes]).await
            }
        }
    }

    async fn touch_tokens(&self, uses: &[([u8; 32], Micros)]) -> Result<()> {
        if uses.is_empty() {
            return Ok(());
        }
        // In one order everywhere, so that two nodes which note the same tokens don't wait for each
        // other in a circle.
        let sql = "WITH seen AS (SELECT digest, max(at) AS at FROM unnest($1::bytea[], $2::bigint[]) AS used (digest, at) GROUP BY digest), \
            held AS (SELECT t.digest, seen.at FROM token t JOIN seen USING (digest) \
            WHERE t.last_used IS NULL OR t.last_used < seen.at ORDER BY t.digest FOR NO KEY UPDATE OF t) \
            UPDATE token t SET last_used = greatest(t.last_used, held.at) FROM held WHERE t.digest = held.digest";
        let digests: &Vec<&[u8]> = &uses.iter().map(|(digest, _)| digest.as_slice()).collect();
        let times: &Vec<Micros> = &uses.iter().map(|(_, at)| *at).collect();
        self.statement(move |db| async move { db.execute(sql, &[digests, times]).await })
            .await
            .map(drop)
    }
}

impl PostgresStore {
    /// Does something to a user's tokens of one prefix and returns their digests in order.
    async fn of_prefix(
        &self,
        prefix: &str,
        sql: &str,
        values: Values<'_>,
    ) -> Result<Vec<[u8; 32]>> {
        if unstorable(prefix) {
            return Ok(Vec::new());
        }
        let found = self
            .statement(move |db| async move {
                db.rows(sql, values).await?.iter().map(|row| digest(row, 0)).collect()
            })
            .await;
        let mut digests: Vec<[u8; 32]> = found?;
        digests.sort_unstable();
        Ok(digests)
    }
}

async fn tokens(db: &Db, which: &str, values: Values<'_>) -> TxResult<Vec<TokenInfo>> {
    let rows = db
        .rows(
            &format!("{TOKEN} {FROM_TOKEN} WHERE {which} ORDER BY t.created DESC, t.digest"),
            values,
        )
        .await?;
    rows.iter().map(token_info).collect()
}

fn token_info(row: &Row) -> TxResult<TokenInfo> {
    let workspace = match get::<Option<&str>>(row, 3)? {
        Some(_) => Some(parsed(row, 3)?),
        None => None,
    };
    let token = NewToken {
        digest: digest(row, 0)?,
        prefix: get(row, 1)?,
        user: parsed(row, 2)?,
        workspace,
        label: text(row, 4)?,
        scopes: get(row, 5)?,
        created: get(row, 6)?,
        expires: get(row, 7)?,
    };
    Ok(TokenInfo { token, last_used: get(row, 8)? })
}

/// A user from its four columns, which begin at one.
fn user(row: &Row, first: usize) -> TxResult<User> {
    Ok(User {
        name: parsed(row, first)?,
        email: get(row, first + 1)?,
        super_admin: get(row, first + 2)?,
        created: get(row, first + 3)?,
    })
}

fn found(is_there: bool, refusal: impl FnOnce() -> StoreError) -> TxResult<()> {
    if is_there { Ok(()) } else { Err(refusal().into()) }
}
