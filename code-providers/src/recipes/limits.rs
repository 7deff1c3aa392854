//! What a platform cannot give: refused with help, never ignored.

use std::fmt::Display;

use code_core::spec::Component;
use code_core::{Error, ErrorKind, Result};

/// Whether it is asked of a component, what it is, and what to do instead.
pub(super) type Limit = (bool, &'static str, &'static str);

/// Checks that nothing is asked of a component that its platform cannot give.
///
/// # Errors
/// `recipe::unsupported` names the first thing that it cannot.
pub(super) fn check(
    component: &Component,
    platform: &str,
    limits: impl IntoIterator<Item = Limit>,
) -> Result<()> {
    match limits.into_iter().find(|(asked, _, _)| *asked) {
        None => Ok(()),
        Some((_, what, help)) => {
            let message = format!("let `{}` {what}: the platform {platform} cannot", component.name);
            Err(unsupported(message).help(help))
        }
    }
}

/// The error for a component that no recipe makes; `there_is` says what a person can have instead.
pub(super) fn no_such_kind(component: &Component, platform: impl Display, there_is: &'static str) -> Error {
    let Component { name, kind, engine, .. } = component;
    let engine = engine.as_ref().map(|engine| format!(" with {engine}")).unwrap_or_default();
    unsupported(format!("make `{name}` ({kind}{engine}) on {platform}")).help(there_is)
}

pub(super) fn unsupported(message: String) -> Error {
    Error::new(ErrorKind::Unsupported, "recipe::unsupported", message)
}

/// What one machine cannot give; `disk` says where its data is encrypted.
pub(super) fn one_machine(component: &Component, disk: &'static str) -> [Limit; 7] {
    [
        (component.public, "be reached from other machines", "leave `public` out: it answers on 127.0.0.1"),
        (component.tls == Some(true), "serve TLS", "leave `tls` out: nothing leaves this machine"),
        (component.schedule.is_some(), "run on a schedule", "leave `schedule` out, or call it from cron"),
        (
            component.highly_available == Some(true),
            "be highly available",
            "one machine is one failure: leave it out",
        ),
        (component.backups == Some(true), "be backed up", "leave `backups` out, and copy its data yourself"),
        (component.encrypted == Some(true), "be encrypted at rest", disk),
        (component.replicas.min != component.replicas.max, "scale by itself", "give one number of replicas"),
    ]
}
