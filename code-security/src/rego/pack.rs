//! Where policies come from: those in the binary, and those of a directory.

use std::path::{Path, PathBuf};

use code_core::{Error, ErrorKind, Result};

use super::rule::{Rule, Source, package};

macro_rules! policies {
    ($($file:literal),* $(,)?) => {
        [$(($file, include_str!(concat!("../../policies/", $file)))),*]
    };
}

/// What the rules share; policies of a directory may import it too.
const LIBRARY: &str = include_str!("../../policies/lib.rego");

const BUILT_IN: [(&str, &str); 9] = policies![
    "no_plaintext_secrets.rego",
    "no_public_store.rego",
    "tls_when_public.rego",
    "limits_in_production.rego",
    "limits_enforced.rego",
    "within_delete_budget.rego",
    "no_data_loss.rego",
    "effects_known.rego",
    "other_person.rego",
];

/// The most files that a directory of policies may hold.
const MOST_FILES: usize = 1000;
/// How deep directories may be nested.
const DEEPEST: usize = 16;

/// The policies of the binary.
pub(super) fn built_in() -> Result<Vec<Rule>> {
    let libraries = [library()];
    BUILT_IN
        .iter()
        .map(|(file, text)| Source { file: format!("policies/{file}"), text: (*text).to_owned() })
        .map(|source| Rule::compile(&source, &libraries))
        .collect()
}

/// The policies of a directory.
///
/// A file whose package is in `lib` is for the others to import; every other file is a policy.
pub(super) fn read(dir: &Path) -> Result<Vec<Rule>> {
    let mut files = Vec::new();
    collect(dir, DEEPEST, &mut files)?;
    files.sort();
    let (mut libraries, mut policies) = (vec![library()], Vec::new());
    for path in files {
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
        let source = Source { file: path.display().to_string(), text };
        match package(&source)?.strip_prefix("data.").unwrap_or_default().split('.').next() {
            Some("code") => return Err(reserved(&source)),
            Some("lib") => libraries.push(source),
            _ => policies.push(source),
        }
    }
    let rules = policies.iter().map(|source| Rule::compile(source, &libraries));
    let rules: Vec<Rule> = rules.collect::<Result<_>>()?;
    rules.iter().try_for_each(Rule::refuse_recursion)?;
    Ok(rules)
}

/// What the rules share, as a file.
pub(super) fn library() -> Source {
    Source { file: "policies/lib.rego".to_owned(), text: LIBRARY.to_owned() }
}

fn collect(dir: &Path, deepest: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(dir).map_err(|error| unreadable(dir, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(dir, &error))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let kind = entry.file_type().map_err(|error| unreadable(&entry.path(), &error))?;
        if name.starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            if deepest == 0 {
                return Err(too_much(dir, format!("directories nested deeper than {DEEPEST}")));
            }
            collect(&entry.path(), deepest - 1, files)?;
        } else if name.ends_with(".rego") && !name.ends_with("_test.rego") {
            files.push(entry.path());
            if files.len() > MOST_FILES {
                return Err(too_much(dir, format!("more than {MOST_FILES} policies")));
            }
        }
    }
    Ok(())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Invalid, "policy::directory", "read the directory of policies")
        .help("name a directory of `.rego` files (UTF-8) that you may read")
        .with("path", path.display().to_string())
        .because(error)
}

fn too_much(dir: &Path, what: String) -> Error {
    Error::new(ErrorKind::Invalid, "policy::directory", format!("take {what}"))
        .help("name the directory of your policies itself, and not one that holds much else")
        .with("path", dir.display().to_string())
}

fn reserved(source: &Source) -> Error {
    Error::new(ErrorKind::Invalid, "policy::duplicate", "add a policy to the package `code`")
        .help(
            "choose a package of your own: the built-in policies cannot be replaced or extended from outside",
        )
        .with("policy", &*source.file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_policies_keep_the_rules_for_others() {
        for rule in built_in().unwrap() {
            rule.refuse_recursion().unwrap();
        }
    }
}
