//! Plans: shown, saved, applied exactly, refused when stale, approved by somebody else.

use std::path::Path;
use std::process::Command;

use crate::world::{Ended, World, http};

const SENTENCE: &str = "Deploy a web app with a SQLite database to staging";

#[test]
fn a_dry_run_changes_nothing_and_says_so_on_every_line() {
    let world = World::new();
    let before = world.snapshot();
    let dry = world.ok(&[SENTENCE, "--dry-run", "--yes"]);
    assert!(dry.out.lines().all(|line| line.starts_with("dry run: ")), "{dry}");
    assert_eq!(world.snapshot(), before);
    let json = world.ok(&[SENTENCE, "--dry-run", "--json"]);
    assert!(json.lines().iter().all(|line| line["dry_run"] == true), "{json}");
    assert_eq!(world.snapshot(), before);
    let words =
        world.ok(&["What would change if you deploy a web app with a SQLite database to staging?", "--yes"]);
    assert!(words.out.contains("to create"), "{words}");
    assert_eq!(world.snapshot(), before);

    world.ok(&[SENTENCE, "--yes", "-q"]);
    let before = world.snapshot();
    for command in ["destroy", "stop", "restart", "rollback", "resume", "init"] {
        world.run(&[command, "--dry-run", "--yes"]);
        assert_eq!(world.snapshot(), before, "{command}");
    }
}

#[test]
fn the_exit_code_of_a_plan_tells_whether_it_changes_anything() {
    let world = World::new();
    let detailed = |sentence: &str| world.run(&["plan", sentence, "--detailed-exitcode"]).code;
    assert_eq!(detailed(SENTENCE), 2);
    assert_eq!(world.run(&["plan", SENTENCE]).code, 0);
    assert_eq!(detailed("Deploy a web app with an Oracle database to staging"), 1);
    assert_eq!(world.run(&["plan", "--detailed-exitcode", "--nonsense"]).code, 1);
    world.ok(&[SENTENCE, "--yes", "-q"]);
    assert_eq!(detailed(SENTENCE), 0);
}

/// The command that a saved plan prints, as it stands there.
fn printed(ended: &Ended) -> String {
    let line = ended.out.lines().find(|line| line.starts_with("apply ")).expect("a command");
    line.trim_start_matches("apply").trim().to_owned()
}

fn shell(world: &World, line: &str) -> Ended {
    let like = world.command(&[]);
    let mut command = Command::new("sh");
    command.arg("-c").arg(line).current_dir(world.project()).env_clear();
    for (name, value) in like.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let output = command.stdin(std::process::Stdio::null()).output().expect("a shell");
    Ended {
        line: line.to_owned(),
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn a_saved_plan_is_applied_with_the_line_that_is_printed() {
    let world = World::new();
    let path = world.path("a plan.json");
    let saved = world.ok(&["plan", SENTENCE, "--out", path.to_str().unwrap()]);
    let applied = shell(&world, &printed(&saved));
    assert_eq!(applied.code, 0, "{applied}");
    assert_eq!(http(&world.url(), "GET", "/", "").0, 200);
    // What it was computed from has moved: by being applied.
    let stale = shell(&world, &printed(&saved));
    assert_eq!(stale.code, 8, "{stale}");
    assert!(stale.err.contains("error[plan::stale]") && stale.err.contains("hint:"), "{stale}");
}

#[test]
fn a_fresh_clone_deploys_the_sample_app() {
    let world = World::new();
    let clone = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (clone, state) = (clone.to_str().unwrap(), world.state());
    let main = ["Deploy a web app with database to staging", "--project", clone, "--dry-run", "--state"];
    let shown = world.ok(&[&main[..], &[state.to_str().unwrap()]].concat());
    assert!(shown.out.contains("sample") && shown.out.contains("code.toml:"), "{shown}");
}

#[test]
fn an_edited_plan_is_refused() {
    let world = World::new();
    let path = world.path("plan.json");
    world.ok(&["plan", SENTENCE, "--out", path.to_str().unwrap()]);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"delete_budget\": 10", "\"delete_budget\": 99")).unwrap();
    let refused = world.run(&["apply", path.to_str().unwrap()]);
    assert!([3, 8].contains(&refused.code), "{refused}");
    assert!(world.resources().is_empty());
}

#[test]
fn where_nobody_can_be_asked_the_plan_is_saved() {
    let world = World::new();
    let saved = world.fails(&[SENTENCE], 4, "--yes");
    assert!(world.resources().is_empty());
    let applied = shell(&world, &printed(&saved));
    assert_eq!(applied.code, 0, "{applied}");
}

#[test]
fn a_protected_environment_needs_another_user() {
    let world = World::new();
    world.settings("[environments.production]\nprotected = true\n");
    let sentence = "Deploy a web app with a SQLite database to production";
    // The plan lies where another user can read it.
    let path = world.path("prod.plan");
    let path = path.to_str().unwrap();
    world.fails(&[sentence, "--yes", "--out", path], 4, "approve");
    world.fails(&["apply", path], 4, "front::not-approved");
    world.ok(&["approve", path, "--yes"]);
    world.fails(&["apply", path], 4, "approved by you");
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can be another user without a password");
        return;
    }
    std::fs::remove_file(approval(&world)).unwrap();
    let approved = as_nobody(&world, path);
    assert_eq!(approved.code, 0, "{approved}");
    let applied = world.ok(&["apply", path]);
    assert!(applied.out.contains("Deployed: shop/production"), "{applied}");
    let history = world.ok(&["history"]);
    assert!(history.out.contains("nobody approved plan"), "{history}");
}

#[test]
fn an_approval_is_of_one_plan_and_gone_after_any_change() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can be another user without a password");
        return;
    }
    let world = World::new();
    let protected = "[environments.production]\nprotected = true\n";
    world.settings(protected);
    let settings = std::fs::read_to_string(world.project().join("code.toml")).unwrap();
    let sentence = "Deploy a web app with a SQLite database to production";
    let plan = |name: &str, sentence: &str| -> String {
        let path = world.path(name).display().to_string();
        world.fails(&[sentence, "--yes", "--out", &path], 4, "approve");
        path
    };
    let mut checked = Vec::new();
    let mut refused = |what: &str, path: &str, exit: i32, code: &str| {
        world.fails(&["apply", path], exit, code);
        checked.push(format!("{what}: {code}"));
    };
    let first = plan("first.plan", sentence);
    refused("nobody approved", &first, 4, "front::not-approved");
    assert_eq!(as_nobody(&world, &first).code, 0);
    let given = approval(&world);

    // Another spec is another plan, also where the approval of the first is put in the place of its own.
    world.write("code.toml", &settings.replacen("port = ", "env = { A = \"1\" }\nport = ", 1));
    let other = plan("other.plan", sentence);
    refused("the spec has changed", &other, 4, "front::not-approved");
    let id = |path: &str| {
        let plan: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        plan["plan"]["id"].as_str().unwrap().to_owned()
    };
    let (mine, theirs) = (id(&first), id(&other));
    let name = given.file_name().unwrap().to_str().unwrap().to_owned();
    let forged = given.with_file_name(name.replace(&mine, &theirs));
    assert_ne!(forged, given);
    std::fs::copy(&given, &forged).unwrap();
    std::os::unix::fs::chown(&forged, Some(65_534), Some(65_534)).unwrap();
    refused("an approval of another plan", &other, 4, "approval::other-plan");
    std::fs::remove_file(&forged).unwrap();

    // A plan that was edited by hand, as it is or under an approval that names it.
    let text = std::fs::read_to_string(&first).unwrap();
    let edited = world.path("edited.plan");
    std::fs::write(&edited, text.replace("\"delete_budget\": 10", "\"delete_budget\": 99")).unwrap();
    refused("a plan edited by hand", edited.to_str().unwrap(), 3, "plan::edited");

    // What is there has moved since: by a plan that was approved, too.
    assert_eq!(as_nobody(&world, &other).code, 0);
    world.ok(&["apply", &first]);
    refused("what is there has changed", &other, 8, "plan::stale");
    assert_eq!(http(&world.url(), "GET", "/", "").0, 200);
    println!("figure: approvals checked: {}; {}", checked.len(), checked.join("; "));
}

fn approval(world: &World) -> std::path::PathBuf {
    let mut all = std::fs::read_dir(world.state().join("approvals")).expect("approvals");
    all.next().expect("one").expect("an entry").path()
}

/// The approval of another user of this machine.
fn as_nobody(world: &World, path: &str) -> Ended {
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65_534;
    let binary = world.path("deploy");
    std::fs::copy(crate::world::binary(), &binary).expect("a copy that nobody can run");
    let state = world.state();
    let mut command = Command::new(&binary);
    command.args(["approve", path, "--yes", "--state"]).arg(&state).uid(NOBODY).gid(NOBODY);
    command.current_dir(Path::new("/")).env_clear().env("HOME", "/nonexistent");
    let output = command.stdin(std::process::Stdio::null()).output().expect("the binary runs");
    Ended {
        line: "approve, as nobody".to_owned(),
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
