//! What is never taken away by mistake: a real engine with the built-in policies, on a world in memory.

#![cfg(test)]

use std::collections::BTreeSet;
use std::sync::Arc;

use code_core::checks::{Approval, How};
use code_core::engine::{Finished, Planned, Proposal};
use code_core::event::Outcome;
use code_core::intent::Kind;
use code_core::memory::{
    Calling, Fault, MemoryHost, MemoryProvider, MemoryRecipe, MemorySecrets, MemoryStore, World,
};
use code_core::provider::Action;
use code_core::spec::{Component, Origins, Replicas, Spec};
use code_core::{Address, Deployment, Engine, Error, ErrorKind, Result};
use code_security::RegoScanner;

/// A machine with an engine that asks the built-in policies.
struct Bench {
    world: World,
    engine: Engine,
}

impl Bench {
    fn new() -> Bench {
        let world = World::new();
        let engine = Engine::builder()
            .state_dir("/nonexistent/state")
            .host(Arc::new(MemoryHost::new()))
            .secrets(Arc::new(MemorySecrets::new()))
            .store(Arc::new(MemoryStore::new()))
            .provider(Arc::new(MemoryProvider::new(world.clone())))
            .recipe(Arc::new(MemoryRecipe))
            .scanner(Arc::new(RegoScanner::new().unwrap()))
            .build()
            .unwrap();
        Bench { world, engine }
    }

    async fn plan(&self, spec: &Spec) -> Result<Planned> {
        self.engine.plan(&Proposal::of(spec.clone(), Origins::new())?, &BTreeSet::new()).await
    }

    async fn apply(&self, planned: &Planned) -> Result<Finished> {
        let ctx = self.engine.ctx();
        let (by, at) = (ctx.host().user(), ctx.host().now());
        let approval = Approval { plan: planned.plan.id, by, at, how: How::Program };
        self.engine.apply(planned, approval, ctx.cancel()).await
    }

    async fn deploy(&self, spec: &Spec) -> Result<Outcome> {
        Ok(self.apply(&self.plan(spec).await?).await?.outcome)
    }

    fn there(&self) -> Vec<String> {
        self.world.all().keys().map(Address::to_string).collect()
    }
}

fn at(address: &str) -> Address {
    address.parse().unwrap()
}

fn name() -> Deployment {
    "shop/staging".parse().unwrap()
}

/// So many copies of a web app, and a budget.
fn web(copies: u32, budget: u32) -> Spec {
    let mut web = Component::new("web", Kind::Web);
    web.replicas = Replicas { min: copies, max: copies };
    Spec { components: vec![web], delete_budget: budget, ..Spec::new("shop", "staging") }
}

/// The same with a database beside it.
fn shop(budget: u32) -> Spec {
    let mut shop = web(1, budget);
    shop.components.push(Component::new("db", Kind::Database));
    shop
}

fn context(error: &Error) -> String {
    error.context().map(|(name, value)| format!("{name}={value}\n")).collect()
}

#[tokio::test]
async fn more_than_the_budget_is_refused_by_name_and_nothing_is_touched() {
    let bench = Bench::new();
    assert_eq!(bench.deploy(&web(5, 3)).await.unwrap(), Outcome::Succeeded);
    let before = (bench.there(), bench.world.count(Calling::Apply));
    let refused = bench.deploy(&web(1, 3)).await.unwrap_err();
    assert_eq!((refused.code(), refused.kind()), ("gate::refused", ErrorKind::Refused));
    let named = "takes away 4 things, and may take away 3: web/part.1, web/part.2, web/part.3, web/part.4";
    assert!(refused.to_string().contains(named), "{refused}");
    assert!(context(&refused).contains(named), "{refused:?}");
    assert_eq!((bench.there(), bench.world.count(Calling::Apply)), before);
    // The budget of the spec counts, and what it allows is done.
    assert_eq!(bench.deploy(&web(2, 3)).await.unwrap(), Outcome::Succeeded);
    assert_eq!(bench.there().len(), 3);
}

#[tokio::test]
async fn an_undo_takes_away_more_than_the_budget() {
    let bench = Bench::new();
    assert_eq!(bench.deploy(&web(1, 0)).await.unwrap(), Outcome::Succeeded);
    let before = bench.there();
    bench.world.fail(&at("web/endpoint"), Fault::Permanent, 1);
    // Six copies are made before the failure: all of them go again, though the budget is nothing.
    assert_eq!(bench.deploy(&web(7, 0)).await.unwrap(), Outcome::RolledBack);
    let made = (1..7).filter(|i| bench.world.count_at(Calling::Effect, &at(&format!("web/part.{i}"))) == 2);
    assert_eq!(made.count(), 6, "each was made and taken away");
    assert_eq!(bench.there(), before);
    // As a change of its own, the same is refused.
    assert_eq!(bench.deploy(&web(2, 0)).await.unwrap(), Outcome::Succeeded);
    assert_eq!(bench.deploy(&web(1, 0)).await.unwrap_err().code(), "gate::refused");
}

#[tokio::test]
async fn data_stays_whatever_else_goes() {
    let bench = Bench::new();
    assert_eq!(bench.deploy(&shop(10)).await.unwrap(), Outcome::Succeeded);
    // Left out of the spec, taken down, and named in a file that somebody emptied: it is kept each time.
    let planned = bench.plan(&web(1, 10)).await.unwrap();
    assert_eq!(planned.plan.kept, [at("db/data")]);
    assert_eq!(bench.apply(&planned).await.unwrap().outcome, Outcome::Succeeded);
    let down = bench.engine.destroy(&name(), false).await.unwrap();
    let planned = bench.engine.plan(&down, &BTreeSet::new()).await.unwrap();
    assert_eq!(bench.apply(&planned).await.unwrap().outcome, Outcome::Succeeded);
    assert_eq!(bench.there(), ["db/data"]);
    // With its end asked for, it is the only thing that is left to take away.
    let all = bench.engine.destroy(&name(), true).await.unwrap();
    let planned = bench.engine.plan(&all, &BTreeSet::new()).await.unwrap();
    assert_eq!(bench.apply(&planned).await.unwrap().outcome, Outcome::Succeeded);
    assert!(bench.there().is_empty());
}

#[tokio::test]
async fn what_cannot_be_seen_is_neither_taken_away_nor_made_again() {
    let bench = Bench::new();
    assert_eq!(bench.deploy(&shop(10)).await.unwrap(), Outcome::Succeeded);
    let (before, applied) = (bench.there(), bench.world.count(Calling::Apply));
    let down = bench.engine.destroy(&name(), true).await.unwrap();
    // One of them, some of them, and all of them: a lost permission is no deletion.
    for hidden in 1..=before.len() {
        for address in &before[..hidden] {
            bench.world.hide(&at(address), Some("permission denied"));
        }
        // Wanted, changed, no longer wanted in part, and no longer wanted at all.
        let mut planned = Vec::new();
        for spec in [shop(10), web(2, 10)] {
            planned.push(bench.plan(&spec).await);
        }
        planned.push(bench.engine.plan(&down, &BTreeSet::new()).await);
        for (i, planned) in planned.into_iter().enumerate() {
            match planned {
                Err(error) => assert_eq!(error.code(), "plan::unknown", "{error:?}"),
                // Data that is kept is not looked at when it is not wanted, and not touched either.
                Ok(planned) => {
                    let plan = &planned.plan;
                    assert!(i == 1 && plan.kept == [at("db/data")], "{plan:?}");
                    let hidden: BTreeSet<_> = before[..hidden].iter().map(|address| at(address)).collect();
                    assert!(plan.steps.iter().all(|step| !hidden.contains(step.address())), "{plan:?}");
                }
            }
        }
    }
    assert_eq!((bench.there(), bench.world.count(Calling::Apply)), (before.clone(), applied));
    // Seen again, it is all as before.
    for address in &before {
        bench.world.hide(&at(address), None);
    }
    let planned = bench.plan(&shop(10)).await.unwrap();
    assert!(planned.plan.steps.iter().all(|step| !step.change.action.is_destructive()), "{:?}", planned.plan);
    assert_eq!(planned.plan.counts().get(&Action::Create), None);
}
