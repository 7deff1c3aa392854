//! Rules of the sources: what is left over, what a library must not do, how long a file may be.

use super::{File, Tree};

/// A file of sources is one idea; above this many lines (tests not counted) it has to say why it is longer,
/// in a line `// tidy: long, because …`.
const LONGEST: usize = 650;

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in &tree.files {
        // This very file has to name what it looks for.
        if file.path.starts_with("xtask/src/tidy/") {
            continue;
        }
        left_over(file, &mut complaints);
        if file.path.ends_with(".rs") {
            long(file, &mut complaints);
            silent(file, &mut complaints);
            pure(file, &mut complaints);
        }
    }
    complaints
}

/// What somebody meant to come back to, and paths of the machine on which it was written.
fn left_over(file: &File, complaints: &mut Vec<String>) {
    let words: &[&str] = match file.path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("rs") => {
            &["TODO", "FIXME", "XXX", "todo!(", "unimplemented!(", "dbg!(", "#[allow(", "#![allow("]
        }
        Some("md" | "toml" | "yaml" | "yml" | "css" | "html") | None => &["TODO", "FIXME", "XXX"],
        // Data may say anything.
        _ => return,
    };
    for (i, line) in file.text.lines().enumerate() {
        for word in words {
            if line.contains(word) {
                complaints.push(format!("{}:{}: `{word}` is left over", file.path, i + 1));
            }
        }
        for path in ["/work/", "/root/."] {
            // A path in prose or code that is one machine's, not a part of another path (`docs/work/`).
            let alone =
                |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || ".-_{}>$".contains(c));
            if line.match_indices(path).any(|(at, _)| alone(at)) && !file.test {
                complaints.push(format!("{}:{}: `{path}` is a path of one machine", file.path, i + 1));
            }
        }
    }
}

fn long(file: &File, complaints: &mut Vec<String>) {
    let lines = file.code().last().map_or(0, |(number, _)| number);
    if lines > LONGEST && !file.test && !file.text.contains("// tidy: long, because ") {
        complaints.push(format!(
            "{}: {lines} lines; split it, or say why it is long: `// tidy: long, because …`",
            file.path
        ));
    }
}

/// A library prints nothing: the program that embeds it owns the terminal.
fn silent(file: &File, complaints: &mut Vec<String>) {
    if !file.path.starts_with("code-") || !file.path.contains("/src/") || file.test {
        return;
    }
    for (number, line) in file.code() {
        for word in ["println!(", "eprintln!(", "print!(", "eprint!("] {
            // `println!` holds `print`, and is told once.
            if line.trim_start().starts_with(word) || line.contains(&format!(" {word}")) {
                complaints.push(format!("{}:{number}: a library prints nothing (`{word}`)", file.path));
            }
        }
    }
}

/// The scheduler never waits, reads no clock and spawns nothing.
fn pure(file: &File, complaints: &mut Vec<String>) {
    if !file.path.ends_with("engine/scheduler.rs") {
        return;
    }
    for (number, line) in file.code() {
        for word in
            ["tokio", "async ", ".await", "::now(", ".now(", "spawn", "std::thread", "std::fs", "std::net"]
        {
            if line.contains(word) {
                complaints.push(format!("{}:{number}: the scheduler is pure (`{word}`)", file.path));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_one(path: &str, text: &str, expect: &str) {
        let complaints = check(&Tree::of(&[(path, text)]));
        match expect {
            "" => assert!(complaints.is_empty(), "{complaints:?}"),
            _ => assert!(complaints.iter().any(|c| c.contains(expect)), "{complaints:?}"),
        }
    }

    #[test]
    fn what_is_left_over_is_found() {
        check_one("code-core/src/a.rs", "// TODO: later\n", "a.rs:1: `TODO` is left over");
        check_one("README.md", "put it in /work/main\n", "is a path of one machine");
        check_one("README.md", "docs/work/main, https://x/work/a\n", "");
        check_one("code-core/src/a.rs", "#[expect(unused, reason = \"…\")]\n", "");
    }

    #[test]
    fn a_library_prints_nothing_but_in_its_tests() {
        check_one("code-core/src/a.rs", "fn f() {\n    println!(\"x\");\n}\n", "a.rs:2: a library prints");
        check_one("examples/deploy/a.rs", "    println!(\"x\");\n", "");
        check_one("code-core/src/a.rs", "/// println!(\"x\")\n", "");
        check_one("code-core/src/a.rs", "#[cfg(test)]\nmod tests {\n    println!(\"x\");\n}\n", "");
    }

    #[test]
    fn a_long_file_says_why() {
        let long = "let a = 1;\n".repeat(LONGEST + 1);
        check_one("code-core/src/a.rs", &long, "651 lines");
        check_one("code-core/src/a.rs", &format!("// tidy: long, because it is a list\n{long}"), "");
        check_one("code-core/src/tests.rs", &long, "");
    }

    #[test]
    fn the_scheduler_reads_no_clock() {
        check_one(
            "code-core/src/engine/scheduler.rs",
            "let now = Timestamp::now();\n",
            "the scheduler is pure",
        );
    }
}
