//! The same facts in every view, and what the environment may switch off.

use std::collections::BTreeSet;

use crate::terminal::Terminal;
use crate::world::World;

const SENTENCE: &str = "Deploy a web app with a SQLite database to staging";

/// What was told of steps, each with what became of it: `web/release done`, `web/process.r1.0 failed`.
fn facts(shown: &str) -> BTreeSet<(String, String)> {
    // A sequence that moves the cursor ends a line too.
    let lines = shown.split(['\n', '\r', '\x1b']);
    let told = lines.filter_map(|line| {
        let mut words = line.split_once(" s] ")?.1.split_whitespace();
        let step = words.next().filter(|word| word.contains('/'))?;
        Some((step.to_owned(), words.next()?.trim_end_matches(':').to_owned()))
    });
    // A bar says that a step was begun, for as long as it goes on.
    told.filter(|(_, state)| state != "started").collect()
}

/// What a terminal shows of a deployment of its own.
fn deployed(args: &[&str], env: &[(&str, &str)]) -> String {
    let world = World::new();
    let mut command = world.command(&[&[SENTENCE, "--yes", "--color", "never"], args].concat());
    command.envs(env.iter().copied());
    let mut terminal = Terminal::of(command, 40);
    assert_eq!(terminal.ends().code(), Some(0), "{}", terminal.shown());
    terminal.wait_for("take down");
    terminal.shown()
}

#[test]
fn bars_and_lines_tell_the_same_and_nobody_but_a_person_gets_bars() {
    let plain = World::new().ok(&[SENTENCE, "--yes"]);
    let told = facts(&plain.err);
    assert!(told.len() == 4 && told.iter().all(|(_, state)| state == "done"), "{plain}");
    // A line for the run's beginning, its end and its commit, and for each step two.
    assert!(plain.err.lines().count() <= 3 + 2 * told.len(), "{plain}");
    let moves = |shown: &str| shown.contains("\x1b[");
    let bars = deployed(&[], &[]);
    assert!(moves(&bars) && facts(&bars) == told, "{bars}");
    for sign in ["CI", "AI_AGENT"] {
        let lines = deployed(&[], &[(sign, "1")]);
        assert!(!moves(&lines) && facts(&lines) == told, "{sign}: {lines}");
    }
    // An option that is given wins.
    assert!(moves(&deployed(&["--progress", "tty"], &[("CI", "1")])));
}

#[test]
fn bars_and_lines_tell_the_same_of_what_fails_and_is_taken_back() {
    let failing = || {
        let world = World::new();
        world.write("Procfile", "web: exit 3\n");
        world
    };
    let (world, other) = (failing(), failing());
    let line = ["Deploy a web app with a SQLite database to staging", "--yes", "--color", "never"];
    let mut terminal = Terminal::of(world.command(&line), 40);
    assert_eq!(terminal.ends().code(), Some(5), "{}", terminal.shown());
    let bars = terminal.shown_whole();
    let plain = other.fails(&line, 5, "taken back");
    assert_eq!(facts(&bars), facts(&plain.err), "{bars}\n{plain}");
    assert!(facts(&bars).iter().any(|(_, state)| state == "failed"), "{plain}");
}

#[test]
fn an_agent_is_asked_like_everybody_and_its_silence_is_no_yes() {
    let world = World::new();
    let mut command = world.command(&[SENTENCE]);
    command.env("AI_AGENT", "1").env("CI", "true");
    let mut terminal = Terminal::of(command, 40);
    terminal.wait_for("[y/N]");
    terminal.types("\n");
    assert_eq!(terminal.ends().code(), Some(11), "{}", terminal.shown());
    assert!(world.resources().is_empty());
}
