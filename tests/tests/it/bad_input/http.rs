//! Headers, methods and lengths that are not what they say.

use super::{ECHO, HELLO, head, problem};
use serde_json::{Value, json};
use wasmill_tests::{Wire, shared};

#[test]
fn headers_that_are_no_text() {
    let host = shared();
    let echo = format!("POST {ECHO}?include_query=op&op=echo&include_header=X-Name,X-Long");
    let mut wire = Wire::open(host.address);
    wire.send(
        [
            head(&host, &echo, "x-long: ").trim_end().as_bytes(),
            b" \xc3\xa4\r\nX-NAME: \xff\xfe\r\ncontent-length: 2\r\n\r\n{}",
        ]
        .concat(),
    );
    let answer = wire.answer(10).expect("an answer");
    // Not visible ASCII: the header is there, and its value is empty.
    assert_eq!(
        serde_json::from_slice::<Value>(&answer.body).expect("JSON"),
        json!({"op": "echo", "x_name": "", "x_long": ""}),
        "{answer:?}"
    );
    for (header, status) in [
        (&b"authorization: Bearer \xff\xff"[..], 401),
        (b"authorization: \xc3\xa4", 401),
        (b"authorization: Bearer", 401),
        (b"authorization:", 401),
    ] {
        let mut wire = Wire::open(host.address);
        wire.send([b"GET /api/users/whoami HTTP/1.1\r\nhost: x\r\n", header, b"\r\n\r\n"].concat());
        problem(&wire.answer(10).expect("an answer"), status);
    }
    for (headers, status) in [
        (&b"idempotency-key: \xff"[..], 400),
        (b"idempotency-key:", 400),
        (b"content-encoding: \xff", 415),
        (b"ce-id: \xff", 400),
        (b"ce-id: \"open", 400),
    ] {
        let mut wire = Wire::open(host.address);
        let begun = head(&host, "POST /api/w/main/jobs/run/p/u/tests/hello", "content-length: 2");
        wire.send([begun.trim_end().as_bytes(), b"\r\n", headers, b"\r\n\r\n{}"].concat());
        problem(&wire.answer(10).expect("an answer"), status);
    }
    let long = host
        .request("POST", "/api/w/main/jobs/run/p/u/tests/hello")
        .header("idempotency-key", &"k".repeat(256));
    long.json(&json!({"name": "Ann"})).send().problem(400);
    host.still_serves();
}

/// Only the method of the request line counts: a page in a browser can set these headers, and
/// proxies let them through.
#[test]
fn method_overrides_are_ignored() {
    let host = shared();
    let target = "/api/users/tokens/list";
    for header in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let listed = host.request("GET", target).header(header, "DELETE").send();
        assert_eq!((listed.status, listed.json().is_array()), (200, true), "{header}: {listed:?}");
        let run = host
            .calling("p/u/tests/hello?_method=DELETE")
            .header(header, "HEAD")
            .json(&json!({"name": "Ann"}))
            .send();
        assert_eq!(run.json()["greeting"], "Hello Ann!", "{header}");
        host.request("PUT", HELLO)
            .header(header, "POST")
            .json(&json!({"name": "Ann"}))
            .send()
            .problem(405);
    }
    host.still_serves();
}

/// A length that does not say where the request ends lets one sender's bytes become another's
/// request behind a proxy. Each of these ends its connection: what follows is never answered.
#[test]
fn lengths_that_lie() {
    let host = shared();
    let next = "GET /api/version HTTP/1.1\r\nhost: x\r\n\r\n";
    let body = r#"{"name":"Bo"}"#;
    for headers in [
        "content-length: 13, 14\r\n",
        "content-length: -1\r\n",
        "content-length: +13\r\n",
        "content-length: 13 13\r\n",
        "content-length: 0x0d\r\n",
        "content-length: 99999999999999999999\r\n",
        "content-length:\r\n",
        "content-length : 13\r\n",
        "transfer-encoding: gzip, chunked, identity\r\n",
        "transfer-encoding: chunked, chunked\r\n",
        "transfer-encoding: identity\r\n",
        "transfer-encoding : chunked\r\n",
        " content-length: 13\r\n",
    ] {
        let mut wire = Wire::open(host.address);
        wire.send(head(&host, &format!("POST {HELLO}"), headers) + body + next);
        let first = wire.answer(10);
        assert!(first.as_ref().is_none_or(|answer| answer.status == 400), "{headers:?}: {first:?}");
        let second = wire.answer(10);
        assert!(second.is_none(), "{headers:?}: {second:?}");
    }
    // Shorter than what is sent: the rest is a request of its own, and none.
    let mut wire = Wire::open(host.address);
    wire.send(
        head(&host, &format!("POST {HELLO}"), "content-length: 13\r\n") + body + "}}}}\r\n\r\n",
    );
    assert_eq!(wire.answer(10).map(|answer| answer.status), Some(200));
    assert_eq!(wire.answer(10).map(|answer| answer.status), Some(400));
    wire.closed(5);
    // Longer: the sender ends the connection, and nothing is run.
    let mut wire = Wire::open(host.address);
    wire.send(head(&host, &format!("POST {HELLO}"), "content-length: 1000\r\n") + body);
    wire.finish();
    let answer = wire.answer(10);
    assert!(answer.as_ref().is_none_or(|answer| answer.status == 400), "{answer:?}");
    host.still_serves();
}

#[test]
fn chunks_that_are_none() {
    let host = shared();
    let begun = head(&host, &format!("POST {HELLO}"), "transfer-encoding: chunked\r\n");
    for garbage in [
        "zz\r\n{}\r\n0\r\n\r\n".to_owned(),
        "-1\r\n{}\r\n0\r\n\r\n".to_owned(),
        "\r\n\r\n".to_owned(),
        "ffffffffffffffffff\r\n{}".to_owned(),
        "2\r\n{}X\r\n0\r\n\r\n".to_owned(),
        "2\n{}\n0\n\n".to_owned(),
        format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(100_000)),
        format!("2\r\n{{}}\r\n0\r\n{}\r\n", "x-trailer: y\r\n".repeat(10_000)),
    ] {
        let mut wire = Wire::open(host.address);
        wire.send(begun.clone() + &garbage);
        let answer = wire.answer(10);
        let status = answer.as_ref().map(|answer| answer.status);
        assert!(matches!(status, None | Some(400)), "{garbage:.40}: {answer:?}");
        wire.closed(5);
    }
    // A trailer is allowed, and read over.
    let mut wire = Wire::open(host.address);
    wire.send(begun + "d\r\n{\"name\":\"Bo\"}\r\n0\r\nx-trailer: y\r\n\r\n");
    assert_eq!(wire.answer(10).map(|answer| answer.status), Some(200));
    host.still_serves();
}
