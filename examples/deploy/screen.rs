//! Where output goes: text for people, JSON lines for programs, and a question where one may be asked.
//!
//! ```text
//!              without --json                 with --json
//! page         standard output                nothing
//! note         standard error                 nothing
//! line         --json-into FILE, if any       standard output, and the file
//! ```

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use code_core::{Error, ErrorKind, Host, Result};
use serde::Serialize;
use serde_json::Value;

use crate::cli::{Options, ProgressMode};
use crate::json::{self, Line};
use crate::pager::Pager;
use crate::progress::Pace;
use crate::style::{Style, use_color, use_unicode};

/// Where output goes.
#[derive(Debug)]
pub struct Screen {
    /// How pages on standard output look.
    pub style: Style,
    /// How notes on standard error look.
    pub notes: Style,
    /// Whether standard output is JSON.
    pub json: bool,
    /// Whether only what matters is said.
    pub quiet: bool,
    /// Whether nothing is changed: every line says so.
    pub dry_run: bool,
    /// Whether standard error is a terminal that can show bars.
    pub bars: bool,
    /// Whether a person can be asked.
    pub interactive: bool,
    /// How often it is said that a run is alive.
    pub pace: Pace,
    pager: Option<Pager>,
    into: Option<Mutex<File>>,
    lost: Mutex<Option<io::Error>>,
    host: Arc<dyn Host>,
}

/// What stands before every line of a dry run.
const DRY: &str = "dry run: ";

impl Screen {
    /// The screen that the options ask for.
    ///
    /// # Errors
    /// `front::json-into` where the file cannot be written.
    pub fn new(options: &Options, host: Arc<dyn Host>) -> Result<Screen> {
        let env = &|name: &str| host.env(name);
        let into = match &options.json_into {
            Some(path) => Some(Mutex::new(File::create(path).map_err(|error| into_error(path, &error))?)),
            None => None,
        };
        let json = options.json || options.progress == ProgressMode::Json;
        let style = |terminal: bool, size: Option<usize>| Style {
            width: size.unwrap_or(100).clamp(40, 140),
            color: use_color(options.color, env, terminal),
            unicode: use_unicode(env),
            full: options.full,
        };
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let columns = env("COLUMNS").and_then(|columns| columns.parse().ok());
        let size = |fd| rustix::termios::tcgetwinsize(fd).ok();
        let rows = size(rustix::stdio::stdout()).map(|size| usize::from(size.ws_row)).filter(|_| out);
        let pager = Pager::find(options, json, rows, &*host);
        let width = |fd| size(fd).map(|size| usize::from(size.ws_col));
        let seen = |fd| width(fd).filter(|columns| *columns > 0).or(columns);
        let (style, notes) =
            (style(out, seen(rustix::stdio::stdout())), style(err, seen(rustix::stdio::stderr())));
        Ok(Screen {
            style,
            notes,
            json,
            quiet: options.quiet || options.progress == ProgressMode::Quiet,
            dry_run: options.dry_run,
            bars: err && env("TERM").is_none_or(|term| term != "dumb") && !automated(env),
            interactive: !json && err && io::stdin().is_terminal(),
            pace: Pace::of(env),
            pager,
            into,
            lost: Mutex::default(),
            host,
        })
    }

    /// The time, as the host has it.
    pub fn now(&self) -> jiff::Timestamp {
        self.host.now()
    }

    /// A page for people, on standard output.
    pub fn page(&self, text: &str) {
        if !self.json {
            self.put(&mut io::stdout().lock(), &self.marked(text));
        }
    }

    /// A page that is only read: where it is longer than the terminal, through a pager.
    pub fn long_page(&self, text: &str) {
        if !self.json && !self.pager.as_ref().is_some_and(|pager| pager.show(&self.marked(text))) {
            self.page(text);
        }
    }

    /// A page that `--quiet` leaves out.
    pub fn detail(&self, text: &str) {
        if !self.quiet {
            self.page(text);
        }
    }

    /// A note for people, on standard error.
    pub fn note(&self, text: &str) {
        if !self.json {
            write(&mut io::stderr().lock(), &self.marked(text));
        }
    }

    /// A question on standard error, and the line that answers it; `None` at the end of the input.
    pub async fn ask(&self, question: &str) -> Option<String> {
        write(&mut io::stderr().lock(), question);
        let (sender, answer) = tokio::sync::oneshot::channel();
        // A thread of its own: a read that nobody answers must not hold the end of the program.
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = io::stdin().read_line(&mut line).unwrap_or(0);
            // Nobody waits any more when the program was interrupted at the question.
            let _ = sender.send((read > 0).then_some(line));
        });
        answer.await.ok().flatten()
    }

    /// A line of JSON.
    pub fn line(&self, mut line: Line) {
        line.dry_run = self.dry_run;
        let text = line.text() + "\n";
        if self.json {
            self.put(&mut io::stdout().lock(), &text);
        }
        if let Some(file) = &self.into {
            self.put(&mut *file.lock().unwrap_or_else(PoisonError::into_inner), &text);
        }
    }

    /// Whether JSON goes anywhere.
    pub fn wants_json(&self) -> bool {
        self.json || self.into.is_some()
    }

    /// The answer to a query: a page, and the same as JSON.
    ///
    /// # Errors
    /// `json::write` where it has no JSON.
    pub fn answer(&self, kind: &str, message: &str, page: &str, data: &impl Serialize) -> Result<()> {
        self.long_page(page);
        if self.wants_json() {
            let data: Value = json::to_value(data)?;
            self.line(Line::new(kind, self.now(), message, data));
        }
        Ok(())
    }

    /// Why some of the output could not be written, where that was so: a full disk, never a reader that went away.
    pub fn lost(&self) -> Option<Error> {
        let error = self.lost.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(
            Error::new(ErrorKind::Failed, "front::output", "write all of the output")
                .help("make room where it goes; what was done is done, and `status` shows it")
                .because(error),
        )
    }

    /// Writes all of it, and remembers where that fails.
    fn put(&self, to: &mut dyn Write, text: &str) {
        if let Err(error) = to.write_all(text.as_bytes()).and_then(|()| to.flush())
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            self.lost.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    }

    fn marked(&self, text: &str) -> String {
        if !self.dry_run {
            return text.to_owned();
        }
        text.lines().map(|line| format!("{DRY}{line}\n")).collect()
    }
}

/// Whether a program and not a person reads along: that switches off live views and the pager, and nothing else.
pub fn automated(env: &dyn Fn(&str) -> Option<String>) -> bool {
    /// CI services, and the agents that say who they are.
    const SIGNS: &[&str] =
        &["CI", "AI_AGENT", "AGENT", "CLAUDECODE", "CODEX_SANDBOX", "CURSOR_AGENT", "GEMINI_CLI"];
    SIGNS.iter().any(|name| env(name).is_some_and(|value| !value.is_empty()))
}

/// Writes all of it; a reader that went away is no mistake of ours.
fn write(to: &mut dyn Write, text: &str) {
    // Nobody is left to be told: the exit code still says how it went.
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}

fn into_error(path: &Path, error: &io::Error) -> Error {
    Error::new(ErrorKind::Invalid, "front::json-into", "write the file of `--json-into`")
        .help("name a file in a directory that exists and that you may write")
        .with("path", path.display().to_string())
        .because(error)
}
