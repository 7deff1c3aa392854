//! Real runs that are killed, and what becomes of them: `cargo xtask kill` does it 300 times, CI 30 times.
//!
//! ```text
//! one world:  deploy ─▶ update ─▶ scale up ─▶ an update that fails ─▶ roll back ─▶ scale down ─▶ destroy
//!               │ each of them:
//!               ├─ killed at a point of the front or of its keeper, or at any moment
//!               ├─ the same command, or `resume` where a run had begun; sometimes killed again meanwhile
//!               └─ checked: what was wanted is there, nothing twice, nothing orphaned, nothing forgotten
//! ```
//!
//! The points are those of `code_core::kill`, which only builds with the feature `kill-points` have; a test sees
//! that each of them is here.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use code_core::local::LocalStore;
use code_core::status::State;
use code_core::store::{Seq, StateStore};
use code_core::{Layout, event::Event};
use futures::TryStreamExt;
use serde_json::Value;

use crate::basics::has_postgresql;
use crate::exports;
use crate::world::{Ended, World, http, kill, listens_too, port, stat, try_http, until};

/// How often a run is killed where nobody says otherwise.
const COUNT: usize = 30;
/// How many worlds live at a time.
const WORLDS: usize = 3;
/// The longest wait before a kill at any moment, in milliseconds: about as long as a run takes.
const MOMENT: u64 = 900;

/// An app in Python that is well whatever it is asked.
const SERVES: &str = "\
import http.server, os
class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), App).serve_forever()
";

/// What is done to a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Deploy,
    Update,
    ScaleUp,
    Fail,
    RollBack,
    ScaleDown,
    Destroy,
}

/// In this order, in each world.
const ACTS: [Act; 7] =
    [Act::Deploy, Act::Update, Act::ScaleUp, Act::Fail, Act::RollBack, Act::ScaleDown, Act::Destroy];

use Act::{Deploy, Destroy, Fail, RollBack, ScaleDown, ScaleUp, Update};

/// Every kind of point, its points, and the acts that come there.
const POINTS: &[(&str, &[&str], &[Act])] = &[
    ("append of the start", &["append.run_started.before", "append.run_started.after"], &ACTS),
    ("append of Started", &["append.step_started.before", "append.step_started.after"], &ACTS),
    ("effect", &["effect.before", "effect.after", "evidence.after"], &ACTS),
    ("append of Done", &["append.step_done.before", "append.step_done.after"], &ACTS),
    ("append of the end", &["append.run_ended.before", "append.run_ended.after"], &ACTS),
    ("torn or unsynced write", &["journal.torn", "journal.unsynced"], &ACTS),
    ("append of Failed", &["append.step_failed.before", "append.step_failed.after"], &[Fail]),
    (
        "undo",
        &[
            "append.undo_started.before",
            "append.undo_started.after",
            "append.undo_step_started.before",
            "append.undo_step_started.after",
            "append.undo_step_done.before",
            "append.undo_step_done.after",
        ],
        &[Fail],
    ),
    (
        "release commit",
        &["release.freeze.before", "release.commit.before", "release.commit.after"],
        &[Deploy],
    ),
    ("launch of the keeper", &["launch.before", "launch.after", "detach.before", "detach.after"], &[Deploy]),
    (
        "hand-over to the keeper",
        &["ask.start.before", "ask.start.sent", "ask.start.after"],
        &[Deploy, Update, ScaleUp],
    ),
    (
        "hand-over of the route",
        &["ask.route.before", "ask.route.sent", "ask.route.after"],
        &[Deploy, Update, ScaleUp, RollBack, ScaleDown],
    ),
    (
        "hand-over of a stop",
        &["ask.stop.before", "ask.stop.sent", "ask.stop.after"],
        &[Update, RollBack, ScaleDown, Destroy],
    ),
    ("hand-over of the end", &["ask.unroute.before", "ask.unroute.sent", "ask.unroute.after"], &[Destroy]),
    ("keeper: spawn", &["keeper.spawn.before", "keeper.spawn.after"], &[Deploy, Update, ScaleUp, RollBack]),
    (
        "keeper: commit of the table",
        &["keeper.table.before", "keeper.table.after"],
        &[Deploy, Update, ScaleUp, RollBack, ScaleDown, Destroy],
    ),
    (
        "keeper: route",
        &["keeper.switch.before", "keeper.switch.after"],
        &[Update, ScaleUp, RollBack, ScaleDown],
    ),
    ("keeper: bind", &["keeper.bind"], &[Deploy]),
    ("keeper: stop", &["keeper.stop.before", "keeper.stop.after"], &[Update, RollBack, ScaleDown, Destroy]),
    (
        "keeper: adoption",
        &["keeper.adopt.before", "keeper.adopt.after"],
        &[Update, ScaleUp, RollBack, ScaleDown, Destroy],
    ),
    ("file of a database", &["sqlite.make"], &[Deploy]),
    (
        "commit of a cluster",
        &["postgres.initdb", "postgres.commit.before", "postgres.commit.after"],
        &[Deploy],
    ),
    ("database of a server", &["postgres.database.before", "postgres.database.after"], &[Deploy]),
    ("repository of the exports", &["git.init"], &[Deploy]),
    (
        "export",
        &["export.before", "git.commit.after", "git.push.before", "export.after"],
        &[Deploy, Update, ScaleUp, RollBack, ScaleDown],
    ),
    ("any moment", &["any moment"], &ACTS),
];

/// What makes one world other than the next.
#[derive(Clone, Copy, Debug)]
struct Kind {
    /// PostgreSQL and not SQLite is its database.
    postgresql: bool,
    /// What is rolled out is pushed to a repository beside it.
    remote: bool,
}

impl Kind {
    /// Whether such a world comes to a point.
    fn has(self, point: &str) -> bool {
        match point {
            "git.push.before" => self.remote,
            _ if point.starts_with("postgres.") => self.postgresql,
            _ => !(self.postgresql && point.starts_with("sqlite.")),
        }
    }
}

/// Numbers that look random and are the same for a seed (splitmix64, Steele et al. 2014).
#[derive(Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % most.max(1)
    }
}

/// What all worlds share: how often was killed where.
#[derive(Default)]
struct Tally {
    dice: u64,
    planned: BTreeMap<&'static str, usize>,
    killed: BTreeMap<String, usize>,
    again: usize,
    runs: usize,
}

impl Tally {
    /// The point at which an act is killed: of the kind that was chosen least so far.
    fn choose(&mut self, world: Kind, act: Act, dice: &mut Dice) -> (&'static str, u64) {
        let fitting = |(_, points, acts): &&(&str, &[&str], &[Act])| {
            acts.contains(&act) && points.iter().any(|point| world.has(point))
        };
        let planned = |kind: &str| self.planned.get(kind).copied().unwrap_or_default();
        // Among equals the one that fewest acts come to.
        let kind = POINTS.iter().filter(fitting).min_by_key(|(kind, _, acts)| (planned(kind), acts.len()));
        let (kind, points, _) = kind.expect("a kind");
        let before = *self.planned.entry(kind).and_modify(|n| *n += 1).or_insert(1) - 1;
        let points: Vec<&'static str> = points.iter().copied().filter(|point| world.has(point)).collect();
        let point = points[before % points.len()];
        // The first time that a process comes there is sure to be.
        let nth = if before < points.len() { 1 } else { 1 + dice.below(3) };
        (point, nth)
    }

    /// How many kinds of points were hit.
    fn kinds(&self) -> usize {
        let hit = |points: &[&str]| points.iter().any(|point| self.killed.contains_key(*point));
        POINTS.iter().filter(|(_, points, _)| hit(points)).count()
    }

    /// The points that were never hit, each with why.
    fn missed(&self, postgresql: bool) -> Vec<String> {
        let mut missed = Vec::new();
        for (kind, points, _) in POINTS {
            let planned = self.planned.get(kind).copied().unwrap_or_default();
            let why = |(at, point): (usize, &&str)| match () {
                () if !postgresql && point.starts_with("postgres.") => "PostgreSQL is not here",
                () if at >= planned => "too few kills for all of its kind",
                () => "the run ended before it came there",
            };
            let never = points.iter().enumerate().filter(|(_, point)| !self.killed.contains_key(**point));
            missed.extend(never.map(|(at, point)| format!("{point}: {}", why((at, point)))));
        }
        missed
    }

    fn total(&self) -> usize {
        self.killed.values().sum()
    }
}

/// A kill that may happen while a command runs.
pub(crate) struct Kill<'a> {
    pub(crate) point: &'a str,
    pub(crate) nth: u64,
    pub(crate) dice: &'a mut Dice,
}

/// Runs a command and kills it, or its keeper; gives how it ended, and whether the kill happened.
pub(crate) fn run(world: &World, args: &[&str], kill_at: Option<Kill<'_>>) -> (Ended, bool) {
    let mut command: Command = world.command(args);
    let Some(Kill { point, nth, dice }) = kill_at else {
        return (Ended::of(args, command.output().unwrap()), false);
    };
    if point == "any moment" {
        let child = command.spawn().expect("the binary runs");
        let pid = child.id().cast_signed();
        let wait = Duration::from_millis(dice.below(MOMENT));
        let killer = std::thread::spawn(move || {
            // Not to wait for anything, but to be at no known place.
            std::thread::sleep(wait);
            kill(pid);
        });
        let output = child.wait_with_output().expect("an end");
        let killed = output.status.signal() == Some(9);
        killer.join().expect("the killer ends");
        return (Ended::of(args, output), killed);
    }
    let file = world.path("killed");
    // Left by an earlier kill.
    let _ = std::fs::remove_file(&file);
    if point.starts_with("keeper.") || point.starts_with("detach") {
        // The next command starts a keeper that knows of the point, and adopts everything.
        world.keepers().into_iter().for_each(kill);
        until("the keeper is gone", || world.keepers().is_empty());
    }
    command.env("CODE_KILL_AT", format!("{point}:{nth}:{}", file.display()));
    let output = command.output().expect("the binary runs");
    (Ended::of(args, output), file.exists())
}

/// What stands in the journal of the world's deployment.
fn journal(world: &World) -> Vec<(Seq, Event)> {
    journal_of(world, "shop/staging")
}

/// The same of any deployment.
pub(crate) fn journal_of(world: &World, deployment: &str) -> Vec<(Seq, Event)> {
    let store = LocalStore::new(&Layout::new(world.state()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(store.read(deployment, Seq::START).try_collect()).expect("a journal that can be read")
}

/// What tells an event from every other one of its deployment.
fn mark(event: &Value) -> Option<String> {
    let kind = event["event"].as_str().or(event["type"].as_str())?;
    let durable = ["run_started", "run_resumed", "run_ended", "undo_started"].contains(&kind)
        || (kind.starts_with("step_") && kind != "step_progress");
    let data = if event["data"].is_object() { &event["data"] } else { event };
    let of = |name: &str| data[name].to_string();
    durable.then(|| format!("{kind} {} {} {} {}", event["at"], of("run"), of("step"), of("undo")))
}

/// The events that were told to somebody and are not in the journal, in this order.
fn forgotten(told: &str, journal: &[(Seq, Event)]) -> Vec<String> {
    let mut written = journal.iter().filter_map(|(_, event)| mark(&serde_json::to_value(event).unwrap()));
    // The last line may be cut off.
    let told = told.lines().filter_map(|line| mark(&serde_json::from_str::<Value>(line).ok()?));
    told.filter(|event| !written.any(|one| one == *event)).collect()
}

/// Steps that are called done, and nobody saw what they say.
fn without_evidence(world: &World, journal: &[(Seq, Event)]) -> Vec<String> {
    let seen = std::fs::read_to_string(world.state().join("keeper/events.jsonl")).unwrap_or_default();
    let pids: BTreeSet<i64> = seen
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["pid"].as_i64())
        .chain(
            world.table()["processes"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|p| p["identity"]["pid"].as_i64()),
        )
        .collect();
    let mut begun = BTreeSet::new();
    let mut wrong = Vec::new();
    for (seq, event) in journal {
        let value = serde_json::to_value(event).unwrap();
        let step = format!("{} {} {}", value["run"], value["step"], value["undo"]);
        match value["event"].as_str() {
            Some("step_started") => drop(begun.insert(step)),
            Some("step_done") if !begun.contains(&step) => wrong.push(format!("{seq}: never begun")),
            Some("step_done") => {
                let pid = value["live"]["outputs"]["pid"]["known"].as_i64();
                if pid.is_some_and(|pid| !pids.contains(&pid)) {
                    wrong.push(format!("{seq}: nobody saw process {pid:?}"));
                }
            }
            _ => {}
        }
    }
    wrong
}

/// One world, and how far its deployment is.
struct Chain {
    world: World,
    kind: Kind,
    sentence: String,
    settings: String,
    replicas: usize,
    notes: Vec<String>,
    dice: Dice,
}

impl Chain {
    fn new(kind: Kind, dice: Dice) -> Chain {
        let world = World::new();
        if kind.remote {
            let remote = world.path("remote.git").display().to_string();
            let made = Command::new("git").args(["init", "-q", "--bare", &remote]).status();
            assert!(made.expect("git runs").success());
            let settings = std::fs::read_to_string(world.project().join("code.toml")).unwrap();
            world.write("code.toml", &format!("git = \"file://{remote}\"\n{settings}"));
        }
        let settings = std::fs::read_to_string(world.project().join("code.toml")).unwrap();
        let engine = if kind.postgresql { "PostgreSQL" } else { "SQLite" };
        let sentence = format!("Deploy a web app with a {engine} database to staging");
        Chain { world, kind, sentence, settings, replicas: 1, notes: Vec::new(), dice }
    }

    /// One act, killed and gone on with until it ends; checked. Stops where enough was killed.
    fn act(&mut self, act: Act, tally: &Mutex<Tally>) {
        let (point, nth) = tally.lock().unwrap().choose(self.kind, act, &mut self.dice);
        let about = format!("{act:?}, killed at {point} ({nth})");
        let web =
            |more: &str| self.settings.replace("[components.web]\n", &format!("[components.web]\n{more}\n"));
        let (args, good): (&[&str], i32) = match act {
            Deploy => (&[&self.sentence.clone()], 0),
            Update => {
                self.world.write("code.toml", &web("env = { COLOUR = \"blue\" }"));
                (&["update the web app in staging"], 0)
            }
            ScaleUp => {
                self.replicas = 3;
                (&["scale the web app to 3 in staging"], 0)
            }
            Fail => {
                // Free when it is planned: the new version itself takes the port of its address.
                let taken = port();
                let program = format!("{}{SERVES}", listens_too(taken));
                self.world.write("code.toml", &web(&format!("start = {:?}", ["python3", "-c", &program])));
                self.world.move_to(taken);
                (&["update the web app in staging"], 5)
            }
            RollBack => {
                self.replicas = 1;
                (&["rollback"], 0)
            }
            ScaleDown => {
                self.replicas = 2;
                (&["scale the web app to 2 in staging"], 0)
            }
            Destroy => (&["destroy"], 0),
        };
        let url = (act != Deploy).then(|| self.world.url());
        let before = journal(&self.world);
        let runs = State::fold(&before).runs;
        let told = self.world.path("told.jsonl");
        let _ = std::fs::remove_file(&told);
        let args: Vec<&str> =
            args.iter().copied().chain(["--yes", "--json-into", told.to_str().unwrap()]).collect();
        let dice = &mut self.dice;
        let (mut ended, mut killed) = run(&self.world, &args, Some(Kill { point, nth, dice }));
        tally.lock().unwrap().runs += 1;
        let mut story = vec![format!("{about}: {killed}, code {}", ended.code)];
        let mut known = Vec::new();
        for round in 0.. {
            if killed {
                let mut tally = tally.lock().unwrap();
                *tally
                    .killed
                    .entry(if round == 0 { point.to_owned() } else { "while recovering".into() })
                    .or_default() += 1;
                tally.again += usize::from(round > 0);
            }
            let now = journal(&self.world);
            assert!(
                now.starts_with(&before) && now.starts_with(&known),
                "{story:#?}: the journal lost events"
            );
            known = now;
            let lost = forgotten(&std::fs::read_to_string(&told).unwrap_or_default(), &known);
            assert!(lost.is_empty(), "{story:#?}: acknowledged and lost: {lost:#?}");
            let state = State::fold(&known);
            let next: Vec<&str> = match (state.open_run().is_some(), state.runs > runs) {
                // Either goes on with it.
                (true, _) if self.dice.below(2) == 0 => vec!["resume", "--json-into", told.to_str().unwrap()],
                (true, _) => args.clone(),
                (false, false) => args.clone(),
                (false, true) => break,
            };
            assert!(round < 6 && (round == 0 || killed || ended.code == good), "{story:#?}\n{ended}");
            // The next one, too, in one case of three: at any of the points that every run comes to.
            let dice = &mut self.dice;
            let again =
                ["append.step_started.after", "effect.after", "append.step_done.before", "any moment"];
            let point = again[dice.below(again.len() as u64) as usize];
            let kill_at =
                (round == 0 && killed && dice.below(3) == 0).then_some(Kill { point, nth: 1, dice });
            let _ = std::fs::remove_file(&told);
            (ended, killed) = run(&self.world, &next, kill_at);
            story.push(format!("{}: {killed} at {point}, code {}", next[0], ended.code));
        }
        // Where the last word came before the kill, the run had ended well.
        let outcome = State::fold(&known).run.and_then(|run| run.ended).map(|(_, outcome)| outcome);
        let wanted = if act == Fail {
            code_core::event::Outcome::RolledBack
        } else {
            code_core::event::Outcome::Succeeded
        };
        assert_eq!(outcome, Some(wanted), "{story:#?}\n{ended}");
        self.world.write(
            "code.toml",
            &web(if act == RollBack || act == Deploy { "" } else { "env = { COLOUR = \"blue\" }" }),
        );
        self.check(act, url.as_deref(), &known, &story);
    }

    /// What was wanted is there: once, and nothing else.
    fn check(&mut self, act: Act, url: Option<&str>, journal: &[(Seq, Event)], story: &[String]) {
        let world = &self.world;
        let wrong = without_evidence(world, journal);
        assert!(wrong.is_empty(), "{story:#?}: done without evidence: {wrong:#?}");
        until(&format!("no process is orphaned after {story:#?}: {:#?}", world.strangers()), || {
            world.strangers().is_empty()
        });
        if act == Destroy {
            assert_eq!(world.table()["processes"].as_array().map(Vec::len), Some(0), "{story:#?}");
            until("nothing runs any more", || world.own_processes().is_empty());
            assert!(try_http(url.expect("an address"), "GET", "/", "").is_err(), "{story:#?}");
            assert!(world.state().join("data").is_dir(), "{story:#?}");
            // What was rolled out is exported, at the latest when somebody asks for it.
            world.ok(&["push"]);
            let state = State::fold(&self::journal(world));
            assert_eq!(state.owed().count(), 0, "{story:#?}");
            return;
        }
        if world.keepers().is_empty() {
            // It died when the run needed nothing more of it: that is told, and the next command starts one.
            world.fails(&["status"], 10, "no keeper");
            world.ok(&["start", "--yes", "-q"]);
        }
        assert_eq!(world.keepers().len(), 1, "{story:#?}");
        let status = world.run(&["status", "-e", "staging"]);
        let healthy = format!("{0} of {0} healthy", self.replicas);
        assert!(status.out.contains(&healthy), "{story:#?}\n{status}");
        // What the settings say may differ after a rollback; what runs may not.
        for resource in world.resources() {
            assert_eq!(resource["state"], "ok", "{story:#?}: {resource:#}");
        }
        let table = world.table();
        let kept = table["processes"].as_array().cloned().unwrap_or_default();
        let web = kept
            .iter()
            .filter(|p| p["job"]["place"]["address"].as_str().is_some_and(|a| a.starts_with("web/")));
        assert_eq!(web.count(), self.replicas, "{story:#?}: {table:#}");
        let leaders = world.own_processes().into_iter().filter(|pid| leads_with_key(*pid)).count();
        assert_eq!(leaders, kept.len(), "{story:#?}: something runs twice: {table:#}");
        // The same address, and all that was ever written.
        let now = world.url();
        assert!(url.is_none_or(|before| before == now), "{story:#?}: another address");
        let page = http(&now, "GET", "/notes", "").1;
        let lost: Vec<_> = self.notes.iter().filter(|note| !page.contains(*note)).collect();
        assert!(lost.is_empty(), "{story:#?}: notes are lost: {lost:?} in {page}");
        let note = format!("after-{act:?}");
        assert_eq!(http(&now, "POST", "/notes", &format!("text={note}")).0, 303, "{story:#?}");
        self.notes.push(note);
    }
}

/// Whether a process was started by a keeper: it has a step's key, and none that has one started it.
fn leads_with_key(pid: i32) -> bool {
    let has_key = |pid: i32| {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|pair| pair.starts_with(b"CODE_STEP_KEY="))
    };
    stat(pid).is_some_and(|(parent, session)| session == pid && has_key(pid) && !has_key(parent))
}

#[test]
fn killed_at_every_kind_of_point_it_goes_on() {
    if !cfg!(feature = "kill-points") {
        println!(
            "skipped: kills of real runs: build them with `--features kill-points`, or `cargo xtask kill`"
        );
        return;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let count = number("KILL_COUNT").map_or(COUNT, |count| usize::try_from(count).unwrap());
    let seed = number("KILL_SEED").unwrap_or(1);
    let tally = Mutex::new(Tally { dice: seed, ..Tally::default() });
    let postgresql = has_postgresql();
    let without = |points: &[&str]| !postgresql && points.iter().all(|point| point.starts_with("postgres."));
    let all_kinds = POINTS.iter().filter(|(_, points, _)| !without(points)).count();
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORLDS {
            scope.spawn(|| {
                loop {
                    let number = {
                        let mut tally = tally.lock().unwrap();
                        let enough = tally.total() >= count && tally.kinds() == all_kinds;
                        // What cannot be hit must not be tried forever.
                        if enough || tally.runs > 3 * count || failures.lock().unwrap().len() > 5 {
                            return;
                        }
                        tally.dice += 1;
                        tally.dice
                    };
                    let world = number - seed;
                    let kind = Kind { postgresql: postgresql && world % 3 == 1, remote: world % 2 == 1 };
                    let chain = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        let mut chain = Chain::new(kind, Dice(number));
                        ACTS.into_iter().for_each(|act| chain.act(act, &tally));
                    }));
                    if chain.is_err() {
                        failures.lock().unwrap().push(number);
                    }
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap();
    println!("{:28} {:32} kills", "kind", "point");
    for (kind, points, _) in POINTS {
        for point in *points {
            println!("{kind:28} {point:32} {:5}", tally.killed.get(*point).copied().unwrap_or_default());
        }
    }
    let kinds = tally.kinds();
    let all: Vec<&str> = POINTS.iter().flat_map(|(_, points, _)| points.iter().copied()).collect();
    let points = all.iter().filter(|point| tally.killed.contains_key(**point)).count();
    println!(
        "figure: kills of real runs: {} in {} runs, {} of them while recovering; {kinds} of {} kinds of points, {points} of {} points",
        tally.total(),
        tally.runs,
        tally.again,
        POINTS.len(),
        all.len()
    );
    tally.missed(postgresql).iter().for_each(|missed| println!("never killed at {missed}"));
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "worlds {failures:?} of seed {seed}: what went wrong is above");
    println!(
        "figure: after {} kills: 0 duplicates, 0 orphans, 0 acknowledged events lost, 0 done without evidence",
        tally.total()
    );
    if count >= COUNT {
        assert_eq!(kinds, all_kinds, "each kind of point was hit");
    }
}

#[test]
fn every_point_is_one_to_be_killed_at() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut left =
        vec![root.join("code-core/src"), root.join("code-providers/src"), root.join("examples/deploy")];
    let mut points = BTreeSet::new();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("code-core/src/kill.rs")
        {
            let text = std::fs::read_to_string(&path).unwrap();
            let calls = text.split("kill::point").skip(1).filter_map(|call| call.split('"').nth(1));
            points.extend(calls.map(str::to_owned));
        }
    }
    assert!(points.len() > 20, "they are found: {points:?}");
    let known = |point: &str| {
        let (begin, end) = point.split_once("{}").unwrap_or((point, ""));
        let fits = |one: &str| {
            one.starts_with(begin) && one.ends_with(end) && (point.contains("{}") || one == point)
        };
        let runs = POINTS.iter().flat_map(|(_, points, _)| *points);
        runs.copied().chain(exports::points()).any(fits)
    };
    let unknown: Vec<_> = points.iter().filter(|point| !known(point)).collect();
    assert!(unknown.is_empty(), "add them to POINTS, or to those of the exports: {unknown:?}");
}
