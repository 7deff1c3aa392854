//! Decides what happens next in a run: a pure state machine.
//!
//! It never waits, reads no clock and spawns nothing. It is told what happened ([`Input`]) and when, by the uptime
//! of the host, and says what to do ([`Command`]); the driver writes that to the journal and does it.
//!
//! ```text
//!          Begin                       Done, Failed, Woke, Cancel
//! driver ────────▶ scheduler ◀──────────────────────────────────── driver
//!                      │  Start, Wake, Skip, TakeBack, Pause, End      ▲
//!                      └───────────────▶ journal ─────▶ providers ─────┘
//!
//! Forward ── all done ───────────────────────────────────────────────────────▶ Ended
//!    └─ a step failed for good ─┬─ (running steps end) ─┬─ RollBack ──▶ Back ──▶ Ended
//!                               │                       └─ Stop ──▶ Ended
//!                               └─ (what does not need it is done, too) ── Pause ──▶ Paused
//! ```
//!
//! A pause is the end of this machine, and not of the run: what a person decides is folded into the state of
//! the run, and another machine begins there. So a decision has one path, taken by one who waits at the
//! prompt and by one who comes back after a crash.
//!
//! Steps that are ready wait in one heap a provider, the longest way to the end first, so that the critical
//! path is never kept waiting. Nothing here walks over all steps but the making of the tables.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::engine::breaker::{Admission, Breaker, BreakerPolicy, Turn};
use crate::engine::retry::RetryPolicy;
pub use crate::event::OnFailure;
use crate::event::{Decision, Outcome};
use crate::graph::Graph;
use crate::mutant::mutant;
use crate::provider::Class;
use crate::status::Phase;
use crate::{Retry, StepId};

/// What the scheduler knows of a step beside its edges.
#[derive(Clone, Debug)]
pub struct Node {
    /// The index of its provider in [`Limits::providers`].
    pub provider: usize,
    /// How long it is expected to take, in seconds.
    pub duration: f64,
    /// Whether it can be taken back.
    pub reversible: bool,
    /// Whether an earlier run, whose place this one takes, had begun it: then it is to be taken back in any case.
    pub begun_before: bool,
}

/// How many steps may run at once.
#[derive(Clone, Debug)]
pub struct Limits {
    /// In all.
    pub total: usize,
    /// Of those that compute.
    pub cpu: usize,
    /// Of each provider, with what its steps spend.
    pub providers: Vec<(usize, Class)>,
}

/// How failures are met.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// How often a step is tried.
    pub retry: RetryPolicy,
    /// When a provider is left alone.
    pub breaker: BreakerPolicy,
    /// What happens when a step fails for good.
    pub on_failure: OnFailure,
    /// What the jitter of the waits comes from: the same run waits the same time.
    pub seed: u64,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The run begins, or goes on.
    Begin,
    /// A step was observed done.
    Done(StepId),
    /// An attempt at a step failed.
    Failed {
        /// The step.
        step: StepId,
        /// Whether another attempt may succeed.
        retry: Retry,
        /// Whether no attempt so far got as far as changing anything: then there is nothing to take back.
        untouched: bool,
    },
    /// The wait before the next attempt at a step is over.
    Woke {
        /// The step.
        step: StepId,
        /// Whether it waited to be taken back.
        undo: bool,
    },
    /// Somebody asked the run to stop.
    Cancel,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Begin an attempt at a step, or at taking it back.
    Start {
        /// The step.
        step: StepId,
        /// Whether it takes the step back.
        undo: bool,
        /// Counted from 1.
        attempt: u32,
    },
    /// Say `Woke` after this time.
    Wake {
        /// The step.
        step: StepId,
        /// Whether it takes the step back.
        undo: bool,
        /// The attempt that failed.
        attempt: u32,
        /// How long.
        after: Duration,
    },
    /// A step failed for good.
    GiveUp {
        /// The step.
        step: StepId,
        /// Whether it takes the step back.
        undo: bool,
    },
    /// A step fails for good without an attempt: its provider is left alone.
    Refuse {
        /// The step.
        step: StepId,
    },
    /// The breaker of a provider turned.
    Breaker {
        /// The provider, by its index in [`Limits::providers`].
        provider: usize,
        /// Which way.
        turn: Turn,
    },
    /// A step will not be begun.
    Skip {
        /// The step.
        step: StepId,
        /// Why.
        why: &'static str,
    },
    /// From here on, what was done is taken back.
    TakeBack,
    /// The run waits for a person; these steps failed for good.
    Pause(Vec<StepId>),
    /// The run is over.
    End(Outcome),
}

/// Where a run stands when it begins or goes on: what the journal says of each step.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Each step.
    pub steps: Vec<Recorded>,
    /// Each step's undo.
    pub undo: Vec<Recorded>,
    /// Whether it was taking back what it did.
    pub undoing: bool,
    /// What a person decided that is still to be carried out: to roll back, or to abort. The other decisions
    /// show in the steps.
    pub ordered: Option<Decision>,
}

/// What the journal says of a step.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recorded {
    /// Where it stands.
    pub phase: Phase,
    /// How many attempts were begun.
    pub attempts: u32,
    /// How many of them do not count any more, because a person had the step tried again.
    pub forgiven: u32,
    /// Whether it failed before anything was changed.
    pub untouched: bool,
}

/// The state machine of one run.
#[derive(Debug)]
pub struct Scheduler {
    graph: Graph,
    nodes: Vec<Node>,
    limits: Limits,
    rules: Rules,
    mode: Mode,
    forward: Vec<Progress>,
    back: Vec<Progress>,
    ranks: Vec<f64>,
    ready: Vec<BinaryHeap<Ready>>,
    running: Vec<usize>,
    running_total: usize,
    running_cpu: usize,
    /// One a provider; closed at first, also after a crash or a decision.
    breakers: Vec<Breaker>,
    waiting_to_retry: usize,
    failed: bool,
    cancelled: bool,
    ordered: Option<Decision>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Forward,
    Back,
    /// Paused or over: it is asked nothing any more.
    Ended,
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    phase: Phase,
    attempts: u32,
    forgiven: u32,
    untouched: bool,
    /// When the last attempt began, in this life.
    begun: Duration,
    /// How many steps that it needs are not done.
    open: u32,
}

/// A step that could begin; the longest way to the end first, then the first in the plan.
#[derive(Clone, Copy, Debug)]
struct Ready {
    rank: f64,
    step: u32,
}

impl Ord for Ready {
    fn cmp(&self, other: &Ready) -> Ordering {
        self.rank.total_cmp(&other.rank).then_with(|| other.step.cmp(&self.step))
    }
}

impl PartialOrd for Ready {
    fn partial_cmp(&self, other: &Ready) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ready {
    fn eq(&self, other: &Ready) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ready {}

impl Scheduler {
    /// The state machine of a run over this graph. Beginning a run is going on with one of which nothing is
    /// recorded: `start` may be empty.
    pub fn new(graph: Graph, nodes: Vec<Node>, limits: Limits, rules: Rules, start: &Start) -> Scheduler {
        let progress = |records: &[Recorded]| -> Vec<Progress> {
            let at = |i: usize| {
                let Recorded { phase, attempts, forgiven, untouched } =
                    records.get(i).copied().unwrap_or_default();
                let attempts = if mutant("resume-forgets-attempts") { 0 } else { attempts };
                Progress { phase, attempts, forgiven, untouched, begun: Duration::ZERO, open: 0 }
            };
            (0..graph.len()).map(at).collect()
        };
        let forward = progress(&start.steps);
        let back = progress(&start.undo);
        let durations: Vec<f64> = nodes.iter().map(|node| node.duration).collect();
        let providers = limits.providers.len();
        let failed = forward.iter().any(|step| step.phase == Phase::Failed);
        Scheduler {
            ranks: graph.upward_ranks(&durations),
            graph,
            nodes,
            limits,
            mode: if start.undoing { Mode::Back } else { Mode::Forward },
            forward,
            back,
            ready: vec![BinaryHeap::new(); providers],
            running: vec![0; providers],
            running_total: 0,
            running_cpu: 0,
            breakers: vec![Breaker::new(rules.breaker.clone()); providers],
            rules,
            waiting_to_retry: 0,
            failed,
            cancelled: false,
            ordered: start.ordered,
        }
    }

    /// Takes notice of what happened, at this uptime of the host, and says what to do.
    pub fn handle(&mut self, at: Duration, input: Input) -> Vec<Command> {
        let mut out = Vec::new();
        match input {
            Input::Begin => match self.mode {
                Mode::Back => self.prepare_back(),
                _ => self.prepare_forward(),
            },
            Input::Done(step) => {
                self.leave(step);
                self.answered(at, step, false, &mut out);
                self.progress(step).phase = Phase::Done;
                self.open_next(step);
            }
            Input::Failed { step, retry, untouched } => {
                self.leave(step);
                self.answered(at, step, retry == Retry::Transient, &mut out);
                self.progress(step).untouched = untouched;
                self.attempt_failed(step, retry, &mut out);
            }
            // A wait of the way forward may end when the run is on its way back already.
            Input::Woke { step, undo } if undo == (self.mode == Mode::Back) => self.woke(step),
            Input::Woke { .. } => {}
            Input::Cancel => self.cancelled = !mutant("cancel-is-ignored"),
        }
        self.advance(at, &mut out);
        out
    }

    /// Whether the run is over, or waits for a person.
    pub fn ended(&self) -> bool {
        self.mode == Mode::Ended
    }

    fn table(&mut self) -> &mut Vec<Progress> {
        if self.mode == Mode::Back { &mut self.back } else { &mut self.forward }
    }

    fn progress(&mut self, step: StepId) -> &mut Progress {
        &mut self.table()[step.index()]
    }

    /// Whether a step may have left something, here or in the run whose place this one takes.
    fn touched(&self, step: usize) -> bool {
        let Progress { attempts, untouched, .. } = self.forward[step];
        self.nodes[step].begun_before || (attempts > 0 && !untouched)
    }

    fn prepare_forward(&mut self) {
        for i in 0..self.graph.len() {
            let open = self.graph.needs(i).iter();
            let open = open.filter(|need| self.forward[**need as usize].phase != Phase::Done).count();
            self.forward[i].open = open as u32;
            // What was begun and has no end is begun again: the provider looks first.
            let phase = self.forward[i].phase;
            let begins = matches!(phase, Phase::Waiting | Phase::Started | Phase::Retrying);
            let begins = begins || (mutant("resume-does-it-all-again") && phase == Phase::Done);
            if open == 0 && begins {
                self.push(i);
            }
        }
    }

    /// The way back: what may have left something, against the edges.
    fn prepare_back(&mut self) {
        self.ready.iter_mut().for_each(BinaryHeap::clear);
        for i in 0..self.graph.len() {
            let touched = self.touched(i) || mutant("undoes-what-was-not-begun");
            if !touched || !self.nodes[i].reversible {
                self.back[i].phase = Phase::Skipped;
            }
        }
        for i in 0..self.graph.len() {
            let open = self.graph.needed_by(i).iter();
            let open = open.filter(|n| !self.back[**n as usize].phase.is_over()).count();
            self.back[i].open = open as u32;
            if (open == 0 || mutant("undoes-in-any-order")) && !self.back[i].phase.is_over() {
                self.push(i);
            }
        }
    }

    fn push(&mut self, step: usize) {
        let rank = match self.mode {
            Mode::Back => -self.ranks[step],
            _ => self.ranks[step],
        };
        self.ready[self.nodes[step].provider].push(Ready { rank, step: step as u32 });
    }

    fn leave(&mut self, step: StepId) {
        let provider = self.nodes[step.index()].provider;
        self.running[provider] = self.running[provider].saturating_sub(1);
        self.running_total = self.running_total.saturating_sub(1);
        if self.limits.providers[provider].1 != Class::Io {
            self.running_cpu = self.running_cpu.saturating_sub(1);
        }
    }

    /// Those that waited only for this step become ready.
    fn open_next(&mut self, step: StepId) {
        let back = self.mode == Mode::Back;
        let count =
            if back { self.graph.needs(step.index()) } else { self.graph.needed_by(step.index()) }.len();
        for k in 0..count {
            let next =
                if back { self.graph.needs(step.index()) } else { self.graph.needed_by(step.index()) }[k];
            let progress = &mut self.table()[next as usize];
            progress.open = progress.open.saturating_sub(1);
            // It may have been begun in an earlier life, before what it waited for was tried again.
            let early = mutant("dependants-do-not-wait") && progress.phase == Phase::Waiting;
            if (progress.open == 0 || early) && !progress.phase.is_over() {
                self.push(next as usize);
            }
        }
    }

    /// Tells the breaker how an attempt ended. The way back is gone whatever the breaker thinks.
    fn answered(&mut self, at: Duration, step: StepId, failed: bool, out: &mut Vec<Command>) {
        // A call that was told to stop says nothing about its provider.
        if self.mode == Mode::Back || self.cancelled {
            return;
        }
        let provider = self.nodes[step.index()].provider;
        let begun = self.progress(step).begun;
        if let Some(turn) = self.breakers[provider].ended(begun, at, failed) {
            out.push(Command::Breaker { provider, turn });
        }
    }

    fn attempt_failed(&mut self, step: StepId, retry: Retry, out: &mut Vec<Command>) {
        let undo = self.mode == Mode::Back;
        let Progress { attempts: attempt, forgiven, .. } = *self.progress(step);
        let seed = self.rules.seed ^ u64::from(step.0).rotate_left(32);
        let counts = if mutant("retries-for-ever") { 1 } else { attempt.saturating_sub(forgiven) };
        let again = if self.cancelled { None } else { self.rules.retry.after(retry, counts, seed) };
        if let Some(after) = again {
            self.progress(step).phase = Phase::Retrying;
            self.waiting_to_retry += 1;
            out.push(Command::Wake { step, undo, attempt, after });
            return;
        }
        self.progress(step).phase = Phase::Failed;
        out.push(Command::GiveUp { step, undo });
        if undo {
            // The rest of the way back is worth going.
            self.open_next(step);
        } else {
            self.failed = true;
        }
    }

    fn woke(&mut self, step: StepId) {
        if self.progress(step).phase != Phase::Retrying {
            return;
        }
        self.waiting_to_retry = self.waiting_to_retry.saturating_sub(1);
        self.push(step.index());
    }

    /// Begins what may begin; where nothing runs and nothing can begin, goes on to what comes after.
    fn advance(&mut self, at: Duration, out: &mut Vec<Command>) {
        while self.mode != Mode::Ended {
            while !self.is_stopping()
                && let Some(step) = self.pick(at)
            {
                self.begin(at, step, out);
            }
            let waits = self.waiting_to_retry > 0 && !self.is_stopping();
            if self.running_total > 0 || waits {
                return;
            }
            if self.mode == Mode::Forward && !self.cancelled {
                if self.goes_back() {
                    self.skip_the_rest(out);
                    self.waiting_to_retry = 0;
                    self.mode = Mode::Back;
                    out.push(Command::TakeBack);
                    self.prepare_back();
                    continue;
                }
                if self.failed && self.ordered.is_none() && self.rules.on_failure == OnFailure::Pause {
                    let failed = |i: &usize| self.forward[*i].phase == Phase::Failed;
                    let failed = (0..self.forward.len()).filter(failed).map(|i| StepId(i as u32));
                    out.push(Command::Pause(failed.collect()));
                    self.mode = Mode::Ended;
                    return;
                }
            }
            if self.mode == Mode::Forward {
                self.skip_the_rest(out);
            }
            out.push(Command::End(self.outcome()));
            self.mode = Mode::Ended;
        }
    }

    /// Whether nothing new begins.
    fn is_stopping(&self) -> bool {
        let pauses = self.rules.on_failure == OnFailure::Pause && !mutant("pauses-at-once");
        let failed = self.failed && !pauses && !mutant("goes-on-after-a-failure");
        self.cancelled || (self.mode == Mode::Forward && (failed || self.ordered.is_some()))
    }

    /// Whether the way forward is followed by the way back: a person's word goes before the policy.
    fn goes_back(&self) -> bool {
        match self.ordered {
            Some(decision) => decision == Decision::RollBack && !mutant("decision-is-ignored"),
            None => self.failed && self.rules.on_failure == OnFailure::RollBack,
        }
    }

    fn skip_the_rest(&mut self, out: &mut Vec<Command>) {
        let why = match (self.cancelled || self.ordered == Some(Decision::Abort), self.failed) {
            (true, _) => "the run was stopped",
            (_, true) => "a step failed",
            _ => "a step that it needs was left out",
        };
        for i in 0..self.forward.len() {
            if self.forward[i].phase == Phase::Waiting {
                self.forward[i].phase = Phase::Skipped;
                out.push(Command::Skip { step: StepId(i as u32), why });
            }
        }
    }

    fn outcome(&self) -> Outcome {
        if self.cancelled {
            return Outcome::Cancelled;
        }
        if self.mode == Mode::Back {
            // Everything was taken back only where nothing failed to go back, and nothing was begun that is
            // irreversible: also where that failed, it may have left something.
            let clean = self.back.iter().all(|undo| matches!(undo.phase, Phase::Done | Phase::Skipped))
                && (0..self.graph.len()).all(|i| self.nodes[i].reversible || !self.touched(i));
            let clean = clean || mutant("every-undo-is-called-clean");
            return if clean { Outcome::RolledBack } else { Outcome::Failed };
        }
        if self.failed {
            Outcome::Failed
        } else if self.ordered.is_some() {
            Outcome::Cancelled
        } else if self.forward.iter().all(|step| step.phase == Phase::Done) || mutant("skipped-is-done") {
            Outcome::Succeeded
        } else {
            Outcome::Incomplete
        }
    }

    /// The ready step with the longest way to the end whose provider and class have room.
    fn pick(&mut self, at: Duration) -> Option<StepId> {
        if self.running_total >= self.limits.total + usize::from(mutant("limit-is-off-by-one")) {
            return None;
        }
        let room = |provider: usize| {
            let (most, class) = self.limits.providers[provider];
            let alone = self.mode == Mode::Forward
                && match self.breakers[provider].admits(at) {
                    Admission::Wait => true,
                    // The run pauses in any case: what is not asked for now need not fail.
                    Admission::Refuse => self.failed,
                    _ => false,
                };
            !alone
                && (self.running[provider] < most || mutant("providers-have-no-limit"))
                && (class == Class::Io || self.running_cpu < self.limits.cpu)
        };
        let best = (0..self.ready.len())
            .filter(|provider| room(*provider))
            .filter_map(|provider| self.ready[provider].peek().map(|ready| (*ready, provider)))
            .max_by(|a, b| a.0.cmp(&b.0))?;
        self.ready[best.1].pop().map(|ready| StepId(ready.step))
    }

    fn begin(&mut self, at: Duration, step: StepId, out: &mut Vec<Command>) {
        let undo = self.mode == Mode::Back;
        let provider = self.nodes[step.index()].provider;
        if !undo {
            if self.breakers[provider].admits(at) == Admission::Refuse {
                let progress = self.progress(step);
                progress.phase = Phase::Failed;
                self.failed = true;
                out.push(Command::Refuse { step });
                return;
            }
            self.breakers[provider].begun();
        }
        self.running[provider] += 1;
        self.running_total += 1;
        if self.limits.providers[provider].1 != Class::Io {
            self.running_cpu += 1;
        }
        let progress = self.progress(step);
        progress.phase = Phase::Started;
        progress.begun = at;
        progress.attempts += 1;
        // Until it ends, it may have changed something.
        progress.untouched = false;
        let attempt = progress.attempts;
        out.push(Command::Start { step, undo, attempt });
    }
}

impl Phase {
    /// Whether nothing more will happen.
    pub fn is_over(self) -> bool {
        matches!(self, Phase::Done | Phase::Failed | Phase::Skipped)
    }
}

#[cfg(test)]
mod tests;
