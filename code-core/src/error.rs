//! The one error of CODE: a sentence, a stable code, what to do, and a page.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, what to do about it, and whether trying again can help.
///
/// The message is a lower-case fragment that fits after "failed to": `failed to bind port 8080`. `Display`
/// gives only the message; a front shows code, help, context and causes beside it. Serialisable, because a
/// failure is an event; a source is kept as text then.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Error(Box<Inner>);

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ErrorFields")]
struct Inner {
    kind: ErrorKind,
    code: Cow<'static, str>,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    #[serde(default, skip_serializing_if = "Retry::is_never")]
    retry: Retry,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    context: Vec<(Cow<'static, str>, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
}

/// What sort of thing went wrong; the exit code of the front follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input is wrong: a request, a spec, a setting, an argument.
    Invalid,
    /// What was named does not exist.
    NotFound,
    /// The gate, a budget or a protection said no.
    Refused,
    /// A person has to answer or approve first.
    NeedsAnswer,
    /// What the plan was computed from has changed since.
    Stale,
    /// Somebody else holds it.
    Locked,
    /// A tool that is needed is not on this machine.
    Missing,
    /// No answer in time.
    Timeout,
    /// Stopped on request.
    Cancelled,
    /// Not the right to do it.
    Denied,
    /// Stored data is damaged, or of a version that this build cannot read.
    Corrupt,
    /// Understood, and not built yet.
    Unsupported,
    /// The tool, the machine or the network failed.
    Failed,
    /// A rule of CODE itself was broken; please report it.
    Bug,
}

/// Whether the same call may succeed later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// The same call fails again.
    #[default]
    Never,
    /// The cause may pass: the engine tries again with backoff.
    Transient,
    /// It was transient, and all tries are used up.
    Exhausted,
}

impl Retry {
    fn is_never(&self) -> bool {
        *self == Retry::Never
    }
}

impl Error {
    /// An error of this kind; `code` is `room::what-happened` and has a page `docs/errors/room/what-happened.md`.
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Error {
        Error(Box::new(Inner {
            kind,
            code: Cow::Borrowed(code),
            message: message.into(),
            help: None,
            retry: Retry::Never,
            context: Vec::new(),
            causes: Vec::new(),
        }))
    }

    /// With what a person should do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Error {
        self.0.help = Some(help.into());
        self
    }

    /// With a fact about the place: `path`, `port`, `step`.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Error {
        self.0.context.push((Cow::Borrowed(name), value.into()));
        self
    }

    /// With what caused it, and what caused that.
    #[must_use]
    pub fn because(mut self, source: impl std::error::Error) -> Error {
        self.0.causes.push(source.to_string());
        let mut next = source.source();
        while let Some(error) = next {
            self.0.causes.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// Marked as one that may pass.
    #[must_use]
    pub fn transient(mut self) -> Error {
        self.0.retry = Retry::Transient;
        self
    }

    /// With another word on whether to try again.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Error {
        self.0.retry = retry;
        self
    }

    /// With every text in it passed through `f`: how redaction reaches an error.
    #[must_use]
    pub fn map_text(mut self, f: impl Fn(&str) -> String) -> Error {
        let inner = &mut *self.0;
        // What is borrowed stands in the program; what is owned was read from somewhere.
        let name = |name: &mut Cow<'static, str>| {
            if let Cow::Owned(text) = name {
                *text = f(text);
            }
        };
        name(&mut inner.code);
        inner.message = f(&inner.message);
        inner.help = inner.help.as_deref().map(&f);
        for (fact, value) in &mut inner.context {
            name(fact);
            *value = f(value);
        }
        for cause in &mut inner.causes {
            *cause = f(cause);
        }
        self
    }

    /// What sort of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The lower-case fragment.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do, where a person can do something.
    pub fn help_text(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// Whether the same call may succeed later.
    pub fn retryable(&self) -> Retry {
        self.0.retry
    }

    /// The facts about the place, in the order in which they were added.
    pub fn context(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.context.iter().map(|(name, value)| (name.as_ref(), value.as_str()))
    }

    /// What caused it, nearest first.
    pub fn causes(&self) -> &[String] {
        &self.0.causes
    }

    /// The page of the code, relative to the repository: `docs/errors/helm/release-locked.md`.
    pub fn url(&self) -> String {
        format!("docs/errors/{}.md", self.0.code.replace("::", "/"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] failed to {}", self.code(), self.message())?;
        for (name, value) in self.context() {
            write!(f, "\n  {name}: {value}")?;
        }
        for cause in self.causes() {
            write!(f, "\n  caused by: {cause}")?;
        }
        match self.help_text() {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl PartialEq for Error {
    fn eq(&self, other: &Error) -> bool {
        self.code() == other.code() && self.message() == other.message()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_journal() {
        let io = std::io::Error::other("disk on fire");
        let error = Error::new(ErrorKind::Failed, "journal::append", "append to the journal")
            .help("free some space")
            .with("path", "/x")
            .because(io)
            .transient();
        let text = serde_json::to_string(&error).unwrap();
        let back: Error = serde_json::from_str(&text).unwrap();
        assert_eq!(format!("{back:?}"), format!("{error:?}"));
        assert_eq!(back.retryable(), Retry::Transient);
        assert_eq!(back.url(), "docs/errors/journal/append.md");
        assert_eq!(back.causes(), ["disk on fire"]);
    }

    #[test]
    fn an_error_is_one_word_wide() {
        assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
    }
}
