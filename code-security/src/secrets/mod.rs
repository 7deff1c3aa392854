//! Secrets of a state directory, encrypted where they rest.
//!
//! ```text
//! STATE/secrets/             0700
//!      /key                  0600  the keys: the first seals, all of them open
//!      /lock                 0600  held while something is written, and by nobody in between
//!      /HASH-OF-NAME.secret  0600  one sealed record a secret
//! ```
//!
//! A record (`envelope`) is sealed with XChaCha20-Poly1305 under a key (`keys`) that is made when the first
//! secret is stored. What this protects against: a copy of the records alone (a backup, a bucket, a commit),
//! and damage, which is told apart from a missing secret. What it does not: somebody who can read as this
//! user can read the key as well; and an older record put back in the place of a newer one is not noticed.
//!
//! Everything is written as a whole: sealed into `NAME.tmp`, synced, renamed, the directory synced. A reader
//! needs no lock; it sees the old record or the new one.

mod envelope;
mod files;
mod keys;
mod password;

use std::path::PathBuf;

use async_trait::async_trait;
use code_core::{Digest, Error, ErrorKind, Result, Secret, SecretRef, Secrets};

use files::Dir;
use keys::Keys;
pub use password::generate_password;

/// The longest name of a secret, in bytes.
pub const LONGEST_NAME: usize = 4096;
/// The longest value of a secret, in bytes: 1 MiB.
pub const LONGEST_VALUE: usize = 1 << 20;

/// Secrets in a directory of this machine, safe for many threads and processes at once.
#[derive(Clone, Debug)]
pub struct LocalSecrets {
    dir: PathBuf,
}

impl LocalSecrets {
    /// The secrets of this directory (`Layout::secrets`), which is made when the first one is stored.
    pub fn new(dir: impl Into<PathBuf>) -> LocalSecrets {
        LocalSecrets { dir: dir.into() }
    }

    /// Runs file work off the threads that drive everything else.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Dir) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let dir = Dir::new(self.dir.clone());
        tokio::task::spawn_blocking(move || work(&dir)).await.unwrap_or_else(|error| {
            Err(Error::new(ErrorKind::Bug, "secret::store", "finish work on the secrets")
                .help("report it; nothing was stored")
                .because(error))
        })
    }
}

#[async_trait]
impl Secrets for LocalSecrets {
    /// # Errors
    /// `secret::corrupt` where the record is damaged, `secret::key` where the key that sealed it is missing,
    /// damaged or open to others, `secret::store` where a file cannot be read.
    async fn get(&self, name: &SecretRef) -> Result<Option<Secret>> {
        let name = name.0.clone();
        self.run(move |dir| get(dir, &name)).await
    }

    /// # Errors
    /// Those of `get`, `secret::too-long`, `secret::locked` where another process holds the lock for too
    /// long, `secret::random` where the system has no random bytes.
    async fn put(&self, name: &SecretRef, value: Secret) -> Result<()> {
        let name = name.0.clone();
        self.run(move |dir| put(dir, &name, &value)).await
    }

    /// # Errors
    /// `secret::store`, `secret::locked`.
    async fn delete(&self, name: &SecretRef) -> Result<()> {
        let name = name.0.clone();
        self.run(move |dir| delete(dir, &name)).await
    }
}

fn get(dir: &Dir, name: &str) -> Result<Option<Secret>> {
    let file = file_name(name);
    let Some(record) = dir.read(&file)? else { return Ok(None) };
    let Some(keys) = Keys::read(dir)? else { return Err(keys::missing(dir)) };
    envelope::open(&keys, name, &record).map(Some).map_err(|error| {
        error.with("secret", shown(name)).with("path", dir.path(&file).display().to_string())
    })
}

fn put(dir: &Dir, name: &str, value: &Secret) -> Result<()> {
    let too_long = |what: &str, longest: usize| {
        Err(Error::new(ErrorKind::Invalid, "secret::too-long", format!("store {what} of a secret"))
            .help(format!("it may have {longest} bytes"))
            .with("secret", shown(name)))
    };
    if name.len() > LONGEST_NAME {
        return too_long("the name", LONGEST_NAME);
    }
    if value.expose().len() > LONGEST_VALUE {
        return too_long("the value", LONGEST_VALUE);
    }
    dir.make()?;
    let _lock = dir.lock()?;
    let keys = Keys::read_or_make(dir)?;
    let record = envelope::seal(&keys, name, value)?;
    dir.write(&file_name(name), &record)
}

fn delete(dir: &Dir, name: &str) -> Result<()> {
    if !dir.exists()? {
        return Ok(());
    }
    let _lock = dir.lock()?;
    dir.remove(&file_name(name))
}

/// The file of a name: a hash, so that no name can leave the directory or be too long for it.
fn file_name(name: &str) -> String {
    format!("{}{}", Digest::of_parts([b"secret name".as_slice(), name.as_bytes()]), files::RECORD)
}

fn shown(name: &str) -> String {
    name.chars().take(80).flat_map(char::escape_debug).collect()
}
