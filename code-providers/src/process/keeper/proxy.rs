//! One request through a route: headers, a target, the answer as it comes.
//!
//! A request that no target has seen yet may go to another one; a request that one has seen never does.
//! Connections to targets are used again within a second, well below the time after which servers close idle
//! ones by themselves.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::route::{Lease, Route};

/// Counts the routes that a request went through.
const HOPS: HeaderName = HeaderName::from_static("x-code-hops");
/// A request that went through so many routes goes in circles.
const MOST_HOPS: u32 = 5;
/// How long a connection to a target may lie idle and be used again.
const FRESH: Duration = Duration::from_secs(1);
/// How many idle connections to a target are kept.
const MOST_IDLE: usize = 64;

/// Headers that are about one connection, not about the message (RFC 9110, section 7.6.1).
const OF_CONNECTION: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Serves one connection until its client or its route closes it.
pub(super) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    route: Arc<Route>,
    closing: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(|request| pass(Arc::clone(&route), peer, request));
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    // How a connection ends is its client's business.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = closing.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn pass(
    route: Arc<Route>,
    peer: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let asked = upgrade_asked(request.headers());
    if let Err(refusal) = prepare(&mut request, peer, asked.as_ref()) {
        return Ok(say(refusal.0, refusal.1));
    }
    let client = asked.is_some().then(|| hyper::upgrade::on(&mut request));
    let mut tried = Vec::new();
    let mut request = request;
    loop {
        let Some(lease) = route.lease(&tried) else { return Ok(nobody(&route, &tried)) };
        let port = lease.target.port;
        let (mut sender, used) = match sender(&lease).await {
            Ok(sender) => sender,
            Err(_) => {
                tried.push(port);
                continue;
            }
        };
        match sender.try_send_request(request).await {
            Ok(response) => return Ok(answer(response, lease, sender, client)),
            Err(mut error) => match error.take_message() {
                // It was not sent: the idle connection was closed in that moment, or the process is going.
                Some(unsent) => {
                    request = unsent;
                    if !used {
                        tried.push(port);
                    }
                }
                None => {
                    let text = format!("{} broke off the request: {}", route.place, error.into_error());
                    return Ok(say(StatusCode::BAD_GATEWAY, text));
                }
            },
        }
    }
}

/// A connection to a leased target, and whether it was used before.
async fn sender(lease: &Lease) -> Result<(SendRequest<Incoming>, bool), Box<dyn std::error::Error>> {
    if let Some(sender) = lease.target.pool.take() {
        return Ok((sender, true));
    }
    let stream = lease.target.connect().await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    Ok((sender, false))
}

fn answer(
    mut response: Response<Incoming>,
    lease: Lease,
    sender: SendRequest<Incoming>,
    client: Option<hyper::upgrade::OnUpgrade>,
) -> Response<Answer> {
    *response.version_mut() = Version::HTTP_11;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && let Some(client) = client
    {
        let target = hyper::upgrade::on(&mut response);
        tokio::spawn(tunnel(client, target, lease.upgraded()));
        return response.map(|_| Answer::Said(None));
    }
    clean(response.headers_mut());
    response.map(|body| Answer::Passed(Passed { body, done: false, lease, sender: Some(sender) }))
}

/// Hands bytes on both ways until one side ends, or the target is cut off.
async fn tunnel(client: hyper::upgrade::OnUpgrade, target: hyper::upgrade::OnUpgrade, lease: Lease) {
    let (Ok(client), Ok(target)) = (client.await, target.await) else { return };
    let (mut client, mut target) = (TokioIo::new(client), TokioIo::new(target));
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut target) => {}
        () = lease.target.cut.cancelled() => {}
    }
}

/// Why the front itself says no, and how.
type Refusal = (StatusCode, String);

/// Makes a request one of the front: its own headers, and none of the client's connection.
fn prepare(
    request: &mut Request<Incoming>,
    peer: SocketAddr,
    upgrade: Option<&HeaderValue>,
) -> Result<(), Refusal> {
    let hops = request.headers().get(HOPS).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0);
    if hops >= MOST_HOPS {
        return Err((
            StatusCode::LOOP_DETECTED,
            format!("this request went through {hops} routes: it goes in circles"),
        ));
    }
    let Some(path) = request.uri().path_and_query().cloned() else {
        return Err((StatusCode::BAD_REQUEST, "this address takes requests for paths only".into()));
    };
    // An absolute form names the host that the client meant.
    let host = request.uri().authority().and_then(|name| HeaderValue::from_str(name.as_str()).ok());
    *request.uri_mut() = Uri::from(path);
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    clean(headers);
    if let Some(host) = host {
        headers.insert(header::HOST, host);
    }
    if let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol.clone());
    }
    headers.insert(HOPS, HeaderValue::from(hops + 1));
    let forwarded = match headers.get("x-forwarded-for").and_then(|value| value.to_str().ok()) {
        Some(before) => format!("{before}, {}", peer.ip()),
        None => peer.ip().to_string(),
    };
    if let Ok(value) = HeaderValue::from_str(&forwarded) {
        headers.insert("x-forwarded-for", value);
    }
    if let Some(host) = headers.get(header::HOST).cloned() {
        headers.entry("x-forwarded-host").or_insert(host);
    }
    headers.entry("x-forwarded-proto").or_insert(HeaderValue::from_static("http"));
    Ok(())
}

/// The protocol that a client asks to change to.
fn upgrade_asked(headers: &HeaderMap) -> Option<HeaderValue> {
    let named = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let upgrade =
        named.flat_map(|value| value.split(',')).any(|name| name.trim().eq_ignore_ascii_case("upgrade"));
    if upgrade { headers.get(header::UPGRADE).cloned() } else { None }
}

/// Takes off what is about the connection, also what `Connection` names itself.
fn clean(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&OF_CONNECTION) {
        headers.remove(name);
    }
}

fn nobody(route: &Route, tried: &[u16]) -> Response<Answer> {
    let place = &route.place;
    let name = format!("{} of {}", place.address.component(), place.deployment);
    if tried.is_empty() {
        return say(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("nothing is deployed here: {name} runs no process"),
        );
    }
    let ports: Vec<String> = tried.iter().map(u16::to_string).collect();
    say(StatusCode::BAD_GATEWAY, format!("{name} does not answer (tried {}); see its log", ports.join(", ")))
}

fn say(status: StatusCode, text: String) -> Response<Answer> {
    let mut response = Response::new(Answer::Said(Some(Bytes::from(text + "\n"))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// Idle connections to a target.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<(SendRequest<Incoming>, Instant)>>);

impl Pool {
    fn take(&self) -> Option<SendRequest<Incoming>> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(sender, since)| since.elapsed() < FRESH && !sender.is_closed());
        let at = idle.iter().rposition(|(sender, _)| sender.is_ready())?;
        Some(idle.swap_remove(at).0)
    }

    fn give(&self, sender: SendRequest<Incoming>) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE && !sender.is_closed() {
            idle.push((sender, Instant::now()));
        }
    }
}

/// The body of an answer.
pub(super) enum Answer {
    /// The front's own words.
    Said(Option<Bytes>),
    /// The target's.
    Passed(Passed),
}

/// The body of a target's response; the lease ends with it.
pub(super) struct Passed {
    body: Incoming,
    done: bool,
    lease: Lease,
    sender: Option<SendRequest<Incoming>>,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Answer::Said(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Answer::Passed(passed) => {
                let polled = Pin::new(&mut passed.body).poll_frame(context);
                passed.done |= matches!(polled, Poll::Ready(None));
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Answer::Said(text) => text.is_none(),
            Answer::Passed(passed) => passed.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Answer::Said(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Answer::Passed(passed) => passed.body.size_hint(),
        }
    }
}

impl Drop for Passed {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take()
            && (self.done || self.body.is_end_stream())
        {
            self.lease.target.pool.give(sender);
        }
    }
}
