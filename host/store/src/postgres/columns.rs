//! Values of statements: many rows as one array for each column, and what a column can hold.

use crate::RunEnd;
use crate::common::codec::{payload_columns, signed, status_number};
use crate::model::micros;

/// Bits of a key below its milliseconds.
const COUNTER_BITS: u32 = 12;
/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// True of text that no column of type text can hold, so that no row has it.
pub(super) fn unstorable(text: &str) -> bool {
    text.contains('\0')
}

/// How long a run took, such that its end is a moment too.
pub(super) fn clamped(end: &RunEnd) -> i64 {
    let longest = i64::MAX.saturating_sub(end.started.max(0));
    micros(end.duration).min(longest)
}

/// Ends of runs, as columns.
pub(super) struct EndColumns<'a> {
    pub(super) started: Vec<i64>,
    pub(super) durations: Vec<i64>,
    pub(super) memory: Vec<i64>,
    pub(super) statuses: Vec<i16>,
    pub(super) deleted: Vec<bool>,
    pub(super) results: Vec<Option<&'a [u8]>>,
    pub(super) logs: Vec<Option<&'a [u8]>>,
}

impl<'a> EndColumns<'a> {
    pub(super) fn of(ends: &[&'a RunEnd]) -> Self {
        let (results, logs) = ends.iter().map(|end| payload_columns(end)).unzip();
        Self {
            started: ends.iter().map(|end| end.started).collect(),
            durations: ends.iter().map(|end| clamped(end)).collect(),
            memory: ends.iter().map(|end| signed(end.memory_peak_bytes)).collect(),
            statuses: ends.iter().map(|end| status_number(end.status)).collect(),
            deleted: ends.iter().map(|end| end.deleted).collect(),
            results,
            logs,
        }
    }
}

/// The day of a key, in SQL.
pub(super) fn day(key: &str) -> String {
    format!("(({key} >> {COUNTER_BITS}) / {DAY})::integer")
}

/// The day of a key, counted from 1970.
pub(super) fn day_of(key: i64) -> i32 {
    i32::try_from((key >> COUNTER_BITS) / DAY).unwrap_or(i32::MAX)
}

/// The first key of a day.
fn first_of_day(day: i64) -> i64 {
    day.saturating_mul(DAY) << COUNTER_BITS
}

/// The keys of a day, the second one excluded.
pub(super) fn keys_of(day: i64) -> (i64, i64) {
    (first_of_day(day), first_of_day(day.saturating_add(1)))
}
