//! Values without their field: "scale it to 5", "upgrade to 16", "20 GB".

use code_core::intent::Action;

use super::mention::bytes_of;
use super::{Reader, Scanned};
use crate::grammar::atom::What;
use crate::grammar::clause::{Clause, View};
use crate::grammar::frame::Said;
use crate::grammar::lexicon::{Class, Deed, Field};
use crate::grammar::setting::{Set, replicas};
use crate::grammar::value::Value;

impl Reader<'_> {
    /// A value without its field, read by the action, the verb and the component.
    #[expect(clippy::too_many_arguments, reason = "the state of one scan")]
    pub(super) fn loose(
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
}

pub(super) fn last_number(view: &View<'_>, at: usize) -> String {
    let (from, to) = view.pieces[at].atoms;
    (from..to)
        .rev()
        .find_map(|i| view.atoms[i].number().map(|_| view.atoms[i].raw.clone()))
        .unwrap_or_default()
}
