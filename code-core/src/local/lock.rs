//! Who may write a log: an exclusive lock of the operating system, which ends with its holder.
//!
//! ```text
//! shop@staging.lock   locked with flock(2) by the holder for as long as it lives; says who it is
//! shop@staging.head   the last fence, and how far the log was known to be good when a lease began or ended
//! ```
//!
//! A holder that is stopped still holds: it may go on at any moment. One that is dead holds nothing, since
//! the system closed its files; but the guards of its commands have the lock open as well (see `command`), so
//! that it is free when the last of them is gone. The lock file itself stays, since it is the lock on it that counts;
//! where there is no journal, it goes with the last who holds it: a lease under which nothing was written leaves
//! nothing.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::disk::Disk;
use super::journal::{self, Hash, Place};
use super::log::io_error;
use crate::host::Tie;
use crate::store::{self, Seq};
use crate::{Digest, Result};

/// Who holds a lock, as the lock file says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Holder {
    /// As a person would name them.
    pub(super) holder: String,
    /// The user of the process.
    pub(super) user: String,
    /// The process.
    pub(super) pid: u32,
    /// When the system says that it began: another process may have the same number later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) started: Option<u64>,
    /// The program that it runs.
    pub(super) command: String,
    /// Since when.
    pub(super) since: Timestamp,
}

impl Holder {
    /// This process, as this person, from now on.
    pub(super) fn this(holder: &str, user: String, command: String, since: Timestamp) -> Holder {
        let pid = std::process::id();
        let started = process(pid).map(|(_, started)| started);
        Holder { holder: holder.to_owned(), user, pid, started, command, since }
    }

    /// Whether the process is gone, or dead and not taken away yet: then only its commands are left.
    pub(super) fn is_gone(&self) -> bool {
        match process(self.pid) {
            Some((state, started)) => {
                matches!(state, 'Z' | 'X') || self.started.is_some_and(|then| then != started)
            }
            // Where there is no list of processes, nobody is said to be gone.
            None => process(std::process::id()).is_some(),
        }
    }

    fn is_stopped(&self) -> bool {
        !self.is_gone() && process(self.pid).is_some_and(|(state, _)| matches!(state, 'T' | 't'))
    }

    /// For a person: who it is, and what is known of it beside that.
    pub(super) fn name(&self) -> String {
        let mut extras = Vec::new();
        if !self.holder.contains(&self.user) {
            extras.push(self.user.clone());
        }
        if !self.holder.contains(&self.pid.to_string()) {
            extras.push(format!("process {}", self.pid));
        }
        if !self.holder.contains(&self.command) {
            extras.push(format!("`{}`", self.command));
        }
        if self.is_stopped() {
            extras.push("stopped".to_owned());
        }
        if extras.is_empty() {
            self.holder.clone()
        } else {
            format!("{} ({})", self.holder, extras.join(", "))
        }
    }
}

/// A lock that is held. Dropping it lets it go, as soon as nothing that is tied to it is left.
#[derive(Debug)]
pub(super) struct Lock {
    file: Arc<Locked>,
}

/// What came of trying to take a lock.
#[derive(Debug)]
pub(super) enum Taken {
    Mine(Lock),
    /// Somebody else has it: as they said, if they did.
    By(Option<Holder>),
}

impl Lock {
    /// Takes the lock, or says who has it.
    pub(super) fn take(path: &Path, holder: &Holder) -> Result<Taken> {
        loop {
            let (file, made) = open(path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(Taken::By(said(path))),
                Err(error) => return Err(io_error("lock", path, error.into())),
            }
            let lock = Lock { file: Arc::new(Locked { file, path: path.to_owned(), made }) };
            // It may have been removed between the two: then another one is the lock now.
            if lock.is_held() {
                lock.say(&serde_json::to_vec(holder).unwrap_or_default())
                    .map_err(|error| io_error("lock", path, error))?;
                return Ok(Taken::Mine(lock));
            }
        }
    }

    /// What keeps it from being free.
    pub(super) fn tie(&self) -> Tie {
        Tie::to(&self.file)
    }

    /// Whether the lock is still the one that others would find.
    pub(super) fn is_held(&self) -> bool {
        self.file.is_held()
    }

    /// For others to read while it is held, so it need not be durable.
    fn say(&self, text: &[u8]) -> io::Result<()> {
        use std::os::unix::fs::FileExt;
        self.file.file.set_len(0)?;
        self.file.file.write_all_at(text, 0)
    }
}

impl Drop for Lock {
    /// Nobody holds it any more, but what is tied to it may go on for a while.
    fn drop(&mut self) {
        if self.is_held() {
            // Whoever reads an old name waits as well, or is refused and tries again.
            let _ = self.say(b"");
        }
    }
}

/// The locked file.
#[derive(Debug)]
struct Locked {
    file: File,
    path: PathBuf,
    /// The first of the directories that were made for it.
    made: Option<PathBuf>,
}

impl Locked {
    fn is_held(&self) -> bool {
        let id = |meta: fs::Metadata| (meta.dev(), meta.ino());
        match (self.file.metadata(), fs::metadata(&self.path)) {
            (Ok(mine), Ok(theirs)) => id(mine) == id(theirs),
            _ => false,
        }
    }

    /// Takes the lock file away where there is no journal, and the directories that were made for it where nothing
    /// else is in them. Whoever opened the file before looks whether it is still the lock once they have it.
    fn leave_nothing(&self) {
        let is_there = |extension| !matches!(self.path.with_extension(extension).try_exists(), Ok(false));
        if is_there("log") || is_there("head") || !self.is_held() {
            return;
        }
        // What stays is in nobody's way.
        let _ = fs::remove_file(&self.path);
        let dirs = self.path.ancestors().skip(1);
        let made = dirs.take_while(|dir| self.made.as_ref().is_some_and(|made| dir.starts_with(made)));
        for dir in made {
            let _ = fs::remove_dir(dir);
        }
    }
}

impl AsFd for Locked {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Locked {
    /// Closing the file is not enough: a child that another thread is about to start has a copy of it from its
    /// fork to its exec, and the lock would live as long as that. An unlock lets go for all copies.
    fn drop(&mut self) {
        self.leave_nothing();
        // What fails here ends with the process at the latest.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// Opens a lock file, and makes it and the directories above it where they are missing; gives the first of those.
fn open(path: &Path) -> Result<(File, Option<PathBuf>)> {
    let mut made = None;
    loop {
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        match (opened, path.parent()) {
            (Ok(file), _) => return Ok((file, made)),
            // Once more where they were taken away in between, by one who had made them for nothing.
            (Err(error), Some(dir)) if error.kind() == io::ErrorKind::NotFound && !dir.is_symlink() => {
                let missing = dir.ancestors().take_while(|dir| !dir.exists()).last();
                made = missing.map(Path::to_owned).or(made);
                make_dir(dir)?;
            }
            (Err(error), _) => return Err(io_error("lock", path, error)),
        }
    }
}

fn make_dir(dir: &Path) -> Result<()> {
    let elsewhere = "choose a state directory that you may write: `--state DIR`";
    let failed = |error| io_error("make the directory of", dir, error).help(elsewhere);
    Disk::Real.make_dir(dir).map_err(failed)
}

/// Who a lock file says has the lock; nobody where they have not said it yet, or have let go of it.
fn said(path: &Path) -> Option<Holder> {
    std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok())
}

/// The error of a lock that somebody else has, or that is kept by what they left.
pub(super) fn locked(deployment: &str, holder: Option<&Holder>, now: Timestamp) -> crate::Error {
    let Some(holder) = holder else {
        return store::locked(deployment, "another process", jiff::SignedDuration::ZERO);
    };
    let (pid, held) = (holder.pid, now.duration_since(holder.since));
    if holder.is_gone() {
        let left = format!("a command that {} left behind", holder.name());
        return store::locked(deployment, &left, held).with("pid", pid.to_string()).help(
            "see what still runs (`ps -ef`), and end it: the same command then takes up what was begun",
        );
    }
    let error = store::locked(deployment, &holder.name(), held).with("pid", pid.to_string());
    if !holder.is_stopped() {
        return error;
    }
    // A plain `kill` waits until it goes on.
    error.help(format!(
        "it was stopped: `kill -CONT {pid}` lets it go on; `kill -KILL {pid}` ends it, and the same \
         command takes up what it had begun"
    ))
}

/// The state of a process and when it began, in ticks since boot (proc_pid_stat(5): fields 3 and 22).
fn process(pid: u32) -> Option<(char, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it stands in parentheses and may hold anything, parentheses too.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    Some((fields.first()?.chars().next()?, fields.get(19)?.parse().ok()?))
}

/// What is remembered of a log beside it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    /// The fence of the last lease.
    pub(super) fence: u64,
    /// The last event when this was written.
    pub(super) last: Seq,
    /// The length of the log then.
    pub(super) end: u64,
    /// The last hash then.
    pub(super) hash: Option<Digest>,
    /// The digest of all of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sum: Option<Digest>,
}

impl Head {
    /// What is remembered; nothing where there is no such file.
    ///
    /// # Errors
    /// `journal::damaged` where it is not what was written.
    pub(super) fn read(disk: &Disk, path: &Path, deployment: &str) -> Result<Head> {
        let bytes = match disk.read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Head::default()),
            Err(error) => return Err(io_error("read what is noted beside", path, error)),
        };
        // Byte for byte: JSON has many ways to say the same.
        let read = serde_json::from_slice(&bytes).ok();
        read.filter(|head: &Head| head.text() == bytes).ok_or_else(|| {
            journal::damaged(deployment, "what is noted beside it").with("path", path.display().to_string())
        })
    }

    /// Remembers, durably.
    pub(super) fn write(&self, disk: &Disk, path: &Path) -> Result<()> {
        disk.replace(path, &self.text(), 0o644).map_err(|error| io_error("note the end of", path, error))
    }

    /// With how far a log is good.
    pub(super) fn at(fence: u64, place: Place) -> Head {
        let hash = Some(Digest::from_bytes(place.hash));
        Head { fence, last: place.last, end: place.offset, hash, sum: None }
    }

    /// How far the log is known to be good.
    pub(super) fn known(&self) -> Option<Place> {
        let hash: Hash = *self.hash?.as_bytes();
        Some(Place { offset: self.end, last: self.last, hash })
    }

    /// As it stands in its file, with the digest of all the rest.
    fn text(&self) -> Vec<u8> {
        let open = Head { sum: None, ..self.clone() };
        let sealed = Head { sum: Some(Digest::of_json(&open)), ..open };
        serde_json::to_vec(&sealed).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder() -> Holder {
        Holder::this("ann", "ann".into(), "deploy".into(), Timestamp::UNIX_EPOCH)
    }

    fn take(path: &Path) -> Result<Lock, Option<Holder>> {
        match Lock::take(path, &holder()).unwrap() {
            Taken::Mine(lock) => Ok(lock),
            Taken::By(holder) => Err(holder),
        }
    }

    #[test]
    fn a_copy_in_a_child_that_starts_does_not_keep_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let lock = take(&path).unwrap();
        assert_eq!(take(&path).unwrap_err().unwrap().pid, std::process::id());
        let copy = lock.file.file.try_clone().unwrap();
        drop(lock);
        take(&path).unwrap();
        drop(copy);
    }

    #[test]
    fn what_is_tied_to_it_keeps_the_lock_and_nobody_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let lock = take(&path).unwrap();
        let tie = lock.tie();
        let open = tie.open().unwrap();
        drop(lock);
        assert!(take(&path).unwrap_err().is_none(), "who let go of it is not named");
        drop(open);
        assert!(tie.open().is_none());
        take(&path).unwrap();
    }

    #[test]
    fn a_holder_is_known_by_its_process() {
        let me = holder();
        assert!(me.started.is_some() && !me.is_gone() && !me.is_stopped());
        assert!(Holder { started: me.started.map(|then| then + 1), ..me.clone() }.is_gone(), "another one");
        // The number of no process (proc(5): pid_max is at most 2^22).
        assert!(Holder { pid: 1 << 30, started: None, ..me.clone() }.is_gone());
        let old = serde_json::json!({ "holder": "ann", "user": "ann", "pid": 1, "command": "deploy",
            "since": "1970-01-01T00:00:00Z" });
        assert!(!serde_json::from_value::<Holder>(old).unwrap().is_gone(), "one of before it said when");
    }
}
