//! What is a reference, what is not, and what becomes of them.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn var(path: &str) -> Reference {
    Reference::Variable(path.parse().unwrap())
}

fn res(path: &str) -> Reference {
    Reference::Resource(path.parse().unwrap())
}

fn filled(text: &str, values: &[(Reference, &str)]) -> Result<String, InterpolateError> {
    let lookup = |wanted: &Reference| {
        values.iter().find(|(reference, _)| reference == wanted).map(|(_, text)| *text)
    };
    interpolate(text, &lookup, 10_000)
}

#[test]
fn what_is_a_reference() {
    for (text, expected) in [
        (r#"{"a":"$var:u/a/b"}"#, vec![var("u/a/b")]),
        (
            r#"{"a":["$res:f/a/b",{"c" : "$var:g/a/b"}],"d":"$res:f/a/b"}"#,
            vec![res("f/a/b"), var("g/a/b")],
        ),
        (r#""$var:u/a/b""#, vec![var("u/a/b")]),
        // The path may be escaped, the beginning may not.
        (r#"["$var:u\/a\u002fb"]"#, vec![var("u/a/b")]),
        (r#"{"a":"\u0024var:u/a/b"}"#, vec![]),
        (r#"{"a":"$\u0076ar:u/a/b"}"#, vec![]),
        (r#"{"a":" $var:u/a/b","b":"x$var:u/a/b","c":"$VAR:u/a/b","d":"$var"}"#, vec![]),
        (r#"{"a":"\"$var:u/a/b","b":"\\\"$var:u/a/b"}"#, vec![]),
        (r#"{"a":"\\","b":"$var:u/a/b"}"#, vec![var("u/a/b")]),
        // Keys are names.
        ("{\"$var:u/a/b\" \n: 1, \"$res:not a path\":2}", vec![]),
        ("1.10", vec![]),
        ("", vec![]),
    ] {
        assert_eq!(references(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_no_path() {
    for text in [
        r#""$var:""#,
        r#""$res:key""#,
        r#"["$var:u/a/../b"]"#,
        r#""$var:u/a/b c""#,
        r#""$var:f/a/b\u0000""#,
    ] {
        let BadReference::Path { text: named, .. } = references(text).unwrap_err() else {
            panic!("{text}")
        };
        assert!(named.starts_with('$'), "{named}");
    }
    let long = format!("\"$var:{}\"", "x".repeat(100_000));
    assert!(references(&long).unwrap_err().to_string().len() < 1_000);
    let many = |count: usize| {
        format!(
            "[{}]",
            (0..count).map(|n| format!("\"$var:u/a/{n}\"")).collect::<Vec<_>>().join(",")
        )
    };
    assert_eq!(references(&many(REFERENCES)).unwrap().len(), REFERENCES);
    assert_eq!(references(&many(REFERENCES + 1)), Err(BadReference::TooMany));
}

#[test]
fn everything_else_stays() {
    let values = [
        (var("u/a/k"), r#""se\"cret""#),
        (res("u/a/r"), r#"{"n" : 1.10, "k":"$var:u/a/k"}"#),
        (res("u/a/s"), r#"["$res:u/a/r", 1E+400]"#),
    ];
    for (text, expected) in [
        (
            r#"{"z" : 1.10,"a":"$var:u/a/k" ,"b":1E+400}"#,
            r#"{"z" : 1.10,"a":"se\"cret" ,"b":1E+400}"#,
        ),
        (r#"{"r":"$res:u/a/r"}"#, r#"{"r":{"n" : 1.10, "k":"se\"cret"}}"#),
        (
            r#"["$res:u/a/s","$res:u/a/s"]"#,
            r#"[[{"n" : 1.10, "k":"se\"cret"}, 1E+400],[{"n" : 1.10, "k":"se\"cret"}, 1E+400]]"#,
        ),
        (r#"{"a":"\u0024var:u/a/k"}"#, r#"{"a":"\u0024var:u/a/k"}"#),
    ] {
        assert_eq!(filled(text, &values).as_deref(), Ok(expected), "{text}");
    }
    // What a variable holds is text, whatever it looks like.
    assert_eq!(
        filled(r#"["$var:u/a/k"]"#, &[(var("u/a/k"), r#""$var:u/a/k""#)]).as_deref(),
        Ok(r#"["$var:u/a/k"]"#)
    );
}

#[test]
fn what_cannot_be_filled() {
    assert_eq!(filled(r#"["$var:u/a/k"]"#, &[]), Err(InterpolateError::Missing(var("u/a/k"))));
    let nested = [(res("u/a/r"), r#"["$res:u/a/none"]"#)];
    assert_eq!(
        filled(r#"["$res:u/a/r"]"#, &nested),
        Err(InterpolateError::Missing(res("u/a/none")))
    );
    let circle = [(res("u/a/r"), r#"["$res:u/a/s"]"#), (res("u/a/s"), r#"{"r":"$res:u/a/r"}"#)];
    assert_eq!(filled(r#"["$res:u/a/r"]"#, &circle), Err(InterpolateError::Cycle(res("u/a/r"))));
    let deep = |levels: usize| {
        let texts: Vec<String> = (0..levels).map(|n| format!("\"$res:u/a/r{}\"", n + 1)).collect();
        let mut values: Vec<(Reference, &str)> = texts
            .iter()
            .enumerate()
            .map(|(n, text)| (res(&format!("u/a/r{n}")), text.as_str()))
            .collect();
        values.push((res(&format!("u/a/r{levels}")), "1"));
        filled(r#"["$res:u/a/r0"]"#, &values)
    };
    assert_eq!(deep(REFERENCE_DEPTH).as_deref(), Ok("[1]"));
    assert!(matches!(deep(REFERENCE_DEPTH + 1), Err(InterpolateError::TooDeep(_))));
    let nested = format!("{}{}", "[".repeat(JSON_DEPTH - 1), "]".repeat(JSON_DEPTH - 1));
    assert_eq!(
        filled(r#"{"a":"$res:u/a/r"}"#, &[(res("u/a/r"), &nested)]),
        Err(InterpolateError::TooNested)
    );
}

/// A billion laughs: ten resources, each with the next one ten times.
#[test]
fn growth_is_bounded() {
    let ten = |n: usize| format!("[{}]", vec![format!("\"$res:u/a/r{n}\""); 10].join(","));
    let texts: Vec<String> = (1..=10).map(ten).collect();
    let mut values: Vec<(Reference, &str)> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| (res(&format!("u/a/r{n}")), text.as_str()))
        .collect();
    values.push((res("u/a/r10"), "\"lol\""));
    assert_eq!(filled(r#"["$res:u/a/r0"]"#, &values), Err(InterpolateError::TooLarge(10_000)));
}

fn tree() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        Just("$var:u/a/v".to_owned()),
        Just("$res:u/a/r".to_owned()),
        Just("$var:u/a/\"".to_owned()),
        "[$\\\\\" vr:a-]{0,8}",
        ".{0,6}"
    ];
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::from),
        Just(Value::Null),
        text.prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[$var:u/\\\\\"]{0,6}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The same on parsed JSON.
fn expected(value: &Value) -> Result<Value, ()> {
    Ok(match value {
        Value::String(text) if text == "$var:u/a/v" => json!("secret"),
        Value::String(text) if text == "$res:u/a/r" => json!({"k": [1, "secret"]}),
        Value::String(text) if text.starts_with("$var:") || text.starts_with("$res:") => {
            return Err(());
        }
        Value::Array(items) => Value::Array(items.iter().map(expected).collect::<Result<_, _>>()?),
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| Ok((key.clone(), expected(value)?)));
            Value::Object(members.collect::<Result<_, ()>>()?)
        }
        other => other.clone(),
    })
}

proptest! {
    #[test]
    fn as_on_parsed_json(tree in tree(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&tree) } else { serde_json::to_string(&tree) }.unwrap();
        let values = [(var("u/a/v"), r#""secret""#), (res("u/a/r"), r#"{"k":[1,"$var:u/a/v"]}"#)];
        let found = filled(&text, &values);
        match expected(&tree) {
            Ok(expected) => {
                prop_assert_eq!(serde_json::from_str::<Value>(&found.unwrap()).unwrap(), expected);
                prop_assert_eq!(references(&text).unwrap().is_empty(), expected_none(&tree));
            }
            Err(()) => prop_assert!(matches!(found, Err(InterpolateError::Bad(_))), "{found:?}"),
        }
    }

    #[test]
    fn without_references_nothing_changes(text in ".{0,40}") {
        let json = serde_json::to_string(&json!({"a": [text, 1.5]})).unwrap().replace("\"$", "\"\\u0024");
        prop_assert!(!may_refer(&json));
        prop_assert_eq!(filled(&json, &[]).unwrap(), json);
    }

    #[test]
    fn never_panics(text in ".{0,60}") {
        let _ = references(&text);
        let _ = filled(&text, &[]);
    }
}

fn expected_none(tree: &Value) -> bool {
    expected(tree).as_ref() == Ok(tree)
}

#[test]
fn text_is_never_a_reference() {
    for text in ["$var:u/a/b", "$res:u/a/\"b\"", "$", "$varu/a", "x$var:u/a/b", ""] {
        let quoted = quote_text(text);
        assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
        assert_eq!(references(&quoted), Ok(vec![]));
    }
    assert_eq!(quote_text("$var:u/a/b"), r#""\u0024var:u/a/b""#);
}
