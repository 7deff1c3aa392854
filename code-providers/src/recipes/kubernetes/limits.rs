//! What the platform `kubernetes` cannot give yet: refused with help, never ignored.

use code_core::intent::Kind;
use code_core::spec::Component;
use code_core::{Error, ErrorKind, Result};

use crate::recipes::limits::{self, Limit};

/// What a person can have instead.
const THERE_IS: &str = "on `kubernetes` there are the kinds web, api, worker, job and cron, and databases with the engine postgresql";
/// The longest name: what Kubernetes adds to it is a label, too.
const LONGEST_NAME: usize = 50;

/// The error for a component that no recipe makes.
pub(super) fn no_such_kind(component: &Component) -> Error {
    limits::no_such_kind(component, "kubernetes", THERE_IS)
}

/// The image of an app of which nothing is asked that cannot be given.
///
/// # Errors
/// `recipe::unsupported` names the first thing that cannot be, `recipe::incomplete` where there is no image.
pub(super) fn app(component: &Component) -> Result<&str> {
    let worker = component.kind == Kind::Worker;
    let listens = component.port.is_some() || component.public || component.host.is_some();
    let two = component.replicas.min >= 2;
    check(
        component,
        [
            (component.backups == Some(true), "be backed up", "leave `backups` out: an app keeps nothing"),
            (
                component.encrypted == Some(true),
                "be encrypted at rest",
                "leave `encrypted` out: an app keeps nothing",
            ),
            (component.storage.is_some(), "keep files", "leave `storage` out, and keep them in a database"),
            (
                component.highly_available == Some(true) && !two,
                "be highly available",
                "say at least two replicas",
            ),
            (
                component.tls == Some(true) && component.host.is_none(),
                "serve TLS",
                "say its `host`: a certificate is for a name",
            ),
            (
                worker && listens,
                "have an address",
                "leave `port`, `public` and `host` out, or make it an `api`",
            ),
        ],
    )?;
    image(component)
}

/// The image of work that ends, of which nothing is asked that cannot be given.
///
/// # Errors
/// As [`app`], and `recipe::incomplete` where a cron has no schedule.
pub(super) fn job(component: &Component) -> Result<&str> {
    let listens = component.port.is_some() || component.public || component.host.is_some();
    let lasts = component.storage.is_some() || component.backups == Some(true);
    check(
        component,
        [
            (
                listens || component.tls == Some(true),
                "have an address",
                "leave `port`, `public`, `host` and `tls` out",
            ),
            (
                component.health.is_some(),
                "be asked for its health",
                "leave `health` out: it is done when it ends well",
            ),
            (component.replicas.max > 1, "be replicated", "leave `replicas` out: one runs at a time"),
            (
                component.highly_available == Some(true),
                "be highly available",
                "leave it out: it is tried again",
            ),
            (lasts, "keep files", "leave `storage` and `backups` out, and keep them in a database"),
        ],
    )?;
    if component.kind == Kind::Cron && component.schedule.is_none() {
        let message = format!("run `{}` at its times: it has no `schedule`", component.name);
        return Err(Error::new(ErrorKind::Invalid, "recipe::incomplete", message)
            .help("set `schedule` to five fields of cron, in UTC: `0 3 * * *` is every night at three"));
    }
    image(component)
}

fn image(component: &Component) -> Result<&str> {
    component.image.as_deref().ok_or_else(|| {
        let message = format!("deploy `{}` without its image", component.name);
        Error::new(ErrorKind::Invalid, "recipe::incomplete", message).help(
            "a cluster runs images: build one, push it where the cluster can pull it, and name it as `image`",
        )
    })
}

/// The port of a database of which nothing is asked that cannot be given.
///
/// # Errors
/// `recipe::unsupported` names the first thing that cannot be.
pub(super) fn database(component: &Component) -> Result<u16> {
    if component.engine.as_deref() != Some("postgresql") {
        return Err(no_such_kind(component));
    }
    let listens = component.public || component.host.is_some() || component.tls == Some(true);
    check(
        component,
        [
            (
                component.highly_available == Some(true),
                "be highly available",
                "leave it out: one server runs",
            ),
            (component.replicas.max > 1, "be replicated", "leave `replicas` out: one server runs"),
            (
                component.backups == Some(true),
                "be backed up",
                "leave `backups` out, and snapshot its volume yourself",
            ),
            (
                component.encrypted == Some(true),
                "be encrypted at rest",
                "make a StorageClass that encrypts the cluster's default",
            ),
            (listens, "be reached from outside of the cluster", "leave `public`, `host` and `tls` out"),
        ],
    )?;
    Ok(super::port(component).unwrap_or_default())
}

fn check<const N: usize>(component: &Component, asked: [Limit; N]) -> Result<()> {
    let name = &component.name;
    let long = name.len() > LONGEST_NAME || !name.starts_with(|c: char| c.is_ascii_lowercase());
    let scheduled = component.schedule.is_some() && component.kind != Kind::Cron;
    let everywhere = [
        (long, "have this name", "begin it with a letter, and take at most 50"),
        (scheduled, "run on a schedule", "leave `schedule` out, or make it a `cron`"),
        (component.env.contains_key("PORT"), "be told its port by `env`", "set `port`"),
    ];
    limits::check(component, "kubernetes", everywhere.into_iter().chain(asked))
}
