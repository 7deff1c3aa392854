//! What stands between the engine and every provider, always: the contract, error context, spans.
//!
//! The engine's builder wraps each provider in a [`Guarded`]; nobody has to remember to. A provider that
//! breaks its contract in a way that can be seen from outside gets an error, and nothing that it said is used.

use std::sync::Arc;

use async_trait::async_trait;
use tracing::Instrument;

use crate::provider::{
    Action, Capabilities, Change, Failed, Health, Live, Observed, Provider, ProviderInfo, Resource,
};
use crate::{Ctx, Error, ErrorKind, Result};

/// A provider whose answers are held against its contract.
#[derive(Debug)]
pub struct Guarded(Arc<dyn Provider>);

impl Guarded {
    /// Guards a provider.
    pub fn new(provider: Arc<dyn Provider>) -> Guarded {
        Guarded(provider)
    }

    fn span(&self, call: &'static str, resource: &Resource) -> tracing::Span {
        tracing::debug_span!("provider", name = %self.info().name, call, address = %resource.address)
    }

    fn placed(&self, error: Error, resource: &Resource) -> Error {
        let said: Vec<&str> = error.context().map(|(name, _)| name).collect();
        let (provider, address) = (!said.contains(&"provider"), !said.contains(&"address"));
        let error = if provider { error.with("provider", &*self.info().name) } else { error };
        if address { error.with("address", resource.address.as_str()) } else { error }
    }
}

#[async_trait]
impl Provider for Guarded {
    fn info(&self) -> &ProviderInfo {
        self.0.info()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn health(&self, ctx: &Ctx) -> Result<Health> {
        self.0.health(ctx).await
    }

    async fn observe(&self, ctx: &Ctx, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
        let look = self.0.observe(ctx, resource, last).instrument(self.span("observe", resource));
        look.await.map_err(|error| self.placed(error, resource))
    }

    async fn plan(&self, ctx: &Ctx, resource: &Resource, live: &Observed) -> Result<Change> {
        let plan = self.0.plan(ctx, resource, live).instrument(self.span("plan", resource));
        let change = plan.await.map_err(|error| self.placed(error, resource))?;
        match broken(resource, &change) {
            None => Ok(change),
            Some(what) => {
                let message = format!("plan `{}` with `{}`: {what}", resource.address, self.info().name);
                Err(Error::new(ErrorKind::Bug, "provider::broken-contract", message)
                    .help("report it to the author of the provider"))
            }
        }
    }

    async fn apply(&self, ctx: &Ctx, change: &Change) -> Result<Option<Live>, Failed> {
        let apply = self.0.apply(ctx, change).instrument(self.span("apply", &change.resource));
        apply.await.map_err(|failed| Failed { error: self.placed(failed.error, &change.resource), ..failed })
    }
}

/// How a planned change breaks the contract of [`Provider`], where it does.
fn broken(resource: &Resource, change: &Change) -> Option<&'static str> {
    let planned = &change.resource;
    let dropped = |(name, value): (&String, &crate::Expr)| {
        planned.want.as_ref().and_then(|want| want.get(name)) != Some(value)
    };
    if planned.address != resource.address || planned.kind != resource.kind {
        Some("it planned a change of another resource")
    } else if planned.want.is_some() != resource.want.is_some() {
        Some("it planned the opposite of what is wanted")
    } else if resource.wanted().0.iter().any(dropped) {
        Some("it dropped a wanted value")
    } else if change.action == Action::Delete && resource.want.is_some() {
        Some("it planned to delete what is wanted")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Want;
    use crate::provider::Effects;

    #[test]
    fn a_change_that_breaks_the_contract_is_seen() {
        let resource = Resource::new("web/part".parse().unwrap(), "memory", Want::new().with("port", 80u16));
        let check = |change: Change, expect: Option<&str>| {
            assert_eq!(broken(&resource, &change).map(|what| &what[..9]), expect.map(|what| &what[..9]));
        };
        let good = Change::create(&resource, Effects::none());
        check(good.clone(), None);
        let with = |f: fn(&mut Change)| {
            let mut change = good.clone();
            f(&mut change);
            change
        };
        check(with(|c| c.action = Action::Delete), Some("it planned to delete"));
        check(with(|c| c.resource.want = None), Some("it planned the opposite"));
        check(with(|c| c.resource.want = Some(Want::new())), Some("it dropped a wanted value"));
        check(with(|c| c.resource.kind = "other".into()), Some("it planned a change of another"));
    }
}
