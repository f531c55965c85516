//! Whether what was printed is what a page shows. `...` stands for what differs from call to call.
//!
//! - `text`: line by line; `...` in a line stands for any characters, a line of nothing else for
//!   any number of lines. Line breaks at the end do not count.
//! - `json`: by value, so that spaces and the order of keys do not count. The string `"..."` stands
//!   for any value, `...` within a string for any characters; as a key of an object and as the last
//!   element of an array `"..."` stands for any others.
//! - `http`: the status line and the headers that are shown, in any order, each as a line of text;
//!   others may be there. The body is compared by its type, and is empty when none is shown.

use super::page::{Kind, Shown};
use serde_json::Value;

const ANYTHING: &str = "...";

/// Compares.
///
/// # Errors
/// Where it differs.
pub(super) fn fits(shown: &Shown, printed: &str) -> Result<(), String> {
    match shown.kind {
        Kind::Json => json(&shown.text, printed),
        Kind::Text => text(&shown.text, printed),
        Kind::Http => http(&shown.text, printed),
    }
}

fn text(shown: &str, printed: &str) -> Result<(), String> {
    let lines = |text: &str| {
        text.trim_end_matches(['\r', '\n']).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    match lines_fit(&lines(shown), &lines(printed)) {
        true => Ok(()),
        false => Err(format!("the text is another one than\n{shown}")),
    }
}

fn lines_fit(shown: &[String], printed: &[String]) -> bool {
    match shown {
        [] => printed.is_empty(),
        [first, rest @ ..] if first == ANYTHING => {
            (0..=printed.len()).any(|skipped| lines_fit(rest, &printed[skipped..]))
        }
        [first, rest @ ..] => printed
            .split_first()
            .is_some_and(|(line, others)| line_fits(first, line) && lines_fit(rest, others)),
    }
}

fn line_fits(shown: &str, printed: &str) -> bool {
    let Some((start, rest)) = shown.split_once(ANYTHING) else { return shown == printed };
    let Some(printed) = printed.strip_prefix(start) else { return false };
    let ends = printed.char_indices().map(|(at, _)| at).chain([printed.len()]);
    ends.map(|at| &printed[at..]).any(|end| line_fits(rest, end))
}

fn json(shown: &str, printed: &str) -> Result<(), String> {
    let read = |text: &str, whose: &str| {
        serde_json::from_str::<Value>(text).map_err(|error| format!("{whose} is not JSON: {error}"))
    };
    value_fits(&read(shown, "what the page shows")?, &read(printed, "what is printed")?, "")
}

fn value_fits(shown: &Value, printed: &Value, at: &str) -> Result<(), String> {
    let differs = || Err(format!("at {at:?} the page has {shown}, printed is {printed}"));
    match (shown, printed) {
        (Value::String(shown), _) if shown == ANYTHING => Ok(()),
        (Value::String(shown), Value::String(printed)) if line_fits(shown, printed) => Ok(()),
        (Value::Object(members), Value::Object(given)) => {
            for (key, value) in members.iter().filter(|(key, _)| *key != ANYTHING) {
                match given.get(key) {
                    Some(given) => value_fits(value, given, &format!("{at}.{key}"))?,
                    None => return Err(format!("{at}.{key} is missing")),
                }
            }
            match given.keys().find(|key| !members.contains_key(*key)) {
                Some(more) if !members.contains_key(ANYTHING) => {
                    Err(format!("{at}.{more} is not on the page"))
                }
                _ => Ok(()),
            }
        }
        (Value::Array(elements), Value::Array(given)) => {
            let (elements, open) = match elements.split_last() {
                Some((Value::String(last), before)) if last == ANYTHING => (before, true),
                _ => (&elements[..], false),
            };
            if given.len() < elements.len() || (!open && given.len() > elements.len()) {
                return differs();
            }
            elements.iter().zip(given).enumerate().try_for_each(|(index, (shown, given))| {
                value_fits(shown, given, &format!("{at}[{index}]"))
            })
        }
        (shown, printed) if shown == printed => Ok(()),
        _ => differs(),
    }
}

fn http(shown: &str, printed: &str) -> Result<(), String> {
    let printed = printed.replace("\r\n", "\n");
    let (head, body) = printed.split_once("\n\n").unwrap_or((&printed, ""));
    let (shown_head, shown_body) = shown.split_once("\n\n").unwrap_or((shown.trim_end(), ""));
    let (mut shown_lines, mut lines) = (shown_head.lines(), head.lines());
    let (status, shown_status) =
        (lines.next().unwrap_or_default(), shown_lines.next().unwrap_or_default());
    if !line_fits(shown_status, status) {
        return Err(format!("the page has {shown_status}, the answer is {status}"));
    }
    let lower = |line: &str| {
        line.split_once(':')
            .map(|(name, value)| format!("{}:{value}", name.to_ascii_lowercase()))
            .unwrap_or_default()
    };
    let headers: Vec<String> = lines.map(lower).collect();
    for header in shown_lines {
        if !headers.iter().any(|line| line_fits(&lower(header), line)) {
            return Err(format!("the answer has no header {header}"));
        }
    }
    let is_json =
        headers.iter().any(|line| line.starts_with("content-type:") && line.contains("json"));
    if is_json && !shown_body.is_empty() { json(shown_body, body) } else { text(shown_body, body) }
}

#[test]
fn what_fits_and_what_does_not() {
    use Kind::{Http, Json, Text};
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-id: 7\r\n\r\n{\"a\":1}";
    for (kind, shown, printed, expected) in [
        (Text, "a\nb\n", "a\nb", true),
        (Text, "a\n", "a\nb", false),
        (Text, "a\n", "ab", false),
        (Text, "a...c...\n", "abcd", true),
        (Text, "a...c\n", "abcd", false),
        (Text, "...b\n", "a\nb", false),
        (Text, "...\nb\n", "a\na\nb", true),
        (Text, "...\nb\n...\n", "b", true),
        (Text, "", "", true),
        (Text, "a\n", "a\n\n", true),
        (Json, "{\"a\": 1, \"b\": [1]}", "{\"b\":[1],\"a\":1}", true),
        (Json, "{\"a\": 1}", "{\"a\":2}", false),
        (Json, "{\"a\": 1}", "{}", false),
        (Json, "{}", "{\"a\":1}", false),
        (Json, "{\"a\": \"...\"}", "{\"a\":[1,2]}", true),
        (Json, "{\"a\": \"...\"}", "{\"b\":1}", false),
        (Json, "{\"a\": 1, \"...\": \"...\"}", "{\"a\":1,\"b\":2}", true),
        (Json, "{\"a\": 1, \"...\": \"...\"}", "{\"a\":2,\"b\":2}", false),
        (Json, "[1, \"...\"]", "[1,2,3]", true),
        (Json, "[1, \"...\"]", "[2]", false),
        (Json, "[1]", "[1,2]", false),
        (Json, "\"at line ...\"", "\"at line 7\"", true),
        (Json, "\"at line ...\"", "\"line 7\"", false),
        (Json, "1", "oops", false),
        (Http, "HTTP/1.1 200 OK\nX-Id: ...\n\n{\"a\": 1}\n", answer, true),
        (Http, "HTTP/1.1 200 OK\n\n{\"a\": 1}\n", answer, true),
        (Http, "HTTP/1.1 200 OK\nx-id: 7\n", answer, false),
        (Http, "HTTP/1.1 200 OK\nx-id: 8\n\n{\"a\": 1}\n", answer, false),
        (Http, "HTTP/1.1 201 Created\n\n{\"a\": 1}\n", answer, false),
        (Http, "HTTP/1.1 204 No Content\n", "HTTP/1.1 204 No Content\r\nx: y\r\n\r\n", true),
    ] {
        let fits = fits(&Shown { kind, text: shown.to_owned() }, printed);
        assert_eq!(fits.is_ok(), expected, "{kind:?} {shown:?} {printed:?}: {fits:?}");
    }
}
