//! The provider held against the contract, on a real dockerd: networks, volumes, images that are pulled and built, and
//! containers that become healthy.
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use code_core::conformance::provider::{Sample, Scene};
use code_core::conformance::{self, Suite};
use code_core::provider::{Capabilities, Change, Failed, Health, Live, Observed, ProviderInfo, Resource};
use code_core::{Ctx, Digest, Expr, Provider, Result, Want};
use code_providers::container::{CONTAINER, Containers, IMAGE, NETWORK, VOLUME};
use serde_json::{Value, json};
use test_daemon::{BUSYBOX, Daemon};

/// The network in which the sample's containers are.
const SHARED: &str = "conformance-shared";

fn main() -> ExitCode {
    let Some(daemon) = Daemon::get("containers keep the contract") else { return ExitCode::SUCCESS };
    daemon.ok("POST", "/networks/create", &json!({"Name": SHARED}).to_string());
    let code = network(daemon)
        .and(volume(daemon))
        .and(built(daemon))
        .and(pulled(daemon))
        .and(container(daemon))
        .main();
    daemon.clear();
    code
}

/// The provider, and the link to the daemon's socket that it goes by: without it, it cannot look.
#[derive(Debug)]
struct Watched {
    all: Containers,
    link: PathBuf,
}

impl Watched {
    fn fresh(daemon: &'static Daemon) -> Arc<Watched> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let link = daemon.dir().join(format!("link-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        std::os::unix::fs::symlink(daemon.socket(), &link).unwrap();
        Arc::new(Watched { all: Containers::at(format!("unix://{}", link.display())), link })
    }

    fn hide(&self, _: &Scene) {
        fs::remove_file(&self.link).unwrap();
    }
}

#[async_trait]
impl Provider for Watched {
    fn info(&self) -> &ProviderInfo {
        self.all.info()
    }
    fn capabilities(&self) -> Capabilities {
        self.all.capabilities()
    }
    async fn health(&self, ctx: &Ctx) -> Result<Health> {
        self.all.health(ctx).await
    }
    async fn observe(&self, ctx: &Ctx, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
        self.all.observe(ctx, resource, last).await
    }
    async fn plan(&self, ctx: &Ctx, resource: &Resource, live: &Observed) -> Result<Change> {
        self.all.plan(ctx, resource, live).await
    }
    async fn apply(&self, ctx: &Ctx, change: &Change) -> Result<Option<Live>, Failed> {
        self.all.apply(ctx, change).await
    }
}

/// A name of the scene's own.
fn name(scene: &Scene) -> String {
    format!("scene-{}", &Digest::of(scene.dir().as_os_str().as_encoded_bytes()).to_string()[..16])
}

fn of(scene: &Scene, kind: &str, want: Want) -> Resource {
    Resource::new(scene.address(), kind, want.with("name", name(scene)))
}

/// What is really there, but for what the daemon itself goes on changing.
fn outside(daemon: &Daemon, path: &str, scene: &Scene, parts: &[&str]) -> String {
    let found: Value =
        serde_json::from_str(&daemon.read(&path.replace("NAME", &name(scene)))).unwrap_or_default();
    parts.iter().map(|part| format!("{part}: {}\n", found.pointer(part).unwrap_or(&Value::Null))).collect()
}

fn network(daemon: &'static Daemon) -> Suite {
    let path = "/networks/NAME";
    let sample = Sample::new(|scene| of(scene, NETWORK, Want::new()))
        .replaced(|scene| of(scene, NETWORK, Want::new().with("internal", true)))
        .mistakes(|scene| vec![of(scene, NETWORK, Want::new().with("driver", "x"))])
        .disturb(move |_: &Watched, scene, _| {
            drop(daemon.ok("DELETE", &format!("/networks/{}", name(scene)), ""))
        })
        .outside(move |_, scene| outside(daemon, path, scene, &["/Id", "/Created", "/Internal", "/Labels"]))
        .hide(Watched::hide)
        .patience(Duration::from_secs(240));
    conformance::provider(move || Watched::fresh(daemon), &sample).named("container.network")
}

fn volume(daemon: &'static Daemon) -> Suite {
    let sample = Sample::new(|scene| of(scene, VOLUME, Want::new()))
        .mistakes(|scene| vec![of(scene, VOLUME, Want::new().with("size", "1Gi"))])
        .disturb(move |_: &Watched, scene, _| {
            drop(daemon.ok("DELETE", &format!("/volumes/{}", name(scene)), ""))
        })
        .outside(move |_, scene| outside(daemon, "/volumes/NAME", scene, &["/Name", "/CreatedAt", "/Labels"]))
        .hide(Watched::hide)
        .patience(Duration::from_secs(240));
    conformance::provider(move || Watched::fresh(daemon), &sample).named("container.volume")
}

fn built(daemon: &'static Daemon) -> Suite {
    let of = |scene: &Scene, text: &str| {
        let context = scene.dir().join("context");
        fs::create_dir_all(&context).unwrap();
        fs::write(context.join("page"), "hello").unwrap();
        let recipe = format!("FROM {BUSYBOX}\nLABEL text={text} scene={}\nCOPY page /www/\n", name(scene));
        let want = Want::new()
            .with("context", context.to_str().unwrap())
            .with("recipe", recipe)
            .with("digest", Digest::of(text.as_bytes()).to_string());
        of(scene, IMAGE, want)
    };
    let sample = Sample::new(move |scene| of(scene, "one"))
        .replaced(move |scene| of(scene, "two"))
        .mistakes(move |scene| {
            let want = Want::new().with("context", "/nowhere").with("digest", "1");
            vec![self::of(scene, IMAGE, want)]
        })
        .disturb(move |_: &Watched, _, live| drop(daemon.ok("DELETE", &format!("/images/{}", live.id), "")))
        .outside(move |_, scene| images(daemon, scene))
        .stops(4)
        .hide(Watched::hide)
        .patience(Duration::from_secs(240));
    conformance::provider(move || Watched::fresh(daemon), &sample).named("container.image built")
}

/// Images of a registry; those of a stranger daemon may be none that it uses.
fn pulled(daemon: &'static Daemon) -> Suite {
    let registry = daemon.registry().unwrap();
    let reference = format!("{registry}/conformance/busybox");
    let push = |tag: &str| daemon.push(BUSYBOX, &format!("{reference}:{tag}")).unwrap();
    push("1");
    push("2");
    let of = move |scene: &Scene, tag: &str| {
        of(scene, IMAGE, Want::new().with("reference", format!("{reference}:{tag}")))
    };
    let (one, two) = (of.clone(), of);
    let sample = Sample::new(move |scene| one(scene, "1"))
        .replaced(move |scene| two(scene, "2"))
        .mistakes(|scene| vec![self::of(scene, IMAGE, Want::new().with("reference", "UPPER CASE"))])
        .disturb(move |_: &Watched, _, live| drop(daemon.ok("DELETE", &format!("/images/{}", live.id), "")))
        .outside(move |_, scene| images(daemon, scene))
        .stops(4)
        .hide(Watched::hide)
        .patience(Duration::from_secs(240));
    conformance::provider(move || Watched::fresh(daemon), &sample).named("container.image pulled")
}

/// The tags of a scene and their images.
fn images(daemon: &Daemon, scene: &Scene) -> String {
    let all: Vec<Value> = serde_json::from_str(&daemon.read("/images/json")).unwrap_or_default();
    let tags = all.iter().flat_map(|image| {
        let tags = image["RepoTags"].as_array().into_iter().flatten().filter_map(Value::as_str);
        tags.map(|tag| format!("{tag} {}\n", image["Id"]))
    });
    let mut tags: Vec<String> = tags.filter(|tag| tag.contains(&name(scene))).collect();
    tags.sort();
    tags.concat()
}

fn container(daemon: &'static Daemon) -> Suite {
    let of = |scene: &Scene, page: &str, memory: &str| {
        let serve = format!("echo {page} > /www/page; exec httpd -f -p 8080 -h /www");
        let want = Want::new()
            .with("image", BUSYBOX)
            .with("args", json!(["/bin/sh", "-c", serve]))
            .with("network.0", SHARED)
            .with("alias", name(scene))
            .with("port", 8080)
            .with("publish", "auto")
            .with("memory", memory)
            .with("env.LEVEL", "debug")
            .with("env.TOKEN", Expr::secret("sample/token"))
            .with("health.path", "/page")
            .with("health.command", json!(["/bin/sh", "-c", "test -f /www/page"]))
            .with("health.timeout_seconds", 60)
            .with("grace_seconds", 1);
        of(scene, CONTAINER, want)
    };
    let parts =
        ["/Id", "/Created", "/State/StartedAt", "/State/Paused", "/HostConfig", "/Config", "/RestartCount"];
    let sample = Sample::new(move |scene| of(scene, "one", "64Mi"))
        .changed(move |scene| of(scene, "one", "96Mi"))
        .replaced(move |scene| of(scene, "two", "64Mi"))
        .mistakes(|scene| {
            let of = |want: Want| self::of(scene, CONTAINER, want.with("image", BUSYBOX));
            vec![
                of(Want::new().with("port", 80).with("publish", 0)),
                of(Want::new().with("volume./", "/etc")),
            ]
        })
        // Paused, it answers nobody and its engine says so.
        .disturb(move |_: &Watched, scene, _| {
            drop(daemon.ok("POST", &format!("/containers/{}/pause", name(scene)), ""))
        })
        .outside(move |_, scene| outside(daemon, "/containers/NAME/json", scene, &parts))
        .secret("sample/token", "a-token-0123456789")
        .stops(4)
        .hide(Watched::hide)
        .patience(Duration::from_secs(300));
    conformance::provider(move || Watched::fresh(daemon), &sample).named("container")
}
