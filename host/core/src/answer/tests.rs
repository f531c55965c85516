use super::*;
use crate::outcome::{Failure, FailureName};
use proptest::prelude::*;

fn sent(result: &str) -> Result<Answer, Problem> {
    answer(&Outcome::Success(RawValue::from_string(result.to_owned()).unwrap()), &Policy::default())
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(n, _)| n == name).map(|(_, value)| &**value)
}

#[test]
fn table() {
    // result, status, content type, body
    for (result, status, content_type, body) in [
        ("{\"a\":1}", 200, "application/json", "{\"a\":1}"),
        ("null", 200, "application/json", "null"),
        ("\"text\"", 200, "application/json", "\"text\""),
        ("1.10", 200, "application/json", "1.10"),
        (r#"{"windmill_status_code":201,"result":{"b":2}}"#, 201, "application/json", "{\"b\":2}"),
        (r#"{"wm_status_code":599,"result":"x"}"#, 599, "application/json", "\"x\""),
        (
            r#"{"windmill_content_type":"text/csv","result":"Hello;World"}"#,
            200,
            "text/csv",
            "Hello;World",
        ),
        (r#"{"wm_content_type":"text/csv","result":[1,2]}"#, 200, "text/csv", "[1,2]"),
        (r#"{"windmill_status_code":404}"#, 404, "application/json", "null"),
        (r#"{"windmill_status_code":204,"result":"dropped"}"#, 204, "application/json", ""),
        (r#"{"windmill_status_code":304,"result":"dropped"}"#, 304, "application/json", ""),
        (
            r#"{"windmill_headers":{"X-A":"1"},"result":1,"ignored":2}"#,
            200,
            "application/json",
            "1",
        ),
        (r#"{"windmill_headers":{"X-A":"1"},"result":null}"#, 204, "application/json", ""),
        (r#"{"windmill_headers":{"X-A":"1"}}"#, 204, "application/json", ""),
        (
            r#"{"windmill_headers":{"Content-Type":"text/x"},"windmill_content_type":"text/y","result":"z"}"#,
            200,
            "text/y",
            "z",
        ),
        (
            r#"{"windmill_content_type":"image/x","windmill_content_transfer_encoding":"base64","result":"aGk="}"#,
            200,
            "image/x",
            "hi",
        ),
        // No control key: the object is the result.
        (r#"{"result":1}"#, 200, "application/json", r#"{"result":1}"#),
        (r#"{"windmill_other":1}"#, 200, "application/json", r#"{"windmill_other":1}"#),
        (
            r#"{"a":"\"windmill_status_code\""}"#,
            200,
            "application/json",
            r#"{"a":"\"windmill_status_code\""}"#,
        ),
        (
            r#"{"a":{"windmill_status_code":500}}"#,
            200,
            "application/json",
            r#"{"a":{"windmill_status_code":500}}"#,
        ),
    ] {
        let answer = sent(result).unwrap_or_else(|problem| panic!("{result}: {problem}"));
        assert_eq!(
            (
                answer.status,
                header(&answer, "content-type"),
                String::from_utf8_lossy(&answer.body).as_ref()
            ),
            (status, Some(content_type), body),
            "{result}"
        );
    }
}

#[test]
fn what_was_stored_is_answered_alike() {
    let policy = Policy { failure_status: 422, own_origin: false };
    let mut failure = Failure::new(FailureName::Script("Sold".into()), "sold \"out\"");
    failure.stack = Some("main".into());
    let declared = |result: &str| {
        Outcome::Success(RawValue::from_string(result.into()).unwrap()).or_declared_failure()
    };
    for outcome in [
        Outcome::Failure(failure),
        declared(r#"{"wm_failure":"no","wm_status_code":409,"sku":7}"#),
        declared(r#"{"wm_failure":"no","wm_status_code":409,"result":{"a":1}}"#),
        declared(r#"{"wm_failure":"no","sku":7}"#),
        declared(r#"{"error":{"name":"x"},"wm_status_code":202}"#),
        declared("[1]"),
    ] {
        let stored = match &outcome {
            Outcome::Success(result) => answer_stored(result, false, &policy),
            Outcome::Failure(failure) => answer_stored(&failure.to_result(), true, &policy),
        };
        assert_eq!(stored, answer(&outcome, &policy), "{outcome:?}");
    }
}

#[test]
fn what_cannot_be_sent() {
    for result in [
        r#"{"windmill_status_code":100}"#,
        r#"{"windmill_status_code":600}"#,
        r#"{"windmill_status_code":-1}"#,
        r#"{"windmill_status_code":201.5}"#,
        r#"{"windmill_status_code":"201"}"#,
        r#"{"windmill_status_code":99999999999}"#,
        r#"{"windmill_content_type":7}"#,
        r#"{"windmill_content_type":"a\r\nb"}"#,
        r#"{"windmill_headers":{"a b":"1"}}"#,
        r#"{"windmill_headers":{"":"1"}}"#,
        r#"{"windmill_headers":{"x":"1\r\nSet-Cookie: y"}}"#,
        r#"{"windmill_headers":{"x":1}}"#,
        r#"{"windmill_headers":["x"]}"#,
        r#"{"windmill_headers":{"Transfer-Encoding":"chunked"}}"#,
        r#"{"windmill_headers":{"connection":"close"}}"#,
        r#"{"windmill_headers":{"Content-Length":"1"}}"#,
        r#"{"windmill_headers":{"Set-Cookie":"a=b"}}"#,
        r#"{"windmill_headers":{"Strict-Transport-Security":"max-age=1"}}"#,
        r#"{"windmill_headers":{"X-Wasmill-Job-Id":"forged"}}"#,
        r#"{"windmill_content_type":"a/b","windmill_content_transfer_encoding":"base64","result":"%"}"#,
        r#"{"windmill_content_type":"a/b","windmill_content_transfer_encoding":"base64","result":1}"#,
        r#"{"windmill_content_type":"a/b","windmill_content_transfer_encoding":"gzip","result":"x"}"#,
        r#"{"windmill_status_code":200,"wm_status_code":201}"#,
    ] {
        let problem = sent(result).expect_err(result);
        assert_eq!(problem.code, Code::InvalidAnswer, "{result}");
        assert!(problem.detail.contains("The script"), "{result}: {problem}");
    }
}

/// A failure by the script's own word.
fn failed(result: &str, policy: &Policy) -> Result<Answer, Problem> {
    let outcome =
        Outcome::Success(RawValue::from_string(result.to_owned()).unwrap()).or_declared_failure();
    assert!(!outcome.is_success(), "{result}");
    answer(&outcome, policy)
}

#[test]
fn failures_steer_their_answer() {
    const ERROR: &str = r#"{"error":{"name":"ManualFailure","message":"no"}}"#;
    // result, status (None: the one for failures), content type, body
    for (result, status, content_type, body) in [
        (r#"{"wm_failure":"no"}"#, None, "application/json", ERROR),
        // Without control keys the whole of it is the answer.
        (
            r#"{"wm_failure":"no","a":1}"#,
            None,
            "application/json",
            r#"{"a":1,"error":{"name":"ManualFailure","message":"no"}}"#,
        ),
        (
            r#"{"wm_failure":"no","result":1}"#,
            None,
            "application/json",
            r#"{"result":1,"error":{"name":"ManualFailure","message":"no"}}"#,
        ),
        // With them it is the result, or the error.
        (r#"{"wm_failure":"no","wm_status_code":409,"a":1}"#, Some(409), "application/json", ERROR),
        (
            r#"{"windmill_failure":"no","windmill_status_code":200}"#,
            Some(200),
            "application/json",
            ERROR,
        ),
        (
            r#"{"wm_failure":"no","wm_status_code":409,"result":null}"#,
            Some(409),
            "application/json",
            ERROR,
        ),
        (
            r#"{"wm_failure":"no","wm_status_code":409,"result":{"sku":7}}"#,
            Some(409),
            "application/json",
            r#"{"sku":7}"#,
        ),
        (
            r#"{"wm_failure":"no","wm_content_type":"text/plain","result":"sold out"}"#,
            None,
            "text/plain",
            "sold out",
        ),
        (
            r#"{"wm_failure":"no","wm_content_type":"application/x+json"}"#,
            None,
            "application/x+json",
            ERROR,
        ),
        (r#"{"wm_failure":"no","wm_headers":{"X-A":"1"}}"#, None, "application/json", ERROR),
        (r#"{"wm_failure":"no","wm_status_code":204}"#, Some(204), "application/json", ""),
    ] {
        for policy in [Policy::default(), Policy { failure_status: 422, own_origin: false }] {
            let answer =
                failed(result, &policy).unwrap_or_else(|problem| panic!("{result}: {problem}"));
            assert_eq!(
                (
                    answer.status,
                    header(&answer, "content-type"),
                    String::from_utf8_lossy(&answer.body).as_ref()
                ),
                (status.unwrap_or(policy.failure_status), Some(content_type), body),
                "{result}"
            );
        }
    }
    assert_eq!(
        header(
            &failed(r#"{"wm_failure":"no","wm_headers":{"Retry-After":"9"}}"#, &Policy::default())
                .unwrap(),
            "retry-after"
        ),
        Some("9")
    );
    for result in [
        r#"{"wm_failure":"no","wm_status_code":99}"#,
        r#"{"wm_failure":"no","wm_headers":{"Set-Cookie":"a=b"}}"#,
        r#"{"wm_failure":"no","wm_content_type":"a/b","wm_content_transfer_encoding":"base64"}"#,
    ] {
        assert_eq!(
            failed(result, &Policy::default()).expect_err(result).code,
            Code::InvalidAnswer,
            "{result}"
        );
    }
}

#[test]
fn contract_rows() {
    let row = |result: &str| {
        let answer = sent(result).unwrap_or_else(|problem| panic!("{result}: {problem}"));
        let content_type = header(&answer, "content-type").unwrap_or_default().to_owned();
        (answer.status, content_type, String::from_utf8(answer.body).unwrap())
    };
    let json = |status: u16, body: &str| (status, "application/json".to_owned(), body.to_owned());
    for (name, result, expected) in [
        ("the result is any JSON value", "[1,\"x\",null]", json(200, "[1,\"x\",null]")),
        ("each also as wm_...", r#"{"wm_status_code":201,"result":{}}"#, json(201, "{}")),
        (
            "status code",
            r#"{"windmill_status_code":201,"result":{"a":1}}"#,
            json(201, r#"{"a":1}"#),
        ),
        (
            "content type: a string as it is",
            r#"{"windmill_content_type":"text/csv","result":"a;b"}"#,
            (200, "text/csv".into(), "a;b".into()),
        ),
        ("headers: added", r#"{"windmill_headers":{"X-A":"1"},"result":1}"#, json(200, "1")),
        (
            "base64",
            r#"{"windmill_content_type":"a/b","windmill_content_transfer_encoding":"base64","result":"aGk="}"#,
            (200, "a/b".into(), "hi".into()),
        ),
        ("without a status code: 200", r#"{"windmill_headers":{},"result":0}"#, json(200, "0")),
        ("204 when result is absent", r#"{"windmill_headers":{}}"#, json(204, "")),
        ("204 when result is null", r#"{"windmill_headers":{},"result":null}"#, json(204, "")),
        ("204 sends no body", r#"{"windmill_status_code":204,"result":1}"#, json(204, "")),
        ("304 sends no body", r#"{"windmill_status_code":304,"result":1}"#, json(304, "")),
        (
            "an error beside control keys is no failure",
            r#"{"windmill_status_code":418,"error":{"name":"X","message":"y"},"result":{"z":1}}"#,
            json(418, r#"{"z":1}"#),
        ),
        (
            "an error alone is a result",
            r#"{"error":{"name":"X","message":"y"}}"#,
            json(200, r#"{"error":{"name":"X","message":"y"}}"#),
        ),
        ("the bounds of a status", r#"{"windmill_status_code":200,"result":1}"#, json(200, "1")),
        ("the bounds of a status", r#"{"windmill_status_code":599,"result":1}"#, json(599, "1")),
    ] {
        assert_eq!(row(result), expected, "{name}");
    }
    for (name, result) in [
        ("a status out of range", r#"{"windmill_status_code":199}"#),
        ("a status out of range", r#"{"windmill_status_code":600}"#),
        ("a status that is no number", r#"{"windmill_status_code":"201"}"#),
        ("an invalid header name", r#"{"windmill_headers":{"a b":"1"}}"#),
        ("an invalid header value", r#"{"windmill_headers":{"a":"1\n2"}}"#),
        ("a hop-by-hop header", r#"{"windmill_headers":{"Connection":"close"}}"#),
        ("Set-Cookie on the page's origin", r#"{"windmill_headers":{"Set-Cookie":"a=b"}}"#),
        (
            "HSTS on the page's origin",
            r#"{"windmill_headers":{"Strict-Transport-Security":"max-age=1"}}"#,
        ),
    ] {
        assert_eq!(sent(result).map_err(|problem| problem.code.status()), Err(500), "{name}");
    }
    let own = Policy { own_origin: true, ..Policy::default() };
    for allowed in [
        r#"{"wm_headers":{"Set-Cookie":"a=b"}}"#,
        r#"{"wm_headers":{"Strict-Transport-Security":"max-age=1"}}"#,
    ] {
        let outcome = Outcome::Success(RawValue::from_string(allowed.into()).unwrap());
        assert!(answer(&outcome, &own).is_ok(), "on the other origin: {allowed}");
    }
    // Statuses of what is no run's result; the waiting itself is not decided here.
    for (name, code, status) in [
        ("the sync wait is over", Code::GatewayTimeout, 504),
        ("too much queued", Code::TooMany, 429),
        ("too much running", Code::Unavailable, 503),
    ] {
        assert_eq!(code.status(), status, "{name}");
    }
    let retry = Problem::new(Code::TooMany, "full").retry_after(2);
    assert_eq!(
        (retry.retry_after, retry.to_json().contains(r#""status":429"#)),
        (Some(2), true),
        "with Retry-After"
    );
}

#[test]
fn failures_and_policy() {
    let failure = Outcome::Failure(Failure::new(FailureName::Timeout, "too slow"));
    let plain = answer(&failure, &Policy::default()).unwrap();
    assert_eq!(
        (plain.status, String::from_utf8(plain.body).unwrap().as_str()),
        (200, r#"{"error":{"name":"Timeout","message":"too slow"}}"#)
    );
    assert_eq!(
        answer(&failure, &Policy { failure_status: 422, own_origin: false }).unwrap().status,
        422,
        "the operator's status"
    );

    let cookie = Outcome::Success(
        RawValue::from_string(
            r#"{"windmill_headers":{"Set-Cookie":"a=b","Cache-Control":"max-age=9"},"result":1}"#
                .into(),
        )
        .unwrap(),
    );
    let own = answer(&cookie, &Policy { failure_status: 200, own_origin: true }).unwrap();
    assert_eq!(
        (
            header(&own, "set-cookie"),
            header(&own, "cache-control"),
            header(&own, "content-security-policy")
        ),
        (Some("a=b"), Some("max-age=9"), None)
    );
    let shared = sent("1").unwrap();
    assert_eq!(header(&shared, "content-security-policy"), Some("sandbox"), "the page's origin");
    assert_eq!(header(&shared, "x-content-type-options"), Some("nosniff"), "every answer");
    assert_eq!(header(&shared, "cache-control"), Some("no-store"), "unless the script sets it");
}

proptest! {
    /// Whatever a script returns, what comes out can be put on the wire and never carries a
    /// forbidden header.
    #[test]
    fn answers_can_be_sent(status in any::<i32>(), name in ".{0,20}", value in ".{0,20}", content_type in prop::option::of(".{0,10}")) {
        let mut object = serde_json::json!({"windmill_status_code": status % 800, "windmill_headers": {name: value}, "result": "x"});
        if let Some(content_type) = content_type {
            object["windmill_content_type"] = content_type.into();
        }
        if let Ok(answer) = sent(&object.to_string()) {
            prop_assert!((200..600).contains(&answer.status));
            for (name, value) in &answer.headers {
                prop_assert!(is_token(name));
                prop_assert!(!value.bytes().any(|b| b == b'\r' || b == b'\n' || b == 0));
                prop_assert!(name == "x-content-type-options" || !REFUSED.contains(&&**name));
            }
        }
    }
}
