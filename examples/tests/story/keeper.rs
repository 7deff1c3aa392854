//! A keeper that is missing, that nobody can reach, or whose state directory is gone: what runs goes on, and
//! the next command takes it over, or names it.

use std::fs;
use std::path::Path;

use crate::two_holders::{ends, gated, open_gate, under_way};
use crate::world::{World, binary, command_line, http, kill, stat, try_http, until};

const SENTENCE: &str = "Deploy a web app to staging";

fn deployed() -> World {
    let world = World::new();
    world.ok(&[SENTENCE, "--yes", "-q"]);
    world
}

/// The app's processes that somebody keeps, whoever that is.
fn apps(world: &World) -> Vec<i32> {
    let own = world.own_processes().into_iter();
    own.filter(|pid| stat(*pid).is_some_and(|(_, session)| session == *pid)).collect()
}

/// Deletes the state directory, also where somebody is just writing into it.
fn delete_state(world: &World) {
    until("the state directory is gone", || {
        let _ = fs::remove_dir_all(world.state());
        !world.state().exists()
    });
}

#[test]
fn a_keeper_without_its_socket_opens_another() {
    let world = deployed();
    let (keepers, processes, socket) =
        (world.keepers(), world.processes(), world.state().join("keeper/socket"));
    fs::remove_file(&socket).unwrap();
    until("there is another socket", || socket.exists());
    world.ok(&["scale the web app to 2 in staging", "--yes", "-q"]);
    assert_eq!(world.keepers(), keepers, "the same keeper");
    assert!(processes.iter().all(|pid| world.processes().contains(pid)));
    world.ok(&["status"]);
}

#[test]
fn a_keeper_that_was_killed_is_followed_by_one_that_adopts_and_says_so() {
    let world = deployed();
    let processes = world.processes();
    world.keepers().into_iter().for_each(kill);
    until("the keeper is gone", || world.keepers().is_empty());
    world.fails(&["status"], 10, "no keeper watches it");
    let again = world.ok(&[SENTENCE, "--yes"]);
    assert!(again.out.contains("no keeper watches it"), "{again}");
    assert_eq!(world.processes(), processes, "adopted, not doubled");
    assert_eq!(world.keepers().len(), 1);
    assert!(world.ok(&["history"]).out.contains("adopted from an earlier keeper"));
    world.ok(&["status"]);
}

#[test]
fn a_program_that_was_replaced_goes_on_with_what_the_old_one_kept() {
    let world = World::new();
    let program = world.path("deploy");
    let install = || {
        // Beside it, and over it: as installers do.
        fs::copy(binary(), world.path("next")).unwrap();
        fs::rename(world.path("next"), &program).unwrap();
    };
    install();
    world.ok_of(&program, &[SENTENCE, "--yes", "-q"]);
    let (url, processes) = (world.url(), world.processes());
    install();
    world.ok_of(&program, &["scale the web app to 2 in staging", "--yes", "-q"]);
    world.keepers().into_iter().for_each(kill);
    until("the keeper is gone", || world.keepers().is_empty());
    world.ok_of(&program, &["start", "--yes", "-q"]);
    let now = world.processes();
    assert!(now.len() == 2 && processes.iter().all(|pid| now.contains(pid)), "{processes:?} {now:?}");
    assert_eq!(http(&url, "GET", "/", "").0, 200);
    world.ok(&["status"]);
}

#[test]
fn a_state_directory_with_a_longer_path_than_a_socket_may_have() {
    let world = World::new();
    let state = world.path(&"a-long-name/".repeat(12));
    let at = |line: &[&str]| world.ok(&[line, &["--state", state.to_str().unwrap()]].concat());
    at(&[SENTENCE, "--yes", "-q"]);
    at(&["scale the web app to 2 in staging", "--yes", "-q"]);
    let status = at(&["status"]);
    assert!(status.out.contains("2 of 2 healthy"), "{status}");
    at(&["destroy", "--yes", "-q"]);
    until("nothing is left", || world.own_processes().is_empty());
}

#[test]
fn what_runs_on_without_its_state_directory_is_named() {
    let world = deployed();
    let url = world.url();
    let before = apps(&world);
    let old_keeper = world.keepers()[0];
    delete_state(&world);

    // Status names it all, and so does who wants the port.
    let named = world.fails(&["status"], 10, "error[keeper::forsaken]");
    for pid in before.iter().chain([&old_keeper]) {
        assert!(named.err.contains(&pid.to_string()), "{pid}: {named}");
    }
    assert!(named.err.contains("`kill "), "{named}");
    assert_eq!(http(&url, "GET", "/", "").0, 200, "what runs is left alone");
    let taken = world.run(&[SENTENCE, "--yes"]);
    assert!(taken.code != 0 && taken.err.contains(&old_keeper.to_string()), "{taken}");

    // A new one beside it, whose keeper's table stays its own whatever the old keeper does.
    world.settings("");
    world.ok(&[SENTENCE, "--yes", "-q"]);
    let (table, ours) = (world.table(), world.processes());
    before.iter().copied().for_each(kill);
    until("the old keeper has started another", || {
        let child = |pid: &i32| stat(*pid).is_some_and(|(parent, _)| parent == old_keeper);
        apps(&world).iter().any(|pid| child(pid) && !before.contains(pid))
    });
    assert_eq!(world.table(), table);
    assert_eq!(world.processes(), ours);
    let named = world.fails(&["status"], 10, "error[keeper::forsaken]");
    assert!(named.out.contains("1 of 1 healthy"), "{named}");
    let ends = named.err.split("`kill ").nth(1).and_then(|rest| rest.split('`').next()).expect("a command");
    for pid in ends.split(' ') {
        let pid: i32 = pid.parse().expect("a number");
        assert!(!ours.contains(&pid.to_string()), "{named}");
        kill(pid);
    }
    until("only the new one is left", || world.run(&["status"]).code == 0);
    assert!(try_http(&url, "GET", "/", "").is_err());
}

#[test]
fn a_state_directory_that_is_deleted_in_mid_run_ends_the_run_with_its_own_error() {
    let world = gated();
    let mut run = under_way(&world, "staging");
    delete_state(&world);
    open_gate(&world);
    let ended = ends(&mut run);
    assert!(ended.code != 0, "{ended}");
    assert!(ended.err.contains("error[store::fenced]"), "{ended}");
    let named = world.run(&["status"]);
    for pid in world.keepers() {
        assert!(named.err.contains(&pid.to_string()), "{} is not in {named}", command_line(pid));
    }
    world.keepers().into_iter().for_each(kill);
    apps(&world).into_iter().for_each(kill);
    until("nothing is left", || world.own_processes().is_empty());
    assert!(!Path::new(&world.state()).join("keeper/socket").exists());
    world.ok(&[SENTENCE, "--yes", "-q"]);
    world.ok(&["verify"]);
}
