//! Frames are merged with the last one, or begin anew.

use code_core::intent::Action;
use code_core::request::Span;

use super::refer::subject;
use super::{Doubt, Reader};
use crate::grammar::frame::{Frame, Said, put};
use crate::grammar::lexicon::Class;
use crate::grammar::setting::Set;

impl Reader<'_> {
    /// Takes a frame in: merged with the last one where action and place are the same.
    pub(super) fn admit(&mut self, mut frame: Frame, loose: Vec<Said<Set>>) {
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
                // "we want a search engine … create an OpenSearch": the same thing, said more closely.
                if last.sentence != frame.sentence {
                    let entities = &self.entities;
                    last.members.retain(|m| {
                        let vague = entities[m.entity].engine.is_none()
                            && entities[m.entity].name.is_none()
                            && m.settings.is_empty()
                            && m.needs.is_empty();
                        let closer = frame.members.iter().any(|x| {
                            entities[x.entity].engine.is_some()
                                && entities[x.entity].kind.as_ref().map(|k| k.value)
                                    == entities[m.entity].kind.as_ref().map(|k| k.value)
                        });
                        !(vague && closer)
                    });
                }
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

    pub(super) fn note_differences(&mut self, differ: Vec<(&'static str, Span)>) {
        for (field, span) in differ {
            self.doubts.push(Doubt::Differs { field, span });
        }
    }

    /// What is left when all clauses are read.
    pub(super) fn finish(&mut self) {
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
            self.contradictions();
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
            self.contradictions();
        }
    }
}
