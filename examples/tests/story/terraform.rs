//! A root of Terraform in the same graph as an app: its outputs, an update, drift, a rollback, its end.

use std::fs;
use std::path::PathBuf;

use crate::world::{World, http, path};

#[path = "../../../code-providers/tests/terraform/server.rs"]
mod server;

const SENTENCE: &str = "Deploy a web app to staging";

/// Whether one of the tools is here; said where none is, which is a failure in CI.
pub(crate) fn is_here(what: &str) -> bool {
    let path = path();
    let has = |dir: &str| ["tofu", "terraform"].iter().any(|tool| PathBuf::from(dir).join(tool).is_file());
    let found = path.split(':').any(has);
    if !found {
        println!("skipped: {what}: neither `tofu` nor `terraform` is on this machine");
    }
    found
}

/// A root that gives a greeting, and an app that says it.
fn project(world: &World, word: &str) {
    world.python_app("", "os.environ['GREETING']");
    world.write(
        "infra/main.tf",
        "variable \"word\" {}\n\
         resource \"terraform_data\" \"greeting\" {\n  input = \"${var.word}, world\"\n}\n\
         output \"greeting\" {\n  value = terraform_data.greeting.output\n}\n\
         output \"id\" {\n  value = terraform_data.greeting.id\n}\n",
    );
    world.settings(&format!(
        "[components.web.env]\nGREETING = \"${{infra.greeting}} (${{infra.id}})\"\n\n\
         [components.infra]\nkind = \"network\"\nsource = \"infra\"\n\n\
         [components.infra.terraform.variables]\nword = \"{word}\"\n"
    ));
    let path = world.project().join("code.toml");
    let text = fs::read_to_string(&path).unwrap().replacen(
        "[components.web]\n",
        "[components.web]\ndepends_on = [\"infra\"]\n",
        1,
    );
    fs::write(path, text).unwrap();
}

#[test]
fn an_app_gets_what_a_root_gives() {
    if !is_here("a root and an app") {
        return;
    }
    let world = World::new();
    project(&world, "hello");
    let plan = world.ok(&["plan", SENTENCE]);
    assert!(plan.out.contains("terraform_data.greeting"), "{plan}");
    assert!(!world.state().join("terraform").exists(), "a plan makes nothing");
    world.ok(&[SENTENCE, "--yes"]);
    let url = world.url();
    let says = || http(&url, "GET", "/", "").1;
    let first = says();
    assert!(first.starts_with("hello, world ("), "{first}");

    // The same again is nothing to do, and looking writes nothing.
    let state = state_file(&world);
    let before = fs::read(&state).unwrap();
    assert!(world.ok(&[SENTENCE, "--yes"]).out.contains("Nothing to do"));
    world.ok(&["status"]);
    assert_eq!(fs::read(&state).unwrap(), before);

    // Another word goes through the root into the app.
    let settings = world.project().join("code.toml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, text.replace("word = \"hello\"", "word = \"goodbye\"")).unwrap();
    world.ok(&[SENTENCE, "--yes"]);
    assert!(says().starts_with("goodbye, world ("), "{}", says());

    // What somebody else changed is seen and mended.
    let text = fs::read_to_string(&state).unwrap();
    fs::write(&state, text.replace("goodbye, world", "by hand")).unwrap();
    let status = world.fails(&["status"], 10, "infra");
    assert!(status.out.contains("DRIFT"), "{status}");
    world.ok(&[SENTENCE, "--yes"]);
    assert!(world.ok(&["status"]).out.contains("infra"));

    // Back to what it was, from the files that were put aside.
    fs::remove_dir_all(world.project().join("infra")).unwrap();
    world.ok(&["rollback", "--yes"]);
    assert!(says().starts_with("hello, world ("), "{}", says());

    let end = world.ok(&["destroy", "--yes"]);
    assert!(end.out.contains("infra"), "{end}");
    let state: serde_json::Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
    assert_eq!(state["resources"], serde_json::json!([]));
}

fn state_file(world: &World) -> PathBuf {
    world.state().join("terraform/shop@staging/infra/endpoint/terraform.tfstate")
}

/// A state on a server, with a lock that nobody gives back.
#[test]
fn a_stuck_lock_is_told_and_broken_only_when_asked() {
    if !is_here("a stuck lock") {
        return;
    }
    let world = World::new();
    let (port, kept) = server::serve();
    let root = |word: &str| {
        let url = format!("http://127.0.0.1:{port}/state");
        let main = format!(
            "terraform {{\n  backend \"http\" {{\n    address = \"{url}\"\n    lock_address = \"{url}\"\n    \
             unlock_address = \"{url}\"\n  }}\n}}\n\
             resource \"terraform_data\" \"x\" {{\n  input = \"{word}\"\n}}\n"
        );
        world.write("infra/main.tf", &main);
    };
    world.write(
        "infra.yaml",
        "version: 1\napplication: shop\nenvironment: staging\ncomponents:\n- name: infra\n  kind: network\n",
    );
    world.settings("[terraform]\nlock_timeout_seconds = 0\n\n[components.infra]\nsource = \"infra\"\n");
    root("one");
    world.ok(&["--spec", "infra.yaml", "--yes"]);
    kept.lock().unwrap().lock = Some(server::LOCK.as_bytes().to_vec());
    root("two");
    let failed = world.fails(&["--spec", "infra.yaml", "--yes"], 5, "terraform::lock-held");
    assert!(failed.err.contains("deploy unlock COMPONENT 0b1c-stuck"), "{failed}");
    let held = || kept.lock().unwrap().lock.is_some();
    world.fails(&["unlock", "web", "0b1c-stuck", "--yes"], 2, "front::no-such-component");
    let unasked = world.run(&["unlock", "infra", "0b1c-stuck"]);
    assert!(unasked.code != 0 && unasked.err.contains("front::no-terminal") && held(), "{unasked}");
    world.ok(&["unlock", "infra", "0b1c-stuck", "--dry-run"]);
    assert!(held());
    world.ok(&["unlock", "infra", "0b1c-stuck", "--yes"]);
    assert!(!held());
    world.ok(&["--spec", "infra.yaml", "--yes"]);
}
