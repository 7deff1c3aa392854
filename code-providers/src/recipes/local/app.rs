//! Web apps, APIs and workers: a release, a process for each replica, and one address in front of them.

use code_core::intent::Kind;
use code_core::provider::Resource;
use code_core::recipe::At;
use code_core::spec::{Component, HealthCheck};
use code_core::{Address, Error, ErrorKind, Expr, Result, Want};
use serde_json::json;

use super::{SAMPLE, SAMPLE_ARGUMENT, SAMPLE_PROGRAM, limits};
use crate::recipes::refer;
use crate::recipes::replicas::{replicas, route};
use crate::recipes::uses::{connections, dependencies};

/// How long a new process may take to become healthy where the spec does not say.
const HEALTHY_SECONDS: u32 = 60;
/// How long a process may take to finish its requests before it is killed.
const GRACE_SECONDS: u32 = 10;

pub(super) fn resources(at: &At<'_>) -> Result<Vec<Resource>> {
    limits::check(at.component)?;
    let mut resources = vec![release(at)?];
    let processes = processes(at)?;
    if at.component.kind != Kind::Worker {
        resources.push(route(at, &processes)?);
    }
    resources.extend(processes);
    Ok(resources)
}

fn release(at: &At<'_>) -> Result<Resource> {
    let Component { name, source, release, build, .. } = at.component;
    let (Some(source), Some(digest)) = (source, release) else {
        return Err(incomplete(name, "source and release", "name the directory of the app, or `sample`"));
    };
    let want = Want::new()
        .with("source", source.clone())
        .with("digest", digest.to_string())
        .with_some("build", build.as_ref().map(|argv| json!(argv)))
        .with_some("start", at.component.start.as_ref().map(|argv| json!(argv)));
    Ok(Resource::new(at.address("release")?, "release", want))
}

/// Its processes: none where it is stopped.
fn processes(at: &At<'_>) -> Result<Vec<Resource>> {
    if at.component.stopped {
        return Ok(Vec::new());
    }
    replicas(at, "process", process(at)?, &order(at)?)
}

/// What is wanted of each of the processes.
fn process(at: &At<'_>) -> Result<Want> {
    let component = at.component;
    let dir = Expr::output(&at.address("release")?, "dir");
    let (program, args) = start(component, &dir)?;
    let mut want = Want::new()
        .with("program", program)
        .with("args", json!(args))
        .with("cwd", dir)
        .with("grace_seconds", json!(GRACE_SECONDS))
        .with_some("memory", component.memory.clone())
        .with_some("cpu", component.cpu.map(|cpu| json!(cpu)));
    if component.kind != Kind::Worker {
        let health = component.health.clone();
        let health = health.unwrap_or(HealthCheck { path: None, timeout_seconds: HEALTHY_SECONDS });
        want = want
            .with("port", "auto")
            .with("health.tcp", health.path.is_none())
            .with_some("health.path", health.path)
            .with("health.timeout_seconds", json!(health.timeout_seconds));
    }
    for (name, value) in connections(at)? {
        want = want.with(&format!("env.{name}"), value);
    }
    for (name, value) in &component.env {
        want = want.with(&format!("env.{name}"), refer::text(at, value)?);
    }
    Ok(want)
}

/// The program and its arguments. A path that leads into the release stands in it; a bare name is looked up
/// where the process is started.
fn start(component: &Component, dir: &Expr) -> Result<(Expr, Vec<String>)> {
    let in_release = |path: &str| Expr::Text(vec![dir.clone(), "/".into(), path.into()]);
    let argv = match &component.start {
        Some(argv) => argv.clone(),
        None if component.source.as_deref() == Some(SAMPLE) => {
            return Ok((in_release(SAMPLE_PROGRAM), vec![SAMPLE_ARGUMENT.to_owned()]));
        }
        None => Vec::new(),
    };
    let Some((program, args)) = argv.split_first() else {
        let help = "say how it is started, for example `start: [python3, app.py]` or `web: …` in a Procfile";
        return Err(incomplete(&component.name, "start", help));
    };
    let program = match program {
        path if path.split('/').any(|part| part == "..") => {
            let message = format!("start `{}` with a program outside of its release", component.name);
            return Err(Error::new(ErrorKind::Invalid, "recipe::outside", message)
                .help("give a path inside of the app's directory, an absolute one, or a program's name")
                .with("program", path));
        }
        path if path.starts_with('/') || !path.contains('/') => path.as_str().into(),
        path => in_release(path.trim_start_matches("./")),
    };
    Ok((program, args.to_vec()))
}

/// What must be there before it although it references nothing of it: a worker has no address, and of a root it
/// may need no output.
fn order(at: &At<'_>) -> Result<Vec<Address>> {
    let mut found = Vec::new();
    for root in dependencies(at).filter(|on| on.is_root()) {
        found.push(At::endpoint(&root.name)?);
    }
    for on in dependencies(at).filter(|on| on.kind == Kind::Worker && !on.is_root()) {
        let processes = processes(&At { component: on, ..*at })?;
        found.extend(processes.into_iter().map(|process| process.address));
    }
    Ok(found)
}

fn incomplete(name: &str, what: &str, help: &str) -> Error {
    Error::new(ErrorKind::Invalid, "recipe::incomplete", format!("deploy `{name}` without its {what}"))
        .help(help)
}
