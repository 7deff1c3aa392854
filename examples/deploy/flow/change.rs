//! The commands that change a deployment without a sentence: destroy, stop, start, restart, roll back.

use code_core::engine::Proposal;
use code_core::event::Outcome;
use code_core::spec::{Component, Origin, Origins, Spec};
use code_core::status::Revision;
use code_core::{Deployment, Error, ErrorKind, Result};
use code_nlp::resolve;

use crate::exit::Exit;
use crate::flow::propose::{Goal, propose};
use crate::flow::sentence::ruled;
use crate::session::Session;

/// Takes a deployment down.
///
/// # Errors
/// `front::which-deployment`, `front::confirm`, and those of the engine.
pub async fn destroy(session: &Session, delete_data: bool) -> Result<Exit> {
    let deployment = session.the_one().await?;
    let proposal = session.engine.destroy(&deployment, delete_data).await?;
    Ok(propose(session, ruled(session, proposal), Goal::Apply).await?.exit)
}

/// Stops or starts components; all of them where none is named.
///
/// # Errors
/// `front::which-deployment`, `resolve::unknown-component`, and those of the engine.
pub async fn stop(session: &Session, components: &[String], stop: bool) -> Result<Exit> {
    let (_, spec, origins) = current(session).await?;
    let (mut spec, mut origins) = (spec, origins);
    for name in named(&spec, components) {
        (spec, origins) = resolve::stopped(&spec, &origins, &name, stop)?;
    }
    let proposal = ruled(session, Proposal::of(spec, origins)?);
    Ok(propose(session, proposal, Goal::Apply).await?.exit)
}

/// Replaces the processes of components by new ones: another number of restarts is another process.
///
/// # Errors
/// As those of [`stop`].
pub async fn restart(session: &Session, components: &[String]) -> Result<Exit> {
    let (_, mut spec, mut origins) = current(session).await?;
    // A name that is not there is told as `stop` tells it.
    for name in components {
        resolve::stopped(&spec, &origins, name, false)?;
    }
    let chosen: Vec<String> = if components.is_empty() {
        // What runs an app; the server of a database only where it is named.
        let runs = |c: &&Component| c.start.is_some() || c.source.is_some();
        spec.components.iter().filter(runs).map(|c| c.name.clone()).collect()
    } else {
        components.to_vec()
    };
    for (i, component) in spec.components.iter_mut().enumerate() {
        if chosen.contains(&component.name) {
            component.restarts += 1;
            let origin = Origin::Option { name: "the command `restart`".into() };
            origins.insert(format!("/components/{i}/restarts"), origin);
        }
    }
    let proposal = ruled(session, Proposal::of(spec, origins)?);
    Ok(propose(session, proposal, Goal::Apply).await?.exit)
}

/// Goes back to an earlier revision.
///
/// # Errors
/// `front::which-deployment`, `rollback::no-revision`, and those of the engine.
pub async fn rollback(session: &Session, to: Option<u64>) -> Result<Exit> {
    let deployment = session.the_one().await?;
    let proposal = session.engine.rollback(&deployment, to).await?;
    Ok(propose(session, ruled(session, proposal), Goal::Apply).await?.exit)
}

/// What remains of a deployment without these components.
///
/// # Errors
/// `resolve::unknown-component`, `resolve::needed`.
pub async fn without(session: &Session, deployment: &Deployment, components: &[String]) -> Result<Proposal> {
    let (spec, origins) = rolled_out(session, deployment).await?;
    if components.len() == spec.components.len() {
        return session.engine.destroy(deployment, false).await;
    }
    let (spec, origins) = resolve::without(&spec, &origins, components)?;
    Proposal::of(spec, origins)
}

async fn current(session: &Session) -> Result<(Deployment, Spec, Origins)> {
    let deployment = session.the_one().await?;
    let (spec, origins) = rolled_out(session, &deployment).await?;
    Ok((deployment, spec, origins))
}

async fn rolled_out(session: &Session, deployment: &Deployment) -> Result<(Spec, Origins)> {
    let state = session.engine.state(deployment).await?;
    // In the middle of a run, what was rolled out when it began: the same command after a crash means that run.
    let good = |revision: &&Revision| revision.outcome == Some(Outcome::Succeeded);
    let before = state.open_run().and_then(|_| state.revisions.iter().rev().find(good));
    match before.or(state.current()) {
        Some(Revision { spec: Some(spec), origins, .. }) => Ok((spec.clone(), origins.clone())),
        _ => Err(Error::new(
            ErrorKind::NotFound,
            "front::nothing-deployed",
            format!("find what runs in {deployment}: it is taken down"),
        )
        .help("deploy it again: its data was kept")),
    }
}

fn named(spec: &Spec, components: &[String]) -> Vec<String> {
    if components.is_empty() {
        spec.components.iter().map(|component| component.name.clone()).collect()
    } else {
        components.to_vec()
    }
}
