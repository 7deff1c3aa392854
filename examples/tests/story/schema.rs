//! What `--json` writes is what the published schema says: every command of every story writes it beside its output,
//! and all of that is held against the schema.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::world::World;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema/json.v1.schema.json");
    serde_json::from_slice(&std::fs::read(path).expect("the schema")).expect("JSON")
});

static VALIDATOR: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::validator_for(&SCHEMA).expect("a schema"));

/// The types of lines that the schema knows.
static KNOWN: LazyLock<BTreeSet<&str>> = LazyLock::new(|| {
    let rules = SCHEMA["allOf"].as_array().expect("rules");
    rules.iter().filter_map(|rule| rule["if"]["properties"]["type"]["const"].as_str()).collect()
});

/// Holds all lines that a command wrote against the schema: each is of a type that is known and
/// valid, and where there are several, the first and only the first is `version`.
pub(crate) fn check(text: &str) {
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    for (i, line) in lines.iter().enumerate() {
        valid(line);
        let kind = line["type"].as_str().expect("a type");
        assert!(KNOWN.contains(kind), "`{kind}` is not in the schema: {line}");
        assert!(line["message"].as_str().is_some_and(|message| !message.trim().is_empty()), "{line}");
        if lines.len() > 1 {
            assert_eq!(kind == "version", i == 0, "line {i}: {text}");
        }
    }
}

fn valid(line: &Value) {
    let errors: Vec<String> =
        VALIDATOR.iter_errors(line).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "not as the schema says:\n{}\n{line:#}", errors.join("\n"));
}

/// A reader as somebody writes one who has read `docs/json.md` and nothing else.
#[derive(Debug, Default, PartialEq)]
struct Reader {
    done: Vec<String>,
    address: Option<String>,
    exit: Option<u64>,
    skipped: usize,
}

#[derive(Deserialize)]
struct Line {
    v: u64,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: Value,
}

impl Reader {
    fn take(&mut self, line: &str) {
        let line: Line = serde_json::from_str(line).expect("an envelope");
        assert_eq!(line.v, 1, "another version has to be asked for");
        match line.kind.as_str() {
            "step_done" => self.done.extend(line.data["address"].as_str().map(str::to_owned)),
            "finished" => {
                self.address = line.data["endpoints"]["web/endpoint"].as_str().map(str::to_owned);
                self.exit = line.data["exit"].as_u64();
            }
            _ => self.skipped += 1,
        }
    }

    fn of<'a>(lines: impl IntoIterator<Item = &'a str>) -> Reader {
        let mut reader = Reader::default();
        lines.into_iter().for_each(|line| reader.take(line));
        reader
    }
}

#[test]
fn a_reader_meets_what_it_does_not_know_and_goes_on() {
    let world = World::new();
    let run = world.ok(&["Deploy a web app with a SQLite database to staging", "--yes", "--json"]);
    let now = Reader::of(run.out.lines());
    assert!(now.done.contains(&"web/process.r1.0".to_owned()), "{now:?}");
    assert!(now.address.is_some() && now.exit == Some(0), "{now:?}");

    // What a later build of the same version of the format may write.
    let mut later = Vec::new();
    for line in run.lines() {
        let envelope = json!({
            "v": 1, "type": "comet_seen", "at": line["at"], "level": "info", "message": "a comet was seen",
            "data": { "tail": true },
        });
        valid(&envelope);
        later.push(envelope);
        let mut line = line;
        for part in ["", "/data", "/data/plan", "/data/spec", "/data/live", "/data/error"] {
            if let Some(Value::Object(fields)) = line.pointer_mut(part) {
                fields.insert("added_later".to_owned(), json!({ "more": [1, 2, 3] }));
            }
        }
        valid(&line);
        later.push(line);
    }
    let texts: Vec<String> = later.iter().map(Value::to_string).collect();
    let then = Reader::of(texts.iter().map(String::as_str));
    assert_eq!(then, Reader { skipped: now.skipped + run.lines().len(), ..now });

    // Words where one of several stands may come, too; what was said of a field stays so.
    let mut ended = later.last().cloned().expect("a last line");
    assert_eq!(ended["type"], "finished");
    ended["data"]["outcome"] = json!("outsourced");
    valid(&ended);
    ended["data"]["exit"] = json!("zero");
    assert!(!VALIDATOR.is_valid(&ended), "a number has become a word, and the schema says nothing");
}
