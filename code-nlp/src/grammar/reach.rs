//! Each entry of each table is reachable: in a plain sentence it means what its row says.

use code_core::intent::{Action, Intent};
use code_core::parser::Vocabulary;
use serde_json::Value;

use super::lexicon::table;
use super::parse;

fn intents(text: &str) -> Vec<Intent> {
    parse(text, &Vocabulary::default()).intents
}

/// Whether the text's first intent has this value at this pointer.
fn says(text: &str, pointer: &str, expect: &Value) -> Option<String> {
    let found = serde_json::to_value(intents(text)).unwrap();
    (found.pointer(&format!("/0{pointer}")) != Some(expect))
        .then(|| format!("{text:?}: no {pointer} = {expect} in {found}"))
}

/// The words of a row's cell, without the mark of ordinary words.
fn words(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(',').map(|w| w.trim().trim_start_matches('?')).filter(|w| !w.is_empty())
}

fn all(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{} unreachable:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn kinds_and_products() {
    let mut wrong = Vec::new();
    for row in table("kinds") {
        for word in words(row[1]) {
            wrong.extend(says(&format!("Create a {word} in staging."), "/components/0/kind", &row[0].into()));
        }
    }
    for row in table("products") {
        for word in words(row.get(2).unwrap_or(&"")).chain([row[0]]) {
            // An ordinary word is a product where it is written as one.
            let ordinary =
                row.get(2).is_some_and(|cell| cell.split(',').any(|w| w.trim() == format!("?{word}")));
            let (word, kind) = if ordinary {
                let kind = if row[1] == "-" { "api" } else { row[1] };
                let mut letters = word.chars();
                let word: String =
                    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
                (format!("{word} {}", kind.replace('_', " ")), kind)
            } else {
                (word.to_owned(), row[1])
            };
            let text = format!("Create a {word} in staging.");
            wrong.extend(says(&text, "/components/0/engine", &row[0].into()));
            if kind != "-" {
                wrong.extend(says(&text, "/components/0/kind", &kind.into()));
            }
        }
    }
    all(wrong);
}

#[test]
fn places_and_limits() {
    let mut wrong = Vec::new();
    for row in table("environments") {
        for word in words(row[1]) {
            let noun = if word.contains("environment") { "" } else { " environment" };
            wrong.extend(says(
                &format!("Deploy a web app to the {word}{noun}."),
                "/environment",
                &row[0].into(),
            ));
        }
    }
    for row in table("platforms") {
        for word in words(row[1]) {
            let preposition = if matches!(word, "locally") { "" } else { "on " };
            wrong.extend(says(
                &format!("Deploy a web app {preposition}{word}."),
                "/target/platform",
                &row[0].into(),
            ));
        }
    }
    for row in table("compliance") {
        for word in words(row[1]) {
            wrong.extend(says(
                &format!("Check staging against {word}."),
                "/constraints/compliance/0",
                &row[0].into(),
            ));
        }
    }
    for region in table("regions").into_iter().flatten().flat_map(str::split_whitespace) {
        wrong.extend(says(&format!("Deploy a web app to {region}."), "/target/region", &region.into()));
    }
    all(wrong);
}

#[test]
fn values() {
    let mut wrong = Vec::new();
    for row in table("units") {
        for word in words(row[1]) {
            let (text, pointer, expect): (String, &str, Value) = match row[0] {
                "core" if word.starts_with("milli") => {
                    (format!("Create an API with 500 {word} in staging."), "/components/0/cpu", 0.5.into())
                }
                "core" => {
                    (format!("Create an API with 3 {word} in staging."), "/components/0/cpu", 3.0.into())
                }
                unit @ ("Ki" | "Mi" | "Gi" | "Ti") => (
                    format!("Create an API with 3 {word} of memory in staging."),
                    "/components/0/memory",
                    format!("3{unit}").into(),
                ),
                code => (
                    format!("Create an API in staging for at most 300 {word} a month."),
                    "/constraints/currency",
                    code.into(),
                ),
            };
            wrong.extend(says(&text, pointer, &expect));
        }
    }
    for row in table("fields") {
        for word in words(row[1]) {
            let (value, pointer, expect): (&str, &str, Value) = match row[0] {
                "replicas" => ("3", "/components/0/replicas/min", 3.into()),
                "memory" => ("2Gi", "/components/0/memory", "2Gi".into()),
                "storage" => ("20Gi", "/components/0/storage", "20Gi".into()),
                "cpu" => ("2", "/components/0/cpu", 2.0.into()),
                "port" => ("8080", "/components/0/port", 8080.into()),
                "host" => ("x.example.com", "/components/0/host", "x.example.com".into()),
                "version" => ("2.6.0", "/components/0/version", "2.6.0".into()),
                "image" => ("a/b:1", "/components/0/image", "a/b:1".into()),
                "source" => ("./src", "/components/0/source", "./src".into()),
                "env" => ("A_B=1", "/components/0/env/A_B", "1".into()),
                "name" => ("kestrel", "/components/0/name", "kestrel".into()),
                "namespace" => ("lab", "/target/namespace", "lab".into()),
                "region" => ("eu-west-1", "/target/region", "eu-west-1".into()),
                "budget" => ("$300", "/constraints/budget_monthly", 300.0.into()),
                "platform" => ("aws", "/target/platform", "aws".into()),
                _ => ("\"0 2 * * *\"", "/components/0/schedule", "0 2 * * *".into()),
            };
            let kind = if row[0] == "schedule" { "cron job" } else { "API" };
            let before = format!("Create: {kind}, {word}: {value}, environment: staging.");
            let after = format!("Create a {kind} with {value} {word} in staging.");
            let either = says(&before, pointer, &expect).filter(|_| says(&after, pointer, &expect).is_some());
            wrong.extend(either);
        }
    }
    for row in table("flags") {
        for word in words(row[2]) {
            let expect = Value::from(row[1] == "true");
            let pointer = format!("/components/0/{}", row[0]);
            wrong.extend(says(
                &format!("Create a database in staging. It must be {word}."),
                &pointer,
                &expect,
            ));
        }
    }
    all(wrong);
}

#[test]
fn actions() {
    let mut wrong = Vec::new();
    for row in table("actions") {
        for word in words(row[1]) {
            let (text, expect) = match row[0] {
                "set" => (format!("{word} the memory of the kestrel API to 2Gi in staging."), "update"),
                "raise" => (format!("{word} the kestrel API to 5 replicas in staging."), "scale"),
                "need" | "get" | "add" => (format!("We {word} a Redis cache in staging."), "deploy"),
                "bring" if word == "go" || word == "come" || word == "step" => continue,
                "bring" => (format!("{word} the kestrel API to version 3.1 in staging."), "update"),
                "run" => (format!("{word} a worker in staging."), "deploy"),
                "show" => (format!("{word} the logs of the kestrel API in staging."), "logs"),
                "check" => (format!("{word} the health of the kestrel API in staging."), "status"),
                "estimate" => (format!("{word} the kestrel API in staging."), "cost"),
                "renew" => {
                    (format!("{word} the credentials of the kestrel API in staging."), "rotate_secrets")
                }
                "rotate_secrets" => {
                    (format!("{word} the secrets of the kestrel API in staging."), "rotate_secrets")
                }
                "promote" => (format!("{word} the kestrel API from qa to staging."), "promote"),
                action => (format!("{word} the kestrel API in staging."), action),
            };
            wrong.extend(says(&text, "/action", &expect.into()));
        }
    }
    for row in table("topics") {
        let action: Action = serde_json::from_value(row[0].into()).unwrap();
        for word in words(row[1]) {
            // Phrases that are half a question are tried in the corpus.
            if !matches!(action, Action::Status | Action::Logs | Action::Scan | Action::Cost)
                || word.contains("how")
                || word.contains('\'')
            {
                continue;
            }
            let of = format!("Show me the {word} of the kestrel API in staging.");
            wrong.extend(says(&of, "/action", &row[0].into()));
        }
    }
    all(wrong);
}

#[test]
fn dry_runs_and_corrections() {
    let mut wrong = Vec::new();
    for row in table("dryrun") {
        let text = format!("Restart the kestrel API in staging: {}.", row[0]);
        wrong.extend(says(&text, "/dry_run", &true.into()));
    }
    for row in table("corrections") {
        let text = format!("Scale the kestrel API to 3 replicas, {} 5 replicas.", row[0]);
        wrong.extend(says(&text, "/components/0/replicas/max", &5.into()));
    }
    all(wrong);
}

#[test]
fn relations() {
    let mut wrong = Vec::new();
    let mut needs = |text: String| {
        let found = serde_json::to_value(intents(&text)).unwrap();
        let said = found.pointer("/0/components").and_then(Value::as_array).is_some_and(|list| {
            list.iter().any(|c| c["kind"] == "api" && c["depends_on"] == serde_json::json!(["database"]))
        });
        if !said {
            wrong.push(format!("{text:?}: {found}"));
        }
    };
    for row in table("relations") {
        for word in words(row[1]) {
            match row[0] {
                "needs" => needs(format!("Create an API in staging which is {word} a database.")),
                "feeds" => needs(format!("Create a database in staging which is {word} an API.")),
                prepositions => words(prepositions).for_each(|preposition| {
                    needs(format!(
                        "Create an API in staging which must {word} its data {preposition} a database."
                    ));
                }),
            }
        }
    }
    all(wrong);
}
