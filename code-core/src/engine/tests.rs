//! The engine on the memory implementations: every rule of a run, without a process or a file.

mod edited;
mod hangs;
mod way_back;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::run::LEASE;
use super::*;
use crate::checks::{Approval, How};
use crate::event::{Body, Event, Outcome, Sink};
use crate::intent::Kind;
use crate::memory::{
    Calling, Fault, MemoryHost, MemoryProvider, MemoryRecipe, MemoryScanner, MemorySecrets, MemorySink,
    MemoryStore, World,
};
use crate::plan::Step;
use crate::provider::{
    Action, Capabilities, Change, Effects, Failed, Health, Live, Observed, ProviderInfo, Resource,
};
use crate::scanner::{Finding, Verdict};
use crate::spec::{Component, Origins, Replicas, Spec};
use crate::{Address, Deployment, Digest, Host, Provider, RunId, StepId, Want};

/// A machine, what exists on it, and what is remembered: what outlives an engine.
struct Bench {
    host: Arc<MemoryHost>,
    world: World,
    store: Arc<MemoryStore>,
    secrets: Arc<MemorySecrets>,
    sink: Arc<MemorySink>,
    scanner: Arc<MemoryScanner>,
}

impl Bench {
    fn new() -> Bench {
        Bench {
            host: Arc::new(MemoryHost::new()),
            world: World::new(),
            store: Arc::new(MemoryStore::new()),
            secrets: Arc::new(MemorySecrets::new()),
            sink: Arc::new(MemorySink::new()),
            scanner: Arc::new(MemoryScanner::passing("policy")),
        }
    }

    fn engine(&self) -> Engine {
        self.engine_with(|builder| builder)
    }

    fn engine_with(&self, change: impl FnOnce(EngineBuilder) -> EngineBuilder) -> Engine {
        let builder = Engine::builder()
            .state_dir("/nonexistent/state")
            .host(Arc::clone(&self.host) as Arc<dyn Host>)
            .secrets(Arc::clone(&self.secrets) as _)
            .store(Arc::clone(&self.store) as _)
            .provider(Arc::new(MemoryProvider::new(self.world.clone())))
            .recipe(Arc::new(MemoryRecipe))
            .scanner(Arc::clone(&self.scanner) as _)
            .sink(Arc::clone(&self.sink) as _);
        change(builder).build().unwrap()
    }

    /// An engine with another provider.
    fn engine_of<const N: usize>(&self, provider: Arc<dyn Provider>, sinks: [Arc<dyn Sink>; N]) -> Engine {
        let builder = Engine::builder()
            .state_dir("/nonexistent/state")
            .host(Arc::clone(&self.host) as Arc<dyn Host>)
            .secrets(Arc::clone(&self.secrets) as _)
            .store(Arc::clone(&self.store) as _)
            .provider(provider)
            .recipe(Arc::new(MemoryRecipe));
        sinks.into_iter().fold(builder, EngineBuilder::sink).build().unwrap()
    }

    async fn deploy(&self, spec: &Spec) -> Result<Finished> {
        let engine = self.engine();
        let planned = engine.plan(&Proposal::of(spec.clone(), Origins::new())?, &BTreeSet::new()).await?;
        engine.apply(&planned, self.approve(&planned), &CancellationToken::new()).await
    }

    fn approve(&self, planned: &Planned) -> Approval {
        Approval { plan: planned.plan.id, by: "me".into(), at: self.host.now(), how: How::Option }
    }

    /// How often each thing was really changed.
    fn effects(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for call in self.world.calls().into_iter().filter(|call| call.calling == Calling::Effect) {
            *counts.entry(call.address.to_string()).or_default() += 1;
        }
        counts
    }
}

/// A web app with a database.
fn shop() -> Spec {
    let mut web = Component::new("web", Kind::Web);
    web.depends_on = vec!["db".into()];
    Spec { components: vec![web, Component::new("db", Kind::Database)], ..Spec::new("shop", "staging") }
}

fn shop_with(change: impl FnOnce(&mut Spec)) -> Spec {
    let mut spec = shop();
    change(&mut spec);
    spec
}

fn name() -> Deployment {
    "shop/staging".parse().unwrap()
}

fn at(address: &str) -> Address {
    address.parse().unwrap()
}

fn actions(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| format!("{} {}", step.change.action, step.address())).collect()
}

#[tokio::test]
async fn a_deployment_is_planned_run_and_then_there_is_nothing_to_do() {
    let bench = Bench::new();
    let engine = bench.engine();
    let proposal = Proposal::of(shop(), Origins::new()).unwrap();
    let planned = engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
    assert_eq!(
        actions(&planned.plan),
        [
            "create db/data",
            "create db/part.0",
            "create db/endpoint",
            "create web/part.0",
            "create web/endpoint"
        ]
    );
    assert_eq!(bench.world.all().len(), 0, "planning writes nothing");
    assert!(bench.store.events("shop/staging").is_empty());
    // The endpoint's URL is known later, so what uses it is planned as unknown, never against a guess.
    let web = planned.plan.steps.iter().find(|s| s.address().as_str() == "web/part.0").unwrap();
    assert!(web.symbolic.is_some());

    let done = engine.apply(&planned, bench.approve(&planned), &CancellationToken::new()).await.unwrap();
    assert_eq!((done.outcome, done.run, done.error), (Outcome::Succeeded, RunId(1), None));
    assert_eq!(bench.world.all().len(), 5);
    let part = bench.world.get(&at("web/part.0")).unwrap();
    assert_eq!(part.was.get("url.db"), Some(&"memory://db".into()), "the real output arrived");
    assert_eq!(done.state.current().unwrap().number, 1);

    let status = engine.status(&name()).await.unwrap();
    assert_eq!((status.resources.len(), status.revision), (5, Some(1)));
    assert!(status.resources.iter().all(|resource| resource.drift.is_empty()), "{status:?}");

    let written = bench.store.events("shop/staging").len();
    let again = bench.deploy(&shop()).await.unwrap();
    assert_eq!((again.outcome, again.run), (Outcome::Succeeded, RunId(0)));
    assert_eq!(bench.store.events("shop/staging").len(), written, "nothing to do writes nothing");
    assert!(bench.effects().values().all(|count| *count == 1));
}

#[tokio::test]
async fn started_is_written_before_the_provider_is_called() {
    let bench = Bench::new();
    bench.deploy(&shop()).await.unwrap();
    let mut begun = BTreeSet::new();
    for (_, event) in bench.store.events("shop/staging") {
        match event.body {
            Body::StepStarted { step, .. } => drop(begun.insert(step)),
            Body::StepDone { step, .. } => assert!(begun.contains(&step)),
            _ => {}
        }
    }
    assert_eq!(begun.len(), 5);
    let keys: BTreeSet<_> = bench.world.calls().into_iter().map(|call| call.key.to_string()).collect();
    assert_eq!(keys.len(), 6, "one key a step, and one for planning");
}

#[tokio::test]
async fn only_what_changed_is_touched_and_what_is_gone_goes_against_the_edges() {
    let bench = Bench::new();
    bench.deploy(&shop_with(|spec| spec.components[0].replicas = Replicas { min: 2, max: 2 })).await.unwrap();
    let engine = bench.engine();
    let change = shop_with(|spec| spec.components[1].version = Some("16".into()));
    let planned =
        engine.plan(&Proposal::of(change, Origins::new()).unwrap(), &BTreeSet::new()).await.unwrap();
    let id = |address: &str| planned.plan.steps.iter().find(|s| s.address() == &at(address)).unwrap().id;
    let delete = planned.plan.step(id("web/part.1")).unwrap();
    assert_eq!((delete.change.action, &delete.needs[..]), (Action::Delete, &[id("web/endpoint")][..]));
    let before = bench.effects();
    let done = bench.deploy(&shop_with(|spec| spec.components[1].version = Some("16".into()))).await.unwrap();
    assert_eq!(done.outcome, Outcome::Succeeded);
    let after = bench.effects();
    assert_eq!(after["web/part.0"], before["web/part.0"], "it turned out to stay as it is");
    assert_eq!(after["db/part.0"], before["db/part.0"] + 1);
    assert!(bench.world.get(&at("web/part.1")).is_none(), "scaled in");
    // What used the part had to let go of it first.
    let calls = bench.world.calls();
    let last = |address: &str| {
        calls.iter().rposition(|call| call.calling == Calling::Effect && call.address == at(address)).unwrap()
    };
    assert!(last("web/endpoint") < last("web/part.1"));
    assert_eq!(done.state.current().unwrap().number, 2);
}

#[tokio::test]
async fn what_was_made_with_values_that_were_known_goes_before_what_gave_them() {
    let bench = Bench::new();
    let of = |min| shop_with(|spec| spec.components[0].replicas = Replicas { min, max: min });
    bench.deploy(&of(1)).await.unwrap();
    bench.deploy(&of(2)).await.unwrap();
    let engine = bench.engine();
    let proposal = engine.destroy(&name(), false).await.unwrap();
    let planned = engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
    let id = |address: &str| planned.plan.steps.iter().find(|s| s.address() == &at(address)).unwrap().id;
    let database = planned.plan.step(id("db/endpoint")).unwrap();
    assert!(database.needs.contains(&id("web/part.1")), "{:?}", database.needs);
}

#[tokio::test]
async fn what_was_returned_to_still_goes_after_what_uses_it() {
    let bench = Bench::new();
    let of = |min| shop_with(|spec| spec.components[0].replicas = Replicas { min, max: min });
    bench.deploy(&of(2)).await.unwrap();
    bench.world.fail(&at("web/endpoint"), Fault::Permanent, 1);
    assert_eq!(bench.deploy(&of(1)).await.unwrap().outcome, Outcome::RolledBack);
    // The endpoint uses both parts again: the second one may go only after the endpoint let go of it.
    let engine = bench.engine();
    let proposal = Proposal::of(of(1), Origins::new()).unwrap();
    let planned = engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
    let id = |address: &str| planned.plan.steps.iter().find(|s| s.address() == &at(address)).unwrap().id;
    let gone = planned.plan.step(id("web/part.1")).unwrap();
    assert_eq!((gone.change.action, &gone.needs[..]), (Action::Delete, &[id("web/endpoint")][..]));
}

#[tokio::test]
async fn taking_everything_down_keeps_data_unless_it_is_asked_for() {
    let bench = Bench::new();
    bench.deploy(&shop()).await.unwrap();
    let engine = bench.engine();
    let mut down = Proposal::of(shop(), Origins::new()).unwrap();
    down.spec = None;
    let planned = engine.plan(&down, &BTreeSet::new()).await.unwrap();
    assert_eq!(planned.plan.kept, [at("db/data")]);
    bench.world.fail(&at("web/part.0"), Fault::Permanent, 1);
    let failed = engine.apply(&planned, bench.approve(&planned), &CancellationToken::new()).await.unwrap();
    assert_eq!(failed.outcome, Outcome::RolledBack);
    assert!(!engine.status(&name()).await.unwrap().resources.iter().any(|resource| resource.kept), "in use");
    let planned = engine.plan(&down, &BTreeSet::new()).await.unwrap();
    engine.apply(&planned, bench.approve(&planned), &CancellationToken::new()).await.unwrap();
    assert_eq!(bench.world.all().keys().cloned().collect::<Vec<_>>(), [at("db/data")]);
    assert!(engine.status(&name()).await.unwrap().resources.iter().all(|resource| resource.kept));

    let id = bench.world.get(&at("db/data")).unwrap().id;
    bench.world.fail(&at("web/part.0"), Fault::Permanent, 1);
    assert_eq!(bench.deploy(&shop()).await.unwrap().outcome, Outcome::RolledBack);
    assert!(engine.status(&name()).await.unwrap().resources.iter().all(|resource| resource.kept), "again");
    bench.deploy(&shop()).await.unwrap();
    assert_eq!(bench.world.get(&at("db/data")).unwrap().id, id, "it is adopted");
    assert!(!engine.status(&name()).await.unwrap().resources.iter().any(|resource| resource.kept));

    down.delete_data = true;
    let planned = engine.plan(&down, &BTreeSet::new()).await.unwrap();
    let data = planned.plan.steps.iter().find(|s| s.address() == &at("db/data")).unwrap();
    assert_eq!(data.needs.len(), planned.plan.steps.len() - 1, "what cannot be taken back goes last");
    engine.apply(&planned, bench.approve(&planned), &CancellationToken::new()).await.unwrap();
    assert!(bench.world.all().is_empty());
}

#[tokio::test]
async fn order_goes_through_what_stays_as_it_is() {
    let bench = Bench::new();
    bench.deploy(&shop()).await.unwrap();
    // The web app used the database's endpoint, which stays; the endpoint used the part, which goes.
    let down = shop_with(|spec| spec.components.iter_mut().for_each(|component| component.stopped = true));
    let engine = bench.engine();
    let planned = engine.plan(&Proposal::of(down, Origins::new()).unwrap(), &BTreeSet::new()).await.unwrap();
    let plan = &planned.plan;
    let step = |address: &str| plan.steps.iter().find(|s| s.address() == &at(address)).unwrap();
    let graph = plan.graph().unwrap();
    let levels = graph.levels();
    let level = |address: &str| levels[step(address).id.index()];
    assert!(level("web/part.0") < level("db/part.0"), "{:?}", actions(plan));
}

#[tokio::test]
async fn a_rollback_is_a_plan_to_an_earlier_spec() {
    let bench = Bench::new();
    let engine = bench.engine();
    assert_eq!(engine.rollback(&name(), None).await.unwrap_err().code(), "engine::no-deployment");
    bench.deploy(&shop()).await.unwrap();
    assert_eq!(engine.rollback(&name(), None).await.unwrap_err().code(), "rollback::no-revision");
    let second = shop_with(|spec| spec.components[0].version = Some("2".into()));
    bench.deploy(&second).await.unwrap();
    bench.world.fail(&at("web/part.0"), Fault::Permanent, 1);
    bench.deploy(&shop_with(|spec| spec.components[0].version = Some("3".into()))).await.unwrap();
    assert_eq!(engine.rollback(&name(), Some(3)).await.unwrap_err().code(), "rollback::no-revision");

    let back = engine.rollback(&name(), None).await.unwrap();
    assert_eq!(back.spec, Some(shop()), "the failed revision is not the one to leave");
    let planned = engine.plan(&back, &BTreeSet::new()).await.unwrap();
    let done = engine.apply(&planned, bench.approve(&planned), &CancellationToken::new()).await.unwrap();
    assert_eq!((done.outcome, done.state.current().unwrap().number), (Outcome::Succeeded, 4));
    let again = engine.rollback(&name(), Some(2)).await.unwrap();
    assert_eq!(again.spec, Some(second));
}

#[tokio::test]
async fn a_failure_is_tried_again_and_then_taken_back() {
    let bench = Bench::new();
    bench.world.fail(&at("web/part.0"), Fault::Transient, 2);
    assert_eq!(bench.deploy(&shop()).await.unwrap().outcome, Outcome::Succeeded);
    let waits = bench.sink.bodies().into_iter().filter(|b| matches!(b, Body::StepRetries { .. })).count();
    assert_eq!(waits, 2);

    let bench = Bench::new();
    bench.world.fail(&at("web/part.0"), Fault::Permanent, 1);
    let done = bench.deploy(&shop()).await.unwrap();
    assert_eq!(done.error.as_ref().map(Error::code), Some("memory::fault"));
    assert_eq!(done.outcome, Outcome::Failed, "the data that was made cannot be taken back");
    assert_eq!(bench.world.all().keys().cloned().collect::<Vec<_>>(), [at("db/data")]);

    let bench = Bench::new();
    let web = |spec: &mut Spec| spec.components.truncate(1);
    let web = shop_with(|spec| {
        web(spec);
        spec.components[0].depends_on.clear();
    });
    bench.world.fail(&at("web/endpoint"), Fault::Permanent, 1);
    assert_eq!(bench.deploy(&web).await.unwrap().outcome, Outcome::RolledBack);
    assert!(bench.world.all().is_empty());
    assert!(bench.engine().state(&name()).await.unwrap().current().is_none());
}

#[tokio::test]
async fn an_update_that_fails_returns_to_what_was() {
    let bench = Bench::new();
    bench.deploy(&shop()).await.unwrap();
    let before: Vec<_> = bench.world.all().into_iter().map(|(a, live)| (a, live.was)).collect();
    bench.world.fail(&at("web/endpoint"), Fault::Permanent, 1);
    let change = shop_with(|spec| {
        spec.components[0].version = Some("2".into());
        spec.components[0].replicas = Replicas { min: 3, max: 3 };
    });
    assert_eq!(bench.deploy(&change).await.unwrap().outcome, Outcome::RolledBack);
    let after: Vec<_> = bench.world.all().into_iter().map(|(a, live)| (a, live.was)).collect();
    assert_eq!(before, after);
    assert_eq!(bench.engine().state(&name()).await.unwrap().current().unwrap().number, 1);
}

#[tokio::test]
async fn a_lost_reply_has_one_effect() {
    let bench = Bench::new();
    bench.world.fail(&at("db/part.0"), Fault::AfterEffect, 1);
    assert_eq!(bench.deploy(&shop()).await.unwrap().outcome, Outcome::Succeeded);
    assert_eq!(bench.effects()["db/part.0"], 1);
}

#[tokio::test]
async fn a_stale_edited_or_unapproved_plan_is_refused() {
    let bench = Bench::new();
    let engine = bench.engine();
    let proposal = Proposal::of(shop(), Origins::new()).unwrap();
    let planned = engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
    let refused = async |planned: &Planned, approval: Approval| {
        let result = engine.apply(planned, approval, &CancellationToken::new()).await;
        result.map(|finished| finished.outcome).unwrap_err().code().to_owned()
    };

    let mut edited = planned.clone();
    edited.plan.delete_budget += 1;
    assert_eq!(refused(&edited, bench.approve(&planned)).await, "plan::edited");
    let mut resealed = edited.clone();
    resealed.plan = resealed.plan.sealed();
    assert_eq!(refused(&resealed, bench.approve(&resealed)).await, "plan::stale");
    let mut other = bench.approve(&planned);
    other.plan = Digest::ZERO;
    assert_eq!(refused(&planned, other).await, "approval::other-plan");
    let old = bench.approve(&planned);
    bench.host.advance(Duration::from_secs(25 * 3600));
    assert_eq!(refused(&planned, old).await, "approval::expired");

    bench.world.meddle(
        &at("db/data"),
        Some(Live { id: "other".into(), was: Want::new(), outputs: BTreeMap::new(), drift: vec![] }),
    );
    assert_eq!(refused(&planned, bench.approve(&planned)).await, "plan::stale");
    bench.world.meddle(&at("db/data"), None);
    bench.deploy(&shop()).await.unwrap();
    assert_eq!(refused(&planned, bench.approve(&planned)).await, "plan::stale");
}

#[tokio::test]
async fn a_protected_environment_needs_another_person() {
    let bench = Bench::new();
    let engine = bench.engine();
    let proposal = Proposal::of(shop_with(|spec| spec.protected = true), Origins::new()).unwrap();
    let planned = engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
    let me = bench.host.user();
    for (by, how, expect) in [
        (me.as_str(), How::Person, Some("approval::same-person")),
        ("boss", How::Option, Some("approval::same-person")),
        ("boss", How::Person, None),
    ] {
        let approval = Approval { plan: planned.plan.id, by: by.into(), at: bench.host.now(), how };
        let result = engine.apply(&planned, approval, &CancellationToken::new()).await;
        assert_eq!(result.err().as_ref().map(Error::code), expect, "{by} {how:?}");
    }
}

#[tokio::test]
async fn the_gate_stands_before_the_plan_and_before_the_run() {
    let bench = Bench::new();
    let unknown = Finding::new("policy.rule", Some("web"), Verdict::Unknown, "nobody knows");
    bench.scanner.says(vec![unknown.clone()]);
    assert_eq!(bench.deploy(&shop()).await.unwrap_err().code(), "gate::unknown");
    let engine = bench.engine();
    let proposal = Proposal::of(shop(), Origins::new()).unwrap();
    let accepted = BTreeSet::from([unknown.id]);
    let planned = engine.plan(&proposal, &accepted).await.unwrap();
    bench.scanner.says(vec![Finding::new("policy.rule", Some("web"), Verdict::Fail, "it is wrong")]);
    let result = engine.apply(&planned, bench.approve(&planned), &CancellationToken::new()).await;
    assert_eq!(result.unwrap_err().code(), "gate::refused");
    bench.scanner.breaks(Error::new(ErrorKind::Timeout, "memory::scanner", "answer in time"));
    let result = engine.plan(&proposal, &BTreeSet::new()).await;
    assert_eq!(result.unwrap_err().code(), "gate::unknown", "a scanner that cannot judge is no pass");
    assert!(bench.world.all().is_empty());
}

#[tokio::test]
async fn what_cannot_be_observed_is_not_planned_on() {
    let bench = Bench::new();
    bench.deploy(&shop()).await.unwrap();
    bench.world.hide(&at("web/part.0"), Some("permission denied"));
    assert_eq!(bench.deploy(&shop()).await.unwrap_err().code(), "plan::unknown");
    let status = bench.engine().status(&name()).await.unwrap();
    let hidden = status.resources.iter().find(|resource| resource.address == at("web/part.0")).unwrap();
    assert_eq!(hidden.drift, ["it cannot be observed: permission denied"]);
}

#[tokio::test]
async fn drift_is_named_and_mended() {
    let bench = Bench::new();
    bench.deploy(&shop()).await.unwrap();
    bench.world.meddle(&at("web/part.0"), None);
    let status = bench.engine().status(&name()).await.unwrap();
    let gone = status.resources.iter().find(|resource| resource.address == at("web/part.0")).unwrap();
    assert_eq!(gone.drift, ["it is gone"]);
    let done = bench.deploy(&shop()).await.unwrap();
    assert_eq!(done.outcome, Outcome::Succeeded);
    assert_eq!(done.state.current().unwrap().number, 1, "a repair is no new revision");
    assert!(bench.world.get(&at("web/part.0")).is_some());
}

#[tokio::test]
async fn a_cancelled_run_says_so_and_the_same_command_goes_on() {
    let bench = Bench::new();
    bench.world.fail(&at("db/part.0"), Fault::Hangs, 1);
    let engine = bench.engine();
    let proposal = Proposal::of(shop(), Origins::new()).unwrap();
    let planned = engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
    let cancel = CancellationToken::new();
    let run = engine.apply(&planned, bench.approve(&planned), &cancel);
    let stop = async {
        while bench.world.count_at(Calling::Apply, &at("db/part.0")) == 0 {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let (done, ()) = tokio::join!(run, stop);
    assert_eq!(done.unwrap().outcome, Outcome::Cancelled);
    assert_eq!(bench.deploy(&shop()).await.unwrap().outcome, Outcome::Succeeded);
    assert!(bench.effects().values().all(|count| *count == 1), "{:?}", bench.effects());
}

#[tokio::test]
async fn a_second_change_is_refused_while_one_runs() {
    let bench = Bench::new();
    let engine = bench.engine();
    let planned =
        engine.plan(&Proposal::of(shop(), Origins::new()).unwrap(), &BTreeSet::new()).await.unwrap();
    let ctx = engine.ctx();
    let lease = engine.parts.store.lease(&ctx, "shop/staging", "somebody", LEASE).await.unwrap();
    let refused = engine.apply(&planned, bench.approve(&planned), &CancellationToken::new()).await;
    let error = refused.unwrap_err();
    assert_eq!(error.code(), "store::locked");
    assert!(format!("{error:?}").contains("somebody"));
    engine.parts.store.release(&ctx, lease).await.unwrap();
    engine.apply(&planned, bench.approve(&planned), &CancellationToken::new()).await.unwrap();
}

/// Stops an engine dead when the journal is this long: whatever was under way is dropped with it.
#[derive(Debug)]
struct Killer {
    left: AtomicUsize,
    kill: CancellationToken,
}

impl Sink for Killer {
    fn offer(&self, event: &Event) {
        if event.body.is_durable() && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.kill.cancel();
        }
    }
}

/// Runs a change until the journal has `events` more events, and then drops everything. Gives whether it
/// got that far.
async fn killed_after(bench: &Bench, spec: &Spec, events: usize) -> bool {
    let kill = CancellationToken::new();
    let killer = Arc::new(Killer { left: AtomicUsize::new(events), kill: kill.clone() });
    let engine = bench.engine_with(|builder| builder.sink(killer).on_failure(scheduler::OnFailure::RollBack));
    let proposal = Proposal::of(spec.clone(), Origins::new()).unwrap();
    let planned = engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
    let never = CancellationToken::new();
    let died = tokio::select! {
        biased;
        () = kill.cancelled() => true,
        done = engine.apply(&planned, bench.approve(&planned), &never) => { done.unwrap(); false }
    };
    // The dead process's lease runs out.
    bench.host.advance(Duration::from_secs(3600));
    died
}

#[tokio::test]
async fn killed_at_every_journal_position_it_goes_on_and_does_nothing_twice() {
    let mut kills = 0;
    for failing in [false, true] {
        for events in 1.. {
            let bench = Bench::new();
            bench.deploy(&shop()).await.unwrap();
            let before: Vec<_> = bench.world.all().into_iter().map(|(a, live)| (a, live.was)).collect();
            let spec = shop_with(|spec| {
                spec.components[0].version = Some("2".into());
                spec.components[1].version = Some("16".into());
                spec.components[0].replicas = Replicas { min: 3, max: 3 };
            });
            if failing {
                bench.world.fail(&at("web/endpoint"), Fault::Permanent, 1);
            }
            let ran = bench.effects();
            if !killed_after(&bench, &spec, events).await {
                break;
            }
            kills += 1;
            let engine = bench.engine();
            let resumed = engine.resume(&name(), &CancellationToken::new()).await.unwrap();
            let state = engine.state(&name()).await.unwrap();
            assert!(state.open_run().is_none(), "killed after {events}");
            let outcome = state.run.unwrap().ended.unwrap().1;
            // A failure that nobody lived to write down did not happen: the step is simply tried again.
            if resumed.is_some() && !failing {
                assert_eq!(outcome, Outcome::Succeeded, "killed after {events}");
            }
            let parts = bench.world.all().len();
            if outcome == Outcome::Succeeded {
                assert_eq!(parts, 7, "killed after {events}");
                let status = engine.status(&name()).await.unwrap();
                assert!(status.resources.iter().all(|resource| resource.drift.is_empty()));
                for (address, count) in bench.effects() {
                    let before = ran.get(&address).copied().unwrap_or(0);
                    assert!(count <= before + 1, "{address} changed twice, killed after {events}");
                }
            } else {
                let after: Vec<_> = bench.world.all().into_iter().map(|(a, live)| (a, live.was)).collect();
                assert_eq!(before, after, "killed after {events}");
            }
        }
    }
    println!("killed at {kills} journal positions, resumed from each");
    assert!(kills > 30, "{kills}");
}

/// What a twisted provider does in the place of its change; `None`: the change after all.
type Twist = for<'a> fn(
    &'a World,
    &'a Ctx,
    &'a Change,
) -> futures::future::BoxFuture<'a, Option<Result<Option<Live>, Failed>>>;

/// A provider whose `apply` breaks a rule of the contract.
#[derive(Debug)]
struct Twisted(MemoryProvider, Twist);

#[async_trait::async_trait]
impl Provider for Twisted {
    fn info(&self) -> &ProviderInfo {
        self.0.info()
    }
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    async fn health(&self, ctx: &Ctx) -> Result<Health> {
        Provider::health(&self.0, ctx).await
    }
    async fn observe(&self, ctx: &Ctx, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
        self.0.observe(ctx, resource, last).await
    }
    async fn plan(&self, ctx: &Ctx, resource: &Resource, live: &Observed) -> Result<Change> {
        self.0.plan(ctx, resource, live).await
    }
    async fn apply(&self, ctx: &Ctx, change: &Change) -> Result<Option<Live>, Failed> {
        match self.1(self.0.world(), ctx, change).await {
            Some(answer) => answer,
            None => self.0.apply(ctx, change).await,
        }
    }
}

fn live(id: &str, was: Want) -> Live {
    Live { id: id.into(), was, outputs: BTreeMap::new(), drift: vec![] }
}

/// It says that it is done, having done nothing, something else, or panicking.
const LIAR: Twist = |world, _, change| {
    Box::pin(async move {
        match change.resource.address.component() {
            "panics" => panic!("out of the blue"),
            "half" => {
                let half = live("half", Want::new().with("half", "done"));
                world.meddle(&change.resource.address, Some(half));
            }
            _ => {}
        }
        Some(Ok(Some(live("trust me", change.resource.wanted()))))
    })
};

#[tokio::test]
async fn nothing_is_believed_without_evidence_and_a_panic_is_a_failure() {
    for (component, code) in
        [("nothing", "step::no-evidence"), ("half", "step::no-evidence"), ("panics", "provider::panicked")]
    {
        let bench = Bench::new();
        let engine = bench.engine_of(Arc::new(Twisted(MemoryProvider::new(bench.world.clone()), LIAR)), []);
        let spec = shop_with(|spec| spec.components = vec![Component::new(component, Kind::Web)]);
        let proposal = Proposal::of(spec, Origins::new()).unwrap();
        let planned = engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
        let done = engine.apply(&planned, bench.approve(&planned), &CancellationToken::new()).await.unwrap();
        assert_eq!(done.error.as_ref().map(Error::code), Some(code), "{component}");
        assert_ne!(done.outcome, Outcome::Succeeded);
    }
}

/// Calls `act` when an event of the run fits.
struct When<F>(fn(&Body) -> bool, F);

impl<F> std::fmt::Debug for When<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("When")
    }
}

impl<F: Fn() + Send + Sync + 'static> Sink for When<F> {
    fn offer(&self, event: &Event) {
        if self.0(&event.body) {
            self.1();
        }
    }
}

#[tokio::test]
async fn the_plan_is_judged_again_before_the_run() {
    let bench = Bench::new();
    let plans = Arc::new(MemoryScanner::passing("plans").only_plans());
    let engine = bench.engine_with(|builder| builder.scanner(Arc::clone(&plans) as _));
    let planned =
        engine.plan(&Proposal::of(shop(), Origins::new()).unwrap(), &BTreeSet::new()).await.unwrap();
    assert!(engine.check(&planned).is_ok());
    plans.says(vec![Finding::new("plans.rule", None, Verdict::Fail, "no more")]);
    let refused = engine.apply(&planned, bench.approve(&planned), &CancellationToken::new()).await;
    assert_eq!(refused.unwrap_err().code(), "gate::refused", "a plan file's own reports count for nothing");
}

#[tokio::test]
async fn what_was_open_is_judged_again_at_its_step() {
    let bench = Bench::new();
    bench.deploy(&shop()).await.unwrap();
    // The database is gone, and until it is back nobody can say how the web app is.
    bench.world.meddle(&at("db/part.0"), None);
    bench.world.hide(&at("web/part.0"), Some("it does not answer without its database"));
    let (world, scanner) = (bench.world.clone(), Arc::clone(&bench.scanner));
    let act = move || {
        world.hide(&at("web/part.0"), None);
        let mut live = world.get(&at("web/part.0")).unwrap();
        live.drift.push("somebody was here".into());
        world.meddle(&at("web/part.0"), Some(live));
        scanner.says(vec![Finding::new("policy.rule", None, Verdict::Fail, "not like this")]);
    };
    let sink = When(|body| matches!(body, Body::RunStarted { .. }), act);
    let engine = bench.engine_with(|builder| builder.sink(Arc::new(sink)));
    let planned =
        engine.plan(&Proposal::of(shop(), Origins::new()).unwrap(), &BTreeSet::new()).await.unwrap();
    let web = planned.plan.steps.iter().find(|s| s.address() == &at("web/part.0")).unwrap();
    assert!(matches!(web.change.effects, Effects::Open { at_most: Action::Update, .. }));
    let done = engine.apply(&planned, bench.approve(&planned), &CancellationToken::new()).await.unwrap();
    assert_eq!(done.error.as_ref().map(Error::code), Some("gate::refused"));
    assert_eq!(bench.effects()["web/part.0"], 1, "it was not touched");
}

#[tokio::test]
async fn what_an_earlier_attempt_did_is_taken_back() {
    let bench = Bench::new();
    // The first attempt makes it and loses its reply; from then on nobody can look, until the way back.
    bench.world.fail(&at("web/part.0"), Fault::AfterEffect, 1);
    let (hiding, showing) = (bench.world.clone(), bench.world.clone());
    let hide = When(
        |body| matches!(body, Body::StepRetries { attempt: 1, .. }),
        move || hiding.hide(&at("web/part.0"), Some("permission denied")),
    );
    let show =
        When(|body| matches!(body, Body::UndoStarted { .. }), move || showing.hide(&at("web/part.0"), None));
    let engine = bench.engine_with(|builder| builder.sink(Arc::new(hide)).sink(Arc::new(show)));
    let spec = shop_with(|spec| {
        spec.components.truncate(1);
        spec.components[0].depends_on.clear();
    });
    let planned = engine.plan(&Proposal::of(spec, Origins::new()).unwrap(), &BTreeSet::new()).await.unwrap();
    let done = engine.apply(&planned, bench.approve(&planned), &CancellationToken::new()).await.unwrap();
    assert_eq!(done.error.as_ref().map(Error::code), Some("step::in-doubt"));
    assert_eq!(done.outcome, Outcome::RolledBack);
    assert!(bench.world.all().is_empty(), "nothing is orphaned");
}

/// It puts its secret where it does not belong, and asks for somebody else's.
const LEAKY: Twist = |_, ctx, change| {
    Box::pin(async move {
        let name = change.resource.wanted().secrets().into_iter().next()?;
        let stolen = ctx.secret(&crate::SecretRef("somebody/elses".into())).await;
        assert_eq!(stolen.map(drop).unwrap_err().code(), "secret::not-lent");
        let secret = ctx.secret(&name).await.unwrap();
        ctx.say(format!("logging in with {}", secret.expose()));
        let message = format!("log in as {}", secret.expose());
        let error = Error::new(ErrorKind::Failed, "memory::leak", message).help("do not");
        Some(Err(error.with("url", format!("pg://u:{}@h", secret.expose())).into()))
    })
};

#[tokio::test]
async fn a_secret_gets_nowhere() {
    let canary = "canary-3f9a2c71";
    let mut bench = Bench::new();
    let secrets = MemorySecrets::new().with("shop/staging/db/password", canary).with("somebody/elses", "x");
    bench.secrets = Arc::new(secrets);
    let leaky = Arc::new(Twisted(MemoryProvider::new(bench.world.clone()), LEAKY));
    let engine = bench.engine_of(leaky, [Arc::clone(&bench.sink) as _]);
    let planned =
        engine.plan(&Proposal::of(shop(), Origins::new()).unwrap(), &BTreeSet::new()).await.unwrap();
    let done = engine.apply(&planned, bench.approve(&planned), &CancellationToken::new()).await.unwrap();
    assert_eq!(done.error.as_ref().map(Error::code), Some("memory::leak"));
    let sinks = [
        serde_json::to_string(&planned).unwrap(),
        serde_json::to_string(&bench.store.events("shop/staging")).unwrap(),
        serde_json::to_string(&bench.sink.events()).unwrap(),
        format!("{:?}", done),
    ];
    for (i, text) in sinks.iter().enumerate() {
        assert!(!text.contains(canary), "sink {i}: {text}");
    }
    assert!(sinks[1].contains(crate::redact::REDACTED));
}

#[tokio::test]
async fn a_full_disk_stops_the_run_and_loses_nothing() {
    let bench = Bench::new();
    let engine = bench.engine();
    let planned =
        engine.plan(&Proposal::of(shop(), Origins::new()).unwrap(), &BTreeSet::new()).await.unwrap();
    bench.store.fail_appends("shop/staging", 1);
    let failed = engine.apply(&planned, bench.approve(&planned), &CancellationToken::new()).await;
    assert!(failed.is_err());
    assert!(bench.world.all().is_empty(), "what cannot be written down is not done");
    assert_eq!(bench.deploy(&shop()).await.unwrap().outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn a_step_that_would_do_more_than_was_approved_does_not_run() {
    let bench = Bench::new();
    let engine = bench.engine();
    let planned =
        engine.plan(&Proposal::of(shop(), Origins::new()).unwrap(), &BTreeSet::new()).await.unwrap();
    let step = planned.plan.steps.iter().find(|s: &&Step| s.symbolic.is_some()).unwrap();
    assert!(matches!(step.change.effects, Effects::Exact(_) | Effects::Open { .. }));
    // While the run is under way, somebody makes the part that was to be created, with other values.
    #[derive(Debug)]
    struct Meddler(World);
    impl Sink for Meddler {
        fn offer(&self, event: &Event) {
            if matches!(event.body, Body::RunStarted { .. }) {
                let was = Want::new().with("fixed.x", "y");
                let live = Live { id: "theirs".into(), was, outputs: BTreeMap::new(), drift: vec![] };
                self.0.meddle(&"web/part.0".parse().unwrap(), Some(live));
            }
        }
    }
    let engine = bench.engine_with(|builder| builder.sink(Arc::new(Meddler(bench.world.clone()))));
    let done = engine.apply(&planned, bench.approve(&planned), &CancellationToken::new()).await.unwrap();
    assert_eq!(done.error.as_ref().map(Error::code), Some("step::beyond-approval"));
    assert_eq!(
        bench.world.get(&at("web/part.0")).map(|live| live.id),
        Some("theirs".into()),
        "not ours to take"
    );
}

#[tokio::test]
async fn a_run_that_is_stopped_before_it_began_starts_nothing() {
    let bench = Bench::new();
    let engine = bench.engine();
    let planned =
        engine.plan(&Proposal::of(shop(), Origins::new()).unwrap(), &BTreeSet::new()).await.unwrap();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let done = engine.apply(&planned, bench.approve(&planned), &cancel).await.unwrap();
    assert_eq!(done.outcome, Outcome::Cancelled);
    assert_eq!(bench.world.count(Calling::Apply), 0);
}

#[tokio::test]
async fn a_step_that_still_looks_when_the_run_is_stopped_changes_nothing() {
    let bench = Bench::new();
    let engine = bench.engine();
    let planned =
        engine.plan(&Proposal::of(shop(), Origins::new()).unwrap(), &BTreeSet::new()).await.unwrap();
    // The web app waits for a value and looks before it is made: by then the disk is full.
    let store = Arc::clone(&bench.store);
    let id = planned.plan.steps.iter().find(|s| s.address() == &at("web/part.0")).unwrap().id;
    #[derive(Debug)]
    struct Full(Arc<MemoryStore>, crate::StepId, CancellationToken);
    impl Sink for Full {
        fn offer(&self, event: &Event) {
            if matches!(event.body, Body::StepStarted { step, .. } if step == self.1) {
                self.2.cancel();
                self.0.fail_appends("shop/staging", 1);
            }
        }
    }
    let cancel = CancellationToken::new();
    let full = Arc::new(Full(store, id, cancel.clone()));
    let engine = bench.engine_with(|builder| builder.sink(full));
    assert!(engine.apply(&planned, bench.approve(&planned), &cancel).await.is_err());
    assert_eq!(bench.world.count_at(Calling::Apply, &at("web/part.0")), 0);
}

#[tokio::test]
async fn what_a_failed_step_may_have_left_is_remembered_and_taken_away_when_it_is_not_wanted() {
    let bench = Bench::new();
    // It makes the part and loses its reply; from then on nobody can look.
    bench.world.fail(&at("web/part.0"), Fault::AfterEffect, 1);
    let hiding = bench.world.clone();
    let hide = When(
        |body| matches!(body, Body::StepRetries { .. }),
        move || hiding.hide(&at("web/part.0"), Some("permission denied")),
    );
    let engine =
        bench.engine_with(|builder| builder.sink(Arc::new(hide)).on_failure(scheduler::OnFailure::Stop));
    let planned =
        engine.plan(&Proposal::of(shop(), Origins::new()).unwrap(), &BTreeSet::new()).await.unwrap();
    let done = engine.apply(&planned, bench.approve(&planned), &CancellationToken::new()).await.unwrap();
    assert_eq!(done.outcome, Outcome::Failed);
    assert!(!done.state.inventory.contains_key(&at("web/part.0")));
    let listed = engine.status(&name()).await.unwrap().resources;
    assert!(listed.iter().any(|resource| resource.address == at("web/part.0")), "it is listed in doubt");

    bench.world.hide(&at("web/part.0"), None);
    let without = shop_with(|spec| drop(spec.components.remove(0)));
    assert_eq!(bench.deploy(&without).await.unwrap().outcome, Outcome::Succeeded);
    assert_eq!(bench.world.get(&at("web/part.0")), None, "nothing is orphaned");
    assert!(bench.engine().state(&name()).await.unwrap().doubts.is_empty());
}

#[tokio::test]
async fn a_value_of_what_is_there_and_recorded_nowhere_is_used_as_it_is() {
    let mut bench = Bench::new();
    let cached = shop_with(|spec| {
        spec.components[0].depends_on.push("cache".into());
        spec.components.push(Component::new("cache", Kind::Cache));
    });
    bench.deploy(&cached).await.unwrap();
    // The records are gone, and with them a part of what there was: the app waits for that, not for the rest.
    bench.store = Arc::new(MemoryStore::new());
    for address in ["web/part.0", "web/endpoint", "cache/endpoint"] {
        bench.world.meddle(&at(address), None);
    }
    assert_eq!(bench.deploy(&cached).await.unwrap().outcome, Outcome::Succeeded);
    let part = bench.world.get(&at("web/part.0")).unwrap();
    assert_eq!(part.was.get("url.db"), Some(&"memory://db".into()));
}

#[tokio::test]
async fn what_is_refused_of_a_new_deployment_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let bench = Bench::new();
    let store = Arc::new(crate::local::LocalStore::new(&crate::Layout::new(&state)));
    let engine = bench.engine_with(|builder| builder.store(store));
    let proposal = Proposal::of(shop(), Origins::new()).unwrap();
    let planned = engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
    let refused = async |approval: Approval| {
        let error = engine.apply(&planned, approval, &CancellationToken::new()).await.unwrap_err();
        assert!(!state.exists(), "{error} left something");
        error.code().to_owned()
    };
    let other = Approval { plan: Digest::ZERO, ..bench.approve(&planned) };
    assert_eq!(refused(other).await, "approval::other-plan");
    // Somebody made what was to be made.
    let made = Live { id: "theirs".into(), was: Want::new(), outputs: [].into(), drift: vec![] };
    bench.world.meddle(&at("web/endpoint"), Some(made));
    assert_eq!(refused(bench.approve(&planned)).await, "plan::stale");
    bench.world.meddle(&at("web/endpoint"), None);
    engine.apply(&planned, bench.approve(&planned), &CancellationToken::new()).await.unwrap();
    assert!(state.exists());
}
