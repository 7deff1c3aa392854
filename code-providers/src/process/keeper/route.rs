//! A stable address: a port that stays while the processes behind it come and go.
//!
//! ```text
//!            ┌─ route ── port 8080 ──────────────────────┐
//! request ──▶│ 127.0.0.1 and ::1 → proxy → pick a lease  │──▶ target 20017   (draining: leases run out)
//!            │                     under the same lock   │──▶ target 20018   (takes what is new)
//!            └────────────── as the switch ──────────────┘
//! ```
//!
//! A lease on a target lives as long as the body of the response. It is taken under the lock under which
//! targets are switched; so after a switch nobody can still be about to take one, and a target without
//! leases is drained.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use code_core::{Error, ErrorKind, Result, kill};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::book::Book;
use super::events::Seen;
use super::ports::port_taken;
use super::proxy::{self, Pool};
use super::table::{KeptRoute, Place};
use crate::process::port::{is_missing_family, loopback};

/// How often a route that could not be bound is tried again.
const REBIND: Duration = Duration::from_secs(2);

/// The routes of a keeper.
pub(super) struct Routes {
    book: Arc<Book>,
    open: Arc<Mutex<HashMap<Place, Open>>>,
}

/// A route that is served.
struct Open {
    route: Arc<Route>,
    port: u16,
    /// Ends the listeners.
    closing: CancellationToken,
    listeners: JoinSet<()>,
}

impl Routes {
    /// No routes yet.
    pub(super) fn new(book: Arc<Book>) -> Routes {
        Routes { book, open: Arc::new(Mutex::new(HashMap::new())) }
    }

    /// Serves the routes of the table again, after a keeper's death. One whose port was taken meanwhile is
    /// tried again until it is free.
    pub(super) async fn rebind(&self) {
        for kept in self.book.read(|table| table.routes.clone()) {
            if let Err(error) = self.bind_again(&kept).await {
                let why = error.help_text().unwrap_or_default().to_owned();
                self.book.see(&kept.place, Seen::NotBound { port: kept.port, why });
            }
        }
        let routes = Routes { book: Arc::clone(&self.book), open: Arc::clone(&self.open) };
        tokio::spawn(async move {
            loop {
                sleep(REBIND).await;
                let troubled = |route: &KeptRoute| route.trouble.is_some();
                let kept = routes.book.read(|table| {
                    table.routes.iter().filter(|route| troubled(route)).cloned().collect::<Vec<_>>()
                });
                for kept in kept {
                    let _ = routes.bind_again(&kept).await;
                }
            }
        });
    }

    async fn bind_again(&self, kept: &KeptRoute) -> Result<()> {
        let mut open = self.open.lock().await;
        // It may have been removed, changed or served since the table was read.
        let kept = self.book.read(|table| table.route(&kept.place).cloned());
        let Some(kept) = kept.filter(|kept| !open.contains_key(&kept.place)) else { return Ok(()) };
        let bound = self.bind(&kept).await;
        let trouble = bound.as_ref().err().map(|error| {
            let listener = error.context().find(|(name, _)| *name == "listener").map(|(_, who)| who);
            format!("port {} is taken by {}", kept.port, listener.unwrap_or("a process of another user"))
        });
        self.book.change(|table| table.put_route(KeptRoute { trouble, ..kept.clone() }))?;
        open.insert(kept.place.clone(), bound?);
        Ok(())
    }

    /// Serves a route, or switches it to other targets; returns when the old ones are drained.
    pub(super) async fn set(&self, wish: KeptRoute) -> Result<()> {
        let mut open = self.open.lock().await;
        let same_port = open.get(&wish.place).is_some_and(|open| open.port == wish.port);
        if !same_port {
            // The new port is there before the old one goes.
            let new = self.bind(&wish).await?;
            self.book.change(|table| table.put_route(wish.clone()))?;
            let old = open.insert(wish.place.clone(), new);
            drop(open);
            if let Some(old) = old {
                self.close(old, &wish.place, wish.drain_seconds).await;
            }
            return Ok(());
        }
        let Some(route) = open.get(&wish.place).map(|open| Arc::clone(&open.route)) else { return Ok(()) };
        self.book.change(|table| table.put_route(wish.clone()))?;
        let from = route.targets();
        kill::point("keeper.switch.before");
        let removed = route.switch(&wish.targets);
        kill::point("keeper.switch.after");
        drop(open);
        if from != wish.targets {
            self.book.see(&wish.place, Seen::Switched { from, to: wish.targets.clone() });
        }
        self.drain(&removed, &wish.place, wish.drain_seconds).await;
        Ok(())
    }

    /// Serves a route no longer.
    pub(super) async fn unset(&self, place: &Place) -> Result<()> {
        let mut routes = self.open.lock().await;
        let seconds = self.book.change(|table| {
            let seconds = table.route(place).map_or(0, |route| route.drain_seconds);
            table.routes.retain(|route| route.place != *place);
            seconds
        })?;
        let open = routes.remove(place);
        drop(routes);
        if let Some(open) = open {
            self.close(open, place, seconds).await;
        }
        Ok(())
    }

    async fn bind(&self, wish: &KeptRoute) -> Result<Open> {
        let mut sockets = Vec::new();
        for address in loopback(wish.port) {
            match TcpListener::bind(address).await {
                Ok(socket) => sockets.push(socket),
                Err(error) if is_missing_family(&error) => {}
                Err(error) => {
                    let other = self.book.read(|table| table.holder(wish.port).cloned());
                    return Err(bind_failed(wish, &error, other.as_ref()));
                }
            }
        }
        kill::point("keeper.bind");
        let closing = CancellationToken::new();
        let route = Arc::new(Route::new(wish.place.clone(), Arc::clone(&self.book)));
        route.switch(&wish.targets);
        let mut listeners = JoinSet::new();
        for socket in sockets {
            listeners.spawn(listen(socket, Arc::clone(&route), closing.clone()));
        }
        self.book.see(&wish.place, Seen::Bound { port: wish.port });
        Ok(Open { route, port: wish.port, closing, listeners })
    }

    async fn close(&self, mut open: Open, place: &Place, seconds: u64) {
        open.closing.cancel();
        // The sockets are closed, and the port free, when the listeners have ended.
        while open.listeners.join_next().await.is_some() {}
        let removed = open.route.switch(&[]);
        self.drain(&removed, place, seconds).await;
        self.book.see(place, Seen::Unbound);
    }

    async fn drain(&self, targets: &[Arc<Target>], place: &Place, seconds: u64) {
        if targets.is_empty() {
            return;
        }
        let began = Instant::now();
        let deadline = began + Duration::from_secs(seconds);
        for target in targets {
            target.drained(deadline).await;
        }
        let unfinished = targets.iter().map(|target| target.requests.load(Ordering::SeqCst)).sum();
        let upgraded_closed = targets.iter().map(|target| target.upgraded.load(Ordering::SeqCst)).sum();
        targets.iter().for_each(|target| target.cut.cancel());
        let after_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.book.see(place, Seen::Drained { after_ms, upgraded_closed, unfinished });
    }
}

fn bind_failed(wish: &KeptRoute, error: &io::Error, other: Option<&Place>) -> Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            port_taken("route::port-taken", wish.port, &wish.place, other).because(error)
        }
        io::ErrorKind::PermissionDenied => {
            let what = format!("serve port {} for {}", wish.port, wish.place);
            Error::new(ErrorKind::Denied, "route::port-denied", what)
                .help("use a port from 1024 on; lower ones are for root")
                .because(error)
        }
        _ => {
            let what = format!("serve port {} for {}", wish.port, wish.place);
            Error::new(ErrorKind::Failed, "route::bind", what)
                .help("see the cause, or use another port")
                .because(error)
        }
    }
}

async fn listen(socket: TcpListener, route: Arc<Route>, closing: CancellationToken) {
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            accepted = socket.accept() => match accepted {
                Ok((stream, peer)) => drop(tokio::spawn(proxy::serve(stream, peer, Arc::clone(&route), closing.clone()))),
                // Out of descriptors, or a client that left: the next one may do better.
                Err(_) => sleep(Duration::from_millis(10)).await,
            },
        }
    }
}

/// Where requests of a route go.
pub(super) struct Route {
    pub(super) place: Place,
    book: Arc<Book>,
    targets: Lock<Vec<Arc<Target>>>,
    turn: AtomicUsize,
}

impl Route {
    fn new(place: Place, book: Arc<Book>) -> Route {
        Route { place, book, targets: Lock::new(Vec::new()), turn: AtomicUsize::new(0) }
    }

    /// A lease on the healthy target with the least to do, in turns among equals; on another one where none is
    /// healthy, and never on one that was tried.
    pub(super) fn lease(&self, tried: &[u16]) -> Option<Lease> {
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = targets.len();
        (0..count)
            .filter_map(|i| targets.get((turn.wrapping_add(i)) % count))
            .filter(|target| !tried.contains(&target.port))
            .min_by_key(|target| (self.book.is_sick(target.port), target.requests.load(Ordering::SeqCst)))
            .map(Lease::new)
    }

    /// The ports that requests go to.
    pub(super) fn targets(&self) -> Vec<u16> {
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.iter().map(|target| target.port).collect()
    }

    /// Sends what is new to these ports, and gives back the targets that are no longer among them.
    fn switch(&self, ports: &[u16]) -> Vec<Arc<Target>> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let next = ports.iter().map(|port| {
            let same = targets.iter().find(|target| target.port == *port);
            same.map_or_else(|| Arc::new(Target::new(*port)), Arc::clone)
        });
        let next: Vec<Arc<Target>> = next.collect();
        let old = std::mem::replace(&mut *targets, next);
        old.into_iter().filter(|target| !ports.contains(&target.port)).collect()
    }
}

/// A process that requests go to.
pub(super) struct Target {
    pub(super) port: u16,
    pub(super) pool: Pool,
    requests: AtomicUsize,
    upgraded: AtomicUsize,
    less: Notify,
    /// Cancelled at the end of the drain: upgraded connections are closed then.
    pub(super) cut: CancellationToken,
}

impl Target {
    fn new(port: u16) -> Target {
        Target {
            port,
            pool: Pool::default(),
            requests: AtomicUsize::new(0),
            upgraded: AtomicUsize::new(0),
            less: Notify::new(),
            cut: CancellationToken::new(),
        }
    }

    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
        crate::process::probe::dial(self.port).await
    }

    async fn drained(&self, deadline: Instant) {
        loop {
            let less = self.less.notified();
            let busy = self.requests.load(Ordering::SeqCst) + self.upgraded.load(Ordering::SeqCst);
            if busy == 0 || timeout_at(deadline, less).await.is_err() {
                return;
            }
        }
    }
}

/// Keeps a target from being drained: one request, or one upgraded connection.
pub(super) struct Lease {
    pub(super) target: Arc<Target>,
    upgraded: bool,
}

impl Lease {
    fn new(target: &Arc<Target>) -> Lease {
        target.requests.fetch_add(1, Ordering::SeqCst);
        Lease { target: Arc::clone(target), upgraded: false }
    }

    /// The same for a connection that was upgraded.
    pub(super) fn upgraded(mut self) -> Lease {
        self.target.upgraded.fetch_add(1, Ordering::SeqCst);
        self.target.requests.fetch_sub(1, Ordering::SeqCst);
        self.upgraded = true;
        self
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let count = if self.upgraded { &self.target.upgraded } else { &self.target.requests };
        count.fetch_sub(1, Ordering::SeqCst);
        self.target.less.notify_one();
    }
}
