//! Whole engines, played from seeds: the tests of `code-core/tests/sim.rs` in release, with many seeds.

use crate::{shell, test};

/// How many seeds CI plays.
pub(crate) const SEEDS: &str = "10000";

/// Plays so many seeds, and one in fifty of them with a death at every moment.
pub(crate) fn run(seeds: &str) -> test::Counts {
    let Ok(count) = seeds.parse::<u64>() else {
        eprintln!("xtask: `{seeds}` is no number of seeds");
        return test::Counts::default();
    };
    let mut command = shell::cargo(&[
        "test",
        "--release",
        "--locked",
        "--package",
        "code-core",
        "--test",
        "sim",
        "--",
        "--show-output",
        // One after the other: each of them takes all cores.
        "--test-threads=1",
    ]);
    command.env("SIM_SEEDS", seeds).env("SIM_EVERYWHERE", (count / 50).max(1).to_string());
    test::count(command)
}
