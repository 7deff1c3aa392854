//! Databases: data, server and what others connect to are resources of their own.

use code_core::provider::Resource;
use code_core::recipe::At;
use code_core::{Expr, Layout, Result, Want};
use serde_json::json;

use super::{limits, port};
use crate::recipes::replicas;

/// How long a server may take until it accepts connections: after a crash it replays its log first.
const READY_SECONDS: u32 = 120;
/// How long a server may take to end its sessions before it is killed.
const GRACE_SECONDS: u32 = 30;

pub(super) fn resources(at: &At<'_>) -> Result<Vec<Resource>> {
    limits::check(at.component)?;
    match at.component.engine.as_deref() {
        Some("postgresql") => postgresql(at),
        Some("sqlite") => sqlite(at),
        _ => Err(limits::no_such_engine(at.component)),
    }
}

fn sqlite(at: &At<'_>) -> Result<Vec<Resource>> {
    let path = Layout::new(at.state_dir).data(&at.spec.deployment()?, &at.component.name).join("db.sqlite3");
    let want = Want::new().with("path", path.to_string_lossy().into_owned());
    Ok(vec![Resource::new(At::endpoint(&at.component.name)?, "sqlite.database", want).retained()])
}

fn postgresql(at: &At<'_>) -> Result<Vec<Resource>> {
    let (data, server) = (at.address("data")?, at.address("server")?);
    let dir = Layout::new(at.state_dir).data(&at.spec.deployment()?, &at.component.name).join("cluster");
    let dir = dir.to_string_lossy().into_owned();
    let superuser = Expr::secret(at.secret("superuser-password"));

    let major = at.component.version.as_ref().and_then(|version| version.split('.').next());
    let want = Want::new()
        .with("dir", dir.clone())
        .with_some("major", major)
        .with("superuser_password", superuser.clone());
    let mut resources = vec![Resource::new(data.clone(), "postgres.data", want).retained()];
    if at.component.stopped {
        return Ok(resources);
    }

    let port = port(at);
    // No Unix socket: its path would have to be shorter than many a state directory's.
    let args = json!(["-D", &dir, "-p", port.to_string(), "-k", "", "-c", "listen_addresses=127.0.0.1"]);
    let want = Want::new()
        .with("program", Expr::output(&data, "program"))
        .with("args", args)
        .with("user", Expr::output(&data, "user"))
        .with("port", port)
        .with("stop_signal", "INT")
        .with("grace_seconds", json!(GRACE_SECONDS))
        .with("health.tcp", true)
        .with("health.timeout_seconds", json!(READY_SECONDS))
        .with_some("memory", at.component.memory.clone())
        .with_some("cpu", at.component.cpu.map(|cpu| json!(cpu)));
    let fingerprint = replicas::fingerprint(&want, at.component);
    resources.push(Resource::new(server.clone(), "process", want.with(replicas::FINGERPRINT, fingerprint)));

    let name = database_name(&at.spec.application);
    let want = Want::new()
        .with("host", "127.0.0.1")
        .with("port", Expr::output(&server, "port"))
        .with("name", name.clone())
        .with("user", name)
        .with("password", Expr::secret(at.secret("password")))
        .with("superuser_password", superuser)
        .with("bin_dir", Expr::output(&data, "bin_dir"))
        .with("dir", dir);
    resources.push(Resource::new(At::endpoint(&at.component.name)?, "postgres.database", want).retained());
    Ok(resources)
}

/// The application's name as the name of its database and role: `-` would have to be quoted everywhere, and
/// PostgreSQL keeps some names for itself.
pub(in crate::recipes) fn database_name(application: &str) -> String {
    let name = application.replace('-', "_");
    let kept = ["postgres", "template0", "template1", "public", "none"].contains(&name.as_str());
    let unusual = name.starts_with("pg_") || name.starts_with(|c: char| c.is_ascii_digit());
    let name = if kept || unusual { format!("app_{name}") } else { name };
    // PostgreSQL cuts names at 63 bytes, and a name is ASCII.
    name.chars().take(63).collect()
}

#[cfg(test)]
mod tests {
    use super::database_name;

    #[test]
    fn names_that_postgresql_keeps_are_changed() {
        for (application, name) in [
            ("shop", "shop"),
            ("my-shop", "my_shop"),
            ("postgres", "app_postgres"),
            ("pg-x", "app_pg_x"),
            ("1st", "app_1st"),
        ] {
            assert_eq!(database_name(application), name);
        }
        assert_eq!(database_name(&"9".repeat(63)).len(), 63);
    }
}
