//! The runs that there were, and one of them shown once more: from the journal, and changing nothing.

use code_core::runs::PastRun;
use code_core::{Deployment, Error, ErrorKind, Result};
use serde_json::{Value, json};

use crate::cli::Which;
use crate::exit::Exit;
use crate::json::Line;
use crate::progress::{self, Board};
use crate::render::history::{Names, outcome_tone, outcome_word};
use crate::render::time;
use crate::session::Session;
use crate::style::{Cell, Tone, cell, table};

/// The last `limit` runs of each deployment, the newest first.
///
/// # Errors
/// Those of the store.
pub async fn runs(session: &Session, limit: usize) -> Result<Exit> {
    let style = &session.screen.style;
    let mut page = String::new();
    let mut data = Vec::new();
    let chosen = session.chosen().await?;
    for deployment in &chosen {
        let runs = session.engine.runs(deployment).await?;
        let newest: Vec<&PastRun> = runs.iter().rev().take(limit).collect();
        if chosen.len() > 1 {
            page.push_str(&style.paint(Tone::Strong, format!("{deployment}\n")));
        }
        page.push_str(&table(style, 0, &newest.iter().map(|run| row(run)).collect::<Vec<_>>()));
        data.extend(newest.iter().map(|run| to_json(deployment, run)));
    }
    if data.is_empty() {
        page.push_str("nothing has run yet\n");
    }
    session.screen.answer("runs", &format!("{} runs", data.len()), &page, &data)?;
    Ok(Exit::Done)
}

/// `3  2026-11-23 17:46:10Z  12.3 s  succeeded  scale the web app to 3`.
fn row(run: &PastRun) -> Vec<Cell> {
    let (word, tone) = match run.ended {
        None => ("has not ended: `resume` goes on", Tone::Warn),
        Some((_, outcome)) => (outcome_word(outcome), outcome_tone(outcome)),
    };
    let took = run.ended.map(|(ended, _)| time::duration(time::between(run.started, ended)));
    vec![
        cell(Tone::Strong, run.id.to_string()),
        cell(Tone::Dim, time::moment(run.started)),
        cell(Tone::Plain, took.unwrap_or_default()),
        cell(tone, word),
        cell(Tone::Plain, asked(run)),
    ]
}

fn asked(run: &PastRun) -> String {
    match &run.asked {
        Some(words) => words.clone(),
        None if run.takes_down => "take it down".to_owned(),
        None => format!("revision {}, by a command or a spec", run.revision),
    }
}

fn to_json(deployment: &Deployment, run: &PastRun) -> Value {
    json!({
        "deployment": deployment,
        "run": run.id,
        "revision": run.revision,
        "plan": run.plan,
        "asked": run.asked,
        "holder": run.holder,
        "started": run.started,
        "ended": run.ended.map(|(ended, _)| ended),
        "outcome": run.ended.map(|(_, outcome)| outcome),
        "seconds": run.ended.map(|(ended, _)| time::between(run.started, ended).as_secs_f64()),
        "steps": run.steps.len(),
    })
}

/// Shows what was recorded of a run as it was shown when it ran.
///
/// # Errors
/// `front::which-deployment`, `front::no-such-run`, and those of the store.
pub async fn replay(session: &Session, which: Which) -> Result<Exit> {
    let deployment = session.the_one().await?;
    let runs = session.engine.runs(&deployment).await?;
    let found = match which {
        Which::Latest => runs.last(),
        Which::Number(number) => runs.iter().find(|run| run.id.0 == number),
    };
    let Some(run) = found else { return Err(no_such_run(session, &deployment, which, &runs)) };
    let style = &session.screen.style;
    session
        .screen
        .detail(&style.paint(Tone::Strong, format!("{deployment}, run {}: {}\n", run.id, asked(run))));
    let (mut board, mut names) = (Board::default(), Names::default());
    let mut page = String::new();
    for (_, event) in session.engine.events(&deployment).await? {
        // Steps are named by the plans that come before them.
        let told = board.take(&event, time::between(run.started, event.at));
        let line = Line::event(&mut names, &event)?;
        if event.body.run() != Some(run.id) {
            continue;
        }
        if let Some(told) = told {
            let at = time::between(run.started, event.at);
            page.push_str(&progress::line(style, at, &told.message, told.tone));
        }
        if session.screen.wants_json() {
            session.screen.line(line);
        }
    }
    session.screen.long_page(&page);
    Ok(Exit::Done)
}

fn no_such_run(session: &Session, deployment: &Deployment, which: Which, runs: &[PastRun]) -> Error {
    let what = match which {
        Which::Latest => format!("find a run of {deployment}"),
        Which::Number(number) => format!("find run {number} of {deployment}"),
    };
    let error = Error::new(ErrorKind::NotFound, "front::no-such-run", what)
        .help(format!("`{}` lists the runs", session.called.command("runs")));
    match runs {
        [] => error,
        [first, .., last] => error.with("runs", format!("{} to {}", first.id, last.id)),
        [one] => error.with("runs", one.id.to_string()),
    }
}
