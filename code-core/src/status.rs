//! What is, as far as it was recorded: a fold over events.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::{Body, Decision, Event, OnFailure, Outcome};
use crate::export::Commit;
use crate::guard::named;
use crate::mutant::mutant;
use crate::plan::{Plan, Rollback};
use crate::provider::{Action, Change, Live, Observed, OnDelete, Resource};
use crate::request::Request;
use crate::spec::{Origins, Spec};
use crate::store::Seq;
use crate::{Address, Digest, Error, RunId, SecretRef, StepId};

/// Everything that the journal of a deployment says, folded.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The place of the last event.
    pub last: Seq,
    /// The place of the last event that tells of an effect: a plan is bound to it.
    pub head: Seq,
    /// What exists, as last recorded.
    pub inventory: Inventory,
    /// What may exist although it is not in the inventory: a step at it was begun, its run is over, and nobody
    /// could tell what it left; or what is recorded of it was lost.
    pub doubts: BTreeMap<Address, Resource>,
    /// The revisions that were rolled out, oldest first.
    pub revisions: Vec<Revision>,
    /// How many runs there were.
    pub runs: u64,
    /// The last run, open or ended.
    pub run: Option<Run>,
    /// The unknown findings that were accepted for the last run, by id.
    pub accepted: BTreeSet<String>,
    /// Where each revision that was exported is.
    pub exported: BTreeMap<u64, Commit>,
    /// Why the last try to export a revision failed.
    owed: BTreeMap<u64, Error>,
    /// How long steps took, by what they did to what kind of resource.
    durations: BTreeMap<String, f64>,
    /// The last plan that was recorded: the one that the next `RunStarted` names.
    planned: Option<Plan>,
    /// The last words that were recorded: those of the plan after them.
    requested: Option<Request>,
}

/// What exists, by address.
pub type Inventory = BTreeMap<Address, Recorded>;

/// A resource that exists, as last recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Its kind.
    pub kind: String,
    /// What it is.
    pub live: Live,
    /// The resources that it needed: a delete goes the other way.
    pub needs: Vec<Address>,
    /// What happens when it is no longer wanted.
    pub on_delete: OnDelete,
    /// Whether it is no longer wanted, and kept all the same.
    pub kept: bool,
    /// The revision that made or last changed it.
    pub revision: u64,
}

impl Recorded {
    /// The resource as it was last wanted.
    pub fn resource(&self, address: &Address) -> Resource {
        Resource {
            address: address.clone(),
            kind: self.kind.clone(),
            want: Some(self.live.was.clone()),
            depends_on: self.needs.clone(),
            on_delete: self.on_delete,
        }
    }
}

/// A spec that was rolled out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// Counted from 1.
    pub number: u64,
    /// What should exist; `None` where everything was taken down.
    pub spec: Option<Spec>,
    /// Where its values come from.
    pub origins: Origins,
    /// The plan that made it.
    pub plan: Digest,
    /// When its run began.
    pub at: Timestamp,
    /// How its run ended; `None`: not yet.
    pub outcome: Option<Outcome>,
    /// Whether somebody went back from it: it is not rolled out again unasked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bad: bool,
}

/// A run and how far it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its number.
    pub id: RunId,
    /// What it does.
    pub plan: Plan,
    /// The words that asked for it, where there were any.
    pub request: Option<Request>,
    /// Who runs it.
    pub holder: String,
    /// What happens when a step fails for good.
    pub on_failure: OnFailure,
    /// When it began.
    pub started: Timestamp,
    /// When it ended, and how.
    pub ended: Option<(Timestamp, Outcome)>,
    /// Each step of the plan.
    pub steps: Vec<StepRecord>,
    /// Each step's undo.
    pub undo: Vec<StepRecord>,
    /// Whether it takes back what it did, and why.
    pub undoing: Option<String>,
    /// Where it waits for a person, since when and why.
    pub paused: Option<Paused>,
    /// What a person decided that is still to be carried out: to roll back, or to abort.
    pub ordered: Option<Decision>,
    /// What was in use when it began.
    pub used: BTreeSet<Address>,
}

/// Where a run waits for a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Paused {
    /// Since when.
    pub at: Timestamp,
    /// The steps that failed for good.
    pub steps: Vec<StepId>,
    /// Why the first of them did.
    pub why: String,
}

impl Run {
    /// The steps that failed for good and that nobody decided about yet.
    pub fn failed(&self) -> impl Iterator<Item = StepId> + '_ {
        let failed = self.steps.iter().enumerate().filter(|(_, step)| step.phase == Phase::Failed);
        failed.map(|(i, _)| StepId(i as u32))
    }

    /// Whether it was stopped on request: then it can be resumed like one that was interrupted.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.ended, Some((_, Outcome::Cancelled)))
    }

    /// What was stopped begins again where it stopped.
    fn reopen(&mut self) {
        self.ended = None;
        self.ordered = None;
        self.undo.iter_mut().for_each(StepRecord::again);
        for record in &mut self.steps {
            record.again();
            // What has an error was left out by a person, and stays so.
            if record.phase == Phase::Skipped && record.error.is_none() {
                record.phase = Phase::Waiting;
            }
        }
    }

    fn decide(&mut self, decision: Decision) {
        self.paused = None;
        match decision {
            Decision::Retry => self.steps.iter_mut().for_each(StepRecord::again),
            Decision::Skip { step } => {
                if let Some(record) = self.steps.get_mut(step.index()) {
                    record.phase = Phase::Skipped;
                }
            }
            Decision::RollBack | Decision::Abort => self.ordered = Some(decision),
        }
    }
}

/// What the journal says of a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepRecord {
    /// Where it stands.
    pub phase: Phase,
    /// How many attempts were begun.
    pub attempts: u32,
    /// How many of them do not count any more, because a person had the step tried again.
    pub forgiven: u32,
    /// When the first attempt began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<Error>,
    /// What it left.
    pub live: Option<Live>,
    /// Whether it failed before anything was changed.
    pub untouched: bool,
    /// Whether it was begun and nobody could tell yet what it left.
    pub in_doubt: bool,
}

impl StepRecord {
    /// A step that failed for good is tried again, as often as at first.
    fn again(&mut self) {
        if self.phase == Phase::Failed {
            self.phase = Phase::Retrying;
            self.forgiven = self.attempts;
        }
    }
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Not begun.
    #[default]
    Waiting,
    /// Begun, and no end is recorded: after a crash it is in doubt.
    Started,
    /// Failed in a way that may pass, and waiting for the next attempt.
    Retrying,
    /// Done.
    Done,
    /// Failed for good.
    Failed,
    /// Not begun, because one that it needs failed or the run was stopped; or left out by a person.
    Skipped,
}

impl State {
    /// The state after these events.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a (Seq, Event)>) -> State {
        let mut state = State::default();
        for (seq, event) in events {
            state.apply(*seq, event);
        }
        state
    }

    /// The secrets that are named by what exists, by what may exist, and by the plan of the last run.
    pub(crate) fn secrets(&self) -> BTreeSet<SecretRef> {
        let exists =
            self.inventory.iter().map(|(address, one)| named(&one.resource(address), Some(&one.live)));
        let may = self.doubts.values().map(|resource| named(resource, None));
        let run = self.run.iter().map(|run| run.plan.secrets());
        exists.chain(may).chain(run).flatten().collect()
    }

    /// The state after one more event.
    pub fn apply(&mut self, seq: Seq, event: &Event) {
        self.last = seq;
        if event.body.is_effect() {
            self.head = seq;
        }
        match &event.body {
            Body::Planned { plan } => self.planned = Some((**plan).clone()),
            Body::RunStarted { run, plan, holder, on_failure } => {
                self.begin(*run, *plan, holder, *on_failure, event.at);
            }
            Body::RunResumed { holder, .. } => self.resume(holder),
            Body::RunPaused { steps, why, .. } => {
                if let Some(run) = &mut self.run {
                    run.paused = Some(Paused { at: event.at, steps: steps.clone(), why: why.clone() });
                }
            }
            Body::Decided { decision, .. } => {
                if let Some(run) = &mut self.run {
                    run.decide(*decision);
                }
            }
            Body::StepStarted { step, undo, attempt, .. } => self.record(step.index(), *undo, |record| {
                record.phase = Phase::Started;
                record.attempts = *attempt;
                record.untouched = false;
                record.in_doubt = true;
                record.started.get_or_insert(event.at);
            }),
            Body::StepRetries { step, undo, error, untouched, .. } => {
                self.record(step.index(), *undo, |record| {
                    record.phase = Phase::Retrying;
                    record.untouched = *untouched;
                    record.error = Some(error.clone());
                });
            }
            Body::StepDone { step, undo, live, .. } => {
                self.record(step.index(), *undo, |record| {
                    record.phase = Phase::Done;
                    record.ended = Some(event.at);
                    record.live.clone_from(live);
                    record.in_doubt = false;
                    record.error = None;
                });
                self.note_live(step.index(), *undo, live.as_ref());
                self.note_duration(step.index(), *undo);
            }
            Body::StepFailed { step, undo, error, left, untouched, .. } => {
                self.record(step.index(), *undo, |record| {
                    record.untouched = *untouched;
                    record.in_doubt =
                        !untouched && matches!(left, Observed::Unknown(_) | Observed::NotYet(_));
                    record.phase = Phase::Failed;
                    record.ended = Some(event.at);
                    record.error = Some(error.clone());
                });
                match left {
                    // What was only looked at is not ours.
                    _ if *untouched => {}
                    Observed::Present(live) => self.note_live(step.index(), *undo, Some(live)),
                    Observed::Absent => self.note_live(step.index(), *undo, None),
                    Observed::Unknown(_) | Observed::NotYet(_) => {}
                }
            }
            Body::StepSkipped { step, .. } => {
                self.record(step.index(), false, |record| record.phase = Phase::Skipped);
            }
            Body::UndoStarted { why, .. } => {
                if let Some(run) = self.run.as_mut().filter(|_| !mutant("fold-forgets-the-way-back")) {
                    run.undoing = Some(why.clone());
                }
            }
            Body::RunEnded { outcome, .. } => self.end(event.at, *outcome),
            Body::Judged { accepted, .. } => self.accepted = accepted.iter().cloned().collect(),
            Body::JournalRepaired { doubts, .. } => {
                let unrecorded = doubts.iter().filter(|one| !self.inventory.contains_key(&one.address));
                let unrecorded: Vec<_> = unrecorded.map(|one| (one.address.clone(), one.clone())).collect();
                self.doubts.extend(unrecorded);
            }
            Body::Exported { revision, commit } => {
                self.owed.remove(revision);
                self.exported.insert(*revision, commit.clone());
            }
            Body::ExportOwed { revision, error } => {
                self.owed.insert(*revision, error.clone());
            }
            Body::Requested { request } => self.requested = Some(request.clone()),
            Body::Understood { .. }
            | Body::SpecRead { .. }
            | Body::Approved { .. }
            | Body::BreakerOpened { .. }
            | Body::BreakerClosed { .. }
            | Body::StepProgress { .. } => {}
        }
    }

    /// The revision that is rolled out: the last one whose run succeeded or is open.
    pub fn current(&self) -> Option<&Revision> {
        self.revisions.iter().rev().find(|r| matches!(r.outcome, None | Some(Outcome::Succeeded)))
    }

    /// The revision that stands there, good or not: the last one whose run ended, and was neither taken back
    /// nor gone on from by another.
    pub fn standing(&self) -> Option<&Revision> {
        let gone = |r: &Revision| matches!(r.outcome, None | Some(Outcome::RolledBack | Outcome::Superseded));
        let stands = |r: &&Revision| !gone(r);
        self.revisions.iter().rev().find(stands)
    }

    /// The revision of this very spec, release included, that somebody went back from.
    pub fn bad(&self, spec: &Spec) -> Option<&Revision> {
        self.revisions.iter().rev().find(|revision| revision.bad && revision.spec.as_ref() == Some(spec))
    }

    /// The revisions that were rolled out and not exported, oldest first, with what kept them from it. Nothing
    /// is owed where there is no exporter; the state does not know that.
    pub fn owed(&self) -> impl Iterator<Item = (u64, Option<&Error>)> {
        let done = |revision: &&Revision| revision.outcome == Some(Outcome::Succeeded);
        let owed = self.revisions.iter().filter(done).map(|revision| revision.number);
        owed.filter(|number| !self.exported.contains_key(number)).map(|n| (n, self.owed.get(&n)))
    }

    /// The run that has begun and not ended, if any.
    pub fn open_run(&self) -> Option<&Run> {
        self.run.as_ref().filter(|run| run.ended.is_none())
    }

    /// The run that can be gone on with: the last one, where it has not ended or was stopped on request.
    pub fn resumable_run(&self) -> Option<&Run> {
        self.run.as_ref().filter(|run| run.ended.is_none() || run.is_cancelled())
    }

    /// The same with its open run ended, because another one takes its place.
    #[must_use]
    pub fn superseded(&self, at: Timestamp) -> State {
        let mut state = self.clone();
        state.end(at, Outcome::Superseded);
        state
    }

    /// The number that the next revision gets.
    pub fn next_revision(&self) -> u64 {
        self.revisions.last().map_or(1, |revision| revision.number + 1)
    }

    /// How long a change is expected to take, in seconds: as long as its like took so far, else a second.
    pub fn expected_seconds(&self, change: &Change) -> f64 {
        self.durations.get(&duration_key(change)).copied().unwrap_or(1.0)
    }

    /// A moving mean, so that what became faster is believed soon.
    fn note_duration(&mut self, step: usize, undo: bool) {
        let Some(run) = self.run.as_ref().filter(|_| !undo) else { return };
        let (Some(planned), Some(record)) = (run.plan.steps.get(step), run.steps.get(step)) else { return };
        if let (Some(started), Some(ended)) = (record.started, record.ended) {
            let took = ended.duration_since(started).as_secs_f64().max(0.0);
            let mean = self.durations.entry(duration_key(&planned.change)).or_insert(took);
            *mean = 0.7 * *mean + 0.3 * took;
        }
    }

    fn begin(&mut self, id: RunId, plan: Digest, holder: &str, on_failure: OnFailure, at: Timestamp) {
        self.runs = self.runs.max(id.0);
        // The words of a plan stand before it; a plan without words has none of an earlier one.
        let request = self.requested.take();
        let Some(planned) = self.planned.take_if(|planned| planned.id == plan) else { return };
        let steps = vec![StepRecord::default(); planned.steps.len()];
        let used = match self.run.take().filter(|run| planned.follows == Some(run.id)) {
            // Its way back goes to before that one, too.
            Some(before) => before.used,
            None => {
                let used = self.inventory.iter().filter(|(_, recorded)| !recorded.kept);
                used.map(|(address, _)| address.clone()).collect()
            }
        };
        for address in &planned.unchanged {
            if let Some(recorded) = self.inventory.get_mut(address) {
                recorded.kept = false;
            }
        }
        if self.revisions.last().is_none_or(|last| last.number < planned.revision) {
            self.revisions.push(Revision {
                number: planned.revision,
                spec: planned.spec.clone(),
                origins: planned.origins.clone(),
                plan,
                at,
                outcome: None,
                bad: false,
            });
        }
        self.run = Some(Run {
            id,
            plan: planned,
            request,
            holder: holder.to_owned(),
            on_failure,
            started: at,
            ended: None,
            undo: steps.clone(),
            steps,
            undoing: None,
            paused: None,
            ordered: None,
            used,
        });
    }

    fn resume(&mut self, holder: &str) {
        let Some(run) = &mut self.run else { return };
        run.holder = holder.to_owned();
        if run.is_cancelled() {
            run.reopen();
            let number = run.plan.revision;
            let revision = self.revisions.iter_mut().rev().find(|r| r.number == number);
            if let Some(revision) = revision.filter(|r| r.outcome == Some(Outcome::Cancelled)) {
                revision.outcome = None;
            }
        }
    }

    fn end(&mut self, at: Timestamp, outcome: Outcome) {
        let Some(run) = &mut self.run else { return };
        for (step, (forward, back)) in run.plan.steps.iter().zip(run.steps.iter().zip(&run.undo)) {
            let gone_back = back.phase == Phase::Done;
            let in_doubt = back.in_doubt || (forward.in_doubt && !gone_back);
            let in_doubt = in_doubt && !mutant("fold-forgets-doubts");
            if in_doubt && !self.inventory.contains_key(step.address()) {
                self.doubts.insert(step.address().clone(), step.change.resource.clone());
            }
        }
        run.ended = Some((at, outcome));
        run.paused = None;
        // Only now: data of a deployment that was not taken down after all is still in use.
        if outcome == Outcome::Succeeded {
            for address in &run.plan.kept {
                if let Some(recorded) = self.inventory.get_mut(address) {
                    recorded.kept = true;
                }
            }
        }
        // What was taken back left data as it was before: not in use, unless it was.
        if outcome == Outcome::RolledBack {
            for (address, recorded) in &mut self.inventory {
                recorded.kept = recorded.on_delete == OnDelete::Retain && !run.used.contains(address);
            }
        }
        let (number, rollback) = (run.plan.revision, run.plan.rollback);
        if outcome == Outcome::Succeeded {
            mark(&mut self.revisions, run.plan.spec.as_ref(), rollback);
        }
        if let Some(revision) = self.revisions.iter_mut().rev().find(|r| r.number == number) {
            // A repair of a revision that had succeeded does not make it a failed one.
            if revision.outcome != Some(Outcome::Succeeded) {
                revision.outcome = Some(outcome);
            }
        }
    }

    fn record(&mut self, step: usize, undo: bool, change: impl FnOnce(&mut StepRecord)) {
        let Some(run) = &mut self.run else { return };
        let records = if undo { &mut run.undo } else { &mut run.steps };
        if let Some(record) = records.get_mut(step) {
            change(record);
        }
    }

    fn note_live(&mut self, step: usize, undo: bool, live: Option<&Live>) {
        let Some(run) = &self.run else { return };
        let Some(planned) = run.plan.steps.get(step) else { return };
        let address = planned.address().clone();
        self.doubts.remove(&address);
        let Some(live) = live else {
            self.inventory.remove(&address);
            return;
        };
        let target = if undo { planned.change.reversal.to() } else { Some(&planned.change.resource) };
        let target = target.unwrap_or(&planned.change.resource);
        let symbolic = planned.symbolic.as_ref().filter(|_| !undo);
        let kept = planned.change.action == Action::Keep && !undo;
        let before = self.inventory.get(&address).filter(|_| kept).map(|recorded| recorded.revision);
        let revision = before.unwrap_or(run.plan.revision);
        let mut needs = target.dependencies();
        needs.extend(symbolic.map(crate::expr::Want::references).unwrap_or_default());
        self.inventory.insert(
            address,
            Recorded {
                kind: target.kind.clone(),
                live: live.clone(),
                needs: needs.into_iter().collect(),
                on_delete: target.on_delete,
                kept: false,
                revision,
            },
        );
    }
}

/// What was rolled out is not bad any more; what was gone back from is, unless it was the same.
fn mark(revisions: &mut [Revision], now: Option<&Spec>, rollback: Option<Rollback>) {
    for revision in revisions {
        if revision.spec.as_ref() == now {
            revision.bad = false;
        } else if rollback.is_some_and(|rollback| rollback.from == revision.number) {
            revision.bad = revision.spec.is_some();
        }
    }
}

fn duration_key(change: &Change) -> String {
    format!("{} {}", change.action, change.resource.kind)
}
