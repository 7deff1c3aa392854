//! What the provider of Terraform costs over the bare tool, and what it spares: side by side, in one run.
//!
//! ```text
//! bare   tool apply PLAN          20 × (tool plan, tool apply)     tool plan, tool show
//! ours   Provider::apply          20 × observe, plan, apply,       Provider::observe, ::plan
//!                                 as many at once as it allows     of what did not change
//! ```
//!
//! Each is measured in turns, and the medians are told. Both tools where both are here; one that is not is named.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a bench ends where something fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use code_core::local::LocalHost;
use code_core::memory::MemorySecrets;
use code_core::provider::{Action, Resource};
use code_core::{Ctx, Deployment, Digest, Host, Key, Provider, StepId, Want};
use code_providers::source_digest;
use code_providers::terraform::{Flavour, ROOT, Terraform};
use futures::StreamExt;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How often each is measured.
const ROUNDS: usize = 7;
/// How many resources the large root has, and how many roots are applied at once.
const RESOURCES: usize = 200;
const ROOTS: usize = 20;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for tool in Flavour::ALL {
        match LocalHost::new().which(tool.program()) {
            Some(program) => {
                apply(&runtime, tool, &program);
                many(&runtime, tool, &program);
                unchanged(&runtime, tool, &program);
            }
            None => println!("skipped: what {} costs: it is not on this machine", tool.name()),
        }
    }
}

/// Roots in a directory of their own.
struct Ground {
    dir: TempDir,
    tool: Flavour,
}

impl Ground {
    fn new(tool: Flavour) -> Ground {
        Ground { dir: TempDir::new().unwrap(), tool }
    }

    fn root(&self, name: &str, resources: usize) -> PathBuf {
        let dir = self.dir.path().join(name);
        fs::create_dir(&dir).unwrap();
        let main = format!(
            "resource \"terraform_data\" \"x\" {{\n  count = {resources}\n  input = count.index\n}}\n"
        );
        fs::write(dir.join("main.tf"), main).unwrap();
        dir
    }

    fn resource(&self, name: &str, root: &Path) -> Resource {
        let digest = source_digest(root, None, None).unwrap();
        let want = Want::new()
            .with("tool", self.tool.engine())
            .with("source", root.to_str().unwrap())
            .with("digest", digest.to_string());
        Resource::new(format!("{name}/endpoint").parse().unwrap(), ROOT, want)
    }

    fn ctx(&self, step: u32) -> Ctx {
        let state = self.dir.path().join("state");
        Ctx::new(Arc::new(LocalHost::new()), Arc::new(MemorySecrets::new()), state)
            .for_deployment(&Deployment::new("shop", "staging").unwrap())
            .for_step(Key::of(Digest::ZERO, StepId(step), false), Default::default())
    }
}

/// Runs the bare tool to its end.
fn bare(program: &Path, dir: &Path, args: &[&str]) {
    let mut command = Command::new(program);
    command.args(args).current_dir(dir).stdout(Stdio::null());
    command.env("CHECKPOINT_DISABLE", "1").env_remove("TF_CLI_CONFIG_FILE");
    assert!(command.status().unwrap().success(), "{args:?}");
}

fn timed<T>(what: impl FnOnce() -> T) -> (Duration, T) {
    let begin = Instant::now();
    let done = what();
    (begin.elapsed(), done)
}

fn tell(what: &str, tool: Flavour, mut bare: Vec<Duration>, mut ours: Vec<Duration>) {
    let median = |all: &mut Vec<Duration>| {
        all.sort();
        all[all.len() / 2].as_secs_f64()
    };
    let (bare, ours) = (median(&mut bare), median(&mut ours));
    println!("figure: {what}, {}: bare {bare:.3} s, ours {ours:.3} s: {:.3} of it", tool.name(), ours / bare);
}

/// A saved plan of many resources.
fn apply(runtime: &Runtime, tool: Flavour, program: &Path) {
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let ground = Ground::new(tool);
        let root = ground.root("bare", RESOURCES);
        bare(program, &root, &["init", "-input=false"]);
        bare(program, &root, &["plan", "-input=false", "-out=plan"]);
        theirs.push(timed(|| bare(program, &root, &["apply", "-input=false", "-json", "plan"])).0);

        let resource = ground.resource("ours", &ground.root("ours", RESOURCES));
        let (terraform, ctx) = (Terraform::default(), ground.ctx(1));
        let change = runtime.block_on(async {
            let seen = terraform.observe(&ctx, &resource, None).await.unwrap();
            terraform.plan(&ctx, &resource, &seen).await.unwrap()
        });
        let (took, live) = timed(|| runtime.block_on(terraform.apply(&ctx, &change)).unwrap());
        assert!(live.is_some());
        ours.push(took);
    }
    tell(&format!("apply of {RESOURCES} terraform_data"), tool, theirs, ours);
}

/// Independent roots: one after the other by hand, and as many at once as the provider allows.
fn many(runtime: &Runtime, tool: Flavour, program: &Path) {
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS.div_ceil(2) {
        let ground = Ground::new(tool);
        let roots: Vec<PathBuf> = (0..ROOTS).map(|i| ground.root(&format!("bare{i}"), 1)).collect();
        let (took, ()) = timed(|| {
            for root in &roots {
                bare(program, root, &["init", "-input=false"]);
                bare(program, root, &["plan", "-input=false", "-out=plan"]);
                bare(program, root, &["apply", "-input=false", "-json", "plan"]);
            }
        });
        theirs.push(took);

        let roots = (0..ROOTS).map(|i| format!("ours{i}"));
        let resources: Vec<Resource> =
            roots.map(|name| ground.resource(&name, &ground.root(&name, 1))).collect();
        let terraform = Terraform::default();
        let one = async |(i, resource): (u32, &Resource)| {
            let ctx = ground.ctx(i);
            let seen = terraform.observe(&ctx, resource, None).await.unwrap();
            let change = terraform.plan(&ctx, resource, &seen).await.unwrap();
            terraform.apply(&ctx, &change).await.unwrap().unwrap();
        };
        let at_once = terraform.capabilities().concurrency;
        let all = futures::stream::iter((1..).zip(&resources)).for_each_concurrent(at_once, one);
        ours.push(timed(|| runtime.block_on(all)).0);
    }
    tell(&format!("{ROOTS} roots from nothing, one after the other and at once"), tool, theirs, ours);
}

/// What did not change, looked at again by another engine.
fn unchanged(runtime: &Runtime, tool: Flavour, program: &Path) {
    let ground = Ground::new(tool);
    let root = ground.root("bare", RESOURCES);
    bare(program, &root, &["init", "-input=false"]);
    bare(program, &root, &["apply", "-input=false", "-auto-approve"]);
    let resource = ground.resource("ours", &ground.root("ours", RESOURCES));
    let look = || {
        let (terraform, ctx) = (Terraform::default(), ground.ctx(1));
        runtime.block_on(async {
            let seen = terraform.observe(&ctx, &resource, None).await.unwrap();
            terraform.plan(&ctx, &resource, &seen).await.unwrap()
        })
    };
    runtime.block_on(Terraform::default().apply(&ground.ctx(1), &look())).unwrap();
    assert_eq!(look().action, Action::Keep);
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let theirs_now = timed(|| {
            bare(program, &root, &["plan", "-input=false", "-out=plan"]);
            bare(program, &root, &["show", "-json", "plan"]);
        });
        theirs.push(theirs_now.0);
        let (took, change) = timed(look);
        assert_eq!(change.action, Action::Keep);
        ours.push(took);
    }
    tell(&format!("an unchanged plan of {RESOURCES} terraform_data"), tool, theirs, ours);
}
