//! One seed is one story: a graph, limits, failures, crashes, stops and decisions. Whatever happens, the rules
//! hold, and over all stories every transition of the machine is taken.
//!
//! ```text
//!  dice ──▶ Input ──▶ Scheduler ──▶ Commands ──▶ rules
//!                        ▲                         │
//!                        └── Start ◀── Records ◀───┘   after a crash, a decision, a resume
//! ```

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};

use super::super::*;
use super::{Dice, NOW};
use crate::graph::Graph;

const ATTEMPTS: u32 = 3;
const COOL_DOWN: Duration = Duration::from_secs(4);

/// The transitions of the machine, and of what follows it.
const TABLE: &[&str] = &[
    "Forward: Begin",
    "Forward: Done",
    "Forward: Failed, to be tried again",
    "Forward: Failed for good",
    "Forward: Failed before anything was changed",
    "Forward: Woke",
    "Forward: Cancel",
    "Forward: the breaker opened",
    "Forward: the breaker closed",
    "Forward: refused by the breaker",
    "Forward: crashed",
    "Forward to Back, by the policy",
    "Forward to Back, by a decision",
    "Forward to Paused",
    "Forward to Ended: Succeeded",
    "Forward to Ended: Incomplete",
    "Forward to Ended: Failed",
    "Forward to Ended: Cancelled",
    "Paused: Retry",
    "Paused: Skip",
    "Paused: RollBack",
    "Paused: Abort",
    "Interrupted: RollBack",
    "Cancelled: resumed",
    "Back: Begin",
    "Back: Done",
    "Back: Failed, to be tried again",
    "Back: Failed for good",
    "Back: Woke",
    "Back: Woke from the way forward",
    "Back: Cancel",
    "Back: crashed",
    "Back to Ended: RolledBack",
    "Back to Ended: Failed",
    "Back to Ended: Cancelled",
];

type Checked = Result<(), TestCaseError>;

/// What a journal would say, folded.
#[derive(Clone, Default)]
struct Records {
    steps: Vec<Recorded>,
    undo: Vec<Recorded>,
    undoing: bool,
    ordered: Option<Decision>,
}

impl Records {
    fn start(&self) -> Start {
        let Records { steps, undo, undoing, ordered } = self.clone();
        Start { steps, undo, undoing, ordered }
    }

    fn of(&mut self, step: StepId, undo: bool) -> &mut Recorded {
        let records = if undo { &mut self.undo } else { &mut self.steps };
        &mut records[step.index()]
    }

    fn again(records: &mut [Recorded]) {
        for record in records.iter_mut().filter(|record| record.phase == Phase::Failed) {
            record.phase = Phase::Retrying;
            record.forgiven = record.attempts;
        }
    }

    fn all(&self, phase: Phase) -> Vec<StepId> {
        let all = (0..self.steps.len()).filter(|i| self.steps[*i].phase == phase);
        all.map(|i| StepId(i as u32)).collect()
    }
}

struct Story {
    dice: Dice,
    edges: Vec<(usize, usize)>,
    graph: Graph,
    limits: Limits,
    on_failure: OnFailure,
    irreversible: BTreeSet<usize>,
    begun_before: BTreeSet<usize>,
    failing: usize,
    crashes: u32,
    at: Duration,
    records: Records,
    /// What runs, and whether it was begun after the breaker of its provider had opened.
    running: Vec<(StepId, bool, bool)>,
    waits: Vec<(StepId, bool)>,
    /// Since when the breaker of a provider is open, in this life.
    open: Vec<Option<Duration>>,
    cancelled: bool,
    left_out: bool,
    left: Option<Outcome>,
    taken: BTreeMap<&'static str, usize>,
}

impl Story {
    fn new(seed: u64, nodes: usize) -> Story {
        let mut dice = Dice(seed);
        let edges: Vec<(usize, usize)> = (1..nodes)
            .flat_map(|i| {
                let count = dice.roll(3);
                (0..count).map(|_| (i, dice.roll(i))).collect::<Vec<_>>()
            })
            .collect();
        let classes = [Class::Io, Class::Cpu, Class::Mixed];
        let providers: Vec<_> =
            (0..1 + dice.roll(3)).map(|_| (1 + dice.roll(4), classes[dice.roll(3)])).collect();
        let open = vec![None; providers.len()];
        let limits = Limits { total: 1 + dice.roll(8), cpu: 1 + dice.roll(3), providers };
        let policies = [OnFailure::RollBack, OnFailure::Pause, OnFailure::Pause, OnFailure::Stop];
        let steps = vec![Recorded::default(); nodes];
        // One in four takes the place of a run that was paused.
        let follows = dice.roll(4) == 0;
        Story {
            graph: Graph::new(nodes, edges.clone()).unwrap(),
            edges,
            limits,
            on_failure: policies[dice.roll(4)],
            irreversible: (0..nodes).filter(|_| dice.roll(8) == 0).collect(),
            begun_before: (0..nodes).filter(|_| dice.roll(8) == 0).filter(|_| follows).collect(),
            failing: dice.roll(5),
            crashes: 0,
            at: NOW,
            records: Records { undo: steps.clone(), steps, ..Records::default() },
            running: Vec::new(),
            waits: Vec::new(),
            open,
            cancelled: false,
            left_out: false,
            left: None,
            taken: BTreeMap::new(),
            dice,
        }
    }

    /// From the beginning, a crash, a decision or a stop to the next of them.
    fn scheduler(&mut self) -> Scheduler {
        let (providers, irreversible) = (self.limits.providers.len(), &self.irreversible);
        let begun_before = &self.begun_before;
        let node = |i| Node {
            provider: i % providers,
            duration: 1.0,
            reversible: !irreversible.contains(&i),
            begun_before: begun_before.contains(&i),
        };
        let nodes = (0..self.graph.len()).map(node).collect();
        let rules = Rules {
            retry: RetryPolicy { attempts: ATTEMPTS, ..RetryPolicy::default() },
            breaker: BreakerPolicy { failures: 2, cool_down: COOL_DOWN },
            on_failure: self.on_failure,
            seed: 1,
        };
        self.running.clear();
        self.waits.clear();
        self.open.fill(None);
        self.cancelled = false;
        Scheduler::new(self.graph.clone(), nodes, self.limits.clone(), rules, &self.records.start())
    }

    fn take(&mut self, transition: &'static str) {
        assert!(TABLE.contains(&transition), "`{transition}` is not in the table");
        *self.taken.entry(transition).or_default() += 1;
    }

    /// One of two transitions, by the way that the run goes.
    fn take_of(&mut self, forward: &'static str, back: &'static str) {
        self.take(if self.records.undoing { back } else { forward });
    }

    fn tell(&mut self) -> Checked {
        loop {
            self.live()?;
            match self.left {
                // It crashed: whoever comes back goes on, or takes it back.
                None if !self.records.undoing && self.records.ordered.is_none() && self.dice.roll(4) == 0 => {
                    self.take("Interrupted: RollBack");
                    self.records.ordered = Some(Decision::RollBack);
                }
                None => {}
                Some(Outcome::Paused) => self.decide(),
                Some(Outcome::Cancelled) if self.crashes < 3 && self.dice.roll(2) == 0 => {
                    self.take("Cancelled: resumed");
                    self.crashes += 1;
                    self.records.ordered = None;
                    Records::again(&mut self.records.steps);
                    Records::again(&mut self.records.undo);
                    for step in self.records.all(Phase::Skipped) {
                        // What was tried was left out by a person.
                        if self.records.of(step, false).attempts == 0 {
                            self.records.of(step, false).phase = Phase::Waiting;
                        }
                    }
                }
                Some(outcome) => return self.check_end(outcome),
            }
        }
    }

    fn decide(&mut self) {
        let failed = self.records.all(Phase::Failed);
        match self.dice.roll(4) {
            0 => {
                self.take("Paused: Retry");
                Records::again(&mut self.records.steps);
            }
            1 => {
                self.take("Paused: Skip");
                self.left_out = true;
                let step = failed[self.dice.roll(failed.len())];
                self.records.of(step, false).phase = Phase::Skipped;
            }
            2 => {
                self.take("Paused: RollBack");
                self.records.ordered = Some(Decision::RollBack);
            }
            _ => {
                self.take("Paused: Abort");
                self.records.ordered = Some(Decision::Abort);
            }
        }
    }

    fn touched(&self, i: usize) -> bool {
        let record = &self.records.steps[i];
        self.begun_before.contains(&i) || (record.attempts > 0 && !record.untouched)
    }

    /// The life of one machine.
    fn live(&mut self) -> Checked {
        let mut scheduler = self.scheduler();
        self.left = None;
        self.take_of("Forward: Begin", "Back: Begin");
        let mut commands = scheduler.handle(self.at, Input::Begin);
        for turn in 0.. {
            prop_assert!(turn < 200 * self.graph.len() + 200, "the run does not end");
            for command in std::mem::take(&mut commands) {
                self.obey(command)?;
            }
            self.check_limits()?;
            prop_assert_eq!(self.left.is_some(), scheduler.ended());
            if self.left.is_some() {
                return Ok(());
            }
            prop_assert!(
                self.running.len() + self.waits.len() > 0,
                "nothing can happen and the run is not over"
            );
            self.at += Duration::from_secs(self.dice.roll(8) as u64);
            if self.crashes < 3 && self.dice.roll(30) == 0 {
                self.take_of("Forward: crashed", "Back: crashed");
                self.crashes += 1;
                return Ok(());
            }
            if !self.cancelled && self.dice.roll(60) == 0 {
                self.take_of("Forward: Cancel", "Back: Cancel");
                self.cancelled = true;
                commands = scheduler.handle(self.at, Input::Cancel);
                continue;
            }
            let pick = self.dice.roll(self.running.len() + self.waits.len());
            if pick >= self.running.len() {
                let (step, undo) = self.waits.swap_remove(pick - self.running.len());
                match (self.records.undoing, undo) {
                    (true, false) => self.take("Back: Woke from the way forward"),
                    _ => self.take_of("Forward: Woke", "Back: Woke"),
                }
                commands = scheduler.handle(self.at, Input::Woke { step, undo });
                continue;
            }
            let (step, undo, _) = self.running.swap_remove(pick);
            commands = if self.dice.roll(10) < self.failing {
                let retry = [Retry::Never, Retry::Transient, Retry::Transient][self.dice.roll(3)];
                let record = self.records.of(step, undo);
                // What an earlier attempt may have done is there to be taken back.
                let untouched = record.attempts == 1 && self.dice.roll(3) == 0;
                record.untouched = untouched;
                if untouched && !undo {
                    self.take("Forward: Failed before anything was changed");
                }
                let failed = Input::Failed { step, retry, untouched };
                scheduler.handle(self.at, failed)
            } else {
                self.take_of("Forward: Done", "Back: Done");
                self.records.of(step, undo).phase = Phase::Done;
                scheduler.handle(self.at, Input::Done(step))
            };
        }
        Ok(())
    }

    fn obey(&mut self, command: Command) -> Checked {
        prop_assert!(self.left.is_none(), "nothing follows the end: {command:?}");
        match command {
            Command::Start { step, undo, attempt } => self.start(step, undo, attempt)?,
            Command::Wake { step, undo, .. } => {
                self.take_of("Forward: Failed, to be tried again", "Back: Failed, to be tried again");
                self.records.of(step, undo).phase = Phase::Retrying;
                self.waits.push((step, undo));
            }
            Command::GiveUp { step, undo } => {
                self.take_of("Forward: Failed for good", "Back: Failed for good");
                self.records.of(step, undo).phase = Phase::Failed;
            }
            Command::Refuse { step } => {
                self.take("Forward: refused by the breaker");
                let since = self.open[step.index() % self.open.len()];
                let cooling = since.is_some_and(|since| self.at.saturating_sub(since) < COOL_DOWN);
                prop_assert!(cooling, "it was refused without need");
                self.records.of(step, false).phase = Phase::Failed;
            }
            Command::Breaker { provider, turn } => {
                self.take(match turn {
                    Turn::Opened => "Forward: the breaker opened",
                    Turn::Closed => "Forward: the breaker closed",
                });
                self.open[provider] = (turn == Turn::Opened).then_some(self.at);
                if turn == Turn::Opened {
                    let count = self.open.len();
                    let mine = self.running.iter_mut().filter(|(s, _, _)| s.index() % count == provider);
                    mine.for_each(|(_, _, probe)| *probe = false);
                }
            }
            Command::Skip { step, .. } => {
                let record = self.records.of(step, false);
                prop_assert_eq!(record.phase, Phase::Waiting);
                record.phase = Phase::Skipped;
            }
            Command::TakeBack => {
                prop_assert!(self.running.is_empty() && !self.cancelled);
                let ordered = self.records.ordered == Some(Decision::RollBack);
                prop_assert!(ordered || self.on_failure == OnFailure::RollBack);
                self.take(match ordered {
                    true => "Forward to Back, by a decision",
                    false => "Forward to Back, by the policy",
                });
                self.records.undoing = true;
            }
            Command::Pause(steps) => {
                self.take("Forward to Paused");
                prop_assert!(self.running.is_empty() && !self.cancelled && !self.records.undoing);
                prop_assert_eq!(self.on_failure, OnFailure::Pause);
                prop_assert_eq!(steps, self.records.all(Phase::Failed));
                for waiting in self.records.all(Phase::Waiting) {
                    let i = waiting.index();
                    let mut needs = self.edges.iter().filter(|(later, _)| *later == i);
                    let could = needs.all(|(_, need)| self.records.steps[*need].phase == Phase::Done);
                    let alone = self.open[i % self.open.len()].is_some();
                    prop_assert!(!could || alone, "step {i} needs nothing that failed, and was not begun");
                }
                self.left = Some(Outcome::Paused);
            }
            Command::End(outcome) => {
                prop_assert!(self.running.is_empty());
                self.left = Some(outcome);
            }
        }
        Ok(())
    }

    fn start(&mut self, step: StepId, undo: bool, attempt: u32) -> Checked {
        let i = step.index();
        let before = *self.records.of(step, undo);
        prop_assert_eq!(undo, self.records.undoing);
        prop_assert!(!self.cancelled, "nothing new begins after a stop");
        prop_assert_eq!(attempt, before.attempts + 1);
        prop_assert!(before.attempts - before.forgiven < ATTEMPTS + self.crashes);
        prop_assert!(matches!(before.phase, Phase::Waiting | Phase::Started | Phase::Retrying));
        let provider = i % self.open.len();
        if undo {
            prop_assert!(self.touched(i) && !self.irreversible.contains(&i));
            for (later, _) in self.edges.iter().filter(|(_, need)| *need == i) {
                let there = self.touched(*later) && !self.irreversible.contains(later);
                prop_assert!(!there || self.records.undo[*later].phase.is_over());
            }
        } else {
            let failed = !self.records.all(Phase::Failed).is_empty();
            prop_assert!(
                !failed || self.on_failure == OnFailure::Pause,
                "nothing new begins after a failure"
            );
            prop_assert!(self.records.ordered.is_none(), "nothing new begins after a decision to end");
            let mut needs = self.edges.iter().filter(|(later, _)| *later == i);
            prop_assert!(needs.all(|(_, need)| self.records.steps[*need].phase == Phase::Done));
            if let Some(since) = self.open[provider] {
                prop_assert!(self.at.saturating_sub(since) >= COOL_DOWN, "it is left alone");
                let probes =
                    |(s, _, probe): &&(StepId, bool, bool)| *probe && s.index() % self.open.len() == provider;
                prop_assert_eq!(self.running.iter().filter(probes).count(), 0, "one attempt at first");
            }
        }
        let record = self.records.of(step, undo);
        (record.phase, record.attempts, record.untouched) = (Phase::Started, attempt, false);
        let probe = !undo && self.open[provider].is_some();
        self.running.push((step, undo, probe));
        Ok(())
    }

    fn check_limits(&self) -> Checked {
        let of = |step: &StepId| step.index() % self.limits.providers.len();
        prop_assert!(self.running.len() <= self.limits.total);
        for (provider, (most, _)) in self.limits.providers.iter().enumerate() {
            prop_assert!(self.running.iter().filter(|(step, _, _)| of(step) == provider).count() <= *most);
        }
        let computing =
            self.running.iter().filter(|(step, _, _)| self.limits.providers[of(step)].1 != Class::Io);
        prop_assert!(computing.count() <= self.limits.cpu);
        Ok(())
    }

    fn check_end(&mut self, outcome: Outcome) -> Checked {
        let done = self.records.all(Phase::Done).len() == self.graph.len();
        let failed = !self.records.all(Phase::Failed).is_empty();
        let undoing = self.records.undoing;
        match (undoing, outcome) {
            (false, Outcome::Succeeded) => {
                self.take("Forward to Ended: Succeeded");
                prop_assert!(done);
            }
            (false, Outcome::Incomplete) => {
                self.take("Forward to Ended: Incomplete");
                prop_assert!(self.left_out && !failed && !done);
            }
            (false, Outcome::Failed) => {
                self.take("Forward to Ended: Failed");
                prop_assert!(failed);
                let aborted = self.records.ordered == Some(Decision::Abort);
                prop_assert!(aborted || self.on_failure == OnFailure::Stop);
            }
            (false, Outcome::Cancelled) => {
                self.take("Forward to Ended: Cancelled");
                prop_assert!(self.cancelled);
            }
            (true, Outcome::RolledBack) => {
                self.take("Back to Ended: RolledBack");
                for i in 0..self.graph.len() {
                    let back = self.records.undo[i].phase == Phase::Done;
                    prop_assert!(back || !self.touched(i));
                    prop_assert!(back || self.records.steps[i].phase != Phase::Done);
                }
            }
            (true, Outcome::Failed) => {
                self.take("Back to Ended: Failed");
                let stuck = self.records.undo.iter().any(|undo| undo.phase == Phase::Failed);
                let stays = |i: &usize| self.touched(*i);
                prop_assert!(stuck || self.irreversible.iter().any(stays));
            }
            (true, Outcome::Cancelled) => {
                self.take("Back to Ended: Cancelled");
                prop_assert!(self.cancelled);
            }
            (undoing, outcome) => prop_assert!(false, "{outcome:?}, undoing: {undoing}"),
        }
        Ok(())
    }
}

#[test]
fn the_rules_hold_in_every_story_and_every_transition_is_taken() {
    let mut runner =
        TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) });
    let taken = std::cell::RefCell::new(BTreeMap::<&str, usize>::new());
    let ran = runner.run(&(1u64.., 1usize..40), |(seed, nodes)| {
        let mut story = Story::new(seed, nodes);
        story.tell()?;
        for (transition, times) in story.taken {
            *taken.borrow_mut().entry(transition).or_default() += times;
        }
        Ok(())
    });
    if let Err(broken) = ran {
        panic!("{broken}");
    }
    let taken = taken.into_inner();
    for transition in TABLE {
        println!("{:>8}  {transition}", taken.get(transition).copied().unwrap_or(0));
    }
    let missed: Vec<_> = TABLE.iter().filter(|transition| !taken.contains_key(*transition)).collect();
    println!("figure: transitions of the scheduler taken: {} of {}", taken.len(), TABLE.len());
    assert!(missed.is_empty(), "never taken: {missed:?}");
}
