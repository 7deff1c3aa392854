//! Mentions to components: who is meant, and what the mention itself says.

use code_core::intent::{Action, Kind};
use code_core::request::Span;

use super::{Doubt, Reader, Scanned};
use crate::grammar::clause::Clause;
use crate::grammar::correct::counted;
use crate::grammar::frame::{Entity, Member, Said, put};
use crate::grammar::lexicon::{Class, Deed};
use crate::grammar::part::{Article, Part};
use crate::grammar::relate::Relations;
use crate::grammar::setting::Set;

impl Reader<'_> {
    #[expect(clippy::too_many_arguments, reason = "the state of one scan")]
    pub(super) fn take_part(
        &mut self,
        clause: &Clause,
        at: usize,
        mut part: Part,
        out: &mut Scanned,
        relations: &mut Relations,
        focus: &mut Vec<usize>,
        waiting: &mut Vec<Said<Set>>,
        action: Option<Action>,
    ) {
        let span = self.view.span(at);
        if let Some((name, span)) = part.env.take() {
            out.frame.environments.retain(|e| e.value != name);
            out.frame.environments.push(Said::new(name, span));
        }
        if let Some((platform, span)) = part.platform.take() {
            out.frame.platform.get_or_insert(Said::new(platform, span));
        }
        if let Some((region, span)) = part.region.take() {
            out.frame.region.get_or_insert(Said::new(region, span));
        }
        // "as a frontend", "as its database": says what the last one is.
        if at > clause.from
            && self.view.text(at - 1) == "as"
            && let Some(last) = focus.last().copied()
            && let Some((kind, at)) = part.kind.filter(|_| part.engine.is_none())
        {
            let entity = &mut self.entities[last];
            entity.kind = Some(Said::new(kind, at));
            if let Some((name, at)) = part.names.first().cloned() {
                entity.name = Some(Said::new(name, at));
            }
            self.settle_part(&part, last, out, waiting, action);
            return;
        }
        // "(Vault)", ": RabbitMQ": the product of what was just named.
        let apposed = at > clause.from && self.view.mark(at - 1, '(');
        let engine_said = at > clause.from + 1
            && (self.view.mark(at - 1, ':') || self.view.mark(at - 1, '='))
            && matches!(
                self.view.text(at - 2),
                "engine" | "product" | "software" | "type" | "technology" | "stack"
            );
        // "a gateway with Traefik": a product of the same kind says which.
        // "a VM, Ubuntu 22.04", "migrate the orders database to PostgreSQL 17".
        let changes = clause.verb.is_some_and(|v| matches!(v.deed, Deed::Set | Deed::Do(Action::Update)));
        let comma = at > clause.from + 1 && self.view.mark(at - 1, ',') && self.view.is_part(at - 2);
        let to = changes && at > clause.from && self.view.text(at - 1) == "to";
        let kind_word = focus.last().is_some_and(|id| self.entities[*id].engine.is_none());
        let same_kind = at > clause.from
            && (self.view.is(at - 1, Class::With) || (comma || to) && kind_word)
            && part.names.is_empty()
            && part.article == Article::None
            && part.usual
            && focus.last().is_some_and(|id| {
                self.entities[*id].kind.as_ref().map(|k| k.value) == part.kind.map(|k| k.0)
                    && (self.entities[*id].name.is_none() || comma || to)
            });
        let apposed = apposed || engine_said || same_kind;
        // "billing-worker (worker)"
        if apposed
            && part.engine.is_none()
            && part.names.is_empty()
            && let Some(last) = focus.last().copied()
            && self.entities[last].kind.is_none()
            && let Some((kind, kspan)) = part.kind
        {
            self.entities[last].kind = Some(Said::new(kind, kspan));
            self.settle_part(&part, last, out, waiting, action);
            return;
        }
        if apposed
            && let Some(last) = focus.last().copied()
            && self.entities[last].engine.is_none()
            && part.names.is_empty()
            && let Some((engine, espan)) = part.engine.clone()
            && (part.usual
                || part.kind.is_none()
                || part.kind.map(|k| k.0) == self.entities[last].kind.as_ref().map(|k| k.value))
        {
            self.entities[last].engine = Some(Said::new(engine, espan));
            self.settle_part(&part, last, out, waiting, action);
            return;
        }
        if part.article != Article::Definite {
            out.only_definite = false;
        }
        let names: Vec<Option<(String, Span)>> =
            if part.names.is_empty() { vec![None] } else { part.names.iter().cloned().map(Some).collect() };
        let many = names.len() > 1;
        let mut group = Vec::new();
        for name in names {
            let id = self.entity(&part, name, out);
            group.push(id);
        }
        if many {
            part.count = None;
        }
        let object = relations.meets(&self.view, clause, at, &group, span, out, &self.entities);
        for id in &group {
            let known = out.frame.members.iter().any(|m| m.entity == *id);
            let member = out.frame.member(*id);
            if !known {
                member.object = object;
            }
            if !out.fresh.contains(id) {
                out.fresh.push(*id);
            }
        }
        for id in group.clone() {
            self.settle_part(&part, id, out, waiting, action);
        }
        waiting.clear();
        *focus = group;
    }

    /// The entity of a mention: one named before, or a new one.
    pub(super) fn entity(&mut self, part: &Part, name: Option<(String, Span)>, out: &Scanned) -> usize {
        let kind = part.kind.map(|k| k.0);
        let engine = part.engine.as_ref().map(|e| e.0.as_str());
        let fits = |e: &Entity| {
            let kinds = match (&e.kind, kind) {
                (Some(a), Some(b)) => {
                    a.value == b
                        || (part.usual
                            && engine.is_some_and(|g| e.engine.as_ref().is_some_and(|x| x.value == g)))
                }
                _ => true,
            };
            let engines = match (&e.engine, engine) {
                (Some(a), Some(b)) => a.value == b,
                (None, Some(_)) => part.article == Article::Definite || name.is_some(),
                _ => true,
            };
            kinds && engines
        };
        let found = match &name {
            Some((name, _)) => self
                .entities
                .iter()
                .rposition(|e| e.name.as_ref().is_some_and(|n| n.value == *name) && fits(e)),
            None if part.article == Article::Indefinite => None,
            None => {
                let same = |e: &Entity| {
                    fits(e) && (e.kind.is_some() && kind.is_some() || e.engine.is_some() && engine.is_some())
                };
                // In the clause itself first, then what was named last.
                let _ = out;
                let exact = self.entities.iter().rposition(|e| {
                    same(e) && (engine.is_none() || e.engine.as_ref().map(|x| x.value.as_str()) == engine)
                });
                exact.or_else(|| self.entities.iter().rposition(same))
            }
        };
        // "two workers" after "the worker" are new ones.
        if let Some(id) = found.filter(|_| {
            part.count.is_none()
                || part.article == Article::Definite
                || name.is_some()
                || self.frames.iter().all(|f| f.members.is_empty())
        }) {
            let entity = &mut self.entities[id];
            if let Some((k, span)) = part.kind {
                match &mut entity.kind {
                    Some(said) if said.value == k => said.spans.push(span),
                    None => entity.kind = Some(Said::new(k, span)),
                    _ => {}
                }
            }
            if let Some((engine, span)) = &part.engine {
                match &mut entity.engine {
                    Some(said) => said.spans.push(*span),
                    None => entity.engine = Some(Said::new(engine.clone(), *span)),
                }
            }
            if let (Some((_, span)), Some(said)) = (&name, &mut entity.name) {
                said.spans.push(*span);
            }
            return id;
        }
        self.entities.push(Entity {
            kind: part.kind.map(|(k, s)| Said::new(k, s)),
            engine: part.engine.clone().map(|(e, s)| Said::new(e, s)),
            name: name.map(|(n, s)| Said::new(n, s)),
        });
        self.entities.len() - 1
    }

    /// What the mention itself says of its component.
    pub(super) fn settle_part(
        &mut self,
        part: &Part,
        id: usize,
        out: &mut Scanned,
        waiting: &[Said<Set>],
        action: Option<Action>,
    ) {
        let kind = self.entities[id].kind.as_ref().map(|k| k.value);
        let mut settings: Vec<Said<Set>> = waiting.to_vec();
        if let Some((text, span)) = &part.version {
            settings.push(Said::new(Set::Version(text.clone()), *span));
        }
        if let Some((n, span)) = part.count
            && (n > 1 || action == Some(Action::Scale))
            && (part.article != Article::Definite || action == Some(Action::Scale))
        {
            out.counted = true;
            settings.push(Said::new(counted(n), span));
        }
        for (set, span) in &part.settings {
            settings.push(Said::new(set.clone(), *span));
        }
        if let Some((text, span)) = &part.bytes {
            settings.push(Said::new(bytes_of(kind, text), *span));
        }
        let member = out.frame.member(id);
        for said in settings {
            let field = said.value.field();
            if let Some(span) = put(&mut member.settings, said)
                && field != "version"
            {
                self.doubts.push(Doubt::Differs { field, span });
            }
        }
    }

    /// "called X": the name of the component in focus, or of several.
    pub(super) fn take_names(
        &mut self,
        names: Vec<(String, Span)>,
        out: &mut Scanned,
        focus: &mut Vec<usize>,
    ) {
        let Some(first) = focus.last().copied() else {
            out.names = names;
            return;
        };
        if names.len() > 1 {
            // "two workers named a and b" are two components, not two replicas.
            if let Some(member) = out.frame.members.iter_mut().find(|m| m.entity == first) {
                member.settings.retain(|s| !matches!(s.value, Set::Replicas(_)));
            }
            out.counted = false;
        }
        for (n, (name, span)) in names.into_iter().enumerate() {
            if n == 0 {
                self.name(first, name, span);
            } else {
                let mut entity = self.entities[first].clone();
                entity.name = Some(Said::new(name, span));
                self.entities.push(entity);
                let id = self.entities.len() - 1;
                let copy = out.frame.members.iter().find(|m| m.entity == first).cloned();
                let member = Member { entity: id, ..copy.unwrap_or_default() };
                out.frame.members.push(member);
                out.fresh.push(id);
                focus.push(id);
            }
        }
    }

    pub(super) fn name(&mut self, id: usize, name: String, span: Span) {
        self.entities[id].name.get_or_insert(Said::new(name, span));
    }
}

/// Bytes without their field: what stores has storage, what runs has memory.
pub(super) fn bytes_of(kind: Option<Kind>, text: &str) -> Set {
    match kind {
        Some(
            Kind::Database
            | Kind::ObjectStorage
            | Kind::Queue
            | Kind::Search
            | Kind::Registry
            | Kind::Monitoring,
        ) => Set::Storage(text.to_owned()),
        _ => Set::Memory(text.to_owned()),
    }
}
