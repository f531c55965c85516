//! Who may call.

use serde_json::{Value, json};
use wasmill_tests::{Answer, Home, Host, Wire, guest, operations, shared};

fn create(host: &Host, description: &Value) -> String {
    let answer = host.request("POST", "/api/users/tokens/create").json(description).send();
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.text()
}

fn call_with(host: &Host, token: &str, target: &str) -> Answer {
    host.calling(target).token(token).json(&json!({"name": "Ann"})).send()
}

fn refused(answer: &Answer) {
    answer.problem(401);
    assert_eq!(answer.header("www-authenticate"), "Bearer");
}

#[test]
fn no_token() {
    let host = shared();
    refused(&host.calling("p/u/tests/hello").anonymous().json(&json!({"name": "Ann"})).send());
    refused(&host.request("GET", "/api/w/main/scripts/list").anonymous().send());
    refused(
        &host
            .calling("p/u/tests/hello")
            .anonymous()
            .header("authorization", "Basic YTpi")
            .json(&json!({"name": "Ann"}))
            .send(),
    );
    host.still_serves();
}

#[test]
fn unknown_tokens() {
    let host = shared();
    let mut altered = host.token.clone();
    let last = altered.pop().expect("a letter");
    altered.push(if last == 'A' { 'B' } else { 'A' });
    for token in ["nonsense", "", &altered, &format!("{}x", host.token), "wml_"] {
        refused(&call_with(&host, token, "p/u/tests/hello"));
    }
    host.still_serves();
}

#[test]
fn expired_tokens() {
    let host = shared();
    let expired = create(&host, &json!({"label": "old", "expiration": "2020-01-01T00:00:00Z"}));
    refused(&call_with(&host, &expired, "p/u/tests/hello"));
    let lasting = create(&host, &json!({"expiration": "2099-01-01T00:00:00Z"}));
    assert_eq!(call_with(&host, &lasting, "p/u/tests/hello").status, 200);
    let detail = host
        .request("POST", "/api/users/tokens/create")
        .json(&json!({"expiration": "tomorrow"}))
        .send()
        .problem(400);
    assert!(detail.contains("tomorrow"), "{detail}");
}

#[test]
fn revoked_tokens() {
    let host = shared();
    let token = create(&host, &json!({"label": "short-lived"}));
    // Used first, so that the host knows it by heart.
    assert_eq!(call_with(&host, &token, "p/u/tests/hello").status, 200);
    let answer =
        host.request("DELETE", &format!("/api/users/tokens/delete/{}", &token[..10])).send();
    assert_eq!(answer.status, 200, "{answer:?}");
    refused(&call_with(&host, &token, "p/u/tests/hello"));
    host.request("DELETE", "/api/users/tokens/delete/wml_nobody").send().problem(404);
    host.request("DELETE", "/api/users/tokens/delete/wml").send().problem(400);
}

#[test]
fn in_the_query() {
    let host = shared();
    let by_query = |token: &str| {
        host.calling(&format!("p/u/tests/hello?token={token}"))
            .anonymous()
            .json(&json!({"name": "Ann"}))
            .send()
    };
    assert_eq!(by_query(&host.token).status, 200);
    refused(&by_query("nonsense"));
    // The header counts when both are there.
    refused(
        &host
            .calling(&format!("p/u/tests/hello?token={}", host.token))
            .token("nonsense")
            .json(&json!({"name": "Ann"}))
            .send(),
    );
    // It is no argument: a typed script would refuse it, and an echo does not show it.
    let echo = host
        .calling(&format!("p/u/tests/misbehave?token={}", host.token))
        .anonymous()
        .json(&json!({"op": "echo"}))
        .send();
    assert_eq!(echo.json(), json!({"op": "echo"}));
}

#[test]
fn a_narrow_token_runs_its_script_alone() {
    let host = shared();
    let own = host.push("u/tokens/own", &guest("hello"));
    let other = host.push("u/tokens/other", &guest("hello"));
    for scope in [
        "jobs:run:scripts:u/tokens/own",
        "run:script/u/tokens/own",
        "jobs:run:scripts:u/tokens/own,u/tokens/third",
    ] {
        let token = create(&host, &json!({"scopes": [scope]}));
        for target in ["p/u/tokens/own".to_owned(), format!("h/{}", own.hash)] {
            assert_eq!(call_with(&host, &token, &target).status, 200, "{scope} {target}");
        }
        for target in ["p/u/tokens/other".to_owned(), format!("h/{}", other.hash)] {
            let detail = call_with(&host, &token, &target).problem(403);
            assert!(detail.contains("jobs:run:scripts:u/tokens/other"), "{scope}: {detail}");
        }
        let queued = host
            .request("POST", "/api/w/main/jobs/run/p/u/tokens/other")
            .token(&token)
            .json(&json!({"name": "Ann"}))
            .send();
        queued.problem(403);
        for (method, path, scope) in [
            ("GET", "/api/w/main/scripts/list", "scripts:read"),
            ("GET", "/api/w/main/jobs/list", "jobs:read"),
            ("GET", "/api/w/main/scripts/get/p/u/tokens/own", "scripts:read:u/tokens/own"),
            ("GET", "/api/w/main/scripts/raw/p/u/tokens/own", "scripts:read:u/tokens/own"),
            ("POST", "/api/w/main/scripts/upload/p/u/tokens/own", "scripts:write:u/tokens/own"),
            ("POST", "/api/w/main/scripts/archive/p/u/tokens/own", "scripts:write:u/tokens/own"),
            ("GET", "/api/users/tokens/list", "users:read"),
            ("POST", "/api/users/tokens/create", "users:write"),
        ] {
            let detail = host.request(method, path).token(&token).send().problem(403);
            assert!(detail.contains(scope), "{method} {path}: {detail}");
        }
    }
    // An overwritten version is still the script of that path.
    let token = create(&host, &json!({"scopes": ["jobs:run:scripts:u/tokens/own"]}));
    host.push("u/tokens/own", &guest("hello-loud"));
    assert_eq!(call_with(&host, &token, &format!("h/{}", own.hash)).status, 200);
}

#[test]
fn a_prefix_reaches_what_is_under_it() {
    let host = shared();
    host.push("f/tokens/inner/one", &guest("hello"));
    host.push("f/tokens/innermost", &guest("hello"));
    let token = create(&host, &json!({"scopes": ["jobs:run:scripts:f/tokens/inner/*"]}));
    assert_eq!(call_with(&host, &token, "p/f/tokens/inner/one").status, 200);
    call_with(&host, &token, "p/f/tokens/innermost").problem(403);
}

#[test]
fn a_narrow_token_reads_the_jobs_that_it_started() {
    let host = shared();
    host.push("u/tokens/jobs", &guest("hello"));
    let token = create(&host, &json!({"scopes": ["jobs:run:scripts:u/tokens/jobs"]}));
    let queued = host
        .request("POST", "/api/w/main/jobs/run/p/u/tokens/jobs")
        .token(&token)
        .json(&json!({"name": "Ann"}))
        .send();
    assert_eq!(queued.status, 201, "{queued:?}");
    let own = queued.text();
    let admins = host.queue("u/tokens/jobs", &json!({"name": "Bo"}));
    host.wait(&own, 20);
    host.wait(&admins, 20);
    for address in [
        "jobs_u/get",
        "jobs_u/completed/get_result",
        "jobs_u/completed/get_result_maybe",
        "jobs_u/get_logs",
    ] {
        let read = |id: &str| {
            host.request("GET", &format!("/api/w/main/{address}/{id}")).token(&token).send()
        };
        assert_eq!(read(&own).status, 200, "{address}");
        // Not even that it exists.
        read(&admins).problem(404);
    }
}

/// An array could pass for the members' values in their order: for a label, and no scopes.
#[test]
fn a_description_is_an_object() {
    let host = shared();
    for body in [json!([null, null]), json!(["label"]), json!(null), json!("label"), json!(7)] {
        let detail =
            host.request("POST", "/api/users/tokens/create").json(&body).send().problem(400);
        assert!(detail.contains("JSON object"), "{body}: {detail}");
    }
}

#[test]
fn no_token_makes_a_broader_one() {
    let host = shared();
    let narrow = create(&host, &json!({"scopes": ["users:write", "jobs:run:scripts:u/tokens/*"]}));
    let make = |scopes: Value| {
        host.request("POST", "/api/users/tokens/create")
            .token(&narrow)
            .json(&json!({"scopes": scopes}))
            .send()
    };
    assert_eq!(make(json!(["jobs:run:scripts:u/tokens/own"])).status, 201);
    for broader in [
        json!(["jobs:run:scripts:u/other/x"]),
        json!(["jobs:run"]),
        json!(["jobs:run:scripts:*"]),
        json!(["scripts:write"]),
        json!([]),
        Value::Null,
    ] {
        make(broader).problem(403);
    }
    let detail = make(json!(["jobs"])).problem(400);
    assert!(detail.contains("domain:action"), "{detail}");
}

#[test]
fn of_one_workspace() {
    let host = shared();
    let token = create(&host, &json!({"workspace_id": "main"}));
    assert_eq!(call_with(&host, &token, "p/u/tests/hello").status, 200);
    let elsewhere = host.request("GET", "/api/w/elsewhere/scripts/list").token(&token).send();
    let detail = elsewhere.problem(403);
    assert!(detail.contains("elsewhere"), "{detail}");
}

/// A request of each kind with a token wherever one may stand, in its query above all.
fn talk_of(host: &Host, token: &str) {
    let run = "/api/w/main/jobs/run_wait_result/p/u/tests/hello";
    let args = json!({"name": "Ann"});
    let mut asked: Vec<(String, String)> = operations(host)
        .into_iter()
        .map(|operation| (operation.method, operation.address))
        .collect();
    for method in ["GET", "POST", "HEAD", "OPTIONS", "PUT"] {
        let others = [
            run,
            "/api/w/main/jobs/run/p/u/tests/hello",
            "/api/w/main/jobs/run_and_stream/p/u/tests/hello",
            "/api/nowhere",
            "/",
        ];
        asked.extend(others.map(|address| (method.to_owned(), address.to_owned())));
    }
    for (method, address) in &asked {
        let request = || host.request(method, &format!("{address}?token={token}")).json(&args);
        request().anonymous().send();
        request().token(token).send();
    }
    // Where something is wrong, it is told what; and where another parameter asks for the token.
    for query in [
        "raw=nonsense",
        "payload=!",
        "timeout=x",
        "include_query=token&include_header=authorization",
        "job_id=x",
        "%ff=%",
    ] {
        host.request("POST", &format!("{run}?{query}&token={token}"))
            .token(token)
            .json(&args)
            .send();
        host.request("GET", &format!("{run}?{query}&token={token}")).anonymous().send();
    }
    for line in [
        format!("GET /api/version?token={token} HTTP/9.9"),
        format!("GET /api version?token={token} HTTP/1.1"),
        format!("GET /api/version?token={token}\0 HTTP/1.1"),
        format!("GET /api/version HTTP/1.1\r\nauthorization: Bearer {token}\r\nbad header"),
        format!(
            "POST {run}?token={token} HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2"
        ),
        format!(
            "POST {run}?token={token} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz"
        ),
    ] {
        let mut wire = Wire::open(host.address);
        wire.send(line + "\r\n\r\n");
        wire.closed(20);
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(host.address).await.expect("the host listens");
        let (client, connection) = h2::client::handshake(stream).await.expect("HTTP/2 is spoken");
        let connection = tokio::spawn(connection);
        for (method, address) in &asked {
            let request = http::Request::builder()
                .method(method.as_str())
                .uri(format!("{}{address}?token={token}", host.url()))
                .header("authorization", format!("Bearer {token}"))
                .body(())
                .expect("a request");
            let mut client = client.clone().ready().await.expect("a stream");
            let (answer, _) = client.send_request(request, true).expect("a stream");
            answer.await.expect("an answer");
        }
        drop(client);
        connection.abort();
    });
}

/// Everything that touches a token, with the host and all that it is made of at their most
/// talkative: no log line may hold one, and no file but the one that is there for it.
#[test]
fn tokens_are_never_logged() {
    let home = Home::new();
    let mut host = home.start_with(&[], &[("WASMILL_LOG", "trace"), ("RUST_LOG", "trace")]);
    host.push("u/tests/hello", &guest("hello"));
    let other = create(&host, &json!({"label": "other"}));
    let unknown = format!("{}wrong", host.token);
    for token in [host.token.as_str(), &other, &unknown] {
        talk_of(&host, token);
    }
    host.request("DELETE", &format!("/api/users/tokens/delete/{}", &other[..10])).send();
    talk_of(&host, &other);
    host.terminate();
    host.ended(20);
    let log = host.log();
    assert!(
        log.contains("/jobs/run_wait_result/p/u/tests/hello") && log.contains("TRACE"),
        "requests are not logged at all: {log}"
    );
    let files = std::fs::read_dir(home.data())
        .expect("the data folder")
        .map(|entry| entry.expect("an entry").path());
    let written: Vec<_> =
        files.filter(|file| file.is_file() && !file.ends_with("admin-token")).collect();
    assert!(written.iter().any(|file| file.ends_with("wasmill.db")), "{written:?}");
    for token in [&host.token, &other, &unknown] {
        // Of the part behind the prefix, which is shown on purpose.
        let secret = &token[10..];
        assert!(
            !log.contains(secret),
            "a token is in the log: {}",
            log.lines().find(|line| line.contains(secret)).unwrap_or_default()
        );
        for file in &written {
            let bytes = std::fs::read(file).expect("a readable file");
            assert!(
                !bytes.windows(secret.len()).any(|some| some == secret.as_bytes()),
                "a token is in {}",
                file.display()
            );
        }
    }
}

#[test]
fn who_a_token_belongs_to() {
    let host = shared();
    let anywhere = host.get("/api/users/whoami").json();
    assert_eq!((&anywhere["username"], &anywhere["super_admin"]), (&json!("admin"), &json!(true)));
    let here = host.get("/api/w/main/users/whoami").json();
    assert_eq!(
        (&here["username"], &here["is_admin"], &here["operator"]),
        (&json!("admin"), &json!(true), &json!(false))
    );
    assert!(!host.request("GET", "/api/users/whoami").anonymous().send().problem(401).is_empty());
}
