//! A provider to which everything happens that happens to providers.
//!
//! ```text
//! engine ──▶ Chaos ──▶ the real provider ──▶ what exists
//!              │  slow · fails before · loses the reply · does half · panics · hangs · reads what was
//!              └──▶ Record: looked, called, effect, returned
//! ```
//!
//! What goes wrong follows from the seed, the resource and how often it was called, not from who is first.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::dice::Dice;
use super::record::{Entry, Life};
use crate::provider::{
    Action, Capabilities, Change, Failed, Health, Live, Observed, Provider, ProviderInfo, Resource,
};
use crate::{Address, Ctx, Error, ErrorKind, Key, Result};

/// How half of a change is made; only who owns the world can say.
pub type Half = Arc<dyn Fn(&Change) + Send + Sync>;

/// How much goes wrong, and what is known of the world; it outlives every engine.
#[derive(Debug)]
pub struct Weather {
    seed: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// How many of a hundred calls go wrong.
    trouble: usize,
    /// How many of a thousand writes fail.
    disk: usize,
    writes: u64,
    calls: BTreeMap<Address, u64>,
    /// What the next look under a key is told, although it is so no more.
    stale: BTreeMap<(Address, Key), Observed>,
    known: BTreeMap<Address, Resource>,
}

/// Longer than any lease.
const HANGS: Duration = Duration::from_secs(10 * 60);

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    None,
    /// It fails before it does anything.
    Early(bool),
    /// It makes the change and does not come back with a word on it.
    LostReply,
    /// It makes the change, fails for good and says what it left.
    FailsAfter,
    /// It makes half of the change and fails.
    Half(bool),
    Panics,
    Hangs,
}

impl Weather {
    /// The weather of a seed, in which so many of a hundred calls and of a thousand writes go wrong.
    pub fn new(seed: u64, trouble: usize, disk: usize) -> Arc<Weather> {
        Arc::new(Weather { seed, inner: Mutex::new(Inner { trouble, disk, ..Inner::default() }) })
    }

    /// From here on nothing goes wrong any more.
    pub fn calm(&self) {
        let mut inner = self.inner();
        inner.trouble = 0;
        inner.disk = 0;
        inner.stale.clear();
    }

    /// Whether the next write finds no room.
    pub fn disk_is_full(&self) -> bool {
        let mut inner = self.inner();
        inner.writes += 1;
        Dice::new(self.seed ^ inner.writes.rotate_left(20)).roll(1000) < inner.disk
    }

    /// Every resource that anybody ever looked at.
    pub fn known(&self) -> Vec<Resource> {
        self.inner().known.values().cloned().collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The dice of the next call there, and how much goes wrong.
    fn dice(&self, address: &Address) -> (Dice, usize) {
        let mut inner = self.inner();
        let calls = inner.calls.entry(address.clone()).or_default();
        *calls += 1;
        let seed = self.seed ^ calls.rotate_left(40);
        (Dice::of(seed, address.as_str().as_bytes()), inner.trouble)
    }
}

/// A provider under chaos, used by one engine.
pub struct Chaos {
    provider: Arc<dyn Provider>,
    half: Option<Half>,
    life: Arc<Life>,
    weather: Arc<Weather>,
}

impl Chaos {
    /// A provider, as one engine sees it in this weather.
    pub fn new(
        provider: Arc<dyn Provider>,
        half: Option<Half>,
        life: &Arc<Life>,
        weather: &Arc<Weather>,
    ) -> Chaos {
        Chaos { provider, half, life: Arc::clone(life), weather: Arc::clone(weather) }
    }

    fn mishap(&self, dice: &mut Dice, trouble: usize) -> Mishap {
        if !dice.percent(trouble) {
            return Mishap::None;
        }
        match dice.roll(16) {
            0..=3 => Mishap::Early(true),
            4 => Mishap::Early(false),
            5..=8 => Mishap::LostReply,
            9 => Mishap::FailsAfter,
            10..=12 if self.half.is_some() => Mishap::Half(true),
            13 if self.half.is_some() => Mishap::Half(false),
            14 => Mishap::Panics,
            15 => Mishap::Hangs,
            _ => Mishap::Early(true),
        }
    }

    /// Waits; where the call heeds it, a cancellation ends it.
    async fn wait(&self, ctx: &Ctx, time: Duration, heeds: bool) -> Result<(), Failed> {
        let nap = async {
            if !time.is_zero() {
                ctx.host().sleep(time).await;
            }
        };
        tokio::select! {
            biased;
            () = ctx.cancel().cancelled(), if heeds => Err(Failed::from(
                Error::new(ErrorKind::Cancelled, "sim::mishap", "finish a call that was cancelled")
                    .help("this is a simulation: its weather did it"),
            )),
            () = nap => Ok(()),
        }
    }

    async fn settled(&self, ctx: &Ctx, resource: &Resource, told: &Observed) -> Option<bool> {
        match (told, &resource.want) {
            (Observed::Unknown(_) | Observed::NotYet(_), _) => None,
            (Observed::Absent, want) => Some(want.is_none()),
            (Observed::Present(_), None) => Some(false),
            (Observed::Present(_), Some(_)) => {
                self.provider.plan(ctx, resource, told).await.ok().map(|c| c.action == Action::Keep)
            }
        }
    }

    async fn change(&self, ctx: &Ctx, change: &Change) -> Result<Option<Live>, Failed> {
        let resource = &change.resource;
        let (mut dice, trouble) = self.weather.dice(&resource.address);
        let mishap = self.mishap(&mut dice, trouble);
        let heeds = dice.one_in(2);
        let mut nap = || match dice.roll(12) {
            0..=5 => Duration::ZERO,
            n => Duration::from_millis(1 + 37 * (n * n * n) as u64),
        };
        let (before, after) = (nap(), nap());
        let stale = dice.percent(trouble / 4);
        self.life.moment().await;
        self.wait(ctx, before, heeds).await?;
        self.life.moment().await;
        match mishap {
            Mishap::Hangs => {
                self.wait(ctx, HANGS, true).await?;
                return Err(mishap_error(dice.one_in(2)).into());
            }
            // Not `panic!`: nobody needs to read of it.
            Mishap::Panics if dice.one_in(2) => std::panic::resume_unwind(Box::new("a simulated panic")),
            Mishap::Early(transient) => return Err(mishap_error(transient).into()),
            _ => {}
        }
        let was =
            self.provider.observe(ctx, resource, change.prior.as_ref()).await.unwrap_or(Observed::Absent);
        // A stale look may have led here, where it is done already: nothing of that is done by half then.
        let done = self.settled(ctx, resource, &was).await == Some(true);
        let result = match (mishap, &self.half) {
            (Mishap::Half(_), Some(half)) if !done => {
                half(change);
                Ok(None)
            }
            _ => self.provider.apply(ctx, change).await,
        };
        let is =
            self.provider.observe(ctx, resource, change.prior.as_ref()).await.unwrap_or(Observed::Absent);
        if was != is {
            let whole = self.settled(ctx, resource, &is).await == Some(true);
            let (address, key) = (resource.address.clone(), ctx.key());
            if stale {
                self.weather.inner().stale.insert((address.clone(), key), was);
            }
            self.life.record.note(Entry::Effect { life: self.life.number, address, key, whole });
        }
        self.life.moment().await;
        self.wait(ctx, after, false).await?;
        self.life.moment().await;
        match mishap {
            Mishap::Panics => std::panic::resume_unwind(Box::new("a simulated panic")),
            Mishap::LostReply => Err(mishap_error(true).into()),
            Mishap::FailsAfter => Err(Failed { error: mishap_error(false), left: is }),
            Mishap::Half(transient) => Err(Failed {
                error: mishap_error(transient),
                left: if dice.one_in(2) { is } else { Observed::Unknown("it broke off".to_owned()) },
            }),
            _ => result,
        }
    }
}

#[async_trait]
impl Provider for Chaos {
    fn info(&self) -> &ProviderInfo {
        self.provider.info()
    }

    fn capabilities(&self) -> Capabilities {
        self.provider.capabilities()
    }

    async fn health(&self, ctx: &Ctx) -> Result<Health> {
        self.provider.health(ctx).await
    }

    async fn observe(&self, ctx: &Ctx, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
        let (mut dice, trouble) = self.weather.dice(&resource.address);
        self.weather.inner().known.insert(resource.address.clone(), resource.clone());
        self.life.moment().await;
        if dice.percent(trouble / 2) {
            ctx.host().sleep(Duration::from_millis(1 + dice.roll(2000) as u64)).await;
        }
        let stale = self.weather.inner().stale.remove(&(resource.address.clone(), ctx.key()));
        let told = match dice.roll(4) {
            0 if dice.percent(trouble / 2) => Err(mishap_error(dice.one_in(2))),
            1 | 2 if dice.percent(trouble / 2) => Ok(Observed::Unknown("nobody answers".to_owned())),
            _ => match stale {
                Some(was) => Ok(was),
                None => self.provider.observe(ctx, resource, last).await,
            },
        };
        let settled = match &told {
            Ok(told) => self.settled(ctx, resource, told).await,
            Err(_) => None,
        };
        let (life, address, key) = (self.life.number, resource.address.clone(), ctx.key());
        self.life.record.note(Entry::Looked { life, address, key, settled });
        told
    }

    async fn plan(&self, ctx: &Ctx, resource: &Resource, live: &Observed) -> Result<Change> {
        let (mut dice, trouble) = self.weather.dice(&resource.address);
        if dice.percent(trouble / 8) {
            return Err(mishap_error(dice.one_in(2)));
        }
        self.provider.plan(ctx, resource, live).await
    }

    async fn apply(&self, ctx: &Ctx, change: &Change) -> Result<Option<Live>, Failed> {
        let (life, address, key) = (self.life.number, change.resource.address.clone(), ctx.key());
        self.life.record.note(Entry::Called { life, address: address.clone(), key });
        let result = self.change(ctx, change).await;
        self.life.record.note(Entry::Returned { life, address, key, good: result.is_ok() });
        result
    }
}

impl fmt::Debug for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chaos").field("provider", &self.provider).finish_non_exhaustive()
    }
}

fn mishap_error(transient: bool) -> Error {
    let error = Error::new(ErrorKind::Failed, "sim::mishap", "do what was asked: it was a bad day")
        .help("this is a simulation: its weather did it");
    if transient { error.transient() } else { error }
}
