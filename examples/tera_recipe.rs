//! A recipe of your own, as a template: a kind of component that the built-in recipes do not know.
//!
//! `cargo run --example tera_recipe --features tera -- ~/my-site` plans a static site. Nothing is changed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use code_core::engine::Proposal;
use code_core::intent::Kind;
use code_core::local::LocalHost;
use code_core::memory::{MemorySecrets, MemoryStore};
use code_core::spec::{Component, Origins, Spec};
use code_core::{Engine, Result};
use code_providers::ProcessProvider;
use code_providers::recipes::{TeraRecipe, local};

#[tokio::main]
async fn main() -> Result<()> {
    let source = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let source = PathBuf::from(&source).canonicalize().map_or(source, |path| path.display().to_string());

    // The engine asks recipes in order, so one's own stand before those that refuse what they do not know.
    let ours =
        TeraRecipe::new("ours.static-site", Kind::StaticSite, include_str!("recipes/static_site.json.tera"))?;
    let mut engine = Engine::builder()
        .state_dir(std::env::temp_dir().join("tera-recipe"))
        .host(Arc::new(LocalHost::new()))
        .secrets(Arc::new(MemorySecrets::new()))
        .store(Arc::new(MemoryStore::new()))
        .provider(Arc::new(ProcessProvider::new()))
        .recipe(Arc::new(ours));
    for recipe in local() {
        engine = engine.recipe(recipe);
    }
    let engine = engine.build()?;

    let site =
        Component { source: Some(source), port: Some(8000), ..Component::new("site", Kind::StaticSite) };
    let spec = Spec {
        version: code_core::spec::SPEC_VERSION,
        application: "blog".to_owned(),
        environment: "staging".to_owned(),
        protected: false,
        delete_budget: 10,
        target: Default::default(),
        components: vec![site],
        constraints: Default::default(),
    };
    let planned = engine.plan(&Proposal::of(spec, Origins::new())?, &BTreeSet::new()).await?;
    for step in &planned.plan.steps {
        println!("{} {} ({})", step.change.action, step.address(), step.change.resource.kind);
        for (name, value) in &step.change.resource.wanted().0 {
            println!(
                "    {name} = {}",
                value.known().map_or("known later".to_owned(), |value| value.to_string())
            );
        }
    }
    Ok(())
}
