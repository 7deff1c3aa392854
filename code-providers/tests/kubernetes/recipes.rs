//! What the recipes of the platform `kubernetes` make, by whole engines on a real API server: it takes every object,
//! its controllers make them ready under pod security `restricted`, and then there is nothing left to do.
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::collections::BTreeSet;
use std::sync::Arc;

use code_core::checks::{Approval, How};
use code_core::engine::{Finished, Proposal};
use code_core::event::Outcome;
use code_core::intent::{Kind, Platform};
use code_core::local::{LocalHost, LocalStore};
use code_core::memory::MemorySecrets;
use code_core::provider::Action;
use code_core::spec::{Component, HealthCheck, Origins, Replicas, Spec, Target};
use code_core::{Engine, Layout};
use code_providers::kubernetes::Kubernetes;
use code_providers::recipes;
use serde_json::{Value, json};
use test_cluster::Cluster;
use tokio_util::sync::CancellationToken;

/// A deployment of a test's own, in a namespace that it makes itself.
struct Place {
    _dir: tempfile::TempDir,
    cluster: &'static Cluster,
    engine: Engine,
    spec: Spec,
}

impl Place {
    /// `None`, and said so, where there is no cluster.
    fn new(application: &str, components: Vec<Component>) -> Option<Place> {
        let cluster = Cluster::get("the recipes of Kubernetes on a real cluster")?;
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::builder()
            .state_dir(dir.path())
            .host(Arc::new(LocalHost::new()))
            .secrets(Arc::new(MemorySecrets::new()))
            .store(Arc::new(LocalStore::new(&Layout::new(dir.path()))))
            .provider(Arc::new(Kubernetes::with_kubeconfig(cluster.kubeconfig())));
        let engine = recipes::kubernetes().into_iter().fold(engine, |engine, recipe| engine.recipe(recipe));
        // The cluster may be one that other test programs use as well.
        let application = format!("{application}-{}", std::process::id());
        let target = Target { platform: Platform::Kubernetes, ..Target::default() };
        let spec = Spec { components, target, ..Spec::new(&application, "staging") };
        Some(Place { _dir: dir, cluster, engine: engine.build().unwrap(), spec })
    }

    /// Deploys the spec, and gives what was changed by it.
    async fn try_deploy(&self) -> (BTreeSet<String>, Finished) {
        let proposal = Proposal::of(self.spec.clone(), Origins::new()).unwrap();
        self.apply(&proposal).await
    }

    async fn apply(&self, proposal: &Proposal) -> (BTreeSet<String>, Finished) {
        let planned = self.engine.plan(proposal, &BTreeSet::new()).await.unwrap();
        let now = self.engine.ctx().host().now();
        let approval = Approval { plan: planned.plan.id, by: "me".into(), at: now, how: How::Program };
        let changes = planned.plan.steps.iter().filter(|step| step.change.action != Action::Keep);
        let changed = changes.map(|step| step.change.resource.address.to_string()).collect();
        (changed, self.engine.apply(&planned, approval, &CancellationToken::new()).await.unwrap())
    }

    /// As [`Place::try_deploy`], and nothing is left to do then.
    async fn deploy(&self) -> BTreeSet<String> {
        let (changed, finished) = self.try_deploy().await;
        assert_eq!(finished.outcome, Outcome::Succeeded, "{:?}", finished.error);
        let status = self.engine.status(&self.spec.deployment().unwrap()).await.unwrap();
        for resource in &status.resources {
            assert_eq!(resource.drift, [] as [&str; 0], "{}", resource.address);
        }
        let (again, _) = self.try_deploy().await;
        assert_eq!(again, BTreeSet::new(), "a second deploy changes nothing");
        changed
    }

    fn namespace(&self) -> String {
        format!("{}-staging", self.spec.application)
    }

    /// An object or a list of the namespace; null where there is none.
    fn read(&self, api: &str, path: &str) -> Value {
        let path = format!("{api}/namespaces/{}/{path}", self.namespace());
        serde_json::from_str(&self.cluster.read(&path)).unwrap_or_default()
    }

    fn names(&self, api: &str, kinds: &str) -> Vec<String> {
        let list = self.read(api, kinds);
        let names = list["items"].as_array().unwrap().iter().map(|item| &item["metadata"]["name"]);
        names.map(|name| name.as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.cluster.delete(&format!("/api/v1/namespaces/{}", self.namespace()));
    }
}

fn app(name: &str, kind: Kind) -> Component {
    Component { image: Some("registry.example/app:1".into()), ..Component::new(name, kind) }
}

fn shop() -> Vec<Component> {
    let web = Component {
        health: Some(HealthCheck { path: Some("/health".into()), timeout_seconds: 30 }),
        depends_on: vec!["db".into()],
        ..app("web", Kind::Web)
    };
    let db = Component { engine: Some("postgresql".into()), ..Component::new("db", Kind::Database) };
    vec![web, db]
}

const CORE: &str = "/api/v1";
const APPS: &str = "/apis/apps/v1";

#[tokio::test(flavor = "multi_thread")]
async fn a_web_app_with_a_database_runs_changes_and_goes() {
    let Some(mut place) = Place::new("shop", shop()) else { return };
    place.deploy().await;
    let web = place.read(APPS, "deployments/web");
    assert_eq!(web["status"]["availableReplicas"], 1, "{web}");
    assert_eq!(place.read(APPS, "statefulsets/db")["status"]["readyReplicas"], 1);
    let uses = place.read(CORE, "secrets/web-uses");
    assert!(uses["data"]["DATABASE_URL"].is_string() && uses["data"]["DB_URL"].is_string());

    place.spec.components[0].replicas = Replicas { min: 3, max: 3 };
    assert_eq!(place.deploy().await, BTreeSet::from(["web/budget".to_owned(), "web/deployment".to_owned()]));
    assert_eq!(place.read(APPS, "deployments/web")["status"]["availableReplicas"], 3);

    let proposal = place.engine.destroy(&place.spec.deployment().unwrap(), false).await.unwrap();
    let (_, finished) = place.apply(&proposal).await;
    assert_eq!(finished.outcome, Outcome::Succeeded, "{:?}", finished.error);
    assert_eq!(place.names(APPS, "deployments"), [] as [&str; 0]);
    assert_eq!(place.names(CORE, "services"), [] as [&str; 0]);
    assert_eq!(place.names(CORE, "persistentvolumeclaims"), ["db"], "data stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_api_that_scales_beside_a_worker() {
    let api = Component {
        replicas: Replicas { min: 2, max: 6 },
        host: Some("api.example".into()),
        tls: Some(true),
        depends_on: vec!["mail".into()],
        ..app("api", Kind::Api)
    };
    let Some(mut place) = Place::new("scale", vec![api, app("mail", Kind::Worker)]) else { return };
    place.deploy().await;
    let policies = place.names("/apis/networking.k8s.io/v1", "networkpolicies");
    assert_eq!(policies, ["api", "mail"]);
    assert_eq!(place.names("/apis/networking.k8s.io/v1", "ingresses"), ["api"]);

    place.spec.components.iter_mut().for_each(|component| component.stopped = true);
    place.deploy().await;
    assert_eq!(place.read(APPS, "deployments/api")["spec"]["replicas"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_done_before_what_needs_it_and_runs_again_when_it_changes() {
    let web = Component { depends_on: vec!["migration".into()], ..app("web", Kind::Web) };
    let cron = Component { schedule: Some("0 3 * * *".into()), ..app("report", Kind::Cron) };
    let Some(mut place) = Place::new("jobs", vec![app("migration", Kind::Job), web, cron]) else { return };
    place.deploy().await;
    let job = |place: &Place| place.read("/apis/batch/v1", "jobs/migration");
    let first = job(&place);
    assert_eq!(first["status"]["succeeded"], 1, "{first}");
    assert_eq!(place.read("/apis/batch/v1", "cronjobs/report")["spec"]["schedule"], "0 3 * * *");

    place.spec.components[0].image = Some("registry.example/app:2".into());
    assert_eq!(place.deploy().await, BTreeSet::from(["migration/job".to_owned()]));
    let second = job(&place);
    assert!(second["metadata"]["uid"] != first["metadata"]["uid"], "its pods cannot be changed");
    assert_eq!(second["status"]["succeeded"], 1, "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_pulled_is_told_and_taken_back() {
    let bad = Component { image: Some("registry.example/app:bad".into()), ..app("web", Kind::Web) };
    let Some(place) = Place::new("bad", vec![bad]) else { return };
    let (_, finished) = place.try_deploy().await;
    assert_eq!(finished.outcome, Outcome::RolledBack, "{:?}", finished.error);
    let error = finished.error.unwrap();
    assert!(error.to_string().contains("ImagePullBackOff"), "{error}");
    assert_eq!(place.names(APPS, "deployments"), [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_namespace_refuses_what_asks_for_more() {
    let Some(place) = Place::new("strict", vec![app("web", Kind::Web)]) else { return };
    place.deploy().await;
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "plain"},
        "spec": {"containers": [{"name": "a", "image": "a"}]}});
    let path = format!("/api/v1/namespaces/{}/pods", place.namespace());
    let (status, said) = place.cluster.call("POST", &path, "application/json", &pod.to_string());
    assert!(status == 403 && said.contains("restricted"), "{status} {said}");
}
