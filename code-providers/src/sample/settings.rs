//! What the environment says: read once, at the start.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use code_core::{Error, ErrorKind, Result};

use crate::sqlite::path_of;

/// What the app is told by whoever starts it.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// `HOST`: the address at which it listens; 127.0.0.1 where there is none.
    pub(super) host: IpAddr,
    /// `PORT`: where it listens there; 0 lets the system choose.
    pub(super) port: u16,
    /// `DATABASE_URL`, or what is in the file of `DATABASE_URL_FILE`.
    pub(super) database: Database,
    /// `CODE_APPLICATION` and `CODE_ENVIRONMENT`.
    pub(super) application: Option<(String, Option<String>)>,
    /// `CODE_REVISION`.
    pub(super) revision: Option<String>,
    /// `CODE_REPLICA`.
    pub(super) replica: Option<String>,
}

/// Where notes are kept.
#[derive(Clone, Debug)]
pub(super) enum Database {
    Memory,
    Sqlite(PathBuf),
    Postgres(Box<tokio_postgres::Config>),
}

impl Settings {
    /// The settings in these variables.
    ///
    /// # Errors
    /// `sample::settings` where `PORT` is no port, `HOST` no address, `DATABASE_URL` is of a database that it does not
    /// know, or the file of it cannot be read.
    pub(super) fn read(var: impl Fn(&str) -> Option<String>) -> Result<Settings> {
        let var = |name: &str| var(name).filter(|value| !value.is_empty());
        let port = var("PORT").and_then(|port| port.parse().ok());
        let port = port.ok_or_else(|| wrong("PORT", "set it to a number from 0 to 65535"))?;
        let host = var("HOST").map_or(Ok(Ipv4Addr::LOCALHOST.into()), |host| host.parse());
        let host =
            host.map_err(|_| wrong("HOST", "set it to an address, such as 0.0.0.0, or leave it out"))?;
        let url = match (var("DATABASE_URL"), var("DATABASE_URL_FILE")) {
            (None, Some(file)) => Some(std::fs::read_to_string(file).map_err(|error| {
                wrong("DATABASE_URL_FILE", "name a file that this program may read").because(error)
            })?),
            (url, _) => url,
        };
        let database = match url.as_deref().map(str::trim) {
            None => Database::Memory,
            Some(url) => database(url).ok_or_else(|| {
                wrong("DATABASE_URL", "begin it with `postgres://` or `sqlite://`, or leave it out")
            })?,
        };
        Ok(Settings {
            host,
            port,
            database,
            application: var("CODE_APPLICATION").map(|name| (name, var("CODE_ENVIRONMENT"))),
            revision: var("CODE_REVISION"),
            replica: var("CODE_REPLICA"),
        })
    }

    /// What the page is called.
    pub(super) fn title(&self) -> String {
        match &self.application {
            Some((name, Some(environment))) => format!("{name} · {environment}"),
            Some((name, None)) => name.clone(),
            None => "Notes".to_owned(),
        }
    }
}

fn database(url: &str) -> Option<Database> {
    if let Some(path) = path_of(url) {
        return Some(Database::Sqlite(path));
    }
    let known = url.starts_with("postgres://") || url.starts_with("postgresql://");
    known.then(|| url.parse().ok()).flatten().map(|config| Database::Postgres(Box::new(config)))
}

/// Names the variable and never its value, which may hold a password.
fn wrong(name: &str, help: &str) -> Error {
    Error::new(ErrorKind::Invalid, "sample::settings", format!("read the environment variable {name}"))
        .help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(port: &str, url: &str, expect: Option<&str>) {
        let var = |name: &str| match name {
            "PORT" => Some(port.to_owned()),
            "DATABASE_URL" => Some(url.to_owned()),
            "HOST" if port == "8081" => Some("everywhere".to_owned()),
            "DATABASE_URL_FILE" if url.is_empty() && port == "8082" => Some("/nowhere".to_owned()),
            _ => None,
        };
        let error = Settings::read(var).err();
        assert_eq!(
            error.as_ref().map(|e| e.message().rsplit(' ').next().unwrap().to_owned()).as_deref(),
            expect
        );
        assert!(error.is_none_or(|e| !format!("{e:?}").contains("hunter2")));
    }

    #[test]
    fn settings_are_checked_and_never_shown() {
        check("8080", "", None);
        check("0", "sqlite:///a%20b.db", None);
        check("8080", "postgres://u:hunter2@127.0.0.1:5432/shop", None);
        check("", "", Some("PORT"));
        check("8081", "", Some("HOST"));
        check("8082", "", Some("DATABASE_URL_FILE"));
        check("99999", "", Some("PORT"));
        check("1", "mysql://u:hunter2@h/x", Some("DATABASE_URL"));
        check("1", "postgres://u:hunter2@h:port/x", Some("DATABASE_URL"));
    }
}
