//! The API of Docker and Podman: HTTP over a socket, JSON in and out, a connection a call.
//!
//! ```text
//! Api ──get, send──▶ daemon ──▶ one answer of JSON, of a bounded size
//!     ──stream────▶        ──▶ lines of JSON, as they come (pull, build)
//! ```
//!
//! Answers are read as values and not into the types of one version of one engine: of an answer with a word more, as
//! Podman's are, only the word is not understood. A call that is dropped closes its connection, which ends what it
//! asked for.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use code_core::{Ctx, Result};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;

use super::error;
use super::way::Way;

/// The newest version of the API that is spoken; a daemon that is older is spoken to in its own.
pub(super) const NEWEST: Version = Version(1, 44);
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a pull or a build may be silent.
const SILENCE: Duration = Duration::from_secs(600);
/// How long an answer may take when the step was cancelled meanwhile.
pub(super) const GRACE: Duration = Duration::from_secs(3);
/// The most that one answer may hold, in bytes.
const LARGEST: usize = 16 << 20;
/// The longest line of a stream, in bytes.
const LONGEST_LINE: usize = 1 << 20;

/// A version of the API: 1.41.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u16, u16);

impl Version {
    fn read(text: &str) -> Option<Version> {
        let (major, minor) = text.split_once('.')?;
        Some(Version(major.parse().ok()?, minor.parse().ok()?))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// What a daemon says of itself.
#[derive(Clone, Debug)]
pub(super) struct About {
    /// Its name and version, for a person.
    pub(super) name: String,
    /// The version of the API in which it is spoken to.
    version: Version,
}

impl About {
    /// Reads the answer to `GET /version`.
    fn read(said: &Value) -> Result<About> {
        let text = |name: &str| said[name].as_str().unwrap_or_default();
        let Some(has) = Version::read(text("ApiVersion")) else {
            return Err(error::rubbish("/version", &said.to_string()));
        };
        let least = Version::read(text("MinAPIVersion")).unwrap_or(has.min(NEWEST));
        if least > NEWEST {
            return Err(error::too_new(&least.to_string()));
        }
        let engine = said["Components"].as_array().into_iter().flatten();
        let podman = engine.filter_map(|one| one["Name"].as_str()).any(|name| name.contains("Podman"));
        let name = if podman { "Podman" } else { "Docker" };
        Ok(About { name: format!("{name} {}", text("Version")), version: has.min(NEWEST) })
    }
}

/// An answer: its status and its body; null where there is none.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Said {
    /// What the daemon says of a failure.
    pub(super) fn message(&self) -> String {
        self.body["message"].as_str().map_or_else(|| format!("status {}", self.status), str::to_owned)
    }

    /// The answer where it is a good one.
    ///
    /// # Errors
    /// What the daemon objects, `doing` something.
    pub(super) fn good(self, doing: &str) -> Result<Value> {
        match self.status {
            200..=399 => Ok(self.body),
            status => Err(error::refused(doing, status, &self.message())),
        }
    }
}

/// Calls of one daemon, for one step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Api<'a> {
    pub(super) way: &'a Way,
    pub(super) about: &'a About,
    pub(super) ctx: &'a Ctx,
    /// Whether the calls end when the step is cancelled; not those that clean up after it.
    pub(super) heeds: bool,
}

/// Asks a daemon who it is.
///
/// # Errors
/// Those of a call.
pub(super) async fn about(ctx: &Ctx, way: &Way) -> Result<About> {
    let call = call(way, "GET", "/version", &[], Upload::Empty);
    let said = until_cancelled(ctx, true, in_time("/version", whole("/version", call))).await?;
    About::read(&said.good("ask for its version")?)
}

impl<'a> Api<'a> {
    /// The same, for calls that are to end although the step was cancelled.
    pub(super) fn unhurried(self) -> Api<'a> {
        Api { heeds: false, ..self }
    }

    /// What is at a path; `None` where nothing is.
    pub(super) async fn get(&self, path: &str) -> Result<Option<Value>> {
        let said = self.send("GET", path, None).await?;
        match said.status {
            404 => Ok(None),
            _ => said.good("look at it").map(Some),
        }
    }

    /// Asks for something to be done.
    pub(super) async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Said> {
        self.send_within(PATIENCE, method, path, body).await
    }

    /// The same, where the daemon waits for something by itself.
    pub(super) async fn send_within(
        &self,
        patience: Duration,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Said> {
        let upload = body.map_or(Upload::Empty, Upload::json);
        let full = self.path(path);
        let call = call(self.way, method, &full, &[("content-type", "application/json")], upload);
        let whole = whole(path, call);
        let timed = async {
            tokio::time::timeout(patience, whole).await.unwrap_or_else(|_| Err(error::no_answer(path)))
        };
        until_cancelled(self.ctx, self.heeds, timed).await
    }

    /// Sends an archive (POSIX tar), and gives the answer.
    pub(super) async fn put_archive(&self, path: &str, archive: Vec<u8>) -> Result<Said> {
        let (full, kind) = (self.path(path), [("content-type", "application/x-tar")]);
        let call = call(self.way, "PUT", &full, &kind, Upload::Whole(Some(archive.into())));
        until_cancelled(self.ctx, self.heeds, in_time(path, whole(path, call))).await
    }

    /// The raw bytes at a path, and the status.
    pub(super) async fn bytes(&self, method: &str, path: &str) -> Result<(u16, Vec<u8>)> {
        let full = self.path(path);
        let read = async {
            let response = call(self.way, method, &full, &[], Upload::Empty).await?;
            let status = response.0.status().as_u16();
            Ok((status, collect(path, response).await?))
        };
        until_cancelled(self.ctx, self.heeds, in_time(path, read)).await
    }

    /// Asks for something that tells how far it is, line by line.
    pub(super) async fn stream(
        &self,
        path: &str,
        upload: Upload,
        mut on_line: impl FnMut(Value) -> Result<()> + Send,
    ) -> Result<()> {
        let full = self.path(path);
        let read = async {
            let answered = call(self.way, "POST", &full, &[("content-type", "application/x-tar")], upload);
            let (mut response, _open) = silent_no_longer(path, answered).await?;
            let status = response.status().as_u16();
            if status >= 400 {
                let body = collect(path, (response, _open)).await?;
                let body = serde_json::from_slice(&body).unwrap_or_default();
                return Said { status, body }.good("do it").map(drop);
            }
            let mut rest = Vec::new();
            loop {
                let frame = silent_no_longer(path, async { Ok(response.frame().await) }).await?;
                let Some(frame) = frame else { break };
                let frame = frame.map_err(|cause| error::gone(path, cause))?;
                let Some(data) = frame.data_ref() else { continue };
                rest.extend_from_slice(data);
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = rest.drain(..=end).collect();
                    take_line(path, &line, &mut on_line)?;
                }
                if rest.len() > LONGEST_LINE {
                    return Err(error::rubbish(path, "a line without an end"));
                }
            }
            take_line(path, &rest, &mut on_line)
        };
        tokio::select! {
            biased;
            () = self.ctx.cancel().cancelled(), if self.heeds => Err(error::cancelled()),
            done = read => done,
        }
    }

    fn path(&self, path: &str) -> String {
        format!("/v{}{path}", self.about.version)
    }
}

fn take_line(path: &str, line: &[u8], on_line: &mut impl FnMut(Value) -> Result<()>) -> Result<()> {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Ok(());
    }
    match serde_json::from_slice(line) {
        Ok(value) => on_line(value),
        Err(_) => Err(error::rubbish(path, &String::from_utf8_lossy(line))),
    }
}

async fn silent_no_longer<T>(path: &str, wait: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(SILENCE, wait).await.unwrap_or_else(|_| Err(error::no_answer(path)))
}

async fn in_time<T>(path: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, call).await.unwrap_or_else(|_| Err(error::no_answer(path)))
}

/// A call that is cancelled is given a moment, so that what it asked for is known to be done or not.
async fn until_cancelled<T>(ctx: &Ctx, heeds: bool, call: impl Future<Output = Result<T>>) -> Result<T> {
    let mut call = std::pin::pin!(call);
    if !heeds {
        return call.await;
    }
    tokio::select! {
        biased;
        done = &mut call => done,
        () = ctx.cancel().cancelled() => {
            tokio::time::timeout(GRACE, call).await.unwrap_or_else(|_| Err(error::cancelled()))
        }
    }
}

/// What is sent with a request.
pub(super) enum Upload {
    Empty,
    Whole(Option<Bytes>),
    /// What another thread writes.
    Parts(mpsc::Receiver<Bytes>),
}

impl Upload {
    fn json(value: &Value) -> Upload {
        Upload::Whole(Some(value.to_string().into()))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match &mut *self {
            Upload::Empty => Poll::Ready(None),
            Upload::Whole(bytes) => Poll::Ready(bytes.take()),
            Upload::Parts(parts) => parts.poll_recv(cx),
        };
        next.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Upload::Empty | Upload::Whole(None))
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Upload::Empty | Upload::Whole(None) => hyper::body::SizeHint::with_exact(0),
            Upload::Whole(Some(bytes)) => hyper::body::SizeHint::with_exact(bytes.len() as u64),
            Upload::Parts(_) => hyper::body::SizeHint::default(),
        }
    }
}

/// An answer that is being read, and the connection on which it comes.
type Answer = (Response<Incoming>, Open);

/// A connection, for as long as somebody reads from it.
struct Open(tokio::task::JoinHandle<()>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn call(
    way: &Way,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    upload: Upload,
) -> Result<Answer> {
    let no_way = |cause| error::unreachable(way, cause);
    match way {
        Way::Socket(socket) => {
            let stream = UnixStream::connect(socket).await.map_err(no_way)?;
            exchange(stream, "docker", method, path, headers, upload).await
        }
        Way::Tcp(address) => {
            let stream = TcpStream::connect(address).await.map_err(no_way)?;
            exchange(stream, address, method, path, headers, upload).await
        }
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    host: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    upload: Upload,
) -> Result<Answer> {
    let broken = |cause: hyper::Error| error::gone(path, cause);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let open = Open(tokio::spawn(async move { drop(connection.await) }));
    let mut request = Request::builder().method(method).uri(path).header("host", host);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request =
        request.body(upload).map_err(|_| error::rubbish(path, "a path that cannot be asked for"))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    Ok((response, open))
}

async fn collect(path: &str, (mut response, _open): Answer) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(frame) = response.frame().await {
        let frame = frame.map_err(|cause| error::gone(path, cause))?;
        bytes.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
        if bytes.len() > LARGEST {
            return Err(error::rubbish(path, &format!("an answer of more than {} MiB", LARGEST >> 20)));
        }
    }
    Ok(bytes)
}

async fn whole(path: &str, call: impl Future<Output = Result<Answer>>) -> Result<Said> {
    let answer = call.await?;
    let status = answer.0.status().as_u16();
    let bytes = collect(path, answer).await?;
    let empty = bytes.iter().all(u8::is_ascii_whitespace);
    let body = if empty { Ok(Value::Null) } else { serde_json::from_slice(&bytes) };
    match body {
        Ok(body) => Ok(Said { status, body }),
        // A proxy's page of an error is no answer of the daemon, and its status is one all the same.
        Err(_) if status >= 400 => Ok(Said { status, body: Value::Null }),
        Err(_) => Err(error::rubbish(path, &String::from_utf8_lossy(&bytes))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_daemon_is_spoken_to_in_its_version_or_ours() {
        let check = |said: Value, expect: Result<(&str, &str), &str>| {
            let found = About::read(&said).map(|about| (about.name, about.version.to_string()));
            let found = found.as_ref().map(|(name, version)| (name.as_str(), version.as_str()));
            assert_eq!(found.map_err(|error| error.code()), expect, "{said}");
        };
        let docker =
            |api: &str, least: &str| json!({"Version": "20.10", "ApiVersion": api, "MinAPIVersion": least});
        check(docker("1.41", "1.12"), Ok(("Docker 20.10", "1.41")));
        check(docker("1.52", "1.44"), Ok(("Docker 20.10", "1.44")));
        check(docker("1.60", "1.50"), Err("container::too-new"));
        let podman =
            json!({"Version": "4.3.1", "ApiVersion": "1.41", "Components": [{"Name": "Podman Engine"}]});
        check(podman, Ok(("Podman 4.3.1", "1.41")));
        check(json!({"hello": 1}), Err("container::rubbish"));
        check(json!([]), Err("container::rubbish"));
    }
}
