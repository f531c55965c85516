//! Variables and resources in PostgreSQL: two tables of one form.

use super::columns::unstorable;
use super::db::{Db, TRIES, Values as Parameters, get, parsed, text};
use super::fault::{Fault, TxResult};
use super::store::PostgresStore;
use crate::common::changes::ValueSort;
use crate::common::item::Item;
use crate::{Micros, PutMode, Resource, Result, StoreError, Values, Variable};
use async_trait::async_trait;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSqlOwned, ToSql};
use wasmill_core::{ValuePath, WorkspaceId};

/// The statements of one of the two tables.
struct Table {
    sort: ValueSort,
    insert: &'static str,
    replace: &'static str,
    /// Deletes the row of a workspace's number.
    take: &'static str,
    /// Deletes the row of a workspace's name, and returns its number.
    delete: &'static str,
    one: &'static str,
    page: &'static str,
}

const VARIABLES: Table = Table {
    sort: ValueSort::Variable,
    insert: "INSERT INTO variable (workspace, path, value, is_secret, description, changed_by, changed) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
    replace: "UPDATE variable SET value = $3, is_secret = $4, description = $5, changed_by = $6, changed = $7 \
        WHERE workspace = $1 AND path = $2",
    take: "DELETE FROM variable WHERE workspace = $1 AND path = $2",
    delete: "DELETE FROM variable WHERE workspace = (SELECT id FROM workspace WHERE name = $1) AND path = $2 RETURNING workspace",
    one: "SELECT path, value, is_secret, description, changed_by, changed FROM variable \
        WHERE workspace = (SELECT id FROM workspace WHERE name = $1) AND path = $2",
    page: "SELECT path, CASE WHEN is_secret THEN ''::bytea ELSE value END, is_secret, description, changed_by, changed FROM variable \
        WHERE workspace = (SELECT id FROM workspace WHERE name = $1) AND path >= $2 AND path < $3 AND path > $4 \
        AND $5::text[] IS NULL ORDER BY path LIMIT $6",
};

const RESOURCES: Table = Table {
    sort: ValueSort::Resource,
    insert: "INSERT INTO resource (workspace, path, value, resource_type, description, changed_by, changed) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
    replace: "UPDATE resource SET value = $3, resource_type = $4, description = $5, changed_by = $6, changed = $7 \
        WHERE workspace = $1 AND path = $2",
    take: "DELETE FROM resource WHERE workspace = $1 AND path = $2",
    delete: "DELETE FROM resource WHERE workspace = (SELECT id FROM workspace WHERE name = $1) AND path = $2 RETURNING workspace",
    one: "SELECT path, value, resource_type, description, changed_by, changed FROM resource \
        WHERE workspace = (SELECT id FROM workspace WHERE name = $1) AND path = $2",
    page: "SELECT path, ''::bytea, resource_type, description, changed_by, changed FROM resource \
        WHERE workspace = (SELECT id FROM workspace WHERE name = $1) AND path >= $2 AND path < $3 AND path > $4 \
        AND ($5::text[] IS NULL OR resource_type = ANY ($5)) ORDER BY path LIMIT $6",
};

#[async_trait]
impl Values for PostgresStore {
    async fn put_variable(
        &self,
        workspace: &WorkspaceId,
        variable: &Variable,
        mode: &PutMode,
    ) -> Result<()> {
        self.put(&VARIABLES, workspace, &Item::<bool>::from(variable.clone()), mode).await
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
        self.put(&RESOURCES, workspace, &Item::<String>::from(resource.clone()), mode).await
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
        let storable = types.iter().map(String::as_str).filter(|name| !unstorable(name));
        let types = (!types.is_empty()).then(|| storable.collect());
        let page = self.page::<String>(&RESOURCES, workspace, types, prefix, after, limit).await?;
        Ok(page.into_iter().map(Item::into).collect())
    }

    async fn resource_types(&self, workspace: &WorkspaceId) -> Result<Vec<String>> {
        let sql = "SELECT DISTINCT resource_type FROM resource WHERE workspace = (SELECT id FROM workspace WHERE name = $1) \
            ORDER BY resource_type";
        self.statement(move |db| async move {
            db.rows(sql, &[&workspace.as_str()]).await?.iter().map(|row| get(row, 0)).collect()
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

impl PostgresStore {
    async fn put<K: ToSql + Sync>(
        &self,
        table: &Table,
        workspace: &WorkspaceId,
        item: &Item<K>,
        mode: &PutMode,
    ) -> Result<()> {
        self.transaction(move |db| async move {
            let workspace = db.workspace(workspace).await?;
            let old_path = put(&db, table, workspace, item, mode).await?;
            db.tell(workspace, item.changed, &table.sort.put(old_path, &item.path)).await
        })
        .await
    }

    async fn value<K: FromSqlOwned>(
        &self,
        table: &Table,
        workspace: &WorkspaceId,
        path: &ValuePath,
    ) -> Result<Option<Item<K>>> {
        self.statement(move |db| async move {
            db.row(table.one, &[&workspace.as_str(), &path.as_str()])
                .await?
                .as_ref()
                .map(item)
                .transpose()
        })
        .await
    }

    async fn page<K: FromSqlOwned>(
        &self,
        table: &Table,
        workspace: &WorkspaceId,
        kinds: Option<Vec<&str>>,
        prefix: &str,
        after: Option<&ValuePath>,
        limit: u32,
    ) -> Result<Vec<Item<K>>> {
        if unstorable(prefix) {
            return Ok(Vec::new());
        }
        // Every path is larger than the empty text, and none has characters beyond the one that
        // ends the range.
        let after = after.map_or("", ValuePath::as_str);
        let (end, kinds) = (&format!("{prefix}\u{10ffff}"), &kinds);
        self.statement(move |db| async move {
            let rows = db
                .rows(
                    table.page,
                    &[&workspace.as_str(), &prefix, end, &after, kinds, &i64::from(limit)],
                )
                .await?;
            rows.iter().map(item).collect()
        })
        .await
    }

    async fn delete(
        &self,
        table: &Table,
        workspace: &WorkspaceId,
        path: &ValuePath,
        at: Micros,
    ) -> Result<()> {
        self.transaction(move |db| async move {
            let row = db
                .row(table.delete, &[&workspace.as_str(), &path.as_str()])
                .await?
                .ok_or_else(|| table.sort.missing(path))?;
            db.tell(get(&row, 0)?, at, &table.sort.deleted(path)).await
        })
        .await
    }
}

/// Puts a value and returns the path that it was at before, if it was.
async fn put<K: ToSql + Sync>(
    db: &Db,
    table: &Table,
    workspace: i64,
    item: &Item<K>,
    mode: &PutMode,
) -> TxResult<Option<ValuePath>> {
    let Item { path, value, kind, description, changed_by, changed } = item;
    let description = description.as_bytes();
    let values: Parameters<'_> =
        &[&workspace, &path.as_str(), value, kind, &description, changed_by, changed];
    let taken = || Fault::from(table.sort.taken(path));
    match mode {
        PutMode::Create => match db.execute(table.insert, values).await? {
            0 => Err(taken()),
            _ => Ok(None),
        },
        PutMode::Update => match db.execute(table.replace, values).await? {
            0 => Err(table.sort.missing(path).into()),
            _ => Ok(Some(path.clone())),
        },
        PutMode::Upsert => {
            // Neither is done only when somebody deletes the value between the two; then it is new
            // again.
            for _ in 0..TRIES {
                if db.execute(table.replace, values).await? > 0 {
                    return Ok(Some(path.clone()));
                }
                if db.execute(table.insert, values).await? > 0 {
                    return Ok(None);
                }
            }
            let why = format!("{path} is made and deleted all the time");
            Err(StoreError::Unavailable(why).into())
        }
        PutMode::Rename(old) => {
            if db.execute(table.take, &[&workspace, &old.as_str()]).await? == 0 {
                return Err(table.sort.missing(old).into());
            }
            match db.execute(table.insert, values).await? {
                0 => Err(taken()),
                _ => Ok(Some(old.clone())),
            }
        }
    }
}

fn item<K: FromSqlOwned>(row: &Row) -> TxResult<Item<K>> {
    Ok(Item {
        path: parsed(row, 0)?,
        value: get(row, 1)?,
        kind: get(row, 2)?,
        description: text(row, 3)?,
        changed_by: get(row, 4)?,
        changed: get(row, 5)?,
    })
}
