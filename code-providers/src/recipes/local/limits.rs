//! What the platform `local` cannot give: refused with help, never ignored.

use code_core::intent::Kind;
use code_core::recipe::At;
use code_core::spec::Component;
use code_core::{Error, Result};

use crate::recipes::limits;

/// What a person can have instead.
const THERE_IS: &str = "on `local` there are the kinds web, api and worker, and databases with the engines postgresql and sqlite";

/// The error for a component that no recipe makes.
pub(super) fn no_such_kind(at: &At<'_>) -> Error {
    limits::no_such_kind(at.component, at.spec.target.platform, THERE_IS)
}

/// The error for a database of an engine that is not here.
pub(super) fn no_such_engine(component: &Component) -> Error {
    let engine = component.engine.as_deref().unwrap_or("no engine");
    let message = format!("make the database `{}` with {engine} on local", component.name);
    limits::unsupported(message).help(THERE_IS)
}

/// Checks that nothing is asked of a component that this platform cannot give.
///
/// # Errors
/// `recipe::unsupported` names the first thing that it cannot.
pub(super) fn check(component: &Component) -> Result<()> {
    let database = component.kind == Kind::Database;
    let image =
        (component.image.is_some(), "run a container image", "give the app's source instead of an image");
    let everywhere = limits::one_machine(component, "put the state directory on an encrypted disk");
    let asked = [
        (
            database && component.replicas.max > 1,
            "be replicated",
            "one database server runs: leave `replicas` out",
        ),
        (
            database && component.host.is_some(),
            "have a domain name",
            "leave `host` out: it answers on 127.0.0.1",
        ),
        (
            component.kind == Kind::Worker && component.port.is_some(),
            "have an address",
            "leave `port` out, or make it an `api`",
        ),
        (
            component.env.contains_key("PORT"),
            "be told its port by `env`",
            "set `port`: PORT is the port of each replica, and chosen for it",
        ),
    ];
    limits::check(component, "local", [image].into_iter().chain(everywhere).chain(asked))
}
