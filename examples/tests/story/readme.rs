//! The README shows a real run: this test makes it, so that it cannot rot.
//!
//! `UPDATE_README=1 cargo test -p examples readme` writes it anew.

use std::fs::{self, File};
use std::path::Path;

use crate::basics::has_postgresql;
use crate::world::{World, binary};

const BEGIN: &str = "<!-- run:begin -->\n";
const END: &str = "<!-- run:end -->\n";

#[test]
fn the_readme_shows_what_a_newcomer_sees() {
    if !has_postgresql() {
        return;
    }
    let world = World::new();
    // Without settings of its own, as a newcomer's directory is.
    fs::remove_file(world.project().join("code.toml")).unwrap();
    let sentence = "Deploy a web app with database to staging";
    let shown = world.path("shown");
    let file = File::create(&shown).unwrap();
    let mut run = world.command(&[sentence, "--yes"]);
    let status = run.stdout(file.try_clone().unwrap()).stderr(file).status().unwrap();
    let raw = fs::read_to_string(shown).unwrap();
    assert!(status.success(), "{raw}");

    let home = world.project().display().to_string();
    let run = raw.replace(&home, "~/shop").replace(&binary().display().to_string(), "deploy");
    let run = format!("```text\n$ deploy --yes \"{sentence}\"\n{}\n```\n", run.trim_end());
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = fs::read_to_string(&readme).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the README has a place for the run");
    let (there, after) = rest.split_once(END).expect("the README has a place for the run");
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write(readme, format!("{before}{BEGIN}{run}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(
        shape(there),
        shape(&run),
        "the README shows another run: UPDATE_README=1 cargo test -p examples readme"
    );
}

/// What is the same in every run: the words, without times, numbers, digests and the user's name. What is
/// wrapped depends on the length of a path, and which step ends first or takes longest on luck; so words count
/// and not lines, and the lines of the progress in any order.
fn shape(run: &str) -> (String, Vec<String>) {
    let words = |line: &str| -> String {
        let mut after_user = false;
        let mut all = Vec::new();
        for word in line.split_whitespace() {
            let numbered = word.contains(|c: char| c.is_ascii_digit());
            let varies = after_user || (numbered && (!word.contains('/') || word.starts_with("http:")));
            after_user = word == "user";
            all.push(if varies { "#" } else { word });
        }
        all.join(" ")
    };
    let (mut progress, rest): (Vec<&str>, Vec<&str>) = run.lines().partition(|line| line.starts_with('['));
    progress.sort_by_key(|line| line.split_once(']').map(|(_, what)| what));
    let longest = |line: &str| line.trim_start().starts_with("longest:");
    let rest: Vec<&str> =
        rest.into_iter().map(|line| if longest(line) { "longest:" } else { line }).collect();
    (words(&rest.join(" ")), progress.into_iter().map(words).collect())
}
