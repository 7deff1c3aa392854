//! A deployment that fails: what was done is undone against the edges, what ran before goes on serving, and
//! the error says why and what to do.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::basics::has_postgresql;
use crate::load::Load;
use crate::world::{Ended, World, http, listens_too, port};

const SENTENCE: &str = "Deploy a web app with a SQLite database to staging";
const UPDATE: &str = "update the web app in staging";

/// A web app that answers with its version.
fn app(world: &World, version: &str) {
    world.python_app("", &format!("'{version}'"));
}

/// Puts lines among the settings of the web app.
fn set(world: &World, lines: &str) {
    let settings = std::fs::read_to_string(world.project().join("code.toml")).unwrap();
    world
        .write("code.toml", &settings.replace("[components.web]\n", &format!("[components.web]\n{lines}\n")));
}

/// Breaks the next version, and sees it fail while a client asks on.
fn taken_back(code: &str, says: &[&str], break_it: impl FnOnce(&World)) {
    let world = World::new();
    app(&world, "one");
    set(&world, "replicas = 2\nhealth = { path = \"/\", timeout_seconds = 4 }");
    world.ok(&[SENTENCE, "--yes", "-q"]);
    let (url, before) = (world.url(), world.processes());
    let settings = std::fs::read(world.project().join("code.toml")).unwrap();
    let load = Load::on_page(&url);
    load.goes_on(20);
    app(&world, "two");
    break_it(&world);
    // Twice: the second one finds what the first one left.
    for round in 0..2 {
        let into = world.path(&format!("run-{round}.jsonl"));
        let failed = world.run(&[UPDATE, "--yes", "--json-into", into.to_str().unwrap()]);
        assert_eq!(failed.code, 5, "{failed}");
        assert!(failed.out.contains("everything was taken back"), "{failed}");
        for text in [&format!("error[{code}]")[..], "hint:", "explain"].iter().chain(says) {
            assert!(failed.err.contains(text), "`{text}` is not in {failed}");
        }
        in_reverse(&std::fs::read_to_string(into).unwrap(), &failed);
        load.goes_on(20);
    }
    let answered = load.none_failed();
    println!("figure: failing updates under load ({code}): {answered} requests, 0 failed");
    assert_eq!(http(&url, "GET", "/", "").1, "one");
    assert_eq!(world.processes(), before, "they were never touched");
    std::fs::write(world.project().join("code.toml"), settings).unwrap();
    let status = world.ok(&["status"]);
    assert!(status.out.contains("2 of 2 healthy"), "{status}");
    app(&world, "two");
    world.ok(&[UPDATE, "--yes", "-q"]);
}

/// What was begun is undone, and each only after everything that needed it.
fn in_reverse(lines: &str, failed: &Ended) {
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let plan = &lines.iter().find(|line| line["type"] == "planned").expect("a plan")["data"]["plan"];
    let needs: BTreeMap<u64, Vec<u64>> = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| {
            let needs = step["needs"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
            (step["id"].as_u64().unwrap(), needs)
        })
        .collect();
    let steps = |kind: &str, undo: bool| -> Vec<u64> {
        let of = |line: &&Value| line["type"] == kind && (line["data"]["undo"] == true) == undo;
        lines.iter().filter(of).map(|line| line["data"]["step"].as_u64().unwrap()).collect()
    };
    let begun: BTreeSet<u64> = steps("step_done", false).into_iter().collect();
    let undone = steps("step_done", true);
    assert!(begun.iter().all(|step| undone.contains(step)), "{begun:?} {undone:?}\n{failed}");
    for (i, step) in undone.iter().enumerate() {
        let later = &undone[i + 1..];
        let wrong = later.iter().find(|after| needs[after].contains(step));
        assert!(wrong.is_none(), "{step} was undone before {wrong:?}, which needs it: {undone:?}\n{failed}");
    }
}

#[test]
fn an_app_that_crashes_at_start() {
    taken_back("process::exited", &["exited with code 3", "no module named soup"], |world| {
        world.write("app.py", "import sys\nprint('no module named soup', flush=True)\nsys.exit(3)\n");
    });
}

/// It is free when it is planned: the new version itself listens where its address is to be.
#[test]
fn a_port_that_is_taken_in_mid_run() {
    taken_back("route::port-taken", &["listener:", "python"], |world| {
        let wanted = port();
        world.move_to(wanted);
        let text = std::fs::read_to_string(world.project().join("app.py")).unwrap();
        world.write("app.py", &format!("{}{text}", listens_too(wanted)));
    });
}

#[test]
fn a_health_check_that_never_answers() {
    taken_back("process::unhealthy", &["healthy within 4 s", "why:", "log:"], |world| {
        world.python_app("", "time.sleep(100) or 'two'");
    });
}

#[test]
fn a_migration_that_fails() {
    taken_back("release::build", &["ended with code 7", "relation orders does not exist"], |world| {
        let script = "echo migrating; echo relation orders does not exist; exit 7";
        set(world, &format!("build = [\"sh\", \"-c\", \"{script}\"]"));
    });
}

/// A first deployment that fails leaves nothing but its data, which the next one finds.
fn nothing_but_the_data(sentence: &str, data: &str) {
    let world = World::new();
    app(&world, "one");
    world.write("app.py", "import sys\nprint('not today', flush=True)\nsys.exit(3)\n");
    for _ in 0..2 {
        let failed = world.run(&[sentence, "--yes"]);
        assert_eq!(failed.code, 5, "{failed}");
        assert!(failed.err.contains("not today") && failed.err.contains("hint:"), "{failed}");
        assert!(failed.out.contains("data kept: ") && failed.out.contains(data), "{failed}");
        let status = world.ok(&["status"]);
        assert!(status.out.contains("kept") && !status.out.contains("web"), "{status}");
        assert!(world.resources().iter().all(|resource| resource["kept"] == true), "{status}");
        assert_eq!(world.strangers(), Vec::<String>::new(), "nothing runs");
    }
    let id = |world: &World| {
        let found = world.resources().into_iter().find(|resource| resource["address"] == data);
        found.unwrap_or_else(|| panic!("{data} is gone"))["id"].clone()
    };
    let before = id(&world);
    app(&world, "two");
    world.ok(&[sentence, "--yes", "-q"]);
    assert_eq!(http(&world.url(), "GET", "/", "").1, "two");
    assert_eq!(id(&world), before, "it is the same");
    world.ok(&["status"]);
}

#[test]
fn a_first_deployment_with_sqlite() {
    nothing_but_the_data(SENTENCE, "db/endpoint");
}

#[test]
fn a_first_deployment_with_postgresql() {
    if has_postgresql() {
        nothing_but_the_data("Deploy a web app with a PostgreSQL database to staging", "db/data");
    }
}

#[test]
fn what_cannot_be_taken_back_is_said_and_goes_last() {
    let world = World::new();
    world.ok(&[SENTENCE, "--yes", "-q"]);
    let dry = world.ok(&["destroy", "--delete-data", "--confirm", "shop/staging", "--dry-run"]);
    let said = dry.out.find("IRREVERSIBLE").unwrap_or_else(|| panic!("it is not said: {dry}"));
    let told = dry.out.find("these cannot:").unwrap_or_else(|| panic!("it is not counted: {dry}"));
    let steps = &dry.out[..told];
    assert!(said > steps.rfind("-  web/").unwrap(), "it goes last: {dry}");
    assert_eq!(http(&world.url(), "GET", "/health", "").0, 200);
    // And in the run, in this order.
    let run = world.ok(&["destroy", "--delete-data", "--confirm", "shop/staging", "--yes", "--json"]);
    let done: Vec<Value> = run.lines().into_iter().filter(|line| line["type"] == "step_done").collect();
    assert_eq!(done.last().unwrap()["data"]["address"], "db/endpoint", "{run}");
}

#[test]
fn a_rollback_needs_nothing_of_the_project_and_keeps_the_data() {
    let world = World::new();
    let page = |world: &World| http(&world.url(), "GET", "/", "").1;
    app(&world, "one");
    world.ok(&[SENTENCE, "--yes", "-q"]);
    let data = world.state().join("data");
    for version in ["two", "three"] {
        app(&world, version);
        world.ok(&[UPDATE, "--yes", "-q"]);
    }
    assert_eq!(page(&world), "three");
    let before = std::fs::read_dir(&data).unwrap().count();
    // Changed, and then gone.
    world.write("app.py", "nonsense");
    world.ok(&["roll back staging", "--yes", "-q"]);
    assert_eq!(page(&world), "two");
    for file in ["app.py", "Procfile"] {
        std::fs::remove_file(world.project().join(file)).unwrap();
    }
    let back = world.ok(&["rollback", "--to", "1", "--yes"]);
    assert!(back.out.contains("Plan "), "it is planned and shown as any change is: {back}");
    assert_eq!(page(&world), "one");
    world.ok(&["rollback", "--to", "3", "--yes", "-q"]);
    assert_eq!(page(&world), "three");
    world.fails(&["rollback", "--to", "77", "--yes"], 2, "rollback::no-revision");
    assert_eq!(std::fs::read_dir(&data).unwrap().count(), before);
    world.ok(&["status"]);
}
