//! Which component the words mean: by name, else by what it is.

use code_core::diagnostic::Note;
use code_core::intent::{Component, Intent, Kind};
use code_core::{Deployment, Error, ErrorKind, Result};

use super::act::Scene;
use super::draft::Draft;
use crate::context::Context;
use crate::settings::{nearest, plain};

/// The place of the one existing component that the words mean.
pub(super) fn existing(said: &Component, draft: &Draft, place: &str) -> Result<usize> {
    if let Some(name) = &said.name {
        return draft.index(name).ok_or_else(|| unknown_component(name, draft, place));
    }
    let fits = |index: &usize| {
        let part = &draft.components[*index];
        said.kind.is_none_or(|kind| kind.as_str() == part.kind())
            && said.engine.as_deref().is_none_or(|engine| part.text("/engine") == Some(engine))
    };
    let kind_only =
        |index: &usize| said.kind.is_some_and(|kind| kind.as_str() == draft.components[*index].kind());
    let all = || 0..draft.components.len();
    let mut found: Vec<usize> = all().filter(fits).collect();
    if found.is_empty() {
        // "Move the database to PostgreSQL" names an engine that it does not have yet.
        found = all().filter(kind_only).collect();
    }
    let word = said.kind.map_or_else(|| said.engine.clone().unwrap_or_default(), |k| k.as_str().to_owned());
    match found.as_slice() {
        [] if word.is_empty() && draft.components.len() == 1 => Ok(0),
        [] => Err(unknown_component(&word, draft, place)),
        [one] => Ok(*one),
        several => {
            let names: Vec<&str> = several.iter().map(|i| draft.components[*i].name()).collect();
            Err(Error::new(
                ErrorKind::NeedsAnswer,
                "resolve::ambiguous",
                format!("tell which {word} of {place} is meant"),
            )
            .help(format!("say its name: {}", names.join(", ")))
            .with("choices", names.join(", ")))
        }
    }
}

/// The components that are to be taken down, by name; none: all.
pub(super) fn destroyed(intent: &Intent, draft: &Draft, scene: &mut Scene<'_>) -> Result<Vec<String>> {
    let place = scene.place.deployment.to_string();
    if let [only] = intent.components.as_slice()
        && scene.names_application(only, draft)
    {
        return Ok(Vec::new());
    }
    let mut names: Vec<String> = Vec::new();
    for said in &intent.components {
        let index = existing(said, draft, &place)?;
        let name = draft.components[index].name().to_owned();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for part in &draft.components {
        let needed: Vec<String> = part.needs().into_iter().filter(|need| names.contains(need)).collect();
        if !needed.is_empty() && !names.iter().any(|name| name == part.name()) {
            let message = format!("take down {}: `{}` needs it", needed.join(", "), part.name());
            return Err(Error::new(ErrorKind::Invalid, "resolve::needed", message).help(format!(
                "take down `{}` as well, or deploy it without {}",
                part.name(),
                needed.join(", ")
            )));
        }
    }
    if !names.is_empty() && names.len() == draft.components.len() {
        scene
            .notes
            .push(Note::advice("resolve::whole-deployment", "these are all components of the deployment"));
        return Ok(Vec::new());
    }
    Ok(names)
}

/// The word for a kind in a default name: `db` for a database.
pub(super) fn kind_name(kind: Kind) -> String {
    match kind {
        Kind::Database => "db".to_owned(),
        other => other.as_str().replace('_', "-"),
    }
}

/// The first of `web`, `web-2`, `web-3` … that is free.
pub(super) fn free_name(kind: Kind, taken: &[String]) -> String {
    let word = kind_name(kind);
    let mut name = word.clone();
    let mut count = 1u32;
    while taken.contains(&name) {
        count += 1;
        name = format!("{word}-{count}");
    }
    name
}

/// Whether [`free_name`] would give this name.
pub(super) fn is_default_name(kind: Kind, name: &str) -> bool {
    match name.strip_prefix(&kind_name(kind)) {
        Some("") => true,
        Some(rest) => rest.strip_prefix('-').is_some_and(|count| count.parse::<u32>().is_ok()),
        None => false,
    }
}

pub(super) fn unknown_component(name: &str, draft: &Draft, place: &str) -> Error {
    let names = draft.names();
    let choices = names.join(", ");
    Error::new(
        ErrorKind::NotFound,
        "resolve::unknown-component",
        format!("find `{}` in {place}", plain(name, 60)),
    )
    .help(match (nearest(name, &names), names.is_empty()) {
        (Some(near), _) => format!("did you mean `{near}`? {place} has {choices}"),
        (None, false) => format!("{place} has {choices}; to add another, say \"deploy …\""),
        (None, true) => "deploy it first".to_owned(),
    })
    .with("components", choices)
}

pub(super) fn unknown_application(name: &str, known: &[&str]) -> Error {
    let mut known = known.to_vec();
    known.sort_unstable();
    known.dedup();
    Error::new(
        ErrorKind::NotFound,
        "resolve::unknown-application",
        format!("find the application `{}`", plain(name, 60)),
    )
    .help(match nearest(name, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("deployed are {}", known.join(", ")),
    })
    .with("choices", known.join(", "))
}

/// Nothing to change, show or take down is there.
pub(super) fn nothing_deployed(deployment: &Deployment, context: &Context) -> Error {
    let all: Vec<String> = context.history.deployed().map(|(d, _)| d.to_string()).collect();
    let wanted = deployment.to_string();
    let error =
        Error::new(ErrorKind::NotFound, "engine::no-deployment", format!("find the deployment {wanted}"));
    if all.is_empty() {
        return error.help(format!(
            "nothing is deployed from here: begin with \"Deploy a web app with database to {}\", or name the state directory with `--state`",
            deployment.environment()
        ));
    }
    error
        .help(match nearest(&wanted, &all) {
            Some(near) => format!("did you mean {near}? deployed are {}", all.join(", ")),
            None => format!("deployed are {}", all.join(", ")),
        })
        .with("choices", all.join(", "))
}
