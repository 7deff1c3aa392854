//! PostgreSQL: its image, its data, and the server that others connect to.

use code_core::provider::Resource;
use code_core::recipe::At;
use code_core::{Expr, Result, Want};
use serde_json::json;

use super::{limits, network, pulled};
use crate::container::{CONTAINER, VOLUME};
use crate::recipes::local::database_name;
use crate::recipes::replicas;

/// What is taken where the spec does not say, as the tag of the official image.
const VERSION: &str = "17";
/// Where the server listens in its network.
const PORT: u16 = 5432;
/// How long the server may take to start, in seconds: after a crash it replays its log first.
const READY_SECONDS: u32 = 120;
/// How long a server may take to end its sessions before it is killed, in seconds.
const GRACE_SECONDS: u32 = 30;
/// Where the official image has its data; the cluster lies in a folder of it, as it must be empty.
const DATA: &str = "/var/lib/postgresql/data";

pub(super) fn resources(at: &At<'_>) -> Result<Vec<Resource>> {
    limits::database(at.component)?;
    let me = at.component;
    let version = me.version.as_deref().unwrap_or(VERSION);
    let reference = me.image.clone().unwrap_or_else(|| format!("docker.io/library/postgres:{version}"));
    let (image, network) = (pulled(at, &reference)?, network(at)?);
    let data = Resource::new(at.address("data")?, VOLUME, Want::new()).retained();
    if me.stopped {
        return Ok(vec![image, network, data]);
    }

    let user = database_name(&at.spec.application);
    let password = Expr::secret(at.secret("password"));
    let url = [
        format!("postgres://{user}:").into(),
        password.clone(),
        format!("@{}:{PORT}/{user}", me.name).into(),
    ];
    let want = Want::new()
        .with("image", Expr::output(&image.address, "id"))
        .with("alias", me.name.clone())
        .with("network.0", Expr::output(&network.address, "name"))
        .with(&format!("volume.{DATA}"), Expr::output(&data.address, "name"))
        .with("env.PGDATA", format!("{DATA}/cluster"))
        .with("env.POSTGRES_DB", user.clone())
        .with("env.POSTGRES_USER", user.clone())
        .with("env.POSTGRES_PASSWORD", password)
        // The image reads it from the file.
        .with("hand_over", "file")
        .with("port", PORT)
        // Over TCP, as others connect: while it is initialised, it listens on its own socket only.
        .with("health.command", json!(["pg_isready", "-h", "127.0.0.1", "-U", user, "-d", user]))
        .with("health.timeout_seconds", json!(READY_SECONDS))
        .with("stop_signal", "SIGINT")
        .with("grace_seconds", json!(GRACE_SECONDS))
        .with_some("memory", me.memory.clone())
        .with_some("cpu", me.cpu.map(|cpu| json!(cpu)))
        .with("output.host", me.name.clone())
        .with("output.port", PORT)
        .with("output.url", Expr::Text(url.into()));
    let fingerprint = replicas::fingerprint(&want, me);
    let want = want.with(replicas::FINGERPRINT, fingerprint);
    let server = Resource::new(At::endpoint(&me.name)?, CONTAINER, want);
    Ok(vec![image, network, data, server])
}
