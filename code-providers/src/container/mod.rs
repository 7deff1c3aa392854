//! Containers of this machine, by the API of Docker or Podman: images, networks, volumes, and what runs.
//!
//! ```text
//! container.image ──id──┐
//! container.network ─name┼──▶ container ──address──▶ route, other containers
//! container.volume ─name─┘        │
//!   (data, kept)                  └ inspected: what it is, whether it runs, whether it is well
//! ```
//!
//! | kind | wants | outputs |
//! |---|---|---|
//! | `container.image` | `reference` (pulled where it is not here); or `context`, `digest`, `dockerfile`, `recipe` (its text, where there is none), `arg.NAME`, `network`, `libraries` (those of this program come along) (built) | `id`, `reference`, `digest` where a registry gave one |
//! | `container.network` | `internal` | `id`, `name` |
//! | `container.volume` | – | `name` |
//! | `container` | `image`, `entrypoint`, `args`, `workdir`, `user`, `env.NAME`, `hand_over`, `memory`, `cpu`, `restart`, `network.N`, `alias`, `volume.PATH`, `port`, `publish`, `health.path`, `health.tcp`, `health.command`, `health.timeout_seconds`, `stop_signal`, `grace_seconds`, `fingerprint`, `output.NAME` | `id`, `pid`; `host_port` and `address` where it is published; those that it names |
//!
//! Each takes a `name`, too. To know about them:
//!
//! - **Whose it is** stands in labels: the deployment, the address, the state directory, the step that made it, and what
//!   was wanted of it. What has none of ours, or those of somebody else, is left alone.
//! - **A secret** is a file in the container, `/run/secrets/NAME`, which `NAME_FILE` names; it is copied into it before
//!   it starts. Where the image has a shell, `NAME` is a variable of the program, too, which only the program has:
//!   neither `inspect` nor the plan, the labels or a log show it. `hand_over = "file"` leaves the variable out.
//! - **A port** is published on 127.0.0.1 only.
//! - **Healthy** is what its `health.command` says, and what this machine sees at its published port.
//! - **An image** of ours is a tag of our own, so that taking it away takes nothing from others.
//! - Memory, cores and the restart policy change while it runs; all else makes another container.

mod api;
mod apply;
mod config;
mod context;
mod error;
mod image;
mod names;
mod network;
mod observe;
mod parse;
mod plan;
mod render;
mod run;
mod volume;
mod way;

use std::sync::Arc;

use async_trait::async_trait;
use code_core::provider::{
    Capabilities, Change, Class, Failed, Health, Live, Observed, Provider, ProviderInfo, Resource,
};
use code_core::{Ctx, Result};
use tokio::sync::Mutex;

use api::{About, Api};
use way::Way;

/// The kind of what runs.
pub const CONTAINER: &str = "container";
/// The kind of an image.
pub const IMAGE: &str = "container.image";
/// The kind of a network.
pub const NETWORK: &str = "container.network";
/// The kind of a volume.
pub const VOLUME: &str = "container.volume";

/// Makes, observes, changes and deletes containers and what they need.
#[derive(Debug)]
pub struct Containers {
    info: ProviderInfo,
    /// The daemon, where the program names one.
    named: Option<String>,
    /// The daemon that answered last.
    link: Mutex<Option<Arc<Link>>>,
}

/// A daemon, and what it said of itself.
#[derive(Debug)]
struct Link {
    way: Way,
    about: About,
}

impl Link {
    fn api<'a>(&'a self, ctx: &'a Ctx) -> Api<'a> {
        Api { way: &self.way, about: &self.about, ctx, heeds: true }
    }
}

impl Default for Containers {
    fn default() -> Containers {
        Containers {
            info: ProviderInfo {
                name: "container".to_owned(),
                summary: "containers, by Docker or Podman".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            named: None,
            link: Mutex::default(),
        }
    }
}

impl Containers {
    /// With the daemon at this address (`unix:///run/docker.sock`), whatever the environment says.
    pub fn at(address: impl Into<String>) -> Containers {
        Containers { named: Some(address.into()), ..Containers::default() }
    }

    /// The daemon, and what it says of itself: asked once.
    async fn link(&self, ctx: &Ctx) -> Result<Arc<Link>> {
        let way = Way::find(ctx, self.named.as_deref())?;
        let mut kept = self.link.lock().await;
        if let Some(link) = kept.as_ref().filter(|link| link.way == way) {
            return Ok(Arc::clone(link));
        }
        let about = api::about(ctx, &way).await?;
        let link = Arc::new(Link { way, about });
        *kept = Some(Arc::clone(&link));
        Ok(link)
    }
}

#[async_trait]
impl Provider for Containers {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        let kinds = vec![CONTAINER, IMAGE, NETWORK, VOLUME];
        Capabilities { kinds, update: true, replace: true, concurrency: 8, class: Class::Io }
    }

    async fn health(&self, ctx: &Ctx) -> Result<Health> {
        // Asked anew each time: whether it works now is the question.
        let asked = async { api::about(ctx, &Way::find(ctx, self.named.as_deref())?).await };
        Ok(match asked.await {
            Ok(about) => Health::Ready { version: about.name },
            Err(error) if error.code() == "container::missing" => {
                Health::Missing { what: "Docker or Podman".to_owned(), help: error::INSTALL.to_owned() }
            }
            Err(error) => Health::Broken {
                why: format!("failed to {}", error.message()),
                help: error.help_text().unwrap_or(error::INSTALL).to_owned(),
            },
        })
    }

    async fn observe(&self, ctx: &Ctx, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
        let link = match self.link(ctx).await {
            Ok(link) => link,
            Err(error) => return observe::no_daemon(resource, last, error),
        };
        observe::observe(link.api(ctx), resource, last).await
    }

    async fn plan(&self, _ctx: &Ctx, resource: &Resource, live: &Observed) -> Result<Change> {
        plan::plan(resource, live)
    }

    async fn apply(&self, ctx: &Ctx, change: &Change) -> Result<Option<Live>, Failed> {
        let link = self.link(ctx).await?;
        apply::apply(link.api(ctx), change).await
    }
}
