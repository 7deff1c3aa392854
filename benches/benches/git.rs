//! What an export adds to a deployment: a commit in the deployment's own repository, and one that is pushed.
//!
//! Each is a later revision of a deployment that has a history, as nearly all are. The first one makes the
//! repository, too.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a bench ends where something fails")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use code_core::Ctx;
use code_core::export::Exporter;
use code_core::local::LocalHost;
use code_core::memory::MemorySecrets;
use code_providers::git::{GitExporter, Place};
use criterion::{Criterion, criterion_group, criterion_main};
use tempfile::TempDir;
use tokio::runtime::Runtime;

fn ground() -> (Runtime, Ctx, TempDir) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let dir = TempDir::new().unwrap();
    let state = dir.path().join("state");
    let ctx = Ctx::new(Arc::new(LocalHost::new()), Arc::new(MemorySecrets::new()), state);
    (runtime, ctx, dir)
}

/// A bare repository beside the state directory.
fn remote(dir: &Path) -> Place {
    let path = dir.join("remote.git");
    let made = Command::new("git").args(["init", "--quiet", "--bare"]).arg(&path).status().unwrap();
    assert!(made.success());
    Place::of(&format!("file://{}", path.display()), dir).unwrap()
}

fn export(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("git/export");
    for pushed in [false, true] {
        let (runtime, ctx, dir) = ground();
        let place = if pushed { remote(dir.path()) } else { Place::Own };
        let exporter = GitExporter::new().to(place);
        let mut revision = 1;
        runtime.block_on(exporter.export(&ctx, &benches::export(revision).unwrap())).unwrap();
        group.bench_function(if pushed { "pushed" } else { "own repository" }, |bencher| {
            bencher.iter(|| {
                revision += 1;
                runtime.block_on(exporter.export(&ctx, &benches::export(revision).unwrap())).unwrap()
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_secs(1));
    targets = export
}
criterion_main!(benches);
