//! One log on disk: read batch by batch, cut where a write was torn, grown by whole batches.
//!
//! ```text
//!            good batches                 bad bytes
//! log  ├──────────┬───────┬──────────┼─────────────────┤
//!                                    └─ a later batch is good, or the end that was recorded is behind here:
//!                                       damage, an error that names the record
//!                                    └─ otherwise: a write that never ended. A reader stops here; the next
//!                                       writer saves the bytes beside the log and cuts them off
//! ```

use std::fs;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::disk::{Cursor, Disk, File};
use super::journal::{self, FIXED, Place};
use crate::store::Seq;
use crate::{Error, ErrorKind, Result, kill};

/// A torn write that was cut off the end of a journal, and saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The deployment.
    pub deployment: String,
    /// The place of the last event that is good.
    pub after: Seq,
    /// How many bytes were cut.
    pub bytes: u64,
    /// Where they are now.
    pub saved: PathBuf,
}

/// A batch as it was read: the places and the bodies of its records.
pub(super) type Batch = Vec<(Seq, Vec<u8>)>;

/// Reads a log from its beginning, and believes nothing that does not fit.
#[derive(Debug)]
pub(super) struct Reader {
    name: String,
    path: PathBuf,
    file: BufReader<Cursor>,
    at: Place,
    /// The place up to which the log was once known to be good.
    known: Option<Place>,
}

/// What lies behind the last good batch.
#[derive(Debug)]
pub(super) enum Next {
    /// One more.
    Batch(Batch),
    /// Nothing.
    End,
    /// Bytes of a write that did not end, or has not yet.
    Torn,
}

impl Reader {
    /// Opens a log; `None` where there is none.
    pub(super) fn open(disk: &Disk, path: &Path, name: &str, known: Option<Place>) -> Result<Option<Reader>> {
        let file = match disk.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("read", path, error)),
        };
        let mut file = BufReader::with_capacity(1 << 16, Cursor::new(file));
        let mut bytes = Vec::new();
        let longest = journal::header(name).len() as u64 + 128;
        file.by_ref().take(longest).read_to_end(&mut bytes).map_err(|e| io_error("read", path, e))?;
        let at = journal::read_header(&bytes, name).map_err(|error| error.with("path", text(path)))?;
        file.seek(SeekFrom::Start(at.offset)).map_err(|e| io_error("read", path, e))?;
        let name = name.to_owned();
        Ok(Some(Reader { name, path: path.to_owned(), file, at, known }))
    }

    /// The next batch.
    ///
    /// # Errors
    /// `journal::damaged`, `journal::version`, and those of reading.
    pub(super) fn next(&mut self) -> Result<Next> {
        if let Some(batch) = self.good_batch()? {
            return Ok(Next::Batch(batch));
        }
        let rest = self.rest()?;
        let lost = self.known.is_some_and(|known| known.offset > self.at.offset);
        if rest.is_empty() && !lost {
            return Ok(Next::End);
        }
        // A batch behind the bad one proves damage. But a writer may have been at work on the bad one when
        // it was read, and have written both since: what was durable then is good when it is read again.
        let damaged = lost || journal::later_batch(&rest, self.at.last.next());
        if !damaged {
            return Ok(Next::Torn);
        }
        self.seek()?;
        match self.good_batch()? {
            Some(batch) => Ok(Next::Batch(batch)),
            None => Err(self.damaged()),
        }
    }

    /// The batch here, where all of it is good. Leaves everything as it was where it is not.
    fn good_batch(&mut self) -> Result<Option<Batch>> {
        let first = self.at.last.next();
        let mut at = self.at;
        let mut batch = Batch::new();
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            self.fill(&mut bytes, FIXED)?;
            if let Some(length) = journal::length(&bytes) {
                self.fill(&mut bytes, length)?;
            }
            let Some(record) = journal::record(&bytes) else { return Ok(None) };
            if record.version > journal::VERSION {
                return Err(journal::newer(&self.name, record.version).with("path", text(&self.path)));
            }
            let fits = record.place == at.last.next() && record.first == first && record.previous == at.hash;
            if !fits || record.last < record.place {
                // It is whole, so no write was torn here: it was put here.
                return Err(self.damaged());
            }
            at = Place { offset: at.offset + bytes.len() as u64, last: record.place, hash: record.hash };
            batch.push((record.place, record.body.to_vec()));
            if record.place == record.last {
                break;
            }
        }
        let known = self.known.filter(|known| known.offset == at.offset);
        if known.is_some_and(|known| known.hash != at.hash) {
            return Err(self.damaged());
        }
        self.at = at;
        Ok(Some(batch))
    }

    /// Reads until there are `length` bytes, or the file ends.
    fn fill(&mut self, bytes: &mut Vec<u8>, length: usize) -> Result<()> {
        let missing = length.saturating_sub(bytes.len()) as u64;
        self.file.by_ref().take(missing).read_to_end(bytes).map_err(|e| io_error("read", &self.path, e))?;
        Ok(())
    }

    fn seek(&mut self) -> Result<()> {
        let start = SeekFrom::Start(self.at.offset);
        self.file.seek(start).map(drop).map_err(|e| io_error("read", &self.path, e))
    }

    /// Everything behind the last good batch.
    pub(super) fn rest(&mut self) -> Result<Vec<u8>> {
        self.seek()?;
        let mut rest = Vec::new();
        self.file.read_to_end(&mut rest).map_err(|e| io_error("read", &self.path, e))?;
        Ok(rest)
    }

    fn damaged(&self) -> Error {
        let record = self.at.last.next();
        journal::damaged(&self.name, &format!("record {record}"))
            .with("path", text(&self.path))
            .with("record", record.to_string())
            .with("offset", self.at.offset.to_string())
    }

    /// The place behind the last good batch.
    pub(super) fn at(&self) -> Place {
        self.at
    }
}

/// A log that this process may write.
#[derive(Debug)]
pub(super) struct Log {
    disk: Disk,
    name: String,
    path: PathBuf,
    /// Made with the first append.
    file: Option<File>,
    at: Place,
    /// The end of the file is not known: an append failed.
    broken: bool,
}

impl Log {
    /// Opens a log to write it, checks all of it, and cuts a torn write off its end. Where there is none, the first
    /// append makes it.
    pub(super) fn open(
        disk: &Disk,
        path: &Path,
        name: &str,
        known: Option<Place>,
    ) -> Result<(Log, Option<Cut>)> {
        let Some(mut reader) = Reader::open(disk, path, name, known)? else {
            if known.is_some_and(|known| known.last > Seq::START) {
                return Err(gone(name, path));
            }
            let at = journal::read_header(&journal::header(name), name)?;
            let (disk, name, path) = (disk.clone(), name.to_owned(), path.to_owned());
            return Ok((Log { disk, name, path, file: None, at, broken: false }, None));
        };
        let torn = loop {
            match reader.next()? {
                Next::Batch(_) => {}
                Next::End => break false,
                Next::Torn => break true,
            }
        };
        let file = disk.open_to_write(path).map_err(|e| io_error("write", path, e))?;
        let (disk, name, path) = (disk.clone(), name.to_owned(), path.to_owned());
        let at = reader.at;
        // Saved beside the log, and only then cut off.
        let mut cut = None;
        if torn {
            let torn = reader.rest()?;
            let saved = path.with_extension(format!("{}.torn", at.offset));
            disk.replace(&saved, &torn, 0o644).map_err(|e| io_error("save the torn end of", &path, e))?;
            cut_off(&file, at).map_err(|e| io_error("cut the torn end of", &path, e))?;
            let (after, bytes) = (at.last, torn.len() as u64);
            cut = Some(Cut { deployment: name.clone(), after, bytes, saved });
        }
        let known = known.map_or(0, |known| known.offset);
        write_again(&disk, &path, &file, known, at).map_err(|e| io_error("keep", &path, e))?;
        Ok((Log { disk, name, path, file: Some(file), at, broken: false }, cut))
    }

    /// The place behind the last record.
    pub(super) fn at(&self) -> Place {
        self.at
    }

    /// Writes one batch: all of it is durable when this returns, or none of it counts.
    pub(super) fn append(&mut self, bodies: &[Vec<u8>]) -> Result<Seq> {
        if self.broken {
            self.mend()?;
        }
        let (bytes, to) = journal::batch(self.at, bodies)?;
        let file = match self.file.take() {
            Some(file) => file,
            None => self.make().map_err(|error| io_error("make", &self.path, error))?,
        };
        let file = self.file.insert(file);
        kill::point_with("journal.torn", || {
            // What a write that was cut off leaves.
            let _ = file.write_all_at(&bytes[..bytes.len() / 2], self.at.offset);
        });
        let written = file.write_all_at(&bytes, self.at.offset);
        kill::point("journal.unsynced");
        if let Err(error) = written.and_then(|()| file.sync()) {
            self.broken = true;
            // For those who read meanwhile; what the disk has is looked at before the next append.
            let _ = file.set_len(self.at.offset);
            return Err(io_error("append to", &self.path, error));
        }
        self.at = to;
        Ok(to.last)
    }

    /// A log without a record. A crash before the first one leaves it as it is: it counts as none.
    fn make(&self) -> io::Result<File> {
        self.disk.replace(&self.path, &journal::header(&self.name), 0o644)?;
        self.disk.open_to_write(&self.path)
    }

    /// After a failed append: nobody knows what the disk has, and another sync would only say that it has
    /// nothing more to do. So the file is opened anew, everything that was acknowledged is read back, and what
    /// is behind it is cut off.
    fn mend(&mut self) -> Result<()> {
        self.file.iter().for_each(File::forget);
        let reader = Reader::open(&self.disk, &self.path, &self.name, Some(self.at))?;
        let mut reader = reader.ok_or_else(|| gone(&self.name, &self.path))?;
        while reader.at.offset < self.at.offset {
            if !matches!(reader.next()?, Next::Batch(_)) {
                return Err(reader.damaged());
            }
        }
        let failed = |error| io_error("mend", &self.path, error);
        let file = self.disk.open_to_write(&self.path).map_err(failed)?;
        cut_off(&file, self.at).map_err(failed)?;
        self.file = Some(file);
        self.broken = false;
        Ok(())
    }
}

/// Writes the same bytes once more from here on, where the last holder did not come to say that they are
/// durable: after a sync that failed, the system shows bytes that the disk has never got.
fn write_again(disk: &Disk, path: &Path, file: &File, from: u64, to: Place) -> io::Result<()> {
    let Some(length) = to.offset.checked_sub(from).filter(|length| *length > 0) else {
        return Ok(());
    };
    let mut cursor = Cursor::new(disk.open(path)?);
    cursor.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    cursor.take(length).read_to_end(&mut bytes)?;
    file.write_all_at(&bytes, from)?;
    file.sync()
}

/// Makes a log end behind its last good batch.
fn cut_off(file: &File, at: Place) -> io::Result<()> {
    file.set_len(at.offset)?;
    file.sync()
}

/// That a log is gone which had records once.
pub(super) fn gone(name: &str, path: &Path) -> Error {
    journal::damaged(name, "the whole of it is gone: record 1")
        .with("path", text(path))
        .with("record", "1")
        .with("offset", "0")
}

/// Whether a log has at least one record: a look at its length.
pub(super) fn has_records(path: &Path, name: &str) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.len() > journal::header(name).len() as u64)
}

/// What the system says of a file of the journal.
pub(super) fn io_error(verb: &str, path: &Path, error: io::Error) -> Error {
    use io::ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let (kind, code, help) = match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => (
            ErrorKind::Failed,
            "journal::full",
            "free some space, then `resume`: nothing half-written is left",
        ),
        PermissionDenied | ReadOnlyFilesystem => (
            ErrorKind::Denied,
            "journal::denied",
            "run as the user who owns the state directory, or choose another with `--state DIR`",
        ),
        _ => (ErrorKind::Failed, "journal::io", "see what the system says, mend it, then `resume`"),
    };
    Error::new(kind, code, format!("{verb} the journal")).help(help).with("path", text(path)).because(error)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
