//! PostgreSQL on this machine: a cluster of its own for each deployment, and a database in it.
//!
//! ```text
//! postgres.data ──program, user──▶ process ──port──▶ postgres.database ──url──▶ apps
//!  the cluster's files               the server          a role and its database
//!  initdb, kept                      another provider's   SQL, kept
//! ```
//!
//! | kind | wants | outputs |
//! |---|---|---|
//! | `postgres.data` | `dir` (absolute), `major` (optional), `superuser_password` (secret) | `program`, `bin_dir`, `user` |
//! | `postgres.database` | `host`, `port`, `name`, `user`, `password` (secret), `superuser_password` (secret), `bin_dir`, `dir` (of its cluster, optional) | `url`, `host`, `port`, `name`, `user`, `oid` (its number in the cluster) |
//!
//! - `user` is who has to run the server: PostgreSQL refuses root, so as root the cluster belongs to the user
//!   `postgres`, else `nobody`. It is empty where it is whoever runs the engine.
//! - Passwords are made here where there are none yet. They go to `initdb` in a file that only its user can
//!   read, and to the server as SCRAM verifiers (RFC 5803), never in arguments or in SQL text.
//! - A cluster is made beside its place and moved there when it is whole: what is at its place is never half
//!   made.
//! - Data that exists is adopted. Only deleting takes data away, and it cannot be taken back.

mod config;
mod connect;
mod data;
mod database;
mod error;
mod owner;
mod parse;
mod programs;
mod render;

use async_trait::async_trait;
use code_core::provider::{
    Action, Capabilities, Change, Class, Failed, Health, Live, Observed, Provider, ProviderInfo, Resource,
};
use code_core::{Ctx, Result};

pub use connect::connect_command;
pub use programs::{Programs, all_programs, find_programs};

/// The kind of a cluster's files.
pub const DATA: &str = "postgres.data";
/// The kind of a role and its database.
pub const DATABASE: &str = "postgres.database";

/// Makes, observes and deletes clusters, roles and databases. Servers are processes, and not its business.
#[derive(Debug)]
pub struct Postgres {
    info: ProviderInfo,
}

impl Default for Postgres {
    fn default() -> Postgres {
        Postgres {
            info: ProviderInfo {
                name: "postgres".to_owned(),
                summary: "PostgreSQL clusters and databases on this machine".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
        }
    }
}

#[async_trait]
impl Provider for Postgres {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        let kinds = vec![DATA, DATABASE];
        Capabilities { kinds, update: true, replace: false, concurrency: 4, class: Class::Mixed }
    }

    async fn health(&self, ctx: &Ctx) -> Result<Health> {
        Ok(match find_programs(ctx.host()).await {
            Some(found) => Health::Ready { version: format!("PostgreSQL {}", found.version) },
            None => Health::Missing {
                what: "the programs of PostgreSQL".to_owned(),
                help: error::INSTALL.to_owned(),
            },
        })
    }

    async fn observe(&self, ctx: &Ctx, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
        if let Some(unknown) = resource.wanted().references().pop_first() {
            return Ok(Observed::NotYet(unknown));
        }
        if resource.want.is_none() && last.is_none() {
            return Ok(Observed::Absent);
        }
        match resource.kind.as_str() {
            DATA => data::observe(ctx, resource, last).await,
            _ => database::observe(ctx, resource, last).await,
        }
    }

    async fn plan(&self, ctx: &Ctx, resource: &Resource, live: &Observed) -> Result<Change> {
        match resource.kind.as_str() {
            DATA => data::plan(ctx, resource, live).await,
            _ => database::plan(resource, live),
        }
    }

    async fn apply(&self, ctx: &Ctx, change: &Change) -> Result<Option<Live>, Failed> {
        let prior = change.prior.as_ref();
        Ok(match (change.resource.kind.as_str(), change.action, prior) {
            (_, Action::Delete, None) => None,
            (DATA, Action::Delete, Some(prior)) => data::delete(ctx, prior).await.map(|()| None)?,
            (_, Action::Delete, Some(prior)) => database::delete(ctx, prior).await.map(|()| None)?,
            (DATA, ..) => Some(data::make(ctx, &change.resource).await?),
            _ => Some(database::make(ctx, &change.resource).await?),
        })
    }
}

#[cfg(test)]
mod tests;
