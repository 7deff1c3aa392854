//! The chain from request to effects: what a change of any one value of a journal does to it.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use code_core::checks::{Approval, How};
use code_core::diagnostic::Note;
use code_core::engine::Proposal;
use code_core::event::{Body, Event, Outcome};
use code_core::intent::{Action, Intent, Kind};
use code_core::memory::{
    Fault, MemoryHost, MemoryProvider, MemoryRecipe, MemoryScanner, MemorySecrets, MemoryStore, World,
};
use code_core::parser::Parsed;
use code_core::request::Request;
use code_core::spec::{Component, Origin, Replicas, Spec};
use code_core::store::Seq;
use code_core::verify::{Break, Link, Verifier};
use code_core::{Deployment, Engine, Error, Host, StateStore};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// What outlives an engine.
struct Bench {
    host: Arc<MemoryHost>,
    world: World,
    store: Arc<MemoryStore>,
}

impl Bench {
    fn new() -> Bench {
        Bench { host: Arc::new(MemoryHost::new()), world: World::new(), store: Arc::new(MemoryStore::new()) }
    }

    fn engine(&self, state: &str) -> Engine {
        Engine::builder()
            .state_dir(state)
            .host(Arc::clone(&self.host) as Arc<dyn Host>)
            .secrets(Arc::new(MemorySecrets::new()))
            .store(Arc::clone(&self.store) as Arc<dyn StateStore>)
            .provider(Arc::new(MemoryProvider::new(self.world.clone())))
            .recipe(Arc::new(MemoryRecipe))
            .scanner(Arc::new(MemoryScanner::passing("policy")))
            .build()
            .unwrap()
    }

    async fn run(&self, proposal: &Proposal) -> Result<Outcome, Error> {
        let engine = self.engine("/nonexistent");
        let planned = engine.plan(proposal, &BTreeSet::new()).await?;
        let (by, at) = ("me".to_owned(), self.host.now());
        let approval = Approval { plan: planned.plan.id, by, at, how: How::Program };
        Ok(engine.apply(&planned, approval, &CancellationToken::new()).await?.outcome)
    }
}

fn name() -> Deployment {
    "shop/staging".parse().unwrap()
}

/// A spec with words, origins, and components.
fn asked(text: &str, components: &[&str]) -> Proposal {
    let request = Request::new(text, "me", jiff::Timestamp::UNIX_EPOCH).unwrap();
    let mut intent = Intent::new(Action::Deploy);
    intent.environment = Some("staging".to_owned());
    let parsed = Parsed {
        intents: vec![intent],
        notes: vec![Note::advice("nlp::test", "read as it stands")],
        ..Parsed::default()
    };
    let component =
        |name: &&str| Component { replicas: Replicas { min: 2, max: 2 }, ..Component::new(name, Kind::Web) };
    let components = components.iter().map(component).collect();
    let spec = Spec { components, ..Spec::new("shop", "staging") };
    let origins = [("/environment".to_owned(), Origin::Default { why: "as always".into() })].into();
    Proposal {
        request: Some(request),
        parser: Some("grammar".to_owned()),
        parsed: Some(parsed),
        ..Proposal::of(spec, origins).unwrap()
    }
}

/// A journal with everything in it: words, a retry, an undo, a change, and the end of it all.
async fn journal() -> Vec<(Seq, Event)> {
    let bench = Bench::new();
    let engine = bench.engine("/nonexistent");
    assert_eq!(bench.run(&asked("deploy a web app", &["web"])).await.unwrap(), Outcome::Succeeded);
    bench.world.fail(&"web/part.1".parse().unwrap(), Fault::Transient, 1);
    bench.world.fail(&"worker/endpoint".parse().unwrap(), Fault::Permanent, 9);
    let more = asked("add an api and a worker", &["web", "api", "worker"]);
    assert_eq!(bench.run(&more).await.unwrap(), Outcome::RolledBack);
    let gone = engine.destroy(&name(), false).await.unwrap();
    assert_eq!(bench.run(&gone).await.unwrap(), Outcome::Succeeded);
    engine.events(&name()).await.unwrap()
}

/// The first break, if any.
fn first_break(events: &[(Seq, Event)]) -> Option<Break> {
    let mut verifier = Verifier::default();
    events.iter().find_map(|(seq, event)| verifier.take(*seq, event).err().map(|found| *found))
}

#[tokio::test]
async fn what_an_engine_writes_holds_together() {
    let events = journal().await;
    assert_eq!(first_break(&events), None);
    let text = serde_json::to_string(&events).unwrap();
    for body in ["requested", "understood", "step_retries", "undo_started", "step_failed", "rolled_back"] {
        assert!(text.contains(body), "the journal has no {body}");
    }
}

/// What no link is bound to: facts of the moment, and what providers said. The hashes of the records hold
/// these too, so a change of them in a file is damage.
const FREE: &[&str] = &[
    "/at",
    "/holder",
    "/parser",
    "/approval/at",
    "/approval/by",
    "/approval/how",
    "/reports",
    "/accepted",
    "/why",
    "/error",
    "/left",
    "/live",
    "/after_ms",
    "/untouched",
    "/outcome",
];

/// Every value of an event with another one in its place, and where that is.
fn changed(event: &Value) -> Vec<(String, Value)> {
    fn leaves(value: &Value, at: &str, found: &mut Vec<(String, Value)>) {
        match value {
            Value::Null => {}
            Value::Bool(is) => found.push((at.to_owned(), Value::Bool(!is))),
            Value::Number(n) => found.push((at.to_owned(), (n.as_f64().unwrap_or(0.0) as u64 + 1).into())),
            Value::String(text) => {
                // A digest stays one, and so does a time.
                let last = text.chars().last();
                let other = match last {
                    Some('0') => format!("{}1", &text[..text.len() - 1]),
                    Some(c) if text.len() == 64 && c.is_ascii_hexdigit() => {
                        format!("{}0", &text[..text.len() - 1])
                    }
                    _ => format!("{text}x"),
                };
                found.push((at.to_owned(), other.into()));
            }
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    leaves(item, &format!("{at}/{i}"), found);
                }
            }
            Value::Object(map) => {
                for (key, item) in map {
                    let key = key.replace('~', "~0").replace('/', "~1");
                    leaves(item, &format!("{at}/{key}"), found);
                }
            }
        }
    }
    let mut found = Vec::new();
    leaves(event, "", &mut found);
    found
}

#[tokio::test]
async fn another_value_anywhere_breaks_the_chain_at_its_link() {
    let events = journal().await;
    let (mut values, mut found, mut free) = (0, 0, 0);
    let mut links: BTreeMap<Link, usize> = BTreeMap::new();
    for (i, (seq, event)) in events.iter().enumerate() {
        let whole = serde_json::to_value(event).unwrap();
        for (pointer, value) in changed(&whole) {
            values += 1;
            let mut other = whole.clone();
            *other.pointer_mut(&pointer).unwrap() = value;
            // What is no event any more is found by whoever reads it.
            let Ok(other) = serde_json::from_value::<Event>(other) else {
                found += 1;
                continue;
            };
            let mut events = events.clone();
            events[i].1 = other;
            match first_break(&events) {
                Some(broken) => {
                    assert!(broken.record >= *seq, "{pointer} of {seq}: {broken:?}");
                    assert!(!broken.what.is_empty() && broken.expected != broken.found, "{broken:?}");
                    *links.entry(broken.link).or_default() += 1;
                    found += 1;
                }
                None => {
                    let known = FREE.iter().any(|prefix| pointer.starts_with(prefix));
                    assert!(known, "record {seq}: nobody noticed another value at {pointer} of {whole}");
                    free += 1;
                }
            }
        }
    }
    for link in [Link::Request, Link::Intent, Link::Spec, Link::Verdicts, Link::Plan, Link::Approval] {
        assert!(links.contains_key(&link), "no change broke the link {link}: {links:?}");
    }
    println!(
        "figure: values of a journal changed one by one: {values}, found {found}, free by design {free}"
    );
}

#[tokio::test]
async fn an_event_that_is_missing_doubled_or_early_breaks_the_chain() {
    let events = journal().await;
    let numbered = |events: Vec<Event>| -> Vec<(Seq, Event)> { (1..).map(Seq).zip(events).collect() };
    let plain: Vec<Event> = events.iter().map(|(_, event)| event.clone()).collect();
    let kind = |event: &Event| serde_json::to_value(event).unwrap()["event"].as_str().unwrap().to_owned();
    let (mut tried, mut found) = (0, 0);
    let mut check = |events: Vec<Event>, what: &str, kind: &str, allowed: &[&str]| {
        tried += 1;
        match first_break(&numbered(events)) {
            Some(_) => found += 1,
            None => assert!(allowed.contains(&kind), "nobody noticed a {kind} that was {what}"),
        }
    };
    for i in 0..plain.len() - 1 {
        let what = kind(&plain[i]);
        let without = [&plain[..i], &plain[i + 1..]].concat();
        // A crash leaves no word of why an attempt ended; a step that is not begun may be passed over in
        // silence when the run is taken back.
        check(without, "left out", &what, &["step_retries", "step_skipped"]);
        let twice = [&plain[..=i], &plain[i..]].concat();
        check(
            twice,
            "written twice",
            &what,
            &["requested", "understood", "judged", "planned", "approved", "undo_started", "step_skipped"],
        );
    }
    // Without renumbering, each of these is a hole or a double place.
    for i in 0..events.len() - 1 {
        let mut moved = events.clone();
        moved.swap(i, i + 1);
        assert_eq!(first_break(&moved).map(|found| found.link), Some(Link::Records));
    }
    println!("figure: events left out or written twice: {tried}, found {found}");
}

#[tokio::test]
async fn a_run_on_a_broken_chain_is_refused_and_told() {
    let bench = Bench::new();
    assert_eq!(bench.run(&asked("deploy a web app", &["web"])).await.unwrap(), Outcome::Succeeded);
    let engine = bench.engine("/nonexistent");
    let whole = engine.verify(&name()).await.unwrap();
    assert_eq!((whole.broken.as_ref(), whole.records), (None, whole.links[0].times));
    assert!(whole.links.iter().all(|held| held.times > 0 || held.link == Link::Releases), "{whole:?}");

    // Somebody appends an event that no run of ours can have written.
    let ctx = engine.ctx();
    let lease = bench.store.lease(&ctx, "shop/staging", "mallory", std::time::Duration::from_secs(60)).await;
    let lease = lease.unwrap();
    let body = Body::RunEnded { run: code_core::RunId(1), outcome: Outcome::Succeeded };
    let last = Seq(whole.records);
    bench.store.append(&ctx, &lease, last, &[Event { at: bench.host.now(), body }]).await.unwrap();
    bench.store.release(&ctx, lease).await.unwrap();

    let calls = bench.world.calls().len();
    let error = bench.run(&asked("add an api", &["web", "api"])).await.unwrap_err();
    assert_eq!(error.code(), "chain::broken", "{error:?}");
    assert!(error.context().any(|(name, value)| name == "record" && value == last.next().to_string()));
    let effects = bench.world.calls().into_iter().skip(calls);
    assert!(effects.into_iter().all(|call| call.calling != code_core::memory::Calling::Effect));
    let broken = engine.verify(&name()).await.unwrap();
    assert_eq!(
        broken.broken.as_ref().map(|found| (found.record, found.link)),
        Some((last.next(), Link::Run))
    );
    assert_eq!(
        engine.verify(&"shop/other".parse().unwrap()).await.unwrap_err().code(),
        "engine::no-deployment"
    );
}

#[tokio::test]
async fn a_release_that_is_gone_is_a_break() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let release = code_core::Digest::of(b"a release");
    let mut proposal = asked("deploy a web app", &["web"]);
    if let Some(spec) = &mut proposal.spec {
        spec.components[0].release = Some(release);
    }
    assert_eq!(bench.run(&proposal).await.unwrap(), Outcome::Succeeded);
    let engine = bench.engine(dir.path().to_str().unwrap());
    let broken = engine.verify(&name()).await.unwrap().broken.unwrap();
    assert_eq!((broken.link, broken.found.as_str()), (Link::Releases, "nothing"));
    std::fs::create_dir_all(code_core::Layout::new(dir.path()).release(release)).unwrap();
    assert_eq!(engine.verify(&name()).await.unwrap().broken, None);
}
