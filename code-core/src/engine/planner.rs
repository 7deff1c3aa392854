//! From what is wanted and what is there to what will be done. Planning never writes: it holds providers
//! only as [`ReadOnly`].
//!
//! ```text
//! spec ──recipes──▶ resources ──┐
//!                               ├─▶ each in order of its references: bind, observe, plan ──▶ steps
//! state ──inventory──▶ no longer wanted: deletes, against the edges; data is kept ──────────▶ edges
//! ```

mod before;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::checks::Checked;
use crate::engine::Proposal;
use crate::engine::planner::before::Before;
use crate::expr::Want;
use crate::graph::Graph;
use crate::mutant::mutant;
use crate::plan::{Chain, PLAN_VERSION, Plan, Step};
use crate::provider::{
    Action, Change, Effects, Live, Observed, OnDelete, Promise, ReadOnly, Resource, Reversal,
};
use crate::recipe::At;
use crate::scanner::{Cost, Report};
use crate::spec::Spec;
use crate::status::State;
use crate::{Address, Ctx, Digest, Error, ErrorKind, Recipe, Result, StepId};

/// What a plan is computed with.
#[derive(Debug)]
pub(super) struct Planner<'a> {
    /// The reading halves of the providers, by the kinds that they serve.
    pub(super) providers: &'a BTreeMap<String, ReadOnly>,
    /// What components are made of.
    pub(super) recipes: &'a [Arc<dyn Recipe>],
    /// Where the deployment's files lie.
    pub(super) state_dir: &'a Path,
}

/// A resource on its way to a step.
#[derive(Debug)]
struct Planned {
    change: Change,
    symbolic: Option<Want>,
    begun_before: bool,
}

/// What was observed, in order: its digest tells whether a plan still fits.
type Seen = Vec<(Address, Observed)>;

impl Planner<'_> {
    /// The plan that brings about what is proposed; `spec` is its spec after the gate.
    pub(super) async fn plan(
        &self,
        ctx: &Ctx,
        proposal: &Proposal,
        spec: Option<&Checked<Spec>>,
        reports: &[Report],
        state: &State,
    ) -> Result<Plan> {
        let spec = spec.map(|spec| &**spec);
        let revision = next_revision(state, spec);
        let wanted = match spec {
            Some(spec) => self.resources(spec, revision, state)?,
            None => Vec::new(),
        };
        let order = order(&wanted)?;

        let before = state.run.as_ref().filter(|run| proposal.follows == Some(run.id));
        let before = Before::of(before);
        let mut seen = Seen::new();
        let mut outputs: BTreeMap<Address, BTreeMap<String, Promise>> = BTreeMap::new();
        let mut planned: Vec<Planned> = Vec::new();
        let mut changing: BTreeSet<Address> = BTreeSet::new();
        let mut unchanged = Vec::new();
        for index in order {
            let symbolic = &wanted[index];
            let one = self.wanted(ctx, symbolic, &outputs, &changing, state, &mut seen).await?;
            outputs.insert(symbolic.address.clone(), one.change.outputs.clone());
            if one.change.action != Action::Keep {
                changing.insert(symbolic.address.clone());
            } else if before.step(&symbolic.address).is_none() {
                unchanged.push(symbolic.address.clone());
                continue;
            }
            planned.push(one);
        }

        let mut kept = Vec::new();
        let wanted_addresses: BTreeSet<&Address> = wanted.iter().map(|resource| &resource.address).collect();
        for (address, recorded) in &state.inventory {
            if wanted_addresses.contains(address) {
                continue;
            }
            if recorded.on_delete == OnDelete::Retain && !proposal.delete_data {
                kept.push(address.clone());
                continue;
            }
            planned.push(self.unwanted(ctx, address, state, &mut seen).await?);
        }
        for (address, doubted) in &state.doubts {
            let retained = doubted.on_delete == OnDelete::Retain && !proposal.delete_data;
            if wanted_addresses.contains(address) || state.inventory.contains_key(address) || retained {
                continue;
            }
            planned.extend(self.doubted(ctx, doubted, &mut seen).await?);
        }

        let there: BTreeSet<Address> =
            planned.iter().map(|one| one.change.resource.address.clone()).collect();
        for begun in before.steps().filter(|step| !there.contains(step.address())) {
            // Data that it made and nobody wants any more stays, also on the way back.
            if begun.change.action != Action::Create || !kept.contains(begun.address()) {
                planned.push(self.as_it_is(ctx, begun, state, &mut seen).await?);
            }
        }
        for one in &mut planned {
            if let Some(begun) = before.step(&one.change.resource.address) {
                if !mutant("edited-goes-back-half-way") {
                    one.change.reversal = Before::way_back(begun, one.change.reversal.clone());
                }
                if one.change.action == Action::Keep {
                    one.change.why = "it is done already".to_owned();
                }
                one.begun_before = !mutant("edited-forgets-what-was-begun");
            }
        }

        let steps = self.steps(planned, &wanted, state, &before)?;
        Ok(Plan {
            version: PLAN_VERSION,
            id: Digest::ZERO,
            deployment: proposal.deployment.clone(),
            revision,
            spec: spec.cloned(),
            protected: proposal.protected,
            delete_budget: spec.map_or(u32::MAX, |spec| spec.delete_budget),
            delete_data: proposal.delete_data,
            rollback: proposal.rollback,
            follows: proposal.follows,
            origins: proposal.origins.clone(),
            chain: chain(proposal, reports),
            base: state.head,
            observations: Digest::of_json(&seen),
            steps,
            unchanged,
            kept,
            cost: if spec.is_some() { cost(reports) } else { Some(Cost::default()) },
        }
        .sealed())
    }

    /// All resources of a spec, checked: addresses are unique, references lead somewhere, and each kind has
    /// a provider.
    fn resources(&self, spec: &Spec, revision: u64, state: &State) -> Result<Vec<Resource>> {
        let mut resources: Vec<Resource> = Vec::new();
        for component in &spec.components {
            let recipe = self.recipes.iter().find(|recipe| recipe.makes(spec, component));
            let Some(recipe) = recipe else {
                let message = format!(
                    "make `{}` ({}{}) on {}: there is no recipe for it",
                    component.name,
                    component.engine.as_deref().map(|engine| format!("{engine} ")).unwrap_or_default(),
                    component.kind,
                    spec.target.platform
                );
                return Err(Error::new(ErrorKind::Unsupported, "plan::no-recipe", message).help(
                    "choose another kind, engine or platform, or add a recipe of your own to the engine",
                ));
            };
            let at = At { spec, component, revision, inventory: &state.inventory, state_dir: self.state_dir };
            resources.extend(recipe.resources(&at)?);
        }
        let mut addresses = BTreeSet::new();
        for resource in &resources {
            if !addresses.insert(&resource.address) {
                let message = format!("make two resources at `{}`", resource.address);
                return Err(Error::new(ErrorKind::Bug, "plan::duplicate", message)
                    .help("two recipes use one address: report it to their authors"));
            }
            self.provider(&resource.kind)?;
        }
        for resource in &resources {
            if let Some(missing) = resource.dependencies().iter().find(|needed| !addresses.contains(needed)) {
                let message = format!("find `{missing}`, which `{}` references", resource.address);
                return Err(Error::new(ErrorKind::Invalid, "plan::dangling", message).help(
                    "a component can only use outputs of components of the same spec that have an endpoint",
                ));
            }
        }
        Ok(resources)
    }

    fn provider(&self, kind: &str) -> Result<&ReadOnly> {
        self.providers.get(kind).ok_or_else(|| {
            Error::new(ErrorKind::Missing, "plan::no-provider", format!("find a provider for `{kind}`"))
                .help("add the provider of this kind to the engine")
        })
    }

    async fn wanted(
        &self,
        ctx: &Ctx,
        symbolic: &Resource,
        outputs: &BTreeMap<Address, BTreeMap<String, Promise>>,
        changing: &BTreeSet<Address>,
        state: &State,
        seen: &mut Seen,
    ) -> Result<Planned> {
        let provider = self.provider(&symbolic.kind)?;
        let known = |address: &Address, output: &str| match outputs.get(address)?.get(output)? {
            Promise::Stays(value) => Some(value.clone()),
            Promise::Later => None,
        };
        let recorded = state.inventory.get(&symbolic.address);
        let needs = symbolic.dependencies();
        // A reference that is bound is no reference any more: what it led to is still needed, and a later
        // delete goes the other way.
        let resource = Resource {
            want: symbolic.want.as_ref().map(|want| want.bind(&known)),
            depends_on: needs.iter().cloned().collect(),
            ..symbolic.clone()
        };
        let observed = provider.observe(ctx, &resource, recorded.map(|recorded| &recorded.live)).await?;
        // What cannot be told because something that it needs is about to change is known after that.
        let observed = match (observed, needs.iter().find(|needed| changing.contains(needed))) {
            (Observed::Unknown(_), Some(needed)) => Observed::NotYet(needed.clone()),
            (Observed::Unknown(why), None) => return Err(cannot_tell(&symbolic.address, &why)),
            (observed, _) => observed,
        };
        let mut change = provider.plan(ctx, &resource, &observed).await?;
        let bound = resource.want.as_ref().is_none_or(Want::is_bound);
        if change.action == Action::Keep && !bound {
            // It may well stay as it is, but nobody can say so before the values are known.
            change.action = Action::Update;
            change.effects = Effects::Open {
                at_most: Action::Update,
                why: "a value that it uses is known after an earlier step".to_owned(),
            };
        }
        let doubted = recorded.is_none() && state.doubts.contains_key(&symbolic.address);
        let unrecorded = observed.live().filter(|_| {
            recorded.is_none() && change.action == Action::Keep && !mutant("keeps-what-it-does-not-know")
        });
        let found = match unrecorded {
            Some(live) => doubted || self.would_stay(ctx, &resource, live).await?,
            None => false,
        };
        if found {
            // A step of its own records it: what is ours and not recorded would be left behind one day.
            change.action = Action::Update;
            change.why = match doubted {
                true => "it is here, and what was recorded of it is lost: it is taken over as it is",
                false => "it is here, and recorded nowhere: it is taken over as it is",
            }
            .to_owned();
        }
        if change.action == Action::Create && recorded.is_some() && observed == Observed::Absent {
            change.why = "it was here and is gone".to_owned();
        }
        if let (Some(recorded), Reversal::Reversible(to) | Reversal::Compensable { to, .. }) =
            (recorded, &mut change.reversal)
        {
            // What is returned to needs what the old one did, not what the new one does.
            to.depends_on.clone_from(&recorded.needs);
        }
        // Whatever was open is looked at and planned once more when its turn comes.
        let open = !bound
            || doubted
            || found
            || matches!(observed, Observed::NotYet(_))
            || matches!(change.effects, Effects::Open { .. });
        seen.push((symbolic.address.clone(), observed));
        // What stays as it is needs no waiting for.
        let settled = |address: &Address, output: &str| {
            if changing.contains(address) { None } else { known(address, output) }
        };
        let symbolic = open.then(|| symbolic.wanted().bind(&settled));
        Ok(Planned { change, symbolic, begun_before: false })
    }

    /// Whether something is left of a resource where it is not wanted any more. Nothing is of one that a deployment
    /// only uses: others have it as well, and it is nobody's to delete.
    async fn would_stay(&self, ctx: &Ctx, resource: &Resource, live: &Live) -> Result<bool> {
        let seen = self.provider(&resource.kind)?.observe(ctx, &resource.gone(), Some(live)).await?;
        Ok(seen != Observed::Absent)
    }

    async fn unwanted(
        &self,
        ctx: &Ctx,
        address: &Address,
        state: &State,
        seen: &mut Seen,
    ) -> Result<Planned> {
        let Some(recorded) = state.inventory.get(address) else {
            return Err(Error::new(ErrorKind::Bug, "plan::inventory", format!("find `{address}`"))
                .help("please report it, with the output of `history --json`"));
        };
        let provider = self.provider(&recorded.kind)?;
        let resource = recorded.resource(address).gone();
        let observed = provider.observe(ctx, &resource, Some(&recorded.live)).await?;
        let change = match &observed {
            Observed::Unknown(why) => return Err(cannot_tell(address, why)),
            Observed::Absent => Change {
                action: Action::Delete,
                prior: None,
                effects: Effects::none(),
                reversal: Reversal::Reversible(Box::new(resource.clone())),
                ..Change::create(&resource, Effects::none())
            }
            // It may be gone in its provider's own way only.
            .why(match provider.plan(ctx, &resource, &observed).await?.why {
                nothing if nothing.is_empty() => "gone already".to_owned(),
                why => why,
            }),
            Observed::Present(_) | Observed::NotYet(_) => provider.plan(ctx, &resource, &observed).await?,
        };
        seen.push((address.clone(), observed));
        Ok(Planned { change, symbolic: None, begun_before: false })
    }

    /// What an earlier run had begun and this one has nothing to do about: only its way back is still to go.
    async fn as_it_is(&self, ctx: &Ctx, begun: &Step, state: &State, seen: &mut Seen) -> Result<Planned> {
        let address = begun.address();
        let provider = self.provider(&begun.change.resource.kind)?;
        let recorded = state.inventory.get(address);
        let resource = recorded.map(|recorded| recorded.resource(address));
        let resource = resource.unwrap_or_else(|| begun.change.resource.gone());
        let observed = provider.observe(ctx, &resource, recorded.map(|recorded| &recorded.live)).await?;
        let change = match &observed {
            Observed::Unknown(why) => return Err(cannot_tell(address, why)),
            Observed::Present(live) => Change::keep(&resource, live),
            Observed::Absent | Observed::NotYet(_) => {
                Change { action: Action::Keep, ..Change::create(&resource, Effects::none()) }
            }
        };
        seen.push((address.clone(), observed));
        Ok(Planned { change, symbolic: None, begun_before: true })
    }

    /// What a step that failed may have left: deleted where it is there.
    async fn doubted(&self, ctx: &Ctx, doubted: &Resource, seen: &mut Seen) -> Result<Option<Planned>> {
        let provider = self.provider(&doubted.kind)?;
        let resource = doubted.gone();
        let observed = provider.left(ctx, doubted, None).await?;
        let planned = match &observed {
            Observed::Unknown(why) => return Err(cannot_tell(&doubted.address, why)),
            Observed::Absent => None,
            Observed::Present(_) | Observed::NotYet(_) => {
                let change = provider.plan(ctx, &resource, &observed).await?;
                let change = change.why("left by a step that failed");
                Some(Planned { change, symbolic: None, begun_before: false })
            }
        };
        seen.push((doubted.address.clone(), observed));
        Ok(planned)
    }

    /// Steps with their edges: after what they need; a delete after everything that needed it; and what
    /// cannot be taken back after everything that does not wait for it.
    fn steps(
        &self,
        planned: Vec<Planned>,
        wanted: &[Resource],
        state: &State,
        before: &Before<'_>,
    ) -> Result<Vec<Step>> {
        let index: BTreeMap<&Address, usize> =
            planned.iter().enumerate().map(|(i, one)| (&one.change.resource.address, i)).collect();
        let now: BTreeMap<&Address, BTreeSet<Address>> =
            wanted.iter().map(|resource| (&resource.address, resource.dependencies())).collect();
        let needs_now = |address: &Address| now.get(address).cloned().unwrap_or_default();
        let needed_before = |address: &Address| -> BTreeSet<Address> {
            match (state.inventory.get(address), state.doubts.get(address)) {
                (Some(recorded), _) => recorded.needs.iter().cloned().collect(),
                (None, Some(doubted)) => doubted.dependencies(),
                (None, None) => BTreeSet::new(),
            }
        };
        let mut edges: BTreeSet<(usize, usize)> = BTreeSet::new();
        for (i, one) in planned.iter().enumerate() {
            let address = &one.change.resource.address;
            if one.change.resource.want.is_some() {
                edges.extend(through(address, &needs_now, &index, false).into_iter().map(|need| (i, need)));
            }
            // All the way: whoever still runs may reach it through somebody who only changes.
            let before = through(address, &needed_before, &index, true).into_iter();
            let deleted = before.filter(|before| planned[*before].change.resource.want.is_none());
            edges.extend(deleted.filter(|before| *before != i).map(|before| (before, i)));
        }
        before.order(&index, planned.len(), &mut edges);
        let is_irreversible = |i: &usize| {
            let Change { action, reversal, .. } = &planned[*i].change;
            *action != Action::Keep && matches!(reversal, Reversal::Irreversible(_))
        };
        for last in (0..planned.len()).filter(is_irreversible) {
            let waiting = all_that_need(planned.len(), &edges, last);
            let others =
                (0..planned.len()).filter(|i| *i != last && !waiting.contains(i) && !is_irreversible(i));
            edges.extend(others.map(|other| (last, other)).collect::<Vec<_>>());
        }
        planned
            .into_iter()
            .enumerate()
            .map(|(i, one)| {
                let provider = self.provider(&one.change.resource.kind)?;
                Ok(Step {
                    id: StepId(i as u32),
                    provider: provider.info().name.clone(),
                    class: provider.capabilities().class,
                    change: one.change,
                    needs: edges.range((i, 0)..(i + 1, 0)).map(|(_, need)| StepId(*need as u32)).collect(),
                    symbolic: one.symbolic,
                    begun_before: one.begun_before,
                })
            })
            .collect()
    }
}

/// The number of the revision: the same again where the spec is the one that is rolled out.
fn next_revision(state: &State, spec: Option<&Spec>) -> u64 {
    match state.current() {
        Some(current) if current.spec.as_ref() == spec && current.number + 1 == state.next_revision() => {
            current.number
        }
        _ => state.next_revision(),
    }
}

/// The resources' places in an order in which each comes after those that it references.
fn order(resources: &[Resource]) -> Result<Vec<usize>> {
    let index: BTreeMap<&Address, usize> =
        resources.iter().enumerate().map(|(i, resource)| (&resource.address, i)).collect();
    let edges = resources.iter().enumerate().flat_map(|(i, resource)| {
        let needed: Vec<_> = resource.dependencies().iter().filter_map(|a| index.get(a).copied()).collect();
        needed.into_iter().map(move |need| (i, need))
    });
    let graph = Graph::new(resources.len(), edges).map_err(|cycle| {
        let names: Vec<_> = cycle.iter().map(|i| resources[*i].address.as_str()).collect();
        let message = format!("order resources that reference each other: {}", names.join(" → "));
        Error::new(ErrorKind::Invalid, "plan::cycle", message).help("take one of these references out")
    })?;
    Ok(graph.order().iter().map(|i| *i as usize).collect())
}

fn cannot_tell(address: &Address, why: &str) -> Error {
    Error::new(ErrorKind::Failed, "plan::unknown", format!("tell whether `{address}` exists: {why}"))
        .help("nothing is planned on a guess: mend what keeps it from being observed, and plan again")
}

/// The links before the plan, each bound to the one before it.
fn chain(proposal: &Proposal, reports: &[Report]) -> Chain {
    let request = proposal.request.as_ref().map(crate::request::Request::digest);
    let intent = proposal.parsed.as_ref().map(|parsed| Chain::link(request, parsed));
    let commit = proposal.commit.as_ref().map(Digest::of_json);
    let first = intent.or(commit);
    let spec = proposal.spec.as_ref().map(|spec| Chain::link(first, &(spec, &proposal.origins)));
    let reports = Some(Chain::link(spec, &reports));
    Chain { commit, request, intent, spec, reports }
}

/// The estimates of all scanners as one.
fn cost(reports: &[Report]) -> Option<Cost> {
    let mut all = reports.iter().filter_map(|report| report.cost.as_ref());
    let first = all.next()?.clone();
    Some(all.fold(first, |mut sum, more| {
        sum.items.extend(more.items.iter().cloned());
        sum
    }))
}

/// The steps that a resource needs: the nearest ones, through resources that stay as they are, or all of them
/// to the end.
fn through(
    address: &Address,
    needs: &dyn Fn(&Address) -> BTreeSet<Address>,
    steps: &BTreeMap<&Address, usize>,
    to_the_end: bool,
) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut open: Vec<Address> = needs(address).into_iter().collect();
    while let Some(needed) = open.pop() {
        if !seen.insert(needed.clone()) {
            continue;
        }
        let step = steps.get(&needed).copied();
        found.extend(step);
        if step.is_none() || to_the_end {
            open.extend(needs(&needed));
        }
    }
    found
}

/// The nodes that need `node`, directly or through others.
fn all_that_need(nodes: usize, edges: &BTreeSet<(usize, usize)>, node: usize) -> BTreeSet<usize> {
    let mut needed_by = vec![Vec::new(); nodes];
    for (later, need) in edges {
        needed_by[*need].push(*later);
    }
    let mut found = BTreeSet::new();
    let mut open = vec![node];
    while let Some(at) = open.pop() {
        for later in &needed_by[at] {
            if found.insert(*later) {
                open.push(*later);
            }
        }
    }
    found
}
