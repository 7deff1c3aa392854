//! Rules that hold for every text: evidence, spans, no panic, and what is printed is read back.

#![expect(clippy::unwrap_used, reason = "a test")]

use code_core::intent::{Action, Component, Intent, Kind, Replicas};
use code_core::parser::{Parsed, Vocabulary};
use proptest::prelude::*;
use serde_json::Value;

/// The JSON pointers of all leaves.
fn leaves(path: &str, value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, v)| {
            leaves(&format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), v, out);
        }),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(i, v)| leaves(&format!("{path}/{i}"), v, out))
        }
        _ => out.push(path.to_owned()),
    }
}

/// Each leaf has its words, each pointer its leaf, and each span lies on characters of the text.
fn check_evidence(text: &str, parsed: &Parsed) {
    let mut paths = Vec::new();
    leaves("", &serde_json::to_value(&parsed.intents).unwrap(), &mut paths);
    paths.sort();
    let known: Vec<String> = parsed.evidence.keys().cloned().collect();
    assert_eq!(paths, known, "{text:?}");
    let spans = parsed.evidence.values().flatten().chain(parsed.notes.iter().filter_map(|n| n.span.as_ref()));
    for span in spans {
        let inside = span.start < span.end && text.get(span.start..span.end).is_some();
        assert!(inside, "{span:?} in {text:?}");
    }
    assert!(parsed.evidence.values().all(|spans| !spans.is_empty()), "{text:?}");
    if parsed.intents.is_empty() {
        assert!(parsed.questions().next().is_some(), "nothing found and nothing asked: {text:?}");
    }
}

fn read(text: &str) -> Parsed {
    let parsed = code_nlp::parse(text, &Vocabulary::default());
    check_evidence(text, &parsed);
    parsed
}

#[test]
fn every_leaf_of_the_corpus_has_evidence() {
    for line in include_str!("corpus.jsonl").lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let request = record["request"].as_str().unwrap();
        read(request);
        // The same words once more, at other places.
        read(&format!("  é🚀 {request}\r\n\r\n"));
    }
}

#[test]
fn long_and_repeated_texts_end() {
    let kib = |piece: &str| piece.repeat(16 * 1024 / piece.len());
    for piece in [
        "a",
        "1",
        "(",
        "\"",
        "`x",
        "deploy ",
        "a web app with a database and ",
        "no wait, ",
        "restart x, ",
        "1.1.",
        "x-",
        "https://",
        "and, ",
        "scale it to 5. ",
        "- a\n",
        "K=v ",
        "zzzzzz ",
        "🚀",
        "every day at ",
        "1,000",
        "a/b:c ",
        "name: x\n",
        "don't ",
        "from 2 to ",
        "it's ",
        "qwfpgj'ars ",
    ] {
        read(&kib(piece));
    }
    // What is longer than a request is cut, on a character.
    read(&"é".repeat(1024 * 1024));
}

/// A sentence in the grammar's own words, with the intent that it says.
fn sentence() -> impl Strategy<Value = (String, Intent)> {
    let kinds = prop::sample::select(vec![
        (Kind::Web, "web app"),
        (Kind::Api, "API"),
        (Kind::Worker, "worker"),
        (Kind::Database, "database"),
        (Kind::Cache, "cache"),
        (Kind::Function, "serverless function"),
        (Kind::Vm, "virtual machine"),
    ]);
    let names = prop::sample::select(vec!["kestrel", "ledger", "tax-scans", "orders", "q7", "zürich"]);
    let places = prop::sample::select(vec!["development", "test", "staging", "production", "qa", "uat"]);
    let options = (
        prop::option::of(1_u32..50),
        prop::option::of(1_u32..64),
        prop::option::of(1_u16..u16::MAX),
        prop::option::of(any::<bool>()),
        prop::option::of(any::<bool>()),
        prop::option::of(1_u32..900),
    );
    (kinds, names, places, options).prop_map(|((kind, word), name, place, options)| {
        let (replicas, memory, port, public, tls, storage) = options;
        let mut text = format!("Deploy a {word} called {name} to {place}");
        let mut parts = Vec::new();
        let mut component = Component { kind: Some(kind), name: Some(name.into()), ..Component::default() };
        if let Some(n) = replicas {
            parts.push(format!("{n} replicas"));
            component.replicas = Some(Replicas::exactly(n));
        }
        if let Some(n) = memory {
            parts.push(format!("{n}Gi of memory"));
            component.memory = Some(format!("{n}Gi"));
        }
        if let Some(n) = port {
            parts.push(format!("port {n}"));
            component.port = Some(n);
        }
        if let Some(n) = storage {
            parts.push(format!("{n} GB of storage"));
            component.storage = Some(format!("{n}Gi"));
        }
        if let Some(on) = tls {
            parts.push(if on { "TLS".into() } else { "no TLS".into() });
            component.tls = Some(on);
        }
        if !parts.is_empty() {
            text.push_str(" with ");
            text.push_str(&parts.join(", "));
        }
        text.push('.');
        if let Some(on) = public {
            text.push_str(if on { " It must be public." } else { " It must not be public." });
            component.public = Some(on);
        }
        let mut intent = Intent::new(Action::Deploy);
        intent.environment = Some(place.into());
        intent.components = vec![component];
        (text, intent)
    })
}

/// Two parts that an app may have, and a way to ask for the one and to leave the other out.
fn with_and_without() -> impl Strategy<Value = (String, bool)> {
    let parts = || prop::sample::select(vec!["database", "cache", "queue", "search engine", "bucket"]);
    let engines = || prop::sample::select(vec!["", "Postgres ", "Redis ", "Kafka "]);
    let apps = prop::sample::select(vec!["web app", "API", "worker", "web app called kestrel"]);
    let ways = prop::sample::select(vec![
        "with a {x} and without a {y}",
        "without a {y} and with a {x}",
        "with a {x} but no {y}",
        "with a {x}, without any {y},",
        "with no {y} but with a {x}",
        "which uses a {x} and does not use a {y}",
        "which doesn't need a {y} and which needs a {x}",
    ]);
    (parts(), parts(), engines(), apps, ways).prop_map(|(x, y, engine, app, way)| {
        let fits = match engine {
            "Postgres " => x == "database",
            "Redis " => x == "cache",
            "Kafka " => x == "queue",
            _ => false,
        };
        let asked = if fits { format!("{engine}{x}") } else { x.to_owned() };
        let way = way.replace("{x}", &asked).replace("{y}", y);
        (format!("Deploy a {app} {way} to staging."), x == y)
    })
}

/// Words of the grammar and marks, in no order.
fn salad() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "deploy",
        "restart",
        "don't",
        "the",
        "a",
        "web app",
        "database",
        "postgres",
        "16",
        "to",
        "from",
        "2",
        "5",
        "staging",
        "production",
        "with",
        "and",
        ",",
        ".",
        "?",
        "no",
        "wait",
        "it",
        "both",
        "there",
        "replicas",
        "GB",
        "memory",
        "`x`",
        "called",
        "every",
        "day",
        "at",
        "6:30",
        "logs",
        "of",
        "cost",
        "$",
        "300",
        "a month",
        "show",
        "plan",
        "back",
        "previous",
        "namespace",
        "cluster",
        "on",
        "k8s",
        "K=v",
        "image",
        "a/b:1",
        "x.example.com",
        "(",
        ")",
        "\n",
        "- ",
        ":",
        "not",
        "public",
        "is",
        "should",
        "be",
        "restarted",
        "which",
        "uses",
        "Redis",
        "each",
        "up to",
        "at least",
        "environment",
        "app",
        "Acorn",
        "\"",
        "…",
        "🚀",
        "only",
        "later",
        "name",
    ]);
    prop::collection::vec(words, 0..40).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_is_read_back((text, intent) in sentence()) {
        let parsed = read(&text);
        prop_assert_eq!(parsed.intents, vec![intent], "{}", text);
    }

    #[test]
    fn a_part_that_is_asked_for_and_left_out_is_asked_about((text, same) in with_and_without()) {
        let parsed = read(&text);
        let asked = parsed.notes.iter().any(|note| note.code == "nlp::contradiction");
        prop_assert_eq!(asked, same, "{}: {:?}", text, parsed);
    }

    #[test]
    fn any_order_of_words_is_read_without_harm(text in salad()) {
        read(&text);
    }

    #[test]
    fn any_text_is_read_without_harm(text in "\\PC{0,200}") {
        read(&text);
    }

    #[test]
    fn any_characters_are_read_without_harm(text in prop::collection::vec(any::<char>(), 0..120)) {
        let text: String = text.into_iter().collect();
        read(&text);
    }

    #[test]
    fn the_same_request_is_read_the_same(text in salad()) {
        prop_assert_eq!(read(&text), read(&text));
    }
}
