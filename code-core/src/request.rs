//! What a person asked for, in their own words.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, Error, ErrorKind, Result};

/// A request: the words, who said them, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    /// The words, as they were said.
    pub text: String,
    /// Who said them: the user's name on the machine.
    pub who: String,
    /// When.
    pub at: Timestamp,
}

/// The longest request that is read, in bytes. A longer text is a document, not a request.
pub const MAX_REQUEST_BYTES: usize = 16 * 1024;

impl Request {
    /// A request, checked: not empty, not too long, no control characters but tab and line ends, and no
    /// characters that change the direction of text (what is read must be what is shown).
    ///
    /// # Errors
    /// `request::empty`, `request::too-long`, `request::control-character`, `request::bidirectional`.
    pub fn new(text: impl Into<String>, who: impl Into<String>, at: Timestamp) -> Result<Request> {
        let text = text.into();
        let invalid = |code, message: String| Error::new(ErrorKind::Invalid, code, message);
        if text.len() > MAX_REQUEST_BYTES {
            let message = format!("read a request of {} bytes", text.len());
            return Err(invalid("request::too-long", message).help(format!(
                "say it in at most {MAX_REQUEST_BYTES} bytes, or pass a spec with `--spec file.yaml`"
            )));
        }
        if text.trim().is_empty() {
            return Err(invalid("request::empty", "read the request: it is empty".into()).help(
                "say what should be deployed, for example \"Deploy a web app with database to staging\"",
            ));
        }
        for (offset, c) in text.char_indices() {
            if c.is_control() && !matches!(c, '\n' | '\r' | '\t') {
                let message = format!("read the request: it has a control character (U+{:04X})", c as u32);
                return Err(invalid("request::control-character", message)
                    .help("write the request as plain text")
                    .with("byte", offset.to_string()));
            }
            if matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            {
                let message =
                    format!("read the request: it has a mark that reorders text (U+{:04X})", c as u32);
                return Err(invalid("request::bidirectional", message)
                    .help("remove the mark: with it, the words shown are not the words read")
                    .with("byte", offset.to_string()));
            }
        }
        Ok(Request { text, who: who.into(), at })
    }

    /// The digest of the request: the first link of the chain.
    pub fn digest(&self) -> Digest {
        Digest::of_json(self)
    }
}

/// A range of bytes of a request's text: the words that said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Span {
    /// The span from `start` to before `end`.
    pub fn new(start: usize, end: usize) -> Span {
        Span { start, end }
    }

    /// The smallest span that holds both.
    #[must_use]
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// The words; empty where the span does not fit the text.
    pub fn of(self, text: &str) -> &str {
        text.get(self.start..self.end).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<&str>) {
        let result = Request::new(text, "me", Timestamp::UNIX_EPOCH);
        assert_eq!(result.as_ref().err().map(Error::code), expect, "{text:?}");
        if let Err(error) = result {
            assert!(error.help_text().is_some());
        }
    }

    #[test]
    fn only_a_request_that_can_be_shown_as_it_is_read_is_taken() {
        check("deploy a web app\n\tto staging", None);
        check("déploie 🚀", None);
        check("", Some("request::empty"));
        check(" \n\t", Some("request::empty"));
        check("deploy\0", Some("request::control-character"));
        check("deploy \u{1b}[31m", Some("request::control-character"));
        check("deploy \u{202e}gnigats", Some("request::bidirectional"));
        check(&"x".repeat(MAX_REQUEST_BYTES), None);
        check(&"x".repeat(MAX_REQUEST_BYTES + 1), Some("request::too-long"));
    }
}
