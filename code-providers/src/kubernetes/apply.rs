//! The change itself. A call that is made again finds what the first one did: server-side apply and deletes with
//! a uid have one effect.

use code_core::provider::{Action, Change, Failed, Live, Observed};
use code_core::{Ctx, Error, Expr, Result};
use serde_json::Value;

use super::cluster::Cluster;
use super::config::{self, Object};
use super::{Kubernetes, error, observe, render, wait};

impl Kubernetes {
    pub(super) async fn apply_object(&self, ctx: &Ctx, change: &Change) -> Result<Option<Live>, Failed> {
        let applied = self.change_object(ctx, change).await;
        if let Err(failed) = &applied
            && super::cluster::is_silence(&failed.error)
        {
            // Credentials may have been renewed, and the server may have another address now.
            self.disconnect().await;
        }
        applied
    }

    async fn change_object(&self, ctx: &Ctx, change: &Change) -> Result<Option<Live>, Failed> {
        if change.action == Action::Keep {
            return Ok(change.prior.clone());
        }
        if let Some(needed) = change.resource.wanted().references().first() {
            return Err(config::unbound(needed).into());
        }
        let prior = match &change.prior {
            Some(prior) => Some((prior, Object::of(&prior.was)?)),
            None => None,
        };
        if matches!(change.action, Action::Delete | Action::Replace)
            && let Some((live, object)) = &prior
        {
            let cluster = self.cluster(ctx, object.context.as_deref()).await?;
            cluster.forget().await;
            delete(&cluster, ctx, object, live).await?;
        }
        let Some(want) = &change.resource.want else { return Ok(None) };
        let object = Object::of(want)?;
        let cluster = self.cluster(ctx, object.context.as_deref()).await?;
        cluster.forget().await;
        let secrets = observe::secrets(ctx, &object, true).await?;
        let sent = render::render(&object, &secrets, ctx.deployment(), &change.resource.address)?;
        ctx.say(format!("applying {}", object.id));
        let live = send(&cluster, ctx, &object, &sent).await?;
        let live = match wait::ready(&cluster, ctx, &object, live.clone()).await {
            Ok(live) => live,
            Err(error) => {
                let left =
                    observe::known(&cluster, &object, &live, want.clone(), vec![error.message().to_owned()]);
                return Err(Failed { error, left: Observed::Present(left) });
            }
        };
        Ok(Some(observe::known(&cluster, &object, &live, want.clone(), Vec::new())))
    }
}

async fn send(cluster: &Cluster, ctx: &Ctx, object: &Object, sent: &Value) -> Result<Value, Error> {
    let id = &object.id;
    let applied = tokio::select! {
        biased;
        () = ctx.cancel().cancelled() => return Err(error::cancelled(id)),
        applied = cluster.apply(id, sent, false, object.takes_over()) => applied,
    };
    match applied {
        Ok(Some(live)) => Ok(live),
        // What defines it may have been made a moment ago.
        Ok(None) => Err(error::unknown_kind(id).transient()),
        Err(trouble) => Err(match trouble.held() {
            Some(held) => error::conflict(id, &held),
            None => trouble.into_error(&format!("apply {id}")),
        }),
    }
}

async fn delete(cluster: &Cluster, ctx: &Ctx, object: &Object, live: &Live) -> Result<()> {
    let id = &object.id;
    let uid = live.outputs.get("uid").and_then(Expr::known);
    let uid = uid.as_ref().and_then(Value::as_str);
    ctx.say(format!("deleting {id}"));
    let deleted = tokio::select! {
        biased;
        () = ctx.cancel().cancelled() => return Err(error::cancelled(id)),
        deleted = cluster.delete(id, uid) => deleted,
    };
    deleted.map_err(|trouble| trouble.into_error(&format!("delete {id}")))?;
    wait::gone(cluster, ctx, id, uid).await
}
