//! Sentences, settings and histories, and the specs that they make.

use std::collections::BTreeMap;

use code_core::event::Outcome;
use code_core::parser::Parsed;
use code_core::request::{Request, Span};
use code_core::spec::{Origin, Origins, Spec};
use code_core::status::Revision;
use code_core::{Deployment, Digest, Result};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Ask, Change, Resolution, resolve, resolve_spec};
use crate::context::{Context, History, Machine, Postgresql};
use crate::settings::Settings;
use crate::spec_file::read_spec;

/// What a parser would say: intents, and for each pointer the words that said it.
fn parsed(text: &str, intents: Value, evidence: &[(&str, &str)]) -> (Request, Parsed) {
    let request = Request::new(text, "me", Timestamp::UNIX_EPOCH).unwrap();
    let evidence = evidence
        .iter()
        .map(|(pointer, words)| {
            let start = text.find(words).unwrap_or_else(|| panic!("{words:?} in {text:?}"));
            ((*pointer).to_owned(), vec![Span::new(start, start + words.len())])
        })
        .collect();
    (request, Parsed { intents: serde_json::from_value(intents).unwrap(), evidence, notes: Vec::new() })
}

fn context() -> Context {
    Context {
        dir: "/home/me/shop".into(),
        machine: Machine { free_ports: (8080..8100).collect(), ..Machine::default() },
        ..Context::default()
    }
}

fn ask(intents: Value, context: &Context) -> Result<Resolution> {
    let (request, parsed) = parsed("a request", intents, &[]);
    resolve(Some(&request), &parsed, context)
}

fn change(intents: Value, context: &Context) -> Change {
    match ask(intents, context).unwrap().asks.pop() {
        Some(Ask::Change(change)) => change,
        other => panic!("{other:?}"),
    }
}

/// The spec as a table: pointer, value, origin.
fn table(spec: &Spec, origins: &Origins) -> String {
    let value = serde_json::to_value(spec).unwrap();
    spec.leaves()
        .iter()
        .map(|leaf| format!("{leaf} = {}  ({})\n", value.pointer(leaf).unwrap(), origins[leaf]))
        .collect()
}

fn main_sentence() -> (Request, Parsed) {
    parsed(
        "Deploy a web app with database to staging",
        json!([{
            "action": "deploy",
            "environment": "staging",
            "components": [{ "kind": "web", "depends_on": ["database"] }, { "kind": "database" }]
        }]),
        &[
            ("/0/action", "Deploy"),
            ("/0/environment", "staging"),
            ("/0/components/0/kind", "web app"),
            ("/0/components/0/depends_on", "with database"),
            ("/0/components/1/kind", "database"),
        ],
    )
}

#[test]
fn the_main_sentence_on_a_bare_machine() {
    let (request, parsed) = main_sentence();
    let resolution = resolve(Some(&request), &parsed, &context()).unwrap();
    let [Ask::Change(change)] = resolution.asks.as_slice() else { panic!("{resolution:?}") };
    assert_eq!(change.deployment.to_string(), "shop/staging");
    assert_eq!(change.unreleased, ["web"]);
    insta::assert_snapshot!(table(&change.spec, &change.origins));
}

/// A deployment with these revisions, which all succeeded.
fn deployed(context: &mut Context, changes: &[&Change]) {
    let mut revisions: Vec<Revision> = Vec::new();
    for change in changes {
        revisions.push(Revision {
            number: revisions.len() as u64 + 1,
            spec: Some(change.spec.clone()),
            origins: change.origins.clone(),
            plan: Digest::ZERO,
            at: Timestamp::UNIX_EPOCH,
            outcome: Some(Outcome::Succeeded),
        });
    }
    let deployment = changes[0].deployment.clone();
    let mut all: BTreeMap<Deployment, Vec<Revision>> =
        context.history.iter().map(|(d, r)| (d.clone(), r.to_vec())).collect();
    all.insert(deployment, revisions);
    context.history = History::new(all);
}

fn first() -> Change {
    let (request, parsed) = main_sentence();
    match resolve(Some(&request), &parsed, &context()).unwrap().asks.pop() {
        Some(Ask::Change(change)) => change,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_request_again_is_the_same_spec() {
    let first = first();
    let mut context = context();
    deployed(&mut context, &[&first]);
    context.machine.postgresql = Some(Postgresql { bin_dir: "/pg/bin".into(), major: 15 });
    context.machine.free_ports.remove(0);
    let (request, parsed) = main_sentence();
    let again = resolve(Some(&request), &parsed, &context).unwrap();
    let [Ask::Change(again)] = again.asks.as_slice() else { panic!("{again:?}") };
    assert_eq!(again.spec, first.spec);
    assert_eq!(again.origins["/components/1/engine"], Origin::Revision { revision: 1 });
    assert_eq!(again.origins["/components/0/port"], Origin::Revision { revision: 1 });
}

#[test]
fn scaling_changes_nothing_else() {
    let first = first();
    let mut context = context();
    deployed(&mut context, &[&first]);
    context.settings = Settings::parse("code.toml", b"[components.web]\nmemory = '64Mi'").unwrap();
    let scaled = change(
        json!([{
            "action": "scale", "environment": "staging",
            "components": [{ "kind": "web", "replicas": { "min": 3, "max": 3 } }]
        }]),
        &context,
    );
    let mut expect = first.spec.clone();
    expect.components[0].replicas = code_core::spec::Replicas { min: 3, max: 3 };
    assert_eq!(scaled.spec, expect);
    assert!(scaled.unreleased.is_empty());
}

#[test]
fn a_spec_file_says_the_same_without_words() {
    let text = "environment: staging\ncomponents:\n  - kind: web\n    depends_on: [db]\n    replicas: 2\n  - name: db\n    kind: database\n    engine: sqlite3\n";
    let file = read_spec("shop.yaml", text.as_bytes()).unwrap();
    let mut context = context();
    deployed(&mut context, &[&first()]);
    let resolution = resolve_spec(&file, &context).unwrap();
    let [Ask::Change(change)] = resolution.asks.as_slice() else { panic!("{resolution:?}") };
    insta::assert_snapshot!(table(&change.spec, &change.origins));
}
