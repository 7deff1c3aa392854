//! Real runs on a real cluster, killed at points and at any moment: `cargo xtask kill` does it 50 times, CI 5 times.
//!
//! The same world is deployed, updated, scaled and taken down again and again. After each kill somebody goes on with
//! the run, and then what is there is what is recorded: each object once, by its uid, and none beside them.

use std::collections::{BTreeMap, BTreeSet};

use code_core::Expr;
use code_core::event::{Body, Outcome};
use code_core::status::State;

use crate::kills::{Dice, Kill, journal_of, run};
use crate::kubernetes::{SENTENCE, Shop};

/// One kill here for so many of the runs on this machine, which are faster: see [`crate::kills`].
const SHARE: u64 = 6;
/// How often a run is killed where nobody says otherwise.
const COUNT: u64 = 30 / SHARE;

/// Where runs are killed; all but the last only with the feature `kill-points`.
const POINTS: [&str; 7] = [
    "effect.after",
    "append.step_started.after",
    "append.run_started.after",
    "evidence.after",
    "append.step_done.before",
    "append.run_ended.before",
    "any moment",
];

/// The kinds of objects that the sentence makes, in its namespace.
const KINDS: [(&str, &str); 8] = [
    ("/api/v1", "serviceaccounts"),
    ("/api/v1", "secrets"),
    ("/api/v1", "services"),
    ("/api/v1", "persistentvolumeclaims"),
    ("/apis/apps/v1", "deployments"),
    ("/apis/apps/v1", "statefulsets"),
    ("/apis/networking.k8s.io/v1", "networkpolicies"),
    ("/apis/policy/v1", "poddisruptionbudgets"),
];

/// The uids of all objects in the namespace that say that they are ours.
fn there(shop: &Shop) -> BTreeSet<String> {
    let lists = KINDS.map(|(api, kind)| {
        shop.read(api, &format!("{kind}?labelSelector=app.kubernetes.io%2Fmanaged-by%3Dcode"))
    });
    let items = lists.iter().flat_map(|list| list["items"].as_array().into_iter().flatten());
    items.map(|item| item["metadata"]["uid"].as_str().expect("a uid").to_owned()).collect()
}

/// The uids that the journal knows, but for that of the namespace.
fn recorded(state: &State) -> BTreeSet<String> {
    let lives = state.inventory.values().map(|recorded| &recorded.live);
    let lies = lives.filter(|live| live.outputs["namespace"] != Expr::from(""));
    lies.map(|live| code_core::expr::plain(&live.outputs["uid"].known().expect("a uid"))).collect()
}

#[test]
fn killed_anywhere_it_goes_on_in_a_cluster() {
    let Some(shop) = Shop::new("killed") else { return };
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let count = number("KILL_COUNT").map_or(COUNT, |count| (count / SHARE).max(1));
    let mut dice = Dice(number("KILL_SEED").unwrap_or(1));
    let points = if cfg!(feature = "kill-points") { &POINTS[..] } else { &POINTS[6..] };
    let mut killed = BTreeMap::<&str, u64>::new();
    let total = |killed: &BTreeMap<&str, u64>| killed.values().sum::<u64>();
    let acts = ["deploy", "update", "scale the web app to 3 in staging", "destroy"];
    let mut runs = 0;
    while total(&killed) < count && runs < 6 * count {
        let act = acts[runs as usize % acts.len()];
        let point = points[(runs + runs / 7) as usize % points.len()];
        let args = match act {
            "deploy" => vec![SENTENCE, "--yes"],
            "update" => {
                shop.image(&format!("registry.example/shop:{runs}"));
                vec!["update the web app in staging", "--yes"]
            }
            "destroy" => vec!["destroy", "-e", "staging", "--yes"],
            said => vec![said, "--yes"],
        };
        runs += 1;
        let done = State::fold(&journal_of(&shop.world, &shop.deployment())).runs;
        // A process begins and ends one run.
        let nth = if point.contains(".run_") { 1 } else { 1 + dice.below(4) };
        let kill = Kill { point, nth, dice: &mut dice };
        let (mut ended, was_killed) = run(&shop.world, &args, Some(kill));
        let about = format!("{act}, killed at {point} ({nth}): {was_killed}");
        *killed.entry(point).or_default() += u64::from(was_killed);
        let mut state = State::fold(&journal_of(&shop.world, &shop.deployment()));
        if state.open_run().is_some() {
            (ended, _) = run(&shop.world, &["resume"], None);
        } else if state.runs == done {
            (ended, _) = run(&shop.world, &args, None);
        }
        let journal = journal_of(&shop.world, &shop.deployment());
        state = State::fold(&journal);
        let outcome = state.run.as_ref().and_then(|run| run.ended).map(|(_, outcome)| outcome);
        assert_eq!(outcome, Some(Outcome::Succeeded), "{about}\n{ended}");
        assert_eq!(there(&shop), recorded(&state), "{about}: each once, and none beside them\n{ended}");
        let mut begun = BTreeSet::new();
        for (seq, event) in &journal {
            match &event.body {
                Body::StepStarted { run, step, undo, .. } => drop(begun.insert((*run, *step, *undo))),
                Body::StepDone { run, step, undo, .. } => {
                    assert!(
                        begun.contains(&(*run, *step, *undo)),
                        "{about}: {seq} is done and was never begun"
                    );
                }
                _ => {}
            }
        }
        let web = shop.read("/apis/apps/v1", "deployments/web");
        if act == "destroy" {
            assert!(web.is_null(), "{about}: {web}");
        } else {
            let wanted = if act.starts_with("scale") { 3 } else { 1 };
            assert_eq!(web["status"]["availableReplicas"], wanted, "{about}: {web}");
            for resource in shop.world.resources() {
                assert_eq!(resource["state"], "ok", "{about}: {resource:#}");
            }
        }
    }
    for point in points {
        println!("{point:28} {:3} kills", killed.get(point).copied().unwrap_or_default());
    }
    println!(
        "figure: kills of real runs on a cluster: {} in {runs} runs, at {} of {} points: 0 duplicates, 0 orphans, \
         0 done without evidence",
        total(&killed),
        killed.values().filter(|kills| **kills > 0).count(),
        points.len()
    );
    assert!(total(&killed) >= count, "{killed:?} in {runs} runs");
}
