//! Web apps, APIs and workers: a Deployment, and for those that listen a Service.

use std::collections::BTreeMap;

use code_core::expr::plain;
use code_core::intent::Kind;
use code_core::provider::Resource;
use code_core::recipe::At;
use code_core::spec::{Component, HealthCheck};
use code_core::{Address, Expr, Result};
use serde_json::{Value, json};

use super::{account, host, limits, network, object, pod, port, service};
use crate::recipes::refer;
use crate::recipes::uses::{connections, dependencies, has_no_address};

/// How long a new pod may take to start where the spec does not say, in seconds.
const START_SECONDS: u32 = 60;
/// How long a rollout may take beside that: images are pulled, pods scheduled, in seconds.
const ROLLOUT_SECONDS: u32 = 300;

pub(super) fn resources(at: &At<'_>) -> Result<Vec<Resource>> {
    let image = limits::app(at.component)?;
    let mut resources = around(at)?;
    let needs = needs(at, &resources)?;
    let mut deployment = deployment(at, image)?;
    deployment.depends_on = needs;
    let runs = deployment.address.clone();
    resources.push(deployment);
    let beside = [budget(at)?, scaling(at)?, endpoint(at)?];
    resources.extend(beside.into_iter().flatten().map(|mut resource| {
        resource.depends_on.push(runs.clone());
        resource
    }));
    if let Some(port) = port(at.component)
        && let Some(mut ingress) = network::ingress(at, port)?
    {
        ingress.depends_on.push(At::endpoint(&at.component.name)?);
        resources.push(ingress);
    }
    Ok(resources)
}

/// What the pods of a component need to be there before them.
pub(super) fn around(at: &At<'_>) -> Result<Vec<Resource>> {
    Ok([account(at)?, network::policy(at)?].into_iter().chain(uses(at)?).collect())
}

/// What the pods of a component wait for: what is around them, and those that they depend on without an address.
pub(super) fn needs(at: &At<'_>, around: &[Resource]) -> Result<Vec<Address>> {
    let mut needs: Vec<Address> = around.iter().map(|resource| resource.address.clone()).collect();
    for root in dependencies(at).filter(|other| other.is_root()) {
        needs.push(At::endpoint(&root.name)?);
    }
    for other in dependencies(at).filter(|other| has_no_address(other) && !other.is_root()) {
        let runs = match other.kind {
            Kind::Job => "job",
            Kind::Cron => "schedule",
            _ => "deployment",
        };
        needs.push(At { component: other, ..*at }.address(runs)?);
    }
    Ok(needs)
}

/// The addresses of what it uses, and what else it is told of others, in a Secret: some have a password in them.
fn uses(at: &At<'_>) -> Result<Option<Resource>> {
    let told = told(at)?;
    if told.is_empty() {
        return Ok(None);
    }
    let name = format!("{}-uses", at.component.name);
    let secret = object(at, "uses", "v1", "Secret", &name, json!({"type": "Opaque"}))?;
    let mut want = secret.wanted();
    for (variable, value) in told {
        want = want.with(&format!("at./data/{variable}"), value);
    }
    Ok(Some(Resource { want: Some(want), ..secret }))
}

/// The variables that stand in the Secret.
fn told(at: &At<'_>) -> Result<Vec<(String, Expr)>> {
    let mut told = connections(at)?;
    for (name, value) in &at.component.env {
        let value = refer::text(at, value)?;
        if !value.is_bound() {
            told.push((name.clone(), value));
        }
    }
    Ok(told)
}

/// The container of an app, without its probes.
pub(super) fn container(at: &At<'_>, image: &str) -> Result<Value> {
    let me = at.component;
    let mut container = json!({"image": image, "env": env(at)});
    if let Some(start) = &me.start {
        container["command"] = start.iter().map(|part| pod::verbatim(part)).collect();
    }
    if !told(at)?.is_empty() {
        container["envFrom"] = json!([{"secretRef": {"name": format!("{}-uses", me.name)}}]);
    }
    Ok(container)
}

fn deployment(at: &At<'_>, image: &str) -> Result<Resource> {
    let me = at.component;
    let mut container = container(at, image)?;
    let mut seconds = ROLLOUT_SECONDS;
    if let Some(port) = port(me) {
        let health = me.health.clone().unwrap_or(HealthCheck { path: None, timeout_seconds: START_SECONDS });
        let check = match health.path {
            Some(path) => json!({"httpGet": {"path": path, "port": port}}),
            None => json!({"tcpSocket": {"port": port}}),
        };
        container["ports"] = json!([{"name": "main", "containerPort": port}]);
        pod::probes(&mut container, &check, health.timeout_seconds);
        seconds = seconds.saturating_add(health.timeout_seconds);
    }
    let mut spec = json!({
        "selector": {"matchLabels": super::labels(at, me)?},
        // The new one is there before the old one goes.
        "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": pod::template(at, container)?,
    });
    if !scales(me) {
        spec["replicas"] = json!(if me.stopped { 0 } else { me.replicas.max });
    }
    let made = object(at, "deployment", "apps/v1", "Deployment", &me.name, json!({"spec": spec}))?;
    Ok(Resource { want: Some(made.wanted().with("ready_seconds", json!(seconds))), ..made })
}

fn env(at: &At<'_>) -> Value {
    let me = at.component;
    let mut all = BTreeMap::from([
        ("CODE_APPLICATION", at.spec.application.clone()),
        ("CODE_ENVIRONMENT", at.spec.environment.clone()),
        ("CODE_COMPONENT", me.name.clone()),
    ]);
    all.extend(port(me).map(|port| ("PORT", port.to_string())));
    // What another component gives comes from the Secret.
    let known = |value: &str| refer::text(at, value).ok()?.known().map(|value| plain(&value));
    all.extend(
        me.env.iter().filter_map(|(name, value)| Some((name.as_str(), pod::verbatim(&known(value)?)))),
    );
    all.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

/// Whether the cluster chooses the number of replicas: then nobody else holds it.
fn scales(component: &Component) -> bool {
    !component.stopped && component.replicas.min < component.replicas.max
}

fn scaling(at: &At<'_>) -> Result<Option<Resource>> {
    let me = at.component;
    if !scales(me) {
        return Ok(None);
    }
    let busy = json!({"type": "Resource", "resource":
        {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}});
    let spec = json!({
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": me.name},
        "minReplicas": me.replicas.min, "maxReplicas": me.replicas.max, "metrics": [busy],
    });
    object(at, "scaling", "autoscaling/v2", "HorizontalPodAutoscaler", &me.name, json!({"spec": spec}))
        .map(Some)
}

/// No more than one replica is taken away at a time when nodes are emptied.
fn budget(at: &At<'_>) -> Result<Option<Resource>> {
    let me = at.component;
    if me.stopped || me.replicas.min < 2 {
        return Ok(None);
    }
    let spec = json!({"maxUnavailable": 1, "selector": {"matchLabels": super::labels(at, me)?}});
    object(at, "budget", "policy/v1", "PodDisruptionBudget", &me.name, json!({"spec": spec})).map(Some)
}

fn endpoint(at: &At<'_>) -> Result<Option<Resource>> {
    let Some(port) = port(at.component) else { return Ok(None) };
    let service = service(at, port)?;
    let want = service.wanted().with("output.url", format!("http://{}:{port}", host(at)?));
    Ok(Some(Resource { want: Some(want), ..service }))
}
