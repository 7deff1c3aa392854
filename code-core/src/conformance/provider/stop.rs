//! Calls that are cancelled, and futures that are dropped, at each of their waits.

use std::sync::Arc;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::bench::Bench;
use crate::conformance::Objection;
use crate::conformance::suite::{At, Judged, at_wait, holds};
use crate::provider::{Change, Failed, Live, Observed};
use crate::{Ctx, ErrorKind, Provider, Result};

/// A call that is cancelled before it begins ends, as done or as cancelled.
pub(super) async fn before<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let change = bench.plan(&bench.resource()?, None).await?;
    let (ctx, cancel) = step(&bench, &change);
    cancel.cancel();
    ends(&bench, bench.provider.apply(&ctx, &change)).await.map(drop)
}

/// A call that is cancelled at one of its waits ends.
pub(super) async fn during<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    for nth in 0..bench.sample.stops {
        let (change, applied) = cancelled(&bench, nth).await?;
        if let Some(Err(failed)) = &applied {
            let soft = matches!(failed.error.kind(), ErrorKind::Cancelled);
            holds!(soft, "cancelled at wait {}, it says {:?}", nth + 1, failed.error);
        }
        drop(change);
    }
    Ok(())
}

/// What was done stays done when its call is cancelled afterwards.
pub(super) async fn after<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let change = bench.plan(&bench.resource()?, None).await?;
    let (ctx, cancel) = step(&bench, &change);
    let live = bench.provider.apply(&ctx, &change).await.map_err(|failed| failed.error)?;
    if bench.look(&change.resource, live.as_ref()).await?.live().is_none() {
        return Err(Objection::NotJudged("it was not made".to_owned()));
    }
    cancel.cancel();
    let observed = bench.look(&change.resource, live.as_ref()).await?;
    holds!(observed.live().is_some(), "cancelled after its end, it is seen as {observed:?}");
    Ok(())
}

/// What a failed call says that it left is what is there.
pub(super) async fn left<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    for nth in 0..bench.sample.stops {
        let (change, applied) = cancelled(&bench, nth).await.map_err(unjudged)?;
        let Some(Err(failed)) = applied else { continue };
        let last = failed.left.live();
        let observed = bench.look(&change.resource, last).await?;
        let agrees = match &failed.left {
            Observed::Unknown(_) | Observed::NotYet(_) => true,
            Observed::Absent => observed == Observed::Absent,
            Observed::Present(live) => observed.live().is_some_and(|seen| seen.id == live.id),
        };
        holds!(agrees, "it says that it left {:?}, and there is {observed:?}", failed.left);
    }
    Ok(())
}

/// What was cancelled can be applied again, and ends in what was planned.
pub(super) async fn resumed<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    for nth in 0..bench.sample.stops {
        let (change, _) = cancelled(&bench, nth).await.map_err(unjudged)?;
        again(&bench, &change, &format!("cancelled at wait {}", nth + 1)).await?;
    }
    Ok(())
}

/// What was dropped can be applied again, and ends in what was planned.
pub(super) async fn dropped<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    for nth in 0..bench.sample.stops {
        let change = bench.plan(&bench.nth(nth)?, None).await?;
        let (ctx, _cancel) = step(&bench, &change);
        drop(at_wait(bench.provider.apply(&ctx, &change), nth + 1).await);
        again(&bench, &change, &format!("dropped at wait {}", nth + 1)).await?;
    }
    Ok(())
}

/// Applies once more under another key, as a resumed engine does after it looked, and looks.
async fn again<P: Provider>(bench: &Bench<P>, change: &Change, what: &str) -> Judged {
    let applied = async {
        let change = bench.plan(&change.resource, None).await?;
        bench.apply(&change).await.map_err(|failed| failed.error)
    };
    let live = match ends(bench, applied).await? {
        Ok(live) => live,
        Err(error) => {
            return Err(Objection::Broken(format!("{what} and applied again, it failed: {error:?}")));
        }
    };
    let observed = bench.look(&change.resource, live.as_ref()).await?;
    let whole = observed.live().is_some_and(|live| live.drift.is_empty());
    holds!(whole, "{what} and applied again, it is seen as {observed:?}");
    Ok(())
}

/// A step that can be cancelled.
fn step<P: Provider>(bench: &Bench<P>, change: &Change) -> (Ctx, CancellationToken) {
    let cancel = CancellationToken::new();
    (bench.step(&change.resource, change.prior.as_ref()).with_cancel(cancel.clone()), cancel)
}

type Applied = Result<Option<Live>, Failed>;

/// Applies the `nth` resource and cancels it at the wait of that number: how it ended, where it was still
/// under way.
async fn cancelled<P: Provider>(
    bench: &Bench<P>,
    nth: usize,
) -> Result<(Change, Option<Applied>), Objection> {
    let change = bench.plan(&bench.nth(nth)?, None).await?;
    let (ctx, cancel) = step(bench, &change);
    let ended = match at_wait(bench.provider.apply(&ctx, &change), nth + 1).await {
        At::Ended(_) => None,
        At::Waiting(call) => {
            cancel.cancel();
            Some(ends(bench, call).await?)
        }
    };
    Ok((change, ended))
}

/// "Soon" is a quarter of what a whole rule may take.
async fn ends<P: Provider, T>(bench: &Bench<P>, call: impl Future<Output = T>) -> Result<T, Objection> {
    let soon: Duration = bench.sample.patience / 4;
    let ended = tokio::time::timeout(soon, call).await;
    ended.map_err(|_| Objection::Broken(format!("it does not end within {soon:?}")))
}

/// A call that does not end is the business of another rule.
fn unjudged(objection: Objection) -> Objection {
    match objection {
        Objection::Broken(why) => Objection::NotJudged(why),
        other => other,
    }
}
