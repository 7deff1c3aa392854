//! What the tools say, read leniently: their machine-readable lines, a plan, and a state.
//!
//! The formats: the [machine-readable UI](https://opentofu.org/docs/internals/machine-readable-ui/) (lines of
//! `plan -json` and `apply -json`), the [plan representation](https://opentofu.org/docs/internals/json-format/)
//! (`show -json PLAN`), and the state file, version 4. What is not known here is passed over: each version of the
//! tools adds something.

use std::collections::{BTreeMap, BTreeSet};

use code_core::provider::Action;
use code_core::{Digest, Expr};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::steady;

/// A line of the machine-readable UI.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Message {
    /// Something that a person should know.
    Diagnostic(Diagnostic),
    /// A change of a resource began.
    Started { address: String, action: String },
    /// It is done, and has this id where its provider gives it one.
    Completed { address: String, id: String },
    /// It failed.
    Errored { address: String },
    /// The sum of all changes.
    Summary,
    /// Anything else.
    Other,
}

/// Something that a person should know.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Diagnostic {
    #[serde(default)]
    pub(super) severity: String,
    #[serde(default)]
    pub(super) summary: String,
    #[serde(default)]
    pub(super) detail: String,
    #[serde(default)]
    pub(super) address: Option<String>,
    #[serde(default)]
    range: Option<Range>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Range {
    filename: String,
    start: Start,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Start {
    line: u64,
}

impl Diagnostic {
    pub(super) fn is_error(&self) -> bool {
        self.severity == "error"
    }

    /// Where in the files it is about.
    pub(super) fn place(&self) -> Option<String> {
        self.range.as_ref().map(|range| format!("{}:{}", range.filename, range.start.line))
    }

    /// On one line.
    pub(super) fn text(&self) -> String {
        let detail = self.detail.split_whitespace().collect::<Vec<_>>().join(" ");
        let place = self.place().map(|place| format!(" ({place})")).unwrap_or_default();
        match detail.is_empty() {
            true => format!("{}{place}", self.summary),
            // It stands in a sentence of ours.
            false => format!("{}{place}: {}", self.summary, detail.trim_end_matches('.')),
        }
    }
}

/// Reads a line: what it is, and how it is put for people; `None` where it is none of the machine-readable UI.
pub(super) fn message(line: &str) -> Option<(Message, String)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let kind = line.get("type")?.as_str()?;
    let text = line["@message"].as_str().unwrap_or_default().to_owned();
    let hook = |name: &str| line["hook"][name].as_str().unwrap_or_default().to_owned();
    let address = || line["hook"]["resource"]["addr"].as_str().unwrap_or_default().to_owned();
    let message = match kind {
        "diagnostic" => match Diagnostic::deserialize(&line["diagnostic"]) {
            Ok(diagnostic) => Message::Diagnostic(diagnostic),
            Err(_) => Message::Other,
        },
        "apply_start" => Message::Started { address: address(), action: hook("action") },
        "apply_complete" => Message::Completed { address: address(), id: hook("id_value") },
        "apply_errored" => Message::Errored { address: address() },
        "change_summary" => Message::Summary,
        _ => Message::Other,
    };
    Some((message, text))
}

/// The diagnostics of `validate -json`; `None` where it is no answer of it.
pub(super) fn validation(bytes: &[u8]) -> Option<Vec<Diagnostic>> {
    #[derive(Deserialize)]
    struct Validation {
        #[serde(rename = "valid")]
        _valid: bool,
        #[serde(default)]
        diagnostics: Vec<Diagnostic>,
    }
    serde_json::from_slice::<Validation>(bytes).ok().map(|validation| validation.diagnostics)
}

/// The version in an answer of `version -json`.
pub(super) fn version(bytes: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(bytes).ok()?;
    answer.get("terraform_version")?.as_str().map(str::to_owned)
}

/// The first two numbers of a version.
pub(super) fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// What a saved plan would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Planned {
    pub(super) changes: Vec<ResourceChange>,
    /// What somebody else changed since the state was written, in words.
    pub(super) drift: Vec<String>,
    pub(super) outputs: BTreeMap<String, OutputChange>,
    /// The variables that the root declares.
    pub(super) declared: BTreeSet<String>,
    /// The resources with provisioners, by their address in the configuration.
    pub(super) provisioned: BTreeSet<String>,
    /// Of all changes and their values but the sensitive ones: two plans with the same do the same.
    pub(super) digest: Digest,
    /// Whether its resources read nothing but the state.
    pub(super) reads_state_only: bool,
}

/// The change of one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ResourceChange {
    pub(super) address: String,
    pub(super) action: Action,
    /// What to say of it beside its address.
    pub(super) note: String,
}

/// The change of one output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct OutputChange {
    pub(super) sensitive: bool,
    pub(super) changes: bool,
    /// Its value afterwards, where that is known and not sensitive.
    pub(super) after: Option<Expr>,
}

impl Planned {
    /// Whether nothing at all would be done.
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty() && !self.outputs.values().any(|output| output.changes)
    }

    /// The resources that it makes and that have provisioners.
    pub(super) fn made_with_provisioners(&self) -> BTreeSet<String> {
        let made = self.changes.iter().filter(|one| matches!(one.action, Action::Create | Action::Replace));
        let with = made.filter(|one| self.provisioned.contains(&in_configuration(&one.address)));
        with.map(|one| one.address.clone()).collect()
    }
}

/// Reads an answer of `show -json PLAN`; `None` where it is none.
pub(super) fn planned(bytes: &[u8]) -> Option<Planned> {
    let plan: Value = serde_json::from_slice(bytes).ok()?;
    plan.get("format_version")?.as_str()?;
    let root = &plan["configuration"]["root_module"];
    let mut found = Planned {
        changes: Vec::new(),
        drift: Vec::new(),
        outputs: BTreeMap::new(),
        declared: map(root, "variables").map(|(name, _)| name.clone()).collect(),
        provisioned: BTreeSet::new(),
        digest: Digest::ZERO,
        reads_state_only: steady::reads_state_only(&plan),
    };
    let mut told: Vec<Value> = Vec::new();
    for change in list(&plan, "resource_changes") {
        let Some(one) = resource_change(change) else { continue };
        told.push(change_without_secrets(change));
        found.changes.push(one);
    }
    for change in list(&plan, "resource_drift") {
        let address = change["address"].as_str().unwrap_or("a resource");
        found.drift.push(match actions(&change["change"]).as_slice() {
            ["delete"] => format!("{address} is gone"),
            _ => format!("{address} was changed by somebody else"),
        });
    }
    for (name, change) in map(&plan, "output_changes") {
        let actions = actions(change);
        told.push(change_without_secrets(&serde_json::json!({ "address": name, "change": change })));
        if actions == ["delete"] {
            continue;
        }
        let sensitive = is_marked(&change["after_sensitive"]);
        let unknown = is_marked(&change["after_unknown"]);
        let after = (!sensitive && !unknown).then(|| Expr::Known(change["after"].clone()));
        let changes = actions != ["no-op"];
        found.outputs.insert(name.clone(), OutputChange { sensitive, changes, after });
    }
    provisioned(root, "", &mut found.provisioned);
    found.digest = Digest::of_json(&told);
    Some(found)
}

fn resource_change(change: &Value) -> Option<ResourceChange> {
    if change["mode"] == "data" {
        return None;
    }
    let (action, note) = match actions(&change["change"]).as_slice() {
        ["create"] => (Action::Create, ""),
        ["update"] => (Action::Update, ""),
        ["delete", "create"] | ["create", "delete"] => (Action::Replace, ""),
        ["delete"] => (Action::Delete, ""),
        // OpenTofu: it goes on existing, and is no longer looked after.
        ["forget"] => (Action::Update, " (let go of)"),
        ["forget", "create"] | ["create", "forget"] => (Action::Create, ""),
        ["no-op"] if !change["change"]["importing"].is_null() => (Action::Update, " (taken over)"),
        ["no-op"] if change.get("previous_address").is_some_and(Value::is_string) => {
            (Action::Update, " (moved)")
        }
        ["no-op"] | ["read"] | [] => return None,
        // Something newer: as bad as it can be, until this is taught what it is.
        _ => (Action::Replace, " (by an action that is not known here)"),
    };
    let mut address = change["address"].as_str()?.to_owned();
    if let Some(deposed) = change["deposed"].as_str() {
        address = format!("{address} (what was left of it: {deposed})");
    }
    Some(ResourceChange { address, action, note: note.to_owned() })
}

/// What a change does, without any value that is marked sensitive: its digest is written down.
fn change_without_secrets(change: &Value) -> Value {
    let inner = &change["change"];
    let masked = |value: &str, mark: &str| mask(&inner[value], &inner[mark]);
    serde_json::json!([
        change["address"],
        inner["actions"],
        masked("before", "before_sensitive"),
        masked("after", "after_sensitive"),
        inner["after_unknown"],
        inner["replace_paths"],
    ])
}

fn mask(value: &Value, mark: &Value) -> Value {
    match (value, mark) {
        (_, Value::Bool(true)) => Value::Null,
        (Value::Object(values), Value::Object(marks)) => {
            let none = Value::Null;
            let inner = |(name, value): (&String, &Value)| {
                (name.clone(), mask(value, marks.get(name).unwrap_or(&none)))
            };
            Value::Object(values.iter().map(inner).collect())
        }
        (Value::Array(values), Value::Array(marks)) => {
            let none = Value::Null;
            let inner = |(i, value): (usize, &Value)| mask(value, marks.get(i).unwrap_or(&none));
            Value::Array(values.iter().enumerate().map(inner).collect())
        }
        _ => value.clone(),
    }
}

/// Whether anything in a value is marked as sensitive or unknown.
fn is_marked(mark: &Value) -> bool {
    match mark {
        Value::Bool(marked) => *marked,
        Value::Object(inner) => inner.values().any(is_marked),
        Value::Array(inner) => inner.iter().any(is_marked),
        _ => false,
    }
}

fn provisioned(module: &Value, prefix: &str, found: &mut BTreeSet<String>) {
    for resource in list(module, "resources") {
        if let Some(address) = resource["address"].as_str()
            && resource["provisioners"].as_array().is_some_and(|all| !all.is_empty())
        {
            found.insert(format!("{prefix}{address}"));
        }
    }
    for (name, call) in map(module, "module_calls") {
        provisioned(&call["module"], &format!("{prefix}module.{name}."), found);
    }
}

/// An address without the keys of instances: `module.a["x"].t.n[0]` is `module.a.t.n` in the configuration.
pub(super) fn in_configuration(address: &str) -> String {
    let mut plain = String::new();
    let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
    for c in address.chars() {
        match c {
            '"' if depth > 0 && !escaped => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            _ if depth == 0 => plain.push(c),
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    plain
}

fn actions(change: &Value) -> Vec<&str> {
    change["actions"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn map<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.get(name).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

/// A state, as far as it is looked into.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(super) struct State {
    /// Counts its writes.
    pub(super) serial: u64,
    /// Made once, with the state.
    pub(super) lineage: String,
    #[serde(default)]
    pub(super) outputs: BTreeMap<String, StateOutput>,
    #[serde(default)]
    resources: Vec<StateResource>,
    /// What OpenTofu has encrypted is here instead of outputs and resources.
    #[serde(default)]
    encrypted_data: Option<serde::de::IgnoredAny>,
    /// Of all its bytes.
    #[serde(skip)]
    pub(super) digest: Option<Digest>,
}

/// An output in a state.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct StateOutput {
    #[serde(default)]
    pub(super) value: Value,
    #[serde(default)]
    pub(super) sensitive: bool,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct StateResource {
    #[serde(default)]
    mode: String,
    #[serde(default)]
    instances: Vec<serde::de::IgnoredAny>,
}

impl State {
    /// Whether only the tool can read it.
    pub(super) fn is_encrypted(&self) -> bool {
        self.encrypted_data.is_some()
    }

    /// Whether it has resources that the root made; of what is encrypted, nobody can say that it has none.
    pub(super) fn has_resources(&self) -> bool {
        self.is_encrypted()
            || self
                .resources
                .iter()
                .any(|resource| resource.mode == "managed" && !resource.instances.is_empty())
    }
}

/// Reads a state; `None` where it is none.
pub(super) fn state(bytes: &[u8]) -> Option<State> {
    let state: State = serde_json::from_slice(bytes).ok()?;
    Some(State { digest: Some(Digest::of(bytes)), ..state })
}

/// The lock that somebody else holds, as the tools tell of it in the text of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LockInfo {
    pub(super) id: String,
    pub(super) who: String,
    pub(super) operation: String,
    /// As it is written there: `2026-11-23 23:44:16.98 +0000 UTC`.
    pub(super) created: String,
}

/// Reads the lock out of the detail of an error.
pub(super) fn lock_info(detail: &str) -> Option<LockInfo> {
    let field = |name: &str| {
        let line = detail.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'))?;
        Some(line.trim().to_owned())
    };
    // The backend `http` gives the lock that was refused, and names the one that is held by its id only.
    if let Some((_, held)) = detail.split_once("already locked: ID=") {
        let id = held.split_whitespace().next()?.to_owned();
        return Some(LockInfo { id, who: String::new(), operation: String::new(), created: String::new() });
    }
    let id = field("ID").filter(|id| !id.is_empty())?;
    Some(LockInfo {
        id,
        who: field("Who").unwrap_or_default(),
        operation: field("Operation").unwrap_or_default(),
        created: field("Created").unwrap_or_default(),
    })
}
