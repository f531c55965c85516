//! What all kinds of bodies are turned into, and the encodings that they share.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::borrow::Cow;

/// Standard alphabet, padded or not.
const STANDARD: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// URL-safe alphabet, padded or not.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The arguments of the body, before wrapping and before the extra layer.
#[derive(Debug)]
pub(super) struct Layer<'a> {
    /// One JSON object as text.
    pub(super) object: Cow<'a, str>,
    /// True when `object` is already `{"body": ...}`, so that `wrap_body` leaves it alone.
    pub(super) wrapped: bool,
    /// True for texts, whose `raw_string` does not have to be asked for.
    pub(super) always_raw: bool,
    /// The attributes of an event that is its own envelope: one JSON object as text.
    pub(super) metadata: Option<String>,
}

impl<'a> Layer<'a> {
    pub(super) fn object(object: impl Into<Cow<'a, str>>) -> Self {
        Layer { object: object.into(), wrapped: false, always_raw: false, metadata: None }
    }

    pub(super) fn none() -> Self {
        Layer::object("{}")
    }

    /// What a JSON value becomes: an object its keys, anything else the key `body`.
    pub(super) fn value(text: impl Into<Cow<'a, str>>) -> Self {
        let text = text.into();
        match text.starts_with('{') {
            true => Layer::object(text),
            false => Layer { wrapped: true, ..Layer::object(format!("{{\"body\":{text}}}")) },
        }
    }

    pub(super) fn into_owned(self) -> Layer<'static> {
        Layer { object: Cow::Owned(self.object.into_owned()), ..self }
    }
}

/// A content type without its parameters, in lower case.
pub(super) fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a type, without parameters and in lower case, means JSON.
pub(super) fn is_json(essence: &str) -> bool {
    essence == "application/json" || essence.ends_with("+json")
}

/// Base64 in either alphabet, padded or not.
pub(super) fn decoded(base64: &str) -> Result<Vec<u8>, base64::DecodeError> {
    if base64.contains(['-', '_']) { URL_SAFE.decode(base64) } else { STANDARD.decode(base64) }
}

/// Base64 in the standard alphabet, padded.
pub(super) fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A text without what JSON counts as white space around it.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}
