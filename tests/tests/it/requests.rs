//! From a request to the arguments of a script, seen by a script that returns what it was given.

use serde_json::{Value, json};
use wasmill_tests::{Home, guest, shared};

/// What a POST to the echoing script turns into, as text: key order and the digits of numbers
/// count.
fn echoed(query: &str, content_type: &str, body: &str, headers: &[(&str, &str)]) -> String {
    let host = shared();
    let mut request =
        host.calling(&format!("p/u/tests/misbehave{query}")).body(content_type, body.as_bytes());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let answer = request.send();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text()
}

#[test]
fn numbers_and_order_arrive_as_written() {
    let body = r#"{"z":1.10,"op":"echo","a":123456789012345678901234567890,"b":1e2}"#;
    assert_eq!(echoed("", "application/json", body, &[]), body);
}

#[test]
fn wrapped_and_unwrapped() {
    // The echo needs its `op` at the top, which a query can give.
    let list = echoed("?include_query=op&op=echo", "application/json", " [1,2,3]", &[]);
    assert_eq!(list, r#"{"body":[1,2,3],"op":"echo"}"#);
    let wrapped =
        echoed("?include_query=op&op=echo&wrap_body=true", "application/json", r#"{"a":1}"#, &[]);
    assert_eq!(wrapped, r#"{"body":{"a":1},"op":"echo"}"#);
    let once = echoed("?include_query=op&op=echo&wrap_body=true", "application/json", "[1]", &[]);
    assert_eq!(once, r#"{"body":[1],"op":"echo"}"#);
    let spaced = echoed("", "application/json", "\n\t {\"op\":\"echo\"}", &[]);
    assert_eq!(spaced, r#"{"op":"echo"}"#);
}

#[test]
fn raw_headers_and_query_by_rank() {
    let body = r#"{ "op":"echo", "raw_string":"body", "x_sign":"body", "a":"body" }"#;
    let text = echoed(
        "?raw=true&include_header=X-Sign,foo,absent&include_query=a,missing&a=1%202",
        "application/json",
        body,
        &[("X-Sign", "s3"), ("Foo", "bar")],
    );
    let echo: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        echo,
        json!({"op": "echo", "raw_string": body, "x_sign": "s3", "foo": "bar", "a": "1 2"})
    );
}

#[test]
fn forms_texts_and_bytes() {
    let form: Value = serde_json::from_str(&echoed(
        "",
        "application/x-www-form-urlencoded",
        "op=echo&a=1&a=2&b=%C3%A4+x",
        &[],
    ))
    .expect("JSON");
    assert_eq!(form, json!({"op": "echo", "a": "2", "b": "ä x"}));
    let text: Value =
        serde_json::from_str(&echoed("?include_query=op&op=echo", "text/csv", "a;b\r\n", &[]))
            .expect("JSON");
    assert_eq!(text, json!({"op": "echo", "raw_string": "a;b\r\n"}));
    let bytes: Value =
        serde_json::from_str(&echoed("?include_query=op&op=echo", "image/png", "\u{1}", &[]))
            .expect("JSON");
    assert_eq!(bytes, json!({"op": "echo", "raw_base64": "AQ==", "content_type": "image/png"}));
    let nothing: Value =
        serde_json::from_str(&echoed("?include_query=op&op=echo", "application/json", "", &[]))
            .expect("JSON");
    assert_eq!(nothing, json!({"op": "echo"}));
}

#[test]
fn get_with_payload() {
    let host = shared();
    let get = |payload: &str| {
        host.get(&format!("/api/w/main/jobs/run_wait_result/p/u/tests/hello{payload}"))
    };
    // {"name":"Zo??"} in the standard alphabet, padded and escaped, and in the URL-safe one without
    // padding.
    for payload in ["eyJuYW1lIjoiWm8%2FPyJ9", "eyJuYW1lIjoiWm8_PyJ9"] {
        let answer = get(&format!("?payload={payload}"));
        assert_eq!(answer.json()["greeting"], "Hello Zo??!", "{answer:?}");
    }
    let neither = get("?payload=%21%21%21").problem(400);
    assert!(neither.contains("payload is not base64"), "{neither}");
    let no_json = get("?payload=aGVsbG8").problem(400);
    assert!(no_json.contains("not of JSON"), "{no_json}");
    let (name, message) = get("").failure();
    assert_eq!(name, "InvalidArguments");
    assert!(message.contains("name"), "{message}");
}

#[test]
fn headers_that_the_operator_includes() {
    let host = Home::new().start_with(&[], &[("INCLUDE_HEADERS", "X-Tenant,X-None")]);
    host.push("u/tests/misbehave", &guest("misbehave"));
    let answer = host
        .calling("p/u/tests/misbehave?include_header=X-Sign")
        .json(&json!({"op": "echo"}))
        .header("x-tenant", "acme")
        .header("x-sign", "7")
        .send();
    assert_eq!(answer.json(), json!({"op": "echo", "x_tenant": "acme", "x_sign": "7"}));
}

#[test]
fn a_token_is_not_given_to_scripts() {
    let host = shared();
    let answer = host
        .calling("p/u/tests/misbehave?include_header=authorization")
        .json(&json!({"op": "echo"}))
        .send();
    assert_eq!(answer.json(), json!({"op": "echo"}), "{answer:?}");
}

#[test]
fn switches_are_true_or_false() {
    let host = shared();
    for query in ["raw=1", "wrap_body=yes"] {
        let detail = host
            .calling(&format!("p/u/tests/hello?{query}"))
            .json(&json!({"name": "Ann"}))
            .send()
            .problem(400);
        let name = query.split('=').next().expect("a name");
        assert!(detail.contains(name) && detail.contains("true"), "{detail}");
    }
}
