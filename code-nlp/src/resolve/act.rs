//! What each action does to a draft.

use code_core::diagnostic::Note;
use code_core::intent::{Action, Component, Intent};
use code_core::spec::Origin;
use code_core::{Error, ErrorKind, Result};

use super::draft::{Draft, Fields};
use super::fill::{self, Part};
use super::place::Place;
use super::words::Words;
use super::{find, needs, not_built, pick, promote, top};
use crate::context::Context;

/// What an action is read against, and what it tells.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) context: &'a Context,
    pub(super) place: &'a Place,
    pub(super) words: Words<'a>,
    pub(super) notes: &'a mut Vec<Note>,
    /// Components whose files are to be looked at again.
    pub(super) unreleased: Vec<String>,
    /// The ports on this machine of the other deployments that the same request changes.
    pub(super) promised: Vec<u16>,
}

impl Scene<'_> {
    /// Whether these words name the application rather than a part of it: "restart shop".
    pub(super) fn names_application(&self, said: &Component, draft: &Draft) -> bool {
        said.kind.is_none()
            && said.name.as_deref() == Some(self.place.deployment.application())
            && draft.index(self.place.deployment.application()).is_none()
    }

    pub(super) fn environment(&self) -> &str {
        self.place.deployment.environment()
    }
}

/// The draft after an action that changes something.
pub(super) fn changed(base: Option<Draft>, intent: &Intent, scene: &mut Scene<'_>) -> Result<Draft> {
    let makes = matches!(intent.action, Action::Deploy | Action::Promote);
    let mut draft = match base {
        Some(draft) => draft,
        None if makes => Draft::default(),
        None => return Err(pick::nothing_deployed(&scene.place.deployment, scene.context)),
    };
    top::fill(&mut draft.top, intent, scene);
    match intent.action {
        Action::Deploy => deploy(&mut draft, intent, scene)?,
        Action::Update => update(&mut draft, intent, scene)?,
        Action::Scale => scale(&mut draft, intent, scene)?,
        Action::Restart => restart(&mut draft, intent, scene)?,
        Action::Promote => promote::promote(&mut draft, intent, scene)?,
        other => return Err(not_built(other.as_str(), "say it in another way")),
    }
    Ok(draft)
}

/// The draft that a cost or a scan is about: what is deployed, or what the words would make of it.
pub(super) fn looked_at(base: Option<Draft>, intent: &Intent, scene: &mut Scene<'_>) -> Result<Draft> {
    let place = scene.place.deployment.to_string();
    if intent.components.iter().any(|c| c.kind.is_none() && c.name.is_none() && c.image.is_some()) {
        return Err(not_built(
            "judge an image alone",
            "deploy it with `--dry-run`: what it would be is judged",
        ));
    }
    if let Some(draft) = base.clone()
        && intent.components.iter().all(|said| pick::existing(said, &draft, &place).is_ok())
    {
        return Ok(draft);
    }
    if intent.components.is_empty() && scene.context.project.is_none() {
        return Err(pick::nothing_deployed(&scene.place.deployment, scene.context));
    }
    let mut draft = base.unwrap_or_default();
    top::fill(&mut draft.top, intent, scene);
    deploy(&mut draft, intent, scene)?;
    Ok(draft)
}

fn deploy(draft: &mut Draft, intent: &Intent, scene: &mut Scene<'_>) -> Result<()> {
    let mut parts: Vec<Part> = Vec::new();
    for (index, said) in intent.components.iter().enumerate() {
        let whole = scene.names_application(said, draft);
        let anonymous = Component { name: None, ..said.clone() };
        if whole && anonymous == Component::default() {
            continue;
        }
        let said = if whole { &anonymous } else { said };
        let claimed = find::Claimed {
            parts: parts.iter().map(|part| part.index).collect(),
            names: intent.components.iter().filter_map(|other| other.name.clone()).collect(),
        };
        let at = format!("/components/{index}");
        let place = find::find_or_add(said, &at, draft, &claimed, scene)?;
        parts.push(part(place, said, &at, draft, scene)?);
    }
    if parts.is_empty() {
        parts = everything(draft, scene)?;
    }
    fill::fill_all(draft, parts, false, scene)
}

/// The parts of a deployment of which only its name was said: what is there, what the settings list, or
/// else the project itself.
fn everything(draft: &mut Draft, scene: &mut Scene<'_>) -> Result<Vec<Part>> {
    let settings = &scene.context.settings;
    let listed = settings.component_names(scene.environment());
    for name in listed {
        if draft.index(name).is_none() {
            needs::add_from_settings(name, draft, scene);
        }
    }
    if draft.components.is_empty() {
        let Some(project) = &scene.context.project else {
            return Err(Error::new(
                ErrorKind::NeedsAnswer,
                "resolve::question",
                format!("act on the request: what should be deployed? There is no app in {}", scene.context.dir),
            )
            .help("say it, for example \"deploy a web app with database\", or name a project with `--project DIR`"));
        };
        let mut fields = Fields::default();
        fields.set("/name", "web", Origin::default("named after its kind"), false);
        fields.set("/kind", "web", project.recognised.clone(), false);
        draft.components.push(fields);
    }
    Ok((0..draft.components.len()).map(|index| Part::unsaid(index, draft)).collect())
}

fn update(draft: &mut Draft, intent: &Intent, scene: &mut Scene<'_>) -> Result<()> {
    let parts = picked(draft, intent, scene)?;
    fill::fill_all(draft, parts, true, scene)
}

/// The existing parts that an intent names; all where it names none.
fn picked(draft: &Draft, intent: &Intent, scene: &Scene<'_>) -> Result<Vec<Part>> {
    let place = scene.place.deployment.to_string();
    let mut parts = Vec::new();
    for (index, said) in intent.components.iter().enumerate() {
        let at = format!("/components/{index}");
        if !scene.names_application(said, draft) {
            parts.push(part(pick::existing(said, draft, &place)?, said, &at, draft, scene)?);
            continue;
        }
        let anonymous = Component { name: None, ..said.clone() };
        if anonymous != Component::default() {
            parts.push(part(only_app(draft, &place)?, &anonymous, &at, draft, scene)?);
        }
    }
    if parts.is_empty() {
        parts = (0..draft.components.len()).map(|index| Part::unsaid(index, draft)).collect();
    }
    Ok(parts)
}

/// The one component that runs an app's own code, where only the application was named.
pub(super) fn only_app(draft: &Draft, place: &str) -> Result<usize> {
    let app = |i: &usize| fill::runs_code(draft.components[*i].kind());
    let apps: Vec<usize> = (0..draft.components.len()).filter(app).collect();
    match apps.as_slice() {
        [one] => Ok(*one),
        _ => {
            let names = draft.names().join(", ");
            Err(Error::new(
                ErrorKind::NeedsAnswer,
                "resolve::ambiguous",
                format!("tell which part of {place} is meant"),
            )
            .help(format!("say its name: {names}"))
            .with("choices", names))
        }
    }
}

fn scale(draft: &mut Draft, intent: &Intent, scene: &mut Scene<'_>) -> Result<()> {
    if intent.components.is_empty() {
        let place = scene.place.deployment.to_string();
        let names = draft.names().join(", ");
        return Err(Error::new(
            ErrorKind::NeedsAnswer,
            "resolve::question",
            format!("act on the request: scale which part of {place}, and to what?"),
        )
        .help(format!(
            "say it, for example \"scale the {} to 3\"",
            draft.components.first().map_or("web app", Fields::name)
        ))
        .with("choices", names));
    }
    for part in picked(draft, intent, scene)? {
        let mut said = part.said;
        said.under(draft.components[part.index].clone());
        draft.components[part.index] = said;
    }
    Ok(())
}

fn restart(draft: &mut Draft, intent: &Intent, scene: &mut Scene<'_>) -> Result<()> {
    for part in picked(draft, intent, scene)? {
        let fields = &mut draft.components[part.index];
        let restarts = fields.number("/restarts").unwrap_or(0) + 1;
        fields.set("/restarts", restarts, scene.words.origin("/action"), true);
        fields.remove("/stopped");
    }
    Ok(())
}

/// A part with what was said of it.
pub(super) fn part(
    index: usize,
    said: &Component,
    at: &str,
    draft: &Draft,
    scene: &Scene<'_>,
) -> Result<Part> {
    let mut part = Part::unsaid(index, draft);
    if let Some(replicas) = said.replicas
        && (replicas.min == Some(0) || replicas.max == Some(0))
    {
        let name = draft.components[index].name();
        return Err(Error::new(ErrorKind::Invalid, "resolve::replicas-zero", format!("scale `{name}` to 0"))
            .help(format!(
                "use `stop {name}`: it keeps the address and the data, and `start {name}` brings it back"
            )));
    }
    let bare = Component { name: None, kind: None, depends_on: Vec::new(), ..said.clone() };
    let mut fields = Fields::of(&bare, true, |pointer| scene.words.origin(&format!("{at}{pointer}")));
    for (pointer, was_said) in [("/name", said.name.is_some()), ("/kind", said.kind.is_some())] {
        if let Some(known) = part.said.0.get(pointer) {
            let origin =
                if was_said { scene.words.origin(&format!("{at}{pointer}")) } else { known.origin.clone() };
            fields.set(pointer, known.value.clone(), origin, was_said || known.said);
        }
    }
    part.said = fields;
    let origin = scene.words.origin(&format!("{at}/depends_on"));
    part.needs = said.depends_on.iter().map(|need| (need.clone(), origin.clone())).collect();
    Ok(part)
}
