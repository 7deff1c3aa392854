//! Raw manifests as resources: read from YAML, and ordered by what names what.
//!
//! ```text
//! Namespace, CustomResourceDefinition ◀── what lies in it, what it defines
//! ConfigMap, Secret, ServiceAccount, PersistentVolumeClaim ◀── the workload that names it
//! Deployment, StatefulSet … ◀── its autoscaler;   Service ◀── the Ingress that names it;   Role ◀── its binding
//! ```

use std::collections::{BTreeMap, BTreeSet};

use code_core::id::name_from;
use code_core::provider::Resource;
use code_core::{Address, Error, ErrorKind, Result, Want};
use serde_json::Value;

use super::KIND;
use super::config::Id;
use super::plan::holds_data;

/// The objects of a text of YAML documents; a `List` gives its items.
///
/// # Errors
/// `kubernetes::yaml` where it cannot be read, `kubernetes::manifest` where a document is no object.
pub fn parse(text: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|cause| {
        Error::new(ErrorKind::Invalid, "kubernetes::yaml", "read manifests as YAML")
            .help("see the line that it names; `kubectl apply --dry-run=client -f FILE` reads it, too")
            .because(cause)
    })?;
    let mut all = Vec::new();
    for mut document in documents {
        match document["items"].take() {
            Value::Array(items) if document["kind"].as_str().is_some_and(|kind| kind.ends_with("List")) => {
                all.extend(items);
            }
            items => {
                if !items.is_null() {
                    document["items"] = items;
                } else if let Some(document) = document.as_object_mut() {
                    document.remove("items");
                }
                if !document.is_null() {
                    all.push(document);
                }
            }
        }
    }
    all.iter().try_for_each(|manifest| Id::of(manifest).map(drop))?;
    Ok(all)
}

/// Manifests as resources of a component, each after those that it names. What holds data is retained.
///
/// # Errors
/// `kubernetes::manifest` where one is no object, or two are the same one; `id::address` where `component` is no
/// name.
pub fn objects(component: &str, context: Option<&str>, manifests: &[Value]) -> Result<Vec<Resource>> {
    let mut addresses: BTreeMap<(String, Option<String>, String), Address> = BTreeMap::new();
    let mut ids = Vec::new();
    for manifest in manifests {
        let id = Id::of(manifest)?;
        let key = (id.kind.clone(), id.namespace.clone(), id.name.clone());
        let address = Address::new(component, &resource_name(&id))?;
        if addresses.insert(key, address).is_some() {
            return Err(super::error::manifest(format!("{id} is there twice")));
        }
        ids.push(id);
    }
    let find = |kind: &str, namespace: Option<&str>, name: &str| {
        addresses.get(&(kind.to_owned(), namespace.map(str::to_owned), name.to_owned()))
    };
    let defined: BTreeMap<String, &Address> = manifests
        .iter()
        .zip(&ids)
        .filter(|(_, id)| id.kind == "CustomResourceDefinition")
        .filter_map(|(manifest, id)| {
            let (group, kind) = (manifest.pointer("/spec/group")?, manifest.pointer("/spec/names/kind")?);
            Some((format!("{}/{}", group.as_str()?, kind.as_str()?), find(&id.kind, None, &id.name)?))
        })
        .collect();
    let mut resources = Vec::new();
    for (manifest, id) in manifests.iter().zip(&ids) {
        let Some(address) = find(&id.kind, id.namespace.as_deref(), &id.name) else { continue };
        let mut needs = BTreeSet::new();
        needs.extend(id.namespace.as_deref().and_then(|namespace| find("Namespace", None, namespace)));
        let group = id.api_version.split('/').next().unwrap_or_default();
        needs.extend(defined.get(&format!("{group}/{}", id.kind)).copied());
        for (kind, name) in named(manifest) {
            let namespace = id.namespace.as_deref();
            needs.extend(find(kind, namespace, name).or_else(|| find(kind, None, name)));
        }
        let want = Want::new().with("manifest", manifest.clone()).with_some("context", context);
        let mut resource = Resource::new(address.clone(), KIND, want);
        resource.depends_on = needs.into_iter().filter(|needed| *needed != address).cloned().collect();
        resources.push(if holds_data(id) { resource.retained() } else { resource });
    }
    Ok(resources)
}

/// `deployment.web`, with the namespace where there is one: `deployment.web.shop`.
fn resource_name(id: &Id) -> String {
    let mut name = format!("{}.{}", id.kind.to_ascii_lowercase(), id.name.replace([':', '_'], "-"));
    if let Some(namespace) = &id.namespace {
        name = format!("{name}.{}", name_from(namespace));
    }
    name
}

/// The kinds and names of other objects that a manifest names.
fn named(manifest: &Value) -> Vec<(&'static str, &str)> {
    let mut found = Vec::new();
    visit(manifest, "", &mut found);
    // An autoscaler, a binding.
    for place in ["/spec/scaleTargetRef", "/roleRef"] {
        let of = |field: &str| manifest.pointer(&format!("{place}/{field}")).and_then(Value::as_str);
        if let (Some(kind), Some(name)) = (of("kind"), of("name")) {
            const KINDS: [&str; 4] = ["Deployment", "StatefulSet", "Role", "ClusterRole"];
            found.extend(KINDS.iter().find(|known| **known == kind).map(|kind| (*kind, name)));
        }
    }
    found
}

/// The fields by which a pod, an ingress or a subject names another object.
fn visit<'a>(value: &'a Value, field: &str, found: &mut Vec<(&'static str, &'a str)>) {
    let kind = match field {
        "configMap" | "configMapRef" | "configMapKeyRef" => Some("ConfigMap"),
        "secret" | "secretRef" | "secretKeyRef" => Some("Secret"),
        "persistentVolumeClaim" => Some("PersistentVolumeClaim"),
        "service" => Some("Service"),
        _ => None,
    };
    match value {
        Value::Object(group) => {
            let name = ["name", "secretName", "claimName"].iter().find_map(|name| group.get(*name)?.as_str());
            found.extend(kind.zip(name));
            for (field, value) in group {
                match (field.as_str(), value.as_str()) {
                    ("serviceAccountName", Some(name)) => found.push(("ServiceAccount", name)),
                    ("serviceName", Some(name)) => found.push(("Service", name)),
                    ("secretName", Some(name)) => found.push(("Secret", name)),
                    _ => visit(value, field, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| visit(value, field, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    spec:
      serviceAccountName: web
      containers:
      - name: app
        envFrom: [{configMapRef: {name: settings}}]
      volumes:
      - {name: data, persistentVolumeClaim: {claimName: data}}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: shop}}
- {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data, namespace: shop}}
- {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}
";

    #[test]
    fn manifests_are_ordered_by_what_they_name() {
        let resources = objects("shop", None, &parse(YAML).unwrap()).unwrap();
        let told: Vec<String> = resources
            .iter()
            .map(|r| {
                let needs: Vec<_> = r.depends_on.iter().map(Address::resource).collect();
                let kept = if r.on_delete == code_core::provider::OnDelete::Retain { " (kept)" } else { "" };
                format!("{}{kept} <- {}", r.address.resource(), needs.join(" "))
            })
            .collect();
        assert_eq!(
            told,
            [
                "deployment.web.shop <- configmap.settings.shop namespace.shop persistentvolumeclaim.data.shop",
                "configmap.settings.shop <- namespace.shop",
                "persistentvolumeclaim.data.shop (kept) <- namespace.shop",
                "namespace.shop (kept) <- ",
                "horizontalpodautoscaler.web.shop <- deployment.web.shop namespace.shop",
            ]
        );
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let code = |text: &str| parse(text).and_then(|m| objects("a", None, &m)).unwrap_err();
        assert_eq!(code("{").code(), "kubernetes::yaml");
        assert_eq!(code("kind: Pod").code(), "kubernetes::manifest");
        let twice = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}";
        assert!(code(&format!("{twice}\n---\n{twice}")).message().contains("twice"));
    }
}
