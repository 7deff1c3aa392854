//! Old releases go when somebody says so, and never what runs or what a kept revision needs.

use crate::changes::app;
use crate::world::{World, http};

/// How many releases lie in the state directory.
fn releases(world: &World) -> usize {
    let entries = std::fs::read_dir(world.state().join("releases")).expect("releases");
    entries.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().is_dir())).count()
}

#[test]
fn old_releases_go_and_what_a_rollback_needs_stays() {
    let world = World::new();
    assert!(world.ok(&["prune"]).out.contains("nothing to remove"));
    for (version, sentence) in [
        ("one", "Deploy a web app to staging"),
        ("two", "update the web app in staging"),
        ("three", "update the web app in staging"),
    ] {
        app(&world, version);
        world.ok(&[sentence, "--yes", "-q"]);
    }
    let url = world.url();
    assert_eq!(releases(&world), 3);
    assert!(world.ok(&["prune"]).out.contains("nothing to remove"), "the last ten revisions stay");

    let before = world.snapshot();
    let dry = world.ok(&["prune", "--keep", "2", "--dry-run"]);
    assert!(
        dry.out.contains("1 releases") && dry.out.lines().all(|line| line.starts_with("dry run: ")),
        "{dry}"
    );
    world.fails(&["prune", "--keep", "2"], 4, "front::no-terminal");
    assert_eq!(world.snapshot(), before);
    let pruned = world.ok(&["prune", "--keep", "2", "--yes"]);
    assert!(pruned.out.contains("removed 1 releases"), "{pruned}");
    assert_eq!(releases(&world), 2);
    let log = |name: &str| world.state().join("logs/shop@staging").join(name).exists();
    assert!(!log("web.r1.0.log") && log("web.r2.0.log") && log("web.r3.0.log"), "{pruned}");
    // What went on purpose is not missed: everything that is recorded still follows.
    world.ok(&["verify"]);

    // The one before is still there to go back to, though the project has changed.
    world.ok(&["rollback", "--yes", "-q"]);
    assert!(http(&url, "GET", "/", "").1.starts_with("two"));

    // What runs stays, whatever is said.
    let running = world.processes();
    world.ok(&["prune", "--keep", "0", "--yes"]);
    assert_eq!(releases(&world), 1, "the one that was gone back from is in no inventory any more");
    assert!(http(&url, "GET", "/", "").1.starts_with("two"));
    world.ok(&["status"]);
    assert_eq!(world.processes(), running);
    assert!(world.ok(&["logs", "web"]).out.contains("web."), "what runs can still be read");
    world.ok(&["restart", "--yes", "-q"]);
    assert!(http(&url, "GET", "/", "").1.starts_with("two"));

    // A revision whose release is gone and whose source has changed is refused, and what runs goes on.
    let gone = world.run(&["rollback", "--to", "1", "--yes"]);
    assert!(gone.code != 0 && gone.err.contains("hint:"), "{gone}");
    assert!(http(&url, "GET", "/", "").1.starts_with("two"));

    // Taken down, the deployment lets go of its release; the files go when somebody says so.
    let destroyed = world.ok(&["destroy", "--yes"]);
    assert!(destroyed.out.contains("its files stay for a rollback"), "{destroyed}");
    assert!(!destroyed.out.contains("gone already"), "{destroyed}");
    assert!(world.ok(&["prune"]).out.contains("nothing to remove"));
    assert_eq!(releases(&world), 1);
    world.ok(&["prune", "--keep", "0", "--yes"]);
    assert_eq!(releases(&world), 0);
}

#[test]
fn the_logs_of_old_runs_go_by_themselves_and_nothing_else_does() {
    let world = World::new();
    let settings = std::fs::read_to_string(world.project().join("code.toml")).unwrap();
    world.write("code.toml", &format!("{settings}[keep]\nruns = 2\n"));
    let logs = world.state().join("logs/shop@staging");
    // What a tool wrote in a run; `elsewhere` is no run's.
    let wrote = |name: &str| world.write(&format!(".code/logs/shop@staging/{name}/step-0.1.log"), "written");
    let there = || -> Vec<String> {
        let entries = std::fs::read_dir(&logs).unwrap().map(|entry| entry.unwrap());
        let dirs = entries.filter(|entry| entry.path().is_dir());
        let mut names: Vec<String> = dirs.map(|dir| dir.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    world.ok(&["Deploy a web app with a SQLite database to staging", "--yes", "-q"]);
    ["run-1", "elsewhere", "run-9"].iter().for_each(|name| drop(wrote(name)));
    world.ok(&["scale the web app to 2 in staging", "--yes", "-q"]);
    wrote("run-2");
    assert!(world.ok(&["prune"]).out.contains("nothing to remove"));
    assert_eq!(there(), ["elsewhere", "run-1", "run-2", "run-9"]);
    let before = world.ok(&["history"]).out;

    world.ok(&["scale the web app to 3 in staging", "--yes", "-q"]);
    assert_eq!(there(), ["elsewhere", "run-2", "run-9"], "the last two stay, and what is no old run");
    // The journal keeps all of it, from its beginning.
    assert!(world.ok(&["history"]).out.starts_with(before.lines().next().unwrap()));
    assert!(world.ok(&["replay", "1"]).out.contains("web/endpoint done"));
    world.ok(&["verify"]);
    world.ok(&["rollback", "--to", "1", "--yes", "-q"]);

    // `prune` finds what a run could not take away, and a limit of none is no limit.
    wrote("run-1");
    assert!(world.ok(&["prune", "--dry-run"]).out.contains("1 old logs"));
    let pruned = world.ok(&["prune", "--yes"]);
    assert!(pruned.out.contains("removed 1 old logs"), "{pruned}");
    assert!(!logs.join("run-1").exists() && logs.join("elsewhere").exists());
    world.write("code.toml", &format!("{settings}[keep]\nruns = 0\n"));
    world.fails(&["status"], 2, "error[settings::value]");
}
