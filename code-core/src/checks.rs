//! The gate: pure, and closed unless every scanner that had to look said pass.

use std::collections::BTreeSet;
use std::ops::Deref;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use crate::scanner::{Finding, Report, Severity, Subject, Verdict};
use crate::spec::{Origins, Spec};
use crate::{Digest, Error, ErrorKind};

/// Something that passed the gate.
///
/// Only [`gate_spec`] and [`gate_plan`] make one, and it is never serialised: what comes from a file passes
/// the gate again. An unchecked spec cannot be planned and an unchecked plan cannot run, because the types
/// do not fit.
#[derive(Clone, Debug)]
pub struct Checked<T>(T);

impl<T> Deref for Checked<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Checked<T> {
    /// What passed, to keep; it is unchecked from here on.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// How the gate decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Whether an unknown is a denial even where it was accepted.
    pub protected: bool,
    /// The ids of unknown findings that a person accepted.
    pub accepted: BTreeSet<String>,
    /// The scanners that must have reported.
    pub required: BTreeSet<String>,
}

/// Why the gate stayed closed.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The findings that keep it closed: fails first, then unknowns that nobody accepted.
    pub findings: Vec<Finding>,
    /// Whether accepting the unknowns would open it.
    pub acceptable: bool,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        let count = refusal.findings.len();
        let first = refusal.findings.first();
        let message = format!(
            "pass the gate: {}{}",
            first.map_or("no scanner reported", |finding| finding.message.as_str()),
            if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() }
        );
        if refusal.acceptable {
            let flags: Vec<_> = refusal.findings.iter().map(|f| format!("--accept {}", f.id)).collect();
            return Error::new(ErrorKind::NeedsAnswer, "gate::unknown", message)
                .help(format!("if you know that it is right, accept it: {}", flags.join(" ")));
        }
        let help = first.and_then(|finding| finding.help.clone());
        let mut error = Error::new(ErrorKind::Refused, "gate::refused", message)
            .help(help.unwrap_or_else(|| "change what the finding names, and plan again".to_owned()));
        for finding in &refusal.findings {
            let at = finding.at.as_deref().unwrap_or("everywhere");
            error = error
                .with("finding", format!("{} {} at {at}: {}", finding.id, finding.rule, finding.message));
        }
        error
    }
}

/// Lets a spec through, or says why not.
///
/// # Errors
/// The findings that keep the gate closed.
pub fn gate_spec(
    spec: Spec,
    origins: &Origins,
    reports: &[Report],
    policy: &Policy,
) -> Result<Checked<Spec>, Refusal> {
    decide(Subject::Spec(&spec, origins).digest(), reports, policy).map(|()| Checked(spec))
}

/// Lets a plan through, or says why not.
///
/// # Errors
/// The findings that keep the gate closed.
pub fn gate_plan(plan: Plan, reports: &[Report], policy: &Policy) -> Result<Checked<Plan>, Refusal> {
    decide(plan.id, reports, policy).map(|()| Checked(plan))
}

/// A plan that passed the gate before its run began, as the verified journal says.
pub(crate) fn trusted_plan(plan: Plan) -> Checked<Plan> {
    Checked(plan)
}

/// The decision itself: every required scanner reported on this very subject, nothing failed, and each
/// unknown was accepted by its id where that is allowed.
fn decide(subject: Digest, reports: &[Report], policy: &Policy) -> Result<(), Refusal> {
    let mut fails = Vec::new();
    let mut unknowns = Vec::new();
    for scanner in &policy.required {
        if !reports.iter().any(|report| report.scanner == *scanner && report.subject == subject) {
            let message = format!("there is no report of `{scanner}` on this");
            fails.push(
                Finding::new("gate.report-missing", Some(scanner), Verdict::Fail, message)
                    .help("run the scanner, or take it out of the engine"),
            );
        }
    }
    for report in reports {
        if report.subject != subject {
            let message = format!("the report of `{}` is on something else", report.scanner);
            fails.push(
                Finding::new("gate.report-mismatch", Some(&report.scanner), Verdict::Fail, message)
                    .help("plan again: what was judged has changed since"),
            );
            continue;
        }
        for finding in &report.findings {
            match finding.verdict {
                Verdict::Pass => {}
                Verdict::Fail if finding.severity >= Severity::High => fails.push(finding.clone()),
                Verdict::Fail => {}
                Verdict::Unknown if !policy.protected && policy.accepted.contains(&finding.id) => {}
                Verdict::Unknown => unknowns.push(finding.clone()),
            }
        }
    }
    if fails.is_empty() && unknowns.is_empty() {
        return Ok(());
    }
    let acceptable = fails.is_empty() && !policy.protected;
    fails.extend(unknowns);
    Err(Refusal { findings: fails, acceptable })
}

/// Whether a run may begin: who said so, of which plan, until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Approval {
    /// The plan, by its id: an approval of another plan is none.
    pub plan: Digest,
    /// Who approved: the user's name on the machine.
    pub by: String,
    /// When.
    pub at: jiff::Timestamp,
    /// How: at the prompt, with an option, or by another person's `approve`.
    pub how: How,
}

/// How an approval was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// By an answer at the prompt.
    Prompt,
    /// By an option of the command (`--yes`) or a saved plan that was applied by name.
    Option,
    /// By another person, before.
    Person,
    /// By the program that embeds the engine.
    Program,
}

/// How long an approval holds, in hours.
pub const APPROVAL_HOURS: i64 = 24;

impl Approval {
    /// Checks that it is for this plan, not too old, and by another person where the environment is
    /// protected.
    ///
    /// # Errors
    /// `approval::other-plan`, `approval::expired`, `approval::same-person`.
    pub fn check(&self, plan: &Plan, requester: &str, now: jiff::Timestamp) -> crate::Result<()> {
        let needs = |code, message: &str, help: String| {
            Err(Error::new(ErrorKind::NeedsAnswer, code, message)
                .help(help)
                .with("plan", plan.id.to_string())
                .with("approved_by", &*self.by))
        };
        if self.plan != plan.id {
            return needs(
                "approval::other-plan",
                "use an approval of another plan",
                "have this plan approved: any change of a plan makes another one".into(),
            );
        }
        let age = now.duration_since(self.at).as_hours();
        if !(0..APPROVAL_HOURS).contains(&age) {
            let message = match age {
                0.. => "use an approval that is out of date",
                _ => "use an approval of a time that has not come: the clock was set back",
            };
            return needs(
                "approval::expired",
                message,
                format!("have the plan approved again: an approval holds for {APPROVAL_HOURS} hours"),
            );
        }
        if plan.protected && (self.by == requester || self.how != How::Person) {
            return needs(
                "approval::same-person",
                "begin in a protected environment without the approval of another person",
                "save the plan with `--out FILE`, and have another user of this machine run `approve FILE`"
                    .into(),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdict: Verdict, severity: Severity) -> Report {
        let finding = Finding::new("a.rule", Some("/x"), verdict, "says so").severity(severity);
        Report { scanner: "s".into(), subject: Digest::of(b"subject"), findings: vec![finding], cost: None }
    }

    fn check(reports: &[Report], change: impl FnOnce(&mut Policy), open: bool, acceptable: bool) {
        let mut policy = Policy { required: ["s".to_owned()].into(), ..Policy::default() };
        change(&mut policy);
        let decision = decide(Digest::of(b"subject"), reports, &policy);
        assert_eq!(decision.is_ok(), open, "{decision:?}");
        if let Err(refusal) = decision {
            assert_eq!(refusal.acceptable, acceptable);
            assert!(!refusal.findings.is_empty());
        }
    }

    #[test]
    fn the_gate_fails_closed() {
        use Severity::{High, Low};
        use Verdict::{Fail, Pass, Unknown};
        let id = Finding::new("a.rule", Some("/x"), Pass, "").id;
        check(&[report(Pass, High)], |_| {}, true, false);
        check(&[report(Fail, High)], |_| {}, false, false);
        check(&[report(Fail, Low)], |_| {}, true, false);
        check(&[report(Unknown, Low)], |_| {}, false, true);
        check(&[report(Unknown, High)], |p| p.accepted = [id.clone()].into(), true, false);
        check(
            &[report(Unknown, High)],
            |p| {
                p.accepted.insert(id.clone());
                p.protected = true;
            },
            false,
            false,
        );
        check(&[report(Fail, High)], |p| p.accepted = [id.clone()].into(), false, false);
        check(&[], |_| {}, false, false);
        let mut other = report(Pass, High);
        other.subject = Digest::of(b"another");
        check(&[other], |_| {}, false, false);
    }
}
