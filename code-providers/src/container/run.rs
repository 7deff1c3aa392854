//! Containers: created, given their secrets, started, and watched until they are well.
//!
//! ```text
//! create ──▶ networks ──▶ secrets, as files ──▶ start ──▶ running, healthy, answering
//!    └── what did not become well is not left running; what it wrote stands with the error
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use code_core::provider::{Action, Change, Live};
use code_core::{Ctx, Error, Result, Want};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::api::Api;
use super::config::{Container, Hand, Limits, Publish};
use super::names::{self, Identity};
use super::parse::{self, Facts, Fitness, Phase};
use super::render::{self, Start, quoted};
use super::{context, error, observe};
use crate::process::probe::Probe;
use crate::process::{port, text};

/// How often it is looked whether a container is well.
const BEAT: Duration = Duration::from_millis(150);
/// How long a container must run that has nothing to look at.
const STEADY: Duration = Duration::from_secs(1);
/// How often a container may end while it starts before it is given up.
const RESTARTS: u64 = 3;
/// How often it is begun anew where its name is taken meanwhile.
const RACES: u64 = 3;
/// How often another port is tried where somebody else was faster.
const PORTS: u64 = 5;
/// How many lines of a failed container's logs are shown.
const LINES: usize = 20;
/// How long the daemon may take beside the grace of a container that it stops.
const STOPPING: Duration = Duration::from_secs(30);
/// What an engine says where what it is to start cannot be started.
const WRONG_START: [&str; 2] = ["oci runtime", "unable to find user"];
/// What of a container changes while it runs.
const IN_PLACE: [&str; 3] = ["memory", "cpu", "restart"];

pub(super) async fn make(api: Api<'_>, change: &Change) -> Result<()> {
    for _ in 0..RACES {
        match once(api, change).await {
            // A call of ours that was dropped came to its end meanwhile: what it made is there now.
            Err(error) if error.code() == "container::in-use" => tokio::time::sleep(BEAT).await,
            made => return made,
        }
    }
    once(api, change).await
}

async fn once(api: Api<'_>, change: &Change) -> Result<()> {
    let want = change.resource.wanted();
    let wanted = Container::read(&want)?;
    let me = Identity::of(api.ctx, &change.resource, change.prior.as_ref())?;
    if let Some(there) = observe::find(api, &me, change.prior.as_ref()).await? {
        if let Some(whose) = me.stranger(&there.labels, &there.id, change.prior.as_ref()) {
            return Err(error::not_ours(&me.name, &whose));
        }
        if stays(api.ctx, change, &there, &want) && adjust(api, &there, &wanted).await? {
            return well(api, &there.id, &me.name, &wanted).await;
        }
        api.ctx.say(format!("stopping {}", me.name));
        remove(api, &there, wanted.grace_seconds).await?;
    }
    let mut last = None;
    for nth in 0..PORTS {
        let host_port = host_port(&me, &wanted, nth)?;
        let id = create(api, &me, &want, &wanted, host_port).await?;
        let started = start(api, &id, host_port).await;
        let run = match started {
            Ok(()) => well(api, &id, &me.name, &wanted).await,
            Err(error) => Err(error),
        };
        let Err(error) = run else { return Ok(()) };
        let told = with_logs(api, &id, error).await;
        // A daemon that cannot remove it says so again when it is looked at.
        let _ = discard(api.unhurried(), &id).await;
        match told.code() {
            "container::port-taken" if wanted.publish == Publish::Auto => last = Some(told),
            _ => return Err(told),
        }
    }
    Err(last.unwrap_or_else(error::no_port))
}

/// Whether what is there is what this step wants, and not what it is to replace.
fn stays(ctx: &Ctx, change: &Change, there: &Facts, want: &Want) -> bool {
    let same = names::wanted(&there.labels).is_some_and(|made| without_limits(&made) == without_limits(want));
    let by_us = there.labels[names::KEY] == ctx.key().to_string().as_str();
    let whole = !matches!(there.phase, Phase::Created | Phase::Leaving);
    same && whole && (by_us || change.action != Action::Replace)
}

fn without_limits(want: &Want) -> Want {
    let mut want = want.clone();
    want.0.retain(|name, _| !IN_PLACE.contains(&name.as_str()));
    want
}

/// Makes what is there as it is wanted, without another one; false where that cannot be.
async fn adjust(api: Api<'_>, there: &Facts, wanted: &Container) -> Result<bool> {
    if there.limits != wanted.limits {
        limit(api, &there.id, &wanted.limits).await?;
    }
    for network in wanted.networks.iter().filter(|network| !there.networks.contains(*network)) {
        connect(api, &there.id, network, wanted).await?;
    }
    match there.phase {
        Phase::Running => Ok(true),
        Phase::Paused => {
            let said = api.send("POST", &format!("/containers/{}/unpause", quoted(&there.id)), None).await?;
            said.good("let it go on").map(|_| true)
        }
        _ => match start(api, &there.id, there.host_port).await {
            Err(error) if error.code() == "container::port-taken" && wanted.publish == Publish::Auto => {
                Ok(false)
            }
            started => started.map(|()| true),
        },
    }
}

async fn limit(api: Api<'_>, id: &str, limits: &Limits) -> Result<()> {
    api.ctx.say("changing its limits");
    let body = render::limits(limits);
    let said = api.send("POST", &format!("/containers/{}/update", quoted(id)), Some(&body)).await?;
    said.good("change the limits of the container").map(drop)
}

/// The port of this machine at which it is published: `nth` chooses another one.
fn host_port(me: &Identity, wanted: &Container, nth: u64) -> Result<Option<u16>> {
    match wanted.publish {
        Publish::No => Ok(None),
        Publish::At(port) => Ok(Some(port)),
        Publish::Auto => {
            let digest = code_core::Digest::of(me.name.as_bytes());
            let mut seed = [0; 8];
            seed.copy_from_slice(&digest.as_bytes()[..8]);
            let seed = u64::from_le_bytes(seed).wrapping_add(nth * 97);
            port::free(seed, |_| false).map(Some).ok_or_else(error::no_port)
        }
    }
}

/// Creates it, with its networks and its secrets; it does not run yet.
async fn create(
    api: Api<'_>,
    me: &Identity,
    want: &Want,
    wanted: &Container,
    host_port: Option<u16>,
) -> Result<String> {
    api.ctx.say(format!("creating {}", me.name));
    let mut env = BTreeMap::new();
    for (name, expr) in &wanted.env {
        env.insert(name.clone(), text(api.ctx, expr).await?);
    }
    let (start, user) = image(api, &wanted.image).await?;
    let shell = wanted.hand == Hand::Variable && !wanted.secrets.is_empty();
    let labels = me.labels(api.ctx, want);
    let body = |shell| render::container(wanted, labels.clone(), &env, &start, host_port, shell);
    let mut id = post(api, me, &wanted.image, &body(shell)).await?;
    if shell && !has_shell(api, &id).await? {
        discard(api, &id).await?;
        id = post(api, me, &wanted.image, &body(false)).await?;
    }
    for network in wanted.networks.iter().skip(1) {
        connect(api, &id, network, wanted).await?;
    }
    if !wanted.secrets.is_empty() {
        let user = wanted.user.as_deref().unwrap_or(&user);
        hand_over(api, &id, wanted, user).await?;
    }
    Ok(id)
}

/// What the image is started with, and as whom.
async fn image(api: Api<'_>, reference: &str) -> Result<(Start, String)> {
    let path: Vec<String> = reference.split('/').map(quoted).collect();
    match api.get(&format!("/images/{}/json", path.join("/"))).await? {
        Some(found) => Ok(parse::start(&found)),
        None => Err(error::no_image(reference, "it is not on this machine")),
    }
}

async fn post(api: Api<'_>, me: &Identity, image: &str, body: &Value) -> Result<String> {
    let said = api.send("POST", &format!("/containers/create?name={}", quoted(&me.name)), Some(body)).await?;
    if said.status == 404 && said.message().to_lowercase().contains("image") {
        return Err(error::no_image(image, &said.message()));
    }
    let made = said.good(&format!("create the container {}", me.name))?;
    match made["Id"].as_str() {
        Some(id) => Ok(id.to_owned()),
        None => Err(error::rubbish("/containers/create", &made.to_string())),
    }
}

async fn connect(api: Api<'_>, id: &str, network: &str, wanted: &Container) -> Result<()> {
    let body = json!({"Container": id, "EndpointConfig": render::endpoint(wanted)});
    let said = api.send("POST", &format!("/networks/{}/connect", quoted(network)), Some(&body)).await?;
    said.good(&format!("connect the container to the network {network}")).map(drop)
}

/// Whether there is a `/bin/sh` in it.
async fn has_shell(api: Api<'_>, id: &str) -> Result<bool> {
    let (status, _) = api.bytes("HEAD", &format!("/containers/{}/archive?path=/bin/sh", quoted(id))).await?;
    Ok(status < 400)
}

/// Puts its secrets into it, as files of whoever runs in it.
async fn hand_over(api: Api<'_>, id: &str, wanted: &Container, user: &str) -> Result<()> {
    let user = number_of(api, id, user).await?;
    let mut values = Vec::new();
    for (name, expr) in &wanted.secrets {
        for secret in Want::new().with("is", expr.clone()).secrets() {
            api.ctx.secret_or_make(&secret, crate::password::make).await?;
        }
        values.push((name.clone(), code_core::Secret::new(text(api.ctx, expr).await?)));
    }
    let files: Vec<(String, &str)> =
        values.iter().map(|(name, value)| (name.clone(), value.expose())).collect();
    // An image may have no `/run`, and every container has a `/`.
    let archive = context::secrets(&files, render::SECRETS.trim_start_matches('/'), user)?;
    let said = api.put_archive(&format!("/containers/{}/archive?path=/", quoted(id)), archive).await?;
    said.good("give the container its secrets").map(drop)
}

/// The number of a user, whose name only the container knows.
async fn number_of(api: Api<'_>, id: &str, user: &str) -> Result<u64> {
    let name = user.split(':').next().unwrap_or_default();
    if name.is_empty() || name == "root" {
        return Ok(0);
    }
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let (status, archive) =
        api.bytes("GET", &format!("/containers/{}/archive?path=/etc/passwd", quoted(id))).await?;
    let passwd = (status < 400).then(|| context::first_file(&archive)).flatten().unwrap_or_default();
    // Whom the image does not know cannot run in it either; the start says so.
    Ok(parse::user_number(&passwd, name).unwrap_or(0))
}

async fn start(api: Api<'_>, id: &str, host_port: Option<u16>) -> Result<()> {
    let said = api.send("POST", &format!("/containers/{}/start", quoted(id)), None).await?;
    let message = said.message().to_lowercase();
    let taken = ["already allocated", "address already in use", "ports are not available"];
    match host_port {
        Some(port) if said.status >= 400 && taken.iter().any(|words| message.contains(words)) => {
            Err(error::port_taken(port, &said.message()))
        }
        // 304: it runs already.
        _ if said.status == 304 => Ok(()),
        // Its program or its user is not in the image: an engine calls that a failure of its own.
        _ if said.status >= 400 && WRONG_START.iter().any(|words| message.contains(words)) => {
            Err(error::exited(id.get(..12).unwrap_or(id), 127, &said.message()))
        }
        _ => said.good("start the container").map(drop),
    }
}

/// Waits until it runs and is well, saying what is waited for.
async fn well(api: Api<'_>, id: &str, name: &str, wanted: &Container) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(wanted.ready_seconds);
    let mut said = String::new();
    // Since when it runs, and how often it was started again before.
    let mut running: Option<(Instant, u64)> = None;
    let unseen = wanted.command.is_none() && wanted.probe == Probe::Alive;
    loop {
        let Some(facts) = observe::inspect(api, id).await? else {
            return Err(error::refused("watch the container start", 404, "somebody removed it"));
        };
        let why = match (&facts.phase, &facts.health) {
            (Phase::Ended { out_of_memory: true, .. } | Phase::Restarting { out_of_memory: true, .. }, _) => {
                return Err(error::out_of_memory(name));
            }
            (Phase::Ended { code, why, .. }, _) => return Err(error::exited(name, *code, why)),
            (Phase::Restarting { code, .. }, _) if facts.restarts >= RESTARTS => {
                return Err(error::exited(name, *code, ""));
            }
            (Phase::Running, Some(Fitness::Ill(why))) => {
                return Err(error::unhealthy(name, wanted.ready_seconds, why));
            }
            (Phase::Running, _) if unseen => match running {
                Some((since, restarts)) if restarts == facts.restarts => {
                    if since.elapsed() >= STEADY {
                        return Ok(());
                    }
                    "whether it goes on running".to_owned()
                }
                _ => {
                    running = Some((Instant::now(), facts.restarts));
                    "whether it goes on running".to_owned()
                }
            },
            (Phase::Running, None | Some(Fitness::Well)) => match wanted.probe.look(facts.host_port).await {
                Ok(()) => return Ok(()),
                Err(why) => why,
            },
            _ => observe::trouble(&facts).unwrap_or_default(),
        };
        if Instant::now() >= deadline {
            return Err(error::unhealthy(name, wanted.ready_seconds, &why));
        }
        if why != said {
            api.ctx.say(format!("waiting for {name}: {why}"));
            said = why;
        }
        tokio::select! {
            () = api.ctx.cancel().cancelled() => return Err(error::cancelled()),
            () = tokio::time::sleep(BEAT) => {}
        }
    }
}

/// The error, with what the container wrote last.
async fn with_logs(api: Api<'_>, id: &str, error: Error) -> Error {
    let path = format!("/containers/{}/logs?stdout=1&stderr=1&tail={LINES}", quoted(id));
    let lines = match api.unhurried().bytes("GET", &path).await {
        Ok((200, bytes)) => api.ctx.redactor().redact(&parse::logs(&bytes)),
        _ => String::new(),
    };
    if lines.is_empty() { error } else { error.with("last lines", lines) }
}

pub(super) async fn delete(api: Api<'_>, there: &Live) -> Result<()> {
    let grace = Container::read(&there.was).map_or(10, |was| was.grace_seconds);
    match observe::inspect(api, &there.id).await? {
        Some(facts) => remove(api, &facts, grace).await,
        None => Ok(()),
    }
}

/// Stops it, and takes it away with the volumes that have no name.
async fn remove(api: Api<'_>, there: &Facts, grace_seconds: u64) -> Result<()> {
    let path = format!("/containers/{}/stop?t={grace_seconds}", quoted(&there.id));
    let patience = Duration::from_secs(grace_seconds) + STOPPING;
    let said = api.send_within(patience, "POST", &path, None).await?;
    match said.status {
        // 304: it does not run. 404: it is gone.
        304 | 404 => {}
        _ => drop(said.good(&format!("stop the container {}", there.name))?),
    }
    discard(api, &there.id).await
}

/// Takes it away, whether it runs or not.
async fn discard(api: Api<'_>, id: &str) -> Result<()> {
    let path = format!("/containers/{}?force=1&v=1", quoted(id));
    let said = api.send_within(STOPPING, "DELETE", &path, None).await?;
    match said.status {
        404 => Ok(()),
        // Somebody else, or a call of ours that was dropped, is just doing that.
        409 if said.message().contains("already in progress") => gone(api, id).await,
        _ => said.good("remove the container").map(drop),
    }
}

async fn gone(api: Api<'_>, id: &str) -> Result<()> {
    let deadline = Instant::now() + STOPPING;
    while observe::inspect(api, id).await?.is_some() {
        if Instant::now() >= deadline {
            return Err(error::no_answer("a removal that is in progress"));
        }
        tokio::time::sleep(BEAT).await;
    }
    Ok(())
}
