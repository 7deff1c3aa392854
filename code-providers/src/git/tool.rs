//! The user's own `git`, run so that it asks nothing, pages nothing and runs nothing of a repository's.

use std::path::{Path, PathBuf};
use std::time::Duration;

use code_core::host::{Command, Output};
use code_core::{Ctx, Result};

use super::error;

/// The program.
pub(super) const PROGRAM: &str = "git";
/// The longest that something on this machine may take.
const HERE: Duration = Duration::from_secs(60);
/// The longest that something over a network may take.
const AWAY: Duration = Duration::from_secs(180);

/// Nothing of a repository's own is run: no hook, no file system monitor, no housekeeping. What a commit
/// consists of is on the disk when the branch names it.
const CONFIG: [&str; 5] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.fsync=committed,reference",
    "gc.auto=0",
    "maintenance.auto=false",
];

/// No prompt, no editor, no helper of another protocol; messages as scripts know them.
const ENVIRONMENT: [(&str, &str); 10] = [
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", ""),
    ("SSH_ASKPASS", "/bin/false"),
    ("SSH_ASKPASS_REQUIRE", "force"),
    ("GIT_ALLOW_PROTOCOL", "file:https:ssh"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_EDITOR", "false"),
    ("LC_ALL", "C"),
];

/// What the user's own way to log in may need.
const HANDED_ON: [&str; 15] = [
    "ALL_PROXY",
    "DBUS_SESSION_BUS_ADDRESS",
    "GIT_CONFIG_GLOBAL",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "USER",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "https_proxy",
    "no_proxy",
];

/// `git` in one repository.
#[derive(Clone, Debug)]
pub(super) struct Git<'a> {
    ctx: &'a Ctx,
    at: At,
}

#[derive(Clone, Debug)]
enum At {
    Nowhere,
    /// A repository without a work tree.
    Bare(PathBuf),
    /// A directory of a work tree.
    Tree(PathBuf),
}

impl<'a> Git<'a> {
    /// Where no repository is needed.
    pub(super) fn anywhere(ctx: &'a Ctx) -> Git<'a> {
        Git { ctx, at: At::Nowhere }
    }

    /// In a repository without a work tree.
    pub(super) fn bare(ctx: &'a Ctx, dir: &Path) -> Git<'a> {
        Git { ctx, at: At::Bare(dir.to_owned()) }
    }

    /// In a directory of a work tree.
    pub(super) fn tree(ctx: &'a Ctx, dir: &Path) -> Git<'a> {
        Git { ctx, at: At::Tree(dir.to_owned()) }
    }

    /// The repository, to show.
    pub(super) fn shown(&self) -> String {
        match &self.at {
            At::Nowhere => "no repository".to_owned(),
            At::Bare(dir) | At::Tree(dir) => dir.display().to_string(),
        }
    }

    /// Runs a command on this machine, whatever its exit code.
    pub(super) async fn run(&self, args: &[&str], stdin: impl Into<Vec<u8>>) -> Result<Output> {
        self.limited(args, stdin.into(), HERE).await
    }

    /// Runs a command that goes over a network.
    pub(super) async fn away(&self, args: &[&str]) -> Result<Output> {
        self.limited(args, Vec::new(), AWAY).await
    }

    /// What a command that must succeed writes.
    pub(super) async fn text(&self, args: &[&str]) -> Result<String> {
        let output = self.run(args, []).await?;
        if output.success() {
            return Ok(output.text());
        }
        Err(error::failed(args.first().copied().unwrap_or_default(), &output))
    }

    async fn limited(&self, args: &[&str], stdin: Vec<u8>, limit: Duration) -> Result<Output> {
        let host = self.ctx.host();
        let program = host.which(PROGRAM).ok_or_else(error::missing)?;
        let mut command = Command::new(program).args(["--no-pager", "--literal-pathspecs"]);
        for setting in CONFIG {
            command = command.args(["-c", setting]);
        }
        command = match &self.at {
            At::Nowhere => command,
            At::Bare(dir) => command.arg("--git-dir").arg(dir),
            At::Tree(dir) => command.arg("-C").arg(dir),
        };
        for name in HANDED_ON {
            if let Some(value) = host.env(name) {
                command = command.env(name, value);
            }
        }
        for (name, value) in ENVIRONMENT {
            command = command.env(name, value);
        }
        let command = command.args(args.iter().copied()).stdin(stdin).timeout(limit);
        host.run(self.ctx.cancel(), command, &|_| {}).await
    }
}

/// The name of this machine: an author is a user on one.
pub(super) async fn machine(ctx: &Ctx) -> String {
    let name = ctx.host().read(Path::new("/proc/sys/kernel/hostname")).await.ok().flatten();
    let name = name.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()).unwrap_or_default();
    if name.is_empty() { "localhost".to_owned() } else { name }
}
