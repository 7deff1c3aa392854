//! Clauses to frames: who is meant, what is said of whom, and what clauses share.
//!
//! ```text
//!  clause ──▶ scanned: own parts, settings, places, relations, references
//!                │
//!    no action ──┼──▶ before any action: a preamble, which the next action takes up ("it", "both", nothing)
//!                │    after one: more about the last action
//!    action ─────┴──▶ a frame of its own, merged with the last one where action and place are the same
//! ```

use code_core::intent::{Action, Kind};
use code_core::request::Span;

use super::atom::What;
use super::clause::{Clause, Verb, View};
use super::correct::counted;
use super::frame::{Entity, Frame, Member, Said, put};
use super::lexicon::{Class, Deed, Field, Form, Sense, lexicon};
use super::part::{Article, Part};
use super::piece::Item;
use super::relate::Relations;
use super::setting::{Set, replicas};
use super::value::Value;

/// What was unclear while reading.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Doubt {
    /// A field of one component has two values.
    Differs { field: &'static str, span: Span },
    /// An action is asked for and denied.
    Denied { action: Action, span: Span },
    /// An action without anything to do it to.
    NoObject { action: Action, span: Span },
    /// Something was denied, and nothing else asked.
    Refused { span: Span },
    /// A word that stands where an environment would.
    UnknownEnvironment { word: String, span: Span },
}

/// The state of the discourse.
pub(crate) struct Reader<'a> {
    pub(crate) view: View<'a>,
    pub(crate) entities: Vec<Entity>,
    pub(crate) frames: Vec<Frame>,
    /// What was said before any action, or since the last one.
    pub(crate) pending: Frame,
    /// What stands before the first verb of the sentence, for all its clauses.
    pub(crate) lead: Frame,
    pub(crate) doubts: Vec<Doubt>,
    /// A dry run asked for in a clause of its own before any action.
    pub(crate) dry_run: Option<Span>,
    /// Actions without an object, which wait for the next clause's.
    waiting: Option<Frame>,
}

/// What a clause says.
#[derive(Default)]
pub(crate) struct Scanned {
    pub(crate) frame: Frame,
    /// It refers to what was named before.
    pub(crate) it: Option<Span>,
    pub(crate) them: Option<Span>,
    pub(crate) there: Option<Span>,
    pub(crate) both: Option<Span>,
    /// Settings with no component in the clause.
    pub(crate) loose: Vec<Said<Set>>,
    /// Environments before the verb.
    pub(crate) lead: Frame,
    pub(crate) names: Vec<(String, Span)>,
    pub(crate) later: bool,
    pub(crate) up: bool,
    pub(crate) down: bool,
    /// A relation was stated.
    pub(crate) related: bool,
    pub(crate) fresh: Vec<usize>,
    pub(crate) only_definite: bool,
    pub(crate) counted: bool,
    pub(crate) denied_parts: bool,
    /// The component to which the last setting of a row went, past the one in focus.
    pub(crate) redirected: Option<usize>,
    /// "the minimum number of replicas … to 2": which end the next number is.
    pub(crate) bound: Option<bool>,
    /// What is denied.
    pub(crate) excluded: Vec<Part>,
    pub(crate) range: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(view: View<'a>) -> Reader<'a> {
        Reader {
            view,
            entities: Vec::new(),
            frames: Vec::new(),
            pending: Frame::default(),
            lead: Frame::default(),
            doubts: Vec::new(),
            dry_run: None,
            waiting: None,
        }
    }

    /// Reads all clauses.
    pub(crate) fn read(&mut self, clauses: &[Clause]) {
        let mut sentence = usize::MAX;
        for (n, clause) in clauses.iter().enumerate() {
            if clause.sentence != sentence {
                sentence = clause.sentence;
                self.lead = Frame::default();
            }
            let next_same =
                clauses.get(n + 1).is_some_and(|c| c.sentence == clause.sentence && c.verb.is_some());
            self.clause(clause, next_same);
        }
        if let Some(frame) = self.waiting.take() {
            self.admit(frame, Vec::new());
        }
        self.finish();
    }

    fn clause(&mut self, clause: &Clause, next_same: bool) {
        let action = self.action_before_scan(clause);
        let mut scanned = self.scan(clause, action);
        scanned.frame.sentence = clause.sentence;
        // "don't restart the API, only the worker": what is left is asked for.
        let mut verb = clause.verb;
        if let Some((denied, span)) = clause.denied
            && verb.is_none()
        {
            if !scanned.fresh.is_empty() && scanned.denied_parts {
                verb = Some(Verb { deed: Deed::Do(denied), topic: None, span, at: clause.from, weak: false });
            } else {
                self.denied(clause, denied, span, &scanned);
                return;
            }
        }
        if let Some(span) = clause.dry_run {
            scanned.frame.dry_run = Some(span);
        }
        let action = verb.and_then(|verb| self.resolve(clause, verb, &scanned));
        match action {
            Some((action, weak)) => self.act(clause, action, weak, scanned, next_same),
            None if clause.gapped && !self.frames.is_empty() => self.gap(scanned),
            None => self.state(clause, scanned),
        }
    }

    /// The action as far as the verb alone says it; loose numbers are read by it.
    fn action_before_scan(&self, clause: &Clause) -> Option<Action> {
        match clause.verb {
            Some(Verb { deed: Deed::Do(action), .. }) => Some(action),
            Some(Verb { deed: Deed::Raise, .. }) => None,
            None if clause.gapped => self.frames.last().and_then(|f| f.action.as_ref()).map(|a| a.value),
            _ => None,
        }
    }

    /// Reads the pieces of a clause.
    fn scan(&mut self, clause: &Clause, action: Option<Action>) -> Scanned {
        let mut out = Scanned { only_definite: true, ..Scanned::default() };
        let antecedent = self.pending.members.first().map(|m| m.entity);
        let antecedent = antecedent.or_else(|| self.frames.last().and_then(subject));
        let mut relations = Relations::after(antecedent);
        // The components on which the next setting falls; settings that stand before their component.
        let mut focus: Vec<usize> = Vec::new();
        let mut waiting: Vec<Said<Set>> = Vec::new();
        let mut open: Option<Field> = None;
        let verb_at = clause.verb.map_or(usize::MAX, |v| v.at);
        let auto = (clause.from..clause.to).any(|i| self.view.is(i, Class::Auto) && !self.view.is_part(i));
        let raises = clause
            .verb
            .is_some_and(|v| matches!(v.deed, Deed::Raise | Deed::Bring | Deed::Do(Action::Scale)));
        let mut at = clause.from;
        while at < clause.to {
            let span = self.view.span(at);
            let Some(item) = self.view.item(at) else { break };
            match item.clone() {
                Item::Part(part) => {
                    let denied = clause.denied.is_some() && clause.verb.is_none();
                    if denied && !(clause.from..at).any(|i| self.view.is(i, Class::Only)) {
                        // "don't restart the API, only the worker"
                        out.denied_parts = true;
                        out.excluded.push(*part);
                        at += 1;
                        continue;
                    }
                    if self.excluded(clause, at) || (part.weak && !self.weak_is_meant(clause, at, &part)) {
                        out.denied_parts |= !part.weak;
                        relations.break_off();
                        at += 1;
                        continue;
                    }
                    self.take_part(
                        clause,
                        at,
                        *part,
                        &mut out,
                        &mut relations,
                        &mut focus,
                        &mut waiting,
                        action,
                    );
                    open = None;
                }
                Item::Set(Set::Names(names)) => self.take_names(names, &mut out, &mut focus),
                Item::Set(set) => {
                    let set = self.toward(at, set, action, auto, raises);
                    out.range |= matches!(set, Set::Replicas(r) if r.min != r.max);
                    self.take_set(
                        clause,
                        at,
                        Said::new(set, span),
                        &mut out,
                        &mut focus,
                        &mut waiting,
                        action,
                    );
                }
                Item::Loose(value) => {
                    if let Some(set) = self.loose(clause, at, &value, action, open, auto, &focus, &mut out) {
                        let set = bounded(set, out.bound.take());
                        out.range |= matches!(set, Set::Replicas(r) if r.min != r.max);
                        self.take_set(
                            clause,
                            at,
                            Said::new(set, span),
                            &mut out,
                            &mut focus,
                            &mut waiting,
                            action,
                        );
                        open = open.filter(|field| *field == Field::Replicas);
                    }
                }
                Item::Time(cron) => {
                    let timed = focus.last().or(antecedent.as_ref()).is_some_and(|id| {
                        self.entities[*id].kind.as_ref().is_some_and(|k| k.value == Kind::Cron)
                    });
                    if timed {
                        let said = Said::new(Set::Schedule(cron), span);
                        self.take_set(clause, at, said, &mut out, &mut focus, &mut waiting, action);
                    }
                }
                Item::Field(field) => open = Some(field),
                Item::App(name) => {
                    let said = Said::new(name, span);
                    if at < verb_at {
                        out.lead.application.get_or_insert(said.clone());
                    }
                    out.frame.application.get_or_insert(said);
                }
                Item::Env(name) => self.take_env(clause, at, name, &mut out, action, verb_at),
                Item::Platform(platform) => {
                    let said = Said::new(platform, span);
                    if at < verb_at {
                        out.lead.platform.get_or_insert(said.clone());
                    }
                    out.frame.platform.get_or_insert(said);
                }
                Item::Region(name) => {
                    let said = Said::new(name, span);
                    if at < verb_at {
                        out.lead.region.get_or_insert(said.clone());
                    }
                    out.frame.region.get_or_insert(said);
                }
                Item::Cluster(name) => {
                    let said = Said::new(name, span);
                    if at < verb_at {
                        out.lead.cluster.get_or_insert(said.clone());
                    }
                    out.frame.cluster.get_or_insert(said);
                }
                Item::Namespace(name) => {
                    let said = Said::new(name, span);
                    if at < verb_at {
                        out.lead.namespace.get_or_insert(said.clone());
                    }
                    out.frame.namespace.get_or_insert(said);
                }
                Item::Compliance(name) => {
                    if !out.frame.compliance.iter().any(|c| c.value == name) {
                        out.frame.compliance.push(Said::new(name, span));
                    }
                }
                Item::Money(amount, currency, monthly) => {
                    if monthly || self.is_budget(clause, at) {
                        out.frame.budget = Some(Said::new((amount, currency), span));
                    }
                }
                Item::Atom => self.take_atom(clause, at, &mut out, &mut relations, &focus),
            }
            out.frame.span = Some(out.frame.span.map_or(span, |s| s.to(span)));
            at += 1;
        }
        // Settings that found no component of their own.
        if let [only] = out.fresh.as_slice() {
            let only = *only;
            for said in waiting {
                put(&mut out.frame.member(only).settings, said);
            }
        } else if out.fresh.is_empty() {
            out.loose.extend(waiting);
        } else {
            let first = out.fresh[0];
            for said in waiting {
                put(&mut out.frame.member(first).settings, said);
            }
        }
        relations.settle(&mut out.frame);
        out
    }

    /// Whether "no", "without", "instead of", "leave … alone" takes a mention out.
    fn excluded(&self, clause: &Clause, at: usize) -> bool {
        let mut back = at;
        while back > clause.from && back + 4 > at {
            back -= 1;
            let Some(atom) = self.view.atom(back) else {
                // "no cache and no database", "without cache or database"
                if self.view.is_part(back) {
                    let joined = self.view.text(back + 1) == "or" || self.view.text(back + 1) == "nor";
                    return joined && self.excluded(clause, back);
                }
                return false;
            };
            if atom.is(Class::Without)
                && !atom.is(Class::No)
                    | matches!(atom.text.as_str(), "no" | "without" | "not" | "none" | "never")
            {
                let verb_between = (back + 1..at).any(|i| self.view.deed(i).is_some());
                return !verb_between;
            }
            if atom.is(Class::Leave) && self.leaves(at, clause) {
                return true;
            }
            let passes = atom.is(Class::Indefinite)
                || atom.is(Class::Definite)
                || atom.is(Class::Fill)
                || atom.is(Class::Or)
                || atom.is(Class::Of)
                || matches!(atom.text.as_str(), "any" | "using" | "use" | "touch" | "for" | "need");
            if !passes {
                return false;
            }
        }
        false
    }

    /// "leave the database alone", "keep the worker as it is", "don't touch the cache".
    fn leaves(&self, at: usize, clause: &Clause) -> bool {
        let before = (clause.from..at)
            .any(|i| matches!(self.view.text(i), "don't touch" | "do not touch" | "not touch" | "spare"));
        before
            || (at + 1..(at + 5).min(clause.to)).any(|i| {
                matches!(
                    self.view.text(i),
                    "alone" | "as" | "untouched" | "running" | "unchanged" | "be" | "in peace"
                )
            })
    }

    /// Whether a lone word stands where a component does.
    fn weak_is_meant(&self, clause: &Clause, at: usize, part: &Part) -> bool {
        let name = &part.names[0].0;
        if self.entities.iter().any(|e| e.name.as_ref().is_some_and(|n| n.value == *name)) {
            return true;
        }
        let Some(verb) = clause.verb else {
            // The subject of a preamble, or an item of a list.
            let first = (clause.from..at).all(|i| {
                self.view.atom(i).is_some_and(|a| {
                    a.is(Class::Fill)
                        || a.is(Class::Definite)
                        || matches!(a.what, What::Bullet | What::Newline)
                })
            });
            let next = self.view.atom(at + 1);
            return first
                && next.is_some_and(|a| {
                    a.is(Class::Be)
                        || deed_like(a)
                        || a.is(Class::Modal)
                        || matches!(a.text.as_str(), "on" | "in" | "looks" | "seems")
                })
                || clause.gapped;
        };
        // "a website for my bakery": what it is for is no component.
        let mut before = at;
        while before > clause.from && self.view.is(before - 1, Class::Definite) {
            before -= 1;
        }
        let purpose = before > clause.from
            && self.view.text(before - 1) == "for"
            && matches!(verb.deed, Deed::Do(Action::Deploy) | Deed::Need | Deed::Get | Deed::Set | Deed::Add);
        if purpose || is_adverb(name) {
            return false;
        }
        let after = at > verb.at;
        let before_passive = at < verb.at
            && (matches!(verb.deed, Deed::Need)
                || (at + 1..verb.at).any(|i| self.view.is(i, Class::Modal) || self.view.is(i, Class::Be)));
        let topic_first = at < verb.at
            && self.view.atom(at + 1).is_some_and(|a| a.senses.iter().any(|s| matches!(s, Sense::Topic(_))));
        after || before_passive || topic_first || part.owns || self.colon_before(clause, at)
    }

    fn colon_before(&self, clause: &Clause, at: usize) -> bool {
        at > clause.from
            && (self.view.mark(at - 1, ':') || self.view.atom(at - 1).is_some_and(|a| a.what == What::Bullet))
    }

    #[expect(clippy::too_many_arguments, reason = "the state of one scan")]
    fn take_part(
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
        let same_kind = at > clause.from
            && self.view.is(at - 1, Class::With)
            && part.article == Article::None
            && part.usual
            && focus.last().is_some_and(|id| {
                self.entities[*id].kind.as_ref().map(|k| k.value) == part.kind.map(|k| k.0)
                    && self.entities[*id].name.is_none()
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
    fn entity(&mut self, part: &Part, name: Option<(String, Span)>, out: &Scanned) -> usize {
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
    fn settle_part(
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
            put(&mut member.settings, said);
        }
    }

    /// "called X": the name of the component in focus, or of several.
    fn take_names(&mut self, names: Vec<(String, Span)>, out: &mut Scanned, focus: &mut Vec<usize>) {
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

    fn name(&mut self, id: usize, name: String, span: Span) {
        self.entities[id].name.get_or_insert(Said::new(name, span));
    }

    /// "from 2 to 5" on a way to somewhere is 5; as a range of automatic scaling it is both.
    fn toward(&self, at: usize, set: Set, action: Option<Action>, auto: bool, raises: bool) -> Set {
        let first = self.view.atoms[self.view.pieces[at].atoms.0].text.as_str();
        let from = first == "from";
        let after_part = at > 0 && !self.view.mark(at - 1, ',') && !self.view.is(at - 1, Class::With);
        let up_to = first == "up to" && after_part && raises;
        match set {
            // "crank it up to 10 pods" is ten; "autoscale up to 10" is the upper end.
            Set::Replicas(r) if up_to && r.min.is_none() && !auto => r.max.map_or(set, counted),
            Set::Replicas(r) if from && !auto && matches!(action, Some(Action::Scale | Action::Update)) => {
                r.max.map_or(set, counted)
            }
            set => set,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the state of one scan")]
    fn take_set(
        &mut self,
        clause: &Clause,
        at: usize,
        said: Said<Set>,
        out: &mut Scanned,
        focus: &mut Vec<usize>,
        waiting: &mut Vec<Said<Set>>,
        action: Option<Action>,
    ) {
        let view = &self.view;
        if let Set::Version(text) = &said.value {
            let rollback = action == Some(Action::Rollback);
            // "release 5.2 of X" is a place to go back to, and a version to promote.
            if rollback {
                out.frame.rollback_to = Some(Said { value: text.clone(), spans: said.spans });
                return;
            }
            if view.text(at.saturating_sub(1)) == "from"
                && (at + 1..(at + 3).min(clause.to)).any(|i| view.is(i, Class::To))
            {
                return;
            }
        }
        // "2 replicas of the web app", "TLS on the website", "X=1 for the worker".
        let mut next = at + 1;
        while next < clause.to
            && view.atom(next).is_some_and(|a| a.is(Class::And) || a.mark(',') || a.is(Class::Fill))
            && matches!(view.item(next + 1), Some(Item::Set(_)))
        {
            next += 2;
        }
        let forward = view.atom(next).is_some_and(|a| matches!(a.text.as_str(), "of" | "for"))
            && view.is_part(next + 1);
        let adjective = view.is_part(at + 1)
            && matches!(
                said.value,
                Set::Public(_) | Set::Encrypted(_) | Set::HighlyAvailable(_) | Set::Replicas(_)
            )
            && !view.is(at + 1, Class::With)
            && self.part_is_bare(at + 1);
        let each = (at + 1..(at + 3).min(clause.to))
            .any(|i| matches!(view.text(i), "each" | "apiece" | "each of them" | "both"))
            || (clause.from..at)
                .rev()
                .take(3)
                .any(|i| matches!(view.text(i), "both" | "each" | "both of them"));
        if (forward || adjective || focus.is_empty()) && (!each || out.fresh.is_empty()) {
            let implicit = matches!(said.value, Set::Image(_) | Set::Source(_))
                && focus.is_empty()
                && !self.image_is_setting(clause, at);
            if implicit {
                // An image or a repository can itself be what is deployed.
                let field = said.value.field();
                let known = self
                    .frames
                    .iter()
                    .rev()
                    .flat_map(|f| &f.members)
                    .find(|m| m.settings.iter().any(|s| s.value.field() == field && s.value == said.value))
                    .map(|m| m.entity);
                let id = known.unwrap_or_else(|| {
                    self.entities.push(Entity::default());
                    self.entities.len() - 1
                });
                for waiting in waiting.drain(..) {
                    put(&mut out.frame.member(id).settings, waiting);
                }
                put(&mut out.frame.member(id).settings, said);
                out.fresh.push(id);
                out.only_definite = false;
                *focus = vec![id];
                return;
            }
            waiting.push(said);
            return;
        }
        // "two VMs with 4 cores each": each of the two; "an API and a worker with 2 cores each": of both.
        let counted = focus.iter().any(|id| {
            let member = out.frame.members.iter().find(|m| m.entity == *id);
            member.is_some_and(|m| {
                m.settings.iter().any(|s| matches!(s.value, Set::Replicas(r) if r.min > Some(1)))
            })
        });
        let each = each && !(counted && !self.view.is(at + 1, Class::It) && self.view.text(at + 1) != "both");
        let targets: Vec<usize> =
            if each { out.fresh.clone() } else { self.suited(clause, at, &said.value, focus, out) };
        for id in targets {
            let span = said.spans[0];
            let differs = put(&mut out.frame.member(id).settings, said.clone());
            if differs.is_some() && !matches!(said.value, Set::Schedule(_) | Set::Host(_) | Set::Version(_)) {
                self.doubts.push(Doubt::Differs { field: said.value.field(), span });
            }
            if let Set::Schedule(_) = said.value {
                self.schedule_settles_kind(id);
            }
        }
    }

    /// A job that comes again is a cron job.
    fn schedule_settles_kind(&mut self, id: usize) {
        if let Some(kind) = &mut self.entities[id].kind
            && kind.value == Kind::Job
        {
            kind.value = Kind::Cron;
        }
    }

    fn part_is_bare(&self, at: usize) -> bool {
        matches!(self.view.item(at), Some(Item::Part(part)) if part.article == Article::None && !part.weak)
    }

    /// Whether an image or source says how something is to be, and is not itself what is named.
    fn image_is_setting(&self, clause: &Clause, at: usize) -> bool {
        let before = (clause.from..at)
            .rev()
            .find(|i| !self.view.is(*i, Class::Definite))
            .map_or("", |i| self.view.text(i));
        let parts_after = (at + 1..clause.to).any(|i| {
            self.view.is_part(i) && self.view.text(i - 1) != "as" && !self.view.is(i - 1, Class::With)
        });
        matches!(before, "from" | "to" | "with" | "using" | "at" | "of" | "use") && parts_after
            || matches!(before, "to" | "at")
                && clause.verb.is_some_and(|v| matches!(v.deed, Deed::Set | Deed::Do(Action::Update)))
    }

    /// The components that a setting suits: ports and replicas are rather the application's than its database's.
    /// Whether a setting stands in a row with the one before it: "2 replicas and 512 MB".
    fn in_row(&self, clause: &Clause, at: usize) -> bool {
        let joined = at > clause.from + 1 && (self.view.text(at - 1) == "and" || self.view.mark(at - 1, ','));
        joined && matches!(self.view.item(at - 2), Some(Item::Set(_)))
    }

    fn suited(
        &self,
        clause: &Clause,
        at: usize,
        set: &Set,
        focus: &[usize],
        out: &mut Scanned,
    ) -> Vec<usize> {
        let served = matches!(
            set,
            Set::Port(_)
                | Set::Host(_)
                | Set::Replicas(_)
                | Set::Tls(_)
                | Set::Public(_)
                | Set::Env(..)
                | Set::Cpu(_)
        );
        let [only] = focus else { return focus.to_vec() };
        let kind = self.entities[*only].kind.as_ref().map(|k| k.value);
        let stateful = matches!(
            kind,
            Some(Kind::Database | Kind::Cache | Kind::Queue | Kind::ObjectStorage | Kind::Search)
        );
        let object = out.frame.members.iter().any(|m| m.entity == *only && m.object);
        let apart = at > clause.from
            && (self.view.mark(at - 1, ',')
                || self.view.text(at - 1) == "and"
                || self.view.is(at - 1, Class::In)
                || self.view.is(at - 1, Class::With));
        let relative = (clause.from..at).rev().take(4).any(|i| self.view.is(i, Class::Which));
        let redirected = self.in_row(clause, at) && out.redirected.is_some();
        if redirected && let Some(id) = out.redirected {
            return vec![id];
        }
        if served && stateful && object && apart && !relative {
            let subject =
                out.frame.members.iter().find(|m| m.needs.iter().any(|n| n.value == *only) || !m.object);
            if let Some(id) = subject.map(|m| m.entity) {
                out.redirected = Some(id);
                return vec![id];
            }
        }
        out.redirected = None;
        // Storage suits what stores.
        if matches!(set, Set::Storage(_) | Set::Backups(_)) && !stateful && apart {
            let store = out.frame.members.iter().rev().find(|m| {
                matches!(
                    self.entities[m.entity].kind.as_ref().map(|k| k.value),
                    Some(Kind::Database | Kind::ObjectStorage | Kind::Queue | Kind::Search)
                )
            });
            if let Some(store) = store
                && matches!(
                    kind,
                    Some(Kind::Web | Kind::Api | Kind::Worker | Kind::Function | Kind::StaticSite)
                )
            {
                return vec![store.entity];
            }
        }
        if matches!(set, Set::Schedule(_)) {
            let timed = |id: usize| {
                let kind = self.entities[id].kind.as_ref().map(|k| k.value);
                matches!(kind, Some(Kind::Cron | Kind::Job | Kind::Function | Kind::Worker) | None)
            };
            return focus.iter().copied().filter(|id| timed(*id)).collect();
        }
        focus.to_vec()
    }

    /// A value without its field, read by the action, the verb and the component.
    #[expect(clippy::too_many_arguments, reason = "the state of one scan")]
    fn loose(
        &self,
        clause: &Clause,
        at: usize,
        value: &Value,
        action: Option<Action>,
        open: Option<Field>,
        auto: bool,
        focus: &[usize],
        out: &mut Scanned,
    ) -> Option<Set> {
        let view = &self.view;
        let kind = focus.last().and_then(|id| self.entities[*id].kind.as_ref()).map(|k| k.value);
        let text = &view.atoms[view.pieces[at].atoms.0].raw;
        let times = matches!(view.atoms[view.pieces[at].atoms.0].what, What::Times(_))
            || view.atoms[view.pieces[at].atoms.1 - 1].text == "x";
        let span = view.span(at);
        let before = if at > clause.from { view.text(at - 1) } else { "" };
        let to = at > clause.from
            && (view.is(at - 1, Class::To)
                || before == "until"
                || before == "on"
                || before == "at"
                || before == "up to"
                || before == "by");
        let verb = clause.verb.map(|v| v.deed);
        let raise = matches!(verb, Some(Deed::Raise | Deed::Set | Deed::Bring | Deed::Get));
        if let Some(field) = open {
            let set = match (field, value) {
                (Field::Replicas, value) => replicas(value).map(Set::Replicas),
                (Field::Memory, Value::Bytes(text)) => Some(Set::Memory(text.clone())),
                (Field::Storage, Value::Bytes(text)) => Some(Set::Storage(text.clone())),
                (Field::Cpu, Value::Count(n)) => Some(Set::Cpu(f64::from(*n))),
                (Field::Port, Value::Count(n)) => u16::try_from(*n).ok().map(Set::Port),
                (Field::Version, Value::Version(text)) => Some(Set::Version(text.clone())),
                (Field::Version, Value::Count(_)) => Some(Set::Version(text.clone())),
                (Field::Version, Value::Range(_, high)) => Some(Set::Version(high.to_string())),
                _ => None,
            };
            if set.is_some() {
                return set;
            }
        }
        // "up to 10" after a plain "scale" is ten; with "autoscale" it is the upper end.
        let exact = |value: &Value| match value {
            Value::AtMost(n)
                if !auto
                    && before != ","
                    && view.atoms[view.pieces[at].atoms.0].text == "up to"
                    && (action == Some(Action::Scale) || raise) =>
            {
                Value::Count(*n)
            }
            Value::Range(_, high) if !auto && view.atoms[view.pieces[at].atoms.0].text == "from" => {
                Value::Count(*high)
            }
            other => other.clone(),
        };
        match value {
            Value::Bytes(text) => Some(bytes_of(kind, text)),
            Value::Cores(cores) => Some(Set::Cpu(*cores)),
            Value::Money(..) => None,
            _ if times => replicas(value).map(Set::Replicas),
            Value::Version(version) => {
                if action == Some(Action::Rollback) {
                    out.frame.rollback_to = Some(Said::new(version.clone(), span));
                    return None;
                }
                Some(Set::Version(version.clone()))
            }
            Value::Decimal(_) => None,
            count => {
                let count = exact(count);
                match action {
                    Some(Action::Scale) => replicas(&count).map(Set::Replicas),
                    Some(Action::Rollback) => {
                        if to && let Value::Count(_) = count {
                            out.frame.rollback_to = Some(Said::new(text.clone(), span));
                        }
                        None
                    }
                    Some(Action::Update) if to || view.atoms[view.pieces[at].atoms.0].text == "from" => {
                        match &count {
                            Value::Count(_) | Value::Range(..) => Some(Set::Version(last_number(view, at))),
                            _ => replicas(&count).map(Set::Replicas),
                        }
                    }
                    _ if raise && to && !matches!(count, Value::Count(n) if n > 1000) => {
                        let engine = focus.last().is_some_and(|id| self.entities[*id].engine.is_some());
                        let word = clause.verb.map_or("", |v| view.text(v.at));
                        if engine
                            && (matches!(verb, Some(Deed::Set | Deed::Bring)) || word.starts_with("bump"))
                        {
                            Some(Set::Version(last_number(view, at)))
                        } else {
                            replicas(&count).map(Set::Replicas)
                        }
                    }
                    _ if auto => replicas(&count).map(Set::Replicas),
                    _ if !matches!(count, Value::Count(_))
                        && !focus.is_empty()
                        && view.text(at + 1) != "times" =>
                    {
                        replicas(&count).map(Set::Replicas)
                    }
                    _ => {
                        // "the worker 3" after "the API has 2 replicas".
                        let elliptic = at > clause.from
                            && view.is_part(at - 1)
                            && out
                                .frame
                                .members
                                .iter()
                                .any(|m| m.settings.iter().any(|s| matches!(s.value, Set::Replicas(_))));
                        elliptic.then(|| replicas(&count).map(Set::Replicas)).flatten()
                    }
                }
            }
        }
    }

    fn take_env(
        &mut self,
        clause: &Clause,
        at: usize,
        name: String,
        out: &mut Scanned,
        action: Option<Action>,
        verb_at: usize,
    ) {
        let span = self.view.span(at);
        let mut before = at;
        while before > clause.from
            && (self.view.is(before - 1, Class::Definite)
                || self.view.is(before - 1, Class::Fill)
                || self.view.is(before - 1, Class::Both))
            && !self.view.is(before - 1, Class::To)
        {
            before -= 1;
        }
        let from = before > clause.from && self.view.is(before - 1, Class::From);
        let to = before > clause.from
            && self.view.is(before - 1, Class::To)
            && !self.view.is(before - 1, Class::From);
        let excluded = before > clause.from
            && self.view.atom(before - 1).is_some_and(|a| {
                a.text == "not to"
                    || a.text == "but not"
                    || matches!(
                        a.text.as_str(),
                        "not" | "instead of" | "rather than" | "except" | "not in" | "without"
                    )
            });
        if excluded
            || (before > clause.from + 1
                && self.view.text(before - 2) == "not"
                && self.view.is(before - 1, Class::In))
        {
            return;
        }
        let said = Said::new(name, span);
        if action == Some(Action::Promote)
            || (from
                && (at + 1..clause.to).any(|i| {
                    matches!(self.view.item(i), Some(Item::Env(_))) && self.view.is(i - 1, Class::To)
                }))
        {
            let arrow = self.view.is(at + 1, Class::To)
                && matches!(self.view.item(at + 2), Some(Item::Env(_)))
                && !to;
            let what_is_in = at > verb_at
                && !to
                && before > clause.from
                && self.view.is(before - 1, Class::In)
                && (verb_at..at).any(|i| {
                    matches!(
                        self.view.text(i),
                        "what"
                            | "what is"
                            | "what's"
                            | "whatever"
                            | "version"
                            | "everything in"
                            | "runs"
                            | "running"
                            | "everything"
                            | "state"
                    )
                });
            if from || arrow || what_is_in {
                out.frame.source.get_or_insert(said);
                return;
            }
        }
        if at < verb_at && !from {
            out.lead.environments.push(said.clone());
        }
        if !out.frame.environments.iter().any(|e| e.value == said.value) {
            out.frame.environments.push(said);
        }
    }

    fn is_budget(&self, clause: &Clause, at: usize) -> bool {
        let near = |i: usize| {
            matches!(self.view.item(i), Some(Item::Field(Field::Budget)))
                || self.view.atom(i).is_some_and(|a| {
                    a.is(Class::AtMost)
                        || a.is(Class::Month)
                        || matches!(
                            a.text.as_str(),
                            "budget"
                                | "fit in"
                                | "fit within"
                                | "fit into"
                                | "afford"
                                | "spend"
                                | "ceiling"
                                | "allowed"
                                | "monthly"
                                | "limit"
                                | "have"
                                | "keep it"
                                | "within budget"
                                | "costs"
                        )
                })
        };
        (clause.from..clause.to).any(|i| i != at && near(i))
    }

    fn take_atom(
        &mut self,
        clause: &Clause,
        at: usize,
        out: &mut Scanned,
        relations: &mut Relations,
        focus: &[usize],
    ) {
        let view = &self.view;
        let Some(atom) = view.atom(at) else { return };
        let span = atom.span;
        if atom.is(Class::AtLeast) || atom.is(Class::AtMost) {
            out.bound = Some(atom.is(Class::AtLeast));
        }
        relations.atom(view, clause, at, focus, out, &self.entities);
        // Pronouns: "it", not "it is agreed that".
        if atom.is(Class::It) && is_pronoun(view, at, clause) {
            out.it = out.it.or(Some(span));
        }
        if atom.is(Class::Possessive) && !matches!(atom.text.as_str(), "the" | "our") {
            out.it = out.it.or(Some(span));
        }
        if atom.is(Class::Them)
            && !atom.is(Class::Who) | (atom.text != "they")
            && is_pronoun(view, at, clause)
        {
            out.them = out.them.or(Some(span));
        }
        if atom.is(Class::Both) && atom.text != "each" {
            out.both = Some(span);
        }
        if atom.is(Class::There) && view.text(at + 1) != "is" && view.text(at + 1) != "any" {
            out.there = Some(span);
        }
        if atom.is(Class::Everything) {
            out.frame.everything = true;
            out.them = out.them.or(Some(span));
        }
        out.later |= atom.is(Class::Later);
        out.up |= matches!(atom.text.as_str(), "up" | "online" | "live" | "running" | "going" | "in place");
        out.down |= atom.is(Class::Down);
        if clause.verb.is_some_and(|v| v.deed == Deed::Do(Action::Rollback)) {
            if atom.is(Class::Previous) && !relations_version_follows(view, at) {
                out.frame.rollback_to =
                    out.frame.rollback_to.take().or(Some(Said::new("previous".to_owned(), span)));
            } else if out.frame.rollback_to.is_none()
                && at > clause.from
                && view.is(at - 1, Class::To)
                && atom.unknown()
                && atom.raw.chars().any(|c| c.is_ascii_digit())
            {
                out.frame.rollback_to = Some(Said::new(atom.raw.clone(), span));
            }
        }
        // "deploy the API to zeus": an environment that nobody told us of.
        let acts = clause.verb.is_some_and(|v| matches!(v.deed, Deed::Do(Action::Deploy | Action::Promote)));
        if acts
            && atom.unknown()
            && !atom.capital
            && at > clause.from
            && matches!(view.text(at - 1), "to" | "into")
            && out.frame.environments.is_empty()
            && (at + 1 >= clause.to
                || view.atom(at + 1).is_some_and(|a| matches!(a.what, What::Mark(_) | What::Newline)))
            && atom.text.len() < 32
        {
            out.frame.environments.push(Said::new(atom.text.clone(), span));
            self.doubts.push(Doubt::UnknownEnvironment { word: atom.text.clone(), span });
        }
    }

    /// What the verb asks for, now that its clause is read; with whether it is only weakly said.
    fn resolve(&self, clause: &Clause, verb: Verb, out: &Scanned) -> Option<(Action, bool)> {
        let view = &self.view;
        let settings: Vec<&Set> = out
            .loose
            .iter()
            .map(|s| &s.value)
            .chain(out.frame.members.iter().flat_map(|m| m.settings.iter().map(|s| &s.value)))
            .collect();
        let parts = !out.frame.members.is_empty();
        let counts =
            settings.iter().any(|s| matches!(s, Set::Replicas(_))) && (!out.counted || out.only_definite);
        let others = settings.iter().any(|s| !matches!(s, Set::Replicas(_)));
        let question = clause.question;
        // "should we use X or Y?" wants advice.
        let first = first_word(view, clause);
        if question && view.text(first) == "should" && view.is(first + 1, Class::Who) {
            return None;
        }
        if out.later && !matches!(verb.deed, Deed::Do(_)) {
            return None;
        }
        let moves = out.frame.source.is_some() && !out.frame.environments.is_empty();
        let changes = if counts && !others {
            Some(Action::Scale)
        } else if counts || others {
            Some(Action::Update)
        } else {
            None
        };
        let new = parts && !out.only_definite;
        let object = parts || out.it.is_some() || out.them.is_some() || !self.pending.members.is_empty();
        match verb.deed {
            Deed::Do(Action::Update)
                if counts
                    && !others
                    && matches!(
                        view.text(verb.at),
                        "update" | "modify" | "configure" | "edit" | "reconfigure"
                    ) =>
            {
                Some((Action::Scale, false))
            }
            Deed::Do(Action::Deploy) if verb.weak && verb.topic.is_none() && !object => None,
            Deed::Do(action) => Some((action, verb.weak)),
            Deed::Set => {
                if moves {
                    return Some((Action::Promote, false));
                }
                let word = view.text(verb.at);
                let places = matches!(word, "put" | "make" | "move" | "apply" | "convert" | "use" | "turn");
                if new && places && !self.known_members(out) {
                    return Some((Action::Deploy, false));
                }
                // "set one up"
                let up = (verb.at + 1..clause.to).any(|i| view.text(i) == "up");
                if word == "set" && up && object {
                    return Some((Action::Deploy, false));
                }
                if let Some(action) = changes {
                    if matches!(word, "use" | "make" | "put")
                        && !self.frames.is_empty()
                        && !parts
                        && out.it.is_none()
                        && out.names.is_empty()
                    {
                        return None;
                    }
                    return Some((action, false));
                }
                if matches!(word, "put") && (object || out.up) {
                    return Some((Action::Deploy, true));
                }
                if matches!(word, "change") && object && !self.pending.members.is_empty() {
                    return Some((Action::Update, true));
                }
                None
            }
            Deed::Raise => {
                if counts || out.range {
                    return Some((Action::Scale, false));
                }
                if others {
                    return Some((Action::Update, false));
                }
                let replicas_field = (clause.from..clause.to)
                    .any(|i| matches!(view.item(i), Some(Item::Field(Field::Replicas))));
                if replicas_field {
                    Some((Action::Scale, false))
                } else {
                    object.then_some((Action::Scale, true))
                }
            }
            Deed::Bring => {
                if moves {
                    return Some((Action::Promote, false));
                }
                if out.down && !counts && object {
                    return Some((Action::Destroy, false));
                }
                if counts && !(new && out.up) {
                    return Some((Action::Scale, false));
                }
                if settings.iter().any(|s| matches!(s, Set::Version(_) | Set::Image(_)))
                    && !(new && (out.up || word_is(view, verb, "bring up")))
                {
                    return Some((Action::Update, false));
                }
                if (out.up || word_is(view, verb, "bring up") || new) && object {
                    return Some((Action::Deploy, false));
                }
                None
            }
            Deed::Add => {
                if parts && new {
                    return Some((Action::Deploy, false));
                }
                if let Some(action) = changes {
                    return Some((action, false));
                }
                (parts || out.it.is_some() || out.them.is_some()).then_some((Action::Deploy, true))
            }
            Deed::Run => {
                if question && view.is(clause.from, Class::Ask) && !parts && out.frame.environments.is_empty()
                {
                    return None;
                }
                if self.asks_state(clause) {
                    return Some((Action::Status, false));
                }
                if parts
                    && out.only_definite
                    && !out.frame.members.iter().any(|m| {
                        m.settings.iter().any(|s| matches!(s.value, Set::Image(_) | Set::Schedule(_)))
                    })
                {
                    if let Some(action) = changes {
                        return Some((action, true));
                    }
                    let bare = view.deed(verb.at).is_some_and(|(_, f)| f == Form::Base)
                        && verb.at == first_word(view, clause);
                    return bare.then_some((Action::Deploy, true));
                }
                (parts || out.it.is_some() && !self.pending.members.is_empty())
                    .then_some((Action::Deploy, !parts || verb.weak && !new))
            }
            Deed::Need | Deed::Get => {
                if question && !parts {
                    return None;
                }
                if verb.deed == Deed::Get && !parts {
                    return None;
                }
                if parts && out.only_definite {
                    if let Some(action) = changes {
                        return Some((action, true));
                    }
                    return (verb.deed == Deed::Get || self.product_only(out))
                        .then_some((Action::Deploy, true));
                }
                // "kestrel needs 3 replicas": the subject is there already.
                if self.subject_is_there(clause, verb, out) {
                    return changes.map(|a| (a, true));
                }
                parts.then_some((Action::Deploy, true))
            }
            Deed::Show | Deed::Check => {
                if !out.frame.compliance.is_empty() {
                    return Some((Action::Scan, false));
                }
                if clause.dry_run.is_some() && verb.deed == Deed::Show {
                    return None;
                }
                let named = parts
                    && (out.only_definite
                        || out.frame.members.iter().any(|m| self.entities[m.entity].name.is_some())
                        || !out.frame.environments.is_empty());
                let looks = named || out.frame.application.is_some() && !parts;
                let about = (clause.from..clause.to).any(|i| {
                    matches!(
                        view.text(i),
                        "joke" | "poem" | "story" | "difference" | "about" | "works" | "means"
                    )
                });
                (looks && !about).then_some((Action::Status, true))
            }
            Deed::Estimate => Some((Action::Cost, false)),
            Deed::Renew => {
                if changes.is_some() && !new {
                    changes.map(|a| (a, false))
                } else {
                    None
                }
            }
        }
    }

    fn known_members(&self, out: &Scanned) -> bool {
        out.frame
            .members
            .iter()
            .all(|m| self.frames.iter().any(|f| f.members.iter().any(|x| x.entity == m.entity)))
    }

    fn product_only(&self, out: &Scanned) -> bool {
        out.frame
            .members
            .iter()
            .all(|m| self.entities[m.entity].engine.is_some() && self.entities[m.entity].name.is_none())
    }

    /// Whether the verb's subject is a component that is there already.
    fn subject_is_there(&self, clause: &Clause, verb: Verb, out: &Scanned) -> bool {
        let subject = (clause.from..verb.at).find_map(|i| match self.view.item(i) {
            Some(Item::Part(part)) => Some(part),
            _ => None,
        });
        subject.is_some_and(|p| p.weak || p.article == Article::Definite || !p.names.is_empty())
            && out.frame.members.len() == 1
    }

    /// "is X running", "what is running in staging".
    fn asks_state(&self, clause: &Clause) -> bool {
        let first = first_word(&self.view, clause);
        (clause.question || self.view.is(first, Class::Ask)) && (self.view.is(first, Class::Ask)) && {
            (clause.from..clause.to).any(|i| matches!(self.view.text(i), "running" | "runs"))
        }
    }

    /// An action with what its clause says.
    fn act(&mut self, clause: &Clause, action: Action, weak: bool, mut out: Scanned, next_same: bool) {
        let Some(verb) = clause.verb.or_else(|| {
            clause.denied.map(|(a, span)| Verb {
                deed: Deed::Do(a),
                topic: None,
                span,
                at: clause.from,
                weak: false,
            })
        }) else {
            return;
        };
        let mut spans = vec![verb.span];
        spans.extend(verb.topic.map(|t| t.1));
        out.frame.action = Some(Said { value: action, spans });
        out.frame.weak = weak;
        out.frame.light = !matches!(verb.deed, Deed::Do(_));
        // "the status of both environments"
        let plural = (clause.from..clause.to).any(|i| matches!(self.view.text(i), "environments" | "envs"));
        if plural && out.frame.environments.is_empty() && !self.frames.is_empty() {
            for environment in self.frames.iter().flat_map(|f| &f.environments) {
                if !out.frame.environments.iter().any(|e| e.value == environment.value) {
                    out.frame.environments.push(environment.clone());
                }
            }
            (out.both, out.them, out.it) = (None, None, None);
        }
        self.refer(clause, action, &mut out);
        let names = std::mem::take(&mut out.names);
        if let ([only], Some((name, span))) = (out.frame.members.as_slice(), names.first()) {
            let id = only.entity;
            self.name(id, name.clone(), *span);
        }
        // What stands before the verb is said for the whole sentence.
        let lead = std::mem::take(&mut out.lead);
        if self.lead.environments.is_empty() {
            self.lead.environments.clone_from(&lead.environments);
        }
        self.lead.share(&lead);
        let mut frame = out.frame;
        if frame.action.as_ref().is_some_and(|a| a.value == Action::Promote) {
            self.promote(&mut frame);
        }
        let lead = self.lead.clone();
        frame.share(&lead);
        if let Some(span) = out.there
            && frame.environments.is_empty()
            && let Some(last) = self.frames.last()
        {
            let mut environments = last.environments.clone();
            for environment in &mut environments {
                environment.spans.push(span);
            }
            frame.environments = environments;
            let last = last.clone();
            frame.share_target(&last);
        }
        // "both in production" says it of every action of the sentence.
        if out.both.is_some() && !frame.environments.is_empty() {
            let sentence = clause.sentence;
            let shared = frame.clone();
            for earlier in
                self.frames.iter_mut().filter(|f| f.sentence == sentence && f.environments.is_empty())
            {
                earlier.environments.clone_from(&shared.environments);
            }
        }
        // Coordinated verbs share the object: "upgrade and restart the API".
        if let Some(mut waiting) = self.waiting.take() {
            if frame.has_object() && waiting.sentence == frame.sentence {
                waiting.members =
                    frame.members.iter().map(|m| Member { entity: m.entity, ..Member::default() }).collect();
                waiting.share(&frame.clone());
            }
            self.admit(waiting, Vec::new());
        }
        if !frame.has_object()
            && !frame.everything
            && next_same
            && frame.environments.is_empty()
            && out.loose.is_empty()
            && frame.rollback_to.is_none()
            && out.it.is_none()
        {
            self.waiting = Some(frame);
            return;
        }
        self.admit(frame, out.loose);
    }

    /// Sets the two ends of a promotion right.
    fn promote(&mut self, frame: &mut Frame) {
        if frame.environments.len() == 2 && frame.source.is_none() {
            let source = frame.environments.remove(0);
            frame.source = Some(source);
        }
        if frame.source.is_none() && frame.environments.len() == 1 {
            if let Some(said) =
                self.pending.environments.first().filter(|e| e.value != frame.environments[0].value)
            {
                frame.source = Some(said.clone());
            } else if let Some(said) =
                self.lead.environments.first().filter(|e| e.value != frame.environments[0].value)
            {
                frame.source = Some(said.clone());
            }
        }
        if frame.environments.is_empty() && frame.source.is_some() {
            frame.environments.clone_from(&self.lead.environments);
            if frame.environments.is_empty() {
                frame.environments.clone_from(&self.pending.environments);
            }
        }
        if let Some(source) = &frame.source {
            let source = source.value.clone();
            frame.environments.retain(|e| e.value != source);
        }
    }

    /// Puts what "it", "both", "them" and no object at all refer to into the frame.
    fn refer(&mut self, clause: &Clause, action: Action, out: &mut Scanned) {
        let plural = out.them.is_some() || (out.both.is_some() && out.frame.members.is_empty());
        let singular = out.it.is_some();
        let bare = !out.frame.has_object() && !out.frame.everything;
        let pending = std::mem::take(&mut self.pending);
        let making = action == Action::Deploy || action == Action::Cost;
        let unused = out.frame.members.iter().all(|m| m.object) && !out.frame.members.is_empty() && singular;
        let takes_all = making && (bare || plural || singular || pending_is_list(&pending, clause));
        if !pending.members.is_empty() && (takes_all || plural && bare) {
            let mut merged = pending.clone();
            merged.action.clone_from(&out.frame.action);
            let mine = std::mem::take(&mut out.frame);
            let (dry, sentence, span, weak, rollback) =
                (mine.dry_run, mine.sentence, mine.span, mine.weak, mine.rollback_to.clone());
            let own_environments = mine.environments.clone();
            let differ = merged.merge(mine);
            self.note_differences(differ);
            (merged.dry_run, merged.sentence, merged.weak, merged.rollback_to) =
                (dry, sentence, weak, rollback);
            merged.span = span;
            if !own_environments.is_empty() {
                merged.environments = own_environments;
            }
            out.frame = merged;
            self.settle_loose(out);
            return;
        }
        if (bare || unused)
            && (singular || out.frame.environments.is_empty() || !pending.members.is_empty() || plural)
            && !pending.members.is_empty()
        {
            // The subject of what was said before.
            if let Some(subject) = pending.members.first().cloned() {
                let keeps = matches!(action, Action::Update | Action::Scale);
                let member = out.frame.member(subject.entity);
                if keeps {
                    for said in subject.settings {
                        let field = said.value.field();
                        let fits = action == Action::Update || matches!(said.value, Set::Replicas(_));
                        if fits && !member.settings.iter().any(|s| s.value.field() == field) {
                            member.settings.push(said);
                        }
                    }
                }
                out.frame.members.sort_by_key(|m| m.object);
            }
            self.settle_loose(out);
            self.take_pending(out, &pending, action);
            return;
        }
        // What was said before of a component that the action names.
        for said in pending.members.iter().filter(|_| making) {
            if let Some(member) = out.frame.members.iter_mut().find(|m| m.entity == said.entity) {
                for setting in &said.settings {
                    if !member.settings.iter().any(|s| s.value.field() == setting.value.field()) {
                        member.settings.push(setting.clone());
                    }
                }
            }
        }
        self.take_pending(out, &pending, action);
        if (bare || unused)
            && (singular || plural || (!out.loose.is_empty() && out.frame.members.is_empty()))
            && let Some(last) = self.frames.last().cloned()
        {
            if !bare || !last.members.is_empty() {
                let members: Vec<usize> = if plural {
                    last.members.iter().map(|m| m.entity).collect()
                } else {
                    subject(&last).into_iter().collect()
                };
                for id in members {
                    // What identifies by itself goes along: an image that is the component.
                    let identity: Vec<Said<Set>> = last
                        .members
                        .iter()
                        .find(|m| m.entity == id)
                        .map(|m| {
                            m.settings
                                .iter()
                                .filter(|s| {
                                    matches!(s.value, Set::Image(_))
                                        && self.entities[id].kind.is_none()
                                        && self.entities[id].name.is_none()
                                        && self.entities[id].engine.is_none()
                                })
                                .cloned()
                                .collect()
                        })
                        .unwrap_or_default();
                    let member = out.frame.member(id);
                    for said in identity {
                        put(&mut member.settings, said);
                    }
                }
            }
            if out.frame.application.is_none() {
                out.frame.application.clone_from(&last.application);
            }
            if out.frame.environments.is_empty()
                && out.frame.source.is_none()
                && out.lead.environments.is_empty()
                && self.lead.environments.is_empty()
            {
                out.frame.environments.clone_from(&last.environments);
                out.frame.share_target(&last);
            }
        } else if bare
            && out.frame.environments.is_empty()
            && out.loose.is_empty()
            && let Some(last) = self.frames.last().cloned()
            && last.sentence == clause.sentence
            && !clause.gapped
        {
            // "deploy X and restart": the object of the clause before. "In staging: … and show the status"
            // is about staging.
            let same = last.action.as_ref().is_some_and(|a| a.value == action);
            let whole = matches!(action, Action::Status | Action::Cost | Action::Scan)
                && !self.lead.environments.is_empty();
            if !same && !whole {
                for id in last.members.iter().map(|m| m.entity).collect::<Vec<_>>() {
                    out.frame.member(id);
                }
                out.frame.application.clone_from(&last.application);
                out.frame.share(&last);
            }
        }
        self.settle_loose(out);
    }

    /// What a preamble says of place and limits holds for the action after it.
    fn take_pending(&mut self, out: &mut Scanned, pending: &Frame, action: Action) {
        if action == Action::Promote {
            // Where it runs is where it comes from.
            if out.frame.source.is_none()
                && let Some(from) = pending.environments.first().filter(|p| {
                    out.frame.environments.iter().all(|e| e.value != p.value)
                        && !out.frame.environments.is_empty()
                })
            {
                out.frame.source = Some(from.clone());
            }
        }
        if out.frame.application.is_none()
            && (out.frame.members.is_empty() || pending.members.is_empty() || self.frames.is_empty())
        {
            out.frame.application.clone_from(&pending.application);
        }
        out.frame.budget = out.frame.budget.take().or_else(|| pending.budget.clone());
        for framework in &pending.compliance {
            if !out.frame.compliance.iter().any(|c| c.value == framework.value) {
                out.frame.compliance.push(framework.clone());
            }
        }
        if out.frame.environments.is_empty()
            && out.frame.source.is_none()
            && out.lead.environments.is_empty()
            && self.lead.environments.is_empty()
        {
            out.frame.environments.clone_from(&pending.environments);
        }
        out.frame.share_target(pending);
    }

    /// Settings without a component fall on the only one, or on all where there are several.
    fn settle_loose(&mut self, out: &mut Scanned) {
        if out.frame.members.is_empty() {
            return;
        }
        let each = out.both.is_some() || out.them.is_some() || out.frame.everything;
        let ids: Vec<usize> = if each {
            out.frame.members.iter().map(|m| m.entity).collect()
        } else {
            out.frame.members.iter().filter(|m| !m.object).map(|m| m.entity).take(1).collect()
        };
        for said in std::mem::take(&mut out.loose) {
            for id in &ids {
                put(&mut out.frame.member(*id).settings, said.clone());
            }
        }
    }

    /// Takes a frame in: merged with the last one where action and place are the same.
    fn admit(&mut self, mut frame: Frame, loose: Vec<Said<Set>>) {
        let Some(action) = frame.action.as_ref().map(|a| a.value) else { return };
        let span = frame.action.as_ref().and_then(|a| a.spans.first().copied()).unwrap_or(Span::new(0, 0));
        if frame.dry_run.is_none()
            && let Some(span) = self.dry_run
        {
            frame.dry_run = Some(span);
        }
        if let [environment] = frame.environments.as_slice()
            && action != Action::Promote
            && let Some(source) = &frame.source
            && source.value != environment.value
        {
            frame.source = None;
        }
        if action != Action::Promote && frame.source.is_some() && frame.environments.is_empty() {
            frame.environments = frame.source.take().into_iter().collect();
        }
        if !loose.is_empty() && frame.members.is_empty() && !frame.weak {
            // "scale to 5" with nothing to scale: the last component that was named.
            if let Some(last) = self.frames.last().and_then(subject) {
                for said in &loose {
                    put(&mut frame.member(last).settings, said.clone());
                }
            }
        }
        if frame.is_empty() {
            let reads = matches!(action, Action::Status | Action::Logs | Action::Cost | Action::Scan);
            if !reads || frame.weak || self.view.pieces.len() > 6 || self.view.is(0, Class::Ask) {
                // The same action again adds nothing ("…; scale it now").
                let again =
                    self.frames.last().is_some_and(|f| f.action.as_ref().is_some_and(|a| a.value == action));
                if again {
                    if let Some(last) = self.frames.last_mut() {
                        last.dry_run = last.dry_run.or(frame.dry_run);
                    }
                } else {
                    self.doubts.push(Doubt::NoObject { action, span });
                }
                return;
            }
        }
        // A wish that a plain verb takes up: "X needs fewer pods, scale it to 1".
        if let Some(last) = self.frames.last()
            && last.weak
            && !frame.weak
            && last.action.as_ref().is_some_and(|a| a.value != action)
            && last.members.iter().all(|m| frame.members.iter().any(|x| x.entity == m.entity))
            && !(last.members.is_empty() && last.application.is_some())
        {
            let last = last.clone();
            self.frames.pop();
            let keeps = matches!(action, Action::Scale | Action::Update | Action::Deploy);
            for theirs in last.members.iter().filter(|_| keeps) {
                let mine = frame.member(theirs.entity);
                for said in &theirs.settings {
                    if !mine.settings.iter().any(|s| s.value.field() == said.value.field()) {
                        mine.settings.push(said.clone());
                    }
                }
            }
            frame.share(&last);
        }
        // "Deploy X. It needs 2 GB": more about what is made, not a change of it.
        if let Some(last) = self.frames.last_mut()
            && last.action.as_ref().is_some_and(|a| a.value == Action::Deploy)
            && matches!(action, Action::Update | Action::Scale)
            && frame.light
            && !frame.members.is_empty()
            && frame.members.iter().all(|m| last.members.iter().any(|x| x.entity == m.entity))
            && frame.environments.iter().all(|e| last.environments.iter().any(|x| x.value == e.value))
        {
            frame.environments.clear();
            frame.action = None;
            let differ = last.merge(frame);
            self.note_differences(differ);
            return;
        }
        if let Some(last) = self.frames.last_mut() {
            let same = |a: Option<&Action>, b: Option<&Action>| a == b;
            let mine: Vec<&String> = frame.environments.iter().map(|e| &e.value).collect();
            let theirs: Vec<&String> = last.environments.iter().map(|e| &e.value).collect();
            let places = mine.is_empty() || theirs.is_empty() || mine == theirs;
            let apps = match (&last.application, &frame.application) {
                (Some(a), Some(b)) => a.value == b.value,
                _ => true,
            };
            let source = match (&last.source, &frame.source) {
                (Some(a), Some(b)) => a.value == b.value,
                _ => true,
            };
            let target = |a: &Option<Said<String>>, b: &Option<Said<String>>| match (a, b) {
                (Some(a), Some(b)) => a.value == b.value,
                _ => true,
            };
            let targets = target(&last.region, &frame.region)
                && target(&last.cluster, &frame.cluster)
                && target(&last.namespace, &frame.namespace);
            let dry = last.dry_run.is_some() == frame.dry_run.is_some()
                || last.sentence != frame.sentence
                    && frame.dry_run.is_none()
                    && frame.members.iter().all(|m| last.members.iter().any(|x| x.entity == m.entity));
            let actions = same(last.action.as_ref().map(|a| &a.value), Some(&action));
            if actions && places && apps && source && targets && dry {
                if !frame.environments.is_empty() {
                    last.environments.clear();
                }
                let differ = last.merge(frame);
                self.note_differences(differ);
                return;
            }
        }
        self.frames.push(frame);
    }

    fn note_differences(&mut self, differ: Vec<(&'static str, Span)>) {
        for (field, span) in differ {
            self.doubts.push(Doubt::Differs { field, span });
        }
    }

    /// A clause that lacks its verb repeats the last one's.
    fn gap(&mut self, mut out: Scanned) {
        let Some(last) = self.frames.last().cloned() else { return };
        out.frame.action.clone_from(&last.action);
        out.frame.weak = last.weak;
        out.frame.dry_run = out.frame.dry_run.or(last.dry_run);
        if out.frame.members.is_empty() {
            for member in &last.members {
                out.frame.member(member.entity);
            }
        }
        if out.frame.application.is_none() {
            out.frame.application.clone_from(&last.application);
        }
        self.settle_loose(&mut out);
        self.admit(out.frame, Vec::new());
    }

    /// A clause without an action: a preamble, or more about the last action.
    fn state(&mut self, clause: &Clause, mut out: Scanned) {
        if let Some(span) = clause.dry_run {
            match self.frames.last_mut() {
                Some(_) => {
                    let sentence = clause.sentence;
                    let same: Vec<usize> =
                        (0..self.frames.len()).filter(|i| self.frames[*i].sentence == sentence).collect();
                    let all: Vec<usize> =
                        if same.is_empty() { (0..self.frames.len()).collect() } else { same };
                    for i in all {
                        self.frames[i].dry_run.get_or_insert(span);
                    }
                }
                None => self.dry_run = self.dry_run.or(Some(span)),
            }
        }
        if out.later {
            return;
        }
        let names = std::mem::take(&mut out.names);
        if let Some((name, span)) = names.first()
            && let Some(id) = self
                .pending
                .members
                .last()
                .map(|m| m.entity)
                .or_else(|| self.frames.last().and_then(|f| f.members.last()).map(|m| m.entity))
        {
            self.name(id, name.clone(), *span);
        }
        let after = self.frames.last().is_some_and(|f| f.action.is_some()) && self.pending.members.is_empty();
        if !after || clause.question && !self.frames.is_empty() && out.fresh.is_empty() {
            self.preamble(clause, out);
            return;
        }
        self.postamble(clause, out);
    }

    fn preamble(&mut self, clause: &Clause, mut out: Scanned) {
        let ids: Vec<usize> = if out.them.is_some() || out.both.is_some() {
            self.pending.members.iter().map(|m| m.entity).collect()
        } else {
            self.pending.members.first().map(|m| m.entity).into_iter().collect()
        };
        if out.frame.members.iter().all(|m| m.object) {
            for said in std::mem::take(&mut out.loose) {
                for id in &ids {
                    put(&mut self.pending.member(*id).settings, said.clone());
                }
            }
        }
        // In a leading clause of a sentence, what is said holds for its other clauses.
        if out.frame.members.is_empty() {
            self.lead.share(&out.frame);
        }
        let _ = clause;
        let environments = out.frame.environments.clone();
        let differ = self.pending.merge(out.frame);
        self.note_differences(differ);
        if !environments.is_empty() && self.pending.environments.len() > environments.len() {
            self.pending.environments = environments;
        }
    }

    fn postamble(&mut self, clause: &Clause, mut out: Scanned) {
        let Some(last) = self.frames.last().cloned() else { return };
        let adds = out.related
            || self.lists_parts(clause)
            || (clause.sentence == last.sentence && !out.fresh.is_empty());
        let deploys = last.action.as_ref().is_some_and(|a| matches!(a.value, Action::Deploy | Action::Cost));
        // Mentions that nothing ties to the action are only talked about.
        let known: Vec<usize> = last.members.iter().map(|m| m.entity).collect();
        if !(adds && (deploys || clause.sentence == last.sentence)) {
            let talk = out.frame.members.iter().any(|m| !known.contains(&m.entity));
            if talk && out.frame.members.iter().all(|m| !known.contains(&m.entity)) {
                let silent = out.frame.environments.is_empty() && out.loose.is_empty();
                let mut said = out.frame;
                if !silent || !said.members.is_empty() {
                    // It may be what the next action is about.
                    said.action = None;
                    let _ = self.pending.merge(said);
                }
                return;
            }
            out.frame.members.retain(|m| known.contains(&m.entity));
        }
        if out.frame.everything || out.them.is_some() || out.both.is_some() {
            for said in std::mem::take(&mut out.loose) {
                for id in &known {
                    out.frame.member(*id);
                    put(&mut out.frame.member(*id).settings, said.clone());
                }
            }
        } else if out.frame.members.iter().all(|m| m.object)
            && let Some(id) = subject(&last)
        {
            for said in std::mem::take(&mut out.loose) {
                put(&mut out.frame.member(id).settings, said);
            }
        }
        if clause.question {
            return;
        }
        let mut said = out.frame;
        let both = out.both.is_some();
        said.sentence = last.sentence;
        // Environments add to the action only where it had none.
        if !last.environments.is_empty() {
            said.environments.clear();
        }
        if both && !said.environments.is_empty() {
            for frame in self.frames.iter_mut().filter(|f| f.environments.is_empty()) {
                frame.environments.clone_from(&said.environments);
            }
        }
        if said.application.is_some() && last.application.is_none() && !last.members.is_empty() && !deploys {
            said.application = None;
        }
        if let Some(frame) = self.frames.last_mut() {
            let differ = frame.merge(said);
            self.note_differences(differ);
        }
    }

    /// "Its parts are …", "it consists of …", "it has …", "there is …".
    fn lists_parts(&self, clause: &Clause) -> bool {
        (clause.from..clause.to).any(|i| {
            matches!(
                self.view.text(i),
                "parts"
                    | "consists"
                    | "consist"
                    | "consisting"
                    | "contains"
                    | "includes"
                    | "comprises"
                    | "components"
                    | "component"
                    | "has"
                    | "have"
                    | "plus"
                    | "there's"
                    | "including"
                    | "part"
                    | "pieces"
                    | "up"
                    | "also"
                    | "features"
                    | "are"
            ) || self.view.atom(i).is_some_and(|a| a.what == What::Bullet)
        })
    }

    fn denied(&mut self, clause: &Clause, action: Action, span: Span, out: &Scanned) {
        if clause.dry_run.is_some() {
            let all_dry = clause.dry_run;
            for frame in &mut self.frames {
                frame.dry_run = frame.dry_run.or(all_dry);
            }
            if self.frames.is_empty() {
                self.dry_run = self.dry_run.or(all_dry);
            }
            return;
        }
        let mentioned: Vec<usize> = out.fresh.clone();
        let same = self.frames.iter().any(|f| {
            f.action.as_ref().is_some_and(|a| a.value == action)
                && f.dry_run.is_none()
                && (mentioned.is_empty()
                    && out.frame.environments.is_empty()
                    && out.frame.application.is_none()
                    || f.members.iter().any(|m| mentioned.contains(&m.entity)))
        });
        if same {
            self.doubts.push(Doubt::Denied { action, span });
        } else {
            self.doubts.push(Doubt::Refused { span });
        }
        if self.frames.is_empty() {
            let mut lead = Frame::default();
            lead.environments.clone_from(&out.frame.environments);
            lead.application.clone_from(&out.frame.application);
            self.pending.share(&lead);
        }
    }

    /// What is left when all clauses are read.
    fn finish(&mut self) {
        // A wish beside a plain action on the same things is no action of its own.
        let strong: Vec<usize> =
            self.frames.iter().filter(|f| !f.weak).flat_map(|f| f.members.iter().map(|m| m.entity)).collect();
        let any_strong = self.frames.iter().any(|f| !f.weak);
        self.frames.retain(|f| {
            !(f.weak
                && any_strong
                && f.members.iter().all(|m| strong.contains(&m.entity))
                && !f.members.is_empty())
        });
        if !self.frames.is_empty() {
            return;
        }
        // Nothing but a list of what is wanted: "postgres 15, 20 GB, staging".
        let pending = std::mem::take(&mut self.pending);
        let described = pending
            .members
            .iter()
            .any(|m| self.entities[m.entity].kind.is_some() || self.entities[m.entity].engine.is_some());
        let placed = !pending.environments.is_empty()
            || pending.platform.is_some()
            || pending.region.is_some()
            || pending.namespace.is_some()
            || pending.members.iter().any(|m| !m.settings.is_empty());
        let asks = (0..self.view.pieces.len()).any(|i| self.view.mark(i, '?'));
        let denied = self
            .doubts
            .iter()
            .any(|d| matches!(d, Doubt::Refused { .. } | Doubt::Denied { .. } | Doubt::NoObject { .. }));
        let terse = !(0..self.view.pieces.len()).any(|i| {
            self.view.atom(i).is_some_and(|a| a.is(Class::Be) && !a.is(Class::Fill))
                || self.view.is(i, Class::Who)
        });
        if described && placed && !asks && !denied && terse {
            let span = pending.span.unwrap_or_else(|| self.view.span(0));
            let mut frame = pending;
            // "api payments: 4 replicas": something that has a name, and nothing but a number.
            let only_count = frame.members.iter().all(|m| {
                let entity = &self.entities[m.entity];
                entity.name.is_some()
                    && entity.engine.is_none()
                    && !m.settings.is_empty()
                    && m.settings.iter().all(|s| matches!(s.value, Set::Replicas(_)))
            });
            let action = if only_count { Action::Scale } else { Action::Deploy };
            frame.action = Some(Said::new(action, span));
            frame.dry_run = self.dry_run;
            self.frames.push(frame);
        }
    }
}

/// Endings that names do not have, and ordinary words do.
fn is_adverb(word: &str) -> bool {
    ["ly", "ness", "ment", "tion", "sion", "ous", "ful", "able", "ible", "ive", "ing", "ally"]
        .iter()
        .any(|end| word.len() > end.len() + 3 && word.ends_with(end))
        && !lexicon().is_namelike(word)
}

/// A number of replicas as one end of a range, where "minimum" or "maximum" was said before it.
fn bounded(set: Set, bound: Option<bool>) -> Set {
    match (set, bound) {
        (Set::Replicas(mut r), Some(low)) if r.min == r.max => {
            if low {
                r.max = None
            } else {
                r.min = None
            }
            Set::Replicas(r)
        }
        (set, _) => set,
    }
}

fn deed_like(atom: &super::atom::Atom) -> bool {
    atom.senses.iter().any(|s| matches!(s, Sense::Verb(..)))
}

fn word_is(view: &View<'_>, verb: Verb, word: &str) -> bool {
    view.text(verb.at) == word
}

fn first_word(view: &View<'_>, clause: &Clause) -> usize {
    (clause.from..clause.to)
        .find(|i| {
            view.atom(*i).is_none_or(|a| {
                !matches!(a.what, What::Mark(_) | What::Newline | What::Bullet)
                    && (!a.is(Class::Fill) || a.is(Class::Ask))
            })
        })
        .unwrap_or(clause.from)
}

fn pending_is_list(pending: &Frame, clause: &Clause) -> bool {
    let _ = clause;
    // "network: vpc …, cluster: … => create these"
    pending.members.len() > 1 && pending.members.iter().any(|m| !m.settings.is_empty())
}

/// The component that a sentence is about: its first that is not only what another needs.
fn subject(frame: &Frame) -> Option<usize> {
    frame.members.iter().find(|m| !m.object).or_else(|| frame.members.first()).map(|m| m.entity)
}

fn relations_version_follows(view: &View<'_>, at: usize) -> bool {
    matches!(view.item(at + 1), Some(Item::Loose(Value::Version(_))))
}

/// "it" as a thing, not as in "it is agreed that", "is it possible".
fn is_pronoun(view: &View<'_>, at: usize, clause: &Clause) -> bool {
    let text = view.text(at);
    let next = view.atom(at + 1);
    if text == "one" {
        return next.is_none_or(|a| !matches!(a.text.as_str(), "of"))
            && !matches!(view.item(at + 1), Some(Item::Part(_)));
    }
    if matches!(text, "this" | "that") {
        return next.is_none_or(|a| {
            matches!(a.what, What::Mark(_) | What::Newline)
                || a.is(Class::In)
                || a.is(Class::To)
                || a.is(Class::Be)
                || a.is(Class::Fill)
                || a.is(Class::And)
        }) && !(text == "that" && at > clause.from && view.is_part(at - 1));
    }
    if text == "it" || text == "he" {
        let dummy = next.is_some_and(|a| a.is(Class::Be))
            && (at + 2..(at + 5)).any(|i| {
                matches!(
                    view.text(i),
                    "agreed"
                        | "decided"
                        | "possible"
                        | "necessary"
                        | "ok"
                        | "okay"
                        | "lovely"
                        | "nice"
                        | "great"
                        | "time"
                        | "that"
                        | "clear"
                        | "planned"
                )
            })
            || (at > clause.from
                && matches!(view.text(at - 1), "would" | "is" | "if" | "will")
                && (at + 1..at + 4).any(|i| {
                    matches!(
                        view.text(i),
                        "possible" | "ok" | "okay" | "lovely" | "nice" | "cost" | "great" | "too" | "fine"
                    )
                }));
        return !dummy;
    }
    true
}

fn last_number(view: &View<'_>, at: usize) -> String {
    let (from, to) = view.pieces[at].atoms;
    (from..to)
        .rev()
        .find_map(|i| view.atoms[i].number().map(|_| view.atoms[i].raw.clone()))
        .unwrap_or_default()
}

/// Bytes without their field: what stores has storage, what runs has memory.
fn bytes_of(kind: Option<Kind>, text: &str) -> Set {
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
