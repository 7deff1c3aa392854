//! From an approved plan to a run that is over, and on with one that was interrupted.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::checks::{Approval, Checked, Policy, trusted_plan};
use crate::engine::driver::{Driver, Edited, Left, kept};
use crate::engine::tied::under;
use crate::engine::{Engine, Planned, Proposal};
use crate::event::{Body, Decision, Event, Outcome};
use crate::plan::Plan;
use crate::scanner::Subject;
use crate::spec::Origin;
use crate::status::{Run, State};
use crate::store::Lease;
use crate::{Ctx, Deployment, Error, ErrorKind, Result, RunId, kill};

/// How long a lease lasts in stores whose leases have an end.
pub(super) const LEASE: Duration = Duration::from_secs(60);

/// A run that is over, or waits for a person ([`Outcome::Paused`]).
#[derive(Clone, Debug)]
pub struct Finished {
    /// The run; 0 where there was nothing to do and nothing was written.
    pub run: RunId,
    /// How it ended, or was left.
    pub outcome: Outcome,
    /// What is there now.
    pub state: State,
    /// Why the first step that failed did.
    pub error: Option<Error>,
}

impl Engine {
    /// Carries out a plan, exactly as it was approved, until it is done, taken back, or stopped.
    ///
    /// A step that fails is no error here: see [`Finished::outcome`].
    ///
    /// # Errors
    /// `plan::edited`, `plan::stale` where it no longer fits, `approval::…`, `gate::…`, `store::locked` where
    /// somebody else changes the deployment, and those of the store.
    pub async fn apply(
        &self,
        planned: &Planned,
        approval: Approval,
        cancel: &CancellationToken,
    ) -> Result<Finished> {
        planned.plan.check()?;
        self.is_ours(planned)?;
        let deployment = planned.plan.deployment.clone();
        let holder = self.parts.holder();
        let (ctx, lease) = self.lease(&deployment, &holder, cancel).await?;
        let begun = self.begin(&ctx, &lease, planned, approval, holder, None).await;
        self.finish(ctx, lease, begun, cancel).await
    }

    /// Goes on with a run that was interrupted or stopped on request; `None` where there is none.
    ///
    /// # Errors
    /// `run::paused` where it waits for a decision and nobody can be asked, `store::locked` where somebody
    /// else is at it, and those of the store.
    pub async fn resume(
        &self,
        deployment: &Deployment,
        cancel: &CancellationToken,
    ) -> Result<Option<Finished>> {
        self.go_on(deployment, None, cancel).await
    }

    /// Goes on with a paused run as a person decided; `None` where there is no run to go on with. One that
    /// was interrupted or stopped can be rolled back as well.
    ///
    /// # Errors
    /// `run::not-paused` and `run::not-failed` where there is nothing to decide, `store::locked` where
    /// somebody else is at it, and those of the store.
    pub async fn decide(
        &self,
        deployment: &Deployment,
        decision: Decision,
        cancel: &CancellationToken,
    ) -> Result<Option<Finished>> {
        self.go_on(deployment, Some(decision), cancel).await
    }

    async fn go_on(
        &self,
        deployment: &Deployment,
        decision: Option<Decision>,
        cancel: &CancellationToken,
    ) -> Result<Option<Finished>> {
        // Looked at without the lease first: where there is nothing to do, nobody is disturbed.
        let state = self.state(deployment).await?;
        let Some(run) = state.resumable_run() else { return Ok(None) };
        self.may_go_on(run, decision)?;
        let holder = self.parts.holder();
        let (ctx, lease) = self.lease(deployment, &holder, cancel).await?;
        let begun = self.begin_again(&ctx, &lease, deployment, decision, holder).await;
        self.finish(ctx, lease, begun, cancel).await.map(Some)
    }

    /// The lease of a deployment, and the surroundings for all that is done under it.
    pub(super) async fn lease(
        &self,
        deployment: &Deployment,
        holder: &str,
        cancel: &CancellationToken,
    ) -> Result<(Ctx, Lease)> {
        let ctx = self.ctx().for_deployment(deployment);
        let waiting = ctx.clone().with_cancel(cancel.clone());
        let lease = self.parts.store.lease(&waiting, &deployment.to_string(), holder, LEASE).await?;
        if lease.tie.is_none() && ctx.host().grace() >= LEASE {
            self.parts.store.release(&ctx, lease).await?;
            return Err(outlived(ctx.host().grace()));
        }
        Ok((under(&lease, ctx), lease))
    }

    /// Everything between the lease and the first step of a run that goes on.
    async fn begin_again(
        &self,
        ctx: &Ctx,
        lease: &Lease,
        deployment: &Deployment,
        decision: Option<Decision>,
        holder: String,
    ) -> Result<Begun> {
        // Read again: whoever held the lease before may have ended the run.
        let state = self.trusted_state(deployment).await?;
        let Some(run) = state.resumable_run().cloned() else { return Ok(Begun::Nothing(Box::new(state))) };
        self.may_go_on(&run, decision)?;
        let policy =
            Policy { accepted: state.accepted.clone(), protected: run.plan.protected, ..Policy::default() };
        let mut bodies = vec![Body::RunResumed { run: run.id, holder }];
        if let Some(decision) = decision {
            bodies.push(Body::Decided { run: run.id, by: ctx.host().user(), decision });
        }
        let state = self.write(ctx, lease, deployment, state, bodies).await?;
        Ok(Begun::Run(Box::new((state, trusted_plan(run.plan), policy))))
    }

    fn may_go_on(&self, run: &Run, decision: Option<Decision>) -> Result<()> {
        match decision {
            Some(decision) => may_decide(run, decision),
            None if run.paused.is_some() && self.parts.approver.is_none() => Err(paused(run)),
            None => Ok(()),
        }
    }

    /// Whether a plan, perhaps from a file, is about this engine's state directory and one deployment.
    fn is_ours(&self, planned: &Planned) -> Result<()> {
        if planned.proposal.deployment != planned.plan.deployment {
            return Err(planned.plan.edited());
        }
        match planned.state_dir.as_deref() {
            Some(other) if *other != *self.parts.state_dir => {
                let message = "apply a plan that was made for another state directory";
                Err(Error::new(ErrorKind::Refused, "plan::other-state", message)
                    .help("apply it where it was made, or plan again here")
                    .with("made_for", other.display().to_string())
                    .with("here", self.parts.state_dir.display().to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Everything between the lease and the first step: the plan still fits, passes the gate again, is
    /// approved, and is written down. Where it takes the place of a paused run, the end of that and the beginning
    /// of this are one append. `edits` is who asks for it, where that is not the requester.
    async fn begin(
        &self,
        ctx: &Ctx,
        lease: &Lease,
        planned: &Planned,
        approval: Approval,
        holder: String,
        edits: Option<&str>,
    ) -> Result<Begun> {
        let state = self.trusted_state(&planned.plan.deployment).await?;
        let (now, plan) = self.fits(ctx, &state, planned, &approval, edits).await?;
        let changes_nothing = plan.steps.is_empty();
        let rolled_out = state.current().is_some_and(|current| current.number == plan.revision);
        if changes_nothing
            && plan.follows.is_none()
            && (rolled_out || (plan.spec.is_none() && state.current().is_none()))
        {
            return Ok(Begun::Nothing(Box::new(state)));
        }
        let run = RunId(state.runs + 1);
        let ends = |run| Body::RunEnded { run, outcome: Outcome::Superseded };
        let mut bodies: Vec<Body> = plan.follows.map(ends).into_iter().collect();
        if let Some(request) = &now.proposal.request {
            bodies.push(Body::Requested { request: request.clone() });
        }
        if let Some(parsed) = &now.proposal.parsed {
            bodies.push(Body::Understood {
                request: plan.chain.request,
                parser: now.proposal.parser.clone().unwrap_or_default(),
                parsed: parsed.clone(),
            });
        }
        let reports = now.spec_reports.iter().chain(&now.plan_reports).cloned().collect();
        if let Some(commit) = &now.proposal.commit {
            bodies.push(Body::SpecRead { commit: commit.clone() });
        }
        bodies.push(Body::Judged { reports, accepted: now.accepted.iter().cloned().collect() });
        bodies.push(Body::Planned { plan: Box::new((*plan).clone()) });
        bodies.push(Body::Approved { approval });
        let on_failure = now.proposal.on_failure.unwrap_or(self.parts.on_failure);
        bodies.push(Body::RunStarted { run, plan: plan.id, holder, on_failure });
        let policy = self.policy(&now, Subject::Plan(&now.plan));
        let state = self.write(ctx, lease, &planned.plan.deployment, state, bodies).await?;
        Ok(Begun::Run(Box::new((state, plan, policy))))
    }

    /// Whether a plan is still the one that would be made, passes the gate, and is approved.
    async fn fits(
        &self,
        ctx: &Ctx,
        state: &State,
        planned: &Planned,
        approval: &Approval,
        edits: Option<&str>,
    ) -> Result<(Planned, Checked<Plan>)> {
        let now = self.plan_on(&planned.proposal, &planned.accepted, state).await?;
        if now.plan.id != planned.plan.id {
            return Err(stale(&planned.plan, &now.plan));
        }
        let plan = self.check(&now)?;
        let asks = now.proposal.request.as_ref().map(|request| request.who.as_str()).or(edits);
        let requester = asks.map_or_else(|| ctx.host().user(), str::to_owned);
        approval.check(&plan, &requester, ctx.host().now())?;
        Ok((now, plan))
    }

    async fn finish(
        &self,
        ctx: Ctx,
        lease: Lease,
        begun: Result<Begun>,
        cancel: &CancellationToken,
    ) -> Result<Finished> {
        let store = Arc::clone(&self.parts.store);
        match begun {
            Err(error) => {
                // The first error is the one to tell.
                let _ = store.release(&ctx, lease).await;
                Err(error)
            }
            Ok(Begun::Nothing(state)) => {
                store.release(&ctx, lease).await?;
                Ok(Finished { run: RunId(0), outcome: Outcome::Succeeded, state: *state, error: None })
            }
            Ok(Begun::Run(run)) => match self.drive(&ctx, &lease, *run, cancel).await {
                Ok(mut finished) => {
                    if finished.outcome == Outcome::Succeeded {
                        finished.state = self.export(&ctx, &lease, cancel, finished.state).await;
                    }
                    store.release(&ctx, lease).await?;
                    Ok(finished)
                }
                Err(error) => {
                    let _ = store.release(&ctx, lease).await;
                    Err(error)
                }
            },
        }
    }

    /// Carries a run to its end, and on with the run that takes its place where somebody edits the spec.
    async fn drive(
        &self,
        ctx: &Ctx,
        lease: &Lease,
        begun: (State, Checked<Plan>, Policy),
        cancel: &CancellationToken,
    ) -> Result<Finished> {
        let mut next = Some(begun);
        while let Some((state, plan, policy)) = next.take() {
            // Also where nothing was planned by this engine: a tool may write down what another step was lent.
            ctx.learn(&state.secrets()).await;
            let driver = Driver::new(&self.parts, ctx.clone(), lease.clone(), state, plan, policy);
            let Left { finished, edited } = driver.drive(cancel).await?;
            let Some(edited) = edited else { return Ok(finished) };
            let approved = self.approve_edited(ctx, &finished.state, &edited);
            let (planned, approval) = tokio::select! {
                biased;
                approved = kept(&self.parts, ctx, lease, finished.state.last, approved) => approved??,
                // Nothing is written yet: the run stays paused.
                () = cancel.cancelled() => return Ok(finished),
            };
            let holder = self.parts.holder();
            if let Begun::Run(run) =
                self.begin(ctx, lease, &planned, approval, holder, Some(&edited.by)).await?
            {
                next = Some(*run);
            }
        }
        Err(stuck("a run to carry out"))
    }

    /// From an edited spec to an approved plan that takes the place of the paused run: through the gates, and
    /// with an approval of its own. Nothing is written.
    async fn approve_edited(
        &self,
        ctx: &Ctx,
        state: &State,
        Edited { by, spec }: &Edited,
    ) -> Result<(Planned, Approval)> {
        let run = state.open_run().ok_or_else(|| stuck("a run to take the place of"))?;
        let edit = Origin::Edited { by: by.clone(), run: run.id };
        let origins = spec.edited(run.plan.spec.as_ref().unwrap_or(spec), &run.plan.origins, &edit);
        let proposal = Proposal::of((**spec).clone(), origins)?.following(run, by, ctx.host().now());
        let planned = self.plan_on(&proposal, &state.accepted, state).await?;
        self.check(&planned)?;
        let approval = self.approval(&planned).await?;
        Ok((planned, approval))
    }

    pub(super) async fn write(
        &self,
        ctx: &Ctx,
        lease: &Lease,
        deployment: &Deployment,
        mut state: State,
        bodies: Vec<Body>,
    ) -> Result<State> {
        let at = ctx.host().now();
        let events: Vec<Event> = bodies.into_iter().map(|body| Event { at, body }).collect();
        let mut seq = state.last;
        kill::append(&events, "before");
        self.parts.store.append(ctx, lease, seq, &events).await?;
        kill::append(&events, "after");
        for event in &events {
            seq = seq.next();
            state.apply(seq, event);
            self.parts.offer(deployment, event);
        }
        Ok(state)
    }
}

/// The error of a lease with a time limit that the commands under it could outlive.
fn outlived(grace: Duration) -> Error {
    let message = format!(
        "work under a lease of {} s: the commands of this host may go on for {} s after their engine is gone",
        LEASE.as_secs(),
        grace.as_secs()
    );
    Error::new(ErrorKind::Invalid, "engine::grace", message)
        .help("give the host a shorter grace, or the engine a store whose lease sees its holder die")
}

/// What stands between the lease and the end.
enum Begun {
    Nothing(Box<State>),
    Run(Box<(State, Checked<Plan>, Policy)>),
}

/// The state that a plan of this proposal begins from: that of now, or where it takes the place of a paused run,
/// that after its end.
///
/// # Errors
/// `run::unfinished`, `run::not-paused`.
pub(super) fn basis<'a>(state: &'a State, proposal: &Proposal, at: Timestamp) -> Result<Cow<'a, State>> {
    let Some(follows) = proposal.follows else {
        return refuse_unfinished(state).map(|()| Cow::Borrowed(state));
    };
    match state.open_run().filter(|run| run.id == follows && run.paused.is_some()) {
        Some(_) => Ok(Cow::Owned(state.superseded(at))),
        None => Err(not_paused(&proposal.deployment, follows)),
    }
}

fn refuse_unfinished(state: &State) -> Result<()> {
    let Some(run) = state.open_run() else { return Ok(()) };
    let mut error = Error::new(
        ErrorKind::NeedsAnswer,
        "run::unfinished",
        format!("change {} while run {} has not ended", run.plan.deployment, run.id),
    )
    .help(match &run.paused {
        Some(_) => {
            "decide how it goes on: `resume --retry`, `--skip STEP`, `--edit`, `--roll-back` or `--abort`"
        }
        None => "go on with it (`resume`), or take it back (`resume --roll-back`)",
    })
    .with("holder", run.holder.clone())
    .with("run", run.id.to_string());
    if let Some(request) = &run.request {
        error = error.with("request", request.text.clone());
    }
    Err(error)
}

/// That a run waits for a person, and what they can say.
fn paused(run: &Run) -> Error {
    let steps: Vec<String> =
        run.failed().filter_map(|id| run.plan.step(id)).map(|s| s.address().to_string()).collect();
    let why = run.paused.as_ref().map(|paused| paused.why.clone()).unwrap_or_default();
    Error::new(
        ErrorKind::NeedsAnswer,
        "run::paused",
        format!("go on with run {} of {}: it waits for a decision", run.id, run.plan.deployment),
    )
    .help("try again with `resume --retry`, leave a step out with `--skip STEP`, change the spec with `--edit`, take everything back with `--roll-back`, or end it with `--abort`")
    .with("failed", steps.join(", "))
    .with("why", why)
}

/// Whether there is anything to decide: a paused run takes every decision, any other only to be rolled back.
///
/// # Errors
/// `run::not-paused`, `run::not-failed`.
pub(super) fn may_decide(run: &Run, decision: Decision) -> Result<()> {
    if run.paused.is_none() && decision != Decision::RollBack {
        return Err(not_paused(&run.plan.deployment, run.id));
    }
    match decision {
        Decision::Skip { step } if !run.failed().any(|failed| failed == step) => {
            let address = run.plan.step(step).map_or_else(|| step.to_string(), |s| s.address().to_string());
            let failed: Vec<String> =
                run.failed().filter_map(|id| run.plan.step(id)).map(|s| s.address().to_string()).collect();
            Err(Error::new(
                ErrorKind::Invalid,
                "run::not-failed",
                format!("leave out `{address}`: it is not a step that failed"),
            )
            .help("name one of those that failed; what needs it is left out with it")
            .with("failed", failed.join(", ")))
        }
        _ => Ok(()),
    }
}

/// That something is missing that cannot be.
pub(super) fn stuck(what: &str) -> Error {
    Error::new(ErrorKind::Bug, "run::stuck", format!("find {what}"))
        .help("run the same command again, and report this")
}

fn not_paused(deployment: &Deployment, run: RunId) -> Error {
    let message = format!("decide about run {run} of {deployment}: it is not paused");
    Error::new(ErrorKind::Invalid, "run::not-paused", message)
        .help("go on with it (`resume`), or take it back (`resume --roll-back`)")
}

fn stale(then: &Plan, now: &Plan) -> Error {
    let other = then.steps.iter().zip(&now.steps).find(|(then, now)| then != now).map(|(then, _)| then);
    let why = if then.base != now.base {
        "the deployment was changed since it was made".to_owned()
    } else if then.observations != now.observations {
        "what is there has changed since it was made".to_owned()
    } else if then.chain != now.chain {
        "what the scanners say has changed since it was made".to_owned()
    } else if let Some(step) = other {
        format!("`{}` would do something else with `{}`, and sees the same", step.provider, step.address())
    } else {
        "it would be another one now".to_owned()
    };
    Error::new(ErrorKind::Stale, "plan::stale", format!("apply the plan: {why}"))
        .help("plan again, and look at what changed")
        .with("plan", then.id.to_string())
        .with("now", now.id.to_string())
}
