//! Values as people write them: counts and ranges, bytes, cores, versions, money.
//!
//! Everything here reads atoms from a place and says what stands there and where it ends.

use super::atom::{Atom, What};
use super::lexicon::{Class, Unit};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// A whole number without a unit, with its text.
    Count(u32),
    /// A number with a fraction, without a unit.
    Decimal(f64),
    /// From one count to another.
    Range(u32, u32),
    /// At least so many.
    AtLeast(u32),
    /// At most so many.
    AtMost(u32),
    /// A canonical quantity of bytes: `512Mi`.
    Bytes(String),
    /// Cores.
    Cores(f64),
    /// A version as written, without `v`.
    Version(String),
    /// An amount, its currency, and whether it is a monthly one.
    Money(f64, String, bool),
}

/// The value at `at`, and where it ends.
pub(crate) fn value(atoms: &[Atom], at: usize) -> Option<(Value, usize)> {
    let atom = atoms.get(at)?;
    if let Some((money, end)) = money(atoms, at) {
        return Some((money, end));
    }
    if let What::Times(n) = atom.what {
        return Some((Value::Count(n), at + 1));
    }
    if let What::Version(version) = &atom.what {
        return Some((Value::Version(version.clone()), at + 1));
    }
    if atom.is(Class::AtLeast) || atom.is(Class::AtMost) {
        let low = atom.is(Class::AtLeast);
        let skip =
            usize::from(atoms.get(at + 1).is_some_and(|a| a.is(Class::Of) || a.mark(':') || a.mark('=')));
        let (value, end) = value(atoms, at + 1 + skip)?;
        return Some((
            match value {
                Value::Count(n) if low => Value::AtLeast(n),
                Value::Count(n) => Value::AtMost(n),
                other => other,
            },
            end,
        ));
    }
    if atom.is(Class::Between) && atom.number().is_none() {
        let (low, after) = count(atoms, at + 1)?;
        let joined = atoms.get(after).is_some_and(|a| a.is(Class::Range) || a.mark('~') || a.mark('-'));
        let (high, end) = count(atoms, after + 1).filter(|_| joined)?;
        return Some((range(low, high), end));
    }
    let number = atom.number()?;
    if atoms.get(at + 1).is_some_and(|a| a.mark('%')) {
        return None;
    }
    // "2..8", "2-8", "2 to 8".
    if let Some((low, after)) = count(atoms, at)
        && atoms
            .get(after)
            .is_some_and(|a| a.mark('~') || a.mark('-') || (a.is(Class::Range) && a.is(Class::To)))
        && let Some((high, end)) = count(atoms, after + 1)
        && high >= low
        && quantity(atoms, after + 1).is_none()
    {
        return Some((range(low, high), end));
    }
    if let Some((value, end)) = quantity(atoms, at) {
        return Some((value, end));
    }
    // "5 or more", "10 max".
    if let Some((n, after)) = count(atoms, at) {
        let next = atoms.get(after);
        let after_that = |phrase: &str| next.is_some_and(|a| a.text == phrase);
        if after_that("or more") {
            return Some((Value::AtLeast(n), after + 1));
        }
        if after_that("or fewer") || after_that("or less") || after_that("max") {
            return Some((Value::AtMost(n), after + 1));
        }
        if next.is_some_and(|a| a.text == "x" && a.glued) {
            return Some((Value::Count(n), after + 1));
        }
        return Some((Value::Count(n), after));
    }
    Some((
        if atom.raw.contains('.') { Value::Version(atom.raw.clone()) } else { Value::Decimal(number) },
        at + 1,
    ))
}

/// A version or release as it is written at `at`: also a plain number, or a hash.
pub(crate) fn version(atoms: &[Atom], at: usize) -> Option<(String, usize)> {
    let atom = atoms.get(at)?;
    match &atom.what {
        What::Version(version) => Some((version.clone(), at + 1)),
        What::Number(_) if atom.raw.starts_with(|c: char| c.is_ascii_digit()) => {
            // "16" is a version; "16 GB" and "16 replicas" are not.
            quantity(atoms, at).is_none().then(|| (atom.raw.clone(), at + 1))
        }
        What::Name => Some((atom.raw.clone(), at + 1)),
        What::Word
            if atom.raw.chars().any(|c| c.is_ascii_digit())
                && atom.raw.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)) =>
        {
            Some((atom.raw.clone(), at + 1))
        }
        _ => None,
    }
}

fn range(low: u32, high: u32) -> Value {
    Value::Range(low.min(high), low.max(high))
}

/// A whole number without a unit.
fn count(atoms: &[Atom], at: usize) -> Option<(u32, usize)> {
    let number = atoms.get(at)?.number()?;
    let thousand = atoms.get(at + 1).is_some_and(|a| a.glued && a.text == "k");
    let number = if thousand { number * 1000.0 } else { number };
    let raw = &atoms[at].raw;
    let whole = number.fract() == 0.0 && number >= 0.0 && number <= f64::from(u32::MAX) && !raw.contains('.');
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole, and within the range of u32"
    )]
    whole.then_some((number as u32, at + 1 + usize::from(thousand)))
}

/// A number with a unit of bytes or cores.
fn quantity(atoms: &[Atom], at: usize) -> Option<(Value, usize)> {
    let number = atoms.get(at)?.number()?;
    let next = atoms.get(at + 1)?;
    // "half of a gig", "500 m".
    if next.text == "m" && next.glued {
        let cores = atoms.get(at + 2).is_some_and(|a| a.unit() == Some(&Unit::Core));
        return Some((Value::Cores(number / 1000.0), at + 2 + usize::from(cores)));
    }
    if next.text == "millicores" || next.text == "millicore" {
        return Some((Value::Cores(number / 1000.0), at + 2));
    }
    match next.unit()? {
        Unit::Bytes(unit) => bytes(number, unit).map(|text| (Value::Bytes(text), at + 2)),
        Unit::Core => Some((Value::Cores(number), at + 2)),
        Unit::Money(_) => None,
    }
}

/// A quantity as Kubernetes writes it, in whole units: half a `Ti` is `512Gi`.
fn bytes(number: f64, unit: &str) -> Option<String> {
    let units = ["", "Ki", "Mi", "Gi", "Ti"];
    let mut place = units.iter().position(|u| *u == unit)?;
    let mut number = number;
    while number.fract() != 0.0 && place > 0 {
        number *= 1024.0;
        place -= 1;
    }
    (number.is_finite() && number < 1e15).then(|| format!("{}{}", number.round(), units[place]))
}

/// `$300/month`, `2,500 euros`, `1.2k USD a month`, `EUR 450 monthly`.
fn money(atoms: &[Atom], at: usize) -> Option<(Value, usize)> {
    let currency = |i: usize| match atoms.get(i)?.unit()? {
        Unit::Money(code) => Some(code.clone()),
        _ => None,
    };
    let (code, number_at) = match currency(at) {
        Some(code) => (Some(code), at + 1),
        None => (None, at),
    };
    let mut amount = atoms.get(number_at)?.number()?;
    let mut end = number_at + 1;
    if let Some(next) = atoms.get(end)
        && let Some(times) = match next.text.as_str() {
            "k" | "thousand" | "grand" => Some(1e3),
            "m" | "million" if code.is_some() => Some(1e6),
            _ => None,
        }
    {
        amount *= times;
        end += 1;
    }
    let code = match (code, currency(end)) {
        (_, Some(after)) => {
            end += 1;
            after
        }
        (Some(code), None) => code,
        (None, None) => return None,
    };
    let (monthly, end) = monthly(atoms, end);
    Some((Value::Money(amount, code, monthly), end))
}

/// Whether "a month", "per month", "monthly", "/mo" stands at `at`, and where it ends.
fn monthly(atoms: &[Atom], at: usize) -> (bool, usize) {
    let month = |i: usize| atoms.get(i).is_some_and(|a| a.is(Class::Month));
    if month(at) {
        return (true, at + 1);
    }
    let per = atoms.get(at).is_some_and(|a| a.is(Class::Per) || a.mark('/') || a.is(Class::In));
    let article = atoms.get(at + 1).is_some_and(|a| a.text == "a" || a.text == "one" || a.text == "each");
    match per {
        true if month(at + 1) => (true, at + 2),
        true if article && month(at + 2) => (true, at + 3),
        _ => (false, at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::atom::atoms;
    use crate::token::tokens;
    use code_core::parser::Vocabulary;

    fn check(text: &str, expect: Option<Value>) {
        let atoms = atoms(&tokens(text), &Vocabulary::default());
        assert_eq!(value(&atoms, 0).map(|(v, _)| v), expect, "{text:?}");
    }

    #[test]
    fn values_are_read_as_people_write_them() {
        check("2..8", Some(Value::Range(2, 8)));
        check("2-8 replicas", Some(Value::Range(2, 8)));
        check("between 2 and 6", Some(Value::Range(2, 6)));
        check("from three to six", Some(Value::Range(3, 6)));
        check("at least two", Some(Value::AtLeast(2)));
        check("up to 5", Some(Value::AtMost(5)));
        check("3x", Some(Value::Count(3)));
        check("x3", Some(Value::Count(3)));
        check("512 MB", Some(Value::Bytes("512Mi".into())));
        check("2GB", Some(Value::Bytes("2Gi".into())));
        check("half a terabyte", Some(Value::Bytes("512Gi".into())));
        check("1.5 gigs", Some(Value::Bytes("1536Mi".into())));
        check("750m CPU", Some(Value::Cores(0.75)));
        check("half a core", Some(Value::Cores(0.5)));
        check("1.5 cores", Some(Value::Cores(1.5)));
        check("$300 a month", Some(Value::Money(300.0, "USD".into(), true)));
        check("€450 per month", Some(Value::Money(450.0, "EUR".into(), true)));
        check("£2,000 monthly", Some(Value::Money(2000.0, "GBP".into(), true)));
        check("1.2k USD", Some(Value::Money(1200.0, "USD".into(), false)));
        check("2,500 euros", Some(Value::Money(2500.0, "EUR".into(), false)));
        check("$50/mo", Some(Value::Money(50.0, "USD".into(), true)));
        check("1.30", Some(Value::Version("1.30".into())));
        check("v3.2.9", Some(Value::Version("3.2.9".into())));
        check("twenty-five", Some(Value::Count(25)));
        check("web", None);
    }
}
