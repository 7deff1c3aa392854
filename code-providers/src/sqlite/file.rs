//! What is done to the file itself; SQLite blocks, so each call has a thread of its own.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::ErrorKind as Io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use code_core::{Error, ErrorKind, Result, kill};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::url_of;

/// What is found at a path.
pub(super) enum Look {
    Nothing,
    Sound,
    /// It is there and is no sound database, and what SQLite says of it.
    Damaged(String),
    /// It cannot be told, and why.
    Unreadable(String),
}

pub(super) async fn look(path: &Path) -> Result<Look> {
    let path = path.to_owned();
    blocking(move || Ok(look_now(&path))).await
}

fn look_now(path: &Path) -> Look {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == Io::NotFound => return Look::Nothing,
        Err(error) => return Look::Unreadable(format!("{}: {error}", path.display())),
        Ok(found) if found.is_dir() => return Look::Damaged("it is a directory".to_owned()),
        Ok(_) => {}
    }
    // A plain reader of a database in WAL mode makes its two companions and leaves them. Where nobody has it open
    // there are none, and a reader to whom it is immutable makes none.
    let alone = || !companion(path, "-wal").exists();
    let read = match alone() {
        // Damage that was seen while somebody began to write may be none.
        true => read(path, true).or_else(|error| if alone() { Err(error) } else { read(path, false) }),
        false => read(path, false),
    };
    match read {
        Ok(_) => Look::Sound,
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Look::Damaged(error.to_string()),
            // Somebody is writing: what can be locked is a database.
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Look::Sound,
            _ => Look::Unreadable(format!("{}: {error}", path.display())),
        },
    }
}

/// Reads what every database has; `immutable` promises SQLite that nobody writes
/// (<https://www.sqlite.org/uri.html>).
fn read(path: &Path, immutable: bool) -> rusqlite::Result<i64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = match immutable {
        true => {
            let uri = format!("{}?immutable=1", url_of(path).replacen("sqlite://", "file:", 1));
            Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?
        }
        false => Connection::open_with_flags(path, flags)?,
    };
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
}

fn companion(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes the database where there is none, and sets it up for several processes: readers and the one writer
/// do not wait for each other in WAL mode, which stays with the file.
pub(super) async fn make(path: &Path) -> Result<()> {
    let path = path.to_owned();
    blocking(move || {
        let failed = |error: &dyn std::error::Error| {
            Error::new(ErrorKind::Failed, "sqlite::make", format!("make a database: {error}"))
                .help("see that its directory can be written and that the disk is not full")
                .with("path", path.display().to_string())
        };
        if let Some(parent) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(|e| failed(&e))?;
        }
        // Made here and not by SQLite, so that nobody else can read it, whatever the umask.
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        made.map(drop).or_else(|e| if e.kind() == Io::AlreadyExists { Ok(()) } else { Err(failed(&e)) })?;
        kill::point("sqlite.make");
        let db = Connection::open(&path).map_err(|e| failed(&e))?;
        db.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).map_err(|e| failed(&e))
    })
    .await
}

/// Deletes the database and its companions; what is gone already is fine.
pub(super) async fn delete(path: &Path) -> Result<()> {
    let path = path.to_owned();
    blocking(move || {
        // The database last: while it is there, a crash in between is seen and the delete is done again.
        for suffix in ["-wal", "-shm", ""] {
            match fs::remove_file(companion(&path, suffix)) {
                Err(error) if error.kind() != Io::NotFound => {
                    return Err(Error::new(ErrorKind::Failed, "sqlite::delete", "delete a database")
                        .help("see who may write to its directory, and try again")
                        .with("path", path.display().to_string())
                        .because(error));
                }
                _ => {}
            }
        }
        Ok(())
    })
    .await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::Bug, "sqlite::thread", "finish a call of SQLite")
            .help("run the same command again: the database is looked at first")
            .because(error))
    })
}
