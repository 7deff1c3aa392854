//! Dependencies: who needs whom.
//!
//! ```text
//!   the API  reads from  Postgres  and  Redis        subject, relation, objects
//!   a web app  with  a database                      "with" is one where a component follows
//!   two workers  will be fed by  it                  "it" is what was named before
//!   Redis  is used by  the API                       the other way round
//! ```

use code_core::intent::Kind;
use code_core::request::Span;

use super::atom::What;
use super::clause::{Clause, View};
use super::frame::{Entity, Frame, Said};
use super::lexicon::{Class, Deed, Relation, Sense, lexicon};
use super::piece::Item;
use super::read::Scanned;

/// The relations of one clause, as far as it is read.
#[derive(Default)]
pub(crate) struct Relations {
    /// What was mentioned last outside of a relation's objects.
    subject: Vec<usize>,
    /// The relation whose objects are being read, its words and its subject.
    open: Option<(Relation, Span, Vec<usize>)>,
    /// The relation before it, for "… and the backend on MongoDB".
    last: Option<(Relation, Span)>,
    objects: Vec<usize>,
    /// Where the object of "stores its notes in" stands: pronouns before it mean something else.
    gap: usize,
    /// "connect X to …": the next mention is the subject of this.
    link: Option<Span>,
    /// What "it" means as a subject.
    antecedent: Option<usize>,
    found: Vec<(usize, usize, Span)>,
}

impl Relations {
    /// The relations of a clause in which "it" means this component.
    pub(crate) fn after(antecedent: Option<usize>) -> Relations {
        Relations { antecedent, ..Relations::default() }
    }

    /// What comes next is no object.
    pub(crate) fn break_off(&mut self) {
        if let Some((relation, span, _)) = self.open.take() {
            self.last = Some((relation, span));
        }
    }

    /// A word that is no mention: it may open a relation, or end one.
    pub(crate) fn atom(
        &mut self,
        view: &View<'_>,
        clause: &Clause,
        at: usize,
        focus: &[usize],
        out: &mut Scanned,
        entities: &[Entity],
    ) {
        let Some(atom) = view.atom(at) else { return };
        if links(view, clause, at) {
            self.link = Some(atom.span);
            return;
        }
        if let Some(relation) = opens(view, clause, at) {
            let subject = self.subject_at(view, clause, at, focus, out);
            self.objects.clear();
            // "with" before settings says nothing of components.
            let with = atom.is(Class::With) && !matches!(atom.text.as_str(), "using");
            let reaches = reaches_part(view, clause, at);
            if !reaches && (with || subject.is_empty()) {
                return;
            }
            self.gap = gap_verb(view, clause, at).unwrap_or(0);
            self.open = Some((relation, atom.span, subject));
            return;
        }
        if self.open.is_some() {
            // "fed by it", "talks to them"
            if at >= self.gap
                && (atom.is(Class::It) || atom.is(Class::Them))
                && !atom.is(Class::Definite)
                && atom.text != "one"
            {
                let (relation, span, subject) =
                    self.open.clone().unwrap_or((Relation::Needs, atom.span, Vec::new()));
                let free = |id: &usize| !subject.contains(id) && !self.objects.contains(id);
                // What is read from or written to is rather a store than a program.
                let before = (0..entities.len())
                    .rev()
                    .find(|id| free(id) && holds(&entities[*id]))
                    .or_else(|| (0..entities.len()).rev().find(free));
                if let Some(id) = before {
                    self.found_pair(relation, &subject, id, span.to(atom.span));
                    out.frame.member(id);
                    out.related = true;
                }
                self.break_off();
                return;
            }
            let stays = atom.is(Class::And)
                || atom.is(Class::Or)
                || atom.is(Class::Fill)
                || atom.is(Class::In)
                || atom.is(Class::Definite)
                || atom.is(Class::Indefinite)
                || atom.is(Class::To)
                || atom.is(Class::From)
                || atom.is(Class::Of)
                || atom.is(Class::By)
                || atom.mark(',')
                || atom.mark('(')
                || atom.mark(')')
                || atom.is(Class::Both)
                || atom.is(Class::As)
                || atom.is(Class::With)
                || (atom.senses.is_empty()
                    && atom.classes.is_empty()
                    && atom.what == What::Word
                    && self.objects.is_empty());
            // Until the preposition of "keeps its vouchers in" anything may stand.
            if !stays && at >= self.gap {
                self.break_off();
            }
        }
    }

    /// A mention: the object of an open relation, or a new subject. Gives whether it is an object.
    #[expect(clippy::too_many_arguments, reason = "the state of one scan")]
    pub(crate) fn meets(
        &mut self,
        view: &View<'_>,
        clause: &Clause,
        at: usize,
        group: &[usize],
        span: Span,
        out: &mut Scanned,
        entities: &[Entity],
    ) -> bool {
        // "the website relies on the backend and the backend on MongoDB"
        let elliptic = self.last.or(self.open.as_ref().map(|o| (o.0, o.1))).filter(|_| {
            at > clause.from
                && (view.text(at - 1) == "and" || view.mark(at - 1, ','))
                && matches!(view.text(at + 1), "on" | "to" | "from" | "in")
                && view.is_part(at + 2)
                && !self.found.is_empty()
        });
        if let Some((relation, words)) = elliptic {
            self.subject = group.to_vec();
            self.open = Some((relation, words.to(span), group.to_vec()));
            self.objects.clear();
            return false;
        }
        if let Some(words) = self.link.take() {
            self.subject = group.to_vec();
            self.open = Some((Relation::Needs, words.to(span), group.to_vec()));
            self.gap = 0;
            self.objects.clear();
            out.related = true;
            return false;
        }
        let Some((relation, words, subject)) = self.open.clone() else {
            self.new_subject(view, clause, at, group);
            return false;
        };
        // A mention that has a relation of its own begins anew: "…, the API uses MySQL".
        let joined = at > clause.from
            && (view.text(at - 1) == "and" || view.mark(at - 1, ',') || view.text(at - 1) == ", and");
        let own = relation_follows(view, clause, at);
        if joined && own && !self.objects.is_empty() {
            self.break_off();
            self.subject = group.to_vec();
            return false;
        }
        // "a web app with a database and a worker": the worker is no part of the web app's needs.
        let kind = |id: usize| entities[id].kind.as_ref().map(|k| k.value);
        let computes = |k: Option<Kind>| {
            matches!(
                k,
                Some(
                    Kind::Worker
                        | Kind::Job
                        | Kind::Cron
                        | Kind::Monitoring
                        | Kind::LoadBalancer
                        | Kind::Cdn
                        | Kind::Dns
                        | Kind::Network
                        | Kind::Vm
                        | Kind::Web
                        | Kind::StaticSite
                )
            )
        };
        if joined
            && !self.objects.is_empty()
            && group.iter().all(|id| computes(kind(*id)))
            && self.objects.iter().all(|id| !computes(kind(*id)))
        {
            self.break_off();
            self.subject = group.to_vec();
            return false;
        }
        let subject = if subject.is_empty() { self.subject.clone() } else { subject };
        if subject.is_empty() && relation == Relation::Needs {
            // "with Postgres: …": nothing needs it.
            self.open = None;
            self.new_subject(view, clause, at, group);
            return false;
        }
        let mut object = false;
        for id in group {
            if !subject.contains(id) {
                self.found_pair(relation, &subject, *id, words.to(span));
                object = true;
                out.related = true;
            }
            self.objects.push(*id);
        }
        object
    }

    fn new_subject(&mut self, view: &View<'_>, clause: &Clause, at: usize, group: &[usize]) {
        // "an API and a worker, both using Redis" has both as its subject.
        let joined = at > clause.from && (view.text(at - 1) == "and" || view.text(at - 1) == "&");
        let both_follow = (at + 1..(at + 4).min(clause.to)).any(|i| view.is(i, Class::Both));
        if !(joined && (both_follow || plural_relation_follows(view, clause, at))) {
            self.subject.clear();
        }
        self.subject.extend(group);
    }

    fn subject_at(
        &self,
        view: &View<'_>,
        clause: &Clause,
        at: usize,
        focus: &[usize],
        out: &mut Scanned,
    ) -> Vec<usize> {
        let both = (clause.from..at).rev().take(3).any(|i| view.is(i, Class::Both));
        if both && out.fresh.len() > 1 {
            return out.fresh.clone();
        }
        // Directly after a mention, that is the subject: "an API with Redis", "a worker that reads from it".
        let mut before = at;
        while before > clause.from
            && view.atom(before - 1).is_some_and(|a| {
                a.is(Class::Which)
                    || a.is(Class::Be)
                    || a.is(Class::Modal)
                    || a.is(Class::Fill)
                    || a.mark(',')
                    || a.mark('-')
                    || a.mark(')')
                    || a.text == "and"
                    || a.text == "that"
                    || a.is(Class::Was)
            })
        {
            before -= 1;
        }
        let which = (before..at).any(|i| view.is(i, Class::Which) || view.text(i) == "that");
        let comma_verb = (before..at).any(|i| view.mark(i, ',') || view.text(i) == "and") && !which;
        let direct = before > clause.from
            && matches!(
                view.item(before - 1),
                Some(Item::Part(_) | Item::Set(_) | Item::Loose(_) | Item::Env(_))
            );
        if direct && !focus.is_empty() && !comma_verb {
            // "the API reads from Postgres with …": the object in focus has the "with" only if adjacent.
            return focus.to_vec();
        }
        if comma_verb
            && view.atom(at).is_some_and(|a| a.is(Class::With))
            && !focus.is_empty()
            && self.objects.is_empty()
        {
            return if self.subject.is_empty() { focus.to_vec() } else { self.subject.clone() };
        }
        if !self.subject.is_empty() {
            return self.subject.clone();
        }
        // "it talks to …", "put it online with …"
        let pronoun = (clause.from..at).any(|i| matches!(view.text(i), "it" | "this" | "that" | "one"));
        match self.antecedent.filter(|_| focus.is_empty() && pronoun) {
            Some(id) => {
                out.frame.member(id);
                vec![id]
            }
            None => focus.to_vec(),
        }
    }

    fn found_pair(&mut self, relation: Relation, subject: &[usize], object: usize, span: Span) {
        for id in subject {
            let pair = match relation {
                Relation::Needs => (*id, object, span),
                Relation::Feeds => (object, *id, span),
            };
            if pair.0 != pair.1 {
                self.found.push(pair);
            }
        }
    }

    /// Writes what was found into the frame.
    pub(crate) fn settle(self, frame: &mut Frame) {
        for (who, what, span) in self.found {
            let needs = &mut frame.member(who).needs;
            match needs.iter_mut().find(|n| n.value == what) {
                Some(said) => said.spans.push(span),
                None => needs.push(Said::new(what, span)),
            }
        }
    }
}

/// Whether a component holds what others read and write.
pub(crate) fn holds(entity: &Entity) -> bool {
    let kind = entity.kind.as_ref().map(|k| k.value);
    matches!(kind, Some(Kind::Database | Kind::Cache | Kind::Queue | Kind::ObjectStorage | Kind::Search))
}

/// Whether the word at `at` opens a relation here.
fn opens(view: &View<'_>, clause: &Clause, at: usize) -> Option<Relation> {
    let atom = view.atom(at)?;
    if gap_verb(view, clause, at).is_some() {
        return Some(Relation::Needs);
    }
    let relation = atom.senses.iter().find_map(|s| match s {
        Sense::Relation(relation) => Some(*relation),
        _ => None,
    })?;
    // The clause's own verb ("I need a database") has a person as its subject, not a component.
    if clause.verb.is_some_and(|v| v.at == at) {
        let part_before = (clause.from..at).any(|i| view.is_part(i));
        let person = (clause.from..at).any(|i| view.is(i, Class::Who));
        if !part_before || person {
            return None;
        }
    }
    let negated = at > clause.from && (view.is(at - 1, Class::Not) || view.is(at - 1, Class::Without));
    // "Redis is used by", "used with" after a form of "be" is the other way round; the table has both.
    (!negated).then_some(relation)
}

/// Verbs with the object between them and their preposition: "take the data from Redis", "store all in S3".
fn gap_verb(view: &View<'_>, clause: &Clause, at: usize) -> Option<usize> {
    let prepositions = lexicon().gap(view.text(at));
    if prepositions.is_empty() {
        return None;
    }
    // Its subject stands before it; otherwise it is an order.
    let subject = (clause.from..at).any(|i| view.is_part(i))
        || (clause.from..at)
            .any(|i| view.is(i, Class::It) || view.is(i, Class::Which) || view.is(i, Class::Them))
        || (at > clause.from && clause.verb.is_none());
    if !subject {
        return None;
    }
    let mut next = at + 1;
    while next < clause.to && next < at + 8 {
        if prepositions.contains(&view.text(next)) {
            let target =
                (next + 1..(next + 4).min(clause.to)).find(|i| view.is_part(*i) || view.is(*i, Class::It));
            return target;
        }
        if view.is_part(next) || view.mark(next, ',') {
            return None;
        }
        next += 1;
    }
    None
}

/// Whether "connect X to Y" stands here.
fn links(view: &View<'_>, clause: &Clause, at: usize) -> bool {
    matches!(view.text(at), "connect" | "hook" | "hook up" | "wire" | "link" | "attach" | "connecting")
        && view.is_part(at + 1)
        && (at + 2..(at + 5).min(clause.to)).any(|i| matches!(view.text(i), "to" | "into" | "with"))
}

/// Whether a component stands within reach of "with".
fn reaches_part(view: &View<'_>, clause: &Clause, at: usize) -> bool {
    let mut next = at + 1;
    while next < clause.to && next < at + 9 {
        match view.item(next) {
            Some(Item::Part(part)) => return !part.weak || part.article != super::part::Article::None,
            // "with TLS and a database": the database is still reached; "with 2 replicas behind X" not.
            Some(Item::Set(_) | Item::Loose(_)) => {
                let joined = view.text(next + 1) == "and" || view.mark(next + 1, ',');
                let adjective = view.is_part(next + 1);
                if !joined && !adjective {
                    return false;
                }
            }
            _ => {
                let passes = view.atom(next).is_some_and(|a| {
                    a.is(Class::And)
                        || a.is(Class::Indefinite)
                        || a.is(Class::Definite)
                        || a.is(Class::Possessive)
                        || a.mark(',')
                        || a.is(Class::Fill)
                        || a.is(Class::It)
                        || a.is(Class::To)
                        || a.is(Class::From)
                        || a.is(Class::Both)
                        || a.is(Class::By)
                        || a.is(Class::All)
                        || a.is(Class::In)
                        || (a.senses.is_empty() && a.what == What::Word)
                        || a.is(Class::Of)
                });
                if !passes {
                    return view.is(next, Class::It);
                }
            }
        }
        next += 1;
    }
    false
}

/// Whether a verb of relation follows a mention: "the API uses", "a worker that reads from".
fn relation_follows(view: &View<'_>, clause: &Clause, at: usize) -> bool {
    let mut next = at + 1;
    while next < clause.to && next < at + 5 {
        let Some(atom) = view.atom(next) else {
            return false;
        };
        if opens(view, clause, next).is_some() {
            let which = (at + 1..next).any(|i| view.is(i, Class::Which));
            return !atom.is(Class::With) && !which;
        }
        if !(atom.is(Class::Modal) || atom.is(Class::Fill) || atom.is(Class::Be)) {
            return false;
        }
        next += 1;
    }
    false
}

fn plural_relation_follows(view: &View<'_>, clause: &Clause, at: usize) -> bool {
    (at + 1..(at + 4).min(clause.to)).any(|i| {
        matches!(
            view.text(i),
            "use"
                | "need"
                | "read from"
                | "talk to"
                | "write to"
                | "depend on"
                | "rely on"
                | "require"
                | "share"
                | "consume from"
                | "consume"
                | "connect to"
                | "pull from"
        ) && view.deed(i).is_none_or(|(d, _)| !matches!(d, Deed::Do(_)))
            && opens(view, clause, i).is_some()
    })
}
