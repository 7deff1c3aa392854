//! The boundary to memory: one append-only sequence of events a deployment, and a lease to write it.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::host::Tie;
use crate::{Ctx, Error, ErrorKind, Result};

/// The place of an event in its deployment, counted from 1; `Seq(0)` is before the first.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// Before the first event.
    pub const START: Seq = Seq(0);

    /// The next place.
    #[must_use]
    pub fn next(self) -> Seq {
        Seq(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The right to write the events of one deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The deployment.
    pub deployment: String,
    /// Who holds it, as a person would name them.
    pub holder: String,
    /// Grows with each lease of the deployment: a write under an older one is refused.
    pub fence: u64,
    /// What the commands that are run under it keep alive, where it lives no longer than its holder.
    pub tie: Option<Tie>,
}

/// Keeps the events of deployments.
///
/// A deployment is called as its [`Deployment`](crate::Deployment) is written: `application/environment`.
///
/// # Behavior
/// - `append` writes all of the events or none, and they are durable when it returns.
/// - `append` is refused where `after` is not the last place (`store::conflict`), and under a lease that was
///   released, lost or overtaken (`store::fenced`).
/// - Two holders never both succeed: a second `lease` is `store::locked`, naming the holder, until the first
///   is released, its holder is gone, or its time (where the store has one) is over.
/// - A lease outlives the commands that were run under it, also where its holder was killed: otherwise the next
///   holder would work beside an orphan. A store that sees its holder die gives a [`Tie`], and `lease` waits for
///   what is left of the dead one. A store with a time limit keeps to the one that it is asked for, and the engine
///   refuses a host whose grace is as long.
/// - Each lease of a deployment has a greater fence than all before it that wrote, or were not given back.
/// - A lease under which nothing was written leaves no deployment.
/// - Where a lease has an end, each `append` under it begins its time anew, also one of no events: so a run that
///   has nothing to write keeps it.
/// - A kill during `append` leaves a prefix of whole batches.
/// - `read` needs no lease and works during a run; it ends with the last event that was there when it got
///   to it.
/// - What was appended is read back byte for byte, in order.
#[async_trait]
pub trait StateStore: fmt::Debug + Send + Sync + 'static {
    /// Takes the right to write a deployment's events.
    async fn lease(&self, ctx: &Ctx, deployment: &str, holder: &str, ttl: Duration) -> Result<Lease>;
    /// Gives it back.
    async fn release(&self, ctx: &Ctx, lease: Lease) -> Result<()>;
    /// Writes events after the place `after`, and gives the place of the last.
    async fn append(&self, ctx: &Ctx, lease: &Lease, after: Seq, events: &[Event]) -> Result<Seq>;
    /// The events after a place, in order.
    fn read<'a>(&'a self, deployment: &str, after: Seq) -> BoxStream<'a, Result<(Seq, Event)>>;
    /// The deployments that have events.
    fn deployments<'a>(&'a self) -> BoxStream<'a, Result<String>>;
}

/// The error of a lease that somebody else holds: who, and for how long.
pub fn locked(deployment: &str, holder: &str, held: SignedDuration) -> Error {
    let held = held.as_secs().max(0);
    let held = match held {
        0..=119 => format!("{held} s"),
        120..=7199 => format!("{} min", held / 60),
        _ => format!("{} h", held / 3600),
    };
    Error::new(
        ErrorKind::Locked,
        "store::locked",
        format!("change {deployment}: {holder} has held it for {held}"),
    )
    .help("wait until it ends, or end it: what it had begun is taken up where it stopped")
    .with("deployment", deployment)
    .with("holder", holder)
}

/// The error of a write under a lease that was released, lost or overtaken.
pub fn fenced(deployment: &str, fence: u64) -> Error {
    Error::new(
        ErrorKind::Locked,
        "store::fenced",
        format!("write events of {deployment}: the lease is no longer held"),
    )
    .help("resume the run: it takes a new lease and looks at what is there")
    .with("deployment", deployment)
    .with("fence", fence.to_string())
}

/// The error of a write after a place that is not the last.
pub fn conflict(deployment: &str, after: Seq, last: Seq) -> Error {
    Error::new(
        ErrorKind::Stale,
        "store::conflict",
        format!("write events of {deployment} after {after}: the last is {last}"),
    )
    .help("read what was written since, and decide again")
    .with("deployment", deployment)
}
