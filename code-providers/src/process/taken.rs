//! A wanted port that is somebody else's is told when a change is planned, before anything is done.
//!
//! ```text
//!  nobody listens on it ────────────────────────────────────────────────▶ go on
//!  this deployment does: its keeper, or a process that is kept there ───▶ go on: the run sees to it
//!  anybody else does: a stranger, another deployment ───────────────────▶ the error that the run would end with
//! ```
//!
//! It is a look only. Who listens is what the system says, not what the keeper's table says, which outlives a
//! reboot: a keeper is known by the lock that it has open, a process by its number and its start.

use std::path::Path;
use std::time::Duration;

use code_core::provider::{Action, Change};
use code_core::{Ctx, Error, ErrorKind, Result};
use tokio::time::{Instant, sleep};

use super::keeper::{Kept, Place, PortWish, Table, is_keeper_of, port_taken};
use super::{identity, port, want};

/// How long a port may take to be let go on which nobody is seen to listen: the system closes the sockets of
/// what was killed a moment after it is gone.
const LETTING_GO: Duration = Duration::from_secs(1);
/// The pause between two looks meanwhile.
const GLANCE: Duration = Duration::from_millis(20);

/// Who listens on a port.
enum Listener {
    /// Nobody, or the deployment that wants it.
    Nobody,
    /// Somebody else; the place, where another deployment of the same state directory does.
    Other(Option<Place>),
    /// Somebody who cannot be seen.
    Hidden,
}

/// Checks that nobody else has the port that a change needs.
///
/// # Errors
/// `code`, which names the port and who listens; `keeper::table`, `keeper::newer`.
pub(super) async fn check(ctx: &Ctx, place: &Place, change: &Change, code: &'static str) -> Result<()> {
    let wanted = change.resource.want.as_ref().filter(|_| change.action != Action::Keep);
    let Some(PortWish::Fixed(number)) = wanted.map(want::port).transpose()? else { return Ok(()) };
    let deadline = Instant::now() + LETTING_GO;
    loop {
        let (state_dir, at) = (ctx.state_dir().to_owned(), place.clone());
        let look = tokio::task::spawn_blocking(move || listener(&state_dir, &at, number));
        let found = look.await.map_err(|error| {
            Error::new(ErrorKind::Bug, "process::proc", "look at who listens on a port")
                .help("run the same command again, and report it where that fails too")
                .because(error)
        })?;
        match found? {
            Listener::Nobody => return Ok(()),
            Listener::Hidden if Instant::now() < deadline => sleep(GLANCE).await,
            Listener::Hidden => return Err(port_taken(code, number, place, None)),
            Listener::Other(other) => return Err(port_taken(code, number, place, other.as_ref())),
        }
    }
}

fn listener(state_dir: &Path, place: &Place, number: u16) -> Result<Listener> {
    // A listener on another address only is in nobody's way.
    if !port::is_listened_on(number) || port::is_free(number) {
        return Ok(Listener::Nobody);
    }
    let holders = port::listeners(number);
    if holders.is_empty() {
        return Ok(Listener::Hidden);
    }
    let table = Table::read(state_dir)?;
    if holders.iter().all(|pid| is_ours(state_dir, place, number, &table, *pid)) {
        return Ok(Listener::Nobody);
    }
    // The table may be of before a reboot: what nobody keeps any more is no longer there.
    let kept = table.holder(number).filter(|_| holders.iter().any(|pid| is_kept(state_dir, &table, *pid)));
    Ok(Listener::Other(kept.cloned()))
}

/// Whether who listens does so for the deployment of a place.
fn is_ours(state_dir: &Path, place: &Place, number: u16, table: &Table, pid: i32) -> bool {
    let ours = |other: &Place| other.deployment == place.deployment;
    if is_keeper_of(state_dir, pid) {
        // What it serves and has not written down yet is of the run that is under way.
        return table.routes.iter().filter(|route| route.port == number).all(|route| ours(&route.place));
    }
    let has_it = |kept: &&Kept| kept.port == Some(number) && ours(&kept.job.place);
    table.processes.iter().filter(has_it).any(|kept| is_of(kept, pid))
}

/// Whether who listens is the keeper of a state directory, or kept by it.
fn is_kept(state_dir: &Path, table: &Table, pid: i32) -> bool {
    is_keeper_of(state_dir, pid) || table.processes.iter().any(|kept| is_of(kept, pid))
}

/// Whether a process is the one that is kept, or belongs to it.
fn is_of(kept: &Kept, pid: i32) -> bool {
    // A keeper that died in between may not have written down whom it started.
    let found = || identity::with_key(&kept.job.key, kept.job.argv()).ok().flatten();
    let identity = kept.identity.clone().or_else(found);
    identity.is_some_and(|identity| identity.kin(&kept.job.key).contains_key(&pid))
}
