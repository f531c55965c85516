//! The error that a script reports.

use std::error::Error;
use std::fmt;

use crate::bindings::exports::wasmill::script::entry;

/// An error with a name that the callers of a script can test for.
///
/// ```
/// # use wasmill_guest::ScriptError;
/// fn pay(cents: u64) -> Result<(), ScriptError> {
///     if cents > 10_000 {
///         return Err(ScriptError::new("PaymentRefused", "more than 100.00 needs a person's consent"));
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScriptError {
    /// A short name, by convention in PascalCase.
    pub name: String,
    /// What went wrong, for the person who reads the run.
    pub message: String,
    /// Where it happened, if that is known.
    pub stack: Option<String>,
}

impl ScriptError {
    /// The name of an error that was given none.
    pub const DEFAULT_NAME: &'static str = "ScriptError";

    /// An error with a name and a message.
    pub fn new(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self { name: name.into(), message: message.into(), stack: None }
    }

    /// Adds where it happened.
    #[must_use]
    pub fn with_stack(mut self, stack: impl Into<String>) -> Self {
        self.stack = Some(stack.into());
        self
    }

    /// The error for anything that has a text.
    pub(crate) fn from_text(error: impl fmt::Display) -> Self {
        Self::new(Self::DEFAULT_NAME, error.to_string())
    }

    /// The error for a chain of causes.
    ///
    /// A `ScriptError` within the chain gives its name and stack.
    pub(crate) fn from_chain(error: &(dyn Error + 'static)) -> Self {
        let mut found = Self::from_text(error);
        let mut named = false;
        let mut next = Some(error);
        while let Some(cause) = next {
            if !named && let Some(own) = cause.downcast_ref::<Self>() {
                found.name.clone_from(&own.name);
                found.stack.clone_from(&own.stack);
                named = true;
            }
            let text = cause.to_string();
            // Some error types tell their cause themselves.
            if !found.message.contains(&text) {
                found.message.push_str(": ");
                found.message.push_str(&text);
            }
            next = cause.source();
        }
        found
    }
}

impl From<ScriptError> for entry::ScriptError {
    fn from(error: ScriptError) -> Self {
        Self { name: error.name, message: error.message, stack: error.stack }
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl Error for ScriptError {}
