//! A command's side of the keeper: finding it, starting it where there is none, and asking it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use code_core::{Error, ErrorKind, Host, Layout, Result, kill};
use tokio::io::{BufReader, Join, join};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, sleep, timeout};

use super::book::{file_id, lock_path};
use super::launch::Program;
use super::protocol::{Answer, Ask, Disclosed, PROTOCOL, hear, hung_up, say};
use super::table::{Job, Kept, KeptRoute, Place};

/// How long a keeper may take to come up.
pub(super) const COMING_UP: Duration = Duration::from_secs(15);
/// How long is waited for a keeper to come up before another one is started.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a keeper may take to answer what needs no waiting.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest path of a Unix socket (unix(7)), its end included, is 108 bytes.
const LONGEST: usize = 107;

/// What a keeper says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The version of what it understands: of an older one, the next command takes over.
    pub protocol: u32,
    /// The version of its build.
    pub version: String,
    /// Its number.
    pub pid: u32,
}

impl Greeting {
    /// Whether this build can talk to it, or take over from it.
    ///
    /// # Errors
    /// `keeper::newer` where it is of a later version.
    pub fn check(&self) -> Result<()> {
        match self.protocol {
            0..=PROTOCOL => Ok(()),
            newer => Err(super::newer(format!("a keeper that speaks protocol {newer}"))),
        }
    }
}

/// A connection to the keeper of a state directory.
#[derive(Debug)]
pub struct Keeper {
    stream: Join<BufReader<OwnedReadHalf>, OwnedWriteHalf>,
}

impl Keeper {
    /// The keeper of a state directory, where one is running.
    ///
    /// # Errors
    /// `keeper::newer`, `keeper::stranger`, `keeper::silent`.
    pub async fn find(state_dir: &Path) -> Result<Option<Keeper>> {
        match Keeper::greet(state_dir).await? {
            Some((keeper, greeting)) if greeting.protocol == PROTOCOL => Ok(Some(keeper)),
            Some((_, greeting)) => greeting.check().map(|()| None),
            None => Ok(None),
        }
    }

    /// Who keeps a state directory, as they say themselves; nobody is started or asked to step aside for it.
    ///
    /// # Errors
    /// `keeper::stranger`, `keeper::silent`.
    pub async fn look(state_dir: &Path) -> Result<Option<Greeting>> {
        Ok(Keeper::greet(state_dir).await?.map(|(_, greeting)| greeting))
    }

    /// The keeper of a state directory, started where there is none. An older one is asked to step aside:
    /// what it kept goes on, and the new one adopts it.
    ///
    /// # Errors
    /// Those of [`Keeper::find`], `keeper::not-called`, `keeper::launch`.
    pub async fn ensure(host: &dyn Host, program: &Program, state_dir: &Path) -> Result<Keeper> {
        let deadline = Instant::now() + COMING_UP;
        let mut launched: Option<Instant> = None;
        loop {
            match Keeper::greet(state_dir).await? {
                Some((keeper, greeting)) if greeting.protocol == PROTOCOL => return Ok(keeper),
                Some((mut older, greeting)) => {
                    greeting.check()?;
                    older.ask(&Ask::Retire {}).await?;
                    launched = None;
                }
                // One that does not come up may have died on its way: another one ends at once where it has not.
                None if launched.is_none_or(|at| at.elapsed() > AGAIN) => {
                    program.launch(host, state_dir).await?;
                    launched = Some(Instant::now());
                }
                None => {}
            }
            if Instant::now() > deadline {
                return Err(unreachable(state_dir));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Starts a process and writes it down, unless the one that is wanted runs already.
    pub(in crate::process) async fn start(
        &mut self,
        job: Job,
        secrets: Disclosed,
        fresh: bool,
    ) -> Result<Kept> {
        let job = Box::new(job);
        // What runs in its place may take its whole grace period to end.
        let patience = PATIENCE + Duration::from_secs(job.grace_seconds.saturating_mul(2));
        match self.ask_within(patience, &Ask::Start { job, secrets, fresh }).await? {
            Answer::Kept(Some(kept)) => Ok(*kept),
            _ => Err(confused()),
        }
    }

    /// The process of a place, as soon as it is neither starting nor about to be restarted, or after a while.
    pub(in crate::process) async fn wait(&mut self, place: &Place, most: Duration) -> Result<Option<Kept>> {
        let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        match self.ask(&Ask::Wait { place: place.clone(), millis }).await? {
            Answer::Kept(kept) => Ok(kept.map(|kept| *kept)),
            _ => Err(confused()),
        }
    }

    /// Stops the process of a place, whose grace period this is, and forgets it.
    pub(in crate::process) async fn stop(&mut self, place: &Place, grace: Duration) -> Result<()> {
        self.ask_within(PATIENCE + grace, &Ask::Stop { place: place.clone() }).await.map(drop)
    }

    /// Serves a route, or switches it, and waits until its old targets are drained.
    pub(in crate::process) async fn route(&mut self, route: KeptRoute) -> Result<()> {
        let patience = PATIENCE + Duration::from_secs(route.drain_seconds);
        self.ask_within(patience, &Ask::Route { route: Box::new(route) }).await.map(drop)
    }

    /// Serves a route no longer.
    pub(in crate::process) async fn unroute(&mut self, place: &Place, drain: Duration) -> Result<()> {
        self.ask_within(PATIENCE + drain, &Ask::Unroute { place: place.clone() }).await.map(drop)
    }

    async fn ask(&mut self, ask: &Ask) -> Result<Answer> {
        self.ask_within(PATIENCE, ask).await
    }

    async fn ask_within(&mut self, patience: Duration, ask: &Ask) -> Result<Answer> {
        kill::point(format_args!("ask.{}.before", ask.name()));
        say(&mut self.stream, ask).await?;
        kill::point(format_args!("ask.{}.sent", ask.name()));
        let heard = timeout(patience, hear(&mut self.stream)).await;
        kill::point(format_args!("ask.{}.after", ask.name()));
        match heard {
            Ok(Ok(Some(Answer::Failed(error)))) => Err(error),
            Ok(Ok(Some(answer))) => Ok(answer),
            Ok(Ok(None)) => Err(hung_up(&std::io::Error::other("it ended"))),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(silent()),
        }
    }

    /// A connection to whoever keeps, and what they say of themselves.
    async fn greet(state_dir: &Path) -> Result<Option<(Keeper, Greeting)>> {
        let Some(path) = socket(state_dir) else { return Ok(None) };
        let Ok(stream) = UnixStream::connect(&path).await else { return Ok(None) };
        check_peer(&stream, &path)?;
        let (read, write) = stream.into_split();
        let mut keeper = Keeper { stream: join(BufReader::new(read), write) };
        let hello = Ask::Hello { protocol: PROTOCOL, version: env!("CARGO_PKG_VERSION").into() };
        if say(&mut keeper.stream, &hello).await.is_err() {
            return Ok(None);
        }
        match timeout(PATIENCE, hear(&mut keeper.stream)).await {
            Ok(Ok(Some(Answer::Hello { protocol, version, pid }))) => {
                Ok(Some((keeper, Greeting { protocol, version, pid })))
            }
            // It ended while it was asked.
            Ok(Ok(_) | Err(_)) => Ok(None),
            Err(_) => Err(silent()),
        }
    }
}

/// Secrets are told to the keeper: it must be of this user, or of root.
fn check_peer(stream: &UnixStream, path: &Path) -> Result<()> {
    let peer = stream.peer_cred().map_err(|error| hung_up(&error))?.uid();
    if peer == 0 || peer == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Denied, "keeper::stranger", "trust the keeper: another user runs it")
        .help("use a state directory of your own, with `--state`")
        .with("uid", peer.to_string())
        .with("path", path.display().to_string()))
}

/// The keeper did not come up.
fn unreachable(state_dir: &Path) -> Error {
    let error = Error::new(ErrorKind::Timeout, "keeper::silent", "reach the keeper")
        .help("see the keeper's own log; end a keeper that hangs, what it kept goes on running");
    with_last_words(error, state_dir)
}

/// The error with what the keeper wrote into its own log last.
pub(super) fn with_last_words(error: Error, state_dir: &Path) -> Error {
    let log = Layout::new(state_dir).keeper().join("keeper.log");
    let said = fs::read_to_string(&log).unwrap_or_default();
    let lines: Vec<&str> = said.lines().collect();
    let last = lines[lines.len().saturating_sub(5)..].join("\n");
    let error = error.with("log", log.display().to_string());
    if last.is_empty() { error } else { error.with("last lines", last) }
}

fn silent() -> Error {
    Error::new(ErrorKind::Timeout, "keeper::silent", "get an answer from the keeper")
        .help("end the keeper with `kill`: what it kept goes on running, and the next command starts another")
        .transient()
}

fn confused() -> Error {
    Error::new(ErrorKind::Bug, "keeper::garbled", "understand what the keeper answered")
        .help("use one version of CODE for a state directory")
}

/// Whether a process keeps a state directory, or begins to: it has its lock open. One that comes up serves its
/// routes before it can be asked anything.
pub(in crate::process) fn is_keeper_of(state_dir: &Path, pid: i32) -> bool {
    let Some(lock) = file_id(&lock_path(state_dir)) else { return false };
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files.filter_map(|file| file_id(&file.path())).any(|open| open == lock)
}

/// Where the keeper's socket is, where one was ever made.
pub(super) fn socket(state_dir: &Path) -> Option<PathBuf> {
    let keeper = Layout::new(state_dir).keeper();
    let own = keeper.join("socket");
    match fs::read_to_string(keeper.join("socket-path")) {
        Ok(path) => Some(PathBuf::from(path.trim_end_matches('\n'))),
        Err(_) => own.exists().then_some(own),
    }
}

/// Whether a path is short enough for a socket.
pub(super) fn fits(path: &Path) -> bool {
    path.as_os_str().len() <= LONGEST
}
