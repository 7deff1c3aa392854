//! The provider held against the contract, on a real API server: objects that are there at once, and workloads that
//! become ready.
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use code_core::conformance::provider::{Sample, Scene};
use code_core::conformance::{self, Suite};
use code_core::provider::{Capabilities, Change, Failed, Health, Live, Observed, ProviderInfo, Resource};
use code_core::{Ctx, Digest, Expr, Provider, Result, Want};
use code_providers::kubernetes::{KIND, Kubernetes};
use serde_json::{Value, json};
use test_cluster::Cluster;

fn main() -> ExitCode {
    let Some(cluster) = Cluster::get("Kubernetes keeps the contract") else { return ExitCode::SUCCESS };
    let namespace = cluster.namespace("conformance", false);
    let namespace: &'static str = Box::leak(namespace.into_boxed_str());
    let code =
        settings(cluster, namespace).and(secret(cluster, namespace)).and(workload(cluster, namespace)).main();
    cluster.delete(&format!("/api/v1/namespaces/{namespace}"));
    code
}

/// The provider, and how it loses its permission to look.
#[derive(Debug)]
struct Watched {
    all: Kubernetes,
    nothing: Kubernetes,
    hidden: AtomicBool,
}

impl Watched {
    fn new(cluster: &Cluster) -> Arc<Watched> {
        Arc::new(Watched {
            all: Kubernetes::with_kubeconfig(cluster.kubeconfig()),
            nothing: Kubernetes::with_kubeconfig(cluster.nobody()),
            hidden: AtomicBool::new(false),
        })
    }

    fn now(&self) -> &Kubernetes {
        if self.hidden.load(Ordering::SeqCst) { &self.nothing } else { &self.all }
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
        self.now().health(ctx).await
    }
    async fn observe(&self, ctx: &Ctx, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
        self.now().observe(ctx, resource, last).await
    }
    async fn plan(&self, ctx: &Ctx, resource: &Resource, live: &Observed) -> Result<Change> {
        self.now().plan(ctx, resource, live).await
    }
    async fn apply(&self, ctx: &Ctx, change: &Change) -> Result<Option<Live>, Failed> {
        self.now().apply(ctx, change).await
    }
}

/// A name of the scene's own.
fn name(scene: &Scene) -> String {
    format!("s{}", &Digest::of(scene.dir().as_os_str().as_encoded_bytes()).to_string()[..16])
}

fn of(scene: &Scene, namespace: &str, api: &str, kind: &str, more: Value) -> Resource {
    let mut manifest =
        json!({"apiVersion": api, "kind": kind, "metadata": {"name": name(scene), "namespace": namespace}});
    manifest.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Resource::new(
        scene.address(),
        KIND,
        Want::new().with("manifest", manifest).with("ready_seconds", json!(60)),
    )
}

/// What is really there of a scene: each object with its version.
fn outside(cluster: &Cluster, path: &str, scene: &Scene) -> String {
    let path = format!("{path}/{}", name(scene));
    let found: Value = serde_json::from_str(&cluster.read(&path)).unwrap_or_default();
    format!("{} {} {}", path, found["metadata"]["uid"], found["metadata"]["generation"])
        + &found["metadata"]["resourceVersion"].to_string()
}

fn settings(cluster: &'static Cluster, namespace: &'static str) -> Suite {
    let map =
        move |scene: &Scene, data: Value| of(scene, namespace, "v1", "ConfigMap", json!({"data": data}));
    let path = format!("/api/v1/namespaces/{namespace}/configmaps");
    let (there, patched) = (path.clone(), path);
    let sample = Sample::new(move |scene| map(scene, json!({"a": "1", "b": "2"})))
        .changed(move |scene| map(scene, json!({"a": "1", "b": "3"})))
        .replaced(move |scene| map(scene, json!({"a": "1", "b": "2"})).renamed())
        .mistakes(move |scene| {
            vec![
                of(scene, namespace, "v1", "Nonsense", json!({})),
                of(scene, "no-such-namespace", "v1", "ConfigMap", json!({})),
                of(scene, namespace, "v1", "ConfigMap", json!({"data": {"a": 1}})),
                of(scene, namespace, "v1", "ConfigMap", json!({"dta": {"a": "1"}})),
            ]
        })
        .disturb(move |_, scene, _| {
            cluster.patch(&format!("{patched}/{}", name(scene)), r#"{"data":{"a":null}}"#)
        })
        .hide(|provider: &Watched, _| provider.hidden.store(true, Ordering::SeqCst))
        .outside(move |_, scene| outside(cluster, &there, scene))
        .patience(Duration::from_secs(300));
    conformance::provider(move || Watched::new(cluster), &sample).named("kubernetes.configmap")
}

fn secret(cluster: &'static Cluster, namespace: &'static str) -> Suite {
    let path = format!("/api/v1/namespaces/{namespace}/secrets");
    let patched = path.clone();
    let of = move |scene: &Scene, user: &str| {
        let mut resource = of(scene, namespace, "v1", "Secret", json!({"stringData": {"user": user}}));
        let url =
            Expr::Text(vec!["postgres://app:".into(), Expr::secret("sample/password"), "@db/app".into()]);
        let want = resource.wanted().with("at./data/url", url.clone()).with("output.url", url);
        resource.want = Some(want);
        resource
    };
    let sample = Sample::new(move |scene| of(scene, "app"))
        .changed(move |scene| of(scene, "shop"))
        .secret("sample/password", "a-password-0123456789")
        .disturb(move |_, scene, _| {
            cluster.patch(&format!("{patched}/{}", name(scene)), r#"{"data":{"url":null}}"#)
        })
        .outside(move |_, scene| outside(cluster, &path, scene))
        .stops(2)
        .patience(Duration::from_secs(300));
    conformance::provider(move || Watched::new(cluster), &sample).named("kubernetes.secret")
}

fn workload(cluster: &'static Cluster, namespace: &'static str) -> Suite {
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    let gone = path.clone();
    let of = move |scene: &Scene, replicas: u32, app: &str| {
        let labels = json!({"app": format!("{app}-{}", name(scene))});
        let pod = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "shop:1", "resources": {"requests": {"cpu": "1000m"}}}]}});
        of(
            scene,
            namespace,
            "apps/v1",
            "Deployment",
            json!({"spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod}}),
        )
    };
    let sample = Sample::new(move |scene| of(scene, 1, "shop"))
        .changed(move |scene| of(scene, 2, "shop"))
        .replaced(move |scene| of(scene, 1, "store"))
        .disturb(move |_, scene, _| cluster.delete(&format!("{gone}/{}", name(scene))))
        // The controller writes what it sees; only what is wanted counts here.
        .outside(move |_, scene| {
            let found: Value =
                serde_json::from_str(&cluster.read(&format!("{path}/{}", name(scene)))).unwrap_or_default();
            format!("{} {}", found["metadata"]["uid"], found["metadata"]["generation"])
        })
        .stops(3)
        .patience(Duration::from_secs(300));
    conformance::provider(move || Watched::new(cluster), &sample).named("kubernetes.deployment")
}

trait Renamed {
    fn renamed(self) -> Self;
}

impl Renamed for Resource {
    /// The same under another name: another object.
    fn renamed(mut self) -> Resource {
        let mut manifest: Value = self.wanted().need("manifest").unwrap();
        let name = format!("{}-too", manifest["metadata"]["name"].as_str().unwrap());
        manifest["metadata"]["name"] = json!(name);
        self.want = self.want.map(|want| want.with("manifest", manifest));
        self
    }
}
