//! A sentence, or a spec file, to what it asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use code_core::engine::Proposal;
use code_core::parser::Parsed;
use code_core::plan::Rollback;
use code_core::request::{MAX_REQUEST_BYTES, Request};
use code_core::{Error, ErrorKind, Result};
use code_nlp::context::{Context, History, Machine, Options, Project};
use code_nlp::resolve::{
    Ask, Change, Filter, Resolution, resolve, resolve_spec, sources, spec_sources, usual_roots,
};
use code_nlp::spec_file::{MAX_SPEC_BYTES, read_spec};
use code_providers::terraform::{Flavour, has_root};
use serde_json::json;

use crate::exit::Exit;
use crate::flow::propose::{Came, Goal, line, propose};
use crate::flow::{logs, look};
use crate::machine;
use crate::render::understood;
use crate::session::Session;

/// Does what a sentence asks for, or what `--spec` says.
///
/// # Errors
/// What the words, the settings or the spec have wrong, and those of the engine.
pub async fn sentence(session: &Session, text: Option<&str>, goal: &Goal) -> Result<Came> {
    if let (None, None, Some(revision)) = (text, &session.options.spec, &session.options.from_git) {
        return super::git::deploy(session, revision, goal).await;
    }
    let spec_file = session.options.spec.as_deref();
    match (text, spec_file.or(session.options.from_git.as_deref().map(Path::new))) {
        (Some(_), Some(_)) => Err(Error::new(
            ErrorKind::Invalid,
            "front::sentence-and-spec",
            "follow a sentence and a spec file at once",
        )
        .help("give either the sentence or `--spec FILE`")),
        (None, None) => Err(Error::new(ErrorKind::Invalid, "front::nothing-asked", "find out what to do")
            .help("say it in a sentence, or name a spec with `--spec FILE`")),
        (None, Some(path)) => spec(session, path, goal).await,
        (Some("-"), None) => words(session, &standard_input()?, goal).await,
        (Some(text), None) => words(session, text, goal).await,
    }
}

async fn words(session: &Session, text: &str, goal: &Goal) -> Result<Came> {
    let request = Request::new(text, session.user(), session.host.now())?;
    let history = session.history().await?;
    let vocabulary = session.settings.vocabulary(&history);
    let parsed = session.engine.interpret(&request, &vocabulary).await?;
    let style = &session.screen.style;
    session.screen.detail(&understood::understood(style, &request.text, PARSER, &parsed));
    let data = json!({ "parser": PARSER, "request": request, "parsed": parsed });
    line(session, "understood", &format!("understood: {}", request.text), &data)?;
    let sources = projects(&session.place.project, sources(&parsed, &session.settings))?;
    let context = for_goal(context(session, sources, history).await?, goal);
    let mut resolution = resolve(Some(&request), &parsed, &context)?;
    resolution.notes.retain(|note| !parsed.notes.contains(note));
    let said = Said { request, parsed };
    all(session, resolution, Some(&said), goal).await
}

/// What intents that nobody said are read against: the settings, the project and the history of now.
///
/// # Errors
/// What the settings or the project have wrong.
pub async fn unasked(session: &Session) -> Result<Context> {
    let sources = projects(&session.place.project, sources(&Parsed::default(), &session.settings))?;
    Ok(for_goal(context(session, sources, session.history().await?).await?, &Goal::Show))
}

/// Does what a spec file says; YAML and JSON are told apart by nothing: the one is the other.
async fn spec(session: &Session, path: &Path, goal: &Goal) -> Result<Came> {
    let shown = path.display().to_string();
    let unreadable = |error: std::io::Error| {
        Error::new(ErrorKind::Invalid, "front::spec-file", "read the spec file")
            .help("name a YAML or JSON file that you can read: `--spec FILE`")
            .with("path", shown.clone())
            .because(error)
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    // One byte more than may be read: so that what is too long is known to be.
    file.take(MAX_SPEC_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let file = read_spec(&shown, &bytes)?;
    let beside = path.canonicalize().map_err(unreadable)?;
    let beside = beside.parent().unwrap_or(&session.place.project);
    let sources = projects(beside, spec_sources(&file))?;
    let context = for_goal(context(session, sources, session.history().await?).await?, goal);
    let resolution = resolve_spec(&file, &context)?;
    all(session, resolution, None, goal).await
}

/// What a spec asks for that is written somewhere else than in a file of the project.
pub(super) async fn of_spec(session: &Session, shown: &str, bytes: &[u8], goal: &Goal) -> Result<Change> {
    let file = read_spec(shown, bytes)?;
    let sources = projects(&session.place.project, spec_sources(&file))?;
    let context = for_goal(context(session, sources, session.history().await?).await?, goal);
    let mut resolution = resolve_spec(&file, &context)?;
    for note in &resolution.notes {
        session.screen.detail(&understood::note(&session.screen.style, "", note));
    }
    match resolution.asks.pop() {
        Some(Ask::Change(change)) => Ok(change),
        _ => {
            Err(Error::new(ErrorKind::Bug, "front::unsupported", "find one change in a spec")
                .help("report it"))
        }
    }
}

/// Does all that was asked for, in order.
async fn all(session: &Session, resolution: Resolution, said: Option<&Said>, goal: &Goal) -> Result<Came> {
    let text = said.map_or("", |said| said.request.text.as_str());
    for note in &resolution.notes {
        session.screen.detail(&understood::note(&session.screen.style, text, note));
    }
    let mut came = Came { exit: Exit::Done, changes: false };
    for ask in resolution.asks {
        let next = asked(session, ask, said, goal).await?;
        came.changes |= next.changes;
        // What comes after something that went wrong was asked for on the understanding that it went well.
        if next.exit != Exit::Done {
            return Ok(Came { exit: next.exit, ..came });
        }
    }
    Ok(came)
}

/// Who reads the words.
const PARSER: &str = "grammar";

/// The words and what was read in them: the first links of the chain.
pub(super) struct Said {
    request: Request,
    parsed: Parsed,
}

async fn asked(session: &Session, ask: Ask, said: Option<&Said>, goal: &Goal) -> Result<Came> {
    let looked = |exit| Ok(Came { exit, changes: false });
    match ask {
        Ask::Change(change) => {
            let dry_run = change.dry_run;
            let proposal = proposal(session, change, said)?;
            propose(session, proposal, shown_only(goal, dry_run)).await
        }
        Ask::Rollback { to, change } => {
            let dry_run = change.dry_run;
            let state = session.engine.state(&change.deployment).await?;
            let from = state.standing().map(|standing| standing.number);
            let mut proposal = proposal(session, change, said)?;
            proposal.rollback = from.map(|from| Rollback { from, to });
            propose(session, proposal, shown_only(goal, dry_run)).await
        }
        Ask::Destroy { deployment, components, dry_run } => {
            let proposal = match &components[..] {
                [] => session.engine.destroy(&deployment, false).await?,
                some => super::change::without(session, &deployment, some).await?,
            };
            let proposal = with_words(session, proposal, said);
            propose(session, proposal, shown_only(goal, dry_run)).await
        }
        Ask::Status(filter) => looked(look::status(session, &filter).await?),
        Ask::Logs(filter) => looked(logs::logs(session, &filter, false, 50).await?),
        Ask::Cost(change) => {
            let proposal = proposal(session, change, said)?;
            looked(look::cost(session, &proposal).await?)
        }
        Ask::Scan(change) => {
            let proposal = proposal(session, change, said)?;
            looked(look::scan(session, &proposal).await?)
        }
        other => Err(Error::new(ErrorKind::Unsupported, "front::unsupported", format!("do {other:?}"))
            .help("this build understands it and cannot do it yet")),
    }
}

/// Where the words only ask to show, nothing is applied.
pub(super) fn shown_only(goal: &Goal, dry_run: bool) -> Goal {
    match goal {
        Goal::Apply if dry_run => Goal::Show,
        other => other.clone(),
    }
}

pub(super) fn proposal(session: &Session, mut change: Change, said: Option<&Said>) -> Result<Proposal> {
    change.release(|component| machine::release(&session.place.project, component))?;
    let proposal = Proposal::of(change.spec, change.origins)?;
    Ok(with_words(session, proposal, said))
}

/// The proposal with the words that asked for it.
fn with_words(session: &Session, mut proposal: Proposal, said: Option<&Said>) -> Proposal {
    if let Some(said) = said {
        proposal.request = Some(said.request.clone());
        proposal.parsed = Some(said.parsed.clone());
        proposal.parser = Some(PARSER.to_owned());
    }
    ruled(session, proposal)
}

/// Under the rules of now: protected where the settings say so, whatever the last spec said, and with what a
/// failure leads to by the options, else by the settings.
pub fn ruled(session: &Session, mut proposal: Proposal) -> Proposal {
    let environment = proposal.deployment.environment();
    if let Some((protected, _)) = session.settings.protected(environment) {
        proposal.protected |= protected;
    }
    let asked = session.options.on_failure.map(Into::into);
    proposal.on_failure = asked.or_else(|| session.settings.on_failure(environment));
    proposal
}

/// What the words are read against.
pub(super) async fn context(session: &Session, named: Named, history: History) -> Result<Context> {
    let project = &session.place.project;
    let own = Project::read(project)?;
    let mut context = Context {
        dir: project.display().to_string(),
        settings: session.settings.clone(),
        history,
        options: Options {
            application: session.options.application.clone(),
            environment: session.options.environment.clone(),
            platform: None,
            project: session.options.project.is_some(),
            dry_run: session.screen.dry_run,
        },
        sources: named.projects,
        roots: named.roots,
        ..Context::default()
    };
    let tools = Flavour::ALL.map(|tool| tool.program().to_owned());
    let projects = own.iter().chain(context.sources.values());
    let programs: BTreeSet<String> =
        projects.flat_map(|project| project.programs.clone()).chain(tools).collect();
    context.machine = Machine { user: session.user(), ..machine::machine(&*session.host, &programs).await };
    context.project = own;
    Ok(context)
}

/// The same where nothing is to be changed: what is read-only may be planned.
pub(super) fn for_goal(mut context: Context, goal: &Goal) -> Context {
    context.options.dry_run |= *goal != Goal::Apply;
    context
}

/// What is named by paths.
#[derive(Debug, Default)]
pub(super) struct Named {
    projects: BTreeMap<String, Project>,
    roots: BTreeMap<String, String>,
}

/// The projects and roots that are named by paths relative to a directory, and the roots at the usual ones.
pub(super) fn projects(from: &Path, named: Vec<String>) -> Result<Named> {
    let mut found = Named::default();
    for source in usual_roots().map(str::to_owned).chain(named.iter().cloned()) {
        let dir = from.join(&source);
        if has_root(&dir) {
            let dir = dir.canonicalize().unwrap_or(dir);
            found.roots.insert(source, dir.display().to_string());
        }
    }
    for source in named {
        if let Some(project) = Project::read(&from.join(&source))? {
            found.projects.insert(source, project);
        }
    }
    Ok(found)
}

/// What to look at, by the options alone.
pub fn filter(session: &Session, components: Vec<String>) -> Filter {
    Filter {
        application: session.options.application.clone(),
        environment: session.options.environment.clone(),
        components,
    }
}

fn standard_input() -> Result<String> {
    let mut bytes = Vec::new();
    // One byte more than may be read: so that what is too long is known to be.
    let limit = MAX_REQUEST_BYTES as u64 + 1;
    std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Invalid, "front::standard-input", "read the request from standard input")
            .help("give the sentence as one quoted argument")
            .because(error)
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        Error::new(ErrorKind::Invalid, "front::standard-input", "read the request: it is not UTF-8 text")
            .help("write the request as plain text")
            .because(error.utf8_error())
    })?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}
