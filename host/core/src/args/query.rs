//! The query parameters that decide about the arguments.

use std::collections::HashMap;
use std::fmt;

/// A query parameter with a value that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    /// The name of the parameter.
    pub name: &'static str,
    /// The value, and the allowed values.
    pub reason: String,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The query parameter {} {}", self.name, self.reason)
    }
}

/// The query parameters about arguments, and all of the query for `include_query`. The last one of
/// repeated parameters counts.
#[derive(Debug, Default)]
pub(super) struct RunQuery {
    pub(super) raw: bool,
    pub(super) wrap_body: bool,
    pub(super) payload: Option<String>,
    pub(super) include_header: Option<String>,
    pub(super) include_query: Option<String>,
    values: HashMap<String, String>,
}

impl RunQuery {
    pub(super) fn parse(query: &str) -> Result<Self, QueryError> {
        let mut parsed = RunQuery::default();
        if query.is_empty() {
            return Ok(parsed);
        }
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match key.as_ref() {
                "raw" => parsed.raw = switch("raw", &value)?,
                "wrap_body" => parsed.wrap_body = switch("wrap_body", &value)?,
                "payload" => parsed.payload = Some(value.to_string()),
                "include_header" => parsed.include_header = Some(value.to_string()),
                "include_query" => parsed.include_query = Some(value.to_string()),
                _ => {}
            }
            // The credential is never an argument, whatever the caller lists.
            if key != "token" {
                parsed.values.insert(key.into_owned(), value.into_owned());
            }
        }
        Ok(parsed)
    }

    /// The last value of a key.
    pub(super) fn last(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }
}

fn switch(name: &'static str, value: &str) -> Result<bool, QueryError> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        other => {
            Err(QueryError { name, reason: format!("is {other:?}; it must be true or false") })
        }
    }
}
