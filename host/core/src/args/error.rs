//! Why the arguments of a call could not be built.

use super::query::QueryError;
use crate::problem::Problem;
use std::fmt;

/// Why the arguments could not be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArgsError {
    /// A query parameter has a value that is not allowed.
    Query(QueryError),
    /// The body (or `payload`) is not valid for its content type.
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
