//! Where jobs wait: the workspaces, tags and priorities of those that are not held, and the first
//! time of each.
//!
//! The index of waiting jobs begins with these three, and the few that occur are found by leaping
//! from one to the next. That costs little, unless somebody keeps a snapshot of the database open
//! for long: then what is left of jobs that were taken can't be cleared away, lies before those
//! that wait, and is walked over again and again. When looking has become slow, what was found last
//! is used for a while, beginning a little before where each was. Jobs that others put before
//! there, or into a group that nobody knew, are then found by the next full look; those of this
//! process at once.

use super::Shared;
use super::db::get;
use super::fault::Outcome;
use crate::{Micros, Result};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_postgres::Row;

/// A look that takes longer than this is slow.
const SLOW: Duration = Duration::from_millis(10);
/// So many slow ones in a row, and full looks become rare.
const PATIENCE: u32 = 3;
/// Between two full looks then at least.
const RARE: Duration = Duration::from_secs(1);
/// And at least so many times as long as the last one took.
const SHARE: u32 = 10;
/// How far before the first job of a group others may still put one, as their clocks may differ and
/// their commits be late.
const SLACK: Micros = 2_000_000;

/// Jobs that wait for the same workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Group {
    pub(super) workspace: i64,
    pub(super) tag: i64,
    /// The priority, negated.
    pub(super) rank: i32,
}

/// A group where jobs wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) group: Group,
    /// When the first of them is due.
    pub(super) run_at: Micros,
    /// When the first of those is due that have room beside those that run, if there is any.
    pub(super) free_at: Option<Micros>,
    /// There is none before.
    pub(super) mark: Micros,
    /// The workspace's weight.
    pub(super) weight: i64,
}

/// What is remembered of them.
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// True while full looks are rare.
    rare: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    slow: u32,
    /// When the next full look is due.
    full: Option<Instant>,
    /// From where on jobs of each group are.
    marks: HashMap<Group, Micros>,
}

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

/// The same of groups that are known.
const KNOWN: &str = "WITH g AS (SELECT k.workspace, k.tag, k.rank, f.run_at \
    FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::bigint[]) k (workspace, tag, rank, mark) \
    CROSS JOIN LATERAL (SELECT w.run_at FROM waiting w WHERE NOT w.held AND w.workspace = k.workspace AND w.tag = k.tag \
     AND w.rank = k.rank AND w.run_at >= k.mark ORDER BY w.run_at, w.id LIMIT 1) f) \
    SELECT g.workspace, g.tag, g.rank, g.run_at, s.weight::bigint, {free} FROM g JOIN workspace s ON s.id = g.workspace";

impl Heads {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This process put a job there.
    pub(super) fn note(&self, group: Group, run_at: Micros) {
        if self.rare.load(Ordering::Acquire) {
            self.state()
                .marks
                .entry(group)
                .and_modify(|mark| *mark = run_at.min(*mark))
                .or_insert(run_at);
        }
    }

    /// The groups to look at; `None`: all, which is the caller's to do, and others go on with what
    /// is known meanwhile.
    fn known(&self, meanwhile: Duration) -> Option<Vec<(Group, Micros)>> {
        let mut state = self.state();
        let due = state.full?;
        if Instant::now() >= due {
            state.full = Some(Instant::now() + meanwhile);
            return None;
        }
        Some(state.marks.iter().map(|(group, mark)| (*group, *mark)).collect())
    }

    /// Remembers what a full look found, and how long it took.
    fn learn(&self, heads: &[Head], took: Duration) {
        let mut state = self.state();
        state.slow = if took > SLOW { state.slow.saturating_add(1) } else { 0 };
        if state.slow < PATIENCE {
            self.rare.store(false, Ordering::Release);
            state.full = None;
            state.marks.clear();
            return;
        }
        if state.slow == PATIENCE {
            tracing::warn!(
                milliseconds = took.as_millis() as u64,
                "looking for waiting jobs has become slow: is a transaction open in the database for long?"
            );
        }
        self.rare.store(true, Ordering::Release);
        state.full = Some(Instant::now() + RARE.max(took * SHARE));
        state.marks =
            heads.iter().map(|head| (head.group, head.run_at.saturating_sub(SLACK))).collect();
    }

    /// Moves on to where the groups begin now.
    fn advance(&self, heads: &[Head]) {
        let mut state = self.state();
        for head in heads {
            if let Some(mark) = state.marks.get_mut(&head.group) {
                *mark = head.run_at.saturating_sub(SLACK).max(*mark);
            }
        }
    }
}

/// Columns of groups, as values of a statement.
pub(super) struct Groups {
    pub(super) workspaces: Vec<i64>,
    pub(super) tags: Vec<i64>,
    pub(super) ranks: Vec<i32>,
    pub(super) marks: Vec<Micros>,
}

impl Groups {
    pub(super) fn of(groups: impl Iterator<Item = (Group, Micros)>) -> Self {
        let mut columns =
            Self { workspaces: Vec::new(), tags: Vec::new(), ranks: Vec::new(), marks: Vec::new() };
        for (group, mark) in groups {
            columns.workspaces.push(group.workspace);
            columns.tags.push(group.tag);
            columns.ranks.push(group.rank);
            columns.marks.push(mark);
        }
        columns
    }
}

impl Shared {
    /// The groups where jobs wait that are not held. Which of those have room is looked at only
    /// when it is asked for.
    pub(super) async fn heads(&self, limits: bool) -> Result<Vec<Head>> {
        let meanwhile = self.verb_timeout * SHARE;
        if let Some(known) = self.heads.known(meanwhile) {
            return self.known_heads(known, limits).await;
        }
        let looked = self
            .statement(move |db| async move {
                let began = Instant::now();
                let rows = db.rows(&sql(FULL, limits), &[]).await?;
                let took = began.elapsed();
                let heads = rows
                    .iter()
                    .map(|row| head(row, &HashMap::new()))
                    .collect::<Outcome<Vec<Head>>>()?;
                Ok((heads, took))
            })
            .await;
        match looked {
            Ok((heads, took)) => {
                self.heads.learn(&heads, took);
                Ok(heads)
            }
            // It took too long, perhaps; what is known is not used up by that.
            Err(error) => match self.heads.known(meanwhile) {
                Some(known) => self.known_heads(known, limits).await,
                None => Err(error),
            },
        }
    }

    async fn known_heads(&self, known: Vec<(Group, Micros)>, limits: bool) -> Result<Vec<Head>> {
        let marks: HashMap<Group, Micros> = known.iter().copied().collect();
        let groups = Groups::of(known.into_iter());
        let (groups, marks) = (&groups, &marks);
        let heads = self
            .statement(move |db| async move {
                let rows = db
                    .rows(
                        &sql(KNOWN, limits),
                        &[&groups.workspaces, &groups.tags, &groups.ranks, &groups.marks],
                    )
                    .await?;
                rows.iter().map(|row| head(row, marks)).collect::<Outcome<Vec<Head>>>()
            })
            .await?;
        self.heads.advance(&heads);
        Ok(heads)
    }

    /// When the next job becomes due that has one of these tags (`None`: any tag) and room beside
    /// those that run.
    pub(super) async fn next_due_of(&self, tags: Option<&[i64]>) -> Result<Option<Micros>> {
        let heads = self.heads(true).await?;
        let wanted =
            heads.iter().filter(|head| tags.is_none_or(|tags| tags.contains(&head.group.tag)));
        Ok(wanted.filter_map(|head| head.free_at).min())
    }
}

fn sql(look: &str, limits: bool) -> String {
    look.replace("{free}", if limits { FREE } else { "g.run_at" })
}

fn head(row: &Row, marks: &HashMap<Group, Micros>) -> Outcome<Head> {
    let group = Group { workspace: get(row, 0)?, tag: get(row, 1)?, rank: get(row, 2)? };
    let mark = marks.get(&group).copied().unwrap_or(Micros::MIN);
    Ok(Head { group, run_at: get(row, 3)?, free_at: get(row, 5)?, mark, weight: get(row, 4)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(workspace: i64, run_at: Micros) -> Head {
        Head {
            group: Group { workspace, tag: 1, rank: 0 },
            run_at,
            free_at: Some(run_at),
            mark: Micros::MIN,
            weight: 100,
        }
    }

    #[test]
    fn full_looks_become_rare_when_they_are_slow_and_own_jobs_are_known_at_once() {
        let heads = Heads::default();
        let (quick, slow) = (Duration::from_millis(1), Duration::from_millis(50));
        let (one, two) = (at(1, 10_000_000), at(2, 20_000_000));
        heads.learn(&[one], slow);
        heads.learn(&[one], slow);
        assert_eq!(heads.known(Duration::from_secs(9)), None);
        heads.learn(&[one], slow);
        assert_eq!(heads.known(Duration::from_secs(9)), Some(vec![(one.group, 8_000_000)]));
        heads.advance(&[at(1, 13_000_000), two]);
        assert_eq!(heads.known(Duration::from_secs(9)), Some(vec![(one.group, 11_000_000)]));
        heads.note(one.group, 5);
        heads.note(two.group, 7);
        let mut known = heads.known(Duration::from_secs(9)).unwrap();
        known.sort();
        assert_eq!(known, [(one.group, 5), (two.group, 7)]);
        heads.learn(&[one], quick);
        assert_eq!(heads.known(Duration::from_secs(9)), None);
        heads.note(one.group, 5);
        assert_eq!(heads.known(Duration::from_secs(9)), None);
    }
}
