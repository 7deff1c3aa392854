//! The one place where all crates come together: the engine of this binary.

use std::path::Path;
use std::sync::Arc;

use code_core::engine::EngineBuilder;
use code_core::local::LocalStore;
use code_core::{Engine, Host, Layout, Provider, Result};
use code_nlp::settings::Settings;
use code_providers::postgres::Postgres;
use code_providers::sqlite::Sqlite;
use code_providers::{ProcessProvider, ReleaseProvider};
use code_security::{CostScanner, LocalSecrets, RegoScanner};

use crate::progress::Feed;

/// The engine with everything that this build knows, after what the program has `begun` it with.
///
/// # Errors
/// Where a policy of the project cannot be read.
pub fn engine(
    begun: EngineBuilder,
    layout: &Layout,
    store: Arc<LocalStore>,
    project: &Path,
    settings: &Settings,
    host: Arc<dyn Host>,
    feed: Arc<Feed>,
) -> Result<Engine> {
    let mut rego = RegoScanner::new()?;
    for dir in &settings.policies {
        rego = rego.with_dir(project.join(dir))?;
    }
    let mut engine = begun
        .state_dir(layout.root())
        .host(host)
        .secrets(Arc::new(LocalSecrets::new(layout.secrets())))
        .store(store)
        .parser(Arc::new(code_nlp::Grammar))
        .scanner(Arc::new(rego))
        .scanner(Arc::new(CostScanner))
        .sink(feed);
    let providers: [Arc<dyn Provider>; 4] = [
        Arc::new(ReleaseProvider::new()),
        Arc::new(ProcessProvider::new()),
        Arc::new(Postgres::default()),
        Arc::new(Sqlite::default()),
    ];
    for provider in providers {
        engine = engine.provider(provider);
    }
    for recipe in code_providers::recipes::local::local() {
        engine = engine.recipe(recipe);
    }
    engine.build()
}
