//! Whether an object has become what it says, and what keeps it from it. Pure.

use serde_json::Value;

/// How far an object is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ready {
    /// It is what it says.
    Yes,
    /// Not yet, and what is missing.
    Not(String),
    /// It says itself that it will never be.
    Never(String),
}

/// Why pods do not start, in the cluster's words.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stuck {
    /// The reason.
    pub(super) why: String,
    /// Whether waiting has hardly ever helped: a wrong image, a program that ends again and again.
    pub(super) hopeless: bool,
}

/// Whether a live object is ready; `condition` is one that it has to have, where its manifest names it.
pub(super) fn of(live: &Value, condition: Option<&str>) -> Ready {
    if let Some(since) = live["metadata"]["deletionTimestamp"].as_str() {
        return Ready::Not(format!("it is being deleted since {since}"));
    }
    let (status, spec) = (&live["status"], &live["spec"]);
    let generation = live["metadata"]["generation"].as_i64().unwrap_or(0);
    if status["observedGeneration"].as_i64().is_some_and(|seen| seen < generation) {
        return Ready::Not("its controller has not seen the change yet".to_owned());
    }
    if let Some(name) = condition {
        return condition_is_true(live, name);
    }
    let group = live["apiVersion"].as_str().unwrap_or_default().split('/').next().unwrap_or_default();
    match (group, live["kind"].as_str().unwrap_or_default()) {
        ("apps", "Deployment") => deployment(spec, status),
        ("apps", "StatefulSet") => stateful_set(spec, status),
        ("apps", "DaemonSet") => {
            let wanted = number(&status["desiredNumberScheduled"], 0);
            let updated = number(&status["updatedNumberScheduled"], 0);
            // The controller writes its first status with `observedGeneration`.
            if status["observedGeneration"].is_null() {
                return Ready::Not("its controller has not seen it yet".to_owned());
            }
            count(wanted, updated.min(number(&status["numberAvailable"], 0)))
        }
        ("batch", "Job") => job(spec, status),
        ("v1", "PersistentVolumeClaim") => phase(status, &["Bound"]),
        ("v1", "PersistentVolume") => phase(status, &["Available", "Bound", "Released"]),
        ("v1", "Namespace") => phase(status, &["Active"]),
        ("v1", "Pod") => match phase(status, &["Succeeded"]) {
            Ready::Not(_) if status["phase"] == "Failed" => Ready::Never("the pod failed".to_owned()),
            Ready::Not(_) => condition_is_true(live, "Ready"),
            other => other,
        },
        ("v1", "Service") if spec["type"] == "LoadBalancer" => {
            match status["loadBalancer"]["ingress"].as_array().is_some_and(|list| !list.is_empty()) {
                true => Ready::Yes,
                false => Ready::Not("the load balancer has no address yet".to_owned()),
            }
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => condition_is_true(live, "Established"),
        ("apiregistration.k8s.io", "APIService") => condition_is_true(live, "Available"),
        // A kind of somebody's own: `Ready` is the custom where there is such a condition.
        (group, _) if group.contains('.') && !group.ends_with(".k8s.io") => {
            match condition_of(live, "Ready") {
                Some(_) => condition_is_true(live, "Ready"),
                None => Ready::Yes,
            }
        }
        _ => Ready::Yes,
    }
}

fn number(value: &Value, or: i64) -> i64 {
    value.as_i64().unwrap_or(or)
}

fn count(wanted: i64, ready: i64) -> Ready {
    if ready >= wanted { Ready::Yes } else { Ready::Not(format!("{ready} of {wanted} are ready")) }
}

fn deployment(spec: &Value, status: &Value) -> Ready {
    if status["observedGeneration"].is_null() {
        return Ready::Not("its controller has not seen it yet".to_owned());
    }
    let wanted = number(&spec["replicas"], 1);
    let failing = |kind: &str, is: &str| {
        let all = status["conditions"].as_array().into_iter().flatten();
        all.into_iter().find(|c| c["type"] == kind && c["status"] == is)
    };
    if let Some(condition) = failing("ReplicaFailure", "True") {
        let why = text(&condition["message"]);
        // A quota may be raised, or something may end; what the namespace forbids stays forbidden.
        return if why.contains("violates PodSecurity") { Ready::Never(why) } else { Ready::Not(why) };
    }
    if let Some(late) = failing("Progressing", "False").filter(|c| c["reason"] == "ProgressDeadlineExceeded")
    {
        return Ready::Never(text(&late["message"]));
    }
    let updated = number(&status["updatedReplicas"], 0);
    let available = number(&status["availableReplicas"], 0);
    if number(&status["replicas"], 0) > updated {
        return Ready::Not(format!("{updated} of {wanted} are new, and old ones still run"));
    }
    count(wanted, updated.min(available))
}

fn stateful_set(spec: &Value, status: &Value) -> Ready {
    if status["observedGeneration"].is_null() {
        return Ready::Not("its controller has not seen it yet".to_owned());
    }
    let wanted = number(&spec["replicas"], 1);
    let ready = number(&status["readyReplicas"], 0);
    let new = match status["currentRevision"] == status["updateRevision"] {
        true => ready,
        false => number(&status["updatedReplicas"], 0).min(ready),
    };
    match count(wanted, new) {
        Ready::Yes if number(&status["replicas"], 0) > wanted => Ready::Not("old ones still run".to_owned()),
        other => other,
    }
}

fn job(spec: &Value, status: &Value) -> Ready {
    let conditions = status["conditions"].as_array();
    let is =
        |kind: &str| conditions.into_iter().flatten().find(|c| c["type"] == kind && c["status"] == "True");
    if let Some(failed) = is("Failed") {
        return Ready::Never(format!("{}: {}", text(&failed["reason"]), text(&failed["message"])));
    }
    match is("Complete").is_some() || spec["suspend"] == true {
        true => Ready::Yes,
        false => Ready::Not("it has not finished yet".to_owned()),
    }
}

fn phase(status: &Value, good: &[&str]) -> Ready {
    match status["phase"].as_str() {
        Some(phase) if good.contains(&phase) => Ready::Yes,
        Some(phase) => Ready::Not(format!("it is {phase}")),
        None => Ready::Not("nobody has taken it up yet".to_owned()),
    }
}

fn condition_of<'a>(live: &'a Value, name: &str) -> Option<&'a Value> {
    live["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == name)
}

fn condition_is_true(live: &Value, name: &str) -> Ready {
    match condition_of(live, name) {
        Some(condition) if condition["status"] == "True" => Ready::Yes,
        Some(condition) => match condition["message"].as_str().filter(|message| !message.is_empty()) {
            Some(message) => Ready::Not(format!("{name} is not true: {message}")),
            None => Ready::Not(format!("{name} is not true")),
        },
        None => Ready::Not(format!("it has no condition {name} yet")),
    }
}

/// Why a pod does not start or is not ready, where it says something.
pub(super) fn stuck(pod: &Value) -> Option<Stuck> {
    let status = &pod["status"];
    let scheduled = status["conditions"].as_array().into_iter().flatten();
    if let Some(not) = scheduled.into_iter().find(|c| c["type"] == "PodScheduled" && c["status"] == "False") {
        let why = format!("no node can take a pod ({}): {}", text(&not["reason"]), text(&not["message"]));
        return Some(Stuck { why, hopeless: false });
    }
    let all = ["initContainerStatuses", "containerStatuses"].map(|name| status[name].as_array());
    let mut waits = None;
    for container in all.into_iter().flatten().flatten() {
        let name = text(&container["name"]);
        let waiting = &container["state"]["waiting"];
        if let Some(reason) = waiting["reason"].as_str() {
            let again = number(&container["restartCount"], 0);
            let image = match reason.contains("Image") || reason.contains("Pull") {
                true => format!(" ({})", text(&container["image"])),
                false => String::new(),
            };
            let message = waiting["message"].as_str().map(|m| format!(": {m}")).unwrap_or_default();
            let ended =
                ended(container).map(|ended| format!(", it last ended with {ended}")).unwrap_or_default();
            let hopeless = match reason {
                "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => true,
                "CreateContainerConfigError" => true,
                "CrashLoopBackOff" => again >= 3,
                _ => false,
            };
            let starting = matches!(reason, "ContainerCreating" | "PodInitializing");
            let stuck = Stuck { why: format!("{name}{image}: {reason}{message}{ended}"), hopeless };
            if !starting {
                return Some(stuck);
            }
            waits = waits.or(Some(stuck));
        } else if container["ready"] == false && container["state"]["running"].is_object() {
            let ended =
                ended(container).map(|ended| format!(", it last ended with {ended}")).unwrap_or_default();
            let why = format!("{name} runs, and its readiness probe does not succeed{ended}");
            waits = waits.or(Some(Stuck { why, hopeless: false }));
        }
    }
    waits
}

/// How a container last ended: `OOMKilled`, `exit code 1`.
fn ended(container: &Value) -> Option<String> {
    let last = container["lastState"]["terminated"].as_object()?;
    let code = last.get("exitCode").and_then(Value::as_i64).unwrap_or(0);
    match last.get("reason").and_then(Value::as_str) {
        Some("Error") | None => Some(format!("exit code {code}")),
        Some(reason) => Some(format!("{reason} (exit code {code})")),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(live: Value, expect: Ready) {
        assert_eq!(of(&live, None), expect, "{live}");
    }

    fn deployment(status: Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"generation": 2},
            "spec": {"replicas": 2}, "status": status})
    }

    fn not(why: &str) -> Ready {
        Ready::Not(why.to_owned())
    }

    #[test]
    fn a_rollout_is_ready_when_only_new_pods_are_available() {
        check(deployment(json!({})), not("its controller has not seen it yet"));
        check(
            deployment(
                json!({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}),
            ),
            not("its controller has not seen the change yet"),
        );
        check(
            deployment(
                json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 1, "availableReplicas": 2}),
            ),
            not("1 of 2 are new, and old ones still run"),
        );
        check(
            deployment(
                json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1}),
            ),
            not("1 of 2 are ready"),
        );
        check(
            deployment(
                json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}),
            ),
            Ready::Yes,
        );
        let late = json!({"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "late"});
        check(
            deployment(json!({"observedGeneration": 2, "conditions": [late]})),
            Ready::Never("late".to_owned()),
        );
        let quota = json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"});
        check(deployment(json!({"observedGeneration": 2, "conditions": [quota]})), not("exceeded quota"));
        let rights = json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "violates PodSecurity"});
        let never = Ready::Never("violates PodSecurity".to_owned());
        check(deployment(json!({"observedGeneration": 2, "conditions": [rights]})), never);
    }

    #[test]
    fn other_kinds_have_signs_of_their_own() {
        let of = |version: &str, kind: &str, spec: Value, status: Value| json!({"apiVersion": version, "kind": kind, "metadata": {"generation": 1}, "spec": spec, "status": status});
        check(
            of(
                "apps/v1",
                "StatefulSet",
                json!({"replicas": 1}),
                json!({"observedGeneration": 1, "replicas": 1, "readyReplicas": 1, "currentRevision": "a", "updateRevision": "b"}),
            ),
            not("0 of 1 are ready"),
        );
        check(of("batch/v1", "Job", json!({}), json!({})), not("it has not finished yet"));
        let failed = json!({"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "too often"}]});
        check(
            of("batch/v1", "Job", json!({}), failed),
            Ready::Never("BackoffLimitExceeded: too often".into()),
        );
        check(
            of("v1", "PersistentVolumeClaim", json!({}), json!({"phase": "Pending"})),
            not("it is Pending"),
        );
        check(
            of("v1", "Service", json!({"type": "LoadBalancer"}), json!({})),
            not("the load balancer has no address yet"),
        );
        check(of("v1", "ConfigMap", json!({}), json!({})), Ready::Yes);
        check(of("example.org/v1", "Shop", json!({}), json!({})), Ready::Yes);
        let waiting = json!({"conditions": [{"type": "Ready", "status": "False", "message": "no disk"}]});
        check(of("example.org/v1", "Shop", json!({}), waiting), not("Ready is not true: no disk"));
        let named = of("example.org/v1", "Shop", json!({}), json!({}));
        assert_eq!(super::of(&named, Some("Synced")), not("it has no condition Synced yet"));
    }

    #[test]
    fn a_pod_says_why_it_does_not_start() {
        let check = |status: Value, expect: Option<(&str, bool)>| {
            let found = stuck(&json!({"status": status}));
            assert_eq!(found.as_ref().map(|s| (s.why.as_str(), s.hopeless)), expect);
        };
        let container = |state: Value| json!({"containerStatuses": [{"name": "app", "image": "shop:bad", "ready": false, "restartCount": 4, "state": state, "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]});
        check(json!({}), None);
        check(
            json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes"}]}),
            Some(("no node can take a pod (Unschedulable): 0/2 nodes", false)),
        );
        check(
            container(json!({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}})),
            Some((
                "app (shop:bad): ImagePullBackOff: Back-off, it last ended with OOMKilled (exit code 137)",
                true,
            )),
        );
        check(
            container(json!({"waiting": {"reason": "CrashLoopBackOff"}})),
            Some(("app: CrashLoopBackOff, it last ended with OOMKilled (exit code 137)", true)),
        );
        check(
            container(json!({"running": {}})),
            Some((
                "app runs, and its readiness probe does not succeed, it last ended with OOMKilled (exit code 137)",
                false,
            )),
        );
    }
}
