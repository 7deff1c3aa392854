//! What is wanted of an object, read from a resource.

use std::collections::BTreeMap;

use code_core::{Error, ErrorKind, Expr, Result, Want};
use serde_json::Value;

use super::error;

/// The annotation by which a manifest asks to take fields over that another manager holds.
pub(super) const CONFLICTS: &str = "code-engine.dev/conflicts";
/// The annotation by which a manifest names a condition of its object that has to be true.
pub(super) const WAIT_FOR: &str = "code-engine.dev/wait-for";
/// How long an object may take until it is ready where nothing else is said, in seconds.
const READY_SECONDS: u32 = 300;

/// An object, as it is wanted.
#[derive(Clone, Debug)]
pub(super) struct Object {
    /// Its kind and name: what tells it from every other.
    pub(super) id: Id,
    /// The manifest, with its holes still empty.
    pub(super) manifest: Value,
    /// What goes into the holes: a JSON pointer (RFC 6901) and a value.
    pub(super) holes: BTreeMap<String, Expr>,
    /// Outputs that the resource names itself.
    pub(super) outputs: BTreeMap<String, Expr>,
    /// Outputs that are read from the object: a JSON pointer each.
    pub(super) reads: BTreeMap<String, String>,
    /// The context of the kubeconfig; its current one where none is named.
    pub(super) context: Option<String>,
    /// How long it may take until it is ready.
    pub(super) ready_seconds: u32,
}

/// What tells an object from every other of its cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Id {
    /// `v1`, `apps/v1`.
    pub(super) api_version: String,
    /// `Deployment`.
    pub(super) kind: String,
    /// Its namespace, where the manifest names one.
    pub(super) namespace: Option<String>,
    /// Its name.
    pub(super) name: String,
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.name)?;
        match &self.namespace {
            Some(namespace) => write!(f, " in {namespace}"),
            None => Ok(()),
        }
    }
}

impl Object {
    /// Reads what is wanted.
    ///
    /// # Errors
    /// `kubernetes::manifest` where it is no manifest of one object, those of [`Want::read`].
    pub(super) fn of(want: &Want) -> Result<Object> {
        let manifest: Value = want.need("manifest")?;
        let id = Id::of(&manifest)?;
        let holes: BTreeMap<String, Expr> =
            want.group("at").into_iter().map(|(at, value)| (at.to_owned(), value.clone())).collect();
        if let Some(at) = holes.keys().find(|at| !at.starts_with('/')) {
            return Err(error::manifest(format!("`at.{at}` names no place: a place begins with `/`")));
        }
        let outputs =
            want.group("output").into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect();
        let mut reads = BTreeMap::new();
        for name in want.group("read").into_keys() {
            reads.insert(name.to_owned(), want.need::<String>(&format!("read.{name}"))?);
        }
        // An output is written down, and what a Secret holds never is.
        if id.kind == "Secret" && !reads.is_empty() {
            return Err(error::manifest(format!("nothing is read from {id}: name its value as a secret")));
        }
        let ready_seconds = want.read("ready_seconds")?.unwrap_or(READY_SECONDS);
        Ok(Object { id, manifest, holes, outputs, reads, context: want.read("context")?, ready_seconds })
    }

    /// Whether fields that another manager holds are to be taken over.
    pub(super) fn takes_over(&self) -> bool {
        self.annotation(CONFLICTS) == Some("take")
    }

    /// The condition that has to be true, where the manifest names one.
    pub(super) fn waits_for(&self) -> Option<&str> {
        self.annotation(WAIT_FOR)
    }

    fn annotation(&self, name: &str) -> Option<&str> {
        self.manifest.get("metadata")?.get("annotations")?.get(name)?.as_str()
    }
}

impl Id {
    /// The identity that a manifest names.
    ///
    /// # Errors
    /// `kubernetes::manifest` where a part of it is missing or could not stand in a path.
    pub(super) fn of(manifest: &Value) -> Result<Id> {
        let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str);
        let need = |pointer: &str, what: &str| {
            let found = text(pointer).filter(|found| is_part(found));
            found.map(str::to_owned).ok_or_else(|| error::manifest(format!("it has no good `{what}`")))
        };
        if text("/metadata/generateName").is_some() {
            return Err(error::manifest("`generateName` would make another object each time".to_owned()));
        }
        let api_version = text("/apiVersion").filter(|version| version.split('/').all(is_part));
        let api_version = api_version.filter(|version| version.split('/').count() <= 2);
        let namespace = match text("/metadata/namespace") {
            Some(_) => Some(need("/metadata/namespace", "metadata.namespace")?),
            None => None,
        };
        Ok(Id {
            api_version: api_version
                .ok_or_else(|| error::manifest("it has no good `apiVersion`".to_owned()))?
                .to_owned(),
            kind: need("/kind", "kind")?,
            namespace,
            name: need("/metadata/name", "metadata.name")?,
        })
    }
}

/// Whether a text can be one part of a path of the API as it is.
fn is_part(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    !text.is_empty() && text.len() <= 253 && text.chars().all(good) && text.chars().any(|c| c != '.')
}

/// The error of a value that an earlier step has to give first.
pub(super) fn unbound(needed: impl std::fmt::Display) -> Error {
    let message = format!("make an object before `{needed}` is known, which stands in it");
    Error::new(ErrorKind::Bug, "want::unbound", message).help("reference only outputs that exist")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(manifest: Value, expect: Result<&str, &str>) {
        let read = Object::of(&Want::new().with("manifest", manifest.clone()));
        match (read, expect) {
            (Ok(object), Ok(id)) => assert_eq!(object.id.to_string(), id),
            (Err(error), Err(part)) => assert!(error.message().contains(part), "{error:?} of {manifest}"),
            (other, _) => panic!("{manifest} gave {other:?}"),
        }
    }

    #[test]
    fn a_manifest_names_one_object() {
        let named = |name: &str| json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "shop"}});
        check(named("web"), Ok("Deployment web in shop"));
        check(
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "system:web"}}),
            Ok("ClusterRole system:web"),
        );
        for bad in ["", "..", "a/b", "a?b", "ä", "a b", "a%2fb"] {
            check(named(bad), Err("metadata.name"));
        }
        check(json!({"kind": "Pod", "metadata": {"name": "a"}}), Err("apiVersion"));
        check(json!({"apiVersion": "a/b/c", "kind": "Pod", "metadata": {"name": "a"}}), Err("apiVersion"));
        check(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "a-"}}),
            Err("generateName"),
        );
        check(json!([]), Err("apiVersion"));
    }

    #[test]
    fn what_a_secret_holds_is_no_output() {
        let manifest = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}});
        let want = Want::new().with("manifest", manifest).with("read.password", "/data/password");
        assert!(Object::of(&want).unwrap_err().message().contains("nothing is read from Secret db"));
    }
}
