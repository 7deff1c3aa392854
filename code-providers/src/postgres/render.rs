//! What is handed to PostgreSQL's programs and servers, as text.

use std::ffi::OsString;
use std::path::Path;

use code_core::{Expr, SecretRef};

use super::config::Database;

/// The superuser of every cluster that is made here.
pub(super) const SUPERUSER: &str = "postgres";

/// What `initdb` is called with. The password's file is read by it and by nobody else.
pub(super) fn initdb(dir: &Path, password: &Path, locale: &str) -> Vec<OsString> {
    let mut password_file = OsString::from("--pwfile=");
    password_file.push(password);
    let mut args: Vec<OsString> =
        ["-U", SUPERUSER, "--auth=scram-sha-256", "--encoding=UTF8"].map(Into::into).into();
    args.push(format!("--locale={locale}").into());
    args.extend([password_file, "-D".into(), dir.into()]);
    args
}

/// What is added to `postgresql.conf`, for whoever starts the server by hand: the port comes by argument.
pub(super) const CONF: &str = "
# This cluster belongs to a deployment. What is set here holds also where the server is started by hand.
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
";

/// The whole of `pg_hba.conf`: from this machine, with a password, and nobody else.
pub(super) const HBA: &str = "# This cluster belongs to a deployment.
# TYPE  DATABASE  USER  ADDRESS       METHOD
host    all       all   127.0.0.1/32  scram-sha-256
";

/// Makes a role, or gives it another password; `verifier` is what a server stores of one (RFC 5803).
pub(super) fn role(user: &str, verifier: &str, exists: bool) -> String {
    let verb = if exists { "ALTER" } else { "CREATE" };
    format!("{verb} ROLE {} LOGIN PASSWORD {}", identifier(user), literal(verifier))
}

pub(super) fn create_database(name: &str, owner: &str) -> String {
    format!("CREATE DATABASE {} OWNER {}", identifier(name), identifier(owner))
}

/// Takes a database and its role away, also while somebody is connected.
pub(super) fn drop_database(name: &str, user: &str) -> [String; 2] {
    let name = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(name));
    [name, format!("DROP ROLE IF EXISTS {}", identifier(user))]
}

/// The database's address. The password stays a name: it is put in where the address is used.
pub(super) fn url(database: &Database) -> Expr {
    let Database { host, port, name, user, password: SecretRef(password), .. } = database;
    Expr::Text(vec![
        format!("postgres://{user}:").into(),
        Expr::secret(password.clone()),
        format!("@{host}:{port}/{name}").into(),
    ])
}

/// What `psql` is called with.
pub(super) fn psql(database: &Database) -> Vec<OsString> {
    let port = database.port.to_string();
    ["-h", &database.host, "-p", &port, "-U", &database.user, "-d", &database.name].map(Into::into).into()
}

/// A quoted identifier (PostgreSQL, "Lexical Structure").
fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A quoted string without escapes.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_quote_what_they_name() {
        let hostile = "a\"b'c";
        assert_eq!(role(hostile, "S'x", false), r#"CREATE ROLE "a""b'c" LOGIN PASSWORD 'S''x'"#);
        assert_eq!(role("shop", "S", true), r#"ALTER ROLE "shop" LOGIN PASSWORD 'S'"#);
        assert_eq!(create_database("shop", "own"), r#"CREATE DATABASE "shop" OWNER "own""#);
        assert_eq!(drop_database("shop", "own")[0], r#"DROP DATABASE IF EXISTS "shop" WITH (FORCE)"#);
    }

    #[test]
    fn initdb_gets_its_password_in_a_file() {
        let args = initdb(Path::new("/d/c"), Path::new("/d/p w"), "C");
        let args: Vec<_> = args.iter().map(|arg| arg.to_str().unwrap()).collect();
        let expect = "-U postgres --auth=scram-sha-256 --encoding=UTF8 --locale=C --pwfile=/d/p w -D /d/c";
        assert_eq!(args.join(" "), expect);
    }
}
