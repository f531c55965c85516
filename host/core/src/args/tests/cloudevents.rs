//! CloudEvents: the examples of the specification's kind, what is refused, and that nothing of an
//! event is lost.

use super::{GET, POST, Request, built, json_value, refused};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

const STRUCTURED: Request<'static> =
    Request { content_type: Some("application/cloudevents+json; charset=UTF-8"), ..POST };

/// The required attributes in a body.
const ATTRIBUTES: &str = r#""specversion":"1.0","type":"t","source":"/s","id":"1""#;
/// The required attributes in headers.
const HEADERS: &[(&str, &str)] =
    &[("ce-specversion", "1.0"), ("ce-type", "t"), ("ce-source", "/s"), ("ce-id", "1")];

#[test]
fn structured() {
    let meta = format!(r#""WEBHOOK__METADATA__":{{{ATTRIBUTES}}}"#);
    for (row, query, members, expected) in [
        ("an object's keys", "", r#","data":{"k":"v","n":1.10}"#, r#"{"k":"v","n":1.10,<meta>}"#),
        ("an empty object", "", r#","data":{}"#, "{<meta>}"),
        ("anything else under body", "", r#","data":[1, 2]"#, r#"{"body":[1, 2],<meta>}"#),
        ("a string", "", r#","data":"{}""#, r#"{"body":"{}",<meta>}"#),
        ("null is data", "", r#","data":null"#, r#"{"body":null,<meta>}"#),
        ("no data", "", "", "{<meta>}"),
        (
            "data_base64 that is a JSON object",
            "",
            r#","data_base64":"eyJhIjoyfQ==""#,
            r#"{"a":2,<meta>}"#,
        ),
        (
            "data_base64 that is other JSON",
            "",
            r#","data_base64":"IFsxXSA=""#,
            r#"{"body":[1],<meta>}"#,
        ),
        (
            "data_base64 that is no JSON",
            "",
            r#","data_base64":"aGVsbG8=""#,
            r#"{"raw_base64":"aGVsbG8=",<meta>}"#,
        ),
        (
            "data_base64 that is no text",
            "",
            r#","data_base64":"/w==""#,
            r#"{"raw_base64":"/w==",<meta>}"#,
        ),
        ("empty data_base64", "", r#","data_base64":"""#, r#"{"raw_base64":"",<meta>}"#),
        (
            "a null beside the other",
            "",
            r#","data":null,"data_base64":"WzFd""#,
            r#"{"body":[1],<meta>}"#,
        ),
        ("a null beside the other", "", r#","data_base64":null,"data":7"#, r#"{"body":7,<meta>}"#),
        (
            "raw adds the exact body",
            "raw=true",
            r#","data":1"#,
            r#"{"body":1,<meta>,"raw_string":<raw>}"#,
        ),
        (
            "wrap_body leaves the metadata out",
            "wrap_body=true",
            r#","data":{"k":1}"#,
            r#"{"body":{"k":1},<meta>}"#,
        ),
        ("wrap_body does not wrap twice", "wrap_body=true", r#","data":1"#, r#"{"body":1,<meta>}"#),
        ("wrap_body without data", "wrap_body=true", "", r#"{"body":{},<meta>}"#),
        (
            "metadata overrides data",
            "",
            r#","data":{"WEBHOOK__METADATA__":0,"k":1}"#,
            r#"{"k":1,<meta>}"#,
        ),
        (
            "extras override metadata",
            "include_query=WEBHOOK__METADATA__&WEBHOOK__METADATA__=q",
            r#","data":{"k":1}"#,
            r#"{"k":1,"WEBHOOK__METADATA__":"q"}"#,
        ),
    ] {
        let body = format!("{{{ATTRIBUTES}{members}}}");
        let expected = expected
            .replace("<meta>", &meta)
            .replace("<raw>", &serde_json::to_string(&body).unwrap());
        assert_eq!(
            built(Request { query, body: body.as_bytes(), ..STRUCTURED }),
            Ok(expected),
            "{row}: {body}"
        );
    }
}

#[test]
fn envelopes_keep_their_text() {
    let body = br#" {"data":{"k":1}, "specversion" : "1.0", "num":1.10, "big":12345678901234567890, "type":"t",
        "ext":{"b" : [1, 2],"a":null}, "source":"/s","subject":null,"id":"\u0031","x":1,"datacontenttype":"text/json","x":2} "#;
    let metadata = concat!(
        r#"{"specversion":"1.0","num":1.10,"big":12345678901234567890,"type":"t","ext":{"b" : [1, 2],"a":null},"#,
        r#""source":"/s","subject":null,"id":"\u0031","datacontenttype":"text/json","x":2}"#
    );
    assert_eq!(
        built(Request { body, ..STRUCTURED }),
        Ok(format!(r#"{{"k":1,"WEBHOOK__METADATA__":{metadata}}}"#))
    );
}

#[test]
fn the_type_of_data_in_base64() {
    for (datacontenttype, json) in [
        ("application/json", true),
        ("Application/JSON; charset=utf-8", true),
        ("application/vnd.x+json", true),
        // Bytes that happen to read as JSON are not taken for it against their sender's word.
        ("application/octet-stream", false),
        ("text/plain", false),
    ] {
        let body = format!(
            r#"{{{ATTRIBUTES},"datacontenttype":"{datacontenttype}","data_base64":"MTIz"}}"#
        );
        let args: Value =
            serde_json::from_str(&built(Request { body: body.as_bytes(), ..STRUCTURED }).unwrap())
                .unwrap();
        let expected = if json { ("body", json!(123)) } else { ("raw_base64", json!("MTIz")) };
        assert_eq!(args[expected.0], expected.1, "{datacontenttype}");
        assert_eq!(args["WEBHOOK__METADATA__"]["datacontenttype"], datacontenttype);
    }
}

#[test]
fn structured_refusals() {
    let deep = STANDARD.encode("[".repeat(200) + &"]".repeat(200));
    for (body, part) in [
        ("", "JSON"),
        ("{", "line 1"),
        ("[]", "batches are not supported"),
        ("7", "no JSON object"),
        (r#"{"specversion":"1.0","type":"t","source":"/s"}"#, "lacks id;"),
        (r#"{"specversion":"1.0","type":"t","id":"1"}"#, "lacks source;"),
        (r#"{"type":"t","source":"/s","id":"1"}"#, "lacks specversion;"),
        (r#"{"specversion":"1.0","source":"/s","id":"1"}"#, "lacks type;"),
        (r#"{"specversion":"1.0","type":"","source":"/s","id":null}"#, "lacks id, type;"),
        (r#"{"specversion":"1.0","type":"t","source":"/s","id":"1","id":""}"#, "lacks id;"),
        ("{}", "lacks id, source, specversion, type;"),
        (r#"{"specversion":"0.3","type":"t","source":"/s","id":"1"}"#, "specversion is \"0.3\""),
        (r#"{"specversion":"1.0.1","type":"t","source":"/s","id":"1"}"#, "only 1.0"),
        (r#"{"specversion":1.0,"type":"t","source":"/s","id":"1"}"#, "specversion is not a string"),
        (r#"{"specversion":"1.0","type":"t","source":"/s","id":1}"#, "id is not a string"),
        (r#"{"specversion":"1.0","type":{},"source":"/s","id":"1"}"#, "type is not a string"),
        (r#"{ATTRIBUTES,"data":1,"data_base64":"MQ=="}"#, "only one"),
        (r#"{ATTRIBUTES,"data_base64":"*"}"#, "not base64"),
        (r#"{ATTRIBUTES,"data_base64":7}"#, "data_base64 is not a string"),
        (r#"{ATTRIBUTES,"data_base64":"DEEP"}"#, "nested"),
    ] {
        let body = body.replace("ATTRIBUTES", ATTRIBUTES).replace("DEEP", &deep);
        let (status, detail) = refused(Request { body: body.as_bytes(), ..STRUCTURED });
        assert_eq!(status, 400, "{body}");
        assert!(detail.contains(part), "{body}: {detail}");
    }
    assert!(refused(Request { body: b"\xff", ..STRUCTURED }).1.contains("UTF-8"));
    for batch in [
        "application/cloudevents-batch+json",
        "Application/CloudEvents-Batch+JSON; charset=utf-8",
        "application/cloudevents-batch",
    ] {
        let (status, detail) = refused(Request { content_type: Some(batch), body: b"[]", ..POST });
        assert_eq!((status, detail.contains("not supported")), (400, true), "{batch}: {detail}");
    }
}

#[test]
fn binary() {
    for (row, content_type, query, more, body, expected) in [
        (
            "JSON",
            Some("application/json"),
            "",
            [("ce-subject", "Euro%20%E2%82%AC"), ("ce-n", "1")],
            r#"{"k":1.10}"#,
            r#"{"k":1.10,"WEBHOOK__METADATA__":{<meta>,"subject":"Euro €","n":"1","datacontenttype":"application/json"}}"#,
        ),
        (
            "no content type",
            None,
            "",
            [("ce-datacontenttype", "x/y"), ("ce-quoted", r#""a \"b\"""#)],
            "[1]",
            r#"{"body":[1],"WEBHOOK__METADATA__":{<meta>,"datacontenttype":"x/y","quoted":"a \"b\""}}"#,
        ),
        (
            "the content type is the datacontenttype",
            Some("text/plain; charset=utf-8"),
            "",
            [("ce-datacontenttype", "x/y"), ("x-other", "0")],
            "hi",
            r#"{"WEBHOOK__METADATA__":{<meta>,"datacontenttype":"text/plain; charset=utf-8"},"raw_string":"hi"}"#,
        ),
        (
            "any other type, wrapped",
            Some("image/png"),
            "wrap_body=true",
            [("ce-a", ""), ("ce-b-c", "100%")],
            "hi",
            r#"{"body":{"raw_base64":"aGk=","content_type":"image/png"},"WEBHOOK__METADATA__":{<meta>,"a":"","b-c":"100%","datacontenttype":"image/png"}}"#,
        ),
        (
            "no body",
            None,
            "raw=true",
            [("x-a", ""), ("x-b", "")],
            "",
            r#"{"WEBHOOK__METADATA__":{<meta>},"raw_string":""}"#,
        ),
    ] {
        let headers: Vec<_> = HEADERS.iter().copied().chain(more).collect();
        let request =
            Request { content_type, query, headers: &headers, body: body.as_bytes(), ..POST };
        assert_eq!(built(request), Ok(expected.replace("<meta>", ATTRIBUTES)), "{row}");
    }
}

#[test]
fn binary_refusals_and_limits() {
    for (index, (header, _)) in HEADERS.iter().enumerate() {
        let name = header.strip_prefix("ce-").unwrap();
        let without: Vec<_> = HEADERS
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != index)
            .map(|(_, header)| *header)
            .collect();
        let empty: Vec<_> = without.iter().copied().chain([(*header, "")]).collect();
        for headers in [without, empty] {
            let (status, detail) = refused(Request { headers: &headers, body: b"{}", ..POST });
            assert_eq!(
                (status, detail.contains(&format!("lacks {name};"))),
                (400, true),
                "{name}: {detail}"
            );
        }
    }
    for (more, part) in [
        (("ce-id", "2"), "ce-id was sent more than once"),
        (("ce-x", "%ff"), "ce-x is not percent-encoded UTF-8"),
        (("ce-x", "\"open"), "ce-x"),
    ] {
        let headers: Vec<_> = HEADERS.iter().copied().chain([more]).collect();
        let (status, detail) = refused(Request { headers: &headers, ..POST });
        assert_eq!((status, detail.contains(part)), (400, true), "{more:?}: {detail}");
    }
    let old = [("ce-specversion", "0.3"), ("ce-type", "t"), ("ce-source", "/s"), ("ce-id", "1")];
    assert!(refused(Request { headers: &old, ..POST }).1.contains("\"0.3\""));
    // Extensions alone are no event; nor is a header that only looks alike.
    for headers in [[("ce-subject", "x")], [("ce-", "x")], [("ce-ID ", "x")]] {
        assert_eq!(built(Request { headers: &headers, body: b"{}", ..POST }).as_deref(), Ok("{}"));
    }
}

#[test]
fn modes_together() {
    // The envelope counts, and the headers that repeat it are left alone, even when they are wrong.
    let body = format!("{{{ATTRIBUTES}}}");
    let expected = format!(r#"{{"WEBHOOK__METADATA__":{{{ATTRIBUTES}}}}}"#);
    assert_eq!(
        built(Request { headers: &[("ce-id", "other")], body: body.as_bytes(), ..STRUCTURED }),
        Ok(expected)
    );
    // An event's attributes may also come by GET, with the payload as its data; a body, and its
    // being an envelope, is ignored.
    let get = Request { query: "payload=eyJhIjoyfQ", headers: HEADERS, ..GET };
    assert_eq!(built(get), Ok(format!(r#"{{"a":2,"WEBHOOK__METADATA__":{{{ATTRIBUTES}}}}}"#)));
    assert_eq!(
        built(Request { content_type: STRUCTURED.content_type, ..GET }).as_deref(),
        Ok("{}")
    );
}

proptest! {
    #[test]
    fn no_event_panics(body in ".{0,80}", value in prop::collection::vec(any::<u8>(), 0..30), members in "[a-z_\":,{}\\[\\]0-9 ]{0,40}") {
        let _ = built(Request { body: body.as_bytes(), ..STRUCTURED });
        let _ = built(Request { body: format!("{{{ATTRIBUTES},{members}}}").as_bytes(), ..STRUCTURED });
        let _ = super::super::cloudevents::from_headers(&[("ce-id", &value), ("ce-type", b"t")], None);
    }

    /// Data and attributes come through, whatever they are.
    #[test]
    fn nothing_is_lost(data in json_value(), extension in json_value(), base64: bool) {
        let mut event = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "ext": extension});
        match base64 {
            true => event["data_base64"] = STANDARD.encode(data.to_string()).into(),
            false => event["data"] = data.clone(),
        }
        let args: Value = serde_json::from_str(&built(Request { body: event.to_string().as_bytes(), ..STRUCTURED }).unwrap()).unwrap();
        let mut args = args.as_object().unwrap().clone();
        let metadata = args.remove("WEBHOOK__METADATA__").unwrap();
        let mut attributes = event.clone();
        attributes.as_object_mut().unwrap().retain(|key, _| key != "data" && key != "data_base64");
        prop_assert_eq!(metadata, attributes);
        if data.is_object() {
            prop_assert_eq!(Value::Object(args), data);
        } else {
            prop_assert_eq!(Value::Object(args), json!({ "body": data }));
        }
    }

    /// Any text can be sent in a header, encoded as the binding says.
    #[test]
    fn attributes_round_trip(text in "[^\\x00]{1,20}") {
        let encoded: String = text.bytes().map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") }).collect();
        let headers: Vec<_> = HEADERS.iter().copied().chain([("ce-subject", encoded.as_str())]).collect();
        let args: Value = serde_json::from_str(&built(Request { headers: &headers, ..POST }).unwrap()).unwrap();
        prop_assert_eq!(args["WEBHOOK__METADATA__"]["subject"].as_str(), Some(text.as_str()));
    }
}
