//! The body layer: what a body of each content type becomes.

use super::ArgsError;
use super::object::{self, quote};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::borrow::Cow;

/// Standard alphabet, padded or not.
const STANDARD: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));
/// URL-safe alphabet, padded or not.
const URL_SAFE: GeneralPurpose =
    GeneralPurpose::new(&alphabet::URL_SAFE, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// The arguments of the body, before wrapping and before the extra layer.
#[derive(Debug)]
pub(super) struct Layer<'a> {
    /// One JSON object as text.
    pub(super) object: Cow<'a, str>,
    /// True when `object` is already `{"body": ...}`, so that `wrap_body` leaves it alone.
    pub(super) wrapped: bool,
    /// True for texts, whose `raw_string` does not have to be asked for.
    pub(super) always_raw: bool,
}

impl<'a> Layer<'a> {
    fn object(object: impl Into<Cow<'a, str>>) -> Self {
        Layer { object: object.into(), wrapped: false, always_raw: false }
    }

    fn none() -> Self {
        Layer::object("{}")
    }
}

pub(super) fn from_body<'a>(content_type: Option<&str>, body: &'a [u8]) -> Result<Layer<'a>, ArgsError> {
    let Some(content_type) = content_type.filter(|text| !text.trim().is_empty()) else {
        return json(body);
    };
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => json(body),
        "application/cloudevents+json" => {
            Err(ArgsError::Media("Structured CloudEvents are not understood yet; send the data itself as application/json".into()))
        }
        "application/cloudevents-batch+json" => {
            Err(ArgsError::Body("Batches of CloudEvents are not supported; send one event per request".into()))
        }
        "application/x-www-form-urlencoded" => form(body),
        "multipart/form-data" => Err(ArgsError::Media("multipart/form-data is not understood yet; send JSON, with files in base64".into())),
        "application/xml" => text(body),
        other if other.starts_with("text/") || other.ends_with("+xml") => text(body),
        other if other.ends_with("+json") => json(body),
        _ => Ok(binary(content_type, body)),
    }
}

/// The arguments of a GET: base64 of a JSON value, in either alphabet, padded or not.
pub(super) fn from_payload<'a>(payload: Option<&str>) -> Result<Layer<'a>, ArgsError> {
    let Some(payload) = payload else {
        return Ok(Layer::none());
    };
    // In a query an unescaped '+' reads as a space; base64 has no spaces, so it can be put back.
    let payload = payload.trim_matches(['\r', '\n']).replace(' ', "+");
    let decoded = if payload.contains(['-', '_']) { URL_SAFE.decode(&payload) } else { STANDARD.decode(&payload) };
    let bytes = decoded.map_err(|error| ArgsError::Body(format!("The query parameter payload is not base64: {error}")))?;
    let layer =
        json(&bytes).map_err(|error| ArgsError::Body(format!("The query parameter payload is base64, but not of JSON: {error}")))?;
    Ok(Layer { object: Cow::Owned(layer.object.into_owned()), ..layer })
}

fn utf8(body: &[u8]) -> Result<&str, ArgsError> {
    std::str::from_utf8(body)
        .map_err(|error| ArgsError::Body(format!("The body is not UTF-8 text: byte {} is not part of a character", error.valid_up_to())))
}

fn json(body: &[u8]) -> Result<Layer<'_>, ArgsError> {
    let text = utf8(body)?.trim_matches([' ', '\t', '\r', '\n']);
    if text.is_empty() {
        return Ok(Layer::none());
    }
    object::check(text, utf8(body)?)?;
    if text.starts_with('{') {
        return Ok(Layer::object(text));
    }
    Ok(Layer { object: Cow::Owned(format!("{{\"body\":{text}}}")), wrapped: true, always_raw: false })
}

fn form(body: &[u8]) -> Result<Layer<'_>, ArgsError> {
    utf8(body)?;
    let mut fields: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
    for (key, value) in form_urlencoded::parse(body) {
        match fields.iter_mut().find(|(known, _)| *known == key) {
            Some(field) => field.1 = value,
            None => fields.push((key, value)),
        }
    }
    let members: Vec<String> = fields.iter().map(|(key, value)| format!("{}:{}", quote(key), quote(value))).collect();
    Ok(Layer::object(format!("{{{}}}", members.join(","))))
}

fn text(body: &[u8]) -> Result<Layer<'_>, ArgsError> {
    utf8(body)?;
    Ok(Layer { always_raw: true, ..Layer::none() })
}

fn binary<'a>(content_type: &str, body: &[u8]) -> Layer<'a> {
    Layer::object(format!("{{\"raw_base64\":{},\"content_type\":{}}}", quote(&STANDARD.encode(body)), quote(content_type)))
}
