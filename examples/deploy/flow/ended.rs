//! The end of a run: why it failed, with the log that says so; how each step went; what comes next.

use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;

use code_core::engine::Finished;
use code_core::event::Outcome;
use code_core::plan::Plan;
use code_core::status::State;
use code_core::{Error, ErrorKind, Result, RunId};
use code_monitor::Results;
use serde_json::json;

use crate::exit::Exit;
use crate::flow::propose::line;
use crate::json::{self, Line};
use crate::render::{error, history, summary};
use crate::session::Session;
use crate::style::{Tone, paragraph, printable};

/// How many lines of a failed step's log are shown.
const TAIL: usize = 20;

/// Tells how a run ended, and how the program does.
///
/// # Errors
/// `front::report-write` where the file of `--report-file` cannot be written.
pub fn tell(session: &Session, finished: &Finished, took: Duration) -> Result<Exit> {
    let exit = session.limit.exit(Exit::from(finished.outcome));
    if let Some(failure) = &finished.error {
        session.screen.note(&error::error(&session.screen.notes, session.called.program(), failure));
        session.screen.note(&log_tail(session, failure));
        session.screen.line(Line::error(session.host.now(), failure, exit));
    }
    let Some(run) = &finished.state.run else { return Ok(exit) };
    let results = Results::of(run);
    let commands =
        summary::Commands { next: &|rest| session.called.command(rest), again: session.called.again() };
    let style = &session.screen.style;
    let (outcome, state) = (finished.outcome, &finished.state);
    session.screen.page(&summary::summary(style, &results, outcome, &run.plan, state, took, &commands));
    owed(session, state);
    let endpoints: std::collections::BTreeMap<_, _> =
        summary::endpoints(&finished.state).into_iter().collect();
    let data = json!({
        "deployment": run.plan.deployment,
        "revision": run.plan.revision,
        "run": finished.run,
        "outcome": finished.outcome,
        "endpoints": endpoints,
        "steps": results.steps,
        "seconds": took.as_secs_f64(),
        "exit": exit.code(),
    });
    let word = history::outcome_word(finished.outcome);
    line(session, "finished", &format!("run {} {word}", finished.run), &data)?;
    report(session, results)?;
    Ok(exit)
}

/// Says which export is owed, and why.
pub fn owed(session: &Session, state: &State) {
    if let Some((revision, Some(error))) = state.owed().next() {
        let again = session.called.command("push");
        let text = format!("the export of revision {revision} is owed: failed to {error}; again: {again}");
        session.screen.note(&paragraph(&session.screen.notes, 0, Tone::Warn, &text));
    }
}

/// A run that was not needed is in the report too, as one without steps.
///
/// # Errors
/// `front::report-write`.
pub fn nothing_to_do(session: &Session, plan: &Plan) -> Result<()> {
    report(
        session,
        Results {
            deployment: plan.deployment.clone(),
            revision: plan.revision,
            run: RunId(0),
            outcome: Some(Outcome::Succeeded),
            seconds: 0.0,
            steps: Vec::new(),
        },
    )
}

/// Writes the file of `--report-file`: all runs of this command, as its extension says.
fn report(session: &Session, results: Results) -> Result<()> {
    let mut all = session.ended.lock().unwrap_or_else(PoisonError::into_inner);
    all.push(results);
    let Some(path) = &session.options.report_file else { return Ok(()) };
    if session.screen.dry_run {
        return Ok(());
    }
    let csv = path.extension().is_some_and(|extension| extension == "csv");
    let text = if csv { Results::csv(&all) } else { format!("{:#}\n", json::to_value(&*all)?) };
    std::fs::write(path, text).map_err(|error| {
        Error::new(ErrorKind::Failed, "front::report-write", "write the report")
            .help("name a file in a directory that you may write: `--report-file FILE`")
            .with("path", path.display().to_string())
            .because(error)
    })
}

/// The end of the log that the error names, where the error does not hold it already.
fn log_tail(session: &Session, failure: &Error) -> String {
    let named = |wanted: &str| failure.context().find(|(name, _)| *name == wanted).map(|(_, value)| value);
    let (Some(path), None) = (named("log"), named("last lines")) else { return String::new() };
    let Ok(bytes) = std::fs::read(Path::new(path)) else { return String::new() };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let tail = &lines[lines.len().saturating_sub(TAIL)..];
    if tail.is_empty() {
        return paragraph(&session.screen.notes, 0, Tone::Dim, &format!("nothing was written to {path}"));
    }
    let head = format!("last {} lines of {path}:", tail.len());
    let mut page = paragraph(&session.screen.notes, 0, Tone::Dim, &head);
    for line in tail {
        page.push_str(&format!("  {}\n", printable(line)));
    }
    page
}
