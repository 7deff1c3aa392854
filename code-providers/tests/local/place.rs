//! A state directory with its engine, and the shortest way to ask for things.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use code_core::checks::{Approval, How};
use code_core::engine::{Finished, Planned, Proposal};
use code_core::event::Outcome;
use code_core::intent::Kind;
use code_core::local::{LocalHost, LocalStore};
use code_core::memory::MemorySecrets;
use code_core::spec::{Component, HealthCheck, Origins, Spec};
use code_core::status::Recorded;
use code_core::{Deployment, Engine, Layout};
use code_providers::postgres::Postgres;
use code_providers::process::keeper::Table;
use code_providers::release::ReleaseProvider;
use code_providers::sample::sample_digest;
use code_providers::sqlite::Sqlite;
use code_providers::{ProcessProvider, recipes};
use rustix::process::{Pid, Signal};
use tokio_util::sync::CancellationToken;

use crate::http;

/// Long enough for a slow machine; nothing waits for it but a test that fails.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Place {
    dir: tempfile::TempDir,
    engine: Engine,
    pub(crate) secrets: Arc<MemorySecrets>,
    spec: Spec,
    pub(crate) port: u16,
}

impl Place {
    /// A place for the sample app with a database of this engine.
    pub(crate) fn new(database: &str) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let secrets = Arc::new(MemorySecrets::new());
        let mut engine = Engine::builder()
            .state_dir(dir.path())
            .host(Arc::new(LocalHost::new()))
            .secrets(Arc::clone(&secrets) as _)
            .store(Arc::new(LocalStore::new(&Layout::new(dir.path()))))
            .provider(Arc::new(ReleaseProvider::new()))
            .provider(Arc::new(ProcessProvider::new()))
            .provider(Arc::new(Postgres::default()))
            .provider(Arc::new(Sqlite::default()));
        for recipe in recipes::local() {
            engine = engine.recipe(recipe);
        }
        let [port, database_port] = free_ports();
        let web = Component {
            source: Some("sample".into()),
            release: Some(sample_digest()),
            port: Some(port),
            health: Some(HealthCheck { path: Some("/health".into()), timeout_seconds: 60 }),
            depends_on: vec!["db".into()],
            ..Component::new("web", Kind::Web)
        };
        let db = Component {
            engine: Some(database.into()),
            port: (database == "postgresql").then_some(database_port),
            ..Component::new("db", Kind::Database)
        };
        let spec = Spec { components: vec![web, db], ..Spec::new("shop", "staging") };
        Place { dir, engine: engine.build().unwrap(), secrets, spec, port }
    }

    pub(crate) fn web(&mut self) -> &mut Component {
        &mut self.spec.components[0]
    }

    pub(crate) fn stop(&mut self, stopped: bool) {
        self.spec.components.iter_mut().for_each(|component| component.stopped = stopped);
    }

    fn deployment(&self) -> Deployment {
        self.spec.deployment().unwrap()
    }

    pub(crate) fn database_dir(&self) -> PathBuf {
        Layout::new(self.dir.path()).data(&self.deployment(), "db")
    }

    pub(crate) async fn plan(&self) -> Planned {
        let proposal = Proposal::of(self.spec.clone(), Origins::new()).unwrap();
        self.engine.plan(&proposal, &BTreeSet::new()).await.unwrap()
    }

    pub(crate) async fn try_deploy(&self) -> Finished {
        let planned = self.plan().await;
        self.apply(&planned).await
    }

    /// Deploys, and checks that nothing is left to do then.
    pub(crate) async fn deploy(&self) {
        let finished = self.try_deploy().await;
        assert_eq!(finished.outcome, Outcome::Succeeded, "{:?}", finished.error);
        let status = self.engine.status(&self.deployment()).await.unwrap();
        for resource in status.resources.iter().filter(|resource| !resource.kept) {
            assert_eq!(resource.drift, [] as [&str; 0], "{}", resource.address);
        }
    }

    pub(crate) async fn destroy(&self, delete_data: bool) {
        let proposal = self.engine.destroy(&self.deployment(), delete_data).await.unwrap();
        let planned = self.engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
        let finished = self.apply(&planned).await;
        assert_eq!(finished.outcome, Outcome::Succeeded, "{:?}", finished.error);
        assert!(std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err(), "nobody listens any more");
    }

    async fn apply(&self, planned: &Planned) -> Finished {
        let now = self.engine.ctx().host().now();
        let approval = Approval { plan: planned.plan.id, by: "me".into(), at: now, how: How::Program };
        self.engine.apply(planned, approval, &CancellationToken::new()).await.unwrap()
    }

    async fn recorded(&self, address: &str) -> Recorded {
        let state = self.engine.state(&self.deployment()).await.unwrap();
        state.inventory[&address.parse().unwrap()].clone()
    }

    pub(crate) async fn pid(&self, address: &str) -> i32 {
        serde_json::from_value(self.recorded(address).await.live.outputs["pid"].known().unwrap()).unwrap()
    }

    /// Waits until another process than this one is seen at an address.
    pub(crate) async fn wait_for_another(&self, address: &str, old: i32) {
        let seen = async || {
            let status = self.engine.status(&self.deployment()).await.unwrap();
            let found = status.resources.into_iter().find(|resource| resource.address.as_str() == address)?;
            serde_json::from_value::<i32>(found.observed.live()?.outputs.get("pid")?.known()?).ok()
        };
        let begun = Instant::now();
        while seen().await.is_none_or(|pid| pid == old) {
            assert!(begun.elapsed() < PATIENCE, "waited too long for another process at {address}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The addresses of a component's processes.
    pub(crate) async fn processes(&self, component: &str) -> Vec<String> {
        let state = self.engine.state(&self.deployment()).await.unwrap();
        let processes = state.inventory.iter().filter(|(_, recorded)| recorded.kind == "process");
        processes
            .map(|(address, _)| address.to_string())
            .filter(|a| a.starts_with(&format!("{component}/")))
            .collect()
    }

    pub(crate) fn page(&self) -> String {
        let reply = http::get(self.port, "/");
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.body
    }

    pub(crate) async fn write(&self, text: &str) {
        let reply = http::post_json(self.port, &serde_json::json!({ "text": text }).to_string());
        assert_eq!(reply.status, 201, "{}", reply.body);
    }
}

impl Drop for Place {
    /// What a test that failed left running.
    fn drop(&mut self) {
        let events = Layout::new(self.dir.path()).keeper().join("events.jsonl");
        let events = std::fs::read_to_string(events).unwrap_or_default();
        let events = events.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        for event in events.filter(|event| event["seen"] == "keeper_started") {
            kill(event["pid"].as_i64());
        }
        for kept in Table::read(self.dir.path()).map(|table| table.processes).unwrap_or_default() {
            let Some(identity) = kept.identity else { continue };
            identity.kin(&kept.job.key).keys().for_each(|pid| kill(Some(i64::from(*pid))));
        }
    }
}

fn kill(pid: Option<i64>) {
    if let Some(pid) = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
        // It may be gone already.
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

fn free_ports() -> [u16; 2] {
    let listeners = [0; 2].map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

pub(crate) async fn eventually(what: &str, is: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < PATIENCE, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
