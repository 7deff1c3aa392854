//! The scheduler alone: rules one by one, and all of them in random stories.

mod story;

use std::collections::BTreeSet;

use super::*;

const NOW: Duration = Duration::ZERO;

/// A small generator, so that one seed is one story (xorshift64*, Vigna 2016).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below.max(1)
    }
}

fn scheduler(
    graph: Graph,
    limits: Limits,
    on_failure: OnFailure,
    irreversible: &BTreeSet<usize>,
) -> Scheduler {
    let providers = limits.providers.len();
    let nodes = (0..graph.len())
        .map(|i| Node {
            provider: i % providers,
            duration: 1.0,
            reversible: !irreversible.contains(&i),
            begun_before: false,
        })
        .collect();
    let retry = RetryPolicy { attempts: 3, ..RetryPolicy::default() };
    let rules = Rules { retry, on_failure, seed: 1, ..Rules::default() };
    Scheduler::new(graph, nodes, limits, rules, &Start::default())
}

fn wide() -> Limits {
    Limits { total: 100, cpu: 100, providers: vec![(100, Class::Io)] }
}

fn started(commands: &[Command]) -> Vec<(u32, bool)> {
    let start = |c: &Command| match c {
        Command::Start { step, undo, .. } => Some((step.0, *undo)),
        _ => None,
    };
    commands.iter().filter_map(start).collect()
}

#[test]
fn the_critical_path_goes_first() {
    // 0 alone; 1 → 2 → 3. With room for one, the chain begins.
    let graph = Graph::new(4, [(2, 1), (3, 2)]).unwrap();
    let mut scheduler =
        scheduler(graph, Limits { total: 1, ..wide() }, OnFailure::RollBack, &BTreeSet::new());
    let mut order = Vec::new();
    let mut commands = scheduler.handle(NOW, Input::Begin);
    while let [(step, false)] = started(&commands)[..] {
        order.push(step);
        commands = scheduler.handle(NOW, Input::Done(StepId(step)));
    }
    assert_eq!(order, [1, 2, 0, 3]);
    assert_eq!(commands, [Command::End(Outcome::Succeeded)]);
}

#[test]
fn an_empty_run_succeeds_at_once() {
    let graph = Graph::new(0, []).unwrap();
    let mut scheduler = scheduler(graph, wide(), OnFailure::RollBack, &BTreeSet::new());
    assert_eq!(scheduler.handle(NOW, Input::Begin), [Command::End(Outcome::Succeeded)]);
}

#[test]
fn a_failure_takes_back_what_was_done_in_reverse() {
    let graph = Graph::new(3, [(1, 0), (2, 1)]).unwrap();
    let mut scheduler = scheduler(graph, wide(), OnFailure::RollBack, &BTreeSet::new());
    scheduler.handle(NOW, Input::Begin);
    scheduler.handle(NOW, Input::Done(StepId(0)));
    let commands =
        scheduler.handle(NOW, Input::Failed { step: StepId(1), retry: Retry::Never, untouched: false });
    assert_eq!(
        commands,
        [
            Command::GiveUp { step: StepId(1), undo: false },
            Command::Skip { step: StepId(2), why: "a step failed" },
            Command::TakeBack,
            Command::Start { step: StepId(1), undo: true, attempt: 1 },
        ]
    );
    assert_eq!(started(&scheduler.handle(NOW, Input::Done(StepId(1)))), [(0, true)]);
    assert_eq!(scheduler.handle(NOW, Input::Done(StepId(0))), [Command::End(Outcome::RolledBack)]);
}

#[test]
fn what_changed_nothing_is_not_taken_back() {
    let graph = Graph::new(2, [(1, 0)]).unwrap();
    let mut scheduler = scheduler(graph, wide(), OnFailure::RollBack, &BTreeSet::new());
    scheduler.handle(NOW, Input::Begin);
    scheduler.handle(NOW, Input::Done(StepId(0)));
    let failed = Input::Failed { step: StepId(1), retry: Retry::Never, untouched: true };
    assert_eq!(started(&scheduler.handle(NOW, failed)), [(0, true)]);
    assert_eq!(scheduler.handle(NOW, Input::Done(StepId(0))), [Command::End(Outcome::RolledBack)]);
}

#[test]
fn what_is_irreversible_is_not_called_rolled_back() {
    let graph = Graph::new(2, [(1, 0)]).unwrap();
    let mut scheduler = scheduler(graph, wide(), OnFailure::RollBack, &[0].into());
    scheduler.handle(NOW, Input::Begin);
    scheduler.handle(NOW, Input::Done(StepId(0)));
    scheduler.handle(NOW, Input::Failed { step: StepId(1), retry: Retry::Never, untouched: false });
    assert_eq!(scheduler.handle(NOW, Input::Done(StepId(1))), [Command::End(Outcome::Failed)]);
}

#[test]
fn what_is_irreversible_and_failed_is_not_called_rolled_back_either() {
    let graph = Graph::new(1, []).unwrap();
    let mut scheduler = scheduler(graph, wide(), OnFailure::RollBack, &[0].into());
    scheduler.handle(NOW, Input::Begin);
    let failed = Input::Failed { step: StepId(0), retry: Retry::Never, untouched: false };
    assert_eq!(scheduler.handle(NOW, failed).last(), Some(&Command::End(Outcome::Failed)));
}

#[test]
fn a_wait_of_the_way_forward_does_not_hurry_the_way_back() {
    let graph = Graph::new(2, []).unwrap();
    let mut scheduler = scheduler(graph, wide(), OnFailure::RollBack, &BTreeSet::new());
    scheduler.handle(NOW, Input::Begin);
    let wake =
        scheduler.handle(NOW, Input::Failed { step: StepId(0), retry: Retry::Transient, untouched: false });
    assert!(matches!(wake[..], [Command::Wake { undo: false, .. }]));
    scheduler.handle(NOW, Input::Failed { step: StepId(1), retry: Retry::Never, untouched: false });
    scheduler.handle(NOW, Input::Failed { step: StepId(0), retry: Retry::Transient, untouched: false });
    assert_eq!(scheduler.handle(NOW, Input::Woke { step: StepId(0), undo: false }), []);
    assert_eq!(started(&scheduler.handle(NOW, Input::Woke { step: StepId(0), undo: true })), [(0, true)]);
}

#[test]
fn a_cancelled_run_waits_for_what_runs_and_begins_nothing() {
    let graph = Graph::new(2, [(1, 0)]).unwrap();
    let mut scheduler = scheduler(graph, wide(), OnFailure::RollBack, &BTreeSet::new());
    scheduler.handle(NOW, Input::Begin);
    assert_eq!(scheduler.handle(NOW, Input::Cancel), []);
    let commands = scheduler.handle(NOW, Input::Done(StepId(0)));
    assert_eq!(
        commands,
        [Command::Skip { step: StepId(1), why: "the run was stopped" }, Command::End(Outcome::Cancelled)]
    );
}

#[test]
fn an_undo_that_was_begun_waits_for_one_that_is_tried_again() {
    let graph = Graph::new(2, [(1, 0)]).unwrap();
    let done = Recorded { phase: Phase::Done, attempts: 1, ..Recorded::default() };
    let undo = |phase| Recorded { phase, attempts: 1, ..Recorded::default() };
    let undo = vec![undo(Phase::Started), undo(Phase::Retrying)];
    let start = Start { steps: vec![done, done], undo, undoing: true, ordered: None };
    let nodes = vec![Node { provider: 0, duration: 1.0, reversible: true, begun_before: false }; 2];
    let mut scheduler = Scheduler::new(graph, nodes, wide(), Rules::default(), &start);
    assert_eq!(started(&scheduler.handle(NOW, Input::Begin)), [(1, true)]);
    assert_eq!(started(&scheduler.handle(NOW, Input::Done(StepId(1)))), [(0, true)]);
    assert_eq!(scheduler.handle(NOW, Input::Done(StepId(0))), [Command::End(Outcome::RolledBack)]);
}
