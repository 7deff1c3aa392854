//! The documents that policies see as `input`; `docs/policies.md` describes them.

use code_core::scanner::Subject;
use code_core::{Error, ErrorKind, Result};
use serde_json::{Value, json};

use super::Topic;

/// The input document of a subject, or `None` where policies do not know its sort.
///
/// A spec and a plan are in it as they are serialised everywhere else: a value that was left out there is
/// left out here.
///
/// # Errors
/// `policy::subject` where the subject has no JSON.
pub fn document(subject: &Subject<'_>) -> Result<Option<(Topic, Value)>> {
    let Some(topic) = Topic::of(subject) else { return Ok(None) };
    let document = match subject {
        Subject::Spec(spec, origins) => json(spec).and_then(|spec| {
            Ok(json!({ "subject": topic.as_str(), "spec": spec, "origins": json(origins)? }))
        })?,
        Subject::Plan(plan) => json!({ "subject": topic.as_str(), "plan": json(plan)? }),
        _ => return Ok(None),
    };
    Ok(Some((topic, document)))
}

fn json(value: &impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| {
        Error::new(ErrorKind::Bug, "policy::subject", "write the subject as the policies' input")
            .help("report it: every spec and every plan has a JSON form")
            .because(error)
    })
}
