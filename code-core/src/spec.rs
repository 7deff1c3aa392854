//! What should exist: complete, validated, every value with its origin.
//!
//! A spec says everything that a deployment depends on, so that its digest names exactly what will run. The
//! names are those of the [intent](crate::intent); what was not said there is filled in here, and
//! [`Origins`] says from where.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::check_name;
use crate::intent::{Constraints, Kind, Platform};
use crate::request::Span;
use crate::{Deployment, Digest, Error, ErrorKind, Result, RunId};

/// The version of the format that this build writes and reads.
pub const SPEC_VERSION: u32 = 1;

/// What one deployment should be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The version of the format: 1.
    pub version: u32,
    /// The application's name.
    pub application: String,
    /// The environment's name.
    pub environment: String,
    /// Whether changes here need the approval of another person, and nothing unknown is accepted.
    #[serde(default)]
    pub protected: bool,
    /// How many resources one plan may take away.
    #[serde(default = "default_delete_budget")]
    pub delete_budget: u32,
    /// Where it runs.
    #[serde(default)]
    pub target: Target,
    /// Its parts.
    pub components: Vec<Component>,
    /// What limits it.
    #[serde(default, skip_serializing_if = "Constraints::is_empty")]
    pub constraints: Constraints,
}

fn default_delete_budget() -> u32 {
    10
}

/// Where a deployment runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The kind of place.
    pub platform: Platform,
    /// A cloud's region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// A cluster's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// A namespace in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

impl Default for Target {
    fn default() -> Target {
        Target { platform: Platform::Local, region: None, cluster: None, namespace: None }
    }
}

/// A part of a deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// Its name, unique in the spec.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The product: `postgresql`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// The product's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A container image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Where its files are: a directory, or `sample` for the app that comes with CODE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How it is built: a program and its arguments, run in `source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Vec<String>>,
    /// How it is started: a program and its arguments, run in the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Vec<String>>,
    /// The digest of its source and of how it is built: what exactly runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Digest>,
    /// How many of it run.
    #[serde(default)]
    pub replicas: Replicas,
    /// Cores for each replica.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// A canonical quantity for each replica: `512Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// A canonical quantity: `10Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// The port of its stable address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Whether it is reachable from outside of the machine or the cluster.
    #[serde(default)]
    pub public: bool,
    /// A domain name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Encrypted in transit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<bool>,
    /// Five-field cron, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// How it is seen to be healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthCheck>,
    /// Replicated so that one failure does not stop it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub highly_available: Option<bool>,
    /// Backed up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backups: Option<bool>,
    /// Encrypted at rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// The names of the components that it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// Kept, but not running.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
    /// Counts the restarts that were asked for: another number is another process.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restarts: u32,
    /// How the root in `source` is applied, where `engine` is `opentofu` or `terraform`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terraform: Option<Root>,
}

/// The tools that apply roots, as `engine` names them, the preferred one first.
pub const ROOT_ENGINES: [&str; 2] = ["opentofu", "terraform"];

/// How a root of OpenTofu or Terraform is applied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// The directory of the root inside of `source`; `source` itself where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The workspace; `default` where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// The root's variables: texts, numbers, yes or no, lists of those, and maps. In a text, `${NAME.OUTPUT}` is
    /// the output of another component.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Value>,
    /// The names of sensitive outputs that others may use: each is kept as a secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secret_outputs: Vec<String>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Component {
    /// A component of which only the name and the kind are known.
    pub fn new(name: &str, kind: Kind) -> Component {
        Component {
            name: name.to_owned(),
            kind,
            engine: None,
            version: None,
            image: None,
            source: None,
            build: None,
            start: None,
            release: None,
            replicas: Replicas::default(),
            cpu: None,
            memory: None,
            storage: None,
            port: None,
            public: false,
            host: None,
            tls: None,
            schedule: None,
            env: BTreeMap::new(),
            health: None,
            highly_available: None,
            backups: None,
            encrypted: None,
            depends_on: Vec::new(),
            stopped: false,
            restarts: 0,
            terraform: None,
        }
    }

    /// Whether it is a root of OpenTofu or Terraform.
    pub fn is_root(&self) -> bool {
        self.engine.as_deref().is_some_and(|engine| ROOT_ENGINES.contains(&engine))
    }
}

/// How many of a component run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replicas {
    /// At least.
    pub min: u32,
    /// At most.
    pub max: u32,
}

impl Default for Replicas {
    fn default() -> Replicas {
        Replicas { min: 1, max: 1 }
    }
}

/// How a component is seen to be healthy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// A path that answers with a status below 400; without one, an open TCP port is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How long a new process may take to become healthy, in seconds.
    pub timeout_seconds: u32,
}

/// The most components that a spec may have.
pub const MAX_COMPONENTS: usize = 500;
/// The most replicas of one component.
pub const MAX_REPLICAS: u32 = 1000;

impl Spec {
    /// A spec of this machine without components yet, and with the defaults of every other value.
    pub fn new(application: &str, environment: &str) -> Spec {
        Spec {
            version: SPEC_VERSION,
            application: application.to_owned(),
            environment: environment.to_owned(),
            protected: false,
            delete_budget: default_delete_budget(),
            target: Target::default(),
            components: Vec::new(),
            constraints: Constraints::default(),
        }
    }

    /// The digest of what should exist.
    pub fn digest(&self) -> Digest {
        Digest::of_json(self)
    }

    /// The deployment that it is for.
    ///
    /// # Errors
    /// `id::name` where application or environment is no name.
    pub fn deployment(&self) -> Result<Deployment> {
        Deployment::new(&self.application, &self.environment)
    }

    /// A component by its name.
    pub fn component(&self, name: &str) -> Option<&Component> {
        self.components.iter().find(|component| component.name == name)
    }

    /// The JSON pointers of its values: each scalar, and each list of scalars as one value.
    pub fn leaves(&self) -> Vec<String> {
        let mut found = Vec::new();
        if let Ok(value) = serde_json::to_value(self) {
            leaves(&value, &mut String::new(), &mut found);
        }
        found
    }

    /// Where its values come from, where somebody made it of another spec: what is as it was there comes from
    /// where it came from, and the rest from `edit`.
    pub fn edited(&self, was: &Spec, origins: &Origins, edit: &Origin) -> Origins {
        let value = |spec: &Spec| serde_json::to_value(spec).unwrap_or_default();
        let (now, then) = (value(self), value(was));
        // A place in a list says nothing where another component stands there.
        let moved = |leaf: &str| {
            let place = leaf.strip_prefix("/components/").and_then(|rest| rest.split('/').next());
            let name = |spec: &Spec| Some(spec.components.get(place?.parse::<usize>().ok()?)?.name.clone());
            name(self) != name(was)
        };
        let origin = |leaf: &String| {
            let same = now.pointer(leaf) == then.pointer(leaf) && !moved(leaf);
            origins.get(leaf).filter(|_| same).unwrap_or(edit).clone()
        };
        self.leaves().into_iter().map(|leaf| (leaf.clone(), origin(&leaf))).collect()
    }

    /// Checks what types cannot: names, references, cycles, ranges, sizes.
    ///
    /// # Errors
    /// The first thing that is wrong: `spec::version`, `id::name`, `spec::empty`, `spec::too-large`,
    /// `spec::duplicate`, `spec::dangling`, `spec::cycle`, `spec::replicas`, `spec::value`.
    pub fn check(&self) -> Result<()> {
        let invalid = |code, message: String| Error::new(ErrorKind::Invalid, code, message);
        if self.version != SPEC_VERSION {
            let message = format!("read a spec of version {}", self.version);
            return Err(invalid("spec::version", message)
                .help(format!("this build reads version {SPEC_VERSION}: write `version: {SPEC_VERSION}`, or use a build that knows the other")));
        }
        self.deployment()?;
        if self.components.is_empty() {
            return Err(invalid("spec::empty", "find a component in the spec".into())
                .help("list at least one component, for example `- {name: web, kind: web}`"));
        }
        if self.components.len() > MAX_COMPONENTS {
            return Err(invalid("spec::too-large", format!("take {} components", self.components.len()))
                .help(format!("split the spec: one may have {MAX_COMPONENTS} components")));
        }
        let mut names = BTreeSet::new();
        for component in &self.components {
            check_name("a component", &component.name)?;
            if !names.insert(component.name.as_str()) {
                let message = format!("tell two components named `{}` apart", component.name);
                return Err(invalid("spec::duplicate", message).help("give each component its own name"));
            }
            component.check()?;
        }
        for component in &self.components {
            if let Some(missing) = component.depends_on.iter().find(|name| !names.contains(name.as_str())) {
                let message = format!("find `{missing}`, which `{}` depends on", component.name);
                return Err(invalid("spec::dangling", message)
                    .help("`depends_on` takes the names of components of the same spec")
                    .with("components", names.iter().copied().collect::<Vec<_>>().join(", ")));
            }
        }
        self.check_cycles()
    }

    fn check_cycles(&self) -> Result<()> {
        let edges = self
            .components
            .iter()
            .flat_map(|c| c.depends_on.iter().filter_map(|on| Some((self.index(&c.name)?, self.index(on)?))));
        match crate::graph::find_cycle(self.components.len(), edges) {
            None => Ok(()),
            Some(cycle) => {
                let names: Vec<_> = cycle.iter().map(|i| self.components[*i].name.as_str()).collect();
                let message = format!("order components that depend on each other: {}", names.join(" → "));
                Err(Error::new(ErrorKind::Invalid, "spec::cycle", message)
                    .help("take one of these dependencies out"))
            }
        }
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.components.iter().position(|component| component.name == name)
    }
}

impl Component {
    fn check(&self) -> Result<()> {
        let bad = |what: &str, help: &str| {
            Err(Error::new(ErrorKind::Invalid, "spec::value", format!("use {what} of `{}`", self.name))
                .help(help))
        };
        let Replicas { min, max } = self.replicas;
        if min > max || max == 0 || max > MAX_REPLICAS {
            let message = format!("run {min} to {max} replicas of `{}`", self.name);
            return Err(Error::new(ErrorKind::Invalid, "spec::replicas", message).help(format!(
                "`min` is at most `max`, and `max` is 1 to {MAX_REPLICAS}; to run none, stop the component"
            )));
        }
        if self.cpu.is_some_and(|cpu| !(cpu.is_finite() && cpu > 0.0 && cpu <= 1024.0)) {
            return bad("the cpu", "give a number of cores above 0, for example 0.5");
        }
        for (what, value) in [("the memory", &self.memory), ("the storage", &self.storage)] {
            if value.as_deref().is_some_and(|v| quantity_bytes(v).is_none()) {
                return bad(what, "give a quantity such as `512Mi` or `10Gi`");
            }
        }
        if self.port == Some(0) {
            return bad("the port", "give a port from 1 to 65535");
        }
        for (name, value) in &self.env {
            let good = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !good || value.contains('\0') {
                let shown: String = name.chars().take(40).flat_map(char::escape_debug).collect();
                return bad(
                    &format!("the environment variable \"{shown}\""),
                    "a name is of letters, digits and `_`, and a value has no NUL byte",
                );
            }
        }
        for argv in [&self.build, &self.start].into_iter().flatten() {
            if argv.first().is_none_or(String::is_empty) || argv.iter().any(|arg| arg.contains('\0')) {
                return bad("the command", "give a program and its arguments as a list, without NUL bytes");
            }
        }
        if let Some(root) = &self.terraform {
            if !self.is_root() {
                return bad("`terraform`", "leave `engine` out, or make it `opentofu` or `terraform`");
            }
            if !root.variables.values().all(is_simple) {
                return bad(
                    "the variables",
                    "a list has texts, numbers, and yes or no in it; what is deeper goes into a `*.auto.tfvars` \
                     file of the root",
                );
            }
        }
        if self.health.as_ref().is_some_and(|h| h.path.as_deref().is_some_and(|p| !p.starts_with('/'))) {
            return bad("the health path", "begin it with `/`");
        }
        Ok(())
    }
}

/// Whether each list in a value is one of plain values: then each of its leaves has one place.
fn is_simple(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(|item| !item.is_array() && !item.is_object()),
        Value::Object(map) => !map.is_empty() && map.values().all(is_simple),
        Value::Null => false,
        _ => true,
    }
}

/// The bytes of a canonical quantity (`512Mi`, `1500M`), as Kubernetes reads it; `None` where it is none.
pub fn quantity_bytes(quantity: &str) -> Option<u64> {
    let at = quantity.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(quantity.len());
    let number: f64 = quantity[..at].parse().ok()?;
    let factor: f64 = match &quantity[at..] {
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "Ki" => 1024.0,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        _ => return None,
    };
    let bytes = number * factor;
    (bytes >= 1.0 && bytes < u64::MAX as f64).then_some(bytes as u64)
}

fn leaves(value: &Value, at: &mut String, found: &mut Vec<String>) {
    let mut inside = |name: &str, value: &Value| {
        let length = at.len();
        at.push('/');
        at.push_str(&name.replace('~', "~0").replace('/', "~1"));
        leaves(value, at, found);
        at.truncate(length);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| inside(name, value)),
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            items.iter().enumerate().for_each(|(i, item)| inside(&i.to_string(), item));
        }
        _ => found.push(at.clone()),
    }
}

/// Where each value of a spec comes from, by its JSON pointer (`/components/0/port`).
pub type Origins = BTreeMap<String, Origin>;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum Origin {
    /// Words of the request.
    Request {
        /// Where they stand in it.
        spans: Vec<Span>,
        /// The words themselves.
        words: String,
    },
    /// A line of a file: a spec, a Procfile, a manifest.
    File {
        /// The file.
        path: String,
        /// Counted from 1; 0 where it is not known.
        line: u32,
        /// What it says there, where that needs saying.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        what: String,
    },
    /// A setting of the project.
    Setting {
        /// The file.
        path: String,
        /// Counted from 1; 0 where it is not known.
        line: u32,
        /// The key: `environments.staging.platform`.
        key: String,
    },
    /// An option of the command line.
    Option {
        /// `--project`.
        name: String,
    },
    /// Chosen for the deployment once, and kept since.
    Revision {
        /// The revision that has it.
        revision: u64,
    },
    /// A person, when a run was paused.
    Edited {
        /// Who.
        by: String,
        /// At which run.
        run: RunId,
    },
    /// A default.
    Default {
        /// Why this one.
        why: String,
    },
}

impl Origin {
    /// A default with its reason.
    pub fn default(why: impl Into<String>) -> Origin {
        Origin::Default { why: why.into() }
    }
}

/// As a person reads it behind a value: `from "with database"`, `Procfile:1`, `default: one is enough`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |f: &mut fmt::Formatter<'_>, path: &str, line: u32| match line {
            0 => f.write_str(path),
            line => write!(f, "{path}:{line}"),
        };
        match self {
            Origin::Request { words, .. } => write!(f, "from your request: \"{words}\""),
            Origin::File { path, line, what } => {
                place(f, path, *line)?;
                if what.is_empty() { Ok(()) } else { write!(f, ": {what}") }
            }
            Origin::Setting { path, line, key } => {
                place(f, path, *line)?;
                write!(f, ": {key}")
            }
            Origin::Option { name } if name.starts_with('-') => write!(f, "option {name}"),
            // Said in a word of the command line: `the command stop`.
            Origin::Option { name } => f.write_str(name),
            Origin::Revision { revision } => write!(f, "kept since revision {revision}"),
            Origin::Edited { by, run } => write!(f, "edited by {by} at the pause of run {run}"),
            Origin::Default { why } => write!(f, "default: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(components: Vec<Component>) -> Spec {
        Spec { components, ..Spec::new("shop", "staging") }
    }

    fn check(change: impl FnOnce(&mut Spec), code: Option<&str>) {
        let mut web = Component::new("web", Kind::Web);
        web.depends_on = vec!["db".into()];
        let mut spec = spec(vec![web, Component::new("db", Kind::Database)]);
        change(&mut spec);
        let error = spec.check().err();
        assert_eq!(error.as_ref().map(Error::code), code);
        assert!(error.is_none_or(|error| error.help_text().is_some()));
    }

    #[test]
    fn a_spec_is_checked() {
        check(|_| {}, None);
        check(|s| s.version = 2, Some("spec::version"));
        check(|s| s.application = "../x".into(), Some("id::name"));
        check(|s| s.components.clear(), Some("spec::empty"));
        check(|s| s.components[1].name = "web".into(), Some("spec::duplicate"));
        check(|s| s.components[0].depends_on = vec!["cache".into()], Some("spec::dangling"));
        check(|s| s.components[1].depends_on = vec!["web".into()], Some("spec::cycle"));
        check(|s| s.components[1].depends_on = vec!["db".into()], Some("spec::cycle"));
        check(|s| s.components[0].replicas = Replicas { min: 3, max: 2 }, Some("spec::replicas"));
        check(|s| s.components[0].replicas = Replicas { min: 0, max: 0 }, Some("spec::replicas"));
        check(|s| s.components[0].cpu = Some(f64::NAN), Some("spec::value"));
        check(|s| s.components[0].memory = Some("lots".into()), Some("spec::value"));
        check(|s| s.components[0].port = Some(0), Some("spec::value"));
        check(|s| drop(s.components[0].env.insert("A=B".into(), String::new())), Some("spec::value"));
        check(|s| s.components[0].start = Some(vec![]), Some("spec::value"));
        check(
            |s| {
                s.components =
                    (0..=MAX_COMPONENTS).map(|i| Component::new(&format!("c{i}"), Kind::Web)).collect()
            },
            Some("spec::too-large"),
        );
    }

    #[test]
    fn leaves_are_scalars_and_lists_of_scalars() {
        let mut web = Component::new("web", Kind::Web);
        web.start = Some(vec!["a".into(), "b".into()]);
        web.env.insert("A_B".into(), "1".into());
        let leaves = spec(vec![web]).leaves();
        for expected in ["/version", "/target/platform", "/components/0/start", "/components/0/env/A_B"] {
            assert!(leaves.iter().any(|leaf| leaf == expected), "{expected} of {leaves:?}");
        }
    }

    #[test]
    fn what_was_edited_comes_from_the_edit_and_the_rest_from_where_it_came_from() {
        let was = spec(vec![Component::new("web", Kind::Web), Component::new("db", Kind::Database)]);
        let kept = Origin::default("it was so");
        let origins: Origins = was.leaves().into_iter().map(|leaf| (leaf, kept.clone())).collect();
        let edit = Origin::Edited { by: "ann".into(), run: RunId(2) };
        let edited = |now: &Spec| -> Vec<String> {
            let all = now.edited(&was, &origins, &edit);
            assert_eq!(all.keys().cloned().collect::<BTreeSet<_>>(), now.leaves().into_iter().collect());
            all.into_iter().filter(|(_, origin)| *origin == edit).map(|(leaf, _)| leaf).collect()
        };
        assert_eq!(edited(&was), Vec::<String>::new());
        let mut now = was.clone();
        now.components[0].port = Some(4000);
        assert_eq!(edited(&now), ["/components/0/port"]);
        now = was.clone();
        now.components.reverse();
        assert!(edited(&now).iter().all(|leaf| leaf.starts_with("/components/")), "{:?}", edited(&now));
        assert!(edited(&now).contains(&"/components/0/replicas/min".to_owned()), "another component's");
    }

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        for (text, bytes) in [
            ("512Mi", Some(536_870_912)),
            ("1.5k", Some(1500)),
            ("7", Some(7)),
            ("Mi", None),
            ("1 Mi", None),
            ("0", None),
        ] {
            assert_eq!(quantity_bytes(text), bytes, "{text}");
        }
    }
}
