//! GitOps: every revision is a commit, a commit can be deployed, and a repository can undo nothing.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::basics::has_postgresql;
use crate::world::{World, http};

const SENTENCE: &str = "Deploy a web app with a SQLite database to staging";
const SCALE: &str = "scale the web app to 2 in staging";

/// What git says in a repository.
fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(dir).args(args).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn own(world: &World) -> PathBuf {
    world.state().join("git/shop@staging.git")
}

fn trailer(dir: &Path, commit: &str, name: &str) -> String {
    git(dir, &["log", "-1", &format!("--format=%(trailers:key=Code-{name},valueonly)"), commit])
}

#[test]
fn every_revision_is_a_commit_and_a_rollback_is_a_revert() {
    let world = World::new();
    world.ok(&[SENTENCE, "--yes", "-q"]);
    let dir = own(&world);
    assert_eq!(git(&dir, &["log", "--format=%s", "main"]), SENTENCE);
    assert_eq!(trailer(&dir, "main", "Deployment"), "shop/staging");
    let files = git(&dir, &["ls-tree", "--name-only", "main", "shop/staging/"]);
    let expect = ["origins.json", "resources.json", "revision.json", "spec.yaml", "verdicts.json"];
    assert_eq!(files.lines().collect::<Vec<_>>(), expect.map(|name| format!("shop/staging/{name}")));

    world.ok(&[SCALE, "--yes", "-q"]);
    let history = world.ok(&["history"]);
    let head = git(&dir, &["rev-parse", "main"]);
    assert!(history.out.contains(&format!("exported revision 2 as commit {}", &head[..12])), "{history}");

    // Back: the same spec as before, and the one that was left is named.
    world.ok(&["roll back staging", "--yes", "-q"]);
    let subject = git(&dir, &["log", "-1", "--format=%s", "main"]);
    assert_eq!(subject, "Revert revision 2 of shop/staging: back to revision 1");
    assert_eq!(trailer(&dir, "main", "Reverts"), "2");
    let spec = |rev: &str| git(&dir, &["rev-parse", &format!("{rev}:shop/staging/spec.yaml")]);
    assert_eq!(spec("main"), spec("main~2"));
    assert_ne!(spec("main"), spec("main~1"));
    git(&dir, &["fsck", "--full", "--strict"]);

    // Neither the same words nor the commit bring it back unasked; its number does.
    world.fails(&[SCALE, "--yes"], 3, "revision::bad");
    world.fails(&["--from-git", "HEAD~1", "--yes"], 3, "--accept bad-revision:2");
    assert_eq!(git(&dir, &["rev-list", "--count", "main"]), "3");
    world.ok(&[SCALE, "--yes", "-q", "--accept", "bad-revision:2"]);
    assert_eq!(spec("main"), spec("main~2"));
    assert!(world.ok(&["verify"]).out.contains("HOLDS"));
    assert_eq!(world.processes().len(), 2);
}

#[test]
fn a_commit_is_deployed_as_it_says() {
    let world = World::new();
    world.fails(&["--from-git", "HEAD", "-e", "staging", "--yes"], 2, "git::empty");
    world.ok(&[SENTENCE, "--yes", "-q"]);
    world.ok(&[SCALE, "--yes", "-q"]);
    let dir = own(&world);
    let first = git(&dir, &["rev-parse", "main~1"]);
    let before = world.snapshot();
    let same = world.ok(&["--from-git", "HEAD", "--yes"]);
    assert!(same.out.contains("Nothing to do"), "{same}");
    world.fails(&["--from-git", "nothing", "--yes"], 2, "git::revision");
    world.fails(&["--from-git=--help", "--yes"], 2, "git::revision");
    assert_eq!(world.snapshot(), before, "nothing was changed");

    // In a clone of the user's, where somebody asks for three by a commit.
    let clone = world.path("ops");
    git(world.path("").as_path(), &["clone", "-q", dir.to_str().unwrap(), clone.to_str().unwrap()]);
    let ops = clone.display().to_string();
    let back = world.ok(&["--git", &ops, "--from-git", &first, "--yes", "-q"]);
    assert_eq!(world.processes().len(), 1, "{back}");
    let spec = clone.join("shop/staging/spec.yaml");
    let text = fs::read_to_string(&spec).unwrap();
    assert_eq!(git(&clone, &["status", "--porcelain"]), "", "{text}");
    assert_eq!(trailer(&clone, "HEAD", "Read-From"), first);
    assert!(
        world
            .ok(&["history"])
            .out
            .contains(&format!("read shop/staging/spec.yaml of commit {}", &first[..12]))
    );
    assert!(world.ok(&["verify"]).out.contains("HOLDS"));

    // What is not there is no wish, and neither is what cannot be read.
    let who = ["-c", "user.name=a", "-c", "user.email=a@b"];
    let commit = |args: &[&str]| git(&clone, &[&who[..], &["commit", "-q"], args].concat());
    git(&clone, &["rm", "-q", "-r", "shop"]);
    commit(&["-m", "Everything goes"]);
    world.fails(&["--git", &ops, "--from-git", "HEAD", "--yes"], 2, "git::no-spec");
    fs::create_dir_all(spec.parent().unwrap()).unwrap();
    fs::write(&spec, text.replace("release: ", "release: 0000")).unwrap();
    git(&clone, &["add", "."]);
    commit(&["-m", "Rubbish"]);
    world.fails(&["--git", &ops, "--from-git", "HEAD", "--yes"], 2, "hint:");
    for entry in fs::read_dir(clone.join(".git/objects")).unwrap().flatten() {
        if entry.file_name().len() == 2 {
            fs::remove_dir_all(entry.path()).unwrap();
        }
    }
    let broken = world.run(&["--git", &ops, "--from-git", "HEAD", "--yes"]);
    assert!(broken.code != 0 && broken.err.contains("git::broken"), "{broken}");
    assert_eq!(world.processes().len(), 1);
}

#[test]
fn a_push_that_fails_is_owed_and_undoes_nothing() {
    let world = World::new();
    let remote = world.path("remote.git");
    git(world.path("").as_path(), &["init", "-q", "--bare", remote.to_str().unwrap()]);
    let hook = remote.join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(&hook, PermissionsExt::from_mode(0o755)).unwrap();
    let settings = fs::read_to_string(world.project().join("code.toml")).unwrap();
    world.write("code.toml", &format!("git = \"file://{}\"\n{settings}", remote.display()));

    let done = world.ok(&[SENTENCE, "--yes"]);
    assert!(done.err.contains("is owed"), "{done}");
    assert_eq!(http(&world.url(), "GET", "/", "").0, 200);
    assert!(world.ok(&["status"]).out.contains("OWED the export of revision 1"));
    let failed = world.run(&["push"]);
    assert!(failed.code != 0 && failed.err.contains("git::push"), "{failed}");

    // The next change brings all that is owed, oldest first.
    fs::remove_file(hook).unwrap();
    world.ok(&[SCALE, "--yes", "-q"]);
    assert_eq!(
        git(&remote, &["log", "--format=%(trailers:key=Code-Revision,valueonly,separator=)", "--all"]),
        "2\n1"
    );

    // A remote that is gone for a while.
    let away = world.path("away.git");
    fs::rename(&remote, &away).unwrap();
    world.ok(&["scale the web app to 1 in staging", "--yes", "-q"]);
    fs::rename(&away, &remote).unwrap();
    let pushed = world.ok(&["push"]);
    assert!(pushed.out.contains("shop/staging revision 3"), "{pushed}");
    assert!(!world.ok(&["status"]).out.contains("OWED"));
    assert!(world.ok(&["push"]).out.contains("nothing is owed"));
    git(&remote, &["fsck", "--full", "--strict"]);
}

#[test]
fn nothing_to_do_runs_no_git_and_no_git_is_told() {
    let world = World::new();
    let bin = world.path("bin");
    fs::create_dir(&bin).unwrap();
    let calls = world.path("calls");
    let script = format!("#!/bin/sh\necho call >> '{}'\nexec /usr/bin/git \"$@\"\n", calls.display());
    fs::write(bin.join("git"), script).unwrap();
    fs::set_permissions(bin.join("git"), PermissionsExt::from_mode(0o755)).unwrap();
    let run = |path: &str, args: &[&str]| {
        let mut command = world.command(args);
        let output = command.env("PATH", path).output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), text)
    };
    let with = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
    let calls = || fs::read_to_string(&calls).unwrap_or_default().lines().count();
    run(&with, &[SENTENCE, "--yes", "-q"]);
    let first = calls();
    assert!(first > 0);
    run(&with, &[SENTENCE, "--yes", "-q"]);
    run(&with, &["status"]);
    assert_eq!(calls(), first);
    println!("figure: git processes of a first deployment: {first}");
    run(&with, &[SCALE, "--yes", "-q"]);
    println!("figure: git processes of a later deployment: {}", calls() - first);

    let (code, said) = run("/nonexistent", &["scale the web app to 1 in staging", "--yes"]);
    assert!(code == Some(0) && said.contains("is owed") && said.contains("git"), "{said}");
    let (_, said) = run("/nonexistent", &["doctor"]);
    assert!(said.contains("git is missing") && said.contains("apt-get"), "{said}");
    let (code, said) = run("/nonexistent", &["--from-git", "HEAD", "--yes"]);
    assert!(code != Some(0) && said.contains("git::missing"), "{said}");
    run(&with, &["push"]);
    assert_eq!(git(&own(&world), &["rev-list", "--count", "main"]), "3");
}

/// Every object of a repository, as text.
fn objects(dir: &Path) -> String {
    let all = git(dir, &["cat-file", "--batch-all-objects", "--batch-check=%(objectname)"]);
    let ids: BTreeSet<&str> = all.lines().collect();
    ids.iter().map(|id| git(dir, &["cat-file", "-p", id])).collect()
}

#[test]
fn no_secret_is_committed() {
    if !has_postgresql() {
        println!("skipped: secrets in commits: there is no PostgreSQL");
        return;
    }
    let world = World::new();
    world.ok(&["Deploy a web app with a PostgreSQL database to staging", "--yes", "-q"]);
    let pid = world.processes().remove(0);
    let environ = fs::read(format!("/proc/{}/environ", pid.trim_matches('"'))).unwrap();
    let environ = String::from_utf8_lossy(&environ).into_owned();
    let url = environ.split('\0').find_map(|line| line.strip_prefix("DATABASE_URL=")).unwrap();
    let password = url.split_once("://").unwrap().1.split_once('@').unwrap().0.split_once(':').unwrap().1;
    assert!(password.len() > 8);
    let text = objects(&own(&world));
    assert!(text.contains("shop/staging/db/") && !text.contains(password));
}
