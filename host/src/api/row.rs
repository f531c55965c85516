//! A row of the table of operations: all that there is to say about one operation, and what answers
//! it.

use super::asked::{Anonymous, Asked};
use super::description::{Gives, Parameter, Takes};
use crate::http::body::Incoming;
use crate::http::respond::Reply;
use std::fmt::Display;
use std::pin::Pin;
use std::str::FromStr;
use wasmill_core::Problem;
use wasmill_core::scope::Action;

/// What a caller must have, beyond the row's workspace existing for it. Asked for before the
/// handler is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// Nothing, not even a token.
    Open,
    /// A valid token.
    Known,
    /// A valid token; where the address has a workspace, one that its user belongs to.
    Member,
    /// The scope over a whole domain.
    All(&'static str, Action),
    /// The scope over the `{path}` in the address.
    Path(&'static str, Action),
    /// The scope over something that has to be looked up first: the handler asks. Until then as
    /// `Member`.
    Found(&'static str, Action),
    /// The role of an administrator of the workspace, and the scope over a domain.
    Admin(&'static str, Action),
    /// An administrator of the whole host, and the scope over a domain.
    Super(&'static str, Action),
}

/// One operation: a row of the table.
pub(crate) struct Row {
    /// Its name in the API's description.
    pub(crate) name: &'static str,
    /// What it does, one line.
    pub(crate) summary: &'static str,
    /// Its method, in capitals. HEAD is answered where GET is.
    pub(crate) method: &'static str,
    /// Its addresses below `/api/`. The first one has the name in the description; the others mean
    /// the same. A `{path}` at the end takes the rest of an address with its slashes.
    pub(crate) addresses: &'static [&'static str],
    /// What its caller must have.
    pub(crate) right: Right,
    /// The query parameters that it reads.
    pub(super) query: &'static [Parameter],
    /// What its answers carry, by their statuses of success.
    pub(super) gives: &'static [(u16, Gives)],
    /// What answers it: made by `handler!`, or by `anonymous!` where the right is `Right::Open`.
    pub(super) handler: Handler,
}

impl Row {
    /// True when pages of other origins may call it, with a token that their user gave them.
    pub(crate) fn is_for_pages(&self) -> bool {
        self.addresses.iter().any(|address| room(address) == "jobs")
    }
}

/// The word by which operations are grouped: the one that follows the workspace in an address, or
/// that begins an address without one.
pub(super) fn room(address: &str) -> &str {
    let mut words = address.split('/');
    match words.next() {
        Some("w") => match words.nth(1) {
            Some("jobs_u") => "jobs",
            room => room.unwrap_or_default(),
        },
        first => first.unwrap_or_default(),
    }
}

/// What answers an operation.
pub(super) struct Handler {
    /// What the request carries.
    pub(super) takes: Takes,
    /// Reads the names: 404 for a malformed one.
    pub(super) prepare: fn(&Names<'_>) -> Result<Prepared, Problem>,
}

/// An answer that is being made.
pub(super) type Answering<'a> = Pin<Box<dyn Future<Output = Result<Reply, Problem>> + Send + 'a>>;

/// A handler with the names from the address, before it is known who asks.
pub(super) enum Prepared {
    /// For `Right::Open`.
    Anonymous(Box<dyn for<'a> FnOnce(Anonymous<'a>) -> Answering<'a> + Send>),
    /// For every other right.
    Asked(Box<dyn for<'a> FnOnce(Asked<'a>, Incoming) -> Answering<'a> + Send>),
}

impl Prepared {
    /// For `Right::Open`.
    pub(super) fn anonymous(
        handler: impl for<'a> FnOnce(Anonymous<'a>) -> Answering<'a> + Send + 'static,
    ) -> Self {
        Self::Anonymous(Box::new(handler))
    }

    /// For every other right.
    pub(super) fn asked(
        handler: impl for<'a> FnOnce(Asked<'a>, Incoming) -> Answering<'a> + Send + 'static,
    ) -> Self {
        Self::Asked(Box::new(handler))
    }
}

/// What an address has where its row has `{names}`.
pub(super) struct Names<'a>(pub(super) Vec<(&'static str, &'a str)>);

impl Names<'_> {
    /// The text in the place of a name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// The text in the place of a name, as a type.
    ///
    /// # Errors
    /// 404: a name that cannot exist is answered like one that does not.
    pub(super) fn take<T>(&self, name: &str) -> Result<T, Problem>
    where
        T: FromStr,
        T::Err: Display,
    {
        // A handler's name that its row's addresses do not have; a test holds that there is none.
        let text = self.get(name).ok_or_else(Problem::internal)?;
        text.parse().map_err(|error: T::Err| Problem::not_found(format!("{name}: {error}")))
    }
}

/// A row's handler, written as a closure: the request, the names in the address with their types,
/// and the call of an async function.
///
/// ```text
/// handler!(|asked, workspace: WorkspaceId, id: JobId| get(asked, &workspace, id))
/// handler!(body = json::<wire::NewUser>(), |asked| create(asked, body))
/// ```
///
/// In the second form the body is read first, by the method of that name of `Asked`, and described
/// by the function of that name of `Takes`.
macro_rules! handler {
    (|$asked:ident $(, $name:ident: $kind:ty)* $(,)?| $call:expr) => {
        $crate::api::row::Handler {
            takes: $crate::api::description::Takes::Nothing,
            prepare: |names| {
                let _ = names;
                $(let $name: $kind = names.take(stringify!($name))?;)*
                Ok($crate::api::row::Prepared::asked(move |$asked, incoming| {
                    Box::pin(async move {
                        // Kept until the answer is there: the rest of a dropped body is read.
                        let _unread = incoming;
                        $call.await
                    })
                }))
            },
        }
    };
    (
        $body:ident = $read:ident $(::<$type:ty>)? (),
        |$asked:ident $(, $name:ident: $kind:ty)* $(,)?| $call:expr $(,)?
    ) => {
        $crate::api::row::Handler {
            takes: $crate::api::description::Takes::$read$(::<$type>)?(),
            prepare: |names| {
                let _ = names;
                $(let $name: $kind = names.take(stringify!($name))?;)*
                Ok($crate::api::row::Prepared::asked(move |$asked, incoming| {
                    Box::pin(async move {
                        let $body = $asked.$read$(::<$type>)?(incoming).await?;
                        $call.await
                    })
                }))
            },
        }
    };
}

/// The handler of a row whose right is `Right::Open`, written like `handler!`.
macro_rules! anonymous {
    (|$asked:ident $(, $name:ident: $kind:ty)* $(,)?| $call:expr) => {
        $crate::api::row::Handler {
            takes: $crate::api::description::Takes::Nothing,
            prepare: |names| {
                let _ = names;
                $(let $name: $kind = names.take(stringify!($name))?;)*
                Ok($crate::api::row::Prepared::anonymous(move |$asked| {
                    Box::pin(async move { $call.await })
                }))
            },
        }
    };
}

pub(super) use {anonymous, handler};
