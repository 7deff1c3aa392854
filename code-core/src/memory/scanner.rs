//! A scanner that says what it is told.

use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use crate::scanner::{Cost, Finding, Report, Scanner, Subject, Verdict};
use crate::{Ctx, Error, Result};

/// Reports the findings that it was told to report, on every subject that it looks at.
#[derive(Debug)]
pub struct MemoryScanner {
    name: String,
    specs: bool,
    plans: bool,
    says: Mutex<Says>,
}

#[derive(Clone, Debug)]
struct Says {
    findings: Vec<Finding>,
    cost: Option<Cost>,
    broken: Option<Error>,
    scans: usize,
}

impl MemoryScanner {
    /// A scanner whose one rule passes on specs and plans.
    pub fn passing(name: &str) -> MemoryScanner {
        let findings = vec![Finding::new(&format!("{name}.rule"), None, Verdict::Pass, "all is well")];
        MemoryScanner {
            name: name.to_owned(),
            specs: true,
            plans: true,
            says: Mutex::new(Says { findings, cost: None, broken: None, scans: 0 }),
        }
    }

    /// It looks at specs only.
    #[must_use]
    pub fn only_specs(mut self) -> MemoryScanner {
        self.plans = false;
        self
    }

    /// It looks at plans only.
    #[must_use]
    pub fn only_plans(mut self) -> MemoryScanner {
        self.specs = false;
        self
    }

    /// From now on it reports these.
    pub fn says(&self, findings: Vec<Finding>) {
        let mut says = lock(&self.says);
        says.findings = findings;
        says.broken = None;
    }

    /// From now on it estimates this cost.
    pub fn costs(&self, cost: Cost) {
        lock(&self.says).cost = Some(cost);
    }

    /// From now on it cannot judge.
    pub fn breaks(&self, error: Error) {
        lock(&self.says).broken = Some(error);
    }

    /// How often it was asked.
    pub fn scans(&self) -> usize {
        lock(&self.says).scans
    }
}

#[async_trait]
impl Scanner for MemoryScanner {
    fn name(&self) -> &str {
        &self.name
    }

    fn looks_at(&self, subject: &Subject<'_>) -> bool {
        match subject {
            Subject::Spec(..) => self.specs,
            Subject::Plan(_) => self.plans,
        }
    }

    async fn scan(&self, _: &Ctx, subject: Subject<'_>) -> Result<Report> {
        let says = {
            let mut says = lock(&self.says);
            says.scans += 1;
            says.clone()
        };
        match says.broken {
            Some(error) => Err(error),
            None => Ok(Report {
                scanner: self.name.clone(),
                subject: subject.digest(),
                findings: says.findings,
                cost: says.cost,
            }),
        }
    }
}
