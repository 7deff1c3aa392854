//! A call that never returns: it ends with its time, or soon after a stop. Time here is virtual.

use super::way_back::pair;
use super::*;

/// It makes what is wanted of the left app, and then neither returns nor listens to anybody.
const HANGS: Twist = |world, ctx, change| {
    Box::pin(async move {
        if change.action == Action::Create && change.resource.address == at("left/part.0") {
            MemoryProvider::new(world.clone()).apply(ctx, change).await.unwrap();
            std::future::pending::<()>().await;
        }
        None
    })
};

/// A machine whose clock nobody moves, so that what waits for the runtime's clock can be seen to.
fn bench() -> (Bench, Engine) {
    let bench = Bench { host: Arc::new(MemoryHost::manual()), ..Bench::new() };
    let engine = bench.engine_of(Arc::new(Twisted(MemoryProvider::new(bench.world.clone()), HANGS)), []);
    (bench, engine)
}

async fn planned(engine: &Engine) -> Planned {
    engine.plan(&Proposal::of(pair(), Origins::new()).unwrap(), &BTreeSet::new()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_returns_ends_with_its_time_and_is_taken_back() {
    let (bench, engine) = bench();
    let planned = planned(&engine).await;
    let done = engine.apply(&planned, bench.approve(&planned), &CancellationToken::new()).await.unwrap();
    let error = done.error.unwrap();
    assert_eq!((error.code(), error.kind()), ("step::timeout", ErrorKind::Timeout));
    assert_eq!(error.to_string(), "finish `left/part.0` within an hour");
    assert_eq!(done.outcome, Outcome::RolledBack);
    assert_eq!(bench.effects()["left/part.0"], 2, "what it had made is found and taken away");
    assert!(bench.world.all().is_empty());
    assert_eq!(bench.deploy(&pair()).await.unwrap().outcome, Outcome::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_listen_to_a_stop_does_not_hold_the_run_up() {
    let (bench, engine) = bench();
    let planned = planned(&engine).await;
    let begun = tokio::time::Instant::now();
    let cancel = CancellationToken::new();
    let run = engine.apply(&planned, bench.approve(&planned), &cancel);
    let stop = async {
        while bench.world.get(&at("left/part.0")).is_none() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let (done, ()) = tokio::join!(run, stop);
    let done = done.unwrap();
    assert_eq!(done.outcome, Outcome::Cancelled);
    assert_eq!(done.error.unwrap().to_string(), "stop `left/part.0` within two minutes");
    assert_eq!(begun.elapsed().as_secs(), 120, "and not in an hour");
    // What it made is nobody's loss, and is not made twice.
    assert_eq!(bench.deploy(&pair()).await.unwrap().outcome, Outcome::Succeeded);
    assert!(bench.effects().values().all(|count| *count == 1), "{:?}", bench.effects());
}
