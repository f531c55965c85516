//! From a request's token to its caller, and what that caller may do.
//!
//! Known tokens are kept in memory under their SHA-256; revoking one forgets it at once. An
//! unknown, a revoked and an expired token get the same answer.

use crate::clock;
use crate::resolve::unavailable;
use dashmap::DashMap;
use http::header::AUTHORIZATION;
use http::{HeaderMap, request};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use wasmill_core::problem::Code;
use wasmill_core::scope::{Action, Need, Scopes};
use wasmill_core::token::PlainToken;
use wasmill_core::{Problem, UserName, WorkspaceId};
use wasmill_store::{Micros, Role, Store, TokenOwner};

/// Who makes a request, by one token.
#[derive(Debug)]
pub(crate) struct Caller {
    /// SHA-256 of the token.
    pub(crate) digest: [u8; 32],
    /// The user's name.
    pub(crate) user: UserName,
    /// The user's address.
    pub(crate) email: String,
    /// When the user was made.
    pub(crate) created: Micros,
    /// The token's scopes.
    pub(crate) scopes: Scopes,
    /// The one workspace that the token works in.
    pub(crate) workspace: Option<WorkspaceId>,
    /// Whether the user may administer every workspace.
    pub(crate) super_admin: bool,
    roles: Vec<(WorkspaceId, Role)>,
    expires: Option<Micros>,
    /// Last use that is not written down yet; 0 for none. Here, so that using a token locks
    /// nothing.
    used: AtomicI64,
}

impl Caller {
    fn new(owner: TokenOwner) -> Result<Self, String> {
        Ok(Self {
            digest: owner.token.digest,
            scopes: Scopes::parse(owner.token.scopes.as_deref())?,
            workspace: owner.token.workspace,
            user: owner.user.name,
            email: owner.user.email,
            created: owner.user.created,
            super_admin: owner.user.super_admin,
            roles: owner.roles,
            expires: owner.token.expires,
            used: AtomicI64::new(0),
        })
    }

    /// The caller's role in a workspace.
    ///
    /// # Errors
    /// 403 with one text for a workspace that does not exist and one that is not the caller's.
    pub(crate) fn role(&self, workspace: &WorkspaceId) -> Result<Role, Problem> {
        let own = self.workspace.as_ref().is_none_or(|only| only == workspace);
        match self.roles.iter().find(|(id, _)| id == workspace) {
            Some((_, role)) if own => Ok(*role),
            _ if own && self.super_admin => Ok(Role::Admin),
            _ => Err(Problem::new(
                Code::Forbidden,
                format!("The token gives no access to a workspace {workspace}"),
            )),
        }
    }

    /// Asks for a right in a workspace.
    ///
    /// # Errors
    /// 403 naming the scope that is missing, or the role.
    pub(crate) fn require(&self, workspace: &WorkspaceId, need: &Need<'_>) -> Result<(), Problem> {
        let role = self.role(workspace)?;
        self.require_scope(need)?;
        // An operator starts and stops jobs; what runs, and with which values, others decide.
        if role == Role::Operator && need.action == Action::Write && need.domain != "jobs" {
            let detail = format!(
                "An operator of {workspace} may run scripts, but not change {}",
                need.domain
            );
            return Err(Problem::new(Code::Forbidden, detail));
        }
        Ok(())
    }

    /// Asks for the role of an administrator in a workspace, and for a right there.
    ///
    /// # Errors
    /// 403 naming the role or the scope that is missing.
    pub(crate) fn require_admin(
        &self,
        workspace: &WorkspaceId,
        need: &Need<'_>,
    ) -> Result<(), Problem> {
        self.require(workspace, need)?;
        match self.role(workspace)? {
            Role::Admin => Ok(()),
            _ => Err(Problem::new(
                Code::Forbidden,
                format!("This takes an administrator of {workspace}"),
            )),
        }
    }

    /// Asks for an administrator of the whole host, by a token that works in all workspaces, and
    /// for a right.
    ///
    /// # Errors
    /// 403 naming what is missing.
    pub(crate) fn require_super(&self, need: &Need<'_>) -> Result<(), Problem> {
        self.require_scope(need)?;
        match self.super_admin && self.workspace.is_none() {
            true => Ok(()),
            false => Err(Problem::new(
                Code::Forbidden,
                "This takes an administrator of the host, and a token of all workspaces",
            )),
        }
    }

    /// Asks for a right that belongs to no workspace.
    ///
    /// # Errors
    /// 403 naming the scope that is missing.
    pub(crate) fn require_scope(&self, need: &Need<'_>) -> Result<(), Problem> {
        match self.scopes.allows(need) {
            true => Ok(()),
            false => Err(Problem::new(
                Code::Forbidden,
                format!("The token's scopes do not include {need}"),
            )),
        }
    }
}

/// Tokens seen so far, and when they were last used.
#[derive(Default)]
pub(crate) struct Tokens {
    known: DashMap<[u8; 32], Arc<Caller>>,
    /// Uses of tokens that were forgotten before those were written down.
    unwritten: DashMap<[u8; 32], Micros>,
    /// Counts what was forgotten, so that a look-up can tell whether something was while it was
    /// reading.
    changes: AtomicU64,
}

impl Tokens {
    /// Finds the caller of a request: `Authorization: Bearer`, else `?token=`.
    ///
    /// # Errors
    /// 401 with one text for no, an unknown, a revoked and an expired token.
    pub(crate) async fn identify(
        &self,
        store: &dyn Store,
        request: &request::Parts,
    ) -> Result<Arc<Caller>, Problem> {
        let query = request.uri.query().unwrap_or_default();
        let Some(token) =
            credential(&request.headers, query).and_then(|text| PlainToken::parse(&text))
        else {
            return Err(unauthorized());
        };
        let digest = token.digest();
        let caller = match self.known.get(&digest) {
            Some(known) => known.clone(),
            None => Box::pin(self.load(store, digest)).await?,
        };
        let now = clock::now();
        if caller.expires.is_some_and(|expires| expires <= now) {
            return Err(unauthorized());
        }
        caller.used.store(now, Ordering::Relaxed);
        Ok(caller)
    }

    async fn load(&self, store: &dyn Store, digest: [u8; 32]) -> Result<Arc<Caller>, Problem> {
        let seen = self.changes.load(Ordering::Acquire);
        let owner =
            store.find_token(&digest).await.map_err(unavailable)?.ok_or_else(unauthorized)?;
        let caller = Caller::new(owner).map_err(|error| {
            tracing::error!(%error, "a stored token has a scope that cannot be read");
            unauthorized()
        })?;
        let caller = Arc::new(caller);
        // Kept unless something was forgotten meanwhile. The check is under the entry's lock and
        // changes are counted before anything is removed, so that what was read before a change is
        // never found after it.
        let entry = self.known.entry(digest);
        if self.changes.load(Ordering::Acquire) == seen {
            entry.or_insert_with(|| caller.clone());
        }
        Ok(caller)
    }

    /// Forgets revoked or changed tokens. To be called after the change's commit and before it is
    /// answered.
    pub(crate) fn forget(&self, digests: &[[u8; 32]]) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        for digest in digests {
            self.known.remove(digest);
        }
    }

    /// Forgets all tokens of a user whose rights have changed. To be called after the change's
    /// commit and before it is answered.
    pub(crate) fn forget_user(&self, user: &UserName) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.known.retain(|_, caller| caller.user != *user);
    }

    /// Forgets all tokens, for somebody else changed some; those uses of them that are not written
    /// down yet are kept.
    pub(crate) fn forget_all(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        let uses = self.take_uses();
        self.known.clear();
        for (digest, at) in uses {
            self.unwritten.insert(digest, at);
        }
    }

    /// Takes the uses noted since the last time, to be written to the store.
    pub(crate) fn take_uses(&self) -> Vec<([u8; 32], Micros)> {
        let uses =
            self.known.iter().map(|entry| (*entry.key(), entry.used.swap(0, Ordering::Relaxed)));
        let mut uses: Vec<_> = uses.filter(|(_, at)| *at != 0).collect();
        self.unwritten.retain(|digest, at| {
            uses.push((*digest, *at));
            false
        });
        uses
    }
}

fn unauthorized() -> Problem {
    Problem::new(
        Code::Unauthorized,
        "Send a valid token as 'Authorization: Bearer <token>' or as '?token=<token>'; none was sent, or it is unknown, expired or revoked",
    )
}

/// The token text: the bearer header's, else the query's. Another scheme in the header does not
/// hide the query's.
fn credential<'a>(headers: &'a HeaderMap, query: &'a str) -> Option<Cow<'a, str>> {
    if let Some(token) = bearer(headers) {
        return Some(token.into());
    }
    form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key == "token")
        .last()
        .map(|(_, value)| value)
}

/// The bearer token of the header, when there is one.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill_store::memory::MemoryStore;
    use wasmill_store::{Accounts as _, NewToken, User};

    fn request(uri: &str, authorization: Option<&str>) -> request::Parts {
        let mut builder = http::Request::builder().uri(uri);
        if let Some(value) = authorization {
            builder = builder.header(AUTHORIZATION, value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    async fn store_with(
        scopes: Option<Vec<String>>,
        expires: Option<Micros>,
        role: Role,
    ) -> (MemoryStore, PlainToken) {
        let (store, main) = (MemoryStore::new(), "main".parse::<WorkspaceId>().unwrap());
        store.create_workspace(&main, "Main", 0).await.unwrap();
        let ann: UserName = "ann".parse().unwrap();
        let user = User {
            name: ann.clone(),
            email: "ann@localhost".into(),
            super_admin: false,
            created: 0,
        };
        store.put_user(&user).await.unwrap();
        store.put_member(&main, &ann, role).await.unwrap();
        let token = PlainToken::from_random(&[9; 32]);
        let stored = NewToken {
            digest: token.digest(),
            prefix: token.prefix().into(),
            user: ann,
            workspace: None,
            label: String::new(),
            scopes,
            created: 0,
            expires,
        };
        store.put_token(&stored).await.unwrap();
        (store, token)
    }

    #[tokio::test]
    async fn where_a_token_is_found() {
        let (store, token) = store_with(None, None, Role::Admin).await;
        let tokens = Tokens::default();
        let secret = token.reveal();
        let (in_query, bearer) = (format!("/x?a=1&token={secret}"), format!("Bearer {secret}"));
        for (uri, header, found) in [
            ("/x", Some(bearer.as_str()), true),
            ("/x", Some(&*format!("bearer {secret}")), true),
            (in_query.as_str(), None, true),
            // Another scheme is for the script, and does not hide the query's token.
            (in_query.as_str(), Some("Basic YTpi"), true),
            // A wrong bearer token is not made good by the query's.
            (in_query.as_str(), Some("Bearer wrong"), false),
            ("/x", Some("Basic YTpi"), false),
            ("/x?token=", None, false),
            ("/x", None, false),
        ] {
            let identified = tokens.identify(&store, &request(uri, header)).await;
            assert_eq!(identified.is_ok(), found, "{uri} {header:?}");
            if let Err(problem) = identified {
                assert_eq!(problem.code, Code::Unauthorized);
            }
        }
    }

    #[tokio::test]
    async fn revoked_and_expired() {
        let (store, token) = store_with(None, None, Role::Admin).await;
        let tokens = Tokens::default();
        let asked = request("/x", Some(&format!("Bearer {}", token.reveal())));
        assert!(tokens.identify(&store, &asked).await.is_ok());
        assert_eq!(tokens.take_uses().len(), 1);
        assert!(tokens.take_uses().is_empty());
        let revoked = store.revoke_tokens(&"ann".parse().unwrap(), token.prefix()).await.unwrap();
        tokens.forget(&revoked);
        assert!(tokens.identify(&store, &asked).await.is_err());

        let (store, _) = store_with(None, Some(clock::now() - 1), Role::Admin).await;
        assert!(Tokens::default().identify(&store, &asked).await.is_err());
    }

    #[tokio::test]
    async fn rights() {
        let (main, other): (WorkspaceId, WorkspaceId) =
            ("main".parse().unwrap(), "other".parse().unwrap());
        let write = Need::one("scripts", Action::Write, "u/ann/x");
        for (scopes, role, deploys, runs) in [
            (None, Role::Developer, true, true),
            (None, Role::Operator, false, true),
            (Some(vec!["jobs:run:scripts:u/ann/x".to_owned()]), Role::Admin, false, true),
            (Some(vec!["scripts:write".to_owned()]), Role::Operator, false, false),
        ] {
            let (store, token) = store_with(scopes.clone(), None, role).await;
            let asked = request("/x", Some(&format!("Bearer {}", token.reveal())));
            let caller = Tokens::default().identify(&store, &asked).await.unwrap();
            assert_eq!(caller.require(&main, &write).is_ok(), deploys, "{scopes:?} {role:?}");
            let run = caller.require(&main, &Need::run_script("u/ann/x"));
            assert_eq!(run.is_ok(), runs, "{scopes:?} {role:?}");
            if let Err(problem) = run {
                assert!(
                    problem.detail.contains("jobs:run:scripts:u/ann/x"),
                    "names the missing scope: {problem}"
                );
            }
            assert_eq!(caller.role(&other).unwrap_err().code, Code::Forbidden);
            assert!(caller.require_super(&Need::all("users", Action::Write)).is_err());
            let admin = scopes.is_none() && role == Role::Admin;
            assert_eq!(
                caller.require_admin(&main, &Need::all("workspaces", Action::Write)).is_ok(),
                admin,
                "{scopes:?} {role:?}"
            );
        }
    }

    #[tokio::test]
    async fn changed_rights_count_at_once() {
        let (store, token) = store_with(None, None, Role::Developer).await;
        let main: WorkspaceId = "main".parse().unwrap();
        let tokens = Tokens::default();
        let asked = request("/x", Some(&format!("Bearer {}", token.reveal())));
        assert_eq!(tokens.identify(&store, &asked).await.unwrap().role(&main), Ok(Role::Developer));
        store.put_member(&main, &"ann".parse().unwrap(), Role::Operator).await.unwrap();
        tokens.forget_user(&"ann".parse().unwrap());
        assert_eq!(tokens.identify(&store, &asked).await.unwrap().role(&main), Ok(Role::Operator));
    }
}
