//! What is there, and whether it is what was wanted.

use std::collections::{BTreeMap, BTreeSet};

use code_core::provider::{Live, Observed, Resource};
use code_core::{Ctx, Error, Expr, Result, Secret, SecretRef, Want};
use serde_json::Value;

use super::cluster::{Cluster, Look, is_silence};
use super::config::Object;
use super::ready::Ready;
use super::{Kubernetes, error, render, same, wait};

impl Kubernetes {
    pub(super) async fn observe_object(
        &self,
        ctx: &Ctx,
        resource: &Resource,
        last: Option<&Live>,
    ) -> Result<Observed> {
        let (Some(want), wanted) = (resource.want.as_ref().or(last.map(|live| &live.was)), &resource.want)
        else {
            return Ok(Observed::Absent);
        };
        // What goes into a hole may be unknown: whether the object is there can be seen all the same.
        let names = Want(
            want.0.iter().filter(|(name, _)| !is_hole(name)).map(|(n, v)| (n.clone(), v.clone())).collect(),
        );
        if let Some(needed) = names.references().pop_first() {
            return Ok(Observed::NotYet(needed));
        }
        let object = Object::of(want)?;
        let cluster = match self.cluster(ctx, object.context.as_deref()).await {
            Err(error) if is_silence(&error) => return Ok(Observed::Unknown(error.message().to_owned())),
            connected => connected?,
        };
        if let Some(made_in) = last.and_then(|live| live.outputs.get("cluster")?.known())
            && made_in != cluster.identity.as_str()
        {
            return Err(error::other_cluster(
                &object.id,
                &code_core::expr::plain(&made_in),
                &cluster.identity,
            ));
        }
        // What is recorded under another name is what is there, as long as it is there.
        if let (Some(last), true) = (last, wanted.is_some())
            && Object::of(&last.was).is_ok_and(|was| was.id != object.id || was.context != object.context)
            && let Observed::Present(old) =
                Box::pin(self.observe_object(ctx, &resource.gone(), Some(last))).await?
        {
            return Ok(Observed::Present(old));
        }
        let live = match cluster.look(ctx, &object.id).await {
            Ok(Look::There(live)) => live,
            Ok(Look::Nothing) => return Ok(Observed::Absent),
            Ok(Look::NoKind) if wanted.is_none() => return Ok(Observed::Absent),
            Ok(Look::NoKind) => {
                return Ok(Observed::Unknown(error::unknown_kind(&object.id).message().to_owned()));
            }
            Err(trouble) => {
                let error = trouble.into_error(&format!("look at {}", object.id));
                self.disconnect().await;
                return Ok(Observed::Unknown(error.message().to_owned()));
            }
        };
        match whose(ctx, &object, &live, last) {
            Whose::Ours => {}
            Whose::Others if wanted.is_none() => return Ok(Observed::Absent),
            // A namespace that was there before is used as it is, and is nobody's to delete.
            Whose::Others if object.id.kind == "Namespace" => {
                return Ok(Observed::Present(known(&cluster, &object, &live, want.clone(), Vec::new())));
            }
            Whose::Others => return Err(error::not_ours(&object.id, render::belongs_to(&live))),
        }
        let Some(want) = wanted else {
            let was = last.map_or_else(|| held(&object, &live), |last| last.was.clone());
            return Ok(Observed::Present(known(&cluster, &object, &live, was, Vec::new())));
        };
        let (was, mut drift) = compare(&cluster, ctx, resource, want, &object, &live, last).await?;
        match wait::state(&object, &live) {
            Ready::Yes => {}
            Ready::Not(why) | Ready::Never(why) => {
                let stuck = wait::reasons(&cluster, &live).await;
                drift.push(match stuck {
                    Some(stuck) => format!("it is not ready: {}", stuck.why),
                    None => format!("it is not ready: {why}"),
                });
            }
        }
        Ok(Observed::Present(known(&cluster, &object, &live, was, drift)))
    }
}

/// Whether a name of a [`Want`] is of a value that others may give.
fn is_hole(name: &str) -> bool {
    name.starts_with("at.") || name.starts_with("output.")
}

enum Whose {
    Ours,
    Others,
}

/// Whether a live object is this deployment's: by its label, or because it is the very one that was recorded.
fn whose(ctx: &Ctx, object: &Object, live: &Value, last: Option<&Live>) -> Whose {
    let Some(deployment) = ctx.deployment() else { return Whose::Ours };
    let recorded = last.and_then(|last| last.outputs.get("uid")?.known());
    let same = recorded.is_some_and(|uid| uid == live["metadata"]["uid"]);
    match render::belongs_to(live) {
        Some(label) if label == render::label(deployment) => Whose::Ours,
        None if same && object.id.kind != "Namespace" => Whose::Ours,
        _ => Whose::Others,
    }
}

/// What it is now, as a want, and how that is not as it should be.
async fn compare(
    cluster: &Cluster,
    ctx: &Ctx,
    resource: &Resource,
    want: &Want,
    object: &Object,
    live: &Value,
    last: Option<&Live>,
) -> Result<(Want, Vec<String>)> {
    let recorded = || last.map_or_else(|| held(object, live), |last| last.was.clone());
    let secrets = secrets(ctx, object, false).await?;
    let sent = match render::render(object, &secrets, ctx.deployment(), &resource.address) {
        Ok(sent) => sent,
        Err(error) if error.code() == "want::unbound" => return Ok((recorded(), Vec::new())),
        Err(error) => return Err(error),
    };
    if same::is_as_sent(&sent, live) {
        return Ok((want.clone(), Vec::new()));
    }
    let drift = match cluster.try_out(ctx, &object.id, &sent, object.takes_over(), Some(live)).await {
        Ok(Some(difference)) if difference.is_none() => return Ok((want.clone(), Vec::new())),
        Ok(Some(difference)) => difference.to_string(),
        Ok(None) => error::unknown_kind(&object.id).message().to_owned(),
        Err(trouble) => match trouble.held() {
            Some(held) => format!("others hold fields of it: {}", held.join("; ")),
            None => trouble.said().to_owned(),
        },
    };
    // A value that nothing but a Secret holds is never written down.
    let was = if last.is_none() && object.id.kind == "Secret" { want.clone() } else { recorded() };
    // What is wanted anew is no drift: it is the change.
    let drifted = was == *want;
    Ok((was, if drifted { vec![drift] } else { Vec::new() }))
}

/// An object of ours of which nothing is recorded: what we hold of it is what it was.
fn held(object: &Object, live: &Value) -> Want {
    let mut held = same::held(live);
    if object.id.kind == "Secret"
        && let Some(held) = held.as_object_mut()
    {
        held.remove("data");
    }
    Want::new().with("manifest", held).with_some("context", object.context.clone())
}

/// The secrets that go into its holes; `make` makes those that are not there yet, else they are left out.
pub(super) async fn secrets(
    ctx: &Ctx,
    object: &Object,
    make: bool,
) -> Result<BTreeMap<SecretRef, Secret>, Error> {
    let names: BTreeSet<SecretRef> = Want(object.holes.clone()).secrets();
    let mut all = BTreeMap::new();
    for name in names {
        let value = match make {
            true => Some(ctx.secret_or_make(&name, crate::password::make).await?),
            false => match ctx.secret(&name).await {
                Ok(value) => Some(value),
                Err(error) if error.code() == "secret::unknown" => None,
                Err(error) => return Err(error),
            },
        };
        all.extend(value.map(|value| (name, value)));
    }
    Ok(all)
}

/// A live object, with its outputs.
pub(super) fn known(cluster: &Cluster, object: &Object, live: &Value, was: Want, drift: Vec<String>) -> Live {
    let text = |pointer: &str| live.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut outputs = object.outputs.clone();
    for (name, at) in &object.reads {
        if let Some(value) = live.pointer(at).filter(|value| !value.is_null()) {
            outputs.insert(name.clone(), Expr::Known(value.clone()));
        }
    }
    outputs.insert("cluster".to_owned(), cluster.identity.as_str().into());
    for (name, at) in
        [("uid", "/metadata/uid"), ("name", "/metadata/name"), ("namespace", "/metadata/namespace")]
    {
        outputs.insert(name.to_owned(), text(at).into());
    }
    let uid = text("/metadata/uid");
    let uid = uid.get(..8).unwrap_or(&uid);
    Live { id: format!("{} ({uid})", object.id), was, outputs, drift }
}
