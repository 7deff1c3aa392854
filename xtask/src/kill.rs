//! Real runs, killed at every kind of point and at random moments: `cargo xtask kill`.
//!
//! It builds the front with all features, `kill-points` among them, and runs the stories `kills`, `cluster_kills`,
//! `exports` and `roots_killed` with it, which print where how often was killed and what was found afterwards. CI runs
//! the same, with fewer kills.

use crate::shell;

/// How often runs are killed where nobody says otherwise.
const COUNT: &str = "300";

/// Reads `--count N` and `--seed S`, and kills; `None` where the arguments are wrong.
pub(crate) fn run(args: &[&str]) -> Option<bool> {
    let (count, seed) = read(args)?;
    let build = ["build", "-p", "examples", "--all-features", "--example", "deploy"];
    let test = ["test", "-p", "examples", "--all-features", "--test", "story"];
    let mut kill =
        shell::cargo(&[&test[..], &["--", "--nocapture", "kills::", "exports::", "roots_killed::"]].concat());
    kill.env("KILL_COUNT", count).env("KILL_SEED", seed);
    Some(shell::run(shell::cargo(&build)) && shell::run(kill))
}

fn read<'a>(args: &[&'a str]) -> Option<(&'a str, &'a str)> {
    let (mut count, mut seed) = (COUNT, "1");
    for pair in args.chunks(2) {
        match pair {
            ["--count", value] if value.parse::<u32>().is_ok() => count = value,
            ["--seed", value] if value.parse::<u32>().is_ok() => seed = value,
            _ => return None,
        }
    }
    Some((count, seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_and_a_seed_are_numbers() {
        assert_eq!(read(&[]), Some(("300", "1")));
        assert_eq!(read(&["--seed", "7", "--count", "30"]), Some(("30", "7")));
        assert_eq!(read(&["--count"]), None);
        assert_eq!(read(&["--count", "many"]), None);
        assert_eq!(read(&["--all", "1"]), None);
    }
}
