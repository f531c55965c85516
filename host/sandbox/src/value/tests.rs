//! Tables of accepted and refused arguments, and the property that values survive the way out and
//! back in.

use super::*;
use crate::shape::{Int, Shape, Signature};
use proptest::prelude::*;
use wasmtime::component::Val;

fn boxed(shape: Shape) -> Box<Shape> {
    Box::new(shape)
}

fn one(shape: Shape) -> Signature {
    Signature { params: vec![("a".into(), shape)], result: None }
}

fn read(shape: &Shape, json: &str) -> Result<Val, String> {
    arguments(&one(shape.clone()), &format!("{{\"a\":{json}}}"))
        .map(|mut read| read.values.remove(0))
}

fn point() -> Shape {
    Shape::Record(vec![
        ("x".into(), Shape::Int(Int::S32)),
        ("line-width".into(), Shape::Option(boxed(Shape::Float64))),
    ])
}

fn figure() -> Shape {
    Shape::Variant(vec![("dot".into(), None), ("dark-circle".into(), Some(Shape::Float64))])
}

#[test]
fn accepted_forms() {
    let names = || vec!["read-only".to_owned(), "hidden".to_owned()];
    let option2 = || Shape::Option(boxed(Shape::Option(boxed(Shape::Int(Int::U32)))));
    let result = || Shape::Result(Some(boxed(Shape::Int(Int::U8))), None);
    for (shape, input, output) in [
        (Shape::Bool, "true", "true"),
        (Shape::Int(Int::U64), "18446744073709551615", "18446744073709551615"),
        (Shape::Int(Int::U64), "\"18446744073709551615\"", "18446744073709551615"),
        (Shape::Int(Int::S64), "-9223372036854775808", "-9223372036854775808"),
        (Shape::Int(Int::S8), "-128", "-128"),
        (Shape::Int(Int::U32), "1e3", "1000"),
        (Shape::Int(Int::U32), "5.0", "5"),
        (Shape::Float64, "0.1", "0.1"),
        (Shape::Float64, "1e308", "1e+308"),
        (Shape::Float64, "\"NaN\"", "\"NaN\""),
        (Shape::Float32, "\"-inf\"", "\"-inf\""),
        (Shape::Float32, "\"Infinity\"", "\"inf\""),
        (Shape::Float32, "0.1", "0.1"),
        (Shape::Char, "\"ß\"", "\"ß\""),
        (Shape::String, r#""a\u0000\"b""#, r#""a\u0000\"b""#),
        (Shape::Bytes, "\"aGk=\"", "\"aGk=\""),
        (Shape::Bytes, "\"_-8\"", "\"/+8=\""),
        (Shape::Bytes, "[104,105]", "\"aGk=\""),
        (Shape::List(boxed(Shape::String)), r#"["a","b"]"#, r#"["a","b"]"#),
        (Shape::Tuple(vec![Shape::Bool, Shape::String]), r#"[true,"x"]"#, r#"[true,"x"]"#),
        (Shape::Tuple(vec![]), "[]", "[]"),
        (point(), r#"{"x":1,"line_width":2.5}"#, r#"{"x":1,"line-width":2.5}"#),
        (point(), r#"{"line-width":null,"x":1}"#, r#"{"x":1,"line-width":null}"#),
        (point(), r#"{"x":1,"x":2}"#, r#"{"x":2,"line-width":null}"#),
        (figure(), "\"dot\"", "\"dot\""),
        (figure(), "{\"dot\":null}", "\"dot\""),
        (figure(), "{\"dark_circle\":1.5}", "{\"dark-circle\":1.5}"),
        (Shape::Enum(names()), "\"read_only\"", "\"read-only\""),
        (
            Shape::Flags(names()),
            "[\"hidden\",\"hidden\",\"read-only\"]",
            "[\"hidden\",\"read-only\"]",
        ),
        (Shape::Flags(names()), "[]", "[]"),
        (option2(), "null", "null"),
        (option2(), "[null]", "[null]"),
        (option2(), "[7]", "[7]"),
        (result(), "{\"ok\":7}", "{\"ok\":7}"),
        (result(), "{\"err\":null}", "{\"err\":null}"),
        (result(), "\"err\"", "{\"err\":null}"),
    ] {
        let value =
            read(&shape, input).unwrap_or_else(|error| panic!("{shape:?} from {input}: {error}"));
        assert_eq!(to_json(&shape, &value, 1000).as_deref(), Ok(output), "{shape:?} from {input}");
    }
}

#[test]
fn refusals_name_the_place() {
    let nested = Shape::List(boxed(point()));
    for (shape, input, message) in [
        (
            Shape::Int(Int::U32),
            "\"two\"",
            r#"argument "a": expected an integer from 0 to 4294967295, got "two""#,
        ),
        (Shape::Int(Int::U8), "256", r#"argument "a": expected an integer from 0 to 255, got 256"#),
        (
            Shape::Int(Int::U64),
            "18446744073709551616",
            r#"argument "a": expected an integer from 0 to 18446744073709551615, got 1.8446744073709552e+19"#,
        ),
        (
            Shape::Int(Int::S64),
            "1.5",
            r#"argument "a": expected an integer from -9223372036854775808 to 9223372036854775807, got 1.5"#,
        ),
        (Shape::Bool, "1", r#"argument "a": expected true or false, got 1"#),
        (Shape::Char, "\"ab\"", r#"argument "a": expected a string of one character, got "ab""#),
        (Shape::String, "null", r#"argument "a": expected a string, got null"#),
        (
            Shape::Bytes,
            "\"?\"",
            r#"argument "a": expected base64 text or an array of numbers from 0 to 255, got "?""#,
        ),
        (Shape::Bytes, "[1,300]", r#"argument "a[1]": expected an integer from 0 to 255, got 300"#),
        (
            nested.clone(),
            r#"[{"x":1},{"x":"y"}]"#,
            r#"argument "a[1].x": expected an integer from -2147483648 to 2147483647, got "y""#,
        ),
        (nested.clone(), "[{}]", r#"argument "a[0]": the key "x" is missing"#),
        (nested, "{}", r#"argument "a": expected an array, got {}"#),
        (
            Shape::Tuple(vec![Shape::Bool]),
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
            Shape::Enum(vec!["red".into()]),
            "\"blue\"",
            r#"argument "a": expected one of "red", got "blue""#,
        ),
        (
            Shape::Flags(vec!["red".into()]),
            "[\"blue\"]",
            r#"argument "a": expected names out of "red", got "blue""#,
        ),
        (
            Shape::Option(boxed(Shape::Option(boxed(Shape::Bool)))),
            "true",
            r#"argument "a": expected null or an array of one item, got true"#,
        ),
        (Shape::Result(None, None), "{\"ok\":1}", r#"argument "a": expected {"ok": null}, got 1"#),
    ] {
        assert_eq!(read(&shape, input).unwrap_err(), message, "{shape:?} from {input}");
    }
    assert!(read(&Shape::Bool, &format!("\"{}\"", "x".repeat(10_000))).unwrap_err().len() < 200);
}

#[test]
fn the_object_itself() {
    let signature = Signature {
        params: vec![
            ("user-name".into(), Shape::String),
            ("times".into(), Shape::Option(boxed(Shape::Int(Int::U32)))),
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
    let bytes = one(Shape::Bytes);
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
    assert_eq!(to_json(&Shape::Bytes, &list, 138).unwrap().len(), 138);
    assert_eq!(to_json(&Shape::Bytes, &list, 137), Err(Full::TooLarge));
    assert_eq!(to_json(&Shape::String, &Val::String("x".into()), 2), Err(Full::TooLarge));
}

/// A shape with a value of it. NaN is left out because it equals nothing.
fn shaped() -> impl Strategy<Value = (Shape, Val)> {
    let float = prop_oneof![any::<f64>().prop_filter("NaN", |f| !f.is_nan()), Just(f64::INFINITY)];
    let leaf = prop_oneof![
        any::<bool>().prop_map(|v| (Shape::Bool, Val::Bool(v))),
        any::<i64>().prop_map(|v| (Shape::Int(Int::S64), Val::S64(v))),
        any::<u64>().prop_map(|v| (Shape::Int(Int::U64), Val::U64(v))),
        any::<i8>().prop_map(|v| (Shape::Int(Int::S8), Val::S8(v))),
        float.prop_map(|v| (Shape::Float64, Val::Float64(v))),
        any::<f32>()
            .prop_filter("NaN", |f| !f.is_nan())
            .prop_map(|v| (Shape::Float32, Val::Float32(v))),
        any::<char>().prop_map(|v| (Shape::Char, Val::Char(v))),
        any::<String>().prop_map(|v| (Shape::String, Val::String(v))),
        any::<Vec<u8>>()
            .prop_map(|v| (Shape::Bytes, Val::List(v.into_iter().map(Val::U8).collect()))),
        any::<bool>().prop_map(|v| (
            Shape::Enum(vec!["a-b".into(), "c".into()]),
            Val::Enum(if v { "a-b" } else { "c" }.into())
        )),
        any::<bool>().prop_map(|v| (
            Shape::Flags(vec!["x".into(), "y".into()]),
            Val::Flags(if v { vec!["y".into()] } else { vec![] })
        )),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            (inner.clone(), 0usize..4).prop_map(|((s, v), n)| match s {
                // A list of bytes has its own form.
                Shape::Int(Int::U8) => (Shape::Bytes, Val::List(vec![v; n])),
                s => (Shape::List(Box::new(s)), Val::List(vec![v; n])),
            }),
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| {
                let (shapes, values) = items.into_iter().unzip();
                (Shape::Tuple(shapes), Val::Tuple(values))
            }),
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| {
                let (shapes, values) = items
                    .into_iter()
                    .enumerate()
                    .map(|(i, (s, v))| ((format!("f-{i}"), s), (format!("f-{i}"), v)))
                    .unzip();
                (Shape::Record(shapes), Val::Record(values))
            }),
            (inner.clone(), any::<bool>()).prop_map(|((s, v), some)| (
                Shape::Option(Box::new(s)),
                Val::Option(some.then(|| Box::new(v)))
            )),
            (inner.clone(), any::<bool>()).prop_map(|((s, v), ok)| (
                Shape::Result(Some(Box::new(s.clone())), Some(Box::new(s))),
                Val::Result(if ok { Ok(Some(Box::new(v))) } else { Err(Some(Box::new(v))) })
            )),
            inner.prop_map(|(s, v)| (
                Shape::Variant(vec![("none".into(), None), ("some".into(), Some(s))]),
                Val::Variant("some".into(), Some(Box::new(v)))
            )),
        ]
    })
}

proptest! {
    #[test]
    fn out_and_back_in((shape, value) in shaped()) {
        let json = to_json(&shape, &value, 1 << 20).unwrap();
        prop_assert_eq!(read(&shape, &json).unwrap(), value, "{}", json);
    }

    #[test]
    fn any_json_is_read_or_refused((shape, _) in shaped(), (_, other) in shaped().prop_map(|(s, v)| { let j = to_json(&s, &v, 1 << 20).unwrap(); (s, j) })) {
        let _ = read(&shape, &other);
    }
}
