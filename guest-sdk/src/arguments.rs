//! From the argument object's JSON text to the values that `main` is called with.

use std::collections::BTreeMap;

use serde::de::value::Error as MissingError;
use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde_json::value::RawValue;

use crate::error::ScriptError;

/// The name of the error for arguments that `main` can't be called with.
const INVALID: &str = "InvalidArguments";

/// The argument object, its values not yet looked at.
pub struct Arguments<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Arguments<'a> {
    /// Reads the object.
    pub fn parse(text: &'a str) -> Result<Self, ScriptError> {
        serde_json::from_str(text).map(Self).map_err(|error| {
            ScriptError::new(INVALID, format!("the arguments are not a JSON object: {error}"))
        })
    }

    /// The argument `name`. `expected` is what its type takes, in words.
    pub fn take<T: DeserializeOwned>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<T, ScriptError> {
        let Some(value) = self.0.remove(name) else {
            // Types such as Option have a value for this case, and serde's way to find out is to
            // ask them.
            return T::deserialize(Missing).map_err(|_| {
                ScriptError::new(
                    INVALID,
                    format!("the argument `{name}` is missing; expected {expected}"),
                )
            });
        };
        serde_json::from_str(value.get()).map_err(|error| {
            let reason = without_position(&error);
            ScriptError::new(
                INVALID,
                format!("the argument `{name}` is not right: {reason}; expected {expected}"),
            )
        })
    }
}

/// All arguments as one value.
pub fn whole<T: DeserializeOwned>(text: &str) -> Result<T, ScriptError> {
    serde_json::from_str(text).map_err(|error| {
        ScriptError::new(
            INVALID,
            format!("the arguments are not right: {}", without_position(&error)),
        )
    })
}

/// The error's text without the line and column, which mean nothing to a caller who sent the
/// arguments in another form.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

/// Stands for a value that isn't there.
struct Missing;

impl<'de> Deserializer<'de> for Missing {
    type Error = MissingError;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("missing"))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_none()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use serde_json::Value;

    use super::*;

    fn message<T: fmt::Debug>(result: Result<T, ScriptError>) -> String {
        let error = result.unwrap_err();
        assert_eq!(error.name, "InvalidArguments");
        error.message
    }

    #[test]
    fn arguments_are_taken_by_name() {
        let mut arguments = Arguments::parse(r#"{"name":"Ann","times":2,"extra":[]}"#).unwrap();
        assert_eq!(arguments.take::<u32>("times", "").unwrap(), 2);
        assert_eq!(arguments.take::<String>("name", "").unwrap(), "Ann");
    }

    #[test]
    fn an_option_may_be_absent_or_null() {
        let mut arguments = Arguments::parse(r#"{"null":null,"set":1}"#).unwrap();
        assert_eq!(arguments.take::<Option<u32>>("null", "").unwrap(), None);
        assert_eq!(arguments.take::<Option<u32>>("absent", "").unwrap(), None);
        assert_eq!(arguments.take::<Option<u32>>("set", "").unwrap(), Some(1));
    }

    #[test]
    fn a_missing_argument_is_named_with_what_was_expected() {
        let mut arguments = Arguments::parse("{}").unwrap();
        let text = message(arguments.take::<u32>("times", "a whole number"));
        assert_eq!(text, "the argument `times` is missing; expected a whole number");
        assert!(message(arguments.take::<Value>("any", "any value")).contains("`any` is missing"));
        assert!(
            message(arguments.take::<Box<RawValue>>("raw", "any value"))
                .contains("`raw` is missing")
        );
    }

    #[test]
    fn a_wrong_argument_is_named_with_what_was_expected() {
        let mut arguments = Arguments::parse(r#"{"times":"x"}"#).unwrap();
        assert_eq!(
            message(arguments.take::<u32>("times", "a whole number")),
            "the argument `times` is not right: invalid type: string \"x\", expected u32; expected a whole number"
        );
    }

    #[test]
    fn raw_values_keep_every_digit() {
        let mut arguments = Arguments::parse(r#"{"n": 1.000000000000000000010 }"#).unwrap();
        assert_eq!(
            arguments.take::<Box<RawValue>>("n", "").unwrap().get(),
            "1.000000000000000000010"
        );
    }

    #[test]
    fn only_an_object_is_an_argument_object() {
        assert!(
            message(Arguments::parse("[1]").map(drop))
                .starts_with("the arguments are not a JSON object")
        );
        assert!(message(whole::<BTreeMap<String, u8>>(r#"{"a":300}"#)).contains("300"));
    }
}
