//! Whole engines, played from seeds; see `code_core::sim`.
//!
//! ```text
//! cargo test -p code-core --test sim      some hundred seeds
//! cargo xtask sim --seeds 10000           in release
//! ```

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use code_core::mutant;
use code_core::sim::{Entry, Report, Story, cast, check, oracle};

/// A variable of the environment: what a person or a chore asks of these tests.
fn asked(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a test is asked by its environment, not by a host")]
    std::env::var(name).ok()
}

fn number(name: &str, default: u64) -> u64 {
    asked(name).and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn story(seed: u64, size: usize) -> Story {
    Story { seed, size, dies: None }
}

/// Does something with each seed, on all cores; the first that fails ends it.
fn with_seeds(count: u64, play: impl Fn(u64) -> Result<(), Box<Report>> + Sync) {
    let next = AtomicU64::new(1);
    let failed = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores())
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed > count {
                            return None;
                        }
                        if let Err(report) = play(seed) {
                            next.store(count + 1, Ordering::Relaxed);
                            return Some(report);
                        }
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .min_by_key(|r| r.story.seed)
    });
    if let Some(report) = failed {
        panic!("{report}");
    }
}

#[test]
fn every_rule_holds_in_every_story() {
    let seeds = number("SIM_SEEDS", 200);
    let begin = Instant::now();
    let (deaths, entries) = (AtomicUsize::new(0), AtomicUsize::new(0));
    with_seeds(seeds, |seed| {
        let played = check(story(seed, 8), &cast)?;
        let died = played.entries.iter().filter(|entry| matches!(entry, Entry::Died { .. })).count();
        deaths.fetch_add(died, Ordering::Relaxed);
        entries.fetch_add(played.entries.len(), Ordering::Relaxed);
        Ok(())
    });
    let (deaths, entries) = (deaths.into_inner(), entries.into_inner());
    let took = begin.elapsed().as_secs_f64();
    println!(
        "figure: simulation: {seeds} seeds, {deaths} deaths, {entries} entries, 0 violations, {took:.1} s"
    );
}

#[test]
fn an_engine_can_die_at_every_moment() {
    let seeds = number("SIM_EVERYWHERE", 2);
    let begin = Instant::now();
    let stories = AtomicUsize::new(0);
    with_seeds(seeds, |seed| {
        for story in story(seed, 5).everywhere(&cast) {
            check(story, &cast)?;
            stories.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    });
    let (stories, took) = (stories.into_inner(), begin.elapsed().as_secs_f64());
    println!(
        "figure: simulation, a death at every moment: {seeds} seeds, {stories} deaths, 0 violations, {took:.1} s"
    );
}

#[test]
fn the_same_seed_is_the_same_story() {
    for seed in 1..30 {
        let (one, two) = (story(seed, 8).play(&cast), story(seed, 8).play(&cast));
        for (i, (one, two)) in one.entries.iter().zip(&two.entries).enumerate() {
            assert_eq!(one, two, "seed {seed}, entry {i}");
        }
        assert_eq!(one.entries.len(), two.entries.len());
    }
}

/// Every fault that is built into the engine on purpose is noticed, and by a rule.
#[test]
fn every_mutant_is_caught() {
    let most = number("SIM_MUTANTS", 400);
    let next = AtomicUsize::new(0);
    let caught = std::sync::Mutex::new(BTreeMap::new());
    let hunt = |name: &'static str| {
        mutant::with(name, || {
            (1..=most).find_map(|seed| {
                let broken = oracle::judge(&story(seed, 8).play(&cast).entries);
                broken.first().map(|broken| (seed, broken.rule))
            })
        })
    };
    std::thread::scope(|scope| {
        for _ in 0..cores() {
            scope.spawn(|| {
                while let Some(name) = mutant::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = hunt(name);
                    caught.lock().unwrap().insert(*name, found);
                }
            });
        }
    });
    let caught = caught.into_inner().unwrap();
    for (name, found) in &caught {
        match found {
            Some((seed, rule)) => println!("{name}: after {seed} seeds, by {rule:?}"),
            None => println!("{name}: not caught in {most} seeds"),
        }
    }
    let latest = caught.values().flatten().map(|(seed, _)| *seed).max().unwrap_or(0);
    let count = caught.values().flatten().count();
    println!(
        "figure: mutants of the engine: {count} of {} caught, the last after {latest} seeds",
        caught.len()
    );
    assert_eq!(count, mutant::ALL.len());
}

/// Tells the story that `SIM_SEED`, `SIM_SIZE` and `SIM_DIES` name.
#[test]
fn replay() {
    let dies = asked("SIM_DIES").and_then(|text| {
        let (act, moment) = text.split_once(':')?;
        Some((act.parse().ok()?, moment.parse().ok()?))
    });
    let story = Story { seed: number("SIM_SEED", 1), size: number("SIM_SIZE", 8) as usize, dies };
    for (i, entry) in story.play(&cast).entries.iter().enumerate() {
        println!("{i:5}  {entry}");
    }
    if let Err(report) = check(story, &cast) {
        panic!("{report}");
    }
}

/// What breaks how often, for whoever looks for faults, where `SIM_SURVEY` is set.
#[test]
fn survey() {
    if number("SIM_SURVEY", 0) == 0 {
        return;
    }
    let mut broken: BTreeMap<_, (u32, Story, String)> = BTreeMap::new();
    for seed in 1..=number("SIM_SEEDS", 300) {
        let stories = if number("SIM_EVERYWHERE", 0) > 0 {
            story(seed, 5).everywhere(&cast)
        } else {
            vec![story(seed, 8)]
        };
        for story in stories {
            for violation in code_core::sim::oracle::judge(&story.play(&cast).entries).into_iter().take(1) {
                broken.entry(violation.rule).or_insert((0, story, violation.what)).0 += 1;
            }
        }
    }
    for (rule, (count, story, what)) in broken {
        println!("{count:4} {rule:?} {story:?}: {what}");
    }
}
