//! Reads Rust source code as tokens, as far as the tests of the architecture need it.

/// The tokens of Rust code: identifiers, numbers, `::` and single characters. Comments, strings,
/// characters and lifetimes are left out.
pub(crate) fn tokens(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let (length, is_token) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), false)
        } else if rest.starts_with("/*") {
            (block_comment(rest), false)
        } else if let Some(length) = raw_string(rest) {
            (length, false)
        } else if first == '"' {
            (quoted(rest), false)
        } else if first == '\'' {
            (character_or_lifetime(rest), false)
        } else if first.is_alphanumeric() || first == '_' {
            // A raw identifier such as `r#type` is one token, so that it is not read as a keyword.
            let hash = rest.strip_prefix("r#").map_or(0, |_| 2);
            (hash + word(&rest[hash..]), true)
        } else if rest.starts_with("::") {
            (2, true)
        } else {
            (first.len_utf8(), !first.is_whitespace())
        };
        if is_token {
            found.push(&rest[..length]);
        }
        rest = &rest[length..];
    }
    found
}

/// True for an identifier or a keyword.
pub(crate) fn is_identifier(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// The length of the letters, digits and underscores at the beginning.
fn word(text: &str) -> usize {
    text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len())
}

/// The length of the block comment at the beginning, with the comments within it.
fn block_comment(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0usize);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (at, depth) = (at + 2, depth + 1);
        } else if text[at..].starts_with("*/") {
            (at, depth) = (at + 2, depth - 1);
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of the character literal or the lifetime at the beginning.
fn character_or_lifetime(text: &str) -> usize {
    let mut letters = text.char_indices().skip(1);
    match (letters.next(), letters.next()) {
        (Some((_, '\\')), Some((escaped, _))) => {
            let after = escaped + text[escaped..].chars().next().map_or(1, char::len_utf8);
            text[after..].find('\'').map_or(text.len(), |end| after + end + 1)
        }
        (Some(_), Some((end, '\''))) => end + 1,
        _ => 1 + word(&text[1..]),
    }
}

/// The length of the string literal at the beginning.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the raw string literal at the beginning, if there is one.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(())?;
    let begun = text.len() - after.len() + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    text[begun..].find(&end).map(|at| begun + at + end.len())
}

#[test]
fn tokens_are_found() {
    let code = "let status_code = r#\"header \"x\"\"#; // request\n/* a /* status */ b */ \
                let c = '\"'; f(header, \"req\\\"uest\", b\"x\", '{', '\\'', 'é');";
    assert_eq!(
        tokens(code),
        [
            "let",
            "status_code",
            "=",
            ";",
            "let",
            "c",
            "=",
            ";",
            "f",
            "(",
            "header",
            ",",
            ",",
            "b",
            ",",
            ",",
            ",",
            ")",
            ";"
        ]
    );
    assert_eq!(
        tokens("fn f<'a>(x: &'a crate::A) -> r#type { 0x1f..2 }"),
        [
            "fn", "f", "<", ">", "(", "x", ":", "&", "crate", "::", "A", ")", "-", ">", "r#type",
            "{", "0x1f", ".", ".", "2", "}"
        ]
    );
}
