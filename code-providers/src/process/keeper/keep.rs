//! One kept process: started, looked at, started again when it ends by itself, stopped when asked.
//!
//! ```text
//!            Start                 healthy                  3 bad looks
//!   (none) ────────▶ Starting ───────────────▶ Ready ◀───────────────────▶ Unhealthy
//!                     │    ▲                     │      a good look            │
//!             ends    │    │ in time             │ ends by itself              │
//!             before  ▼    │                     ▼                             │
//!             it was  Failed ◀── 5 times ── Restarting ◀───────────────────────┘
//!             healthy
//! ```
//!
//! One task a place: it takes orders one after the other, so that two commands cannot start the same thing
//! twice.

use std::sync::Arc;
use std::time::Duration;

use code_core::{Error, Result, kill};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::backoff::{self, Next};
use super::book::Book;
use super::child::Child;
use super::events::Seen;
use super::ports::{choose_port, port_of};
use super::protocol::Disclosed;
use super::table::{Ending, Job, Kept, Phase, Place};
use crate::process::identity::{self, Identity};
use crate::process::{port, probe::Probe};

/// The pause between two looks at a process that starts.
const SOON: Duration = Duration::from_millis(100);
/// The pause between two looks at a healthy process.
const LATER: Duration = Duration::from_secs(5);
/// The pause after a bad look at a healthy process.
const AGAIN: Duration = Duration::from_secs(1);
/// How many bad looks in a row make a healthy process unhealthy.
const BAD_LOOKS: u32 = 3;
/// How long a process without a port must have run to count as started.
const ALIVE: Duration = Duration::from_millis(500);

/// What is asked of the task of a place.
pub(super) enum Order {
    Start { job: Box<Job>, secrets: Disclosed, fresh: bool, reply: oneshot::Sender<Result<Kept>> },
    Stop { reply: oneshot::Sender<Result<()>> },
}

/// The task of a place.
pub(super) struct Keep {
    book: Arc<Book>,
    place: Place,
    child: Option<Child>,
    /// The key of the child.
    key: String,
    /// The values of its secret variables; `None` where an earlier keeper had them.
    secrets: Option<Disclosed>,
    started: Instant,
    look: Option<JoinHandle<Result<(), String>>>,
    bad_looks: u32,
    next_look: Option<Instant>,
    restart_at: Option<Instant>,
}

impl Keep {
    /// The task of a place of which nothing is known yet.
    pub(super) fn new(book: Arc<Book>, place: Place) -> Keep {
        Keep {
            book,
            place,
            child: None,
            key: String::new(),
            secrets: None,
            started: Instant::now(),
            look: None,
            bad_looks: 0,
            next_look: None,
            restart_at: None,
        }
    }

    /// Obeys orders until nobody can give one any more.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            let due = [self.next_look.filter(|_| self.look.is_none()), self.restart_at];
            let due = due.into_iter().flatten().min();
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Start { job, secrets, fresh, reply }) => {
                        let _ = reply.send(self.start(*job, secrets, fresh).await);
                    }
                    Some(Order::Stop { reply }) => {
                        let _ = reply.send(self.stop().await);
                    }
                    None => return,
                },
                ending = ended(self.child.as_ref(), &self.key) => self.after_end(ending),
                found = finished(&mut self.look) => self.after_look(found),
                () = until(due) => self.on_time(),
            }
        }
    }

    /// Goes on with what an earlier keeper kept.
    pub(super) fn adopt(&mut self, kept: &Kept) {
        let found = kept.identity.clone().or_else(|| {
            // It died between starting it and writing that down.
            identity::with_key(&kept.job.key, kept.job.argv()).ok().flatten()
        });
        let child = found.as_ref().and_then(Child::adopt);
        let Some(child) = child else {
            if matches!(kept.phase, Phase::Failed(_) | Phase::Lost { .. }) {
                return;
            }
            let why = match &kept.identity {
                Some(identity) if !identity.is_of_this_boot() => "the machine was restarted",
                _ => "it ended while no keeper watched; with what code is unknown",
            };
            self.book.see(&self.place, Seen::Lost { why: why.into() });
            return self.set(Phase::Lost { why: why.into() });
        };
        let identity = child.identity.clone();
        self.secrets = recover(&kept.job, &identity);
        self.watch(child, &kept.job);
        let pid = identity.pid;
        let _ = self.book.change(|table| {
            if let Some(kept) = table.process_mut(&self.place) {
                kept.identity = Some(identity);
                if matches!(kept.phase, Phase::Lost { .. } | Phase::Restarting { .. } | Phase::Failed(_)) {
                    kept.phase = Phase::Starting { why: None };
                }
            }
        });
        self.book.see(&self.place, Seen::Adopted { pid });
    }

    async fn start(&mut self, mut job: Job, secrets: Disclosed, fresh: bool) -> Result<Kept> {
        if let Some(kept) = self.kept()
            && self.child.is_some()
        {
            if kept.job.key == job.key || (!fresh && kept.job.starts_like(&job)) {
                // The one that runs is the one that is wanted; its environment has the older key.
                job.key.clone_from(&kept.job.key);
                self.secrets = Some(secrets);
                return self.book.change(|table| {
                    let kept = Kept { job, ..table.process(&self.place).cloned().unwrap_or(kept) };
                    table.put_process(kept.clone());
                    kept
                });
            }
            self.halt(&kept).await;
        }
        // Started by an earlier call of this step, and never written down.
        let earlier = identity::with_key(&job.key, job.argv())?.as_ref().and_then(Child::adopt);
        let its_port = earlier.as_ref().and_then(|child| port_of(&child.identity));
        let at = self.book.now();
        // Written down before it is started, so that the next keeper knows the key to look for.
        let kept = self.book.change(|table| {
            let port = match its_port {
                Some(port) => Some(port),
                None => choose_port(&job, table, self.book.state_dir())?,
            };
            let phase = Phase::Starting { why: None };
            let kept = Kept { job: job.clone(), identity: None, port, phase, since: at, restarts: 0 };
            table.put_process(kept.clone());
            Ok::<Kept, Error>(kept)
        })??;
        let child = match earlier {
            Some(child) => Ok(child),
            None => {
                kill::point("keeper.spawn.before");
                let child = Child::start(&job, kept.port, &secrets);
                kill::point("keeper.spawn.after");
                child
            }
        };
        match child {
            Ok(child) => {
                let identity = child.identity.clone();
                self.secrets = Some(secrets);
                self.watch(child, &job);
                let pid = identity.pid;
                let kept = Kept { identity: Some(identity), ..kept };
                self.book.change(|table| table.put_process(kept.clone()))?;
                self.book.see(&self.place, Seen::Started { pid, port: kept.port });
                Ok(kept)
            }
            Err(error) => {
                self.forget()?;
                self.book.see(&self.place, Seen::StartFailed { why: format!("{error:?}") });
                Err(error)
            }
        }
    }

    async fn stop(&mut self) -> Result<()> {
        if let Some(kept) = self.kept() {
            self.halt(&kept).await;
        }
        self.rest();
        self.secrets = None;
        self.forget()
    }

    async fn halt(&mut self, kept: &Kept) {
        if let Some(child) = self.child.take() {
            kill::point("keeper.stop.before");
            let killed = child.stop(&kept.job, kept.port).await;
            kill::point("keeper.stop.after");
            self.book.see(&self.place, Seen::Stopped { killed });
        }
        self.rest();
        // A table that cannot be written is told by what is written next.
        let _ = self.forget();
    }

    fn forget(&self) -> Result<()> {
        self.book.change(|table| table.processes.retain(|kept| kept.job.place != self.place))
    }

    /// Nothing is waited for any more.
    fn rest(&mut self) {
        if let Some(look) = self.look.take() {
            look.abort();
        }
        (self.next_look, self.restart_at, self.bad_looks) = (None, None, 0);
    }

    fn watch(&mut self, child: Child, job: &Job) {
        self.rest();
        self.child = Some(child);
        self.key.clone_from(&job.key);
        self.started = Instant::now();
        self.next_look = Some(self.started + if job.probe == Probe::Alive { ALIVE } else { SOON / 4 });
    }

    fn after_end(&mut self, ending: Ending) {
        self.child = None;
        self.rest();
        self.book.see(&self.place, Seen::Exited(ending));
        let Some(kept) = self.kept() else { return };
        if kept.restarts == 0 && matches!(kept.phase, Phase::Starting { .. }) {
            // Whoever started it still waits for it, and hears of it.
            return self.set(Phase::Failed(ending));
        }
        self.again(&kept, ending);
    }

    fn again(&mut self, kept: &Kept, ending: Ending) {
        if self.secrets.is_none() {
            let why = "it ended, and the keeper that knew its secrets is gone; deploy again";
            self.book.see(&self.place, Seen::Lost { why: why.into() });
            return self.set(Phase::Lost { why: why.into() });
        }
        match backoff::next(kept.restarts, self.started.elapsed()) {
            Next::Again { attempt, after } => {
                let at = self.book.now() + after;
                self.restart_at = Some(Instant::now() + after);
                let after_ms = millis(after);
                self.book.see(&self.place, Seen::Restarting { attempt, of: backoff::TIMES, after_ms });
                let _ = self.book.change(|table| {
                    if let Some(kept) = table.process_mut(&self.place) {
                        kept.restarts = attempt;
                        kept.phase = Phase::Restarting { attempt, of: backoff::TIMES, at };
                    }
                });
            }
            Next::GiveUp => {
                self.book.see(&self.place, Seen::GaveUp { restarts: kept.restarts, last: ending });
                self.set(Phase::Failed(ending));
            }
        }
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        let Some(kept) = self.kept() else { return self.rest() };
        if self.restart_at.is_some_and(|at| at <= now) {
            self.restart_at = None;
            return self.restart(&kept);
        }
        if self.next_look.is_some_and(|at| at <= now) && self.look.is_none() {
            self.next_look = None;
            self.look = Some(tokio::spawn(look(kept)));
        }
    }

    fn restart(&mut self, kept: &Kept) {
        let secrets = self.secrets.clone().unwrap_or_default();
        match Child::start(&kept.job, kept.port, &secrets) {
            Ok(child) => {
                let identity = child.identity.clone();
                self.watch(child, &kept.job);
                self.book.see(&self.place, Seen::Restarted { pid: identity.pid, attempt: kept.restarts });
                let now = self.book.now();
                let _ = self.book.change(|table| {
                    if let Some(kept) = table.process_mut(&self.place) {
                        (kept.identity, kept.since) = (Some(identity), now);
                        kept.phase = Phase::Starting { why: None };
                    }
                });
            }
            Err(error) => {
                self.book.see(&self.place, Seen::StartFailed { why: format!("{error:?}") });
                self.started = Instant::now();
                self.again(kept, Ending::default());
            }
        }
    }

    fn after_look(&mut self, found: Result<(), String>) {
        let Some(kept) = self.kept() else { return };
        let ran = self.started.elapsed();
        match (&kept.phase, found) {
            (Phase::Ready, Ok(())) => self.look_in(LATER),
            (_, Ok(())) => {
                self.look_in(LATER);
                self.book.see(&self.place, Seen::Ready { after_ms: millis(ran) });
                self.set(Phase::Ready);
            }
            (Phase::Starting { .. }, Err(why)) if ran < Duration::from_secs(kept.job.ready_seconds) => {
                self.look_in(SOON.max(ran / 10).min(Duration::from_secs(1)));
                // Not worth a write to the disk each time.
                self.book.note(|table| {
                    if let Some(kept) = table.process_mut(&self.place) {
                        kept.phase = Phase::Starting { why: Some(why) };
                    }
                });
            }
            (Phase::Unhealthy { .. }, Err(_)) => self.look_in(LATER),
            (phase, Err(why)) => {
                self.bad_looks += 1;
                let bad_looks = self.bad_looks;
                self.look_in(AGAIN);
                self.bad_looks = bad_looks;
                if bad_looks >= BAD_LOOKS || matches!(phase, Phase::Starting { .. }) {
                    self.book.see(&self.place, Seen::Unhealthy { why: why.clone() });
                    self.set(Phase::Unhealthy { why });
                }
            }
        }
    }

    fn look_in(&mut self, pause: Duration) {
        self.bad_looks = 0;
        self.next_look = Some(Instant::now() + pause);
    }

    fn kept(&self) -> Option<Kept> {
        self.book.read(|table| table.process(&self.place).cloned())
    }

    fn set(&self, phase: Phase) {
        let now = self.book.now();
        // A table that cannot be written is told to the next who asks for something; keeping goes on.
        let _ = self.book.change(|table| {
            if let Some(kept) = table.process_mut(&self.place) {
                (kept.phase, kept.since) = (phase, now);
            }
        });
    }
}

/// One look at a process: it answers, and it is really itself who answers.
async fn look(kept: Kept) -> Result<(), String> {
    kept.job.probe.look(kept.port).await?;
    let (Some(port), Some(identity), false) =
        (kept.port, kept.identity, kept.job.probe == Probe::Alive || kept.phase == Phase::Ready)
    else {
        return Ok(());
    };
    let key = kept.job.key;
    let stranger = tokio::task::spawn_blocking(move || port::stranger(port, &identity, &key));
    match stranger.await {
        Ok(Some(pid)) => Err(format!("port {port} is served by {}", identity::describe(pid))),
        _ => Ok(()),
    }
}

async fn ended(child: Option<&Child>, key: &str) -> Ending {
    match child {
        Some(child) => child.ended(key).await,
        None => std::future::pending().await,
    }
}

async fn finished(look: &mut Option<JoinHandle<Result<(), String>>>) -> Result<(), String> {
    match look {
        Some(handle) => {
            let found = handle.await;
            *look = None;
            found.unwrap_or_else(|error| Err(error.to_string()))
        }
        None => std::future::pending().await,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The secrets of a process that an earlier keeper started: from the environment it was started with, where
/// that can still be read; no secret is ever written down.
fn recover(job: &Job, identity: &Identity) -> Option<Disclosed> {
    let environment = identity::environment(identity.pid);
    let value = |name: &String| {
        let (_, value) = environment.iter().find(|(other, _)| other == name)?;
        Some((name.clone(), code_core::Secret::new(value.as_str())))
    };
    job.secret_env.iter().map(value).collect::<Option<_>>().map(Disclosed::new)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
