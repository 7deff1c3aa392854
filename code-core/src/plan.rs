//! What will be done, in which order, and the way back: immutable, and named by its content.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::graph::Graph;
use crate::guard::named;
use crate::provider::{Action, Change, Class, Reversal};
use crate::scanner::Cost;
use crate::spec::{Origins, Spec};
use crate::store::Seq;
use crate::{Address, Deployment, Digest, Error, ErrorKind, Result, RunId, SecretRef, StepId};

/// The version of the format that this build writes and reads.
pub const PLAN_VERSION: u32 = 1;

/// Everything that will be done to one deployment, and how each step is taken back.
///
/// A plan is stale when the head of effects or the observations that it was computed from have moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The version of the format: 1.
    pub version: u32,
    /// The digest of everything else in it; see [`Plan::sealed`].
    pub id: Digest,
    /// The deployment that it changes.
    pub deployment: Deployment,
    /// The revision that it makes.
    pub revision: u64,
    /// What should exist in the end; `None` where nothing should.
    pub spec: Option<Spec>,
    /// Whether it needs the approval of another person.
    pub protected: bool,
    /// How many resources it may take away; the gate holds it against the effects.
    pub delete_budget: u32,
    /// Whether data goes too: asked for expressly, and confirmed by name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delete_data: bool,
    /// The revisions between which it goes back, where it is a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// The paused run whose place it takes. What that run did is kept where it fits; the way back goes to before
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<RunId>,
    /// Where each value of the spec comes from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub origins: Origins,
    /// What the plan is bound to.
    pub chain: Chain,
    /// The place of the last effect in the journal when it was computed.
    pub base: Seq,
    /// The digest of what was observed.
    pub observations: Digest,
    /// What is done.
    pub steps: Vec<Step>,
    /// What is there and stays as it is.
    pub unchanged: Vec<Address>,
    /// What is no longer wanted and is kept all the same: data.
    pub kept: Vec<Address>,
    /// What it costs in a month when it is done, where a scanner estimated it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

/// From which revision to which a rollback goes. Where it succeeds, the first is marked bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rollback {
    /// The revision that is left.
    pub from: u64,
    /// The revision whose spec is taken.
    pub to: u64,
}

/// The links before a plan: request → intent → spec → verdicts. It may begin at a request, at a commit, or at
/// a spec.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Chain {
    /// The digest of the commit that the spec was read from, where it begins at one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Digest>,
    /// The digest of the request, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Digest>,
    /// The digest of the intents and their evidence, with that of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Digest>,
    /// The digest of the spec and its origins, with that of the intents, else of the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Digest>,
    /// The digest of what the scanners said of the spec, with that of the spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reports: Option<Digest>,
}

impl Chain {
    /// The digest of `content`, bound to the link before it.
    pub fn link(before: Option<Digest>, content: &impl Serialize) -> Digest {
        let before = before.unwrap_or(Digest::ZERO);
        Digest::of_parts([before.as_bytes().as_slice(), Digest::of_json(content).as_bytes()])
    }
}

/// One change of one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Its place in the plan's list.
    pub id: StepId,
    /// The provider that does it.
    pub provider: String,
    /// What it spends.
    pub class: Class,
    /// The change.
    pub change: Change,
    /// The steps that must be done before it.
    pub needs: Vec<StepId>,
    /// The wanted values before anything was bound, where something about the change was open when it was
    /// planned: it is bound, looked at and planned once more at its turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbolic: Option<crate::expr::Want>,
    /// Whether the run whose place the plan takes had begun to change it. Then it is taken back with this plan
    /// also where this run did not come to it, and to the state before that run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begun_before: bool,
}

impl Step {
    /// The resource that it changes.
    pub fn address(&self) -> &Address {
        &self.change.resource.address
    }
}

/// How one step is taken back.
#[derive(Clone, Debug, PartialEq)]
pub struct Undo<'a> {
    /// The step that it takes back.
    pub of: &'a Step,
    /// What it does to the resource; `None` where it cannot be taken back.
    pub action: Option<Action>,
    /// The state to return to, or why there is none.
    pub reversal: &'a Reversal,
}

/// The error of a plan of a version that this build does not know.
pub fn other_version(version: u64) -> Error {
    Error::new(ErrorKind::Invalid, "plan::version", format!("read a plan of version {version}"))
        .help("make the plan again with this build")
}

impl Plan {
    /// With its id set to the digest of everything else in it.
    #[must_use]
    pub fn sealed(mut self) -> Plan {
        self.id = Digest::ZERO;
        self.id = Digest::of_json(&self);
        self
    }

    /// Checks that it is whole: a version that this build knows, an id that fits the content, a graph without
    /// cycles.
    ///
    /// # Errors
    /// `plan::version`, `plan::edited`, `plan::cycle`.
    pub fn check(&self) -> Result<()> {
        if self.version != PLAN_VERSION {
            return Err(other_version(self.version.into()));
        }
        if self.clone().sealed().id != self.id {
            return Err(self.edited());
        }
        self.graph().map(drop)
    }

    /// The secrets that its steps name.
    pub(crate) fn secrets(&self) -> BTreeSet<SecretRef> {
        let changes = self.steps.iter().map(|step| &step.change);
        changes.flat_map(|change| named(&change.resource, change.prior.as_ref())).collect()
    }

    /// The error of a plan that is not what it says it is.
    pub(crate) fn edited(&self) -> Error {
        Error::new(ErrorKind::Refused, "plan::edited", "trust a plan whose content does not fit its id")
            .help("a plan cannot be edited: change the request or the spec, and plan again")
            .with("id", self.id.to_string())
    }

    /// The graph of its steps.
    ///
    /// # Errors
    /// `plan::cycle` where steps need each other or a step that is not there.
    pub fn graph(&self) -> Result<Graph> {
        let count = self.steps.len();
        let bad =
            |what: String| Error::new(ErrorKind::Invalid, "plan::cycle", what).help("make the plan again");
        for (i, step) in self.steps.iter().enumerate() {
            if step.id.index() != i || step.needs.iter().any(|need| need.index() >= count) {
                return Err(bad(format!("find a step that step {i} needs")));
            }
        }
        let edges = self.steps.iter().flat_map(|s| s.needs.iter().map(|need| (s.id.index(), need.index())));
        Graph::new(count, edges).map_err(|cycle| {
            let names: Vec<_> = cycle.iter().map(|i| self.steps[*i].address().as_str()).collect();
            bad(format!("order steps that need each other: {}", names.join(" → ")))
        })
    }

    /// The way back: each step's reversal, in the order in which an undo of the whole plan would go.
    pub fn way_back(&self) -> Vec<Undo<'_>> {
        let order: Vec<usize> = match self.graph() {
            Ok(graph) => graph.order().iter().rev().map(|i| *i as usize).collect(),
            Err(_) => (0..self.steps.len()).rev().collect(),
        };
        order
            .into_iter()
            .map(|i| {
                let step = &self.steps[i];
                let stays = step.change.resource.want.is_some();
                let action = step.change.reversal.to().map(|to| match (to.want.is_some(), stays) {
                    (false, false) => Action::Keep,
                    (false, true) => Action::Delete,
                    (true, false) => Action::Create,
                    (true, true) if step.change.action == Action::Replace => Action::Replace,
                    (true, true) => Action::Update,
                });
                Undo { of: step, action, reversal: &step.change.reversal }
            })
            .collect()
    }

    /// How many steps do what.
    pub fn counts(&self) -> BTreeMap<Action, usize> {
        let mut counts = BTreeMap::new();
        for step in &self.steps {
            *counts.entry(step.change.action).or_default() += 1;
        }
        counts
    }

    /// A step by its id.
    pub fn step(&self, id: StepId) -> Option<&Step> {
        self.steps.get(id.index())
    }

    /// The same plan with the change of one step replaced by what became known: what is judged at the step.
    #[must_use]
    pub fn with_change(&self, id: StepId, change: &Change) -> Plan {
        let mut plan = self.clone();
        if let Some(step) = plan.steps.get_mut(id.index()) {
            step.change = change.clone();
        }
        plan
    }
}
