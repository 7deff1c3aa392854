//! The liars of the store's contract: a memory store, and one lie. Two views of it share what is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use code_core::conformance::store::Sample;
use code_core::conformance::{self, Suite};
use code_core::event::{Body, Event};
use code_core::local::LocalStore;
use code_core::memory::MemoryStore;
use code_core::store::{self, Lease, Seq, StateStore};
use code_core::{Ctx, Error, ErrorKind, Layout, Result, RunId};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use jiff::{SignedDuration, Timestamp};

/// The journal of this machine.
pub(crate) fn local() -> Suite {
    let open = |dir: &std::path::Path| Arc::new(LocalStore::new(&Layout::new(dir)));
    conformance::store(open, &Sample::new().reopen(move |_, dir| open(dir)))
}

pub(crate) fn honest() -> Suite {
    conformance::store(|_| Arc::new(MemoryStore::new()), &Sample::new().expires())
}

pub(crate) fn liar(rule: &'static str) -> Suite {
    let sample = Sample::new().expires().many(3_000).reopen(|first: &Arc<Liar>, _| {
        Arc::new(Liar {
            view: 1,
            inner: Arc::clone(&first.inner),
            memory: Arc::clone(&first.memory),
            ..**first
        })
    });
    let fresh = move |_: &std::path::Path| {
        Arc::new(Liar { lie: rule, view: 0, inner: Arc::default(), memory: Arc::default() })
    };
    conformance::store(fresh, &sample)
}

#[derive(Debug)]
struct Liar {
    lie: &'static str,
    view: usize,
    inner: Arc<MemoryStore>,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Debug, Default)]
struct Memory {
    held: BTreeMap<String, (Lease, Timestamp)>,
    released: BTreeSet<u64>,
    last_holder: Option<String>,
}

impl Liar {
    fn lies(&self, rule: &str) -> bool {
        self.lie == rule
    }

    /// The lease as the honest store knows it.
    fn real(&self, lease: &Lease) -> Lease {
        match self.lies("the_fence_grows") {
            true => Lease { fence: 1000 - lease.fence, ..lease.clone() },
            false => lease.clone(),
        }
    }

    fn last(&self, deployment: &str) -> Seq {
        Seq(self.inner.events(deployment).len() as u64)
    }
}

fn fake(deployment: &str, holder: &str) -> Lease {
    Lease { deployment: deployment.to_owned(), holder: holder.to_owned(), fence: 99, tie: None }
}

#[async_trait]
impl StateStore for Liar {
    async fn lease(&self, ctx: &Ctx, deployment: &str, holder: &str, ttl: Duration) -> Result<Lease> {
        let locked = |holder| Err(store::locked(deployment, holder, SignedDuration::ZERO));
        let now = ctx.host().now();
        let ttl_ = if self.lies("a_lease_whose_time_is_over_can_be_taken") { ttl * 1000 } else { ttl };
        if self.lies("a_released_lease_can_be_taken") {
            let last = self.memory.lock().unwrap().last_holder.clone();
            if last.is_some_and(|last| last != holder) {
                return locked("ann");
            }
        }
        let early = match self.lie {
            "an_append_begins_the_time_anew" => Some(ttl),
            "a_lease_lasts_for_as_long_as_was_asked" if self.last(deployment) == Seq::START => Some(ttl / 2),
            _ => None,
        };
        if let Some(early) = early {
            let held = self.memory.lock().unwrap().held.get(deployment).cloned();
            if let Some((lease, since)) = held
                && now.duration_since(since) >= SignedDuration::try_from(early).unwrap()
            {
                self.inner.release(ctx, lease).await?;
            }
        }
        let lease = self.inner.lease(ctx, deployment, holder, ttl_).await;
        match (self.lie, &lease) {
            ("a_second_holder_is_refused_and_told_the_first", Err(error))
                if error.code() == "store::locked" =>
            {
                return locked("somebody");
            }
            ("of_many_at_once_one_holds", Err(_)) if holder.starts_with("holder") => {
                return Ok(fake(deployment, holder));
            }
            ("what_is_no_name_is_refused", Err(_)) if deployment == "../x" => {
                return Ok(fake(deployment, holder));
            }
            _ => {}
        }
        let mut lease = lease?;
        self.memory.lock().unwrap().held.insert(deployment.to_owned(), (lease.clone(), now));
        if self.lies("the_fence_grows") {
            lease.fence = 1000 - lease.fence;
        }
        Ok(lease)
    }

    async fn release(&self, ctx: &Ctx, lease: Lease) -> Result<()> {
        let mut real = self.real(&lease);
        {
            let mut memory = self.memory.lock().unwrap();
            memory.last_holder = Some(lease.holder.clone());
            memory.released.insert(lease.fence);
            let held = memory.held.get(&lease.deployment).map(|(lease, _)| lease.clone());
            if self.lies("releasing_an_old_lease_frees_nobody_elses") {
                real = held.clone().unwrap_or(real);
            }
            if held.is_some_and(|held| held == real) {
                memory.held.remove(&lease.deployment);
            }
        }
        self.inner.release(ctx, real).await
    }

    async fn append(&self, ctx: &Ctx, lease: &Lease, after: Seq, events: &[Event]) -> Result<Seq> {
        let real = self.real(lease);
        let last = self.last(&lease.deployment);
        if self.lies("a_dropped_append_leaves_whole_batches") && events.len() == 5 && after == last {
            let mut at = after;
            for event in events {
                at = self.inner.append(ctx, &real, at, std::slice::from_ref(event)).await?;
                tokio::task::yield_now().await;
            }
            return Ok(at);
        }
        let answer = self.inner.append(ctx, &real, after, events).await;
        let Err(error) = &answer else { return answer };
        let released = self.memory.lock().unwrap().released.contains(&lease.fence);
        match (self.lie, error.code()) {
            ("a_batch_is_refused_as_a_whole", "store::conflict") if !events.is_empty() => {
                self.inner.append(ctx, &real, last, &events[..1]).await?;
                answer
            }
            ("a_place_that_is_not_the_last_is_refused", "store::conflict") => {
                self.inner.append(ctx, &real, last, events).await
            }
            ("a_released_lease_writes_nothing", "store::fenced") if released => Ok(last),
            ("an_overtaken_lease_writes_nothing", "store::fenced") if !released => Ok(last),
            ("every_refusal_says_what_to_do", "store::conflict") => {
                Err(Error::new(ErrorKind::Stale, "store::conflict", "write events"))
            }
            _ => answer,
        }
    }

    fn read<'a>(&'a self, deployment: &str, after: Seq) -> BoxStream<'a, Result<(Seq, Event)>> {
        let of = match (self.lie, deployment) {
            ("deployments_are_apart", "shop/production") => "shop/staging",
            _ => deployment,
        };
        let mut all = self.inner.events(of);
        let few = all.len() <= 3;
        let held = self.memory.lock().unwrap().held.contains_key(deployment);
        match self.lie {
            "what_was_appended_is_there_for_another" if self.view == 1 => all.clear(),
            "a_reader_needs_no_lease" if self.view == 1 && held => {
                return stream::iter([Err(store::fenced(deployment, 0))]).boxed();
            }
            "many_events_are_kept_without_a_gap" => all.truncate(2_000),
            "what_was_appended_is_read_back_in_order" if few => {
                for (_, event) in &mut all {
                    if let Body::StepSkipped { run: RunId(2), why, .. } = &mut event.body {
                        why.retain(|c| c != '\u{0}');
                    }
                }
            }
            _ => {}
        }
        let repeats = self.lies("reading_after_a_place_gives_the_rest") && after == Seq(2);
        let rest: Vec<_> = all.into_iter().filter(|(place, _)| repeats || *place > after).map(Ok).collect();
        stream::iter(rest).boxed()
    }

    fn deployments<'a>(&'a self) -> BoxStream<'a, Result<String>> {
        let released = self.memory.lock().unwrap().last_holder.is_some();
        match self.lie {
            "who_has_events_is_listed" => stream::empty().boxed(),
            "a_lease_without_an_append_leaves_no_deployment" if released => {
                stream::iter([Ok("shop/staging".to_owned())]).boxed()
            }
            _ => self.inner.deployments(),
        }
    }
}
