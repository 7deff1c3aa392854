//! How an answer breaks the contract of [`Provider`](crate::Provider), where that can be seen from outside.
//! Each rule is a sentence that fits after "the provider's contract is broken:".

use crate::expr::Expr;
use crate::provider::{Action, Change, Effects, Live, Observed, Promise, Resource};
use crate::{Error, ErrorKind};

/// The most that one answer may hold, in bytes: what is larger is a file, and belongs in the state directory.
const LARGEST: usize = 1 << 20;

/// The error of a broken contract.
pub(super) fn error(call: &str, provider: &str, what: &str) -> Error {
    let message = format!("{call} with `{provider}`: {what}");
    Error::new(ErrorKind::Bug, "provider::broken-contract", message)
        .help("report it to the author of the provider; nothing that it said was used")
}

/// The error of an answer with a secret in it.
pub(super) fn leaked(call: &str, provider: &str) -> Error {
    let message = format!("{call} with `{provider}`: the value of a secret is in its answer");
    Error::new(ErrorKind::Bug, "provider::leaked-secret", message)
        .help("report it to the author of the provider: a secret is handed on by its name; nothing was written down")
}

/// The error of a secret that was written into what is wanted.
pub(super) fn in_plain(resource: &Resource) -> Error {
    let message = format!("use `{}` as it is wanted: the value of a secret stands in it", resource.address);
    Error::new(ErrorKind::Refused, "secret::in-plain", message)
        .help("take the value out of the settings and the request, and let the secret be used by its name")
}

/// How what was observed breaks it.
pub(super) fn of_observed(resource: &Resource, observed: &Observed) -> Option<String> {
    match observed {
        Observed::Present(live) => of_live(live),
        Observed::NotYet(needed) if !resource.dependencies().contains(needed) => {
            Some(format!("it waits for `{needed}`, which the resource does not need"))
        }
        _ => None,
    }
}

/// How what exists breaks it.
pub(super) fn of_live(live: &Live) -> Option<String> {
    if live.id.is_empty() {
        Some("what exists has no id".to_owned())
    } else if size_of(live) > LARGEST {
        Some(format!("its answer is larger than {LARGEST} bytes"))
    } else {
        None
    }
}

/// How a planned change breaks it.
pub(super) fn of_change(resource: &Resource, seen: &Observed, change: &Change) -> Option<String> {
    let planned = &change.resource;
    let dropped = |(name, value): (&String, &Expr)| {
        planned.want.as_ref().and_then(|want| want.get(name)) != Some(value)
    };
    let same = |other: &Resource| other.address == resource.address && other.kind == resource.kind;
    let takes_away = |effects: &Effects| match effects {
        // Nothing named inside: the resource is one thing, and goes as one.
        Effects::Exact(named) => named.is_empty() || effects.may_destroy(),
        Effects::Open { .. } => effects.may_destroy(),
    };
    let what = if !same(planned) {
        "it planned a change of another resource"
    } else if planned.want.is_some() != resource.want.is_some() {
        "it planned the opposite of what is wanted"
    } else if resource.wanted().0.iter().any(dropped) {
        "it dropped a wanted value"
    } else if planned.on_delete != resource.on_delete {
        "it changed what happens to data"
    } else if change.action == Action::Delete && resource.want.is_some() {
        "it planned to delete what is wanted"
    } else if change.action == Action::Keep && change.effects != Effects::none() {
        "it keeps the resource, and names changes in it"
    } else if change.action == Action::Keep && resource.want.is_some() && *seen == Observed::Absent {
        "it keeps what is not there"
    } else if change.action == Action::Keep && resource.want.is_none() && seen.live().is_some() {
        "it keeps what should be gone"
    } else if change.action.is_destructive() && !takes_away(&change.effects) {
        "it takes something away, and none of its effects says so"
    } else if change.reversal.to().is_some_and(|to| !same(to)) {
        "its way back leads to another resource"
    } else if size_of(change) > LARGEST {
        return Some(format!("its answer is larger than {LARGEST} bytes"));
    } else {
        return None;
    };
    Some(what.to_owned())
}

/// How what exists after a change breaks what was announced: dependants were planned with it.
pub(crate) fn broken_promise(change: &Change, live: &Live) -> Option<String> {
    change.outputs.iter().find_map(|(name, promise)| match (promise, live.outputs.get(name)) {
        (_, None) => Some(format!("its output `{name}` was announced and is not there")),
        (Promise::Stays(then), Some(now)) if then != now && then.is_bound() => {
            Some(format!("its output `{name}` should have stayed as it was"))
        }
        _ => None,
    })
}

/// The size of an answer as JSON, in bytes.
fn size_of(answer: &impl serde::Serialize) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, answer) {
        Ok(()) => count.0,
        // What cannot be written down cannot be used.
        Err(_) => usize::MAX,
    }
}
