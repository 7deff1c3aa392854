//! What was deployed before, and which of its choices bind.

use std::collections::BTreeMap;

use code_core::Deployment;
use code_core::event::Outcome;
use code_core::spec::{Component, Origin, Spec};
use code_core::status::Revision;

/// The revisions of each deployment, oldest first.
#[derive(Clone, Debug, Default)]
pub struct History(BTreeMap<Deployment, Vec<Revision>>);

impl History {
    /// The history of these deployments.
    pub fn new(revisions: impl IntoIterator<Item = (Deployment, Vec<Revision>)>) -> History {
        History(revisions.into_iter().collect())
    }

    /// Every deployment and its revisions.
    pub fn iter(&self) -> impl Iterator<Item = (&Deployment, &[Revision])> {
        self.0.iter().map(|(deployment, revisions)| (deployment, revisions.as_slice()))
    }

    /// The revisions of a deployment, oldest first.
    pub fn revisions(&self, deployment: &Deployment) -> &[Revision] {
        self.0.get(deployment).map_or(&[], Vec::as_slice)
    }

    /// What is deployed: the last revision whose run succeeded or is open, unless it took everything down.
    pub fn current(&self, deployment: &Deployment) -> Option<(&Revision, &Spec)> {
        let good = |r: &&Revision| matches!(r.outcome, None | Some(Outcome::Succeeded));
        let revision = self.revisions(deployment).iter().rev().find(good)?;
        Some((revision, revision.spec.as_ref()?))
    }

    /// The newest revision, good or bad, that has this component: data of a failed or destroyed one may
    /// still be there, so its choices bind.
    pub(crate) fn last_with(
        &self,
        deployment: &Deployment,
        component: &str,
    ) -> Option<(&Revision, &Component)> {
        self.revisions(deployment)
            .iter()
            .rev()
            .find_map(|revision| Some((revision, revision.spec.as_ref()?.component(component)?)))
    }

    /// Every deployment with something deployed.
    pub fn deployed(&self) -> impl Iterator<Item = (&Deployment, &Spec)> {
        self.0.keys().filter_map(|deployment| Some((deployment, self.current(deployment)?.1)))
    }

    /// Where a value of a revision was first chosen, and how; `field` is a pointer within the component.
    pub fn was(&self, deployment: &Deployment, revision: &Revision, component: &str, field: &str) -> Was {
        let origin = origin_in(revision, component, field);
        let first = match origin {
            Some(Origin::Revision { revision }) => *revision,
            _ => return Was { revision: revision.number, origin: origin.cloned() },
        };
        let first_revision = self.revisions(deployment).iter().find(|r| r.number == first);
        let origin = first_revision.and_then(|r| origin_in(r, component, field)).cloned();
        Was { revision: first, origin }
    }
}

/// Where a value of an earlier revision comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Was {
    /// The revision in which it was chosen.
    pub revision: u64,
    /// Its origin there, where that is known.
    pub origin: Option<Origin>,
}

/// The origin of a component's value in a revision; an empty `component` means the spec's own values.
fn origin_in<'a>(revision: &'a Revision, component: &str, field: &str) -> Option<&'a Origin> {
    if component.is_empty() {
        return revision.origins.get(field);
    }
    let spec = revision.spec.as_ref()?;
    let index = spec.components.iter().position(|c| c.name == component)?;
    revision.origins.get(&format!("/components/{index}{field}"))
}
