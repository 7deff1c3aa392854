//! Applying: where it ends, how often it acts, and that all of it was announced.

use std::sync::Arc;

use std::collections::BTreeMap;

use futures::future::join_all;

use super::bench::Bench;
use crate::Provider;
use crate::conformance::Objection;
use crate::conformance::suite::{Judged, holds};
use crate::expr::{Expr, Want};
use crate::provider::{Action, Change, Effects, Live, Observed, Promise, Resource};

/// After `apply`, the resource is there, without drift, and each wanted value is what it was wanted to be.
pub(super) async fn as_planned<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let resource = bench.resource()?;
    let (_, observed) = bench.converge(&resource, None).await?;
    let Observed::Present(live) = observed else {
        return Err(Objection::Broken(format!("after it was made, it is seen as {observed:?}")));
    };
    holds!(live.drift.is_empty(), "just made, it is not as it should be: {:?}", live.drift);
    is_so(&live, &resource, &Want::new())
}

/// Each wanted value that was another one before is there.
fn is_so(live: &Live, resource: &Resource, before: &Want) -> Judged {
    for (name, value) in resource.wanted().0.iter().filter(|(name, value)| before.get(name) != Some(value)) {
        let is = live.was.get(name);
        holds!(is == Some(value), "`{name}` was wanted to be {value:?} and is {is:?}");
    }
    Ok(())
}

/// Planned again, what is as wanted is kept, without effects.
pub(super) async fn kept<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let resource = bench.resource()?;
    let (_, live) = bench.made(&resource).await?;
    let again = bench.plan(&resource, Some(&live)).await?;
    holds!(again.action == Action::Keep, "it would {} it again: {}", again.action, again.why);
    holds!(again.effects == Effects::none(), "keeping it has effects: {:?}", again.effects);
    Ok(())
}

/// A change that keeps, applied all the same, changes nothing.
pub(super) async fn untouched<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let resource = bench.resource()?;
    let (_, live) = bench.made(&resource).await?;
    let keep = Change::keep(&resource, &live);
    let before = bench.outside().await?;
    let applied = bench.apply(&keep).await.map_err(|failed| failed.error)?;
    let after = bench.outside().await?;
    holds!(before == after, "keeping it changed\n{before}\nto\n{after}");
    holds!(applied.is_some(), "kept, it is told to be gone");
    Ok(())
}

/// Two calls with one key have one effect: what is there afterwards is what the first one made.
pub(super) async fn one_effect<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let resource = bench.resource()?;
    let change = bench.plan(&resource, None).await?;
    let ctx = bench.step(&resource, None);
    let first = bench.provider.apply(&ctx, &change).await.map_err(|failed| failed.error)?;
    let Observed::Present(first) = bench.look(&resource, first.as_ref()).await? else {
        return Err(Objection::NotJudged("it was not made".to_owned()));
    };
    let again = bench.provider.apply(&ctx, &change).await;
    holds!(again.is_ok(), "the same call again failed: {again:?}");
    let second = bench.look(&resource, Some(&first)).await?;
    let id = second.live().map(|live| &live.id);
    holds!(id == Some(&first.id), "the first call made {}, and after the second there is {id:?}", first.id);
    Ok(())
}

/// A key that was done once is no proof that the resource is still there.
pub(super) async fn no_proof<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let resource = bench.resource()?;
    let change = bench.plan(&resource, None).await?;
    let ctx = bench.step(&resource, None);
    let live = bench.provider.apply(&ctx, &change).await.map_err(|failed| failed.error)?;
    bench.converge(&resource.gone(), live.as_ref()).await?;
    let again = bench.provider.apply(&ctx, &change).await.map_err(|failed| failed.error)?;
    let observed = bench.look(&resource, again.as_ref()).await?;
    holds!(
        observed.live().is_some(),
        "applied, deleted and applied again with the same key, it is {observed:?}"
    );
    Ok(())
}

/// Another value that can be changed in place is changed in place.
pub(super) async fn updated<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let (resource, changed) = (bench.resource()?, bench.changed()?);
    let (_, live) = bench.made(&resource).await?;
    let (change, observed) = bench.converge(&changed, Some(&live)).await?;
    holds!(change.action == Action::Update, "it plans to {} it ({})", change.action, change.why);
    match observed {
        Observed::Present(live) => is_so(&live, &changed, &resource.wanted()),
        other => Err(Objection::Broken(format!("after the change it is seen as {other:?}"))),
    }
}

/// Another value that cannot be changed in place makes another one, and that is said.
pub(super) async fn replaced<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let (resource, other) = (bench.resource()?, bench.replaced()?);
    let (_, first) = bench.made(&resource).await?;
    let (change, observed) = bench.converge(&other, Some(&first)).await?;
    holds!(change.action == Action::Replace, "it plans to {} it ({})", change.action, change.why);
    let Observed::Present(second) = observed else {
        return Err(Objection::Broken(format!("after the change it is seen as {observed:?}")));
    };
    holds!(first.id != second.id, "it is still {}", first.id);
    is_so(&second, &other, &resource.wanted())
}

/// What somebody else changed is not kept, and applying makes it as wanted again.
pub(super) async fn drift<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let Some(disturb) = bench.sample.disturb.clone() else {
        return Err(Objection::NotClaimed("the sample cannot `disturb` a resource".to_owned()));
    };
    let resource = bench.resource()?;
    let (_, live) = bench.made(&resource).await?;
    let was = live.clone();
    bench.meddle(move |provider, scene| disturb(provider, scene, &was)).await?;
    let change = bench.plan(&resource, Some(&live)).await?;
    holds!(change.action != Action::Keep, "after somebody changed it, it would be kept");
    bench.apply(&change).await.map_err(|failed| failed.error)?;
    let observed = bench.look(&resource, Some(&live)).await?;
    let mended = observed.live().is_some_and(|live| live.drift.is_empty());
    holds!(mended, "mended, it is seen as {observed:?}");
    Ok(())
}

/// What was deleted is seen as absent.
pub(super) async fn deleted<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let resource = bench.resource()?;
    let (_, live) = bench.made(&resource).await?;
    let change = bench.plan(&resource.gone(), Some(&live)).await?;
    let applied = bench.apply(&change).await.map_err(|failed| failed.error)?;
    holds!(applied.is_none(), "deleted, it is told to be {applied:?}");
    let observed = bench.look(&resource.gone(), Some(&live)).await?;
    holds!(observed == Observed::Absent, "deleted, it is seen as {observed:?}");
    Ok(())
}

/// Deleting what is gone already succeeds with nothing left.
pub(super) async fn deleted_twice<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let resource = bench.resource()?;
    let (_, live) = bench.made(&resource).await?;
    let change = bench.plan(&resource.gone(), Some(&live)).await?;
    bench.apply(&change).await.map_err(|failed| failed.error)?;
    let again = bench.apply(&change).await;
    holds!(matches!(again, Ok(None)), "deleting it again gave {again:?}");
    Ok(())
}

/// Deleting what never was succeeds, and announces nothing.
pub(super) async fn never_was<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let gone = bench.resource()?.gone();
    let observed = bench.look(&gone, None).await?;
    holds!(observed == Observed::Absent, "what never was is seen as {observed:?}");
    let change = bench.provider.plan(&bench.ctx(&gone, None), &gone, &observed).await;
    let change = match change {
        Ok(change) => change,
        Err(error) => return Err(Objection::Broken(format!("it cannot be planned: {error:?}"))),
    };
    holds!(change.effects == Effects::none(), "it has effects: {:?}", change.effects);
    let applied = bench.apply(&change).await;
    holds!(matches!(applied, Ok(None)), "deleting what never was gave {applied:?}");
    Ok(())
}

/// All changes that the sample can show, one after the other: each with what was there before and after, and
/// whether anything was touched.
async fn story<P: Provider>(bench: &Bench<P>) -> Result<Vec<Told>, Objection> {
    let resource = bench.resource()?;
    let mut wants = vec![resource.clone()];
    wants.extend(bench.changed().ok());
    wants.extend(bench.replaced().ok());
    wants.push(resource.gone());
    let mut told = Vec::new();
    let mut last: Option<Live> = None;
    for wanted in wants {
        let change = bench.plan(&wanted, last.as_ref()).await?;
        let before = bench.outside().await?;
        let made = bench.apply(&change).await.map_err(|failed| failed.error)?;
        let touched = before != bench.outside().await?;
        // As the engine looks for evidence: what was made is what was there last.
        let now = bench.look(&wanted, made.as_ref().or(last.as_ref())).await?.live().cloned();
        told.push(Told { change, before: last, now: now.clone(), touched });
        last = now;
    }
    Ok(told)
}

struct Told {
    change: Change,
    before: Option<Live>,
    now: Option<Live>,
    touched: bool,
}

/// A change that touches something announced effects.
pub(super) async fn announced<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    for Told { change, touched, .. } in story(&bench).await? {
        let silent = change.effects == Effects::none();
        holds!(!(touched && silent), "to {} it touched something, and announced nothing", change.action);
    }
    Ok(())
}

/// A change after which something is gone, or is another one, announced that it takes something away.
pub(super) async fn taking_away<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    for Told { change, before, now, touched } in story(&bench).await? {
        // An update may give what it changes another name.
        let gone = before.is_some() && now.is_none();
        let another = change.action == Action::Replace;
        // One that announced nothing at all broke another rule.
        let said = change.effects.may_destroy() || change.effects == Effects::none();
        holds!(
            !touched || !(gone || another) || said,
            "to {} it took {:?} away, and announced {:?}",
            change.action,
            before.map(|live| live.id),
            change.effects
        );
    }
    Ok(())
}

/// The outputs of a change, before and after it.
async fn outputs<P: Provider>(
    bench: &Bench<P>,
) -> Result<Vec<(BTreeMap<String, Promise>, BTreeMap<String, Expr>)>, Objection> {
    let story = story(bench).await?;
    let kept = story.into_iter().filter_map(|told| Some((told.change.outputs, told.now?.outputs)));
    Ok(kept.collect())
}

/// An output that is said to stay has the value that was said.
pub(super) async fn stays<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    for (promised, is) in outputs(&bench).await? {
        for (name, promise) in promised {
            let (Promise::Stays(said), Some(is)) = (promise, is.get(&name)) else { continue };
            holds!(said == *is, "`{name}` was said to stay {said:?} and is {is:?}");
        }
    }
    Ok(())
}

/// An output that was promised is there, and known or a secret's name.
pub(super) async fn promised<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    for (promised, is) in outputs(&bench).await? {
        for name in promised.keys() {
            let bound = is.get(name).is_some_and(Expr::is_bound);
            holds!(bound, "`{name}` was promised, and there is only {:?}", Want(is));
        }
    }
    Ok(())
}

/// As many at once as it claims end as they would one by one.
pub(super) async fn at_once<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let many = bench.provider.capabilities().concurrency.clamp(1, 8);
    let mut changes = Vec::new();
    for nth in 0..many {
        changes.push(bench.plan(&bench.nth(nth)?, None).await?);
    }
    let applied = join_all(changes.iter().map(|change| bench.apply(change))).await;
    for (change, applied) in changes.iter().zip(applied) {
        let address = &change.resource.address;
        let live = match applied {
            Ok(live) => live,
            Err(failed) => {
                let alone = format!("{address}, one of {many} at once, failed: {:?}", failed.error);
                return Err(match many {
                    1 => Objection::NotJudged(alone),
                    _ => Objection::Broken(alone),
                });
            }
        };
        let observed = bench.look(&change.resource, live.as_ref()).await?;
        holds!(observed.live().is_some(), "{address}, one of {many} at once, is seen as {observed:?}");
    }
    Ok(())
}
