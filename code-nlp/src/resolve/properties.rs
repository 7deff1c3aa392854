//! Rules that hold for every request in every context.

use std::collections::BTreeSet;

use code_core::ErrorKind;
use code_core::event::Outcome;
use code_core::intent::{Action, Component, Constraints, Intent, Kind, Platform, Replicas, Target};
use code_core::parser::Parsed;
use code_core::request::{Request, Span};
use code_core::spec::{Origin, Origins, Spec};
use code_core::status::Revision;
use code_core::{Digest, Result};
use jiff::Timestamp;
use proptest::collection::{btree_map, vec};
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::select;

use super::{Ask, Change, Resolution, resolve};
use crate::context::{Context, History, Machine, Options, Postgresql};
use crate::settings::Settings;

const TEXT: &str = "a request with some words in it";

fn words(list: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(list).prop_map(str::to_owned)
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        3 => Just(Kind::Web),
        3 => Just(Kind::Database),
        1 => Just(Kind::Api),
        1 => Just(Kind::Worker),
        1 => select(Kind::ALL),
    ]
}

const NAMES: &[&str] = &["web", "db", "web-2", "shop", "orders", "api", "-bad-", "../x"];
fn environment() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        8 => Just(Some("staging".to_owned())),
        2 => Just(None),
        1 => words(&["production", "prod", "qa", "a b"]).prop_map(Some),
    ]
}

fn component() -> impl Strategy<Value = Component> {
    let what = (
        of(kind()),
        of(words(NAMES)),
        of(words(&["postgresql", "sqlite", "mysql", "redis", "wordpress"])),
        of(words(&["15", "16.2", "latest"])),
        of(words(&["nginx:1", "example.com/x/y@sha256:00"])),
        of(words(&["sample", ".", "web", "https://example.com/x.git"])),
    );
    let how = (
        of((of(0..5u32), of(0..5u32)).prop_map(|(min, max)| Replicas { min, max })),
        of(prop_oneof![Just(0.5), Just(2.0), Just(f64::NAN), Just(-1.0)]),
        of(words(&["512Mi", "lots"])),
        of(prop_oneof![Just(0u16), Just(8080), Just(9000)]),
        of(any::<bool>()),
        of(any::<bool>()),
        btree_map(words(&["A", "B/C", "D~E", "A=B"]), words(&["", "x"]), 0..3),
        vec(words(&["database", "db", "web", "cache", "shop"]), 0..3),
    );
    (what, how).prop_map(|((kind, name, engine, version, image, source), how)| {
        let (replicas, cpu, memory, port, public, tls, env, depends_on) = how;
        Component {
            kind,
            name,
            engine,
            version,
            image,
            source,
            replicas,
            cpu,
            memory,
            port,
            public,
            tls,
            env,
            depends_on,
            ..Component::default()
        }
    })
}

/// A component that nothing is wrong with.
fn plain_component() -> impl Strategy<Value = Component> {
    let kind = prop_oneof![4 => Just(Kind::Web), 3 => Just(Kind::Database), 1 => kind()];
    let what = (
        kind,
        weighted(0.2, words(&["web", "db", "shop", "orders"])),
        weighted(0.1, words(&["sqlite", "mysql"])),
    );
    let how =
        (of(1..5u32), of(words(&["512Mi"])), of(any::<bool>()), weighted(0.1, words(&["database", "web"])));
    (what, how).prop_map(|((kind, name, engine), (replicas, memory, public, depends_on))| Component {
        kind: Some(kind),
        name,
        engine,
        replicas: replicas.map(Replicas::exactly),
        memory,
        public,
        depends_on: depends_on.into_iter().collect(),
        ..Component::default()
    })
}

fn action() -> impl Strategy<Value = Action> {
    use Action::*;
    let all = [Update, Scale, Restart, Promote, Rollback, Destroy, Status, Logs, Scan, Cost, RotateSecrets];
    prop_oneof![3 => Just(Deploy), 2 => select(all.to_vec())]
}

fn intent() -> impl Strategy<Value = Intent> {
    let platform = weighted(0.1, select(vec![Platform::Local, Platform::Aws, Platform::Kubernetes]));
    let limits = weighted(0.2, prop_oneof![Just(10.0), Just(1000.0)]);
    let place = (weighted(0.1, words(&["shop", "blog"])), environment(), environment());
    // Most of it is in order, so that most requests get as far as a spec.
    let part = prop_oneof![6 => plain_component(), 1 => component()];
    (action(), place, vec(part, 0..4), platform, limits, weighted(0.2, any::<bool>())).prop_map(
        |(action, (application, environment, source), components, platform, budget, dry_run)| Intent {
            dry_run,
            application,
            environment,
            source_environment: source,
            components,
            target: Target { platform, ..Target::default() },
            constraints: Constraints { budget_monthly: budget, ..Constraints::default() },
            ..Intent::new(action)
        },
    )
}

const SETTINGS: &[&str] = &[
    "",
    "application = 'shop'\n[environments.staging]\nprotected = true\ndelete_budget = 3\n",
    "[environments.prod]\nbudget = { monthly = 50 }\n[environments.staging]\nread_only = true\n",
    "[components.web]\nkind = 'web'\nreplicas = { min = 2, max = 3 }\nport = 9000\ndepends_on = ['db']\nenv = { 'A/B' = 'x' }\n[components.db]\nkind = 'database'\nengine = 'pg'\n",
    "[components.orders]\nkind = 'database'\n[environments.staging.components.orders]\nengine = 'sqlite'\n",
];

fn context() -> impl Strategy<Value = Context> {
    (select(SETTINGS), any::<bool>(), weighted(0.1, words(&["staging", "qa"])), weighted(0.1, Just(true)))
        .prop_map(|(settings, postgresql, environment, dry_run)| Context {
            dir: "/home/me/shop".into(),
            settings: Settings::parse("code.toml", settings.as_bytes()).unwrap(),
            machine: Machine {
                free_ports: (8080..8100).collect(),
                postgresql: postgresql.then(|| Postgresql { bin_dir: "/pg/bin".into(), major: 15 }),
                ..Machine::default()
            },
            options: Options { environment, dry_run: dry_run.is_some(), ..Options::default() },
            ..Context::default()
        })
}

fn ask(intents: Vec<Intent>, context: &Context) -> Result<Resolution> {
    let request = Request::new(TEXT, "me", Timestamp::UNIX_EPOCH).unwrap();
    let mut parsed = Parsed { intents, ..Parsed::default() };
    for index in 0..parsed.intents.len() {
        parsed.evidence.insert(format!("/{index}/action"), vec![Span::new(2, 9)]);
        parsed.evidence.insert(format!("/{index}/components/0/replicas"), vec![Span::new(10, 14)]);
    }
    resolve(Some(&request), &parsed, context)
}

fn changes(resolution: &Resolution) -> impl Iterator<Item = &Change> {
    resolution.asks.iter().filter_map(|ask| match ask {
        Ask::Change(change) | Ask::Cost(change) | Ask::Scan(change) | Ask::Rollback { change, .. } => {
            Some(change)
        }
        _ => None,
    })
}

/// A spec is good, and each of its values has exactly one origin, which has words where it is a request's.
fn whole(spec: &Spec, origins: &Origins) {
    spec.check().unwrap();
    let leaves: BTreeSet<String> = spec.leaves().into_iter().collect();
    let told: BTreeSet<String> = origins.keys().cloned().collect();
    assert_eq!(leaves, told);
    for origin in origins.values() {
        if let Origin::Request { spans, words } = origin {
            assert!(!spans.is_empty() && !words.is_empty());
            assert!(spans.iter().all(|span| !span.of(TEXT).is_empty()));
        }
    }
}

fn deployed(context: &mut Context, change: &Change) {
    let mut all: Vec<_> = context.history.iter().map(|(d, r)| (d.clone(), r.to_vec())).collect();
    let revision = |number| Revision {
        number,
        spec: Some(change.spec.clone()),
        origins: change.origins.clone(),
        plan: Digest::ZERO,
        at: Timestamp::UNIX_EPOCH,
        outcome: Some(Outcome::Succeeded),
        bad: false,
    };
    match all.iter_mut().find(|(deployment, _)| *deployment == change.deployment) {
        Some((_, revisions)) => revisions.push(revision(revisions.len() as u64 + 1)),
        None => all.push((change.deployment.clone(), vec![revision(1)])),
    }
    context.history = History::new(all);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn every_value_has_one_origin_and_every_refusal_has_help(
        requests in vec(vec(intent(), 1..3), 1..5),
        context in context(),
    ) {
        let mut context = context;
        let part = |kind| Component { kind: Some(kind), ..Component::default() };
        let mut first = Intent::new(Action::Deploy);
        first.environment = Some("staging".into());
        first.components = vec![part(Kind::Web), part(Kind::Database)];
        for intents in std::iter::once(vec![first]).chain(requests) {
            match ask(intents, &context) {
                Ok(mut resolution) => {
                    let made: Vec<Change> = changes(&resolution).cloned().collect();
                    for change in &made {
                        whole(&change.spec, &change.origins);
                    }
                    for ask in &mut resolution.asks {
                        if let Ask::Change(change) = ask {
                            change.release(|component| Ok(Digest::of(component.name.as_bytes()))).unwrap();
                            whole(&change.spec, &change.origins);
                            deployed(&mut context, change);
                        }
                    }
                }
                Err(error) => {
                    prop_assert!(error.kind() != ErrorKind::Bug, "{error:?}");
                    prop_assert!(error.help_text().is_some(), "{error:?}");
                }
            }
        }
    }

    #[test]
    fn the_same_request_again_changes_nothing(
        components in vec(plain_component(), 1..4),
        context in context(),
    ) {
        let mut context = context;
        let mut request = Intent::new(Action::Deploy);
        request.environment = Some(context.options.environment.clone().unwrap_or("staging".into()));
        request.components = components;
        let Ok(first) = ask(vec![request.clone()], &context) else { return Ok(()) };
        let first = changes(&first).next().cloned().unwrap();
        deployed(&mut context, &first);
        // What is free and what is installed moves; the deployment does not.
        context.machine.free_ports.reverse();
        context.machine.postgresql.get_or_insert(Postgresql { bin_dir: "/pg/bin".into(), major: 15 });
        let second = ask(vec![request], &context);
        prop_assert!(second.is_ok(), "{second:?}");
        let second = second.unwrap();
        let second = changes(&second).next().unwrap();
        prop_assert_eq!(&second.spec, &first.spec);
    }

    #[test]
    fn a_scale_touches_one_component(
        components in vec(plain_component(), 1..4),
        context in context(),
        replicas in 1..9u32,
    ) {
        let mut context = context;
        let mut request = Intent::new(Action::Deploy);
        request.environment = Some(context.options.environment.clone().unwrap_or("staging".into()));
        request.components = components;
        let Ok(first) = ask(vec![request.clone()], &context) else { return Ok(()) };
        let first = changes(&first).next().cloned().unwrap();
        deployed(&mut context, &first);
        let name = first.spec.components[0].name.clone();
        request.action = Action::Scale;
        request.components =
            vec![Component { name: Some(name), replicas: Some(Replicas::exactly(replicas)), ..Component::default() }];
        let second = ask(vec![request], &context);
        prop_assert!(second.is_ok(), "{second:?}");
        let second = second.unwrap();
        let second = changes(&second).next().unwrap();
        let mut expect = first.spec.clone();
        expect.components[0].replicas = code_core::spec::Replicas { min: replicas, max: replicas };
        prop_assert_eq!(&second.spec, &expect);
        prop_assert!(second.unreleased.is_empty());
    }
}
