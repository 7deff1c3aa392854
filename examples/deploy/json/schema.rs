//! The published schema of the lines: the envelope, and for each type that is known what its `data` is.
//!
//! ```text
//! Line ─▶ the envelope ───────────────────────────┐
//! Body ─▶ one type for each event of a run ───────┼─▶ docs/schema/json.v1.schema.json
//! answers ─▶ one type for each that the front has ┘   if type = … then data = …, for each
//! ```
//!
//! It says what is there and closes nothing. A line of another type, another field and another word where one of
//! several stands are all valid: these are what a later build of the same version may write.

use std::collections::BTreeMap;

use code_core::event::{Body, Event, Outcome};
use code_core::local::Repaired;
use code_core::parser::Parsed;
use code_core::plan::Plan;
use code_core::request::Request;
use code_core::scanner::{Cost, Report};
use code_core::spec::{Origins, Spec};
use code_core::verify::Verified;
use code_core::{Deployment, Digest, Error, RunId};
use code_monitor::results::StepResult;
use jiff::Timestamp;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{JSON_VERSION, Line};

/// The whole schema, as it is published.
pub(crate) fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = Line::json_schema(&mut generator).to_value();
    let mut types = events(&mut generator);
    for (kind, data) in answers(&mut generator) {
        types.entry(kind.to_owned()).or_default().push(data);
    }
    let known: Vec<Value> = types.into_iter().map(|(kind, data)| known(&kind, data)).collect();
    schema["$id"] = format!("https://code-engine.dev/schema/json.v{JSON_VERSION}.schema.json").into();
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "A line of what `--json` writes".into();
    schema["properties"]["v"]["const"] = JSON_VERSION.into();
    schema["allOf"] = known.into();
    schema["$defs"] = generator.take_definitions(true).into();
    open(&mut schema);
    schema
}

/// `data` of a line of this type is one of these.
fn known(kind: &str, mut data: Vec<Value>) -> Value {
    let data = if data.len() == 1 { data.remove(0) } else { json!({ "anyOf": data }) };
    json!({
        "if": { "properties": { "type": { "const": kind } }, "required": ["type"] },
        "then": { "properties": { "data": data } },
    })
}

/// The events of a run: each is a variant of [`Body`], without its tag and with the address of its step.
fn events(generator: &mut SchemaGenerator) -> BTreeMap<String, Vec<Value>> {
    let mut types: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut body = Body::json_schema(generator).to_value();
    for variant in body["oneOf"].as_array_mut().into_iter().flatten() {
        let tag = variant["properties"].as_object_mut().and_then(|fields| fields.remove("event"));
        let Some(kind) = tag.as_ref().and_then(|tag| tag["const"].as_str()) else { continue };
        if let Some(required) = variant["required"].as_array_mut() {
            required.retain(|field| field != "event");
        }
        if variant["properties"].get("step").is_some() {
            variant["properties"]["address"] =
                json!({ "type": "string", "description": "The step as a person names it." });
        }
        types.entry(kind.to_owned()).or_default().push(variant.take());
    }
    types
}

/// What the front writes beside them, by type.
fn answers(generator: &mut SchemaGenerator) -> Vec<(&'static str, Value)> {
    let mut of = Of(generator);
    let text = || json!({ "type": "string" });
    let number = || json!({ "type": "number" });
    let mut error = of.schema::<Error>();
    error = json!({ "allOf": [error, object(&[("exit", number()), ("url", text())], &[])] });
    let log = object(&[("path", text()), ("bytes", number())], &[]);
    let release = object(&[("digest", of.schema::<Digest>()), ("bytes", number())], &[]);
    let finished = object(
        &[
            ("deployment", of.schema::<Deployment>()),
            ("revision", number()),
            ("run", of.schema::<RunId>()),
            ("outcome", of.schema::<Outcome>()),
            ("endpoints", json!({ "type": "object", "additionalProperties": text() })),
            ("steps", of.schema::<Vec<StepResult>>()),
            ("seconds", number()),
            ("exit", number()),
        ],
        &[],
    );
    let running = object(&[("step", text()), ("seconds", number())], &[]);
    let event = object(&[("seq", number()), ("event", of.schema::<Event>())], &[]);
    vec![
        ("version", object(&[("program", text()), ("version", text()), ("format", number())], &[])),
        (
            "understood",
            object(
                &[("parser", text()), ("request", of.schema::<Request>()), ("parsed", of.schema::<Parsed>())],
                &[],
            ),
        ),
        ("spec", object(&[("spec", of.schema::<Spec>()), ("origins", of.schema::<Origins>())], &[])),
        ("judged", object(&[("of", text()), ("reports", of.schema::<Vec<Report>>())], &[])),
        ("planned", object(&[("plan", of.schema::<Plan>())], &[])),
        ("saved", object(&[("path", text()), ("command", text()), ("plan", of.schema::<Digest>())], &[])),
        ("needs_answer", object(&[("exit", number())], &[])),
        (
            "heartbeat",
            object(
                &[("seconds", number()), ("done", number()), ("total", number()), ("running", list(running))],
                &[],
            ),
        ),
        ("finished", finished),
        ("error", error),
        ("init", object(&[("path", text()), ("command", text())], &[])),
        ("unlock", object(&[("address", text()), ("lock", text())], &[])),
        ("report", object(&[("path", text())], &[])),
        ("status", list(status(&mut of))),
        (
            "history",
            list(object(
                &[
                    ("deployment", of.schema::<Deployment>()),
                    ("events", list(event)),
                    ("keeper", list(json!({ "type": "object" }))),
                ],
                &[],
            )),
        ),
        ("runs", list(run(&mut of))),
        ("verify", of.schema::<Vec<Verified>>()),
        ("repaired", of.schema::<Repaired>()),
        ("cost", of.schema::<Cost>()),
        ("scan", of.schema::<Vec<Report>>()),
        (
            "doctor",
            list(object(&[("name", text()), ("state", text()), ("says", text()), ("fix", text())], &["fix"])),
        ),
        ("explain", json!({ "anyOf": [object(&[("code", text()), ("page", text())], &[]), list(text())] })),
        ("commands", list(object(&[("name", text()), ("label", text()), ("about", text())], &[]))),
        (
            "prune",
            object(
                &[
                    ("found", list(release.clone())),
                    ("removed", list(release)),
                    ("logs", list(log.clone())),
                    ("removed_logs", list(log)),
                ],
                &["logs", "removed_logs"],
            ),
        ),
        ("log_line", object(&[("process", text()), ("line", text())], &[])),
    ]
}

fn status(of: &mut Of<'_>) -> Value {
    let text = || json!({ "type": "string" });
    let owed =
        object(&[("revision", json!({ "type": "number" })), ("error", of.schema::<Option<Error>>())], &[]);
    let resource = object(
        &[
            ("address", text()),
            ("kind", text()),
            ("kept", json!({ "type": "boolean" })),
            ("state", text()),
            ("id", or_null(text())),
            ("outputs", or_null(json!({ "type": "object" }))),
            ("drift", list(json!(true))),
        ],
        &["drift"],
    );
    let run = object(
        &[
            ("run", of.schema::<RunId>()),
            ("started", of.schema::<Timestamp>()),
            ("ended", of.schema::<Option<Timestamp>>()),
            ("outcome", of.schema::<Option<Outcome>>()),
            ("holder", text()),
            ("plan", of.schema::<Digest>()),
        ],
        &[],
    );
    object(
        &[
            ("deployment", of.schema::<Deployment>()),
            ("revision", or_null(json!({ "type": "number" }))),
            ("outdated", list(text())),
            ("owed", list(owed)),
            ("damage", or_null(text())),
            ("run", or_null(run)),
            ("resources", list(resource)),
        ],
        &[],
    )
}

fn run(of: &mut Of<'_>) -> Value {
    object(
        &[
            ("deployment", of.schema::<Deployment>()),
            ("run", of.schema::<RunId>()),
            ("revision", json!({ "type": "number" })),
            ("plan", of.schema::<Digest>()),
            ("asked", of.schema::<Option<String>>()),
            ("holder", json!({ "type": "string" })),
            ("started", of.schema::<Timestamp>()),
            ("ended", of.schema::<Option<Timestamp>>()),
            ("outcome", of.schema::<Option<Outcome>>()),
            ("seconds", of.schema::<Option<f64>>()),
            ("steps", json!({ "type": "number" })),
        ],
        &[],
    )
}

/// Schemas of Rust types, which share their definitions.
struct Of<'a>(&'a mut SchemaGenerator);

impl Of<'_> {
    fn schema<T: JsonSchema>(&mut self) -> Value {
        self.0.subschema_for::<T>().to_value()
    }
}

/// An object that has all of these fields, but for those that it may leave out.
fn object(fields: &[(&str, Value)], optional: &[&str]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let required: Vec<&str> =
        fields.iter().map(|(name, _)| *name).filter(|name| !optional.contains(name)).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn list(item: Value) -> Value {
    json!({ "type": "array", "items": item })
}

fn or_null(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

/// Leaves room for what a later build may add: fields, and words where one of several stands.
fn open(schema: &mut Value) {
    match schema {
        Value::Array(all) => all.iter_mut().for_each(open),
        Value::Object(map) => {
            if map.get("additionalProperties") == Some(&json!(false)) {
                map.remove("additionalProperties");
            }
            // With fields to come, more than one of several may fit.
            if let Some(variants) = map.remove("oneOf") {
                map.insert("anyOf".to_owned(), variants);
            }
            let word = |variant: &Value| variant["type"] == "string";
            if let Some(variants) = map.get_mut("anyOf").and_then(Value::as_array_mut)
                && variants.iter().all(word)
            {
                variants.push(json!({ "type": "string", "description": "A word of a later build." }));
            }
            if let Some(words) = map.remove("enum") {
                map.insert("examples".to_owned(), words);
            }
            map.values_mut().for_each(open);
        }
        _ => {}
    }
}
