//! The JSON Schema (draft 2020-12) of a signature: what forms, descriptions of the API and callers'
//! tools are made from.

use crate::shape::{Shape, Signature};
use crate::text;
use serde_json::{Map, Value, json};

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Which way the values go. Arguments are described by their plain form; results also by the forms
/// that only they take.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

/// The schema of the argument object.
pub(crate) fn of_arguments(signature: &Signature) -> Value {
    let mut schema = Map::new();
    schema.insert("$schema".into(), DRAFT.into());
    if let Value::Object(object) = object(&signature.params, Way::In) {
        schema.extend(object);
    }
    Value::Object(schema)
}

/// The schema of the result, of its `ok` side where it is a `result`: the other side is a script
/// error.
pub(crate) fn of_result(signature: &Signature) -> Value {
    let shape = match &signature.result {
        Some(Shape::Result(ok, _)) => ok.as_deref(),
        other => other.as_ref(),
    };
    let mut schema = Map::new();
    schema.insert("$schema".into(), DRAFT.into());
    if let Value::Object(inner) = side(shape, Way::Out) {
        schema.extend(inner);
    }
    Value::Object(schema)
}

fn side(shape: Option<&Shape>, way: Way) -> Value {
    shape.map_or_else(|| json!({"type": "null"}), |shape| of(shape, way))
}

fn of(shape: &Shape, way: Way) -> Value {
    match shape {
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Int(int) => {
            let (low, high) = int.range();
            // Every bound fits one of the two types that a JSON number here is made of.
            json!({"type": "integer", "minimum": i64::try_from(low).unwrap_or(i64::MIN), "maximum": u64::try_from(high).unwrap_or(u64::MAX)})
        }
        Shape::Float32 | Shape::Float64 => match way {
            Way::In => json!({"type": "number"}),
            Way::Out => json!({"anyOf": [{"type": "number"}, {"enum": ["NaN", "inf", "-inf"]}]}),
        },
        // JSON Schema counts code points, and a char is one.
        Shape::Char => json!({"type": "string", "minLength": 1, "maxLength": 1}),
        Shape::String => json!({"type": "string"}),
        Shape::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
        Shape::List(item) => json!({"type": "array", "items": of(item, way)}),
        Shape::Record(fields) => object(fields, way),
        Shape::Tuple(items) => {
            let prefix: Vec<Value> = items.iter().map(|item| of(item, way)).collect();
            let mut schema = json!({"type": "array", "items": false, "minItems": prefix.len(), "maxItems": prefix.len()});
            // An empty `prefixItems` is not allowed by the draft.
            if let (false, Value::Object(object)) = (prefix.is_empty(), &mut schema) {
                object.insert("prefixItems".into(), prefix.into());
            }
            schema
        }
        Shape::Variant(cases) => {
            let cases: Vec<Value> = cases
                .iter()
                .map(|(name, payload)| match payload {
                    None => json!({"const": name}),
                    Some(payload) => tagged(name, of(payload, way)),
                })
                .collect();
            json!({"oneOf": cases})
        }
        Shape::Enum(names) => json!({"type": "string", "enum": names}),
        Shape::Option(inner) => match &**inner {
            Shape::Option(_) => {
                json!({"anyOf": [{"type": "array", "prefixItems": [of(inner, way)], "items": false, "minItems": 1, "maxItems": 1}, {"type": "null"}]})
            }
            inner => json!({"anyOf": [of(inner, way), {"type": "null"}]}),
        },
        Shape::Result(ok, err) => {
            json!({"oneOf": [tagged("ok", side(ok.as_deref(), way)), tagged("err", side(err.as_deref(), way))]})
        }
        Shape::Flags(names) => {
            json!({"type": "array", "uniqueItems": true, "items": {"enum": names}})
        }
    }
}

/// An object with exactly one member.
fn tagged(name: &str, schema: Value) -> Value {
    json!({"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": false})
}

fn object(fields: &[(String, Shape)], way: Way) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, shape) in fields {
        // A result always has all of its members; of arguments, optional ones may be left out.
        if way == Way::Out || !matches!(shape, Shape::Option(_)) {
            required.push(Value::from(name.as_str()));
        }
        properties.insert(name.clone(), of(shape, way));
    }
    let mut schema = json!({"type": "object", "properties": properties});
    if let Value::Object(object) = &mut schema {
        if !required.is_empty() {
            object.insert("required".into(), required.into());
        }
        // Members that nothing asks for are left aside, not refused: senders add some when they
        // like.
        if way == Way::Out {
            object.insert("additionalProperties".into(), false.into());
        }
    }
    schema
}

/// Checks an argument object against a script's own schema, as far as that is cheap and beyond
/// doubt: required members and the plain types of members, at the top level. The script itself is
/// the judge of everything else.
pub(crate) fn check(schema: Option<&Value>, args: &str) -> Result<(), String> {
    let object: Map<String, Value> = match serde_json::from_str(args) {
        Ok(Value::Object(object)) => object,
        Ok(other) => {
            return Err(format!(
                "the arguments must be a JSON object, got {}",
                text::brief(&other.to_string())
            ));
        }
        Err(error) => return Err(format!("the arguments are not JSON: {error}")),
    };
    let Some(schema) = schema else { return Ok(()) };
    let required = schema.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        if !object.contains_key(name) {
            return Err(format!("argument \"{}\" is missing", text::brief(name)));
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
                text::brief(name),
                text::brief(&expected.to_string()),
                text::brief(&value.to_string())
            ));
        }
    }
    Ok(())
}

/// JSON Schema's seven types. An unknown one fits everything: it is not for us to judge.
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
    use crate::shape::Int;

    #[test]
    fn arguments_and_result() {
        let signature = Signature {
            params: vec![
                ("name".into(), Shape::String),
                ("times".into(), Shape::Int(Int::U32)),
                ("big".into(), Shape::Int(Int::U64)),
                ("data".into(), Shape::Option(Box::new(Shape::Bytes))),
                ("pair".into(), Shape::Tuple(vec![Shape::Bool, Shape::Float64])),
                ("color".into(), Shape::Enum(vec!["red".into(), "dark-blue".into()])),
                (
                    "shape".into(),
                    Shape::Variant(vec![
                        ("dot".into(), None),
                        ("circle".into(), Some(Shape::Float32)),
                    ]),
                ),
            ],
            result: Some(Shape::Result(
                Some(Box::new(Shape::Float64)),
                Some(Box::new(Shape::String)),
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
