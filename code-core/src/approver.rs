//! Who decides in the place of a prompt: the small trait through which a program asks its people.
//!
//! ```text
//!  Engine::approval(plan) ──▶ approve ──▶ Approval, or no
//!  a run under OnFailure::Pause stops at a failure ──▶ decide ──▶ retry, skip, roll back, abort, or leave it
//!                                                          └──▶ an edited spec ──▶ its plan ──▶ approve
//! ```

use async_trait::async_trait;

use crate::checks::Approval;
use crate::engine::Planned;
use crate::event::Decision;
use crate::spec::Spec;
use crate::status::Run;
use crate::{Ctx, Result};

/// Asks people: whether a plan may be carried out, and how a paused run goes on.
///
/// # Behavior
/// - `approve` answers for exactly this plan: the engine checks the answer like any other approval, also that
///   it is another person's in a protected environment.
/// - `decide` may take as long as people do. The run keeps its lease meanwhile; where the run is cancelled,
///   the call is dropped and the run is left paused.
/// - An answer of `None` to `decide` leaves the run paused, with nothing held: anybody can resume it.
/// - Where the answer is an edited spec, `approve` is asked for its plan, before which nothing is written: while
///   there is no approval of that very plan, the run stays paused as it was.
#[async_trait]
pub trait Approver: std::fmt::Debug + Send + Sync + 'static {
    /// Whether this plan may be carried out, and who says so; `None`: no.
    async fn approve(&self, ctx: &Ctx, planned: &Planned) -> Result<Option<Approval>>;
    /// How a run that waits at a failure goes on; `None`: it stays paused.
    async fn decide(&self, ctx: &Ctx, run: &Run) -> Result<Option<Decided>>;
}

/// A decision and whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// Who decided: the name by which the journal knows them.
    pub by: String,
    /// What.
    pub answer: Answer,
}

/// How a paused run goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// With its plan, so.
    Decision(Decision),
    /// With the plan of this spec, and a run of its own that takes the place of the paused one. What was done is
    /// kept where it fits, and the new way back goes to before the paused run.
    Edited(Box<Spec>),
}

impl From<Decision> for Answer {
    fn from(decision: Decision) -> Answer {
        Answer::Decision(decision)
    }
}
