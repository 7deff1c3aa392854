//! The wall clock is set in the middle of a run: nothing panics, nothing is negative, nothing is out of order, and
//! nobody waits for a time that does not come.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use code_core::checks::{Approval, How};
use code_core::engine::Proposal;
use code_core::event::{Body, Event, Outcome, Sink};
use code_core::intent::Kind;
use code_core::local::LocalStore;
use code_core::memory::*;
use code_core::spec::{Component, Origins, Spec};
use code_core::{Engine, Error, Host, Layout};
use code_monitor::{Metrics, Results, report};

const DAY: Duration = Duration::from_secs(24 * 3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// How a clock is moved.
type Move = fn(&MemoryHost);

/// Moves the clock each time that a step begins, is tried again or ends.
struct Jumps(Arc<MemoryHost>, Move);

impl std::fmt::Debug for Jumps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Jumps")
    }
}

impl Sink for Jumps {
    fn offer(&self, event: &Event) {
        if matches!(event.body, Body::StepStarted { .. } | Body::StepRetries { .. } | Body::StepDone { .. }) {
            (self.1)(&self.0);
        }
    }
}

#[tokio::test]
async fn a_run_goes_on_whatever_the_clock_does() {
    let moves: [(&str, Move); 4] = [
        ("a year forward", |host| host.set_ahead(YEAR)),
        ("a day back", |host| host.set_back(DAY)),
        ("a year forward, and back", |host| match host.uptime().as_millis() % 2 {
            0 => host.set_ahead(YEAR),
            _ => host.set_back(YEAR + DAY),
        }),
        ("before all time", |host| host.set_back(Duration::MAX)),
    ];
    for (name, jump) in moves {
        for (fault, expect) in
            [(Fault::Transient, Outcome::Succeeded), (Fault::Permanent, Outcome::RolledBack)]
        {
            let (host, world, metrics) = (Arc::new(MemoryHost::new()), World::new(), Metrics::new());
            world.fail(&"web/part.0".parse().unwrap(), fault, 2);
            let dir = tempfile::tempdir().unwrap();
            let engine = Engine::builder()
                .state_dir(dir.path())
                .host(Arc::clone(&host) as _)
                .secrets(Arc::new(MemorySecrets::new()))
                .store(Arc::new(LocalStore::new(&Layout::new(dir.path()))))
                .provider(Arc::new(MemoryProvider::new(world.clone())))
                .recipe(Arc::new(MemoryRecipe))
                .sink(Arc::new(Jumps(Arc::clone(&host), jump)))
                .sink(Arc::new(metrics.clone()))
                .build()
                .unwrap();
            let spec =
                Spec { components: vec![Component::new("web", Kind::Web)], ..Spec::new("shop", "staging") };
            let proposal = Proposal::of(spec, Origins::new()).unwrap();
            let planned = engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
            let approval =
                Approval { plan: planned.plan.id, by: "ada".into(), at: host.now(), how: How::Prompt };
            let finished = engine.apply(&planned, approval, engine.ctx().cancel()).await;
            let finished = finished.unwrap_or_else(|error| panic!("{name}: {error:?}"));
            assert_eq!(finished.outcome, expect, "{name}");
            let waited = host.uptime();
            assert!(waited < Duration::from_secs(600), "{name}: waited for {waited:?}");

            let deployment = "shop/staging".parse().unwrap();
            let events = engine.events(&deployment).await.unwrap();
            assert!(events.windows(2).all(|two| two[0].0 < two[1].0), "{name}: by place, not by time");
            let waits = events.iter().filter_map(|(_, event)| match event.body {
                Body::StepRetries { after_ms, .. } => Some(after_ms),
                _ => None,
            });
            assert!(waits.clone().all(|ms| ms <= 30_000), "{name}: waits are lengths, not times");
            let html = report::render(&events, None).unwrap();
            assert!(!html.contains("NaN") && !html.contains("inf\""), "{name}");
            // A year before year 0 has a sign of its own.
            let drawn = html.replace("=\"-009999", "").replace("=\"-9999", "");
            assert!(!drawn.contains("=\"-"), "{name}: nothing is drawn backwards");
            let results = Results::of(finished.state.run.as_ref().unwrap());
            assert!(results.seconds >= 0.0 && results.steps.iter().all(|step| step.seconds >= 0.0), "{name}");
            let counts = metrics.counts();
            assert!(counts.run_seconds.sum >= 0.0 && counts.step_seconds.values().all(|h| h.sum >= 0.0));
            let verified = engine.verify(&deployment).await.unwrap();
            assert!(verified.broken.is_none(), "{name}: {:?}", verified.broken);
            let status = engine.status(&deployment).await.unwrap();
            assert!(status.resources.iter().all(|resource| resource.drift.is_empty()), "{name}");
            // The next plan weighs its steps by what the last run took.
            let destroy = engine.destroy(&deployment, true).await.unwrap();
            engine.plan(&destroy, &BTreeSet::new()).await.unwrap();
            if expect == Outcome::Succeeded {
                let state = engine.state(&deployment).await.unwrap();
                let before = state.current().map(|revision| revision.number);
                let again = engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
                assert!(before == Some(1) && again.plan.steps.is_empty(), "{name}: {before:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_approval_of_a_time_that_has_not_come_is_none() {
    let host = Arc::new(MemoryHost::new());
    let engine = Engine::builder()
        .state_dir("/nonexistent/state")
        .host(Arc::clone(&host) as _)
        .secrets(Arc::new(MemorySecrets::new()))
        .store(Arc::new(MemoryStore::new()))
        .provider(Arc::new(MemoryProvider::new(World::new())))
        .recipe(Arc::new(MemoryRecipe))
        .build()
        .unwrap();
    let spec = Spec { components: vec![Component::new("web", Kind::Web)], ..Spec::new("shop", "staging") };
    let planned = engine.plan(&Proposal::of(spec, Origins::new()).unwrap(), &BTreeSet::new()).await.unwrap();
    let approval = || Approval { plan: planned.plan.id, by: "ada".into(), at: host.now(), how: How::Prompt };
    let code = async |approval: Approval| {
        let result = engine.apply(&planned, approval, engine.ctx().cancel()).await;
        result.map(|done| done.outcome).map_err(|error: Error| error.code().to_owned())
    };
    let today = approval();
    host.set_back(DAY);
    assert_eq!(code(today.clone()).await, Err("approval::expired".to_owned()), "it may be years old by then");
    host.set_ahead(YEAR);
    assert_eq!(code(today).await, Err("approval::expired".to_owned()));
    // Two clocks of one machine room differ a little.
    let now = approval();
    host.set_back(Duration::from_secs(60));
    assert_eq!(code(now).await, Ok(Outcome::Succeeded));
}
