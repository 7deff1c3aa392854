//! What the keeper saw, for `history` and `status`: one JSON object a line, appended, never changed.

use std::fmt;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use code_core::{Address, Deployment, Error, ErrorKind, Layout, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::table::{Ending, Place};

/// A file of this size is put aside; one earlier file is kept.
const FULL: u64 = 8 * 1024 * 1024;

/// Something that a keeper saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeeperEvent {
    /// When.
    pub at: Timestamp,
    /// Of which deployment; of the keeper itself where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Deployment>,
    /// Of which process or route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// What.
    #[serde(flatten)]
    pub seen: Seen,
}

/// What a keeper saw. `Display` is the sentence that a person reads behind the address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "seen")]
#[non_exhaustive]
pub enum Seen {
    /// A keeper began to keep.
    KeeperStarted {
        /// Its process.
        pid: u32,
        /// Its version.
        version: String,
    },
    /// A keeper ended by its own will.
    KeeperEnded {
        /// Why.
        why: String,
    },
    /// A process was started because a step asked for it.
    Started {
        /// Its number.
        pid: i32,
        /// Its port.
        port: Option<u16>,
    },
    /// A process became healthy.
    Ready {
        /// How long after its start, in milliseconds.
        after_ms: u64,
    },
    /// A process that was healthy is not any more.
    Unhealthy {
        /// What the last looks found.
        why: String,
    },
    /// A process ended by itself.
    Exited(Ending),
    /// A process will be started again.
    Restarting {
        /// Which time this is.
        attempt: u32,
        /// How many times it is tried.
        of: u32,
        /// How long is waited before, in milliseconds.
        after_ms: u64,
    },
    /// A process was started again after it ended by itself.
    Restarted {
        /// Its new number.
        pid: i32,
        /// Which time this is.
        attempt: u32,
    },
    /// A process will not be started again.
    GaveUp {
        /// How often it was.
        restarts: u32,
        /// How it ended the last time.
        last: Ending,
    },
    /// A process could not be started.
    StartFailed {
        /// Why.
        why: String,
    },
    /// A process was stopped because a step asked for it.
    Stopped {
        /// Whether it had to be killed.
        killed: bool,
    },
    /// A process that an earlier keeper started is kept on.
    Adopted {
        /// Its number.
        pid: i32,
    },
    /// A process that an earlier keeper started is gone.
    Lost {
        /// What is known of it.
        why: String,
    },
    /// A route is served.
    Bound {
        /// Its port.
        port: u16,
    },
    /// A route cannot be served.
    NotBound {
        /// Its port.
        port: u16,
        /// Why.
        why: String,
    },
    /// New requests go to other processes.
    Switched {
        /// The ports from which they went away.
        from: Vec<u16>,
        /// The ports to which they go.
        to: Vec<u16>,
    },
    /// What was under way on the old processes is done.
    Drained {
        /// How long that took, in milliseconds.
        after_ms: u64,
        /// How many upgraded connections (WebSockets) were closed at the deadline.
        upgraded_closed: usize,
        /// How many requests were still under way at the deadline.
        unfinished: usize,
    },
    /// A route is no longer served.
    Unbound,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = |ports: &[u16]| ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Seen::KeeperStarted { pid, version } => write!(f, "keeper {version} started as process {pid}"),
            Seen::KeeperEnded { why } => write!(f, "keeper ended: {why}"),
            Seen::Started { pid, port: Some(port) } => write!(f, "started as process {pid} on port {port}"),
            Seen::Started { pid, port: None } => write!(f, "started as process {pid}"),
            Seen::Ready { after_ms } => write!(f, "healthy after {after_ms} ms"),
            Seen::Unhealthy { why } => write!(f, "unhealthy: {why}"),
            Seen::Exited(ending) => ending.fmt(f),
            Seen::Restarting { attempt, of, after_ms } => {
                write!(f, "restarting ({attempt} of {of}) in {after_ms} ms")
            }
            Seen::Restarted { pid, attempt } => write!(f, "restarted ({attempt}) as process {pid}"),
            Seen::GaveUp { restarts, last } => {
                write!(f, "not restarted again after {restarts} times: it {last}")
            }
            Seen::StartFailed { why } => write!(f, "could not be started: {why}"),
            Seen::Stopped { killed: true } => f.write_str("stopped, by killing it after its grace period"),
            Seen::Stopped { killed: false } => f.write_str("stopped"),
            Seen::Adopted { pid } => write!(f, "process {pid} adopted from an earlier keeper"),
            Seen::Lost { why } => write!(f, "lost: {why}"),
            Seen::Bound { port } => write!(f, "serves port {port}"),
            Seen::NotBound { port, why } => write!(f, "cannot serve port {port}: {why}"),
            Seen::Switched { from, to } => write!(f, "switched from [{}] to [{}]", ports(from), ports(to)),
            Seen::Drained { after_ms, upgraded_closed, unfinished } => {
                write!(f, "drained in {after_ms} ms")?;
                if *upgraded_closed > 0 {
                    write!(f, ", {upgraded_closed} upgraded connections closed")?;
                }
                if *unfinished > 0 {
                    write!(f, ", {unfinished} requests unfinished")?;
                }
                Ok(())
            }
            Seen::Unbound => f.write_str("no longer served"),
        }
    }
}

/// What the keepers of a state directory saw of a deployment, oldest first; lines of later versions that
/// this build cannot read are left out.
///
/// # Errors
/// `keeper::events` where the file cannot be read.
pub fn keeper_events(state_dir: &Path, deployment: &Deployment) -> Result<Vec<KeeperEvent>> {
    let mut found = Vec::new();
    for path in [earlier(state_dir), path(state_dir)] {
        let text = match fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed("read what the keeper saw", &path, &error)),
        };
        let events = text.lines().filter_map(|line| serde_json::from_str::<KeeperEvent>(line).ok());
        found.extend(events.filter(|event| event.deployment.as_ref() == Some(deployment)));
    }
    Ok(found)
}

/// Appends an event.
///
/// # Errors
/// `keeper::events` where the file cannot be written.
pub(super) fn append(state_dir: &Path, at: Timestamp, place: Option<&Place>, seen: Seen) -> Result<()> {
    let event = KeeperEvent {
        at,
        deployment: place.map(|place| place.deployment.clone()),
        address: place.map(|place| place.address.clone()),
        seen,
    };
    let path = path(state_dir);
    let write = || -> std::io::Result<()> {
        if fs::metadata(&path).is_ok_and(|meta| meta.len() > FULL) {
            fs::rename(&path, earlier(state_dir))?;
        }
        let mut line = serde_json::to_vec(&event)?;
        line.push(b'\n');
        fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?.write_all(&line)
    };
    write().map_err(|error| failed("write what the keeper saw", &path, &error))
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Failed, "keeper::events", what)
        .help("check that the state directory is yours to read and write, and that there is space")
        .with("path", path.display().to_string())
        .because(error)
}

fn path(state_dir: &Path) -> PathBuf {
    Layout::new(state_dir).keeper().join("events.jsonl")
}

fn earlier(state_dir: &Path) -> PathBuf {
    Layout::new(state_dir).keeper().join("events.1.jsonl")
}
