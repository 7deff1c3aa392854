//! Changes of what must never be lost by accident.

use code_core::provider::{Action, Change, Effects, Observed, Resource, Reversal};

/// The change, and that taking it back keeps the data: nobody asked to lose what was written since.
pub(crate) fn kept(change: Change) -> Change {
    let to = Box::new(change.resource.clone());
    let but = "the data stays, and the next deployment uses it".to_owned();
    change.reversal(Reversal::Compensable { to, but })
}

/// The delete of `what`, which cannot be taken back; nothing where it is gone already.
pub(crate) fn delete(resource: &Resource, observed: &Observed, what: &str) -> Change {
    let Some(live) = observed.live() else {
        let nothing = Change::create(resource, Effects::none());
        return Change { action: Action::Delete, ..nothing }.why("gone already");
    };
    Change::from_live(
        Action::Delete,
        resource,
        live,
        Effects::one(Action::Delete, format!("{what} {}", live.id)),
    )
    .reversal(Reversal::Irreversible(format!("the data in {} is lost", live.id)))
}
