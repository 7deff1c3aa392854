//! Reads `code.toml`: found by walking up, strict, with the place of each mistake.

use std::ops::Range;
use std::path::{Path, PathBuf};

use code_core::id::check_name;
use code_core::{Error, ErrorKind, Result};
use toml::de::DeTable;

use super::lines::Lines;
use super::{MAX_SETTINGS_BYTES, SETTINGS_FILE, Settings, requires};

impl Settings {
    /// The settings file of the project that `dir` lies in: in `dir` or the nearest directory above it.
    pub fn find(dir: &Path) -> Option<PathBuf> {
        dir.ancestors().map(|dir| dir.join(SETTINGS_FILE)).find(|path| path.is_file())
    }

    /// Reads a settings file.
    ///
    /// # Errors
    /// `settings::unreadable`, `settings::too-large`, `settings::syntax`, `settings::requires`,
    /// `settings::unknown-key`, `settings::value`, `id::name`.
    pub fn read(path: &Path) -> Result<Settings> {
        let shown = path.display().to_string();
        let unreadable = |error: std::io::Error| {
            Error::new(ErrorKind::Invalid, "settings::unreadable", format!("read the settings {shown}"))
                .help("make it a file that you can read, or remove it")
                .because(error)
        };
        let size = std::fs::metadata(path).map_err(unreadable)?.len();
        if size > MAX_SETTINGS_BYTES as u64 {
            return Err(too_large(&shown, size));
        }
        Settings::parse(&shown, &std::fs::read(path).map_err(unreadable)?)
    }

    /// Reads settings from the bytes of a file that is called `path` in origins and errors.
    ///
    /// # Errors
    /// `settings::too-large`, `settings::syntax`, `settings::requires`, `settings::unknown-key`,
    /// `settings::value`, `id::name`.
    pub fn parse(path: &str, bytes: &[u8]) -> Result<Settings> {
        if bytes.len() > MAX_SETTINGS_BYTES {
            return Err(too_large(path, bytes.len() as u64));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            Error::new(ErrorKind::Invalid, "settings::syntax", format!("read {path}: it is not UTF-8 text"))
                .help("save it as UTF-8 text, or remove it")
                .because(error)
        })?;
        let table = DeTable::parse(text).map_err(|error| mistake(path, text, &error))?;
        requires::check(path, text, table.get_ref())?;
        let lines = Lines::of(path, text, table.get_ref());
        let settings: Settings = toml::from_str(text).map_err(|error| mistake(path, text, &error))?;
        let settings = Settings { lines, ..settings };
        settings.check()?;
        Ok(settings)
    }

    /// What types cannot say: names, ranges, and settings that say two things.
    fn check(&self) -> Result<()> {
        let name = |what: &str, name: &str, pointer: String| {
            check_name(what, name).map_err(|error| error.with("at", self.origin(&pointer).to_string()))
        };
        if let Some(application) = &self.application {
            name("an application", application, "/application".into())?;
        }
        if self.keep.runs == 0 {
            let at = self.origin("/keep/runs").to_string();
            return Err(Error::new(ErrorKind::Invalid, "settings::value", "keep the logs of no run")
                .help("write `runs = 1` or more: the log of a failed step says why it failed")
                .with("at", at));
        }
        for component in self.components.keys() {
            name("a component", component, format!("/components/{}", super::escape(component)))?;
        }
        for (environment, settings) in &self.environments {
            let at = format!("/environments/{}", super::escape(environment));
            name("an environment", environment, at.clone())?;
            for component in settings.components.keys() {
                name("a component", component, format!("{at}/components/{}", super::escape(component)))?;
            }
            let bad = |key: &str, message: &str, help: &str| {
                let at = self.origin(&format!("{at}/{key}"));
                Err(Error::new(ErrorKind::Invalid, "settings::value", message)
                    .help(help)
                    .with("at", at.to_string()))
            };
            if settings.approvals.is_some_and(|n| n > 1) {
                return bad(
                    "approvals",
                    "ask for more than one approval: this build checks one",
                    "write `approvals = 1`: one other person approves each plan",
                );
            }
            if let (Some(protected), Some(approvals)) = (settings.protected, settings.approvals)
                && protected != (approvals > 0)
            {
                return bad(
                    "approvals",
                    &format!("follow both `protected = {protected}` and `approvals = {approvals}`"),
                    "leave one of them out: a protected environment is one that needs an approval",
                );
            }
            if settings.budget.as_ref().is_some_and(|b| !(b.monthly.is_finite() && b.monthly >= 0.0)) {
                return bad("budget", "use the monthly budget", "write an amount of 0 or more");
            }
        }
        Ok(())
    }
}

fn too_large(path: &str, bytes: u64) -> Error {
    Error::new(ErrorKind::Invalid, "settings::too-large", format!("read {path}: it has {bytes} bytes"))
        .help(format!("keep settings under {MAX_SETTINGS_BYTES} bytes; data belongs in files of its own"))
}

/// What the TOML reader found, with its place.
fn mistake(path: &str, text: &str, error: &toml::de::Error) -> Error {
    let span = error.span().unwrap_or(0..0);
    let (line, column, excerpt) = excerpt(text, span);
    let place = format!("{path}:{line}:{column}");
    let message = plain(error.message().lines().next().unwrap_or("it is no TOML"), 300);
    let error = match unknown_field(&message) {
        Some((key, known)) => Error::new(
            ErrorKind::Invalid,
            "settings::unknown-key",
            format!("use `{key}` at {place}: no setting is called so"),
        )
        .help(nearest(&key, &known).map_or_else(
            || format!("the settings here are {}", known.join(", ")),
            |near| format!("did you mean `{near}`?"),
        )),
        None if message.starts_with("invalid type")
            || message.starts_with("invalid value")
            || message.starts_with("invalid length")
            || message.starts_with("unknown variant")
            || message.starts_with("missing field") =>
        {
            let near = unknown_variant(&message);
            Error::new(ErrorKind::Invalid, "settings::value", format!("use the value at {place}: {message}"))
                .help(near.unwrap_or_else(|| "see docs/settings.md for what each setting takes".into()))
        }
        None => Error::new(ErrorKind::Invalid, "settings::syntax", format!("read {place}: {message}"))
            .help("write it as TOML, for example `platform = \"local\"` under `[environments.staging]`"),
    };
    error.with("at", place).with("excerpt", excerpt)
}

/// The line and column (from 1, in characters) of a range of bytes, and its line with carets below it.
pub(crate) fn excerpt(text: &str, span: Range<usize>) -> (usize, usize, String) {
    let mut at = span.start.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let start = text[..at].rfind('\n').map_or(0, |i| i + 1);
    let line_text = text[start..].lines().next().unwrap_or("");
    let line = text[..start].matches('\n').count() + 1;
    let column = text[start..at].chars().count() + 1;
    // A long line is shown around the place, not whole, and only with characters that can be shown.
    let skip = column.saturating_sub(60);
    let from = line_text.char_indices().nth(skip).map_or(line_text.len(), |(i, _)| i);
    let shown = plain(&line_text[from..], 100);
    let end = span.end.clamp(at, start + line_text.len().max(at - start));
    let width = text.get(at..end).map_or(1, |word| word.chars().count()).clamp(1, 40);
    let gutter = line.to_string();
    let pad = " ".repeat(gutter.len());
    let carets = format!("{}{}", " ".repeat(column - 1 - skip), "^".repeat(width));
    (line, column, format!("{gutter} | {shown}\n{pad} | {carets}"))
}

/// The beginning of a text of others, without what moves the cursor or reorders what is shown.
pub(crate) fn plain(text: &str, longest: usize) -> String {
    let unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars()
        .take(longest)
        .map(|c| {
            if c == '\t' {
                ' '
            } else if unseen(c) {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// The field and the known ones in serde's sentence on an unknown field.
fn unknown_field(message: &str) -> Option<(String, Vec<String>)> {
    let rest = message.split_once("unknown field ")?.1;
    let mut words = quoted(rest);
    (!words.is_empty()).then(|| (words.remove(0), words))
}

/// Help for serde's sentence on an unknown word of an enumeration.
fn unknown_variant(message: &str) -> Option<String> {
    let rest = message.split_once("unknown variant ")?.1;
    let mut words = quoted(rest);
    let said = (!words.is_empty()).then(|| words.remove(0))?;
    Some(match nearest(&said, &words) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("use one of {}", words.join(", ")),
    })
}

fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The known word that is most like `word`, where one is like it at all: a letter or two apart, or with the
/// same beginning.
pub(crate) fn nearest<S: AsRef<str>>(word: &str, known: &[S]) -> Option<String> {
    // Distances take time that grows with both lengths, and a hostile word may be long.
    let word: String = word.chars().take(64).collect();
    let apart = |k: &str| strsim::damerau_levenshtein(&word, k);
    known
        .iter()
        .map(AsRef::as_ref)
        .filter(|k| k.len() <= 128)
        .map(|k| (strsim::jaro_winkler(&word, k), k))
        .filter(|(score, k)| *score >= 0.85 || apart(k) <= (word.len().min(k.len()) / 3).min(2))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k.to_owned())
}
