//! A state directory, a provider, and the shortest way to ask for things.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use code_core::memory::{MemoryHost, MemorySecrets};
use code_core::provider::{Change, Failed, Live, Observed, Resource};
use code_core::{Ctx, Deployment, Digest, Error, Host, Key, Layout, Provider, StepId, Want};
use code_providers::ProcessProvider;
use code_providers::process::keeper::{Kept, Place, Seen, Table, keeper_events};
use rustix::process::{Pid, Signal};

use crate::app;

pub(crate) type Test = fn() -> Pin<Box<dyn Future<Output = ()>>>;

/// One test by its name.
#[macro_export]
macro_rules! trials {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn trials() -> Vec<(&'static str, $crate::world::Test)> {
            vec![$((stringify!($name), || Box::pin($name()))),*]
        }
    };
}

pub(crate) struct World {
    pub(crate) provider: ProcessProvider,
    pub(crate) ctx: Ctx,
    pub(crate) state: PathBuf,
    pub(crate) deployment: Deployment,
    steps: AtomicU32,
    _dir: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> World {
        World::at("state")
    }

    /// A world whose state directory has this name.
    pub(crate) fn at(name: &str) -> World {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join(name);
        std::fs::create_dir_all(&state).unwrap();
        let host =
            MemoryHost::new().with_env("PATH", "/usr/local/bin:/usr/bin:/bin").with_env("HOME", "/tmp");
        // Where `/tmp` is not for everybody, the short paths of sockets go where this says.
        let host = match std::env::var("TMPDIR") {
            Ok(dir) => host.with_env("TMPDIR", &dir),
            Err(_) => host,
        };
        let host: Arc<dyn Host> = Arc::new(host);
        let deployment = Deployment::new("shop", "staging").unwrap();
        let ctx = Ctx::new(host, Arc::new(MemorySecrets::default()), &state).for_deployment(&deployment);
        World {
            provider: ProcessProvider::new(),
            ctx,
            state,
            deployment,
            steps: AtomicU32::new(0),
            _dir: dir,
        }
    }

    /// Surroundings for one step, with a key of its own.
    pub(crate) fn step(&self) -> Ctx {
        let step = StepId(self.steps.fetch_add(1, Ordering::Relaxed));
        let key = Key::of(Digest::of(self.state.as_os_str().as_encoded_bytes()), step, false);
        self.ctx.clone().for_step(key, BTreeSet::from([code_core::SecretRef("password".into())]))
    }

    pub(crate) async fn observe(&self, resource: &Resource) -> Observed {
        self.provider.observe(&self.ctx, resource, None).await.unwrap()
    }

    pub(crate) async fn try_plan(&self, resource: &Resource) -> Result<Change, Error> {
        let observed = self.observe(resource).await;
        self.provider.plan(&self.ctx, resource, &observed).await
    }

    pub(crate) async fn plan(&self, resource: &Resource) -> Change {
        self.try_plan(resource).await.unwrap()
    }

    pub(crate) async fn try_apply(&self, resource: &Resource) -> Result<Option<Live>, Failed> {
        let change = self.plan(resource).await;
        self.provider.apply(&self.step(), &change).await
    }

    pub(crate) async fn provider_apply(&self, ctx: &Ctx, change: &Change) -> Live {
        self.provider.apply(ctx, change).await.unwrap().unwrap()
    }

    pub(crate) async fn apply(&self, resource: &Resource) -> Live {
        self.try_apply(resource).await.unwrap().unwrap()
    }

    pub(crate) async fn delete(&self, resource: &Resource) {
        assert_eq!(self.try_apply(&resource.gone()).await.unwrap(), None);
    }

    pub(crate) fn table(&self) -> Table {
        Table::read(&self.state).unwrap()
    }

    pub(crate) fn kept(&self, resource: &Resource) -> Option<Kept> {
        let place = Place { deployment: self.deployment.clone(), address: resource.address.clone() };
        self.table().process(&place).cloned()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        keeper_events(&self.state, &self.deployment).unwrap().into_iter().map(|event| event.seen).collect()
    }

    /// The process of the keeper that was started last.
    pub(crate) fn keeper(&self) -> i32 {
        let text = std::fs::read_to_string(self.keeper_file("events.jsonl")).unwrap();
        let mut events = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let pid = events.rfind(|event| event["seen"] == "keeper_started").unwrap()["pid"].as_i64();
        i32::try_from(pid.unwrap()).unwrap()
    }

    pub(crate) fn keeper_file(&self, name: &str) -> PathBuf {
        Layout::new(&self.state).keeper().join(name)
    }

    /// What `kill -9` does to the keeper.
    pub(crate) async fn kill_keeper(&self) {
        let pid = self.keeper();
        kill(pid);
        eventually("the keeper is gone", || !runs(pid)).await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.keeper_file("events.jsonl").exists() {
            kill(self.keeper());
        }
        for kept in Table::read(&self.state).map(|table| table.processes).unwrap_or_default() {
            let Some(identity) = kept.identity else { continue };
            identity.kin(&kept.job.key).keys().for_each(|pid| kill(*pid));
        }
    }
}

/// The test's own app, as a process resource.
pub(crate) fn web(name: &str) -> Resource {
    Resource::new(format!("web/process.{name}").parse().unwrap(), "process", web_want())
}

pub(crate) fn web_want() -> Want {
    Want::new()
        .with("program", me().to_str().unwrap())
        .with("args", serde_json::json!([app::ARGUMENT]))
        .with("port", "auto")
        .with("health.path", "/health")
        .with("health.timeout_seconds", serde_json::json!(20))
        .with("grace_seconds", serde_json::json!(5))
}

pub(crate) fn with(mut resource: Resource, name: &str, value: impl Into<code_core::Expr>) -> Resource {
    resource.want = resource.want.map(|want| want.with(name, value));
    resource
}

/// A route to these processes.
pub(crate) fn route(port: u16, targets: &[&Live]) -> Resource {
    let mut want =
        Want::new().with("port", port).with("protocol", "http").with("drain_seconds", serde_json::json!(3));
    for (i, target) in targets.iter().enumerate() {
        want = want.with(&format!("target.{i}"), target.outputs["address"].clone());
    }
    Resource::new("web/endpoint".parse().unwrap(), "route", want)
}

pub(crate) fn me() -> PathBuf {
    std::env::current_exe().unwrap()
}

pub(crate) fn port_of(live: &Live) -> u16 {
    serde_json::from_value(live.outputs["port"].known().unwrap()).unwrap()
}

pub(crate) fn pid_of(live: &Live) -> i32 {
    serde_json::from_value(live.outputs["pid"].known().unwrap()).unwrap()
}

/// A port that is free, for a route.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let seed = u64::from(std::process::id()) * 131 + u64::from(NEXT.fetch_add(97, Ordering::Relaxed));
    code_providers::process::port::free(seed, |_| false).unwrap()
}

pub(crate) fn kill(pid: i32) {
    let _ = rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
}

pub(crate) fn runs(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Waits for something that will happen, and fails when it does not.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "not seen in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn read_all(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(read_all(&entry.path()));
        } else if entry.file_type().unwrap().is_file() {
            found.push((entry.path(), std::fs::read(entry.path()).unwrap()));
        }
    }
    found
}

/// A `GET`, over a connection of its own.
pub(crate) async fn get(port: u16, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: shop.test:{port}\r\nconnection: close\r\n\r\n");
    call(port, &request).await
}

pub(crate) async fn call(port: u16, request: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    let status = reply.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let body = reply.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status, body)
}
