//! What no sender should send: each is refused in words or taken in a defined way, and the next caller feels nothing.

use serde_json::{Value, json};
use wasmill_tests::{Answer, Host, Operation, RawAnswer, Wire, entry_answering, eventually, guest, operations, shared};

/// Bytes of a body that the host takes unless it is told otherwise.
const BODY_LIMIT: usize = 16 << 20;
/// Levels of JSON within JSON that the host takes.
const DEPTH: usize = 128;

const HELLO: &str = "/api/w/main/jobs/run_wait_result/p/u/tests/hello";
const ECHO: &str = "/api/w/main/jobs/run_wait_result/p/u/tests/misbehave";

/// A script that returns its arguments, called with a query.
fn echoed(query: &str, content_type: &str, body: &[u8]) -> Answer {
    let host = shared();
    let answer = host.calling(&format!("p/u/tests/misbehave?include_query=op&op=echo{query}")).body(content_type, body).send();
    host.still_serves();
    answer
}

/// Request line, what all requests have, and some headers.
fn head(host: &Host, line: &str, headers: &str) -> String {
    format!("{line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n{headers}\r\n", host.token)
}

/// What is sent by hand, and the answer.
fn sent(line: &str, headers: &str, body: &[u8]) -> RawAnswer {
    let host = shared();
    let mut wire = Wire::open(host.address);
    wire.send(head(&host, line, headers));
    wire.send(body);
    let answer = wire.answer(30).unwrap_or_else(|| panic!("{line} {headers:?} is not answered"));
    host.still_serves();
    answer
}

/// The detail of a problem that was read by hand.
fn problem(answer: &RawAnswer, status: u16) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.head.contains("content-type: application/problem+json"), "{answer:?}");
    let problem: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(problem["status"], status);
    problem["detail"].as_str().expect("a detail").to_owned()
}

/// A value within so many arrays.
fn nested(levels: usize) -> String {
    format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
}

fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let sextets = text.as_bytes().chunks(3).flat_map(|three| {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        (0..=three.len()).map(move |index| ALPHABET[(bits >> (18 - 6 * index) & 63) as usize] as char)
    });
    sextets.collect()
}

/// The refusals that other tests do not come by. All of them are problems that say what is wrong.
#[test]
fn refusals_are_problems() {
    let host = shared();
    let none = "0".repeat(64);
    let run = |method: &str, path: &str| host.request(method, &format!("/api/w/main/jobs/{path}")).json(&json!({})).send();
    for (answer, status, word) in [
        (run("POST", "run_wait_result/p/u/tests/none"), 404, "u/tests/none"),
        (run("POST", &format!("run_wait_result/h/{none}")), 404, "000"),
        (run("POST", "run_wait_result/h/abc"), 404, "64"),
        (run("POST", "run_wait_result/p/x/y/z"), 404, "u/"),
        (run("POST", "run_wait_result/x/u/tests/hello"), 404, "no such address"),
        (run("PUT", "run_wait_result/p/u/tests/hello"), 405, "POST"),
        (run("DELETE", "run/p/u/tests/hello"), 405, "POST"),
        (run("POST", "list"), 405, "GET"),
        (host.get("/"), 404, "no such address"),
        (host.get("/api"), 404, "no such address"),
        (host.get("/api/w/main"), 404, "no such address"),
        (host.get("/api/w/Main!/scripts/list"), 404, "workspace"),
    ] {
        let detail = answer.problem(status);
        assert!(detail.contains(word), "{word:?} is not in: {detail}");
    }
    let first = host.request("POST", "/api/w/main/jobs/run/p/u/tests/hello").header("idempotency-key", "bad-input");
    assert_eq!(first.json(&json!({"name": "Ann"})).send().status, 201);
    let other = host.request("POST", "/api/w/main/jobs/run/p/u/tests/hello").header("idempotency-key", "bad-input");
    assert!(other.json(&json!({"name": "Bo"})).send().problem(422).contains("Idempotency-Key"));
    host.still_serves();
}

#[test]
fn odd_addresses() {
    let host = shared();
    for path in [
        "%",
        "%z",
        "%zz",
        "%ff",
        "%C3%28",
        "%00",
        "hello%00",
        "%2e%2e",
        "..",
        ".",
        "a//b",
        "/",
        "hello/",
        "a%5Cb",
        "h%C3%A4llo",
        "hello%252e",
        "a b",
    ] {
        let escaped = path.replace(' ', "%20");
        let answer = sent(&format!("POST /api/w/main/jobs/run_wait_result/p/u/tests/{escaped}"), "content-length: 0\r\n", b"");
        problem(&answer, 404);
    }
    // Escapes that stand for what is allowed anyway are the same address.
    let answer = sent("POST /%61pi/w/main/jobs/run_wait_result/p/u%2Ftests/%68ello", "content-length: 13\r\n", br#"{"name":"Bo"}"#);
    assert_eq!(answer.status, 200, "{answer:?}");
    for target in ["*", "http://x/api/version", "x", "http://[/", "/api/version#a"] {
        let mut wire = Wire::open(host.address);
        wire.send(head(&host, &format!("GET {target}"), ""));
        let answer = wire.answer(10).unwrap_or_else(|| panic!("{target} is not answered"));
        let expected: &[u16] = if target.contains("version") { &[200, 400] } else { &[400, 404] };
        assert!(expected.contains(&answer.status), "{target}: {answer:?}");
    }
    host.still_serves();
}

#[test]
fn odd_queries() {
    let host = shared();
    // Escapes that are none stand for themselves; what is not UTF-8 is replaced, for a query has no way to say so.
    for (query, key, expected) in [
        ("&include_query=q&q=%zz", "q", json!("%zz")),
        ("&include_query=q&q=%", "q", json!("%")),
        ("&include_query=q&q=%ff", "q", json!("\u{fffd}")),
        ("&include_query=q&q=%00", "q", json!("\0")),
        ("&include_query=q&q", "q", json!("")),
        ("&&=&=x&include_query=q,,&q=a=b", "q", json!("a=b")),
        ("&q=1&q=&q=2&include_query=q", "q", json!("2")),
        ("&include_header=,,", "", Value::Null),
        ("&include_header=%00,%ff,a%0d%0ab", "", Value::Null),
        ("&raw=false&raw=true", "raw_string", json!("{}")),
        ("&payload=", "payload", Value::Null),
        ("&token=nonsense", "token", Value::Null),
        ("&include_query=q,token&token=nonsense&q=1", "token", Value::Null),
    ] {
        // The last `include_query` counts.
        let query = query.replace("include_query=", "include_query=op,");
        let answer = echoed(&query, "application/json", b"{}");
        assert_eq!(answer.status, 200, "{query}: {answer:?}");
        assert_eq!(answer.json().get(key).cloned().unwrap_or_default(), expected, "{query}: {answer:?}");
    }
    for query in
        ["&raw=&raw=true", "&raw=TRUE", "&wrap_body=", "&timeout=0", "&timeout=-1", "&timeout=99999999999", "&tag=a%20b", "&parent_job=7"]
    {
        let detail = echoed(query, "application/json", b"{}").problem(400);
        let name = query[1..].split('=').next().expect("a name");
        assert!(detail.contains(name), "{query}: {detail}");
    }
    let twice = host.get(&format!("{ECHO}?payload=!&payload={}", base64(r#"{"op":"echo"}"#)));
    assert_eq!(twice.json(), json!({"op": "echo"}), "the last payload counts: {twice:?}");
    for payload in ["!", "e30=e30", "e", "%ff", "W10", &base64(&nested(10_000))] {
        let answer = host.get(&format!("{ECHO}?payload={payload}"));
        // `[]`, the last but one, is a value; only the script misses its `op`.
        assert_eq!(answer.status, if payload == "W10" { 200 } else { 400 }, "{payload:.20}: {answer:?}");
    }
    host.still_serves();
}

#[test]
fn a_great_many_names() {
    let host = shared();
    let names = |count: usize| (0..count).map(|number| format!("h{number}")).collect::<Vec<_>>().join(",");
    for list in ["include_header", "include_query"] {
        let op = if list == "include_query" { "op," } else { "" };
        let most = echoed(&format!("&{list}={op}{}", names(999)), "application/json", b"{}");
        assert_eq!((most.status, most.json()), (200, json!({"op": "echo"})));
        let detail = echoed(&format!("&{list}={}", names(1001)), "application/json", b"{}").problem(400);
        assert!(detail.contains(list) && detail.contains("1001"), "{detail}");
    }
    let many = echoed(&"&a=".repeat(10_000), "application/json", b"{}");
    assert_eq!((many.status, many.json()), (200, json!({"op": "echo"})), "as many parameters as an address has room for");
    let mut wire = Wire::open(host.address);
    wire.send(head(&host, &format!("POST {ECHO}?{}", "a=1&".repeat(100_000)), "content-length: 0\r\n"));
    // Refused before all of it was read, so the connection may also break while more of it is sent.
    let status = wire.answer(10).map(|answer| answer.status);
    assert!(matches!(status, None | Some(414 | 431)), "{status:?}");
    host.still_serves();
}

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
        for (header, body) in
            [(format!("content-length: {bytes}\r\n"), body.clone()), ("transfer-encoding: chunked\r\n".to_owned(), pieces(&body))]
        {
            let answer = sent(&format!("POST {HELLO}"), &header, &body);
            assert_eq!(answer.status, status, "{header}");
            if status == 413 {
                assert!(problem(&answer, 413).contains(&BODY_LIMIT.to_string()));
            }
        }
    }
}

/// A refusal is decided before the body is read. Whoever sends a large one gets to read it all the same, and can go on with
/// the connection.
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
        for headers in [format!("content-length: {}\r\n", body.len()), "transfer-encoding: chunked\r\n".to_owned()] {
            let mut wire = Wire::open(host.address);
            wire.send(format!("{line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{headers}\r\n"));
            if headers.starts_with('t') {
                wire.send(format!("{:x}\r\n", body.len()));
            }
            assert!(wire.send(&body), "{line}: cut off while it was sending");
            if headers.starts_with('t') {
                wire.send("\r\n0\r\n\r\n");
            }
            problem(&wire.answer(20).expect("an answer"), status);
            wire.send("GET /api/version HTTP/1.1\r\nhost: x\r\n\r\n");
            assert_eq!(wire.answer(20).map(|answer| answer.status), Some(200), "{line}: the connection cannot be used again");
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
        ("multipart/form-data; boundary=x", b"--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n\xff\r\n--x--\r\n"),
    ] {
        let detail = echoed("", content_type, body).problem(400);
        assert!(detail.contains("UTF-8"), "{content_type}: {detail}");
    }
    let raw = echoed("&raw=true", "image/png", b"\x89PNG\xff").problem(400);
    assert!(raw.contains("raw_string"), "{raw}");
    let form = echoed("", "application/x-www-form-urlencoded", b"a=%ff&b=%zz&=&&c");
    assert_eq!(form.json(), json!({"a": "\u{fffd}", "b": "%zz", "": "", "c": "", "op": "echo"}), "{form:?}");
}

#[test]
fn nul_bytes() {
    let host = shared();
    for (content_type, body, key) in [
        ("application/json", &br#"{"a":"x\u0000y"}"#[..], "a"),
        ("application/x-www-form-urlencoded", b"a=x%00y", "a"),
        ("application/x-www-form-urlencoded", b"a=x\0y", "a"),
        ("text/plain", b"x\0y", "raw_string"),
        ("multipart/form-data; boundary=x", b"--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\nx\0y\r\n--x--\r\n", "a"),
    ] {
        let answer = echoed("", content_type, body);
        assert_eq!((answer.status, &answer.json()[key]), (200, &json!("x\0y")), "{content_type}: {answer:?}");
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
fn deep_json_wherever_it_stands() {
    let _host = shared();
    let deep = nested(DEPTH);
    let event = |data: &str| format!(r#"{{"specversion":"1.0","id":"7","source":"/s","type":"t",{data}}}"#);
    let structured = "application/cloudevents+json";
    for deep in [&deep, &nested(100_000)] {
        for (content_type, body) in [
            ("application/json", deep.clone()),
            ("application/json", format!(r#"{{"a":{deep}}}"#)),
            ("application/json", deep.replace('[', r#"{"a":"#).replace(']', "}")),
            (structured, event(&format!(r#""data":{deep}"#))),
            (structured, event(&format!(r#""extension":{deep},"data":1"#))),
            (structured, event(&format!(r#""data_base64":"{}""#, base64(deep)))),
        ] {
            let detail = echoed("", content_type, body.as_bytes()).problem(400);
            assert!(detail.contains("deep"), "{body:.80}: {detail}");
        }
    }
    // Only as a text does it say nothing about its depth.
    let form = format!(
        "--x\r\ncontent-disposition: form-data; name=\"a\"\r\ncontent-type: application/json\r\n\r\n{}\r\n--x--\r\n",
        nested(100_000)
    );
    let answer = echoed("", "multipart/form-data; boundary=x", form.as_bytes());
    assert_eq!((answer.status, answer.json()["a"].as_str().map(str::len)), (200, Some(200_001)));
    // The deepest that is taken; the arguments themselves are one level.
    let most = nested(DEPTH - 2);
    let answer = echoed("", "application/json", format!(r#"{{"a":{most}}}"#).as_bytes());
    assert_eq!((answer.status, answer.text()), (200, format!(r#"{{"a":{most},"op":"echo"}}"#)));
}

/// Every operation that takes JSON is given some that is none, too deep, or something else.
#[test]
fn management_requests_that_are_none() {
    let host = shared();
    let deep = nested(100_000);
    for Operation { method, address, takes } in operations(&host) {
        if takes.as_deref() != Some("application/json") || address.contains("/jobs/run") {
            continue;
        }
        let send = |body: &[u8]| host.request(&method, &address).body("application/json", body).send();
        let other = br#"{"path":1,"id":{},"email":[],"scopes":"x","reason":7,"label":[],"webhook":{}}"#;
        for body in [deep.as_bytes(), other, b"\xff", b"7", b"\"", b"{", b"[1"] {
            let answer = send(body);
            // Where what it is about is not there, that may be found out first.
            assert!(matches!(answer.status, 400 | 404), "{method} {address}: {answer:?}");
            assert!(!answer.problem(answer.status).is_empty(), "{method} {address}");
        }
        // What need not be sent may be left out; and whatever text there is, nothing breaks.
        for body in ["", "{}", "null", "[]", r#"{"label":"\u0000 🦀","reason":"\u0000"}"#] {
            let answer = send(body.as_bytes());
            assert!(answer.status < 500, "{method} {address} {body}: {answer:?}");
        }
    }
    host.still_serves();
}

/// Every operation that looks at something, with parameters that are none.
#[test]
fn management_queries_that_are_none() {
    const NAMES: [&str; 16] = [
        "per_page",
        "before",
        "status",
        "success",
        "running",
        "created_after",
        "completed_before",
        "script_hash",
        "tag",
        "script_path_start",
        "order_desc",
        "include_args",
        "log_offset",
        "get_started",
        "path_start",
        "resource_type",
    ];
    let host = shared();
    let lists = |operation: &Operation| {
        operation.method == "GET" && ["list", "count", "position"].iter().any(|word| operation.address.contains(word))
    };
    let operations: Vec<Operation> = operations(&host).into_iter().filter(lists).collect();
    let long = "x".repeat(10_000);
    for value in ["", "-1", "99999999999999999999", "NaN", "%00", "%ff", "%", "9999-12-31T23:59:59Z", "-0001-01-01T00:00:00Z", &long] {
        for Operation { address, .. } in &operations {
            // One at a time: what is wrong with the first would hide the others.
            for name in NAMES {
                let answer = host.get(&format!("{address}?{name}={value}"));
                assert!(answer.status < 500, "{address}?{name}={value:.30}: {answer:?}");
                if answer.status >= 400 {
                    answer.problem(answer.status);
                }
            }
        }
    }
    host.still_serves();
}

#[test]
fn deep_json_in_results() {
    let host = shared();
    for (name, text) in [
        ("arrays", nested(10_000)),
        ("steered", format!(r#"{{"windmill_status_code":201,"result":{}}}"#, nested(10_000))),
        ("declared", format!(r#"{{"wm_failure":"no","windmill_headers":{}}}"#, nested(10_000))),
        ("just-too-deep", nested(DEPTH + 1)),
    ] {
        let path = format!("u/badinput/{name}");
        host.push(&path, &entry_answering(&text));
        let (failure, message) = host.call(&path, &json!({})).failure();
        assert_eq!(failure, "InvalidResult", "{name}: {message}");
        let id = host.queue(&path, &json!({}));
        assert_eq!(host.wait(&id, 20)["result"]["error"]["name"], "InvalidResult");
        assert_eq!(host.job(&id)["result"]["error"]["name"], "InvalidResult");
    }
    let most = nested(DEPTH);
    host.push("u/badinput/deep-enough", &entry_answering(&most));
    let answer = host.call("u/badinput/deep-enough", &json!({}));
    assert_eq!((answer.status, answer.text()), (200, most.clone()));
    let id = host.queue("u/badinput/deep-enough", &json!({}));
    // Read as text: as a part of the job's JSON it is deeper than a reader has to follow.
    eventually("the deepest result is there", 20, || {
        let result = host.get(&format!("/api/w/main/jobs_u/completed/get_result/{id}"));
        (result.status == 200).then(|| assert_eq!(result.text(), most))
    });
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
        let detail = echoed("", &format!("multipart/form-data{boundary}"), body.as_bytes()).problem(400);
        assert!(!detail.is_empty(), "{boundary:.40} {body:.80}");
    }
}

#[test]
fn headers_that_are_no_text() {
    let host = shared();
    let echo = format!("POST {ECHO}?include_query=op&op=echo&include_header=X-Name,X-Long");
    let mut wire = Wire::open(host.address);
    wire.send(
        [head(&host, &echo, "x-long: ").trim_end().as_bytes(), b" \xc3\xa4\r\nX-NAME: \xff\xfe\r\ncontent-length: 2\r\n\r\n{}"].concat(),
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
    let long = host.request("POST", "/api/w/main/jobs/run/p/u/tests/hello").header("idempotency-key", &"k".repeat(256));
    long.json(&json!({"name": "Ann"})).send().problem(400);
    host.still_serves();
}

/// Only the method of the request line counts: a page in a browser can set these headers, and proxies let them through.
#[test]
fn method_overrides_are_ignored() {
    let host = shared();
    let target = "/api/users/tokens/list";
    for header in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let listed = host.request("GET", target).header(header, "DELETE").send();
        assert_eq!((listed.status, listed.json().is_array()), (200, true), "{header}: {listed:?}");
        let run = host.calling("p/u/tests/hello?_method=DELETE").header(header, "HEAD").json(&json!({"name": "Ann"})).send();
        assert_eq!(run.json()["greeting"], "Hello Ann!", "{header}");
        host.request("PUT", HELLO).header(header, "POST").json(&json!({"name": "Ann"})).send().problem(405);
    }
    host.still_serves();
}

/// A length that does not say where the request ends lets one sender's bytes become another's request behind a proxy. Each of
/// these ends its connection: what follows is never answered.
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
    wire.send(head(&host, &format!("POST {HELLO}"), "content-length: 13\r\n") + body + "}}}}\r\n\r\n");
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
