//! Which port a process gets, and what is said when it cannot have it.

use std::path::Path;

use code_core::{Digest, Error, ErrorKind, Result};

use super::table::{Job, Place, PortWish, Table};
use crate::process::identity::{self, Identity};
use crate::process::port;

/// The port that a process was told when it was started.
pub(super) fn port_of(identity: &Identity) -> Option<u16> {
    let environment = identity::environment(identity.pid);
    environment.iter().find(|(name, _)| name == "PORT").and_then(|(_, port)| port.parse().ok())
}

/// The port that a process is to have: the one it had last, where that is free.
pub(super) fn choose_port(job: &Job, table: &Table, state_dir: &Path) -> Result<Option<u16>> {
    let promised = |port: u16| {
        table.processes.iter().any(|kept| kept.port == Some(port) && kept.job.place != job.place)
            || table.routes.iter().any(|route| route.port == port)
    };
    match job.port {
        PortWish::None => Ok(None),
        PortWish::Fixed(wanted) if port::is_free(wanted) => Ok(Some(wanted)),
        PortWish::Fixed(wanted) => {
            Err(port_taken("process::port-taken", wanted, &job.place, table.holder(wanted)))
        }
        PortWish::Auto => {
            let place = job.place.to_string();
            let last = table.ports.get(&place).copied();
            if let Some(last) = last.filter(|port| !promised(*port) && port::is_free(*port)) {
                return Ok(Some(last));
            }
            // Keepers of other state directories look at the same time, and should look elsewhere.
            let digest = Digest::of_parts([state_dir.as_os_str().as_encoded_bytes(), place.as_bytes()]);
            let mut seed = [0; 8];
            seed.copy_from_slice(&digest.as_bytes()[..8]);
            port::free(u64::from_le_bytes(seed), promised).map(Some).ok_or_else(|| {
                Error::new(
                    ErrorKind::Failed,
                    "process::no-port",
                    format!("find a free port for {}", job.place),
                )
                .help("stop some of what listens on ports 20000 to 29999")
            })
        }
    }
}

/// Somebody else listens on a port that a place needs: another place that is kept, or a stranger.
pub(in crate::process) fn port_taken(
    code: &'static str,
    port: u16,
    place: &Place,
    other: Option<&Place>,
) -> Error {
    let holders: Vec<String> = port::listeners(port).into_iter().map(identity::describe).collect();
    let error = Error::new(ErrorKind::Failed, code, format!("take port {port} for {place}"));
    let help = match (other.filter(|other| *other != place), holders.as_slice()) {
        (Some(other), _) => format!("{other} has it: use another port, or take that down first"),
        (None, []) => format!(
            "something that this user may not see listens on port {port}: find it with `ss -ltnp`, or use another port"
        ),
        (None, some) => format!("stop {}, or use another port", some.join(" and ")),
    };
    let error = error.help(help);
    if holders.is_empty() { error } else { error.with("listener", holders.join(", ")) }
}
