//! What the recipes make: the server takes every object, its controllers make them ready under pod security
//! `restricted`, and then there is nothing left to do.

use std::collections::BTreeSet;

use code_core::event::Outcome;
use code_core::intent::Kind;
use code_core::spec::{Component, Replicas};
use serde_json::json;

use crate::place::{APPS, CORE, Place, app, shop};

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
