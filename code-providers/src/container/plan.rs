//! What has to change: pure, from what is wanted and what is there.

use code_core::provider::{Action, Change, Effects, Live, Observed, Promise, Resource, Reversal};
use code_core::{Result, Want};

use super::config::{self, Container, Image, Publish};
use super::{CONTAINER, IMAGE, NETWORK, error};
use crate::difference::{differences, first, gone_already, promise, says, why};
use crate::keep;

/// What changes while a container runs.
const IN_PLACE: [&str; 3] = ["memory", "cpu", "restart"];

/// The change of a resource.
///
/// # Errors
/// `container::unknown` where it is not known what is there, `container::want`, `container::volume-changed`.
pub(super) fn plan(resource: &Resource, observed: &Observed) -> Result<Change> {
    let live = known(resource, observed)?;
    match resource.kind.as_str() {
        CONTAINER => container(resource, live),
        IMAGE => image(resource, live),
        NETWORK => network(resource, live),
        _ => volume(resource, observed),
    }
}

fn container(resource: &Resource, live: Option<&Live>) -> Result<Change> {
    let Some(wanted) = &resource.want else { return Ok(gone(resource, live, "container")) };
    let read = if_known(Container::read(wanted))?;
    let outputs = |change: Change, live: Option<&Live>| {
        let change = outputs(change, wanted, ["id", "pid"], live);
        match read.as_ref().map(|read| read.publish) {
            Some(Publish::No) => change,
            _ if wanted.get("publish").is_none() => change,
            _ => outputs(change, &Want::new(), ["address", "host_port"], live),
        }
    };
    let Some(live) = live else {
        let create = Change::create(resource, Effects::one(Action::Create, "container")).why("not there");
        return Ok(outputs(create, None));
    };
    let changed = differences(wanted, &live.was);
    let another = changed.iter().any(|name| !IN_PLACE.contains(&name.as_str()));
    let runs = live.outputs.contains_key("pid");
    let why = why(&changed, &live.drift);
    if another || (runs && !live.drift.is_empty()) {
        let effects = Effects::one(Action::Replace, format!("container {}", short(&live.id)));
        let change = Change::from_live(Action::Replace, resource, live, effects).why(why);
        return Ok(compensable(outputs(change, None), live));
    }
    if !changed.is_empty() || !live.drift.is_empty() {
        let effects = Effects::one(Action::Update, format!("container {}", short(&live.id)));
        let change = Change::from_live(Action::Update, resource, live, effects).why(why);
        return Ok(outputs(change, None));
    }
    Ok(Change::keep(resource, live))
}

fn image(resource: &Resource, live: Option<&Live>) -> Result<Change> {
    let Some(wanted) = &resource.want else { return Ok(gone(resource, live, "image")) };
    let effect = match if_known(Image::read(wanted))? {
        Some(Image::Pull { reference }) => format!("image {reference}"),
        Some(Image::Build { context, .. }) => format!("image built from {context}"),
        None => "image".to_owned(),
    };
    let outputs = |change: Change| outputs(change, &Want::new(), ["id", "reference"], None);
    let Some(live) = live else {
        return Ok(outputs(Change::create(resource, Effects::one(Action::Create, effect)).why("not there")));
    };
    let changed = differences(wanted, &live.was);
    if changed.is_empty() && live.drift.is_empty() {
        return Ok(Change::keep(resource, live));
    }
    let why = why(&changed, &live.drift);
    let effects = Effects::one(Action::Replace, format!("image {}", live.id));
    Ok(outputs(Change::from_live(Action::Replace, resource, live, effects).why(why)))
}

fn network(resource: &Resource, live: Option<&Live>) -> Result<Change> {
    let Some(wanted) = &resource.want else { return Ok(gone(resource, live, "network")) };
    if_known(config::network(wanted))?;
    let Some(live) = live else {
        let create = Change::create(resource, Effects::one(Action::Create, "network")).why("not there");
        return Ok(outputs(create, &Want::new(), ["id", "name"], None));
    };
    let changed = differences(wanted, &live.was);
    if changed.is_empty() && live.drift.is_empty() {
        return Ok(Change::keep(resource, live));
    }
    if changed.is_empty() {
        let effects = Effects::one(Action::Update, format!("network {}", short(&live.id)));
        let change = Change::from_live(Action::Update, resource, live, effects).why(first(&live.drift));
        return Ok(outputs(change, &Want::new(), ["id", "name"], None));
    }
    let effects = Effects::one(Action::Replace, format!("network {}", short(&live.id)));
    let change = Change::from_live(Action::Replace, resource, live, effects).why(says(&changed));
    Ok(outputs(change, &Want::new(), ["id", "name"], None))
}

fn volume(resource: &Resource, observed: &Observed) -> Result<Change> {
    let Some(wanted) = &resource.want else {
        return Ok(keep::delete(resource, observed, "all data in the volume"));
    };
    if_known(config::volume(wanted))?;
    let Some(live) = observed.live() else {
        let create = Change::create(resource, Effects::one(Action::Create, "volume")).why("not there");
        return Ok(keep::kept(outputs(create, &Want::new(), ["name"], None)));
    };
    let changed = differences(wanted, &live.was);
    match changed.is_empty() {
        true => Ok(Change::keep(resource, live)),
        false => Err(error::volume_changed(&live.id, &says(&changed))),
    }
}

fn known<'a>(resource: &Resource, observed: &'a Observed) -> Result<Option<&'a Live>> {
    match observed {
        Observed::Present(live) => Ok(Some(live)),
        Observed::Absent | Observed::NotYet(_) => Ok(None),
        Observed::Unknown(why) => Err(error::unknown(&resource.address, why)),
    }
}

/// What is read, as far as it is known already; a mistake is told early.
fn if_known<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.code() == "want::unbound" => Ok(None),
        Err(error) => Err(error),
    }
}

fn gone(resource: &Resource, live: Option<&Live>, what: &str) -> Change {
    let Some(live) = live else { return gone_already(resource) };
    let effects = Effects::one(Action::Delete, format!("{what} {}", short(&live.id)));
    let change = Change::from_live(Action::Delete, resource, live, effects).why("no longer wanted");
    if what == "container" { compensable(change, live) } else { change }
}

fn compensable(change: Change, live: &Live) -> Change {
    let back = Resource { want: Some(live.was.clone()), ..change.resource.clone() };
    let but = "a new container, without what the old one held in memory and in files of its own".to_owned();
    change.reversal(Reversal::Compensable { to: Box::new(back), but })
}

/// With the outputs of these names, known as far as they stay, and those that the resource names itself.
fn outputs<const N: usize>(change: Change, wanted: &Want, names: [&str; N], stays: Option<&Live>) -> Change {
    let promised = names.into_iter().fold(change, |change, name| change.output(name, promise(name, stays)));
    let named = wanted.group("output");
    named.into_iter().fold(promised, |change, (name, value)| {
        let promise = if value.is_bound() { Promise::Stays(value.clone()) } else { Promise::Later };
        change.output(name, promise)
    })
}

/// An id as the engines show it to people.
pub(super) fn short(id: &str) -> &str {
    let hex = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hex { &id[..12] } else { id }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use code_core::Expr;

    use super::*;

    fn web() -> Want {
        Want::new().with("image", "shop:1").with("memory", "64Mi").with("port", 80).with("publish", "auto")
    }

    fn live(was: Want, runs: bool, drift: &[&str]) -> Live {
        let mut outputs = BTreeMap::from([("id".to_owned(), Expr::from("c1"))]);
        if runs {
            outputs.insert("pid".to_owned(), Expr::from(7));
        }
        Live { id: "c1".into(), was, outputs, drift: drift.iter().map(|&one| one.to_owned()).collect() }
    }

    fn planned(want: Want, observed: Observed) -> (Action, String) {
        let resource = Resource::new("web/app".parse().unwrap(), CONTAINER, want);
        let change = plan(&resource, &observed).unwrap();
        (change.action, change.why)
    }

    #[test]
    fn what_changes_decides_what_happens() {
        let check = |want: Want, runs: bool, drift: &[&str], expect: (Action, &str)| {
            let found = planned(want, Observed::Present(live(web(), runs, drift)));
            assert_eq!((found.0, found.1.as_str()), expect);
        };
        check(web(), true, &[], (Action::Keep, ""));
        check(web().with("memory", "128Mi"), true, &[], (Action::Update, "memory changed"));
        check(web().with("image", "shop:2"), true, &[], (Action::Replace, "image changed"));
        check(web(), true, &["it is paused"], (Action::Replace, "it is paused"));
        check(web(), false, &["it ended with 1"], (Action::Update, "it ended with 1"));
        check(web().with("env.A", "1"), false, &["it ended with 1"], (Action::Replace, "env.A changed"));
        assert_eq!(planned(web(), Observed::Absent).0, Action::Create);
    }

    #[test]
    fn a_volume_is_never_replaced() {
        let resource =
            Resource::new("db/data".parse().unwrap(), super::super::VOLUME, Want::new().with("name", "new"));
        let old = live(Want::new().with("name", "old"), false, &[]);
        let error = plan(&resource, &Observed::Present(old.clone())).unwrap_err();
        assert_eq!(error.code(), "container::volume-changed");
        let delete = plan(&resource.gone(), &Observed::Present(old)).unwrap();
        assert!(matches!(delete.reversal, Reversal::Irreversible(_)));
    }
}
