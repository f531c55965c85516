//! The delivery log: what was noted of each event.

use super::rows::change;
use crate::common::codec::{count, signed};
use crate::common::outbox::delivery_state;
use crate::model::{duration, micros};
use crate::postgres::db::{Db, get, optional_text, text};
use crate::postgres::fault::TxResult;
use crate::{Attempt, DeliveryRecord, EventId, KEPT_ATTEMPTS, Micros};
use tokio_postgres::Row;
use wasmill_core::WorkspaceId;

/// A page of a workspace's events, each once for every attempt that is kept of it. The due moment
/// is that of the oldest which waits. One statement, so that events and attempts fit together.
const PAGE: &str = "SELECT e.id, e.kind, e.path, e.old_path, e.hash, e.at, e.state, e.settled, e.attempts, \
    (SELECT h.due FROM webhook h WHERE h.workspace = e.workspace AND e.id = \
    (SELECT o.id FROM event o WHERE o.workspace = e.workspace AND o.state = 0 ORDER BY o.id LIMIT 1)), \
    a.at, a.duration, a.status, a.error, a.answer \
    FROM (SELECT * FROM event WHERE workspace = (SELECT id FROM workspace WHERE name = $1) AND id < $2 ORDER BY id DESC LIMIT $3) e \
    LEFT JOIN attempt a ON a.event = e.id ORDER BY e.id DESC, a.number";

/// Notes an attempt, and forgets those that are too many.
pub(super) async fn append(db: &Db, event: EventId, attempt: &Attempt) -> TxResult<()> {
    let sql = "WITH noted AS (INSERT INTO attempt (event, number, at, duration, status, error, answer) \
        SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6 FROM attempt WHERE event = $1 RETURNING number) \
        DELETE FROM attempt WHERE event = $1 AND number <= (SELECT number FROM noted) - $7";
    let Attempt { at, duration, status, error, answer } = attempt;
    let duration = micros(*duration);
    let (status, error) = (status.map(i64::from), error.as_deref().map(str::as_bytes));
    let kept = signed(KEPT_ATTEMPTS);
    db.execute(sql, &[&event, at, &duration, &status, &error, &answer.as_bytes(), &kept])
        .await
        .map(drop)
}

pub(super) async fn read(
    db: &Db,
    workspace: &WorkspaceId,
    before: EventId,
    limit: u32,
) -> TxResult<Vec<DeliveryRecord>> {
    let mut records: Vec<DeliveryRecord> = Vec::new();
    for row in db.rows(PAGE, &[&workspace.as_str(), &before, &i64::from(limit)]).await? {
        let event: EventId = get(&row, 0)?;
        let attempt = attempt(&row)?;
        match records.last_mut() {
            Some(record) if record.event == event => record.last.extend(attempt),
            _ => records.push(DeliveryRecord {
                last: attempt.into_iter().collect(),
                ..record(&row, event)?
            }),
        }
    }
    Ok(records)
}

fn record(row: &Row, event: EventId) -> TxResult<DeliveryRecord> {
    let settled: Option<Micros> = get(row, 7)?;
    let state = delivery_state(get(row, 6)?, settled, get(row, 9)?);
    let attempts = count(get::<i64>(row, 8)?);
    Ok(DeliveryRecord {
        event,
        change: change(row, 1)?,
        at: get(row, 5)?,
        state,
        attempts,
        last: Vec::new(),
    })
}

/// The attempt that a row is about, if there is one.
fn attempt(row: &Row) -> TxResult<Option<Attempt>> {
    let Some(at) = get(row, 10)? else {
        return Ok(None);
    };
    Ok(Some(Attempt {
        at,
        duration: duration(get(row, 11)?),
        status: get::<Option<i64>>(row, 12)?.and_then(|status| u16::try_from(status).ok()),
        error: optional_text(row, 13)?,
        answer: text(row, 14)?,
    }))
}
