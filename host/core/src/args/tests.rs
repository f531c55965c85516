use super::*;
use base64::Engine as _;
use proptest::prelude::*;

/// A request of a table's row.
#[derive(Clone, Copy)]
struct Request<'a> {
    get: bool,
    content_type: Option<&'a str>,
    query: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: &'a [u8],
}

const POST: Request<'static> = Request { get: false, content_type: Some("application/json"), query: "", headers: &[], body: b"" };
const GET: Request<'static> = Request { get: true, content_type: None, ..POST };

fn built(request: Request<'_>) -> Result<String, ArgsError> {
    let header = |name: &str| request.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| Cow::Borrowed(*value));
    let parts = Parts {
        get: request.get,
        content_type: request.content_type,
        query: request.query,
        header: &header,
        include_headers: "",
        body: request.body,
    };
    build(&parts).map(Arguments::into_string)
}

#[test]
fn json_bodies() {
    for (query, body, expected) in [
        ("", r#"{"a":1}"#, r#"{"a":1}"#),
        ("", "[1,2,3]", r#"{"body":[1,2,3]}"#),
        ("", "null", r#"{"body":null}"#),
        ("", "\"s\"", r#"{"body":"s"}"#),
        ("", " \n\t {\"a\":1}\r\n", r#"{"a":1}"#),
        ("", "", "{}"),
        ("", "  ", "{}"),
        ("", r#"{"z":12345678901234567890,"a":1.10,"e":1E+400}"#, r#"{"z":12345678901234567890,"a":1.10,"e":1E+400}"#),
        ("wrap_body=true", r#"{"a":1}"#, r#"{"body":{"a":1}}"#),
        ("wrap_body=true", "[1]", r#"{"body":[1]}"#),
        ("wrap_body=true", "", r#"{"body":{}}"#),
        ("wrap_body=false", r#"{"a":1}"#, r#"{"a":1}"#),
        ("raw=true", r#"{"a":1}"#, r#"{"a":1,"raw_string":"{\"a\":1}"}"#),
        ("raw=true", " {\"a\" : 1.10} ", r#"{"a":1.10,"raw_string":" {\"a\" : 1.10} "}"#),
        ("raw=true", "", r#"{"raw_string":""}"#),
        ("raw=true", r#"{"raw_string":1,"b":2}"#, r#"{"b":2,"raw_string":"{\"raw_string\":1,\"b\":2}"}"#),
        ("raw=true&wrap_body=true", r#"{"a":1}"#, r#"{"body":{"a":1},"raw_string":"{\"a\":1}"}"#),
        ("include_query=a&a=2", r#"{"a":1,"b":1}"#, r#"{"b":1,"a":"2"}"#),
        ("include_query=a,b,c&a=1&a=x%20y+z&b=", "{}", r#"{"a":"x y z","b":""}"#),
        ("include_query=token&token=secret", "{}", "{}"),
        ("include_query=raw_string&raw_string=no&raw=true", "[]", r#"{"body":[],"raw_string":"[]"}"#),
        ("raw=true&include_query=a&a=1", r#"{"a":0,"a":2,"k":3}"#, r#"{"k":3,"a":"1","raw_string":"{\"a\":0,\"a\":2,\"k\":3}"}"#),
    ] {
        let request = Request { query, body: body.as_bytes(), ..POST };
        assert_eq!(built(request).as_deref(), Ok(expected), "{query} {body}");
        assert_eq!(built(Request { content_type: None, ..request }).as_deref(), Ok(expected), "without content type: {query} {body}");
        assert_eq!(built(Request { content_type: Some("Application/JSON; charset=utf-8"), ..request }).as_deref(), Ok(expected));
    }
}

#[test]
fn headers() {
    let request = Request { headers: &[("X-Sign", "v"), ("foo", "q\"uote"), ("X-Sign", "second")], body: br#"{"x_sign":1,"b":2}"#, ..POST };
    for (query, expected) in [
        ("include_header=X-Sign,foo,missing", r#"{"b":2,"x_sign":"v","foo":"q\"uote"}"#),
        ("include_header=x-sign&include_query=x_sign&x_sign=query", r#"{"b":2,"x_sign":"query"}"#),
        ("include_header=", r#"{"x_sign":1,"b":2}"#),
    ] {
        assert_eq!(built(Request { query, ..request }).as_deref(), Ok(expected), "{query}");
    }
    let header = |name: &str| (name == "x-always").then_some(Cow::Borrowed("1"));
    let parts = Parts { get: false, content_type: None, query: "", header: &header, include_headers: "X-Always,other", body: b"" };
    assert_eq!(build(&parts).map(Arguments::into_string).as_deref(), Ok(r#"{"x_always":"1"}"#));
}

#[test]
fn other_bodies() {
    for (content_type, query, body, expected) in [
        ("text/plain", "", "hi", r#"{"raw_string":"hi"}"#),
        ("text/csv; charset=utf-8", "", "a;b", r#"{"raw_string":"a;b"}"#),
        ("application/xml", "", "<a/>", r#"{"raw_string":"<a/>"}"#),
        ("application/atom+xml", "", "<a/>", r#"{"raw_string":"<a/>"}"#),
        ("text/plain", "wrap_body=true", "hi", r#"{"body":{},"raw_string":"hi"}"#),
        ("application/x-www-form-urlencoded", "", "a=1&a=2&b=&c=x+%C3%A9", r#"{"a":"2","b":"","c":"x é"}"#),
        ("application/x-www-form-urlencoded", "raw=true", "a=1", r#"{"a":"1","raw_string":"a=1"}"#),
        ("application/x-www-form-urlencoded", "wrap_body=true", "a=1", r#"{"body":{"a":"1"}}"#),
        ("image/png", "", "\u{1}hi", r#"{"raw_base64":"AWhp","content_type":"image/png"}"#),
        ("application/vnd.api+json", "", r#"{"a":1}"#, r#"{"a":1}"#),
    ] {
        assert_eq!(
            built(Request { content_type: Some(content_type), query, body: body.as_bytes(), ..POST }).as_deref(),
            Ok(expected),
            "{content_type} {query} {body}"
        );
    }
}

#[test]
fn payloads() {
    for (payload, expected) in [
        ("eyJhIjoyfQ%3D%3D", r#"{"a":2}"#),
        ("eyJhIjoyfQ", r#"{"a":2}"#),
        ("WzFd", r#"{"body":[1]}"#),
        // {"a":"~~?>"} has + and / in the standard alphabet
        ("eyJhIjoifn4/PiJ9", r#"{"a":"~~?>"}"#),
        ("eyJhIjoifn4_PiJ9", r#"{"a":"~~?>"}"#),
        // {"a":"~?>~"}: an unescaped plus arrives as a space
        ("eyJhIjoi+D4ifQ==", r#"x"#),
    ] {
        let query = format!("payload={payload}");
        let got = built(Request { query: &query, ..GET });
        if expected == "x" {
            assert!(matches!(got, Err(ArgsError::Body(ref why)) if why.contains("UTF-8")), "decodes, but not to text: {got:?}");
        } else {
            assert_eq!(got.as_deref(), Ok(expected), "{payload}");
        }
    }
    assert_eq!(built(GET).as_deref(), Ok("{}"));
    assert_eq!(built(Request { query: "include_query=a&a=1&payload=eyJhIjoyfQ", ..GET }).as_deref(), Ok(r#"{"a":"1"}"#));
    for bad in ["payload=%%%", "payload=e30!", "payload=aGVsbG8"] {
        assert!(matches!(built(Request { query: bad, ..GET }), Err(ArgsError::Body(why)) if why.contains("payload")), "{bad}");
    }
}

#[test]
fn refusals() {
    let malformed = built(Request { body: b"{\n  \"a\": 1,\n  oops\n}", ..POST }).unwrap_err().to_string();
    assert!(malformed.contains("line 3 column 3"), "{malformed}");
    let deep = "[".repeat(200) + &"]".repeat(200);
    for (query, body, part) in [
        ("raw=yes", "{}", "raw"),
        ("wrap_body=1", "{}", "wrap_body"),
        ("", "{\"a\":1} x", "trailing"),
        ("", "{\"a\":", "EOF"),
        ("", "not json", "JSON"),
        ("", deep.as_str(), "nested"),
    ] {
        let error = built(Request { query, body: body.as_bytes(), ..POST }).unwrap_err().to_string();
        assert!(error.contains(part), "{query} {body}: {error}");
    }
    assert!(built(Request { body: b"\"\xff\"", ..POST }).unwrap_err().to_string().contains("UTF-8"));
    assert!(built(Request { content_type: Some("text/plain"), body: b"\xff", ..POST }).is_err());
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".{0,8}".prop_map(Into::into)
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::hash_map(".{0,6}", inner, 0..4).prop_map(|map| map.into_iter().collect())
        ]
    })
}

proptest! {
    #[test]
    fn never_panics(get: bool, content_type in prop::option::of(".{0,30}"), query in ".{0,60}", body in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = built(Request { get, content_type: content_type.as_deref(), query: &query, headers: &[], body: &body });
    }

    #[test]
    fn what_is_built_is_an_object(value in json_value(), wrap: bool, raw: bool) {
        let body = value.to_string();
        let query = format!("wrap_body={wrap}&raw={raw}");
        let args: serde_json::Value = serde_json::from_str(&built(Request { query: &query, body: body.as_bytes(), ..POST }).unwrap()).unwrap();
        prop_assert!(args.is_object());
        if raw {
            prop_assert_eq!(args["raw_string"].as_str(), Some(body.as_str()));
        }
        if wrap || !value.is_object() {
            prop_assert_eq!(&args["body"], &value);
        }
    }

    #[test]
    fn extra_always_wins(key in "[a-z]{1,4}", text in ".{0,10}", value in json_value()) {
        let body = serde_json::json!({ key.clone(): value, "other": 1 }).to_string();
        let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("include_query", &key).append_pair(&key, &text).finish();
        prop_assume!(!["raw", "wrap_body", "payload", "token", "include_query", "include_header"].contains(&key.as_str()));
        let args: serde_json::Value = serde_json::from_str(&built(Request { query: &query, body: body.as_bytes(), ..POST }).unwrap()).unwrap();
        prop_assert_eq!(args[&key].as_str(), Some(text.as_str()));
    }

    #[test]
    fn payload_round_trip(value in json_value(), url_safe: bool, padded: bool) {
        use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
        let text = value.to_string();
        let payload = match (url_safe, padded) {
            (true, true) => URL_SAFE.encode(&text), (true, false) => URL_SAFE_NO_PAD.encode(&text),
            (false, true) => STANDARD.encode(&text), (false, false) => STANDARD_NO_PAD.encode(&text),
        };
        // Unescaped on purpose: '+' then reads as a space.
        let args: serde_json::Value = serde_json::from_str(&built(Request { query: &format!("payload={payload}"), ..GET }).unwrap()).unwrap();
        prop_assert_eq!(if value.is_object() { &args } else { &args["body"] }, &value);
    }
}
