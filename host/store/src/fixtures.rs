//! What the tests of every back end begin with.

use crate::*;
use bytes::Bytes;
use serde_json::value::RawValue;
use std::time::Duration;
use wasmill_core::limits::DeclaredLimits;
use wasmill_core::{
    Digest, JobId, Kind, Manifest, Runnable, ScriptPath, UserName, ValuePath, VersionHash,
    WorkspaceId,
};

pub(crate) fn workspace(name: &str) -> WorkspaceId {
    name.parse().unwrap()
}

pub(crate) fn path(text: &str) -> ScriptPath {
    text.parse().unwrap()
}

pub(crate) fn value_path(text: &str) -> ValuePath {
    text.parse().unwrap()
}

pub(crate) fn user_name(text: &str) -> UserName {
    text.parse().unwrap()
}

pub(crate) fn cancellation(by: &str, reason: Option<&str>, at: Micros) -> Cancellation {
    Cancellation { by: by.into(), reason: reason.map(str::to_owned), at }
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
    User {
        name: user_name(name),
        email: format!("{name}@example.com"),
        super_admin: false,
        created: 1,
    }
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
