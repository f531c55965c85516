//! Parses the values of header fields: parameters, quoted strings, percent-encoding. `None` means
//! that a value cannot be parsed.

use percent_encoding::percent_decode;
use std::borrow::Cow;

/// RFC 9110, 5.6.2: the bytes that the name of a header or a parameter may have.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether a text may be the name of a header or a parameter.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Whether a text may be the value of a header: it has no line breaks, and no control characters
/// except the tab.
pub(crate) fn is_value(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f))
}

/// The parameters after the first `;` of a header's value. Names are in lower case; quoted values
/// have no quotes.
///
/// Within quotes a backslash escapes a quote or a backslash. Before any other character it is an
/// ordinary character, because some senders of file names do not escape.
pub(crate) fn parameters(value: &str) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut rest = match value.split_once(';') {
        Some((_, rest)) => rest.trim_start(),
        None => "",
    };
    while !rest.is_empty() {
        if let Some(next) = rest.strip_prefix(';') {
            rest = next.trim_start();
            continue;
        }
        let (name, behind) = rest.split_once('=')?;
        let name = name.trim();
        if !is_token(name) {
            return None;
        }
        let behind = behind.trim_start();
        let value;
        (value, rest) = match behind.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let (value, rest) = behind.split_at(behind.find(';').unwrap_or(behind.len()));
                (value.trim_end().to_owned(), rest)
            }
        };
        rest = rest.trim_start();
        if !(rest.is_empty() || rest.starts_with(';')) {
            return None;
        }
        found.push((name.to_ascii_lowercase(), value));
    }
    Some(found)
}

/// The text before the closing quote, and the text after it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        match char {
            '"' => return Some((value, rest.as_str())),
            '\\' if rest.as_str().starts_with(['"', '\\']) => value.extend(rest.next()),
            char => value.push(char),
        }
    }
    None
}

/// An attribute of an event in a header, by the CloudEvents HTTP binding 1.0, 3.1.3.2. First the
/// double quotes around the value or a part of it are removed, with their backslash escapes; then
/// the value is percent-decoded once. `None` when a quote is not closed or the bytes are not UTF-8.
/// A percent sign without two hex digits stays.
pub(crate) fn attribute(value: &[u8]) -> Option<String> {
    let mut plain = Cow::Borrowed(value);
    if value.contains(&b'"') {
        let mut text = Vec::with_capacity(value.len());
        let (mut quoted, mut escaped) = (false, false);
        for byte in value {
            match byte {
                _ if escaped => {
                    text.push(*byte);
                    escaped = false;
                }
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                byte => text.push(*byte),
            }
        }
        if quoted {
            return None;
        }
        plain = Cow::Owned(text);
    }
    String::from_utf8(percent_decode(&plain).collect()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parameters_of_all_forms() {
        let pairs = |value| {
            parameters(value).map(|found: Vec<(String, String)>| {
                found.into_iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>()
            })
        };
        for (value, expected) in [
            ("form-data", Some(vec![])),
            ("form-data;", Some(vec![])),
            ("form-data; name=a", Some(vec!["name=a"])),
            (
                "form-data ;; Name = \"a;b=c\" ; filename=x y.txt ;",
                Some(vec!["name=a;b=c", "filename=x y.txt"]),
            ),
            (
                r#"x; a="q\"uote"; b="back\\slash"; c="C:\temp\f""#,
                Some(vec!["a=q\"uote", "b=back\\slash", "c=C:\\temp\\f"]),
            ),
            ("x; a=", Some(vec!["a="])),
            ("x; a=\"\"", Some(vec!["a="])),
            ("x; a", None),
            ("x; a=\"open", None),
            ("x; a=\"b\"c", None),
            ("x; a b=c", None),
            ("x; =c", None),
        ] {
            assert_eq!(
                pairs(value),
                expected.map(|list: Vec<&str>| list.into_iter().map(str::to_owned).collect()),
                "{value}"
            );
        }
    }

    #[test]
    fn attributes() {
        for (value, expected) in [
            ("plain", Some("plain")),
            ("Euro%20%E2%82%AC%20%f0%9f%98%80", Some("Euro € 😀")),
            ("%41%2525", Some("A%25")),
            ("100%", Some("100%")),
            ("%zz%4", Some("%zz%4")),
            (r#""a \"b\" \\ c""#, Some(r#"a "b" \ c"#)),
            (r#""a%20b" c"#, Some("a b c")),
            (r"back\slash", Some(r"back\slash")),
            ("\"open", None),
            ("\"open\\\"", None),
            // Overlong.
            ("%C0%A0", None),
            ("%ff", None),
            ("", Some("")),
        ] {
            assert_eq!(attribute(value.as_bytes()).as_deref(), expected, "{value}");
        }
        assert_eq!(attribute("é".as_bytes()).as_deref(), Some("é"));
        assert_eq!(attribute(b"\xe9"), None);
    }

    proptest! {
        #[test]
        fn never_panic(text in ".{0,40}", bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = (parameters(&text), attribute(&bytes));
        }

        #[test]
        fn quoted_parameters_round_trip(value in "[^\r\n]{0,20}") {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
            prop_assert_eq!(parameters(&format!("x; a=\"{escaped}\"; b=1")), Some(vec![("a".into(), value), ("b".into(), "1".into())]));
        }
    }
}
