//! Pods as `restricted` demands them: no root, no privilege, no token of the cluster, bounded in memory and cores.

use code_core::Result;
use code_core::recipe::At;
use serde_json::{Value, json};

use super::labels;

/// How much a replica may use where the spec does not say: a small app.
const MEMORY: &str = "256Mi";
/// As [`MEMORY`], in cores.
const CPU: f64 = 0.25;

/// The template of a component's pods with this one container, which lacks its name, limits and rights.
pub(super) fn template(at: &At<'_>, mut container: Value) -> Result<Value> {
    let me = at.component;
    let limits = json!({
        "cpu": format!("{:.0}m", (me.cpu.unwrap_or(CPU) * 1000.0).ceil()),
        "memory": me.memory.as_deref().unwrap_or(MEMORY),
    });
    container["name"] = json!("main");
    container["resources"] = json!({"requests": limits, "limits": limits});
    container["securityContext"] =
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    let mut spec = json!({
        "serviceAccountName": me.name,
        "automountServiceAccountToken": false,
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    });
    if me.replicas.max > 1 {
        spec["topologySpreadConstraints"] = json!([{
            "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": labels(at, me)?},
        }]);
    }
    let mut metadata = json!({"labels": labels(at, me)?});
    if me.restarts > 0 {
        metadata["annotations"] = json!({"code-engine.dev/restarts": me.restarts.to_string()});
    }
    Ok(json!({"metadata": metadata, "spec": spec}))
}

/// How a container is seen to have started within so many seconds, to be ready, and to be alive.
pub(super) fn probes(container: &mut Value, check: &Value, seconds: u32) {
    let with = |more: Value| {
        let mut probe = check.clone();
        if let (Some(probe), Value::Object(more)) = (probe.as_object_mut(), more) {
            probe.extend(more);
        }
        probe
    };
    let tries = seconds.div_ceil(2).max(1);
    container["startupProbe"] = with(json!({"periodSeconds": 2, "failureThreshold": tries}));
    container["readinessProbe"] = with(json!({"periodSeconds": 5, "timeoutSeconds": 5}));
    container["livenessProbe"] = with(json!({"periodSeconds": 10, "timeoutSeconds": 5}));
}

/// A variable as it is meant: Kubernetes would replace `$(NAME)` in it.
pub(super) fn verbatim(text: &str) -> String {
    text.replace("$(", "$$(")
}
