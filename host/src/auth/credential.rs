//! Where a request carries its token. Pure.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use std::borrow::Cow;

/// The token text: the bearer header's, else the query's. Another scheme in the header does not
/// hide the query's.
pub(super) fn credential<'a>(headers: &'a HeaderMap, query: &'a str) -> Option<Cow<'a, str>> {
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
