//! The boundary to tools: one observed, planned and applied change of one resource.
//!
//! ```text
//!            observe            plan                 gate, approval           apply
//! Resource ──────────▶ Observed ─────▶ Change ─────────────────────▶ Change ─────────▶ Live
//!  wanted     reads      what is        effects, outputs, reversal     writes    and is observed again
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::expr::{Expr, Want};
use crate::{Address, Ctx, Error, Result};

/// Makes resources of some kinds be what is wanted of them.
///
/// # Behavior
/// - `info` never changes.
/// - `observe` and `plan` read only, and `plan` gives the same change for the same resource and observation.
/// - A planned change keeps every wanted value, and announces each thing inside that it will touch in
///   `effects`.
/// - `apply` ends in what was planned: observing afterwards finds it present and as wanted.
/// - Two `apply` calls with one key have one effect. The key is no proof: the provider looks at what is.
/// - After `apply`, planning the same resource again is [`Action::Keep`].
/// - What somebody else changed is seen, and not kept; as long as nothing happens, looking sees the same.
/// - An output that is promised is there afterwards, and one that stays has the value that was said. A value
///   that is not known yet is never made up.
/// - A [`Reversal`] names the state that was there before, or says that it cannot be had back.
/// - Deleting what is gone already, or never was, succeeds with `Ok(None)`.
/// - A lost permission or a tool that does not answer is [`Observed::Unknown`], never `Absent`.
/// - A cancelled call ends soon and says in [`Failed::left`] what it knows to exist; a dropped one can be
///   applied again.
/// - No secret's value is in anything that it returns.
/// - An error says what to do, whatever a person got wrong.
///
/// Each of them is a case of `conformance::provider`, behind the feature `conformance`: run it on yours.
#[async_trait]
pub trait Provider: fmt::Debug + Send + Sync + 'static {
    /// Who this is; wrappers hand it on untouched.
    fn info(&self) -> &ProviderInfo;
    /// What it can do.
    fn capabilities(&self) -> Capabilities;
    /// Whether its tool is here and works: a missing tool is an answer, with how to get it.
    async fn health(&self, ctx: &Ctx) -> Result<Health>;
    /// What is there now. `last` is what was recorded of it when it was last seen.
    /// What is there as wanted and recorded nowhere is taken over by the deployment, and deleted with it one
    /// day: where it may be somebody else's, that is [`Observed::Unknown`].
    /// Where it is not wanted and nothing is recorded, its address may not tell what it is: then it is `Absent`, and
    /// the engine looks for it as it was wanted before it believes that.
    async fn observe(&self, ctx: &Ctx, resource: &Resource, last: Option<&Live>) -> Result<Observed>;
    /// What would have to change.
    async fn plan(&self, ctx: &Ctx, resource: &Resource, live: &Observed) -> Result<Change>;
    /// Makes the change; `Ok(None)` where the resource is gone.
    async fn apply(&self, ctx: &Ctx, change: &Change) -> Result<Option<Live>, Failed>;
}

/// Who a provider is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProviderInfo {
    /// A name, unique in an engine: `process`, `postgres`.
    pub name: String,
    /// What it does, in a few words.
    pub summary: String,
    /// Its own version.
    pub version: String,
}

/// What a provider can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The kinds of resources that it serves; a kind belongs to one provider of an engine.
    pub kinds: Vec<&'static str>,
    /// Whether it can change a resource in place.
    pub update: bool,
    /// Whether it can make a new one in the place of an old one.
    pub replace: bool,
    /// How many of its steps may run at once.
    pub concurrency: usize,
    /// What its steps spend.
    pub class: Class,
}

/// What a step spends: it picks the budgets that the step takes from, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Waiting.
    Io,
    /// Computing.
    Cpu,
    /// Both.
    Mixed,
}

/// Whether a provider's tool is here and works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Health {
    /// It works.
    Ready {
        /// The tool and its version, as it says itself.
        version: String,
    },
    /// The tool is not on this machine.
    Missing {
        /// What is missing.
        what: String,
        /// How to get it.
        help: String,
    },
    /// It is here and does not work.
    Broken {
        /// What is wrong.
        why: String,
        /// What to do.
        help: String,
    },
}

/// A resource: what it is called, what kind it is of, and what is wanted of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resource {
    /// Its place in the deployment.
    pub address: Address,
    /// Its kind: it decides the provider (`process`, `postgres.server`).
    pub kind: String,
    /// What it should be. `None`: wanted absent; deleting is a change like any other.
    pub want: Option<Want>,
    /// Resources that it needs beside those that its values reference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Address>,
    /// What happens when it is no longer wanted.
    #[serde(default, skip_serializing_if = "OnDelete::is_delete")]
    pub on_delete: OnDelete,
}

impl Resource {
    /// A wanted resource.
    pub fn new(address: Address, kind: &str, want: Want) -> Resource {
        Resource {
            address,
            kind: kind.to_owned(),
            want: Some(want),
            depends_on: Vec::new(),
            on_delete: OnDelete::Delete,
        }
    }

    /// A resource that is wanted absent.
    pub fn absent(address: Address, kind: &str) -> Resource {
        Resource { want: None, ..Resource::new(address, kind, Want::new()) }
    }

    /// The same, wanted absent.
    #[must_use]
    pub fn gone(&self) -> Resource {
        Resource { want: None, ..self.clone() }
    }

    /// With one more resource that it needs.
    #[must_use]
    pub fn needs(mut self, address: &Address) -> Resource {
        self.depends_on.push(address.clone());
        self
    }

    /// Kept, with its data, when it is no longer wanted.
    #[must_use]
    pub fn retained(mut self) -> Resource {
        self.on_delete = OnDelete::Retain;
        self
    }

    /// What is wanted; nothing where it is wanted absent.
    pub fn wanted(&self) -> Want {
        self.want.clone().unwrap_or_default()
    }

    /// All resources that it needs: those that its values reference, and those that are named.
    pub fn dependencies(&self) -> BTreeSet<Address> {
        let mut all = self.want.as_ref().map(Want::references).unwrap_or_default();
        all.extend(self.depends_on.iter().cloned());
        all.remove(&self.address);
        all
    }
}

/// What happens with a resource that is no longer wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDelete {
    /// It is deleted.
    #[default]
    Delete,
    /// It stays, is listed, and is adopted when it is wanted again: the default for data.
    Retain,
}

impl OnDelete {
    fn is_delete(&self) -> bool {
        *self == OnDelete::Delete
    }
}

/// What is there now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Observed {
    /// It exists.
    Present(Live),
    /// It does not exist: positive evidence, not a failed look.
    Absent,
    /// It cannot be told, and why.
    Unknown(String),
    /// Where it lives is itself an output of this resource, which is not known yet.
    NotYet(Address),
}

impl Observed {
    /// What exists, where something does.
    pub fn live(&self) -> Option<&Live> {
        match self {
            Observed::Present(live) => Some(live),
            _ => None,
        }
    }
}

/// A resource that exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Live {
    /// The tool's own name for it: a process id, a directory, an ARN.
    pub id: String,
    /// What it is: the wanted values as far as they can be observed, and the recorded ones else.
    pub was: Want,
    /// What others may reference; a secret output stays a reference.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, Expr>,
    /// Where it is there but not as it should be: an unhealthy process, a foreign listener on its port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<String>,
}

/// What a change does to a resource, from the weakest to the strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing.
    Keep,
    /// It is made.
    Create,
    /// It is changed in place.
    Update,
    /// Another one takes its place.
    Replace,
    /// It is removed.
    Delete,
}

impl Action {
    /// Whether something that exists is taken away.
    pub fn is_destructive(self) -> bool {
        matches!(self, Action::Replace | Action::Delete)
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Keep => "keep",
            Action::Create => "create",
            Action::Update => "update",
            Action::Replace => "replace",
            Action::Delete => "delete",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing inside a resource that a change touches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Effect {
    /// What happens to it.
    pub action: Action,
    /// What it is, in the tool's words.
    pub name: String,
}

impl Effect {
    /// An effect of this action on this thing.
    pub fn new(action: Action, name: impl Into<String>) -> Effect {
        Effect { action, name: name.into() }
    }
}

/// Everything inside a resource that a change will touch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effects {
    /// Exactly these.
    Exact(BTreeSet<Effect>),
    /// The tool cannot say yet.
    Open {
        /// Nothing stronger than this.
        at_most: Action,
        /// Why it cannot say.
        why: String,
    },
}

impl Effects {
    /// No effects.
    pub fn none() -> Effects {
        Effects::Exact(BTreeSet::new())
    }

    /// Exactly one.
    pub fn one(action: Action, name: impl Into<String>) -> Effects {
        Effects::Exact(BTreeSet::from([Effect::new(action, name)]))
    }

    /// Whether nothing in `self` goes beyond what was announced.
    pub fn within(&self, announced: &Effects) -> bool {
        match (self, announced) {
            (Effects::Exact(now), Effects::Exact(then)) => now.is_subset(then),
            (Effects::Exact(now), Effects::Open { at_most, .. }) => {
                now.iter().all(|effect| effect.action <= *at_most)
            }
            (Effects::Open { at_most: now, .. }, Effects::Open { at_most: then, .. }) => now <= then,
            (Effects::Open { .. }, Effects::Exact(_)) => false,
        }
    }

    /// Whether something may be taken away.
    pub fn may_destroy(&self) -> bool {
        match self {
            Effects::Exact(effects) => effects.iter().any(|effect| effect.action.is_destructive()),
            Effects::Open { at_most, .. } => at_most.is_destructive(),
        }
    }
}

/// How a change is taken back. It holds the *state to return to*; how to get there is planned at its time,
/// against what is observed then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reversal {
    /// Everything is as before.
    Reversible(Box<Resource>),
    /// As good as before, but for what is said: a new process in the place of an old one.
    Compensable {
        /// The state to return to.
        to: Box<Resource>,
        /// What will not be as before.
        but: String,
    },
    /// It cannot be taken back, and why.
    Irreversible(String),
}

impl Reversal {
    /// The state to return to, where there is one.
    pub fn to(&self) -> Option<&Resource> {
        match self {
            Reversal::Reversible(to) | Reversal::Compensable { to, .. } => Some(to),
            Reversal::Irreversible(_) => None,
        }
    }
}

/// An output of a planned change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// It has this value now and will have it then.
    Stays(Expr),
    /// It is known after the change.
    Later,
}

/// A planned change of one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// What happens to the resource.
    pub action: Action,
    /// What is wanted.
    pub resource: Resource,
    /// What was there.
    pub prior: Option<Live>,
    /// Everything inside that will be touched.
    pub effects: Effects,
    /// What others may reference, and whether it is known already.
    pub outputs: BTreeMap<String, Promise>,
    /// How it is taken back.
    pub reversal: Reversal,
    /// Why, in a few words a person reads: `not running`, `release changed`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// The provider's note from its plan to its apply (a blob's digest of a saved tool plan).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<Value>,
}

impl Change {
    /// Nothing to do: what is there is what is wanted.
    pub fn keep(resource: &Resource, live: &Live) -> Change {
        Change {
            action: Action::Keep,
            resource: resource.clone(),
            prior: Some(live.clone()),
            effects: Effects::none(),
            outputs: live.outputs.iter().map(|(k, v)| (k.clone(), Promise::Stays(v.clone()))).collect(),
            reversal: Reversal::Reversible(Box::new(resource.clone())),
            why: String::new(),
            private: None,
        }
    }

    /// It is made; taking it back is deleting it.
    pub fn create(resource: &Resource, effects: Effects) -> Change {
        Change {
            action: Action::Create,
            resource: resource.clone(),
            prior: None,
            effects,
            outputs: BTreeMap::new(),
            reversal: Reversal::Reversible(Box::new(resource.gone())),
            why: String::new(),
            private: None,
        }
    }

    /// What was there changes; taking it back is returning to what it was.
    pub fn from_live(action: Action, resource: &Resource, live: &Live, effects: Effects) -> Change {
        let back = Resource { want: Some(live.was.clone()), ..resource.clone() };
        Change {
            action,
            resource: resource.clone(),
            prior: Some(live.clone()),
            effects,
            outputs: BTreeMap::new(),
            reversal: Reversal::Reversible(Box::new(back)),
            why: String::new(),
            private: None,
        }
    }

    /// With the reason.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Change {
        self.why = why.into();
        self
    }

    /// With an output.
    #[must_use]
    pub fn output(mut self, name: &str, promise: Promise) -> Change {
        self.outputs.insert(name.to_owned(), promise);
        self
    }

    /// With another way back.
    #[must_use]
    pub fn reversal(mut self, reversal: Reversal) -> Change {
        self.reversal = reversal;
        self
    }

    /// Whether nothing in it goes beyond what was approved: no stronger action, no effect that was not
    /// announced.
    pub fn within(&self, approved: &Change) -> bool {
        let at_most = match &approved.effects {
            Effects::Exact(_) => approved.action,
            Effects::Open { at_most, .. } => approved.action.max(*at_most),
        };
        self.action <= at_most && self.effects.within(&approved.effects)
    }
}

/// A call that failed, and what it knows to exist now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failed {
    /// Why.
    pub error: Error,
    /// What is there now, as far as the call knows.
    pub left: Observed,
}

impl From<Error> for Failed {
    /// A failure that does not know what it left behind.
    fn from(error: Error) -> Failed {
        Failed { left: Observed::Unknown("the call failed before it looked".to_owned()), error }
    }
}

/// A provider without its `apply`: all that the planner holds, so that a dry run has nothing to change with.
#[derive(Clone, Debug)]
pub struct ReadOnly(Arc<dyn Provider>);

impl ReadOnly {
    /// The reading half of a provider.
    pub fn new(provider: Arc<dyn Provider>) -> ReadOnly {
        ReadOnly(provider)
    }

    /// See [`Provider::info`].
    pub fn info(&self) -> &ProviderInfo {
        self.0.info()
    }

    /// See [`Provider::capabilities`].
    pub fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    /// See [`Provider::observe`].
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn observe(&self, ctx: &Ctx, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
        self.0.observe(ctx, resource, last).await
    }

    /// What is left of a resource that is not wanted any more, also where nothing was recorded of it: with some tools
    /// only what was wanted tells what it is.
    ///
    /// # Errors
    /// Those of the provider.
    pub(crate) async fn left(&self, ctx: &Ctx, was: &Resource, last: Option<&Live>) -> Result<Observed> {
        let gone = was.gone();
        if last.is_some() || was.want.is_none() {
            return self.observe(ctx, &gone, last).await;
        }
        // The last look is for what is gone: it is the evidence.
        match self.observe(ctx, was, None).await {
            Ok(Observed::Present(live)) => self.observe(ctx, &gone, Some(&live)).await,
            Ok(Observed::Unknown(why)) => match self.observe(ctx, &gone, None).await? {
                Observed::Absent => Ok(Observed::Unknown(why)),
                seen => Ok(seen),
            },
            // As it was wanted it cannot even be looked for: it was never made.
            Ok(Observed::Absent | Observed::NotYet(_)) | Err(_) => self.observe(ctx, &gone, None).await,
        }
    }

    /// See [`Provider::plan`].
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn plan(&self, ctx: &Ctx, resource: &Resource, live: &Observed) -> Result<Change> {
        self.0.plan(ctx, resource, live).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_fits_only_within_what_was_announced() {
        let exact = |effects: &[(Action, &str)]| {
            Effects::Exact(effects.iter().map(|(action, name)| Effect::new(*action, *name)).collect())
        };
        let open = |at_most| Effects::Open { at_most, why: String::new() };
        let a = exact(&[(Action::Update, "a")]);
        let ab = exact(&[(Action::Update, "a"), (Action::Delete, "b")]);
        assert!(a.within(&ab) && !ab.within(&a));
        assert!(a.within(&open(Action::Update)) && !ab.within(&open(Action::Update)));
        assert!(open(Action::Create).within(&open(Action::Update)));
        assert!(!open(Action::Create).within(&a), "what cannot be said is not within what was said");
        assert!(ab.may_destroy() && !a.may_destroy() && open(Action::Replace).may_destroy());
    }
}
