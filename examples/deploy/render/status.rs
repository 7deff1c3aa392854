//! How deployments are now, and what is not as its spec says.

use std::collections::BTreeMap;

use code_core::engine::{ResourceStatus, Status};
use code_core::expr::plain;
use code_core::provider::Observed;
use serde_json::{Value, json};

use crate::render::history::outcome_word;
use crate::render::time;
use crate::style::{Cell, Style, Tone, cell, heading, paragraph, table};

/// How a thing is, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seen {
    /// As wanted.
    Fine,
    /// Data that is kept and not in use.
    Kept,
    /// It cannot be told.
    Unknown,
    /// There, and not as wanted.
    Drifted,
    /// Not there.
    Gone,
}

impl Seen {
    /// How this resource is.
    pub fn of(resource: &ResourceStatus) -> Seen {
        match &resource.observed {
            Observed::Absent => Seen::Gone,
            _ if resource.kept => Seen::Kept,
            Observed::Present(_) if !resource.drift.is_empty() => Seen::Drifted,
            Observed::Present(_) => Seen::Fine,
            Observed::Unknown(_) | Observed::NotYet(_) => Seen::Unknown,
        }
    }

    /// The word for it: colour only repeats it.
    pub fn word(self) -> &'static str {
        match self {
            Seen::Fine => "ok",
            Seen::Kept => "kept",
            Seen::Unknown => "UNKNOWN",
            Seen::Drifted => "DRIFT",
            Seen::Gone => "GONE",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Seen::Fine => Tone::Good,
            Seen::Kept => Tone::Dim,
            Seen::Unknown | Seen::Drifted => Tone::Warn,
            Seen::Gone => Tone::Bad,
        }
    }
}

/// Whether anything is not as its spec says.
pub fn has_drift(all: &[Status]) -> bool {
    let differs = |resource: &ResourceStatus| Seen::of(resource) > Seen::Kept;
    all.iter().any(|status| !status.outdated.is_empty() || status.resources.iter().any(differs))
}

/// Every deployment: one line a component, and one below it for each thing that is not as it should be.
pub fn status(style: &Style, all: &[Status]) -> String {
    if all.is_empty() {
        return "nothing is deployed here\n".to_owned();
    }
    let mut text = String::new();
    for (i, status) in all.iter().enumerate() {
        if i > 0 {
            text.push('\n');
        }
        text.push_str(&one(style, status));
    }
    text
}

fn one(style: &Style, status: &Status) -> String {
    let revision = match status.revision {
        Some(revision) => format!("revision {revision}"),
        None => "nothing rolled out".to_owned(),
    };
    let mut rest = format!(", {revision}");
    if let Some(run) = &status.run {
        match run.ended {
            Some((at, outcome)) => {
                rest.push_str(&format!(", run {} {} {}", run.id, outcome_word(outcome), time::moment(at)));
            }
            None => rest.push_str(&format!(", run {} is open ({})", run.id, run.holder)),
        }
    }
    let mut text = heading(style, Tone::Strong, &status.deployment.to_string(), &rest);
    let mut components: BTreeMap<&str, Vec<&ResourceStatus>> = BTreeMap::new();
    for resource in &status.resources {
        components.entry(resource.address.component()).or_default().push(resource);
    }
    let rows: Vec<Vec<Cell>> = components.iter().map(|(name, resources)| line(name, resources)).collect();
    text.push_str(&table(style, 2, &rows));
    for resource in &status.resources {
        let seen = Seen::of(resource);
        if style.full || seen > Seen::Kept {
            let why = match &resource.drift[..] {
                [] => String::new(),
                why => format!(": {}", why.join("; ")),
            };
            let line = format!("{} {} {}{why}", seen.word(), resource.address, resource.kind);
            text.push_str(&paragraph(style, 4, seen.tone(), &line));
        }
    }
    if let Some((revision, error)) = status.owed.first() {
        let more = match status.owed.len() {
            1 => String::new(),
            n => format!(" and {} later ones", n - 1),
        };
        let why = error.as_ref().map(|error| format!(": failed to {error}")).unwrap_or_default();
        let line = format!("OWED the export of revision {revision}{more}{why}; try again: push");
        text.push_str(&paragraph(style, 4, Tone::Warn, &line));
    }
    for what in &status.outdated {
        let line = format!("{} {what}", Seen::Drifted.word());
        text.push_str(&paragraph(style, 4, Seen::Drifted.tone(), &line));
    }
    text
}

fn line(name: &str, resources: &[&ResourceStatus]) -> Vec<Cell> {
    let worst = resources.iter().map(|resource| Seen::of(resource)).max().unwrap_or(Seen::Fine);
    let processes: Vec<_> =
        resources.iter().filter(|resource| matches!(&*resource.kind, "process" | "container")).collect();
    let running = processes.iter().filter(|process| Seen::of(process) == Seen::Fine).count();
    let mut facts = Vec::new();
    let served = resources.iter().any(|resource| resource.kind == "route");
    if !processes.is_empty() {
        facts.push(format!("{running} of {} healthy", processes.len()));
    } else if served {
        facts.push("stopped".to_owned());
    }
    let url = resources
        .iter()
        .filter(|resource| resource.kind == "route")
        .find_map(|resource| resource.observed.live()?.outputs.get("url")?.known().map(|url| plain(&url)));
    facts.extend(url);
    if facts.is_empty() {
        facts.extend(resources.iter().map(|resource| resource.kind.clone()));
        facts.sort();
        facts.dedup();
    }
    vec![cell(Tone::Strong, name), cell(worst.tone(), worst.word()), cell(Tone::Plain, facts.join(", "))]
}

/// The same as JSON.
pub fn to_json(status: &Status) -> Value {
    json!({
        "deployment": status.deployment,
        "revision": status.revision,
        "outdated": status.outdated,
        "owed": status.owed.iter().map(|(revision, error)| json!({ "revision": revision, "error": error }))
            .collect::<Vec<_>>(),
        "damage": status.damage.as_ref().map(ToString::to_string),
        "run": status.run.as_ref().map(|run| json!({
            "run": run.id,
            "started": run.started,
            "ended": run.ended.map(|(at, _)| at),
            "outcome": run.ended.map(|(_, outcome)| outcome),
            "holder": run.holder,
            "plan": run.plan.id,
        })),
        "resources": status.resources.iter().map(|resource| json!({
            "address": resource.address,
            "kind": resource.kind,
            "kept": resource.kept,
            "state": Seen::of(resource).word().to_lowercase(),
            "id": resource.observed.live().map(|live| live.id.clone()),
            "outputs": resource.observed.live().map(|live| live.outputs.iter()
                .filter_map(|(name, value)| Some((name.clone(), value.known()?)))
                .collect::<BTreeMap<_, _>>()),
            "drift": resource.drift,
        })).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;
    use crate::style::tests::{NARROW, WIDE, strip};

    #[test]
    fn drift_is_named() {
        let all = samples::statuses();
        insta::assert_snapshot!(status(&WIDE, &all));
        insta::assert_snapshot!(status(&NARROW, &all));
        assert!(has_drift(&all) && !has_drift(&all[..1]));
        let color = Style { color: true, ..WIDE };
        assert_eq!(strip(&status(&color, &all)), status(&WIDE, &all));
        assert_eq!(status(&WIDE, &[]), "nothing is deployed here\n");
    }

    #[test]
    fn json_tells_the_same() {
        let json = to_json(&samples::statuses()[1]);
        assert_eq!(json["resources"][0]["state"], "drift");
    }
}
