//! What can go wrong, and what a person can do about it.

use std::path::Path;

use code_core::{Error, ErrorKind};

/// How to get PostgreSQL.
pub(super) const INSTALL: &str = "install it (Debian, Ubuntu: `apt-get install postgresql`; Fedora: `dnf install postgresql-server`; \
     macOS: `brew install postgresql`), or ask for SQLite instead";

pub(super) fn missing(major: Option<u32>, found: &[String]) -> Error {
    let what = major.map_or("PostgreSQL".to_owned(), |major| format!("PostgreSQL {major}"));
    let error = Error::new(ErrorKind::Missing, "postgres::missing", format!("find the programs of {what}"));
    let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
    error.help(INSTALL).with("found", found)
}

pub(super) fn major(dir: &Path, is: u32, wanted: u32) -> Error {
    let message = format!("use data of PostgreSQL {is} with PostgreSQL {wanted}");
    Error::new(ErrorKind::Unsupported, "postgres::major", message)
        .help(format!(
            "ask for version {is}, or move the data: `pg_dump` it, destroy the deployment with its data, deploy \
             version {wanted}, and `psql` it back in"
        ))
        .with("dir", dir.display().to_string())
}

pub(super) fn no_user() -> Error {
    Error::new(ErrorKind::Missing, "postgres::no-user", "find a user who can run PostgreSQL: it refuses root")
        .help("make one (`useradd --system postgres`), or deploy as an ordinary user")
}

pub(super) fn closed_directory(closed: &Path, user: &str) -> Error {
    let message =
        format!("let the user `{user}` into {}, where PostgreSQL's data would lie", closed.display());
    Error::new(ErrorKind::Denied, "postgres::closed-directory", message)
        .help(format!(
            "as root, use a state directory that other users can enter (`--state /var/lib/code`), open this one \
             (`chmod o+x '{}'`), or deploy as an ordinary user",
            closed.display()
        ))
        .with("directory", closed.display().to_string())
}

pub(super) fn files(what: &str, path: &Path, cause: std::io::Error) -> Error {
    Error::new(ErrorKind::Failed, "postgres::files", format!("{what} {}", path.display()))
        .help("see who may write there and whether the disk is full, and try again")
        .with("path", path.display().to_string())
        .because(cause)
}

pub(super) fn tool(name: &str, said: String) -> Error {
    Error::new(ErrorKind::Failed, "postgres::tool", format!("run `{name}`"))
        .help("what it said stands with this error and in the step's log")
        .with("said", said)
}

pub(super) fn no_answer(host: &str, port: u16, last: &str) -> Error {
    let message = format!("reach a PostgreSQL server on {host}:{port}");
    Error::new(ErrorKind::Timeout, "postgres::no-answer", message)
        .help("see the server's log (`logs db`): it may have stopped, or still be mending what a crash left")
        .with("last", last)
}

pub(super) fn stranger(host: &str, port: u16) -> Error {
    let message = format!("log in to the PostgreSQL server on {host}:{port} as its superuser");
    Error::new(ErrorKind::Denied, "postgres::stranger", message)
        .help("another server may have this port: choose another one with `port`; or the stored secrets are not those of this data")
}

pub(super) fn password(name: &str) -> Error {
    let message = format!("put the secret `{name}` into an address");
    Error::new(ErrorKind::Invalid, "postgres::password", message)
        .help("use letters, digits, `-`, `_`, `.` and `~` only: the password is a part of DATABASE_URL")
}

pub(super) fn sql(what: &str, cause: tokio_postgres::Error) -> Error {
    Error::new(ErrorKind::Failed, "postgres::sql", what.to_owned())
        .help("see the server's log (`logs db`), and try again")
        .because(cause)
}

pub(super) fn want(name: &str, help: &str) -> Error {
    Error::new(ErrorKind::Invalid, "postgres::want", format!("use `{name}` as it is wanted")).help(help)
}

pub(super) fn cancelled() -> Error {
    Error::new(
        ErrorKind::Cancelled,
        "postgres::cancelled",
        "wait for the PostgreSQL server: the run was cancelled",
    )
    .help("`resume` goes on from here")
}
