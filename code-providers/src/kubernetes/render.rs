//! A manifest as it is sent: its holes filled, its owner named. Pure.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use code_core::expr::plain;
use code_core::{Address, Deployment, Digest, Expr, Result, Secret, SecretRef};
use serde_json::{Map, Value, json};

use super::config::{Object, unbound};
use super::error;

/// The label that every object of ours carries, after the custom of all tools.
pub(super) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The label that says to which deployment an object belongs.
pub(crate) const DEPLOYMENT: &str = "code-engine.dev/deployment";
/// The annotation that says where in its deployment an object has its place.
const ADDRESS: &str = "code-engine.dev/address";
/// What stands in the label [`MANAGED_BY`].
const US: &str = "code";
/// The longest value of a label (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>).
const LONGEST_LABEL: usize = 63;

/// The manifest with every hole filled and the labels of its owner.
///
/// # Errors
/// `want::unbound` where a value is not known yet, `kubernetes::manifest` where a place does not fit.
pub(super) fn render(
    object: &Object,
    secrets: &BTreeMap<SecretRef, Secret>,
    deployment: Option<&Deployment>,
    address: &Address,
) -> Result<Value> {
    let mut manifest = object.manifest.clone();
    let is_secret = object.id.kind == "Secret" && object.id.api_version == "v1";
    for (at, value) in &object.holes {
        let value = fill(value, secrets).ok_or_else(|| unbound(at))?;
        let value = match is_secret && at.starts_with("/data/") {
            true => Value::String(STANDARD.encode(plain(&value))),
            false => value,
        };
        put(&mut manifest, at, value)
            .ok_or_else(|| error::manifest(format!("there is no place `{at}` in {}", object.id)))?;
    }
    if is_secret {
        encode_plain(&mut manifest);
    }
    let mut own = |group: &str, name: &str, value: String| {
        // A manifest may carry `metadata: {labels: null}`; what is no group is made one.
        let metadata = &mut manifest["metadata"];
        if !metadata[group].is_object() {
            metadata[group] = json!({});
        }
        metadata[group][name] = Value::String(value);
    };
    own("labels", MANAGED_BY, US.to_owned());
    if let Some(deployment) = deployment {
        own("labels", DEPLOYMENT, label(deployment));
    }
    own("annotations", ADDRESS, address.to_string());
    Ok(manifest)
}

/// A deployment as the value of a label: `shop.staging`, cut and told apart by a digest where that is too long.
pub(crate) fn label(deployment: &Deployment) -> String {
    let text = format!("{}.{}", deployment.application(), deployment.environment());
    if text.len() <= LONGEST_LABEL {
        return text;
    }
    let digest = Digest::of(text.as_bytes()).to_string();
    // Names are ASCII.
    format!("{}-{}", &text[..LONGEST_LABEL - 9], &digest[..8])
}

/// The deployment to which a live object belongs.
pub(super) fn belongs_to(live: &Value) -> Option<&str> {
    live.get("metadata")?.get("labels")?.get(DEPLOYMENT)?.as_str()
}

/// The value of an expression; `None` where a part of it is not known.
fn fill(value: &Expr, secrets: &BTreeMap<SecretRef, Secret>) -> Option<Value> {
    match value {
        Expr::Known(value) => Some(value.clone()),
        Expr::Ref { .. } => None,
        Expr::Secret(name) => Some(Value::String(secrets.get(name)?.expose().to_owned())),
        Expr::Text(parts) => {
            let parts: Option<Vec<String>> =
                parts.iter().map(|part| fill(part, secrets).map(|value| plain(&value))).collect();
            Some(Value::String(parts?.concat()))
        }
    }
}

/// Puts a value at a JSON pointer. Groups on the way are made; a list must have the element, or end before it.
fn put(manifest: &mut Value, at: &str, value: Value) -> Option<()> {
    let mut place = manifest;
    for part in at.strip_prefix('/')?.split('/') {
        let part = part.replace("~1", "/").replace("~0", "~");
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        place = match place {
            Value::Object(group) => group.entry(part).or_insert(Value::Null),
            Value::Array(list) => {
                let index: usize = part.parse().ok()?;
                if index == list.len() {
                    list.push(Value::Null);
                }
                list.get_mut(index)?
            }
            _ => return None,
        };
    }
    *place = value;
    Some(())
}

/// `stringData` is only a way of writing `data`, and would never be seen again.
fn encode_plain(manifest: &mut Value) {
    let Some(plain) = manifest.as_object_mut().and_then(|manifest| manifest.remove("stringData")) else {
        return;
    };
    for (name, value) in plain.as_object().into_iter().flatten() {
        if let Some(text) = value.as_str() {
            // A name of a Secret has no `~` and no `/`.
            put(manifest, &format!("/data/{name}"), Value::String(STANDARD.encode(text)));
        }
    }
}

#[cfg(test)]
mod tests {
    use code_core::Want;

    use super::*;

    fn secret() -> Want {
        Want::new()
            .with("manifest", json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"user": "app"}}))
            .with("at./data/url", Expr::Text(vec!["postgres://app:".into(), Expr::secret("p"), "@db".into()]))
    }

    fn sent(want: &Want, secrets: &[(&str, &str)]) -> Result<Value> {
        let secrets = secrets.iter().map(|(name, value)| (SecretRef((*name).into()), Secret::new(*value)));
        let deployment = Deployment::new("shop", "staging").unwrap();
        render(&Object::of(want)?, &secrets.collect(), Some(&deployment), &"db/secret".parse().unwrap())
    }

    #[test]
    fn a_secret_is_filled_encoded_and_labelled() {
        let sent = sent(&secret(), &[("p", "hunter22")]).unwrap();
        assert_eq!(sent["data"]["url"], STANDARD.encode("postgres://app:hunter22@db"));
        assert_eq!(sent["data"]["user"], STANDARD.encode("app"));
        assert!(sent.get("stringData").is_none());
        assert_eq!(belongs_to(&sent), Some("shop.staging"));
        assert_eq!(sent["metadata"]["annotations"][ADDRESS], "db/secret");
    }

    #[test]
    fn what_is_not_known_is_never_made_up() {
        assert_eq!(sent(&secret(), &[]).unwrap_err().code(), "want::unbound");
        let reference = Expr::output(&"db/endpoint".parse().unwrap(), "url");
        let want = secret().with("at./data/x", reference);
        assert_eq!(sent(&want, &[("p", "hunter22")]).unwrap_err().code(), "want::unbound");
    }

    #[test]
    fn places_are_made_and_lists_grow_by_one() {
        let mut manifest = json!({"a": [{"b": 1}]});
        for (at, fits) in
            [("/a/0/c", true), ("/a/1/d", true), ("/a/5", false), ("/x/y~1z", true), ("/a/0/b/c", false)]
        {
            assert_eq!(put(&mut manifest, at, json!(7)).is_some(), fits, "{at}");
        }
        assert_eq!(manifest, json!({"a": [{"b": 1, "c": 7}, {"d": 7}], "x": {"y/z": 7}}));
    }

    #[test]
    fn a_long_deployment_is_still_a_label() {
        let long = Deployment::new(&"a".repeat(60), "production").unwrap();
        assert_eq!(label(&long).len(), LONGEST_LABEL);
        assert_ne!(label(&long), label(&Deployment::new(&"a".repeat(61), "production").unwrap()));
    }
}
