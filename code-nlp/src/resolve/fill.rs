//! Fills in what was not said of a component, layer under layer, each value with its origin.

use std::collections::{BTreeSet, VecDeque};

use code_core::diagnostic::Note;
use code_core::intent::{Kind, Platform};
use code_core::spec::Origin;
use code_core::{Error, ErrorKind, Result};
use serde_json::Value;

use super::act::Scene;
use super::draft::{Draft, Fields};
use super::{SAMPLE, database, files, needs, pick, port, root};

/// A component that an intent is about.
#[derive(Debug)]
pub(super) struct Part {
    /// Its place in the draft.
    pub(super) index: usize,
    /// What was said of it, with its name and kind.
    pub(super) said: Fields,
    /// The names or kinds of what it needs, as said.
    pub(super) needs: Vec<(String, Origin)>,
}

impl Part {
    /// A part of which nothing new was said.
    pub(super) fn unsaid(index: usize, draft: &Draft) -> Part {
        let mut said = Fields::default();
        for pointer in ["/name", "/kind"] {
            if let Some(sourced) = draft.components[index].0.get(pointer) {
                said.0.insert(pointer.to_owned(), sourced.clone());
            }
        }
        Part { index, said, needs: Vec::new() }
    }
}

/// Choices that bind once they are made, because data, or other people, depend on them.
const STICKY: &[&str] = &["/engine", "/version", "/port", "/depends_on", "/restarts"];

/// Seconds that a new process may take to become healthy, where nothing else is said.
const HEALTH_TIMEOUT_SECONDS: u32 = 60;

/// Where the sample app says whether it and its database work.
const SAMPLE_HEALTH: &str = "/health";

/// Whether components of a kind run code of the user's own.
pub(super) fn runs_code(kind: &str) -> bool {
    use Kind::{Api, Cron, Function, Job, Web, Worker};
    Kind::from_word(kind).is_some_and(|kind| matches!(kind, Web | Api | Worker | Job | Cron | Function))
}

/// Fills in all parts that an intent is about; `update` where a change of what exists was asked for.
pub(super) fn fill_all(
    draft: &mut Draft,
    parts: Vec<Part>,
    update: bool,
    scene: &mut Scene<'_>,
) -> Result<()> {
    let mut taken: BTreeSet<usize> = parts.iter().map(|part| part.index).collect();
    let mut parts = VecDeque::from(parts);
    let mut count = 0;
    while let Some(part) = parts.pop_front() {
        count += 1;
        if count > code_core::spec::MAX_COMPONENTS * 2 {
            return Err(Error::new(ErrorKind::Invalid, "spec::too-large", "take so many components")
                .help("split the request, or the settings"));
        }
        // What was only just added has a name and a kind, and nothing to go back to.
        let base = Some(draft.components[part.index].clone()).filter(|fields| fields.0.len() > 2);
        let mut said = part.said;
        needs::dependencies(&mut said, &part.needs, base.as_ref(), draft, part.index, scene)?;
        let others: Vec<u16> = port::taken_ports(draft, part.index, scene);
        let platform = draft.top.text("/target/platform").and_then(platform).unwrap_or(Platform::Local);
        let at = At { base: base.as_ref(), update, platform, taken: &others };
        let fields = fill(said, &at, scene)?;
        for need in fields.needs() {
            if let Some(index) = draft.index(&need) {
                // What stands on a root is brought up to date with it.
                if root::is_root(&draft.components[index]) && taken.insert(index) {
                    parts.push_back(Part::unsaid(index, draft));
                }
                continue;
            }
            if !needs::add_from_settings(&need, draft, scene) {
                return Err(pick::unknown_component(&need, draft, &scene.place.deployment.to_string()));
            }
            let index = draft.components.len() - 1;
            taken.insert(index);
            parts.push_back(Part::unsaid(index, draft));
        }
        draft.components[part.index] = fields;
    }
    needs::wire(draft);
    Ok(())
}

/// What surrounds a component while it is filled in.
#[derive(Debug)]
pub(super) struct At<'a> {
    /// What it was.
    pub(super) base: Option<&'a Fields>,
    /// Whether a change of what exists was asked for in so many words.
    pub(super) update: bool,
    pub(super) platform: Platform,
    /// Ports that other components have.
    pub(super) taken: &'a [u16],
}

fn platform(word: &str) -> Option<Platform> {
    serde_json::from_value(Value::String(word.to_owned())).ok()
}

/// One component, complete.
pub(super) fn fill(said: Fields, at: &At<'_>, scene: &mut Scene<'_>) -> Result<Fields> {
    let name = said.name().to_owned();
    let kind = said.kind().to_owned();
    let mut fields = said;
    let settings = from_settings(&name, at.base, &fields, scene);
    under(&mut fields, settings);
    if let Some(base) = at.base {
        let mut before = base.clone();
        before.0.retain(|pointer, sourced| sourced.said && pointer != "/stopped");
        if fields.has("/version") && !fields.has("/image") {
            retag(&mut fields, &mut before);
        }
        under(&mut fields, before);
    }
    let is_root = root::is_root(&fields);
    if kind == "database" && !is_root {
        database::choose(&mut fields, at, scene)?;
    }
    if is_root {
        root::files(&mut fields, scene)?;
    } else if (runs_code(&kind) || kind == "static_site") && !fields.has("/image") {
        files::files(&mut fields, at, scene)?;
    }
    if let Some(base) = at.base {
        let mut kept = base.clone();
        // A deploy brings up what was stopped; an update leaves it so.
        let sticky = |pointer: &str| STICKY.contains(&pointer) || (at.update && pointer == "/stopped");
        kept.0.retain(|pointer, _| sticky(pointer));
        if base.text("/engine").is_some_and(|engine| fields.text("/engine").is_some_and(|now| now != engine))
        {
            kept.remove("/version");
            kept.remove("/port");
        }
        under(&mut fields, kept);
    } else {
        remember(&mut fields, scene);
    }
    if is_root {
        root::tool(&mut fields, scene);
    } else {
        if kind == "database" {
            database::settle(&mut fields, at, scene)?;
        }
        port::port(&mut fields, at, scene)?;
    }
    fields.fill("/replicas/min", 1, Origin::default("one is enough until more is asked for"));
    fields.fill("/replicas/max", 1, Origin::default("one is enough until more is asked for"));
    align_replicas(&mut fields);
    let private = if port::on_this_machine(at.platform.as_str()) {
        "only this machine reaches it"
    } else {
        "not asked for"
    };
    fields.fill("/public", false, Origin::default(private));
    if fields.text("/source") == Some(SAMPLE) {
        fields.fill("/health/path", SAMPLE_HEALTH, Origin::default("the sample app's own check"));
    }
    if matches!(kind.as_str(), "web" | "api") && !is_root {
        let why = "long enough for most apps to start";
        fields.fill("/health/timeout_seconds", HEALTH_TIMEOUT_SECONDS, Origin::default(why));
    }
    if fields.has("/source") && !fields.has("/release") {
        scene.unreleased.push(name);
    }
    Ok(fields)
}

/// Takes a weaker layer, unless it speaks of other files: an image and a source exclude each other, and how
/// to build and start belongs to its source.
fn under(fields: &mut Fields, mut weaker: Fields) {
    if fields.has("/image") {
        ["/source", "/build", "/start", "/release"].into_iter().for_each(|pointer| weaker.remove(pointer));
    }
    if let Some(source) = fields.text("/source") {
        weaker.remove("/image");
        if weaker.text("/source") != Some(source) {
            ["/build", "/start", "/release"].into_iter().for_each(|pointer| weaker.remove(pointer));
        }
    }
    fields.under(weaker);
}

/// One end of a range that was said moves a default of the other end that would cross it.
fn align_replicas(fields: &mut Fields) {
    let ends = ("/replicas/min", "/replicas/max");
    if fields.number(ends.0) <= fields.number(ends.1) {
        return;
    }
    let is_default = |pointer| matches!(fields.origin(pointer), Some(Origin::Default { .. }));
    let (from, to) = if is_default(ends.0) { (ends.1, ends.0) } else { (ends.0, ends.1) };
    if is_default(to)
        && let Some(sourced) = fields.0.get(from).cloned()
    {
        fields.0.insert(to.to_owned(), sourced);
    }
}

/// A new version of a component that runs from an image is a new tag of that image.
fn retag(fields: &mut Fields, before: &mut Fields) {
    let Some(image) = before.text("/image").map(str::to_owned) else { return };
    let name = image.split('@').next().unwrap_or(&image);
    let after_host = name.rfind('/').map_or(0, |slash| slash + 1);
    let name = name[after_host..].find(':').map_or(name, |colon| &name[..after_host + colon]);
    if let Some(version) = fields.0.remove("/version")
        && let Some(tag) = version.value.as_str()
    {
        fields.set("/image", format!("{name}:{tag}"), version.origin, true);
        before.remove("/image");
    }
}

/// What the settings say of a component, with a note where that takes back what was said before.
fn from_settings(name: &str, base: Option<&Fields>, said: &Fields, scene: &mut Scene<'_>) -> Fields {
    let settings = &scene.context.settings;
    let mut all = Fields::default();
    for (at, part) in settings.parts(scene.environment(), name) {
        let mut fields = Fields::of(part, false, |pointer| settings.origin(&format!("{at}{pointer}")));
        fields.remove("/kind");
        if let Some(engine) = fields.0.get_mut("/engine")
            && let Some(text) = engine.value.as_str()
        {
            engine.value = database::canonical(text).into();
        }
        all.under(fields);
    }
    for (pointer, setting) in &all.0 {
        let Some(before) = base.and_then(|base| base.0.get(pointer)) else { continue };
        if before.said && before.value != setting.value && !said.has(pointer) {
            let field = pointer.trim_start_matches('/').replace('/', ".");
            let message = format!(
                "`{field}` of `{name}` goes from {} back to {}: {} says so",
                before.value, setting.value, setting.origin
            );
            scene.notes.push(Note::warning("resolve::setting-wins", message));
        }
    }
    all
}

/// Choices of a component of that name that was deployed before and is gone: its data may still be there.
fn remember(fields: &mut Fields, scene: &Scene<'_>) {
    let history = &scene.context.history;
    let deployment = &scene.place.deployment;
    let name = fields.name().to_owned();
    let Some((revision, component)) = history.last_with(deployment, &name) else { return };
    if component.kind.as_str() != fields.kind() {
        return;
    }
    let same_engine = fields.text("/engine").is_none_or(|engine| component.engine.as_deref() == Some(engine));
    let before = Fields::of(component, false, |pointer| Origin::Revision {
        revision: history.was(deployment, revision, &name, pointer).revision,
    });
    let mut kept = before;
    kept.0.retain(|pointer, _| ["/engine", "/version", "/port"].contains(&pointer.as_str()));
    if !same_engine {
        kept = Fields::default();
    }
    fields.under(kept);
}
