//! What happened: the only thing that is remembered. State and status are folds over events.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::checks::Approval;
use crate::parser::Parsed;
use crate::plan::Plan;
use crate::provider::{Live, Observed};
use crate::request::Request;
use crate::scanner::Report;
use crate::{Digest, Error, Key, RunId, StepId};

/// Something that happened to a deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub body: Body,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Body {
    /// Somebody asked for something.
    Requested {
        /// What they said.
        request: Request,
    },
    /// The words were understood.
    Understood {
        /// The digest of the request.
        request: Option<Digest>,
        /// The parser.
        parser: String,
        /// What it read in them.
        parsed: Parsed,
    },
    /// Scanners judged a spec or a plan.
    Judged {
        /// What they said.
        reports: Vec<Report>,
        /// The unknown findings that were accepted, by id.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        accepted: Vec<String>,
    },
    /// A plan was made (with its spec and the origins in it).
    Planned {
        /// The plan.
        plan: Box<Plan>,
    },
    /// A plan was approved.
    Approved {
        /// By whom and how.
        approval: Approval,
    },
    /// A run of a plan began.
    RunStarted {
        /// The run.
        run: RunId,
        /// The plan's id.
        plan: Digest,
        /// Who runs it: user and process.
        holder: String,
    },
    /// A run that had stopped in the middle goes on.
    RunResumed {
        /// The run.
        run: RunId,
        /// Who runs it now.
        holder: String,
    },
    /// A provider is about to be called. Durable before it is.
    StepStarted {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
        /// Whether it takes the step back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        undo: bool,
        /// Counted from 1.
        attempt: u32,
        /// What makes all attempts one call.
        key: Key,
    },
    /// A step failed in a way that may pass; it is tried again.
    StepRetries {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
        /// Whether it takes the step back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        undo: bool,
        /// The attempt that failed.
        attempt: u32,
        /// How long until the next, in milliseconds.
        after_ms: u64,
        /// Why it failed.
        error: Error,
    },
    /// A step is done: the provider observed it done.
    StepDone {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
        /// Whether it takes the step back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        undo: bool,
        /// What is there now; `None`: it is gone.
        live: Option<Live>,
    },
    /// A step failed for good.
    StepFailed {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
        /// Whether it takes the step back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        undo: bool,
        /// Why.
        error: Error,
        /// What is there now, as far as it is known.
        left: Observed,
        /// Whether the provider was never asked to change anything: there is nothing to take back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        untouched: bool,
    },
    /// A step was not begun, because one that it needs failed or the run was stopped.
    StepSkipped {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
        /// Why.
        why: String,
    },
    /// The run takes back what it did.
    UndoStarted {
        /// The run.
        run: RunId,
        /// Why.
        why: String,
    },
    /// A run ended.
    RunEnded {
        /// The run.
        run: RunId,
        /// How.
        outcome: Outcome,
    },
    /// How far a step is: offered to sinks and never written.
    StepProgress {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
        /// What is being done or waited for.
        message: String,
    },
}

impl Body {
    /// Whether it belongs in the journal.
    pub fn is_durable(&self) -> bool {
        !matches!(self, Body::StepProgress { .. })
    }

    /// The run that it tells of; `None`: it comes before one.
    pub fn run(&self) -> Option<RunId> {
        match self {
            Body::Requested { .. }
            | Body::Understood { .. }
            | Body::Judged { .. }
            | Body::Planned { .. }
            | Body::Approved { .. } => None,
            Body::RunStarted { run, .. }
            | Body::RunResumed { run, .. }
            | Body::StepStarted { run, .. }
            | Body::StepRetries { run, .. }
            | Body::StepDone { run, .. }
            | Body::StepFailed { run, .. }
            | Body::StepSkipped { run, .. }
            | Body::UndoStarted { run, .. }
            | Body::RunEnded { run, .. }
            | Body::StepProgress { run, .. } => Some(*run),
        }
    }

    /// Whether it tells of something that a tool did: it moves the head of effects.
    pub fn is_effect(&self) -> bool {
        matches!(self, Body::StepStarted { .. } | Body::StepDone { .. } | Body::StepFailed { .. })
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything is as planned.
    Succeeded,
    /// A step failed, and what had been done was taken back.
    RolledBack,
    /// A step failed, and what had been done is still there.
    Failed,
    /// Stopped on request.
    Cancelled,
}

/// Learns of every event of a run as it happens: metrics, spans, live views.
///
/// # Behavior
/// - `offer` returns at once: a sink that has to wait keeps a queue of its own and drops from it.
/// - What a sink does with an event, also when it panics, changes nothing for the run or the other sinks.
pub trait Sink: std::fmt::Debug + Send + Sync + 'static {
    /// Takes notice of an event.
    fn offer(&self, event: &Event);
}
