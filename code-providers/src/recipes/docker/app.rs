//! Web apps, APIs and workers: an image, a container for each replica, and one address in front of them.

use code_core::intent::Kind;
use code_core::provider::Resource;
use code_core::recipe::At;
use code_core::spec::{Component, HealthCheck};
use code_core::{Address, Error, ErrorKind, Expr, Result, Want};
use serde_json::json;

use super::{limits, network, network_of, pulled};
use crate::container::{CONTAINER, IMAGE};
use crate::recipes::local::{SAMPLE, SAMPLE_ARGUMENT, SAMPLE_PROGRAM};
use crate::recipes::refer;
use crate::recipes::replicas::{replicas, route};
use crate::recipes::uses::{connections, dependencies};

/// Where an app listens in its container, where the spec does not say.
const PORT: u16 = 8080;
/// How long a new container may take to become healthy where the spec does not say, in seconds.
const HEALTHY_SECONDS: u32 = 60;
/// How long a container may take to finish its requests before it is killed, in seconds.
const GRACE_SECONDS: u32 = 10;

pub(super) fn resources(at: &At<'_>) -> Result<Vec<Resource>> {
    limits::app(at.component)?;
    let mut resources = image(at)?;
    let image = resources.last().map(|image| image.address.clone());
    resources.push(network(at)?);
    let containers = match (at.component.stopped, image) {
        (false, Some(image)) => {
            let (want, needs) = container(at, &image)?;
            replicas(at, CONTAINER, want, &needs)?
        }
        _ => Vec::new(),
    };
    if at.component.kind != Kind::Worker {
        resources.push(route(at, &containers)?);
    }
    resources.extend(containers);
    Ok(resources)
}

/// Its image, last, and what it is built from.
fn image(at: &At<'_>) -> Result<Vec<Resource>> {
    let Component { name, image, source, release, start, build, .. } = at.component;
    if let Some(reference) = image {
        return Ok(vec![pulled(at, reference)?]);
    }
    let (Some(source), Some(digest)) = (source, release) else {
        let message = format!("deploy `{name}` without its image, or its source and release");
        return Err(Error::new(ErrorKind::Invalid, "recipe::incomplete", message)
            .help("name an `image`, the directory of the app, or `sample`"));
    };
    let files = at.address("release")?;
    let mut want = Want::new()
        .with("source", source.clone())
        .with("digest", digest.to_string())
        .with_some("build", build.as_ref().map(|argv| json!(argv)))
        .with_some("start", start.as_ref().map(|argv| json!(argv)));
    let mut image = Want::new()
        .with("context", Expr::output(&files, "dir"))
        .with("digest", Expr::output(&files, "digest"));
    if source == SAMPLE {
        image = image.with("recipe", sample()).with("libraries", true);
    } else {
        // Its Dockerfile says how it is built: there, and not on this machine.
        want = want.with("built", false);
    }
    let address = at.address(&format!("image.{}", digest.short()))?;
    Ok(vec![Resource::new(files, "release", want), Resource::new(address, IMAGE, image)])
}

/// The sample app has nothing below it but the libraries that it has loaded here.
fn sample() -> String {
    format!(
        "FROM scratch\nCOPY . /\nUSER 10001:10001\nENTRYPOINT [\"/{SAMPLE_PROGRAM}\", \"{SAMPLE_ARGUMENT}\"]\n"
    )
}

/// What is wanted of each of the containers, and what must be there before them.
fn container(at: &At<'_>, image: &Address) -> Result<(Want, Vec<Address>)> {
    let me = at.component;
    let mut want = Want::new()
        .with("image", Expr::output(image, "id"))
        .with("alias", me.name.clone())
        .with("network.0", Expr::output(&at.address("network")?, "name"))
        .with("grace_seconds", json!(GRACE_SECONDS))
        .with_some("memory", me.memory.clone())
        .with_some("cpu", me.cpu.map(|cpu| json!(cpu)));
    if me.image.is_some() {
        want = want.with_some("args", me.start.as_ref().map(|argv| json!(argv)));
    }
    if me.kind != Kind::Worker {
        let port = port(me);
        let health = me.health.clone();
        let health = health.unwrap_or(HealthCheck { path: None, timeout_seconds: HEALTHY_SECONDS });
        want = want
            .with("port", port)
            .with("publish", "auto")
            .with("env.PORT", port.to_string())
            // In a container, 127.0.0.1 is reached by nobody outside of it.
            .with("env.HOST", "0.0.0.0")
            .with("health.tcp", health.path.is_none())
            .with_some("health.path", health.path)
            .with("health.timeout_seconds", json!(health.timeout_seconds));
    }
    let mut needs = Vec::new();
    for on in dependencies(at).filter(|on| on.kind != Kind::Worker || on.is_root()) {
        // A worker has no address, and nothing to wait for.
        needs.push(At::endpoint(&on.name)?);
    }
    for (nth, on) in dependencies(at).filter(|on| !on.is_root()).enumerate() {
        want = want.with(&format!("network.{}", nth + 1), Expr::output(&network_of(on)?, "name"));
    }
    for (name, value) in uses(at)? {
        want = want.with(&format!("env.{name}"), value);
    }
    for (name, value) in &me.env {
        want = want.with(&format!("env.{name}"), refer::text(at, value)?);
    }
    Ok((want, needs))
}

/// The addresses of what it uses, as they are seen from a container: an app is at its name in its network.
fn uses(at: &At<'_>) -> Result<Vec<(String, Expr)>> {
    let apps = dependencies(at).filter(|on| matches!(on.kind, Kind::Web | Kind::Api) && !on.is_root());
    let apps: Vec<(Address, String)> = apps
        .map(|on| Ok((At::endpoint(&on.name)?, format!("http://{}:{}", on.name, port(on)))))
        .collect::<Result<_>>()?;
    let seen = |value: Expr| match &value {
        Expr::Ref { address, .. } => {
            let app = apps.iter().find(|(endpoint, _)| endpoint == address);
            app.map_or(value.clone(), |(_, url)| Expr::from(url.as_str()))
        }
        _ => value,
    };
    Ok(connections(at)?.into_iter().map(|(name, value)| (name, seen(value))).collect())
}

/// Where it listens in its container.
fn port(component: &Component) -> u16 {
    component.port.unwrap_or(PORT)
}
