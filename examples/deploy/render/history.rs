//! What happened, one line an event: when, what, who.

use std::collections::BTreeMap;

use code_core::event::{Body, Decision, Event, OnFailure, Outcome};
use code_core::plan::Plan;
use code_core::store::Seq;
use code_core::{Address, Digest, StepId};
use jiff::Timestamp;

use crate::render::time;
use crate::style::{Cell, Style, Tone, cell, table};

/// The last `limit` of these lines.
pub fn page(style: &Style, lines: &[Line], limit: usize) -> String {
    let rows: Vec<Vec<Cell>> = lines[lines.len().saturating_sub(limit)..]
        .iter()
        .map(|line| {
            let seq = line.seq.map_or_else(|| "-".to_owned(), |seq| seq.to_string());
            vec![cell(Tone::Dim, seq), cell(Tone::Dim, &line.at), cell(line.tone, &line.message)]
        })
        .collect();
    if rows.is_empty() { "nothing has happened yet\n".to_owned() } else { table(style, 0, &rows) }
}

/// One event as a person reads it.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its place in the journal; `None`: the keeper saw it.
    pub seq: Option<Seq>,
    /// When, to the second.
    pub at: String,
    /// What.
    pub message: String,
    /// How it went.
    pub tone: Tone,
}

/// Events as a person reads them. Steps are named by their address, which the plans before them tell.
pub fn lines(events: &[(Seq, Event)]) -> Vec<Line> {
    let mut names = Names::default();
    events
        .iter()
        .map(|(seq, event)| {
            let (message, tone) = names.tell(&event.body);
            Line { seq: Some(*seq), at: time::moment(event.at), message, tone }
        })
        .collect()
}

/// What two told, in the order of time; each keeps its own order, whatever a clock was set to meanwhile.
pub fn merged(one: Vec<(Timestamp, Line)>, other: Vec<(Timestamp, Line)>) -> Vec<Line> {
    let (mut one, mut other) = (one.into_iter().peekable(), other.into_iter().peekable());
    let next = || match (one.peek(), other.peek()) {
        (Some((first, _)), Some((second, _))) if second < first => other.next(),
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    };
    std::iter::from_fn(next).map(|(_, line)| line).collect()
}

/// The addresses of the steps of the plan that runs, learnt from the events themselves.
#[derive(Clone, Debug, Default)]
pub struct Names {
    plans: BTreeMap<Digest, Vec<(Address, String)>>,
    running: Option<Digest>,
}

impl Names {
    /// Names that know this plan already.
    pub fn of(plan: &Plan) -> Names {
        let mut names = Names::default();
        names.learn(plan);
        names.running = Some(plan.id);
        names
    }

    fn learn(&mut self, plan: &Plan) {
        let steps = plan
            .steps
            .iter()
            .map(|step| {
                (step.address().clone(), format!("{} {}", step.change.action, step.change.resource.kind))
            })
            .collect();
        self.plans.insert(plan.id, steps);
    }

    /// The address of a step of the plan that runs.
    pub fn step(&self, step: StepId) -> String {
        self.known(step).map_or_else(|| format!("step {step}"), |(address, _)| address.to_string())
    }

    fn known(&self, step: StepId) -> Option<&(Address, String)> {
        self.plans.get(self.running.as_ref()?)?.get(step.index())
    }

    fn what(&self, step: StepId, undo: bool) -> String {
        match self.known(step) {
            Some((_, what)) if undo => format!("take back: {what}"),
            Some((_, what)) => what.clone(),
            None if undo => "take back".to_owned(),
            None => "a step".to_owned(),
        }
    }

    /// An event as a sentence; it learns the plans on the way.
    pub fn tell(&mut self, body: &Body) -> (String, Tone) {
        match body {
            Body::Requested { request } => (format!("{} asked: {}", request.who, request.text), Tone::Strong),
            Body::Understood { parser, parsed, .. } => {
                let actions: Vec<&str> = parsed.intents.iter().map(|intent| intent.action.as_str()).collect();
                (format!("{parser} understood: {}", actions.join(", then ")), Tone::Plain)
            }
            Body::Judged { reports, accepted } => {
                let findings = reports.iter().map(|report| report.findings.len()).sum::<usize>();
                let accepted = match accepted.len() {
                    0 => String::new(),
                    _ => format!("; accepted by hand: {}", accepted.join(", ")),
                };
                (format!("judged: {findings} findings of {} scanners{accepted}", reports.len()), Tone::Plain)
            }
            Body::Planned { plan } => {
                self.learn(plan);
                let steps = plan.steps.len();
                let place = plan.follows.map(|run| format!(" in the place of run {run}")).unwrap_or_default();
                let text =
                    format!("planned revision {}{place}: {steps} steps, plan {}", plan.revision, plan.id);
                (text, Tone::Plain)
            }
            Body::Approved { approval } => {
                let how = format!("{:?}", approval.how).to_lowercase();
                (format!("{} approved plan {} ({how})", approval.by, approval.plan.short()), Tone::Plain)
            }
            Body::RunStarted { run, plan, holder, on_failure } => {
                self.running = Some(*plan);
                let policy = match on_failure {
                    OnFailure::RollBack => "",
                    OnFailure::Pause => ", to pause at a failure",
                    OnFailure::Stop => ", to stop at a failure",
                };
                (format!("run {run} of plan {} started by {holder}{policy}", plan.short()), Tone::Strong)
            }
            Body::RunResumed { run, holder } => (format!("run {run} goes on, by {holder}"), Tone::Strong),
            Body::StepStarted { step, undo, attempt, .. } => {
                let again = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
                (format!("{} started: {}{again}", self.step(*step), self.what(*step, *undo)), Tone::Plain)
            }
            Body::StepRetries { step, attempt, after_ms, error, .. } => (
                format!(
                    "{} failed to {error} (attempt {attempt}); again in {:.1} s",
                    self.step(*step),
                    *after_ms as f64 / 1000.0
                ),
                Tone::Warn,
            ),
            Body::StepDone { step, undo, .. } => {
                (format!("{} done: {}", self.step(*step), self.what(*step, *undo)), Tone::Good)
            }
            Body::StepFailed { step, error, .. } => {
                (format!("{} failed to {error} [{}]", self.step(*step), error.code()), Tone::Bad)
            }
            Body::StepSkipped { step, why, .. } => {
                (format!("{} skipped: {why}", self.step(*step)), Tone::Dim)
            }
            Body::BreakerOpened { provider, cool_down_ms, .. } => {
                let seconds = *cool_down_ms as f64 / 1000.0;
                let text = format!("{provider} failed too often, and is left alone for {seconds:.0} s");
                (text, Tone::Warn)
            }
            Body::BreakerClosed { provider, .. } => (format!("{provider} answers again"), Tone::Good),
            Body::RunPaused { run, why, .. } => {
                (format!("run {run} waits for a decision: it failed to {why}"), Tone::Warn)
            }
            Body::Decided { run, by, decision } => {
                let what = match decision {
                    Decision::Retry => "to try again what failed".to_owned(),
                    Decision::Skip { step } => format!("to leave out {}", self.step(*step)),
                    Decision::RollBack => "to take back what was done".to_owned(),
                    Decision::Abort => "to end it as it is".to_owned(),
                };
                (format!("{by} decided about run {run}: {what}"), Tone::Strong)
            }
            Body::UndoStarted { run, why } => {
                (format!("run {run} takes back what it did: {why}"), Tone::Warn)
            }
            Body::RunEnded { run, outcome } => {
                (format!("run {run} {}", outcome_word(*outcome)), outcome_tone(*outcome))
            }
            Body::JournalRepaired { by, lost, doubts } => {
                let may: Vec<&str> = doubts.iter().map(|doubt| doubt.address.as_str()).collect();
                let may =
                    if may.is_empty() { String::new() } else { format!(": look at {}", may.join(", ")) };
                (
                    format!("{by} repaired the journal; at least {lost} events after this are lost{may}"),
                    Tone::Warn,
                )
            }
            Body::SpecRead { commit } => (
                format!("read {} of commit {} in {}", commit.path, commit.short(), commit.place),
                Tone::Plain,
            ),
            Body::Exported { revision, commit } => (
                format!("exported revision {revision} as commit {} to {}", commit.short(), commit.place),
                Tone::Good,
            ),
            Body::ExportOwed { revision, error } => {
                (format!("owes the export of revision {revision}: failed to {error}"), Tone::Warn)
            }
            Body::StepProgress { step, message, .. } => {
                (format!("{}: {message}", self.step(*step)), Tone::Dim)
            }
            other => (serde_json::to_string(other).unwrap_or_default(), Tone::Plain),
        }
    }
}

/// The tone of how a run ended.
pub fn outcome_tone(outcome: Outcome) -> Tone {
    match outcome {
        Outcome::Succeeded => Tone::Good,
        Outcome::Cancelled | Outcome::Incomplete | Outcome::Superseded | Outcome::Paused => Tone::Warn,
        Outcome::RolledBack | Outcome::Failed => Tone::Bad,
    }
}

/// The word for how a run ended.
pub fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::RolledBack => "failed and was taken back",
        Outcome::Failed => "failed and was not taken back",
        Outcome::Cancelled => "was stopped",
        Outcome::Incomplete => "is incomplete: a step was left out",
        Outcome::Superseded => "failed, and was gone on from with an edited spec",
        Outcome::Paused => "waits for a decision",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;
    use crate::style::tests::{NARROW, WIDE};

    #[test]
    fn a_run_is_told() {
        let events = samples::events();
        insta::assert_snapshot!(page(&WIDE, &lines(&events), 100));
        insta::assert_snapshot!(page(&NARROW, &lines(&events), 3));
        assert_eq!(page(&WIDE, &[], 5), "nothing has happened yet\n");
    }

    #[test]
    fn what_two_told_is_in_order_whatever_the_clock_did() {
        let line = |text: &str| {
            let (hour, message) = text.split_once(' ').unwrap();
            let at = format!("2026-11-23T{hour}:00:00Z").parse().unwrap();
            (at, Line { seq: None, at: String::new(), message: message.to_owned(), tone: Tone::Plain })
        };
        let check = |one: &[&str], other: &[&str], expect: &[&str]| {
            let told = |all: &[&str]| all.iter().map(|text| line(text)).collect();
            let merged: Vec<_> =
                merged(told(one), told(other)).into_iter().map(|line| line.message).collect();
            assert_eq!(merged, expect);
        };
        check(&["01 a", "03 c"], &["02 b", "04 d"], &["a", "b", "c", "d"]);
        check(&["05 a", "02 b", "03 c"], &["04 x", "06 y"], &["x", "a", "b", "c", "y"]);
        check(&[], &["09 x", "01 y"], &["x", "y"]);
    }
}
