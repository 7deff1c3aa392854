//! Which deployment a request is about: the application and the environment.

use code_core::diagnostic::Note;
use code_core::id::name_from;
use code_core::intent::{Action, Intent};
use code_core::spec::Origin;
use code_core::{Deployment, Error, ErrorKind, Result};

use super::draft::Draft;
use super::pick;
use super::words::Words;
use crate::context::Context;
use crate::settings::nearest;

/// A deployment, and how its two names became known.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) deployment: Deployment,
    pub(super) application: Origin,
    pub(super) environment: Origin,
}

/// The deployment that an intent is about.
pub(super) fn place(
    intent: &Intent,
    words: Words<'_>,
    context: &Context,
    notes: &mut Vec<Note>,
) -> Result<Place> {
    let environment = intent.environment.as_deref().map(|name| (name, words.origin("/environment")));
    let application = intent.application.as_deref().map(|name| (name, words.origin("/application")));
    let makes = matches!(intent.action, Action::Deploy | Action::Promote | Action::Cost | Action::Scan);
    place_of(application, environment, makes, context, notes)
}

/// The deployment of these names, as far as they were said; `makes` where it need not exist yet.
pub(super) fn place_of(
    application: Option<(&str, Origin)>,
    environment: Option<(&str, Origin)>,
    makes: bool,
    context: &Context,
    notes: &mut Vec<Note>,
) -> Result<Place> {
    let options = &context.options;
    let environment =
        said_or_option(environment, options.environment.as_deref(), "--environment", "environment")?;
    let application =
        said_or_option(application, options.application.as_deref(), "--application", "application")?;
    let was_said = application.is_some();
    let (application, application_origin) = match application {
        Some(known) => known,
        None => own_application(context)?,
    };
    let environment = environment.map(|(name, origin)| (known_name(&name, context), origin));
    let (environment, environment_origin) = match environment {
        Some(known) => known,
        None => unsaid_environment(&application, makes, context, notes)?,
    };
    let deployment = Deployment::new(&application, &environment)?;
    check_environment(&deployment, context)?;
    let place = Place { deployment, application: application_origin, environment: environment_origin };
    if makes || !context.history.revisions(&place.deployment).is_empty() {
        return Ok(place);
    }
    // Not deployed: the one application of that environment is meant, if none was named and there is one.
    let there: Vec<&Deployment> =
        context.history.deployed().map(|(d, _)| d).filter(|d| d.environment() == environment).collect();
    match there.as_slice() {
        [one] if !was_said => {
            let message = format!("`{}` is the only application in {environment}", one.application());
            notes.push(Note::advice("resolve::unsaid", message.clone()));
            Ok(Place { deployment: (*one).clone(), application: Origin::default(message), ..place })
        }
        _ => Err(pick::nothing_deployed(&place.deployment, context)),
    }
}

/// What an option says where the words do not; the two must not differ.
pub(super) fn said_or_option(
    said: Option<(&str, Origin)>,
    option: Option<&str>,
    flag: &str,
    what: &str,
) -> Result<Option<(String, Origin)>> {
    match (said, option) {
        (Some((said, _)), Some(option)) if canonical(said) != canonical(option) => {
            let message =
                format!("follow both the request, which says {what} `{said}`, and `{flag} {option}`");
            Err(Error::new(ErrorKind::Invalid, "resolve::contradiction", message)
                .help("leave one of the two out"))
        }
        (Some((name, origin)), _) => Ok(Some((name.to_owned(), origin))),
        (None, Some(name)) => Ok(Some((name.to_owned(), Origin::Option { name: flag.to_owned() }))),
        (None, None) => Ok(None),
    }
}

/// The application's name where nobody says one: of the settings, of the project, of the directory.
fn own_application(context: &Context) -> Result<(String, Origin)> {
    if let Some(name) = &context.settings.application {
        return Ok((name.clone(), context.settings.origin("/application")));
    }
    if let Some(project) = &context.project {
        return Ok((project.name.value.clone(), project.name.origin.clone()));
    }
    let last = context.dir.rsplit('/').find(|part| !part.is_empty()).unwrap_or("");
    let name = name_from(last);
    if name.is_empty() {
        return Err(Error::new(
            ErrorKind::NeedsAnswer,
            "resolve::question",
            "act on the request: what is the application called?",
        )
        .help("say its name with `--application NAME`, or `application = \"NAME\"` in code.toml"));
    }
    Ok((name, Origin::default("the directory's name")))
}

/// The name under which an environment is known here: settings may call `production` `prod`.
pub(super) fn known_name(said: &str, context: &Context) -> String {
    let settings = &context.settings.environments;
    if settings.contains_key(said) {
        return said.to_owned();
    }
    let same = settings.keys().find(|name| canonical(name) == canonical(said));
    same.cloned().unwrap_or_else(|| canonical(said).to_owned())
}

/// The contract's word for a common short form of an environment's name.
fn canonical(name: &str) -> &str {
    match name {
        "dev" | "devel" => "development",
        "testing" => "test",
        "stage" | "stg" => "staging",
        "prod" | "prd" | "live" => "production",
        other => other,
    }
}

fn unsaid_environment(
    application: &str,
    makes: bool,
    context: &Context,
    notes: &mut Vec<Note>,
) -> Result<(String, Origin)> {
    let listed: Vec<&str> = context.settings.environment_names().collect();
    if let [only] = listed.as_slice() {
        let origin = context.settings.origin(&format!("/environments/{}", crate::settings::escape(only)));
        return Ok(((*only).to_owned(), origin));
    }
    let of_application = |d: &&Deployment| d.application() == application;
    let mut used: Vec<&Deployment> =
        context.history.deployed().map(|(d, _)| d).filter(of_application).collect();
    if used.is_empty() && !makes {
        used = context.history.deployed().map(|(d, _)| d).collect();
    }
    let mut choices: Vec<String> = listed.iter().map(|name| (*name).to_owned()).collect();
    choices.extend(used.iter().map(|d| d.environment().to_owned()));
    choices.sort();
    choices.dedup();
    match choices.as_slice() {
        [] => {
            let origin = Origin::default("no environment was said, and this one is the least to break");
            notes.push(
                Note::advice("resolve::unsaid", "no environment was said: `development` is taken").choices([
                    "development",
                    "staging",
                    "production",
                ]),
            );
            Ok(("development".into(), origin))
        }
        [only] => {
            let why = format!("`{application}` is only deployed there");
            notes
                .push(Note::advice("resolve::unsaid", format!("no environment was said: `{only}` is taken")));
            Ok((only.clone(), Origin::default(why)))
        }
        several => Err(Error::new(
            ErrorKind::NeedsAnswer,
            "resolve::question",
            "act on the request: which environment?",
        )
        .help(format!("say it in the request or with `--environment`: {}", several.join(", ")))
        .with("choices", several.join(", "))),
    }
}

/// Where the settings list environments, another name is a mistake, unless something is deployed there.
fn check_environment(deployment: &Deployment, context: &Context) -> Result<()> {
    let listed: Vec<&str> = context.settings.environment_names().collect();
    let name = deployment.environment();
    if listed.is_empty() || listed.contains(&name) || context.history.current(deployment).is_some() {
        return Ok(());
    }
    Err(unknown_environment(name, &listed, context))
}

pub(super) fn unknown_environment(name: &str, listed: &[&str], context: &Context) -> Error {
    let settings = context.settings.path().unwrap_or("the settings");
    let choices = listed.join(", ");
    Error::new(ErrorKind::NotFound, "resolve::unknown-environment", format!("find the environment `{name}`"))
        .help(match nearest(name, listed) {
            Some(near) => format!("did you mean `{near}`? {settings} lists {choices}"),
            None => format!("{settings} lists {choices}; add `[environments.{name}]` to it for another"),
        })
        .with("choices", choices)
}

/// What is deployed, as a draft whose values were kept from the revisions that chose them.
pub(super) fn base(deployment: &Deployment, context: &Context) -> Option<Draft> {
    let (revision, spec) = context.history.current(deployment)?;
    Some(Draft::of(spec, |component, field| {
        let was = context.history.was(deployment, revision, component, field);
        (Origin::Revision { revision: was.revision }, was_said(was.origin.as_ref(), field))
    }))
}

/// Whether a person said a value then: what was derived may be derived again.
fn was_said(origin: Option<&Origin>, field: &str) -> bool {
    let derived = ["/source", "/build", "/start", "/release", "/application"].contains(&field);
    match origin {
        Some(Origin::Request { .. } | Origin::Option { .. }) => true,
        Some(Origin::File { .. } | Origin::Edited { .. }) => !derived,
        Some(Origin::Setting { .. } | Origin::Default { .. }) => false,
        // It is not known how: kept rather than lost.
        Some(Origin::Revision { .. }) | None => true,
    }
}
