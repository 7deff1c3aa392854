//! Judges a story: each rule is a sentence, and each of them holds at every moment of every story.
//!
//! It has a fold of its own over the events. Were it the engine's, a fault of that would be believed by both.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::alone::Alone;
use super::record::{Entry, Limits};
use crate::event::{Body, Decision, Event, OnFailure, Outcome};
use crate::expr::Want;
use crate::plan::{Plan, Step as PlanStep};
use crate::provider::{Class, Reversal};
use crate::status::Phase;
use crate::store::Seq;
use crate::{Address, Key, Retry, StepId};

macro_rules! rules {
    ($($name:ident: $sentence:literal,)*) => {
        /// A rule that every story keeps.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule { $(#[doc = $sentence] $name,)* }

        impl Rule {
            /// All of them.
            pub const ALL: &[Rule] = &[$(Rule::$name,)*];

            /// It, in a sentence.
            pub fn sentence(self) -> &'static str {
                match self { $(Rule::$name => $sentence,)* }
            }
        }
    };
}

rules! {
    StartIsDurable: "A provider is called only after the start of that attempt is durable.",
    LooksBeforeAgain: "A call is made again only after a look that found something left to do.",
    OneEffect: "Nothing is applied twice under one key.",
    DoneIsSeen: "A step is done only after it was observed done.",
    NeedsFirst: "A step starts only after all that it needs are done.",
    StartsOnce: "A step that is done, failed or skipped is not started, and none while it is running.",
    CountsAttempts: "The attempts at a step are counted through crashes, and no more than the policy allows.",
    WaitsBeforeAgain: "The next attempt begins no sooner than was said.",
    UndoesWhatWasBegun: "Only what was begun is taken back.",
    UndoesInReverse: "A step is taken back only after everything that needed it.",
    UndoesOnlyWhenSaid: "Nothing is taken back before that is said, and nothing goes forward after.",
    SkipsWhatWaits: "Only a step that was not begun is skipped.",
    StaysWithin: "No more runs at once than the limits allow.",
    StopsAtFailure: "After a step failed for good nothing more begins, unless the run is to pause.",
    LeavesAlone: "A provider that keeps failing is left alone, for as long as was said.",
    DoesTheRest: "A run pauses only when all that does not need a failed step is done, or its provider left alone.",
    StopsWhenAsked: "A run that was asked to stop starts nothing and calls nobody any more.",
    StopsWhenUnwritten: "An engine that could not write calls nobody any more.",
    WaitsForAPerson: "A paused run starts nothing, and a decision to go back or to end is carried out.",
    EndIsTheEnd: "Nothing of a run happens after its end.",
    NoGaps: "The events are numbered without a gap.",
    SucceededIsComplete: "A run that succeeded did every step.",
    SucceededIsReached: "After success there is nothing left to do.",
    RolledBackIsBefore: "After a roll-back everything is as before, but for what cannot be taken back.",
    NothingLost: "What exists is recorded, or said to be in doubt; after records were lost, all that is wanted.",
    NothingOrphaned: "After all was taken down nothing is left; after records were lost, nothing that was wanted.",
    Ends: "Every run ends.",
    CalmSucceeds: "In calm weather what is wanted is reached.",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// Where in the record.
    pub at: usize,
    /// What exactly is wrong.
    pub what: String,
}

/// Every rule that these entries break, in order.
pub fn judge(entries: &[Entry]) -> Vec<Violation> {
    let mut oracle = Oracle::default();
    for (at, entry) in entries.iter().enumerate() {
        oracle.at = at;
        oracle.take(entry);
    }
    oracle.violations
}

#[derive(Debug, Default)]
struct Oracle {
    at: usize,
    limits: Limits,
    violations: Vec<Violation>,
    last: Seq,
    planned: Option<Box<Plan>>,
    run: Option<Run>,
    /// What the runs had begun whose places it took, one after the other.
    begun: BTreeSet<Address>,
    /// What was there before the run, or before the first of those.
    before: BTreeMap<Address, Want>,
    world: BTreeMap<Address, Want>,
    /// Each key: how often it was started and called, and how many whole effects it had.
    keys: BTreeMap<Key, Calls>,
    stopped: BTreeSet<u32>,
    /// Who was asked to stop before it decided what it writes now.
    knew: BTreeSet<u32>,
    refused: BTreeSet<u32>,
    dead: BTreeSet<u32>,
    calm: bool,
    /// By how many milliseconds the clock was set, all in all.
    clock_set: i64,
}

#[derive(Debug, Default)]
struct Calls {
    started: u32,
    called: u32,
    whole: u32,
    /// The life of the last look since the last call, and what it found.
    look: Option<(u32, Option<bool>)>,
}

#[derive(Debug)]
struct Run {
    plan: Box<Plan>,
    life: u32,
    /// How often another engine went on with it: each may begin once more what was in doubt.
    lives: u32,
    steps: Vec<Step>,
    undo: Vec<Step>,
    undoing: bool,
    /// What a person said, where it is still to be carried out.
    ordered: Option<Decision>,
    paused: bool,
    ended: Option<Outcome>,
    on_failure: OnFailure,
    /// Who is left alone in this life.
    alone: Alone,
}

#[derive(Clone, Debug, Default)]
struct Step {
    phase: Phase,
    attempts: u32,
    /// How many of them count no more.
    forgiven: u32,
    untouched: bool,
    /// Whether a person had it left out.
    left_out: bool,
    /// The life in which it failed, and before when it is not tried again, in milliseconds.
    waits: Option<(u32, i64)>,
    /// The life that runs it.
    life: u32,
    /// When its last attempt began, in milliseconds.
    begun: i64,
}

impl Run {
    /// Another engine goes on: what was stopped on request is open again, and its failures count no more.
    fn resumed(&mut self, life: u32) {
        self.life = life;
        self.lives += 1;
        self.alone = Alone::default();
        if self.ended == Some(Outcome::Cancelled) {
            self.ended = None;
            self.ordered = None;
            for step in self.steps.iter_mut().chain(&mut self.undo) {
                step.again();
            }
            for step in &mut self.steps {
                if step.phase == Phase::Skipped && !step.left_out {
                    step.phase = Phase::Waiting;
                }
            }
        }
    }

    fn decided(&mut self, decision: Decision) {
        self.paused = false;
        self.alone = Alone::default();
        match decision {
            Decision::Retry => self.steps.iter_mut().for_each(Step::again),
            Decision::Skip { step } => {
                if let Some(step) = self.steps.get_mut(step.index()) {
                    step.phase = Phase::Skipped;
                    step.left_out = true;
                }
            }
            Decision::RollBack | Decision::Abort => self.ordered = Some(decision),
        }
    }
}

impl Step {
    /// A failed step is tried again, as often as at first.
    fn again(&mut self) {
        if self.phase == Phase::Failed {
            self.phase = Phase::Retrying;
            self.forgiven = self.attempts;
            self.waits = None;
        }
    }
}

impl Oracle {
    fn broken(&mut self, rule: Rule, what: impl Into<String>) {
        self.violations.push(Violation { rule, at: self.at, what: what.into() });
    }

    fn check(&mut self, good: bool, rule: Rule, what: impl FnOnce() -> String) {
        if !good {
            self.broken(rule, what());
        }
    }

    fn take(&mut self, entry: &Entry) {
        match entry {
            Entry::Limits(limits) => self.limits = limits.clone(),
            Entry::World(there) => {
                self.world.clone_from(there);
                self.judge_roll_back();
            }
            Entry::Began { .. } => {}
            Entry::Wrote { life, seq, event } => {
                let expected = self.last.next();
                self.check(*seq == expected, Rule::NoGaps, || format!("{seq} comes in place of {expected}"));
                self.last = *seq;
                self.wrote(*life, event);
            }
            Entry::Refused { life } => drop(self.refused.insert(*life)),
            Entry::Looked { life, key, settled, .. } => {
                self.keys.entry(*key).or_default().look = Some((*life, *settled));
            }
            Entry::Called { life, address, key } => self.called(*life, address, *key),
            Entry::Effect { address, key, whole, .. } => {
                let calls = self.keys.entry(*key).or_default();
                calls.whole += u32::from(*whole);
                let twice = calls.whole > 1;
                self.check(!twice, Rule::OneEffect, || format!("{address} was completed twice"));
            }
            Entry::Returned { .. } => {}
            Entry::Cancelled { life } => drop(self.stopped.insert(*life)),
            Entry::Writes { life } => {
                if self.stopped.contains(life) {
                    self.knew.insert(*life);
                }
            }
            Entry::Died { life } => drop(self.dead.insert(*life)),
            Entry::Ended { life, how } => self.ended(*life, how),
            Entry::ClockSet(by) => self.clock_set += by,
            Entry::Lost { last } => {
                self.last = *last;
                self.run = None;
                // The same plan may be made once more, with the same keys.
                self.keys.clear();
            }
            Entry::Calm => self.calm = true,
            Entry::LeftToDo(steps) => {
                let rule = if self.calm { Rule::CalmSucceeds } else { Rule::SucceededIsReached };
                self.broken(rule, steps.join(", "));
            }
            Entry::Unlisted(addresses) => self.broken(Rule::NothingLost, names(addresses)),
            Entry::Orphans(addresses) => self.broken(Rule::NothingOrphaned, names(addresses)),
            Entry::Stuck(why) => self.broken(Rule::Ends, why.clone()),
        }
    }

    fn called(&mut self, life: u32, address: &Address, key: Key) {
        let calls = self.keys.entry(key).or_default();
        calls.called += 1;
        let (started, called, look) = (calls.started, calls.called, calls.look.take());
        self.check(called <= started, Rule::StartIsDurable, || {
            format!("{address}: call {called} after {started} starts")
        });
        if called > 1 {
            let looked = matches!(look, Some((who, Some(false))) if who == life);
            self.check(looked, Rule::LooksBeforeAgain, || {
                format!("{address}: call {called} after the look {look:?}")
            });
        }
        let refused = self.refused.contains(&life);
        self.check(!refused, Rule::StopsWhenUnwritten, || format!("{address} was called"));
        let stopped = self.stopped.contains(&life);
        self.check(!stopped, Rule::StopsWhenAsked, || format!("{address} was called"));
        let over = self.run.as_ref().is_none_or(|run| run.ended.is_some());
        self.check(!over, Rule::EndIsTheEnd, || format!("{address} was called"));
    }

    fn wrote(&mut self, life: u32, event: &Event) {
        match &event.body {
            Body::Planned { plan } => self.planned = Some(plan.clone()),
            Body::RunStarted { on_failure, .. } => {
                let open = self.run.as_ref().is_some_and(|run| run.ended.is_none());
                self.check(!open, Rule::EndIsTheEnd, || "a run begins before the last one ended".into());
                let Some(plan) = self.planned.take() else { return };
                let steps = vec![Step::default(); plan.steps.len()];
                // Where it takes the place of another, its way back goes to before that one.
                match self.run.take().filter(|_| plan.follows.is_some()) {
                    Some(run) => {
                        let begun = run.plan.steps.iter().zip(&run.steps).filter(|(_, now)| now.attempts > 0);
                        self.begun.extend(begun.map(|(step, _)| step.address().clone()));
                    }
                    None => {
                        self.begun.clear();
                        self.before.clone_from(&self.world);
                    }
                }
                let undo = steps.clone();
                self.run = Some(Run {
                    plan,
                    life,
                    lives: 0,
                    steps,
                    undo,
                    undoing: false,
                    ordered: None,
                    paused: false,
                    ended: None,
                    on_failure: *on_failure,
                    alone: Alone::default(),
                });
            }
            Body::RunResumed { .. } => {
                if let Some(run) = &mut self.run {
                    run.resumed(life);
                }
            }
            Body::RunPaused { .. } => {
                let Some(run) = &mut self.run else { return };
                run.paused = true;
                let done = |need: &StepId| run.steps[need.index()].phase == Phase::Done;
                let alone = |step: &PlanStep| run.alone.has(&step.provider);
                let could = |(step, now): &(&PlanStep, &Step)| {
                    now.phase == Phase::Waiting && step.needs.iter().all(done) && !alone(step)
                };
                let left = run.plan.steps.iter().zip(&run.steps).find(could);
                if let Some(left) = left.map(|(step, _)| step.address().to_string()) {
                    self.broken(Rule::DoesTheRest, format!("{left} was not begun"));
                }
            }
            Body::BreakerOpened { provider, .. } => {
                let at = self.real(event);
                if let Some(run) = &mut self.run {
                    run.alone.opened(provider, at);
                }
            }
            Body::BreakerClosed { provider, .. } => {
                if let Some(run) = &mut self.run {
                    run.alone.closed(provider);
                }
            }
            Body::Decided { decision, .. } => {
                if let Some(run) = &mut self.run {
                    run.decided(*decision);
                }
            }
            Body::StepStarted { step, undo, attempt, key, .. } => {
                self.keys.entry(*key).or_default().started += 1;
                self.started(life, *step, *undo, *attempt, *key, event);
            }
            Body::StepRetries { step, undo, attempt: _, after_ms, .. } => {
                self.answered(life, *step, *undo, event, true);
                let until = self.real(event) + i64::try_from(*after_ms).unwrap_or(i64::MAX);
                self.step(*step, *undo, |step| {
                    step.phase = Phase::Retrying;
                    step.waits = Some((life, until));
                });
            }
            Body::StepDone { step, undo, live, .. } => {
                self.answered(life, *step, *undo, event, false);
                self.done(life, *step, *undo, live.is_some());
            }
            Body::StepFailed { step, undo, untouched, error, .. } => {
                // One whose provider is left alone was not asked.
                if error.code() != "provider::breaker-open" {
                    let may_pass = error.retryable() == Retry::Transient;
                    self.answered(life, *step, *undo, event, may_pass);
                }
                self.step(*step, *undo, |step| {
                    step.phase = Phase::Failed;
                    step.untouched = *untouched;
                });
            }
            Body::StepSkipped { step, .. } => {
                let phase = self.run.as_ref().and_then(|run| run.steps.get(step.index())).map(|s| s.phase);
                self.check(phase == Some(Phase::Waiting), Rule::SkipsWhatWaits, || {
                    format!("step {step} is {phase:?}")
                });
                self.step(*step, false, |step| step.phase = Phase::Skipped);
            }
            Body::UndoStarted { .. } => {
                if let Some(run) = &mut self.run {
                    run.undoing = true;
                }
            }
            Body::RunEnded { outcome, .. } => self.run_ended(*outcome),
            _ => {}
        }
    }

    /// When an event happened, whatever the clock was set to, in milliseconds.
    fn real(&self, event: &Event) -> i64 {
        event.at.as_millisecond() - self.clock_set
    }

    /// The end of an attempt, held against what a breaker is to do. The way back is always tried, and a call that
    /// was told to stop says nothing about its provider.
    fn answered(&mut self, life: u32, step: StepId, undo: bool, event: &Event, failed: bool) {
        let (at, most) = (self.real(event), self.limits.breaker.failures);
        let told = undo || self.stopped.contains(&life);
        let Some(run) = self.run.as_mut().filter(|_| !told) else { return };
        let i = step.index();
        let (Some(planned), Some(now)) = (run.plan.steps.get(i), run.steps.get(i)) else { return };
        let too_many = run.alone.ended(&planned.provider, now.begun, at, failed) >= most;
        self.check(!too_many, Rule::LeavesAlone, || format!("step {step} is one failure too many"));
    }

    fn step(&mut self, step: StepId, undo: bool, change: impl FnOnce(&mut Step)) {
        let over = self.run.as_ref().is_none_or(|run| run.ended.is_some());
        self.check(!over, Rule::EndIsTheEnd, || format!("step {step} goes on"));
        let Some(run) = &mut self.run else { return };
        let steps = if undo { &mut run.undo } else { &mut run.steps };
        if let Some(step) = steps.get_mut(step.index()) {
            change(step);
        }
    }

    fn started(&mut self, life: u32, step: StepId, undo: bool, attempt: u32, key: Key, event: &Event) {
        let knew = self.knew.contains(&life);
        self.check(!knew, Rule::StopsWhenAsked, || format!("step {step} starts"));
        let refused = self.refused.contains(&life);
        self.check(!refused, Rule::StopsWhenUnwritten, || format!("step {step} starts"));
        let Some(run) = &self.run else { return };
        let i = step.index();
        let Some(planned) = run.plan.steps.get(i) else { return };
        let mut broken: Vec<(Rule, String)> = Vec::new();
        if undo != run.undoing {
            broken.push((Rule::UndoesOnlyWhenSaid, format!("step {step}, undo: {undo}")));
        }
        if key != Key::of(run.plan.id, step, undo) {
            broken.push((Rule::CountsAttempts, format!("step {step} has another key")));
        }
        let table = if undo { &run.undo } else { &run.steps };
        let now = &table[i];
        let failed = run.steps.iter().any(|step| step.phase == Phase::Failed);
        if !undo && failed && run.on_failure != OnFailure::Pause {
            broken.push((Rule::StopsAtFailure, format!("step {step} starts")));
        }
        if run.paused || (!undo && run.ordered.is_some()) {
            broken.push((Rule::WaitsForAPerson, format!("step {step} starts")));
        }
        if now.phase.is_over() || (now.phase == Phase::Started && now.life == life) {
            broken.push((Rule::StartsOnce, format!("step {step} is {:?}", now.phase)));
        }
        if attempt != now.attempts + 1 || attempt > now.forgiven + self.limits.attempts + run.lives {
            let what = format!("step {step}: attempt {attempt} after {}", now.attempts);
            broken.push((Rule::CountsAttempts, what));
        }
        let at = self.real(event);
        let alone = run.alone.rests(&planned.provider, self.limits.breaker.cool_down, at);
        if !undo && let Some(left) = alone {
            broken.push((Rule::LeavesAlone, format!("step {step}: {left} ms too early")));
        }
        if let Some((who, until)) = now.waits
            && who == life
            && at < until
        {
            let early = until - at;
            broken.push((Rule::WaitsBeforeAgain, format!("step {step}: {early} ms too early")));
        }
        if undo {
            let begun = &run.steps[i];
            if !planned.begun_before && (begun.attempts == 0 || begun.untouched) {
                broken.push((Rule::UndoesWhatWasBegun, format!("step {step} was not begun")));
            }
            for later in run.plan.steps.iter().filter(|other| other.needs.contains(&step)) {
                let back = &run.undo[later.id.index()];
                // Not what the journal says of it: whether anybody was really asked to change it.
                let calls = self.keys.get(&Key::of(run.plan.id, later.id, false));
                let there = calls.is_some_and(|calls| calls.called > 0);
                let stays = matches!(later.change.reversal, Reversal::Irreversible(_));
                if there && !stays && !back.phase.is_over() {
                    let what = format!("step {step} before step {}", later.id);
                    broken.push((Rule::UndoesInReverse, what));
                }
            }
        } else {
            for need in &planned.needs {
                if run.steps[need.index()].phase != Phase::Done {
                    broken.push((Rule::NeedsFirst, format!("step {step} before step {need}")));
                }
            }
        }
        for (rule, what) in broken {
            self.broken(rule, what);
        }
        self.step(step, undo, |step| {
            step.phase = Phase::Started;
            step.attempts = attempt;
            // Until it ends, it may have changed something.
            step.untouched = false;
            step.life = life;
            step.begun = at;
        });
        self.judge_limits(life);
    }

    /// What this life runs at once, held against the limits.
    fn judge_limits(&mut self, life: u32) {
        let Some(run) = &self.run else { return };
        let (mut total, mut cpu) = (0, 0);
        let mut providers: BTreeMap<&str, usize> = BTreeMap::new();
        for table in [&run.steps, &run.undo] {
            let running = table.iter().zip(&run.plan.steps);
            for (_, planned) in running.filter(|(s, _)| s.phase == Phase::Started && s.life == life) {
                total += 1;
                cpu += usize::from(planned.class != Class::Io);
                *providers.entry(&planned.provider).or_default() += 1;
            }
        }
        let mut broken = Vec::new();
        if total > self.limits.total {
            broken.push(format!("{total} in all"));
        }
        if cpu > self.limits.cpu {
            broken.push(format!("{cpu} that compute"));
        }
        for (provider, count) in providers {
            if self.limits.providers.get(provider).is_some_and(|(most, _)| count > *most) {
                broken.push(format!("{count} of {provider}"));
            }
        }
        for what in broken {
            self.broken(Rule::StaysWithin, what);
        }
    }

    fn done(&mut self, life: u32, step: StepId, undo: bool, live: bool) {
        let key = self.run.as_ref().map(|run| Key::of(run.plan.id, step, undo));
        let look = key.and_then(|key| self.keys.get(&key)).and_then(|calls| calls.look);
        let seen = look == Some((life, Some(true)));
        self.check(seen, Rule::DoneIsSeen, || format!("step {step}, undo: {undo}, after the look {look:?}"));
        let wanted = self.run.as_ref().and_then(|run| run.plan.steps.get(step.index())).map(|planned| {
            let target = if undo { planned.change.reversal.to() } else { Some(&planned.change.resource) };
            target.is_some_and(|resource| resource.want.is_some())
        });
        self.check(wanted == Some(live), Rule::DoneIsSeen, || format!("step {step} left the opposite"));
        self.step(step, undo, |step| step.phase = Phase::Done);
    }

    fn run_ended(&mut self, outcome: Outcome) {
        let Some(run) = &mut self.run else { return };
        let again = run.ended.is_some();
        run.ended = Some(outcome);
        let left = run.steps.iter().position(|step| step.phase != Phase::Done);
        let running =
            run.steps.iter().chain(&run.undo).any(|s| s.phase == Phase::Started && s.life == run.life);
        let left_there = run.ordered == Some(Decision::RollBack) && !run.undoing;
        let stopped = self.stopped.contains(&run.life);
        self.check(!left_there || stopped, Rule::WaitsForAPerson, || "nothing was taken back".into());
        self.check(!again, Rule::EndIsTheEnd, || "it ends twice".into());
        self.check(!running, Rule::EndIsTheEnd, || "a step still runs".into());
        if let (Outcome::Succeeded, Some(left)) = (outcome, left) {
            self.broken(Rule::SucceededIsComplete, format!("step {left} is not done"));
        }
    }

    /// After a roll-back the world is the one before; nobody wants damage back.
    fn judge_roll_back(&mut self) {
        let Some(run) = &self.run else { return };
        if run.ended != Some(Outcome::RolledBack) {
            return;
        }
        let damaged = |a: &Address| self.before.get(a).is_some_and(|was| was.get("drift").is_some());
        let differs = |a: &&Address| self.before.get(*a) != self.world.get(*a) && !damaged(a);
        let touched = run.plan.steps.iter().map(|step| step.address());
        // Data of the runs whose place it took is nobody's to delete unasked.
        let begun = self.begun.iter().filter(|address| !run.plan.kept.contains(address));
        let touched: BTreeSet<&Address> = touched.chain(begun).collect();
        let all: BTreeSet<&Address> = self.before.keys().chain(self.world.keys()).collect();
        let different: Vec<String> = all
            .into_iter()
            .filter(|address| differs(address) && touched.contains(address))
            .map(|a| format!("{a} was {:?} and is {:?}", self.before.get(a), self.world.get(a)))
            .collect();
        // Judged once: what comes later has its own before.
        if !different.is_empty() {
            self.broken(Rule::RolledBackIsBefore, different.join(", "));
        }
        self.before.clone_from(&self.world);
    }

    fn ended(&mut self, life: u32, how: &Result<Option<Outcome>, String>) {
        let good = matches!(how, Ok(None | Some(Outcome::Succeeded)));
        if self.calm {
            self.check(good, Rule::CalmSucceeds, || format!("life {life} ended so: {how:?}"));
        }
        let stuck = matches!(how, Err(code) if code == "run::stuck");
        self.check(!stuck, Rule::Ends, || format!("life {life} found nothing to do and no end"));
    }
}

fn names(addresses: &[Address]) -> String {
    addresses.iter().map(Address::as_str).collect::<Vec<_>>().join(", ")
}
