//! Makes untrusted text safe to show: names in an upload, values in arguments, output of a guest.
//!
//! Such text is shown in terminals, logs and web pages. Control characters in it could move the
//! cursor of a terminal or imitate a line of the host, so they are replaced by escapes. Quoted text
//! is shortened.

use std::borrow::Cow;
use std::fmt::Write as _;
use wasmill_core::limits::{LISTED_NAMES, QUOTED_CHARS};

/// True for characters that change how other text is shown: control characters except newline and
/// tab, and characters that reorder text or break lines.
pub(crate) fn needs_escape(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Appends `text` to `out`. Characters for which [`needs_escape`] is true become `\u{..}`.
pub(crate) fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        if needs_escape(c) {
            // Writing to a String cannot fail.
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
    }
}

/// The first `limit` bytes of `text`, escaped as by [`push_escaped`]. An ellipsis follows when text
/// was left out. `text` is cut between characters.
pub(crate) fn escaped(text: &str, limit: usize) -> String {
    let kept = truncated(text, limit);
    let mut out = String::with_capacity(kept.len());
    push_escaped(&mut out, kept);
    if kept.len() < text.len() {
        out.push('…');
    }
    out
}

/// The longest prefix of `text` that has at most `limit` bytes and ends between characters.
pub(crate) fn truncated(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit)).unwrap_or(text)
}

/// The beginning of `text` for an error message: one line of about 60 characters, escaped.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS) {
        None => escaped(text, usize::MAX).replace('\n', " "),
        Some((at, _)) => escaped(text, at).replace('\n', " "),
    }
}

/// The first 20 of `names`, in quotes and separated by commas, and the number of the others.
pub(crate) fn quoted_list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut out = String::new();
    let mut more = 0usize;
    for (index, name) in names.into_iter().enumerate() {
        if index >= LISTED_NAMES {
            more += 1;
            continue;
        }
        if index > 0 {
            out.push_str(", ");
        }
        let _ = write!(out, "\"{}\"", excerpt(name));
    }
    if more > 0 {
        let _ = write!(out, " and {more} more");
    }
    if out.is_empty() { "nothing".to_owned() } else { out }
}

/// `bytes` as text. U+FFFD replaces what is not UTF-8.
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(escaped("a\x1b]0;x\x07b\tc", 100), "a\\u{1b}]0;x\\u{7}b\tc");
        assert_eq!(escaped("ab\u{202e}cd", 100), "ab\\u{202e}cd");
        assert_eq!(escaped("ääää", 5), "ää…");
    }

    #[test]
    fn quotes_are_short() {
        assert_eq!(excerpt("short"), "short");
        assert_eq!(excerpt(&"x".repeat(500)).chars().count(), 61);
        assert_eq!(quoted_list([]), "nothing");
        assert_eq!(quoted_list(["a", "b"]), "\"a\", \"b\"");
        assert!(quoted_list((0..100).map(|_| "n")).ends_with("and 80 more"));
    }
}
