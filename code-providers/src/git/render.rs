//! From an export to the files and the message of a commit: pure, and the same bytes for the same export.

use std::collections::BTreeMap;

use code_core::export::Export;
use code_core::{Digest, Result};
use serde::Serialize;
use serde_json::json;

use super::{error, place};

/// The files of a deployment's folder. What else lies there is somebody else's.
pub const FILES: [&str; 5] = [SPEC, "origins.json", "resources.json", "verdicts.json", REVISION];
/// What should exist.
pub(super) const SPEC: &str = "spec.yaml";
/// Which revision this is: no two have the same.
pub(super) const REVISION: &str = "revision.json";
/// The longest first line of a message, in characters.
const SUBJECT: usize = 72;

/// A commit to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    /// The deployment's folder.
    pub(super) folder: String,
    /// Each of [`FILES`]; `None`: there is no such thing.
    pub(super) files: BTreeMap<&'static str, Option<String>>,
    /// The message, with its trailers.
    pub(super) message: String,
    /// `NAME <NAME@MACHINE>`: never an address that somebody could write to.
    pub(super) author: String,
    /// When, in seconds since 1970.
    pub(super) at: i64,
}

/// The commit of an export.
pub(super) fn draft(export: &Export, machine: &str) -> Result<Draft> {
    let spec = export.spec.as_ref().map(|spec| serde_saphyr::to_string(spec).map_err(error::render));
    let origins = export.spec.as_ref().map(|_| pretty(&export.origins));
    let files = [
        (SPEC, spec.transpose()?),
        ("origins.json", origins.transpose()?),
        ("resources.json", Some(pretty(&export.resources)?)),
        ("verdicts.json", Some(pretty(&verdicts(export))?)),
        (REVISION, Some(pretty(&revision(export))?)),
    ];
    let name = plain(export.by(), 80);
    Ok(Draft {
        folder: place::folder(&export.deployment),
        files: files.into(),
        message: message(export),
        author: format!("{name} <{}@{}>", login(export.by()), login(machine)),
        at: export.at.as_second(),
    })
}

fn verdicts(export: &Export) -> serde_json::Value {
    let spec = export.spec.as_ref().map(code_core::spec::Spec::digest);
    let one = |report: &code_core::scanner::Report| {
        // Without the subject's digest, which would be another line in each commit.
        let of = if Some(report.subject) == spec { "spec" } else { "plan" };
        json!({ "of": of, "scanner": report.scanner, "findings": report.findings, "cost": report.cost })
    };
    json!({ "accepted": export.accepted, "reports": export.reports.iter().map(one).collect::<Vec<_>>() })
}

fn revision(export: &Export) -> serde_json::Value {
    json!({
        "version": 1,
        "deployment": export.deployment,
        "revision": export.revision,
        "run": export.run,
        "at": export.at,
        "by": export.by(),
        "request": export.request.as_ref().map(|request| &request.text),
        "read_from": export.source,
        "approval": export.approval,
        "plan": export.plan,
        "spec": spec_digest(export),
        "chain": export.chain,
        "rollback": export.rollback,
    })
}

fn spec_digest(export: &Export) -> Option<Digest> {
    export.spec.as_ref().map(code_core::spec::Spec::digest)
}

/// The words first, then the facts, then the same facts as trailers.
fn message(export: &Export) -> String {
    let (revision, deployment) = (export.revision, &export.deployment);
    let words = export.request.as_ref().map(|request| request.text.as_str());
    let subject = match (&export.rollback, &export.source, words) {
        (Some(back), ..) => {
            format!("Revert revision {} of {deployment}: back to revision {}", back.from, back.to)
        }
        (None, _, Some(words)) => plain(words, SUBJECT),
        (None, Some(source), None) => {
            format!("Deploy {deployment} as of commit {}", source.short())
        }
        (None, None, None) if export.spec.is_none() => format!("Take down {deployment}"),
        (None, None, None) => format!("Deploy revision {revision} of {deployment}"),
    };
    let mut text = format!("{subject}\n\n");
    if let Some(words) = words.filter(|words| *words != subject) {
        // Indented, so that no words can pass for a trailer.
        for line in words.lines() {
            let line = if line.trim().is_empty() { String::new() } else { plain(line, 1000) };
            text.push_str(format!("    {line}").trim_end());
            text.push('\n');
        }
        text.push('\n');
    }
    let by = plain(export.by(), 80);
    text.push_str(&format!(
        "Revision {revision} of {deployment}, run {}, asked for by {by}.\n\n",
        export.run
    ));
    let mut trailer = |name: &str, value: &dyn std::fmt::Display| {
        text.push_str(&format!("Code-{name}: {value}\n"));
    };
    trailer("Deployment", deployment);
    trailer("Revision", &revision);
    trailer("Plan", &export.plan);
    if let Some(spec) = spec_digest(export) {
        trailer("Spec", &spec);
    }
    if let Some(back) = &export.rollback {
        trailer("Reverts", &back.from);
        trailer("Returns-To", &back.to);
    }
    if let Some(source) = &export.source {
        trailer("Read-From", &plain(&source.id, 64));
    }
    text
}

/// On one line, and nothing in it that ends a line, a name or an address.
fn plain(text: &str, most: usize) -> String {
    let clean = |c: char| if c.is_control() || "<>".contains(c) { ' ' } else { c };
    let text: String = text.chars().map(clean).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        return "unknown".to_owned();
    }
    if text.chars().count() <= most {
        return text;
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// What can stand in an address.
fn login(text: &str) -> String {
    let fits = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
    let text: String = text.chars().filter(fits).take(80).collect();
    if text.is_empty() { "unknown".to_owned() } else { text }
}

fn pretty(value: &impl Serialize) -> Result<String> {
    // Through a value: its keys are sorted, whatever the order of the fields.
    let value = serde_json::to_value(value).map_err(error::render)?;
    serde_json::to_string_pretty(&value).map(|text| text + "\n").map_err(error::render)
}
