//! Stands before the real API server, and answers some calls as a server in trouble would.
//!
//! ```text
//! provider ──http──▶ proxy ── a fault? ──no──▶ the real API server
//!                      └──yes──▶ a status of its own, or a connection that ends
//! ```

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;
use test_cluster::Cluster;
use tokio::net::{TcpListener, TcpStream};

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// The real server answers.
    None,
    /// This status is the answer, and the real server hears nothing of the call.
    Status(u16),
    /// The connection ends, and the real server hears nothing of the call.
    Cut,
    /// The real server does it, and the connection ends before its answer.
    Unheard,
}

/// Chooses what becomes of a call, by its method and path.
type Choose = Box<dyn FnMut(&str, &str) -> Fault + Send>;

/// A proxy that lives as long as its test.
pub(crate) struct Proxy {
    /// The way to the cluster through it.
    pub(crate) kubeconfig: PathBuf,
    shared: Arc<Shared>,
}

struct Shared {
    choose: Mutex<Choose>,
    faults: AtomicUsize,
    calls: AtomicUsize,
    client: Client,
}

impl Proxy {
    /// Passes everything on until it is told otherwise.
    pub(crate) async fn new(cluster: &Cluster, name: &str) -> Proxy {
        let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        config.default_retry = false;
        let shared = Arc::new(Shared {
            choose: Mutex::new(Box::new(|_, _| Fault::None)),
            faults: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            client: Client::try_from(config).unwrap(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(Arc::clone(&serving), stream));
            }
        });
        let name = format!("{name}-{}", std::process::id());
        Proxy { kubeconfig: cluster.kubeconfig_for(&name, Some(&address), cluster.admin_token()), shared }
    }

    /// From now on, this chooses.
    pub(crate) fn faults(&self, choose: impl FnMut(&str, &str) -> Fault + Send + 'static) {
        *self.shared.choose.lock().unwrap() = Box::new(choose);
    }

    /// How many calls there were, and how many of them met a fault.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.shared.calls.load(Ordering::Relaxed), self.shared.faults.load(Ordering::Relaxed))
    }
}

async fn serve(shared: Arc<Shared>, stream: TcpStream) {
    let service = hyper::service::service_fn(move |request| answer(Arc::clone(&shared), request));
    // A connection that a fault ends is an error here.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let fault = (shared.choose.lock().unwrap())(request.method().as_str(), &path);
    shared.calls.fetch_add(1, Ordering::Relaxed);
    shared.faults.fetch_add(usize::from(fault != Fault::None), Ordering::Relaxed);
    match fault {
        Fault::Cut => return Err(io::ErrorKind::ConnectionReset.into()),
        Fault::Status(code) => return Ok(refusal(code)),
        Fault::None | Fault::Unheard => {}
    }
    let (parts, body) = request.into_parts();
    let mut onwards = Request::builder().method(parts.method).uri(path);
    for name in ["accept", "content-type"] {
        if let Some(value) = parts.headers.get(name) {
            onwards = onwards.header(name, value);
        }
    }
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes().to_vec();
    let answer = shared.client.send(onwards.body(Body::from(body)).unwrap()).await;
    let mut answer = answer.map_err(io::Error::other)?;
    if fault == Fault::Unheard {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    // This side's own connection says how it ends.
    for name in ["transfer-encoding", "connection"] {
        answer.headers_mut().remove(name);
    }
    Ok(answer)
}

fn refusal(code: u16) -> Response<Body> {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "reason": "Injected", "message": format!("a test answers {code}")});
    let mut response = Response::new(Body::from(status.to_string().into_bytes()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response.headers_mut().insert("content-type", "application/json".parse().unwrap());
    response
}

/// Numbers that look random and are the same for a seed (splitmix64, Steele et al. 2014).
pub(crate) fn dice(mut seed: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}
