//! Joins the two layers of arguments into the text of one object.

use super::error::ArgsError;
use super::layer::Layer;
use crate::json::{Members, Writer, too_deep};
use crate::limits::JSON_DEPTH;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;

/// Checks that a text is one JSON value with an accepted number of levels. `whole` is the text as
/// it was sent, so that the position in an error message is right for the sender.
pub(super) fn check(text: &str, whole: &str) -> Result<(), ArgsError> {
    if let Err(error) = serde_json::from_str::<&RawValue>(whole) {
        return Err(invalid(&error));
    }
    match too_deep(text) {
        true => Err(ArgsError::Body(format!(
            "The body's JSON is nested deeper than {JSON_DEPTH} levels"
        ))),
        false => Ok(()),
    }
}

pub(super) fn invalid(error: &serde_json::Error) -> ArgsError {
    ArgsError::Body(format!("The body is not valid JSON: {error}"))
}

/// The extra layer, the lowest first: names, and values as JSON text. A later entry replaces an
/// earlier one of the same name.
pub(super) type Extra = Vec<(String, String)>;

/// The two layers as the text of one object: first the members of the body in their order, then the
/// extra ones in theirs.
pub(super) fn merge(layer: Layer<'_>, wrap: bool, extra: &Extra) -> Result<String, ArgsError> {
    let object = match layer.object {
        object if wrap && !layer.wrapped => Cow::Owned(format!("{{\"body\":{object}}}")),
        object => object,
    };
    if extra.is_empty() {
        return Ok(object.into_owned());
    }
    let Members(members) = Members::read(&object).map_err(|error| invalid(&error))?;
    let last: HashMap<&str, usize> =
        extra.iter().enumerate().map(|(index, (name, _))| (name.as_str(), index)).collect();
    let mut text = Writer::new(
        object.len() + extra.iter().map(|(key, value)| key.len() + value.len() + 4).sum::<usize>(),
    );
    for (key, value) in members.iter().filter(|(key, _)| !last.contains_key(key.as_ref())) {
        text.member(key, value.get());
    }
    for (index, (key, value)) in extra.iter().enumerate() {
        if last.get(key.as_str()) == Some(&index) {
            text.member(key, value);
        }
    }
    Ok(text.finish())
}
