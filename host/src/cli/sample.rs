//! Sample arguments from a JSON Schema, for the curl line that a push prints.

use serde_json::{Value, json};

/// The smallest object that has every required property, as far as the schema tells.
pub(crate) fn arguments(schema: Option<&Value>) -> Value {
    match schema {
        Some(schema) => of(schema, 0),
        None => json!({}),
    }
}

fn of(schema: &Value, depth: usize) -> Value {
    if depth > 8 {
        return Value::Null;
    }
    let first = |key: &str| schema.get(key).and_then(Value::as_array).and_then(|list| list.first());
    if let Some(constant) = schema
        .get("const")
        .or_else(|| schema.get("default"))
        .or_else(|| first("enum"))
        .or_else(|| first("examples"))
    {
        return constant.clone();
    }
    if let Some(choice) = first("anyOf").or_else(|| first("oneOf")) {
        return of(choice, depth + 1);
    }
    let kind = schema.get("type").and_then(|kind| {
        kind.as_str()
            .or_else(|| kind.as_array().and_then(|kinds| kinds.first()).and_then(Value::as_str))
    });
    match kind {
        Some("object") => {
            let required: Vec<&str> = schema
                .get("required")
                .and_then(Value::as_array)
                .map(|names| names.iter().filter_map(Value::as_str).collect())
                .unwrap_or_default();
            let properties = schema.get("properties").and_then(Value::as_object);
            let members = properties
                .into_iter()
                .flatten()
                .filter(|(name, _)| required.contains(&name.as_str()));
            Value::Object(
                members.map(|(name, property)| (name.clone(), of(property, depth + 1))).collect(),
            )
        }
        Some("string") => json!("text"),
        Some("integer" | "number") => schema
            .get("minimum")
            .filter(|least| least.as_f64() > Some(1.0))
            .cloned()
            .unwrap_or(json!(1)),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_only() {
        let schema = json!({"type":"object","properties":{
            "name":{"type":"string"},"times":{"anyOf":[{"type":"integer"},{"type":"null"}]},"mode":{"enum":["a","b"]},"inner":{"type":"object","properties":{"x":{"type":"boolean"}},"required":["x"]}},
            "required":["name","mode","inner"]});
        assert_eq!(arguments(Some(&schema)), json!({"name":"text","mode":"a","inner":{"x":true}}));
        assert_eq!(arguments(None), json!({}));
    }
}
