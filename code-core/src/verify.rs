//! Whether what was done follows from what was asked: the chain from a request to its effects, link by link.
//!
//! ```text
//! request ─▶ intent ─▶ spec ─▶ verdicts ─▶ plan ─▶ approval ─▶ run ─▶ steps
//!    each is bound to the digest of the one before it      │      each carries hash(plan, step)
//!                                                 the gate is asked again
//! ```
//!
//! A fold over events, like [`State`](crate::status::State), that stops at the first one which does not follow
//! from those before it. It needs no provider and no clock: the records alone have to agree. What it cannot
//! see is a journal that somebody wrote anew from its beginning, with every digest right.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::{Approval, Policy, gate_plan, gate_spec};
use crate::event::{Body, Decision, Event, Outcome};
use crate::export::Commit;
use crate::parser::Parsed;
use crate::plan::{Chain, Plan};
use crate::request::Request;
use crate::scanner::Report;
use crate::status::Phase;
use crate::store::Seq;
use crate::{Deployment, Digest, Error, ErrorKind, Key, RunId, StepId};

/// What was found: each link of the chain, and the first that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Verified {
    /// The deployment.
    pub deployment: Deployment,
    /// How many records follow from those before them.
    pub records: u64,
    /// Each link, in the order of the flow.
    pub links: Vec<Held>,
    /// The first place where the chain does not hold.
    pub broken: Option<Break>,
}

/// A link, and how often it was found to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Held {
    /// The link.
    pub link: Link,
    /// How often it holds before the first break.
    pub times: u64,
    /// Whether the first break is here.
    pub broken: bool,
}

/// A link of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// The records of the journal: each holds the hash of the one before it.
    Records,
    /// What was asked.
    Request,
    /// What was understood.
    Intent,
    /// What should exist.
    Spec,
    /// What the scanners said, and that the gate opens on it.
    Verdicts,
    /// What will be done: its content fits its id, and it rests on the last effect.
    Plan,
    /// Who said yes to this very plan.
    Approval,
    /// The run of what was approved.
    Run,
    /// What was done: steps of the plan, with their keys, in an order that can be.
    Steps,
    /// The files that the revisions name by their digests.
    Releases,
}

/// The first place where the chain does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Break {
    /// The record, or the first that is not there.
    pub record: Seq,
    /// The link.
    pub link: Link,
    /// What does not fit, in a short sentence.
    pub what: String,
    /// What the records before it say.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// The first break, or that there is none; boxed, because there seldom is one.
pub type Follows = std::result::Result<(), Box<Break>>;

/// Takes the events of one deployment in order.
#[derive(Clone, Debug, Default)]
pub struct Verifier {
    times: BTreeMap<Link, u64>,
    last: Seq,
    head: Seq,
    asked: Asked,
    runs: u64,
    run: Option<Open>,
    /// The last run, where it was stopped on request: it can be resumed until another one begins.
    stopped: Option<Open>,
    /// The last run, where another one takes its place: the next plan has to say so.
    superseded: Option<RunId>,
    releases: BTreeMap<Digest, Seq>,
}

/// The links before a run, as far as they are recorded.
#[derive(Clone, Debug, Default)]
struct Asked {
    request: Option<Request>,
    parsed: Option<Parsed>,
    commit: Option<Commit>,
    /// What the scanners said, and what of it was accepted.
    judged: Option<(Vec<Report>, Vec<String>)>,
    plan: Option<(Seq, Plan)>,
    approval: Option<Approval>,
}

/// A run that has begun and not ended.
#[derive(Clone, Debug)]
struct Open {
    id: RunId,
    planned: Seq,
    plan: Plan,
    forward: Vec<Step>,
    back: Vec<Step>,
    undoing: bool,
    paused: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Step {
    phase: Phase,
    attempts: u32,
    /// Whether a person left it out.
    left_out: bool,
}

impl Open {
    /// What was stopped begins again where it stopped; what a person left out stays so.
    fn again(mut self) -> Open {
        for step in self.forward.iter_mut().chain(&mut self.back) {
            step.again();
            if step.phase == Phase::Skipped && !step.left_out {
                step.phase = Phase::Waiting;
            }
        }
        self
    }
}

impl Step {
    /// What failed for good is tried again.
    fn again(&mut self) {
        if self.phase == Phase::Failed {
            self.phase = Phase::Retrying;
        }
    }
}

impl Verifier {
    /// Whether one more event follows from those before it.
    ///
    /// # Errors
    /// The break; what comes after it says nothing more.
    pub fn take(&mut self, seq: Seq, event: &Event) -> Follows {
        let at = At { record: seq };
        at.same(Link::Records, "the place of the record", &self.last.next(), &seq)?;
        self.last = seq;
        self.hold(Link::Records);
        match &event.body {
            Body::Requested { request } => {
                self.asked = Asked { request: Some(request.clone()), ..Asked::default() };
            }
            Body::Understood { request, parsed, .. } => {
                let asked = self.asked.request.as_ref().map(Request::digest);
                at.same(Link::Request, "the request that was understood", &show(asked), &show(*request))?;
                self.asked.parsed = Some(parsed.clone());
            }
            Body::SpecRead { commit } => self.asked.commit = Some(commit.clone()),
            Body::Judged { reports, accepted } => {
                self.asked.judged = Some((reports.clone(), accepted.clone()));
            }
            Body::Planned { plan } => self.planned(at, plan)?,
            Body::Approved { approval } => self.approved(at, approval)?,
            Body::RunStarted { run, plan, .. } => self.begun(at, *run, *plan)?,
            Body::RunResumed { run, .. } => {
                if self.run.is_none() {
                    self.run = self.stopped.take().map(Open::again);
                }
                self.open(at, *run)?;
                self.hold(Link::Run);
            }
            Body::BreakerOpened { run, .. } | Body::BreakerClosed { run, .. } => {
                self.open(at, *run)?;
            }
            Body::RunPaused { run, steps, .. } => {
                for step in steps {
                    let now = self.step(at, *run, *step, false)?;
                    at.holds(now.phase == Phase::Failed, *step, "a step that failed", now.phase)?;
                }
                self.open(at, *run)?.paused = true;
                self.hold(Link::Run);
            }
            Body::Decided { run, decision, .. } => self.decided(at, *run, *decision)?,
            Body::RunEnded { run, outcome } => self.ended(at, *run, *outcome)?,
            Body::UndoStarted { run, .. } => {
                self.open(at, *run)?.undoing = true;
                self.hold(Link::Run);
            }
            Body::StepStarted { run, step, undo, attempt, key } => {
                self.started(at, *run, *step, *undo, *attempt, *key)?;
            }
            Body::StepRetries { run, step, undo, attempt, .. } => {
                let now = self.step(at, *run, *step, *undo)?;
                at.holds(now.phase == Phase::Started, *step, "an attempt that was begun", now.phase)?;
                at.same(Link::Steps, "the attempt that failed", &now.attempts, attempt)?;
                now.phase = Phase::Retrying;
            }
            Body::StepDone { run, step, undo, .. } => {
                let now = self.step(at, *run, *step, *undo)?;
                at.holds(now.phase == Phase::Started, *step, "a step that was begun", now.phase)?;
                now.phase = Phase::Done;
            }
            Body::StepFailed { run, step, undo, untouched, .. } => {
                let now = self.step(at, *run, *step, *undo)?;
                // Where its provider is left alone, it fails without an attempt.
                let refused = *untouched && now.phase == Phase::Waiting;
                let begun = refused || matches!(now.phase, Phase::Started | Phase::Retrying);
                at.holds(begun, *step, "a step that was begun", now.phase)?;
                now.phase = Phase::Failed;
            }
            Body::StepSkipped { run, step, .. } => {
                let now = self.step(at, *run, *step, false)?;
                at.holds(now.phase != Phase::Done, *step, "a step that is not done", now.phase)?;
                now.phase = Phase::Skipped;
            }
            // What was lost is lost: what is kept follows from what is before it, and so does what comes.
            Body::JournalRepaired { .. } => {}
            // What is told after a run binds nothing.
            Body::Exported { .. } | Body::ExportOwed { .. } | Body::StepProgress { .. } => {}
        }
        if event.body.is_effect() {
            self.head = seq;
        }
        Ok(())
    }

    /// What was found, where `broken` is the first break.
    pub fn verified(self, deployment: Deployment, broken: Option<Break>) -> Verified {
        let links = Link::ALL.iter().map(|link| Held {
            link: *link,
            times: self.times.get(link).copied().unwrap_or(0),
            broken: broken.as_ref().is_some_and(|broken| broken.link == *link),
        });
        let records = self.times.get(&Link::Records).copied().unwrap_or(0);
        Verified { deployment, records, links: links.collect(), broken }
    }

    /// The break of a journal whose next record cannot be read.
    pub fn unreadable(&self, error: &Error) -> Break {
        Break {
            record: self.last.next(),
            link: Link::Records,
            what: error.message().to_owned(),
            expected: "the bytes that were written".to_owned(),
            found: error.code().to_owned(),
        }
    }

    /// The releases of revisions that one can go back to, and the record that names each first.
    pub fn releases(&self) -> impl Iterator<Item = (Digest, Seq)> + '_ {
        self.releases.iter().map(|(digest, seq)| (*digest, *seq))
    }

    /// Counts a link that was found to hold.
    pub fn hold(&mut self, link: Link) {
        *self.times.entry(link).or_default() += 1;
    }

    /// The links from the request to the plan.
    fn planned(&mut self, at: At, plan: &Plan) -> Follows {
        let Asked { request, parsed, commit, judged, .. } = &self.asked;
        let chain = &plan.chain;
        let digest = request.as_ref().map(Request::digest);
        at.same(Link::Request, "the request of the plan", &show(digest), &show(chain.request))?;
        let intent = parsed.as_ref().map(|parsed| Chain::link(digest, parsed));
        at.same(Link::Intent, "the intent of the plan", &show(intent), &show(chain.intent))?;
        let commit = commit.as_ref().map(Digest::of_json);
        at.same(Link::Spec, "the commit of the plan", &show(commit), &show(chain.commit))?;
        let first = intent.or(commit);
        let spec = plan.spec.as_ref().map(|spec| Chain::link(first, &(spec, &plan.origins)));
        at.same(Link::Spec, "the spec of the plan", &show(spec), &show(chain.spec))?;

        let Some((reports, accepted)) = judged else {
            return at.broken(Link::Verdicts, "nobody judged what was planned", "verdicts", "none");
        };
        let of_spec = plan.spec.as_ref().map(crate::spec::Spec::digest);
        let (of_spec, others): (Vec<Report>, Vec<Report>) =
            reports.iter().cloned().partition(|report| Some(report.subject) == of_spec);
        let verdicts = Chain::link(spec, &of_spec);
        at.same(Link::Verdicts, "the verdicts on the spec", &show(Some(verdicts)), &show(chain.reports))?;
        for report in &others {
            at.same(Link::Verdicts, "the subject of a verdict", &plan.id, &report.subject)?;
        }
        let accepted = accepted.iter().cloned().collect();
        let policy = Policy { protected: plan.protected, accepted, ..Policy::default() };
        let open = match &plan.spec {
            Some(spec) => gate_spec(spec.clone(), &plan.origins, &of_spec, &policy).map(drop),
            None => Ok(()),
        };
        let open = open.and_then(|()| gate_plan(plan.clone(), &others, &policy).map(drop));
        if let Err(refusal) = open {
            let found = Error::from(refusal).to_string();
            return at.broken(Link::Verdicts, "the gate does not open on these verdicts", "a pass", found);
        }

        if let Err(error) = plan.check() {
            let sealed = plan.clone().sealed().id;
            return at.broken(Link::Plan, &error.to_string(), plan.id, sealed);
        }
        at.same(Link::Plan, "the last effect that the plan rests on", &self.head, &plan.base)?;
        let counted = [
            (Link::Request, digest.is_some()),
            (Link::Intent, intent.is_some()),
            (Link::Spec, spec.is_some()),
            (Link::Verdicts, true),
            (Link::Plan, true),
        ];
        for (link, _) in counted.into_iter().filter(|(_, there)| *there) {
            self.hold(link);
        }
        self.asked.plan = Some((at.record, plan.clone()));
        Ok(())
    }

    fn approved(&mut self, at: At, approval: &Approval) -> Follows {
        let Some((_, plan)) = &self.asked.plan else {
            return at.broken(Link::Approval, "nothing was planned that could be approved", "a plan", "none");
        };
        at.same(Link::Approval, "the plan that was approved", &plan.id, &approval.plan)?;
        let requester = self.asked.request.as_ref().map_or("", |request| request.who.as_str());
        // How old it was when the run began was looked at then.
        if let Err(error) = approval.check(plan, requester, approval.at) {
            return at.broken(Link::Approval, &error.to_string(), "another person", &approval.by);
        }
        self.asked.approval = Some(approval.clone());
        self.hold(Link::Approval);
        Ok(())
    }

    fn begun(&mut self, at: At, run: RunId, id: Digest) -> Follows {
        if let Some(open) = &self.run {
            return at.broken(Link::Run, "a run begins in the middle of another", "no open run", open.id);
        }
        at.same(Link::Run, "the number of the run", &RunId(self.runs + 1), &run)?;
        let asked = std::mem::take(&mut self.asked);
        let approved = asked.approval.map(|approval| approval.plan);
        at.same(Link::Run, "the plan of the run", &show(approved), &show(Some(id)))?;
        let Some((planned, plan)) = asked.plan else {
            return at.broken(Link::Run, "the run has no plan", id, "none");
        };
        let follows = |run: Option<RunId>| run.map_or_else(|| "none".to_owned(), |run| run.to_string());
        let superseded = follows(self.superseded.take());
        at.same(Link::Run, "the run whose place it takes", &superseded, &follows(plan.follows))?;
        self.runs = run.0;
        let steps = vec![Step::default(); plan.steps.len()];
        let (forward, back) = (steps.clone(), steps);
        self.run = Some(Open { id: run, planned, plan, forward, back, undoing: false, paused: false });
        self.stopped = None;
        self.hold(Link::Run);
        Ok(())
    }

    fn ended(&mut self, at: At, run: RunId, outcome: Outcome) -> Follows {
        let open = self.open(at, run)?;
        let done = open.forward.iter().all(|step| step.phase == Phase::Done);
        let over = open.forward.iter().all(|step| matches!(step.phase, Phase::Done | Phase::Skipped));
        let fits = match outcome {
            Outcome::Succeeded => done && !open.undoing,
            Outcome::Incomplete => over && !done && !open.undoing,
            Outcome::RolledBack => open.undoing,
            Outcome::Failed | Outcome::Cancelled => true,
            Outcome::Superseded => open.paused && !open.undoing,
            Outcome::Paused => false,
        };
        if !fits {
            let missing = open.forward.iter().filter(|step| step.phase != Phase::Done).count();
            let found = format!("{outcome:?}, with {missing} steps that are not done").to_lowercase();
            return at.broken(Link::Run, "the run did not end like this", "what its steps say", found);
        }
        let planned = open.planned;
        let named = open.plan.spec.iter().flat_map(|spec| &spec.components).filter_map(|c| c.release);
        let named: Vec<Digest> = named.collect();
        self.stopped = self.run.take().filter(|_| outcome == Outcome::Cancelled);
        self.superseded = (outcome == Outcome::Superseded).then_some(run);
        self.hold(Link::Run);
        if outcome == Outcome::Succeeded {
            for digest in named {
                self.releases.entry(digest).or_insert(planned);
            }
        }
        Ok(())
    }

    /// A paused run takes every decision, any other only to be rolled back.
    fn decided(&mut self, at: At, run: RunId, decision: Decision) -> Follows {
        let open = self.open(at, run)?;
        if !open.paused && decision != Decision::RollBack {
            return at.broken(Link::Run, "the run waited for no decision", "a pause", "none");
        }
        open.paused = false;
        match decision {
            Decision::Skip { step } => {
                let now = self.step(at, run, step, false)?;
                at.holds(now.phase == Phase::Failed, step, "a step that failed", now.phase)?;
                (now.phase, now.left_out) = (Phase::Skipped, true);
            }
            Decision::Retry => open.forward.iter_mut().for_each(Step::again),
            Decision::RollBack | Decision::Abort => {}
        }
        self.hold(Link::Run);
        Ok(())
    }

    fn started(&mut self, at: At, run: RunId, step: StepId, undo: bool, attempt: u32, key: Key) -> Follows {
        let before = *self.step(at, run, step, undo)?;
        let open = self.open(at, run)?;
        at.same(Link::Steps, "the key of the step", &Key::of(open.plan.id, step, undo), &key)?;
        at.same(Link::Steps, "the number of the attempt", &(before.attempts + 1), &attempt)?;
        at.holds(before.phase != Phase::Done, step, "a step that is not done", before.phase)?;
        if undo {
            let before = open.plan.step(step).is_some_and(|step| step.begun_before);
            let begun = before || open.forward[step.index()].attempts > 0;
            at.holds(open.undoing && begun, step, "a run that takes back what it began", Phase::Waiting)?;
        } else {
            let needs = open.plan.steps[step.index()].needs.iter();
            let early = needs.map(|need| open.forward[need.index()].phase).find(|phase| !phase.is_over());
            at.holds(
                early.is_none(),
                step,
                "the end of every step that it needs",
                early.unwrap_or_default(),
            )?;
        }
        let now = self.step(at, run, step, undo)?;
        (now.phase, now.attempts) = (Phase::Started, attempt);
        Ok(())
    }

    /// The open run, where it is this one.
    fn open(&mut self, at: At, run: RunId) -> std::result::Result<&mut Open, Box<Break>> {
        let Some(open) = &mut self.run else {
            return Err(at.breaks(Link::Run, "the run that it is of is not open", "an open run", run));
        };
        at.same(Link::Run, "the run that it is of", &open.id, &run)?;
        Ok(open)
    }

    /// A step of the open run.
    fn step(
        &mut self,
        at: At,
        run: RunId,
        step: StepId,
        undo: bool,
    ) -> std::result::Result<&mut Step, Box<Break>> {
        self.hold(Link::Steps);
        let open = self.open(at, run)?;
        let count = open.plan.steps.len();
        let steps = if undo { &mut open.back } else { &mut open.forward };
        let missing = || at.breaks(Link::Steps, "the plan has no such step", format!("below {count}"), step);
        steps.get_mut(step.index()).ok_or_else(missing)
    }
}

impl Link {
    /// Every link, in the order of the flow.
    pub const ALL: &'static [Link] = &[
        Link::Records,
        Link::Request,
        Link::Intent,
        Link::Spec,
        Link::Verdicts,
        Link::Plan,
        Link::Approval,
        Link::Run,
        Link::Steps,
        Link::Releases,
    ];

    /// What is held against what, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Link::Records => "each record holds the hash of the one before it",
            Link::Request => "the intent and the plan name the request",
            Link::Intent => "the plan names what was understood",
            Link::Spec => "the plan names its spec and the origins in it",
            Link::Verdicts => "the plan names the verdicts, and the gate opens on them",
            Link::Plan => "the content of the plan fits its id",
            Link::Approval => "the approval names the plan",
            Link::Run => "the run is of the plan that was approved",
            Link::Steps => "each step is one of the plan, with its key, in an order that can be",
            Link::Releases => "the releases that revisions name are there",
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Link::Records => "records",
            Link::Request => "request",
            Link::Intent => "intent",
            Link::Spec => "spec",
            Link::Verdicts => "verdicts",
            Link::Plan => "plan",
            Link::Approval => "approval",
            Link::Run => "run",
            Link::Steps => "steps",
            Link::Releases => "releases",
        })
    }
}

/// The error of a run that would rest on a broken chain.
pub fn broken(deployment: &Deployment, broken: &Break) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "chain::broken",
        format!("trust what is recorded of {deployment}: record {}: {}", broken.record, broken.what),
    )
    .help("`verify` shows the whole chain; `journal repair` keeps everything before the break")
    .with("record", broken.record.to_string())
    .with("link", broken.link.to_string())
    .with("expected", broken.expected.clone())
    .with("found", broken.found.clone())
}

/// Where an event stands.
#[derive(Clone, Copy, Debug)]
struct At {
    record: Seq,
}

impl At {
    fn same<T: PartialEq + fmt::Display>(self, link: Link, what: &str, expected: &T, found: &T) -> Follows {
        if expected == found {
            return Ok(());
        }
        self.broken(link, &format!("{what} is another one"), expected, found)
    }

    fn holds(self, holds: bool, step: StepId, expected: &str, found: Phase) -> Follows {
        if holds {
            return Ok(());
        }
        let found = format!("{found:?}").to_lowercase();
        self.broken(Link::Steps, &format!("step {step} comes out of order"), expected, found)
    }

    fn broken(
        self,
        link: Link,
        what: &str,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Follows {
        Err(self.breaks(link, what, expected, found))
    }

    fn breaks(
        self,
        link: Link,
        what: &str,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Box<Break> {
        let (what, expected, found) = (what.to_owned(), expected.to_string(), found.to_string());
        Box::new(Break { record: self.record, link, what, expected, found })
    }
}

fn show(digest: Option<Digest>) -> String {
    digest.map_or_else(|| "none".to_owned(), |digest| digest.to_string())
}
