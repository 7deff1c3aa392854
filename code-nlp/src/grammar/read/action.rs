//! Light verbs to actions: what "give", "need" or "move" asks for follows from what stands with it.

use code_core::intent::Action;

use super::{Reader, Scanned};
use crate::grammar::atom::What;
use crate::grammar::clause::{Clause, Verb, View};
use crate::grammar::lexicon::{Class, Deed, Field, Form};
use crate::grammar::part::Article;
use crate::grammar::piece::Item;
use crate::grammar::setting::Set;

impl Reader<'_> {
    /// What the verb asks for, now that its clause is read; with whether it is only weakly said.
    pub(super) fn resolve(&self, clause: &Clause, verb: Verb, out: &Scanned) -> Option<(Action, bool)> {
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

    pub(super) fn known_members(&self, out: &Scanned) -> bool {
        out.frame
            .members
            .iter()
            .all(|m| self.frames.iter().any(|f| f.members.iter().any(|x| x.entity == m.entity)))
    }

    pub(super) fn product_only(&self, out: &Scanned) -> bool {
        out.frame
            .members
            .iter()
            .all(|m| self.entities[m.entity].engine.is_some() && self.entities[m.entity].name.is_none())
    }

    /// Whether the verb's subject is a component that is there already.
    pub(super) fn subject_is_there(&self, clause: &Clause, verb: Verb, out: &Scanned) -> bool {
        let subject = (clause.from..verb.at).find_map(|i| match self.view.item(i) {
            Some(Item::Part(part)) => Some(part),
            _ => None,
        });
        subject.is_some_and(|p| p.weak || p.article == Article::Definite || !p.names.is_empty())
            && out.frame.members.len() == 1
    }

    /// "is X running", "what is running in staging".
    pub(super) fn asks_state(&self, clause: &Clause) -> bool {
        let first = first_word(&self.view, clause);
        (clause.question || self.view.is(first, Class::Ask)) && (self.view.is(first, Class::Ask)) && {
            (clause.from..clause.to).any(|i| matches!(self.view.text(i), "running" | "runs"))
        }
    }
}

pub(super) fn word_is(view: &View<'_>, verb: Verb, word: &str) -> bool {
    view.text(verb.at) == word
}

pub(super) fn first_word(view: &View<'_>, clause: &Clause) -> usize {
    (clause.from..clause.to)
        .find(|i| {
            view.atom(*i).is_none_or(|a| {
                !matches!(a.what, What::Mark(_) | What::Newline | What::Bullet)
                    && (!a.is(Class::Fill) || a.is(Class::Ask))
            })
        })
        .unwrap_or(clause.from)
}
