//! Rows of events and webhooks, and the values they stand for.

use crate::common::changes::{Columns, from_columns};
use crate::common::codec::count;
use crate::postgres::db::{get, optional_digest, parsed};
use crate::postgres::fault::TxResult;
use crate::{Delivery, Webhook};
use tokio_postgres::Row;
use wasmill_core::outbox::Change;

/// A delivery from the thirteen columns of a query for them.
pub(super) fn delivery(row: &Row) -> TxResult<Delivery> {
    Ok(Delivery {
        event: get(row, 0)?,
        workspace: parsed(row, 1)?,
        change: change(row, 2)?,
        at: get(row, 6)?,
        attempts: count(get::<i64>(row, 7)?),
        due: get(row, 8)?,
        webhook: webhook(row, 9)?,
    })
}

/// A change from its four columns, which begin at one.
pub(super) fn change(row: &Row, first: usize) -> TxResult<Change> {
    let columns = Columns {
        kind: get(row, first)?,
        path: get(row, first + 1)?,
        old_path: get(row, first + 2)?,
        hash: optional_digest(row, first + 3)?,
    };
    Ok(from_columns(&columns)?)
}

/// A webhook from its four columns, which begin at one.
pub(super) fn webhook(row: &Row, first: usize) -> TxResult<Webhook> {
    Ok(Webhook {
        url: get(row, first)?,
        secret: get(row, first + 1)?,
        changed_by: get(row, first + 2)?,
        changed: get(row, first + 3)?,
    })
}
