//! What the platform `local` cannot give: refused with help, never ignored.

use code_core::intent::Kind;
use code_core::recipe::At;
use code_core::spec::Component;
use code_core::{Error, ErrorKind, Result};

/// What a person can have instead.
const THERE_IS: &str = "on `local` there are the kinds web, api and worker, and databases with the engines postgresql and sqlite";

/// The error for a component that no recipe makes.
pub(super) fn no_such_kind(at: &At<'_>) -> Error {
    let Component { name, kind, engine, .. } = at.component;
    let what = match engine {
        Some(engine) => format!("{kind} with {engine}"),
        None => kind.to_string(),
    };
    unsupported(format!("make `{name}` ({what}) on {}", at.spec.target.platform)).help(THERE_IS)
}

/// The error for a database of an engine that is not here.
pub(super) fn no_such_engine(component: &Component) -> Error {
    let engine = component.engine.as_deref().unwrap_or("no engine");
    unsupported(format!("make the database `{}` with {engine} on local", component.name)).help(THERE_IS)
}

/// Checks that nothing is asked of a component that this platform cannot give.
///
/// # Errors
/// `recipe::unsupported` names the first thing that it cannot.
pub(super) fn check(component: &Component) -> Result<()> {
    let database = component.kind == Kind::Database;
    let fixed = component.replicas.min == component.replicas.max;
    let port_taken = component.env.contains_key("PORT");
    let limits: [(bool, &str, &str); 12] = [
        (component.image.is_some(), "run a container image", "give the app's source instead of an image"),
        (component.public, "be reached from other machines", "leave `public` out: it answers on 127.0.0.1"),
        (component.tls == Some(true), "serve TLS", "leave `tls` out: nothing leaves this machine"),
        (component.schedule.is_some(), "run on a schedule", "leave `schedule` out, or call it from cron"),
        (
            component.highly_available == Some(true),
            "be highly available",
            "one machine is one failure: leave it out",
        ),
        (component.backups == Some(true), "be backed up", "leave `backups` out, and copy its data yourself"),
        (
            component.encrypted == Some(true),
            "be encrypted at rest",
            "put the state directory on an encrypted disk",
        ),
        (!fixed, "scale by itself", "give one number of replicas"),
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
            port_taken,
            "be told its port by `env`",
            "set `port`: PORT is the port of each replica, and chosen for it",
        ),
    ];
    match limits.iter().find(|(asked, _, _)| *asked) {
        None => Ok(()),
        Some((_, what, help)) => {
            Err(unsupported(format!("let `{}` {what}: the platform local cannot", component.name))
                .help(*help))
        }
    }
}

fn unsupported(message: String) -> Error {
    Error::new(ErrorKind::Unsupported, "recipe::unsupported", message)
}
