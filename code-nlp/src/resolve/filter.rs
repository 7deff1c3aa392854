//! What a question is about: everything may be left open.

use code_core::diagnostic::Note;
use code_core::id::check_name;
use code_core::intent::Intent;
use code_core::{Deployment, Result};

use super::draft::Draft;
use super::place::{base, known_name, said_or_option, unknown_environment};
use super::words::Words;
use super::{Filter, pick};
use crate::context::Context;

/// What a question is about; everything may be left open.
pub(super) fn filter(
    intent: &Intent,
    words: Words<'_>,
    context: &Context,
    notes: &mut Vec<Note>,
) -> Result<Filter> {
    let said = intent.environment.as_deref().map(|name| (name, words.origin("/environment")));
    let environment =
        said_or_option(said, context.options.environment.as_deref(), "--environment", "environment")?
            .map(|(name, _)| known_name(&name, context));
    let said = intent.application.as_deref().map(|name| (name, words.origin("/application")));
    let application =
        said_or_option(said, context.options.application.as_deref(), "--application", "application")?
            .map(|(name, _)| name);
    if let Some(name) = &environment {
        check_name("an environment", name)?;
        let listed: Vec<&str> = context.settings.environment_names().collect();
        let deployed = context.history.deployed().any(|(d, _)| d.environment() == name);
        if !listed.is_empty() && !listed.contains(&name.as_str()) && !deployed {
            return Err(unknown_environment(name, &listed, context));
        }
    }
    if let Some(name) = &application {
        check_name("an application", name)?;
        let known: Vec<&str> = context.history.iter().map(|(d, _)| d.application()).collect();
        if !known.is_empty() && !known.contains(&name.as_str()) {
            return Err(pick::unknown_application(name, &known));
        }
    }
    let mut filter = Filter { application, environment, components: Vec::new() };
    if intent.components.is_empty() {
        return Ok(filter);
    }
    let matching = |d: &Deployment| {
        filter.application.as_deref().is_none_or(|a| a == d.application())
            && filter.environment.as_deref().is_none_or(|e| e == d.environment())
    };
    let there: Vec<_> = context.history.deployed().filter(|(d, _)| matching(d)).collect();
    let mut all = Draft::default();
    for (deployment, _) in &there {
        if let Some(draft) = base(deployment, context) {
            for part in draft.components {
                if all.index(part.name()).is_none() {
                    all.components.push(part);
                }
            }
        }
    }
    let applications: Vec<&str> = there.iter().map(|(d, _)| d.application()).collect();
    for component in &intent.components {
        let name = component.name.as_deref();
        if let Some(name) = name
            && component.kind.is_none()
            && all.index(name).is_none()
            && applications.contains(&name)
        {
            filter.application = Some(name.to_owned());
            continue;
        }
        let where_ = match (&filter.application, &filter.environment) {
            (Some(a), Some(e)) => format!("{a}/{e}"),
            (Some(a), None) => a.clone(),
            (None, Some(e)) => e.clone(),
            (None, None) => "any deployment".to_owned(),
        };
        let index = pick::existing(component, &all, &where_)?;
        filter.components.push(all.components[index].name().to_owned());
    }
    if there.len() > 1 && filter.application.is_none() && !filter.components.is_empty() {
        notes.push(Note::advice("resolve::unsaid", "several deployments have components of that name"));
    }
    Ok(filter)
}
