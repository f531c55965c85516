//! CloudEvents 1.0. The data of an event becomes the arguments, and its attributes become the
//! argument `WEBHOOK__METADATA__`.
//!
//! - *Structured mode*: the body is the envelope. `data` is read like a JSON body. `data_base64` is
//!   read like a JSON body too when its `datacontenttype` means JSON, or is absent and the bytes
//!   are JSON; otherwise it becomes the argument `raw_base64`, as it was sent. An event without
//!   data has no arguments of its own. Every other attribute becomes metadata, as it was written.
//! - *Binary mode*: the headers `ce-*` are the attributes, decoded by the HTTP binding. The body is
//!   read by its own content type, which becomes `datacontenttype`.
//!
//! `wrap_body` does not wrap the metadata, because scripts look for it at the top level.

use super::error::ArgsError;
use super::interpolate::quote_text;
use super::layer::{self, Layer};
use super::object;
use crate::header;
use crate::json::{Members, Writer, quote};
use serde_json::value::RawValue;
use std::collections::HashSet;

/// The prefix of the headers that hold the attributes of a CloudEvent.
pub const EVENT_HEADER_PREFIX: &str = "ce-";

/// The attributes that every event must have.
const REQUIRED: [&str; 4] = ["id", "source", "specversion", "type"];

fn refuse<T>(detail: impl Into<String>) -> Result<T, ArgsError> {
    Err(ArgsError::Body(detail.into()))
}

/// The arguments from a body that is an envelope.
pub(super) fn structured(whole: &str) -> Result<Layer<'_>, ArgsError> {
    let text = layer::trimmed(whole);
    object::check(text, whole)?;
    if !text.starts_with('{') {
        return refuse(
            "The body is application/cloudevents+json but no JSON object; an event is an object, and batches are not supported",
        );
    }
    let envelope = Members::read(text).map_err(|error| object::invalid(&error))?.deduplicated();
    let mut required = [None, None, None, None];
    for (slot, name) in required.iter_mut().zip(REQUIRED) {
        *slot = text_of(&envelope, name)?;
    }
    check(&required)?;

    let mut metadata = Writer::new(256);
    for (key, value) in envelope.0.iter().filter(|(key, _)| key != "data" && key != "data_base64") {
        metadata.member(key, value.get());
    }
    Ok(Layer { metadata: Some(metadata.finish()), ..data(&envelope)? })
}

/// An attribute that must be a string. `null` means that it is absent.
fn text_of(envelope: &Members<'_>, name: &str) -> Result<Option<String>, ArgsError> {
    let Some(value) = envelope.get(name).map(RawValue::get).filter(|value| *value != "null") else {
        return Ok(None);
    };
    match serde_json::from_str(value) {
        Ok(text) => Ok(Some(text)),
        Err(_) => refuse(format!("The CloudEvent's {name} is not a string")),
    }
}

/// Checks the values of the required attributes, in their order.
fn check(values: &[Option<String>; REQUIRED.len()]) -> Result<(), ArgsError> {
    let given = |value: &&Option<String>| value.as_ref().is_none_or(String::is_empty);
    let missing: Vec<&str> = REQUIRED
        .into_iter()
        .zip(values)
        .filter(|(_, value)| given(value))
        .map(|(name, _)| name)
        .collect();
    if !missing.is_empty() {
        return refuse(format!(
            "The CloudEvent lacks {}; id, source, specversion and type are required",
            missing.join(", ")
        ));
    }
    let [_, _, version, _] = values;
    match version.as_deref() {
        Some("1.0") => Ok(()),
        other => refuse(format!(
            "The CloudEvent's specversion is {:?}; only 1.0 is understood",
            other.unwrap_or_default()
        )),
    }
}

/// The data of an event as arguments. When one of `data` and `data_base64` is `null`, the other one
/// counts. `"data": null` alone is data.
fn data<'a>(envelope: &Members<'a>) -> Result<Layer<'a>, ArgsError> {
    let data = envelope.get("data").map(RawValue::get);
    let Some(base64) = text_of(envelope, "data_base64")? else {
        return Ok(data.map_or_else(Layer::none, Layer::value));
    };
    if data.is_some_and(|data| data != "null") {
        return refuse(
            "The CloudEvent has both data and data_base64; it can have only one of them",
        );
    }
    let bytes = match layer::decoded(&base64) {
        Ok(bytes) => bytes,
        Err(error) => {
            return refuse(format!("The CloudEvent's data_base64 is not base64: {error}"));
        }
    };
    let says_json =
        text_of(envelope, "datacontenttype")?.is_none_or(|of| layer::is_json(&layer::essence(&of)));
    let text = String::from_utf8(bytes)
        .ok()
        .filter(|text| says_json && serde_json::from_str::<&RawValue>(text).is_ok());
    Ok(match text {
        Some(text) => {
            object::check(&text, &text)?;
            Layer::value(layer::trimmed(&text).to_owned())
        }
        None => Layer::object(format!("{{\"raw_base64\":{}}}", quote(&base64))),
    })
}

/// The metadata of an event in binary mode, or `None` when the request is not an event.
///
/// A request with any of the required attributes is an event, so that a sender who left out another
/// one gets an error. The content type replaces `ce-datacontenttype`, as the HTTP binding demands.
pub(super) fn from_headers(
    headers: &[(&str, &[u8])],
    content_type: Option<&str>,
) -> Result<Option<String>, ArgsError> {
    let attributes = || {
        headers
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(EVENT_HEADER_PREFIX)?, *value)))
    };
    if !attributes().any(|(name, _)| REQUIRED.contains(&name)) {
        return Ok(None);
    }
    let content_type = content_type.filter(|text| !text.trim().is_empty());
    let mut required = [None, None, None, None];
    let mut seen = HashSet::new();
    let mut metadata = Writer::new(256);
    for (name, value) in attributes() {
        if !seen.insert(name) {
            return refuse(format!(
                "The header {EVENT_HEADER_PREFIX}{name} was sent more than once"
            ));
        }
        let Some(text) = header::attribute(value) else {
            return refuse(format!(
                "The header {EVENT_HEADER_PREFIX}{name} is not percent-encoded UTF-8, or has a quote that is not closed"
            ));
        };
        if name != "datacontenttype" || content_type.is_none() {
            metadata.member(name, &quote_text(&text));
        }
        if let Some((slot, _)) =
            required.iter_mut().zip(REQUIRED).find(|(_, required)| *required == name)
        {
            *slot = Some(text);
        }
    }
    check(&required)?;
    if let Some(content_type) = content_type {
        metadata.member("datacontenttype", &quote_text(content_type));
    }
    Ok(Some(metadata.finish()))
}
