//! Whole deployments: the engine, the recipes of this machine, and real processes.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use code_core::checks::{Approval, How};
use code_core::engine::{Finished, Proposal};
use code_core::event::Outcome;
use code_core::intent::Kind;
use code_core::local::LocalHost;
use code_core::memory::{MemorySecrets, MemoryStore};
use code_core::provider::Action;
use code_core::spec::{Component, HealthCheck, Origins, Replicas, Spec};
use code_core::{Deployment, Engine, Host};
use code_providers::process::keeper::{Kept, Phase, Table};
use code_providers::recipes::local::local;
use code_providers::{ProcessProvider, ReleaseProvider, source_digest};
use tokio_util::sync::CancellationToken;

use crate::app;
use crate::world::{World, eventually, free_port, get, kill, me, runs};

crate::trials!(
    an_update_loses_no_request_and_the_same_again_does_nothing,
    a_bad_update_leaves_the_old_one_running,
    after_everything_died_the_same_again_brings_it_back,
);

struct Shop {
    world: World,
    engine: Engine,
    host: Arc<dyn Host>,
    spec: Spec,
    port: u16,
}

impl Shop {
    async fn deployed() -> Shop {
        let world = World::new();
        let project = world.state.join("project");
        std::fs::create_dir(&project).unwrap();
        std::fs::write(project.join("README"), "a shop").unwrap();
        let host: Arc<dyn Host> = Arc::new(LocalHost::new());
        let mut engine = Engine::builder()
            .state_dir(&world.state)
            .host(Arc::clone(&host))
            .secrets(Arc::new(MemorySecrets::new()))
            .store(Arc::new(MemoryStore::new()))
            .provider(Arc::new(ProcessProvider::new()))
            .provider(Arc::new(ReleaseProvider::new()));
        for recipe in local() {
            engine = engine.recipe(recipe);
        }
        let (engine, port) = (engine.build().unwrap(), free_port());
        let spec = spec(&project, port);
        let shop = Shop { world, engine, host, spec, port };
        let done = shop.deploy(&shop.spec).await;
        assert!(matches!(done.outcome, Outcome::Succeeded), "{:?} {:?}", done.outcome, done.error);
        shop
    }

    async fn deploy(&self, spec: &Spec) -> Finished {
        let proposal = Proposal::of(spec.clone(), Origins::new()).unwrap();
        let planned = self.engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
        let at = self.host.now();
        let approval = Approval { plan: planned.plan.id, by: "me".into(), at, how: How::Program };
        self.engine.apply(&planned, approval, &CancellationToken::new()).await.unwrap()
    }

    fn processes(&self) -> Vec<Kept> {
        Table::read(&self.world.state).unwrap().processes
    }

    fn pids(&self) -> Vec<i32> {
        self.processes().into_iter().filter_map(|kept| Some(kept.identity?.pid)).collect()
    }

    fn with_env(&self, name: &str, value: &str) -> Spec {
        let mut spec = self.spec.clone();
        spec.components[0].env.insert(name.into(), value.into());
        spec
    }

    async fn name(&self) -> (u16, String) {
        get(self.port, "/").await
    }
}

fn spec(project: &Path, port: u16) -> Spec {
    let start = vec![me().display().to_string(), app::ARGUMENT.to_owned()];
    let mut web = Component::new("web", Kind::Web);
    web.source = Some(project.display().to_string());
    web.release = Some(source_digest(project, None, Some(&start)).unwrap());
    web.start = Some(start);
    web.port = Some(port);
    web.replicas = Replicas { min: 2, max: 2 };
    web.health = Some(HealthCheck { path: Some("/health".into()), timeout_seconds: 10 });
    web.env.insert("NAME".into(), "one".into());
    Spec { components: vec![web], ..Spec::new("shop", "staging") }
}

async fn an_update_loses_no_request_and_the_same_again_does_nothing() {
    let shop = Shop::deployed().await;
    assert_eq!(shop.name().await, (200, "one".into()));
    let before = shop.pids();
    assert_eq!(before.len(), 2);

    let proposal = Proposal::of(shop.spec.clone(), Origins::new()).unwrap();
    let again = shop.engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
    assert!(again.plan.steps.is_empty(), "{:?}", again.plan.steps);

    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let client = tokio::spawn({
        let (stop, count, port) = (Arc::clone(&stop), Arc::clone(&count), shop.port);
        async move {
            while !stop.load(Ordering::Relaxed) {
                let (status, text) = get(port, "/").await;
                assert_eq!(status, 200, "{text}");
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let done = shop.deploy(&shop.with_env("NAME", "two")).await;
    assert!(matches!(done.outcome, Outcome::Succeeded), "{:?} {:?}", done.outcome, done.error);
    assert_eq!(shop.name().await, (200, "two".into()));
    stop.store(true, Ordering::Relaxed);
    client.await.unwrap();
    println!("{} requests during an update, none lost", count.load(Ordering::Relaxed));
    assert!(before.iter().all(|pid| !runs(*pid)), "the old ones are gone");

    // One more of the same leaves the others alone.
    let two = shop.pids();
    let mut three = shop.with_env("NAME", "two");
    three.components[0].replicas = Replicas { min: 3, max: 3 };
    shop.deploy(&three).await;
    let now = shop.pids();
    assert!(now.len() == 3 && two.iter().all(|pid| now.contains(pid)), "{two:?} {now:?}");
}

async fn a_bad_update_leaves_the_old_one_running() {
    let shop = Shop::deployed().await;
    let before = shop.pids();
    let done = shop.deploy(&shop.with_env("EXIT", "3")).await;
    assert!(!matches!(done.outcome, Outcome::Succeeded), "{:?}", done.outcome);
    assert_eq!(done.error.unwrap().code(), "process::exited");
    assert_eq!(shop.name().await, (200, "one".into()));
    assert_eq!(shop.pids(), before, "the same processes");
}

async fn after_everything_died_the_same_again_brings_it_back() {
    let shop = Shop::deployed().await;
    let ports: Vec<_> = shop.processes().into_iter().map(|kept| kept.port).collect();
    shop.world.kill_keeper().await;
    let pids = shop.pids();
    pids.iter().for_each(|pid| kill(*pid));
    eventually("all are gone", || pids.iter().all(|pid| !runs(*pid))).await;
    let boot = code_providers::process::identity::boot_id().unwrap();
    let table = shop.world.keeper_file("table.json");
    let text = std::fs::read_to_string(&table).unwrap().replace(&boot, "an-earlier-boot");
    std::fs::write(&table, text).unwrap();

    let deployment = Deployment::new("shop", "staging").unwrap();
    let status = shop.engine.status(&deployment).await.unwrap();
    let drifted = status.resources.iter().filter(|resource| !resource.drift.is_empty()).count();
    assert_eq!(drifted, 3, "two processes and a route: {status:?}");

    let proposal = Proposal::of(shop.spec.clone(), Origins::new()).unwrap();
    let planned = shop.engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
    let actions: Vec<Action> = planned.plan.steps.iter().map(|step| step.change.action).collect();
    assert_eq!(actions, [Action::Create; 3], "{:?}", planned.plan.steps);
    shop.deploy(&shop.spec).await;
    assert_eq!(shop.name().await, (200, "one".into()));
    let now: Vec<_> = shop.processes().into_iter().map(|kept| kept.port).collect();
    assert_eq!(now, ports);
    assert!(shop.processes().iter().all(|kept| kept.phase == Phase::Ready));
}
