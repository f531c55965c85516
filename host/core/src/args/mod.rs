//! From the parts of a request to the arguments of a script. Pure: the whole of the contract's
//! table of arguments.
//!
//! There are two layers. The *body layer* comes from the body, or on GET from `payload`; the *extra
//! layer* comes from an event's attributes, headers, the query and the raw body, and overrides keys
//! of the same name. Highest first:
//! `raw_string`, `include_query`, `include_header`, `WEBHOOK__METADATA__`, body keys. `wrap_body`
//! wraps the body layer only.

mod body;
mod cloudevents;
pub mod interpolate;
mod layer;
mod multipart;
mod object;
mod query;

pub use query::QueryError;

use crate::json::quote_text;
use crate::limits::INCLUDED_NAMES;
use crate::problem::Problem;
use object::Extra;
use query::RunQuery;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

/// How the names of the headers begin that hold the attributes of a CloudEvent.
pub const EVENT_HEADER_PREFIX: &str = "ce-";

/// The argument that holds the attributes of a CloudEvent.
const METADATA: &str = "WEBHOOK__METADATA__";

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
    /// Looks a header up by its lower-case name: the first value when repeated. The credential of
    /// this very call must not be found by it.
    pub header: &'a dyn Fn(&str) -> Option<Cow<'a, str>>,
    /// The headers whose lower-case names begin with [`EVENT_HEADER_PREFIX`], in the order of the
    /// request, with the bytes of their values: empty for nearly all requests.
    pub event_headers: &'a [(&'a str, &'a [u8])],
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
}

impl fmt::Display for ArgsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArgsError::Query(error) => error.fmt(f),
            ArgsError::Body(text) => f.write_str(text),
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
        Problem::bad_request(error.to_string())
    }
}

/// Builds the arguments of one call.
///
/// # Errors
/// What is wrong with the request, for its sender.
pub fn build(parts: &Parts<'_>) -> Result<Arguments, ArgsError> {
    let query = RunQuery::parse(parts.query)?;
    let mut layer = if parts.get {
        body::from_payload(query.payload.as_deref())?
    } else {
        body::from_body(parts.content_type, parts.body)?
    };
    // An envelope may be sent with the headers of the binary mode too; it is the envelope that
    // counts.
    let metadata = match layer.metadata.take() {
        Some(metadata) => Some(metadata),
        None => cloudevents::from_headers(parts.event_headers, parts.content_type)?,
    };
    let extra = extra(parts, &query, metadata, layer.always_raw)?;
    Ok(Arguments(object::merge(layer, query.wrap_body, &extra)?))
}

/// The extra layer, lowest first: a later one overwrites an earlier of the same name.
fn extra(
    parts: &Parts<'_>,
    query: &RunQuery,
    metadata: Option<String>,
    always_raw: bool,
) -> Result<Extra, ArgsError> {
    let mut extra = Extra::new();
    if let Some(metadata) = metadata {
        extra.push((METADATA.into(), metadata));
    }
    let listed = names("include_header", query.include_header.as_deref())?;
    let mut looked_up = HashSet::new();
    for name in
        listed.into_iter().chain(parts.include_headers.split(',').filter(|name| !name.is_empty()))
    {
        let name = name.to_ascii_lowercase();
        if !looked_up.insert(name.clone()) {
            continue;
        }
        if let Some(value) = (parts.header)(&name) {
            extra.push((name.replace('-', "_"), quote_text(&value)));
        }
    }
    for key in names("include_query", query.include_query.as_deref())? {
        if let Some(value) = query.last(key) {
            extra.push((key.to_owned(), quote_text(value)));
        }
    }
    if query.raw || always_raw {
        let text = std::str::from_utf8(parts.body).map_err(|error| {
            ArgsError::Body(format!(
                "The body is not UTF-8 text (byte {}), so it cannot be given as raw_string",
                error.valid_up_to()
            ))
        })?;
        extra.push(("raw_string".into(), quote_text(text)));
    }
    Ok(extra)
}

/// The names of a comma separated list, empty and repeated ones left out.
fn names<'a>(parameter: &'static str, list: Option<&'a str>) -> Result<Vec<&'a str>, QueryError> {
    let mut names: Vec<&str> =
        list.unwrap_or_default().split(',').filter(|name| !name.is_empty()).collect();
    match names.len() {
        ..=INCLUDED_NAMES => {
            let mut seen = HashSet::new();
            names.retain(|name| seen.insert(*name));
            Ok(names)
        }
        more => Err(QueryError {
            name: parameter,
            reason: format!("lists {more} names; at most {INCLUDED_NAMES} are allowed"),
        }),
    }
}

#[cfg(test)]
mod tests;
