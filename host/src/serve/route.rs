//! From method and path to a route. Pure: 404 and 405 are decided here and nowhere else.

use crate::api::lists::Which;
use crate::resolve::Target;
use http::Method;
use percent_encoding::percent_decode_str;
use wasmill_core::problem::Code;
use wasmill_core::{JobId, Problem, ScriptPath, WorkspaceId};

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// A webhook call.
    Run {
        /// Whose script.
        workspace: WorkspaceId,
        /// How it is answered.
        mode: Mode,
        /// Which script.
        target: Target,
    },
    /// OPTIONS on a webhook's address.
    Preflight,
    /// The management routes.
    Api(Api),
    /// Routes that need no token.
    Open(Open),
}

/// How a webhook call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// With the result.
    Sync,
    /// With the job's id.
    Queued,
    /// With its log as it comes, then the result: server-sent events.
    Stream,
    /// With nothing: HEAD asks whether it exists, and whether this token may run it.
    Probe,
}

/// Routes that need no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    /// `/api/version`
    Version,
    /// `/api/health/status`
    Health,
}

/// Management routes, one variant each.
#[derive(Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are the table of routes below")]
pub(crate) enum Api {
    Upload(WorkspaceId, ScriptPath),
    ListScripts(WorkspaceId),
    GetScript(WorkspaceId, Target),
    ScriptExists(WorkspaceId, ScriptPath),
    ScriptHistory(WorkspaceId, ScriptPath),
    ArchiveScript(WorkspaceId, ScriptPath),
    DownloadModule(WorkspaceId, Target),
    GetJob(WorkspaceId, JobId),
    GetResult(WorkspaceId, JobId),
    GetResultMaybe(WorkspaceId, JobId),
    GetLogs(WorkspaceId, JobId),
    GetUpdate(WorkspaceId, JobId),
    StreamUpdates(WorkspaceId, JobId),
    GetArgs(WorkspaceId, JobId),
    ListJobs(WorkspaceId, Which),
    CountJobs(WorkspaceId, Which),
    Cancel(WorkspaceId, JobId),
    CancelSelection(WorkspaceId),
    WhoAmI(WorkspaceId),
    WhoAmIAnywhere,
    CreateToken,
    ListTokens,
    DeleteToken(String),
}

/// Finds the route.
///
/// # Errors
/// 404 for an unknown address or a malformed name in it, 405 naming the methods that the address has.
pub(crate) fn parse(method: &Method, path: &str) -> Result<Route, Problem> {
    // Decoded once, here: what is left of a '%' afterwards is refused by the grammar of names.
    let decoded = percent_decode_str(path).decode_utf8().map_err(|_| Problem::not_found("The address is not UTF-8 text"))?;
    let rest = decoded.strip_prefix("/api/").ok_or_else(unknown)?;
    match rest {
        "version" => return only(method, "GET", || Ok(Route::Open(Open::Version))),
        "health/status" => return only(method, "GET", || Ok(Route::Open(Open::Health))),
        "users/whoami" => return api(method, "GET", || Ok(Api::WhoAmIAnywhere)),
        "users/tokens/create" => return api(method, "POST", || Ok(Api::CreateToken)),
        "users/tokens/list" => return api(method, "GET", || Ok(Api::ListTokens)),
        _ => {}
    }
    if let Some(prefix) = rest.strip_prefix("users/tokens/delete/") {
        return api(method, "DELETE", || Ok(Api::DeleteToken(prefix.to_owned())));
    }
    let (workspace, rest) = rest.strip_prefix("w/").and_then(|rest| rest.split_once('/')).ok_or_else(unknown)?;
    let workspace: WorkspaceId = workspace.parse().map_err(named)?;
    let (room, rest) = rest.split_once('/').ok_or_else(unknown)?;
    match room {
        "jobs" | "jobs_u" => jobs(method, workspace, rest),
        "scripts" => scripts(method, workspace, rest),
        "users" if rest == "whoami" => api(method, "GET", || Ok(Api::WhoAmI(workspace))),
        _ => Err(unknown()),
    }
}

fn jobs(method: &Method, workspace: WorkspaceId, rest: &str) -> Result<Route, Problem> {
    match rest {
        "list" => return api(method, "GET", || Ok(Api::ListJobs(workspace, Which::All))),
        "queue/list" => return api(method, "GET", || Ok(Api::ListJobs(workspace, Which::Queued))),
        "completed/list" => return api(method, "GET", || Ok(Api::ListJobs(workspace, Which::Completed))),
        "queue/count" => return api(method, "GET", || Ok(Api::CountJobs(workspace, Which::Queued))),
        "completed/count" => return api(method, "GET", || Ok(Api::CountJobs(workspace, Which::Completed))),
        "queue/cancel_selection" => return api(method, "POST", || Ok(Api::CancelSelection(workspace))),
        _ => {}
    }
    // A sandbox is stopped at once and without asking: there is nothing left to force.
    if let Some(("cancel" | "force_cancel", id)) = rest.strip_prefix("queue/").and_then(|rest| rest.split_once('/')) {
        return api(method, "POST", || Ok(Api::Cancel(workspace, id.parse().map_err(named)?)));
    }
    // Whether a job is completed is for the job to say: the longer addresses mean the same.
    let (verb, what) = rest.strip_prefix("completed/").unwrap_or(rest).split_once('/').ok_or_else(unknown)?;
    let job = || what.parse::<JobId>().map_err(named);
    match verb {
        "run" => run(method, workspace, Mode::Queued, what),
        "run_wait_result" => run(method, workspace, Mode::Sync, what),
        "run_and_stream" => run(method, workspace, Mode::Stream, what),
        "getupdate" => api(method, "GET", || Ok(Api::GetUpdate(workspace, job()?))),
        "getupdate_sse" => api(method, "GET", || Ok(Api::StreamUpdates(workspace, job()?))),
        "get" => api(method, "GET", || Ok(Api::GetJob(workspace, job()?))),
        "get_result" => api(method, "GET", || Ok(Api::GetResult(workspace, job()?))),
        "get_result_maybe" => api(method, "GET", || Ok(Api::GetResultMaybe(workspace, job()?))),
        "get_args" => api(method, "GET", || Ok(Api::GetArgs(workspace, job()?))),
        "get_logs" => api(method, "GET", || Ok(Api::GetLogs(workspace, job()?))),
        _ => Err(unknown()),
    }
}

fn run(method: &Method, workspace: WorkspaceId, mode: Mode, what: &str) -> Result<Route, Problem> {
    let target = target(what)?;
    match (method, mode) {
        (&Method::POST, _) | (&Method::GET, Mode::Sync | Mode::Stream) => Ok(Route::Run { workspace, mode, target }),
        (&Method::HEAD, _) => Ok(Route::Run { workspace, mode: Mode::Probe, target }),
        (&Method::OPTIONS, _) => Ok(Route::Preflight),
        (_, Mode::Sync | Mode::Stream) => Err(not_allowed("GET, POST, HEAD, OPTIONS")),
        (_, Mode::Queued | Mode::Probe) => Err(not_allowed("POST, HEAD, OPTIONS")),
    }
}

fn scripts(method: &Method, workspace: WorkspaceId, rest: &str) -> Result<Route, Problem> {
    if rest == "list" {
        return api(method, "GET", || Ok(Api::ListScripts(workspace)));
    }
    let (verb, what) = rest.split_once('/').ok_or_else(unknown)?;
    let path = || match target(what)? {
        Target::Path(path) => Ok(path),
        Target::Hash(_) => Err(unknown()),
    };
    match verb {
        "upload" => api(method, "POST", || Ok(Api::Upload(workspace, path()?))),
        "archive" => api(method, "POST", || Ok(Api::ArchiveScript(workspace, path()?))),
        "exists" => api(method, "GET", || Ok(Api::ScriptExists(workspace, path()?))),
        "history" => api(method, "GET", || Ok(Api::ScriptHistory(workspace, path()?))),
        "get" => api(method, "GET", || Ok(Api::GetScript(workspace, target(what)?))),
        "raw" => api(method, "GET", || Ok(Api::DownloadModule(workspace, target(what.strip_suffix(".wasm").unwrap_or(what))?))),
        _ => Err(unknown()),
    }
}

/// `p/<path>` or `h/<hash>`.
fn target(what: &str) -> Result<Target, Problem> {
    match what.split_once('/') {
        Some(("p", path)) => path.parse().map(Target::Path).map_err(named),
        Some(("h", hash)) => hash.parse().map(Target::Hash).map_err(named),
        _ => Err(unknown()),
    }
}

/// The route when the method is the one the address has.
fn only(method: &Method, allow: &'static str, make: impl FnOnce() -> Result<Route, Problem>) -> Result<Route, Problem> {
    if method.as_str() == allow { make() } else { Err(not_allowed(allow)) }
}

fn api(method: &Method, allow: &'static str, make: impl FnOnce() -> Result<Api, Problem>) -> Result<Route, Problem> {
    only(method, allow, || make().map(Route::Api))
}

fn unknown() -> Problem {
    Problem::not_found(
        "There is no such address; scripts run at /api/w/{workspace}/jobs/run/p/{path} and /api/w/{workspace}/jobs/run_wait_result/p/{path}",
    )
}

fn not_allowed(allow: &'static str) -> Problem {
    Problem { allow: Some(allow), ..Problem::new(Code::MethodNotAllowed, format!("This address takes {allow}")) }
}

/// A name that cannot exist is answered like one that does not.
fn named(error: wasmill_core::InvalidName) -> Problem {
    Problem::not_found(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(method: &str, path: &str) -> Result<Route, Problem> {
        parse(&Method::from_bytes(method.as_bytes()).unwrap(), path)
    }

    #[test]
    fn runs() {
        let main: WorkspaceId = "main".parse().unwrap();
        let path = Target::Path("u/admin/a/b".parse().unwrap());
        assert_eq!(
            at("POST", "/api/w/main/jobs/run/p/u/admin/a/b"),
            Ok(Route::Run { workspace: main.clone(), mode: Mode::Queued, target: path })
        );
        let hash = "ab".repeat(32);
        let target = Target::Hash(hash.parse().unwrap());
        assert_eq!(
            at("GET", &format!("/api/w/main/jobs/run_wait_result/h/{hash}")),
            Ok(Route::Run { workspace: main, mode: Mode::Sync, target })
        );
        assert!(matches!(at("HEAD", "/api/w/main/jobs/run/p/u/a/b"), Ok(Route::Run { mode: Mode::Probe, .. })));
        assert!(matches!(at("OPTIONS", "/api/w/main/jobs/run/p/u/a/b"), Ok(Route::Preflight)));
        assert_eq!(at("GET", "/api/w/main/jobs/run/p/u/a/b").unwrap_err().allow, Some("POST, HEAD, OPTIONS"));
        assert_eq!(at("DELETE", "/api/w/main/jobs/run_wait_result/p/u/a/b").unwrap_err().code, Code::MethodNotAllowed);
    }

    #[test]
    fn confusing_addresses_are_not_found() {
        for path in [
            "/",
            "/api",
            "/api/",
            "/api/w/",
            "/api/w/main",
            "/api/w/main/",
            "/api/w/main/jobs/run/p/",
            "/api/w/main/jobs/run/p/hello",
            "/api/w/main/jobs/run/p/u/a/../b",
            "/api/w/main/jobs/run/p/u/a/%2e%2e/b",
            "/api/w/main/jobs/run/p/u/a/b%00",
            "/api/w/main/jobs/run/p/u//b",
            "/api/w/main/jobs/run/p/u/a/%252e",
            "/api/w/main/jobs/run/p/u\\a\\b",
            "/api/w/main/jobs/run/p/u/a/%ff",
            "/api/w/main/jobs/run/h/abc",
            "/api/w/ma in/jobs/run/p/u/a/b",
            "//api/version",
            "/api/version/",
        ] {
            assert_eq!(at("POST", path).unwrap_err().code, Code::NotFound, "{path}");
        }
        for path in ["/api/w/main/jobs/get/not-a-uuid", "/api/w/main/scripts/exists/h/x", "/api/w/main/scripts/get/u/a/b"] {
            assert_eq!(at("GET", path).unwrap_err().code, Code::NotFound, "{path}");
        }
        // A slash that was escaped is a slash: decoded once, then the grammar.
        assert!(at("POST", "/api/w/main/jobs/run/p/u%2Fa%2Fb").is_ok());
    }

    #[test]
    fn jobs_by_either_address() {
        let id = "01937f4e-0000-7000-8000-000000000000";
        for address in ["jobs_u/get_result_maybe", "jobs_u/completed/get_result_maybe", "jobs/completed/get_result_maybe"] {
            assert!(matches!(at("GET", &format!("/api/w/main/{address}/{id}")), Ok(Route::Api(Api::GetResultMaybe(..)))), "{address}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(method in "[A-Z]{1,7}", path in ".{0,60}") {
            let _ = at(&method, &path);
            let _ = at(&method, &format!("/api/w/main/jobs/{path}"));
        }
    }
}
