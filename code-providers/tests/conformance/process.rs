//! Processes and routes, with a keeper of their own in every case.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use code_core::conformance::provider::{Sample, Scene};
use code_core::conformance::{self, Suite};
use code_core::provider::Resource;
use code_core::{Expr, Want};
use code_providers::ProcessProvider;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::app;

pub(crate) fn process() -> Suite {
    let of = |scene: &Scene, name: &str, health: &str| {
        let want = Want::new()
            .with("program", std::env::current_exe().unwrap().to_str().unwrap())
            .with("args", json!([app::ARGUMENT]))
            .with("port", "auto")
            .with("env.NAME", name)
            .with("env.TOKEN", Expr::secret("sample/token"))
            .with("health.path", health)
            .with("health.timeout_seconds", json!(20))
            .with("grace_seconds", json!(5));
        Resource::new(scene.address(), "process", want)
    };
    let sample = Sample::new(move |scene| of(scene, "one", "/health"))
        .changed(move |scene| of(scene, "one", "/"))
        .replaced(move |scene| of(scene, "two", "/health"))
        // A stopped process answers nobody; a killed one the keeper would bring back by itself.
        .disturb(|_, _, live| {
            let pid = serde_json::from_value(live.outputs["pid"].known().unwrap()).unwrap();
            kill_process(Pid::from_raw(pid).unwrap(), Signal::STOP).unwrap();
        })
        .secret("sample/token", "a-token-0123456789");
    conformance::provider(|| Arc::new(ProcessProvider::new()), &sample).named("process")
}

pub(crate) fn route() -> Suite {
    let of = |scene: &Scene, drain: u32| {
        let want = Want::new()
            .with("port", port(scene))
            .with("protocol", "http")
            .with("drain_seconds", json!(drain))
            .with("target.0", "127.0.0.1:9");
        Resource::new(scene.address(), "route", want)
    };
    let sample = Sample::new(move |scene| of(scene, 1)).changed(move |scene| of(scene, 2));
    conformance::provider(|| Arc::new(ProcessProvider::new()), &sample).named("route")
}

/// A free port for each scene, always the same.
fn port(scene: &Scene) -> u16 {
    static PORTS: Mutex<BTreeMap<PathBuf, u16>> = Mutex::new(BTreeMap::new());
    let mut ports = PORTS.lock().unwrap();
    if let Some(port) = ports.get(scene.dir()) {
        return *port;
    }
    let seed = u64::from(std::process::id()) * 131 + ports.len() as u64 * 97;
    let taken: Vec<u16> = ports.values().copied().collect();
    let port = code_providers::process::port::free(seed, |port| taken.contains(&port)).unwrap();
    ports.insert(scene.dir().to_owned(), port);
    port
}
