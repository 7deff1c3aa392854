//! Everything that CI does, one part after the other, each with its time. A failing part does not hide those
//! behind it.

use std::process::Command;
use std::time::Instant;

use crate::{features, shell, sim, test, tidy};

/// Runs all parts; gives whether each succeeded.
pub(crate) fn run() -> bool {
    let mut parts: Vec<(&str, bool, u64)> = Vec::new();
    let mut part = |name: &'static str, run: &mut dyn FnMut() -> bool| {
        println!("\n==> {name}");
        let begin = Instant::now();
        let good = run();
        parts.push((name, good, begin.elapsed().as_secs()));
    };
    // What is quick first.
    part("tidy", &mut || tidy::run(false));
    let mut counts = test::Counts::default();
    part("test", &mut || {
        counts = test::run(true);
        counts.good
    });
    part("sim", &mut || {
        let played = sim::run(sim::SEEDS);
        counts.add(&played);
        played.good
    });
    part("features", &mut features::run);
    part("clippy", &mut || {
        let all =
            ["clippy", "--workspace", "--all-targets", "--all-features", "--locked", "--", "-D", "warnings"];
        shell::run(shell::cargo(&all))
    });
    part("doc", &mut || {
        let mut doc = shell::cargo(&[
            "doc",
            "--workspace",
            "--exclude",
            "examples",
            "--exclude",
            "xtask",
            "--no-deps",
            "--all-features",
            "--locked",
        ]);
        doc.env("RUSTDOCFLAGS", "-D warnings");
        shell::run(doc)
    });
    part("deny", &mut || deny().is_some_and(shell::run));

    println!("\n==> summary");
    for (name, good, seconds) in &parts {
        println!(
            "{} {name:8} {:3} min {:02} s",
            if *good { "ok    " } else { "FAILED" },
            seconds / 60,
            seconds % 60
        );
    }
    let total: u64 = parts.iter().map(|(_, _, seconds)| seconds).sum();
    println!("       total    {:3} min {:02} s", total / 60, total % 60);
    counts.print();
    parts.iter().all(|(_, good, _)| *good)
}

/// Bans, licences and sources; the database of advisories is not asked, as it needs a network of its own.
fn deny() -> Option<Command> {
    let Some(program) = shell::find("cargo-deny") else {
        eprintln!(
            "xtask: cargo-deny is not here; `cargo install --locked cargo-deny` brings it, and .ci/run does"
        );
        return None;
    };
    let args = ["--locked", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"];
    Some(shell::command(program, &args))
}
