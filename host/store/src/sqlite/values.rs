//! Variables and resources in SQLite: two tables of one form.

use super::fault::Fault;
use super::tx::{Tx, workspace_row};
use super::{Need, SqliteStore};
use crate::item::Item;
use crate::{Micros, PutMode, Resource, Result, StoreError, Values, Variable};
use async_trait::async_trait;
use rusqlite::types::FromSql;
use rusqlite::{Connection, Row, ToSql};
use wasmill_core::WorkspaceId;
use wasmill_core::outbox::Change;

type Outcome<T> = std::result::Result<T, Fault>;

/// The statements of one of the two tables.
struct Table {
    /// What a row of it is called.
    what: &'static str,
    insert: &'static str,
    replace: &'static str,
    delete: &'static str,
    one: &'static str,
    page: &'static str,
    /// What is told of a new row, of one that is gone, and of one that was changed and has the
    /// paths before and now.
    created: fn(String) -> Change,
    deleted: fn(String) -> Change,
    updated: fn(String, String) -> Change,
}

const VARIABLES: Table = Table {
    what: "variable",
    insert: "INSERT INTO variable (workspace, path, value, is_secret, description, changed_by, changed) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
    replace: "UPDATE variable SET value = ?3, is_secret = ?4, description = ?5, changed_by = ?6, changed = ?7 \
        WHERE workspace = ?1 AND path = ?2",
    delete: "DELETE FROM variable WHERE workspace = ?1 AND path = ?2",
    one: "SELECT path, value, is_secret, description, changed_by, changed FROM variable WHERE workspace = ?1 AND path = ?2",
    page: "SELECT path, CASE WHEN is_secret THEN x'' ELSE value END, is_secret, description, changed_by, changed FROM variable \
        WHERE workspace = ?1 AND path >= ?2 AND path < ?3 AND path > ?4 AND ?5 IS NULL ORDER BY path LIMIT ?6",
    created: |path| Change::VariableCreated { path },
    deleted: |path| Change::VariableDeleted { path },
    updated: |old_path, new_path| Change::VariableUpdated { old_path, new_path },
};

const RESOURCES: Table = Table {
    what: "resource",
    insert: "INSERT INTO resource (workspace, path, value, resource_type, description, changed_by, changed) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
    replace: "UPDATE resource SET value = ?3, resource_type = ?4, description = ?5, changed_by = ?6, changed = ?7 \
        WHERE workspace = ?1 AND path = ?2",
    delete: "DELETE FROM resource WHERE workspace = ?1 AND path = ?2",
    one: "SELECT path, value, resource_type, description, changed_by, changed FROM resource WHERE workspace = ?1 AND path = ?2",
    page: "SELECT path, x'', resource_type, description, changed_by, changed FROM resource \
        WHERE workspace = ?1 AND path >= ?2 AND path < ?3 AND path > ?4 \
        AND (?5 IS NULL OR resource_type IN (SELECT value FROM json_each(?5))) \
        ORDER BY path LIMIT ?6",
    created: |path| Change::ResourceCreated { path },
    deleted: |path| Change::ResourceDeleted { path },
    updated: |old_path, new_path| Change::ResourceUpdated { old_path, new_path },
};

#[async_trait]
impl Values for SqliteStore {
    async fn put_variable(
        &self,
        workspace: &WorkspaceId,
        variable: &Variable,
        mode: &PutMode,
    ) -> Result<()> {
        self.put(&VARIABLES, workspace, Item::<bool>::from(variable.clone()), mode).await
    }

    async fn variable(&self, workspace: &WorkspaceId, path: &str) -> Result<Option<Variable>> {
        Ok(self.value(&VARIABLES, workspace, path).await?.map(Item::<bool>::into))
    }

    async fn list_variables(
        &self,
        workspace: &WorkspaceId,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Variable>> {
        let page = self.page::<bool>(&VARIABLES, workspace, None, prefix, after, limit).await?;
        Ok(page.into_iter().map(Item::into).collect())
    }

    async fn delete_variable(&self, workspace: &WorkspaceId, path: &str, at: Micros) -> Result<()> {
        self.delete(&VARIABLES, workspace, path, at).await
    }

    async fn put_resource(
        &self,
        workspace: &WorkspaceId,
        resource: &Resource,
        mode: &PutMode,
    ) -> Result<()> {
        self.put(&RESOURCES, workspace, Item::<String>::from(resource.clone()), mode).await
    }

    async fn resource(&self, workspace: &WorkspaceId, path: &str) -> Result<Option<Resource>> {
        Ok(self.value(&RESOURCES, workspace, path).await?.map(Item::<String>::into))
    }

    async fn list_resources(
        &self,
        workspace: &WorkspaceId,
        types: &[String],
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Resource>> {
        let types = (!types.is_empty()).then(|| serde_json::Value::from(types).to_string());
        let page = self.page::<String>(&RESOURCES, workspace, types, prefix, after, limit).await?;
        Ok(page.into_iter().map(Item::into).collect())
    }

    async fn resource_types(&self, workspace: &WorkspaceId) -> Result<Vec<String>> {
        let workspace = workspace.clone();
        self.read(move |conn| match workspace_row(conn, &workspace)? {
            Some(workspace) => {
                let sql = "SELECT DISTINCT resource_type FROM resource WHERE workspace = ?1 ORDER BY resource_type";
                let mut statement = conn.prepare_cached(sql)?;
                let types = statement.query_map([workspace], |row| row.get(0))?;
                Ok(types.collect::<rusqlite::Result<_>>()?)
            }
            None => Ok(Vec::new()),
        })
        .await
    }

    async fn delete_resource(&self, workspace: &WorkspaceId, path: &str, at: Micros) -> Result<()> {
        self.delete(&RESOURCES, workspace, path, at).await
    }
}

impl SqliteStore {
    async fn put<K>(
        &self,
        table: &'static Table,
        workspace: &WorkspaceId,
        item: Item<K>,
        mode: &PutMode,
    ) -> Result<()>
    where
        K: ToSql + Send + 'static,
    {
        let (workspace, mode) = (workspace.clone(), mode.clone());
        self.write(Need::Synced, move |tx| {
            let workspace = tx.workspace(&workspace)?;
            put(tx, table, workspace, &item, &mode)
        })
        .await
    }

    async fn value<K>(
        &self,
        table: &'static Table,
        workspace: &WorkspaceId,
        path: &str,
    ) -> Result<Option<Item<K>>>
    where
        K: FromSql + Send + 'static,
    {
        let (workspace, path) = (workspace.clone(), path.to_owned());
        self.read(move |conn| match workspace_row(conn, &workspace)? {
            Some(workspace) => Ok(items(conn, table.one, (workspace, path))?.into_iter().next()),
            None => Ok(None),
        })
        .await
    }

    async fn page<K>(
        &self,
        table: &'static Table,
        workspace: &WorkspaceId,
        kinds: Option<String>,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Item<K>>>
    where
        K: FromSql + Send + 'static,
    {
        let (workspace, prefix) = (workspace.clone(), prefix.to_owned());
        // Every path is larger than the empty text, and none has characters beyond the one that
        // ends the range.
        let (after, end) = (after.unwrap_or_default().to_owned(), format!("{prefix}\u{10ffff}"));
        self.read(move |conn| match workspace_row(conn, &workspace)? {
            Some(workspace) => {
                items(conn, table.page, (workspace, prefix, end, after, kinds, limit))
            }
            None => Ok(Vec::new()),
        })
        .await
    }

    async fn delete(
        &self,
        table: &'static Table,
        workspace: &WorkspaceId,
        path: &str,
        at: Micros,
    ) -> Result<()> {
        let (workspace, path) = (workspace.clone(), path.to_owned());
        self.write(Need::Synced, move |tx| {
            let workspace =
                workspace_row(tx.conn, &workspace)?.ok_or_else(|| missing(table, &path))?;
            if tx.conn.prepare_cached(table.delete)?.execute((workspace, &path))? == 0 {
                return Err(missing(table, &path));
            }
            tx.tell(workspace, at, &(table.deleted)(path.clone()))
        })
        .await
    }
}

fn put<K: ToSql>(
    tx: &mut Tx<'_>,
    table: &Table,
    workspace: i64,
    item: &Item<K>,
    mode: &PutMode,
) -> Outcome<()> {
    let Item { path, value, kind, description, changed_by, changed } = item;
    if let PutMode::Rename(old) = mode
        && tx.conn.prepare_cached(table.delete)?.execute((workspace, old))? == 0
    {
        return Err(missing(table, old));
    }
    let values = (workspace, path, value, kind, description, changed_by, changed);
    let replaced = match mode {
        PutMode::Update | PutMode::Upsert => {
            tx.conn.prepare_cached(table.replace)?.execute(values)?
        }
        PutMode::Create | PutMode::Rename(_) => 0,
    };
    if replaced > 0 {
        return tx.tell(workspace, *changed, &(table.updated)(path.clone(), path.clone()));
    }
    if *mode == PutMode::Update {
        return Err(missing(table, path));
    }
    if tx.conn.prepare_cached(table.insert)?.execute(values)? == 0 {
        return Err(StoreError::Conflict(format!("{} {path} exists already", table.what)).into());
    }
    match mode {
        PutMode::Rename(old) => {
            tx.tell(workspace, *changed, &(table.updated)(old.clone(), path.clone()))
        }
        PutMode::Create | PutMode::Update | PutMode::Upsert => {
            tx.tell(workspace, *changed, &(table.created)(path.clone()))
        }
    }
}

fn missing(table: &Table, path: &str) -> Fault {
    StoreError::NotFound(format!("{} {path}", table.what)).into()
}

fn items<K: FromSql>(
    conn: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
) -> Outcome<Vec<Item<K>>> {
    let item = |row: &Row<'_>| {
        Ok(Item {
            path: row.get(0)?,
            value: row.get(1)?,
            kind: row.get(2)?,
            description: row.get(3)?,
            changed_by: row.get(4)?,
            changed: row.get(5)?,
        })
    };
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_map(values, item)?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}
