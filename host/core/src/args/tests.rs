//! The contract's table of arguments, and what it leaves open, row by row.

use super::*;
use crate::Problem;
use base64::Engine as _;
use proptest::prelude::*;

mod cloudevents;
mod multipart;

/// A request of a table's row.
#[derive(Clone, Copy)]
struct Request<'a> {
    get: bool,
    content_type: Option<&'a str>,
    query: &'a str,
    headers: &'a [(&'a str, &'a str)],
    include_headers: &'a str,
    body: &'a [u8],
}

const POST: Request<'static> = Request {
    get: false,
    content_type: Some("application/json"),
    query: "",
    headers: &[],
    include_headers: "",
    body: b"",
};
const GET: Request<'static> = Request { get: true, content_type: None, ..POST };

fn built(request: Request<'_>) -> Result<String, ArgsError> {
    let header = |name: &str| {
        request
            .headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| Cow::Borrowed(*value))
    };
    let event_headers: Vec<(&str, &[u8])> = request
        .headers
        .iter()
        .filter(|(n, _)| n.starts_with(EVENT_HEADER_PREFIX))
        .map(|(n, value)| (*n, value.as_bytes()))
        .collect();
    let parts = Parts {
        get: request.get,
        content_type: request.content_type,
        query: request.query,
        header: &header,
        event_headers: &event_headers,
        include_headers: request.include_headers,
        body: request.body,
    };
    build(&parts).map(Arguments::into_string)
}

/// The status and detail of a refusal.
fn refused(request: Request<'_>) -> (u16, String) {
    let problem = Problem::from(built(request).expect_err("a refusal"));
    (problem.code.status(), problem.detail)
}

#[test]
fn contract_rows() {
    let form = Some("application/x-www-form-urlencoded");
    let multipart = Some("multipart/form-data; boundary=B");
    let header =
        |query| Request { query, headers: &[("X-Sign", "v"), ("foo", "w")], body: b"{}", ..POST };
    let post = |body: &'static str| Request { body: body.as_bytes(), ..POST };
    let typed = |content_type, body: &'static str| Request { content_type, ..post(body) };
    let query = |query, body: &'static str| Request { query, ..post(body) };
    for (row, request, expected) in [
        ("JSON object", post(r#"{"a":1}"#), r#"{"a":1}"#),
        (
            "number text and key order survive",
            post(r#"{"z":1.10,"a":{"y":1E+400,"b":12345678901234567890}}"#),
            r#"{"z":1.10,"a":{"y":1E+400,"b":12345678901234567890}}"#,
        ),
        ("JSON of another kind", post("[1,2,3]"), r#"{"body":[1,2,3]}"#),
        ("JSON of another kind: null", post("null"), r#"{"body":null}"#),
        ("JSON of another kind: a string", post("\"s\""), r#"{"body":"s"}"#),
        ("white space before {", post(" \n{\"a\":1}"), r#"{"a":1}"#),
        ("wrap_body=true", query("wrap_body=true", r#"{"a":1}"#), r#"{"body":{"a":1}}"#),
        ("wrap_body=true does not wrap twice", query("wrap_body=true", "[1]"), r#"{"body":[1]}"#),
        ("raw=true", query("raw=true", " {\"a\" : 1} "), r#"{"a":1,"raw_string":" {\"a\" : 1} "}"#),
        (
            "raw and wrap_body",
            query("raw=true&wrap_body=true", r#"{"a":1}"#),
            r#"{"body":{"a":1},"raw_string":"{\"a\":1}"}"#,
        ),
        ("no body, with application/json", post(""), "{}"),
        ("no body, without a content type", typed(None, ""), "{}"),
        (
            "form: each field a string; repeated: the last wins",
            typed(form, "a=1&b=&a=2"),
            r#"{"a":"2","b":""}"#,
        ),
        ("text/plain", typed(Some("text/plain"), "hi"), r#"{"raw_string":"hi"}"#),
        ("text/*", typed(Some("text/csv; charset=utf-8"), "a;b"), r#"{"raw_string":"a;b"}"#),
        ("application/xml", typed(Some("application/xml"), "<a/>"), r#"{"raw_string":"<a/>"}"#),
        ("*+xml", typed(Some("application/atom+xml"), "<a/>"), r#"{"raw_string":"<a/>"}"#),
        (
            "multipart: text fields",
            typed(
                multipart,
                "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--B--\r\n",
            ),
            r#"{"a":"1"}"#,
        ),
        (
            "multipart: a file part",
            typed(
                multipart,
                "--B\r\nContent-Disposition: form-data; name=f; filename=x.png\r\nContent-Type: image/png\r\n\r\nhi\r\n--B--",
            ),
            r#"{"f":[{"filename":"x.png","content_type":"image/png","size":2,"base64":"aGk="}]}"#,
        ),
        (
            "any other type",
            typed(Some("image/png"), "hi"),
            r#"{"raw_base64":"aGk=","content_type":"image/png"}"#,
        ),
        ("GET without payload", GET, "{}"),
        (
            "GET with payload: padded",
            Request { query: "payload=eyJhIjoyfQ%3D%3D", ..GET },
            r#"{"a":2}"#,
        ),
        (
            "GET with payload: not padded",
            Request { query: "payload=eyJhIjoyfQ", ..GET },
            r#"{"a":2}"#,
        ),
        (
            "GET with payload: standard alphabet",
            Request { query: "payload=eyJhIjoifn4/PiJ9", ..GET },
            r#"{"a":"~~?>"}"#,
        ),
        (
            "GET with payload: URL-safe alphabet",
            Request { query: "payload=eyJhIjoifn4_PiJ9", ..GET },
            r#"{"a":"~~?>"}"#,
        ),
        ("GET ignores a body", Request { body: b"{\"b\":1}", ..GET }, "{}"),
        ("include_header", header("include_header=X-Sign,foo"), r#"{"x_sign":"v","foo":"w"}"#),
        ("include_header: missing", header("include_header=x-none"), "{}"),
        (
            "INCLUDE_HEADERS",
            Request { include_headers: "X-Sign,X-None", ..header("") },
            r#"{"x_sign":"v"}"#,
        ),
        (
            "include_query: percent-decoded",
            query("include_query=a,b&a=x%20%C3%A9&b=1+2", "{}"),
            r#"{"a":"x é","b":"1 2"}"#,
        ),
        ("include_query: missing", query("include_query=a", "{}"), "{}"),
        (
            "CloudEvents: structured",
            typed(
                Some("application/cloudevents+json"),
                r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","n":1.10,"data":{"k":1}}"#,
            ),
            r#"{"k":1,"WEBHOOK__METADATA__":{"specversion":"1.0","id":"1","source":"/s","type":"t","n":1.10}}"#,
        ),
        (
            "CloudEvents: binary",
            Request {
                headers: &[
                    ("ce-id", "%31"),
                    ("ce-source", "/s"),
                    ("ce-specversion", "1.0"),
                    ("ce-type", "t"),
                ],
                ..post("[1]")
            },
            r#"{"body":[1],"WEBHOOK__METADATA__":{"id":"1","source":"/s","specversion":"1.0","type":"t","datacontenttype":"application/json"}}"#,
        ),
        (
            "raw_string over include_query",
            query("raw=true&include_query=raw_string&raw_string=q", "1"),
            r#"{"body":1,"raw_string":"1"}"#,
        ),
        (
            "include_query over include_header",
            header("include_header=foo&include_query=foo&foo=q"),
            r#"{"foo":"q"}"#,
        ),
        (
            "include_header over body keys",
            Request { body: br#"{"foo":1}"#, ..header("include_header=foo") },
            r#"{"foo":"w"}"#,
        ),
    ] {
        assert_eq!(built(request).as_deref(), Ok(expected), "{row}");
    }
    for (row, request, part) in [
        ("malformed JSON: line and column", post("{\n  \"a\": 1,\n  oops\n}"), "line 3 column 3"),
        ("payload is no base64", Request { query: "payload=%%%", ..GET }, "payload is not base64"),
        ("payload is no JSON", Request { query: "payload=aGVsbG8", ..GET }, "not of JSON"),
        (
            "raw other than true or false",
            query("raw=1", "{}"),
            "raw is \"1\"; it must be true or false",
        ),
        (
            "wrap_body other than true or false",
            query("wrap_body=", "{}"),
            "wrap_body is \"\"; it must be true or false",
        ),
        (
            "CloudEvents: a required attribute is missing",
            typed(
                Some("application/cloudevents+json"),
                r#"{"specversion":"1.0","id":"1","source":"/s"}"#,
            ),
            "lacks type",
        ),
        (
            "CloudEvents: binary, a required attribute is missing",
            Request { headers: &[("ce-id", "1")], ..post("") },
            "lacks source",
        ),
        (
            "CloudEvents: another specversion",
            typed(
                Some("application/cloudevents+json"),
                r#"{"specversion":"0.3","id":"1","source":"/s","type":"t"}"#,
            ),
            "only 1.0",
        ),
        (
            "batches of CloudEvents",
            typed(Some("application/cloudevents-batch+json"), "[]"),
            "not supported",
        ),
    ] {
        let (status, detail) = refused(request);
        assert_eq!(status, 400, "{row}");
        assert!(detail.contains(part), "{row}: {detail}");
    }
    // A body over the limit never gets here: the limit and its status are all that is decided by
    // this crate.
    assert_eq!(
        (crate::HostLimits::default().body_bytes, crate::problem::Code::TooLarge.status()),
        (16 << 20, 413)
    );
}

#[test]
fn repeated_parameters() {
    for (query, expected) in [
        ("raw=true&raw=false", r#"{"a":1}"#),
        ("wrap_body=false&wrap_body=true", r#"{"body":{"a":1}}"#),
        ("include_header=x&include_header=foo", r#"{"a":1,"foo":"w"}"#),
        ("include_query=q&include_query=a&q=1&a=2&a=3", r#"{"a":"3"}"#),
        ("include_query=q,q,q&q=1", r#"{"a":1,"q":"1"}"#),
        ("include_header=foo,FOO,foo", r#"{"a":1,"foo":"w"}"#),
    ] {
        let request = Request { query, headers: &[("foo", "w")], body: br#"{"a":1}"#, ..POST };
        assert_eq!(built(request).as_deref(), Ok(expected), "{query}");
    }
    assert_eq!(
        built(Request { query: "payload=WzFd&payload=eyJhIjoyfQ", ..GET }).as_deref(),
        Ok(r#"{"a":2}"#)
    );
}

#[test]
fn included_names_are_bounded() {
    for parameter in ["include_header", "include_query"] {
        let names =
            |count: usize| (0..count).map(|n| format!("n{n}")).collect::<Vec<_>>().join(",");
        let most = format!("n7=v&{parameter}=,,{},", names(INCLUDED_NAMES));
        let request = Request { headers: &[("n7", "v")], body: b"{}", ..POST };
        assert_eq!(
            built(Request { query: &most, ..request }).as_deref(),
            Ok(r#"{"n7":"v"}"#),
            "{parameter}"
        );
        let more = format!("{parameter}={}", names(INCLUDED_NAMES + 1));
        let (status, detail) = refused(Request { query: &more, ..request });
        assert_eq!(status, 400);
        assert_eq!(
            detail,
            format!("The query parameter {parameter} lists 1001 names; at most 1000 are allowed")
        );
    }
    // The operator's list is not the caller's to answer for.
    let long = vec!["foo"; INCLUDED_NAMES * 2].join(",");
    assert_eq!(
        built(Request { include_headers: &long, headers: &[("foo", "w")], ..POST }).as_deref(),
        Ok(r#"{"foo":"w"}"#)
    );
}

#[test]
fn malformed_percent_encoding() {
    for (query, expected) in [
        ("include_query=a&a=%", r#"{"a":"%"}"#),
        ("include_query=a&a=%4", r#"{"a":"%4"}"#),
        ("include_query=a&a=%zz%41", r#"{"a":"%zzA"}"#),
        // Not UTF-8: a replacement character stands for it.
        ("include_query=a&a=%ff", "{\"a\":\"\u{fffd}\"}"),
        ("%=%&%%&&=&include_query=%", r#"{"%":"%"}"#),
    ] {
        assert_eq!(
            built(Request { query, body: b"{}", ..POST }).as_deref(),
            Ok(expected),
            "{query}"
        );
    }
    let form = Request {
        content_type: Some("application/x-www-form-urlencoded"),
        body: b"a=%&%4=%zz",
        ..POST
    };
    assert_eq!(built(form).as_deref(), Ok(r#"{"a":"%","%4":"%zz"}"#));
}

/// Work grows with the size of the request and not with its square: these take minutes otherwise.
#[test]
fn many_small_pieces() {
    let fields: String = (0..200_000).map(|n| format!("k{n}=&")).collect();
    let form = Request {
        content_type: Some("application/x-www-form-urlencoded"),
        body: fields.as_bytes(),
        ..POST
    };
    assert_eq!(built(form).map(|text| text.matches(':').count()), Ok(200_000));
    let keys: String = (0..200_000).map(|n| format!("\"k{n}\":0,")).collect();
    let query: String = (0..INCLUDED_NAMES).map(|n| format!("k{n}=1&")).collect();
    let names = (0..INCLUDED_NAMES).map(|n| format!("k{n}")).collect::<Vec<_>>().join(",");
    let object = format!("{{{keys}\"z\":0}}");
    let json = Request {
        query: &format!("{query}include_query={names}"),
        body: object.as_bytes(),
        ..POST
    };
    assert_eq!(built(json).map(|text| text.matches(':').count()), Ok(200_001));
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
        (
            "",
            r#"{"z":12345678901234567890,"a":1.10,"e":1E+400}"#,
            r#"{"z":12345678901234567890,"a":1.10,"e":1E+400}"#,
        ),
        ("wrap_body=true", r#"{"a":1}"#, r#"{"body":{"a":1}}"#),
        ("wrap_body=true", "[1]", r#"{"body":[1]}"#),
        ("wrap_body=true", "", r#"{"body":{}}"#),
        ("wrap_body=false", r#"{"a":1}"#, r#"{"a":1}"#),
        ("raw=true", r#"{"a":1}"#, r#"{"a":1,"raw_string":"{\"a\":1}"}"#),
        ("raw=true", " {\"a\" : 1.10} ", r#"{"a":1.10,"raw_string":" {\"a\" : 1.10} "}"#),
        ("raw=true", "", r#"{"raw_string":""}"#),
        (
            "raw=true",
            r#"{"raw_string":1,"b":2}"#,
            r#"{"b":2,"raw_string":"{\"raw_string\":1,\"b\":2}"}"#,
        ),
        ("raw=true&wrap_body=true", r#"{"a":1}"#, r#"{"body":{"a":1},"raw_string":"{\"a\":1}"}"#),
        ("include_query=a&a=2", r#"{"a":1,"b":1}"#, r#"{"b":1,"a":"2"}"#),
        ("include_query=a,b,c&a=1&a=x%20y+z&b=", "{}", r#"{"a":"x y z","b":""}"#),
        ("include_query=token&token=secret", "{}", "{}"),
        (
            "include_query=raw_string&raw_string=no&raw=true",
            "[]",
            r#"{"body":[],"raw_string":"[]"}"#,
        ),
        (
            "raw=true&include_query=a&a=1",
            r#"{"a":0,"a":2,"k":3}"#,
            r#"{"k":3,"a":"1","raw_string":"{\"a\":0,\"a\":2,\"k\":3}"}"#,
        ),
    ] {
        let request = Request { query, body: body.as_bytes(), ..POST };
        assert_eq!(built(request).as_deref(), Ok(expected), "{query} {body}");
        assert_eq!(
            built(Request { content_type: None, ..request }).as_deref(),
            Ok(expected),
            "without content type: {query} {body}"
        );
        assert_eq!(
            built(Request { content_type: Some("Application/JSON; charset=utf-8"), ..request })
                .as_deref(),
            Ok(expected)
        );
    }
}

#[test]
fn headers() {
    let request = Request {
        headers: &[("X-Sign", "v"), ("foo", "q\"uote"), ("X-Sign", "second")],
        body: br#"{"x_sign":1,"b":2}"#,
        ..POST
    };
    for (query, expected) in [
        ("include_header=X-Sign,foo,missing", r#"{"b":2,"x_sign":"v","foo":"q\"uote"}"#),
        ("include_header=x-sign&include_query=x_sign&x_sign=query", r#"{"b":2,"x_sign":"query"}"#),
        ("include_header=", r#"{"x_sign":1,"b":2}"#),
    ] {
        assert_eq!(built(Request { query, ..request }).as_deref(), Ok(expected), "{query}");
    }
}

#[test]
fn other_bodies() {
    for (content_type, query, body, expected) in [
        ("text/plain", "", "hi", r#"{"raw_string":"hi"}"#),
        ("text/csv; charset=utf-8", "", "a;b", r#"{"raw_string":"a;b"}"#),
        ("application/xml", "", "<a/>", r#"{"raw_string":"<a/>"}"#),
        ("application/atom+xml", "", "<a/>", r#"{"raw_string":"<a/>"}"#),
        ("text/plain", "wrap_body=true", "hi", r#"{"body":{},"raw_string":"hi"}"#),
        (
            "application/x-www-form-urlencoded",
            "",
            "a=1&a=2&b=&c=x+%C3%A9",
            r#"{"a":"2","b":"","c":"x é"}"#,
        ),
        ("application/x-www-form-urlencoded", "raw=true", "a=1", r#"{"a":"1","raw_string":"a=1"}"#),
        ("application/x-www-form-urlencoded", "wrap_body=true", "a=1", r#"{"body":{"a":"1"}}"#),
        ("image/png", "", "\u{1}hi", r#"{"raw_base64":"AWhp","content_type":"image/png"}"#),
        ("application/vnd.api+json", "", r#"{"a":1}"#, r#"{"a":1}"#),
    ] {
        assert_eq!(
            built(Request {
                content_type: Some(content_type),
                query,
                body: body.as_bytes(),
                ..POST
            })
            .as_deref(),
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
            assert!(
                matches!(got, Err(ArgsError::Body(ref why)) if why.contains("UTF-8")),
                "decodes, but not to text: {got:?}"
            );
        } else {
            assert_eq!(got.as_deref(), Ok(expected), "{payload}");
        }
    }
    assert_eq!(built(GET).as_deref(), Ok("{}"));
    assert_eq!(
        built(Request { query: "include_query=a&a=1&payload=eyJhIjoyfQ", ..GET }).as_deref(),
        Ok(r#"{"a":"1"}"#)
    );
    for bad in ["payload=%%%", "payload=e30!", "payload=aGVsbG8"] {
        assert!(
            matches!(built(Request { query: bad, ..GET }), Err(ArgsError::Body(why)) if why.contains("payload")),
            "{bad}"
        );
    }
}

#[test]
fn refusals() {
    let malformed =
        built(Request { body: b"{\n  \"a\": 1,\n  oops\n}", ..POST }).unwrap_err().to_string();
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
        let error =
            built(Request { query, body: body.as_bytes(), ..POST }).unwrap_err().to_string();
        assert!(error.contains(part), "{query} {body}: {error}");
    }
    assert!(
        built(Request { body: b"\"\xff\"", ..POST }).unwrap_err().to_string().contains("UTF-8")
    );
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
            prop::collection::hash_map(".{0,6}", inner, 0..4)
                .prop_map(|map| map.into_iter().collect())
        ]
    })
}

proptest! {
    #[test]
    fn never_panics(get: bool, content_type in prop::option::of(".{0,30}"), query in ".{0,60}", body in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = built(Request { get, content_type: content_type.as_deref(), query: &query, body: &body, ..POST });
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
