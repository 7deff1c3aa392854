//! JSON lines, exit codes, bad input, and everything that goes to scripts.

use std::io::Write;
use std::process::Stdio;

use front::json::Line;

use crate::world::{Ended, World};

const SENTENCE: &str = "Deploy a web app with a SQLite database to staging";

#[test]
fn a_run_is_a_stream_of_lines_that_begins_with_its_version() {
    let world = World::new();
    let run = world.ok(&[SENTENCE, "--yes", "--json"]);
    assert_eq!(run.err, "", "{run}");
    let lines: Vec<Line> =
        run.out.lines().map(|line| serde_json::from_str(line).expect("an envelope")).collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line.kind.as_str()).collect();
    assert_eq!(kinds.first(), Some(&"version"));
    assert_eq!(kinds.last(), Some(&"finished"));
    let mut rest = kinds.iter();
    for kind in
        ["understood", "spec", "judged", "planned", "run_started", "step_started", "step_done", "run_ended"]
    {
        assert!(rest.any(|is| *is == kind), "{kind} is missing or not in its place: {kinds:?}");
    }
    assert!(lines.iter().all(|line| !line.message.is_empty()));
    let end = lines.last().unwrap();
    assert!(
        end.data["endpoints"]["web/endpoint"]
            .as_str()
            .is_some_and(|url| url.starts_with("http://127.0.0.1:"))
    );

    // Nobody is asked: it ends at once and names the option.
    let asked = world.run(&["destroy", "--json"]);
    assert_eq!(asked.code, 4, "{asked}");
}

/// What is the same in every world and every run: without its directory, without ports, times and digests, and with
/// the steps that go on at once in any order.
fn timeless(world: &World, shown: &str) -> Vec<String> {
    let shown = shown.replace(&world.path("").display().to_string(), "");
    let varies = |c: char| c.is_ascii_digit();
    let word = |word: &str| if word.contains(varies) { "#".to_owned() } else { word.to_owned() };
    // How a line is broken depends on the length of the directory's name.
    let mut lines: Vec<String> = shown
        .lines()
        .filter(|line| !line.contains("longest:"))
        .map(|line| line.split_whitespace().map(word).collect::<Vec<_>>().join(" "))
        .collect();
    lines.sort();
    lines
}

#[test]
fn json_beside_the_output_changes_nothing_of_it_and_is_what_json_alone_is() {
    // What JSON says: each line's type and sentence, the steps that go on at once in any order.
    let said = |world: &World, text: &str| {
        let lines = text.lines().map(|line| serde_json::from_str::<Line>(line).expect("an envelope"));
        let lines: Vec<String> = lines.map(|line| format!("{} {}\n", line.kind, line.message)).collect();
        timeless(world, &lines.concat())
    };
    let (without, beside, alone) = (World::new(), World::new(), World::new());
    let path = beside.path("run.jsonl");
    let into = path.to_str().unwrap();
    for args in [&["plan", SENTENCE][..], &[SENTENCE, "--yes"], &["status"], &["stop", "--yes"], &["runs"]] {
        let mut command = without.command(args);
        let plain = Ended::of(args, command.env_remove("DEPLOY_JSON_INTO").output().expect("an end"));
        let both = beside.ok(&[args, &["--json-into", into]].concat());
        assert_eq!(timeless(&without, &plain.out), timeless(&beside, &both.out), "{plain}{both}");
        assert_eq!(timeless(&without, &plain.err), timeless(&beside, &both.err), "{plain}{both}");
        let json = alone.ok(&[args, &["--json"]].concat());
        let file = std::fs::read_to_string(&path).unwrap();
        assert!(!file.is_empty());
        assert_eq!(said(&beside, &file), said(&alone, &json.out), "{args:?}");
    }
}

#[test]
fn no_escape_sequence_goes_into_a_pipe() {
    let world = World::new();
    let run = world.ok(&[SENTENCE, "--yes"]);
    assert!(!run.out.contains('\x1b') && !run.err.contains('\x1b'), "{run}");
    let colored = world.ok(&["status", "--color", "always"]);
    assert!(colored.out.contains('\x1b'), "{colored}");
}

#[test]
fn bad_input_is_told_and_changes_nothing() {
    let world = World::new();
    let spec = |text: &str| world.write("bad.yaml", text).display().to_string();
    let cases: Vec<(Vec<String>, i32)> = vec![
        (vec!["".into()], 2),
        (vec!["   ".into()], 2),
        (vec!["deploy\u{7} it now".into()], 2),
        (vec!["deploy \u{202e} it now".into()], 2),
        (vec!["deploy it ".repeat(5_000)], 2),
        (vec!["What is the weather like in Paris?".into()], 4),
        (vec!["Mets la base de données en production".into()], 4),
        (vec!["fix it".into()], 4),
        (vec!["statsu".into()], 2),
        (vec!["explain".into(), "no::such-code".into()], 2),
        (vec!["apply".into(), "/nonexistent".into()], 2),
        (vec!["logs".into(), "nothing".into()], 2),
        (vec!["destroy".into(), "--yes".into()], 2),
        (vec!["--spec".into(), "/nonexistent.yaml".into(), "--yes".into()], 2),
        (vec!["--spec".into(), spec("version: 7\ncomponents: []\n"), "--yes".into()], 2),
        (vec!["status".into(), "--project".into(), "/nonexistent".into()], 2),
    ];
    for (mut args, code) in cases {
        if args.len() == 1 && args[0] != "statsu" {
            args.push("--yes".into());
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ended = world.run(&args);
        let shown: String = args.join(" ").chars().take(60).collect();
        assert_eq!(ended.code, code, "{shown:?}: {}{}", ended.out, ended.err);
        assert!(ended.err.contains("error"), "{shown:?}: {}", ended.err);
        assert!(ended.err.contains("hint:"), "{shown:?} has no hint: {}", ended.err);
        assert!(!ended.err.contains("panic"), "{}", ended.err);
    }
    assert!(world.json(&["status"])["data"].as_array().unwrap().is_empty());
}

#[test]
fn hostile_names_are_refused() {
    let world = World::new();
    for name in ["../../x", "-rf", "$(x)", &"x".repeat(5_000)] {
        let ended = world.run(&[SENTENCE, "--yes", &format!("--application={name}")]);
        assert_eq!(ended.code, 2, "{name:.20}: {}", ended.err);
        assert!(ended.err.contains("hint:"), "{}", ended.err);
    }
    assert!(world.json(&["status"])["data"].as_array().unwrap().is_empty());
}

#[test]
fn ten_megabytes_on_standard_input_are_too_much() {
    let world = World::new();
    let mut child = world.command(&["-", "--yes"]).stdin(Stdio::piped()).spawn().expect("the binary runs");
    let mut input = child.stdin.take().expect("standard input");
    // It stops reading before the end: that is what is tested.
    let _ = input.write_all(&b"deploy a web app ".repeat(600_000));
    drop(input);
    let output = child.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("request::too-long"));
}

#[test]
fn a_full_disk_is_told() {
    let world = World::new();
    for args in [&["status"][..], &["status", "--json"], &["explain"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux");
        let output = world.command(args).stdout(full).output().expect("an end");
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("front::output"), "{said}");
    }
}

#[test]
fn a_mistake_on_the_command_line_is_a_line_for_programs() {
    let world = World::new();
    for args in [&["status", "--nonsense", "--json"][..], &["statsu", "--json"], &["--json"]] {
        let ended = world.fails(args, 2, "front::usage");
        assert_eq!(ended.lines()[1]["data"]["exit"], 2, "{ended}");
        crate::schema::check(&ended.out);
    }
}

#[test]
fn an_empty_variable_says_nothing_and_each_option_has_one() {
    let world = World::new();
    let with = |variables: &[(&str, &str)]| {
        let mut command = world.command(&["status"]);
        let output = command.envs(variables.iter().copied()).output().expect("an end");
        crate::world::Ended::of(&["status"], output)
    };
    let all =
        ["SPEC", "STATE", "PROJECT", "ACCEPT", "JSON", "COLOR", "PROGRESS", "ON_FAILURE", "VERBOSE", "OUT"];
    let empty: Vec<String> = all.iter().map(|name| format!("DEPLOY_{name}")).collect();
    let empty: Vec<(&str, &str)> = empty.iter().map(|name| (name.as_str(), "")).collect();
    let ended = with(&empty);
    assert_eq!((ended.code, ended.out.as_str()), (0, "nothing is deployed here\n"), "{ended}");
    assert_eq!(with(&[("DEPLOY_VERBOSE", "2")]).code, 0);
    assert_eq!(with(&[("DEPLOY_COLOR", "loud")]).code, 2);
}

#[test]
fn help_and_the_manual_name_every_command() {
    let world = World::new();
    let (help, man) = (world.ok(&["help"]).out, world.ok(&["man"]).out);
    assert!(man.contains(".TH deploy 1") && man.contains("Write the same JSON to a file"), "{man}");
    for command in world.json(&["commands"])["data"].as_array().unwrap() {
        let name = command["name"].as_str().unwrap();
        assert!(help.contains(&format!("  {name}")), "{help}");
        assert!(man.contains(&format!("deploy\\-{name}")), "`{name}` is not in {man}");
    }
    assert!(world.ok(&["help", "resume"]).out.contains("--roll-back"));
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let world = World::new();
    let mut child = world.command(&["explain"]).spawn().expect("the binary runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("an end");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panic"));
}

#[test]
fn what_is_for_reading_only_is_labelled_and_writes_nothing() {
    let world = World::new();
    world.ok(&[SENTENCE, "--yes", "-q"]);
    let commands = world.json(&["commands"]);
    let before = world.snapshot();
    for command in commands["data"].as_array().unwrap() {
        let name = command["name"].as_str().unwrap();
        if command["label"] != "read-only" {
            continue;
        }
        let mut args = vec![name];
        if name == "plan" {
            args.push(SENTENCE);
        }
        if name == "completions" {
            args.push("bash");
        }
        let ended = world.run(&args);
        assert!(ended.code == 0, "{ended}");
        assert_eq!(world.snapshot(), before, "{name}");
    }
}

#[test]
fn init_writes_a_spec_that_deploys_and_never_overwrites() {
    let world = World::new();
    let init = world.ok(&["init"]);
    let path = world.project().join("deploy.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("$schema"), "{text}");
    // The next command, as it stands there; then its plan, read and applied; nothing of it needs a network.
    let next = init.out.lines().find_map(|line| line.strip_prefix("next")).expect("a next command").trim();
    let mut shell = world.command_of("/bin/sh".as_ref(), &["-c", &format!("{next} --dry-run")]);
    let shown = Ended::of(&[next], shell.output().expect("a shell"));
    assert!(shown.code == 0 && shown.out.contains("4 to create"), "{shown}");
    let (spec, plan) = (path.to_str().unwrap(), world.path("first.plan").display().to_string());
    world.ok(&["plan", "--spec", spec, "--out", &plan]);
    assert!(world.resources().is_empty(), "a plan changes nothing");
    assert!(world.ok(&["apply", &plan]).out.contains("Deployed: shop/staging"));
    assert_eq!(world.processes().len(), 1);
    assert_eq!(world.ok(&["plan", "--spec", spec, "--detailed-exitcode"]).code, 0);
    world.fails(&["init"], 2, "front::init-exists");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}
