//! Every error code has a page, every page a code, and the index lists them all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::{File, Tree};
use crate::shell;

const INDEX: &str = "docs/errors/README.md";
const BEGIN: &str = "<!-- written by `cargo xtask tidy --fix` -->";

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let codes = codes(tree);
    let pages: BTreeMap<String, &File> = pages(tree).collect();
    let mut complaints = Vec::new();
    for (code, place) in &codes {
        if !pages.contains_key(code) {
            complaints.push(format!("{place}: `{code}` has no page {}", path(code)));
        }
    }
    for (code, page) in &pages {
        if !codes.contains_key(code) {
            complaints.push(format!("{}: no source has the code `{code}`", page.path));
        }
        if !page.text.starts_with(&format!("# {code}\n")) {
            complaints.push(format!("{}: does not begin with `# {code}`", page.path));
        }
        for part in ["\n## Why\n", "\n## What to do\n"] {
            if !page.text.contains(part) {
                complaints.push(format!("{}: has no part `{}`", page.path, part.trim()));
            }
        }
    }
    if !pages.is_empty() && tree.get(INDEX).is_none_or(|index| index.text != with_index(&index.text, tree)) {
        complaints.push(format!(
            "{INDEX}: does not list the pages as they are; `cargo xtask tidy --fix` writes it"
        ));
    }
    complaints
}

/// Writes the list of pages into the index.
pub(super) fn write_index(tree: &Tree) {
    let before = tree.get(INDEX).map_or("# Errors\n\n", |file| &file.text);
    if let Err(error) = fs::write(shell::root().join(INDEX), with_index(before, tree)) {
        eprintln!("xtask: failed to write {INDEX}: {error}");
    }
}

/// The index with the list of pages behind the mark.
fn with_index(before: &str, tree: &Tree) -> String {
    let head = before.split_once(BEGIN).map_or(before, |(head, _)| head);
    let mut text = format!("{head}{BEGIN}\n");
    let mut room = String::new();
    for (code, page) in pages(tree) {
        let (this, what) = code.split_once("::").unwrap_or_default();
        if room != this {
            room = this.to_owned();
            text.push_str(&format!("\n## {room}\n\n"));
        }
        text.push_str(&format!("- [`{code}`]({this}/{what}.md): {}\n", summary(&page.text)));
    }
    text
}

/// The first paragraph of a page, on one line.
fn summary(page: &str) -> String {
    let body = page.split_once('\n').map_or("", |(_, body)| body).trim_start();
    let paragraph = body.split("\n\n").next().unwrap_or_default();
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The pages by their codes, in order.
fn pages(tree: &Tree) -> impl Iterator<Item = (String, &File)> {
    let page = |file: &File| {
        let name = file.path.strip_prefix("docs/errors/")?.strip_suffix(".md")?;
        Some(name.split_once('/')?).map(|(room, what)| format!("{room}::{what}"))
    };
    tree.files.iter().filter_map(move |file| Some((page(file)?, file)))
}

pub(super) fn path(code: &str) -> String {
    format!("docs/errors/{}.md", code.replace("::", "/"))
}

/// The codes in the sources, tests left aside, each with where it stands first.
fn codes(tree: &Tree) -> BTreeMap<String, String> {
    let mut codes = BTreeMap::new();
    let sources =
        |file: &&File| (file.path.starts_with("code-") || file.path.starts_with("examples/")) && !file.test;
    for file in tree.ending(".rs").filter(sources) {
        for (number, line) in file.code() {
            for code in codes_in(line) {
                codes.entry(code).or_insert_with(|| format!("{}:{number}", file.path));
            }
        }
    }
    codes
}

/// The string literals of a line that are codes: `"room::what-happened"`.
pub(super) fn codes_in(line: &str) -> BTreeSet<String> {
    let word = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase())
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    let literals = line.split('"').skip(1).step_by(2);
    let is_code = |text: &&str| text.split_once("::").is_some_and(|(room, what)| word(room) && word(what));
    literals.filter(is_code).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# id::name\n\nA name\nis not one.\n\n## Why\n\nx\n\n## What to do\n\ny\n";

    fn tree(source: &str, page: &str) -> Tree {
        let mut tree = Tree::of(&[
            ("code-core/src/id.rs", source),
            ("docs/errors/id/name.md", page),
            (INDEX, "# Errors\n\n"),
        ]);
        let index = with_index("# Errors\n\n", &tree);
        tree.files[2].text = index;
        tree
    }

    #[test]
    fn codes_and_pages_belong_together() {
        assert_eq!(check(&tree("Error::new(kind, \"id::name\", \"x\")", PAGE)), Vec::<String>::new());
        let complaints = check(&tree("f(\"id::name\"); f(\"id::other\")", PAGE));
        assert_eq!(complaints, ["code-core/src/id.rs:1: `id::other` has no page docs/errors/id/other.md"]);
        let complaints = check(&tree("", PAGE));
        assert_eq!(complaints, ["docs/errors/id/name.md: no source has the code `id::name`"]);
        let complaints = check(&tree("f(\"id::name\")", "# id::nane\n\n## Why\n"));
        assert_eq!(complaints.len(), 2, "{complaints:?}");
    }

    #[test]
    fn the_index_lists_the_pages() {
        let mut tree = tree("f(\"id::name\")", PAGE);
        assert!(tree.files[2].text.contains("## id\n\n- [`id::name`](id/name.md): A name is not one.\n"));
        tree.files[2].text.push('x');
        assert_eq!(check(&tree).len(), 1);
    }

    #[test]
    fn only_whole_literals_are_codes() {
        let found =
            codes_in("f(\"helm::release-locked\", \"std::env::var\", \"a b::c\", \"::1\", \"code_core::x\")");
        assert_eq!(found, BTreeSet::from(["helm::release-locked".to_owned()]));
    }
}
