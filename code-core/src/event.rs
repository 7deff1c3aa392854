//! What happened: the only thing that is remembered. State and status are folds over events.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::checks::Approval;
use crate::export::Commit;
use crate::parser::Parsed;
use crate::plan::Plan;
use crate::provider::{Live, Observed, Resource};
use crate::request::Request;
use crate::scanner::Report;
use crate::{Deployment, Digest, Error, Key, RunId, StepId};

/// Something that happened to a deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub body: Body,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// A spec was read from a commit.
    SpecRead {
        /// Where it stands.
        commit: Commit,
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
        /// What happens when a step fails for good: it belongs to the run, so that a resume keeps it.
        #[serde(default, skip_serializing_if = "OnFailure::is_roll_back")]
        on_failure: OnFailure,
    },
    /// A run that had stopped in the middle, or had been stopped, goes on.
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
        /// Whether the provider was never asked to change anything so far.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        untouched: bool,
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
    /// A provider failed so often that it is left alone for a while: its steps fail without an attempt.
    BreakerOpened {
        /// The run.
        run: RunId,
        /// The provider.
        provider: String,
        /// How long it is left alone, in milliseconds.
        cool_down_ms: u64,
    },
    /// The provider answered again.
    BreakerClosed {
        /// The run.
        run: RunId,
        /// The provider.
        provider: String,
    },
    /// The run waits for a person: nothing runs, nothing begins, and what was done stays.
    RunPaused {
        /// The run.
        run: RunId,
        /// The steps that failed for good.
        steps: Vec<StepId>,
        /// Why the first of them did.
        why: String,
    },
    /// A person decided how a run goes on.
    Decided {
        /// The run.
        run: RunId,
        /// Who.
        by: String,
        /// What.
        decision: Decision,
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
    /// A broken journal was repaired: what stood behind this event's place is lost, and nobody knows all of it.
    JournalRepaired {
        /// Who did it.
        by: String,
        /// How many events are lost, at least.
        lost: u64,
        /// What the lost events were about, as far as they can be read: it may exist without being recorded.
        doubts: Vec<Resource>,
    },
    /// A revision that was rolled out is kept in a repository.
    Exported {
        /// The revision.
        revision: u64,
        /// Where it is.
        commit: Commit,
    },
    /// A revision that was rolled out could not be exported; it is tried again later.
    ExportOwed {
        /// The revision.
        revision: u64,
        /// Why.
        error: Error,
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

    /// The run that it tells of; `None`: it comes before one or after it.
    pub fn run(&self) -> Option<RunId> {
        match self {
            Body::Requested { .. }
            | Body::Understood { .. }
            | Body::SpecRead { .. }
            | Body::Judged { .. }
            | Body::Planned { .. }
            | Body::Approved { .. }
            | Body::JournalRepaired { .. }
            | Body::Exported { .. }
            | Body::ExportOwed { .. } => None,
            Body::RunStarted { run, .. }
            | Body::RunResumed { run, .. }
            | Body::StepStarted { run, .. }
            | Body::StepRetries { run, .. }
            | Body::StepDone { run, .. }
            | Body::StepFailed { run, .. }
            | Body::StepSkipped { run, .. }
            | Body::BreakerOpened { run, .. }
            | Body::BreakerClosed { run, .. }
            | Body::RunPaused { run, .. }
            | Body::Decided { run, .. }
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

/// What happens when a step fails for good. Where the run goes back or ends, nothing new begins and what runs is
/// waited for: there is less to take back. Where it pauses, it is to go on, so that what does not need the failed
/// step is done meanwhile, and one decision is about all that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// What was done is taken back.
    #[default]
    RollBack,
    /// The run waits for a [`Decision`].
    Pause,
    /// The run ends, and what was done stays.
    Stop,
}

impl OnFailure {
    fn is_roll_back(&self) -> bool {
        *self == OnFailure::RollBack
    }
}

/// What a person has decided about a run that failed or was interrupted.
///
/// To *edit and go on* is no such decision: the edited spec is proposed in the place of the paused run
/// ([`Proposal::following`](crate::engine::Proposal::following)), and its plan needs an approval of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Decision {
    /// The steps that failed are tried again, as often as at first, under the keys that they had.
    Retry,
    /// A step that failed, and all that needs it, is left out; the rest goes on. The run cannot succeed any
    /// more: at best it is [`Outcome::Incomplete`].
    Skip {
        /// The step.
        step: StepId,
    },
    /// What was done is taken back.
    RollBack,
    /// The run ends here, and what was done stays.
    Abort,
}

/// How a run ended, or was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything is as planned.
    Succeeded,
    /// A step failed, and what had been done was taken back.
    RolledBack,
    /// A step failed, and what had been done is still there.
    Failed,
    /// Stopped on request; it can be resumed.
    Cancelled,
    /// A person had a step left out; everything else is as planned.
    Incomplete,
    /// A person edited the spec at a pause: what had been done is still there, and the next run goes on from it.
    Superseded,
    /// It waits for a [`Decision`]. No end: the journal says [`Body::RunPaused`], and a `RunEnded` never does.
    Paused,
}

/// Learns of every event of a run as it happens: metrics, spans, live views.
///
/// # Behavior
/// - `offer` returns at once: a sink that has to wait keeps a queue of its own and drops from it.
/// - What a sink does with an event, also when it panics, changes nothing for the run or the other sinks.
pub trait Sink: std::fmt::Debug + Send + Sync + 'static {
    /// Takes notice of an event.
    fn offer(&self, event: &Event);

    /// Takes notice of an event of this deployment: what an engine calls. An event names its run alone, and
    /// runs are counted for each deployment; a sink that keeps runs of several apart implements this too.
    fn offer_of(&self, deployment: &Deployment, event: &Event) {
        let _ = deployment;
        self.offer(event);
    }
}
