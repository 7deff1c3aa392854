//! What a resource wants, read into what the keeper takes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use code_core::{Ctx, Error, ErrorKind, Expr, Layout, Result, Secret, Want};

use super::keeper::{Job, KeptRoute, Place, PortWish, StopSignal};
use super::probe::Probe;
use super::{identity, user};

/// How long a process may take to become healthy where nothing is said.
const READY_SECONDS: u64 = 60;
/// How long a process may take to end where nothing is said.
const GRACE_SECONDS: u64 = 10;
/// How long requests may take to finish on a target that is taken off where nothing is said.
const DRAIN_SECONDS: u64 = 10;
/// What every process inherits of the environment of the command that starts it, and nothing else.
const INHERITED: [&str; 5] = ["PATH", "HOME", "LANG", "TMPDIR", "USER"];

/// The port that is wanted.
pub(super) fn port(want: &Want) -> Result<PortWish> {
    match want.read::<serde_json::Value>("port")? {
        None => Ok(PortWish::None),
        Some(serde_json::Value::String(text)) if text == "auto" => Ok(PortWish::Auto),
        Some(value) => match number(&value) {
            Some(port) => Ok(PortWish::Fixed(port)),
            None => Err(invalid("port", "give a port from 1 to 65535, or `auto`")),
        },
    }
}

fn number(value: &serde_json::Value) -> Option<u16> {
    let number = match value {
        serde_json::Value::String(text) => text.parse().ok()?,
        other => u16::try_from(other.as_u64()?).ok()?,
    };
    (number != 0).then_some(number)
}

/// How it is seen to be healthy: by its path, else by a connection where it has a port.
pub(super) fn probe(want: &Want) -> Result<Probe> {
    let path: Option<String> = want.read("health.path")?;
    let tcp = want.read("health.tcp")?.unwrap_or(true);
    match (port(want)?, path) {
        (PortWish::None, None) => Ok(Probe::Alive),
        (PortWish::None, Some(_)) => Err(invalid("health.path", "give the process a `port` to look at")),
        (_, Some(path)) if path.starts_with('/') => Ok(Probe::Http(path)),
        (_, Some(_)) => Err(invalid("health.path", "begin it with `/`")),
        (_, None) if tcp => Ok(Probe::Tcp),
        (_, None) => Ok(Probe::Alive),
    }
}

/// Says early what [`probe`] would say, as far as it is known already.
pub(super) fn probe_if_known(want: &Want) -> Result<()> {
    match probe(want) {
        Err(error) if error.code() != "want::unbound" => Err(error),
        _ => Ok(()),
    }
}

/// The process that is wanted, and the values of its secret variables.
pub(super) async fn job(ctx: &Ctx, place: Place, want: &Want) -> Result<(Job, BTreeMap<String, Secret>)> {
    let (secret, plain): (Vec<_>, Vec<_>) =
        want.group("env").into_iter().partition(|(_, expr)| holds_secret(expr));
    let cwd: Option<PathBuf> = want.read("cwd")?;
    let user = want.read::<serde_json::Value>("user")?.map(|user| code_core::expr::plain(&user));
    let user = user.filter(|user| !user.is_empty()).map(|name| user::find(&name)).transpose()?;

    let mut env: BTreeMap<String, String> =
        INHERITED.iter().filter_map(|name| Some(((*name).to_owned(), ctx.host().env(name)?))).collect();
    if let Some(user) = &user {
        env.insert("HOME".into(), user.home.clone());
        env.insert("USER".into(), user.name.clone());
    }
    if let Some(cwd) = &cwd {
        prefer_own_tools(&mut env, cwd);
    }
    for (name, expr) in plain {
        env.insert(name.to_owned(), text(ctx, expr).await?);
    }
    let mut secrets = BTreeMap::new();
    for (name, expr) in secret {
        env.remove(name);
        secrets.insert(name.to_owned(), Secret::new(text(ctx, expr).await?));
    }

    let program: String = want.need("program")?;
    let job = Job {
        program: resolve(ctx, &program, cwd.as_deref(), env.get("PATH").map(String::as_str))?,
        args: args(want)?,
        cwd,
        env,
        secret_env: secrets.keys().cloned().collect(),
        port: port(want)?,
        probe: probe(want)?,
        ready_seconds: want.read("health.timeout_seconds")?.unwrap_or(READY_SECONDS),
        stop_signal: stop_signal(want)?,
        grace_seconds: want.read("grace_seconds")?.unwrap_or(GRACE_SECONDS),
        user: user.as_ref().map(user::switch).transpose()?.flatten(),
        log: log(ctx.state_dir(), &place),
        key: ctx.key().to_string(),
        want: want.clone(),
        place,
    };
    Ok((job, secrets))
}

/// The route that is wanted.
pub(super) fn kept_route(place: Place, want: &Want) -> Result<KeptRoute> {
    let mut targets = Vec::new();
    for address in list(want, "targets", "target")? {
        let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let local = ["127.0.0.1:", "[::1]:", "localhost:"].iter().any(|host| address.starts_with(host));
        match port.filter(|_| local) {
            Some(port) => targets.push(port),
            None => {
                return Err(invalid(
                    "targets",
                    "a target is the `address` of a process of this machine, such as `127.0.0.1:20017`",
                )
                .with("target", address));
            }
        }
    }
    let protocol: Option<String> = want.read("protocol")?;
    if protocol.as_deref().is_some_and(|protocol| protocol != "http") {
        return Err(invalid(
            "protocol",
            "a route serves `http`; connect to other services at their own port",
        ));
    }
    let PortWish::Fixed(port) = port(want)? else {
        return Err(invalid("port", "give a route a port from 1 to 65535: it is what stays the same"));
    };
    Ok(KeptRoute {
        place,
        want: want.clone(),
        port,
        targets,
        drain_seconds: want.read("drain_seconds")?.unwrap_or(DRAIN_SECONDS),
        trouble: None,
        boot: identity::boot_id()?,
    })
}

/// The log file of a process: `web.r2.0.log` for `web/process.r2.0`, `db.server.log` for `db/server`.
pub(super) fn log(state_dir: &Path, place: &Place) -> PathBuf {
    let resource = place.address.resource();
    let resource = resource.strip_prefix("process.").unwrap_or(resource);
    let name = format!("{}.{resource}.log", place.address.component());
    Layout::new(state_dir).logs(&place.deployment).join(name)
}

fn args(want: &Want) -> Result<Vec<String>> {
    let args = list(want, "args", "args");
    args.map_err(|error| match error.code() {
        "want::unbound" => {
            Error::new(ErrorKind::Invalid, "process::secret-argument", "put a secret into arguments")
                .help("every user of the machine can read arguments: use `env.NAME`, or a file")
        }
        _ => error,
    })
}

/// A list, written as one array, or as one name an item (`target.0`, `target.1`).
fn list(want: &Want, whole: &str, item: &str) -> Result<Vec<String>> {
    if let Some(values) = want.read::<Vec<serde_json::Value>>(whole)? {
        return Ok(values.iter().map(code_core::expr::plain).collect());
    }
    let mut items: Vec<(usize, String)> = Vec::new();
    for name in want.group(item).keys() {
        let at = name.parse().map_err(|_| invalid(item, "number its items from 0"))?;
        let value: serde_json::Value = want.need(&format!("{item}.{name}"))?;
        items.push((at, code_core::expr::plain(&value)));
    }
    items.sort();
    Ok(items.into_iter().map(|(_, value)| value).collect())
}

fn stop_signal(want: &Want) -> Result<StopSignal> {
    match want.read::<String>("stop_signal")?.as_deref() {
        None | Some("TERM") => Ok(StopSignal::Term),
        Some("INT") => Ok(StopSignal::Int),
        Some("QUIT") => Ok(StopSignal::Quit),
        Some(_) => Err(invalid("stop_signal", "use TERM, INT or QUIT")),
    }
}

pub(crate) fn holds_secret(expr: &Expr) -> bool {
    match expr {
        Expr::Secret(_) => true,
        Expr::Text(parts) => parts.iter().any(holds_secret),
        Expr::Known(_) | Expr::Ref { .. } => false,
    }
}

/// The text of a bound value, its secrets put in.
pub(crate) async fn text(ctx: &Ctx, expr: &Expr) -> Result<String> {
    let mut text = String::new();
    let mut rest = vec![expr];
    while let Some(expr) = rest.pop() {
        match expr {
            Expr::Known(value) => text.push_str(&code_core::expr::plain(value)),
            Expr::Secret(name) => text.push_str(ctx.secret(name).await?.expose()),
            Expr::Text(parts) => rest.extend(parts.iter().rev()),
            Expr::Ref { address, output } => {
                let what = format!("know `{output}` of {address}");
                return Err(Error::new(ErrorKind::Bug, "want::unbound", what)
                    .help("reference only outputs that exist, and read secrets through the context"));
            }
        }
    }
    Ok(text)
}

/// A release's own tools come first, as an activated environment has it: `.venv/bin`, `node_modules/.bin`.
fn prefer_own_tools(env: &mut BTreeMap<String, String>, cwd: &Path) {
    let own = [".venv/bin", "node_modules/.bin"].map(|dir| cwd.join(dir));
    let mut path: Vec<String> =
        own.iter().filter(|dir| dir.is_dir()).map(|dir| dir.display().to_string()).collect();
    if own[0].is_dir() {
        env.insert("VIRTUAL_ENV".into(), cwd.join(".venv").display().to_string());
    }
    path.extend(env.get("PATH").cloned());
    env.insert("PATH".into(), path.join(":"));
}

/// The program as a path, found as a shell in its directory would.
fn resolve(ctx: &Ctx, program: &str, cwd: Option<&Path>, path: Option<&str>) -> Result<PathBuf> {
    if program.contains('/') {
        let given = Path::new(program);
        return Ok(cwd.map_or_else(|| given.to_owned(), |cwd| cwd.join(given)));
    }
    let own = path.unwrap_or_default().split(':').filter(|dir| dir.starts_with('/'));
    let found = own.map(|dir| Path::new(dir).join(program)).find(|path| path.is_file());
    found.or_else(|| ctx.host().which(program)).ok_or_else(|| {
        Error::new(ErrorKind::Missing, "process::no-program", format!("find the program `{program}`"))
            .help("install it, or name it by its path in the start command")
            .with("path", path.unwrap_or_default())
    })
}

fn invalid(name: &str, help: &str) -> Error {
    Error::new(ErrorKind::Invalid, "process::want", format!("use `{name}` as it is wanted")).help(help)
}
