//! What a clause says, piece by piece.

use code_core::intent::{Action, Kind, Platform};

use super::attach::bounded;
use super::refer::subject;
use super::{Doubt, LeftOut, Reader, Scanned};
use crate::grammar::atom::{Atom, What};
use crate::grammar::clause::{Clause, View};
use crate::grammar::frame::{Said, put};
use crate::grammar::lexicon::{Class, Deed, Field, Sense, lexicon};
use crate::grammar::part::Part;
use crate::grammar::piece::Item;
use crate::grammar::relate::Relations;
use crate::grammar::setting::Set;
use crate::grammar::value::Value;

impl Reader<'_> {
    /// Reads the pieces of a clause.
    pub(super) fn scan(&mut self, clause: &Clause, action: Option<Action>) -> Scanned {
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
                        if !part.weak {
                            self.leave_out(clause, at, *part, &focus);
                        }
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
                Item::Loose(_)
                    if at > clause.from
                        && matches!(
                            self.view.text(at - 1),
                            "not" | "instead of" | "rather than" | "but not" | "not to"
                        ) => {}
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
                    self.differs("application", action, out.frame.application.as_ref(), &said);
                    if at < verb_at {
                        out.lead.application.get_or_insert(said.clone());
                    }
                    out.frame.application.get_or_insert(said);
                }
                Item::Env(name) => self.take_env(clause, at, name, &mut out, action, verb_at),
                Item::Platform(platform) => {
                    let said = Said::new(platform, span);
                    // "on Kubernetes on AWS" is one place.
                    let apart = |p: &Platform| !matches!(p, Platform::Kubernetes | Platform::Docker);
                    let before = out.frame.platform.as_ref();
                    if apart(&platform) {
                        self.differs("platform", action, before.filter(|said| apart(&said.value)), &said);
                    }
                    if at < verb_at {
                        out.lead.platform.get_or_insert(said.clone());
                    }
                    out.frame.platform.get_or_insert(said);
                }
                Item::Region(name) => {
                    let said = Said::new(name, span);
                    self.differs("region", action, out.frame.region.as_ref(), &said);
                    if at < verb_at {
                        out.lead.region.get_or_insert(said.clone());
                    }
                    out.frame.region.get_or_insert(said);
                }
                Item::Cluster(name) => {
                    let said = Said::new(name, span);
                    self.differs("cluster", action, out.frame.cluster.as_ref(), &said);
                    if at < verb_at {
                        out.lead.cluster.get_or_insert(said.clone());
                    }
                    out.frame.cluster.get_or_insert(said);
                }
                Item::Namespace(name) => {
                    let said = Said::new(name, span);
                    self.differs("namespace", action, out.frame.namespace.as_ref(), &said);
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
                        let said = Said::new((amount, currency), span);
                        self.differs("budget", action, out.frame.budget.as_ref(), &said);
                        out.frame.budget = Some(said);
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
    pub(super) fn excluded(&self, clause: &Clause, at: usize) -> bool {
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
            // "which does not use a database"
            let uses = matches!(self.view.text(back + 1), "use" | "need" | "have" | "include" | "require");
            if atom.is(Class::Not) && uses {
                return true;
            }
            let passes = atom.is(Class::Indefinite)
                || atom.is(Class::Definite)
                || atom.is(Class::Fill)
                || atom.is(Class::Or)
                || atom.is(Class::Of)
                || matches!(
                    atom.text.as_str(),
                    "any" | "using" | "use" | "touch" | "for" | "need" | "have" | "include" | "require"
                );
            if !passes {
                return false;
            }
        }
        false
    }

    /// "leave the database alone", "keep the worker as it is", "don't touch the cache".
    pub(super) fn leaves(&self, at: usize, clause: &Clause) -> bool {
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
    pub(super) fn weak_is_meant(&self, clause: &Clause, at: usize, part: &Part) -> bool {
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

    pub(super) fn colon_before(&self, clause: &Clause, at: usize) -> bool {
        at > clause.from
            && (self.view.mark(at - 1, ':') || self.view.atom(at - 1).is_some_and(|a| a.what == What::Bullet))
    }

    pub(super) fn take_env(
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
                && matches!(self.view.text(before - 2), "not" | "but not")
                && (self.view.is(before - 1, Class::In) || self.view.is(before - 1, Class::To)))
        {
            self.left_out.push(LeftOut::Environment { name, span });
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

    pub(super) fn is_budget(&self, clause: &Clause, at: usize) -> bool {
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

    pub(super) fn take_atom(
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
}

/// Endings that names do not have, and ordinary words do.
pub(super) fn is_adverb(word: &str) -> bool {
    ["ly", "ness", "ment", "tion", "sion", "ous", "ful", "able", "ible", "ive", "ing", "ally"]
        .iter()
        .any(|end| word.len() > end.len() + 3 && word.ends_with(end))
        && !lexicon().is_namelike(word)
}

pub(super) fn deed_like(atom: &Atom) -> bool {
    atom.senses.iter().any(|s| matches!(s, Sense::Verb(..)))
}

/// "it" as a thing, not as in "it is agreed that", "is it possible".
pub(super) fn is_pronoun(view: &View<'_>, at: usize, clause: &Clause) -> bool {
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

pub(super) fn relations_version_follows(view: &View<'_>, at: usize) -> bool {
    matches!(view.item(at + 1), Some(Item::Loose(Value::Version(_))))
}
