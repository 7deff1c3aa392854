//! The journal on this machine's disk: one log a deployment, written by one process at a time.
//!
//! ```text
//! lease ─▶ Lock (flock) ─▶ Log::open: check all, cut a torn end ─▶ Head: the next fence
//!          waits for the commands of a holder that was killed, refuses while one lives
//! append ─▶ one write, one fdatasync: the whole batch, or none of it; the first one makes the log
//! release ─▶ Head: how far the log is good; where nothing was ever written, nothing is left
//! read ──▶ Reader: no lock, batch by batch, ends where the good ones end
//! ```
//!
//! All of it runs on the runtime's threads for blocking work: an `fdatasync` takes milliseconds on a good
//! day and seconds on a busy disk, and every step of a run would stand still meanwhile. An `append` whose
//! caller went away is finished there all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use super::disk::Disk;
use super::lock::{self, Head, Holder, Lock, Taken};
use super::log::{self, Cut, Log, Next, Reader, io_error};
use super::repair::{self, Repaired, Trouble};
use crate::event::Event;
use crate::store::{self, Lease, Seq, StateStore};
use crate::{Ctx, Deployment, Error, ErrorKind, Layout, Result};

/// How long a lease waits for what a killed holder left running: a host's grace, and a margin for a busy machine.
const ORPHANS: Duration = Duration::from_secs(30);
/// How often it looks whether that is gone.
const LOOK: Duration = Duration::from_millis(50);
/// How many events a reader takes from the disk at once, or a little more.
const CHUNK: usize = 256;

/// Keeps events in append-only logs on this machine.
///
/// A lease is a lock of the operating system: it has no time limit, is free when its holder and the commands that
/// it ran are gone, and is never taken from one that is only stopped.
pub struct LocalStore {
    dir: PathBuf,
    held: Mutex<BTreeMap<String, Arc<Mutex<Writer>>>>,
    cuts: Arc<Mutex<Vec<Cut>>>,
    tell: Box<dyn Fn(&str) + Send + Sync>,
}

/// A lease of this store, with what it needs to write.
#[derive(Debug)]
struct Writer {
    lease: Lease,
    /// `None` once the lease was given back: an append that was on its way comes too late.
    lock: Option<Lock>,
    log: Log,
    paths: Paths,
}

impl LocalStore {
    /// The journals of a state directory; a journal is made by the first append to it.
    pub fn new(layout: &Layout) -> LocalStore {
        let tell = Box::new(|_: &str| {});
        LocalStore { dir: layout.journals(), held: Mutex::default(), cuts: Arc::default(), tell }
    }

    /// With somebody to be told, in a sentence, what a lease waits for.
    #[must_use]
    pub fn telling(mut self, tell: impl Fn(&str) + Send + Sync + 'static) -> LocalStore {
        self.tell = Box::new(tell);
        self
    }

    /// The torn writes that leases of this store found and cut off, for the front to tell.
    pub fn cuts(&self) -> Vec<Cut> {
        locked(&self.cuts).clone()
    }

    /// What is wrong with the journal of a deployment, and what a repair would keep; `None`: nothing. `before`
    /// is the first event that is not to be trusted, where its bytes are whole and it does not follow from
    /// those before it. Changes nothing.
    ///
    /// # Errors
    /// `journal::version`, and those of reading.
    pub async fn trouble(&self, deployment: &str, before: Option<Seq>) -> Result<Option<Trouble>> {
        let (paths, name) = (self.paths(deployment)?, deployment.to_owned());
        blocking(move || repair::examine(&Disk::Real, &paths, &name, before)).await
    }

    /// Keeps everything before the break of a journal, and puts the rest aside; `None`: nothing was wrong.
    ///
    /// # Errors
    /// `store::locked` while a holder lives, `journal::version`, and those of reading and writing.
    pub async fn repair(
        &self,
        ctx: &Ctx,
        deployment: &str,
        holder: &str,
        before: Option<Seq>,
    ) -> Result<Option<Repaired>> {
        let (paths, name) = (self.paths(deployment)?, deployment.to_owned());
        let holder = holding(ctx, holder);
        let lock = self.lock(ctx, &paths, deployment, &holder).await?;
        blocking(move || {
            let repaired = repair::repair(&Disk::Real, &paths, &name, before, &holder);
            drop(lock);
            repaired
        })
        .await
    }

    /// Takes the lock of a deployment. What was run under it and is still there is waited for; a holder is not.
    async fn lock(&self, ctx: &Ctx, paths: &Paths, deployment: &str, holder: &Holder) -> Result<Lock> {
        let mut waited = Duration::ZERO;
        loop {
            let (path, me) = (paths.lock.clone(), holder.clone());
            let other = match blocking(move || Lock::take(&path, &me)).await? {
                Taken::Mine(lock) => return Ok(lock),
                Taken::By(other) => other,
            };
            let lives = other.as_ref().is_some_and(|other| !other.is_gone());
            if lives || waited >= ORPHANS || ctx.cancel().is_cancelled() {
                return Err(lock::locked(deployment, other.as_ref(), holder.since));
            }
            // Who let go of it a moment ago, or has not said yet who it is, is not worth a word.
            if let Some(gone) = other.filter(|_| waited.is_zero()) {
                let who = gone.name();
                tracing::warn!(deployment, holder = who, "waiting for the commands of a holder that is gone");
                (self.tell)(&format!(
                    "waiting for the commands that {who} left behind in {deployment} to end"
                ));
            }
            ctx.host().sleep(LOOK).await;
            waited += LOOK;
        }
    }

    fn paths(&self, deployment: &str) -> Result<Paths> {
        let name = Layout::slug(&deployment.parse::<Deployment>()?);
        let path = |extension: &str| self.dir.join(format!("{name}.{extension}"));
        Ok(Paths { log: path("log"), lock: path("lock"), head: path("head") })
    }
}

impl fmt::Debug for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalStore").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// The files of one deployment.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    pub(super) log: PathBuf,
    pub(super) lock: PathBuf,
    pub(super) head: PathBuf,
}

impl Paths {
    /// Takes away what there is of a journal in which nothing was ever written.
    fn remove(&self) -> Result<()> {
        for path in [&self.log, &self.head] {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io_error("take away", path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[async_trait]
impl StateStore for LocalStore {
    async fn lease(&self, ctx: &Ctx, deployment: &str, holder: &str, _: Duration) -> Result<Lease> {
        let paths = self.paths(deployment)?;
        let holder = holding(ctx, holder);
        let name = deployment.to_owned();
        let lock = self.lock(ctx, &paths, deployment, &holder).await?;
        let (writer, cut) = blocking(move || begin(&paths, name, &holder, lock)).await?;
        if let Some(cut) = cut {
            tracing::warn!(
                deployment = cut.deployment,
                after = cut.after.0,
                bytes = cut.bytes,
                saved = %cut.saved.display(),
                "cut a torn write off the journal"
            );
            locked(&self.cuts).push(cut);
        }
        let lease = writer.lease.clone();
        locked(&self.held).insert(deployment.to_owned(), Arc::new(Mutex::new(writer)));
        Ok(lease)
    }

    async fn release(&self, _: &Ctx, lease: Lease) -> Result<()> {
        let writer = {
            let mut held = locked(&self.held);
            match held.get(&lease.deployment) {
                Some(writer) if locked(writer).lease == lease => held.remove(&lease.deployment),
                _ => None,
            }
        };
        let Some(writer) = writer else { return Ok(()) };
        blocking(move || {
            let mut writer = locked(&writer);
            // Where the directory was deleted, what is there now is somebody else's.
            let noted = match writer.lock.as_ref().is_some_and(Lock::is_held) {
                true if writer.log.at().last == Seq::START => writer.paths.remove(),
                true => Head::at(writer.lease.fence, writer.log.at()).write(&Disk::Real, &writer.paths.head),
                false => Ok(()),
            };
            writer.lock = None;
            noted
        })
        .await
    }

    async fn append(&self, _: &Ctx, lease: &Lease, after: Seq, events: &[Event]) -> Result<Seq> {
        let fenced = || store::fenced(&lease.deployment, lease.fence);
        let writer = locked(&self.held).get(&lease.deployment).cloned().ok_or_else(fenced)?;
        let bodies = events.iter().map(encode).collect::<Result<Vec<_>>>()?;
        let lease = lease.clone();
        blocking(move || {
            let mut writer = locked(&writer);
            if writer.lease != lease || !writer.lock.as_ref().is_some_and(Lock::is_held) {
                return Err(store::fenced(&lease.deployment, lease.fence));
            }
            let last = writer.log.at().last;
            if after != last {
                return Err(store::conflict(&lease.deployment, after, last));
            }
            if bodies.is_empty() { Ok(last) } else { writer.log.append(&bodies) }
        })
        .await
    }

    fn read<'a>(&'a self, deployment: &str, after: Seq) -> BoxStream<'a, Result<(Seq, Event)>> {
        let name = deployment.to_owned();
        let opened = async move {
            let paths = self.paths(&name)?;
            let open = move || {
                // What is noted beside the log is for writers: readers read what there is.
                let head = Head::read(&Disk::Real, &paths.head, &name).unwrap_or_default();
                match Reader::open(&Disk::Real, &paths.log, &name, head.known())? {
                    None if head.last > Seq::START => Err(log::gone(&name, &paths.log)),
                    reader => Ok(reader),
                }
            };
            Ok::<_, Error>(chunks(blocking(open).await?, after))
        };
        stream::once(opened).try_flatten().boxed()
    }

    fn deployments<'a>(&'a self) -> BoxStream<'a, Result<String>> {
        let dir = self.dir.clone();
        let list = async move {
            let names = blocking(move || names(&dir)).await?;
            Ok::<_, Error>(stream::iter(names.into_iter().map(Ok)))
        };
        stream::once(list).try_flatten().boxed()
    }
}

/// Makes the log of a deployment ready for whoever has its lock.
fn begin(paths: &Paths, deployment: String, holder: &Holder, lock: Lock) -> Result<(Writer, Option<Cut>)> {
    let (log, fence, cut) = ready(&Disk::Real, paths, &deployment)?;
    let lease = Lease { deployment, holder: holder.holder.clone(), fence, tie: Some(lock.tie()) };
    Ok((Writer { lease, lock: Some(lock), log, paths: paths.clone() }, cut))
}

/// Makes a log ready to be written by whoever has its lock: the log, the fence, and what was cut off.
pub(super) fn ready(disk: &Disk, paths: &Paths, deployment: &str) -> Result<(Log, u64, Option<Cut>)> {
    let before = Head::read(disk, &paths.head, deployment)?;
    let (log, cut) = Log::open(disk, &paths.log, deployment, before.known())?;
    let fence = before.fence + 1;
    Head::at(fence, log.at()).write(disk, &paths.head)?;
    Ok((log, fence, cut))
}

fn holding(ctx: &Ctx, holder: &str) -> Holder {
    Holder::this(holder, ctx.host().user(), program(), ctx.host().now())
}

/// The events of a log in chunks: one trip to the threads for blocking work each.
fn chunks(reader: Option<Reader>, after: Seq) -> impl futures::Stream<Item = Result<(Seq, Event)>> {
    stream::try_unfold(reader, move |reader| async move {
        let Some(mut reader) = reader else { return Ok(None) };
        blocking(move || {
            let mut events = Vec::new();
            while events.len() < CHUNK {
                match reader.next() {
                    Ok(Next::Batch(batch)) => {
                        let wanted = batch.into_iter().filter(|(place, _)| *place > after);
                        events.extend(wanted.map(|(place, body)| Ok((place, decode(place, &body)?))));
                    }
                    Ok(Next::End | Next::Torn) => return Ok(Some((stream::iter(events), None))),
                    Err(error) => {
                        // What is before the damage is still given.
                        events.push(Err(error));
                        return Ok(Some((stream::iter(events), None)));
                    }
                }
            }
            Ok(Some((stream::iter(events), Some(reader))))
        })
        .await
    })
    .try_flatten()
}

pub(super) fn encode(event: &Event) -> Result<Vec<u8>> {
    serde_json::to_vec(event).map_err(|error| {
        Error::new(ErrorKind::Bug, "journal::encode", "write an event as JSON")
            .help("report this, with what you did")
            .because(error)
    })
}

/// The bytes are those that were written, so an event that cannot be read is one of a newer build.
pub(super) fn decode(place: Seq, body: &[u8]) -> Result<Event> {
    serde_json::from_slice(body).map_err(|error| {
        Error::new(
            ErrorKind::Corrupt,
            "journal::version",
            format!("read event {place} of the journal: this build does not know it"),
        )
        .help("use a build of CODE that is at least as new as the one that wrote it")
        .because(error)
    })
}

/// The deployments that have a log with records, or had one, in order.
fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error("list", dir, error)),
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        let entry = entry.map_err(|error| io_error("list", dir, error))?;
        let (file, path) = (entry.file_name(), entry.path());
        let (stem, extension) = file.to_str().and_then(|file| file.rsplit_once('.')).unwrap_or_default();
        // What has another name is none of ours.
        let Some((application, environment)) = stem.split_once('@') else { continue };
        let Ok(deployment) = Deployment::new(application, environment) else { continue };
        let name = deployment.to_string();
        let known = match extension {
            "log" => log::has_records(&path, &name),
            // A log that is gone is missed, not forgotten.
            "head" => Head::read(&Disk::Real, &path, &name).is_ok_and(|head| head.last > Seq::START),
            _ => false,
        };
        if known {
            names.insert(name);
        }
    }
    Ok(names.into_iter().collect())
}

/// The name of the running program, without its arguments: they may hold what nobody else should read.
fn program() -> String {
    let path = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .chars()
        .filter(|c| !c.is_control())
        .take(80)
        .collect()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::new(ErrorKind::Bug, "journal::stopped", "finish the work on a journal")
            .help("report this: the runtime ended, or the code for journals panicked")
            .because(error)),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
