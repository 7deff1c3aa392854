//! The journal: how fast events become durable, are folded into a state, and are read back.

#![expect(clippy::unwrap_used, reason = "a bench ends where something fails")]

use std::sync::Arc;
use std::time::Duration;

use code_core::event::Event;
use code_core::local::LocalStore;
use code_core::memory::{self, MemoryHost};
use code_core::status::State;
use code_core::store::{Seq, StateStore};
use code_core::{Ctx, Layout};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::StreamExt;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const SHOP: &str = "shop/staging";
const TTL: Duration = Duration::from_secs(60);

fn ground() -> (Runtime, Ctx, TempDir) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    (runtime, memory::ctx(&Arc::new(MemoryHost::new())), TempDir::new().unwrap())
}

/// One `append` is one write and one `fdatasync`, however many events it has.
fn append(criterion: &mut Criterion) {
    let events: Vec<Event> =
        benches::history(1, 60).unwrap().into_iter().skip(2).map(|(_, event)| event).collect();
    let mut group = criterion.benchmark_group("journal/append");
    for size in [1, 10, 100] {
        let (runtime, ctx, dir) = ground();
        let store = LocalStore::new(&Layout::new(dir.path()));
        let lease = runtime.block_on(store.lease(&ctx, SHOP, "ann", TTL)).unwrap();
        let mut last = Seq::START;
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(format!("{size} events"), |bencher| {
            bencher.iter(|| {
                last = runtime.block_on(store.append(&ctx, &lease, last, &events[..size])).unwrap();
            });
        });
    }
    group.finish();
}

/// 50 runs of 100 steps are a little more than 10^4 events.
fn fold(criterion: &mut Criterion) {
    let history = benches::history(50, 100).unwrap();
    let mut group = criterion.benchmark_group("journal/fold");
    group.throughput(Throughput::Elements(history.len() as u64));
    group.bench_function(format!("{} events", history.len()), |bencher| {
        bencher.iter(|| {
            let state = State::fold(&history);
            assert_eq!((state.runs, state.inventory.len()), (50, 100));
            state
        });
    });
    group.finish();
}

/// The same events from the disk: read, their chain checked, parsed.
fn read(criterion: &mut Criterion) {
    let (runtime, ctx, dir) = ground();
    let store = LocalStore::new(&Layout::new(dir.path()));
    let history: Vec<Event> =
        benches::history(50, 100).unwrap().into_iter().map(|(_, event)| event).collect();
    runtime.block_on(async {
        let lease = store.lease(&ctx, SHOP, "ann", TTL).await.unwrap();
        let mut last = Seq::START;
        for batch in history.chunks(100) {
            last = store.append(&ctx, &lease, last, batch).await.unwrap();
        }
    });
    let mut group = criterion.benchmark_group("journal/read");
    group.throughput(Throughput::Elements(history.len() as u64));
    group.bench_function(format!("{} events", history.len()), |bencher| {
        bencher.iter(|| {
            let count = runtime.block_on(store.read(SHOP, Seq::START).map(Result::unwrap).count());
            assert_eq!(count, history.len());
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_secs(1));
    targets = append, fold, read
}
criterion_main!(benches);
