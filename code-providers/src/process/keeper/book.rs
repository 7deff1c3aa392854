//! The keeper's table in memory, its copy on the disk, and whoever waits for it to change.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use code_core::{Error, ErrorKind, Layout, Result};
use jiff::Timestamp;
use tokio::sync::watch;

use super::events::{self, Seen};
use super::table::{Kept, Phase, Place, Table};

/// The table that all tasks of a keeper share.
#[derive(Debug)]
pub(super) struct Book {
    state_dir: PathBuf,
    /// What makes this process the keeper, for as long as its path leads to it.
    lock: File,
    table: Mutex<Table>,
    /// The ports of processes that run and are not healthy: requests go elsewhere while they can.
    sick: RwLock<BTreeSet<u16>>,
    changed: watch::Sender<()>,
}

impl Book {
    /// The book of a state directory, as the last keeper left it, under the lock that is held.
    pub(super) fn open(state_dir: &Path, lock: File) -> Result<Book> {
        let table = Mutex::new(Table::read(state_dir)?);
        let sick = RwLock::default();
        Ok(Book { state_dir: state_dir.to_owned(), lock, table, sick, changed: watch::Sender::new(()) })
    }

    /// Whether the state directory is still the one whose keeper this is: where it was deleted, there may be
    /// another one by now, with a keeper of its own.
    pub(super) fn is_ours(&self) -> bool {
        self.lock.metadata().is_ok_and(|mine| file_id(&lock_path(&self.state_dir)) == Some(id(&mine)))
    }

    /// The state directory.
    pub(super) fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// Changes the table; it is on the disk when this returns. Where the state directory was deleted, what
    /// there is now is left alone.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> Result<T> {
        let mut table = self.lock();
        let before = table.clone();
        let result = change(&mut table);
        if *table != before {
            self.mark_sick(&table);
            if !self.is_ours() {
                return Err(deleted(&self.state_dir));
            }
            table.write(&self.state_dir)?;
        }
        drop(table);
        self.changed.send_replace(());
        Ok(result)
    }

    /// Changes the table in memory only: what is not worth a write.
    pub(super) fn note(&self, change: impl FnOnce(&mut Table)) {
        change(&mut self.lock());
        self.changed.send_replace(());
    }

    /// Reads from the table.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Table) -> T) -> T {
        read(&self.lock())
    }

    /// Whether the process on this port is known to be unhealthy.
    pub(super) fn is_sick(&self, port: u16) -> bool {
        self.sick.read().unwrap_or_else(PoisonError::into_inner).contains(&port)
    }

    fn mark_sick(&self, table: &Table) {
        let sick = |kept: &&Kept| matches!(kept.phase, Phase::Unhealthy { .. });
        let ports = table.processes.iter().filter(sick).filter_map(|kept| kept.port).collect();
        *self.sick.write().unwrap_or_else(PoisonError::into_inner) = ports;
    }

    /// Told of every change from now on.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Writes down what was seen of a place. That it cannot be is no reason to stop keeping.
    pub(super) fn see(&self, place: &Place, seen: Seen) {
        self.tell(Some(place), seen);
    }

    /// Writes down what the keeper itself did.
    pub(super) fn say(&self, seen: Seen) {
        self.tell(None, seen);
    }

    fn tell(&self, place: Option<&Place>, seen: Seen) {
        if self.is_ours() {
            let _ = events::append(&self.state_dir, self.now(), place, seen);
        }
    }

    /// The time.
    #[expect(clippy::disallowed_methods, reason = "the keeper is the host of the processes that it keeps")]
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file whose lock decides who is the keeper of a state directory.
pub(super) fn lock_path(state_dir: &Path) -> PathBuf {
    Layout::new(state_dir).keeper().join("lock")
}

/// Which file a path leads to.
pub(super) fn file_id(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().as_ref().map(id)
}

fn id(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

fn deleted(state_dir: &Path) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "keeper::forsaken",
        "write down what is kept: the state directory is gone",
    )
    .help("put the state directory back; or end what `status` names, and deploy again")
    .with("path", state_dir.display().to_string())
}
