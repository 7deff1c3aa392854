//! Settings to components: on whom a setting falls.

use code_core::intent::{Action, Kind};

use super::{Doubt, Reader, Scanned};
use crate::grammar::clause::Clause;
use crate::grammar::correct::counted;
use crate::grammar::frame::{Entity, Said, put};
use crate::grammar::lexicon::{Class, Deed};
use crate::grammar::part::Article;
use crate::grammar::piece::Item;
use crate::grammar::setting::Set;

impl Reader<'_> {
    /// "from 2 to 5" on a way to somewhere is 5; as a range of automatic scaling it is both.
    pub(super) fn toward(
        &self,
        at: usize,
        set: Set,
        action: Option<Action>,
        auto: bool,
        raises: bool,
    ) -> Set {
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
    pub(super) fn take_set(
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
                && (clause.verb.is_some() || self.frames.is_empty() || !self.pending.members.is_empty())
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
    pub(super) fn schedule_settles_kind(&mut self, id: usize) {
        if let Some(kind) = &mut self.entities[id].kind
            && kind.value == Kind::Job
        {
            kind.value = Kind::Cron;
        }
    }

    pub(super) fn part_is_bare(&self, at: usize) -> bool {
        matches!(self.view.item(at), Some(Item::Part(part)) if part.article == Article::None && !part.weak)
    }

    /// Whether an image or source says how something is to be, and is not itself what is named.
    pub(super) fn image_is_setting(&self, clause: &Clause, at: usize) -> bool {
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
    pub(super) fn in_row(&self, clause: &Clause, at: usize) -> bool {
        let joined = at > clause.from + 1 && (self.view.text(at - 1) == "and" || self.view.mark(at - 1, ','));
        joined && matches!(self.view.item(at - 2), Some(Item::Set(_)))
    }

    pub(super) fn suited(
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
                || self.view.is(at - 1, Class::With) && !self.view.is_part(at.saturating_sub(2)));
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
}

/// A number of replicas as one end of a range, where "minimum" or "maximum" was said before it.
pub(super) fn bounded(set: Set, bound: Option<bool>) -> Set {
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
