//! The crates: how many the main job compiles, which must not be among them, what each of ours says of itself.

use std::collections::BTreeSet;

use super::Tree;
use crate::shell;

/// A newcomer waits for each of them.
const MOST: usize = 250;
/// One TLS library in the graph, and no crate that is given up.
const BANNED: [&str; 5] = ["ring", "openssl", "openssl-sys", "native-tls", "serde_yaml"];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in tree.ending("Cargo.toml") {
        // A crate that is a workspace of its own (fuzzing) cannot take anything from this one.
        let member = file.text.contains("[package]") && !file.text.contains("[workspace]");
        if member && !file.text.contains("[lints]\nworkspace = true") {
            complaints.push(format!("{}: does not take the lints of the workspace", file.path));
        }
        for line in ["license.workspace = true", "rust-version.workspace = true", "description = "] {
            if member && !file.text.contains(line) {
                complaints.push(format!("{}: does not say `{line}`", file.path));
            }
        }
    }
    match graph(&["--package", "examples", "--edges", "normal,build"]) {
        Some(main_job) => {
            println!("the main job compiles {} crates", main_job.len());
            if main_job.len() >= MOST {
                complaints.push(format!(
                    "the main job compiles {} crates; fewer than {MOST} it must be",
                    main_job.len()
                ));
            }
        }
        None => complaints.push("`cargo tree` does not work".to_owned()),
    }
    let all =
        graph(&["--workspace", "--all-features", "--edges", "all", "--target", "all"]).unwrap_or_default();
    for banned in BANNED {
        if all.iter().any(|line| line.split(' ').next() == Some(banned)) {
            complaints.push(format!("`{banned}` is in the graph; `cargo tree -i {banned}` says why"));
        }
    }
    complaints
}

/// The crates that `cargo tree` lists, each once: `name vVERSION`.
fn graph(args: &[&str]) -> Option<BTreeSet<String>> {
    let mut all = vec!["tree", "--quiet", "--prefix", "none"];
    all.extend(args);
    let text = shell::read(shell::cargo(&all))?;
    let name = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    Some(text.lines().filter(|line| line.contains(" v")).map(name).collect())
}
