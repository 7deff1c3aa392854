//! Long pages on a terminal go through a pager, which the reader leaves when done.
//!
//! Only what is read, never what asks or runs; only where a person sits at a terminal, never in CI or under an
//! agent; and never by the variable `PAGER`, which is set for other things: a pager that was not expected hangs
//! whoever called.

use std::io::Write;
use std::process::{Command, Stdio};

use code_core::Host;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Options;
use crate::screen::automated;

/// What is used where nothing else is said: it ends by itself where all fits, keeps colours, and leaves the
/// page on the screen.
const LESS: &[&str] = &["less", "-FRX"];

/// A pager, and how many lines fit without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pager {
    command: Vec<String>,
    rows: usize,
}

impl Pager {
    /// The pager of a terminal with so many rows; `None` where there is none to be used.
    pub fn find(options: &Options, json: bool, rows: Option<usize>, host: &dyn Host) -> Option<Pager> {
        let off = json || options.no_pager || options.quiet || automated(&|name: &str| host.env(name));
        let rows = rows.filter(|rows| *rows > 0 && !off)?;
        let command: Vec<String> = match &options.pager {
            Some(said) => said.split_whitespace().map(str::to_owned).collect(),
            None => LESS.iter().map(|&word| word.to_owned()).collect(),
        };
        let program = command.first()?;
        host.which(program)?;
        Some(Pager { command, rows })
    }

    /// Shows a page; `false` where it fits on the screen, or the pager could not be started.
    pub fn show(&self, page: &str) -> bool {
        if page.lines().count() < self.rows {
            return false;
        }
        let [program, args @ ..] = &self.command[..] else { return false };
        // An interrupt is for the pager: this program must not end under it.
        let held = signal(SignalKind::interrupt());
        #[expect(clippy::disallowed_methods, reason = "a pager has the terminal, which no host hands on")]
        let child = Command::new(program).args(args).stdin(Stdio::piped()).spawn();
        let Ok(mut child) = child else { return false };
        if let Some(mut input) = child.stdin.take() {
            // Left before the end: the rest was not wanted.
            let _ = input.write_all(page.as_bytes());
        }
        let _ = child.wait();
        drop(held);
        true
    }
}

#[cfg(test)]
mod tests {
    use code_core::memory::MemoryHost;
    use code_core::{Error, ErrorKind};

    use super::*;

    fn found(line: &[&str], env: &[(&str, &str)], rows: Option<usize>) -> Option<String> {
        let args: Vec<_> = ["deploy", "status"].iter().chain(line).map(Into::into).collect();
        let (options, _) = crate::cli::parse(&args, false).expect("a good line");
        let mut host = MemoryHost::new();
        for program in ["less", "more"] {
            host = host.with_program(program, |_| Err(Error::new(ErrorKind::Bug, "host::spawn", "run it")));
        }
        for (name, value) in env {
            host = host.with_env(name, value);
        }
        Pager::find(&options, options.json, rows, &host).map(|pager| pager.command.join(" "))
    }

    #[test]
    fn only_for_a_person_at_a_terminal() {
        let rows = Some(24);
        assert_eq!(found(&[], &[], rows).as_deref(), Some("less -FRX"));
        assert_eq!(found(&["--pager", "more -d"], &[], rows).as_deref(), Some("more -d"));
        assert_eq!(found(&[], &[("PAGER", "more")], rows).as_deref(), Some("less -FRX"), "not ours");
        for (line, env, rows) in [
            (&[][..], &[][..], None),
            (&[], &[], Some(0)),
            (&["--json"], &[], rows),
            (&["--no-pager"], &[], rows),
            (&["--quiet"], &[], rows),
            (&["--pager", ""], &[], rows),
            (&["--pager", "nothing-like-it"], &[], rows),
            (&["--pager", "more"], &[("CI", "true")], rows),
            (&["--pager", "more"], &[("AI_AGENT", "1")], rows),
        ] {
            assert_eq!(found(line, env, rows), None, "{line:?} {env:?} {rows:?}");
        }
    }
}
