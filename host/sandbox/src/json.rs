//! Is this text one JSON value, and not too deep? The check that every result passes before it is
//! called a result.
//!
//! serde_json skips over values without counting their depth, so the depth is counted here first.

use serde_json::value::RawValue;
use std::fmt;
use wasmill_core::limits::JSON_DEPTH;

/// Why a text is no acceptable JSON value.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It breaks JSON's grammar; says where.
    Syntax(String),
    /// Arrays and objects are nested deeper than `JSON_DEPTH`.
    TooDeep,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Syntax(text) => f.write_str(text),
            Fault::TooDeep => {
                write!(f, "arrays and objects are nested deeper than {JSON_DEPTH} levels")
            }
        }
    }
}

/// Takes a text as one JSON value, without white space around it.
pub(crate) fn value(text: String) -> Result<Box<RawValue>, Fault> {
    if depth(text.as_bytes()) > JSON_DEPTH {
        return Err(Fault::TooDeep);
    }
    RawValue::from_string(text).map_err(|error| Fault::Syntax(error.to_string()))
}

/// The deepest nesting of brackets outside of strings. Meant for JSON; of other texts it is some
/// number.
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
            matches!(value("{".into()), Err(Fault::Syntax(text)) if text.contains("line 1 column 1"))
        );
        assert!(matches!(value("1 2".into()), Err(Fault::Syntax(_))));
        assert!(matches!(value(String::new()), Err(Fault::Syntax(_))));
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(value(nested(128)).is_ok());
        assert!(matches!(value(nested(129)), Err(Fault::TooDeep)));
        assert!(matches!(value(nested(100_000)), Err(Fault::TooDeep)));
    }
}
