//! From a spec file to what should exist: the same layers as under words, with the file on top.

use std::collections::BTreeSet;

use code_core::diagnostic::Note;
use code_core::parser::Parsed;
use code_core::spec::Origin;
use code_core::{Error, ErrorKind, Result};

use super::act::Scene;
use super::draft::{Draft, Fields};
use super::fill::{self, Part};
use super::words::Words;
use super::{Ask, Change, Resolution, SAMPLE, database, files, pick, place, top};
use crate::context::Context;
use crate::spec_file::{PartialComponent, SpecFile};

/// What a spec file asks for, in this context. The file is the whole truth about its deployment: what it does
/// not name is taken away, and what was said in earlier requests no longer counts. Choices that bind stay.
///
/// # Errors
/// Those of [`resolve`](super::resolve()), and `spec::value` where a component is not told enough of.
pub fn resolve_spec(file: &SpecFile, context: &Context) -> Result<Resolution> {
    let mut notes = Vec::new();
    let application = file.spec.application.as_deref().map(|name| (name, file.origin("/application")));
    let environment = file.spec.environment.as_deref().map(|name| (name, file.origin("/environment")));
    let place = place::place_of(application, environment, true, context, &mut notes)?;
    let dry_run = context.options.dry_run;
    if !dry_run {
        context.settings.check_writable(&place.deployment)?;
    }
    let base = place::base(&place.deployment, context);
    let parsed = Parsed::default();
    let words = Words { request: None, parsed: &parsed, intent: 0 };
    let mut scene = Scene {
        context,
        place: &place,
        words,
        notes: &mut notes,
        unreleased: Vec::new(),
        promised: Vec::new(),
    };

    let mut said = Fields::of(&file.spec, true, |pointer| file.origin(pointer));
    said.0.retain(|pointer, _| !pointer.starts_with("/components") && pointer != "/$schema");
    // The names under which the place is known; a file may write an environment's short form.
    said.remove("/application");
    said.remove("/environment");
    let mut draft =
        Draft { top: base.as_ref().map(|draft| draft.top.clone()).unwrap_or_default(), ..Draft::default() };
    for sourced in draft.top.0.values_mut() {
        sourced.said = false;
    }
    top::fill_under(&mut draft.top, said, &mut scene);

    let mut parts = Vec::new();
    for (index, component) in file.spec.components.iter().enumerate() {
        parts.push(part(
            component,
            &format!("/components/{index}"),
            file,
            base.as_ref(),
            &mut draft,
            &scene,
        )?);
    }
    fill::fill_all(&mut draft, parts, false, &mut scene)?;

    let unreleased = scene.unreleased;
    let kept: BTreeSet<String> = draft.names().into_iter().collect();
    let gone: Vec<String> = base.iter().flat_map(Draft::names).filter(|name| !kept.contains(name)).collect();
    if !gone.is_empty() {
        let message = format!("{} is not in {}, and will be taken away", gone.join(", "), file.path);
        notes.push(Note::warning("resolve::taken-away", message));
    }
    let (spec, origins) = draft.finish()?;
    let change = Change { deployment: place.deployment.clone(), spec, origins, dry_run, unreleased };
    Ok(Resolution { asks: vec![Ask::Change(change)], notes })
}

/// The paths by which a spec file names projects, relative to it, so that the caller can read them into
/// [`Context::sources`].
pub fn spec_sources(file: &SpecFile) -> Vec<String> {
    let said = file.spec.components.iter().filter_map(|component| component.source.clone());
    let mut all: Vec<String> = said.filter(|source| source != SAMPLE && !files::is_remote(source)).collect();
    all.sort();
    all.dedup();
    all
}

/// Adds a component of the file to the draft, with what it was before.
fn part(
    component: &PartialComponent,
    at: &str,
    file: &SpecFile,
    base: Option<&Draft>,
    draft: &mut Draft,
    scene: &Scene<'_>,
) -> Result<Part> {
    let settings = &scene.context.settings;
    let before = |name: &str| base.and_then(|base| Some(&base.components[base.index(name)?]));
    let mut said = Fields::of(component, true, |pointer| file.origin(&format!("{at}{pointer}")));
    let kind = match (component.kind, &component.name) {
        (Some(kind), _) => Some((kind.as_str().to_owned(), file.origin(&format!("{at}/kind")))),
        (None, Some(name)) => {
            let listed = settings.parts(scene.environment(), name);
            let listed = listed.iter().find_map(|(pointer, part)| Some((pointer, part.kind()?)));
            let listed =
                listed.map(|(p, kind)| (kind.as_str().to_owned(), settings.origin(&format!("{p}/kind"))));
            listed.or_else(|| {
                let fields = before(name)?;
                Some((fields.kind().to_owned(), fields.origin("/kind")?.clone()))
            })
        }
        (None, None) => None,
    };
    let Some((kind, kind_origin)) = kind else {
        let place = file.origin(at);
        return Err(Error::new(
            ErrorKind::Invalid,
            "spec::value",
            format!("tell what the component at {place} is"),
        )
        .help("write its `kind`, for example `kind: web`")
        .with("at", place.to_string()));
    };
    if component.name.is_none() {
        let word =
            code_core::intent::Kind::from_word(&kind).map(|kind| pick::free_name(kind, &draft.names()));
        said.set("/name", word.unwrap_or_default(), Origin::default("named after its kind"), true);
    }
    said.set("/kind", kind.as_str(), kind_origin, true);
    if let Some(engine) = said.0.get_mut("/engine")
        && let Some(text) = engine.value.as_str()
    {
        engine.value = database::canonical(text).into();
    }
    let name = said.name().to_owned();
    if draft.index(&name).is_some() {
        let message = format!("tell two components named `{name}` apart");
        return Err(Error::new(ErrorKind::Invalid, "spec::duplicate", message)
            .help("give each component its own name")
            .with("at", file.origin(at).to_string()));
    }
    let mut fields = before(&name).filter(|fields| fields.kind() == kind).cloned().unwrap_or_default();
    for sourced in fields.0.values_mut() {
        sourced.said = false;
    }
    // What it needed may be what the file takes away.
    fields.remove("/depends_on");
    for pointer in ["/name", "/kind"] {
        if let Some(sourced) = said.0.get(pointer) {
            fields.0.insert(pointer.to_owned(), sourced.clone());
        }
    }
    draft.components.push(fields);
    Ok(Part { index: draft.components.len() - 1, said, needs: Vec::new() })
}
