//! The built-in policies, each with what passes it, what fails it and what it cannot tell.

use std::cell::RefCell;
use std::sync::LazyLock;

use code_core::scanner::Verdict::{self, Fail, Pass, Unknown};
use code_core::scanner::{Finding, Severity};
use serde_json::{Value, json};

use super::rule::Rule;
use super::{RegoScanner, TIME_LIMIT, Topic, answer, pack, rule};

static BUILT_IN: LazyLock<Vec<Rule>> = LazyLock::new(|| pack::built_in().unwrap());

/// What a rule says of a document.
fn ask(rule: &Rule, document: &Value) -> Vec<Finding> {
    answer::findings(&rule.header, rule.evaluate(&rule::input(document), TIME_LIMIT))
}

fn said(rule: &str, document: &Value) -> Vec<Finding> {
    ask(BUILT_IN.iter().find(|built_in| built_in.header.id == rule).unwrap(), document)
}

thread_local! {
    /// What [`check`] asked, with the answers: the test of mutants asks the same again.
    static ASKED: RefCell<Vec<(String, Value, Vec<Finding>)>> = const { RefCell::new(Vec::new()) };
}

#[track_caller]
fn check(rule: &str, document: Value, expect: &[(Verdict, &str)]) {
    let findings = said(rule, &document);
    let got: Vec<(Verdict, &str)> =
        findings.iter().map(|f| (f.verdict, f.at.as_deref().unwrap_or(""))).collect();
    assert_eq!(got, expect, "{rule} on {document:#}: {findings:#?}");
    for finding in &findings {
        assert!(!finding.message.is_empty() && !finding.message.ends_with('.'), "{finding:?}");
        assert_eq!(finding.help.is_some(), finding.verdict != Pass, "{finding:?}");
    }
    ASKED.with_borrow_mut(|asked| asked.push((rule.to_owned(), document, findings)));
}

/// The document of a web app and its database, changed.
fn spec(change: impl FnOnce(&mut Value)) -> Value {
    let mut spec = json!({
        "version": 1, "application": "shop", "environment": "staging", "protected": false,
        "delete_budget": 10, "target": {"platform": "local"},
        "components": [
            {"name": "web", "kind": "web", "public": false, "replicas": {"min": 1, "max": 1}},
            {"name": "db", "kind": "database", "public": false, "replicas": {"min": 1, "max": 1}},
        ],
    });
    change(&mut spec);
    json!({"subject": "spec", "spec": spec, "origins": {}})
}

/// A step that does this to a resource, with these effects inside.
fn step(address: &str, kind: &str, action: &str, effects: Value) -> Value {
    json!({
        "id": 0, "provider": "p", "class": "io", "needs": [],
        "change": {
            "action": action, "prior": null, "effects": effects, "outputs": {},
            "resource": {"address": address, "kind": kind, "want": {}},
            "reversal": {"irreversible": "gone"},
        },
    })
}

fn exact(effects: &[(&str, &str)]) -> Value {
    let effects: Vec<Value> = effects.iter().map(|(a, n)| json!({"action": a, "name": n})).collect();
    json!({"exact": effects})
}

fn open(at_most: &str) -> Value {
    json!({"open": {"at_most": at_most, "why": "the tool says so at its time"}})
}

fn plan(steps: &[Value], change: impl FnOnce(&mut Value)) -> Value {
    let mut plan = json!({
        "version": 1, "protected": false, "delete_budget": 2, "steps": steps,
        "spec": spec(|_| {})["spec"], "unchanged": [], "kept": [],
    });
    change(&mut plan);
    json!({"subject": "plan", "plan": plan})
}

#[test]
fn no_public_store() {
    let rule = "network.no-public-store";
    let at = "/components/1/public";
    check(rule, spec(|_| {}), &[(Pass, at)]);
    check(rule, spec(|s| s["components"][0]["public"] = true.into()), &[(Pass, at)]);
    for kind in ["database", "cache", "queue", "search"] {
        check(
            rule,
            spec(|s| {
                s["components"][1]["kind"] = kind.into();
                s["components"][1]["public"] = true.into();
            }),
            &[(Fail, at)],
        );
    }
    check(
        rule,
        spec(|s| drop(s["components"][1].as_object_mut().unwrap().remove("public"))),
        &[(Unknown, at)],
    );
    check(rule, spec(|s| s["components"][1]["public"] = "yes".into()), &[(Unknown, at)]);
    check(rule, spec(|s| s["components"][1]["kind"] = "worker".into()), &[(Pass, "/components")]);
    check(rule, spec(|s| s["components"] = Value::Null), &[(Unknown, "")]);
}

#[test]
fn tls_when_public() {
    let rule = "network.tls-when-public";
    let (web, db) = ("/components/0/tls", "/components/1/tls");
    let one = |change: fn(&mut Value), verdict| {
        check(rule, spec(|s| change(&mut s["components"][0])), &[(verdict, web), (Pass, db)]);
    };
    one(|_| {}, Pass);
    one(|c| c["public"] = true.into(), Fail);
    one(|c| *c = json!({"name": "web", "kind": "web", "public": true, "tls": false}), Fail);
    one(|c| *c = json!({"name": "web", "kind": "web", "public": true, "tls": true}), Pass);
    one(|c| c["host"] = "shop.example.com".into(), Fail);
    one(|c| c["host"] = "shop.example.com.".into(), Fail);
    one(|c| c["host"] = "localhost.example.com".into(), Fail);
    one(|c| c["host"] = "".into(), Fail);
    one(|c| c["host"] = "shop.LOCALHOST".into(), Pass);
    one(|c| c["host"] = "localhost".into(), Pass);
    one(|c| *c = json!({"name": "web", "kind": "web", "public": false, "host": "a.b", "tls": true}), Pass);
    one(|c| drop(c.as_object_mut().unwrap().remove("public")), Unknown);
    check(
        rule,
        spec(|s| {
            s["components"] = json!([{"name": "zone", "kind": "dns", "public": true, "host": "a.example"}])
        }),
        &[(Pass, "/components")],
    );
    check(rule, spec(|s| drop(s.as_object_mut().unwrap().remove("components"))), &[(Unknown, "")]);
}

#[test]
fn limits_in_production() {
    let rule = "resources.limits-in-production";
    check(rule, spec(|_| {}), &[(Pass, "/environment")]);
    check(rule, spec(|s| s["environment"] = "product-demo".into()), &[(Pass, "/environment")]);
    for environment in ["production", "prod", "prod-eu", "live"] {
        check(rule, spec(|s| s["environment"] = environment.into()), &[(Fail, "/components/0")]);
    }
    check(rule, spec(|s| s["protected"] = true.into()), &[(Fail, "/components/0")]);
    let production = |component: Value| {
        spec(|s| {
            s["environment"] = "production".into();
            s["target"]["platform"] = "kubernetes".into();
            s["components"] = json!([component]);
        })
    };
    let web = |memory: Value, cpu: Value| {
        let mut component = json!({"name": "web", "kind": "web", "public": false});
        if !memory.is_null() {
            component["memory"] = memory;
        }
        if !cpu.is_null() {
            component["cpu"] = cpu;
        }
        component
    };
    check(rule, production(web("512Mi".into(), 0.5.into())), &[(Pass, "/components/0")]);
    check(rule, production(web("512Mi".into(), Value::Null)), &[(Fail, "/components/0")]);
    check(rule, production(web(Value::Null, 0.5.into())), &[(Fail, "/components/0")]);
    check(rule, production(json!({"name": "db", "kind": "database"})), &[(Pass, "/components")]);
    check(rule, spec(|s| drop(s.as_object_mut().unwrap().remove("environment"))), &[(Unknown, "")]);
    check(
        rule,
        spec(|s| s["components"] = json!([{"name": "db", "kind": "database"}])),
        &[(Pass, "/environment")],
    );
    check(
        rule,
        spec(|s| {
            s["environment"] = "production".into();
            s["components"] = json!([{"name": "db", "kind": "database"}, {"name": "web", "kind": "web"}]);
        }),
        &[(Fail, "/components/1")],
    );
    // On one's own machine it is shown and does not close the gate.
    let severity = |document: &Value| said(rule, document)[0].severity;
    assert_eq!(severity(&production(web(Value::Null, Value::Null))), Severity::High);
    assert_eq!(severity(&spec(|s| s["environment"] = "production".into())), Severity::Medium);
}

#[test]
fn limits_are_enforced() {
    let rule = "resources.limits-enforced";
    let on = |platform: &str, more: Value| {
        spec(|s| {
            s["target"]["platform"] = platform.into();
            s["components"] = json!([{"name": "db", "kind": "database"}, {"name": "web", "kind": "web"}]);
            s["components"][1].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        })
    };
    let said = [json!({"memory": "512Mi"}), json!({"cpu": 0.5}), json!({"memory": "512Mi", "cpu": 0.5})];
    for limits in said {
        check(rule, on("local", limits.clone()), &[(Pass, "/components/0"), (Fail, "/components/1")]);
        check(rule, on("kubernetes", limits), &[(Pass, "/components/0"), (Pass, "/components/1")]);
    }
    check(rule, on("local", json!({})), &[(Pass, "/components/0"), (Pass, "/components/1")]);
    check(rule, spec(|s| drop(s.as_object_mut().unwrap().remove("components"))), &[(Unknown, "")]);
}

/// Values as they leak, put together here so that no scanner of repositories takes them for real ones.
fn shapes() -> Vec<String> {
    let letters = "Ab1".repeat(20);
    vec![
        format!("AKI{}", "AIOSFODNN7EXAMPLE"),
        format!("ghp{}{}", "_", &letters[..36]),
        format!("github{}{}", "_pat_", &letters[..30]),
        format!("glpat{}{}", "-", &letters[..20]),
        format!("xoxb{}{}", "-", &letters[..24]),
        format!("https://hooks.slack{}", ".com/services/T0/B0/x"),
        format!("sk{}{}", "_live_", &letters[..24]),
        format!("AIz{}{}", "a", &letters[..35]),
        format!("sk{}{}", "-", &letters[..40]),
        format!("npm{}{}", "_", &letters[..36]),
        format!("eyJ{}.eyJ{}.c", &letters[..12], &letters[..12]),
        format!("-----BEGIN RSA {} KEY-----\nMIIE", "PRIVATE"),
        "postgres://app:hunter2@db/shop".to_owned(),
        "redis://:hunter2@cache:6379".to_owned(),
        "connect to amqp://a:b@mq/ then go".to_owned(),
    ]
}

#[test]
fn no_plaintext_secrets() {
    let rule = "secrets.no-plaintext";
    let clean = [(Pass, "/components/0"), (Pass, "/components/1")];
    check(rule, spec(|_| {}), &clean);
    let env = |name: &str, value: &str| spec(|s| s["components"][0]["env"] = json!({name: value}));
    for value in shapes() {
        check(
            rule,
            env("ANYTHING", &value),
            &[(Fail, "/components/0/env/ANYTHING"), (Pass, "/components/1")],
        );
        for field in ["start", "build"] {
            check(
                rule,
                spec(|s| s["components"][0][field] = json!(["run", value])),
                &[(Fail, &format!("/components/0/{field}")), (Pass, "/components/1")],
            );
        }
    }
    for name in [
        "PASSWORD",
        "DB_PASSWORD",
        "dbPassword",
        "PGPASSWORD",
        "MYSQL_PWD",
        "SMTP_PASS",
        "TOKEN",
        "GITHUB_TOKEN",
        "API_KEY",
        "APIKEY",
        "SECRET_KEY_BASE",
        "AWS_SECRET_ACCESS_KEY",
        "STRIPE_KEY",
        "CLIENT_SECRET",
        "DB_CREDENTIALS",
        "KEY_PASSPHRASE",
        "PRIVATE_KEY",
    ] {
        let at = format!("/components/0/env/{name}");
        check(rule, env(name, "hunter2"), &[(Fail, &at), (Pass, "/components/1")]);
        check(rule, env(name, ""), &clean);
        check(rule, env(name, "${FROM_ELSEWHERE}"), &clean);
        check(rule, env(name, "true"), &clean);
    }
    for (name, value) in [
        ("LOG_LEVEL", "debug"),
        ("MAX_TOKENS", "4096"),
        ("TOKEN_TTL", "3600"),
        ("PASSWORD_MIN_LENGTH", "12"),
        ("SECRET_FILE", "/run/secrets/x"),
        ("PUBLIC_KEY", "abc"),
        ("SSH_PUBLIC_KEY", "abc"),
        ("CACHE_KEY", "v1"),
        ("KEYBOARD", "de"),
        ("PWD", "/srv"),
        ("COMPASS", "north"),
        ("DATABASE_URL", "postgres://db:5432/shop"),
        ("DATABASE_URL", "postgres://app@db/shop"),
        ("SITE", "https://example.com/a:b@c"),
        ("IMAGE", "registry:5000/a@sha256:0123456789abcdef"),
        ("MAIL", "mailto:a@b.example"),
    ] {
        check(rule, env(name, value), &clean);
    }
    for word in ["--password=hunter2", "--db-password=x", "-token=x", "--api-key=x"] {
        check(
            rule,
            spec(|s| s["components"][0]["start"] = json!(["run", word])),
            &[(Fail, "/components/0/start"), (Pass, "/components/1")],
        );
    }
    check(rule, spec(|s| s["components"][0]["start"] = json!(["run", "--password-file=/x"])), &clean);
    check(
        rule,
        spec(|s| s["components"][0]["source"] = "https://me:hunter2@git.example/x".into()),
        &[(Fail, "/components/0/source"), (Pass, "/components/1")],
    );
    check(rule, spec(|s| drop(s.as_object_mut().unwrap().remove("components"))), &[(Unknown, "")]);
}

#[test]
fn no_plaintext_secrets_in_a_plan() {
    let rule = "secrets.no-plaintext";
    let want = |want: Value| {
        let mut step = step("web/process.r1.0", "process", "create", exact(&[("create", "web")]));
        step["change"]["resource"]["want"] = want;
        plan(&[step], |_| {})
    };
    check(rule, plan(&[], |_| {}), &[(Pass, "/steps")]);
    check(rule, want(Value::Null), &[(Pass, "/steps")]);
    check(rule, want(json!({"env.DB_PASSWORD": {"secret": "db/password"}})), &[(Pass, "/steps")]);
    let url =
        json!([{"known": "postgres://app:"}, {"secret": "db/password"}, {"known": "@127.0.0.1:5432/shop"}]);
    check(rule, want(json!({"env.DATABASE_URL": {"text": url}})), &[(Pass, "/steps")]);
    check(rule, want(json!({"port": {"known": 80}})), &[(Pass, "/steps")]);
    let fails = [(Fail, "web/process.r1.0")];
    check(rule, want(json!({"env.DB_PASSWORD": {"known": "hunter2"}})), &fails);
    check(rule, want(json!({"superuser_password": {"known": "hunter2"}})), &fails);
    check(rule, want(json!({"args": {"known": ["x", "postgres://a:b@c"]}})), &fails);
    check(rule, want(json!({"x": {"text": [{"known": "redis://:pw@h"}, {"known": "/0"}]}})), &fails);
    check(rule, plan(&[], |p| p["steps"] = Value::Null), &[(Unknown, "")]);
}

#[test]
fn a_finding_never_quotes_the_secret() {
    let canary = "c4n4ry-hunter2";
    let document = spec(|s| {
        s["components"][0]["env"] = json!({"DB_PASSWORD": canary, "U": format!("http://u:{canary}@h")});
        s["components"][0]["start"] = json!([format!("--password={canary}")]);
    });
    let findings = RegoScanner::new().unwrap().judge(Topic::Spec, &document);
    assert_eq!(findings.iter().filter(|f| f.verdict == Fail).count(), 3);
    assert!(!serde_json::to_string(&findings).unwrap().contains(canary));
}

#[test]
fn deletes_within_the_budget() {
    let rule = "deletes.within-budget";
    let at = "/delete_budget";
    let delete = |address: &str, kind: &str| step(address, kind, "delete", exact(&[("delete", address)]));
    let zone = |names: &[&str]| {
        let effects: Vec<_> = names.iter().map(|name| ("delete", *name)).collect();
        step("web/root", "terraform.root", "update", exact(&effects))
    };
    check(rule, plan(&[], |_| {}), &[(Pass, at)]);
    check(rule, plan(&[zone(&["a", "b"])], |_| {}), &[(Pass, at)]);
    check(rule, plan(&[zone(&["a", "b", "c"])], |_| {}), &[(Fail, at)]);
    check(rule, plan(&[zone(&["a", "b", "c"])], |p| p["delete_budget"] = 3.into()), &[(Pass, at)]);
    check(rule, plan(&[zone(&["a"])], |p| p["delete_budget"] = 0.into()), &[(Fail, at)]);
    let replaced =
        step("web/vm", "vm", "replace", exact(&[("replace", "a"), ("create", "b"), ("update", "c")]));
    check(rule, plan(&[replaced.clone(), zone(&["a"])], |_| {}), &[(Pass, at)]);
    check(rule, plan(&[replaced, zone(&["a", "b"])], |_| {}), &[(Fail, at)]);
    // A delete that names nothing inside is still one.
    let silent = |i: usize| step(&format!("x{i}/vm"), "vm", "delete", exact(&[]));
    check(rule, plan(&[silent(0), silent(1)], |_| {}), &[(Pass, at)]);
    check(rule, plan(&[silent(0), silent(1), silent(2)], |_| {}), &[(Fail, at)]);
    // What a component that stays is given again is no loss.
    let old: Vec<_> = (0..5).map(|i| delete(&format!("web/process.r1.{i}"), "process")).collect();
    check(rule, plan(&old, |p| p["delete_budget"] = 0.into()), &[(Pass, at)]);
    // Of a component that goes, the processes are one thing.
    let gone: Vec<_> = (0..5).map(|i| delete(&format!("old/process.r1.{i}"), "process")).collect();
    check(rule, plan(&gone, |_| {}), &[(Pass, at)]);
    check(rule, plan(&gone, |p| p["delete_budget"] = 0.into()), &[(Fail, at)]);
    check(rule, plan(&gone, |p| p["spec"] = Value::Null), &[(Pass, at)]);
    let all: Vec<_> =
        [("web/release", "release"), ("web/endpoint", "route"), ("web/process.r1.0", "process")]
            .map(|(address, kind)| delete(address, kind))
            .into();
    check(rule, plan(&all, |_| {}), &[(Pass, at)]);
    check(rule, plan(&all, |p| p["spec"] = Value::Null), &[(Fail, at)]);
    let two = [("web/process.r1.0", "delete"), ("web/process.r1.1", "replace")];
    let two = two.map(|(address, action)| step(address, "process", action, exact(&[])));
    check(rule, plan(&two, |p| p["delete_budget"] = 0.into()), &[(Pass, at)]);
    let other = step("old/process.r1.0", "process", "update", exact(&[("update", "x")]));
    check(rule, plan(&[other], |p| p["delete_budget"] = 0.into()), &[(Pass, at)]);
    let other = step("old/process.r1.0", "process", "replace", exact(&[("replace", "x")]));
    check(rule, plan(&[other], |p| p["delete_budget"] = 0.into()), &[(Fail, at)]);
    let others = [0, 1, 2].map(|i| step(&format!("old/process.r1.{i}"), "process", "replace", exact(&[])));
    check(rule, plan(&others, |p| p["delete_budget"] = 1.into()), &[(Pass, at)]);
    // What is made or changed is not taken away.
    let made = step("web/vm", "vm", "create", exact(&[("create", "a"), ("update", "b")]));
    check(rule, plan(&[made], |p| p["delete_budget"] = 0.into()), &[(Pass, at)]);
    let inside = step("web/root", "terraform.root", "update", exact(&[("replace", "a")]));
    check(rule, plan(&[inside], |p| p["delete_budget"] = 0.into()), &[(Fail, at)]);
    let bare = step("web/vm", "vm", "replace", exact(&[]));
    check(rule, plan(&[bare], |p| p["delete_budget"] = 0.into()), &[(Fail, at)]);
    // What cannot be counted yet.
    let later = step("web/vm", "vm", "delete", open("delete"));
    check(rule, plan(&[later], |p| p["delete_budget"] = 0.into()), &[(Unknown, at)]);
    let remade = step("web/process.r1.0", "process", "replace", open("replace"));
    check(rule, plan(&[remade], |p| p["delete_budget"] = 0.into()), &[(Pass, at)]);
    let tool = |at_most| step("web/root", "terraform.root", "update", open(at_most));
    check(rule, plan(&[tool("update")], |_| {}), &[(Pass, at)]);
    check(rule, plan(&[tool("delete")], |_| {}), &[(Unknown, at)]);
    check(rule, plan(&[tool("replace")], |_| {}), &[(Unknown, at)]);
    check(rule, plan(&[tool("replace"), zone(&["a", "b", "c"])], |_| {}), &[(Fail, at)]);
    check(rule, plan(&[step("a/b", "vm", "delete", json!("all"))], |_| {}), &[(Unknown, at)]);
    check(rule, plan(&[], |p| drop(p.as_object_mut().unwrap().remove("delete_budget"))), &[(Unknown, at)]);
    check(rule, plan(&[], |p| p["steps"] = Value::Null), &[(Unknown, at)]);
}

/// What is over the budget is said by name: each thing inside a step, whole resources, and the processes of a
/// component as one.
#[test]
fn what_is_over_the_budget_is_named() {
    let rule = "deletes.within-budget";
    let amount_of = |steps: &[Value], expect: &str| {
        let document = plan(steps, |p| p["delete_budget"] = 0.into());
        check(rule, document.clone(), &[(Fail, "/delete_budget")]);
        let message = said(rule, &document).remove(0).message;
        assert_eq!(message.split_once(" things, and may take away 0: ").unwrap().1, expect);
        let amount =
            message.strip_prefix("the plan takes away ").unwrap().split_once(' ').unwrap().0.to_owned();
        amount.parse::<usize>().unwrap()
    };
    let inner = exact(&[("delete", "dns.a"), ("replace", "dns.b"), ("update", "dns.c"), ("create", "dns.d")]);
    let steps = [
        step("web/root", "terraform.root", "update", inner),
        step("web/vm", "vm", "delete", exact(&[("delete", "web/vm")])),
        step("web/disk", "disk", "delete", exact(&[])),
        step("old/process.r1.0", "process", "delete", exact(&[("delete", "old/process.r1.0")])),
        step("old/process.r1.1", "process", "delete", exact(&[])),
        step("web/process.r1.0", "process", "delete", exact(&[])),
    ];
    let names = "dns.a in web/root, dns.b in web/root, the processes of old, web/disk, web/vm";
    assert_eq!(amount_of(&steps, names), 5);
    // The plan lists all of it; here are as many as can be read.
    let zone = |count: usize| {
        let names: Vec<String> = (0..count).map(|i| format!("r{i:02}")).collect();
        let effects: Vec<_> = names.iter().map(|name| ("delete", name.as_str())).collect();
        step("dns/zone", "zone", "update", exact(&effects))
    };
    let first: Vec<String> = (0..10).map(|i| format!("r{i:02} in dns/zone")).collect();
    assert_eq!(amount_of(&[zone(10)], &first.join(", ")), 10);
    assert_eq!(amount_of(&[zone(43)], &format!("{} and 33 more", first.join(", "))), 43);
}

#[test]
fn data_goes_only_when_asked_for() {
    let rule = "deletes.no-data-loss";
    let data = |kind: &str, action: &str, effects| plan(&[step("db/data", kind, action, effects)], |_| {});
    let gone = || exact(&[("delete", "db")]);
    check(rule, plan(&[], |_| {}), &[(Pass, "/steps")]);
    check(rule, data("process", "delete", gone()), &[(Pass, "/steps")]);
    check(rule, data("postgres.data", "create", exact(&[("create", "db")])), &[(Pass, "/steps")]);
    for kind in ["postgres.data", "postgres.database", "sqlite.database"] {
        check(rule, data(kind, "delete", gone()), &[(Fail, "db/data")]);
        check(rule, data(kind, "delete", exact(&[])), &[(Fail, "db/data")]);
        check(rule, data(kind, "replace", exact(&[("replace", "db")])), &[(Fail, "db/data")]);
        check(rule, data(kind, "replace", exact(&[])), &[(Fail, "db/data")]);
        check(rule, data(kind, "update", gone()), &[(Fail, "db/data")]);
        check(rule, data(kind, "update", exact(&[("replace", "db")])), &[(Fail, "db/data")]);
        check(rule, data(kind, "update", open("replace")), &[(Fail, "db/data")]);
        check(rule, data(kind, "update", open("delete")), &[(Fail, "db/data")]);
        check(rule, data(kind, "update", open("update")), &[(Pass, "/steps")]);
    }
    let mut kept = step("files/bucket", "bucket", "delete", gone());
    check(rule, plan(std::slice::from_ref(&kept), |_| {}), &[(Pass, "/steps")]);
    kept["change"]["resource"]["on_delete"] = "retain".into();
    check(rule, plan(std::slice::from_ref(&kept), |_| {}), &[(Fail, "files/bucket")]);
    check(rule, plan(&[kept.clone()], |p| p["delete_data"] = true.into()), &[(Pass, "files/bucket")]);
    check(rule, plan(&[kept], |p| p["delete_data"] = "yes".into()), &[(Fail, "files/bucket")]);
    check(rule, plan(&[], |p| p["steps"] = Value::Null), &[(Unknown, "")]);
}

#[test]
fn effects_are_known() {
    let rule = "effects.known";
    let one = |effects| plan(&[step("web/root", "root", "update", effects)], |_| {});
    check(rule, plan(&[], |_| {}), &[(Pass, "/steps")]);
    check(rule, one(exact(&[("update", "a")])), &[(Pass, "web/root")]);
    check(rule, one(exact(&[])), &[(Pass, "web/root")]);
    for at_most in ["keep", "create", "update"] {
        check(rule, one(open(at_most)), &[(Pass, "web/root")]);
    }
    for at_most in ["replace", "delete", "vanish"] {
        check(rule, one(open(at_most)), &[(Unknown, "web/root")]);
    }
    check(rule, one(json!({"open": {"at_most": "update"}})), &[(Unknown, "web/root")]);
    check(rule, one(json!({"open": {}})), &[(Unknown, "web/root")]);
    check(rule, one(json!({})), &[(Unknown, "web/root")]);
    check(rule, one(Value::Null), &[(Unknown, "web/root")]);
    check(rule, plan(&[], |p| p["steps"] = Value::Null), &[(Unknown, "")]);
}

#[test]
fn protected_environments_need_another_person() {
    let rule = "approval.other-person";
    let at = [(Pass, "/protected")];
    check(rule, spec(|_| {}), &at);
    check(rule, spec(|s| s["protected"] = true.into()), &at);
    check(rule, spec(|s| s["protected"] = Value::Null), &[(Unknown, "/protected")]);
    check(rule, plan(&[], |_| {}), &at);
    check(rule, plan(&[], |p| p["protected"] = true.into()), &at);
    check(rule, plan(&[], |p| p["spec"]["protected"] = true.into()), &[(Fail, "/protected")]);
    check(rule, plan(&[], |p| p["protected"] = Value::Null), &[(Unknown, "/protected")]);
    check(
        rule,
        plan(&[], |p| {
            p["protected"] = true.into();
            p["spec"]["protected"] = true.into();
        }),
        &at,
    );
    check(
        rule,
        plan(&[], |p| {
            p["protected"] = true.into();
            p["spec"] = Value::Null;
        }),
        &at,
    );
}

#[test]
fn the_largest_spec_is_judged_within_the_time_limit() {
    let document = spec(|s| {
        s["components"] = (0..code_core::spec::MAX_COMPONENTS)
            .map(|i| json!({"name": format!("c{i}"), "kind": "web", "public": false, "env": {"A": "b"}}))
            .collect();
    });
    let findings = RegoScanner::new().unwrap().judge(Topic::Spec, &document);
    assert!(findings.iter().all(|finding| finding.verdict == Pass), "{findings:#?}");
    let mut ids: Vec<&str> = findings.iter().map(|finding| finding.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), findings.len(), "each finding has an id of its own");
}

/// The changes that a mutant is made by: each is made at each place where it can be.
const MUTATIONS: [(&str, &str); 20] = [
    (" == true", " == false"),
    (" == false", " == true"),
    (" == ", " != "),
    (" != ", " == "),
    (" > ", " >= "),
    (" <= ", " < "),
    ("> 0", "> 1"),
    ("not ", ""),
    ("every ", "some "),
    ("lib.pass(", "lib.fail("),
    ("lib.fail(", "lib.pass("),
    ("lib.unknown(", "lib.pass("),
    ("endswith(", "startswith("),
    ("\"database\", ", ""),
    ("\"cache\", ", ""),
    ("\"retain\"", "\"delete\""),
    ("lib.destructive", "{\"delete\"}"),
    ("lib.destructive", "{\"replace\"}"),
    (" in stay", " in set()"),
    (" in remade", " in set()"),
];

/// The policy with one change in it, for each change, and with one line of a body left out, for each line.
fn mutants(text: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let with = |i: usize, line: Option<&str>| {
        let lines = lines[..i].iter().copied().chain(line).chain(lines[i + 1..].iter().copied());
        lines.collect::<Vec<_>>().join("\n") + "\n"
    };
    let code = lines.iter().position(|line| line.starts_with("import")).unwrap();
    let mut mutants = Vec::new();
    for (i, line) in
        lines.iter().enumerate().skip(code).filter(|(_, line)| !line.trim_start().starts_with('#'))
    {
        for (from, to) in MUTATIONS {
            // What stands in quotes is text.
            let in_text = |at: usize| line[..at].matches('"').count() % 2 == 1 || line[..at].contains('`');
            for (at, _) in line.match_indices(from).filter(|(at, _)| from.starts_with('"') || !in_text(*at)) {
                let mutant = format!("{}{to}{}", &line[..at], &line[at + from.len()..]);
                mutants
                    .push((format!("`{}` became `{}`", line.trim(), mutant.trim()), with(i, Some(&mutant))));
            }
        }
        let structural = line.contains(['{', '}']) || line.ends_with('(') || line.trim() == ")";
        if line.starts_with('\t') && !structural {
            mutants.push((format!("`{}` was left out", line.trim()), with(i, None)));
        }
    }
    mutants
}

/// Mutants that judge the same: what they lack follows from another line in this engine. OPA takes some of
/// it otherwise, so the lines stay.
const EQUIVALENT: [&str; 4] = [
    "policies/within_delete_budget.rego `amount <= input.plan.delete_budget` was left out",
    "policies/no_data_loss.rego `is_array(input.plan.steps)` was left out",
    "policies/other_person.rego `is_boolean(input.spec.protected)` was left out",
    "policies/other_person.rego `is_boolean(input.plan.protected)` was left out",
];

#[test]
fn a_mutant_of_a_policy_is_caught() {
    for cases in [
        no_public_store,
        tls_when_public,
        limits_in_production,
        limits_are_enforced,
        no_plaintext_secrets,
        no_plaintext_secrets_in_a_plan,
        deletes_within_the_budget,
        what_is_over_the_budget_is_named,
        data_goes_only_when_asked_for,
        effects_are_known,
        protected_environments_need_another_person,
    ] {
        cases();
    }
    let asked = ASKED.take();
    let said = |findings: &[Finding]| -> Vec<(Verdict, Severity, Option<String>, String)> {
        findings.iter().map(|f| (f.verdict, f.severity, f.at.clone(), f.message.clone())).collect()
    };
    let libraries = [pack::library()];
    let (mut caught, mut survivors) = (0, Vec::new());
    for built_in in BUILT_IN.iter() {
        let (id, file) = (&built_in.header.id, &built_in.header.file);
        let text = std::fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        for (change, text) in mutants(&text) {
            let mutant = Rule::compile(&rule::Source { file: file.clone(), text }, &libraries);
            let survives = mutant.is_ok_and(|mutant| {
                let mut cases = asked.iter().filter(|(rule, ..)| rule == id);
                cases.all(|(_, document, before)| said(&ask(&mutant, document)) == said(before))
            });
            let change = format!("{file} {change}");
            if !survives {
                caught += 1;
            } else if !EQUIVALENT.contains(&change.as_str()) {
                survivors.push(change);
            }
        }
    }
    println!("{caught} mutants caught");
    assert!(survivors.is_empty(), "{caught} caught, {} not: {survivors:#?}", survivors.len());
}
