//! How the keeper comes to be: the running executable, executed again twice.
//!
//! ```text
//! command ── exec ──▶ EXE __keeper DIR ── exec ──▶ EXE __keeper DIR --serve
//!    └── waits for ───▶ own session; ends when        the keeper; its parent is init then
//!                       it listens, or has ended
//! ```
//!
//! Executing instead of forking: a program with threads must not fork without executing. The step between
//! leaves nobody who would have to wait for the keeper's end, and knows at once of one that cannot start.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use code_core::{Error, ErrorKind, Host, Layout, Result, kill};

use super::client::{COMING_UP, socket, with_last_words};
use super::serve;

/// The pause between two looks at a keeper that comes up.
const GLANCE: Duration = Duration::from_millis(10);

/// The hidden argument.
const ARGUMENT: &str = "__keeper";
/// The second hidden argument: this is the keeper itself.
pub(super) const SERVE: &str = "--serve";
/// What a keeper inherits of the environment.
const INHERITED: [&str; 6] = ["PATH", "HOME", "LANG", "TMPDIR", "USER", "XDG_RUNTIME_DIR"];

/// What it inherits besides in a build whose tests kill it.
#[cfg(feature = "kill-points")]
const KILL: Option<&str> = Some("CODE_KILL_AT");
#[cfg(not(feature = "kill-points"))]
const KILL: Option<&str> = None;

/// Whether this program's `main` would become a keeper when it is asked to.
static CALLED: AtomicBool = AtomicBool::new(false);

/// Becomes the keeper where this process was started as one, and says with what code to end then; returns
/// `None` at once everywhere else. It must be the first line of `main` of a program that deploys to the
/// local machine:
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     if let Some(code) = code_providers::keeper_main() {
///         return code;
///     }
///     // … the program …
///     std::process::ExitCode::SUCCESS
/// }
/// ```
pub fn keeper_main() -> Option<ExitCode> {
    keeper_main_from(std::env::args_os())
}

/// [`keeper_main`] with other arguments than those of the process; the first is the program's own name.
pub fn keeper_main_from(args: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    CALLED.store(true, Ordering::Relaxed);
    let mut args = args.into_iter().skip(1);
    if args.next()? != ARGUMENT {
        return None;
    }
    let state_dir = PathBuf::from(args.next()?);
    let result = if args.next().is_some_and(|arg| arg == SERVE) {
        serve::serve(&state_dir).map(|()| ExitCode::SUCCESS)
    } else {
        detach(&state_dir)
    };
    Some(match result {
        Ok(code) => code,
        Err(error) => {
            // Standard error of a keeper is its own log file.
            let _ = writeln!(std::io::stderr(), "{error:?}");
            ExitCode::FAILURE
        }
    })
}

/// The program that becomes the keeper when it is started with the hidden argument.
#[derive(Clone, Debug, Default)]
pub enum Program {
    /// This one: its `main` begins with [`keeper_main`].
    #[default]
    Own,
    /// Another one, for programs that cannot (tests, plug-ins); these arguments come first.
    Other(PathBuf, Vec<OsString>),
}

impl Program {
    /// Whether it would become a keeper.
    ///
    /// # Errors
    /// `keeper::not-called` where this program's `main` did not call [`keeper_main`]: executed again, it
    /// would do its usual work instead.
    pub fn check(&self) -> Result<()> {
        if matches!(self, Program::Own) && !CALLED.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Unsupported, "keeper::not-called", "start a keeper")
                .help("call `code_providers::keeper_main()` in the first line of `main`"));
        }
        Ok(())
    }

    fn command_line(&self) -> Result<(PathBuf, Vec<OsString>)> {
        self.check()?;
        match self {
            Program::Other(path, args) => Ok((path.clone(), args.clone())),
            Program::Own => own().map(|path| (path, Vec::new())),
        }
    }

    /// Starts a keeper for this state directory; it ends again at once where there is one already.
    pub(super) async fn launch(&self, host: &dyn Host, state_dir: &Path) -> Result<()> {
        let keeper = Layout::new(state_dir).keeper();
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Failed, "keeper::launch", "start a keeper")
                .help("check that the state directory is yours to write, and see the keeper's own log")
                .because(error)
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&keeper).map_err(failed)?;
        let log = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(keeper.join("keeper.log"))
            .map_err(failed)?;
        let (program, args) = self.command_line()?;
        #[expect(clippy::disallowed_methods, reason = "a host ends what it runs; the keeper is to stay")]
        let mut command = tokio::process::Command::from(std::process::Command::new(program));
        command.args(args).arg(ARGUMENT).arg(state_dir).env_clear().current_dir("/");
        command.envs(INHERITED.into_iter().chain(KILL).filter_map(|name| Some((name, host.env(name)?))));
        kill::point("launch.before");
        let status =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).status().await.map_err(failed)?;
        kill::point("launch.after");
        // One that was killed on its way may have got through or not: whoever waits for a keeper finds out.
        let killed = status.code().is_none();
        if status.success() || killed {
            Ok(())
        } else {
            Err(with_last_words(failed(std::io::Error::other(status.to_string())), state_dir))
        }
    }
}

/// Leaves the command's session, starts the keeper itself, and waits until it listens or has ended; its own
/// failure, which it has written into its log, is this process's.
fn detach(state_dir: &Path) -> Result<ExitCode> {
    let failed = |error: std::io::Error| {
        Error::new(ErrorKind::Failed, "keeper::launch", "detach the keeper")
            .help("see the cause; the command that needed the keeper can be tried again")
            .because(error)
    };
    rustix::process::setsid().map_err(|error| failed(error.into()))?;
    let mut args: Vec<OsString> = std::env::args_os().skip(1).collect();
    args.push(SERVE.into());
    #[expect(clippy::disallowed_methods, reason = "a host ends what it runs; the keeper is to stay")]
    let mut command = std::process::Command::new(own()?);
    kill::point("detach.before");
    let keeper = command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    let mut keeper = keeper.map_err(failed)?;
    kill::point("detach.after");
    tracing::debug!(state_dir = %state_dir.display(), "keeper detached");
    let listens = || socket(state_dir).is_some_and(|path| UnixStream::connect(path).is_ok());
    let until = Instant::now() + COMING_UP;
    while Instant::now() < until && !listens() {
        match keeper.try_wait().map_err(failed)? {
            // It ends well where there is another one; whether one that was killed is to be followed by
            // another, is for whoever waits to find out.
            Some(ended) if ended.success() || ended.code().is_none() => break,
            Some(_) => return Ok(ExitCode::FAILURE),
            None => std::thread::sleep(GLANCE),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The running executable; through `/proc` where its file was replaced since.
fn own() -> Result<PathBuf> {
    match std::env::current_exe() {
        Ok(path) if path.exists() => Ok(path),
        _ => Ok(PathBuf::from("/proc/self/exe")),
    }
}
