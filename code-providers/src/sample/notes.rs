//! Where notes are kept: PostgreSQL, SQLite or memory. Several replicas share one database.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use code_core::{Error, ErrorKind, Result};
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row};

use super::settings::Database;

/// How many of the newest notes are shown.
const SHOWN: usize = 100;
/// How long to wait for another replica that is writing, or for a server that does not answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Any number, the same in all replicas: who holds it makes the table while the others wait.
const MAKING_THE_TABLE: i64 = 0x6e6f_7465;

/// Something that somebody wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Note {
    pub(super) id: i64,
    pub(super) text: String,
    /// Seconds since 1970, UTC.
    pub(super) at: i64,
}

/// Where notes are kept.
pub(super) enum Notes {
    Memory(Mutex<Vec<Note>>),
    Sqlite(PathBuf),
    Postgres { config: Box<tokio_postgres::Config>, client: tokio::sync::Mutex<Option<Arc<Client>>> },
}

impl Notes {
    pub(super) fn new(database: Database) -> Notes {
        match database {
            Database::Memory => Notes::Memory(Mutex::default()),
            Database::Sqlite(path) => Notes::Sqlite(path),
            Database::Postgres(config) => Notes::Postgres { config, client: Default::default() },
        }
    }

    /// What keeps them, as a person calls it.
    pub(super) fn engine(&self) -> &'static str {
        match self {
            Notes::Memory(_) => "memory",
            Notes::Sqlite(_) => "SQLite",
            Notes::Postgres { .. } => "PostgreSQL",
        }
    }

    /// Whether notes can be read now.
    pub(super) async fn check(&self) -> Result<()> {
        match self {
            Notes::Memory(_) => Ok(()),
            Notes::Sqlite(path) => sqlite(path, |db| db.query_row("SELECT 1", [], |_| Ok(()))).await,
            Notes::Postgres { .. } => self.rows("SELECT 1", &[]).await.map(drop),
        }
    }

    /// The newest notes, newest first.
    pub(super) async fn newest(&self) -> Result<Vec<Note>> {
        let limit = SHOWN as i64;
        match self {
            Notes::Memory(notes) => Ok(lock(notes).iter().rev().take(SHOWN).cloned().collect()),
            Notes::Sqlite(path) => {
                sqlite(path, move |db| {
                    let mut query = db.prepare("SELECT id, text, at FROM notes ORDER BY id DESC LIMIT ?1")?;
                    let rows = query.query_map([limit], |row| {
                        Ok(Note { id: row.get(0)?, text: row.get(1)?, at: row.get(2)? })
                    })?;
                    rows.collect()
                })
                .await
            }
            Notes::Postgres { .. } => {
                let query = "SELECT id, text, at FROM notes ORDER BY id DESC LIMIT $1";
                let rows = self.rows(query, &[&limit]).await?;
                Ok(rows.iter().map(|row| Note { id: row.get(0), text: row.get(1), at: row.get(2) }).collect())
            }
        }
    }

    /// Keeps one more.
    pub(super) async fn add(&self, text: String, at: i64) -> Result<Note> {
        match self {
            Notes::Memory(notes) => {
                let mut notes = lock(notes);
                let note = Note { id: notes.len() as i64 + 1, text, at };
                notes.push(note.clone());
                Ok(note)
            }
            Notes::Sqlite(path) => {
                sqlite(path, move |db| {
                    db.execute("INSERT INTO notes (text, at) VALUES (?1, ?2)", (&text, at))?;
                    Ok(Note { id: db.last_insert_rowid(), text, at })
                })
                .await
            }
            Notes::Postgres { .. } => {
                let client = self.client().await?;
                let insert = "INSERT INTO notes (text, at) VALUES ($1, $2) RETURNING id";
                let row = within(client.query_one(insert, &[&text, &at])).await?;
                Ok(Note { id: row.get(0), text, at })
            }
        }
    }

    /// What a query reads. Where the server went away since the last one, it is asked once more.
    async fn rows(&self, query: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        let client = self.client().await?;
        match within(client.query(query, values)).await {
            Err(_) if client.is_closed() => within(self.client().await?.query(query, values)).await,
            answer => answer,
        }
    }

    /// The connection to the server, made anew where it was lost.
    async fn client(&self) -> Result<Arc<Client>> {
        let Notes::Postgres { config, client } = self else {
            return Err(Error::new(
                ErrorKind::Bug,
                "sample::database",
                "connect to a database without a server",
            )
            .help("please report it: the sample app asked SQLite for a connection"));
        };
        let mut held = client.lock().await;
        if let Some(client) = held.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        let (mut client, connection) = within(config.connect(NoTls)).await?;
        tokio::spawn(connection);
        within(make_table(&mut client)).await?;
        Ok(Arc::clone(held.insert(Arc::new(client))))
    }
}

/// `CREATE TABLE IF NOT EXISTS` fails when two do it at once, so they take turns.
async fn make_table(client: &mut Client) -> Result<(), tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&MAKING_THE_TABLE]).await?;
    let table = "CREATE TABLE IF NOT EXISTS notes (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text NOT NULL, at bigint NOT NULL)";
    transaction.batch_execute(table).await?;
    transaction.commit().await
}

/// A call of the server, with an end.
async fn within<T>(call: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(answer) => answer.map_err(broken),
        Err(_) => Err(Error::new(ErrorKind::Timeout, "sample::database", "get an answer from the database")
            .help("see whether its server is running")),
    }
}

/// A call of SQLite on a thread of its own. The file is opened each time: that is cheap, and a file that was
/// taken away is noticed.
async fn sqlite<T: Send + 'static>(
    path: &Path,
    call: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T> {
    let path = path.to_owned();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let work = move || {
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(PATIENCE)?;
        let table = "CREATE TABLE IF NOT EXISTS notes (
            id INTEGER PRIMARY KEY, text TEXT NOT NULL, at INTEGER NOT NULL)";
        db.execute_batch(table)?;
        call(&db)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer.map_err(broken),
        Err(error) => Err(broken(error)),
    }
}

fn broken(error: impl std::error::Error) -> Error {
    Error::new(ErrorKind::Failed, "sample::database", "use the database")
        .help("see whether its server is running, and whether its file is there")
        .because(error)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
