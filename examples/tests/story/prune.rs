//! Old releases go when somebody says so, and never what runs or what a kept revision needs.

use crate::changes::app;
use crate::world::{World, http};

/// How many releases lie in the state directory.
fn releases(world: &World) -> usize {
    let entries = std::fs::read_dir(world.state().join("releases")).expect("releases");
    entries.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().is_dir())).count()
}

#[test]
fn old_releases_go_and_what_a_rollback_needs_stays() {
    let world = World::new();
    assert!(world.ok(&["prune"]).out.contains("nothing to remove"));
    for (version, sentence) in [
        ("one", "Deploy a web app to staging"),
        ("two", "update the web app in staging"),
        ("three", "update the web app in staging"),
    ] {
        app(&world, version);
        world.ok(&[sentence, "--yes", "-q"]);
    }
    let url = world.url();
    assert_eq!(releases(&world), 3);
    assert!(world.ok(&["prune"]).out.contains("nothing to remove"), "the last ten revisions stay");

    let before = world.snapshot();
    let dry = world.ok(&["prune", "--keep", "2", "--dry-run"]);
    assert!(
        dry.out.contains("1 releases") && dry.out.lines().all(|line| line.starts_with("dry run: ")),
        "{dry}"
    );
    world.fails(&["prune", "--keep", "2"], 4, "front::no-terminal");
    assert_eq!(world.snapshot(), before);
    let pruned = world.ok(&["prune", "--keep", "2", "--yes"]);
    assert!(pruned.out.contains("removed 1 releases"), "{pruned}");
    assert_eq!(releases(&world), 2);

    // The one before is still there to go back to, though the project has changed.
    world.ok(&["rollback", "--yes", "-q"]);
    assert!(http(&url, "GET", "/", "").1.starts_with("two"));

    // What runs stays, whatever is said.
    let running = world.processes();
    world.ok(&["prune", "--keep", "0", "--yes"]);
    assert_eq!(releases(&world), 1, "the one that was gone back from is in no inventory any more");
    assert!(http(&url, "GET", "/", "").1.starts_with("two"));
    world.ok(&["status"]);
    assert_eq!(world.processes(), running);
    world.ok(&["restart", "--yes", "-q"]);
    assert!(http(&url, "GET", "/", "").1.starts_with("two"));

    // A revision whose release is gone and whose source has changed is refused, and what runs goes on.
    let gone = world.run(&["rollback", "--to", "1", "--yes"]);
    assert!(gone.code != 0 && gone.err.contains("hint:"), "{gone}");
    assert!(http(&url, "GET", "/", "").1.starts_with("two"));

    // Taken down, the deployment lets go of its release; the files go when somebody says so.
    let destroyed = world.ok(&["destroy", "--yes"]);
    assert!(destroyed.out.contains("its files stay for a rollback"), "{destroyed}");
    assert!(!destroyed.out.contains("gone already"), "{destroyed}");
    assert!(world.ok(&["prune"]).out.contains("nothing to remove"));
    assert_eq!(releases(&world), 1);
    world.ok(&["prune", "--keep", "0", "--yes"]);
    assert_eq!(releases(&world), 0);
}
