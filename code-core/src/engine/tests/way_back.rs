//! What follows a failure, an interruption or a stop: the pause and its decisions, the breaker, the lease.

use super::*;
use crate::engine::breaker::BreakerPolicy;
use crate::engine::retry::RetryPolicy;
use crate::event::{Decision, OnFailure};
use crate::memory::MemoryApprover;
use crate::recipe::{At, Recipe};
use crate::status::Phase;
use crate::{Approver, Error, StateStore as _};

/// What exists, without the ids that each making gives anew.
pub(super) fn there(bench: &Bench) -> BTreeMap<Address, Want> {
    bench.world.all().into_iter().map(|(address, live)| (address, live.was)).collect()
}

/// The second version of everything, three times.
pub(super) fn second() -> Spec {
    shop_with(|spec| {
        spec.components[0].version = Some("2".into());
        spec.components[1].version = Some("16".into());
        spec.components[0].replicas = Replicas { min: 3, max: 3 };
    })
}

/// Two web apps that need nothing of each other.
pub(super) fn pair() -> Spec {
    let components = vec![Component::new("left", Kind::Web), Component::new("right", Kind::Web)];
    shop_with(|spec| spec.components = components)
}

pub(super) async fn deploy(engine: &Engine, bench: &Bench, spec: &Spec) -> Result<Finished> {
    let planned = engine.plan(&Proposal::of(spec.clone(), Origins::new())?, &BTreeSet::new()).await?;
    engine.apply(&planned, bench.approve(&planned), &CancellationToken::new()).await
}

pub(super) async fn decide(engine: &Engine, decision: Decision) -> Result<Finished> {
    Ok(engine.decide(&name(), decision, &CancellationToken::new()).await?.expect("a run to decide about"))
}

pub(super) fn step_of(finished: &Finished, address: &str) -> StepId {
    let run = finished.state.run.as_ref().unwrap();
    run.plan.steps.iter().find(|step| step.address() == &at(address)).unwrap().id
}

impl Bench {
    pub(super) fn pausing(&self) -> Engine {
        self.engine_with(|builder| builder.on_failure(OnFailure::Pause))
    }

    /// A deployment in its first version, and a run to the second that is paused at the web app's endpoint.
    pub(super) async fn paused() -> (Bench, Engine, Finished) {
        let bench = Bench::new();
        bench.deploy(&shop()).await.unwrap();
        bench.world.fail(&at("web/endpoint"), Fault::Permanent, 1);
        let engine = bench.pausing();
        let finished = deploy(&engine, &bench, &second()).await.unwrap();
        (bench, engine, finished)
    }

    pub(super) fn bodies(&self) -> Vec<Body> {
        self.store.events("shop/staging").into_iter().map(|(_, event)| event.body).collect()
    }
}

#[tokio::test]
async fn a_paused_run_waits_with_nothing_held_and_says_so() {
    let (bench, engine, paused) = Bench::paused().await;
    assert_eq!(paused.outcome, Outcome::Paused);
    assert_eq!(paused.error.as_ref().map(Error::code), Some("memory::fault"));
    let run = paused.state.open_run().unwrap();
    assert_eq!(run.paused.as_ref().unwrap().steps, [step_of(&paused, "web/endpoint")]);
    assert!(matches!(bench.bodies().last(), Some(Body::RunPaused { .. })));

    let resumed = engine.resume(&name(), &CancellationToken::new()).await.unwrap_err();
    assert_eq!((resumed.code(), resumed.kind()), ("run::paused", ErrorKind::NeedsAnswer));
    assert!(format!("{resumed:?}").contains("web/endpoint"), "{resumed:?}");
    let planned = deploy(&engine, &bench, &shop()).await.unwrap_err();
    assert_eq!(planned.code(), "run::unfinished");
    let skipped = decide(&engine, Decision::Skip { step: step_of(&paused, "db/part.0") }).await;
    assert_eq!(skipped.unwrap_err().code(), "run::not-failed");
    assert!(matches!(bench.bodies().last(), Some(Body::RunPaused { .. })), "what was refused wrote nothing");
    let ctx = engine.ctx();
    engine.parts.store.lease(&ctx, "shop/staging", "anybody", LEASE).await.expect("the lease is free");
}

#[tokio::test]
async fn trying_again_goes_on_under_the_same_key_with_fresh_attempts() {
    let bench = Bench::new();
    // Four attempts fail, and two more after the decision: the fifth would be one too many without it.
    bench.world.fail(&at("web/part.0"), Fault::Transient, 6);
    let engine = bench.engine_with(|builder| {
        let breaker = BreakerPolicy { failures: 100, ..BreakerPolicy::default() };
        builder.on_failure(OnFailure::Pause).breaker(breaker)
    });
    let paused = deploy(&engine, &bench, &shop()).await.unwrap();
    assert_eq!(paused.outcome, Outcome::Paused);
    let done = decide(&engine, Decision::Retry).await.unwrap();
    assert_eq!(done.outcome, Outcome::Succeeded);
    let keys: BTreeSet<_> = bench
        .world
        .calls()
        .into_iter()
        .filter(|call| call.calling == Calling::Apply && call.address == at("web/part.0"))
        .map(|call| call.key.to_string())
        .collect();
    assert_eq!(keys.len(), 1);
    assert_eq!(done.state.run.unwrap().steps.iter().map(|step| step.attempts).max(), Some(7));
    assert!(bench.effects().values().all(|count| *count == 1));
}

#[tokio::test]
async fn what_is_left_out_leaves_the_run_incomplete_and_the_rest_goes_on() {
    let bench = Bench::new();
    bench.world.fail(&at("left/part.0"), Fault::Permanent, 1);
    let engine = bench.engine_with(|builder| builder.on_failure(OnFailure::Pause).parallel(1));
    let paused = deploy(&engine, &bench, &pair()).await.unwrap();
    assert_eq!(paused.outcome, Outcome::Paused);
    let right = [at("right/endpoint"), at("right/part.0")];
    assert_eq!(there(&bench).into_keys().collect::<Vec<_>>(), right, "what does not need it is done");
    let step = step_of(&paused, "left/part.0");
    let done = decide(&engine, Decision::Skip { step }).await.unwrap();
    assert_eq!(done.outcome, Outcome::Incomplete);
    assert_eq!(there(&bench).into_keys().collect::<Vec<_>>(), right);
    let skipped = |record: &&crate::status::StepRecord| record.phase == Phase::Skipped;
    assert_eq!(done.state.run.as_ref().unwrap().steps.iter().filter(skipped).count(), 2);
    assert!(done.state.current().is_none(), "it is no good revision");
    assert_eq!(deploy(&engine, &bench, &pair()).await.unwrap().outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn every_failure_needs_its_own_decision() {
    let bench = Bench::new();
    for part in ["left/part.0", "right/part.0"] {
        bench.world.fail(&at(part), Fault::Permanent, 1);
    }
    let engine = bench.pausing();
    let paused = deploy(&engine, &bench, &pair()).await.unwrap();
    let (left, right) = (step_of(&paused, "left/part.0"), step_of(&paused, "right/part.0"));
    let still = decide(&engine, Decision::Skip { step: left }).await.unwrap();
    assert_eq!(still.outcome, Outcome::Paused);
    assert_eq!(still.state.run.as_ref().unwrap().paused.as_ref().unwrap().steps, [right]);
    assert_eq!(decide(&engine, Decision::Retry).await.unwrap().outcome, Outcome::Incomplete);
    assert_eq!(bench.world.all().len(), 2);
}

#[tokio::test]
async fn a_person_can_take_back_or_end_what_is_paused() {
    let (bench, engine, paused) = Bench::paused().await;
    let back = decide(&engine, Decision::RollBack).await.unwrap();
    assert_eq!(back.outcome, Outcome::RolledBack);
    assert_eq!(back.error.as_ref().map(Error::code), paused.error.as_ref().map(Error::code));
    let first = Bench::new();
    first.deploy(&shop()).await.unwrap();
    assert_eq!(there(&bench), there(&first));

    let (bench, engine, _) = Bench::paused().await;
    let before = there(&bench);
    let ended = decide(&engine, Decision::Abort).await.unwrap();
    assert_eq!((ended.outcome, there(&bench)), (Outcome::Failed, before));
    // What is there is what the next plan begins from.
    let edited = shop_with(|spec| spec.components[0].version = Some("3".into()));
    assert_eq!(deploy(&engine, &bench, &edited).await.unwrap().outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn the_policy_is_that_of_the_run_and_not_of_who_goes_on() {
    for policy in [OnFailure::RollBack, OnFailure::Pause, OnFailure::Stop] {
        let bench = Bench::new();
        bench.world.fail(&at("right/part.0"), Fault::Permanent, 1);
        let died = killed(&bench, 8, policy, async |engine| deploy(&engine, &bench, &pair()).await.map(drop));
        assert!(died.await);
        let other = bench.engine_with(|builder| builder.on_failure(OnFailure::Stop));
        let finished = other.resume(&name(), &CancellationToken::new()).await.unwrap().unwrap();
        let expect = match policy {
            OnFailure::RollBack => Outcome::RolledBack,
            OnFailure::Pause => Outcome::Paused,
            OnFailure::Stop => Outcome::Failed,
        };
        assert_eq!(finished.outcome, expect);
    }
}

#[tokio::test]
async fn an_approver_is_asked_for_the_plan_and_at_each_pause() {
    let bench = Bench::new();
    bench.world.fail(&at("left/part.0"), Fault::Permanent, 2);
    let boss = Arc::new(MemoryApprover::new("boss").deciding(Decision::Retry).deciding(Decision::RollBack));
    let ask = Arc::clone(&boss) as Arc<dyn Approver>;
    let engine = bench.engine_with(|builder| builder.on_failure(OnFailure::Pause).approver(ask));
    let proposal = Proposal::of(Spec { protected: true, ..pair() }, Origins::new()).unwrap();
    let planned = engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
    let approval = engine.approval(&planned).await.unwrap();
    let done = engine.apply(&planned, approval, &CancellationToken::new()).await.unwrap();
    assert_eq!((done.outcome, boss.asked().len()), (Outcome::RolledBack, 2));
    assert!(bench.world.all().is_empty());
    let whose = |body: &Body| matches!(body, Body::Decided { by, .. } if by == "boss");
    assert_eq!(bench.bodies().iter().filter(|body| whose(body)).count(), 2);

    // Who has nothing to say leaves it paused; a resume asks again.
    bench.world.fail(&at("left/part.0"), Fault::Permanent, 1);
    let planned = engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
    let approval = engine.approval(&planned).await.unwrap();
    let left = engine.apply(&planned, approval, &CancellationToken::new()).await.unwrap();
    assert_eq!(left.outcome, Outcome::Paused);
    let again = engine.resume(&name(), &CancellationToken::new()).await.unwrap().unwrap();
    assert_eq!((again.outcome, boss.asked().len()), (Outcome::Paused, 4));

    let nobody = bench.engine_with(|builder| builder.approver(Arc::new(MemoryApprover::new(""))));
    assert_eq!(nobody.approval(&planned).await.unwrap_err().code(), "approval::declined");
    assert_eq!(bench.engine().approval(&planned).await.unwrap_err().code(), "engine::no-approver");
}

/// Somebody who never answers.
#[derive(Debug)]
struct Silent;

#[async_trait::async_trait]
impl Approver for Silent {
    async fn approve(&self, _: &Ctx, _: &Planned) -> Result<Option<Approval>> {
        Ok(None)
    }
    async fn decide(&self, _: &Ctx, _: &crate::status::Run) -> Result<Option<crate::approver::Decided>> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_stop_while_a_person_is_asked_leaves_the_run_paused() {
    let bench = Bench::new();
    bench.world.fail(&at("left/part.0"), Fault::Permanent, 1);
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let pauses = When(|body| matches!(body, Body::RunPaused { .. }), move || stop.cancel());
    let engine = bench.engine_with(|builder| {
        builder.on_failure(OnFailure::Pause).approver(Arc::new(Silent)).sink(Arc::new(pauses))
    });
    let planned =
        engine.plan(&Proposal::of(pair(), Origins::new()).unwrap(), &BTreeSet::new()).await.unwrap();
    let left = engine.apply(&planned, bench.approve(&planned), &cancel).await.unwrap();
    assert_eq!(left.outcome, Outcome::Paused);
    assert!(left.state.open_run().unwrap().paused.is_some());
}

/// Does something with an engine until the journal has `events` more events, and then drops everything, as
/// a `kill -9` does. Gives whether it got that far.
pub(super) async fn killed(
    bench: &Bench,
    events: usize,
    policy: OnFailure,
    work: impl AsyncFnOnce(Engine) -> Result<()>,
) -> bool {
    let kill = CancellationToken::new();
    let killer = Arc::new(Killer { left: AtomicUsize::new(events), kill: kill.clone() });
    let engine = bench.engine_with(|builder| builder.sink(killer).on_failure(policy));
    let died = tokio::select! {
        biased;
        () = kill.cancelled() => true,
        done = work(engine) => { done.unwrap(); false }
    };
    // The dead process's lease runs out.
    bench.host.advance(Duration::from_secs(3600));
    died
}

pub(super) async fn resume(engine: Engine) -> Result<()> {
    engine.resume(&name(), &CancellationToken::new()).await.map(drop)
}

/// Whatever happened, each thing was changed at most once on the way forward and once on the way back, and
/// the journal is one that can be trusted.
pub(super) fn nothing_twice(bench: &Bench, before: &BTreeMap<String, usize>, of: &str) {
    for (address, count) in bench.effects() {
        let before = before.get(&address).copied().unwrap_or(0);
        assert!(count <= before + 2, "{address} changed {count} times, {of}");
    }
    let mut verifier = crate::verify::Verifier::default();
    for (seq, event) in bench.store.events("shop/staging") {
        if let Err(broken) = verifier.take(seq, &event) {
            panic!("{broken:?}, {of}");
        }
    }
}

#[tokio::test]
async fn a_decision_survives_a_kill_at_every_position_after_it() {
    let mut kills = 0;
    for decision in ["retry", "skip", "roll back", "abort"] {
        for events in 1.. {
            let of = format!("{decision}, killed after {events}");
            let (bench, _, paused) = Bench::paused().await;
            let ran = bench.effects();
            let (decision, expect) = match decision {
                "retry" => (Decision::Retry, Outcome::Succeeded),
                "skip" => (Decision::Skip { step: step_of(&paused, "web/endpoint") }, Outcome::Incomplete),
                "roll back" => (Decision::RollBack, Outcome::RolledBack),
                _ => (Decision::Abort, Outcome::Failed),
            };
            let decided = async |engine: Engine| decide(&engine, decision).await.map(drop);
            if !killed(&bench, events, OnFailure::Pause, decided).await {
                break;
            }
            kills += 1;
            resume(bench.engine()).await.unwrap();
            let run = bench.engine().state(&name()).await.unwrap().run.unwrap();
            assert_eq!(run.ended.map(|(_, outcome)| outcome), Some(expect), "{of}");
            nothing_twice(&bench, &ran, &of);
        }
    }
    println!("figure: decisions killed and resumed: {kills}");
    assert!(kills > 10, "{kills}");
}

#[tokio::test]
async fn killed_before_its_pause_a_run_still_comes_to_it() {
    for events in 1.. {
        let bench = Bench::new();
        bench.deploy(&shop()).await.unwrap();
        bench.world.fail(&at("web/endpoint"), Fault::Permanent, 2);
        let ran = bench.effects();
        let work = async |engine: Engine| deploy(&engine, &bench, &second()).await.map(drop);
        if !killed(&bench, events, OnFailure::Pause, work).await {
            break;
        }
        if bench.engine().state(&name()).await.unwrap().open_run().is_none() {
            continue;
        }
        match bench.pausing().resume(&name(), &CancellationToken::new()).await {
            Ok(finished) => assert_eq!(finished.unwrap().outcome, Outcome::Paused, "killed after {events}"),
            Err(error) => assert_eq!(error.code(), "run::paused", "killed after {events}"),
        }
        nothing_twice(&bench, &ran, &format!("killed after {events}"));
    }
}

#[tokio::test]
async fn killed_again_while_recovering_and_in_the_middle_of_an_undo() {
    let mut kills = 0;
    for failing in [false, true] {
        for first in 1.. {
            let mut died = true;
            for second_kill in 1.. {
                let of = format!("failing {failing}, killed after {first} and {second_kill}");
                let bench = Bench::new();
                bench.deploy(&shop()).await.unwrap();
                let before = there(&bench);
                let ran = bench.effects();
                if failing {
                    bench.world.fail(&at("web/endpoint"), Fault::Permanent, 2);
                }
                let work = async |engine: Engine| deploy(&engine, &bench, &second()).await.map(drop);
                died = killed(&bench, first, OnFailure::RollBack, work).await;
                if !died || !killed(&bench, second_kill, OnFailure::RollBack, resume).await {
                    break;
                }
                kills += 2;
                resume(bench.engine()).await.unwrap();
                let state = bench.engine().state(&name()).await.unwrap();
                let outcome = state.run.unwrap().ended.unwrap().1;
                match outcome {
                    Outcome::Succeeded => assert_eq!(bench.world.all().len(), 7, "{of}"),
                    Outcome::RolledBack => assert_eq!(there(&bench), before, "{of}"),
                    other => panic!("{other:?}, {of}"),
                }
                nothing_twice(&bench, &ran, &of);
            }
            if !died {
                break;
            }
        }
    }
    println!("figure: kills of runs that were killed again while they recovered: {kills}");
    assert!(kills > 100, "{kills}");
}

#[tokio::test]
async fn an_interrupted_run_can_be_rolled_back_from_every_position() {
    let mut kills = 0;
    for events in 1.. {
        let bench = Bench::new();
        bench.deploy(&shop()).await.unwrap();
        let before = there(&bench);
        let work = async |engine: Engine| deploy(&engine, &bench, &second()).await.map(drop);
        if !killed(&bench, events, OnFailure::RollBack, work).await {
            break;
        }
        let engine = bench.engine();
        if engine.state(&name()).await.unwrap().open_run().is_none() {
            continue;
        }
        kills += 1;
        for wrong in [Decision::Retry, Decision::Abort, Decision::Skip { step: StepId(0) }] {
            assert_eq!(decide(&engine, wrong).await.unwrap_err().code(), "run::not-paused");
        }
        let back = decide(&engine, Decision::RollBack).await.unwrap();
        assert_eq!(back.outcome, Outcome::RolledBack, "killed after {events}");
        assert_eq!(there(&bench), before, "killed after {events}");
    }
    assert!(kills > 10, "{kills}");
}

/// A run that is stopped on request in the middle.
async fn stopped(bench: &Bench) -> Finished {
    bench.world.fail(&at("db/part.0"), Fault::Hangs, 1);
    let cancel = CancellationToken::new();
    let stop = async {
        while bench.world.count_at(Calling::Apply, &at("db/part.0")) < 2 {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let engine = bench.engine();
    let planned =
        engine.plan(&Proposal::of(second(), Origins::new()).unwrap(), &BTreeSet::new()).await.unwrap();
    tokio::join!(engine.apply(&planned, bench.approve(&planned), &cancel), stop).0.unwrap()
}

#[tokio::test]
async fn a_run_that_was_stopped_can_be_resumed_or_rolled_back() {
    for back in [false, true] {
        let bench = Bench::new();
        bench.deploy(&shop()).await.unwrap();
        let (before, ran) = (there(&bench), bench.effects());
        assert_eq!(stopped(&bench).await.outcome, Outcome::Cancelled);
        let engine = bench.engine();
        let done = if back {
            decide(&engine, Decision::RollBack).await.unwrap()
        } else {
            engine.resume(&name(), &CancellationToken::new()).await.unwrap().unwrap()
        };
        if back {
            assert_eq!((done.outcome, there(&bench)), (Outcome::RolledBack, before));
        } else {
            assert_eq!((done.outcome, bench.world.all().len()), (Outcome::Succeeded, 7));
            assert_eq!(done.state.current().unwrap().number, 2);
        }
        nothing_twice(&bench, &ran, "stopped");
        assert!(engine.resume(&name(), &CancellationToken::new()).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn what_cannot_be_told_after_a_crash_pauses_and_says_so() {
    let bench = Bench::new();
    let work = async |engine: Engine| deploy(&engine, &bench, &shop()).await.map(drop);
    // Killed when the first step is begun and has no end.
    assert!(killed(&bench, 5, OnFailure::Pause, work).await);
    let open = bench.engine().state(&name()).await.unwrap().run.unwrap();
    let begun = open.steps.iter().position(|step| step.phase == Phase::Started).unwrap();
    let address = open.plan.steps[begun].address().clone();
    bench.world.hide(&address, Some("permission denied"));
    let engine = bench.engine();
    let paused = engine.resume(&name(), &CancellationToken::new()).await.unwrap().unwrap();
    assert_eq!(paused.outcome, Outcome::Paused);
    let error = paused.error.unwrap();
    assert_eq!(error.code(), "step::in-doubt");
    assert!(error.message().contains("permission denied"), "{error}");
    bench.world.hide(&address, None);
    assert_eq!(decide(&engine, Decision::Retry).await.unwrap().outcome, Outcome::Succeeded);
    assert!(bench.effects().values().all(|count| *count == 1));
}

#[tokio::test]
async fn an_attempt_that_changed_nothing_is_forgotten_when_the_next_one_does() {
    let bench = Bench::new();
    // The step has to look first, because its values come from another one, and at first nobody can.
    let (hiding, showing) = (bench.world.clone(), bench.world.clone());
    let hide = When(
        |body| matches!(body, Body::RunStarted { .. }),
        move || hiding.hide(&at("web/endpoint"), Some("not yet")),
    );
    let show = When(
        |body| matches!(body, Body::StepRetries { .. }),
        move || showing.hide(&at("web/endpoint"), None),
    );
    // What comes last fails, so that all is taken back.
    let spec = shop_with(|spec| {
        spec.components = vec![Component::new("web", Kind::Web), Component::new("z", Kind::Web)];
        spec.components[1].depends_on = vec!["web".into()];
    });
    bench.world.fail(&at("z/part.0"), Fault::Permanent, 1);
    let engine = bench.engine_with(|builder| builder.sink(Arc::new(hide)).sink(Arc::new(show)));
    let planned = engine.plan(&Proposal::of(spec, Origins::new()).unwrap(), &BTreeSet::new()).await.unwrap();
    let done = engine.apply(&planned, bench.approve(&planned), &CancellationToken::new()).await.unwrap();
    assert_eq!(done.outcome, Outcome::RolledBack);
    assert!(bench.bodies().iter().any(|body| matches!(body, Body::StepRetries { .. })), "it was tried again");
    assert!(bench.world.all().is_empty(), "{:?}", bench.world);
}

/// One thing a component, replaced where its version changes.
#[derive(Debug)]
struct Fixed;

impl Recipe for Fixed {
    fn name(&self) -> &str {
        "fixed"
    }
    fn makes(&self, _: &Spec, _: &Component) -> bool {
        true
    }
    fn resources(&self, at: &At<'_>) -> Result<Vec<Resource>> {
        let want = Want::new().with_some("fixed.version", at.component.version.as_deref());
        Ok(vec![Resource::new(at.address("it")?, "memory", want)])
    }
}

#[tokio::test]
async fn a_replacement_that_was_lost_halfway_is_finished() {
    const HALF: Twist = |world, _, change| {
        Box::pin(async move {
            let address = &change.resource.address;
            if change.action != Action::Replace {
                return None;
            }
            world.meddle(address, None);
            let error = Error::new(ErrorKind::Failed, "test::lost", "hear the end of it").transient();
            Some(Err(Failed { error, left: Observed::Unknown("nobody knows".into()) }))
        })
    };
    let bench = Bench::new();
    let version = |version: &str| {
        shop_with(|spec| {
            spec.components = vec![Component::new("web", Kind::Web)];
            spec.components[0].version = Some(version.into());
        })
    };
    let provider = Twisted(MemoryProvider::new(bench.world.clone()), HALF);
    let engine = Engine::builder()
        .state_dir("/nonexistent/state")
        .host(Arc::clone(&bench.host) as Arc<dyn Host>)
        .store(Arc::clone(&bench.store) as _)
        .secrets(Arc::clone(&bench.secrets) as _)
        .provider(Arc::new(provider))
        .recipe(Arc::new(Fixed));
    let engine = engine.build().unwrap();
    assert_eq!(deploy(&engine, &bench, &version("1")).await.unwrap().outcome, Outcome::Succeeded);
    let done = deploy(&engine, &bench, &version("2")).await.unwrap();
    assert_eq!(done.outcome, Outcome::Succeeded, "{:?}", done.error);
    assert_eq!(there(&bench)[&at("web/it")], Want::new().with("fixed.version", "2"));
}

#[tokio::test]
async fn a_provider_that_keeps_failing_is_left_alone() {
    let bench = Bench::new();
    let names: Vec<String> = (0..6).map(|i| format!("app{i}")).collect();
    let spec = shop_with(|spec| {
        spec.components = names.iter().map(|name| Component::new(name.as_str(), Kind::Web)).collect();
    });
    for name in &names {
        bench.world.fail(&at(&format!("{name}/part.0")), Fault::Transient, 9);
    }
    let engine = bench.engine();
    let done = deploy(&engine, &bench, &spec).await.unwrap();
    assert_eq!(done.error.as_ref().map(Error::code), Some("provider::breaker-open"));
    assert_eq!(done.outcome, Outcome::RolledBack);
    let opened = |body: &&Body| matches!(body, Body::BreakerOpened { provider, .. } if provider == "memory");
    assert_eq!(bench.bodies().iter().filter(opened).count(), 1);
    assert_eq!(bench.world.count(Calling::Apply), 6, "one attempt of each, and no more");
}

#[tokio::test]
async fn a_provider_that_answers_after_its_rest_is_asked_again() {
    for set in CLOCK {
        let bench = Bench::new();
        bench.world.fail(&at("left/part.0"), Fault::Transient, 2);
        let host = Arc::clone(&bench.host);
        let jumps = When(|body| matches!(body, Body::BreakerOpened { .. }), move || set(&host));
        let engine = bench.engine_with(|builder| {
            builder
                .sink(Arc::new(jumps))
                .breaker(BreakerPolicy { failures: 1, cool_down: Duration::from_millis(100) })
                .retry(RetryPolicy { first: Duration::from_secs(1), ..RetryPolicy::default() })
        });
        let spec = shop_with(|spec| spec.components = vec![Component::new("left", Kind::Web)]);
        assert_eq!(deploy(&engine, &bench, &spec).await.unwrap().outcome, Outcome::Succeeded);
        let turns: Vec<bool> = bench
            .bodies()
            .iter()
            .filter_map(|body| match body {
                Body::BreakerOpened { .. } => Some(true),
                Body::BreakerClosed { .. } => Some(false),
                _ => None,
            })
            .collect();
        assert_eq!(turns, [true, true, false]);
    }
}

#[tokio::test]
async fn a_provider_that_is_left_alone_breaks_no_chain_of_a_run_that_was_stopped() {
    let bench = Bench::new();
    bench.world.fail(&at("left/part.0"), Fault::Transient, 9);
    let engine = bench.engine_with(|builder| {
        let breaker = BreakerPolicy { failures: 1, ..BreakerPolicy::default() };
        builder.breaker(breaker).parallel(1)
    });
    let planned =
        engine.plan(&Proposal::of(pair(), Origins::new()).unwrap(), &BTreeSet::new()).await.unwrap();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let stopped = engine.apply(&planned, bench.approve(&planned), &cancel).await.unwrap();
    assert_eq!(stopped.outcome, Outcome::Cancelled);
    // Its steps were left out when it was stopped; now one of them fails without an attempt.
    let done = engine.resume(&name(), &CancellationToken::new()).await.unwrap().unwrap();
    assert_eq!(done.error.as_ref().map(Error::code), Some("provider::breaker-open"));
    nothing_twice(&bench, &BTreeMap::new(), "resumed");
}

/// What somebody does to the clock: nothing, a year ahead, a year back.
const CLOCK: [fn(&MemoryHost); 3] = {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    [|_| {}, |host| host.set_ahead(YEAR), |host| host.set_back(YEAR)]
};

#[tokio::test]
async fn a_clock_that_is_set_hides_no_failure_and_shortens_no_rest() {
    for set in CLOCK {
        let bench = Bench::new();
        bench.world.fail(&at("left/part.0"), Fault::Transient, 9);
        let host = Arc::clone(&bench.host);
        let jumps = When(|body| matches!(body, Body::StepRetries { .. }), move || set(&host));
        let engine = bench.engine_with(|builder| {
            builder
                .sink(Arc::new(jumps))
                .breaker(BreakerPolicy { failures: 3, cool_down: LEASE })
                .retry(RetryPolicy { attempts: 9, first: Duration::from_secs(1), ..RetryPolicy::default() })
        });
        let spec = shop_with(|spec| spec.components = vec![Component::new("left", Kind::Web)]);
        let done = deploy(&engine, &bench, &spec).await.unwrap();
        assert_eq!(done.error.as_ref().map(Error::code), Some("provider::breaker-open"));
        assert_eq!(bench.world.count(Calling::Apply), 3, "three failures, and it is left alone");
    }
}

#[tokio::test]
async fn a_lease_that_commands_could_outlive_is_refused() {
    let bench = |grace| Bench { host: Arc::new(MemoryHost::new().with_grace(grace)), ..Bench::new() };
    let long = bench(LEASE);
    let error = deploy(&long.engine(), &long, &shop()).await.unwrap_err();
    assert_eq!(error.code(), "engine::grace");
    assert!(error.help_text().is_some() && long.bodies().is_empty(), "{error:?}");
    let short = bench(LEASE - Duration::from_secs(1));
    assert_eq!(deploy(&short.engine(), &short, &shop()).await.unwrap().outcome, Outcome::Succeeded);
    // A lease that sees its holder die is not outlived.
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(crate::local::LocalStore::new(&crate::Layout::new(dir.path())));
    let engine = long.engine_with(|builder| builder.store(store));
    assert_eq!(deploy(&engine, &long, &shop()).await.unwrap().outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn a_long_step_keeps_its_lease() {
    let bench = Bench { host: Arc::new(MemoryHost::manual()), ..Bench::new() };
    bench.world.takes(&at("db/part.0"), LEASE * 10);
    let engine = bench.engine();
    let planned =
        engine.plan(&Proposal::of(shop(), Origins::new()).unwrap(), &BTreeSet::new()).await.unwrap();
    let never = CancellationToken::new();
    let run = engine.apply(&planned, bench.approve(&planned), &never);
    let rival = async {
        let mut refused = 0;
        for _ in 0..35 {
            for _ in 0..200 {
                tokio::task::yield_now().await;
            }
            if bench.world.get(&at("web/endpoint")).is_none() {
                let lease = bench.store.lease(&engine.ctx(), "shop/staging", "rival", LEASE).await;
                assert_eq!(lease.unwrap_err().code(), "store::locked");
                refused += 1;
            }
            bench.host.advance(LEASE / 3);
        }
        refused
    };
    let (done, refused) = tokio::join!(run, rival);
    assert_eq!((done.unwrap().outcome, refused), (Outcome::Succeeded, 30));
}

#[tokio::test]
async fn a_lost_lease_ends_the_run_and_nothing_more_is_changed() {
    let bench = Bench::new();
    // While the first part is being made, the process is stopped for so long that somebody overtakes it.
    let (store, host, world) = (Arc::clone(&bench.store), Arc::clone(&bench.host), bench.world.clone());
    let (thief, begun) = (bench.engine().ctx(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&begun);
    let overtaken = When(
        |body| matches!(body, Body::StepDone { .. }),
        move || {
            host.advance(LEASE * 2);
            let lease = store.lease(&thief, "shop/staging", "rival", LEASE);
            futures::FutureExt::now_or_never(lease).unwrap().unwrap();
            counted.store(world.count(Calling::Effect), Ordering::SeqCst);
        },
    );
    let engine = bench.engine_with(|builder| builder.sink(Arc::new(overtaken)).parallel(1));
    let failed = deploy(&engine, &bench, &shop()).await.unwrap_err();
    assert_eq!((failed.code(), failed.kind()), ("store::fenced", ErrorKind::Locked));
    let after = bench.world.count(Calling::Effect) - begun.load(Ordering::SeqCst);
    assert!(after <= 1, "only what was under way may still end: {after}");
}

#[tokio::test]
async fn an_unfinished_run_is_named_with_its_holder_and_request() {
    let bench = Bench::new();
    let request = crate::request::Request::new("deploy the shop", "ann", bench.host.now());
    let work = async |engine: Engine| {
        let mut proposal = Proposal::of(shop(), Origins::new())?;
        proposal.request = request.ok();
        let planned = engine.plan(&proposal, &BTreeSet::new()).await?;
        engine.apply(&planned, bench.approve(&planned), &CancellationToken::new()).await.map(drop)
    };
    assert!(killed(&bench, 8, OnFailure::RollBack, work).await);
    let error = bench.deploy(&second()).await.unwrap_err();
    assert_eq!(error.code(), "run::unfinished");
    let told = format!("{error:?}");
    for part in ["deploy the shop", "process", "run 1", "resume --roll-back"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}
