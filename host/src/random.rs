//! Randomness of the operating system, where lacking it is an error for somebody to read.

use wasmill_core::Problem;

/// Random bytes, for the start of the host.
///
/// # Errors
/// When the system has none to give, as a sentence.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| format!("the system has no randomness: {error}"))?;
    Ok(bytes)
}

/// Random bytes, for a request. What they are for goes to the log when there are none.
///
/// # Errors
/// 500.
pub(crate) fn for_request<const N: usize>(what: &str) -> Result<[u8; N], Problem> {
    bytes().map_err(|error| {
        tracing::error!(error, "no randomness for {what}");
        Problem::internal()
    })
}
