//! From the parts of a request to the arguments of a script. Pure: the whole of the contract's table of arguments.
//!
//! There are two layers. The *body layer* comes from the body, or on GET from `payload`; the *extra layer* comes from
//! headers, the query and the raw body, and overrides keys of the same name. Highest first:
//! `raw_string`, `include_query`, `include_header`, body keys.

mod body;
mod object;
mod query;

pub use query::QueryError;

use crate::problem::{Code, Problem};
use query::RunQuery;
use std::borrow::Cow;
use std::fmt;

/// The arguments of one call: the text of one JSON object, as it is given to the script.
///
/// Numbers, key order and white space within values are the caller's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments(String);

impl Arguments {
    /// No arguments: `{}`.
    pub fn none() -> Self {
        Self("{}".into())
    }

    /// The JSON text of the object.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Hands the text over.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// What the arguments are built from.
pub struct Parts<'a> {
    /// True for GET, whose body is ignored and whose arguments come from `payload`.
    pub get: bool,
    /// The `Content-Type` as sent.
    pub content_type: Option<&'a str>,
    /// The query string without `?`, as sent.
    pub query: &'a str,
    /// Looks a header up by its lower-case name: the first value when repeated. The credential of this very call must not be found by it.
    pub header: &'a dyn Fn(&str) -> Option<Cow<'a, str>>,
    /// Headers that the operator includes in every call, comma separated.
    pub include_headers: &'a str,
    /// The whole body.
    pub body: &'a [u8],
}

/// Why no arguments could be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArgsError {
    /// A query parameter has a value that it cannot have.
    Query(QueryError),
    /// The body (or `payload`) is not what its type says.
    Body(String),
    /// A kind of body that is not understood.
    Media(String),
}

impl fmt::Display for ArgsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArgsError::Query(error) => error.fmt(f),
            ArgsError::Body(text) | ArgsError::Media(text) => f.write_str(text),
        }
    }
}

impl From<QueryError> for ArgsError {
    fn from(error: QueryError) -> Self {
        ArgsError::Query(error)
    }
}

impl From<ArgsError> for Problem {
    fn from(error: ArgsError) -> Self {
        let code = match error {
            ArgsError::Media(_) => Code::UnsupportedMedia,
            ArgsError::Query(_) | ArgsError::Body(_) => Code::BadRequest,
        };
        Problem::new(code, error.to_string())
    }
}

/// Builds the arguments of one call.
///
/// # Errors
/// What is wrong with the request, for its sender.
pub fn build(parts: &Parts<'_>) -> Result<Arguments, ArgsError> {
    let query = RunQuery::parse(parts.query)?;
    let layer = if parts.get { body::from_payload(query.payload.as_deref())? } else { body::from_body(parts.content_type, parts.body)? };
    let extra = extra(parts, &query, layer.always_raw)?;
    Ok(Arguments(object::merge(layer, query.wrap_body, &extra)?))
}

/// The extra layer, lowest first: a later one overwrites an earlier of the same name.
fn extra(parts: &Parts<'_>, query: &RunQuery, always_raw: bool) -> Result<Vec<(String, String)>, ArgsError> {
    let mut extra = Vec::new();
    let listed = query.include_header.iter().flat_map(|list| list.split(','));
    for name in listed.chain(parts.include_headers.split(',')).filter(|name| !name.is_empty()) {
        let name = name.to_ascii_lowercase();
        if let Some(value) = (parts.header)(&name) {
            extra.push((name.replace('-', "_"), value.into_owned()));
        }
    }
    for key in query.include_query.iter().flat_map(|list| list.split(',')).filter(|key| !key.is_empty()) {
        if let Some(value) = query.last(key) {
            extra.push((key.to_owned(), value.to_owned()));
        }
    }
    if query.raw || always_raw {
        let text = std::str::from_utf8(parts.body).map_err(|error| {
            ArgsError::Body(format!("The body is not UTF-8 text (byte {}), so it cannot be given as raw_string", error.valid_up_to()))
        })?;
        extra.push(("raw_string".into(), text.to_owned()));
    }
    Ok(extra)
}

#[cfg(test)]
mod tests;
