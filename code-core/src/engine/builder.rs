//! Puts an engine together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::breaker::BreakerPolicy;
use crate::engine::parts::{Budget, Parts};
use crate::engine::retry::RetryPolicy;
use crate::event::{OnFailure, Sink};
use crate::export::Exporter;
use crate::guard::Guarded;
use crate::{
    Approver, Error, ErrorKind, Host, IntentParser, Provider, Recipe, Redactor, Result, Scanner, Secrets,
    StateStore,
};

/// Collects the parts of an [`Engine`].
#[derive(Debug, Default)]
pub struct EngineBuilder {
    state_dir: Option<PathBuf>,
    host: Option<Arc<dyn Host>>,
    secrets: Option<Arc<dyn Secrets>>,
    store: Option<Arc<dyn StateStore>>,
    parser: Option<Arc<dyn IntentParser>>,
    scanners: Vec<Arc<dyn Scanner>>,
    providers: Vec<Arc<dyn Provider>>,
    recipes: Vec<Arc<dyn Recipe>>,
    sinks: Vec<Arc<dyn Sink>>,
    approver: Option<Arc<dyn Approver>>,
    exporter: Option<Arc<dyn Exporter>>,
    parallel: Option<usize>,
    computing: Option<usize>,
    retry: RetryPolicy,
    breaker: BreakerPolicy,
    on_failure: OnFailure,
}

impl EngineBuilder {
    /// Where everything that belongs to the deployments lies.
    #[must_use]
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> EngineBuilder {
        self.state_dir = Some(dir.into());
        self
    }

    /// The machine.
    #[must_use]
    pub fn host(mut self, host: Arc<dyn Host>) -> EngineBuilder {
        self.host = Some(host);
        self
    }

    /// Where secrets are kept.
    #[must_use]
    pub fn secrets(mut self, secrets: Arc<dyn Secrets>) -> EngineBuilder {
        self.secrets = Some(secrets);
        self
    }

    /// Where events are kept.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn StateStore>) -> EngineBuilder {
        self.store = Some(store);
        self
    }

    /// Who reads requests. Without one, the engine takes specs only.
    #[must_use]
    pub fn parser(mut self, parser: Arc<dyn IntentParser>) -> EngineBuilder {
        self.parser = Some(parser);
        self
    }

    /// One more judge: from then on, no gate opens without its report.
    #[must_use]
    pub fn scanner(mut self, scanner: Arc<dyn Scanner>) -> EngineBuilder {
        self.scanners.push(scanner);
        self
    }

    /// One more provider.
    #[must_use]
    pub fn provider(mut self, provider: Arc<dyn Provider>) -> EngineBuilder {
        self.providers.push(provider);
        self
    }

    /// One more recipe; the first that makes a component makes it.
    #[must_use]
    pub fn recipe(mut self, recipe: Arc<dyn Recipe>) -> EngineBuilder {
        self.recipes.push(recipe);
        self
    }

    /// One more sink.
    #[must_use]
    pub fn sink(mut self, sink: Arc<dyn Sink>) -> EngineBuilder {
        self.sinks.push(sink);
        self
    }

    /// Who keeps what was rolled out. Without one, nothing is exported.
    #[must_use]
    pub fn exporter(mut self, exporter: Arc<dyn Exporter>) -> EngineBuilder {
        self.exporter = Some(exporter);
        self
    }

    /// How many steps may run at once; 16 by default.
    #[must_use]
    pub fn parallel(mut self, steps: usize) -> EngineBuilder {
        self.parallel = Some(steps);
        self
    }

    /// How many of them may compute at once; as many as there are cores by default.
    #[must_use]
    pub fn computing(mut self, steps: usize) -> EngineBuilder {
        self.computing = Some(steps);
        self
    }

    /// How often steps are tried.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> EngineBuilder {
        self.retry = policy;
        self
    }

    /// When a provider that keeps failing is left alone.
    #[must_use]
    pub fn breaker(mut self, policy: BreakerPolicy) -> EngineBuilder {
        self.breaker = policy;
        self
    }

    /// Who is asked for approvals, and at a pause. Without one, a run that pauses is left paused.
    #[must_use]
    pub fn approver(mut self, approver: Arc<dyn Approver>) -> EngineBuilder {
        self.approver = Some(approver);
        self
    }

    /// What happens when a step fails for good. A run keeps the policy that it began under.
    #[must_use]
    pub fn on_failure(mut self, policy: OnFailure) -> EngineBuilder {
        self.on_failure = policy;
        self
    }

    /// The engine.
    ///
    /// # Errors
    /// `engine::incomplete` where the state directory, host, secrets or store is missing, and
    /// `engine::ambiguous` where two providers serve one kind or two parts share a name.
    pub fn build(self) -> Result<Engine> {
        let missing = |what: &str| {
            Error::new(ErrorKind::Invalid, "engine::incomplete", format!("build an engine without {what}"))
                .help("call the builder's method of that name; `memory` and `local` have one of each")
        };
        let mut kinds: BTreeMap<String, Arc<dyn Provider>> = BTreeMap::new();
        let mut names = BTreeSet::new();
        for provider in self.providers {
            let provider: Arc<dyn Provider> = Arc::new(Guarded::new(provider));
            let name = provider.info().name.clone();
            if !names.insert(name.clone()) {
                return Err(ambiguous(format!("have two providers named `{name}`")));
            }
            for kind in provider.capabilities().kinds {
                if kinds.insert(kind.to_owned(), Arc::clone(&provider)).is_some() {
                    return Err(ambiguous(format!("have two providers of the kind `{kind}`")));
                }
            }
        }
        let mut scanners = BTreeSet::new();
        if let Some(twice) = self.scanners.iter().find(|scanner| !scanners.insert(scanner.name().to_owned()))
        {
            return Err(ambiguous(format!("have two scanners named `{}`", twice.name())));
        }
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let cpu = self.computing.unwrap_or_else(cores).max(1);
        Ok(Engine {
            parts: Arc::new(Parts {
                state_dir: self.state_dir.ok_or_else(|| missing("a state directory"))?.into(),
                host: self.host.ok_or_else(|| missing("a host"))?,
                secrets: self.secrets.ok_or_else(|| missing("secrets"))?,
                store: self.store.ok_or_else(|| missing("a store"))?,
                parser: self.parser,
                scanners: self.scanners,
                providers: kinds,
                recipes: self.recipes,
                sinks: self.sinks,
                exporter: self.exporter,
                limits: Budget { total: self.parallel.unwrap_or(16).max(1), cpu },
                approver: self.approver,
                retry: self.retry,
                breaker: self.breaker,
                on_failure: self.on_failure,
                redactor: Redactor::default(),
            }),
        })
    }
}

fn ambiguous(message: String) -> Error {
    Error::new(ErrorKind::Invalid, "engine::ambiguous", message).help("give the engine each of them once")
}
