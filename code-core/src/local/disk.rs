//! The files of this machine: there whole or not at all, also after the power went. In tests they may be ones
//! that fail in every way that a disk can (`faulty`), under the same code.
//!
//! ```text
//! log, lock, host ─▶ Disk, File ─┬─ Real    the system's files
//!                                └─ Faulty  tests only: torn and dropped writes, a full disk, errors
//! ```
//!
//! In a build without tests there is one variant of each, and the choice costs nothing.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(test)]
use super::faulty;

/// Where files are.
#[derive(Clone, Debug)]
pub(super) enum Disk {
    /// On this machine.
    Real,
    /// In a model of a disk.
    #[cfg(test)]
    Faulty(faulty::Disk),
}

/// A file that is open.
#[derive(Debug)]
pub(super) enum File {
    /// Of this machine.
    Real(fs::File),
    /// Of a model of a disk.
    #[cfg(test)]
    Faulty(faulty::File),
}

/// Tells apart the temporary files of one process.
static NEXT: AtomicU64 = AtomicU64::new(0);

impl Disk {
    /// Replaces the bytes of a file: a reader sees the old ones or the new ones, and the new ones are durable
    /// when this returns. Directories that are missing are made.
    pub(super) fn replace(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let dir = parent(path);
        self.make_dir(dir)?;
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}.{}.tmp", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let temporary = dir.join(temporary);
        let written = self.write_new(&temporary, bytes, mode).and_then(|()| self.rename(&temporary, path));
        if written.is_err() {
            // What is left of the attempt is of no use; the first error is the one to tell.
            let _ = self.remove(&temporary);
        }
        written?;
        self.sync_dir(dir)
    }

    /// Opens a file to read it.
    pub(super) fn open(&self, path: &Path) -> io::Result<File> {
        match self {
            Disk::Real => fs::File::open(path).map(File::Real),
            #[cfg(test)]
            Disk::Faulty(disk) => disk.open(path).map(File::Faulty),
        }
    }

    /// Opens a file that is there to read and write it.
    pub(super) fn open_to_write(&self, path: &Path) -> io::Result<File> {
        match self {
            Disk::Real => OpenOptions::new().read(true).write(true).open(path).map(File::Real),
            #[cfg(test)]
            Disk::Faulty(disk) => disk.open(path).map(File::Faulty),
        }
    }

    /// All bytes of a file.
    pub(super) fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        Cursor::new(self.open(path)?).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Makes a directory and those above it, and makes their names durable.
    pub(super) fn make_dir(&self, dir: &Path) -> io::Result<()> {
        #[cfg(test)]
        if let Disk::Faulty(_) = self {
            return Ok(());
        }
        if dir.is_dir() {
            return Ok(());
        }
        if let Some(above) = dir.parent().filter(|above| !above.as_os_str().is_empty()) {
            self.make_dir(above)?;
        }
        match fs::create_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        self.sync_dir(parent(dir))
    }

    fn write_new(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let file = match self {
            Disk::Real => {
                // Closed to others from the start: `mode` may be for a secret, and the umask knows nothing of it.
                let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
                file.set_permissions(Permissions::from_mode(mode))?;
                File::Real(file)
            }
            #[cfg(test)]
            Disk::Faulty(disk) => File::Faulty(disk.create(path)?),
        };
        file.write_all_at(bytes, 0)?;
        file.sync()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        match self {
            Disk::Real => fs::rename(from, to),
            #[cfg(test)]
            Disk::Faulty(disk) => disk.rename(from, to),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match self {
            Disk::Real => fs::remove_file(path),
            #[cfg(test)]
            Disk::Faulty(disk) => disk.remove(path),
        }
    }

    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        match self {
            Disk::Real => fs::File::open(dir)?.sync_all(),
            #[cfg(test)]
            Disk::Faulty(disk) => disk.sync_dir(),
        }
    }
}

impl File {
    /// Writes all of the bytes, however many calls that takes.
    pub(super) fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes = &bytes[written..];
                    offset += written as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes the file end here.
    pub(super) fn set_len(&self, length: u64) -> io::Result<()> {
        match self {
            File::Real(file) => file.set_len(length),
            #[cfg(test)]
            File::Faulty(file) => file.set_len(length),
        }
    }

    /// Makes the bytes of the file durable. After an error nobody knows which of them are, and asking again
    /// says nothing: the system forgets what it could not write.
    pub(super) fn sync(&self) -> io::Result<()> {
        match self {
            File::Real(file) => file.sync_data(),
            #[cfg(test)]
            File::Faulty(file) => file.sync(),
        }
    }

    /// Asks the system to forget what it holds of the file in memory, so that the next look asks the disk. A
    /// hint: what was not written yet stays.
    pub(super) fn forget(&self) {
        match self {
            // A system that does not know how loses nothing.
            #[cfg(target_os = "linux")]
            File::Real(file) => drop(rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed)),
            #[cfg(not(target_os = "linux"))]
            File::Real(_) => {}
            #[cfg(test)]
            File::Faulty(_) => {}
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        match self {
            File::Real(file) => file.write_at(bytes, offset),
            #[cfg(test)]
            File::Faulty(file) => file.write_at(bytes, offset),
        }
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            File::Real(file) => file.read_at(bytes, offset),
            #[cfg(test)]
            File::Faulty(file) => file.read_at(bytes, offset),
        }
    }
}

/// A file and a place in it, to be read from there on.
#[derive(Debug)]
pub(super) struct Cursor {
    file: File,
    at: u64,
}

impl Cursor {
    /// At the beginning of the file.
    pub(super) fn new(file: File) -> Cursor {
        Cursor { file, at: 0 }
    }
}

impl Read for Cursor {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(bytes, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(at) = to else { return Err(io::ErrorKind::Unsupported.into()) };
        self.at = at;
        Ok(at)
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
