//! A provider whose resources are entries of a map.
//!
//! ```text
//! want                         output
//! NAME = value                 NAME          as wanted
//! later.NAME = value           NAME          known only after it is made or that value changes
//! fixed.NAME = value           fixed.NAME    another value makes another resource: replace, not update
//! irreversible = why           irreversible  changes of it cannot be taken back
//!                              id            who it is: another one for each that is made
//! ```

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::world::{Call, Calling, Fault, Inner, World};
use crate::expr::{Expr, Want, plain};
use crate::provider::{
    Action, Capabilities, Change, Class, Effects, Failed, Health, Live, Observed, Promise, Provider,
    ProviderInfo, Resource, Reversal,
};
use crate::{Ctx, Digest, Error, ErrorKind, Result, Secret};

/// Serves resources of the kind `memory` that exist in a [`World`].
#[derive(Clone, Debug)]
pub struct MemoryProvider {
    info: ProviderInfo,
    capabilities: Capabilities,
    health: Health,
    world: World,
}

impl MemoryProvider {
    /// The provider `memory` of the kind `memory`.
    pub fn new(world: World) -> MemoryProvider {
        MemoryProvider::named("memory", "memory", world)
    }

    /// A provider of another name and kind.
    pub fn named(name: &str, kind: &'static str, world: World) -> MemoryProvider {
        MemoryProvider {
            info: ProviderInfo {
                name: name.to_owned(),
                summary: "keeps resources in memory".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            capabilities: Capabilities {
                kinds: vec![kind],
                update: true,
                replace: true,
                concurrency: 16,
                class: Class::Io,
            },
            health: Health::Ready { version: "memory".to_owned() },
            world,
        }
    }

    /// With a limit of its own on how many steps run at once.
    #[must_use]
    pub fn concurrency(mut self, limit: usize) -> MemoryProvider {
        self.capabilities.concurrency = limit;
        self
    }

    /// With steps that spend something else.
    #[must_use]
    pub fn class(mut self, class: Class) -> MemoryProvider {
        self.capabilities.class = class;
        self
    }

    /// With another state of its tool.
    #[must_use]
    pub fn health(mut self, health: Health) -> MemoryProvider {
        self.health = health;
        self
    }

    /// The world that it changes.
    pub fn world(&self) -> &World {
        &self.world
    }

    fn called(&self, ctx: &Ctx, calling: Calling, resource: &Resource) {
        let call = Call { calling, address: resource.address.clone(), key: ctx.key() };
        self.world.inner(|inner| inner.calls.push(call));
    }

    fn look(&self, resource: &Resource) -> Observed {
        self.world.inner(|inner| match inner.hidden.get(&resource.address) {
            Some(why) => Observed::Unknown(why.clone()),
            None => match inner.there.get(&resource.address) {
                Some(live) => Observed::Present(live.clone()),
                None => Observed::Absent,
            },
        })
    }

    /// Waits as long as the call takes, or for ever; ends early when it is cancelled.
    async fn wait(&self, ctx: &Ctx, change: &Change, fault: Option<Fault>) -> Result<(), Failed> {
        let time = self.world.inner(|inner| inner.takes.get(&change.resource.address).copied());
        let done = async {
            match (fault, time) {
                (Some(Fault::Hangs), _) => std::future::pending().await,
                (_, Some(time)) => ctx.host().sleep(time).await,
                (_, None) => {}
            }
        };
        tokio::select! {
            biased;
            () = ctx.cancel().cancelled() => Err(Failed {
                error: Error::new(ErrorKind::Cancelled, "memory::cancelled", "finish a call that was cancelled")
                    .help("run it again: nothing of it was done"),
                left: self.look(&change.resource),
            }),
            () = done => Ok(()),
        }
    }
}

#[async_trait]
impl Provider for MemoryProvider {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    async fn health(&self, _: &Ctx) -> Result<Health> {
        Ok(self.health.clone())
    }

    async fn observe(&self, ctx: &Ctx, resource: &Resource, _: Option<&Live>) -> Result<Observed> {
        self.called(ctx, Calling::Observe, resource);
        Ok(self.look(resource))
    }

    async fn plan(&self, ctx: &Ctx, resource: &Resource, live: &Observed) -> Result<Change> {
        self.called(ctx, Calling::Plan, resource);
        plan(resource, live)
    }

    async fn apply(&self, ctx: &Ctx, change: &Change) -> Result<Option<Live>, Failed> {
        self.called(ctx, Calling::Apply, &change.resource);
        let _busy = Busy::begin(&self.world);
        let address = &change.resource.address;
        let fault =
            self.world.inner(|inner| inner.faults.get_mut(address).and_then(|faults| faults.pop_front()));
        self.wait(ctx, change, fault).await?;
        match fault {
            Some(Fault::Transient) => {
                return Err(Failed { error: told_to_fail().transient(), left: self.look(&change.resource) });
            }
            Some(Fault::Permanent) => {
                return Err(Failed { error: told_to_fail(), left: self.look(&change.resource) });
            }
            _ => {}
        }
        for name in change.resource.wanted().secrets() {
            // As a real tool's first start does: what is not there yet is made.
            let make = || Ok(Secret::new(Digest::of(name.0.as_bytes()).short()));
            ctx.secret_or_make(&name, make).await?;
        }
        let call = Call { calling: Calling::Effect, address: address.clone(), key: ctx.key() };
        let live = self.world.inner(|inner| become_so(inner, &change.resource, call))?;
        if fault == Some(Fault::AfterEffect) {
            return Err(Failed::from(told_to_fail().transient()));
        }
        Ok(live)
    }
}

fn told_to_fail() -> Error {
    Error::new(ErrorKind::Failed, "memory::fault", "apply a change: the provider was told to fail")
        .help("this is a fault that a test asked for")
}

/// What would have to change: pure.
fn plan(resource: &Resource, live: &Observed) -> Result<Change> {
    let name = resource.address.as_str();
    let change = match (live, &resource.want) {
        (Observed::Unknown(why), _) => {
            return Err(Error::new(
                ErrorKind::Failed,
                "memory::unknown",
                format!("plan a change of `{name}`, which cannot be observed: {why}"),
            )
            .help("make it observable, and plan again"));
        }
        (Observed::Present(live), None) => {
            let change =
                Change::from_live(Action::Delete, resource, live, Effects::one(Action::Delete, name));
            another_one(change.why("no longer wanted"), &live.was)
        }
        (Observed::Absent | Observed::NotYet(_), None) => Change {
            action: Action::Keep,
            reversal: Reversal::Reversible(Box::new(resource.clone())),
            ..Change::create(resource, Effects::none())
        },
        (Observed::Absent, Some(_)) => {
            Change::create(resource, Effects::one(Action::Create, name)).why("does not exist")
        }
        (Observed::NotYet(at), Some(_)) => {
            let why = format!("where it lives is an output of {at}");
            Change::create(resource, Effects::Open { at_most: Action::Update, why }).why("not known yet")
        }
        (Observed::Present(live), Some(want)) if live.was == *want && live.drift.is_empty() => {
            Change::keep(resource, live)
        }
        (Observed::Present(live), Some(want)) if fixed(want) != fixed(&live.was) => {
            let effects = Effects::one(Action::Replace, name);
            let change = Change::from_live(Action::Replace, resource, live, effects);
            another_one(change.why("a fixed value changed"), &live.was)
        }
        (Observed::Present(live), Some(_)) => {
            let why = live.drift.first().map_or("a value changed", String::as_str);
            Change::from_live(Action::Update, resource, live, Effects::one(Action::Update, name)).why(why)
        }
    };
    Ok(one_way(promised(change)))
}

fn fixed(want: &Want) -> BTreeMap<&str, &Expr> {
    want.group("fixed")
}

/// What was taken away comes back under another id.
fn another_one(change: Change, was: &Want) -> Change {
    let to = Box::new(Resource { want: Some(was.clone()), ..change.resource.clone() });
    change.reversal(Reversal::Compensable { to, but: "it comes back under another id".to_owned() })
}

/// A resource that says so cannot be taken back.
fn one_way(change: Change) -> Change {
    if change.action == Action::Keep {
        return change;
    }
    let prior = change.prior.as_ref().map(|live| &live.was);
    let says = |want: &Want| want.get("irreversible").and_then(Expr::known).map(|why| plain(&why));
    match change.resource.want.as_ref().or(prior).and_then(says) {
        Some(why) => change.reversal(Reversal::Irreversible(why)),
        None => change,
    }
}

/// Says of each output whether it is known already.
fn promised(mut change: Change) -> Change {
    let Some(want) = &change.resource.want else { return change };
    let prior =
        change.prior.as_ref().filter(|_| change.action <= Action::Update && change.action != Action::Create);
    let stays = |output: &str| match prior.and_then(|live| live.outputs.get(output)) {
        Some(value) => Promise::Stays(value.clone()),
        None => Promise::Later,
    };
    let mut outputs = BTreeMap::from([("id".to_owned(), stays("id"))]);
    for (name, value) in &want.0 {
        let (output, promise) = match name.strip_prefix("later.") {
            Some(output) if prior.is_some_and(|live| live.was.get(name) == Some(value)) => {
                (output, stays(output))
            }
            Some(output) => (output, Promise::Later),
            None if value.is_bound() => (name.as_str(), Promise::Stays(value.clone())),
            None => (name.as_str(), Promise::Later),
        };
        outputs.insert(output.to_owned(), promise);
    }
    change.outputs = outputs;
    change
}

/// Makes the world as wanted; what is so already stays untouched, whatever the key.
fn become_so(inner: &mut Inner, resource: &Resource, effect: Call) -> Result<Option<Live>> {
    let address = &resource.address;
    let Some(want) = &resource.want else {
        if inner.there.remove(address).is_some() {
            inner.calls.push(effect);
        }
        return Ok(None);
    };
    if !want.is_bound() {
        return Err(Error::new(
            ErrorKind::Bug,
            "want::unbound",
            format!("make `{address}` of values that are not known yet"),
        )
        .help("report this: a step's references must be bound before it is applied"));
    }
    let before = inner.there.get(address);
    if let Some(live) = before.filter(|live| live.was == *want && live.drift.is_empty()) {
        return Ok(Some(live.clone()));
    }
    let id = match before {
        Some(live) if fixed(&live.was) == fixed(want) => live.id.clone(),
        _ => {
            inner.made += 1;
            format!("{address}#{}", inner.made)
        }
    };
    let mut outputs: BTreeMap<String, Expr> = want
        .0
        .iter()
        .map(|(name, value)| (name.strip_prefix("later.").unwrap_or(name).to_owned(), value.clone()))
        .collect();
    outputs.insert("id".to_owned(), id.as_str().into());
    let live = Live { id, was: want.clone(), outputs, drift: Vec::new() };
    inner.there.insert(address.clone(), live.clone());
    inner.calls.push(effect);
    Ok(Some(live))
}

/// Counts an `apply` as under way for as long as its future lives.
struct Busy<'a>(&'a World);

impl Busy<'_> {
    fn begin(world: &World) -> Busy<'_> {
        world.inner(|inner| {
            inner.busy += 1;
            inner.busiest = inner.busiest.max(inner.busy);
        });
        Busy(world)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.inner(|inner| inner.busy -= 1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Address;
    use crate::memory::{MemoryHost, ctx};

    fn at(address: &str) -> Address {
        address.parse().unwrap()
    }

    fn web(size: u16) -> Resource {
        Resource::new(
            at("web/part"),
            "memory",
            Want::new().with("size", size).with("later.url", "memory://web"),
        )
    }

    /// Observes, plans and applies; gives the action and what the world holds afterwards.
    async fn converge(provider: &MemoryProvider, ctx: &Ctx, resource: &Resource) -> (Change, Option<Live>) {
        let live = provider.observe(ctx, resource, None).await.unwrap();
        let change = provider.plan(ctx, resource, &live).await.unwrap();
        let live = provider.apply(ctx, &change).await.unwrap();
        assert_eq!(live, provider.world().get(&resource.address));
        (change, live)
    }

    #[tokio::test]
    async fn a_change_ends_in_what_was_planned_and_has_one_effect() {
        let ctx = ctx(&Arc::new(MemoryHost::new()));
        let provider = MemoryProvider::new(World::new());
        let (create, live) = converge(&provider, &ctx, &web(1)).await;
        assert_eq!(create.action, Action::Create);
        assert_eq!(create.outputs["size"], Promise::Stays(1.into()));
        assert_eq!(create.outputs["url"], Promise::Later);
        assert_eq!(live.unwrap().outputs["url"], "memory://web".into());
        provider.apply(&ctx, &create).await.unwrap();
        assert_eq!(provider.world().count(Calling::Effect), 1, "the same call again does nothing");
        assert_eq!(converge(&provider, &ctx, &web(1)).await.0.action, Action::Keep);
        let (update, _) = converge(&provider, &ctx, &web(2)).await;
        assert_eq!(update.action, Action::Update);
        assert_eq!(update.outputs["url"], Promise::Stays("memory://web".into()), "it does not change");
        let back = update.reversal.to().unwrap().clone();
        converge(&provider, &ctx, &back).await;
        assert_eq!(converge(&provider, &ctx, &web(1)).await.0.action, Action::Keep);
        assert_eq!(converge(&provider, &ctx, &web(1).gone()).await.1, None);
        assert_eq!(converge(&provider, &ctx, &web(1).gone()).await.0.action, Action::Keep);
    }

    #[tokio::test]
    async fn some_values_replace_and_some_cannot_be_taken_back() {
        let ctx = ctx(&Arc::new(MemoryHost::new()));
        let provider = MemoryProvider::new(World::new());
        let data = |engine: &str| {
            let want = Want::new().with("fixed.engine", engine).with("irreversible", "data");
            Resource::new(at("db/data"), "memory", want)
        };
        let (create, first) = converge(&provider, &ctx, &data("a")).await;
        assert_eq!(create.reversal, Reversal::Irreversible("data".into()));
        let (replace, second) = converge(&provider, &ctx, &data("b")).await;
        assert_eq!((replace.action, replace.effects.may_destroy()), (Action::Replace, true));
        assert_ne!(first.unwrap().id, second.unwrap().id);
    }

    #[tokio::test]
    async fn faults_come_in_order_and_tell_what_they_left() {
        let ctx = ctx(&Arc::new(MemoryHost::new()));
        let world = World::new();
        let provider = MemoryProvider::new(world.clone());
        let change = provider.plan(&ctx, &web(1), &Observed::Absent).await.unwrap();
        world.fail(&at("web/part"), Fault::Transient, 1);
        world.fail(&at("web/part"), Fault::AfterEffect, 1);
        let first = provider.apply(&ctx, &change).await.unwrap_err();
        assert_eq!((first.error.retryable(), first.left), (crate::Retry::Transient, Observed::Absent));
        let second = provider.apply(&ctx, &change).await.unwrap_err();
        assert!(matches!(second.left, Observed::Unknown(_)) && world.get(&at("web/part")).is_some());
        assert!(provider.apply(&ctx, &change).await.is_ok());
        assert_eq!(world.count(Calling::Effect), 1);
        world.fail(&at("web/part"), Fault::Hangs, 1);
        ctx.cancel().cancel();
        let hung = provider.apply(&ctx, &change).await.unwrap_err();
        assert_eq!(hung.error.kind(), ErrorKind::Cancelled);
        world.hide(&at("web/part"), Some("permission lost"));
        assert!(matches!(provider.observe(&ctx, &web(1), None).await.unwrap(), Observed::Unknown(_)));
    }

    #[tokio::test]
    async fn a_secret_is_made_when_it_is_missing_and_stays_a_name() {
        let ctx = ctx(&Arc::new(MemoryHost::new()));
        let provider = MemoryProvider::new(World::new());
        let want = Want::new().with("password", Expr::secret("db/password"));
        let (_, live) = converge(&provider, &ctx, &Resource::new(at("db/server"), "memory", want)).await;
        assert_eq!(live.unwrap().outputs["password"], Expr::secret("db/password"));
        assert!(ctx.secret(&crate::SecretRef("db/password".into())).await.is_ok());
    }
}
