//! Finding the groups of ready jobs: a skip scan over the index of waiting jobs that are not
//! blocked (the column `held`), or a look at the groups that are known.

use super::db::get;
use super::fault::TxResult;
use super::ready::{Group, Groups, ReadyGroup, SHARE};
use super::shared::Shared;
use crate::{Micros, Result};
use std::collections::HashMap;
use std::time::Instant;
use tokio_postgres::Row;

/// The first time among a group's jobs that have room beside those that run. Where no job has a
/// limit, it is the first of all.
const FREE: &str = "(SELECT w.run_at FROM waiting w WHERE NOT w.held AND w.workspace = g.workspace AND w.tag = g.tag AND w.rank = g.rank \
    AND w.run_at >= g.run_at AND (w.concurrency_key IS NULL OR w.concurrency_limit > \
    (SELECT count(*) FROM running r WHERE r.concurrency_key = w.concurrency_key)) ORDER BY w.run_at, w.id LIMIT 1)";

/// Each group with its first time.
const FULL: &str = "WITH RECURSIVE g AS ( \
     (SELECT w.workspace, w.tag, w.rank, w.run_at FROM waiting w WHERE NOT w.held \
      ORDER BY w.workspace, w.tag, w.rank, w.run_at LIMIT 1) \
     UNION ALL SELECT n.* FROM g CROSS JOIN LATERAL (SELECT w.workspace, w.tag, w.rank, w.run_at FROM waiting w \
      WHERE NOT w.held AND (w.workspace, w.tag, w.rank) > (g.workspace, g.tag, g.rank) \
      ORDER BY w.workspace, w.tag, w.rank, w.run_at LIMIT 1) n) \
    SELECT g.workspace, g.tag, g.rank, g.run_at, s.weight::bigint, {free} FROM g JOIN workspace s ON s.id = g.workspace";

/// Each known group with its first time from its mark on.
const KNOWN: &str = "WITH g AS (SELECT k.workspace, k.tag, k.rank, f.run_at \
    FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::bigint[]) k (workspace, tag, rank, mark) \
    CROSS JOIN LATERAL (SELECT w.run_at FROM waiting w WHERE NOT w.held AND w.workspace = k.workspace AND w.tag = k.tag \
     AND w.rank = k.rank AND w.run_at >= k.mark ORDER BY w.run_at, w.id LIMIT 1) f) \
    SELECT g.workspace, g.tag, g.rank, g.run_at, s.weight::bigint, {free} FROM g JOIN workspace s ON s.id = g.workspace";

impl Shared {
    /// The groups where jobs wait that are not blocked. Which of those have room is looked at only
    /// when it is asked for.
    pub(super) async fn ready_groups(&self, limits: bool) -> Result<Vec<ReadyGroup>> {
        let meanwhile = self.verb_timeout * SHARE;
        if let Some(known) = self.ready_groups.known(meanwhile) {
            return self.known_heads(known, limits).await;
        }
        let looked = self
            .statement(move |db| async move {
                let began = Instant::now();
                let rows = db.rows(&sql(FULL, limits), &[]).await?;
                let took = began.elapsed();
                let ready_groups = rows
                    .iter()
                    .map(|row| head(row, &HashMap::new()))
                    .collect::<TxResult<Vec<ReadyGroup>>>()?;
                Ok((ready_groups, took))
            })
            .await;
        match looked {
            Ok((ready_groups, took)) => {
                self.ready_groups.learn(&ready_groups, took);
                Ok(ready_groups)
            }
            // It took too long, perhaps; what is known is not used up by that.
            Err(error) => match self.ready_groups.known(meanwhile) {
                Some(known) => self.known_heads(known, limits).await,
                None => Err(error),
            },
        }
    }

    async fn known_heads(
        &self,
        known: Vec<(Group, Micros)>,
        limits: bool,
    ) -> Result<Vec<ReadyGroup>> {
        let marks: HashMap<Group, Micros> = known.iter().copied().collect();
        let groups = Groups::of(known.into_iter());
        let (groups, marks) = (&groups, &marks);
        let ready_groups = self
            .statement(move |db| async move {
                let rows = db
                    .rows(
                        &sql(KNOWN, limits),
                        &[&groups.workspaces, &groups.tags, &groups.ranks, &groups.marks],
                    )
                    .await?;
                rows.iter().map(|row| head(row, marks)).collect::<TxResult<Vec<ReadyGroup>>>()
            })
            .await?;
        self.ready_groups.advance(&ready_groups);
        Ok(ready_groups)
    }

    /// When the next job becomes due that has one of these tags (`None`: any tag) and room beside
    /// those that run.
    pub(super) async fn next_due_of(&self, tags: Option<&[i64]>) -> Result<Option<Micros>> {
        let ready_groups = self.ready_groups(true).await?;
        let wanted = ready_groups
            .iter()
            .filter(|ready_group| tags.is_none_or(|tags| tags.contains(&ready_group.group.tag)));
        Ok(wanted.filter_map(|ready_group| ready_group.free_at).min())
    }
}

fn sql(look: &str, limits: bool) -> String {
    look.replace("{free}", if limits { FREE } else { "g.run_at" })
}

fn head(row: &Row, marks: &HashMap<Group, Micros>) -> TxResult<ReadyGroup> {
    let group = Group { workspace: get(row, 0)?, tag: get(row, 1)?, rank: get(row, 2)? };
    let mark = marks.get(&group).copied().unwrap_or(Micros::MIN);
    Ok(ReadyGroup {
        group,
        run_at: get(row, 3)?,
        free_at: get(row, 5)?,
        mark,
        weight: get(row, 4)?,
    })
}
