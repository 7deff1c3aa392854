//! What typical specs are made of, as snapshots. The server's word on them is in `tests/kubernetes`.

use code_core::intent::{Kind, Platform};
use code_core::provider::Resource;
use code_core::spec::{Component, HealthCheck, Replicas, Spec, Target};
use code_core::status::Inventory;
use code_core::{Address, Expr, Result};
use serde_json::Value;

use super::kubernetes;
use crate::recipes::samples::{self, db, refused};

fn web() -> Component {
    Component {
        image: Some("registry.example/shop:1".into()),
        health: Some(HealthCheck { path: Some("/health".into()), timeout_seconds: 30 }),
        depends_on: vec!["db".into()],
        ..Component::new("web", Kind::Web)
    }
}

fn resources(components: Vec<Component>) -> Result<Vec<Resource>> {
    let target = Target { platform: Platform::Kubernetes, ..Target::default() };
    let spec = Spec { components, target, ..Spec::new("shop", "staging") };
    samples::resources(&kubernetes(), &spec, 1, &Inventory::new())
}

/// Each resource with what it needs, and its manifest line by line.
fn rendered(components: Vec<Component>) -> String {
    let mut text = String::new();
    for resource in resources(components).unwrap() {
        let kept = samples::kept(&resource);
        let needs: Vec<String> = resource.depends_on.iter().map(Address::to_string).collect();
        text += &format!("{}{kept} <- {}\n", resource.address, needs.join(" "));
        for (name, value) in &resource.wanted().0 {
            match value {
                Expr::Known(Value::Object(manifest)) => {
                    manifest.iter().for_each(|(name, value)| text += &format!("  {name}: {value}\n"));
                }
                value => text += &format!("  {name} = {}\n", serde_json::to_string(value).unwrap()),
            }
        }
    }
    text
}

#[test]
fn a_web_app_with_postgresql() {
    insta::assert_snapshot!(rendered(vec![web(), db("postgresql")]));
}

#[test]
fn a_public_api_that_scales_and_a_worker_that_is_stopped() {
    let api = Component {
        kind: Kind::Api,
        name: "api".into(),
        replicas: Replicas { min: 2, max: 6 },
        host: Some("api.example".into()),
        tls: Some(true),
        env: [("PRICE".to_owned(), "$(5)".to_owned())].into(),
        depends_on: vec!["mail".into()],
        restarts: 2,
        ..web()
    };
    let mail = Component {
        kind: Kind::Worker,
        name: "mail".into(),
        start: Some(vec!["mail".into(), "--all".into()]),
        health: None,
        depends_on: Vec::new(),
        stopped: true,
        ..web()
    };
    insta::assert_snapshot!(rendered(vec![api, mail]));
}

#[test]
fn a_migration_and_a_nightly_report() {
    let migration = Component {
        start: Some(vec!["migrate".into()]),
        depends_on: vec!["db".into()],
        image: web().image,
        ..Component::new("migration", Kind::Job)
    };
    let report = Component {
        schedule: Some("0 3 * * *".into()),
        image: web().image,
        stopped: true,
        depends_on: vec!["migration".into()],
        ..Component::new("report", Kind::Cron)
    };
    let all = rendered(vec![db("postgresql"), migration, report]);
    let from = all.find("migration/account").unwrap();
    insta::assert_snapshot!(all[from..]);
}

#[test]
fn what_cannot_be_given_is_refused_with_help() {
    let check = |component: Component, code: &str, part: &str| {
        refused(&resources(vec![component]).unwrap_err(), code, part);
    };
    let alone = || Component { depends_on: Vec::new(), ..web() };
    check(Component { image: None, ..alone() }, "recipe::incomplete", "image");
    check(Component { name: "1st".into(), ..alone() }, "recipe::unsupported", "name");
    check(Component { tls: Some(true), ..alone() }, "recipe::unsupported", "TLS");
    check(Component { kind: Kind::Worker, public: true, ..alone() }, "recipe::unsupported", "address");
    check(Component { kind: Kind::Cron, health: None, ..alone() }, "recipe::incomplete", "schedule");
    check(Component { kind: Kind::Job, ..alone() }, "recipe::unsupported", "health");
    check(Component { schedule: Some("* * * * *".into()), ..alone() }, "recipe::unsupported", "schedule");
    check(db("mysql"), "recipe::unsupported", "mysql");
    check(
        Component { replicas: Replicas { min: 2, max: 2 }, ..db("postgresql") },
        "recipe::unsupported",
        "replicated",
    );
    check(Component::new("cdn", Kind::Cdn), "recipe::unsupported", "cdn");
}
