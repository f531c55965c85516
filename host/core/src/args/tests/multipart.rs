//! `multipart/form-data`: what senders make of it, what is refused, and its bounds.

use super::{POST, Request, built, refused};
use crate::limits::{MULTIPART_PARTS, PART_HEADER_BYTES};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

const FORM: Request<'static> =
    Request { content_type: Some("multipart/form-data; boundary=B"), ..POST };

/// Parts between boundaries `B`.
fn body(parts: &[&str]) -> String {
    parts.iter().map(|part| format!("--B\r\n{part}\r\n")).chain(["--B--\r\n".into()]).collect()
}

const A: &str = "Content-Disposition: form-data; name=\"a\"\r\n\r\n1";

#[test]
fn fields_and_files() {
    for (row, parts, expected) in [
        ("no parts", &[][..], "{}"),
        ("a text", &[A], r#"{"a":"1"}"#),
        ("an empty text", &["content-disposition:form-data;name=a\r\n\r\n"], r#"{"a":""}"#),
        ("headers and nothing else", &["Content-Disposition: form-data; name=a"], r#"{"a":""}"#),
        ("an empty name", &["Content-Disposition: form-data; name=\"\"\r\n\r\nx"], r#"{"":"x"}"#),
        (
            "repeated: the last wins, in the place of the first",
            &[
                A,
                "Content-Disposition: form-data; name=b\r\n\r\n2",
                "Content-Disposition: form-data; name=a\r\n\r\n3",
            ],
            r#"{"a":"3","b":"2"}"#,
        ),
        (
            "line breaks and quotes in a text",
            &["Content-Disposition: form-data; name=a\r\n\r\n\r\n\"é\"\n--b\r\n--Bx\r\n"],
            r#"{"a":"\r\n\"é\"\n--b\r\n--Bx\r\n"}"#,
        ),
        (
            "a text with a type, in UTF-8",
            &[
                "Content-Disposition: form-data; name=a\r\nContent-Type: text/plain; charset=\"UTF-8\"\r\nContent-Transfer-Encoding: 8bit\r\nX-Other: y\r\n\r\n€",
            ],
            r#"{"a":"€"}"#,
        ),
        (
            "a file",
            &[
                "Content-Disposition: form-data; name=f; filename=\"x.png\"\r\nContent-Type: image/png\r\n\r\nhi",
            ],
            r#"{"f":[{"filename":"x.png","content_type":"image/png","size":2,"base64":"aGk="}]}"#,
        ),
        (
            "several files of one name",
            &[
                "Content-Disposition: form-data; name=f; filename=1\r\n\r\na",
                A,
                "Content-Disposition: form-data; name=f; filename=2\r\n\r\n",
            ],
            r#"{"f":[{"filename":"1","content_type":"text/plain","size":1,"base64":"YQ=="},{"filename":"2","content_type":"text/plain","size":0,"base64":""}],"a":"1"}"#,
        ),
        (
            "no file chosen",
            &[
                "Content-Disposition: form-data; name=f; filename=\"\"\r\nContent-Type: application/octet-stream\r\n\r\n",
            ],
            r#"{"f":[{"filename":"","content_type":"application/octet-stream","size":0,"base64":""}]}"#,
        ),
        (
            "names as browsers and curl write them",
            &[
                "Content-Disposition: form-data; name=\"%22q%22 100%\"; filename=\"\\\"C:\\temp\\\\x%0D%0A.txt\"\r\n\r\n",
            ],
            r#"{"\"q\" 100%":[{"filename":"\"C:\\temp\\x\r\n.txt","content_type":"text/plain","size":0,"base64":""}]}"#,
        ),
        (
            "an extended file name",
            &[
                "Content-Disposition: form-data; name=f; filename*=utf-8'en'%e2%82%ac%20rates\r\n\r\n",
            ],
            r#"{"f":[{"filename":"€ rates","content_type":"text/plain","size":0,"base64":""}]}"#,
        ),
    ] {
        let body = body(parts);
        assert_eq!(
            built(Request { body: body.as_bytes(), ..FORM }).as_deref(),
            Ok(expected),
            "{row}"
        );
    }
}

#[test]
fn around_the_parts() {
    for (content_type, body) in [
        (
            "multipart/form-data; boundary=B",
            format!("a preamble\r\n--Bx\r\n\r\n--B \t\r\n{A}\r\n--B--"),
        ),
        (
            "multipart/form-data; boundary=B",
            format!("--B\r\n{A}\r\n--B-- \r\nan epilogue\r\n--B\r\nnot a part"),
        ),
        ("multipart/form-data; boundary=B", format!("--B\r\n{A}\r\n--B--\n")),
        (
            "Multipart/Form-Data; charset=utf-8; Boundary=\"--- x/y\"",
            format!("----- x/y\r\n{A}\r\n----- x/y--"),
        ),
        // A boundary that begins like another text, and like its own end.
        ("multipart/form-data; boundary=--", format!("----\r\n{A}\r\n------\r\n")),
    ] {
        let request = Request { content_type: Some(content_type), body: body.as_bytes(), ..POST };
        assert_eq!(built(request).as_deref(), Ok(r#"{"a":"1"}"#), "{body:?}");
    }
    let body = body(&[A]);
    let quoted = serde_json::to_string(&body).unwrap();
    for (query, expected) in [
        ("wrap_body=true", r#"{"body":{"a":"1"}}"#.to_owned()),
        ("raw=true", format!(r#"{{"a":"1","raw_string":{quoted}}}"#)),
        ("include_query=a&a=q", r#"{"a":"q"}"#.to_owned()),
    ] {
        assert_eq!(built(Request { query, body: body.as_bytes(), ..FORM }), Ok(expected));
    }
}

#[test]
fn refusals() {
    let long = "x".repeat(71);
    for (row, content_type, body, part) in [
        ("no boundary parameter", "multipart/form-data", body(&[A]), "no boundary parameter"),
        (
            "an empty boundary",
            "multipart/form-data; boundary=\"\"",
            body(&[A]),
            "no boundary parameter",
        ),
        (
            "two boundaries",
            "multipart/form-data; boundary=B; boundary=C",
            body(&[A]),
            "more than one boundary",
        ),
        (
            "a long boundary",
            &format!("multipart/form-data; boundary={long}"),
            body(&[A]),
            "at most 70",
        ),
        (
            "a boundary that is no ASCII",
            "multipart/form-data; boundary=é",
            body(&[A]),
            "printable ASCII",
        ),
        ("broken parameters", "multipart/form-data; boundary=\"B", body(&[A]), "cannot be read"),
        (
            "an empty body",
            "multipart/form-data; boundary=B",
            String::new(),
            "does not hold the boundary",
        ),
        (
            "another boundary",
            "multipart/form-data; boundary=C",
            body(&[A]),
            "does not hold the boundary",
        ),
        (
            "no end",
            "multipart/form-data; boundary=B",
            format!("--B\r\n{A}\r\n"),
            "closing boundary",
        ),
        (
            "cut off within the end",
            "multipart/form-data; boundary=B",
            format!("--B\r\n{A}\r\n--B-"),
            "closing boundary",
        ),
        (
            "only a beginning",
            "multipart/form-data; boundary=B",
            "--B\r\n".into(),
            "closing boundary",
        ),
    ] {
        let (status, detail) =
            refused(Request { content_type: Some(content_type), body: body.as_bytes(), ..POST });
        assert_eq!(status, 400, "{row}");
        assert!(detail.contains(part), "{row}: {detail}");
    }
    for (row, part, expected) in [
        ("no headers", "\r\ntext", "Part 2 of the multipart body has no Content-Disposition"),
        (
            "another disposition",
            "Content-Disposition: attachment; name=b\r\n\r\n",
            "no Content-Disposition: form-data",
        ),
        ("no name", "Content-Disposition: form-data; filename=x\r\n\r\n", "has no name"),
        (
            "two names",
            "Content-Disposition: form-data; name=b; name=c\r\n\r\n",
            "two parameters name",
        ),
        ("an open quote", "Content-Disposition: form-data; name=\"b\r\n\r\n", "cannot be read"),
        (
            "two dispositions",
            "Content-Disposition: form-data; name=b\r\ncontent-disposition: form-data; name=c\r\n\r\n",
            "two headers",
        ),
        ("no colon", "Content-Disposition: form-data; name=b\r\nwhat\r\n\r\n", "no header"),
        ("a folded line", "Content-Disposition: form-data;\r\n name=b\r\n\r\n", "no header"),
        (
            "a space in a header's name",
            "Content-Disposition : form-data; name=b\r\n\r\n",
            "no header",
        ),
        ("a lone line feed", "Content-Disposition: form-data; name=b\n\r\n\r\n", "no header"),
        (
            "an encoding",
            "Content-Disposition: form-data; name=b\r\nContent-Transfer-Encoding: base64\r\n\r\nMQ==",
            "Content-Transfer-Encoding",
        ),
        (
            "an extended name in another charset",
            "Content-Disposition: form-data; name=b; filename*=iso-8859-1''%e9\r\n\r\n",
            "filename*",
        ),
        (
            "another charset",
            "Content-Disposition: form-data; name=b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nx",
            "field \"b\" is in the charset",
        ),
        (
            "a file where a text was",
            "Content-Disposition: form-data; name=a; filename=x\r\n\r\n",
            "field \"a\" is both",
        ),
    ] {
        let (status, detail) = refused(Request { body: body(&[A, part]).as_bytes(), ..FORM });
        assert_eq!(status, 400, "{row}");
        assert!(detail.contains(expected), "{row}: {detail}");
    }
    let (status, detail) = refused(Request {
        body: b"--B\r\nContent-Disposition: form-data; name=b\r\n\r\nx\xff\r\n--B--",
        ..FORM
    });
    assert_eq!(
        (status, detail.as_str()),
        (400, "The form's field \"b\" is not UTF-8 text: byte 1 is not part of a character")
    );
    let (_, detail) = refused(Request {
        body: b"--B\r\nContent-Disposition: form-data; name=\xff\r\n\r\nx\r\n--B--",
        ..FORM
    });
    assert!(detail.contains("headers that are not UTF-8"), "{detail}");
    // A file may hold any bytes, but the body as a text then is none.
    let file = Request {
        body: b"--B\r\nContent-Disposition: form-data; name=f; filename=x\r\n\r\n\xff\r\n--B--",
        ..FORM
    };
    assert!(built(file).unwrap().contains("\"/w==\""));
    assert!(refused(Request { query: "raw=true", ..file }).1.contains("raw_string"));
}

#[test]
fn bounds() {
    let of = |count: usize| body(&vec![A; count]);
    assert!(built(Request { body: of(MULTIPART_PARTS).as_bytes(), ..FORM }).is_ok());
    let (status, detail) = refused(Request { body: of(MULTIPART_PARTS + 1).as_bytes(), ..FORM });
    assert_eq!((status, detail.as_str()), (400, "The multipart body has more than 1000 parts"));

    let headers = |bytes: usize| {
        let start = "Content-Disposition: form-data; name=a\r\nX: ";
        format!("{start}{}", "x".repeat(bytes - start.len()))
    };
    for (bytes, end, fits) in [
        (PART_HEADER_BYTES, "\r\n\r\n1", true),
        (PART_HEADER_BYTES + 1, "\r\n\r\n1", false),
        (PART_HEADER_BYTES, "", true),
        (PART_HEADER_BYTES + 1, "", false),
        (PART_HEADER_BYTES * 3, "", false),
    ] {
        let body = body(&[&format!("{}{end}", headers(bytes))]);
        let result = built(Request { body: body.as_bytes(), ..FORM });
        assert_eq!(result.is_ok(), fits, "{bytes} {end:?}");
        assert!(fits || result.unwrap_err().to_string().contains("longer than 8192 bytes"));
    }
}

proptest! {
    #[test]
    fn no_form_panics(bytes in prop::collection::vec(any::<u8>(), 0..60), text in "(--B|\r\n|-|[a-z:;=\"\\\\ *]|Content-Disposition: form-data; name=a){0,30}") {
        for body in [bytes.as_slice(), text.as_bytes(), format!("--B\r\n{text}\r\n--B--").as_bytes()] {
            let _ = built(Request { body, ..FORM });
        }
        let _ = built(Request { content_type: Some(&format!("multipart/form-data{text}")), ..POST });
    }

    /// Whatever a sender puts in comes out, as long as it does not hold the boundary.
    #[test]
    fn round_trip(name in "[ -$&-~é-￼]{0,10}", text in "[^-]{0,20}", files in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 1..3)) {
        let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
        prop_assume!(name != "files");
        prop_assume!(!files.iter().any(|file| file.windows(3).any(|window| window == b"--B")));
        let mut body = format!("--B\r\nContent-Disposition: form-data; name=\"{escaped}\"\r\n\r\n{text}").into_bytes();
        for file in &files {
            body.extend_from_slice(b"\r\n--B\r\nContent-Disposition: form-data; name=files; filename=x\r\n\r\n");
            body.extend_from_slice(file);
        }
        body.extend_from_slice(b"\r\n--B--\r\n");
        let args: Value = serde_json::from_str(&built(Request { body: &body, ..FORM }).unwrap()).unwrap();
        let sent: Vec<Value> = files.iter()
            .map(|file| json!({"filename": "x", "content_type": "text/plain", "size": file.len(), "base64": STANDARD.encode(file)}))
            .collect();
        prop_assert_eq!(args, json!({ name: text, "files": sent }));
    }
}
