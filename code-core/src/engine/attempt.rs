//! One attempt at one step: bind, look, plan once more where that is needed, apply, and look again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::checks::{Policy, gate_plan};
use crate::engine::Parts;
use crate::mutant::mutant;
use crate::plan::{Plan, Step};
use crate::provider::{Action, Change, Effects, Failed, Live, Observed, ReadOnly, Resource};
use crate::scanner::Subject;
use crate::{Address, Ctx, Error, ErrorKind, Expr, Key, Provider, StepId, kill};

/// What one attempt needs; it is made by the driver and owns all of it.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) parts: Arc<Parts>,
    pub(super) plan: Arc<Plan>,
    pub(super) policy: Arc<Policy>,
    pub(super) step: StepId,
    pub(super) undo: bool,
    /// Counted from 1; more than 1 also after a crash.
    pub(super) attempt: u32,
    /// What is wanted, with every value that is known by now; the state to return to, where it is an undo.
    pub(super) resource: Resource,
    /// What the step wanted, where it is taken back.
    pub(super) was: Option<Resource>,
    /// What was last recorded of it.
    pub(super) last: Option<Live>,
    pub(super) ctx: Ctx,
    /// Whether the provider was asked to change anything; it outlives a panic.
    pub(super) applied: Arc<AtomicBool>,
}

impl Attempt {
    /// The state to bring about, with its references replaced by the outputs of what exists.
    pub(super) fn resource(
        step: &Step,
        undo: bool,
        outputs: &dyn Fn(&Address, &str) -> Option<Expr>,
    ) -> Option<Resource> {
        if undo {
            let to = step.change.reversal.to()?;
            return Some(Resource { want: to.want.as_ref().map(|want| want.bind(outputs)), ..to.clone() });
        }
        let want = step.symbolic.clone().or_else(|| step.change.resource.want.clone());
        let want = step.change.resource.want.is_some().then_some(want).flatten();
        Some(Resource { want: want.map(|want| want.bind(outputs)), ..step.change.resource.clone() })
    }

    /// Makes the attempt: what is there in the end, or how it failed.
    pub(super) async fn make(self) -> Result<Option<Live>, Failed> {
        let Some(step) = self.plan.step(self.step) else {
            let error = Error::new(ErrorKind::Bug, "step::missing", "find the step in its plan")
                .help("please report it, with the output of `history --json`");
            return Err(error.into());
        };
        let provider = self.parts.provider(&step.change.resource.kind)?;
        let change = match self.change(step, &provider).await? {
            Next::Apply(change) => change,
            Next::Done(live) => return Ok(live),
        };
        // Asked to stop while it looked, or the run may not write any more: then nothing is changed either.
        if self.ctx.cancel().is_cancelled() && !mutant("calls-after-a-stop") {
            return Err(stopped(&self.resource.address).into());
        }
        self.applied.store(true, Ordering::SeqCst);
        kill::point("effect.before");
        let live = provider.apply(&self.ctx, &change).await?;
        kill::point("effect.after");
        if mutant("done-without-evidence") {
            return Ok(live);
        }
        let seen = self.evidence(&*provider, live, change.prior.as_ref()).await;
        kill::point("evidence.after");
        seen
    }

    /// The change to apply: the approved one as it is, where nothing about it was open; otherwise what the
    /// provider plans now, held against the approved one.
    async fn change(&self, step: &Step, provider: &Arc<dyn Provider>) -> Result<Next, Failed> {
        let approved = &step.change;
        let first = self.attempt == 1 || mutant("tries-again-without-a-look");
        // What is only kept is looked at: there is nothing to apply.
        if !self.undo && first && step.symbolic.is_none() && approved.action != Action::Keep {
            return Ok(Next::Apply(Box::new(approved.clone())));
        }
        let last = self.last.as_ref();
        let observed = match &self.was {
            Some(was) if self.resource.want.is_none() => {
                ReadOnly::new(Arc::clone(provider)).left(&self.ctx, was, last).await?
            }
            _ => provider.observe(&self.ctx, &self.resource, last).await?,
        };
        match &observed {
            Observed::Unknown(_) if mutant("unknown-counts-as-gone") => return Ok(Next::Done(None)),
            Observed::Unknown(why) => return Err(in_doubt(&self.resource.address, why, observed.clone())),
            Observed::Absent if self.resource.want.is_none() => return Ok(Next::Done(None)),
            _ => {}
        }
        let change = provider.plan(&self.ctx, &self.resource, &observed).await?;
        if change.action == Action::Keep {
            return Ok(Next::Done(observed.live().cloned()));
        }
        if self.undo {
            return Ok(Next::Apply(Box::new(change)));
        }
        // A second attempt at making something finds what the first left of it: that is ours to mend. One at
        // replacing something may find it gone already: what is left of it is the making.
        let ours = self.attempt > 1
            && match approved.action {
                Action::Create => true,
                Action::Replace => change.action == Action::Create,
                _ => false,
            };
        if !ours && !change.within(approved) {
            return Err(beyond(approved, &change, observed));
        }
        if matches!(approved.effects, Effects::Open { .. }) {
            self.judge(&change, observed).await?;
        }
        Ok(Next::Apply(Box::new(change)))
    }

    /// What was unknown when the plan was judged is known now: the gate decides again.
    async fn judge(&self, change: &Change, observed: Observed) -> Result<(), Failed> {
        let plan = (*self.plan).clone().with_change(self.step, change).sealed();
        let reports = self.parts.scan(&self.ctx, Subject::Plan(&plan)).await;
        let policy = self.parts.policy(&self.policy, Subject::Plan(&plan));
        match gate_plan(plan, &reports, &policy) {
            Ok(_) => Ok(()),
            Err(refusal) => Err(Failed { error: refusal.into(), left: observed }),
        }
    }

    /// How what exists now breaks what was announced, where nothing about the change was open: what depends on
    /// it was planned with that.
    fn broken_promise(&self, live: &Live) -> Option<String> {
        let step = self.plan.step(self.step).filter(|step| !self.undo && step.symbolic.is_none())?;
        crate::guard::broken_promise(&step.change, live)
    }

    /// Nothing is believed without evidence: after the change the resource is observed as wanted.
    async fn evidence(
        &self,
        provider: &dyn Provider,
        live: Option<Live>,
        prior: Option<&Live>,
    ) -> Result<Option<Live>, Failed> {
        let made = live.is_some();
        let last = live.as_ref().or(self.last.as_ref()).or(prior);
        let observed = provider.observe(&self.ctx, &self.resource, last).await?;
        let broken = match (&observed, &self.resource.want) {
            (Observed::Absent, None) => return Ok(None),
            (Observed::Present(_), None) => "it is still there".to_owned(),
            (Observed::Absent, Some(_)) => "it is not there".to_owned(),
            (Observed::Unknown(why), _) => {
                return Err(in_doubt(&self.resource.address, why, observed.clone()));
            }
            (Observed::NotYet(needed), _) => format!("`{needed}`, which it needs, is not there"),
            (Observed::Present(live), Some(_)) => {
                let change = provider.plan(&self.ctx, &self.resource, &observed).await?;
                match self.broken_promise(live) {
                    None if change.action == Action::Keep => return Ok(Some(live.clone())),
                    Some(what) if change.action == Action::Keep => what,
                    _ => format!("it would have to be changed again ({}: {})", change.action, change.why),
                }
            }
        };
        let error = Error::new(
            ErrorKind::Failed,
            "step::no-evidence",
            format!("see `{}` as it was planned: {broken}", self.resource.address),
        )
        .help("look at the step's log; if the tool reported success, report this to the provider's author")
        .with("provider", provider.info().name.clone());
        // What drifted since it was made is mended by the next attempt, which looks first.
        let drifted = matches!(&observed, Observed::Present(live) if !live.drift.is_empty());
        let error = if drifted { error.transient() } else { error };
        // One of the two is wrong, and nobody can say which.
        let contradicted = made && observed == Observed::Absent;
        let doubt = || Observed::Unknown("its provider made it, and does not see it".to_owned());
        Err(Failed { error, left: if contradicted { doubt() } else { observed } })
    }
}

enum Next {
    Apply(Box<Change>),
    Done(Option<Live>),
}

/// The surroundings of a step: its own key, and only the secrets that it names.
pub(super) fn surroundings(base: &Ctx, plan: &Plan, step: &Step, undo: bool, resource: &Resource) -> Ctx {
    let mut secrets = resource.want.as_ref().map(crate::Want::secrets).unwrap_or_default();
    if undo {
        // Taking away what was made may need what it was made with.
        secrets.extend(step.change.resource.want.as_ref().map(crate::Want::secrets).unwrap_or_default());
    }
    if let Some(prior) = &step.change.prior {
        secrets.extend(prior.was.secrets());
        for value in prior.outputs.values() {
            secrets.extend(crate::Want::new().with("output", value.clone()).secrets());
        }
    }
    base.clone().for_step(Key::of(plan.id, step.id, undo), secrets)
}

fn stopped(address: &Address) -> Error {
    let message = format!("begin to change `{address}`: the run was stopped");
    Error::new(ErrorKind::Cancelled, "step::stopped", message)
        .help("run the same command again: nothing of this step was done")
}

fn in_doubt(address: &Address, why: &str, left: Observed) -> Failed {
    let error =
        Error::new(ErrorKind::Failed, "step::in-doubt", format!("tell whether `{address}` exists: {why}"))
            .help("mend what keeps it from being observed; the step is tried again")
            .transient();
    Failed { error, left }
}

fn beyond(approved: &Change, change: &Change, left: Observed) -> Failed {
    let error = Error::new(
        ErrorKind::Refused,
        "step::beyond-approval",
        format!(
            "do more to `{}` than was approved: {} was approved, and {} is needed now",
            approved.resource.address, approved.action, change.action
        ),
    )
    .help("plan again: what was there has changed since the plan was approved")
    .with("approved", describe(&approved.effects))
    .with("needed", describe(&change.effects));
    Failed { error, left }
}

fn describe(effects: &Effects) -> String {
    match effects {
        Effects::Exact(effects) => {
            let all: Vec<_> = effects.iter().map(|e| format!("{} {}", e.action, e.name)).collect();
            all.join(", ")
        }
        Effects::Open { at_most, why } => format!("at most {at_most} ({why})"),
    }
}
