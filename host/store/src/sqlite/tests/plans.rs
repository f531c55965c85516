//! Every statement of the lists and of the queue must find its index: without one it walks, or sorts, a whole table.

use crate::conformance::*;
use crate::sqlite::list::{Resolved, statement};
use crate::sqlite::open::keep_plans;
use crate::sqlite::{erase, line, migrate, outbox, purge, slots};
use crate::*;
use rusqlite::Connection;

fn empty() -> Connection {
    let mut conn = Connection::open_in_memory().unwrap();
    keep_plans(&conn).unwrap();
    migrate::migrate(&mut conn).unwrap();
    conn
}

fn plan(conn: &Connection, sql: &str) -> Vec<String> {
    let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let lines = plan.raw_query().mapped(|row| row.get::<_, String>(3)).collect::<rusqlite::Result<Vec<_>>>().unwrap();
    assert!(lines.iter().all(|line| !line.contains("TEMP B-TREE") && !line.starts_with("SCAN")), "{sql}: {lines:?}");
    lines
}

#[test]
fn lists_are_ranges_of_an_index() {
    let conn = empty();
    let all = Resolved { workspace: 1, script: None, version: None, tag: None, label: None, keys: (0, i64::MAX) };
    let of_script = Resolved { script: Some(1), ..all };
    let of_version = Resolved { version: Some(1), ..of_script };
    let any = JobFilter { limit: 9, ..JobFilter::default() };
    let failed = JobFilter { success: Some(false), ..any.clone() };
    let canceled = JobFilter { statuses: vec![RunStatus::Canceled], ..any.clone() };
    let children = JobFilter { parent: Some(id(1)), ..any.clone() };
    let running = JobFilter { running: Some(true), ..any.clone() };
    let span = Span { after: Some(1), before: Some(2) };
    let narrow = JobFilter {
        path_start: Some("f/a".into()),
        created_by: Some("ann".into()),
        trigger: Some(Trigger::Manual),
        created: span,
        started: span,
        completed: span,
        with_args: true,
        ..any.clone()
    };
    for (queue, resolved, filter, index) in [
        (true, all, &any, "queue_workspace (workspace=? AND rowid>? AND rowid<?)"),
        (true, all, &running, "queue_running (workspace=? AND rowid>? AND rowid<?)"),
        (true, of_script, &any, "queue_script (script=? AND rowid>? AND rowid<?)"),
        (true, all, &children, "queue_parent (parent=? AND rowid>? AND rowid<?)"),
        (false, all, &any, "run_workspace (workspace=? AND rowid>? AND rowid<?)"),
        (false, all, &narrow, "run_workspace (workspace=? AND rowid>? AND rowid<?)"),
        (false, all, &failed, "run_workspace_failed (workspace=? AND rowid>? AND rowid<?)"),
        (false, all, &canceled, "run_workspace_failed (workspace=? AND rowid>? AND rowid<?)"),
        (false, of_script, &any, "run_script (script=? AND rowid>? AND rowid<?)"),
        (false, of_version, &any, "run_script (script=? AND rowid>? AND rowid<?)"),
        (false, of_script, &failed, "run_script_failed (script=? AND rowid>? AND rowid<?)"),
        (false, all, &children, "run_parent (parent=? AND rowid>? AND rowid<?)"),
    ] {
        for ascending in [false, true] {
            let (sql, values) = statement(queue, &resolved, &JobFilter { ascending, ..filter.clone() });
            assert_eq!(sql.matches('?').count(), values.len());
            let lines = plan(&conn, &sql);
            assert!(lines[0].ends_with(&format!("USING INDEX {index}")), "{lines:?}");
        }
    }
}

#[test]
fn what_is_to_be_erased_is_found_by_its_time() {
    let lines = plan(&empty(), erase::DUE);
    assert!(lines[0].contains("erasure_due (due<?)"), "{lines:?}");
}

#[test]
fn the_queue_leaps_over_what_is_not_due() {
    let conn = empty();
    for (sql, range) in [
        (line::LEAP, "queue_ready ((workspace,tag,priority,run_at)>(?,?,?,?))"),
        (line::DUE, "queue_ready (workspace=? AND tag=? AND priority=? AND run_at<?)"),
    ] {
        let lines = plan(&conn, sql);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].ends_with(&format!("INDEX {range}")), "{lines:?}");
    }
}

#[test]
fn limits_are_counted_and_opened_by_their_keys() {
    let conn = empty();
    let lines = plan(&conn, slots::RUNNING);
    assert!(lines[0].ends_with("COVERING INDEX queue_slots (concurrency_key=?)"), "{lines:?}");
    let lines = plan(&conn, slots::PARKED);
    let range = "INDEX queue_parked (concurrency_key=? AND (tag,priority,concurrency_limit,run_at)>(?,?,?,?))";
    assert!(lines.len() == 1 && lines[0].ends_with(range), "{lines:?}");
}

#[test]
fn what_is_to_be_forgotten_is_found_from_its_oldest_on() {
    let conn = empty();
    for (sql, range) in
        [(purge::OF_WORKSPACE, "run_workspace (workspace=? AND rowid<?)"), (purge::OF_SCRIPT, "run_script (script=? AND rowid<?)")]
    {
        let lines = plan(&conn, sql);
        assert!(lines.len() == 1 && lines[0].ends_with(&format!("INDEX {range}")), "{lines:?}");
    }
    for sql in purge::TRACES {
        let lines = plan(&conn, sql);
        assert!(lines.len() == 1 && lines[0].starts_with("SEARCH"), "{lines:?}");
    }
}

#[test]
fn the_outbox_reads_no_more_than_it_returns() {
    let conn = empty();
    let due = plan(&conn, outbox::DUE);
    assert!(due[0].contains("INDEX webhook_due (due>?)"), "{due:?}");
    assert!(due.iter().any(|line| line.contains("INDEX event_waiting (workspace=?)")), "{due:?}");
    let page = plan(&conn, outbox::PAGE);
    assert!(page[0].contains("INDEX event_workspace (workspace=? AND rowid<?)"), "{page:?}");
    let purge = plan(&conn, outbox::PURGE);
    assert!(purge.iter().any(|line| line.contains("INDEX event_settled (settled<?)")), "{purge:?}");
}
