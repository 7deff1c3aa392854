//! The tests of the whole workspace, prepared and counted.
//!
//! Two conventions of the tests are kept here. A test that cannot run prints `skipped: WHAT: WHY` and ends; it
//! counts as skipped, and in CI as a failure. A test that measures prints `figure: WHAT: VALUE`, which is shown
//! at the end; libtest itself shows nothing that a passing test prints.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use test_cluster::Cluster;

use crate::{kubernetes, prepare, roots, shell};

/// What became of the tests.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
    /// What was skipped, and why.
    pub(crate) skipped: Vec<String>,
    /// What was measured.
    pub(crate) figures: Vec<String>,
    /// Whether everything was built and run, and nothing failed.
    pub(crate) good: bool,
}

/// Prepares the machine and runs all tests.
pub(crate) fn run(ci: bool) -> Counts {
    let missing = prepare::all(ci);
    // The slowest of what the tests need is built beside the compile, one after the other: each takes all the memory
    // that a small machine has.
    let built = ci.then(|| std::thread::spawn(|| (kubernetes::bring(), roots::bring())));
    if let Some(built) = built {
        if !built.is_finished() {
            shell::run(shell::cargo(&["test", "--workspace", "--no-run", "--all-features", "--locked"]));
        }
        // What could not be built is missed by its tests, which say so.
        let _ = built.join();
    }
    // One cluster for all test programs; it ends with this one, however that ends.
    let cluster = test_cluster::start();
    let mut counts = cargo_test(ci, cluster.as_ref().ok());
    counts.skipped.extend(missing.iter().map(ToString::to_string));
    match cluster {
        Ok(cluster) => counts.figures.extend(cluster.figure()),
        Err(why) => counts.skipped.push(format!("Kubernetes: {why}")),
    }
    if ci && !(counts.skipped.is_empty() && counts.ignored == 0) {
        eprintln!("xtask: in CI, whatever is skipped is a failure");
        counts.good = false;
    }
    counts
}

fn cargo_test(ci: bool, cluster: Option<&Cluster>) -> Counts {
    let mut args = vec!["test", "--workspace", "--all-features", "--no-fail-fast"];
    if ci {
        args.push("--locked");
    }
    args.extend(["--", "--show-output"]);
    let mut command = shell::cargo(&args);
    if ci {
        // Tests that would skip something say so as a failure.
        command.env("CI", "true");
    }
    roots::lend(&mut command);
    if let Some(cluster) = cluster {
        command.env(test_cluster::JOIN, cluster.kubeconfig());
    }
    count(command)
}

/// Runs a command line of `cargo test`, and counts.
pub(crate) fn count(mut command: Command) -> Counts {
    command.stdout(Stdio::piped());
    shell::show(&command);
    let mut reading = Reading::default();
    let status = command.spawn().and_then(|mut child| {
        for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).split(b'\n')) {
            let line = String::from_utf8_lossy(&line?).into_owned();
            if reading.take(&line) {
                println!("{line}");
            }
        }
        child.wait()
    });
    match status {
        Ok(status) => reading.counts.good = status.success() && reading.counts.failed == 0,
        Err(error) => eprintln!("xtask: failed to run cargo: {error}"),
    }
    reading.counts
}

impl Counts {
    /// Those of more tests.
    pub(crate) fn add(&mut self, more: &Counts) {
        self.passed += more.passed;
        self.failed += more.failed;
        self.ignored += more.ignored;
        self.skipped.extend(more.skipped.iter().cloned());
        self.figures.extend(more.figures.iter().cloned());
    }

    /// Prints what was measured and skipped and, last, the counts; gives whether all is well.
    pub(crate) fn print(&self) -> bool {
        for figure in &self.figures {
            println!("figure: {figure}");
        }
        for skipped in &self.skipped {
            println!("skipped: {skipped}");
        }
        let skipped = self.ignored + self.skipped.len() as u64;
        println!("{} passed, {} failed, {skipped} skipped", self.passed, self.failed);
        self.good
    }
}

/// Reads what `cargo test -- --show-output` writes, line by line.
#[derive(Debug, Default)]
struct Reading {
    counts: Counts,
    /// Whether the lines are what passing tests printed.
    successes: bool,
    /// Rules of a contract that do not apply to what was tested: nothing that should have run was left out.
    not_claimed: u64,
}

impl Reading {
    /// Takes a line; true where a person should see it.
    fn take(&mut self, line: &str) -> bool {
        if line.contains(" ... ignored (not claimed: ") {
            self.not_claimed += 1;
        }
        if let Some(skipped) = line.strip_prefix("skipped: ") {
            self.counts.skipped.push(skipped.to_owned());
        } else if let Some(figure) = line.strip_prefix("figure: ") {
            self.counts.figures.push(figure.to_owned());
        } else if let Some(result) = line.strip_prefix("test result: ") {
            self.successes = false;
            self.add(result);
        } else if line == "successes:" {
            self.successes = true;
        } else if line == "failures:" {
            self.successes = false;
        }
        !self.successes
    }

    /// Adds up `ok. 12 passed; 0 failed; 1 ignored; 0 measured; …`.
    fn add(&mut self, result: &str) {
        for part in result.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let (Some(number), Some(word)) = (words.next(), words.next()) else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match word {
                "passed" => self.counts.passed += number,
                "failed" => self.counts.failed += number,
                "ignored" => {
                    self.counts.ignored += number - std::mem::take(&mut self.not_claimed).min(number)
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_several_test_programs_is_added_up() {
        let output = "\
running 2 tests
test a ... ok
test b ... ok

successes:

---- a stdout ----
figure: interpretation of the corpus: f1 0.91
skipped: PostgreSQL: its programs are not here
noise

successes:
    a
    b

test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.96s

running 2 tests
test what_cannot_be_changed_is_replaced ... ignored (not claimed: `replace`: it never does)
test d ... ok

test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.96s

running 1 test
test c ... FAILED

failures:

---- c stdout ----
it is wrong

test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
";
        let mut reading = Reading::default();
        let shown: Vec<&str> = output.lines().filter(|line| reading.take(line)).collect();
        let counts = &reading.counts;
        assert_eq!((counts.passed, counts.failed, counts.ignored), (3, 1, 1));
        assert_eq!(counts.figures, ["interpretation of the corpus: f1 0.91"]);
        assert_eq!(counts.skipped, ["PostgreSQL: its programs are not here"]);
        assert!(shown.contains(&"it is wrong"));
        assert!(shown.contains(&"test c ... FAILED"));
    }
}
