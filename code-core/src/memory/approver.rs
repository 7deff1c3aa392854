//! Somebody who answers by heart.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use crate::approver::{Answer, Approver, Decided};
use crate::checks::{Approval, How};
use crate::engine::Planned;
use crate::status::Run;
use crate::{Ctx, Result, RunId};

/// Approves every plan in one person's name, and decides as told, one decision a pause; after the last it
/// leaves runs paused.
#[derive(Debug, Default)]
pub struct MemoryApprover {
    by: String,
    answers: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<RunId>>,
}

impl MemoryApprover {
    /// Somebody of this name who decides nothing.
    pub fn new(by: &str) -> MemoryApprover {
        MemoryApprover { by: by.to_owned(), ..MemoryApprover::default() }
    }

    /// Who decides so at the next pause that has no decision yet.
    #[must_use]
    pub fn deciding(self, answer: impl Into<Answer>) -> MemoryApprover {
        lock(&self.answers).push_back(answer.into());
        self
    }

    /// The runs that were asked about, once for each time.
    pub fn asked(&self) -> Vec<RunId> {
        lock(&self.asked).clone()
    }
}

#[async_trait]
impl Approver for MemoryApprover {
    async fn approve(&self, ctx: &Ctx, planned: &Planned) -> Result<Option<Approval>> {
        let (by, at) = (self.by.clone(), ctx.host().now());
        // An answer without a name is none.
        let approval = Approval { plan: planned.plan.id, by, at, how: How::Person };
        Ok((!self.by.is_empty()).then_some(approval))
    }

    async fn decide(&self, _: &Ctx, run: &Run) -> Result<Option<Decided>> {
        lock(&self.asked).push(run.id);
        let answer = lock(&self.answers).pop_front();
        Ok(answer.map(|answer| Decided { by: self.by.clone(), answer }))
    }
}
