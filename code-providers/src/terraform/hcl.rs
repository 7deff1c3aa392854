//! As much of HCL as it takes to see what a file says without running any tool. Pure.
//!
//! The words, texts and signs of a file in order, by the
//! [syntax](https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md); what they mean is for whoever asks.

/// How deep texts are looked for in texts; nobody writes more than two.
const DEEPEST: u32 = 20;

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A name, a number, or an operator.
    Word(&'a str),
    /// What stands between two quotes, as it stands there; of a heredoc, nothing.
    Text(&'a str),
    /// A brace, a bracket, a comma or an equals sign.
    Sign(char),
}

/// The parts of a text, without its comments.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = if rest.starts_with('#') || rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if c == '"' {
            let end = 1 + end_of_string(&rest[1..], 0);
            let inner = &rest[1..end];
            found.push(Token::Text(inner.strip_suffix('"').unwrap_or(inner)));
            end
        } else if let Some(end) = heredoc(rest) {
            found.push(Token::Text(""));
            end
        } else if matches!(c, '{' | '}' | '=' | '[' | ']' | '(' | ')' | ',') {
            found.push(Token::Sign(c));
            1
        } else if c.is_whitespace() {
            c.len_utf8()
        } else {
            let end =
                rest.find(|c: char| c.is_whitespace() || "{}=[](),\"#".contains(c)).unwrap_or(rest.len());
            let end = end.max(c.len_utf8());
            found.push(Token::Word(&rest[..end]));
            end
        };
        rest = &rest[skip..];
    }
    found
}

/// Where the text after an opening quote ends, with its closing one; what is in `${…}` may have quotes of its own.
fn end_of_string(text: &str, inside: u32) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_u32);
    while let Some(byte) = bytes.get(at) {
        let opens = || at > 0 && matches!(bytes[at - 1], b'$' | b'%');
        match byte {
            b'\\' if depth == 0 => at += 1,
            b'"' if depth == 0 => return at + 1,
            b'\n' if depth == 0 => return at,
            b'"' if inside < DEEPEST => at += end_of_string(&text[at + 1..], inside + 1),
            b'{' if depth > 0 || opens() => depth += 1,
            b'}' if depth > 0 => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// Where a heredoc that begins here ends.
fn heredoc(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("<<-").or_else(|| text.strip_prefix("<<"))?;
    let mark = rest.lines().next()?.trim();
    if mark.is_empty() || !mark.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let mut at = text.find('\n')? + 1;
    for line in text[at..].split_inclusive('\n') {
        at += line.len();
        if line.trim() == mark {
            return Some(at);
        }
    }
    Some(text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Token::{Sign, Text, Word};
    use super::*;

    #[test]
    fn a_file_is_its_words_texts_and_signs() {
        let check = |text: &str, expect: &[Token<'_>]| assert_eq!(tokens(text), expect, "{text}");
        check("a {b=\"c\"}", &[Word("a"), Sign('{'), Word("b"), Sign('='), Text("c"), Sign('}')]);
        check("# \"a\"\n// b\n/* c */ d", &[Word("d")]);
        check("x = \"${f(\"}\")} \\\" y\"", &[Word("x"), Sign('='), Text("${f(\"}\")} \\\" y")]);
        check("x = <<-EOT\n  a \"\n  EOT\ny", &[Word("x"), Sign('='), Text(""), Word("y")]);
        check("x = \"never ends\ny", &[Word("x"), Sign('='), Text("never ends"), Word("y")]);
    }

    proptest! {
        #[test]
        fn any_text_has_an_end(text in "[ -~\\n\"{}$#/*<äE]{0,60}") {
            tokens(&text);
        }
    }
}
