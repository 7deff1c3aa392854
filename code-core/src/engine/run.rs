//! From an approved plan to a run that is over, and on with one that was interrupted.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::checks::{Approval, Checked, Policy, trusted_plan};
use crate::engine::driver::Driver;
use crate::engine::{Engine, Planned};
use crate::event::{Body, Event, Outcome};
use crate::plan::Plan;
use crate::scanner::Subject;
use crate::status::State;
use crate::store::Lease;
use crate::{Ctx, Deployment, Error, ErrorKind, Result, RunId, kill};

/// How long a lease lasts in stores whose leases have an end.
pub(super) const LEASE: Duration = Duration::from_secs(60);

/// A run that is over.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The run; 0 where there was nothing to do and nothing was written.
    pub run: RunId,
    /// How it ended.
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
        let deployment = planned.plan.deployment.clone();
        let ctx = self.ctx().for_deployment(&deployment);
        let holder = self.parts.holder();
        let lease = self.parts.store.lease(&ctx, &deployment.to_string(), &holder, LEASE).await?;
        let begun = self.begin(&ctx, &lease, planned, approval, holder).await;
        self.finish(ctx, lease, begun, cancel).await
    }

    /// Goes on with a run that has begun and not ended; `None` where there is none.
    ///
    /// # Errors
    /// `store::locked` where somebody else is at it, and those of the store.
    pub async fn resume(
        &self,
        deployment: &Deployment,
        cancel: &CancellationToken,
    ) -> Result<Option<Finished>> {
        if self.state(deployment).await?.open_run().is_none() {
            return Ok(None);
        }
        let ctx = self.ctx().for_deployment(deployment);
        let holder = self.parts.holder();
        let lease = self.parts.store.lease(&ctx, &deployment.to_string(), &holder, LEASE).await?;
        // Read again: whoever held the lease before may have ended the run.
        let begun = match self.trusted_state(deployment).await {
            Ok(state) => match state.open_run().cloned() {
                Some(run) => {
                    let policy = Policy { accepted: state.accepted.clone(), ..Policy::default() };
                    let policy = Policy { protected: run.plan.protected, ..policy };
                    let resumed = vec![Body::RunResumed { run: run.id, holder }];
                    let plan = trusted_plan(run.plan);
                    self.write(&ctx, &lease, state, resumed)
                        .await
                        .map(|state| Begun::Run(Box::new((state, plan, policy))))
                }
                None => Ok(Begun::Nothing(Box::new(state))),
            },
            Err(error) => Err(error),
        };
        self.finish(ctx, lease, begun, cancel).await.map(Some)
    }

    /// Everything between the lease and the first step: the plan still fits, passes the gate again, is
    /// approved, and is written down.
    async fn begin(
        &self,
        ctx: &Ctx,
        lease: &Lease,
        planned: &Planned,
        approval: Approval,
        holder: String,
    ) -> Result<Begun> {
        let state = self.trusted_state(&planned.plan.deployment).await?;
        refuse_unfinished(&state)?;
        let now = self.plan_on(&planned.proposal, &planned.accepted, &state).await?;
        if now.plan.id != planned.plan.id {
            return Err(stale(&planned.plan, &now.plan));
        }
        let plan = self.check(&now)?;
        let requester = now.proposal.request.as_ref().map_or_else(|| ctx.host().user(), |r| r.who.clone());
        approval.check(&plan, &requester, ctx.host().now())?;
        let changes_nothing = plan.steps.is_empty();
        let rolled_out = state.current().is_some_and(|current| current.number == plan.revision);
        if changes_nothing && (rolled_out || (plan.spec.is_none() && state.current().is_none())) {
            return Ok(Begun::Nothing(Box::new(state)));
        }
        let run = RunId(state.runs + 1);
        let mut bodies = Vec::new();
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
        bodies.push(Body::Judged { reports, accepted: now.accepted.iter().cloned().collect() });
        bodies.push(Body::Planned { plan: Box::new((*plan).clone()) });
        bodies.push(Body::Approved { approval });
        bodies.push(Body::RunStarted { run, plan: plan.id, holder });
        let policy = self.policy(&now, Subject::Plan(&now.plan));
        let state = self.write(ctx, lease, state, bodies).await?;
        Ok(Begun::Run(Box::new((state, plan, policy))))
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
            Ok(Begun::Run(run)) => {
                let (state, plan, policy) = *run;
                let driver = Driver::new(&self.parts, ctx.clone(), lease.clone(), state, plan, policy);
                match driver.drive(cancel).await {
                    Ok((lease, finished)) => {
                        store.release(&ctx, lease).await?;
                        Ok(finished)
                    }
                    Err(error) => {
                        let _ = store.release(&ctx, lease).await;
                        Err(error)
                    }
                }
            }
        }
    }

    async fn write(&self, ctx: &Ctx, lease: &Lease, mut state: State, bodies: Vec<Body>) -> Result<State> {
        let at = ctx.host().now();
        let events: Vec<Event> = bodies.into_iter().map(|body| Event { at, body }).collect();
        let mut seq = state.last;
        kill::append(&events, "before");
        self.parts.store.append(ctx, lease, seq, &events).await?;
        kill::append(&events, "after");
        for event in &events {
            seq = seq.next();
            state.apply(seq, event);
            self.parts.offer(event);
        }
        Ok(state)
    }
}

/// What stands between the lease and the end.
enum Begun {
    Nothing(Box<State>),
    Run(Box<(State, Checked<Plan>, Policy)>),
}

pub(super) fn refuse_unfinished(state: &State) -> Result<()> {
    match state.open_run() {
        None => Ok(()),
        Some(run) => Err(Error::new(
            ErrorKind::NeedsAnswer,
            "run::unfinished",
            format!("plan while run {} of {} has not ended", run.id, run.plan.deployment),
        )
        .help("go on with it first: `resume`")
        .with("holder", run.holder.clone())),
    }
}

fn stale(then: &Plan, now: &Plan) -> Error {
    let why = if then.base != now.base {
        "the deployment was changed since it was made"
    } else if then.observations != now.observations {
        "what is there has changed since it was made"
    } else if then.chain != now.chain {
        "what the scanners say has changed since it was made"
    } else {
        "it would be another one now"
    };
    Error::new(ErrorKind::Stale, "plan::stale", format!("apply the plan: {why}"))
        .help("plan again, and look at what changed")
        .with("plan", then.id.to_string())
        .with("now", now.id.to_string())
}
