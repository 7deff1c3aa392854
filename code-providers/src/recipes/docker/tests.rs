//! What typical specs are made of, as snapshots. A real daemon's word on them is in the story `docker`.

use std::path::Path;

use code_core::intent::{Kind, Platform};
use code_core::provider::{OnDelete, Resource};
use code_core::recipe::At;
use code_core::spec::{Component, HealthCheck, Replicas, Spec, Target};
use code_core::status::Inventory;
use code_core::{Digest, Expr, Result};

use super::docker;

fn web() -> Component {
    Component {
        source: Some("sample".into()),
        release: Some(Digest::of(b"one")),
        health: Some(HealthCheck { path: Some("/health".into()), timeout_seconds: 30 }),
        depends_on: vec!["db".into()],
        ..Component::new("web", Kind::Web)
    }
}

fn db() -> Component {
    Component { engine: Some("postgresql".into()), ..Component::new("db", Kind::Database) }
}

fn resources(components: Vec<Component>) -> Result<Vec<Resource>> {
    let target = Target { platform: Platform::Docker, ..Target::default() };
    let spec = Spec { components, target, ..Spec::new("shop", "staging") };
    let mut all = Vec::new();
    for component in &spec.components {
        let (inventory, state_dir) = (&Inventory::new(), Path::new("/state"));
        let at = At { spec: &spec, component, revision: 1, inventory, state_dir };
        all.extend(docker()[0].resources(&at)?);
    }
    Ok(all)
}

fn rendered(components: Vec<Component>) -> String {
    let mut text = String::new();
    for resource in resources(components).unwrap() {
        let kept = if resource.on_delete == OnDelete::Retain { " (kept)" } else { "" };
        text += &format!("{} {}{kept}\n", resource.address, resource.kind);
        for (name, value) in &resource.wanted().0 {
            text += &format!("  {name} = {}\n", show(value));
        }
        for needed in &resource.depends_on {
            text += &format!("  needs {needed}\n");
        }
    }
    text
}

fn show(value: &Expr) -> String {
    match value {
        Expr::Known(value) => value.to_string(),
        Expr::Ref { address, output } => format!("<{address} {output}>"),
        Expr::Secret(name) => format!("secret {name}"),
        Expr::Text(parts) => parts.iter().map(show).collect::<Vec<_>>().join(" + "),
    }
}

#[test]
fn a_web_app_with_postgresql() {
    insta::assert_snapshot!(rendered(vec![web(), db()]));
}

#[test]
fn an_image_that_uses_an_api_which_is_built() {
    let api = Component {
        source: Some("/src/api".into()),
        build: Some(vec!["npm".into(), "ci".into()]),
        memory: Some("256Mi".into()),
        cpu: Some(0.5),
        replicas: Replicas { min: 2, max: 2 },
        depends_on: Vec::new(),
        ..Component { name: "api".into(), kind: Kind::Api, ..web() }
    };
    let shop = Component {
        source: None,
        release: None,
        image: Some("registry.example/shop:1".into()),
        start: Some(vec!["serve".into()]),
        depends_on: vec!["api".into()],
        ..web()
    };
    insta::assert_snapshot!(rendered(vec![shop, api]));
}

#[test]
fn what_is_stopped_keeps_its_data_and_its_address() {
    let stopped = [web(), db()].map(|component| Component { stopped: true, ..component });
    let left: Vec<String> = resources(stopped.into()).unwrap().iter().map(|one| one.kind.clone()).collect();
    assert!(left.contains(&"container.volume".to_owned()) && left.contains(&"route".to_owned()));
    assert!(!left.contains(&"container".to_owned()));
}

#[test]
fn what_cannot_be_given_is_refused_with_help() {
    let check = |change: &dyn Fn(&mut Component, &mut Component), part: &str| {
        let (mut web, mut db) = (web(), db());
        change(&mut web, &mut db);
        let error = resources(vec![web, db]).unwrap_err();
        assert_eq!(error.code(), "recipe::unsupported", "{error:?}");
        assert!(error.message().contains(part), "{error}");
        assert!(error.help_text().is_some_and(|help| !help.is_empty()));
    };
    check(&|_, db| db.engine = Some("sqlite".into()), "sqlite");
    check(&|web, _| web.kind = Kind::Cron, "cron");
    check(&|web, _| web.public = true, "other machines");
    check(&|web, _| web.tls = Some(true), "TLS");
    check(&|web, _| web.replicas = Replicas { min: 2, max: 10 }, "scale by itself");
    check(&|web, _| drop(web.env.insert("HOST".into(), "1".into())), "listens");
    check(&|_, db| db.replicas = Replicas { min: 2, max: 2 }, "replicated");
    check(&|_, db| db.backups = Some(true), "backed up");
    check(&|_, db| db.port = Some(7), "port");
}
