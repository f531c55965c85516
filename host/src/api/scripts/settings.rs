//! What an author decides about a script, as an upload's query or its description in JSON says it.

use crate::api::parse::{parameter, typed_parameter};
use wasmill_core::queue::RetryPolicy;
use wasmill_core::{Problem, ScriptSettings, wire};

/// The settings in an upload's query.
///
/// # Errors
/// 400 saying what does not fit.
pub(super) fn of_query(query: &str) -> Result<ScriptSettings, Problem> {
    let given = |name| parameter(query, name).filter(|text| !text.is_empty());
    let without_caller =
        |name| typed_parameter(query, name, "cancel or continue").map(Option::unwrap_or_default);
    let retry = given("retry").map(|text| RetryPolicy::parse(&text));
    no_window(typed_parameter(query, "concurrency_time_window_s", "a number of seconds")?)?;
    checked(ScriptSettings {
        delete_after_use: typed_parameter(query, "delete_after_use", "true or false")?
            .unwrap_or(false),
        delete_after_secs: typed_parameter(query, "delete_after_secs", "a number of seconds")?,
        on_hang_up: without_caller("on_hang_up")?,
        on_sync_timeout: without_caller("on_sync_timeout")?,
        retry: retry
            .transpose()
            .map_err(|why| Problem::bad_request(format!("The query parameter retry: {why}")))?,
        concurrent_limit: typed_parameter(query, "concurrent_limit", "a number of runs")?,
        concurrency_key: given("concurrency_key"),
    })
}

/// The settings in a script's description.
///
/// # Errors
/// 400 saying what does not fit.
pub(super) fn of_script(script: &wire::NewScript) -> Result<ScriptSettings, Problem> {
    no_window(script.concurrency_time_window_s)?;
    checked(ScriptSettings {
        delete_after_use: script.delete_after_use.unwrap_or(false),
        delete_after_secs: script.delete_after_secs,
        on_hang_up: script.on_hang_up,
        on_sync_timeout: script.on_sync_timeout,
        retry: script.retry,
        concurrent_limit: script.concurrent_limit,
        concurrency_key: script.concurrency_key.clone(),
    })
}

fn checked(settings: ScriptSettings) -> Result<ScriptSettings, Problem> {
    settings.checked().map_err(Problem::bad_request)
}

/// Refuses a limit of starts in a time, which would otherwise be taken and not be kept.
fn no_window(seconds: Option<u32>) -> Result<(), Problem> {
    match seconds {
        None | Some(0) => Ok(()),
        Some(_) => Err(Problem::bad_request(
            "concurrency_time_window_s is not supported: concurrent_limit says how many runs there \
             are at the same time, not how many are started in a time. Leave it away",
        )),
    }
}
