//! What an engine is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use crate::checks::Policy;
use crate::engine::breaker::BreakerPolicy;
use crate::engine::retry::RetryPolicy;
use crate::event::{Event, OnFailure, Sink};
use crate::export::Exporter;
use crate::guard;
use crate::provider::ReadOnly;
use crate::scanner::{Finding, Report, Severity, Subject, Verdict};
use crate::{
    Approver, Ctx, Deployment, Error, ErrorKind, Host, IntentParser, Provider, Recipe, Redactor, Result,
    Scanner, Secrets, StateStore,
};

#[derive(Debug)]
pub(super) struct Parts {
    pub(super) state_dir: Arc<Path>,
    pub(super) host: Arc<dyn Host>,
    pub(super) secrets: Arc<dyn Secrets>,
    pub(super) store: Arc<dyn StateStore>,
    pub(super) parser: Option<Arc<dyn IntentParser>>,
    pub(super) scanners: Vec<Arc<dyn Scanner>>,
    /// By the kinds that they serve.
    pub(super) providers: BTreeMap<String, Arc<dyn Provider>>,
    pub(super) recipes: Vec<Arc<dyn Recipe>>,
    pub(super) sinks: Vec<Arc<dyn Sink>>,
    pub(super) exporter: Option<Arc<dyn Exporter>>,
    pub(super) limits: Budget,
    pub(super) approver: Option<Arc<dyn Approver>>,
    pub(super) retry: RetryPolicy,
    pub(super) breaker: BreakerPolicy,
    pub(super) on_failure: OnFailure,
    /// One for the engine: what was lent in one call may turn up in another.
    pub(super) redactor: Redactor,
}

/// How many steps may run at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    pub(super) total: usize,
    pub(super) cpu: usize,
}

impl Parts {
    pub(super) fn ctx(&self) -> Ctx {
        Ctx::new(Arc::clone(&self.host), Arc::clone(&self.secrets), &*self.state_dir)
            .with_redactor(self.redactor.clone())
    }

    pub(super) fn provider(&self, kind: &str) -> Result<Arc<dyn Provider>> {
        self.providers.get(kind).cloned().ok_or_else(|| {
            Error::new(ErrorKind::Missing, "plan::no-provider", format!("find a provider for `{kind}`"))
                .help("add the provider of this kind to the engine")
        })
    }

    pub(super) fn read_only(&self) -> BTreeMap<String, ReadOnly> {
        self.providers.iter().map(|(kind, p)| (kind.clone(), ReadOnly::new(Arc::clone(p)))).collect()
    }

    /// Each provider once.
    pub(super) fn all_providers(&self) -> Vec<Arc<dyn Provider>> {
        let mut names = BTreeSet::new();
        self.providers.values().filter(|p| names.insert(p.info().name.clone())).cloned().collect()
    }

    /// Who holds a lease: the user and the process.
    pub(super) fn holder(&self) -> String {
        format!("{} (process {})", self.host.user(), std::process::id())
    }

    /// What every scanner that looks at this says; one that could not judge is an unknown.
    pub(super) async fn scan(&self, ctx: &Ctx, subject: Subject<'_>) -> Vec<Report> {
        let mut reports = Vec::new();
        for scanner in self.scanners.iter().filter(|scanner| scanner.looks_at(&subject)) {
            reports.push(match guard::judged(ctx, &**scanner, subject).await {
                Ok(report) => report,
                Err(error) => {
                    let message = format!("`{}` could not judge: {error}", scanner.name());
                    let help = error.help_text().unwrap_or("mend the scanner, and plan again").to_owned();
                    let rule = format!("{}.could-not-judge", scanner.name());
                    let finding = Finding::new(&rule, None, Verdict::Unknown, message)
                        .severity(Severity::High)
                        .help(help);
                    Report {
                        scanner: scanner.name().to_owned(),
                        subject: subject.digest(),
                        findings: vec![finding],
                        cost: None,
                    }
                }
            });
        }
        reports
    }

    /// The policy with the scanners that must have reported on this.
    pub(super) fn policy(&self, base: &Policy, subject: Subject<'_>) -> Policy {
        let looking = self.scanners.iter().filter(|scanner| scanner.looks_at(&subject));
        Policy { required: looking.map(|scanner| scanner.name().to_owned()).collect(), ..base.clone() }
    }

    /// Offers an event to every sink; one that panics takes nothing from the others.
    pub(super) fn offer(&self, deployment: &Deployment, event: &Event) {
        for sink in &self.sinks {
            if std::panic::catch_unwind(AssertUnwindSafe(|| sink.offer_of(deployment, event))).is_err() {
                tracing::warn!(?sink, "a sink panicked");
            }
        }
    }
}
