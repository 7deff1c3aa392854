//! Engines and tools that are killed at any moment of an apply of a root: `cargo xtask kill` does it 100 times.
//!
//! ```text
//! a root of six resources, each of which writes its id when it is done
//!   ├─ the engine killed (its tool has 90 seconds to end well), or the tool itself
//!   ├─ resume, and the same command again
//!   └─ checked: each resource once in the state, each with its line, nothing under way, nothing to do
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use serde_json::Value;

use crate::terraform::is_here;
use crate::world::{Ended, World, command_line, kill, until};

/// How often each of the two is killed where nobody says otherwise.
const COUNT: u64 = 3;
/// The longest wait before a kill, in milliseconds: of an engine from its start, of a tool from its own.
const ENGINE_MOMENT: u64 = 3500;
const TOOL_MOMENT: u64 = 1200;
const SPEC: [&str; 3] = ["--spec", "infra.yaml", "--yes"];
const NAMES: [&str; 6] = ["a1", "a2", "b1", "b2", "c1", "c2"];

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Engine,
    Tool,
}

#[test]
fn killed_at_any_moment_of_an_apply_it_converges() {
    if !is_here("kills of roots") {
        return;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    // What the chore counts are kills of all stories.
    let count = number("KILL_COUNT").map_or(COUNT, |count| (count / 6).max(COUNT));
    let mut dice = number("KILL_SEED").unwrap_or(1);
    let mut hit: BTreeMap<Victim, u64> = BTreeMap::new();
    let mut anew = 0;
    for _ in 0..count {
        for victim in [Victim::Engine, Victim::Tool] {
            // Knuth's MMIX: any moment will do, and the same ones for the same seed.
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (killed, more) = one(victim, dice >> 33);
            *hit.entry(victim).or_default() += u64::from(killed);
            anew += more;
        }
    }
    let of = |victim| hit.get(&victim).copied().unwrap_or_default();
    println!(
        "figure: kills in applies of roots: {} of engines, {} of tools, in {} tries: all converged, 0 done without \
         evidence, 0 twice, 0 orphans; {anew} resources made anew",
        of(Victim::Engine),
        of(Victim::Tool),
        2 * count
    );
}

/// Kills once, and goes on until all is well; gives whether the kill came in time, and how many were made anew.
fn one(victim: Victim, dice: u64) -> (bool, u64) {
    let world = World::new();
    let log = world.path("log");
    root(&world, &log.display().to_string());
    let child = world.command(&SPEC).spawn().expect("the binary runs");
    let pid = child.id().cast_signed();
    let killer = match victim {
        Victim::Engine => {
            // Not to wait for anything, but to be at no known place.
            std::thread::sleep(Duration::from_millis(dice % ENGINE_MOMENT));
            Some(pid)
        }
        Victim::Tool => {
            until("the tool applies", || applying(&world).is_some());
            std::thread::sleep(Duration::from_millis(dice % TOOL_MOMENT));
            applying(&world)
        }
    };
    killer.into_iter().for_each(kill);
    let output = child.wait_with_output().expect("an end");
    let killed = killer.is_some() && (victim == Victim::Tool || output.status.signal() == Some(9));
    let first = Ended::of(&SPEC, output);
    // There may be nothing to go on with.
    let resumed = world.run(&["resume", "--yes"]);
    let again = world.run(&SPEC);
    let told = || format!("{victim:?} after {dice}:\n{first}\n{resumed}\n{again}");
    assert_eq!(again.code, 0, "{}", told());
    assert_eq!(world.run(&["status"]).code, 0, "{}", told());
    until("no tool is left", || applying(&world).is_none());

    let lines = fs::read_to_string(&log).unwrap_or_default();
    let lines: Vec<&str> = lines.lines().collect();
    let there = resources(&world);
    let names: Vec<&str> = there.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, NAMES, "each once: {}", told());
    for (name, id) in &there {
        let evidence = lines.iter().filter(|line| **line == format!("{name} {id}")).count();
        assert_eq!(evidence, 1, "{name} {id}: {lines:?} {}", told());
    }
    world.ok(&["destroy", "--yes"]);
    assert_eq!(resources(&world), [], "{}", told());
    (killed, lines.len() as u64 - there.len() as u64)
}

/// The tool that applies in a world.
fn applying(world: &World) -> Option<i32> {
    let applies = |pid: &i32| {
        let line = command_line(*pid);
        let mut words = line.split(|c: char| c == '\0' || c.is_whitespace());
        let program = words.next().unwrap_or_default();
        (program.ends_with("/tofu") || program.ends_with("/terraform")) && words.next() == Some("apply")
    };
    world.own_processes().into_iter().find(applies)
}

/// The resources in the state, by name, with their ids; one that is to be made anew is told as such.
fn resources(world: &World) -> Vec<(String, String)> {
    let file = world.state().join("terraform/shop@staging/infra/endpoint/terraform.tfstate");
    let state: Value = serde_json::from_slice(&fs::read(file).expect("a state")).expect("a whole state");
    let mut found = Vec::new();
    for resource in state["resources"].as_array().into_iter().flatten() {
        for instance in resource["instances"].as_array().into_iter().flatten() {
            assert!(instance["status"].is_null() && instance["deposed"].is_null(), "{instance}");
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            found.push((text(&resource["name"]), text(&instance["attributes"]["id"])));
        }
    }
    found.sort();
    found
}

/// Three chains of two, each resource of which takes its time and then writes its id.
fn root(world: &World, log: &str) {
    let mut main = String::new();
    for name in NAMES {
        let needs = match name.strip_suffix('2') {
            Some(chain) => format!("  depends_on = [terraform_data.{chain}1]\n"),
            None => String::new(),
        };
        main += &format!(
            "resource \"terraform_data\" \"{name}\" {{\n{needs}  provisioner \"local-exec\" {{\n    \
             command = \"sleep 0.5; echo {name} ${{self.id}} >> '{log}'\"\n  }}\n}}\n"
        );
    }
    world.write("infra/main.tf", &main);
    world.write(
        "infra.yaml",
        "version: 1\napplication: shop\nenvironment: staging\ncomponents:\n- name: infra\n  kind: network\n",
    );
    world.settings("[components.infra]\nsource = \"infra\"\n");
}
