//! One suite for every back end: what the traits promise, verb by verb, and random sequences
//! compared with memory.

mod accounts;
mod cancel;
mod deliveries;
mod jobs;
mod keys;
mod lists;
mod nodes;
mod outbox;
mod queue;
mod random;
mod records;
mod scripts;
mod values;

use crate::memory::MemoryStore;
use crate::sqlite::{Options, SqliteStore};
use crate::*;
use bytes::Bytes;
use serde_json::value::RawValue;
use std::time::Duration;
use tempfile::TempDir;
use wasmill_core::limits::DeclaredLimits;
use wasmill_core::{Digest, JobId, Kind, Manifest, Runnable, ScriptPath, VersionHash, WorkspaceId};

/// Runs each function of the suite against each back end that is named for its module.
macro_rules! conformance {
    ($($module:ident on $back_ends:tt: $cases:tt;)+) => {
        mod back_ends {$(
            conformance!(@module $module $back_ends $cases);
        )+}
    };
    (@module $module:ident [$($back_end:ident)+] $cases:tt) => {
        mod $module {
            use crate::conformance::$module as suite;
            $(conformance!(@$back_end $cases);)+
        }
    };
    (@memory [$($case:ident)+]) => {
        mod memory {$(
            #[tokio::test]
            async fn $case() {
                super::suite::$case(&crate::memory::MemoryStore::new()).await;
            }
        )+}
    };
    (@sqlite [$($case:ident)+]) => {
        mod sqlite {$(
            #[tokio::test]
            async fn $case() {
                let (_dir, store) = crate::conformance::open();
                super::suite::$case(&store).await;
            }
        )+}
    };
    (@postgres [$($case:ident)+]) => {
        mod postgres {$(
            #[tokio::test]
            async fn $case() {
                let (_database, store) = crate::postgres::tests::open().await;
                super::suite::$case(&store).await;
            }
        )+}
    };
}

conformance! {
    accounts on [memory sqlite postgres]:
        [workspaces users_and_members tokens token_owners revocation uses scoped_tokens looking_around changing_tokens any_text order_of_names];
    scripts on [memory sqlite postgres]: [deploying redeploying archiving listing borders deleting order_of_paths];
    jobs on [memory sqlite postgres]:
        [life_of_a_job enqueue_is_all_or_none order_of_claims tags_and_priorities fencing rescue_and_exhaustion releasing adopting deleted_versions];
    cancel on [memory sqlite postgres]: [cancelling canceled_ones_never_start_again];
    keys on [memory sqlite postgres]: [idempotency];
    records on [memory sqlite postgres]:
        [recording lists foreign_ids ids_of_another_time depth_and_due counting deleting without_payload erasing_in_time];
    queue on [memory sqlite postgres]:
        [retrying retrying_what_is_cancelled_or_secret limits limits_keep_the_order limits_of_their_own shares retention waiting_for_ends];
    nodes on [memory sqlite postgres]: [leases leading generations signals settings collecting];
    lists on [memory sqlite postgres]: [filters spans pages kinship];
    values on [memory sqlite postgres]: [variables resources renaming any_text];
    outbox on [memory sqlite postgres]: [setting changes_of_scripts changes_of_values wakes];
    deliveries on [memory sqlite postgres]: [order giving_up_and_moving tests_and_redeliveries the_log any_answer];
}

pub(crate) fn open() -> (TempDir, SqliteStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path(), Options::default()).unwrap();
    (dir, store)
}

pub(crate) fn workspace(name: &str) -> WorkspaceId {
    name.parse().unwrap()
}

pub(crate) fn path(text: &str) -> ScriptPath {
    text.parse().unwrap()
}

/// The digest of the module that [`version`] is made of.
pub(crate) fn module_of(module: &str) -> Digest {
    Digest::of(module.as_bytes())
}

pub(crate) fn version(at: &str, module: &str) -> NewVersion {
    let path = path(at);
    let runnable = Runnable::Module { module: module_of(module), kind: Kind::Typed };
    let limits = DeclaredLimits { timeout_s: Some(5), memory_mib: None };
    let (manifest, hash) =
        Manifest::new(path.clone(), runnable.clone(), limits).canonical().unwrap();
    NewVersion {
        hash,
        manifest,
        path,
        runnable,
        module_bytes: module.len() as u64,
        limits,
        schema: Some(r#"{"type":"object"}"#.into()),
        summary: "greets".into(),
        created_by: "admin".into(),
        created: 1_000,
    }
}

pub(crate) fn user(name: &str) -> User {
    User { name: name.into(), email: format!("{name}@example.com"), super_admin: false, created: 1 }
}

pub(crate) fn job(id: JobId, workspace: &WorkspaceId, version: VersionHash) -> NewJob {
    NewJob {
        id,
        workspace: workspace.clone(),
        version,
        created_by: "admin".into(),
        token: Some([7; 32]),
        trigger: Trigger::Webhook,
        created: 1_700_000_000_000_000,
        run_at: 1_700_000_000_000_000,
        timeout: Some(Duration::from_millis(2_500)),
        max_attempts: 2,
        retry: None,
        concurrency: None,
        awaited: false,
        parent: None,
        root: None,
        tag: DEFAULT_TAG.into(),
        priority: 0,
        label: None,
        erasure: Erasure::default(),
        args: Bytes::from_static(br#"{"name":"Ann"}"#),
    }
}

/// The end of a run whose payload is not kept.
pub(crate) fn deleted_end() -> RunEnd {
    RunEnd { deleted: true, ..end(RunStatus::Success, r#""SECRET-RESULT""#) }
}

pub(crate) fn end(status: RunStatus, result: &str) -> RunEnd {
    RunEnd {
        status,
        started: 1_700_000_000_000_100,
        duration: Duration::from_micros(1_234),
        memory_peak_bytes: 1 << 20,
        result: RawValue::from_string(result.into()).unwrap(),
        log: Bytes::from_static(b"hello\n"),
        deleted: false,
    }
}

/// The n-th id of a test.
pub(crate) fn id(n: u16) -> JobId {
    JobId::from_parts(1_700_000_000_000 + u64::from(n), n, u64::from(n) * 77)
}

/// Workspaces `one` and `two`, each with a version at `f/a/x`; `one` also has `f/a/y`. Returns
/// `one` and its versions.
pub(crate) async fn furnish(store: &dyn Store) -> (WorkspaceId, VersionHash, VersionHash) {
    let one = workspace("one");
    store.create_workspace(&one, "One", 1).await.unwrap();
    store.create_workspace(&workspace("two"), "Two", 2).await.unwrap();
    let (x, y) = (version("f/a/x", "x"), version("f/a/y", "y"));
    store.deploy(&one, &x).await.unwrap();
    store.deploy(&one, &y).await.unwrap();
    store.deploy(&workspace("two"), &x).await.unwrap();
    (one, x.hash, y.hash)
}

/// Values without `PartialEq` are compared as they print.
pub(crate) fn shown(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

pub(crate) fn ids(jobs: &[Job]) -> Vec<JobId> {
    jobs.iter().map(|job| job.job.id).collect()
}
