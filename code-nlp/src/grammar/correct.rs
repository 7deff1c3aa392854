//! Corrections: "two replicas, no wait, three" is three.
//!
//! What follows the words of a correction takes the place of the last thing of its sort before them. Where
//! the new value stands by itself, it moves to the old one's place; where it brings its own noun along
//! ("no, four replicas of the web app"), the old one goes.

use code_core::intent::Replicas;

use super::atom::{Atom, What};
use super::lexicon::{Class, Sense};
use super::piece::{Item, Piece};
use super::setting::{Set, replicas};
use super::value::Value;

/// The pieces with their corrections carried out.
pub(crate) fn correct(atoms: &[Atom], mut pieces: Vec<Piece>) -> Vec<Piece> {
    let mut at = 0;
    while at < pieces.len() {
        if let Some(done) = correction(atoms, &pieces, at) {
            pieces = done;
            at = at.saturating_sub(2);
        }
        at += 1;
    }
    pieces
}

fn atom<'a>(atoms: &'a [Atom], piece: &Piece) -> Option<&'a Atom> {
    matches!(piece.item, Item::Atom).then(|| &atoms[piece.atoms.0])
}

fn correction(atoms: &[Atom], pieces: &[Piece], at: usize) -> Option<Vec<Piece>> {
    let corrects = |i: usize| {
        pieces.get(i).is_some_and(|p| {
            atoms[p.atoms.0].senses.contains(&Sense::Correction) && (matches!(p.item, Item::Atom))
        })
    };
    let marked = at > 0
        && atom(atoms, &pieces[at - 1]).is_some_and(|a| {
            matches!(a.what, What::Mark(_) | What::Newline)
                || a.is(Class::Fill)
                || matches!(a.text.as_str(), "no" | "hmm" | "er" | "uh" | "oh" | "ah")
        });
    let plain_no = pieces.get(at).and_then(|p| atom(atoms, p)).is_some_and(|a| a.text == "no")
        && pieces
            .get(at + 1)
            .and_then(|p| atom(atoms, p))
            .is_some_and(|a| a.mark(',') || a.mark('-') || a.mark('.'));
    if !(marked && (corrects(at) || plain_no)) {
        return None;
    }
    // The words of the correction, up to the new value.
    let mut start = at;
    while start > 0
        && atom(atoms, &pieces[start - 1]).is_some_and(|a| {
            matches!(a.what, What::Mark(_)) && !matches!(a.what, What::Mark(')'))
                || matches!(a.text.as_str(), "hmm" | "er" | "uh" | "oh" | "ah" | "no" | "but")
        })
    {
        start -= 1;
    }
    let mut new = at + 1;
    while new < pieces.len()
        && new < at + 8
        && (corrects(new)
            || atom(atoms, &pieces[new]).is_some_and(|a| {
                matches!(a.what, What::Mark(',' | '-' | ':' | '.' | '~'))
                    || a.is(Class::To)
                    || a.is(Class::In)
                    || a.is(Class::Who)
                    || a.is(Class::It)
                    || a.is(Class::Be)
                    || matches!(
                        a.text.as_str(),
                        "make"
                            | "use"
                            | "meant"
                            | "mean"
                            | "no"
                            | "should"
                            | "it"
                            | "that"
                            | "the"
                            | "be"
                            | "with"
                            | "hmm"
                            | "go"
                            | "better"
                            | "let's"
                            | "take"
                            | "on"
                            | "by"
                            | "named"
                            | "called"
                            | "of"
                            | "set"
                            | "i"
                            | "scale"
                    )
            }))
    {
        new += 1;
    }
    let replacement = pieces.get(new)?;
    let followed_by_noun = pieces.get(new + 1).and_then(|p| atom(atoms, p)).is_some_and(|a| a.text == "of")
        || (matches!(replacement.item, Item::Set(_))
            && pieces.get(new + 1).is_some_and(|p| matches!(p.item, Item::Part(_))));
    // The last thing of its sort before.
    for old in (0..start).rev() {
        if let Some(merged) = replace(&pieces[old], replacement) {
            let mut out = pieces.to_vec();
            if followed_by_noun {
                out.drain(start..new);
                out.remove(old);
            } else {
                out.drain(start..=new);
                out[old] = merged;
            }
            return Some(out);
        }
    }
    None
}

/// The old piece with the new one's value, where they are of one sort.
fn replace(old: &Piece, new: &Piece) -> Option<Piece> {
    let moved = |item: Item| Some(Piece { item, span: new.span, atoms: old.atoms });
    match (&old.item, &new.item) {
        (Item::Env(_), Item::Env(_))
        | (Item::Region(_), Item::Region(_))
        | (Item::Platform(_), Item::Platform(_))
        | (Item::App(_), Item::App(_))
        | (Item::Cluster(_), Item::Cluster(_))
        | (Item::Namespace(_), Item::Namespace(_))
        | (Item::Money(..), Item::Money(..)) => moved(new.item.clone()),
        (Item::Loose(a), Item::Loose(b))
            if std::mem::discriminant(a) == std::mem::discriminant(b) || is_count(a) && is_count(b) =>
        {
            moved(new.item.clone())
        }
        (Item::Set(a), Item::Set(b)) if a.field() == b.field() => moved(new.item.clone()),
        (Item::Set(a), Item::Loose(value)) => loose(a, value).and_then(|set| moved(Item::Set(set))),
        (Item::Loose(value), Item::Set(Set::Replicas(_))) if is_count(value) => moved(new.item.clone()),
        (Item::Part(a), Item::Part(b)) => {
            let mut part = a.clone();
            if b.weak && !a.names.is_empty() {
                part.names.clone_from(&b.names);
            } else if b.kind.is_some() || b.engine.is_some() {
                part.kind = b.kind;
                part.engine.clone_from(&b.engine);
                part.version.clone_from(&b.version);
                if !b.names.is_empty() {
                    part.names.clone_from(&b.names);
                }
            } else {
                return None;
            }
            Some(Piece { item: Item::Part(part), span: old.span.to(new.span), atoms: old.atoms })
        }
        (Item::Set(Set::Names(_)), Item::Part(part)) if part.weak => {
            moved(Item::Set(Set::Names(part.names.clone())))
        }
        (Item::Part(part), Item::Loose(Value::Count(n))) if part.count.is_some() => {
            let mut part = part.clone();
            part.count = Some((*n, new.span));
            Some(Piece { item: Item::Part(part), ..old.clone() })
        }
        (Item::Part(part), Item::Loose(Value::Version(text))) if part.version.is_some() => {
            let mut part = part.clone();
            part.version = Some((text.clone(), new.span));
            Some(Piece { item: Item::Part(part), ..old.clone() })
        }
        _ => None,
    }
}

fn is_count(value: &Value) -> bool {
    matches!(value, Value::Count(_) | Value::Range(..) | Value::AtLeast(_) | Value::AtMost(_))
}

/// A value without its field takes the field of what it corrects.
fn loose(old: &Set, value: &Value) -> Option<Set> {
    Some(match (old, value) {
        (Set::Replicas(_), value) => Set::Replicas(replicas(value)?),
        (Set::Memory(_), Value::Bytes(text)) => Set::Memory(text.clone()),
        (Set::Storage(_), Value::Bytes(text)) => Set::Storage(text.clone()),
        (Set::Cpu(_), Value::Cores(n)) => Set::Cpu(*n),
        (Set::Cpu(_), Value::Count(n)) => Set::Cpu(f64::from(*n)),
        (Set::Port(_), Value::Count(n)) => Set::Port(u16::try_from(*n).ok()?),
        (Set::Version(_), Value::Version(text)) => Set::Version(text.clone()),
        (Set::Version(_), Value::Count(n)) => Set::Version(n.to_string()),
        _ => return None,
    })
}

/// The count of a part as replicas.
pub(crate) fn counted(n: u32) -> Set {
    Set::Replicas(Replicas::exactly(n))
}
