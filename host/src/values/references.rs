//! References to variables and resources: the right to make them, and what they are replaced by.
//!
//! Rights are asked for when a call comes in, the values are put in when its run starts: what is
//! stored of a call keeps the reference. Whoever may read a resource may read what it refers to, so
//! the right to that is asked of who writes it.

use super::sealed::Values;
use crate::auth::Caller;
use std::borrow::Cow;
use std::collections::HashMap;
use wasmill_core::args::interpolate::{
    BadReference, InterpolateError, Reference, interpolate, may_refer, references,
};
use wasmill_core::limits::REFERENCES;
use wasmill_core::problem::Code;
use wasmill_core::{Failure, FailureName, Problem, WorkspaceId};

/// Asks for the right to everything that a JSON text refers to.
///
/// # Errors
/// 400 for what is no reference, 403 naming the scope that is missing.
pub(crate) fn require(caller: &Caller, workspace: &WorkspaceId, json: &str) -> Result<(), Problem> {
    for reference in references(json)? {
        caller.require(workspace, &reference.need())?;
    }
    Ok(())
}

/// Why a text's references could not be replaced.
pub(crate) enum Unfilled {
    /// It will not do: `InvalidArguments` naming what is missing or cannot be put in, `Internal`
    /// for a damaged value.
    Failed(Failure),
    /// The store cannot be reached now.
    Away(String),
}

impl Values {
    /// The JSON text with its references replaced; the text itself when it has none. The result
    /// has at most `limit` bytes.
    ///
    /// # Errors
    /// When something is missing, cannot be put in or cannot be read now.
    pub(crate) async fn fill<'j>(
        &self,
        workspace: &WorkspaceId,
        json: &'j str,
        limit: u64,
    ) -> Result<Cow<'j, str>, Unfilled> {
        if !may_refer(json) {
            return Ok(Cow::Borrowed(json));
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let values = Box::pin(gather(self, workspace, json, limit)).await?;
        let value = |reference: &Reference| values.get(reference).map(String::as_str);
        let filled = interpolate(json, &value, limit);
        filled.map(Cow::Owned).map_err(|error| Unfilled::Failed(invalid(&error)))
    }
}

fn invalid(error: &InterpolateError) -> Failure {
    Failure::new(
        FailureName::InvalidArguments,
        format!("the arguments refer to variables or resources that cannot be put in: {error}"),
    )
}

/// Everything that the text refers to, by way of resources included, as JSON texts.
async fn gather(
    values: &Values,
    workspace: &WorkspaceId,
    json: &str,
    limit: usize,
) -> Result<HashMap<Reference, String>, Unfilled> {
    let bad = |error: BadReference| Unfilled::Failed(invalid(&InterpolateError::Bad(error)));
    let failed = |problem: Problem| match problem.code {
        Code::Unavailable => Unfilled::Away(problem.detail),
        _ => Unfilled::Failed(Failure::new(FailureName::Internal, problem.detail)),
    };
    let mut open = references(json).map_err(bad)?;
    let mut found: HashMap<Reference, String> = HashMap::new();
    let mut bytes = 0usize;
    while let Some(reference) = open.pop() {
        if found.contains_key(&reference) {
            continue;
        }
        if found.len() >= REFERENCES {
            return Err(bad(BadReference::TooMany));
        }
        let text = match &reference {
            Reference::Variable(path) => values
                .variable(workspace, path)
                .await
                .map_err(failed)?
                .map(|(_, text)| serde_json::Value::from(text).to_string()),
            Reference::Resource(path) => {
                values.resource(workspace, path).await.map_err(failed)?.map(|(_, text)| text)
            }
        };
        let value = text.ok_or_else(|| {
            Unfilled::Failed(invalid(&InterpolateError::Missing(reference.clone())))
        })?;
        bytes = bytes.saturating_add(value.len());
        if bytes > limit {
            return Err(Unfilled::Failed(invalid(&InterpolateError::TooLarge(limit))));
        }
        if matches!(reference, Reference::Resource(_)) {
            open.extend(references(&value).map_err(bad)?);
        }
        found.insert(reference, value);
    }
    Ok(found)
}
