//! From what was said to what should exist: fills in what a request leaves open, and remembers from where.
//!
//! ```text
//! Parsed ─┐   weakest                                                    strongest
//!         ├─▶ defaults < kept choices < project < said before < code.toml < said now ─▶ Spec + Origins
//! Context ┘
//! ```
//!
//! Resolving is pure: it reads no file, no clock and no environment. What it cannot decide it asks, as an
//! error of kind `NeedsAnswer` with the choices. Two sorts of earlier values are told apart: what a *person
//! said* before is kept until something stronger speaks; what was only *derived* (a default, a line of a
//! Procfile) is derived again, except for choices that bind because data or other people depend on them:
//! the engine of a database, its version, ports, dependencies.
//!
//! Several intents on one deployment fold into one spec, in the order of the request.

mod act;
mod by_hand;
mod database;
mod draft;
mod files;
mod fill;
mod filter;
mod find;
mod from_file;
mod needs;
mod pick;
mod place;
mod port;
mod promote;
#[cfg(test)]
mod properties;
mod root;
#[cfg(test)]
mod tests;
mod top;
mod words;

use code_core::diagnostic::{Level, Note};
use code_core::intent::{Action, Intent};
use code_core::parser::Parsed;
use code_core::request::Request;
use code_core::spec::{Component, Origin, Origins, Spec};
use code_core::{Deployment, Digest, Error, ErrorKind, Result};

pub use by_hand::{rolled_back, stopped, under_rules, without};
pub use from_file::{resolve_spec, spec_sources};

use crate::context::Context;
use act::Scene;
use draft::Draft;
use words::Words;

/// What is asked for, each for one deployment, in the order of the request.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolution {
    /// What is asked for.
    pub asks: Vec<Ask>,
    /// What a person should know about how the words were taken.
    pub notes: Vec<Note>,
}

/// One thing that is asked for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Ask {
    /// Make a deployment as the spec says.
    Change(Change),
    /// Take components down.
    Destroy {
        /// Where.
        deployment: Deployment,
        /// Which, by name; empty: all.
        components: Vec<String>,
        /// Whether only to show it.
        dry_run: bool,
    },
    /// Make a deployment as an earlier revision was.
    Rollback {
        /// The revision to return to.
        to: u64,
        /// Its spec, for now.
        change: Change,
    },
    /// Show how things are.
    Status(Filter),
    /// Show what was written.
    Logs(Filter),
    /// Tell what it costs: of what is deployed, or of what would be.
    Cost(Change),
    /// Judge it: what is deployed, or what would be.
    Scan(Change),
}

/// A spec for a deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Which deployment.
    pub deployment: Deployment,
    /// What should exist.
    pub spec: Spec,
    /// Where each of its values comes from.
    pub origins: Origins,
    /// Whether only to show it.
    pub dry_run: bool,
    /// The components whose files are to be looked at again: see [`Change::release`].
    pub unreleased: Vec<String>,
}

/// What to look at; what is `None` or empty means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The application.
    pub application: Option<String>,
    /// The environment.
    pub environment: Option<String>,
    /// The components, by name.
    pub components: Vec<String>,
}

impl Change {
    /// Gives each component that is built from files the digest of its release.
    ///
    /// Resolving reads no files, so the caller says what they are now; until it did, `release` is missing.
    ///
    /// # Errors
    /// What `digest` answers.
    pub fn release(&mut self, mut digest: impl FnMut(&Component) -> Result<Digest>) -> Result<()> {
        for name in std::mem::take(&mut self.unreleased) {
            let Some(index) = self.spec.components.iter().position(|c| c.name == name) else { continue };
            let component = &mut self.spec.components[index];
            component.release = Some(digest(component)?);
            let origin = match component.source.as_deref() {
                Some(SAMPLE) | None => Origin::default("the sample app of this build"),
                Some(source) => {
                    Origin::File { path: source.to_owned(), line: 0, what: "as it is now".into() }
                }
            };
            self.origins.insert(format!("/components/{index}/release"), origin);
        }
        Ok(())
    }
}

/// The `source` of a component that runs the app that comes with CODE.
pub const SAMPLE: &str = "sample";

/// What a request asks for, in this context.
///
/// # Errors
/// `resolve::question` where something has to be answered first; what the words name and the context does
/// not have; what contradicts itself; what is understood and not built. Each has its page.
pub fn resolve(request: Option<&Request>, parsed: &Parsed, context: &Context) -> Result<Resolution> {
    let mut notes = Vec::new();
    for note in &parsed.notes {
        if note.level == Level::Question {
            return Err(question(request, parsed));
        }
        notes.push(note.clone());
    }
    if parsed.intents.is_empty() {
        return Err(question(request, parsed));
    }
    let mut resolving = Resolving { context, open: Vec::new(), asks: Vec::new(), notes };
    for (index, intent) in parsed.intents.iter().enumerate() {
        resolving.take(intent, Words { request, parsed, intent: index })?;
    }
    resolving.finish()
}

/// The paths by which intents and settings name further projects, relative to the project's root, so that
/// the caller can read them into [`Context::sources`].
pub fn sources(parsed: &Parsed, settings: &crate::settings::Settings) -> Vec<String> {
    let said = parsed.intents.iter().flat_map(|intent| &intent.components).filter_map(|c| c.source.clone());
    let everywhere = settings.components.values();
    let here = settings.environments.values().flat_map(|e| e.components.values());
    let mut all: Vec<String> =
        said.chain(everywhere.chain(here).filter_map(|part| part.source.clone())).collect();
    all.retain(|source| source != SAMPLE && !files::is_remote(source));
    all.sort();
    all.dedup();
    all
}

/// The paths at which roots of OpenTofu and Terraform are looked for, beside those that are named.
pub fn usual_roots() -> impl Iterator<Item = &'static str> {
    root::USUAL.into_iter()
}

/// A deployment whose spec is being changed.
#[derive(Debug)]
struct Open {
    deployment: Deployment,
    draft: Draft,
    dry_run: bool,
    unreleased: Vec<String>,
    /// Its place among the asks.
    at: usize,
}

#[derive(Debug)]
struct Resolving<'a> {
    context: &'a Context,
    open: Vec<Open>,
    /// `None` is the place of an open change.
    asks: Vec<Option<Ask>>,
    notes: Vec<Note>,
}

impl Resolving<'_> {
    fn take(&mut self, intent: &Intent, words: Words<'_>) -> Result<()> {
        let context = self.context;
        if matches!(intent.action, Action::Status | Action::Logs) {
            let filter = filter::filter(intent, words, context, &mut self.notes)?;
            self.asks.push(Some(match intent.action {
                Action::Logs => Ask::Logs(filter),
                _ => Ask::Status(filter),
            }));
            return Ok(());
        }
        if intent.action == Action::RotateSecrets {
            return Err(not_built(
                "rotate secrets",
                "destroy and deploy anew where the data may go, or wait for a later version",
            ));
        }
        let place = place::place(intent, words, context, &mut self.notes)?;
        let dry_run = intent.dry_run == Some(true) || context.options.dry_run;
        let changes = !matches!(intent.action, Action::Cost | Action::Scan);
        if changes && !dry_run {
            context.settings.check_writable(&place.deployment)?;
        }
        let settled = self.asks.iter().flatten().any(|ask| match ask {
            Ask::Destroy { deployment, .. } => *deployment == place.deployment,
            Ask::Rollback { change, .. } => change.deployment == place.deployment,
            _ => false,
        });
        let opened = self.open.iter().position(|open| open.deployment == place.deployment);
        let ends = matches!(intent.action, Action::Rollback | Action::Destroy);
        if changes && (settled || (opened.is_some() && ends)) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "resolve::contradiction",
                format!("roll back or take down {} and change it in one request", place.deployment),
            )
            .help("say one after the other: the second begins where the first has ended"));
        }
        let base = match opened {
            Some(open) => Some(self.open[open].draft.clone()),
            None => place::base(&place.deployment, context),
        };
        let others = self.open.iter().filter(|open| open.deployment != place.deployment);
        let promised = others.flat_map(|open| port::ports(&open.draft)).collect();
        let mut scene =
            Scene { context, place: &place, words, notes: &mut self.notes, unreleased: Vec::new(), promised };
        match intent.action {
            Action::Destroy => {
                let draft = base.ok_or_else(|| pick::nothing_deployed(&place.deployment, context))?;
                let components = pick::destroyed(intent, &draft, &mut scene)?;
                self.asks.push(Some(Ask::Destroy { deployment: place.deployment, components, dry_run }));
            }
            Action::Rollback => {
                let (to, spec, origins) =
                    rolled_back(context, &place.deployment, intent.rollback_to.as_deref())?;
                if !intent.components.is_empty() && spec.components.len() > 1 {
                    self.notes.push(
                        Note::warning(
                            "resolve::whole-deployment",
                            "a rollback takes the whole deployment back",
                        )
                        .choices([place.deployment.to_string()]),
                    );
                }
                let deployment = place.deployment;
                let change = Change { deployment, spec, origins, dry_run, unreleased: Vec::new() };
                self.asks.push(Some(Ask::Rollback { to, change }));
            }
            Action::Cost | Action::Scan => {
                let draft = act::looked_at(base, intent, &mut scene)?;
                let unreleased = scene.unreleased;
                let (spec, origins) = draft.finish()?;
                let change =
                    Change { deployment: place.deployment, spec, origins, dry_run: true, unreleased };
                let cost = intent.action == Action::Cost;
                self.asks.push(Some(if cost { Ask::Cost(change) } else { Ask::Scan(change) }));
            }
            _ => {
                let draft = act::changed(base, intent, &mut scene)?;
                let unreleased = scene.unreleased;
                self.open_with(opened, place.deployment, draft, dry_run, unreleased);
            }
        }
        Ok(())
    }

    fn open_with(
        &mut self,
        opened: Option<usize>,
        deployment: Deployment,
        draft: Draft,
        dry_run: bool,
        unreleased: Vec<String>,
    ) {
        if let Some(open) = opened {
            let open = &mut self.open[open];
            open.draft = draft;
            // Where any part of a request only asks to show, nothing of it is done.
            open.dry_run |= dry_run;
            open.unreleased.extend(unreleased);
            return;
        }
        self.open.push(Open { deployment, draft, dry_run, unreleased, at: self.asks.len() });
        self.asks.push(None);
    }

    fn finish(mut self) -> Result<Resolution> {
        for open in self.open {
            let (spec, origins) = open.draft.finish()?;
            let mut unreleased = open.unreleased;
            unreleased.sort();
            unreleased.dedup();
            let change =
                Change { deployment: open.deployment, spec, origins, dry_run: open.dry_run, unreleased };
            self.asks[open.at] = Some(Ask::Change(change));
        }
        Ok(Resolution { asks: self.asks.into_iter().flatten().collect(), notes: self.notes })
    }
}

/// The error that asks what has to be answered first.
fn question(request: Option<&Request>, parsed: &Parsed) -> Error {
    let mut questions: Vec<&str> = parsed.questions().collect();
    if questions.is_empty() {
        questions.push("what should be done, and with what?");
    }
    let mut error = Error::new(
        ErrorKind::NeedsAnswer,
        "resolve::question",
        format!("act on the request: {}", questions[0]),
    );
    for note in parsed.notes.iter().filter(|note| note.level == Level::Question) {
        if let (Some(span), Some(request)) = (note.span, request) {
            error = error.with("words", span.of(&request.text));
        }
        if !note.choices.is_empty() {
            error = error.with("choices", note.choices.join(", "));
        }
    }
    for question in &questions[1..] {
        error = error.with("question", *question);
    }
    error
        .help("say it again with the answer in it, for example \"Deploy a web app with database to staging\"")
}

fn not_built(what: &str, help: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "resolve::not-built",
        format!("{what}: that is understood, and not built yet"),
    )
    .help(help)
}
