//! Words to specs, through the grammar: every request of the corpus, and a conversation about one deployment.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::path::Path;

use code_core::ErrorKind;
use code_core::event::Outcome;
use code_core::intent::Intent;
use code_core::parser::Parsed;
use code_core::request::Request;
use code_core::spec::{Origin, Spec};
use code_core::status::Revision;
use code_core::{Deployment, Digest};
use code_nlp::context::{Context, History, Machine, Postgresql};
use code_nlp::parse;
use code_nlp::resolve::{Ask, Change, Filter, resolve};
use code_nlp::settings::Settings;

/// One line of the corpus.
#[derive(serde::Deserialize)]
struct Example {
    id: String,
    request: String,
    intents: Vec<Intent>,
}

fn request(text: &str) -> Request {
    Request::new(text, "me", jiff::Timestamp::UNIX_EPOCH).unwrap()
}

fn bare() -> Context {
    Context {
        dir: "/home/me/shop".into(),
        machine: Machine { free_ports: (8080..8200).collect(), ..Machine::default() },
        ..Context::default()
    }
}

#[test]
fn every_request_of_the_corpus_is_resolved_or_refused_with_help() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus.jsonl");
    let corpus = std::fs::read_to_string(path).unwrap();
    let mut rich = bare();
    rich.machine.postgresql = Some(Postgresql { bin_dir: "/pg/bin".into(), major: 15 });
    rich.settings = Settings::parse("code.toml", b"[components.web]\nkind = 'web'\nreplicas = 2\n").unwrap();
    let mut resolved = 0;
    for line in corpus.lines() {
        let example: Example = serde_json::from_str(line).unwrap();
        let request = request(&example.request);
        let as_written = Parsed { intents: example.intents, ..Parsed::default() };
        for context in [&bare(), &rich] {
            let as_read = parse(&request.text, &context.settings.vocabulary(&context.history));
            for parsed in [&as_written, &as_read] {
                match resolve(Some(&request), parsed, context) {
                    Ok(resolution) => {
                        resolved += 1;
                        resolution.asks.iter().for_each(|ask| whole(&example.id, &request, ask));
                    }
                    Err(error) => {
                        assert!(error.help_text().is_some(), "{}: {error:?}", example.id);
                        assert_ne!(error.kind(), ErrorKind::Bug, "{}: {error:?}", example.id);
                    }
                }
            }
        }
    }
    println!("{resolved} times resolved");
    assert!(resolved > 200, "only {resolved} were resolved");
}

/// Each value has exactly one origin, and an origin in the request has words that stand in it.
fn whole(id: &str, request: &Request, ask: &Ask) {
    let (Ask::Change(change) | Ask::Cost(change) | Ask::Scan(change)) = ask else { return };
    let leaves: BTreeSet<String> = change.spec.leaves().into_iter().collect();
    let told: BTreeSet<String> = change.origins.keys().cloned().collect();
    assert_eq!(leaves, told, "{id}: {}", request.text);
    for origin in change.origins.values() {
        if let Origin::Request { spans, words } = origin {
            assert!(!words.is_empty(), "{id}");
            for span in spans {
                assert!(words.contains(span.of(&request.text)), "{id}: {words:?}");
            }
        }
    }
}

/// A conversation: each sentence is asked of what the ones before it made.
#[derive(Default)]
struct Talk {
    context: Context,
    revisions: Vec<Revision>,
}

impl Talk {
    fn say(&mut self, text: &str) -> Result<Ask, code_core::Error> {
        let request = request(text);
        let parsed = parse(text, &self.context.settings.vocabulary(&self.context.history));
        let mut resolution = resolve(Some(&request), &parsed, &self.context)?;
        assert_eq!(resolution.asks.len(), 1, "{resolution:?}");
        let mut ask = resolution.asks.remove(0);
        if let Ask::Change(change) | Ask::Rollback { change, .. } = &mut ask {
            change.release(|component| Ok(Digest::of_json(&component.source))).unwrap();
            whole(text, &request, &Ask::Change(change.clone()));
            self.roll_out(change);
        }
        Ok(ask)
    }

    fn roll_out(&mut self, change: &Change) {
        self.revisions.push(Revision {
            number: self.revisions.len() as u64 + 1,
            spec: Some(change.spec.clone()),
            origins: change.origins.clone(),
            plan: Digest::ZERO,
            at: jiff::Timestamp::UNIX_EPOCH,
            outcome: Some(Outcome::Succeeded),
            bad: false,
        });
        let deployment: Deployment = change.deployment.clone();
        self.context.history = History::new([(deployment, self.revisions.clone())]);
    }

    fn change(&mut self, text: &str) -> Spec {
        match self.say(text).unwrap() {
            Ask::Change(change) | Ask::Rollback { change, .. } => change.spec,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_conversation_about_one_deployment() {
    let mut talk = Talk { context: bare(), ..Talk::default() };
    let first = talk.change("Deploy a web app with database to staging");
    let names: Vec<&str> = first.components.iter().map(|c| c.name.as_str()).collect();
    assert_eq!((first.application.as_str(), names), ("shop", vec!["web", "db"]));
    assert_eq!(first.components[0].depends_on, ["db"]);

    assert_eq!(talk.change("Deploy a web app with database to staging"), first);
    // PostgreSQL is installed: nothing moves by itself.
    talk.context.machine.postgresql = Some(Postgresql { bin_dir: "/pg/bin".into(), major: 15 });
    assert_eq!(talk.change("deploy the web app to staging"), first);

    let scaled = talk.change("scale the web app to 3 in staging");
    let mut expect = first.clone();
    expect.components[0].replicas = code_core::spec::Replicas { min: 3, max: 3 };
    assert_eq!(scaled, expect);

    let updated = talk.change("update the web app in staging with 512 MB of memory");
    expect.components[0].memory = Some("512Mi".into());
    assert_eq!(updated, expect);

    let restarted = talk.change("restart the web app in staging");
    assert_eq!(restarted.components[0].restarts, 1);
    assert_eq!(talk.change("roll back staging to the last version"), updated);

    let status = talk.say("what is running in staging?").unwrap();
    let staging = Filter { environment: Some("staging".into()), ..Filter::default() };
    assert_eq!(status, Ask::Status(staging.clone()));
    let logs = talk.say("show me the logs of the web app in staging").unwrap();
    assert_eq!(logs, Ask::Logs(Filter { components: vec!["web".into()], ..staging }));

    let code = |result: Result<Ask, code_core::Error>| result.unwrap_err().code().to_owned();
    assert_eq!(code(talk.say("restart the worker in staging")), "resolve::unknown-component");
    assert_eq!(code(talk.say("deploy a web app with PostgreSQL to staging")), "resolve::engine-change");
    assert_eq!(code(talk.say("take the database down in staging")), "resolve::needed");
    assert_eq!(code(talk.say("scale the web app to 3 in production")), "engine::no-deployment");
    assert_eq!(code(talk.say("what is the weather?")), "resolve::question");

    let gone = talk.say("destroy everything in staging").unwrap();
    assert!(matches!(gone, Ask::Destroy { components, .. } if components.is_empty()));
}
