//! What stands between the engine and every provider, always: the contract, time, panics, secrets, spans.
//!
//! ```text
//! engine ──▶ Guarded ── learns the secrets that the resource names ──▶ provider
//!               ▲                                                        │ an answer, a panic, or nothing
//!               └── in time? within the contract? no secret in it? ◀─────┘
//!                   texts: no control sequences, of a length that a person reads
//! ```
//!
//! The engine's builder wraps each provider in a [`Guarded`]; nobody has to remember to. A provider that
//! breaks its contract in a way that can be seen from outside gets an error, and nothing that it said is used.

mod clean;
mod contract;

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use tracing::Instrument;

use crate::guard::clean::Clean;
pub(crate) use crate::guard::contract::broken_promise;
use crate::provider::{
    Capabilities, Change, Failed, Health, Live, Observed, Provider, ProviderInfo, Resource,
};
use crate::scanner::{Report, Subject};
use crate::{Ctx, Error, ErrorKind, Result, Scanner, SecretRef};

/// The longest that a look at one resource, or the plan of one change, may take.
pub const LOOK_LIMIT: Duration = Duration::from_secs(5 * 60);
/// The longest that a provider may take to say whether its tool is here and works.
pub const HEALTH_LIMIT: Duration = Duration::from_secs(30);

/// A provider whose answers are held against its contract.
#[derive(Debug)]
pub struct Guarded(Arc<dyn Provider>);

impl Guarded {
    /// Guards a provider.
    pub fn new(provider: Arc<dyn Provider>) -> Guarded {
        Guarded(provider)
    }

    fn name(&self) -> &str {
        &self.0.info().name
    }

    fn span(&self, call: &'static str, resource: &Resource) -> tracing::Span {
        tracing::debug_span!("provider", name = %self.name(), call, address = %resource.address)
    }

    /// Before a look: the secrets that may come up are known, and none of them was written into what is wanted.
    async fn prepare(&self, ctx: &Ctx, resource: &Resource, last: Option<&Live>) -> Result<()> {
        ctx.learn(&named(resource, last)).await;
        match &resource.want {
            Some(want) if want.leaks(ctx) => Err(self.placed(ctx, contract::in_plain(resource), resource)),
            _ => Ok(()),
        }
    }

    /// The error, fit to be shown, with who and where.
    fn placed(&self, ctx: &Ctx, error: Error, resource: &Resource) -> Error {
        let said: Vec<&str> = error.context().map(|(name, _)| name).collect();
        let (provider, address) = (!said.contains(&"provider"), !said.contains(&"address"));
        let error = error.clean(ctx);
        let error = if provider { error.with("provider", self.name()) } else { error };
        let error = match error.help_text() {
            Some(_) => error,
            None => {
                error.help(format!("see the documentation of `{}`, and whether its tool works", self.name()))
            }
        };
        if address { error.with("address", resource.address.as_str()) } else { error }
    }

    /// An answer that is used only where it keeps the contract and gives no secret away.
    fn checked<T: Clean>(&self, ctx: &Ctx, call: &str, answer: T, broken: Option<String>) -> Result<T> {
        if let Some(what) = broken {
            return Err(contract::error(call, self.name(), &ctx.harmless(&what)));
        }
        if answer.leaks(ctx) {
            return Err(contract::leaked(call, self.name()));
        }
        Ok(answer.clean(ctx))
    }
}

#[async_trait]
impl Provider for Guarded {
    fn info(&self) -> &ProviderInfo {
        self.0.info()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn health(&self, ctx: &Ctx) -> Result<Health> {
        let health = answer(self.name(), "say whether it works", HEALTH_LIMIT, self.0.health(ctx)).await;
        Ok(health.and_then(|health| health).map_err(|error| error.clean(ctx))?.clean(ctx))
    }

    async fn observe(&self, ctx: &Ctx, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
        self.prepare(ctx, resource, last).await?;
        let what = format!("look at `{}`", resource.address);
        let look = self.0.observe(ctx, resource, last).instrument(self.span("observe", resource));
        let seen = answer(self.name(), &what, limit(ctx), look).await.and_then(|seen| seen);
        let seen = seen.and_then(|seen| {
            let broken = contract::of_observed(resource, &seen);
            self.checked(ctx, &what, seen, broken)
        });
        seen.map_err(|error| self.placed(ctx, error, resource))
    }

    async fn plan(&self, ctx: &Ctx, resource: &Resource, live: &Observed) -> Result<Change> {
        self.prepare(ctx, resource, live.live()).await?;
        let what = format!("plan `{}`", resource.address);
        let plan = self.0.plan(ctx, resource, live).instrument(self.span("plan", resource));
        let change = answer(self.name(), &what, limit(ctx), plan).await.and_then(|change| change);
        let change = change.and_then(|change| {
            let broken = contract::of_change(resource, live, &change);
            self.checked(ctx, &what, change, broken)
        });
        change.map_err(|error| self.placed(ctx, error, resource))
    }

    async fn apply(&self, ctx: &Ctx, change: &Change) -> Result<Option<Live>, Failed> {
        let resource = &change.resource;
        ctx.learn(&named(resource, change.prior.as_ref())).await;
        let what = format!("change `{}`", resource.address);
        let apply = self.0.apply(ctx, change).instrument(self.span("apply", resource));
        // How long a change may take is the run's to say.
        let lost = |error| Failed { error, left: Observed::Unknown("the call did not come back".to_owned()) };
        let done = caught(self.name(), &what, apply).await.map_err(lost).and_then(|done| done);
        let done = done.and_then(|live| {
            let broken = live.as_ref().and_then(contract::of_live);
            // What it did is done, whatever is wrong with what it says.
            let left = live.clone().map_or(Observed::Absent, |live| Observed::Present(live.clean(ctx)));
            self.checked(ctx, &what, live, broken).map_err(|error| Failed { error, left })
        });
        done.map_err(|failed| Failed {
            error: self.placed(ctx, failed.error, resource),
            left: failed.left.clean(ctx),
        })
    }
}

/// The secrets that a resource names now, and named when it was seen last.
pub(crate) fn named(resource: &Resource, last: Option<&Live>) -> BTreeSet<SecretRef> {
    let mut names = resource.want.as_ref().map(crate::Want::secrets).unwrap_or_default();
    if let Some(last) = last {
        names.extend(last.was.secrets());
        names.extend(crate::Want(last.outputs.clone()).secrets());
    }
    names
}

/// How long a look may take: as long as the caller waits, and never longer than [`LOOK_LIMIT`].
fn limit(ctx: &Ctx) -> Duration {
    ctx.left().map_or(LOOK_LIMIT, |left| left.min(LOOK_LIMIT))
}

/// What a scanner says, as a provider's answer: in time, and fit to be shown.
pub(crate) async fn judged(ctx: &Ctx, scanner: &dyn Scanner, subject: Subject<'_>) -> Result<Report> {
    let report = answer(scanner.name(), "judge", limit(ctx), scanner.scan(ctx, subject)).await;
    report.and_then(|report| report).map(|report| report.clean(ctx)).map_err(|error| error.clean(ctx))
}

/// What a call comes back with, in time.
async fn answer<T>(who: &str, what: &str, limit: Duration, call: impl Future<Output = T>) -> Result<T> {
    match tokio::time::timeout(limit, caught(who, what, call)).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::new(
            ErrorKind::Timeout,
            "provider::hangs",
            format!("{what}: `{who}` gave no answer within {} s", limit.as_secs()),
        )
        .help("see whether the tool or server behind it answers, and run the same command again")
        .transient()),
    }
}

thread_local! {
    static CALLING: Cell<u32> = const { Cell::new(0) };
}

/// Whether this thread is inside of a guarded call. A panic there is caught and becomes an error without secrets:
/// a program's own panic hook should stay silent, because the panic's text may hold one.
pub fn is_calling() -> bool {
    CALLING.get() > 0
}

/// What a call comes back with; a panic is a failure of that call alone.
async fn caught<T>(who: &str, what: &str, call: impl Future<Output = T>) -> Result<T> {
    let mut call = std::pin::pin!(AssertUnwindSafe(call).catch_unwind());
    let answer = std::future::poll_fn(|waker| {
        CALLING.set(CALLING.get() + 1);
        let polled = call.as_mut().poll(waker);
        CALLING.set(CALLING.get() - 1);
        polled
    });
    answer.await.map_err(|panic| {
        let said = std::io::Error::other(said(&*panic));
        Error::new(ErrorKind::Bug, "provider::panicked", format!("{what}: `{who}` panicked"))
            .help("report it to the author of the provider")
            .because(said)
    })
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it did not say why".to_owned())
}

#[cfg(test)]
mod tests;
