//! What was said: an intent holds only what the request says, and nothing is defaulted here.
//!
//! The words and fields are a contract that other programs read; `docs/intent.md` has its readings. Defaults
//! belong to the [spec](crate::spec), which adds them with their origin. This module knows nothing of it.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One action in one environment on one target, with all its components.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// What is to be done.
    pub action: Action,
    /// True where the request asks only to show or plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// The application's name: lower case, words joined with `-`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// `development`, `test`, `staging`, `production`, or any other as written, lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// `promote` only: where from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_environment: Option<String>,
    /// The parts, in the order of the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
    /// Where it should run.
    #[serde(default, skip_serializing_if = "Target::is_empty")]
    pub target: Target,
    /// What limits it.
    #[serde(default, skip_serializing_if = "Constraints::is_empty")]
    pub constraints: Constraints,
    /// `rollback` only: `previous`, or the version or revision as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_to: Option<String>,
}

impl Intent {
    /// An intent that says nothing but its action.
    pub fn new(action: Action) -> Intent {
        Intent {
            action,
            dry_run: None,
            application: None,
            environment: None,
            source_environment: None,
            components: Vec::new(),
            target: Target::default(),
            constraints: Constraints::default(),
            rollback_to: None,
        }
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// Make it exist.
    Deploy,
    /// Change version, image or settings of what exists.
    Update,
    /// Change how many there are, or how large.
    Scale,
    /// Stop and start.
    Restart,
    /// Bring what runs in one environment to another.
    Promote,
    /// Go back to an earlier revision.
    Rollback,
    /// Make it not exist.
    Destroy,
    /// Show how it is.
    Status,
    /// Show what it wrote.
    Logs,
    /// Check security, vulnerabilities or compliance.
    Scan,
    /// Estimate or report what it costs.
    Cost,
    /// Make new secrets.
    RotateSecrets,
}

impl Action {
    /// The contract's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Deploy => "deploy",
            Action::Update => "update",
            Action::Scale => "scale",
            Action::Restart => "restart",
            Action::Promote => "promote",
            Action::Rollback => "rollback",
            Action::Destroy => "destroy",
            Action::Status => "status",
            Action::Logs => "logs",
            Action::Scan => "scan",
            Action::Cost => "cost",
            Action::RotateSecrets => "rotate_secrets",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where it should run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The kind of place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// As written, lower case: `eu-west-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The cluster's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The namespace in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

impl Target {
    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        *self == Target::default()
    }
}

/// A kind of place to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is its own name")]
pub enum Platform {
    Aws,
    Azure,
    Gcp,
    Kubernetes,
    Docker,
    Local,
}

impl Platform {
    /// The contract's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Platform::Aws => "aws",
            Platform::Azure => "azure",
            Platform::Gcp => "gcp",
            Platform::Kubernetes => "kubernetes",
            Platform::Docker => "docker",
            Platform::Local => "local",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What limits a deployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Constraints {
    /// The most that it may cost in a month, in `currency`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_monthly: Option<f64>,
    /// ISO 4217; `USD` where only `$` stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// `hipaa`, `pci-dss`, `soc2`, `gdpr`, `iso27001`, `fedramp`, `cis`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compliance: Vec<String>,
}

impl Constraints {
    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        *self == Constraints::default()
    }
}

/// A part of what is to be deployed, as far as it was said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ComponentSaid")]
pub struct Component {
    /// What it is, where its kind is said or follows from its product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// A real name: lower case, words joined with `-`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The product, canonical and lower case: `postgresql`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// As written, without `v`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A container image reference, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// A repository address or a path, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Replicas>,
    /// Cores for each replica: `500m` is 0.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// A canonical quantity for each replica: `512Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// A canonical quantity: `100Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// The port on which it listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Reachable from the internet, or expressly not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<bool>,
    /// A domain name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Encrypted in transit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<bool>,
    /// Five-field cron, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Environment variables said in the request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Replicated so that one failure does not stop it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub highly_available: Option<bool>,
    /// Backed up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backups: Option<bool>,
    /// Encrypted at rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// The name, else the kind, of the components that it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
}

/// How many of a component: either end may be left unsaid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replicas {
    /// At least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u32>,
    /// At most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
}

impl Replicas {
    /// Exactly `n`.
    pub fn exactly(n: u32) -> Replicas {
        Replicas { min: Some(n), max: Some(n) }
    }
}

macro_rules! kinds {
    ($($variant:ident $word:literal $doc:literal,)*) => {
        /// What a component is.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Kind { $(#[doc = $doc] $variant,)* }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Kind] = &[$(Kind::$variant,)*];

            /// The contract's word for it.
            pub fn as_str(self) -> &'static str {
                match self { $(Kind::$variant => $word,)* }
            }

            /// The kind that the contract calls so.
            pub fn from_word(word: &str) -> Option<Kind> {
                match word { $($word => Some(Kind::$variant),)* _ => None }
            }
        }
    };
}

kinds! {
    Web "web" "A web app, a website with a server, a frontend.",
    Api "api" "An API, a backend, a REST, GraphQL or gRPC service.",
    Worker "worker" "Background work, a consumer.",
    Job "job" "One-off work: a migration, a batch.",
    Cron "cron" "Scheduled work.",
    StaticSite "static_site" "A site of files only.",
    Function "function" "A serverless function.",
    Database "database" "A database.",
    Cache "cache" "A cache.",
    Queue "queue" "A message queue, a broker, an event stream.",
    ObjectStorage "object_storage" "A bucket, a blob store.",
    LoadBalancer "load_balancer" "A load balancer.",
    Cdn "cdn" "A content delivery network.",
    Dns "dns" "A DNS zone or record.",
    Network "network" "A VPC, a VNet, a subnet.",
    Vm "vm" "A virtual machine.",
    Cluster "cluster" "A Kubernetes cluster.",
    Monitoring "monitoring" "Metrics, dashboards, alerts, logs, tracing.",
    Search "search" "A search engine.",
    Gateway "gateway" "An ingress, an API gateway.",
    SecretStore "secret_store" "A store of secrets.",
    Registry "registry" "A registry of images or packages.",
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_serialised_names_agree() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(Kind::from_word(kind.as_str()), Some(*kind));
        }
        assert_eq!(serde_json::to_value(Action::RotateSecrets).unwrap(), "rotate_secrets");
        assert_eq!(serde_json::to_value(Platform::Aws).unwrap(), "aws");
    }

    #[test]
    fn what_is_not_said_is_left_out() {
        let intent = Intent::new(Action::Status);
        assert_eq!(serde_json::to_string(&intent).unwrap(), r#"{"action":"status"}"#);
        assert!(serde_json::from_str::<Intent>(r#"{"action":"status","force":true}"#).is_err());
    }
}
