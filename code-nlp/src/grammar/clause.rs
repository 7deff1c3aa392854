//! Pieces to clauses: sentences are split where a new verb begins, and each clause gets its action.
//!
//! ```text
//!   In staging: | upgrade the quill worker to 3.1 , | restart the orbit API and | show me the status .
//!   lead          Update                            Restart                     Status
//! ```
//!
//! A verb is an action only in a place where verbs ask for something: not after "that" ("a job that runs"),
//! not as a noun after an article, not in the past ("I deleted something").

use code_core::intent::Action;
use code_core::request::Span;

use super::atom::{Atom, What};
use super::lexicon::{Class, Deed, Form, Relation, Sense};
use super::part::kind_of;
use super::piece::{Item, Piece};
use super::setting::deed_of;
use super::verb::find_verb;

/// A part of a sentence with at most one action.
#[derive(Clone, Debug)]
pub(crate) struct Clause {
    /// Its pieces, from and to.
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) sentence: usize,
    pub(crate) question: bool,
    /// The sentence is no statement about anything that could be acted on: "next year".
    pub(crate) verb: Option<Verb>,
    /// Verbs that are denied: "don't restart".
    pub(crate) denied: Option<(Action, Span)>,
    pub(crate) dry_run: Option<Span>,
    /// It inherits action and object of the clause before ("… and to 2 in staging").
    pub(crate) gapped: bool,
}

/// What a clause asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Verb {
    pub(crate) deed: Deed,
    /// The action that a noun beside the verb names: "show the logs".
    pub(crate) topic: Option<(Action, Span)>,
    pub(crate) span: Span,
    /// The piece at which it stands.
    pub(crate) at: usize,
    /// A wish, a need, a noun: gives way to a plain verb.
    pub(crate) weak: bool,
}

/// The atom of a piece that is one.
pub(crate) fn atom<'a>(atoms: &'a [Atom], piece: &Piece) -> Option<&'a Atom> {
    matches!(piece.item, Item::Atom).then(|| &atoms[piece.atoms.0])
}

/// Looks at pieces by their place.
pub(crate) struct View<'a> {
    pub(crate) atoms: &'a [Atom],
    pub(crate) pieces: &'a [Piece],
}

impl<'a> View<'a> {
    pub(crate) fn atom(&self, at: usize) -> Option<&'a Atom> {
        self.pieces.get(at).and_then(|p| atom(self.atoms, p))
    }
    pub(crate) fn is(&self, at: usize, class: Class) -> bool {
        self.atom(at).is_some_and(|a| a.is(class))
    }
    pub(crate) fn mark(&self, at: usize, mark: char) -> bool {
        self.atom(at).is_some_and(|a| a.mark(mark))
    }
    pub(crate) fn text(&self, at: usize) -> &'a str {
        self.atom(at).map_or("", |a| a.text.as_str())
    }
    pub(crate) fn item(&self, at: usize) -> Option<&'a Item> {
        self.pieces.get(at).map(|p| &p.item)
    }
    pub(crate) fn span(&self, at: usize) -> Span {
        self.pieces[at].span
    }
    pub(crate) fn deed(&self, at: usize) -> Option<(Deed, Form)> {
        self.atom(at).and_then(deed_of)
    }
    pub(crate) fn relation(&self, at: usize) -> Option<Relation> {
        self.atom(at)?.senses.iter().find_map(|s| match s {
            Sense::Relation(relation) => Some(*relation),
            _ => None,
        })
    }
    pub(crate) fn topic(&self, at: usize) -> Option<Action> {
        self.atom(at)?.senses.iter().find_map(|s| match s {
            Sense::Topic(action) => Some(*action),
            _ => None,
        })
    }
    pub(crate) fn is_part(&self, at: usize) -> bool {
        matches!(self.item(at), Some(Item::Part(_)))
    }
    /// A mark that may part clauses, or a word that joins them.
    fn parts_clauses(&self, at: usize) -> bool {
        self.atom(at).is_some_and(|a| {
            matches!(a.what, What::Mark(',' | ';' | ':' | '-' | '>' | '(') | What::Bullet | What::Newline)
                || (a.is(Class::And) && matches!(a.text.as_str(), "and" | "&" | "plus" | "as well as" | "+"))
                || a.is(Class::Then)
                || a.is(Class::But)
                || matches!(a.text.as_str(), "so" | "or" | "because" | "since")
        })
    }
}

/// The clauses of the request, in order.
pub(crate) fn clauses(view: &View<'_>) -> Vec<Clause> {
    let mut out = Vec::new();
    for (n, (from, to, question)) in sentences(view).into_iter().enumerate() {
        let mut start = from;
        let mut at = from;
        while at < to {
            if at > start && view.parts_clauses(at) {
                let mut next = at;
                while next < to && view.parts_clauses(next) {
                    next += 1;
                }
                let gap = gapped(view, start, at, next, to);
                if begins_clause(view, start, next, to) || gap {
                    push(view, &mut out, (start, at), n, question, false);
                    start = next;
                    if gap {
                        // The gapped clause is the next one that is pushed.
                        let end = (next..to)
                            .find(|i| view.parts_clauses(*i) && begins_clause(view, next, i + 1, to))
                            .unwrap_or(to);
                        push(view, &mut out, (next, end), n, question, true);
                        start = end;
                        at = end;
                        continue;
                    }
                }
                at = next;
                continue;
            }
            at += 1;
        }
        push(view, &mut out, (start, to), n, question, false);
    }
    out
}

fn push(
    view: &View<'_>,
    out: &mut Vec<Clause>,
    (from, to): (usize, usize),
    sentence: usize,
    question: bool,
    gapped: bool,
) {
    if from >= to {
        return;
    }
    let mut clause = Clause { from, to, sentence, question, verb: None, denied: None, dry_run: None, gapped };
    find_verb(view, &mut clause);
    out.push(clause);
}

/// Sentences, as ranges of pieces with whether each is a question.
fn sentences(view: &View<'_>) -> Vec<(usize, usize, bool)> {
    let spec = is_spec(view);
    let mut out = Vec::new();
    let mut start = 0;
    let mut in_list = false;
    for at in 0..view.pieces.len() {
        let Some(atom) = view.atom(at) else { continue };
        let ends = match atom.what {
            What::Mark('.' | '!') => true,
            What::Mark('?') => {
                if at > start {
                    out.push((start, at, true));
                }
                start = at + 1;
                false
            }
            What::Mark('~') => !matches!(view.item(at + 1), Some(Item::Loose(_))),
            What::Newline => {
                let bullet = view.atom(at + 1).is_some_and(|a| a.what == What::Bullet);
                let wrapped = at > start
                    && view.pieces.get(at + 1).is_some_and(|p| {
                        let first = &view.atoms[p.atoms.0];
                        first.what != What::Newline && !first.capital && first.what == What::Word
                    })
                    && !view.mark(at - 1, ':')
                    && !view.atom(at - 1).is_some_and(|a| a.what == What::Newline);
                if bullet {
                    in_list = true;
                    false
                } else if in_list {
                    in_list = false;
                    !spec
                } else {
                    !spec && !wrapped
                }
            }
            _ => false,
        };
        if ends {
            if at > start {
                out.push((start, at, false));
            }
            start = at + 1;
        }
    }
    if start < view.pieces.len() {
        out.push((start, view.pieces.len(), false));
    }
    out
}

/// Whether the request is written as "key: value" lines: then they are one sentence.
fn is_spec(view: &View<'_>) -> bool {
    let keys = (0..view.pieces.len().saturating_sub(1)).filter(|at| {
        let starts = *at == 0
            || view
                .atom(at - 1)
                .is_some_and(|a| matches!(a.what, What::Newline | What::Mark(';' | ',') | What::Bullet));
        let atom = &view.atoms[view.pieces[*at].atoms.0];
        let colon = view.atoms.get(view.pieces[*at].atoms.0 + 1).is_some_and(|a| a.mark(':') || a.mark('='));
        let known = !atom.senses.is_empty()
            || atom.is(Class::Environment)
            || atom.is(Class::Application)
            || atom.is(Class::Head)
            || atom.text == "action";
        starts && colon && known
    });
    keys.count() >= 2
}

/// Whether a new clause begins at `at`, given what the clause so far holds.
fn begins_clause(view: &View<'_>, start: usize, at: usize, to: usize) -> bool {
    let mut next = at;
    let mut subject = false;
    let mut wh = false;
    while next < to && next < at + 9 {
        let Some(atom) = view.atom(next) else { return false };
        if let Some((deed, form)) = deed_of(atom) {
            let relation = view.relation(next).is_some() && !matches!(deed, Deed::Do(_));
            // "please get", "to have": words that are modal as well pass on to a stronger verb.
            let later = (next + 1..(next + 4).min(to))
                .any(|i| view.deed(i).is_some_and(|(d, f)| matches!(d, Deed::Do(_)) && f == Form::Base));
            if atom.is(Class::Modal) && later {
                next += 1;
                continue;
            }
            let noun =
                kind_of(atom).is_some() && !matches!(view.item(next + 1), Some(Item::Part(_) | Item::App(_)));
            return match form {
                Form::Base => !noun && (!relation || subject),
                // "… scaled to 4 and restarted"; "…; both should be created".
                Form::Past => {
                    let again = next == at && has_verb(view, start, at, Form::Past);
                    matches!(deed, Deed::Do(_)) && (again || subject && view.mark(at - 1, ';'))
                }

                Form::Ing | Form::Third => false,
            };
        }
        if let Some(topic) = view.topic(next) {
            let before = (start..at)
                .filter_map(|i| {
                    view.topic(i).or_else(|| {
                        view.deed(i).and_then(|(d, _)| if let Deed::Do(a) = d { Some(a) } else { None })
                    })
                })
                .next_back();
            let asks = wh || next == at || view.is(next - 1, Class::Definite);
            return asks && before.is_some_and(|b| b != topic);
        }
        wh |= atom.is(Class::If) || (atom.is(Class::Ask) && !atom.is(Class::Modal));
        subject |= atom.is(Class::Who) || atom.is(Class::Modal);
        let passes = atom.is(Class::Fill)
            || atom.is(Class::Who)
            || atom.is(Class::Modal)
            || atom.is(Class::Not)
            || atom.is(Class::Then)
            || atom.is(Class::If)
            || atom.is(Class::Ask)
            || (atom.is(Class::It) && wh)
            || atom.is(Class::Be) && wh
            || atom.is(Class::But)
            || matches!(atom.what, What::Mark(',' | '-' | '"') | What::Bullet | What::Newline)
            || matches!(atom.text.as_str(), "to" | "that" | "the" | "before" | "while" | "you" | "of all");
        if !passes {
            return false;
        }
        next += 1;
    }
    false
}

fn has_verb(view: &View<'_>, from: usize, to: usize, form: Form) -> bool {
    (from..to).any(|i| view.deed(i).is_some_and(|(d, f)| f == form && matches!(d, Deed::Do(_))))
}

/// "Scale X to 6 in prod and [to 2 in staging]", "restart X in dev and [Y in qa]",
/// "promote from dev to qa, then [from qa to staging]".
fn gapped(view: &View<'_>, start: usize, at: usize, next: usize, to: usize) -> bool {
    let env =
        |range: std::ops::Range<usize>| range.into_iter().any(|i| matches!(view.item(i), Some(Item::Env(_))));
    if !env(start..at) {
        return false;
    }
    let end = (next..to).find(|i| view.parts_clauses(*i)).unwrap_or(to);
    if !env(next..end) || (next..end).any(|i| view.deed(i).is_some_and(|(d, _)| matches!(d, Deed::Do(_)))) {
        return false;
    }
    let valued = |range: std::ops::Range<usize>| {
        range.into_iter().any(|i| {
            matches!(view.item(i), Some(Item::Part(_) | Item::Loose(_) | Item::Set(_) | Item::App(_)))
        })
    };
    let from_to = view.is(next, Class::From)
        && (next..end).filter(|i| matches!(view.item(*i), Some(Item::Env(_)))).count() >= 2;
    // A verb must stand before, and the first environment after its object.
    let verb = (start..at).any(|i| view.deed(i).is_some());
    verb && (from_to || (valued(next..end) && valued(start..at) && env_is_last(view, start, at)))
}

fn env_is_last(view: &View<'_>, start: usize, at: usize) -> bool {
    let env = (start..at).rev().find(|i| matches!(view.item(*i), Some(Item::Env(_))));
    let value = (start..at).rev().find(|i| matches!(view.item(*i), Some(Item::Part(_) | Item::Loose(_))));
    env > value
}
