//! A thousand secrets through the real front, in apps and builds that say all of them in every form, and then are
//! nowhere to be found: the matter of `code-monitor/tests/canaries`, and what only the whole program has.
//!
//! ```text
//!            40 each              25 apps ── fail, and then serve ─┐
//! secrets ──▶ encrypted ──▶ front ┤        all forms               ├──▶ screen, terminal, JSON, reports, plan,
//!    │                      keeper└ 25 builds ── fail, and then do ┘    journal, git, logs, keeper, every file
//!    │                        └── looked at all the time: arguments and environment of every process
//!    └──────▶ needles ──────────────────────────────────────────────▶ looked for in all of them
//! ```

#[path = "../../../code-monitor/tests/canaries/needles.rs"]
mod needles;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use code_core::{Secret, SecretRef, Secrets};
use code_security::LocalSecrets;
use serde_json::{Value, json};

use needles::{FORMS, Needles, canaries, ways};

use crate::terminal::Terminal;
use crate::world::{Ended, PATIENCE, World, example, port};

/// How many secrets there are.
const CANARIES: usize = 1000;
/// How many components share them.
const COMPONENTS: usize = 25;
/// How many each of them has.
const EACH: usize = CANARIES / COMPONENTS;
/// In so many failures each app says all of its secrets: one failure shows some lines only.
const TURNS: usize = 3;

fn name(component: usize) -> String {
    format!("app{component}")
}

/// The name of a secret, as the recipe of the story's front has it.
fn secret(i: usize) -> SecretRef {
    SecretRef(format!("shop/staging/{}/canary-{i}", name(i / EACH)))
}

/// One story: its world, its secrets, and all that anybody got to read of it.
struct Story {
    world: World,
    all: Vec<String>,
    needles: Needles,
    ports: Vec<u16>,
    sinks: Vec<(String, Vec<u8>)>,
}

impl Story {
    fn new() -> Story {
        let (world, all) = (World::new(), canaries(CANARIES));
        let (needles, ports) = (Needles::of(&all), (0..COMPONENTS).map(|_| port()).collect());
        let story = Story { world, all, needles, ports, sinks: Vec::new() };
        story.world.write("app/app.py", include_str!("canaries/app.py"));
        story.turn(0);
        story.store();
        story.builds();
        story.spec("first");
        story.record_git();
        story
    }

    /// Each secret encrypted where the front looks for it.
    fn store(&self) {
        let secrets = LocalSecrets::new(code_core::Layout::new(self.world.state()).secrets());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (i, value) in self.all.iter().enumerate() {
            runtime.block_on(secrets.put(&secret(i), Secret::new(value.clone()))).unwrap();
        }
    }

    /// A build that says what another step is given: every secret in all ways, one secret a line.
    fn builds(&self) {
        let dir = self.world.path("builds");
        fs::create_dir(&dir).unwrap();
        for component in 0..COMPONENTS {
            let own = &self.all[component * EACH..][..EACH];
            let lines: Vec<String> =
                own.iter().map(|secret| ways(secret).join(" | ").replace('\n', "\\n")).collect();
            fs::write(dir.join(name(component)), lines.join("\n") + "\n").unwrap();
        }
        // What fails needs to say only so much as is shown.
        let script = format!(
            "cat /proc/$$/cmdline /proc/$$/environ >> '{1}'\ncd '{0}'\n\
             [ -e open ] && exec cat $1\nhead -n 3 $1\nexit 3\n",
            dir.display(),
            self.world.path("tools").display()
        );
        fs::write(dir.join("build.sh"), script).unwrap();
    }

    /// Which part of their secrets apps say before they fail.
    fn turn(&self, turn: usize) {
        fs::write(self.world.path("turn"), format!("{turn} {TURNS}")).unwrap();
    }

    fn open(&self, gate: &str) {
        fs::write(self.world.path(gate), "").unwrap();
    }

    fn spec(&self, version: &str) -> PathBuf {
        let of = |file: &str| self.world.path(file).display().to_string();
        let component = |number: usize| {
            let (from, name) = (number * EACH, name(number));
            let version = if number == 0 { version } else { "first" };
            json!({
                "name": name, "kind": "api", "source": "app",
                "port": self.ports[number],
                "build": ["sh", of("builds/build.sh"), name],
                "start": ["python3", "app.py", of("gate"), of("turn")],
                "env": { "CANARIES": format!("{from}..{}", from + EACH), "VERSION": version },
            })
        };
        let components: Vec<Value> = (0..COMPONENTS).map(component).collect();
        let spec = json!({ "version": 1, "application": "shop", "environment": "staging",
            "components": components });
        self.world.write("shop.json", &spec.to_string())
    }

    /// A git that writes down with what it was started, as the builds do: however short they live.
    fn record_git(&self) {
        let (bin, log) = (self.world.path("bin"), self.world.path("tools"));
        fs::create_dir(&bin).unwrap();
        let script = format!(
            "#!/bin/sh\ncat /proc/$$/cmdline /proc/$$/environ >> '{}'\nPATH=/usr/local/bin:/usr/bin:/bin\n\
             exec git \"$@\"\n",
            log.display()
        );
        fs::write(bin.join("git"), script).unwrap();
        fs::set_permissions(bin.join("git"), PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.world.command_of(&example("canaries"), args);
        let bin = self.world.path("bin");
        command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()));
        command
    }

    /// Runs a command, which must end with this code; what it says is a sink.
    fn run(&mut self, args: &[&str], code: i32) -> Ended {
        let ended = Ended::of(args, self.command(args).output().unwrap());
        assert_eq!(ended.code, code, "{ended}");
        self.sinks.push((format!("output of `{}`", ended.line), (ended.out.clone() + &ended.err).into()));
        ended
    }

    /// The same at a terminal, where a person is asked what to do, and says nothing.
    fn run_at_terminal(&mut self, args: &[&str], code: i32) {
        let mut terminal = Terminal::of(self.command(args), 40);
        // Longer than other stories wait: there is much to say.
        let begun = Instant::now();
        while !terminal.shown().contains("to leave it paused?") && begun.elapsed() < 10 * PATIENCE {
            std::thread::sleep(Duration::from_millis(50));
        }
        terminal.types("\n");
        let ended = terminal.ends().code();
        let shown = terminal.shown_whole();
        assert_eq!(ended, Some(code), "{shown}");
        self.sinks.push((format!("terminal of `{}`", args.join(" ")), shown.into()));
    }

    /// The log of a component's newest process: its own bytes.
    fn log(&self, component: usize) -> Vec<u8> {
        let newest = format!("{}.r1.0.log", name(component));
        fs::read(self.world.state().join("logs/shop@staging").join(newest)).unwrap_or_default()
    }

    /// Every file of the world; gives those that the apps themselves wrote apart.
    fn files(&mut self) -> (usize, Vec<PathBuf>) {
        let (mut count, mut own) = (0, Vec::new());
        let mut rest = vec![self.world.path("")];
        let logs = self.world.state().join("logs/shop@staging");
        while let Some(path) = rest.pop() {
            if path.is_dir() {
                // What this story planted.
                if path != self.world.path("builds") {
                    rest.extend(fs::read_dir(&path).unwrap().flatten().map(|entry| entry.path()));
                }
            } else if path.parent() == Some(&logs) {
                own.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                count += 1;
                self.sinks.push((path.display().to_string(), bytes));
            }
        }
        (count, own)
    }

    /// Every object of the repository, and all that is told of its commits.
    fn repository(&mut self) {
        let dir = self.world.state().join("git/shop@staging.git");
        for args in [
            &["cat-file", "--batch-all-objects", "--batch"][..],
            &["cat-file", "--batch-all-objects", "--batch-check"],
            &["log", "--all", "--format=%H %an %ae %cn %ce %s%n%b"],
        ] {
            let output = Command::new("git").arg("--git-dir").arg(&dir).args(args).output().unwrap();
            assert!(output.status.success() && !output.stdout.is_empty(), "git {args:?}");
            self.sinks.push((format!("git {}", args.join(" ")), output.stdout));
        }
    }
}

/// What processes of this machine were seen with.
#[derive(Default)]
struct Seen {
    looks: usize,
    arguments: BTreeSet<Vec<u8>>,
    /// With the arguments of whoever had it.
    environments: BTreeSet<(Vec<u8>, Vec<u8>)>,
}

impl Seen {
    fn look(&mut self) {
        self.looks += 1;
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            if !entry.file_name().as_encoded_bytes()[0].is_ascii_digit() {
                continue;
            }
            // In this order: what is executed between the two has the environment of before.
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            let arguments = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            self.environments.insert((arguments.clone(), environment));
            self.arguments.insert(arguments);
        }
    }
}

#[test]
fn a_thousand_secrets_are_nowhere_to_be_found() {
    let mut story = Story::new();
    let over = AtomicBool::new(false);
    let (said, seen) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut seen = Seen::default();
            while !over.load(Ordering::SeqCst) {
                seen.look();
                // How often is looked; nothing waits for it.
                std::thread::sleep(Duration::from_millis(50));
            }
            seen
        });
        let said = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| everything(&mut story)));
        over.store(true, Ordering::SeqCst);
        let seen = watch.join().unwrap();
        (said.unwrap_or_else(|panic| std::panic::resume_unwind(panic)), seen)
    });

    // What leaks really leaks.
    assert_eq!(said.len(), CANARIES * FORMS.len(), "secrets in forms that failures had to show");
    processes(&story, &seen);
    let (files, own) = story.files();
    story.repository();
    let mut bytes = 0;
    for (name, text) in &story.sinks {
        bytes += text.len();
        assert_eq!(story.needles.found_in(text), None, "in {name}");
    }
    // What an app writes itself is as it wrote it, and nobody else's to read.
    assert!(own.len() > COMPONENTS, "{own:?}");
    for path in own {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} is open to others: {mode:o}", path.display());
    }
    println!(
        "figure: canaries through the front: {CANARIES} secrets × {} forms × {} sinks ({files} files, {} KiB), 0 found",
        FORMS.len(),
        story.sinks.len(),
        bytes / 1024,
    );
}

/// From a plan to an export, with everything failing on its way; gives what the last lines of failures had to
/// hide: each secret, by number, in each form.
fn everything(story: &mut Story) -> BTreeSet<(usize, usize)> {
    let spec = story.spec("first");
    let spec = spec.to_str().unwrap().to_owned();
    let out = |story: &Story, name: &str| story.world.path(name).display().to_string();
    let plan = out(story, "plan.json");
    story.run(&["plan", "--spec", &spec, "--full", "--out", &plan], 0);
    story.run(&["plan", "--spec", &spec, "--json"], 0);

    // The builds fail; then another engine, that has planned nothing, sees them through, and the apps fail.
    let report = out(story, "report.json");
    let failed = story
        .run(&["--spec", &spec, "--yes", "--json", "--on-failure", "pause", "--report-file", &report], 13);
    assert!(failed.out.contains("release::build") && failed.out.contains("[redacted] | "), "{failed}");
    story.open("builds/open");
    let mut said = BTreeSet::new();
    for turn in 0..TURNS {
        story.turn(turn);
        let before: Vec<usize> = (0..COMPONENTS).map(|component| story.log(component).len()).collect();
        let report = out(story, &format!("report-{turn}.csv"));
        match turn {
            0 => drop(story.run(&["resume", "--retry", "-vv", "--report-file", &report], 13)),
            1 => story.run_at_terminal(&["resume", "--retry", "-vv"], 13),
            _ => drop(story.run(&["resume", "--retry", "--json"], 13)),
        }
        for (component, since) in before.into_iter().enumerate() {
            said.extend(last_lines(story, component, since));
        }
    }
    story.run(&["status"], 0);
    story.open("gate");
    story.run(&["resume", "--retry"], 0);
    asked(story, &spec);

    // Another version of one of them fails, and is taken back.
    fs::remove_file(story.world.path("gate")).unwrap();
    story.spec("second");
    let taken_back = story.run(&["--spec", &spec, "--yes"], 5);
    assert!(taken_back.err.contains("process::exited"), "{taken_back}");
    story.run(&["status", "--full"], 0);
    story.run(&["history", "--full"], 0);
    story.run(&["logs", name(0).as_str(), "-n", "1000"], 0);
    said
}

/// Every question that a person can ask.
fn asked(story: &mut Story, spec: &str) {
    let report = story.world.path("report.html").display().to_string();
    let questions: [&[&str]; 19] = [
        &["status"],
        &["status", "--full"],
        &["status", "--json"],
        &["history", "--full"],
        &["history", "--json"],
        &["runs", "--json"],
        &["replay", "1"],
        &["replay", "1", "--json"],
        &["replay", "latest", "--report-file", &report.replace("html", "json")],
        &["logs", "-n", "100000"],
        &["logs", "app7", "-n", "100000", "--json"],
        &["logs", "app7/release", "-n", "100000"],
        &["report", "--out", &report],
        &["verify", "--json"],
        &["doctor"],
        &["doctor", "--json"],
        &["--spec", spec, "--dry-run", "--full"],
        &["--spec", spec, "--dry-run", "--json"],
        &["commands", "--json"],
    ];
    for question in questions {
        let ended = Ended::of(question, story.command(question).output().unwrap());
        assert!([0, 1].contains(&ended.code), "{ended}");
        if question[0] == "logs" {
            assert!(
                ended.out.contains("[redacted] | [redacted] | "),
                "{}",
                &ended.out[..ended.out.len().min(2000)]
            );
        }
        story.sinks.push((format!("output of `{}`", ended.line), (ended.out + &ended.err).into()));
    }
}

/// What of a component's secrets stands, in which form, among what a failure shows of its log.
fn last_lines(story: &Story, component: usize, since: usize) -> Vec<(usize, usize)> {
    let log = story.log(component);
    let text = String::from_utf8_lossy(&log[since..]);
    // As `process` has it: of the last 16 KiB.
    assert!(text.len() < 16 * 1024, "{} bytes in one turn", text.len());
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let shown = lines[lines.len().saturating_sub(20)..].join("\n");
    let own = component * EACH..(component + 1) * EACH;
    let pairs = own.flat_map(|i| FORMS.iter().enumerate().map(move |(form, kind)| (i, form, kind)));
    pairs
        .filter(|(i, _, kind)| kind.ways(&story.all[*i]).iter().any(|way| shown.contains(way)))
        .map(|(i, form, _)| (i, form))
        .collect()
}

/// No argument of anybody has a secret, and no environment but that of the app that is given it.
fn processes(story: &Story, seen: &Seen) {
    let tools = fs::read(story.world.path("tools")).unwrap();
    for bytes in seen.arguments.iter().chain([&tools]) {
        assert_eq!(story.needles.found_in(bytes), None, "in {}", String::from_utf8_lossy(bytes));
    }
    let mut holders: BTreeMap<String, usize> = BTreeMap::new();
    for (arguments, environment) in &seen.environments {
        let mut found = BTreeSet::new();
        story.needles.walk(environment, |_, secret| {
            found.insert(secret / EACH);
            true
        });
        let Some(component) = found.pop_first() else { continue };
        let line = String::from_utf8_lossy(arguments).replace('\0', " ");
        assert!(found.is_empty(), "`{line}` has secrets of several components: {found:?}");
        assert!(
            line.starts_with("python3 app.py ") || line.contains("/python3 app.py "),
            "`{line}` has secrets"
        );
        let own = format!("CODE_COMPONENT={}\0", name(component));
        let environment = String::from_utf8_lossy(environment);
        assert!(environment.contains(&own), "`{line}` has secrets of {}", name(component));
        *holders.entry(name(component)).or_default() += 1;
    }
    // Somebody was seen.
    assert_eq!(holders.len(), COMPONENTS, "{holders:?}");
    for who in ["__keeper", "--retry", "build.sh", "fast-import"] {
        let was = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).contains(who);
        assert!(seen.arguments.iter().chain([&tools]).any(was), "`{who}` was never seen");
    }
    println!(
        "figure: canaries in processes: {CANARIES} secrets × {} forms × {} command lines and {} environments \
         in {} looks, 0 found but in the apps' own {}",
        FORMS.len(),
        seen.arguments.len(),
        seen.environments.len(),
        seen.looks,
        holders.values().sum::<usize>(),
    );
}
