//! Every statement of the lists and of the queue must find its index: without one it walks, or
//! sorts, a whole table.

use crate::fixtures::*;
use crate::sqlite::connection::keep_plans;
use crate::sqlite::list::{Resolved, statement};
use crate::sqlite::{concurrency, erase, migrate, outbox, purge, ready};
use crate::*;
use rusqlite::{Connection, Params, StatementStatus};

fn empty() -> Connection {
    let mut conn = Connection::open_in_memory().unwrap();
    keep_plans(&conn).unwrap();
    migrate::migrate(&mut conn).unwrap();
    conn
}

fn plan(conn: &Connection, sql: &str) -> Vec<String> {
    let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let lines = plan
        .raw_query()
        .mapped(|row| row.get::<_, String>(3))
        .collect::<rusqlite::Result<Vec<_>>>()
        .unwrap();
    assert!(
        lines.iter().all(|line| !line.contains("TEMP B-TREE") && !line.starts_with("SCAN")),
        "{sql}: {lines:?}"
    );
    lines
}

#[test]
fn lists_are_ranges_of_an_index() {
    let conn = empty();
    let all = Resolved {
        workspace: 1,
        script: None,
        version: None,
        tag: None,
        label: None,
        keys: (0, i64::MAX),
    };
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
            let (sql, values) =
                statement(queue, &resolved, &JobFilter { ascending, ..filter.clone() });
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
        (ready::LEAP, "queue_ready ((workspace,tag,priority,run_at)>(?,?,?,?))"),
        (ready::DUE, "queue_ready (workspace=? AND tag=? AND priority=? AND run_at<?)"),
    ] {
        let lines = plan(&conn, sql);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].ends_with(&format!("INDEX {range}")), "{lines:?}");
    }
}

#[test]
fn limits_are_counted_and_opened_by_their_keys() {
    let conn = empty();
    let lines = plan(&conn, concurrency::RUNNING);
    assert!(
        lines[0].ends_with("COVERING INDEX queue_slots (concurrency_key=? AND worker>?)"),
        "{lines:?}"
    );
    let lines = plan(&conn, concurrency::BLOCKED);
    let range = "INDEX queue_parked (concurrency_key=? AND (tag,priority,concurrency_limit,run_at)>(?,?,?,?))";
    assert!(lines.len() == 1 && lines[0].ends_with(range), "{lines:?}");
}

/// What a statement costs, in steps of SQLite's machine.
fn cost(conn: &Connection, sql: &str, values: impl Params) -> i32 {
    let mut statement = conn.prepare(sql).unwrap();
    let mut rows = statement.query(values).unwrap();
    while rows.next().unwrap().is_some() {}
    drop(rows);
    statement.get_status(StatementStatus::VmStep)
}

/// A plan that names the right index may still walk over all of it.
#[test]
fn a_long_queue_costs_no_more_than_a_short_one() {
    let conn = empty();
    let columns = "id, workspace, script, version, caller, trigger, created, run_at, max_attempts, tag, priority";
    let many = "WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < 3000)";
    conn.execute_batch(&format!(
        "{many} INSERT INTO queue ({columns}, concurrency_key, concurrency_limit, parked)
             SELECT n, 1, 1, 1, 1, 0, n, n, 1, 1, 0, 7, 1, n % 2 FROM n;
         {many} INSERT INTO run ({columns}, attempt, started, status, duration, memory, deleted)
             SELECT n << 20, 1, 1, 1, 1, 0, n << 8, n << 8, 1, 1, 0, 1, n << 8, 0, 1, 1, 0 FROM n;"
    ))
    .unwrap();
    let costs = [
        cost(&conn, ready::LEAP, (i64::MIN, i64::MIN, i64::MIN, i64::MAX)),
        cost(&conn, ready::LEAP, (1, 1, 0, i64::MAX)),
        cost(&conn, ready::DUE, (1, 1, 0, i64::MAX, 1)),
        cost(&conn, concurrency::BLOCKED, (7, i64::MIN, i64::MIN, i64::MIN, i64::MAX)),
        cost(&conn, concurrency::BLOCKED, (7, 1, 0, 1, i64::MAX)),
        cost(&conn, concurrency::RUNNING, [7]),
        cost(&conn, purge::OF_WORKSPACE, (1, 1 << 20, 1 << 8, 9)),
        cost(&conn, purge::OF_SCRIPT, (1, 1 << 20, 1 << 8, 9)),
    ];
    assert!(costs.iter().all(|cost| *cost < 100), "{costs:?}");
}

#[test]
fn what_is_to_be_forgotten_is_found_from_its_oldest_on() {
    let conn = empty();
    for (sql, range) in [
        (purge::OF_WORKSPACE, "run_workspace (workspace=? AND rowid<?)"),
        (purge::OF_SCRIPT, "run_script (script=? AND rowid<?)"),
    ] {
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
