//! Who may write a log: an exclusive lock of the operating system, which ends with its holder.
//!
//! ```text
//! shop@staging.lock   locked with flock(2) by the holder for as long as it lives; says who it is
//! shop@staging.head   the last fence, and how far the log was known to be good when a lease began or ended
//! ```
//!
//! A holder that is stopped still holds: it may go on at any moment. One that is dead holds nothing, since
//! the system closed its files. The lock file itself stays: it is the lock on it that counts.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::disk::Disk;
use super::journal::{self, Hash, Place};
use super::log::io_error;
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
    /// The program that it runs.
    pub(super) command: String,
    /// Since when.
    pub(super) since: Timestamp,
}

impl Holder {
    fn name(&self) -> String {
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
        if is_stopped(self.pid) {
            extras.push("stopped".to_owned());
        }
        if extras.is_empty() {
            self.holder.clone()
        } else {
            format!("{} ({})", self.holder, extras.join(", "))
        }
    }
}

/// A lock that is held; dropping it lets it go.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Takes the lock, or says who holds it and for how long.
    pub(super) fn take(path: &Path, deployment: &str, holder: &Holder) -> Result<Lock> {
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
                .map_err(|error| io_error("lock", path, error))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(locked(path, deployment, holder.since)),
                Err(error) => return Err(io_error("lock", path, error.into())),
            }
            let lock = Lock { path: path.to_owned(), file };
            // Somebody may have removed the file between the two: then another one is the lock now.
            if lock.is_held() {
                lock.say(holder).map_err(|error| io_error("lock", path, error))?;
                return Ok(lock);
            }
        }
    }

    /// Whether the lock is still the one that others would find.
    pub(super) fn is_held(&self) -> bool {
        let id = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
        match (self.file.metadata(), std::fs::metadata(&self.path)) {
            (Ok(mine), Ok(theirs)) => id(mine) == id(theirs),
            _ => false,
        }
    }

    /// Only for people to read, so it need not be durable.
    fn say(&self, holder: &Holder) -> io::Result<()> {
        use std::os::unix::fs::FileExt;
        let text = serde_json::to_vec(holder)?;
        self.file.set_len(0)?;
        self.file.write_all_at(&text, 0)
    }
}

impl Drop for Lock {
    /// Closing the file is not enough: a child that another thread is about to start has a copy of it from its
    /// fork to its exec, and the lock would live as long as that. An unlock lets go for all copies.
    fn drop(&mut self) {
        // What fails here ends with the process at the latest.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

fn locked(path: &Path, deployment: &str, now: Timestamp) -> crate::Error {
    let holder: Option<Holder> =
        std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    match holder {
        Some(holder) => {
            let pid = holder.pid;
            let error = store::locked(deployment, &holder.name(), now.duration_since(holder.since))
                .with("pid", pid.to_string());
            if !is_stopped(pid) {
                return error;
            }
            // A plain `kill` waits until it goes on.
            error.help(format!(
                "it was stopped: `kill -CONT {pid}` lets it go on; `kill -KILL {pid}` ends it, and the same \
                 command takes up what it had begun"
            ))
        }
        // It has the lock and has not said yet who it is.
        None => store::locked(deployment, "another process", jiff::SignedDuration::ZERO),
    }
}

/// Whether a process is stopped (proc_pid_stat(5): state `T` or `t`).
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before it stands in parentheses and may hold anything, parentheses too.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 't']))
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

    #[test]
    fn a_copy_in_a_child_that_starts_does_not_keep_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let holder = Holder {
            holder: "ann".into(),
            user: "ann".into(),
            pid: 1,
            command: "deploy".into(),
            since: Timestamp::UNIX_EPOCH,
        };
        let lock = Lock::take(&path, "shop/staging", &holder).unwrap();
        assert_eq!(Lock::take(&path, "shop/staging", &holder).unwrap_err().code(), "store::locked");
        let copy = lock.file.try_clone().unwrap();
        drop(lock);
        Lock::take(&path, "shop/staging", &holder).unwrap();
        drop(copy);
    }
}
