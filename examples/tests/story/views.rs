//! The same facts in every view, and what the environment may switch off.

use std::collections::BTreeSet;

use crate::terminal::Terminal;
use crate::world::World;

const SENTENCE: &str = "Deploy a web app with a SQLite database to staging";

/// The steps that were told to be done, whatever stands around them.
fn done(shown: &str) -> BTreeSet<String> {
    // A sequence that moves the cursor ends a line too, and so do the blanks before a bar.
    let lines = shown.split(['\n', '\r', '\x1b']).filter(|line| line.contains(" done: "));
    lines.filter_map(|line| Some(line.split_once(" s] ")?.1.split("  ").next()?.trim().to_owned())).collect()
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
    let facts = done(&plain.err);
    assert!(facts.len() == 4, "{plain}");
    let moves = |shown: &str| shown.contains("\x1b[");
    let bars = deployed(&[], &[]);
    assert!(moves(&bars) && done(&bars) == facts, "{bars}");
    for sign in ["CI", "AI_AGENT"] {
        let lines = deployed(&[], &[(sign, "1")]);
        assert!(!moves(&lines) && done(&lines) == facts, "{sign}: {lines}");
    }
    // An option that is given wins.
    assert!(moves(&deployed(&["--progress", "tty"], &[("CI", "1")])));
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
