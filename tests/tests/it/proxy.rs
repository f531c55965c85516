//! A script at a URL of its owner's, behind the proxy of the example in `deploy/`.

use serde_json::{Value, json};
use wasmill_tests::{Caddy, Host, Wire, guest, shared};

fn token_for(host: &Host, path: &str) -> String {
    let scopes = json!({"label": path, "scopes": [format!("jobs:run:scripts:{path}")]});
    let answer = host.request("POST", "/api/users/tokens/create").json(&scopes).send();
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.text()
}

#[test]
fn a_url_of_ones_own() {
    let host = shared();
    host.push("f/shop/order", &guest("misbehave"));
    host.push("f/shop/report", &guest("slow"));
    let (orders, reports) = (token_for(&host, "f/shop/order"), token_for(&host, "f/shop/report"));
    let caddy = Caddy::start(&host, &[("ORDERS_TOKEN", &orders), ("REPORTS_TOKEN", &reports)]);
    let send = |head: &str, headers: &str, body: &str| {
        let mut wire = Wire::open(caddy.address);
        wire.send(format!(
            "{head} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
            caddy.address,
            body.len()
        ));
        wire.answer(20).expect("an answer")
    };

    // Query, headers and the body's exact text reach the script; the token does not.
    let body = r#"{ "op":"echo", "price":1.10 }"#;
    let query = "raw=true&include_query=shop&shop=a%20b&include_header=X-Signature,Authorization";
    let answer = send(
        &format!("POST /orders?{query}"),
        "x-signature: sha256=5f\r\nauthorization: Basic YTpi\r\n",
        body,
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    let echo: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(
        echo,
        json!({"op": "echo", "price": 1.10, "shop": "a b", "x_signature": "sha256=5f", "raw_string": body})
    );
    assert!(
        answer.head.to_ascii_lowercase().contains("x-wasmill-job-status: success"),
        "{}",
        answer.head
    );
    let environment = send("POST /orders", "", r#"{"op":"env"}"#);
    let environment = String::from_utf8(environment.body).expect("text");
    assert!(environment.contains("f/shop/order"), "{environment}");
    // {"op":"echo"} by GET, as browsers and simple senders have it.
    let payload = send("GET /orders?payload=eyJvcCI6ImVjaG8ifQ", "", "");
    assert_eq!(
        (payload.status, payload.body.as_slice()),
        (200, br#"{"op":"echo"}"#.as_slice()),
        "{payload:?}"
    );

    // Nothing else is there: no other script, no other route, however it is written.
    for path in [
        "/",
        "/orders/x",
        "/order",
        "/api/version",
        "/orders/../api/version",
        "/api/w/main/jobs/run_wait_result/p/u/tests/hello",
    ] {
        assert_eq!(send(&format!("POST {path}"), "", "{}").status, 404, "{path}");
    }

    // A stream arrives while it goes on.
    let mut wire = Wire::open(caddy.address);
    let body = r#"{"seconds":3}"#;
    wire.send(format!(
        "POST /reports HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n{body}",
        caddy.address,
        body.len()
    ));
    let begun = wire.read_until("1 of 3 seconds", 20);
    assert!(begun.starts_with("HTTP/1.1 200") && begun.contains("text/event-stream"), "{begun}");
    assert!(!begun.contains("3 of 3 seconds"), "all of it came at once: {begun}");
    let all = wire.read_until(r#""only_result":{"slept":3}"#, 20);
    for (token, name) in [(&orders, "orders"), (&reports, "reports")] {
        for (text, of) in [
            (&caddy.log(), "caddy's log"),
            (&host.log(), "the host's log"),
            (&environment, "the environment"),
            (&all, "the stream"),
        ] {
            assert!(!text.contains(&token[10..]), "the token of {name} is in {of}");
        }
    }
}
