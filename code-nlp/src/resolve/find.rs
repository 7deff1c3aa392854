//! Which component of a deploy the words mean: one that is there, or a new one and its name.

use code_core::intent::{Component, Kind};
use code_core::spec::Origin;
use code_core::{Error, ErrorKind, Result};

use super::act::{Scene, only_app};
use super::draft::{Draft, Fields};
use super::{fill, pick};

/// What other words of the same intent mean already.
#[derive(Debug)]
pub(super) struct Claimed {
    /// Places in the draft.
    pub(super) parts: Vec<usize>,
    /// Names that are said.
    pub(super) names: Vec<String>,
}

/// The place of the component that the words mean, which is added where it is not there yet.
pub(super) fn find_or_add(
    said: &Component,
    at: &str,
    draft: &mut Draft,
    claimed: &Claimed,
    scene: &mut Scene<'_>,
) -> Result<usize> {
    let place = scene.place.deployment.to_string();
    let origin = |pointer: &str| scene.words.origin(&format!("{at}{pointer}"));
    if let Some(name) = &said.name {
        if let Some(index) = draft.index(name) {
            let kind = draft.components[index].kind();
            if said.kind.is_some_and(|said| said.as_str() != kind) && claimed.parts.contains(&index) {
                let message = format!("call two components `{name}`");
                return Err(Error::new(ErrorKind::Invalid, "resolve::contradiction", message)
                    .help("give each its own name"));
            }
            if let Some(said) = said.kind.filter(|said| said.as_str() != kind) {
                let message = format!("make `{name}` of {place}, which is a {kind}, a {said}");
                return Err(Error::new(ErrorKind::Invalid, "resolve::contradiction", message)
                    .help("give the new one another name, or destroy the old one first"));
            }
            return Ok(index);
        }
        let listed = scene.context.settings.parts(scene.environment(), name);
        let listed = listed.iter().find_map(|(pointer, part)| Some((pointer, part.kind()?)));
        let (kind, kind_origin) = match (said.kind, listed) {
            (Some(kind), _) => (kind, origin("/kind")),
            (None, Some((pointer, kind))) => {
                (kind, scene.context.settings.origin(&format!("{pointer}/kind")))
            }
            (None, None) if said.image.is_some() || said.source.is_some() => {
                (Kind::Web, Origin::default("no kind was said"))
            }
            (None, None) => {
                return Err(Error::new(
                    ErrorKind::NeedsAnswer,
                    "resolve::question",
                    format!("act on the request: what is `{name}`?"),
                )
                .help(format!("say what it is, for example \"deploy the web app {name}\""))
                .with("choices", "web, api, worker, database"));
            }
        };
        return Ok(add(name, origin("/name"), kind, kind_origin, draft));
    }
    let free = |index: &usize| {
        !claimed.parts.contains(index)
            && !claimed.names.iter().any(|name| name == draft.components[*index].name())
    };
    let taken: Vec<String> = draft.names().into_iter().chain(claimed.names.iter().cloned()).collect();
    let Some(kind) = said.kind else {
        if draft.components.iter().any(|part| fill::runs_code(part.kind())) {
            return only_app(draft, &place);
        }
        let name = pick::free_name(Kind::Web, &taken);
        let named = Origin::default("named after its kind");
        return Ok(add(&name, named, Kind::Web, Origin::default("no kind was said"), draft));
    };
    let of_kind: Vec<usize> = (0..draft.components.len())
        .filter(|i| draft.components[*i].kind() == kind.as_str())
        .filter(free)
        .collect();
    let same_engine: Vec<usize> = of_kind
        .iter()
        .copied()
        .filter(|i| said.engine.is_some() && draft.components[*i].text("/engine") == said.engine.as_deref())
        .collect();
    let found = if same_engine.is_empty() { of_kind } else { same_engine };
    match found.as_slice() {
        [] => {}
        [one] => return Ok(*one),
        several => {
            // Those that never had a name of their own are taken in their order.
            let unnamed = |name: &str| {
                pick::is_default_name(kind, name)
                    || !scene.context.settings.parts(scene.environment(), name).is_empty()
            };
            let index = several.iter().find(|i| unnamed(draft.components[**i].name()));
            return index.copied().ok_or_else(|| {
                let names: Vec<&str> = several.iter().map(|i| draft.components[*i].name()).collect();
                Error::new(
                    ErrorKind::NeedsAnswer,
                    "resolve::ambiguous",
                    format!("tell which {kind} of {place} is meant"),
                )
                .help(format!("say its name: {}; or give a new one a name of its own", names.join(", ")))
                .with("choices", names.join(", "))
            });
        }
    }
    let settings = &scene.context.settings;
    let listed: Vec<(&str, String)> = settings
        .component_names(scene.environment())
        .into_iter()
        .filter(|name| !taken.iter().any(|taken| taken == name))
        .filter_map(|name| {
            let parts = settings.parts(scene.environment(), name);
            let (pointer, _) = parts.iter().find(|(_, part)| part.kind() == Some(kind))?;
            Some((name, pointer.clone()))
        })
        .collect();
    let (name, name_origin) = match listed.as_slice() {
        [(name, pointer)] => ((*name).to_owned(), settings.origin(pointer)),
        _ => (pick::free_name(kind, &taken), Origin::default("named after its kind")),
    };
    Ok(add(&name, name_origin, kind, origin("/kind"), draft))
}

fn add(name: &str, name_origin: Origin, kind: Kind, kind_origin: Origin, draft: &mut Draft) -> usize {
    let mut fields = Fields::default();
    fields.set("/name", name, name_origin, true);
    fields.set("/kind", kind.as_str(), kind_origin, true);
    draft.components.push(fields);
    draft.components.len() - 1
}
