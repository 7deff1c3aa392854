//! "it", "both", "them", and no object at all: what they point at.

use code_core::intent::Action;

use super::{Reader, Scanned};
use crate::grammar::clause::Clause;
use crate::grammar::frame::{Frame, Said, put};
use crate::grammar::setting::Set;

impl Reader<'_> {
    /// Puts what "it", "both", "them" and no object at all refer to into the frame.
    pub(super) fn refer(&mut self, clause: &Clause, action: Action, out: &mut Scanned) {
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
    pub(super) fn take_pending(&mut self, out: &mut Scanned, pending: &Frame, action: Action) {
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
    pub(super) fn settle_loose(&mut self, out: &mut Scanned) {
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
}

pub(super) fn pending_is_list(pending: &Frame, clause: &Clause) -> bool {
    let _ = clause;
    // "network: vpc …, cluster: … => create these"
    pending.members.len() > 1 && pending.members.iter().any(|m| !m.settings.is_empty())
}

/// The component that a sentence is about: its first that is not only what another needs.
pub(super) fn subject(frame: &Frame) -> Option<usize> {
    frame.members.iter().find(|m| !m.object).or_else(|| frame.members.first()).map(|m| m.entity)
}
