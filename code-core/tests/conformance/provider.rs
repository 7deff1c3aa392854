//! The liars of the provider's contract: a memory provider, and one lie.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use code_core::conformance::provider::{Sample, Scene};
use code_core::conformance::{self, Suite};
use code_core::memory::{Calling, MemoryHost, MemoryProvider, World};
use code_core::provider::{
    Action, Capabilities, Change, Effects, Failed, Health, Live, Observed, Promise, ProviderInfo, Resource,
    Reversal,
};
use code_core::{Address, Ctx, Error, ErrorKind, Expr, Provider, Result, SecretRef, Want};
use tokio_util::sync::CancellationToken;

pub(crate) fn honest() -> Suite {
    suite("")
}

/// The suite over a provider that breaks this rule.
pub(crate) fn liar(rule: &'static str) -> Suite {
    suite(rule)
}

fn suite(lie: &'static str) -> Suite {
    let want = |scene: &Scene, size: u16, engine: &str| {
        let want = Want::new()
            .with("size", size)
            .with("note", "x")
            .with("fixed.engine", engine)
            .with("later.url", "memory://x")
            .with("password", Expr::secret("sample/password"));
        Resource::new(scene.address(), "memory", want)
    };
    let sample = Sample::new(move |scene| want(scene, 1, "a"))
        .changed(move |scene| want(scene, 2, "a"))
        .replaced(move |scene| want(scene, 1, "b"))
        .disturb(|liar: &Liar, scene, _| liar.world().meddle(&scene.address(), None))
        .hide(|liar: &Liar, scene| liar.world().hide(&scene.address(), Some("permission lost")))
        .outside(|liar: &Liar, _| format!("{:?} {}", liar.world().all(), liar.world().count(Calling::Effect)))
        .host(Arc::new(MemoryHost::new()))
        .patience(Duration::from_secs(4));
    conformance::provider(move || Arc::new(Liar::new(lie)), &sample)
}

#[derive(Debug)]
struct Liar {
    lie: &'static str,
    inner: MemoryProvider,
    infos: [ProviderInfo; 2],
    count: AtomicUsize,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    cache: BTreeMap<Address, Live>,
    keys: BTreeMap<String, Option<Live>>,
    marked: BTreeSet<Address>,
    tokens: BTreeMap<Address, CancellationToken>,
    current: Option<Change>,
}

impl Liar {
    fn new(lie: &'static str) -> Liar {
        let world = World::new();
        for nth in 0..8 {
            world.takes(&format!("sample/part.{nth}").parse().unwrap(), Duration::from_secs(1));
        }
        let inner = MemoryProvider::new(world);
        let mut infos = [inner.info().clone(), inner.info().clone()];
        infos[1].version = "another".to_owned();
        Liar { lie, inner, infos, count: AtomicUsize::new(0), memory: Mutex::default() }
    }

    fn world(&self) -> &World {
        self.inner.world()
    }

    fn lies(&self, rule: &str) -> bool {
        self.lie == rule
    }

    fn next(&self) -> usize {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    /// Leaves something in the world that nobody asked for.
    fn trace(&self) {
        let live = Live { id: "trace".into(), was: Want::new(), outputs: BTreeMap::new(), drift: Vec::new() };
        self.world().meddle(&format!("web/trace.{}", self.next()).parse().unwrap(), Some(live));
    }
}

fn error() -> Error {
    Error::new(ErrorKind::Failed, "liar::lies", "tell the truth").help("do not believe it")
}

/// The resource without its note.
fn without_note(resource: &Resource) -> Resource {
    let mut resource = resource.clone();
    if let Some(want) = &mut resource.want {
        want.0.remove("note");
    }
    resource
}

#[async_trait]
impl Provider for Liar {
    fn info(&self) -> &ProviderInfo {
        match self.lies("its_identity_never_changes") {
            true => &self.infos[self.next() % 2],
            false => &self.infos[0],
        }
    }

    fn capabilities(&self) -> Capabilities {
        let mut honest = self.inner.capabilities();
        if self.lies("it_claims_the_kinds_that_it_serves") {
            honest.kinds = vec!["other"];
        }
        honest
    }

    async fn health(&self, ctx: &Ctx) -> Result<Health> {
        match self.lies("health_is_an_answer_with_help") {
            true => Ok(Health::Missing { what: "a tool".into(), help: String::new() }),
            false => Provider::health(&self.inner, ctx).await,
        }
    }

    async fn observe(&self, ctx: &Ctx, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
        let honest = self.inner.observe(ctx, resource, last).await?;
        match (self.lie, honest) {
            ("looking_and_planning_change_nothing", seen) => {
                self.trace();
                Ok(seen)
            }
            ("looking_twice_sees_the_same", Observed::Present(mut live)) => {
                live.outputs.insert("ticks".into(), self.next().to_string().into());
                Ok(Observed::Present(live))
            }
            ("a_lost_permission_is_not_an_absence", Observed::Unknown(_)) => Ok(Observed::Absent),
            ("drift_is_seen_and_mended", Observed::Absent) => {
                let cached = self.memory.lock().unwrap().cache.get(&resource.address).cloned();
                Ok(cached.map_or(Observed::Absent, Observed::Present))
            }
            ("cancelled_after_its_end_it_stays_done", seen) => {
                let token = self.memory.lock().unwrap().tokens.get(&resource.address).cloned();
                Ok(if token.is_some_and(|token| token.is_cancelled()) { Observed::Absent } else { seen })
            }
            (_, seen) => Ok(seen),
        }
    }

    async fn plan(&self, ctx: &Ctx, resource: &Resource, live: &Observed) -> Result<Change> {
        if self.lies("every_mistake_is_told_with_help")
            && resource.want.as_ref().is_some_and(|want| want.get("size").is_none())
        {
            return Err(Error::new(ErrorKind::Invalid, "liar::silent", "read a size"));
        }
        let mut live = live.clone();
        if let ("applying_ends_in_what_was_planned", Observed::Present(live)) = (self.lie, &mut live) {
            live.was.0.insert("note".into(), "x".into());
        }
        let mut change = self.inner.plan(ctx, resource, &live).await?;
        let wanted = resource.want.is_some();
        let name = resource.address.as_str();
        match (self.lie, change.action) {
            ("planning_twice_plans_the_same", _) => change.why = self.next().to_string(),
            ("a_planned_change_keeps_every_wanted_value", _) if wanted => {
                change.private = serde_json::to_value(&change.resource.want).ok();
                change.resource = without_note(&change.resource);
            }
            ("what_is_not_there_is_created", Action::Create) => change.action = Action::Update,
            ("what_is_as_wanted_is_kept", Action::Keep) if wanted => {
                change.action = Action::Update;
                change.effects = Effects::one(Action::Update, name);
            }
            ("a_change_in_place_is_an_update", Action::Update) => {
                change.action = Action::Replace;
                change.effects = Effects::one(Action::Replace, name);
            }
            ("what_cannot_be_changed_is_replaced", Action::Replace) => {
                change.action = Action::Update;
                change.effects = Effects::one(Action::Update, name);
            }
            ("what_changes_was_announced", _) => change.effects = Effects::none(),
            ("what_is_taken_away_was_announced", Action::Delete) => {
                change.effects = Effects::one(Action::Update, name);
            }
            ("an_output_that_stays_stays", _) if wanted => {
                change.outputs.insert("size".into(), Promise::Stays("wrong".into()));
            }
            ("a_promised_output_is_there", _) if wanted => {
                change.outputs.insert("ghost".into(), Promise::Later);
            }
            ("taking_back_a_creation_is_deleting", Action::Create)
            | ("taking_back_a_change_brings_back_what_was", Action::Update) => {
                change.reversal = Reversal::Reversible(Box::new(resource.clone()));
            }
            _ => {}
        }
        Ok(change)
    }

    async fn apply(&self, ctx: &Ctx, change: &Change) -> Result<Option<Live>, Failed> {
        let mut change = change.clone();
        let address = change.resource.address.clone();
        let key = ctx.key().to_string();
        let there = self.world().get(&address).is_some();
        let deletes = change.resource.want.is_none();
        match self.lie {
            "a_planned_change_keeps_every_wanted_value" => {
                if let Some(want) = change.private.take() {
                    change.resource.want = serde_json::from_value(want).unwrap();
                }
            }
            "a_reference_is_never_guessed" => {
                change.resource.want =
                    change.resource.want.map(|want| want.bind(&|_, _| Some("mock".into())));
            }
            "what_is_kept_is_not_touched" if change.action == Action::Keep => self.trace(),
            "one_key_has_one_effect" if self.memory.lock().unwrap().keys.contains_key(&key) => {
                self.world().meddle(&address, None);
            }
            "a_key_is_no_proof" => {
                if let Some(done) = self.memory.lock().unwrap().keys.get(&key) {
                    return Ok(done.clone());
                }
            }
            "what_was_deleted_is_absent" if deletes => return Ok(None),
            "applying_ends_in_what_was_planned" if change.action == Action::Keep && there => {
                return Ok(self.world().get(&address));
            }
            "deleting_twice_succeeds" if deletes && change.prior.is_some() && !there => {
                return Err(error().into());
            }
            "deleting_what_never_was_succeeds" if deletes && change.prior.is_none() => {
                return Err(error().into());
            }
            "many_at_once_are_as_one_by_one" => {
                self.memory.lock().unwrap().current = Some(change);
                tokio::task::yield_now().await;
                change = self.memory.lock().unwrap().current.clone().unwrap();
            }
            "cancelled_before_it_begins_it_ends" if ctx.cancel().is_cancelled() => {
                std::future::pending().await
            }
            "cancelled_in_the_middle_it_ends" if !ctx.cancel().is_cancelled() => {
                return tokio::select! {
                    biased;
                    () = ctx.cancel().cancelled() => std::future::pending().await,
                    done = self.inner.apply(ctx, &change) => done,
                };
            }
            "cancelled_it_can_be_applied_again" if self.memory.lock().unwrap().marked.contains(&address) => {
                return Err(error().into());
            }
            "dropped_in_the_middle_it_can_be_applied_again"
                if !self.memory.lock().unwrap().marked.insert(address.clone()) =>
            {
                return Err(error().into());
            }
            _ => {}
        }
        let mut done = self.inner.apply(ctx, &change).await;
        let made = matches!(done, Ok(Some(_)));
        let leaked = match self.lies("no_secret_is_in_what_it_says") && made {
            true => Some(ctx.secret(&SecretRef("sample/password".into())).await?),
            false => None,
        };
        let mut memory = self.memory.lock().unwrap();
        match (self.lie, &mut done) {
            ("applying_ends_in_what_was_planned", Ok(Some(live))) => {
                live.was.0.insert("note".into(), "y".into());
                self.world().meddle(&address, Some(live.clone()));
            }
            ("drift_is_seen_and_mended", Ok(Some(live))) => drop(memory.cache.insert(address, live.clone())),
            ("drift_is_seen_and_mended", Ok(None)) => drop(memory.cache.remove(&address)),
            ("cancelled_after_its_end_it_stays_done", Ok(_)) => {
                memory.tokens.insert(address, ctx.cancel().clone());
            }
            ("a_call_that_failed_knows_what_it_left", Err(failed)) => {
                let (was, outputs) = (Want::new(), BTreeMap::new());
                failed.left = Observed::Present(Live { id: "fake".into(), was, outputs, drift: Vec::new() });
            }
            ("cancelled_it_can_be_applied_again", Err(_)) => drop(memory.marked.insert(address)),
            ("dropped_in_the_middle_it_can_be_applied_again", _) => drop(memory.marked.remove(&address)),
            (_, Ok(Some(live))) => {
                if let Some(secret) = leaked {
                    live.outputs.insert("leak".into(), secret.expose().into());
                }
            }
            _ => {}
        }
        if let Ok(live) = &done {
            memory.keys.insert(key, live.clone());
        }
        done
    }
}
