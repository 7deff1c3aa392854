//! Connections to a server: ours, and a person's.

use std::time::Duration;

use code_core::host::Command;
use code_core::provider::Live;
use code_core::{Ctx, Result, Secret, SecretRef};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use super::config::Database;
use super::{error, render};

/// How long one try may take.
const ONE_TRY: Duration = Duration::from_secs(5);

/// What came of trying to log in.
pub(super) enum Login {
    In(Client),
    /// Nothing answers yet, and what the last try said.
    Nobody(String),
    /// A server answers that it cannot be entered yet: it starts, or mends what a crash left.
    Starting(String),
    /// A server answers, and takes neither this user nor this password.
    Refused,
}

pub(super) async fn log_in(database: &Database, user: &str, to: &str, password: &Secret) -> Result<Login> {
    let mut config = Config::new();
    config.host(&database.host).port(database.port).user(user).dbname(to).password(password.expose());
    config.application_name("code").connect_timeout(ONE_TRY);
    let connecting = tokio::time::timeout(ONE_TRY, config.connect(NoTls)).await;
    let Ok(connected) = connecting else { return Ok(Login::Nobody("no answer in time".to_owned())) };
    match connected {
        Ok((client, connection)) => {
            tokio::spawn(connection);
            Ok(Login::In(client))
        }
        Err(cause) => match cause.code() {
            Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
                Ok(Login::Refused)
            }
            Some(&SqlState::INVALID_CATALOG_NAME) => Ok(Login::Refused),
            Some(&SqlState::CANNOT_CONNECT_NOW) => Ok(Login::Starting(reason(&cause))),
            None => Ok(Login::Nobody(reason(&cause))),
            Some(_) => Err(error::sql("log in to the PostgreSQL server", cause)),
        },
    }
}

/// The innermost cause: the others only say that something went wrong.
fn reason(cause: &dyn std::error::Error) -> String {
    let mut innermost = cause;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// Checks that a password can stand in an address as it is.
pub(super) fn check_password(name: &SecretRef, password: &Secret) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    if !password.expose().is_empty() && password.expose().chars().all(plain) {
        return Ok(());
    }
    Err(error::password(&name.0))
}

/// The command that opens a database's own shell, `psql`, on a terminal; `live` is what was recorded of the
/// `postgres.database`. The password is in its environment, never in its arguments.
///
/// # Errors
/// `secret::unknown` where its password is gone, `postgres::want` where it was recorded as something else.
pub async fn connect_command(ctx: &Ctx, live: &Live) -> Result<Command> {
    let database = Database::read(&live.was)?;
    let password = ctx.secret(&database.password).await?;
    let psql = database.bin_dir.join("psql");
    Ok(Command::new(psql).args(render::psql(&database)).secret_env("PGPASSWORD", password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_stands_in_an_address_as_it_is() {
        let name = SecretRef("x".into());
        check_password(&name, &crate::password::make().unwrap()).unwrap();
        for bad in ["", "a b", "p@ss", "a/b", "ü"] {
            assert_eq!(check_password(&name, &Secret::new(bad)).unwrap_err().code(), "postgres::password");
        }
    }
}
