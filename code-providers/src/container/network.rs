//! Networks: who is in one finds the others by their names.

use std::collections::BTreeMap;

use code_core::provider::{Action, Change, Live, Observed, Resource};
use code_core::{Expr, Result};
use serde_json::{Value, json};

use super::api::Api;
use super::names::{self, Identity};
use super::render::{query, quoted};
use super::{config, error, observe};

pub(super) async fn observe(api: Api<'_>, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
    let me = Identity::of(api.ctx, resource, last)?;
    let all = find(api, &me, last).await?;
    let Some(found) = all.first() else { return Ok(Observed::Absent) };
    let (id, labels) = (id(found), names::labels(&found["Labels"]));
    if let Some(whose) = me.stranger(&labels, &id, last) {
        return Ok(observe::strange(resource, last, "network", &me.name, &whose));
    }
    let mut was = names::wanted(&labels).unwrap_or_default();
    if was.get("internal").is_some() {
        was = was.with("internal", found["Internal"].as_bool().unwrap_or(false));
    }
    let name = found["Name"].as_str().unwrap_or(&me.name);
    let outputs = [("id", id.as_str()), ("name", name)];
    let outputs: BTreeMap<_, _> = outputs.map(|(name, value)| (name.to_owned(), Expr::from(value))).into();
    let drift = (all.len() > 1).then(|| format!("there are {} of it", all.len())).into_iter().collect();
    Ok(Observed::Present(Live { id, was, outputs, drift }))
}

/// The networks of this name, else the recorded one; that which is looked at first. Docker makes two of one name
/// where it is asked twice at once, as when a call is dropped and made again.
async fn find(api: Api<'_>, me: &Identity, last: Option<&Live>) -> Result<Vec<Value>> {
    let filter = json!({"name": [me.name]}).to_string();
    let said = api.get(&format!("/networks?{}", query(&[("filters", &filter)]))).await?;
    let named = said.as_ref().and_then(Value::as_array).into_iter().flatten();
    let mut named: Vec<Value> = named.filter(|found| found["Name"] == me.name.as_str()).cloned().collect();
    let recorded = |found: &Value| last.is_some_and(|last| last.id == id(found));
    let time = |found: &Value| found["Created"].as_str().unwrap_or_default().to_owned();
    named.sort_by_key(|found| (!recorded(found), time(found), id(found)));
    match last {
        Some(last) if named.is_empty() => {
            Ok(api.get(&format!("/networks/{}", quoted(&last.id))).await?.into_iter().collect())
        }
        _ => Ok(named),
    }
}

fn id(found: &Value) -> String {
    found["Id"].as_str().unwrap_or_default().to_owned()
}

pub(super) async fn make(api: Api<'_>, change: &Change) -> Result<()> {
    let (resource, last) = (&change.resource, change.prior.as_ref());
    let want = resource.wanted();
    let internal = config::network(&want)?;
    let me = Identity::of(api.ctx, resource, last)?;
    if let Some(found) = one_of(api, &me, last).await? {
        let labels = names::labels(&found["Labels"]);
        if let Some(whose) = me.stranger(&labels, &id(&found), last) {
            return Err(error::not_ours(&me.name, &whose));
        }
        let by_us = labels[names::KEY] == api.ctx.key().to_string().as_str();
        if change.action != Action::Replace || (by_us && names::wanted(&labels).as_ref() == Some(&want)) {
            return Ok(());
        }
        delete(api, &id(&found)).await?;
    }
    api.ctx.say(format!("making the network {}", me.name));
    let body = json!({
        "Name": me.name, "CheckDuplicate": true, "Driver": "bridge", "Internal": internal,
        "Labels": me.labels(api.ctx, &want),
    });
    let said = api.send("POST", "/networks/create", Some(&body)).await?;
    // Somebody was faster: a call of ours that was dropped, or a stranger, which the next look tells apart. To Podman
    // that is a failure of its own.
    if said.status != 409 && !said.message().contains("already exists") {
        said.good(&format!("make the network {}", me.name))?;
    }
    one_of(api, &me, None).await.map(drop)
}

/// The network, and no second one of ours.
async fn one_of(api: Api<'_>, me: &Identity, last: Option<&Live>) -> Result<Option<Value>> {
    let mut all = find(api, me, last).await?.into_iter();
    let first = all.next();
    for more in all.filter(|more| me.stranger(&names::labels(&more["Labels"]), &id(more), None).is_none()) {
        delete(api, &id(&more)).await?;
    }
    Ok(first)
}

pub(super) async fn delete(api: Api<'_>, id: &str) -> Result<()> {
    let said = api.send("DELETE", &format!("/networks/{}", quoted(id)), None).await?;
    match said.status {
        404 => Ok(()),
        // Docker's word for a network in which somebody still is.
        403 => Err(error::refused("remove the network", 409, &said.message())),
        _ => said.good("remove the network").map(drop),
    }
}
