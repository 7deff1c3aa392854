//! Every error says what to do: where it is made, `.help(…)` follows, or its page says why there is no hint.
//!
//! ```text
//! Error::new(kind, "room::what", …).with(…).help(…)          here
//! let error = Error::new(…);  …  error.help(…)               later, by its name
//! fn unsupported(…) -> Error { Error::new(…) }               at each call: unsupported(…).help(…)
//! ```
//!
//! A page without a hint has a line that begins with `No hint:` and says why.

use super::{File, Tree};

/// What a page says where nobody can do anything.
const NONE: &str = "\nNo hint: ";

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in tree.ending(".rs") {
        let ours = file.path.starts_with("code-") || file.path.starts_with("examples/");
        if !ours || file.test {
            continue;
        }
        for bare in bare(file) {
            let codes = super::errors::codes_in(&bare.says);
            let told = |code: &String| {
                let page = tree.get(&super::errors::path(code));
                page.is_some_and(|page| page.text.contains(NONE))
            };
            if codes.is_empty() || !codes.iter().all(told) {
                let what = codes.into_iter().next().unwrap_or_else(|| "an error".to_owned());
                complaints.push(format!(
                    "{}:{}: `{what}` has no hint: add `.help(…)`, or say why not in its page: `No hint: …`",
                    file.path, bare.line
                ));
            }
        }
    }
    complaints
}

/// A place that makes an error and gives no hint.
#[derive(Debug)]
struct Bare {
    line: usize,
    /// The arguments, as they stand there.
    says: String,
}

fn bare(file: &File) -> Vec<Bare> {
    let end = file.text.find("#[cfg(test)]\nmod tests {").unwrap_or(file.text.len());
    let text = &file.text[..end];
    let code = blank(text);
    let mut found = Vec::new();
    // Names that hand an error on without a hint are held to the same at each of their calls.
    let mut makers = vec!["Error::new".to_owned()];
    let mut next = 0;
    while let Some(maker) = makers.get(next).cloned() {
        next += 1;
        for at in calls(&code, &maker) {
            let (inside, after) = arguments(&code, at + maker.len());
            if chain(&code[after..]).contains(&"help") || helped_later(&code, at, after) {
                continue;
            }
            match handed_on(&code, at, after) {
                Some(name) if !makers.contains(&name) => makers.push(name),
                Some(_) => {}
                None => {
                    let line = code[..at].matches('\n').count() + 1;
                    found.push(Bare { line, says: text[inside..after].to_owned() });
                }
            }
        }
    }
    found.sort_by_key(|bare| bare.line);
    found
}

/// Where a function of this name is called, in code without texts.
fn calls(code: &str, name: &str) -> Vec<usize> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let whole = |at: &usize| {
        let before = &code[..*at];
        !before.ends_with(word) && !before.ends_with("fn ") && code[at + name.len()..].starts_with('(')
    };
    code.match_indices(name).map(|(at, _)| at).filter(whole).collect()
}

/// From behind the opening parenthesis at `open` to behind the closing one.
fn arguments(code: &str, open: usize) -> (usize, usize) {
    let mut depth = 0;
    for (i, c) in code[open..].char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (open + 1, open + i + 1);
        }
    }
    (open, code.len())
}

/// The methods that are called on it in turn: `with`, `help`.
fn chain(mut code: &str) -> Vec<&str> {
    let mut names = Vec::new();
    while let Some(rest) = code.trim_start().strip_prefix('.') {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if !rest[end..].starts_with('(') {
            break;
        }
        names.push(&rest[..end]);
        let (_, after) = arguments(rest, end);
        code = &rest[after..];
    }
    names
}

/// The function or statement around a place: from `fn` or `let` before it to the end of the function.
fn helped_later(code: &str, at: usize, after: usize) -> bool {
    let statement = code[..at].rfind([';', '{', '}']).map_or(0, |end| end + 1);
    let head = code[statement..at].trim();
    let Some(binding) = head.strip_prefix("let ") else { return false };
    let name = binding.trim_start_matches("mut ").split([' ', ':']).next().unwrap_or_default();
    let rest = &code[after..];
    let rest = &rest[..rest.find("\n}").unwrap_or(rest.len())];
    calls_method(rest, name, "help")
}

fn calls_method(code: &str, name: &str, method: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let rest = &code[at + name.len()..];
        !code[..at].ends_with(word) && chain(rest).contains(&method)
    })
}

/// The name under which an error without a hint is handed on: of the function whose last words it is, or of the
/// closure that is nothing else.
fn handed_on(code: &str, at: usize, after: usize) -> Option<String> {
    let statement = code[..at].rfind([';', '{', '}']).map_or(0, |end| end + 1);
    let head = code[statement..at].trim();
    if let Some((binding, _)) = head.strip_prefix("let ").and_then(|binding| binding.split_once(" = |")) {
        return Some(binding.trim().to_owned());
    }
    let rest = &code[after..];
    let chained = chain_end(rest);
    if !head.is_empty() || !rest[chained..].trim_start().starts_with('}') {
        return None;
    }
    let function = code[..at].rfind("fn ")?;
    let signature = &code[function + 3..at];
    // The closing brace is the function's own, and what it gives is an error.
    let own = rest[chained..].trim_start_matches(' ').starts_with("\n}");
    let gives = signature.split_once("-> Error {").is_some();
    let name = signature.split(['(', '<']).next()?;
    (own && gives).then(|| name.trim().to_owned())
}

/// How far the methods go that are called on it.
fn chain_end(code: &str) -> usize {
    let mut at = 0;
    while let Some(rest) = code[at..].trim_start().strip_prefix('.') {
        let begin = code.len() - rest.len();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if !rest[end..].starts_with('(') {
            break;
        }
        at = begin + arguments(rest, end).1;
    }
    at
}

/// The same text with every comment, string and character replaced by blanks, so that what is left is code.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut i = 0;
    let clear = |code: &mut Vec<u8>, from: usize, to: usize| {
        for byte in &mut code[from..to.min(bytes.len())] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    };
    while i < bytes.len() {
        let rest = &text.as_bytes()[i..];
        let end = if rest.starts_with(b"//") {
            i + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())
        } else if rest[0] == b'r' && raw(rest).is_some() && !word_before(bytes, i) {
            let hashes = raw(rest).unwrap_or(0);
            let close = format!("\"{}", "#".repeat(hashes));
            let inside = i + hashes + 2;
            find(bytes, inside, close.as_bytes()).map_or(bytes.len(), |at| at + close.len())
        } else if rest[0] == b'"' {
            let mut end = i + 1;
            while end < bytes.len() && bytes[end] != b'"' {
                end += if bytes[end] == b'\\' { 2 } else { 1 };
            }
            end + 1
        } else if let Some(length) = character(rest) {
            i + length
        } else {
            i += 1;
            continue;
        };
        clear(&mut code, i, end);
        i = end;
    }
    // Only whole characters were replaced, each byte by a blank.
    String::from_utf8_lossy(&code).into_owned()
}

fn word_before(bytes: &[u8], i: usize) -> bool {
    i > 0 && (bytes[i - 1].is_ascii_alphanumeric() || bytes[i - 1] == b'_')
}

/// How many hashes a raw string begins with, where it is one.
fn raw(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|b| **b == b'#').count();
    (rest.get(1 + hashes) == Some(&b'"')).then_some(hashes)
}

/// How many bytes a character takes, `'` included; a lifetime is none.
fn character(rest: &[u8]) -> Option<usize> {
    if rest[0] != b'\'' {
        return None;
    }
    match rest.get(1)? {
        b'\\' => rest.iter().skip(3).position(|b| *b == b'\'').map(|at| at + 4),
        _ => {
            let text = std::str::from_utf8(&rest[1..rest.len().min(6)]);
            let text =
                text.or_else(|error| std::str::from_utf8(&rest[1..=error.valid_up_to().max(1)])).ok()?;
            let length = text.chars().next()?.len_utf8();
            (rest.get(1 + length) == Some(&b'\'')).then_some(length + 2)
        }
    }
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    bytes.get(from..)?.windows(what.len()).position(|part| part == what).map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "code-core/src/a.rs";

    fn check_one(source: &str, expect: &[&str]) {
        let page = "# id::silent\n\nx\n\n## Why\n\nx\n\n## What to do\n\nNo hint: nobody can do anything.\n";
        let tree = Tree::of(&[(PATH, source), ("docs/errors/id/silent.md", page)]);
        let found: Vec<String> = check(&tree)
            .into_iter()
            .map(|complaint| complaint.split(" has no hint").next().unwrap_or_default().to_owned())
            .collect();
        let expect: Vec<String> = expect.iter().map(|what| format!("{PATH}:{what}")).collect();
        assert_eq!(found, expect, "{source}");
    }

    #[test]
    fn a_hint_follows_where_an_error_is_made() {
        check_one("Err(Error::new(k, \"a::b\", m).with(\"x\", y()).help(\"do\"))", &[]);
        check_one(
            "Err(Error::new(k, \"a::b\", format!(\"(\"))\n    // why\n    .because(e)\n    .help(\"do\"))",
            &[],
        );
        check_one("\nErr(Error::new(k, \"a::b\", m).because(e))", &["2: `a::b`"]);
        check_one("Err(Error::new(k, \"id::silent\", m))", &[]);
        check_one("// Error::new(k, \"a::b\", m)\nlet text = \"Error::new(\";", &[]);
    }

    #[test]
    fn a_hint_may_come_later_by_the_name() {
        check_one(
            "fn f() {\n    let error = Error::new(k, \"a::b\", m);\n    error.with(\"x\", y).help(\"do\")\n}\n",
            &[],
        );
        check_one(
            "fn f() {\n    let mut e = Error::new(k, \"a::b\", m);\n    e = e.with(\"x\", y);\n    e\n}\n",
            &["2: `a::b`"],
        );
        check_one(
            "fn f() {\n    let error = Error::new(k, \"a::b\", m);\n    error\n}\nfn g() {\n    error.help(\"do\")\n}\n",
            &["2: `a::b`"],
        );
    }

    #[test]
    fn what_hands_an_error_on_is_held_to_it_at_each_call() {
        let maker = "fn bad(m: &str) -> Error {\n    Error::new(k, \"a::b\", m)\n}\n";
        check_one(&format!("{maker}fn f() {{\n    Err(bad(\"x\").help(\"do\"))\n}}\n"), &[]);
        check_one(&format!("{maker}fn f() {{\n    Err(bad(\"x\"))\n}}\n"), &["5: `an error`"]);
        let closure = "let bad = |code, m| Error::new(k, code, m);\n";
        check_one(&format!("{closure}return Err(bad(\"a::c\", m).help(\"do\"));"), &[]);
        check_one(&format!("{closure}return Err(bad(\"a::c\", m));"), &["2: `a::c`"]);
    }

    #[test]
    fn texts_and_characters_are_no_code() {
        let text = "a(\"b(\\\")\", 'c', '\\'', '(', 'é', &'a str, r#\"d(\"\"#) // e(";
        let code = blank(text);
        assert_eq!(code.len(), text.len());
        assert_eq!(code.replace(' ', ""), "a(,,,,,&'astr,)");
    }
}
