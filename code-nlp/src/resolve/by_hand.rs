//! Changes of a spec that a command asks for without words: stop, start, take away, go back.

use code_core::event::Outcome;
use code_core::spec::{Origin, Origins, Spec};
use code_core::{Deployment, Error, ErrorKind, Result};

use super::draft::Draft;
use super::pick;
use crate::context::Context;

/// The spec with a component stopped or started; it keeps its address, its release and its data.
///
/// # Errors
/// `resolve::unknown-component`.
pub fn stopped(spec: &Spec, origins: &Origins, component: &str, stop: bool) -> Result<(Spec, Origins)> {
    let mut draft = drafted(spec, origins);
    let place = format!("{}/{}", spec.application, spec.environment);
    let index = draft.index(component).ok_or_else(|| pick::unknown_component(component, &draft, &place))?;
    let name = if stop { "the command `stop`" } else { "the command `start`" };
    draft.components[index].set("/stopped", stop, Origin::Option { name: name.into() }, true);
    draft.finish()
}

/// The spec without these components.
///
/// # Errors
/// `resolve::unknown-component`; `resolve::needed` where another one depends on them; `spec::empty` where
/// nothing is left: take the whole deployment down instead.
pub fn without(spec: &Spec, origins: &Origins, components: &[String]) -> Result<(Spec, Origins)> {
    let mut draft = drafted(spec, origins);
    let place = format!("{}/{}", spec.application, spec.environment);
    for name in components {
        if draft.index(name).is_none() {
            return Err(pick::unknown_component(name, &draft, &place));
        }
    }
    draft.components.retain(|part| !components.iter().any(|name| name == part.name()));
    for part in &draft.components {
        if let Some(need) = part.needs().iter().find(|need| components.contains(need)) {
            let message = format!("take down {need}: `{}` needs it", part.name());
            return Err(Error::new(ErrorKind::Invalid, "resolve::needed", message)
                .help(format!("take down `{}` as well, or deploy it without {need}", part.name())));
        }
    }
    draft.finish()
}

/// The revision to return to, and its spec: an old number, or the last good one before what is deployed
/// now. `to` is `previous`, a number with or without a word before it, or nothing. What comes back is the old
/// spec under the rules of now: going back never takes a protection away.
///
/// # Errors
/// `engine::no-deployment`, `rollback::no-revision`.
pub fn rolled_back(
    context: &Context,
    deployment: &Deployment,
    to: Option<&str>,
) -> Result<(u64, Spec, Origins)> {
    let history = &context.history;
    let revisions = history.revisions(deployment);
    let good: Vec<_> = revisions
        .iter()
        .filter(|r| r.outcome == Some(Outcome::Succeeded))
        .filter_map(|r| Some((r, r.spec.as_ref()?)))
        .collect();
    let choices: Vec<String> = good.iter().map(|(r, _)| r.number.to_string()).collect();
    let unknown = |message: String| {
        Error::new(ErrorKind::NotFound, "rollback::no-revision", message)
            .help(match choices.is_empty() {
                true => "nothing was rolled out here with success yet".to_owned(),
                false => format!("return to one of the revisions {}: see `history`", choices.join(", ")),
            })
            .with("revisions", choices.join(", "))
    };
    let Some(last) = revisions.last() else {
        return Err(Error::new(
            ErrorKind::NotFound,
            "engine::no-deployment",
            format!("find the deployment {deployment}"),
        )
        .help("deploy it first: there is nothing to go back to"));
    };
    let found = match to.filter(|to| *to != "previous") {
        Some(to) => {
            let digits = to.trim_start_matches(|c: char| !c.is_ascii_digit());
            let number: Option<u64> = digits.parse().ok();
            let by_version = |spec: &Spec| spec.components.iter().any(|c| c.version.as_deref() == Some(to));
            let mut candidates = good.iter().rev();
            match number.and_then(|number| good.iter().find(|(r, _)| r.number == number)) {
                Some(found) => Some(found),
                None => candidates.find(|(_, spec)| by_version(spec)),
            }
            .ok_or_else(|| {
                unknown(format!(
                    "find revision `{}` of {deployment}",
                    to.chars().take(40).collect::<String>()
                ))
            })?
        }
        None => {
            // After a revision that failed and was left there, the good one before it; else the one before
            // what is deployed, as far as it was any different. Never one that somebody went back from.
            let now = last.spec.as_ref().filter(|_| last.outcome != Some(Outcome::RolledBack));
            let now = now.or_else(|| history.current(deployment).map(|(_, spec)| spec)).map(Spec::digest);
            good.iter()
                .rev()
                .find(|(revision, spec)| !revision.bad && Some(spec.digest()) != now)
                .ok_or_else(|| unknown(format!("find an earlier revision of {deployment} to go back to")))?
        }
    };
    let (revision, spec) = found;
    let mut origins: Origins = spec
        .leaves()
        .into_iter()
        .map(|leaf| {
            let origin = match revision.origins.get(&leaf) {
                Some(Origin::Revision { revision }) => *revision,
                _ => revision.number,
            };
            (leaf, Origin::Revision { revision: origin })
        })
        .collect();
    let mut spec = (*spec).clone();
    under_rules(context, &mut spec, &mut origins);
    Ok((revision.number, spec, origins))
}

/// Puts a spec that was taken from a revision under the rules of now: what the settings say of its environment;
/// without settings, what is deployed stays protected.
pub fn under_rules(context: &Context, spec: &mut Spec, origins: &mut Origins) {
    let rule = context.settings.protected(&spec.environment);
    let kept = || {
        let (now, current) = context.history.current(&spec.deployment().ok()?)?;
        current.protected.then_some((true, Origin::Revision { revision: now.number }))
    };
    if let Some((protected, origin)) = rule.or_else(kept) {
        spec.protected = protected;
        origins.insert("/protected".into(), origin);
    }
    if let Some((budget, origin)) = context.settings.delete_budget(&spec.environment) {
        spec.delete_budget = budget;
        origins.insert("/delete_budget".into(), origin);
    }
}

/// A draft of a spec as it is.
fn drafted(spec: &Spec, origins: &Origins) -> Draft {
    Draft::of(spec, |component, pointer| {
        let full = match spec.components.iter().position(|c| c.name == component) {
            Some(index) => format!("/components/{index}{pointer}"),
            None => pointer.to_owned(),
        };
        let unknown = || Origin::default("not known");
        (origins.get(&full).cloned().unwrap_or_else(unknown), true)
    })
}
