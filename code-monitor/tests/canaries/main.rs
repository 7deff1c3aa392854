//! A thousand canaries: secrets that a provider leaks on purpose, through everything that it can say and in
//! every form that tools write, and then are nowhere to be found.
//!
//! ```text
//! secrets ──▶ Leaky (a provider) ──every channel──▶ engine ──▶ plan file, journal, logs, errors, events,
//!    │                                                         spans, metrics, status, health, report
//!    └──────▶ needles: every secret in every form ──────────────────────▶ looked for in all of them
//! ```
//!
//! The forms are written here by other code than that of the redactor.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod leaky;
mod needles;
mod spans;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use code_core::checks::{Approval, How};
use code_core::engine::Proposal;
use code_core::expr::{Expr, Want};
use code_core::local::LocalStore;
use code_core::memory::*;
use code_core::provider::Resource;
use code_core::recipe::{At, Recipe};
use code_core::spec::{Component, Spec};
use code_core::{Engine, Error, Layout, Result};
use code_monitor::{Metrics, Results, Spans, report};
use leaky::{CHANNELS, Channel, Leaky};
use needles::{Needles, canaries, forms};

/// How many secrets one resource names.
const BATCH: usize = 10;

/// One component, one resource that names all secrets of a batch, and one that references it.
#[derive(Debug)]
struct Vault(usize);

impl Recipe for Vault {
    fn name(&self) -> &str {
        "vault"
    }

    fn makes(&self, _: &Spec, _: &Component) -> bool {
        true
    }

    fn resources(&self, at: &At<'_>) -> Result<Vec<Resource>> {
        let key = |i| (format!("key.{i}"), Expr::secret(format!("key/{i}")));
        let part = at.address("part")?;
        let after = Want::new().with("part", Expr::output(&part, "id"));
        Ok(vec![
            Resource::new(part, "memory", Want((0..self.0).map(key).collect())),
            Resource::new(At::endpoint("web")?, "memory", after),
        ])
    }
}

/// Everything that can be read afterwards, with a name for each.
type Sinks = Vec<(String, String)>;

/// Deploys with a provider that leaks these secrets through one channel, and gives all that can be read.
async fn leak(channel: Channel, secrets: &[String]) -> Sinks {
    let dir = tempfile::tempdir().unwrap();
    let kept = secrets.iter().enumerate();
    let kept = kept.fold(MemorySecrets::new(), |kept, (i, secret)| kept.with(&format!("key/{i}"), secret));
    let (sink, metrics, world) = (Arc::new(MemorySink::new()), Metrics::new(), World::new());
    let leaky = Leaky::new(MemoryProvider::new(world), channel);
    let engine = Engine::builder()
        .state_dir(dir.path())
        .host(Arc::new(MemoryHost::new()))
        .secrets(Arc::new(kept))
        .store(Arc::new(LocalStore::new(&Layout::new(dir.path()))))
        .provider(Arc::new(leaky))
        .recipe(Arc::new(Vault(secrets.len())))
        .sink(Arc::clone(&sink) as _)
        .sink(Arc::new(metrics.clone()))
        .sink(Arc::new(Spans::new()))
        .build()
        .unwrap();
    let mut sinks = Sinks::new();
    let mut read = |name: &str, text: String| sinks.push((format!("{channel:?}: {name}"), text));
    let deployment = "shop/staging".parse().unwrap();

    let spec = Spec {
        components: vec![Component::new("web", code_core::intent::Kind::Web)],
        ..Spec::new("shop", "staging")
    };
    let proposal = Proposal::of(spec, Default::default()).unwrap();
    match engine.plan(&proposal, &BTreeSet::new()).await {
        Err(error) => read("error of a plan", shown(&error)),
        Ok(planned) => {
            read("plan file", serde_json::to_string(&planned).unwrap());
            let ctx = engine.ctx();
            let (by, at) = (ctx.host().user(), ctx.host().now());
            let approval = Approval { plan: planned.plan.id, by, at, how: How::Program };
            match engine.apply(&planned, approval, ctx.cancel()).await {
                Err(error) => read("error of a run", shown(&error)),
                Ok(finished) => {
                    read("error of a step", finished.error.as_ref().map(shown).unwrap_or_default());
                    read("state", format!("{:?}", finished.state));
                }
            }
        }
    }
    read("status", format!("{:?}", engine.status(&deployment).await.unwrap()));
    read("health", format!("{:?}", engine.health().await));
    read("events", serde_json::to_string(&sink.events()).unwrap());
    read("events, for people", sink.bodies().iter().map(|body| report::sentence(body, None)).collect());
    read("metrics", metrics.prometheus());
    let events = engine.events(&deployment).await.unwrap();
    if let Ok(html) = report::render(&events, None) {
        read("report", html);
    }
    if let Some(run) = engine.state(&deployment).await.unwrap().run {
        let results = Results::of(&run);
        read("results", serde_json::to_string(&results).unwrap());
    }
    files(dir.path(), &mut |path, text| read(&format!("file {}", path.display()), text));
    sinks
}

/// An error in every form in which somebody gets to see it.
fn shown(error: &Error) -> String {
    format!("{error}\n{error:?}\n{}\n{}", error.code(), serde_json::to_string(error).unwrap())
}

fn files(dir: &Path, read: &mut dyn FnMut(&Path, String)) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, read);
        } else {
            read(&path, String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned());
        }
    }
}

/// Panics on purpose are many, and say nothing that a reader of the test's output needs.
fn quiet() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if panic.location().is_none_or(|at| !at.file().ends_with("leaky.rs")) {
                loud(panic);
            }
        }));
    });
}

#[tokio::test]
async fn a_thousand_canaries_are_found_nowhere() {
    quiet();
    let lines = spans::Lines::default();
    let _told = tracing::subscriber::set_default(lines.clone());
    let all = canaries(1000);
    let (mut looked, mut bytes, mut leaks) = (0, 0, 0);
    for (i, batch) in all.chunks(BATCH).enumerate() {
        let needles = Needles::of(batch);
        // One channel a batch: all through all would be minutes in a build for debugging.
        let channel = CHANNELS[i % CHANNELS.len()];
        let mut sinks = leak(channel, batch).await;
        sinks.push((format!("{channel:?}: spans"), lines.take()));
        for (name, text) in sinks {
            looked += 1;
            bytes += text.len();
            assert_eq!(needles.found_in(&text), None, "in {name}");
        }
        leaks += 1;
    }
    println!(
        "figure: canaries: {} secrets, {} forms of each, {} channels",
        all.len(),
        forms("x").len(),
        CHANNELS.len()
    );
    println!("figure: canaries: {leaks} leaky runs, {looked} sinks read, {} KiB, 0 found", bytes / 1024);
}

#[tokio::test]
async fn what_leaks_really_leaks() {
    quiet();
    // Without a redactor that knows them, the same text has every canary in every form.
    let secrets = canaries(BATCH);
    let needles = Needles::of(&secrets);
    let text = leaky::text(&secrets);
    assert!(needles.found_in(&text).is_some());
    for (secret, form) in
        secrets.iter().flat_map(|secret| forms(secret).into_iter().map(move |f| (secret, f)))
    {
        assert!(text.contains(&form), "{secret} as {form}");
    }
    // And some of it goes into every sink that is read: what was taken out is marked there.
    for channel in CHANNELS {
        let sinks = leak(*channel, &secrets[..1]).await;
        let marked = |text: &String| text.contains("[redacted]") || text.contains("provider::leaked-secret");
        assert!(sinks.iter().any(|(_, text)| marked(text)), "{channel:?} leads nowhere");
    }
}
