//! What has to change: pure, from what is wanted and what is there.

use code_core::provider::{Action, Change, Effects, Live, Observed, Promise, Resource, Reversal};
use code_core::{Error, ErrorKind, Expr, Result};

use super::keeper::PortWish;
use super::observe::UNWATCHED;
use super::want;
use crate::difference::{differences, first, gone_already, promise, says, why};

/// What changes without another process.
const IN_PLACE: [&str; 7] =
    ["health.path", "health.tcp", "health.timeout_seconds", "grace_seconds", "stop_signal", "memory", "cpu"];

/// The change of a process.
pub(super) fn process(resource: &Resource, observed: &Observed) -> Result<Change> {
    let live = known(resource, observed)?;
    let Some(wanted) = &resource.want else { return Ok(delete(resource, live, "process")) };
    let wish = want::port(wanted)?;
    want::probe_if_known(wanted)?;
    let Some(live) = live else {
        let create = Change::create(resource, Effects::one(Action::Create, "process"));
        return Ok(outputs(create, wish, None).why("not running"));
    };
    let changed = differences(wanted, &live.was);
    let runs = live.outputs.contains_key("pid");
    let another = changed.iter().any(|name| !IN_PLACE.contains(&name.as_str()));
    let broken = runs && live.drift.iter().any(|drift| drift != UNWATCHED);
    if !runs {
        let change =
            Change::from_live(Action::Update, resource, live, Effects::one(Action::Update, "process"));
        return Ok(outputs(change, wish, None).why(first(&live.drift)));
    }
    if another || broken {
        let effects = Effects::one(Action::Replace, format!("process {}", live.id));
        let change = Change::from_live(Action::Replace, resource, live, effects);
        let why = if another { says(&changed) } else { first(&live.drift) };
        return Ok(compensable(outputs(change, wish, None).why(why), live));
    }
    if !changed.is_empty() || !live.drift.is_empty() {
        let effects = Effects::one(Action::Update, format!("process {}", live.id));
        let change = Change::from_live(Action::Update, resource, live, effects);
        let why = why(&changed, &live.drift);
        return Ok(outputs(change, wish, Some(live)).why(why));
    }
    Ok(Change::keep(resource, live))
}

/// The change of a route.
pub(super) fn route(resource: &Resource, observed: &Observed) -> Result<Change> {
    let live = known(resource, observed)?;
    let Some(wanted) = &resource.want else { return Ok(delete(resource, live, "route")) };
    let PortWish::Fixed(port) = want::port(wanted)? else {
        return Err(Error::new(ErrorKind::Invalid, "process::want", "use `port` as it is wanted")
            .help("give a route a port from 1 to 65535: it is what stays the same"));
    };
    let url = format!("http://127.0.0.1:{port}");
    let effect = format!("route {url}");
    let change = match live {
        None => Change::create(resource, Effects::one(Action::Create, effect)).why("not served"),
        Some(live) => {
            let changed = differences(wanted, &live.was);
            if changed.is_empty() && live.drift.is_empty() {
                return Ok(Change::keep(resource, live));
            }
            let why = why(&changed, &live.drift);
            Change::from_live(Action::Update, resource, live, Effects::one(Action::Update, effect)).why(why)
        }
    };
    Ok(change.output("url", Promise::Stays(Expr::from(url))).output("port", Promise::Stays(Expr::from(port))))
}

fn known<'a>(resource: &Resource, observed: &'a Observed) -> Result<Option<&'a Live>> {
    match observed {
        Observed::Present(live) => Ok(Some(live)),
        Observed::Absent | Observed::NotYet(_) => Ok(None),
        Observed::Unknown(why) => {
            let what = format!("plan {} without knowing what is there", resource.address);
            Err(Error::new(ErrorKind::Failed, "process::unknown", what)
                .help("mend what keeps it from being seen, and plan again")
                .with("why", why.clone()))
        }
    }
}

fn delete(resource: &Resource, live: Option<&Live>, what: &str) -> Change {
    match live {
        None => gone_already(resource),
        Some(live) => {
            let effects = Effects::one(Action::Delete, format!("{what} {}", live.id));
            let change = Change::from_live(Action::Delete, resource, live, effects).why("no longer wanted");
            if what == "process" { compensable(change, live) } else { change }
        }
    }
}

fn compensable(change: Change, live: &Live) -> Change {
    let back = Resource { want: Some(live.was.clone()), ..change.resource.clone() };
    let but = "a new process, without what the old one held in memory".to_owned();
    change.reversal(Reversal::Compensable { to: Box::new(back), but })
}

/// What is known of the outputs before: a port that was chosen stays where the process stays.
fn outputs(change: Change, wish: PortWish, stays: Option<&Live>) -> Change {
    let change = change.output("pid", promise("pid", stays));
    match wish {
        PortWish::None => change,
        PortWish::Auto => {
            change.output("port", promise("port", stays)).output("address", promise("address", stays))
        }
        PortWish::Fixed(port) => change
            .output("port", Promise::Stays(Expr::from(port)))
            .output("address", Promise::Stays(Expr::from(format!("127.0.0.1:{port}")))),
    }
}
