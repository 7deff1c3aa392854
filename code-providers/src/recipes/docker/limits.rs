//! What the platform `docker` cannot give: refused with help, never ignored.

use code_core::intent::Kind;
use code_core::spec::Component;
use code_core::{Error, Result};

use crate::recipes::limits::{self, Limit};

/// What a person can have instead.
const THERE_IS: &str =
    "on `docker` there are the kinds web, api and worker, and databases with the engine postgresql";

/// The error for a component that no recipe makes.
pub(super) fn no_such_kind(component: &Component) -> Error {
    limits::no_such_kind(component, "docker", THERE_IS)
}

/// Checks that nothing is asked of an app that cannot be given.
///
/// # Errors
/// `recipe::unsupported` names the first thing that cannot be.
pub(super) fn app(component: &Component) -> Result<()> {
    let worker = component.kind == Kind::Worker;
    let told = |name: &str| component.env.contains_key(name);
    check(
        component,
        [
            (component.storage.is_some(), "keep files", "leave `storage` out, and keep them in a database"),
            (worker && component.port.is_some(), "have an address", "leave `port` out, or make it an `api`"),
            (told("PORT") || told("HOST"), "be told where it listens by `env`", "set `port`"),
        ],
    )
}

/// Checks that nothing is asked of a database that cannot be given.
///
/// # Errors
/// `recipe::unsupported` names the first thing that cannot be.
pub(super) fn database(component: &Component) -> Result<()> {
    if component.engine.as_deref() != Some("postgresql") {
        return Err(no_such_kind(component));
    }
    check(
        component,
        [
            (component.replicas.max > 1, "be replicated", "one database server runs: leave `replicas` out"),
            (component.host.is_some(), "have a domain name", "leave `host` out: it answers in its network"),
            (
                component.port.is_some(),
                "have another port",
                "leave `port` out: it answers in its network, at 5432",
            ),
            (
                component.storage.is_some(),
                "have a limit of its data",
                "leave `storage` out: a volume has none",
            ),
        ],
    )
}

fn check<const N: usize>(component: &Component, asked: [Limit; N]) -> Result<()> {
    let everywhere = limits::one_machine(component, "put the daemon's data on an encrypted disk");
    limits::check(component, "docker", everywhere.into_iter().chain(asked))
}
