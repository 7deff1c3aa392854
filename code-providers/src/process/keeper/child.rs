//! A process that the keeper started or adopted: starting, watching and ending it.
//!
//! It is the leader of its own session and group, and is watched and signalled through a pidfd
//! (pidfd_open(2)), which never means another process than the one it was opened for. Its output goes
//! straight to a file, not through a pipe: a pipe would break when the keeper dies, and the process with it.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use code_core::{Error, ErrorKind, Result};
use process_wrap::std::{CommandWrap, ProcessSession};
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getrlimit, kill_process_group,
    pidfd_open, pidfd_send_signal, prlimit, setrlimit, waitid,
};
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep, timeout};

use super::protocol::Disclosed;
use super::table::{Ending, Job, StopSignal};
use crate::process::identity::{Identity, KEY_VARIABLE, Stat};
use crate::process::port;

/// How often processes that are ending are looked at.
const GLANCE: Duration = Duration::from_millis(20);
/// How long the kernel may take to end what was killed.
const DEATH: Duration = Duration::from_secs(10);

/// A process that runs, or ran and was not yet seen to end.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) identity: Identity,
    pidfd: AsyncFd<OwnedFd>,
    /// Whether it is a child of this keeper, which alone can learn its exit code.
    ours: bool,
}

impl Child {
    /// Starts a process.
    pub(super) fn start(job: &Job, port: Option<u16>, secrets: &Disclosed) -> Result<Child> {
        let pid = spawn(job, port, secrets).map_err(|error| start_failed(job, error))?;
        // It cannot be gone before it is waited for, even where it ended at once: it stays as a zombie.
        let start = Stat::read(pid).map(|stat| stat.start).unwrap_or_default();
        let boot = crate::process::identity::boot_id()?;
        Child::watch(Identity { pid, start, boot, argv: job.argv() }, true)
            .map_err(|error| start_failed(job, error))
    }

    /// Watches a process that an earlier keeper started; `None` where it is gone.
    pub(super) fn adopt(identity: &Identity) -> Option<Child> {
        // Opened first, looked at afterwards: what the descriptor means is what was looked at.
        let child = Child::watch(identity.clone(), false).ok()?;
        identity.lives().then_some(child)
    }

    fn watch(identity: Identity, ours: bool) -> io::Result<Child> {
        let fd = pidfd_open(number(identity.pid)?, PidfdFlags::empty())?;
        #[expect(
            deprecated,
            reason = "sound for an `OwnedFd`, which is its descriptor; the other way is unsafe"
        )]
        let pidfd = AsyncFd::with_interest(fd, tokio::io::Interest::READABLE)?;
        Ok(Child { identity, pidfd, ours })
    }

    /// Waits until it has ended by itself, and ends what it left behind. Safe to drop and to call again.
    pub(super) async fn ended(&self, key: &str) -> Ending {
        self.gone().await;
        kill(&self.identity, key);
        self.reap()
    }

    /// Asks it and its group to end, kills what is left after the grace period, and waits until all are gone
    /// and its port is free. Says whether it had to be killed.
    pub(super) async fn stop(&self, job: &Job, port: Option<u16>) -> bool {
        let deadline = Instant::now() + Duration::from_secs(job.grace_seconds);
        let signal = match job.stop_signal {
            StopSignal::Term => Signal::TERM,
            StopSignal::Int => Signal::INT,
            StopSignal::Quit => Signal::QUIT,
        };
        if self.identity.lives()
            && let Ok(pid) = number(self.identity.pid)
        {
            // A failure means that it has just ended.
            let _ = kill_process_group(pid, signal);
        }
        let mut killed = tokio::time::timeout_at(deadline, self.gone()).await.is_err();
        // Others of the group got the signal too; who left the group, gets it now.
        for (pid, start) in self.identity.kin(&job.key) {
            if Stat::read(pid).is_some_and(|stat| stat.session != self.identity.pid) {
                send(pid, start, signal);
            }
        }
        while !self.identity.kin(&job.key).is_empty() {
            if Instant::now() >= deadline {
                killed = true;
                break;
            }
            sleep(GLANCE).await;
        }
        kill(&self.identity, &job.key);
        let _ = timeout(DEATH, self.gone()).await;
        self.reap();
        let end = Instant::now() + DEATH;
        while Instant::now() < end
            && (!self.identity.kin(&job.key).is_empty() || port.is_some_and(|port| is_held(port, self, job)))
        {
            kill(&self.identity, &job.key);
            sleep(GLANCE).await;
        }
        killed
    }

    async fn gone(&self) {
        // A pidfd becomes readable when its process ends, and stays so.
        let _ = self.pidfd.readable().await;
    }

    fn reap(&self) -> Ending {
        if !self.ours {
            return Ending::default();
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        match waitid(WaitId::PidFd(self.pidfd.get_ref().as_fd()), options) {
            Ok(Some(status)) => Ending { code: status.exit_status(), signal: status.terminating_signal() },
            _ => Ending::default(),
        }
    }
}

/// Whether its port is held by something that is going with it: a stranger's listener is not waited for.
fn is_held(port: u16, child: &Child, job: &Job) -> bool {
    let kin = child.identity.kin(&job.key);
    !kin.is_empty() && port::listeners(port).iter().any(|pid| kin.contains_key(pid))
}

/// Kills everything that belongs to a process.
fn kill(identity: &Identity, key: &str) {
    for (pid, start) in identity.kin(key) {
        send(pid, start, Signal::KILL);
    }
}

/// Signals the process of this number and start, and no other.
fn send(pid: i32, start: u64, signal: Signal) {
    let Ok(number) = number(pid) else { return };
    let Ok(fd) = pidfd_open(number, PidfdFlags::empty()) else { return };
    if Stat::read(pid).is_some_and(|stat| stat.start == start) {
        // A failure means that it has just ended.
        let _ = pidfd_send_signal(fd, signal);
    }
}

fn number(pid: i32) -> io::Result<Pid> {
    Pid::from_raw(pid).ok_or_else(|| io::Error::other("no process has the number 0"))
}

#[expect(clippy::disallowed_methods, reason = "the keeper is the host of the processes that it keeps")]
fn spawn(job: &Job, port: Option<u16>, secrets: &Disclosed) -> io::Result<i32> {
    if let Some(parent) = job.log.parent() {
        fs::create_dir_all(parent)?;
    }
    let log = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&job.log)?;
    let mut command = std::process::Command::new(&job.program);
    command.args(&job.args).env_clear().envs(&job.env).env(KEY_VARIABLE, &job.key);
    command.envs(secrets.iter());
    if let Some(port) = port {
        command.env("PORT", port.to_string());
    }
    if let Some(cwd) = &job.cwd {
        command.current_dir(cwd);
    }
    if let Some((uid, gid)) = job.user {
        command.uid(uid).gid(gid);
    }
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let child = CommandWrap::from(command).wrap(ProcessSession).spawn()?;
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    if let Some(before) = FILES.get() {
        // It may have ended already.
        let _ = prlimit(Pid::from_raw(pid), Resource::Nofile, *before);
    }
    Ok(pid)
}

/// The limit of open files with which the keeper was started: its processes get this one.
static FILES: OnceLock<Rlimit> = OnceLock::new();

/// Lets the keeper have as many open files as it may: each request through a route takes two.
pub(super) fn open_many_files() {
    let before = getrlimit(Resource::Nofile);
    let most = Rlimit { current: before.maximum, maximum: before.maximum };
    // Where it may not, it has as many as before.
    let _ = setrlimit(Resource::Nofile, most);
    let _ = FILES.set(before);
}

fn start_failed(job: &Job, error: io::Error) -> Error {
    let shown = job.program.display().to_string();
    let missing_dir = job.cwd.as_ref().filter(|cwd| !cwd.is_dir());
    let (code, help) = match (error.kind(), missing_dir) {
        (_, Some(cwd)) => ("process::no-directory", format!("make the directory {}", cwd.display())),
        (io::ErrorKind::NotFound, None) => (
            "process::no-program",
            "check the start command: its program, or its interpreter, is not there".into(),
        ),
        (io::ErrorKind::PermissionDenied, None) => (
            "process::not-executable",
            format!("run `chmod +x {shown}`, or start it through its interpreter"),
        ),
        _ => ("process::spawn", "see the cause; the start command is run without a shell".into()),
    };
    Error::new(ErrorKind::Failed, code, format!("start {shown} for {}", job.place)).help(help).because(error)
}
