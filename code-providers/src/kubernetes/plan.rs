//! What would have to change: the server says it in a dry run, and nothing is changed by that.

use std::collections::BTreeMap;

use code_core::provider::{Action, Change, Effects, Live, Observed, Promise, Resource, Reversal};
use code_core::{Ctx, Expr, Result, Want};
use serde_json::Value;

use super::cluster::{Cluster, Look};
use super::config::{Id, Object};
use super::{Kubernetes, error, observe, render};

impl Kubernetes {
    pub(super) async fn plan_object(
        &self,
        ctx: &Ctx,
        resource: &Resource,
        observed: &Observed,
    ) -> Result<Change> {
        let Some(want) = &resource.want else { return self.delete(ctx, resource, observed).await };
        let object = Object::of(want)?;
        if let Observed::Present(live) = observed
            && live.was == *want
            && live.drift.is_empty()
        {
            return Ok(Change::keep(resource, live));
        }
        let cluster = self.cluster(ctx, object.context.as_deref()).await?;
        let secrets = observe::secrets(ctx, &object, false).await?;
        let sent = match render::render(&object, &secrets, ctx.deployment(), &resource.address) {
            Ok(sent) => Some(sent),
            // What is not known yet is judged by the server when its time comes.
            Err(error) if error.code() == "want::unbound" => None,
            Err(error) => return Err(error),
        };
        match observed.live() {
            None => create(&cluster, ctx, resource, &object, sent.as_ref()).await,
            Some(live) => update(&cluster, ctx, resource, &object, sent.as_ref(), live).await,
        }
    }

    async fn delete(&self, ctx: &Ctx, resource: &Resource, observed: &Observed) -> Result<Change> {
        let Some(live) = observed.live() else {
            let nothing = Change::create(resource, Effects::none());
            return Ok(Change { action: Action::Delete, ..nothing }.why("gone already"));
        };
        let object = Object::of(&live.was)?;
        if object.id.kind == "Namespace" {
            let cluster = self.cluster(ctx, object.context.as_deref()).await?;
            let pods = cluster.pods(&object.id.name, "").await;
            let pods = pods.map_err(|t| t.into_error(&format!("see what runs in {}", object.id)))?;
            // Those of this deployment go before it does.
            let label = ctx.deployment().map(render::label);
            let foreign = |pod: &&Value| label.is_none() || render::belongs_to(pod) != label.as_deref();
            let foreign = pods.iter().filter(foreign).count();
            if foreign > 0 {
                return Err(error::in_use(&object.id, foreign));
            }
        }
        let effects = Effects::one(Action::Delete, object.id.to_string());
        let change = Change::from_live(Action::Delete, resource, live, effects);
        Ok(match holds_data(&object.id) {
            true => change.reversal(Reversal::Irreversible(format!("what {} holds is lost", object.id))),
            false => change,
        })
    }
}

async fn create(
    cluster: &Cluster,
    ctx: &Ctx,
    resource: &Resource,
    object: &Object,
    sent: Option<&Value>,
) -> Result<Change> {
    if let Some(sent) = sent {
        match cluster.try_out(ctx, &object.id, sent, false, None).await {
            Ok(Some(_)) => {}
            // What it needs may define its kind, or be its namespace: an earlier step makes that.
            Ok(None) if !resource.depends_on.is_empty() => {}
            Ok(None) => return Err(error::unknown_kind(&object.id)),
            Err(trouble) if trouble.code() == 404 => {}
            Err(trouble) => return Err(trouble.into_error(&format!("make {}", object.id))),
        }
    }
    let change = Change::create(resource, Effects::one(Action::Create, object.id.to_string()));
    Ok(promises(change, cluster, object, None))
}

async fn update(
    cluster: &Cluster,
    ctx: &Ctx,
    resource: &Resource,
    object: &Object,
    sent: Option<&Value>,
    live: &Live,
) -> Result<Change> {
    let id = &object.id;
    let update = |why: String| {
        let effects = Effects::one(Action::Update, id.to_string());
        let change = Change::from_live(Action::Update, resource, live, effects).why(why);
        promises(change, cluster, object, Some(live))
    };
    if is_another(object, &live.was)? {
        return replace(cluster, resource, object, live, "it is wanted under another name");
    }
    let Some(sent) = sent else {
        return Ok(update("a value that it uses is known after an earlier step".to_owned()));
    };
    let now = match cluster.look(ctx, id).await {
        Ok(Look::There(now)) => now,
        Ok(_) => return Ok(update(live.drift.join("; "))),
        Err(trouble) => return Err(trouble.into_error(&format!("look at {id}"))),
    };
    match cluster.try_out(ctx, id, sent, object.takes_over(), Some(&now)).await {
        Ok(Some(difference)) => Ok(update(match (difference.is_none(), live.drift.is_empty()) {
            (false, _) => difference.to_string(),
            (true, false) => live.drift.join("; "),
            (true, true) => "what is said of it changes, and nothing in it".to_owned(),
        })),
        Ok(None) => Err(error::unknown_kind(id)),
        Err(trouble) if trouble.is_immutable() && holds_data(id) => Err(error::immutable(id, trouble.said())),
        Err(trouble) if trouble.is_immutable() => {
            replace(cluster, resource, object, live, "a field that never changes would have to")
        }
        Err(trouble) => Err(match trouble.held() {
            Some(held) => error::conflict(id, &held),
            None => trouble.into_error(&format!("change {id}")),
        }),
    }
}

/// Whether what was there is an object of another name, kind or context.
fn is_another(object: &Object, was: &Want) -> Result<bool> {
    let was = Object::of(was)?;
    Ok(was.id != object.id || was.context != object.context)
}

fn replace(
    cluster: &Cluster,
    resource: &Resource,
    object: &Object,
    live: &Live,
    why: &str,
) -> Result<Change> {
    let before = Object::of(&live.was)?;
    if holds_data(&before.id) {
        return Err(error::immutable(&before.id, why));
    }
    let effects = [(Action::Delete, &before.id), (Action::Create, &object.id)];
    let effects = effects.map(|(action, id)| code_core::provider::Effect::new(action, id.to_string()));
    let change = Change::from_live(Action::Replace, resource, live, Effects::Exact(effects.into())).why(why);
    let to = Box::new(Resource { want: Some(live.was.clone()), ..resource.clone() });
    let change = change.reversal(Reversal::Compensable { to, but: "it is made anew".to_owned() });
    Ok(promises(change, cluster, object, None))
}

/// Whether deleting such an object loses what cannot be had back from a manifest.
pub(super) fn holds_data(id: &Id) -> bool {
    matches!(
        id.kind.as_str(),
        "PersistentVolumeClaim" | "PersistentVolume" | "Namespace" | "CustomResourceDefinition"
    )
}

/// The outputs of a change: what is known of them already, and what is known after it.
fn promises(change: Change, cluster: &Cluster, object: &Object, live: Option<&Live>) -> Change {
    let mut outputs: BTreeMap<String, Promise> = BTreeMap::new();
    outputs.insert("cluster".to_owned(), Promise::Stays(cluster.identity.as_str().into()));
    outputs.insert("name".to_owned(), Promise::Stays(object.id.name.as_str().into()));
    for name in ["uid", "namespace"] {
        let known = live.and_then(|live| live.outputs.get(name).cloned());
        outputs.insert(name.to_owned(), known.map_or(Promise::Later, Promise::Stays));
    }
    for (name, value) in &object.outputs {
        let promise = if Expr::is_bound(value) { Promise::Stays(value.clone()) } else { Promise::Later };
        outputs.insert(name.clone(), promise);
    }
    outputs.extend(object.reads.keys().map(|name| (name.clone(), Promise::Later)));
    Change { outputs, ..change }
}
