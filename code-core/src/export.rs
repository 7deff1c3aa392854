//! What leaves the journal after a success: each revision that was rolled out, for a repository of the user's.
//!
//! ```text
//! events ──exports()──▶ Export ──Exporter──▶ Commit          `Exported`, or `ExportOwed` and tried again
//!          pure           what was rolled out    where it is
//! ```
//!
//! An export is a fold of the journal, so that it can be made again at any time, also by another process after
//! a crash. It undoes nothing: a deployment stands whether it could be exported or not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::checks::Approval;
use crate::event::{Body, Event, Outcome};
use crate::expr::Want;
use crate::plan::{Chain, Rollback};
use crate::provider::{Health, OnDelete, ProviderInfo};
use crate::request::Request;
use crate::scanner::Report;
use crate::spec::{Origins, Spec};
use crate::status::State;
use crate::store::Seq;
use crate::{Address, Ctx, Deployment, Digest, Result, RunId};

/// Keeps what was rolled out where people and other tools look for it.
///
/// # Behavior
/// - `export` keeps all of an export or nothing of it, and is durable when it returns.
/// - The same export twice is kept once, and gives the same place.
/// - It touches nothing of other deployments, and nothing that it did not put there itself.
/// - An error means that it is to be tried again later, with the same export.
/// - It adds nothing to what it is given: an export holds no secret, and gets none here.
#[async_trait]
pub trait Exporter: fmt::Debug + Send + Sync + 'static {
    /// What to call it.
    fn info(&self) -> &ProviderInfo;
    /// Whether its tool is here and works.
    async fn health(&self, ctx: &Ctx) -> Result<Health>;
    /// Keeps an export.
    async fn export(&self, ctx: &Ctx, export: &Export) -> Result<Commit>;
}

/// A place in a repository's history: where an export is, or where a spec was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Commit {
    /// The commit's own name.
    pub id: String,
    /// The repository: a directory or an address.
    pub place: String,
    /// The folder or the file in it.
    pub path: String,
}

impl Commit {
    /// The first twelve characters of its name.
    pub fn short(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }
}

/// A revision that was rolled out, with all that led to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Export {
    /// The deployment.
    pub deployment: Deployment,
    /// The revision.
    pub revision: u64,
    /// The run that rolled it out.
    pub run: RunId,
    /// Its plan.
    pub plan: Digest,
    /// What the plan is bound to.
    pub chain: Chain,
    /// Where it goes back to, where it is a rollback.
    pub rollback: Option<Rollback>,
    /// The words, where there were any.
    pub request: Option<Request>,
    /// The commit that it was read from, where there was one.
    pub source: Option<Commit>,
    /// Who approved it, and how.
    pub approval: Option<Approval>,
    /// When its run ended.
    pub at: Timestamp,
    /// What should exist; `None` where everything was taken down.
    pub spec: Option<Spec>,
    /// Where each value of the spec comes from.
    pub origins: Origins,
    /// What exists since.
    pub resources: BTreeMap<Address, Made>,
    /// What the scanners said of the spec and of the plan.
    pub reports: Vec<Report>,
    /// The unknown findings that were accepted, by id.
    pub accepted: Vec<String>,
}

/// A resource that exists, as it was wanted. Secrets are names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Made {
    /// Its kind.
    pub kind: String,
    /// What was wanted of it.
    pub want: Want,
    /// The resources that it needed.
    pub needs: Vec<Address>,
    /// What happens when it is no longer wanted.
    pub on_delete: OnDelete,
    /// Whether it is no longer wanted, and kept all the same.
    pub kept: bool,
    /// The revision that made or last changed it.
    pub revision: u64,
}

impl Export {
    /// Who asked for it: by words, else whoever approved it.
    pub fn by(&self) -> &str {
        let asked = self.request.as_ref().map(|request| request.who.as_str());
        asked.or(self.approval.as_ref().map(|approval| approval.by.as_str())).unwrap_or("unknown")
    }
}

/// What the journal has of these revisions: those of them that were rolled out, oldest first.
pub fn exports(events: &[(Seq, Event)], revisions: &BTreeSet<u64>) -> Vec<Export> {
    let mut state = State::default();
    let mut found = Vec::new();
    let mut next = Asked::default();
    let mut asked = Asked::default();
    for (seq, event) in events {
        let before = state.run.as_ref().is_some_and(|run| succeeded(&state, run.plan.revision));
        state.apply(*seq, event);
        match &event.body {
            Body::Requested { request } => next.request = Some(request.clone()),
            Body::SpecRead { commit } => next.source = Some(commit.clone()),
            Body::Judged { reports, accepted } => {
                (next.reports, next.accepted) = (reports.clone(), accepted.clone());
            }
            Body::Approved { approval } => next.approval = Some(approval.clone()),
            Body::RunStarted { .. } => asked = std::mem::take(&mut next),
            // A repair of what was rolled out before is no other revision.
            Body::RunEnded { outcome: Outcome::Succeeded, .. } if !before => {
                found.extend(export(&state, std::mem::take(&mut asked), event.at));
            }
            _ => {}
        }
    }
    found.retain(|export| revisions.contains(&export.revision));
    found
}

/// What stands in the journal before a run.
#[derive(Default)]
struct Asked {
    request: Option<Request>,
    source: Option<Commit>,
    reports: Vec<Report>,
    accepted: Vec<String>,
    approval: Option<Approval>,
}

fn succeeded(state: &State, revision: u64) -> bool {
    let found = state.revisions.iter().rev().find(|found| found.number == revision);
    found.is_some_and(|found| found.outcome == Some(Outcome::Succeeded))
}

fn export(state: &State, asked: Asked, at: Timestamp) -> Option<Export> {
    let run = state.run.as_ref()?;
    let resources = state.inventory.iter().map(|(address, recorded)| {
        let made = Made {
            kind: recorded.kind.clone(),
            want: recorded.live.was.clone(),
            needs: recorded.needs.clone(),
            on_delete: recorded.on_delete,
            kept: recorded.kept,
            revision: recorded.revision,
        };
        (address.clone(), made)
    });
    Some(Export {
        deployment: run.plan.deployment.clone(),
        revision: run.plan.revision,
        run: run.id,
        plan: run.plan.id,
        chain: run.plan.chain.clone(),
        rollback: run.plan.rollback,
        request: asked.request,
        source: asked.source,
        approval: asked.approval,
        at,
        spec: run.plan.spec.clone(),
        origins: run.plan.origins.clone(),
        resources: resources.collect(),
        reports: asked.reports,
        accepted: asked.accepted,
    })
}
