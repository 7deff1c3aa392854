//! What is recorded of deployments, and what is there now.

use futures::StreamExt;

use crate::engine::Engine;
use crate::event::{Body, Event};
use crate::provider::{Action, Health, Observed, ProviderInfo, Resource};
use crate::runs::{PastRun, past_runs};
use crate::status::{Recorded, Run, State};
use crate::store::Seq;
use crate::{Address, Ctx, Deployment, Error, Redactor, Result};

/// What is there, observed now.
#[derive(Clone, Debug)]
pub struct Status {
    /// The deployment.
    pub deployment: Deployment,
    /// The revision that is rolled out.
    pub revision: Option<u64>,
    /// Each resource.
    pub resources: Vec<ResourceStatus>,
    /// The last run, open or ended.
    pub run: Option<Run>,
    /// The revisions that were rolled out and not exported yet, oldest first, with what kept them from it.
    pub owed: Vec<(u64, Option<Error>)>,
    /// How what is wanted now differs from the revision, in words. The engine knows no settings and leaves it
    /// empty; who resolves specs fills it in.
    pub outdated: Vec<String>,
    /// Why there may be more than is recorded here: the journal is damaged, and this is what could be read.
    pub damage: Option<Error>,
}

/// A resource, observed now.
#[derive(Clone, Debug)]
pub struct ResourceStatus {
    /// Its place.
    pub address: Address,
    /// Its kind.
    pub kind: String,
    /// Whether it is data that is kept and not in use.
    pub kept: bool,
    /// What was seen.
    pub observed: Observed,
    /// How it differs from what it should be, in words.
    pub drift: Vec<String>,
}

impl Engine {
    /// What is there, observed now. A resource that cannot be observed is in the answer, as such; of a damaged
    /// journal, so is what can be read of it.
    ///
    /// # Errors
    /// Those of the store but for damage.
    pub async fn status(&self, deployment: &Deployment) -> Result<Status> {
        let (events, damage) = self.readable(deployment).await?;
        let state = State::fold(&events);
        let ctx = self.ctx().for_deployment(deployment);
        let looks = state.inventory.iter().map(|(address, recorded)| {
            let ctx = &ctx;
            async move {
                let (observed, drift) = self.look(ctx, address, recorded).await;
                let (kind, kept) = (recorded.kind.clone(), recorded.kept);
                ResourceStatus { address: address.clone(), kind, kept, observed, drift }
            }
        });
        let mut resources: Vec<ResourceStatus> = futures::stream::iter(looks).buffered(16).collect().await;
        for doubted in state.doubts.values().filter(|d| !state.inventory.contains_key(&d.address)) {
            let observed = self.look_for(&ctx, doubted).await;
            if observed == Observed::Absent {
                continue;
            }
            let drift = vec!["a step failed here, and nobody can say what it left".to_owned()];
            let (address, kind) = (doubted.address.clone(), doubted.kind.clone());
            resources.push(ResourceStatus { address, kind, kept: false, observed, drift });
        }
        let revision = state.current().map(|revision| revision.number);
        let owed = state.owed().filter(|_| self.parts.exporter.is_some());
        let owed = owed.map(|(number, error)| (number, error.cloned())).collect();
        Ok(Status {
            deployment: deployment.clone(),
            revision,
            resources,
            run: state.run,
            owed,
            outdated: Vec::new(),
            damage,
        })
    }

    /// Everything that is recorded of a deployment, folded.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn state(&self, deployment: &Deployment) -> Result<State> {
        let mut state = State::default();
        let name = deployment.to_string();
        let mut events = self.parts.store.read(&name, Seq::START);
        while let Some(event) = events.next().await {
            let (seq, event) = event?;
            state.apply(seq, &event);
        }
        Ok(state)
    }

    /// What takes the secrets of a deployment out of a text, those of every plan that it ever had. For what its
    /// processes wrote: nobody else has looked at that.
    ///
    /// # Errors
    /// Those of the store but for damage.
    pub async fn redactor(&self, deployment: &Deployment) -> Result<Redactor> {
        let (events, _) = self.readable(deployment).await?;
        let plans = events.iter().filter_map(|(_, event)| match &event.body {
            Body::Planned { plan } => Some(plan.secrets()),
            _ => None,
        });
        let ctx = self.ctx();
        ctx.learn(&plans.flatten().collect()).await;
        Ok(ctx.redactor().clone())
    }

    /// Everything that happened to a deployment.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn events(&self, deployment: &Deployment) -> Result<Vec<(Seq, Event)>> {
        let name = deployment.to_string();
        let events: Vec<_> = self.parts.store.read(&name, Seq::START).collect().await;
        events.into_iter().collect()
    }

    /// The runs of a deployment, the oldest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn runs(&self, deployment: &Deployment) -> Result<Vec<PastRun>> {
        Ok(past_runs(&self.events(deployment).await?))
    }

    /// Everything that can be read of what happened, and why there is no more where the journal is damaged.
    ///
    /// # Errors
    /// Those of the store but for damage.
    pub async fn readable(&self, deployment: &Deployment) -> Result<(Vec<(Seq, Event)>, Option<Error>)> {
        let name = deployment.to_string();
        let mut all = Vec::new();
        let mut events = self.parts.store.read(&name, Seq::START);
        while let Some(next) = events.next().await {
            match next {
                Ok(event) => all.push(event),
                Err(error) if super::verify::is_damage(&error) => return Ok((all, Some(error))),
                Err(error) => return Err(error),
            }
        }
        Ok((all, None))
    }

    /// The deployments of which something is recorded, by name.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn deployments(&self) -> Result<Vec<Deployment>> {
        let names: Vec<_> = self.parts.store.deployments().collect().await;
        let mut all = Vec::with_capacity(names.len());
        for name in names {
            all.push(name?.parse()?);
        }
        all.sort();
        Ok(all)
    }

    /// Whether the tool of each provider and of the exporter is here and works.
    pub async fn health(&self) -> Vec<(ProviderInfo, Result<Health>)> {
        let ctx = self.ctx();
        let mut all = Vec::new();
        for provider in self.parts.all_providers() {
            all.push((provider.info().clone(), provider.health(&ctx).await));
        }
        if let Some(exporter) = &self.parts.exporter {
            all.push((exporter.info().clone(), exporter.health(&ctx).await));
        }
        all
    }

    async fn look_for(&self, ctx: &Ctx, doubted: &Resource) -> Observed {
        let looked = async { self.parts.provider(&doubted.kind)?.observe(ctx, doubted, None).await };
        looked.await.unwrap_or_else(|error| Observed::Unknown(error.to_string()))
    }

    async fn look(&self, ctx: &Ctx, address: &Address, recorded: &Recorded) -> (Observed, Vec<String>) {
        let resource = recorded.resource(address);
        let looked = async {
            let provider = self.parts.provider(&recorded.kind)?;
            let observed = provider.observe(ctx, &resource, Some(&recorded.live)).await?;
            let mut drift = observed.live().map(|live| live.drift.clone()).unwrap_or_default();
            match &observed {
                Observed::Absent => drift.push("it is gone".to_owned()),
                // What is kept is not in use: nobody may be there to ask.
                _ if recorded.kept => {}
                Observed::Unknown(why) => drift.push(format!("it cannot be observed: {why}")),
                Observed::NotYet(needed) => drift.push(format!("it cannot be observed without `{needed}`")),
                // That it could not be made as it should be takes nothing from what was seen.
                Observed::Present(_) => match provider.plan(ctx, &resource, &observed).await {
                    Ok(change) if change.action == Action::Keep || drift.contains(&change.why) => {}
                    Ok(change) => drift.push(change.why),
                    // And how it drifted says more than that nobody could mend it now.
                    Err(_) if !drift.is_empty() => {}
                    Err(error) => drift.push(format!("it cannot be planned: failed to {error}")),
                },
            }
            Ok((observed, drift))
        };
        match looked.await {
            Ok(seen) => seen,
            Err(error) => {
                let why = Error::to_string(&error);
                (Observed::Unknown(why.clone()), vec![format!("it cannot be observed: {why}")])
            }
        }
    }
}
