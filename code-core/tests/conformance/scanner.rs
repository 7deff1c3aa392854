//! The liars of the scanner's contract: a scanner of two rules, and one lie.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use code_core::conformance::scanner::Sample;
use code_core::conformance::{self, Suite};
use code_core::intent::Kind;
use code_core::scanner::{Finding, Report, Scanner, Subject, Verdict};
use code_core::spec::{Component, Spec};
use code_core::{Ctx, Digest, Error, ErrorKind, Result};

pub(crate) fn honest() -> Suite {
    suite("")
}

/// The suite over a scanner that breaks this rule.
pub(crate) fn liar(rule: &'static str) -> Suite {
    suite(rule)
}

fn suite(lie: &'static str) -> Suite {
    let mut crowd = Component::new("web", Kind::Web);
    (crowd.replicas.min, crowd.replicas.max) = (60, 60);
    let of = move |broken| Liar { lie, broken, count: AtomicUsize::new(0) };
    let sample = Sample::new()
        .bad(Spec { components: vec![crowd], ..Spec::new("shop", "staging") })
        .broken(move || Arc::new(of(true)))
        .patience(Duration::from_secs(3));
    conformance::scanner(move || Arc::new(of(false)), &sample)
}

#[derive(Debug)]
struct Liar {
    lie: &'static str,
    broken: bool,
    count: AtomicUsize,
}

impl Liar {
    fn lies(&self, rule: &str) -> bool {
        self.lie == rule
    }

    /// What an honest scanner finds: its name is one that people can say, and no component is a crowd.
    fn findings(spec: &Spec) -> Vec<Finding> {
        let mut all = vec![Finding::new("test.name", Some("/application"), Verdict::Pass, "it has a name")];
        for (i, component) in spec.components.iter().enumerate() {
            let at = format!("/components/{i}/replicas");
            all.push(match component.replicas.min {
                0..=50 => Finding::new("test.crowd", Some(&at), Verdict::Pass, "it is no crowd"),
                _ => Finding::new("test.crowd", Some(&at), Verdict::Fail, "it is a crowd")
                    .help("run at most 50 of it"),
            });
        }
        all
    }
}

#[async_trait]
impl Scanner for Liar {
    fn name(&self) -> &str {
        let moody = self.lies("its_name_never_changes");
        if moody && self.count.fetch_add(1, Ordering::Relaxed) > 0 { "another" } else { "test" }
    }

    fn looks_at(&self, subject: &Subject<'_>) -> bool {
        matches!(subject, Subject::Spec(..)) || self.lies("it_judges_what_it_looks_at")
    }

    async fn scan(&self, ctx: &Ctx, subject: Subject<'_>) -> Result<Report> {
        let report =
            |findings| Report { scanner: "test".to_owned(), subject: subject.digest(), findings, cost: None };
        let Subject::Spec(spec, _) = subject else { return Ok(report(Vec::new())) };
        if self.broken {
            if self.lies("without_its_tool_it_does_not_pass") {
                return Ok(report(Liar::findings(spec)));
            }
            let error = Error::new(ErrorKind::Missing, "test::tool", "find its tool");
            let helps = !self.lies("what_keeps_it_from_judging_is_told_with_help");
            return Err(if helps { error.help("install it") } else { error });
        }
        let mut findings = Liar::findings(spec);
        let bad = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
        match self.lie {
            "a_report_is_of_its_subject" => return Ok(Report { subject: Digest::ZERO, ..report(findings) }),
            "the_same_subject_gets_the_same_findings" => {
                findings[0].message = format!("seen {}", self.count.fetch_add(1, Ordering::Relaxed));
            }
            "each_finding_has_an_id_of_its_own" => {
                for finding in &mut findings {
                    finding.id = "one".to_owned();
                }
            }
            "an_id_stays_when_something_else_changes" => {
                let parts = spec.components.len();
                for finding in &mut findings {
                    finding.id = format!("{}-{parts}", finding.id);
                }
            }
            "a_finding_is_a_sentence" => findings[0].message.push('.'),
            "every_objection_says_what_to_do" => findings.iter_mut().for_each(|finding| finding.help = None),
            "a_place_is_in_the_spec" => findings[0].at = Some("/nowhere/at/all".to_owned()),
            "what_must_not_be_is_failed" if bad => {
                return Err(Error::new(ErrorKind::Invalid, "test::bad", "like it").help("change it"));
            }
            "silence_is_not_a_pass" if !bad => findings.truncate(1),
            "judging_changes_nothing" => ctx.host().write("/note".as_ref(), b"seen", 0o644).await?,
            "a_large_spec_is_judged_in_time" if spec.components.len() > 100 => {
                std::future::pending::<()>().await;
            }
            "hostile_words_are_judged" => {
                let template = |component: &Component| component.env.values().any(|v| v.contains("{{"));
                if spec.components.iter().any(template) {
                    return Err(Error::new(ErrorKind::Invalid, "test::template", "read it").help("do not"));
                }
            }
            _ => {}
        }
        Ok(report(findings))
    }
}
