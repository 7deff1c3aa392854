//! A SQLite database: one file, made when it is wanted and never lost by accident.
//!
//! | kind | wants | outputs |
//! |---|---|---|
//! | `sqlite.database` | `path` of the file, absolute | `url`: `sqlite://PATH`, percent-encoded |
//!
//! A file that is there is adopted as it is. One that is damaged is told as drift, and planning refuses to go
//! on: nothing is overwritten. Deleting takes the file and its two companions (`-wal`, `-shm`), and cannot be
//! taken back.

mod file;
mod url;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use code_core::provider::{
    Action, Capabilities, Change, Class, Effects, Failed, Health, Live, Observed, Promise, Provider,
    ProviderInfo, Resource,
};
use code_core::{Ctx, Error, ErrorKind, Expr, Result, Want};

use crate::keep;
use file::Look;
pub use url::{path_of, url_of};

/// The kind of the resource.
pub const KIND: &str = "sqlite.database";

/// Makes, observes and deletes SQLite files.
#[derive(Debug)]
pub struct Sqlite {
    info: ProviderInfo,
}

impl Default for Sqlite {
    fn default() -> Sqlite {
        Sqlite {
            info: ProviderInfo {
                name: "sqlite".to_owned(),
                summary: "SQLite databases as files".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
        }
    }
}

#[async_trait]
impl Provider for Sqlite {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { kinds: vec![KIND], update: false, replace: false, concurrency: 4, class: Class::Io }
    }

    async fn health(&self, _ctx: &Ctx) -> Result<Health> {
        Ok(Health::Ready { version: format!("SQLite {}", rusqlite::version()) })
    }

    async fn observe(&self, _ctx: &Ctx, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
        if let Some(unknown) = resource.wanted().references().pop_first() {
            return Ok(Observed::NotYet(unknown));
        }
        // What was recorded may be a database of another engine, which had this address before.
        let recorded = last.and_then(|live| path(&live.was).ok());
        let path = match &resource.want {
            Some(want) => path(want)?,
            None => match &recorded {
                Some(path) => path.clone(),
                None => return Ok(Observed::Absent),
            },
        };
        Ok(match file::look(&path).await? {
            Look::Sound => Observed::Present(live(&path, Vec::new())),
            Look::Damaged(why) => Observed::Present(live(&path, vec![format!("the file is damaged: {why}")])),
            Look::Unreadable(why) => Observed::Unknown(why),
            Look::Nothing => match recorded {
                // Making an empty database while the data lies elsewhere would look like losing it.
                Some(old) if old != path && old.exists() => Observed::Unknown(format!(
                    "its data is in {}, and {} is wanted: move the file first",
                    old.display(),
                    path.display()
                )),
                _ => Observed::Absent,
            },
        })
    }

    async fn plan(&self, _ctx: &Ctx, resource: &Resource, live: &Observed) -> Result<Change> {
        plan(resource, live)
    }

    async fn apply(&self, ctx: &Ctx, change: &Change) -> Result<Option<Live>, Failed> {
        match change.action {
            Action::Delete => {
                if let Some(prior) = &change.prior {
                    file::delete(&path(&prior.was)?).await?;
                }
                Ok(None)
            }
            _ => {
                let path = path(&change.resource.wanted())?;
                ctx.say(format!("opening {}", path.display()));
                file::make(&path).await?;
                Ok(Some(live(&path, Vec::new())))
            }
        }
    }
}

fn plan(resource: &Resource, observed: &Observed) -> Result<Change> {
    let Some(want) = &resource.want else { return Ok(keep::delete(resource, observed, "database")) };
    if let Some(live) = observed.live() {
        return match live.drift.first() {
            None => Ok(Change::keep(resource, live)),
            Some(drift) => Err(corrupt(&path(&live.was)?, drift)),
        };
    }
    let (name, url) = match want.is_bound() {
        true => {
            let path = path(want)?;
            (path.display().to_string(), Promise::Stays(url_of(&path).into()))
        }
        false => ("a database file".to_owned(), Promise::Later),
    };
    Ok(keep::kept(Change::create(resource, Effects::one(Action::Create, name)).output("url", url)))
}

fn live(path: &Path, drift: Vec<String>) -> Live {
    Live {
        id: path.display().to_string(),
        was: Want::new().with("path", path.to_string_lossy().into_owned()),
        outputs: [("url".to_owned(), Expr::from(url_of(path)))].into(),
        drift,
    }
}

fn path(want: &Want) -> Result<PathBuf> {
    let path: PathBuf = want.need("path")?;
    if path.is_absolute() {
        return Ok(path);
    }
    Err(Error::new(ErrorKind::Invalid, "sqlite::path", "use a relative path for a database")
        .help("give an absolute path: processes run in directories of their own")
        .with("path", path.display().to_string()))
}

fn corrupt(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Corrupt, "sqlite::corrupt", format!("use a database: {why}"))
        .help(format!(
            "nothing was changed: put a backup in its place, or save what is left with `sqlite3 '{0}' .recover`, \
             and move the damaged file away",
            path.display()
        ))
        .with("path", path.display().to_string())
}
#[cfg(test)]
mod tests;
