//! The project's own chores: `cargo xtask test`, `cargo xtask tidy`, `cargo xtask ci`.
//!
//! ```text
//! .ci/run ──▶ xtask ci ──┬─▶ tidy    what no compiler checks: error pages, links, words, crates
//!                        ├─▶ test    prepares the machine, starts a cluster, runs the tests, counts
//!                        ├─▶ sim     plays whole engines from ten thousand seeds
//!                        └─▶ features, clippy, doc, deny
//! ```

mod ci;
mod features;
mod fuzz;
mod go;
mod kill;
mod kubernetes;
mod prepare;
mod roots;
mod shell;
mod sim;
mod test;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask <COMMAND>

Commands:
  test [--ci]     Prepare what the tests need, run them all with all features, and count
                  (--ci: build what takes minutes, too; whatever is skipped is a failure)
  tidy [--fix]    Check what no compiler checks (--fix: write what can be written)
  features        Check each feature of each library by itself, and none at all
  sim [--seeds N] Play whole engines from so many seeds (10000), in release
  fuzz SECONDS    Feed the grammar with nonsense, and keep what it fails on
  kill [--count N] [--seed S]
                  Kill real runs with SIGKILL at every kind of point, 300 times, and see each end well
  kubernetes      Build the control plane for the tests of the provider: some ten minutes, once
  roots           Build OpenTofu, and what else the tests of its provider run: some eight minutes, once
  ci              Everything that CI does: tidy, test --ci, sim, features, clippy, doc, deny
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let good = match args.as_slice() {
        ["test"] => test::run(false).print(),
        ["test", "--ci"] => test::run(true).print(),
        ["tidy"] => tidy::run(false),
        ["tidy", "--fix"] => tidy::run(true),
        ["features"] => features::run(),
        ["sim"] => sim::run(sim::SEEDS).print(),
        ["sim", "--seeds", seeds] => sim::run(seeds).print(),
        ["fuzz", seconds] => fuzz::run(seconds),
        ["kill", rest @ ..] => match kill::run(rest) {
            Some(good) => good,
            None => {
                eprint!("{USAGE}");
                return ExitCode::from(2);
            }
        },
        ["kubernetes"] => kubernetes::bring(),
        ["roots"] => roots::bring(),
        ["ci"] => ci::run(),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            true
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The commands that [`USAGE`] lists, for the check that the documents name no other.
const COMMANDS: [&str; 9] = ["test", "tidy", "features", "sim", "fuzz", "kill", "kubernetes", "roots", "ci"];
