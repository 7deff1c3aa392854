//! An exporter that keeps what it is given.

use std::fmt;
use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use crate::export::{Commit, Export, Exporter};
use crate::provider::{Health, ProviderInfo};
use crate::{Ctx, Digest, Error, ErrorKind, Result};

/// Keeps every export once, in order.
pub struct MemoryExporter {
    info: ProviderInfo,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    exports: Vec<Export>,
    /// How many calls are still to be refused.
    faults: usize,
    calls: usize,
}

impl Default for MemoryExporter {
    fn default() -> MemoryExporter {
        MemoryExporter::new()
    }
}

impl MemoryExporter {
    /// An exporter that has seen nothing.
    pub fn new() -> MemoryExporter {
        MemoryExporter {
            info: ProviderInfo {
                name: "memory".into(),
                summary: "exports in memory".into(),
                version: env!("CARGO_PKG_VERSION").into(),
            },
            inner: Mutex::default(),
        }
    }

    /// What was exported so far.
    pub fn exports(&self) -> Vec<Export> {
        lock(&self.inner).exports.clone()
    }

    /// How often it was called.
    pub fn calls(&self) -> usize {
        lock(&self.inner).calls
    }

    /// The next `times` exports fail, as where nobody answers.
    pub fn fail(&self, times: usize) {
        lock(&self.inner).faults = times;
    }
}

/// How many exports there are, not which.
impl fmt::Debug for MemoryExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryExporter").field(&lock(&self.inner).exports.len()).finish()
    }
}

#[async_trait]
impl Exporter for MemoryExporter {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    async fn health(&self, _ctx: &Ctx) -> Result<Health> {
        Ok(Health::Ready { version: self.info.version.clone() })
    }

    async fn export(&self, _ctx: &Ctx, export: &Export) -> Result<Commit> {
        let mut inner = lock(&self.inner);
        inner.calls += 1;
        if inner.faults > 0 {
            inner.faults -= 1;
            return Err(Error::new(ErrorKind::Failed, "memory::fault", "export: a fault was asked for")
                .help("try again"));
        }
        let again = |kept: &Export| kept.deployment == export.deployment && kept.plan == export.plan;
        if !inner.exports.iter().any(again) {
            inner.exports.push(export.clone());
        }
        Ok(Commit {
            id: Digest::of_json(export).to_string(),
            place: "memory".into(),
            path: export.deployment.to_string(),
        })
    }
}
