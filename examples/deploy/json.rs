//! What `--json` writes: one envelope for everything, described in `docs/json.md`.
//!
//! A query writes one line, its answer. Whatever changes or plans something writes one line an event, and the
//! first is `version`. Every line has a `message` that a person can read; `data` depends on `type`. Types and
//! fields are only ever added within one version: a reader skips what it does not know. All of it is described by
//! `docs/schema/json.v1.schema.json`, which every line of every story is held against.

#[cfg(test)]
mod schema;

use code_core::event::{Body, Event};
use code_core::{Error, Result};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::render::history::Names;
use crate::style::Tone;

/// The version of the envelope and of what is in it.
pub const JSON_VERSION: u32 = 1;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// The version of the format: 1.
    pub v: u32,
    /// What the line is: `version`, `understood`, `step_done`, `status`, `error` …
    #[serde(rename = "type")]
    pub kind: String,
    /// When, in RFC 3339.
    pub at: Timestamp,
    /// How much it matters.
    pub level: Level,
    /// The same as a sentence for people. It may change at any time.
    pub message: String,
    /// Whether nothing was changed, because `--dry-run` was given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// The thing itself.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As expected.
    Info,
    /// Worth a look.
    Warn,
    /// It went wrong.
    Error,
}

impl Line {
    /// A line of this type.
    pub fn new(kind: &str, at: Timestamp, message: impl Into<String>, data: Value) -> Line {
        Line {
            v: JSON_VERSION,
            kind: kind.to_owned(),
            at,
            level: Level::Info,
            message: message.into(),
            dry_run: false,
            data,
        }
    }

    /// The first line of a stream.
    pub fn version(at: Timestamp) -> Line {
        let version = env!("CARGO_PKG_VERSION");
        Line::new(
            "version",
            at,
            format!("{} {version}", crate::PROGRAM),
            json!({ "program": crate::PROGRAM, "version": version, "format": JSON_VERSION }),
        )
    }

    /// An event of a run; `names` knows its plan.
    ///
    /// # Errors
    /// `json::write` where the event has no JSON.
    pub fn event(names: &mut Names, event: &Event) -> Result<Line> {
        let (message, tone) = names.tell(&event.body);
        let mut data = to_value(&event.body)?;
        let mut kind = "event".to_owned();
        if let Value::Object(map) = &mut data {
            if let Some(Value::String(tag)) = map.remove("event") {
                kind = tag;
            }
            if let Some(step) = step(&event.body) {
                map.insert("address".to_owned(), names.step(step).into());
            }
        }
        let level = match tone {
            Tone::Warn => Level::Warn,
            Tone::Bad => Level::Error,
            _ => Level::Info,
        };
        Ok(Line { level, ..Line::new(&kind, event.at, message, data) })
    }

    /// An error, with the number that the program ends with.
    pub fn error(at: Timestamp, error: &Error, exit: crate::exit::Exit) -> Line {
        let mut data = serde_json::to_value(error).unwrap_or_default();
        if let Value::Object(map) = &mut data {
            map.insert("exit".to_owned(), exit.code().into());
            map.insert("url".to_owned(), error.url().into());
        }
        let message = format!("failed to {}", error.message());
        Line { level: Level::Error, ..Line::new("error", at, message, data) }
    }

    /// The line as it is written, without its end.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Any noun as JSON.
///
/// # Errors
/// `json::write` where it has none; the nouns all have.
pub fn to_value(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| {
        Error::new(code_core::ErrorKind::Bug, "json::write", "write this as JSON")
            .help("please report it: everything that is shown has JSON")
            .because(error)
    })
}

fn step(body: &Body) -> Option<code_core::StepId> {
    match body {
        Body::StepStarted { step, .. }
        | Body::StepRetries { step, .. }
        | Body::StepDone { step, .. }
        | Body::StepFailed { step, .. }
        | Body::StepSkipped { step, .. }
        | Body::StepProgress { step, .. } => Some(*step),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn the_schema_in_the_documents_is_that_of_the_code() {
        let text = serde_json::to_string_pretty(&schema::schema()).unwrap() + "\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema/json.v1.schema.json");
        if std::fs::read_to_string(path).ok().as_deref() != Some(text.as_str()) {
            std::fs::write(path, text).unwrap();
            panic!("docs/schema/json.v1.schema.json was out of date; it is written anew");
        }
    }

    #[test]
    fn every_event_is_a_line_with_a_sentence() {
        let mut names = Names::default();
        for (_, event) in samples::events().into_iter().chain(samples::failing_events()) {
            let line = Line::event(&mut names, &event).unwrap();
            assert_ne!(line.kind, "event", "{line:?}");
            assert!(!line.message.is_empty());
            let back: Line = serde_json::from_str(&line.text()).unwrap();
            assert_eq!(back, line);
            assert!(!line.text().contains('\n'));
        }
    }

    #[test]
    fn a_step_is_named_by_its_address() {
        let mut names = Names::default();
        let lines: Vec<Line> =
            samples::events().iter().map(|(_, event)| Line::event(&mut names, event).unwrap()).collect();
        let done = lines.iter().find(|line| line.kind == "step_done").unwrap();
        assert_eq!(done.data["address"], "web/release");
    }
}
