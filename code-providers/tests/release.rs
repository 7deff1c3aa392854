//! Releases of real projects, built with real commands.
#![cfg(feature = "release")]
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use code_core::host::Command;
use code_core::local::LocalHost;
use code_core::memory::MemorySecrets;
use code_core::provider::{Action, Change, Effects, Live, Observed, Resource};
use code_core::{Ctx, Deployment, Digest, Error, Progress, Provider, Want};
use code_providers::{ReleaseProvider, source_digest};
use serde_json::json;

struct World {
    provider: ReleaseProvider,
    ctx: Ctx,
    lines: Arc<Mutex<Vec<String>>>,
    project: PathBuf,
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let project = dir.path().join("Projekt mit Ümläuten");
        fs::create_dir(&project).unwrap();
        fs::write(project.join("app.sh"), "echo one").unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&lines);
        let host = Arc::new(LocalHost::new());
        let ctx = Ctx::new(host, Arc::new(MemorySecrets::default()), dir.path().join("state"))
            .for_deployment(&Deployment::new("shop", "staging").unwrap())
            .with_progress(Arc::new(move |progress| {
                if let Progress::Line(line) = progress {
                    into.lock().unwrap().push(line);
                }
            }));
        World { provider: ReleaseProvider::new(), ctx, lines, project, dir }
    }

    fn release(&self, build: Option<&str>) -> Resource {
        let build = build.map(|line| vec!["sh".to_owned(), "-c".to_owned(), line.to_owned()]);
        let digest = source_digest(&self.project, build.as_deref(), None).unwrap();
        let want = Want::new()
            .with("source", self.project.to_str().unwrap())
            .with("digest", digest.to_string())
            .with_some("build", build.map(|argv| json!(argv)));
        Resource::new("web/release".parse().unwrap(), "release", want)
    }

    async fn plan(&self, resource: &Resource, last: Option<&Live>) -> Change {
        let observed = self.provider.observe(&self.ctx, resource, last).await.unwrap();
        self.provider.plan(&self.ctx, resource, &observed).await.unwrap()
    }

    async fn apply(&self, resource: &Resource, last: Option<&Live>) -> Result<Live, Error> {
        let change = self.plan(resource, last).await;
        self.provider.apply(&self.ctx, &change).await.map(Option::unwrap).map_err(|failed| failed.error)
    }
}

fn dir(live: &Live) -> PathBuf {
    serde_json::from_value(live.outputs["dir"].known().unwrap()).unwrap()
}

#[tokio::test]
async fn a_release_outlives_its_project() {
    let world = World::new();
    let first = world.release(Some("echo made > out.txt; echo building it"));
    let plan = world.plan(&first, None).await;
    assert_eq!(plan.action, Action::Create);
    let live = world.apply(&first, None).await.unwrap();
    assert_eq!(world.plan(&first, None).await.action, Action::Keep);
    assert_eq!(fs::read_to_string(dir(&live).join("out.txt")).unwrap(), "made\n");
    assert_eq!(*world.lines.lock().unwrap(), ["building it"]);
    let mode = fs::metadata(dir(&live).join("app.sh")).unwrap().permissions().mode();
    assert_eq!(mode & 0o222, 0, "read-only");
    assert!(!world.project.join("out.txt").exists(), "the project is left alone");

    fs::write(world.project.join("app.sh"), "echo two").unwrap();
    let second = world.release(None);
    let plan = world.plan(&second, Some(&live)).await;
    assert_eq!((plan.action, plan.reversal.to().unwrap().want.clone()), (Action::Update, first.want.clone()));
    let new = world.apply(&second, Some(&live)).await.unwrap();
    assert_ne!(dir(&new), dir(&live));

    fs::remove_dir_all(&world.project).unwrap();
    // Both are still there; the one that the deployment has is the last one, until it is changed.
    for (resource, last, other) in [(&first, &new, &live), (&second, &live, &new)] {
        assert_eq!(world.plan(resource, Some(last)).await.action, Action::Update);
        assert_eq!(world.apply(resource, Some(last)).await.unwrap(), *other);
        assert_eq!(world.plan(resource, Some(other)).await.action, Action::Keep);
    }
    let gone = world.plan(&first.gone(), Some(&live)).await;
    assert_eq!(gone.effects, Effects::none());
    assert_eq!(world.provider.apply(&world.ctx, &gone).await.unwrap(), None);
    assert_eq!(
        world.provider.observe(&world.ctx, &first.gone(), Some(&live)).await.unwrap(),
        Observed::Absent
    );
    assert_eq!(fs::read_to_string(dir(&live).join("app.sh")).unwrap(), "echo one");
}

#[tokio::test]
async fn what_changed_since_it_was_planned_is_not_made() {
    let world = World::new();
    let release = world.release(None);
    let plan = world.plan(&release, None).await;
    fs::write(world.project.join("app.sh"), "echo evil").unwrap();
    let failed = world.provider.apply(&world.ctx, &plan).await.unwrap_err();
    assert_eq!((failed.error.code(), failed.left), ("release::changed", Observed::Absent));
    assert_eq!(world.provider.observe(&world.ctx, &release, None).await.unwrap(), Observed::Absent);
}

#[tokio::test]
async fn a_state_directory_in_the_project_is_no_part_of_it() {
    let mut world = World::new();
    let state = world.project.join("state");
    let host = world.ctx.host_arc();
    world.ctx = Ctx::new(host, Arc::new(MemorySecrets::default()), &state);
    let release = world.release(None);
    let live = world.apply(&release, None).await.unwrap();
    assert!(dir(&live).starts_with(&state) && !dir(&live).join("state").exists());
    assert_eq!(world.release(None), release, "and it changes nothing");
}

#[tokio::test]
async fn a_build_that_fails_leaves_no_release() {
    let world = World::new();
    let release = world.release(Some("echo first; echo the reason >&2; exit 7"));
    let error = world.apply(&release, None).await.unwrap_err();
    assert_eq!(error.code(), "release::build");
    assert!(error.message().contains("code 7"), "{error:?}");
    assert!(error.context().any(|(_, text)| text == "the reason"), "{error:?}");
    assert_eq!(world.provider.observe(&world.ctx, &release, None).await.unwrap(), Observed::Absent);

    // And one that was killed in the middle: its files are there, but not the word that it is complete.
    let good = world.release(None);
    let live = world.apply(&good, None).await.unwrap();
    fs::remove_file(dir(&live).with_extension("json")).unwrap();
    fs::remove_file(dir(&live).join("app.sh")).unwrap();
    assert_eq!(world.plan(&good, None).await.action, Action::Create);
    world.apply(&good, None).await.unwrap();
    assert_eq!(fs::read_to_string(dir(&live).join("app.sh")).unwrap(), "echo one");
}

#[tokio::test]
async fn two_at_once_make_it_once() {
    let world = World::new();
    let release = world.release(Some("echo x >> built; sleep 0.3"));
    let (a, b) = tokio::join!(world.apply(&release, None), world.apply(&release, None));
    assert_eq!(a.unwrap(), b.unwrap());
    let dir = dir(&world.apply(&release, None).await.unwrap());
    assert_eq!(fs::read_to_string(dir.join("built")).unwrap(), "x\n");
}

#[tokio::test]
async fn cargo_keeps_its_build_directory_and_the_release_gets_the_programs() {
    let world = World::new();
    // What cargo would do, as far as it matters here: programs in CARGO_TARGET_DIR, and other files beside them.
    let cargo = world.dir.path().join("cargo");
    let script = "#!/bin/sh\nmkdir -p $CARGO_TARGET_DIR/release && cd $CARGO_TARGET_DIR/release && echo x > shop && \
                  echo x > shop.d && chmod +x shop && echo again >> runs\n";
    fs::write(&cargo, script).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    let line = format!("exec \"{}\" build --release", cargo.display());
    let live = world.apply(&world.release(Some(&line)), None).await.unwrap();
    let mut names: Vec<_> =
        fs::read_dir(dir(&live).join("target/release")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["shop"]);
    fs::write(world.project.join("app.sh"), "echo two").unwrap();
    world.apply(&world.release(Some(&line)), None).await.unwrap();
    let runs = world.ctx.state_dir().join("cache/shop@staging/web/cargo/release/runs");
    assert_eq!(fs::read_to_string(runs).unwrap(), "again\nagain\n");
}

#[tokio::test]
async fn a_real_crate_is_built() {
    let world = World::new();
    fs::write(
        world.project.join("Cargo.toml"),
        "[package]\nname = \"shop\"\nedition = \"2024\"\n[workspace]\n",
    )
    .unwrap();
    fs::create_dir(world.project.join("src")).unwrap();
    fs::write(world.project.join("src/main.rs"), "fn main() { println!(\"open\"); }").unwrap();
    let live = world.apply(&world.release(Some("cargo build --release --offline")), None).await.unwrap();
    let program = Command::new(dir(&live).join("target/release/shop"));
    let output = world.ctx.host().run(world.ctx.cancel(), program, &|_| {}).await.unwrap();
    assert_eq!(output.text(), "open\n");
    assert!(world.lines.lock().unwrap().iter().any(|line| line.contains("Compiling shop")));
    assert!(!world.project.join("Cargo.lock").exists(), "the project is left alone");
}

#[tokio::test]
async fn the_sample_app_is_this_program() {
    let mut world = World::new();
    let program = world.dir.path().join("front");
    fs::write(&program, "the front").unwrap();
    world.provider = ReleaseProvider::new().with_sample(program, Digest::of(b"sample"));
    let want = Want::new().with("source", "sample").with("digest", Digest::of(b"sample").to_string());
    let release = Resource::new("web/release".parse().unwrap(), "release", want);
    let live = world.apply(&release, None).await.unwrap();
    assert_eq!(fs::read_to_string(dir(&live).join("app")).unwrap(), "the front");

    let want = Want::new().with("source", "sample").with("digest", Digest::of(b"another").to_string());
    let other = Resource::new("web/release".parse().unwrap(), "release", want);
    assert_eq!(world.apply(&other, None).await.unwrap_err().code(), "release::changed");
}
