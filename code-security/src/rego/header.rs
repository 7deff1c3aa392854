//! What a policy says of itself, in the annotation block of OPA (`# METADATA`) before its package.
//!
//! OPA reads the block as YAML; of that, this reads what a policy needs: one value a line, and one level of
//! nesting under `custom`.

use std::collections::{BTreeMap, BTreeSet};

use code_core::scanner::{Severity, Subject};
use code_core::{Error, ErrorKind, Result};

/// What a policy says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Unique among the policies: `network.no-public-store`.
    pub id: String,
    /// What it demands, in a few words.
    pub title: String,
    /// Why it demands that.
    pub why: String,
    /// What to do where it fails.
    pub help: String,
    /// How bad a fail is; a finding may say otherwise.
    pub severity: Severity,
    /// What it judges.
    pub looks_at: BTreeSet<Topic>,
    /// The file that it stands in.
    pub file: String,
}

/// What a policy can look at: the first word of its input document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// A spec.
    Spec,
    /// A plan.
    Plan,
}

impl Topic {
    /// The topic of a subject, where policies know it.
    pub fn of(subject: &Subject<'_>) -> Option<Topic> {
        match subject {
            Subject::Spec(..) => Some(Topic::Spec),
            Subject::Plan(_) => Some(Topic::Plan),
            _ => None,
        }
    }

    /// Its word in headers and in `input.subject`.
    pub fn as_str(self) -> &'static str {
        match self {
            Topic::Spec => "spec",
            Topic::Plan => "plan",
        }
    }
}

/// Rooms whose findings other judges make: an accepted id of theirs must not be a policy's as well.
const RESERVED: [&str; 3] = ["cost", "gate", "policy"];

/// Reads the header of a policy's text.
///
/// # Errors
/// `policy::header` with the line that is wrong or what is missing.
pub(super) fn read(file: &str, text: &str) -> Result<Header> {
    let bad = |line: usize, what: String| {
        Err(Error::new(ErrorKind::Invalid, "policy::header", format!("read the header of a policy: {what}"))
            .help(
                "begin the file with `# METADATA`, `# title: …`, `# description: …` and, under `# custom:`, \
                 `id`, `severity`, `looks_at` and `help`; see docs/policies.md",
            )
            .with("policy", format!("{file}:{line}")))
    };
    let (mut values, start) = match values(text) {
        Ok(found) => found,
        Err((line, what)) => return bad(line, what),
    };
    let mut take = |name: &str| values.remove(name).filter(|value| !value.is_empty());
    let (Some(title), Some(why)) = (take("title"), take("description")) else {
        return bad(start, "`title` and `description` are needed".into());
    };
    let (Some(id), Some(help)) = (take("custom.id"), take("custom.help")) else {
        return bad(start, "`custom.id` and `custom.help` are needed".into());
    };
    let severity = match take("custom.severity").as_deref() {
        Some(word) => match severity(word) {
            Some(severity) => severity,
            None => return bad(start, format!("`{word}` is no severity")),
        },
        None => return bad(start, "`custom.severity` is needed".into()),
    };
    let mut looks_at = BTreeSet::new();
    for word in take("custom.looks_at").as_deref().unwrap_or("").trim_matches(['[', ']']).split(',') {
        match word.trim() {
            "spec" => looks_at.insert(Topic::Spec),
            "plan" => looks_at.insert(Topic::Plan),
            "" => return bad(start, "`custom.looks_at` is needed: `[spec]`, `[plan]` or both".into()),
            other => return bad(start, format!("`{other}` is nothing that a policy looks at")),
        };
    }
    if let Some(name) = values.keys().find(|name| name.starts_with("custom.")) {
        return bad(start, format!("`{name}` means nothing"));
    }
    let good_id = id.split_once('.').is_some_and(|(room, _)| !RESERVED.contains(&room))
        && id.split('.').all(|part| code_core::id::check_name("a policy", part).is_ok());
    if !good_id {
        return bad(
            start,
            format!("`{id}` is no id: it is `room.rule`, and no room of {}", RESERVED.join(", ")),
        );
    }
    Ok(Header { id, title, why, help, severity, looks_at, file: file.to_owned() })
}

/// The values of the block by name (`custom.id`), and the line on which the block begins.
fn values(text: &str) -> Result<(BTreeMap<String, String>, usize), (usize, String)> {
    let mut lines = text.lines().enumerate().map(|(i, line)| (i + 1, line.trim_end()));
    let Some((start, _)) = lines.find(|(_, line)| *line == "# METADATA") else {
        return Err((1, "there is no `# METADATA`".into()));
    };
    let mut values = BTreeMap::new();
    let mut custom = false;
    for (number, line) in lines {
        let Some(line) = line.strip_prefix('#') else { break };
        let Some((name, value)) = line.split_once(':') else {
            return Err((number, "a line is `name: value`".into()));
        };
        let nested = name.starts_with("   ");
        let (name, value) = (name.trim(), value.trim());
        let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        if quoted.is_none() && value.contains(": ") {
            return Err((number, format!("OPA cannot read `{name}`: put the value in double quotes")));
        }
        let value = quoted.unwrap_or(value);
        custom = if nested { custom } else { name == "custom" };
        let name = if nested && custom { format!("custom.{name}") } else { name.to_owned() };
        if values.insert(name.clone(), value.to_owned()).is_some() {
            return Err((number, format!("`{name}` stands there twice")));
        }
    }
    Ok((values, start))
}

/// The severity that this word means.
pub(super) fn severity(word: &str) -> Option<Severity> {
    match word {
        "low" => Some(Severity::Low),
        "medium" => Some(Severity::Medium),
        "high" => Some(Severity::High),
        "critical" => Some(Severity::Critical),
        _ => None,
    }
}
