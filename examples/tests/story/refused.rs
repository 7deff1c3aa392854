//! What cannot be done is said at once, each with its own code and what to do, and nothing is changed.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use crate::world::{Ended, World, http};

const SENTENCE: &str = "Deploy a web app with a SQLite database to staging";
/// A user of this machine who owns nothing.
const NOBODY: u32 = 65_534;

/// It failed with this code, said what to do, and left nothing behind.
fn refused(world: &World, ended: &Ended, code: &str) {
    assert!(ended.code != 0 && ended.err.contains(&format!("error[{code}]")), "{code}: {ended}");
    assert!(ended.err.contains("hint:"), "{ended}");
    assert!(world.resources().is_empty(), "{ended}");
}

#[test]
fn a_state_directory_that_cannot_be_written_is_said_and_left() {
    let world = World::new();
    let file = world.write("file", "mine");
    for state in [file.display().to_string(), format!("{}/below", file.display())] {
        for args in [&[SENTENCE, "--yes"][..], &["status"]] {
            let ended = world.run(&[args, &["--state", &state]].concat());
            refused(&world, &ended, "front::state");
        }
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");

    // A directory that only its owner may write; root may everywhere, so root asks as somebody else.
    let theirs = world.path("theirs");
    fs::create_dir(&theirs).unwrap();
    fs::set_permissions(&theirs, PermissionsExt::from_mode(0o555)).unwrap();
    let binary = world.path("deploy");
    fs::copy(crate::world::binary(), &binary).unwrap();
    let like = world.command(&[SENTENCE, "--yes", "--state", theirs.join("state").to_str().unwrap()]);
    let mut command = std::process::Command::new(binary);
    command.args(like.get_args()).current_dir(world.project()).env_clear().env("PATH", "/usr/bin:/bin");
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let ended = Ended::of(&["as somebody else"], command.stdin(Stdio::null()).output().unwrap());
    refused(&world, &ended, "journal::denied");
    assert!(ended.err.contains("--state DIR"), "{ended}");
    assert_eq!(fs::read_dir(&theirs).unwrap().count(), 0);

    // Nobody may write there, root neither.
    let ended = world.run(&[SENTENCE, "--yes", "--state", "/proc/state"]);
    refused(&world, &ended, "journal::io");
    assert!(ended.err.contains("--state DIR"), "{ended}");
}

#[test]
fn each_bad_request_has_its_own_error() {
    let world = World::new();
    world.settings("[environments.staging]\n");
    for (words, code) in [
        ("deploy \u{202e}it now", "request::bidirectional"),
        ("deploy \u{2066}it now", "request::bidirectional"),
        ("deploy\u{7} it now", "request::control-character"),
        (" ", "request::empty"),
        ("Deploy a web app to nowhere-land", "resolve::unknown-environment"),
        ("Deploy a web app with an Oracle database to staging", "recipe::unsupported"),
        // Never a silent SQLite: whatever is here, it is not this one.
        ("Deploy a web app with a PostgreSQL 99 database to staging", "resolve::no-postgresql"),
    ] {
        refused(&world, &world.run(&[words, "--yes"]), code);
    }

    // Bytes that are no text, on the line and on standard input.
    let mut line = world.command(&["--yes"]);
    line.arg(std::ffi::OsString::from_vec(b"deploy \xff\xfe now".to_vec()));
    let ended = Ended::of(&["bytes"], line.output().unwrap());
    assert!(ended.code == 2 && !ended.err.contains("panic"), "{ended}");
    let mut child = world.command(&["-", "--yes"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"\x7fELF\x02\x01\x00\xff").unwrap();
    refused(&world, &Ended::of(&["-"], child.wait_with_output().unwrap()), "front::standard-input");
}

#[test]
fn what_contradicts_itself_is_asked_about_or_refused() {
    let world = World::new();
    world.settings("[environments.staging]\n[environments.production]\n");
    for words in [
        "Deploy a web app with 2 replicas and 3 replicas to staging",
        "Deploy a web app to staging but do not deploy it",
        "Deploy a public, private database to staging",
        "Deploy a web app without a database and with a database to staging",
        "Deploy a web app with SQLite and without a database to staging",
        "Deploy a web app with a SQLite database to staging but not to staging",
    ] {
        let ended = world.run(&[words, "--yes"]);
        refused(&world, &ended, "resolve::question");
        assert!(ended.code == 4 && ended.out.contains("question[nlp::contradiction]"), "{ended}");
    }
    let other = world.run(&[SENTENCE, "--environment", "production", "--yes"]);
    refused(&world, &other, "resolve::contradiction");
    assert!(other.code == 2 && other.err.contains("leave one of the two out"), "{other}");

    // One request never ends what it begins.
    world.ok(&[SENTENCE, "--yes", "-q"]);
    let before = world.snapshot();
    // To stop is a command: it is not taken for something else that has nothing to do.
    let stop = world.fails(&["Stop the web app in staging", "--yes"], 4, "the command `stop`");
    assert_eq!(world.snapshot(), before, "{stop}");
    for words in
        ["Deploy and destroy the web app in staging", "Scale the web app in staging to 3 and destroy staging"]
    {
        world.fails(&[words, "--yes"], 2, "error[resolve::contradiction]");
        assert_eq!(world.snapshot(), before, "{words}");
    }
}

#[test]
fn each_bad_spec_has_its_own_error() {
    let world = World::new();
    let head = "version: 1\napplication: shop\nenvironment: staging\ncomponents:\n";
    let bomb: String = (1..12).fold("a0: &a0 [x, x]\n".to_owned(), |text, i| {
        let before = i - 1;
        text + &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{before}"); 9].join(", "))
    });
    let web = |more: &str| format!("{head}- name: web\n  kind: web\n{more}");
    for (text, code) in [
        (bomb, "spec::syntax"),
        (web("  colour: red\n"), "spec::unknown-field"),
        (web("  depends_on: [nothing]\n"), "resolve::unknown-component"),
        (web("  depends_on: [db]\n- name: db\n  kind: database\n  depends_on: [web]\n"), "spec::cycle"),
        (web("- name: web\n  kind: api\n"), "spec::duplicate"),
        (web("").replace("version: 1", "version: 99"), "spec::version"),
        (web("").replace("name: web", "name: ../../x"), "id::name"),
        ("\u{0}\u{1}".to_owned(), "spec::syntax"),
        (format!("# {}\n", "x".repeat(10 << 20)), "spec::too-large"),
    ] {
        let path = world.write("bad.yaml", &text);
        refused(&world, &world.run(&["--spec", path.to_str().unwrap(), "--yes"]), code);
    }
}

#[test]
fn a_path_with_spaces_and_letters_of_other_alphabets_is_a_path() {
    let world = World::new();
    let project = world.path("a shop für Łukasz 店");
    fs::create_dir(&project).unwrap();
    let settings = fs::read_to_string(world.project().join("code.toml")).unwrap();
    fs::write(project.join("code.toml"), format!("application = \"shop\"\n{settings}")).unwrap();
    let name = project.to_str().unwrap();
    let run = world.ok(&[SENTENCE, "--yes", "--project", name]);
    assert!(run.out.contains(&format!("--project '{name}'")), "what it suggests can be copied: {run}");
    let status = world.ok(&["status", "--project", name]);
    assert!(status.out.contains("1 of 1 healthy"), "{status}");
}

/// Whoever listens is named, with what to do, and nothing is changed: not even planned, shown or approved.
fn taken(world: &World, sentence: &str, code: &str, port: u16) {
    let (before, plan) = (world.snapshot(), world.path("plan.json"));
    let lines: [&[&str]; 4] = [
        &[sentence, "--yes"],
        &[sentence, "--dry-run"],
        &["plan", sentence],
        &["plan", sentence, "--out", plan.to_str().unwrap()],
    ];
    for line in lines {
        let ended = world.run(line);
        refused(world, &ended, code);
        let me = std::process::id().to_string();
        let said = [&format!("port {port} for "), "stop story-", &me, "another port"];
        let missing = said.iter().find(|text| !ended.err.contains(**text));
        assert!(ended.code == 1 && missing.is_none(), "{missing:?} is not in {ended}");
    }
    assert!(world.snapshot() == before && !plan.exists(), "{sentence}");
    assert!(world.own_processes().is_empty(), "not even a keeper was started: {sentence}");
}

#[test]
fn a_port_in_use_is_named_before_anything_is_made() {
    let world = World::new();
    // An address of its own and one for everybody; either family.
    for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"] {
        let taken_by = TcpListener::bind(address).unwrap();
        let port = taken_by.local_addr().unwrap().port();
        world.write("code.toml", &format!("[components.web]\nport = {port}\n"));
        taken(&world, SENTENCE, "route::port-taken", port);
    }
    if crate::basics::has_postgresql() {
        let taken_by = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken_by.local_addr().unwrap().port();
        world.write("code.toml", &format!("[components.db]\nport = {port}\n"));
        let sentence = "Deploy a web app with a PostgreSQL database to staging";
        taken(&world, sentence, "process::port-taken", port);
    }
    // Of what runs nothing is touched either.
    world.settings("");
    world.ok(&[SENTENCE, "--yes", "-q"]);
    let url = world.url();
    let page = || http(&url, "GET", "/", "").0;
    world.ok(&["scale the web app to 2 in staging", "--yes", "-q"]);
    let before = world.snapshot();
    let taken_by = TcpListener::bind("127.0.0.1:0").unwrap();
    world.move_to(taken_by.local_addr().unwrap().port());
    let planned = world.path("plan.json");
    let apply = ["apply", planned.to_str().unwrap(), "--yes"];
    world.fails(&["update the web app in staging", "--yes"], 1, "error[route::port-taken]");
    assert!(world.snapshot() == before && page() == 200);
    drop(taken_by);
    // Taken between the plan and its application.
    world.ok(&["plan", "update the web app in staging", "--out", apply[1]]);
    let settings = fs::read_to_string(world.project().join("code.toml")).unwrap();
    let number = settings.lines().find_map(|line| line.strip_prefix("port = ")).unwrap();
    let taken_by = TcpListener::bind(format!("127.0.0.1:{number}")).unwrap();
    world.fails(&apply, 1, "error[route::port-taken]");
    // It had begun under a lease, whose number is all that is new.
    let (mut now, head) = (world.snapshot(), world.state().join("journal/shop@staging.head"));
    now.insert(head.clone(), before[&head].clone());
    assert!(now == before && page() == 200);
    drop(taken_by);
    world.ok(&apply);
    assert_eq!(http(&format!("http://127.0.0.1:{number}"), "GET", "/", "").0, 200);
}
