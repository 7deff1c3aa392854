//! Tokens to atoms: each known phrase is one atom with its senses, whatever its spelling.
//!
//! ```text
//! "plaese spin up 3x postgers in prod"
//!   please  spin-up  ×3  postgres  in  production
//!   Fill    Verb   Times  Product  In  Env
//! ```
//!
//! The longest phrase wins. A typing error is put right only towards words of the lexicon, and only where
//! the word is neither ordinary English, nor a name of the project's own, nor in a place where a name stands.

use code_core::parser::Vocabulary;
use code_core::request::Span;

use super::lexicon::{Class, Classes, Entry, Sense, Unit, lexicon};
use crate::token::{Shape, Token, is_env_key};

/// What an atom is, beside its senses.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    Word,
    Number(f64),
    /// `x3`, `3x`.
    Times(u32),
    /// `v2.1`, `4.0.1`, without the `v`.
    Version(String),
    /// Between quotes, or a name of the project's own.
    Name,
    Image,
    Source,
    Host,
    Assign(String, String),
    /// `LOG_LEVEL`
    EnvKey,
    Region,
    Mark(char),
    Newline,
    Bullet,
    Opaque,
}

/// A phrase of the request.
#[derive(Clone, Debug)]
pub(crate) struct Atom {
    pub(crate) what: What,
    pub(crate) span: Span,
    /// Lower case, the typing error put right.
    pub(crate) text: String,
    /// As written.
    pub(crate) raw: String,
    pub(crate) senses: Vec<Sense>,
    pub(crate) classes: Classes,
    /// Nothing stands between it and the atom before.
    pub(crate) glued: bool,
    /// It ends in `'s`.
    pub(crate) owns: bool,
    /// It begins with a capital.
    pub(crate) capital: bool,
    /// The typing error, and the other words that it may have meant.
    pub(crate) corrected: Option<Vec<String>>,
}

impl Atom {
    pub(crate) fn is(&self, class: Class) -> bool {
        self.classes.has(class)
    }
    pub(crate) fn mark(&self, mark: char) -> bool {
        self.what == What::Mark(mark)
    }
    pub(crate) fn number(&self) -> Option<f64> {
        match self.what {
            What::Number(n) => Some(n),
            _ => None,
        }
    }
    pub(crate) fn unit(&self) -> Option<&Unit> {
        self.senses.iter().find_map(|s| match s {
            Sense::Unit(unit) => Some(unit),
            _ => None,
        })
    }
    /// A word that the lexicon does not know in any way.
    pub(crate) fn unknown(&self) -> bool {
        self.what == What::Word
            && self.senses.is_empty()
            && self.classes.is_empty()
            && !lexicon().is_plain(&self.text)
            && self.text.chars().any(char::is_alphabetic)
    }
}

/// The atoms of the tokens, in order.
pub(crate) fn atoms(tokens: &[Token<'_>], words: &Vocabulary) -> Vec<Atom> {
    let own = Own::new(words);
    let mut out: Vec<Atom> = Vec::with_capacity(tokens.len());
    let mut spelled = tokens.iter().map(|t| spelling(t, &own)).collect::<Vec<_>>();
    // Where a name stands, nothing is put right.
    for i in 1..spelled.len() {
        if matches!(spelled[i - 1].text.as_str(), "called" | "named" | "caled" | "nammed" | "name") {
            spelled[i].corrected = None;
            spelled[i].text = spelled[i].lower.clone();
        }
    }
    let mut at = 0;
    while at < tokens.len() {
        if is_variable(tokens, at) {
            let mut atom = single(tokens, &spelled, at, &own);
            atom.what = What::EnvKey;
            out.push(atom);
            at += 1;
            continue;
        }
        let (atom, used) =
            phrase(tokens, &spelled, at, &own).unwrap_or_else(|| (single(tokens, &spelled, at, &own), 1));
        at += used;
        out.push(atom);
    }
    out
}

/// Whether a word in capitals is set to something: `TIMEOUT to 30`, `TTL: 5`.
fn is_variable(tokens: &[Token<'_>], at: usize) -> bool {
    let token = &tokens[at];
    let joined = tokens.get(at + 1).is_some_and(|t| matches!(t.text, "to" | "=" | ":"));
    let value =
        tokens.get(at + 2).is_some_and(|t| matches!(t.shape, Shape::Word | Shape::Number | Shape::Quoted));
    token.shape == Shape::Word
        && token.text.len() >= 3
        && is_env_key(token.text)
        && joined
        && value
        && (token.text.contains('_') || lexicon().get(&key_of(token.text)).is_none())
}

/// The words of the project's own.
struct Own<'v> {
    words: &'v Vocabulary,
}

impl<'v> Own<'v> {
    fn new(words: &'v Vocabulary) -> Own<'v> {
        Own { words }
    }

    fn knows(&self, word: &str) -> bool {
        let v = self.words;
        v.environments.contains(word)
            || v.applications.contains(word)
            || v.components.contains_key(word)
            || v.products.contains_key(word)
            || v.synonyms.contains_key(word)
    }

    /// What a word of the project's own can mean.
    fn get(&self, word: &str) -> Option<Entry> {
        let v = self.words;
        if let Some(known) = v.synonyms.get(word) {
            let key = key_of(known);
            if let Some(entry) = lexicon().get(&key) {
                return Some(entry.clone());
            }
            return self.get_noun(&key);
        }
        self.get_noun(word)
    }

    fn get_noun(&self, word: &str) -> Option<Entry> {
        let v = self.words;
        let mut senses = Vec::new();
        if let Some(kind) = v.products.get(word) {
            senses.push(Sense::Product { engine: word.to_owned(), kind: Some(*kind), ordinary: false });
        }
        if v.environments.contains(word) {
            senses.push(Sense::Env { name: word.to_owned(), ordinary: false });
        }
        (!senses.is_empty()).then(|| Entry { senses, ..Entry::default() })
    }
}

fn key_of(text: &str) -> String {
    text.to_lowercase().replace('-', " ")
}

/// A token's word: lower case, and put right.
struct Spelled {
    lower: String,
    text: String,
    corrected: Option<Vec<String>>,
}

fn spelling(token: &Token<'_>, own: &Own<'_>) -> Spelled {
    let lower = token.text.to_lowercase().replace('’', "'");
    let same = |lower: String| Spelled { text: lower.clone(), lower, corrected: None };
    if token.shape != Shape::Word || own.knows(&lower) {
        return same(lower);
    }
    let stem = lower.strip_suffix("'s").unwrap_or(&lower);
    let meant = lexicon().meant(stem);
    match meant.split_first() {
        Some((first, rest)) => Spelled {
            text: format!("{first}{}", &lower[stem.len()..]),
            corrected: Some(rest.iter().map(|w| (*w).to_owned()).collect()),
            lower,
        },
        None => same(lower),
    }
}

/// The longest known phrase that begins here, and how many tokens it takes.
fn phrase(tokens: &[Token<'_>], spelled: &[Spelled], at: usize, own: &Own<'_>) -> Option<(Atom, usize)> {
    let wordy = |i: usize| match tokens[i].shape {
        Shape::Word => true,
        // "asp.net" has the shape of a domain.
        Shape::Domain => i == at && lexicon().get(&spelled[i].text).is_some(),
        Shape::Number | Shape::Mark => i > at || tokens[i].shape == Shape::Mark,
        _ => false,
    };
    if !wordy(at) {
        return None;
    }
    if tokens[at].shape == Shape::Word && is_env_key(tokens[at].text) && tokens[at].text.contains('_') {
        return None;
    }
    let mut key = key_of(&spelled[at].text);
    let first = key.split([' ', '/']).next().unwrap_or("").to_owned();
    let longest = lexicon().longest(&first).max(1);
    let mut best: Option<(Entry, What, usize, bool)> = None;
    let mut end = at;
    loop {
        let own_word = (end == at).then(|| own.get(&spelled[at].text)).flatten();
        let bare = key.strip_suffix("'s").or_else(|| key.strip_suffix("s'"));
        let number = lexicon().number(&key);
        let entry = own_word.clone().or_else(|| lexicon().get(&key).cloned());
        if entry.is_some() || number.is_some() {
            let what = number.map_or(What::Word, What::Number);
            best = Some((entry.unwrap_or_default(), what, end + 1, false));
        } else if let Some(entry) = bare.and_then(|b| lexicon().get(b).cloned().or_else(|| own.get(b))) {
            best = Some((entry, What::Word, end + 1, true));
        }
        end += 1;
        if end >= tokens.len() || !wordy(end) || key.split([' ', '/']).count() >= longest {
            break;
        }
        // Marks stand only alone ("&"), or between two words ("pub/sub").
        let slash =
            tokens[end].text == "/" && tokens[end].glued && tokens.get(end + 1).is_some_and(|t| t.glued);
        if slash && wordy(end + 1) {
            key.push('/');
            end += 1;
        } else if tokens[end].shape == Shape::Mark || tokens[at].shape == Shape::Mark {
            break;
        } else {
            key.push(' ');
        }
        key.push_str(&key_of(&spelled[end].text));
    }
    let (entry, what, end, owns) = best?;
    // "prod-like" is neither "prod" nor two words: a phrase ends where its token ends.
    let used = end - at;
    let span = tokens[at].span.to(tokens[end - 1].span);
    let corrected = spelled[at..end].iter().find_map(|s| s.corrected.clone());
    let known_name = used == 1
        && own.words.components.contains_key(&spelled[at].lower)
        && own.get(&spelled[at].lower).is_none();
    let mut atom = Atom {
        what: if known_name { What::Name } else { what },
        span,
        text: spelled[at..end].iter().map(|s| s.text.as_str()).collect::<Vec<_>>().join(" "),
        raw: tokens[at..end].iter().map(|t| t.text).collect::<Vec<_>>().join(" "),
        senses: entry.senses,
        classes: entry.classes,
        glued: tokens[at].glued,
        owns,
        capital: tokens[at].text.starts_with(char::is_uppercase),
        corrected,
    };
    if owns {
        atom.text = atom.text.trim_end_matches("'s").trim_end_matches('\'').to_owned();
    }
    if let Shape::Mark = tokens[at].shape {
        atom.what = mark(tokens[at].text);
    }
    Some((atom, used))
}

fn mark(text: &str) -> What {
    match text {
        "->" | "=>" | "→" => What::Mark('>'),
        _ if text.starts_with("..") => What::Mark(if text.len() == 2 { '~' } else { '.' }),
        "–" | "—" => What::Mark('-'),
        "…" => What::Mark('.'),
        _ => What::Mark(text.chars().next().unwrap_or(' ')),
    }
}

/// An atom of one token that is in no phrase.
fn single(tokens: &[Token<'_>], spelled: &[Spelled], at: usize, own: &Own<'_>) -> Atom {
    let token = &tokens[at];
    let lower = &spelled[at].text;
    let mut owns = false;
    let mut text = lower.clone();
    let what = match token.shape {
        Shape::Number => match token.text.matches('.').count() {
            0 | 1 if !token.text.contains('-') => {
                token.text.replace(',', "").parse().map_or(What::Opaque, What::Number)
            }
            _ => What::Version(token.text.to_owned()),
        },
        Shape::Quoted => What::Name,
        Shape::Image => What::Image,
        Shape::Address | Shape::Path => What::Source,
        Shape::Domain => What::Host,
        Shape::Assignment => {
            let (key, value) = token.text.split_once('=').unwrap_or((token.text, ""));
            What::Assign(key.to_owned(), value.trim_matches(['"', '\'']).to_owned())
        }
        Shape::Opaque => What::Opaque,
        Shape::Newline => What::Newline,
        Shape::Bullet => What::Bullet,
        Shape::Mark => mark(token.text),
        Shape::Word => {
            if let Some(bare) = lower
                .strip_suffix("'s")
                .or_else(|| lower.strip_suffix("s'").map(|_| &lower[..lower.len() - 1]))
            {
                owns = true;
                text = bare.to_owned();
            }
            word(token.text, &text, own)
        }
    };
    Atom {
        what,
        span: token.span,
        text,
        raw: token.text.to_owned(),
        senses: Vec::new(),
        classes: Classes::default(),
        glued: token.glued,
        owns,
        capital: token.text.starts_with(char::is_uppercase),
        corrected: spelled[at].corrected.clone(),
    }
}

fn word(raw: &str, lower: &str, own: &Own<'_>) -> What {
    if own.words.components.contains_key(lower) {
        return What::Name;
    }
    if let Some(times) = lower.strip_prefix('x').and_then(|n| n.parse().ok()) {
        return What::Times(times);
    }
    if let Some(version) = lower.strip_prefix('v')
        && version.starts_with(|c: char| c.is_ascii_digit())
    {
        return What::Version(raw[1..].to_owned());
    }
    if lexicon().is_region(lower) {
        return What::Region;
    }
    if is_env_key(raw) && raw.contains('_') {
        return What::EnvKey;
    }
    What::Word
}
