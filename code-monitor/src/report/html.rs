//! HTML whose markup is ours and whose text is anybody's.
//!
//! A template is `&'static str`, so it can only come from this crate's source; a value can come from
//! anywhere, and is escaped on its way in. There is no third way to write, so no text of a journal, however
//! hostile, becomes markup.

use std::fmt::{self, Display, Write as _};

/// A piece of HTML.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Adds a template, with each `{}` in it replaced by the next value, escaped.
    pub(super) fn put(&mut self, template: &'static str, values: &[&dyn Display]) {
        let mut values = values.iter();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{}") {
            self.0.push_str(before);
            if let Some(value) = values.next() {
                // Writing into a string does not fail.
                let _ = write!(Escape(&mut self.0), "{value}");
            }
            rest = after;
        }
        self.0.push_str(rest);
        debug_assert!(values.next().is_none(), "more values than places in {template:?}");
    }

    /// Adds a template without values.
    pub(super) fn raw(&mut self, template: &'static str) {
        self.0.push_str(template);
    }

    /// The whole text.
    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// Escapes what is written through it: the five characters of HTML, and characters that would change what is
/// seen without being seen.
struct Escape<'a>(&'a mut String);

impl fmt::Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(c),
                // Marks that reorder text (Unicode Bidirectional Algorithm, UAX #9) and ones without a width.
                '\u{200b}'..='\u{200f}'
                | '\u{061c}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}'
                | '\u{feff}' => write!(self.0, "[U+{:04X}]", c as u32)?,
                _ if c.is_control() => write!(self.0, "[U+{:04X}]", c as u32)?,
                _ => self.0.push(c),
            }
        }
        Ok(())
    }
}

/// The text, cut with `…` where it has more than `most` characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// A duration as a person reads it: `340 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min`.
pub(super) fn duration(ms: i64) -> String {
    let seconds = ms / 1000;
    match ms {
        ..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{:.1} s", ms as f64 / 1000.0),
        60_000..3_600_000 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_never_markup() {
        let mut html = Html::default();
        html.put("<b title=\"{}\">{}</b>", &[&"\"><script>", &"'&\u{202e}\u{1b}[31m{}"]);
        assert_eq!(
            html.into_string(),
            "<b title=\"&quot;&gt;&lt;script&gt;\">&#39;&amp;[U+202E][U+001B][31m{}</b>"
        );
    }

    #[test]
    fn durations() {
        for (ms, expect) in [
            (0, "0 ms"),
            (340, "340 ms"),
            (4_210, "4.2 s"),
            (200_000, "3 min 20 s"),
            (7_500_000, "2 h 5 min"),
        ] {
            assert_eq!(duration(ms), expect);
        }
    }

    #[test]
    fn cutting_keeps_whole_characters() {
        assert_eq!(cut("déjà vu", 4), "déj…");
        assert_eq!(cut("déjà", 4), "déjà");
    }
}
