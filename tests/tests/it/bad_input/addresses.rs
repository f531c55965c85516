//! Addresses and queries.

use super::{ECHO, base64, echoed, head, nested, problem, sent};
use serde_json::{Value, json};
use wasmill_tests::{Operation, Wire, operations, shared};

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
        let answer = sent(
            &format!("POST /api/w/main/jobs/run_wait_result/p/u/tests/{escaped}"),
            "content-length: 0\r\n",
            b"",
        );
        problem(&answer, 404);
    }
    // Escapes that stand for what is allowed anyway are the same address.
    let answer = sent(
        "POST /%61pi/w/main/jobs/run_wait_result/p/u%2Ftests/%68ello",
        "content-length: 13\r\n",
        br#"{"name":"Bo"}"#,
    );
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
    // Escapes that are none stand for themselves; what is not UTF-8 is replaced, for a query has no
    // way to say so.
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
        assert_eq!(
            answer.json().get(key).cloned().unwrap_or_default(),
            expected,
            "{query}: {answer:?}"
        );
    }
    for query in [
        "&raw=&raw=true",
        "&raw=TRUE",
        "&wrap_body=",
        "&timeout=0",
        "&timeout=-1",
        "&timeout=99999999999",
        "&tag=a%20b",
        "&parent_job=7",
    ] {
        let detail = echoed(query, "application/json", b"{}").problem(400);
        let name = query[1..].split('=').next().expect("a name");
        assert!(detail.contains(name), "{query}: {detail}");
    }
    let twice = host.get(&format!("{ECHO}?payload=!&payload={}", base64(r#"{"op":"echo"}"#)));
    assert_eq!(twice.json(), json!({"op": "echo"}), "the last payload counts: {twice:?}");
    for payload in ["!", "e30=e30", "e", "%ff", "W10", &base64(&nested(10_000))] {
        let answer = host.get(&format!("{ECHO}?payload={payload}"));
        // `[]`, the last but one, is a value; only the script misses its `op`.
        assert_eq!(
            answer.status,
            if payload == "W10" { 200 } else { 400 },
            "{payload:.20}: {answer:?}"
        );
    }
    host.still_serves();
}

#[test]
fn a_great_many_names() {
    let host = shared();
    let names =
        |count: usize| (0..count).map(|number| format!("h{number}")).collect::<Vec<_>>().join(",");
    for list in ["include_header", "include_query"] {
        let op = if list == "include_query" { "op," } else { "" };
        let most = echoed(&format!("&{list}={op}{}", names(999)), "application/json", b"{}");
        assert_eq!((most.status, most.json()), (200, json!({"op": "echo"})));
        let detail =
            echoed(&format!("&{list}={}", names(1001)), "application/json", b"{}").problem(400);
        assert!(detail.contains(list) && detail.contains("1001"), "{detail}");
    }
    let many = echoed(&"&a=".repeat(10_000), "application/json", b"{}");
    assert_eq!(
        (many.status, many.json()),
        (200, json!({"op": "echo"})),
        "as many parameters as an address has room for"
    );
    let mut wire = Wire::open(host.address);
    wire.send(head(
        &host,
        &format!("POST {ECHO}?{}", "a=1&".repeat(100_000)),
        "content-length: 0\r\n",
    ));
    // Refused before all of it was read, so the connection may also break while more of it is sent.
    let status = wire.answer(10).map(|answer| answer.status);
    assert!(matches!(status, None | Some(414 | 431)), "{status:?}");
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
        operation.method == "GET"
            && ["list", "count", "position"].iter().any(|word| operation.address.contains(word))
    };
    let operations: Vec<Operation> = operations(&host).into_iter().filter(lists).collect();
    let long = "x".repeat(10_000);
    for value in [
        "",
        "-1",
        "99999999999999999999",
        "NaN",
        "%00",
        "%ff",
        "%",
        "9999-12-31T23:59:59Z",
        "-0001-01-01T00:00:00Z",
        &long,
    ] {
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
