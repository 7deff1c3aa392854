//! A spec that is edited at a pause: the run that takes the place of the paused one, and its way back.

use super::way_back::{decide, deploy, killed, nothing_twice, resume, second, there};
use super::*;
use crate::approver::{Answer, Approver, Decided};
use crate::event::{Decision, OnFailure};
use crate::memory::MemoryApprover;
use crate::plan::Plan;
use crate::scanner::Severity;
use crate::status::Run;
use crate::{Error, StateStore as _};

/// The second version of everything, but for a web app that is made otherwise.
fn third() -> Spec {
    let mut spec = second();
    spec.components[0].version = Some("3".into());
    spec
}

impl Bench {
    /// What was there before the run that is paused.
    async fn first() -> Bench {
        let bench = Bench::new();
        bench.deploy(&shop()).await.unwrap();
        bench
    }

    /// The plan of a spec in the place of the run that is paused.
    async fn edited(&self, engine: &Engine, spec: Spec, then: OnFailure) -> Result<Planned> {
        let state = engine.state(&name()).await?;
        let mut proposal = Proposal::of(spec, Origins::new())?;
        proposal.on_failure = Some(then);
        let proposal = proposal.following(state.run.as_ref().unwrap(), "me", self.host.now());
        engine.plan(&proposal, &BTreeSet::new()).await
    }

    async fn apply(&self, engine: &Engine, planned: &Planned) -> Result<Finished> {
        engine.apply(planned, self.approve(planned), &CancellationToken::new()).await
    }

    fn verified(&self) {
        nothing_twice(self, &self.effects(), "the end");
    }
}

fn ends(bench: &Bench) -> Vec<(u64, Outcome)> {
    let end = |body: Body| match body {
        Body::RunEnded { run, outcome } => Some((run.0, outcome)),
        _ => None,
    };
    bench.bodies().into_iter().filter_map(end).collect()
}

fn begun_before(plan: &Plan) -> BTreeSet<String> {
    plan.steps.iter().filter(|step| step.begun_before).map(|step| step.address().to_string()).collect()
}

#[tokio::test]
async fn what_was_done_is_kept_and_what_failed_is_planned_anew() {
    let (bench, engine, paused) = Bench::paused().await;
    let before = bench.effects();
    let planned = bench.edited(&engine, third(), OnFailure::Pause).await.unwrap();
    // All that the paused run had begun has its way back here, also what stays as it is now.
    let run = paused.state.run.as_ref().unwrap();
    let touched = run.plan.steps.iter().zip(&run.steps).filter(|(_, now)| now.attempts > 0 && !now.untouched);
    let touched: BTreeSet<String> = touched.map(|(step, _)| step.address().to_string()).collect();
    assert_eq!(begun_before(&planned.plan), touched);
    let kept = |step: &&Step| step.change.action == Action::Keep;
    let kept: Vec<&str> =
        planned.plan.steps.iter().filter(kept).map(|step| step.address().as_str()).collect();
    assert_eq!(kept, ["db/part.0"], "{:?}", actions(&planned.plan));

    let done = bench.apply(&engine, &planned).await.unwrap();
    assert_eq!((done.outcome, done.run), (Outcome::Succeeded, RunId(3)));
    assert_eq!(ends(&bench)[1..], [(2, Outcome::Superseded), (3, Outcome::Succeeded)]);
    for address in kept {
        assert_eq!(bench.effects().get(address), before.get(address), "{address} was left alone");
    }
    let again = Proposal::of(third(), Origins::new()).unwrap();
    assert_eq!(actions(&engine.plan(&again, &BTreeSet::new()).await.unwrap().plan), Vec::<String>::new());
    let revisions: Vec<_> = done.state.revisions.iter().map(|r| (r.number, r.outcome)).collect();
    let (good, gone) = (Some(Outcome::Succeeded), Some(Outcome::Superseded));
    assert_eq!(revisions, [(1, good), (2, gone), (3, good)]);
    bench.verified();
}

#[tokio::test]
async fn a_second_failure_is_taken_back_to_before_the_first_run() {
    for fails in ["web/endpoint", "web/part.0", "web/part.2", "db/part.0"] {
        let (bench, engine, _) = Bench::paused().await;
        let edited = shop_with(|spec| {
            spec.components[0].version = Some("3".into());
            spec.components[1].version = Some("17".into());
            spec.components[0].replicas = Replicas { min: 3, max: 3 };
        });
        bench.world.fail(&at(fails), Fault::Permanent, 1);
        let planned = bench.edited(&engine, edited, OnFailure::RollBack).await.unwrap();
        let ended = bench.apply(&engine, &planned).await.unwrap();
        assert_eq!(ended.outcome, Outcome::RolledBack, "{fails}");
        assert_eq!(there(&bench), there(&Bench::first().await), "{fails}");
        assert_eq!(ended.state.standing().map(|revision| revision.number), Some(1));
        bench.verified();
        // And there is nothing to do about the first revision.
        let again = deploy(&engine, &bench, &shop()).await.unwrap();
        assert!(again.state.run.unwrap().plan.steps.is_empty(), "{fails}");
    }
}

#[tokio::test]
async fn edited_again_and_again_the_way_back_still_goes_to_before_the_first() {
    let (bench, engine, _) = Bench::paused().await;
    for version in ["3", "4", "5"] {
        let mut edited = second();
        edited.components[0].version = Some(version.into());
        bench.world.fail(&at("web/endpoint"), Fault::Permanent, 1);
        let planned = bench.edited(&engine, edited, OnFailure::Pause).await.unwrap();
        assert_eq!(bench.apply(&engine, &planned).await.unwrap().outcome, Outcome::Paused);
    }
    // Back to what it was: nothing of it all is wanted any more, and all of it has its way back.
    bench.world.fail(&at("db/part.0"), Fault::Permanent, 1);
    let planned = bench.edited(&engine, shop(), OnFailure::Pause).await.unwrap();
    assert_eq!(bench.apply(&engine, &planned).await.unwrap().outcome, Outcome::Paused);
    let back = decide(&engine, Decision::RollBack).await.unwrap();
    assert_eq!(back.outcome, Outcome::RolledBack);
    assert_eq!(there(&bench), there(&Bench::first().await));
    let superseded = ends(&bench).into_iter().filter(|(_, outcome)| *outcome == Outcome::Superseded).count();
    assert_eq!(superseded, 4);
    bench.verified();
}

#[tokio::test]
async fn killed_anywhere_it_goes_on_or_goes_back() {
    let mut kills = 0;
    for then in [OnFailure::RollBack, OnFailure::Stop] {
        for events in 1.. {
            let of = format!("{then:?}, killed after {events}");
            let (bench, engine, _) = Bench::paused().await;
            if then == OnFailure::RollBack {
                bench.world.fail(&at("web/part.2"), Fault::Permanent, 1);
            }
            let ran = bench.effects();
            let planned = bench.edited(&engine, third(), then).await.unwrap();
            let work = async |engine: Engine| bench.apply(&engine, &planned).await.map(drop);
            if !killed(&bench, events, OnFailure::Pause, work).await {
                break;
            }
            kills += 1;
            resume(bench.engine()).await.unwrap();
            let state = bench.engine().state(&name()).await.unwrap();
            let ended = state.run.as_ref().unwrap().ended.map(|(_, outcome)| outcome);
            // Killed while the step fails, it may succeed when it is tried again.
            match ended {
                Some(Outcome::RolledBack) => {
                    assert_eq!(there(&bench), there(&Bench::first().await), "{of}");
                }
                ended => assert_eq!(ended, Some(Outcome::Succeeded), "{of}"),
            }
            nothing_twice(&bench, &ran, &of);
        }
    }
    println!("figure: edited runs killed and resumed: {kills}");
    assert!(kills > 20, "{kills}");
}

#[tokio::test]
async fn what_is_not_approved_or_does_not_pass_leaves_the_run_paused() {
    let (bench, engine, paused) = Bench::paused().await;
    let written = bench.bodies().len();
    let planned = bench.edited(&engine, third(), OnFailure::Pause).await.unwrap();
    // The approval of the plan that failed is none of this one.
    let old = Approval { plan: paused.state.run.as_ref().unwrap().plan.id, ..bench.approve(&planned) };
    let error = engine.apply(&planned, old, &CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.code(), "approval::other-plan");
    let empty = Spec { components: vec![], ..third() };
    assert_eq!(bench.edited(&engine, empty, OnFailure::Pause).await.unwrap_err().code(), "spec::empty");
    bench.scanner.says(vec![Finding::new("no", None, Verdict::Fail, "no").severity(Severity::High)]);
    let refused = bench.edited(&engine, third(), OnFailure::Pause).await.unwrap_err();
    assert_eq!(refused.code(), "gate::refused");
    let state = engine.state(&name()).await.unwrap();
    assert!(state.open_run().unwrap().paused.is_some());
    assert_eq!(bench.bodies().len(), written, "nothing was written");
}

#[tokio::test]
async fn whoever_was_faster_is_not_overtaken() {
    // Somebody decides between the plan and its approval.
    let (bench, engine, _) = Bench::paused().await;
    let planned = bench.edited(&engine, third(), OnFailure::Pause).await.unwrap();
    decide(&engine, Decision::Retry).await.unwrap();
    let error = bench.apply(&engine, &planned).await.unwrap_err();
    assert_eq!(error.code(), "run::not-paused");

    // Somebody tried again, in vain: it is paused once more, and other things are there.
    let (bench, engine, _) = Bench::paused().await;
    let planned = bench.edited(&engine, third(), OnFailure::Pause).await.unwrap();
    bench.world.fail(&at("web/endpoint"), Fault::Permanent, 1);
    assert_eq!(decide(&engine, Decision::Retry).await.unwrap().outcome, Outcome::Paused);
    assert_eq!(bench.apply(&engine, &planned).await.unwrap_err().code(), "plan::stale");

    // Somebody is at it.
    let ctx = engine.ctx();
    let lease = bench.store.lease(&ctx, "shop/staging", "bob", LEASE).await.unwrap();
    let planned = bench.edited(&engine, third(), OnFailure::Pause).await.unwrap();
    let error = bench.apply(&engine, &planned).await.unwrap_err();
    assert_eq!(error.code(), "store::locked");
    bench.store.release(&ctx, lease).await.unwrap();

    // Nothing is paused: there is no place to take.
    let done = bench.apply(&engine, &planned).await.unwrap();
    let gone = Proposal::of(second(), Origins::new()).unwrap();
    let gone = gone.following(done.state.run.as_ref().unwrap(), "me", bench.host.now());
    let error = engine.plan(&gone, &BTreeSet::new()).await.unwrap_err();
    assert_eq!(error.code(), "run::not-paused");
}

#[tokio::test]
async fn a_hook_edits_and_approves_in_one_go() {
    let bench = Bench::first().await;
    bench.world.fail(&at("web/endpoint"), Fault::Permanent, 2);
    let boss =
        MemoryApprover::new("boss").deciding(Answer::Edited(Box::new(third()))).deciding(Decision::Retry);
    let boss = Arc::new(boss);
    let ask = Arc::clone(&boss) as Arc<dyn Approver>;
    let engine = bench.engine_with(|builder| builder.on_failure(OnFailure::Pause).approver(ask));
    let planned = engine.plan(&Proposal::of(second(), Origins::new()).unwrap(), &BTreeSet::new()).await;
    let planned = planned.unwrap();
    let approval = engine.approval(&planned).await.unwrap();
    let done = engine.apply(&planned, approval, &CancellationToken::new()).await.unwrap();
    assert_eq!((done.outcome, boss.asked()), (Outcome::Succeeded, vec![RunId(2), RunId(3)]));
    assert_eq!(done.state.current().unwrap().spec, Some(third()));
    let origins = &done.state.current().unwrap().origins;
    assert_eq!(origins["/components/0/version"].to_string(), "edited by boss at the pause of run 2");
    bench.verified();
}

/// Somebody who edits, and has no say on plans.
#[derive(Debug)]
struct Editor;

#[async_trait::async_trait]
impl Approver for Editor {
    async fn approve(&self, _: &Ctx, _: &Planned) -> Result<Option<Approval>> {
        Ok(None)
    }
    async fn decide(&self, _: &Ctx, _: &Run) -> Result<Option<Decided>> {
        Ok(Some(Decided { by: "ann".into(), answer: Answer::Edited(Box::new(third())) }))
    }
}

#[tokio::test]
async fn a_hook_that_does_not_approve_its_edit_leaves_the_run_paused() {
    let (bench, _, _) = Bench::paused().await;
    let engine = bench.engine_with(|builder| builder.approver(Arc::new(Editor)));
    let error = engine.resume(&name(), &CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.code(), "approval::declined");
    let state = engine.state(&name()).await.unwrap();
    assert!(state.open_run().unwrap().paused.is_some());
    engine.parts.store.lease(&engine.ctx(), "shop/staging", "bob", LEASE).await.expect("the lease is free");

    // In a protected environment, who edits does not approve, also where somebody else had asked.
    let bench = Bench::first().await;
    bench.world.fail(&at("web/endpoint"), Fault::Permanent, 1);
    let protected = |spec| Spec { protected: true, ..spec };
    let ann = MemoryApprover::new("ann").deciding(Answer::Edited(Box::new(protected(third()))));
    let engine = bench.engine_with(|builder| builder.on_failure(OnFailure::Pause).approver(Arc::new(ann)));
    let proposal = Proposal::of(protected(second()), Origins::new()).unwrap();
    let planned = engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
    let approval = engine.approval(&planned).await.unwrap();
    let error: Error = engine.apply(&planned, approval, &CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.code(), "approval::same-person");
    assert!(engine.state(&name()).await.unwrap().open_run().unwrap().paused.is_some());
}
