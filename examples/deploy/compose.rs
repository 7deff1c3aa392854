//! The one place where all crates come together: the engine of this binary.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use code_core::engine::EngineBuilder;
use code_core::local::LocalStore;
use code_core::{Engine, Host, Layout, Provider, Result};
use code_nlp::settings::Settings;
use code_providers::git::{GitExporter, Place};
use code_providers::postgres::Postgres;
use code_providers::sqlite::Sqlite;
use code_providers::terraform::{self, Terraform};
use code_providers::{ProcessProvider, ReleaseProvider};
use code_security::{CostScanner, LocalSecrets, RegoScanner};

use crate::cli::Options;
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
    let providers: [Arc<dyn Provider>; 5] = [
        Arc::new(ReleaseProvider::new()),
        Arc::new(ProcessProvider::new()),
        Arc::new(Postgres::default()),
        Arc::new(Sqlite::default()),
        Arc::new(Terraform::new(terraform(project, settings))),
    ];
    for provider in providers {
        engine = engine.provider(provider);
    }
    engine = engine.recipe(code_providers::recipes::terraform());
    #[cfg(feature = "container")]
    {
        engine = engine.provider(Arc::new(code_providers::container::Containers::default()));
        for recipe in code_providers::recipes::docker() {
            engine = engine.recipe(recipe);
        }
    }
    #[cfg(feature = "kubernetes")]
    {
        engine = engine.provider(Arc::new(code_providers::kubernetes::Kubernetes::default()));
        for recipe in code_providers::recipes::kubernetes() {
            engine = engine.recipe(recipe);
        }
    }
    for recipe in code_providers::recipes::local::local() {
        engine = engine.recipe(recipe);
    }
    engine.build()
}

/// How roots are applied, as the settings say; a mirror is relative to the project.
pub fn terraform(project: &Path, settings: &Settings) -> terraform::Settings {
    let said = &settings.terraform;
    let mut roots = terraform::Settings {
        mirror: said.mirror.as_ref().map(|mirror| project.join(mirror)),
        modules: said.modules.clone(),
        hand_on: said.environment.clone(),
        ..terraform::Settings::default()
    };
    if let Some(seconds) = said.lock_timeout_seconds {
        roots.lock_timeout = Duration::from_secs(seconds.into());
    }
    roots
}

/// Where revisions are committed: as the option says, else the settings, else to a repository of each
/// deployment's own. An option is relative to `here`, a setting to the project.
///
/// # Errors
/// `git::place`, `git::password`; of the option also `git::missing`, `git::no-repository` and
/// `git::inside-project`.
pub fn git(
    options: &Options,
    settings: &Settings,
    project: &Path,
    here: &Path,
    host: &dyn Host,
) -> Result<GitExporter> {
    let exporter = own_git(project);
    if options.git.is_some() || options.from_git.is_some() {
        code_providers::git::find(host)?;
    }
    if let Some(named) = &options.git {
        let place = Place::of(named, here)?;
        place.check(project, None)?;
        return Ok(exporter.to(place));
    }
    let mut exporter = match &settings.git {
        Some(named) => exporter.to(Place::of(named, project)?),
        None => exporter,
    };
    for (name, environment) in &settings.environments {
        if let Some(named) = &environment.git {
            exporter = exporter.to_for(name, Place::of(named, project)?);
        }
    }
    Ok(exporter)
}

/// Commits to a repository of each deployment's own.
pub fn own_git(project: &Path) -> GitExporter {
    GitExporter::new().apart_from(project)
}
