//! What no compiler checks. Each check is a function from the files of the project to complaints.

mod api;
mod crates;
mod documents;
mod errors;
mod hints;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell;

/// Runs all checks; with `fix`, writes what can be written first. Gives whether nobody complained.
pub(crate) fn run(fix: bool) -> bool {
    let mut good = true;
    let fmt: &[&str] = if fix { &["fmt", "--all"] } else { &["fmt", "--all", "--check"] };
    good &= shell::run(shell::cargo(fmt));
    let tree = Tree::read(shell::root());
    if fix {
        errors::write_index(&tree);
    }
    let tree = Tree::read(shell::root());
    let checks: [(&str, Check); 5] = [
        ("source", source::check),
        ("errors", errors::check),
        ("hints", hints::check),
        ("documents", documents::check),
        ("crates", crates::check),
    ];
    for (name, check) in checks {
        let complaints = check(&tree);
        println!("tidy {name}: {}", if complaints.is_empty() { "good" } else { "not good" });
        for complaint in &complaints {
            println!("  {complaint}");
        }
        good &= complaints.is_empty();
    }
    good & api::run(fix)
}

/// From the files of the project to complaints.
type Check = fn(&Tree) -> Vec<String>;

/// The text files of the project.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
}

/// A text file: its path from the root, with `/`, and what it says.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
    /// Whether it is Rust that only tests use.
    pub(crate) test: bool,
}

impl Tree {
    /// Reads everything below `root` but what is built, hidden (`.ci` is not) or no text.
    fn read(root: &Path) -> Tree {
        let mut tree = Tree::default();
        let mut open = vec![root.to_owned()];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
                tree.take(root, &entry.path(), &mut open);
            }
        }
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        tree.mark_tests();
        tree
    }

    fn take(&mut self, root: &Path, path: &Path, open: &mut Vec<PathBuf>) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            let hidden = name.starts_with('.') && name != ".ci" && name != ".cargo";
            // Cargo marks every target directory, whatever it is called.
            if !hidden && name != "target" && !path.join("CACHEDIR.TAG").is_file() {
                open.push(path.to_owned());
            }
        } else if let (Ok(relative), Ok(text)) = (path.strip_prefix(root), fs::read_to_string(path)) {
            let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
            self.files.push(File { path: parts.join("/"), text, test: false });
        }
    }

    /// Marks what lies in a place for tests, and the modules that are declared for tests only.
    fn mark_tests(&mut self) {
        let declared: Vec<String> = self.ending(".rs").flat_map(File::test_modules).collect();
        for file in &mut self.files {
            let place = |part| matches!(part, "tests" | "tests.rs" | "benches" | "fuzz");
            file.test = file.path.split('/').any(place)
                || declared.iter().any(|module| {
                    file.path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
                });
        }
    }

    /// A file by its path.
    fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The files with this ending.
    fn ending<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.path.ends_with(ending))
    }

    #[cfg(test)]
    fn of(files: &[(&str, &str)]) -> Tree {
        let file =
            |(path, text): &(&str, &str)| File { path: (*path).into(), text: (*text).into(), test: false };
        let mut tree = Tree { files: files.iter().map(file).collect() };
        tree.mark_tests();
        tree
    }
}

impl File {
    /// The paths, without ending, of the modules that it declares for tests only.
    fn test_modules(&self) -> Vec<String> {
        let (dir, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        let dir = match name {
            "mod.rs" | "lib.rs" | "main.rs" => dir.to_owned(),
            _ => self.path.trim_end_matches(".rs").to_owned(),
        };
        let lines: Vec<&str> = self.text.lines().map(str::trim).collect();
        let pairs = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]");
        let name = |line: &str| Some(line.strip_suffix(';')?.rsplit_once("mod ")?.1.to_owned());
        pairs.filter_map(|pair| name(pair[1])).map(|name| format!("{dir}/{name}")).collect()
    }

    /// The lines that are built into a program, with their numbers: without comments and the module of tests,
    /// which stands last in a file.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut lines = self.text.lines().enumerate().peekable();
        std::iter::from_fn(move || {
            let (i, line) = lines.next()?;
            let next = lines.peek().map_or("", |(_, next)| *next);
            let tests = line.trim() == "#[cfg(test)]" && next.starts_with("mod ") && next.ends_with('{');
            (!tests).then_some((i + 1, line))
        })
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_for_tests_are_known() {
        let tree = Tree::of(&[
            ("a/src/lib.rs", "#[cfg(test)]\nmod samples;\nmod real;\n"),
            ("a/src/real.rs", "    #[cfg(test)]\n    pub(crate) mod fake;\n"),
            ("a/src/real/fake.rs", ""),
            ("a/src/samples/deep.rs", ""),
            ("a/tests/it.rs", ""),
        ]);
        let tests: Vec<_> = tree.files.iter().filter(|f| f.test).map(|f| f.path.as_str()).collect();
        assert_eq!(tests, ["a/src/real/fake.rs", "a/src/samples/deep.rs", "a/tests/it.rs"]);
    }

    #[test]
    fn the_module_of_tests_and_comments_are_no_code() {
        let tree = Tree::of(&[("a.rs", "one\n// two\n#[cfg(test)]\nmod tests {\n    five\n}\n")]);
        assert_eq!(tree.files[0].code().collect::<Vec<_>>(), [(1, "one")]);
    }
}
