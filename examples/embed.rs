//! The engine in a program of your own, with your own word on what may run.
//!
//! `cargo run --example embed -- STATE SPEC.json` brings about what a spec says, with the sample app as every component.
//! What takes nothing away is carried out; the rest is declined, and nothing changes.

use std::collections::BTreeSet;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use code_core::approver::{Approver, Decided};
use code_core::checks::{Approval, How};
use code_core::engine::{EngineBuilder, Planned, Proposal};
use code_core::event::{Decision, OnFailure};
use code_core::local::{LocalHost, LocalStore};
use code_core::spec::{Origins, Spec};
use code_core::status::Run;
use code_core::{Ctx, Engine, Layout, Result};
use code_providers::recipes::local;
use code_providers::sample::{sample_digest, sample_main};
use code_providers::{ProcessProvider, ReleaseProvider, keeper_main};
use code_security::{LocalSecrets, RegoScanner};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // This program is also the keeper of what it deploys, and the sample app.
    let other = keeper_main().or_else(sample_main);
    other.map_or_else(|| tokio::runtime::Runtime::new()?.block_on(deploy()), Ok)
}

async fn deploy() -> Result<ExitCode, Box<dyn Error>> {
    let arg = |nth| std::env::args().nth(nth).ok_or("say STATE and SPEC.json");
    let mut spec: Spec = serde_json::from_slice(&std::fs::read(arg(2)?)?)?;
    spec.components.iter_mut().for_each(|app| app.release = Some(sample_digest()));
    let layout = Layout::new(arg(1)?);
    let engine = Engine::builder()
        .state_dir(layout.root())
        .host(Arc::new(LocalHost::new()))
        .secrets(Arc::new(LocalSecrets::new(layout.secrets())))
        .store(Arc::new(LocalStore::new(&layout)))
        .scanner(Arc::new(RegoScanner::new()?))
        .provider(Arc::new(ProcessProvider::new()))
        .provider(Arc::new(ReleaseProvider::new()))
        .on_failure(OnFailure::Pause)
        .approver(Arc::new(Careful));
    let engine = local().into_iter().fold(engine, EngineBuilder::recipe).build()?;
    let planned = engine.plan(&Proposal::of(spec, Origins::new())?, &BTreeSet::new()).await?;
    let finished = engine.apply(&planned, engine.approval(&planned).await?, engine.ctx().cancel()).await?;
    println!("{:?}: {} resources", finished.outcome, finished.state.inventory.len());
    Ok(finished.error.map_or(Ok(ExitCode::SUCCESS), Err)?)
}

/// Says yes to what takes nothing away, and takes back what fails.
#[derive(Debug)]
struct Careful;

#[async_trait]
impl Approver for Careful {
    async fn approve(&self, ctx: &Ctx, planned: &Planned) -> Result<Option<Approval>> {
        let harmless = planned.plan.steps.iter().all(|step| !step.change.effects.may_destroy());
        let (by, at) = (ctx.host().user(), ctx.host().now());
        Ok(harmless.then_some(Approval { plan: planned.plan.id, by, at, how: How::Program }))
    }

    async fn decide(&self, ctx: &Ctx, _: &Run) -> Result<Option<Decided>> {
        Ok(Some(Decided { by: ctx.host().user(), answer: Decision::RollBack.into() }))
    }
}
