//! What is exported after a run, what is owed, and what is marked bad: the engine on the memory
//! implementations.
#![expect(clippy::unwrap_used, reason = "what goes wrong in a test is its failure")]

use std::collections::BTreeSet;
use std::sync::Arc;

use code_core::checks::{Approval, How};
use code_core::engine::{Finished, Proposal};
use code_core::event::{Body, Outcome};
use code_core::intent::Kind;
use code_core::memory::{
    MemoryExporter, MemoryHost, MemoryProvider, MemoryRecipe, MemorySecrets, MemoryStore, World,
};
use code_core::request::Request;
use code_core::spec::{Component, Origins, Spec};
use code_core::{Deployment, Engine, Host, Result};
use tokio_util::sync::CancellationToken;

struct Bench {
    host: Arc<MemoryHost>,
    world: World,
    store: Arc<MemoryStore>,
    exporter: Arc<MemoryExporter>,
}

impl Bench {
    fn new() -> Bench {
        Bench {
            host: Arc::new(MemoryHost::new()),
            world: World::new(),
            store: Arc::new(MemoryStore::new()),
            exporter: Arc::new(MemoryExporter::new()),
        }
    }

    fn engine(&self) -> Engine {
        self.engine_on(Arc::clone(&self.store))
    }

    fn engine_on(&self, store: Arc<MemoryStore>) -> Engine {
        Engine::builder()
            .state_dir("/nonexistent/state")
            .host(Arc::clone(&self.host) as Arc<dyn Host>)
            .secrets(Arc::new(MemorySecrets::new()))
            .store(store)
            .provider(Arc::new(MemoryProvider::new(self.world.clone())))
            .recipe(Arc::new(MemoryRecipe))
            .exporter(Arc::clone(&self.exporter) as _)
            .build()
            .unwrap()
    }

    async fn apply(&self, proposal: &Proposal, accepted: &[&str]) -> Result<Finished> {
        let engine = self.engine();
        let accepted: BTreeSet<String> = accepted.iter().map(|id| (*id).to_owned()).collect();
        let planned = engine.plan(proposal, &accepted).await?;
        let approval =
            Approval { plan: planned.plan.id, by: "ann".into(), at: self.host.now(), how: How::Option };
        engine.apply(&planned, approval, &CancellationToken::new()).await
    }

    async fn deploy(&self, memory: &str) -> Result<Finished> {
        self.apply(&Proposal::of(spec(memory), Origins::new())?, &[]).await
    }

    async fn roll_back(&self, to: Option<u64>) -> Result<Finished> {
        self.apply(&self.engine().rollback(&name(), to).await?, &[]).await
    }

    async fn owed(&self) -> Vec<u64> {
        self.engine().status(&name()).await.unwrap().owed.into_iter().map(|(number, _)| number).collect()
    }

    fn exported(&self) -> Vec<u64> {
        self.exporter.exports().iter().map(|export| export.revision).collect()
    }
}

fn spec(memory: &str) -> Spec {
    let mut web = Component::new("web", Kind::Web);
    web.memory = Some(memory.into());
    Spec { components: vec![web], ..Spec::new("shop", "staging") }
}

fn name() -> Deployment {
    "shop/staging".parse().unwrap()
}

#[tokio::test]
async fn each_revision_that_was_rolled_out_is_exported_once() {
    let bench = Bench::new();
    let mut proposal = Proposal::of(spec("1Mi"), Origins::new()).unwrap();
    proposal.request = Some(Request::new("Deploy it", "bob", bench.host.now()).unwrap());
    let finished = bench.apply(&proposal, &[]).await.unwrap();
    assert_eq!(finished.state.exported.len(), 1);
    let export = &bench.exporter.exports()[0];
    assert_eq!((export.by(), export.revision, export.spec.as_ref()), ("bob", 1, Some(&spec("1Mi"))));
    assert_eq!(export.resources.len(), bench.world.all().len());
    assert_eq!(export.chain.request, proposal.request.as_ref().map(Request::digest));

    // Nothing to do is nothing to export, and an exporter is not even asked.
    bench.deploy("1Mi").await.unwrap();
    assert_eq!(bench.exporter.calls(), 1);
    bench.deploy("2Mi").await.unwrap();
    assert_eq!((bench.exported(), bench.exporter.calls()), (vec![1, 2], 2));
    assert_eq!(bench.exporter.exports()[1].by(), "ann", "nobody asked in words");
}

#[tokio::test]
async fn a_failed_export_is_owed_and_undoes_nothing() {
    let bench = Bench::new();
    bench.exporter.fail(2);
    let finished = bench.deploy("1Mi").await.unwrap();
    assert_eq!(finished.outcome, Outcome::Succeeded);
    assert_eq!(bench.owed().await, [1]);
    assert!(!bench.world.all().is_empty());
    // The oldest first: while it cannot be exported, nothing after it is tried.
    bench.deploy("2Mi").await.unwrap();
    assert_eq!((bench.owed().await, bench.exporter.calls()), (vec![1, 2], 2));
    bench.deploy("3Mi").await.unwrap();
    assert_eq!((bench.owed().await, bench.exported()), (vec![], vec![1, 2, 3]));
}

#[tokio::test]
async fn what_is_owed_is_pushed_by_hand() {
    let bench = Bench::new();
    bench.exporter.fail(2);
    bench.deploy("1Mi").await.unwrap();
    let cancel = CancellationToken::new();
    let error = bench.engine().push(&name(), &cancel).await.unwrap_err();
    assert_eq!(error.code(), "memory::fault");
    let pushed = bench.engine().push(&name(), &cancel).await.unwrap();
    assert_eq!(pushed.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1]);
    assert!(bench.engine().push(&name(), &cancel).await.unwrap().is_empty());
    assert_eq!(bench.exporter.calls(), 3);
}

#[tokio::test]
async fn a_death_between_the_end_of_a_run_and_its_export_is_owed() {
    let bench = Bench::new();
    bench.deploy("1Mi").await.unwrap();
    let events = bench.store.events("shop/staging");
    let (ended, _) = events.iter().find(|(_, event)| matches!(event.body, Body::RunEnded { .. })).unwrap();
    let store = Arc::new(bench.store.as_of("shop/staging", *ended));
    let engine = bench.engine_on(Arc::clone(&store));
    assert_eq!(engine.status(&name()).await.unwrap().owed, [(1, None)]);
    // The exporter had it already: it is kept once.
    engine.push(&name(), &CancellationToken::new()).await.unwrap();
    assert_eq!(bench.exported(), [1]);
    assert!(engine.status(&name()).await.unwrap().owed.is_empty());
}

#[tokio::test]
async fn without_an_exporter_nothing_is_owed() {
    let bench = Bench::new();
    let engine = Engine::builder()
        .state_dir("/nonexistent/state")
        .host(Arc::clone(&bench.host) as Arc<dyn Host>)
        .secrets(Arc::new(MemorySecrets::new()))
        .store(Arc::clone(&bench.store) as _)
        .provider(Arc::new(MemoryProvider::new(bench.world.clone())))
        .recipe(Arc::new(MemoryRecipe))
        .build()
        .unwrap();
    bench.exporter.fail(1);
    bench.deploy("1Mi").await.unwrap();
    assert!(engine.status(&name()).await.unwrap().owed.is_empty());
    assert!(engine.push(&name(), &CancellationToken::new()).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_rolled_back_is_not_rolled_out_again_unasked() {
    let bench = Bench::new();
    bench.deploy("1Mi").await.unwrap();
    bench.deploy("2Mi").await.unwrap();
    bench.roll_back(None).await.unwrap();
    let exports = bench.exporter.exports();
    assert_eq!(exports[2].rollback.map(|r| (r.from, r.to)), Some((2, 1)));
    assert_eq!(exports[2].spec, exports[0].spec);

    let refused = bench.deploy("2Mi").await.unwrap_err();
    assert_eq!(refused.code(), "revision::bad");
    assert!(refused.help_text().unwrap().contains("--accept bad-revision:2"), "{refused:?}");
    // Nor by another rollback that names no revision.
    assert_eq!(bench.roll_back(None).await.unwrap_err().code(), "rollback::no-revision");
    // Anything else is as welcome as before.
    bench.deploy("3Mi").await.unwrap();

    let again = Proposal::of(spec("2Mi"), Origins::new()).unwrap();
    assert_eq!(bench.apply(&again, &["bad-revision:1"]).await.unwrap_err().code(), "revision::bad");
    let finished = bench.apply(&again, &["bad-revision:2"]).await.unwrap();
    assert!(finished.state.revisions.iter().all(|revision| !revision.bad), "by its number, it is good again");
    bench.deploy("1Mi").await.unwrap();
    bench.deploy("2Mi").await.unwrap();
}

#[tokio::test]
async fn a_rollback_to_a_bad_revision_by_its_number_makes_it_good() {
    let bench = Bench::new();
    bench.deploy("1Mi").await.unwrap();
    bench.deploy("2Mi").await.unwrap();
    bench.roll_back(None).await.unwrap();
    let finished = bench.roll_back(Some(2)).await.unwrap();
    let bad: Vec<u64> =
        finished.state.revisions.iter().filter(|revision| revision.bad).map(|r| r.number).collect();
    // Now the one that was left is the bad one.
    assert_eq!(bad, [3]);
    assert_eq!(bench.deploy("1Mi").await.unwrap_err().code(), "revision::bad");
}
