//! From a page in Markdown to what is run and what it prints.

/// A fenced `sh` block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The line on the page that it begins at.
    pub(super) line: usize,
    /// What is run.
    pub(super) lines: String,
    /// Whether it is run at all.
    pub(super) runs: bool,
    /// What it prints.
    pub(super) shown: Option<Shown>,
}

/// What a page shows as printed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// How it is compared.
    pub(super) kind: Kind,
    /// The block.
    pub(super) text: String,
}

/// The language of a block of printed text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    Text,
    Http,
}

/// The `sh` blocks of a page, each with what follows it.
///
/// # Errors
/// A fence that is not closed, or printed text that nothing prints.
pub(super) fn blocks(page: &str) -> Result<Vec<Block>, String> {
    let mut blocks: Vec<Block> = Vec::new();
    // Whether the next block of printed text belongs to the last block that was run.
    let mut open = false;
    let mut lines = page.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let mut text = String::new();
        loop {
            match lines.next() {
                None => return Err(format!("the block in line {} is not closed", at + 1)),
                Some((_, "```")) => break,
                Some((_, line)) => text = text + line + "\n",
            }
        }
        let mut words = info.split_whitespace();
        let (language, runs) = (words.next().unwrap_or_default(), words.next() != Some("no-run"));
        let kind = match language {
            "sh" => {
                blocks.push(Block { line: at + 1, lines: text, runs, shown: None });
                open = runs;
                continue;
            }
            "json" => Kind::Json,
            "text" => Kind::Text,
            "http" => Kind::Http,
            _ => continue,
        };
        match blocks.last_mut().filter(|_| open && runs) {
            Some(block) => block.shown = Some(Shown { kind, text }),
            None if runs => return Err(format!("nothing prints the block in line {}", at + 1)),
            None => {}
        }
        open = false;
    }
    Ok(blocks)
}

#[test]
fn a_page_of_each_kind() {
    let page = "# T\n\n```sh\na\nb\n```\nprints\n```json\n1\n```\n\n```sh no-run\nc\n```\n```rust\nd\n```\n```sh\ne\n```\n```sh\nf\n```\n```http\ng\n\nh\n```\n";
    let block = |line, lines: &str, runs, shown: Option<(Kind, &str)>| Block {
        line,
        lines: lines.into(),
        runs,
        shown: shown.map(|(kind, text)| Shown { kind, text: text.into() }),
    };
    let expected = [
        block(3, "a\nb\n", true, Some((Kind::Json, "1\n"))),
        block(12, "c\n", false, None),
        block(18, "e\n", true, None),
        block(21, "f\n", true, Some((Kind::Http, "g\n\nh\n"))),
    ];
    assert_eq!(blocks(page).expect("a page"), expected);
    for wrong in [
        "```sh\na\n",
        "```json\n1\n```\n",
        "```sh no-run\na\n```\n```text\nb\n```\n",
        "```sh\na\n```\n```text\nb\n```\n```text\nc\n```\n",
    ] {
        assert!(blocks(wrong).is_err(), "{wrong}");
    }
}
