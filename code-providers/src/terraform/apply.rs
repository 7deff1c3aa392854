//! Applying exactly the plan that was approved, with the progress of each resource.
//!
//! ```text
//! applying.json ── apply PLAN ── ended by itself ──▶ state is true: root.json, applying.json goes
//!                      └──────── cut off ──▶ applying.json stays: the next look knows
//! ```

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use code_core::provider::{Action, Change, Failed, Live, Observed};
use code_core::{Ctx, Error, Expr, Progress, Result, Secret};

use super::Terraform;
use super::config::Root;
use super::error::{self, Call};
use super::look::{self, Recorded};
use super::parse::{Message, State};
use super::place::{Applying, Note, Place};
use super::saved::{PlanName, Ready};
use super::work::{Work, ready};

pub(super) async fn apply(terraform: &Terraform, ctx: &Ctx, change: &Change) -> Result<Option<Live>, Failed> {
    let place = Place::of(ctx, &change.resource.address)?;
    let recorded = Recorded::read(&place)?;
    match (change.action, &change.prior) {
        (Action::Keep, prior) => return Ok(prior.clone()),
        (Action::Delete, _) if recorded.was().is_none() => return Ok(None),
        _ => {}
    }
    let want = change.resource.want.as_ref().or(recorded.was()).cloned().unwrap_or_default();
    let root = Root::read(&want)?;
    let tool = terraform.tool(ctx, root.flavour).await?;
    recorded.quiet(ctx, &place, &root, terraform.settings.grace).await?;
    let work = ready(ctx, &terraform.settings, &tool, &root, &place).await?;
    let state = work.state().await?;
    if change.resource.want.is_some()
        && let Some(live) = done_already(ctx, change, &recorded, &place, state.as_ref())
    {
        return Ok(Some(live));
    }
    let plan = approved(&work, change, &recorded).await?;
    place.make()?;
    let Ready { file, changes, provisioned } = plan;
    let applying = Applying { was: want.clone(), changes, provisioned };
    place.begin(ctx, &applying).await?;
    run(&work, &file, &applying, &recorded).await.map_err(|error| left(&place, &root, error))?;
    let ended = finish(&work, change, &want).await;
    work.forget_plan(&file);
    ended.map_err(|error| left(&place, &root, error))
}

/// Whether this very step did it, and nothing was written since.
fn done_already(
    ctx: &Ctx,
    change: &Change,
    recorded: &Recorded,
    place: &Place,
    state: Option<&State>,
) -> Option<Live> {
    let note = recorded.note.as_ref().filter(|_| recorded.applying.is_none())?;
    let state = state?;
    let same = note.key == ctx.key()
        && Some(&note.was) == change.resource.want.as_ref()
        && (&note.lineage, note.serial) == (&state.lineage, state.serial);
    if same { recorded.live(place, Some(state)) } else { None }
}

/// The plan that was approved, as it was saved; where it is gone, one that does the very same.
async fn approved(work: &Work<'_>, change: &Change, recorded: &Recorded) -> Result<Ready> {
    let name = change.private.clone().and_then(|note| serde_json::from_value::<PlanName>(note).ok());
    let name = name.ok_or_else(error::stale_plan)?;
    let destroy = change.resource.want.is_none();
    let replace = if destroy { Vec::new() } else { recorded.unproven(&work.place) };
    if let Some(ready) = work.saved(name, destroy, &replace).await? {
        return Ok(ready);
    }
    let saved = look::run(work, &change.resource, recorded).await?;
    if saved.name.does != name.does {
        return Err(error::stale_plan());
    }
    work.saved_as(saved.name).ok_or_else(error::stale_plan)
}

/// Runs the tool, and says how far it is.
async fn run(work: &Work<'_>, plan: &Path, applying: &Applying, recorded: &Recorded) -> Result<()> {
    let ctx = work.runner.ctx;
    let total = applying.changes.len() as u64;
    let done = AtomicU64::new(0);
    let listed: BTreeSet<&str> = applying.changes.iter().map(|(address, _)| address.as_str()).collect();
    let one_done = |address: &str| {
        if listed.contains(address) {
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            ctx.progress(Progress::Part { done: done.min(total), total, unit: "resources".to_owned() });
        }
    };
    let on_message = |message: &Message, text: &str| {
        ctx.progress(Progress::Line(text.to_owned()));
        match message {
            Message::Started { address, action } => ctx.say(format!("{action} {address}")),
            Message::Completed { address, id } => {
                work.place.finished(address, id);
                one_done(address);
            }
            Message::Errored { address } => ctx.say(format!("{address} failed")),
            Message::Diagnostic(_) | Message::Summary | Message::Other => {}
        }
    };
    let answer = work.runner.apply(plan, &on_message).await?;
    // A signal ended it: what the state says is not to be believed.
    if answer.output.code.is_none() {
        return Err(work.runner.failed(Call::Apply, &answer));
    }
    if answer.output.success() && answer.summed_up {
        return Ok(());
    }
    // What an earlier apply was cut off in, this one may not have come to: that stays to be made anew.
    if recorded.applying.is_none() {
        work.place.ended()?;
    }
    Err(work.runner.failed(Call::Apply, &answer))
}

/// After a success: what is there is written down.
async fn finish(work: &Work<'_>, change: &Change, want: &code_core::Want) -> Result<Option<Live>> {
    let (ctx, place) = (work.runner.ctx, &work.place);
    let state = work.state().await?;
    if change.resource.want.is_none() {
        if state.as_ref().is_some_and(State::has_resources) {
            place.ended()?;
            return Err(error::rubbish(Call::Apply, work.runner.tool.flavour));
        }
        place.forget_note()?;
        place.ended()?;
        return Ok(None);
    }
    let state = state.unwrap_or_default();
    for (name, output) in state.outputs.iter().filter(|(_, output)| output.sensitive) {
        if let Some(Expr::Secret(secret)) = super::plan::secret_of(want, name) {
            ctx.store_secret(secret, Secret::new(code_core::expr::plain(&output.value))).await?;
        }
    }
    work.keep_provider_lock()?;
    let note =
        Note { was: want.clone(), key: ctx.key(), lineage: state.lineage.clone(), serial: state.serial };
    place.write_note(ctx, &note).await?;
    place.ended()?;
    Ok(Recorded::read(place)?.live(place, Some(&state)))
}

/// What a failed apply left, as far as its state says.
fn left(place: &Place, root: &Root, error: Error) -> Failed {
    let look = || -> Result<Observed> {
        let state = place.read_state(&root.workspace)?;
        let live = Recorded::read(place)?.live(place, state.as_ref());
        Ok(live.map_or(Observed::Absent, Observed::Present))
    };
    let left = look().unwrap_or_else(|why| Observed::Unknown(why.message().to_owned()));
    Failed { error, left }
}
