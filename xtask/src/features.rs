//! Each feature of each library by itself, and none at all: what a user leaves out must not be missed.
//!
//! What `cargo hack --each-feature` does, by the manifests of this project and without another tool.

use std::fs;

use crate::shell;

/// Features with a dependency of which a program chooses a version: `k8s-openapi` compiles with none. What the tests
/// choose stands for it.
const CHOSEN_BY_PROGRAMS: [&str; 1] = ["kubernetes"];

/// Checks each crate without features and with each one alone; gives whether all of them compile.
pub(crate) fn run() -> bool {
    let mut good = true;
    for name in crates() {
        let manifest = fs::read_to_string(shell::root().join(&name).join("Cargo.toml")).unwrap_or_default();
        let features = features(&manifest);
        let alone = features.iter().filter(|feature| *feature != "default").map(String::as_str);
        for feature in [""].into_iter().chain(alone) {
            let check = ["check", "--quiet", "--locked", "--package", &name, "--no-default-features"];
            let feature = ["--features", feature];
            let more = if CHOSEN_BY_PROGRAMS.contains(&feature[1]) { &["--tests"][..] } else { &[] };
            let feature = if feature[1].is_empty() { &[] } else { &feature[..] };
            good &= shell::run(shell::cargo(&[&check[..], feature, more].concat()));
        }
    }
    good
}

/// The libraries: the directories `code-*` with a manifest.
fn crates() -> Vec<String> {
    let entries = fs::read_dir(shell::root()).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with("code-"))
        .collect();
    names.sort();
    names
}

/// The names in the table `[features]` of a manifest.
fn features(manifest: &str) -> Vec<String> {
    let table = manifest.split_once("\n[features]\n").map_or("", |(_, rest)| rest);
    table
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
        .filter_map(|line| Some(line.split_once('=')?.0.trim().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_read_from_a_manifest() {
        let manifest = "[package]\nname = \"x\"\n\n[features]\ndefault = [\"a\"]\n# Why.\na = [\n    \"dep:b\",\n]\n\
                        kill-points = []\n\n[dependencies]\nb = \"1\"\n";
        assert_eq!(features(manifest), ["default", "a", "kill-points"]);
        assert_eq!(features("[package]\n"), Vec::<String>::new());
    }

    #[test]
    fn the_libraries_are_found_with_their_features() {
        let found = crates();
        assert!(found.contains(&"code-core".to_owned()) && found.len() >= 5, "{found:?}");
        let manifest = fs::read_to_string(shell::root().join("code-providers/Cargo.toml")).unwrap();
        assert!(features(&manifest).contains(&"sqlite".to_owned()));
    }
}
