//! Makes text of tools harmless to show: no colours and cursor moves, no marks that reorder or hide what
//! stands there, and no more than a person reads.

/// The longest text of a tool that is kept in an answer, in bytes.
const LONGEST: usize = 16 * 1024;

/// The text without control sequences (ECMA-48), with other control characters and the marks that reorder or
/// hide text (Unicode Bidirectional Algorithm, UAX #9) written out, cut to what a person reads. Line breaks
/// and tabs stay.
pub(crate) fn harmless(text: &str) -> String {
    let mut clean = String::new();
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\u{1b}' => skip_sequence(&mut rest),
            '\u{9b}' => skip_until_final(&mut rest),
            '\r' if rest.peek() == Some(&'\n') => {}
            '\n' | '\t' => clean.push(character),
            hidden if is_hidden(hidden) => clean.extend(hidden.escape_unicode()),
            other => clean.push(other),
        }
        if clean.len() > LONGEST {
            break;
        }
    }
    if clean.len() <= LONGEST {
        return clean;
    }
    let kept = cut(&clean, LONGEST);
    format!("{kept}… (cut: {} bytes in all)", text.len())
}

/// The beginning of a text, of at most so many bytes.
pub(crate) fn cut(text: &str, longest: usize) -> &str {
    if text.len() <= longest {
        return text;
    }
    let end = (0..=longest).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

/// Whether a terminal or an editor would do something with it rather than show it.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// After an escape: `[…x` is a control sequence, `]…` a string that ends with BEL or `ESC \`, and anything else
/// is one character.
fn skip_sequence(rest: &mut Rest<'_>) {
    match rest.next() {
        Some('[') => skip_until_final(rest),
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(character) = rest.next() {
                match character {
                    '\u{7}' | '\u{9c}' => return,
                    '\u{1b}' => {
                        rest.next_if_eq(&'\\');
                        return;
                    }
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

/// Parameters and intermediates go by; the first other character ends the sequence.
fn skip_until_final(rest: &mut Rest<'_>) {
    while rest.next_if(|character| matches!(character, '\u{20}'..='\u{3f}')).is_some() {}
    rest.next_if(|character| matches!(character, '\u{40}'..='\u{7e}'));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_tool_writes_moves_no_cursor_and_hides_nothing() {
        let check = |text: &str, expect: &str| assert_eq!(harmless(text), expect, "{text:?}");
        check("plain, ä\tand\nlines", "plain, ä\tand\nlines");
        check("\u{1b}[31;1merror\u{1b}[0m: no\r\n", "error: no\n");
        check("\u{1b}]0;title\u{7}a\u{1b}]8;;http://x\u{1b}\\b\u{1b}(Bc", "abBc");
        check("a\u{9b}2Jb\u{1b}[2Kc\u{1b}", "abc");
        check("user\u{202e}gpj.exe\u{200b}\0\u{8}", "user\\u{202e}gpj.exe\\u{200b}\\u{0}\\u{8}");
        check("10%\r20%", "10%\\u{d}20%");
    }

    #[test]
    fn what_has_no_end_is_cut() {
        let endless = "ä".repeat(50_000_000);
        let cut = harmless(&endless);
        assert!(cut.len() < LONGEST + 100 && cut.ends_with("ä… (cut: 100000000 bytes in all)"));
        assert_eq!(super::cut("aä", 2), "a");
    }
}
