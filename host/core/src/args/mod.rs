//! Builds the arguments of a script from the parts of a request, by the table of the webhook
//! contract.
//!
//! There are two layers. The *body layer* comes from the body, or from `payload` of a GET. The
//! *extra layer* comes from the attributes of an event, headers, the query and the raw body. For
//! keys of the same name the order is, the highest first: `raw_string`, `include_query`,
//! `include_header`, `WEBHOOK__METADATA__`, keys of the body. `wrap_body` wraps the body layer
//! only.

mod body;
mod cloudevents;
mod error;
pub mod interpolate;
mod layer;
mod multipart;
mod object;
mod query;

pub use cloudevents::EVENT_HEADER_PREFIX;
pub use error::ArgsError;
pub use query::QueryError;

use crate::limits::INCLUDED_NAMES;
use interpolate::quote_text;
use object::Extra;
use query::RunQuery;
use std::borrow::Cow;
use std::collections::HashSet;

/// The argument with the attributes of a CloudEvent.
const METADATA: &str = "WEBHOOK__METADATA__";

/// The arguments of one call: the text of one JSON object, as the script gets it.
///
/// Numbers, the order of keys and white space within values are as the caller sent them.
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

    /// The JSON text of the object, without copying it.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// The parts of a request that the arguments are built from.
pub struct Parts<'a> {
    /// True for GET: the body is ignored, and the arguments come from `payload`.
    pub get: bool,
    /// The `Content-Type` as it was sent.
    pub content_type: Option<&'a str>,
    /// The query string as it was sent, without `?`.
    pub query: &'a str,
    /// Looks up a header by its name in lower case, and returns the first value. It must not return
    /// the credential of the call.
    pub header: &'a dyn Fn(&str) -> Option<Cow<'a, str>>,
    /// The headers whose names in lower case begin with [`EVENT_HEADER_PREFIX`], in the order of
    /// the request, with the bytes of their values. Most requests have none.
    pub event_headers: &'a [(&'a str, &'a [u8])],
    /// The headers that the operator includes in every call, separated by commas.
    pub include_headers: &'a str,
    /// The whole body.
    pub body: &'a [u8],
}

/// Builds the arguments of one call.
///
/// # Errors
/// What is wrong with the request.
pub fn build(parts: &Parts<'_>) -> Result<Arguments, ArgsError> {
    let query = RunQuery::parse(parts.query)?;
    let mut layer = if parts.get {
        body::from_payload(query.payload.as_deref())?
    } else {
        body::from_body(parts.content_type, parts.body)?
    };
    // An envelope may be sent together with the headers of the binary mode. The envelope counts.
    let metadata = match layer.metadata.take() {
        Some(metadata) => Some(metadata),
        None => cloudevents::from_headers(parts.event_headers, parts.content_type)?,
    };
    let extra = extra(parts, &query, metadata, layer.always_raw)?;
    Ok(Arguments(object::merge(layer, query.wrap_body, &extra)?))
}

/// The extra layer, the lowest first: a later entry replaces an earlier one of the same name.
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

/// The names of a list separated by commas, without empty and repeated ones.
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
