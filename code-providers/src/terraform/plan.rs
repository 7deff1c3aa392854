//! From what a saved plan does to a change, with every resource in it named. Pure, but for the plan itself.

use std::collections::BTreeSet;
use std::fs;

use code_core::provider::{Action, Change, Effect, Effects, Live, Observed, Promise, Resource, Reversal};
use code_core::{Ctx, Expr, Result, Want};

use super::Terraform;
use super::config::Root;
use super::look::{self, Recorded};
use super::parse::Planned;
use super::place::Place;
use super::render;
use super::saved::Saved;
use super::work::{is_root_file, ready};

/// What a change that touches no resource touches.
const RECORD: &str = "what is recorded of the root";
/// How many resources are named of those that are made or changed, and of those that go.
const NAMED: usize = 3;
const NAMED_GOING: usize = 20;
/// What is said where taking back cannot bring everything back.
const MADE_ANEW: &str = "what was deleted or replaced is made anew, without what was in it";

pub(super) async fn plan(
    terraform: &Terraform,
    ctx: &Ctx,
    resource: &Resource,
    observed: &Observed,
) -> Result<Change> {
    let live = observed.live();
    let Some(want) = &resource.want else {
        return match live {
            Some(live) => delete(terraform, ctx, resource, live, observed).await,
            None => Ok(gone_already(resource)),
        };
    };
    if !want.is_bound() {
        validate(terraform, ctx, resource, want).await?;
        return Ok(open(resource, live));
    }
    let root = Root::read(want)?;
    let place = Place::of(ctx, &resource.address)?;
    let recorded = Recorded::read(&place)?;
    let saved = match terraform.take(resource, observed) {
        Some(saved) => saved,
        None => run(terraform, ctx, resource, &root, &place, &recorded).await?,
    };
    change(resource, live, &recorded, &saved)
}

/// What is wrong with a root is told before the first step, also where it cannot be planned yet.
async fn validate(terraform: &Terraform, ctx: &Ctx, resource: &Resource, want: &Want) -> Result<()> {
    let known = want.0.iter().filter(|(_, value)| value.is_bound());
    let known = Want(known.map(|(name, value)| (name.clone(), value.clone())).collect());
    if ["tool", "source", "digest"].iter().any(|name| known.get(name).is_none() && want.get(name).is_some()) {
        return Ok(());
    }
    let root = Root::read(&known)?;
    let place = Place::of(ctx, &resource.address)?;
    let tool = terraform.tool(ctx, root.flavour).await?;
    ready(ctx, &terraform.settings, &tool, &root, &place).await?.runner.validate().await
}

async fn run(
    terraform: &Terraform,
    ctx: &Ctx,
    resource: &Resource,
    root: &Root,
    place: &Place,
    recorded: &Recorded,
) -> Result<Saved> {
    let tool = terraform.tool(ctx, root.flavour).await?;
    recorded.quiet(ctx, place, root, terraform.settings.grace).await?;
    let work = ready(ctx, &terraform.settings, &tool, root, place).await?;
    look::run(&work, resource, recorded).await
}

/// The change that a saved plan makes.
fn change(resource: &Resource, live: Option<&Live>, recorded: &Recorded, saved: &Saved) -> Result<Change> {
    let planned = &saved.planned;
    let as_wanted =
        recorded.applying.is_none() && live.is_some_and(|live| Some(&live.was) == resource.want.as_ref());
    if let Some(live) = live
        && planned.is_empty()
        && as_wanted
    {
        return Ok(Change::keep(resource, live));
    }
    let mut effects = effects(planned, recorded);
    let destroys = effects.iter().any(|effect| effect.action.is_destructive());
    let action = if live.is_some() { Action::Update } else { Action::Create };
    if effects.is_empty() {
        effects.insert(Effect::new(action, RECORD));
    }
    let effects = Effects::Exact(effects);
    let mut change = match live {
        None => Change::create(resource, effects),
        Some(live) => Change::from_live(action, resource, live, effects),
    };
    // What was recorded before is what is returned to, not what an apply that was cut off was after.
    if let Some(note) = recorded.note.as_ref().filter(|_| live.is_some()) {
        let back = Resource { want: Some(note.was.clone()), ..resource.clone() };
        change.reversal = Reversal::Reversible(Box::new(back));
    } else if live.is_some() && recorded.applying.is_some() {
        change.reversal = Reversal::Reversible(Box::new(resource.gone()));
    } else if live.is_some() {
        let but = "it stays as it is then: what it was before is recorded nowhere".to_owned();
        change.reversal = Reversal::Compensable { to: Box::new(resource.clone()), but };
    }
    if destroys && let Reversal::Reversible(to) = change.reversal {
        change.reversal = Reversal::Compensable { to, but: MADE_ANEW.to_owned() };
    }
    for (name, output) in &planned.outputs {
        let kept = resource.wanted().get(&format!("secret_output.{name}")).cloned();
        let promise = match (output.sensitive, kept, &output.after) {
            (true, None, _) => continue,
            (true, Some(kept), _) if !output.changes => Promise::Stays(kept),
            (false, _, Some(after)) => Promise::Stays(after.clone()),
            _ => Promise::Later,
        };
        change.outputs.insert(name.clone(), promise);
    }
    change.private = Some(serde_json::json!(saved.name));
    Ok(change.why(why(planned)))
}

async fn delete(
    terraform: &Terraform,
    ctx: &Ctx,
    resource: &Resource,
    live: &Live,
    observed: &Observed,
) -> Result<Change> {
    let saved = match terraform.take(resource, observed) {
        Some(saved) => saved,
        None => {
            let root = Root::read(&live.was)?;
            let place = Place::of(ctx, &resource.address)?;
            let recorded = Recorded::read(&place)?;
            run(terraform, ctx, resource, &root, &place, &recorded).await?
        }
    };
    let mut effects: BTreeSet<Effect> = saved
        .planned
        .changes
        .iter()
        .map(|change| Effect::new(change.action, change.address.clone()))
        .collect();
    effects.insert(Effect::new(Action::Delete, RECORD));
    let to = Box::new(Resource { want: Some(live.was.clone()), ..resource.clone() });
    let mut change = Change::from_live(Action::Delete, resource, live, Effects::Exact(effects))
        .reversal(Reversal::Compensable { to, but: MADE_ANEW.to_owned() })
        .why(why(&saved.planned));
    change.private = Some(serde_json::json!(saved.name));
    Ok(change)
}

fn gone_already(resource: &Resource) -> Change {
    Change { action: Action::Delete, ..Change::create(resource, Effects::none()) }.why("gone already")
}

/// What cannot be planned before an earlier step: a new root only makes things, and of one that is there anything
/// may be taken away.
fn open(resource: &Resource, live: Option<&Live>) -> Change {
    let why = "a value that the root uses is known after an earlier step".to_owned();
    match live {
        None => Change::create(resource, Effects::Open { at_most: Action::Create, why }),
        Some(live) => {
            let effects = Effects::Open { at_most: Action::Delete, why };
            let back = Resource { want: Some(live.was.clone()), ..resource.clone() };
            let reversal = Reversal::Compensable { to: Box::new(back), but: MADE_ANEW.to_owned() };
            let change = Change::from_live(Action::Update, resource, live, effects).reversal(reversal);
            live.outputs.keys().fold(change, |change, name| change.output(name, Promise::Later))
        }
    }
}

/// What happens to each resource of the root. Replacing what only a cut-off apply made is making it.
fn effects(planned: &Planned, recorded: &Recorded) -> BTreeSet<Effect> {
    let made_before = |address: &str| {
        let applying = recorded.applying.as_ref();
        applying.is_some_and(|applying| {
            applying.changes.iter().any(|(made, action)| made == address && *action == Action::Create)
        })
    };
    planned
        .changes
        .iter()
        .map(|change| match change.action {
            Action::Replace if made_before(&change.address) => {
                Effect::new(Action::Create, change.address.clone())
            }
            action => Effect::new(action, format!("{}{}", change.address, change.note)),
        })
        .collect()
}

/// In a few words what is to be done; what is taken away is named.
fn why(planned: &Planned) -> String {
    let part = |action: Action, word: &str, most: usize| {
        let names: Vec<&str> = planned
            .changes
            .iter()
            .filter(|one| one.action == action)
            .map(|one| one.address.as_str())
            .collect();
        let more = if names.len() > most { ", …" } else { "" };
        let named = names[..names.len().min(most)].join(", ");
        (!names.is_empty()).then(|| format!("{} to {word}: {named}{more}", names.len()))
    };
    let parts = [
        part(Action::Create, "make", NAMED),
        part(Action::Update, "change", NAMED),
        part(Action::Replace, "replace", NAMED_GOING),
        part(Action::Delete, "delete", NAMED_GOING),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    match parts.is_empty() {
        true => "its files, variables or outputs changed".to_owned(),
        false => parts.join("; "),
    }
}

/// Whether a root's own files say where its state lies, so that it may exist although nothing is recorded here.
pub(super) fn keeps_state_elsewhere(root: &Root) -> bool {
    let Some(dir) = root.release.iter().chain([&root.source]).find(|dir| dir.is_dir()) else { return false };
    fs::read_dir(dir.join(&root.path)).into_iter().flatten().flatten().any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let text = fs::read(entry.path()).unwrap_or_default();
        is_root_file(&name) && render::has_backend(&name, &String::from_utf8_lossy(&text))
    })
}

/// The values of secret outputs that a root is to keep, by the names of their secrets.
pub(super) fn secret_of<'a>(want: &'a Want, output: &str) -> Option<&'a Expr> {
    want.get(&format!("secret_output.{output}"))
}
