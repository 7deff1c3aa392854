//! Frames: what is known of each action so far, with the words that said it; and frames to intents.
//!
//! Who a component is (kind, name, product) is an *entity* and shared by all frames of the request; what is
//! said of it (replicas, memory …) belongs to one frame.

use std::collections::BTreeMap;

use code_core::intent::{Action, Component, Intent, Kind, Platform};
use code_core::request::Span;

use super::setting::Set;

/// A value and the words that said it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said<T> {
    pub(crate) value: T,
    pub(crate) spans: Vec<Span>,
}

impl<T> Said<T> {
    pub(crate) fn new(value: T, span: Span) -> Said<T> {
        Said { value, spans: vec![span] }
    }
}

/// Who a component is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entity {
    pub(crate) kind: Option<Said<Kind>>,
    pub(crate) engine: Option<Said<String>>,
    pub(crate) name: Option<Said<String>>,
}

/// A component in a frame.
#[derive(Clone, Debug, Default)]
pub(crate) struct Member {
    pub(crate) entity: usize,
    pub(crate) settings: Vec<Said<Set>>,
    /// The entities that it needs.
    pub(crate) needs: Vec<Said<usize>>,
    /// It was mentioned first as what another needs.
    pub(crate) object: bool,
}

/// What is known of one action.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    pub(crate) action: Option<Said<Action>>,
    /// The action follows from a word that is weak: a need, a wish.
    pub(crate) weak: bool,
    /// The action follows from what a light verb stands with: "give it 2 GB".
    pub(crate) light: bool,
    pub(crate) dry_run: Option<Span>,
    pub(crate) application: Option<Said<String>>,
    /// Where; several make several intents.
    pub(crate) environments: Vec<Said<String>>,
    pub(crate) source: Option<Said<String>>,
    pub(crate) members: Vec<Member>,
    pub(crate) platform: Option<Said<Platform>>,
    pub(crate) region: Option<Said<String>>,
    pub(crate) cluster: Option<Said<String>>,
    pub(crate) namespace: Option<Said<String>>,
    pub(crate) budget: Option<Said<(f64, String)>>,
    pub(crate) compliance: Vec<Said<String>>,
    pub(crate) rollback_to: Option<Said<String>>,
    /// "everything": the whole of the environment is meant.
    pub(crate) everything: bool,
    /// The sentence in which it began.
    pub(crate) sentence: usize,
    /// All words of the frame.
    pub(crate) span: Option<Span>,
}

impl Frame {
    /// Whether it says what the action is done to.
    pub(crate) fn has_object(&self) -> bool {
        !self.members.is_empty() || self.application.is_some()
    }

    /// Whether it says nothing at all, but perhaps its action.
    pub(crate) fn is_empty(&self) -> bool {
        !self.has_object()
            && self.environments.is_empty()
            && self.source.is_none()
            && self.platform.is_none()
            && self.region.is_none()
            && self.cluster.is_none()
            && self.namespace.is_none()
            && self.budget.is_none()
            && self.compliance.is_empty()
            && self.rollback_to.is_none()
    }

    pub(crate) fn member(&mut self, entity: usize) -> &mut Member {
        let at = match self.members.iter().position(|m| m.entity == entity) {
            Some(at) => at,
            None => {
                self.members.push(Member { entity, ..Member::default() });
                self.members.len() - 1
            }
        };
        &mut self.members[at]
    }

    /// Takes over what another frame says and this one does not.
    pub(crate) fn share(&mut self, other: &Frame) {
        if self.environments.is_empty() && self.source.is_none() {
            self.environments.clone_from(&other.environments);
        }
        self.application = self.application.take().or_else(|| other.application.clone());
        self.share_target(other);
    }

    pub(crate) fn share_target(&mut self, other: &Frame) {
        self.platform = self.platform.take().or_else(|| other.platform.clone());
        self.region = self.region.take().or_else(|| other.region.clone());
        self.cluster = self.cluster.take().or_else(|| other.cluster.clone());
        self.namespace = self.namespace.take().or_else(|| other.namespace.clone());
    }

    /// Takes in a frame of the same action. Gives the fields that the two say differently.
    pub(crate) fn merge(&mut self, other: Frame) -> Vec<(&'static str, Span)> {
        let mut differ = Vec::new();
        for environment in other.environments {
            if !self.environments.iter().any(|e| e.value == environment.value) {
                self.environments.push(environment);
            }
        }
        self.application = self.application.take().or(other.application);
        self.source = self.source.take().or(other.source);
        self.platform = self.platform.take().or(other.platform);
        self.region = self.region.take().or(other.region);
        self.cluster = self.cluster.take().or(other.cluster);
        self.namespace = self.namespace.take().or(other.namespace);
        self.budget = self.budget.take().or(other.budget);
        self.rollback_to = self.rollback_to.take().or(other.rollback_to);
        self.dry_run = self.dry_run.or(other.dry_run);
        self.everything |= other.everything;
        self.weak &= other.weak;
        for framework in other.compliance {
            if !self.compliance.iter().any(|c| c.value == framework.value) {
                self.compliance.push(framework);
            }
        }
        for theirs in other.members {
            let object = theirs.object;
            let known = self.members.iter().any(|m| m.entity == theirs.entity);
            let mine = self.member(theirs.entity);
            mine.object = if known { mine.object } else { object };
            for setting in theirs.settings {
                if let Some(span) = put(&mut mine.settings, setting.clone()) {
                    differ.push((setting.value.field(), span));
                }
            }
            for need in theirs.needs {
                if !mine.needs.iter().any(|n| n.value == need.value) {
                    mine.needs.push(need);
                }
            }
        }
        differ
    }
}

/// Sets a setting; where the field has another value already, the new one stays and its place is given.
pub(crate) fn put(settings: &mut Vec<Said<Set>>, new: Said<Set>) -> Option<Span> {
    let same = |old: &Set| match (old, &new.value) {
        (Set::Env(a, _), Set::Env(b, _)) => a == b,
        (old, new) => old.field() == new.field(),
    };
    match settings.iter_mut().find(|s| same(&s.value)) {
        Some(old) if old.value == new.value => {
            old.spans.extend(new.spans);
            None
        }
        Some(old) => {
            // "at least 2 … at most 5": two ends of one range.
            if let (Set::Replicas(a), Set::Replicas(b)) = (&mut old.value, &new.value)
                && (a.min.is_none() != b.min.is_none() || a.max.is_none() != b.max.is_none())
                && (a.min.is_none() || a.max.is_none())
                && (b.min.is_none() || b.max.is_none())
            {
                a.min = a.min.or(b.min);
                a.max = a.max.or(b.max);
                old.spans.extend(new.spans);
                return None;
            }
            let span = new.spans.first().copied();
            *old = new;
            span
        }
        None => {
            settings.push(new);
            None
        }
    }
}

/// The intents of a frame, one for each environment, with their evidence; `first` is the first one's index.
pub(crate) fn intents(
    frame: &Frame,
    entities: &[Entity],
    first: usize,
    evidence: &mut BTreeMap<String, Vec<Span>>,
) -> Vec<Intent> {
    let Some(action) = &frame.action else { return Vec::new() };
    let places: Vec<Option<&Said<String>>> = if frame.environments.is_empty() {
        vec![None]
    } else {
        frame.environments.iter().map(Some).collect()
    };
    let mut out = Vec::new();
    for (i, environment) in places.into_iter().enumerate() {
        let mut say = Evidence { root: format!("/{}", first + i), map: evidence };
        let mut intent = Intent::new(action.value);
        say.at("/action", &action.spans);
        if let Some(span) = frame.dry_run {
            intent.dry_run = Some(true);
            say.at("/dry_run", &[span]);
        }
        intent.application = say.take("/application", frame.application.as_ref());
        intent.environment = say.take("/environment", environment);
        if action.value == Action::Promote {
            intent.source_environment = say.take("/source_environment", frame.source.as_ref());
        }
        intent.target.platform = say.take("/target/platform", frame.platform.as_ref());
        intent.target.region = say.take("/target/region", frame.region.as_ref());
        intent.target.cluster = say.take("/target/cluster", frame.cluster.as_ref());
        intent.target.namespace = say.take("/target/namespace", frame.namespace.as_ref());
        if let Some(budget) = &frame.budget {
            intent.constraints.budget_monthly = Some(budget.value.0);
            intent.constraints.currency = Some(budget.value.1.clone());
            say.at("/constraints/budget_monthly", &budget.spans);
            say.at("/constraints/currency", &budget.spans);
        }
        for (n, framework) in frame.compliance.iter().enumerate() {
            intent.constraints.compliance.push(framework.value.clone());
            say.at(&format!("/constraints/compliance/{n}"), &framework.spans);
        }
        if action.value == Action::Rollback {
            intent.rollback_to = say.take("/rollback_to", frame.rollback_to.as_ref());
        }
        for (n, member) in frame.members.iter().enumerate() {
            intent.components.push(component(member, frame, entities, &format!("/components/{n}"), &mut say));
        }
        out.push(intent);
    }
    out
}

/// Writes down which words said what.
struct Evidence<'m> {
    root: String,
    map: &'m mut BTreeMap<String, Vec<Span>>,
}

impl Evidence<'_> {
    fn at(&mut self, path: &str, spans: &[Span]) {
        let mut spans = spans.to_vec();
        spans.sort();
        spans.dedup();
        self.map.insert(format!("{}{path}", self.root), spans);
    }

    fn take<T: Clone>(&mut self, path: &str, said: Option<&Said<T>>) -> Option<T> {
        let said = said?;
        self.at(path, &said.spans);
        Some(said.value.clone())
    }
}

fn component(
    member: &Member,
    frame: &Frame,
    entities: &[Entity],
    path: &str,
    say: &mut Evidence<'_>,
) -> Component {
    let entity = &entities[member.entity];
    let mut out = Component {
        kind: say.take(&format!("{path}/kind"), entity.kind.as_ref()),
        name: say.take(&format!("{path}/name"), entity.name.as_ref()),
        engine: say.take(&format!("{path}/engine"), entity.engine.as_ref()),
        ..Component::default()
    };
    for Said { value, spans } in &member.settings {
        let field = format!("{path}/{}", value.field());
        match value.clone() {
            Set::Replicas(replicas) => {
                if replicas.min.is_some() {
                    say.at(&format!("{field}/min"), spans);
                }
                if replicas.max.is_some() {
                    say.at(&format!("{field}/max"), spans);
                }
                out.replicas = Some(replicas);
                continue;
            }
            Set::Env(key, value) => {
                say.at(&format!("{field}/{}", key.replace('~', "~0").replace('/', "~1")), spans);
                out.env.insert(key, value);
                continue;
            }
            Set::Names(_) => continue,
            Set::Cpu(v) => out.cpu = Some(v),
            Set::Memory(v) => out.memory = Some(v),
            Set::Storage(v) => out.storage = Some(v),
            Set::Port(v) => out.port = Some(v),
            Set::Public(v) => out.public = Some(v),
            Set::Host(v) => out.host = Some(v),
            Set::Tls(v) => out.tls = Some(v),
            Set::Schedule(v) => out.schedule = Some(v),
            Set::HighlyAvailable(v) => out.highly_available = Some(v),
            Set::Backups(v) => out.backups = Some(v),
            Set::Encrypted(v) => out.encrypted = Some(v),
            Set::Version(v) => out.version = Some(v),
            Set::Image(v) => out.image = Some(v),
            Set::Source(v) => out.source = Some(v),
        }
        say.at(&field, spans);
    }
    for need in &member.needs {
        // Only what is part of the same frame can be needed in it.
        if !frame.members.iter().any(|m| m.entity == need.value) {
            continue;
        }
        let other = &entities[need.value];
        let word = match (&other.name, &other.kind) {
            (Some(name), _) => name.value.clone(),
            (None, Some(kind)) => kind.value.as_str().to_owned(),
            (None, None) => continue,
        };
        if !out.depends_on.contains(&word) {
            say.at(&format!("{path}/depends_on/{}", out.depends_on.len()), &need.spans);
            out.depends_on.push(word);
        }
    }
    out
}
