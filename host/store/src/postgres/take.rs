//! Taking the jobs that a claim is due, in one transaction under the lock that all claims have in
//! common.

use super::claims::CLAIM_LOCK;
use super::concurrency;
use super::db::get;
use super::fault::{Fault, TxResult};
use super::ready::{Groups, ReadyGroup};
use super::shared::Shared;
use crate::{Micros, Result, WorkerId};
use std::collections::{BTreeSet, HashMap, HashSet};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use wasmill_core::WorkspaceId;

/// Jobs with a concurrency limit that are looked at beyond as many as are wanted, for many may be
/// blocked.
const SPARE: i64 = 256;

/// The claim that takes them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claiming {
    pub(super) worker: WorkerId,
    /// A number that no other claim of any process has.
    pub(super) number: i64,
}

/// What a workspace is given.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) workspace: i64,
    pub(super) name: WorkspaceId,
    pub(super) weight: u32,
    pub(super) count: u32,
}

/// A job that was taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    pub(super) key: i64,
    pub(super) workspace: i64,
    pub(super) attempt: i32,
    pub(super) failures: i32,
    /// Its place among those of its call.
    pub(super) place: (i64, i32, Micros),
}

/// What a transaction of a claim did.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) taken: Vec<Taken>,
    /// Some were found blocked, so that there may be more than were seen.
    pub(super) again: bool,
    /// Nothing was taken, for there are jobs with a concurrency limit.
    pub(super) limited: bool,
}

/// The jobs that are next, as a statement's beginning: `candidate`.
const CANDIDATES: &str = "WITH due AS (SELECT * FROM unnest($2::bigint[], $3::bigint[]) WITH ORDINALITY q (workspace, n, turn)), \
    ready AS (SELECT * FROM unnest($4::bigint[], $5::bigint[], $6::integer[], $7::bigint[]) g (workspace, tag, rank, mark)), \
    candidate AS (SELECT due.turn, c.* FROM due CROSS JOIN LATERAL (SELECT w.* FROM ready CROSS JOIN LATERAL \
     (SELECT w.workspace, w.id, w.rank, w.run_at, w.concurrency_key, w.concurrency_limit FROM waiting w \
      WHERE NOT w.held AND w.workspace = ready.workspace AND w.tag = ready.tag AND w.rank = ready.rank AND w.run_at >= ready.mark \
      AND w.run_at <= $1 ORDER BY w.run_at, w.id LIMIT due.n) w \
     WHERE ready.workspace = due.workspace ORDER BY w.rank, w.run_at, w.id LIMIT due.n) c)";

/// How chosen jobs, in a table `chosen`, are taken.
const TAKE: &str = "alive AS (INSERT INTO worker (id) VALUES ({worker}) ON CONFLICT (id) DO UPDATE SET id = excluded.id WHERE false), \
    gone AS (DELETE FROM waiting w USING chosen c WHERE w.workspace = c.workspace AND w.id = c.id \
     RETURNING c.turn, w.id, w.workspace, w.script, w.rank, w.run_at, w.max_attempts, w.tail, w.concurrency_key, w.erase_after, \
     w.attempt + 1 AS attempt, w.failures), \
    runs AS (INSERT INTO running (id, workspace, script, worker, claim, started, max_attempts, tail, concurrency_key, erase_after, \
     attempt, failures, marked) SELECT id, workspace, script, {worker}, {claim}, $1, max_attempts, tail, concurrency_key, erase_after, \
     attempt, failures, false FROM gone) \
    SELECT id, workspace, attempt, failures, turn, rank, run_at FROM gone";

/// [`TAKE`] with the places of its values.
fn take_by(worker: &str, claim: &str) -> String {
    TAKE.replace("{worker}", worker).replace("{claim}", claim)
}

impl Shared {
    /// Takes jobs of each workspace, as many as it is due, while there are any: in one go, unless
    /// there are jobs with a concurrency limit among them.
    pub(super) async fn take_plain(
        &self,
        claim: Claiming,
        now: Micros,
        due: &[Due],
        ready_groups: &[ReadyGroup],
    ) -> Result<Found> {
        let sql = format!(
            "{CANDIDATES}, chosen AS (SELECT * FROM candidate WHERE NOT EXISTS (SELECT FROM candidate WHERE concurrency_key IS NOT NULL)), \
             {} UNION ALL (SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM candidate WHERE concurrency_key IS NOT NULL LIMIT 1)",
            take_by("$8", "$9")
        );
        let begin = format!(
            "BEGIN; SET LOCAL synchronous_commit = off; SELECT pg_advisory_xact_lock({CLAIM_LOCK})"
        );
        let asked = Asked::of(due, &HashSet::new(), ready_groups, 0);
        let values = asked.values(&now, &[&claim.worker, &claim.number]);
        let (begin, sql, values) = (&begin, &sql, &values);
        let rows =
            self.statement(move |db| async move { db.burst(begin, sql, values).await }).await?;
        let mut found = Found::default();
        for row in &rows {
            match taken(row).map_err(Fault::into_error)? {
                Some(job) => found.taken.push(job),
                None => found.limited = true,
            }
        }
        found.taken.sort_unstable_by_key(|job| (job.place, job.key));
        Ok(found)
    }

    /// The same, where jobs have concurrency limits: those that may not start now are marked
    /// as blocked.
    pub(super) async fn take_limited(
        &self,
        claim: Claiming,
        now: Micros,
        due: &[Due],
        ready_groups: &[ReadyGroup],
    ) -> Result<Found> {
        // Nothing of some workspaces may start; what waits there is to be marked too.
        let busy: HashSet<i64> =
            ready_groups.iter().map(|ready_group| ready_group.group.workspace).collect();
        let asked = Asked::of(due, &busy, ready_groups, SPARE);
        let (sql, take) = (format!("{CANDIDATES} {CANDIDATE}"), take_by("$5", "$6"));
        let (asked, sql, take) = (&asked, &sql, &take);
        self.transaction(move |db| async move {
            db.execute("SET LOCAL synchronous_commit = off", &[]).await?;
            db.rows("SELECT count(pg_advisory_xact_lock($1))", &[&CLAIM_LOCK]).await?;
            let rows = db.rows(sql, &asked.values(&now, &[])).await?;
            let candidates = rows.iter().map(Candidate::of).collect::<TxResult<Vec<Candidate>>>()?;
            let keys: BTreeSet<i64> = candidates.iter().filter_map(|candidate| candidate.limit.map(|(key, _)| key)).collect();
            let mut running = HashMap::new();
            if !keys.is_empty() {
                self.claims.saw_limited();
                concurrency::lock(&db, &keys).await?;
                running = concurrency::running(&db, &keys).await?;
            }
            let (chosen, blocked) = choose(due, &candidates, &mut running);
            let mut found = Found { again: !blocked.is_empty(), ..Found::default() };
            if !chosen.is_empty() {
                let turns: Vec<i64> = chosen.iter().map(|candidate| candidate.turn).collect();
                let (workspaces, ids) = places(&chosen);
                let sql = format!(
                    "WITH chosen AS (SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) c (turn, workspace, id)), {take}"
                );
                for row in db.rows(&sql, &[&now, &turns, &workspaces, &ids, &claim.worker, &claim.number]).await? {
                    found.taken.extend(taken(&row)?);
                }
                found.taken.sort_unstable_by_key(|job| (job.place, job.key));
            }
            if !blocked.is_empty() {
                let (workspaces, ids) = places(&blocked);
                let sql = "UPDATE waiting w SET held = true FROM unnest($1::bigint[], $2::bigint[]) h (workspace, id) \
                    WHERE w.workspace = h.workspace AND w.id = h.id AND NOT w.held";
                db.execute(sql, &[&workspaces, &ids]).await?;
            }
            Ok(found)
        })
        .await
    }
}

/// What candidates are read by.
const CANDIDATE: &str = "SELECT turn, workspace, id, concurrency_key, concurrency_limit FROM candidate ORDER BY turn, rank, run_at, id";

/// Values of [`CANDIDATES`].
struct Asked {
    workspaces: Vec<i64>,
    counts: Vec<i64>,
    groups: Groups,
}

impl Asked {
    /// So many jobs as each workspace is due, and `spare` further ones, also of the other
    /// workspaces that are named.
    fn of(due: &[Due], others: &HashSet<i64>, ready_groups: &[ReadyGroup], spare: i64) -> Self {
        let planned: HashSet<i64> = due.iter().map(|due| due.workspace).collect();
        let others: Vec<i64> = others.difference(&planned).copied().collect();
        let mut workspaces: Vec<i64> = due.iter().map(|due| due.workspace).collect();
        let mut counts: Vec<i64> = due.iter().map(|due| i64::from(due.count) + spare).collect();
        counts.extend(others.iter().map(|_| spare));
        workspaces.extend(&others);
        let ready_groups = ready_groups.iter().filter(|ready_group| {
            planned.contains(&ready_group.group.workspace)
                || others.contains(&ready_group.group.workspace)
        });
        Self {
            workspaces,
            counts,
            groups: Groups::of(
                ready_groups.map(|ready_group| (ready_group.group, ready_group.mark)),
            ),
        }
    }

    fn values<'a>(
        &'a self,
        now: &'a Micros,
        more: &[&'a (dyn ToSql + Sync)],
    ) -> Vec<&'a (dyn ToSql + Sync)> {
        let Groups { workspaces, tags, ranks, marks } = &self.groups;
        let mut values: Vec<&'a (dyn ToSql + Sync)> =
            vec![now, &self.workspaces, &self.counts, workspaces, tags, ranks, marks];
        values.extend_from_slice(more);
        values
    }
}

/// Workspaces and keys, as columns.
fn places(candidates: &[&Candidate]) -> (Vec<i64>, Vec<i64>) {
    candidates.iter().map(|candidate| (candidate.workspace, candidate.key)).unzip()
}

/// A job that may be taken.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    turn: i64,
    workspace: i64,
    key: i64,
    /// The key of its concurrency limit, and the limit.
    limit: Option<(i64, i64)>,
}

impl Candidate {
    fn of(row: &Row) -> TxResult<Self> {
        let limit = get::<Option<i64>>(row, 3)?.zip(get(row, 4)?);
        Ok(Self { turn: get(row, 0)?, workspace: get(row, 1)?, key: get(row, 2)?, limit })
    }
}

/// Those to take, as many as each workspace is due, and those to mark as blocked. `running` is how
/// many of each key run, and is counted on.
fn choose<'a>(
    due: &[Due],
    candidates: &'a [Candidate],
    running: &mut HashMap<i64, i64>,
) -> (Vec<&'a Candidate>, Vec<&'a Candidate>) {
    let mut room: HashMap<i64, u32> = due.iter().map(|due| (due.workspace, due.count)).collect();
    let (mut chosen, mut blocked) = (Vec::new(), Vec::new());
    for candidate in candidates {
        let room = room.entry(candidate.workspace).or_default();
        if let Some((key, limit)) = candidate.limit {
            let running = running.entry(key).or_default();
            if *running >= limit {
                blocked.push(candidate);
                continue;
            }
            if *room == 0 {
                continue;
            }
            *running += 1;
        } else if *room == 0 {
            continue;
        }
        *room -= 1;
        chosen.push(candidate);
    }
    (chosen, blocked)
}

/// A row of [`TAKE`]; `None`: it says that there are limits.
fn taken(row: &Row) -> TxResult<Option<Taken>> {
    let Some(key) = get(row, 0)? else { return Ok(None) };
    let place = (get(row, 4)?, get(row, 5)?, get(row, 6)?);
    Ok(Some(Taken {
        key,
        workspace: get(row, 1)?,
        attempt: get(row, 2)?,
        failures: get(row, 3)?,
        place,
    }))
}
