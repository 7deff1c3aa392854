//! What changed, and how a plan says so.

use std::collections::BTreeSet;

use code_core::Want;
use code_core::provider::{Action, Change, Effects, Live, Promise, Resource, Reversal};

/// The names of what is wanted otherwise than it was.
pub(crate) fn differences(wanted: &Want, was: &Want) -> BTreeSet<String> {
    let names = wanted.0.keys().chain(was.0.keys());
    names.filter(|name| wanted.get(name) != was.get(name)).cloned().collect()
}

/// Why there is a change: what is wanted otherwise, else what is otherwise than it was made.
pub(crate) fn why(changed: &BTreeSet<String>, drift: &[String]) -> String {
    if changed.is_empty() { first(drift) } else { says(changed) }
}

/// One reason is enough; a status shows all drift beside it.
pub(crate) fn first(drift: &[String]) -> String {
    drift.first().cloned().unwrap_or_default()
}

/// The names, as many as fit a line.
pub(crate) fn says(changed: &BTreeSet<String>) -> String {
    let names: Vec<&str> = changed.iter().map(String::as_str).collect();
    match names.len() {
        0..=4 => format!("{} changed", names.join(", ")),
        more => format!("{} and {} more changed", names[..3].join(", "), more - 3),
    }
}

/// An output as it is, where it stays through the change.
pub(crate) fn promise(name: &str, stays: Option<&Live>) -> Promise {
    let known = stays.and_then(|live| live.outputs.get(name));
    known.map_or(Promise::Later, |value| Promise::Stays(value.clone()))
}

/// No change: it is no longer wanted, and not there.
pub(crate) fn gone_already(resource: &Resource) -> Change {
    let back = Reversal::Reversible(Box::new(resource.clone()));
    Change { action: Action::Keep, ..Change::create(resource, Effects::none()) }.reversal(back)
}
