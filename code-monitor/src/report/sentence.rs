//! An event in one sentence.

use code_core::event::{Body, Decision, Outcome};
use code_core::plan::Plan;
use code_core::{Error, StepId};

use super::html::duration;

/// What happened, as a person reads it in a list; `plan` gives steps their addresses.
///
/// ```
/// use code_core::event::{Body, Decision, Outcome};
/// let body = Body::RunEnded { run: code_core::RunId(3), outcome: Outcome::RolledBack };
/// assert_eq!(code_monitor::report::sentence(&body, None), "run 3 ended: rolled back");
/// ```
pub fn sentence(body: &Body, plan: Option<&Plan>) -> String {
    let name = |step: StepId, undo: bool| {
        let address = plan.and_then(|plan| plan.step(step)).map(|step| step.address().to_string());
        let address = address.unwrap_or_else(|| format!("step {step}"));
        if undo { format!("{address}: undo") } else { address }
    };
    match body {
        Body::Requested { request } => format!("{} asked: \"{}\"", request.who, request.text),
        Body::Understood { parser, parsed, .. } => {
            let actions: Vec<_> = parsed.intents.iter().map(|intent| intent.action.as_str()).collect();
            let actions = if actions.is_empty() { "nothing to do".to_owned() } else { actions.join(", ") };
            format!("{parser} understood: {actions}{}", count(", ", parsed.notes.len(), "note"))
        }
        Body::Judged { reports, accepted } => {
            let scanners: Vec<_> = reports.iter().map(|report| report.scanner.as_str()).collect();
            let accepted = count(", ", accepted.len(), "accepted unknown");
            format!("judged by {}{accepted}", scanners.join(", "))
        }
        Body::Planned { plan } => {
            let steps = match plan.steps.len() {
                1 => "1 step".to_owned(),
                n => format!("{n} steps"),
            };
            format!("planned revision {}: {steps}, plan {}", plan.revision, plan.id.short())
        }
        Body::Approved { approval } => format!("{} approved plan {}", approval.by, approval.plan.short()),
        Body::RunStarted { run, holder, .. } => format!("run {run} began, held by {holder}"),
        Body::RunResumed { run, holder } => format!("run {run} goes on, held by {holder}"),
        Body::StepStarted { step, undo, attempt: 1, .. } => format!("{} began", name(*step, *undo)),
        Body::StepStarted { step, undo, attempt, .. } => {
            format!("{} began, attempt {attempt}", name(*step, *undo))
        }
        Body::StepRetries { step, undo, attempt, after_ms, error, .. } => format!(
            "{}: attempt {attempt} {}; the next in {}",
            name(*step, *undo),
            failed(error),
            duration(i64::try_from(*after_ms).unwrap_or(i64::MAX)),
        ),
        Body::StepDone { step, undo, live, .. } => match (undo, live) {
            (true, _) => format!("{} is done", name(*step, *undo)),
            (false, Some(live)) => format!("{} is there ({})", name(*step, false), live.id),
            (false, None) => format!("{} is gone", name(*step, false)),
        },
        Body::StepFailed { step, undo, error, .. } => format!("{} {}", name(*step, *undo), failed(error)),
        Body::StepSkipped { step, why, .. } => format!("{} was skipped: {why}", name(*step, false)),
        Body::BreakerOpened { provider, cool_down_ms, .. } => format!(
            "{provider} failed too often and is left alone for {}",
            duration(i64::try_from(*cool_down_ms).unwrap_or(i64::MAX))
        ),
        Body::BreakerClosed { provider, .. } => format!("{provider} answers again"),
        Body::RunPaused { run, why, .. } => format!("run {run} waits for a decision: it failed to {why}"),
        Body::Decided { by, decision, .. } => match decision {
            Decision::Retry => format!("{by} decided to try again what failed"),
            Decision::Skip { step } => format!("{by} decided to leave out {}", name(*step, false)),
            Decision::RollBack => format!("{by} decided to take back what was done"),
            Decision::Abort => format!("{by} decided to end the run as it is"),
        },
        Body::UndoStarted { why, .. } => format!("what was done is taken back: {why}"),
        Body::RunEnded { run, outcome } => format!("run {run} ended: {}", word(*outcome)),
        Body::StepProgress { step, message, .. } => format!("{}: {message}", name(*step, false)),
        // Events of a newer kind are told by the name that they have in the journal.
        other => serde_json::to_value(other)
            .ok()
            .and_then(|value| Some(value.get("event")?.as_str()?.replace('_', " ")))
            .unwrap_or_default(),
    }
}

/// The words for an outcome.
pub(super) fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::RolledBack => "rolled back",
        Outcome::Failed => "failed",
        Outcome::Cancelled => "cancelled",
        Outcome::Incomplete => "incomplete",
        Outcome::Superseded => "superseded by a run of an edited spec",
        Outcome::Paused => "waiting for a decision",
    }
}

fn failed(error: &Error) -> String {
    format!("failed to {} [{}]", error.message(), error.code())
}

fn count(before: &str, n: usize, what: &str) -> String {
    match n {
        0 => String::new(),
        1 => format!("{before}1 {what}"),
        _ => format!("{before}{n} {what}s"),
    }
}
