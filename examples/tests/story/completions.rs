//! Completions in a real shell: they know what is deployed, what ran, and every error.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::world::{World, binary};

/// What bash offers at the end of this line, but for options.
fn offered(world: &World, line: &[&str]) -> Vec<String> {
    let words = line.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let (last, before) = (line.last().unwrap(), line[line.len() - 2]);
    let script = format!(
        "source <('{}' completions bash)\n\
         COMP_WORDS=({words}); COMP_CWORD={}; COMP_TYPE=9\n\
         \"$(complete -p deploy | sed 's/.*-F \\([^ ]*\\) .*/\\1/')\" deploy '{last}' '{before}'\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        binary().display(),
        line.len() - 1
    );
    let like = world.command(&[]);
    let mut bash = Command::new("bash");
    bash.args(["--norc", "--noprofile", "-c", &script]).current_dir(world.project()).env_clear();
    for (name, value) in like.get_envs() {
        bash.env(name, value.unwrap_or_default());
    }
    let output = bash.stdin(Stdio::null()).output().expect("bash runs");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('-')).map(str::to_owned).collect()
}

#[test]
fn live_names_are_offered_in_bash() {
    if !Path::new("/bin/bash").exists() && !Path::new("/usr/bin/bash").exists() {
        println!("skipped: completions in bash: bash is not on this machine");
        return;
    }
    let world = World::new();
    assert_eq!(offered(&world, &["deploy", "destr"]), ["destroy"]);
    assert_eq!(offered(&world, &["deploy", "logs", ""]), [""; 0], "nothing is deployed");
    assert!(!world.state().exists(), "to be asked changes nothing");
    world.ok(&["Deploy a web app with a SQLite database to staging", "--yes", "-q"]);
    let before = world.snapshot();
    assert_eq!(offered(&world, &["deploy", "stop", "w"]), ["web"]);
    assert_eq!(offered(&world, &["deploy", "connect", ""])[..2], ["db", "web"]);
    let steps = offered(&world, &["deploy", "logs", "web/"]);
    assert!(steps.contains(&"web/release".to_owned()) && !steps.contains(&"db".to_owned()), "{steps:?}");
    assert_eq!(offered(&world, &["deploy", "replay", ""])[..2], ["latest", "1"]);
    assert_eq!(offered(&world, &["deploy", "status", "-e", "st"]), ["staging"]);
    assert_eq!(offered(&world, &["deploy", "destroy", "--confirm", "sh"]), ["shop/staging"]);
    assert_eq!(offered(&world, &["deploy", "rollback", "--to", ""]), ["1"]);
    assert!(offered(&world, &["deploy", "explain", "gate"]).contains(&"gate::refused".to_owned()));
    // What stands on the line already counts: another state directory has other names.
    assert_eq!(offered(&world, &["deploy", "--state", "/nonexistent", "stop", "w"]), [""; 0]);
    assert_eq!(world.snapshot(), before);
}

#[test]
fn every_shell_gets_its_lines() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let lines = world.ok(&["completions", shell]);
        assert!(lines.out.contains("DEPLOY_COMPLETE") && lines.out.contains("deploy"), "{lines}");
    }
    world.fails(&["completions", "tcsh"], 2, "possible values");
}
