//! Tables of accepted and refused arguments, and the property that values survive the way out and
//! back in.

use super::*;
use crate::value_type::{IntType, Signature, ValueType};
use proptest::prelude::*;
use wasmtime::component::Val;

fn boxed(ty: ValueType) -> Box<ValueType> {
    Box::new(ty)
}

fn one(ty: ValueType) -> Signature {
    Signature { params: vec![("a".into(), ty)], result: None }
}

fn read(ty: &ValueType, json: &str) -> Result<Val, String> {
    arguments(&one(ty.clone()), &format!("{{\"a\":{json}}}")).map(|mut read| read.values.remove(0))
}

fn point() -> ValueType {
    ValueType::Record(vec![
        ("x".into(), ValueType::Int(IntType::S32)),
        ("line-width".into(), ValueType::Option(boxed(ValueType::Float64))),
    ])
}

fn figure() -> ValueType {
    ValueType::Variant(vec![("dot".into(), None), ("dark-circle".into(), Some(ValueType::Float64))])
}

#[test]
fn accepted_forms() {
    let names = || vec!["read-only".to_owned(), "hidden".to_owned()];
    let option2 =
        || ValueType::Option(boxed(ValueType::Option(boxed(ValueType::Int(IntType::U32)))));
    let result = || ValueType::Result(Some(boxed(ValueType::Int(IntType::U8))), None);
    for (ty, input, output) in [
        (ValueType::Bool, "true", "true"),
        (ValueType::Int(IntType::U64), "18446744073709551615", "18446744073709551615"),
        (ValueType::Int(IntType::U64), "\"18446744073709551615\"", "18446744073709551615"),
        (ValueType::Int(IntType::S64), "-9223372036854775808", "-9223372036854775808"),
        (ValueType::Int(IntType::S8), "-128", "-128"),
        (ValueType::Int(IntType::U32), "1e3", "1000"),
        (ValueType::Int(IntType::U32), "5.0", "5"),
        (ValueType::Float64, "0.1", "0.1"),
        (ValueType::Float64, "1e308", "1e+308"),
        (ValueType::Float64, "\"NaN\"", "\"NaN\""),
        (ValueType::Float32, "\"-inf\"", "\"-inf\""),
        (ValueType::Float32, "\"Infinity\"", "\"inf\""),
        (ValueType::Float32, "0.1", "0.1"),
        (ValueType::Char, "\"ß\"", "\"ß\""),
        (ValueType::String, r#""a\u0000\"b""#, r#""a\u0000\"b""#),
        (ValueType::Bytes, "\"aGk=\"", "\"aGk=\""),
        (ValueType::Bytes, "\"_-8\"", "\"/+8=\""),
        (ValueType::Bytes, "[104,105]", "\"aGk=\""),
        (ValueType::List(boxed(ValueType::String)), r#"["a","b"]"#, r#"["a","b"]"#),
        (
            ValueType::Tuple(vec![ValueType::Bool, ValueType::String]),
            r#"[true,"x"]"#,
            r#"[true,"x"]"#,
        ),
        (ValueType::Tuple(vec![]), "[]", "[]"),
        (point(), r#"{"x":1,"line_width":2.5}"#, r#"{"x":1,"line-width":2.5}"#),
        (point(), r#"{"line-width":null,"x":1}"#, r#"{"x":1,"line-width":null}"#),
        (point(), r#"{"x":1,"x":2}"#, r#"{"x":2,"line-width":null}"#),
        (figure(), "\"dot\"", "\"dot\""),
        (figure(), "{\"dot\":null}", "\"dot\""),
        (figure(), "{\"dark_circle\":1.5}", "{\"dark-circle\":1.5}"),
        (ValueType::Enum(names()), "\"read_only\"", "\"read-only\""),
        (
            ValueType::Flags(names()),
            "[\"hidden\",\"hidden\",\"read-only\"]",
            "[\"hidden\",\"read-only\"]",
        ),
        (ValueType::Flags(names()), "[]", "[]"),
        (option2(), "null", "null"),
        (option2(), "[null]", "[null]"),
        (option2(), "[7]", "[7]"),
        (result(), "{\"ok\":7}", "{\"ok\":7}"),
        (result(), "{\"err\":null}", "{\"err\":null}"),
        (result(), "\"err\"", "{\"err\":null}"),
    ] {
        let value = read(&ty, input).unwrap_or_else(|error| panic!("{ty:?} from {input}: {error}"));
        assert_eq!(to_json(&ty, &value, 1000).as_deref(), Ok(output), "{ty:?} from {input}");
    }
}

#[test]
fn refusals_name_the_place() {
    let nested = ValueType::List(boxed(point()));
    for (ty, input, message) in [
        (
            ValueType::Int(IntType::U32),
            "\"two\"",
            r#"argument "a": expected an integer from 0 to 4294967295, got "two""#,
        ),
        (
            ValueType::Int(IntType::U8),
            "256",
            r#"argument "a": expected an integer from 0 to 255, got 256"#,
        ),
        (
            ValueType::Int(IntType::U64),
            "18446744073709551616",
            r#"argument "a": expected an integer from 0 to 18446744073709551615, got 1.8446744073709552e+19"#,
        ),
        (
            ValueType::Int(IntType::S64),
            "1.5",
            r#"argument "a": expected an integer from -9223372036854775808 to 9223372036854775807, got 1.5"#,
        ),
        (ValueType::Bool, "1", r#"argument "a": expected true or false, got 1"#),
        (
            ValueType::Char,
            "\"ab\"",
            r#"argument "a": expected a string of one character, got "ab""#,
        ),
        (ValueType::String, "null", r#"argument "a": expected a string, got null"#),
        (
            ValueType::Bytes,
            "\"?\"",
            r#"argument "a": expected base64 text or an array of numbers from 0 to 255, got "?""#,
        ),
        (
            ValueType::Bytes,
            "[1,300]",
            r#"argument "a[1]": expected an integer from 0 to 255, got 300"#,
        ),
        (
            nested.clone(),
            r#"[{"x":1},{"x":"y"}]"#,
            r#"argument "a[1].x": expected an integer from -2147483648 to 2147483647, got "y""#,
        ),
        (nested.clone(), "[{}]", r#"argument "a[0]": the key "x" is missing"#),
        (nested, "{}", r#"argument "a": expected an array, got {}"#),
        (
            ValueType::Tuple(vec![ValueType::Bool]),
            "[true,true]",
            r#"argument "a": expected an array of 1 items, got [true,true]"#,
        ),
        (
            figure(),
            "\"square\"",
            r#"argument "a": expected one of "dot", {"dark-circle": ..}, got "square""#,
        ),
        (
            figure(),
            "\"dark-circle\"",
            r#"argument "a": expected one of "dot", {"dark-circle": ..}, got "dark-circle""#,
        ),
        (
            figure(),
            "{\"dark-circle\":\"x\"}",
            r#"argument "a.dark-circle": expected a number, "NaN", "inf" or "-inf", got "x""#,
        ),
        (
            ValueType::Enum(vec!["red".into()]),
            "\"blue\"",
            r#"argument "a": expected one of "red", got "blue""#,
        ),
        (
            ValueType::Flags(vec!["red".into()]),
            "[\"blue\"]",
            r#"argument "a": expected names out of "red", got "blue""#,
        ),
        (
            ValueType::Option(boxed(ValueType::Option(boxed(ValueType::Bool)))),
            "true",
            r#"argument "a": expected null or an array of one item, got true"#,
        ),
        (
            ValueType::Result(None, None),
            "{\"ok\":1}",
            r#"argument "a": expected {"ok": null}, got 1"#,
        ),
    ] {
        assert_eq!(read(&ty, input).unwrap_err(), message, "{ty:?} from {input}");
    }
    assert!(
        read(&ValueType::Bool, &format!("\"{}\"", "x".repeat(10_000))).unwrap_err().len() < 200
    );
}

#[test]
fn the_object_itself() {
    let signature = Signature {
        params: vec![
            ("user-name".into(), ValueType::String),
            ("times".into(), ValueType::Option(boxed(ValueType::Int(IntType::U32)))),
        ],
        result: None,
    };
    assert!(arguments(&signature, r#"{"user_name":"x"}"#).unwrap().ignored.is_empty());
    let read = arguments(&signature, r#"{"user-name":"x","tmies":1,"times":2}"#).unwrap();
    assert_eq!((read.values.len(), read.ignored), (2, vec!["tmies".to_owned()]));
    let many: String = (0..1000).map(|n| format!(",\"k{n}\":1")).collect();
    assert_eq!(
        arguments(&signature, &format!("{{\"user-name\":\"x\"{many}}}")).unwrap().ignored.len(),
        10
    );
    for (args, message) in [
        (r#"{}"#, r#"argument "user-name" is missing"#),
        (
            r#"{"user_nmae":"x"}"#,
            r#"argument "user-name" is missing; the call has "user_nmae", which main does not take"#,
        ),
        ("[1]", "the arguments must be a JSON object, got [1]"),
        ("{", "the arguments are not JSON: EOF while parsing an object at line 1 column 1"),
    ] {
        assert_eq!(arguments(&signature, args).unwrap_err(), message);
    }
}

#[test]
fn bombs_are_counted_before_they_are_built() {
    let bytes = one(ValueType::Bytes);
    let array = format!("{{\"a\":[{}1]}}", "1,".repeat(5_000_000));
    assert!(arguments(&bytes, &array).unwrap_err().contains("more than 4000000 values"));
    let text = format!("{{\"a\":\"{}\"}}", "AAAA".repeat(1_500_000));
    assert!(arguments(&bytes, &text).unwrap_err().contains("more than 4000000 values"));
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    assert!(arguments(&bytes, &deep).unwrap_err().contains("recursion limit"));
}

#[test]
fn results_stop_at_their_limit() {
    let list = Val::List((0..100).map(|_| Val::U8(7)).collect());
    assert_eq!(to_json(&ValueType::Bytes, &list, 138).unwrap().len(), 138);
    assert_eq!(to_json(&ValueType::Bytes, &list, 137), Err(WriteError::TooLarge));
    assert_eq!(to_json(&ValueType::String, &Val::String("x".into()), 2), Err(WriteError::TooLarge));
}

/// A ty with a value of it. NaN is left out because it equals nothing.
fn shaped() -> impl Strategy<Value = (ValueType, Val)> {
    let float = prop_oneof![any::<f64>().prop_filter("NaN", |f| !f.is_nan()), Just(f64::INFINITY)];
    let leaf = prop_oneof![
        any::<bool>().prop_map(|v| (ValueType::Bool, Val::Bool(v))),
        any::<i64>().prop_map(|v| (ValueType::Int(IntType::S64), Val::S64(v))),
        any::<u64>().prop_map(|v| (ValueType::Int(IntType::U64), Val::U64(v))),
        any::<i8>().prop_map(|v| (ValueType::Int(IntType::S8), Val::S8(v))),
        float.prop_map(|v| (ValueType::Float64, Val::Float64(v))),
        any::<f32>()
            .prop_filter("NaN", |f| !f.is_nan())
            .prop_map(|v| (ValueType::Float32, Val::Float32(v))),
        any::<char>().prop_map(|v| (ValueType::Char, Val::Char(v))),
        any::<String>().prop_map(|v| (ValueType::String, Val::String(v))),
        any::<Vec<u8>>()
            .prop_map(|v| (ValueType::Bytes, Val::List(v.into_iter().map(Val::U8).collect()))),
        any::<bool>().prop_map(|v| (
            ValueType::Enum(vec!["a-b".into(), "c".into()]),
            Val::Enum(if v { "a-b" } else { "c" }.into())
        )),
        any::<bool>().prop_map(|v| (
            ValueType::Flags(vec!["x".into(), "y".into()]),
            Val::Flags(if v { vec!["y".into()] } else { vec![] })
        )),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            (inner.clone(), 0usize..4).prop_map(|((s, v), n)| match s {
                // A list of bytes has its own form.
                ValueType::Int(IntType::U8) => (ValueType::Bytes, Val::List(vec![v; n])),
                s => (ValueType::List(Box::new(s)), Val::List(vec![v; n])),
            }),
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| {
                let (types, values) = items.into_iter().unzip();
                (ValueType::Tuple(types), Val::Tuple(values))
            }),
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| {
                let (types, values) = items
                    .into_iter()
                    .enumerate()
                    .map(|(i, (s, v))| ((format!("f-{i}"), s), (format!("f-{i}"), v)))
                    .unzip();
                (ValueType::Record(types), Val::Record(values))
            }),
            (inner.clone(), any::<bool>()).prop_map(|((s, v), some)| (
                ValueType::Option(Box::new(s)),
                Val::Option(some.then(|| Box::new(v)))
            )),
            (inner.clone(), any::<bool>()).prop_map(|((s, v), ok)| (
                ValueType::Result(Some(Box::new(s.clone())), Some(Box::new(s))),
                Val::Result(if ok { Ok(Some(Box::new(v))) } else { Err(Some(Box::new(v))) })
            )),
            inner.prop_map(|(s, v)| (
                ValueType::Variant(vec![("none".into(), None), ("some".into(), Some(s))]),
                Val::Variant("some".into(), Some(Box::new(v)))
            )),
        ]
    })
}

proptest! {
    #[test]
    fn out_and_back_in((ty, value) in shaped()) {
        let json = to_json(&ty, &value, 1 << 20).unwrap();
        prop_assert_eq!(read(&ty, &json).unwrap(), value, "{}", json);
    }

    #[test]
    fn any_json_is_read_or_refused((ty, _) in shaped(), (_, other) in shaped().prop_map(|(s, v)| { let j = to_json(&s, &v, 1 << 20).unwrap(); (s, j) })) {
        let _ = read(&ty, &other);
    }
}
