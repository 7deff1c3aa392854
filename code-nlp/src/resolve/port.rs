//! The port of a component's stable address: said, kept, or the first free one.

use code_core::intent::Platform;
use code_core::spec::Origin;
use code_core::{Error, ErrorKind, Result};

use super::act::Scene;
use super::draft::{Draft, Fields};
use super::fill::At;

/// The port of a component's stable address on this machine.
pub(super) fn port(fields: &mut Fields, at: &At<'_>, scene: &Scene<'_>) -> Result<()> {
    // In containers, a database answers in its own network.
    let server = at.platform == Platform::Local && fields.text("/engine") == Some("postgresql");
    let listens =
        matches!(fields.kind(), "web" | "api" | "static_site") || (fields.kind() == "database" && server);
    if !on_this_machine(at.platform.as_str()) {
        return Ok(());
    }
    if let Some(port) = fields.number("/port") {
        let kept = matches!(fields.origin("/port"), Some(Origin::Revision { .. }));
        if !kept && at.taken.iter().any(|taken| u64::from(*taken) == port) {
            let name = fields.name().to_owned();
            return Err(Error::new(
                ErrorKind::Invalid,
                "resolve::port-taken",
                format!("give port {port} to `{name}`: another component has it"),
            )
            .help("choose another port, or leave it out: a free one is found"));
        }
        return Ok(());
    }
    if !listens {
        return Ok(());
    }
    match scene.context.machine.free_ports.iter().find(|port| !at.taken.contains(port)) {
        Some(port) => {
            fields.fill("/port", *port, Origin::default("the first free port"));
            Ok(())
        }
        None => Err(Error::new(
            ErrorKind::Failed,
            "resolve::no-port",
            format!("find a free port for `{}`", fields.name()),
        )
        .help("say one in the request (\"on port 9000\") or in code.toml, or stop what uses them")),
    }
}

/// The ports of this and all other deployments' components, but the one at `index`; those that the same request
/// gives to another deployment count, too.
pub(super) fn taken_ports(draft: &Draft, index: usize, scene: &Scene<'_>) -> Vec<u16> {
    let here = draft.components.iter().enumerate().filter(|(i, _)| *i != index).filter_map(|(_, c)| said(c));
    let there = scene
        .context
        .history
        .deployed()
        .filter(|(deployment, _)| **deployment != scene.place.deployment)
        .filter(|(_, spec)| on_this_machine(spec.target.platform.as_str()))
        .flat_map(|(_, spec)| spec.components.iter().filter_map(|c| c.port));
    here.chain(there).chain(scene.promised.iter().copied()).collect()
}

/// The ports of a draft on this machine.
pub(super) fn ports(draft: &Draft) -> impl Iterator<Item = u16> {
    let local = draft.top.text("/target/platform").is_some_and(on_this_machine);
    draft.components.iter().filter(move |_| local).filter_map(said)
}

/// Whether the stable addresses of a platform are on this machine.
pub(super) fn on_this_machine(platform: &str) -> bool {
    [Platform::Local, Platform::Docker].iter().any(|here| here.as_str() == platform)
}

fn said(fields: &Fields) -> Option<u16> {
    fields.number("/port").and_then(|port| u16::try_from(port).ok())
}
