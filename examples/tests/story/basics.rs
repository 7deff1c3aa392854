//! One sentence to a running app with its database, and everything that one looks at afterwards.

use crate::world::{World, http, try_http, until};

/// Deploys, and goes the whole way of a newcomer.
fn from_a_sentence_to_nothing(sentence: &str, engine: &str) {
    let world = World::new();
    let first = world.ok(&[sentence, "--yes"]);
    // In this order: what was understood, the spec with origins, the verdicts, the plan, its way back, the end.
    let mut rest = first.out.as_str();
    for part in [
        "Understood (by grammar)",
        "^^^^^^",
        "shop/staging",
        "from your request: \"staging\"",
        "Gate PASS of the spec",
        "Plan ",
        "Cost",
        "Way back",
        "to create",
        "Deployed: shop/staging, revision 1",
        "http://127.0.0.1:",
        "status",
        "logs",
    ] {
        let at =
            rest.find(part).unwrap_or_else(|| panic!("`{part}` is missing, or not in its place: {first}"));
        rest = &rest[at..];
    }
    assert!(first.err.contains("web/endpoint done"), "{first}");

    // It answers, and what is written is read back: also after a restart, and at the same address.
    let url = world.url();
    assert_eq!(http(&url, "GET", "/", "").0, 200);
    assert_eq!(http(&url, "POST", "/notes", "text=remember+the+milk").0, 303);
    assert!(http(&url, "GET", "/notes", "").1.contains("remember the milk"));
    assert!(http(&url, "GET", "/health", "").1.to_lowercase().contains(engine));
    let before = world.processes();
    world.ok(&["restart", "web", "--yes"]);
    assert_ne!(world.processes(), before, "a restart makes another process");
    assert_eq!(world.url(), url);
    assert!(http(&url, "GET", "/notes", "").1.contains("remember the milk"));

    // The same again: nothing restarted.
    let running = world.processes();
    let again = world.ok(&[sentence, "--yes"]);
    assert!(again.out.contains("Nothing to do"), "{again}");
    assert_eq!(world.processes(), running);

    // Three, each of them healthy.
    let scaled = world.ok(&["scale the web app to 3 in staging", "--yes"]);
    assert!(scaled.out.contains("to create"), "{scaled}");
    assert_eq!(world.processes().len(), 3);
    assert_eq!(world.url(), url);
    let status = world.ok(&["status"]);
    assert!(status.out.contains("3 of 3 healthy"), "{status}");

    // What happened, and what was written.
    let history = world.ok(&["history"]);
    for told in ["asked: scale the web app to 3", "approved plan", "succeeded", "healthy after"] {
        assert!(history.out.contains(told), "`{told}` is not in {history}");
    }
    assert!(world.ok(&["logs", "web"]).out.contains("web"));
    assert!(world.ok(&["what is running in staging?"]).out.contains("3 of 3 healthy"));
    let report = world.path("report.html");
    world.ok(&["report", "--out", report.to_str().unwrap()]);
    assert!(std::fs::read_to_string(report).unwrap().contains("shop/staging"));

    // Gone, but for the data, which the next deployment finds again.
    let destroyed = world.ok(&["destroy", "--yes"]);
    assert!(destroyed.out.contains("data kept"), "{destroyed}");
    assert!(try_http(&url, "GET", "/", "").is_err(), "nothing listens any more");
    world.ok(&[sentence, "--yes"]);
    assert!(http(&world.url(), "GET", "/notes", "").1.contains("remember the milk"));

    // Gone with its data only by its name.
    world.fails(&["destroy", "--delete-data", "--yes"], 4, "--confirm shop/staging");
    world.fails(&["destroy", "--delete-data", "--yes", "--confirm", "shop"], 4, "front::confirm");
    world.ok(&["destroy", "--delete-data", "--yes", "--confirm", "shop/staging"]);
    assert!(world.resources().is_empty());
}

#[test]
fn a_web_app_with_sqlite() {
    from_a_sentence_to_nothing("Deploy a web app with a SQLite database to staging", "sqlite");
}

#[test]
fn a_web_app_with_postgresql() {
    if !has_postgresql() {
        return;
    }
    from_a_sentence_to_nothing("Deploy a web app with a PostgreSQL database to staging", "postgres");
}

/// Whether PostgreSQL is here; says so where it is not, so that nobody believes it was tested.
pub(crate) fn has_postgresql() -> bool {
    let here = World::new().json(&["doctor"])["data"]
        .as_array()
        .is_some_and(|all| all.iter().any(|one| one["name"] == "postgres" && one["state"] == "pass"));
    if !here {
        eprintln!("skipped: PostgreSQL is not on this machine (apt install postgresql)");
    }
    here
}

#[test]
fn a_killed_app_comes_back_and_history_tells() {
    let world = World::new();
    world.ok(&["Deploy a web app with a SQLite database to staging", "--yes", "-q"]);
    let url = world.url();
    http(&url, "POST", "/notes", "text=still+here");
    let before = world.processes();
    kill(&before[0]);
    until("the keeper has restarted it", || {
        world.processes() != before && try_http(&url, "GET", "/notes", "").is_ok_and(|(code, _)| code == 200)
    });
    assert!(http(&url, "GET", "/notes", "").1.contains("still here"));
    let history = world.ok(&["history"]);
    assert!(history.out.contains("restarted"), "{history}");
}

/// After a reboot nothing runs: the same command brings everything back, with its data.
fn back_after_a_reboot(sentence: &str) {
    let world = World::new();
    world.ok(&[sentence, "--yes", "-q"]);
    let url = world.url();
    http(&url, "POST", "/notes", "text=before+the+reboot");
    world.reboot();
    let status = world.fails(&["status"], 10, "web");
    assert!(status.out.contains("0 of 1 healthy"), "{status}");
    let again = world.ok(&[sentence, "--yes"]);
    assert!(!again.err.contains("attempt 2"), "a server that is starting is waited for: {again}");
    assert_eq!(world.url(), url);
    assert!(http(&url, "GET", "/notes", "").1.contains("before the reboot"));
    world.ok(&["status"]);
}

#[test]
fn everything_is_back_after_a_reboot() {
    back_after_a_reboot("Deploy a web app with a SQLite database to staging");
}

#[test]
fn everything_is_back_after_a_reboot_with_postgresql() {
    if has_postgresql() {
        back_after_a_reboot("Deploy a web app with a PostgreSQL database to staging");
    }
}

/// A reboot gives numbers anew: a stranger has the number that the app had, and where even the start time is the
/// same, only the boot tells the two apart.
#[test]
fn a_stranger_with_the_number_of_an_app_of_an_earlier_boot_is_left_alone() {
    let sentence = "Deploy a web app with a SQLite database to staging";
    let world = World::new();
    world.ok(&[sentence, "--yes", "-q"]);
    let url = world.url();
    http(&url, "POST", "/notes", "text=before+the+reboot");
    world.reboot();
    let mut sleep = std::process::Command::new("sleep");
    let stranger = sleep.arg("600").current_dir("/").env_clear().spawn().expect("sleep runs");
    let mut stranger = crate::world::Running(stranger);
    let path = world.state().join("keeper/table.json");
    let mut table = world.table();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", stranger.0.id())).unwrap();
    // The name stands in parentheses; field 22 is the start (proc_pid_stat(5)).
    let start = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(19)).unwrap();
    let identity = &mut table["processes"][0]["identity"];
    identity["pid"] = stranger.0.id().into();
    identity["start"] = start.parse::<u64>().unwrap().into();
    let boot = identity["boot"].as_str().unwrap().to_owned();
    std::fs::write(&path, table.to_string().replace(&boot, "00000000-0000-4000-8000-000000000000")).unwrap();

    let status = world.fails(&["status"], 10, "0 of 1 healthy");
    assert!(status.out.contains("GONE web/"), "{status}");
    world.ok(&[sentence, "--yes", "-q"]);
    assert_eq!(world.url(), url);
    assert!(http(&url, "GET", "/notes", "").1.contains("before the reboot"));
    assert_eq!(world.processes().len(), 1);
    world.ok(&["status"]);
    world.ok(&["destroy", "--yes", "-q"]);
    assert!(stranger.0.try_wait().unwrap().is_none(), "the stranger runs");
}

#[test]
fn no_secret_is_in_any_output_or_record() {
    if !has_postgresql() {
        return;
    }
    let world = World::new();
    let run = world.ok(&[
        "Deploy a web app with a PostgreSQL database to staging",
        "--yes",
        "--json",
        "--full",
        "-vv",
    ]);
    // The app itself has the password, in its environment and nowhere else.
    let pid = world.processes().remove(0);
    let environ = std::fs::read(format!("/proc/{}/environ", pid.trim_matches('"'))).unwrap();
    let environ = String::from_utf8_lossy(&environ).into_owned();
    let url = environ.split('\0').find_map(|pair| pair.strip_prefix("DATABASE_URL=")).expect("an address");
    let password = url.split("://").nth(1).and_then(|rest| rest.split('@').next()?.split(':').nth(1));
    let password = password.expect("a password");
    assert!(password.len() >= 16, "{url}");
    let report = world.path("report.html");
    world.ok(&["report", "--out", report.to_str().unwrap()]);
    let mut texts = vec![run.out, run.err, std::fs::read_to_string(report).unwrap()];
    for command in [&["history", "--json"][..], &["status", "--json"], &["status", "--full"], &["logs"]] {
        let ended = world.ok(command);
        texts.extend([ended.out, ended.err]);
    }
    assert!(texts.iter().all(|text| !text.contains(password)), "the password was shown");
    for (path, bytes) in world.snapshot() {
        let data = path.components().any(|part| part.as_os_str() == "data");
        let found = bytes.windows(password.len()).any(|part| part == password.as_bytes());
        assert!(data || !found, "the password is in {}", path.display());
    }
}

#[test]
fn stop_and_start_keep_the_data_and_the_address() {
    let world = World::new();
    world.ok(&["Deploy a web app with a SQLite database to staging", "--yes", "-q"]);
    let url = world.url();
    http(&url, "POST", "/notes", "text=kept");
    world.ok(&["stop", "web", "--yes", "-q"]);
    assert!(world.processes().is_empty());
    assert_eq!(try_http(&url, "GET", "/", "").map_or(503, |(code, _)| code), 503);
    world.ok(&["start", "--yes", "-q"]);
    assert_eq!(world.url(), url);
    let before = world.processes();
    world.ok(&["restart", "--yes", "-q"]);
    assert!(world.processes().len() == 1 && world.processes() != before, "all of it, where nothing is named");
    assert!(http(&url, "GET", "/notes", "").1.contains("kept"));
}

fn kill(pid: &str) {
    let pid = pid.trim_matches('"').parse().ok().and_then(rustix::process::Pid::from_raw).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it can be killed");
}
