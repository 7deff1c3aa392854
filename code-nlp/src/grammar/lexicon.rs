//! The words that the grammar knows, read once from the tables in `data/`.
//!
//! An entry is a phrase of one to six words. What it can mean is a [`Sense`]; the closed-class words that
//! hold a sentence together have [`Class`]es instead, and a phrase may have both. Plurals of nouns and the
//! forms of verbs are made by rule when the tables are read.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

pub(crate) use super::sense::{Class, Classes, Deed, Entry, Field, Flag, Form, Relation, Sense, Unit};
use code_core::intent::{Action, Kind, Platform};

/// All tables.
#[derive(Debug)]
pub(crate) struct Lexicon {
    phrases: HashMap<String, Entry>,
    /// The most words of any phrase that begins with this word.
    longest: HashMap<String, usize>,
    /// Ordinary words: never names, never typing errors.
    plain: HashSet<&'static str>,
    /// Ordinary words that may be names: no typing errors either.
    namelike: HashSet<&'static str>,
    /// The single words that a typing error may have meant, by their first letter.
    targets: HashMap<char, Vec<String>>,
    regions: HashSet<&'static str>,
    /// Each word of each phrase.
    words: HashSet<String>,
    /// Verbs with their object before the preposition, with the prepositions.
    gaps: HashMap<String, Vec<&'static str>>,
    /// Numbers by their words.
    numbers: HashMap<&'static str, f64>,
}

const KINDS: &str = include_str!("../../data/kinds.tsv");
const PRODUCTS: &str = include_str!("../../data/products.tsv");
const ENVIRONMENTS: &str = include_str!("../../data/environments.tsv");
const PLATFORMS: &str = include_str!("../../data/platforms.tsv");
const COMPLIANCE: &str = include_str!("../../data/compliance.tsv");
const REGIONS: &str = include_str!("../../data/regions.txt");
const UNITS: &str = include_str!("../../data/units.tsv");
const FIELDS: &str = include_str!("../../data/fields.tsv");
const FLAGS: &str = include_str!("../../data/flags.tsv");
const ACTIONS: &str = include_str!("../../data/actions.tsv");
const TOPICS: &str = include_str!("../../data/topics.tsv");
const SECRETS: &str = include_str!("../../data/secrets.tsv");
const RELATIONS: &str = include_str!("../../data/relations.tsv");
const DRY_RUN: &str = include_str!("../../data/dryrun.txt");
const CORRECTIONS: &str = include_str!("../../data/corrections.txt");
const WORDS: &str = include_str!("../../data/words.tsv");
const IRREGULAR: &str = include_str!("../../data/irregular.tsv");
const NUMBERS: &str = include_str!("../../data/numbers.tsv");
const PLAIN: &str = include_str!("../../data/plain.txt");

/// The rows of a table: cells between tabs, without comments and empty lines.
fn rows(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    table
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|line| line.split('\t').map(str::trim).collect())
}

/// The phrases of a cell, with whether each is marked as an ordinary word as well.
fn phrases(cell: &'static str) -> impl Iterator<Item = (&'static str, bool)> {
    cell.split(',').map(str::trim).filter(|p| !p.is_empty()).map(|p| match p.strip_prefix('?') {
        Some(p) => (p, true),
        None => (p, false),
    })
}

/// The tables, read once.
pub(crate) fn lexicon() -> &'static Lexicon {
    static LEXICON: LazyLock<Lexicon> = LazyLock::new(Lexicon::read);
    &LEXICON
}

impl Lexicon {
    /// What a phrase (lower case, hyphens as spaces) can mean.
    pub(crate) fn get(&self, phrase: &str) -> Option<&Entry> {
        self.phrases.get(phrase)
    }

    /// The most words of a phrase that begins with this word.
    pub(crate) fn longest(&self, first: &str) -> usize {
        self.longest.get(first).copied().unwrap_or(0)
    }

    /// The prepositions that close the gap after a verb: "stores … in".
    pub(crate) fn gap(&self, verb: &str) -> &[&'static str] {
        self.gaps.get(verb).map_or(&[], Vec::as_slice)
    }

    /// The number that a phrase names.
    pub(crate) fn number(&self, phrase: &str) -> Option<f64> {
        self.numbers.get(phrase).copied()
    }

    /// An ordinary word that is no name.
    pub(crate) fn is_plain(&self, word: &str) -> bool {
        self.plain.contains(word)
    }

    /// A word that may be a name, though it is an ordinary one (`orders`, `mailer`).
    pub(crate) fn is_namelike(&self, word: &str) -> bool {
        self.namelike.contains(word)
    }

    /// A word of ordinary English, in any form.
    fn is_ordinary(&self, word: &str) -> bool {
        let known = |w: &str| self.plain.contains(w) || self.namelike.contains(w);
        known(word)
            || ["s", "es", "ed", "d", "ing", "ly", "er", "r"]
                .iter()
                .any(|end| word.strip_suffix(end).is_some_and(known))
            || word.strip_suffix("ing").is_some_and(|stem| known(&format!("{stem}e")))
    }

    /// Whether this is a region's name, by its list or by its shape (`eu-west-1`, `us-central1`).
    pub(crate) fn is_region(&self, word: &str) -> bool {
        self.regions.contains(word) || has_region_shape(word)
    }

    /// The known word that this typing error most likely meant, and the next likely ones.
    ///
    /// Optimal string alignment distance: one slip in a word of five to seven letters, two from eight on,
    /// and in a word of four letters only two letters swapped. The first letter is right, or swapped with
    /// the second. A word of ordinary English is never a typing error.
    pub(crate) fn meant(&self, word: &str) -> Vec<&str> {
        let letters = word.chars().count();
        if !(4..=24).contains(&letters)
            || !word.chars().all(|c| c.is_ascii_lowercase())
            || self.words.contains(word)
            || self.is_ordinary(word)
        {
            return Vec::new();
        }
        let mut firsts = word.chars();
        let (first, second) = (firsts.next(), firsts.next());
        let mut found: Vec<(usize, &str)> = Vec::new();
        for letter in [first, second].into_iter().flatten() {
            for target in self.targets.get(&letter).map_or(&[][..], Vec::as_slice) {
                let swapped = Some(letter) != first;
                if swapped && target.chars().nth(1) != first {
                    continue;
                }
                let shorter = letters.min(target.len());
                let most = if shorter >= 8 { 2 } else { 1 };
                if target.len().abs_diff(letters) > most {
                    continue;
                }
                let distance = strsim::osa_distance(word, target);
                let enough = distance <= most
                    && (shorter >= 5
                        || is_swap(word, target)
                        || letters >= 5 && shorter == 4 && is_doubled(word, target));
                if enough && distance > 0 {
                    found.push((distance, target));
                }
            }
        }
        found.sort_by_key(|(distance, target)| (*distance, target.len().abs_diff(letters), *target));
        found.dedup();
        found.into_iter().map(|(_, target)| target).collect()
    }

    /// The known words nearest to an unknown one, for choices in a note.
    pub(crate) fn nearest(&self, word: &str, among: &[&str]) -> Vec<String> {
        let mut near: Vec<(usize, &str)> = among
            .iter()
            .map(|w| (strsim::osa_distance(word, w), *w))
            .filter(|(d, w)| *d <= w.len().max(2) / 2)
            .collect();
        near.sort();
        near.into_iter().take(3).map(|(_, w)| w.to_owned()).collect()
    }

    fn read() -> Lexicon {
        let mut lexicon = Lexicon {
            phrases: HashMap::new(),
            longest: HashMap::new(),
            plain: HashSet::new(),
            namelike: HashSet::new(),
            targets: HashMap::new(),
            regions: rows(REGIONS).flatten().flat_map(str::split_whitespace).collect(),
            words: HashSet::new(),
            gaps: HashMap::new(),
            numbers: HashMap::new(),
        };
        lexicon.read_nouns();
        lexicon.read_verbs();
        for row in rows(RELATIONS) {
            let relation = match row[0] {
                "needs" => Relation::Needs,
                "feeds" => Relation::Feeds,
                prepositions => {
                    lexicon.read_gaps(prepositions, row.get(1).copied().unwrap_or(""));
                    continue;
                }
            };
            for (phrase, _) in row.get(1).copied().map(phrases).into_iter().flatten() {
                lexicon.add(phrase, Sense::Relation(relation));
                for (form, _) in verb_forms(phrase) {
                    lexicon.add(&form, Sense::Relation(relation));
                }
            }
        }
        for row in rows(DRY_RUN) {
            lexicon.add(row[0], Sense::DryRun);
        }
        for row in rows(CORRECTIONS) {
            lexicon.add(row[0], Sense::Correction);
        }
        for row in rows(WORDS) {
            for (class, name) in Class::ALL {
                if row[0] == *name {
                    for (phrase, _) in row.get(1).copied().map(phrases).into_iter().flatten() {
                        lexicon.entry(phrase).classes.0 |= class.bit();
                    }
                }
            }
        }
        for row in rows(NUMBERS) {
            let Ok(number) = row[0].parse() else { continue };
            for (phrase, _) in row.get(1).copied().map(phrases).into_iter().flatten() {
                lexicon.numbers.insert(phrase, number);
                lexicon.note_words(phrase);
            }
        }
        let mut into_names = false;
        for word in PLAIN.lines().filter(|l| !l.starts_with('#')).flat_map(str::split_whitespace) {
            match word {
                "names:" => into_names = true,
                _ if into_names => drop(lexicon.namelike.insert(word)),
                _ => drop(lexicon.plain.insert(word)),
            }
        }
        lexicon.finish();
        lexicon
    }

    fn read_nouns(&mut self) {
        for row in rows(KINDS) {
            let Some(kind) = Kind::from_word(row[0]) else { continue };
            for (phrase, _) in row.get(1).copied().map(phrases).into_iter().flatten() {
                self.add_noun(phrase, Sense::Kind(kind));
            }
        }
        for row in rows(PRODUCTS) {
            let kind = Kind::from_word(row[1]);
            let cell = row.get(2).copied().unwrap_or("");
            let own = row[0];
            if !phrases(cell).any(|(p, _)| p == own) {
                self.add(own, Sense::Product { engine: own.to_owned(), kind, ordinary: false });
            }
            for (phrase, ordinary) in phrases(cell) {
                self.add(phrase, Sense::Product { engine: own.to_owned(), kind, ordinary });
            }
        }
        for row in rows(ENVIRONMENTS) {
            for (phrase, ordinary) in row.get(1).copied().map(phrases).into_iter().flatten() {
                self.add(phrase, Sense::Env { name: row[0].to_owned(), ordinary });
            }
        }
        for row in rows(PLATFORMS) {
            let platform = match row[0] {
                "aws" => Platform::Aws,
                "azure" => Platform::Azure,
                "gcp" => Platform::Gcp,
                "kubernetes" => Platform::Kubernetes,
                "docker" => Platform::Docker,
                _ => Platform::Local,
            };
            for (phrase, _) in row.get(1).copied().map(phrases).into_iter().flatten() {
                self.add(phrase, Sense::Platform(platform));
            }
        }
        for row in rows(COMPLIANCE) {
            for (phrase, _) in row.get(1).copied().map(phrases).into_iter().flatten() {
                self.add(phrase, Sense::Compliance(row[0].to_owned()));
            }
        }
        for row in rows(UNITS) {
            let unit = match row[0] {
                "Ki" | "Mi" | "Gi" | "Ti" => Unit::Bytes(row[0]),
                "core" => Unit::Core,
                code => Unit::Money(code.to_owned()),
            };
            for (phrase, _) in row.get(1).copied().map(phrases).into_iter().flatten() {
                self.add(phrase, Sense::Unit(unit.clone()));
            }
        }
        for row in rows(FIELDS) {
            let Some(field) = field(row[0]) else { continue };
            for (phrase, _) in row.get(1).copied().map(phrases).into_iter().flatten() {
                self.add(phrase, Sense::Field(field));
            }
        }
        for row in rows(FLAGS) {
            let flag = match row[0] {
                "public" => Flag::Public,
                "tls" => Flag::Tls,
                "highly_available" => Flag::HighlyAvailable,
                "backups" => Flag::Backups,
                _ => Flag::Encrypted,
            };
            for (phrase, _) in row.get(2).copied().map(phrases).into_iter().flatten() {
                self.add(phrase, Sense::Flag(flag, row[1] == "true"));
            }
        }
        for row in rows(TOPICS) {
            let Some(action) = action(row[0]) else { continue };
            for (phrase, _) in row.get(1).copied().map(phrases).into_iter().flatten() {
                self.add(phrase, Sense::Topic(action));
            }
        }
        for row in rows(SECRETS) {
            for (phrase, _) in row.get(1).copied().map(phrases).into_iter().flatten() {
                self.add(phrase, Sense::Secret);
            }
        }
    }

    fn read_verbs(&mut self) {
        for row in rows(ACTIONS) {
            let deed = match action(row[0]) {
                Some(action) => Deed::Do(action),
                None => match row[0] {
                    "set" => Deed::Set,
                    "raise" => Deed::Raise,
                    "need" => Deed::Need,
                    "get" => Deed::Get,
                    "show" => Deed::Show,
                    "check" => Deed::Check,
                    "run" => Deed::Run,
                    "bring" => Deed::Bring,
                    "add" => Deed::Add,
                    "estimate" => Deed::Estimate,
                    _ => Deed::Renew,
                },
            };
            for (phrase, _) in row.get(1).copied().map(phrases).into_iter().flatten() {
                self.add(phrase, Sense::Verb(deed, Form::Base));
                for (form, which) in verb_forms(phrase) {
                    self.add(&form, Sense::Verb(deed, which));
                }
            }
        }
    }

    /// Verbs with their object before the preposition: "stores its notes in".
    fn read_gaps(&mut self, prepositions: &'static str, verbs: &'static str) {
        let prepositions: Vec<&'static str> = phrases(prepositions).map(|(p, _)| p).collect();
        for (verb, _) in phrases(verbs) {
            let forms = verb_forms(verb).into_iter().map(|(form, _)| form).chain([verb.to_owned()]);
            for form in forms {
                self.note_words(&form);
                self.add(&form, Sense::Gap);
                self.gaps.entry(form).or_default().extend(&prepositions);
            }
        }
    }

    fn entry(&mut self, phrase: &str) -> &mut Entry {
        self.phrases.entry(phrase.replace('-', " ").to_lowercase()).or_default()
    }

    fn add(&mut self, phrase: &str, sense: Sense) {
        let entry = self.entry(phrase);
        if !entry.senses.contains(&sense) {
            entry.senses.push(sense);
        }
    }

    fn add_noun(&mut self, phrase: &str, sense: Sense) {
        let plural = plural(phrase);
        self.add(phrase, sense.clone());
        self.add(&plural, sense);
    }

    /// Remembers each word of a phrase, and how long phrases that begin like this one are.
    fn note_words(&mut self, phrase: &str) {
        let first = phrase.split([' ', '/']).next().unwrap_or("").to_owned();
        let longest = self.longest.entry(first).or_default();
        *longest = (*longest).max(phrase.split([' ', '/']).count());
        for word in phrase.split(' ') {
            self.words.insert(word.to_owned());
            if word.len() >= 4 && word.bytes().all(|b| b.is_ascii_lowercase()) {
                self.targets.entry(word.chars().next().unwrap_or('a')).or_default().push(word.to_owned());
            }
        }
    }

    fn finish(&mut self) {
        let phrases: Vec<String> = self.phrases.keys().cloned().collect();
        for phrase in &phrases {
            self.note_words(phrase);
        }
        for words in self.targets.values_mut() {
            words.sort();
            words.dedup();
        }
    }
}

fn is_swap(word: &str, target: &str) -> bool {
    word.len() == target.len() && {
        let (mut a, mut b) = (word.as_bytes().to_vec(), target.as_bytes().to_vec());
        a.sort_unstable();
        b.sort_unstable();
        a == b
    }
}

/// `prodd` for `prod`, `scann` for `scan`: a letter too many that repeats its neighbour.
fn is_doubled(word: &str, target: &str) -> bool {
    word.len() == target.len() + 1
        && (1..word.len()).any(|i| {
            let bytes = word.as_bytes();
            bytes[i] == bytes[i - 1] && [&bytes[..i], &bytes[i + 1..]].concat() == target.as_bytes()
        })
}

fn plural(phrase: &str) -> String {
    if let Some(stem) = phrase.strip_suffix('y')
        && !stem.ends_with(['a', 'e', 'i', 'o', 'u'])
    {
        return format!("{stem}ies");
    }
    if phrase.ends_with('s') || phrase.ends_with('x') || phrase.ends_with("ch") || phrase.ends_with("sh") {
        return format!("{phrase}es");
    }
    format!("{phrase}s")
}

/// The forms of a verb phrase beside its base: only its first word changes.
fn verb_forms(phrase: &str) -> Vec<(String, Form)> {
    let (first, rest) = match phrase.split_once(' ') {
        Some((first, rest)) => (first, format!(" {rest}")),
        None => (phrase, String::new()),
    };
    if !first.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') {
        return Vec::new();
    }
    let mut forms = vec![(plural(first), Form::Third)];
    let irregular = rows(IRREGULAR).find(|row| row[0] == first);
    let vowel = |c: char| matches!(c, 'a' | 'e' | 'i' | 'o' | 'u');
    let letters: Vec<char> = first.chars().rev().take(3).collect();
    // One vowel between consonants doubles the last letter: ship, shipping.
    let doubles = matches!(letters[..], [c, v, b] if !vowel(c) && vowel(v) && !vowel(b) && !matches!(c, 'w' | 'x' | 'y'))
        && (first.len() <= 4
            || ["rollback", "setup", "plan", "reset", "submit"].contains(&first) && first != "rollback")
        || matches!(letters[..], [c, v] if !vowel(c) && vowel(v));
    let stem_e = first.strip_suffix('e').filter(|s| !s.ends_with(['e', 'o', 'y']));
    let stem_y = first.strip_suffix('y').filter(|s| !s.ends_with(vowel));
    let last = letters.first().copied().unwrap_or('e');
    let (past, ing) = match (stem_e, stem_y) {
        (Some(stem), _) => (format!("{first}d"), format!("{stem}ing")),
        (_, Some(stem)) => (format!("{stem}ied"), format!("{first}ing")),
        _ if doubles => (format!("{first}{last}ed"), format!("{first}{last}ing")),
        _ => (format!("{first}ed"), format!("{first}ing")),
    };
    forms.push((ing, Form::Ing));
    match irregular {
        Some(row) => {
            for (form, _) in row.get(1).copied().map(phrases).into_iter().flatten() {
                forms.push((form.to_owned(), Form::Past));
            }
        }
        None => forms.push((past, Form::Past)),
    }
    forms.into_iter().map(|(form, which)| (format!("{form}{rest}"), which)).collect()
}

fn action(word: &str) -> Option<Action> {
    serde_json::from_value(serde_json::Value::from(word)).ok()
}

fn field(word: &str) -> Option<Field> {
    Some(match word {
        "replicas" => Field::Replicas,
        "memory" => Field::Memory,
        "storage" => Field::Storage,
        "cpu" => Field::Cpu,
        "port" => Field::Port,
        "host" => Field::Host,
        "version" => Field::Version,
        "image" => Field::Image,
        "source" => Field::Source,
        "schedule" => Field::Schedule,
        "env" => Field::Env,
        "name" => Field::Name,
        "namespace" => Field::Namespace,
        "region" => Field::Region,
        "budget" => Field::Budget,
        "platform" => Field::Platform,
        _ => return None,
    })
}

/// `eu-west-1`, `us-gov-east-1`, `us-central1`, `europe-north1`, with an availability zone's letter.
fn has_region_shape(word: &str) -> bool {
    let (place, rest) = match word.split_once('-') {
        Some(split) => split,
        None => return false,
    };
    let places = [
        "us",
        "eu",
        "ap",
        "sa",
        "ca",
        "me",
        "af",
        "il",
        "mx",
        "cn",
        "europe",
        "asia",
        "australia",
        "southamerica",
        "northamerica",
        "africa",
    ];
    let rest = rest.strip_prefix("gov-").unwrap_or(rest);
    let Some(digit) = rest.find(|c: char| c.is_ascii_digit()) else { return false };
    let (side, number) = rest.split_at(digit);
    let sides =
        ["north", "south", "east", "west", "central", "northeast", "northwest", "southeast", "southwest"];
    places.contains(&place)
        && sides.contains(&side.trim_end_matches('-'))
        && number.trim_start_matches(|c: char| c.is_ascii_digit()).len() <= 2
}

/// The cells of a table, for the tests that reach each entry.
#[cfg(test)]
pub(crate) fn table(name: &str) -> Vec<Vec<&'static str>> {
    rows(match name {
        "kinds" => KINDS,
        "products" => PRODUCTS,
        "environments" => ENVIRONMENTS,
        "platforms" => PLATFORMS,
        "compliance" => COMPLIANCE,
        "regions" => REGIONS,
        "units" => UNITS,
        "fields" => FIELDS,
        "flags" => FLAGS,
        "actions" => ACTIONS,
        "topics" => TOPICS,
        "dryrun" => DRY_RUN,
        "corrections" => CORRECTIONS,
        _ => RELATIONS,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_have_their_forms() {
        let forms = |verb: &str| verb_forms(verb).into_iter().map(|(f, _)| f).collect::<Vec<_>>();
        assert_eq!(forms("ship"), ["ships", "shipping", "shipped"]);
        assert_eq!(forms("scale down"), ["scales down", "scaling down", "scaled down"]);
        assert_eq!(forms("deploy"), ["deploys", "deploying", "deployed"]);
        assert_eq!(forms("rely on"), ["relies on", "relying on", "relied on"]);
        assert_eq!(forms("build"), ["builds", "building", "built"]);
        assert_eq!(forms("patch"), ["patches", "patching", "patched"]);
        assert_eq!(forms("restart"), ["restarts", "restarting", "restarted"]);
    }

    #[test]
    fn typing_errors_are_put_right_and_names_are_left_alone() {
        let first = |word| lexicon().meant(word).first().copied();
        for (word, meant) in [
            ("plaese", "please"),
            ("creat", "create"),
            ("postgers", "postgres"),
            ("produciton", "production"),
            ("depoly", "deploy"),
            ("restrat", "restart"),
            ("wroker", "worker"),
            ("tset", "test"),
            ("stagging", "staging"),
        ] {
            assert_eq!(first(word), Some(meant), "{word}");
        }
        for word in
            ["mango", "marmot", "ledger", "sage", "mosaic", "lynx", "tanuki", "acorn", "state", "stable"]
        {
            assert_eq!(first(word), None, "{word}");
        }
    }

    #[test]
    fn regions_are_known_by_shape_or_list() {
        for region in [
            "eu-west-1",
            "us-east-1",
            "ap-southeast-2",
            "us-central1",
            "europe-north1",
            "westeurope",
            "us-gov-west-1",
        ] {
            assert!(lexicon().is_region(region), "{region}");
        }
        for word in ["eu-commerce", "us-east", "tax-scans", "load-1"] {
            assert!(!lexicon().is_region(word), "{word}");
        }
    }

    #[test]
    fn every_class_has_words() {
        for (class, name) in Class::ALL {
            assert!(lexicon().phrases.values().any(|e| e.classes.has(*class)), "{name}");
        }
    }
}
