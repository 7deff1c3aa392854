//! An engine that is killed in the middle of a build that does not listen: whoever comes next works when the last of
//! it is gone, and not beside it.
//!
//! ```text
//! engine   build ── SIGKILL
//! build      │ begin, tick, tick … ignores the interrupt … tick │ killed at the end of its grace
//! next            └ waits ─────────────────────────────────────── begin, end ── deployed
//! ```

use std::fs;

use crate::world::{Running, World, http, kill, port, until};

/// A project whose first build goes on until somebody ends it; all of them write down what they do.
fn building() -> World {
    let world = World::new();
    let log = world.path("builds");
    // A port that both would want is another story.
    let ports =
        ["staging", "test"].map(|name| format!("[environments.{name}.components.web]\nport = {}\n", port()));
    let build = format!("[components.web]\nbuild = [\"sh\", \"build.sh\", \"{}\"]\n", log.display());
    world.write("code.toml", &(build + &ports.concat()));
    world.write(
        "build.sh",
        "trap '' INT\n\
         echo begin $$ >> $1\n\
         if mkdir $1.first 2>/dev/null; then\n\
         \x20   while :; do echo tick $$ >> $1; sleep 0.01; done\n\
         fi\n\
         echo end $$ >> $1\n",
    );
    world.python_app("", "'one'");
    world
}

/// Kills the engine of `staging` in its build, and deploys to `environment` at once.
fn check(environment: &str, says: &str) {
    let world = building();
    let built = || fs::read_to_string(world.path("builds")).unwrap_or_default();
    let mut run = Running(world.command(&["Deploy a web app to staging", "--yes"]).spawn().unwrap());
    until("the build is under way", || built().contains("tick"));
    kill(run.0.id().cast_signed());
    run.0.wait().unwrap();
    let next = world.ok(&[&format!("Deploy a web app to {environment}"), "--yes"]);
    assert!(next.err.contains(says), "{next}");
    let (url, log) = (world.url_of(environment), built());
    assert_eq!(http(&url, "GET", "/", "").1, "one");
    // Whose line each of them is, where another one's begins.
    let mut builds: Vec<&str> =
        log.lines().filter_map(|line| line.split_once(' ')).map(|line| line.1).collect();
    builds.dedup();
    assert_eq!(builds.len(), 2, "one build after the other in {log}");
    assert!(
        log.contains(&format!("end {}", builds[1])) && !log.contains(&format!("end {}", builds[0])),
        "{log}"
    );
}

#[test]
fn what_a_killed_engine_left_running_is_waited_for() {
    check("staging", "left behind in shop/staging");
}

#[test]
fn another_deployment_waits_for_the_same_release() {
    check("test", "run 1 succeeded");
}
