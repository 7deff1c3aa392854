//! What a page of text may use: its width, colour, and characters beyond ASCII.
//!
//! Colour only repeats what a word or a sign says already: without it, nothing is lost.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::cli::ColorMode;

/// What a page of text may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Columns; lines are broken to fit.
    pub width: usize,
    /// Whether to use colour.
    pub color: bool,
    /// Whether to use characters beyond ASCII.
    pub unicode: bool,
    /// Whether to show everything of long lists.
    pub full: bool,
}

/// Text without anything: for sentences inside of other things.
pub const PLAIN: Style = Style { width: 1000, color: false, unicode: false, full: false };

/// What a piece of text is; colour repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As the rest.
    Plain,
    /// A heading, a name.
    Strong,
    /// Beside the point.
    Dim,
    /// It went well; it is made.
    Good,
    /// It needs a look; it is changed.
    Warn,
    /// It went wrong; it is taken away.
    Bad,
}

impl Style {
    /// The text with the colour of its tone.
    pub fn paint<'a>(&self, tone: Tone, text: impl Into<Cow<'a, str>>) -> String {
        let text = text.into();
        let code = match tone {
            Tone::Plain => "",
            Tone::Strong => "1",
            Tone::Dim => "2",
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
        };
        if self.color && !code.is_empty() && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.into_owned()
        }
    }

    /// The first where characters beyond ASCII may be used, else the second.
    pub fn sign(&self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }
}

/// Whether to use colour: the option, then NO_COLOR, then FORCE_COLOR and CLICOLOR_FORCE, then the terminal.
pub fn use_color(mode: ColorMode, env: &dyn Fn(&str) -> Option<String>, terminal: bool) -> bool {
    let set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
    let forced = |name: &str| env(name).is_some_and(|value| !value.is_empty() && value != "0");
    match mode {
        ColorMode::Always => true,
        ColorMode::Never => false,
        ColorMode::Auto if set("NO_COLOR") => false,
        ColorMode::Auto if forced("FORCE_COLOR") || forced("CLICOLOR_FORCE") => true,
        ColorMode::Auto => terminal && env("TERM").is_none_or(|term| term != "dumb"),
    }
}

/// Whether the locale says that only ASCII can be shown; where it says nothing, UTF-8 is taken.
pub fn use_unicode(env: &dyn Fn(&str) -> Option<String>) -> bool {
    let locale =
        ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| env(name).filter(|v| !v.is_empty()));
    match locale {
        Some(locale) => {
            let locale = locale.to_ascii_lowercase();
            !(locale == "c" || locale == "posix") || locale.contains("utf")
        }
        None => true,
    }
}

/// The text with everything that could move the cursor, hide or reorder text made visible: what comes from
/// tools, files and requests cannot forge lines.
pub fn printable(text: &str) -> Cow<'_, str> {
    let hostile = |c: char| {
        (c.is_control() && c != '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(hostile) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars()
            .flat_map(|c| {
                let escaped: Box<dyn Iterator<Item = char>> =
                    if hostile(c) { Box::new(c.escape_default()) } else { Box::new(std::iter::once(c)) };
                escaped
            })
            .collect(),
    )
}

/// How many columns a text takes.
pub fn columns(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The text broken into lines of at most `width` columns, at white space where there is some.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(8);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let gap = usize::from(!line.is_empty());
        if columns(&line) + gap + columns(word) > width && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for c in word.chars() {
            if columns(&line) + c.width().unwrap_or(0) > width {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// The text, shortened in its middle of nothing but its end, to at most `width` columns.
pub fn shorten(style: &Style, text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mark = style.sign("…", "...");
    let mut short = String::new();
    for c in text.chars() {
        if columns(&short) + c.width().unwrap_or(0) + columns(mark) > width {
            break;
        }
        short.push(c);
    }
    short + mark
}

/// One cell of a table.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    tone: Tone,
}

/// A cell of this tone; hostile characters in it are made visible.
pub fn cell(tone: Tone, text: impl AsRef<str>) -> Cell {
    Cell { text: printable(text.as_ref()).into_owned(), tone }
}

/// Rows of cells in aligned columns, the last of them broken to the width. Where the width does not give the
/// last column room, it stands on lines of its own.
pub fn table(style: &Style, indent: usize, rows: &[Vec<Cell>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut widths = vec![0; count];
    for row in rows {
        for (i, cell) in row.iter().enumerate().take(row.len().saturating_sub(1)) {
            widths[i] = widths[i].max(columns(&cell.text));
        }
    }
    let left: usize = indent + widths.iter().take(count.saturating_sub(1)).map(|w| w + 2).sum::<usize>();
    let longest = rows.iter().filter_map(|row| row.last()).map(|cell| columns(&cell.text)).max().unwrap_or(0);
    let room = style.width.saturating_sub(left);
    let stacked = count > 1 && room < longest.min(24);
    let mut text = String::new();
    for row in rows {
        let mut line = " ".repeat(indent);
        let Some((last, first)) = row.split_last() else { continue };
        for (i, cell) in first.iter().enumerate() {
            line.push_str(&style.paint(cell.tone, &*cell.text));
            if !(stacked && i + 1 == first.len()) {
                line.push_str(&" ".repeat(widths[i].saturating_sub(columns(&cell.text)) + 2));
            }
        }
        let (at, width) = if first.is_empty() {
            (indent, style.width.saturating_sub(indent))
        } else if stacked {
            text.push_str(line.trim_end());
            text.push('\n');
            if last.text.is_empty() {
                continue;
            }
            line = " ".repeat(indent + 4);
            (indent + 4, style.width.saturating_sub(indent + 4))
        } else {
            (indent + first.iter().enumerate().map(|(i, _)| widths[i] + 2).sum::<usize>(), room)
        };
        for (i, part) in wrap(&last.text, width).into_iter().enumerate() {
            if i > 0 {
                line = " ".repeat(at);
            }
            line.push_str(&style.paint(last.tone, part));
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

/// A line of text, broken to the width, each further line indented by two more.
pub fn paragraph(style: &Style, indent: usize, tone: Tone, line: &str) -> String {
    let mut text = String::new();
    for (i, part) in wrap(&printable(line), style.width.saturating_sub(indent + 2)).into_iter().enumerate() {
        let indent = if i == 0 { indent } else { indent + 2 };
        text.push_str(&" ".repeat(indent));
        text.push_str(&style.paint(tone, part));
        text.push('\n');
    }
    text
}

/// A line whose beginning has a tone, broken to the width: `Plan 3f2a: 4 to create`.
pub fn heading(style: &Style, tone: Tone, head: &str, rest: &str) -> String {
    let page = paragraph(style, 0, Tone::Plain, &format!("{head}{rest}"));
    match page.strip_prefix(head) {
        Some(rest) => style.paint(tone, head) + rest,
        // The head itself was broken: better plain than wrong.
        None => page,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The styles in which every page is shown in tests: wide, and narrow without Unicode.
    pub(crate) const WIDE: Style = Style { width: 100, color: false, unicode: true, full: false };
    pub(crate) const NARROW: Style = Style { width: 40, color: false, unicode: false, full: false };

    /// Without colour sequences: what is left must say the same.
    pub(crate) fn strip(text: &str) -> String {
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("\x1b[") {
            plain.push_str(before);
            rest = after.split_once('m').map_or("", |(_, rest)| rest);
        }
        plain + rest
    }

    #[test]
    fn the_option_decides_over_the_environment_and_that_over_the_terminal() {
        for (mode, no, force, terminal, expect) in [
            (ColorMode::Auto, "", "", true, true),
            (ColorMode::Auto, "", "", false, false),
            (ColorMode::Auto, "1", "", true, false),
            (ColorMode::Auto, "", "1", false, true),
            (ColorMode::Auto, "1", "1", true, false),
            (ColorMode::Always, "1", "", false, true),
            (ColorMode::Never, "", "1", true, false),
            (ColorMode::Auto, "", "0", false, false),
        ] {
            let env = |name: &str| match name {
                "NO_COLOR" => Some(no.to_owned()),
                "FORCE_COLOR" => Some(force.to_owned()),
                _ => None,
            };
            assert_eq!(use_color(mode, &env, terminal), expect, "{mode:?} {no:?} {force:?} {terminal}");
        }
    }

    #[test]
    fn text_from_elsewhere_cannot_move_the_cursor() {
        assert_eq!(printable("a\x1b[2Jb\n\u{202e}c"), "a\\u{1b}[2Jb\\n\\u{202e}c");
        assert_eq!(printable("plain\ttext é 日本"), "plain\ttext é 日本");
    }

    #[test]
    fn no_line_is_wider_than_the_page() {
        for width in [8, 13, 40] {
            for line in wrap(&"日本語 and averyveryverylongword é".repeat(4), width) {
                assert!(columns(&line) <= width, "{line}");
            }
        }
        let rows = [vec![cell(Tone::Plain, "name"), cell(Tone::Plain, "a value that is long ".repeat(5))]];
        for line in table(&NARROW, 2, &rows).lines() {
            assert!(columns(line) <= 40, "{line}");
        }
    }
}
