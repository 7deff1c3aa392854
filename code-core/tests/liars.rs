//! Providers that lie, hang, panic or answer rubbish: each its own clear error, and nothing lost.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use code_core::checks::{Approval, How};
use code_core::engine::{Finished, Planned, Proposal};
use code_core::event::{Body, Event, Outcome, Sink};
use code_core::intent::Kind;
use code_core::memory::*;
use code_core::provider::{
    Action, Capabilities, Change, Effects, Failed, Health, Live, Observed, Promise, ProviderInfo, Resource,
};
use code_core::spec::{Component, Origins, Spec};
use code_core::{Ctx, Engine, Error, ErrorKind, Provider, Result, Want};

/// What a liar does, where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    ObserveFails,
    ObservePanics,
    ObserveHangs,
    ObserveHasNoId,
    ObserveWaitsForAnother,
    ObserveIsHuge,
    ObserveIsHostile,
    PlanFails,
    PlanPanics,
    PlanHangs,
    PlansAnother,
    PlansDelete,
    KeepsNothing,
    KeepsAndChanges,
    HidesADeletion,
    PlansDifferently,
    HealthPanics,
    HealthHangs,
    ApplyFails,
    ApplyIsHuge,
    ApplyIsHostile,
    ApplyPanics,
    ApplyDoesNothing,
    ApplyHasNoId,
    ApplyForgetsOutput,
    /// It makes the change, and panics when it is looked at.
    PanicsAfterwards,
    /// It makes the change, and fails when it is looked at.
    FailsAfterwards,
    /// From its first run on, nobody can look any more: it fails, or panics.
    BlindByError,
    BlindByPanic,
}

use Lie::*;

/// A provider that tells the truth until it is told to lie.
struct Liar {
    inner: MemoryProvider,
    lie: Lie,
    lying: Arc<AtomicBool>,
    looks: std::sync::atomic::AtomicUsize,
}

impl fmt::Debug for Liar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.lie)
    }
}

impl Liar {
    fn lies(&self, lie: Lie) -> bool {
        self.lie == lie && self.lying.load(Ordering::SeqCst)
    }
}

/// What a tool says that has no error of its own.
fn rubbish() -> Error {
    Error::new(ErrorKind::Failed, "memory::fault", HOSTILE.repeat(10_000))
}

const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;pwned\u{7}it is \u{202e}enog\0 <script>";

#[async_trait]
impl Provider for Liar {
    fn info(&self) -> &ProviderInfo {
        self.inner.info()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn health(&self, ctx: &Ctx) -> Result<Health> {
        if self.lies(HealthPanics) {
            panic!("{HOSTILE}");
        }
        if self.lies(HealthHangs) {
            std::future::pending::<()>().await;
        }
        Provider::health(&self.inner, ctx).await
    }

    async fn observe(&self, ctx: &Ctx, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
        let seen = self.inner.observe(ctx, resource, last).await?;
        let live = Live { id: "7".into(), was: Want::new(), outputs: [].into(), drift: vec![] };
        if !self.lying.load(Ordering::SeqCst) {
            return Ok(seen);
        }
        Ok(match self.lie {
            ObserveFails | FailsAfterwards | BlindByError => return Err(rubbish()),
            ObservePanics | PanicsAfterwards | BlindByPanic => panic!("{HOSTILE}"),
            ObserveHangs => std::future::pending().await,
            ObserveHasNoId => Observed::Present(Live { id: String::new(), ..live }),
            ObserveWaitsForAnother => Observed::NotYet("some/where".parse().unwrap()),
            ObserveIsHuge => {
                Observed::Present(Live { was: Want::new().with("x", "x".repeat(3 << 20)), ..live })
            }
            // 100 MB of what no terminal should obey.
            ObserveIsHostile => Observed::Unknown(HOSTILE.repeat((100 << 20) / HOSTILE.len())),
            _ => seen,
        })
    }

    async fn plan(&self, ctx: &Ctx, resource: &Resource, live: &Observed) -> Result<Change> {
        let mut change = self.inner.plan(ctx, resource, live).await?;
        if !self.lying.load(Ordering::SeqCst) {
            return Ok(change);
        }
        match self.lie {
            PlanFails => return Err(rubbish()),
            PlanPanics => panic!("out of the blue"),
            PlanHangs => std::future::pending().await,
            PlansAnother => change.resource.address = "some/where".parse().unwrap(),
            PlansDelete => change.action = Action::Delete,
            KeepsNothing => (change.action, change.effects) = (Action::Keep, Effects::none()),
            KeepsAndChanges => change.action = Action::Keep,
            HidesADeletion => change.action = Action::Replace,
            PlansDifferently if change.action != Action::Keep => {
                let look = self.looks.fetch_add(1, Ordering::SeqCst);
                change.outputs.insert(format!("x{look}"), Promise::Later);
            }
            ApplyForgetsOutput if change.action != Action::Keep => {
                change.outputs.insert("x".into(), Promise::Later);
            }
            _ => {}
        }
        Ok(change)
    }

    async fn apply(&self, ctx: &Ctx, change: &Change) -> Result<Option<Live>, Failed> {
        if self.lies(ApplyFails) {
            return Err(rubbish().into());
        }
        if self.lies(ApplyPanics) {
            panic!("in the middle");
        }
        if self.lies(ApplyDoesNothing) {
            return Ok(Some(Live { id: "7".into(), was: Want::new(), outputs: [].into(), drift: vec![] }));
        }
        let live = self.inner.apply(ctx, change).await?;
        Ok(live.map(|live| match self.lie {
            _ if !self.lying.load(Ordering::SeqCst) => live,
            ApplyHasNoId => Live { id: String::new(), ..live },
            ApplyIsHuge => Live { was: live.was.with("x", "x".repeat(3 << 20)), ..live },
            ApplyIsHostile => Live { drift: vec![HOSTILE.repeat(10_000)], ..live },
            _ => live,
        }))
    }
}

/// Lets a provider lie from the first step of a run on, and no longer when that is taken back.
#[derive(Debug)]
struct Turns {
    lie: Lie,
    lying: Arc<AtomicBool>,
    blinded: AtomicBool,
}

impl Sink for Turns {
    fn offer(&self, event: &Event) {
        let blind = matches!(self.lie, BlindByError | BlindByPanic);
        match event.body {
            Body::RunStarted { .. } if blind => {
                self.lying.store(!self.blinded.swap(true, Ordering::SeqCst), Ordering::SeqCst);
            }
            Body::RunStarted { .. } if IN_A_RUN.iter().any(|(lie, _)| *lie == self.lie) => {
                self.lying.store(true, Ordering::SeqCst);
            }
            Body::UndoStarted { .. } if !blind => self.lying.store(false, Ordering::SeqCst),
            _ => {}
        }
    }
}

/// The lies that are told in a run, and what comes of each.
const IN_A_RUN: [(Lie, &str); 8] = [
    (ApplyFails, "memory::fault"),
    (ApplyIsHuge, "provider::broken-contract"),
    (FailsAfterwards, "memory::fault"),
    (ApplyPanics, "provider::panicked"),
    (ApplyDoesNothing, "step::no-evidence"),
    (ApplyHasNoId, "provider::broken-contract"),
    (ApplyForgetsOutput, "step::no-evidence"),
    (PanicsAfterwards, "provider::panicked"),
];

struct Bench {
    engine: Engine,
    world: World,
    lying: Arc<AtomicBool>,
}

impl Bench {
    fn new(lie: Lie) -> Bench {
        let (world, lying) = (World::new(), Arc::new(AtomicBool::new(false)));
        let inner = MemoryProvider::new(world.clone());
        let liar = Liar { inner, lie, lying: Arc::clone(&lying), looks: 0.into() };
        let engine = Engine::builder()
            .state_dir("/nonexistent/state")
            .host(Arc::new(MemoryHost::new()))
            .secrets(Arc::new(MemorySecrets::new()))
            .store(Arc::new(MemoryStore::new()))
            .provider(Arc::new(liar))
            .recipe(Arc::new(MemoryRecipe))
            .sink(Arc::new(Turns { lie, lying: Arc::clone(&lying), blinded: false.into() }))
            .build()
            .unwrap();
        Bench { engine, world, lying }
    }

    async fn plan(&self, replicas: u32) -> Result<Planned> {
        let mut web = Component::new("web", Kind::Web);
        web.replicas = code_core::spec::Replicas { min: replicas, max: replicas };
        let spec = Spec { components: vec![web], ..Spec::new("shop", "staging") };
        self.engine.plan(&Proposal::of(spec, Origins::new())?, &BTreeSet::new()).await
    }

    async fn apply(&self, planned: &Planned) -> Result<Finished> {
        let ctx = self.engine.ctx();
        let (by, at) = (ctx.host().user(), ctx.host().now());
        let approval = Approval { plan: planned.plan.id, by, at, how: How::Option };
        self.engine.apply(planned, approval, ctx.cancel()).await
    }
}

/// Everything that a person must get from an error, and nothing that harms a terminal.
fn assert_clear(error: &Error, code: &str) {
    assert_eq!(error.code(), code, "{error:?}");
    assert!(error.help_text().is_some_and(|help| !help.is_empty()), "{error:?}");
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(error.url());
    assert!(page.is_file(), "{} has no page", error.code());
    let text = format!("{error:?}");
    assert!(text.len() < 100_000, "{} bytes", text.len());
    let harmful = |c: char| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}';
    assert!(!text.contains(harmful), "{text:?}");
}

#[tokio::test(start_paused = true)]
async fn who_lies_while_planning_is_told_so_and_nothing_changes() {
    for (lie, code) in [
        (ObserveFails, "memory::fault"),
        (ObservePanics, "provider::panicked"),
        (ObserveHangs, "provider::hangs"),
        (ObserveHasNoId, "provider::broken-contract"),
        (ObserveWaitsForAnother, "provider::broken-contract"),
        (ObserveIsHuge, "provider::broken-contract"),
        (ObserveIsHostile, "plan::unknown"),
        (PlanFails, "memory::fault"),
        (PlanPanics, "provider::panicked"),
        (PlanHangs, "provider::hangs"),
        (PlansAnother, "provider::broken-contract"),
        (PlansDelete, "provider::broken-contract"),
        (KeepsNothing, "provider::broken-contract"),
        (KeepsAndChanges, "provider::broken-contract"),
        (HidesADeletion, "provider::broken-contract"),
    ] {
        // Before the first deployment, and of one that is there.
        let bench = Bench::new(lie);
        bench.lying.store(true, Ordering::SeqCst);
        assert_clear(&bench.plan(1).await.unwrap_err(), code);
        assert!(bench.world.all().is_empty(), "{lie:?}");

        bench.lying.store(false, Ordering::SeqCst);
        assert_eq!(bench.apply(&bench.plan(1).await.unwrap()).await.unwrap().outcome, Outcome::Succeeded);
        let there = bench.world.all();
        bench.lying.store(true, Ordering::SeqCst);
        if let Err(error) = bench.plan(2).await {
            assert_clear(&error, code);
        }
        let status = bench.engine.status(&"shop/staging".parse().unwrap()).await.unwrap();
        assert_eq!(status.resources.len(), there.len(), "{lie:?}: nothing is forgotten");
        let said: String = status.resources.iter().flat_map(|resource| resource.drift.clone()).collect();
        assert!(said.len() < 100_000 && !said.contains(['\u{1b}', '\u{202e}', '\0']), "{lie:?}: {said:?}");
        assert_eq!(bench.world.all(), there, "{lie:?}");

        // When it tells the truth again, everything goes on.
        bench.lying.store(false, Ordering::SeqCst);
        assert_eq!(bench.apply(&bench.plan(2).await.unwrap()).await.unwrap().outcome, Outcome::Succeeded);
    }
}

#[tokio::test(start_paused = true)]
async fn who_lies_about_its_health_is_told_so() {
    for (lie, code) in [(HealthPanics, "provider::panicked"), (HealthHangs, "provider::hangs")] {
        let bench = Bench::new(lie);
        bench.lying.store(true, Ordering::SeqCst);
        let (_, health) = bench.engine.health().await.remove(0);
        assert_clear(&health.unwrap_err(), code);
    }
}

#[tokio::test(start_paused = true)]
async fn who_lies_in_a_run_fails_its_step_and_what_was_done_goes_back() {
    for (lie, code) in IN_A_RUN {
        let bench = Bench::new(lie);
        // What is announced must be in the plan; all other lies begin with the run.
        bench.lying.store(lie == ApplyForgetsOutput, Ordering::SeqCst);
        let planned = bench.plan(1).await.unwrap();
        let finished = bench.apply(&planned).await;
        let finished = finished.unwrap();
        assert_ne!(finished.outcome, Outcome::Succeeded, "{lie:?}");
        assert_clear(finished.error.as_ref().unwrap(), code);
        // Whatever was left is either gone or known.
        let known = bench.engine.state(&"shop/staging".parse().unwrap()).await.unwrap().inventory;
        assert!(bench.world.all().keys().all(|at| known.contains_key(at)), "{lie:?}: {:?}", bench.world);
    }
}

#[tokio::test]
async fn a_plan_that_is_never_the_same_names_its_provider() {
    let bench = Bench::new(PlansDifferently);
    bench.lying.store(true, Ordering::SeqCst);
    let planned = bench.plan(1).await.unwrap();
    let error = bench.apply(&planned).await.unwrap_err();
    assert_clear(&error, "plan::stale");
    assert_eq!(error.kind(), ErrorKind::Stale);
    let said = format!("{error:?}");
    assert!(said.contains("web/part.0") && said.contains("memory"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn what_a_change_says_of_itself_is_made_harmless() {
    let bench = Bench::new(ApplyIsHostile);
    let planned = bench.plan(1).await.unwrap();
    bench.lying.store(true, Ordering::SeqCst);
    assert_eq!(bench.apply(&planned).await.unwrap().outcome, Outcome::Succeeded);
    let events = bench.engine.events(&"shop/staging".parse().unwrap()).await.unwrap();
    let text = serde_json::to_string(&events).unwrap();
    assert!(text.len() < 500_000 && !text.contains(['\u{1b}', '\u{202e}']) && !text.contains("\\u001b"));
}

/// Whoever asks for a deletion, and cannot be told what is there, is told so: a look that failed is no
/// evidence of anything.
#[tokio::test(start_paused = true)]
async fn nothing_is_deleted_or_forgotten_on_the_word_of_a_liar() {
    for (lie, code) in [
        (ObserveFails, "memory::fault"),
        (ObservePanics, "provider::panicked"),
        (ObserveHangs, "provider::hangs"),
        (ObserveHasNoId, "provider::broken-contract"),
        (ObserveIsHostile, "plan::unknown"),
        (PlanFails, "memory::fault"),
        (PlanPanics, "provider::panicked"),
        (PlansAnother, "provider::broken-contract"),
    ] {
        let bench = Bench::new(lie);
        let shop = "shop/staging".parse().unwrap();
        bench.apply(&bench.plan(1).await.unwrap()).await.unwrap();
        let (there, known) = (bench.world.all(), bench.engine.state(&shop).await.unwrap().inventory);
        let destroy = async || {
            let destroy = bench.engine.destroy(&shop, true).await?;
            let planned = bench.engine.plan(&destroy, &BTreeSet::new()).await?;
            bench.apply(&planned).await
        };
        bench.lying.store(true, Ordering::SeqCst);
        assert_clear(&destroy().await.unwrap_err(), code);
        assert_eq!(bench.world.all(), there, "{lie:?}");
        assert_eq!(bench.engine.state(&shop).await.unwrap().inventory, known, "{lie:?}");
        bench.lying.store(false, Ordering::SeqCst);
        assert_eq!(destroy().await.unwrap().outcome, Outcome::Succeeded, "{lie:?}");
        assert!(bench.world.all().is_empty(), "{lie:?}");
    }
}

/// What a failed step may have left is in doubt. It stays so as long as nobody can look, and is neither taken
/// for gone nor made twice.
#[tokio::test(start_paused = true)]
async fn what_is_in_doubt_stays_so_until_somebody_can_look() {
    for lie in [BlindByError, BlindByPanic] {
        let bench = Bench::new(lie);
        let shop = "shop/staging".parse().unwrap();
        let planned = bench.plan(1).await.unwrap();
        assert_eq!(bench.apply(&planned).await.unwrap().outcome, Outcome::Failed, "{lie:?}");
        // Nobody can look: nothing is planned on a guess.
        let doubted = bench.engine.state(&shop).await.unwrap();
        assert!(!doubted.doubts.is_empty(), "{lie:?}");
        let there = bench.world.all();
        assert!(bench.plan(1).await.is_err(), "{lie:?}");
        assert!(bench.engine.status(&shop).await.is_ok(), "{lie:?}");
        let state = bench.engine.state(&shop).await.unwrap();
        assert_eq!((&state.doubts, &state.inventory), (&doubted.doubts, &doubted.inventory), "{lie:?}");
        assert_eq!(bench.world.all(), there, "{lie:?}");
        bench.lying.store(false, Ordering::SeqCst);
        assert_eq!(bench.apply(&bench.plan(1).await.unwrap()).await.unwrap().outcome, Outcome::Succeeded);
        let state = bench.engine.state(&shop).await.unwrap();
        assert!(state.doubts.is_empty(), "{lie:?}: {:?}", state.doubts);
        assert_eq!(state.inventory.len(), bench.world.all().len(), "{lie:?}");
    }
}
