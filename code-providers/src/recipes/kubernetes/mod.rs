//! The platform `kubernetes`: everything runs in one namespace of a cluster, under pod security `restricted`.
//!
//! ```text
//!  web ── account ─┐                                            the world ──▶ ingress ─┐
//!         uses ────┼──▶ deployment ──▶ endpoint (a Service) ◀──────────────────────────┘
//!         network ─┘        └──▶ budget, scaling
//! ```
//!
//! | component | resources, each a `kubernetes.object` |
//! |---|---|
//! | the first one | `namespace` (kept), where the settings name none |
//! | web, api, worker | `account`, `network`, `uses` (a Secret with the addresses of others), `deployment`; `budget` from two replicas on, `scaling` where they are a range |
//! | web, api | `endpoint` (a Service); `ingress` where it is public or has a host |
//! | job, cron | `account`, `network`, `uses`; `job`, done when it has succeeded and run again when it changes, or `schedule` (a CronJob, in UTC) |
//! | database, PostgreSQL | `account`, `network`, `password`, `data` (kept), `server` (a StatefulSet), `endpoint` (a Service) |
//!
//! - Nothing reaches a pod, and a pod reaches nothing, but along the edges of the spec; and the cluster's DNS.
//! - Apps run from an image: what is only there as source is refused with help.
//! - A stopped component keeps everything, and has no pod.

mod app;
mod database;
mod job;
mod limits;
mod network;
mod pod;

use std::sync::Arc;

use code_core::intent::{Kind, Platform};
use code_core::provider::Resource;
use code_core::recipe::At;
use code_core::spec::{Component, Spec};
use code_core::{Recipe, Result, Want};
use serde_json::{Map, Value, json};

use crate::kubernetes::{DEPLOYMENT, KIND, label};

/// The recipes of the platform `kubernetes`.
pub fn kubernetes() -> Vec<Arc<dyn Recipe>> {
    vec![Arc::new(Kubernetes)]
}

#[derive(Clone, Copy, Debug)]
struct Kubernetes;

impl Recipe for Kubernetes {
    fn name(&self) -> &str {
        "kubernetes"
    }

    fn makes(&self, spec: &Spec, _: &Component) -> bool {
        spec.target.platform == Platform::Kubernetes
    }

    fn resources(&self, at: &At<'_>) -> Result<Vec<Resource>> {
        let mut resources = match at.component.kind {
            Kind::Web | Kind::Api | Kind::Worker => app::resources(at)?,
            Kind::Job | Kind::Cron => job::resources(at)?,
            Kind::Database => database::resources(at)?,
            _ => return Err(limits::no_such_kind(at.component)),
        };
        if let Some(namespace) = own_namespace(at)? {
            let needed = namespace.address.clone();
            let first = at.component.name == needed.component();
            resources.iter_mut().for_each(|resource| resource.depends_on.push(needed.clone()));
            resources.extend(first.then_some(namespace));
        }
        Ok(resources)
    }
}

/// The namespace that the deployment has for itself; `None` where the settings name one, which is there.
fn own_namespace(at: &At<'_>) -> Result<Option<Resource>> {
    let (None, Some(first)) = (&at.spec.target.namespace, at.spec.components.first()) else {
        return Ok(None);
    };
    let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    let manifest = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": namespace(at)?, "labels": labels}});
    let want = Want::new().with("manifest", manifest).with_some("context", at.spec.target.cluster.clone());
    let address = At { component: first, ..*at }.address("namespace")?;
    Ok(Some(Resource::new(address, KIND, want).retained()))
}

/// Where everything lies: `shop-staging`, or the namespace of the settings.
fn namespace(at: &At<'_>) -> Result<String> {
    match &at.spec.target.namespace {
        Some(named) => Ok(named.clone()),
        None => Ok(label(&at.spec.deployment()?).replace('.', "-")),
    }
}

/// An object in the namespace of the deployment, with what its kind has beside `metadata`.
fn object(at: &At<'_>, resource: &str, api: &str, kind: &str, name: &str, more: Value) -> Result<Resource> {
    let mut manifest = json!({"apiVersion": api, "kind": kind,
        "metadata": {"name": name, "namespace": namespace(at)?, "labels": labels(at, at.component)?}});
    if let (Some(manifest), Value::Object(more)) = (manifest.as_object_mut(), more) {
        manifest.extend(more);
    }
    let want = Want::new().with("manifest", manifest).with_some("context", at.spec.target.cluster.clone());
    Ok(Resource::new(at.address(resource)?, KIND, want))
}

/// The user as which the pods of a component run: one that may do nothing in the cluster.
fn account(at: &At<'_>) -> Result<Resource> {
    let closed = json!({"automountServiceAccountToken": false});
    object(at, "account", "v1", "ServiceAccount", &at.component.name, closed)
}

/// The stable address of a component, there as soon as what answers at it is ready.
fn service(at: &At<'_>, port: u16) -> Result<Resource> {
    let spec = json!({"selector": labels(at, at.component)?, "ports": [{"name": "main", "port": port, "targetPort": port}]});
    let service = object(at, "endpoint", "v1", "Service", &at.component.name, json!({"spec": spec}))?;
    let want = service.wanted().with("output.host", host(at)?).with("output.port", port);
    Ok(Resource { want: Some(want), ..service })
}

/// The name under which the cluster's DNS knows a component.
fn host(at: &At<'_>) -> Result<String> {
    Ok(format!("{}.{}.svc", at.component.name, namespace(at)?))
}

/// What the pods of a component are selected by: never changed, as it cannot be.
fn labels(at: &At<'_>, component: &Component) -> Result<Value> {
    let mut labels = Map::new();
    labels.insert("app.kubernetes.io/name".to_owned(), component.name.as_str().into());
    labels.insert(DEPLOYMENT.to_owned(), label(&at.spec.deployment()?).into());
    Ok(Value::Object(labels))
}

/// Where a component listens; `None` where nobody connects to it.
fn port(component: &Component) -> Option<u16> {
    match component.kind {
        Kind::Worker | Kind::Job | Kind::Cron => None,
        Kind::Database => Some(component.port.unwrap_or(5432)),
        _ => Some(component.port.unwrap_or(8080)),
    }
}

#[cfg(test)]
mod tests;
