//! On with a run: one that was interrupted or stopped goes on where it was, a paused one as somebody decides,
//! or with an edited spec.
//!
//! ```text
//!  the same command again ──▶ same ──────────┐
//!  resume ───────────────────────────────────┼──▶ the run goes on ──▶ its end, or a pause ─┐
//!  resume --retry, --skip, … ──▶ a decision ─┘          ▲                                  │
//!                                                       └── on a terminal: what now? ◀─────┘
//! ```

use code_core::engine::{Finished, Proposal};
use code_core::event::Decision;
use code_core::plan::Plan;
use code_core::status::{Run, State};
use code_core::{Deployment, Error, ErrorKind, Result};
use tokio_util::sync::CancellationToken;

use crate::cli::Decide;
use crate::exit::Exit;
use crate::flow::consent;
use crate::flow::edit;
use crate::flow::propose::{aside, watched};
use crate::progress::Board;
use crate::render::error;
use crate::session::Session;
use crate::style::{Tone, paragraph, printable};

/// Goes on with every run that was interrupted or stopped, or with the one that is decided about.
///
/// # Errors
/// `run::paused` where a decision is missing, `front::which-run`, `front::no-step`, and those of the engine.
pub async fn resume(session: &Session, asked: &Decide) -> Result<Exit> {
    let mut runs = Vec::new();
    for deployment in session.chosen().await? {
        if let Some(run) = session.engine.state(&deployment).await?.resumable_run() {
            runs.push((deployment, run.clone()));
        }
    }
    if runs.is_empty() {
        session.screen.page("nothing to resume: every run has ended\n");
        return Ok(Exit::Done);
    }
    if asked.any() && runs.len() > 1 {
        let names: Vec<String> = runs.iter().map(|(deployment, _)| deployment.to_string()).collect();
        return Err(Error::new(ErrorKind::Invalid, "front::which-run", "decide about several runs at once")
            .help("say which is meant with `-e ENVIRONMENT` and `--application NAME`")
            .with("runs", names.join(", ")));
    }
    for (deployment, run) in runs {
        consent::may_change(session, &deployment)?;
        if let Some(file) = &asked.edit {
            return edit::edit(session, &deployment, &run, file.as_deref()).await;
        }
        let decision = decision(asked, &run)?;
        let exit = go_on(session, &deployment, &run, decision).await?;
        let exit = at_pause(session, &deployment, exit).await?;
        if exit != Exit::Done {
            return Ok(exit);
        }
    }
    Ok(Exit::Done)
}

/// Goes on with the interrupted run of the same request or the same spec, where there is one: whoever gives
/// a command again after a crash means that run.
///
/// # Errors
/// Those of the engine.
pub async fn same(session: &Session, proposal: &Proposal) -> Result<Option<Exit>> {
    let state = session.engine.state(&proposal.deployment).await?;
    let Some(run) = interrupted(&state).filter(|run| is_of(run, proposal)) else { return Ok(None) };
    let exit = go_on(session, &proposal.deployment, run, None).await?;
    if exit == Exit::Done && run.plan.spec != proposal.spec {
        let text = "something has changed since that run began: give the same command again to have it too";
        session.screen.note(&paragraph(&session.screen.notes, 0, Tone::Warn, text));
    }
    at_pause(session, &proposal.deployment, exit).await.map(Some)
}

/// Goes on with the interrupted run of exactly this plan, where there is one.
///
/// # Errors
/// Those of the engine.
pub async fn same_plan(session: &Session, plan: &Plan) -> Result<Option<Exit>> {
    let state = session.engine.state(&plan.deployment).await?;
    let Some(run) = interrupted(&state).filter(|run| run.plan.id == plan.id) else { return Ok(None) };
    let exit = go_on(session, &plan.deployment, run, None).await?;
    at_pause(session, &plan.deployment, exit).await.map(Some)
}

/// The run that began and neither ended nor waits for a decision.
fn interrupted(state: &State) -> Option<&Run> {
    state.open_run().filter(|run| run.paused.is_none())
}

/// Whether a run does what is proposed: by its words, or by what should exist.
fn is_of(run: &Run, proposal: &Proposal) -> bool {
    let words = match (&run.request, &proposal.request) {
        (Some(then), Some(now)) => then.text.trim() == now.text.trim(),
        _ => false,
    };
    words || (run.plan.spec == proposal.spec && run.plan.delete_data == proposal.delete_data)
}

/// Where a run waits for a decision and somebody is there, asks until it goes on or is left paused.
///
/// # Errors
/// Those of the engine.
pub async fn at_pause(session: &Session, deployment: &Deployment, mut exit: Exit) -> Result<Exit> {
    while exit == Exit::Paused && session.screen.interactive {
        let state = session.engine.state(deployment).await?;
        let Some(run) = state.open_run() else { break };
        let question = "retry, skip STEP, edit, roll back, abort, or nothing to leave it paused? ";
        let answer = session.screen.ask(question).await.unwrap_or_default();
        if answer.trim().is_empty() {
            break;
        }
        match read(&answer, run) {
            None if matches!(answer.trim(), "e" | "edit") => {
                match Box::pin(edit::edit(session, deployment, run, None)).await {
                    // Another run took its place, and its own pauses were asked about there.
                    Ok(ended) if is_over(session, deployment, run).await? => return Ok(ended),
                    Ok(_) => {}
                    Err(error) => {
                        let page = error::error(&session.screen.notes, session.called.program(), &error);
                        session.screen.note(&page);
                    }
                }
            }
            Some(decision) => exit = go_on(session, deployment, run, Some(decision)).await?,
            None => session.screen.note(&format!("failed: {}\n", printable(&failed(run).join(", ")))),
        }
    }
    Ok(exit)
}

async fn is_over(session: &Session, deployment: &Deployment, run: &Run) -> Result<bool> {
    Ok(session.engine.state(deployment).await?.open_run().is_none_or(|open| open.id != run.id))
}

/// The decision in an answer; `skip` alone is the step that failed, where only one did.
fn read(answer: &str, run: &Run) -> Option<Decision> {
    let answer = answer.trim().to_lowercase();
    let words: Vec<&str> = answer.split_whitespace().collect();
    match words[..] {
        ["r" | "retry"] => Some(Decision::Retry),
        ["b" | "back" | "rollback" | "roll-back"] | ["roll", "back"] => Some(Decision::RollBack),
        ["a" | "abort"] => Some(Decision::Abort),
        ["s" | "skip"] => match run.failed().collect::<Vec<_>>()[..] {
            [step] => Some(Decision::Skip { step }),
            _ => None,
        },
        ["s" | "skip", step] => skip(step, run).ok(),
        _ => None,
    }
}

/// The decision that the command line names.
fn decision(asked: &Decide, run: &Run) -> Result<Option<Decision>> {
    Ok(match asked {
        Decide { retry: true, .. } => Some(Decision::Retry),
        Decide { roll_back: true, .. } => Some(Decision::RollBack),
        Decide { abort: true, .. } => Some(Decision::Abort),
        Decide { skip: Some(step), .. } => Some(skip(step, run)?),
        _ => None,
    })
}

fn skip(named: &str, run: &Run) -> Result<Decision> {
    let found = run.plan.steps.iter().find(|step| step.address().as_str() == named);
    let step = found.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "front::no-step", format!("find a step `{}`", printable(named)))
            .help("name a step that failed by its address")
            .with("failed", failed(run).join(", "))
    })?;
    Ok(Decision::Skip { step: step.id })
}

fn failed(run: &Run) -> Vec<String> {
    run.failed().filter_map(|id| run.plan.step(id)).map(|step| step.address().to_string()).collect()
}

async fn go_on(
    session: &Session,
    deployment: &Deployment,
    run: &Run,
    decision: Option<Decision>,
) -> Result<Exit> {
    let asked = run.request.as_ref().map(|request| format!(": {}", printable(&request.text)));
    let page = format!("going on with run {} of {deployment}{}\n", run.id, asked.unwrap_or_default());
    session.screen.page(&page);
    if session.screen.dry_run {
        return Ok(Exit::Done);
    }
    let cancel = CancellationToken::new();
    let work = aside(|| async {
        let finished: Option<Finished> = match decision {
            Some(decision) => session.engine.decide(deployment, decision, &cancel).await?,
            None => session.engine.resume(deployment, &cancel).await?,
        };
        finished.ok_or_else(|| {
            Error::new(ErrorKind::Stale, "front::ended-meanwhile", "resume a run that has ended meanwhile")
                .help("`history` tells how it ended")
        })
    });
    watched(session, Board::of(Some(&run.plan)), &cancel, work).await
}
