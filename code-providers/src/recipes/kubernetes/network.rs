//! Who may talk to whom: exactly along the edges of the spec.

use code_core::Result;
use code_core::provider::Resource;
use code_core::recipe::At;
use code_core::spec::Component;
use serde_json::{Value, json};

use super::{labels, object, port};
use crate::recipes::uses::dependencies;

/// The policy of a component: as it selects its pods in both directions, what it does not allow is denied.
pub(super) fn policy(at: &At<'_>) -> Result<Resource> {
    let me = at.component;
    let mut ingress = Vec::new();
    if let Some(port) = port(me) {
        let users = at.spec.components.iter().filter(|other| other.depends_on.contains(&me.name));
        let users = users.map(|user| pods(at, user)).collect::<Result<Vec<_>>>()?;
        if is_reachable(me) {
            // An ingress controller may have its pods anywhere.
            ingress.push(json!({"ports": [tcp(port)]}));
        } else if !users.is_empty() {
            ingress.push(json!({"from": users, "ports": [tcp(port)]}));
        }
    }
    let system =
        json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}});
    let mut egress = vec![json!({"to": [system], "ports": [{"protocol": "UDP", "port": 53}, tcp(53)]})];
    for other in dependencies(at) {
        if let Some(port) = port(other) {
            egress.push(json!({"to": [pods(at, other)?], "ports": [tcp(port)]}));
        }
    }
    let spec = json!({"podSelector": {"matchLabels": labels(at, me)?}, "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress, "egress": egress});
    object(at, "network", "networking.k8s.io/v1", "NetworkPolicy", &me.name, json!({"spec": spec}))
}

/// The way in from outside of the cluster, where the component has one.
pub(super) fn ingress(at: &At<'_>, port: u16) -> Result<Option<Resource>> {
    let me = at.component;
    if !is_reachable(me) {
        return Ok(None);
    }
    let service = json!({"service": {"name": me.name, "port": {"number": port}}});
    let mut rule = json!({"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": service}]}});
    let mut spec = json!({});
    if let Some(host) = &me.host {
        rule["host"] = json!(host);
        if me.tls == Some(true) {
            spec["tls"] = json!([{"hosts": [host], "secretName": format!("{}-tls", me.name)}]);
        }
    }
    spec["rules"] = json!([rule]);
    object(at, "ingress", "networking.k8s.io/v1", "Ingress", &me.name, json!({"spec": spec})).map(Some)
}

fn is_reachable(component: &Component) -> bool {
    component.public || component.host.is_some()
}

fn pods(at: &At<'_>, component: &Component) -> Result<Value> {
    Ok(json!({"podSelector": {"matchLabels": labels(at, component)?}}))
}

fn tcp(port: u16) -> Value {
    json!({"protocol": "TCP", "port": port})
}
