//! The scheduler alone: graphs of 100 to 10,000 steps, from the first `Start` to the end of the run.
//!
//! It says what the decisions cost, not what a deployment takes: no provider is called and nothing is
//! written. `chain` has no two steps side by side, `layers` as many as a wide deployment, `fan` all at once.

use std::hint::black_box;
use std::time::Duration;

use code_core::engine::scheduler::{Command, Input, Limits, Node, Rules, Scheduler, Start};
use code_core::graph::Graph;
use code_core::provider::Class;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Nothing here waits, so one time does for all.
const NOW: Duration = Duration::ZERO;

type Edges = Vec<(usize, usize)>;
type Shape = fn(usize) -> Edges;

fn chain(steps: usize) -> Edges {
    (1..steps).map(|i| (i, i - 1)).collect()
}

/// Layers of ten, each step needing three of the layer before.
fn layers(steps: usize) -> Edges {
    let edge = |i: usize, k: usize| (i, (i / 10 - 1) * 10 + (i * 7 + k * 3) % 10);
    (10..steps).flat_map(|i| (0..3).map(move |k| edge(i, k))).collect()
}

fn fan(_: usize) -> Edges {
    Vec::new()
}

fn scheduler(graph: &Graph) -> Scheduler {
    let nodes = (0..graph.len())
        .map(|i| Node { provider: i % 3, duration: (i % 7) as f64, reversible: true, begun_before: false })
        .collect();
    let limits =
        Limits { total: 64, cpu: 8, providers: vec![(32, Class::Io), (16, Class::Mixed), (8, Class::Cpu)] };
    Scheduler::new(graph.clone(), nodes, limits, Rules::default(), &Start::default())
}

/// Every step succeeds, in the order in which it was begun.
fn run(mut scheduler: Scheduler) -> usize {
    let mut running = std::collections::VecDeque::new();
    let mut begun = 0;
    let mut commands = scheduler.handle(NOW, Input::Begin);
    loop {
        for command in commands.drain(..) {
            if let Command::Start { step, .. } = command {
                begun += 1;
                running.push_back(step);
            }
        }
        match running.pop_front() {
            Some(step) => commands = scheduler.handle(NOW, Input::Done(step)),
            None => return begun,
        }
    }
}

fn schedule(c: &mut Criterion) {
    let mut group = c.benchmark_group("scheduler");
    let shapes: [(&str, Shape); 3] = [("chain", chain), ("layers", layers), ("fan", fan)];
    for (shape, edges) in shapes {
        for steps in [100, 1_000, 10_000] {
            let Ok(graph) = Graph::new(steps, edges(steps)) else { continue };
            group.throughput(Throughput::Elements(steps as u64));
            group.bench_with_input(BenchmarkId::new(shape, steps), &graph, |b, graph| {
                b.iter_batched(|| scheduler(graph), |s| black_box(run(s)), BatchSize::LargeInput);
            });
        }
    }
    group.finish();

    let mut group = c.benchmark_group("graph");
    for steps in [1_000, 10_000] {
        let edges = layers(steps);
        group.throughput(Throughput::Elements(steps as u64));
        group.bench_with_input(BenchmarkId::new("new", steps), &edges, |b, edges| {
            b.iter(|| black_box(Graph::new(steps, edges.iter().copied())));
        });
    }
    group.finish();
}

criterion_group!(benches, schedule);
criterion_main!(benches);
