//! The platform `docker`: everything runs in containers of this machine, behind the same stable address as on `local`.
//!
//! ```text
//!  client ──▶ endpoint (a route) ──▶ container.r1.0, container.r1.1 … ──▶ endpoint of db (a container) ──▶ data
//!                                      └ in the network of `web`, and in that of `db`, which it uses
//!  release ──▶ image ──id──▶ containers
//! ```
//!
//! | component | resources |
//! |---|---|
//! | web, api | `release` (files that are built from), `image.DIGEST`, `network`, a `container.rN.I` for each replica, `endpoint` (a route) |
//! | worker | the same without an endpoint |
//! | database | `image.DIGEST`, `network`, `data` (a volume, kept), `endpoint` (the server) |
//!
//! A component is in its own network and in those of what it uses, so that the networks are exactly the edges of the
//! spec. Only what a route leads to is published, on 127.0.0.1.

mod app;
mod database;
mod limits;

use std::sync::Arc;

use code_core::intent::{Kind, Platform};
use code_core::provider::Resource;
use code_core::recipe::At;
use code_core::spec::{Component, Spec};
use code_core::{Address, Digest, Recipe, Result, Want};

use crate::container::{IMAGE, NETWORK};

/// The recipes of the platform `docker`.
pub fn docker() -> Vec<Arc<dyn Recipe>> {
    vec![Arc::new(Docker)]
}

#[derive(Clone, Copy, Debug)]
struct Docker;

impl Recipe for Docker {
    fn name(&self) -> &str {
        "docker"
    }

    fn makes(&self, spec: &Spec, _: &Component) -> bool {
        spec.target.platform == Platform::Docker
    }

    fn resources(&self, at: &At<'_>) -> Result<Vec<Resource>> {
        match at.component.kind {
            Kind::Web | Kind::Api | Kind::Worker => app::resources(at),
            Kind::Database => database::resources(at),
            _ => Err(limits::no_such_kind(at.component)),
        }
    }
}

/// The network of a component, in which whoever uses it finds it by its name.
fn network(at: &At<'_>) -> Result<Resource> {
    Ok(Resource::new(at.address("network")?, NETWORK, Want::new()))
}

/// The address of the network of another component.
fn network_of(component: &Component) -> Result<Address> {
    Address::new(&component.name, "network")
}

/// An image by its name. Another image has another address, so that it stands beside the one that still runs.
fn pulled(at: &At<'_>, reference: &str) -> Result<Resource> {
    let address = at.address(&format!("image.{}", Digest::of(reference.as_bytes()).short()))?;
    Ok(Resource::new(address, IMAGE, Want::new().with("reference", reference)))
}

#[cfg(test)]
mod tests;
