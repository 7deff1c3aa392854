//! Every number that the program can end with, each come by as a user comes by it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt;

use front::exit::Exit;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::terminal::Terminal;
use crate::two_holders::{ends, gated, open_gate, under_way};
use crate::world::{Ended, World, until};

const SENTENCE: &str = "Deploy a web app with a SQLite database to staging";

/// A web app whose build does this.
fn built_by(script: &str) -> World {
    let world = World::new();
    world.write("web/a", "");
    let build = format!("build = [\"sh\", \"-c\", \"{script}\"]\nstart = [\"sleep\", \"60\"]\n");
    world.write("code.toml", &format!("[components.web]\nsource = \"web\"\n{build}"));
    world
}

#[test]
fn each_way_to_end_has_a_scenario() {
    let mut seen = BTreeSet::new();
    let mut check = |exit: Exit, ended: &Ended| {
        assert_eq!(ended.code, i32::from(exit.code()), "{exit:?}: {ended}");
        seen.insert(exit.code());
    };

    // Nothing has to fail for these.
    let world = World::new();
    check(Exit::Done, &world.run(&["status"]));
    check(Exit::Usage, &world.run(&["statsu"]));
    check(Exit::NeedsAnswer, &world.run(&[SENTENCE]));
    let mut terminal = Terminal::open(&world, &[SENTENCE]);
    terminal.wait_for("[y/N]");
    terminal.types("n\n");
    check(Exit::Declined, &ended(&mut terminal));

    // A deployment, and what becomes of it.
    world.ok(&[SENTENCE, "--yes", "-q"]);
    let out = world.path("next.plan").display().to_string();
    world.ok(&["plan", "scale the web app to 2 in staging", "--out", &out]);
    world.ok(&["scale the web app to 3 in staging", "--yes", "-q"]);
    check(Exit::Stale, &world.run(&["apply", &out]));
    check(Exit::Unexpected, &world.run(&["report", "--out", "/proc/report.html"]));
    let settings = fs::read_to_string(world.project().join("code.toml")).unwrap();
    world.write("code.toml", &format!("{settings}[environments.staging]\nread_only = true\n"));
    check(Exit::Refused, &world.run(&["stop", "--yes"]));
    world.write("code.toml", &settings);
    fs::rename(world.state().join("data"), world.path("data")).unwrap();
    check(Exit::Drift, &world.run(&["status"]));
    fs::rename(world.path("data"), world.state().join("data")).unwrap();
    let log = world.state().join("journal/shop@staging.log");
    let log = fs::OpenOptions::new().write(true).open(log).unwrap();
    log.write_all_at(b"#", 200).unwrap();
    check(Exit::Broken, &world.run(&["verify"]));

    // Runs that do not end well.
    let sentence = "Deploy a web app to staging";
    let world = built_by("exit 3");
    check(Exit::RolledBack, &world.run(&[sentence, "--yes"]));
    check(Exit::Failed, &world.run(&[sentence, "--yes", "--on-failure", "stop"]));
    check(Exit::Paused, &world.run(&[sentence, "--yes", "--on-failure", "pause"]));
    check(Exit::Incomplete, &world.run(&["resume", "--skip", "web/release"]));

    // Runs that others or the clock come in between.
    let world = gated();
    let mut run = under_way(&world, "staging");
    check(Exit::Locked, &world.run(&[sentence, "--yes"]));
    kill_process(Pid::from_child(&run.0), Signal::INT).expect("it runs");
    check(Exit::Interrupted, &ends(&mut run));
    check(Exit::TimedOut, &world.run(&["resume", "--timeout", "1s"]));

    let all: BTreeSet<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
    assert_eq!(seen, all, "a number without a scenario");
}

fn ended(terminal: &mut Terminal) -> Ended {
    let code = terminal.ends().code().unwrap_or(-1);
    Ended { line: "at a terminal".into(), code, out: terminal.shown_whole(), err: String::new() }
}

#[test]
fn a_run_whose_time_is_over_is_stopped_and_can_be_gone_on_with() {
    let world = gated();
    let events = world.path("events.jsonl").display().to_string();
    // Enough for it to begin, also on a busy machine; it cannot end before the gate is open.
    let line = ["Deploy a web app to staging", "--yes", "--timeout", "10s", "--json-into", &events];
    let run = world.fails(&line, 9, "the time is over: stopping");
    assert!(run.out.contains("resume -e staging"), "it says how to go on: {run}");
    let events = fs::read_to_string(events).unwrap();
    let last: Value = serde_json::from_str(events.lines().last().expect("lines")).unwrap();
    assert_eq!((&last["type"], &last["data"]["exit"]), (&"finished".into(), &9.into()), "{run}");
    assert_eq!(last["data"]["outcome"], "cancelled", "{run}");
    open_gate(&world);
    world.ok(&["resume", "--timeout", "10m"]);
    until("it runs", || world.processes().len() == 1);
}

#[test]
fn what_waits_for_an_answer_ends_with_its_time() {
    let world = World::new();
    let ended = ended(&mut Terminal::open(&world, &[SENTENCE, "--timeout", "2s"]));
    assert!(ended.code == 9 && ended.out.contains("error[front::timeout]"), "{ended}");
    assert!(world.resources().is_empty());
}
