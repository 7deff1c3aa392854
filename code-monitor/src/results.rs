//! How each step of a run ended, as rows for programs: JSON by serde, or CSV.
//!
//! ```text
//! Run (a fold of the journal) ─▶ Results ─▶ JSON, CSV, the summary at the end of a run
//! ```
//!
//! The words are those of run reports elsewhere (Terragrunt's): a *result*, its *reason* where it is not a
//! success, and the *cause*. A step that was not begun because another failed has the reason `early exit`, and
//! its cause is the step that failed.

use code_core::event::Outcome;
use code_core::provider::Action;
use code_core::status::{Phase, Run, StepRecord};
use code_core::{Address, Deployment, RunId};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

/// The reason of a step that was not begun because another one failed.
pub const EARLY_EXIT: &str = "early exit";

/// How a run went, step by step.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Results {
    /// What was changed.
    pub deployment: Deployment,
    /// The revision that it made or tried to make.
    pub revision: u64,
    /// The run.
    pub run: RunId,
    /// How it ended; `None`: it has not.
    pub outcome: Option<Outcome>,
    /// How long it took, in seconds; 0 where it has not ended.
    #[serde(serialize_with = "rounded")]
    pub seconds: f64,
    /// Each step, in the order of the plan.
    pub steps: Vec<StepResult>,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct StepResult {
    /// What it changes.
    pub address: Address,
    /// What is done to it.
    pub action: Action,
    /// The kind of thing.
    pub kind: String,
    /// How it ended.
    pub result: Ended,
    /// Why it is no success: an error's code, [`EARLY_EXIT`], or `stopped`.
    pub reason: Option<String>,
    /// What was behind that: the sentence of the error, or the address of the step that failed.
    pub cause: Option<String>,
    /// From the beginning of the first attempt to the end of the last, in seconds; 0 where it was not begun.
    #[serde(serialize_with = "rounded")]
    pub seconds: f64,
    /// How many attempts were begun.
    pub attempts: u32,
}

/// How a step ended, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It is done.
    Succeeded,
    /// It failed.
    Failed,
    /// It was done, and taken back because another failed.
    TakenBack,
    /// It was not begun.
    Skipped,
    /// It has begun or waits: the run has not ended.
    Open,
}

impl Ended {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Ended::Succeeded => "succeeded",
            Ended::Failed => "failed",
            Ended::TakenBack => "taken_back",
            Ended::Skipped => "skipped",
            Ended::Open => "open",
        }
    }
}

impl Results {
    /// How this run went.
    pub fn of(run: &Run) -> Results {
        let seconds = run.ended.map_or(0.0, |(ended, _)| ended.duration_since(run.started).as_secs_f64());
        Results {
            deployment: run.plan.deployment.clone(),
            revision: run.plan.revision,
            run: run.id,
            outcome: run.ended.map(|(_, outcome)| outcome),
            seconds: seconds.max(0.0),
            steps: (0..run.plan.steps.len().min(run.steps.len())).map(|i| step(run, i)).collect(),
        }
    }

    /// How many steps ended so.
    pub fn count(&self, ended: Ended) -> usize {
        self.steps.iter().filter(|step| step.result == ended).count()
    }

    /// The steps that were begun, the longest first.
    pub fn longest_first(&self) -> Vec<&StepResult> {
        let mut begun: Vec<&StepResult> = self.steps.iter().filter(|step| step.attempts > 0).collect();
        begun.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        begun
    }

    /// The steps of these runs as CSV (RFC 4180), with a line of names first.
    pub fn csv(runs: &[Results]) -> String {
        let mut text =
            String::from("deployment,run,address,action,kind,result,reason,cause,seconds,attempts\r\n");
        for (run, step) in runs.iter().flat_map(|run| run.steps.iter().map(move |step| (run, step))) {
            let fields = [
                run.deployment.to_string(),
                run.run.to_string(),
                step.address.to_string(),
                step.action.to_string(),
                step.kind.clone(),
                step.result.as_str().to_owned(),
                step.reason.clone().unwrap_or_default(),
                step.cause.clone().unwrap_or_default(),
                format!("{:.3}", step.seconds),
                step.attempts.to_string(),
            ];
            text.push_str(&fields.map(|field| quoted(&field)).join(","));
            text.push_str("\r\n");
        }
        text
    }
}

fn step(run: &Run, i: usize) -> StepResult {
    let planned = &run.plan.steps[i];
    let record = &run.steps[i];
    let undo = run.undo.get(i);
    let undone = undo.is_some_and(|undo| undo.phase == Phase::Done);
    let undo_error = undo.filter(|undo| undo.phase == Phase::Failed).and_then(|undo| undo.error.as_ref());
    let (result, reason, cause) = match (record.phase, undo_error) {
        (Phase::Done, Some(error)) => (
            Ended::Failed,
            Some(error.code().to_owned()),
            Some(format!("failed to take it back: {}", error.message())),
        ),
        (Phase::Done, None) if undone => {
            (Ended::TakenBack, Some(EARLY_EXIT.to_owned()), first_failed(run, None))
        }
        (Phase::Done, None) => (Ended::Succeeded, None, None),
        (Phase::Failed, _) => {
            let error = record.error.as_ref();
            let cause = error.map(|error| format!("failed to {}", error.message()));
            (Ended::Failed, error.map(|error| error.code().to_owned()), cause)
        }
        (Phase::Skipped, _) => match first_failed(run, Some(i)) {
            Some(parent) => (Ended::Skipped, Some(EARLY_EXIT.to_owned()), Some(parent)),
            None => (Ended::Skipped, Some("stopped".to_owned()), None),
        },
        (Phase::Waiting | Phase::Started | Phase::Retrying, _) => (Ended::Open, None, None),
    };
    StepResult {
        address: planned.address().clone(),
        action: planned.change.action,
        kind: planned.change.resource.kind.clone(),
        result,
        reason,
        cause,
        seconds: seconds(record),
        attempts: record.attempts,
    }
}

/// The failed step that `of` waited for, over any number of others; else the first that failed at all.
fn first_failed(run: &Run, of: Option<usize>) -> Option<String> {
    let failed = |i: &usize| run.steps.get(*i).is_some_and(|record| record.phase == Phase::Failed);
    let mut parents = Vec::new();
    let mut next: Vec<usize> = of.into_iter().collect();
    while let Some(i) = next.pop() {
        for need in run.plan.steps.get(i).into_iter().flat_map(|step| &step.needs) {
            if !parents.contains(&need.index()) {
                parents.push(need.index());
                next.push(need.index());
            }
        }
    }
    parents.sort_unstable();
    let found = parents.into_iter().find(failed).or_else(|| (0..run.steps.len()).find(failed))?;
    run.plan.steps.get(found).map(|step| step.address().to_string())
}

fn seconds(record: &StepRecord) -> f64 {
    match (record.started, record.ended) {
        (Some(started), Some(ended)) => ended.duration_since(started).as_secs_f64().max(0.0),
        _ => 0.0,
    }
}

/// To the millisecond: what comes after is noise.
fn rounded<S: Serializer>(seconds: &f64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64((seconds * 1000.0).round() / 1000.0)
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", field.replace('"', "\"\""));
    }
    field.to_owned()
}

#[cfg(test)]
mod tests {
    use code_core::status::State;

    use super::*;
    use crate::tests::{Journal, same};

    fn results() -> Results {
        let state = State::fold(&Journal::new(&same).rolled_back());
        Results::of(state.run.as_ref().expect("a run"))
    }

    #[test]
    fn a_run_that_failed_says_of_each_step_why() {
        insta::assert_snapshot!(Results::csv(&[results()]).replace("\r\n", "\n"));
        insta::assert_snapshot!(serde_json::to_string_pretty(&results()).unwrap());
    }

    #[test]
    fn the_longest_comes_first_and_what_was_not_begun_not_at_all() {
        let results = results();
        let longest = results.longest_first();
        assert!(longest.is_sorted_by(|a, b| a.seconds >= b.seconds) && longest[0].seconds > 0.0);
        assert!(longest.iter().all(|step| step.result != Ended::Skipped));
        let all = [Ended::Succeeded, Ended::Failed, Ended::TakenBack, Ended::Skipped, Ended::Open];
        assert_eq!(all.iter().map(|ended| results.count(*ended)).sum::<usize>(), results.steps.len());
    }

    #[test]
    fn a_field_with_a_comma_is_quoted() {
        assert_eq!(quoted("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
        assert_eq!(quoted("plain"), "plain");
    }
}
