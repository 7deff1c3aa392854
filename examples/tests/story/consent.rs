//! Who is asked what before something is done: every command, at a terminal, in a pipe and with nobody there, with
//! and without the options that answer beforehand. What was refused or declined has changed nothing.
//!
//! All of it is about a database without a server, so that everything that there is lies in files, and each try
//! begins with the same ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::terminal::Terminal;
use crate::world::{Ended, World};

/// How much is asked before a command does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tier {
    /// Nothing: it only reads.
    Reads,
    /// Nothing: it takes nothing away, or was reviewed before.
    Free,
    /// `[y/N]`, which `--yes` answers.
    Ordinary,
    /// The name of the deployment, which `--confirm` gives.
    Severe,
    /// The same, of a plan that was reviewed before: never asked, only confirmed.
    SevereReviewed,
}

/// Who is there, and what they type or what waits in the pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Terminal(&'static str),
    /// Full of answers: what is not a terminal answers nothing.
    Pipe,
    Nobody,
}

/// How a try has to end.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Done, with 0.
    Done,
    /// Not done, with this number; what is said names this.
    Not(i32, &'static str),
}

/// One command of the matrix.
struct Case {
    line: &'static [&'static str],
    tier: Tier,
    /// What is prepared for it alone.
    stage: fn(&World),
    /// Whether it is about the deployment that `--confirm` could name.
    named: bool,
}

const NAME: &str = "shop/staging";
const FLAGS: &[&[&str]] = &[&[], &["--yes"], &["--confirm", NAME], &["--confirm", "shop/production"]];
const NOTHING: fn(&World) = |_| {};

/// Every command; `every_command_is_in_the_matrix` sees to that.
const CASES: &[Case] = &[
    reads(&["plan", "Deploy a SQLite database to staging"]),
    reads(&["status"]),
    reads(&["logs"]),
    reads(&["history"]),
    reads(&["verify"]),
    reads(&["runs"]),
    reads(&["replay"]),
    reads(&["explain", "front::confirm"]),
    reads(&["doctor"]),
    reads(&["completions", "bash"]),
    reads(&["man"]),
    reads(&["commands"]),
    Case { line: &["report"], tier: Tier::Free, stage: NOTHING, named: false },
    Case { line: &["push"], tier: Tier::Free, stage: NOTHING, named: false },
    Case { line: &["resume"], tier: Tier::Free, stage: NOTHING, named: false },
    Case { line: &["connect", "db"], tier: Tier::Free, stage: NOTHING, named: false },
    Case { line: &["init"], tier: Tier::Free, stage: NOTHING, named: false },
    Case { line: &["apply", "../next.plan"], tier: Tier::Free, stage: reviewed, named: true },
    ordinary(&["Deploy a SQLite database to staging"], another_port),
    ordinary(&["--spec", "db.yaml"], changed),
    ordinary(&["--from-git", "HEAD"], ahead_of_its_commit),
    ordinary(&["destroy staging please"], NOTHING),
    ordinary(&["destroy"], NOTHING),
    ordinary(&["stop"], NOTHING),
    ordinary(&["start"], stopped),
    ordinary(&["restart", "db"], NOTHING),
    ordinary(&["rollback"], second_revision),
    ordinary(&["approve", "../next.plan"], reviewed),
    Case { line: &["prune", "--keep", "1"], tier: Tier::Ordinary, stage: old_release, named: false },
    Case { line: &["destroy", "--delete-data"], tier: Tier::Severe, stage: NOTHING, named: true },
    Case { line: &["journal", "repair"], tier: Tier::Severe, stage: damaged, named: true },
    Case { line: &["apply", "../gone.plan"], tier: Tier::SevereReviewed, stage: gone_reviewed, named: true },
];

const fn reads(line: &'static [&'static str]) -> Case {
    Case { line, tier: Tier::Reads, stage: NOTHING, named: false }
}

const fn ordinary(line: &'static [&'static str], stage: fn(&World)) -> Case {
    Case { line, tier: Tier::Ordinary, stage, named: true }
}

fn spec(world: &World, budget: u32) {
    world.write(
        "db.yaml",
        &format!(
            "version: 1\napplication: shop\nenvironment: staging\ndelete_budget: {budget}\n\
             components:\n- {{name: db, kind: database, engine: sqlite}}\n"
        ),
    );
}

/// A database, deployed; and a shell for it that ends at once.
pub(crate) fn deployed() -> World {
    let world = World::new();
    world.write("bin/sqlite3", "#!/bin/sh\nexit 0\n");
    let shell = world.project().join("bin/sqlite3");
    fs::set_permissions(shell, PermissionsExt::from_mode(0o755)).unwrap();
    spec(&world, 10);
    world.ok(&["--spec", "db.yaml", "--yes", "-q"]);
    world.write(".code/logs/shop@staging/db.log", "written by nobody\n");
    world
}

fn changed(world: &World) {
    spec(world, 20);
}

fn another_port(world: &World) {
    world.settings("");
}

fn second_revision(world: &World) {
    spec(world, 20);
    world.ok(&["--spec", "db.yaml", "--yes", "-q"]);
}

/// What is committed is not what runs: an export that is switched off by a repository that is not there.
fn ahead_of_its_commit(world: &World) {
    let own = world.state().join("git/shop@staging.git");
    let aside = world.path("aside.git");
    copy(&own, &aside);
    second_revision(world);
    fs::remove_dir_all(&own).unwrap();
    copy(&aside, &own);
}

fn stopped(world: &World) {
    world.ok(&["stop", "--yes", "-q"]);
}

fn reviewed(world: &World) {
    spec(world, 20);
    world.ok(&["plan", "--spec", "db.yaml", "--out", "../next.plan", "-q"]);
}

/// A plan that deletes data is saved where another person has to approve it.
fn gone_reviewed(world: &World) {
    let settings = fs::read_to_string(world.project().join("code.toml")).unwrap();
    world.write("code.toml", &(settings + "[environments.staging]\nprotected = true\n"));
    world.fails(&["destroy", "--delete-data", "--out", "../gone.plan"], 4, "protected");
}

fn old_release(world: &World) {
    world.write(&format!(".code/releases/{}/app", "ab".repeat(32)), "old");
}

pub(crate) fn damaged(world: &World) {
    let log = world.state().join("journal/shop@staging.log");
    let mut bytes = fs::read(&log).unwrap();
    let at = bytes.windows(8).rposition(|word| word == b"\"judged\"").expect("a record");
    bytes[at + 2] ^= 0x10;
    fs::write(log, bytes).unwrap();
}

impl Tier {
    /// The table that the documents promise.
    fn end(self, case: &Case, at: At, flags: &[&str]) -> End {
        let wrong = flags.contains(&"shop/production");
        if wrong && case.named {
            return End::Not(4, if case.line[0] == "journal" { "confirm-repair" } else { "front::confirm" });
        }
        let (yes, right) = (flags.contains(&"--yes"), flags.contains(&NAME));
        match (self, at) {
            (Tier::Reads | Tier::Free, _) => End::Done,
            (Tier::Ordinary, _) if yes => End::Done,
            (Tier::Ordinary, At::Terminal("y\n")) => End::Done,
            (Tier::Ordinary, At::Terminal(_)) => End::Not(11, "nothing was "),
            (Tier::Ordinary, _) => End::Not(4, "--yes"),
            (Tier::Severe, _) if right => End::Done,
            (Tier::Severe, At::Terminal("shop/staging\n")) => End::Done,
            (Tier::Severe, At::Terminal(_)) => End::Not(11, "nothing was "),
            // Confirmed, it still waits for the other person.
            (Tier::SevereReviewed, _) if right => End::Not(4, "front::not-approved"),
            (Tier::Severe | Tier::SevereReviewed, _) => End::Not(4, "--confirm shop/staging"),
        }
    }

    /// What stands at the end of its question, where it is asked.
    fn question(self, case: &Case, at: At, flags: &[&str]) -> Option<&'static str> {
        let At::Terminal(_) = at else { return None };
        if flags.contains(&"--json") || flags.contains(&"--dry-run") {
            return None;
        }
        let confirmed = case.named && flags.contains(&"--confirm");
        let wrong = case.named && flags.contains(&"shop/production");
        match self {
            Tier::Ordinary => (!wrong && !flags.contains(&"--yes")).then_some("[y/N] "),
            Tier::Severe => (!confirmed).then_some("` to go on: "),
            _ => None,
        }
    }
}

/// All that there is: the project and the state, but for what asking leaves behind, and that is said to be left.
fn everything(world: &World) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = world.snapshot();
    all.retain(|path, _| !path.starts_with(world.state().join("plans")));
    all.extend(fs::read(world.project().join("deploy.yaml")).map(|bytes| ("deploy.yaml".into(), bytes)));
    all
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp runs");
    assert!(copied.success());
}

/// One try, and whether a question was asked.
fn run(world: &World, args: &[&str], at: At, question: Option<&str>) -> (Ended, bool) {
    let mut command = world.command(args);
    command.env("PATH", format!("{}:/usr/bin:/bin", world.project().join("bin").display()));
    let asks = |shown: &str| shown.contains("[y/N]") || shown.contains("to go on:");
    if let At::Terminal(typed) = at {
        let mut terminal = Terminal::of(command, 40);
        if let Some(question) = question {
            terminal.wait_for(question);
            terminal.types(typed);
        }
        let code = terminal.ends().code().unwrap_or(-1);
        let shown = terminal.shown_whole();
        let asked = asks(&shown);
        return (Ended { line: args.join(" "), code, out: shown, err: String::new() }, asked);
    }
    let input = if at == At::Pipe { Stdio::piped() } else { Stdio::null() };
    let mut child = command.stdin(input).spawn().expect("the binary runs");
    if let Some(mut pipe) = child.stdin.take() {
        // It may end without a look at them: that is what is tested.
        let _ = pipe.write_all(b"y\nyes\nshop/staging\n");
    }
    let ended = Ended::of(args, child.wait_with_output().expect("an end"));
    let asked = asks(&ended.out) || asks(&ended.err);
    (ended, asked)
}

/// Goes through the cases of these tiers, each prepared anew, and puts everything back after each try.
fn each(tiers: &[Tier], try_it: impl Fn(&World, &Case, &dyn Fn(&[&str], At) -> Tried)) {
    let world = deployed();
    let begun = world.path("begun");
    copy(&world.project(), &begun);
    let reset = |from: &Path| {
        fs::remove_dir_all(world.project()).unwrap();
        copy(from, &world.project());
    };
    for case in CASES.iter().filter(|case| tiers.contains(&case.tier)) {
        reset(&begun);
        (case.stage)(&world);
        let staged = world.path("staged");
        copy(&world.project(), &staged);
        let before = everything(&world);
        try_it(&world, case, &|flags, at| {
            let question = case.tier.question(case, at, flags);
            let (ended, asked) = run(&world, &[case.line, flags].concat(), at, question);
            assert_eq!(asked, question.is_some(), "asked? {at:?}, {:?}: {ended}", case.tier);
            let changed = everything(&world) != before;
            if changed {
                reset(&staged);
            }
            Tried { ended, changed }
        });
        fs::remove_dir_all(&staged).unwrap();
    }
}

/// How a try ended, and whether anything is not as it was.
struct Tried {
    ended: Ended,
    changed: bool,
}

fn check(tiers: &[Tier]) {
    let tried = std::cell::Cell::new(0);
    each(tiers, |_, case, run| {
        for at in
            [At::Nobody, At::Pipe, At::Terminal("\n"), At::Terminal("y\n"), At::Terminal("shop/staging\n")]
        {
            for flags in FLAGS {
                // Where nothing is asked it is all the same what would be typed.
                let nothing_asked = case.tier.question(case, at, flags).is_none();
                if nothing_asked && matches!(at, At::Terminal("y\n" | "shop/staging\n")) {
                    continue;
                }
                let Tried { ended, changed } = run(flags, at);
                let cell = || format!("{at:?}, {:?}: {ended}", case.tier);
                match case.tier.end(case, at, flags) {
                    End::Done => {
                        assert_eq!(ended.code, 0, "{}", cell());
                        let writes = !matches!(case.line[0], "push" | "resume" | "connect");
                        assert_eq!(changed, case.tier != Tier::Reads && writes, "changed? {}", cell());
                    }
                    End::Not(code, says) => {
                        assert_eq!(ended.code, code, "{}", cell());
                        let said = ended.out.contains(says) || ended.err.contains(says);
                        assert!(said, "`{says}` is not in {}", cell());
                        assert!(!changed, "changed, though refused: {}", cell());
                    }
                }
                tried.set(tried.get() + 1);
            }
        }
    });
    println!("figure: tries of commands at who may be asked ({tiers:?}): {}", tried.get());
}

#[test]
fn a_dry_run_of_any_command_asks_nothing_and_changes_nothing() {
    each(&[Tier::Reads, Tier::Free, Tier::Ordinary, Tier::Severe, Tier::SevereReviewed], |_, _, run| {
        for (flags, at) in [(&["--dry-run"][..], At::Terminal("")), (&["--dry-run", "--yes"], At::Nobody)] {
            let Tried { ended, changed } = run(flags, at);
            assert!(ended.code == 0 && !changed, "{ended}");
            let marked = |text: &str| text.lines().all(|line| line.starts_with("dry run: "));
            assert!(marked(&ended.out) && marked(&ended.err), "{ended}");
        }
        let json = run(&["--dry-run", "--json"], At::Nobody).ended;
        assert!(json.lines().iter().all(|line| line["dry_run"] == true), "{json}");
    });
}

#[test]
fn json_is_never_asked_also_at_a_terminal() {
    each(&[Tier::Ordinary, Tier::Severe], |_, case, run| {
        let Tried { ended, changed } = run(&["--json"], At::Terminal(""));
        assert!(ended.code == 4 && !changed, "{ended}");
        let answer = if case.tier == Tier::Severe { "--confirm" } else { "--yes" };
        let last = ended.out.lines().last().unwrap_or_default();
        assert!(last.contains(answer), "`{answer}` is not in {ended}");
    });
}

#[test]
fn a_read_only_environment_is_changed_by_no_command() {
    each(&[Tier::Free, Tier::Ordinary, Tier::Severe, Tier::SevereReviewed], |world, case, run| {
        let approves = ["approve", "journal"].contains(&case.line[0]);
        if !case.named || approves {
            return;
        }
        let settings = fs::read_to_string(world.project().join("code.toml")).unwrap();
        let (ports, _) = settings.split_once("[environments").unwrap_or((&settings, ""));
        world.write("code.toml", &format!("{ports}[environments.staging]\nread_only = true\n"));
        let before = everything(world);
        let ended = world.run(&[case.line, &["--yes", "--confirm", NAME]].concat());
        assert_eq!(ended.code, 3, "{ended}");
        assert!(ended.err.contains("error[resolve::read-only]"), "{ended}");
        assert_eq!(everything(world), before, "{ended}");
        // To look at what would be done changes nothing.
        assert_eq!(run(&["--dry-run"], At::Nobody).ended.code, 0);
    });
    let world = deployed();
    let settings = fs::read_to_string(world.project().join("code.toml")).unwrap();
    world.write("code.toml", &(settings + "[environments.staging]\nread_only = true\n"));
    world.ok(&["status"]);
    world.ok(&["plan", "Deploy a SQLite database to staging"]);
}

#[test]
fn nothing_is_asked_where_nothing_is_taken_away() {
    check(&[Tier::Reads, Tier::Free]);
}

#[test]
fn an_ordinary_change_wants_a_yes() {
    check(&[Tier::Ordinary]);
}

#[test]
fn what_is_gone_for_good_wants_the_name() {
    check(&[Tier::Severe, Tier::SevereReviewed]);
}

#[test]
fn every_command_is_in_the_matrix() {
    // The lock of a root is told of in `terraform`: without a root there is none to break.
    let elsewhere = "unlock".to_owned();
    let world = World::new();
    let listed = world.json(&["commands"]);
    let name = |command: &serde_json::Value| command["name"].as_str().unwrap().to_owned();
    let all: BTreeSet<String> = listed["data"].as_array().unwrap().iter().map(name).collect();
    let words = CASES.iter().map(|case| case.line[0].to_owned()).chain([elsewhere]);
    let tried: BTreeSet<String> = words.filter(|word| all.contains(word)).collect();
    assert_eq!(tried, all);
    // What its label says is what it does: reading is not asked for, and what destroys always is.
    for command in listed["data"].as_array().unwrap() {
        let of = |case: &&Case| case.line[0] == name(command);
        for case in CASES.iter().filter(of) {
            let asked = matches!(case.tier, Tier::Ordinary | Tier::Severe);
            match command["label"].as_str().unwrap() {
                "read-only" => assert_eq!(case.tier, Tier::Reads, "{:?}", case.line),
                "destructive" => assert!(asked, "{:?}", case.line),
                _ => assert_ne!(case.tier, Tier::Reads, "{:?}", case.line),
            }
        }
    }
}
