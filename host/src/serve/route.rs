//! From method and path to a route. Pure: 404 and 405 are decided here and nowhere else.

use crate::api::operations::{self, Matched, Refused};
use crate::calls::mode::{MODES, Mode};
use crate::resolve::Target;
use http::Method;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use wasmill_core::problem::Code;
use wasmill_core::{Problem, WorkspaceId};

/// Where a request goes.
#[derive(Debug)]
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
    /// OPTIONS on an address that pages of other origins may call, with the methods that it has.
    Preflight(String),
    /// A management route.
    Api(Matched),
}

/// Finds the route.
///
/// # Errors
/// 404 for an unknown address or a malformed name in it, 405 naming the methods that the address
/// has.
pub(crate) fn parse(method: &Method, path: &str) -> Result<Route, Problem> {
    // Decoded once, here: what is left of a '%' afterwards is refused by the grammar of names.
    let decoded = percent_decode_str(path)
        .decode_utf8()
        .map_err(|_| Problem::not_found("The address is not UTF-8 text"))?;
    let address = decoded.strip_prefix("/api/").ok_or_else(unknown)?;
    if let Some((workspace, rest)) =
        address.strip_prefix("w/").and_then(|rest| rest.split_once('/'))
    {
        let called = MODES
            .iter()
            .find_map(|(words, mode)| rest.strip_prefix(words).map(|what| (*mode, what)));
        // A script's address says how it is named: what has one word only is no call.
        if let Some((mode, what)) = called.filter(|(_, what)| what.contains('/')) {
            return run(method, workspace.parse().map_err(named)?, mode, what);
        }
        if method == Method::OPTIONS && (rest.starts_with("jobs/") || rest.starts_with("jobs_u/")) {
            return match operations::methods(address) {
                methods if methods.is_empty() => Err(unknown()),
                methods => Ok(Route::Preflight(format!("{}, OPTIONS", methods.join(", ")))),
            };
        }
    }
    match operations::find(method.as_str(), address) {
        Ok(Some(found)) => Ok(Route::Api(found)),
        Ok(None) => Err(unknown()),
        Err(Refused::Name(problem)) => Err(problem),
        Err(Refused::Method(methods)) => Err(not_allowed(methods.join(", "))),
    }
}

fn run(method: &Method, workspace: WorkspaceId, mode: Mode, what: &str) -> Result<Route, Problem> {
    let target = target(what)?;
    let allowed = match mode {
        Mode::Sync | Mode::Stream => "GET, POST, HEAD, OPTIONS",
        Mode::Queued | Mode::Probe => "POST, HEAD, OPTIONS",
    };
    match (method, mode) {
        (&Method::POST, _) | (&Method::GET, Mode::Sync | Mode::Stream) => {
            Ok(Route::Run { workspace, mode, target })
        }
        (&Method::HEAD, _) => Ok(Route::Run { workspace, mode: Mode::Probe, target }),
        (&Method::OPTIONS, _) => Ok(Route::Preflight(allowed.to_owned())),
        _ => Err(not_allowed(allowed)),
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

fn unknown() -> Problem {
    Problem::not_found(
        "There is no such address; scripts run at /api/w/{workspace}/jobs/run/p/{path} and /api/w/{workspace}/jobs/run_wait_result/p/{path}",
    )
}

fn not_allowed(allow: impl Into<Cow<'static, str>>) -> Problem {
    let allow = allow.into();
    Problem {
        allow: Some(allow.clone()),
        ..Problem::new(Code::MethodNotAllowed, format!("This address takes {allow}"))
    }
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
        let is = |route: Result<Route, Problem>, wanted: Mode, of: &Target| match route {
            Ok(Route::Run { workspace, mode, target }) => {
                workspace == main && mode == wanted && target == *of
            }
            _ => false,
        };
        assert!(is(at("POST", "/api/w/main/jobs/run/p/u/admin/a/b"), Mode::Queued, &path));
        assert!(is(
            at("GET", "/api/w/main/jobs/run_and_stream/p/u/admin/a/b"),
            Mode::Stream,
            &path
        ));
        let hash = "ab".repeat(32);
        let target = Target::Hash(hash.parse().unwrap());
        assert!(is(
            at("GET", &format!("/api/w/main/jobs/run_wait_result/h/{hash}")),
            Mode::Sync,
            &target
        ));
        assert!(matches!(
            at("HEAD", "/api/w/main/jobs/run/p/u/a/b"),
            Ok(Route::Run { mode: Mode::Probe, .. })
        ));
        assert!(matches!(at("OPTIONS", "/api/w/main/jobs/run/p/u/a/b"), Ok(Route::Preflight(_))));
        assert_eq!(
            at("GET", "/api/w/main/jobs/run/p/u/a/b").unwrap_err().allow.as_deref(),
            Some("POST, HEAD, OPTIONS")
        );
        assert_eq!(
            at("DELETE", "/api/w/main/jobs/run_wait_result/p/u/a/b").unwrap_err().code,
            Code::MethodNotAllowed
        );
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
        for path in [
            "/api/w/main/jobs/get/not-a-uuid",
            "/api/w/main/scripts/exists/h/x",
            "/api/w/main/scripts/get/u/a/b",
        ] {
            assert_eq!(at("GET", path).unwrap_err().code, Code::NotFound, "{path}");
        }
        // A slash that was escaped is a slash: decoded once, then the grammar.
        assert!(at("POST", "/api/w/main/jobs/run/p/u%2Fa%2Fb").is_ok());
    }

    #[test]
    fn methods() {
        assert_eq!(at("PUT", "/api/version").unwrap_err().allow.as_deref(), Some("GET"));
        let id = "01937f4e-0000-7000-8000-000000000000";
        let preflight = at("OPTIONS", &format!("/api/w/main/jobs_u/get/{id}"));
        assert!(matches!(preflight, Ok(Route::Preflight(methods)) if methods == "GET, OPTIONS"));
        assert!(at("OPTIONS", "/api/w/main/jobs_u/nothing").is_err());
        assert!(
            at("OPTIONS", "/api/w/main/scripts/list").is_err(),
            "pages of other origins have no business there"
        );
    }

    #[test]
    fn jobs_by_either_address() {
        let id = "01937f4e-0000-7000-8000-000000000000";
        for address in [
            "jobs_u/get_result_maybe",
            "jobs_u/completed/get_result_maybe",
            "jobs/completed/get_result_maybe",
        ] {
            let found = at("GET", &format!("/api/w/main/{address}/{id}"));
            assert!(
                matches!(found, Ok(Route::Api(found)) if found.row.name == "GetResultMaybe"),
                "{address}"
            );
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
