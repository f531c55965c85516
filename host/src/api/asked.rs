//! What a handler is given: the host, the caller and the request, and the readers of its body.

use super::parse;
use crate::auth::Caller;
use crate::host::Host;
use crate::http::body::{self, Incoming};
use crate::http::respond::Reply;
use bytes::Bytes;
use http::request;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use wasmill_core::limits::SCRIPT_DESCRIPTION_BYTES;
use wasmill_core::{JobId, Problem};

/// A request that may be answered: who asks, and with what.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The host that answers.
    pub(super) host: &'a Arc<Host>,
    /// Who asks. The row's right was held against the caller.
    pub(super) caller: &'a Arc<Caller>,
    /// The query as it was sent; empty when there is none.
    pub(super) query: &'a str,
    /// Method, address and headers.
    pub(super) request: &'a request::Parts,
}

/// A request that needs no token.
#[derive(Clone, Copy)]
pub(super) struct Anonymous<'a> {
    /// The host that answers.
    pub(super) host: &'a Arc<Host>,
    /// Answers with the API's description. The description is written from the table in which the
    /// handlers stand, so no handler can name it.
    pub(super) document: fn() -> Reply,
}

/// The readers of bodies. `description::Takes` has a constructor of the same name for each.
impl Asked<'_> {
    /// The body as a JSON object of a type.
    ///
    /// # Errors
    /// 400 saying what does not fit, and where; 408 and 413 as for a webhook's body.
    pub(super) async fn json<T: DeserializeOwned>(self, incoming: Incoming) -> Result<T, Problem> {
        parse::object(&self.bytes(incoming).await?)
    }

    /// The body as a JSON object of a type, or the type's default where there is no body.
    ///
    /// # Errors
    /// As of `json`.
    pub(super) async fn optional_json<T: DeserializeOwned + Default>(
        self,
        incoming: Incoming,
    ) -> Result<T, Problem> {
        let body = self.bytes(incoming).await?;
        if body.trim_ascii().is_empty() { Ok(T::default()) } else { parse::object(&body) }
    }

    /// The body as a JSON object of a type, with a module in base64 in it.
    ///
    /// # Errors
    /// As of `json`, with the bound of a module.
    pub(super) async fn json_with_module<T: DeserializeOwned>(
        self,
        incoming: Incoming,
    ) -> Result<T, Problem> {
        let limits = &self.host.settings.limits;
        // Base64 is a third longer.
        let most = limits.module_bytes.saturating_mul(4) / 3 + SCRIPT_DESCRIPTION_BYTES;
        let headers = &self.request.headers;
        parse::object(&body::read(headers, incoming, most, limits.body_timeout).await?)
    }

    /// The body as a JSON array of jobs' ids.
    ///
    /// # Errors
    /// As of `json`.
    pub(super) async fn job_ids(self, incoming: Incoming) -> Result<Vec<JobId>, Problem> {
        parse::array(&self.bytes(incoming).await?)
    }

    /// The body unread: the handler reads the body as `module` once the query is known to be good.
    ///
    /// # Errors
    /// None; the other readers have some.
    pub(super) async fn unread_module(self, incoming: Incoming) -> Result<Incoming, Problem> {
        Ok(incoming)
    }

    /// The body as a module's bytes.
    ///
    /// # Errors
    /// 408 and 413, with the bound of a module.
    pub(super) async fn module(self, incoming: Incoming) -> Result<Bytes, Problem> {
        let limits = &self.host.settings.limits;
        body::read(&self.request.headers, incoming, limits.module_bytes, limits.body_timeout).await
    }

    /// The body, never larger than a webhook's.
    async fn bytes(self, incoming: Incoming) -> Result<Bytes, Problem> {
        let limits = &self.host.settings.limits;
        body::read(&self.request.headers, incoming, limits.body_bytes, limits.body_timeout).await
    }
}
