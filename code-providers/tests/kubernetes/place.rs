//! A deployment of a test's own on the real cluster.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use code_core::checks::{Approval, How};
use code_core::engine::{Finished, Proposal};
use code_core::event::Outcome;
use code_core::intent::{Kind, Platform};
use code_core::local::{LocalHost, LocalStore};
use code_core::memory::MemorySecrets;
use code_core::provider::{Action, Live};
use code_core::spec::{Component, HealthCheck, Origins, Spec, Target};
use code_core::{Engine, Expr, Layout};
use code_providers::kubernetes::Kubernetes;
use code_providers::recipes;
use serde_json::Value;
use test_cluster::Cluster;
use tokio_util::sync::CancellationToken;

pub(crate) const CORE: &str = "/api/v1";
pub(crate) const APPS: &str = "/apis/apps/v1";

/// A deployment of a test's own, in a namespace that it makes itself.
pub(crate) struct Place {
    _dir: tempfile::TempDir,
    pub(crate) cluster: &'static Cluster,
    pub(crate) engine: Engine,
    pub(crate) spec: Spec,
}

impl Place {
    /// `None`, and said so, where there is no cluster.
    pub(crate) fn new(application: &str, components: Vec<Component>) -> Option<Place> {
        let cluster = Cluster::get("the recipes of Kubernetes on a real cluster")?;
        Some(Place::by(application, components, cluster, &cluster.kubeconfig()))
    }

    /// The same, on a way of its own to the cluster.
    pub(crate) fn by(
        application: &str,
        components: Vec<Component>,
        cluster: &'static Cluster,
        kubeconfig: &Path,
    ) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::builder()
            .state_dir(dir.path())
            .host(Arc::new(LocalHost::new()))
            .secrets(Arc::new(MemorySecrets::new()))
            .store(Arc::new(LocalStore::new(&Layout::new(dir.path()))))
            .provider(Arc::new(Kubernetes::with_kubeconfig(kubeconfig)));
        let engine = recipes::kubernetes().into_iter().fold(engine, |engine, recipe| engine.recipe(recipe));
        // The cluster may be one that other test programs use as well.
        let application = format!("{application}-{}", std::process::id());
        let target = Target { platform: Platform::Kubernetes, ..Target::default() };
        let spec = Spec { components, target, ..Spec::new(&application, "staging") };
        Place { _dir: dir, cluster, engine: engine.build().unwrap(), spec }
    }

    /// Deploys the spec, and gives what was changed by it.
    pub(crate) async fn try_deploy(&self) -> (BTreeSet<String>, Finished) {
        let proposal = Proposal::of(self.spec.clone(), Origins::new()).unwrap();
        self.apply(&proposal).await
    }

    pub(crate) async fn apply(&self, proposal: &Proposal) -> (BTreeSet<String>, Finished) {
        let planned = self.engine.plan(proposal, &BTreeSet::new()).await.unwrap();
        let now = self.engine.ctx().host().now();
        let approval = Approval { plan: planned.plan.id, by: "me".into(), at: now, how: How::Program };
        let changes = planned.plan.steps.iter().filter(|step| step.change.action != Action::Keep);
        let changed = changes.map(|step| step.change.resource.address.to_string()).collect();
        (changed, self.engine.apply(&planned, approval, &CancellationToken::new()).await.unwrap())
    }

    /// As [`Place::try_deploy`], and nothing is left to do then.
    pub(crate) async fn deploy(&self) -> BTreeSet<String> {
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

    pub(crate) fn namespace(&self) -> String {
        format!("{}-staging", self.spec.application)
    }

    /// An object or a list of the namespace; null where there is none.
    pub(crate) fn read(&self, api: &str, path: &str) -> Value {
        let path = format!("{api}/namespaces/{}/{path}", self.namespace());
        serde_json::from_str(&self.cluster.read(&path)).unwrap_or_default()
    }

    /// The uids of what carries the label of the deployment, of the kinds that the recipes make.
    pub(crate) fn found(&self) -> BTreeSet<String> {
        const KINDS: [(&str, &str); 9] = [
            (CORE, "serviceaccounts"),
            (CORE, "secrets"),
            (CORE, "services"),
            (CORE, "persistentvolumeclaims"),
            (APPS, "deployments"),
            (APPS, "statefulsets"),
            ("/apis/networking.k8s.io/v1", "networkpolicies"),
            ("/apis/batch/v1", "jobs"),
            ("/apis/policy/v1", "poddisruptionbudgets"),
        ];
        let lists = KINDS.map(|(api, kind)| {
            self.read(api, &format!("{kind}?labelSelector=app.kubernetes.io%2Fmanaged-by%3Dcode"))
        });
        let items = lists.iter().flat_map(|list| list["items"].as_array().into_iter().flatten());
        items.map(|item| item["metadata"]["uid"].as_str().unwrap().to_owned()).collect()
    }

    /// The uids of what is recorded, but for the namespace.
    pub(crate) async fn recorded(&self) -> BTreeSet<String> {
        let state = self.engine.state(&self.spec.deployment().unwrap()).await.unwrap();
        let lies = |live: &&Live| live.outputs["namespace"] != Expr::from("");
        let lives = state.inventory.values().map(|recorded| &recorded.live).filter(lies);
        lives.map(|live| live.outputs["uid"].known().unwrap().as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn names(&self, api: &str, kinds: &str) -> Vec<String> {
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

/// A component that runs from an image.
pub(crate) fn app(name: &str, kind: Kind) -> Component {
    Component { image: Some("registry.example/app:1".into()), ..Component::new(name, kind) }
}

/// A web app that uses PostgreSQL.
pub(crate) fn shop() -> Vec<Component> {
    let web = Component {
        health: Some(HealthCheck { path: Some("/health".into()), timeout_seconds: 30 }),
        depends_on: vec!["db".into()],
        ..app("web", Kind::Web)
    };
    let db = Component { engine: Some("postgresql".into()), ..Component::new("db", Kind::Database) };
    vec![web, db]
}
