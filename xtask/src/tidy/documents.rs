//! The documents tell the truth: their commands exist, and their links lead somewhere.

use super::{File, Tree};
use crate::{COMMANDS, shell};

/// What every checkout must have.
const REQUIRED: [&str; 6] =
    ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"];
/// A README is read to its end.
const LONGEST_README: usize = 250;

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for path in REQUIRED {
        if tree.get(path).is_none() {
            complaints.push(format!("{path} is not there"));
        }
    }
    if let Some(readme) = tree.get("README.md") {
        let lines = readme.text.lines().count();
        if lines > LONGEST_README {
            complaints.push(format!("README.md: {lines} lines; it has at most {LONGEST_README}"));
        }
    }
    for file in tree.ending(".md") {
        commands(file, tree, &mut complaints);
        links(file, &mut complaints);
    }
    complaints
}

/// `cargo xtask NAME` and `cargo run --example NAME` name what exists.
fn commands(file: &File, tree: &Tree, complaints: &mut Vec<String>) {
    let mut after = |words: &str, exists: &dyn Fn(&str) -> bool| {
        for (at, _) in file.text.match_indices(words) {
            let rest = file.text[at + words.len()..].trim_start_matches(' ');
            let name: String =
                rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
            if !name.is_empty() && !exists(&name) {
                complaints.push(format!("{}: `{words}{name}` does not exist", file.path));
            }
        }
    };
    after("cargo xtask ", &|name| COMMANDS.contains(&name));
    after("--example ", &|name| is_example(tree, name));
}

fn is_example(tree: &Tree, name: &str) -> bool {
    let listed = tree.ending("Cargo.toml").any(|manifest| {
        manifest.text.split("[[example]]").skip(1).any(|part| part.contains(&format!("name = \"{name}\"")))
    });
    let found = |path: &str| tree.get(path).is_some();
    listed
        || found(&format!("examples/examples/{name}.rs"))
        || found(&format!("examples/examples/{name}/main.rs"))
}

/// `[text](path)` leads to a file or directory of the project.
fn links(file: &File, complaints: &mut Vec<String>) {
    let dir = file.path.rsplit_once('/').map_or("", |(dir, _)| dir);
    let mut fenced = false;
    for (i, line) in file.text.lines().enumerate() {
        fenced ^= line.trim_start().starts_with("```");
        for part in line.split("](").skip(1).filter(|_| !fenced) {
            let target = part.split([')', '#', ' ']).next().unwrap_or_default();
            let elsewhere = target.is_empty() || target.contains("://") || target.starts_with("mailto:");
            if !elsewhere && !shell::root().join(dir).join(target).exists() {
                complaints.push(format!("{}:{}: the link to `{target}` leads nowhere", file.path, i + 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(text: &str) -> Vec<String> {
        let manifest = ("examples/Cargo.toml", "[[example]]\nname = \"deploy\"\n");
        let tree = Tree::of(&[manifest, ("docs/a.md", text)]);
        check(&tree).into_iter().filter(|complaint| complaint.starts_with("docs/a.md")).collect()
    }

    #[test]
    fn commands_exist() {
        assert!(complaints("`cargo xtask test`, `cargo run --example deploy -- \"x\"`").is_empty());
        assert_eq!(complaints("`cargo xtask fly`").len(), 1);
        assert_eq!(complaints("`cargo run --example fly`").len(), 1);
    }

    #[test]
    fn links_lead_somewhere() {
        assert!(complaints("[a](../Cargo.toml) [b](https://x.org/y) [c](#d)").is_empty());
        assert_eq!(complaints("[a](nowhere.md)").len(), 1);
        assert!(complaints("```\n[a](nowhere.md)\n```").is_empty());
    }
}
