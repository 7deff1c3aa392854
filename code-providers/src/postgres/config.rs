//! What is wanted, read once.

use std::path::PathBuf;

use code_core::{Expr, Result, SecretRef, Want};

use super::error;

/// A cluster's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Data {
    pub(super) dir: PathBuf,
    pub(super) major: Option<u32>,
    pub(super) superuser_password: SecretRef,
}

impl Data {
    pub(super) fn read(want: &Want) -> Result<Data> {
        let dir: PathBuf = want.need("dir")?;
        if !dir.is_absolute() || dir.file_name().is_none() {
            return Err(error::want("dir", "give an absolute path"));
        }
        let major = want.read::<serde_json::Value>("major")?.map(|major| code_core::expr::plain(&major));
        let major = major.map(|major| major.parse::<u32>()).transpose();
        let major =
            major.map_err(|_| error::want("major", "give PostgreSQL's major version, for example 16"))?;
        Ok(Data { dir, major, superuser_password: secret(want, "superuser_password")? })
    }
}

/// A role and its database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Database {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) name: String,
    pub(super) user: String,
    pub(super) password: SecretRef,
    pub(super) superuser_password: SecretRef,
    pub(super) bin_dir: PathBuf,
    /// Where the cluster's files lie; without it, nothing can be deleted while the server is stopped.
    pub(super) dir: Option<PathBuf>,
}

impl Database {
    pub(super) fn read(want: &Want) -> Result<Database> {
        let host = want.need("host")?;
        let (name, user) = (identifier(want, "name")?, identifier(want, "user")?);
        Ok(Database {
            host,
            port: want.need("port")?,
            name,
            user,
            password: secret(want, "password")?,
            superuser_password: secret(want, "superuser_password")?,
            bin_dir: want.need("bin_dir")?,
            dir: want.read("dir")?,
        })
    }
}

fn secret(want: &Want, name: &str) -> Result<SecretRef> {
    match want.get(name) {
        Some(Expr::Secret(secret)) => Ok(secret.clone()),
        _ => Err(error::want(name, "give the name of a secret, never a password")),
    }
}

/// A name that stands in SQL, in a URL and in arguments alike: quoting it right in all of them is not worth
/// what it would allow.
fn identifier(want: &Want, name: &str) -> Result<String> {
    let value: String = want.need(name)?;
    let good = value.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && value.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && value.len() <= 63;
    let kept = value.starts_with("pg_") || value == super::render::SUPERUSER;
    if good && !kept {
        return Ok(value);
    }
    Err(error::want(name, "use up to 63 lower-case letters, digits and `_`, and no name of PostgreSQL's own"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(Want) -> Want, expect: Option<&str>) {
        let want = Want::new()
            .with("host", "127.0.0.1")
            .with("port", 5432u16)
            .with("name", "shop")
            .with("user", "shop")
            .with("password", Expr::secret("p"))
            .with("superuser_password", Expr::secret("s"))
            .with("bin_dir", "/bin");
        let error = Database::read(&change(want)).err();
        assert_eq!(error.as_ref().map(code_core::Error::code), expect, "{error:?}");
    }

    #[test]
    fn what_is_wanted_is_checked() {
        check(|want| want, None);
        check(|want| want.with("port", 70_000u32.to_string()), Some("want::type"));
        check(|want| want.with("password", "hunter2"), Some("postgres::want"));
        for hostile in ["a\"; DROP DATABASE x", "pg_x", "postgres", "", "Shop", "-x", &"a".repeat(64)] {
            check(|want| want.with("name", hostile), Some("postgres::want"));
            check(|want| want.with("user", hostile), Some("postgres::want"));
        }
    }
}
