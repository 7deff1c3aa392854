//! What is wrong with a spec file, in words of ours: the place, the line, and what to do.

use code_core::{Error, ErrorKind};
use serde_saphyr::Error as Yaml;

use super::MAX_SPEC_BYTES;
use crate::settings::{excerpt, nearest, plain};

/// What the YAML reader found.
pub(super) fn mistake(path: &str, text: &str, error: &Yaml) -> Error {
    let (place, shown) = match error.location() {
        Some(location) => {
            let (line, column, shown) = excerpt(text, offset(text, location.line(), location.column()));
            (format!("{path}:{line}:{column}"), Some(shown))
        }
        None => (path.to_owned(), None),
    };
    let invalid = |code, message: String| Error::new(ErrorKind::Invalid, code, message);
    let error = match error.without_snippet() {
        Yaml::SerdeUnknownField { field, expected, .. } => {
            let field = short(field);
            invalid("spec::unknown-field", format!("use `{field}` at {place}: a spec has no such field"))
                .help(nearest_of("field", &field, expected))
        }
        Yaml::SerdeUnknownVariant { variant, expected, .. } => {
            let word = short(variant);
            invalid("spec::value", format!("use `{word}` at {place}: there is no such word here"))
                .help(nearest_of("word", &word, expected))
        }
        Yaml::SerdeMissingField { field, .. } => {
            invalid("spec::value", format!("find `{field}` in {path}"))
                .help("see docs/spec.md for what a spec needs")
        }
        Yaml::Budget { .. }
        | Yaml::AliasReplayLimitExceeded { .. }
        | Yaml::AliasExpansionLimitExceeded { .. }
        | Yaml::AliasReplayStackDepthExceeded { .. }
        | Yaml::AliasReplayCounterOverflow { .. } => {
            invalid("spec::too-large", format!("read {place}: there is more in it than a spec can be"))
                .help(format!(
                    "a spec is one document of at most {MAX_SPEC_BYTES} bytes, not deeply nested, with few aliases: split it"
                ))
                .because(error.without_snippet())
        }
        Yaml::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().map(short).unwrap_or_default();
            invalid("spec::syntax", format!("read {place}: `{key}` stands there twice"))
                .help("keep one of the two")
        }
        Yaml::InvalidScalar { ty, .. } => {
            let takes = match *ty {
                "u16" => "a whole number from 0 to 65535",
                "u32" | "u64" => "a whole number, 0 or more",
                "f64" => "a number",
                "bool" => "`true` or `false`",
                other => other,
            };
            invalid("spec::value", format!("use the value at {place}")).help(format!("write {takes}"))
        }
        other => {
            let mut message = other.to_string();
            if let Some(end) = message.find(" at line ") {
                message.truncate(end);
            }
            let message = short(message.lines().next().unwrap_or("it is no YAML"));
            if is_about_a_value(other) {
                invalid("spec::value", format!("use the value at {place}: {message}"))
                    .help("see docs/spec.md for what each field takes")
            } else {
                invalid("spec::syntax", format!("read {place}: {message}"))
                    .help("write the spec as YAML or JSON: see docs/spec.md for an example")
            }
        }
    };
    let error = error.with("at", place);
    match shown {
        Some(shown) => error.with("excerpt", shown),
        None => error,
    }
}

/// Whether the YAML is fine, and a value in it is not what the field takes.
fn is_about_a_value(error: &Yaml) -> bool {
    matches!(
        error,
        Yaml::SerdeInvalidType { .. }
            | Yaml::SerdeInvalidValue { .. }
            | Yaml::SerdeInvalidLength { .. }
            | Yaml::InvalidBooleanStrict { .. }
            | Yaml::NullIntoString { .. }
            | Yaml::NonFiniteFloat { .. }
            | Yaml::TaggedScalarCannotDeserializeIntoString { .. }
            | Yaml::Unexpected { .. }
            | Yaml::Message { .. }
            | Yaml::Eof { .. }
    )
}

fn nearest_of(what: &str, said: &str, known: &[&str]) -> String {
    match nearest(said, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("each {what} here is one of {}", known.join(", ")),
    }
}

/// A word of the file as far as it can be shown.
fn short(text: &str) -> String {
    plain(text, 120)
}

/// The bytes of the word at a line and column (from 1, in characters).
fn offset(text: &str, line: u64, column: u64) -> std::ops::Range<usize> {
    let index = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).saturating_sub(1);
    let start: usize = text.split_inclusive('\n').take(index(line)).map(str::len).sum();
    let rest = text.get(start..).unwrap_or("");
    let within: usize = rest.chars().take_while(|c| *c != '\n').take(index(column)).map(char::len_utf8).sum();
    let word = rest[within..]
        .chars()
        .take_while(|c| !c.is_whitespace() && *c != ':')
        .map(char::len_utf8)
        .sum::<usize>();
    start + within..start + within + word
}
