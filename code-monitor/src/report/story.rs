//! What one run was, gathered from the events of its deployment.
//!
//! A journal holds many runs, and plans that were never run. What belongs to a run before its start is found
//! by the chain: its plan names the digests of its request and its spec; reports and approvals name theirs.

use code_core::checks::Approval;
use code_core::event::{Body, Event};
use code_core::parser::Parsed;
use code_core::request::Request;
use code_core::scanner::Report;
use code_core::status::{Phase, Run, State};
use code_core::store::Seq;
use code_core::{Error, ErrorKind, Result, RunId};
use jiff::Timestamp;

use super::waits::{Wait, waits};

/// Everything that the report tells of.
#[derive(Debug)]
pub(super) struct Story<'a> {
    /// The run as it stands after its last event.
    pub(super) run: Run,
    /// What was asked for.
    pub(super) request: Option<&'a Request>,
    /// Who read it, and what they read.
    pub(super) understood: Option<(&'a str, &'a Parsed)>,
    /// What was said of the spec and of the plan, before and during the run.
    pub(super) reports: Vec<&'a Report>,
    /// The unknowns that were accepted, by id.
    pub(super) accepted: Vec<&'a str>,
    /// Who said yes.
    pub(super) approval: Option<&'a Approval>,
    /// Each call of a provider, in the order in which they began.
    pub(super) attempts: Vec<Attempt>,
    /// What held it up.
    pub(super) waits: Vec<Wait>,
    /// The events of the run, and those that led to it.
    pub(super) events: Vec<&'a (Seq, Event)>,
    /// The time of the last of them.
    pub(super) last: Timestamp,
    /// For each step, whether it is on the chain that decided how long the run took.
    pub(super) critical: Vec<bool>,
}

/// One call of a provider.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Attempt {
    /// Its step, as an index.
    pub(super) step: usize,
    /// Whether it took the step back.
    pub(super) undo: bool,
    /// Counted from 1.
    pub(super) number: u32,
    /// When it began.
    pub(super) from: Timestamp,
    /// When it ended; `None`: the journal does not say.
    pub(super) to: Option<Timestamp>,
    /// How.
    pub(super) end: End,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The journal does not say: it runs, or it was cut off.
    Open,
    /// Done.
    Done,
    /// Failed, and to be tried again.
    Retried,
    /// Failed for good.
    Failed,
}

/// How a step stands, the way back included: what its shape and colour say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    Done,
    Started,
    Retrying,
    Waiting,
    InDoubt,
    Undone,
    Skipped,
    Failed,
    Stuck,
}

impl Mark {
    /// All, in the order in which a legend lists them.
    pub(super) const ALL: [Mark; 9] = [
        Mark::Done,
        Mark::Started,
        Mark::Retrying,
        Mark::Waiting,
        Mark::Skipped,
        Mark::Undone,
        Mark::InDoubt,
        Mark::Failed,
        Mark::Stuck,
    ];

    /// The word for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Mark::Done => "done",
            Mark::Started => "started",
            Mark::Retrying => "waiting for the next attempt",
            Mark::Waiting => "not begun",
            Mark::InDoubt => "in doubt: no end was recorded",
            Mark::Undone => "taken back",
            Mark::Skipped => "skipped",
            Mark::Failed => "failed",
            Mark::Stuck => "could not be taken back",
        }
    }

    /// Its name in classes and symbols of the page.
    pub(super) fn class(self) -> &'static str {
        match self {
            Mark::Done => "done",
            Mark::Started => "started",
            Mark::Retrying => "retrying",
            Mark::Waiting => "waiting",
            Mark::InDoubt => "doubt",
            Mark::Undone => "undone",
            Mark::Skipped => "skipped",
            Mark::Failed => "failed",
            Mark::Stuck => "stuck",
        }
    }
}

impl<'a> Story<'a> {
    /// The story of a run, or of the last one.
    ///
    /// # Errors
    /// `report::no-run` where there is no such run, `report::no-plan` where its plan is not in the journal.
    pub(super) fn of(events: &'a [(Seq, Event)], wanted: Option<RunId>) -> Result<Story<'a>> {
        let started = |event: &Event| match &event.body {
            Body::RunStarted { run, .. } => Some(*run),
            _ => None,
        };
        let begin = events
            .iter()
            .rposition(|(_, event)| started(event).is_some_and(|run| wanted.is_none_or(|w| w == run)))
            .ok_or_else(|| no_run(wanted))?;
        let after = &events[begin + 1..];
        let end = begin + 1 + after.iter().position(|(_, e)| started(e).is_some()).unwrap_or(after.len());

        let id = started(&events[begin].1).unwrap_or_default();
        let state = State::fold(&events[..end]);
        let run = state.run.filter(|run| run.id == id).ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, "report::no-plan", format!("find the plan of run {id}"))
                .help("the journal has the run without its plan: check it with `doctor`")
        })?;

        let mut story = Story {
            attempts: attempts(&events[begin..end]),
            waits: Vec::new(),
            request: None,
            understood: None,
            reports: Vec::new(),
            accepted: Vec::new(),
            approval: None,
            events: Vec::new(),
            last: events[begin].1.at,
            critical: Vec::new(),
            run,
        };
        for (i, entry) in events[..end].iter().enumerate() {
            if story.gather(&entry.1.body, i > begin) {
                story.last = story.last.max(entry.1.at);
                story.events.push(entry);
            }
        }
        story.waits = waits(&story.events, &story.run);
        story.critical = story.critical_path();
        Ok(story)
    }

    /// Takes what an event says of this run; false where it is about something else.
    fn gather(&mut self, body: &'a Body, during: bool) -> bool {
        let plan = &self.run.plan;
        match body {
            Body::Requested { request } => {
                let ours = plan.chain.request == Some(request.digest());
                if ours {
                    self.request = Some(request);
                }
                ours
            }
            Body::Understood { request, parser, parsed } => {
                let ours = request.is_some() && *request == plan.chain.request;
                if ours {
                    self.understood = Some((parser, parsed));
                }
                ours
            }
            Body::Judged { reports, accepted } => {
                let spec = plan.spec.as_ref().map(code_core::spec::Spec::digest);
                let ours = |r: &&Report| r.subject == plan.id || Some(r.subject) == spec;
                let ours: Vec<_> = reports.iter().filter(ours).collect();
                if ours.is_empty() {
                    return false;
                }
                for report in ours {
                    // A spec that is judged twice says the same twice.
                    if !self.reports.contains(&report) {
                        self.reports.push(report);
                    }
                }
                self.accepted.extend(accepted.iter().map(String::as_str));
                true
            }
            Body::Planned { plan: planned } => planned.id == plan.id,
            Body::Approved { approval } => {
                let ours = approval.plan == plan.id;
                if ours {
                    self.approval = Some(approval);
                }
                ours
            }
            Body::RunStarted { run, plan: of, .. } => *run == self.run.id && *of == plan.id,
            _ => during,
        }
    }

    /// When the run ended, or the time of its last event.
    pub(super) fn end(&self) -> Timestamp {
        self.run.ended.map_or(self.last, |(at, _)| at)
    }

    /// How a step stands.
    pub(super) fn mark(&self, step: usize) -> Mark {
        match self.run.undo.get(step).map_or(Phase::Waiting, |record| record.phase) {
            Phase::Done => Mark::Undone,
            Phase::Failed => Mark::Stuck,
            Phase::Started | Phase::Retrying if self.run.ended.is_some() => Mark::InDoubt,
            _ => self.forward(step),
        }
    }

    /// How a step stands, the way back left out.
    pub(super) fn forward(&self, step: usize) -> Mark {
        let over = self.run.ended.is_some();
        match self.run.steps.get(step).map_or(Phase::Waiting, |record| record.phase) {
            Phase::Done => Mark::Done,
            Phase::Failed => Mark::Failed,
            Phase::Skipped => Mark::Skipped,
            Phase::Started | Phase::Retrying if over => Mark::InDoubt,
            Phase::Started => Mark::Started,
            Phase::Retrying => Mark::Retrying,
            Phase::Waiting => Mark::Waiting,
        }
    }

    /// How long a step took on its way forward, waits between attempts included, in milliseconds.
    pub(super) fn took(&self, step: usize) -> Option<i64> {
        let record = self.run.steps.get(step)?;
        Some(millis(record.started?, record.ended.unwrap_or_else(|| self.end())))
    }

    /// The steps whose durations, one after the other, decided how long the run took.
    fn critical_path(&self) -> Vec<bool> {
        let count = self.run.plan.steps.len();
        let mut marked = vec![false; count];
        let durations: Vec<f64> = (0..count).map(|i| self.took(i).unwrap_or(0) as f64).collect();
        if durations.iter().any(|ms| *ms > 0.0)
            && let Ok(graph) = self.run.plan.graph()
        {
            for step in graph.critical_path(&durations) {
                marked[step] = durations[step] > 0.0;
            }
        }
        marked
    }
}

/// Milliseconds between two times, never less than 0: clocks are set back.
pub(super) fn millis(from: Timestamp, to: Timestamp) -> i64 {
    to.as_millisecond().saturating_sub(from.as_millisecond()).max(0)
}

fn no_run(wanted: Option<RunId>) -> Error {
    let message = match wanted {
        Some(run) => format!("find run {run} of this deployment"),
        None => "find a run of this deployment".to_owned(),
    };
    Error::new(ErrorKind::NotFound, "report::no-run", message)
        .help("`history` lists the runs that there were")
}

/// The calls of providers that these events of one run tell of.
fn attempts(events: &[(Seq, Event)]) -> Vec<Attempt> {
    let mut attempts: Vec<Attempt> = Vec::new();
    for (_, Event { at, body }) in events {
        let (step, undo, end) = match body {
            Body::StepStarted { step, undo, attempt, .. } => {
                let (step, undo, number) = (step.index(), *undo, *attempt);
                attempts.push(Attempt { step, undo, number, from: *at, to: None, end: End::Open });
                continue;
            }
            Body::StepRetries { step, undo, .. } => (step, undo, End::Retried),
            Body::StepDone { step, undo, .. } => (step, undo, End::Done),
            Body::StepFailed { step, undo, .. } => (step, undo, End::Failed),
            _ => continue,
        };
        // After a crash a step is observed again, and its end belongs to the last call that began.
        let last = attempts.iter_mut().rev().find(|a| a.step == step.index() && a.undo == *undo);
        if let Some(attempt) = last.filter(|attempt| attempt.to.is_none()) {
            attempt.to = Some(*at);
            attempt.end = end;
        }
    }
    attempts
}
