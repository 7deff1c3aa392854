//! The boundary to the machine: processes, the clock, the environment and files.

use std::ffi::OsString;
use std::fmt;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::{Error, ErrorKind, Result, Secret};

/// A machine on which tools are run.
///
/// Only a host touches processes, the clock and the environment; everything else asks one, so that it can
/// be tested with another, and run on another machine.
///
/// # Behavior
/// - `run` takes an argument list, never a shell line, and gives the child exactly the environment that the
///   command names.
/// - `run` ends the child and all its descendants when `cancel` is cancelled, when the time limit passes and
///   when the caller is gone: one interrupt, its `grace`, then the whole group.
/// - What a command is tied to lives until the child and all its descendants are gone, also where the caller
///   was killed before them.
/// - A program that ends with another code than 0 is an [`Output`], not an error.
/// - `write` is atomic and durable: a reader sees the old bytes or the new ones.
/// - `read` of a file that is not there is `None`.
/// - `now` may be set by anybody at any time; `uptime` never goes back, and goes on by what a `sleep` takes.
#[async_trait]
pub trait Host: fmt::Debug + Send + Sync + 'static {
    /// The time, for people: it may jump.
    fn now(&self) -> Timestamp;
    /// How long it has run, by a clock that nobody sets: what waits and leases are measured by.
    fn uptime(&self) -> Duration;
    /// How long a command may go on after its caller is gone.
    fn grace(&self) -> Duration;
    /// A variable of the environment.
    fn env(&self, name: &str) -> Option<String>;
    /// The user as whom this process runs, by name where it has one, else by number.
    fn user(&self) -> String;
    /// Where a program is, searched as a shell would.
    fn which(&self, program: &str) -> Option<PathBuf>;
    /// Waits.
    async fn sleep(&self, duration: Duration);
    /// Runs a command to its end; `on_line` gets each line of its two outputs as it comes.
    async fn run(
        &self,
        cancel: &CancellationToken,
        command: Command,
        on_line: &(dyn for<'l> Fn(&'l str) + Send + Sync),
    ) -> Result<Output>;
    /// The bytes of a file.
    async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>>;
    /// Replaces the bytes of a file, with these permission bits.
    async fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<()>;
}

/// A command to run: a program and its arguments, never a shell line.
#[derive(Clone, Default)]
pub struct Command {
    /// The program, by path or by a name to look up.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// The whole environment of the child but `PATH`, `HOME`, `LANG` and `TMPDIR`, which it inherits.
    pub env: Vec<(String, EnvValue)>,
    /// The directory in which it runs.
    pub cwd: Option<PathBuf>,
    /// What it reads from standard input; nothing by default.
    pub stdin: Option<Vec<u8>>,
    /// Another user and group to run as, by number; needs root.
    pub user: Option<(u32, u32)>,
    /// The longest that it may take.
    pub timeout: Option<Duration>,
    /// How long it has after the interrupt to end by itself, where that is not what the host gives to all.
    pub grace: Option<Duration>,
    /// What must live as long as it and all that it starts; at most two.
    pub ties: Vec<Tie>,
}

/// Something that is open for as long as a command that is tied to it: a lock, which must not be free while an
/// orphan still works under it.
///
/// ```text
/// engine ── lock file ◀── guard of the command        killed engine: the guard keeps the lock
///                             └── the command, its descendants     until the last of them is gone
/// ```
///
/// A tie does not keep anything open by itself: one that was let go of cannot be tied to any more.
#[derive(Clone)]
pub struct Tie(Weak<dyn AsFd + Send + Sync>);

impl Tie {
    /// A tie to something open.
    pub fn to<T: AsFd + Send + Sync + 'static>(open: &Arc<T>) -> Tie {
        let weak: Weak<T> = Arc::downgrade(open);
        Tie(weak)
    }

    /// What it ties to, where that is still open.
    pub fn open(&self) -> Option<Arc<dyn AsFd + Send + Sync>> {
        self.0.upgrade()
    }
}

/// The same where they tie to the same.
impl PartialEq for Tie {
    fn eq(&self, other: &Tie) -> bool {
        self.0.ptr_eq(&other.0)
    }
}

impl Eq for Tie {}

impl fmt::Debug for Tie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tie")
    }
}

/// The value of a variable of a child's environment.
#[derive(Clone)]
pub enum EnvValue {
    /// A plain value.
    Plain(String),
    /// A secret one, which is never shown.
    Secret(Secret),
}

impl EnvValue {
    /// The value, for the one place that hands it to the child.
    pub fn expose(&self) -> &str {
        match self {
            EnvValue::Plain(value) => value,
            EnvValue::Secret(secret) => secret.expose(),
        }
    }
}

impl Command {
    /// A command of this program, without arguments.
    pub fn new(program: impl Into<PathBuf>) -> Command {
        Command { program: program.into(), ..Command::default() }
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Command {
        self.args.push(arg.into());
        self
    }

    /// With more arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Command {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Command {
        self.env.push((name.into(), EnvValue::Plain(value.into())));
        self
    }

    /// With a secret variable in its environment.
    #[must_use]
    pub fn secret_env(mut self, name: impl Into<String>, value: Secret) -> Command {
        self.env.push((name.into(), EnvValue::Secret(value)));
        self
    }

    /// In this directory.
    #[must_use]
    pub fn cwd(mut self, dir: impl Into<PathBuf>) -> Command {
        self.cwd = Some(dir.into());
        self
    }

    /// As another user; needs root.
    #[must_use]
    pub fn user(mut self, user: Option<(u32, u32)>) -> Command {
        self.user = user;
        self
    }

    /// With something to read.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Command {
        self.stdin = Some(bytes.into());
        self
    }

    /// With its own time between the interrupt and the end.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Command {
        self.grace = Some(grace);
        self
    }

    /// With something that must live as long as it and all that it starts.
    #[must_use]
    pub fn tied_to(mut self, tie: Tie) -> Command {
        self.ties.push(tie);
        self
    }

    /// With a time limit.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Command {
        self.timeout = Some(limit);
        self
    }
}

/// Names and arguments only: no value of a variable, no standard input.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program.display())?;
        for arg in &self.args {
            write!(f, " {}", arg.display())?;
        }
        for (name, _) in &self.env {
            write!(f, " {name}=…")?;
        }
        Ok(())
    }
}

/// What a command left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Its exit code, or `None` where a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output, up to 16 MiB.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, up to 16 MiB.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Whether it ended with code 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The last `lines` lines of standard error, else of standard output: what to show of a failure.
    pub fn tail(&self, lines: usize) -> String {
        let bytes = if self.stderr.trim_ascii().is_empty() { &self.stdout } else { &self.stderr };
        let text = String::from_utf8_lossy(bytes);
        let all: Vec<&str> = text.trim_end().lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

/// The error of a program that is not on the machine.
pub fn no_program(program: &Path) -> Error {
    let name = program.display();
    Error::new(ErrorKind::Missing, "host::no-program", format!("find the program `{name}`"))
        .help(format!("install `{name}`, or put its directory in PATH"))
        .with("program", name.to_string())
}
