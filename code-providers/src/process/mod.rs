//! Processes of this machine that outlive the command that starts them, and the stable addresses in front.
//!
//! ```text
//!            observe, plan: read the table and /proc, look at its health
//!  engine ──────────────────────────────────────────────────────────────▶ table.json   processes
//!      │                                                                     ▲           ▲  ▲
//!      └──── apply ──▶ ProcessProvider ──── socket ────▶ keeper ── writes ────┘           │  │
//!                                                          └──── starts, watches, stops ──┘  │
//!  client ──── http://127.0.0.1:PORT ────▶ route in the keeper ──────── requests ────────────┘
//! ```
//!
//! Observing and planning never start a keeper, and never change anything. The provider is thin: what a
//! resource wants is read in `want`, what has to change is decided in `plan` (pure), a port that somebody else
//! has is refused by `taken`, what is there is seen in `observe`, and `apply` asks the [`keeper`].

mod apply;
pub mod identity;
pub mod keeper;
mod observe;
mod old;
mod plan;
pub mod port;
pub mod probe;
mod taken;
mod user;
mod want;

use async_trait::async_trait;
use code_core::provider::{
    Capabilities, Change, Class, Failed, Health, Live, Observed, ProviderInfo, Resource,
};
use code_core::{Ctx, Error, ErrorKind, Provider, Result};

use keeper::{Place, Program};
pub use old::old_logs;
#[cfg(feature = "container")]
pub(crate) use want::{holds_secret, text};

/// The kind of a process.
pub const PROCESS: &str = "process";
/// The kind of a stable address.
pub const ROUTE: &str = "route";

/// Runs processes on this machine, and serves stable addresses in front of them.
///
/// A `process` takes `program`, `args`, `cwd`, `env.NAME`, `port` (`auto` or a number), `health.path` or
/// `health.tcp`, `health.timeout_seconds`, `user`, `stop_signal`, `grace_seconds` and `fingerprint`, and gives
/// `pid`, `port` and `address`. `memory` and `cpu` are recorded and not enforced, which a policy tells
/// (`resources.limits-enforced`): a bare machine has no limit that fits every program, and a wrong one kills what
/// runs well. A `route` takes `port`, `targets.N` (addresses of processes) and
/// `drain_seconds`, and gives `url` and `port`.
#[derive(Debug)]
pub struct ProcessProvider {
    info: ProviderInfo,
    keeper: Program,
}

impl Default for ProcessProvider {
    fn default() -> ProcessProvider {
        ProcessProvider::new()
    }
}

impl ProcessProvider {
    /// A provider whose keeper is this program: its `main` begins with [`keeper::keeper_main`].
    pub fn new() -> ProcessProvider {
        ProcessProvider {
            info: ProviderInfo {
                name: "process".into(),
                summary: "processes that stay, and their addresses".into(),
                version: env!("CARGO_PKG_VERSION").into(),
            },
            keeper: Program::Own,
        }
    }

    /// With another program as the keeper.
    #[must_use]
    pub fn with_keeper(mut self, keeper: Program) -> ProcessProvider {
        self.keeper = keeper;
        self
    }
}

#[async_trait]
impl Provider for ProcessProvider {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        let kinds = vec![PROCESS, ROUTE];
        Capabilities { kinds, update: true, replace: true, concurrency: 32, class: Class::Io }
    }

    async fn health(&self, _ctx: &Ctx) -> Result<Health> {
        let broken = |error: Error| Health::Broken {
            why: error.message().to_owned(),
            help: error.help_text().unwrap_or_default().to_owned(),
        };
        Ok(match self.keeper.check().and_then(|()| identity::boot_id()) {
            Ok(_) => Health::Ready { version: format!("keeper {}", env!("CARGO_PKG_VERSION")) },
            Err(error) => broken(error),
        })
    }

    async fn observe(&self, ctx: &Ctx, resource: &Resource, _last: Option<&Live>) -> Result<Observed> {
        let place = place(ctx, resource)?;
        match resource.kind.as_str() {
            ROUTE => observe::route(ctx, &place).await,
            _ => observe::process(ctx, &place, resource.want.is_some()).await,
        }
    }

    async fn plan(&self, ctx: &Ctx, resource: &Resource, live: &Observed) -> Result<Change> {
        let (change, code) = match resource.kind.as_str() {
            ROUTE => (plan::route(resource, live)?, "route::port-taken"),
            _ => (plan::process(resource, live)?, "process::port-taken"),
        };
        taken::check(ctx, &place(ctx, resource)?, &change, code).await?;
        Ok(change)
    }

    async fn apply(&self, ctx: &Ctx, change: &Change) -> Result<Option<Live>, Failed> {
        let place = place(ctx, &change.resource)?;
        match change.resource.kind.as_str() {
            ROUTE => apply::route(ctx, &self.keeper, place, change).await,
            _ => apply::process(ctx, &self.keeper, place, change).await,
        }
    }
}

/// The file into which a process writes, as long as it is the `address` of the deployment; full ones lie
/// beside it as `….log.1` to `….log.5`.
pub fn log_file(
    state_dir: &std::path::Path,
    deployment: &code_core::Deployment,
    address: &code_core::Address,
) -> std::path::PathBuf {
    want::log(state_dir, &Place { deployment: deployment.clone(), address: address.clone() })
}

/// Where a resource stands, among all deployments of a state directory.
fn place(ctx: &Ctx, resource: &Resource) -> Result<Place> {
    match ctx.deployment() {
        Some(deployment) => Ok(Place { deployment: deployment.clone(), address: resource.address.clone() }),
        None => {
            let what = format!("tell of which deployment {} is", resource.address);
            Err(Error::new(ErrorKind::Bug, "process::no-deployment", what)
                .help("call `Ctx::for_deployment` before a provider is called"))
        }
    }
}
