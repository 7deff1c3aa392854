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

#[test]
fn a_program_of_ones_own_has_its_own_word() {
    let world = World::new();
    let (program, state) = (example("embed"), world.path("state"));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let run = |replicas: u32| {
        let web = json!({"name": "web", "kind": "web", "source": "sample", "port": port,
            "replicas": {"min": replicas, "max": replicas}});
        let spec =
            json!({"version": 1, "application": "shop", "environment": "staging", "components": [web]});
        let file = world.write("spec.json", &spec.to_string());
        world.run_of(&program, &[state.to_str().unwrap(), file.to_str().unwrap()])
    };
    let answers = || http(&format!("http://127.0.0.1:{port}"), "GET", "/", "").0 == 200;
    let first = run(2);
    assert_eq!((first.code, first.out.as_str()), (0, "Succeeded: 4 resources\n"), "{first}");
    assert!(answers());
    assert_eq!(run(2).code, 0);
    // Fewer would take one away: the hook declines, and everything stays.
    let fewer = run(1);
    assert!(fewer.code == 1 && fewer.err.contains("approval::declined"), "{fewer}");
    assert!(answers());
    assert_eq!(run(2).code, 0);
    // A port that somebody has is told before anything is done.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let elsewhere = state.with_file_name("elsewhere");
    let deploy = |web: Value| {
        let spec =
            json!({"version": 1, "application": "shop", "environment": "staging", "components": [web]});
        let file = world.write("elsewhere.json", &spec.to_string());
        world.run_of(&program, &[elsewhere.to_str().unwrap(), file.to_str().unwrap()])
    };
    let web = json!({"name": "web", "kind": "web", "source": "sample",
        "port": taken.local_addr().unwrap().port()});
    let refused = deploy(web);
    assert!(refused.code == 1 && refused.err.contains("route::port-taken"), "{refused}");
    // What fails is paused at, and the hook is asked: it takes everything back.
    let web = json!({"name": "web", "kind": "web", "source": "sample", "port": crate::world::port(),
        "start": ["sh", "-c", "exit 3"]});
    let failed = deploy(web);
    assert!(failed.code == 1 && failed.err.contains("process::exited"), "{failed}");
    let history = world.ok(&["history", "--full", "--state", elsewhere.to_str().unwrap()]);
    for text in ["waits for a decision", "to take back what was done", "failed and was taken back"] {
        assert!(history.out.contains(text), "{text}: {history}");
    }
    assert!(!history.out.contains("port-taken"), "no run came of it: {history}");
    let said = world.run_of(&program, &[]);
    assert!(said.code == 1 && said.err.contains("say STATE and SPEC.json"), "{said}");

    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("embed.rs")).unwrap();
    let code = |line: &&str| !line.is_empty() && !line.starts_with("//") && !line.starts_with("use ");
    let count = source.lines().map(str::trim).filter(code).count();
    assert!(count < 40, "it has {count} lines of code");
    println!("figure: embed: {count} lines of code beside its imports");
}

/// Every piece of Rust in the README is a piece of an example that runs.
#[test]
fn the_readme_shows_the_examples_as_they_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("../README.md")).unwrap();
    let examples = ["custom_provider.rs", "embed.rs"];
    let mut shown = [0; 2];
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
