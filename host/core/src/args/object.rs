//! JSON objects as text: checked, merged and written without ever being taken apart further than their keys.

use super::ArgsError;
use super::body::Layer;
use crate::limits::JSON_DEPTH;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Checks that a text is one JSON value of bearable depth. `whole` is the text as it was sent, so that the position
/// in the error is the sender's own.
pub(super) fn check(text: &str, whole: &str) -> Result<(), ArgsError> {
    if let Err(error) = serde_json::from_str::<&RawValue>(whole) {
        return Err(ArgsError::Body(format!("The body is not valid JSON: {error}")));
    }
    match too_deep(text) {
        true => Err(ArgsError::Body(format!("The body's JSON is nested deeper than {JSON_DEPTH} levels"))),
        false => Ok(()),
    }
}

/// Whether valid JSON nests deeper than what its readers bear.
fn too_deep(text: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                // One level is kept for `wrap_body`.
                if depth >= JSON_DEPTH {
                    return true;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// A string as JSON.
pub(super) fn quote(text: &str) -> String {
    // Writing a string into memory cannot fail.
    serde_json::to_string(text).unwrap_or_default()
}

/// The members of an object in order, the last of equal keys winning, values as they were written.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some((key, value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    members.push((key.0, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

/// A key, borrowed when it holds no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// The two layers as one object's text.
pub(super) fn merge(layer: Layer<'_>, wrap: bool, extra: &[(String, String)]) -> Result<String, ArgsError> {
    let object = match layer.object {
        object if wrap && !layer.wrapped => Cow::Owned(format!("{{\"body\":{object}}}")),
        object => object,
    };
    if extra.is_empty() {
        return Ok(object.into_owned());
    }
    let Members(members) =
        serde_json::from_str(&object).map_err(|error| ArgsError::Body(format!("The body is not valid JSON: {error}")))?;
    let overridden = |key: &str| extra.iter().any(|(name, _)| name == key);
    let size = object.len() + extra.iter().map(|(key, value)| key.len() + value.len() + 8).sum::<usize>();
    let mut text = String::with_capacity(size + size / 8);
    text.push('{');
    let mut member = |key: &str, value: &str| {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&quote(key));
        text.push(':');
        text.push_str(value);
    };
    for (key, value) in members.iter().filter(|(key, _)| !overridden(key)) {
        member(key, value.get());
    }
    for (index, (key, value)) in extra.iter().enumerate() {
        let again = extra.iter().skip(index + 1).any(|(later, _)| later == key);
        if !again {
            member(key, &quote(value));
        }
    }
    text.push('}');
    Ok(text)
}
