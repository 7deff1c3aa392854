//! A client that asks 200 times a second, whatever happens meanwhile: nothing may ever be refused or reset.
//!
//! ```text
//! every 5 ms one more request ──┬─▶ on a connection that stays open
//!   whether or not the last     └─▶ on a connection of its own
//!   one was answered                      └─▶ each answer that is not 2xx, and each that does not come, counts
//! ```

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::world::{PATIENCE, World, until};

/// The pause between two requests: 200 a second.
const PAUSE: Duration = Duration::from_millis(5);
/// One in so many requests writes.
const WRITES: u64 = 10;

/// A client at work.
pub(crate) struct Load {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    answered: AtomicU64,
    failed: Mutex<Vec<String>>,
    /// Open connections that no request is on.
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Load {
    /// Begins to ask for the sample app's pages at an address.
    pub(crate) fn on_sample(url: &str) -> Load {
        Load::begin(url, true)
    }

    /// Begins to ask for the first page of any app.
    pub(crate) fn on_page(url: &str) -> Load {
        Load::begin(url, false)
    }

    fn begin(url: &str, sample: bool) -> Load {
        let host = url.strip_prefix("http://").expect("http").trim_end_matches('/').to_owned();
        let shared = Arc::new(Shared::default());
        let mine = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(ask_on(&mine, &host, sample));
        });
        Load { shared, thread: Some(thread) }
    }

    /// How many requests were answered well so far.
    pub(crate) fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::SeqCst)
    }

    /// Waits until so many more were answered, or one failed.
    pub(crate) fn goes_on(&self, more: u64) {
        let before = self.answered();
        until("requests go on", || {
            self.answered() >= before + more || !self.shared.failed.lock().unwrap().is_empty()
        });
    }

    /// Does something under the load, and prints how it went.
    fn during(&self, what: &str, act: impl FnOnce()) {
        self.goes_on(50);
        let before = self.answered();
        act();
        self.goes_on(50);
        let failed = self.shared.failed.lock().unwrap();
        println!("figure: {what} under load: {} requests, {} failed", self.answered() - before, failed.len());
        assert!(failed.is_empty(), "{what}: {failed:#?}");
    }

    /// Ends the client: how many requests were answered, and that none failed.
    pub(crate) fn none_failed(mut self) -> u64 {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.thread.take().expect("a thread").join().expect("the client ends");
        let failed = self.shared.failed.lock().unwrap();
        assert!(failed.is_empty(), "{} of {} failed: {failed:#?}", failed.len(), self.answered());
        self.answered()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
    }
}

async fn ask_on(shared: &Arc<Shared>, host: &str, sample: bool) {
    let mut beat = tokio::time::interval(PAUSE);
    // A machine that was busy elsewhere catches up: the rate is kept, as clients do not wait for a server.
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let mut requests = tokio::task::JoinSet::new();
    for i in 0_u64.. {
        beat.tick().await;
        if shared.stop.load(Ordering::SeqCst) {
            break;
        }
        let (shared, host) = (Arc::clone(shared), host.to_owned());
        requests.spawn(async move {
            let asked = tokio::time::timeout(PATIENCE, ask(&shared, &host, i, sample)).await;
            match asked.unwrap_or_else(|_| Err("no answer".into())) {
                Ok(status) if (200..300).contains(&status) => {
                    shared.answered.fetch_add(1, Ordering::SeqCst);
                }
                Ok(status) => shared.failed.lock().unwrap().push(format!("request {i}: {status}")),
                Err(error) => shared.failed.lock().unwrap().push(format!("request {i}: {error}")),
            }
        });
        while requests.try_join_next().is_some() {}
    }
    while requests.join_next().await.is_some() {}
}

/// One request, every other one on a connection of its own; gives its status.
async fn ask(
    shared: &Shared,
    host: &str,
    i: u64,
    sample: bool,
) -> Result<u16, Box<dyn std::error::Error + Send + Sync>> {
    let alone = i.is_multiple_of(2);
    let used = if alone { None } else { shared.idle.lock().unwrap().pop() };
    let mut sender = match used {
        Some(sender) => sender,
        None => {
            let (sender, connection) = handshake(TokioIo::new(TcpStream::connect(host).await?)).await?;
            tokio::spawn(connection);
            sender
        }
    };
    sender.ready().await?;
    let request = Request::builder().header(header::HOST, host);
    let request = if alone { request.header(header::CONNECTION, "close") } else { request };
    let request = match (sample, i % WRITES == 7) {
        (true, true) => request
            .method("POST")
            .uri("/notes")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(format!(r#"{{"text": "note {i}"}}"#)))?,
        (true, false) => request.uri("/notes").body(Full::default())?,
        (false, _) => request.uri("/").body(Full::default())?,
    };
    let answer = sender.send_request(request).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await?.to_bytes();
    if !alone {
        shared.idle.lock().unwrap().push(sender);
    }
    match status {
        200..300 => {}
        _ => return Err(format!("{status} {}", String::from_utf8_lossy(&body)).into()),
    }
    Ok(status)
}

#[test]
fn no_request_fails_while_versions_and_replicas_change() {
    let world = World::new();
    world.ok(&["Deploy a web app with a SQLite database to staging", "--yes", "-q"]);
    world.ok(&["scale the web app to 2 in staging", "--yes", "-q"]);
    let settings = std::fs::read_to_string(world.project().join("code.toml")).unwrap();
    let update = |colour: &str| {
        world.write("code.toml", &format!("{settings}[components.web.env]\nCOLOUR = \"{colour}\"\n"));
        let before = world.processes();
        world.ok(&["update the web app in staging", "--yes", "-q"]);
        assert!(before.iter().all(|pid| !world.processes().contains(pid)), "each was replaced");
    };
    let load = Load::on_sample(&world.url());
    load.during("rolling update", || update("blue"));
    load.during("rollback", || drop(world.ok(&["rollback", "--yes", "-q"])));
    load.during("scaling from 2 to 5", || drop(world.ok(&["scale the web app to 5 in staging", "--yes"])));
    load.during("rolling update of 5", || update("green"));
    load.during("scaling from 5 to 1", || drop(world.ok(&["scale the web app to 1 in staging", "--yes"])));
    load.during("restart", || drop(world.ok(&["restart", "web", "--yes", "-q"])));
    load.during("rolling update of 1", || update("red"));
    load.none_failed();
}
