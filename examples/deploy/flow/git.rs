//! Commits: deploy what one says, and push what is owed.

use code_core::export::Commit;
use code_core::id::name_from;
use code_core::spec::Spec;
use code_core::{Deployment, Error, ErrorKind, Layout, Result};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;
use crate::flow::ended;
use crate::flow::propose::{Came, Goal, line, propose};
use crate::flow::sentence;
use crate::interrupt::interruptible;
use crate::machine;
use crate::session::Session;
use crate::style::{Cell, Tone, cell, table};

/// Deploys what a commit says.
///
/// # Errors
/// Those of [`GitExporter::read`](code_providers::git::GitExporter::read), of the spec and of the engine;
/// `git::other-deployment`, `git::release-gone`.
pub async fn deploy(session: &Session, revision: &str, goal: &Goal) -> Result<Came> {
    let deployment = meant(session).await?;
    let ctx = session.engine.ctx().for_deployment(&deployment);
    let found = session.git.read(&ctx, &deployment, revision).await?;
    let shown = format!("{}:{}", found.commit.short(), found.commit.path);
    let change = sentence::of_spec(session, &shown, &found.bytes, goal).await?;
    if change.deployment != deployment {
        let message = format!("deploy a spec of {} from the folder of {deployment}", change.deployment);
        return Err(Error::new(ErrorKind::Invalid, "git::other-deployment", message)
            .help("make the names in the spec and its folder the same, and commit")
            .with("at", shown));
    }
    releases(session, &change.spec, &change.unreleased)?;
    let dry_run = change.dry_run;
    let mut proposal = sentence::proposal(session, change, None)?;
    proposal.commit = Some(found.commit);
    propose(session, proposal, sentence::shown_only(goal, dry_run)).await
}

/// The deployment whose folder is read: the one that is recorded here, else the one that is named.
async fn meant(session: &Session) -> Result<Deployment> {
    if !session.chosen().await?.is_empty() {
        return session.the_one().await;
    }
    let Some(environment) = &session.options.environment else { return session.the_one().await };
    let named = session.options.application.clone().or_else(|| session.settings.application.clone());
    let dir = session.place.project.file_name().map(|name| name_from(&name.to_string_lossy()));
    Deployment::new(&named.or(dir).unwrap_or_default(), environment)
}

/// Checks that each release that the commit names is here, or can be made of the project as it is.
fn releases(session: &Session, spec: &Spec, unreleased: &[String]) -> Result<()> {
    for component in spec.components.iter().filter(|component| !unreleased.contains(&component.name)) {
        let Some(digest) = component.release else { continue };
        // Written last: a release is complete where it stands.
        let note = Layout::new(&session.place.state).release(digest).with_file_name(format!("{digest}.json"));
        let here = || machine::release(&session.place.project, component).is_ok_and(|now| now == digest);
        if !note.is_file() && !here() {
            let message = format!("find the release {} of {}", digest.short(), component.name);
            return Err(Error::new(ErrorKind::NotFound, "git::release-gone", message)
                .help(
                    "check the project out as it was then, or take `release` out of the spec and commit that",
                )
                .with("release", digest.to_string()));
        }
    }
    Ok(())
}

/// Exports what a deployment owes, where nothing else was to be done. What fails is said, and still owed.
///
/// # Errors
/// Those of the store.
pub async fn catch_up(session: &Session, deployment: &Deployment) -> Result<()> {
    let cancel = CancellationToken::new();
    let work = session.engine.push(deployment, &cancel);
    match interruptible(&session.screen, &session.limit, &cancel, work).await {
        Some(Ok(pushed)) => {
            let rows = exported(session, deployment, pushed)?;
            session.screen.page(&table(&session.screen.style, 0, &rows));
        }
        Some(Err(_)) => ended::owed(session, &session.engine.state(deployment).await?),
        None => {}
    }
    Ok(())
}

/// Commits and pushes what is owed.
///
/// # Errors
/// What keeps the oldest of a deployment from being exported.
pub async fn push(session: &Session) -> Result<Exit> {
    let mut rows = Vec::new();
    for deployment in session.chosen().await? {
        if session.screen.dry_run {
            let status = session.engine.state(&deployment).await?;
            rows.extend(status.owed().map(|(number, _)| {
                vec![cell(Tone::Strong, format!("{deployment} revision {number}")), cell(Tone::Warn, "owed")]
            }));
            continue;
        }
        let cancel = CancellationToken::new();
        let work = session.engine.push(&deployment, &cancel);
        let Some(pushed) = interruptible(&session.screen, &session.limit, &cancel, work).await else {
            return Ok(Exit::Interrupted);
        };
        rows.extend(exported(session, &deployment, pushed?)?);
    }
    if rows.is_empty() {
        session.screen.page("nothing is owed: every revision is exported\n");
    }
    session.screen.page(&table(&session.screen.style, 0, &rows));
    Ok(Exit::Done)
}

/// What was exported: a line of JSON and a row for each.
fn exported(
    session: &Session,
    deployment: &Deployment,
    commits: Vec<(u64, Commit)>,
) -> Result<Vec<Vec<Cell>>> {
    let mut rows = Vec::new();
    for (revision, commit) in commits {
        let data = json!({ "deployment": deployment, "revision": revision, "commit": commit });
        let message = format!("exported revision {revision} of {deployment}");
        line(session, "exported", &message, &data)?;
        rows.push(vec![
            cell(Tone::Strong, format!("{deployment} revision {revision}")),
            cell(Tone::Good, format!("commit {}", commit.short())),
            cell(Tone::Plain, commit.place),
        ]);
    }
    Ok(rows)
}
