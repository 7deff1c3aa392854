//! From what a rule said to findings: anything that is not clearly a pass is none.

use std::collections::BTreeMap;

use code_core::scanner::{Finding, Severity, Verdict};
use serde_json::Value;

use super::header::{Header, severity};

/// The longest message of a finding, in characters.
const LONGEST: usize = 400;

/// The findings of a rule that said this: one for each place, the places in order.
pub(super) fn findings(header: &Header, said: Result<Value, String>) -> Vec<Finding> {
    let answers = match said {
        Ok(Value::Array(answers)) if !answers.is_empty() => answers,
        Ok(Value::Array(_)) => return vec![unknown(header, "the policy says nothing of this")],
        Ok(_) => return vec![unknown(header, "the policy's `findings` are no set")],
        Err(why) => return vec![unknown(header, &format!("the policy could not be evaluated: {why}"))],
    };
    let mut places: BTreeMap<String, Finding> = BTreeMap::new();
    for answer in &answers {
        let finding = finding(header, answer);
        let at = finding.at.clone().unwrap_or_default();
        match places.get_mut(&at) {
            // One id names a rule at a place: what is said of it together is as bad as the worst of it.
            Some(known) => merge(known, finding),
            None => drop(places.insert(at, finding)),
        }
    }
    places.into_values().collect()
}

fn finding(header: &Header, answer: &Value) -> Finding {
    let text = |name: &str| answer.get(name).and_then(Value::as_str);
    let verdict = match text("verdict") {
        Some("pass") => Verdict::Pass,
        Some("fail") => Verdict::Fail,
        Some("unknown") => Verdict::Unknown,
        _ => return unknown(header, "the policy gave an answer that is no verdict"),
    };
    let level = match answer.get("severity") {
        None => header.severity,
        // A severity that cannot be read must not make a fail harmless.
        Some(word) => word.as_str().and_then(severity).unwrap_or(Severity::Critical),
    };
    let message = text("message").map_or_else(|| header.title.clone(), shown);
    let at = text("at").map(shown).filter(|at| !at.is_empty());
    let finding = Finding::new(&header.id, at.as_deref(), verdict, message).severity(level);
    match verdict {
        Verdict::Pass => finding,
        _ => finding.help(text("help").map_or_else(|| header.help.clone(), shown)),
    }
}

fn merge(known: &mut Finding, other: Finding) {
    let worse = (other.verdict, other.severity) > (known.verdict, known.severity);
    if other.verdict == known.verdict && other.message != known.message {
        known.message = shown(&format!("{}; {}", known.message, other.message));
    } else if worse {
        known.message.clone_from(&other.message);
    }
    if worse {
        known.verdict = other.verdict;
        known.severity = other.severity;
        known.help = other.help;
    }
}

fn unknown(header: &Header, message: &str) -> Finding {
    Finding::new(&header.id, None, Verdict::Unknown, shown(message))
        .severity(header.severity)
        .help(format!("mend the policy `{}` ({}), or accept this finding by its id", header.id, header.file))
}

/// Text of a policy, which may quote what it judges: without control characters, and not too long.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
}
