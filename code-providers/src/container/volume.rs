//! Volumes: data, which outlives what reads it.

use std::collections::BTreeMap;

use code_core::provider::{Change, Live, Observed, Resource};
use code_core::{Expr, Result};
use serde_json::json;

use super::api::Api;
use super::names::{self, Identity};
use super::render::quoted;
use super::{config, error, observe};

pub(super) async fn observe(api: Api<'_>, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
    let me = Identity::of(api.ctx, resource, last)?;
    // Where the state directory was moved, its data is where it was.
    let recorded = last.map(|last| last.id.as_str()).filter(|_| resource.wanted().get("name").is_none());
    let mut seen = None;
    for name in [Some(me.name.as_str()), recorded].into_iter().flatten() {
        seen = seen.or(api.get(&path(name)).await?.map(|found| (name, found)));
    }
    let Some((name, found)) = seen else { return Ok(Observed::Absent) };
    let labels = names::labels(&found["Labels"]);
    if let Some(whose) = me.stranger(&labels, name, last) {
        return Ok(observe::strange(resource, last, "volume", name, &whose));
    }
    Ok(Observed::Present(Live {
        id: name.to_owned(),
        was: names::wanted(&labels).unwrap_or_default(),
        outputs: BTreeMap::from([("name".to_owned(), Expr::from(name))]),
        drift: Vec::new(),
    }))
}

fn path(name: &str) -> String {
    format!("/volumes/{}", quoted(name))
}

pub(super) async fn make(api: Api<'_>, change: &Change) -> Result<()> {
    let want = change.resource.wanted();
    config::volume(&want)?;
    let me = Identity::of(api.ctx, &change.resource, change.prior.as_ref())?;
    // An existing one would be given as if it had been made.
    if let Some(found) = api.get(&path(&me.name)).await? {
        let labels = names::labels(&found["Labels"]);
        return match me.stranger(&labels, &me.name, change.prior.as_ref()) {
            Some(whose) => Err(error::not_ours(&me.name, &whose)),
            None => Ok(()),
        };
    }
    api.ctx.say(format!("making the volume {}", me.name));
    let body = json!({"Name": me.name, "Driver": "local", "Labels": me.labels(api.ctx, &want)});
    let said = api.send("POST", "/volumes/create", Some(&body)).await?;
    said.good(&format!("make the volume {}", me.name)).map(drop)
}

pub(super) async fn delete(api: Api<'_>, name: &str) -> Result<()> {
    let said = api.send("DELETE", &path(name), None).await?;
    match said.status {
        404 => Ok(()),
        _ => said.good(&format!("remove the volume {name}")).map(drop),
    }
}
