//! What it says: of its tool, of mistakes, and never of secrets.

use std::sync::Arc;

use serde_json::json;

use super::bench::{Bare, Bench};
use crate::conformance::Objection;
use crate::conformance::suite::{Judged, holds, speaks_badly};
use crate::provider::{Health, Resource};
use crate::{Expr, Provider, Redactor, Want};

/// Whether its tool is here is an answer, with how to get it where it is not: also on a bare machine.
pub(super) async fn health<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let resource = bench.resource()?;
    let bare = bench.step_on(Arc::new(Bare(Arc::clone(&bench.sample.host))), &resource, None);
    for ctx in [bench.ctx(&resource, None), bare] {
        let said = match bench.provider.health(&ctx).await {
            Ok(said) => said,
            Err(error) => return Err(Objection::Broken(format!("it gave no answer: {error:?}"))),
        };
        if let Health::Missing { what: why, help } | Health::Broken { why, help } = &said {
            holds!(!why.trim().is_empty() && !help.trim().is_empty(), "it does not help: {said:?}");
        }
    }
    Ok(())
}

/// Whatever a person gets wrong is told by an error that says what to do.
pub(super) async fn help<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let resource = bench.resource()?;
    let mut mistakes = wrong(&resource);
    if let Some(more) = &bench.sample.mistakes {
        mistakes.extend(more(&bench.scene(0)?));
    }
    for mistake in mistakes {
        // Whether it is one is the provider's to say; how, is the rule.
        if let Err(error) = bench.plan(&mistake, None).await {
            let badly = speaks_badly(&error);
            holds!(badly.is_none(), "of {:?}: {}", mistake.want, badly.unwrap_or_default());
        }
    }
    Ok(())
}

/// The resource with each of its values missing, and of types that nobody expects.
fn wrong(resource: &Resource) -> Vec<Resource> {
    let want = resource.wanted();
    let with = |want: Want| Resource { want: Some(want), ..resource.clone() };
    let rubbish =
        [json!(null), json!(-1), json!(1e300), json!(""), json!("a\u{0}b\n"), json!([[]]), json!({})];
    let mut all = vec![with(Want::new())];
    for name in want.0.keys() {
        let mut less = want.clone();
        less.0.remove(name);
        all.push(with(less));
        all.extend(rubbish.iter().map(|value| with(want.clone().with(name, Expr::Known(value.clone())))));
    }
    all
}

/// No secret that it is lent is in anything that it returns or says, plain or encoded.
pub(super) async fn secrets<P: Provider>(bench: Arc<Bench<P>>) -> Judged {
    let resource = bench.resource()?;
    let canaries = bench.canaries(&resource).await?;
    if canaries.is_empty() {
        return Err(Objection::NotClaimed("the sample's resource names no secret".to_owned()));
    }
    let mut said: Vec<String> = Vec::new();
    let mut tell = |what: &dyn std::fmt::Debug| said.push(format!("{what:?}"));
    for wanted in [resource.clone(), resource.clone(), resource.gone()] {
        let last = bench.look(&resource, None).await?.live().cloned();
        let observed = bench.look(&wanted, last.as_ref()).await?;
        let change = bench.provider.plan(&bench.ctx(&wanted, last.as_ref()), &wanted, &observed).await?;
        let applied = bench.apply(&change).await;
        tell(&(&observed, &change, &applied, bench.provider.health(&bench.ctx(&wanted, None)).await));
    }
    for mistake in wrong(&resource) {
        tell(&bench.plan(&mistake, None).await);
    }
    tell(&bench.provider);
    said.extend(bench.heard());
    let redactor = Redactor::default();
    canaries.values().for_each(|canary| redactor.learn(canary));
    for text in said {
        let shown = redactor.redact(&text);
        holds!(shown == text, "a secret stands in what it says, where this has `[redacted]`: {shown}");
    }
    Ok(())
}
