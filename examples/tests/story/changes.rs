//! What changes later: a user's own app, an update, a failure that is taken back, a rollback, drift.

use crate::world::{World, http, until};

/// A web app that says its version, and what its database is.
pub(crate) fn app(world: &World, version: &str) {
    let says = format!("'{version} ' + os.environ.get('DATABASE_URL', 'no database').split(':')[0]");
    world.python_app("", &says);
}

const SENTENCE: &str = "Deploy a web app with a SQLite database to staging";

#[test]
fn ones_own_app_is_updated_behind_the_same_address() {
    let world = World::new();
    app(&world, "one");
    world.ok(&[SENTENCE, "--yes", "-q"]);
    let url = world.url();
    assert_eq!(http(&url, "GET", "/", "").1, "one sqlite");
    app(&world, "two");
    world.ok(&["update the web app in staging", "--yes", "-q"]);
    assert_eq!(world.url(), url);
    assert_eq!(http(&url, "GET", "/", "").1, "two sqlite");
    until("its log is read", || world.run(&["logs", "web"]).out.contains("GET /"));

    // Back to what it was, from the release and not from the project, which is gone.
    std::fs::remove_file(world.project().join("app.py")).unwrap();
    let back = world.ok(&["rollback", "--yes"]);
    assert!(back.out.contains("Plan "), "{back}");
    assert_eq!(http(&url, "GET", "/", "").1, "one sqlite");
}

#[test]
fn a_version_that_does_not_start_is_taken_back() {
    let world = World::new();
    app(&world, "one");
    world.settings("[components.web.health]\ntimeout_seconds = 5\n");
    world.ok(&[SENTENCE, "--yes", "-q"]);
    let url = world.url();
    world.write("app.py", "import sys\nprint('cannot go on like this')\nsys.exit(3)\n");
    let failed = world.run(&["update the web app in staging", "--yes"]);
    assert_eq!(failed.code, 5, "{failed}");
    assert!(failed.err.contains("hint:"), "{failed}");
    assert!(failed.out.contains("everything was taken back"), "{failed}");
    assert_eq!(http(&url, "GET", "/", "").1, "one sqlite");
    let status = world.ok(&["status"]);
    assert!(status.out.contains("1 of 1 healthy"), "{status}");
}

#[test]
fn drift_is_named_and_has_an_exit_code() {
    let world = World::new();
    world.ok(&[SENTENCE, "--yes", "-q"]);
    let data = world.state().join("data");
    std::fs::remove_dir_all(data).unwrap();
    world.fails(&["status"], 10, "GONE db/");
    // Nothing is made anew before a person has seen that it would be empty.
    let planned = world.ok(&[SENTENCE, "--dry-run"]);
    assert!(planned.out.contains("to create") && planned.out.contains("db/"), "{planned}");
}

#[test]
fn a_deleted_data_directory_of_postgresql_is_drift() {
    if !crate::basics::has_postgresql() {
        return;
    }
    let world = World::new();
    world.ok(&["Deploy a web app with a PostgreSQL database to staging", "--yes", "-q"]);
    std::fs::remove_dir_all(world.state().join("data")).unwrap();
    world.fails(&["status"], 10, "GONE db/");
}

#[test]
fn a_stranger_on_its_port_is_named_and_left_alone() {
    let world = World::new();
    world.ok(&[SENTENCE, "--yes", "-q"]);
    let url = world.url();
    world.reboot();
    let stranger = std::net::TcpListener::bind(url.trim_start_matches("http://")).unwrap();
    let status = world.fails(&["status"], 10, "web/endpoint");
    let taken = "is taken by story-";
    assert!(status.out.contains(taken) && status.out.contains(&std::process::id().to_string()), "{status}");
    let before = world.snapshot();
    let refused = world.fails(&[SENTENCE, "--yes"], 1, "error[route::port-taken]");
    assert!(refused.err.contains("hint: stop story-"), "{refused}");
    assert!(world.snapshot() == before && world.keepers().is_empty(), "nothing was done: {refused}");
    drop(stranger);
    world.ok(&[SENTENCE, "--yes", "-q"]);
    assert_eq!(http(&url, "GET", "/", "").0, 200);
}

#[test]
fn an_app_without_a_known_start_is_an_error_that_helps() {
    let world = World::new();
    world.write("package.json", "{\"name\": \"x\"}");
    let failed = world.run(&[SENTENCE, "--yes"]);
    assert!([1, 2].contains(&failed.code), "{failed}");
    assert!(failed.err.contains("hint:"), "{failed}");
    assert!(world.resources().is_empty());
}

#[test]
fn another_target_than_last_time_is_told() {
    let world = World::new();
    world.ok(&["Deploy a web app to staging", "--yes", "-q"]);
    let same = world.ok(&["Deploy a web app to staging", "--yes", "-q"]);
    assert!(!same.err.contains("the last change"), "{same}");
    world.settings("# Another port: an environment of its own.\n");
    let other = world.ok(&["Deploy a web app to test", "--dry-run", "-q"]);
    assert!(other.err.contains("the last change from here was to shop/staging"), "{other}");
    assert!(other.out.starts_with("dry run: shop/test"), "{other}");
}

#[test]
fn the_databases_own_shell_opens() {
    if !crate::basics::has_postgresql() {
        return;
    }
    let world = World::new();
    world.ok(&["Deploy a web app with a PostgreSQL database to staging", "--yes", "-q"]);
    http(&world.url(), "POST", "/notes", "text=seen");
    let rows = world.ok(&["connect", "db", "--", "-tAc", "select count(*) from notes"]);
    assert_eq!(rows.out.trim(), "1", "{rows}");
    world.fails(&["connect", "web"], 2, "front::no-shell");
    world.fails(&["connect", "nothing"], 2, "front::no-such-component");
}

#[test]
fn a_changed_setting_is_drift_until_it_is_rolled_out() {
    let world = World::new();
    world.ok(&["Deploy a web app with a SQLite database to staging", "--yes", "-q"]);
    world.ok(&["status"]);
    let settings = std::fs::read_to_string(world.project().join("code.toml")).unwrap();
    world.write("code.toml", &settings.replace("[components.web]\n", "[components.web]\nreplicas = 2\n"));
    let status = world.fails(&["status"], 10, "replicas");
    assert!(status.out.contains("of web: it is 1, and") && status.out.contains("says 2"), "{status}");
    assert!(status.out.contains("code.toml:2"), "{status}");
    world.ok(&["update the web app in staging", "--yes", "-q"]);
    assert!(world.ok(&["status"]).out.contains("2 of 2 healthy"));
}
