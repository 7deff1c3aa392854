//! Clauses without an action: a preamble, more about the last action, or a denial.

use code_core::intent::Action;
use code_core::request::Span;

use super::refer::subject;
use super::{Doubt, Reader, Scanned};
use crate::grammar::atom::What;
use crate::grammar::clause::Clause;
use crate::grammar::frame::{Frame, put};

impl Reader<'_> {
    /// A clause without an action: a preamble, or more about the last action.
    pub(super) fn state(&mut self, clause: &Clause, mut out: Scanned) {
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

    pub(super) fn preamble(&mut self, clause: &Clause, mut out: Scanned) {
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

    pub(super) fn postamble(&mut self, clause: &Clause, mut out: Scanned) {
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
    pub(super) fn lists_parts(&self, clause: &Clause) -> bool {
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

    pub(super) fn denied(&mut self, clause: &Clause, action: Action, span: Span, out: &Scanned) {
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
                    && out.excluded.is_empty()
                    && out.frame.environments.is_empty()
                    && out.frame.application.is_none()
                    || f.members
                        .iter()
                        .any(|m| mentioned.contains(&m.entity) || self.is_excluded(m.entity, out)))
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

    /// Whether a denied mention means this component.
    fn is_excluded(&self, id: usize, out: &Scanned) -> bool {
        let entity = &self.entities[id];
        out.excluded.iter().any(|part| {
            let name = part.names.first().map(|n| &n.0);
            name == entity.name.as_ref().map(|n| &n.value)
                && part.kind.map(|k| k.0) == entity.kind.as_ref().map(|k| k.value)
        })
    }
}
