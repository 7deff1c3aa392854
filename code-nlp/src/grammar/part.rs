//! Mentions of components: "a private Postgres 16 database", "the checkout worker", "two workers named
//! `inbox` and `outbox`".
//!
//! ```text
//!   the   prod   ledger   Postgres  16   database   `main`
//!   Det   Env    name     Product   ver  Kind       name
//! ```
//!
//! A name is a word that the lexicon does not know, or one that may be a name, directly before or after the
//! kind; or whatever stands between quotes.

use code_core::intent::{Kind, Platform};
use code_core::request::Span;

use super::atom::{Atom, What};
use super::lexicon::{Class, Form, Sense, lexicon};
use super::setting::{Set, deed_of, flag_of, joined, setting};
use super::value::{Value, value, version};

/// How a mention begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Article {
    #[default]
    None,
    /// "a", "another": something new.
    Indefinite,
    /// "the", "our": something that is there, or was named before.
    Definite,
}

/// A mention of one component, or of several of one kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    pub(crate) kind: Option<(Kind, Span)>,
    pub(crate) engine: Option<(String, Span)>,
    /// Whether the kind is only the usual one of the product.
    pub(crate) usual: bool,
    pub(crate) names: Vec<(String, Span)>,
    pub(crate) version: Option<(String, Span)>,
    pub(crate) count: Option<(u32, Span)>,
    pub(crate) settings: Vec<(Set, Span)>,
    pub(crate) bytes: Option<(String, Span)>,
    pub(crate) env: Option<(String, Span)>,
    pub(crate) platform: Option<(Platform, Span)>,
    pub(crate) region: Option<(String, Span)>,
    pub(crate) article: Article,
    /// Nothing but a word that may be a name: it needs a place where a component stands.
    pub(crate) weak: bool,
    /// "all workers".
    pub(crate) all: bool,
    /// The mention ends in `'s`.
    pub(crate) owns: bool,
    pub(crate) plural: bool,
}

pub(crate) fn kind_of(atom: &Atom) -> Option<Kind> {
    atom.senses.iter().find_map(|s| match s {
        Sense::Kind(kind) => Some(*kind),
        _ => None,
    })
}

pub(crate) fn product_of(atom: &Atom) -> Option<(&str, Option<Kind>, bool)> {
    atom.senses.iter().find_map(|s| match s {
        Sense::Product { engine, kind, ordinary } => Some((engine.as_str(), *kind, *ordinary)),
        _ => None,
    })
}

pub(crate) fn env_of(atom: &Atom) -> Option<(&str, bool)> {
    atom.senses.iter().find_map(|s| match s {
        Sense::Env { name, ordinary } => Some((name.as_str(), *ordinary)),
        _ => None,
    })
}

pub(crate) fn platform_of(atom: &Atom) -> Option<Platform> {
    atom.senses.iter().find_map(|s| match s {
        Sense::Platform(platform) => Some(*platform),
        _ => None,
    })
}

/// A word that can be nothing but a name, or may well be one.
pub(crate) fn nameable(atom: &Atom) -> bool {
    match atom.what {
        What::Name => true,
        What::Word => {
            // "orders" and "express" may be names; "cost" and "search" mean something of their own.
            let free = atom.senses.iter().all(|s| match s {
                Sense::Verb(_, form) => *form != Form::Base,
                Sense::Product { ordinary, .. } => *ordinary,
                _ => false,
            });
            atom.unknown() || (lexicon().is_namelike(&atom.text) && atom.classes.is_empty() && free)
        }
        _ => false,
    }
}

/// Kinds of which a framework or language may be the engine.
fn written(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Web | Kind::Api | Kind::Worker | Kind::Job | Kind::Cron | Kind::Function | Kind::StaticSite
    )
}

/// The mention at `at`, and where it ends.
pub(crate) fn part(atoms: &[Atom], at: usize) -> Option<(Part, usize)> {
    let mut part = Part::default();
    let mut next = article(atoms, at, &mut part);
    let start = next;
    // Before the head.
    loop {
        let Some(atom) = atoms.get(next) else { return bare(atoms, next, start, part) };
        if let Some((kind, engine, end)) = head(atoms, next, &part) {
            part.kind = kind.map(|k| (k, atoms[next].span));
            if let Some(engine) = engine {
                part.usual = part.kind.is_some();
                part.engine = Some((engine, atom.span));
            }
            part.owns = atoms[end - 1].owns;
            part.plural = atoms[end - 1].text.ends_with('s');
            next = end;
            break;
        }
        if let Some(end) = modifier(atoms, next, start, &mut part) {
            next = end;
            continue;
        }
        return bare(atoms, next, start, part);
    }
    let end = behind(atoms, next, &mut part);
    settle_kind(&mut part);
    Some((part, end))
}

/// Reads "the", "a", "all our", "two".
fn article(atoms: &[Atom], at: usize, part: &mut Part) -> usize {
    let mut next = at;
    while let Some(atom) = atoms.get(next).filter(|_| next < at + 4) {
        if atom.is(Class::All) {
            part.all = true;
        } else if atom.is(Class::Definite) || atom.is(Class::Possessive) {
            part.article = Article::Definite;
        } else if atom.is(Class::Indefinite) && part.article == Article::None && atom.number().is_none() {
            part.article = Article::Indefinite;
        } else if next == at || part.article == Article::None || !atom.is(Class::Indefinite) {
            break;
        }
        next += 1;
    }
    // "two workers", "one API", but "3 replicas" and "2 GB" are settings.
    if let Some((Value::Count(n), end)) = value(atoms, next)
        && matches!(atoms[next].what, What::Number(_) | What::Times(_))
        && setting(atoms, next).is_none()
        && part.count.is_none()
    {
        part.count = Some((n, atoms[next].span));
        if part.article == Article::None && n == 1 {
            part.article = Article::Indefinite;
        }
        next = end;
        if atoms.get(next).is_some_and(|a| a.mark('-') && a.glued) {
            next += 1;
        }
    }
    next
}

/// The head of the mention: a kind, a product, or both; with the kind, the product, and where it ends.
fn head(atoms: &[Atom], at: usize, part: &Part) -> Option<(Option<Kind>, Option<String>, usize)> {
    let atom = atoms.get(at)?;
    let next = atoms.get(at + 1);
    if let Some(kind) = kind_of(atom) {
        // "the metrics database": two kinds, and the first is a name.
        let second = next.and_then(kind_of);
        if part.article == Article::Definite
            && part.names.is_empty()
            && !atom.owns
            && second.is_some_and(|second| second != kind)
            && !atom.text.contains(' ')
            && next.is_some_and(|n| n.text != "cluster" && n.text != "server")
        {
            return None;
        }
        // "observability time": a kind before an ordinary noun only describes it.
        let describes = part.article == Article::None
            && part.count.is_none()
            && part.names.is_empty()
            && next.is_some_and(|n| {
                n.what == What::Word
                    && n.classes.is_empty()
                    && n.senses.is_empty()
                    && lexicon().is_plain(&n.text)
            });
        let mass = matches!(
            kind,
            Kind::Monitoring
                | Kind::Search
                | Kind::Network
                | Kind::Cache
                | Kind::Queue
                | Kind::Registry
                | Kind::Dns
        );
        if describes && mass {
            return None;
        }
        return Some((Some(kind), None, at + 1));
    }
    let (engine, kind, ordinary) = product_of(atom)?;
    let mut end = at + 1;
    // A version between product and kind: "Postgres 16 database".
    let (_, after) = match atoms.get(end) {
        Some(a) if matches!(a.what, What::Number(_) | What::Version(_)) => {
            version(atoms, end).unwrap_or_default()
        }
        _ => (String::new(), end),
    };
    let after = after.max(end);
    let after_kind = atoms.get(after).and_then(kind_of);
    let app = next.is_some_and(|a| a.is(Class::Application));
    if ordinary {
        let fits = |k: Kind| kind.is_none_or(|usual| usual == k || (written(usual) && written(k)));
        let believed = after_kind
            .is_some_and(|k| fits(k) && (atom.capital || part.article != Article::Definite))
            || (app && kind.is_none_or(written) && atom.capital)
            || (atom.capital && after > end && part.article != Article::Definite)
            || (atom.capital && part.article == Article::Indefinite && after_kind.is_none() && !app)
            || (atom.capital && at > 0 && atoms[at - 1].mark('(') && next.is_some_and(|a| a.mark(')')));
        if !believed || (lexicon().is_namelike(&atom.text) && !atom.capital) {
            return None;
        }
    }
    let engine = engine.to_owned();
    if app && kind.is_none_or(written) {
        return Some((Some(kind.filter(|k| *k != Kind::Api).unwrap_or(Kind::Web)), Some(engine), end + 1));
    }
    if after == end
        && let Some(said) = after_kind
    {
        let word = &atoms[after].text;
        let server =
            matches!(word.as_str(), "server" | "machine" | "cluster" | "servers" | "clusters" | "machines");
        end = after + 1;
        if server && kind.is_some_and(|k| k != Kind::Vm && k != Kind::Cluster) {
            return Some((kind, Some(engine), end));
        }
        // "a Kafka worker", "a Postgres migration": the product is what it works on, not what it is.
        let stateful = kind.is_some_and(|k| {
            matches!(k, Kind::Database | Kind::Cache | Kind::Queue | Kind::Search | Kind::ObjectStorage)
        });
        if stateful && written(said) {
            return Some((Some(said), None, end));
        }
        return Some((Some(said), Some(engine), end));
    }
    Some((kind, Some(engine), end))
}

/// A word before the head: a name, a flag, an environment, a number with a unit, an ordinary adjective.
fn modifier(atoms: &[Atom], at: usize, start: usize, part: &mut Part) -> Option<usize> {
    let atom = &atoms[at];
    if at > start + 8 {
        return None;
    }
    if matches!(atom.what, What::Mark('-')) && atom.glued && !part.settings.is_empty() {
        return Some(at + 1);
    }
    // "private, encrypted bucket", "encrypted and highly available database".
    if (atom.mark(',') || atom.text == "and")
        && at > start
        && flag_of(&atoms[at - 1]).is_some()
        && atoms.get(at + 1).is_some_and(|a| flag_of(a).is_some())
        && follows_head(atoms, at + 2)
    {
        return Some(at + 1);
    }
    if let Some(kind) = kind_of(atom)
        && kind_of(atoms.get(at + 1)?).is_some_and(|k| k != kind)
    {
        part.names.push((joined(&atom.raw), atom.span));
        return Some(at + 1);
    }
    if nameable(atom) {
        // "inbox and outbox workers"
        part.names.push((joined(&atom.raw), atom.span));
        let next = atoms.get(at + 1);
        let pair = next.is_some_and(|a| a.text == "and" || a.mark(',') || a.text == "&")
            && atoms.get(at + 2).is_some_and(nameable)
            && atoms.get(at + 3).and_then(kind_of).is_some()
            && atoms.get(at + 3).is_some_and(|a| a.text.ends_with('s'));
        return Some(at + if pair { 2 } else { 1 });
    }
    if (flag_of(atom).is_some() || part.article != Article::None)
        && !matches!(atom.what, What::Image | What::Source)
        && let Some((set, end)) = setting(atoms, at)
        && !matches!(set, Set::Env(..) | Set::Names(_) | Set::Schedule(_) | Set::Version(_) | Set::Host(_))
    {
        // An adjective stands before something; "TLS on port 443" does not.
        follows_head(atoms, end).then_some(())?;
        part.settings.push((set, atom.span.to(atoms[end - 1].span)));
        return Some(end);
    }
    if let Some((Value::Bytes(text), end)) = value(atoms, at)
        && part.article != Article::None
    {
        part.bytes = Some((text, atom.span.to(atoms[end - 1].span)));
        return Some(end);
    }
    if let Some((name, ordinary)) = env_of(atom) {
        let beside =
            atoms.get(at + 1).is_some_and(|a| kind_of(a).is_some() || nameable(a) || product_of(a).is_some());
        if beside && (!ordinary || part.article == Article::Definite) && part.names.is_empty() {
            part.env = Some((name.to_owned(), atom.span));
            return Some(at + 1);
        }
        return None;
    }
    if let Some(platform) = platform_of(atom) {
        // "a Kubernetes 1.30 cluster" names no platform.
        if platform == Platform::Kubernetes
            && let Some((text, end)) = version(atoms, at + 1)
            && atoms.get(end).and_then(kind_of) == Some(Kind::Cluster)
        {
            part.version = Some((text, atoms[at + 1].span));
            return Some(end);
        }
        if follows_head(atoms, at + 1) && !atoms[at].is(Class::It) {
            part.platform = Some((platform, atom.span));
            return Some(at + 1);
        }
        return None;
    }
    let ordinary =
        matches!(atom.what, What::Word) && lexicon().is_plain(&atom.text) && atom.senses.is_empty();
    let holds = [
        Class::To,
        Class::In,
        Class::From,
        Class::With,
        Class::And,
        Class::Be,
        Class::Modal,
        Class::Which,
        Class::Who,
        Class::Not,
        Class::Of,
        Class::Without,
        Class::By,
        Class::Called,
        Class::There,
        Class::Both,
        Class::Them,
    ];
    if ordinary
        && !holds.iter().any(|c| atom.is(*c))
        && part.article != Article::None
        && part.names.is_empty()
    {
        return Some(at + 1);
    }
    if (atom.is(Class::Definite) || atom.is(Class::Indefinite) || atom.is(Class::Fill))
        && part.article != Article::None
        && part.names.is_empty()
        && !holds.iter().any(|c| atom.is(*c))
    {
        return Some(at + 1);
    }
    // "the search API", "the report worker": a word of any sense, directly between article and kind.
    let next_kind = atoms.get(at + 1).and_then(kind_of).is_some();
    if part.article != Article::None
        && part.names.is_empty()
        && next_kind
        && matches!(atom.what, What::Word)
        && !atom.text.contains(' ')
        && !holds.iter().any(|c| atom.is(*c))
        && deed_of(atom).is_none_or(|(_, form)| matches!(form, Form::Base | Form::Third | Form::Ing))
        && part.count.is_none()
    {
        if part.article == Article::Definite {
            part.names.push((joined(&atom.raw), atom.span));
        }
        return Some(at + 1);
    }
    // "order history API": ordinary words between a name and the kind.
    if !part.names.is_empty() && next_kind && ordinary {
        part.names.push((joined(&atom.raw), atom.span));
        return Some(at + 1);
    }
    None
}

/// Whether a head may follow from here on: an adjective is one only before a noun.
fn follows_head(atoms: &[Atom], at: usize) -> bool {
    let mut next = at;
    while let Some(atom) = atoms.get(next).filter(|_| next < at + 6) {
        if kind_of(atom).is_some()
            || product_of(atom).is_some_and(|(_, _, ordinary)| !ordinary)
            || atom.is(Class::Head)
        {
            return true;
        }
        let adjective = flag_of(atom).is_some()
            || platform_of(atom).is_some()
            || nameable(atom)
            || env_of(atom).is_some()
            || matches!(atom.what, What::Number(_) | What::Mark('-') | What::Version(_))
            || (lexicon().is_plain(&atom.text) && atom.classes.is_empty() && atom.senses.is_empty())
            || ((atom.mark(',') || atom.text == "and")
                && atoms.get(next + 1).is_some_and(|a| flag_of(a).is_some()));
        if !adjective {
            return false;
        }
        next += 1;
    }
    false
}

/// No kind and no product: a name alone, "the kestrel service", "the billing one".
fn bare(atoms: &[Atom], at: usize, start: usize, mut part: Part) -> Option<(Part, usize)> {
    if part.names.is_empty() || part.count.is_some() {
        return None;
    }
    let head =
        atoms.get(at).is_some_and(|a| a.is(Class::Head) && matches!(a.what, What::Word) && !a.is(Class::And));
    let quoted = atoms[start..at].iter().any(|a| a.what == What::Name);
    if part.names.len() > 1 && !quoted {
        // A run of unknown words is text, not a name, unless each begins with a capital.
        let capitals = atoms[start..at].iter().all(|a| a.capital);
        if !capitals {
            let first = part.names.swap_remove(0);
            part.names = vec![first];
            part.weak = true;
            let end = atoms[start..at]
                .iter()
                .position(|a| a.span == part.names[0].1)
                .map_or(start + 1, |i| start + i + 1);
            return Some((part, end));
        }
    }
    part.weak = !head && !quoted;
    part.owns = atoms[at - 1].owns || (head && atoms[at].owns);
    merge_names(&mut part);
    let end = if head { at + 1 } else { at };
    let end = if part.weak { end } else { behind(atoms, end, &mut part) };
    Some((part, end))
}

/// What stands behind the head: a version, a name, "instance".
fn behind(atoms: &[Atom], at: usize, part: &mut Part) -> usize {
    let mut next = at;
    merge_names(part);
    loop {
        let Some(atom) = atoms.get(next) else { return next };
        let before_owns = next > 0 && atoms[next - 1].owns;
        if before_owns {
            return next;
        }
        // "three workers, `a`, `b` and `c`"
        if part.plural
            && part.names.is_empty()
            && (atom.mark(',') || atom.mark(':'))
            && atoms.get(next + 1).is_some_and(|a| a.what == What::Name)
        {
            let mut end = next;
            while atoms.get(end + 1).is_some_and(|a| a.what == What::Name) {
                part.names.push((joined(&atoms[end + 1].raw), atoms[end + 1].span));
                end += 2;
                while atoms.get(end).is_some_and(|a| a.mark(',') || a.text == "and" || a.text == "&")
                    && !atoms.get(end + 1).is_some_and(|a| a.what == What::Name)
                    && atoms.get(end + 1).is_some_and(|a| a.text == "and")
                {
                    end += 1;
                }
                if !atoms.get(end).is_some_and(|a| a.mark(',') || a.text == "and" || a.text == "&") {
                    break;
                }
            }
            return end;
        }
        // "one database Postgres": the product behind its kind.
        if let Some((engine, Some(kind), false)) = product_of(atom)
            && part.kind.is_some_and(|k| k.0 == kind)
            && part.engine.is_none()
            && part.names.is_empty()
            && next == at
        {
            part.engine = Some((engine.to_owned(), atom.span));
            part.owns = atom.owns;
            next += 1;
            continue;
        }
        // "worker: lynx", "database: mysql 8.0", "cluster: kubernetes 1.29".
        if atom.mark(':') && part.names.is_empty() && part.engine.is_none() {
            let after = atoms.get(next + 1);
            if let Some((engine, kind, false)) = after.and_then(product_of)
                && (kind == part.kind.map(|k| k.0) || part.kind.is_some_and(|(k, _)| written(k)))
            {
                part.engine = Some((engine.to_owned(), atoms[next + 1].span));
                next += 2;
                continue;
            }
            let same = after.and_then(kind_of).is_some_and(|k| Some(k) == part.kind.map(|k| k.0));
            let cluster = part.kind.is_some_and(|k| k.0 == Kind::Cluster)
                && after.and_then(platform_of) == Some(Platform::Kubernetes);
            if same || cluster {
                next += 2;
                continue;
            }
            if after.is_some_and(nameable) {
                part.names.push((joined(&atoms[next + 1].raw), atoms[next + 1].span));
                next += 2;
                continue;
            }
            return next;
        }
        if matches!(atom.what, What::Number(_) | What::Version(_))
            && part.version.is_none()
            && next == at.max(next)
            && let Some((text, end)) = version(atoms, next)
            && setting(atoms, next).is_none()
            && !matches!(
                value(atoms, next),
                Some((Value::Range(..) | Value::Bytes(_) | Value::Cores(_) | Value::Money(..), _))
            )
        {
            let dotted = text.contains('.') || matches!(atom.what, What::Version(_));
            let versioned = part.engine.is_some()
                && atoms.get(next - 1).is_some_and(|a| product_of(a).is_some() || kind_of(a).is_some());
            let cluster = part.kind.is_some_and(|k| k.0 == Kind::Cluster);
            let followed = atoms.get(end).is_some_and(|a| a.text == "times" || a.unit().is_some());
            if (versioned || dotted || cluster) && !followed {
                part.version = Some((text, atom.span));
                next = end;
                // "Postgres 16 database"
                if let Some(kind) = atoms.get(next).and_then(kind_of) {
                    let stateful = part.kind.is_none_or(|(k, _)| k == kind || !written(kind));
                    if stateful {
                        let server = matches!(atoms[next].text.as_str(), "server" | "machine" | "cluster");
                        if !server || part.kind.is_none() || cluster {
                            part.kind = Some((kind, atoms[next].span));
                            part.usual = false;
                        }
                        part.owns = atoms[next].owns;
                        next += 1;
                    }
                }
                continue;
            }
        }
        if atom.is(Class::Head)
            && matches!(atom.what, What::Word)
            && kind_of(atom).is_none_or(|k| part.engine.is_some() && k != Kind::Api)
            && next == at
            && !atom.is(Class::It)
            && (super::setting::field_of(atom).is_none() || atom.text == "instance")
            && deed_of(atom).is_none_or(|(_, f)| f == Form::Base)
            && platform_of(atom).is_none()
        {
            part.owns = atom.owns;
            next += 1;
            continue;
        }
        let name =
            atom.what == What::Name || (nameable(atom) && (part.engine.is_none() || atom.text.contains('-')));
        if name && part.names.is_empty() && (part.kind.is_some() || part.engine.is_some()) {
            let after = atoms.get(next + 1);
            let taken = atom.what != What::Name
                && after.is_some_and(|a| {
                    kind_of(a).is_some()
                        || a.is(Class::Application)
                        || a.is(Class::Environment)
                        || super::setting::field_of(a) == Some(super::lexicon::Field::Namespace)
                        || a.is(Class::Head)
                });
            let plural = part.plural
                && part.article == Article::None
                && atom.what != What::Name
                && part.kind.is_some_and(|k| k.0 == Kind::Monitoring);
            if !taken && !plural {
                part.names.push((joined(&atom.raw), atom.span));
                part.owns = atom.owns;
                next += 1;
                // "workers `a` and `b`"
                while part.plural
                    && atom.what == What::Name
                    && atoms.get(next).is_some_and(|a| a.text == "and" || a.mark(',') || a.text == "&")
                    && atoms.get(next + 1).is_some_and(|a| a.what == What::Name)
                {
                    part.names.push((joined(&atoms[next + 1].raw), atoms[next + 1].span));
                    next += 2;
                }
                continue;
            }
        }
        return next;
    }
}

/// Several words before one head are one name, except before a plural ("inbox and outbox workers").
fn merge_names(part: &mut Part) {
    if part.names.len() > 1 && !part.plural {
        let span = part.names.iter().map(|n| n.1).reduce(Span::to);
        let name = part.names.iter().map(|n| n.0.as_str()).collect::<Vec<_>>().join("-");
        part.names = span.map(|span| (name, span)).into_iter().collect();
    }
}

/// A kind that the word before names more closely: "a Kubernetes cluster" is a cluster without a platform.
fn settle_kind(part: &mut Part) {
    if part.kind.is_some_and(|k| k.0 == Kind::Cluster)
        && part.platform.is_some_and(|p| p.0 == Platform::Kubernetes)
    {
        part.platform = None;
    }
}
