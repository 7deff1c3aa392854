//! The boundary to judges: they look at a subject and report; the [gate](crate::checks) decides.

use std::fmt;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use crate::spec::{Origins, Spec};
use crate::{Ctx, Digest, Result};

/// Judges subjects.
///
/// # Behavior
/// - Findings are `Ok`; an `Err` means that it could not judge, and counts as an unknown.
/// - What it cannot tell is a finding whose verdict is [`Verdict::Unknown`], never a missing one.
/// - It reports each rule that it judged, the passed ones too: silence is not a pass.
/// - The same subject gives the same findings, with the same ids.
/// - It changes nothing.
#[async_trait]
pub trait Scanner: fmt::Debug + Send + Sync + 'static {
    /// What to call it in reports.
    fn name(&self) -> &str;
    /// Whether it judges this subject.
    fn looks_at(&self, subject: &Subject<'_>) -> bool;
    /// Judges it.
    async fn scan(&self, ctx: &Ctx, subject: Subject<'_>) -> Result<Report>;
}

/// What is judged.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Subject<'a> {
    /// A spec, with where each of its values comes from.
    Spec(&'a Spec, &'a Origins),
    /// A plan, with its way back.
    Plan(&'a Plan),
}

impl Subject<'_> {
    /// The digest of what is judged: a report is bound to it.
    pub fn digest(&self) -> Digest {
        match self {
            Subject::Spec(spec, _) => spec.digest(),
            Subject::Plan(plan) => plan.id,
        }
    }
}

/// What a scanner says of a subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Who says it.
    pub scanner: String,
    /// Of what.
    pub subject: Digest,
    /// What it found, passes included.
    pub findings: Vec<Finding>,
    /// What the subject costs, where the scanner estimates that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

/// What a rule says of a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Short and stable for the same rule and place: what `--accept` takes.
    pub id: String,
    /// The rule: `network.no-public-database`.
    pub rule: String,
    /// Its answer.
    pub verdict: Verdict,
    /// How bad a fail is.
    pub severity: Severity,
    /// A lower-case sentence without a full stop.
    pub message: String,
    /// The place: a JSON pointer into the spec or an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Finding {
    /// A finding of a rule at a place, with the id that follows from the two.
    pub fn new(rule: &str, at: Option<&str>, verdict: Verdict, message: impl Into<String>) -> Finding {
        let id = Digest::of_parts([rule.as_bytes(), at.unwrap_or("").as_bytes()]).short()[..8].to_owned();
        Finding {
            id,
            rule: rule.to_owned(),
            verdict,
            severity: Severity::High,
            message: message.into(),
            at: at.map(str::to_owned),
            help: None,
        }
    }

    /// With what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Finding {
        self.help = Some(help.into());
        self
    }

    /// With how bad a fail is.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Finding {
        self.severity = severity;
        self
    }
}

/// The answer of a rule. There is no fourth: what is not known is not a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The rule holds.
    Pass,
    /// It cannot be told (yet).
    Unknown,
    /// The rule is broken.
    Fail,
}

/// How bad a fail is. Only `High` and `Critical` fails close the gate; lower ones are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is its own name")]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

/// What something costs in a month, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// ISO 4217.
    pub currency: String,
    /// One for each thing that may cost something.
    pub items: Vec<CostItem>,
}

/// What one thing costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CostItem {
    /// A component or an address.
    pub at: String,
    /// In a month; `None`: unknown, which is not 0.
    pub monthly: Option<f64>,
    /// Where the price is from, or why there is none: `own machine`.
    pub why: String,
}

impl Cost {
    /// The sum, where all of it is known.
    pub fn total(&self) -> Option<f64> {
        self.items.iter().map(|item| item.monthly).sum()
    }
}
