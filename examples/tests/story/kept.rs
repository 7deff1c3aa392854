//! Settings, specs, plans, lines of JSON and journals as every release wrote them: each is read for ever.
//!
//! They lie in `tests/kept/VERSION` and may only grow: `tests/kept/DIGESTS` has the digest of each. What a later
//! build cannot read any more breaks everybody who has such a file. `UPDATE_KEPT=1` adds new files to the digests,
//! and what was read in `NAME.read.json` where there is none; it never replaces one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use code_core::Digest;
use code_core::event::Event;
use code_nlp::settings::Settings;
use code_nlp::spec_file::read_spec;
use serde_json::{Value, json};

use crate::schema;
use crate::world::World;

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kept")
}

fn updates() -> bool {
    std::env::var_os("UPDATE_KEPT").is_some()
}

/// Every file of every release, by its path below the directory of all.
fn files() -> BTreeMap<String, PathBuf> {
    let below = |dir: &Path| -> Vec<PathBuf> {
        let mut all: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        all.sort();
        all
    };
    let versions = below(&kept()).into_iter().filter(|path| path.is_dir());
    let files = versions.flat_map(|version| below(&version));
    files.map(|path| (path.strip_prefix(kept()).unwrap().display().to_string(), path)).collect()
}

/// The files of each release whose names end so; each release has one at least.
fn ending(ending: &str) -> Vec<(String, String)> {
    let found: Vec<(String, String)> = files()
        .into_iter()
        .filter(|(name, _)| name.ends_with(ending) && !name.ends_with(".read.json"))
        .map(|(name, path)| (name, fs::read_to_string(path).unwrap()))
        .collect();
    let versions = |names: Vec<&str>| -> Vec<String> {
        let mut all: Vec<_> =
            names.iter().filter_map(|name| Some(name.split_once('/')?.0.to_owned())).collect();
        all.dedup();
        all
    };
    let all = files();
    assert_eq!(
        versions(found.iter().map(|(name, _)| name.as_str()).collect()),
        versions(all.keys().map(String::as_str).collect()),
        "a release has no {ending}"
    );
    found
}

#[test]
fn what_is_kept_is_never_changed_and_never_lost() {
    let path = kept().join("DIGESTS");
    let listed = fs::read_to_string(&path).unwrap_or_default();
    let mut listed: BTreeMap<String, String> = listed
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(digest, name)| (name.to_owned(), digest.to_owned()))
        .collect();
    let now: BTreeMap<String, String> = files()
        .into_iter()
        .map(|(name, path)| (name, Digest::of(&fs::read(path).unwrap()).to_string()))
        .collect();
    if updates() {
        for (name, digest) in &now {
            listed.entry(name.clone()).or_insert_with(|| digest.clone());
        }
        let lines: String = listed.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
        fs::write(path, lines).unwrap();
    }
    assert_eq!(listed, now, "a file of a release was changed, lost, or not listed (UPDATE_KEPT=1)");
}

#[test]
fn settings_and_specs_mean_what_they_meant() {
    let settings = ending("code.toml").into_iter().map(|(name, text)| {
        let read = Settings::parse(&name, text.as_bytes()).unwrap();
        (name, serde_json::to_value(read).unwrap())
    });
    let specs = ending("spec.yaml").into_iter().map(|(name, text)| {
        let read = read_spec(&name, text.as_bytes()).unwrap().spec;
        (name, serde_json::to_value(read).unwrap())
    });
    for (name, read) in settings.chain(specs) {
        let path = kept().join(format!("{name}.read.json"));
        if updates() && !path.exists() {
            fs::write(&path, format!("{read:#}\n")).unwrap();
        }
        let meant: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        assert_eq!(read, meant, "{name}");
    }
}

#[test]
fn plans_are_read_and_are_what_they_say() {
    for (name, text) in ending("plan.json") {
        let planned = front::flow::saved::read(&kept().join(&name)).unwrap();
        // Its id is the digest of what was read.
        planned.plan.check().unwrap();
        let file: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json!(planned.plan.id), file["plan"]["id"], "{name}");
    }
}

#[test]
fn lines_of_json_are_valid_and_their_events_are_read() {
    for (name, text) in ending(".jsonl") {
        schema::check(&text);
        for line in text.lines() {
            let line: front::json::Line = serde_json::from_str(line).unwrap();
            let events =
                line.data.as_array().into_iter().flatten().filter_map(|one| one["events"].as_array());
            for event in events.flatten() {
                serde_json::from_value::<Event>(event["event"].clone())
                    .unwrap_or_else(|error| panic!("{name}: {error}: {event}"));
            }
        }
    }
}

#[test]
fn journals_are_read_and_hold_together() {
    for (name, path) in files().into_iter().filter(|(name, _)| name.ends_with("journal.log")) {
        let world = World::new();
        let journal = world.state().join("journal");
        fs::create_dir_all(&journal).unwrap();
        fs::copy(path, journal.join("shop@staging.log")).unwrap();
        let verified = world.json(&["verify"]);
        let links = verified["data"][0]["links"].as_array().unwrap();
        // What was built is not kept here, and that is said: everything before holds.
        let broken: Vec<&Value> = links.iter().filter(|link| link["broken"] == true).collect();
        assert!(links.len() > 8, "{name}: {verified}");
        assert!(broken.iter().all(|link| link["link"] == "releases"), "{name}: {verified}");
        let runs = world.json(&["runs"]);
        assert_eq!(runs["data"].as_array().map(Vec::len), Some(2), "{name}: {runs}");
    }
}

#[test]
fn a_project_that_requires_another_version_is_left_alone() {
    let world = World::new();
    // As a later version may write it: with what this one has never heard of.
    world.write("code.toml", "requires = '>=900.1'\nnewer = { than = 'this' }\n");
    let sentence = "Deploy a web app with a SQLite database to staging";
    let refused = world.fails(&[sentence, "--yes"], 2, "settings::requires");
    assert!(refused.err.contains("CODE 0.") && refused.err.contains(">=900.1"), "{refused}");
    assert!(refused.out.is_empty() && !world.state().exists(), "{refused}");
    world.write("code.toml", "requires = '>=0.1'\n");
    world.ok(&["status"]);
}
