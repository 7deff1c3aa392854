//! A page of the documents at a terminal: headings, paragraphs, lists and blocks of code, each with room around it.
//!
//! Paragraphs and the items of a list are broken to the width anew. What stands in a block of code is for copying, so
//! it is left as it is.

use crate::style::{Style, Tone, wrap};

/// No line of text is longer, however wide the terminal: beyond that, eyes lose the next line.
const WIDEST: usize = 88;

/// A page of Markdown, as `docs/errors` uses it.
pub fn page(style: &Style, text: &str) -> String {
    let mut page = String::new();
    let mut item_before = false;
    for block in blocks(text) {
        let item = matches!(block, Block::Item(_));
        // Items stand together; everything else has a blank line before it.
        let together = item && item_before;
        if !page.is_empty() && !together {
            page.push('\n');
        }
        item_before = item;
        match block {
            Block::Heading(words) => page.push_str(&format!("{}\n", style.paint(Tone::Strong, words))),
            Block::Text(words) => lines(&mut page, style, "", "", &words),
            Block::Item(words) => lines(&mut page, style, style.sign("• ", "- "), "  ", &words),
            Block::Code(code) => code.iter().for_each(|line| {
                let line = format!("    {line}");
                page.push_str(&format!("{}\n", line.trim_end()));
            }),
        }
    }
    page
}

fn lines(page: &mut String, style: &Style, first: &str, further: &str, words: &str) {
    let width = style.width.min(WIDEST) - further.len();
    for (i, line) in wrap(words, width).into_iter().enumerate() {
        page.push_str(&format!("{}{line}\n", if i == 0 { first } else { further }));
    }
}

#[derive(Debug, PartialEq)]
enum Block<'a> {
    Heading(&'a str),
    Text(String),
    Item(String),
    Code(Vec<&'a str>),
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut open = false;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let words = line.trim();
        if words.is_empty() {
            open = false;
        } else if words.starts_with("```") {
            let code: Vec<&str> = lines.by_ref().take_while(|line| line.trim() != "```").collect();
            blocks.push(Block::Code(code));
            open = false;
        } else if let Some(heading) = words.strip_prefix('#') {
            blocks.push(Block::Heading(heading.trim_start_matches('#').trim()));
            open = false;
        } else if let Some(item) = words.strip_prefix("- ") {
            blocks.push(Block::Item(item.to_owned()));
            open = true;
        } else {
            match blocks.last_mut() {
                Some(Block::Text(before) | Block::Item(before)) if open => {
                    before.push(' ');
                    before.push_str(words);
                }
                _ => blocks.push(Block::Text(words.to_owned())),
            }
            open = true;
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::PAGES;
    use crate::style::columns;
    use crate::style::tests::{NARROW, WIDE, strip};

    const TEXT: &str = "# a::b\n\nIt could not be\nread.\n\n## What to do\n\n- Look at it, and then look at it\n  once more.\n- Run:\n\n```sh\ndeploy   status\n```\n\nThen `go` on.\n";

    #[test]
    fn each_part_has_room() {
        insta::assert_snapshot!(page(&NARROW, TEXT), @r"
        a::b

        It could not be read.

        What to do

        - Look at it, and then look at it once
          more.
        - Run:

            deploy   status

        Then `go` on.
        ");
    }

    #[test]
    fn every_page_fits_and_says_all_of_its_words() {
        for (code, text) in PAGES {
            for style in [WIDE, NARROW] {
                let shown = page(&style, text);
                let code_block = |line: &&str| line.starts_with("    ");
                for line in shown.lines().filter(|line| !code_block(line)) {
                    assert!(columns(line) <= style.width.min(WIDEST), "{code}: {line}");
                }
                assert!(!shown.contains("\n\n\n") && shown.contains("\n\nWhat to do\n\n"), "{code}: {shown}");
                let color = Style { color: true, ..style };
                assert_eq!(strip(&page(&color, text)), shown, "{code}");
            }
            let shown = page(&Style { width: 10_000, ..WIDE }, text);
            let words = |text: &str| -> Vec<String> {
                let of = |word: &str| word.trim_matches(['#', '-', '•']).to_owned();
                let fence = |line: &&str| !line.trim().starts_with("```");
                text.lines()
                    .filter(fence)
                    .flat_map(str::split_whitespace)
                    .map(of)
                    .filter(|w| !w.is_empty())
                    .collect()
            };
            assert_eq!(words(&shown), words(text), "{code}");
        }
    }
}
