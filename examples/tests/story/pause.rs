//! What follows a failure that is paused at, and a run that was killed: decisions, and the same command again.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::terminal::Terminal;
use crate::world::{Ended, Running, World, http, until};

const SENTENCE: &str = "Deploy a web app to staging";
pub(crate) const UPDATE: &str = "update the web app in staging";

/// A web app that answers with its version. Before it serves it looks for a file outside of the project, whose
/// making changes no release: without it, it does `else_do`.
fn app(world: &World, version: &str, else_do: &str) {
    let waits = format!("while not os.path.exists('{}'):\n    {else_do}\n", world.path("gate").display());
    world.python_app(&waits, &format!("'{version}'"));
}

/// The first version serves, and the second fails to for want of its file.
pub(crate) fn second_version_fails(settings: &str) -> (World, String) {
    let world = World::new();
    world.settings(&format!("[components.web.health]\ntimeout_seconds = 5\n{settings}"));
    open(&world);
    app(&world, "one", "sys.exit(3)");
    world.ok(&[SENTENCE, "--yes", "-q"]);
    let url = world.url();
    fs::remove_file(world.path("gate")).unwrap();
    app(&world, "two", "sys.exit(3)");
    (world, url)
}

pub(crate) fn open(world: &World) {
    fs::write(world.path("gate"), "").unwrap();
}

fn serves(url: &str) -> String {
    http(url, "GET", "/", "").1
}

#[test]
fn a_paused_run_is_tried_again_when_what_failed_is_mended() {
    let (world, url) = second_version_fails("");
    let paused = world.fails(&[UPDATE, "--yes", "--on-failure", "pause"], 13, "waits for a decision");
    for way in ["--retry", "--skip", "--edit", "--roll-back", "--abort"].map(|way| format!("resume {way}")) {
        assert!(paused.out.contains(&way), "{way}: {paused}");
    }
    assert_eq!(serves(&url), "one", "the former version goes on");
    world.fails(&["resume"], 4, "error[run::paused]");
    world.fails(&[UPDATE, "--yes"], 4, "error[run::unfinished]");
    world.fails(&["resume", "--retry", "--abort"], 2, "--retry");
    world.fails(&["resume", "--skip", "web/nonsense"], 2, "error[front::no-step]");
    world.fails(&["resume", "--skip", "web/endpoint"], 2, "error[run::not-failed]");

    open(&world);
    let done = world.ok(&["resume", "--retry"]);
    assert!(done.out.contains("Updated:"), "{done}");
    assert_eq!(serves(&url), "two");
    let history = world.ok(&["history", "--full"]);
    assert!(history.out.contains("to try again what failed"), "{history}");
}

#[test]
fn a_paused_run_is_taken_back_or_ended_as_it_is() {
    let (world, url) = second_version_fails("\n[environments.staging]\non_failure = \"pause\"\n");
    world.fails(&[UPDATE, "--yes"], 13, "waits for a decision");
    world.fails(&["resume", "--roll-back"], 5, "everything was taken back");
    assert_eq!(serves(&url), "one");
    assert_eq!(world.processes().len(), 1);

    world.fails(&[UPDATE, "--yes"], 13, "waits for a decision");
    world.fails(&["resume", "--abort"], 6, "not taken back");
    assert_eq!(serves(&url), "one");
    // Another spec from here on has a plan and an approval of its own.
    app(&world, "three", "pass");
    open(&world);
    world.ok(&[UPDATE, "--yes"]);
    assert_eq!(serves(&url), "three");
    assert_eq!(world.processes().len(), 1);
}

#[test]
fn a_step_is_left_out_and_the_rest_goes_on() {
    let world = World::new();
    open(&world);
    app(&world, "one", "pass");
    fs::create_dir(world.project().join("web")).unwrap();
    fs::rename(world.project().join("app.py"), world.project().join("web/app.py")).unwrap();
    world.write("api/app.py", "import sys\nsys.exit(3)\n");
    let part = |name: &str| {
        format!(
            "[components.{name}]\nkind = \"{name}\"\nsource = \"{name}\"\nstart = [\"python3\", \"app.py\"]\n\
             health = {{ timeout_seconds = 5 }}\n"
        )
    };
    fs::remove_file(world.project().join("Procfile")).unwrap();
    world.write("code.toml", &(part("web") + &part("api")));
    let sentence = "Deploy a web app and an API to staging";
    let paused = world.fails(&[sentence, "--yes", "--on-failure", "pause", "--json"], 13, "run_paused");
    let failed = of_type(&paused, "step_failed");
    assert_eq!(failed.len(), 1, "{paused}");
    let step = failed[0]["data"]["address"].as_str().unwrap().to_owned();
    assert!(step.starts_with("api/"), "{step}");
    assert_eq!(of_type(&paused, "finished")[0]["data"]["outcome"], "paused");

    let done = world.fails(&["resume", "--skip", &step], 14, "left out");
    assert!(!done.out.contains("Updated:"), "{done}");
    assert_eq!(serves(&world.url()), "one");
}

/// A second version that starts only where it is told to by a variable, which its spec does not say yet; gives
/// that spec as it may be edited.
fn paused_for_want_of_a_variable(world: &World) -> Value {
    fs::remove_file(world.path("gate")).unwrap();
    app(world, "two", "os.environ.get('OK') or sys.exit(3); break");
    let paused = world.fails(&[UPDATE, "--yes", "--on-failure", "pause", "--json"], 13, "run_paused");
    let mut spec = of_type(&paused, "spec")[0]["data"]["spec"].clone();
    for component in spec["components"].as_array_mut().unwrap() {
        component.as_object_mut().unwrap().remove("release");
    }
    spec
}

/// A first version that serves, and what may be asked of it.
fn first_version() -> (World, String) {
    let world = World::new();
    world.settings("[components.web.health]\ntimeout_seconds = 5\n");
    open(&world);
    app(&world, "one", "sys.exit(3)");
    world.ok(&[SENTENCE, "--yes", "-q"]);
    let url = world.url();
    (world, url)
}

#[test]
fn an_edited_spec_goes_on_in_the_place_of_the_paused_run() {
    let (world, url) = first_version();
    let mut spec = paused_for_want_of_a_variable(&world);
    spec["components"][0]["env"] = json!({"OK": "1"});
    let file = world.path("edited.yaml");
    let edited = ["resume", "--edit", file.to_str().unwrap()];

    // What is no spec, is of another deployment or is not agreed to leaves the run paused.
    fs::write(&file, "components: [").unwrap();
    world.fails(&edited, 2, "error[spec::syntax]");
    let mut other = spec.clone();
    other["environment"] = json!("elsewhere");
    fs::write(&file, other.to_string()).unwrap();
    world.fails(&edited, 2, "error[engine::other-deployment]");
    fs::write(&file, spec.to_string()).unwrap();
    let saved = world.fails(&edited, 4, "to before run 2");
    assert!(saved.out.contains("keep release"), "what was done is kept: {saved}");
    world.fails(&["resume"], 4, "error[run::paused]");
    world.fails(&["resume", "--edit"], 4, "error[front::no-editor]");
    assert_eq!(serves(&url), "one");

    let done = world.ok(&[&edited[..], &["--yes"]].concat());
    assert!(done.out.contains("Updated:"), "{done}");
    assert_eq!((serves(&url), world.processes().len()), ("two".to_owned(), 1));
    let history = world.ok(&["history", "--full"]);
    for text in ["run 2 failed, and was gone on from with an edited spec", "in the place of run 2"] {
        assert!(history.out.contains(text), "{text}: {history}");
    }
    world.ok(&["verify"]);
    // The plan that was saved before is of a run that is over.
    let plans = world.state().join("plans");
    let plan = fs::read_dir(plans).unwrap().next().unwrap().unwrap().path();
    world.fails(&["apply", plan.to_str().unwrap()], 2, "error[run::not-paused]");
    assert_eq!(serves(&url), "two");
    open(&world);
    world.ok(&["rollback", "--yes", "-q"]);
    assert_eq!(serves(&url), "one");
}

#[test]
fn an_edit_that_fails_too_is_taken_back_to_before_the_paused_run() {
    let (world, url) = first_version();
    let (before, releases) = (world.resources(), releases(&world));
    let mut spec = paused_for_want_of_a_variable(&world);
    spec["components"][0]["env"] = json!({"WRONG": "1"});
    let file = world.write("../edited.yaml", &spec.to_string());
    let edit = ["resume", "--edit", file.to_str().unwrap(), "--yes", "--on-failure"];
    // Once more paused, edited again, and at last taken back: to before all of it.
    world.fails(&[&edit[..], &["pause"]].concat(), 13, "waits for a decision");
    spec["components"][0]["env"] = json!({"WRONG": "2"});
    fs::write(&file, spec.to_string()).unwrap();
    world.fails(&[&edit[..], &["roll-back"]].concat(), 5, "everything was taken back");
    assert_eq!(serves(&url), "one");
    assert_eq!(world.resources(), before, "everything is as before the first of the runs");
    assert_eq!(world.strangers(), Vec::<String>::new(), "nothing else runs");
    let left: Vec<_> = self::releases(&world).into_iter().filter(|one| !releases.contains(one)).collect();
    println!("figure: edited twice and taken back: {} resources as before, {left:?} left", before.len());
    world.ok(&["verify"]);
}

/// The releases that are kept.
fn releases(world: &World) -> Vec<String> {
    let names = fs::read_dir(world.state().join("releases")).into_iter().flatten().flatten();
    names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_person_at_the_terminal_edits_and_goes_on() {
    let (world, url) = first_version();
    fs::remove_file(world.path("gate")).unwrap();
    app(&world, "two", "os.environ.get('OK') or sys.exit(3); break");
    // The first time it makes a mistake, the second time it mends it.
    let script = r#"#!/bin/sh
        case "$(cat "$2")" in
            *broken*) sed -i -E -e '/^broken/d' -e 's/^( *)- name: web$/&\n\1  env: {OK: "1"}/' "$2" ;;
            *) echo 'broken: [' >> "$2" ;;
        esac
        "#;
    let editor = world.path("editor");
    fs::write(&editor, script).unwrap();
    fs::set_permissions(&editor, PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = world.command(&[UPDATE, "--on-failure", "pause"]);
    command.env("VISUAL", format!("{} --wait", editor.display()));
    let mut terminal = Terminal::of(command, 0);
    terminal.wait_for("[y/N]");
    terminal.types("y\n");
    terminal.wait_for("leave it paused?");
    terminal.types("edit\n");
    terminal.wait_for("error[spec::");
    terminal.types("edit\n");
    terminal.wait_for("to before run 2");
    until("it is asked about the new plan", || terminal.shown().matches("[y/N]").count() == 2);
    terminal.types("y\n");
    assert_eq!(terminal.ends().code(), Some(0), "{}", terminal.shown());
    assert_eq!(serves(&url), "two");
    assert_eq!(fs::read_dir(world.state().join("edit")).unwrap().count(), 0, "the draft is gone");
}

fn of_type(ended: &Ended, kind: &str) -> Vec<Value> {
    ended.lines().into_iter().filter(|line| line["type"] == kind).collect()
}

#[test]
fn a_person_at_the_terminal_is_asked_what_to_do() {
    let (world, url) = second_version_fails("");
    let mut terminal = Terminal::open(&world, &[UPDATE, "--yes", "--on-failure", "pause"]);
    terminal.wait_for("leave it paused?");
    terminal.types("what?\n");
    terminal.wait_for("failed: web/");
    open(&world);
    terminal.types("retry\n");
    assert_eq!(terminal.ends().code(), Some(0), "{}", terminal.shown());
    assert_eq!(serves(&url), "two");
}

/// A deployment that is killed while its app does not answer yet.
fn killed() -> World {
    let world = World::new();
    world.settings("[components.web.health]\ntimeout_seconds = 60\n");
    app(&world, "one", "time.sleep(0.05)");
    let mut run = Running(world.command(&[SENTENCE, "--yes"]).spawn().expect("the binary runs"));
    until("the app has been started", || begun(&world));
    kill_process(Pid::from_child(&run.0), Signal::KILL).expect("it runs");
    run.0.wait().expect("a child");
    world
}

/// Whether the process of the app is there: its own command says whose it is.
fn begun(world: &World) -> bool {
    let state = world.state();
    let ours = state.as_os_str().as_encoded_bytes();
    fs::read_dir("/proc").into_iter().flatten().flatten().any(|entry| {
        let of = |file: &str| fs::read(entry.path().join(file)).unwrap_or_default();
        of("cmdline").windows(6).any(|part| part == b"app.py")
            && of("environ").windows(ours.len()).any(|part| part == ours)
    })
}

#[test]
fn the_same_command_goes_on_after_a_kill() {
    let world = killed();
    let other = world.fails(&["scale the web app to 3 in staging", "--yes"], 4, "error[run::unfinished]");
    for part in [SENTENCE, "holder", "resume --roll-back"] {
        assert!(other.err.contains(part), "{part}: {other}");
    }
    open(&world);
    let done = world.ok(&[SENTENCE, "--yes"]);
    assert!(done.out.contains("going on with run 1 of shop/staging"), "{done}");
    assert_eq!((serves(&world.url()), world.processes().len()), ("one".to_owned(), 1));
    let again = world.ok(&[SENTENCE, "--yes"]);
    assert!(again.out.contains("nothing to do") || again.out.contains("unchanged"), "{again}");
}

#[test]
fn a_killed_run_is_taken_back() {
    let world = killed();
    world.fails(&["resume", "--retry"], 2, "error[run::not-paused]");
    world.fails(&["resume", "--roll-back"], 5, "everything was taken back");
    assert!(world.resources().is_empty());
    until("nothing of it runs", || !begun(&world));
}

/// Kills a command at a point of its run, and gives the same command again, which goes on with that run.
fn killed_and_given_again(world: &World, args: &[&str]) {
    let file = world.path("killed");
    let mut command = world.command(args);
    command.env("CODE_KILL_AT", format!("append.step_started.after:1:{}", file.display()));
    let killed = Ended::of(args, command.output().expect("the binary runs"));
    assert!(file.exists(), "{killed}");
    fs::remove_file(&file).unwrap();
    let again = world.ok(args);
    assert!(again.out.contains("going on with run"), "{again}");
    assert!(!again.err.contains("something has changed"), "{again}");
}

#[test]
fn each_command_goes_on_with_its_own_killed_run() {
    if !cfg!(feature = "kill-points") {
        println!("skipped: commands killed and given again: the binary has no points to be killed at");
        return;
    }
    let (world, url) = first_version();
    let commands: [&[&str]; 6] = [
        &["restart"],
        &["restart", "web"],
        &["scale the web app to 2 in staging"],
        &["stop", "web"],
        &["start", "web"],
        &["destroy"],
    ];
    for command in commands {
        killed_and_given_again(&world, &[command, &["--yes"]].concat());
        if command[0] != "stop" && command[0] != "destroy" {
            assert_eq!(serves(&url), "one", "{command:?}");
        }
    }
    assert!(world.resources().is_empty());
    assert_eq!(world.strangers(), Vec::<String>::new());
    println!("figure: commands killed and given again: {} went on with their run", commands.len());
}
