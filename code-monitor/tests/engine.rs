//! What the engine really writes, reported and counted: a hand-written journal may be wrong about it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use code_core::checks::{Approval, How};
use code_core::engine::{Finished, Proposal, breaker::BreakerPolicy};
use code_core::event::{Body, Decision, OnFailure, Outcome};
use code_core::intent::{Action, Intent};
use code_core::memory::*;
use code_core::parser::Parsed;
use code_core::request::{Request, Span};
use code_core::scanner::{Finding, Severity, Verdict};
use code_core::spec::{Origin, Origins, Spec};
use code_core::{Address, Deployment, Engine, Host, RunId};
use code_monitor::{Metrics, Spans, report};

const WORDS: &str = "Deploy a web app with database to staging";

struct Bench {
    engine: Engine,
    host: Arc<MemoryHost>,
    world: World,
    store: Arc<MemoryStore>,
    metrics: Metrics,
}

impl Bench {
    fn new() -> Bench {
        let (host, store) = (Arc::new(MemoryHost::new()), Arc::new(MemoryStore::new()));
        Bench::on(host, store, World::new(), OnFailure::RollBack)
    }

    fn on(host: Arc<MemoryHost>, store: Arc<MemoryStore>, world: World, on_failure: OnFailure) -> Bench {
        let metrics = Metrics::new();
        let scanner = MemoryScanner::passing("policies");
        scanner.says(vec![
            Finding::new("secrets.plain", None, Verdict::Pass, "no secret stands in the spec"),
            Finding::new("limits.memory", None, Verdict::Fail, "no limit of memory").severity(Severity::Low),
        ]);
        let engine = Engine::builder()
            .state_dir("/nonexistent/state")
            .host(Arc::clone(&host) as _)
            .secrets(Arc::new(MemorySecrets::new()))
            .store(Arc::clone(&store) as _)
            .provider(Arc::new(MemoryProvider::new(world.clone())))
            .recipe(Arc::new(MemoryRecipe))
            .scanner(Arc::new(scanner))
            .on_failure(on_failure)
            .breaker(BreakerPolicy { failures: 3, cool_down: Duration::from_secs(20) })
            .sink(Arc::new(metrics.clone()))
            .sink(Arc::new(Spans::new()))
            .build()
            .unwrap();
        Bench { engine, host, world, store, metrics }
    }

    async fn deploy(&self) -> Finished {
        let request = Request::new(WORDS, "ada", self.host.now()).unwrap();
        let parsed = Parsed {
            intents: vec![Intent::new(Action::Deploy)],
            evidence: BTreeMap::from([("/0/action".to_owned(), vec![Span::new(0, 6)])]),
            notes: Vec::new(),
        };
        let spec: Spec = serde_json::from_value(serde_json::json!({
            "version": 1, "application": "shop", "environment": "staging",
            "components": [
                {"name": "web", "kind": "web", "depends_on": ["db"]},
                {"name": "db", "kind": "database"},
            ],
        }))
        .unwrap();
        let spans = vec![Span::new(34, 41)];
        let origin = Origin::Request { spans, words: "staging".into() };
        let origins = Origins::from([("/environment".to_owned(), origin)]);
        let proposal = Proposal {
            request: Some(request),
            parser: Some("grammar".into()),
            parsed: Some(parsed),
            ..Proposal::of(spec, origins).unwrap()
        };
        let planned = self.engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
        let approval =
            Approval { plan: planned.plan.id, by: "ada".into(), at: self.host.now(), how: How::Prompt };
        self.engine.apply(&planned, approval, self.engine.ctx().cancel()).await.unwrap()
    }

    async fn report(&self) -> String {
        let events = self.engine.events(&name()).await.unwrap();
        report::render(&events, None).unwrap()
    }
}

fn name() -> Deployment {
    "shop/staging".parse().unwrap()
}

fn at(address: &str) -> Address {
    address.parse().unwrap()
}

fn assert_has(html: &str, parts: &[&str]) {
    for part in parts {
        assert!(html.contains(part), "no {part} in {html}");
    }
}

#[tokio::test]
async fn a_run_of_the_engine_is_told_whole() {
    let bench = Bench::new();
    bench.world.takes(&at("db/data"), Duration::from_secs(3));
    bench.world.fail(&at("web/part.0"), Fault::Transient, 1);
    let finished = bench.deploy().await;
    assert_eq!(finished.outcome, Outcome::Succeeded);
    assert_has(
        &bench.report().await,
        &[
            "shop/staging, revision 1",
            "Run 1: succeeded",
            // the chain: words, approval, verdicts, origins
            "<mark>Deploy</mark> a web app with database to staging",
            "<dt>Approved by</dt><dd>ada at the prompt",
            "<code>limits.memory</code>",
            "Passed: 2",
            "from your request: &quot;staging&quot;",
            // the attempts
            "attempt 1: failed, to be tried again",
            "attempt 2: done",
            "db/data <span class=\"tag critical\">critical path</span>",
        ],
    );
    let counts = bench.metrics.counts();
    assert_eq!(counts.runs, BTreeMap::from([("succeeded", 1)]));
    assert_eq!(counts.retries, BTreeMap::from([("create", 1)]));
    assert_eq!(counts.steps[&("create", "done")], finished.state.run.unwrap().steps.len() as u64);
}

#[tokio::test]
async fn a_failure_and_its_undo_are_told() {
    let bench = Bench::new();
    bench.world.fail(&at("web/part.0"), Fault::Permanent, 1);
    assert_ne!(bench.deploy().await.outcome, Outcome::Succeeded);
    assert_has(
        &bench.report().await,
        &["What failed", "<strong>web/part.0</strong> failed to", "taken back", "skipped", "irreversible"],
    );
    assert!(bench.metrics.counts().steps[&("create", "undone")] > 0);
}

#[tokio::test]
async fn a_report_can_be_made_after_every_event_of_a_run() {
    let bench = Bench::new();
    bench.world.fail(&at("web/part.0"), Fault::Permanent, 1);
    bench.deploy().await;
    let events = bench.store.events("shop/staging");
    let begun = events.iter().position(|(_, e)| matches!(e.body, Body::RunStarted { .. })).unwrap();
    for length in 0..=events.len() {
        let made = report::render(&events[..length], Some(RunId(1)));
        assert_eq!(made.is_ok(), length > begun, "after {length} events: {made:?}");
    }
}

/// The part of a page from one heading to another, a tag a line, with every number as `#`: waits depend on the
/// digest of the plan, and that on every field of a noun.
fn part(html: &str, from: &str, to: &str) -> String {
    let (_, rest) = html.split_once(&format!("id=\"{from}\"")).unwrap();
    let (part, _) = rest.split_once(&format!("id=\"{to}\"")).unwrap();
    let mut text = String::new();
    for c in part.replace("><", ">\n<").chars() {
        let number = c.is_ascii_digit() || c == '.';
        if !(number && text.ends_with('#')) {
            text.push(if c.is_ascii_digit() { '#' } else { c });
        }
    }
    text
}

/// The database fails until its provider is left alone; a person has it tried again after an hour; the process
/// is killed at the web's first attempt; it fails after the crash, and all is taken back, the database at the
/// second attempt.
#[tokio::test]
async fn retries_a_breaker_pauses_a_crash_and_the_undo_are_told() {
    let host = Arc::new(MemoryHost::new());
    let world = World::new();
    let start =
        |store: MemoryStore| Bench::on(Arc::clone(&host), Arc::new(store), world.clone(), OnFailure::Pause);
    for (address, seconds) in [("db/data", 3), ("db/part.0", 2), ("web/part.0", 4)] {
        world.takes(&at(address), Duration::from_secs(seconds));
    }
    world.fail(&at("db/part.0"), Fault::Transient, 3);
    world.fail(&at("web/part.0"), Fault::Permanent, 2);

    let first = start(MemoryStore::new());
    assert_eq!(first.deploy().await.outcome, Outcome::Paused);
    host.advance(Duration::from_secs(3600));
    let cancel = first.engine.ctx();
    let paused = first.engine.decide(&name(), Decision::Retry, cancel.cancel()).await.unwrap().unwrap();
    assert_eq!(paused.outcome, Outcome::Paused);
    let web =
        paused.state.run.unwrap().plan.steps.iter().find(|s| *s.address() == at("web/part.0")).unwrap().id;
    let begun = |body: &Body| matches!(body, Body::StepStarted { step, .. } if *step == web);
    let killed = first.store.events("shop/staging").into_iter().find(|(_, e)| begun(&e.body)).unwrap().0;

    let second = start(first.store.as_of("shop/staging", killed));
    host.advance(Duration::from_secs(90));
    let paused = second.engine.resume(&name(), cancel.cancel()).await.unwrap().unwrap();
    assert_eq!(paused.outcome, Outcome::Paused);
    host.advance(Duration::from_secs(300));
    world.fail(&at("db/part.0"), Fault::Transient, 1);
    second.engine.decide(&name(), Decision::RollBack, cancel.cancel()).await.unwrap().unwrap();

    let html = second.report().await;
    insta::assert_snapshot!("timeline_and_waits", part(&html, "h-time", "h-failed"));
    insta::assert_snapshot!("way_back", part(&html, "h-back", "h-gate"));
}
