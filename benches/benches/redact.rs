//! How fast secrets are taken out of what tools write: it must not matter how many there are.

use std::hint::black_box;
use std::time::Duration;

use code_core::{Redactor, Secret};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Lines of so many bytes together.
const SIZE: usize = 64 * 1024;

/// Passwords as they are generated, each another.
fn secret(i: u64) -> String {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut dice = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut letter = || {
        // xorshift64* (Vigna, 2016).
        dice ^= dice >> 12;
        dice ^= dice << 25;
        dice ^= dice >> 27;
        char::from(LETTERS[(dice.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % LETTERS.len()])
    };
    (0..32).map(|_| letter()).collect()
}

/// Lines of a kind until there are enough.
fn lines(line: impl Fn(u64) -> String) -> Vec<String> {
    let mut size = 0;
    let more = |text: &String| {
        size += text.len();
        size < SIZE
    };
    (0..).map(line).take_while(more).collect()
}

fn redact(criterion: &mut Criterion) {
    let texts = [
        (
            "log",
            lines(|i| format!("2026-11-24T03:00:{:02} info request {i} GET /notes/{i} took 3 ms", i % 60)),
        ),
        (
            "json",
            lines(|i| format!(r#"{{"id":{i},"path":"\/notes\/{i}","said":"it's \"done\"","tag":"a%20b"}}"#)),
        ),
        // Digests and tokens look as if something were encoded in them.
        (
            "tokens",
            lines(|i| format!("layer sha256:{0:064x} token {1}{1}", i.wrapping_mul(!7), secret(i + 7777))),
        ),
    ];
    let mut group = criterion.benchmark_group("redact");
    for (name, lines) in &texts {
        group.throughput(Throughput::Bytes(lines.iter().map(|line| line.len() as u64).sum()));
        for secrets in [1, 100, 1000] {
            let redactor = Redactor::default();
            (0..secrets).for_each(|i| redactor.learn(&Secret::new(secret(i))));
            group.bench_function(BenchmarkId::new(*name, format!("{secrets} secrets")), |bencher| {
                bencher.iter(|| {
                    lines.iter().for_each(|line| drop(black_box(redactor.redact(black_box(line)))));
                });
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = redact
}
criterion_main!(benches);
