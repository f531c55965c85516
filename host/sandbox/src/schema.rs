//! The JSON Schema (draft 2020-12) of a signature. Forms, the API description and the tools of
//! callers use it.

use crate::sanitize;
use crate::value_type::{Signature, ValueType};
use serde_json::{Map, Value, json};

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Whether a schema describes arguments or a result. The schema of a result also has the forms that
/// only results take.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    In,
    Out,
}

/// The schema of the argument object.
pub(crate) fn of_arguments(signature: &Signature) -> Value {
    let mut schema = Map::new();
    schema.insert("$schema".into(), DRAFT.into());
    if let Value::Object(object) = object(&signature.params, Direction::In) {
        schema.extend(object);
    }
    Value::Object(schema)
}

/// The schema of the result. Of the type `result` it is the schema of the `ok` value; the `err`
/// value is a script error.
pub(crate) fn of_result(signature: &Signature) -> Value {
    let ty = match &signature.result {
        Some(ValueType::Result(ok, _)) => ok.as_deref(),
        other => other.as_ref(),
    };
    let mut schema = Map::new();
    schema.insert("$schema".into(), DRAFT.into());
    if let Value::Object(inner) = side(ty, Direction::Out) {
        schema.extend(inner);
    }
    Value::Object(schema)
}

fn side(ty: Option<&ValueType>, direction: Direction) -> Value {
    ty.map_or_else(|| json!({"type": "null"}), |ty| of(ty, direction))
}

fn of(ty: &ValueType, direction: Direction) -> Value {
    match ty {
        ValueType::Bool => json!({"type": "boolean"}),
        ValueType::Int(int) => {
            let (low, high) = int.range();
            // Every range fits in the union of `i64` and `u64`, which JSON numbers are made of
            // here.
            json!({"type": "integer", "minimum": i64::try_from(low).unwrap_or(i64::MIN), "maximum": u64::try_from(high).unwrap_or(u64::MAX)})
        }
        ValueType::Float32 | ValueType::Float64 => match direction {
            Direction::In => json!({"type": "number"}),
            Direction::Out => {
                json!({"anyOf": [{"type": "number"}, {"enum": ["NaN", "inf", "-inf"]}]})
            }
        },
        // JSON Schema counts code points, and a `char` is one code point.
        ValueType::Char => json!({"type": "string", "minLength": 1, "maxLength": 1}),
        ValueType::String => json!({"type": "string"}),
        ValueType::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
        ValueType::List(item) => json!({"type": "array", "items": of(item, direction)}),
        ValueType::Record(fields) => object(fields, direction),
        ValueType::Tuple(items) => {
            let prefix: Vec<Value> = items.iter().map(|item| of(item, direction)).collect();
            let mut schema = json!({"type": "array", "items": false, "minItems": prefix.len(), "maxItems": prefix.len()});
            // The draft does not allow an empty `prefixItems`.
            if let (false, Value::Object(object)) = (prefix.is_empty(), &mut schema) {
                object.insert("prefixItems".into(), prefix.into());
            }
            schema
        }
        ValueType::Variant(cases) => {
            let cases: Vec<Value> = cases
                .iter()
                .map(|(name, payload)| match payload {
                    None => json!({"const": name}),
                    Some(payload) => tagged(name, of(payload, direction)),
                })
                .collect();
            json!({"oneOf": cases})
        }
        ValueType::Enum(names) => json!({"type": "string", "enum": names}),
        ValueType::Option(inner) => match &**inner {
            ValueType::Option(_) => {
                json!({"anyOf": [{"type": "array", "prefixItems": [of(inner, direction)], "items": false, "minItems": 1, "maxItems": 1}, {"type": "null"}]})
            }
            inner => json!({"anyOf": [of(inner, direction), {"type": "null"}]}),
        },
        ValueType::Result(ok, err) => {
            json!({"oneOf": [tagged("ok", side(ok.as_deref(), direction)), tagged("err", side(err.as_deref(), direction))]})
        }
        ValueType::Flags(names) => {
            json!({"type": "array", "uniqueItems": true, "items": {"enum": names}})
        }
    }
}

/// The schema of an object with exactly one member.
fn tagged(name: &str, schema: Value) -> Value {
    json!({"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": false})
}

fn object(fields: &[(String, ValueType)], direction: Direction) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, ty) in fields {
        // A result always has all of its members. Optional members of arguments may be left out.
        if direction == Direction::Out || !matches!(ty, ValueType::Option(_)) {
            required.push(Value::from(name.as_str()));
        }
        properties.insert(name.clone(), of(ty, direction));
    }
    let mut schema = json!({"type": "object", "properties": properties});
    if let Value::Object(object) = &mut schema {
        if !required.is_empty() {
            object.insert("required".into(), required.into());
        }
        // Arguments may have members that the signature does not name, because the senders of
        // webhooks add members. A result has no others.
        if direction == Direction::Out {
            object.insert("additionalProperties".into(), false.into());
        }
    }
    schema
}

/// Checks an argument object against the schema that a script brings along. Only checks that are
/// cheap and certain are made: required members, and the plain types of members, at the top level.
/// The script checks everything else itself.
///
/// # Errors
/// A sentence that names the argument.
pub(crate) fn check(schema: Option<&Value>, args: &str) -> Result<(), String> {
    let object: Map<String, Value> = match serde_json::from_str(args) {
        Ok(Value::Object(object)) => object,
        Ok(other) => {
            return Err(format!(
                "the arguments must be a JSON object, got {}",
                sanitize::excerpt(&other.to_string())
            ));
        }
        Err(error) => return Err(format!("the arguments are not JSON: {error}")),
    };
    let Some(schema) = schema else { return Ok(()) };
    let required = schema.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        if !object.contains_key(name) {
            return Err(format!("argument \"{}\" is missing", sanitize::excerpt(name)));
        }
    }
    for (name, value) in &object {
        let expected = schema
            .get("properties")
            .and_then(|properties| properties.get(name))
            .and_then(|member| member.get("type"));
        let fits = match expected {
            Some(Value::String(expected)) => is_of(value, expected),
            Some(Value::Array(several)) => {
                several.iter().filter_map(Value::as_str).any(|expected| is_of(value, expected))
            }
            _ => true,
        };
        if let (false, Some(expected)) = (fits, expected) {
            return Err(format!(
                "argument \"{}\": expected {}, got {}",
                sanitize::excerpt(name),
                sanitize::excerpt(&expected.to_string()),
                sanitize::excerpt(&value.to_string())
            ));
        }
    }
    Ok(())
}

/// Whether a value has one of the seven types of JSON Schema. Every value fits an unknown type: the
/// script decides.
fn is_of(value: &Value, expected: &str) -> bool {
    match expected {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => {
            value.is_i64()
                || value.is_u64()
                || value.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value_type::IntType;

    #[test]
    fn arguments_and_result() {
        let signature = Signature {
            params: vec![
                ("name".into(), ValueType::String),
                ("times".into(), ValueType::Int(IntType::U32)),
                ("big".into(), ValueType::Int(IntType::U64)),
                ("data".into(), ValueType::Option(Box::new(ValueType::Bytes))),
                ("pair".into(), ValueType::Tuple(vec![ValueType::Bool, ValueType::Float64])),
                ("color".into(), ValueType::Enum(vec!["red".into(), "dark-blue".into()])),
                (
                    "shape".into(),
                    ValueType::Variant(vec![
                        ("dot".into(), None),
                        ("circle".into(), Some(ValueType::Float32)),
                    ]),
                ),
            ],
            result: Some(ValueType::Result(
                Some(Box::new(ValueType::Float64)),
                Some(Box::new(ValueType::String)),
            )),
        };
        assert_eq!(
            of_arguments(&signature),
            json!({
                "$schema": DRAFT,
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "times": {"type": "integer", "minimum": 0, "maximum": 4294967295u32},
                    "big": {"type": "integer", "minimum": 0, "maximum": u64::MAX},
                    "data": {"anyOf": [{"type": "string", "contentEncoding": "base64"}, {"type": "null"}]},
                    "pair": {"type": "array", "prefixItems": [{"type": "boolean"}, {"type": "number"}], "items": false, "minItems": 2, "maxItems": 2},
                    "color": {"type": "string", "enum": ["red", "dark-blue"]},
                    "shape": {"oneOf": [
                        {"const": "dot"},
                        {"type": "object", "properties": {"circle": {"type": "number"}}, "required": ["circle"], "additionalProperties": false}
                    ]}
                },
                "required": ["name", "times", "big", "pair", "color", "shape"]
            })
        );
        assert_eq!(
            of_result(&signature),
            json!({"$schema": DRAFT, "anyOf": [{"type": "number"}, {"enum": ["NaN", "inf", "-inf"]}]})
        );
        assert_eq!(
            of_result(&Signature { params: vec![], result: None }),
            json!({"$schema": DRAFT, "type": "null"})
        );
        assert_eq!(
            of_arguments(&Signature { params: vec![], result: None }),
            json!({"$schema": DRAFT, "type": "object", "properties": {}})
        );
    }

    #[test]
    fn own_schemas() {
        let schema = json!({"required": ["name"], "properties": {"name": {"type": "string"}, "n": {"type": ["integer", "null"]}, "x": {"type": "odd"}}});
        for good in [
            r#"{"name":"x"}"#,
            r#"{"name":"x","n":null,"more":1}"#,
            r#"{"name":"x","n":2.0,"x":1}"#,
        ] {
            assert_eq!(check(Some(&schema), good), Ok(()), "{good}");
        }
        for (bad, message) in [
            ("{}", r#"argument "name" is missing"#),
            (r#"{"name":7}"#, r#"argument "name": expected "string", got 7"#),
            (r#"{"name":"x","n":1.5}"#, r#"argument "n": expected ["integer","null"], got 1.5"#),
            ("[]", "the arguments must be a JSON object, got []"),
        ] {
            assert_eq!(check(Some(&schema), bad).unwrap_err(), message);
        }
        assert_eq!(check(None, "{\"a\":1}"), Ok(()));
        assert!(check(Some(&json!("nonsense")), "{}").is_ok());
    }
}
