//! What the scanners report to an engine: whole reports, bound to what they judged.

#![cfg(test)]

use std::collections::BTreeSet;
use std::sync::Arc;

use code_core::engine::Proposal;
use code_core::intent::{Kind, Platform};
use code_core::memory::{MemoryHost, MemoryProvider, MemoryRecipe, MemorySecrets, MemoryStore, World, ctx};
use code_core::scanner::{Report, Subject, Verdict};
use code_core::spec::{Component, Origins, Spec};
use code_core::{Engine, Scanner};
use code_security::{CostScanner, RegoScanner};

fn spec(change: impl FnOnce(&mut Spec)) -> Spec {
    let mut web = Component::new("web", Kind::Web);
    web.depends_on = vec!["db".into()];
    let mut spec =
        Spec { components: vec![web, Component::new("db", Kind::Database)], ..Spec::new("shop", "staging") };
    change(&mut spec);
    spec
}

/// A report as a reader of the snapshot wants it.
fn shown(report: &Report) -> String {
    let mut lines = vec![format!("{} of {} findings", report.scanner, report.findings.len())];
    for f in &report.findings {
        let verdict = format!("{:?}", f.verdict).to_lowercase();
        let at = f.at.as_deref().unwrap_or("-");
        lines.push(format!("{verdict:<7} {} {} {at}: {}", f.id, f.rule, f.message));
        lines.extend(f.help.iter().map(|help| format!("        help: {help}")));
    }
    for item in report.cost.iter().flat_map(|cost| &cost.items) {
        lines.push(format!("cost    {}: {:?} {}", item.at, item.monthly, item.why));
    }
    lines.join("\n")
}

async fn scan(scanner: &dyn Scanner, spec: &Spec) -> Report {
    let origins = Origins::new();
    let subject = Subject::Spec(spec, &origins);
    assert!(scanner.looks_at(&subject));
    let ctx = ctx(&Arc::new(MemoryHost::new()));
    let report = scanner.scan(&ctx, subject).await.unwrap();
    let again = scanner.scan(&ctx, subject).await.unwrap();
    assert_eq!(report, again, "the same subject gives the same findings");
    assert_eq!(report.subject, spec.digest());
    assert_eq!(report.scanner, scanner.name());
    report
}

#[tokio::test]
async fn a_good_spec_passes() {
    let spec = spec(|_| {});
    insta::assert_snapshot!(shown(&scan(&RegoScanner::new().unwrap(), &spec).await), @r"
    policy of 9 findings
    pass    4d1132c5 secrets.no-plaintext /components/0: no secret is written in `web`
    pass    9f8370ad secrets.no-plaintext /components/1: no secret is written in `db`
    pass    ac2c1175 network.no-public-store /components/1/public: the database `db` is not reachable from outside
    pass    7d0cb39d network.tls-when-public /components/0/tls: `web` is not reachable from outside
    pass    c809bf8c network.tls-when-public /components/1/tls: `db` is not reachable from outside
    pass    e355b850 resources.limits-in-production /environment: `staging` is not production
    pass    3a6a9069 resources.limits-enforced /components/0: `web` has no limit that is not enforced
    pass    48b806af resources.limits-enforced /components/1: `db` has no limit that is not enforced
    pass    fe134c58 approval.other-person /protected: the environment is not protected
    ");
    insta::assert_snapshot!(shown(&scan(&CostScanner, &spec).await), @r"
    cost of 1 findings
    pass    e2e6f371 cost.within-budget /constraints/budget_monthly: there is no budget, and the cost is 0.00 USD
    cost    web: Some(0.0) own machine
    cost    db: Some(0.0) own machine
    ");
}

#[tokio::test]
async fn a_bad_spec_is_told_each_place() {
    let spec = spec(|spec| {
        spec.environment = "production".into();
        spec.target.platform = Platform::Aws;
        spec.constraints.budget_monthly = Some(50.0);
        spec.components[0].public = true;
        spec.components[0].env.insert("API_TOKEN".into(), "hunter2hunter2".into());
        spec.components[1].public = true;
    });
    insta::assert_snapshot!(shown(&scan(&RegoScanner::new().unwrap(), &spec).await), @r"
    policy of 9 findings
    fail    57400984 secrets.no-plaintext /components/0/env/API_TOKEN: `web` holds a literal value in `API_TOKEN`
            help: take the value out, and change it where it is valid, for whoever read the file knows it; a database's password and URL are generated and handed over (`DATABASE_URL`), others belong in the environment's own store
    pass    9f8370ad secrets.no-plaintext /components/1: no secret is written in `db`
    fail    ac2c1175 network.no-public-store /components/1/public: the database `db` is reachable from outside
            help: take `public` off, and let only the components that need it reach it (`depends_on`)
    fail    7d0cb39d network.tls-when-public /components/0/tls: `web` is public without TLS
            help: say `with TLS`, or set `tls` to true; where only this machine needs it, take `public` and the host off
    fail    c809bf8c network.tls-when-public /components/1/tls: `db` is public without TLS
            help: say `with TLS`, or set `tls` to true; where only this machine needs it, take `public` and the host off
    fail    2ca2b275 resources.limits-in-production /components/0: `web` has no limit on memory and cpu
            help: say how much each may use, for example `with 512Mi memory and 0.5 cpu`, or set `memory` and `cpu`
    pass    3a6a9069 resources.limits-enforced /components/0: `web` has no limit that is not enforced
    pass    48b806af resources.limits-enforced /components/1: `db` has no limit that is not enforced
    pass    fe134c58 approval.other-person /protected: the environment is not protected
    ");
    insta::assert_snapshot!(shown(&scan(&CostScanner, &spec).await), @r"
    cost of 1 findings
    unknown e2e6f371 cost.within-budget /constraints/budget_monthly: whether it stays within 50.00 USD is not known: no price list for aws yet
            help: look the price up, and accept this finding by its id if it fits; or take the budget out
    cost    web: None no price list for aws yet
    cost    db: None no price list for aws yet
    ");
}

fn engine() -> Engine {
    Engine::builder()
        .state_dir("/state")
        .host(Arc::new(MemoryHost::new()))
        .secrets(Arc::new(MemorySecrets::new()))
        .store(Arc::new(MemoryStore::new()))
        .provider(Arc::new(MemoryProvider::new(World::new())))
        .recipe(Arc::new(MemoryRecipe))
        .scanner(Arc::new(RegoScanner::new().unwrap()))
        .scanner(Arc::new(CostScanner))
        .build()
        .unwrap()
}

#[tokio::test]
async fn the_gate_hears_both_scanners() {
    let engine = engine();
    let good = Proposal::of(spec(|_| {}), Origins::new()).unwrap();
    let planned = engine.plan(&good, &BTreeSet::new()).await.unwrap();
    engine.check(&planned).unwrap();
    assert_eq!(planned.plan_reports.len(), 2);
    assert!(
        planned.plan_reports.iter().flat_map(|report| &report.findings).all(|f| f.verdict == Verdict::Pass)
    );
    assert_eq!(planned.plan.cost.as_ref().and_then(code_core::scanner::Cost::total), Some(0.0));

    let bad = Proposal::of(spec(|spec| spec.components[1].public = true), Origins::new()).unwrap();
    let error = engine.plan(&bad, &BTreeSet::new()).await.unwrap_err();
    assert_eq!(error.code(), "gate::refused");
    assert!(error.message().contains("the database `db` is reachable from outside"), "{error:?}");

    let unpriced = spec(|spec| {
        spec.target.platform = Platform::Aws;
        spec.constraints.budget_monthly = Some(50.0);
    });
    let unpriced = Proposal::of(unpriced, Origins::new()).unwrap();
    let error = engine.plan(&unpriced, &BTreeSet::new()).await.unwrap_err();
    assert_eq!(error.code(), "gate::unknown");
    let reports = engine.judge(&unpriced).await.unwrap();
    let findings = reports.iter().flat_map(|report| &report.findings);
    let accepted = findings.filter(|f| f.verdict == Verdict::Unknown).map(|f| f.id.clone()).collect();
    engine.plan(&unpriced, &accepted).await.unwrap();
}
