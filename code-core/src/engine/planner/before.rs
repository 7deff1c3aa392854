//! One plan in the place of another: what a paused run had begun, and its way back, which becomes the new plan's.
//!
//! ```text
//!                before ──run 1, paused──▶ half way ──run 2, its place taken──▶ wanted
//! way back of 1:    ◀────────────────────────┘                                    │
//! way back of 2:    ◀─────────────────────────────────────────────────────────────┘
//! ```
//!
//! Whatever run 1 had begun is a step of run 2's plan, also where there is nothing left to do about it, and is
//! taken back to the state before run 1: what run 1 left half done is nothing to return to.

use std::collections::{BTreeMap, BTreeSet};

use crate::Address;
use crate::plan::Step;
use crate::provider::Reversal;
use crate::status::Run;

/// What the run before had begun.
#[derive(Debug, Default)]
pub(super) struct Before<'a> {
    run: Option<&'a Run>,
    begun: BTreeMap<&'a Address, &'a Step>,
}

impl<'a> Before<'a> {
    /// What a run had begun, here or in the run whose place it took itself.
    pub(super) fn of(run: Option<&'a Run>) -> Before<'a> {
        let steps = run.into_iter().flat_map(|run| run.plan.steps.iter().zip(&run.steps));
        let begun = steps.filter(|(step, now)| step.begun_before || (now.attempts > 0 && !now.untouched));
        Before { run, begun: begun.map(|(step, _)| (step.address(), step)).collect() }
    }

    /// The step that had begun to change this.
    pub(super) fn step(&self, address: &Address) -> Option<&'a Step> {
        self.begun.get(address).copied()
    }

    /// All steps that had been begun.
    pub(super) fn steps(&self) -> impl Iterator<Item = &'a Step> + '_ {
        self.begun.values().copied()
    }

    /// The way back of a change to what had been begun: to before, unless the change itself cannot be taken
    /// back to there.
    pub(super) fn way_back(begun: &Step, own: Reversal) -> Reversal {
        let former = &begun.change.reversal;
        let returns = former.to().is_some_and(|to| to.want.is_some());
        if matches!(own, Reversal::Irreversible(_)) && returns { own } else { former.clone() }
    }

    /// Adds the order in which the steps had been begun: the way back goes against it. Where the new plan has
    /// turned it round, the new one counts.
    pub(super) fn order(
        &self,
        index: &BTreeMap<&Address, usize>,
        nodes: usize,
        edges: &mut BTreeSet<(usize, usize)>,
    ) {
        let plan = self.run.map(|run| &run.plan);
        for later in self.steps() {
            for need in later.needs.iter().filter_map(|id| plan?.step(*id)) {
                let places = (index.get(later.address()), index.get(need.address()));
                let (Some(later), Some(need)) = places else { continue };
                if later != need && !super::all_that_need(nodes, edges, *later).contains(need) {
                    edges.insert((*later, *need));
                }
            }
        }
    }
}
