//! Nouns for the snapshots: a web app with its database.

use std::collections::BTreeMap;

use code_core::checks::{Approval, How};
use code_core::diagnostic::Note;
use code_core::event::{Body, Event, OnFailure, Outcome};
use code_core::expr::{Expr, Want};
use code_core::intent::{Action as Asked, Intent, Kind};
use code_core::parser::Parsed;
use code_core::plan::{Chain, Plan, Step};
use code_core::provider::{Action, Change, Class, Effects, Live, Observed, Promise, Resource, Reversal};
use code_core::request::{Request, Span};
use code_core::scanner::{Cost, CostItem, Finding, Report, Severity, Verdict};
use code_core::spec::{Component, Origin, Origins, Replicas, Spec};
use code_core::status::State;
use code_core::store::Seq;
use code_core::{Digest, Error, ErrorKind, Key, RunId, StepId};
use jiff::Timestamp;

pub(crate) const SENTENCE: &str = "Deploy a web app with databse to staging";

pub(crate) fn parsed() -> (String, Parsed) {
    let mut intent = Intent::new(Asked::Deploy);
    intent.environment = Some("staging".into());
    let component = |kind| code_core::intent::Component { kind: Some(kind), ..Default::default() };
    intent.components = vec![component(Kind::Web), component(Kind::Database)];
    intent.components[0].depends_on = vec!["database".into()];
    let at = |words: &str| {
        let start = SENTENCE.find(words).unwrap();
        vec![Span::new(start, start + words.len())]
    };
    let evidence = BTreeMap::from([
        ("/0/action".to_owned(), at("Deploy")),
        ("/0/environment".to_owned(), at("staging")),
        ("/0/components/0/kind".to_owned(), at("web app")),
        ("/0/components/0/depends_on".to_owned(), at("with")),
        ("/0/components/1/kind".to_owned(), at("databse")),
    ]);
    let notes = vec![Note::warning("nlp::spelling", "read `databse` as `database`").at(at("databse")[0])];
    (SENTENCE.to_owned(), Parsed { intents: vec![intent], evidence, notes })
}

pub(crate) fn spec() -> (Spec, Origins) {
    let mut web = Component::new("web", Kind::Web);
    web.source = Some("sample".into());
    web.start = Some(vec!["deploy".into(), "sample-app".into()]);
    web.replicas = Replicas { min: 1, max: 1 };
    web.port = Some(8080);
    web.depends_on = vec!["db".into()];
    let mut db = Component::new("db", Kind::Database);
    db.engine = Some("sqlite".into());
    let spec = Spec { components: vec![web, db], ..Spec::new("shop", "staging") };
    let request = |words: &str| Origin::Request { spans: vec![Span::new(0, 1)], words: words.into() };
    let mut origins: Origins =
        spec.leaves().into_iter().map(|leaf| (leaf, Origin::default("one is enough"))).collect();
    for (leaf, origin) in [
        ("/environment", request("staging")),
        ("/components/0/kind", request("web app")),
        ("/components/0/depends_on", request("with")),
        ("/components/1/kind", request("database")),
        ("/components/1/engine", Origin::default("no PostgreSQL programs in PATH")),
        (
            "/components/0/port",
            Origin::Setting { path: "code.toml".into(), line: 7, key: "environments.staging.port".into() },
        ),
    ] {
        origins.insert(leaf.to_owned(), origin);
    }
    (spec, origins)
}

pub(crate) fn reports() -> Vec<Report> {
    let (spec, _) = spec();
    let finding = |rule, at, verdict, message: &str| Finding::new(rule, at, verdict, message);
    vec![Report {
        scanner: "rego".into(),
        subject: spec.digest(),
        findings: vec![
            finding(
                "limits.memory",
                Some("/components/0"),
                Verdict::Unknown,
                "nobody said how much memory `web` may take",
            ),
            finding("secrets.no-plaintext", None, Verdict::Pass, "no secret stands in the spec"),
            finding(
                "network.no-public-database",
                Some("/components/1/public"),
                Verdict::Fail,
                "the database would be reachable from outside",
            )
            .help("take `public` from `db`"),
            finding("tls.public-host", Some("/components/0"), Verdict::Fail, "no TLS")
                .severity(Severity::Low),
        ],
        cost: None,
    }]
}

pub(crate) fn cost() -> Cost {
    Cost {
        currency: "USD".into(),
        items: vec![
            CostItem { at: "web".into(), monthly: Some(12.5), why: "price list".into() },
            CostItem { at: "db".into(), monthly: None, why: "no price for this region".into() },
        ],
    }
}

fn resource(address: &str, kind: &str, want: Want) -> Resource {
    Resource::new(address.parse().unwrap(), kind, want)
}

fn step(change: Change, needs: &[u32]) -> Step {
    Step {
        id: StepId(0),
        provider: "process".into(),
        class: Class::Io,
        symbolic: change.resource.want.clone(),
        begun_before: false,
        change,
        needs: needs.iter().map(|id| StepId(*id)).collect(),
    }
}

pub(crate) fn plan(mut steps: Vec<Step>) -> Plan {
    for (i, step) in steps.iter_mut().enumerate() {
        step.id = StepId(i as u32);
    }
    Plan {
        version: 1,
        id: Digest::ZERO,
        deployment: "shop/staging".parse().unwrap(),
        revision: 1,
        spec: Some(spec().0),
        protected: false,
        delete_data: false,
        rollback: None,
        follows: None,
        delete_budget: 10,
        origins: spec().1,
        chain: Chain::default(),
        base: Seq::START,
        observations: Digest::ZERO,
        steps,
        unchanged: Vec::new(),
        kept: Vec::new(),
        cost: Some(Cost {
            currency: "USD".into(),
            items: vec![CostItem { at: "web".into(), monthly: Some(0.0), why: "own machine".into() }],
        }),
    }
    .sealed()
}

fn create(address: &str, kind: &str, want: Want, needs: &[u32]) -> Step {
    let resource = resource(address, kind, want);
    step(Change::create(&resource, Effects::one(Action::Create, address)).why("not there"), needs)
}

pub(crate) fn first_plan() -> Plan {
    let db = "db/endpoint".parse().unwrap();
    let process = "web/process.r1.0".parse().unwrap();
    let mut data = create("db/endpoint", "sqlite.database", Want::new().with("path", "/s/data/db"), &[]);
    data.change.reversal =
        Reversal::Compensable { to: Box::new(data.change.resource.gone()), but: "the file is kept".into() };
    let mut web = create(
        "web/process.r1.0",
        "process",
        Want::new()
            .with("env.DATABASE_URL", Expr::output(&db, "url"))
            .with("env.TOKEN", Expr::secret("shop/staging/web/token"))
            .with("program", "deploy"),
        &[0, 1],
    );
    web.change = web.change.output("port", Promise::Later);
    plan(vec![
        create("web/release", "release", Want::new().with("source", "sample"), &[]),
        data,
        web,
        create(
            "web/endpoint",
            "route",
            Want::new().with("target.0", Expr::output(&process, "address")),
            &[2],
        ),
    ])
}

pub(crate) fn mixed_plan() -> Plan {
    let live = |id: &str| Live {
        id: id.into(),
        was: Want::new().with("memory", "256Mi"),
        outputs: BTreeMap::new(),
        drift: Vec::new(),
    };
    let old = resource("web/process.r1.0", "process", Want::new());
    let gone = Change::from_live(
        Action::Delete,
        &old.gone(),
        &live("17"),
        Effects::one(Action::Delete, "process 17"),
    );
    let route = resource("web/endpoint", "route", Want::new().with("memory", "512Mi"));
    let switched =
        Change::from_live(Action::Update, &route, &live("r"), Effects::one(Action::Update, "route"));
    let data = resource("cache/data", "volume", Want::new());
    let lost =
        Change::from_live(Action::Delete, &data.gone(), &live("v"), Effects::one(Action::Delete, "volume"))
            .reversal(Reversal::Irreversible("what is in it is lost".into()));
    let mut plan = plan(vec![
        create("web/process.r2.0", "process", Want::new(), &[]),
        step(switched.why("release changed"), &[0]),
        step(gone, &[1]),
        step(lost, &[1]),
    ]);
    plan.revision = 2;
    plan.unchanged = vec!["db/server".parse().unwrap(), "web/release".parse().unwrap()];
    plan.kept = vec!["db/data".parse().unwrap()];
    plan.cost = None;
    plan.sealed()
}

pub(crate) fn large_plan(components: usize, deletes: usize) -> Plan {
    plan(
        (0..components)
            .map(|i| {
                let address = format!("component-{i}/process");
                if i < deletes {
                    let resource = resource(&address, "process", Want::new());
                    let live = Live {
                        id: "1".into(),
                        was: Want::new(),
                        outputs: BTreeMap::new(),
                        drift: Vec::new(),
                    };
                    step(
                        Change::from_live(
                            Action::Delete,
                            &resource.gone(),
                            &live,
                            Effects::one(Action::Delete, &address),
                        ),
                        &[],
                    )
                } else {
                    create(&address, "process", Want::new(), &[])
                }
            })
            .collect(),
    )
}

pub(crate) fn events() -> Vec<(Seq, Event)> {
    let plan = first_plan();
    let (text, parsed) = parsed();
    let start: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
    let run = RunId(1);
    let started = |step: u32, attempt| Body::StepStarted {
        run,
        step: StepId(step),
        undo: false,
        attempt,
        key: Key::of(plan.id, StepId(step), false),
    };
    let live = |outputs: &[(&str, &str)]| Live {
        id: "x".into(),
        was: Want::new(),
        outputs: outputs.iter().map(|(name, value)| ((*name).to_owned(), Expr::from(*value))).collect(),
        drift: Vec::new(),
    };
    let done = |step: u32, outputs: &[(&str, &str)]| Body::StepDone {
        run,
        step: StepId(step),
        undo: false,
        live: Some(live(outputs)),
    };
    let request = Request::new(text, "alice", start).unwrap();
    let bodies = vec![
        Body::Requested { request },
        Body::Understood { request: None, parser: "grammar".into(), parsed },
        Body::Judged { reports: reports(), accepted: vec!["a1b2c3d4".into()] },
        Body::Planned { plan: Box::new(plan.clone()) },
        Body::Approved {
            approval: Approval { plan: plan.id, by: "alice".into(), at: start, how: How::Prompt },
        },
        Body::RunStarted {
            run,
            plan: plan.id,
            holder: "alice (pid 7)".into(),
            on_failure: OnFailure::RollBack,
        },
        started(0, 1),
        started(1, 1),
        Body::StepRetries {
            run,
            step: StepId(1),
            undo: false,
            attempt: 1,
            after_ms: 500,
            error: Error::new(ErrorKind::Failed, "sqlite::busy", "open the database").transient(),
            untouched: false,
        },
        done(0, &[]),
        started(1, 2),
        done(1, &[]),
        started(2, 1),
        done(2, &[]),
        started(3, 1),
        done(3, &[("url", "http://127.0.0.1:8080")]),
        Body::RunEnded { run, outcome: Outcome::Succeeded },
    ];
    bodies
        .into_iter()
        .enumerate()
        .map(|(i, body)| {
            let at = start + jiff::SignedDuration::from_secs(i as i64);
            (Seq(i as u64 + 1), Event { at, body })
        })
        .collect()
}

pub(crate) fn failing_events() -> Vec<(Seq, Event)> {
    let mut events = events();
    events.truncate(13);
    let at = events[12].1.at + jiff::SignedDuration::from_secs(1);
    let run = RunId(1);
    let error = Error::new(ErrorKind::Failed, "process::unhealthy", "see `web` become healthy")
        .with("log", "/s/logs/shop@staging/run-1/step-2.1.log")
        .help("read its log");
    for body in [
        Body::StepFailed {
            run,
            step: StepId(2),
            undo: false,
            error,
            left: Observed::Absent,
            untouched: false,
        },
        Body::StepSkipped { run, step: StepId(3), why: "`web/process.r1.0` failed".into() },
        Body::UndoStarted { run, why: "`web/process.r1.0` failed".into() },
        Body::StepDone { run, step: StepId(1), undo: true, live: None },
        Body::StepDone { run, step: StepId(0), undo: true, live: None },
        Body::RunEnded { run, outcome: Outcome::RolledBack },
    ] {
        let seq = Seq(events.len() as u64 + 1);
        events.push((seq, Event { at, body }));
    }
    events
}

pub(crate) fn state() -> State {
    State::fold(&events())
}

pub(crate) fn statuses() -> Vec<code_core::engine::Status> {
    use code_core::engine::{ResourceStatus, Status};
    let state = state();
    let good = state
        .inventory
        .iter()
        .map(|(address, recorded)| ResourceStatus {
            address: address.clone(),
            kind: recorded.kind.clone(),
            kept: false,
            observed: Observed::Present(recorded.live.clone()),
            drift: Vec::new(),
        })
        .collect();
    let bad = |address: &str, kind: &str, observed, drift: &[&str], kept| ResourceStatus {
        address: address.parse().unwrap(),
        kind: kind.into(),
        kept,
        observed,
        drift: drift.iter().map(|why| (*why).to_owned()).collect(),
    };
    let live = Live { id: "17".into(), was: Want::new(), outputs: BTreeMap::new(), drift: Vec::new() };
    vec![
        Status {
            damage: None,
            outdated: vec![],
            owed: vec![],
            deployment: "shop/staging".parse().unwrap(),
            revision: Some(1),
            resources: good,
            run: state.run,
        },
        Status {
            damage: None,
            owed: vec![],
            outdated: vec!["replicas of web: it is 1, and code.toml:2 says 3".to_owned()],
            deployment: "shop/test".parse().unwrap(),
            revision: None,
            resources: vec![
                bad(
                    "db/data",
                    "postgres.data",
                    Observed::Present(live.clone()),
                    &["another process listens on port 5433"],
                    false,
                ),
                bad("old/data", "postgres.data", Observed::Present(live), &[], true),
                bad("web/process.r1.0", "process", Observed::Absent, &["it is gone"], false),
                bad(
                    "web/process.r1.1",
                    "process",
                    Observed::Unknown("no right".into()),
                    &["it cannot be observed: no right"],
                    false,
                ),
            ],
            run: None,
        },
    ]
}
