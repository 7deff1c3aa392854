//! A run and its steps as `tracing` spans, for whatever subscriber the program has installed.
//!
//! ```text
//! run{run=3 plan=0e5ad1b31ecc deployment=shop/staging outcome=rolled_back}
//! ├─ step{address=db/server action=create attempt=1}
//! ├─ step{address=web/process.r1.0 action=create attempt=1}   WARN failed to …, tried again
//! └─ step{address=db/server action=create undo=true attempt=1}
//! ```
//!
//! One span a call of a provider, as a child of its run's. The library installs no subscriber: without one, a
//! span costs next to nothing.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use code_core::event::{Body, Event, Sink};
use code_core::plan::Plan;
use code_core::{Deployment, Error, RunId, StepId};
use tracing::field::Empty;
use tracing::{Span, debug, error, info, warn};

/// Turns the events of runs into `tracing` spans and events.
#[derive(Default)]
pub struct Spans(Mutex<HashMap<Option<Deployment>, Open>>);

/// What has begun in a deployment and not ended: each has a run 1.
#[derive(Default)]
struct Open {
    /// The last plan that was told: the one that the next run is of.
    plan: Option<Box<Plan>>,
    runs: HashMap<RunId, Span>,
    steps: HashMap<(RunId, StepId, bool), Span>,
}

impl Spans {
    /// No run is open.
    pub fn new() -> Spans {
        Spans::default()
    }

    fn take(&self, of: Option<Deployment>, event: &Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(of).or_default().take(&event.body);
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spans")
    }
}

impl Sink for Spans {
    fn offer(&self, event: &Event) {
        self.take(None, event);
    }

    fn offer_of(&self, deployment: &Deployment, event: &Event) {
        self.take(Some(deployment.clone()), event);
    }
}

impl Open {
    fn take(&mut self, body: &Body) {
        match body {
            Body::Planned { plan } => self.plan = Some(plan.clone()),
            Body::RunStarted { run, holder, .. } => self.begin(*run, holder, false),
            Body::RunResumed { run, holder } => self.begin(*run, holder, true),
            Body::StepStarted { run, step, undo, attempt, .. } => {
                let span = self.step(*run, *step, *undo, *attempt);
                self.steps.insert((*run, *step, *undo), span);
            }
            Body::StepProgress { run, step, message } => {
                // An undo says how far it is under the same step: it is the later of the two.
                let span = [true, false].iter().find_map(|undo| self.steps.get(&(*run, *step, *undo)));
                let span = span.or_else(|| self.runs.get(run));
                debug!(parent: span.and_then(Span::id), "{message}");
            }
            Body::StepRetries { run, step, undo, after_ms, error, .. } => {
                let span = self.steps.remove(&(*run, *step, *undo)).unwrap_or_else(Span::none);
                fail(&span, error);
                warn!(parent: span.id(), after_ms, "failed to {error}, and it is tried again");
            }
            Body::StepDone { run, step, undo, .. } => {
                drop(self.steps.remove(&(*run, *step, *undo)));
            }
            Body::StepFailed { run, step, undo, error, .. } => {
                let span = self.steps.remove(&(*run, *step, *undo)).unwrap_or_else(Span::none);
                fail(&span, error);
                error!(parent: span.id(), help = error.help_text(), "failed to {error}");
            }
            Body::StepSkipped { run, step, why } => {
                let parent = self.runs.get(run).and_then(Span::id);
                info!(parent: parent, step = step.0, why, "step skipped");
            }
            Body::UndoStarted { run, why } => {
                warn!(parent: self.runs.get(run).and_then(Span::id), why, "what was done is taken back");
            }
            Body::RunEnded { run, outcome } => {
                self.steps.retain(|(of, _, _), _| of != run);
                if let Some(span) = self.runs.remove(run) {
                    span.record("outcome", crate::metrics::word(*outcome));
                }
            }
            _ => {}
        }
    }

    fn begin(&mut self, run: RunId, holder: &str, resumed: bool) {
        let span = tracing::info_span!(
            parent: None,
            "run",
            run = run.0,
            holder,
            resumed,
            plan = Empty,
            deployment = Empty,
            revision = Empty,
            outcome = Empty
        );
        if let Some(plan) = &self.plan {
            span.record("plan", plan.id.short());
            span.record("deployment", plan.deployment.to_string());
            span.record("revision", plan.revision);
        }
        self.runs.insert(run, span);
    }

    fn step(&self, run: RunId, step: StepId, undo: bool, attempt: u32) -> Span {
        let parent = self.runs.get(&run).and_then(Span::id);
        let span = tracing::info_span!(
            parent: parent,
            "step",
            step = step.0,
            attempt,
            undo,
            address = Empty,
            action = Empty,
            kind = Empty,
            error.code = Empty
        );
        if let Some(step) = self.plan.as_ref().and_then(|plan| plan.step(step)) {
            span.record("address", step.address().as_str());
            span.record("action", step.change.action.as_str());
            span.record("kind", step.change.resource.kind.as_str());
        }
        span
    }
}

fn fail(span: &Span, error: &Error) {
    span.record("error.code", error.code());
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Metadata, Subscriber};

    use super::*;
    use crate::tests;

    /// Writes down what it is told, a line each.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<(Vec<String>, u64)>>);

    struct Fields(String);

    impl Visit for Fields {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            self.0.push_str(&format!(" {field}={value:?}"));
        }
    }

    fn fields(record: impl FnOnce(&mut Fields)) -> String {
        let mut fields = Fields(String::new());
        record(&mut fields);
        fields.0
    }

    impl Lines {
        fn push(&self, line: String) {
            self.0.lock().unwrap().0.push(line);
        }
    }

    impl Subscriber for Lines {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target().starts_with("code_monitor")
        }
        fn new_span(&self, span: &Attributes<'_>) -> Id {
            let id = {
                let mut inner = self.0.lock().unwrap();
                inner.1 += 1;
                inner.1
            };
            let parent = span.parent().map_or("-".to_owned(), |id| id.into_u64().to_string());
            self.push(format!("{id} in {parent}: {}{}", span.metadata().name(), fields(|f| span.record(f))));
            Id::from_u64(id)
        }
        fn record(&self, id: &Id, values: &Record<'_>) {
            self.push(format!("{}:{}", id.into_u64(), fields(|f| values.record(f))));
        }
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            let parent = event.parent().map_or("-".to_owned(), |id| id.into_u64().to_string());
            self.push(format!("{} in {parent}:{}", event.metadata().level(), fields(|f| event.record(f))));
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
        fn try_close(&self, id: Id) -> bool {
            self.push(format!("{} ends", id.into_u64()));
            true
        }
    }

    #[test]
    fn a_run_is_a_span_and_each_call_one_in_it() {
        let lines = Lines::default();
        tracing::subscriber::with_default(lines.clone(), || {
            let spans = Spans::new();
            tests::rolled_back().iter().for_each(|event| spans.offer(event));
        });
        let lines = lines.0.lock().unwrap().0.join("\n");
        // The digest of a plan changes with every new field of a noun.
        insta::assert_snapshot!(lines.replace(&tests::plan_id().short(), "PLAN"));
    }

    #[test]
    fn without_a_subscriber_nothing_happens() {
        let spans = Spans::new();
        tests::rolled_back().iter().for_each(|event| spans.offer(event));
        let inner = spans.0.lock().unwrap();
        assert!(inner.values().all(|open| open.runs.is_empty() && open.steps.is_empty()));
    }

    #[test]
    fn spans_of_two_deployments_are_kept_apart() {
        let lines = Lines::default();
        tracing::subscriber::with_default(lines.clone(), || {
            let spans = Spans::new();
            let deployments = ["shop/staging", "shop/production"].map(|name| name.parse().unwrap());
            for event in &tests::rolled_back() {
                deployments.iter().for_each(|deployment| spans.offer_of(deployment, event));
            }
        });
        let lines = &lines.0.lock().unwrap().0;
        let ended = |one: &&String| one.contains("outcome=");
        assert_eq!(lines.iter().filter(ended).count(), 2, "each run ends once");
        let runs = lines.iter().filter(|line| line.contains(" in -: run "));
        let ids: Vec<_> = runs.map(|line| line.split(' ').next().unwrap()).collect();
        let steps = |id: &str| lines.iter().filter(|l| l.contains(&format!(" in {id}: step "))).count();
        assert_eq!(ids.iter().map(|id| steps(id)).collect::<Vec<_>>(), [7, 7], "each has its own steps");
    }
}
