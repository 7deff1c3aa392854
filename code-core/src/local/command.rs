//! One command, and every process that it starts, until all of them are gone.
//!
//! ```text
//! caller ──────── lines ◀────────┐
//!   │ gone, cancel, time limit   │
//!   └──────────────────▶ supervisor (a task) ── interrupt, grace, kill ──▶ process group
//!                                │                                          guard  (leads it)
//!                                └── lifeline: a pipe ──▶ guard             child
//!                                                                           its descendants
//! ```
//!
//! The group is led by a guard, a shell that waits on a pipe whose other end only this process holds. When
//! this process dies, by whatever signal, the pipe ends and the guard does what the supervisor would have
//! done. As long as the guard is not reaped, the number of the group cannot become another group's.
//!
//! What the command is tied to (a lock) is an open file of the guard's, not of the command's: when this process
//! dies it stays open until nothing else of the group is left, and a daemon that left the group does not hold it.
//!
//! What left the group (`setsid`) is not reached: a daemon of a tool goes on.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::host::{self, Command, Output, Tie};
use crate::{Error, ErrorKind, Result};

/// The most that is kept of each output; the rest is read and left.
const MAX_OUTPUT: usize = 16 << 20;
/// A longer line is told in parts.
const MAX_LINE: usize = 64 << 10;
/// How long an output may stay open when the whole group is gone: a daemon may have inherited it.
const LINGER: Duration = Duration::from_secs(1);

/// Runs a command, and tells its lines, until it ends or has to.
pub(super) async fn run(
    command: Command,
    inherited: Vec<(&'static str, OsString)>,
    grace: Duration,
    cancel: &CancellationToken,
    on_line: &(dyn for<'l> Fn(&'l str) + Send + Sync),
) -> Result<Output> {
    if cancel.is_cancelled() {
        return Err(Why::Cancelled.error(&command));
    }
    // The supervisor outlives the caller: when this future is dropped, `_end` asks it to end the command,
    // and it still has the time to do it gently.
    let cancel = cancel.child_token();
    let _end = cancel.clone().drop_guard();
    let (tell, mut lines) = mpsc::channel(64);
    let supervisor = tokio::spawn(supervise(command, inherited, grace, cancel, tell));
    while let Some(line) = lines.recv().await {
        on_line(&line);
    }
    supervisor.await.unwrap_or_else(|stopped| {
        Err(Error::new(ErrorKind::Cancelled, "host::cancelled", "watch a command: the runtime is ending")
            .help("run it again")
            .because(stopped))
    })
}

/// Why a command is ended before it ends.
#[derive(Clone, Copy, Debug)]
enum Why {
    Cancelled,
    Timeout(Duration),
}

impl Why {
    fn error(self, command: &Command) -> Error {
        let program = command.program.display();
        match self {
            Why::Cancelled => {
                let message = format!("finish `{program}`: it was cancelled");
                Error::new(ErrorKind::Cancelled, "host::cancelled", message).help("run it again")
            }
            Why::Timeout(limit) => {
                let message = format!("finish `{program}` within {limit:?}");
                Error::new(ErrorKind::Timeout, "host::timeout", message)
                    .help("see in its log what it was waiting for; give it more time if it only needs that")
            }
        }
    }
}

async fn supervise(
    command: Command,
    inherited: Vec<(&'static str, OsString)>,
    grace: Duration,
    cancel: CancellationToken,
    tell: mpsc::Sender<String>,
) -> Result<Output> {
    let failed = |error: io::Error| spawn_error(&command, error);
    // For as long as this task: also when the caller is gone, the command is what they are held for.
    let held: Vec<_> = command.ties.iter().filter_map(Tie::open).collect();
    let group = Group::new(grace, &held).map_err(failed)?;
    let mut child = spawn(&command, inherited, &group).map_err(failed)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut output = Output::default();
    let mut status: Option<ExitStatus> = None;
    let mut drained = false;
    {
        let streams = async {
            tokio::join!(
                feed(stdin, command.stdin.as_deref().unwrap_or_default()),
                collect(stdout, &mut output.stdout, &tell),
                collect(stderr, &mut output.stderr, &tell),
            );
        };
        tokio::pin!(streams);
        let limit = async {
            match command.timeout {
                Some(limit) => {
                    sleep(limit).await;
                    Why::Timeout(limit)
                }
                None => std::future::pending().await,
            }
        };
        tokio::pin!(limit);
        let why = loop {
            tokio::select! {
                ended = child.wait() => {
                    status = Some(ended.map_err(failed)?);
                    break None;
                }
                () = &mut streams, if !drained => drained = true,
                () = cancel.cancelled() => break Some(Why::Cancelled),
                why = &mut limit => break Some(why),
            }
        };
        if why.is_some() {
            group.interrupt();
            // Until the child has ended and nobody has its outputs open any more.
            let gone = async {
                tokio::join!(child.wait(), async {
                    if !drained {
                        (&mut streams).await;
                        drained = true;
                    }
                })
            };
            // Whether they went or not: the rest is the same.
            let _ = timeout(grace, gone).await;
        }
        group.kill();
        if status.is_none() {
            status = Some(child.wait().await.map_err(failed)?);
        }
        if !drained {
            let _ = timeout(LINGER, streams).await;
        }
        if let Some(why) = why {
            return Err(why.error(&command));
        }
    }
    output.code = status.and_then(|status| status.code());
    Ok(output)
}

fn spawn(command: &Command, inherited: Vec<(&'static str, OsString)>, group: &Group) -> io::Result<Child> {
    let mut spawned = tokio::process::Command::new(&command.program);
    spawned
        .args(&command.args)
        .env_clear()
        .envs(inherited)
        .envs(command.env.iter().map(|(name, value)| (name, value.expose())))
        .stdin(if command.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(group.id.as_raw_nonzero().get())
        .kill_on_drop(true);
    if let Some(dir) = &command.cwd {
        spawned.current_dir(dir);
    }
    if let Some((user, id)) = command.user {
        spawned.uid(user).gid(id);
    }
    spawned.spawn()
}

fn spawn_error(command: &Command, error: io::Error) -> Error {
    let program = command.program.display();
    if let Some(dir) = command.cwd.as_deref().filter(|dir| !dir.is_dir()) {
        let message = format!("run `{program}` in {}: there is no such directory", dir.display());
        return Error::new(ErrorKind::NotFound, "host::no-directory", message)
            .help("see whether it was moved or removed since");
    }
    let gone = |path: &Path| path.components().count() > 1 && !path.exists();
    match error.kind() {
        io::ErrorKind::NotFound if gone(&command.program) => host::no_program(&command.program),
        io::ErrorKind::PermissionDenied => {
            let help = match command.user {
                Some((user, _)) => format!("run as root: only root can start it as user {user}"),
                None => "make it executable, or see whether your user may enter its directory".to_owned(),
            };
            Error::new(ErrorKind::Denied, "host::spawn", format!("start `{program}`"))
                .help(help)
                .because(error)
        }
        _ => Error::new(ErrorKind::Failed, "host::spawn", format!("start `{program}`"))
            .help("see whether it is a program for this machine, and whether its interpreter is here")
            .because(error),
    }
}

/// Writes what the child reads, and ends it. A child that does not want to read it all is no failure.
async fn feed(stdin: Option<ChildStdin>, bytes: &[u8]) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(bytes).await;
    }
}

/// Keeps an output, and tells each of its lines, until nobody has it open. What cannot be read is the end.
async fn collect(stream: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>, tell: &mpsc::Sender<String>) {
    let Some(mut stream) = stream else { return };
    let mut line = Vec::new();
    let mut bytes = vec![0; 16 << 10];
    while let Ok(read) = stream.read(&mut bytes).await
        && read > 0
    {
        let room = MAX_OUTPUT.saturating_sub(kept.len());
        kept.extend_from_slice(&bytes[..read.min(room)]);
        let mut rest = &bytes[..read];
        while !rest.is_empty() {
            let most = rest.len().min(MAX_LINE - line.len());
            let end = rest[..most].iter().position(|byte| *byte == b'\n').map_or(most, |at| at + 1);
            line.extend_from_slice(&rest[..end]);
            rest = &rest[end..];
            if line.ends_with(b"\n") || line.len() == MAX_LINE {
                // A caller that is gone does not listen; the command is ending anyway.
                let _ = tell.send(text(&line)).await;
                line.clear();
            }
        }
    }
    if !line.is_empty() {
        let _ = tell.send(text(&line)).await;
    }
}

fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
}

/// What the guard does: nothing until its input ends, then what the supervisor would have done. `0` is its own
/// group, `$$` itself and so the number of the group; it ignores what it is sent itself but the last. `$1` is the
/// grace in hundredths of a second, as `now` is since boot (proc_uptime(5)). What it holds open are its outputs, which
/// it puts where nothing writes to them. Where the system tells nothing of its processes (proc_pid_stat(5)), all of
/// the grace passes.
///
/// `others` sends a signal to everybody else in the group, and says whether there is anybody: a dead process that
/// nobody has taken away yet (`Z`, `X`) is nobody. What follows the last parenthesis of its line are its state, its
/// parent and its group.
const GUARD: &str = r#"
exec 3>&1 4>&2 >/dev/null 2>&1
trap "" HUP INT QUIT TERM
others() {
    found=1
    for stat in /proc/[0-9]*/stat; do
        read -r line <"$stat" || continue
        pid=${line%% *}
        set -- "$1" ${line##*) }
        case "$pid $2 $4" in
        "$$ "* | *" "[ZX]" "*) ;;
        *" $$") found=0 && kill -"$1" "$pid" ;;
        esac
    done
    return $found
}
now() {
    read -r now rest </proc/uptime
    now=${now%.*}${now#*.}
}
read -r _
kill -INT 0
[ -r /proc/$$/stat ] || { sleep $(($1 / 100)) && kill -KILL 0; }
now
end=$((now + $1))
while [ $now -lt $end ] && others 0; do
    sleep 0.1
    now
done
while others KILL; do sleep 0.1; done
kill -KILL 0
"#;

/// A process group with its guard; dropping it kills all that is in it.
struct Group {
    id: Pid,
    /// Not reaped before the last kill. Holds the lifeline.
    _guard: Child,
}

impl Group {
    /// A group whose guard has these open, too.
    fn new(grace: Duration, held: &[Arc<dyn AsFd + Send + Sync>]) -> io::Result<Group> {
        // A child gets no other open files than these three.
        let [stdout, stderr] = match held {
            [] => [Stdio::null(), Stdio::null()],
            [one] => [kept(one)?, Stdio::null()],
            [one, two] => [kept(one)?, kept(two)?],
            _ => return Err(io::Error::other("it is tied to more than two things")),
        };
        let hundredths = grace.as_millis().div_ceil(10);
        let guard = tokio::process::Command::new("/bin/sh")
            .args(["-c", GUARD, "guard", &hundredths.to_string()])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let id = guard.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let id = id.ok_or_else(|| io::Error::other("the guard ended at once"))?;
        Ok(Group { id, _guard: guard })
    }

    fn interrupt(&self) {
        // Nobody left to be told is as good.
        let _ = kill_process_group(self.id, Signal::INT);
    }

    fn kill(&self) {
        let _ = kill_process_group(self.id, Signal::KILL);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The same open file for the guard.
fn kept(open: &Arc<dyn AsFd + Send + Sync>) -> io::Result<Stdio> {
    open.as_fd().try_clone_to_owned().map(Stdio::from)
}
