//! Counters of runs and steps, for a program that embeds the engine and is scraped or asks itself.
//!
//! [`Metrics`] is a [`Sink`]: give a clone of it to the engine and keep one. What it counted is data
//! ([`Metrics::counts`]) or the text exposition format of Prometheus ([`Metrics::prometheus`],
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4). It opens no port: serving
//! the text is the program's business.
//!
//! An event names its run and not its deployment, and each deployment has a run 1: what an engine tells is kept
//! apart by deployment ([`Sink::offer_of`]), so that one engine may run several at the same time.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use code_core::event::{Body, Event, Outcome, Sink};
use code_core::plan::Plan;
use code_core::{Deployment, RunId, StepId};
use jiff::Timestamp;

/// Counts what happens in runs. Cheap to clone; clones share what they counted.
///
/// ```
/// use code_core::event::{Body, Event, Outcome, Sink};
/// let metrics = code_monitor::Metrics::new();
/// let body = Body::RunEnded { run: code_core::RunId(1), outcome: Outcome::Succeeded };
/// metrics.offer(&Event { at: jiff::Timestamp::UNIX_EPOCH, body });
/// assert!(metrics.prometheus().contains("code_runs_total{outcome=\"succeeded\"} 1"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Mutex<Inner>>);

/// What was counted since the [`Metrics`] was made.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Counts {
    /// Runs that began or went on, and have not ended.
    pub open: u64,
    /// Runs that ended, by outcome: `succeeded`, `rolled_back`, `failed`, `cancelled`.
    pub runs: BTreeMap<&'static str, u64>,
    /// How long runs took, from their first event to their last, in seconds.
    pub run_seconds: Histogram,
    /// Steps that ended, by action (`create` …; `unknown` where the plan was made before this program began)
    /// and by end: `done`, `failed`, `skipped`, `undone`, `undo_failed`.
    pub steps: BTreeMap<(&'static str, &'static str), u64>,
    /// How long steps took that were done, waits between attempts included, in seconds, by action.
    pub step_seconds: BTreeMap<&'static str, Histogram>,
    /// Attempts that failed and were tried again, by action.
    pub retries: BTreeMap<&'static str, u64>,
}

/// The upper bounds of the buckets of a [`Histogram`], in seconds: a local step takes less than one, a cloud's
/// database a quarter of an hour.
pub const BOUNDS: [f64; 12] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];

/// How many durations were how long.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// For each of [`BOUNDS`], how many were at most that long.
    pub at_most: [u64; BOUNDS.len()],
    /// How many there were.
    pub count: u64,
    /// How long they were together, in seconds.
    pub sum: f64,
}

impl Histogram {
    fn observe(&mut self, seconds: f64) {
        for (count, bound) in self.at_most.iter_mut().zip(BOUNDS) {
            *count += u64::from(seconds <= bound);
        }
        self.count += 1;
        self.sum += seconds;
    }
}

/// The counts, and what is needed to make them.
#[derive(Debug, Default)]
struct Inner {
    counts: Counts,
    /// What is known of each deployment's runs; `None`: whoever told the events did not say of which.
    of: HashMap<Option<Deployment>, Open>,
}

/// What has begun in a deployment and not ended.
#[derive(Debug, Default)]
struct Open {
    /// The actions of the steps of the last plan that was told.
    actions: Vec<&'static str>,
    /// When each open run began.
    runs: HashMap<RunId, Timestamp>,
    /// When each open step was first begun.
    steps: HashMap<(RunId, StepId, bool), Timestamp>,
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new() -> Metrics {
        Metrics::default()
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).counts.clone()
    }

    /// What was counted, as Prometheus reads it.
    pub fn prometheus(&self) -> String {
        let counts = self.counts();
        let mut text = Exposition::default();
        text.family("code_runs_open", "gauge", "Runs that began and have not ended.");
        text.sample("code_runs_open", "", &counts.open);
        text.family("code_runs_total", "counter", "Runs that ended, by outcome.");
        for (outcome, count) in &counts.runs {
            text.sample("code_runs_total", &format!("outcome=\"{outcome}\""), count);
        }
        text.family("code_steps_total", "counter", "Steps that ended, by action and end.");
        for ((action, end), count) in &counts.steps {
            text.sample("code_steps_total", &format!("action=\"{action}\",end=\"{end}\""), count);
        }
        text.family("code_step_retries_total", "counter", "Attempts that failed and were tried again.");
        for (action, count) in &counts.retries {
            text.sample("code_step_retries_total", &format!("action=\"{action}\""), count);
        }
        text.family("code_run_duration_seconds", "histogram", "How long runs took.");
        text.histogram("code_run_duration_seconds", "", &counts.run_seconds);
        text.family("code_step_duration_seconds", "histogram", "How long steps took that were done.");
        for (action, histogram) in &counts.step_seconds {
            text.histogram("code_step_duration_seconds", &format!("action=\"{action}\""), histogram);
        }
        text.0
    }
}

impl Sink for Metrics {
    fn offer(&self, event: &Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(None, event);
    }

    fn offer_of(&self, deployment: &Deployment, event: &Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(Some(deployment.clone()), event);
    }
}

impl Inner {
    fn take(&mut self, of: Option<Deployment>, event: &Event) {
        self.of.entry(of).or_default().count(&mut self.counts, event);
        self.counts.open = self.of.values().map(|open| open.runs.len() as u64).sum();
    }
}

impl Open {
    fn count(&mut self, counts: &mut Counts, Event { at, body }: &Event) {
        match body {
            Body::Planned { plan } => self.actions = actions(plan),
            Body::RunStarted { run, .. } | Body::RunResumed { run, .. } => {
                self.runs.insert(*run, *at);
            }
            Body::StepStarted { run, step, undo, .. } => {
                self.steps.entry((*run, *step, *undo)).or_insert(*at);
            }
            Body::StepRetries { step, .. } => {
                *counts.retries.entry(self.action(*step)).or_default() += 1;
            }
            Body::StepDone { run, step, undo, .. } => {
                let action = self.action(*step);
                if let Some(began) = self.steps.remove(&(*run, *step, *undo)).filter(|_| !undo) {
                    counts.step_seconds.entry(action).or_default().observe(seconds(began, *at));
                }
                end(counts, action, if *undo { "undone" } else { "done" });
            }
            Body::StepFailed { run, step, undo, .. } => {
                self.steps.remove(&(*run, *step, *undo));
                end(counts, self.action(*step), if *undo { "undo_failed" } else { "failed" });
            }
            Body::StepSkipped { step, .. } => end(counts, self.action(*step), "skipped"),
            Body::RunEnded { run, outcome } => {
                *counts.runs.entry(word(*outcome)).or_default() += 1;
                if let Some(began) = self.runs.remove(run) {
                    counts.run_seconds.observe(seconds(began, *at));
                }
                self.steps.retain(|(of, _, _), _| of != run);
            }
            _ => {}
        }
    }

    fn action(&self, step: StepId) -> &'static str {
        self.actions.get(step.index()).copied().unwrap_or("unknown")
    }
}

fn end(counts: &mut Counts, action: &'static str, end: &'static str) {
    *counts.steps.entry((action, end)).or_default() += 1;
}

fn actions(plan: &Plan) -> Vec<&'static str> {
    plan.steps.iter().map(|step| step.change.action.as_str()).collect()
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

/// The word for an outcome, in labels and spans.
pub(crate) fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::RolledBack => "rolled_back",
        Outcome::Failed => "failed",
        Outcome::Cancelled => "cancelled",
        Outcome::Incomplete => "incomplete",
        Outcome::Superseded => "superseded",
        Outcome::Paused => "paused",
    }
}

/// Text in the exposition format. Label values are words of this crate, so that none needs escaping.
#[derive(Default)]
struct Exposition(String);

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: &dyn std::fmt::Display) {
        let _ = match labels {
            "" => writeln!(self.0, "{name} {value}"),
            _ => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
    }

    fn histogram(&mut self, name: &str, labels: &str, histogram: &Histogram) {
        let comma = if labels.is_empty() { "" } else { "," };
        for (bound, count) in BOUNDS.iter().zip(histogram.at_most) {
            self.sample(&format!("{name}_bucket"), &format!("{labels}{comma}le=\"{bound}\""), &count);
        }
        self.sample(&format!("{name}_bucket"), &format!("{labels}{comma}le=\"+Inf\""), &histogram.count);
        self.sample(&format!("{name}_sum"), labels, &histogram.sum);
        self.sample(&format!("{name}_count"), labels, &histogram.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests;

    fn counted(events: &[Event]) -> Metrics {
        let metrics = Metrics::new();
        events.iter().for_each(|event| metrics.offer(event));
        metrics
    }

    #[test]
    fn a_run_that_was_rolled_back_is_counted() {
        let metrics = counted(&tests::rolled_back());
        let counts = metrics.counts();
        assert_eq!(counts.open, 0);
        assert_eq!(counts.runs, BTreeMap::from([("rolled_back", 1)]));
        let steps = [("done", 3), ("failed", 1), ("skipped", 1), ("undone", 2)];
        assert_eq!(counts.steps, steps.map(|(end, n)| (("create", end), n)).into());
        assert_eq!(counts.retries, BTreeMap::from([("create", 1)]));
        // 1.2 s, 2.9 s and 1.19 s; none below a second.
        let took = &counts.step_seconds["create"];
        assert_eq!((took.count, took.at_most[4], took.at_most[5]), (3, 0, 3));
        assert!((took.sum - 5.29).abs() < 1e-9, "{}", took.sum);
    }

    #[test]
    fn what_prometheus_reads() {
        insta::assert_snapshot!(counted(&tests::rolled_back()).prometheus());
    }

    #[test]
    fn a_resumed_run_of_another_program_is_counted_without_its_plan() {
        let mut events = tests::rolled_back();
        let begin = events.iter().position(|e| matches!(e.body, Body::StepRetries { .. })).unwrap();
        events[begin - 1].body = Body::RunResumed { run: RunId(1), holder: "other".into() };
        let counts = counted(&events[begin - 1..]).counts();
        assert_eq!(counts.open, 0);
        assert_eq!(counts.steps[&("unknown", "failed")], 1);
        assert_eq!(counts.run_seconds.count, 1);
    }

    #[test]
    fn an_open_run_is_open() {
        let events = tests::rolled_back();
        assert_eq!(counted(&events[..events.len() - 1]).counts().open, 1);
    }

    #[test]
    fn runs_of_the_same_number_in_two_deployments_are_kept_apart() {
        let metrics = Metrics::new();
        let deployments = ["shop/staging", "shop/production"].map(|name| name.parse().unwrap());
        let mut events = tests::rolled_back();
        let end = events.pop().unwrap();
        for event in &events {
            deployments.iter().for_each(|deployment| metrics.offer_of(deployment, event));
        }
        assert_eq!(metrics.counts().open, 2);
        let late = Event { at: end.at + jiff::SignedDuration::from_secs(5), ..end.clone() };
        metrics.offer_of(&deployments[0], &end);
        assert_eq!(metrics.counts().open, 1);
        metrics.offer_of(&deployments[1], &late);
        let (counts, one) = (metrics.counts(), counted(&tests::rolled_back()).counts());
        assert_eq!((counts.open, counts.runs["rolled_back"]), (0, 2));
        assert!((counts.run_seconds.sum - 2.0 * one.run_seconds.sum - 5.0).abs() < 1e-9);
        let (both, alone) = (&counts.step_seconds["create"], &one.step_seconds["create"]);
        assert_eq!((both.count, both.sum), (2 * alone.count, 2.0 * alone.sum));
    }
}
