//! A thousand objects in a real API server: bare concurrent patches, this engine and kubectl, in one run, and each
//! again where nothing is to do. `cargo bench -p benches --features kubernetes --bench kubernetes`.
//!
//! | who | what it does |
//! |---|---|
//! | bare | sends each manifest by server-side apply, 16 at a time, and looks at nothing: what the server takes for it |
//! | the engine | plans with dry runs, plans once more when applying, applies, waits until each is ready, observes each, and writes all of it down |
//! | kubectl | `kubectl apply --server-side` |
//!
//! The Deployments have no replicas: pods would be the cluster's work, and only the engine would wait for them. It
//! still waits until the controllers have seen each Deployment, which is why that is told of the bare patches, too.
//! Each has a namespace of its own, and begins when the controllers are done with what was there before.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a bench ends where something fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use code_core::checks::{Approval, How};
use code_core::engine::Proposal;
use code_core::event::Outcome;
use code_core::intent::{Kind, Platform};
use code_core::local::{LocalHost, LocalStore};
use code_core::memory::MemorySecrets;
use code_core::provider::Resource;
use code_core::recipe::At;
use code_core::spec::{Component, Origins, Spec, Target};
use code_core::{Engine, Layout, Recipe, Result};
use code_providers::kubernetes::{Kubernetes, objects};
use futures::StreamExt;
use kube::api::{Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Request;
use serde_json::{Value, json};
use test_cluster::Cluster;
use tokio_util::sync::CancellationToken;

const OBJECTS: usize = 1000;

fn main() {
    let Some(cluster) = Cluster::get("a thousand objects") else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (bare, seen) = bare(cluster).await;
        tell("bare patches", bare);
        tell("bare patches, until the controllers have seen them", seen);
        let (applied, unchanged) = engine(cluster, bare, seen).await;
        kubectl(cluster, applied, unchanged).await;
    });
}

fn tell(what: &str, took: Duration) {
    println!("figure: {OBJECTS} objects, {what}: {:.2} s", took.as_secs_f64());
}

fn factor(what: &str, one: Duration, other: Duration) {
    println!("figure: {OBJECTS} objects, {what}: {:.1}", one.as_secs_f64() / other.as_secs_f64());
}

/// 400 ConfigMaps, 300 Services, 300 Deployments.
fn manifests(namespace: &str) -> Vec<Value> {
    let of = |api: &str, kind: &str, i: usize, more: Value| {
        let mut manifest = json!({"apiVersion": api, "kind": kind, "metadata":
            {"name": format!("n{i}"), "namespace": namespace, "labels": {"app": format!("n{i}"), "tier": "bench"}}});
        manifest.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        manifest
    };
    let map = |i| {
        of(
            "v1",
            "ConfigMap",
            i,
            json!({"data": {"LOG": "info", "INDEX": i.to_string(), "text": "x".repeat(200)}}),
        )
    };
    let service = |i| {
        let app = format!("n{i}");
        of(
            "v1",
            "Service",
            i,
            json!({"spec": {"selector": {"app": app}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}}),
        )
    };
    let deployment = |i| {
        let labels = json!({"app": format!("n{i}")});
        let container = json!({"name": "app", "image": "registry.example/app:1", "env": [{"name": "PORT", "value": "8080"}],
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}, "ports": [{"name": "http", "containerPort": 8080}]});
        let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [container]}});
        of(
            "apps/v1",
            "Deployment",
            i,
            json!({"spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}}),
        )
    };
    let all = (0..400).map(map).chain((0..300).map(service)).chain((0..300).map(deployment));
    all.collect()
}

/// Waits until the controllers have seen all that is there, and gives when they had.
async fn settled(cluster: &Cluster, namespace: &str) -> Instant {
    let begun = Instant::now();
    loop {
        let list = cluster.read(&format!("/apis/apps/v1/namespaces/{namespace}/deployments"));
        let list: Value = serde_json::from_str(&list).unwrap();
        let all = list["items"].as_array().unwrap();
        if all.len() == 300 && all.iter().all(|one| one["status"]["observedGeneration"].is_u64()) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "the controllers do not come after");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let seen = Instant::now();
    // What they do then is not the next one's.
    tokio::time::sleep(Duration::from_secs(3)).await;
    seen
}

async fn bare(cluster: &Cluster) -> (Duration, Duration) {
    let namespace = cluster.namespace("bare", false);
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
    let config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let client = kube::Client::try_from(config).unwrap();
    let manifests = manifests(&namespace);
    let begun = Instant::now();
    let calls = manifests.iter().map(|manifest| {
        let base = if manifest["kind"] == "Deployment" { "/apis/apps/v1" } else { "/api/v1" };
        let plural = format!("{}s", manifest["kind"].as_str().unwrap().to_lowercase());
        let request = Request::new(format!("{base}/namespaces/{namespace}/{plural}"));
        let name = manifest["metadata"]["name"].as_str().unwrap();
        let request = request.patch(name, &PatchParams::apply("bare"), &Patch::Apply(manifest)).unwrap();
        client.request::<Value>(request)
    });
    let mut calls = futures::stream::iter(calls).buffer_unordered(16);
    while let Some(done) = calls.next().await {
        done.unwrap();
    }
    let took = begun.elapsed();
    (took, settled(cluster, &namespace).await - begun)
}

/// All the objects, as what one component is made of.
#[derive(Debug)]
struct Objects(Vec<Value>);

impl Recipe for Objects {
    fn name(&self) -> &str {
        "objects"
    }

    fn makes(&self, _: &Spec, _: &Component) -> bool {
        true
    }

    fn resources(&self, at: &At<'_>) -> Result<Vec<Resource>> {
        objects(&at.component.name, None, &self.0)
    }
}

async fn engine(cluster: &Cluster, bare: Duration, seen: Duration) -> (Duration, Duration) {
    let namespace = cluster.namespace("code", false);
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::builder()
        .state_dir(dir.path())
        .parallel(64)
        .host(Arc::new(LocalHost::new()))
        .secrets(Arc::new(MemorySecrets::new()))
        .store(Arc::new(LocalStore::new(&Layout::new(dir.path()))))
        .provider(Arc::new(Kubernetes::with_kubeconfig(cluster.kubeconfig())))
        .recipe(Arc::new(Objects(manifests(&namespace))))
        .build()
        .unwrap();
    let target = Target { platform: Platform::Kubernetes, ..Target::default() };
    let components = vec![Component::new("objects", Kind::Worker)];
    let spec = Spec { components, target, ..Spec::new("bench", "staging") };
    let proposal = Proposal::of(spec, Origins::new()).unwrap();

    forget_peak();
    let begun = Instant::now();
    let planned = engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
    let plan = begun.elapsed();
    assert_eq!(planned.plan.steps.len(), OBJECTS);
    let at = engine.ctx().host().now();
    let approval = Approval { plan: planned.plan.id, by: "me".into(), at, how: How::Program };
    let begun = Instant::now();
    let finished = engine.apply(&planned, approval, &CancellationToken::new()).await.unwrap();
    let apply = begun.elapsed();
    assert_eq!(finished.outcome, Outcome::Succeeded, "{:?}", finished.error);
    tell("the engine's plan", plan);
    tell("the engine's apply, ready and observed", apply);
    println!("figure: {OBJECTS} objects, the engine at most: {} MB", peak("self").unwrap_or(0) / 1024);
    factor("the engine's apply in bare patches", apply, bare);
    factor("the engine's apply in bare patches that the controllers have seen", apply, seen);
    settled(cluster, &namespace).await;

    let begun = Instant::now();
    let planned = engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
    let unchanged = begun.elapsed();
    assert_eq!(planned.plan.steps.len(), 0, "{:?}", planned.plan.steps.first());
    tell("the engine, nothing to do", unchanged);
    (plan + apply, unchanged)
}

async fn kubectl(cluster: &Cluster, applied: Duration, unchanged: Duration) {
    let namespace = cluster.namespace("kubectl", false);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("objects.json");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": manifests(&namespace)});
    fs::write(&file, list.to_string()).unwrap();
    let Some((first, memory)) = run(cluster, &file) else {
        println!("skipped: {OBJECTS} objects by kubectl: `kubectl` is not here");
        return;
    };
    tell("kubectl apply --server-side", first);
    println!("figure: {OBJECTS} objects, kubectl at most: {} MB", memory / 1024);
    factor("times that kubectl takes of the engine's plan and apply", first, applied);
    settled(cluster, &namespace).await;
    let (again, _) = run(cluster, &file).unwrap();
    tell("kubectl apply --server-side, nothing to do", again);
    factor("times that kubectl takes of the engine, nothing to do", again, unchanged);
}

/// How long kubectl takes, and the most memory that it has, in KiB; `None` where it is not here.
fn run(cluster: &Cluster, file: &Path) -> Option<(Duration, u64)> {
    let begun = Instant::now();
    let mut child = Command::new("kubectl")
        .args(["apply", "--server-side", "--kubeconfig"])
        .arg(cluster.kubeconfig())
        .arg("--filename")
        .arg(file)
        .stdout(Stdio::null())
        .spawn()
        .ok()?;
    let mut most = 0;
    let status = loop {
        most = peak(&child.id().to_string()).unwrap_or(most);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(status.success());
    Some((begun.elapsed(), most))
}

/// The most memory that a process had at once, in KiB.
fn peak(process: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Counts the most memory of this process anew (proc(5), `clear_refs`).
fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}
