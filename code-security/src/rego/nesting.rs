//! Finds text that is nested deeper than a policy needs.
//!
//! The engine's parser tries each opening bracket in several ways, so that its time doubles with each level:
//! 22 levels take ten seconds, 40 take for ever. Policies may come with a repository that somebody else
//! wrote, so they are looked through before they are parsed.

/// How deep brackets may be nested, and how many signs may stand before a number. Policies nest five or six.
const DEEPEST: usize = 12;

/// The first line, counted from 1, that goes deeper than [`DEEPEST`].
pub(super) fn too_deep(text: &str) -> Option<usize> {
    let mut chars = text.chars().peekable();
    let (mut line, mut open, mut signs) = (1, 0_usize, 0);
    while let Some(c) = chars.next() {
        match c {
            '\n' => line += 1,
            '#' => while chars.next_if(|c| *c != '\n').is_some() {},
            '"' | '`' => line += skip_string(&mut chars, c),
            '[' | '{' | '(' => open += 1,
            ']' | '}' | ')' => open = open.saturating_sub(1),
            _ => {}
        }
        signs = match c {
            '-' => signs + 1,
            c if c.is_whitespace() => signs,
            _ => 0,
        };
        if open > DEEPEST || signs > DEEPEST {
            return Some(line);
        }
    }
    None
}

/// Goes to the end of a string, and says how many lines that was.
fn skip_string(chars: &mut impl Iterator<Item = char>, quote: char) -> usize {
    let mut lines = 0;
    while let Some(c) = chars.next() {
        match c {
            '\n' => lines += 1,
            '\\' if quote == '"' => drop(chars.next()),
            c if c == quote => break,
            _ => {}
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_of_text() {
        let check = |text: &str, expect: Option<usize>| assert_eq!(too_deep(text), expect, "{text}");
        check("", None);
        check(&"[".repeat(12), None);
        check(&"[".repeat(13), Some(1));
        check(
            &format!("a\n# {}\n`{}\n`\n\"\\\"{}\"\n", "[".repeat(99), "[".repeat(99), "[".repeat(99)),
            None,
        );
        check(&format!("`\n`\n\"x\"\n{}", "{[(".repeat(5)), Some(4));
        check(&"[]".repeat(99), None);
        check(&"]".repeat(99), None);
        check(&"- ".repeat(13), Some(1));
        check(&"-\n1".repeat(99), None);
        check("\"", None);
        check("\"\\", None);
        // A comment's quote opens no text.
        check(&format!("# it's \"so\n{}", "[".repeat(13)), Some(2));
    }
}
