//! Notes on what a person wrote: a place, a sentence, choices, a question.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::request::Span;

/// Something about the words of a request, a spec or a setting that a person should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    /// How much it matters.
    pub level: Level,
    /// A stable code: `nlp::unknown-word`.
    pub code: String,
    /// A lower-case sentence without a full stop.
    pub message: String,
    /// The words that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// What the words could mean, most likely first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// What a person has to answer before the request can be acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
}

/// How much a note matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    Advice,
    /// Something was left aside or corrected.
    Warning,
    /// Nothing can be done before it is answered.
    Question,
}

impl Note {
    /// A note that only advises.
    pub fn advice(code: &str, message: impl Into<String>) -> Note {
        Note::new(Level::Advice, code, message)
    }

    /// A note that something was left aside or corrected.
    pub fn warning(code: &str, message: impl Into<String>) -> Note {
        Note::new(Level::Warning, code, message)
    }

    /// A note that must be answered.
    pub fn question(code: &str, message: impl Into<String>, question: impl Into<String>) -> Note {
        Note { question: Some(question.into()), ..Note::new(Level::Question, code, message) }
    }

    fn new(level: Level, code: &str, message: impl Into<String>) -> Note {
        let message = message.into();
        Note { level, code: code.to_owned(), message, span: None, choices: Vec::new(), question: None }
    }

    /// With the words that it is about.
    #[must_use]
    pub fn at(mut self, span: Span) -> Note {
        self.span = Some(span);
        self
    }

    /// With what the words could mean.
    #[must_use]
    pub fn choices(mut self, choices: impl IntoIterator<Item = impl Into<String>>) -> Note {
        self.choices = choices.into_iter().map(Into::into).collect();
        self
    }
}
