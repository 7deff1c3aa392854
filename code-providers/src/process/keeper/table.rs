//! What the keeper keeps, written down: the table of processes and routes.
//!
//! It is replaced as a whole, by renaming, before anybody is told that something started; so a reader
//! needs neither the lock nor a keeper, and the next keeper finds what the last one had. No secret is in
//! it: of a secret variable only the name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{ErrorKind as IoKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use code_core::{Address, Deployment, Digest, Error, ErrorKind, Layout, Result, Want, kill};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::process::identity::Identity;
use crate::process::probe::Probe;

/// The version of the format that this build writes and reads.
const VERSION: u32 = 1;

/// Everything that a keeper keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    version: u32,
    /// The processes, by place.
    pub processes: Vec<Kept>,
    /// The routes, by place.
    pub routes: Vec<KeptRoute>,
    /// The port that each place had last: it gets the same again where that is free, so that an address
    /// written down somewhere stays true.
    pub ports: BTreeMap<String, u16>,
}

impl Default for Table {
    fn default() -> Table {
        Table { version: VERSION, processes: Vec::new(), routes: Vec::new(), ports: BTreeMap::new() }
    }
}

/// Where something stands: a deployment, and an address in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The deployment.
    pub deployment: Deployment,
    /// The address.
    pub address: Address,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.address, self.deployment)
    }
}

/// A process that is to run: everything needed to start it, but the values of its secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Where it stands.
    pub place: Place,
    /// The key of the step that wants it: the same key is the same process.
    pub key: String,
    /// What was wanted of the resource, secrets by name.
    pub want: Want,
    /// The program, as a path.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// The directory in which it runs.
    pub cwd: Option<PathBuf>,
    /// Its environment, but for what is secret.
    pub env: BTreeMap<String, String>,
    /// The names of its secret variables.
    pub secret_env: BTreeSet<String>,
    /// Its port.
    pub port: PortWish,
    /// How it is seen to be healthy.
    pub probe: Probe,
    /// How long it may take to become healthy, in seconds.
    pub ready_seconds: u64,
    /// The signal that asks it to end.
    pub stop_signal: StopSignal,
    /// How long it may take to end, in seconds, before it is killed.
    pub grace_seconds: u64,
    /// The user and group as which it runs, by number.
    pub user: Option<(u32, u32)>,
    /// Where its output goes.
    pub log: PathBuf,
}

impl Job {
    /// Whether a process started for `other` would be just the same.
    pub fn starts_like(&self, other: &Job) -> bool {
        let Job { program, args, cwd, env, secret_env, port, user, log, .. } = self;
        (program, args, cwd, env) == (&other.program, &other.args, &other.cwd, &other.env)
            && (secret_env, port, user, log) == (&other.secret_env, &other.port, &other.user, &other.log)
            && self.want.get("fingerprint") == other.want.get("fingerprint")
            && self.secrets_named() == other.secrets_named()
    }

    fn secrets_named(&self) -> Vec<(&str, &code_core::Expr)> {
        self.want.group("env").into_iter().filter(|(name, _)| self.secret_env.contains(*name)).collect()
    }

    /// The digest of its program and arguments.
    pub fn argv(&self) -> Digest {
        let program = self.program.to_string_lossy();
        Digest::of_parts(std::iter::once(program.as_bytes()).chain(self.args.iter().map(String::as_bytes)))
    }
}

/// The port of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortWish {
    /// It has none.
    #[default]
    None,
    /// The keeper finds one, and says it in `PORT`.
    Auto,
    /// This one; it is said in `PORT` as well.
    Fixed(u16),
}

/// The signal that asks a process to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum StopSignal {
    /// `SIGTERM`.
    #[default]
    Term,
    /// `SIGINT`: PostgreSQL's fast shutdown.
    Int,
    /// `SIGQUIT`.
    Quit,
}

/// A process that is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// What it is.
    pub job: Job,
    /// Which process it is, once one was started.
    pub identity: Option<Identity>,
    /// Its port.
    pub port: Option<u16>,
    /// How it is.
    pub phase: Phase,
    /// Since when it is so.
    pub since: Timestamp,
    /// How often in a row it was started again after it ended by itself.
    pub restarts: u32,
}

impl Kept {
    /// Whether its process runs.
    pub fn lives(&self) -> bool {
        self.identity.as_ref().is_some_and(Identity::lives)
    }
}

/// How a kept process is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Phase {
    /// It runs and was not yet seen healthy.
    Starting {
        /// What the last look found, where there was one.
        why: Option<String>,
    },
    /// It is healthy.
    Ready,
    /// It was healthy, runs, and is not healthy now.
    Unhealthy {
        /// What the last looks found.
        why: String,
    },
    /// It ended by itself and will be started again.
    Restarting {
        /// Which time this is, from 1.
        attempt: u32,
        /// How many times it is tried.
        of: u32,
        /// When.
        at: Timestamp,
    },
    /// It ended by itself and is not started again.
    Failed(Ending),
    /// It ended while nobody watched, or cannot be started again.
    Lost {
        /// What happened, as far as is known.
        why: String,
    },
}

/// As `status` says it: `ready`, `restarting (2 of 5)`, `failed: exited with code 3`.
impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Phase::Starting { why: None } => f.write_str("starting"),
            Phase::Starting { why: Some(why) } => write!(f, "starting: {why}"),
            Phase::Ready => f.write_str("ready"),
            Phase::Unhealthy { why } => write!(f, "unhealthy: {why}"),
            Phase::Restarting { attempt, of, .. } => write!(f, "restarting ({attempt} of {of})"),
            Phase::Failed(ending) => write!(f, "failed: {ending}"),
            Phase::Lost { why } => write!(f, "lost: {why}"),
        }
    }
}

/// How a process ended; neither code nor signal where nobody could see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// Its exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exited with code {code}"),
            (None, Some(signal)) => write!(f, "was ended by signal {signal}"),
            (None, None) => f.write_str("ended, with what code is unknown"),
        }
    }
}

/// A route that is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptRoute {
    /// Where it stands.
    pub place: Place,
    /// What was wanted of the resource.
    pub want: Want,
    /// Its port, on both loopback addresses.
    pub port: u16,
    /// The ports of the processes that it spreads over.
    pub targets: Vec<u16>,
    /// How long requests may take to finish on a target that is taken off, in seconds.
    pub drain_seconds: u64,
    /// Why it is not served, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The boot in which it was made.
    pub boot: String,
}

impl Table {
    /// The table of a state directory; an empty one where nothing was ever kept.
    ///
    /// # Errors
    /// `keeper::table` where it cannot be read, `keeper::newer` where a later version of CODE wrote it.
    pub fn read(state_dir: &Path) -> Result<Table> {
        let path = path(state_dir);
        let broken = |kind, why: &dyn std::error::Error| {
            Error::new(kind, "keeper::table", "read the table of kept processes")
                .help("restore the file from a backup; or stop the processes, delete it and deploy again")
                .with("path", path.display().to_string())
                .with("cause", why.to_string())
        };
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == IoKind::NotFound => return Ok(Table::default()),
            Err(error) => return Err(broken(ErrorKind::Failed, &error)),
        };
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } =
            serde_json::from_slice(&bytes).map_err(|error| broken(ErrorKind::Corrupt, &error))?;
        if version != VERSION {
            return Err(super::newer(format!("a table of version {version}")));
        }
        serde_json::from_slice(&bytes).map_err(|error| broken(ErrorKind::Corrupt, &error))
    }

    /// Replaces the table of a state directory, durably.
    ///
    /// # Errors
    /// `keeper::table` where it cannot be written.
    pub fn write(&self, state_dir: &Path) -> Result<()> {
        let path = path(state_dir);
        replace(&path, self).map_err(|error| {
            Error::new(ErrorKind::Failed, "keeper::table", "write the table of kept processes")
                .help("free some space, and check that the directory is writable")
                .with("path", path.display().to_string())
                .because(error)
        })
    }

    /// The process of a place.
    pub fn process(&self, place: &Place) -> Option<&Kept> {
        self.processes.iter().find(|kept| kept.job.place == *place)
    }

    /// The process of a place, to change.
    pub fn process_mut(&mut self, place: &Place) -> Option<&mut Kept> {
        self.processes.iter_mut().find(|kept| kept.job.place == *place)
    }

    /// The route of a place.
    pub fn route(&self, place: &Place) -> Option<&KeptRoute> {
        self.routes.iter().find(|route| route.place == *place)
    }

    /// The place that has a port: one that is served, or whose process runs.
    pub(in crate::process) fn holder(&self, port: u16) -> Option<&Place> {
        let served = |route: &&KeptRoute| route.port == port && route.trouble.is_none();
        let runs = |kept: &&Kept| kept.port == Some(port) && kept.lives();
        let route = self.routes.iter().find(served).map(|route| &route.place);
        route.or_else(|| self.processes.iter().find(runs).map(|kept| &kept.job.place))
    }

    /// Puts a process in the place of an earlier one.
    pub fn put_process(&mut self, kept: Kept) {
        if let Some(port) = kept.port {
            self.ports.insert(kept.job.place.to_string(), port);
        }
        self.processes.retain(|other| other.job.place != kept.job.place);
        self.processes.push(kept);
        self.processes.sort_by(|a, b| a.job.place.cmp(&b.job.place));
    }

    /// Puts a route in the place of an earlier one.
    pub fn put_route(&mut self, route: KeptRoute) {
        self.routes.retain(|other| other.place != route.place);
        self.routes.push(route);
        self.routes.sort_by(|a, b| a.place.cmp(&b.place));
    }
}

fn path(state_dir: &Path) -> PathBuf {
    Layout::new(state_dir).keeper().join("table.json")
}

fn replace(path: &Path, table: &Table) -> std::io::Result<()> {
    let next = path.with_extension("json.next");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    serde_json::to_writer_pretty(&mut file, table)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    kill::point("keeper.table.before");
    fs::rename(&next, path)?;
    kill::point("keeper.table.after");
    match path.parent() {
        Some(parent) => fs::File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
