//! A pager: for long answers on a terminal, and nowhere else.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::terminal::Terminal;
use crate::world::World;

/// A pager that says that it was used.
fn pager(world: &World) -> String {
    let path = world.write("pager", "#!/bin/sh\necho paged by me\ncat\n");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// What a terminal of so many rows shows.
fn shown(world: &World, args: &[&str], rows: u16, env: &[(&str, &str)]) -> String {
    let mut command = world.command(args);
    command.env("DEPLOY_PAGER", pager(world)).envs(env.iter().copied());
    let mut terminal = Terminal::of(command, rows);
    assert_eq!(terminal.ends().code(), Some(0), "{}", terminal.shown());
    // The end of the page: all of it is shown.
    terminal.wait_for("want::");
    terminal.shown()
}

#[test]
fn long_answers_on_a_terminal_are_paged_and_nothing_else_is() {
    let world = World::new();
    let used = |args: &[&str], rows, env: &[(&str, &str)]| {
        let shown = shown(&world, args, rows, env);
        assert!(shown.contains("error") || shown.contains("gate::refused"), "{shown}");
        shown.contains("paged by me")
    };
    // The list of all errors has more lines than 24 and fewer than 2,000.
    assert!(used(&["explain"], 24, &[]));
    assert!(!used(&["explain"], 2_000, &[]), "what fits is not paged");
    assert!(!used(&["explain", "--no-pager"], 24, &[]));
    assert!(!used(&["explain"], 24, &[("CI", "true")]));
    assert!(!used(&["explain"], 24, &[("AI_AGENT", "1")]));
    assert!(!used(&["explain"], 24, &[("DEPLOY_PAGER", "")]));
    assert!(!used(&["explain", "--json"], 24, &[]));

    // Into a pipe, whatever is set.
    let output = world.command(&["explain"]).env("DEPLOY_PAGER", pager(&world)).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("want::") && !text.contains("paged by me"), "{text}");
}

#[test]
fn the_pager_of_everything_else_is_not_asked() {
    let world = World::new();
    let mut command = world.command(&["explain"]);
    // No `less` either: what is set for other programs does not stand in for it.
    command.env("PAGER", pager(&world)).env("PATH", "/nonexistent");
    let mut terminal = Terminal::of(command, 24);
    assert_eq!(terminal.ends().code(), Some(0), "{}", terminal.shown());
    terminal.wait_for("want::");
    assert!(!terminal.shown().contains("paged by me"));
}
