//! Bringing what runs in one environment to another: what it is, not how many there are.

use code_core::intent::Intent;
use code_core::{Deployment, Error, ErrorKind, Result};

use super::act::{Scene, part};
use super::draft::{Draft, Fields, Sourced};
use super::fill::{self, Part};
use super::{pick, place};

/// What a part is, as opposed to how many there are and where: what a promotion brings along.
const PROMOTED: &[&str] =
    &["/engine", "/version", "/image", "/source", "/build", "/start", "/release", "/health", "/schedule"];

/// The draft of the target with what runs in the source.
pub(super) fn promote(draft: &mut Draft, intent: &Intent, scene: &mut Scene<'_>) -> Result<()> {
    let context = scene.context;
    let Some(from) = &intent.source_environment else {
        return Err(Error::new(
            ErrorKind::NeedsAnswer,
            "resolve::question",
            "act on the request: promote from which environment?",
        )
        .help("say it, for example \"promote shop from staging to production\""));
    };
    let from = Deployment::new(scene.place.deployment.application(), from)?;
    let source = place::base(&from, context).ok_or_else(|| pick::nothing_deployed(&from, context))?;
    let mut wanted: Vec<(usize, Option<usize>)> = Vec::new();
    for (index, said) in intent.components.iter().enumerate() {
        if !scene.names_application(said, &source) {
            wanted.push((pick::existing(said, &source, &from.to_string())?, Some(index)));
        }
    }
    if wanted.is_empty() {
        wanted = (0..source.components.len()).map(|index| (index, None)).collect();
    }
    let origin = scene.words.origin("/source_environment");
    let mut parts = Vec::new();
    for (index, said) in wanted {
        let fields = &source.components[index];
        let name = fields.name().to_owned();
        let place = match draft.index(&name) {
            Some(place) => place,
            None => {
                let mut new = Fields::default();
                new.set("/name", name.as_str(), origin.clone(), true);
                new.set("/kind", fields.kind(), origin.clone(), true);
                draft.components.push(new);
                draft.components.len() - 1
            }
        };
        let mut part = match said {
            Some(at) => part(place, &intent.components[at], &format!("/components/{at}"), draft, scene)?,
            None => Part::unsaid(place, draft),
        };
        let mut brought = Fields::default();
        for (pointer, sourced) in &fields.0 {
            if PROMOTED
                .iter()
                .any(|p| pointer == p || pointer.strip_prefix(p).is_some_and(|r| r.starts_with('/')))
            {
                brought.0.insert(
                    pointer.clone(),
                    Sourced { origin: origin.clone(), said: true, ..sourced.clone() },
                );
            }
        }
        part.said.under(brought);
        part.needs.extend(fields.needs().into_iter().map(|need| (need, origin.clone())));
        parts.push(part);
    }
    fill::fill_all(draft, parts, false, scene)
}
