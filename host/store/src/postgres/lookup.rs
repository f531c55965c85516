//! Finding jobs by their ids, wherever they are.

use super::db::{Db, get};
use super::fault::{Fault, TxResult};
use super::rows::{Table, job_columns, state_columns};
use super::shared::Shared;
use super::uuid::Uuid;
use crate::common::codec::Extent;
use crate::{Job, Result};
use wasmill_core::{JobId, WorkspaceId};

/// The key of a job of a workspace. Its values are the workspace's row, and the id's own key, its
/// tail and itself.
pub(super) const KEY_OF: &str = "SELECT id FROM job WHERE id = $2 AND tail = $3 AND workspace = $1 UNION ALL \
    SELECT j.id FROM alias a JOIN job j ON j.id = a.key WHERE a.uuid = $4 AND j.tail IS NULL AND j.workspace = $1 LIMIT 1";

/// The key that an id gives.
pub(super) fn own(id: &JobId) -> Option<i64> {
    id.is_native().then(|| id.key())
}

/// The keys of those jobs of a workspace that are there, in the order of their ids.
pub(super) async fn locate(db: &Db, workspace: i64, ids: &[JobId]) -> TxResult<Vec<Option<i64>>> {
    let keys: Vec<Option<i64>> = ids.iter().map(own).collect();
    let tails: Vec<i64> = ids.iter().map(JobId::tail).collect();
    let uuids: Vec<Uuid> = ids.iter().map(|id| Uuid(*id)).collect();
    let sql = "SELECT (SELECT j.id FROM job j WHERE j.id = c.key AND j.tail = c.tail AND j.workspace = $1), \
        (SELECT j.id FROM alias a JOIN job j ON j.id = a.key WHERE a.uuid = c.uuid AND j.tail IS NULL AND j.workspace = $1) \
        FROM unnest($2::bigint[], $3::bigint[], $4::uuid[]) WITH ORDINALITY c (key, tail, uuid, n) ORDER BY c.n";
    let rows = db.rows(sql, &[&workspace, &keys, &tails, &uuids]).await?;
    rows.iter().map(|row| Ok(get::<Option<i64>>(row, 0)?.or(get(row, 1)?))).collect()
}

impl Shared {
    /// One job of a workspace.
    pub(super) async fn find(&self, workspace: &WorkspaceId, id: JobId) -> Result<Option<Job>> {
        let Some(workspace) = self.workspace_row(workspace).await? else {
            return Ok(None);
        };
        let found = match own(&id) {
            Some(key) => self.find_at(workspace, key, Some(id.tail())).await?,
            None => None,
        };
        if found.is_some() {
            return Ok(found);
        }
        let sql = "SELECT key FROM alias WHERE uuid = $1";
        let key = self
            .statement(move |db| async move {
                db.row(sql, &[&Uuid(id)]).await?.map(|row| get(&row, 0)).transpose()
            })
            .await?;
        match key {
            Some(key) => self.find_at(workspace, key, None).await,
            None => Ok(None),
        }
    }

    async fn find_at(&self, workspace: i64, key: i64, tail: Option<i64>) -> Result<Option<Job>> {
        // In one statement, and so in one snapshot: a job that moved meanwhile would be in none of
        // the tables, or in two.
        let look = |table: Table| {
            format!(
                "(SELECT {}, {} FROM job j CROSS JOIN {} s LEFT JOIN cancellation c ON c.job = j.id \
                 WHERE j.id = $2 AND j.tail IS NOT DISTINCT FROM $3 AND j.workspace = $1 AND s.id = $2 AND s.workspace = $1)",
                job_columns(true),
                state_columns(table, Extent::Whole),
                table.name()
            )
        };
        let sql = [Table::Waiting, Table::Running, Table::Finished].map(look).join(" UNION ALL ");
        let sql = &sql;
        let rows = self
            .statement(move |db| async move { db.rows(sql, &[&workspace, &key, &tail]).await })
            .await?;
        Ok(self.jobs(&rows, Extent::Whole).await?.into_iter().next())
    }

    /// Which of these jobs are over, or unknown.
    pub(super) async fn over(&self, jobs: &[(WorkspaceId, JobId)]) -> Result<Vec<JobId>> {
        let mut workspaces = Vec::with_capacity(jobs.len());
        for (workspace, _) in jobs {
            workspaces.push(self.workspace_row(workspace).await?);
        }
        let keys: Vec<Option<i64>> = jobs.iter().map(|(_, id)| own(id)).collect();
        let tails: Vec<i64> = jobs.iter().map(|(_, id)| id.tail()).collect();
        let uuids: Vec<Uuid> = jobs.iter().map(|(_, id)| Uuid(*id)).collect();
        // What is not there is over. Looked up one by one: see `new_jobs::judge`.
        let there =
            "j.workspace = c.workspace AND (SELECT true FROM finished f WHERE f.id = j.id) IS NULL";
        let sql = format!(
            "SELECT c.n FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::uuid[]) WITH ORDINALITY c (workspace, key, tail, uuid, n) \
             WHERE (SELECT true FROM job j WHERE j.id = c.key AND j.tail = c.tail AND {there}) IS NULL AND \
             (SELECT true FROM alias a JOIN job j ON j.id = a.key WHERE a.uuid = c.uuid AND j.tail IS NULL AND {there}) IS NULL \
             ORDER BY c.n"
        );
        let (keys, sql, tails, uuids, workspaces) = (&keys, &sql, &tails, &uuids, &workspaces);
        let rows = self
            .statement(move |db| async move {
                db.rows(sql, &[&workspaces, &keys, &tails, &uuids]).await
            })
            .await?;
        let mut over = Vec::with_capacity(rows.len());
        for row in &rows {
            let n: i64 = get(row, 0).map_err(Fault::into_error)?;
            over.extend(usize::try_from(n - 1).ok().and_then(|n| jobs.get(n)).map(|(_, id)| *id));
        }
        Ok(over)
    }
}
