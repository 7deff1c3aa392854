//! What is there: found by its name, known as ours by its labels, and seen as it is now.

use std::collections::BTreeMap;
use std::time::Duration;

use code_core::provider::{Live, Observed, Resource};
use code_core::{Error, Expr, Result, Want};
use serde_json::Value;

use super::api::Api;
use super::config::{Container, Limits};
use super::names::{self, Identity};
use super::parse::{Facts, Fitness, Phase};
use super::plan::short;
use super::render::quoted;
use super::{CONTAINER, IMAGE, NETWORK, image, network, volume};
use crate::process::probe::Probe;

/// How often a container that runs is looked at before it is told not to answer, and the pause between.
const LOOKS: usize = 4;
const PAUSE: Duration = Duration::from_millis(250);

/// What is there of a resource.
///
/// # Errors
/// Those of the daemon that are no answer to the question.
pub(super) async fn observe(api: Api<'_>, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
    let found = match resource.kind.as_str() {
        CONTAINER => container(api, resource, last).await,
        IMAGE => image::observe(api, resource, last).await,
        NETWORK => network::observe(api, resource, last).await,
        _ => volume::observe(api, resource, last).await,
    };
    unknown_if_silent(found)
}

/// Without a daemon nothing can be told, but that what was never made and is not wanted is not there.
pub(super) fn no_daemon(resource: &Resource, last: Option<&Live>, error: Error) -> Result<Observed> {
    match (&resource.want, last) {
        (None, None) => Ok(Observed::Absent),
        (_, Some(_)) => unknown_if_silent(Err(error)),
        (Some(_), None) => Err(error),
    }
}

/// A daemon that does not answer is not evidence of anything.
fn unknown_if_silent(found: Result<Observed>) -> Result<Observed> {
    match found {
        Err(error) if is_silence(&error) => Ok(Observed::Unknown(format!("failed to {}", error.message()))),
        found => found,
    }
}

/// Whether an error says nothing about what is there.
pub(super) fn is_silence(error: &Error) -> bool {
    [
        "container::cancelled",
        "container::denied",
        "container::unreachable",
        "container::missing",
        "container::no-answer",
        "container::gone",
        "container::daemon",
        "container::rubbish",
    ]
    .contains(&error.code())
}

async fn container(api: Api<'_>, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
    let me = Identity::of(api.ctx, resource, last)?;
    let Some(facts) = find(api, &me, last).await? else { return Ok(Observed::Absent) };
    if let Some(whose) = me.stranger(&facts.labels, &facts.id, last) {
        // What nobody recorded and nobody wants is not ours to take away.
        return Ok(match (&resource.want, last) {
            (None, None) => Observed::Absent,
            _ => Observed::Unknown(format!("there is a container {}, and it is {whose}", facts.name)),
        });
    }
    Ok(Observed::Present(live(&facts, resource.want.as_ref(), last).await))
}

/// The container of this name; else the recorded one, which somebody may have renamed.
pub(super) async fn find(api: Api<'_>, me: &Identity, last: Option<&Live>) -> Result<Option<Facts>> {
    let named = inspect(api, &me.name).await?.filter(|facts| facts.name == me.name);
    match (named, last) {
        (None, Some(last)) => inspect(api, &last.id).await,
        (named, _) => Ok(named),
    }
}

pub(super) async fn inspect(api: Api<'_>, which: &str) -> Result<Option<Facts>> {
    let path = format!("/containers/{}/json", quoted(which));
    let Some(said) = api.get(&path).await? else { return Ok(None) };
    Facts::read(&said).map(Some).ok_or_else(|| super::error::rubbish(&path, &said.to_string()))
}

/// What a container is, with everything that is not as it should be.
pub(super) async fn live(facts: &Facts, want: Option<&Want>, last: Option<&Live>) -> Live {
    let made = names::wanted(&facts.labels).unwrap_or_default();
    let mut drift: Vec<String> = trouble(facts).into_iter().collect();
    let read = Container::read(&made).ok();
    let networks = read.iter().flat_map(|read| &read.networks);
    let left = networks.filter(|network| facts.runs() && !facts.networks.contains(*network));
    drift.extend(left.map(|network| format!("it is not in the network {network} any more")));
    if let (Phase::Running, Some(read)) = (&facts.phase, &read)
        && let Err(why) = answers(&read.probe, facts.host_port).await
    {
        drift.push(format!("it does not answer: {why}"));
    }
    let spellings = [want, last.map(|last| &last.was), Some(&made)];
    let was = as_it_is(made.clone(), &facts.limits, &spellings);
    Live { id: facts.id.clone(), outputs: outputs(facts, &was), was, drift }
}

/// Whether it answers this machine: one answer that is late on a busy machine says nothing yet.
async fn answers(probe: &Probe, port: Option<u16>) -> Result<(), String> {
    for _ in 1..LOOKS {
        if probe.look(port).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    probe.look(port).await
}

/// Why a container is not well; nothing where it is.
pub(super) fn trouble(facts: &Facts) -> Option<String> {
    match &facts.phase {
        Phase::Created => Some("it was never started".to_owned()),
        Phase::Paused => Some("it is paused".to_owned()),
        Phase::Leaving => Some("it is being removed".to_owned()),
        Phase::Restarting { out_of_memory: true, .. } | Phase::Ended { out_of_memory: true, .. } => {
            Some("it ran out of memory".to_owned())
        }
        Phase::Restarting { code, .. } => Some(format!("it ended with {code}, and is started again")),
        Phase::Ended { code, .. } => Some(format!("it ended with {code}")),
        Phase::Running => match &facts.health {
            None | Some(Fitness::Well) => None,
            Some(Fitness::Starting) => Some("it is starting".to_owned()),
            Some(Fitness::Ill(said)) if said.is_empty() => Some("it is unhealthy".to_owned()),
            Some(Fitness::Ill(said)) => Some(format!("it is unhealthy: {said}")),
        },
    }
}

fn outputs(facts: &Facts, was: &Want) -> BTreeMap<String, Expr> {
    let mut outputs = BTreeMap::from([("id".to_owned(), Expr::from(facts.id.as_str()))]);
    if facts.runs() {
        outputs.insert("pid".to_owned(), Expr::from(Value::from(facts.pid)));
    }
    if let Some(port) = facts.host_port {
        outputs.insert("host_port".to_owned(), Expr::from(port));
        outputs.insert("address".to_owned(), Expr::from(format!("127.0.0.1:{port}")));
    }
    outputs.extend(was.group("output").into_iter().map(|(name, value)| (name.to_owned(), value.clone())));
    outputs
}

/// What was wanted when it was made, with the limits that it has now: in the spelling of whoever wanted the same.
fn as_it_is(made: Want, limits: &Limits, spellings: &[Option<&Want>]) -> Want {
    let read = |want: &Want| Limits::read(want).ok();
    let mut was = made;
    let mut set = |name: &str, same: &dyn Fn(&Limits) -> bool, plain: Option<Expr>| {
        if read(&was).is_some_and(|made| same(&made)) {
            return;
        }
        let alike = spellings.iter().flatten().find(|want| read(want).is_some_and(|other| same(&other)));
        match alike.map(|want| want.get(name).cloned()).unwrap_or(plain) {
            Some(value) => drop(was.0.insert(name.to_owned(), value)),
            None => drop(was.0.remove(name)),
        }
    };
    let number = |value: u64| (value != 0).then(|| Expr::from(Value::from(value)));
    set("memory", &|other| other.memory == limits.memory, number(limits.memory));
    #[expect(clippy::cast_precision_loss, reason = "a number of cores has few digits")]
    let cores = limits.cpu as f64 / 1e9;
    set("cpu", &|other| other.cpu == limits.cpu, (limits.cpu != 0).then(|| Expr::from(Value::from(cores))));
    set("restart", &|other| other.restart == limits.restart, Some(Expr::from(limits.restart.as_str())));
    was
}

/// Why something of this name is not ours, as what is observed.
pub(super) fn strange(
    resource: &Resource,
    last: Option<&Live>,
    what: &str,
    name: &str,
    whose: &str,
) -> Observed {
    match (&resource.want, last) {
        (None, None) => Observed::Absent,
        _ => Observed::Unknown(format!("there is a {what} {}, and it is {whose}", short(name))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_told_as_they_are_and_as_they_were_spelled() {
        let made = Want::new().with("memory", "512Mi").with("image", "x");
        let check = |limits: (u64, u64, &str), want: &Want, expect: Want| {
            let limits = Limits { memory: limits.0, cpu: limits.1, restart: limits.2.into() };
            assert_eq!(as_it_is(made.clone(), &limits, &[Some(want)]), expect);
        };
        let stays = "unless-stopped";
        check((512 << 20, 0, stays), &Want::new(), made.clone());
        let other = made.clone().with("memory", "1024Mi");
        check((1 << 30, 0, stays), &other, other.clone());
        check((1 << 30, 0, stays), &made, made.clone().with("memory", Value::from(1u64 << 30)));
        check((0, 0, stays), &made, Want::new().with("image", "x"));
        let cores = made.clone().with("cpu", Value::from(0.5));
        check((512 << 20, 500_000_000, stays), &made, cores);
        check((512 << 20, 0, "no"), &made, made.clone().with("restart", "no"));
    }
}
