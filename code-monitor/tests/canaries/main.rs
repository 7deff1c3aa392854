//! A thousand canaries: secrets that a provider leaks on purpose, through everything that it can say and in
//! every form that tools write, and then are nowhere to be found.
//!
//! ```text
//!            each × each × each
//! secrets ──▶ Leaky (a provider) ──every channel──▶ engine ──▶ plan file, journal, logs, errors, events,
//!    │                              in every form                spans, metrics, status, health, report,
//!    │                                                           exports, commits
//!    └──────▶ needles: every secret in every form ──────────────────────▶ looked for in all of them
//! ```
//!
//! The forms are written here by other code than that of the redactor. What the front adds (its own output, the
//! arguments of every process) is the matter of its story `canaries`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod commits;
mod leaky;
mod needles;
mod spans;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use code_core::checks::{Approval, How};
use code_core::engine::Proposal;
use code_core::engine::retry::RetryPolicy;
use code_core::export::Exporter;
use code_core::expr::{Expr, Want};
use code_core::local::LocalStore;
use code_core::memory::*;
use code_core::provider::Resource;
use code_core::recipe::{At, Recipe};
use code_core::spec::{Component, Spec};
use code_core::{Engine, Error, Host, Layout, Result};
use code_monitor::{Metrics, Results, Spans, report};
use leaky::{CHANNELS, Channel, Leaky};
use needles::{FORMS, Form, Needles, canaries, ways};
use tempfile::TempDir;

/// How many canaries there are.
const CANARIES: usize = 1000;
/// How many secrets one resource names: a text of all of them is never so long that it would be cut.
const BATCH: usize = 50;
/// So many look at batches side by side.
const WORKERS: usize = 4;

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

/// A directory in memory where there is one: thousands of journals are made durable there.
fn ground() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// What leaks: these secrets, through this channel, in this form, and in which way of it.
#[derive(Clone, Copy, Debug)]
struct Leak<'a> {
    secrets: &'a [String],
    channel: Channel,
    form: Form,
    turn: usize,
}

/// Deploys with a provider that leaks, and gives all that can be read.
async fn leak(leak: Leak<'_>, dir: &Path, host: Arc<dyn Host>, exporter: Arc<dyn Exporter>) -> Sinks {
    let Leak { secrets, channel, form, turn } = leak;
    let kept = secrets.iter().enumerate();
    let kept = kept.fold(MemorySecrets::new(), |kept, (i, secret)| kept.with(&format!("key/{i}"), secret));
    let (sink, metrics, world) = (Arc::new(MemorySink::new()), Metrics::new(), World::new());
    let leaky = Leaky::new(MemoryProvider::new(world), channel, form, turn);
    let engine = Engine::builder()
        .state_dir(dir)
        .host(host)
        .secrets(Arc::new(kept))
        .store(Arc::new(LocalStore::new(&Layout::new(dir))))
        .provider(Arc::new(leaky))
        .recipe(Arc::new(Vault(secrets.len())))
        .sink(Arc::clone(&sink) as _)
        .sink(Arc::new(metrics.clone()))
        .sink(Arc::new(Spans::new()))
        .exporter(exporter)
        .retry(RetryPolicy { first: Duration::from_millis(1), ..RetryPolicy::default() })
        .build()
        .unwrap();
    let mut sinks = Sinks::new();
    let mut read = |name: &str, text: String| sinks.push((name.to_owned(), text));
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
    files(dir, &mut |path, text| read(&format!("file {}", path.display()), text));
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

/// What was counted.
#[derive(Default)]
struct Counts {
    runs: AtomicUsize,
    sinks: AtomicUsize,
    bytes: AtomicUsize,
    exports: AtomicUsize,
}

/// One batch through every channel in every form.
async fn through_everything(batch: &[String], number: usize, lines: &spans::Lines, counts: &Counts) {
    let needles = Needles::of(batch);
    for (i, channel) in CHANNELS.iter().enumerate() {
        for form in FORMS {
            // Another way each time: over all channels every batch is written in all of them.
            let one = Leak { secrets: batch, channel: *channel, form, turn: i + number };
            let (dir, exporter) = (ground(), Arc::new(MemoryExporter::new()));
            let host = Arc::new(MemoryHost::new());
            let mut sinks = leak(one, dir.path(), host, Arc::clone(&exporter) as _).await;
            sinks.push(("spans".to_owned(), lines.take()));
            let exports = exporter.exports();
            sinks.push(("exports".to_owned(), serde_json::to_string(&exports).unwrap()));
            for (name, text) in &sinks {
                let found = needles.found_in(text.as_bytes());
                assert_eq!(found, None, "in {name}: {channel:?}, {form:?}");
                counts.bytes.fetch_add(text.len(), Ordering::Relaxed);
            }
            counts.runs.fetch_add(1, Ordering::Relaxed);
            counts.sinks.fetch_add(sinks.len(), Ordering::Relaxed);
            counts.exports.fetch_add(exports.len(), Ordering::Relaxed);
        }
    }
}

#[test]
fn a_thousand_canaries_are_found_nowhere() {
    quiet();
    let all = canaries(CANARIES);
    let counts = Counts::default();
    let batches = Mutex::new(all.chunks(BATCH).enumerate());
    let work = || {
        let lines = spans::Lines::default();
        let _told = tracing::subscriber::set_default(lines.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        loop {
            let Some((number, batch)) = batches.lock().unwrap().next() else { return };
            runtime.block_on(through_everything(batch, number, &lines, &counts));
        }
    };
    std::thread::scope(|scope| (0..WORKERS).for_each(|_| drop(scope.spawn(work))));
    let (runs, of) = (counts.runs.into_inner(), |count: AtomicUsize| count.into_inner());
    assert_eq!(runs, all.len().div_ceil(BATCH) * CHANNELS.len() * FORMS.len());
    let kinds = FORMS.map(|form| format!("{form:?}").to_lowercase()).join(", ");
    println!(
        "figure: canaries: {} secrets × {} channels × {} forms ({kinds}; {} ways) = {} leaks, 0 found",
        all.len(),
        CHANNELS.len(),
        FORMS.len(),
        ways("x").len(),
        all.len() * CHANNELS.len() * FORMS.len(),
    );
    println!(
        "figure: canaries: {runs} leaky runs, {} sinks read ({} exports), {} KiB, 0 found",
        of(counts.sinks),
        of(counts.exports),
        of(counts.bytes) / 1024
    );
}

#[tokio::test]
async fn what_leaks_really_leaks() {
    quiet();
    // Without a redactor that knows them, the same text has every canary in every form.
    let secrets = canaries(BATCH);
    let needles = Needles::of(&secrets);
    for (form, secret) in FORMS.into_iter().flat_map(|form| secrets.iter().map(move |s| (form, s))) {
        for (turn, way) in form.ways(secret).iter().enumerate() {
            let text = leaky::text(std::slice::from_ref(secret), form, turn);
            assert_eq!(text, *way, "{secret} as {form:?}");
            assert!(
                needles.found_in(format!("x{text}y").as_bytes()).is_some(),
                "{secret} as {form:?}: {way}"
            );
        }
    }
    // And all of it goes into some sink that is read: what was taken out is marked there.
    for channel in CHANNELS {
        let (dir, host) = (ground(), Arc::new(MemoryHost::new()));
        let one = Leak { secrets: &secrets, channel: *channel, form: Form::Plain, turn: 0 };
        let sinks = leak(one, dir.path(), host, Arc::new(MemoryExporter::new())).await;
        // Data with secrets in it is refused whole; a text is used without them.
        let refused = sinks.iter().any(|(_, text)| text.contains("provider::leaked-secret"));
        let most = sinks.iter().map(|(_, text)| text.matches("[redacted]").count()).max();
        assert!(refused || most >= Some(BATCH), "{channel:?}: {most:?} of {BATCH} lead anywhere");
    }
}
