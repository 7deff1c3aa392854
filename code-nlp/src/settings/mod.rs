//! What a project says once, so that requests need not: `code.toml` at its root.
//!
//! ```text
//! code.toml ──read──▶ Settings ──▶ resolve      values, each with file:line as its origin
//!                        └───────▶ Vocabulary   names and words for the parser
//! ```
//!
//! The file is found by walking up from a directory, as git finds `.git`. Reading is strict: a key that is
//! not known is an error with the nearest known one, because a misspelt `protected` must not be ignored.
//! The format's JSON schema is `docs/schema/code.toml.schema.json`.

mod lines;
mod part;
mod read;
mod requires;
#[cfg(test)]
mod tests;
mod vocabulary;

use std::collections::BTreeMap;

use code_core::event::OnFailure;
use code_core::intent::{Kind, Platform};
use code_core::spec::Origin;
use code_core::{Deployment, Error, ErrorKind, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use part::part_fields;
pub use part::{Health, PartSettings, Replicas};
pub(crate) use read::{excerpt, nearest, plain};

use lines::Lines;

/// The name of the file.
pub const SETTINGS_FILE: &str = "code.toml";
/// The largest file that is read, in bytes.
pub const MAX_SETTINGS_BYTES: usize = 256 * 1024;

/// The settings of a project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "code.toml")]
pub struct Settings {
    /// The versions of CODE that this project may be used with: `>=0.1`. Another one reads nothing else of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requires: Option<String>,
    /// The application's name; else the project's own name is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// The environments that exist, by name. Where any is listed, no other may be named.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environments: BTreeMap<String, Environment>,
    /// What components are when nothing else is said, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub components: BTreeMap<String, PartSettings>,
    /// Words of this project that requests may use.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub vocabulary: Words,
    /// The repository to which revisions are committed: a directory, relative to this file, or an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git: Option<String>,
    /// How OpenTofu and Terraform are run on this machine.
    #[serde(skip_serializing_if = "Terraform::is_empty")]
    pub terraform: Terraform,
    /// How much of what was is kept.
    #[serde(skip_serializing_if = "Keep::is_default")]
    pub keep: Keep,
    /// Directories of further policies, relative to this file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    #[serde(skip)]
    lines: Lines,
}

/// The settings of one environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Environment {
    /// Where it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// A cloud's region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// A cluster's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// A namespace in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Whether changes need the approval of another person, and nothing unknown is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protected: Option<bool>,
    /// How many other people must approve: 0, or 1, which is what `protected` means.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1))]
    pub approvals: Option<u32>,
    /// Whether nothing may be changed here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// How many resources one plan may take away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_budget: Option<u32>,
    /// What happens when a step fails for good: `roll-back`, `pause` for a person, or `stop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// What it may cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// What it must comply with: `hipaa`, `pci-dss`, `soc2`, `gdpr`, `iso27001`, `fedramp`, `cis`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub compliance: Vec<String>,
    /// The repository to which revisions are committed, where that differs from the whole project's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git: Option<String>,
    /// What components are here, where that differs from `components` of the whole project.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub components: BTreeMap<String, PartSettings>,
}

/// How OpenTofu and Terraform are run on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Terraform {
    /// A directory with providers in the layout that `tofu providers mirror` writes, relative to this file: nothing
    /// is fetched from elsewhere then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<String>,
    /// Where modules may come from that are none of a root's own files: what their sources begin with. Each is
    /// pinned: one version, a whole commit, or a digest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    /// The names of environment variables that the tool sees, for the credentials of its providers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<String>,
    /// How long an apply waits for a lock that somebody else holds, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock_timeout_seconds: Option<u32>,
}

impl Terraform {
    fn is_empty(&self) -> bool {
        *self == Terraform::default()
    }
}

/// How much of what was is kept, of each deployment. The journal is kept for ever, and so are data and secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Keep {
    /// What the steps of so many runs wrote, the newest; 100 by default. Older logs go after a run.
    #[schemars(range(min = 1))]
    pub runs: u32,
    /// So many revisions stay ready for a rollback when `prune` removes releases; 10 by default.
    pub revisions: u32,
}

impl Default for Keep {
    fn default() -> Keep {
        Keep { runs: 100, revisions: 10 }
    }
}

impl Keep {
    fn is_default(&self) -> bool {
        *self == Keep::default()
    }
}

/// What an environment may cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The most in a month, in `currency`.
    pub monthly: f64,
    /// ISO 4217; `USD` where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
}

/// Words of a project that requests may use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Words {
    /// Environments beside those that have settings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
    /// Applications beside this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<String>,
    /// Components beside those that have settings, with what they are.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub components: BTreeMap<String, Kind>,
    /// Products of the project's own, with the kind that each stands for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub products: BTreeMap<String, Kind>,
    /// A word, and the known word that it stands for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub synonyms: BTreeMap<String, String>,
}

impl Words {
    fn is_empty(&self) -> bool {
        *self == Words::default()
    }
}

impl Settings {
    /// The file that they were read from; `None` where there is none.
    pub fn path(&self) -> Option<&str> {
        self.lines.path()
    }

    /// Where the setting at a JSON pointer (`/environments/staging/platform`) stands.
    pub fn origin(&self, pointer: &str) -> Origin {
        self.lines.origin(pointer)
    }

    /// The environments that may be named: empty where any may.
    pub fn environment_names(&self) -> impl Iterator<Item = &str> {
        self.environments.keys().map(String::as_str)
    }

    /// Whether changes in this environment need the approval of another person, with where that is said.
    pub fn protected(&self, environment: &str) -> Option<(bool, Origin)> {
        let settings = self.environments.get(environment)?;
        let at = |key: &str| self.origin(&format!("/environments/{}/{key}", escape(environment)));
        match (settings.protected, settings.approvals) {
            (Some(protected), _) => Some((protected, at("protected"))),
            (None, Some(approvals)) => Some((approvals > 0, at("approvals"))),
            (None, None) => None,
        }
    }

    /// Refuses to change what is called read-only.
    ///
    /// # Errors
    /// `resolve::read-only`.
    pub fn check_writable(&self, deployment: &Deployment) -> Result<()> {
        let name = deployment.environment();
        if !self.environments.get(name).is_some_and(|environment| environment.read_only) {
            return Ok(());
        }
        let message = format!("change {deployment}: {name} is read-only");
        let at = self.origin(&format!("/environments/{}/read_only", escape(name)));
        Err(Error::new(ErrorKind::Refused, "resolve::read-only", message)
            .help("use `--dry-run` to see what would change, or take `read_only` out of the settings")
            .with("at", at.to_string()))
    }

    /// How many resources one plan may take away in this environment, with where that is said.
    pub fn delete_budget(&self, environment: &str) -> Option<(u32, Origin)> {
        let budget = self.environments.get(environment)?.delete_budget?;
        Some((budget, self.origin(&format!("/environments/{}/delete_budget", escape(environment)))))
    }

    /// What happens in this environment when a step fails for good, where that is said.
    pub fn on_failure(&self, environment: &str) -> Option<OnFailure> {
        self.environments.get(environment)?.on_failure
    }

    /// The settings of a component in an environment, strongest first, with the pointer of each.
    pub(crate) fn parts(&self, environment: &str, name: &str) -> Vec<(String, &PartSettings)> {
        let here = self.environments.get(environment).and_then(|e| e.components.get(name));
        let name_in = escape(name);
        let here = here.map(|p| (format!("/environments/{}/components/{name_in}", escape(environment)), p));
        let everywhere = self.components.get(name).map(|p| (format!("/components/{name_in}"), p));
        here.into_iter().chain(everywhere).collect()
    }

    /// The names of components that have settings in an environment.
    pub(crate) fn component_names(&self, environment: &str) -> Vec<&str> {
        let here = self.environments.get(environment).into_iter().flat_map(|e| e.components.keys());
        let mut names: Vec<&str> = self.components.keys().chain(here).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// A first settings file for an application: what most projects change first, and the line by which editors
/// know the format.
pub fn starter(application: &str) -> String {
    format!(
        r#"#:schema {SCHEMA_URL}
# What this project says once, so that requests need not. See docs/settings.md.
application = "{application}"

[environments.staging]
platform = "local"

[environments.production]
platform = "local"
protected = true    # another person approves each plan

# [components.web]
# start = ["./server"]
# health = {{ path = "/health" }}
# memory = "512Mi"
"#
    )
}

/// Where the JSON schema of the format is published.
pub const SCHEMA_URL: &str = "https://code-engine.dev/schema/code.toml.schema.json";

/// A name as one part of a JSON pointer (RFC 6901).
pub(crate) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
