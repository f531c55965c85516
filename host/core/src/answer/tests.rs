use super::*;
use crate::outcome::{Failure, FailureName};
use proptest::prelude::*;

fn sent(result: &str) -> Result<Answer, Problem> {
    answer(&Outcome::Success(RawValue::from_string(result.to_owned()).unwrap()), &Policy::default())
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
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
        (r#"{"windmill_content_type":"text/csv","result":"Hello;World"}"#, 200, "text/csv", "Hello;World"),
        (r#"{"wm_content_type":"text/csv","result":[1,2]}"#, 200, "text/csv", "[1,2]"),
        (r#"{"windmill_status_code":404}"#, 404, "application/json", "null"),
        (r#"{"windmill_status_code":204,"result":"dropped"}"#, 204, "application/json", ""),
        (r#"{"windmill_status_code":304,"result":"dropped"}"#, 304, "application/json", ""),
        (r#"{"windmill_headers":{"X-A":"1"},"result":1,"ignored":2}"#, 200, "application/json", "1"),
        (r#"{"windmill_headers":{"X-A":"1"},"result":null}"#, 204, "application/json", ""),
        (r#"{"windmill_headers":{"X-A":"1"}}"#, 204, "application/json", ""),
        (r#"{"windmill_headers":{"Content-Type":"text/x"},"windmill_content_type":"text/y","result":"z"}"#, 200, "text/y", "z"),
        (r#"{"windmill_content_type":"image/x","windmill_content_transfer_encoding":"base64","result":"aGk="}"#, 200, "image/x", "hi"),
        // No control key: the object is the result.
        (r#"{"result":1}"#, 200, "application/json", r#"{"result":1}"#),
        (r#"{"windmill_other":1}"#, 200, "application/json", r#"{"windmill_other":1}"#),
        (r#"{"a":"\"windmill_status_code\""}"#, 200, "application/json", r#"{"a":"\"windmill_status_code\""}"#),
        (r#"{"a":{"windmill_status_code":500}}"#, 200, "application/json", r#"{"a":{"windmill_status_code":500}}"#),
    ] {
        let answer = sent(result).unwrap_or_else(|problem| panic!("{result}: {problem}"));
        assert_eq!(
            (answer.status, header(&answer, "content-type"), String::from_utf8_lossy(&answer.body).as_ref()),
            (status, Some(content_type), body),
            "{result}"
        );
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

#[test]
fn failures_and_policy() {
    let failure = Outcome::Failure(Failure::new(FailureName::Timeout, "too slow"));
    let plain = answer(&failure, &Policy::default()).unwrap();
    assert_eq!(
        (plain.status, String::from_utf8(plain.body).unwrap().as_str()),
        (200, r#"{"error":{"name":"Timeout","message":"too slow"}}"#)
    );
    assert_eq!(answer(&failure, &Policy { failure_status: 422, own_origin: false }).unwrap().status, 422);

    let cookie = Outcome::Success(
        RawValue::from_string(r#"{"windmill_headers":{"Set-Cookie":"a=b","Cache-Control":"max-age=9"},"result":1}"#.into()).unwrap(),
    );
    let own = answer(&cookie, &Policy { failure_status: 200, own_origin: true }).unwrap();
    assert_eq!(
        (header(&own, "set-cookie"), header(&own, "cache-control"), header(&own, "content-security-policy")),
        (Some("a=b"), Some("max-age=9"), None)
    );
    let shared = sent("1").unwrap();
    assert_eq!(header(&shared, "content-security-policy"), Some("sandbox"));
    assert_eq!(header(&shared, "x-content-type-options"), Some("nosniff"));
    assert_eq!(header(&shared, "cache-control"), Some("no-store"));
}

proptest! {
    /// Whatever a script returns, what comes out can be put on the wire and never carries a forbidden header.
    #[test]
    fn answers_can_be_sent(status in any::<i32>(), name in ".{0,20}", value in ".{0,20}", content_type in prop::option::of(".{0,10}")) {
        let mut object = serde_json::json!({"windmill_status_code": status % 800, "windmill_headers": {name: value}, "result": "x"});
        if let Some(content_type) = content_type {
            object["windmill_content_type"] = content_type.into();
        }
        if let Ok(answer) = sent(&object.to_string()) {
            prop_assert!((200..600).contains(&answer.status));
            for (name, value) in &answer.headers {
                prop_assert!(name.bytes().all(is_token_byte) && !name.is_empty());
                prop_assert!(!value.bytes().any(|b| b == b'\r' || b == b'\n' || b == 0));
                prop_assert!(name == "x-content-type-options" || !REFUSED.contains(&name.as_str()));
            }
        }
    }
}
