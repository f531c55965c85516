//! From a request's token to its caller.
//!
//! Known tokens are kept in memory under their SHA-256; revoking one forgets it at once. An
//! unknown, a revoked and an expired token get the same answer.

use super::caller::Caller;
use super::credential::credential;
use crate::clock;
use crate::store_errors::unavailable;
use dashmap::DashMap;
use http::request;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wasmill_core::problem::Code;
use wasmill_core::token::PlainToken;
use wasmill_core::{Problem, UserName};
use wasmill_store::{Micros, Store};

/// Tokens seen so far, and when they were last used.
pub(crate) struct Tokens {
    store: Arc<dyn Store>,
    known: DashMap<[u8; 32], Arc<Caller>>,
    /// Uses of tokens that were forgotten before those were written down.
    unwritten: DashMap<[u8; 32], Micros>,
    /// Counts what was forgotten, so that a look-up can tell whether something was while it was
    /// reading.
    changes: AtomicU64,
}

impl Tokens {
    /// None seen yet.
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        let (known, unwritten, changes) = Default::default();
        Self { store, known, unwritten, changes }
    }

    /// Finds the caller of a request: `Authorization: Bearer`, else `?token=`.
    ///
    /// # Errors
    /// 401 with one text for no, an unknown, a revoked and an expired token.
    pub(crate) async fn identify(&self, request: &request::Parts) -> Result<Arc<Caller>, Problem> {
        let query = request.uri.query().unwrap_or_default();
        let Some(token) =
            credential(&request.headers, query).and_then(|text| PlainToken::parse(&text))
        else {
            return Err(unauthorized());
        };
        let digest = token.digest();
        let caller = match self.known.get(&digest) {
            Some(known) => known.clone(),
            None => Box::pin(self.load(digest)).await?,
        };
        let now = clock::now();
        if caller.has_expired(now) {
            return Err(unauthorized());
        }
        caller.note_use(now);
        Ok(caller)
    }

    async fn load(&self, digest: [u8; 32]) -> Result<Arc<Caller>, Problem> {
        let seen = self.changes.load(Ordering::Acquire);
        let owner =
            self.store.find_token(&digest).await.map_err(unavailable)?.ok_or_else(unauthorized)?;
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
        let uses = self.known.iter();
        let mut uses: Vec<_> =
            uses.filter_map(|entry| Some((*entry.key(), entry.take_use()?))).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::AUTHORIZATION;
    use wasmill_core::WorkspaceId;
    use wasmill_core::scope::{Action, Need};
    use wasmill_store::memory::MemoryStore;
    use wasmill_store::{Accounts as _, NewToken, Role, User};

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
    ) -> (Arc<MemoryStore>, PlainToken) {
        let (store, main) = (Arc::new(MemoryStore::new()), "main".parse::<WorkspaceId>().unwrap());
        store.create_workspace(&main, "Main", 0).await.unwrap();
        let user = User {
            name: "ann".parse().unwrap(),
            email: "ann@localhost".into(),
            super_admin: false,
            created: 0,
        };
        store.put_user(&user).await.unwrap();
        store.put_member(&main, &"ann".parse().unwrap(), role).await.unwrap();
        let token = PlainToken::from_random(&[9; 32]);
        let stored = NewToken {
            digest: token.digest(),
            prefix: token.prefix().into(),
            user: "ann".parse().unwrap(),
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
        let tokens = Tokens::new(store.clone());
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
            let identified = tokens.identify(&request(uri, header)).await;
            assert_eq!(identified.is_ok(), found, "{uri} {header:?}");
            if let Err(problem) = identified {
                assert_eq!(problem.code, Code::Unauthorized);
            }
        }
    }

    #[tokio::test]
    async fn revoked_and_expired() {
        let (store, token) = store_with(None, None, Role::Admin).await;
        let tokens = Tokens::new(store.clone());
        let asked = request("/x", Some(&format!("Bearer {}", token.reveal())));
        assert!(tokens.identify(&asked).await.is_ok());
        assert_eq!(tokens.take_uses().len(), 1);
        assert!(tokens.take_uses().is_empty());
        let revoked = store.revoke_tokens(&"ann".parse().unwrap(), token.prefix()).await.unwrap();
        tokens.forget(&revoked);
        assert!(tokens.identify(&asked).await.is_err());

        let (store, _) = store_with(None, Some(clock::now() - 1), Role::Admin).await;
        assert!(Tokens::new(store.clone()).identify(&asked).await.is_err());
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
            let caller = Tokens::new(store.clone()).identify(&asked).await.unwrap();
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
        let tokens = Tokens::new(store.clone());
        let asked = request("/x", Some(&format!("Bearer {}", token.reveal())));
        assert_eq!(tokens.identify(&asked).await.unwrap().role(&main), Ok(Role::Developer));
        store.put_member(&main, &"ann".parse().unwrap(), Role::Operator).await.unwrap();
        tokens.forget_user(&"ann".parse().unwrap());
        assert_eq!(tokens.identify(&asked).await.unwrap().role(&main), Ok(Role::Operator));
    }
}
