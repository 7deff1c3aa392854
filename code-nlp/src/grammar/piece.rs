//! Atoms to pieces: what can be understood without its sentence is one piece; the rest stays an atom.
//!
//! ```text
//!   deploy  the Acorn app  to  staging  with  a Postgres 16  ,  3 replicas  in namespace shop
//!   atom    App            atom Env     atom  Part           atom  Set       atom Place
//! ```

use code_core::intent::Platform;
use code_core::request::Span;

use super::atom::{Atom, What};
use super::lexicon::{Class, Deed, Field, Form, Sense};
use super::part::{Part, env_of, kind_of, nameable, part, platform_of, product_of};
use super::schedule::once_a_day;
use super::setting::{Set, after_separator, deed_of, field_of, joined, names, setting};
use super::value::{Value, value};
use code_core::intent::Kind;

/// What is understood without its sentence.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Part(Box<Part>),
    App(String),
    Env(String),
    Platform(Platform),
    Region(String),
    Cluster(String),
    Namespace(String),
    Compliance(String),
    /// An amount, its currency, and whether it is said to be monthly.
    Money(f64, String, bool),
    Set(Set),
    /// A time of day, as a daily schedule.
    Time(String),
    /// A value without its field.
    Loose(Value),
    /// A field without its value.
    Field(Field),
    /// The atom at the piece's place.
    Atom,
}

/// An item with its words.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) item: Item,
    pub(crate) span: Span,
    /// Its first atom, and the atom after its last.
    pub(crate) atoms: (usize, usize),
}

/// The pieces of the atoms, in order.
pub(crate) fn pieces(atoms: &[Atom], applications: &std::collections::BTreeSet<String>) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::with_capacity(atoms.len());
    let mut at = 0;
    while at < atoms.len() {
        let (item, end) = piece(atoms, at, applications).unwrap_or((Item::Atom, at + 1));
        let end = end.max(at + 1);
        out.push(Piece { item, span: atoms[at].span.to(atoms[end - 1].span), atoms: (at, end) });
        at = end;
    }
    out
}

fn piece(
    atoms: &[Atom],
    at: usize,
    applications: &std::collections::BTreeSet<String>,
) -> Option<(Item, usize)> {
    let atom = &atoms[at];
    if matches!(atom.what, What::Newline | What::Bullet | What::Opaque) {
        return None;
    }
    if let Some((value @ Value::Money(..), end)) = value(atoms, at) {
        let Value::Money(amount, code, monthly) = value else { return None };
        return Some((Item::Money(amount, code, monthly), end));
    }
    if let Some(framework) = atom.senses.iter().find_map(|s| match s {
        Sense::Compliance(name) => Some(name.clone()),
        _ => None,
    }) {
        return Some((Item::Compliance(framework), at + 1));
    }
    if atom.is(Class::Called)
        && atom.text != "name"
        && !atom.is(Class::Of)
        && let Some((names, end)) = names(atoms, at + 1)
    {
        return Some((Item::Set(Set::Names(names)), end));
    }
    // An imperative verb stays a verb, also where its word is a name or a noun.
    if starts_with_verb(atoms, at) {
        return None;
    }
    // "must cache its data": a verb of relation, though its word is a kind as well.
    if at > 0 && atom.senses.contains(&Sense::Gap) && atoms[at - 1].is(Class::Modal) {
        return None;
    }
    if let Some(found) = place(atoms, at) {
        return Some(found);
    }
    if let Some(found) = environment(atoms, at) {
        return Some(found);
    }
    if let Some(found) = application(atoms, at, applications) {
        return Some(found);
    }
    // "3 replicas" before "3 workers"; "private Redis" before "private".
    if let Some((part, end)) = part(atoms, at)
        && (!part.weak || weak_fits(atoms, at, end))
        && (part.article != super::part::Article::None
            || setting(atoms, at).is_none()
            || kind_of(atom).is_some()
            || part.settings.is_empty() && part.bytes.is_none())
    {
        return Some((Item::Part(Box::new(part)), end));
    }
    if let Some((set, end)) = setting(atoms, at) {
        return Some((Item::Set(set), end));
    }
    if let Some(found) = platform(atoms, at) {
        return Some(found);
    }
    if let Some((value, end)) = value(atoms, at)
        && !(atom.is(Class::AtLeast) || atom.is(Class::AtMost))
            | matches!(value, Value::AtLeast(_) | Value::AtMost(_))
        && !matches!(atom.text.as_str(), "one" | "first" | "second" | "a couple")
    {
        return Some((Item::Loose(value), end));
    }
    if let Some((cron, end)) = once_a_day(atoms, at) {
        return Some((Item::Time(cron), end));
    }
    let field = field_of(atom).filter(|_| matches!(atom.what, What::Word))?;
    (deed_of(atom).is_none()).then_some((Item::Field(field), at + 1))
}

/// Whether a verb in its base form stands where a sentence, a clause or a list item begins.
fn starts_with_verb(atoms: &[Atom], at: usize) -> bool {
    let Some((deed, Form::Base)) = deed_of(&atoms[at]) else { return false };
    let atom = &atoms[at];
    // "to dev and to test": a place, where nothing follows that could be tested.
    let ends = atoms.get(at + 1).is_none_or(|a| {
        matches!(a.what, What::Mark(_) | What::Newline) || a.is(Class::And) || a.is(Class::Environment)
    });
    if env_of(atom).is_some() && ends && at > 0 && atoms[at - 1].is(Class::To) {
        return false;
    }
    // "schedule `0 7 * * 1`": a field and its value.
    if field_of(atom).is_some() && setting(atoms, at).is_some() {
        return false;
    }
    let mut before = at;
    while before > 0
        && atoms[before - 1].is(Class::Fill)
        && !matches!(atoms[before - 1].what, What::Mark(_))
        && atoms[before - 1].text != "and"
    {
        before -= 1;
    }
    let opens = before == 0
        || matches!(
            atoms[before - 1].what,
            What::Newline | What::Bullet | What::Mark('.' | '!' | '?' | ';' | '>')
        )
        || (matches!(atoms[before - 1].what, What::Mark(',' | ':'))
            || atoms[before - 1].text == "and"
            || atoms[before - 1].text == "to"
            || atoms[before - 1].is(Class::Modal))
            && kind_of(atom).is_none();
    // A kind at the start of a line is a kind ("cache: redis"), unless it is a verb of ours.
    let noun = kind_of(atom).is_some() || field_of(atom).is_some() || product_of(atom).is_some();
    opens && (!noun || matches!(deed, Deed::Do(_)) && !atoms.get(at + 1).is_some_and(|a| a.mark(':')))
}

/// Whether a lone word stands where a component would.
fn weak_fits(atoms: &[Atom], at: usize, end: usize) -> bool {
    let mut before = at;
    while before > 0
        && (atoms[before - 1].is(Class::Fill) || atoms[before - 1].is(Class::Definite))
        && deed_of(&atoms[before - 1]).is_none()
        && !atoms[before - 1].is(Class::And)
    {
        before -= 1;
    }
    let next = atoms.get(end);
    let ends = next.is_none_or(|a| {
        matches!(a.what, What::Mark(_) | What::Newline | What::Number(_) | What::Version(_) | What::Times(_))
            || !a.classes.is_empty()
            || !a.senses.is_empty()
    });
    if !ends {
        return false;
    }
    if before == 0 {
        return true;
    }
    let last = &atoms[before - 1];
    let acts = last.senses.iter().any(|s| {
        matches!(s, Sense::Verb(..) | Sense::Topic(_) | Sense::Secret | Sense::DryRun | Sense::Relation(_))
    });
    acts || matches!(
        last.what,
        What::Newline | What::Bullet | What::Mark(',' | ':' | '.' | '!' | '?' | ';' | '-')
    ) || last.text == "and"
        || last.text == "of"
        || last.text == "for"
        || (last.is(Class::Be)
            && (before < 2 || matches!(atoms[before - 2].what, What::Mark(_) | What::Newline)))
        || last.is(Class::If)
        || last.text == "on"
}

fn after_preposition(atoms: &[Atom], at: usize) -> bool {
    let mut before = at;
    while before > 0
        && (atoms[before - 1].is(Class::Definite)
            || atoms[before - 1].is(Class::All)
            || atoms[before - 1].is(Class::Both))
        && before + 2 > at
    {
        before -= 1;
    }
    before > 0 && {
        let last = &atoms[before - 1];
        last.is(Class::To)
            || last.is(Class::In)
            || last.is(Class::From)
            || last.is(Class::Of)
            || last.text == "on"
            || last.text == "for"
    }
}

/// Namespace, cluster and region.
fn place(atoms: &[Atom], at: usize) -> Option<(Item, usize)> {
    let atom = &atoms[at];
    if atom.what == What::Region {
        let more = atoms.get(at + 1).is_some_and(|a| field_of(a) == Some(Field::Region));
        return Some((Item::Region(atom.text.clone()), at + 1 + usize::from(more)));
    }
    let named = |i: usize| {
        atoms.get(i).is_some_and(|a| {
            matches!(a.what, What::Word | What::Name)
                && !a.is(Class::In)
                && !a.is(Class::With)
                && !a.is(Class::And)
        })
    };
    let skip_article = |i: usize| {
        i + usize::from(atoms.get(i).is_some_and(|a| a.is(Class::Definite) || a.is(Class::Indefinite)))
    };
    let called = |i: usize| {
        i + usize::from(atoms.get(i).is_some_and(|a| a.is(Class::Called) || a.mark(':') || a.mark('=')))
    };
    match field_of(atom) {
        Some(Field::Namespace) => {
            let next = called(at + 1);
            return named(next).then(|| (Item::Namespace(joined(&atoms[next].raw)), next + 1));
        }
        Some(Field::Region) => {
            let next = after_separator(atoms, at + 1);
            let target = atoms.get(next)?;
            let fits = target.what == What::Region
                || target.what == What::Name
                || (target.unknown() && next < at + 3);
            return fits.then(|| (Item::Region(target.raw.to_lowercase()), next + 1));
        }
        _ => {}
    }
    let name = skip_article(at);
    // "the namespace observability"
    if name > at && atoms.get(name).is_some_and(|a| field_of(a) == Some(Field::Namespace)) {
        let next = called(name + 1);
        if named(next) && !atoms[next].is(Class::To) && !atoms[next].is(Class::Be) {
            return Some((Item::Namespace(joined(&atoms[next].raw)), next + 1));
        }
    }
    // "the lab namespace"
    if named(name)
        && atoms.get(name + 1).is_some_and(|a| field_of(a) == Some(Field::Namespace))
        && deed_of(&atoms[name]).is_none_or(|(_, form)| form == Form::Ing)
    {
        return Some((Item::Namespace(joined(&atoms[name].raw)), name + 2));
    }
    let is_cluster = |i: usize| atoms.get(i).is_some_and(|a| kind_of(a) == Some(Kind::Cluster));
    let preposition =
        at > 0 && (atoms[at - 1].is(Class::To) || atoms[at - 1].is(Class::In) || atoms[at - 1].text == "on");
    let listed = at > 0 && matches!(atoms[at - 1].what, What::Mark(',' | '(' | '/'));
    if is_cluster(name) && (preposition || (listed && name == at)) {
        let text = &atoms[name].text;
        let next = called(name + 1);
        if atoms
            .get(next)
            .is_some_and(|a| a.what == What::Name || nameable(a) || (next > name + 1 && named(next)))
        {
            return Some((Item::Cluster(joined(&atoms[next].raw)), next + 1));
        }
        if preposition && text != "cluster" {
            return Some((Item::Platform(Platform::Kubernetes), name + 1));
        }
    }
    // "cluster: bigtop"
    if is_cluster(at)
        && atoms.get(at + 1).is_some_and(|a| a.mark(':'))
        && atoms.get(at + 2).is_some_and(|a| a.what == What::Name || nameable(a))
    {
        return Some((Item::Cluster(joined(&atoms[at + 2].raw)), at + 3));
    }
    // "on the bigtop cluster"
    if preposition && atoms.get(name).is_some_and(nameable) && is_cluster(name + 1) {
        return Some((Item::Cluster(joined(&atoms[name].raw)), name + 2));
    }
    None
}

/// A platform, where it is not an adjective of something else.
fn platform(atoms: &[Atom], at: usize) -> Option<(Item, usize)> {
    let atom = &atoms[at];
    if let Some(platform) = platform_of(atom) {
        return Some((Item::Platform(platform), at + 1));
    }
    None
}

/// An environment, by its own name or as "the X environment".
fn environment(atoms: &[Atom], at: usize) -> Option<(Item, usize)> {
    let is_noun = |i: usize| {
        atoms.get(i).is_some_and(|a| {
            a.is(Class::Environment) && !matches!(a.text.as_str(), "stage" | "tier" | "environments" | "envs")
        })
    };
    let noun_or_plural = |i: usize| atoms.get(i).is_some_and(|a| a.is(Class::Environment));
    let article = at
        + usize::from(
            atoms[at].is(Class::Definite)
                || atoms[at].is(Class::All)
                || (atoms[at].is(Class::Indefinite)
                    && atoms.get(at + 1).is_some_and(|a| env_of(a).is_some() || a.is(Class::Environment))),
        );
    let article = article
        + usize::from(
            article > at && atoms.get(article).is_some_and(|a| a.is(Class::All) && a.text != "all"),
        );
    let name_of = |a: &Atom| env_of(a).map_or_else(|| joined(&a.raw), |(name, _)| name.to_owned());
    // "environment named partner-trial", "environment: uat", "the environment demo"
    if is_noun(article) && deed_of(&atoms[article]).is_none() {
        let next = article + 1;
        let next = next
            + usize::from(atoms.get(next).is_some_and(|a| a.is(Class::Called) || a.mark(':') || a.mark('=')));
        let separated = next > article + 1;
        if let Some(target) = atoms.get(next) {
            let fits = env_of(target).is_some()
                || target.what == What::Name
                || nameable(target)
                || (separated && matches!(target.what, What::Word) && !target.is(Class::In));
            let kind_follows = kind_of(target).is_some() && env_of(target).is_none() && !separated;
            if fits && !kind_follows {
                let more = usize::from(noun_or_plural(next + 1) && env_of(target).is_some());
                return Some((Item::Env(name_of(target)), next + 1 + more));
            }
        }
        return None;
    }
    let target = atoms.get(article)?;
    // "the partner-trial environment"
    if is_noun(article + 1) && (nameable(target) || target.what == What::Name || env_of(target).is_some()) {
        return Some((Item::Env(name_of(target)), article + 2));
    }
    let (name, ordinary) = env_of(target)?;
    let end = article + 1 + usize::from(noun_or_plural(article + 1));
    if !ordinary {
        // "production database" is a part in production: `part` reads that where an article stands.
        return (article == at || noun_or_plural(article + 1) || after_preposition(atoms, article))
            .then(|| (Item::Env(name.to_owned()), end));
    }
    // An ordinary word ("test", "live", "demo") needs its place.
    let next = atoms.get(article + 1);
    let ends = next.is_none_or(|a| {
        matches!(a.what, What::Mark(_) | What::Newline)
            || a.is(Class::And)
            || a.is(Class::Fill)
            || a.is(Class::Or)
            || a.is(Class::But)
            || a.is(Class::In)
            || a.is(Class::With)
            || a.is(Class::If)
            || a.is(Class::To)
            || a.is(Class::Per)
    });
    let stands_alone = article == at
        && target.text != "preview"
        && ends
        && (at == 0
            || matches!(atoms[at - 1].what, What::Mark(',' | '(' | ':') | What::Newline | What::Bullet)
            || nameable(&atoms[at - 1])
            || kind_of(&atoms[at - 1]).is_some()
            || product_of(&atoms[at - 1]).is_some());
    let spec = article == at && at == 0 && next.is_some_and(|a| a.mark(':'));
    let preposition = after_preposition(atoms, article)
        && (article == at || matches!(target.text.as_str(), "test" | "stage" | "live"))
        && next.is_none_or(|a| kind_of(a).is_none() && product_of(a).is_none());
    let joined_to_other =
        at > 1 && article == at && atoms[at - 1].text == "and" && env_of(&atoms[at - 2]).is_some();
    (noun_or_plural(article + 1) || stands_alone || spec || preposition || joined_to_other)
        .then(|| (Item::Env(name.to_owned()), end))
}

/// An application: "the X app", "application X", "app: X".
fn application(atoms: &[Atom], at: usize, own: &std::collections::BTreeSet<String>) -> Option<(Item, usize)> {
    let is_app = |i: usize| atoms.get(i).is_some_and(|a| a.is(Class::Application));
    let atom = &atoms[at];
    if own.contains(&atom.text) && kind_of(atoms.get(at + 1).unwrap_or(atom)).is_none() {
        return Some((Item::App(atom.text.clone()), at + 1 + usize::from(is_app(at + 1))));
    }
    let mut name = at;
    while atoms.get(name).is_some_and(|a| {
        a.is(Class::Definite)
            || a.is(Class::Indefinite)
            || a.is(Class::All)
            || (name > at
                && a.classes.is_empty()
                && super::lexicon::lexicon().is_plain(&a.text)
                && a.senses.is_empty())
    }) && name < at + 4
    {
        name += 1;
    }
    // "application Acorn", "the application is called X"
    if is_app(name) {
        let mut next = name + 1;
        while atoms.get(next).is_some_and(|a| {
            a.is(Class::Called) || a.mark(':') || a.mark('=') || (a.is(Class::Be) && a.text == "is")
        }) && next < name + 3
        {
            next += 1;
        }
        let target = atoms.get(next)?;
        let fits = target.what == What::Name
            || nameable(target)
            || (next > name + 1
                && matches!(target.what, What::Word)
                && target.classes.is_empty()
                && deed_of(target).is_none()
                && !atoms[next - 1].is(Class::Be));
        let taken = atoms
            .get(next + 1)
            .is_some_and(|a| kind_of(a).is_some() && next == name + 1 && target.what != What::Name);
        return (fits && !taken).then(|| (Item::App(joined(&target.raw)), next + 1));
    }
    // "the Order Desk app"
    let first = name;
    let mut end = name;
    while atoms.get(end).is_some_and(|a| {
        (nameable(a) || (a.capital && end > first && matches!(a.what, What::Word)))
            && !a.is(Class::Application)
    }) && end < first + 4
    {
        end += 1;
    }
    if end == first {
        // Any word between article and "app": "the Search app", "the Status application".
        let target = atoms.get(first)?;
        let framed = first > at
            && target.capital
            && matches!(target.what, What::Word)
            && product_of(target).is_none()
            && is_app(first + 1);
        let product = product_of(target).is_some_and(|(_, kind, ordinary)| {
            ordinary && !matches!(kind, None | Some(Kind::Web | Kind::Api))
        }) && is_app(first + 1);
        return (framed || product).then(|| (Item::App(joined(&target.raw)), first + 2));
    }
    if !is_app(end) {
        return None;
    }
    // "a Node app" names a product.
    if end == first + 1
        && product_of(&atoms[first]).is_some_and(|(_, kind, ordinary)| {
            ordinary && matches!(kind, None | Some(Kind::Web | Kind::Api)) && atoms[first].capital
        })
    {
        return None;
    }
    let raw = atoms[first..end].iter().map(|a| a.raw.as_str()).collect::<Vec<_>>().join(" ");
    Some((Item::App(joined(&raw)), end + 1))
}
