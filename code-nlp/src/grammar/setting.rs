//! Settings: a field and its value, in either order, with their words.
//!
//! "3 replicas", "replicas: 2..6", "memory of 512 MB", "port 8080", "no TLS", "backups: yes",
//! `LOG_LEVEL to debug`, "every night at 2".

use code_core::intent::Replicas;
use code_core::request::Span;

use super::atom::{Atom, What};
use super::lexicon::{Class, Deed, Field, Flag, Form, Sense};
use super::schedule::schedule;
use super::value::{Value, value, version};

/// What a setting sets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Set {
    Replicas(Replicas),
    Cpu(f64),
    Memory(String),
    Storage(String),
    Port(u16),
    Public(bool),
    Host(String),
    Tls(bool),
    Schedule(String),
    Env(String, String),
    HighlyAvailable(bool),
    Backups(bool),
    Encrypted(bool),
    Version(String),
    Image(String),
    Source(String),
    Names(Vec<(String, Span)>),
}

impl Set {
    /// The field of the contract that it sets.
    pub(crate) fn field(&self) -> &'static str {
        match self {
            Set::Replicas(_) => "replicas",
            Set::Cpu(_) => "cpu",
            Set::Memory(_) => "memory",
            Set::Storage(_) => "storage",
            Set::Port(_) => "port",
            Set::Public(_) => "public",
            Set::Host(_) => "host",
            Set::Tls(_) => "tls",
            Set::Schedule(_) => "schedule",
            Set::Env(..) => "env",
            Set::HighlyAvailable(_) => "highly_available",
            Set::Backups(_) => "backups",
            Set::Encrypted(_) => "encrypted",
            Set::Version(_) => "version",
            Set::Image(_) => "image",
            Set::Source(_) => "source",
            Set::Names(_) => "name",
        }
    }

    pub(crate) fn flag(flag: Flag, on: bool) -> Set {
        match flag {
            Flag::Public => Set::Public(on),
            Flag::Tls => Set::Tls(on),
            Flag::HighlyAvailable => Set::HighlyAvailable(on),
            Flag::Backups => Set::Backups(on),
            Flag::Encrypted => Set::Encrypted(on),
        }
    }
}

pub(crate) fn field_of(atom: &Atom) -> Option<Field> {
    atom.senses.iter().find_map(|s| match s {
        Sense::Field(field) => Some(*field),
        _ => None,
    })
}

pub(crate) fn flag_of(atom: &Atom) -> Option<(Flag, bool)> {
    atom.senses.iter().find_map(|s| match s {
        Sense::Flag(flag, on) => Some((*flag, *on)),
        _ => None,
    })
}

/// The setting at `at`, and where it ends.
pub(crate) fn setting(atoms: &[Atom], at: usize) -> Option<(Set, usize)> {
    let atom = atoms.get(at)?;
    match &atom.what {
        What::Image => return Some((Set::Image(atom.raw.clone()), at + 1)),
        What::Source => return Some((Set::Source(atom.raw.clone()), at + 1)),
        What::Host => return Some((Set::Host(atom.raw.clone()), at + 1)),
        What::Assign(key, value) => return Some((Set::Env(key.clone(), value.clone()), at + 1)),
        What::EnvKey => return variable(atoms, at),
        _ => {}
    }
    if let Some((flag, on)) = flag_of(atom) {
        return Some(flagged(atoms, at, flag, on));
    }
    value_first(atoms, at).or_else(|| field_first(atoms, at)).or_else(|| {
        let (cron, end) = schedule(atoms, at)?;
        Some((Set::Schedule(cron), end))
    })
}

/// `LOG_LEVEL to debug`, `LOG_LEVEL: debug`, `LOG_LEVEL = debug`.
fn variable(atoms: &[Atom], at: usize) -> Option<(Set, usize)> {
    let next = atoms.get(at + 1)?;
    let joined =
        next.is(Class::To) || next.mark(':') || next.mark('=') || matches!(next.text.as_str(), "is" | "as");
    let value = atoms.get(at + 2).filter(|v| joined && !matches!(v.what, What::Mark(_) | What::Newline))?;
    Some((Set::Env(atoms[at].raw.clone(), value.raw.clone()), at + 3))
}

/// A flag, turned by the words around it: "no TLS", "TLS: yes", "turn backups off".
fn flagged(atoms: &[Atom], at: usize, flag: Flag, on: bool) -> (Set, usize) {
    let mut end = at + 1;
    let mut on = on;
    // What stands behind it.
    let mut next = at + 1;
    while next < at + 4
        && atoms.get(next).is_some_and(|a| {
            a.mark(':')
                || a.mark('=')
                || a.is(Class::Be)
                || matches!(a.text.as_str(), "turned" | "switched" | "set" | "to")
        })
    {
        next += 1;
    }
    if let Some(said) = atoms.get(next) {
        let direct = next == at + 1;
        let plain_value =
            !matches!(said.text.as_str(), "not" | "please" | "always" | "no" | "none" | "never") || !direct;
        // "TLS on port 443": that "on" is a preposition.
        let more = atoms.get(next + 1).is_none_or(|a| {
            matches!(a.what, What::Mark(_) | What::Newline)
                || a.is(Class::And)
                || a.is(Class::In)
                || a.is(Class::Fill)
                || a.is(Class::But)
        });
        if said.is(Class::Yes) && plain_value && (more || said.text != "on") {
            end = next + 1;
        } else if said.is(Class::No) && plain_value && (more || said.text != "no") {
            (end, on) = (next + 1, !on);
        }
    }
    if end == at + 1 && negated(atoms, at) {
        on = !on;
    }
    (Set::flag(flag, on), end)
}

/// Whether a "no", "without", "not", "disable" before `at` turns it round.
fn negated(atoms: &[Atom], at: usize) -> bool {
    let mut back = at;
    for _ in 0..5 {
        if back == 0 {
            return false;
        }
        back -= 1;
        let atom = &atoms[back];
        let disables = matches!(
            atom.text.as_str(),
            "disable"
                | "turn off"
                | "switch off"
                | "deactivate"
                | "disabling"
                | "turning off"
                | "switching off"
                | "lose"
                | "drop"
                | "remove"
        );
        if atom.is(Class::Not) || atom.is(Class::Without) || disables {
            return true;
        }
        // "without backups and encryption", "no TLS or backups".
        let chain =
            (atom.is(Class::Or) || atom.is(Class::And)) && back > 0 && flag_of(&atoms[back - 1]).is_some();
        if chain {
            let before = back - 1;
            let without =
                (0..before).rev().take(3).find(|i| atoms[*i].is(Class::Without) || atoms[*i].is(Class::Not));
            let scoped = without.is_some_and(|i| {
                atom.is(Class::Or) || matches!(atoms[i].text.as_str(), "without" | "w/o" | "disable")
            });
            return scoped && negated(atoms, before);
        }
        let passes = atom.is(Class::Be)
            || atom.is(Class::Indefinite)
            || atom.is(Class::Definite)
            || atom.is(Class::Possessive)
            || atom.is(Class::Fill)
            || atom.is(Class::Modal)
            || matches!(
                atom.text.as_str(),
                "be" | "made"
                    | "any"
                    | "need"
                    | "reachable"
                    | "available"
                    | "accessible"
                    | "open"
                    | "exposed"
                    | "have"
                    | "use"
                    | "enable"
                    | "visible"
                    | "needs"
                    | "require"
                    | "requires"
                    | "kept"
                    | "make"
                    | "make it"
                    | "set"
                    | "it"
                    | "them"
                    | "get"
                    | "become"
                    | "expose"
                    | "exposing"
                    | "making"
            );
        if !passes || matches!(atom.what, What::Mark(_) | What::Newline) {
            return false;
        }
    }
    false
}

/// Words that may stand between a field and its value.
pub(crate) fn after_separator(atoms: &[Atom], at: usize) -> usize {
    let mut end = at;
    while end < at + 4
        && atoms.get(end).is_some_and(|a| {
            a.mark(':')
                || a.mark('=')
                || (a.is(Class::Be) && a.number().is_none())
                || matches!(
                    a.text.as_str(),
                    "of" | "to"
                        | "at"
                        | "set"
                        | "set to"
                        | "should"
                        | "should be"
                        | "shall be"
                        | "must"
                        | "must be"
                        | "be"
                        | "as"
                        | "becomes"
                        | "only"
                        | "now"
                        | "number"
                        | "a"
                        | "limit"
                        | "to be"
                        | "is to be"
                        | "for"
                        | "it"
                        | "changes"
                        | "equal"
                        | "equals"
                        | "size"
                        | "is"
                        | "on"
                        | "from"
                        | "until"
                        | "till"
                )
        })
    {
        end += 1;
    }
    end
}

/// "3 replicas", "2 GB of RAM", "two cores".
fn value_first(atoms: &[Atom], at: usize) -> Option<(Set, usize)> {
    let (value, end) = value(atoms, at)?;
    let of = atoms.get(end).is_some_and(|a| a.is(Class::Of) && a.text == "of");
    let skip = end + usize::from(of);
    let mut field_at = skip;
    // "512 MB of additional memory", "2 running instances", "a 3-node", "5 total replicas".
    if atoms.get(field_at).is_some_and(|a| a.mark('-') && a.glued) {
        field_at += 1;
    }
    if field_of(atoms.get(field_at)?).is_none()
        && atoms.get(field_at).is_some_and(|a| {
            matches!(
                a.text.as_str(),
                "the"
                    | "additional"
                    | "extra"
                    | "more"
                    | "running"
                    | "total"
                    | "identical"
                    | "parallel"
                    | "persistent"
                    | "data"
                    | "free"
                    | "new"
                    | "cluster"
                    | "separate"
                    | "ssd"
            )
        })
    {
        field_at += 1;
    }
    let field = atoms.get(field_at).and_then(field_of);
    let found = match (value, field) {
        (value, Some(Field::Replicas)) if !of => Set::Replicas(replicas(&value)?),
        (Value::Bytes(text), Some(Field::Memory)) => Set::Memory(text),
        (Value::Bytes(text), Some(Field::Storage)) => Set::Storage(text),
        (Value::Cores(cores), _) => {
            return Some((Set::Cpu(cores), if field == Some(Field::Cpu) { field_at + 1 } else { end }));
        }
        _ => return None,
    };
    // "3 replicas max", "2 replicas at least", "two or more".
    let mut end = field_at + 1;
    let mut found = found;
    if let Set::Replicas(r) = &mut found
        && let Some(bound) = atoms.get(end)
    {
        match bound.text.as_str() {
            "at most" | "max" | "maximum" | "or fewer" | "at the most" | "or less" => {
                (r.min, end) = (None, end + 1)
            }
            "at least" | "min" | "minimum" | "or more" => (r.max, end) = (None, end + 1),
            _ => {}
        }
    }
    Some((found, end))
}

/// The ends of a number of replicas.
pub(crate) fn replicas(value: &Value) -> Option<Replicas> {
    Some(match value {
        Value::Count(n) => Replicas::exactly(*n),
        Value::Range(low, high) => Replicas { min: Some(*low), max: Some(*high) },
        Value::AtLeast(n) => Replicas { min: Some(*n), max: None },
        Value::AtMost(n) => Replicas { min: None, max: Some(*n) },
        _ => return None,
    })
}

/// "replicas: 2..6", "memory 4Gi", "port 443", "version 2.6.0", "schedule `0 7 * * 1`".
fn field_first(atoms: &[Atom], at: usize) -> Option<(Set, usize)> {
    let atom = &atoms[at];
    // "cores 2", "cpu: 500m", "vCPU: 2"
    let core = atom.unit() == Some(&super::lexicon::Unit::Core);
    let field = field_of(atom);
    if field.is_none() && !core {
        return None;
    }
    let next = after_separator(atoms, at + 1);
    if core || field == Some(Field::Cpu) {
        let (value, end) = value(atoms, next)?;
        return match value {
            Value::Cores(cores) => Some((Set::Cpu(cores), end)),
            Value::Count(n) => Some((Set::Cpu(f64::from(n)), end)),
            Value::Decimal(n) => Some((Set::Cpu(n), end)),
            Value::Version(text) => text.parse().ok().map(|n| (Set::Cpu(n), end)),
            _ => None,
        };
    }
    let target = atoms.get(next)?;
    match field? {
        Field::Replicas => {
            let (value, end) = value(atoms, next)?;
            // "nodes 4Gi" says nothing of replicas; "pods with 2 cores" neither.
            Some((Set::Replicas(replicas(&value)?), end))
        }
        Field::Memory | Field::Storage => match value(atoms, next)? {
            (Value::Bytes(text), end) if field == Some(Field::Memory) => Some((Set::Memory(text), end)),
            (Value::Bytes(text), end) => Some((Set::Storage(text), end)),
            _ => None,
        },
        Field::Port => {
            let number = target.number()?;
            let port: u16 = target.raw.parse().ok().filter(|_| number.fract() == 0.0)?;
            Some((Set::Port(port), next + 1))
        }
        Field::Host => (target.what == What::Host).then(|| (Set::Host(target.raw.clone()), next + 1)),
        Field::Image => match target.what {
            What::Image => Some((Set::Image(target.raw.clone()), next + 1)),
            What::Name if next > at + 1 || target.raw.contains(['/', ':']) => {
                Some((Set::Image(target.raw.clone()), next + 1))
            }
            _ => None,
        },
        Field::Source => (target.what == What::Source).then(|| (Set::Source(target.raw.clone()), next + 1)),
        Field::Version => {
            let (text, end) = version(atoms, next)?;
            Some((Set::Version(text), end))
        }
        Field::Schedule => {
            let (cron, end) = schedule(atoms, next)?;
            Some((Set::Schedule(cron), end))
        }
        Field::Env => match &target.what {
            What::Assign(key, value) => Some((Set::Env(key.clone(), value.clone()), next + 1)),
            What::EnvKey => variable(atoms, next),
            _ => None,
        },
        Field::Name => names(atoms, next).map(|(names, end)| (Set::Names(names), end)),
        _ => None,
    }
}

/// The names after "called": one, or several joined by "and".
pub(crate) fn names(atoms: &[Atom], at: usize) -> Option<(Vec<(String, Span)>, usize)> {
    let at = if atoms.get(at).is_some_and(|a| a.mark(':') || a.text == "it" || a.text == "is") {
        at + 1
    } else {
        at
    };
    let mut names = vec![];
    let mut end = at;
    loop {
        let atom = atoms.get(end)?;
        if !matches!(atom.what, What::Word | What::Name | What::EnvKey) {
            break;
        }
        // After the first, only what can be nothing but a name.
        let further = atom.what == What::Name || atom.unknown();
        if !names.is_empty() && !further {
            break;
        }
        names.push((joined(&atom.raw), atom.span));
        let mut next = end + 1;
        while atoms.get(next).is_some_and(|a| a.mark(',') || a.text == "and" || a.text == "&")
            && next < end + 3
        {
            next += 1;
        }
        let more = next > end + 1
            && atoms.get(next).is_some_and(|a| a.what == What::Name || a.unknown())
            // "named a, b is the queue", "named a and orders API": the next phrase has begun.
            && atoms.get(next + 1).is_none_or(|a| {
                !a.senses.iter().any(|s| matches!(s, Sense::Kind(_) | Sense::Verb(_, Form::Base))) && !a.is(Class::Application)
            });
        if !more {
            return Some((names, end + 1));
        }
        end = next;
    }
    (!names.is_empty()).then_some((names, end))
}

/// A name as the contract writes it: lower case, words joined with `-`.
pub(crate) fn joined(raw: &str) -> String {
    let raw = raw.trim().trim_end_matches("'s").trim_end_matches("’s");
    raw.split_whitespace().collect::<Vec<_>>().join("-").to_lowercase()
}

/// Whether a verb at this atom asks for this deed, in any form.
pub(crate) fn deed_of(atom: &Atom) -> Option<(Deed, Form)> {
    atom.senses.iter().find_map(|s| match s {
        Sense::Verb(deed, form) => Some((*deed, *form)),
        _ => None,
    })
}
