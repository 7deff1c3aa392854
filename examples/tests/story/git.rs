//! GitOps: every revision is a commit, a commit can be deployed, and a repository can undo nothing.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::basics::has_postgresql;
use crate::changes::app;
use crate::world::{World, http, port};

pub(crate) const SENTENCE: &str = "Deploy a web app with a SQLite database to staging";
const SCALE: &str = "scale the web app to 2 in staging";

/// What git says in a repository.
pub(crate) fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(dir).args(args).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub(crate) fn own(world: &World) -> PathBuf {
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

/// Writes a hook of a repository.
fn hook(repository: &Path, name: &str, script: &str) {
    let hook = repository.join("hooks").join(name);
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&hook, PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn a_push_that_is_rejected_is_owed_and_tried_again() {
    let world = World::new();
    let remote = world.path("remote.git");
    git(&world.path(""), &["init", "-q", "--bare", "-b", "main", remote.to_str().unwrap()]);
    let address = format!("file://{}", remote.display());
    let run = |sentence: &str| world.ok(&["--git", &address, sentence, "--yes"]);
    run(SENTENCE);

    // Somebody is faster, each time: what was fetched is not the head any more (non-fast-forward).
    hook(
        &remote,
        "pre-receive",
        "unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES\n\
         old=$(git rev-parse main)\n\
         new=$(git -c user.name=a -c user.email=a@b commit-tree \"$old^{tree}\" -p \"$old\" -m faster </dev/null)\n\
         git update-ref refs/heads/main \"$new\"",
    );
    let raced = run(SCALE);
    assert!(raced.err.contains("is owed") && raced.err.contains("somebody else was faster"), "{raced}");
    assert_eq!(world.processes().len(), 2, "the deployment stands");
    let status = world.ok(&["status"]);
    assert!(status.out.contains("OWED the export of revision 2"), "{status}");
    // Nobody may push to this branch: a right that is missing.
    fs::remove_file(remote.join("hooks/pre-receive")).unwrap();
    hook(&remote, "update", "echo 'you may not push to a protected branch' >&2; exit 1");
    let refused = world.run(&["--git", &address, "push"]);
    assert!(refused.code != 0 && refused.err.contains("git::push"), "{refused}");
    assert!(refused.err.contains("you may not push") && refused.err.contains("hint:"), "{refused}");

    // The same command finds nothing else to do, and pushes on top of what the others did.
    fs::remove_file(remote.join("hooks/update")).unwrap();
    let again = run(SCALE);
    assert!(again.out.contains("Nothing to do") && again.out.contains("revision 2"), "{again}");
    let subjects = git(&remote, &["log", "--format=%s", "main"]);
    let faster = subjects.lines().filter(|subject| *subject == "faster").count();
    assert!(faster > 0 && subjects.starts_with(SCALE) && subjects.ends_with(SENTENCE), "{subjects}");
    assert_eq!(subjects.lines().count(), faster + 2, "one commit a revision");
    assert!(!world.ok(&["status"]).out.contains("OWED"));
}

#[test]
fn each_environment_has_its_own_repository() {
    let world = World::new();
    let settings = fs::read_to_string(world.project().join("code.toml")).unwrap();
    for name in ["all.git", "qa.git"] {
        git(&world.path(""), &["init", "-q", "--bare", "-b", "main", name]);
    }
    let (all, qa) = (world.path("all.git"), world.path("qa.git"));
    let [web, db] = [port(), port()];
    let more = format!(
        "[environments.staging]\n[environments.qa]\ngit = \"../qa.git\"\n\
         [environments.qa.components]\nweb = {{ port = {web} }}\ndb = {{ port = {db} }}\n"
    );
    world.write("code.toml", &format!("git = \"file://{}\"\n{settings}{more}", all.display()));
    world.ok(&[SENTENCE, "--yes", "-q"]);
    world.ok(&["Deploy a web app with a SQLite database to qa", "--yes", "-q"]);
    for (repository, folder) in [(&all, "shop/staging/"), (&qa, "shop/qa/")] {
        let files = git(repository, &["ls-tree", "-r", "--name-only", "main"]);
        assert!(files.lines().all(|file| file.starts_with(folder)), "{files}");
        assert_eq!(git(repository, &["rev-list", "--count", "main"]), "1");
    }
    // Also what is read from a commit comes from there; the option counts before both.
    world.ok(&["--from-git", "HEAD", "-e", "qa", "--yes"]);
    let other = world.run(&["--git", all.to_str().unwrap(), "--from-git", "HEAD", "-e", "qa", "--yes"]);
    assert!(other.code != 0 && other.err.contains("git::no-spec"), "{other}");
    assert!(!world.state().join("git/shop@staging.git").exists(), "nothing is kept twice");
}

#[test]
fn a_commit_whose_release_is_gone_is_told() {
    let world = World::new();
    for (version, sentence) in [("one", SENTENCE), ("two", "update the web app in staging")] {
        app(&world, version);
        world.ok(&[sentence, "--yes", "-q"]);
    }
    let url = world.url();
    let first = git(&own(&world), &["rev-parse", "main~1"]);
    world.ok(&["prune", "--keep", "1", "--yes"]);
    let before = world.snapshot();
    let gone = world.fails(&["--from-git", &first, "--yes"], 2, "git::release-gone");
    assert!(gone.err.contains("check the project out as it was then"), "{gone}");
    assert_eq!(world.snapshot(), before, "nothing was changed");
    assert_eq!(http(&url, "GET", "/", "").1, "two sqlite");

    // As the help says.
    app(&world, "one");
    world.ok(&["--from-git", &first, "--yes", "-q"]);
    assert_eq!(http(&url, "GET", "/", "").1, "one sqlite");
}

#[test]
fn a_repository_that_is_not_whole_deletes_nothing() {
    let world = World::new();
    world.ok(&[SENTENCE, "--yes", "-q"]);
    world.ok(&[SCALE, "--yes", "-q"]);
    let (dir, top) = (own(&world), world.path(""));
    let from = format!("file://{}", dir.display());
    git(&dir, &["config", "uploadpack.allowFilter", "true"]);
    git(&top, &["init", "-q", "empty"]);
    git(&top, &["clone", "-q", "--depth", "1", &from, "shallow"]);
    git(&top, &["clone", "-q", "--no-checkout", "--filter=blob:none", &from, "partial"]);
    git(&world.path("partial"), &["remote", "remove", "origin"]);
    git(&top, &["clone", "-q", &from, "broken"]);
    let objects = world.path("broken/.git/objects");
    for entry in fs::read_dir(&objects).unwrap().flatten() {
        fs::remove_dir_all(entry.path()).unwrap();
    }
    git(&top, &["clone", "-q", &from, "dangling"]);
    fs::write(world.path("dangling/.git/refs/heads/main"), format!("{}\n", "1".repeat(40))).unwrap();
    fs::create_dir(world.path("nothing")).unwrap();

    let (before, url) = (world.processes(), world.url());
    let cases = [
        ("empty", "HEAD", "git::empty"),
        ("shallow", "HEAD~1", "git::revision"),
        ("partial", "HEAD", "git::broken"),
        ("broken", "HEAD", "git::broken"),
        ("dangling", "HEAD", "git::broken"),
        ("nothing", "HEAD", "git::no-repository"),
    ];
    let snapshot = world.snapshot();
    for (name, revision, code) in cases {
        let place = world.path(name);
        let said = world.run(&["--git", place.to_str().unwrap(), "--from-git", revision, "--yes"]);
        assert!(said.code != 0 && said.err.contains(code) && said.err.contains("hint:"), "{name}: {said}");
    }
    assert_eq!(world.snapshot(), snapshot, "nothing was changed");

    // An export into one of them is made or owed, and the deployment stands either way.
    for (i, (name, owed)) in
        [("broken", true), ("dangling", true), ("shallow", false), ("empty", false)].into_iter().enumerate()
    {
        let place = world.path(name);
        let sentence = format!("scale the web app to {} in staging", 1 + i % 2);
        let done = world.ok(&["--git", place.to_str().unwrap(), &sentence, "--yes"]);
        assert_eq!(done.err.contains("is owed"), owed, "{name}: {done}");
        assert_eq!(world.processes().len(), 1 + i % 2, "{name}");
        assert_eq!(http(&url, "GET", "/", "").0, 200, "{name}");
    }
    assert_ne!(world.processes(), Vec::<String>::new());
    assert!(!before.is_empty() && !world.ok(&["status"]).out.contains("OWED"));
    println!("figure: repositories that are not whole: {} kinds, 0 deletions", cases.len());
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
