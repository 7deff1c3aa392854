//! Which database is made where PostgreSQL's programs are not on this machine, and what stays so when they come.
//!
//! They are hidden from a command by a mount of its own over the place where Debian has them.

use std::path::Path;

use crate::basics::has_postgresql;
use crate::world::{Ended, World, http};

/// Where Debian has PostgreSQL's programs.
const PLACE: &str = "/usr/lib/postgresql";
const SENTENCE: &str = "Deploy a web app with a database to staging";

/// Runs a command that does not see PostgreSQL; a keeper that it starts does not either.
fn without_postgresql(world: &World, args: &[&str]) -> Ended {
    let hide = format!("mount -t tmpfs none {PLACE} && exec \"$0\" \"$@\"");
    let binary = crate::world::binary();
    let line = [&["-m", "sh", "-c", &hide, binary.to_str().unwrap()], args].concat();
    world.run_of(Path::new("unshare"), &line)
}

/// Whether they are here and can be hidden; says so where not, so that nobody believes it was tested.
fn can_hide_postgresql() -> bool {
    let states = |ended: &Ended| {
        let line: serde_json::Value = serde_json::from_str(&ended.out).unwrap_or_default();
        let all = line["data"].as_array().cloned().unwrap_or_default();
        let postgres = all.into_iter().find(|one| one["name"] == "postgres");
        postgres.map(|one| one["state"].as_str() == Some("pass"))
    };
    let hidden = || states(&without_postgresql(&World::new(), &["doctor", "--json"])) == Some(false);
    if !has_postgresql() {
        return false;
    }
    if !hidden() {
        println!(
            "skipped: PostgreSQL out of sight: its programs cannot be hidden here (not root, or elsewhere)"
        );
        return false;
    }
    true
}

#[test]
fn an_engine_once_chosen_stays() {
    if !can_hide_postgresql() {
        return;
    }
    let world = World::new();
    let first = without_postgresql(&world, &[SENTENCE, "--yes"]);
    assert_eq!(first.code, 0, "{first}");
    assert!(first.out.contains("(default: PostgreSQL is not on this machine)"), "{first}");
    http(&world.url(), "POST", "/notes", "text=before");
    // It is here now, and nothing is swapped under a running app.
    let again = world.ok(&[SENTENCE, "--yes"]);
    assert!(again.out.contains("Nothing to do"), "{again}");
    let (engine, origin) = engine(&world, SENTENCE);
    assert!(engine == "sqlite" && origin.contains("revision") && origin.contains('1'), "{engine}: {origin}");
    assert!(http(&world.url(), "GET", "/notes", "").1.contains("before"));
    let other = world.run(&["Deploy a web app with a PostgreSQL database to staging", "--yes"]);
    assert!(other.code == 3 && other.err.contains("error[resolve::engine-change]"), "{other}");
    // Somewhere else, what is here now is taken.
    world.settings("");
    let (engine, origin) = self::engine(&world, "Deploy a web app with a database to test");
    assert!(engine == "postgresql" && origin.contains("is on this machine"), "{engine}: {origin}");
}

/// The engine of the database that a sentence comes to, and where it comes from.
fn engine(world: &World, sentence: &str) -> (String, String) {
    let shown = world.ok(&[sentence, "--dry-run", "--json"]).lines();
    let spec = &shown.iter().find(|line| line["type"] == "spec").expect("a spec")["data"];
    let components = spec["spec"]["components"].as_array().expect("components");
    let at = components.iter().position(|one| one["kind"] == "database").expect("a database");
    let origin = &spec["origins"][format!("/components/{at}/engine")];
    (components[at]["engine"].as_str().expect("an engine").to_owned(), origin.to_string())
}

#[test]
fn what_was_said_and_is_not_here_is_never_swapped() {
    if !can_hide_postgresql() {
        return;
    }
    let world = World::new();
    for words in ["a PostgreSQL database", "Postgres", "a PostgreSQL 15 database"] {
        let sentence = format!("Deploy a web app with {words} to staging");
        let ended = without_postgresql(&world, &[&sentence, "--yes"]);
        assert!(ended.code == 1 && ended.err.contains("error[resolve::no-postgresql]"), "{ended}");
        for text in ["hint: install it", "apt install postgresql", "ask for SQLite", "asked for: "] {
            assert!(ended.err.contains(text), "`{text}` is not in {ended}");
        }
        assert!(world.resources().is_empty() && world.own_processes().is_empty(), "{ended}");
        assert!(!world.state().join("data").exists(), "{ended}");
    }
}
