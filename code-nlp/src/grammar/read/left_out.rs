//! What is to be left out, held against what is asked for.
//!
//! ```text
//!   a web app  with a database  and  without a database     the web app needs it, and does not
//!   an API  with a database  and  a worker  without one     nothing wrong: another one needs it
//! ```

use code_core::intent::Action;

use super::{Doubt, LeftOut, Reader};
use crate::grammar::clause::Clause;
use crate::grammar::frame::{Entity, Frame, Said};
use crate::grammar::lexicon::Class;
use crate::grammar::part::{Article, Part};
use crate::grammar::piece::Item;
use crate::grammar::relate::holds;
use crate::grammar::setting::Set;

impl Reader<'_> {
    /// Remembers that a mention is to be left out: "no", "without". What is only another one than what is asked
    /// for ("instead of SQLite"), or stays as it is ("leave the cache alone"), is not.
    pub(super) fn leave_out(&mut self, clause: &Clause, at: usize, mut part: Part, focus: &[usize]) {
        let negates = |i: &usize| self.view.is(*i, Class::Without) || self.view.is(*i, Class::Not);
        let Some(word) = (clause.from..at).rev().find(negates) else { return };
        let text = self.view.text(word);
        let other = ["instead", "rather", "except", "apart"].iter().any(|begin| text.starts_with(begin));
        if other || self.leaves(at, clause) {
            return;
        }
        // "no database named users"
        if let Some(Item::Set(Set::Names(names))) = self.view.item(at + 1) {
            part.names.extend(names.iter().cloned());
        }
        let span = self.view.span(at);
        let joined = word >= clause.from + 2
            && matches!(self.view.text(word - 1), "and" | "or" | "and/or" | "but")
            && self.view.is(word - 2, Class::With);
        self.left_out.push(match joined {
            true => LeftOut::Both { part, span },
            false => LeftOut::Part { part, span, of: focus.to_vec() },
        });
    }

    /// Notes that what is made is said to be in two ways, where only one can be kept.
    pub(super) fn differs<T: PartialEq>(
        &mut self,
        field: &'static str,
        action: Option<Action>,
        before: Option<&Said<T>>,
        now: &Said<T>,
    ) {
        let spans = now.spans.first().filter(|_| action == Some(Action::Deploy));
        if let (Some(before), Some(span)) = (before, spans)
            && before.value != now.value
        {
            self.doubts.push(Doubt::Differs { field, span: *span });
        }
    }

    /// Notes what is asked for and to be left out at once.
    pub(super) fn contradictions(&mut self) {
        let found: Vec<Doubt> = self.left_out.iter().filter_map(|out| self.contradicts(out)).collect();
        self.doubts.extend(found);
    }

    fn contradicts(&self, out: &LeftOut) -> Option<Doubt> {
        let (what, span, asked) = match out {
            LeftOut::Both { part, span } => (word(part)?, span, true),
            LeftOut::Part { part, span, of } => {
                let asked = self.frames.iter().any(|frame| self.is_asked_for(frame, part, of));
                (word(part)?, span, asked)
            }
            LeftOut::Environment { name, span } => {
                let there = |frame: &Frame| frame.environments.iter().any(|said| said.value == *name);
                (name.clone(), span, self.frames.iter().any(there))
            }
        };
        asked.then_some(Doubt::Without { what, span: *span })
    }

    /// Whether what a mention leaves out, behind these components, is asked for in a frame.
    fn is_asked_for(&self, frame: &Frame, part: &Part, of: &[usize]) -> bool {
        let needs = |of: usize, id: usize| {
            let member = frame.members.iter().find(|member| member.entity == of);
            member.is_some_and(|member| member.needs.iter().any(|need| need.value == id))
        };
        let ids = || frame.members.iter().map(|member| member.entity);
        let needed = |id: usize| ids().any(|other| needs(other, id));
        // Whatever it is said of: "a web app with a database. No database."
        let alone = of.is_empty() && part.article != Article::Definite;
        // In a list: "a database and a cache but no cache".
        let stores = !of.is_empty() && of.iter().all(|id| holds(&self.entities[*id]) && !needed(*id));
        // What it stands behind, and what needs that: "a web app with a cache and no database".
        let behind = |id: usize| of.contains(&id) || of.iter().any(|other| needs(id, *other));
        ids().filter(|id| is_meant(&self.entities[*id], part)).any(|id| {
            alone
                || of.contains(&id)
                || ids().any(|other| behind(other) && needs(other, id))
                || stores && !needed(id)
        })
    }
}

/// Whether a mention could be of this component.
fn is_meant(entity: &Entity, part: &Part) -> bool {
    let kind = part.kind.map(|(kind, _)| kind);
    let engine = part.engine.as_ref().map(|(engine, _)| engine);
    let named = |name: &String| entity.name.as_ref().is_some_and(|said| said.value == *name);
    kind.is_some()
        && kind == entity.kind.as_ref().map(|said| said.value)
        && (engine.is_none() || engine == entity.engine.as_ref().map(|said| &said.value))
        && part.names.iter().all(|(name, _)| named(name))
}

/// What is left out, in a word.
fn word(part: &Part) -> Option<String> {
    let engine = part.engine.as_ref().map(|(engine, _)| engine.clone());
    engine.or_else(|| part.kind.map(|(kind, _)| kind.as_str().replace('_', " ")))
}
