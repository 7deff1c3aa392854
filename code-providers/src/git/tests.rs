//! Commits in real repositories, by the real git: what is made, what is refused, and what damage is told.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use code_core::checks::{Approval, How};
use code_core::export::{Commit, Export, Exporter, Made};
use code_core::intent::Kind as Part;
use code_core::local::LocalHost;
use code_core::memory::{MemoryHost, MemorySecrets};
use code_core::plan::{Chain, Rollback};
use code_core::provider::{Health, OnDelete};
use code_core::request::Request;
use code_core::scanner::{Finding, Report, Verdict};
use code_core::spec::{Component, Origin, Spec};
use code_core::{Ctx, Deployment, Digest, Expr, Host, Result, RunId, SecretRef, Want};
use jiff::Timestamp;
use tempfile::TempDir;

use super::{FILES, GitExporter, Place};

const NOON: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// A state directory, and room for repositories beside it.
struct World {
    dir: TempDir,
}

impl World {
    fn new() -> World {
        let world = World { dir: tempfile::tempdir().unwrap() };
        let config = "[user]\n\tname = somebody\n\temail = some@body\n[init]\n\tdefaultBranch = main\n";
        fs::write(world.path("gitconfig"), config).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn ctx(&self) -> Ctx {
        let host: Arc<dyn Host> = Arc::new(LocalHost::new());
        Ctx::new(host, Arc::new(MemorySecrets::new()), self.path("state")).for_deployment(&name())
    }

    /// Runs git as a person would, and gives what it writes.
    #[expect(clippy::disallowed_methods, reason = "a test looks from outside")]
    fn try_git(&self, dir: &Path, args: &[&str]) -> std::result::Result<String, String> {
        let mut command = Command::new("git");
        command.args(args).current_dir(dir).env("GIT_CONFIG_GLOBAL", self.path("gitconfig"));
        let output = command.env("GIT_CONFIG_NOSYSTEM", "1").output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn git(&self, dir: &Path, args: &[&str]) -> String {
        self.try_git(dir, args).unwrap_or_else(|said| panic!("git {args:?}: {said}"))
    }

    fn repository(&self, name: &str, bare: bool) -> PathBuf {
        let dir = self.path(name);
        fs::create_dir_all(&dir).unwrap();
        self.git(&dir, if bare { &["init", "-q", "--bare"] } else { &["init", "-q"] });
        dir
    }

    fn own(&self) -> PathBuf {
        self.path("state/git/shop@staging.git")
    }

    fn is_sound(&self, dir: &Path) {
        self.git(dir, &["fsck", "--full", "--strict", "--no-dangling"]);
    }
}

fn name() -> Deployment {
    "shop/staging".parse().unwrap()
}

fn export(revision: u64, memory: &str) -> Export {
    let mut web = Component::new("web", Part::Web);
    web.memory = Some(memory.into());
    web.version = Some("15".into());
    web.env = [("LOG".to_owned(), "yes: \"no\"\n# not a comment".to_owned())].into();
    let spec = Spec { components: vec![web], ..Spec::new("shop", "staging") };
    let want = Want::new().with("password", Expr::Secret(SecretRef("shop/db/password".into())));
    let made = Made {
        kind: "process".into(),
        want,
        needs: vec![],
        on_delete: OnDelete::Delete,
        kept: false,
        revision,
    };
    let plan = Digest::of(format!("plan {revision}").as_bytes());
    let report = Report {
        scanner: "policy".into(),
        subject: spec.digest(),
        findings: vec![Finding::new("limits", Some("/components/0"), Verdict::Pass, "it has a limit")],
        cost: None,
    };
    Export {
        deployment: name(),
        revision,
        run: RunId(revision),
        plan,
        chain: Chain::default(),
        rollback: None,
        request: Some(Request::new(format!("Deploy it with {memory}"), "ann", NOON).unwrap()),
        source: None,
        approval: Some(Approval { plan, by: "bob".into(), at: NOON, how: How::Option }),
        at: NOON + jiff::SignedDuration::from_secs(60 * i64::try_from(revision).unwrap()),
        origins: [("/components/0/memory".to_owned(), Origin::default("enough"))].into(),
        spec: Some(spec),
        resources: [("web/process".parse().unwrap(), made)].into(),
        reports: vec![report],
        accepted: vec![],
    }
}

fn to(place: &str, world: &World) -> GitExporter {
    GitExporter::new().to(Place::of(place, world.dir.path()).unwrap())
}

async fn export_to(world: &World, exporter: &GitExporter, export: &Export) -> Result<Commit> {
    exporter.export(&world.ctx(), export).await
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> String {
    let error = result.unwrap_err();
    assert!(error.help_text().is_some(), "{error:?}");
    error.code().to_owned()
}

#[test]
fn the_files_and_the_message_of_a_commit() {
    let mut export = export(3, "64Mi");
    export.rollback = Some(Rollback { from: 2, to: 1 });
    export.request =
        Some(Request::new("roll back\nCode-Plan: forged\n\nCode-Revision: 7", "ann <x@y>", NOON).unwrap());
    let draft = super::render::draft(&export, "host").unwrap();
    insta::assert_snapshot!(draft.message);
    assert_eq!(draft.author, "ann x@y <annxy@host>");
    let spec = draft.files["spec.yaml"].as_deref().unwrap();
    insta::assert_snapshot!(spec);
    assert_eq!(serde_saphyr::from_str::<Spec>(spec).unwrap(), export.spec.unwrap());
    assert_eq!(draft.files.keys().copied().collect::<BTreeSet<_>>(), BTreeSet::from(FILES));
}

proptest::proptest! {
    #[test]
    fn any_spec_is_read_as_it_was_written(text in "\\PC{0,200}", lines in "[a-z :#'\"\\-\n\t]{0,200}") {
        let mut export = export(1, "1Mi");
        let spec = export.spec.as_mut().unwrap();
        spec.components[0].env = [("A".to_owned(), text.clone()), ("B".to_owned(), lines)].into();
        spec.components[0].start = Some(vec![text.clone(), "yes".into(), "1.0".into(), "~".into(), String::new()]);
        let draft = super::render::draft(&export, "host").unwrap();
        let written = draft.files["spec.yaml"].as_deref().unwrap();
        let read = serde_saphyr::from_str::<Spec>(written);
        proptest::prop_assert_eq!(&read.unwrap(), export.spec.as_ref().unwrap(), "{}", written);
    }
}

#[tokio::test]
async fn each_revision_is_one_commit_in_the_repository_of_its_own() {
    let (world, own) = (World::new(), GitExporter::new());
    let first = export_to(&world, &own, &export(1, "64Mi")).await.unwrap();
    let again = export_to(&world, &own, &export(1, "64Mi")).await.unwrap();
    let second = export_to(&world, &own, &export(2, "32Mi")).await.unwrap();
    let dir = world.own();
    assert_eq!(
        (first.clone(), first.path.as_str(), first.place.as_str()),
        (again, "shop/staging", dir.to_str().unwrap())
    );
    assert_eq!(world.git(&dir, &["log", "--format=%H", "main"]), format!("{}\n{}", second.id, first.id));
    // Also where something else is on top of it by now.
    assert_eq!(export_to(&world, &own, &export(2, "32Mi")).await.unwrap(), second);
    let expect = "ann <ann@";
    let who =
        world.git(&dir, &["log", "-1", "--format=%an <%ae> %ct %cn %(trailers:key=Code-Revision,valueonly)"]);
    assert!(
        who.starts_with(expect) && who.contains(&format!("{} ann 2", export(2, "").at.as_second())),
        "{who}"
    );
    let diff = world.git(&dir, &["show", "--format=", "--unified=0", "main", "--", "shop/staging/spec.yaml"]);
    let changed: Vec<&str> = diff
        .lines()
        .filter(|l| !l.starts_with("+++") && !l.starts_with("---"))
        .filter(|l| l.starts_with(['+', '-']))
        .collect();
    assert_eq!(
        changed,
        ["-    memory: 64Mi", "+    memory: 32Mi"].map(|line| line.replacen(
            "    ",
            &changed[0][1..changed[0].find('m').unwrap()],
            1
        ))
    );
    world.is_sound(&dir);

    // Taken down: the spec goes, and what it was is still said.
    let gone = Export { spec: None, origins: [].into(), request: None, ..export(3, "") };
    export_to(&world, &own, &gone).await.unwrap();
    let names = world.git(&dir, &["ls-tree", "--name-only", "main", "shop/staging/"]);
    assert_eq!(
        names.lines().collect::<Vec<_>>(),
        ["resources.json", "revision.json", "verdicts.json"].map(|n| format!("shop/staging/{n}"))
    );
    assert_eq!(code(own.read(&world.ctx(), &name(), "HEAD").await), "git::no-spec");
    assert_eq!(own.read(&world.ctx(), &name(), "HEAD~1").await.unwrap().commit.id, second.id);
}

#[tokio::test]
async fn the_same_exports_make_the_same_commits() {
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (world, own) = (World::new(), GitExporter::new());
        export_to(&world, &own, &export(1, "64Mi")).await.unwrap();
        ids.push(export_to(&world, &own, &export(2, "32Mi")).await.unwrap().id);
    }
    assert_eq!(ids[0], ids[1]);
}

/// Input that ends before its end, as when the engine is killed: the branch is where it was.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test kills a tool")]
async fn a_kill_in_the_middle_leaves_no_half_commit() {
    let (world, own) = (World::new(), GitExporter::new());
    let first = export_to(&world, &own, &export(1, "64Mi")).await.unwrap();
    let dir = world.own();
    for kill in [true, false] {
        let mut child = Command::new("git")
            .args(["--git-dir", dir.to_str().unwrap(), "fast-import", "--quiet", "--done"])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let half = format!(
            "commit refs/heads/main\ncommitter a <a@b> 0 +0000\ndata 1\nx\nfrom {}\nM 100644 inline shop/staging/spec.yaml\ndata 5\nhalf\n",
            first.id
        );
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(half.as_bytes()).unwrap();
        if kill {
            child.kill().unwrap();
        }
        drop(stdin);
        child.wait().unwrap();
        assert_eq!(world.git(&dir, &["rev-parse", "main"]), first.id);
        world.is_sound(&dir);
    }
    // A repository that was about to be made is made anew.
    fs::create_dir_all(world.path("state/git/shop@staging.git.new/objects")).unwrap();
    export_to(&world, &own, &export(2, "32Mi")).await.unwrap();
    world.is_sound(&dir);
}

#[tokio::test]
async fn a_work_tree_has_the_files_and_keeps_what_is_somebodys() {
    let world = World::new();
    let dir = world.repository("ops", false);
    fs::write(dir.join("README"), "ours").unwrap();
    world.git(&dir, &["add", "README"]);
    let exporter = to("ops/sub", &world);
    assert_eq!(code(export_to(&world, &exporter, &export(1, "64Mi")).await), "git::no-repository");
    fs::create_dir(dir.join("sub")).unwrap();

    // The branch has no commit yet; what was staged stays staged, and is not in the commit.
    let first = export_to(&world, &exporter, &export(1, "64Mi")).await.unwrap();
    assert_eq!(first.path, "sub/shop/staging");
    assert_eq!(world.git(&dir, &["status", "--porcelain"]), "A  README");
    assert!(dir.join("sub/shop/staging/spec.yaml").is_file());
    world.git(&dir, &["commit", "-qm", "Ours"]);
    fs::write(dir.join("sub/shop/staging/NOTES"), "somebody's").unwrap();

    let spec = dir.join("sub/shop/staging/spec.yaml");
    let was = fs::read_to_string(&spec).unwrap();
    fs::write(&spec, "mine").unwrap();
    let refused = export_to(&world, &exporter, &export(2, "32Mi")).await;
    assert_eq!(code(refused), "git::uncommitted");
    assert_eq!(fs::read_to_string(&spec).unwrap(), "mine");
    fs::write(&spec, was).unwrap();
    let second = export_to(&world, &exporter, &export(2, "32Mi")).await.unwrap();
    assert_eq!(world.git(&dir, &["status", "--porcelain"]), "?? sub/shop/staging/NOTES");
    assert_eq!(world.git(&dir, &["rev-parse", "HEAD"]), second.id);
    assert_eq!(exporter.read(&world.ctx(), &name(), "HEAD~2").await.unwrap().commit.id, first.id);

    // Killed between the commit and the files: the next try brings the files.
    world.git(
        &dir,
        &["restore", "--source=HEAD~1", "--staged", "--worktree", "--", "sub/shop/staging/spec.yaml"],
    );
    for name in ["origins.json", "resources.json", "verdicts.json", "revision.json"] {
        world.git(
            &dir,
            &[
                "restore",
                "--source=HEAD~1",
                "--staged",
                "--worktree",
                "--",
                &format!("sub/shop/staging/{name}"),
            ],
        );
    }
    assert_eq!(export_to(&world, &exporter, &export(2, "32Mi")).await.unwrap(), second);
    assert_eq!(world.git(&dir, &["status", "--porcelain"]), "?? sub/shop/staging/NOTES");

    let gone = Export { spec: None, origins: [].into(), ..export(3, "") };
    export_to(&world, &exporter, &gone).await.unwrap();
    assert!(!spec.exists() && dir.join("sub/shop/staging/NOTES").exists());
    world.is_sound(&dir);
    world.git(&dir, &["checkout", "-q", "--detach"]);
    assert_eq!(code(export_to(&world, &exporter, &export(4, "1Mi")).await), "git::detached");
}

#[tokio::test]
async fn a_hook_of_a_repository_is_not_run_by_us() {
    let world = World::new();
    let dir = world.repository("ops", false);
    for hook in ["pre-commit", "post-checkout", "reference-transaction", "post-index-change"] {
        let path = dir.join(".git/hooks").join(hook);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\ntouch {}\n", world.path("ran").display())).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let monitor = format!("touch {}", world.path("ran").display());
    world.git(&dir, &["config", "core.fsmonitor", &monitor]);
    fs::remove_file(world.path("ran")).ok();
    export_to(&world, &to("ops", &world), &export(1, "64Mi")).await.unwrap();
    assert!(!world.path("ran").exists());
}

/// What a remote is called in the two ways.
fn remotes(dir: &Path) -> [String; 2] {
    [dir.display().to_string(), format!("file://{}", dir.display())]
}

#[tokio::test]
async fn a_remote_is_pushed_to_on_its_own_branch() {
    for n in 0..2 {
        let world = World::new();
        let remote = world.repository("remote.git", true);
        world.git(
            &remote,
            &["symbolic-ref", "HEAD", if n == 0 { "refs/heads/main" } else { "refs/heads/trunk" }],
        );
        let exporter = to(&remotes(&remote)[n], &world);
        assert_eq!(code(exporter.read(&world.ctx(), &name(), "HEAD").await), "git::empty");
        export_to(&world, &exporter, &export(1, "64Mi")).await.unwrap();
        // Somebody else works there, too.
        world.git(world.dir.path(), &["clone", "-q", "-b", "main", remote.to_str().unwrap(), "clone"]);
        let clone = world.path("clone");
        fs::write(clone.join("README"), "theirs").unwrap();
        world.git(&clone, &["add", "."]);
        world.git(&clone, &["commit", "-qm", "Theirs"]);
        world.git(&clone, &["push", "-q"]);
        let second = export_to(&world, &exporter, &export(2, "32Mi")).await.unwrap();
        assert_eq!(world.git(&remote, &["rev-parse", "main"]), second.id);
        assert_eq!(world.git(&remote, &["rev-list", "--count", "main"]), "3");
        assert_eq!(world.git(&remote, &["show", "main:README"]), "theirs");
        // The answer was lost: it is there, and is not pushed again.
        assert_eq!(export_to(&world, &exporter, &export(2, "32Mi")).await.unwrap(), second);
        world.is_sound(&remote);
        world.git(&remote, &["tag", "good", "main~2"]);
        world.git(&remote, &["symbolic-ref", "HEAD", "refs/heads/main"]);
        for (revision, memory) in
            [("HEAD", "32Mi"), ("main~1", "64Mi"), ("good", "64Mi"), (&second.id[..9], "32Mi")]
        {
            let found = exporter.read(&world.ctx(), &name(), revision).await.unwrap();
            assert!(String::from_utf8(found.bytes).unwrap().contains(memory), "{revision}");
        }
    }
}

#[tokio::test]
async fn a_push_that_fails_says_why_and_works_later() {
    let world = World::new();
    let remote = world.repository("remote.git", true);
    let hook = remote.join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\necho not on a friday >&2\nexit 1\n").unwrap();
    fs::set_permissions(&hook, PermissionsExt::from_mode(0o755)).unwrap();
    let exporter = to(&format!("file://{}", remote.display()), &world);
    let error = export_to(&world, &exporter, &export(1, "64Mi")).await.unwrap_err();
    assert_eq!(error.code(), "git::push");
    assert!(format!("{error:?}").contains("not on a friday"), "{error:?}");
    fs::remove_file(hook).unwrap();
    fs::rename(&remote, world.path("away")).unwrap();
    assert_eq!(code(export_to(&world, &exporter, &export(1, "64Mi")).await), "git::unreachable");
    fs::rename(world.path("away"), &remote).unwrap();
    export_to(&world, &exporter, &export(1, "64Mi")).await.unwrap();
    assert_eq!(world.git(&remote, &["rev-list", "--count", "main"]), "1");
}

#[tokio::test]
async fn a_damaged_copy_is_fetched_anew() {
    let world = World::new();
    let remote = world.repository("remote.git", true);
    let exporter = to(remote.to_str().unwrap(), &world);
    export_to(&world, &exporter, &export(1, "64Mi")).await.unwrap();
    let copies = fs::read_dir(world.path("state/git")).unwrap().flatten();
    let copy = copies.map(|entry| entry.path()).find(|path| path.is_dir()).unwrap();
    for part in ["objects", "refs", "HEAD", "config"] {
        let path = copy.join(part);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap()
        } else {
            fs::remove_file(path).unwrap()
        }
        export_to(&world, &exporter, &export(1, "64Mi")).await.unwrap();
        exporter.read(&world.ctx(), &name(), "HEAD").await.unwrap();
    }
    export_to(&world, &exporter, &export(2, "32Mi")).await.unwrap();
    world.is_sound(&remote);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_export_is_quick() {
    let world = World::new();
    let remote = world.repository("remote.git", true);
    world.repository("ops", false);
    let places = [
        ("in the deployment's own repository", GitExporter::new()),
        ("in a work tree", to("ops", &world)),
        ("pushed to a remote", to(remote.to_str().unwrap(), &world)),
    ];
    for (place, exporter) in places {
        let mut took = Vec::new();
        for revision in 1..=12 {
            let begin = Instant::now();
            export_to(&world, &exporter, &export(revision, &format!("{revision}Mi"))).await.unwrap();
            took.push(begin.elapsed());
        }
        // The first one makes the repository or its copy.
        let later = &mut took[1..];
        later.sort_unstable();
        let (median, slowest) = (later[later.len() / 2].as_millis(), later[later.len() - 1].as_millis());
        println!(
            "figure: export of a later deployment {place}: median {median} ms, slowest {slowest} ms of {}",
            later.len()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_push_at_once_all_get_there() {
    let world = Arc::new(World::new());
    let remote = world.repository("remote.git", true);
    let mut tasks = Vec::new();
    for environment in ["a", "b", "c"] {
        let (world, remote) = (Arc::clone(&world), remote.clone());
        tasks.push(tokio::spawn(async move {
            let exporter = to(remote.to_str().unwrap(), &world);
            for revision in 1..=3 {
                let mut export = export(revision, "64Mi");
                export.deployment = Deployment::new("shop", environment).unwrap();
                // Somebody was faster ten times in a row: it is owed, and tried again.
                while let Err(error) = export_to(&world, &exporter, &export).await {
                    assert_eq!(error.code(), "git::raced", "{error:?}");
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(world.git(&remote, &["rev-list", "--count", "main"]), "9");
    let revisions = world.git(&remote, &["log", "--format=%(trailers:key=Code-Deployment,valueonly,separator=)%(trailers:key=Code-Revision,valueonly,separator=)", "main"]);
    assert_eq!(revisions.lines().collect::<BTreeSet<_>>().len(), 9, "{revisions}");
    world.is_sound(&remote);
}

/// Every loose object of a repository, by name.
fn objects(dir: &Path) -> Vec<PathBuf> {
    let inside = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten().map(|e| e.path());
    let all = inside(dir.join("objects")).filter(|path| path.file_name().is_some_and(|name| name.len() == 2));
    all.flat_map(inside).collect()
}

#[tokio::test]
async fn every_damage_is_told_and_never_taken_for_a_wish() {
    let (world, own) = (World::new(), GitExporter::new());
    assert_eq!(code(own.read(&world.ctx(), &name(), "HEAD").await), "git::empty");
    let first = export_to(&world, &own, &export(1, "64Mi")).await.unwrap();
    let dir = world.own();
    let spec = own.read(&world.ctx(), &name(), "HEAD").await.unwrap();
    assert_eq!(spec.commit, Commit { path: "shop/staging/spec.yaml".into(), ..first.clone() });
    for none in ["nothing", "HEAD~1", "-x", "--help", "", "a\nb", "refs/heads/none", "HEAD:shop"] {
        assert_eq!(code(own.read(&world.ctx(), &name(), none).await), "git::revision", "{none:?}");
    }
    let other: Deployment = "shop/none".parse().unwrap();
    assert_eq!(code(own.read(&world.ctx(), &other, "HEAD").await), "git::empty");

    let needed: BTreeSet<String> =
        ["HEAD", "HEAD^{tree}", "HEAD:shop", "HEAD:shop/staging", "HEAD:shop/staging/spec.yaml"]
            .iter()
            .map(|of| world.git(&dir, &["rev-parse", of])[2..].to_owned())
            .collect();
    let mut met = 0;
    for path in objects(&dir) {
        let is_needed = needed.contains(path.file_name().unwrap().to_str().unwrap());
        let good = fs::read(&path).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        let mut flipped = good.clone();
        let last = flipped.len() - 1;
        flipped[last] ^= 1;
        for bad in [Vec::new(), good[..good.len() / 2].to_vec(), flipped, b"rubbish".to_vec()] {
            fs::write(&path, &bad).unwrap();
            let read = own.read(&world.ctx(), &name(), "HEAD").await;
            match is_needed {
                true => assert_eq!(code(read), "git::broken", "{} {bad:?}", path.display()),
                false => assert_eq!(read.unwrap(), spec),
            }
            met += usize::from(is_needed);
        }
        fs::remove_file(&path).unwrap();
        let read = own.read(&world.ctx(), &name(), "HEAD").await;
        assert_eq!(read.is_err(), is_needed);
        if is_needed {
            assert_eq!(code(read), "git::broken", "without {}", path.display());
        }
        fs::write(&path, &good).unwrap();
    }
    assert_eq!(met, 20);
    println!("figure: damaged objects told: {met} of 20");

    // A commit is not built on what cannot be read either.
    fs::write(dir.join("refs/heads/main"), format!("{}\n", "1".repeat(40))).unwrap();
    assert_eq!(code(export_to(&world, &own, &export(2, "32Mi")).await), "git::broken");
    assert_eq!(code(own.read(&world.ctx(), &name(), "main").await), "git::broken");
}

#[tokio::test]
async fn a_shallow_clone_says_that_it_is_one() {
    let (world, own) = (World::new(), GitExporter::new());
    for revision in 1..=3 {
        export_to(&world, &own, &export(revision, &format!("{revision}Mi"))).await.unwrap();
    }
    let from = format!("file://{}", world.own().display());
    world.git(world.dir.path(), &["clone", "-q", "--depth", "1", &from, "shallow"]);
    let exporter = to("shallow", &world);
    exporter.read(&world.ctx(), &name(), "HEAD").await.unwrap();
    let error = exporter.read(&world.ctx(), &name(), "HEAD~1").await.unwrap_err();
    assert_eq!(error.code(), "git::revision");
    assert!(error.help_text().unwrap().contains("--unshallow"), "{error:?}");
}

#[tokio::test]
async fn without_git_it_is_said_how_to_get_it() {
    let host: Arc<dyn Host> = Arc::new(MemoryHost::new());
    let ctx = Ctx::new(host, Arc::new(MemorySecrets::new()), "/nonexistent/state");
    let exporter = GitExporter::new().to(Place::Address("file:///srv/ops.git".into()));
    assert!(
        matches!(exporter.health(&ctx).await.unwrap(), Health::Missing { help, .. } if help.contains("apt-get"))
    );
    assert_eq!(code(exporter.export(&ctx, &export(1, "1Mi")).await), "git::missing");
    assert_eq!(code(exporter.read(&ctx, &name(), "HEAD").await), "git::missing");
}
