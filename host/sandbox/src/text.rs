//! Makes foreign text harmless to show: names out of an upload, values out of arguments, lines out
//! of a guest.
//!
//! What a guest names or prints ends up in terminals, logs and pages. Control characters could move
//! a terminal's cursor or forge a line, so they are written as escapes; and nothing is quoted at
//! full length.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Characters of a quoted value or name; more are cut. Long enough to recognise it by.
const QUOTED_CHARS: usize = 60;

/// Names listed in one message; more are counted.
const LISTED_NAMES: usize = 20;

/// True for characters that don't print but act: controls except newline and tab, and those that
/// reorder or break lines.
pub(crate) fn acts(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Appends `text` with acting characters as `\u{..}` escapes.
pub(crate) fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        if acts(c) {
            // Writing to a String cannot fail.
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
    }
}

/// `text` without acting characters and of at most `limit` bytes, cut at a character with an
/// ellipsis.
pub(crate) fn tamed(text: &str, limit: usize) -> String {
    let cut = cut(text, limit);
    let mut out = String::with_capacity(cut.len());
    push_escaped(&mut out, cut);
    if cut.len() < text.len() {
        out.push('…');
    }
    out
}

/// The longest beginning of `text` that has at most `limit` bytes and ends between characters.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit)).unwrap_or(text)
}

/// A value as an error message quotes it: one line, at most some 60 characters.
pub(crate) fn brief(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS) {
        None => tamed(text, usize::MAX).replace('\n', " "),
        Some((at, _)) => tamed(text, at).replace('\n', " "),
    }
}

/// Names in quotes, separated by commas, the first twenty of them.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
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
        let _ = write!(out, "\"{}\"", brief(name));
    }
    if more > 0 {
        let _ = write!(out, " and {more} more");
    }
    if out.is_empty() { "nothing".to_owned() } else { out }
}

/// Guest bytes as text, with replacement characters where they are not UTF-8.
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acting_characters_are_escaped() {
        assert_eq!(tamed("a\x1b]0;x\x07b\tc", 100), "a\\u{1b}]0;x\\u{7}b\tc");
        assert_eq!(tamed("ab\u{202e}cd", 100), "ab\\u{202e}cd");
        assert_eq!(tamed("ääää", 5), "ää…");
    }

    #[test]
    fn quotes_are_short() {
        assert_eq!(brief("short"), "short");
        assert_eq!(brief(&"x".repeat(500)).chars().count(), 61);
        assert_eq!(listed([]), "nothing");
        assert_eq!(listed(["a", "b"]), "\"a\", \"b\"");
        assert!(listed((0..100).map(|_| "n")).ends_with("and 80 more"));
    }
}
