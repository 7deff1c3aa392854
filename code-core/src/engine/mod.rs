//! The engine: from a proposal to a run, all of it as data.
//!
//! ```text
//! Proposal ─judge─▶ Reports ─plan─▶ Planned ─(a person reads)─▶ Approval ─apply─▶ Finished
//!                   scanners        planner                              driver + scheduler
//! ```
//!
//! [`Engine`] is the whole of what a front needs. Inside, the `planner` only reads, the `scheduler` is
//! pure, and the `driver` is the only one that waits.

mod attempt;
mod builder;
mod driver;
mod parts;
mod planner;
pub mod retry;
pub mod scheduler;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::checks::{Approval, Checked, Policy, Refusal, gate_plan, gate_spec, trusted_plan};
pub use crate::engine::builder::EngineBuilder;
use crate::engine::driver::Driver;
use crate::engine::parts::Parts;
use crate::engine::planner::Planner;
use crate::event::{Body, Event, Outcome};
use crate::parser::{Parsed, Vocabulary};
use crate::plan::Plan;
use crate::provider::{Action, Health, Observed, ProviderInfo};
use crate::request::Request;
use crate::scanner::{Report, Subject};
use crate::spec::{Origins, Spec};
use crate::status::{Run, State};
use crate::store::{Lease, Seq};
use crate::{Address, Ctx, Deployment, Error, ErrorKind, Result, RunId};

/// How long a lease lasts in stores whose leases have an end.
const LEASE: Duration = Duration::from_secs(60);

/// Judges, plans and carries out what is proposed, and remembers it.
#[derive(Clone, Debug)]
pub struct Engine {
    parts: Arc<Parts>,
}

/// What somebody asks for, ready to be judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// What it is about.
    pub deployment: Deployment,
    /// The words, where there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
    /// Who read the words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parser: Option<String>,
    /// What was read in them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parsed: Option<Parsed>,
    /// What should exist; `None`: nothing.
    pub spec: Option<Spec>,
    /// Where each value of the spec comes from.
    #[serde(default)]
    pub origins: Origins,
    /// Whether data goes too, with what is taken down.
    #[serde(default)]
    pub delete_data: bool,
    /// Whether the environment needs the approval of another person.
    #[serde(default)]
    pub protected: bool,
}

impl Proposal {
    /// That this spec should exist.
    ///
    /// # Errors
    /// `id::name` where application or environment is no name.
    pub fn of(spec: Spec, origins: Origins) -> Result<Proposal> {
        Ok(Proposal {
            deployment: spec.deployment()?,
            request: None,
            parser: None,
            parsed: None,
            protected: spec.protected,
            spec: Some(spec),
            origins,
            delete_data: false,
        })
    }
}

/// A plan with all that it rests on: what a plan file holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// What was proposed.
    pub proposal: Proposal,
    /// What the scanners said of its spec.
    pub spec_reports: Vec<Report>,
    /// What will be done.
    pub plan: Plan,
    /// What the scanners said of that.
    pub plan_reports: Vec<Report>,
    /// The unknown findings that were accepted, by id.
    pub accepted: BTreeSet<String>,
}

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

/// What is there, observed now.
#[derive(Clone, Debug)]
pub struct Status {
    /// The deployment.
    pub deployment: Deployment,
    /// The revision that is rolled out.
    pub revision: Option<u64>,
    /// Each resource.
    pub resources: Vec<ResourceStatus>,
    /// The last run, open or ended.
    pub run: Option<Run>,
}

/// A resource, observed now.
#[derive(Clone, Debug)]
pub struct ResourceStatus {
    /// Its place.
    pub address: Address,
    /// Its kind.
    pub kind: String,
    /// Whether it is data that is kept and not in use.
    pub kept: bool,
    /// What was seen.
    pub observed: Observed,
    /// How it differs from what it should be, in words.
    pub drift: Vec<String>,
}

impl Engine {
    /// Puts an engine together.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// Surroundings for calls outside of a run.
    pub fn ctx(&self) -> Ctx {
        self.parts.ctx()
    }

    /// What the words of a request say.
    ///
    /// # Errors
    /// Those of the parser; `engine::no-parser` where there is none.
    pub async fn interpret(&self, request: &Request, words: &Vocabulary) -> Result<Parsed> {
        let parser = self.parts.parser.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Missing, "engine::no-parser", "read a request without a parser")
                .help("give the engine a parser, or pass a spec")
        })?;
        parser.parse(&self.ctx(), request, words).await
    }

    /// What the scanners say of a proposal's spec.
    ///
    /// # Errors
    /// Those of [`Spec::check`].
    pub async fn judge(&self, proposal: &Proposal) -> Result<Vec<Report>> {
        let Some(spec) = &proposal.spec else { return Ok(Vec::new()) };
        spec.check()?;
        if spec.deployment()? != proposal.deployment {
            let message = format!(
                "use a spec of {}/{} for {}",
                spec.application, spec.environment, proposal.deployment
            );
            return Err(Error::new(ErrorKind::Invalid, "engine::other-deployment", message)
                .help("name the application and the environment of the spec"));
        }
        Ok(self.parts.scan(&self.ctx(), Subject::Spec(spec, &proposal.origins)).await)
    }

    /// What would be done to bring a proposal about. Nothing is changed, and nothing is written.
    ///
    /// # Errors
    /// `gate::refused` or `gate::unknown` where the spec does not pass, `run::unfinished` where a run has to
    /// be resumed first, and whatever keeps a provider from looking.
    pub async fn plan(&self, proposal: &Proposal, accepted: &BTreeSet<String>) -> Result<Planned> {
        let state = self.state(&proposal.deployment).await?;
        refuse_unfinished(&state)?;
        self.plan_on(proposal, accepted, &state).await
    }

    /// Whether a plan passes the gate.
    ///
    /// # Errors
    /// What keeps the gate closed.
    pub fn check(&self, planned: &Planned) -> Result<Checked<Plan>, Refusal> {
        let policy = self.policy(planned, Subject::Plan(&planned.plan));
        gate_plan(planned.plan.clone(), &planned.plan_reports, &policy)
    }

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
        let begun = match self.state(deployment).await {
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

    /// Everything that is recorded of a deployment, folded.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn state(&self, deployment: &Deployment) -> Result<State> {
        let mut state = State::default();
        let name = deployment.to_string();
        let mut events = self.parts.store.read(&name, Seq::START);
        while let Some(event) = events.next().await {
            let (seq, event) = event?;
            state.apply(seq, &event);
        }
        Ok(state)
    }

    /// Everything that happened to a deployment.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn events(&self, deployment: &Deployment) -> Result<Vec<(Seq, Event)>> {
        let name = deployment.to_string();
        let events: Vec<_> = self.parts.store.read(&name, Seq::START).collect().await;
        events.into_iter().collect()
    }

    /// The deployments of which something is recorded, by name.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn deployments(&self) -> Result<Vec<Deployment>> {
        let names: Vec<_> = self.parts.store.deployments().collect().await;
        let mut all = Vec::with_capacity(names.len());
        for name in names {
            all.push(name?.parse()?);
        }
        all.sort();
        Ok(all)
    }

    /// What is there, observed now. A resource that cannot be observed is in the answer, as such.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn status(&self, deployment: &Deployment) -> Result<Status> {
        let state = self.state(deployment).await?;
        let ctx = self.ctx().for_deployment(deployment);
        let looks = state.inventory.iter().map(|(address, recorded)| {
            let ctx = &ctx;
            async move {
                let (observed, drift) = self.look(ctx, address, recorded).await;
                let (kind, kept) = (recorded.kind.clone(), recorded.kept);
                ResourceStatus { address: address.clone(), kind, kept, observed, drift }
            }
        });
        let resources = futures::stream::iter(looks).buffered(16).collect().await;
        let revision = state.current().map(|revision| revision.number);
        Ok(Status { deployment: deployment.clone(), revision, resources, run: state.run })
    }

    /// That nothing of a deployment should exist any more; its data stays unless `delete_data` says so.
    ///
    /// # Errors
    /// `engine::no-deployment` where nothing is recorded of it, and those of the store.
    pub async fn destroy(&self, deployment: &Deployment, delete_data: bool) -> Result<Proposal> {
        let state = self.state(deployment).await?;
        if state.revisions.is_empty() {
            return Err(no_deployment(deployment));
        }
        let last = state.revisions.iter().rev().find_map(|revision| revision.spec.as_ref());
        Ok(Proposal {
            deployment: deployment.clone(),
            request: None,
            parser: None,
            parsed: None,
            spec: None,
            origins: Origins::new(),
            delete_data,
            protected: last.is_some_and(|spec| spec.protected),
        })
    }

    /// That a deployment should be again as in an earlier revision: `to`, else the one before the current.
    /// Secrets and data stay as they are.
    ///
    /// # Errors
    /// `engine::no-deployment`, `rollback::no-revision` where there is no such good revision, and those of
    /// the store.
    pub async fn rollback(&self, deployment: &Deployment, to: Option<u64>) -> Result<Proposal> {
        let state = self.state(deployment).await?;
        let Some(current) = state.current() else { return Err(no_deployment(deployment)) };
        let good = |revision: &&crate::status::Revision| {
            revision.outcome == Some(Outcome::Succeeded) && revision.number != current.number
        };
        let mut candidates = state.revisions.iter().rev().filter(good).filter(|r| r.spec.is_some());
        let found = match to {
            Some(number) => candidates.find(|revision| revision.number == number),
            None => candidates.find(|r| r.number < current.number && r.spec != current.spec),
        };
        let Some(revision) = found else {
            let all: Vec<_> = state.revisions.iter().filter(good).map(|r| r.number.to_string()).collect();
            let message = match to {
                Some(number) => format!("roll back to revision {number}: there is no such good revision"),
                None => "roll back: there is no good revision before the current one".to_owned(),
            };
            return Err(Error::new(ErrorKind::NotFound, "rollback::no-revision", message)
                .help("`history` lists the revisions")
                .with("revisions", if all.is_empty() { "none".to_owned() } else { all.join(", ") }));
        };
        let spec = revision.spec.clone();
        Ok(Proposal {
            deployment: deployment.clone(),
            request: None,
            parser: None,
            parsed: None,
            protected: spec.as_ref().is_some_and(|spec| spec.protected),
            spec,
            origins: revision.origins.clone(),
            delete_data: false,
        })
    }

    /// Whether each provider's tool is here and works.
    pub async fn health(&self) -> Vec<(ProviderInfo, Result<Health>)> {
        let ctx = self.ctx();
        let mut all = Vec::new();
        for provider in self.parts.all_providers() {
            all.push((provider.info().clone(), provider.health(&ctx).await));
        }
        all
    }

    async fn look(
        &self,
        ctx: &Ctx,
        address: &Address,
        recorded: &crate::status::Recorded,
    ) -> (Observed, Vec<String>) {
        let resource = recorded.resource(address);
        let looked = async {
            let provider = self.parts.provider(&recorded.kind)?;
            let observed = provider.observe(ctx, &resource, Some(&recorded.live)).await?;
            let mut drift = observed.live().map(|live| live.drift.clone()).unwrap_or_default();
            match &observed {
                Observed::Absent => drift.push("it is gone".to_owned()),
                Observed::Unknown(why) => drift.push(format!("it cannot be observed: {why}")),
                Observed::NotYet(needed) => drift.push(format!("it cannot be observed without `{needed}`")),
                Observed::Present(_) if recorded.kept => {}
                Observed::Present(_) => {
                    let change = provider.plan(ctx, &resource, &observed).await?;
                    if change.action != Action::Keep && !drift.contains(&change.why) {
                        drift.push(change.why);
                    }
                }
            }
            Ok((observed, drift))
        };
        match looked.await {
            Ok(seen) => seen,
            Err(error) => {
                let why = Error::to_string(&error);
                (Observed::Unknown(why.clone()), vec![format!("it cannot be observed: {why}")])
            }
        }
    }

    async fn plan_on(
        &self,
        proposal: &Proposal,
        accepted: &BTreeSet<String>,
        state: &State,
    ) -> Result<Planned> {
        let spec_reports = self.judge(proposal).await?;
        let base = Policy { accepted: accepted.clone(), protected: proposal.protected, ..Policy::default() };
        let checked = match &proposal.spec {
            None => None,
            Some(spec) => {
                let policy = self.parts.policy(&base, Subject::Spec(spec, &proposal.origins));
                Some(gate_spec(spec.clone(), &proposal.origins, &spec_reports, &policy)?)
            }
        };
        let ctx = self.ctx().for_deployment(&proposal.deployment);
        let planner = Planner {
            providers: &self.parts.read_only(),
            recipes: &self.parts.recipes,
            state_dir: &self.parts.state_dir,
        };
        let plan = planner.plan(&ctx, proposal, checked.as_ref(), &spec_reports, state).await?;
        let plan_reports = self.parts.scan(&ctx, Subject::Plan(&plan)).await;
        let (proposal, accepted) = (proposal.clone(), accepted.clone());
        Ok(Planned { proposal, spec_reports, plan, plan_reports, accepted })
    }

    fn policy(&self, planned: &Planned, subject: Subject<'_>) -> Policy {
        let base = Policy {
            accepted: planned.accepted.clone(),
            protected: planned.plan.protected,
            ..Policy::default()
        };
        self.parts.policy(&base, subject)
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
        let state = self.state(&planned.plan.deployment).await?;
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
        self.parts.store.append(ctx, lease, seq, &events).await?;
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

fn no_deployment(deployment: &Deployment) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "engine::no-deployment",
        format!("find a deployment named `{deployment}`"),
    )
    .help("`status` lists those that there are")
}

fn refuse_unfinished(state: &State) -> Result<()> {
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
