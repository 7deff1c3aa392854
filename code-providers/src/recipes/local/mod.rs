//! The platform `local`: everything runs on this machine, reachable on 127.0.0.1 only.
//!
//! | component | resources |
//! |---|---|
//! | web, api | `release`, `process.rREVISION.INDEX`…, `endpoint` (a `route`) |
//! | worker | `release`, `process.rREVISION.INDEX`… |
//! | database, PostgreSQL | `data` (kept), `server` (a `process`), `endpoint` (kept) |
//! | database, SQLite | `endpoint` (kept) |
//!
//! A stopped component keeps its release, its data and its address, and has no process.
//!
//! A component of another kind, engine or platform is an error that says what there is instead: these
//! recipes answer for everything, so they stand last.

mod app;
mod database;
mod limits;
mod port;

use std::sync::Arc;

use code_core::intent::{Kind, Platform};
use code_core::provider::Resource;
use code_core::recipe::At;
use code_core::spec::{Component, Spec};
use code_core::{Recipe, Result};

#[cfg(any(feature = "container", feature = "kubernetes"))]
pub(super) use database::database_name;
pub use port::port;

/// The name of a component's source that stands for the app that comes with CODE.
pub const SAMPLE: &str = "sample";
/// Where a release of the sample app has its program.
pub const SAMPLE_PROGRAM: &str = "app";
/// The argument that makes that program the sample app.
pub const SAMPLE_ARGUMENT: &str = "__sample-app";

/// The recipes of the platform `local`, and the one that refuses everything else with help.
pub fn local() -> Vec<Arc<dyn Recipe>> {
    ALL.iter().map(|recipe| Arc::new(*recipe) as Arc<dyn Recipe>).collect()
}

/// A recipe as a typed function.
#[derive(Clone, Copy, Debug)]
struct Local {
    name: &'static str,
    makes: fn(&Component) -> bool,
    resources: fn(&At<'_>) -> Result<Vec<Resource>>,
}

const ALL: [Local; 3] = [
    Local {
        name: "local.app",
        makes: |component| matches!(component.kind, Kind::Web | Kind::Api | Kind::Worker),
        resources: app::resources,
    },
    Local {
        name: "local.database",
        makes: |component| component.kind == Kind::Database,
        resources: database::resources,
    },
    Local { name: "unsupported", makes: |_| true, resources: |at| Err(limits::no_such_kind(at)) },
];

impl Recipe for Local {
    fn name(&self) -> &str {
        self.name
    }

    fn makes(&self, spec: &Spec, component: &Component) -> bool {
        let here = spec.target.platform == Platform::Local;
        (here || self.name == "unsupported") && (self.makes)(component)
    }

    fn resources(&self, at: &At<'_>) -> Result<Vec<Resource>> {
        (self.resources)(at)
    }
}

#[cfg(test)]
mod tests;
