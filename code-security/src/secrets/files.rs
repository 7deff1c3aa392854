//! The files of a directory of secrets: private, replaced as a whole, written by one at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind as Io, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use code_core::{Error, ErrorKind, Result};

/// The key file.
pub(super) const KEY: &str = "key";
/// How the name of a record ends.
pub(super) const RECORD: &str = ".secret";
const LOCK: &str = "lock";

/// No file here is longer than this: a record of the longest name and value.
const LONGEST_FILE: u64 = 2 << 20;

/// How long to wait for another writer: it holds the lock for milliseconds.
const LOCK_TRIES: u32 = 1000;
const LOCK_WAIT: Duration = Duration::from_millis(10);

/// A directory of secrets.
#[derive(Debug)]
pub(super) struct Dir(PathBuf);

impl Dir {
    pub(super) fn new(path: PathBuf) -> Dir {
        Dir(path)
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }

    /// Makes the directory where there is none, for its owner alone.
    pub(super) fn make(&self) -> Result<()> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.0).and_then(|()| {
            let metadata = fs::metadata(&self.0)?;
            if metadata.mode() & 0o077 == 0 {
                return Ok(());
            }
            fs::set_permissions(&self.0, fs::Permissions::from_mode(0o700))
        });
        made.map_err(|error| failed("make the directory of the secrets", &self.0, &error))
    }

    pub(super) fn exists(&self) -> Result<bool> {
        self.0.try_exists().map_err(|error| failed("look for the directory of the secrets", &self.0, &error))
    }

    /// Whether any secret is stored.
    pub(super) fn has_records(&self) -> Result<bool> {
        let look = || -> std::io::Result<bool> {
            for entry in fs::read_dir(&self.0)? {
                if entry?.file_name().to_string_lossy().ends_with(RECORD) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        look().map_err(|error| failed("list the secrets", &self.0, &error))
    }

    /// Waits until no other thread or process writes; the lock goes with the file.
    pub(super) fn lock(&self) -> Result<File> {
        let path = self.path(LOCK);
        let file = private(OpenOptions::new().create(true).truncate(false), &path)
            .map_err(|error| failed("open the lock of the secrets", &path, &error))?;
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_WAIT),
                Err(TryLockError::Error(error)) => return Err(failed("lock the secrets", &path, &error)),
            }
        }
        Err(Error::new(ErrorKind::Locked, "secret::locked", "wait for another process that stores a secret")
            .help("see which process holds the file (`fuser`, `lslocks`), and end it if it hangs")
            .with("path", path.display().to_string())
            .transient())
    }

    /// The bytes of a file, or `None` where it is not there.
    pub(super) fn read(&self, file: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path(file);
        let opened = match File::open(&path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == Io::NotFound => return Ok(None),
            Err(error) => return Err(failed("read a stored secret", &path, &error)),
        };
        // The exact size at once: a buffer that grows would leave copies of a key behind.
        let size = opened.metadata().map_or(0, |metadata| metadata.len()).min(LONGEST_FILE);
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
        match opened.take(LONGEST_FILE).read_to_end(&mut bytes) {
            Ok(_) => Ok(Some(bytes)),
            Err(error) => Err(failed("read a stored secret", &path, &error)),
        }
    }

    /// The permission bits of a file that others than its owner may use in some way.
    pub(super) fn open_to_others(&self, file: &str) -> Result<Option<u32>> {
        let path = self.path(file);
        let metadata = fs::metadata(&path).map_err(|error| failed("look at the key", &path, &error))?;
        let mode = metadata.mode() & 0o777;
        Ok((mode & 0o077 != 0).then_some(mode))
    }

    /// Replaces a file by these bytes, durably. The lock is held, so the name of the new one is free: what a
    /// crash left there is cut off.
    pub(super) fn write(&self, file: &str, bytes: &[u8]) -> Result<()> {
        let (path, new) = (self.path(file), self.path(&format!("{file}.tmp")));
        let written = (|| {
            let mut opened = private(OpenOptions::new().create(true).truncate(true), &new)?;
            opened.set_permissions(fs::Permissions::from_mode(0o600))?;
            opened.write_all(bytes)?;
            opened.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.0)?.sync_all()
        })();
        written.map_err(|error| failed("store a secret", &path, &error))
    }

    /// Removes a file, durably; one that is not there is fine.
    pub(super) fn remove(&self, file: &str) -> Result<()> {
        let path = self.path(file);
        let removed = match fs::remove_file(&path) {
            Err(error) if error.kind() == Io::NotFound => return Ok(()),
            Err(error) => Err(error),
            Ok(()) => File::open(&self.0).and_then(|dir| dir.sync_all()),
        };
        removed.map_err(|error| failed("forget a secret", &path, &error))
    }
}

fn private(options: &mut OpenOptions, path: &Path) -> std::io::Result<File> {
    options.write(true).mode(0o600).open(path)
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Failed, "secret::store", what)
        .help("see that the state directory is there, is yours and has space left")
        .with("path", path.display().to_string())
        .because(error)
}
