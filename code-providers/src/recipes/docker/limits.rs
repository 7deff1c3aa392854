//! What the platform `docker` cannot give: refused with help, never ignored.

use code_core::intent::Kind;
use code_core::spec::Component;
use code_core::{Error, ErrorKind, Result};

/// What a person can have instead.
const THERE_IS: &str =
    "on `docker` there are the kinds web, api and worker, and databases with the engine postgresql";

/// The error for a component that no recipe makes.
pub(super) fn no_such_kind(component: &Component) -> Error {
    let Component { name, kind, engine, .. } = component;
    let engine = engine.as_ref().map(|engine| format!(" with {engine}")).unwrap_or_default();
    unsupported(format!("make `{name}` ({kind}{engine}) on docker")).help(THERE_IS)
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
        &[
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
        &[
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

fn check(component: &Component, asked: &[(bool, &str, &str)]) -> Result<()> {
    let everywhere = [
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
            "put the daemon's data on an encrypted disk",
        ),
        (component.replicas.min != component.replicas.max, "scale by itself", "give one number of replicas"),
    ];
    match everywhere.iter().chain(asked).find(|(asked, _, _)| *asked) {
        None => Ok(()),
        Some((_, what, help)) => {
            let message = format!("let `{}` {what}: the platform docker cannot", component.name);
            Err(unsupported(message).help(*help))
        }
    }
}

fn unsupported(message: String) -> Error {
    Error::new(ErrorKind::Unsupported, "recipe::unsupported", message)
}
