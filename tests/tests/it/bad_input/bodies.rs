//! Bodies: too large, too slow, of the wrong bytes, without an end.

use super::{BODY_LIMIT, HELLO, echoed, head, problem, sent};
use serde_json::json;
use wasmill_tests::{Host, Wire, guest, shared};

#[test]
fn as_large_as_allowed_and_a_byte_more() {
    let _host = shared();
    let pieces = |body: &[u8]| {
        let mut chunked = Vec::with_capacity(body.len() + body.len() / 1_000);
        for piece in body.chunks(1 << 20) {
            chunked.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            chunked.extend_from_slice(piece);
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        chunked
    };
    for (bytes, status) in [(BODY_LIMIT, 200), (BODY_LIMIT + 1, 413)] {
        let mut body = br#"{"name":"Bo"}"#.to_vec();
        body.resize(bytes, b' ');
        for (header, body) in [
            (format!("content-length: {bytes}\r\n"), body.clone()),
            ("transfer-encoding: chunked\r\n".to_owned(), pieces(&body)),
        ] {
            let answer = sent(&format!("POST {HELLO}"), &header, &body);
            assert_eq!(answer.status, status, "{header}");
            if status == 413 {
                assert!(problem(&answer, 413).contains(&BODY_LIMIT.to_string()));
            }
        }
    }
}

/// A refusal is decided before the body is read. Whoever sends a large one gets to read it all the
/// same, and can go on with the connection.
#[test]
fn refusals_reach_whoever_is_still_sending() {
    let host = shared();
    let body = vec![b' '; 8 << 20];
    for (line, token, status) in [
        (format!("POST {HELLO}"), "nonsense", 401),
        ("POST /api/w/main/jobs/run_wait_result/p/u/tests/none".to_owned(), &host.token, 404),
        ("POST /api/w/main/jobs/list".to_owned(), &host.token, 405),
        ("POST /nowhere".to_owned(), &host.token, 404),
        (format!("POST {HELLO}?raw=x"), &host.token, 400),
    ] {
        for headers in [
            format!("content-length: {}\r\n", body.len()),
            "transfer-encoding: chunked\r\n".to_owned(),
        ] {
            let mut wire = Wire::open(host.address);
            wire.send(format!(
                "{line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{headers}\r\n"
            ));
            if headers.starts_with('t') {
                wire.send(format!("{:x}\r\n", body.len()));
            }
            assert!(wire.send(&body), "{line}: cut off while it was sending");
            if headers.starts_with('t') {
                wire.send("\r\n0\r\n\r\n");
            }
            problem(&wire.answer(20).expect("an answer"), status);
            wire.send("GET /api/version HTTP/1.1\r\nhost: x\r\n\r\n");
            assert_eq!(
                wire.answer(20).map(|answer| answer.status),
                Some(200),
                "{line}: the connection cannot be used again"
            );
        }
    }
    // Whoever asks first is told before anything is sent.
    let mut wire = Wire::open(host.address);
    let length = body.len();
    wire.send(format!("POST {HELLO} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"));
    problem(&wire.answer(20).expect("an answer"), 401);
    host.still_serves();
}

#[test]
fn a_body_that_does_not_come() {
    let host = Host::start(&["--body-timeout", "1"]);
    host.push("u/tests/hello", &guest("hello"));
    let mut stalled = Wire::open(host.address);
    stalled.send(head(&host, &format!("POST {HELLO}"), "content-length: 13\r\n") + "{\"na");
    let mut silent = Wire::open(host.address);
    silent.send(head(&host, &format!("POST {HELLO}"), "transfer-encoding: chunked\r\n"));
    // A byte now and then buys no more time. The pause is the attack, not a wait for something.
    let mut slow = Wire::open(host.address);
    slow.send(head(&host, &format!("POST {HELLO}"), "content-length: 1000\r\n"));
    while slow.send(" ") && slow.arrived() == 0 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    for mut wire in [stalled, silent, slow] {
        let detail = problem(&wire.answer(10).expect("an answer"), 408);
        assert!(detail.contains("1 s"), "{detail}");
        wire.closed(10);
    }
    host.still_serves();
}

#[test]
fn texts_that_are_none() {
    let _host = shared();
    let event = b"{\"specversion\":\"1.0\",\"id\":\"\xff\",\"source\":\"/s\",\"type\":\"t\"}";
    for (content_type, body) in [
        ("text/plain", &b"a\xffb"[..]),
        ("text/csv; charset=latin1", b"\xe4;1\n"),
        ("application/xml", b"<a>\xc3</a>"),
        ("image/svg+xml", b"\xf0\x28\x8c\x28"),
        ("application/json", b"{\"a\":\"\xed\xa0\x80\"}"),
        ("application/vnd.api+json", b"\xff\xfe{\0}\0"),
        ("application/x-www-form-urlencoded", b"a=\xff"),
        ("application/cloudevents+json", event),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n\xff\r\n--x--\r\n",
        ),
    ] {
        let detail = echoed("", content_type, body).problem(400);
        assert!(detail.contains("UTF-8"), "{content_type}: {detail}");
    }
    let raw = echoed("&raw=true", "image/png", b"\x89PNG\xff").problem(400);
    assert!(raw.contains("raw_string"), "{raw}");
    let form = echoed("", "application/x-www-form-urlencoded", b"a=%ff&b=%zz&=&&c");
    assert_eq!(
        form.json(),
        json!({"a": "\u{fffd}", "b": "%zz", "": "", "c": "", "op": "echo"}),
        "{form:?}"
    );
}

#[test]
fn nul_bytes() {
    let host = shared();
    for (content_type, body, key) in [
        ("application/json", &br#"{"a":"x\u0000y"}"#[..], "a"),
        ("application/x-www-form-urlencoded", b"a=x%00y", "a"),
        ("application/x-www-form-urlencoded", b"a=x\0y", "a"),
        ("text/plain", b"x\0y", "raw_string"),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\nx\0y\r\n--x--\r\n",
            "a",
        ),
    ] {
        let answer = echoed("", content_type, body);
        assert_eq!(
            (answer.status, &answer.json()[key]),
            (200, &json!("x\0y")),
            "{content_type}: {answer:?}"
        );
    }
    for body in [&b"{\"a\":\"x\0y\"}"[..], b"\0", b"{}\0", b"{\"a\0\":1}"] {
        echoed("", "application/json", body).problem(400);
    }
    let typed = host.call("u/tests/hello", &json!({"name": "x\0y"}));
    assert_eq!(typed.json()["greeting"], "Hello x\0y!", "{typed:?}");
    let mut wire = Wire::open(host.address);
    wire.send(head(&host, "GET /api/version", "x-nul: a\0b\r\n"));
    assert_eq!(wire.answer(10).map(|answer| answer.status), Some(400));
    host.still_serves();
}

#[test]
fn forms_without_end() {
    let _host = shared();
    let part = "--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n1\r\n";
    let long = "x".repeat(10_000);
    for (boundary, body) in [
        ("; boundary=x", part.to_owned()),
        ("; boundary=x", format!("{part}--x")),
        ("; boundary=x", "--x".to_owned()),
        ("; boundary=x", String::new()),
        ("; boundary=x", "--x\r\ncontent-disposition: form-data; name=\"a\"".to_owned()),
        ("; boundary=x", "--x\r\nno header\r\n\r\n1\r\n--x--\r\n".to_owned()),
        ("; boundary=x", "--x\r\n\r\n1\r\n--x--\r\n".to_owned()),
        ("; boundary=x", format!("--x\r\n{}\r\n\r\n1\r\n--x--\r\n", "a: b\r\n".repeat(10_000))),
        ("; boundary=x", format!("{}--x--\r\n", part.repeat(1_001))),
        ("", format!("{part}--x--\r\n")),
        ("; boundary=", format!("{part}--x--\r\n")),
        ("; boundary=\"", format!("{part}--x--\r\n")),
        (&format!("; boundary={long}"), part.replace('x', &long) + &format!("--{long}--\r\n")),
    ] {
        let detail =
            echoed("", &format!("multipart/form-data{boundary}"), body.as_bytes()).problem(400);
        assert!(!detail.is_empty(), "{boundary:.40} {body:.80}");
    }
}
