//! Objects in a Kubernetes cluster: any manifest, by server-side apply with one field manager.
//!
//! ```text
//!  manifest + holes ──render──▶ what is sent ──dry run──▶ difference ──▶ plan
//!  (secrets, outputs             │                        (or: as it was sent, seen from what we hold)
//!   of other steps)              └──apply──▶ API server ──watch──▶ ready, or what keeps it from it
//! ```
//!
//! | kind | wants | outputs |
//! |---|---|---|
//! | `kubernetes.object` | `manifest`; `at.POINTER` for values that other steps or secrets give; `context` of the kubeconfig; `output.NAME`; `read.NAME` = pointer; `ready_seconds` | `cluster`, `uid`, `name`, `namespace`, those that it names |
//!
//! - A field that another manager holds is told with its holder and never taken over unasked.
//! - An object that belongs to nobody or to another deployment is left alone.
//! - The cluster in which something was made is recorded: after a switch of the context, nothing is looked at or
//!   changed.
//! - What may not be read is unknown, never absent.

mod apply;
mod cluster;
mod config;
mod error;
mod manifests;
mod observe;
mod plan;
mod ready;
mod render;
mod same;
mod wait;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use code_core::provider::{
    Capabilities, Change, Class, Failed, Health, Live, Observed, Provider, ProviderInfo, Resource,
};
use code_core::{Ctx, Result};
use tokio::sync::Mutex;

use cluster::{Cluster, Way};
pub use manifests::{objects, parse};
pub(crate) use render::{DEPLOYMENT, label};

/// The kind of the resource.
pub const KIND: &str = "kubernetes.object";

/// How many steps run at once: most only wait for their objects.
const STEPS: usize = 64;

/// Makes, observes, changes and deletes the objects of clusters.
#[derive(Debug)]
pub struct Kubernetes {
    info: ProviderInfo,
    /// The kubeconfig, where the program names one.
    kubeconfig: Option<PathBuf>,
    /// Clusters that answered.
    clusters: Mutex<HashMap<Way, Arc<Cluster>>>,
}

impl Default for Kubernetes {
    fn default() -> Kubernetes {
        Kubernetes {
            info: ProviderInfo {
                name: "kubernetes".to_owned(),
                summary: "objects in a Kubernetes cluster".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            kubeconfig: None,
            clusters: Mutex::default(),
        }
    }
}

impl Kubernetes {
    /// With this kubeconfig, whatever the environment says.
    pub fn with_kubeconfig(path: impl Into<PathBuf>) -> Kubernetes {
        Kubernetes { kubeconfig: Some(path.into()), ..Kubernetes::default() }
    }

    /// The cluster to which a context leads.
    async fn cluster(&self, ctx: &Ctx, context: Option<&str>) -> Result<Arc<Cluster>> {
        let way = Way::find(ctx, self.kubeconfig.as_deref(), context);
        if let Some(cluster) = self.clusters.lock().await.get(&way) {
            return Ok(Arc::clone(cluster));
        }
        let cluster = Arc::new(Cluster::connect(ctx, &way).await?);
        self.clusters.lock().await.insert(way, Arc::clone(&cluster));
        Ok(cluster)
    }

    /// Connects anew next time: after a refusal, credentials may have been renewed.
    async fn disconnect(&self) {
        self.clusters.lock().await.clear();
    }
}

#[async_trait]
impl Provider for Kubernetes {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { kinds: vec![KIND], update: true, replace: true, concurrency: STEPS, class: Class::Io }
    }

    async fn health(&self, ctx: &Ctx) -> Result<Health> {
        let asked = async {
            let cluster = self.cluster(ctx, None).await?;
            cluster.version().await.map_err(|trouble| trouble.into_error("ask for the cluster's version"))
        };
        Ok(match asked.await {
            Ok(version) => Health::Ready { version: format!("Kubernetes {version}") },
            Err(error) if error.code() == "kubernetes::no-cluster" => Health::Missing {
                what: "a Kubernetes cluster".to_owned(),
                help: format!("{}; {}", error.message(), error::CONNECT),
            },
            Err(error) => Health::Broken { why: error.message().to_owned(), help: error::CONNECT.to_owned() },
        })
    }

    async fn observe(&self, ctx: &Ctx, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
        self.observe_object(ctx, resource, last).await
    }

    async fn plan(&self, ctx: &Ctx, resource: &Resource, live: &Observed) -> Result<Change> {
        self.plan_object(ctx, resource, live).await
    }

    async fn apply(&self, ctx: &Ctx, change: &Change) -> Result<Option<Live>, Failed> {
        self.apply_object(ctx, change).await
    }
}
