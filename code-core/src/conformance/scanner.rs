//! The rules of [`Scanner`].
//!
//! ```text
//! Sample: specs, one that must fail ──▶ each spec, and its plan on the memory provider ──▶ scan ──▶ Report
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::suite::{Judged, Objection, Rule, Suite, holds, rules, speaks_badly};
use crate::engine::{Planned, Proposal};
use crate::intent::Kind;
use crate::memory::{MemoryHost, MemoryProvider, MemoryRecipe, MemorySecrets, MemoryStore, World, ctx};
use crate::scanner::{Finding, Report, Subject, Verdict};
use crate::spec::{Component, Origins, Spec};
use crate::{Ctx, Engine, Host, Result, Scanner};

/// How many components a large spec has.
const LARGE: usize = 200;
/// Words that would mean something to a shell, a template, a policy or a terminal.
const HOSTILE: [&str; 7] = [
    "$(rm -rf /)",
    "{{ x }}",
    "\"; DROP TABLE x; --",
    "\u{1b}[2J",
    "../../etc/passwd",
    "\u{202e}abc",
    "null",
];

type Fresh<S> = Arc<dyn Fn() -> Arc<S> + Send + Sync>;

/// What the suite has to know of a scanner.
pub struct Sample<S> {
    good: Spec,
    bad: Option<Spec>,
    broken: Option<Fresh<S>>,
    patience: Duration,
}

impl<S: Scanner> Sample<S> {
    /// A scanner to which a web app with a database is fine.
    pub fn new() -> Sample<S> {
        let web = Component { depends_on: vec!["db".to_owned()], ..Component::new("web", Kind::Web) };
        let db = Component::new("db", Kind::Database);
        Sample::of(Spec { components: vec![web, db], ..Spec::new("shop", "staging") })
    }

    /// A scanner to which this spec is fine.
    pub fn of(good: Spec) -> Sample<S> {
        Sample { good, bad: None, broken: None, patience: Duration::from_secs(60) }
    }

    /// A spec that it must not let pass.
    #[must_use]
    pub fn bad(mut self, spec: Spec) -> Sample<S> {
        self.bad = Some(spec);
        self
    }

    /// The same scanner where its tool is missing or does not answer.
    #[must_use]
    pub fn broken(mut self, fresh: impl Fn() -> Arc<S> + Send + Sync + 'static) -> Sample<S> {
        self.broken = Some(Arc::new(fresh));
        self
    }

    /// How long a rule may take before it counts as broken; a minute by default.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Sample<S> {
        self.patience = patience;
        self
    }
}

impl<S: Scanner> Default for Sample<S> {
    fn default() -> Sample<S> {
        Sample::new()
    }
}

impl<S> Clone for Sample<S> {
    fn clone(&self) -> Sample<S> {
        let (good, bad) = (self.good.clone(), self.bad.clone());
        Sample { good, bad, broken: self.broken.clone(), patience: self.patience }
    }
}

impl<S> fmt::Debug for Sample<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sample").field("good", &self.good).finish_non_exhaustive()
    }
}

/// The rules of a scanner, each held against a fresh one.
pub fn scanner<S: Scanner>(fresh: impl Fn() -> Arc<S> + Send + Sync + 'static, sample: &Sample<S>) -> Suite {
    let (sample, patience) = (sample.clone(), sample.patience);
    let bench = move || {
        let host = Arc::new(MemoryHost::new());
        Ok(Arc::new(Bench { scanner: fresh(), sample: sample.clone(), ctx: ctx(&host), host }))
    };
    Suite::new(all(), bench, |_| Box::pin(async {}), patience)
}

fn all<S: Scanner>() -> Vec<Rule<Arc<Bench<S>>>> {
    rules![
        name as "its_name_never_changes",
        looks as "it_judges_what_it_looks_at",
        bound as "a_report_is_of_its_subject",
        same as "the_same_subject_gets_the_same_findings",
        own_id as "each_finding_has_an_id_of_its_own",
        stable_id as "an_id_stays_when_something_else_changes",
        sentence as "a_finding_is_a_sentence",
        help as "every_objection_says_what_to_do",
        place as "a_place_is_in_the_spec",
        fails as "what_must_not_be_is_failed",
        silence as "silence_is_not_a_pass",
        changes_nothing as "judging_changes_nothing",
        large as "a_large_spec_is_judged_in_time",
        hostile as "hostile_words_are_judged",
        no_pass as "without_its_tool_it_does_not_pass",
        broken_help as "what_keeps_it_from_judging_is_told_with_help",
    ]
}

struct Bench<S> {
    scanner: Arc<S>,
    sample: Sample<S>,
    ctx: Ctx,
    host: Arc<MemoryHost>,
}

impl<S: Scanner> Bench<S> {
    /// What it says of a spec and of the plan for it, as far as it looks at them.
    async fn reports(&self, spec: &Spec) -> Result<Vec<Report>, Objection> {
        let planned = planned(spec).await?;
        self.reports_of(spec, &planned).await
    }

    async fn reports_of(&self, spec: &Spec, planned: &Planned) -> Result<Vec<Report>, Objection> {
        let origins = Origins::new();
        let mut reports = Vec::new();
        for subject in [Subject::Spec(spec, &origins), Subject::Plan(&planned.plan)] {
            if self.scanner.looks_at(&subject) {
                reports.push(self.scanner.scan(&self.ctx, subject).await?);
            }
        }
        Ok(reports)
    }

    async fn findings(&self, spec: &Spec) -> Result<Vec<Finding>, Objection> {
        Ok(self.reports(spec).await?.into_iter().flat_map(|report| report.findings).collect())
    }

    fn bad(&self) -> Result<&Spec, Objection> {
        let none = || Objection::NotClaimed("the sample has no `bad` spec".to_owned());
        self.sample.bad.as_ref().ok_or_else(none)
    }

    /// Findings of everything that the sample has, good and bad.
    async fn all(&self) -> Result<Vec<Finding>, Objection> {
        let mut all = self.findings(&self.sample.good).await?;
        if let Some(bad) = &self.sample.bad {
            all.extend(self.findings(bad).await?);
        }
        Ok(all)
    }

    /// What a scanner that cannot judge says of the good spec.
    async fn broken(&self) -> Result<Result<Report>, Objection> {
        let Some(broken) = &self.sample.broken else {
            return Err(Objection::NotClaimed("the sample has no `broken` scanner".to_owned()));
        };
        let origins = Origins::new();
        Ok(broken().scan(&self.ctx, Subject::Spec(&self.sample.good, &origins)).await)
    }
}

/// The plan for a spec on the memory provider.
async fn planned(spec: &Spec) -> Result<Planned> {
    let host: Arc<dyn Host> = Arc::new(MemoryHost::new());
    let engine = Engine::builder()
        .state_dir("/nonexistent/state")
        .host(host)
        .secrets(Arc::new(MemorySecrets::new()))
        .store(Arc::new(MemoryStore::new()))
        .provider(Arc::new(MemoryProvider::new(World::new())))
        .recipe(Arc::new(MemoryRecipe))
        .build()?;
    engine.plan(&Proposal::of(spec.clone(), Origins::new())?, &BTreeSet::new()).await
}

async fn name<S: Scanner>(bench: Arc<Bench<S>>) -> Judged {
    let before = bench.scanner.name().to_owned();
    let _ = bench.reports(&bench.sample.good).await;
    let after = bench.scanner.name();
    holds!(before == after && !before.is_empty(), "it was `{before}` and is `{after}`");
    Ok(())
}

/// It looks at something, and has something to say of it.
async fn looks<S: Scanner>(bench: Arc<Bench<S>>) -> Judged {
    let reports = bench.reports(&bench.sample.good).await?;
    holds!(!reports.is_empty(), "it looks at neither specs nor plans");
    for report in reports {
        let empty = report.findings.is_empty() && report.cost.is_none();
        holds!(!empty, "it says nothing of what it looked at: {report:?}");
    }
    Ok(())
}

async fn bound<S: Scanner>(bench: Arc<Bench<S>>) -> Judged {
    let spec = &bench.sample.good;
    let planned = planned(spec).await?;
    let subjects = [spec.digest(), planned.plan.id];
    for report in bench.reports_of(spec, &planned).await? {
        holds!(subjects.contains(&report.subject), "its report is of {}", report.subject);
        let name = bench.scanner.name();
        holds!(report.scanner == name, "the report of `{name}` is signed by `{}`", report.scanner);
    }
    Ok(())
}

async fn same<S: Scanner>(bench: Arc<Bench<S>>) -> Judged {
    let first = bench.reports(&bench.sample.good).await?;
    let second = bench.reports(&bench.sample.good).await?;
    holds!(first == second, "it said {first:?} and then {second:?}");
    Ok(())
}

async fn own_id<S: Scanner>(bench: Arc<Bench<S>>) -> Judged {
    for spec in [Some(&bench.sample.good), bench.sample.bad.as_ref()].into_iter().flatten() {
        for report in bench.reports(spec).await? {
            let mut seen = BTreeMap::new();
            for finding in report.findings {
                let empty = finding.id.trim().is_empty() || finding.rule.trim().is_empty();
                holds!(!empty, "a finding has no id or no rule: {finding:?}");
                let other = seen.insert(finding.id.clone(), finding.message.clone());
                holds!(
                    other.is_none(),
                    "`{}` is the id of two: {other:?} and {}",
                    finding.id,
                    finding.message
                );
            }
        }
    }
    Ok(())
}

/// What was accepted by its id stays accepted when something else is added.
async fn stable_id<S: Scanner>(bench: Arc<Bench<S>>) -> Judged {
    let mut more = bench.sample.good.clone();
    more.components.push(Component::new("another", Kind::Worker));
    let ids = |findings: Vec<Finding>| -> BTreeMap<_, _> {
        findings.into_iter().map(|finding| ((finding.rule, finding.at), finding.id)).collect()
    };
    let before = ids(bench.findings(&bench.sample.good).await?);
    let after = ids(bench.findings(&more).await?);
    for (place, id) in before {
        let now = after.get(&place);
        holds!(now.is_none_or(|now| *now == id), "{place:?} was `{id}` and is {now:?}");
    }
    Ok(())
}

async fn sentence<S: Scanner>(bench: Arc<Bench<S>>) -> Judged {
    for finding in bench.all().await? {
        let message = &finding.message;
        let good = !message.trim().is_empty() && !message.ends_with('.');
        holds!(good, "`{message}` is no sentence without a full stop");
    }
    Ok(())
}

async fn help<S: Scanner>(bench: Arc<Bench<S>>) -> Judged {
    for finding in bench.all().await?.into_iter().filter(|finding| finding.verdict != Verdict::Pass) {
        let helps = finding.help.as_ref().is_some_and(|help| !help.trim().is_empty());
        holds!(helps, "it does not say what to do: {finding:?}");
    }
    Ok(())
}

/// A place that is a JSON pointer begins with a field that specs have, and counts what is there.
async fn place<S: Scanner>(bench: Arc<Bench<S>>) -> Judged {
    let fields = serde_json::to_value(schemars::schema_for!(Spec)).unwrap_or_default();
    for spec in [Some(&bench.sample.good), bench.sample.bad.as_ref()].into_iter().flatten() {
        let json = serde_json::to_value(spec).unwrap_or_default();
        let origins = Origins::new();
        let subject = Subject::Spec(spec, &origins);
        if !bench.scanner.looks_at(&subject) {
            continue;
        }
        for finding in bench.scanner.scan(&bench.ctx, subject).await?.findings {
            let mut parts = finding.at.as_deref().unwrap_or_default().split('/');
            let (Some(""), Some(field)) = (parts.next(), parts.next()) else { continue };
            let nth = parts.next().filter(|part| part.parse::<usize>().is_ok());
            let counted = nth.is_none_or(|nth| json.pointer(&format!("/{field}/{nth}")).is_some());
            let known = field.is_empty() || fields.pointer(&format!("/properties/{field}")).is_some();
            holds!(known && counted, "{:?} is not in the spec", finding.at);
        }
    }
    Ok(())
}

/// A finding is an answer, not an error.
async fn fails<S: Scanner>(bench: Arc<Bench<S>>) -> Judged {
    let bad = bench.bad()?;
    let planned = planned(bad).await?;
    let reports = match bench.reports_of(bad, &planned).await {
        Err(Objection::NotJudged(why)) => return Err(Objection::Broken(format!("it gave an error: {why}"))),
        reports => reports?,
    };
    let failed = reports.iter().flat_map(|report| &report.findings).any(|f| f.verdict == Verdict::Fail);
    holds!(failed, "it does not fail the bad spec: {reports:?}");
    Ok(())
}

/// The rules that fail the bad spec are reported of the good one, too.
async fn silence<S: Scanner>(bench: Arc<Bench<S>>) -> Judged {
    let failing = bench.findings(bench.bad()?).await?;
    let failing: BTreeSet<String> =
        failing.into_iter().filter(|f| f.verdict == Verdict::Fail).map(|f| f.rule).collect();
    let told: BTreeSet<String> =
        bench.findings(&bench.sample.good).await?.into_iter().map(|f| f.rule).collect();
    let silent: Vec<_> = failing.difference(&told).collect();
    holds!(silent.is_empty(), "of the good spec it says nothing of {silent:?}");
    Ok(())
}

async fn changes_nothing<S: Scanner>(bench: Arc<Bench<S>>) -> Judged {
    bench.all().await?;
    let written: Vec<_> = bench.host.files().into_keys().collect();
    holds!(written.is_empty(), "it wrote {written:?}");
    Ok(())
}

async fn large<S: Scanner>(bench: Arc<Bench<S>>) -> Judged {
    let mut large = bench.sample.good.clone();
    large.components.extend((0..LARGE).map(|n| Component::new(&format!("worker-{n}"), Kind::Worker)));
    let origins = Origins::new();
    let subject = Subject::Spec(&large, &origins);
    if bench.scanner.looks_at(&subject) {
        let judged = bench.scanner.scan(&bench.ctx, subject).await;
        let badly = judged.as_ref().err().and_then(speaks_badly);
        holds!(badly.is_none(), "{}", badly.unwrap_or_default());
    }
    Ok(())
}

async fn hostile<S: Scanner>(bench: Arc<Bench<S>>) -> Judged {
    let mut hostile = bench.sample.good.clone();
    for component in &mut hostile.components {
        for (i, words) in HOSTILE.iter().enumerate() {
            component.env.insert(format!("WORDS_{i}"), (*words).to_owned());
        }
    }
    let rules = |reports: Vec<Report>| -> BTreeSet<String> {
        reports.into_iter().flat_map(|report| report.findings).map(|finding| finding.rule).collect()
    };
    let good = rules(bench.reports(&bench.sample.good).await?);
    let planned = planned(&hostile).await?;
    let judged = match bench.reports_of(&hostile, &planned).await {
        Err(Objection::NotJudged(why)) => return Err(Objection::Broken(why)),
        judged => rules(judged?),
    };
    let silent: Vec<_> = good.difference(&judged).collect();
    holds!(silent.is_empty(), "of hostile words it says nothing of {silent:?}");
    Ok(())
}

async fn no_pass<S: Scanner>(bench: Arc<Bench<S>>) -> Judged {
    let said = bench.broken().await?;
    let passes = said.as_ref().is_ok_and(|r| r.findings.iter().all(|f| f.verdict == Verdict::Pass));
    holds!(!passes, "without its tool it says {said:?}");
    Ok(())
}

async fn broken_help<S: Scanner>(bench: Arc<Bench<S>>) -> Judged {
    let badly = bench.broken().await?.err().as_ref().and_then(speaks_badly);
    holds!(badly.is_none(), "{}", badly.unwrap_or_default());
    Ok(())
}
