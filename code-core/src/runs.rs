//! The runs of a deployment, one after the other: a fold over events, like [`State`](crate::status::State),
//! which only keeps the last.

use jiff::Timestamp;

use crate::event::{Body, Event, Outcome};
use crate::store::Seq;
use crate::{Address, Digest, RunId, StepId};

/// A run as a list of runs shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct PastRun {
    /// Its number.
    pub id: RunId,
    /// The plan that it carried out.
    pub plan: Digest,
    /// The revision that it made or tried to make.
    pub revision: u64,
    /// Whether it took everything down.
    pub takes_down: bool,
    /// What was asked for, where it was asked in words.
    pub asked: Option<String>,
    /// Who ran it.
    pub holder: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended, and how; `None`: it has not.
    pub ended: Option<(Timestamp, Outcome)>,
    /// What its steps change, in the order of the plan.
    pub steps: Vec<Address>,
}

impl PastRun {
    /// The steps that change this resource.
    pub fn steps_at<'a>(&'a self, address: &'a str) -> impl Iterator<Item = StepId> + 'a {
        let all = self.steps.iter().zip(0..).filter(move |(is, _)| is.as_str() == address);
        all.map(|(_, i)| StepId(i))
    }
}

/// The runs that these events tell of, the oldest first.
pub fn past_runs<'a>(events: impl IntoIterator<Item = &'a (Seq, Event)>) -> Vec<PastRun> {
    let mut runs: Vec<PastRun> = Vec::new();
    let (mut asked, mut planned) = (None, None);
    for (_, event) in events {
        match &event.body {
            Body::Requested { request } => asked = Some(request.text.clone()),
            Body::Planned { plan } => planned = Some(plan),
            Body::RunStarted { run, plan: id, holder, .. } => {
                let asked = asked.take();
                let Some(plan) = planned.take().filter(|plan| plan.id == *id) else { continue };
                runs.push(PastRun {
                    id: *run,
                    plan: *id,
                    revision: plan.revision,
                    takes_down: plan.spec.is_none(),
                    asked,
                    holder: holder.clone(),
                    started: event.at,
                    ended: None,
                    steps: plan.steps.iter().map(|step| step.address().clone()).collect(),
                });
            }
            // One that had been stopped is open again.
            Body::RunResumed { run, holder } => {
                if let Some(past) = runs.iter_mut().rev().find(|past| past.id == *run) {
                    past.ended = None;
                    past.holder.clone_from(holder);
                }
            }
            Body::RunEnded { run, outcome } => {
                if let Some(past) = runs.iter_mut().rev().find(|past| past.id == *run) {
                    past.ended = Some((event.at, *outcome));
                }
            }
            _ => {}
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::Deployment;
    use crate::checks::{Approval, How};
    use crate::engine::{Engine, Proposal};
    use crate::intent::Kind;
    use crate::memory::{MemoryHost, MemoryProvider, MemoryRecipe, MemorySecrets, MemoryStore, World};
    use crate::request::Request;
    use crate::spec::{Component, Origins, Spec};

    async fn run(engine: &Engine, proposal: Proposal) {
        let planned = engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
        let at = engine.ctx().host().now();
        let approval = Approval { plan: planned.plan.id, by: "me".into(), at, how: How::Option };
        engine.apply(&planned, approval, engine.ctx().cancel()).await.unwrap();
    }

    #[tokio::test]
    async fn a_run_without_words_does_not_take_those_of_the_one_before() {
        let engine = Engine::builder()
            .state_dir("/nonexistent/state")
            .host(Arc::new(MemoryHost::new()))
            .secrets(Arc::new(MemorySecrets::new()))
            .store(Arc::new(MemoryStore::new()))
            .provider(Arc::new(MemoryProvider::new(World::new())))
            .recipe(Arc::new(MemoryRecipe))
            .build()
            .unwrap();
        let shop: Deployment = "shop/staging".parse().unwrap();
        assert_eq!(engine.runs(&shop).await.unwrap(), []);
        let web = Component::new("web", Kind::Web);
        let spec = Spec { components: vec![web], ..Spec::new("shop", "staging") };
        let mut asked = Proposal::of(spec, Origins::new()).unwrap();
        let at = engine.ctx().host().now();
        asked.request = Some(Request { text: "deploy it".into(), who: "me".into(), at });
        run(&engine, asked).await;
        run(&engine, engine.destroy(&shop, false).await.unwrap()).await;

        let runs = engine.runs(&shop).await.unwrap();
        let told: Vec<_> =
            runs.iter().map(|run| (run.id.0, run.revision, run.takes_down, run.asked.as_deref())).collect();
        assert_eq!(told, [(1, 1, false, Some("deploy it")), (2, 2, true, None)]);
        assert!(runs.iter().all(|run| run.ended.is_some_and(|(_, how)| how == Outcome::Succeeded)));
        let address = runs[1].steps[0].to_string();
        assert_eq!(runs[1].steps_at(&address).collect::<Vec<_>>(), [StepId(0)]);
        assert_eq!(runs[1].steps_at("web/nothing").count(), 0);
    }
}
