//! HTTP as it should be, and as it should not be.

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use wasmill_tests::{Host, Wire, eventually, guest, shared};

/// Default header timeout of the host, seconds.
const HEADER_TIMEOUT: u64 = 10;

fn hello(host: &Host) -> String {
    let body = r#"{"name":"Bo"}"#;
    format!(
        "POST /api/w/main/jobs/run_wait_result/p/u/tests/hello HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        host.token,
        body.len()
    )
}

#[test]
fn one_connection_many_requests() {
    let host = shared();
    let mut wire = Wire::open(host.address);
    for _ in 0..5 {
        wire.send(hello(&host));
        let answer = wire.answer(10).expect("the connection stays open");
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(
            serde_json::from_slice::<Value>(&answer.body).expect("JSON")["greeting"],
            "Hello Bo!"
        );
    }
    // Also after a refusal, whose body is not needed.
    wire.send("GET /api/nothing HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(wire.answer(10).expect("an answer").status, 404);
    wire.send(hello(&host) + &hello(&host));
    for _ in 0..2 {
        assert_eq!(wire.answer(10).expect("two requests in one piece, two answers").status, 200);
    }
}

#[test]
fn http2_by_prior_knowledge() {
    let host = shared();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(host.address).await.expect("the host listens");
        let (client, connection) = h2::client::handshake(stream).await.expect("HTTP/2 is spoken");
        let connection = tokio::spawn(connection);
        let mut answers = Vec::new();
        // Several at once on the one connection.
        for name in ["Ann", "Bo", "Cy"] {
            let mut client = client.clone().ready().await.expect("a stream");
            let request = http::Request::post(format!(
                "{}/api/w/main/jobs/run_wait_result/p/u/tests/hello",
                host.url()
            ))
            .header("authorization", format!("Bearer {}", host.token))
            .header("content-type", "application/json")
            .body(())
            .expect("a request");
            let (answer, mut body) = client.send_request(request, false).expect("a stream");
            body.send_data(bytes::Bytes::from(json!({"name": name}).to_string()), true)
                .expect("it is sent");
            answers.push((name, answer));
        }
        for (name, answer) in answers {
            let answer = answer.await.expect("an answer");
            assert_eq!((answer.status().as_u16(), answer.version()), (200, http::Version::HTTP_2));
            let mut body = Vec::new();
            let mut stream = answer.into_body();
            while let Some(piece) = stream.data().await {
                body.extend_from_slice(&piece.expect("data"));
            }
            assert_eq!(
                serde_json::from_slice::<Value>(&body).expect("JSON")["greeting"],
                format!("Hello {name}!")
            );
        }
        drop(client);
        connection.abort();
    });
}

#[test]
fn silence_is_not_waited_for() {
    let host = shared();
    // Nothing at all, and the beginning that both versions of HTTP have in common.
    let wires: Vec<(&str, Wire)> =
        ["", "P", "PRI * HTTP"].map(|begun| (begun, Wire::open(host.address))).into();
    for (begun, mut wire) in wires {
        wire.send(begun);
        let silence = wire.closed(HEADER_TIMEOUT + 5);
        // Each is looked at after the one before it, which may have taken all the time.
        assert!(
            !begun.is_empty() || silence > Duration::from_secs(1),
            "closed at once: {silence:?}"
        );
    }
    host.still_serves();
}

#[test]
fn slow_headers_are_not_waited_for() {
    let host = shared();
    let mut wire = Wire::open(host.address);
    wire.send("GET /api/version HTTP/1.1\r\nhost: x\r\nx-slow: ");
    let begun = Instant::now();
    // A byte now and then must not buy more time. The pause is the attack, not a wait for
    // something.
    while wire.send("x") {
        assert!(
            begun.elapsed() < Duration::from_secs(HEADER_TIMEOUT + 5),
            "headers are waited for without an end"
        );
        std::thread::sleep(Duration::from_millis(300));
    }
    host.still_serves();
}

#[test]
fn idle_connections_are_closed() {
    let host = shared();
    let mut wire = Wire::open(host.address);
    wire.send(hello(&host));
    assert_eq!(wire.answer(10).map(|answer| answer.status), Some(200));
    wire.closed(HEADER_TIMEOUT + 5);
    host.still_serves();
}

#[test]
fn too_large_headers() {
    let host = shared();
    let mut wire = Wire::open(host.address);
    wire.send(format!(
        "GET /api/version HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n",
        "y".repeat(60_000)
    ));
    assert_eq!(wire.answer(10).map(|answer| answer.status), Some(431));
    for count in [150, 1_000] {
        let many: String = (0..count).map(|number| format!("x-{number}: y\r\n")).collect();
        let mut wire = Wire::open(host.address);
        wire.send(format!("GET /api/version HTTP/1.1\r\nhost: x\r\n{many}\r\n"));
        assert_eq!(wire.answer(10).map(|answer| answer.status), Some(431), "{count} headers");
    }
    host.still_serves();
}

#[test]
fn malformed_requests() {
    let host = shared();
    for request in [
        "NONSENSE\r\n\r\n",
        "GET\r\n\r\n",
        "GET /api/version HTTP/9.9\r\n\r\n",
        "GET /api version HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /api/version HTTP/1.1\r\nbad header\r\n\r\n",
    ] {
        let mut wire = Wire::open(host.address);
        wire.send(request);
        let answer = wire.answer(10);
        assert_eq!(answer.map(|answer| answer.status), Some(400), "{request:?}");
        wire.closed(5);
    }
    host.still_serves();
}

/// Two lengths for one body are how requests are smuggled past a proxy. Whatever follows must not
/// be taken for a request.
#[test]
fn length_and_chunks_at_once() {
    let host = shared();
    let smuggled = "GET /api/version HTTP/1.1\r\nhost: x\r\n\r\n";
    for framing in [
        "content-length: 6\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 6\r\n",
        "content-length: 5\r\ncontent-length: 6\r\n",
        "transfer-encoding: xchunked\r\n",
    ] {
        let mut wire = Wire::open(host.address);
        wire.send(format!("POST /api/w/main/jobs/run_wait_result/p/u/tests/hello HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n{framing}\r\n0\r\n\r\n{smuggled}", host.token));
        let mut answers = Vec::new();
        while let Some(answer) = wire.answer(HEADER_TIMEOUT + 10) {
            answers.push(answer);
        }
        // Refused, or closed after the one answer: in no case is the version told.
        assert!(answers.len() <= 1, "{framing:?}: {answers:?}");
        assert!(
            answers
                .iter()
                .all(|answer| !String::from_utf8_lossy(&answer.body).contains("wasmill v")),
            "{framing:?}: {answers:?}"
        );
    }
    host.still_serves();
}

#[test]
fn a_body_that_breaks_off() {
    let host = Host::start(&[]);
    host.push("u/tests/hello", &guest("hello"));
    let mut wire = Wire::open(host.address);
    wire.send(format!("POST /api/w/main/jobs/run/p/u/tests/hello HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 100\r\n\r\n{{\"name\":", host.token));
    wire.hang_up();
    // Half a body starts nothing: one call is all that there was, and it is the one made here.
    let served = host.call("u/tests/hello", &json!({"name": "Ann"}));
    let jobs = eventually("the call is recorded", 10, || {
        Some(host.get("/api/w/main/jobs/list").json()).filter(|jobs| jobs[0].is_object())
    });
    let ids: Vec<&str> =
        jobs.as_array().expect("a list").iter().filter_map(|job| job["id"].as_str()).collect();
    assert_eq!(ids, [served.header("x-wasmill-job-id")]);
}
