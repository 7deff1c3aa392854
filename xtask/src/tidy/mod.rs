//! What no compiler checks. Each check is a function from the files of the project to complaints.

mod crates;
mod documents;
mod errors;
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
    let checks: [(&str, Check); 4] = [
        ("source", source::check),
        ("errors", errors::check),
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
    good
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
            self.files.push(File { path: parts.join("/"), text });
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
        let file = |(path, text): &(&str, &str)| File { path: (*path).into(), text: (*text).into() };
        Tree { files: files.iter().map(file).collect() }
    }
}

impl File {
    /// Whether it is Rust that only tests use.
    fn is_test(&self) -> bool {
        self.path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "benches" | "fuzz"))
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
