//! The body layer: how a body of each content type becomes arguments.

use super::error::ArgsError;
use super::interpolate::quote_text;
use super::layer::{Layer, decoded, encoded, essence, is_json, trimmed};
use super::{cloudevents, multipart, object};
use crate::json::{Writer, quote};
use std::borrow::Cow;
use std::collections::HashMap;

pub(super) fn from_body<'a>(
    content_type: Option<&str>,
    body: &'a [u8],
) -> Result<Layer<'a>, ArgsError> {
    let Some(content_type) = content_type.filter(|text| !text.trim().is_empty()) else {
        return json(body);
    };
    match essence(content_type).as_str() {
        "application/cloudevents+json" => cloudevents::structured(utf8(body)?),
        batch if batch.starts_with("application/cloudevents-batch") => Err(ArgsError::Body(
            "Batches of CloudEvents are not supported; send one event per request".into(),
        )),
        "application/x-www-form-urlencoded" => form(body),
        "multipart/form-data" => Ok(Layer::object(multipart::form(content_type, body)?)),
        "application/xml" => text(body),
        other if other.starts_with("text/") || other.ends_with("+xml") => text(body),
        other if is_json(other) => json(body),
        _ => Ok(binary(content_type, body)),
    }
}

/// The arguments of a GET: a JSON value in base64.
pub(super) fn from_payload<'a>(payload: Option<&str>) -> Result<Layer<'a>, ArgsError> {
    let Some(payload) = payload else {
        return Ok(Layer::none());
    };
    // In a query an unescaped '+' is read as a space. Base64 has no spaces, so each is a '+'.
    let payload = payload.trim_matches(['\r', '\n']).replace(' ', "+");
    let bytes = decoded(&payload).map_err(|error| {
        ArgsError::Body(format!("The query parameter payload is not base64: {error}"))
    })?;
    let layer = json(&bytes).map_err(|error| {
        ArgsError::Body(format!("The query parameter payload is base64, but not of JSON: {error}"))
    })?;
    Ok(layer.into_owned())
}

fn utf8(body: &[u8]) -> Result<&str, ArgsError> {
    std::str::from_utf8(body).map_err(|error| {
        ArgsError::Body(format!(
            "The body is not UTF-8 text: byte {} is not part of a character",
            error.valid_up_to()
        ))
    })
}

fn json(body: &[u8]) -> Result<Layer<'_>, ArgsError> {
    let whole = utf8(body)?;
    let text = trimmed(whole);
    if text.is_empty() {
        return Ok(Layer::none());
    }
    object::check(text, whole)?;
    Ok(Layer::value(text))
}

fn form(body: &[u8]) -> Result<Layer<'_>, ArgsError> {
    utf8(body)?;
    let mut fields: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
    let mut places: HashMap<Cow<'_, str>, usize> = HashMap::new();
    for (key, value) in form_urlencoded::parse(body) {
        match places.get(&key).and_then(|place| fields.get_mut(*place)) {
            Some(field) => field.1 = value,
            None => {
                places.insert(key.clone(), fields.len());
                fields.push((key, value));
            }
        }
    }
    let mut object = Writer::new(body.len() + 2);
    for (key, value) in &fields {
        object.member(key, &quote_text(value));
    }
    Ok(Layer::object(object.finish()))
}

fn text(body: &[u8]) -> Result<Layer<'_>, ArgsError> {
    utf8(body)?;
    Ok(Layer { always_raw: true, ..Layer::none() })
}

fn binary<'a>(content_type: &str, body: &[u8]) -> Layer<'a> {
    Layer::object(format!(
        "{{\"raw_base64\":{},\"content_type\":{}}}",
        quote(&encoded(body)),
        quote_text(content_type)
    ))
}
