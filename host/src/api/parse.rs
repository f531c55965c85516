//! Reads queries and bodies: what the resources have in common.

use serde::de::DeserializeOwned;
use std::str::FromStr;
use std::time::Duration;
use wasmill_core::limits::{PAGE_ENTRIES, PAGE_ENTRIES_DEFAULT};
use wasmill_core::{InvalidName, Problem, wire};

/// The last value of a query parameter.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key == name)
        .last()
        .map(|(_, value)| value.into_owned())
}

/// A query parameter that must be of a type.
///
/// # Errors
/// 400 naming the parameter and what it may be.
pub(super) fn typed_parameter<T: FromStr>(
    query: &str,
    name: &str,
    expected: &str,
) -> Result<Option<T>, Problem> {
    match parameter(query, name) {
        None => Ok(None),
        Some(text) => match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(Problem::bad_request(format!(
                "The query parameter {name} is {text:?}; it must be {expected}"
            ))),
        },
    }
}

/// Entries of a list's page: `per_page`, 1 to `PAGE_ENTRIES`, else `PAGE_ENTRIES_DEFAULT`.
///
/// # Errors
/// 400 when `per_page` is not a number.
pub(super) fn per_page(query: &str) -> Result<u32, Problem> {
    let expected = format!("a number from 1 to {PAGE_ENTRIES}");
    Ok(typed_parameter::<u32>(query, "per_page", &expected)?
        .unwrap_or(PAGE_ENTRIES_DEFAULT)
        .clamp(1, PAGE_ENTRIES))
}

/// A body that is a JSON object.
///
/// # Errors
/// 400 saying what does not fit, and where.
pub(super) fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // Deserialising would also take an array of the members' values, which nobody means.
    match body.trim_ascii_start() {
        [b'{', ..] => serde_json::from_slice(body).map_err(unfit),
        _ => Err(Problem::bad_request("The body must be a JSON object")),
    }
}

/// A body that is a JSON array.
///
/// # Errors
/// 400 saying what does not fit, and where.
pub(super) fn array<T: DeserializeOwned>(body: &[u8]) -> Result<Vec<T>, Problem> {
    serde_json::from_slice(body).map_err(unfit)
}

fn unfit(error: serde_json::Error) -> Problem {
    Problem::bad_request(format!("The body is not what this address takes: {error}"))
}

/// A name in a body.
///
/// # Errors
/// 400 saying what is wrong with the name.
pub(super) fn name<T: FromStr<Err = InvalidName>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: InvalidName| Problem::bad_request(error.to_string()))
}

/// How long finished jobs are kept, in a body; `None`: as long as the level above says.
///
/// # Errors
/// 400 for no time at all: whoever asks for a result would find nothing.
pub(super) fn keep_runs(body: &wire::Retention) -> Result<Option<Duration>, Problem> {
    match body.keep_runs_secs {
        Some(0) => Err(Problem::bad_request(
            "keep_runs_secs is 0; it must be 1 or more, or null for as long as it is said one \
             level above. A script that is to leave nothing behind is deployed with \
             delete_after_use",
        )),
        seconds => Ok(seconds.map(|seconds| Duration::from_secs(seconds.into()))),
    }
}
