//! An action and its clause become a frame.

use code_core::intent::Action;

use super::{Reader, Scanned};
use crate::grammar::clause::{Clause, Verb};
use crate::grammar::frame::{Frame, Member, Said};
use crate::grammar::lexicon::Deed;

impl Reader<'_> {
    /// An action with what its clause says.
    pub(super) fn act(
        &mut self,
        clause: &Clause,
        action: Action,
        weak: bool,
        mut out: Scanned,
        next_same: bool,
    ) {
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
    pub(super) fn promote(&mut self, frame: &mut Frame) {
        // "qa -> staging: promote the app"
        if frame.environments.is_empty() && frame.source.is_none() {
            let before = [&self.lead.environments, &self.pending.environments];
            if let Some(two) = before.into_iter().find(|list| list.len() == 2) {
                frame.environments.clone_from(two);
            }
        }
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

    /// A clause that lacks its verb repeats the last one's.
    pub(super) fn gap(&mut self, mut out: Scanned) {
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
}
