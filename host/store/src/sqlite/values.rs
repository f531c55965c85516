//! Variables and resources in SQLite: two tables of one form.

use super::fault::{TxResult, corrupt};
use super::names::workspace_row;
use super::store::{Need, SqliteStore};
use super::tx::Tx;
use crate::common::changes::ValueSort;
use crate::common::item::Item;
use crate::{Micros, PutMode, Resource, Result, Values, Variable};
use async_trait::async_trait;
use rusqlite::types::FromSql;
use rusqlite::{Connection, Row, ToSql};
use wasmill_core::{ValuePath, WorkspaceId};

/// The statements of one of the two tables.
struct Table {
    sort: ValueSort,
    insert: &'static str,
    replace: &'static str,
    delete: &'static str,
    one: &'static str,
    page: &'static str,
}

const VARIABLES: Table = Table {
    sort: ValueSort::Variable,
    insert: "INSERT INTO variable (workspace, path, value, is_secret, description, changed_by, changed) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
    replace: "UPDATE variable SET value = ?3, is_secret = ?4, description = ?5, changed_by = ?6, changed = ?7 \
        WHERE workspace = ?1 AND path = ?2",
    delete: "DELETE FROM variable WHERE workspace = ?1 AND path = ?2",
    one: "SELECT path, value, is_secret, description, changed_by, changed FROM variable WHERE workspace = ?1 AND path = ?2",
    page: "SELECT path, CASE WHEN is_secret THEN x'' ELSE value END, is_secret, description, changed_by, changed FROM variable \
        WHERE workspace = ?1 AND path >= ?2 AND path < ?3 AND path > ?4 AND ?5 IS NULL ORDER BY path LIMIT ?6",
};

const RESOURCES: Table = Table {
    sort: ValueSort::Resource,
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

    async fn variable(
        &self,
        workspace: &WorkspaceId,
        path: &ValuePath,
    ) -> Result<Option<Variable>> {
        Ok(self.value(&VARIABLES, workspace, path).await?.map(Item::<bool>::into))
    }

    async fn list_variables(
        &self,
        workspace: &WorkspaceId,
        prefix: &str,
        after: Option<&ValuePath>,
        limit: u32,
    ) -> Result<Vec<Variable>> {
        let page = self.page::<bool>(&VARIABLES, workspace, None, prefix, after, limit).await?;
        Ok(page.into_iter().map(Item::into).collect())
    }

    async fn delete_variable(
        &self,
        workspace: &WorkspaceId,
        path: &ValuePath,
        at: Micros,
    ) -> Result<()> {
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

    async fn resource(
        &self,
        workspace: &WorkspaceId,
        path: &ValuePath,
    ) -> Result<Option<Resource>> {
        Ok(self.value(&RESOURCES, workspace, path).await?.map(Item::<String>::into))
    }

    async fn list_resources(
        &self,
        workspace: &WorkspaceId,
        types: &[String],
        prefix: &str,
        after: Option<&ValuePath>,
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

    async fn delete_resource(
        &self,
        workspace: &WorkspaceId,
        path: &ValuePath,
        at: Micros,
    ) -> Result<()> {
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
        path: &ValuePath,
    ) -> Result<Option<Item<K>>>
    where
        K: FromSql + Send + 'static,
    {
        let (workspace, path) = (workspace.clone(), path.clone());
        self.read(move |conn| match workspace_row(conn, &workspace)? {
            Some(workspace) => {
                Ok(items(conn, table.one, (workspace, path.as_str()))?.into_iter().next())
            }
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
        after: Option<&ValuePath>,
        limit: u32,
    ) -> Result<Vec<Item<K>>>
    where
        K: FromSql + Send + 'static,
    {
        let (workspace, prefix) = (workspace.clone(), prefix.to_owned());
        // Every path is larger than the empty text, and none has characters beyond the one that
        // ends the range.
        let (after, end) =
            (after.map(ToString::to_string).unwrap_or_default(), format!("{prefix}\u{10ffff}"));
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
        path: &ValuePath,
        at: Micros,
    ) -> Result<()> {
        let (workspace, path) = (workspace.clone(), path.clone());
        self.write(Need::Synced, move |tx| {
            let missing = || table.sort.missing(&path);
            let workspace = workspace_row(tx.conn, &workspace)?.ok_or_else(missing)?;
            if tx.conn.prepare_cached(table.delete)?.execute((workspace, path.as_str()))? == 0 {
                return Err(missing().into());
            }
            tx.tell(workspace, at, &table.sort.deleted(&path))
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
) -> TxResult<()> {
    let Item { path, value, kind, description, changed_by, changed } = item;
    if let PutMode::Rename(old) = mode
        && tx.conn.prepare_cached(table.delete)?.execute((workspace, old.as_str()))? == 0
    {
        return Err(table.sort.missing(old).into());
    }
    let values = (workspace, path.as_str(), value, kind, description, changed_by, changed);
    let replaced = match mode {
        PutMode::Update | PutMode::Upsert => {
            tx.conn.prepare_cached(table.replace)?.execute(values)?
        }
        PutMode::Create | PutMode::Rename(_) => 0,
    };
    let old_path = match mode {
        _ if replaced > 0 => Some(path.clone()),
        PutMode::Update => return Err(table.sort.missing(path).into()),
        PutMode::Rename(old) => Some(old.clone()),
        PutMode::Create | PutMode::Upsert => None,
    };
    if replaced == 0 && tx.conn.prepare_cached(table.insert)?.execute(values)? == 0 {
        return Err(table.sort.taken(path).into());
    }
    tx.tell(workspace, *changed, &table.sort.put(old_path, path))
}

fn items<K: FromSql>(
    conn: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
) -> TxResult<Vec<Item<K>>> {
    let item = |row: &Row<'_>| -> TxResult<Item<K>> {
        let path: String = row.get(0)?;
        Ok(Item {
            path: path.parse().map_err(|error| corrupt("value.path", error))?,
            value: row.get(1)?,
            kind: row.get(2)?,
            description: row.get(3)?,
            changed_by: row.get(4)?,
            changed: row.get(5)?,
        })
    };
    let mut statement = conn.prepare_cached(sql)?;
    statement.query_and_then(values, item)?.collect()
}
