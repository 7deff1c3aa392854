use std::collections::BTreeMap;

use code_core::checks::{Approval, How};
use code_core::event::{Body, Event, Outcome};
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
use proptest::prelude::*;

use super::*;

/// A journal that is written by hand; `say` is what becomes of every text that somebody else chooses.
struct Journal<'a> {
    events: Vec<(Seq, Event)>,
    say: &'a dyn Fn(&str) -> String,
    plan: Plan,
}

const BEGIN: i64 = 1_795_000_000_000;
const WORDS: &str = "Deploy a web app with database to staging";

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(BEGIN + ms).unwrap()
}

impl<'a> Journal<'a> {
    /// Asked, understood, judged, planned, approved, and run 1 begun at 0 ms.
    fn new(say: &'a dyn Fn(&str) -> String) -> Journal<'a> {
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
        journal.push(0, Body::RunStarted { run: RunId(1), plan: plan.id, holder: say("ada@host") });
        journal
    }

    fn push(&mut self, ms: i64, body: Body) {
        let seq = Seq(self.events.len() as u64 + 1);
        self.events.push((seq, Event { at: at(ms), body }));
    }

    fn start(&mut self, ms: i64, step: u32, undo: bool, attempt: u32) {
        let (step, run) = (StepId(step), RunId(1));
        let key = Key::of(self.plan.id, step, undo);
        self.push(ms, Body::StepStarted { run, step, undo, attempt, key });
    }

    fn done(&mut self, ms: i64, step: u32, undo: bool) {
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

    fn retries(&mut self, ms: i64, step: u32, attempt: u32, after_ms: u64) {
        let (run, step, error) = (RunId(1), StepId(step), self.error());
        self.push(ms, Body::StepRetries { run, step, undo: false, attempt, after_ms, error });
    }

    fn fails(&mut self, ms: i64, step: u32) {
        let (run, step, error) = (RunId(1), StepId(step), self.error());
        self.push(ms, Body::StepFailed { run, step, undo: false, error, left: Observed::Absent });
    }

    /// The web process fails twice, the second time for good, and all of it is taken back.
    fn rolled_back(mut self) -> Vec<(Seq, Event)> {
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

    fn succeeded(mut self) -> Vec<(Seq, Event)> {
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
        Step { id: StepId(id), provider: say(provider), class: Class::Io, change, needs, symbolic: None }
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

fn same(text: &str) -> String {
    text.to_owned()
}

/// The page without its style, a tag a line; digests are left out, as every new field of a noun changes them.
fn body(html: &str) -> String {
    let body = html.split_once("</svg>").unwrap().1.replace("><", ">\n<");
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let mut words = Vec::new();
    for word in body.split_inclusive(|c: char| !hex(c)) {
        let digits = word.trim_end_matches(|c: char| !hex(c));
        words.push(if digits.len() >= 12 { word.replace(digits, "DIGEST") } else { word.to_owned() });
    }
    words.concat()
}

/// The tags of a page with the names of their attributes: everything that makes its structure.
fn structure(html: &str) -> Vec<String> {
    let mut tags = Vec::new();
    for tag in html.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap();
        let names = tag.split('"').step_by(2).map(str::trim);
        tags.push(names.collect::<Vec<_>>().join(" "));
    }
    tags
}

#[test]
fn a_run_that_was_rolled_back() {
    let html = render(&Journal::new(&same).rolled_back(), None).unwrap();
    insta::assert_snapshot!("rolled_back", body(&html));
}

#[test]
fn a_run_that_succeeded_says_so_and_links_its_address() {
    let html = render(&Journal::new(&same).succeeded(), Some(RunId(1))).unwrap();
    assert!(html.contains("Run 1: succeeded"));
    assert!(html.contains("<a href=\"http://127.0.0.1:8080\">"));
    assert!(!html.contains("What failed"));
    // db/data → db/server → web/process → web/endpoint took longest; the release did not matter.
    assert_eq!(html.matches("<span class=\"tag critical\">").count(), 4);
}

#[test]
fn a_report_can_be_made_during_the_run() {
    let all = Journal::new(&same).rolled_back();
    for length in 6..all.len() {
        let html = render(&all[..length], None).unwrap();
        assert!(html.contains("not ended") || html.contains("being rolled back"), "after {length} events");
    }
}

#[test]
fn an_end_that_was_not_recorded_is_in_doubt() {
    let mut journal = Journal::new(&same);
    journal.start(10, 0, false, 1);
    journal.push(900, Body::RunResumed { run: RunId(1), holder: "ada@host".into() });
    journal.push(1_000, Body::RunEnded { run: RunId(1), outcome: Outcome::Failed });
    let html = render(&journal.events, None).unwrap();
    assert!(html.contains("in doubt: no end was recorded"));
    assert!(html.contains("every started step was observed again"));
}

#[test]
fn the_run_that_is_asked_for_is_told() {
    let mut events = Journal::new(&same).rolled_back();
    // The same plan again, as run 2 would record it.
    let second = Journal::new(&same).succeeded();
    for (_, mut event) in second {
        if let Body::RunStarted { run, .. }
        | Body::StepStarted { run, .. }
        | Body::StepDone { run, .. }
        | Body::RunEnded { run, .. } = &mut event.body
        {
            *run = RunId(2);
        }
        events.push((Seq(events.len() as u64 + 1), event));
    }
    assert!(render(&events, Some(RunId(1))).unwrap().contains("Run 1: rolled back"));
    assert!(render(&events, Some(RunId(2))).unwrap().contains("Run 2: succeeded"));
    assert!(render(&events, None).unwrap().contains("Run 2: succeeded"));
    assert_eq!(render(&events, Some(RunId(3))).unwrap_err().code(), "report::no-run");
    assert_eq!(render(&[], None).unwrap_err().code(), "report::no-run");
}

#[test]
fn a_run_without_its_plan_is_an_error() {
    let mut events = Journal::new(&same).succeeded();
    events.retain(|(_, event)| !matches!(event.body, Body::Planned { .. }));
    assert_eq!(render(&events, None).unwrap_err().code(), "report::no-plan");
}

#[test]
fn a_page_needs_nothing_beside_itself() {
    let html = render(&Journal::new(&same).rolled_back(), None).unwrap();
    assert!(html.contains("default-src 'none'"));
    for outside in ["<script", "<link", "<img", "<iframe", "<object", "@import", "url(http", "src="] {
        assert!(!html.contains(outside), "{outside}");
    }
}

#[test]
fn what_a_picture_shows_is_said_in_words() {
    let events = Journal::new(&same).rolled_back();
    let html = render(&events, None).unwrap();
    let table = html.split_once("id=\"h-steps\"").unwrap().1;
    for mark in ["taken back", "done", "failed", "skipped"] {
        assert!(table.contains(mark), "{mark}");
    }
    // Every picture has a name, and every heading a section that it labels.
    assert_eq!(html.matches("role=\"img\"").count(), 2);
    assert_eq!(html.matches("<h2 id=\"").count(), html.matches("<section aria-labelledby=\"").count());
}

/// Whatever stands in a journal, the page has the same tags and attributes as with harmless words.
fn check_hostile(text: &str) {
    let say = |words: &str| format!("{words}{text}");
    let padded = |words: &str| format!("{words}{}", "x".repeat(text.len()));
    for (hostile, harmless) in [
        (Journal::new(&say).rolled_back(), Journal::new(&padded).rolled_back()),
        (Journal::new(&say).succeeded(), Journal::new(&padded).succeeded()),
    ] {
        let hostile = render(&hostile, None).unwrap();
        let (tags, expect) = (structure(&hostile), structure(&render(&harmless, None).unwrap()));
        let differs = tags.iter().zip(&expect).find(|(a, b)| a != b);
        assert_eq!(differs, None, "{text:?}");
        assert_eq!(tags.len(), expect.len(), "{text:?}");
        assert!(!hostile.contains('\u{202e}') && !hostile.contains('\u{1b}'));
    }
}

#[test]
fn hostile_text_stays_text() {
    for text in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'-->]]></style></svg></title><script>",
        "javascript:alert(1)//",
        "{}{}{}",
        "&lt;&#60;",
        "\u{202e}\u{2066}\u{1b}[31m\0",
        "\r\n\t",
        &"long ".repeat(3_000),
    ] {
        check_hostile(text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_stays_text(text in "(\\PC|[<>&\"'{}=/\\x00-\\x1f\u{200b}-\u{2069}]){0,40}") {
        check_hostile(&text);
    }
}
