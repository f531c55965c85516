//! Taking the next jobs: which workspaces' by their shares, and which of theirs by priority and
//! time.
//!
//! A claim looks where jobs wait, plans how many each workspace is due, and takes them in one
//! transaction that is sent at once, under a lock that all claims have in common: so they find
//! exactly what they should, and never keep each other waiting for longer than the server needs.
//! Only when there are jobs with a concurrency limit among them more has to be asked under that
//! lock. What was taken is read when it is given back.
//!
//! A power cut may undo a claim, which is then made again. And should nobody know what became of
//! one, because the connection broke or the caller went away, the jobs that it took are given back
//! before the next: its number is in their rows.

use super::Shared;
use super::db::get;
use super::fault::{Fault, Outcome, corrupt};
use super::heads::{Groups, Head};
use super::names::Rows;
use super::rows::{attempt, job_columns, names, new_job};
use super::slots;
use crate::{ClaimedJob, Micros, Result, WorkerId};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use wasmill_core::WorkspaceId;
use wasmill_core::queue::Shares;
use wasmill_core::queue::fair::WEIGHT;

/// The lock of claims.
pub(super) const LOCK: i64 = 0x77_6173_636c_6169;

/// Jobs with a concurrency limit that are looked at beyond as many as are wanted, for many may have
/// to be held.
const SPARE: i64 = 256;

/// How long claims expect jobs with a concurrency limit after they saw some.
const LIMITED: Duration = Duration::from_secs(10);

/// What a store remembers between claims.
#[derive(Debug, Default)]
pub(super) struct Claims {
    shares: Mutex<Shares<WorkspaceId>>,
    /// Claims of which nobody knows what became of them, with their workers.
    lost: Mutex<Vec<(WorkerId, i64)>>,
    /// When jobs with a concurrency limit were seen.
    limited: Mutex<Option<Instant>>,
}

impl Claims {
    fn shares(&self) -> MutexGuard<'_, Shares<WorkspaceId>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lost(&self) -> MutexGuard<'_, Vec<(WorkerId, i64)>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn forget_shares(&self) {
        *self.shares() = Shares::default();
    }

    /// Jobs with a concurrency limit were seen.
    pub(super) fn saw_limited(&self) {
        *self.limited.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// True when some are to be expected.
    pub(super) fn expects_limited(&self) -> bool {
        let seen = *self.limited.lock().unwrap_or_else(PoisonError::into_inner);
        seen.is_some_and(|seen| seen.elapsed() < LIMITED)
    }
}

/// A claim under way. Unless it is known what became of it, what it took is to be given back.
struct Call<'a> {
    claims: &'a Claims,
    worker: WorkerId,
    number: i64,
    known: bool,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if !self.known {
            self.claims.lost().push((self.worker, self.number));
        }
    }
}

/// What a workspace is given.
#[derive(Debug)]
struct Due {
    workspace: i64,
    name: WorkspaceId,
    weight: u32,
    count: u32,
}

/// A job that was taken.
#[derive(Debug, Clone, Copy)]
struct Taken {
    key: i64,
    workspace: i64,
    attempt: i32,
    failures: i32,
    /// Its place among those of its call.
    place: (i64, i32, Micros),
}

/// What a transaction of a claim did.
#[derive(Debug, Default)]
struct Found {
    taken: Vec<Taken>,
    /// Some were held, so that there may be more than were seen.
    again: bool,
    /// Nothing was taken, for there are jobs with a concurrency limit.
    limited: bool,
}

/// The jobs that are next, as a statement's beginning: `candidate`.
const CANDIDATES: &str = "WITH due AS (SELECT * FROM unnest($2::bigint[], $3::bigint[]) WITH ORDINALITY q (workspace, n, turn)), \
    line AS (SELECT * FROM unnest($4::bigint[], $5::bigint[], $6::integer[], $7::bigint[]) g (workspace, tag, rank, mark)), \
    candidate AS (SELECT due.turn, c.* FROM due CROSS JOIN LATERAL (SELECT w.* FROM line CROSS JOIN LATERAL \
     (SELECT w.workspace, w.id, w.rank, w.run_at, w.concurrency_key, w.concurrency_limit FROM waiting w \
      WHERE NOT w.held AND w.workspace = line.workspace AND w.tag = line.tag AND w.rank = line.rank AND w.run_at >= line.mark \
      AND w.run_at <= $1 ORDER BY w.run_at, w.id LIMIT due.n) w \
     WHERE line.workspace = due.workspace ORDER BY w.rank, w.run_at, w.id LIMIT due.n) c)";

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
    /// See [`crate::Jobs::claim`].
    pub(super) async fn claim_jobs(
        &self,
        worker: WorkerId,
        now: Micros,
        limit: u32,
        tags: &[String],
    ) -> Result<Vec<ClaimedJob>> {
        let tags = match tags {
            [] => None,
            tags => Some(self.tag_rows(tags).await?),
        };
        self.give_lost_back().await?;
        let mut call = Call { claims: &self.claims, worker, number: self.number(), known: false };
        let mut taken: Vec<Taken> = Vec::new();
        while taken.len() < limit as usize {
            let limited = self.claims.expects_limited();
            let mut heads = self.heads(limited).await?;
            heads.retain(|head| {
                head.run_at <= now
                    && tags.as_ref().is_none_or(|tags| tags.contains(&head.group.tag))
            });
            if heads.is_empty() {
                break;
            }
            let room = limit.saturating_sub(u32::try_from(taken.len()).unwrap_or(u32::MAX));
            let ready = self.ready(&heads, now).await?;
            let shares = self.claims.shares().clone();
            let due = self.due(&ready, room);
            let found = match limited {
                true => self.take_limited(&call, now, &due, &heads).await?,
                false => self.take_plain(&call, now, &due, &heads).await?,
            };
            if found.limited {
                // Not all that seemed to be ready are: it is to be looked at more closely.
                *self.claims.shares() = shares;
                self.claims.saw_limited();
                continue;
            }
            let is_over = self.charge(&due, &found) && due.len() == ready.len();
            let took = !found.taken.is_empty();
            taken.extend(found.taken);
            if (is_over || !took) && !found.again {
                break;
            }
        }
        let claimed = self.claimed(&taken).await?;
        call.known = true;
        Ok(claimed)
    }

    /// The workspaces with jobs that may start, and their weights.
    async fn ready(&self, heads: &[Head], now: Micros) -> Result<Vec<(WorkspaceId, i64, u32)>> {
        let free = heads.iter().filter(|head| head.free_at.is_some_and(|at| at <= now));
        let weights: BTreeMap<i64, i64> =
            free.map(|head| (head.group.workspace, head.weight)).collect();
        let names = Rows { workspaces: weights.keys().copied().collect(), ..Rows::default() };
        self.shown(&names, |shown| {
            let named = weights
                .iter()
                .filter_map(|(row, weight)| Some((shown.workspaces.get(row)?, *row, *weight)));
            Ok(named
                .map(|(name, row, weight)| {
                    (name.clone(), row, u32::try_from(weight).unwrap_or(WEIGHT))
                })
                .collect())
        })
        .await
    }

    /// How many jobs each workspace is due.
    fn due(&self, ready: &[(WorkspaceId, i64, u32)], room: u32) -> Vec<Due> {
        if ready.is_empty() {
            return Vec::new();
        }
        let rows: HashMap<&WorkspaceId, (i64, u32)> =
            ready.iter().map(|(name, row, weight)| (name, (*row, *weight))).collect();
        let weights: Vec<(WorkspaceId, u32)> =
            ready.iter().map(|(name, _, weight)| (name.clone(), *weight)).collect();
        let plan = self.claims.shares().plan(&weights, room);
        let due = plan.into_iter().filter_map(|(name, count)| {
            let (workspace, weight) = *rows.get(&name)?;
            Some(Due { workspace, name, weight, count })
        });
        due.collect()
    }

    /// Charges workspaces for what they were given. True when each of them was due more.
    fn charge(&self, due: &[Due], found: &Found) -> bool {
        let mut counts: HashMap<i64, u32> = HashMap::new();
        for job in &found.taken {
            *counts.entry(job.workspace).or_default() += 1;
        }
        let mut shares = self.claims.shares();
        let mut all_over = true;
        for due in due {
            let count = counts.get(&due.workspace).copied().unwrap_or(0);
            shares.charge(&due.name, due.weight, count);
            all_over &= count < due.count;
        }
        all_over
    }

    /// Takes jobs of each workspace, as many as it is due, while there are any: in one go, unless
    /// there are jobs with a concurrency limit among them.
    async fn take_plain(
        &self,
        call: &Call<'_>,
        now: Micros,
        due: &[Due],
        heads: &[Head],
    ) -> Result<Found> {
        let sql = format!(
            "{CANDIDATES}, chosen AS (SELECT * FROM candidate WHERE NOT EXISTS (SELECT FROM candidate WHERE concurrency_key IS NOT NULL)), \
             {} UNION ALL (SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM candidate WHERE concurrency_key IS NOT NULL LIMIT 1)",
            take_by("$8", "$9")
        );
        let begin = format!(
            "BEGIN; SET LOCAL synchronous_commit = off; SELECT pg_advisory_xact_lock({LOCK})"
        );
        let asked = Asked::of(due, &HashSet::new(), heads, 0);
        let values = asked.values(&now, &[&call.worker, &call.number]);
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

    /// The same, where jobs have concurrency limits: those that may not start now are held.
    async fn take_limited(
        &self,
        call: &Call<'_>,
        now: Micros,
        due: &[Due],
        heads: &[Head],
    ) -> Result<Found> {
        // Nothing of some workspaces may start; what waits there is to be held too.
        let busy: HashSet<i64> = heads.iter().map(|head| head.group.workspace).collect();
        let asked = Asked::of(due, &busy, heads, SPARE);
        let (sql, take) = (format!("{CANDIDATES} {CANDIDATE}"), take_by("$5", "$6"));
        let (asked, sql, take) = (&asked, &sql, &take);
        self.transaction(move |db| async move {
            db.execute("SET LOCAL synchronous_commit = off", &[]).await?;
            db.rows("SELECT count(pg_advisory_xact_lock($1))", &[&LOCK]).await?;
            let rows = db.rows(sql, &asked.values(&now, &[])).await?;
            let candidates = rows.iter().map(Candidate::of).collect::<Outcome<Vec<Candidate>>>()?;
            let keys: BTreeSet<i64> = candidates.iter().filter_map(|candidate| candidate.limit.map(|(key, _)| key)).collect();
            let mut running = HashMap::new();
            if !keys.is_empty() {
                self.claims.saw_limited();
                slots::lock(&db, &keys).await?;
                running = slots::running(&db, &keys).await?;
            }
            let (chosen, held) = choose(due, &candidates, &mut running);
            let mut found = Found { again: !held.is_empty(), ..Found::default() };
            if !chosen.is_empty() {
                let turns: Vec<i64> = chosen.iter().map(|candidate| candidate.turn).collect();
                let (workspaces, ids) = places(&chosen);
                let sql = format!(
                    "WITH chosen AS (SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) c (turn, workspace, id)), {take}"
                );
                for row in db.rows(&sql, &[&now, &turns, &workspaces, &ids, &call.worker, &call.number]).await? {
                    found.taken.extend(taken(&row)?);
                }
                found.taken.sort_unstable_by_key(|job| (job.place, job.key));
            }
            if !held.is_empty() {
                let (workspaces, ids) = places(&held);
                let sql = "UPDATE waiting w SET held = true FROM unnest($1::bigint[], $2::bigint[]) h (workspace, id) \
                    WHERE w.workspace = h.workspace AND w.id = h.id AND NOT w.held";
                db.execute(sql, &[&workspaces, &ids]).await?;
            }
            Ok(found)
        })
        .await
    }

    /// Reads what was taken, in the order in which it was.
    async fn claimed(&self, taken: &[Taken]) -> Result<Vec<ClaimedJob>> {
        if taken.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<i64> = taken.iter().map(|job| job.key).collect();
        let sql = format!("SELECT {} FROM job j WHERE j.id = ANY ($1)", job_columns(true));
        let (keys, sql) = (&keys, &sql);
        let rows = self.statement(move |db| async move { db.rows(sql, &[&keys]).await }).await?;
        let names = names(&rows).map_err(Fault::into_error)?;
        self.shown(&names, |shown| {
            let mut by_key: HashMap<i64, &Row> = HashMap::with_capacity(rows.len());
            for row in &rows {
                by_key.insert(get(row, 0)?, row);
            }
            let mut claimed = Vec::with_capacity(taken.len());
            for job in taken {
                let row = by_key
                    .get(&job.key)
                    .ok_or_else(|| corrupt("job", "one that waits is not there"))?;
                let version = shown
                    .versions
                    .get(&get(row, 4)?)
                    .ok_or_else(|| corrupt("job.version", "there is no such row"))?;
                claimed.push(ClaimedJob {
                    job: new_job(row, shown)?,
                    attempt: attempt(job.attempt),
                    failures: attempt(job.failures),
                    path: version.path.clone(),
                });
            }
            Ok(claimed)
        })
        .await
        .inspect(|claimed| {
            self.aliases.learn(
                taken.iter().map(|job| job.key).zip(claimed.iter().map(|claimed| &claimed.job.id)),
            )
        })
    }

    /// Gives back what calls took of which nobody knows what became of them.
    async fn give_lost_back(&self) -> Result<()> {
        let lost = self.claims.lost().clone();
        if !lost.is_empty() {
            self.give_back_claims(&lost).await?;
            self.claims.lost().retain(|call| !lost.contains(call));
        }
        Ok(())
    }

    /// The rows of those of these tags that any job had.
    pub(super) async fn tag_rows(&self, tags: &[String]) -> Result<Vec<i64>> {
        let mut rows = Vec::with_capacity(tags.len());
        for tag in tags {
            rows.extend(self.word_row(tag).await?);
        }
        Ok(rows)
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
    fn of(due: &[Due], others: &HashSet<i64>, heads: &[Head], spare: i64) -> Self {
        let planned: HashSet<i64> = due.iter().map(|due| due.workspace).collect();
        let others: Vec<i64> = others.difference(&planned).copied().collect();
        let mut workspaces: Vec<i64> = due.iter().map(|due| due.workspace).collect();
        let mut counts: Vec<i64> = due.iter().map(|due| i64::from(due.count) + spare).collect();
        counts.extend(others.iter().map(|_| spare));
        workspaces.extend(&others);
        let heads = heads.iter().filter(|head| {
            planned.contains(&head.group.workspace) || others.contains(&head.group.workspace)
        });
        Self { workspaces, counts, groups: Groups::of(heads.map(|head| (head.group, head.mark))) }
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
    fn of(row: &Row) -> Outcome<Self> {
        let limit = get::<Option<i64>>(row, 3)?.zip(get(row, 4)?);
        Ok(Self { turn: get(row, 0)?, workspace: get(row, 1)?, key: get(row, 2)?, limit })
    }
}

/// Those to take, as many as each workspace is due, and those to hold. `running` is how many of
/// each key run, and is counted on.
fn choose<'a>(
    due: &[Due],
    candidates: &'a [Candidate],
    running: &mut HashMap<i64, i64>,
) -> (Vec<&'a Candidate>, Vec<&'a Candidate>) {
    let mut room: HashMap<i64, u32> = due.iter().map(|due| (due.workspace, due.count)).collect();
    let (mut chosen, mut held) = (Vec::new(), Vec::new());
    for candidate in candidates {
        let room = room.entry(candidate.workspace).or_default();
        if let Some((key, limit)) = candidate.limit {
            let running = running.entry(key).or_default();
            if *running >= limit {
                held.push(candidate);
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
    (chosen, held)
}

/// A row of [`TAKE`]; `None`: it says that there are limits.
fn taken(row: &Row) -> Outcome<Option<Taken>> {
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
