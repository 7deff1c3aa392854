//! Waiting for an object to be ready, or gone: by watching it, with a look now and then.

use std::time::Duration;

use code_core::{Ctx, Error, Result};
use futures::StreamExt;
use jiff::Timestamp;
use kube::api::WatchEvent;
use serde_json::Value;

use super::cluster::{Cluster, Look};
use super::config::{Id, Object};
use super::error;
use super::ready::{self, Ready, Stuck};

/// How long a watch lasts before everything is looked at anew, in seconds.
const TICK: u32 = 2;
/// How long something hopeless is watched before it is given up.
const HOPELESS: Duration = Duration::from_secs(10);
/// How long an object may take to go.
const GONE: Duration = Duration::from_secs(180);

/// Waits until an object is ready, and gives it as it is then.
///
/// # Errors
/// `kubernetes::not-ready` says what keeps it from it, `step::stopped`.
pub(super) async fn ready(cluster: &Cluster, ctx: &Ctx, object: &Object, mut live: Value) -> Result<Value> {
    let id = &object.id;
    let begun = ctx.host().now();
    let limit = Duration::from_secs(object.ready_seconds.into());
    let mut hopeless_since: Option<Timestamp> = None;
    loop {
        let why = match state(object, &live) {
            Ready::Yes => return Ok(live),
            Ready::Not(why) => why,
            Ready::Never(why) => {
                let pods = reasons(cluster, &live).await.map(|stuck| stuck.why);
                return Err(error::stuck(id, &join(why, pods)));
            }
        };
        let now = ctx.host().now();
        // Most are ready soon: what keeps it from it is asked where it takes its time.
        let stuck = match passed(begun, now) >= Duration::from_secs(TICK.into()) {
            true => reasons(cluster, &live).await,
            false => None,
        };
        let hopeless = stuck.as_ref().is_some_and(|stuck| stuck.hopeless);
        let why = join(why, stuck.map(|stuck| stuck.why));
        ctx.say(format!("{id}: {why}"));
        hopeless_since = hopeless.then(|| hopeless_since.unwrap_or(now));
        if hopeless_since.is_some_and(|since| passed(since, now) >= HOPELESS.min(limit)) {
            return Err(error::stuck(id, &why));
        }
        if passed(begun, now) >= limit {
            return Err(error::not_ready(id, limit.as_secs(), &why));
        }
        if let Some(next) = next(cluster, ctx, id, &live).await? {
            live = next;
        }
    }
}

/// How far an object is, its promised outputs included.
pub(super) fn state(object: &Object, live: &Value) -> Ready {
    match ready::of(live, object.waits_for()) {
        Ready::Yes => {
            let missing = object.reads.values().find(|at| live.pointer(at).is_none_or(Value::is_null));
            missing.map_or(Ready::Yes, |at| Ready::Not(format!("it has no value at {at} yet")))
        }
        other => other,
    }
}

/// Waits until an object is gone, or another one has taken its name.
///
/// # Errors
/// `kubernetes::not-gone`, `step::stopped`.
pub(super) async fn gone(cluster: &Cluster, ctx: &Ctx, id: &Id, uid: Option<&str>) -> Result<()> {
    let begun = ctx.host().now();
    loop {
        let live = match cluster.look(ctx, id).await {
            Ok(Look::Nothing | Look::NoKind) => return Ok(()),
            Ok(Look::There(live)) => live,
            Err(trouble) => {
                let error = trouble.into_error(&format!("see {id} gone"));
                if passed(begun, ctx.host().now()) >= GONE || !super::cluster::is_silence(&error) {
                    return Err(error);
                }
                pause(ctx, id, Duration::from_secs(1)).await?;
                continue;
            }
        };
        if live["metadata"]["uid"].as_str() != uid && uid.is_some() {
            return Ok(());
        }
        let finalizers = live["metadata"]["finalizers"].as_array().into_iter().flatten();
        let names: Vec<&str> = finalizers.filter_map(Value::as_str).collect();
        ctx.say(format!("{id}: it is on its way out"));
        if passed(begun, ctx.host().now()) >= GONE {
            return Err(error::not_gone(
                id,
                GONE.as_secs(),
                &format!("its finalizers are {}", names.join(", ")),
            ));
        }
        next(cluster, ctx, id, &live).await?;
    }
}

/// What keeps the pods of a workload from starting, the most telling reason of all.
pub(super) async fn reasons(cluster: &Cluster, live: &Value) -> Option<Stuck> {
    let namespace = live["metadata"]["namespace"].as_str()?;
    let kind = live["kind"].as_str()?;
    let workload = matches!(kind, "Deployment" | "StatefulSet" | "DaemonSet" | "Job");
    if kind == "Pod" {
        return ready::stuck(live);
    }
    if workload {
        let labels = live.pointer("/spec/selector/matchLabels")?.as_object()?;
        let labels: Vec<String> =
            labels.iter().map(|(k, v)| format!("{k}={}", code_core::expr::plain(v))).collect();
        let pods = cluster.pods(namespace, &labels.join(",")).await.ok()?;
        let mut stuck: Vec<Stuck> = pods.iter().filter_map(ready::stuck).collect();
        stuck.sort_by_key(|stuck| !stuck.hopeless);
        if let Some(first) = stuck.into_iter().next() {
            return Some(first);
        }
        if !pods.is_empty() {
            return None;
        }
    }
    if !workload && kind != "PersistentVolumeClaim" {
        return None;
    }
    let mut events = cluster.events(namespace, live["metadata"]["uid"].as_str()?).await.ok()?;
    events.retain(|event| event["type"] == "Warning");
    events.sort_by_key(|event| event["lastTimestamp"].as_str().unwrap_or_default().to_owned());
    let last = events.pop()?;
    let why = format!("{}: {}", last["reason"].as_str().unwrap_or_default(), last["message"].as_str()?);
    Some(Stuck { why, hopeless: false })
}

/// The object after its next change, or after a while; `None` where it could not be looked at.
async fn next(cluster: &Cluster, ctx: &Ctx, id: &Id, live: &Value) -> Result<Option<Value>> {
    let version = live["metadata"]["resourceVersion"].as_str().unwrap_or("0");
    let changed = async {
        let mut events = Box::pin(cluster.watch(id, version, TICK).await.ok()?);
        match events.next().await?.ok()? {
            WatchEvent::Added(live) | WatchEvent::Modified(live) => Some(live),
            _ => None,
        }
    };
    let changed = tokio::select! {
        biased;
        () = ctx.cancel().cancelled() => return Err(error::cancelled(id)),
        changed = changed => changed,
        () = ctx.host().sleep(Duration::from_secs(u64::from(TICK) * 2)) => None,
    };
    if changed.is_some() {
        return Ok(changed);
    }
    match cluster.look(ctx, id).await {
        Ok(Look::There(live)) => Ok(Some(*live)),
        Ok(Look::Nothing | Look::NoKind) => {
            pause(ctx, id, Duration::from_millis(200)).await?;
            Ok(None)
        }
        // Whoever waits has a limit of their own.
        Err(_) => {
            pause(ctx, id, Duration::from_secs(1)).await?;
            Ok(None)
        }
    }
}

async fn pause(ctx: &Ctx, id: &Id, long: Duration) -> Result<(), Error> {
    tokio::select! {
        () = ctx.cancel().cancelled() => Err(error::cancelled(id)),
        () = ctx.host().sleep(long) => Ok(()),
    }
}

fn passed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

fn join(why: String, more: Option<String>) -> String {
    match more {
        Some(more) => format!("{why}: {more}"),
        None => why,
    }
}
