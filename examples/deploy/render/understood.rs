//! What was understood, with the words that said so, and notes on the rest.

use std::collections::BTreeMap;

use code_core::diagnostic::{Level, Note};
use code_core::expr::plain;
use code_core::parser::Parsed;
use code_core::request::Span;
use serde_json::Value;
use unicode_width::UnicodeWidthChar;

use crate::style::{Style, Tone, cell, paragraph, printable, table};

/// The request with carets under the words that said something, what each of them said, and the notes.
pub fn understood(style: &Style, request: &str, parser: &str, parsed: &Parsed) -> String {
    let mut text =
        style.paint(Tone::Strong, "Understood") + &style.paint(Tone::Dim, format!(" (by {parser})"));
    text.push('\n');
    let spans: Vec<Span> = parsed.evidence.values().flatten().copied().collect();
    text.push_str(&carets(style, request, &spans));
    text.push_str(&table(style, 2, &rows(request, parsed)));
    for note in &parsed.notes {
        text.push_str(&self::note(style, request, note));
    }
    text
}

/// A note: its level, its code, its sentence, the words it is about, and the choices.
pub fn note(style: &Style, request: &str, note: &Note) -> String {
    let (word, tone) = match note.level {
        Level::Advice => ("advice", Tone::Dim),
        Level::Warning => ("warning", Tone::Warn),
        Level::Question => ("question", Tone::Bad),
    };
    let mut text = paragraph(style, 0, tone, &format!("{word}[{}]: {}", note.code, note.message));
    if let Some(span) = note.span {
        text.push_str(&carets(style, request, &[span]));
    }
    if let Some(question) = &note.question {
        text.push_str(&paragraph(style, 2, Tone::Strong, question));
    }
    if !note.choices.is_empty() {
        text.push_str(&paragraph(style, 2, Tone::Plain, &format!("choices: {}", note.choices.join(", "))));
    }
    text
}

/// The lines of the text that hold one of the spans, broken to the width, with carets below the words.
pub fn carets(style: &Style, text: &str, spans: &[Span]) -> String {
    let mut page = String::new();
    for (line, marks) in lines(style.width.saturating_sub(2), text, spans) {
        if marks.trim().is_empty() && !spans.is_empty() && text.len() > 400 {
            continue;
        }
        page.push_str(&format!("  {}\n", line.trim_end()));
        if !marks.trim().is_empty() {
            page.push_str(&format!("  {}\n", style.paint(Tone::Good, marks.trim_end())));
        }
    }
    page
}

/// The text in lines of at most `width` columns, each with the marks that stand below it.
fn lines(width: usize, text: &str, spans: &[Span]) -> Vec<(String, String)> {
    let width = width.max(16);
    let mut all = Vec::new();
    let (mut line, mut marks, mut at) = (String::new(), String::new(), 0);
    for (start, word) in words(text) {
        let needs: usize = word.chars().map(|c| c.width().unwrap_or(1).max(1)).sum();
        if at + needs > width && at > 0 {
            all.push((std::mem::take(&mut line), std::mem::take(&mut marks)));
            at = 0;
        }
        for (offset, c) in word.char_indices() {
            if (c == ' ' && at == 0) || matches!(c, '\n' | '\r') {
                continue;
            }
            let shown = printable(c.encode_utf8(&mut [0; 4])).replace('\t', " ");
            let columns: usize = shown.chars().map(|c| c.width().unwrap_or(0)).sum();
            if at + columns > width {
                all.push((std::mem::take(&mut line), std::mem::take(&mut marks)));
                at = 0;
            }
            let here = start + offset;
            let marked = spans.iter().any(|span| (span.start..span.end).contains(&here));
            line.push_str(&shown);
            marks.push_str(&if marked { "^" } else { " " }.repeat(columns));
            at += columns;
        }
        if word.contains('\n') {
            all.push((std::mem::take(&mut line), std::mem::take(&mut marks)));
            at = 0;
        }
    }
    all.push((line, marks));
    all.retain(|(line, _)| !line.trim().is_empty());
    all
}

/// The words of a text with their offsets, each with the white space that follows it.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split_inclusive(char::is_whitespace).map(move |word| {
        let start = at;
        at += word.len();
        (start, word)
    })
}

/// One row for each field that was said: where, what, and by which words.
fn rows(request: &str, parsed: &Parsed) -> Vec<Vec<crate::style::Cell>> {
    let value = serde_json::to_value(&parsed.intents).unwrap_or_default();
    let mut rows = Vec::new();
    let several = parsed.intents.len() > 1;
    for (at, spans) in ordered(&parsed.evidence) {
        let Some(said) = value.pointer(at) else { continue };
        let words: Vec<String> = spans.iter().map(|span| format!("\"{}\"", span.of(request))).collect();
        rows.push(vec![
            cell(Tone::Strong, place(at, &value, several)),
            cell(Tone::Plain, short(said)),
            cell(Tone::Dim, words.join(" ")),
        ]);
    }
    rows
}

/// The evidence in the order of the request's intents: each intent's action first, its components last.
fn ordered(evidence: &BTreeMap<String, Vec<Span>>) -> Vec<(&str, &[Span])> {
    let mut all: Vec<_> = evidence.iter().map(|(at, spans)| (at.as_str(), spans.as_slice())).collect();
    let rank = |at: &str| {
        let parts: Vec<&str> = at.split('/').skip(1).collect();
        let number = |i: usize| parts.get(i).and_then(|part| part.parse::<usize>().ok()).unwrap_or(0);
        let field = match parts.get(1) {
            Some(&"action") => 0,
            Some(&"components") => 2,
            _ => 1,
        };
        let kind = usize::from(parts.get(3) != Some(&"kind"));
        (number(0), field, number(2), kind)
    };
    all.sort_by_key(|(at, _)| rank(at));
    all
}

/// A pointer as a person reads it: `/0/components/1/engine` is `database engine`.
fn place(at: &str, intents: &Value, several: bool) -> String {
    let parts: Vec<&str> = at.split('/').skip(1).collect();
    let prefix = match parts.first() {
        Some(first) if several => format!("{}. ", first.parse::<usize>().unwrap_or(0) + 1),
        _ => String::new(),
    };
    let rest = match parts.get(1..) {
        Some(["components", index, field @ ..]) => {
            let component = intents.pointer(&format!("/{}/components/{index}", parts[0]));
            let name = component.and_then(|c| c.get("name").or(c.get("kind"))).map(plain);
            let name = name.unwrap_or_else(|| format!("component {index}"));
            // A list is one field, whichever of its words says it.
            let field: Vec<&str> =
                field.iter().copied().filter(|part| part.parse::<usize>().is_err()).collect();
            format!("{name} {}", field.join(" "))
        }
        Some(other) => other.join(" "),
        None => String::new(),
    };
    format!("{prefix}{}", rest.replace('_', " ").trim_end())
}

fn short(value: &Value) -> String {
    match value {
        Value::Array(items) if items.iter().all(|item| !item.is_object()) => {
            items.iter().map(plain).collect::<Vec<_>>().join(", ")
        }
        Value::Object(map) => {
            map.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect::<Vec<_>>().join(", ")
        }
        scalar => plain(scalar),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;
    use crate::style::tests::{NARROW, WIDE, strip};

    #[test]
    fn words_are_underlined() {
        let (request, parsed) = samples::parsed();
        insta::assert_snapshot!(understood(&WIDE, &request, "grammar", &parsed));
    }

    #[test]
    fn words_are_underlined_in_forty_columns() {
        let (request, parsed) = samples::parsed();
        insta::assert_snapshot!(understood(&NARROW, &request, "grammar", &parsed));
        let colored = Style { color: true, ..NARROW };
        assert_eq!(
            strip(&understood(&colored, &request, "grammar", &parsed)),
            understood(&NARROW, &request, "grammar", &parsed)
        );
    }

    #[test]
    fn carets_stand_below_wide_characters_too() {
        let text = "日本 web\x1b[2J";
        let page = carets(&WIDE, text, &[Span::new(7, 10)]);
        assert_eq!(page, "  日本 web\\u{1b}[2J\n       ^^^\n");
    }

    #[test]
    fn an_unclear_word_is_shown_with_its_choices() {
        let note = Note::question("nlp::unclear", "`prd` could be two things", "which environment?")
            .at(Span::new(10, 13))
            .choices(["production", "preview"]);
        insta::assert_snapshot!(super::note(&WIDE, "deploy to prd", &note));
    }
}
