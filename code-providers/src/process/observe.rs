//! What is there: from the keeper's table, `/proc`, and a look at the health. Nothing is started for it.

use std::collections::BTreeMap;

use code_core::provider::{Live, Observed};
use code_core::{Ctx, Expr, Result};

use super::keeper::{Keeper, Kept, KeptRoute, Phase, Place, Table};
use super::{identity, port};

/// Drift that is mended without touching the process: it only needs a keeper.
pub(super) const UNWATCHED: &str = "no keeper watches it, so it would not be restarted";

/// What is there of a process that is `wanted`, or not any more.
pub(super) async fn process(ctx: &Ctx, place: &Place, wanted: bool) -> Result<Observed> {
    let table = match Table::read(ctx.state_dir()) {
        Ok(table) => table,
        Err(error) => return Ok(Observed::Unknown(format!("{error:?}"))),
    };
    let Some(kept) = table.process(place) else { return Ok(Observed::Absent) };
    let watched = matches!(Keeper::find(ctx.state_dir()).await, Ok(Some(_)));
    if kept.lives() {
        let mut drift = Vec::new();
        if !watched {
            drift.push(UNWATCHED.to_owned());
        }
        drift.extend(look(kept).await);
        return Ok(Observed::Present(live(kept, drift)));
    }
    let of_this_boot = kept.identity.as_ref().is_none_or(identity::Identity::is_of_this_boot);
    match not_running(kept, watched) {
        Some(drift) if of_this_boot && wanted => Ok(Observed::Present(live(kept, vec![drift]))),
        // A keeper that died while it stopped it has still to forget it: under the number that it had, as
        // that is what was approved to go.
        _ if !wanted => {
            let ended = live(kept, vec!["it has ended".to_owned()]);
            let id = kept.identity.as_ref().map(|identity| identity.pid.to_string());
            Ok(Observed::Present(Live { id: id.unwrap_or_else(|| ended.id.clone()), ..ended }))
        }
        _ => Ok(Observed::Absent),
    }
}

/// Why a process that does not run is there all the same: the keeper is about to start it, or gave up.
fn not_running(kept: &Kept, watched: bool) -> Option<String> {
    match &kept.phase {
        // Without the time that is left: what is observed must not change while nothing happens.
        Phase::Restarting { .. } if watched => Some(kept.phase.to_string()),
        Phase::Failed(_) => Some(kept.phase.to_string()),
        Phase::Starting { .. } | Phase::Ready | Phase::Unhealthy { .. } if watched => {
            Some("it has just ended".to_owned())
        }
        _ => None,
    }
}

async fn look(kept: &Kept) -> Option<String> {
    if let (Some(port), Some(identity)) = (kept.port, &kept.identity) {
        let (identity, key) = (identity.clone(), kept.job.key.clone());
        let stranger = tokio::task::spawn_blocking(move || port::stranger(port, &identity, &key)).await;
        if let Ok(Some(pid)) = stranger {
            return Some(format!("its port {port} is served by {}", identity::describe(pid)));
        }
    }
    kept.job.probe.look(kept.port).await.err().map(|why| format!("unhealthy: {why}"))
}

/// A kept process, as the engine knows it.
pub(super) fn live(kept: &Kept, drift: Vec<String>) -> Live {
    let pid = kept.identity.as_ref().filter(|_| kept.lives()).map(|identity| identity.pid);
    let mut outputs = BTreeMap::new();
    if let Some(pid) = pid {
        outputs.insert("pid".to_owned(), Expr::Known(pid.into()));
    }
    if let Some(port) = kept.port {
        outputs.insert("port".to_owned(), Expr::from(port));
        outputs.insert("address".to_owned(), Expr::from(format!("127.0.0.1:{port}")));
    }
    let id = pid.map_or_else(|| "not running".to_owned(), |pid| pid.to_string());
    Live { id, was: kept.job.want.clone(), outputs, drift }
}

/// What is there of a route.
pub(super) async fn route(ctx: &Ctx, place: &Place) -> Result<Observed> {
    let table = match Table::read(ctx.state_dir()) {
        Ok(table) => table,
        Err(error) => return Ok(Observed::Unknown(format!("{error:?}"))),
    };
    let Some(route) = table.route(place) else { return Ok(Observed::Absent) };
    let watched = matches!(Keeper::find(ctx.state_dir()).await, Ok(Some(_)));
    if !watched && identity::boot_id()? != route.boot {
        return Ok(Observed::Absent);
    }
    let mut drift = Vec::new();
    if let Some(trouble) = &route.trouble {
        drift.push(trouble.clone());
    } else if !watched {
        let number = route.port;
        let holders = tokio::task::spawn_blocking(move || port::listeners(number)).await.unwrap_or_default();
        drift.push(match holders.first() {
            Some(pid) => format!("port {number} is taken by {}", identity::describe(*pid)),
            None => format!("nobody serves port {number}: no keeper runs"),
        });
    }
    Ok(Observed::Present(live_route(route, drift)))
}

/// A kept route, as the engine knows it.
pub(super) fn live_route(route: &KeptRoute, drift: Vec<String>) -> Live {
    let url = format!("http://127.0.0.1:{}", route.port);
    let outputs = BTreeMap::from([
        ("url".to_owned(), Expr::from(url.clone())),
        ("port".to_owned(), Expr::from(route.port)),
    ]);
    Live { id: url, was: route.want.clone(), outputs, drift }
}
