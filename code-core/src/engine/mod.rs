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
pub mod breaker;
mod builder;
mod driver;
mod export;
mod look;
mod needed;
mod old;
mod parts;
mod planner;
mod propose;
mod redacted;
pub mod retry;
mod run;
pub mod scheduler;
#[cfg(test)]
mod tests;
mod tied;
mod verify;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

pub use crate::engine::builder::EngineBuilder;
pub use crate::engine::look::{ResourceStatus, Status};
pub use crate::engine::needed::Needed;
pub use crate::engine::propose::Proposal;
pub use crate::engine::run::Finished;
use serde::{Deserialize, Serialize};

use crate::checks::{Approval, Checked, Policy, Refusal, gate_plan, gate_spec};
use crate::engine::parts::Parts;
use crate::engine::planner::Planner;
use crate::engine::run::LEASE;
use crate::parser::{Parsed, Vocabulary};
use crate::plan::Plan;
use crate::request::Request;
use crate::scanner::{Report, Subject};
use crate::status::State;
use crate::{Ctx, Deployment, Error, ErrorKind, Result};

/// Judges, plans and carries out what is proposed, and remembers it.
#[derive(Clone, Debug)]
pub struct Engine {
    parts: Arc<Parts>,
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
    /// The state directory that it was made on: on another one it would be about other things.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<PathBuf>,
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
    /// Those of [`Spec::check`](crate::spec::Spec::check).
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
    /// `gate::refused` or `gate::unknown` where the spec does not pass, `revision::bad` where somebody went back
    /// from it, `run::unfinished` where a run has to be resumed first, `run::not-paused` where there is none whose
    /// place could be taken, `store::locked` where somebody is at that run, and whatever keeps a provider from
    /// looking.
    pub async fn plan(&self, proposal: &Proposal, accepted: &BTreeSet<String>) -> Result<Planned> {
        let state = self.state(&proposal.deployment).await?;
        if let Err(unfinished) = run::basis(&state, proposal, self.parts.host.now()) {
            return Err(self.held(&proposal.deployment).await.unwrap_or(unfinished));
        }
        self.plan_on(proposal, accepted, &state).await
    }

    /// Who is changing a deployment, as the error that refuses a second change; `None` where nobody is. Only
    /// the lease tells a run that somebody is at from one that was left.
    async fn held(&self, deployment: &Deployment) -> Option<Error> {
        let ctx = self.ctx().for_deployment(deployment);
        match self.parts.store.lease(&ctx, &deployment.to_string(), &self.parts.holder(), LEASE).await {
            Err(error) => Some(error).filter(|error| error.kind() == ErrorKind::Locked),
            Ok(lease) => {
                // What fails here ends with this process at the latest.
                let _ = self.parts.store.release(&ctx, lease).await;
                None
            }
        }
    }

    /// Whether a plan passes the gate.
    ///
    /// # Errors
    /// What keeps the gate closed.
    pub fn check(&self, planned: &Planned) -> Result<Checked<Plan>, Refusal> {
        let policy = self.policy(planned, Subject::Plan(&planned.plan));
        gate_plan(planned.plan.clone(), &planned.plan_reports, &policy)
    }

    async fn plan_on(
        &self,
        proposal: &Proposal,
        accepted: &BTreeSet<String>,
        state: &State,
    ) -> Result<Planned> {
        let state = &*run::basis(state, proposal, self.parts.host.now())?;
        export::refuse_bad(state, proposal, accepted)?;
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
        let state_dir = Some(self.parts.state_dir.to_path_buf());
        Ok(Planned { proposal, spec_reports, plan, plan_reports, accepted, state_dir })
    }

    /// Asks the approver whether a plan may be carried out: the answer is for [`Engine::apply`].
    ///
    /// # Errors
    /// `engine::no-approver` where there is none, `approval::declined`, and those of the approver.
    pub async fn approval(&self, planned: &Planned) -> Result<Approval> {
        let approver = self.parts.approver.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Missing, "engine::no-approver", "ask for an approval without an approver")
                .help("give the engine an approver, or make the approval yourself")
        })?;
        let ctx = self.ctx().for_deployment(&planned.plan.deployment);
        approver.approve(&ctx, planned).await?.ok_or_else(|| {
            Error::new(ErrorKind::NeedsAnswer, "approval::declined", "begin: the plan was not approved")
                .help("change the request or the spec, and plan again")
                .with("plan", planned.plan.id.to_string())
        })
    }

    fn policy(&self, planned: &Planned, subject: Subject<'_>) -> Policy {
        let base = Policy {
            accepted: planned.accepted.clone(),
            protected: planned.plan.protected,
            ..Policy::default()
        };
        self.parts.policy(&base, subject)
    }
}
