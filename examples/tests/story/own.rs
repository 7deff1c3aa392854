//! What strangers make of it: a front with a provider of one's own, and an engine in one's own program.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::world::{World, example, http};

const SENTENCE: &str = "Deploy a web app with a SQLite database to staging";

#[test]
fn a_provider_of_ones_own_takes_part_in_a_deployment() {
    let world = World::new();
    let front = example("custom_provider");
    let first = world.ok_of(&front, &[SENTENCE, "--yes"]);
    assert!(first.out.contains("create scrape.target"), "{first}");
    // What Prometheus would read is what really runs.
    let file = world.state().join("targets/shop-staging-web.json");
    let target = || -> Value { serde_json::from_slice(&fs::read(&file).unwrap()).unwrap() };
    let address = world.url().replace("http://", "");
    assert_eq!(target(), json!([{"targets": [address], "labels": {"job": "shop-staging-web"}}]));
    assert_eq!(http(&format!("http://{address}"), "GET", "/", "").0, 200);
    assert!(world.ok_of(&front, &["status", "--full"]).out.contains("web/scrape"));

    // The same again is nothing to do; what somebody wrote by hand is seen, and mended.
    assert!(world.ok_of(&front, &[SENTENCE, "--yes"]).out.contains("Nothing to do"));
    fs::write(&file, "[]").unwrap();
    let mended = world.ok_of(&front, &[SENTENCE, "--yes"]);
    assert!(mended.out.contains("it says something else"), "{mended}");
    assert_eq!(target()[0]["targets"][0], address.as_str());

    // Its front goes the whole way back; one without the provider says what is missing, and changes nothing.
    let other = world.run(&["destroy", "--yes"]);
    assert!(other.code != 0 && other.err.contains("scrape.target"), "{other}");
    assert!(file.exists());
    world.ok_of(&front, &["destroy", "--yes"]);
    assert!(!file.exists());
}

/// Every piece of Rust in the README is a piece of an example that runs.
#[test]
fn the_readme_shows_the_examples_as_they_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("../README.md")).unwrap();
    let examples = ["custom_provider.rs"];
    let mut shown = [0; 1];
    for piece in readme.split("```rust\n").skip(1) {
        let piece = lines(piece.split("```").next().unwrap());
        let of = examples.iter().position(|file| {
            let source = lines(&fs::read_to_string(root.join(file)).unwrap());
            source.windows(piece.len()).any(|lines| lines == piece)
        });
        shown[of.unwrap_or_else(|| panic!("this is in none of {examples:?}:\n{}", piece.join("\n")))] += 1;
    }
    assert!(shown.iter().all(|pieces| *pieces > 0), "the README shows {shown:?} pieces of {examples:?}");
}

/// The lines of a text, however far they are indented.
fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim().to_owned()).collect()
}
