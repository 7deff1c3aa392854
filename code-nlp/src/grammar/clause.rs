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

/// Finds what the clause asks for.
fn find_verb(view: &View<'_>, clause: &mut Clause) {
    let mut best: Option<(u8, Verb)> = None;
    let mut offer = |rank: u8, verb: Verb| {
        if best.as_ref().is_none_or(|(r, _)| rank < *r) {
            best = Some((rank, verb));
        }
    };
    let mut topic: Option<(u8, Action, usize)> = None;
    let mut secret = None;
    for at in clause.from..clause.to {
        let Some(atom) = view.atom(at) else { continue };
        if atom.senses.contains(&Sense::DryRun) && counts_as_dry_run(view, at, clause) {
            clause.dry_run = clause.dry_run.or(Some(atom.span));
        }
        if atom.senses.contains(&Sense::Secret) && !atom.is(Class::Application) {
            secret = secret.or(Some(at));
        }
        if let Some(action) = view.topic(at) {
            let denied = (1..=2).any(|b| at >= clause.from + b && view.is(at - b, Class::Without));
            let budget = action == Action::Cost
                && !clause.question
                && (clause.from..clause.to).any(|i| matches!(view.item(i), Some(Item::Money(..))))
                && !(clause.from..clause.to).any(|i| {
                    view.deed(i).is_some_and(|(d, form)| {
                        form != Form::Third
                            && matches!(d, Deed::Show | Deed::Check | Deed::Estimate | Deed::Do(Action::Cost))
                    })
                });
            // "once it is up": when, not what.
            let first = clause.from + usize::from(view.mark(clause.from, ','));
            let when = action == Action::Status
                && !clause.question
                && matches!(
                    view.text(first),
                    "once" | "when" | "as soon as" | "if" | "while" | "after" | "until" | "since" | "because"
                );
            let mut rank = if budget || when { 9 } else { topic_rank(view, at, action, clause) };
            // "ok?" asks of nothing.
            if rank == 4 && !(clause.from..clause.to).any(|i| is_object(view, i)) {
                rank = 9;
            }
            if rank < 9 && !denied && topic.is_none_or(|(r, _, _)| rank < r) {
                topic = Some((rank, action, at));
            }
        }
        let Some((deed, form)) = deed_of(atom) else { continue };
        match place_of(view, clause, at, deed, form) {
            Place::Asks { weak } => {
                let light = !matches!(deed, Deed::Do(_));
                let shows = matches!(deed, Deed::Show | Deed::Check) && clause.dry_run.is_some();
                let rank = u8::from(shows) * 8
                    + u8::from(light) * 4
                    + u8::from(weak) * 2
                    + u8::from(light && matches!(deed, Deed::Need | Deed::Get));
                offer(
                    rank,
                    Verb {
                        deed,
                        topic: None,
                        span: atom.span,
                        at,
                        weak: weak || matches!(deed, Deed::Need | Deed::Get | Deed::Run),
                    },
                );
            }
            Place::Denied => {
                if let Deed::Do(action) = deed {
                    clause.denied = clause.denied.or(Some((action, atom.span)));
                } else if clause.denied.is_none()
                    && matches!(deed, Deed::Set | Deed::Add | Deed::Run | Deed::Bring | Deed::Raise)
                {
                    clause.denied = Some((Action::Update, atom.span));
                }
            }
            Place::Other => {}
        }
    }
    let light = best.as_ref().is_none_or(|(_, v)| matches!(v.deed, Deed::Get | Deed::Run));
    // "can I see if my app is working?"
    let shows = best.as_ref().is_some_and(|(_, v)| matches!(v.deed, Deed::Show | Deed::Check));
    if shows && topic.is_none() && clause.dry_run.is_none() {
        let whether = (clause.from..clause.to).any(|i| view.is(i, Class::If));
        let state = (clause.from..clause.to).find(|i| {
            matches!(view.text(*i), "working" | "running" | "up" | "online" | "down" | "reachable" | "broken")
        });
        if let Some(at) = state.filter(|_| whether) {
            topic = Some((3, Action::Status, at));
        }
    }
    if light
        && topic.is_none()
        && let Some(at) = asks_state(view, clause)
    {
        topic = Some((3, Action::Status, at));
    }
    clause.verb = settle(view, clause, best, topic, secret);
}

/// "is X running?", "what is deployed in staging?": where the word stands that asks for the state.
fn asks_state(view: &View<'_>, clause: &Clause) -> Option<usize> {
    let first = (clause.from..clause.to)
        .find(|i| !view.atom(*i).is_some_and(|a| a.is(Class::Fill) && !a.is(Class::Ask)))?;
    let asks = view.is(first, Class::Ask)
        && (clause.question || view.is(first, Class::Be) || view.text(first).starts_with("wh"));
    let be = (first..clause.to).any(|i| view.is(i, Class::Be)) || view.text(first) == "what";
    (first..clause.to).filter(|_| asks && be).find(|i| {
        matches!(
            view.text(*i),
            "running"
                | "deployed"
                | "up"
                | "online"
                | "down"
                | "live"
                | "reachable"
                | "available"
                | "broken"
                | "working"
                | "installed"
                | "offline"
        )
    })
}

/// Whether something stands here of which the state can be asked.
fn is_object(view: &View<'_>, at: usize) -> bool {
    match view.item(at) {
        Some(Item::Part(_) | Item::App(_) | Item::Env(_) | Item::Namespace(_) | Item::Cluster(_)) => true,
        Some(Item::Atom) => {
            view.is(at, Class::It) || view.is(at, Class::Them) || view.is(at, Class::Everything)
        }
        _ => false,
    }
}

/// How good a topic is: lower is better, 9 is none.
fn topic_rank(view: &View<'_>, at: usize, action: Action, clause: &Clause) -> u8 {
    let Some(atom) = view.atom(at) else { return 9 };
    let of = (at + 1..(at + 3).min(clause.to)).any(|i| view.text(i) == "of" || view.text(i) == "for");
    match action {
        Action::Logs | Action::Scan | Action::Cost | Action::RotateSecrets => 1,
        // "the deployment of", "a rollback of"; alone they are nouns.
        Action::Deploy
        | Action::Update
        | Action::Scale
        | Action::Restart
        | Action::Promote
        | Action::Rollback
        | Action::Destroy => {
            if of
                || atom.text.starts_with("off and on")
                || (at > clause.from && view.is(at - 1, Class::Indefinite))
                || at == clause.from
            {
                2
            } else {
                9
            }
        }
        _ => {
            let weak = matches!(
                atom.text.as_str(),
                "ok" | "okay"
                    | "doing"
                    | "going"
                    | "alive"
                    | "stable"
                    | "condition"
                    | "how's"
                    | "how is"
                    | "how are"
                    | "state"
            );
            let noun_of_request = atom.text == "state"
                && !view.is(at.saturating_sub(1), Class::Definite)
                && !of
                && !clause.question
                && at > clause.from;
            if noun_of_request && clause.to > at + 2 {
                9
            } else if weak {
                4
            } else {
                3
            }
        }
    }
}

enum Place {
    Asks { weak: bool },
    Denied,
    Other,
}

/// Whether a verb asks for something where it stands.
fn place_of(view: &View<'_>, clause: &Clause, at: usize, deed: Deed, form: Form) -> Place {
    let first = clause.from;
    // Words back to the last thing that is not one of those that stand around a verb.
    let mut not = false;
    let mut modal = false;
    let mut be = false;
    let mut was = false;
    let mut who = false;
    let mut iff = false;
    let mut article = false;
    let mut which = false;
    let mut back = at;
    while back > first && back + 9 > at {
        let Some(atom) = view.atom(back - 1) else { break };
        let near = back == at;
        if atom.is(Class::Not)
            || (atom.is(Class::Without)
                && matches!(atom.text.as_str(), "without" | "instead of" | "rather than" | "no" | "not"))
        {
            not = true;
        }
        modal |= atom.is(Class::Modal);
        be |= atom.is(Class::Be);
        was |= atom.is(Class::Was) && !atom.is(Class::Fill);
        who |= atom.is(Class::Who);
        iff |= atom.is(Class::If);
        if atom.is(Class::Which) && !atom.is(Class::It) && atom.text != "that"
            || (atom.text == "that" && view.is_part(back.saturating_sub(2)))
        {
            which = true;
            break;
        }
        article |= near
            && (atom.is(Class::Definite)
                || atom.is(Class::Indefinite)
                || atom.is(Class::Possessive)
                || atom.owns);
        let passes = atom.is(Class::Not)
            || atom.is(Class::Modal)
            || atom.is(Class::Be)
            || atom.is(Class::Was)
            || atom.is(Class::Who)
            || atom.is(Class::If)
            || atom.is(Class::Fill)
            || atom.is(Class::Ask)
            || atom.is(Class::To) && atom.text == "to"
            || atom.is(Class::It)
            || atom.is(Class::Them)
            || atom.is(Class::Both)
            || atom.is(Class::Which)
            || matches!(atom.text.as_str(), "not" | "without" | "be" | "by" | "and");
        if !passes {
            break;
        }
        back -= 1;
    }
    if which {
        return Place::Other;
    }
    let whole = |i: usize| view.deed(i).is_some_and(|(d, _)| matches!(d, Deed::Need | Deed::Get));
    let asked_before = (first..at).any(whole) || modal;
    if iff && who && form == Form::Past {
        return if not { Place::Denied } else { Place::Asks { weak: false } };
    }
    match form {
        Form::Base => {
            // "in advance", "by default": a noun after a preposition.
            let noun = at > first
                && matches!(
                    view.text(at - 1),
                    "in" | "on" | "at" | "of" | "with" | "from" | "under" | "after" | "before" | "per"
                );
            if noun && !article {
                return Place::Other;
            }
            if article {
                if view.atom(at).is_some_and(|a| super::setting::field_of(a).is_some()) {
                    return Place::Other;
                }
                let of = matches!(view.text(at + 1), "of" | "for" | "to" | "in")
                    || view.is(at + 1, Class::In)
                    || at + 1 >= clause.to;
                return if of && matches!(deed, Deed::Do(_)) && !not {
                    Place::Asks { weak: true }
                } else {
                    Place::Other
                };
            }
            // "did you deploy", "we had to restart": over already.
            if view.text(back) == "did" && !clause.question && who {
                return Place::Other;
            }
            if was
                && who
                && !modal
                && !clause.question
                && matches!(view.text(at.saturating_sub(1)), "had" | "was" | "did")
            {
                return Place::Other;
            }
            if not {
                return Place::Denied;
            }
            // The subject is a thing: "my website shows an error", "the release broke".
            let thing = at > first && view.is_part(at - 1) && !modal;
            let weak = thing && !matches!(deed, Deed::Do(_));
            // A verb in the middle of words that mean nothing here ("campaign launch") is a noun.
            let after_word = at > first
                && view.atom(at - 1).is_some_and(|a| {
                    a.unknown()
                        || (a.classes.is_empty()
                            && a.senses.is_empty()
                            && a.what == What::Word
                            && !matches!(
                                a.text.as_str(),
                                "first" | "please" | "plz" | "kindly" | "asap" | "you" | "somebody"
                            ))
                })
                && !modal
                && matches!(deed, Deed::Do(_));
            Place::Asks { weak: weak || after_word }
        }
        Form::Third => {
            let needs = deed == Deed::Need && at > first;
            if needs && !not { Place::Asks { weak: true } } else { Place::Other }
        }
        Form::Past => {
            let passive = be || view.is(at.saturating_sub(1), Class::Be);
            if deed == Deed::Need || deed == Deed::Set && matches!(view.text(at), "wished") {
                return if passive && !not { Place::Asks { weak: true } } else { Place::Other };
            }
            let causative = at > first
                && asked_before
                && matches!(view.item(at - 1), Some(Item::Part(_) | Item::App(_) | Item::Env(_)))
                && !who;
            if (modal && passive) || (passive && asked_before && !was) || causative || (modal && !who) {
                if not { Place::Denied } else { Place::Asks { weak: false } }
            } else {
                Place::Other
            }
        }
        Form::Ing => {
            if deed == Deed::Need && (who || be) && !not {
                return Place::Asks { weak: true };
            }
            if be && !modal || view.text(at.saturating_sub(1)) == "keeps" {
                return Place::Other;
            }
            if at > first && view.is_part(at - 1) && !matches!(deed, Deed::Do(_)) {
                return Place::Other;
            }
            if not { Place::Denied } else { Place::Asks { weak: !matches!(deed, Deed::Do(_)) } }
        }
    }
}

/// "plan" is a dry run where something is planned, "preview" is also an environment.
fn counts_as_dry_run(view: &View<'_>, at: usize, clause: &Clause) -> bool {
    let Some(atom) = view.atom(at) else { return false };
    match atom.text.as_str() {
        "plan" | "the diff" | "diff" => {
            let owned = at > clause.from && view.text(at - 1) == "our";
            !owned
        }
        "no change" | "no changes" => true,
        _ => true,
    }
}

/// Brings verb and topic together.
fn settle(
    view: &View<'_>,
    clause: &Clause,
    best: Option<(u8, Verb)>,
    topic: Option<(u8, Action, usize)>,
    secret: Option<usize>,
) -> Option<Verb> {
    let noun = |(_, action, at): (u8, Action, usize), weak: bool| Verb {
        deed: Deed::Do(action),
        topic: Some((action, view.span(at))),
        span: view.span(at),
        at,
        weak,
    };
    let back = (clause.from..clause.to).find(|i| view.is(*i, Class::Back));
    let Some((rank, mut verb)) = best else {
        let topic = topic?;
        // A noun that names an action, without any verb.
        return Some(noun(topic, topic.0 >= 4));
    };
    if let Some(secret) = secret
        && (matches!(verb.deed, Deed::Renew | Deed::Set | Deed::Need | Deed::Get | Deed::Add | Deed::Raise)
            || matches!(
                verb.deed,
                Deed::Do(Action::Deploy | Action::RotateSecrets | Action::Update | Action::Destroy)
            ) && secret <= verb.at + 3)
        && !matches!(topic, Some((_, Action::Scan | Action::Cost | Action::Logs, _)))
        && (secret > verb.at || view.deed(verb.at).is_some_and(|(_, form)| form == Form::Past))
        && (rank <= 4 || matches!(verb.deed, Deed::Renew | Deed::Set | Deed::Need | Deed::Get))
    {
        verb.deed = Deed::Do(Action::RotateSecrets);
        verb.topic = Some((Action::RotateSecrets, view.span(secret)));
        verb.weak = false;
        return Some(verb);
    }
    if let Some(back) = back
        && back + 1 > verb.at
        && matches!(verb.deed, Deed::Bring | Deed::Set | Deed::Get | Deed::Renew | Deed::Need | Deed::Raise)
    {
        verb.topic = Some((Action::Rollback, view.span(back)));
        verb.deed = Deed::Do(Action::Rollback);
        verb.weak = false;
        return Some(verb);
    }
    match (verb.deed, topic) {
        // "show the logs", "run the compliance scan", "what does it cost to run", "check X for CVEs".
        (
            Deed::Show
            | Deed::Check
            | Deed::Get
            | Deed::Need
            | Deed::Run
            | Deed::Bring
            | Deed::Set
            | Deed::Add
            | Deed::Estimate
            | Deed::Raise,
            Some(topic),
        ) => {
            let strong_topic = topic.0 <= 2
                || matches!(
                    verb.deed,
                    Deed::Show | Deed::Check | Deed::Need | Deed::Get | Deed::Run | Deed::Bring
                );
            let settings_verb = matches!(verb.deed, Deed::Set | Deed::Raise | Deed::Add)
                && !view.text(topic.2).starts_with("off and on")
                && topic.2 > verb.at
                && topic.0 != 1;
            if strong_topic
                && !settings_verb
                && !(verb.deed == Deed::Set && topic.1 == Action::Scan && topic.0 > 1)
            {
                let mut noun = noun(topic, topic.0 >= 4);
                noun.span = verb.span.to(view.span(topic.2));
                return Some(noun);
            }
            if verb.deed == Deed::Estimate {
                verb.deed = Deed::Do(Action::Cost);
            }
            Some(verb)
        }
        (Deed::Estimate, None) => {
            verb.deed = Deed::Do(Action::Cost);
            Some(verb)
        }
        // A question about cost or logs keeps its topic: "how much would it cost to deploy".
        (Deed::Do(Action::Deploy | Action::Scale), Some((1, action @ Action::Cost, at)))
            if at < verb.at && clause.question =>
        {
            Some(noun((1, action, at), false))
        }
        (Deed::Do(Action::Deploy), Some((1, action, at))) if verb.weak => Some(noun((1, action, at), false)),
        _ => Some(verb),
    }
}
