//! A run written by hand: what the tests of this crate look at.

use std::collections::BTreeMap;

use code_core::checks::{Approval, How};
use code_core::event::{Body, Event, OnFailure, Outcome};
use code_core::expr::{Expr, Want};
use code_core::intent::{Action as Asked, Component as Said, Intent, Kind};
use code_core::parser::Parsed;
use code_core::plan::{Chain, PLAN_VERSION, Plan, Step};
use code_core::provider::{Action, Change, Class, Effects, Live, Observed, Resource, Reversal};
use code_core::request::{Request, Span};
use code_core::scanner::{Cost, CostItem, Finding, Report, Severity, Verdict};
use code_core::spec::{Component, Origin, SPEC_VERSION, Spec, Target};
use code_core::store::Seq;
use code_core::{Digest, Error, ErrorKind, Key, RunId, StepId};
use jiff::Timestamp;

/// The events of a run whose web process failed twice, and that was taken back.
pub(crate) fn rolled_back() -> Vec<Event> {
    Journal::new(&same).rolled_back().into_iter().map(|(_, event)| event).collect()
}

/// The id of its plan.
pub(crate) fn plan_id() -> Digest {
    Journal::new(&same).plan.id
}

/// Says what is said.
pub(crate) fn same(text: &str) -> String {
    text.to_owned()
}

/// A journal that is written by hand; `say` is what becomes of every text that somebody else chooses.
pub(crate) struct Journal<'a> {
    pub(crate) events: Vec<(Seq, Event)>,
    say: &'a dyn Fn(&str) -> String,
    pub(crate) plan: Plan,
}

const BEGIN: i64 = 1_795_000_000_000;
const WORDS: &str = "Deploy a web app with database to staging";

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(BEGIN + ms).unwrap()
}

impl<'a> Journal<'a> {
    /// Asked, understood, judged, planned, approved, and run 1 begun at 0 ms.
    pub(crate) fn new(say: &'a dyn Fn(&str) -> String) -> Journal<'a> {
        // A request's own checks do not stand between a forged journal and the page.
        let request = Request { text: say(WORDS), who: say("ada"), at: at(-9_000) };
        let mut web = Said { kind: Some(Kind::Web), ..Said::default() };
        web.name = Some(say("web"));
        let intent = Intent { components: vec![web], ..Intent::new(Asked::Deploy) };
        let evidence = BTreeMap::from([
            ("/0/action".to_owned(), vec![Span::new(0, 6)]),
            ("/0/components/0/name".to_owned(), vec![Span::new(9, 16)]),
        ]);
        let note = code_core::diagnostic::Note::advice("nlp::advice", say("no version was said"));
        let parsed = Parsed { intents: vec![intent], evidence, notes: vec![note] };
        let plan = plan(&request, say);
        let mut journal = Journal { events: Vec::new(), say, plan: plan.clone() };
        let digest = request.digest();
        journal.push(-9_000, Body::Requested { request });
        journal.push(-8_990, Body::Understood { request: Some(digest), parser: say("grammar"), parsed });
        let reports = vec![report(&plan, say)];
        let accepted = vec![reports[0].findings[1].id.clone()];
        journal.push(-8_000, Body::Planned { plan: Box::new(plan.clone()) });
        journal.push(-7_990, Body::Judged { reports, accepted });
        let approval = Approval { plan: plan.id, by: say("ada"), at: at(-100), how: How::Prompt };
        journal.push(-100, Body::Approved { approval });
        journal.push(
            0,
            Body::RunStarted {
                run: RunId(1),
                plan: plan.id,
                holder: say("ada@host"),
                on_failure: OnFailure::RollBack,
            },
        );
        journal
    }

    pub(crate) fn push(&mut self, ms: i64, body: Body) {
        let seq = Seq(self.events.len() as u64 + 1);
        self.events.push((seq, Event { at: at(ms), body }));
    }

    pub(crate) fn start(&mut self, ms: i64, step: u32, undo: bool, attempt: u32) {
        let (step, run) = (StepId(step), RunId(1));
        let key = Key::of(self.plan.id, step, undo);
        self.push(ms, Body::StepStarted { run, step, undo, attempt, key });
    }

    pub(crate) fn done(&mut self, ms: i64, step: u32, undo: bool) {
        let url = ("url".to_owned(), Expr::from((self.say)("http://127.0.0.1:8080")));
        let outputs = (step == 4).then_some(url).into_iter().collect();
        let live = Live { id: (self.say)("pid 42"), was: Want::new(), outputs, drift: Vec::new() };
        let live = (!undo).then_some(live);
        self.push(ms, Body::StepDone { run: RunId(1), step: StepId(step), undo, live });
    }

    fn error(&self) -> Error {
        Error::new(ErrorKind::Failed, "process::unhealthy", (self.say)("see `web` become healthy"))
            .help((self.say)("read its log"))
            .with("port", (self.say)("8080"))
            .because(std::io::Error::other((self.say)("connection refused")))
    }

    pub(crate) fn retries(&mut self, ms: i64, step: u32, attempt: u32, after_ms: u64) {
        let (run, step, error) = (RunId(1), StepId(step), self.error());
        self.push(
            ms,
            Body::StepRetries { run, step, undo: false, attempt, after_ms, error, untouched: false },
        );
    }

    pub(crate) fn fails(&mut self, ms: i64, step: u32) {
        let (run, step, error) = (RunId(1), StepId(step), self.error());
        self.push(
            ms,
            Body::StepFailed { run, step, undo: false, error, left: Observed::Absent, untouched: false },
        );
    }

    /// The web process fails twice, the second time for good, and all of it is taken back.
    pub(crate) fn rolled_back(mut self) -> Vec<(Seq, Event)> {
        self.start(5, 0, false, 1);
        self.start(6, 1, false, 1);
        self.done(1_205, 0, false);
        self.done(2_906, 1, false);
        self.start(2_910, 2, false, 1);
        self.done(4_100, 2, false);
        self.start(4_105, 3, false, 1);
        self.retries(5_105, 3, 1, 1_500);
        self.start(6_610, 3, false, 2);
        self.fails(9_000, 3);
        let why = (self.say)("web is not healthy");
        self.push(9_001, Body::StepSkipped { run: RunId(1), step: StepId(4), why: why.clone() });
        self.push(9_002, Body::UndoStarted { run: RunId(1), why });
        self.start(9_010, 2, true, 1);
        self.start(9_010, 0, true, 1);
        self.done(9_400, 0, true);
        self.done(9_800, 2, true);
        self.push(9_810, Body::RunEnded { run: RunId(1), outcome: Outcome::RolledBack });
        self.events
    }

    pub(crate) fn succeeded(mut self) -> Vec<(Seq, Event)> {
        let times = [(0, 5, 1_205), (1, 6, 2_906), (2, 2_910, 4_100), (3, 4_105, 6_000), (4, 6_001, 6_020)];
        for (step, from, to) in times {
            self.start(from, step, false, 1);
            self.done(to, step, false);
        }
        self.push(6_030, Body::RunEnded { run: RunId(1), outcome: Outcome::Succeeded });
        self.events
    }
}

fn spec(say: &dyn Fn(&str) -> String) -> Spec {
    let mut web = Component::new("web", Kind::Web);
    web.env.insert("GREETING".to_owned(), say("hello"));
    Spec {
        version: SPEC_VERSION,
        application: "shop".to_owned(),
        environment: "staging".to_owned(),
        protected: false,
        delete_budget: 10,
        target: Target::default(),
        components: vec![web, Component::new("db", Kind::Database)],
        constraints: code_core::intent::Constraints::default(),
    }
}

/// release ─▶ web process ─▶ route, and db data ─▶ db server ─▶ web process.
fn plan(request: &Request, say: &dyn Fn(&str) -> String) -> Plan {
    let spec = spec(say);
    let step = |id: u32, address: &str, provider: &str, needs: &[u32], way: Option<Reversal>| {
        let resource = Resource::new(address.parse().unwrap(), provider, Want::new());
        let effects = match id {
            1 => Effects::Open { at_most: Action::Create, why: say("initdb decides") },
            2 => Effects::Exact(
                ["process", "log"]
                    .map(|n| code_core::provider::Effect::new(Action::Create, say(n)))
                    .into_iter()
                    .collect(),
            ),
            _ => Effects::one(Action::Create, say(address)),
        };
        let mut change = Change::create(&resource, effects).why(say("not there yet"));
        if let Some(way) = way {
            change = change.reversal(way);
        }
        let needs = needs.iter().map(|n| StepId(*n)).collect();
        Step {
            id: StepId(id),
            provider: say(provider),
            class: Class::Io,
            change,
            needs,
            symbolic: None,
            begun_before: false,
        }
    };
    let to = Resource::absent("web/process.r1.0".parse().unwrap(), "process");
    let compensable = Reversal::Compensable { to: Box::new(to), but: say("its log stays") };
    let item = |at: &str, monthly, why: &str| CostItem { at: say(at), monthly, why: say(why) };
    Plan {
        version: PLAN_VERSION,
        id: Digest::ZERO,
        deployment: spec.deployment().unwrap(),
        revision: 1,
        protected: false,
        delete_budget: 10,
        delete_data: false,
        rollback: None,
        follows: None,
        origins: BTreeMap::from([
            ("/environment".to_owned(), Origin::Request { spans: vec![], words: say("staging") }),
            ("/components/0/kind".to_owned(), Origin::default(say("a guess"))),
        ]),
        chain: Chain {
            request: Some(request.digest()),
            spec: Some(Digest::of_json(&spec)),
            ..Chain::default()
        },
        spec: Some(spec),
        base: Seq(0),
        observations: Digest::ZERO,
        steps: vec![
            step(0, "web/release", "release", &[], None),
            step(1, "db/data", "postgres.data", &[], Some(Reversal::Irreversible(say("data is kept")))),
            step(2, "db/server", "process", &[1], None),
            step(3, "web/process.r1.0", "process", &[0, 1, 2], Some(compensable)),
            step(4, "web/endpoint", "route", &[3], None),
        ],
        unchanged: vec!["web/old".parse().unwrap()],
        kept: vec!["db/old-data".parse().unwrap()],
        cost: Some(Cost {
            currency: say("EUR"),
            items: vec![item("web", Some(0.0), "own machine"), item("db", None, "no price")],
        }),
    }
    .sealed()
}

fn report(plan: &Plan, say: &dyn Fn(&str) -> String) -> Report {
    let finding = |rule: &str, verdict, at: &str, message: &str| {
        Finding::new(&say(rule), Some(&say(at)), verdict, say(message))
    };
    let findings = vec![
        finding("secrets.none-in-plain-text", Verdict::Pass, "/components", "no secret stands in the spec"),
        finding("cost.known", Verdict::Unknown, "db", "the price is not known").help(say("set a price")),
        finding("limits.memory", Verdict::Fail, "web", "no limit of memory").severity(Severity::Low),
    ];
    Report { scanner: say("policies"), subject: plan.id, findings, cost: None }
}
