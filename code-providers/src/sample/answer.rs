//! From a request to an answer.

use std::time::Duration;

use code_core::{Error, ErrorKind};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::header::{REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::json;

use super::notes::Notes;
use super::page::page;
use super::settings::Settings;

/// The longest note, in characters.
const LONGEST: usize = 500;
/// The largest body: a note of the longest kind, percent-encoded, fits well.
const LARGEST: usize = 16 * 1024;
/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// What an answer is made of.
pub(super) struct App {
    pub(super) settings: Settings,
    pub(super) notes: Notes,
    pub(super) pid: u32,
    /// Seconds since 1970, UTC.
    pub(super) now: fn() -> i64,
}

pub(super) type Answer = Response<Full<Bytes>>;

impl App {
    /// The answer to a request; each has one.
    pub(super) async fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let method = match request.method() {
            &Method::HEAD => Method::GET,
            method => method.clone(),
        };
        let mut answer = match (method, request.uri().path()) {
            (Method::GET, "/") => self.page().await,
            (Method::GET, "/notes") => match self.notes.newest().await {
                Ok(notes) => as_json(StatusCode::OK, &json!(notes)),
                Err(error) => problem(&error),
            },
            (Method::POST, "/notes") => self.add(request).await.unwrap_or_else(|error| problem(&error)),
            (Method::GET, "/health") => match self.notes.check().await {
                Ok(()) => as_json(StatusCode::OK, &json!({"status": "ok", "database": self.notes.engine()})),
                Err(error) => problem(&error),
            },
            (_, path @ ("/" | "/notes" | "/health")) => {
                let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "this address takes no such request\n");
                let allowed = if path == "/notes" { "GET, HEAD, POST" } else { "GET, HEAD" };
                answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
                answer
            }
            _ => text(StatusCode::NOT_FOUND, "there is nothing at this address\n"),
        };
        // Nothing is loaded from elsewhere, nothing runs, nobody frames the page.
        let policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";
        for (name, value) in [
            (CONTENT_SECURITY_POLICY, policy),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "same-origin"),
            (CACHE_CONTROL, "no-store"),
        ] {
            answer.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        answer
    }

    async fn page(&self) -> Answer {
        let notes = self.notes.newest().await;
        let status = if notes.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let html = page(&self.settings, self.notes.engine(), self.pid, &notes);
        with_type(status, "text/html; charset=utf-8", html)
    }

    /// Keeps what a form or a program sent. A form is led back to the page, so that reloading sends nothing.
    async fn add<B>(&self, request: Request<B>) -> Result<Answer, Error>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        // A browser says where a request comes from; another site's page has no business here.
        if header("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
            return Err(refused(ErrorKind::Denied, "take a note from another site"));
        }
        let kind = header("content-type").and_then(|kind| kind.split(';').next()).unwrap_or_default();
        let kind = kind.trim().to_ascii_lowercase();
        let read: fn(&[u8]) -> Option<String> = match kind.as_str() {
            "application/json" => from_json,
            "application/x-www-form-urlencoded" => from_form,
            _ => return Err(refused(ErrorKind::Unsupported, "read a note that is neither a form nor JSON")),
        };
        let body = Limited::new(request.into_body(), LARGEST).collect();
        let body = match tokio::time::timeout(PATIENCE, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                return Err(refused(ErrorKind::Refused, "take so long a note"));
            }
            Ok(Err(_)) => return Err(refused(ErrorKind::Invalid, "read the whole note")),
            Err(_) => return Err(refused(ErrorKind::Timeout, "wait any longer for the note")),
        };
        let text = read(&body).ok_or_else(|| refused(ErrorKind::Invalid, "find `text` in what was sent"))?;
        let text = tidy(&text)
            .ok_or_else(|| refused(ErrorKind::Invalid, "keep a note of 0 or over 500 characters"))?;
        let note = self.notes.add(text, (self.now)()).await?;
        if kind == "application/json" {
            return Ok(as_json(StatusCode::CREATED, &json!(note)));
        }
        let mut answer = with_type(StatusCode::SEE_OTHER, "text/plain", String::new());
        answer.headers_mut().insert(LOCATION, HeaderValue::from_static("/"));
        Ok(answer)
    }
}

/// The field `text` of a form: `application/x-www-form-urlencoded`, as the URL standard of the WHATWG has it.
fn from_form(body: &[u8]) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    let value = body.split('&').find_map(|pair| pair.strip_prefix("text="))?;
    let value = value.replace('+', " ");
    Some(percent_decode_str(&value).decode_utf8().ok()?.into_owned())
}

fn from_json(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Sent {
        text: String,
    }
    serde_json::from_slice::<Sent>(body).ok().map(|sent| sent.text)
}

/// A note without characters that no database keeps and no page shows; `None` where it is empty or too long.
fn tidy(text: &str) -> Option<String> {
    let text: String = text.replace("\r\n", "\n");
    let text: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
    let text = text.trim();
    (1..=LONGEST).contains(&text.chars().count()).then(|| text.to_owned())
}

fn refused(kind: ErrorKind, what: &str) -> Error {
    Error::new(kind, "sample::note", what).help("send `text` of 1 to 500 characters, as a form or as JSON")
}

fn problem(error: &Error) -> Answer {
    let status = match (error.code(), error.kind()) {
        ("sample::note", ErrorKind::Denied) => StatusCode::FORBIDDEN,
        ("sample::note", ErrorKind::Unsupported) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ("sample::note", ErrorKind::Refused) => StatusCode::PAYLOAD_TOO_LARGE,
        ("sample::note", ErrorKind::Timeout) => StatusCode::REQUEST_TIMEOUT,
        ("sample::note", _) => StatusCode::BAD_REQUEST,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    as_json(status, &json!({"error": format!("failed to {error}"), "help": error.help_text()}))
}

fn as_json(status: StatusCode, value: &serde_json::Value) -> Answer {
    with_type(status, "application/json", format!("{value}\n"))
}

fn text(status: StatusCode, text: &str) -> Answer {
    with_type(status, "text/plain; charset=utf-8", text.to_owned())
}

fn with_type(status: StatusCode, kind: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_and_tidied() {
        assert_eq!(from_form(b"a=b&text=1+%2B+1+%26+%C3%BC").as_deref(), Some("1 + 1 & ü"));
        assert_eq!(from_form(b"text=%FF"), None);
        assert_eq!(from_form(b"no=text"), None);
        assert_eq!(from_json(br#"{"text": "x"}"#).as_deref(), Some("x"));
        assert_eq!(from_json(b"{}"), None);
        assert_eq!(tidy(" a\0\x1b[1m\r\nb ").as_deref(), Some("a[1m\nb"));
        assert_eq!(tidy(" \n "), None);
        assert!(tidy(&"ü".repeat(500)).is_some() && tidy(&"ü".repeat(501)).is_none());
    }
}
