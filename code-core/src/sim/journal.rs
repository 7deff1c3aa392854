//! A store whose writers can die before or after a write, and whose disk can be full.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::chaos::Weather;
use super::record::{Entry, Life};
use crate::event::{Body, Event};
use crate::store::{self, Lease, Seq, StateStore};
use crate::{Ctx, Error, ErrorKind, Result};

/// How often others get their turn during a write.
const SLOW: usize = 8;

/// A store as one engine sees it: every write is a place where that engine can die.
#[derive(Debug)]
pub struct Journal {
    store: Arc<dyn StateStore>,
    life: Arc<Life>,
    weather: Arc<Weather>,
}

impl Journal {
    /// A store, as one engine sees it in this weather.
    pub fn new(store: Arc<dyn StateStore>, life: &Arc<Life>, weather: &Arc<Weather>) -> Journal {
        Journal { store, life: Arc::clone(life), weather: Arc::clone(weather) }
    }
}

#[async_trait]
impl StateStore for Journal {
    async fn lease(&self, ctx: &Ctx, deployment: &str, holder: &str, ttl: Duration) -> Result<Lease> {
        self.life.moment().await;
        let lease = self.store.lease(ctx, deployment, holder, ttl).await;
        self.life.moment().await;
        lease
    }

    async fn release(&self, ctx: &Ctx, lease: Lease) -> Result<()> {
        self.life.moment().await;
        self.store.release(ctx, lease).await
    }

    async fn append(&self, ctx: &Ctx, lease: &Lease, after: Seq, events: &[Event]) -> Result<Seq> {
        let life = self.life.number;
        let refused = |error| {
            self.life.record.note(Entry::Refused { life });
            error
        };
        self.life.record.note(Entry::Writes { life });
        self.life.moment().await;
        // A disk takes its time, and others go on meanwhile.
        for _ in 0..SLOW {
            tokio::task::yield_now().await;
        }
        if self.life.has_lost() {
            return Err(refused(store::fenced(&lease.deployment, lease.fence)));
        }
        if self.weather.disk_is_full() {
            return Err(refused(full()));
        }
        let last = self.store.append(ctx, lease, after, events).await.map_err(refused)?;
        let mut seq = after;
        if events.iter().any(|event| matches!(event.body, Body::UndoStarted { .. })) {
            self.life.turns_back();
        }
        for event in events {
            seq = seq.next();
            self.life.record.note(Entry::Wrote { life, seq, event: Box::new(event.clone()) });
        }
        self.life.moment().await;
        if self.weather.disk_is_full() {
            return Err(refused(full()));
        }
        Ok(last)
    }

    fn read<'a>(&'a self, deployment: &str, after: Seq) -> BoxStream<'a, Result<(Seq, Event)>> {
        self.store.read(deployment, after)
    }

    fn deployments<'a>(&'a self) -> BoxStream<'a, Result<String>> {
        self.store.deployments()
    }
}

fn full() -> Error {
    Error::new(ErrorKind::Failed, "sim::mishap", "write events: the disk is full")
        .help("this is a simulation: its weather did it")
}
