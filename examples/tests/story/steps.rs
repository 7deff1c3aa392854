//! What the tools of steps write, how each step of a failed run ended, and the run shown once more.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::terminal::Terminal;
use crate::world::{PATIENCE, Running, World, until};

const SENTENCE: &str = "Deploy a web app and an API to staging";

/// How many lines each build writes.
const NOISE: usize = 400;

/// Two builds that write at the same time: each begins when the other has, the API's fails, and the web app's
/// ends when that is written down.
fn noisy(world: &World) {
    let (web, api) = (world.path("web-began"), world.path("api-began"));
    let journal = world.state().join("journal/shop@staging.log");
    let wait =
        |until: String| format!("i=0; until {until} || [ $i -gt 999 ]; do sleep 0.05; i=$((i+1)); done");
    let write = |name: &str| format!("i=0; while [ $i -lt {NOISE} ]; do i=$((i+1)); echo {name} $i; done");
    let begins = |mine: &Path, other: &Path| {
        format!("touch '{}'; {}", mine.display(), wait(format!("[ -e '{}' ]", other.display())))
    };
    let ends = wait(format!("grep -q step_failed '{}'", journal.display()));
    let builds = [
        ("web", format!("{}; {}; {ends}", begins(&web, &api), write("web"))),
        ("api", format!("{}; {}; exit 3", begins(&api, &web), write("api"))),
    ];
    let mut settings = String::new();
    for (name, script) in builds {
        world.write(&format!("{name}/a"), "");
        settings.push_str(&format!(
            "[components.{name}]\nkind = \"{name}\"\nsource = \"{name}\"\n\
             build = [\"sh\", \"-c\", \"{script}\"]\nstart = [\"sleep\", \"60\"]\n\
             health = {{ timeout_seconds = 1 }}\n"
        ));
    }
    world.write("code.toml", &settings);
}

/// What the build of a component must have written, and nothing else.
fn own_lines(name: &str) -> String {
    (1..=NOISE).map(|i| format!("{name} {i}\n")).collect()
}

#[test]
fn a_failed_step_opens_and_its_log_holds_only_its_own_lines() {
    let world = World::new();
    noisy(&world);
    let (json, events) = (world.path("run.json"), world.path("events"));
    let (json_name, events_name) = (json.to_str().unwrap(), events.to_str().unwrap());
    let failed = world.fails(
        &[SENTENCE, "--yes", "--report-file", json_name, "--json-into", events_name],
        5,
        "error[release::build]",
    );

    // The failed step opens: its last 20 lines, where all of them are, and the command once more.
    for line in [NOISE - 19, NOISE] {
        assert!(failed.err.contains(&format!("api {line}\n")), "{failed}");
    }
    assert!(!failed.err.contains(&format!("api {}\n", NOISE - 20)), "{failed}");
    let logs = world.state().join("logs/shop@staging/run-1");
    let log = |name: &str| {
        let mut found = fs::read_dir(&logs).unwrap().map(|entry| entry.unwrap().path());
        let holds = |path: &PathBuf| fs::read_to_string(path).unwrap().contains(name);
        found.find(holds).unwrap_or_else(|| panic!("no log of {name}"))
    };
    // The path may be broken to the width of the screen.
    let unbroken: String = failed.err.split_whitespace().collect();
    assert!(unbroken.contains(log("api").to_str().unwrap()), "{failed}");
    let once_more = failed.out.lines().find(|line| line.contains("once more")).expect("the command again");
    assert!(once_more.contains(SENTENCE) && once_more.contains("--yes"), "{failed}");
    let events = fs::read_to_string(events).unwrap();
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let event = events.iter().find(|line| line["type"] == "step_failed").expect("the event");
    let context = event["data"]["error"]["context"].to_string();
    assert!(context.contains(log("api").to_str().unwrap()), "{context}");

    // Files never carry a prefix, and each has its own step's bytes only.
    for name in ["web", "api"] {
        assert_eq!(fs::read_to_string(log(name)).unwrap(), own_lines(name));
        let step = format!("{name}/release");
        let shown = world.ok(&["logs", &step, "-n", "2"]);
        assert_eq!(shown.out, format!("{step} | {name} {}\n{step} | {name} {NOISE}\n", NOISE - 1));
    }
    world.fails(&["logs", "web/endpoint"], 2, "wrote nothing");
    let unknown = world.fails(&["logs", "web/nothing"], 2, "front::no-logs");
    assert!(unknown.err.contains("api/release"), "{unknown}");

    // Each step with its result, reason and cause.
    let runs: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!((&runs[0]["outcome"], &runs[0]["run"]), (&"rolled_back".into(), &1.into()), "{runs}");
    let of = |address: &str| {
        let steps = runs[0]["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["address"] == address).expect("a step");
        ["result", "reason", "cause"].map(|field| step[field].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(of("api/release")[..2], ["failed", "release::build"]);
    assert_eq!(of("web/release"), ["taken_back", "early exit", "api/release"]);
    assert_eq!(of("api/endpoint"), ["skipped", "early exit", "api/release"]);

    // The same as rows, and what was recorded is shown again without anything being changed.
    let csv = world.path("run.csv");
    world.fails(&[SENTENCE, "--yes", "-q", "--report-file", csv.to_str().unwrap()], 5, "error[");
    let rows = fs::read_to_string(csv).unwrap();
    assert!(rows.starts_with("deployment,run,address,action,kind,result,reason,cause,"), "{rows}");
    assert!(rows.contains("shop/staging,2,api/release,create,release,failed,release::build,"), "{rows}");
    world.fails(&[SENTENCE, "--report-file", "run.xml"], 2, ".json or .csv");

    let before = world.snapshot();
    let runs = world.ok(&["runs"]);
    let told: Vec<&str> = runs.out.lines().collect();
    assert_eq!(told.len(), 2, "{runs}");
    assert!(told[0].starts_with("2 ") && told[1].starts_with("1 ") && told[0].contains(SENTENCE), "{runs}");
    assert!(told[0].contains("failed and was taken back"), "{runs}");
    assert_eq!(world.json(&["runs"])["data"].as_array().unwrap().len(), 2);
    let replayed = world.ok(&["replay", "1"]);
    let messages = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with('['));
        lines.filter_map(|line| Some(line.split_once("] ")?.1.to_owned())).collect()
    };
    // Lines of tools are for their logs only; everything else is the same.
    assert_eq!(messages(&replayed.out), messages(&failed.err), "{replayed}{failed}");
    assert!(world.ok(&["replay"]).out.contains("run 2 failed and was taken back"));
    let lines = world.ok(&["replay", "latest", "--json"]).lines();
    assert_eq!(lines.first().map(|line| line["type"].clone()), Some("version".into()));
    assert_eq!(lines.last().map(|line| line["type"].clone()), Some("run_ended".into()));
    world.fails(&["replay", "7"], 2, "front::no-such-run");
    assert_eq!(world.snapshot(), before);
}

#[test]
fn the_log_of_a_step_is_followed_while_it_runs() {
    let world = World::new();
    let go_on = world.path("go-on");
    let script = format!(
        "echo the beginning; i=0; while [ ! -e '{}' ] && [ $i -lt 600 ]; do sleep 0.05; i=$((i+1)); done; echo the end; exit 3",
        go_on.display()
    );
    let build = format!("build = [\"sh\", \"-c\", \"{script}\"]\nstart = [\"sleep\", \"60\"]\n");
    world.write("web/a", "");
    world.write("code.toml", &format!("[components.web]\nsource = \"web\"\n{build}"));
    let mut run = Running(world.command(&["Deploy a web app to staging", "--yes"]).spawn().unwrap());
    until("its log can be read", || world.run(&["logs", "web/release"]).out.contains("the beginning"));

    let mut follow = Running(world.command(&["logs", "-f", "web/release"]).spawn().unwrap());
    let out = follow.0.stdout.take().unwrap();
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            // Nobody reads any more when the story is over.
            let _ = sender.send(line);
        }
    });
    assert_eq!(lines.recv_timeout(PATIENCE).unwrap(), "web/release | the beginning");
    fs::write(go_on, "").unwrap();
    assert_eq!(lines.recv_timeout(PATIENCE).unwrap(), "web/release | the end");
    kill_process(Pid::from_child(&follow.0), Signal::INT).unwrap();
    assert_eq!(follow.0.wait().unwrap().code(), Some(130));
    assert_eq!(run.0.wait().unwrap().code(), Some(5));
}

/// A deployment whose build goes on until it is let go.
fn slow(world: &World) -> std::process::Command {
    let go_on = world.path("go-on").display().to_string();
    let script = format!("i=0; while [ ! -e '{go_on}' ] && [ $i -lt 999 ]; do sleep 0.05; i=$((i+1)); done");
    let build = format!("build = [\"sh\", \"-c\", \"{script}; exit 3\"]\nstart = [\"sleep\", \"60\"]\n");
    world.write("web/a", "");
    world.write("code.toml", &format!("[components.web]\nsource = \"web\"\n{build}"));
    let mut command = world.command(&["Deploy a web app to staging", "--yes"]);
    command.env("DEPLOY_HEARTBEAT_MS", "100");
    command
}

#[test]
fn a_slow_step_is_named_while_it_runs() {
    let world = World::new();
    let mut lines = Running(slow(&world).spawn().unwrap());
    let mut told = BufReader::new(lines.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    // The first may come before the first step.
    let named = |line: &String| line.contains("still running") && !line.contains("between steps");
    let still = told.find(named).expect("a line for a person");
    assert!(still.contains("0 of 3 steps done: web/release ("), "{still}");
    fs::write(world.path("go-on"), "").unwrap();
    assert_eq!(told.filter(|line| line.contains("taken back")).count(), 1);
    assert_eq!(lines.0.wait().unwrap().code(), Some(5));

    // At a terminal its bar is there all the time.
    fs::remove_file(world.path("go-on")).unwrap();
    let mut bars = Terminal::of(slow(&world), 40);
    bars.wait_for("0 of 3 steps");
    bars.wait_for("web/release");
    fs::write(world.path("go-on"), "").unwrap();
    assert_eq!(bars.ends().code(), Some(5), "{}", bars.shown());

    fs::remove_file(world.path("go-on")).unwrap();
    let mut json = Running(slow(&world).arg("--json").spawn().unwrap());
    let events = BufReader::new(json.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut events = events.map(|line| serde_json::from_str::<Value>(&line).unwrap());
    for _ in 0..3 {
        // The first may come before the first step.
        let named =
            |event: &Value| event["type"] == "heartbeat" && event["data"]["running"][0] != Value::Null;
        let beat = events.find(named).expect("a heartbeat");
        assert_eq!(beat["data"]["running"][0]["step"], "web/release", "{beat}");
        assert_eq!((&beat["data"]["done"], &beat["data"]["total"]), (&0.into(), &3.into()), "{beat}");
    }
    fs::write(world.path("go-on"), "").unwrap();
    assert_eq!(events.last().map(|event| event["type"].clone()), Some("finished".into()));
    assert_eq!(json.0.wait().unwrap().code(), Some(5));
}
