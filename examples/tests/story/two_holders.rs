//! Who may change a deployment: one at a time. A second change is told who holds it, and nobody is overtaken,
//! not even a holder that was stopped; one that is gone holds nothing, and its run is gone on with.
//!
//! ```text
//! holder   deploy ── its app does not answer before the gate is there ──────▶ gate ──▶ done
//! others      │ another sentence, the same one, resume, a rollback: exit 7, by process and user
//!             └ SIGSTOP: the same, and that it is stopped; SIGCONT: done; SIGKILL: the next one goes on
//! ```

use std::fs;
use std::io::Read;

use rustix::process::{Pid, Signal, kill_process};

use crate::world::{Ended, Running, World, http, kill, until};

const SENTENCE: &str = "Deploy a web app to staging";
const SCALE: &str = "scale the web app to 2 in staging";

/// A project whose app serves `one` as soon as there is a gate.
pub(crate) fn gated() -> World {
    let world = World::new();
    world.settings("[components.web.health]\ntimeout_seconds = 60\n");
    let gate = world.path("gate");
    let waits = format!("while not os.path.exists('{}'):\n    time.sleep(0.05)\n", gate.display());
    world.python_app(&waits, "'one'");
    world
}

pub(crate) fn open_gate(world: &World) {
    fs::write(world.path("gate"), "").unwrap();
}

/// The deployment of an environment is under way, and cannot end before the gate is there.
pub(crate) fn under_way(world: &World, environment: &str) -> Running {
    let sentence = format!("Deploy a web app to {environment}");
    let run = Running(world.command(&[&sentence, "--yes"]).spawn().expect("the binary runs"));
    let deployment = format!("shop/{environment}");
    until("its app has been started", || {
        let table = world.table();
        let places = table["processes"].as_array().into_iter().flatten().map(|kept| &kept["job"]["place"]);
        places.into_iter().any(|place| place["deployment"] == deployment.as_str())
    });
    run
}

/// What became of it.
pub(crate) fn ends(run: &mut Running) -> Ended {
    let code = run.0.wait().expect("an end").code().unwrap_or(-1);
    let (mut out, mut err) = (String::new(), String::new());
    run.0.stdout.take().expect("a pipe").read_to_string(&mut out).unwrap();
    run.0.stderr.take().expect("a pipe").read_to_string(&mut err).unwrap();
    Ended { line: "under way".into(), code, out, err }
}

fn signal(run: &Running, signal: Signal) {
    kill_process(Pid::from_child(&run.0), signal).expect("it runs");
}

/// As the front names them.
fn user() -> String {
    let id = std::process::Command::new("id").arg("-un").output().expect("id runs");
    String::from_utf8(id.stdout).unwrap().trim().to_owned()
}

fn journal(world: &World) -> Vec<u8> {
    fs::read(world.state().join("journal/shop@staging.log")).expect("a journal")
}

/// Every other change is refused, naming who holds the deployment, and nothing is written.
fn others_are_refused(world: &World, run: &Running, says: &[&str]) {
    let before = journal(world);
    let pid = run.0.id().to_string();
    let lines: [&[&str]; 5] = [
        &[SCALE, "--yes"],
        &[SENTENCE, "--yes"],
        &["resume"],
        &["resume", "--roll-back"],
        &["destroy", "--yes"],
    ];
    for line in lines {
        let refused = world.fails(line, 7, "error[store::locked]");
        for part in [&pid[..], &user(), "hint:"].iter().chain(says) {
            assert!(refused.err.contains(part), "`{part}` is not in {refused}");
        }
    }
    assert!(journal(world) == before, "the journal was written by somebody else");
}

#[test]
fn a_second_change_is_refused_and_told_who_is_at_it() {
    let world = gated();
    let mut run = under_way(&world, "staging");
    others_are_refused(&world, &run, &["wait until it ends"]);
    open_gate(&world);
    let done = ends(&mut run);
    assert!(done.code == 0 && done.out.contains("Deployed:"), "{done}");
    assert_eq!(http(&world.url(), "GET", "/", "").1, "one");
    world.ok(&[SCALE, "--yes", "-q"]);
    assert_eq!(world.processes().len(), 2);
    world.ok(&["verify"]);
}

#[test]
fn different_deployments_run_side_by_side() {
    let world = gated();
    // A port that both would want is another story.
    world.write("code.toml", "[components.web.health]\ntimeout_seconds = 60\n");
    let mut first = under_way(&world, "staging");
    let mut second = under_way(&world, "test");
    assert!(first.0.try_wait().unwrap().is_none(), "both are under way");
    open_gate(&world);
    for run in [&mut first, &mut second] {
        let done = ends(run);
        assert!(done.code == 0 && done.out.contains("Deployed:"), "{done}");
    }
    for environment in ["staging", "test"] {
        let status = world.ok(&["status", "-e", environment]);
        assert!(status.out.contains("1 of 1 healthy"), "{status}");
    }
    assert_eq!(world.keepers().len(), 1, "one keeper keeps both");
    assert_eq!(world.strangers(), Vec::<String>::new());
    world.ok(&["verify"]);
}

/// A run whose engine is stopped; the system says so.
fn stopped(world: &World) -> Running {
    let run = under_way(world, "staging");
    signal(&run, Signal::STOP);
    let pid = run.0.id();
    until("it is stopped", || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    });
    others_are_refused(world, &run, &["stopped", &format!("kill -CONT {pid}"), &format!("kill -KILL {pid}")]);
    run
}

#[test]
fn a_stopped_holder_is_named_and_goes_on_when_it_may() {
    let world = gated();
    let mut run = stopped(&world);
    // What it waits for comes meanwhile, and still nobody overtakes it.
    open_gate(&world);
    others_are_refused(&world, &run, &["stopped"]);
    signal(&run, Signal::CONT);
    let done = ends(&mut run);
    assert!(done.code == 0 && done.out.contains("Deployed:"), "{done}");
    assert_eq!((http(&world.url(), "GET", "/", "").1, world.processes().len()), ("one".to_owned(), 1));
    world.ok(&["verify"]);
}

#[test]
fn a_stopped_holder_that_is_killed_is_gone_on_with() {
    let world = gated();
    let mut run = stopped(&world);
    signal(&run, Signal::KILL);
    run.0.wait().expect("a child");
    open_gate(&world);
    goes_on(&world, &[SENTENCE, "--yes"]);
}

/// This command goes on with the only run, to its end.
fn goes_on(world: &World, line: &[&str]) {
    let done = world.ok(line);
    assert!(done.out.contains("going on with run 1 of shop/staging"), "{done}");
    assert_eq!((http(&world.url(), "GET", "/", "").1, world.processes().len()), ("one".to_owned(), 1));
    assert_eq!(world.strangers(), Vec::<String>::new(), "nothing is orphaned");
    world.ok(&["status"]);
    world.ok(&["verify"]);
}

#[test]
fn a_reboot_in_the_middle_of_a_run() {
    for line in [&[SENTENCE, "--yes"][..], &["resume", "latest"]] {
        let world = gated();
        let mut run = under_way(&world, "staging");
        // Its parent has to take it away before the system lets go of its number.
        signal(&run, Signal::KILL);
        run.0.wait().expect("a child");
        world.reboot();
        assert!(world.own_processes().is_empty());
        open_gate(&world);
        goes_on(&world, line);
    }
}

#[test]
fn a_keeper_that_cannot_start_says_why_and_nothing_is_lost() {
    let world = gated();
    open_gate(&world);
    world.ok(&[SENTENCE, "--yes", "-q"]);
    let processes = world.processes();
    world.keepers().into_iter().for_each(kill);
    until("the keeper is gone", || world.keepers().is_empty());
    let socket = world.state().join("keeper/socket");
    fs::remove_file(&socket).unwrap();
    fs::create_dir(&socket).unwrap();

    let failed = world.fails(&[SCALE, "--yes"], 6, "error[keeper::launch]");
    let path = socket.display().to_string();
    for part in ["keeper.log", "failed to open the keeper's socket", &path, "Is a directory", "hint:"] {
        assert!(failed.err.contains(part), "`{part}` is not in {failed}");
    }
    world.fails(&["status"], 10, "no keeper");
    assert_eq!(world.processes(), processes, "what ran goes on");

    fs::remove_dir(&socket).unwrap();
    world.ok(&[SCALE, "--yes", "-q"]);
    assert_eq!(http(&world.url(), "GET", "/", "").1, "one");
    let now = world.processes();
    assert!(now.len() == 2 && processes.iter().all(|pid| now.contains(pid)), "{processes:?} {now:?}");
    world.ok(&["status"]);
    world.ok(&["verify"]);
}
