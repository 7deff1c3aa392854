//! What is there of a root: its state, our note, and what somebody else changed since.
//!
//! ```text
//! note ─────┐
//! applying ─┼──▶ nothing of all: Absent, without asking any tool
//! state ────┘──▶ something: `plan`, which reads what is real, takes no lock and writes no state
//!                  ├─ drift, and what would have to change: kept for `plan`, which asks next
//!                  └─ no answer: Unknown, never Absent
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use code_core::provider::{Action, Live, Observed, Resource};
use code_core::{Ctx, ErrorKind, Expr, Result, Want};

use super::config::Root;
use super::error;
use super::parse::{Planned, State};
use super::place::{Applying, Note, Place};
use super::saved::Saved;
use super::work::{Work, ready};
use super::{Terraform, steady};

/// What is recorded of a root, before any tool was asked.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) note: Option<Note>,
    pub(super) applying: Option<Applying>,
}

impl Recorded {
    pub(super) fn read(place: &Place) -> Result<Recorded> {
        Ok(Recorded { note: place.note()?, applying: place.applying()? })
    }

    /// What it is, as far as that was written down.
    pub(super) fn was(&self) -> Option<&Want> {
        self.applying.as_ref().map(|applying| &applying.was).or(self.note.as_ref().map(|note| &note.was))
    }

    /// Waits for the end of an apply whose caller is gone; nobody else's is waited for.
    pub(super) async fn quiet(&self, ctx: &Ctx, place: &Place, root: &Root, longest: Duration) -> Result<()> {
        match self.applying {
            Some(_) => place.quiet(ctx, &root.workspace, longest).await,
            None => Ok(()),
        }
    }

    /// What to make anew, because its making was cut off.
    pub(super) fn unproven(&self, place: &Place) -> Vec<String> {
        self.applying.as_ref().map(|applying| place.unproven(applying)).unwrap_or_default()
    }

    /// The root as it exists, with what its state says; `None` where nothing exists.
    pub(super) fn live(&self, place: &Place, state: Option<&State>) -> Option<Live> {
        let in_state = state.is_some_and(State::has_resources);
        if self.was().is_none() && !in_state {
            return None;
        }
        let was = self.was().cloned().unwrap_or_default();
        let lineage = state.map(|state| state.lineage.clone()).filter(|lineage| !lineage.is_empty());
        let mut drift = Vec::new();
        if self.applying.is_some() {
            drift.push("an apply of it was cut off".to_owned());
        } else if self.note.is_none() {
            drift.push("it is there, and was not applied from here".to_owned());
        }
        let outputs = state.map(|state| outputs(&was, state)).unwrap_or_default();
        let id = lineage.unwrap_or_else(|| place.dir.display().to_string());
        Some(Live { id, was, outputs, drift })
    }
}

/// The outputs in a state: a sensitive one by the name of the secret that it is kept as, or not at all.
fn outputs(was: &Want, state: &State) -> BTreeMap<String, Expr> {
    let output = |(name, output): (&String, &super::parse::StateOutput)| {
        let value = match output.sensitive {
            false => Expr::Known(output.value.clone()),
            true => was.get(&format!("secret_output.{name}"))?.clone(),
        };
        Some((name.clone(), value))
    };
    state.outputs.iter().filter_map(output).collect()
}

/// What is there now.
pub(super) async fn observe(terraform: &Terraform, ctx: &Ctx, resource: &Resource) -> Result<Observed> {
    let place = Place::of(ctx, &resource.address)?;
    let recorded = Recorded::read(&place)?;
    let want = match &resource.want {
        Some(want) => want,
        // Of what is to go, what was recorded says how to look at it.
        None => match recorded.was() {
            Some(was) => was,
            None => return Ok(Observed::Absent),
        },
    };
    if let Some(needed) = want.references().into_iter().next() {
        // Without its values it cannot be planned, and without a plan nobody knows what is real.
        return Ok(match recorded.live(&place, place.read_state("default")?.as_ref()) {
            Some(live) => Observed::Present(live),
            None if resource.dependencies().contains(&needed) => Observed::NotYet(needed),
            None => Observed::Absent,
        });
    }
    let root = Root::read(want)?;
    let nothing = recorded.was().is_none() && place.read_state(&root.workspace)?.is_none();
    if nothing && !super::plan::keeps_state_elsewhere(&root) {
        return Ok(Observed::Absent);
    }
    let tool = terraform.tool(ctx, root.flavour).await?;
    recorded.quiet(ctx, &place, &root, terraform.settings.grace).await?;
    let looked = async {
        let work = ready(ctx, &terraform.settings, &tool, &root, &place).await?;
        let state = work.state().await?;
        let Some(live) = recorded.live(&place, state.as_ref()) else { return Ok((None, None)) };
        let saved = run(&work, resource, &recorded).await?;
        Ok((Some(live), Some(saved)))
    };
    let (live, saved) = match looked.await {
        Ok(looked) => looked,
        Err(error) => return unknown(error),
    };
    let (Some(mut live), Some(saved)) = (live, saved) else { return Ok(Observed::Absent) };
    if resource.want.is_none() || !saved.planned.is_empty() {
        live.drift.extend(saved.planned.drift.iter().cloned());
    }
    let observed = Observed::Present(live);
    terraform.remember(resource, &observed, saved);
    Ok(observed)
}

/// The plan that makes a root what is wanted of it, or takes it away.
pub(super) async fn run(work: &Work<'_>, resource: &Resource, recorded: &Recorded) -> Result<Saved> {
    let destroy = resource.want.is_none();
    let unproven = if destroy { Vec::new() } else { recorded.unproven(&work.place) };
    let saved = match work.plan(destroy, &unproven).await {
        // What was cut off before it was recorded is not there to be replaced, and is made anyway.
        Err(_) if !unproven.is_empty() => work.plan(destroy, &[]).await?,
        planned => planned?,
    };
    match recorded
        .applying
        .as_ref()
        .and_then(|applying| lost(applying, &work.place.done(), destroy, &saved.planned))
    {
        Some((address, id)) => Err(error::lost(&address, &id, &work.place.done_file())),
        None => Ok(saved),
    }
}

/// What was seen made by an apply that was cut off, and that its state does not have: the tools write a state every
/// twenty seconds, and where they are killed in between, whatever was made is nobody's. Pure.
fn lost(
    applying: &Applying,
    done: &BTreeMap<String, String>,
    destroy: bool,
    planned: &Planned,
) -> Option<(String, String)> {
    let mut made = applying.changes.iter().filter(|(address, action)| {
        matches!(action, Action::Create | Action::Replace)
            && done.contains_key(address)
            && !steady::is_in_state_alone(address)
    });
    let planned = |address: &str, action: Action| {
        planned.changes.iter().any(|change| change.address == address && change.action == action)
    };
    let (address, _) = made.find(|(address, _)| match destroy {
        true => !planned(address, Action::Delete),
        false => planned(address, Action::Create),
    })?;
    Some((address.clone(), done.get(address).cloned().unwrap_or_default()))
}

/// A tool that cannot look says so: what is there is not known. A mistake of a person's is told as it is.
fn unknown(error: code_core::Error) -> Result<Observed> {
    match (error.kind(), error.code()) {
        (ErrorKind::Timeout, _) | (_, "terraform::killed" | "terraform::rubbish" | "secret::not-lent") => {
            Ok(Observed::Unknown(error.message().to_owned()))
        }
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terraform::parse;

    #[test]
    fn what_was_made_and_is_in_no_state_is_lost() {
        let applying = Applying {
            was: Want::new(),
            changes: ["cloud_disk.a", "cloud_disk.b", "terraform_data.c"]
                .map(|one| (one.to_owned(), Action::Create))
                .into(),
            provisioned: Default::default(),
        };
        let check = |done: &str, destroy: bool, changes: &[(&str, &str)], expect: Option<&str>| {
            let change = |(address, action): &(&str, &str)| serde_json::json!({ "address": address, "change": { "actions": [action] } });
            let changes: Vec<_> = changes.iter().map(change).collect();
            let plan = serde_json::json!({ "format_version": "1", "resource_changes": changes });
            let planned = parse::planned(plan.to_string().as_bytes()).unwrap();
            let done = [(done.to_owned(), "id-1".to_owned())].into();
            let found = lost(&applying, &done, destroy, &planned);
            assert_eq!(found.as_ref().map(|(address, _)| address.as_str()), expect, "{changes:?}");
        };
        check("cloud_disk.a", false, &[("cloud_disk.b", "create")], None);
        check("cloud_disk.a", false, &[("cloud_disk.a", "create")], Some("cloud_disk.a"));
        check("terraform_data.c", false, &[("terraform_data.c", "create")], None);
        check("cloud_disk.a", true, &[("cloud_disk.a", "delete")], None);
        check("cloud_disk.a", true, &[], Some("cloud_disk.a"));
        check("", true, &[], None);
    }
}
