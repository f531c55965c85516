//! Checks that a text is one JSON value and not nested too deep. Every result of a script is
//! checked here.
//!
//! serde_json does not count the depth of values that it skips, so this module counts the depth
//! first.

use serde_json::value::RawValue;
use std::fmt;
use wasmill_core::limits::JSON_DEPTH;

/// Why a text is not accepted as a JSON value.
#[derive(Debug)]
pub(crate) enum JsonError {
    /// The text is not valid JSON; the message tells where.
    Syntax(String),
    /// Arrays and objects are nested deeper than `JSON_DEPTH`.
    TooDeep,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JsonError::Syntax(text) => f.write_str(text),
            JsonError::TooDeep => {
                write!(f, "arrays and objects are nested deeper than {JSON_DEPTH} levels")
            }
        }
    }
}

/// The text as one JSON value, without the white space around it.
pub(crate) fn value(text: String) -> Result<Box<RawValue>, JsonError> {
    if depth(text.as_bytes()) > JSON_DEPTH {
        return Err(JsonError::TooDeep);
    }
    RawValue::from_string(text).map_err(|error| JsonError::Syntax(error.to_string()))
}

/// The deepest nesting of brackets outside of strings. The number is meaningful for JSON only.
pub(crate) fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0usize);
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        // The escaped byte is skipped, so that \" does not end the string.
                        b'\\' => drop(bytes.next()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depths() {
        for (text, expected) in
            [("1", 0), ("[]", 1), (r#"{"a":[1,{"b":"]}]"}]}"#, 3), (r#""\"[[[""#, 0)]
        {
            assert_eq!(depth(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn values() {
        assert_eq!(value(" {\"a\":1e400} \n".into()).unwrap().get(), "{\"a\":1e400}");
        assert!(
            matches!(value("{".into()), Err(JsonError::Syntax(text)) if text.contains("line 1 column 1"))
        );
        assert!(matches!(value("1 2".into()), Err(JsonError::Syntax(_))));
        assert!(matches!(value(String::new()), Err(JsonError::Syntax(_))));
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(value(nested(128)).is_ok());
        assert!(matches!(value(nested(129)), Err(JsonError::TooDeep)));
        assert!(matches!(value(nested(100_000)), Err(JsonError::TooDeep)));
    }
}
