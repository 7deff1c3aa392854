//! Looking and planning: what they must see, and must not do.

use std::sync::Arc;

use super::bench::Bench;
use crate::Provider;
use crate::conformance::Objection;
use crate::conformance::suite::{Judged, holds};
use crate::expr::Expr;
use crate::provider::{Action, Observed};

/// `info` never changes, whatever was done in between, and says who it is.
pub(super) async fn identity<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let before = bench.provider.info().clone();
    let resource = bench.resource()?;
    // Whether that goes well is the business of other rules.
    let _ = bench.converge(&resource, None).await;
    let after = bench.provider.info().clone();
    holds!(before == after, "it was {before:?} and is {after:?}");
    holds!(!before.name.trim().is_empty(), "it has no name");
    Ok(())
}

/// The kind of its resource is one of those that it claims.
pub(super) async fn kinds<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let kind = bench.resource()?.kind;
    let claimed = bench.provider.capabilities().kinds;
    holds!(claimed.contains(&kind.as_str()), "`{kind}` is not among {claimed:?}");
    Ok(())
}

/// `observe` and `plan` read only: before the resource exists, while it does, and of its end.
pub(super) async fn reads_only<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let resource = bench.resource()?;
    let before = bench.outside().await?;
    let change = bench.plan(&resource, None).await?;
    let after = bench.outside().await?;
    holds!(before == after, "before anything was there, looking and planning changed\n{before}\nto\n{after}");
    let live = bench.apply(&change).await.map_err(|failed| failed.error)?;
    let before = bench.outside().await?;
    bench.plan(&resource, live.as_ref()).await?;
    bench.plan(&resource.gone(), live.as_ref()).await?;
    let after = bench.outside().await?;
    holds!(before == after, "when it was there, looking and planning changed\n{before}\nto\n{after}");
    Ok(())
}

/// As long as nothing happens, what is observed is the same.
pub(super) async fn steady<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let resource = bench.resource()?;
    let (_, live) = bench.made(&resource).await?;
    let again = bench.look(&resource, Some(&live)).await?;
    holds!(again == Observed::Present(live.clone()), "it saw {live:?} and then {again:?}");
    Ok(())
}

/// `plan` gives the same change for the same resource and observation.
pub(super) async fn deterministic<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let resource = bench.resource()?;
    for wanted in [resource.clone(), resource.gone()] {
        for _ in 0..2 {
            let observed = bench.look(&wanted, None).await?;
            let plan = || async { bench.provider.plan(&bench.ctx(&wanted, None), &wanted, &observed).await };
            let (first, second) = (plan().await?, plan().await?);
            holds!(first == second, "from {observed:?} it planned {first:?} and then {second:?}");
            let _ = bench.made(&resource).await;
        }
    }
    Ok(())
}

/// A planned change is of the same resource, and wants all that is wanted.
pub(super) async fn keeps_values<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let resource = bench.resource()?;
    let change = bench.plan(&resource, None).await?;
    let planned = &change.resource;
    holds!(
        planned.address == resource.address && planned.kind == resource.kind,
        "it planned {} of the kind {}",
        planned.address,
        planned.kind
    );
    for (name, value) in &resource.wanted().0 {
        let has = planned.wanted().get(name).cloned();
        holds!(has.as_ref() == Some(value), "`{name}` is wanted to be {value:?} and planned to be {has:?}");
    }
    Ok(())
}

/// What does not exist is seen as absent, and its change is a creation.
pub(super) async fn creates<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let resource = bench.resource()?;
    let observed = bench.look(&resource, None).await?;
    holds!(observed == Observed::Absent, "before it is made, it is seen as {observed:?}");
    let change = bench.provider.plan(&bench.ctx(&resource, None), &resource, &observed).await?;
    holds!(change.action == Action::Create, "it plans to {} what does not exist", change.action);
    Ok(())
}

/// A value that is not known yet is never made up: nothing is made of it.
pub(super) async fn no_guess<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let resource = bench.resource()?;
    let other = bench.scene(99)?.address();
    for name in resource.wanted().0.keys() {
        let unbound = crate::provider::Resource {
            want: Some(resource.wanted().with(name, Expr::output(&other, "value"))),
            ..resource.clone()
        };
        let Ok(change) = bench.plan(&unbound, None).await else { continue };
        let before = bench.outside().await?;
        let applied = bench.apply(&change).await;
        let after = bench.outside().await?;
        holds!(
            applied.is_err() && before == after,
            "with `{name}` unknown, applying gave {applied:?}, and there is\n{after}"
        );
    }
    Ok(())
}

/// What cannot be looked at is `Unknown`.
pub(super) async fn no_answer<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let Some(hide) = bench.sample.hide.clone() else {
        return Err(Objection::NotClaimed("the sample cannot `hide` a resource".to_owned()));
    };
    let resource = bench.resource()?;
    let (_, live) = bench.made(&resource).await?;
    bench.meddle(move |provider, scene| hide(provider, scene)).await?;
    let observed = bench.look(&resource, Some(&live)).await;
    let unknown = matches!(&observed, Ok(Observed::Unknown(_)) | Err(_));
    holds!(unknown, "where it cannot look, it says {observed:?}");
    Ok(())
}
