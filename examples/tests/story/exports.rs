//! An engine that is killed anywhere on its way to a commit, and the same command again.
//!
//! ```text
//! deploy ─▶ scale, killed at a point ─▶ the same again, killed once more ─▶ the same again
//!                                       one commit for each revision, in order; nothing is owed
//! ```

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use crate::git::{SENTENCE, git, own};
use crate::world::{Ended, World};

/// Points that every export comes to.
const ALL: [&str; 7] = [
    "append.run_ended.after",
    "export.before",
    "git.commit.before",
    "git.commit.after",
    "export.after",
    "append.exported.before",
    "append.exported.after",
];
/// Where an export goes to a work tree.
const WRITTEN: [&str; 1] = ["git.files.after"];
/// Where it goes to somebody's repository.
const PUSHED: [&str; 2] = ["git.push.before", "git.push.after"];

/// All points that an export is killed at here.
pub(crate) fn points() -> impl Iterator<Item = &'static str> {
    ALL.into_iter().chain(WRITTEN).chain(PUSHED)
}

/// Runs a command that is killed at a point, and by nothing else.
fn killed(world: &World, point: &str, args: &[&str]) {
    let file = world.path("killed");
    // Left by an earlier kill.
    let _ = fs::remove_file(&file);
    let setting = format!("{point}:1:{}", file.display());
    let output = world.command(args).env("CODE_KILL_AT", setting).output().unwrap();
    let signal = output.status.signal();
    assert!(signal == Some(9) && file.exists(), "at {point}: {}", Ended::of(args, output));
}

/// The revisions in a repository, oldest first.
fn revisions(dir: &Path) -> Vec<u64> {
    let format = "--format=%(trailers:key=Code-Revision,valueonly,separator=)";
    let all = git(dir, &["log", "--reverse", "--topo-order", format, "HEAD"]);
    all.lines().map(|line| line.parse().unwrap()).collect()
}

/// Kills exports to a repository at each of these points, and once more while what is owed is exported; gives
/// how often.
fn kills(world: &World, repository: &Path, git_option: &[&str], points: &[&str]) -> usize {
    let mut kills = 0;
    let mut revision = 1;
    for (i, point) in points.iter().enumerate() {
        let sentence = format!("scale the web app to {} in staging", 2 - i % 2);
        let args = [&[sentence.as_str(), "--yes", "-q"], git_option].concat();
        revision += 1;
        killed(world, point, &args);
        kills += 1;
        let rest = revisions(repository);
        assert!(rest == (1..revision).collect::<Vec<_>>() || rest == (1..=revision).collect::<Vec<_>>());
        if !point.starts_with("append.exported.after") {
            // What is owed is exported by the same command: it is killed there, too.
            killed(world, "export.after", &args);
            kills += 1;
        }
        let again = world.ok(&args);
        assert_eq!(revisions(repository), (1..=revision).collect::<Vec<_>>(), "at {point}: {again}");
        let status = world.ok(&["status"]);
        assert!(!status.out.contains("OWED"), "at {point}: {status}");
    }
    git(repository, &["fsck", "--full", "--strict", "--no-dangling"]);
    assert!(world.ok(&["verify"]).out.contains("HOLDS"));
    kills
}

#[test]
fn a_kill_on_the_way_to_a_commit_makes_none_twice_and_loses_none() {
    if !cfg!(feature = "kill-points") {
        println!(
            "skipped: kills of exports: build them with `--features kill-points`, or `cargo xtask kill`"
        );
        return;
    }
    let mut total = 0;

    // The deployment's own repository, from its making on.
    let world = World::new();
    killed(&world, "git.init", &[SENTENCE, "--yes", "-q"]);
    world.ok(&[SENTENCE, "--yes", "-q"]);
    total += 1 + kills(&world, &own(&world), &[], &ALL);

    // A work tree of the user's, whose files follow the commit.
    let world = World::new();
    let ops = repository(&world, "ops", false);
    let option = ["--git", ops.to_str().unwrap()];
    world.ok(&[&[SENTENCE, "--yes", "-q"][..], &option].concat());
    total += kills(&world, &ops, &option, &[&ALL[..], &WRITTEN].concat());
    assert_eq!(git(&ops, &["status", "--porcelain"]), "");

    // Somebody's repository: what was pushed is seen, and what was not is pushed.
    let world = World::new();
    let remote = repository(&world, "remote.git", true);
    let address = format!("file://{}", remote.display());
    let option = ["--git", address.as_str()];
    killed(&world, "git.push.after", &[&[SENTENCE, "--yes", "-q"][..], &option].concat());
    world.ok(&[&[SENTENCE, "--yes", "-q"][..], &option].concat());
    total += 1 + kills(&world, &remote, &option, &[&ALL[..], &PUSHED].concat());

    // And where its repository is made.
    let places = points().count() + 1;
    println!(
        "figure: kills on the way to a commit: {total} at {places} points, 3 kinds of repositories: one commit a revision, 0 lost, 0 owed"
    );
}

fn repository(world: &World, name: &str, bare: bool) -> PathBuf {
    let dir = world.path(name);
    let shape: &[&str] = if bare { &["--bare"] } else { &[] };
    git(&world.path(""), &[&["init", "-q", "-b", "main"], shape, &[dir.to_str().unwrap()]].concat());
    dir
}
