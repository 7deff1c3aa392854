//! Journals of every released version of the format, as bytes: each must be read for ever, to the same state.
//!
//! `UPDATE_GOLDEN=1` writes the newest one anew, which is right only before its version was released.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use code_core::checks::{Approval, How};
use code_core::engine::Proposal;
use code_core::intent::{Action, Intent, Kind};
use code_core::local::LocalStore;
use code_core::memory::{
    Fault, MemoryHost, MemoryProvider, MemoryRecipe, MemoryScanner, MemorySecrets, World,
};
use code_core::parser::Parsed;
use code_core::request::Request;
use code_core::spec::{Component, Spec};
use code_core::{Engine, Host, Layout};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn engine(dir: &Path, host: &Arc<MemoryHost>, world: &World) -> Engine {
    Engine::builder()
        .state_dir(dir)
        .host(Arc::clone(host) as Arc<dyn Host>)
        .secrets(Arc::new(MemorySecrets::new()))
        .store(Arc::new(LocalStore::new(&Layout::new(dir))))
        .provider(Arc::new(MemoryProvider::new(world.clone())))
        .recipe(Arc::new(MemoryRecipe))
        .scanner(Arc::new(MemoryScanner::passing("policy")))
        .build()
        .unwrap()
}

/// A deployment, one that was taken back, and a change.
async fn written(dir: &Path) -> Vec<u8> {
    let (host, world) = (Arc::new(MemoryHost::new()), World::new());
    let engine = engine(dir, &host, &world);
    for (round, text) in ["deploy a web app", "add a worker", "add an api"].into_iter().enumerate() {
        let names = [&["web"][..], &["web", "worker"], &["web", "api"]][round];
        let components = names.iter().map(|name| Component::new(name, Kind::Web)).collect();
        let spec = Spec { components, ..Spec::new("shop", "staging") };
        let proposal = Proposal {
            request: Some(Request::new(text, "ann", host.now()).unwrap()),
            parser: Some("grammar".to_owned()),
            parsed: Some(Parsed { intents: vec![Intent::new(Action::Deploy)], ..Parsed::default() }),
            ..Proposal::of(spec, [].into()).unwrap()
        };
        if round == 1 {
            world.fail(&"worker/endpoint".parse().unwrap(), Fault::Permanent, 9);
        }
        let planned = engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
        let approval =
            Approval { plan: planned.plan.id, by: "ann".to_owned(), at: host.now(), how: How::Program };
        engine.apply(&planned, approval, &CancellationToken::new()).await.unwrap();
    }
    std::fs::read(dir.join("journal/shop@staging.log")).unwrap()
}

/// What a journal says, folded.
async fn folded(bytes: &[u8]) -> Value {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("journal")).unwrap();
    std::fs::write(dir.path().join("journal/shop@staging.log"), bytes).unwrap();
    let engine = engine(dir.path(), &Arc::new(MemoryHost::new()), &World::new());
    let name = "shop/staging".parse().unwrap();
    let verified = engine.verify(&name).await.unwrap();
    assert_eq!(verified.broken, None);
    let state = engine.state(&name).await.unwrap();
    let run = state.run.as_ref().unwrap();
    json!({
        "last": state.last,
        "head": state.head,
        "runs": state.runs,
        "inventory": state.inventory,
        "revisions": state.revisions,
        "run": { "plan": run.plan.id, "ended": run.ended, "done": run.steps.len() },
    })
}

#[tokio::test]
async fn journals_of_every_version_are_read_to_the_same_state() {
    if code_core::local::LocalHost::new().env("UPDATE_GOLDEN").is_some() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = written(dir.path()).await;
        let state = serde_json::to_string_pretty(&folded(&bytes).await).unwrap();
        std::fs::write(golden("v1.log"), bytes).unwrap();
        std::fs::write(golden("v1.json"), state + "\n").unwrap();
    }
    for version in ["v1"] {
        let bytes = std::fs::read(golden(&format!("{version}.log"))).unwrap();
        let state = std::fs::read(golden(&format!("{version}.json"))).unwrap();
        let expected: Value = serde_json::from_slice(&state).unwrap();
        assert_eq!(folded(&bytes).await, expected, "{version}");
    }
}
