//! A store that lives as long as the process: the rules of a remote store, with leases that run out.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use jiff::Timestamp;

use super::lock;
use crate::event::Event;
use crate::store::{self, Lease, Seq, StateStore};
use crate::{Ctx, Deployment, Error, ErrorKind, Result};

/// Keeps events in memory.
///
/// A lease lasts for its `ttl` by the uptime of the host that took it, and each `append` under it begins its
/// time anew. One whose time is over may be overtaken; until it is, its holder can go on.
#[derive(Default)]
pub struct MemoryStore(Mutex<BTreeMap<String, Log>>);

#[derive(Clone, Default)]
struct Log {
    events: Vec<Event>,
    fence: u64,
    held: Option<Held>,
    /// How many appends are still to be refused, as a full disk would.
    faults: usize,
}

#[derive(Clone)]
struct Held {
    lease: Lease,
    since: Timestamp,
    /// By the uptime of the host.
    until: Duration,
    ttl: Duration,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// What another process would find, had the holder died when the journal was this long: the first
    /// events of each deployment, and no lease.
    #[must_use]
    pub fn as_of(&self, deployment: &str, last: Seq) -> MemoryStore {
        let mut logs = lock(&self.0).clone();
        for log in logs.values_mut() {
            log.held = None;
        }
        if let Some(log) = logs.get_mut(deployment) {
            log.events.truncate(usize::try_from(last.0).unwrap_or(usize::MAX));
        }
        MemoryStore(Mutex::new(logs))
    }

    /// The events of a deployment.
    pub fn events(&self, deployment: &str) -> Vec<(Seq, Event)> {
        lock(&self.0).get(deployment).map_or_else(Vec::new, |log| numbered(&log.events, Seq::START))
    }

    /// Loses the events of a deployment after a place, as the repair of a damaged journal does.
    pub fn forget(&self, deployment: &str, last: Seq) {
        if let Some(log) = lock(&self.0).get_mut(deployment) {
            log.events.truncate(usize::try_from(last.0).unwrap_or(usize::MAX));
        }
    }

    /// The next `times` appends to a deployment fail, as on a full disk.
    pub fn fail_appends(&self, deployment: &str, times: usize) {
        lock(&self.0).entry(deployment.to_owned()).or_default().faults = times;
    }
}

/// How many events there are, not which.
impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(lock(&self.0).iter().map(|(name, log)| (name, log.events.len()))).finish()
    }
}

fn numbered(events: &[Event], after: Seq) -> Vec<(Seq, Event)> {
    let skip = usize::try_from(after.0).unwrap_or(usize::MAX);
    (1..).map(Seq).zip(events.iter().cloned()).skip(skip).collect()
}

#[async_trait]
impl StateStore for MemoryStore {
    async fn lease(&self, ctx: &Ctx, deployment: &str, holder: &str, ttl: Duration) -> Result<Lease> {
        deployment.parse::<Deployment>()?;
        let (now, uptime) = (ctx.host().now(), ctx.host().uptime());
        let mut logs = lock(&self.0);
        let log = logs.entry(deployment.to_owned()).or_default();
        if let Some(held) = log.held.as_ref().filter(|held| uptime < held.until) {
            return Err(store::locked(deployment, &held.lease.holder, now.duration_since(held.since)));
        }
        log.fence += 1;
        let (deployment, holder) = (deployment.to_owned(), holder.to_owned());
        let lease = Lease { deployment, holder, fence: log.fence, tie: None };
        log.held = Some(Held { lease: lease.clone(), since: now, until: uptime.saturating_add(ttl), ttl });
        Ok(lease)
    }

    async fn release(&self, _: &Ctx, lease: Lease) -> Result<()> {
        if let Some(log) = lock(&self.0).get_mut(&lease.deployment) {
            log.held.take_if(|held| held.lease == lease);
        }
        Ok(())
    }

    async fn append(&self, ctx: &Ctx, lease: &Lease, after: Seq, events: &[Event]) -> Result<Seq> {
        let mut logs = lock(&self.0);
        let log = logs.entry(lease.deployment.clone()).or_default();
        let Some(held) = log.held.as_mut().filter(|held| held.lease == *lease) else {
            return Err(store::fenced(&lease.deployment, lease.fence));
        };
        held.until = ctx.host().uptime().saturating_add(held.ttl);
        let last = Seq(log.events.len() as u64);
        if after != last {
            return Err(store::conflict(&lease.deployment, after, last));
        }
        if log.faults > 0 {
            log.faults -= 1;
            return Err(Error::new(
                ErrorKind::Failed,
                "memory::fault",
                "append events: the store was told to fail",
            )
            .help("this is a fault that a test asked for"));
        }
        log.events.extend_from_slice(events);
        Ok(Seq(log.events.len() as u64))
    }

    fn read<'a>(&'a self, deployment: &str, after: Seq) -> BoxStream<'a, Result<(Seq, Event)>> {
        let events = lock(&self.0).get(deployment).map_or_else(Vec::new, |log| numbered(&log.events, after));
        stream::iter(events.into_iter().map(Ok)).boxed()
    }

    fn deployments<'a>(&'a self) -> BoxStream<'a, Result<String>> {
        let logs = lock(&self.0);
        let names: Vec<String> =
            logs.iter().filter(|(_, log)| !log.events.is_empty()).map(|(name, _)| name.clone()).collect();
        stream::iter(names.into_iter().map(Ok)).boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::TryStreamExt;

    use super::*;
    use crate::event::Body;
    use crate::memory::{MemoryHost, ctx};
    use crate::{RunId, StepId};

    const TTL: Duration = Duration::from_secs(60);

    fn event(n: u64) -> Event {
        let body = Body::StepSkipped { run: RunId(n), step: StepId(0), why: "x".into() };
        Event { at: Timestamp::UNIX_EPOCH, body }
    }

    #[tokio::test]
    async fn one_holder_writes_and_anybody_reads() {
        let store = MemoryStore::new();
        let ctx = ctx(&Arc::new(MemoryHost::new()));
        let lease = store.lease(&ctx, "shop/staging", "ann", TTL).await.unwrap();
        let other = store.lease(&ctx, "shop/staging", "bob", TTL).await.unwrap_err();
        assert_eq!(other.code(), "store::locked");
        assert!(other.message().contains("ann"), "{other}");
        let last = store.append(&ctx, &lease, Seq::START, &[event(1), event(2)]).await.unwrap();
        assert_eq!(last, Seq(2));
        let stale = store.append(&ctx, &lease, Seq(1), &[event(3)]).await.unwrap_err();
        assert_eq!(stale.code(), "store::conflict");
        store.release(&ctx, lease.clone()).await.unwrap();
        let gone = store.append(&ctx, &lease, last, &[event(3)]).await.unwrap_err();
        assert_eq!(gone.code(), "store::fenced");
        let read: Vec<_> = store.read("shop/staging", Seq(1)).try_collect().await.unwrap();
        assert_eq!(read, [(Seq(2), event(2))]);
        let names: Vec<_> = store.deployments().try_collect().await.unwrap();
        assert_eq!(names, ["shop/staging"]);
        assert!(store.lease(&ctx, "../x", "ann", TTL).await.is_err());
    }

    #[tokio::test]
    async fn a_lease_whose_time_is_over_can_be_overtaken() {
        let store = MemoryStore::new();
        let host = Arc::new(MemoryHost::new());
        let ctx = ctx(&host);
        let first = store.lease(&ctx, "shop/staging", "ann", TTL).await.unwrap();
        host.advance(TTL / 2);
        store.append(&ctx, &first, Seq(0), &[event(1)]).await.unwrap();
        host.advance(TTL * 3 / 4);
        let early = store.lease(&ctx, "shop/staging", "bob", TTL).await.unwrap_err();
        assert_eq!(early.code(), "store::locked", "an append begins the time anew");
        // Neither is anybody overtaken because a clock was set, nor waited for.
        host.set_ahead(TTL * 100);
        let ahead = store.lease(&ctx, "shop/staging", "bob", TTL).await.unwrap_err();
        assert_eq!(ahead.code(), "store::locked");
        host.set_back(TTL * 200);
        host.advance(TTL);
        let second = store.lease(&ctx, "shop/staging", "bob", TTL).await.unwrap();
        assert!(second.fence > first.fence);
        let late = store.append(&ctx, &first, Seq(1), &[event(2)]).await.unwrap_err();
        assert_eq!(late.code(), "store::fenced");
    }

    #[tokio::test]
    async fn a_copy_has_what_a_crash_would_leave() {
        let store = MemoryStore::new();
        let ctx = ctx(&Arc::new(MemoryHost::new()));
        let lease = store.lease(&ctx, "shop/staging", "ann", TTL).await.unwrap();
        store.append(&ctx, &lease, Seq(0), &[event(1), event(2)]).await.unwrap();
        let copy = store.as_of("shop/staging", Seq(1));
        assert_eq!(copy.events("shop/staging"), [(Seq(1), event(1))]);
        let next = copy.lease(&ctx, "shop/staging", "bob", TTL).await.unwrap();
        assert!(next.fence > lease.fence);
    }
}
