//! Policies of one's own: they come on top, they can forbid more and never allow more, and what is wrong
//! with one is said.

#![cfg(test)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use code_core::Error;
use code_core::scanner::Verdict::{Fail, Pass, Unknown};
use code_core::scanner::{Finding, Severity};
use code_security::RegoScanner;
use code_security::rego::Topic;
use serde_json::{Value, json};

const HEADER: &str = "# METADATA\n# title: T\n# description: D\n# custom:\n#   id: acme.rule\n#   severity: high\n\
                      #   looks_at: [spec]\n#   help: H\n";

fn rule(body: &str) -> String {
    format!("{HEADER}package acme.rule\nimport rego.v1\nimport data.code.lib\n{body}\n")
}

fn scanner(files: &[(&str, &str)]) -> Result<RegoScanner, Error> {
    let temp = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = temp.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    RegoScanner::new()?.with_dir(temp.path())
}

fn document() -> Value {
    json!({
        "subject": "spec", "origins": {},
        "spec": {
            "version": 1, "application": "shop", "environment": "production", "protected": false,
            "delete_budget": 10, "target": {"platform": "local"},
            "components": [
                {"name": "web", "kind": "web", "public": true, "replicas": {"min": 1, "max": 1}},
                {"name": "db", "kind": "database", "public": true, "replicas": {"min": 1, "max": 1}},
            ],
        },
    })
}

fn of<'a>(rule: &str, findings: &'a [Finding]) -> Vec<&'a Finding> {
    findings.iter().filter(|finding| finding.rule == rule).collect()
}

/// What the policy `acme.rule` with this body says.
#[track_caller]
fn said(body: &str) -> Vec<Finding> {
    let scanner = scanner(&[("a.rego", &rule(body))]).unwrap().with_time_limit(Duration::from_secs(2));
    let findings = scanner.judge(Topic::Spec, &document());
    let built_in = RegoScanner::new().unwrap().judge(Topic::Spec, &document());
    let others: Vec<_> = findings.iter().filter(|f| f.rule != "acme.rule").cloned().collect();
    assert_eq!(others, built_in, "the others are heard all the same");
    of("acme.rule", &findings).into_iter().cloned().collect()
}

#[track_caller]
fn unknown(body: &str, why: &str) {
    let findings = said(body);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0].verdict, Unknown);
    assert!(findings[0].message.contains(why), "{findings:#?}");
    assert!(findings[0].help.as_ref().unwrap().contains("acme.rule"), "{findings:#?}");
}

#[test]
fn a_policy_is_heard() {
    let findings = said(r#"findings contains lib.fail("/x", "is wrong")"#);
    let expect = Finding::new("acme.rule", Some("/x"), Fail, "is wrong").help("H");
    assert_eq!(findings, [expect]);
    let findings =
        said(r#"findings contains {"verdict": "fail", "message": "m", "severity": "low", "help": "mine"}"#);
    assert_eq!(findings, [Finding::new("acme.rule", None, Fail, "m").help("mine").severity(Severity::Low)]);
    let findings = said(r#"findings contains lib.pass("/x", "is right")"#);
    assert_eq!(findings, [Finding::new("acme.rule", Some("/x"), Pass, "is right")]);
}

#[test]
fn anything_that_is_not_clearly_a_pass_is_none() {
    unknown("findings contains f if { f := input.nothing }", "says nothing");
    unknown("findings := set()", "says nothing");
    unknown("findings contains {\"verdict\": \"pass\", \"at\": nothing}", "a.rego:12");
    unknown("findings contains f if { f := lib.no_such_function(1) }", "a.rego:12");
    unknown("findings contains f if { f := http.send({}) }", "a.rego:12");
    unknown("findings contains f if { f := time.now_ns() }", "a.rego:12");
    unknown("findings contains x", "could not be evaluated");
    unknown("findings contains lib.pass(\"/x\", \"a\") if a\na if b\nb if a", "could not be evaluated");
    unknown("findings := true", "no set");
    unknown("findings if input.spec.environment", "no set");
    unknown("findings := {\"verdict\": \"pass\"}", "no set");
    unknown("findings contains \"pass\"", "no verdict");
    unknown("findings contains {\"verdict\": \"PASS\"}", "no verdict");
    unknown("findings contains {\"verdict\": true}", "no verdict");
    unknown("findings contains {\"verdict\": \"pass\", \"at\": to_number(\"x\")}", "could not be evaluated");
    unknown("findings contains lib.pass(\"/x\", x) if { x := 1 / 0 }", "could not be evaluated");
    unknown("findings contains lib.pass(\"/x\", \"a\")\nfindings := 1", "could not be evaluated");
    // A severity that cannot be read makes no fail harmless.
    let findings = said(r#"findings contains {"verdict": "fail", "message": "m", "severity": "lowest"}"#);
    assert_eq!(findings[0].severity, Severity::Critical);
}

#[test]
fn one_place_has_one_finding_as_bad_as_the_worst() {
    let findings = said(
        r#"findings contains lib.pass("/x", "a")
findings contains lib.unknown("/x", "b")
findings contains lib.unknown("/x", "c")
findings contains lib.pass("/y", "d")
findings contains lib.fail("/y", "e")"#,
    );
    let got: Vec<_> = findings.iter().map(|f| (f.verdict, f.at.as_deref(), f.message.as_str())).collect();
    assert_eq!(got, [(Unknown, Some("/x"), "b; c"), (Fail, Some("/y"), "e")]);
}

#[test]
fn what_a_policy_quotes_cannot_write_on_a_terminal() {
    let findings = said(r#"findings contains lib.fail("/x\u001b[2J", "a\u001b[31m\nb")"#);
    assert_eq!(findings[0].message, "a [31m b");
    assert_eq!(findings[0].at.as_deref(), Some("/x [2J"));
    let long = format!(
        r#"findings contains lib.fail("/x", concat("", ["{}" | some _ in numbers.range(1, 99)]))"#,
        "x".repeat(50)
    );
    assert!(said(&long)[0].message.len() <= 400);
}

#[test]
fn a_policy_that_takes_too_long_is_unknown() {
    let endless = r#"findings contains lib.pass("/x", "a") if {
	some i in numbers.range(1, 3000)
	some j in numbers.range(1, 3000)
	some k in numbers.range(1, 3000)
	i + j + k == 0
}"#;
    let scanner = scanner(&[("a.rego", &rule(endless))]).unwrap().with_time_limit(Duration::from_millis(200));
    let findings = scanner.judge(Topic::Spec, &document());
    let findings = of("acme.rule", &findings);
    assert_eq!((findings.len(), findings[0].verdict), (1, Unknown));
    assert!(findings[0].message.contains("time limit"), "{findings:?}");
}

#[test]
fn a_policy_can_weaken_no_other() {
    let weaken = [
        // The built-in packages are closed.
        ("package code.lib\nfail(_, _) := {\"verdict\": \"pass\"}", "policy::duplicate"),
        ("package code.network.no_public_store\nstores := set()", "policy::duplicate"),
        ("package code\nx := 1", "policy::duplicate"),
    ];
    for (text, code) in weaken {
        assert_eq!(scanner(&[("a.rego", text)]).unwrap_err().code(), code, "{text}");
    }
    let taken =
        rule("findings contains lib.pass(\"\", \"\")").replace("acme.rule", "network.no-public-store");
    let taken = taken.replace("package network.no-public-store", "package acme.x");
    let error = scanner(&[("a.rego", &taken)]).unwrap_err();
    assert_eq!(error.code(), "policy::duplicate", "{error:?}");
    // A library of one's own that has the built-in one's names changes nothing for the built-in ones.
    let findings = scanner(&[
        (
            "lib.rego",
            "package lib.mine\nimport rego.v1\nfail(_, _) := {\"verdict\": \"pass\", \"at\": \"/z\"}",
        ),
        ("a.rego", &rule("import data.lib.mine\nfindings contains mine.fail(1, 2)")),
    ])
    .unwrap()
    .judge(Topic::Spec, &document());
    assert_eq!(of("acme.rule", &findings)[0].verdict, Pass);
    assert_eq!(of("network.no-public-store", &findings)[0].verdict, Fail);
    assert_eq!(of("network.tls-when-public", &findings)[0].verdict, Fail);
}

#[test]
fn a_policy_that_does_not_compile_is_named_with_its_line() {
    let check = |body: &str, line: u32| {
        let text = rule(body);
        let error = scanner(&[("deep/er/a.rego", &text)]).expect_err(body);
        assert_eq!(error.code(), "policy::compile", "{error:?}");
        let place = error.context().find(|(name, _)| *name == "policy").unwrap().1.to_owned();
        assert!(
            place.contains(&format!("a.rego:{line}")) || line == 0,
            "{place}, expected line {line}: {error:?}"
        );
        assert!(place.contains("a.rego") && error.help_text().is_some());
        assert!(!error.message().contains('\n'), "{error:?}");
    };
    check("findings contains", 13);
    check("findings { true }", 12);
    check("a := 1", 0);
    check("\u{0}", 0);
    check(&format!("findings contains f if {{ f := {} }}", "[".repeat(20_000)), 12);
    check(&format!("findings contains f if {{\n\tf := {} }}", "[".repeat(40)), 13);
    check(&format!("findings contains f if {{\n\tf := {}1 }}", "-".repeat(900)), 13);
    let unpackaged = scanner(&[("a.rego", "findings := 1")]).unwrap_err();
    assert_eq!(unpackaged.code(), "policy::compile");
    assert_eq!(scanner(&[("a.rego", "")]).unwrap_err().code(), "policy::compile");
    assert_eq!(scanner(&[("a.rego", &rule(&"# x\n".repeat(30_000)))]).unwrap_err().code(), "policy::compile");
}

#[test]
fn functions_that_call_themselves_are_refused() {
    let check = |library: &str, body: &str, cycle: Option<&str>| {
        let body =
            format!("import data.lib.mine as m\nfindings contains lib.pass(\"/x\", \"a\") if g(1)\n{body}");
        let library = format!("package lib.mine\nimport rego.v1\n{library}");
        let made = scanner(&[("lib.rego", &library), ("a.rego", &rule(&body))]);
        let error = made.err();
        assert_eq!(error.as_ref().map(Error::code), cycle.map(|_| "policy::compile"), "{body}: {error:?}");
        assert!(cycle.is_none_or(|cycle| format!("{error:?}").contains(cycle)), "{error:?}");
    };
    check("h(x) if x", "g(x) if m.h(x)", None);
    check("g(x) if x", "g(x) if m.g(x)", None);
    check("h(x) if x", "g := missing if { missing := 1 }", None);
    check("h(x) if x", "g(x) := g if { g := x }", None);
    check("", "g(x) if g(x)", Some("acme.rule.g"));
    check("", "g(x) := y if { some y in [x | g(x)] }", Some("acme.rule.g"));
    check("", "g(x) if { every y in [x] { not g(y) } }", Some("acme.rule.g"));
    check("", "g(x) if x == 0\ng(x) if { y := [z | z := g(x)] }", Some("acme.rule.g"));
    check("", "g(x) := 1 if x == 0 else := g(x)", Some("acme.rule.g"));
    check("", "g(x) := {\"a\": h(x)}\nh(x) if g(x)", Some("acme.rule.h"));
    check("", "g(x) if data.acme.rule.g(x)", Some("acme.rule.g"));
    check("", "g(x) if data.acme[\"rule\"].g(x)", Some("acme.rule.g"));
    check("import data.acme.rule\nh(x) if rule.g(x)", "g(x) if m.h(x)", Some("lib.mine.h"));
    check("h(x) if h(x)", "g(x) if x", Some("lib.mine.h"));
    check("h(x) if k(x)\nk(x) if x", "g(x) if m.h(x) with data.lib.mine.k as g", Some("acme.rule.g"));
}

#[test]
fn a_policy_that_does_not_say_what_it_is_is_refused() {
    let check = |change: fn(&str) -> String, what: &str| {
        let text = rule("findings contains lib.pass(\"\", \"\")");
        let changed = change(&text);
        assert_ne!(text, changed);
        let error = scanner(&[("a.rego", &changed)]).unwrap_err();
        assert_eq!(error.code(), "policy::header", "{error:?}");
        assert!(error.message().contains(what), "{error:?}");
        assert!(error.context().any(|(_, value)| value.contains("a.rego:")), "{error:?}");
    };
    check(|t| t.replace("# METADATA", "# META"), "METADATA");
    check(|t| t.replace("# title: T\n", ""), "title");
    check(|t| t.replace("# description: D", "# description:"), "description");
    check(|t| t.replace("#   id: acme.rule\n", ""), "custom.id");
    check(|t| t.replace("id: acme.rule", "id: acme"), "no id");
    check(|t| t.replace("id: acme.rule", "id: Acme.rule"), "no id");
    check(|t| t.replace("id: acme.rule", "id: gate.report-missing"), "no id");
    check(|t| t.replace("id: acme.rule", "id: cost.within-budget"), "no id");
    check(|t| t.replace("id: acme.rule", "id: policy.could-not-judge"), "no id");
    check(|t| t.replace("severity: high", "severity: hihg"), "hihg");
    check(|t| t.replace("#   severity: high\n", ""), "severity");
    check(|t| t.replace("severity: high", "severity: high\n#   severity: low"), "twice");
    check(|t| t.replace("[spec]", "[]"), "looks_at");
    check(|t| t.replace("[spec]", "[spec, plna]"), "plna");
    check(|t| t.replace("#   help: H", "#   hlep: H"), "help");
    check(|t| t.replace("#   help: H", "#   help: H\n#   sevrity: low"), "sevrity");
    check(|t| t.replace("# title: T", "# title"), "name: value");
    check(|t| t.replace("# title: T", "# title: a: b"), "double quotes");
}

#[test]
fn a_directory_is_read_as_documented() {
    let good = rule("findings contains lib.pass(\"/x\", \"a\")");
    let broken = "no rego";
    let scanner_of = |files: &[(&str, &str)]| scanner(files).map(|s| s.rules().count());
    let built_in = RegoScanner::new().unwrap().rules().count();
    assert_eq!(scanner_of(&[]).unwrap(), built_in);
    let files =
        [("sub/a.rego", good.as_str()), ("a_test.rego", broken), (".hidden.rego", broken), ("x.txt", broken)];
    assert_eq!(scanner_of(&files).unwrap(), built_in + 1);
    let twice = scanner(&[("a.rego", &good), ("b.rego", &good)]).unwrap_err();
    assert_eq!(twice.code(), "policy::duplicate");
    let missing = RegoScanner::new().unwrap().with_dir(Path::new("/no/such/directory")).unwrap_err();
    assert_eq!(missing.code(), "policy::directory");
    assert!(missing.help_text().is_some());
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("a.rego"), [0xff, 0xfe]).unwrap();
    let binary = RegoScanner::new().unwrap().with_dir(temp.path()).unwrap_err();
    assert_eq!(binary.code(), "policy::directory");
    // A loop of links is not followed.
    let temp = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(temp.path(), temp.path().join("loop")).unwrap();
    assert_eq!(RegoScanner::new().unwrap().with_dir(temp.path()).unwrap().rules().count(), built_in);
}
