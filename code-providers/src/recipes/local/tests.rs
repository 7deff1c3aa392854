//! What typical specs are made of, as snapshots, and the rules that hold for every spec.

use std::collections::{BTreeMap, BTreeSet};

use code_core::intent::Kind;
use code_core::provider::{Live, Resource};
use code_core::spec::{Component, HealthCheck, Replicas, Spec};
use code_core::status::{Inventory, Recorded};
use code_core::{Address, Digest, Error, Expr, Result};
use proptest::prelude::*;

use super::local;
use crate::recipes::samples::{self, db, refused, show};

fn spec(components: Vec<Component>) -> Spec {
    Spec { components, ..Spec::new("shop", "staging") }
}

fn web() -> Component {
    Component {
        source: Some("sample".into()),
        release: Some(Digest::of(b"one")),
        port: Some(8080),
        health: Some(HealthCheck { path: Some("/health".into()), timeout_seconds: 30 }),
        depends_on: vec!["db".into()],
        ..Component::new("web", Kind::Web)
    }
}

fn worker() -> Component {
    Component {
        source: Some("/src/mail".into()),
        release: Some(Digest::of(b"mail")),
        start: Some(vec!["./bin/mail".into(), "--all".into()]),
        ..Component::new("mail", Kind::Worker)
    }
}

fn resources(spec: &Spec, revision: u64, inventory: &Inventory) -> Result<Vec<Resource>> {
    samples::resources(&local(), spec, revision, inventory)
}

/// The inventory after a run that made all of these.
fn made(resources: &[Resource], revision: u64) -> Inventory {
    let recorded = |resource: &Resource| Recorded {
        kind: resource.kind.clone(),
        live: Live {
            id: resource.address.to_string(),
            was: resource.wanted(),
            outputs: BTreeMap::new(),
            drift: Vec::new(),
        },
        needs: resource.dependencies().into_iter().collect(),
        on_delete: resource.on_delete,
        kept: false,
        revision,
    };
    resources.iter().map(|resource| (resource.address.clone(), recorded(resource))).collect()
}

fn rendered(components: Vec<Component>) -> String {
    show(&resources(&spec(components), 3, &Inventory::new()).unwrap())
}

#[test]
fn a_web_app_with_postgresql() {
    insta::assert_snapshot!(rendered(vec![web(), db("postgresql")]));
}

#[test]
fn two_replicas_of_an_api_with_sqlite() {
    let mut api = Component { name: "my-api".into(), kind: Kind::Api, port: None, ..web() };
    api.health = None;
    api.replicas = Replicas { min: 2, max: 2 };
    api.memory = Some("512Mi".into());
    api.cpu = Some(0.5);
    api.host = Some("api.example".into());
    api.env = [("LEVEL".to_owned(), "debug".to_owned())].into();
    insta::assert_snapshot!(rendered(vec![api, db("sqlite")]));
}

#[test]
fn an_app_that_waits_for_a_worker_and_is_built() {
    let shop = Component {
        build: Some(vec!["cargo".into(), "build".into(), "--release".into()]),
        start: Some(vec!["target/release/shop".into()]),
        source: Some("/src/my shop".into()),
        depends_on: vec!["mail".into()],
        ..web()
    };
    insta::assert_snapshot!(rendered(vec![shop, worker()]));
}

#[test]
fn a_stopped_deployment_keeps_its_release_its_address_and_its_data() {
    let stopped = [web(), db("postgresql")].map(|component| Component { stopped: true, ..component });
    insta::assert_snapshot!(rendered(stopped.to_vec()));
}

fn refusal(components: Vec<Component>, change: impl FnOnce(&mut Spec)) -> Error {
    let mut spec = spec(components);
    change(&mut spec);
    resources(&spec, 1, &Inventory::new()).unwrap_err()
}

#[test]
fn what_this_platform_cannot_give_is_refused_with_help() {
    let check = |change: &dyn Fn(&mut Component, &mut Component), part: &str| {
        let (mut web, mut db) = (web(), db("postgresql"));
        change(&mut web, &mut db);
        refused(&refusal(vec![web, db], |_| {}), "recipe::unsupported", part);
    };
    check(&|_, db| db.engine = Some("mysql".into()), "mysql");
    check(&|_, db| db.engine = None, "no engine");
    check(&|web, _| web.kind = Kind::Cache, "cache");
    check(&|web, _| web.kind = Kind::Cron, "cron");
    check(&|web, _| web.public = true, "other machines");
    check(&|web, _| web.tls = Some(true), "TLS");
    check(&|web, _| web.image = Some("nginx".into()), "image");
    check(&|web, _| web.replicas = Replicas { min: 2, max: 10 }, "scale by itself");
    check(&|web, _| drop(web.env.insert("PORT".into(), "1".into())), "port by `env`");
    check(&|_, db| db.replicas = Replicas { min: 2, max: 2 }, "replicated");
    check(&|_, db| db.backups = Some(true), "backed up");
    check(&|_, db| db.encrypted = Some(true), "encrypted");

    let elsewhere = refusal(vec![web(), db("postgresql")], |spec| {
        spec.target.platform = code_core::intent::Platform::Aws;
    });
    assert_eq!(elsewhere.code(), "recipe::unsupported");
    assert!(elsewhere.message().contains("aws") && elsewhere.help_text().unwrap().contains("local"));
}

#[test]
fn what_is_incomplete_is_said() {
    let check = |change: &dyn Fn(&mut Component, &mut Component), code: &str| {
        let (mut web, mut db) = (web(), db("postgresql"));
        change(&mut web, &mut db);
        assert_eq!(refusal(vec![web, db], |_| {}).code(), code);
    };
    check(&|web, _| web.source = None, "recipe::incomplete");
    check(&|web, _| web.release = None, "recipe::incomplete");
    check(&|web, _| web.source = Some("/src".into()), "recipe::incomplete");
    check(&|web, _| web.start = Some(vec!["../../bin/sh".into()]), "recipe::outside");
    check(&|_, db| db.stopped = true, "recipe::dependency-stopped");
}

/// The resources of a later revision of `change`d components, after `web` and its database were made in
/// revision 1.
fn later(change: impl FnOnce(&mut Component)) -> (Vec<Resource>, Vec<Resource>) {
    let mut spec = spec(vec![web(), db("postgresql")]);
    let first = resources(&spec, 1, &Inventory::new()).unwrap();
    change(&mut spec.components[0]);
    let then = resources(&spec, 2, &made(&first, 1)).unwrap();
    (first, then)
}

fn process_addresses(resources: &[Resource]) -> Vec<&str> {
    let processes = resources.iter().filter(|r| r.address.resource().starts_with("process."));
    processes.map(|r| r.address.as_str()).collect()
}

#[test]
fn only_what_makes_a_process_gives_it_a_new_address() {
    let check = |change: &dyn Fn(&mut Component), addresses: &[&str]| {
        assert_eq!(process_addresses(&later(change).1), addresses);
    };
    check(&|_| {}, &["web/process.r1.0"]);
    check(&|web| web.port = Some(9090), &["web/process.r1.0"]);
    check(&|web| web.replicas = Replicas { min: 2, max: 2 }, &["web/process.r1.0", "web/process.r1.1"]);
    check(&|web| web.restarts = 1, &["web/process.r2.0"]);
    check(&|web| web.release = Some(Digest::of(b"two")), &["web/process.r2.0"]);
    check(&|web| drop(web.env.insert("A".into(), "1".into())), &["web/process.r2.0"]);
    check(&|web| web.memory = Some("1Gi".into()), &["web/process.r2.0"]);
    check(&|web| web.depends_on.clear(), &["web/process.r2.0"]);
}

#[test]
fn ports_without_a_spec_are_stable_and_differ() {
    let bare = |name: &str| Component { port: None, name: name.into(), ..web() };
    let ports = |spec: &Spec| -> Vec<Expr> {
        let all = resources(spec, 1, &Inventory::new()).unwrap();
        all.iter().filter(|r| r.kind == "route").map(|r| r.wanted().get("port").unwrap().clone()).collect()
    };
    let spec = spec(vec![bare("web"), bare("api"), db("sqlite")]);
    let found = ports(&spec);
    assert_eq!(found, ports(&spec));
    assert_ne!(found[0], found[1]);
}

prop_compose! {
    fn any_web()(
        replicas in 1u32..6,
        restarts in 0u32..3,
        release in 0u8..4,
        env in prop::collection::btree_map("[A-Z]{1,4}", ".{0,8}", 0..3),
        stopped in any::<bool>(),
    ) -> Component {
        Component {
            replicas: Replicas { min: replicas, max: replicas },
            restarts,
            release: Some(Digest::of(&[release])),
            env,
            stopped,
            ..web()
        }
    }
}

proptest! {
    #[test]
    fn the_same_surroundings_give_the_same_resources(first in any_web(), then in any_web(), engine in "postgresql|sqlite") {
        let spec_of = |web: &Component| spec(vec![web.clone(), db(&engine)]);
        let made = made(&resources(&spec_of(&first), 1, &Inventory::new()).unwrap(), 1);
        let once = resources(&spec_of(&then), 2, &made).unwrap();
        prop_assert_eq!(&once, &resources(&spec_of(&then), 2, &made).unwrap());
        let addresses: BTreeSet<&Address> = once.iter().map(|r| &r.address).collect();
        prop_assert_eq!(addresses.len(), once.len(), "addresses are unique");
        for resource in &once {
            for needed in resource.dependencies() {
                prop_assert!(addresses.contains(&needed), "{} of {}", needed, resource.address);
            }
        }
    }

    #[test]
    fn more_replicas_leave_those_that_run_alone(web in any_web(), more in 1u32..5) {
        let web = Component { stopped: false, ..web };
        let first = resources(&spec(vec![web.clone(), db("sqlite")]), 1, &Inventory::new()).unwrap();
        let count = web.replicas.max + more;
        let scaled = Component { replicas: Replicas { min: count, max: count }, ..web };
        let then = resources(&spec(vec![scaled, db("sqlite")]), 2, &made(&first, 1)).unwrap();
        for old in first.iter().filter(|r| r.kind != "route") {
            prop_assert!(then.contains(old), "{} changed", old.address);
        }
        prop_assert_eq!(process_addresses(&then).len(), count as usize);
    }
}
