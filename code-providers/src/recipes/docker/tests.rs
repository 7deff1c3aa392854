//! What typical specs are made of, as snapshots. A real daemon's word on them is in the story `docker`.

use code_core::intent::{Kind, Platform};
use code_core::provider::Resource;
use code_core::spec::{Component, HealthCheck, Replicas, Spec, Target};
use code_core::status::Inventory;
use code_core::{Digest, Result};

use super::docker;
use crate::recipes::samples::{self, db, refused, show};

fn web() -> Component {
    Component {
        source: Some("sample".into()),
        release: Some(Digest::of(b"one")),
        health: Some(HealthCheck { path: Some("/health".into()), timeout_seconds: 30 }),
        depends_on: vec!["db".into()],
        ..Component::new("web", Kind::Web)
    }
}

fn resources(components: Vec<Component>) -> Result<Vec<Resource>> {
    let target = Target { platform: Platform::Docker, ..Target::default() };
    let spec = Spec { components, target, ..Spec::new("shop", "staging") };
    samples::resources(&docker(), &spec, 1, &Inventory::new())
}

fn rendered(components: Vec<Component>) -> String {
    show(&resources(components).unwrap())
}

#[test]
fn a_web_app_with_postgresql() {
    insta::assert_snapshot!(rendered(vec![web(), db("postgresql")]));
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
    let stopped = [web(), db("postgresql")].map(|component| Component { stopped: true, ..component });
    let left: Vec<String> = resources(stopped.into()).unwrap().iter().map(|one| one.kind.clone()).collect();
    assert!(left.contains(&"container.volume".to_owned()) && left.contains(&"route".to_owned()));
    assert!(!left.contains(&"container".to_owned()));
}

#[test]
fn what_cannot_be_given_is_refused_with_help() {
    let check = |change: &dyn Fn(&mut Component, &mut Component), part: &str| {
        let (mut web, mut db) = (web(), db("postgresql"));
        change(&mut web, &mut db);
        refused(&resources(vec![web, db]).unwrap_err(), "recipe::unsupported", part);
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
