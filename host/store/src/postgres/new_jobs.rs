//! Giving new jobs their places: each gets a key that no other job has.
//!
//! Nearly every id gives its job the key, and a whole batch is written by one statement. Which keys
//! are free is the database's to decide, by the primary key of `job`: others may want the same one
//! at the same moment. Those who don't get theirs, because nodes do make ids with the same key, or
//! whose ids give none, get an assigned key: a row of the table `alias` takes a free one for them.

use super::db::{Db, get};
use super::fault::TxResult;
use super::insert::{New, Row, Target, insert};
use super::uuid::Uuid;
use crate::common::keys::{first_key, own_key};
use crate::common::refusals;
use crate::{NewJob, StoreError};
use std::collections::{HashMap, HashSet};

/// Further keys that are looked at beyond as many as are needed.
const SPARE_KEYS: i64 = 64;

/// How often other places are looked for when somebody takes those that were found.
const TRIES: u32 = 20;
/// How many keys further each attempt begins, at most. All of them together stay within a
/// millisecond's 4,096.
const ASIDE: i64 = 64;

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    /// The job has this key.
    At(i64),
    /// The job's id is taken.
    Taken,
    /// The job's version is deleted.
    Deleted,
}

impl Placed {
    /// An error for those that were refused.
    pub(super) fn check(self, job: &NewJob) -> Result<i64, StoreError> {
        match self {
            Placed::At(key) => Ok(key),
            Placed::Taken => Err(refusals::job_taken(&job.id)),
            Placed::Deleted => Err(refusals::no_version_of(job)),
        }
    }
}

/// Puts those jobs whose ids give them their keys, by one statement. `None`: not put, see
/// [`put_rest`].
pub(super) async fn put_native(
    db: &Db,
    target: Target,
    new: &[New<'_>],
) -> TxResult<Vec<Option<Placed>>> {
    let mut seen = HashSet::new();
    let mut rows = Vec::with_capacity(new.len());
    for (n, new) in new.iter().enumerate() {
        let id = &new.job.id;
        // Of two with the same id, the second is judged when the first is put.
        if let Some(key) = own_key(id, new.job.created).filter(|_| seen.insert(*id)) {
            rows.push(Row { n, new, key, tail: Some(id.tail()) });
        }
    }
    let mut placed = vec![None; new.len()];
    for (n, key) in insert(db, target, rows).await? {
        if let Some(place) = placed.get_mut(n) {
            *place = Some(Placed::At(key));
        }
    }
    Ok(placed)
}

/// Judges the jobs that [`put_native`] left, and puts those that may be put. To be called in a
/// transaction.
pub(super) async fn put_rest(
    db: &Db,
    target: Target,
    new: &[New<'_>],
    placed: Vec<Option<Placed>>,
) -> TxResult<Vec<Placed>> {
    let mut placed = placed;
    for attempt in 0..TRIES {
        let rest: Vec<usize> = placed
            .iter()
            .enumerate()
            .filter(|(_, place)| place.is_none())
            .map(|(n, _)| n)
            .collect();
        if rest.is_empty() {
            break;
        }
        let judged = judge(db, target, new, &rest).await?;
        let mut seen = HashSet::new();
        let mut foreign = Vec::new();
        for (n, refused) in rest.into_iter().zip(judged) {
            let (Some(place), Some(new)) = (placed.get_mut(n), new.get(n)) else { continue };
            *place = refused;
            if refused.is_none() && seen.insert(new.job.id) {
                foreign.push((n, new));
            }
        }
        for (n, key) in put_assigned(db, target, foreign, attempt).await? {
            if let Some(place) = placed.get_mut(n) {
                *place = Some(Placed::At(key));
            }
        }
    }
    let all: Option<Vec<Placed>> = placed.into_iter().collect();
    all.ok_or_else(|| {
        StoreError::Unavailable("others took every place that was found for a job".into()).into()
    })
}

/// Why each of these jobs can't be put, if so.
///
/// What may be there is looked up by a subquery that gives a value, here and wherever jobs are
/// looked for by their keys: the planner makes a join of `EXISTS`, or a table in memory, and reads
/// every job of every day for it.
async fn judge(
    db: &Db,
    target: Target,
    new: &[New<'_>],
    which: &[usize],
) -> TxResult<Vec<Option<Placed>>> {
    let chosen: Vec<&New<'_>> = which.iter().filter_map(|n| new.get(*n)).collect();
    let keys: Vec<Option<i64>> =
        chosen.iter().map(|new| new.job.id.is_native().then(|| new.job.id.key())).collect();
    let tails: Vec<i64> = chosen.iter().map(|new| new.job.id.tail()).collect();
    let uuids: Vec<Uuid> = chosen.iter().map(|new| Uuid(new.job.id)).collect();
    let versions: Vec<i64> = chosen.iter().map(|new| new.refs.version).collect();
    let sql = "SELECT (SELECT true FROM job j WHERE j.id = n.key AND j.tail = n.tail) IS NOT NULL \
        OR (SELECT true FROM alias a JOIN job j ON j.id = a.key WHERE a.uuid = n.uuid AND j.tail IS NULL) IS NOT NULL, \
        (SELECT deleted FROM version WHERE id = n.version) \
        FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::bigint[]) WITH ORDINALITY n (key, tail, uuid, version, n) ORDER BY n.n";
    let mut judged = Vec::with_capacity(chosen.len());
    for row in db.rows(sql, &[&keys, &tails, &uuids, &versions]).await? {
        let (is_taken, deleted): (bool, Option<bool>) = (get(&row, 0)?, get(&row, 1)?);
        judged.push(match (is_taken, deleted) {
            (_, Some(true)) if target == Target::Waiting => Some(Placed::Deleted),
            (true, _) => Some(Placed::Taken),
            (false, _) => None,
        });
    }
    Ok(judged)
}

/// Puts jobs under assigned keys. Those that are not among what is returned have to be judged
/// again.
async fn put_assigned(
    db: &Db,
    target: Target,
    foreign: Vec<(usize, &New<'_>)>,
    attempt: u32,
) -> TxResult<Vec<(usize, i64)>> {
    let Some((_, one)) = foreign.first() else {
        return Ok(Vec::new());
    };
    // Others who need keys of the same moment look for the first free one too: whoever lost it
    // looks on from somewhere else. The id says where, for no two have the same.
    let mixed = (one.job.id.tail() ^ one.job.id.key().rotate_left(32))
        .wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64);
    let aside = (mixed >> 32).rem_euclid(1 + i64::from(attempt) * ASIDE);
    // In one order everywhere, so that two that take keys of the same moment don't wait for each
    // other in a circle.
    let mut wanted: Vec<(i64, usize, &New<'_>)> =
        foreign.into_iter().map(|(n, new)| (first_key(new.job.created) + aside, n, new)).collect();
    wanted.sort_unstable_by_key(|(first, n, _)| (*first, *n));
    let mut counts: Vec<(i64, i64)> = Vec::new();
    for (first, ..) in &wanted {
        match counts.last_mut() {
            Some((last, count)) if last == first => *count += 1,
            _ => counts.push((*first, 1)),
        }
    }
    let mut free = free_keys(db, &counts).await?;
    let mut rows = Vec::with_capacity(wanted.len());
    for (first, n, new) in wanted {
        if let Some(key) = free.get_mut(&first).and_then(Iterator::next) {
            rows.push(Row { n, new, key, tail: None });
        }
    }
    let uuids: Vec<Uuid> = rows.iter().map(|row| Uuid(row.new.job.id)).collect();
    let keys: Vec<i64> = rows.iter().map(|row| row.key).collect();
    // An assigned key without a job is of one that was dropped with its whole day.
    let sql = "DELETE FROM alias a WHERE (a.uuid = ANY ($1) OR a.key = ANY ($2)) AND (SELECT true FROM job j WHERE j.id = a.key) IS NULL";
    db.execute(sql, &[&uuids, &keys]).await?;
    let sql = "INSERT INTO alias (uuid, key) SELECT * FROM unnest($1::uuid[], $2::bigint[]) ON CONFLICT DO NOTHING RETURNING key";
    let mut won = HashSet::new();
    for row in db.rows(sql, &[&uuids, &keys]).await? {
        won.insert(get::<i64>(&row, 0)?);
    }
    rows.retain(|row| won.contains(&row.key));
    let put = insert(db, target, rows).await?;
    // Somebody's id gave the same key at this moment.
    let lost: Vec<i64> =
        won.into_iter().filter(|key| put.iter().all(|(_, other)| other != key)).collect();
    if !lost.is_empty() {
        db.execute("DELETE FROM alias WHERE key = ANY ($1)", &[&lost]).await?;
    }
    Ok(put)
}

/// The first free keys from each of these on, so many of each.
async fn free_keys(
    db: &Db,
    wanted: &[(i64, i64)],
) -> TxResult<HashMap<i64, std::vec::IntoIter<i64>>> {
    let sql = "SELECT w.first, k FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) w (first, count, width) CROSS JOIN LATERAL \
        (SELECT k FROM generate_series(w.first, w.first + w.width) k WHERE (SELECT true FROM job j WHERE j.id = k) IS NULL \
        AND (SELECT true FROM alias a WHERE a.key = k) IS NULL ORDER BY k LIMIT w.count) k ORDER BY w.first, k";
    let mut found: HashMap<i64, Vec<i64>> = HashMap::new();
    let mut wanted = wanted.to_vec();
    let mut spare = SPARE_KEYS;
    while !wanted.is_empty() {
        let firsts: Vec<i64> = wanted.iter().map(|(first, _)| *first).collect();
        let counts: Vec<i64> = wanted.iter().map(|(_, count)| *count).collect();
        let widths: Vec<i64> = wanted.iter().map(|(_, count)| 2 * count + spare).collect();
        for first in &firsts {
            found.remove(first);
        }
        for row in db.rows(sql, &[&firsts, &counts, &widths]).await? {
            found.entry(get(&row, 0)?).or_default().push(get(&row, 1)?);
        }
        wanted.retain(|(first, count)| {
            found.get(first).map_or(0, Vec::len) < usize::try_from(*count).unwrap_or(0)
        });
        spare = spare.saturating_mul(8).min(1 << 24);
    }
    Ok(found.into_iter().map(|(first, keys)| (first, keys.into_iter())).collect())
}
