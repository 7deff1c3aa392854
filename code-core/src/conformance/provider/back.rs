//! Taking back: a reversal names the state to return to, and returning to it brings back what was.

use std::sync::Arc;

use super::bench::Bench;
use crate::Provider;
use crate::conformance::Objection;
use crate::conformance::suite::{Judged, holds};
use crate::provider::{Observed, Reversal};

/// What was made goes again, or it is said that it stays.
pub(super) async fn created<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let resource = bench.resource()?;
    let change = bench.plan(&resource, None).await?;
    if let Reversal::Reversible(to) = &change.reversal {
        holds!(to.want.is_none(), "taking back the creation would leave {:?}", to.want);
    }
    if let Some(to) = change.reversal.to() {
        let same = to.address == resource.address && to.kind == resource.kind;
        holds!(same, "the way back leads to {} of the kind {}", to.address, to.kind);
    }
    Ok(())
}

/// After a change was taken back, each value is what it was before.
pub(super) async fn changed<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let resource = bench.resource()?;
    let other = match (bench.changed(), bench.replaced()) {
        (Ok(other), _) | (Err(_), Ok(other)) => other,
        (Err(not), Err(_)) => return Err(not),
    };
    let (_, first) = bench.made(&resource).await?;
    let (change, observed) = bench.converge(&other, Some(&first)).await?;
    let to = match &change.reversal {
        Reversal::Irreversible(_) => return Ok(()),
        Reversal::Reversible(to) | Reversal::Compensable { to, .. } => to,
    };
    let (_, back) = bench.converge(to, observed.live()).await?;
    let Observed::Present(back) = back else {
        return Err(Objection::Broken(format!("taken back, it is seen as {back:?}")));
    };
    holds!(back.was == first.was, "it was {:?}, and taken back it is {:?}", first.was, back.was);
    Ok(())
}
