//! What a clause asks for: which of its words is the verb, and what topic it has.
//!
//! Each verb and noun that could name an action gets a rank for its place, and the best one wins; then verb
//! and topic are brought together ("show the logs" is about logs).

use code_core::intent::Action;

use super::atom::What;
use super::clause::{Clause, Verb, View};
use super::lexicon::{Class, Deed, Form, Sense};
use super::piece::Item;
use super::setting::deed_of;

/// Finds what the clause asks for.
pub(crate) fn find_verb(view: &View<'_>, clause: &mut Clause) {
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
