//! The body layer as a type, and the encodings that several content types use.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::borrow::Cow;

/// The standard alphabet, with or without padding.
const STANDARD: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// The URL-safe alphabet, with or without padding.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The arguments from the body, before wrapping and without the extra layer.
#[derive(Debug)]
pub(super) struct Layer<'a> {
    /// The text of one JSON object.
    pub(super) object: Cow<'a, str>,
    /// True when `object` is `{"body": ...}` already, so that `wrap_body` does not wrap it again.
    pub(super) wrapped: bool,
    /// True for text bodies: `raw_string` is given also when the caller does not ask for it.
    pub(super) always_raw: bool,
    /// The attributes of an event whose envelope is the body: the text of one JSON object.
    pub(super) metadata: Option<String>,
}

impl<'a> Layer<'a> {
    pub(super) fn object(object: impl Into<Cow<'a, str>>) -> Self {
        Layer { object: object.into(), wrapped: false, always_raw: false, metadata: None }
    }

    pub(super) fn none() -> Self {
        Layer::object("{}")
    }

    /// The arguments from a JSON value: the members of an object, or the key `body` for any other
    /// value.
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

/// Whether a content type, as [`essence`] returns it, means JSON.
pub(super) fn is_json(essence: &str) -> bool {
    essence == "application/json" || essence.ends_with("+json")
}

/// Decodes base64 in either alphabet, with or without padding.
pub(super) fn decoded(base64: &str) -> Result<Vec<u8>, base64::DecodeError> {
    if base64.contains(['-', '_']) { URL_SAFE.decode(base64) } else { STANDARD.decode(base64) }
}

/// Base64 in the standard alphabet, with padding.
pub(super) fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A text without the white space of JSON at both ends.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}
