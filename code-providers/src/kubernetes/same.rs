//! Whether an object is as it was sent, and how it differs. Pure.
//!
//! ```text
//!               every value that was sent is there, and we hold nothing that was not sent
//! sent, live ──▶ covers, holds_only ──yes──▶ as wanted, without asking the server
//!                                   ──no───▶ a dry run tells: defaults and other ways of writing are no difference
//! ```

use std::fmt;

use serde_json::{Map, Value};

/// The one field manager of server-side apply.
pub(super) const MANAGER: &str = "code-engine";
/// The most differences that are told.
const SHOWN: usize = 3;
/// The longest value that is shown of a difference.
const SHOWN_VALUE: usize = 40;

/// Whether a live object certainly is what was sent. False where only the server can tell.
pub(super) fn is_as_sent(sent: &Value, live: &Value) -> bool {
    covers(sent, live) && fields(live).is_some_and(|fields| holds_only(fields, sent))
}

/// Whether each value that was sent stands in the live object as it was written.
fn covers(sent: &Value, live: &Value) -> bool {
    match (sent, live) {
        (Value::Object(sent), Value::Object(live)) => {
            sent.iter().all(|(name, value)| covers(value, live.get(name).unwrap_or(&Value::Null)))
        }
        (Value::Array(sent), Value::Array(live)) => {
            sent.len() == live.len() && sent.iter().zip(live).all(|(sent, live)| covers(sent, live))
        }
        (sent, live) => sent == live,
    }
}

/// The fields that our manager holds, in the form of `managedFields`.
fn fields(live: &Value) -> Option<&Map<String, Value>> {
    let all = live.get("metadata")?.get("managedFields")?.as_array()?;
    let ours = all.iter().find(|entry| {
        entry["manager"] == MANAGER && entry["operation"] == "Apply" && entry.get("subresource").is_none()
    });
    ours?.get("fieldsV1")?.as_object()
}

/// Whether each field that is held was sent. The names are those of structured merge and diff: `f:NAME` a field,
/// `k:{…}` the element of a list with these keys, `v:VALUE` an element of a set, `.` the thing itself.
fn holds_only(fields: &Map<String, Value>, sent: &Value) -> bool {
    fields.iter().all(|(name, below)| {
        if name == "." {
            return true;
        }
        let found = match name.split_once(':') {
            Some(("f", name)) => sent.get(name),
            Some(("k", keys)) => serde_json::from_str::<Map<String, Value>>(keys).ok().and_then(|keys| {
                // A key that was left out (`protocol`) stands there with its default.
                let is_it =
                    |e: &&Value| keys.iter().all(|(key, value)| e.get(key).is_none_or(|v| v == value));
                sent.as_array()?.iter().find(is_it)
            }),
            Some(("v", value)) => serde_json::from_str::<Value>(value)
                .ok()
                .and_then(|value| sent.as_array()?.iter().find(|element| **element == value)),
            _ => None,
        };
        match (found, below.as_object()) {
            (Some(found), Some(below)) => holds_only(below, found),
            (found, _) => found.is_some(),
        }
    })
}

/// What our manager holds of an object that nothing was recorded of, as a manifest: enough to return to.
pub(super) fn held(live: &Value) -> Value {
    let mut manifest = fields(live).map_or(Value::Object(Map::new()), |fields| only(fields, live));
    for name in ["apiVersion", "kind"] {
        manifest[name] = live[name].clone();
    }
    for name in ["name", "namespace"] {
        if let Some(value) = live["metadata"].get(name) {
            manifest["metadata"][name] = value.clone();
        }
    }
    manifest
}

fn only(fields: &Map<String, Value>, live: &Value) -> Value {
    let below = |below: &Value, live: &Value| match below.as_object() {
        Some(fields) if fields.keys().any(|name| name != ".") => only(fields, live),
        _ => live.clone(),
    };
    match live {
        Value::Object(live) => {
            let named = fields.iter().filter_map(|(name, fields)| {
                let name = name.strip_prefix("f:")?;
                Some((name.to_owned(), below(fields, live.get(name)?)))
            });
            Value::Object(named.collect())
        }
        Value::Array(live) => {
            let of = |element: &Value| {
                fields.iter().find_map(|(name, fields)| match name.split_once(':')? {
                    ("k", keys) => {
                        let keys: Map<String, Value> = serde_json::from_str(keys).ok()?;
                        let is_it = keys.iter().all(|(key, value)| element.get(key) == Some(value));
                        is_it.then(|| below(fields, element))
                    }
                    ("v", value) => {
                        let value: Value = serde_json::from_str(value).ok()?;
                        (value == *element).then_some(value)
                    }
                    _ => None,
                })
            };
            Value::Array(live.iter().filter_map(of).collect())
        }
        other => other.clone(),
    }
}

/// How one object differs from another, as a person compares them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Difference(Vec<(String, Value, Value)>);

/// The difference between what is there and what a dry run would make of it. What the server writes for itself
/// is none: versions, times, managers, status.
pub(super) fn difference(live: &Value, then: &Value) -> Difference {
    let mut found = Vec::new();
    let secret = live["kind"] == "Secret" || then["kind"] == "Secret";
    differ("", &bare(live), &bare(then), &mut found);
    for (path, before, after) in &mut found {
        // What it holds is nobody's to read; that it is another is enough.
        if secret && path.starts_with("data") {
            (*before, *after) = (Value::from("(hidden)"), Value::from("(hidden)"));
        }
    }
    Difference(found)
}

impl Difference {
    pub(super) fn is_none(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (path, before, after)) in self.0.iter().take(SHOWN).enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            match (before, after) {
                (before, after) if before == after => write!(f, "{comma}{path} (hidden)")?,
                (Value::Null, after) => write!(f, "{comma}{path} = {}", short(after))?,
                (_, Value::Null) => write!(f, "{comma}without {path}")?,
                (before, after) => write!(f, "{comma}{path} {} → {}", short(before), short(after))?,
            }
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

fn short(value: &Value) -> String {
    let text = code_core::expr::plain(value);
    match text.char_indices().nth(SHOWN_VALUE) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// Without what the server writes for itself.
fn bare(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(top) = object.as_object_mut() {
        top.remove("status");
        if let Some(metadata) = top.get_mut("metadata").and_then(Value::as_object_mut) {
            for own in
                ["creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"]
            {
                metadata.remove(own);
            }
        }
    }
    object
}

fn differ(path: &str, before: &Value, after: &Value, found: &mut Vec<(String, Value, Value)>) {
    if before == after {
        return;
    }
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match (before, after) {
        (Value::Object(a), Value::Object(b)) => {
            for name in a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))) {
                let of = |group: &Map<String, Value>| group.get(name).cloned().unwrap_or(Value::Null);
                differ(&below(name), &of(a), &of(b), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                let name = a["name"].as_str().filter(|name| b["name"] == **name);
                let at = name.map_or_else(|| format!("{path}[{i}]"), |name| format!("{path}[{name}]"));
                differ(&at, a, b, found);
            }
        }
        _ => found.push((path.to_owned(), before.clone(), after.clone())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn live() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "web", "uid": "1", "labels": {"a": "1"}, "managedFields": [
                {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {"f:type": {}}}},
                {"manager": MANAGER, "operation": "Apply", "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:a": {}}},
                    "f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}}
                }},
            ]},
            "spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": [{"port": 80, "protocol": "TCP"}]},
        })
    }

    fn sent() -> Value {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "labels": {"a": "1"}},
            "spec": {"ports": [{"port": 80}]}})
    }

    #[test]
    fn what_was_sent_is_recognised_among_defaults() {
        assert!(is_as_sent(&sent(), &live()));
        assert_eq!(held(&live()), sent());
    }

    #[test]
    fn what_differs_is_never_taken_for_the_same() {
        let check = |change: &dyn Fn(&mut Value)| {
            let mut other = sent();
            change(&mut other);
            assert!(!is_as_sent(&other, &live()), "{other}");
        };
        check(&|o| o["spec"]["ports"][0]["port"] = json!(81));
        check(&|o| o["spec"]["type"] = json!("NodePort"));
        check(&|o| o["metadata"]["labels"] = json!({}));
        check(&|o| o["spec"] = json!({}));
        check(&|o| o["spec"]["ports"] = json!([{"port": 80}, {"port": 81}]));
        let mut foreign = live();
        foreign["metadata"]["managedFields"] = json!([]);
        assert!(!is_as_sent(&sent(), &foreign), "nobody says that it is ours");
    }

    #[test]
    fn a_difference_is_short_and_without_noise() {
        let (mut then, live) = (live(), live());
        then["metadata"]["resourceVersion"] = json!("9");
        then["status"] = json!({"x": 1});
        assert!(difference(&live, &then).is_none());
        then["spec"]["type"] = json!("NodePort");
        then["spec"]["ports"][0]["name"] = json!("http");
        then["metadata"]["labels"] = json!({});
        assert_eq!(
            difference(&live, &then).to_string(),
            "without metadata.labels.a, spec.ports[0].name = http, spec.type ClusterIP → NodePort"
        );
        let secret = |value: &str| json!({"kind": "Secret", "data": {"password": value}});
        assert_eq!(difference(&secret("YQ=="), &secret("Yg==")).to_string(), "data.password (hidden)");
    }
}
